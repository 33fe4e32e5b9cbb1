"""How flat the valley is: the loss along a budget, and the sizes that are as good as N*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lawful.core.numbers import format_count, format_flops, format_value
from lawful.core.typing import Columns
from lawful.decide.indifference import Indifference
from lawful.estimate.result import Fit
from lawful.show.figures.axes import add_legend, drawing, new_axes, set_log_axis, style_axes
from lawful.show.figures.palette import LIGHT, MARKERS, METHOD_LABELS, Palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes


REGION_POINTS = 161
REGION_ROOM = 2.0
"""The valley is drawn this many times beyond the indifferent sizes on either side."""


def valley_table(fit: Fit, region: Indifference) -> Columns:
    """Return the loss along a budget, over the indifferent sizes and somewhat beyond."""
    low, high = region.params
    params = np.geomspace(low / REGION_ROOM, high * REGION_ROOM, REGION_POINTS)
    params = np.unique(np.concatenate([params, [low, region.best[0], high]]))
    tokens = np.asarray(fit.surface.cost.tokens(budget=region.budget, params=params))
    loss = np.asarray(fit.surface.at_params(region.budget, params).loss)
    inside = (params >= low) & (params <= high)
    return {
        "budget": np.full(params.size, region.budget),
        "params": params,
        "tokens": tokens,
        "loss": loss,
        "excess": loss - region.best[2],
        "inside": inside.astype(float),
    }


def plot_indifference(
    region: Indifference, fit: Fit, ax: Axes | None = None, *, other: float | None = None, palette: Palette = LIGHT
) -> Axes:
    """
    Draw the loss against model size at one budget, the sizes that are as good as N* shaded.

    Parameters
    ----------
    region : Indifference
        As :func:`lawful.decide.indifference.indifference` returns.
    fit : Fit
        The surface it was asked of.
    ax : matplotlib Axes, optional
        Where to draw; a new figure if not given.
    other : float, optional
        Another choice of N to mark, that of Approach 2.
    palette : Palette
        Colours.

    Returns
    -------
    matplotlib Axes
        Model size in parameters (log axis), loss in nats per token.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.005)
    >>> fit = lawful.fit(runs)
    >>> ax = plot_indifference(fit.indifference(1e22), fit)
    >>> ax.get_ylabel()
    'Loss at 1e22 FLOPs (nats per token)'
    """
    table = valley_table(fit, region)
    colour = palette.method(fit.method)
    low, high = region.params
    with drawing():
        ax = ax or new_axes(palette)
        span = f"within {format_value(region.epsilon, 2)} nats: {format_count(low)} to {format_count(high)}"
        ax.axvspan(low, high, color=colour, alpha=0.12, linewidth=0, label=span)
        ax.axhline(region.best[2] + region.epsilon, color=palette.muted, linewidth=0.8, linestyle=":")
        ax.plot(table["params"], table["loss"], color=colour, linewidth=1.6, label=METHOD_LABELS[fit.method])
        _mark(ax, region.best[0], region.best[2], fit.method, palette)
        if other is not None:
            _mark(ax, other, float(fit.surface.at_params(region.budget, other).loss), "approach2", palette)
        ax.set_xlim(float(table["params"][0]), float(table["params"][-1]))
        ax.set_xlabel("Model size N (parameters)")
        ax.set_ylabel(f"Loss at {format_flops(region.budget)} (nats per token)")
        style_axes(ax, palette)
        set_log_axis(ax, "x", "count", most=6)
        add_legend(ax, palette)
    return ax


def _mark(ax: Axes, params: float, loss: float, method: str, palette: Palette) -> None:
    hollow = method == "approach2"
    ax.plot(
        [params],
        [loss],
        linestyle="none",
        marker=MARKERS[method],
        markersize=7,
        markerfacecolor="none" if hollow else palette.ink,
        markeredgecolor=palette.method(method) if hollow else palette.paper,
        markeredgewidth=1.6 if hollow else 0.8,
        zorder=5,
        label=f"{METHOD_LABELS[method]}: {format_count(params)}",
    )
