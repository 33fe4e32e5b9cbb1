"""
Where squares are led by a few runs: a robust fit in their place.

On wide sweeps the largest models of a budget have seen so few tokens that no law holds there, runs diverge, and ends
of curves are undertuned; squared errors follow such runs. The steady fit takes logs of the loss with Huber's delta at
1.345 times the spread of the *core*, the half of the runs nearest the valley, and sets aside what lies far beyond it;
where runs far above the valley scatter more than the core does, their weight falls with their excess over the best
loss of their budget. It loses some precision where all is Gaussian, so it takes over only where its N* is not that of
squares within what their noise allows, or where the residuals of squares have heavy tails.

``benchmarks/waste.py`` measures what that costs and saves, beside squares and plain robust fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lawful.core.notes import Note
from lawful.core.numbers import format_short
from lawful.core.objective import Objective
from lawful.core.typing import Array, BoolArray
from lawful.data.runs import Runs
from lawful.errors import IdentificationError
from lawful.estimate.result import Fit, losses_of
from lawful.estimate.solvers import Joint, Problem, prepare, resolve
from lawful.laws.surface import Surface, optimum_of

HUBER = 1.345
"""Huber's delta in standard deviations: 95% of the precision of squares where all is Gaussian."""

EXCESS = 5.0
"""A run whose loss the fit puts a share x above the best of its budget weighs 1/(1 + (5x)²): half at 20%."""

BEYOND = 20.0
"""A run farther off than this many standard deviations of the core says nothing about the law, and is set aside."""

MOVED = 0.8
"""The steady fit takes over where its ln N* lies farther from that of squares than this many of its standard
deviations at ``TARGET`` times the largest compute. Both see the same noise, so the distance is far smaller than the
error of either: of Gaussian sweeps 2 to 7 in 100 reach it."""

TARGET = 100.0

TAILS = 2.5
"""It also takes over where Geary's ratio, mean over root mean square of the absolute residuals, lies this many of its
standard deviations below the Gaussian one: that is so in 2 of 100 Gaussian sweeps."""

GEARY = np.sqrt(2.0 / np.pi)
GEARY_SPREAD = np.sqrt(1.0 - 3.0 / np.pi)
"""Mean of |z| over the root mean square of z for Gaussian z, and √n times its standard deviation in n of them: by the
delta method Var|z| + mean²(Var z²)/4 - mean·Cov(|z|, z²) = (1 - 2/π) + 1/π - 2/π."""

FAR = 0.1
FAR_RUNS = 3
SCATTER = 1.6
CLIP = 5.0
"""Weights fall with excess where at least three runs lie 10% above the best of their budget and the root mean square of
their residuals, each counted as five at most, is 1.6 times the core's spread."""

TIGHTER = 0.7
"""The fit of the valley alone is where the steady fit starts if its closer half of the residuals is this much tighter:
it is where a third of the runs obey no law."""

LEAST_SPREAD = 2e-4
"""Spread of the core, at least: below it losses are rounded, and nothing tells noise from rounding."""

ROUNDS = 8
SETTLED = 1e-4
"""Change of the weights, and relative one of the spread, at which the steady fit has come to rest."""

START_DELTA = 1e-3

FEWEST = 12
"""Fewer runs have no core to speak of."""


class Core(NamedTuple):
    """
    The half of the runs nearest the valley, as a fit sees it.

    Attributes
    ----------
    spread : float
        Standard deviation of log residuals, from their median size in the core.
    excess : array, shape (n,)
        Log of the fitted loss over the best loss of the run's budget, >= 0.
    residual : array, shape (n,)
        Log residuals.
    """

    spread: float
    excess: Array
    residual: Array

    @property
    def near(self) -> BoolArray:
        """Runs that are not set aside."""
        return np.asarray(np.abs(self.residual) < BEYOND * self.spread)

    @property
    def scatters(self) -> bool:
        """Whether the runs far above the valley scatter more than the core does."""
        far = self.near & (self.excess > FAR)
        size = np.minimum(np.abs(self.residual[far]) / self.spread, CLIP)
        return size.size >= FAR_RUNS and float(np.mean(size**2)) > SCATTER**2


