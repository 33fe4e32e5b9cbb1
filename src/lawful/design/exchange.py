"""The exchange algorithm: runs are swapped for better ones until no swap helps. Arrays only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, BoolArray, IntArray

ENOUGH = 1e-7
"""Fall of the mean log variance below which a swap is not worth making."""


class Limits(NamedTuple):
    """
    What a design may cost.

    Attributes
    ----------
    cost : array, shape (J,)
        Of one run of each candidate.
    total : float
        Most that all runs may cost.
    runs : int
        Most runs.
    repeats : int
        Most runs of one candidate.
    kept : int array, shape (J,)
        Runs of each candidate that are never taken away.
    """

    cost: Array
    total: float
    runs: int
    repeats: int
    kept: IntArray


def improve(rows: Array, slopes: Array, prior: Array, counts: IntArray, limits: Limits, rounds: int = 2000) -> IntArray:
    """
    Swap runs while the mean over surfaces of the log variance of the decision falls.

    Parameters
    ----------
    rows : array, shape (K, J, 5)
        Sensitivities of the candidates under K surfaces.
    slopes : array, shape (K, 5)
        Of the decision.
    prior : array, shape (K, 5, 5)
        Information there is already.
    counts : int array, shape (J,)
        Runs of each candidate to start from, within the limits.
    limits : Limits
    rounds : int
        Most swaps.

    Returns
    -------
    int array, shape (J,)
    """
    counts = counts.copy()
    for _ in range(rounds):
        inverse = np.linalg.inv(prior + np.einsum("kji,j,kjl->kil", rows, counts, rows))
        at = np.einsum("kji,kil,kl->kj", rows, inverse, slopes)
        value = np.einsum("ki,kil,kl->k", slopes, inverse, slopes)
        gram = np.einsum("kji,kil,kml->kjm", rows, inverse, rows)
        spent, used = float(limits.cost @ counts), int(counts.sum())
        open_ = counts < limits.repeats
        best, move = _best_swap(value, at, gram, counts, limits, open_, spent)
        if used < limits.runs:
            gain, add = _best_addition(value, at, gram, limits, open_, spent)
            best, move = (gain, (None, add)) if gain < best else (best, move)
        if best > -ENOUGH:
            break
        taken, added = move
        if taken is not None:
            counts[taken] -= 1
        counts[added] += 1
    return counts


Swap = tuple[int | None, int]


def _best_swap(
    value: Array, at: Array, gram: Array, counts: IntArray, limits: Limits, open_: BoolArray, spent: float
) -> tuple[float, Swap]:
    """Change of the criterion by the best swap of one run for another, from two-row updates of the inverse."""
    out, into = np.flatnonzero(counts > limits.kept), np.flatnonzero(open_)
    if not (out.size and into.size):
        return 0.0, (None, 0)
    diagonal = np.einsum("kjj->kj", gram)
    a = diagonal[:, out, None] - 1.0
    d = diagonal[:, None, into] + 1.0
    b = gram[:, out[:, None], into[None, :]]
    x, y = at[:, out, None], at[:, None, into]
    determinant = a * d - b * b
    with np.errstate(divide="ignore", invalid="ignore"):
        new = value[:, None, None] - (d * x * x - 2 * b * x * y + a * y * y) / determinant
        change = np.log(new / value[:, None, None]).mean(axis=0)
    affordable = spent - limits.cost[out, None] + limits.cost[None, into] <= limits.total * (1 + 1e-12)
    sound = (determinant < 0).all(axis=0) & (new > 0).all(axis=0) & affordable & np.isfinite(change)
    change = np.where(sound, change, np.inf)
    i, j = np.unravel_index(int(change.argmin()), change.shape)
    return float(change[i, j]), (int(out[i]), int(into[j]))


def _best_addition(
    value: Array, at: Array, gram: Array, limits: Limits, open_: BoolArray, spent: float
) -> tuple[float, int]:
    """Change of the criterion by the best run to add, and which."""
    new = value[:, None] - at**2 / (1.0 + np.einsum("kjj->kj", gram))
    # Where the runs hardly determine the decision, rounding can make a variance negative: no such run is taken.
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.log(new / value[:, None]).mean(axis=0)
    affordable = spent + limits.cost <= limits.total * (1 + 1e-12)
    change = np.where(open_ & affordable & (new > 0).all(axis=0) & np.isfinite(change), change, np.inf)
    j = int(change.argmin())
    return float(change[j]), j
