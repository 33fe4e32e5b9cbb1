"""Allocations with what they cost, and choices under constraints: document and terminal text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lawful.analysis.analysis import Analysis
from lawful.core.cost import Cost
from lawful.decide.allocate import Allocation
from lawful.decide.constraints import Constrained
from lawful.show.files.document import allocate_document, strict

if TYPE_CHECKING:
    from rich.console import RenderableType

BINDING = {
    "sizes": "the allowed sizes",
    "min_tokens_per_param": "the floor on tokens per parameter",
    "unique_tokens": "the unique tokens",
    "demand": "the inference demand",
}


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


def choices_parts(
    analysis: Analysis,
    allocations: Sequence[Allocation],
    constrained: Sequence[Constrained],
    *,
    level: float,
    cost: Cost | None,
    count: int,
) -> list[RenderableType]:
    """Return allocations, their cost, and the choices under constraints."""
    from rich.text import Text

    from lawful.show.tables import allocations_parts

    parts: list[RenderableType] = list(allocations_parts(analysis, allocations, level=level)) if allocations else []
    if cost is not None:
        parts += [Text(cost_line(cost, a.budget, count)) for a in allocations]
    for found in constrained:
        if parts:
            parts.append("")
        parts += [Text(line) for line in constrained_lines(found)]
        if cost is not None:
            parts.append(Text(cost_line(cost, found.total, count)))
    return parts


def cost_line(cost: Cost, flops: float, count: int) -> str:
    """
    Say what compute costs in one line.

    Examples
    --------
    >>> cost_line(Cost(), 1e24, 1024)
    '1e24 FLOPs: 561K GPU hours, 22.8 days on 1024, $1.12M (h100, dense bf16 989.5 TFLOP/s, 50% MFU, $2 per GPU hour)'
    """
    from lawful.core.numbers import format_count, format_flops
    from lawful.show.speedup import dollars

    hours, days = float(cost.gpu_hours(flops)), float(cost.days(flops, count=count))
    spent = f"{format_count(hours)} GPU hours, {days:.3g} days on {count}, {dollars(cost.dollars(flops))}"
    return f"{format_flops(flops)}: {spent} ({cost.terms})"


def constrained_lines(found: Constrained) -> list[str]:
    """Say one choice under constraints."""
    from lawful.core.numbers import format_count, format_flops

    why = " and ".join(BINDING[name] for name in found.binding)
    first = (
        f"{'Under ' + why if why else 'No constraint binds'}: {format_count(found.params)} parameters on "
        f"{format_count(found.tokens)} tokens ({found.tokens_per_param:.3g} per parameter), loss {found.loss:.4f}"
    )
    epochs = f", {found.epochs:.3g} epochs" if found.epochs > 1 else ""
    lines = [first + epochs]
    if found.serving:
        lines.append(
            f"Training {format_flops(found.training)} and serving {format_flops(found.serving)}: "
            f"{format_flops(found.total)} in all."
        )
    else:
        lines.append(f"Training {format_flops(found.training)}.")
    return lines
