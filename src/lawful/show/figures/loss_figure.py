"""Loss against compute: the runs, the best loss of every budget, and the law before it saw the largest runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.core.numbers import format_flops
from lawful.core.typing import Array, Columns
from lawful.errors import LawfulError, UnsupportedError
from lawful.estimate.fit import fit
from lawful.estimate.result import Fit, surface_fit
from lawful.forecasting.sets import splits
from lawful.show.figures.axes import add_legend, drawing, is_narrow, new_axes, set_log_axis, style_axes
from lawful.show.figures.figure_data import kept, rows_where
from lawful.show.figures.palette import LIGHT, METHOD_LABELS, Palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 81
AHEAD = 10.0
"""Without a target the line goes on to this many times the largest budget."""
BEFORE = "before"
"""Name of the line that is fitted without the held-out runs."""


@kept
def loss_tables(analysis: Analysis) -> dict[str, Columns]:
    """
    Return what :func:`plot_loss` shows, as tables of equal-length columns.

    Parameters
    ----------
    analysis : Analysis
        A fit of a law with an optimum.

    Returns
    -------
    dict of str to table
        ``loss_runs`` (budget of the group, compute, loss, and whether the run is held out), ``loss_lines`` (best loss
        per budget by source: the fit, and ``before``, the same law without the quarter of the runs with most compute),
        ``loss_targets`` (L* at the budgets asked for, with its interval; the average of laws as ``auto``).
    """
    found = surface_fit(analysis.fit, ", so no loss at the optimum")
    runs = found.runs
    made = splits(runs, ["top quarter"])
    held = np.zeros(len(runs), dtype=bool)
    asked = [a.budget for a in analysis.allocations]
    budgets = np.geomspace(float(runs.C.min()), max([AHEAD * float(runs.C.max()), *(1.6 * c for c in asked)]), POINTS)
    lines = [_line(found, found.method, budgets)]
    if made:
        try:
            before = fit(
                runs.take(made[0].train), law=found.surface.law, objective=found.objective, method=found.solver
            )
        except LawfulError:
            before = None
        if before is not None and before.surface is not None:
            held[made[0].test] = True
            lines.append(_line(before, BEFORE, budgets))
    names = ("source", "budget", "loss")
    return {
        "loss_runs": {
            "budget": runs.budgets[runs.group],
            "compute": runs.C,
            "loss": runs.L,
            "held": held.astype(float),
        },
        "loss_lines": {name: np.concatenate([line[name] for line in lines]) for name in names},
        "loss_targets": _targets(analysis),
    }


def _line(found: Fit, source: str, budgets: Array) -> Columns:
    loss = np.asarray(found.surface.optimum(budgets).loss, float)
    return {"source": np.full(budgets.size, source), "budget": budgets, "loss": loss}


def _targets(analysis: Analysis) -> Columns:
    rows = [(analysis.fit.method, a.budget, a.loss, a.interval) for a in analysis.allocations if a.loss is not None]
    if analysis.average is not None:
        rows += [("auto", one.budget, one.loss, one.interval) for one in analysis.average.outlooks]
    ends = np.array([(interval or {}).get("loss") or (np.nan, np.nan) for *_, interval in rows], float).reshape(-1, 2)
    return {
        "source": np.array([row[0] for row in rows]),
        "budget": np.array([row[1] for row in rows], float),
        "loss": np.array([row[2] for row in rows], float),
        "loss_low": ends[:, 0],
        "loss_high": ends[:, 1],
    }


def plot_loss(
    analysis: Analysis, ax: Axes | None = None, *, palette: Palette = LIGHT, tables: dict[str, Columns] | None = None
) -> Axes:
    """
    Plot loss against compute: the runs, the best loss of every budget, and the forecast of the runs held out.

    Parameters
    ----------
    analysis : Analysis
        A fit of a law with an optimum.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    palette : Palette
        Colours.
    tables : dict of str to table, optional
        Those of :func:`loss_tables`, if they were made already.

    Returns
    -------
    matplotlib Axes
        Compute in FLOPs (log axis) and loss. Hollow runs are those that the dashed line had not seen.

    Raises
    ------
    UnsupportedError
        If the fit is no surface, or has no optimum.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> plan = lawful.Plan.isoflop([1e19, 1e20, 1e21], surface=truth)
    >>> analysis = lawful.analyse(lawful.simulate(truth, plan, noise=0.01), budgets=[1e24], draws=0)
    >>> ax = analysis.plot.loss()
    >>> ax.get_xlabel(), ax.get_xscale()
    ('Training compute C (FLOPs)', 'log')
    """
    tables = tables or loss_tables(analysis)
    runs, lines, targets = (tables[f"loss_{name}"] for name in ("runs", "lines", "targets"))
    if not np.isfinite(lines["loss"]).any():
        msg = "This fit has no compute-optimal size, so there is no best loss to draw."
        raise UnsupportedError(msg)
    with drawing():
        ax = ax or new_axes(palette)
        colours = dict(zip(budgets := np.unique(runs["budget"]), palette.budgets(budgets), strict=True))
        size = 6 if is_narrow(ax) else 14
        narrow = is_narrow(ax)
        for held, label in ((0.0, "runs"), (1.0, "runs held out")):
            some = rows_where(runs, held=held)
            if some["loss"].size:
                tone = [colours[b] for b in some["budget"]]
                face = {"c": tone, "linewidths": 0} if not held else {"facecolors": "none", "edgecolors": tone}
                ax.scatter(some["compute"], some["loss"], s=size, zorder=3, label=label, **face)
        for source in dict.fromkeys(lines["source"].tolist()):
            line = rows_where(lines, source=source)
            ahead = source == BEFORE
            label = "fitted without them" if ahead else f"best loss, {METHOD_LABELS[source]}"
            label = label.partition(",")[0] if narrow else label
            style = (0, (4, 2)) if ahead else "-"
            colour = palette.muted if ahead else palette.method(source)
            ax.plot(line["budget"], line["loss"], color=colour, linestyle=style, linewidth=1.4, label=label)
        _mark(ax, targets, palette)
        _limits(ax, runs, lines, targets)
        ax.set_xlabel("Training compute C (FLOPs)")
        ax.set_ylabel("Loss (nats per token)")
        style_axes(ax, palette)
        set_log_axis(ax, "x", "flops", most=6)
        add_legend(ax, palette)
    return ax


def _mark(ax: Axes, targets: Columns, palette: Palette) -> None:
    """Mark L* at the budgets asked for; the average's stands a little to the right, so that both intervals show."""
    narrow = is_narrow(ax)
    for source, budget, loss, low, high in zip(*targets.values(), strict=True):
        if not np.isfinite(loss):
            continue
        average = source == "auto"
        at, colour = (1.25 * budget, palette.ink) if average else (budget, palette.method(str(source)))
        ax.plot([at, at], [low, high], color=colour, linewidth=1.6, zorder=5)
        who = "average of laws" if average else METHOD_LABELS[str(source)]
        label = f"L*, {who}" if narrow else f"L* at {format_flops(float(budget))}, {who}"
        ax.plot(
            [at],
            [loss],
            marker="s" if average else "D",
            markersize=5,
            color=colour,
            linestyle="none",
            label=label,
            zorder=6,
        )


def _limits(ax: Axes, runs: Columns, lines: Columns, targets: Columns) -> None:
    """Show all that is drawn; of a line before the lowest budget only what lies near the runs."""
    drawn = np.concatenate([lines["loss"], targets["loss"], targets["loss_low"]])
    low = float(np.nanmin(np.append(drawn[np.isfinite(drawn)], runs["loss"].min())))
    high = float(runs["loss"].max())
    room = 0.05 * (high - low) or 0.05 * high
    ax.set_ylim(low - room, high + room)
    ax.set_xlim(float(lines["budget"].min()) / 1.5, float(lines["budget"].max()) * 1.5)
