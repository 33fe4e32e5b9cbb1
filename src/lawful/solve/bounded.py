"""Least squares in a box, one small problem per row: arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from lawful.core.typing import Array, BoolArray

RIDGE = 1e-10
"""Added to a triangle's columns of unit scale, in quadrature: settles directions that the data do not."""

ROUNDS = 40
"""Changes of the active set after which a row keeps what it has; K columns need about 2K."""


BLOCK = 8000
"""Entries of a block of rows that is triangulated at once: it stays in cache, and below what BLAS hands to threads,
which wait for each other longer than they work."""


def triangle_of(tall: Array) -> Array:
    """
    R of a QR decomposition of tall matrices, in blocks of rows whose triangles are stacked and triangulated again.

    As exact as one decomposition (Demmel et al. 2012), and no Q is formed: what is asked of Q'y stands in the last
    column where y was the last.

    Parameters
    ----------
    tall : array, shape (R, n, k)

    Returns
    -------
    array, shape (R, k, k)

    Examples
    --------
    >>> tall = np.random.default_rng(0).normal(size=(2, 9000, 3))
    >>> r = triangle_of(tall)
    >>> bool(np.allclose(r.transpose(0, 2, 1) @ r, tall.transpose(0, 2, 1) @ tall, rtol=1e-12))
    True
    """
    rows, n, k = tall.shape
    block = max(2 * k, BLOCK // max(k, 1))
    while n > 2 * block:
        count = -(-n // block)
        padded = np.zeros((rows, count * block, k))
        padded[:, :n] = tall
        triangles: Array = np.asarray(np.linalg.qr(padded.reshape(rows * count, block, k), mode="r"))
        tall = triangles.reshape(rows, count * k, k)
        n = count * k
    if n < k:
        tall = np.concatenate([tall, np.zeros((rows, k - n, k))], axis=1)
    return np.asarray(np.linalg.qr(tall, mode="r"))


def solve_free(triangle: Array, moment: Array, free: BoolArray) -> Array:
    """
    Least squares in the free coordinates, the others held at 0; from triangles, never from a Gram matrix.

    Parameters
    ----------
    triangle : array, shape (R, K, K)
        R of a QR decomposition.
    moment : array, shape (R, K)
        Q'y.
    free : bool array, shape (R, K)

    Returns
    -------
    array, shape (R, K)
    """
    rows, k, _ = triangle.shape
    size = np.maximum(np.sqrt((triangle**2).sum(axis=1)), 1e-300)
    system = np.zeros((rows, 2 * k, k + 1))
    system[:, :k, :k] = triangle * (free / size)[:, None, :]
    system[:, np.arange(k, 2 * k), np.arange(k)] = np.where(free, RIDGE, 1.0)
    system[:, :k, k] = moment
    r = triangle_of(system)[:, :k]
    return np.asarray(np.linalg.solve(r[:, :, :k], r[:, :, k:])[:, :, 0] / size * free)


def box_least_squares(triangle: Array, moment: Array, lower: Array, upper: Array) -> tuple[Array, BoolArray]:
    """
    Minimise |Q'y - R c|² over lower <= c <= upper, one row per problem, by active sets (Stark and Parker 1995).

    Parameters
    ----------
    triangle : array, shape (R, K, K)
    moment : array, shape (R, K)
    lower, upper : array, shape (R, K)

    Returns
    -------
    c : array, shape (R, K)
    free : bool array, shape (R, K)
        Coordinates that no bound holds.

    Examples
    --------
    >>> c, free = box_least_squares(np.eye(2)[None], np.array([[2.0, -1.0]]), np.zeros((1, 2)), np.full((1, 2), 9.0))
    >>> c.tolist(), free.tolist()
    ([[2.0, 0.0]], [[True, False]])
    """
    rows, k = moment.shape
    every = np.ones((rows, k), dtype=bool)
    c = solve_free(triangle, moment, every)
    inside = ((c >= lower) & (c <= upper)).all(axis=1)
    free = every.copy()
    at = np.flatnonzero(~inside)
    if at.size:
        c[at], free[at] = _active_set(
            triangle[at], moment[at], lower[at], upper[at], np.clip(c[at], lower[at], upper[at])
        )
    return c, free


def _active_set(triangle: Array, moment: Array, lower: Array, upper: Array, start: Array) -> tuple[Array, BoolArray]:
    c = start
    free = (c > lower) & (c < upper)
    alive = np.arange(len(c))
    scale = np.sqrt((moment**2).sum(axis=1)) + 1e-300
    size = np.maximum(np.sqrt((triangle**2).sum(axis=1)), 1e-300)
    for _ in range(ROUNDS):
        r, m, low, high, f = triangle[alive], moment[alive], lower[alive], upper[alive], free[alive]
        held = np.where(f, 0.0, c[alive])
        goal = np.where(f, solve_free(r, m - (r @ held[:, :, None])[:, :, 0], f), held)
        out = f & ((goal < low) | (goal > high))
        now = c[alive]
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(out, (np.where(goal < low, low, high) - now) / (goal - now), np.inf)
        step = np.clip(np.nan_to_num(room.min(axis=1), nan=0.0), 0.0, 1.0)
        blocked = out.any(axis=1)
        moved = np.clip(now + step[:, None] * (goal - now), low, high)
        stopped = out & (room <= step[:, None])
        moved = np.where(stopped, np.where(goal < low, low, high), moved)
        f = f & ~stopped
        slope = (r.transpose(0, 2, 1) @ (m[:, :, None] - r @ moved[:, :, None]))[:, :, 0] / size[alive]
        slope = slope / scale[alive, None]
        pull = np.where(f | (low == high), 0.0, np.where(moved <= low, slope, np.where(moved >= high, -slope, 0.0)))
        worst = pull.argmax(axis=1)
        release = ~blocked & (pull.max(axis=1) > 1e-12)
        f[release, worst[release]] = True
        c[alive], free[alive] = moved, f
        alive = alive[blocked | release]
        if not alive.size:
            break
    return c, free
