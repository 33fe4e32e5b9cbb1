"""
What each objective costs: compute wasted at 100 times the largest budget, over twenty-eight conditions.

Fourteen conditions chose the default's constants (``chosen``), and fourteen others, with other surfaces, designs,
sizes of noise and seeds, were run when it stood (``held``). A condition is a known surface, a design and a noise; in
each data set a method fits Chinchilla's form and its N* is priced on the true surface: the share of the budget that a
planner who had known better would have saved. Methods: squares, Huber auto, log-Huber at three widths, the robust fit
of :mod:`lawful.estimate.steady` on every set (``robust``), and the default, which decides between it and squares.

    python -m benchmarks.waste held --sets 200 --json waste.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import lawful
from lawful.core.objective import Objective
from lawful.core.typing import Array, IntArray
from lawful.estimate import steady
from lawful.laws.surface import Surface

TIMES = 100.0
SEEDS = {"chosen": 1, "held": 2}

METHODS: dict[str, dict[str, Any]] = {
    "squares": {"method": "vpnls"},
    "huber auto": {"method": "approach3", "objective": Objective.huber("auto")},
    "log-huber .001": {"method": "approach3", "objective": Objective.log_huber(1e-3)},
    "log-huber .003": {"method": "approach3", "objective": Objective.log_huber(3e-3)},
    "log-huber .01": {"method": "approach3", "objective": Objective.log_huber(1e-2)},
    "robust": {},
    "default": {},
}


class Truth(NamedTuple):
    """L = E + (A/N^alpha + B/D^beta)^k; Chinchilla's form at k = 1."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    k: float = 1.0

    def loss(self, n: Array, d: Array) -> Array:
        """Loss of N parameters on D tokens."""
        return np.asarray(self.E + (self.A * n**-self.alpha + self.B * d**-self.beta) ** self.k)

    def best(self, c: Array) -> Array:
        """N* at a budget of C FLOPs."""
        ratio = self.alpha * self.A / (self.beta * self.B)
        return np.asarray((ratio * (c / 6) ** self.beta) ** (1 / (self.alpha + self.beta)))

    def waste(self, log_n: float, c: float) -> float:
        """Share of C that the best model would not have needed for the loss of a model of exp(log_n) parameters."""
        # Along the frontier A N^-alpha + B D^-beta falls as C^-g with g = alpha beta/(alpha + beta), and k changes no
        # comparison; so the same loss costs C (mine/best)^(-1/g).
        n = np.exp(np.clip(np.nan_to_num(log_n, nan=200.0, posinf=200.0, neginf=-200.0), -200.0, 200.0))
        mine, best = (self.A * m**-self.alpha + self.B * (c / 6 / m) ** -self.beta for m in (n, self.best(np.array(c))))
        g = self.alpha * self.beta / (self.alpha + self.beta)
        return float(1.0 - (mine / best) ** (-1.0 / g))


def _coupled(E: float, alpha: float, beta: float, k: float) -> Truth:
    """Reducible loss of 0.8 nats at 1B parameters and 20B tokens, half of it from each term."""
    half = 0.5 * 0.8 ** (1 / k)
    return Truth(E, half * 1e9**alpha, half * 2e10**beta, alpha, beta, k)


CHINCHILLA = Truth(1.69, 406.4, 410.7, 0.34, 0.28)
BESIROGLU = Truth(1.8172, 482.01, 2085.43, 0.3478, 0.3658)
FLAT = Truth(0.35, 52.0, 75.0, 0.31, 0.31)
STEEP = Truth(1.2, 900.0, 2500.0, 0.40, 0.38)
UNEVEN = Truth(2.1, 1200.0, 300.0, 0.42, 0.27)
FLATTER = Truth(0.4, 60.0, 90.0, 0.30, 0.32)


class Runs(NamedTuple):
    """A design with its exact losses."""

    N: Array
    D: Array
    C: Array
    exact: Array
    reducible: Array
    above: Array
    """ln N - ln N*(C), per run."""
    budget: IntArray
    """Index of the run's budget."""


