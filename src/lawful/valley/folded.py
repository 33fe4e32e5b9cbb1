r"""
Many runs folded into a few rows that answer every sum of the valley alike. Arrays only.

What the faces ask of the runs are inner products of 1, ``exp(-alpha x)``, ``exp(-beta y)``, their
derivatives and the losses under the metric of the runs. A power is smooth in the log of its size: over
the whole box of exponents it is a sum of a few Chebyshev polynomials to the last digit of a float
(Trefethen 2013, *Approximation Theory and Approximation Practice*, chapter 8). So one Gram matrix of those
polynomials and the losses has every inner product, and a square root of it is a table of some sixty rows
that stands in for a hundred thousand.
"""

from __future__ import annotations

from math import lgamma, log
from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, BoolArray
from lawful.valley.faces import Design, Grouped

FOLDED_RUNS = 4000
"""Runs from which they are folded: below, a power per run costs no more."""

MOST_NODES = 96
"""Polynomials of one column beyond which nothing is folded: exponents and sizes then span too much for it to pay."""

TAIL = 1e-17
"""What the polynomials that are left out may add up to, relative to the largest power."""

STRETCH = 8192
"""Runs whose polynomials are formed at once: they stay in the cache."""


class Compressed(NamedTuple):
    """
    Rows that have the inner products of many runs, in the place of a :class:`lawful.valley.faces.Design`.

    Attributes
    ----------
    one : array, shape (r,)
        What stands for 1 in every run.
    near : array, shape (r,)
        The same without the runs so far out that no power is left there (priors).
    y : array, shape (r,)
        What stands for the losses.
    nodes : (array, array), shape (m,) each
        Chebyshev nodes of both columns, less their middle.
    rows : (array, array), shape (m, r) each
        What stands for a function of a column that is 1 at one node and 0 at the others.
    middle : (float, float)
        Middles of both columns.
    """

    one: Array
    near: Array
    y: Array
    nodes: tuple[Array, Array]
    rows: tuple[Array, Array]
    middle: tuple[float, float]

    def powers(self, term: int, theta: Array) -> Array:
        """Powers of a column at K exponents, shape (K, r)."""
        # The part that is no constant is formed by itself: at small exponents all of the answer lies in it.
        away = np.expm1(-theta[:, None] * self.nodes[term]) @ self.rows[term]
        away += self.near
        away *= np.exp(-theta * self.middle[term])[:, None]
        return np.asarray(away)

    def leaning(self, term: int, theta: Array) -> Array:
        """Powers times the column, shape (K, r)."""
        place = self.nodes[term] + self.middle[term]
        return np.asarray((place * np.exp(-theta[:, None] * place)) @ self.rows[term])

    def weigh(self, rows: Array) -> Array:
        """Rows as they are: the metric is in them already."""
        return rows

    def beside(self, losses: Array, weights: Array) -> Compressed:
        """Return the rows with those of runs behind them at which no power is left."""
        root = np.sqrt(weights)
        none = np.zeros_like(root)
        first, second = (np.pad(row, ((0, 0), (0, root.size))) for row in self.rows)
        return self._replace(
            one=np.append(self.one, root),
            near=np.append(self.near, none),
            y=np.append(self.y, root * losses),
            rows=(first, second),
        )


def folded(design: Design, box: Array) -> Design | Compressed:
    """
    Fold the runs of a design, where they are many.

    Parameters
    ----------
    design : Design
    box : array, shape (2, 2)
        Bounds of alpha and beta within which the rows hold.

    Returns
    -------
    Design or Compressed
        The design itself where folding would not pay, or its metric is dense.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.uniform(-3, 3, (2, 9000)), rng.normal(2, 0.1, 9000)
    >>> design = Design(x, y, np.ones(9000), (0.0, np.inf), (None, None))
    >>> few = folded(design, np.array([[0.01, 2.0], [0.01, 2.0]]))
    >>> few.y.size < 100
    True
    >>> alpha = np.array([0.3])
    >>> whole, part = ((d.powers(0, alpha) @ d.weigh(d.y[None]).T).item() for d in (design, few))
    >>> bool(abs(part / whole - 1) < 1e-12)
    True
    """
    if design.y.size < FOLDED_RUNS or not (isinstance(design.metric, Grouped) or design.metric.ndim == 1):
        return design
    x, least = design.x, design.x.min(axis=1)[:, None]
    # Priors are runs so far out that no power is left; they stand beside the others as they are.
    far = np.asarray((np.exp(-box[:, :1] * (x - least)) == 0).all(axis=0))
    middle, half = 0.5 * (x[:, ~far].max(axis=1) + least[:, 0]), 0.5 * np.ptp(x[:, ~far], axis=1)
    count = [needed(float(reach)) for reach in np.abs(box).max(axis=1) * half]
    if half.min() == 0 or max(count) > MOST_NODES or (far.any() and not _alone(design.metric, far)):
        return design
    level = float(design.y[~far].mean())
    one, root = _root(_gram(design, far, (middle, half), count, level))
    nodes, rows, first = [], [], 0
    for k, m in enumerate(count):
        angle = np.pi * (np.arange(m) + 0.5) / m
        # The polynomial that is 1 at one node and 0 at the others, from its weights on all degrees.
        weights = np.cos(np.arange(1, m) * angle[:, None]) * 2 / m
        nodes.append(half[k] * np.cos(angle))
        rows.append(weights @ root[first : first + m - 1] + one / m)
        first += m - 1
    near = Compressed(
        one, one, root[-1] + level * one, (nodes[0], nodes[1]), (rows[0], rows[1]), (float(middle[0]), float(middle[1]))
    )
    return near.beside(design.y[far], _own(design.metric)[far])


