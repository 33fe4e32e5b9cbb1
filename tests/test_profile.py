"""Profiles against brute force, closed forms, and simulated truth."""

from __future__ import annotations

import numpy as np
import pytest

import lawful
from lawful.core.objective import Objective
from lawful.errors import UnsupportedError
from lawful.uncertainty.delta import delta

TRUTH = lawful.Surface.named("chinchilla")
PLAN = lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=TRUTH)
BUDGET = 1e23
NAMES = [("E", None), ("A", None), ("B", None), ("alpha", None), ("beta", None), ("a", None), ("b", None)]
NAMES += [("log10_a0", None), ("log10_b0", None), ("params", BUDGET), ("tokens", BUDGET), ("loss", BUDGET)]


@pytest.fixture(scope="module")
def found():
    return lawful.fit(lawful.simulate(TRUTH, PLAN, noise=0.03, seed=4))


def _value(name, budget, k):
    surface = lawful.Surface(dict(zip(("E", "A", "B", "alpha", "beta"), k, strict=True)))
    if budget is not None:
        return float(getattr(surface.optimum(budget), name))
    known = {**surface.coefficients}
    if name in known:
        return known[name]
    from lawful.estimate.result import Frontier

    return getattr(Frontier.of_surface(surface), name)


def _lowest(runs, name, budget, target, start):
    """Least sum of squares with a quantity held, by SciPy's constrained optimiser."""
    from scipy.optimize import minimize

    unit = np.array([1.0, np.log(start[1]), np.log(start[2]), 1.0, 1.0])

    def open_(v):
        return [v[0], np.exp(v[1] * unit[1]), np.exp(v[2] * unit[2]), v[3], v[4]]

    def misfit(v):
        e, a, b, alpha, beta = open_(v)
        return 1e4 * float(((runs.L - e - a * runs.N**-alpha - b * runs.D**-beta) ** 2).sum())

    scale = np.log if name in ("A", "B", "params", "tokens") else (lambda v: v)
    constraint = {"type": "eq", "fun": lambda v: scale(_value(name, budget, open_(v))) - scale(target)}
    first = np.array([start[0], 1.0, 1.0, start[3], start[4]])
    bounds = [(0, None), (None, None), (None, None), (0.01, 2), (0.01, 2)]
    options = {"maxiter": 1000, "ftol": 1e-13}
    out = minimize(misfit, first, constraints=[constraint], bounds=bounds, method="SLSQP", options=options)
    return out.fun / 1e4


@pytest.mark.parametrize(("name", "budget"), NAMES, ids=[n for n, _ in NAMES])
def test_ends_are_where_a_constrained_optimiser_finds_the_height(found, name, budget):
    shape = found.profile(name, budget=budget, noise="equal")
    start = [found.surface[n] for n in found.surface.law.names]
    height = found.rss * (1 + shape.reach**2 / (len(found.runs) - 5))
    for end in shape.interval:
        assert np.isfinite(end)
        assert _lowest(found.runs, name, budget, end, start) == pytest.approx(height, rel=2e-3)


def test_no_surface_of_a_brute_force_grid_lies_outside(found):
    """Among surfaces on a dense grid of exponents below the height, none reaches beyond the interval of N*."""
    shape = found.profile("params", budget=BUDGET, noise="equal")
    height = found.rss * (1 + shape.reach**2 / (len(found.runs) - 5))
    runs, inside = found.runs, []
    for alpha in np.linspace(0.15, 0.6, 70):
        for beta in np.linspace(0.1, 0.6, 70):
            design = np.stack([np.ones(len(runs)), runs.N**-alpha, runs.D**-beta], axis=1)
            k, rss, *_ = np.linalg.lstsq(design, runs.L, rcond=None)
            if (k > 0).all() and rss.size and rss[0] <= height:
                surface = lawful.Surface({"E": k[0], "A": k[1], "B": k[2], "alpha": alpha, "beta": beta})
                inside.append(float(surface.optimum(BUDGET).params))
    assert len(inside) > 20
    low, high = shape.interval
    assert low <= min(inside)
    assert max(inside) <= high


