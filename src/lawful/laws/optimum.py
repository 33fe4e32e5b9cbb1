"""The best model on budget lines where no closed form exists: every minimum found, the ends and kinks compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lawful.core.typing import Array

SCAN_POINTS = 401
"""Points of the scan in ln N that brackets the minima: some 0.1 apart, where laws bend over ln N of one or more."""

BISECTIONS = 80
COMPLEX_STEP = 1e-30

ROWS = 128
"""Budget lines scanned at a time, so that an array of a scan stays within half a megabyte."""


def minimise_lines(loss: Callable[[Any, Any, Any], Any], log_products: Array) -> Array:
    """
    Minimise a loss over models of one budget each, from one parameter to one token.

    With u = ln N a budget line is N = e^u, D = e^(top - u), top = ln(N D). A scan in u brackets every local
    minimum; each is closed in on by the sign of dL/du, found by a step along the imaginary axis, which
    at a kink changes without passing zero; the best of them and of the two ends is returned.
    Stationary points that are maxima are never candidates.

    Parameters
    ----------
    loss : callable
        From rows, N and D, arrays of one shape that may be complex, to the loss: rows say which
        line, and with it which coefficients, each entry belongs to.
    log_products : array, shape (R,)
        ln(N·D) that each budget buys, > 0.

    Returns
    -------
    array, shape (R,)
        ln N of the best models.

    Examples
    --------
    >>> u = minimise_lines(lambda rows, n, d: 4 / n**0.5 + 1 / d**0.5, np.log([1e12, 1e14]))
    >>> [f"{n:.9g}" for n in np.exp(u)]
    ['4000000', '40000000']
    """
    tops = np.asarray(log_products, float)
    return np.concatenate([_best(loss, tops, start) for start in range(0, tops.size, ROWS)] or [np.empty(0)])


def _best(loss: Callable[[Any, Any, Any], Any], tops: Array, start: int) -> Array:
    """Return ln N of the best models of up to ROWS lines."""
    rows = np.arange(start, min(start + ROWS, tops.size))
    share = np.linspace(0.0, 1.0, SCAN_POINTS)
    u = share * tops[rows, None]
    everywhere = np.broadcast_to(rows[:, None], u.shape)

    def at(here: Any, u: Any) -> Any:
        return loss(here, np.exp(u), np.exp(tops[here] - u))

    with np.errstate(over="ignore", invalid="ignore"):
        value = np.asarray(np.real(at(everywhere, u)), float)
    value = np.where(np.isfinite(value), value, np.inf)
    padded = np.pad(value, ((0, 0), (1, 1)), constant_values=np.inf)
    line, low = np.nonzero((value <= padded[:, :-2]) & (value <= padded[:, 2:]))
    here = rows[line]
    left, right = u[line, np.maximum(low - 1, 0)], u[line, np.minimum(low + 1, SCAN_POINTS - 1)]
    for _ in range(BISECTIONS):
        middle = 0.5 * (left + right)
        falling = np.imag(at(here, middle + 1j * COMPLEX_STEP)) < 0
        left, right = np.where(falling, middle, left), np.where(falling, right, middle)
    tried = np.stack([left, right, u[line, low]], axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        reached = np.real(at(np.broadcast_to(here[:, None], tried.shape), tried))
    best = np.full(rows.size, np.nan)
    least = np.full(rows.size, np.inf)
    for place, found, lowest in zip(line, tried, reached, strict=True):
        pick = int(np.argmin(lowest))
        if lowest[pick] < least[place]:
            best[place], least[place] = found[pick], lowest[pick]
    return best
