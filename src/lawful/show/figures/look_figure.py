"""The runs of a table: size against tokens, coloured by loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lawful.core.cost import Cost
from lawful.core.numbers import format_flops
from lawful.data.runs import Runs
from lawful.data.translate import loss_unit
from lawful.show.figures.axes import drawing, figure_of, new_axes, set_log_axis, style_axes, widen
from lawful.show.figures.palette import LIGHT, Palette

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_POINTS = 20_000
"""Runs that are drawn, at most; of more, as many at even distances."""

MOST_LINES = 8
"""Budgets whose line of equal compute is drawn."""


def plot_look(runs: Runs, *, palette: Palette = LIGHT) -> Figure:
    """
    Draw the model size of every run against its tokens, coloured by its loss, on lines of equal compute.

    Examples
    --------
    >>> runs = lawful.read_runs({"N": [1e8, 2e8, 4e8], "D": [2e9, 1e9, 5e8], "loss": [3.1, 3.0, 3.2]})
    >>> plot_look(runs).axes[0].get_xlabel()
    'Tokens D'
    """
    if len(runs) > MOST_POINTS:
        runs = runs.take(np.unique(np.linspace(0, len(runs) - 1, MOST_POINTS).astype(np.intp)))
    order = np.argsort(-runs.L, kind="stable")
    with drawing():
        ax = new_axes(palette)
        across = np.array(widen(runs.D, 1.5))
        ax.set_xlim(*across)
        ax.set_ylim(*widen(runs.N, 1.5))
        lines = runs.budgets[np.unique(np.linspace(0, runs.budgets.size - 1, MOST_LINES).astype(np.intp))]
        for budget in lines.tolist():
            ax.plot(across, Cost().params(budget=budget, tokens=across), color=palette.muted, linewidth=0.6, zorder=1)
        points = ax.scatter(runs.D[order], runs.N[order], c=runs.L[order], cmap="viridis_r", s=22, zorder=2)
        set_log_axis(ax, "x", "count")
        set_log_axis(ax, "y", "count")
        style_axes(ax, palette)
        ax.set_xlabel("Tokens D")
        ax.set_ylabel("Parameters N")
        first, last = format_flops(float(lines[0])), format_flops(float(lines[-1]))
        ax.set_title(
            f"{len(runs):,} runs; lines of equal compute from {first} to {last}",
            fontsize=9,
            color=palette.ink,
            loc="left",
        )
        bar = figure_of(ax).colorbar(points, ax=ax)
        bar.set_label(f"Loss ({loss_unit(runs.columns.get('loss', 'loss'))})", color=palette.ink)
        bar.ax.tick_params(colors=palette.muted, labelcolor=palette.ink)
    return figure_of(ax)
