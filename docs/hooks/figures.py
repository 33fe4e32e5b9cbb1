"""
Draw the figures of the pages on concepts into docs/images: ``python docs/hooks/figures.py``.

They are kept in the repository, so that the pages can be read there as well. Everything on them is computed here.
"""
# ruff: noqa: INP001 - a script of the documentation, no package

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import nnls

import lawful
from lawful.show.figures.axes import add_legend, drawing, save_figure, set_log_axis, style_axes
from lawful.show.figures.palette import LIGHT
from lawful.studies.study import find_study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IMAGES = Path(__file__).resolve().parents[1] / "images"
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "synthetic_sweep.csv"
BLUE, ORANGE, GREEN = LIGHT.method("vpnls"), LIGHT.method("approach2"), LIGHT.method("approach1")
SURFACES = (("symmetric", GREEN, "s"), ("chinchilla", BLUE, "D"), ("asymmetric", ORANGE, "o"))
WIDE = (8.4, 3.7)


def parabolas() -> Figure:
    """Draw a valley with its parabola, and what the error of D* at the target becomes with width and drift."""
    figure = Figure(figsize=WIDE, layout="constrained", facecolor=LIGHT.paper)
    left, right = figure.subplots(1, 2)
    truth = lawful.Surface.named("asymmetric")
    budget, half = 1e19, np.log10(16)
    best = truth.optimum(budget)
    offsets = np.linspace(-half, half, 15)
    sizes = best.params * 10**offsets
    losses = truth.loss(sizes, budget / (6 * sizes))
    curve = np.polynomial.Polynomial.fit(offsets, losses, 2).convert()
    fine = np.linspace(-half - 0.15, half + 0.15, 300)
    fine_sizes = best.params * 10**fine
    left.plot(10**fine, truth.loss(fine_sizes, budget / (6 * fine_sizes)), color=BLUE, label="true valley")
    left.plot(10**fine, curve(fine), color=ORANGE, linestyle=(0, (4, 2)), label="parabola through the runs")
    left.scatter(10**offsets, losses, s=16, color=LIGHT.ink, zorder=3, label="runs without noise")
    vertex = -curve.coef[1] / (2 * curve.coef[2])
    left.scatter([1], [best.loss], marker="D", s=46, color=BLUE, edgecolor="white", zorder=4, label="true optimum")
    left.scatter([10**vertex], [curve(vertex)], s=52, color=ORANGE, edgecolor="white", zorder=4, label="vertex")
    left.set_xlim(10 ** fine[0], 10 ** fine[-1])
    left.set_xlabel("Model size N / true optimum N*")
    left.set_ylabel("Loss (nats per token)")
    _finish(left, columns=2)
    left.set_xscale("log")
    left.set_xticks([1 / 16, 1 / 4, 1, 4, 16], ["1/16", "1/4", "1", "4", "16"])
    left.set_xticks([], minor=True)

    factors = np.array([1.25, 2, 4, 8, 16, 32])
    for name, colour, marker in SURFACES:
        surface = lawful.Surface.named(name)
        for drift, line in ((1.0, "-"), (3.0, (0, (4, 2)))):
            errors = [100 * _error(surface, width, drift) for width in factors]
            label = name.capitalize() if drift == 1.0 else None
            right.plot(factors, errors, color=colour, linestyle=line, marker=marker, markersize=4, label=label)
    right.plot([], [], color=LIGHT.muted, linestyle=(0, (4, 2)), label="dashed: drifting to N*/3")
    right.axhline(0, color=LIGHT.muted, linewidth=0.8)
    right.set_xlabel("Width of every sweep (±K×)")
    right.set_ylabel("Error of D* at 1e24 FLOPs (%)")
    _finish(right, columns=2)
    right.set_xscale("log")
    right.set_xticks(factors, [f"{k:g}" for k in factors])
    right.set_xticks([], minor=True)
    return figure


def _error(surface: lawful.Surface, width: float, drift: float) -> float:
    plan = lawful.Plan.isoflop([1e17, 1e18, 1e19, 1e20, 1e21], surface=surface, width=width, drift=drift)
    found = lawful.fit_isoflop(lawful.simulate(surface, plan)).frontier
    return float(found.tokens(1e24) / surface.optimum(1e24).tokens - 1)