def test_a_linear_law_has_the_textbook_interval():
    from scipy import stats

    runs = lawful.simulate(TRUTH, PLAN, noise=0.01, seed=2)
    held = lawful.fit(runs, fixed={"alpha": 0.34, "beta": 0.28})
    design = np.stack([np.ones(len(runs)), runs.N**-0.34, runs.D**-0.28], axis=1)
    k, rss, *_ = np.linalg.lstsq(design, runs.L, rcond=None)
    error = np.sqrt(np.linalg.inv(design.T @ design)[0, 0] * rss[0] / (len(runs) - 3))
    half = stats.t.ppf(0.95, len(runs) - 3) * error
    assert held.profile("E", noise="equal").interval == pytest.approx((k[0] - half, k[0] + half), rel=1e-4)


def test_the_same_question_in_other_words_has_the_same_answer(found):
    a, b = (found.profile(name).interval for name in ("a", "b"))
    assert b == pytest.approx((1 - a[1], 1 - a[0]), rel=1e-4)
    n, d = (found.profile(name, budget=BUDGET).interval for name in ("params", "tokens"))
    assert d == pytest.approx((BUDGET / 6 / n[1], BUDGET / 6 / n[0]), rel=1e-3)
    unit = found.profile("log10_a0").interval
    assert unit == pytest.approx(tuple(np.log10(found.profile("params", budget=1.0).interval)), rel=1e-3)


def test_a_bound_opens_the_interval_and_is_noted():
    runs = lawful.simulate(TRUTH, lawful.Plan.isoflop([1e20, 1e21], 5, surface=TRUTH), noise=0.3, seed=1)
    shape = lawful.fit(runs).profile("E")
    assert shape.open[0]
    assert shape.interval[0] == 0.0
    assert "open_interval" in {note.code for note in shape.notes}


def test_the_curve_rises_from_the_estimate_and_passes_the_ends(found):
    shape = found.profile("params", budget=BUDGET)
    low, high = np.interp(np.log(shape.interval), np.log(shape.values), shape.distance)
    assert (low, high) == pytest.approx((shape.reach, shape.reach), rel=0.02)
    at = int(shape.distance.argmin())
    assert (np.diff(shape.distance[: at + 1]) <= 0).all()
    assert (np.diff(shape.distance[at:]) >= 0).all()


OTHERS = [Objective.huber(0.02), Objective.log_squared(), Objective.log_huber(0.01)]


@pytest.mark.parametrize("objective", OTHERS, ids=str)
def test_other_objectives_have_profiles(objective):
    runs = lawful.simulate(TRUTH, PLAN, noise=0.03, seed=4)
    other = lawful.fit(runs, objective=objective, method=lawful.Joint())
    low, high = other.profile("loss", budget=BUDGET).interval
    linear = delta(other).interval("loss", budget=BUDGET)
    assert low < float(other.surface.optimum(BUDGET).loss) < high
    assert (high - low) / (linear[1] - linear[0]) == pytest.approx(1.0, abs=0.4)


def test_a_held_coefficient_has_no_width(found):
    held = lawful.fit(found.runs, fixed={"E": 1.7})
    assert held.profile("E").interval == (1.7, 1.7)


def test_requests_that_make_no_sense_are_refused(found):
    with pytest.raises(UnsupportedError, match="approach2 has no surface to profile"):
        lawful.fit_isoflop(found.runs).profile("alpha")
    with pytest.raises(UnsupportedError, match="lies between 0 and 1, got 90"):
        found.profile("alpha", level=90)
    with pytest.raises(UnsupportedError, match="does not depend on a budget"):
        found.profile("alpha", budget=1e24)
    with pytest.raises(UnsupportedError, match="while A or B is held"):
        lawful.fit(found.runs, bounds={"A": (100.0, 1000.0)}).profile("params", budget=1e24)
