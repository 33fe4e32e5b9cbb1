"""Losses of zero or below: read where a formula names their column, through every verb, and refused elsewhere."""

from __future__ import annotations

import csv
import itertools
import json
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import lawful
from lawful.cli.app import app, main
from lawful.core.objective import Objective
from lawful.data.runs import Runs
from lawful.errors import InputError, LawfulError, UnsupportedError
from lawful.laws.formula import signed_law
from lawful.uncertainty.bootstrap import _prior_means

TWO = "excess = E + A/params^alpha + B/tokens^beta"
THREE = "excess = E + A/params^alpha + B/tokens^beta + K/vocab^g"
FACTOR = "excess = E + A/(params^alpha*vocab^g) + B/tokens^beta"
SHIFTS = {"crossing": -3.2, "below": -12.0}
BUDGET = 1e22


def columns(shift: float = 0.0) -> dict[str, np.ndarray]:
    """A grid of sizes, tokens and vocabularies with 0.4% of noise; its losses lie between 2 and 5 before the shift."""
    cells = itertools.product(np.geomspace(1e7, 3e9, 5), np.geomspace(3e8, 6e10, 4), (4e3, 1.6e4, 6.4e4))
    n, d, v = (np.array(values) for values in zip(*cells, strict=True))
    loss = 1.7 + 400 / n**0.34 + 900 / d**0.3 + 20 / v**0.5
    return {"params": n, "tokens": d, "vocab": v, "excess": loss + noise(n.size) + shift}


def noise(size: int) -> np.ndarray:
    return np.random.default_rng(11).normal(0.0, 0.004, size)


def written(path: Path, table: dict[str, np.ndarray]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(table)
        rows.writerows(zip(*(values.tolist() for values in table.values()), strict=True))
    return path


@pytest.fixture(params=list(SHIFTS))
def table(request, tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    return written(tmp_path / "runs.csv", columns(SHIFTS[request.param])).name


def shell(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    error = result.exception if isinstance(result.exception, LawfulError) else ""
    assert result.exception is None or isinstance(result.exception, (LawfulError, SystemExit)), result.exception
    return result.exit_code, f"{result.output}{error}"


def answer(*words: object) -> dict:
    code, said = shell(*words, "--json")
    assert code == 0, said
    return json.loads(said)


@pytest.mark.parametrize("shift", SHIFTS.values(), ids=SHIFTS)
@pytest.mark.parametrize("objective", ["squared", "huber"])
@pytest.mark.parametrize("law", [TWO, THREE, FACTOR], ids=["two", "three", "factor"])
def test_a_constant_added_to_the_losses_moves_the_constant_of_the_law_and_nothing_else(law, objective, shift):
    goal = Objective.huber(0.005) if objective == "huber" else objective
    plain, moved = (lawful.fit(columns(c), law=law, objective=goal) for c in (0.0, shift))
    assert moved.runs.signed and not plain.runs.signed
    assert moved.status.key == plain.status.key == "converged"
    k, other = plain.surface.coefficients, moved.surface.coefficients
    assert set(k) == set(other)
    assert other["E"] == pytest.approx(k["E"] + shift, rel=1e-6)
    assert {n: v for n, v in other.items() if n != "E"} == pytest.approx({n: v for n, v in k.items() if n != "E"}, rel=1e-6)
    widths = []
    for fit in (plain, moved):
        sure, corner = fit.intervals("delta"), tuple(float(fit.runs.column(c).max()) for c in fit.surface.law.columns)
        ends = [sure.of(name) for name in sorted(k)] + [sure.of("loss_at", point=corner), sure.prediction(point=corner)]
        if fit.surface.law.allocates:
            ends += [sure.of(name, budget=BUDGET) for name in ("params", "tokens", "loss")]
            ends.append(sure.prediction(budget=BUDGET))
        widths.append([high - low for low, high in ends])
    np.testing.assert_allclose(widths[1], widths[0], rtol=1e-6)
    if plain.surface.law.allocates:
        here, there = plain.optimum(BUDGET), moved.optimum(BUDGET)
        assert (there.params, there.tokens) == pytest.approx((here.params, here.tokens), rel=1e-6)
        assert there.loss == pytest.approx(here.loss + shift, rel=1e-6)
