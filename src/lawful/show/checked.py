"""A check's JSON document, and what ``lawful check --out`` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lawful.analysis.moves import Move
from lawful.checks.check import Checked
from lawful.show.figures.axes import save_figures
from lawful.show.figures.check_figure import plot_check
from lawful.show.files.bundle import folder_name, write_columns, write_document
from lawful.show.files.document import Document, strict

CHECK_SCHEMA = "lawful.check/1"


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
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
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
    with_figures : {"png+svg", "pdf+png+svg", "none"}
        Figure files to write; several experiments have a figure each, ``check-NAME.png``.
    """
    write_columns(folder / "runs.csv", checked.table)
    if with_figures != "none":
        used: set[str] = set()
        for name in checked.experiments:
            stem = "check" if checked.by is None else f"check-{folder_name(name, used)}"
            figure = plot_check(checked, name)
            save_figures(figure, folder, stem, with_figures)
    write_document(folder / "check.json", check_document(checked))
