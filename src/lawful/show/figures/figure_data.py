"""The tables that figures are drawn from: what is shown can also be saved."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from lawful.core.notes import Verdict
from lawful.core.typing import Array, BoolArray, Columns, IntArray
from lawful.estimate.result import Fit, FrontierFit, Parabola

if TYPE_CHECKING:
    from lawful.analysis.analysis import Analysis


CURVE_POINTS = 41
LINE_POINTS = 81
CURVES_WITHOUT_GROUPS = 8
"""Law curves drawn where no budget has three sizes: enough to read, few enough to tell apart."""
LOOK_AHEAD = 10.0
"""Without a target the frontier is drawn this many times beyond the largest training budget."""
TARGET_ROOM = 12.0
"""Beyond the largest target it goes on by this factor, so that values fit beside their points."""
SAME_RUN = 1e-6
"""Relative difference in log N below which an envelope point is one of the runs."""


def kept(make: Callable[[Analysis], dict[str, Columns]]) -> Callable[[Analysis], dict[str, Columns]]:
    """Keep the tables of analyses that are still in use: every figure of a report is drawn from the same ones."""
    made: WeakKeyDictionary[Analysis, dict[str, Columns]] = WeakKeyDictionary()

    @wraps(make)
    def tables(analysis: Analysis) -> dict[str, Columns]:
        known = made.get(analysis)
        if known is None:
            known = made[analysis] = make(analysis)
        return dict(known)

    return tables


@kept
def figure_tables(analysis: Analysis) -> dict[str, Columns]:
    """
    Return everything that the figures of an analysis show, as tables of equal-length columns.

    Parameters
    ----------
    analysis : Analysis
        A fit with what it implies.

    Returns
    -------
    dict of str to table
        ``isoflop_runs``, ``isoflop_curves``, ``isoflop_optima`` (loss against N per budget),
        ``frontier_points``, ``frontier_lines``, ``frontier_targets`` (N* and D* against C),
        ``residuals``, ``residual_medians``. Budgets are in FLOPs, losses and residuals in
        nats per token, params and tokens counted; ``source`` is the method a row belongs to.
        The residual tables have no rows for a fit that predicts no loss (Approach 1).
    """
    residuals = _residuals(analysis)
    runs = analysis.fit.runs
    product = np.exp(np.bincount(runs.group, np.log(runs.N * runs.D)) / np.bincount(runs.group))

    def with_tokens(table: Columns) -> Columns:
        # Along a budget line N D is what its runs have of it, whatever the table counts as FLOPs.
        place = np.abs(np.log(table["budget"])[:, None] - np.log(runs.budgets)).argmin(axis=1)
        return {**table, "tokens": product[place] / table["params"]}

    return {
        "isoflop_runs": _runs(analysis),
        "isoflop_curves": with_tokens(_curves(analysis)),
        "isoflop_optima": with_tokens(_optima(analysis)),
        "frontier_points": _points(analysis),
        "frontier_lines": _lines(analysis),
        "frontier_targets": _targets(analysis),
        "residuals": residuals,
        "residual_medians": _medians(residuals),
    }


def rows_where(table: Columns, **values: Any) -> Columns:
    """
    Return the rows whose columns have the given values.

    Examples
    --------
    >>> table = {"source": np.array(["vpnls", "approach2"]), "loss": np.array([1.0, 2.0])}
    >>> rows_where(table, source="approach2")["loss"].tolist()
    [2.0]
    """
    keep = np.ones(len(next(iter(table.values()))), dtype=bool)
    for name, value in values.items():
        keep &= table[name] == value
    return {name: column[keep] for name, column in table.items()}


def frontiers_of(analysis: Analysis) -> list[Fit | FrontierFit]:
    """Return the fit and, unless it is the fit itself, Approach 2 on the same runs."""
    isoflop = analysis.isoflop
    others = [isoflop] if isoflop is not None and analysis.fit.method != "approach2" else []
    return [analysis.fit, *others]


def parabolas_of(analysis: Analysis) -> tuple[Parabola, ...]:
    """Return the parabolas of Approach 2 where it could run."""
    return next((f.parabolas for f in reversed(frontiers_of(analysis)) if f.surface is None), ())


def tells_frontier(analysis: Analysis) -> bool:
    """Whether any line of optima may be shown: the runs tell none where the decision withholds its own."""
    return bool(np.isfinite(figure_tables(analysis)["frontier_lines"]["params"]).any())


def _stack(rows: list[Columns], columns: tuple[str, ...]) -> Columns:
    """Concatenate tables with the same columns; an empty list gives an empty table."""
    if rows:
        return {name: np.concatenate([row[name] for row in rows]) for name in columns}
    return {name: np.array([], dtype=str if name == "source" else float) for name in columns}


def _runs(analysis: Analysis) -> Columns:
    runs = analysis.fit.runs
    return {"budget": runs.budgets[runs.group], "params": runs.N, "tokens": runs.D, "loss": runs.L}


def _curves(analysis: Analysis) -> Columns:
    """Trace the loss along each budget: the fitted law, and the parabolas of Approach 2."""
    fit, runs = analysis.fit, analysis.fit.runs
    columns = ("source", "budget", "params", "loss")
    rows: list[Columns] = []

    def add(source: str, budget: float, params: Array, loss: Any) -> None:
        same = np.full(params.size, 1.0)
        rows.append(dict(zip(columns, (np.full(params.size, source), budget * same, params, loss), strict=True)))

    if fit.surface is not None:
        for group in _shown_groups(runs.sizes_per_budget):
            budget = float(runs.budgets[group])
            sizes = runs.N[runs.group == group]
            if runs.sizes_per_budget[group] < 3:
                # One or two sizes make no range: the law is drawn over a factor of three to either side.
                sizes = np.exp(np.log(sizes).mean()) * np.array([1 / 3, 3.0])
            params = _span(sizes, float(fit.frontier.params(budget)))
            add(fit.method, budget, params, fit.surface.at_params(budget, params).loss)
    for parabola in parabolas_of(analysis):
        near = runs.N[np.isclose(runs.budgets[runs.group], parabola.budget, rtol=1e-9)]
        if near.size and np.all(np.isfinite(parabola.in_params)):
            params = _span(near, 10.0**parabola.log10_params)
            add("approach2", parabola.budget, params, parabola.loss(params))
    return _stack(rows, columns)


def _shown_groups(sizes: IntArray) -> IntArray:
    """Choose the budgets with three sizes or more; where there are none, a few spread over all budgets."""
    full = np.flatnonzero(sizes >= 3)
    if full.size:
        return full
    return np.unique(np.linspace(0, sizes.size - 1, CURVES_WITHOUT_GROUPS).round().astype(np.intp))


def _span(sampled: Array, optimum: float) -> Array:
    """Choose the sizes to draw a curve over: the sampled ones, and the optimum if it is within a decade of them."""
    low, high = sampled.min(), sampled.max()
    if np.isfinite(optimum) and optimum > 0 and low / 10 <= optimum <= high * 10:
        low, high = min(low, optimum / 1.1), max(high, optimum * 1.1)
    if high <= low * 1.01:
        low, high = low / 3, high * 3
    return np.geomspace(low, high, CURVE_POINTS)


def _optima(analysis: Analysis) -> Columns:
    """Find the compute-optimal size at each training budget, by the fit and by Approach 2."""
    fit, runs = analysis.fit, analysis.fit.runs
    columns = ("source", "budget", "params", "loss")
    rows: list[Columns] = []
    if fit.surface is not None:
        budgets = runs.budgets[_shown_groups(runs.sizes_per_budget)]
        params = np.asarray(fit.frontier.params(budgets))
        # Where A or B is 0, or the runs do not tell the best model, there is nothing to mark.
        interior = np.isfinite(params) & (params > 0) & (analysis.verdict is not Verdict.NOT_IDENTIFIED)
        budgets, params = budgets[interior], params[interior]
        loss = fit.surface.at_params(budgets, params).loss
        rows.append(dict(zip(columns, (np.full(budgets.size, fit.method), budgets, params, loss), strict=True)))
    elif fit.method == "approach1":
        loss = np.array([_loss_of_run(fit, *point) for point in zip(fit.params, fit.tokens, strict=True)])
        values = (np.full(fit.budgets.size, fit.method), fit.budgets, fit.params, loss)
        rows.append(_finite(dict(zip(columns, values, strict=True))))
    # A parabola that opens downward has a vertex, but nothing is optimal there.
    parabolas = [p for p in parabolas_of(analysis) if p.in_params[2] > 0]
    if parabolas:
        params = np.array([10.0**p.log10_params for p in parabolas])
        loss = np.array([p.loss(n) for p, n in zip(parabolas, params, strict=True)])
        budgets = np.array([p.budget for p in parabolas])
        values = (np.full(budgets.size, "approach2"), budgets, params, loss)
        rows.append(_finite(dict(zip(columns, values, strict=True))))
    return _stack(rows, columns)


def _loss_of_run(fit: FrontierFit, params: float, tokens: float) -> float:
    """Return the loss of the run that an envelope point is, NaN if the point is no run."""
    runs = fit.runs
    distance = np.abs(np.log(runs.N / params)) + np.abs(np.log(runs.D / tokens))
    nearest = int(np.argmin(distance))
    return float(runs.L[nearest]) if distance[nearest] < SAME_RUN else float("nan")


def _finite(table: Columns) -> Columns:
    """Keep the rows whose numbers are all finite."""
    numbers = [column for name, column in table.items() if name != "source"]
    keep = np.all(np.isfinite(numbers), axis=0)
    return {name: column[keep] for name, column in table.items()}


def _points(analysis: Analysis) -> Columns:
    """Collect the optima per budget that the lines of Approach 1 and 2 go through."""
    columns = ("source", "budget", "params", "tokens", "bracketed")
    rows = []
    for fit in frontiers_of(analysis):
        if fit.surface is None:
            inside = {p.budget: p.bracketed for p in fit.parabolas}
            bracketed = np.array([float(inside.get(float(b), True)) for b in fit.budgets])
            values = (np.full(fit.budgets.size, fit.method), fit.budgets, fit.params, fit.tokens, bracketed)
            rows.append(_finite(dict(zip(columns, values, strict=True))))
    return _stack(rows, columns)


def _lines(analysis: Analysis) -> Columns:
    """Trace N* and D* from below the smallest budget to beyond the largest target, with the band of the draws."""
    trained = analysis.fit.runs.budgets
    targets = [a.budget for a in analysis.allocations]
    far = max([float(trained.max()) * LOOK_AHEAD, *(TARGET_ROOM * t for t in targets)])
    near = min([float(trained.min()) / 2, *(t / 2 for t in targets)])
    grid = np.unique(np.append(np.geomspace(near, far, LINE_POINTS), trained.max()))
    columns = ("source", "budget", "params", "params_low", "params_high", "tokens", "tokens_low", "tokens_high")
    rows = []
    for fit in frontiers_of(analysis):
        bands = _bands(analysis, grid) if fit is analysis.fit else np.full((4, grid.size), np.nan)
        line = fit.frontier
        told = _told(analysis, fit, grid)
        sizes = (line.params(grid), *bands[:2], line.tokens(grid), *bands[2:])
        values = (np.full(grid.size, fit.method), grid, *(np.where(told, column, np.nan) for column in sizes))
        rows.append(dict(zip(columns, values, strict=True)))
    table = _stack(rows, columns)
    return table | {"extrapolated": (table["budget"] > trained.max()).astype(float)}


def _told(analysis: Analysis, fit: Fit | FrontierFit, budgets: Array) -> BoolArray:
    """Whether a fit's optimum may be shown at budgets: what the decision withholds no figure and no table shows."""
    if fit is analysis.fit:
        return np.array([not analysis.withholds(float(c)) for c in budgets], bool)
    return np.array([analysis.isoflop_at(float(c)) is not None for c in budgets], bool)


