"""Losses of zero or below: read where a formula names their column, through every verb, and refused elsewhere."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import lawful
import lawful.analysis.ranked
from lawful.cli.app import app
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
    assert moved.runs.signed
    assert not plain.runs.signed
    assert moved.status.key == plain.status.key == "converged"
    k, other = plain.surface.coefficients, moved.surface.coefficients
    assert set(k) == set(other)
    assert other["E"] == pytest.approx(k["E"] + shift, rel=1e-6)
    assert {n: v for n, v in other.items() if n != "E"} == pytest.approx(
        {n: v for n, v in k.items() if n != "E"}, rel=1e-6
    )
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


WORKS = {
    "fit": ("fit", "TABLE", "--law", TWO, "--budget", BUDGET),
    "fit huber": ("fit", "TABLE", "--law", TWO, "--objective", "huber", "--delta", "auto"),
    "fit approach3": ("fit", "TABLE", "--law", TWO, "--method", "approach3", "--objective", "squared"),
    "fit three columns": ("fit", "TABLE", "--law", THREE),
    "fit wild draws": ("fit", "TABLE", "--law", TWO, "--intervals", "wild", "--draws", "30"),
    "fit rows": ("fit", "TABLE", "--law", TWO, "--intervals", "rows", "--draws", "30"),
    "fit held": ("fit", "TABLE", "--law", TWO, "--fix", "E=-1.5"),
    "fit tied": ("fit", "TABLE", "--law", TWO, "--fix", "alpha=beta"),
    "fit by": ("fit", "TABLE", "--law", TWO, "--by", "vocab"),
    "fit shared": ("fit", "TABLE", "--law", TWO, "--by", "vocab", "--share", "alpha,beta", "--draws", "0"),
    "fit where": ("fit", "TABLE", "--law", TWO, "--where", "vocab > 5000", "--drop", "nan"),
    "rank": ("fit", "TABLE", "--law", TWO, "--law", THREE),
    "coverage": ("coverage", "TABLE", "--law", TWO, "--repeats", "40", "--draws", "0"),
    "predict": ("predict", "FIT", "--params", "1e9", "--tokens", "1e11"),
    "predict a table": ("predict", "FIT", "--points", "TABLE"),
    "predict three columns": ("predict", "FIT3", "--params", "1e9", "--tokens", "1e11", "--given", "vocab=10000"),
    "allocate": ("allocate", "FIT", "--budget", "1e23"),
    "allocate three columns": ("allocate", "FIT3", "--budget", "1e23", "--given", "vocab=10000"),
    "rerun": ("rerun", "FIT"),
    "indifference": ("indifference", "FIT", "--budget", BUDGET),
    "lack of fit": ("lack-of-fit", "FIT"),
    "profile": ("profile", "FIT", "--quantity", "alpha"),
    "forecast": ("forecast", "FIT", "--budget", BUDGET),
    "next": (
        "next",
        "TABLE",
        "--law",
        TWO,
        "--pool",
        "pool.csv",
        "--cost",
        "6*params*tokens",
        "--target",
        "params=7B,tokens=2T",
    ),
}
"""What works on such a table, and prints strict JSON."""

NAMING, NOT_BELOW = "is read by a formula that names", "with E not below 0, and E of the"

REFUSED = {
    "fit a law of the catalogue": (
        ("fit", "TABLE", "--columns", "loss=excess"),
        "a loss that may be so is read by a formula that names its column, --law 'excess = E + …'",
    ),
    "fit a formula without a name": (
        ("fit", "TABLE", "--columns", "loss=excess", "--law", "E + A/params^a"),
        NAMING,
    ),
    "fit logarithms": (
        ("fit", "TABLE", "--law", TWO, "--objective", "log-huber"),
        "The objective log-huber needs losses above zero, and",
    ),
    "fit approach3 as usual": (
        ("fit", "TABLE", "--law", TWO, "--method", "approach3"),
        "minimise --objective squared or huber",
    ),
    "fit a law above zero": (
        ("fit", "TABLE", "--law", "excess = A/params^alpha"),
        "is nowhere below zero within the bounds of its coefficients",
    ),
    "fit what a check keeps": (
        ("fit", "TABLE", "--law", TWO, "--check"),
        "The check compares shares of the loss, so it needs losses above zero",
    ),
    "fit lines": (("fit", "TABLE", "--law", TWO, "--method", "approach2"), "approach2 fits lines, not a surface"),
    "compare": (("compare", "TABLE", "--columns", "loss=excess"), NAMING),
    "audit": (("audit", "TABLE", "--columns", "loss=excess"), NAMING),
    "bias": (("bias", "TABLE", "--columns", "loss=excess"), NAMING),
    "conventions": (("conventions", "TABLE", "--columns", "loss=excess"), NAMING),
    "look": (("look", "TABLE", "--columns", "loss=excess"), NAMING),
    "dial": (("dial", "FIT", "--budget", BUDGET), NOT_BELOW),
    "explore": (("explore", "FIT", "--out", "page.html"), NOT_BELOW),
    "speedup": (("speedup", "FIT", "FIT", "--budget", BUDGET), NOT_BELOW),
    "allocate a loss below the constant": (("allocate", "FIT", "--loss", "-99"), "reach"),
    "deadweight": (("deadweight", "FIT", "--budget", BUDGET), "Approach 2 needs losses above zero"),
}
"""What does not, and what it says."""


@pytest.fixture
def saved(table: str) -> dict[str, str]:
    """A table, its fits by two laws, and a pool of runs, by the word that stands for each."""
    for name, law in (("two", TWO), ("three", THREE)):
        lawful.analyse(table, law=law).save(f"{name}.json")
    written(Path("pool.csv"), {"params": np.array([1e9, 2e9, 4e9]), "tokens": np.array([2e10, 8e10, 9e10])})
    return {"TABLE": table, "FIT": "two.json", "FIT3": "three.json"}


def numbers(part: object) -> list[float]:
    if isinstance(part, dict):
        return [x for value in part.values() for x in numbers(value)]
    if isinstance(part, list):
        return [x for value in part for x in numbers(value)]
    return [float(part)] if isinstance(part, (int, float)) else []


def test_every_verb_that_can_work_on_such_a_table_does(saved):
    for cell, words in WORKS.items():
        said = answer(*(saved.get(word, word) for word in words))
        assert numbers(said), cell
        assert "not_converged" not in json.dumps(said), cell


def test_every_other_verb_says_why_not_in_one_sentence(saved):
    for cell, (words, why) in REFUSED.items():
        code, said = shell(*(saved.get(word, word) for word in words))
        assert code != 0, (cell, said)
        last = said.strip().splitlines()[-1]
        assert why in last, (cell, said)
        assert "Traceback" not in said, cell


def test_what_is_loaded_is_what_was_saved(saved):
    for word, law in (("FIT", TWO), ("FIT3", THREE)):
        made, again = lawful.analyse(saved["TABLE"], law=law), lawful.load(saved[word])
        assert again.fit.surface.coefficients == made.fit.surface.coefficients
        assert again.fit.surface.law.bounds == made.fit.surface.law.bounds
        assert again.fit.runs.signed
        assert (again.fit.surface.law.name, again.fit.surface.law.formula) == (law, made.fit.surface.law.formula)
        assert again.fit.surface.law.formula.endswith(law.partition(" = ")[2])
        assert again.interval("E") == made.interval("E")


def test_out_holds_the_fit_its_runs_and_a_report(table):
    code, said = shell("fit", table, "--law", "excess = E + A/params^alpha", "--out", "out", "--no-figures")
    assert code == 0, said
    assert {"fit.json", "runs.csv"} <= {path.name for path in Path("out").iterdir()}
    code, said = shell("rerun", "out/fit.json")
    assert (code, "the same to the digit" in said) == (0, True), said


@pytest.mark.slow
def test_a_report_of_a_law_of_sizes_and_tokens_shows_losses_below_zero(saved):
    code, said = shell("report", saved["FIT"], "--out", "page.html")
    assert code == 0, said
    assert "N* and D* are no powers of compute" in said
    code, said = shell("fit", saved["TABLE"], "--law", TWO, "--budget", BUDGET, "--out", "out", "--no-figures")
    assert code == 0, said
    assert (Path("out") / "report.html").is_file()


def test_coverage_holds_as_often_as_on_losses_above_zero():
    """Intervals hold as often whatever was added to the losses, to what sixty repeats tell."""
    tables = [lawful.fit(columns(c), law=TWO, objective="squared").coverage(60, draws=0) for c in (-3.2, -12.0)]
    for name in ("A", "B", "E", "alpha", "beta", "loss"):
        held = [found.of("delta", name) for found in tables]
        assert min(held) > 0.75, (name, held)
        assert abs(held[0] - held[1]) < 0.15, (name, held)


def test_an_interval_of_a_loss_near_zero_reaches_below_it():
    fit = lawful.fit(columns(-3.2), law=TWO, objective="squared")
    at = int(np.abs(fit.runs.L).argmin())
    shift, point = float(fit.predict(fit.runs.N[at], fit.runs.D[at])), (float(fit.runs.N[at]), float(fit.runs.D[at]))
    fit = lawful.fit(columns(-3.2 - shift), law=TWO, objective="squared")
    middle = float(fit.predict(*point))
    assert abs(middle) < 1e-6
    for kind in ("delta", "rows"):
        low, high = fit.intervals(kind, draws=60).prediction(point=point)
        assert low < -1e-3 < 1e-3 < high
    assert fit.forecast(points=[point])[0].prediction[0] < -1e-3


def test_a_constant_that_is_known_with_a_width_may_be_negative():
    fit = lawful.fit(columns(-12.0), law=TWO, objective="squared", fixed={"E": "-10.3±0.05"})
    assert fit.surface["E"] == pytest.approx(-10.3, abs=0.1)
    assert _prior_means(fit, 0, 0) == pytest.approx(-10.3, abs=0.4)
    held = lawful.fit(columns(-12.0), law=TWO, objective="squared", fixed={"E": -10.3})
    assert held.surface["E"] == -10.3


def test_a_forecast_below_zero_is_kept_and_scored(saved):
    code, said = shell("forecast", saved["FIT"], "--params", "2e9", "--tokens", "1e11")
    assert code == 0, said
    made = json.loads(Path("forecasts.jsonl").read_text(encoding="utf-8"))["forecasts"][0]
    new = {"params": np.array([2e9]), "tokens": np.array([1e11]), "excess": np.array([made["loss"] + 0.001])}
    scored = answer("forecast", "--score", "forecasts.jsonl", written(Path("new.csv"), new))
    assert made["loss"] < 0
    assert "0.00" in json.dumps(scored)


def test_rows_without_a_number_are_still_refused_and_drop_keeps_what_is_below_zero(tmp_path):
    table = columns(-12.0)
    table["excess"][4] = np.nan
    with pytest.raises(InputError, match=r"column 'excess', row 5 \(nan\)"):
        lawful.fit(table, law=TWO)
    runs = lawful.read_runs(table, columns={"loss": "excess"}, signed=True, drop="nan")
    assert (len(runs), runs.signed, float(runs.L.max()) < 0) == (59, True, True)
    with pytest.raises(InputError, match=r"column 'params', row 1 \(-1\)"):
        lawful.read_runs({**columns(), "params": -np.ones(60)}, columns={"loss": "excess"}, signed=True)
    with pytest.raises(InputError, match="outside -1e50 to 1e50"):
        Runs.from_arrays([1e8, 2e8], [2e9, 1e9], [-1.0, -1e60], signed=True)
    with pytest.raises(InputError, match="which needs another name than 'loss'"):
        lawful.fit({"N": [1e8, 2e8], "D": [2e9, 1e9], "loss": [0.3, -0.2]}, law="loss = E + A/N^a")


def test_runs_that_were_read_so_are_refused_by_what_takes_shares_of_the_loss():
    runs = lawful.read_runs(columns(-12.0), columns={"loss": "excess"}, signed=True)
    for verb in (lawful.fit, lawful.fit_isoflop, lawful.fit_envelope, lawful.audit, lawful.check, lawful.compare):
        with pytest.raises(UnsupportedError, match=r"needs losses above zero, and 60 of 60 in column 'excess' are not"):
            verb(runs)
    assert lawful.fit(runs, law=TWO).status.key == "converged"
    with pytest.raises(UnsupportedError, match="Overfitting is a share of the loss"):
        lawful.fit(runs, law=TWO).surface.overfit(1e9, 1e10)


def test_laws_compete_on_losses_below_zero():
    found = lawful.analysis.ranked.rank_laws(columns(-12.0), [TWO, THREE], cost="6*params*tokens")
    plain = lawful.analysis.ranked.rank_laws(columns(), [TWO, THREE], cost="6*params*tokens")
    assert [one.law.name for one in found.laws] == [one.law.name for one in plain.laws] == [THREE, TWO]
    assert [one.miss for one in found.laws] == pytest.approx([one.miss for one in plain.laws], rel=1e-4)


def test_new_runs_of_a_fit_saved_from_python_are_read_by_the_loss_that_its_formula_names(tmp_path):
    """Both columns look like a loss; the formula's own is the one."""
    table = {**columns(), "loss": columns()["excess"] * 1.5}
    file = written(tmp_path / "new.csv", table)
    path = lawful.analyse(table, law=TWO, objective="squared").save(tmp_path / "fit.json")
    code, said = shell("rerun", path, file)
    assert (code, "the same to the digit" in said) == (0, True), said


