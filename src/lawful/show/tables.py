"""Results as terminal tables: readable at 80 columns and in a pipe, with no number cut short."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from lawful.analysis.analysis import Analysis
from lawful.analysis.compare import Outcome, Unavailable
from lawful.core.notes import Note
from lawful.core.numbers import (
    MISSING,
    format_count,
    format_count_interval,
    format_flops,
    format_level,
    format_percent,
    format_scientific,
    format_uncertain,
    format_value,
)
from lawful.decide.allocate import Allocation
from lawful.estimate.result import METHOD_TITLES, Fit, FrontierFit
from lawful.show.files.document import QUANTITY_COLUMNS, check_scale, fit_document
from lawful.show.report.decision import deadweight_span

if TYPE_CHECKING:
    from rich.console import JustifyMethod

NOTHING = "-"
"""What stands in a cell that a method does not fill."""

DEADWEIGHT_LEGEND = (
    "Deadweight: share of the budget lost. Under approach1 and approach2 by their own choice, priced on the vpnls "
    "surface; under vpnls and approach3 by the choice of approach2, priced on theirs."
)

SKEWED = 3.0
"""An interval whose ends differ by more than this factor is read in ratios: three digits for each end."""

Scale = Mapping[str, float]
Interval = Sequence[float | None] | None


def text_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table whose first column is text and whose others are numbers that never wrap."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for i, head in enumerate(heads):
        justify: JustifyMethod = "left" if i == 0 else "right"
        table.add_column(Text(head), justify=justify, no_wrap=i > 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def source_line(analysis: Analysis) -> Text:
    """Say which runs were fitted: how many, at which budgets, from where."""
    runs = analysis.fit.runs
    budgets = runs.budgets
    span = format_flops(float(budgets[0]))
    if budgets.size > 1:
        span = f"{format_scientific(float(budgets[0]))} to {format_flops(float(budgets[-1]))}"
    chosen = "".join(f", {column}={value}" for column, value in runs.selection.items())
    groups = "budget" if budgets.size == 1 else "budgets"
    return Text(f"{runs.source}{chosen}: {len(runs)} runs, {budgets.size} {groups} ({span})")


def status_lines(fit: Fit | FrontierFit) -> Text:
    """Say what was fitted, how it ended and how well."""
    title = METHOD_TITLES[fit.method]
    state = fit.status.key.replace("_", " ")
    if fit.surface is None:
        return Text(f"{title}, {len(fit.budgets)} budgets: {state}")
    value = f"{fit.objective} {fit.value:.6g} per run, RSS {fit.rss:.4g}"
    return Text(f"{title}, {fit.surface.law.name} law: {state}\n{value}")


def _uncertain(value: float | None, interval: Interval) -> tuple[str, str]:
    """Return a value and its interval as text, rounded by the interval; four digits without one."""
    if value is None or interval is None or interval[0] is None or interval[1] is None:
        return format_value(value), NOTHING
    low, high = interval[0], interval[1]
    if low > 0 and high > SKEWED * low:
        return format_value(value, 3), f"{format_value(low, 3)} to {format_value(high, 3)}"
    middle, left, right = format_uncertain(value, low, high)
    return middle, f"{left} to {right}"


def coefficient_table(analysis: Analysis, scale: Scale | None = None) -> Table:
    """Return coefficients and exponents with their intervals."""
    document = fit_document(analysis, scale=scale)
    intervals = document["intervals"] or {}
    exponents = {name: document["exponents"][name] for name in ("a", "b")}
    values = {**(document["coefficients"] or {}), **exponents}
    ends = {**(intervals.get("coefficients") or {}), **(intervals.get("exponents") or {})}
    rows = [(_meaning(name), *_uncertain(value, ends.get(name))) for name, value in values.items()]
    return text_table(("", "value", f"{format_level(analysis.level)} interval"), rows)


def _meaning(name: str) -> str:
    words = {"a": "a (N* ~ C^a)", "b": "b (D* ~ C^b)"}
    return words.get(name, name)


def scale_line(scale: Scale | None) -> Text | None:
    """Say which units A and B refer to, where they are not the counted ones."""
    units = {name: unit for name, unit in check_scale(scale).items() if unit != 1.0}
    if not units:
        return None
    said = ", ".join(f"{QUANTITY_COLUMNS[name]} in units of {format_scientific(unit)}" for name, unit in units.items())
    return Text(f"A and B refer to {said}.")


def _allocation_rows(allocation: Allocation, usual: tuple[float, float] | None) -> list[tuple[str, ...]]:
    interval = allocation.interval or {}

    def counts(name: str) -> str:
        ends = interval.get(name)
        return NOTHING if ends is None else format_count_interval(*ends)

    loss, loss_ends = _uncertain(allocation.loss, interval.get("loss"))
    rows = [
        ("parameters N*", format_count(allocation.params), counts("params")),
        ("tokens D*", format_count(allocation.tokens), counts("tokens")),
        ("tokens per parameter", format_count(allocation.tokens_per_param), ""),
        ("loss L*", loss if allocation.loss is not None else NOTHING, loss_ends),
    ]
    new_run = (allocation.prediction or {}).get("loss")
    if new_run is not None:
        rows.append(("loss of one new run", "", _uncertain(allocation.loss, new_run)[1]))
    if usual is None:
        return [*rows]
    params, tokens = usual
    others = (format_count(params), format_count(tokens), format_count(tokens / params), *[NOTHING] * (len(rows) - 3))
    return [(*row, other) for row, other in zip(rows, others, strict=True)]


def allocation_parts(
    allocation: Allocation, *, level: float, convention: str, isoflop: FrontierFit | None = None
) -> list[RenderableType]:
    """Return one budget's decision, beside it what Approach 2 would choose and what that costs."""
    usual = None
    if isoflop is not None:
        usual = (float(isoflop.frontier.params(allocation.budget)), float(isoflop.frontier.tokens(allocation.budget)))
    heads = ["", "value", f"{format_level(level)} interval", *(["approach2"] if usual else [])]
    parts: list[RenderableType] = [
        Text(f"Budget {format_flops(allocation.budget)} ({convention})", style="bold"),
        text_table(heads, _allocation_rows(allocation, usual)),
    ]
    lost = allocation.deadweight
    if lost is not None:
        parts.append(
            Text(
                f"Deadweight of {lost.of} on the {lost.on} surface: {format_flops(lost.flops)} "
                f"({format_percent(lost.fraction)} of the budget){deadweight_span(lost)}"
            )
        )
    return parts


