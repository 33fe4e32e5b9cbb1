"""How well runs tell N*: laws whose shape k is held at one value after another, weighed by how well each fits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lawful.core.typing import Array
from lawful.estimate.pulled import COEFFICIENTS, HIGHEST, LOWEST, Coupled, LogRows, Pulls, minimise
from lawful.solve import screening
from lawful.solve.newton import Part
from lawful.solve.screening import sampled
from lawful.solve.solved import Solved

SHAPES = np.linspace(0.3, 1.5, 13)
"""Values that k is held at: Chinchilla's law is 1, public sweeps lie between .16 and .87."""

WIDE_SHAPE, WIDE_FLOOR = (0.65, 0.2), (0.6, 0.15)
"""Mean and standard deviation of k, and of E in fractions of the lowest loss, before the runs are looked at."""

ROUGH, ROUGH_STEPS, FINE, FINE_STEPS = 1e-3, 30, 1e-6, 60
"""Relative steps at which the two turns of the search end, and their most iterations."""

CARRIED = 2
"""Fits of the first turn that every shape is started from in the second."""


def path_covariance(
    columns: tuple[Array, Array], loss: Array, told: Array, delta: float, starts: Array, top: float
) -> Array:
    """
    Covariance of the line ln N*(ln C): its level at some compute and its slope, over k and what the runs leave open.

    Parameters
    ----------
    columns : (array, array), shape (n,) each
        N and D.
    loss : array, shape (n,)
    told : array, shape (n,)
        Inverse variance of the log loss of every run about a law.
    delta : float
        Width of Huber's quadratic part, in log loss.
    starts : array, shape (S, 6)
        Laws in the coordinates of :class:`Coupled`, carried to every k at the same exponents of the loss.
    top : float
        ln(N·D) where the level is read.

    Returns
    -------
    array, shape (2, 2)

    Notes
    -----
    A law with k held at k_j has a misfit, in nats, and a curvature H_j of it. With a wide prior on k and Laplace's
    approximation over the other coefficients its posterior share is p_j ~ exp(-misfit_j) |H_j|^(-1/2) prior(k_j), the
    determinant in levels and exponents of the loss itself (k a, k b, k alpha, k beta), which mean the same for every k.
    The line of each law has a mean t_j and a covariance V_j = G H_j^-1 G', so the whole covariance is
    sum_j p_j (V_j + (t_j - t)(t_j - t)'), t = sum_j p_j t_j: narrow where the runs tell k, and as wide as the prior
    makes it where they do not.

    Examples
    --------
    >>> N, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e8, 1e10, 6), np.geomspace(2e9, 2e11, 6)))
    >>> truth, z = lawful.Surface.named("symmetric"), np.array([[0.6, -1.0, -1.0, 0.5, 0.5, 0.7]])
    >>> found = path_covariance((N, D), truth.loss(N, D), np.full(36, 1e6), 0.002, z, np.log(1e21))
    >>> bool(0 < found[0, 0] < 0.1)
    True
    """
    centre = np.array([np.log(column).mean() for column in columns])
    low = float(loss.min())
    logs = LogRows(columns, centre, np.log(loss / low))
    found, misfit = _fits(logs, told, delta, starts)
    information = _information(logs.parts(), told, found.z)
    scale = np.sqrt(np.einsum("rii->ri", information))
    scaled = information / scale[:, :, None] / scale[:, None, :]
    # Levels and exponents of the loss are k times those of the law: four coordinates of the determinant.
    volume = np.linalg.slogdet(scaled)[1] + 2.0 * np.log(scale).sum(axis=1) - 8.0 * np.log(SHAPES)
    weight = -misfit - 0.5 * volume - 0.5 * ((SHAPES - WIDE_SHAPE[0]) / WIDE_SHAPE[1]) ** 2
    usable = found.converged if found.converged.any() else np.ones(SHAPES.size, bool)
    share = np.where(usable, np.exp(weight - weight[usable].max(initial=-np.inf)), 0.0)
    share /= share.sum()
    inverse = np.linalg.pinv(scaled, rcond=1e-12, hermitian=True) / scale[:, :, None] / scale[:, None, :]
    laws = Coupled(found.z, low, centre, np.ones(SHAPES.size), np.empty(0), found.converged)
    ends = np.array([top, top + 1.0])
    value, slope = laws.optimum(ends), laws.optimum_slope(ends)[:, : COEFFICIENTS - 1]
    line = np.stack([value[:, 0], value[:, 1] - value[:, 0]], axis=1)
    lean = np.stack([slope[:, :, 0], slope[:, :, 1] - slope[:, :, 0]], axis=1)
    within = lean @ inverse @ lean.transpose(0, 2, 1)
    away = line - share @ line
    return np.asarray(np.einsum("r,rij->ij", share, within + away[:, :, None] * away[:, None, :]))


