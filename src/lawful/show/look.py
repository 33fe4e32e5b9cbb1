"""A look's JSON document, and what ``lawful look --out`` writes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from lawful.analysis.look import Look
from lawful.show.figures.axes import save_figures
from lawful.show.figures.look_figure import plot_look
from lawful.show.files.bundle import write_document
from lawful.show.files.document import Document, strict

LOOK_SCHEMA = "lawful.look/1"


def look_document(found: Look) -> Document:
    """
    Return a look as JSON types.

    Examples
    --------
    >>> document = look_document(lawful.look({"N": [1e8, 2e8], "D": [2e9, 1e9], "loss": [3.2, 3.1]}))
    >>> document["schema"], document["n_runs"], document["columns"][0]["taken_for"], document["refused"]
    ('lawful.look/1', 2, 'params', None)
    """
    runs = found.runs
    document: Document = strict(
        {
            "schema": LOOK_SCHEMA,
            "source": found.source,
            "n_rows": found.rows,
            "n_runs": None if runs is None else len(runs),
            "refused": found.refused or None,
            "columns": [asdict(column) for column in found.columns],
            "roles": {} if runs is None else dict(runs.columns),
            "n_sizes": None if runs is None else len(set(runs.N.tolist())),
            "budgets": [asdict(budget) for budget in found.budgets],
            "cells": {"n": found.cells, "repeated": found.repeated, "copies": found.copies},
            "hyperparameters": list(found.tuned),
            "experiments": {"column": found.experiment, "values": list(found.experiments)},
            "verbs": [asdict(verb) for verb in found.verbs],
            "next": found.next,
            "notes": [note.to_dict() for note in found.notes],
        }
    )
    return document


def write_look(folder: Path, found: Look, *, with_figures: str = "png+svg") -> None:
    """
    Write ``look.json``, and ``look.png`` and ``look.svg`` where the runs have sizes and tokens.

    Parameters
    ----------
    folder : Path
        An existing directory, as :func:`~lawful.show.files.output.staged_output` yields.
    found : Look
        What was found.
    with_figures : {"png+svg", "pdf+png+svg", "none"}
        Figure files to write.
    """
    if found.runs is not None and found.budgets and with_figures != "none":
        figure = plot_look(found.runs)
        save_figures(figure, folder, "look", with_figures)
    write_document(folder / "look.json", look_document(found))
