"""Figures worth a paper: IsoFLOP curves, the compute-optimal frontier, residuals by budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lawful.core.numbers import format_power, format_short
from lawful.core.typing import Columns
from lawful.errors import UnsupportedError
from lawful.show.figures.axes import (
    add_legend,
    drawing,
    figure_of,
    is_narrow,
    new_axes,
    set_log_axis,
    style_axes,
    widen,
)
from lawful.show.figures.curve_figure import has_curve, plot_curve
from lawful.show.figures.figure_data import figure_tables, parabolas_of, rows_where, tells_frontier
from lawful.show.figures.frontier import plot_frontier
from lawful.show.figures.palette import (
    CROWDED,
    LIGHT,
    LINES,
    MARKERS,
    METHOD_LABELS,
    NARROW,
    Palette,
    current_style,
    font_size,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lawful.analysis.analysis import Analysis

__all__ = ["figure_tables", "figures_of", "plot_frontier", "plot_isoflop", "plot_residuals"]

RASTER_FROM = 2000
"""More points than this are drawn as an image inside SVG and PDF, to keep the file light."""
STRIP = 0.7
"""Share of a budget's column that its residuals spread over."""
SMALL_RESIDUAL = 0.1
"""Below this many nats residuals are shown in thousandths, or millionths."""
FAR = 6.0
"""Residuals beyond this many times the 95th percentile are pinned to the edge."""
MOST_BUDGET_LABELS = 12
LEVEL_CHARACTERS = 40
"""Budget names with more characters than this in all are slanted, to keep clear of each other."""
ROOMY = 6.0
"""A figure of this width in inches has room for three columns of legend."""
MOST_NUMBERED = 6
"""Up to this many pinned residuals carry their number."""


SIZES = {"params": "Model size N (parameters)", "tokens": "Training tokens D"}
"""What a run's loss at its budget is drawn against."""


def plot_isoflop(
    analysis: Analysis,
    ax: Axes | None = None,
    *,
    palette: Palette = LIGHT,
    x: Literal["params", "tokens"] = "params",
) -> Axes:
    """
    Plot loss against model size or tokens, one colour per budget, with the optima of the fit and of Approach 2.

    Parameters
    ----------
    analysis : Analysis
        A fit with what it implies, by any method.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    palette : Palette
        Colours; :data:`~lawful.show.figures.palette.LIGHT` by default.
    x : {"params", "tokens"}
        What the loss is drawn against; the same curves, seen from the other side.

    Returns
    -------
    matplotlib Axes
        Model size in parameters or training tokens (log axis), loss in nats per token.

    Raises
    ------
    UnsupportedError
        If ``x`` is neither.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> plan = lawful.Plan.isoflop([1e19, 1e20, 1e21], surface=truth)
    >>> analysis = lawful.analyse(lawful.simulate(truth, plan, noise=0.01), budgets=[1e24], draws=0)
    >>> ax = analysis.plot.isoflop()
    >>> ax.get_xlabel(), ax.get_xscale()
    ('Model size N (parameters)', 'log')

    The figure belongs to no global state; write it with ``ax.figure.savefig("isoflop.svg")``.
    """
    if x not in SIZES:
        msg = f"IsoFLOP curves are drawn against params or tokens, got {x!r}."
        raise UnsupportedError(msg)
    with drawing():
        ax = ax or new_axes(palette)
        tables = figure_tables(analysis)
        runs, curves, optima = (tables[f"isoflop_{name}"] for name in ("runs", "curves", "optima"))
        budgets = np.unique(runs["budget"])
        colours = dict(zip(budgets.tolist(), palette.budgets(budgets), strict=True))
        ax.scatter(
            runs[x],
            runs["loss"],
            c=[colours[b] for b in runs["budget"].tolist()],
            s=4 if runs["loss"].size >= RASTER_FROM else 8 if is_narrow(ax) else 16,
            linewidths=0,
            alpha=0.9 if runs["loss"].size < RASTER_FROM else 0.4,
            zorder=3,
            rasterized=runs["loss"].size > RASTER_FROM,
            label="runs",
        )
        for source, budget in dict.fromkeys(zip(curves["source"].tolist(), curves["budget"].tolist(), strict=True)):
            curve = rows_where(curves, source=source, budget=budget)
            ax.plot(
                curve[x],
                curve["loss"],
                color=colours.get(budget, palette.muted),
                linestyle=LINES[source],
                linewidth=1.3,
                label=f"_{source} {budget:g}",
            )
        for source in dict.fromkeys(optima["source"].tolist()):
            best = rows_where(optima, source=source)
            _mark(ax, best[x], best["loss"], source, palette)
        low, high = widen(np.concatenate([runs[x], curves[x]]), 1.25)
        ax.set_xlim(low, high * (high / low) ** LABEL_WIDTH)
        _set_loss_limits(ax, runs["loss"], np.append(curves["loss"], optima["loss"]))
        ax.set_xlabel(SIZES[x])
        ax.set_ylabel("Loss (nats per token)")
        style_axes(ax, palette)
        set_log_axis(ax, "x", "count", most=8)
        _name_curves(ax, runs, curves, palette, x)
        _isoflop_legend(ax, curves, palette)
    return ax