def note_lines(notes: Iterable[Note]) -> list[RenderableType]:
    """Return the notes, one line each."""
    return [Text.assemble(("note ", "yellow"), (note.code, "yellow"), f": {note.message}") for note in notes]


INTERVAL_WORDS = {
    "profile": "profile of the misfit, variance following the loss",
    "delta": "linearised at the optimum, variance following the loss",
}
"""Intervals that draw nothing, in words."""


def analysis_parts(analysis: Analysis, *, scale: Scale | None = None) -> list[RenderableType]:
    """Return everything that ``lawful fit`` shows, top to bottom."""
    fit = analysis.fit
    document = fit_document(analysis)
    parts: list[RenderableType] = [source_line(analysis), status_lines(fit), "", coefficient_table(analysis, scale)]
    unit = scale_line(scale)
    parts += [unit] if unit is not None else []
    draws = analysis.draws
    if draws is not None:
        failed = f", {draws.failed} failed" if draws.failed else ""
        parts.append(Text(f"Intervals: {len(draws)} bootstrap draws ({draws.scheme}){failed}.", style="dim"))
    elif analysis.sure is not None:
        parts.append(Text(f"Intervals: {INTERVAL_WORDS[analysis.sure.kind]}.", style="dim"))
    isoflop = analysis.isoflop if fit.method != "approach2" else None
    for allocation in analysis.allocations:
        block = allocation_parts(allocation, level=analysis.level, convention=document["convention"], isoflop=isoflop)
        parts += ["", *block]
    notes = note_lines(analysis.notes)
    return [*parts, *(["", *notes] if notes else [])]


