"""The noisy sweeps of studies 7 and 13, with the published draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array
from lawful.design.plan import Plan, plan_isoflop, study_surface
from lawful.laws.surface import Surface
from lawful.studies.methods import LOWER, UPPER
from lawful.studies.study import Config, Task

CONFIG: Config = {
    "surface": "asymmetric",
    "width": 8.0,
    "drift": 3.0,
    "sigmas": [0.05, 0.1, 0.2],
    "budgets": [2, 3, 4],
    "span": [1e17, 1e21],
    "points": [4, 8, 16, 32],
    "draws": 256,
}
"""The sweeps of both studies: they differ in what is fitted to them."""


class Sweeps(NamedTuple):
    """
    All draws of one condition.

    Attributes
    ----------
    points : int
        Sizes per budget.
    plan : Plan
    losses : array, shape (draws, budgets * points)
    starts : array, shape (draws, 5)
        Random starts of the naive Approach 3.
    """

    points: int
    plan: Plan
    losses: Array
    starts: Array


def conditions(config: Config) -> list[Task]:
    """Every noise and number of budgets; the numbers of points share a generator, so they stay together."""
    return [{"sigma": sigma, "budgets": budgets} for sigma in config["sigmas"] for budgets in config["budgets"]]


def truth_of(config: Config) -> Surface:
    """The surface all sweeps are drawn from."""
    return study_surface(config["surface"])


def noisy_sweeps(config: Config, task: Task) -> Iterator[Sweeps]:
    """
    Yield the sweeps of one condition for every number of points, drawn as published.

    Repeat r has one generator of seed + r; for each number of points in turn it gives
    the noise budget by budget, then a child generator the random start.
    """
    truth, sigma = truth_of(config), task["sigma"]
    budgets = np.geomspace(config["span"][0], config["span"][1], task["budgets"])
    plans = {
        n: plan_isoflop(budgets, n, surface=truth, width=config["width"], drift=config["drift"])
        for n in config["points"]
    }
    exact = {n: np.asarray(truth.loss(plan.N, plan.D)) for n, plan in plans.items()}
    losses: dict[int, list[Array]] = {n: [] for n in plans}
    starts: dict[int, list[Array]] = {n: [] for n in plans}
    for repeat in range(config["draws"]):
        rng = np.random.default_rng(config["seed"] + repeat)
        for n, loss in exact.items():
            noise = np.concatenate([rng.normal(0.0, sigma, n) for _ in range(task["budgets"])])
            losses[n].append(loss + noise)
            starts[n].append(rng.spawn(1)[0].uniform(LOWER, UPPER))
    for n, plan in plans.items():
        yield Sweeps(n, plan, np.array(losses[n]), np.array(starts[n]))


def geometric_mean(percent: Array) -> float:
    """Return exp of the mean log of absolute errors in percent; failures (NaN) are left out."""
    found = np.abs(percent[np.isfinite(percent)])
    return float(np.exp(np.log(found).mean()))
