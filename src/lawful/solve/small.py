"""Small linear systems, one per row: symmetric solves and non-negative least squares, batched."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from lawful.core.typing import Array, BoolArray

LAPACK_ROWS = 48
"""Below this many systems one LAPACK call each is faster than elimination across rows."""

RIDGE = 1e-13
"""Added to unit diagonals: keeps a steering step finite where two columns coincide."""


def solve_spd(matrix: Array, rhs: Array, free: BoolArray | None = None) -> Array:
    """
    Solve small symmetric positive definite systems, one per row.

    Parameters
    ----------
    matrix : array, shape (R, m, m)
    rhs : array, shape (R, m)
    free : bool array, shape (R, m), optional
        Unknowns that may move; the others are returned as exactly 0.

    Returns
    -------
    array, shape (R, m)
    """
    m = rhs.shape[1]
    if m == 1 and free is None:
        return np.divide(rhs, matrix[:, 0], out=np.zeros_like(rhs), where=matrix[:, 0] > 0)
    if m == 2 and free is None:
        return _solve_pair(matrix, rhs)
    system, scale = _unit_diagonal(matrix, free)
    scaled = rhs * scale
    if len(rhs) < LAPACK_ROWS:
        return np.linalg.solve(system, scaled[:, :, None])[:, :, 0] * scale
    return eliminate(system, scaled)[0] * scale


def _solve_pair(matrix: Array, rhs: Array) -> Array:
    """Cramer's rule for two unknowns, with the same ridge; 0 where a system is empty."""
    first, off, second = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 1]
    determinant = first * second * (1.0 + 2 * RIDGE) - off * off
    out = np.empty_like(rhs)
    out[:, 0] = second * rhs[:, 0] - off * rhs[:, 1]
    out[:, 1] = first * rhs[:, 1] - off * rhs[:, 0]
    if (determinant > 0).all():
        out /= determinant[:, None]
        return out
    return np.divide(out, determinant[:, None], out=np.zeros_like(out), where=determinant[:, None] > 0)


def _unit_diagonal(matrix: Array, free: BoolArray | None) -> tuple[Array, Array]:
    """Scale rows and columns to a unit diagonal (plus the ridge); held unknowns decouple."""
    diagonal = matrix.diagonal(axis1=1, axis2=2)
    usable = diagonal > 0
    if free is not None:
        usable &= free
    scale = usable / np.sqrt(np.where(usable, diagonal, 1.0))
    system = matrix * (scale[:, :, None] * scale[:, None, :])
    k = np.arange(scale.shape[1])
    system[:, k, k] = 1.0 + RIDGE
    return system, scale


def inverse_spd(matrix: Array, free: BoolArray | None = None) -> Array:
    """Inverse of each small system, with zero rows and columns for held unknowns."""
    system, scale = _unit_diagonal(matrix, free)
    if len(system) < LAPACK_ROWS:
        inverse = np.linalg.inv(system)
    else:
        inverse, _ = eliminate(system, np.broadcast_to(np.eye(scale.shape[1]), system.shape))
    return np.asarray(inverse * (scale[:, :, None] * scale[:, None, :]))


def eliminate(matrix: Array, rhs: Array) -> tuple[Array, Array]:
    """
    Gaussian elimination with the rows along the last axis.

    For many small systems this is several times faster than one LAPACK call per
    system, and the pivots tell which systems are positive definite.

    Parameters
    ----------
    matrix : array, shape (R, m, m)
        Symmetric systems.
    rhs : array, shape (R, m) or (R, m, k)

    Returns
    -------
    solution : array, shaped as ``rhs``
    pivot : array, shape (R,)
        Smallest pivot of each row; positive where the system is positive definite.
    """
    a = np.ascontiguousarray(matrix.transpose(1, 2, 0))
    b = np.ascontiguousarray(np.moveaxis(rhs, 0, -1))
    m = len(b)
    smallest = np.full(b.shape[-1], np.inf)
    for k in range(m):
        np.minimum(smallest, a[k, k], out=smallest)
        pivot = 1.0 / np.where(a[k, k] == 0.0, RIDGE, a[k, k])
        a[k, k + 1 :] *= pivot
        b[k] *= pivot
        if k + 1 < m:
            below = a[k + 1 :, k]
            a[k + 1 :, k + 1 :] -= below[:, None] * a[k, None, k + 1 :]
            b[k + 1 :] -= (below if b.ndim == 2 else below[:, None]) * b[k]
    for k in range(m - 2, -1, -1):
        row = a[k, k + 1 :]
        b[k] -= ((row if b.ndim == 2 else row[:, None]) * b[k + 1 :]).sum(axis=0)
    return np.moveaxis(b, -1, 0), smallest


def nonnegative(gram: Array, moment: Array, free: BoolArray) -> Array:
    """
    Minimise ``c'Gc/2 - m'c`` over ``c >= 0``, one small problem per row, exactly.

    The free solution is tried first; where a sign fails, all subsets of the
    columns are, and the best feasible one is taken.

    Parameters
    ----------
    gram : array, shape (R, m, m)
    moment : array, shape (R, m)
    free : bool array, shape (m,)
        Columns that take part; the others stay 0.

    Returns
    -------
    array, shape (R, m)
    """
    full = bool(free.all())
    c = solve_spd(gram, moment, None if full else np.broadcast_to(free, moment.shape))
    bad = np.flatnonzero((c < 0).any(axis=1))
    if bad.size:
        c[bad] = best_subset(gram[bad], moment[bad], free)
    return c


def best_subset(gram: Array, moment: Array, free: BoolArray) -> Array:
    """Best non-negative combination among all proper subsets of the free columns, (R, m)."""
    columns = np.flatnonzero(free).tolist()
    diagonal = gram.diagonal(axis1=1, axis2=2)
    scale = np.divide(1.0, np.sqrt(diagonal), out=np.zeros_like(diagonal), where=(diagonal > 0) & free)
    best, wish = np.zeros_like(moment), np.maximum(moment * scale, 0.0).max(axis=1)
    for size in range(1, len(columns)):
        for subset in combinations(columns, size):
            index = list(subset)
            candidate = np.zeros_like(best)
            candidate[:, index] = solve_spd(gram[:, index][:, :, index], moment[:, index])
            # The answer is the one feasible subset whose other columns wish for no more (Karush, Kuhn and Tucker). Its
            # slopes tell it from a neighbour long after their sums of squares agree to rounding.
            slope = (moment - (gram @ candidate[:, :, None])[:, :, 0]) * scale
            slope[:, index] = 0.0
            wished = np.maximum(slope, 0.0).max(axis=1)
            better = (wished < wish) & (candidate >= 0).all(axis=1)
            best = np.where(better[:, None], candidate, best)
            wish = np.where(better, wished, wish)
    return best
