"""Time of one exact profile interval, and of the tests that every fit runs."""

from __future__ import annotations

import numpy as np
import pytest

import lawful
from lawful.trust.verdict import judge
from lawful.uncertainty.grounds import INDEPENDENT, Grounds, grounds
from lawful.uncertainty.quantity import Quantity

TRUTH = lawful.Surface.named("chinchilla")
QUANTITIES = ("E", "A", "B", "alpha", "beta", "a", "params", "loss")


def fit_of(count: int) -> lawful.Fit:
    plan = lawful.Plan.isoflop(np.geomspace(1e18, 1e21, count // 7), 7, surface=TRUTH)
    return lawful.fit(lawful.simulate(TRUTH, plan, noise=0.005, seed=1))


@pytest.mark.parametrize("count", [35, 133])
@pytest.mark.parametrize("name", QUANTITIES)
def test_interval(benchmark, name, count):
    fit = fit_of(count)
    rests = grounds(fit, INDEPENDENT)
    assert isinstance(rests, Grounds)
    quantity = Quantity(name, 1e22 if name in ("params", "loss") else None)
    rise = rests.rise(quantity, fit.cost, 0.9, "trend")[0]
    rests.ends(quantity, fit.cost, rise)  # the cover of the region is shared by all quantities
    benchmark(rests.ends, quantity, fit.cost, rise)


@pytest.mark.parametrize("count", [35, 133])
def test_cover_of_the_region(benchmark, count):
    fit = fit_of(count)

    def cold() -> float:
        grounds.cache_clear()
        rests = grounds(fit, INDEPENDENT)
        assert rests is not None
        return rests.profile.constant(9e-4).low

    benchmark(cold)


@pytest.mark.parametrize("count", [35, 133])
def test_verdict(benchmark, count):
    fit = fit_of(count)
    benchmark(judge, fit, [1e22])
