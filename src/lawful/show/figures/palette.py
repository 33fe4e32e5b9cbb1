"""Colours, markers and names: one look for a method in every figure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from lawful.errors import UnsupportedError


@dataclass(frozen=True, slots=True)
class Style:
    """
    What a figure is drawn for: its width in inches, None for each figure's own, and the size of its text in points.

    Examples
    --------
    >>> Style().size((6.4, 4.2)), Style(width=3.25).size((6.4, 4.2))
    ((6.4, 4.2), (3.25, 2.6))
    """

    width: float | None = None
    font: float = 9.0

    def size(self, usual: tuple[float, float]) -> tuple[float, float]:
        """Return the size of a figure of its usual one: narrower figures are taller for their width."""
        if self.width is None:
            return usual
        return self.width, round(self.width * usual[1] / usual[0] * (1.22 if self.width < NARROW else 1.0), 2)


NARROW = 4.5
"""Inches below which a figure has the width of a paper's column."""

_STYLE: ContextVar[Style] = ContextVar("style", default=Style())  # noqa: B039 - frozen


def current_style() -> Style:
    """Return the style that figures are drawn in."""
    return _STYLE.get()


def font_size() -> float:
    """Return the size of text in points."""
    return _STYLE.get().font


@contextmanager
def screen_style() -> Iterator[None]:
    """Draw figures of a page as they always are, whatever paper the files are for."""
    token = _STYLE.set(Style())
    try:
        yield
    finally:
        _STYLE.reset(token)


@contextmanager
def style(width: float, font: float | None = None) -> Iterator[Style]:
    """
    Draw figures for a paper: of the width of its column or page, with text that reads there.

    Parameters
    ----------
    width : float
        Inches: 3.25 for a column, 6.75 for a page, in most two-column papers.
    font : float, optional
        Points; 7.5 in a column and 9 on a page by default.

    Raises
    ------
    UnsupportedError
        If a figure of that width or with text of that size cannot be read.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e19, 1e20, 1e21], surface=truth), noise=0.01)
    >>> with lawful.style(width=3.25):
    ...     ax = lawful.analyse(runs, draws=0).plot.isoflop()
    >>> [float(side) for side in ax.figure.get_size_inches()]
    [3.25, 2.6]
    """
    if not 2.0 <= width <= 40.0:
        msg = f"A figure is 2 to 40 inches wide, got {width!r}; a column of a paper has about 3.25."
        raise UnsupportedError(msg)
    if font is not None and not 4.0 <= font <= 40.0:
        msg = f"Text of a figure has 4 to 40 points, got {font!r}."
        raise UnsupportedError(msg)
    made = Style(width, font or (7.5 if width < NARROW else 9.0))
    token = _STYLE.set(made)
    try:
        yield made
    finally:
        _STYLE.reset(token)


CROWDED = 30
"""More marks of one kind than this are drawn smaller."""


@dataclass(frozen=True, slots=True)
class Palette:
    """
    Colours of a figure, from the colour-blind-safe set of Okabe and Ito and from viridis.

    Parameters
    ----------
    ink, muted, grid, paper : str
        Text, secondary marks, grid lines and the background of text on data.
    shade : str
        The extrapolated region.
    methods : mapping-like tuple of (str, str)
        Colour per method.
    sequence : (float, float)
        Part of viridis that budgets run through, lowest to highest: the highest stands out from the paper most.
    """

    ink: str
    muted: str
    grid: str
    paper: str
    shade: str
    methods: tuple[tuple[str, str], ...]
    sequence: tuple[float, float]

    def method(self, name: str) -> str:
        """Return the colour of a method."""
        return dict(self.methods)[name]

    def budgets(self, values: Any) -> Any:
        """Return one colour per budget, ordered along viridis by log budget, shape (g, 4)."""
        from matplotlib import colormaps

        logs = np.log10(np.asarray(values, float))
        span = np.ptp(logs) if logs.size else 0.0
        place = (logs - logs.min()) / span if span > 0 else np.full(logs.shape, 0.5)
        low, high = self.sequence
        return colormaps["viridis"](low + (high - low) * place)


LIGHT = Palette(
    ink="#1f2328",
    muted="#59636e",
    grid="#e3e6ea",
    paper="#ffffff",
    shade="#eef0f3",
    methods=(("vpnls", "#0072b2"), ("approach3", "#0072b2"), ("approach2", "#c65300"), ("approach1", "#007a5a")),
    sequence=(0.86, 0.0),
)
"""For paper and light pages."""

DARK = Palette(
    ink="#e6e8eb",
    muted="#a0a8b2",
    grid="#2f353d",
    paper="#14171b",
    shade="#20252b",
    methods=(("vpnls", "#56b4e9"), ("approach3", "#56b4e9"), ("approach2", "#f0a64a"), ("approach1", "#3fc79a")),
    sequence=(0.3, 1.0),
)
"""For dark pages: the same hues, lighter."""

METHOD_LABELS = {"vpnls": "VPNLS", "approach1": "Approach 1", "approach2": "Approach 2", "approach3": "Approach 3"}
"""Names of the methods as people read them."""

MARKERS = {"vpnls": "D", "approach3": "D", "approach2": "o", "approach1": "s"}
"""Methods differ in marker and line as well as in colour."""

LINES: dict[str, Any] = {"vpnls": "-", "approach3": "-", "approach2": (0, (4, 2)), "approach1": (0, (5, 1.5, 1, 1.5))}
