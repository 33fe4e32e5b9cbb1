"""The best model on a budget line where no closed form exists: every minimum found, the ends and kinks compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lawful.core.typing import Array

SCAN_POINTS = 4001
"""Points of the scan in ln N that brackets the minima."""

BISECTIONS = 80
COMPLEX_STEP = 1e-30


def minimise_line(loss: Callable[[Any, Any], Any], product: float) -> tuple[float, float]:
    """
    Minimise a loss over models of one budget, N·D = product, from one parameter to one token.

    A scan brackets every local minimum; each is closed in on by the sign of the
    derivative, which at a kink changes without passing zero; the best of them and of the two
    ends is returned. Stationary points that are maxima are never candidates.

    Parameters
    ----------
    loss : callable
        From N and D, arrays that may be complex, to the loss.
    product : float
        N·D that the budget buys, > 1.

    Returns
    -------
    params, tokens : float

    Examples
    --------
    >>> n, d = minimise_line(lambda n, d: 4 / n**0.5 + 1 / d**0.5, 1e12)
    >>> print(f"{n:.9g} {d:.9g}")
    4000000 250000
    """
    top = float(np.log(product))

    def slope(u: Array) -> Array:
        x = u + 1j * COMPLEX_STEP
        return np.asarray(np.imag(loss(np.exp(x), np.exp(top - x))) / COMPLEX_STEP)

    u = np.linspace(0.0, top, SCAN_POINTS)
    with np.errstate(over="ignore"):
        value = np.asarray(np.real(loss(np.exp(u), np.exp(top - u))), float)
    padded = np.concatenate([[np.inf], value, [np.inf]])
    low = np.flatnonzero((value <= padded[:-2]) & (value <= padded[2:]))
    left, right = u[np.maximum(low - 1, 0)], u[np.minimum(low + 1, SCAN_POINTS - 1)]
    for _ in range(BISECTIONS):
        middle = 0.5 * (left + right)
        falling = slope(middle) < 0
        left, right = np.where(falling, middle, left), np.where(falling, right, middle)
    best = np.concatenate([left, right, u[low]])
    reached = np.real(loss(np.exp(best), np.exp(top - best)))
    at = float(best[int(np.argmin(reached))])
    return float(np.exp(at)), float(np.exp(top - at))
