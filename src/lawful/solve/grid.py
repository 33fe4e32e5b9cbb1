"""
The grid stage: every combination of exponents scored at once.

Every entry of the normal equations depends on one or two exponents only, so a whole grid
is a few matrix products.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, BoolArray, IntArray
from lawful.solve.small import nonnegative, solve_spd

GRID_SIZE = {1: 48, 2: 24, 3: 12, 4: 7}
"""Grid points per exponent, by the number of exponents."""

HOPELESS = 2.0
"""Grid points whose value without signs is this much above the best one are not worth a start."""


class Linear(NamedTuple):
    """
    What is known of the linear coefficients before the fit.

    Attributes
    ----------
    lower, upper : array, shape (m,)
        Bounds; equal where a coefficient is pinned. ``lower`` is 0 unless pinned.
    """

    lower: Array
    upper: Array

    @classmethod
    def free(cls, m: int) -> Linear:
        """Bounds of m coefficients that are merely non-negative."""
        return cls(np.zeros(m), np.full(m, np.inf))

    @property
    def pinned(self) -> BoolArray:
        """Mask of the coefficients whose bounds coincide, shape (m,)."""
        return np.asarray(self.lower == self.upper)


class Grid(NamedTuple):
    """
    Every combination of grid points of the exponents, the last varying fastest.

    Attributes
    ----------
    axes : tuple of array
        Grid of each exponent, evenly spaced in its logarithm; one point where it is pinned.
    at : tuple of int array, shape (Q,)
        Position of each combination on each axis.
    theta : array, shape (Q, p)
    """

    axes: tuple[Array, ...]
    at: tuple[IntArray, ...]
    theta: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return tuple(a.size for a in self.axes)


@lru_cache(maxsize=64)
def _make_grid(box: tuple[tuple[float, float], ...], size: int) -> Grid:
    axes = tuple(np.geomspace(lo, hi, size) if hi > lo else np.array([lo]) for lo, hi in box)
    index = tuple(i.ravel() for i in np.indices([a.size for a in axes]))
    return Grid(axes, index, np.stack([a[i] for a, i in zip(axes, index, strict=True)], axis=1))


def make_grid(box: Array, size: int | None = None) -> Grid:
    """Grid over a box of exponents, shape (p, 2); kept from one call to the next."""
    return _make_grid(tuple((float(lo), float(hi)) for lo, hi in box), size or GRID_SIZE.get(len(box), 5))


def grid_values(x: Array, y: Array, w: Array, grid: Grid, linear: Linear) -> Array:
    """
    Score every grid point: weighted sum of squares of the best non-negative combination.

    Parameters
    ----------
    x : array, shape (p, n)
        Centred log columns.
    y : array, shape (B, n)
        Observed losses, one row per problem.
    w : array, shape (n,)
        Row weights, shared by all problems.
    grid : Grid
        Of the exponents.
    linear : Linear
        Pinned coefficients are honoured; other upper bounds are left to the refinement.

    Returns
    -------
    array, shape (B, Q)
    """
    axes, index, theta = grid
    total, p = w.sum(), len(axes)
    # Columns and losses are centred first: the products then keep the digits that the
    # constant would swamp.
    columns = [np.exp(-np.outer(a, x[k])) for k, a in enumerate(axes)]
    means = [c @ w / total for c in columns]
    columns = [c - mean[:, None] for c, mean in zip(columns, means, strict=True)]
    weighted = [c * w for c in columns]
    mean_y = y @ w / total
    y = y - mean_y[:, None]
    # With everything centred E is eliminated, and G c = m remains for A and B: E = mean(y) - c · mean(columns).
    square = np.einsum("bn,bn,n->b", y, y, w)
    gram = np.empty((theta.shape[0], p, p))
    for k in range(p):
        for j in range(k, p):
            gram[:, k, j] = gram[:, j, k] = (weighted[k] @ columns[j].T)[index[k], index[j]]
    moment = np.stack([(y @ weighted[k].T)[:, index[k]] for k in range(p)], axis=2)
    mean = np.stack([means[k][index[k]] for k in range(p)], axis=1)
    if linear.pinned.any():
        value = np.full(moment.shape[:2], -np.inf)
        bad = np.ones(moment.shape[:2], dtype=bool)
    else:
        # phi(theta) = sum w (y - mean)² - c · m, the part of the scatter that the columns explain taken off.
        c = np.stack([solve_spd(gram, row) for row in moment])
        value = square[:, None] - (c * moment).sum(axis=2)
        bad = (c < 0).any(axis=2) | (mean_y[:, None] < (c * mean).sum(axis=2))
        # The signs cost most, so points that would be hopeless even without them are left out.
        good = np.where(bad, np.inf, value).min(axis=1, keepdims=True)
        hopeless = bad & (value > HOPELESS * good)
        value[hopeless] = np.inf
        bad &= ~hopeless
    if bad.any():
        at_b, at_q = np.nonzero(bad)
        # A sign fails, or a coefficient is pinned: the constant comes back as a column of its own. The products of the
        # plain columns are those of the centred ones plus the total weight times those of the means.
        full = np.empty((at_q.size, p + 1, p + 1))
        full[:, 0, 0] = total
        full[:, 0, 1:] = full[:, 1:, 0] = total * mean[at_q]
        full[:, 1:, 1:] = gram[at_q] + total * mean[at_q, :, None] * mean[at_q, None, :]
        against = np.empty((at_q.size, p + 1))
        against[:, 0] = total * mean_y[at_b]
        against[:, 1:] = moment[at_b, at_q] + total * mean[at_q] * mean_y[at_b, None]
        left = square[at_b] + total * mean_y[at_b] ** 2
        # What pinned coefficients explain is taken off the losses: |y - F k|² = |y|² - 2 k·F'y + k·F'F k.
        known = np.where(linear.pinned, linear.lower, 0.0)
        left = left - 2 * against @ known + full @ known @ known
        against = against - full @ known
        c = nonnegative(full, against, ~linear.pinned)
        value[bad] = left - 2 * (c * against).sum(axis=1) + (c * (full @ c[:, :, None])[:, :, 0]).sum(axis=1)
    return value


def local_minima(value: Array, shape: tuple[int, ...], most: int) -> IntArray:
    """
    Indices of the lowest local minima of one grid, best first.

    Parameters
    ----------
    value : array, shape (Q,)
    shape : tuple of int
        Lengths of the axes.
    most : int
        How many to return at most.

    Returns
    -------
    int array, shape (k,), 1 <= k <= most
    """
    grid = value.reshape(shape)
    padded = np.full([n + 2 for n in shape], np.inf)
    padded[(slice(1, -1),) * len(shape)] = grid
    keep = np.ones(shape, dtype=bool)
    for axis in range(len(shape)):
        for step, strict in ((0, True), (2, False)):
            window = tuple(slice(step if a == axis else 1, (step if a == axis else 1) + n) for a, n in enumerate(shape))
            # Strict on one side only, so that of two equal neighbours one is a minimum.
            keep &= (grid < padded[window]) if strict else (grid <= padded[window])
    found = np.flatnonzero(keep.ravel())
    if found.size == 0:
        found = np.array([int(np.argmin(value))])
    return found[np.argsort(value[found], kind="stable")[:most]]
