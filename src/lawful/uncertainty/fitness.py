"""lack_of_fit(): whether replicates, or residuals that differ between budgets, refuse the law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lawful.core.notes import Note
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Shown
from lawful.core.typing import Array, IntArray
from lawful.estimate.result import surface_fit
from lawful.uncertainty.delta import delta

SAME = 1e-9
"""Relative difference below which two runs have the same N and D."""

REFUSED = 0.01
"""Probability below which the law counts as refused."""

SIMULATIONS = 2000
"""Simulated residual vectors that calibrate the test across budgets."""

GIVE = 1e-9
"""Statistics this close, relatively, are equal: simulated ties must not count as exceedances."""


@dataclass(frozen=True, slots=True)
class LackOfFit(Shown):
    """
    Tests of the law against its own residuals.

    Attributes
    ----------
    replicates : int
        Runs that share their N and D with another one.
    pure_error : float or None
        Standard deviation between replicates, in the unit of the residuals; None without any.
    model_error : float or None
        Root mean square of what the law misses beyond it; 0 where it misses nothing.
    f : float or None
        F statistic of lack of fit against pure error.
    freedom : (int, int) or None
        Its degrees of freedom.
    p_replicates : float or None
        Probability of an F this large if the law is right.
    p_budgets : float or None
        The same for the residuals' means across budgets (Kruskal and Wallis's statistic,
        calibrated by simulation, since residuals of one fit are not independent).
    notes : tuple of Note
        ``lack_of_fit`` where a probability is below 1%.

    Examples
    --------
    Without replicates only the residuals across budgets are tested:

    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth)
    >>> lawful.fit(lawful.simulate(truth, plan, noise=0.01)).lack_of_fit().replicates
    0
    """

    replicates: int
    pure_error: float | None
    model_error: float | None
    f: float | None
    freedom: tuple[int, int] | None
    p_replicates: float | None
    p_budgets: float | None
    notes: tuple[Note, ...] = ()

    def sheets(self) -> tuple[Sheet]:
        """Return both tests."""
        f = "F of lack of fit against pure error"
        if self.freedom is not None:
            f += f", {self.freedom[0]} and {self.freedom[1]} degrees of freedom"
        rows = (
            row("runs with a replicate", Cell(self.replicates, "integer")),
            row("pure error between replicates", Cell(self.pure_error, "nats")),
            row("misfit of the law beyond it", Cell(self.model_error, "nats")),
            row(f, Cell(self.f, "ratio")),
            row("probability, replicates", Cell(self.p_replicates, "ratio")),
            row("probability, residuals across budgets", Cell(self.p_budgets, "ratio")),
        )
        return (Sheet("Does the law fit?", (), ("", "value"), rows, "", (), self.notes),)


def lack_of_fit(fit: Any, *, seed: int = 0) -> LackOfFit:
    """
    Test whether the law fits: pure error against model error, and residuals across budgets.

    Parameters
    ----------
    fit : Fit
        A surface fit.
    seed : int
        Seed of the simulated calibration.

    Returns
    -------
    LackOfFit

    Raises
    ------
    UnsupportedError
        If the fit has no surface.

    Examples
    --------
    The right law is not refused:

    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth)
    >>> found = lawful.fit(lawful.simulate(truth, plan, noise=0.01, seed=1)).lack_of_fit()
    >>> found.p_budgets > 0.01, found.notes
    (True, ())
    """
    fit = surface_fit(fit, " whose fit could be tested")
    at = delta(fit).linear
    weight = at.weight[0]
    used = weight > 0
    residual = at.residual[0] * np.sqrt(weight)
    free = int(at.free[0].sum())
    groups = replicate_groups(fit.runs.N, fit.runs.D)
    own = _compare(residual[used], groups[used], free)
    root = np.sqrt(weight)[None] * at.slope[0]
    hat = root.T @ at.inverse[0] @ root
    p_budgets = _across(residual[used], hat[np.ix_(used, used)], fit.runs.group[used], np.random.default_rng(seed))
    notes = []
    if own.p is not None and own.p < REFUSED:
        text = (
            f"Replicates refuse the law: it misses {own.model:.3g} beyond their own scatter of {own.pure:.3g} "
            f"(F = {own.f:.3g}, p = {own.p:.1g})."
        )
        notes.append(Note("lack_of_fit", text))
    if p_budgets is not None and p_budgets < REFUSED:
        text = (
            f"Residuals differ between budgets more than chance allows (p = {p_budgets:.1g}): the law misses a trend "
            f"in compute, so its extrapolation is off by more than any interval says."
        )
        notes.append(Note("lack_of_fit", text))
    return LackOfFit(*own, p_budgets, tuple(notes))


def replicate_groups(N: Array, D: Array) -> IntArray:
    """Label runs that agree in N and D within 1e-9, shape (n,)."""
    sizes, tokens = (_same_values(np.log(v)) for v in (N, D))
    return np.unique(sizes * (tokens.max() + 1) + tokens, return_inverse=True)[1]


def _same_values(logs: Array) -> IntArray:
    """Label values with no gap between them, in ascending order."""
    order = np.argsort(logs, kind="stable")
    label = np.empty(logs.size, dtype=np.intp)
    label[order] = np.concatenate([[0], np.cumsum(np.diff(logs[order]) > SAME)])
    return label


class _Replicates(NamedTuple):
    """What replicates say: pure error, model error, F with its degrees of freedom and probability."""

    runs: int
    pure: float | None = None
    model: float | None = None
    f: float | None = None
    freedom: tuple[int, int] | None = None
    p: float | None = None


def _compare(residual: Array, groups: IntArray, free: int) -> _Replicates:
    count, sizes = residual.size, np.bincount(groups)
    repeated = int(sizes[sizes > 1].sum())
    distinct = int((sizes > 0).sum())
    inside = count - distinct
    between = distinct - free
    if inside < 1 or between < 1:
        return _Replicates(repeated)
    from scipy.special import fdtrc

    # Replicates share their fitted loss, so residuals scatter about their mean as losses do.
    means = np.bincount(groups, residual)[sizes > 0] / sizes[sizes > 0]
    total = float((residual**2).sum())
    own = total - float((sizes[sizes > 0] * means**2).sum())
    pure = own / inside
    lack = (total - own) / between
    f = lack / pure if pure > 0 else float("inf")
    model = float(np.sqrt(max(lack - pure, 0.0) * between / count))
    p = float(fdtrc(between, inside, f))
    return _Replicates(repeated, float(np.sqrt(pure)), model, float(f), (between, inside), p)


def _across(residual: Array, hat: Array, group: IntArray, rng: np.random.Generator) -> float | None:
    """Probability of residual means that differ this much across budgets, by simulation through the hat matrix."""
    labels, index = np.unique(group, return_inverse=True)
    sizes = np.bincount(index)
    if labels.size < 3 or (sizes < 3).sum() > labels.size / 2 or residual.size <= 8:
        return None
    if np.abs(residual).max() < 1e-12:
        return None
    noise = rng.standard_normal((SIMULATIONS, residual.size))
    rows = np.concatenate([residual[None], noise - noise @ hat])
    ranks = rows.argsort(axis=1).argsort(axis=1) + 1.0
    member = (index[:, None] == np.arange(labels.size)).astype(float)
    n = residual.size
    statistic = ((ranks @ member) ** 2 / sizes).sum(axis=1) * 12 / (n * (n + 1)) - 3 * (n + 1)
    return float((1 + (statistic[1:] >= statistic[0] * (1 - GIVE)).sum()) / (1 + SIMULATIONS))
