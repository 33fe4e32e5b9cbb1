"""The compute-optimal frontier, N* and D* against C, into the future."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lawful.core.numbers import format_count, format_level, format_power
from lawful.core.typing import Columns
from lawful.errors import UnsupportedError
from lawful.show.figures.axes import add_legend, drawing, is_narrow, new_axes, set_log_axis, style_axes, widen
from lawful.show.figures.figure_data import figure_tables, rows_where, tells_frontier
from lawful.show.figures.labels import place_labels
from lawful.show.figures.palette import CROWDED, LIGHT, LINES, MARKERS, METHOD_LABELS, Palette

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from lawful.analysis.analysis import Analysis


AXIS_NAMES = {
    "params": "Compute-optimal model size N* (parameters)",
    "tokens": "Compute-optimal training set D* (tokens)",
}
SHORT_NAMES = {"params": "Optimal size N* (parameters)", "tokens": "Optimal tokens D*"}
"""For figures as narrow as a column."""


def plot_frontier(
    analysis: Analysis,
    ax: Axes | None = None,
    *,
    quantity: Literal["params", "tokens"] = "params",
    palette: Palette = LIGHT,
) -> Axes:
    """
    Plot the compute-optimal model size (or tokens) against compute, into the future.

    Parameters
    ----------
    analysis : Analysis
        A fit with what it implies, by any method.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    quantity : {"params", "tokens"}
        N* or D*.
    palette : Palette
        Colours; :data:`~lawful.show.figures.palette.LIGHT` by default.

    Returns
    -------
    matplotlib Axes
        Compute in FLOPs and N* or D*, both on log axes. The region beyond the largest
        training budget is shaded; the band is the interval of the draws.

    Raises
    ------
    UnsupportedError
        If the runs tell no optimum at any budget.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> plan = lawful.Plan.isoflop([1e19, 1e20, 1e21], surface=truth)
    >>> analysis = lawful.analyse(lawful.simulate(truth, plan, noise=0.01), budgets=[1e24], draws=0)
    >>> ax = analysis.plot.frontier(quantity="tokens")
    >>> ax.get_ylabel()
    'Compute-optimal training set D* (tokens)'
    """
    if not tells_frontier(analysis):
        msg = "These runs tell no compute-optimal size at any budget, so there is no frontier to draw."
        raise UnsupportedError(msg)
    with drawing():
        ax = ax or new_axes(palette)
        tables = figure_tables(analysis)
        points, lines, targets = (tables[f"frontier_{name}"] for name in ("points", "lines", "targets"))
        trained = float(analysis.fit.runs.budgets.max())
        handles: list[Artist] = []
        for source in dict.fromkeys(lines["source"].tolist()):
            line, colour = rows_where(lines, source=source), palette.method(source)
            if not np.isfinite(line["params"]).any():
                continue
            label = METHOD_LABELS[source]
            style: dict[str, Any] = {"color": colour, "linestyle": LINES[source], "label": label}
            handles += ax.plot(
                line["budget"], line[quantity], zorder=3 if source == analysis.fit.method else 2, **style
            )
            low, high = line[f"{quantity}_low"], line[f"{quantity}_high"]
            if np.any(np.isfinite(low)):
                name = f"{format_level(analysis.level)} interval"
                band = ax.fill_between(line["budget"], low, high, color=colour, alpha=0.2, linewidth=0, label=name)
                handles.append(band)
        for source in dict.fromkeys(points["source"].tolist()):
            handles += _optima_per_budget(ax, rows_where(points, source=source), quantity, palette)
        grid = lines["budget"]
        ax.set_xlim(float(grid.min()), float(grid.max()))
        ax.set_ylim(*widen(np.concatenate([lines[quantity], points[quantity], targets[quantity]]), 1.6))
        beyond = ax.axvspan(trained, float(grid.max()), color=palette.shade, zorder=0, linewidth=0)
        beyond.set_label(f"extrapolated (> {format_power(trained)})")
        ax.set_xlabel("Training compute C (FLOPs)")
        ax.set_ylabel(SHORT_NAMES[quantity] if is_narrow(ax) else AXIS_NAMES[quantity])
        style_axes(ax, palette)
        set_log_axis(ax, "x", "flops", most=6)
        set_log_axis(ax, "y", "count")
        add_legend(ax, palette, [*handles, beyond])
        _mark_targets(ax, targets, quantity, palette)
    return ax


def _optima_per_budget(ax: Axes, points: Columns, quantity: str, palette: Palette) -> list[Artist]:
    """Draw the optima that a line of Approach 1 or 2 goes through; hollow where the sizes do not bracket it."""
    source = str(points["source"][0])
    handles: list[Artist] = []
    for bracketed, name in ((1.0, "per budget"), (0.0, "not bracketed")):
        some = rows_where(points, bracketed=bracketed)
        if some["budget"].size:
            colour = palette.method(source)
            handles += ax.plot(
                some["budget"],
                some[quantity],
                linestyle="none",
                marker=MARKERS[source],
                markersize=4.5 if points["budget"].size <= CROWDED else 2.5,
                markerfacecolor=colour if bracketed else palette.paper,
                markeredgecolor=colour,
                zorder=4,
                label=f"{METHOD_LABELS[source]} {name}",
            )
    return handles


def _mark_targets(ax: Axes, targets: Columns, quantity: str, palette: Palette) -> None:
    """Mark each target budget and write what every method makes of it."""
    labels: list[tuple[float, float, str, str, int]] = []
    for budget in dict.fromkeys(targets["budget"].tolist()):
        here = rows_where(targets, budget=budget)
        ax.axvline(budget, color=palette.muted, linewidth=0.7, linestyle=":", zorder=1)
        highest = np.max(here[quantity], where=np.isfinite(here[quantity]), initial=0.0)
        ends = (here[f"{quantity}_low"], here[f"{quantity}_high"])
        for source, value, low, high in zip(here["source"].tolist(), here[quantity], *ends, strict=True):
            if not np.isfinite(value):
                continue
            colour = palette.method(source)
            if np.isfinite(low) and np.isfinite(high):
                ax.plot([budget, budget], [low, high], color=colour, linewidth=1.6, zorder=5)
            ax.plot([budget], [value], marker=MARKERS[source], color=colour, markersize=5.5, zorder=6)
            labels.append((budget, float(value), format_count(float(value)), colour, 1 if value == highest else -1))
    if labels:
        place_labels(ax, labels, palette)
