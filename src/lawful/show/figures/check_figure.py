"""Every IsoFLOP curve of a check, flagged runs marked by reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.checks.check import EVERY, Checked
from lawful.checks.rules import INVALID, KEPT
from lawful.core.numbers import format_power, format_short
from lawful.data.runs import Runs
from lawful.errors import IdentificationError, UnsupportedError
from lawful.show.figures.axes import drawing, set_log_axis, style_axes, widen
from lawful.show.figures.palette import LIGHT, Palette, current_style, font_size
from lawful.solve.parabola import fit_parabola

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

MOST_PANELS = 60
"""Budgets drawn; of more, those with the most runs."""

PANEL = (2.1, 1.75)
LEAST_PANEL = 1.5
"""Inches of width that a panel needs."""
"""Width and height of a panel in inches."""

TALL = 2.5
"""A flagged loss beyond this many times the spread of the kept ones is pinned to the edge of its panel."""

MOST_NUMBERED = 2
"""Up to this many pinned runs of a panel carry their loss."""

CURVE_POINTS = 60

MARKS: dict[str, tuple[str, str]] = {
    "exact_duplicate": ("s", "#56b4e9"),
    "near_duplicate_params": ("D", "#0072b2"),
    "too_few_points": ("P", "#8a6d00"),
    "off_center": ("^", "#d55e00"),
    "spline_outlier": ("X", "#c2185b"),
    "negative_curvature": ("v", "#5b3a29"),
    "weak_curvature": ("o", "#e69f00"),
    "too_few_post_qc": ("p", "#009e73"),
    "not_best_of_cell": ("<", "#7f7f7f"),
    "surface_outlier": ("X", "#9b59b6"),
}
"""Marker and colour per reason, safe for the colour-blind and different in shape as well."""


def plot_check(checked: Checked, experiment: str | None = None, *, palette: Palette = LIGHT) -> Figure:
    """
    Plot every IsoFLOP curve of a check in a panel of its own, flagged runs marked by reason.

    Parameters
    ----------
    checked : Checked
        From :func:`lawful.check`.
    experiment : str, optional
        Which experiment, where the table holds several.
    palette : Palette
        Colours; :data:`~lawful.show.figures.palette.LIGHT` by default.

    Returns
    -------
    matplotlib Figure
        One panel per budget: loss in nats per token against model size (log axis), the
        parabola of ln L in ln N through the kept runs, and the runs kept over all. A flagged
        run whose loss would flatten the panel is pinned to its edge with an arrow.

    Raises
    ------
    UnsupportedError
        If there is no such experiment, or several and none is named.
    IdentificationError
        If no row has values that can be drawn.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e19, 1e20, 1e21], 9, surface=truth))
    >>> len(plot_check(lawful.check(runs)).axes)
    3
    """
    from matplotlib.figure import Figure

    runs = _runs_of(checked, experiment)
    reason = checked.reason_of(runs)
    shown = _panels(runs)
    columns = int(np.ceil(np.sqrt(shown.size * 1.2)))
    width_of_paper = current_style().width
    if width_of_paper is not None:
        columns = min(columns, max(1, int(width_of_paper / LEAST_PANEL)))
    rows = -(-shown.size // columns)
    width, height = max(4.2, PANEL[0] * columns + 0.4), PANEL[1] * rows + 1.0
    width = width_of_paper or width
    with drawing():
        figure = Figure(figsize=(width, height), layout="constrained", facecolor=palette.paper)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax in axes[shown.size :]:
            ax.remove()
        for ax, group in zip(axes, shown, strict=False):
            here = runs.group == group
            _draw_budget(ax, runs.N[here], runs.L[here], reason[here], palette)
            kept = int((reason[here] == KEPT).sum())
            title = f"{format_power(float(runs.budgets[group]))}: {kept} of {here.sum()} kept"
            ax.set_title(title, fontsize=font_size() - 0.5, color=palette.ink if kept else palette.muted, loc="left")
        figure.supxlabel("Model size N (parameters); one panel per budget in FLOPs", fontsize=font_size())
        figure.supylabel("Loss (nats per token)", fontsize=font_size())
        _add_legend(figure, _tally(checked, experiment), palette, width)
        if shown.size < runs.budgets.size:
            note = f"{shown.size} of {runs.budgets.size} budgets: those with the most runs"
            figure.suptitle(note, fontsize=font_size(), color=palette.ink)
    return figure


def _runs_of(checked: Checked, experiment: str | None) -> Runs:
    found = checked.experiments
    if experiment is None and len(found) > 1:
        msg = f"The table holds {len(found)} experiments; name one of {', '.join(map(repr, found))}."
        raise UnsupportedError(msg)
    name = next(iter(found), "") if experiment is None else experiment
    if name not in found:
        if experiment is not None and experiment not in checked.experiment:
            msg = f"There is no experiment {experiment!r}; name one of {', '.join(map(repr, found))}."
            raise UnsupportedError(msg)
        msg = "Every row has an invalid value, so there is nothing to draw."
        raise IdentificationError(msg)
    return found[name]


def _tally(checked: Checked, experiment: str | None) -> dict[str, int]:
    """Count the rows per reason, kept ones included."""
    reason = checked.reason if experiment is None else checked.reason[checked.experiment == experiment]
    return {code: int((reason == code).sum()) for code in (KEPT, *EVERY)}


def _panels(runs: Runs) -> Any:
    """Choose the budgets to draw: all, or those with the most runs, ascending."""
    sizes = np.bincount(runs.group, minlength=runs.budgets.size)
    return np.sort(np.argsort(-sizes, kind="stable")[:MOST_PANELS])


def _draw_budget(ax: Axes, params: Any, loss: Any, reason: Any, palette: Palette) -> None:
    kept = reason == KEPT
    low, high = _loss_limits(loss, kept)
    ax.set_xlim(*widen(params, 1.3))
    ax.set_ylim(low, high)
    if kept.sum() > 2:
        _draw_parabola(ax, params[kept], loss[kept], palette)
    for code, (marker, colour) in MARKS.items():
        flagged = reason == code
        inside = flagged & (loss >= low) & (loss <= high)
        ax.scatter(params[inside], loss[inside], s=24, marker=marker, color=colour, linewidths=0, zorder=3)
    # Above the flagged ones, so that both of a pair of duplicates are seen.
    ax.scatter(params[kept], loss[kept], s=12, color=palette.ink, linewidths=0, zorder=4)
    _pin(ax, params, loss, reason)
    style_axes(ax, palette)
    ax.tick_params(labelsize=font_size() - 2)
    ax.locator_params(axis="y", nbins=4)
    set_log_axis(ax, "x", "count", most=3)
    ax.minorticks_off()  # in a panel this small they say little, and many panels of them are slow to lay out


def _loss_limits(loss: Any, kept: Any) -> tuple[float, float]:
    """Make room for every kept run, and for flagged ones that do not flatten the rest."""
    core = loss[kept] if kept.sum() > 2 else loss
    low, high = float(core.min()), float(core.max())
    spread = (high - low) or abs(high) * 0.01
    near = loss[(loss >= low - TALL * spread) & (loss <= high + TALL * spread)]
    low, high = float(near.min()), float(near.max())
    room = 0.09 * (high - low) or spread
    # More where something is pinned to that edge, so that it stands clear of the others.
    return low - room * (1 + 2 * (loss.min() < low)), high + room * (1 + 2 * (loss.max() > high))


def _draw_parabola(ax: Axes, params: Any, loss: Any, palette: Palette) -> None:
    x = np.log(params)
    found = fit_parabola(x, np.log(loss))
    if not np.isfinite(found.bend):
        return
    middle, half = (x.min() + x.max()) / 2, np.ptp(x) / 2
    shown = middle + half * np.linspace(-1.15, 1.15, CURVE_POINTS)
    ax.plot(np.exp(shown), np.exp(found.at(shown)), color=palette.muted, linewidth=0.9)


def _pin(ax: Axes, params: Any, loss: Any, reason: Any) -> None:
    """Mark the runs beyond the edge of a panel at that edge, with their loss where few of them need the room."""
    low, high = ax.get_ylim()
    beyond = np.flatnonzero((loss < low) | (loss > high))
    for i in beyond:
        marker, colour = MARKS[reason[i]]
        up = bool(loss[i] > high)
        ax.scatter(
            [params[i]],
            [0.95 if up else 0.05],
            s=24,
            marker=marker,
            color=colour,
            linewidths=0,
            zorder=3,
            transform=ax.get_xaxis_transform(),
        )
        ax.annotate(
            ("↑" if up else "↓") + (f"{format_short(loss[i], 3)}" if beyond.size <= MOST_NUMBERED else ""),
            (params[i], 0.95 if up else 0.05),
            xycoords=ax.get_xaxis_transform(),
            xytext=(0, -5 if up else 5),
            textcoords="offset points",
            ha="center",
            va="top" if up else "bottom",
            fontsize=font_size() - 2,
            color=colour,
        )


def _add_legend(figure: Figure, tally: dict[str, int], palette: Palette, width: float) -> None:
    from matplotlib.lines import Line2D

    def entry(marker: str, colour: str, text: str) -> Line2D:
        return Line2D(
            [], [], linestyle="none", marker=marker, markersize=5.5, color=colour, markeredgewidth=0, label=text
        )

    handles = [entry("o", palette.ink, f"kept {tally[KEPT]}")]
    handles += [entry(*mark, f"{code} {tally[code]}") for code, mark in MARKS.items() if tally[code]]
    if tally[INVALID]:
        handles.append(entry("None", palette.ink, f"{INVALID} {tally[INVALID]} (not drawn)"))
    columns = max(1, min(len(handles), int(width / 1.75)))
    legend = figure.legend(
        handles=handles, loc="outside upper left", ncols=columns, frameon=False, fontsize=font_size() - 0.5
    )
    for text in legend.get_texts():
        text.set_color(palette.ink)
