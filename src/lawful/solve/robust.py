"""Starts for robust and logarithmic objectives: continuation in delta, and a robust grid."""

from __future__ import annotations

import numpy as np

from lawful.core.typing import Array
from lawful.laws.law import Differentiated
from lawful.solve import newton
from lawful.solve.grid import Linear, local_minima, make_grid
from lawful.solve.small import solve_spd

GRID_POINTS = 14
"""Points per exponent of the robust grid."""

GRID_ELEMENTS = 400_000
"""Grid points times runs above which the robust grid is left out: with thousands of runs the
landscape is smooth, and the squared starts lead to the optimum."""

REWEIGHTINGS = 6


def robust_grid(
    x: Array, y: Array, w: Array, box: Array, linear: Linear, delta: float, *, log: bool, most: int
) -> Array:
    """
    Local minima of the robust objective over a coarse grid of exponents.

    At fixed exponents the problem is convex; a few reweightings with a narrowing delta
    come close enough to tell the basins apart.

    Parameters
    ----------
    x : array, shape (p, n)
        Centred log columns.
    y : array, shape (n,)
        Losses.
    w : array, shape (n,)
        Weights.
    box : array, shape (p, 2)
        Bounds of the exponents.
    linear : Linear
        Bounds of the coefficients.
    delta : float
        Width of Huber's quadratic part.
    log : bool
        Whether residuals are relative (the linearisation of log residuals).
    most : int
        Starts wanted.

    Returns
    -------
    array, shape (k, q)
        Starts in solver units; none where the grid would be too large.
    """
    p, n = x.shape
    size = GRID_POINTS if p <= 2 else 5
    grid = make_grid(box, size)
    q = len(grid.theta)
    if q * n > GRID_ELEMENTS:
        return np.empty((0, 2 * p + 1))
    # ln y - ln f is (y - f)/y to first order: relative residuals keep the problem linear in E, A and B.
    unit = y if log else np.ones(n)
    basis = np.empty((q, p + 1, n))
    basis[:, 0] = 1.0
    np.exp(-grid.theta[:, :, None] * x, out=basis[:, 1:])
    basis /= unit
    # Pinned coefficients explain their part first; the others fit what is left.
    known = np.where(linear.pinned, linear.lower, 0.0)
    target = y / unit - np.einsum("m,qmn->qn", known, basis) if linear.pinned.any() else (y / unit)[None]
    free = None if not linear.pinned.any() else np.broadcast_to(~linear.pinned, (q, p + 1))
    transposed = basis.transpose(0, 2, 1)
    robust = np.broadcast_to(w, (q, n))
    for step in range(REWEIGHTINGS):
        # Reweighted least squares: the weight delta/|r| outside delta makes squares touch Huber's loss where it is now.
        # Signs are cut off rather than solved for, which is enough to rank starts.
        weighted = basis * robust[:, None]
        c = solve_spd(weighted @ transposed, (weighted @ np.broadcast_to(target, (q, n))[:, :, None])[:, :, 0], free)
        c = np.maximum(c, 0.0)
        residual = np.abs(target - (c[:, None, :] @ basis)[:, 0])
        # From the spread of all residuals down to delta, so that the first rounds do not lock onto a few runs.
        width = np.maximum(delta, np.sqrt((residual**2).mean(axis=1, keepdims=True)) * 0.3**step)
        robust = w * np.minimum(1.0, width / np.maximum(residual, 1e-300))
    value = (w * np.where(residual <= delta, 0.5 * residual**2, delta * (residual - 0.5 * delta))).sum(axis=1)
    chosen = local_minima(value, grid.shape, most)
    return np.concatenate([c[chosen] + known, grid.theta[chosen]], axis=1)


def narrow(
    model: Differentiated,
    y: Array,
    w: Array,
    z: Array,
    lower: Array,
    upper: Array,
    delta: float,
    gates: tuple[tuple[int, int], ...],
) -> Array:
    """Continue from squares to Huber's delta by tens, a few Newton steps at each width."""
    # At the root mean square residual Huber's loss is nearly the squares that the start minimises; the basin that they
    # lead to is followed while delta shrinks.
    width = float(np.sqrt(((y - model(z)[0]) ** 2).mean(axis=1)).max())
    while width > delta:
        z = newton.minimise(model, y, w, z, lower, upper, delta=width, gates=gates, tolerance=1e-3, max_iter=30).z
        width /= 10.0
    return z


def profile_starts(
    model: Differentiated,
    y: Array,
    w: Array,
    z: Array,
    lower: Array,
    upper: Array,
    delta: float | None,
    gates: tuple[tuple[int, int], ...],
) -> Array:
    """
    Scan every exponent of one answer with the rest minimised: starts of better basins, (k, q).

    The squared kernel does the same where an exponent is uncertain; a robust objective has
    more shallow basins, so here every exponent is scanned.
    """
    found = []
    for _, k in gates:
        if lower[k] == upper[k]:
            continue
        line = np.geomspace(lower[k], upper[k], SCAN_POINTS)
        rows, low, high = (np.repeat(v[None], line.size, axis=0) for v in (z, lower, upper))
        rows[:, k] = low[:, k] = high[:, k] = line
        out = newton.minimise(model, y, w, rows, low, high, delta=delta, gates=gates, tolerance=1e-3, max_iter=15)
        minima = local_minima(out.value, (line.size,), 3)
        found.append(out.z[minima])
    return np.concatenate(found) if found else np.empty((0, z.size))


SCAN_POINTS = 16
"""Points of a scan of one exponent."""


def distinct(theta: Array) -> Array:
    """Indices of rows whose exponents differ by more than 1e-3 from every earlier row."""
    keep: list[int] = []
    for i, row in enumerate(theta):
        if all(np.abs(row - theta[j]).max() > 1e-3 for j in keep):
            keep.append(i)
    return np.array(keep)