def plot_residuals(analysis: Analysis, ax: Axes | None = None, *, palette: Palette = LIGHT) -> Axes:
    """
    Plot observed minus fitted loss by budget; within a budget from small to large models.

    A sound fit scatters evenly about zero at every budget. A smile within a
    budget says that the law bends too little; a drift from budget to budget
    says that its exponents are off.

    Parameters
    ----------
    analysis : Analysis
        A fit with what it implies, by a method that predicts losses.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    palette : Palette
        Colours; :data:`~lawful.show.figures.palette.LIGHT` by default.

    Returns
    -------
    matplotlib Axes
        Residuals in nats per token, or in thousandths of it where all are small.

    Raises
    ------
    UnsupportedError
        If the fit predicts no loss (Approach 1), so that there are no residuals.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> plan = lawful.Plan.isoflop([1e19, 1e20, 1e21], surface=truth)
    >>> analysis = lawful.analyse(lawful.simulate(truth, plan, noise=0.001), budgets=[1e24], draws=0)
    >>> analysis.plot.residuals().get_ylabel()
    'Observed − fitted loss (10⁻³ nats per token)'
    """
    tables = figure_tables(analysis)
    table, medians = tables["residuals"], tables["residual_medians"]
    if not table["residual"].size:
        msg = f"{METHOD_LABELS[analysis.fit.method]} predicts no loss, so it has no residuals to plot."
        raise UnsupportedError(msg)
    with drawing():
        ax = ax or new_axes(palette)
        power = _thousands(table["residual"])
        values = table["residual"] / 10.0**power
        place, budgets = _strip_positions(table)
        near = _near(values)
        colours = palette.budgets(budgets)[np.searchsorted(budgets, table["budget"])]
        ax.axhline(0.0, color=palette.muted, linewidth=1.0, zorder=1)
        dense = bool(near.sum() > RASTER_FROM)
        ax.scatter(place[near], values[near], c=colours[near], s=14, linewidths=0, zorder=3, rasterized=dense)
        columns = np.arange(budgets.size)
        ax.hlines(
            medians["residual"] / 10.0**power,
            columns - STRIP / 2,
            columns + STRIP / 2,
            color=palette.ink,
            linewidth=1.6,
            zorder=4,
            label="median of the budget",
        )
        low, high = min(0.0, float(values[near].min())), max(0.0, float(values[near].max()))
        room = 0.08 * (high - low) or 1.0
        ax.set_ylim(low - room, high + room)
        ax.set_xlim(-0.6, budgets.size - 0.4)
        _pin_far_points(ax, place[~near], values[~near], palette)
        _name_budgets(ax, budgets)
        unit = "nats per token" if power == 0 else f"{format_power(10.0**power)} nats per token"
        ax.set_ylabel(f"{'Residual' if is_narrow(ax) else 'Observed − fitted loss'} ({unit})")
        style_axes(ax, palette)
        ax.grid(visible=False, axis="x")
        add_legend(ax, palette)
    return ax


