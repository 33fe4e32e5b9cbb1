"""Objectives against their published definition and an implementation that nobody here wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import huber as scipy_huber

from lawful.core.objective import OBJECTIVE_NAMES, Objective
from lawful.errors import UnsupportedError
from lawful.laws.laws import CHINCHILLA

residuals = arrays(float, st.integers(1, 30), elements=st.floats(-2, 2))


@given(residuals, st.floats(1e-4, 1.0))
def test_huber_is_the_mean_of_scipys(r: np.ndarray, delta: float) -> None:
    assert Objective.huber(delta).of(r) == pytest.approx(scipy_huber(delta, r).mean(), rel=1e-12, abs=1e-300)


@given(residuals)
def test_squared_is_the_mean_square(r: np.ndarray) -> None:
    assert Objective.squared().of(r) == pytest.approx(np.mean(r**2), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("index", [71, 72])
def test_log_huber_matches_the_published_objective_of_approach_3(shared_reference: Path, index: int) -> None:
    """The published objective is the sum over runs; ours is the mean."""
    entries = json.loads((shared_reference / "laws_vectors.json").read_text(encoding="utf-8"))
    vector = next(entry for entry in entries if entry["id"] == index)
    p = vector["params"]
    k = p if "A" in p else p | {"A": np.exp(p["a"]), "B": np.exp(p["b"]), "E": np.exp(p["e"])}
    N, D, L = (np.array(vector["inputs"][name]) for name in "NDL")
    r = np.log(L) - np.log(CHINCHILLA.loss(k, N, D))
    assert Objective.log_huber(p["delta"]).of(r) * N.size == pytest.approx(vector["output"], rel=1e-9)


@pytest.mark.parametrize("name", OBJECTIVE_NAMES)
def test_integer_weights_equal_repeated_runs(name: str) -> None:
    rng = np.random.default_rng(3)
    r, repeats = rng.normal(0, 0.01, 20), rng.integers(0, 4, 20)
    objective = Objective(name)
    assert objective.of(r, repeats.astype(float)) == pytest.approx(objective.of(np.repeat(r, repeats)), rel=1e-12)


@pytest.mark.parametrize("name", OBJECTIVE_NAMES)
def test_the_scale_of_the_weights_does_not_matter(name: str) -> None:
    rng = np.random.default_rng(4)
    r, w = rng.normal(0, 0.01, 20), rng.uniform(0.1, 1, 20)
    assert Objective(name).of(r, 7 * w) == pytest.approx(Objective(name).of(r, w), rel=1e-12)


@pytest.mark.parametrize(
    ("objective", "name", "delta", "huber", "log"),
    [
        (Objective(), "squared", None, False, False),
        (Objective.squared(), "squared", None, False, False),
        (Objective.huber(), "huber", 1e-3, True, False),
        (Objective.huber(0.5), "huber", 0.5, True, False),
        (Objective.log_squared(), "log-squared", None, False, True),
        (Objective.log_huber(), "log-huber", 1e-3, True, True),
    ],
)
def test_the_four_objectives_say_what_they_are(
    objective: Objective, name: str, delta: float | None, huber: bool, log: bool
) -> None:
    assert (objective.name, objective.delta) == (name, delta)
    assert (objective.is_huber, objective.is_log) == (huber, log)
    assert str(objective) == (name if delta is None else f"{name} (delta {delta:g})")


@pytest.mark.parametrize(
    ("name", "delta", "message"),
    [
        ("absolute", None, "Unknown objective 'absolute'; choose one of squared, huber, log-squared, log-huber."),
        ("squared", 1e-3, "delta belongs to the Huber objectives; leave it out for 'squared'."),
        ("huber", 0.0, "delta must be a positive number, got 0.0."),
        ("log-huber", -1e-3, "delta must be a positive number, got -0.001."),
        ("huber", float("nan"), "delta must be a positive number, got nan."),
        ("huber", float("inf"), "delta must be a positive number, got inf."),
        ("huber", "wide", "delta must be a positive number, got 'wide'."),
    ],
)
def test_an_objective_that_makes_no_sense_is_refused(name: str, delta: object, message: str) -> None:
    with pytest.raises(UnsupportedError, match=re.escape(message)):
        Objective(name, delta)
