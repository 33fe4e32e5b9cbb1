"""The next runs as a JSON document, and as a CSV that a launcher reads."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from lawful.design.next_run import NextRun
from lawful.errors import UnsupportedError
from lawful.show.files.document import strict
from lawful.show.files.place import check_place, is_table, write_whole

NEXT_SCHEMA = "lawful.next/1"

ADDED = ("pool_row", "pool_cost", "expected_loss", "expected_sd")
"""Columns of the CSV beside those of the pool."""


def next_document(found: NextRun) -> dict[str, Any]:
    """
    Return the next runs as JSON types; null stands for what no law can say yet.

    Examples
    --------
    >>> runs = {"params": [1e8, 2e8], "tokens": [2e9, 4e9], "loss": [3.4, 3.1]}
    >>> pool, target = {"params": [4e8], "tokens": [8e9]}, {"params": [1e9], "tokens": [2e10]}
    >>> document = next_document(lawful.next_run(runs, pool, cost="params*tokens", target=target, spend=1e19))
    >>> document["schema"], document["stop"], [run["row"] for run in document["runs"]]
    ('lawful.next/1', False, [1])
    """
    document: dict[str, Any] = strict(
        {
            "schema": NEXT_SCHEMA,
            "stop": found.stop,
            "sentence": found.sentence,
            "runs": [
                {
                    "row": one.row,
                    "cost": one.cost,
                    "loss": one.loss,
                    "sd": one.sd,
                    "target_sd": one.target_sd,
                    "columns": one.cells,
                }
                for one in found.runs
            ],
            "plan": {"runs": found.planned, "cost": found.planned_cost, "spend": found.spend},
            "targets": [
                {"loss": value, "interval": ends} for value, ends in zip(found.targets, found.ends, strict=True)
            ],
            "level": 0.9,
            "target_sd": dict(zip(("now", "after_runs", "after_plan"), found.sd, strict=True)),
            "inflation": found.inflation,
            "tolerance": found.tolerance,
            "laws": [
                {
                    "law": fit.law.name,
                    "coefficients": fit.coefficients,
                    "rms": fit.rms,
                    "met": fit.met,
                    "rounds": fit.rounds,
                }
                for fit in found.fits
            ],
            "notes": [note.to_dict() for note in found.notes],
        }
    )
    return document


_is_next = is_table(*ADDED)


def check_next(path: Path) -> None:
    """
    Refuse a file that the next runs cannot be written to, before any work.

    Raises
    ------
    UnsupportedError
        If its suffix is not .csv.
    OutputError
        If it is there and holds no next runs of ours.
    """
    if path.suffix != ".csv":
        msg = f"The next runs are written as .csv, got {str(path)!r}."
        raise UnsupportedError(msg)
    check_place(path, _is_next, "a table of next runs")


def write_next(found: NextRun, path: str | Path) -> Path:
    """
    Write the next runs for a launcher: the rows of the pool in order, with their cost and expected loss; none on stop.

    Raises
    ------
    UnsupportedError
        If the suffix is not .csv.
    OutputError
        If the file cannot be written.
    """
    file = Path(path)
    check_next(file)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    cells = list(found.runs[0].cells) if found.runs else []
    writer.writerow([*cells, *ADDED])
    for one in () if found.stop else found.runs:
        known = ["" if v is None else repr(float(v)) for v in (one.cost, one.loss, one.sd)]
        writer.writerow([*(strict(value) for value in one.cells.values()), one.row, *known])
    write_whole(file, text.getvalue(), ours=_is_next, what="a table of next runs")
    return file
