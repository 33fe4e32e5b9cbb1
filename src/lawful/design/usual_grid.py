"""plan_grid(): the usual IsoFLOP grid as runs to launch, with seeds on some of its cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lawful.core.numbers import format_short
from lawful.core.typing import Array
from lawful.core.validation import check_budget
from lawful.data.runs import Runs
from lawful.design.design import Candidates, Planned, Sweep, at_budget, check_sweep, determined
from lawful.design.information import Centre, decision_slope, information, sensitivities, variance
from lawful.design.plan import Plan, plan_isoflop
from lawful.design.shapes import Shapes
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.result import Fit, surface_of
from lawful.laws.surface import Surface


def plan_grid(
    budgets: Sequence[float],
    *,
    target: float,
    prior: Fit | Surface,
    sizes: int = 7,
    width: float = 8.0,
    repeats: int = 3,
    total_flops: float | None = None,
    given: Runs | None = None,
    decision: str = "params",
    shapes: Shapes | None = None,
) -> Planned:
    """
    Lay out the usual grid around a prior's optimum, with seeds that tell the noise.

    Several seeds are trained of every second size at the smaller half of the budgets (rounded
    up), where they are cheap.

    Parameters
    ----------
    budgets : sequence of float
        FLOPs, distinct and > 0; one is enough.
    target : float
        Budget of the decision, FLOPs.
    prior : Fit or Surface
        What is believed now; every budget's sizes are centred on its optimum.
    sizes : int
        Sizes per budget, both ends included, >= 2.
    width : float
        The k of a grid of ±k×, > 1.
    repeats : int
        Seeds of the repeated cells, >= 1.
    total_flops : float, optional
        Compute that the grid must not exceed.
    given : Runs, optional
        Runs that are done; they count in the standard error.
    decision : {"params", "loss"}
        What the standard error is of: ln N* or the loss at the target.
    shapes : Shapes, optional
        Models and schedules that can be built; any size if not given.

    Returns
    -------
    Planned
        With layout ``grid``; ``error`` is infinite where the runs do not determine the decision.

    Raises
    ------
    UnsupportedError
        If an argument is out of range, or two sizes become one model.
    IdentificationError
        If the grid costs more than is allowed.

    See Also
    --------
    plan : The sweep that tells most for the same compute.
    plan_isoflop : The grid alone, for simulations.

    Examples
    --------
    >>> prior = lawful.Surface.named("besiroglu")
    >>> found = plan_grid([1e18, 1e19, 1e20], target=1e23, prior=prior, sizes=5, width=4, repeats=2)
    >>> len(found.plan), f"{found.cost:.3g}"
    (19, '5.77e+20')
    """
    surface = surface_of(prior, " to plan from").as_two_powers("A planned sweep")
    check_budget(target)
    if not (repeats >= 1 and float(repeats).is_integer()):
        msg = f"repeats is the number of seeds, a whole number of at least 1, got {repeats!r}."
        raise UnsupportedError(msg)
    C = check_sweep(surface, budgets)
    laid = plan_isoflop(C, sizes, surface=surface, width=width)
    columns = [at_budget(surface, float(c), n, shapes) for c, n in zip(C, laid.N.reshape(C.size, -1), strict=True)]
    _check_distinct(C, [column[0] for column in columns], sizes)
    cells = Candidates(*(np.concatenate(column) for column in zip(*columns, strict=True)))
    second = np.tile(np.arange(sizes) % 2 == 1, C.size)
    smaller = np.repeat(np.arange(C.size) < (C.size + 1) // 2, sizes)
    runs = cells.take(np.repeat(np.arange(cells.N.size), np.where(second & smaller, int(repeats), 1)))
    cost = float(surface.cost.flops(runs.N, runs.D).sum())
    if total_flops is not None and cost > check_budget(total_flops) * (1 + 1e-9):
        msg = (
            f"The grid of {runs.N.size} runs takes {format_short(cost, 4)} FLOPs, but "
            f"{format_short(total_flops, 4)} are allowed; take fewer sizes or seeds, allow more, or leave the "
            f"largest budget out."
        )
        raise IdentificationError(msg)
    rules = Sweep(reach=width, repeats=int(repeats), decision=decision, shapes=shapes)
    error = _error(surface, runs, target, decision, given)
    made = Plan(runs.N, runs.D, runs.budget)
    total = cost if total_flops is None else float(total_flops)
    return Planned(made, runs, made, target, error, error, total, surface, rules, given, layout="grid")


def _check_distinct(C: Array, built: list[Array], sizes: int) -> None:
    """Refuse sizes so close together that the same model stands for two of them."""
    for budget, here in zip(C, built, strict=True):
        kinds = np.unique(here).size
        if kinds < sizes:
            msg = (
                f"At {format_short(budget, 3)} FLOPs {sizes} sizes become only {kinds} models that can be built; "
                f"take fewer sizes, a wider grid, or any size."
            )
            raise UnsupportedError(msg)


def _error(surface: Surface, runs: Candidates, target: float, decision: str, given: Runs | None) -> float:
    """Standard error of the decision per nat of noise, of the runs and those that are done."""
    n, d, weight = runs.N, runs.D, np.ones(runs.N.size)
    if given is not None:
        n, d = np.append(n, given.N), np.append(d, given.D)
        weight = np.append(weight, given.weight)
    centre = Centre(float(np.log(n).mean()), float(np.log(d).mean()))
    rows = sensitivities(surface, n, d, centre)
    if not determined(np.zeros((5, 5)), rows, weight):
        return float("inf")
    return float(np.sqrt(variance(information(rows, weight), decision_slope(surface, target, decision, centre))))