Design = Callable[[Truth, np.random.Generator], tuple[Array, Array]]
Noise = Callable[[np.random.Generator, Runs, tuple[int, int], float], Array]


def sweep(low: float, high: float, budgets: int, sizes: int, width: float) -> Design:
    """IsoFLOP: sizes a factor of ``width`` to either side of N*."""

    def of(truth: Truth, _: np.random.Generator) -> tuple[Array, Array]:
        c = np.repeat(np.geomspace(low, high, budgets), sizes)
        return truth.best(c) * np.tile(np.geomspace(1 / width, width, sizes), budgets), c

    return of


def ladder(sizes: int, ratios: int) -> Design:
    """Model sizes from 50M to 2B, each at 5 to 160 tokens per parameter."""

    def of(_: Truth, __: np.random.Generator) -> tuple[Array, Array]:
        n = np.repeat(np.geomspace(5e7, 2e9, sizes), ratios)
        return n, 6 * n**2 * np.tile(np.geomspace(5, 160, ratios), sizes)

    return of


def irregular(runs: int) -> Design:
    """Budgets from 1e18 to 1e21 and sizes a factor of ten around N*, both at random."""

    def of(truth: Truth, rng: np.random.Generator) -> tuple[Array, Array]:
        c = np.exp(rng.uniform(np.log(1e18), np.log(1e21), runs))
        return truth.best(c) * np.exp(rng.uniform(-np.log(10), np.log(10), runs)), c

    return of


def gaussian(rng: np.random.Generator, _: Runs, shape: tuple[int, int], sigma: float) -> Array:
    """Gaussian noise of one size."""
    return sigma * rng.standard_normal(shape)


def proportional(rng: np.random.Generator, runs: Runs, shape: tuple[int, int], sigma: float) -> Array:
    """Noise in proportion to the reducible loss, sigma its root mean square."""
    size = runs.reducible / np.sqrt((runs.reducible**2).mean())
    return np.asarray(sigma * size * rng.standard_normal(shape))


def student(rng: np.random.Generator, _: Runs, shape: tuple[int, int], sigma: float) -> Array:
    """Student's t with three degrees of freedom, sigma its standard deviation."""
    return np.asarray(sigma / np.sqrt(3.0) * rng.standard_t(3, shape))


def outliers(rng: np.random.Generator, _: Runs, shape: tuple[int, int], sigma: float) -> Array:
    """Raise one run in twenty by ten sigma."""
    hit = rng.random(shape).argsort(axis=1) < max(1, round(0.05 * shape[1]))
    return np.asarray(sigma * (rng.standard_normal(shape) + 10.0 * hit))


def follows(power: float) -> Noise:
    """Noise that grows with a power of the model size."""

    def of(rng: np.random.Generator, runs: Runs, shape: tuple[int, int], sigma: float) -> Array:
        return np.asarray(sigma * (runs.N / runs.N.min()) ** power * rng.standard_normal(shape))

    return of


def undertuned_ends(scale: float) -> Noise:
    """Raise the smallest and the largest size of each budget by an exponential amount."""

    def of(rng: np.random.Generator, runs: Runs, shape: tuple[int, int], sigma: float) -> Array:
        end = np.zeros(shape[1], bool)
        for g in range(runs.budget.max() + 1):
            index = np.flatnonzero(runs.budget == g)
            end[index[[runs.N[index].argmin(), runs.N[index].argmax()]]] = True
        return np.asarray(sigma * rng.standard_normal(shape) + end * rng.exponential(scale, shape))

    return of


def undertuned(bend: float) -> Noise:
    """Losses that rise with the square of the distance above N*, in logs."""

    def of(rng: np.random.Generator, runs: Runs, shape: tuple[int, int], sigma: float) -> Array:
        return np.asarray(sigma * rng.standard_normal(shape) + bend * np.maximum(runs.above - 0.5, 0.0) ** 2)

    return of


