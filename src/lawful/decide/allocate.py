"""Where to spend a budget: N*, D*, the loss there, and the price of another choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lawful.core.numbers import format_flops
from lawful.core.sheet import Cell, Sheet, quantity
from lawful.core.shown import Shown
from lawful.core.typing import Interval
from lawful.core.validation import check_budget, is_positive
from lawful.decide.deadweight import Deadweight, deadweight
from lawful.errors import UnsupportedError
from lawful.estimate.result import Fit, FrontierFit
from lawful.laws.surface import Surface
from lawful.uncertainty.bootstrap import Draws
from lawful.uncertainty.intervals import Intervals, as_intervals

QUICK_DRAWS = 2000
"""Refits of Approach 2 behind the interval that an allocation shows of its price."""


@dataclass(frozen=True, slots=True)
class Allocation(Shown):
    """
    How to spend one budget.

    Attributes
    ----------
    budget : float
        FLOPs.
    params, tokens : float
        Compute-optimal parameters and tokens, as counted.
    loss : float or None
        Predicted loss in nats per token; None for a method without a surface.
    tokens_per_param : float
    interval : mapping of str to (float, float), or None
        Intervals of params, tokens and loss.
    deadweight : Deadweight or None
        What Approach 2 would have lost at this budget.

    Examples
    --------
    >>> import lawful
    >>> best = lawful.Surface.named("hoffmann").allocate(1e21)
    >>> print(f"{best.params:.4g} {best.tokens_per_param:.1f} {best.interval}")
    2.215e+09 34.0 None
    """

    budget: float
    params: float
    tokens: float
    loss: float | None
    tokens_per_param: float
    interval: Mapping[str, Interval] | None = None
    deadweight: Deadweight | None = None
    prediction: Mapping[str, Interval] | None = None

    def sheets(self) -> tuple[Sheet]:
        """Return what the budget buys."""
        return (allocation_sheet(self, f"Compute-optimal at {format_flops(self.budget)}."),)


ROWS = {
    "params": "parameters N*",
    "tokens": "tokens D*",
    "tokens_per_param": "tokens per parameter",
    "loss": "loss L*",
    "prediction": "loss of one new run",
    "deadweight": "deadweight of {}, FLOPs",
    "fraction": "deadweight, share of the budget",
}
"""What an allocation tells, in words."""


def allocation_cells(one: Allocation) -> dict[str, Cell]:
    """Return everything that an allocation tells, by the names of ``ROWS``; what it does not tell is absent."""
    ends = one.interval or {}
    cells = {name: quantity(name, getattr(one, name), ends.get(name))[1] for name in ("params", "tokens", "loss")}
    cells["tokens_per_param"] = Cell(one.tokens_per_param, "count")
    if one.loss is None:
        del cells["loss"]
    new_run = (one.prediction or {}).get("loss")
    if new_run is not None:
        cells["prediction"] = Cell(None, "nats", *new_run)
    lost = one.deadweight
    if lost is not None:
        span = lost.interval or (None, None)
        share = (None, None) if lost.interval is None else (end / one.budget for end in lost.interval)
        cells["deadweight"], cells["fraction"] = Cell(lost.flops, "flops", *span), Cell(lost.fraction, "share", *share)
    return {name: cells[name] for name in ROWS if name in cells}


def allocation_sheet(
    one: Allocation, title: str, *, interval: str = "interval", beside: FrontierFit | None = None
) -> Sheet:
    """
    Return one budget's decision.

    Parameters
    ----------
    one : Allocation
    title : str
    interval : str
        Head of the intervals.
    beside : FrontierFit, optional
        Another method whose choice stands beside it.
    """
    cells = allocation_cells(one)
    lost = one.deadweight
    words = {name: text.format(lost.of) if lost else text for name, text in ROWS.items()}
    rows: list[tuple[Cell, ...]] = [(Cell(words[name], "text"), cell) for name, cell in cells.items()]
    columns: tuple[str, ...] = ("", "value")
    if beside is not None:
        n, d = (float(getattr(beside.frontier, name)(one.budget)) for name in ("params", "tokens"))
        other = {"params": n, "tokens": d, "tokens_per_param": d / n}
        rows = [(*row, Cell(other.get(name), "count")) for name, row in zip(cells, rows, strict=True)]
        columns = (*columns, beside.method)
    said = () if lost is None else (lost.sentence,)
    return Sheet(title, (), columns, tuple(rows), interval, said)


def allocate(
    source: Fit | FrontierFit | Surface,
    budget: float,
    *,
    params: float | None = None,
    tokens_per_param: float | None = None,
    draws: Draws | Intervals | None = None,
    level: float = 0.9,
    versus: FrontierFit | None = None,
    truth: Fit | None = None,
) -> Allocation:
    """
    Spend a budget: at the optimum, at a given size, or at given tokens per parameter.

    Parameters
    ----------
    source : Fit, FrontierFit or Surface
        A surface gives N*, D* and L*; a frontier gives N* and D* from its two lines.
    budget : float
        FLOPs, > 0.
    params : float, optional
        Spend it on a model of this size instead.
    tokens_per_param : float, optional
        Spend it at this ratio instead.
    draws : Draws or Intervals, optional
        Bootstrap draws of the same source, or intervals by another method.
    level : float
        Coverage the intervals aim at.
    versus : FrontierFit, optional
        Another method whose choice is priced on the surface (Approach 2); with an interval where ``draws`` are given.
    truth : Fit, optional
        Surface that prices a frontier's own choice.

    Returns
    -------
    Allocation

    Raises
    ------
    UnsupportedError
        If the budget is not positive, or a detour is asked of a method without a surface.

    Examples
    --------
    >>> import lawful
    >>> best = lawful.Surface.named("besiroglu").allocate(5.76e23)
    >>> print(f"{best.params:.3g} parameters, {best.tokens:.3g} tokens, {best.tokens_per_param:.1f} per parameter")
    7.22e+10 parameters, 1.33e+12 tokens, 18.4 per parameter

    The same budget on a model that is cheaper to serve:

    >>> small = lawful.Surface.named("besiroglu").allocate(5.76e23, params=2e10)
    >>> print(f"{small.tokens:.3g} tokens, {small.loss - best.loss:+.4f} nats")
    4.8e+12 tokens, +0.0167 nats
    """
    c = check_budget(budget)
    if params is not None and tokens_per_param is not None:
        msg = "Give either params or tokens_per_param, not both."
        raise UnsupportedError(msg)
    detour = params if params is not None else tokens_per_param
    if detour is not None and not is_positive(detour):
        msg = f"params and tokens_per_param must be positive numbers, got {detour!r}."
        raise UnsupportedError(msg)
    sure = as_intervals(draws, level)
    if isinstance(source, FrontierFit):
        if detour is not None:
            msg = f"{source.method} has no surface, so it cannot price a detour; fit with vpnls or approach3."
            raise UnsupportedError(msg)
        n, d = float(source.frontier.params(c)), float(source.frontier.tokens(c))
        return Allocation(c, n, d, None, _ratio(d, n), _intervals(sure, c), _price(truth, source, c, level))
    surface = source if isinstance(source, Surface) else source.surface
    if params is not None:
        point = surface.at_params(c, params)
    elif tokens_per_param is not None:
        point = surface.at_ratio(c, tokens_per_param)
    else:
        point = surface.optimum(c)
    n, d, loss = (float(v) for v in point)
    interval: dict[str, Interval] | None = None
    prediction: dict[str, Interval] | None = None
    if sure is not None and detour is None:
        interval, prediction = _intervals(sure, c), {"loss": sure.prediction(budget=c)}
    elif sure is not None:
        interval, prediction = {"loss": sure.of("loss_at", point=(n, d))}, {"loss": sure.prediction(point=(n, d))}
    lost = _price(source, versus, c, level, QUICK_DRAWS if sure else 0) if isinstance(source, Fit) else None
    return Allocation(c, n, d, loss, _ratio(d, n), interval, lost, prediction)


def withheld(allocation: Allocation, *names: str) -> Allocation:
    """
    Return an allocation without numbers that cannot be had, nor what follows from them.

    Parameters
    ----------
    allocation : Allocation
    *names : str
        Of ``params``, ``tokens`` and ``loss`` those whose intervals cannot be had either.
    """
    interval = allocation.interval
    if interval is not None:
        interval = {name: ends for name, ends in interval.items() if name not in names}
    nothing = float("nan")
    lost = "loss" in names
    return replace(
        allocation,
        params=nothing,
        tokens=nothing,
        tokens_per_param=nothing,
        loss=None if lost else allocation.loss,
        interval=interval,
        prediction=None if lost else allocation.prediction,
        deadweight=None,
    )


def _intervals(sure: Intervals | None, budget: float) -> dict[str, Interval] | None:
    """Intervals of what is printed at a budget."""
    if sure is None:
        return None
    names = ("params", "tokens", "loss") if sure.fit.surface is not None else ("params", "tokens")
    return {name: sure.of(name, budget=budget) for name in names}


def _price(
    truth: Fit | None, choice: FrontierFit | None, budget: float, level: float, draws: int = 0
) -> Deadweight | None:
    """Deadweight of a frontier's D* at a budget; how sure it is with refits of the choice alone."""
    if truth is None or choice is None or not truth.surface.law.allocates:
        return None
    sides = "simulated" if choice.method == "approach2" else "choice"
    found = deadweight(truth, choice, budget, draws=draws, sides=sides, level=level)
    return found if np.isfinite(found.flops) else None


def _ratio(tokens: float, params: float) -> float:
    """Tokens per parameter; infinite where the optimum has no parameters (A is 0)."""
    return tokens / params if params > 0 else float("inf")