def _fits(logs: LogRows, told: Array, delta: float, starts: Array) -> tuple[Solved, Array]:
    """Best law of every shape, and its misfit in nats with that of the prior on E."""
    unit = float(told.mean())
    weight, nat = told / unit, 1.0 / unit
    if told.size <= screening.MOST_SEARCHED:
        found = _searched(logs, weight, nat, delta, starts)
    else:
        # Of many runs a sample is searched, with the same coordinates, and its minima are ended on all of them.
        some = sampled(told.size)
        part = weight[some] / weight[some].mean()
        near = _searched(logs.take(some), part, nat * some.size / told.size, delta, starts).z
        found = _turn(logs, weight, nat, delta, near, ends=(FINE, FINE_STEPS))
    return found, found.value * unit


def _searched(logs: LogRows, weight: Array, nat: float, delta: float, starts: Array) -> Solved:
    """Lowest misfit of every shape, in two turns."""
    rough = _turn(logs, weight, nat, delta, np.tile(starts, (SHAPES.size, 1)), ends=(ROUGH, ROUGH_STEPS))
    # The best shapes lead the others out of the minima that some of the first starts end in.
    lead = rough.z[np.argsort(rough.value, kind="stable")[:CARRIED]]
    again = np.concatenate([rough.z[:, None], np.broadcast_to(lead, (SHAPES.size, *lead.shape))], axis=1)
    return _turn(logs, weight, nat, delta, again.reshape(-1, COEFFICIENTS), ends=(FINE, FINE_STEPS))


def _turn(
    logs: LogRows,
    weight: Array,
    nat: float,
    delta: float,
    starts: Array,
    *,
    ends: tuple[float, int],
) -> Solved:
    """Lowest misfit of every shape from as many starts each; ``nat`` is what one is worth in the objective."""
    rows = len(starts)
    many = rows // SHAPES.size
    shape = np.repeat(SHAPES, many)
    pulls = Pulls(
        np.broadcast_to(weight, (rows, weight.size)),
        np.full(rows, delta),
        np.tile([0.0, WIDE_FLOOR[0]], (rows, 1)),
        np.tile([np.inf, WIDE_FLOOR[1]], (rows, 1)),
        np.zeros(rows, bool),
    )
    strength = np.full(rows, nat)
    z = _carried(starts, shape)
    out = minimise(logs.parts(), logs.log_loss, pulls, strength, z, tolerance=ends[0], max_iter=ends[1], shape=shape)
    return out.take(np.arange(SHAPES.size) * many + out.value.reshape(-1, many).argmin(axis=1))


def _carried(z: Array, shape: Array) -> Array:
    """Laws taken to another k at the same exponents of the loss and the same loss where both terms are alike."""
    ratio = (z[:, 5] / shape)[:, None]
    level = ratio * z[:, 1:3] + np.log(2.0) * (ratio - 1.0)
    carried = np.concatenate([z[:, :1], level, ratio * z[:, 3:5], shape[:, None]], axis=1)
    return np.asarray(np.clip(carried, LOWEST, HIGHEST))


def _information(parts: Sequence[Part], told: Array, z: Array) -> Array:
    """Gauss-Newton curvature of the misfit in E, a, b, alpha, beta, shape (R, 5, 5); one on a bound moves alone."""
    free = COEFFICIENTS - 1
    out = np.zeros((len(z), free, free))
    for part in parts:
        slope = part.model(z)[1][:, :free]
        out += (slope * told[part.runs]) @ slope.transpose(0, 2, 1)
    out[:, 0, 0] += 1.0 / WIDE_FLOOR[1] ** 2
    held = (z[:, :free] <= np.array(LOWEST)[:free] + 1e-9) | (z[:, :free] >= np.array(HIGHEST)[:free] - 1e-9)
    apart = (held[:, :, None] | held[:, None, :]) & ~np.eye(free, dtype=bool)
    return np.asarray(np.where(apart, 0.0, out))
