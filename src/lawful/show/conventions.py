"""Fits under several conventions of counting: their table and their JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lawful.core.notes import Note
from lawful.counting.compare import ConventionFit, Conventions
from lawful.show.files.document import strict

if TYPE_CHECKING:
    from rich.console import RenderableType

CONVENTIONS_SCHEMA = "lawful.conventions/1"


def conventions_document(found: Conventions) -> dict[str, Any]:
    """
    Return the fits as JSON types.

    Examples
    --------
    >>> truth = lawful.study_surface("symmetric")
    >>> runs = lawful.simulate(truth, lawful.plan_isoflop([1e18, 1e19], 5, surface=truth))
    >>> document = conventions_document(lawful.conventions(runs, budgets=[1e20]))
    >>> document["schema"], document["span"], document["conventions"][0]["flops"]
    ('lawful.conventions/1', [0.5, 0.5], '6ND')
    """
    document: dict[str, Any] = strict(
        {
            "schema": CONVENTIONS_SCHEMA,
            "method": found.method,
            "n_runs": len(found.runs),
            "span": found.span,
            "conventions": [_row_document(row) for row in found.rows],
            "notes": [note.to_dict() for note in found.notes],
        }
    )
    return document


def _row_document(row: ConventionFit) -> dict[str, Any]:
    return {
        "params": row.params,
        "params_also": list(row.params_also),
        "flops": row.flops,
        "flops_also": list(row.flops_also),
        "exponents": {"a": row.a, "b": row.b},
        "allocations": [
            {"budget": o.budget, "params": o.params, "params_in_base": o.base_params, "tokens": o.tokens}
            for o in row.optima
        ],
        "misfit": row.misfit,
        "note": None if row.note is None else row.note.to_dict(),
    }


def conventions_parts(found: Conventions) -> list[RenderableType]:
    """Return the fits as a terminal table, one line per convention, and what to know about them."""
    from rich.text import Text

    from lawful.core.numbers import format_count, format_flops, format_value
    from lawful.estimate.result import METHOD_TITLES
    from lawful.show.tables import NOTHING, note_lines, text_table

    base = found.rows[0].params
    budgets = [o.budget for o in next((row.optima for row in found.rows if row.optima), ())]
    heads = ["N counts", "C counts", "a", "b"]
    for budget in budgets:
        heads += [f"N* at {format_flops(budget)}", f"as {base}", "D*"]
    rows = []
    for row in found.rows:
        cells = [_names(row.params, row.params_also), _names(row.flops, row.flops_also)]
        cells += [NOTHING if value is None else format_value(value, 3) for value in (row.a, row.b)]
        for o in row.optima:
            cells += [format_count(o.params), format_count(o.base_params), format_count(o.tokens)]
        rows.append(cells + [NOTHING] * (len(heads) - len(cells)))
    parts: list[RenderableType] = [
        Text(f"{found.runs.source}: {len(found.runs)} runs, {METHOD_TITLES[found.method]}"),
        text_table(heads, rows),
    ]
    if found.span is not None and len(found.rows) > 1:
        low, high = found.span
        parts.append(Text(f"The same runs give an exponent a from {low:.3f} to {high:.3f}, by convention alone."))
    said: dict[str, Note] = {}
    for row in found.rows:
        if row.note is not None:
            told = Note(row.note.code, f"{row.params} with {row.flops}: {row.note.message}")
            said.setdefault(row.note.message, told)
    return [*parts, *note_lines(said.values()), *note_lines(found.notes)]


def _names(name: str, also: tuple[str, ...]) -> str:
    return name + (f" (= {', '.join(also)})" if also else "")
