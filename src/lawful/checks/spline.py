"""Each point of a curve against an Akima spline through the others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lawful.core.typing import Array, IntArray

MANY = 100
"""A budget with more runs than this is judged by the local formula of the spline, which is much faster."""

REACH = 3
"""Runs on either side that an Akima spline sees."""

STRAIGHT = 1e-9
"""Change of slope, relative to the largest, below which an Akima spline takes the plain mean of slopes."""


def left_out(x: Array, y: Array) -> Array:
    """
    Subtract from each point what an Akima spline through the others predicts there.

    Parameters
    ----------
    x : array, shape (n,)
        Strictly ascending, n ≥ 3. Ends are extrapolated.
    y : array, shape (n,)
        Values.

    Returns
    -------
    array, shape (n,)
        Observed minus predicted.

    Examples
    --------
    >>> x = np.array([0.0, 1.0, 2.0, 4.0, 5.0])
    >>> left_out(x, 2 * x).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0]
    """
    from scipy.interpolate import Akima1DInterpolator

    residual = np.empty(x.size)
    one_by_one = np.arange(x.size)
    if x.size > MANY:
        inner = one_by_one[REACH:-REACH]
        residual[inner] = y[inner] - _akima_between(x, y, inner)
        one_by_one = np.delete(one_by_one, inner)
    for i in one_by_one:
        near = slice(max(0, int(i) - MANY), int(i) + MANY + 1)
        others = np.delete(np.arange(x.size)[near], i - near.start)
        spline = _line if others.size == 2 else Akima1DInterpolator
        residual[i] = y[i] - spline(x[others], y[others])(x[i], extrapolate=True)
    return residual


def _line(x: Array, y: Array) -> Callable[..., float]:
    """Return the spline through two points, a line: SciPy before 1.16 took slopes there from memory never written."""
    slope = (y[1] - y[0]) / (x[1] - x[0])
    return lambda at, **_: float(y[0] + slope * (at - x[0]))


def _akima_between(x: Array, y: Array, inner: IntArray) -> Array:
    """
    Predict inner points by the Akima spline through the others, all at once.

    The spline is local: it sees three neighbours on either side and nothing else.
    """
    window = inner[:, None] + np.array([-3, -2, -1, 1, 2, 3])
    slope = (np.diff(y[window], axis=1) / np.diff(x[window], axis=1)).T
    bend = np.abs(np.diff(slope, axis=0))
    tangent = []
    for k in (0, 1):  # at the left and at the right neighbour
        total = bend[k + 2] + bend[k]
        with np.errstate(divide="ignore", invalid="ignore"):
            weighted = (bend[k + 2] * slope[k + 1] + bend[k] * slope[k + 2]) / total
        straight = total <= STRAIGHT * bend.max()
        tangent.append(np.where(straight, (slope[k] + slope[k + 3]) / 2, weighted))
    width = x[inner + 1] - x[inner - 1]
    s = (x[inner] - x[inner - 1]) / width
    left = (1 + 2 * s) * (1 - s) ** 2 * y[inner - 1] + s * (1 - s) ** 2 * width * tangent[0]
    right = s**2 * (3 - 2 * s) * y[inner + 1] + s**2 * (s - 1) * width * tangent[1]
    return np.asarray(left + right)
