"""Starts of joint fits: combinations of a law's shapes, scored with their best multipliers."""

from __future__ import annotations

from typing import Any

import numpy as np

from lawful.core.typing import Array, IntArray
from lawful.laws.law import Screen
from lawful.solve.small import nonnegative

SCREENED = 2048
"""Combinations of shapes that are scored."""

SCREEN_ELEMENTS = 400_000
"""Combinations times runs scored at a time."""

MOST_SEARCHED = 3_000
"""Runs beyond which minima are searched for on a sample of this many, and only ended on all of them."""

GOLDEN = 0.6180339887498949

SAMPLE_TOLERANCE = 1e-4
"""Step at which the search on a sample ends: the minimum on all runs lies further off than that."""

PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71)


def halton(count: int, dimensions: int) -> Array:
    """
    Evenly spread points in the unit cube, the same every time, shape (count, dimensions).

    Examples
    --------
    >>> halton(3, 2).round(3).tolist()
    [[0.5, 0.333], [0.25, 0.667], [0.75, 0.111]]
    """
    out = np.zeros((count, dimensions))
    for d in range(dimensions):
        base, scale, left = PRIMES[d], 1.0, np.arange(1, count + 1)
        while left.any():
            scale /= base
            out[:, d] += scale * (left % base)
            left //= base
    return out


def sampled(n: int, most: int | None = None) -> IntArray:
    """
    Positions of so many of n runs, all of them if they are not more; :data:`MOST_SEARCHED` if not given.

    Multiples of the golden section fall evenly into every stretch of the table, and never in step with the
    checkpoints of a run, as every tenth row might.

    Examples
    --------
    >>> sampled(4), sampled(100_000).size
    (array([0, 1, 2, 3]), 3000)
    """
    most = MOST_SEARCHED if most is None else most
    if n <= most:
        return np.arange(n)
    return np.sort(np.argsort(np.arange(n) * GOLDEN % 1.0, kind="stable")[:most])


def screened_starts(problem: Any, most: int) -> Array:
    """Best distinct combinations of shapes with their best multipliers, in solver units, shape (k, q)."""
    law = problem.law
    if law.screen is None:
        return _box_starts(problem, most)
    screen = law.screen(*problem.columns)
    low, high = np.array(screen.box).T
    points = low + halton(SCREENED, len(low)) * (high - low)
    weight = np.ones(problem.y.size) if problem.w is None else problem.w
    if problem.log:
        weight = weight / problem.y**2
    scores, amounts = [], []
    step = max(1, SCREEN_ELEMENTS // problem.y.size)
    for start in range(0, len(points), step):
        value, c = _score(screen, points[start : start + step], problem.y, weight)
        scores.append(value)
        amounts.append(c)
    value, c = np.concatenate(scores), np.concatenate(amounts)
    chosen = _spread(value, (points - low) / (high - low), most)
    named = screen.assemble(c[chosen], points[chosen])
    z = problem.to_z(np.stack([np.broadcast_to(named[n], len(chosen)) for n in law.names], axis=1))
    return np.asarray(np.clip(np.nan_to_num(z, nan=0.0, neginf=-30.0, posinf=60.0), problem.lower, problem.upper))


def _score(screen: Screen, points: Array, y: Array, w: Array) -> tuple[Array, Array]:
    basis = screen.basis(points)
    weighted = basis * w
    gram, moment = weighted @ basis.transpose(0, 2, 1), weighted @ y
    c = nonnegative(gram, moment, np.ones(basis.shape[1], bool))
    residual = y - np.einsum("rm,rmn->rn", c, basis)
    return np.einsum("rn,rn,n->r", residual, residual, w), c


def _spread(value: Array, unit: Array, most: int) -> IntArray:
    """Best points, skipping those near a better one."""
    keep: list[int] = []
    for i in np.argsort(value, kind="stable")[: 12 * most]:
        if all(np.abs(unit[i] - unit[j]).max() > 0.06 for j in keep):
            keep.append(int(i))
        if len(keep) == most:
            break
    return np.array(keep)


UNBOUNDED = 10.0
"""Range in solver units that a search spans where a coefficient has no upper bound."""


def _box_starts(problem: Any, most: int) -> Array:
    """Starts of a law without a screen: points of its box, by the misfit there."""
    low = np.where(np.isfinite(problem.lower), problem.lower, -UNBOUNDED)
    high = np.where(np.isfinite(problem.upper), problem.upper, np.maximum(low, 0.0) + UNBOUNDED)
    constant = problem.law.constant
    if constant is not None:
        i = problem.law.names.index(constant)
        high[i] = min(high[i], float(problem.y.min()))
    unit = halton(SCREENED, len(low))
    z = low + unit * (high - low)
    with np.errstate(over="ignore", invalid="ignore"):
        value = ((problem.target - np.real(problem.values(z))) ** 2).sum(axis=1)
    return np.asarray(z[_spread(np.where(np.isfinite(value), value, np.inf), unit, most)])
