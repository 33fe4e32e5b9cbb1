"""Conditions that intervals are tried under: designs, truths, and errors of single runs or shared ones. Arrays only."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, IntArray
from lawful.design.plan import plan_isoflop
from lawful.laws.laws import find_law
from lawful.laws.surface import Surface
from lawful.uncertainty.lawtest import gap_labels


class Layout(NamedTuple):
    """
    Where the runs of a design lie.

    Attributes
    ----------
    N, D : array, shape (n,)
    C : array, shape (n,), or None
        Nominal budgets; None where a table would have none.
    run : int array, shape (n,)
        Which training run a row belongs to: every row its own, but for checkpoints.
    """

    N: Array
    D: Array
    C: Array | None
    run: IntArray


TRUTHS: dict[str, dict[str, float]] = {
    "chinchilla": {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28},
    "asymmetric": {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.465, "beta": 0.155},
    "llama-like": {"E": 0.35, "A": 52.0, "B": 75.0, "alpha": 0.31, "beta": 0.31},
}
"""Truths with two separate powers: a published one, an uneven one, and one whose floor is far below its runs."""

COUPLINGS: dict[str, float] = {"coupled .58": 0.58, "coupled .8": 0.8, "coupled 1.3": 1.3}
"""Outer power k of truths in which the two terms are coupled, otherwise like ``chinchilla``."""


def truth_of(name: str) -> Surface:
    """
    Return a truth by its name.

    Inside a coupling k the exponents are divided by k and the amplitudes are their roots, so that
    where one term leads the loss it falls as it does under ``chinchilla``.
    """
    if name not in COUPLINGS:
        return Surface(TRUTHS[name])
    k, plain = COUPLINGS[name], TRUTHS["chinchilla"]
    values = {"E": plain["E"], "A": plain["A"] ** (1 / k), "B": plain["B"] ** (1 / k)}
    return Surface({**values, "alpha": plain["alpha"] / k, "beta": plain["beta"] / k, "k": k}, find_law("skaling"))


SWEEPS = {
    "sweep 5x9": (5, 9, 1),
    "sweep 4x6": (4, 6, 1),
    "sweep 6x7": (6, 7, 1),
    "few 3x4": (3, 4, 1),
    "seeds 4x4x3": (4, 4, 3),
}
"""Budgets from 1e17 FLOPs on (1e21 is the last), sizes at each (within a factor of 8 of the best), seeds of each."""

SPREAD = 8.0
"""Largest factor between a size of a sweep and the best one of its budget."""

LADDER = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Tokens per parameter of a ladder, in units of the best ratio at its middle."""

CURVES = (0.15, 0.25, 0.4, 0.6, 0.8, 1.0)
"""Checkpoints of a run, as shares of its tokens."""


def layout_of(design: str, truth: Surface) -> Layout:
    """
    Lay out the runs of a design around the optimum of a truth.

    Parameters
    ----------
    design : str
        A sweep of :data:`SWEEPS`; ``ladder 5x5`` (sizes by tokens per parameter), ``grid 6x6`` (sizes by token
        counts), ``irregular 30`` (anywhere), ``checkpoints 6x6`` (rows of six runs).
    truth : Surface

    Returns
    -------
    Layout
    """
    if design in SWEEPS:
        budgets, sizes, seeds = SWEEPS[design]
        plan = plan_isoflop(np.geomspace(1e17, 1e21, budgets), sizes, surface=truth, width=SPREAD)
        n, d, c = (np.repeat(v, seeds) for v in (plan.N, plan.D, plan.C))
        return Layout(n, d, c, np.arange(n.size))
    kind = design.split(maxsplit=1)[0]
    low, middle, high = (float(truth.optimum(c).params) for c in (1e18, 10**19.5, 1e21))
    best = float(truth.optimum(10**19.5).tokens) / middle
    if kind == "ladder":
        n, ratio = (v.ravel() for v in np.meshgrid(np.geomspace(low, high, 5), np.array(LADDER) * best, indexing="ij"))
        return Layout(n, ratio * n, None, np.arange(n.size))
    if kind == "grid":
        least, most = (float(truth.optimum(c).tokens) for c in (1e18, 1e21))
        n, d = (v.ravel() for v in np.meshgrid(np.geomspace(low, high, 6), np.geomspace(least, most, 6), indexing="ij"))
        return Layout(n, d, None, np.arange(n.size))
    if kind == "irregular":
        rng = np.random.default_rng(30)
        n = np.exp(rng.uniform(np.log(low), np.log(high), 30))
        return Layout(n, n * best * np.exp(rng.uniform(np.log(0.1), np.log(10.0), 30)), None, np.arange(30))
    n, share = (v.ravel() for v in np.meshgrid(np.geomspace(low, high, 6), np.array(CURVES), indexing="ij"))
    return Layout(n, 4.0 * best * n * share, None, np.repeat(np.arange(6), len(CURVES)))


