r"""
Least-squares fits of separable laws, batched: arrays in, arrays out.

A separable law is ``f = c_0 + sum_k c_k exp(-theta_k x_k)`` with ``c >= 0`` and theta in
a box. Given theta the best c is a small non-negative least-squares problem, so only theta
is searched (variable projection; Golub & Pereyra 1973, Kaufman 1975).

From the local minima of a grid (:mod:`lawful.solve.grid`), :func:`refine` runs damped
Gauss-Newton on the projected residual, for many rows (starts, bootstrap weights, simulated
losses) at once. Normal equations only steer: the residual and its gradient are evaluated on
the columns themselves, so the point where the iteration stops is accurate to rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, BoolArray
from lawful.solve.grid import Grid, Linear, grid_values, local_minima, make_grid
from lawful.solve.small import best_subset, eliminate, inverse_spd, solve_spd
from lawful.solve.solved import Solved, pick, stack

CHUNK_BYTES = 1 << 22
"""Working set of one chunk of rows; large enough that NumPy's cost per call is shared by
hundreds of rows, small enough for the last-level cache."""

GAUSS_NEWTON_STEPS = 5
"""Iterations before the law's own curvature is added: rows with large residuals, on which
Gauss-Newton creeps, then finish quadratically, and the others are done by then."""

GRID_RUNS = 20_000
"""The grid only steers, so of more runs than this an evenly spaced part is scored."""

SECOND_LOOKS = 2
"""Rounds in which uncertain exponents of the best answer are scanned for a better basin."""

DOUBT = 0.1
"""Relative standard error of an exponent from which it is scanned."""

PROMISING = 1.5
"""A scanned minimum this much above the best value may still lie below it once refined."""


class _Projected(NamedTuple):
    """
    Everything known at one theta per row, for the projected problem in theta.

    ``gauss`` is Kaufman's approximation of its Hessian and ``exact`` adds the law's own
    curvature; ``gradient`` is the direction of descent.
    """

    value: Array
    linear: Array
    gauss: Array
    exact: Array
    gradient: Array


def _evaluate(x: Array, y: Array, w: Array | None, theta: Array, linear: Linear, *, newton: bool = False) -> _Projected:
    """Solve for the coefficients at theta and return the projected system."""
    rows, p = theta.shape
    m, n = p + 1, x.shape[1]
    # Bootstrap rows all start at one theta; their columns are then computed once.
    different = theta[:1] if rows > 1 and (theta == theta[0]).all() else theta
    # Rows of the basis: 1, the columns u_k = exp(-theta_k x_k), and x_k u_k, minus the slope of u_k in theta_k.
    # One product of it with its weighted self holds every entry that the projected problem needs.
    basis = np.empty((len(different), m + p, n))
    basis[:, 0] = 1.0
    np.exp(-different[:, :, None] * x, out=basis[:, 1:m])
    np.multiply(basis[:, 1:m], x, out=basis[:, m:])
    if len(different) < rows:
        basis = np.broadcast_to(basis, (rows, m + p, n))
    weighted = basis if w is None else basis * (w[:, None, :] if w.ndim == 2 else w)
    gram = weighted @ basis.transpose(0, 2, 1)
    level, free = gram[:, :m, :m], ~linear.pinned
    target = weighted[:, :m] @ (y[:, :, None] if y.ndim == 2 else y[:, None])
    if free.all():
        known, inverse = np.zeros(m), inverse_spd(level)
    else:
        known, inverse = np.where(free, 0.0, linear.lower), inverse_spd(level, np.broadcast_to(free, (rows, m)))
        target = target - (level @ known)[:, :, None]
    c = (inverse @ target)[:, :, 0]
    # Where the free solution breaks a sign, the best one with signs has some of the coefficients at 0 and solves the
    # normal equations of the others (at most 2^m - 1 subsets, so all are tried).
    bad = np.flatnonzero((c < 0).any(axis=1))
    if bad.size:
        c[bad] = best_subset(level[bad], target[bad, :, 0], free)
        inverse[bad] = inverse_spd(level[bad], c[bad] > 0)
    c += known
    residual = y - (c[:, None, :] @ basis[:, :m])[:, 0]
    pull = residual[:, :, None] if w is None else (residual * w)[:, :, None]
    value = (residual[:, None, :] @ pull)[:, 0, 0]
    moment = (basis @ pull)[:, :, 0]
    # One correction from the residual itself gives back the digits that the normal
    # equations lost; the gradient below takes it into account.
    correction = (inverse @ moment[:, :m, None])[:, :, 0]
    amount = c[:, 1:]
    # In (c, theta) the slopes are the columns and -c_k x_k u_k; eliminating c leaves p
    # unknowns. ``mixed`` is the block between them, with and without the law's curvature.
    mixed = gram[:, m:, :m] * -amount[:, :, None]
    square = gram[:, m:, m:] * (amount[:, :, None] * amount[:, None, :])
    gauss = square - mixed @ inverse @ mixed.transpose(0, 2, 1)
    gradient = -amount * moment[:, m:] - (mixed @ correction[:, :, None])[:, :, 0]
    if not newton:
        return _Projected(value, np.maximum(c + correction, 0.0), gauss, gauss, gradient)
    k = np.arange(p)
    # phi(theta) = min over c of S(c, theta), so its Hessian is S_tt - S_tc S_cc^-1 S_ct. Kaufman leaves out what the
    # residual multiplies: x_k u_k · r in S_tc and c_k x_k^2 u_k · r in S_tt. Both come back here.
    bent = mixed.copy()
    bent[:, k, 1 + k] += moment[:, m:]
    exact = square - bent @ inverse @ bent.transpose(0, 2, 1)
    exact[:, k, k] -= amount * ((basis[:, m:] * x) @ pull)[:, :, 0]
    return _Projected(value, np.maximum(c + correction, 0.0), gauss, exact, gradient)


def _step(state: _Projected, free: BoolArray, damping: Array, *, newton: bool) -> Array:
    """Damped Gauss-Newton step in theta, or Newton's where asked for and definite."""
    system = state.gauss.copy()
    np.einsum("rii->ri", system)[...] *= 1.0 + damping[:, None]
    step = solve_spd(system, state.gradient, None if free.all() else free)
    if not newton:
        return step
    # In units of sqrt(gauss_kk) the damping is relative in every exponent, however steep or flat the valley.
    k = np.arange(free.shape[1])
    unit = np.sqrt(np.maximum(state.gauss[:, k, k], 0.0))
    scale = np.divide(1.0, unit, out=np.zeros_like(unit), where=free & (unit > 0))
    system = state.exact * (scale[:, :, None] * scale[:, None, :])
    system[:, k, k] += np.where(scale > 0, damping[:, None], 1.0)
    exact, pivot = eliminate(system, state.gradient * scale)
    return np.where((pivot > 0)[:, None], exact * scale, step)