def plateau(factor: float, rise: float) -> Noise:
    """Raise runs of sizes beyond a factor of N* far above the valley."""

    def of(rng: np.random.Generator, runs: Runs, shape: tuple[int, int], sigma: float) -> Array:
        high = runs.above > np.log(factor)
        return np.asarray(sigma * rng.standard_normal(shape) + high * rise * (1 + 0.3 * rng.standard_normal(shape)))

    return of


def bad_budget(which: int, shift: float) -> Noise:
    """Shift all runs of one budget."""

    def of(rng: np.random.Generator, runs: Runs, shape: tuple[int, int], sigma: float) -> Array:
        return np.asarray(sigma * rng.standard_normal(shape) + shift * (runs.budget == which))

    return of


class Condition(NamedTuple):
    """A surface, a design and a noise."""

    name: str
    truth: Truth
    design: Design
    noise: Noise
    sigma: float


CONDITIONS = {
    "chosen": (
        Condition("Gaussian", CHINCHILLA, sweep(1e18, 1e20, 5, 9, 8), gaussian, 0.003),
        Condition("Gaussian, flat surface", FLAT, sweep(1e18, 1e21, 5, 7, 8), gaussian, 0.01),
        Condition("Gaussian, wide", CHINCHILLA, sweep(1e18, 1e20, 5, 9, 32), gaussian, 0.003),
        Condition("Gaussian, ladder", BESIROGLU, ladder(5, 5), gaussian, 0.005),
        Condition("Gaussian, 16 runs", STEEP, sweep(1e18, 1e20, 4, 4, 4), gaussian, 0.003),
        Condition("Gaussian, coupled truth", _coupled(1.5, 0.5, 0.5, 0.6), sweep(1e18, 1e20, 6, 7, 6), gaussian, 0.003),
        Condition("proportional", BESIROGLU, sweep(1e18, 1e20, 4, 6, 8), proportional, 0.01),
        Condition("t3", CHINCHILLA, sweep(1e18, 1e20, 5, 9, 8), student, 0.005),
        Condition("outliers", BESIROGLU, sweep(1e18, 1e20, 5, 7, 8), outliers, 0.005),
        Condition("outliers, irregular", STEEP, irregular(40), outliers, 0.005),
        Condition("follows N", CHINCHILLA, sweep(1e18, 1e20, 5, 9, 8), follows(0.3), 0.003),
        Condition("undertuned ends", CHINCHILLA, sweep(1e18, 1e20, 6, 9, 8), undertuned_ends(0.06), 0.003),
        Condition("plateau", BESIROGLU, sweep(2e18, 2e20, 5, 9, 20), plateau(15, 0.5), 0.003),
        Condition("one bad budget", BESIROGLU, sweep(1e18, 1e20, 6, 7, 6), bad_budget(4, 0.03), 0.003),
    ),
    "held": (
        Condition("Gaussian", BESIROGLU, sweep(2e18, 1e20, 6, 5, 5), gaussian, 0.0025),
        Condition("Gaussian, flat surface", FLATTER, sweep(1e18, 1e21, 5, 8, 8), gaussian, 0.008),
        Condition("Gaussian, wide", STEEP, sweep(1e18, 1e20, 5, 9, 24), gaussian, 0.004),
        Condition("Gaussian, ladder", CHINCHILLA, ladder(6, 6), gaussian, 0.004),
        Condition(
            "Gaussian, coupled truth", _coupled(1.6, 0.45, 0.42, 0.7), sweep(1e18, 1e20, 5, 8, 8), gaussian, 0.004
        ),
        Condition("proportional", UNEVEN, sweep(1e18, 1e20, 5, 6, 6), proportional, 0.012),
        Condition("t3", UNEVEN, sweep(1e18, 1e20, 6, 7, 8), student, 0.008),
        Condition("outliers", STEEP, sweep(1e18, 3e20, 6, 6, 8), outliers, 0.004),
        Condition("outliers, irregular", CHINCHILLA, irregular(36), outliers, 0.006),
        Condition("follows N", BESIROGLU, sweep(1e18, 1e20, 5, 7, 8), follows(0.4), 0.002),
        Condition("undertuned ends", BESIROGLU, sweep(1e18, 1e20, 5, 8, 8), undertuned_ends(0.05), 0.003),
        Condition("undertuned above N*", UNEVEN, sweep(1e18, 1e20, 6, 8, 8), undertuned(0.015), 0.003),
        Condition("plateau", CHINCHILLA, sweep(1e18, 1e20, 5, 9, 24), plateau(8, 0.8), 0.003),
        Condition("one bad budget", STEEP, sweep(1e18, 1e20, 5, 8, 6), bad_budget(1, 0.02), 0.003),
    ),
}