def vpnls() -> Figure:
    """Draw what VPNLS minimises: the misfit of the example sweep over the two exponents."""
    figure = Figure(figsize=(5.6, 3.9), layout="constrained", facecolor=LIGHT.paper)
    ax = figure.subplots()
    runs = lawful.read_runs(EXAMPLE)
    alphas, betas = np.linspace(0.15, 0.6, 91), np.linspace(0.12, 0.5, 77)
    misfit = np.array([[_misfit(runs, alpha, beta) for alpha in alphas] for beta in betas])
    shown = ax.contourf(alphas, betas, np.log10(misfit), levels=14, cmap="viridis_r")
    bar = figure.colorbar(shown, ax=ax, label="log10 of the mean squared residual (nats²)")
    bar.ax.tick_params(labelsize=8)
    fit = lawful.fit(runs).surface
    ax.plot([0.34], [0.28], "o", color="white", markeredgecolor=LIGHT.ink, markersize=9, label="truth")
    ax.plot([fit["alpha"]], [fit["beta"]], "D", color=ORANGE, markeredgecolor="white", markersize=6, label="VPNLS")
    ax.set_xlabel("alpha (exponent of model size)")
    ax.set_ylabel("beta (exponent of tokens)")
    _finish(ax, columns=2)
    ax.grid(visible=False)
    return figure


def _misfit(runs: lawful.Runs, alpha: float, beta: float) -> float:
    columns = np.column_stack([np.ones(len(runs)), (runs.N / 1e9) ** -alpha, (runs.D / 1e9) ** -beta])
    return float(nnls(columns, runs.L)[1] ** 2 / len(runs))


def deadweight() -> Figure:
    """Draw the loss of the best models against compute, a choice above it, and the compute it throws away."""
    figure = Figure(figsize=(5.6, 3.7), layout="constrained", facecolor=LIGHT.paper)
    ax = figure.subplots()
    truth = lawful.Surface.named("asymmetric")
    budget = 1e24
    tokens = 3 * truth.optimum(budget).tokens
    reached = float(truth.loss(budget / (6 * tokens), tokens))
    lost = truth.deadweight(budget, tokens=tokens)
    enough = budget - lost
    compute = np.geomspace(budget / 2.2, budget * 1.25, 200)
    ax.plot(compute, [truth.optimum(c).loss for c in compute], color=BLUE, label="best loss a budget can buy")
    ax.scatter([budget], [truth.optimum(budget).loss], marker="D", s=44, color=BLUE, zorder=4, label="optimum at C")
    ax.scatter([budget], [reached], s=48, color=ORANGE, zorder=4, label="choice: three times D*")
    ax.scatter([enough], [reached], marker="s", s=40, color=GREEN, zorder=4, label="optimum of the same loss")
    arrow: dict[str, Any] = {"arrowstyle": "<->", "color": LIGHT.ink, "shrinkA": 6, "shrinkB": 6}
    ax.annotate("", (enough, reached), (budget, reached), arrowprops=arrow)
    middle = np.sqrt(enough * budget)
    ax.annotate(
        f"deadweight: {lost / budget:.0%} of C", (middle, reached), (0, 8), textcoords="offset points", ha="center"
    )
    ax.set_xlim(compute[0], compute[-1])
    ax.set_xlabel("Compute (FLOPs)")
    ax.set_ylabel("Loss (nats per token)")
    _finish(ax, columns=2)
    set_log_axis(ax, "x", "flops")
    ax.set_xticks([5e23, 7e23, 1e24], ["5e23", "7e23", "1e24"])
    return figure


def _finish(ax: Axes, columns: int) -> None:
    style_axes(ax, LIGHT)
    add_legend(ax, LIGHT, columns=columns)


def essay() -> dict[str, Figure]:
    """Return the figures of the page that walks the essay: those of the study of that name."""
    study = find_study("essay")
    (task,) = study.tasks(study.config)
    return study.draw(study.compute(study.settings(quick=False, seed=42), task))


if __name__ == "__main__":
    for draw in (parabolas, vpnls, deadweight):
        with drawing():
            drawn = draw()
        save_figure(drawn, IMAGES / f"{draw.__name__}.svg")
    with drawing():
        for name, drawn in essay().items():
            save_figure(drawn, IMAGES / f"essay-{name}.svg")