def refine(
    x: Array,
    y: Array,
    w: Array | None,
    theta: Array,
    box: Array,
    linear: Linear,
    *,
    tolerance: float = 1e-12,
    max_iter: int = 100,
) -> Solved:
    """
    Gauss-Newton on the projected residual with Levenberg damping, one row per start.

    Parameters
    ----------
    x : array, shape (p, n)
        Centred log columns.
    y : array, shape (n,) or (R, n)
        Losses, shared or one set per row.
    w : array, shape (n,) or (R, n), or None
        Weights, shared or one set per row; None for all ones.
    theta : array, shape (R, p)
        Starts, inside the box.
    box : array, shape (p, 2) or (R, p, 2)
        Bounds of the exponents, shared or per row.
    linear : Linear
        Bounds of the coefficients; non-negative or pinned.
    tolerance : float
        Largest step in an exponent at which a row has converged.
    max_iter : int
        Iterations after which a row is given up (``converged`` is then False).

    Returns
    -------
    Solved
    """
    rows, n = theta.shape[0], x.shape[1]
    chunk = max(1, CHUNK_BYTES // (8 * n * (2 * len(x) + 1) * 2))
    boxes = np.broadcast_to(box, (rows, len(x), 2))
    parts = []
    for start in range(0, rows, chunk):
        here = slice(start, start + chunk)
        y_part = y[here] if y.ndim == 2 else y
        w_part = w[here] if w is not None and w.ndim == 2 else w
        parts.append(_refine(x, y_part, w_part, theta[here], boxes[here], linear, tolerance, max_iter))
    return stack(parts)


def _refine(
    x: Array, y: Array, w: Array | None, theta: Array, box: Array, linear: Linear, tolerance: float, max_iter: int
) -> Solved:
    """Refine one chunk of rows; finished rows leave the working set."""
    rows = len(theta)
    alive, theta = np.arange(rows), theta.copy()
    lower, upper = box[:, :, 0], box[:, :, 1]
    best = _evaluate(x, y, w, theta, linear)
    # What no iteration improves is the start itself, which has not converged.
    z = np.concatenate([best.linear, theta], axis=1)
    value, gauss, converged = best.value.copy(), best.gauss.copy(), np.zeros(rows, bool)
    damping, last = np.full(rows, 1e-3), np.full(rows, np.inf)
    iteration = 0
    for iteration in range(1, max_iter + 1):
        pull = best.gradient
        # An exponent moves unless it is pushed against its bound, or its term is zero and phi does not depend on it.
        free = np.where(pull < 0, theta > lower, theta < upper) & (best.linear[:, 1:] > 0)
        newton = iteration > GAUSS_NEWTON_STEPS
        step = _step(best, free, damping, newton=newton)
        trial = np.minimum(np.maximum(theta + step, lower), upper)
        move = np.abs(trial - theta).max(axis=1)
        promised = (step * pull).sum(axis=1)
        new = _evaluate(x, y, w, trial, linear, newton=iteration >= GAUSS_NEWTON_STEPS)
        # Where a step promises less than the sum's own rounding, the sum cannot judge it; the step is better than none.
        last_digit = promised <= 5e-15 * best.value  # a sum of some hundred squares is that far off
        better = new.value <= np.where(last_digit, best.value * (1 + 1e-14), best.value)
        # The steps shrink at a steady rate, so the next one is foreseen and need not be made.
        ahead = move * np.minimum(move / last, 1.0)
        small = (move <= tolerance) | (better & (np.maximum(ahead, move * 1e-3) <= tolerance))
        small |= last_digit & (newton | (move <= 1e-9))
        stuck = ~better & ((promised <= 1e-9 * best.value) & (damping >= 1e2) | (damping > 1e12))
        if better.all():
            theta, best, damping = trial, new, np.maximum(damping * 0.1, 1e-12)
        else:
            theta = np.where(better[:, None], trial, theta)
            best = _Projected(*(pick(better, a, b) for a, b in zip(new, best, strict=True)))
            damping = np.where(better, np.maximum(damping * 0.1, 1e-12), np.maximum(damping * 10.0, 1e-3))
        done = small | stuck
        if done.any() or iteration == max_iter:
            leave = done | (iteration == max_iter)
            at = alive[leave]
            z[at] = np.concatenate([best.linear[leave], theta[leave]], axis=1)
            value[at], gauss[at], converged[at] = best.value[leave], best.gauss[leave], done[leave]
            stay = ~leave
            if not stay.any():
                break
            alive, theta, damping, move = alive[stay], theta[stay], damping[stay], move[stay]
            lower, upper = lower[stay], upper[stay]
            best = _Projected(*(a[stay] for a in best))
            y = y[stay] if y.ndim == 2 else y
            w = w[stay] if w is not None and w.ndim == 2 else w
        last = move
    return Solved(z, value, converged, iteration, gauss)


def fit_squares(
    x: Array,
    y: Array,
    w: Array | None,
    box: Array,
    linear: Linear,
    *,
    starts: int = 6,
    tolerance: float = 1e-12,
    max_iter: int = 100,
) -> Solved:
    """
    Cold fit of one problem: the best row of all refined local minima of the grid.

    Parameters
    ----------
    x : array, shape (p, n)
    y : array, shape (n,)
    w : array, shape (n,), or None
    box : array, shape (p, 2)
    linear : Linear
    starts : int
        Local minima of the grid that are refined.
    tolerance, max_iter
        See :func:`refine`.

    Returns
    -------
    Solved
        All refined rows, best first.
    """
    grid = make_grid(box)
    every = slice(None, None, -(-x.shape[1] // GRID_RUNS))
    weight = np.ones(x.shape[1]) if w is None else w
    value = grid_values(x[:, every], y[None, every], weight[every], grid, linear)
    chosen = local_minima(value[0], grid.shape, starts)
    rows = refine(x, y, w, grid.theta[chosen], box, linear, tolerance=tolerance, max_iter=max_iter).best_first()
    for _ in range(SECOND_LOOKS):
        again = _profile_starts(x, y, w, rows, grid, box, linear)
        if len(again) == 0:
            break
        more = refine(x, y, w, again, box, linear, tolerance=tolerance, max_iter=max_iter)
        rows = stack([rows, more]).best_first()
    return rows


def doubtful(rows: Solved, n: int, box: Array, linear: Linear) -> BoolArray:
    """
    Which exponents of the best row may have a better value elsewhere, shape (p,).

    Those with a relative standard error above :data:`DOUBT` (linearised, from n runs),
    and those whose term is zero, which is stationary anywhere.
    """
    moves = box[:, 0] < box[:, 1]
    q = int((~linear.pinned).sum() + moves.sum())
    spread = rows.value[0] / max(n - q, 1) * inverse_spd(np.asarray(rows.gauss)[:1])[0].diagonal()
    uncertain = (spread > (DOUBT * rows.theta[0]) ** 2) | (rows.linear[0, 1:] == 0)
    return np.asarray(uncertain & moves & (rows.value[0] > 0))


def _profile_starts(x: Array, y: Array, w: Array | None, rows: Solved, grid: Grid, box: Array, linear: Linear) -> Array:
    """
    Better basins that the grid was too coarse to see, shape (k, p).

    The valleys of these problems are long in one exponent and narrow in another, so a
    grid can miss a second minimum along the same valley. Every doubtful exponent is
    scanned with the others refined at each value.
    """
    found = []
    for k in np.flatnonzero(doubtful(rows, x.shape[1], box, linear)):
        line = np.repeat(rows.theta[:1], grid.axes[k].size, axis=0)
        line[:, k] = grid.axes[k]
        held = np.repeat(box[None], len(line), axis=0)
        held[:, k] = line[:, k, None]
        profile = refine(x, y, w, line, held, linear, tolerance=1e-3, max_iter=8)
        known = np.abs(rows.theta[:, None] - profile.theta[None]).max(axis=2).min(axis=0) < 1e-3
        minima = local_minima(profile.value, (len(line),), 4)
        fresh = [i for i in minima if not known[i] and profile.value[i] < PROMISING * rows.value[0]]
        found.append(profile.theta[fresh])
    return np.concatenate(found) if found else np.empty((0, x.shape[0]))
