r"""
Newton's method for robust and logarithmic objectives, batched: arrays in, arrays out.

Where the objective is not a sum of squares of a partially linear residual (Huber loss, log
loss), all coefficients are searched together. The Hessian counts the inliers fully, has
the curvature of the law itself, and blends towards robust weights as damping grows: far
from the optimum the step is that of iteratively reweighted least squares, near it that of
Newton, which is quadratic where reweighting is linear.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, BoolArray
from lawful.laws.law import Curvature, Differentiated
from lawful.solve.kernel import CHUNK_BYTES
from lawful.solve.small import LAPACK_ROWS, RIDGE, eliminate
from lawful.solve.solved import Solved, pick, stack

LEAST_LOSS = 1e-100
"""A trial law is not taken to be lower than this where its log is needed: below any loss that a table can hold."""


def separable(x: Array, *, log: bool) -> Differentiated:
    """
    Differentiated of a separable law in ``z = (c_0, …, c_p, theta_1, …, theta_p)``.

    Parameters
    ----------
    x : array, shape (p, n)
        Centred log columns.
    log : bool
        Whether the value is the natural log of the law.
    """
    p, n = x.shape
    m = p + 1

    def model(z: Array) -> tuple[Array, Array, Curvature]:
        c, theta = z[:, :m], z[:, m:]
        powers = np.exp(-theta[:, :, None] * x)
        slope = np.empty((len(z), m + p, n))
        # df/dc_k = u_k = exp(-theta_k x_k), df/dtheta_k = -c_k x_k u_k.
        slope[:, 0] = 1.0
        slope[:, 1:m] = powers
        value = (c[:, None, :] @ slope[:, :m])[:, 0]
        np.multiply(powers, x, out=powers)
        np.multiply(powers, -c[:, 1:, None], out=slope[:, m:])

        def curvature(v: Array) -> Array:
            # Second derivatives: -x_k u_k between c_k and theta_k (``powers`` holds x_k u_k by now), c_k x_k^2 u_k in
            # theta_k itself, and nothing between terms.
            out = np.zeros((len(z), m + p, m + p))
            for k in range(p):
                cross = -np.einsum("rn,rn->r", v, powers[:, k])
                out[:, 1 + k, m + k] = out[:, m + k, 1 + k] = cross
                out[:, m + k, m + k] = -np.einsum("rn,rn,n->r", v, slope[:, m + k], x[k])
            return out

        return value, slope, curvature

    return logged(model) if log else model


def logged(plain: Differentiated) -> Differentiated:
    """
    Differentiated of the log of a law, from that of the law.

    d ln f = df/f, and d² ln f = d²f/f - (df/f)(df/f)', so weights v on the logs are weights v/f on the law.
    """

    def model(z: Array) -> tuple[Array, Array, Curvature]:
        value, slope, curvature = plain(z)
        value = np.maximum(value, LEAST_LOSS)
        relative = slope / value[:, None]

        def bend(v: Array) -> Array:
            return np.asarray(curvature(v / value) - (relative * v[:, None]) @ relative.transpose(0, 2, 1))

        return np.log(value), relative, bend

    return model


STRETCH = 8192
"""Runs that a model of many is evaluated on at once: what is formed on the way then stays in the cache."""


class Part(NamedTuple):
    """
    A model on some of the runs.

    Attributes
    ----------
    model : Differentiated
    runs : slice
        Which of the runs it has.
    """

    model: Differentiated
    runs: slice


def in_parts(make: Callable[[slice], Differentiated], n: int) -> list[Part]:
    """Return a model of n runs in parts of at most :data:`STRETCH`; ``make`` gives it on some of them."""
    cuts = [slice(start, min(start + STRETCH, n)) for start in range(0, n, STRETCH)]
    return [Part(make(runs), runs) for runs in cuts]


UNDAMPED = 1e-2
"""Damping up to which a step reaches as far as the quadratic model does."""


class _Local(NamedTuple):
    value: Array
    gradient: Array
    newton: Array
    robust: Array


def _evaluate(parts: Sequence[Part], y: Array, w: Array, z: Array, delta: Array | None) -> _Local:
    """Objective, descent direction and the two curvature matrices at z."""
    # A trial step may leave the range of floats; its sum is infinite then, or no number, and the step is refused.
    with np.errstate(over="ignore", invalid="ignore"):
        found = [_weighed(part.model(z), y[..., part.runs], w[..., part.runs], delta) for part in parts]
        return found[0] if len(found) == 1 else _Local(*(sum(sums[1:], sums[0]) for sums in zip(*found, strict=True)))


def _weighed(found: tuple[Array, Array, Curvature], y: Array, w: Array, delta: Array | None) -> _Local:
    """The same, from the value of the model, its slopes and its curvature."""
    value, slope, curvature = found
    residual = y - value
    if delta is None:
        pull, inlier, robust = w * residual, np.broadcast_to(w, residual.shape), None
        objective = 0.5 * (pull * residual).sum(axis=1)
    else:
        # rho(r) = r²/2 inside delta and delta(|r| - delta/2) outside: with psi(r) = clip(r) both are psi (r - psi/2).
        # The weight psi(r)/r belongs to the parabola that touches rho at r and lies above it everywhere.
        size = np.abs(residual)
        inside = size <= delta[:, None]
        clipped = np.clip(residual, -delta[:, None], delta[:, None])
        pull = w * clipped
        objective = (pull * (residual - 0.5 * clipped)).sum(axis=1)
        inlier = w * inside
        robust = w * np.where(inside, 1.0, delta[:, None] / np.where(inside, 1.0, size))
    # d²/dz² of sum w rho(y - f) is sum w psi' (df/dz)(df/dz)' less sum w psi times the Hessian of f.
    transposed = slope.transpose(0, 2, 1)
    gauss = (slope * inlier[:, None]) @ transposed
    majorant = gauss if robust is None else (slope * robust[:, None]) @ transposed
    newton = gauss - curvature(pull)
    return _Local(objective, (slope @ pull[:, :, None])[:, :, 0], newton, majorant)


def _step(state: _Local, free: BoolArray, damping: Array) -> tuple[Array, BoolArray]:
    """Damped Newton step and whether its system was positive definite."""
    system = state.newton + damping[:, None, None] * state.robust
    diagonal = np.einsum("rii->ri", state.robust)
    # Rows and columns of what does not move become those of the identity; the others are scaled to a unit diagonal,
    # so that the ridge and the damping mean the same to an exponent and to an amplitude.
    usable = free & (diagonal > 0)
    scale = usable / np.sqrt(np.where(usable, diagonal, 1.0))
    system = system * scale[:, :, None] * scale[:, None, :]
    np.einsum("rii->ri", system)[...] += np.where(usable, RIDGE + 1e-3 * damping[:, None], 1.0)
    if len(system) < LAPACK_ROWS:
        try:
            np.linalg.cholesky(system)
        except np.linalg.LinAlgError:
            pass
        else:
            step = np.linalg.solve(system, (state.gradient * scale)[:, :, None])[:, :, 0]
            return step * scale, np.ones(len(system), dtype=bool)
    step, pivot = eliminate(system, state.gradient * scale)
    return step * scale, pivot > 0


def minimise(
    model: Differentiated | Sequence[Part],
    y: Array,
    w: Array,
    z: Array,
    lower: Array,
    upper: Array,
    *,
    delta: Array | float | None = None,
    gates: tuple[tuple[int, int], ...] = (),
    tolerance: float = 1e-10,
    max_iter: int = 200,
    gain: float = 0.0,
) -> Solved:
    """
    Minimise the weighted sum of squares or of Huber's loss over a box, one row per start.

    Parameters
    ----------
    model : Differentiated or sequence of Part
        The law at all of the runs, or in parts that have each of them once.
    y : array, shape (n,) or (R, n)
        What the model is compared with (losses, or their logs).
    w : array, shape (n,) or (R, n)
    z : array, shape (R, q)
        Starts, inside the box.
    lower, upper : array, shape (q,) or (R, q)
        Bounds, shared or per row; equal where a coefficient is pinned.
    delta : float or array, shape (R,), optional
        Width of Huber's quadratic part; squares where None.
    gates : tuple of (int, int)
        Pairs (coefficient, exponent): the exponent is held while the coefficient is 0.
    tolerance : float
        Largest relative step at which a row has converged.
    max_iter : int
        Iterations after which a row is given up.
    gain : float
        A row has converged, too, where an undamped step promises no more than this share of the objective: along a
        direction that the data leave open, steps stay long however little there is to gain.

    Returns
    -------
    Solved
    """
    rows, q = z.shape
    n = y.shape[-1]
    widths = None if delta is None else np.broadcast_to(np.asarray(delta, float), (rows,))
    parts = [Part(model, slice(None))] if callable(model) else model
    most = n if callable(model) else min(n, STRETCH)
    chunk = max(1, CHUNK_BYTES // (8 * most * q * 2))
    lower, upper = np.broadcast_to(lower, (rows, q)), np.broadcast_to(upper, (rows, q))
    solved = []
    for start in range(0, rows, chunk):
        here = slice(start, start + chunk)
        y_part = y[here] if y.ndim == 2 else y
        w_part = w[here] if w.ndim == 2 else w
        d_part = None if widths is None else widths[here]
        limits = lower[here], upper[here]
        solved.append(
            _minimise(parts, y_part, w_part, z[here], *limits, d_part, gates, ends=(tolerance, gain), max_iter=max_iter)
        )
    return stack(solved)


def _minimise(
    parts: Sequence[Part],
    y: Array,
    w: Array,
    z: Array,
    lower: Array,
    upper: Array,
    delta: Array | None,
    gates: tuple[tuple[int, int], ...],
    *,
    ends: tuple[float, float],
    max_iter: int,
) -> Solved:
    """Minimise one chunk of rows; finished rows leave the working set."""
    rows, (tolerance, gain) = len(z), ends
    alive = np.arange(rows)
    state = _evaluate(parts, y, w, z, delta)
    # What no iteration improves is the start itself, which has not converged.
    out = Solved(z.copy(), state.value.copy(), np.zeros(rows, bool))
    damping = np.full(rows, 1e-2)
    iteration = 0
    for iteration in range(1, max_iter + 1):
        # ``gradient`` points downhill: a coefficient on a bound moves unless it is pushed outward.
        free = np.where(state.gradient < 0, z > lower, z < upper)
        for coefficient, exponent in gates:
            free[:, exponent] &= z[:, coefficient] > 0
        step, definite = _step(state, free, damping)
        trial = np.clip(z + step, lower, upper)
        actual = trial - z
        promised = np.einsum("ri,ri->r", actual, state.gradient)
        move = (np.abs(actual) / (np.abs(z) + 1e-3)).max(axis=1)
        new = _evaluate(parts, y, w, trial, delta)
        # ``promised`` is twice what the quadratic model gains; below the rounding of the sum no trial can be judged.
        better = definite & (new.value <= state.value) & (promised >= 0)
        # A step from an indefinite system may promise less than nothing, which says nothing about the distance left.
        tiny = np.abs(promised) <= 1e-14 * state.value
        done = definite & ((better & (move <= tolerance)) | (np.abs(promised) <= 1e-16 * state.value))
        done |= definite & better & (promised <= gain * state.value) & (damping <= UNDAMPED)
        done |= ~better & ((tiny & (damping >= 1.0)) | (damping > 1e12))
        z = np.where(better[:, None], trial, z)
        state = _Local(*(pick(better, a, b) for a, b in zip(new, state, strict=True)))
        # Undamped at last, so that the end is quadratic.
        damping = np.where(better, np.where(damping < 1e-8, 0.0, damping * 0.1), np.maximum(damping * 10.0, 1e-4))
        if done.any() or iteration == max_iter:
            leave = done | (iteration == max_iter)
            at = alive[leave]
            out.z[at], out.value[at], out.converged[at] = z[leave], state.value[leave], done[leave]
            stay = ~leave
            if not stay.any():
                break
            alive, z, damping = alive[stay], z[stay], damping[stay]
            lower, upper = lower[stay], upper[stay]
            state = _Local(*(a[stay] for a in state))
            y = y[stay] if y.ndim == 2 else y
            w = w[stay] if w.ndim == 2 else w
            delta = None if delta is None else delta[stay]
    return out._replace(iterations=iteration)
