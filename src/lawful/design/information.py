"""What runs tell about a decision: Fisher information of the Chinchilla law. Arrays only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lawful.core.typing import AnyArray, Array
from lawful.laws.surface import Optima, Surface

DECISIONS = ("params", "loss")
"""What a sweep is planned for: ln N* (and with it ln D*), or the loss there, at the target budget."""


class Centre(NamedTuple):
    """Means of ln N and ln D, around which A and B are expressed so that the information is well conditioned."""

    log_n: float
    log_d: float


def sensitivities(surface: Surface, params: Array, tokens: Array, centre: Centre) -> Array:
    """
    Derivatives of the loss by (E, ln A', ln B', alpha, beta) at every run, shape (n, 5).

    A' and B' are the terms' sizes at the centre, so their logarithms and the exponents are nearly orthogonal.
    """
    in_n = surface["A"] * params ** -surface["alpha"]
    in_d = surface["B"] * tokens ** -surface["beta"]
    by_alpha, by_beta = -in_n * (np.log(params) - centre.log_n), -in_d * (np.log(tokens) - centre.log_d)
    return np.stack([np.ones_like(in_n), in_n, in_d, by_alpha, by_beta], axis=-1)


def decision_slope(surface: Surface, target: float, decision: str, centre: Centre) -> Array:
    """Derivatives of ln N* or of L* at a target budget by the same five, shape (5,)."""
    best = surface.optimum(target)
    if decision == "loss":
        # At the optimum a change of N* does not change the loss, so only the direct effect is left.
        return np.asarray(sensitivities(surface, np.array([best.params]), np.array([best.tokens]), centre)[0])
    alpha, beta = surface["alpha"], surface["beta"]
    total, log_g = alpha + beta, float(Optima.of(surface.coefficients).log_g)
    log_nd = float(np.log(surface.cost.product(target)))
    by_alpha = (1 / alpha - log_g - beta * log_nd / total) / total + centre.log_n / total
    by_beta = (-1 / beta - log_g + alpha * log_nd / total) / total - centre.log_d / total
    return np.array([0.0, 1 / total, -1 / total, by_alpha, by_beta])


def information(rows: Array, counts: AnyArray | None = None) -> Array:
    """Fisher information of runs with unit noise, shape (5, 5), from sensitivities, shape (n, 5)."""
    weighted = rows if counts is None else rows * counts[:, None]
    return np.asarray(rows.T @ weighted)


def variance(information_: Array, slope: Array) -> float:
    """Variance of a decision for unit noise (infinite where the runs do not determine it)."""
    scale = np.sqrt(np.maximum(np.diag(information_), 1e-300))
    scaled = information_ / np.outer(scale, scale)
    try:
        found = float((slope / scale) @ np.linalg.solve(scaled, slope / scale))
    except np.linalg.LinAlgError:
        return float("inf")
    return found if found > 0 else float("inf")


def anchored(surface: Surface, alpha: float, beta: float, budget: float) -> Surface:
    """
    Give a surface other exponents, so that its two terms keep their sizes at the optimum of a budget.

    Someone whose exponents are wrong still knows roughly what losses look like where they have trained.
    """
    best = surface.optimum(budget)
    ratio_n, ratio_d = alpha - surface["alpha"], beta - surface["beta"]
    moved = {
        "A": surface["A"] * float(best.params) ** ratio_n,
        "B": surface["B"] * float(best.tokens) ** ratio_d,
        "alpha": alpha,
        "beta": beta,
    }
    return Surface({**surface.coefficients, **moved}, surface.law, surface.cost)


def around(surface: Surface, spread: float, budget: float) -> tuple[Surface, ...]:
    """
    Nine surfaces that stand for what is not known yet: both exponents lower, as given, and higher.

    Three-point Gauss-Hermite nodes of log-normal exponents; their criteria are averaged with equal weight, which
    leans towards the doubtful ones.
    """
    if spread == 0:
        return (surface,)
    steps = np.exp(np.sqrt(1.5) * spread * np.array([-1.0, 0.0, 1.0]))
    return tuple(
        anchored(surface, surface["alpha"] * float(i), surface["beta"] * float(j), budget) for i in steps for j in steps
    )
