"""Bootstrap refits, timed per draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lawful
from lawful.data.runs import Runs
from lawful.estimate.solvers import VarPro, prepare, resolve

DRAWS = {"squared": 10_000, "huber": 1_000}


@pytest.mark.parametrize("name", ["squared", "huber"])
def test_lawful_kernel_per_refit(benchmark: Any, noisy: Runs, name: str) -> None:
    benchmark.group = f"bootstrap refit, 128 runs, {name}, per draw"
    objective = lawful.Objective(name)
    found = lawful.fit(noisy, objective=objective)
    problem = prepare(noisy, found.surface.law, objective, {}, {})
    z = problem.to_z(np.array([[found.surface[k] for k in found.surface.law.names]]))
    draws = DRAWS[name]
    weights = np.random.default_rng(0).multinomial(128, np.full(128, 1 / 128), size=draws).astype(float)
    answer = benchmark.pedantic(resolve, args=(problem, z, VarPro()), kwargs={"weights": weights}, rounds=5)
    benchmark.extra_info["scale"] = 1 / draws
    tight = resolve(problem, answer.z[:200], VarPro(tolerance=1e-13, max_iter=500), weights=weights[:200])
    off = np.abs(answer.z[:200, 3:] / tight.z[:, 3:] - 1).max()
    benchmark.extra_info["remark"] = f"exponents within {off:.0e} of a tight solve"
    assert answer.converged.all()


def test_lawful_bootstrap_10000_draws(benchmark: Any, noisy: Runs) -> None:
    benchmark.group = "bootstrap, 128 runs, 10,000 draws with intervals for all that is printed"
    found = lawful.fit(noisy)

    def run() -> None:
        draws = found.bootstrap(10_000)
        found.allocate(1e24, draws=draws)
        for k in ("E", "A", "B", "alpha", "beta", "a", "b"):
            draws.interval(k)

    benchmark.pedantic(run, rounds=3)
