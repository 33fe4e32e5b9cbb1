"""Colours, markers and names: one look for a method in every figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

FONT_SIZE = 9.0

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
        Part of viridis that budgets run through, lowest to highest.
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
    sequence=(0.0, 0.86),
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
