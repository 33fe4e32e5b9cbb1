"""Resampling schemes: rows of weights or of losses, the same whatever run they are drawn in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lawful.core.notes import Note
from lawful.core.typing import Array, IntArray
from lawful.data.runs import Runs
from lawful.data.values import distinct
from lawful.errors import UnsupportedError
from lawful.estimate.result import Fit, FrontierFit
from lawful.estimate.solvers import Problem, problem_of
from lawful.uncertainty.delta import answer
from lawful.uncertainty.linear import corrected_residuals, linearise

SCHEMES = ("within-budget", "rows", "wild", "residual", "cluster")

MULTIPLIERS = ("rademacher", "mammen")

BLOCK = 250
"""Draws that share one seed sequence and are refitted together, so that a continued run equals a
longer one to the last bit."""

LEVERAGE_POWER = {"wild": 1.0, "residual": 0.5}
"""Residuals are divided by (1 - leverage) to this power."""


class Sample(NamedTuple):
    """
    What some draws are refitted on: one of the two is given.

    Attributes
    ----------
    weights : array, shape (R, n), or None
    losses : array, shape (R, n), or None
    """

    weights: Array | None
    losses: Array | None


def choose_scheme(runs: Runs, scheme: str, cluster: str | None = None) -> tuple[str, tuple[Note, ...]]:
    """
    Return the scheme these runs allow, with a note where it is not the one asked for.

    Raises
    ------
    UnsupportedError
        If the scheme is unknown, or the cluster column is missing or superfluous.
    """
    if scheme not in SCHEMES:
        msg = f"Unknown scheme {scheme!r}; choose one of {', '.join(SCHEMES)}."
        raise UnsupportedError(msg)
    if (scheme == "cluster") != (cluster is not None):
        msg = "The scheme 'cluster' needs a column of labels, and only it: give cluster='seed' or the like with it."
        raise UnsupportedError(msg)
    if cluster is not None:
        if cluster not in runs.labels:
            known = ", ".join(runs.labels) or "none"
            msg = f"There is no column {cluster!r} to cluster by; the runs have these labels: {known}."
            raise UnsupportedError(msg)
        if len(distinct(runs.labels[cluster])[0]) < 2:
            msg = f"All runs share one value of {cluster!r}, so there are no clusters to resample."
            raise UnsupportedError(msg)
    sized = runs.has("N") and runs.has("C")
    if scheme == "within-budget" and not (sized and (runs.sizes_per_budget >= 3).any()):
        why = "No budget holds 3 model sizes" if sized else "The runs have no budgets of sizes"
        text = f"{why}, so whole rows were resampled instead of rows within budgets."
        return "rows", (Note("bootstrap_rows", text),)
    return scheme, ()


def group_weights(index: IntArray, groups: int, draws: int, rng: np.random.Generator) -> Array:
    """How often each of the groups of rows was drawn, at the rows, shape (draws, n)."""
    picked = rng.integers(0, groups, size=(draws, groups))
    flat = picked + groups * np.arange(draws)[:, None]
    counts = np.bincount(flat.ravel(), minlength=draws * groups).reshape(draws, groups)
    return np.asarray(counts[:, index], dtype=float)


def resample(runs: Runs, draws: int, scheme: str, rng: np.random.Generator, *, cluster: str | None = None) -> Array:
    """
    Bootstrap weights: how often each run was drawn, times its own weight.

    Parameters
    ----------
    runs : Runs
    draws : int
    scheme : {"within-budget", "rows", "cluster"}
        Whether each budget keeps its number of runs, or labelled runs stay together.
    rng : numpy.random.Generator
    cluster : str, optional
        Column of labels, for ``cluster``.

    Returns
    -------
    array, shape (draws, n)
    """
    n = len(runs)
    if scheme == "cluster":
        values, codes = distinct(runs.labels[str(cluster)])
        return group_weights(codes, len(values), draws, rng) * runs.weight
    groups = [np.arange(n)]
    if scheme == "within-budget":
        groups = [np.flatnonzero(runs.group == g) for g in range(runs.budgets.size)]
    counts = np.zeros((draws, n))
    for index in groups:
        counts[:, index] = group_weights(np.arange(index.size), index.size, draws, rng)
    return counts * runs.weight


def multipliers(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """
    Draw random signs of mean 0 and variance 1 for the wild bootstrap.

    Rademacher's (±1) keep the fourth moment, Mammen's (1993) two points the third.
    """
    if kind == "rademacher":
        return np.asarray(2.0 * rng.integers(0, 2, size=shape) - 1.0, dtype=np.float64)
    golden = np.sqrt(5.0)
    low = rng.random(shape) < (golden + 1) / (2 * golden)
    return np.asarray(np.where(low, (1 - golden) / 2, (1 + golden) / 2), dtype=np.float64)


class Resampler:
    """
    Draws of one scheme by number: draw i is the same however many are asked for.

    Parameters
    ----------
    fit : Fit or FrontierFit
    scheme : str
        One of :data:`SCHEMES`, as :func:`choose_scheme` allows it.
    seed : int
    cluster : str, optional
    multiplier : {"rademacher", "mammen"}
    """

    def __init__(
        self,
        fit: Fit | FrontierFit,
        scheme: str,
        seed: int,
        *,
        cluster: str | None = None,
        multiplier: str = "rademacher",
    ) -> None:
        self._runs, self._scheme, self._seed = fit.runs, scheme, seed
        self._cluster, self._multiplier = cluster, multiplier
        self._fitted: Array | None = None
        if scheme not in LEVERAGE_POWER:
            return
        if fit.surface is None:
            msg = f"{fit.method} has no fitted losses to draw around; use rows or within-budget."
            raise UnsupportedError(msg)
        problem = problem_of(fit)
        self._fitted, self._residuals = self._around(problem, answer(fit, problem))
        self._log = problem.log

    def _around(self, problem: Problem, z: Array) -> tuple[Array, Array]:
        """Fitted values and corrected residuals, centred where they are exchanged between runs."""
        at = linearise(problem, z)
        residuals = corrected_residuals(at, LEVERAGE_POWER[self._scheme])[0]
        if self._scheme == "residual":
            # Exchanged residuals are those of runs of weight one.
            residuals = residuals * np.sqrt(self._runs.weight)
            residuals = residuals - residuals.mean()
        return problem.target - at.residual[0], residuals

    def draw(self, start: int, stop: int) -> Sample:
        """Samples of the draws ``start`` up to ``stop``."""
        parts = []
        for block in range(start // BLOCK, (stop - 1) // BLOCK + 1):
            first = block * BLOCK
            rows = self._block(np.random.default_rng([self._seed, block]))
            parts.append(rows[max(start - first, 0) : stop - first])
        rows = np.concatenate(parts)
        return Sample(rows, None) if self._fitted is None else Sample(None, rows)

    def _block(self, rng: np.random.Generator) -> Array:
        if self._fitted is None:
            return resample(self._runs, BLOCK, self._scheme, rng, cluster=self._cluster)
        n = len(self._runs)
        if self._scheme == "wild":
            noise = self._residuals * multipliers(self._multiplier, (BLOCK, n), rng)
        else:
            noise = self._residuals[rng.integers(0, n, size=(BLOCK, n))] / np.sqrt(self._runs.precision)
        losses = self._fitted + noise
        return np.exp(losses) if self._log else losses
