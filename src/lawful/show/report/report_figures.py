"""The figures of a report as static SVG, for paper and for readers without scripts, in the page's own colours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.analysis.evidence import Evidence
from lawful.core.numbers import format_flops, format_level, format_value
from lawful.decide.indifference import Indifference
from lawful.show.figures.axes import drawing, figure_of, new_axes
from lawful.show.figures.dial_figure import plot_dial
from lawful.show.figures.figure_data import parabolas_of
from lawful.show.figures.figures import plot_frontier, plot_isoflop, plot_residuals, predicts_loss
from lawful.show.figures.palette import DARK, LIGHT, METHOD_LABELS, Palette
from lawful.show.figures.valley_figure import plot_indifference
from lawful.uncertainty.dial import AsymptoteDial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURE_SIZE = (4.8, 3.9)
"""Inches; one column of the page, and legible at the width of a phone."""
POINTS_PER_INCH = 72
WIDE_SIZE = (8.4, 4.4)
"""The first figure, over both columns."""


@dataclass(frozen=True, slots=True)
class Picture:
    """
    A figure on the page.

    Parameters
    ----------
    name : str
        Its anchor, and which interactive figure takes its place.
    title : str
        What it is, in a few words.
    svg : str
        Inline SVG whose colours are the page's.
    caption : str
        What it shows and how to read it.
    tables : tuple of str
        The tables it is drawn from.
    """

    name: str
    title: str
    svg: str
    caption: str
    tables: tuple[str, ...]


Draw = Callable[["Axes"], "Axes"]


def pictures_of(evidence: Evidence) -> dict[str, Picture]:
    """Draw the figures of a report by name; what the fit cannot show is absent."""
    analysis = evidence.analysis
    fit = analysis.fit
    label = METHOD_LABELS[fit.method]
    parabolas = " Dashed: the parabolas of Approach 2, circles at their minima." if parabolas_of(analysis) else ""
    law = " Solid: the fitted law, diamonds at its optima." if fit.surface is not None else ""
    band = f" Band: {format_level(analysis.level)} interval." if analysis.sure is not None else ""
    targets = " Dotted: the budgets asked for." if analysis.allocations else ""
    ahead = f" Line: {label}.{band}{targets} Shaded: beyond all training budgets."
    loops = ("isoflop_runs", "isoflop_curves", "isoflop_optima")
    lines = ("frontier_targets", "frontier_lines", "frontier_points")
    found = [
        _picture(
            "isoflop",
            "IsoFLOP curves",
            lambda ax: plot_isoflop(analysis, ax),
            f"Loss against model size, one colour per training budget.{law}{parabolas}",
            loops,
            WIDE_SIZE,
        ),
        _picture(
            "params",
            "Compute-optimal model size",
            lambda ax: plot_frontier(analysis, ax, quantity="params"),
            f"Compute-optimal model size against compute.{ahead}",
            lines,
        ),
        _picture(
            "tokens",
            "Compute-optimal tokens",
            lambda ax: plot_frontier(analysis, ax, quantity="tokens"),
            f"Compute-optimal tokens against compute.{ahead}",
            lines,
        ),
    ]
    if predicts_loss(analysis):
        fitted = "law" if fit.surface is not None else "parabola of its budget"
        caption = (
            f"Observed loss less that of the {fitted}, by budget; within a budget from small to large models. "
            "A sound fit scatters evenly about zero; a smile or a drift says that its form is wrong."
        )
        drawn = ("residuals", "residual_medians")
        found.append(
            _picture("residuals", "Residuals", lambda ax: plot_residuals(analysis, ax), caption, drawn, WIDE_SIZE)
        )
    found += _dial(evidence.dial) + _valley(evidence)
    light, _ = budget_colours(analysis)
    names = {colour: f"budget-{i}" for i, colour in enumerate(light)}
    return {picture.name: replace(picture, svg=in_page_colours(picture.svg, names)) for picture in found}


def _dial(dial: AsymptoteDial | str) -> list[Picture]:
    if isinstance(dial, str):
        return []
    caption = (
        f"The forecast at {format_flops(dial.budget)} with E held at each value and everything else refitted. "
        f"Shaded and bold: the {format_level(dial.profile.level)} interval of E; diamond: the fit."
    )
    return [_picture("dial", "The asymptote dial", lambda ax: plot_dial(dial, ax), caption, ("dial",))]


def _valley(evidence: Evidence) -> list[Picture]:
    region, fit, isoflop = evidence.region, evidence.analysis.fit, evidence.analysis.isoflop
    if not (isinstance(region, Indifference) and fit.surface is not None):
        return []
    other = None if isoflop is None else float(isoflop.frontier.params(region.budget))
    close = other if other and region.params[0] / 2 <= other <= region.params[1] * 2 else None
    caption = (
        f"Loss against model size at {format_flops(region.budget)}. Shaded: sizes whose loss is within "
        f"{format_value(region.epsilon, 2)} nats per token of the optimum, "
        f"{'the noise of one run' if region.source == 'noise' else 'as given'}."
    )

    def draw(ax: Axes) -> Axes:
        return plot_indifference(region, fit, ax, other=close)

    return [_picture("valley", "The indifference region", draw, caption, ("valley", "indifference"))]


def _picture(
    name: str, title: str, draw: Draw, caption: str, tables: tuple[str, ...], size: tuple[float, float] = FIGURE_SIZE
) -> Picture:
    return Picture(name, title, static_svg(name, draw, size), caption, tables)


def static_svg(name: str, draw: Draw, size: tuple[float, float] = FIGURE_SIZE) -> str:
    """Return a figure as inline SVG in the page's colours, whose identifiers are its own on the page."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    with drawing():
        ax = new_axes(LIGHT, size)
    figure = figure_of(draw(ax))
    figure.patch.set_facecolor("none")
    file = StringIO()
    with drawing(salt=f"lawful-{name}"):
        # Laid out once and drawn once; savefig would draw everything twice.
        figure.set_dpi(POINTS_PER_INCH)
        layout = figure.get_layout_engine()
        if layout is not None:
            layout.execute(figure)
        figure.set_layout_engine("none")
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(file, metadata={"Date": None})
    return in_page_colours(inline_svg(file.getvalue(), f"{name}-static"))


