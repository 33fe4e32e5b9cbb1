r"""
What of the residuals a column explains, and how often chance does as well. Arrays only.

A column may act through its logarithm, its ranks, or a valley; the best of the three is judged against the best of the
three in draws of the residuals with random signs, one sign per group in which the column stands still: seeds of one
model, or checkpoints of one run, say no more about its number of layers than one run does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, IntArray

SURE = 0.01
"""Probability, times the columns tried, below which a column counts as one that the residuals follow."""

SCREEN = 0.1
"""Probability by the textbook's F, times the columns and ways tried, below which the wild draws are made."""

DRAWS = 1999
"""Wild draws behind a probability, at least."""

DRAWS_PER_COLUMN = 400
"""The same per column that was tried, so that the probability can come below :data:`SURE`."""

CHUNK = 2_000_000
"""Numbers drawn at a time."""

FUNCTION = 0.95
"""Share of a column's variance that size, tokens and compute tell from which it counts as a function of them."""

MONOTONE = 0.98
"""Rank correlation with one of them from which it does."""

FEWEST_UNITS = 8
"""Groups in which a column stands still, below which nothing can be told."""

TELLING = 1e-3
"""Share of a column's own variance that must be left once what is known is taken out."""


@dataclass(frozen=True, eq=False)
class Cause:
    """
    A column of numbers as a possible cause.

    Attributes
    ----------
    values : array, shape (n,)
        What is missing stands at the median.
    scaled : array, shape (n,)
        Logs where all are positive, ranks in [-1, 1] of what spans decades below zero.
    ranks : array, shape (n,)
        Ranks in [-1, 1].
    root : array, shape (n,)
        Square roots of the weights.
    """

    values: Array
    scaled: Array
    ranks: Array
    root: Array

    @classmethod
    def of(cls, values: Array, root: Array) -> Cause:
        """Take a column with its missing values at the median."""
        known = np.isfinite(values)
        values = np.where(known, values, np.median(values[known]))
        scaled = np.log(values) if values.min() > 0 else values
        return cls(values, _unit(scaled), _unit(_ranked(values)), root)

    @property
    def shapes(self) -> Array:
        """Its shapes in the metric of the weights, shape (n, 3)."""
        return np.column_stack([self.scaled, self.ranks, self.scaled**2]) * self.root[:, None]

    @property
    def ways(self) -> list[Array]:
        """The ways in which it may act: monotone in two scales, and with a valley; two values have one way."""
        shapes = self.shapes
        few = np.unique(self.values).size
        return [shapes[:, [0]]] if few == 2 else [shapes[:, [0]], shapes[:, [1]], shapes[:, [0, 2]]]

    def follows(self, other: Array) -> float:
        """Rank correlation with another column, without its sign."""
        ranks = _unit(_ranked(other))
        return float(abs(self.ranks @ ranks) / np.sqrt((self.ranks @ self.ranks) * (ranks @ ranks) or 1.0))


class Explained(NamedTuple):
    """
    What a column explains.

    Attributes
    ----------
    share : float
        Of the squares of the residuals.
    p : float
        Probability by chance, times the columns tried, at most 1.
    sign : int
        1 where the residuals rise with the column, -1 where they fall, 0 for a valley or a ridge.
    own : float
        Share of the column's variance that is its own, beyond what is known.
    """

    share: float
    p: float
    sign: int
    own: float = 0.0


def explained(
    residual: Array, known: Array, column: Cause, groups: Mapping[str, IntArray], tried: int, *, seed: int = 0
) -> Explained:
    """
    Say what a column explains of residuals, beyond what is known to.

    Parameters
    ----------
    residual : array, shape (n,)
        In the metric of the weights.
    known : array, shape (n, k)
        What may explain them already, in the same metric.
    column : Cause
    groups : mapping of str to int array, shape (n,)
        Groups of runs that may share an error.
    tried : int
        Columns that were tried.
    seed : int
        Seed of the draws.

    Returns
    -------
    Explained
    """
    basis = _basis(known)
    units = _units(column.values, groups)
    count = int(units.max()) + 1
    freedom = min(residual.size, count) - basis.shape[1]
    left = residual - basis @ (basis.T @ residual)
    ways = [_left(way, basis) for way in column.ways]
    told = [way for way in ways if way.shape[1]]
    if freedom < FEWEST_UNITS // 2 or count < FEWEST_UNITS or not told or not (left @ left) > 0:
        return Explained(0.0, 1.0, 0)
    least = float(_least(left[None], told, freedom)[0])
    shares = [float(((way.T @ left) ** 2).sum() / (left @ left)) for way in told]
    at = int(np.argmax(shares))
    # A valley also bends along what a column and the law's own have together: a slope that does half as well is told.
    straight = [i for i, way in enumerate(told) if way.shape[1] == 1]
    if straight and told[at].shape[1] > 1 and max(shares[i] for i in straight) > shares[at] / 2:
        at = max(straight, key=lambda i: shares[i])
    own = column.scaled * column.root
    rest = own - basis @ (basis.T @ own)
    sign = int(np.sign(rest @ left)) if told[at].shape[1] == 1 else 0
    p = min(1.0, float(np.exp(least)) * len(told) * tried)
    if p < SCREEN:
        # The draws know what the textbook's F does not: the best of three ways, uneven noise, groups.
        p = min(1.0, tried * _by_chance(left, basis, told, freedom, units, (least, tried, seed)))
    return Explained(shares[at], p, sign, float(rest @ rest / max(((own - own.mean()) ** 2).sum(), 1e-300)))


