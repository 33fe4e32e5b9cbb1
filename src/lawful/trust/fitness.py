"""lack_of_fit(): whether the residuals refuse the law, by every test that the design allows, judged together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from lawful.core.notes import Note
from lawful.core.numbers import format_short
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Shown
from lawful.core.typing import Array, IntArray
from lawful.data.cells import first_of_copies
from lawful.data.runs import COMPLETE
from lawful.estimate.result import Fit, surface_fit
from lawful.uncertainty.delta import delta
from lawful.uncertainty.grounds import AUTO, curves_of, groupings
from lawful.uncertainty.lawtest import UNTESTED, LawTest, Residuals, law_test
from lawful.uncertainty.linear import Linearised, working_variances

SAME = 1e-9
"""Relative difference below which two runs have the same N and D."""

REFUSED = 0.01
"""Probability below which the law counts as refused."""

SIMULATIONS = 2000
"""Simulated residual vectors that calibrate the test across budgets."""

RANKED_RUNS = 2000
"""Up to this many runs the ranks of simulated residuals are taken one by one."""

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
        ``lack_of_fit`` where the joint probability is below 1%.
    p : float or None
        Joint probability of all tests; None where there are too few runs, or no noise.
    each : mapping of str to float
        Probability of each test alone: ``coupled`` (a power of the sum of the terms), ``quadratic`` (a bend in
        ln N and ln D), ``unfinished`` (of checkpoints: the share of a run that is still to come), ``budget`` and
        ``size`` (errors that a budget or a model size shares), ``neighbours`` (sizes of a budget that stray
        together), ``replicates``; and ``power``, the F test of the coupled law's k = 1, which counts four times
        in ``p``.
    missed : float
        Root mean square over the runs of what the bends add to the fit, in the unit of the residuals.

    Examples
    --------
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
    p: float | None = None
    each: Mapping[str, float] = field(default_factory=dict)
    missed: float = 0.0

    @property
    def refused(self) -> bool:
        """Whether the law is refused: by all tests together, or by one of the first two where those cannot be run."""
        return bool(self.notes)

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
            *(row(f"probability, {WORDS[name]}", Cell(p, "ratio")) for name, p in self.each.items()),
            row("probability, all tests together", Cell(self.p, "ratio")),
            row("what bends add to the fit", Cell(self.missed, "nats")),
        )
        return (Sheet("Does the law fit?", (), ("", "value"), rows, "", (), self.notes),)


def lack_of_fit(fit: Any, *, seed: int = 0, cluster: str = AUTO) -> LackOfFit:
    """
    Test whether the law fits, by every test that the design allows.

    Pure error against model error where runs repeat N and D; residuals across budgets; and a joint test
    that also works on grids and ladders: the score of a coupling of the two terms, bends in ln N and
    ln D, errors shared by budgets and sizes, neighbours that stray together. Copies of a row
    count once. Rows of one run, as checkpoints are, stray together whatever the law: only the joint test is
    run on them, and judges by what whole runs say.

    Parameters
    ----------
    fit : Fit
        A surface fit.
    seed : int
        Seed of the simulated calibrations; the order of the runs does not matter.
    cluster : str
        ``auto``: rows that a column or the shape of the table says are of one run stand together; ``none``: no
        row does; or a column of labels.

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
    fit = surface_fit(fit, " whose fit could be tested").core
    first = first_of_copies(fit.runs)
    fit = fit if first.size == len(fit.runs) else replace(fit, runs=fit.runs.take(first))
    at = delta(fit).linear
    weight = at.weight[0]
    used = weight > 0
    residual = at.residual[0] * np.sqrt(weight)
    free = int(at.free[0].sum())
    # What the table does not say tells no runs apart.
    sizes, tokens = (np.nan_to_num(getattr(fit.runs, name), nan=1.0) for name in ("N", "D"))
    groups = replicate_groups(sizes, tokens)
    curve = curves_of(fit.runs, cluster) if all(map(fit.runs.has, COMPLETE)) else None
    own, p_budgets = _compare(residual[used], groups[used], free), None
    if curve is None:
        root = np.sqrt(weight)[None] * at.slope[0]
        within = Hat(root[:, used], at.inverse[0])
        p_budgets = _across(residual[used], within, fit.runs.group[used], np.random.default_rng(seed))
    else:
        own = _Replicates(own.runs)
    together = UNTESTED
    if all(map(fit.runs.has, COMPLETE)):
        together = law_test(_residuals(fit, at, curve), seed=seed, coupled=fit.surface.law.two_powers)
    notes = _notes(own, p_budgets, together)
    return LackOfFit(*own, p_budgets, notes, together.p, together.each, together.missed)