SINGLE = ("gaussian", "laplace", "student-t3", "outliers", "proportional", "by size")
"""Errors of single runs."""

SHARED = ("budget effect", "size effect", "cell effect", "ar .7", "run effect")
"""Errors that runs share, each beside an independent one of the same size, but for ``ar .7``."""

FAR_OFF = 10.0
"""Standard deviations by which an outlier is shifted."""

WITH_SIZE = -0.25
"""Power of N that the standard deviation follows ``by size``: small models are noisier."""

ALONG = 0.7
"""Correlation of neighbouring sizes of a budget under ``ar .7``."""


def errors_of(noise: str, sigma: float, at: Layout, reducible: Array, sets: int, rng: np.random.Generator) -> Array:
    """
    Errors of every run in every data set, shape (sets, n).

    Errors of single runs have the root mean square sigma but for the outliers, where 5% of the runs (at
    least one) are shifted by ten of them on top. Of shared errors the own part has the standard
    deviation sigma and the shared part, too.
    """
    n = reducible.size
    if noise == "laplace":
        return np.asarray(rng.laplace(scale=sigma / np.sqrt(2.0), size=(sets, n)))
    if noise == "student-t3":
        return np.asarray(sigma * rng.standard_t(3, (sets, n)) / np.sqrt(3.0))
    own = rng.standard_normal((sets, n))
    if noise in ("proportional", "by size"):
        scale = reducible if noise == "proportional" else at.N**WITH_SIZE
        return np.asarray(sigma * scale / np.sqrt((scale**2).mean()) * own)
    if noise == "outliers":
        shifted = rng.random((sets, n)).argsort(axis=1) < max(1, round(0.05 * n))
        return sigma * (own + FAR_OFF * shifted)
    if noise == "ar .7":
        return sigma * _along(own, labels_of("budget effect", at), at.N)
    if noise in SHARED:
        label = labels_of(noise, at)
        return sigma * (own + rng.standard_normal((sets, int(label.max()) + 1))[:, label])
    return sigma * own


def labels_of(noise: str, at: Layout) -> IntArray:
    """Labels of the runs that share an error."""
    if noise == "run effect":
        return at.run
    logs: Mapping[str, Array] = {"size effect": np.log(at.N), "budget effect": np.log(at.N * at.D)}
    if noise in logs:
        return gap_labels(logs[noise], 1e-6)
    size = gap_labels(np.log(at.N), 1e-9)
    cell: IntArray = np.unique(size * size.size + gap_labels(np.log(at.D), 1e-9), return_inverse=True)[1]
    return cell


def _along(own: Array, budget: IntArray, n: Array) -> Array:
    """Errors of unit variance in which the next size of a budget resembles the one before."""
    found = np.empty_like(own)
    for label in np.unique(budget):
        index = np.flatnonzero(budget == label)
        index = index[np.argsort(n[index])]
        found[:, index[0]] = own[:, index[0]]
        for before, here in pairwise(index.tolist()):
            found[:, here] = ALONG * found[:, before] + np.sqrt(1 - ALONG**2) * own[:, here]
    return found
