"""How what a fit implies shows itself in a notebook: a sentence, a table and the notes, as HTML."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from lawful.estimate.result import fit_sheet
from lawful.show.printing import between, counted, table_html

if TYPE_CHECKING:  # the records call this module, so they are imported for the type checker only
    from lawful.analysis.analysis import Analysis
    from lawful.decide.allocate import Allocation
    from lawful.decide.indifference import Indifference
    from lawful.design.design import Planned
    from lawful.forecasting.audit import Audit

Ends = tuple[float, float] | None
Rows = list[tuple[str, ...]]

SYMBOLS = {"params": "N*, parameters", "tokens": "D*, tokens", "loss": "L*, nats per token"}


def _percent(level: float) -> str:
    return f"{100 * level:.6g}%"


def _span(ends: Ends) -> str:
    return "" if ends is None or not np.all(np.isfinite(ends)) else f"{counted(ends[0])} to {counted(ends[1])}"


def _names(fit: object) -> list[str]:
    """Names of what a fit estimated: coefficients, then exponents."""
    surface = getattr(fit, "surface", None)
    coefficients = [] if surface is None else list(surface.coefficients)
    return [*coefficients, *(("a", "b") if surface is None or surface.law.terms is not None else ())]


def _value(fit: object, name: str) -> float:
    surface = getattr(fit, "surface", None)
    if surface is not None and name in surface.coefficients:
        return float(surface.coefficients[name])
    return float(getattr(fit.frontier, name))  # type: ignore[attr-defined]


def _allocation_rows(one: Allocation) -> Rows:
    ends = one.interval or {}
    rows: Rows = [(SYMBOLS[name], counted(getattr(one, name)), _span(ends.get(name))) for name in ("params", "tokens")]
    rows.append(("tokens per parameter", counted(one.tokens_per_param), ""))
    if one.loss is not None:
        rows.append((SYMBOLS["loss"], *between(one.loss, *(ends.get("loss") or (np.nan, np.nan)))))
    lost = one.deadweight
    if lost is not None:
        name = f"deadweight of {lost.of}, FLOPs"
        rows.append((name, f"{counted(lost.flops)} ({lost.fraction:.2%})", _span(lost.interval)))
    return rows


def allocation_html(one: Allocation) -> str:
    """Return an allocation as a table of what the budget buys."""
    said = f"Compute-optimal at {one.budget:g} FLOPs."
    return table_html([said], ("", "value", "interval"), _allocation_rows(one), "", (), caption="Allocation")


def analysis_html(found: Analysis) -> str:
    """Return an analysis: the fit with its intervals, then every budget."""
    heads = ("", "value", f"{_percent(found.level)} interval")
    rows: Rows = [(name, *between(_value(found.fit, name), *found.interval(name))) for name in _names(found.fit)]
    for one in found.allocations:
        rows += [(f"{name} at {one.budget:g} FLOPs", *cells) for name, *cells in _allocation_rows(one)]
    return table_html(
        [fit_sheet(found.fit).title, *fit_sheet(found.fit).sentences],
        heads,
        rows,
        "",
        found.notes,
        caption="Fit and allocations",
    )


def indifference_html(region: Indifference) -> str:
    """Return the sizes that are as good as the optimum."""
    why = "the noise of one run" if region.source == "noise" else "as given"
    said = f"Within {region.epsilon:.2g} nats per token of the optimum at {region.budget:g} FLOPs ({why})."
    rows = [
        (SYMBOLS["params"], counted(region.best[0]), _span(region.params)),
        (SYMBOLS["tokens"], counted(region.best[1]), _span(region.tokens)),
        (SYMBOLS["loss"], f"{region.best[2]:.4f}", ""),
    ]
    return table_html([said], ("", "optimum", "as good"), rows, "", (), caption="Indifference region")


def audit_html(found: Audit) -> str:
    """Return an audit as a table of scores, in the order asked for."""
    held = ", ".join(f"{value:g}" for value in found.values)
    said = f"Forecasts of held-out runs ({found.kind} {held})."
    rows = [
        (s.name, _share(s.median_abs_rel_error), _share(s.median_rel_error), _share(s.coverage)) for s in found.scores
    ]
    heads = ("", "median error", "signed", "covered")
    return table_html([said], heads, rows, "", (), caption="Scores")


def planned_html(found: Planned) -> str:
    """Return a planned sweep as a table of its runs."""
    gain = f"{found.gain:.2f} times the precision of the usual grid" if found.layout == "design" else "as a grid"
    said = (
        f"{len(found.plan)} runs for a decision at {found.target:g} FLOPs, {gain} for {found.cost:.3g} of "
        f"{found.total:.3g} FLOPs."
    )
    columns: Iterable[tuple[float, float, float]] = zip(found.plan.C, found.plan.N, found.plan.D, strict=True)
    rows = [(f"{c:g}", counted(n), counted(d)) for c, n, d in columns]
    return table_html([said], ("budget, FLOPs", "N", "D"), rows, "", (), caption="Runs to train")


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"
