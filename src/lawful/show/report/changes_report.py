"""A report on two or more fits: what changed, on one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.core.numbers import format_flops, format_level
from lawful.core.sheet import Cell, Sheet
from lawful.decide.allocate import allocation_cells
from lawful.estimate.result import estimates, meanings_of
from lawful.show.figures.axes import add_legend, set_log_axis, style_axes, widen
from lawful.show.figures.figure_data import Table, rows_where
from lawful.show.figures.frontier import AXIS_NAMES
from lawful.show.figures.palette import DARK, LIGHT, Palette
from lawful.show.report.changes import (
    QUANTITIES,
    Changes,
    change_sentence,
    changes_tables,
    data_sentences,
    overlap,
    setting_sheet,
)
from lawful.show.report.report import page_data, page_html
from lawful.show.report.report_card import bibtex, card_facts, card_text, note_rows
from lawful.show.report.report_figures import Picture, in_page_colours, static_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DASHES: tuple[Any, ...] = ("-", (0, (6, 3)), (0, (2, 3)), (0, (8, 3, 2, 3)))
VIOLETS = {"light": ("#8a4f9e", "#5b6770", "#8c6d00"), "dark": ("#cc9bdc", "#aab4be", "#d9c25a")}
"""Colours of a fourth, fifth and sixth fit, beside those of the methods."""


def fit_colours(palette: Palette) -> list[str]:
    """Return six colours for fits; from the seventh on they come again with another dash."""
    own = dict(palette.methods)
    more = VIOLETS["light" if palette is LIGHT else "dark"]
    return [own["vpnls"], own["approach2"], own["approach1"], *more]


def changes_html(changes: Changes, *, title: str | None = None, tables: Mapping[str, Table] | None = None) -> str:
    """
    Return a comparison of fits as one self-contained HTML page.

    Parameters
    ----------
    changes : Changes
        Two or more fits, as :func:`~lawful.show.report.changes.changes_of` returns.
    title : str, optional
        Heading.
    tables : mapping of str to table, optional
        Those of :func:`~lawful.show.report.changes.changes_tables`, if they were made already.

    Returns
    -------
    str
        HTML. Every name that comes from the user's data is escaped.

    Examples
    --------
    >>> from lawful.show.report.changes import changes_of
    >>> from lawful.show.report.saved import SavedFit
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
    >>> saved = SavedFit("fit.json", lawful.analyse(runs), None)
    >>> "<h1>What changed</h1>" in changes_html(changes_of([saved, saved]))
    True
    """
    tables = changes_tables(changes) if tables is None else tables
    heading = title or ("What changed" if len(changes.fits) == 2 else f"{len(changes.fits)} fits, side by side")
    cards = {n: card_facts(a) for n, a in zip(changes.names, changes.analyses, strict=True)}
    return page_html(
        "changes.html.j2",
        title=heading,
        decision=change_sentence(changes),
        sentences=data_sentences(changes),
        settings=setting_sheet(changes),
        coefficients=coefficient_sheet(changes),
        optima=[optimum_sheet(changes, i) for i in range(len(changes.budgets))],
        is_asked=changes.is_asked,
        pictures=[_picture(tables, quantity) for quantity in ("params", "tokens")],
        notes={n: note_rows(a) for n, a in zip(changes.names, changes.analyses, strict=True)},
        cards=cards,
        card_text="\n".join(card_text(f"Fit {name}", facts) for name, facts in cards.items()),
        bibtex=bibtex(),
        fit_colours=(fit_colours(LIGHT), fit_colours(DARK)),
        data=page_data(tables),
    )


def coefficient_sheet(changes: Changes) -> Sheet:
    """Return a row per coefficient with every fit's value and interval, and for two fits whether they overlap."""
    cells = [estimates(a.fit, None if a.sure is None else a.sure.of) for a in changes.analyses]
    meanings = {name: said for a in changes.analyses for name, said in meanings_of(a.fit).items()}
    rows = []
    for name in dict.fromkeys(name for some in cells for name in some):
        row = [some.get(name, Cell(None)) for some in cells]
        rows.append((Cell(name, "text", small=meanings.get(name, "")), *row, *_overlap(row)))
    title = f"Coefficients and exponents of each fit; small print: {_levels(changes)} intervals"
    return Sheet(title, (), ("Name", *changes.names, *_overlap_head(changes)), tuple(rows))


