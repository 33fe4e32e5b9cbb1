"""Kaplan against Chinchilla: which parameters are counted decides the exponent (Pearce & Song 2024)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lawful.laws.catalogue_kaplan import OMEGA, total_params
from lawful.laws.law import Coefficients

KAPLAN_SIZES = (2.9, 9.2, 20)
KAPLAN_BUDGETS = (12.95, 20.7, 100)
"""Kaplan's range as decades and counts: non-embedding parameters, and FLOPs without embeddings."""


def matched_budget(k: Coefficients, params: ArrayLike, omega: float = OMEGA) -> Any:
    """
    Non-embedding FLOPs 6ND at which N non-embedding parameters are optimal, under Chinchilla's law in total ones.

    Parameters
    ----------
    k : mapping
        Chinchilla's E, A, B, alpha, beta in total parameters.
    params : array_like
        Non-embedding parameters.
    omega : float
        Of N_total = N + omega N^(1/3).

    Examples
    --------
    >>> print(f"{matched_budget(lawful.Surface.named('besiroglu').coefficients, 1e9):.4g}")
    1.548e+20
    """
    n = np.asarray(params, float)
    alpha, beta = k["alpha"], k["beta"]
    third = omega * np.cbrt(n)
    return (
        6
        * n
        * (n + third / 3) ** (-1 / beta)
        * (n + third) ** ((1 + alpha) / beta)
        * (beta * k["B"] / (alpha * k["A"])) ** (1 / beta)
    )


def local_exponent(k: Coefficients, params: ArrayLike, omega: float = OMEGA) -> Any:
    """
    Local exponent g = d ln N* / d ln C in non-embedding counts; it is not monotone in N.

    Examples
    --------
    >>> k = lawful.Surface.named("besiroglu").coefficients
    >>> np.round(local_exponent(k, [1e6, 1e7, 1e8, 1e9]), 3).tolist()
    [0.963, 0.853, 0.613, 0.535]
    """
    x = np.asarray(params, float) ** (2 / 3)
    alpha, beta = k["alpha"], k["beta"]
    inverse = 1 - (x + omega / 9) / (x + omega / 3) / beta + (1 + alpha) / beta * (x + omega / 3) / (x + omega)
    return 1 / inverse


def exponent_limits(k: Coefficients) -> tuple[float, float]:
    """Return g at the smallest and at the largest scales: beta/(alpha/3+beta) and beta/(alpha+beta)."""
    return float(k["beta"] / (k["alpha"] / 3 + k["beta"])), float(k["beta"] / (k["alpha"] + k["beta"]))


def kaplan_slope(
    k: Coefficients,
    omega: float = OMEGA,
    sizes: tuple[float, float, int] = KAPLAN_SIZES,
    budgets: tuple[float, float, int] = KAPLAN_BUDGETS,
) -> float:
    """
    Exponent that a sweep over Kaplan's range sees under Chinchilla's law, counting non-embedding parameters.

    At every budget the best of the sizes is taken, and a line is fitted to log N on log C.

    Examples
    --------
    >>> for name in ("besiroglu", "hoffmann"):
    ...     print(name, f"{kaplan_slope(lawful.Surface.named(name).coefficients):.3f}")
    besiroglu 0.775
    hoffmann 0.741
    """
    n, c = np.logspace(*sizes), np.logspace(*budgets)
    best = n[np.argmin(losses_at(k, n[None], c[:, None], omega), axis=1)]
    return float(np.polyfit(np.log(c), np.log(best), 1)[0])


def losses_at(k: Coefficients, params: ArrayLike, budget: ArrayLike, omega: float = OMEGA) -> Any:
    """Loss of N non-embedding parameters trained with C non-embedding FLOPs."""
    n, c = np.asarray(params, float), np.asarray(budget, float)
    tokens = c / (6 * n)
    return k["E"] + k["A"] * total_params(n, omega) ** -k["alpha"] + k["B"] * tokens ** -k["beta"]


PORIAN = (
    ("reproduce Kaplan (no head FLOPs, long warm-up)", 0.835, (0.824, 0.846), 3.03e12, 0.864),
    ("count the output head's FLOPs", 0.707, (0.691, 0.717), 7.87e11, 0.699),
    ("shorten the warm-up with size", 0.602, (0.591, 0.617), 2.92e11, 0.603),
    ("match the cosine horizon to the budget", 0.572, (0.560, 0.589), 1.83e11, 0.574),
    ("tune learning rate, batch and AdamW's beta2", 0.497, (0.491, 0.505), 7.69e10, 0.519),
)
"""Porian et al. 2024 (arXiv:2406.19146): step, exponent on RefinedWeb with its 95% interval, N* at 5.88e23
FLOPs, exponent on OpenWebText2."""

PORIAN_LINES = {"tuned": (0.118926483975, 0.4969), "kaplan": (4.2319659184966e-8, 0.8353)}
"""Their fitted N*(C) = n0 C^a on RefinedWeb: last and first step."""