def figures_of(analysis: Analysis, *, palette: Palette = LIGHT) -> dict[str, Figure]:
    """
    Return the figures of an analysis by name.

    Parameters
    ----------
    analysis : Analysis
        A fit with what it implies, by any method.
    palette : Palette
        Colours; :data:`~lawful.show.figures.palette.LIGHT` by default.

    Returns
    -------
    dict of str to matplotlib Figure
        ``isoflop``, ``frontier`` (N* and D* side by side) where the runs tell an optimum and, if the fit predicts
        losses, ``residuals``; ``curve`` alone for a law of one column, which has neither.
    """
    if has_curve(analysis.fit):
        return {"curve": figure_of(plot_curve(analysis.fit, palette=palette))}
    found = {"isoflop": figure_of(plot_isoflop(analysis, palette=palette))}
    if tells_frontier(analysis):
        found["frontier"] = _frontier_pair(analysis, palette)
    if predicts_loss(analysis):
        found["residuals"] = figure_of(plot_residuals(analysis, palette=palette))
    return found


def _frontier_pair(analysis: Analysis, palette: Palette) -> Figure:
    """N* and D*; side by side two axes would be unreadable in a column, where they stand one above the other."""
    from matplotlib.figure import Figure

    stacked = (current_style().width or NARROW) < NARROW
    size = current_style().size((6.4, 8.0) if stacked else (9.6, 4.0))
    frontier = Figure(figsize=size, layout="constrained", facecolor=palette.paper)
    with drawing():
        left, right = frontier.subplots(*((2, 1) if stacked else (1, 2)))
    plot_frontier(analysis, left, quantity="params", palette=palette)
    plot_frontier(analysis, right, quantity="tokens", palette=palette)
    return frontier


def predicts_loss(analysis: Analysis) -> bool:
    """Return whether the fit predicts losses, so that residuals exist."""
    return analysis.fit.method != "approach1" and (analysis.fit.method != "approach2" or bool(parabolas_of(analysis)))


def _mark(ax: Axes, x: Any, y: Any, source: str, palette: Palette) -> None:
    """Mark optima: filled for a fit, hollow for Approach 2, so that both show where they meet."""
    hollow, crowded = source == "approach2", len(x) > CROWDED or is_narrow(ax)
    ax.plot(
        x,
        y,
        linestyle="none",
        marker=MARKERS[source],
        markersize=(7.5 if hollow else 5.0) * (0.6 if crowded else 1.0),
        markerfacecolor="none" if hollow else palette.ink,
        markeredgecolor=palette.method("approach2") if hollow else palette.paper,
        markeredgewidth=1.6 if hollow else 0.0 if crowded else 0.8,
        zorder=6 if hollow else 5,
        label=f"{METHOD_LABELS[source]} optimum",
    )


def _set_loss_limits(ax: Axes, observed: Any, drawn: Any) -> None:
    """Show all runs, and of the curves what lies near them."""
    low, high = float(observed.min()), float(observed.max())
    near = drawn[np.isfinite(drawn) & (drawn > low - 0.5 * (high - low)) & (drawn < high)]
    low = min(low, float(near.min())) if near.size else low
    room = 0.04 * (high - low) or 0.04 * high
    ax.set_ylim(low - room, high + room)


def _name_curves(ax: Axes, runs: Columns, curves: Columns, palette: Palette, across: str) -> None:
    """Write each budget at the right end of its curve, from the largest on; those too near to another go without."""
    budgets = np.unique(runs["budget"])
    if budgets.size == 1:
        ax.set_xlabel(f"{ax.get_xlabel()}, budget {format_power(float(budgets[0]))} FLOPs")
        return
    low, high = ax.get_ylim()
    pixels = ax.get_window_extent()
    drawn = curves if curves["budget"].size else runs
    taken: list[Any] = []
    for budget in budgets[::-1]:
        here = (drawn["budget"] == budget) & (drawn["loss"] >= low) & (drawn["loss"] <= high)
        if not here.any():
            continue
        at = np.flatnonzero(here)[np.argmax(drawn[across][here])]
        x, y = float(drawn[across][at]), float(drawn["loss"][at])
        place = ax.transData.transform((x, y))
        clear = [abs(place - other) for other in taken]
        if any(dx < LABEL_WIDTH * pixels.width and dy < LABEL_HEIGHT * ax.figure.dpi for dx, dy in clear):
            continue
        taken.append(place)
        text = f"{format_power(float(budget))}{' FLOPs' if len(taken) == 1 else ''}"
        ax.annotate(
            text,
            (x, y),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=palette.ink,
            fontsize=font_size() - 0.5,
            annotation_clip=False,
        )