def compare_parts(outcomes: Sequence[Outcome], *, scale: Scale | None = None) -> list[RenderableType]:
    """Return all methods side by side: coefficients, exponents, decisions, and who cannot run."""
    methods = [outcome.method for outcome in outcomes]
    found = {a.method: a for a in outcomes if isinstance(a, Analysis)}
    documents = {m: fit_document(a, scale=scale) for m, a in found.items()}

    def row(label: str, *path: str | int, form: str = "value") -> tuple[str, ...]:
        return (label, *(_cell(documents.get(m), path, form) for m in methods))

    rows = [row(name, "coefficients", name) for name in ("E", "A", "B", "alpha", "beta")]
    rows += [row(_meaning(name), "exponents", name) for name in ("a", "b")]
    rows += [row("RSS", "rss")]
    parts: list[RenderableType] = [source_line(next(iter(found.values()))), ""] if found else []
    parts.append(text_table(("", *methods), rows))
    unit = scale_line(scale)
    parts += [unit] if unit is not None else []
    budgets = [a.budget for a in next(iter(found.values())).allocations] if found else []
    for i, budget in enumerate(budgets):
        block = [
            row("parameters N*", "allocations", i, "params", form="count"),
            row("tokens D*", "allocations", i, "tokens", form="count"),
            row("tokens per parameter", "allocations", i, "tokens_per_param", form="count"),
            row("loss L*", "allocations", i, "loss"),
            row("deadweight", "allocations", i, "deadweight", "fraction", form="share"),
        ]
        parts += ["", Text(f"Budget {format_flops(budget)}", style="bold"), text_table(("", *methods), block)]
    if budgets:
        parts.append(Text(DEADWEIGHT_LEGEND, style="dim"))
    said = _method_notes(outcomes)
    return [*parts, *(["", *said] if said else [])]


def groups_parts(by: str, outcomes: Mapping[str, Outcome], *, scale: Scale | None = None) -> list[RenderableType]:
    """Return one block per group of ``lawful fit --by``, also for a group that cannot be fitted."""
    parts: list[RenderableType] = []
    for value, outcome in outcomes.items():
        parts += ["", Text(f"{by} = {value}", style="bold underline")]
        if isinstance(outcome, Unavailable):
            parts += note_lines([outcome.note])
        else:
            parts += analysis_parts(outcome, scale=scale)
    return parts[1:]


def _cell(document: object, path: Sequence[str | int], form: str) -> str:
    """Follow a path through a document; a dash where it ends in nothing."""
    value = document
    for key in path:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return NOTHING
    if not isinstance(value, (int, float)):
        return NOTHING
    forms: dict[str, Callable[[float], str]] = {
        "count": format_count,
        "share": format_percent,
        "value": format_value,
    }
    text = forms[form](value)
    return NOTHING if text == MISSING else text


def _method_notes(outcomes: Iterable[Outcome]) -> list[RenderableType]:
    """Each distinct note once, with the methods that carry it."""
    carriers: dict[tuple[str, str], list[str]] = {}
    for outcome in outcomes:
        notes = (outcome.note,) if isinstance(outcome, Unavailable) else outcome.notes
        for note in notes:
            carriers.setdefault((note.code, note.message), []).append(outcome.method)
    return [
        Text.assemble((f"note {code}", "yellow"), f" [{', '.join(methods)}]: {message}")
        for (code, message), methods in carriers.items()
    ]


def allocations_parts(analysis: Analysis, allocations: Iterable[Allocation], *, level: float) -> list[RenderableType]:
    """Return what ``lawful allocate`` shows: one block per budget."""
    convention = fit_document(analysis)["convention"]
    parts: list[RenderableType] = []
    for allocation in allocations:
        lost = allocation.deadweight
        usual = analysis.isoflop if lost is not None and lost.of == "approach2" else None
        parts += ["", *allocation_parts(allocation, level=level, convention=convention, isoflop=usual)]
    return parts[1:]


def predict_line(document: Mapping[str, object]) -> Text:
    """Say a predicted loss in one line."""
    interval = document["interval"]
    ends = interval["loss"] if isinstance(interval, Mapping) else None
    value, span = _uncertain(_number(document["loss"]), ends)
    params, tokens = format_count(_number(document["params"])), format_count(_number(document["tokens"]))
    level = format_level(_number(document["level"]) or 0.0)
    new_run = document.get("prediction")
    alone = new_run["loss"] if isinstance(new_run, Mapping) else None
    single = "" if alone is None else f", one new run {_uncertain(_number(document['loss']), alone)[1]}"
    said = f" ({level} interval {span}{single})" if ends is not None else ""
    cost = f"{format_flops(_number(document['budget']))}, {document['convention']}"
    return Text(f"Loss of {params} parameters on {tokens} tokens: {value}{said}; {cost}")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
