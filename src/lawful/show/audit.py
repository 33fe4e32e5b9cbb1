"""An audit for people and programs: the document and a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.forecasting.audit import Audit
from lawful.forecasting.floors import Floors
from lawful.forecasting.holdout import HeldOut
from lawful.show.figures.axes import drawing, figure_of, new_axes, save_figures, style_axes
from lawful.show.figures.palette import LIGHT, Palette, font_size
from lawful.show.files.bundle import write_columns, write_document
from lawful.show.files.document import Document, strict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AUDIT_SCHEMA = "lawful.audit/1"
FLOORS_SCHEMA = "lawful.floors/1"


def audit_document(found: Audit) -> Document:
    """Return what ``lawful audit --json`` prints (schema ``lawful.audit/1``); errors are fractions of the loss."""
    document: Document = strict(
        {
            "schema": AUDIT_SCHEMA,
            "holdout": {"kind": found.kind, "values": list(found.values), "rolling": found.rolling},
            "level": found.level,
            "rows": [_row(score) for score in found.scores],
            "differences": [
                {"score": d.score, "reference": d.reference, "mean": d.mean, "interval": d.interval}
                for d in found.differences
            ],
            "notes": [note.to_dict() for note in found.notes],
        }
    )
    return document


def floors_document(found: Floors) -> Document:
    """Return what ``lawful audit --fix`` prints (schema ``lawful.floors/1``); errors are fractions of the loss."""
    document: Document = strict(
        {
            "schema": FLOORS_SCHEMA,
            "law": found.law,
            "coefficient": found.name,
            "column": found.column,
            "values": list(found.values),
            "level": found.level,
            "rows": [one.to_dict() for one in found.rows],
            "notes": [note.to_dict() for note in found.notes],
        }
    )
    return document


def write_floors(folder: Path, found: Floors) -> None:
    """Write ``floors.json`` and ``floors.csv``, one line per floor."""
    rows = [one.to_dict() for one in found.rows]
    write_columns(folder / "floors.csv", {name: np.array([line[name] for line in rows], object) for name in rows[0]})
    write_document(folder / "floors.json", floors_document(found))


def _row(score: HeldOut) -> Mapping[str, Any]:
    return {
        "law": score.law,
        "method": score.method,
        "objective": score.objective,
        "n_train": score.n_train,
        "n_test": score.row.size,
        "median_abs_rel_error": score.median_abs_rel_error,
        "median_rel_error": score.median_rel_error,
        "coverage": score.coverage,
        "status": score.status.key,
        "notes": [note.to_dict() for note in score.notes],
    }


def plot_audit(found: Audit, ax: Axes | None = None, *, palette: Palette = LIGHT) -> Axes:
    """
    Plot the signed errors of every forecaster: dots are held-out runs, bars their medians.

    Parameters
    ----------
    found : Audit
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    palette : Palette

    Returns
    -------
    matplotlib Axes
        Error in percent of the observed loss; positive where forecasts are too high.

    Examples
    --------
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=truth), noise=0.002)
    >>> found = lawful.audit(runs, laws=["chinchilla"], methods=["vpnls"], last=1, draws=0)
    >>> plot_audit(found).get_xlabel()
    'Forecast less observed loss (%)'
    """
    with drawing():
        scores = [score for score in found.scores if score.error.size]
        ax = ax or new_axes(palette, (6.4, 1.1 + 0.36 * max(len(scores), 2)))
        rng = np.random.default_rng(0)
        for place, score in enumerate(scores):
            error = 100 * score.error
            color = palette.methods[0][1] if score.law else palette.methods[2][1]
            ax.scatter(error, place + rng.uniform(-0.16, 0.16, error.size), s=9, color=color, alpha=0.5, linewidths=0)
            middle = float(np.median(error))
            ax.plot([middle, middle], [place - 0.32, place + 0.32], color=palette.ink, linewidth=2)
        ax.axvline(0, color=palette.muted, linewidth=0.8, zorder=1)
        style_axes(ax, palette)
        ax.grid(visible=False, axis="y")
        ax.set_yticks(range(len(scores)), [score.name for score in scores], fontsize=font_size())
        ax.set_ylim(len(scores) - 0.4, -0.6)
        ax.set_xlabel("Forecast less observed loss (%)")
    return ax


def write_audit(folder: Path, found: Audit, *, with_figures: str = "png+svg") -> None:
    """Write ``audit.json``, ``audit.csv`` (one line per forecast) and the figure."""
    long = [
        (s.law or "", s.method, int(r), float(e)) for s in found.scores for r, e in zip(s.row, s.error, strict=True)
    ]
    names = ("law", "method", "forecast", "rel_error")
    columns = [np.array([line[i] for line in long]) for i in range(len(names))]
    write_columns(folder / "audit.csv", dict(zip(names, columns, strict=True)))
    if with_figures != "none":
        figure = figure_of(plot_audit(found))
        save_figures(figure, folder, "audit", with_figures)
    write_document(folder / "audit.json", audit_document(found))