def core_of(surface: Surface, runs: Runs) -> Core:
    """Spread of log residuals near the valley of a surface with a closed-form optimum."""
    fitted = losses_of(surface, runs)
    best = np.asarray(surface.optimum(runs.C).loss, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = np.maximum(np.nan_to_num(np.log(fitted / best), nan=0.0, posinf=0.0), 0.0)
        residual = np.log(runs.L / fitted)
    used = np.flatnonzero(runs.counted)
    n = used.size
    half = used[np.argsort(excess[used], kind="stable")[: max(n // 2, 5)]]
    spread = float(np.median(np.abs(residual[half]))) / 0.6745 * np.sqrt(n / max(n - 5, 1))
    return Core(max(spread, LEAST_SPREAD), excess, residual)


class Lead(NamedTuple):
    """
    What tells that squares are led by a few runs.

    Attributes
    ----------
    ratio : float
        N* of squares over that of the steady fit at ``TARGET`` times the largest compute.
    moved : float
        Its log in standard deviations of the steady one; infinite where only the steady fit has one.
    tails : float
        Geary's ratio of the residuals of squares: 0.80 where they are Gaussian, less where tails are heavy.
    heavy : bool
        Whether it lies ``TAILS`` of its standard deviations below.
    """

    ratio: float
    moved: float
    tails: float
    heavy: bool

    @property
    def found(self) -> bool:
        """Whether the steady fit takes over."""
        return self.heavy or self.moved > MOVED


def steadied(squares: Fit, refit: Callable[[Runs, Objective], Fit]) -> Fit:
    """
    Return the squared fit, or the steady one where squares are led by runs far from the rest.

    Parameters
    ----------
    squares : Fit
        Of a law with a closed-form optimum.
    refit : callable
        Fits the same law to runs with an objective.

    Returns
    -------
    Fit
        With the note ``robust`` where it is the steady one.
    """
    runs = squares.runs
    if runs.counted.sum() < FEWEST or squares.surface.law.terms is None:
        return squares
    start = _start(runs, refit)
    problem = prepare(runs, start.surface.law, Objective("log-squared"), squares.solver.bounds, squares.fixed)
    z, core, weight = _settled(runs, problem, start.surface, 0.0)
    lead = _lead(squares, problem, z, core)
    if not lead.found:
        return squares
    falls = core.scatters
    if falls:
        _, core, weight = _settled(runs, problem, start.surface, EXCESS)
    found = refit(replace(runs, weight=weight), Objective("log-huber", HUBER * core.spread))
    if found.status.key != "converged":
        return squares
    return replace(found, notes=(*found.notes, _note(runs, core, lead, falls=falls)))


def _start(runs: Runs, refit: Callable[[Runs, Objective], Fit]) -> Fit:
    """
    Fit all runs with a narrow delta, or the valley alone where that leaves much smaller residuals.

    The valley is known before any fit: the half of the runs with the least loss above the lowest of any run of no more
    compute.
    """
    wide = refit(runs, Objective("log-huber", START_DELTA))
    log_loss, used = np.log(runs.L), runs.counted
    order = np.argsort(runs.C)
    lowest = np.minimum.accumulate(np.where(used, log_loss, np.inf)[order])
    # Budgets that were meant to be equal differ by rounding, or by a few percent.
    above = log_loss - lowest[np.searchsorted(runs.C[order], 1.05 * runs.C, side="right") - 1]
    most = max((used.sum() + 1) // 2, FEWEST - 4)
    low = used & (above <= np.sort(above[used])[most - 1])
    try:
        valley = refit(replace(runs, weight=runs.weight * low), Objective("log-squared"))
    except IdentificationError:
        return wide
    closer = [_closer_half(fit.surface, runs, used) for fit in (wide, valley)]
    return valley if closer[1] < TIGHTER * closer[0] else wide


def _closer_half(surface: Surface, runs: Runs, used: BoolArray) -> float:
    """Root mean square of the smaller half of the log residuals."""
    size = np.sort(np.abs(np.log(runs.L / losses_of(surface, runs)))[used])
    return float(np.sqrt(np.mean(size[: (size.size + 6) // 2] ** 2)))


def _settled(runs: Runs, problem: Problem, start: Surface, fall: float) -> tuple[Array, Core, Array]:
    """
    Follow log-Huber at the core's spread to a fixed point.

    Returns
    -------
    z : array, shape (1, q)
        The answer in solver units.
    core : Core
    weight : array, shape (n,)
    """
    names = start.law.names
    z = problem.to_z(np.array([[start[name] for name in names]]))
    z = np.clip(z, problem.lower, problem.upper)
    core, weight = core_of(start, runs), np.full(len(runs), -1.0)
    for _ in range(ROUNDS):
        new = runs.weight * core.near / (1.0 + (fall * core.excess) ** 2)
        z = resolve(problem._replace(delta=HUBER * core.spread), z, Joint(), weights=new[None]).z
        values = problem.to_coefficients(z)[0].tolist()
        moved, spread = np.abs(new - weight).max(), core.spread
        core, weight = core_of(Surface(dict(zip(names, values, strict=True)), law=start.law), runs), new
        if moved < SETTLED and abs(core.spread - spread) < SETTLED * spread:
            break
    return z, core, weight


def _lead(squares: Fit, problem: Problem, z: Array, core: Core) -> Lead:
    """Compare squares with the steady answer, in the latter's standard deviations, and look at their tails."""
    runs, law = squares.runs, squares.surface.law
    used = runs.counted
    size = np.abs(np.log(runs.L / losses_of(squares.surface, runs)))[used]
    width = max(float(np.sqrt(np.mean(size**2))), 1e-300)
    tails = float(size.mean()) / width
    heavy = width > LEAST_SPREAD and GEARY - tails > TAILS * GEARY_SPREAD / np.sqrt(size.size)
    budget = TARGET * float(runs.C[used].max())

    def log_params(rows: Array) -> Array:
        columns = problem.to_coefficients(rows).T
        found = optimum_of(law, dict(zip(law.names, columns, strict=True)), budget, squares.surface.cost)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(found.params), float)

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        there = float(np.log(squares.surface.optimum(budget).params))
    here, moved = float(log_params(z)[0]), 0.0
    if np.isfinite(here):
        deviation = _deviation(problem, z, core, used, log_params)
        moved = abs(there - here) / deviation if np.isfinite(there) else np.inf
    with np.errstate(over="ignore", invalid="ignore"):
        return Lead(float(np.exp(there - here)), moved, tails, bool(heavy))


def _deviation(problem: Problem, z: Array, core: Core, used: BoolArray, of: Callable[[Array], Array]) -> float:
    """Standard deviation of a quantity of the answer by the delta method, with noise of the core's spread."""
    free = problem.lower < problem.upper
    slope = problem.model(z)[1][0][np.ix_(free, used & core.near)]
    step = np.diag(1e-5 * np.maximum(np.abs(z[0]), 1e-3))[free]
    with np.errstate(invalid="ignore"):
        gradient = (of(z + step) - of(z - step)) / (2.0 * step.sum(axis=1))
    # Unit columns first, so that what is dropped as singular is a direction that no run sees.
    size = np.sqrt((slope**2).sum(axis=1))
    scale = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    fisher = (slope * scale[:, None]) @ (slope * scale[:, None]).T
    pull = gradient * scale
    if not np.isfinite(pull).all():
        return np.inf
    return core.spread * float(np.sqrt(max(pull @ np.linalg.pinv(fisher, hermitian=True) @ pull, 1e-300)))


def _note(runs: Runs, core: Core, lead: Lead, *, falls: bool) -> Note:
    rows = np.arange(1, len(runs) + 1) if runs.row is None else runs.row
    aside = rows[~core.near & runs.counted]
    named = ", ".join(map(str, aside[:5])) + (f" and {aside.size - 5} more" if aside.size > 5 else "")
    said = f" {aside.size} runs lie beyond {BEYOND:.0f} of it and are set aside (rows {named})." if aside.size else ""
    reasons = []
    if lead.moved > MOVED:
        away = "nowhere" if not np.isfinite(lead.moved) else f"{format_short(lead.ratio, 3)} times that of a robust fit"
        far = f", {lead.moved:.1f} standard deviations away" if np.isfinite(lead.moved) else ""
        reasons.append(f"at {TARGET:.0f} times the largest compute their N* is {away}{far}")
    if lead.heavy:
        reasons.append(
            f"the mean size of their residuals is {lead.tails:.2f} of the root mean square, where Gaussian noise has "
            f"{GEARY:.2f}"
        )
    falling = ", with a weight that falls with a run's excess over the best of its budget" if falls else ""
    text = (
        f"Squares would be led by runs far from the rest: {', and '.join(reasons)}. The fit is robust instead: "
        f"log-Huber at the spread of the runs near the valley ({core.spread:.2%} of the loss){falling}.{said}"
    )
    return Note("robust", text)
