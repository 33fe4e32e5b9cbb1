"""Where to spend a budget: N*, D*, the loss there, and the price of another choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lawful.core.notes import Note
from lawful.core.numbers import format_flops
from lawful.core.sheet import Cell, Sheet, quantity
from lawful.core.shown import Shown
from lawful.core.typing import Interval
from lawful.core.validation import check_budget, is_positive
from lawful.data.runs import Runs
from lawful.decide.deadweight import UNTOLD, Deadweight, deadweight
from lawful.decide.priced import price_by
from lawful.decide.spending import Bought, buy
from lawful.decide.token_cost import TokenCost, price_of
from lawful.errors import UnsupportedError
from lawful.estimate.result import Fit, FrontierFit, surface_of
from lawful.laws.surface import Surface
from lawful.trust.verdict import Judgement, judge
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
    prediction : mapping of str to (float, float), or None
        Interval of the loss of one new run.
    priced : Bought or None
        Where the budget is not counted as 6ND: what a run costs, every column of the best one, the limits it reaches.
    notes : tuple of Note
        Why a number cannot be had, or why the law behind it is refused; asked of a fit.

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
    priced: Bought | None = None
    notes: tuple[Note, ...] = ()

    def sheets(self) -> tuple[Sheet]:
        """Return what the budget buys."""
        sheet = allocation_sheet(self, f"Compute-optimal at {format_flops(self.budget)}.")
        return (replace(sheet, notes=self.notes),)


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
    if one.priced is not None:
        cells = {name: cell for name, cell in cells.items() if name == "loss" or np.isfinite(cell.value or np.nan)}
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
    if one.priced is not None:
        own = {w: v for w, v in one.priced.columns.items() if v not in (one.params, one.tokens)}
        more = [
            (Cell(w, "text"), Cell(v, "count", *((one.interval or {}).get(w, (None, None))))) for w, v in own.items()
        ]
        rows = [*more, *rows] if beside is None else rows
    said = () if lost is None else (lost.sentence,)
    if one.priced is not None and one.priced.reached:
        said = (*said, f"Reached: {'; '.join(one.priced.reached)}.")
    return Sheet(title, (), columns, tuple(rows), interval, said)


def allocate(
    source: Fit | FrontierFit | Surface,
    budget: float,
    *,
    params: float | None = None,
    tokens_per_param: float | None = None,
    cost: str | None = None,
    limits: Sequence[str] = (),
    given: Mapping[str, float] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
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
        FLOPs, > 0. Where the table of a fit counts FLOPs that are not 6ND and follow the model size, a budget is
        counted as the table counts it; with ``cost`` it is in the unit of that.
    params : float, optional
        Spend it on a model of this size instead.
    tokens_per_param : float, optional
        Spend it at this ratio instead.
    cost : str, optional
        What a run costs, a formula of the columns that the law of a fit reads: ``6*active_params*tokens``.
    limits : sequence of str
        What a run must respect: ``active_params*num_experts <= 1e11``.
    given : mapping of str to float, optional
        Columns that are held.
    ranges : mapping of str to (float, float), optional
        Where a column may lie; those that are neither model size nor tokens within what was sampled if not given.
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

    A law of other columns, at a price of one's own, within a memory:

    >>> text = "val_loss = E + A/(active_params^alpha*num_experts^gamma) + B/tokens^beta"
    >>> fit = lawful.fit("examples/moe_runs.csv", law=text)
    >>> best = fit.allocate(1e22, cost="6*active_params*tokens", limits=["active_params*num_experts <= 2e10"])
    >>> print(f"{best.params:.2g} active parameters, {best.priced.columns['num_experts']:.1f} experts")
    1.9e+09 active parameters, 10.6 experts
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
    if cost or limits or given or ranges or _counts_otherwise(source):
        held = {"params": params, "tokens_per_param": tokens_per_param}
        rules = {"limits": limits, "given": given, "ranges": ranges}
        return _priced(source, c, held, cost, rules, sure)
    if source.surface is None:
        if detour is not None:
            surface_of(source, ", so it cannot price a detour")
        n, d = float(source.frontier.params(c)), float(source.frontier.tokens(c))
        return Allocation(c, n, d, None, _ratio(d, n), _intervals(sure, c), _price(truth, source, c, level))
    point, interval, prediction = _on_surface(source.surface, c, params, tokens_per_param, sure)
    n, d, loss = (float(v) for v in point)
    lost = None if source.runs is None else _price(source, versus, c, level, QUICK_DRAWS if sure else 0)
    return Allocation(c, n, d, loss, _ratio(d, n), interval, lost, prediction)


def _counts_otherwise(source: Fit | FrontierFit | Surface) -> bool:
    """Whether a law that trades size against tokens was fitted to a table whose FLOPs are not 6ND."""
    if source.runs is None or source.surface is None:
        return False
    return source.surface.law.allocates and isinstance(price_of(source), TokenCost)


OwnIntervals = Mapping[str, Interval] | None


def _on_surface(
    surface: Surface, c: float, params: float | None, tokens_per_param: float | None, sure: Intervals | None
) -> tuple[Any, OwnIntervals, OwnIntervals]:
    """The optimum of a budget counted as 6ND, or a detour from it, with the intervals that belong to it."""
    if params is not None:
        point = surface.at_params(c, params)
    elif tokens_per_param is not None:
        point = surface.at_ratio(c, tokens_per_param)
    else:
        point = surface.optimum(c)
        if sure is not None:
            return point, _intervals(sure, c), {"loss": sure.prediction(budget=c)}
    if sure is None:
        return point, None, None
    at = (float(point.params), float(point.tokens))
    return point, {"loss": sure.of("loss_at", point=at)}, {"loss": sure.prediction(point=at)}


def _priced(
    source: Fit | FrontierFit | Surface,
    budget: float,
    detour: Mapping[str, float | None],
    cost: str | None,
    rules: Mapping[str, Any],
    sure: Intervals | None,
) -> Allocation:
    """Spend a budget at a price that is not 6ND, or under limits."""
    if source.runs is None or source.surface is None:
        what = "a surface has no table" if source.runs is None else f"{source.method} has no surface"
        msg = f"cost, limits, given and ranges speak of the columns of a fit, and {what}; fit with vpnls or approach3."
        raise UnsupportedError(msg)
    given, limits = dict(rules["given"] or {}), list(rules["limits"])
    if detour["params"] is not None:
        given["N"] = detour["params"]
    if detour["tokens_per_param"] is not None:
        ratio = float(detour["tokens_per_param"])
        limits += [f"D <= {ratio!r}*N", f"D >= {ratio!r}*N"]
    bought = buy(source, budget, price_by(source, cost), sure, **{**rules, "given": given, "limits": limits})
    n, d = (np.nan if v is None else v for v in (bought.params, bought.tokens))
    if any(detour.values()):
        own = bought.interval and {"loss": bought.interval["loss"]}
        kept = tuple(text for text in bought.reached if text not in limits[len(rules["limits"]) :])
        bought = replace(bought, interval=own, reached=kept)
    return Allocation(budget, n, d, bought.loss, _ratio(d, n), bought.interval, None, bought.prediction, bought)


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
    bought = allocation.priced
    if bought is not None:
        bought = replace(bought, columns={}, params=None, tokens=None, budget_6nd=None, interval=None, prediction=None)
    return replace(
        allocation,
        priced=bought,
        params=nothing,
        tokens=nothing,
        tokens_per_param=nothing,
        loss=None if lost else allocation.loss,
        interval=interval,
        prediction=None if lost else allocation.prediction,
        deadweight=None,
    )


def as_judged(allocation: Allocation, judged: Judgement, runs: Runs, pricing: Judgement) -> Allocation:
    """
    Return an allocation without the numbers that the runs do not tell, and without an accusation that they do not bear.

    Where the optimum is merely wide of a factor of ten, the loss there is told all the same; the note has the ends.
    """
    lost = allocation.deadweight
    if lost is not None and pricing.verdict in UNTOLD:
        allocation = replace(allocation, deadweight=replace(lost, as_good=UNTOLD[pricing.verdict]))
    if not judged.withholds(allocation.budget, runs):
        return allocation
    return withheld(allocation, "params", "tokens", *(() if judged.reason == "wide" else ("loss",)))


def allocate_told(fit: Fit | FrontierFit, budget: float, **terms: Any) -> Allocation:
    """
    Spend a budget as the runs tell; a size or a ratio that is held is no answer of theirs.

    Parameters
    ----------
    fit : Fit or FrontierFit
    budget : float
        FLOPs, > 0.
    **terms
        Those of :func:`allocate`.

    Returns
    -------
    Allocation
        With NaN for what cannot be had, and the notes that say why.

    Examples
    --------
    >>> N = np.geomspace(2e7, 5e9, 10)
    >>> loss = lawful.Surface.named("chinchilla").loss(N, 20 * N) * np.exp(0.001 * np.cos(np.arange(10)))
    >>> ladder = lawful.fit(lawful.Runs.from_arrays(N, 20 * N, loss), method="vpnls")
    >>> best = allocate_told(ladder, 1e21)
    >>> best.params, best.notes[0].code
    (nan, 'not_identified')
    """
    made = allocate(fit, budget, **terms)
    if terms.get("params") is not None or terms.get("tokens_per_param") is not None:
        return made
    judged, truth = judge(fit, [made.budget]), terms.get("truth")
    pricing = judge(truth) if fit.surface is None and truth is not None else judged
    return replace(as_judged(made, judged, fit.core.runs, pricing), notes=judged.notes)


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
