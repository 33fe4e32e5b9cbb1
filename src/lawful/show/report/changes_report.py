"""A report on two or more fits: what changed, on one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.core.numbers import format_count, format_count_interval, format_flops, format_level, format_percent
from lawful.estimate.result import meanings_of
from lawful.show.figures.axes import add_legend, set_log_axis, style_axes, widen
from lawful.show.figures.figure_data import Table, rows_where
from lawful.show.figures.frontier import AXIS_NAMES
from lawful.show.figures.palette import DARK, LIGHT, Palette
from lawful.show.report.changes import (
    QUANTITIES,
    Changes,
    change_sentence,
    changes_tables,
    coefficient_values,
    data_sentences,
    overlap,
    setting_rows,
)
from lawful.show.report.report import page_data, page_html
from lawful.show.report.report_card import bibtex, card_facts, card_text, note_rows
from lawful.show.report.report_figures import Picture, in_page_colours, static_svg
from lawful.show.report.report_words import pair_text

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
        settings=setting_rows(changes),
        coefficients=coefficient_rows(changes),
        optima={format_flops(c): optimum_rows(changes, i) for i, c in enumerate(changes.budgets)},
        is_asked=changes.is_asked,
        levels=", ".join(dict.fromkeys(format_level(a.level) for a in changes.analyses)),
        pictures=[_picture(tables, quantity) for quantity in ("params", "tokens")],
        notes={n: note_rows(a) for n, a in zip(changes.names, changes.analyses, strict=True)},
        cards=cards,
        card_text="\n".join(card_text(f"Fit {name}", facts) for name, facts in cards.items()),
        bibtex=bibtex(),
        fit_colours=(fit_colours(LIGHT), fit_colours(DARK)),
        data=page_data(tables),
    )


def coefficient_rows(changes: Changes) -> list[dict[str, Any]]:
    """Return a row per coefficient with every fit's value and interval, and for two fits whether they overlap."""
    values = [coefficient_values(a) for a in changes.analyses]
    rows = []
    meanings = {name: said for a in changes.analyses for name, said in meanings_of(a.fit).items()}
    for name in dict.fromkeys(name for value in values for name in value):
        ends = [
            a.interval(name) if name in v else (np.nan, np.nan) for a, v in zip(changes.analyses, values, strict=True)
        ]
        cells = {n: pair_text(v.get(name), pair) for n, v, pair in zip(changes.names, values, ends, strict=True)}
        row: dict[str, Any] = {"Name": (name, meanings.get(name, "")), **cells}
        if len(changes.fits) == 2:
            row["Intervals overlap"] = (overlap(*ends), "")
        rows.append(row)
    return rows


def optimum_rows(changes: Changes, i: int) -> list[dict[str, Any]]:
    """Return N*, D* and L* of every fit at one budget, and for two fits the change."""
    some = [allocations[i] for allocations in changes.allocations]
    rows = []
    for name, symbol in QUANTITIES.items():
        values = [getattr(a, name) for a in some]
        ends = [(a.interval or {}).get(name) or (np.nan, np.nan) for a in some]
        row: dict[str, Any] = {"Quantity": (symbol, "")}
        for letter, value, pair in zip(changes.names, values, ends, strict=True):
            if name == "loss":
                row[letter] = pair_text(value, pair)
            else:
                row[letter] = (format_count(value), format_count_interval(*pair) if np.all(np.isfinite(pair)) else "")
        if len(changes.fits) == 2:
            row["Change"] = (_change(values[0], values[1]), "")
            row["Intervals overlap"] = (overlap(*ends), "")
        rows.append(row)
    return rows


def _change(one: float | None, other: float | None) -> str:
    if one is None or other is None or not np.all(np.isfinite([one, other])) or one == 0:
        return "n/a"
    share = other / one - 1
    return "0%" if share == 0 else f"{'+' if share > 0 else '−'}{format_percent(abs(share))}"


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