LABEL_WIDTH, LABEL_HEIGHT = 0.12, 0.14
"""Room of a budget's label: a share of the axes' width, and inches."""


def _isoflop_legend(ax: Axes, curves: Columns, palette: Palette) -> None:
    from matplotlib.lines import Line2D

    dot = Line2D([], [], linestyle="none", marker="o", markersize=4, color=palette.muted, label="runs")
    drawn = [
        Line2D([], [], color=palette.muted, linestyle=LINES[source], label=_curve_label(source))
        for source in dict.fromkeys(curves["source"].tolist())
    ]
    marks = [line for line in ax.get_lines() if not str(line.get_label()).startswith("_")]
    columns = 3 if figure_of(ax).get_figwidth() >= ROOMY else 2
    add_legend(ax, palette, [dot, *drawn, *marks], columns=columns)


def _curve_label(source: str) -> str:
    return f"{METHOD_LABELS[source]} {'parabolas' if source == 'approach2' else 'law'}"


def _strip_positions(table: Columns) -> tuple[Any, Any]:
    """Return a horizontal place per run, ordered by model size within its budget, and the budgets."""
    budgets = np.unique(table["budget"])
    place = np.empty(table["budget"].size)
    for column, budget in enumerate(budgets):
        here = np.flatnonzero(table["budget"] == budget)
        rank = np.argsort(np.argsort(table["params"][here], kind="stable"))
        place[here] = column + STRIP * ((rank + 0.5) / here.size - 0.5)
    return place, budgets


def _thousands(residuals: Any) -> int:
    """Return the power of ten to show residuals in: none from a tenth of a nat, else a multiple of three."""
    most = float(np.abs(residuals).max())
    return 0 if most >= SMALL_RESIDUAL or most == 0 else 3 * int(np.floor(np.log10(most) / 3))


def _near(values: Any) -> Any:
    """Tell which residuals are drawn to scale: all of them, unless a few lie far outside."""
    size = np.abs(values)
    usual = float(np.quantile(size, 0.95))
    return size <= FAR * usual if usual > 0 else np.ones(size.shape, bool)


def _name_budgets(ax: Axes, budgets: Any) -> None:
    """Write budgets under their columns: as many as fit, slanted where they are long."""
    stride = -(-budgets.size // MOST_BUDGET_LABELS)
    names = [format_power(b) for b in budgets[::stride].tolist()]
    slanted = sum(map(len, names)) > LEVEL_CHARACTERS
    turn: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    ax.set_xticks(np.arange(0, budgets.size, stride), names, **turn)
    ax.set_xlabel(f"Budget (FLOPs){', ' if is_narrow(ax) else '; within each, '}small to large models")


def _pin_far_points(ax: Axes, place: Any, values: Any, palette: Palette) -> None:
    """Draw residuals beyond the axis as triangles on its edge; a few carry their number."""
    low, high = ax.get_ylim()
    edges = np.where(values > 0, high - 0.02 * (high - low), low + 0.02 * (high - low))
    for marker, side in (("^", values > 0), ("v", values < 0)):
        if side.any():
            name = f"{side.sum()} beyond the axis"
            ax.plot(
                place[side], edges[side], linestyle="none", marker=marker, color=palette.ink, markersize=5, label=name
            )
    for x, y, value in zip(place, edges, values, strict=True):
        if values.size <= MOST_NUMBERED:
            shift: dict[str, Any] = {
                "xytext": (5, 0),
                "textcoords": "offset points",
                "va": "center",
                "fontsize": font_size() - 1,
            }
            ax.annotate(f"{format_short(value, 3)}", (x, y), color=palette.ink, **shift)
