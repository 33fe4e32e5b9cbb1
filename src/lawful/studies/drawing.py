"""Panels that the studies draw in: one look for surfaces, methods and axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lawful.show.figures.axes import add_legend, set_log_axis, style_axes
from lawful.show.figures.palette import LIGHT, font_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = LIGHT.ink, LIGHT.muted, LIGHT.grid
CYCLE = ("#0072b2", "#c65300", "#007a5a", "#aa4499", "#b8860b", "#56b4e9", "#882255")
"""Line colours after Okabe and Ito, darkened where they are thin on white."""

DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (2, 1.5)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (1, 1)),
    (0, (8, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
)
MARKERS = ("o", "s", "D", "^", "v", "P", "X")

SURFACE_STYLE = {
    "symmetric": {"color": CYCLE[2], "linestyle": DASHES[0]},
    "chinchilla": {"color": CYCLE[0], "linestyle": DASHES[1]},
    "asymmetric": {"color": CYCLE[1], "linestyle": DASHES[2]},
}

RANGE_TICKS = (0.30103, 0.60206, 0.90309, 1.20412, 1.50515, 1.80618)


def panels(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Figure, Any]:
    """Return a figure that belongs to no global state and its axes, shape (rows, columns)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", facecolor=LIGHT.paper)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        style_axes(ax, LIGHT)
    return figure, axes


def title(ax: Axes, text: str) -> None:
    """Put a panel's title above its left edge."""
    ax.set_title(text, fontsize=font_size() + 0.5, color=INK, loc="left", pad=5)


def labels(ax: Axes, x: str = "", y: str = "") -> None:
    """Name the axes."""
    ax.set_xlabel(x, fontsize=font_size(), color=INK)
    ax.set_ylabel(y, fontsize=font_size(), color=INK)


def zero_line(ax: Axes) -> None:
    """Mark no error."""
    ax.axhline(0, color=MUTED, linewidth=0.8, zorder=1)


def range_axis(ax: Axes, *, named: bool = True, every: int = 1) -> None:
    """Tick half-widths in decades by the factor of the sweep, every one or every second of them."""
    ax.set_xlim(0.22, 2.06)
    ax.set_xticks(RANGE_TICKS[every - 1 :: every], [f"±{2**i}×" for i in range(every, 7, every)])
    if named:
        labels(ax, "sampling range (factor either side)", ax.get_ylabel())


def percent_axis(ax: Axes) -> None:
    """Write y as signed percent; values are percent already."""
    from matplotlib.ticker import FuncFormatter

    def write(value: float, _: Any) -> str:
        return "0%" if value == 0 else f"{value:+g}%".replace("-", "−")

    ax.yaxis.set_major_formatter(FuncFormatter(write))


def flops_axis(ax: Axes, most: int = 6) -> None:
    """Logarithmic x axis of training compute."""
    ax.set_xscale("log")
    set_log_axis(ax, "x", "flops", most=most)
    labels(ax, "training compute (FLOPs)", ax.get_ylabel())


def count_axis(ax: Axes, which: Any, name: str, most: int = 6) -> None:
    """Logarithmic axis of parameters or tokens."""
    set_log_axis(ax, which, "count", most=most)
    labels(ax, name if which == "x" else ax.get_xlabel(), name if which == "y" else ax.get_ylabel())


def legend_above(figure: Figure, handles: Sequence[Any], columns: int = 6) -> None:
    """Put one legend for all panels above them."""
    legend = figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        fontsize=font_size(),
        columnspacing=1.4,
        handletextpad=0.6,
    )
    for text in legend.get_texts():
        text.set_color(INK)


def key(label: str, **style: Any) -> Any:
    """Legend entry for a line."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **style)


def legend(ax: Axes, columns: int = 2) -> None:
    """Put the legend of one panel inside it where it is emptiest."""
    found = ax.legend(frameon=False, fontsize=font_size() - 0.5, ncols=columns, handletextpad=0.6)
    for text in found.get_texts():
        text.set_color(INK)


def legend_over(ax: Axes, columns: int = 3) -> None:
    """Put the legend above the axes."""
    add_legend(ax, LIGHT, columns=columns)


def budget_colors(values: Any) -> Any:
    """One colour per budget, along viridis."""
    return LIGHT.budgets(values)


def boxes(
    ax: Axes, data: Sequence[Any], places: Any, color: Any, *, width: float, fill: float = 0.5, dots: float = 0
) -> None:
    """Boxes of the middle half, whiskers from 5% to 95%, and what lies outside as dots of a size (0 for none)."""
    found = ax.boxplot(
        list(data),
        positions=list(places),
        widths=width,
        whis=(5, 95),
        patch_artist=True,
        manage_ticks=False,
        showfliers=dots > 0,
        flierprops={"marker": ".", "markersize": dots, "markerfacecolor": color, "markeredgecolor": "none"},
        medianprops={"color": INK, "linewidth": 1.0},
        whiskerprops={"color": color},
        capprops={"color": color},
    )
    for box in found["boxes"]:
        box.set(facecolor=to_rgba(color, fill), edgecolor=color)


def to_rgba(color: Any, alpha: float) -> Any:
    """Return a colour with an opacity."""
    from matplotlib.colors import to_rgba as convert

    return convert(color, alpha)
