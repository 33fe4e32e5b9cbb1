"""The asymptote dial, the indifference region, and the interval of the deadweight loss."""

from __future__ import annotations

import numpy as np
import pytest

import lawful
from lawful.errors import UnsupportedError
from lawful.show.figures.dial_figure import plot_dial, plot_profile

TRUTH = lawful.Surface.named("chinchilla")
PLAN = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=TRUTH)
DOLLARS = 5.614507888e-19
"""Per FLOP, as published (1,979 TFLOP/s, half of it used, 2 dollars an hour)."""


@pytest.fixture(scope="module")
def found():
    return lawful.fit(lawful.simulate(TRUTH, PLAN, noise=0.01, seed=1), method="vpnls")


def test_every_point_of_the_dial_is_a_fit_with_that_e(found):
    dial = found.dial(1e24, points=9)
    for k in (0, 3, 8):
        held = lawful.fit(found.runs, method="vpnls", fixed={"E": float(dial.table["E"][k])})
        best = held.surface.optimum(1e24)
        assert dial.table["params"][k] == pytest.approx(float(best.params), rel=1e-5)
        assert dial.table["loss"][k] == pytest.approx(float(best.loss), rel=1e-7)
        rise = np.sqrt((held.rss - found.rss) / dial.profile.ratio)
        assert dial.table["distance"][k] == pytest.approx(rise, rel=1e-3, abs=1e-4)


def test_support_is_where_the_profile_says(found):
    dial = found.dial(1e24)
    # Both ends of the interval are rows of the table, and lie on its height to the precision of the search.
    inside = dial.table["distance"] <= dial.profile.reach * (1 + 1e-4)
    assert np.array_equal(inside, dial.table["support"] > 0)
    assert 0 < inside.sum() < inside.size


def test_the_figure_draws_the_table(found):
    dial = found.dial(1e24, points=11)
    ax = plot_dial(dial)
    line = next(line for line in ax.get_lines() if line.get_gid() == "dial")
    assert np.allclose(line.get_xdata(), dial.table["E"])
    assert np.allclose(line.get_ydata(), dial.table["params"])
    shape = found.profile("params", budget=1e24)
    line = next(line for line in plot_profile(shape).get_lines() if line.get_gid() == "profile")
    assert np.allclose(line.get_ydata(), shape.distance)


def test_a_dial_needs_a_free_e(found):
    with pytest.raises(UnsupportedError, match="E is held fixed"):
        lawful.fit(found.runs, fixed={"E": 1.7}).dial(1e24)
    with pytest.raises(UnsupportedError, match="needs a fitted surface"):
        lawful.fit_isoflop(found.runs).dial(1e24)
    with pytest.raises(UnsupportedError, match="at least 3 values"):
        found.dial(1e24, points=2)


@pytest.mark.parametrize("epsilon", [1e-6, 1e-3, 0.05])
def test_the_ends_of_indifference_lose_epsilon(epsilon):
    region = TRUTH.indifference(1e24, epsilon)
    for n, d in zip(region.params, region.tokens[::-1], strict=True):
        assert TRUTH.loss(n, d) - region.best[2] == pytest.approx(epsilon, rel=1e-5)
        assert 6 * n * d == pytest.approx(1e24, rel=1e-9)
    assert region.params[0] < region.best[0] < region.params[1]


def test_a_narrow_region_is_the_second_order_one():
    """Excess is (alpha beta / 2)(L* - E) u^2 to second order in u = ln(N/N*)."""
    region = TRUTH.indifference(1e24, 1e-7)
    u = np.sqrt(2e-7 / (0.34 * 0.28 * (region.best[2] - TRUTH["E"])))
    assert region.factor == pytest.approx(np.exp(2 * u), rel=1e-4)


def test_epsilon_is_the_noise_of_one_run(found):
    region = found.indifference(1e24)
    assert region.source == "noise"
    assert region.epsilon == pytest.approx(np.sqrt(found.rss / (len(found.runs) - 5)), rel=1e-9)
    with pytest.raises(UnsupportedError, match="has no noise of its own"):
        TRUTH.indifference(1e24)
    with pytest.raises(UnsupportedError, match="epsilon is a positive loss"):
        TRUTH.indifference(1e24, -1.0)


@pytest.fixture(scope="module")
def llama(shared_data):
    import pandas as pd

    table = pd.read_csv(shared_data / "isoflops.csv")
    return lawful.read_runs(table[table["experiment"] == "llama_3__raw_loss"])


def test_the_published_interval_of_llama_3(llama):
    """Approach 2 refitted within budgets against the VPNLS and the Approach 3 surface of the same runs."""
    squares = lawful.fit(llama, method="vpnls")
    whole = lawful.deadweight(squares, lawful.fit_isoflop(llama), 3.8e25, draws=10_000, sides="choice")
    assert whole.flops * DOLLARS == pytest.approx(1.344e6, rel=1e-3)
    assert whole.failed == pytest.approx(0.16, abs=0.015)
    low, high = (v * DOLLARS for v in whole.discarded)
    assert low == pytest.approx(0.29e6, abs=0.05e6)
    assert high == pytest.approx(2.5e6, rel=0.1)
    low, high = (v * DOLLARS for v in whole.interval)
    assert low == pytest.approx(0.30e6, abs=0.05e6)
    assert high == pytest.approx(11e6, rel=0.3)
    assert [note.code for note in whole.notes] == ["failed_draws"]


@pytest.mark.slow
def test_the_published_ends_lie_within_repeats_of_100_draws(llama):
    joint = lawful.fit(llama, method=lawful.Joint(), objective=lawful.Objective.log_squared())
    two = lawful.fit_isoflop(llama)
    for truth, low, high in ((lawful.fit(llama), 381e3, 2.8e6), (joint, 412e3, 2.9e6)):
        repeats = (lawful.deadweight(truth, two, 3.8e25, draws=100, sides="choice", seed=s) for s in range(60))
        ends = DOLLARS * np.array([found.discarded for found in repeats])
        assert ends[:, 0].min() < low < ends[:, 0].max()
        assert ends[:, 1].min() < high < ends[:, 1].max()
