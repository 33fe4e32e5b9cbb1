"""How a budget is spent: against a search along the budget line, at the optimum and off it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import lawful
from lawful.decide.allocate import allocate, withheld
from lawful.errors import UnsupportedError

TRUTH = lawful.Surface.named("chinchilla")
PLAN = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=TRUTH)
BUDGET = 1e22


@pytest.fixture(scope="module")
def found() -> lawful.Fit:
    return lawful.fit(lawful.simulate(TRUTH, PLAN, noise=0.003, seed=2))


def loss_of(fit: lawful.Fit, N: float, D: float) -> float:
    """The law written out."""
    k = fit.coefficients
    return k["E"] + k["A"] / N ** k["alpha"] + k["B"] / D ** k["beta"]


def test_the_optimum_is_what_a_search_along_the_budget_finds(found):
    best = allocate(found, BUDGET)
    searched = minimize_scalar(
        lambda log_n: loss_of(found, np.exp(log_n), BUDGET / 6 / np.exp(log_n)),
        bounds=(18, 30),
        options={"xatol": 1e-10},
    )
    assert np.log(best.params) == pytest.approx(searched.x, abs=1e-5)
    assert best.loss == pytest.approx(searched.fun, rel=1e-12)
    assert 6 * best.params * best.tokens == pytest.approx(BUDGET, rel=1e-12)
    assert best.tokens_per_param == best.tokens / best.params


@pytest.mark.parametrize("kind", ["profile", "delta", "rows"])
@pytest.mark.parametrize("detour", [{"params": 2e8}, {"tokens_per_param": 2e4}])
def test_off_the_optimum_interval_and_prediction_are_of_that_point(found, kind, detour):
    held = allocate(found, BUDGET, draws=found.intervals(kind, draws=100), **detour)
    best = allocate(found, BUDGET)
    assert held.loss == pytest.approx(loss_of(found, held.params, held.tokens), rel=1e-12)
    assert 6 * held.params * held.tokens == pytest.approx(BUDGET, rel=1e-12)
    (low, high), (least, most) = held.interval["loss"], held.prediction["loss"]
    assert set(held.interval) == {"loss"}
    assert least < low < held.loss < high < most
    # The point is so far off that the loss at the optimum would be no part of either.
    assert held.loss > best.loss + 0.05
    assert best.loss < least


def test_at_the_optimum_interval_and_prediction_are_of_the_optimum(found):
    best = allocate(found, BUDGET, draws=found.intervals())
    (low, high), (least, most) = best.interval["loss"], best.prediction["loss"]
    assert least < low < best.loss < high < most
    for name in ("params", "tokens"):
        assert best.interval[name][0] < getattr(best, name) < best.interval[name][1]


def test_a_frontier_reads_its_lines_and_prices_its_own_choice(found):
    line = lawful.fit_isoflop(found.runs)
    best = allocate(line, BUDGET, truth=found)
    assert best.params == pytest.approx(10 ** (line.frontier.log10_a0 + line.frontier.a * np.log10(BUDGET)), rel=1e-12)
    assert best.loss is None
    # The price is what the optimum needs less of the budget to reach the loss of that choice (its own D, C = 6ND).
    reached = loss_of(found, BUDGET / 6 / best.tokens, best.tokens)
    needed = BUDGET - best.deadweight.flops
    assert allocate(found, needed).loss == pytest.approx(reached, rel=1e-9)


def test_a_law_without_a_term_in_parameters_has_no_finite_ratio():
    nothing = lawful.Surface({**TRUTH.coefficients, "A": 0.0})
    assert allocate(nothing, BUDGET).tokens_per_param == float("inf")


def test_what_is_withheld_is_null_and_what_is_told_stays(found):
    best = allocate(found, BUDGET, draws=found.intervals())
    told, nothing = withheld(best), withheld(best, "params", "tokens", "loss")
    assert np.isnan([told.params, told.tokens, told.tokens_per_param]).all()
    assert told.loss == best.loss
    assert told.interval == best.interval
    assert told.deadweight is None
    assert nothing.loss is None
    assert nothing.interval == {}
    assert nothing.prediction is None


def test_requests_that_make_no_sense_are_refused(found):
    with pytest.raises(UnsupportedError, match="either params or tokens_per_param, not both"):
        allocate(found, BUDGET, params=1e9, tokens_per_param=20)
    with pytest.raises(UnsupportedError, match="must be positive numbers, got -1"):
        allocate(found, BUDGET, params=-1)
    with pytest.raises(UnsupportedError, match="approach2 has no surface, so it cannot price a detour"):
        allocate(lawful.fit_isoflop(found.runs), BUDGET, params=1e9)
    with pytest.raises(UnsupportedError, match="A budget is a positive number of FLOPs, got 0"):
        allocate(found, 0)
