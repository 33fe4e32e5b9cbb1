"""A law of one column on its own axis: loss against N, D or C, with the fitted curve and its band."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeGuard

import numpy as np

from lawful.core.numbers import format_level
from lawful.errors import UnsupportedError
from lawful.estimate.result import AnyFit, Fit
from lawful.show.figures.axes import add_legend, new_axes, set_log_axis, style_axes
from lawful.show.figures.palette import LIGHT, Palette
from lawful.uncertainty.delta import delta

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES: dict[str, tuple[Literal["count", "flops"], str]] = {
    "N": ("count", "Model size N (parameters)"),
    "D": ("count", "Training tokens D"),
    "C": ("flops", "Training compute C (FLOPs)"),
}
"""Columns that a curve can be drawn over, with the kind and the title of the axis."""

CURVE_POINTS = 61
MARGIN = 0.15
"""Decades the curve goes beyond the runs."""


def has_curve(fit: AnyFit) -> TypeGuard[Fit]:
    """Return whether the law of a fit is a curve over one of N, D and C."""
    columns = () if fit.surface is None else fit.surface.law.columns
    return len(columns) == 1 and columns[0] in AXES


def plot_curve(fit: Fit, ax: Axes | None = None, *, level: float = 0.9, palette: Palette = LIGHT) -> Axes:
    """
    Draw a law of one column over its column: the runs, the curve, and the band of the curve.

    Parameters
    ----------
    fit : Fit
        Of a law such as ``hestness`` (tokens), ``kaplan-n`` (parameters) or ``compute`` (FLOPs).
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.
    level : float
        Of the linearised intervals that make the band.
    palette : Palette
        Colours.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    UnsupportedError
        If the law has more than one column, or one that is none of N, D and C.

    Examples
    --------
    >>> tokens = np.geomspace(1e7, 1e10, 8)
    >>> runs = lawful.Runs.from_arrays(np.full(8, 1e8), tokens, 0.5 + 11.9 * tokens**-0.2)
    >>> axes = plot_curve(lawful.fit(runs, law="hestness"))
    >>> axes.get_xlabel(), axes.get_xscale()
    ('Training tokens D', 'log')
    """
    law = fit.surface.law
    if not has_curve(fit):
        columns = ", ".join(law.columns)
        msg = f"The {law.name} law is a function of {columns}, no curve over one of N, D and C; use an IsoFLOP figure."
        raise UnsupportedError(msg)
    column = law.columns[0]
    seen = fit.runs.column(column)
    x = 10.0 ** np.linspace(np.log10(seen.min()) - MARGIN, np.log10(seen.max()) + MARGIN, CURVE_POINTS)
    points = [_point(fit, column, value) for value in x]
    curve = np.array([float(fit.surface.loss(*point)) for point in points])
    linear = delta(fit)
    low, high = np.array([linear.interval("loss_at", level, point=point) for point in points]).T
    ax = ax if ax is not None else new_axes(palette)
    style_axes(ax, palette)
    label = f"{format_level(level)} band of the curve"
    ax.fill_between(x, low, high, color=palette.method(fit.method), alpha=0.18, linewidth=0, label=label)
    ax.plot(x, curve, color=palette.method(fit.method), linewidth=1.6, label=f"{law.name} law")
    ax.plot(seen, fit.runs.L, "o", color=palette.ink, markersize=4, label="runs")
    kind, title = AXES[column]
    ax.set_xscale("log")
    ax.set_xlim(x[0], x[-1])
    set_log_axis(ax, "x", kind)
    ax.set_xlabel(title)
    ax.set_ylabel("Loss (nats per token)")
    add_legend(ax, palette, columns=3)
    return ax


def _point(fit: Fit, column: str, value: float) -> tuple[float, float]:
    """N and D at a value of the column; a law of compute sees their product alone."""
    if column == "C":
        both = float(fit.surface.cost.product(value)) ** 0.5
        return both, both
    return (value, 1.0) if column == "N" else (1.0, value)
