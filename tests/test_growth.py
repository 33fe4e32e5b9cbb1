"""Large tables: no array has the square of the number of runs, and what stands in for it agrees with it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import lawful
from lawful.trust import fitness
from lawful.uncertainty.grounds import grounds
from lawful.uncertainty.shared import shared_error
from lawful.valley.faces import Grouped

TRUTH = lawful.Surface.named("chinchilla")
# Two estimates of one probability from 2,000 draws each: four standard deviations of their difference.
MONTE_CARLO = 4 * np.sqrt(2 * 0.25 / 2000)


def sweep(budgets: int, sizes: int, seed: int, shared: float = 0.0) -> lawful.Runs:
    rng = np.random.default_rng(seed)
    c = np.repeat(np.geomspace(1e18, 1e21, budgets), sizes)
    n = np.sqrt(c / 120) * 10 ** rng.uniform(-0.6, 0.6, c.size)
    noise = 0.003 * rng.standard_normal(c.size) + shared * np.repeat(rng.standard_normal(budgets), sizes)
    return lawful.read_runs(
        {"params": n, "tokens": c / 6 / n, "budget": c, "loss": TRUTH.loss(n, c / 6 / n) * np.exp(noise)}
    )


@pytest.mark.parametrize(("budgets", "shared"), [(5, 0.0), (9, 0.0004)])
def test_sums_of_ranks_by_their_normal_law_agree_with_ranks_one_by_one(monkeypatch, budgets, shared):
    fit = lawful.fit(sweep(budgets, 60, 3, shared), method="vpnls")
    assert len(fit.runs) <= fitness.RANKED_RUNS
    one_by_one = fit.lack_of_fit().p_budgets
    monkeypatch.setattr(fitness, "RANKED_RUNS", 0)
    assert fit.lack_of_fit().p_budgets == pytest.approx(one_by_one, abs=MONTE_CARLO)


def test_groups_beyond_the_spectrum_have_the_share_of_the_spectrum(monkeypatch):
    from lawful.uncertainty import shared

    rng = np.random.default_rng(5)
    label = np.repeat(np.arange(300), 4)
    residual = rng.standard_normal(1200) + 0.7 * rng.standard_normal(300)[label]
    slope = rng.standard_normal((5, 1200))
    exact = shared_error(slope, residual, {"run": label})
    monkeypatch.setattr(shared, "SPECTRAL", 10)
    near = shared_error(slope, residual, {"run": label})
    assert near.share == pytest.approx(exact.share, abs=0.021)  # one step of the grid of shares
    assert near.gain == pytest.approx(exact.gain, rel=0.1)


def test_a_metric_of_groups_is_the_inverse_of_their_covariance():
    rng = np.random.default_rng(2)
    label, weight, share = rng.integers(0, 6, 40), rng.uniform(0.2, 3.0, 40), 0.3
    covariance = (1 - share) * np.eye(40) + share * (label[:, None] == label)
    dense = np.sqrt(weight)[:, None] * np.linalg.inv(covariance) * np.sqrt(weight)
    metric = Grouped.of(label, share).scaled(weight)
    rows = rng.standard_normal((2, 3, 40))
    assert np.allclose(metric.weigh(rows), rows @ dense, rtol=1e-12, atol=1e-12)
    padded = np.zeros((41, 41))
    padded[:40, :40], padded[40, 40] = dense, 7.0
    more = rng.standard_normal((3, 41))
    assert np.allclose(metric.beside([7.0]).weigh(more), more @ padded, rtol=1e-12, atol=1e-12)


def test_distinct_sizes_are_counted_per_budget():
    runs = sweep(6, 8, 1).take(np.r_[0:20, 5:9, 30:48])
    brute = [np.unique(runs.N[runs.group == g]).size for g in range(runs.budgets.size)]
    assert runs.sizes_per_budget.tolist() == brute
    assert lawful.Runs.from_arrays(None, [1e9, 2e9, 3e9], [3.0, 2.9, 2.8]).sizes_per_budget.tolist() == [1]


def test_an_error_that_thousands_of_runs_share_needs_no_matrix_of_all_pairs():
    fit = lawful.fit(sweep(12, 500, 7, shared=0.002), method="vpnls")
    n = len(fit.runs)
    tracemalloc.start()
    found = grounds(fit)
    assert found.shared.name == "budget"
    low, high = fit.profile("params", budget=1e23, points=0).interval
    fit.lack_of_fit()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert low < TRUTH.optimum(1e23).params < high
    assert peak < 8 * n * n  # one matrix of floats
