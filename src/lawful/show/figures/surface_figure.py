"""The fitted law as a map: lines of equal loss over N and D, the runs by residual, the frontier, the budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from lawful.core.numbers import format_count, format_power, format_value
from lawful.core.typing import Array, Columns
from lawful.errors import UnsupportedError
from lawful.estimate.result import AnyFit, Fit, surface_fit
from lawful.show.figures.axes import add_legend, drawing, new_axes, set_log_axis, style_axes
from lawful.show.figures.figure_data import figure_tables, rows_where
from lawful.show.figures.palette import LIGHT, METHOD_LABELS, Palette, font_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lawful.analysis.analysis import Analysis

GRID = 121
COARSE = 45
"""Points per side of the grid behind the lines that a page draws itself."""
ROOM = 3.0
"""The map reaches this factor beyond the runs and the sizes asked for, on every side."""
LEVELS = 9
MOST_BUDGETS = 6
"""Lines of equal compute at most."""
FAR_RESIDUAL = 0.95
"""Colours of residuals reach to this quantile of their sizes; a few runs far off would wash out the others."""


def has_map(fit: AnyFit) -> TypeGuard[Fit]:
    """Return whether the law of a fit is a function of N and D, which can be mapped."""
    return fit.surface is not None and fit.surface.law.predicts and {"N", "D"} <= set(fit.surface.law.columns)


def surface_limits(analysis: Analysis) -> tuple[tuple[float, float], tuple[float, float]]:
    """Range of N and of D that the map covers: the runs, and the optima that were asked for."""
    runs = analysis.fit.runs
    asked = [(a.params, a.tokens) for a in analysis.allocations]
    sizes = np.concatenate([runs.N, [n for n, d in asked if np.isfinite(n + d) and n > 0]])
    tokens = np.concatenate([runs.D, [d for n, d in asked if np.isfinite(n + d) and d > 0]])
    return (
        (float(sizes.min() / ROOM), float(sizes.max() * ROOM)),
        (float(tokens.min() / ROOM), float(tokens.max() * ROOM)),
    )


def surface_levels(fit: Fit, runs_loss: Array, low: float) -> Array:
    """Losses at which lines are drawn: evenly spaced in the log of the reducible loss, as the valley itself is."""
    floor = fit.surface.coefficients.get("E", 0.0)
    first = max(low - floor, 1e-3 * low)
    return np.asarray(floor + np.geomspace(first, max(runs_loss.max() - floor, 1.01 * first), LEVELS))


def surface_table(analysis: Analysis) -> Columns:
    """
    Return the lines of the map as points: ``kind`` loss or compute, the ``level`` that is equal along a ``line``.

    Levels are nats per token or FLOPs; ``params`` and ``tokens`` are rounded to what a screen can show.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> plan = lawful.Plan.isoflop([1e19, 1e20, 1e21], surface=truth)
    >>> table = surface_table(lawful.analyse(lawful.simulate(truth, plan, noise=0.01), budgets=[1e24], draws=0))
    >>> np.unique(table["level"][table["kind"] == "compute"]).tolist()
    [1e+19, 1e+20, 1e+21, 1e+24]
    """
    from contourpy import contour_generator

    fit = surface_fit(analysis.fit, ", so no map")
    across, up = surface_limits(analysis)
    x, y = (np.linspace(np.log(low), np.log(high), COARSE) for low, high in (across, up))
    loss = np.asarray(fit.surface.loss(*np.meshgrid(np.exp(x), np.exp(y))))
    contours = contour_generator(x, y, loss)
    found = [
        ("loss", float(level), np.exp(np.asarray(line, float)))
        for level in surface_levels(fit, fit.runs.L, float(loss.min()))
        for line in contours.lines(float(level))
    ]
    for budget in map_budgets(analysis):
        sizes = np.exp(x)
        line = np.column_stack([sizes, np.asarray(fit.surface.cost.tokens(budget=budget, params=sizes))])
        inside = (line[:, 1] > up[0]) & (line[:, 1] < up[1])
        found.append(("compute", budget, line[inside]))
    found = [one for one in found if len(one[2])]
    counts = [len(line) for _, _, line in found]
    points = np.concatenate([line for _, _, line in found])
    params, tokens = (np.array([float(f"{v:.5g}") for v in column]) for column in points.T)
    return {
        "kind": np.repeat([kind for kind, _, _ in found], counts),
        "level": np.repeat([level for _, level, _ in found], counts),
        "line": np.repeat(np.arange(len(found)), counts),
        "params": params,
        "tokens": tokens,
    }


def map_budgets(analysis: Analysis) -> list[float]:
    """Return the budgets whose lines of equal compute are drawn: some of those trained, and all that were asked for."""
    budgets = analysis.fit.runs.budgets
    some = budgets[np.unique(np.linspace(0, budgets.size - 1, min(MOST_BUDGETS, budgets.size)).round().astype(int))]
    return list(dict.fromkeys([*some.tolist(), *(a.budget for a in analysis.allocations)]))


def plot_surface(analysis: Analysis, ax: Axes | None = None, *, palette: Palette = LIGHT) -> Axes:
    """
    Plot lines of equal loss over N and D, the runs coloured by residual, the frontier with its band, and the budgets.

    Parameters
    ----------
    analysis : Analysis
        A fit of a law of N and D with what it implies.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    palette : Palette
        Colours.

    Returns
    -------
    matplotlib Axes
        Parameters and tokens, both on log axes. Blue runs came lower than the law says, red ones higher.

    Raises
    ------
    UnsupportedError
        If the fit is no surface over N and D.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> plan = lawful.Plan.isoflop([1e19, 1e20, 1e21], surface=truth)
    >>> analysis = lawful.analyse(lawful.simulate(truth, plan, noise=0.01), budgets=[1e24], draws=0)
    >>> ax = analysis.plot.surface()
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('Model size N (parameters)', 'Training tokens D')
    """
    fit = analysis.fit
    if not has_map(fit):
        msg = "A map of N and D needs a law of both; fit chinchilla or skaling, by vpnls or approach3."
        raise UnsupportedError(msg)
    with drawing():
        ax = ax or new_axes(palette)
        across, up = surface_limits(analysis)
        # The labels of the lines are laid out on the axes as they are when these are drawn.
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlim(*across)
        ax.set_ylim(*up)
        _contours(ax, fit, across, up, palette)
        _budget_lines(ax, analysis, across, up, palette)
        _frontier(ax, analysis, palette)
        _runs(ax, fit)
        _asked(ax, analysis, palette)
        ax.set_xlabel("Model size N (parameters)")
        ax.set_ylabel("Training tokens D")
        style_axes(ax, palette)
        set_log_axis(ax, "x", "count", most=6)
        set_log_axis(ax, "y", "count", most=6)
        add_legend(ax, palette)
    return ax


def _contours(ax: Axes, fit: Fit, across: tuple[float, float], up: tuple[float, float], palette: Palette) -> None:
    x, y = np.geomspace(*across, GRID), np.geomspace(*up, GRID)
    loss = np.asarray(fit.surface.loss(*np.meshgrid(x, y)))
    drawn = ax.contour(
        x, y, loss, levels=surface_levels(fit, fit.runs.L, float(loss.min())), colors=palette.muted, linewidths=0.7
    )
    ax.clabel(drawn, fmt=lambda v: format_value(v, 3), fontsize=font_size() - 2, colors=palette.muted)


def _budget_lines(
    ax: Axes, analysis: Analysis, across: tuple[float, float], up: tuple[float, float], palette: Palette
) -> None:
    """Lines of equal compute, some of the trained budgets and all that were asked for."""
    cost = analysis.fit.surface.cost if analysis.fit.surface is not None else None
    sizes = np.geomspace(*across, GRID)
    for budget in map_budgets(analysis):
        tokens = np.asarray(cost.tokens(budget=budget, params=sizes)) if cost is not None else budget / (6 * sizes)
        ax.plot(sizes, tokens, color=palette.grid, linewidth=1.0, zorder=1)
        inside = np.flatnonzero((tokens > up[0]) & (tokens < up[1]))
        if inside.size:
            at = inside[0]
            ax.annotate(
                format_power(budget),
                (sizes[at], tokens[at]),
                xytext=(3, -8),
                textcoords="offset points",
                fontsize=font_size() - 2,
                color=palette.muted,
            )


def _frontier(ax: Axes, analysis: Analysis, palette: Palette) -> None:
    """The optima over budgets, with the interval of N* along each budget line."""
    lines: Columns = figure_tables(analysis)["frontier_lines"]
    for source in dict.fromkeys(lines["source"].tolist()):
        line = rows_where(lines, source=source)
        if not np.isfinite(line["params"]).any():
            continue
        colour = palette.method(source)
        dash = "-" if source == analysis.fit.method else (0, (4, 2))
        name = METHOD_LABELS[source]
        ax.plot(line["params"], line["tokens"], color=colour, linestyle=dash, linewidth=1.4, label=name)
        if np.isfinite(line["params_low"]).all():
            edge = np.concatenate([line["params_low"], line["params_high"][::-1]])
            other = np.concatenate([line["tokens_high"], line["tokens_low"][::-1]])
            ax.fill(edge, other, color=colour, alpha=0.15, linewidth=0)


def _runs(ax: Axes, fit: Fit) -> None:
    residual = fit.residuals
    reach = float(np.quantile(np.abs(residual), FAR_RESIDUAL)) or 1e-12
    ax.scatter(
        fit.runs.N,
        fit.runs.D,
        c=residual,
        cmap="RdBu_r",
        vmin=-reach,
        vmax=reach,
        s=16,
        edgecolors="#59636e",
        linewidths=0.4,
        zorder=4,
        label=f"runs, ±{format_value(reach, 2)} nats",
    )


def _asked(ax: Axes, analysis: Analysis, palette: Palette) -> None:
    for one in analysis.allocations:
        if np.isfinite(one.params) and np.isfinite(one.tokens):
            text = f"{format_count(one.params)} on {format_count(one.tokens)}"
            ax.plot([one.params], [one.tokens], marker="D", markersize=6, color=palette.ink, linestyle="none", zorder=6)
            ax.annotate(
                text,
                (one.params, one.tokens),
                xytext=(-8, -4),
                textcoords="offset points",
                ha="right",
                va="top",
                fontsize=font_size() - 1,
                color=palette.ink,
            )
