"""IsoFLOP points read off training curves: their table, their JSON document, and their file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from lawful.core.sheet import Cell, Sheet, row
from lawful.data.runs import Runs
from lawful.errors import OutputError
from lawful.show.files.bundle import write_csv
from lawful.show.files.document import strict
from lawful.show.files.place import check_place, is_table, write_whole

POINTS_SCHEMA = "lawful.isoflops/1"

_is_points = is_table("loss_low", "loss_high", "checkpoint_row")


def points_document(points: Runs) -> dict[str, Any]:
    """
    Return IsoFLOP points as JSON types.

    Examples
    --------
    >>> N, D = np.repeat([1e8, 2e8, 4e8], 3), np.tile([5e8, 1e9, 2e9], 3)
    >>> points = lawful.isoflop_points({"N": N, "D": D, "loss": 1.7 + (1e7 / D) ** 0.3}, budgets=[1.2e18])
    >>> document = points_document(points)
    >>> document["schema"], document["n_points"], [budget["sizes"] for budget in document["budgets"]]
    ('lawful.isoflops/1', 3, [3])
    """
    columns = {name: np.asarray(column).tolist() for name, column in points.table.items()}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return {
        "schema": POINTS_SCHEMA,
        "source": points.source,
        "n_points": len(points),
        "budgets": [
            {"budget": float(budget), "sizes": int(sizes)}
            for budget, sizes in zip(points.budgets, points.sizes_per_budget, strict=True)
        ],
        "points": strict(rows),
        "notes": [note.to_dict() for note in points.notes],
    }


def points_sheet(points: Runs) -> Sheet:
    """Return IsoFLOP points in a table, a row per budget."""
    rows = []
    for i, budget in enumerate(points.budgets):
        here = np.flatnonzero(points.group == i)
        best = here[points.L[here].argmin()]
        sizes = points.N[here]
        rows.append(
            row(
                Cell(float(budget), "flops"),
                Cell(here.size, "integer"),
                Cell(None, "count", float(sizes.min()), float(sizes.max())),
                Cell(float(points.L[best]), "nats"),
                Cell(float(points.N[best]), "count"),
            )
        )
    title = f"{points.source}: {len(points)} points at {points.budgets.size} budgets."
    heads = ("budget, FLOPs", "sizes", "from", "lowest loss", "at N")
    return Sheet(title, (), heads, tuple(rows), "", (), points.notes)


def write_points(path: Path, points: Runs) -> None:
    """
    Write IsoFLOP points as a table of runs, whole or not at all.

    Raises
    ------
    OutputError
        If the file cannot be written, or is the one that was read.

    Examples
    --------
    >>> import tempfile
    >>> points = lawful.isoflop_points({"N": [1e8, 2e8, 4e8], "C": [1e18] * 3, "loss": [3.2, 3.1, 3.3]}, budgets=1)
    >>> path = Path(tempfile.mkdtemp(), "points.csv")
    >>> write_points(path, points)
    >>> lawful.read_runs(path)
    Runs(3 runs, 1 budgets, source='...points.csv')
    """
    check_writable(path, points.source)
    text = io.StringIO()
    write_csv(text, points.table)
    write_whole(path, text.getvalue(), ours=_is_points, what="a table of points")


def check_writable(path: Path, source: str) -> None:
    """
    Refuse an output that is a directory, the input itself, or anything but earlier points.

    Raises
    ------
    OutputError
        Says which.
    """
    if path.is_dir():
        msg = f"{str(path)!r} is a directory; `out` takes the name of a CSV file here."
        raise OutputError(msg)
    try:
        is_source = path.exists() and Path(source).exists() and path.samefile(source)
    except (OSError, ValueError):
        is_source = False
    if is_source:
        msg = f"{str(path)!r} is the table that was read; choose another file for `out`."
        raise OutputError(msg)
    check_place(path, _is_points, "a table of points")