def _bands(analysis: Analysis, grid: Array) -> Array:
    """Return the ends of the intervals of N* and D* along a grid of budgets, shape (4, n); NaN without any."""
    sure, surface = analysis.sure, analysis.fit.surface
    if sure is None or (surface is not None and not surface.law.allocates):
        return np.full((4, grid.size), np.nan)
    return np.concatenate([sure.band(name, grid).T for name in ("params", "tokens")])


def _targets(analysis: Analysis) -> Columns:
    """Collect the allocations asked for, with their intervals, and what Approach 2 makes of the same budgets."""
    columns = ("source", "budget", "params", "params_low", "params_high", "tokens", "tokens_low", "tokens_high")
    none = (np.nan, np.nan)
    rows: list[tuple[Any, ...]] = []
    for allocation in analysis.allocations:
        interval = allocation.interval or {}
        ends = (interval.get("params") or none, interval.get("tokens") or none)
        size = (allocation.params, *ends[0], allocation.tokens, *ends[1])
        rows.append((analysis.fit.method, allocation.budget, *size))
        for other in frontiers_of(analysis)[1:]:
            line, budget = other.frontier, allocation.budget
            told = analysis.isoflop_at(budget) is not None
            n, d = (float(line.params(budget)), float(line.tokens(budget))) if told else none
            size = (n, *none, d, *none)
            rows.append((other.method, budget, *size))
    if not rows:
        return _stack([], columns)
    table = {name: np.array([row[i] for row in rows]) for i, name in enumerate(columns)}
    return {name: column if name == "source" else column.astype(float) for name, column in table.items()}


def _residuals(analysis: Analysis) -> Columns:
    """Subtract fitted from observed loss per run, against the law or, for Approach 2, the parabola of its budget."""
    fit, runs = analysis.fit, analysis.fit.runs
    values = np.full(len(runs), np.nan)
    if fit.surface is not None:
        values = fit.residuals
    elif fit.method == "approach2":
        for parabola in fit.parabolas:
            here = np.isclose(runs.budgets[runs.group], parabola.budget, rtol=1e-9)
            values[here] = runs.L[here] - parabola.loss(runs.N[here])
    keep = np.isfinite(values)
    table = {"budget": runs.budgets[runs.group], "params": runs.N, "tokens": runs.D, "residual": values}
    return {name: column[keep] for name, column in table.items()}


def _medians(residuals: Columns) -> Columns:
    budgets = np.unique(residuals["budget"])
    medians = [float(np.median(residuals["residual"][residuals["budget"] == b])) for b in budgets]
    return {"budget": budgets, "residual": np.array(medians, float)}
