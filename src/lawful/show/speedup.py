"""Speed-ups and deadweight losses as JSON documents and terminal tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.core.cost import Cost
from lawful.decide.speedup import KINDS, Speedup
from lawful.decide.waste import Waste
from lawful.show.files.document import strict

if TYPE_CHECKING:
    from rich.console import RenderableType

SPEEDUP_SCHEMA = "lawful.speedup/1"
DEADWEIGHT_SCHEMA = "lawful.deadweight/1"


def speedup_document(found: Sequence[Speedup], *, level: float) -> dict[str, Any]:
    """
    Return speed-ups as JSON types; null stands for a loss that A never reaches.

    Examples
    --------
    >>> a, b = lawful.study_surface("chinchilla"), lawful.Surface.named("hoffmann")
    >>> speedup_document(lawful.speedup(a, b, [1e22]), level=0.9)["schema"]
    'lawful.speedup/1'
    """
    rows = [
        {
            "budget": one.budget,
            "loss": one.loss,
            "needed": one.needed,
            **{kind: getattr(one, kind) for kind in KINDS},
            "intervals": one.intervals or None,
            "unreached": one.unreached,
            "notes": [note.to_dict() for note in one.notes],
        }
        for one in found
    ]
    document: dict[str, Any] = strict({"schema": SPEEDUP_SCHEMA, "level": level, "speedups": rows})
    return document


def speedup_parts(found: Sequence[Speedup], *, level: float) -> list[RenderableType]:
    """Return speed-ups as a terminal table, a line per budget."""
    from rich.text import Text

    from lawful.core.numbers import format_level, format_scientific
    from lawful.show.tables import note_lines, text_table

    words = ("FLOPs", "tokens", "tokens at B's model size", "chip hours")
    rows = [
        [
            f"{word}, B at {format_scientific(one.budget)} FLOPs",
            _number(getattr(one, kind)),
            _span(one.intervals.get(kind)),
            f"{one.loss:.4f}",
        ]
        for one in found
        for kind, word in zip(KINDS, words, strict=True)
    ]
    heads = ["A over B", "ratio", "interval", "loss of B"]
    parts: list[RenderableType] = [text_table(heads, rows)]
    said = "What A needs for B's loss over what B needs; above 1 where B is better."
    if any(one.intervals for one in found):
        said += f" {format_level(level)} intervals, paired draws."
    parts.append(Text(said))
    return [*parts, *note_lines(note for one in found for note in one.notes)]


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "never"


def _span(ends: tuple[float, float] | None) -> str:
    from lawful.show.tables import NOTHING

    return NOTHING if ends is None else f"{_number(ends[0])} to {_number(ends[1])}"


def deadweight_document(found: Waste, cost: Cost) -> dict[str, Any]:
    """
    Return a deadweight loss as JSON types, dollars at the dense and the sparse peak.

    Examples
    --------
    >>> lost = lawful.deadweight(lawful.Surface.named("hoffmann-rounded"), 3.35e13, 3.8e25)
    >>> document = deadweight_document(lost, Cost())
    >>> sorted(document["dollars"])
    ['dense', 'sparse']
    """
    interval = found.interval
    document: dict[str, Any] = strict(
        {
            "schema": DEADWEIGHT_SCHEMA,
            "budget": found.budget,
            "choice": {"params": found.params, "tokens": found.tokens},
            "optimum": {"params": found.best_params, "tokens": found.best_tokens},
            "flops": found.flops,
            "fraction": found.fraction,
            "dollars": {rate: float(c.dollars(found.flops)) for rate, c in both_rates(cost).items()},
            "level": found.level,
            "interval": None
            if interval is None
            else {
                "flops": interval,
                "fraction": [end / found.budget for end in interval],
                "dollars": {rate: [float(c.dollars(end)) for end in interval] for rate, c in both_rates(cost).items()},
            },
            "draws": 0 if found.draws is None else found.draws.size,
            "failed": found.failed,
            "notes": [note.to_dict() for note in found.notes],
            "cost": cost.to_dict(),
        }
    )
    return document


def both_rates(cost: Cost) -> dict[str, Cost]:
    """Return the cost at the chip's dense rate, and at its sparse one where it has one."""
    rates = {"dense": cost.at_rate("dense")}
    return rates | ({"sparse": cost.at_rate("sparse")} if cost.hardware.sparse is not None else {})


def deadweight_parts(found: Waste, cost: Cost) -> list[RenderableType]:
    """Return a deadweight loss in sentences."""
    from rich.text import Text

    from lawful.core.numbers import format_count, format_flops, format_level, format_percent
    from lawful.show.tables import note_lines

    chosen = f"{format_count(found.params)} parameters on {format_count(found.tokens)} tokens"
    best = f"{format_count(found.best_params)} on {format_count(found.best_tokens)}"
    parts: list[RenderableType] = [
        Text(f"At {format_flops(found.budget)}: {chosen}; the surface's optimum is {best}."),
        Text(f"Deadweight: {format_flops(found.flops)}, {format_percent(found.fraction)} of the budget."),
    ]
    interval = found.interval
    for c in both_rates(cost).values():
        span = "" if interval is None else f" ({dollars(c.dollars(interval[0]))} to {dollars(c.dollars(interval[1]))})"
        parts.append(Text(f"{dollars(c.dollars(found.flops))}{span}: {c.terms}."))
    if interval is not None:
        ends = " to ".join(format_percent(end / found.budget) for end in interval)
        count = 0 if found.draws is None else found.draws.size
        parts.append(Text(f"{format_level(found.level)} interval {ends} of the budget, {count} paired draws."))
    return [*parts, *note_lines(found.notes)]


def dollars(amount: float) -> str:
    """
    Write a sum of money with three digits.

    Examples
    --------
    >>> dollars(2688391.7), dollars(950.2)
    ('$2.69M', '$950')
    """
    from lawful.core.numbers import format_count

    return f"${format_count(float(amount))}"
