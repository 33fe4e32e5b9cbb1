"""The demonstration, fitted all four ways: our own runs, or a synthetic sweep whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lawful.analysis.analysis import Analysis
from lawful.analysis.compare import Unavailable, compare
from lawful.core.shown import Record
from lawful.data.runs import Runs
from lawful.design.plan import plan_isoflop, simulate, study_surface
from lawful.laws.surface import Surface
from lawful.studies import tinysweep
from lawful.trust.fitness import LackOfFit, lack_of_fit

SURFACE = "asymmetric"
BUDGETS = (1e17, 1e18, 1e19, 1e20, 1e21)
POINTS = 15
WIDTH = 8.0
"""Sizes from N*/8 to 8 N*, as in published sweeps."""

DRIFT = 3.0
"""Nobody knows N* beforehand: the centre slips to N*/3 at the largest budget."""

NOISE = 0.02
"""Standard deviation of the loss in nats: seeds of one configuration differ by about as much."""

TARGET = 1e24
SOURCE = "synthetic IsoFLOP sweep (Asymmetric surface, simulated)"


@dataclass(frozen=True)
class Errors(Record):
    """
    How far a method's choice is from the truth at one budget.

    Attributes
    ----------
    method : str
    params, tokens : float
        The method's N* and D*.
    params_error, tokens_error : float
        Relative errors, (found - true)/true.
    wasted : float
        Deadweight Compute Loss of training on its D*, as a share of the budget,
        priced on the true surface.
    """

    method: str
    params: float
    tokens: float
    params_error: float
    tokens_error: float
    wasted: float


@dataclass(frozen=True, eq=False)
class RealDemo(Record):
    """
    Our own sweep, what four methods made of it, what they forecast, and what came.

    Attributes
    ----------
    runs : Runs
    outcomes : tuple of Analysis or Unavailable
        In the order vpnls, approach1, approach2, approach3.
    entries : list of dict
        Forecasts of the target, as a ledger holds them, one per method.
    written : bool
        Whether they were written down before the target was trained; otherwise they were made now.
    target : Runs or None
        The runs that test them; None while they are not trained.
    test : LackOfFit
        The VPNLS fit against its replicates.
    """

    runs: Runs
    outcomes: tuple[Analysis | Unavailable, ...]
    entries: list[dict[str, Any]]
    written: bool
    target: Runs | None
    test: LackOfFit


def run_real_demo(*, progress: Callable[[str], None] | None = None) -> RealDemo:
    """
    Fit the embedded sweep all four ways and forecast 10 times its largest budget.

    Parameters
    ----------
    progress : callable, optional
        Called with a phrase before each stage.

    Returns
    -------
    RealDemo

    Examples
    --------
    >>> demo = run_real_demo()
    >>> [o.method for o in demo.outcomes], demo.test.replicates
    (['vpnls', 'approach1', 'approach2', 'approach3'], 27)
    """
    runs = tinysweep.sweep_runs("second")
    outcomes = compare(runs, budgets=(tinysweep.TARGET,), progress=progress)
    entries = tinysweep.target_forecasts(tinysweep.forecasts(outcomes))
    test = lack_of_fit(tinysweep.surface_of(outcomes))
    written, target = bool(tinysweep.ledger()), tinysweep.own_runs(tinysweep.TESTED)
    return RealDemo(runs, outcomes, entries, written, target, test)


@dataclass(frozen=True, eq=False)
class Demo(Record):
    """
    A simulated sweep, what four methods made of it, and the truth.

    Attributes
    ----------
    truth : Surface
    budget : float
        FLOPs at which the methods are judged.
    outcomes : tuple of Analysis or Unavailable
        In the order vpnls, approach1, approach2, approach3.
    """

    truth: Surface
    budget: float
    outcomes: tuple[Analysis | Unavailable, ...]

    @property
    def errors(self) -> tuple[Errors, ...]:
        """Error of every method that could run, in order."""
        return tuple(_errors(self.truth, o, self.budget) for o in self.outcomes if isinstance(o, Analysis))


def run_demo(*, seed: int = 0, draws: int = 1000, progress: Callable[[str], None] | None = None) -> Demo:
    """
    Simulate a noisy sweep of the Asymmetric surface and fit it all four ways.

    Parameters
    ----------
    seed : int
        Seed of the noise and of the bootstrap, >= 0.
    draws : int
        Bootstrap draws per method.
    progress : callable, optional
        Called with a phrase before each stage.

    Returns
    -------
    Demo

    Examples
    --------
    >>> demo = run_demo(draws=0)
    >>> [e.method for e in demo.errors]
    ['vpnls', 'approach1', 'approach2', 'approach3']
    """
    truth = study_surface(SURFACE)
    plan = plan_isoflop(BUDGETS, POINTS, surface=truth, width=WIDTH, drift=DRIFT)
    runs = replace(simulate(truth, plan, noise=NOISE, seed=seed), source=SOURCE)
    outcomes = compare(runs, budgets=(TARGET,), draws=draws, seed=seed, progress=progress)
    return Demo(truth, TARGET, outcomes)


def _errors(truth: Surface, found: Analysis, budget: float) -> Errors:
    best, chosen = truth.optimum(budget), found.allocations[0]
    wasted = float(truth.deadweight(budget, chosen.tokens)) / budget
    return Errors(
        found.method,
        chosen.params,
        chosen.tokens,
        chosen.params / float(best.params) - 1,
        chosen.tokens / float(best.tokens) - 1,
        wasted,
    )
