r"""
Errors that runs share: which grouping, how large a share, and the metric that allows for it. Arrays only.

Rows of one run, seeds of one cell, runs of one budget or of one model size may stray together. With K
saying which pairs do, the covariance is ``(1 - g) I + g K`` up to a factor, and the share g is fitted
by restricted likelihood (Patterson & Thompson 1971), which knows that the law's coefficients
were fitted, too. The residuals that matter live in the space that the slopes leave free; there
the likelihood of every g costs one sum, since the eigenvalues do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, IntArray
from lawful.valley.faces import Grouped

SHARES = np.concatenate([[0.0], np.linspace(0.02, 0.98, 49)])
"""Shares of the variance at which the likelihood is evaluated."""

EVIDENCE = 1.0
"""Twice the gain in log restricted likelihood from which a grouping is taken."""

NEAR_EVIDENCE = 3.8
"""The same for neighbours, whose likeness a little misfit of the law feigns; where it is real it is well above."""

FEWEST_GROUPS = 3
"""Groups of two runs or more that a share can be told from."""

MOST_GROUPS = 0.8
"""Groups per run above which a label hardly groups."""

DENSE = 400
"""Runs up to which correlation along a budget is considered: its likelihood needs dense matrices."""

SPECTRAL = 500
"""Groups up to which the directions that the fit took are taken out of them; of more they are a part in hundreds."""

NEIGHBOURS = "neighbours"
"""Name of the candidate in which the error of a run resembles that of the next size of its budget."""


class Shared(NamedTuple):
    """
    A shared error.

    Attributes
    ----------
    name : str
        Of the grouping.
    share : float
        Of the variance that runs of one group have in common (for neighbours: their correlation).
    groups : int
        How many groups there are, single runs included.
    gain : float
        Twice the gain in log restricted likelihood over independent errors.
    metric : Grouped or array, shape (n, n)
        Inverse covariance of the runs, scaled so that independent runs would have the identity; of groups never formed.
    """

    name: str
    share: float
    groups: int
    gain: float
    metric: Grouped | Array

    @property
    def freedom(self) -> float:
        """Degrees of freedom of Student's t: groups less two, at least two."""
        return float(max(2, self.groups - 2))


def usable(label: IntArray) -> bool:
    """Whether a share could be told from a grouping."""
    count = np.unique(label, return_counts=True)[1]
    return bool((count > 1).sum() >= FEWEST_GROUPS and count.size <= MOST_GROUPS * label.size)


def shared_error(
    slope: Array,
    residual: Array,
    groupings: Mapping[str, IntArray],
    *,
    along: tuple[IntArray, Array] | None = None,
    evidence: float = EVIDENCE,
) -> Shared | None:
    """
    Find the grouping whose members share an error, if any does.

    Parameters
    ----------
    slope : array, shape (p, n)
        Derivatives of the fitted values by the free coefficients.
    residual : array, shape (n,)
    groupings : mapping of str to int array, shape (n,)
        Candidates: labels of runs, cells, budgets, sizes.
    along : (int array, array), optional
        Labels of budgets and ln N: neighbours along it may resemble each other.
    evidence : float
        Gain that a grouping needs; 0 takes the best one with any share.

    Returns
    -------
    Shared or None
    """
    left, values, _ = np.linalg.svd((slope / np.sqrt((slope**2).sum(axis=1, keepdims=True))).T, full_matrices=False)
    basis = left[:, values > 1e-9 * values.max()]
    rest = residual - basis @ (basis.T @ residual)
    free = residual.size - basis.shape[1]
    if free < 3 or not np.any(rest):
        return None
    best: tuple[float, str, float, Grouped | Array, int] | None = None
    for name, label in groupings.items():
        if not usable(label):
            continue
        share, gain = _share(basis, rest, free, label)
        if share > 0 and (best is None or gain > best[0]):
            best = gain, name, share, Grouped.of(label, share), np.unique(label).size
    if along is not None and residual.size <= DENSE and usable(along[0]):
        rho, gain = _correlation(basis, residual, free, *along)
        if rho > 0 and gain > NEAR_EVIDENCE and (best is None or gain > best[0]):
            near = np.asarray(np.linalg.inv(_neighbours(rho, *along)), dtype=np.float64)
            best = gain, NEIGHBOURS, rho, near, np.unique(along[0]).size
    if best is None or best[0] <= evidence:
        return None
    gain, name, share, metric, count = best
    return Shared(name, share, count, gain, metric)


def _share(basis: Array, rest: Array, free: int, label: IntArray) -> tuple[float, float]:
    """Share with the highest restricted likelihood of a grouping, and twice its gain over none."""
    _, index, count = np.unique(label, return_inverse=True, return_counts=True)
    order, starts = np.argsort(index, kind="stable"), np.concatenate([[0], np.cumsum(count)[:-1]])
    sums, own = np.add.reduceat(basis[order], starts, axis=0), np.add.reduceat(rest[order], starts)
    if count.size <= SPECTRAL:
        # Memberᵀ (1 - basis basisᵀ) member, from sums over the members of each group.
        value, vectors = np.linalg.eigh(np.diag(count.astype(float)) - sums @ sums.T)
        keep = value > 1e-9 * value.max()
        value, own = value[keep], own @ vectors[:, keep]
    else:
        value = count.astype(float)
    square = own**2 / value
    single = max(float(rest @ rest) - float(square.sum()), 0.0)
    variance = (1 - SHARES)[:, None] + SHARES[:, None] * value
    others = free - value.size
    total = (square / variance).sum(axis=1) + (single / (1 - SHARES) if others > 0 else 0.0)
    twice = -(np.log(variance).sum(axis=1) + others * np.log(1 - SHARES) + free * np.log(np.maximum(total, 1e-300)))
    k = int(twice.argmax())
    return float(SHARES[k]), float(twice[k] - twice[0])


def _neighbours(rho: float, budget: IntArray, x: Array) -> Array:
    """Correlation rho^lag between runs of one budget, lag the number of steps along ln N."""
    order = np.lexsort((x, budget))
    place = np.empty(x.size)
    place[order] = np.arange(x.size)
    lag = np.abs(place[:, None] - place)
    return np.where(budget[:, None] == budget, rho**lag, 0.0)


def _correlation(basis: Array, residual: Array, free: int, budget: IntArray, x: Array) -> tuple[float, float]:
    """Correlation of neighbours with the highest restricted likelihood, and twice its gain over none."""

    def twice(rho: float) -> float:
        root = np.linalg.cholesky(_neighbours(rho, budget, x))
        columns = np.linalg.solve(root, np.column_stack([basis, residual]))
        q, r = np.linalg.qr(columns[:, :-1])
        left = columns[:, -1] - q @ (q.T @ columns[:, -1])
        logs = 2 * np.log(np.diag(root)).sum() + 2 * np.log(np.abs(np.diag(r))).sum()
        return float(-(logs + free * np.log(max(float(left @ left), 1e-300))))

    steps = np.arange(0.1, 0.96, 0.1)
    values = np.array([twice(rho) for rho in steps])
    k = int(values.argmax())
    return float(steps[k]), float(values[k] - twice(0.0))