def draw(condition: Condition, seed: int, sets: int) -> tuple[Runs, Array]:
    """Return a design and the losses of every data set, shape (sets, n)."""
    rng = np.random.default_rng([seed, *condition.name.encode()])
    n, c = condition.design(condition.truth, rng)
    exact = condition.truth.loss(n, c / 6 / n)
    budget = np.unique(np.round(np.log(c), 6), return_inverse=True)[1]
    above = np.log(n / condition.truth.best(c))
    runs = Runs(n, c / 6 / n, c, exact, exact - condition.truth.E, above, budget)
    losses = exact + condition.noise(rng, runs, (sets, n.size), condition.sigma)
    return runs, np.maximum(losses, 1e-3)


def fitted(name: str, table: lawful.Runs) -> Surface:
    """Fit by one method; ``robust`` is the default without its threshold."""
    threshold = steady.MOVED
    steady.MOVED = -1.0 if name == "robust" else threshold
    try:
        found: Surface = lawful.fit(table, **METHODS[name]).surface
    finally:
        steady.MOVED = threshold
    return found


def wasted(condition: Condition, seed: int, sets: int) -> dict[str, float]:
    """Mean percentage of compute wasted, by method."""
    runs, losses = draw(condition, seed, sets)
    target = TIMES * float(runs.C.max())
    total = dict.fromkeys(METHODS, 0.0)
    for row in losses:
        table = lawful.Runs.from_arrays(runs.N, runs.D, row, C=runs.C)
        for name in METHODS:
            with np.errstate(all="ignore"):
                log_n = np.log(fitted(name, table).optimum(target).params)
            total[name] += 100 * condition.truth.waste(float(log_n), target) / sets
    return total


def summary(rows: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Geometric mean against squares and against the best of the others, and the worst of both, by method."""
    found = {}
    plain = [name for name in METHODS if name != "default"]
    for name in METHODS:
        squares = np.array([row[name] / row["squares"] for row in rows.values()])
        best = np.array([row[name] / min(row[other] for other in plain) for row in rows.values()])
        calm = np.array([row[name] / row["squares"] for key, row in rows.items() if key.startswith("Gaussian")])
        found[name] = {
            "of squares, geometric mean": float(np.exp(np.log(squares).mean())),
            "of the best, worst": float(best.max()),
            "of squares where Gaussian, worst": float(calm.max()),
        }
    return found


def main() -> None:
    """Run one half of the conditions and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("half", choices=CONDITIONS)
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows: dict[str, dict[str, float]] = {}
    print(f"{'mean % wasted':<26}" + "".join(f"{name:>16}" for name in METHODS))
    for condition in CONDITIONS[given.half]:
        began = time.perf_counter()
        row = wasted(condition, SEEDS[given.half] if given.seed is None else given.seed, given.sets)
        rows[condition.name] = row
        took = time.perf_counter() - began
        print(f"{condition.name:<26}" + "".join(f"{v:>16.4g}" for v in row.values()) + f"{took:>8.0f} s", flush=True)
        if given.json is not None:
            given.json.write_text(json.dumps({"rows": rows, "summary": summary(rows)}, indent=1))
    found = summary(rows)
    for key in found["squares"]:
        print(f"{key:<34}" + "".join(f"{name} {values[key]:.3g}  " for name, values in found.items()))


if __name__ == "__main__":
    main()
