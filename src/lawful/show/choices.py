"""Allocations with what they cost, and choices under constraints: documents and sheets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from lawful.analysis.analysis import Analysis
from lawful.core.cost import Cost
from lawful.core.notes import Note, Verdict, doubt_of, verdict_sentence
from lawful.core.numbers import format_count, format_flops, format_level, format_short
from lawful.core.sheet import Cell, Sheet
from lawful.decide.allocate import Allocation
from lawful.decide.constraints import Constrained
from lawful.forecasting.averaged import AVERAGE, outlook_sheet
from lawful.show.files.document import allocate_document, own_terms, strict
from lawful.trust.verdict import Judgement


def cost_document(cost: Cost, flops: float, count: int) -> dict[str, Any]:
    """
    Return compute as hours, days and dollars, with the terms.

    Examples
    --------
    >>> document = cost_document(Cost(), 1e24, 1024)
    >>> f"{document['gpu_hours']:.0f} hours, {document['days']:.1f} days, ${document['dollars']:.0f}"
    '561451 hours, 22.8 days, $1122902'
    """
    spent = {"flops": flops, "gpu_hours": float(cost.gpu_hours(flops)), "count": count}
    return {
        **spent,
        "days": float(cost.days(flops, count=count)),
        "dollars": float(cost.dollars(flops)),
        **cost.to_dict(),
    }


def allocate_document_with(
    analysis: Analysis,
    allocations: Sequence[Allocation],
    constrained: Sequence[Constrained],
    *,
    level: float,
    cost: Cost | None,
    count: int,
) -> dict[str, Any]:
    """Return ``lawful.allocate/1`` with what each allocation costs and the choices under constraints."""
    document = allocate_document(analysis, allocations, level=level)
    if cost is not None:
        for row, allocation in zip(document["allocations"], allocations, strict=True):
            row["cost"] = strict(cost_document(cost, allocation.budget, count))
    if constrained:
        document["constrained"] = [constrained_document(one, cost, count) for one in constrained]
    return document


def constrained_document(found: Constrained, cost: Cost | None, count: int) -> dict[str, Any]:
    """Return one choice under constraints as JSON types."""
    more: dict[str, Any] = {"tokens_per_param": found.tokens_per_param, "total": found.total}
    if cost is not None:
        more["cost"] = cost_document(cost, found.total, count)
    document: dict[str, Any] = strict({**asdict(found), **more})
    return document


def choices_sheets(
    analysis: Analysis,
    allocations: Sequence[Allocation],
    constrained: Sequence[Constrained],
    *,
    level: float,
    cost: Cost | None,
    count: int,
) -> list[Sheet]:
    """Return allocations and the choices under constraints, with what each costs."""
    sheets = list(analysis.allocation_sheets(allocations, level=level))
    if sheets:
        judged = analysis.asking([one.budget for one in allocations])
        first = f"{verdict_sentence(judged.verdict, analysis.runs.notes)} {sheets[0].title}"
        sheets = [replace(sheets[0], title=first), *sheets[1:]]
    if analysis.average is not None and sheets and not any(map(own_terms, allocations)):
        found = analysis.average.ensemble
        doubt = doubt_of(found.notes)
        seen = (outlook_sheet(found.outlook(one.budget, level), doubt=doubt) for one in allocations)
        sheets = [sheet for pair in zip(seen, sheets, strict=True) for sheet in pair]
    spent = [one.budget for one in allocations] + [one.total for one in constrained]
    sheets += [sheet for one in constrained for sheet in one.sheets()]
    if cost is None:
        return sheets
    lines = [cost_line(cost, flops, count) for flops in spent]
    priced = [sheet for sheet in sheets if sheet.columns[-1:] != (AVERAGE,)]
    costs = dict(zip(map(id, priced), lines, strict=True))
    return [replace(one, closing=(*one.closing, costs[id(one)])) if id(one) in costs else one for one in sheets]


def with_verdict(sheets: Iterable[Sheet], judged: Judgement, notes: Iterable[Note]) -> list[Sheet]:
    """
    Return what hangs on the optimum with its verdict before it, where that says more than how far the budget is.

    Examples
    --------
    >>> with_verdict([Sheet("As good.", (), (), ())], Judgement(Verdict.LAW_REFUSED), ())[0].title
    'Verdict: law refused. As good.'
    """
    first, *rest = sheets
    if judged.verdict in (Verdict.SUPPORTED, Verdict.EXTRAPOLATED) and not doubt_of(notes):
        return [first, *rest]
    return [replace(first, title=f"{verdict_sentence(judged.verdict, notes)} {first.title}"), *rest]


def judged_document(document: Mapping[str, Any], judged: Judgement) -> dict[str, Any]:
    """
    Return a document of what hangs on the optimum with its verdict.

    Examples
    --------
    >>> judged_document({"schema": "lawful.dial/1", "budget": 1e24}, Judgement(Verdict.SUPPORTED))
    {'schema': 'lawful.dial/1', 'verdict': 'supported', 'budget': 1e+24}
    """
    head = {"schema": document["schema"], "verdict": judged.verdict.value}
    return {**head, **{key: value for key, value in document.items() if key not in head}}


def cost_line(cost: Cost, flops: float, count: int) -> str:
    """
    Say what compute costs in one line.

    Examples
    --------
    >>> cost_line(Cost(), 1e24, 1024)
    '1e24 FLOPs: 561K GPU hours, 22.8 days on 1024, $1.12M (h100, dense bf16 989.5 TFLOP/s, 50% MFU, $2 per GPU hour)'
    """
    hours, days = float(cost.gpu_hours(flops)), float(cost.days(flops, count=count))
    dollars = Cell(float(cost.dollars(flops)), "dollars").text
    spent = f"{format_count(hours)} GPU hours, {format_short(days, 3)} days on {count}, {dollars}"
    return f"{format_flops(flops)}: {spent} ({cost.terms})"


def predict_sentence(document: Mapping[str, Any]) -> str:
    """Say a predicted loss in one line, what it is worth first; an average of laws goes before, in its own line."""
    word = document["verdict"]
    told = ", as to the compute-optimal size; losses near the runs are told" if word == Verdict.NOT_IDENTIFIED else ""
    # The verdict is on the one law, which an average of laws goes before.
    average, _, one_law = _loss_sentence(document).rpartition("\n")
    doubts = "".join(f"{note['message']}\n" for note in document.get("notes", ()))
    return f"{average}\n" * bool(average) + f"{doubts}Verdict: {word}{told}. {one_law}"


def _loss_sentence(document: Mapping[str, Any]) -> str:
    interval, new_run = document["interval"], document.get("prediction")
    loss = Cell(document["loss"], "nats", *(interval["loss"] if interval else ()))
    single = f", one new run {Cell(None, 'nats', *new_run['loss']).span}" if new_run else ""
    said = f" ({format_level(document['level'])} interval {loss.span}{single})" if interval else ""
    params, tokens, budget = (document[name] for name in ("params", "tokens", "budget"))
    if "columns" in document:
        where = ", ".join(f"{name} = {format_count(value)}" for name, value in document["columns"].items())
        cost = "" if budget is None else f"; {format_short(budget, 4)}, {document['convention']}"
        return f"Loss at {where}: {loss.text}{said}{cost}"
    sizes = [f"{format_count(params)} parameters"] if params is not None else []
    sizes += [f"{format_count(tokens)} tokens"] if tokens is not None else []
    if budget is None or not sizes:
        one_law = f"Loss at {sizes[0] if sizes else format_flops(budget)}: {loss.text}{said}"
    else:
        cost = f"{format_flops(budget)}, {document['convention']}"
        one_law = f"Loss of {' on '.join(sizes)}: {loss.text}{said}; {cost}"
    average = document.get("auto")
    if average is None:
        return one_law
    ends = average["interval"]["loss"]
    if average["far_from_valley"]:
        return f"{one_law}. No interval of the average of laws: the run lies too far from the compute-optimal size."
    single = Cell(None, "nats", *average["prediction"]["loss"]).span
    several = Cell(average["loss"], "nats", *ends)
    head = f"Average of laws: {several.text} ({format_level(document['level'])} interval {several.span}, one new run"
    return f"{head} {single}).\n{one_law}"