def optimum_sheet(changes: Changes, i: int) -> Sheet:
    """Return N*, D* and L* of every fit at one budget, and for two fits the change."""
    some = [allocation_cells(allocations[i]) for allocations in changes.allocations]
    two = len(changes.fits) == 2
    rows = []
    for name, symbol in QUANTITIES.items():
        row = [cells.get(name, Cell(None)) for cells in some]
        rows.append((Cell(symbol, "text"), *row, *([_change(*row)] if two else []), *_overlap(row)))
    heads = ("Quantity", *changes.names, *(["Change"] if two else []), *_overlap_head(changes))
    title = f"At {format_flops(changes.budgets[i])}; small print: {_levels(changes)} intervals"
    return Sheet(title, (), heads, tuple(rows))


def _levels(changes: Changes) -> str:
    return ", ".join(dict.fromkeys(format_level(a.level) for a in changes.analyses))


def _overlap_head(changes: Changes) -> tuple[str, ...]:
    return ("Intervals overlap",) if len(changes.fits) == 2 else ()


def _overlap(row: Sequence[Cell]) -> tuple[Cell, ...]:
    """Whether the intervals of two fits overlap; nothing to say of more."""
    if len(row) != 2:
        return ()
    ends = ((np.nan if c.low is None else c.low, np.nan if c.high is None else c.high) for c in row)
    return (Cell(overlap(*ends), "text"),)


def _change(one: Cell, other: Cell) -> Cell:
    known = isinstance(one.value, float) and isinstance(other.value, float) and one.value != 0
    return Cell(other.value / one.value - 1 if known else None, "change")  # type: ignore[operator]


def _picture(tables: Mapping[str, Table], quantity: str) -> Picture:
    name = f"fits-{quantity}"
    title = "Compute-optimal model size" if quantity == "params" else "Compute-optimal tokens"
    caption = f"{title} against compute, by fit. Bands: intervals. Points: the budgets compared."
    names = {colour: f"fit-{i}" for i, colour in enumerate(fit_colours(LIGHT))}
    svg = in_page_colours(static_svg(name, lambda ax: plot_fits(tables, quantity, ax)), names)
    return Picture(name, title, svg, caption, ("fit_optima", "fit_frontiers"))


def plot_fits(tables: Mapping[str, Table], quantity: str, ax: Axes) -> Axes:
    """Draw the frontiers of all fits in one figure."""
    lines, optima = tables["fit_frontiers"], tables["fit_optima"]
    colours = fit_colours(LIGHT)
    for i, name in enumerate(dict.fromkeys(lines["fit"].tolist())):
        line, colour = rows_where(lines, fit=name), colours[i % len(colours)]
        ax.plot(line["budget"], line[quantity], color=colour, linestyle=DASHES[i % len(DASHES)], label=f"fit {name}")
        low, high = line[f"{quantity}_low"], line[f"{quantity}_high"]
        if np.any(np.isfinite(low)):
            ax.fill_between(line["budget"], low, high, color=colour, alpha=0.15, linewidth=0)
        point = rows_where(optima, fit=name)
        ax.plot(point["budget"], point[quantity], "o", color=colour, markersize=4.5)
    ax.set_xlim(float(lines["budget"].min()), float(lines["budget"].max()))
    ax.set_ylim(*widen(lines[quantity], 1.4))
    ax.set_xlabel("Training compute C (FLOPs)")
    ax.set_ylabel(AXIS_NAMES[quantity])
    style_axes(ax, LIGHT)
    set_log_axis(ax, "x", "flops", most=6)
    set_log_axis(ax, "y", "count")
    add_legend(ax, LIGHT)
    return ax
