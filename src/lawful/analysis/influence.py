"""influence(): what becomes of the compute-optimal size when a budget, or one run, is left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lawful.core.numbers import format_count, format_flops
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Shown
from lawful.core.typing import Array, IntArray
from lawful.decide.allocate import allocate
from lawful.errors import IdentificationError
from lawful.estimate.result import Fit, FrontierFit
from lawful.laws.formula import Formula
from lawful.uncertainty.bootstrap import left_out
from lawful.uncertainty.delta import delta
from lawful.uncertainty.linear import corrected_residuals
from lawful.uncertainty.quantity import Quantity, gradient

MOST_RUNS = 2000
"""With more runs than this none of them alone moves an answer, and they are not left out one by one."""
MOST_SHOWN = 12
"""Budgets in a table at most: those that move the answer furthest."""
RUNS_SHOWN = 5
LIKELY = 20
"""Runs, or budgets, that a formula is fitted without in turn, where each of its refits takes long."""
LEAST_GROUP, LEAST_GROUPS = 2, 3
"""Runs that make a budget, and budgets without which leaving one out says little."""


class Without(NamedTuple):
    """
    An answer without some runs.

    Attributes
    ----------
    what : str
        What was left out.
    runs : int
        How many runs that is.
    params : float
        N* without them; NaN where they hold the fit together.
    """

    what: str
    runs: int
    params: float


@dataclass(frozen=True)
class Influence(Shown):
    """
    N* at a budget with all runs, and without one budget or one run.

    Attributes
    ----------
    budget : float
        FLOPs.
    params : float
        N* of all runs.
    budgets : tuple of Without
        Without each training budget in turn, smallest first.
    runs : tuple of Without
        Without each of the runs that move N* most, furthest first.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.004)
    >>> found = influence(lawful.fit(runs), 1e22)
    >>> len(found.budgets), len(found.runs), found.worst.runs
    (3, 5, 9)
    """

    budget: float
    params: float
    budgets: tuple[Without, ...]
    runs: tuple[Without, ...]

    @property
    def worst(self) -> Without:
        """What moves N* most when it is left out."""
        return max((*self.budgets, *self.runs), key=self._moved)

    def _moved(self, one: Without) -> float:
        return abs(np.log(one.params / self.params)) if one.params > 0 else np.inf

    def sheets(self) -> tuple[Sheet]:
        """Return N* without each budget and without the runs that matter most."""
        shown = self.budgets
        if len(shown) > MOST_SHOWN:
            least = sorted(map(self._moved, shown))[-MOST_SHOWN]
            shown = tuple(one for one in shown if self._moved(one) >= least)[:MOST_SHOWN]
        rows = tuple(
            row(
                one.what,
                Cell(float(one.runs), "integer"),
                Cell(one.params, "count"),
                Cell(one.params / self.params - 1, "change"),
            )
            for one in (*shown, *self.runs)
        )
        said = f"N* at {format_flops(self.budget)} is {format_count(self.params)} by all runs; without some of them:"
        return (Sheet(said, (), ("left out", "runs", "N*", "change"), rows),)


def influence(fit: Fit | FrontierFit, budget: float) -> Influence:
    """
    Leave out each training budget, and each run, and say where N* goes.

    Parameters
    ----------
    fit : Fit or FrontierFit
        A finished fit with a compute-optimal size.
    budget : float
        FLOPs at which N* is asked for.

    Returns
    -------
    Influence
        Every refit starts at the answer of all runs.

    Raises
    ------
    IdentificationError
        If there is no compute-optimal size.
    """
    runs, whole = fit.runs, float(allocate(fit, budget).params)
    if not (np.isfinite(whole) and whole > 0):
        msg = "Without a compute-optimal size there is nothing that leaving out runs could move."
        raise IdentificationError(msg)
    known = np.bincount(runs.group) >= LEAST_GROUP
    many = _is_formula(fit) and known.size > LIKELY
    budgets = _without(fit, budget, runs.group) if known.sum() >= LEAST_GROUPS and not many else np.empty(0)
    by_budget = tuple(
        Without(f"budget {format_flops(float(runs.budgets[i]))}", int((runs.group == i).sum()), float(value))
        for i, value in enumerate(budgets)
    )
    if len(runs) > MOST_RUNS:
        return Influence(budget, whole, by_budget, ())
    tried = _likely(fit, budget)
    codes = np.full(len(runs), -1)
    codes[tried] = np.arange(tried.size)
    single = _without(fit, budget, codes)
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = np.where(single > 0, np.abs(np.log(single / whole)), np.inf)
    order = np.argsort(-moved, kind="stable")[:RUNS_SHOWN]
    first, single = tried[order], single[order]
    rows = np.arange(1, len(runs) + 1) if runs.row is None else runs.row
    by_run = tuple(
        Without(
            f"row {rows[i]}: {format_count(float(runs.N[i]))} parameters, {format_count(float(runs.D[i]))} tokens",
            1,
            float(value),
        )
        for i, value in zip(first, single, strict=True)
    )
    return Influence(budget, whole, by_budget, by_run)


def _likely(fit: Fit | FrontierFit, budget: float) -> IntArray:
    """
    Runs that are left out in turn: all of them, but of a formula those that the linearisation says move N* most.

    Without run i the coefficients move by ``inverse slope_i r_i/(1 - h_i)`` to first order.
    """
    every = np.arange(len(fit.runs))
    surface = fit.surface
    if surface is None or not _is_formula(fit) or every.size <= LIKELY:
        return every
    found = delta(fit)
    slope = gradient(Quantity("params", budget), surface.law, found.z, found.problem.centre, surface.cost)
    at = found.linear
    moved = np.nan_to_num(slope)[0] @ at.inverse[0] @ at.slope[0] * corrected_residuals(at, 1.0)[0]
    return np.sort(np.argsort(-np.abs(np.nan_to_num(moved)), kind="stable")[:LIKELY])


def _is_formula(fit: Fit | FrontierFit) -> bool:
    return fit.surface is not None and isinstance(fit.surface.law.form, Formula)


def _without(fit: Fit | FrontierFit, budget: float, codes: IntArray) -> Array:
    return left_out(fit, codes).params(budget)
