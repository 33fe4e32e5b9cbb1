"""Axes that read well: no global state, readable log ticks, legends clear of the data, files that never change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lawful.core.numbers import format_count, format_power
from lawful.show.figures.palette import NARROW, Palette, current_style, font_size

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FINE_TICKS = 1e3
"""A log axis that spans less than this has minor ticks between its decades."""


@contextmanager
def drawing(salt: str = "lawful") -> Iterator[None]:
    """
    Set what matplotlib reads at drawing time: embeddable text, and identifiers that never change.

    matplotlib seeds the identifiers inside an SVG at random unless it has a
    salt, so without one two runs of the same fit would differ.
    """
    import matplotlib as mpl

    settings: dict[Any, Any] = {"svg.hashsalt": salt, "svg.fonttype": "none", "pdf.fonttype": 42, "ps.fonttype": 42}
    _leave_missing_latex()
    with mpl.rc_context(settings | {"font.size": font_size()}):
        yield


def _leave_missing_latex() -> None:
    """Draw without LaTeX where a style asks for it and there is none: nothing at all could be drawn with it."""
    import matplotlib as mpl

    if mpl.rcParams["text.usetex"] and which("latex") is None:
        mpl.rcParams["text.usetex"] = False


def new_axes(palette: Palette, size: tuple[float, float] = (6.4, 4.2)) -> Axes:
    """Return the axes of a new figure that belongs to no global state."""
    from matplotlib.figure import Figure

    _leave_missing_latex()
    return Figure(figsize=current_style().size(size), layout="constrained", facecolor=palette.paper).subplots()


def style_axes(ax: Axes, palette: Palette) -> None:
    """Give axes their colours, a quiet grid and no box."""
    ax.set_facecolor(palette.paper)
    ax.grid(visible=True, which="major", color=palette.grid, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(which="both", colors=palette.muted, labelcolor=palette.ink, labelsize=font_size())
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(palette.muted)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set_color(palette.ink)
        label.set_fontsize(font_size() + 0.5)


def log_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """
    Choose round ticks for a log axis: 1, 2, 5 within two decades, then 1 and 3, then powers of ten.

    Parameters
    ----------
    low, high : float
        Limits of the axis, 0 < low < high.
    most : int
        Largest number of ticks.

    Examples
    --------
    >>> [f"{tick:.0e}" for tick in log_ticks(4e8, 7e9)]
    ['5e+08', '1e+09', '2e+09', '5e+09']
    >>> [f"{tick:.0e}" for tick in log_ticks(1e18, 1e26)]
    ['1e+18', '1e+20', '1e+22', '1e+24', '1e+26']
    """
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    for steps in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        ticks = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(ticks) <= most:
            return ticks
    stride = -(-len(ticks) // most)
    return [tick for tick in ticks if round(np.log10(tick)) % stride == 0]


def set_log_axis(ax: Axes, which: Literal["x", "y"], unit: Literal["count", "flops"], most: int = 7) -> None:
    """Make an axis logarithmic between its present limits, with labels such as 10B or 10²¹."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

    axis, limits = (ax.xaxis, ax.get_xlim()) if which == "x" else (ax.yaxis, ax.get_ylim())
    if which == "x":
        ax.set_xscale("log")
        ax.set_xlim(limits)
    else:
        ax.set_yscale("log")
        ax.set_ylim(limits)
    write = format_count if unit == "count" else format_power
    axis.set_major_locator(FixedLocator(log_ticks(*limits, most=most)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    # Over many decades minor ticks would be a grey smear, and are slow to lay out: then only the decades are ticked.
    steps = tuple(range(2, 10)) if limits[1] / limits[0] < FINE_TICKS else (1.0,)
    axis.set_minor_locator(LogLocator(subs=steps, numticks=100))
    axis.set_minor_formatter(NullFormatter())


def widen(values: Any, factor: float) -> tuple[float, float]:
    """Return log-axis limits that leave a factor of room around the finite positive values."""
    numbers = np.asarray(values, float)
    numbers = numbers[np.isfinite(numbers) & (numbers > 0)]
    if not numbers.size:
        return 1.0, 10.0
    return float(numbers.min() / factor), float(numbers.max() * factor)


def add_legend(ax: Axes, palette: Palette, handles: Sequence[Artist] | None = None, columns: int = 2) -> None:
    """Put the legend above the axes, where it hides no data; by default from everything that has a label."""
    found = handles if handles is not None else ax.get_legend_handles_labels()[0]
    if not found:
        return
    narrow = is_narrow(ax)
    columns = min(columns, 2) if narrow else columns
    legend = ax.legend(
        handles=found,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.01),
        borderaxespad=0.0,
        borderpad=0.2,
        ncols=columns,
        columnspacing=0.8 if narrow else 1.4,
        handlelength=1.5 if narrow else 2.0,
        handletextpad=0.6,
        labelspacing=0.3,
        fontsize=font_size() - 0.5,
        frameon=False,
    )
    for text in legend.get_texts():
        text.set_color(palette.ink)


def is_narrow(ax: Axes) -> bool:
    """Return whether a figure is as narrow as a paper's column, where titles of axes are short."""
    return float(figure_of(ax).get_figwidth()) < NARROW


def figure_of(ax: Axes) -> Figure:
    """Return the figure that axes belong to."""
    from matplotlib.figure import Figure

    figure = ax.get_figure(root=True)
    if not isinstance(figure, Figure):
        raise TypeError(figure)
    return figure


def save_figures(figure: Figure, folder: Path, name: str, kinds: str) -> None:
    """Write a figure under one name in several formats: ``png+svg``, or ``pdf+png+svg``."""
    with _laid_out(figure):
        for suffix in kinds.split("+"):
            _print_figure(figure, folder / f"{name}.{suffix}")


def save_figure(figure: Figure, path: str | Path) -> None:
    """
    Write a figure in the format of its suffix (png, svg or pdf); the same figure gives the same bytes.

    Text stays text in SVG and PDF, and no date is written into the file.
    """
    with _laid_out(figure):
        _print_figure(figure, Path(path))


POINTS_PER_INCH = 72

PRINT_DPI = 200
"""Dots per inch of images, at which figures are laid out as well."""

BACKENDS = {"png": "agg", "svg": "svg", "pdf": "pdf"}
"""Formats that are printed directly, and the backend of each."""


@contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """Lay a figure out once for all formats that it is printed in; it is itself again afterwards."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    engine, dpi, canvas = figure.get_layout_engine(), figure.dpi, figure.canvas
    try:
        with drawing():
            figure.set_dpi(PRINT_DPI)
            FigureCanvasAgg(figure)
            if engine is not None:
                engine.execute(figure)
                figure.set_layout_engine("none")
        yield
    finally:
        figure.set_layout_engine(engine)
        figure.set_dpi(dpi)
        figure.set_canvas(canvas)


def _print_figure(figure: Figure, target: Path) -> None:
    """Print a figure that is laid out: drawn once, where savefig draws everything twice."""
    kind = target.suffix.lstrip(".").lower()
    metadata: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with drawing(salt=f"lawful-{target.stem}"):
        if kind not in BACKENDS:
            figure.savefig(target, format=kind, dpi=PRINT_DPI)
            return
        name = BACKENDS[kind]
        made = import_module(f"matplotlib.backends.backend_{name}").FigureCanvas(figure)
        # Vector formats are drawn in points.
        figure.set_dpi(PRINT_DPI if kind == "png" else POINTS_PER_INCH)
        getattr(made, f"print_{kind}")(target, metadata=metadata.get(kind))
