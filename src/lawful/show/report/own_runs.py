"""The user's own runs inside the explorer: their columns, what check says of each, and the report's answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from lawful.analysis.analysis import Analysis, analyse
from lawful.checks.check import check
from lawful.data.columns import ACCEPTED, ALSO, EXPERIMENT_NAMES
from lawful.data.runs import Runs
from lawful.errors import LawfulError
from lawful.show.report.card import remarks, told_numbers
from lawful.show.report.decision import decision_sentences


def column_names() -> dict[str, Any]:
    """
    Return the names of columns by which the page reads a table that is dropped on it: those that files are read by.

    Examples
    --------
    >>> "val_loss" in column_names()["accepted"]["loss"]
    True
    """
    return {
        "accepted": {quantity: list(names) for quantity, names in ACCEPTED.items()},
        "also": {quantity: list(names) for quantity, names in ALSO.items()},
        "experiments": list(EXPERIMENT_NAMES),
    }


def own_document(runs: Runs, target: float, arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """
    Return what the explorer knows of the user's runs.

    Parameters
    ----------
    runs : Runs
        Runs that have N, D and a loss.
    target : float
        Budget that the report's answer is for, in FLOPs.
    arguments : sequence of str, optional
        How a command reads these runs: their file and the options that choose among its rows. The source by default.

    Returns
    -------
    dict
        ``runs`` by column, ``named`` (whether the table has a column of compute), and ``report``: the answer of
        :func:`lawful.analyse` with what a report's first screen says of it, or None with the reason among ``notes``.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.004)
    >>> told = own_document(runs, 1e22)
    >>> len(told["runs"]["loss"]), [number["name"] for number in told["report"]["numbers"]]
    (27, ['parameters', 'tokens', 'loss, nats per token'])
    """
    runs = runs.require(("N", "D"))
    notes = [note.message for note in runs.notes]
    flags = np.full(len(runs), "none", dtype=object)
    report = None
    try:
        flags = np.asarray(check(runs).reason_of(runs), dtype=object)
    except LawfulError as error:
        notes.append(f"The runs were not checked: {error}")
    try:
        report = _report(analyse(runs, budgets=[target]), int((flags != "none").sum()))
    except LawfulError as error:
        notes.append(f"A report has no answer for these runs: {error}")
    row = np.arange(1, len(runs) + 1) if runs.row is None else runs.row
    return {
        "source": runs.source or "your runs",
        "arguments": None if arguments is None else list(arguments),
        "named": "budget" in runs.columns or not runs.columns,
        "runs": {
            "row": row,
            "params": runs.N,
            "tokens": runs.D,
            "budget": runs.C,
            "loss": runs.L,
            "flag": ["" if flag == "none" else str(flag) for flag in flags],
        },
        "notes": notes,
        "report": report,
    }


def _report(analysis: Analysis, flagged: int) -> dict[str, Any]:
    asked, numbers = told_numbers(analysis)
    return {
        "budget": analysis.allocations[0].budget,
        "asked": asked,
        "numbers": [asdict(number) for number in numbers],
        "chips": [asdict(chip) for chip in remarks(analysis, flagged)],
        "sentences": decision_sentences(analysis, beside=True),
        # The page fits at once and tests nothing: where runs tell no optimum, its numbers are said with that doubt.
        "withheld": analysis.withholds(analysis.allocations[0].budget),
    }