def _residuals(fit: Fit, at: Linearised, curve: IntArray | None) -> Residuals:
    """Take the runs with weight to the joint test, each with the scale that the trend of the noise gives it."""
    used = at.weight[0] > 0
    runs = fit.runs if used.all() else fit.runs.take(np.flatnonzero(used))
    weighed = Linearised(
        at.slope[:, :, used], at.inverse, at.weight[:, used], at.leverage[:, used], at.residual[:, used],
        at.pseudo[:, used], at.free, at.runs, at.variance, at.inliers, at.reducible[:, used],
    )  # fmt: skip
    found = groupings(runs)
    scale = np.sqrt(working_variances(weighed)[0][0] / weighed.weight[0])
    even = 1.0 / np.sqrt(weighed.weight[0])
    slope, residual, reducible = weighed.slope[0][at.free[0]], weighed.residual[0], weighed.reducible[0]
    logs = np.log(runs.N), np.log(runs.D)
    labels = found["budget"], found["size"], found["cell"]
    own = None if curve is None else curve[used]
    return Residuals(slope, residual, scale, even, reducible, *logs, *labels, own)


def _notes(own: _Replicates, p_budgets: float | None, together: LawTest) -> tuple[Note, ...]:
    """Say what refuses the law: all tests together, or where they cannot be run either of the first two."""
    said = []
    if own.p is not None and own.p < REFUSED:
        said.append(
            f"replicates refuse the law: it misses {format_short(own.model, 3)} beyond their own scatter of "
            f"{format_short(own.pure, 3)} (F = {format_short(own.f, 3)}, p = {format_short(own.p, 1)})"
        )
    if p_budgets is not None and p_budgets < REFUSED:
        said.append(f"residuals differ between budgets more than chance allows (p = {format_short(p_budgets, 1)})")
    if together.p is not None:
        if not together.refused:
            return ()
        names = [WORDS[name] for name, p in together.each.items() if p < REFUSED] or ["the tests together"]
        said.append(
            f"the residuals refuse the law (joint p = {format_short(together.p, 1)}) by {', '.join(names)}; bends "
            f"would add {format_short(together.missed, 2)} nats (root mean square)"
        )
    if not said:
        return ()
    text = "; ".join(said)
    return (Note("lack_of_fit", f"{text[0].upper()}{text[1:]}."),)


WORDS = {
    "coupled": "a coupling of the two terms",
    "power": "an F test of a coupling of the two terms",
    "quadratic": "a bend in ln N and ln D",
    "unfinished": "a fall towards the end of each run that its tokens do not explain",
    "budget": "an error that budgets share",
    "size": "an error that model sizes share",
    "neighbours": "neighbouring sizes that stray together",
    "replicates": "replicates",
}
"""Tests in words."""


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


class Hat(NamedTuple):
    """
    The hat matrix slopeᵀ · inverse · slope, never formed: it has the square of the number of runs.

    Attributes
    ----------
    slope : array, shape (q, n)
        Weighted slopes of the runs.
    inverse : array, shape (q, q)
        Inverse of their Gram matrix.
    """

    slope: Array
    inverse: Array

    def of(self, rows: Array) -> Array:
        """Return what a fit takes out of rows of noise, shape (R, n)."""
        return np.asarray((rows @ self.slope.T) @ self.inverse @ self.slope)


def _across(residual: Array, hat: Hat, group: IntArray, rng: np.random.Generator) -> float | None:
    """
    Probability of residual ranks that differ this much across budgets (Kruskal and Wallis), given what the fit took.

    Up to :data:`RANKED_RUNS` runs by simulation through the hat matrix. Beyond, sums of ranks per budget are normal: of
    the variance of a rank a share 3/pi goes with the noise itself, from which the fit takes its columns, and the rest
    goes with nothing (the correlation of a normal variate with its rank is √(3/pi)).
    """
    labels, index = np.unique(group, return_inverse=True)
    sizes = np.bincount(index)
    if labels.size < 3 or (sizes < 3).sum() > labels.size / 2 or residual.size <= 8:
        return None
    if np.abs(residual).max() < 1e-12:
        return None
    n, order = residual.size, np.argsort(index, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])

    def statistic(rows: Array) -> Array:
        ranks = rows.argsort(axis=1).argsort(axis=1) + 1.0
        sums = np.add.reduceat(ranks[:, order], starts, axis=1)
        return np.asarray((sums**2 / sizes).sum(axis=1) * 12 / (n * (n + 1)) - 3 * (n + 1))

    seen = statistic(residual[None])[0] * (1 - GIVE)
    if n <= RANKED_RUNS:
        noise = rng.standard_normal((SIMULATIONS, n))
        drawn = statistic(noise - hat.of(noise))
    else:
        # Covariance of the scaled sums: 1 less the mean, less U s² Uᵀ of the fit. Its root takes (1 - √(1 - s²)) off U.
        taken = np.add.reduceat(hat.slope[:, order], starts, axis=1) / np.sqrt(sizes)
        share = np.sqrt(sizes / n)
        taken = taken - np.outer(taken @ share, share)
        values, vectors = np.linalg.eigh(3 / np.pi * hat.inverse)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        axes, s, _ = np.linalg.svd(taken.T @ root, full_matrices=False)
        normal = rng.standard_normal((SIMULATIONS, sizes.size))
        normal -= np.outer(normal @ share, share)
        normal -= ((normal @ axes) * (1 - np.sqrt(np.maximum(1 - s**2, 0.0)))) @ axes.T
        drawn = (normal**2).sum(axis=1)
    return float((1 + (drawn >= seen).sum()) / (1 + SIMULATIONS))
