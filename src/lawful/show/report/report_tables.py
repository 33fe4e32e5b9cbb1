"""The tables of a report: every figure and every number on the page is drawn from one that is also saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.analysis.evidence import Evidence
from lawful.approach2.bias import PARTS, Bias
from lawful.checks.check import Checked, row_numbers
from lawful.checks.rules import KEPT
from lawful.core.cost import Cost
from lawful.data.columns import normalise
from lawful.data.runs import Runs
from lawful.decide.allocate import Allocation
from lawful.decide.indifference import Indifference
from lawful.estimate.result import Fit
from lawful.show.figures.figure_data import Table, figure_tables
from lawful.show.files.document import has_frontier, strict
from lawful.uncertainty.dial import AsymptoteDial

REGION_POINTS = 161
REGION_ROOM = 2.0
"""The valley is drawn this many times beyond the indifferent sizes on either side."""

MOST_EMBEDDED = 4000
"""Rows of a table that a page carries; the saved table has all of them."""

RUN_NAMES = ("run", "name", "runname", "runid", "id", "label", "model", "modelname", "displayname")
"""Columns that name a run, in the order in which they are looked for."""

NOWHERE = (float("nan"), float("nan"))


def report_tables(evidence: Evidence) -> dict[str, Table]:
    """
    Return every table that a report shows, as columns of equal length.

    Parameters
    ----------
    evidence : Evidence
        What the report rests on.

    Returns
    -------
    dict of str to table
        Those of :func:`~lawful.show.figures.figure_data.figure_tables`, the runs with what hovering over
        one says, and ``methods``, ``method_targets``, ``coefficients``, ``allocations``, ``dial``,
        ``valley``, ``indifference``, ``bias`` and ``check``. What a fit does not have is absent.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.005)
    >>> from lawful.analysis.evidence import gather
    >>> tables = report_tables(gather(lawful.analyse(runs, budgets=[1e22])))
    >>> tables["methods"]["method"].tolist(), tables["allocations"]["budget"].tolist()
    (['vpnls', 'approach3', 'approach2', 'approach1'], [1e+22])
    """
    analysis = evidence.analysis
    tables = figure_tables(analysis)
    tables["isoflop_runs"] = _runs(evidence)
    if tables["residuals"]["residual"].size:
        tables["residuals"] = _residuals(tables["residuals"])
    tables["methods"] = _methods(evidence)
    tables["method_targets"] = _method_targets(evidence)
    tables["coefficients"] = coefficient_table(analysis)
    tables["allocations"] = allocation_table(analysis.allocations)
    if isinstance(evidence.dial, AsymptoteDial):
        tables["dial"] = {"budget": np.full(evidence.dial.table["E"].size, evidence.dial.budget), **evidence.dial.table}
    if isinstance(evidence.region, Indifference) and analysis.fit.surface is not None:
        tables["valley"] = valley_table(analysis.fit, evidence.region)
        tables["indifference"] = _region(evidence.region, analysis)
    if isinstance(evidence.bias, Bias):
        tables["bias"] = _bias(evidence.bias, evidence)
    if isinstance(evidence.checked, Checked):
        counts = evidence.checked.counts
        tables["check"] = {"rule": np.array(list(counts)), "runs": np.array(list(counts.values()))}
    return {name: table for name, table in tables.items() if len(next(iter(table.values())))}


def run_label(runs: Runs) -> tuple[str, list[str]] | None:
    """
    Return the column that names the runs and its values; None where no column does.

    Examples
    --------
    >>> runs = Runs.from_arrays([1e8, 2e8], [2e9, 1e9], [3.1, 3.2], labels={"Run ID": np.array(["a", "b"])})
    >>> run_label(runs)
    ('Run ID', ['a', 'b'])
    """
    known = {normalise(name).replace("_", ""): name for name in reversed(list(runs.labels))}
    for wanted in RUN_NAMES:
        if wanted in known:
            name = known[wanted]
            return name, [str(value) for value in runs.labels[name].tolist()]
    return None


def _runs(evidence: Evidence) -> Table:
    analysis = evidence.analysis
    runs = analysis.fit.runs
    table = dict(figure_tables(analysis)["isoflop_runs"])
    table["tokens_per_param"] = runs.D / runs.N
    table["row"] = row_numbers(runs)
    if analysis.fit.surface is not None:
        table["residual"] = analysis.fit.residuals
    if isinstance(evidence.checked, Checked):
        reason = evidence.checked.reason_of(runs)
        table["check"] = np.array(["" if code == KEPT else code for code in reason.tolist()])
    named = run_label(runs)
    if named is not None:
        table["label"] = np.array(named[1])
    return table


def _residuals(table: Table) -> Table:
    """Give every residual its place: the column of its budget, and within it from small to large models."""
    place = np.empty(table["budget"].size)
    for column, budget in enumerate(np.unique(table["budget"])):
        here = np.flatnonzero(table["budget"] == budget)
        rank = np.argsort(np.argsort(table["params"][here], kind="stable"))
        place[here] = column + 0.7 * ((rank + 0.5) / here.size - 0.5)
    return {**table, "place": place}


def _ends(name: str, pairs: Iterable[tuple[float, float]]) -> dict[str, Any]:
    low, high = np.array([*pairs], float).reshape(-1, 2).T
    return {f"{name}_low": low, f"{name}_high": high}


def _found(evidence: Evidence) -> list[Analysis]:
    return [outcome for outcome in evidence.outcomes if isinstance(outcome, Analysis)]


def _methods(evidence: Evidence) -> Table:
    """Return the exponents of every method with their intervals; for one that could not be fitted, why."""
    table: dict[str, Any] = {"method": np.array([outcome.method for outcome in evidence.outcomes])}
    for name in ("a", "b"):
        fits = [o if isinstance(o, Analysis) else None for o in evidence.outcomes]
        table[name] = np.array([np.nan if a is None else getattr(a.fit.frontier, name) for a in fits])
        table |= _ends(name, (NOWHERE if a is None else a.interval(name) for a in fits))
    table["reason"] = np.array(["" if isinstance(o, Analysis) else o.note.message for o in evidence.outcomes])
    return table


def _method_targets(evidence: Evidence) -> Table:
    found = _found(evidence)
    rows = [(a.method, allocation) for a in found for allocation in a.allocations]
    table = allocation_table([allocation for _, allocation in rows])
    return {"method": np.array([method for method, _ in rows]), **table}


def coefficient_table(analysis: Analysis) -> Table:
    """Return every coefficient and exponent with the ends of its interval."""
    fit = analysis.fit
    values: dict[str, float] = dict(fit.coefficients)
    values |= fit.frontier.to_dict() if has_frontier(fit) else {}
    held = fit.fixed
    return {
        "name": np.array(list(values)),
        "value": np.array(list(values.values()), float),
        **_ends("value", map(analysis.interval, values)),
        "held": np.array([float(name in held) for name in values]),
    }


def allocation_table(allocations: Sequence[Allocation]) -> Table:
    """Return allocations as columns: the optimum per budget, its intervals, and what Approach 2 would waste."""
    lost = [a.deadweight for a in allocations]
    table: dict[str, Any] = {"budget": np.array([a.budget for a in allocations], float)}
    for name in ("params", "tokens", "loss"):
        values = [getattr(a, name) for a in allocations]
        table[name] = np.array([np.nan if value is None else value for value in values], float)
        table |= _ends(name, ((a.interval or {}).get(name) or NOWHERE for a in allocations))
    table["tokens_per_param"] = np.array([a.tokens_per_param for a in allocations], float)
    table["deadweight"] = np.array([np.nan if d is None else d.flops for d in lost], float)
    table |= _ends("deadweight", ((d.interval if d else None) or NOWHERE for d in lost))
    table["deadweight_fraction"] = np.array([np.nan if d is None else d.fraction for d in lost], float)
    return table


def valley_table(fit: Fit, region: Indifference) -> Table:
    """Return the loss along a budget, over the indifferent sizes and somewhat beyond."""
    low, high = region.params
    params = np.geomspace(low / REGION_ROOM, high * REGION_ROOM, REGION_POINTS)
    params = np.unique(np.concatenate([params, [low, region.best[0], high]]))
    tokens = np.asarray(fit.surface.cost.tokens(budget=region.budget, params=params))
    loss = np.asarray(fit.surface.at_params(region.budget, params).loss)
    inside = (params >= low) & (params <= high)
    return {
        "budget": np.full(params.size, region.budget),
        "params": params,
        "tokens": tokens,
        "loss": loss,
        "excess": loss - region.best[2],
        "inside": inside.astype(float),
    }


def _region(region: Indifference, analysis: Analysis) -> Table:
    """Return the region in one row, with the choice of Approach 2 on the same surface beside the optimum."""
    fit, isoflop = analysis.fit, analysis.isoflop
    other = np.nan if isoflop is None else float(isoflop.frontier.params(region.budget))
    there = (
        fit.surface.at_params(region.budget, other).loss if fit.surface is not None and np.isfinite(other) else np.nan
    )
    values = {
        "budget": region.budget,
        "epsilon": region.epsilon,
        "params_low": region.params[0],
        "params_high": region.params[1],
        "tokens_low": region.tokens[0],
        "tokens_high": region.tokens[1],
        "params": region.best[0],
        "tokens": region.best[1],
        "loss": region.best[2],
        "approach2_params": other,
        "approach2_loss": float(there),
    }
    return {name: np.array([value]) for name, value in values.items()}


def _bias(found: Bias, evidence: Evidence) -> Table:
    """Return what Approach 2 must get wrong at each target, by cause, and the compute that costs."""
    targets = np.array([a.budget for a in evidence.analysis.allocations] or [evidence.target])
    table: dict[str, Any] = {"budget": targets}
    for quantity in ("params", "tokens"):
        lines = found.lines(quantity)
        for part in (None, *PARTS):
            name = f"{quantity}_{part or 'error'}"
            table[name] = np.array([10.0 ** lines.at(float(c), part) - 1 for c in targets])
    tokens = np.asarray(found.surface.optimum(targets).tokens) * (1 + table["tokens_error"])
    lost = np.array([float(found.surface.deadweight(c, d)) for c, d in zip(targets, tokens, strict=True)])
    return {**table, "deadweight": lost, "deadweight_fraction": lost / targets, "dollars": Cost().dollars(lost)}


def embedded_tables(tables: Mapping[str, Table]) -> dict[str, Any]:
    """
    Return tables as a page carries them: columns as lists, long ones thinned evenly.

    Examples
    --------
    >>> embedded_tables({"runs": {"loss": np.array([2.5, np.nan])}})
    {'runs': {'columns': {'loss': [2.5, None]}, 'rows': 2}}
    """
    found = {}
    for name, table in tables.items():
        rows = len(next(iter(table.values())))
        keep = slice(None) if rows <= MOST_EMBEDDED else np.linspace(0, rows - 1, MOST_EMBEDDED).round().astype(int)
        columns = {key: strict(np.asarray(column)[keep]) for key, column in table.items()}
        found[name] = {"columns": columns, "rows": rows}
    return found
