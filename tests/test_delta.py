"""Linearised intervals against closed forms, and their calibration under uneven noise."""

from __future__ import annotations

import numpy as np
import pytest

import lawful
from lawful.core.objective import Objective
from lawful.errors import UnsupportedError
from lawful.estimate.solvers import prepare
from lawful.uncertainty import replicas as rp
from lawful.uncertainty.delta import answer, delta
from lawful.uncertainty.linear import equal_noise, linearise, unequal_noise, variance_power
from lawful.uncertainty.quantity import Quantity, gradient, reported, working_values

TRUTH = lawful.Surface.named("chinchilla")
PLAN = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=TRUTH)
QUANTITIES = [
    *(Quantity(n) for n in ("E", "A", "B", "alpha", "beta", "a", "b", "log10_a0", "log10_b0")),
    *(Quantity(n, 1e24) for n in ("params", "tokens", "loss")),
    Quantity("loss_at", point=(7e9, 2e12)),
]


@pytest.fixture(scope="module")
def found():
    return lawful.fit(lawful.simulate(TRUTH, PLAN, noise=0.01, seed=1), method="vpnls")


def test_a_linear_law_has_the_textbook_interval():
    """With the exponents held the law is a linear regression: ordinary least squares and its t interval."""
    from scipy import stats

    runs = lawful.simulate(TRUTH, PLAN, noise=0.01, seed=2)
    held = lawful.fit(runs, fixed={"alpha": 0.34, "beta": 0.28})
    design = np.stack([np.ones(len(runs)), runs.N**-0.34, runs.D**-0.28], axis=1)
    coefficients, rss, *_ = np.linalg.lstsq(design, runs.L, rcond=None)
    cov = np.linalg.inv(design.T @ design) * rss[0] / (len(runs) - 3)
    low, high = delta(held, noise="equal").interval("E", 0.9)
    half = stats.t.ppf(0.95, len(runs) - 3) * np.sqrt(cov[0, 0])
    assert (low, high) == pytest.approx((coefficients[0] - half, coefficients[0] + half), rel=1e-6)


def test_the_sandwich_of_a_linear_law_is_hc2_where_no_trend_is_told():
    runs = lawful.simulate(TRUTH, PLAN, noise=0.01, seed=2)
    held = lawful.fit(runs, fixed={"alpha": 0.34, "beta": 0.28})
    problem = prepare(runs, held.surface.law, held.objective, {}, held.fixed)
    at = linearise(problem, answer(held, problem))
    at = at._replace(reducible=np.ones_like(at.reducible))  # no loss is above another: HC2
    design = np.stack([np.ones(len(runs)), runs.N**-0.34, runs.D**-0.28], axis=1)
    bread = np.linalg.inv(design.T @ design)
    hat = np.einsum("ni,ij,nj->n", design, bread, design)
    residual = runs.L - design @ (bread @ design.T @ runs.L)
    hc2 = bread @ (design.T * (residual**2 / (1 - hat))) @ design @ bread
    slope = np.array([[1.0, 0, 0, 0, 0]])
    assert float(unequal_noise(at, slope).error[0]) == pytest.approx(np.sqrt(hc2[0, 0]), rel=1e-5)


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda q: q.name)
def test_gradients_agree_with_differences(found, quantity):
    problem = prepare(found.runs, found.surface.law, found.objective, {}, {})
    z = answer(found, problem)
    exact = gradient(quantity, found.surface.law, z, problem.centre)[0]
    for j in range(5):
        h = 1e-6 * z[0, j]
        up, down = z.copy(), z.copy()
        up[0, j] += h
        down[0, j] -= h
        ends = [working_values(quantity, found.surface.law, v, problem.centre)[0] for v in (up, down)]
        assert exact[j] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda q: q.name)
def test_values_are_those_of_the_surface(found, quantity):
    problem = prepare(found.runs, found.surface.law, found.objective, {}, {})
    value = working_values(quantity, found.surface.law, answer(found, problem), problem.centre)
    best = found.surface.optimum(1e24)
    expected = {
        **found.surface.coefficients, **found.frontier.to_dict(), "params": best.params, "tokens": best.tokens,
        "loss": best.loss, "loss_at": found.surface.loss(7e9, 2e12),
    }  # fmt: skip
    ours = float(reported(quantity, found.surface.law, value)[0])
    assert ours == pytest.approx(float(expected[quantity.name]), rel=1e-9)


def test_the_power_of_the_noise_is_found():
    problem = prepare(lawful.simulate(TRUTH, PLAN), TRUTH.law, Objective.squared(), {}, {})
    z = problem.to_z(np.array([[TRUTH[n] for n in TRUTH.law.names]]))
    mean = TRUTH.loss(PLAN.N, PLAN.D)
    rng = np.random.default_rng(0)
    for power in (0.0, 1.0):
        losses = mean + 0.01 * (mean - TRUTH["E"]) ** power * rng.standard_normal((400, len(PLAN)))
        fits = rp.refit(problem, losses, z[0])
        estimate, error = variance_power(rp.linearised(fits))
        assert estimate.mean() == pytest.approx(2 * power, abs=0.25)
        assert estimate.std() == pytest.approx(error.mean(), rel=0.25)


def test_a_coefficient_on_a_bound_is_dropped_and_noted():
    runs = lawful.simulate(TRUTH, PLAN, noise=0.01, seed=3)
    found = delta(lawful.fit(runs, method=lawful.VarPro(bounds={"alpha": (0.5, 1.0)})))
    assert [note.code for note in found.notes] == ["bound_dropped"]
    assert np.isnan(found.interval("alpha")).all()
    assert np.isfinite(found.interval("params", budget=1e22)).all()


def test_huber_is_nearly_as_sure_as_squares_on_gaussian_noise():
    plan = lawful.Plan.isoflop(np.geomspace(1e17, 1e21, 9), 25, surface=TRUTH)
    runs = lawful.simulate(TRUTH, plan, noise=0.01, seed=5)
    squared = delta(lawful.fit(runs), noise="equal").error("alpha")
    huber = delta(lawful.fit(runs, objective=Objective.huber(1.345 * 0.01)), noise="equal").error("alpha")
    # Huber's loss at 1.345 standard deviations has 95% efficiency.
    assert huber / squared == pytest.approx(0.95**-0.5, rel=0.08)


def test_requests_that_make_no_sense_are_refused(found):
    with pytest.raises(UnsupportedError, match="approach2 has no surface to linearise"):
        delta(lawful.fit_isoflop(found.runs))
    with pytest.raises(UnsupportedError, match="Unknown noise 'pink'; choose one of trend, unequal, equal"):
        delta(found, noise="pink")
    with pytest.raises(UnsupportedError, match="'params' is a quantity at a budget"):
        delta(found).interval("params")
    with pytest.raises(UnsupportedError, match="has no quantity 'gamma'"):
        delta(found).interval("gamma")


def test_equal_noise_is_the_mean_square(found):
    problem = prepare(found.runs, found.surface.law, found.objective, {}, {})
    at = linearise(problem, answer(found, problem))
    assert float(at.variance[0]) == pytest.approx(found.rss / (len(found.runs) - 5), rel=1e-9)
    assert float(at.leverage.sum()) == pytest.approx(5.0, rel=1e-6)
    assert equal_noise(at, np.eye(5)[:1]).freedom[0] == len(found.runs) - 5
