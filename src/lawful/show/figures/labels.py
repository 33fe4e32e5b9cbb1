"""Labels beside points that keep clear of each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.show.figures.axes import figure_of
from lawful.show.figures.palette import Palette, font_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

Rectangle = tuple[float, float, float, float]
"""Left, bottom, right, top in pixels."""

REACHES = (8.0, 16.0, 26.0, 40.0, 56.0)
RISES = (5.0, 13.0, 24.0, 36.0, 48.0, 62.0, 76.0)
LABEL_OFFSETS = sorted(((reach, rise) for reach in REACHES for rise in RISES), key=lambda place: np.hypot(*place))
"""Places to try for a label, nearest first: points to its side and points away from its line."""

LABEL_TIED = 18.0
"""A label further than this from its point, in points, is tied to it by a line."""


def place_labels(ax: Axes, labels: Sequence[tuple[float, float, str, str, int]], palette: Palette) -> list[Annotation]:
    """
    Write values beside their points, each as near as it can be without touching one written before.

    Parameters
    ----------
    ax : Axes
        Axes with their final limits.
    labels : sequence of (x, y, text, colour, side)
        Side +1 asks for a place above and to the left, -1 for one below and to the right.
    palette : Palette
        Colours; the paper makes the halo of the text.

    Returns
    -------
    list of Annotation
        One per label; those that had to move away are tied to their point by a thin line.
    """
    from matplotlib import patheffects

    figure = figure_of(ax)
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
    inside = ax.get_window_extent()
    pixel = figure.dpi / 72
    points = [tuple(map(float, ax.transData.transform((x, y)))) for x, y, *_ in labels]
    taken: list[Rectangle] = [(px - 4 * pixel, py - 4 * pixel, px + 4 * pixel, py + 4 * pixel) for px, py in points]
    placed = []
    for (x, y, text, colour, side), (px, py) in zip(labels, points, strict=True):
        note = ax.annotate(
            text,
            (x, y),
            xytext=(0, 0),
            textcoords="offset points",
            color=colour,
            fontsize=font_size(),
            fontweight="bold",
            ha="right" if side > 0 else "left",
            va="center",
            path_effects=[patheffects.withStroke(linewidth=2.5, foreground=palette.paper)],
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3},
        )
        width, height = _text_size(note)
        tried: list[tuple[tuple[float, float], Rectangle]] = []
        for reach, rise in LABEL_OFFSETS:
            left = px - side * reach * pixel - (width if side > 0 else 0.0)
            low = py + side * rise * pixel - height / 2
            tried.append(((-side * reach, side * rise), (left, low, left + width, low + height)))
        inner = [t for t in tried if _within(t[1], inside)] or tried
        offset, box = next((t for t in inner if not any(_touch(t[1], other) for other in taken)), inner[0])
        note.set_position(offset)
        if note.arrow_patch is not None:
            note.arrow_patch.set_visible(abs(offset[1]) > LABEL_TIED or abs(offset[0]) > LABEL_TIED)
        taken.append(box)
        placed.append(note)
    return placed


def _text_size(note: Annotation) -> tuple[float, float]:
    """Return width and height of the text in pixels, without its leader line."""
    from matplotlib.text import Text

    box = Text.get_window_extent(note)
    return float(box.width), float(box.height)


def _within(box: Rectangle, inside: Any) -> bool:
    return bool(box[0] >= inside.x0 and box[2] <= inside.x1 and box[1] >= inside.y0 and box[3] <= inside.y1)


def _touch(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