def test_a_constant_with_bounds_of_its_own_keeps_them():
    own = lawful.law(TWO, bounds={"E": (-20.0, -5.0)})
    assert signed_law(own, np.array([-1.0, 1.0])) == own
    inside, free = (lawful.fit(columns(-12.0), law=law, objective="squared") for law in (own, TWO))
    assert inside.surface["E"] == pytest.approx(free.surface["E"], rel=1e-9)
    assert inside.surface.law.bounds["E"] == (-20.0, -5.0) != free.surface.law.bounds["E"]
    edge = lawful.fit(columns(-12.0), law=TWO, objective="squared", bounds={"E": (-9.0, 0.0)})
    assert edge.surface["E"] == -9.0
    assert any(note.code == "at_bound" for note in edge.notes)


@pytest.mark.parametrize(("bad", "count"), [([-3.05], 1), ([0.0, 0.0], 2), ([-1.0, 0.0, -1.0], 3)])
def test_marks_of_a_missing_loss_and_slips_of_a_sign_are_no_losses(tmp_path, bad, count):
    rng = np.random.default_rng(3)
    size, words = np.exp(rng.uniform(np.log(3e7), np.log(3e9), 24)), np.exp(rng.uniform(np.log(1e9), np.log(1e11), 24))
    held_out = 1.8 + 300 / size**0.32 + 500 / words**0.29
    held_out[5 : 5 + len(bad)] = bad
    table = {"size": size, "words": words, "held_out": held_out}
    text = "held_out = E + A/size^a + B/words^b"
    with pytest.raises(InputError, match=rf"zero or below in {count} of 24 rows that stand far from all others, row"):
        lawful.fit(table, law=text)
    kept = lawful.fit(lawful.read_runs(table, columns={"loss": "held_out"}, needs=(), where="held_out > 0"), law=text)
    assert len(kept.runs) == 24 - count
    as_they_are = lawful.read_runs(table, columns={"loss": "held_out"}, needs=(), as_is=True, signed=True)
    assert as_they_are.L[5] == bad[0]
    lone = {**table, "held_out": np.where(np.arange(24) == 2, 9.0, -3 - np.arange(24) / 24)}
    with pytest.raises(InputError, match="above zero in 1 of 24 rows"):
        lawful.read_runs(lone, columns={"loss": "held_out"}, needs=(), signed=True)