def inline_svg(document: str, name: str) -> str:
    """
    Make an SVG file fit for the inside of a page: no prologue, no metadata, fluid, identifiers with a prefix.

    Examples
    --------
    >>> text = '<?xml version="1.0"?><svg width="9pt" height="9pt" viewBox="0 0 9 9"><g id="a"/><use href="#a"/></svg>'
    >>> inline_svg(text, "fig")
    '<svg viewBox="0 0 9 9" aria-hidden="true"><g id="fig-a"/><use href="#fig-a"/></svg>'
    """
    text = document[document.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    head, rest = text.split(">", 1)
    head = re.sub(r'\s(?:width|height|version|xmlns(?::\w+)?)="[^"]*"', "", head)
    body = f'{head} aria-hidden="true">{rest}'.replace("xlink:href=", "href=")
    body = re.sub(r'\bid="', f'id="{name}-', body)
    return re.sub(r'(href="|url\()#', rf"\g<1>#{name}-", body).strip()


def page_colours(palette: Palette) -> dict[str, str]:
    """
    Return the colours of a palette by the name of their CSS property.

    Examples
    --------
    >>> page_colours(LIGHT)["approach2"], page_colours(DARK)["approach2"]
    ('#c65300', '#f0a64a')
    """
    named = {name: getattr(palette, name) for name in ("ink", "muted", "grid", "paper", "shade")}
    return {**named, **dict(palette.methods)}


def in_page_colours(svg: str, more: Mapping[str, str] | None = None) -> str:
    """
    Replace the colours of the light palette by CSS properties, so that the figure follows the page into the dark.

    Parameters
    ----------
    svg : str
        A figure drawn in the light palette.
    more : mapping of str to str, optional
        Further colours, each with the name of its property.

    Examples
    --------
    >>> in_page_colours('<path style="fill: #1f2328; stroke: #abcdef"/>')
    '<path style="fill: var(--ink); stroke: #abcdef"/>'
    """
    names = {colour: name for name, colour in reversed(list(page_colours(LIGHT).items()))} | dict(more or {})

    def swap(match: re.Match[str]) -> str:
        name = names.get(match[0].lower())
        return match[0] if name is None else f"var(--{name})"

    return re.sub(r'style="[^"]*"', lambda style: re.sub(r"#[0-9a-fA-F]{6}\b", swap, style[0]), svg)


def budget_colours(analysis: Analysis) -> tuple[list[str], list[str]]:
    """Return a colour per training budget as hexadecimal text, for light and for dark."""
    from matplotlib.colors import to_hex

    budgets = np.unique(analysis.fit.runs.budgets)
    light, dark = ([to_hex(c) for c in palette.budgets(budgets)] for palette in (LIGHT, DARK))
    return light, dark
