"""
Where squares are led by a few runs: a robust fit in their place.

On wide sweeps the largest models of a budget have seen so few tokens that no law holds there, runs diverge, and ends
of curves are undertuned; squared errors follow such runs. The steady fit takes logs of the loss with Huber's delta at
1.345 times the spread of the *core*, the half of the runs nearest the valley, and a weight that falls with a run's
excess over the best loss of its budget. It loses some precision where all is Gaussian, so it takes over only where the
residuals of the squared fit are far wider than the core of the steady one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lawful.core.notes import Note
from lawful.core.objective import Objective
from lawful.core.typing import Array, BoolArray
from lawful.data.runs import Runs
from lawful.estimate.result import Fit

HUBER = 1.345
"""Huber's delta in standard deviations: 95% of the precision of squares where all is Gaussian."""

EXCESS = 5.0
"""A run whose loss the fit puts a share x above the best of its budget weighs 1/(1 + (5x)²): half at 20%."""

BEYOND = 20.0
"""A run farther off than this many standard deviations of the core says nothing about the law, and is set aside."""

WIDER = 4.0
"""The steady fit takes over where residuals of squares are wider than the core's spread by 1 + 4/sqrt(n). Of Gaussian
sweeps that is so in 3 of 100 with 35 runs, in 4 with a ladder of 25, in 1 with 45 (150 simulated sweeps each)."""

LEAST_SPREAD = 2e-4
"""Spread of the core, at least: below it losses are rounded, and nothing tells noise from rounding."""

ROUNDS = 8
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


def core_of(fit: Fit, runs: Runs) -> Core:
    """Spread of log residuals near the valley of a surface with a closed-form optimum; runs of no weight tell none."""
    fitted = runs.L - fit.residuals
    best = np.asarray(fit.surface.optimum(runs.C).loss, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = np.maximum(np.nan_to_num(np.log(fitted / best), nan=0.0, posinf=0.0), 0.0)
        residual = np.log(runs.L / fitted)
    used = np.flatnonzero(runs.weight > 0)
    n = used.size
    half = used[np.argsort(excess[used], kind="stable")[: max(n // 2, 5)]]
    spread = float(np.median(np.abs(residual[half]))) / 0.6745 * np.sqrt(n / max(n - 5, 1))
    return Core(max(spread, LEAST_SPREAD), excess, residual)


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
    used = runs.weight > 0
    if used.sum() < FEWEST or squares.surface.law.terms is None:
        return squares
    least = 1.0 + WIDER / np.sqrt(used.sum())
    wide = float(np.sqrt(np.mean(core_of(squares, runs).residual[used] ** 2)))
    found = refit(runs, Objective("log-huber", START_DELTA))
    core = core_of(found, runs)
    if wide < least * core.spread:
        return squares
    weight, near = runs.weight, np.ones(len(runs), dtype=bool)
    for _ in range(ROUNDS):
        near = np.abs(core.residual) < BEYOND * core.spread
        new = runs.weight * near / (1.0 + (EXCESS * core.excess) ** 2)
        if np.abs(new - weight).max() < 1e-6:
            break
        weight = new
        found = refit(replace(runs, weight=weight), Objective("log-huber", HUBER * core.spread))
        core = core_of(found, runs)
    if found.status.key != "converged" or wide < least * core.spread:
        return squares
    return replace(found, notes=(*found.notes, _note(runs, near | ~used, wide, core)))


def _note(runs: Runs, near: BoolArray, wide: float, core: Core) -> Note:
    rows = np.arange(1, len(runs) + 1) if runs.row is None else runs.row
    aside = rows[~near]
    named = ", ".join(map(str, aside[:5])) + (f" and {aside.size - 5} more" if aside.size > 5 else "")
    said = f" {aside.size} runs lie beyond {BEYOND:.0f} of it and are set aside (rows {named})." if aside.size else ""
    text = (
        f"Squares would be led by runs far from the rest: their residuals are {wide / core.spread:.1f} times as wide "
        f"({wide:.2%} of the loss) as those of the runs near the valley ({core.spread:.2%}). The fit is robust "
        f"instead: log-Huber at that spread, with a weight that falls with a run's excess over the best of its "
        f"budget.{said}"
    )
    return Note("robust", text)