def needed(reach: float) -> int:
    """
    Count the Chebyshev polynomials that a power needs whose log spans twice this much.

    Those of degree k have the weights 2 I_k(reach), and ``I_k(c) <= (c/2)^k exp(c²/(4k + 4)) / k!``.

    Examples
    --------
    >>> needed(1.0), needed(10.0)
    (15, 32)
    """
    m = 2
    while m <= MOST_NODES:
        bend = reach**2 / (4 * m + 4)
        if reach == 0 or m * log(reach / 2) - lgamma(m + 1) + bend - reach < log(TAIL):
            break
        m += 1
    return m


def _own(metric: Grouped | Array) -> Array:
    """Weights of the runs by themselves."""
    return metric.diagonal if isinstance(metric, Grouped) else metric


def _alone(metric: Grouped | Array, some: BoolArray) -> bool:
    """Whether some runs share no error with any other."""
    return not (isinstance(metric, Grouped) and metric.root[some].any())


def _gram(design: Design, far: BoolArray, frame: tuple[Array, Array], count: list[int], level: float) -> Array:
    """Inner products of 1, the polynomials of both columns and the losses less their level, under the metric."""
    metric, (middle, half) = design.metric, frame
    kept = np.flatnonzero(~far)
    if isinstance(metric, Grouped):
        kept = kept[np.argsort(metric.label[kept], kind="stable")]
        sums = np.zeros((metric.taken.size, sum(count)))
    own = _own(metric)
    gram = np.zeros((sum(count), sum(count)))
    for start in range(0, kept.size, STRETCH):
        here = kept[start : start + STRETCH]
        columns = _polynomials((design.x[:, here] - middle[:, None]) / half[:, None], count)
        columns[-1] = design.y[here] - level
        gram += (columns * own[here]) @ columns.T
        if isinstance(metric, Grouped):
            label = metric.label[here]
            starts = np.flatnonzero(np.diff(label, prepend=-1))
            sums[label[starts]] += np.add.reduceat(columns * metric.root[here], starts, axis=1).T
    if isinstance(metric, Grouped):
        gram -= (sums * metric.taken[:, None]).T @ sums
    return gram


def _polynomials(place: Array, count: list[int]) -> Array:
    """1, and the Chebyshev polynomials of degree 1 and more of both columns; a row is left for the losses."""
    out = np.empty((sum(count), place.shape[1]))
    out[0] = 1.0
    last = 0
    for t, m in zip(place, count, strict=True):
        before, here = out[0], t
        for k in range(1, m):
            out[last + k] = here
            before, here = here, 2 * t * here - before
        last += m - 1
    return out


def _root(gram: Array) -> tuple[Array, Array]:
    """What stands for 1, shape (r,), on which the others have their means, and rows with these inner products."""
    total = gram[0, 0]
    mean = gram[0, 1:] / total
    rest = gram[1:, 1:] - total * mean[:, None] * mean
    size = np.sqrt(np.maximum(rest.diagonal(), 0.0))
    size = np.where(size > 0, size, 1.0)
    value, axes = np.linalg.eigh(rest / size[:, None] / size)
    # What rounding leaves of a direction that the runs do not have may be negative.
    kept = value > 0
    away = size[:, None] * axes[:, kept] * np.sqrt(value[kept])
    one = np.zeros(1 + away.shape[1])
    one[0] = np.sqrt(total)
    return one, np.column_stack([mean * one[0], away])
