"""check_plan(): a planned sweep and the usual grid, put to the test in simulated studies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lawful.core.numbers import format_short, format_value
from lawful.core.objective import Objective
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Shown
from lawful.core.typing import Array
from lawful.core.validation import is_positive
from lawful.design.design import Planned
from lawful.design.plan import Plan, simulate
from lawful.errors import UnsupportedError
from lawful.estimate.solvers import VarPro, prepare, resolve
from lawful.laws.surface import Surface, optimum_of


@dataclass(frozen=True, slots=True)
class Rehearsal(Shown):
    """
    Standard errors over simulated studies.

    Attributes
    ----------
    studies : int
    noise : float
        Standard deviation of the loss, nats.
    error, grid_error : float
        Standard deviation of ln N* (or of the loss) at the target, of the plan and of the grid.
    predicted, grid_predicted : float
        What the information matrix foretold at this noise, with the prior taken for the truth.
    bias, grid_bias : float
        Mean error.

    Examples
    --------
    >>> prior = lawful.Surface.named("besiroglu")
    >>> found = lawful.plan([1e18, 1e19, 1e20], target=1e24, prior=prior, total_flops=1e21)
    >>> tried = check_plan(found, studies=300, noise=0.003)
    >>> bool(0.8 < tried.error / tried.predicted < 1.25)
    True
    """

    studies: int
    noise: float
    error: float
    grid_error: float
    predicted: float
    grid_predicted: float
    bias: float
    grid_bias: float

    def sheets(self) -> tuple[Sheet]:
        """Return the errors of the plan and of the grid."""
        rows = (
            row("standard error", Cell(self.error, "ratio"), Cell(self.grid_error, "ratio")),
            row("as foretold", Cell(self.predicted, "ratio"), Cell(self.grid_predicted, "ratio")),
            row("mean error", Cell(self.bias, "ratio"), Cell(self.grid_bias, "ratio")),
        )
        said = f"The grid's standard error is {format_value(self.gain, 3)} times as large."
        if not self.gain > 1:
            said = f"The grid's standard error is no larger: {format_value(self.gain, 3)} of the plan's."
        title = f"{self.studies} simulated studies with noise {format_short(self.noise)}."
        return (Sheet(title, (), ("", "plan", "grid"), rows, "", (said,)),)

    @property
    def gain(self) -> float:
        """Standard error of the grid over that of the plan."""
        return self.grid_error / self.error


def check_plan(
    planned: Planned,
    *,
    studies: int = 1000,
    noise: float = 0.01,
    seed: int = 0,
    truth: Surface | None = None,
    grid: Plan | None = None,
) -> Rehearsal:
    """
    Simulate studies of a planned sweep and of the grid, and fit every one.

    Parameters
    ----------
    planned : Planned
    studies : int
        Simulated studies of each, >= 2.
    noise : float
        Standard deviation of the loss in nats, > 0.
    seed : int
    truth : Surface, optional
        What the runs really obey; the prior by default. Another one shows what a wrong prior costs.
    grid : Plan, optional
        The sweep to compare with; that of the plan by default.

    Returns
    -------
    Rehearsal

    Raises
    ------
    UnsupportedError
        If there are fewer than two studies, or the noise is not positive.

    Examples
    --------
    >>> prior = lawful.Surface.named("symmetric")
    >>> from lawful.design.design import Sweep
    >>> sweep = Sweep(tokens_per_param=(1e-3, 1e3))
    >>> found = lawful.plan([1e18, 1e19, 1e20], target=1e23, prior=prior, total_flops=1e21, sweep=sweep)
    >>> tried = check_plan(found, studies=200, noise=0.002)
    >>> tried.gain > 1.2
    True
    """
    if studies < 2 or not is_positive(noise):
        msg = f"A rehearsal needs at least two studies and noise above 0 nats, got {studies} and {noise!r}."
        raise UnsupportedError(msg)
    world = (truth or planned.prior).as_two_powers("A rehearsal")
    sweeps = [planned.plan, planned.grid if grid is None else grid]
    errors = [_errors(planned, world, sweep, studies, noise, [seed, i]) for i, sweep in enumerate(sweeps)]
    (spread, mean), (grid_spread, grid_mean) = ((float(np.nanstd(e, ddof=1)), float(np.nanmean(e))) for e in errors)
    foretold = noise * planned.error, noise * planned.grid_error
    return Rehearsal(studies, noise, spread, grid_spread, *foretold, mean, grid_mean)


def _errors(planned: Planned, world: Surface, sweep: Plan, studies: int, noise: float, seed: list[int]) -> Array:
    """Error of the decision in every study, shape (studies,): refits from the truth as one batch."""
    runs = simulate(world, _with_given(planned, sweep))
    law = world.law
    problem = prepare(runs, law, Objective.squared(), {}, {})
    losses = runs.L + np.random.default_rng(seed).normal(0.0, noise, (studies, len(runs)))
    start = problem.to_z(np.array([[world[name] for name in law.names]]))
    found = problem.to_coefficients(resolve(problem, start, VarPro(), losses=losses).z)
    k = dict(zip(law.names, found.T, strict=True))
    best, true = optimum_of(law, k, planned.target, world.cost), world.optimum(planned.target)
    if planned.sweep.decision == "loss":
        return np.asarray(best.loss - true.loss)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.log(best.params) - np.log(true.params)
    return np.where(np.isfinite(error), error, np.nan)


def _with_given(planned: Planned, sweep: Plan) -> Plan:
    if planned.given is None:
        return sweep
    old = planned.given
    return Plan(*(np.concatenate([a, b]) for a, b in ((old.N, sweep.N), (old.D, sweep.D), (old.C, sweep.C))))
