"""A saved fit as a report needs it: with the budgets it was asked about, its labels, and what its check left out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.core.shown import Record
from lawful.data.runs import Runs
from lawful.errors import LawfulError
from lawful.show.files.artifact import load
from lawful.sources.read import load_columns

OURS = ("params", "tokens", "loss", "budget", "predicted_loss", "residual", "residual_fit")
"""Columns that ``runs.csv`` has from the fit."""


@dataclass(frozen=True, eq=False)
class SavedFit(Record):
    """
    A fit that was loaded, with what stands beside it.

    Attributes
    ----------
    path : str
        Its file, as given.
    analysis : Analysis
        With allocations at the budgets asked for.
    flagged : mapping of str to Any, or None
        What ``fit --check`` left out, as its document has it; None without a check.
    """

    path: str
    analysis: Analysis
    flagged: Mapping[str, Any] | None


def load_saved(path: str | Path, *, budgets: Sequence[float] = ()) -> SavedFit:
    """
    Load a ``fit.json`` for a report.

    Parameters
    ----------
    path : str or Path
        A file written by ``lawful fit --out`` or :func:`lawful.show.files.artifact.save_fit`.
    budgets : sequence of float
        Budgets in FLOPs to allocate; those the fit was asked about by default.

    Returns
    -------
    SavedFit
        The labels of its runs are those of the ``runs.csv`` beside it, if that has the same runs.

    Raises
    ------
    InputError
        If the file cannot be read as a fit.

    Examples
    --------
    >>> import tempfile
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = load_saved(lawful.analyse(runs, budgets=[1e22]).save(f"{folder}/fit.json"))
    >>> [allocation.budget for allocation in found.analysis.allocations]
    [1e+22]
    """
    analysis = load(path, budgets=budgets or None)
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    runs = with_labels(analysis.fit.runs, Path(path).parent / "runs.csv")
    fit = replace(analysis.fit, runs=runs)
    again: dict[str, Any] = {
        role: fit if getattr(analysis, role) is analysis.fit else getattr(analysis, role)
        for role in ("isoflop", "truth")
    }
    found = replace(analysis, fit=fit, **again)
    return SavedFit(str(path), found, document.get("check"))


def with_labels(runs: Runs, beside: Path) -> Runs:
    """Return runs with the other columns of a table that holds the same losses in the same order."""
    if not beside.is_file():
        return runs
    try:
        columns = load_columns(str(beside))[0]
    except LawfulError:
        return runs
    loss = runs.columns.get("loss", "loss")
    try:
        same = np.array_equal(np.asarray(columns[loss], float), runs.L)
    except (KeyError, TypeError, ValueError):
        return runs
    taken = {*runs.columns.values(), *OURS}
    labels = {name: np.asarray(column) for name, column in columns.items() if name not in taken}
    return replace(runs, labels=labels) if same else runs


def flagged_sentence(flagged: Mapping[str, Any]) -> str:
    """
    Say what a check left out before the fit.

    Examples
    --------
    >>> flagged_sentence({"n_runs": 45, "n_kept": 43, "counts": {"off_center": 2, "spline_outlier": 0}})
    '2 of 45 rows were flagged and left out of this fit: off_center 2'
    """
    counts = ", ".join(f"{code} {count}" for code, count in flagged["counts"].items() if count)
    left = flagged["n_runs"] - flagged["n_kept"]
    return f"{left} of {flagged['n_runs']} rows were flagged and left out of this fit" + (f": {counts}" if left else "")
