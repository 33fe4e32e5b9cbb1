"""Coverage on one's own design, as JSON and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.core.numbers import format_flops, format_level
from lawful.show.files.document import strict
from lawful.uncertainty.coverage import Coverage

if TYPE_CHECKING:
    from rich.console import RenderableType

COVERAGE_SCHEMA = "lawful.coverage/1"

TOLERANCE = 0.03
"""Coverage this far from nominal, beyond its Monte Carlo error, is marked."""


def coverage_document(found: Coverage) -> dict[str, Any]:
    """Return what ``lawful coverage --json`` prints (schema ``lawful.coverage/1``)."""
    names = list(found.table)
    cells = zip(*(found.table[name].tolist() for name in names), strict=True)
    document: dict[str, Any] = strict(
        {
            "schema": COVERAGE_SCHEMA,
            "method": found.fit.method,
            "level": found.level,
            "repeats": found.repeats,
            "draws": found.draws,
            "n_runs": len(found.fit.runs),
            "coverage": [dict(zip(names, row, strict=True)) for row in cells],
        }
    )
    return document


def coverage_parts(found: Coverage) -> list[RenderableType]:
    """Return a table with a row per quantity and a column per kind of interval; what misses is marked."""
    from rich.table import Table
    from rich.text import Text

    table = found.table
    kinds = list(dict.fromkeys(table["interval"].tolist()))
    first = np.flatnonzero(table["interval"] == kinds[0])
    keys = [(str(table["quantity"][i]), float(table["budget"][i])) for i in first]
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column("")
    for kind in kinds:
        shown.add_column(kind, justify="right")
    words = {"params": "N*", "loss": "L*"}
    for name, budget in keys:
        same = np.isnan(table["budget"]) if np.isnan(budget) else table["budget"] == budget
        at = (table["quantity"] == name) & same
        cells = []
        for kind in kinds:
            i = int(np.flatnonzero(at & (table["interval"] == kind))[0])
            share, error = float(table["coverage"][i]), float(table["error"][i])
            off = abs(share - found.level) > TOLERANCE + 2 * error
            cells.append(Text(f"{share:.1%}" + (" !" if off else "  "), style="bold red" if off else ""))
        where = f" at {format_flops(budget)}" if np.isfinite(budget) else ""
        shown.add_row(words.get(name, name) + where, *cells)
    error = float(np.sqrt(found.level * (1 - found.level) / found.repeats))
    level = format_level(found.level)
    return [
        Text(f"How often a {level} interval held over {found.repeats} simulated repeats of these runs"),
        "",
        shown,
        "",
        Text(
            f"Monte Carlo error about {error:.1%}; ! marks what is off by more than {TOLERANCE:.0%} beyond twice that.",
            style="dim",
        ),
    ]