def is_function(column: Cause, scales: Sequence[Array]) -> bool:
    """
    Whether a column follows from size, tokens and compute: in order with one of them, along one, or smoothly in all.

    Examples
    --------
    >>> x, y = np.linspace(0, 9, 30), np.tile([0.0, 1.0, 3.0], 10)
    >>> layers = Cause.of(np.round(8 * np.exp(x / 5)), np.ones(30))
    >>> is_function(layers, [x, y]), is_function(layers, [y])
    (True, False)
    """
    if not scales:
        return False
    lines = [*scales, *(a - b for i, a in enumerate(scales) for b in scales[:i])]
    if any(column.follows(v) >= MONOTONE for v in scales):
        return True
    if any(_along(column.ranks, v) >= FUNCTION for v in lines):
        return True
    smooth = _basis(_quadratic(scales))
    for shape in (column.scaled, column.ranks):
        centred = shape - shape.mean()
        rest = centred - smooth @ (smooth.T @ centred)
        free = max(shape.size - smooth.shape[1], 1)
        if (rest @ rest) / free <= (1 - FUNCTION) * (centred @ centred) / max(shape.size - 1, 1):
            return True
    return False


def _quadratic(scales: Sequence[Array]) -> Array:
    units = [_unit(v) for v in scales]
    pairs = (a * b for i, a in enumerate(units) for b in units[i:])
    return np.column_stack([np.ones(units[0].size), *units, *pairs])


def _along(ranks: Array, v: Array) -> float:
    """Share of the variance of some ranks that neighbours along a line tell: each value from those to both sides."""
    places, index = np.unique(np.round(v, 9), return_inverse=True)
    if places.size < 5:
        return 0.0
    count = np.bincount(index)
    mean = np.bincount(index, ranks) / count
    inside = float(((ranks - mean[index]) ** 2).sum())
    span = places[2:] - places[:-2]
    between = (mean[:-2] * (places[2:] - places[1:-1]) + mean[2:] * (places[1:-1] - places[:-2])) / span
    missed = float((count[1:-1] * (mean[1:-1] - between) ** 2).sum()) / 1.5
    total = float(((ranks - ranks.mean()) ** 2).sum())
    return 1.0 - (inside + missed) / total if total > 0 else 0.0


def _units(values: Array, groups: Mapping[str, IntArray]) -> IntArray:
    """The coarsest groups in each of which a column stands still; every run on its own where there are none."""
    best: IntArray = np.arange(values.size)
    codes = np.unique(values, return_inverse=True)[1].reshape(-1)
    for label in groups.values():
        labels = np.unique(label, return_inverse=True)[1].reshape(-1)
        pairs = np.unique(labels * (codes.max() + 1) + codes).size
        if pairs == labels.max() + 1 < best.max() + 1:
            best = labels
    return best


def _least(rows: Array, ways: Sequence[Array], freedom: int) -> Array:
    """Log of the least probability by the textbook's F over the ways, per row."""
    from scipy.special import fdtrc

    total = (rows**2).sum(axis=1)
    logs = []
    for way in ways:
        k = way.shape[1]
        part = ((rows @ way) ** 2).sum(axis=1)
        rest = np.maximum(total - part, 1e-12 * total)
        spare = max(freedom - k, 1)
        f = part / k / (rest / spare)
        with np.errstate(divide="ignore"):
            logs.append(np.log(np.maximum(fdtrc(k, spare, f), 1e-300)) - 1e-9 * f / (1 + f))
    return np.asarray(np.min(logs, axis=0))


def _by_chance(
    left: Array, basis: Array, ways: Sequence[Array], freedom: int, units: IntArray, asked: tuple[float, int, int]
) -> float:
    """Share of wild draws, the data among them, that a column explains as well."""
    least, tried, seed = asked
    noise = left / np.sqrt(np.maximum(1.0 - (basis**2).sum(axis=1), 1e-3))
    rng = np.random.default_rng(seed)
    draws, reached = max(DRAWS, DRAWS_PER_COLUMN * tried), 0
    step = max(CHUNK // left.size, 1)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        signs = rng.integers(0, 2, (size, int(units.max()) + 1)) * 2.0 - 1.0
        rows = signs[:, units] * noise
        rows -= (rows @ basis) @ basis.T
        reached += int((_least(rows, ways, freedom) <= least + 1e-9).sum())
    return (1 + reached) / (1 + draws)


def _left(way: Array, basis: Array) -> Array:
    """Orthonormal columns of a way, less what is known; those that are known but for rounding left out."""
    size = np.sqrt(((way - way.mean(axis=0)) ** 2).sum(axis=0))
    rest = way - basis @ (basis.T @ way)
    keep = np.sqrt((rest**2).sum(axis=0)) > np.sqrt(TELLING) * np.maximum(size, 1e-12)
    return _basis(rest[:, keep]) if keep.any() else np.empty((way.shape[0], 0))


def _basis(columns: Array) -> Array:
    """Orthonormal columns that span the given ones, shape (n, k)."""
    size = np.sqrt((columns**2).sum(axis=0))
    columns = columns[:, size > 0] / size[size > 0]
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, values > 1e-9 * max(values.max(initial=0.0), 1e-300)])


def _ranked(values: Array) -> Array:
    """Ranks, ties at their mean."""
    codes, count = np.unique(values, return_inverse=True, return_counts=True)[1:]
    end = np.cumsum(count)
    return np.asarray(end - (count - 1) / 2.0)[codes.reshape(-1)]


def _unit(values: Array) -> Array:
    """Centre, and scale to [-1, 1]."""
    centred = values - values.mean()
    return np.asarray(centred / max(float(np.abs(centred).max()), 1e-300))
