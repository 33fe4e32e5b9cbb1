"""Figures of study 22: the sweep and its seeds, the plan, two sweeps beside each other, and the forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.core.numbers import format_count, format_scientific
from lawful.show.figures.palette import FONT_SIZE, LIGHT
from lawful.studies import drawing
from lawful.studies.study import Tables
from lawful.studies.tables import Table
from lawful.studies.tinysweep import TARGET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SWEEP_NAMES = {"first": "First sweep", "second": "Second sweep (smeared keys)"}
HEADS = ((64, "1 head", "o"), (128, "2 heads", "s"), (256, "4 heads", "D"), (np.inf, "8 heads", "^"))
"""Marker by the number of attention heads, which follows from the width."""


def curves(tables: Tables) -> Figure:
    """Draw every run of the data set over its size, seeds joined, with the fitted curve of each budget."""
    figure, ((ax,),) = drawing.panels(1, 1, (8.2, 4.4))
    _isoflops(ax, tables, "second", fitted=True)
    target = tables["runs"].where(sweep="target")
    if len(target):
        ax.scatter(target["params"], target["loss"], marker="*", s=110, color="black", zorder=5)
        x, y = _fitted_line(ax, tables, "second", TARGET, target["params"], color="black", dashed=True)
        _name(ax, x, y, f"{format_scientific(TARGET)}: forecast (dashed),\nthen trained (stars)")
    shown = tables["runs"].where(sweep="second")["params"]
    ax.set_xlim(shown.min() / 1.3, max(shown.max(), target["params"].max() if len(target) else 0) * 4)
    drawing.labels(ax, y="loss on held-out text (nats per byte)")
    drawing.count_axis(ax, "x", "parameters N")
    lines = [
        drawing.key("seeds of one cell", color=drawing.MUTED, linewidth=2.2, alpha=0.6),
        drawing.key("VPNLS fit of all runs", color=drawing.MUTED, linewidth=1.2),
    ]
    drawing.legend_above(figure, [*_head_keys(tables["runs"].where(sweep="second")), *lines], columns=6)
    return figure


def _isoflops(ax: Axes, tables: Tables, sweep: str, *, fitted: bool) -> None:
    """Runs of a sweep over size, one colour per budget, one marker per number of heads; seeds of a cell joined."""
    runs = tables["runs"].where(sweep=sweep)
    budgets = sorted(runs.values("budget"))
    for i, (color, budget) in enumerate(zip(drawing.budget_colors(budgets), budgets, strict=True)):
        rows = runs.where(budget=budget)
        for (_, _), cell in rows.groups("params", "tokens"):
            if len(cell) > 1:
                ends = [cell["loss"].min(), cell["loss"].max()]
                ax.plot(cell["params"][:2], ends, color=color, linewidth=2.2, alpha=0.6, zorder=2)
        for marker, chosen in _by_heads(rows):
            ax.scatter(
                chosen["params"],
                chosen["loss"],
                s=26,
                color=color,
                marker=marker,
                edgecolor="white",
                linewidth=0.5,
                zorder=4,
            )
        if fitted:
            x, y = _fitted_line(ax, tables, sweep, budget, rows["params"], color=color)
            _name(ax, x, y, format_scientific(budget))
            continue
        right = int(np.argmax(rows["params"]))
        _name(ax, rows["params"][right], rows["loss"][right], format_scientific(budget), lift=7 if i % 2 else -7)


def _by_heads(rows: Table) -> list[tuple[str, Table]]:
    below, found = 0.0, []
    for limit, _, marker in HEADS:
        keep = (rows["width"] >= below) & (rows["width"] < limit)
        found.append((marker, Table({name: column[keep] for name, column in rows.columns.items()})))
        below = limit
    return found


def _head_keys(rows: Table) -> list[Any]:
    """Legend entries of the numbers of heads that occur."""
    pairs = zip(HEADS, _by_heads(rows), strict=True)
    style = {"color": drawing.MUTED, "linestyle": "none", "markersize": 5}
    return [drawing.key(label, marker=marker, **style) for (_, label, marker), (_, own) in pairs if len(own)]


def _fitted_line(
    ax: Axes, tables: Tables, sweep: str, budget: float, sizes: Any, *, color: Any, dashed: bool = False
) -> tuple[float, float]:
    """Draw the fitted curve of a budget over these sizes; return its right end."""
    k = tables["fits"].one(sweep=sweep, method="vpnls")
    N = np.geomspace(sizes.min() / 1.2, sizes.max() * 1.3, 80)
    loss = k["E"] + k["A"] * N ** -k["alpha"] + k["B"] * (budget / (6 * N)) ** -k["beta"]
    ax.plot(N, loss, color=color, linewidth=1.2, linestyle=(0, (4, 2)) if dashed else "-", zorder=3)
    return float(N[-1]), float(loss[-1])


def _name(ax: Axes, x: float, y: float, text: str, *, lift: float = 0) -> None:
    """Write a text beside a point, a little above or below it."""
    size = FONT_SIZE - 0.5
    ax.annotate(text, (x, y), (7, lift), textcoords="offset points", va="center", fontsize=size, color=drawing.INK)


def plan(tables: Tables) -> Figure:
    """Draw where the runs of both sweeps lie in N and D, and the runs at the target."""
    figure, (axes,) = drawing.panels(1, 2, (8.6, 3.7), sharey=True)
    for ax, (sweep, name) in zip(axes, SWEEP_NAMES.items(), strict=True):
        runs = tables["runs"].where(sweep=sweep)
        budgets = sorted(runs.values("budget"))
        for color, budget in zip(drawing.budget_colors(budgets), budgets, strict=True):
            for (N, D), cell in runs.where(budget=budget).groups("params", "tokens"):
                many = len(cell) > 1
                ax.scatter(
                    N, D, s=54 if many else 20, color=color, marker="D" if many else "o", edgecolor="white", zorder=3
                )
        best = tables["fits"].one(sweep=sweep, method="vpnls")
        ax.scatter(best["params"], best["tokens"], marker="*", s=120, color=drawing.CYCLE[1], zorder=4)
        _name(ax, best["params"], best["tokens"], "N*, D* of\n1.25e15")
        target = tables["runs"].where(sweep="target")
        if sweep == "second" and len(target):
            ax.scatter(target["params"], target["tokens"], marker="x", s=36, color="black", zorder=5)
        drawing.title(ax, f"{name}: {len(runs)} runs")
    for ax in axes:
        ax.set_xlim(7e3, 2e7)
        ax.set_ylim(1.5e6, 3e8)
        drawing.count_axis(ax, "x", "parameters N")
        drawing.count_axis(ax, "y", "bytes D" if ax is axes[0] else "")
    keys = [
        drawing.key("one seed", color=drawing.MUTED, linestyle="none", marker="o", markersize=4),
        drawing.key("three seeds", color=drawing.MUTED, linestyle="none", marker="D", markersize=6),
        drawing.key("forecast", color=drawing.CYCLE[1], linestyle="none", marker="*", markersize=9),
    ]
    if len(tables["runs"].where(sweep="target")):
        keys.append(drawing.key("trained afterwards", color="black", linestyle="none", marker="x", markersize=6))
    drawing.legend_above(figure, keys)
    return figure


def seeds(tables: Tables) -> Figure:
    """Draw how far seeds of one cell lie from their mean, and the residuals of the fit, by budget."""
    figure, (axes,) = drawing.panels(1, 2, (8.6, 3.6), sharey=True)
    offsets = {"first": 0.94, "second": 1.07}
    for (sweep, name), color in zip(SWEEP_NAMES.items(), (drawing.MUTED, drawing.CYCLE[0]), strict=True):
        runs = tables["runs"].where(sweep=sweep)
        pure = tables["lack_of_fit"].one(sweep=sweep)["pure_error"]
        for (_, _), cell in runs.groups("params", "tokens"):
            if len(cell) > 1:
                away = cell["loss"] - cell["loss"].mean()
                axes[0].scatter(cell["budget"] * offsets[sweep], away, s=20, color=color, alpha=0.8, zorder=3)
        axes[1].scatter(runs["budget"] * offsets[sweep], runs["residual"], s=16, color=color, alpha=0.8, zorder=3)
        axes[0].axhspan(-pure, pure, color=color, alpha=0.1, zorder=1)
        axes[0].plot([], [], "o", color=color, markersize=5, label=f"{name}: {pure:.3f} nats")
    drawing.title(axes[0], "Seeds about the mean of their cell")
    drawing.title(axes[1], "Runs about the VPNLS fit")
    for ax in axes:
        ax.set_xlim(8e11, 5e14)
        drawing.zero_line(ax)
        drawing.flops_axis(ax, most=4)
        drawing.labels(ax, "planned budget (FLOPs)", "difference in loss (nats per byte)" if ax is axes[0] else "")
    handles, _ = axes[0].get_legend_handles_labels()
    drawing.legend_above(figure, handles, columns=2)
    return figure


def transition(tables: Tables) -> Figure:
    """Draw the IsoFLOP curves of both sweeps beside each other."""
    figure, (axes,) = drawing.panels(1, 2, (8.8, 3.9), sharey=True)
    for ax, (sweep, name) in zip(axes, SWEEP_NAMES.items(), strict=True):
        _isoflops(ax, tables, sweep, fitted=False)
        drawing.title(ax, name)
        ax.set_xlim(7e3, 1.6e7)
        drawing.count_axis(ax, "x", "parameters N", most=5)
        drawing.labels(ax, "parameters N", "loss (nats per byte)" if ax is axes[0] else "")
    joined = drawing.key("seeds of one cell", color=drawing.MUTED, linewidth=2.2, alpha=0.6)
    drawing.legend_above(figure, [*_head_keys(tables["runs"]), joined])
    return figure


def forecast(tables: Tables) -> Figure:
    """Draw each method's forecast of the loss and of N* with its interval, and what came."""
    figure, (axes,) = drawing.panels(1, 2, (8.6, 3.0), sharey=True)
    made, fits = tables["forecasts"].where(of="optimum"), tables["fits"].where(sweep="second")
    target = tables["runs"].where(sweep="target")
    places = {method: -i for i, method in enumerate(fits.values("method"))}
    for row in made.rows():
        style = {"color": LIGHT.method(row["method"]), "linewidth": 2.2}
        y = places[row["method"]]
        axes[0].plot([row["low"], row["high"]], [y, y], **style)
        axes[0].plot(row["loss"], y, "o", color=style["color"], markersize=7)
    for row in fits.rows():
        style = {"color": LIGHT.method(row["method"]), "linewidth": 2.2}
        y = places[row["method"]]
        axes[1].plot([row["params_low"], row["params_high"]], [y, y], **style)
        axes[1].plot(row["params"], y, "o", color=style["color"], markersize=7)
    axes[0].set_yticks(list(places.values()), list(places))
    axes[0].set_ylim(-len(places) + 0.4, 0.6)
    if len(target):
        best = int(np.argmin(target["loss"]))
        axes[0].axvline(target["loss"][best], color="black", linewidth=1.2)
        axes[0].scatter(target["loss"], np.full(len(target), 0.45), marker="|", s=60, color="black")
        for i, N in enumerate(target["params"]):
            axes[1].axvline(
                N, color="black", linewidth=1.4 if i == best else 0.7, linestyle="-" if i == best else (0, (3, 3))
            )
    drawing.title(
        axes[0], f"Loss: best run came at {target['loss'].min():.3f}" if len(target) else "Loss: not trained yet"
    )
    drawing.labels(axes[0], "loss at 1.25e15 FLOPs, 90% prediction (nats per byte)")
    said = (
        f"Size: best of {len(target)} trained has {format_count(target['params'][best])}"
        if len(target)
        else "Best size N*"
    )
    drawing.title(axes[1], said)
    axes[1].set_xlim(6e5, 8e6)
    drawing.count_axis(axes[1], "x", "N* at 1.25e15 FLOPs, 90% interval")
    return figure
