"""What a check shows: its table, its JSON document, and what ``lawful check --out`` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lawful.analysis.moves import Move
from lawful.checks.check import Checked, flags_text
from lawful.checks.rules import KEPT, SENTENCES
from lawful.data.columns import listed
from lawful.show.figures.axes import save_figure
from lawful.show.figures.check_figure import plot_check
from lawful.show.files.bundle import folder_name, write_columns, write_document
from lawful.show.files.document import strict

if TYPE_CHECKING:
    from rich.console import RenderableType

CHECK_SCHEMA = "lawful.check/1"

ROWS_NAMED = 6
"""Rows of a rule named in its line of the table before the rest is counted."""

Document = dict[str, Any]


def check_document(checked: Checked) -> Document:
    """
    Return a check as JSON types.

    Examples
    --------
    >>> checked = lawful.check({"N": [1e8, 2e8], "D": [2e9, 1e9], "loss": [3.2, float("nan")]})
    >>> document = check_document(checked)
    >>> document["schema"], document["n_runs"], document["n_kept"], document["rows"][1]
    ('lawful.check/1', 2, 0, {'row': 2, 'outlier': True, 'reason': 'invalid_value'})
    """
    rows = zip(checked.row.tolist(), checked.outlier.tolist(), checked.reason.tolist(), strict=True)
    return {
        "schema": CHECK_SCHEMA,
        **check_counts(checked),
        "by": checked.by,
        "thresholds": checked.thresholds.to_dict(),
        "notes": [note.to_dict() for note in checked.notes],
        "rows": [{"row": row, "outlier": outlier, "reason": reason} for row, outlier, reason in rows],
    }


def check_counts(checked: Checked) -> Document:
    """Return how many rows were checked, how many are kept, and how many each rule flagged."""
    return {"n_runs": len(checked), "n_kept": int((~checked.outlier).sum()), "counts": checked.counts}


def fit_check_document(checked: Checked, found: Mapping[str | None, Sequence[Move]] | None = None) -> Document:
    """
    Return what a fit of kept runs adds to its document: the counts, and both answers at each budget.

    Parameters
    ----------
    checked : Checked
        What was kept.
    found : mapping of str or None to sequence of Move, optional
        Moves by group, under None where the runs were fitted as one.

    Examples
    --------
    >>> truth = lawful.study_surface("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.plan_isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
    >>> fit_check_document(lawful.check(runs))["check"]["n_kept"]
    27
    """
    moves = [
        {**({} if group is None else {"group": group}), **move.to_dict()}
        for group, several in (found or {}).items()
        for move in several
    ]
    document: Document = strict({"check": {**check_counts(checked), "moves": moves}})
    return document


def check_parts(checked: Checked, source: str) -> list[RenderableType]:
    """Return a line on the runs, a table with a count per rule, what the rules that fired say, and the notes."""
    from rich.text import Text

    from lawful.show.tables import note_lines

    counts = check_counts(checked)
    rules = [
        (code, str(count), listed(checked.row[checked.reason == code].tolist(), ROWS_NAMED) or "-")
        for code, count in checked.counts.items()
    ]
    parts: list[RenderableType] = [
        Text(f"{source}: {counts['n_kept']} of {counts['n_runs']} runs kept"),
        _table(("rule", "runs", "rows"), rules),
    ]
    if len(checked.names) > 1:
        parts += [_table((str(checked.by), "kept", "flagged"), _experiments(checked))]
    parts += [Text(f"{code}: {SENTENCES[code]}") for code, count in checked.counts.items() if count]
    return [*parts, *note_lines(checked.notes)]


def _experiments(checked: Checked) -> list[tuple[str, str, str]]:
    rows = []
    for name in checked.names:
        reason = checked.reason[checked.experiment == name]
        flagged = {code: int((reason == code).sum()) for code in SENTENCES}
        rows.append((name, f"{(reason == KEPT).sum()} of {reason.size}", flags_text(flagged) or "-"))
    return rows


def _table(heads: tuple[str, str, str], rows: list[tuple[str, str, str]]) -> RenderableType:
    """Return a table of a name, a number and a text that may wrap."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for head, justify in zip(heads, ("left", "right", "left"), strict=True):
        table.add_column(Text(head), justify=justify, overflow="fold", no_wrap=justify == "right")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def write_check(folder: Path, checked: Checked, *, with_figures: str = "png+svg") -> None:
    """
    Write ``runs.csv``, ``check.png`` and ``check.svg``, and ``check.json`` into a folder.

    Parameters
    ----------
    folder : Path
        An existing directory, as :func:`~lawful.show.files.output.staged_output` yields.
    checked : Checked
        What was found. ``runs.csv`` holds all its rows in their original order, with
        ``outlier`` and ``reason`` added.
    with_figures : {"png+svg", "none"}
        Figure files to write; several experiments have a figure each, ``check-NAME.png``.
    """
    write_columns(folder / "runs.csv", checked.table)
    if with_figures != "none":
        used: set[str] = set()
        for name in checked.experiments:
            stem = "check" if checked.by is None else f"check-{folder_name(name, used)}"
            figure = plot_check(checked, name)
            for suffix in ("png", "svg"):
                save_figure(figure, folder / f"{stem}.{suffix}")
    write_document(folder / "check.json", check_document(checked))
