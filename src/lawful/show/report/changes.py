"""What changed between fits: data, settings, coefficients and the decisions they imply, and the page that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.core.numbers import (
    format_count,
    format_count_interval,
    format_flops,
    format_level,
    format_percent,
    format_short,
)
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Record
from lawful.core.typing import Columns
from lawful.data.runs import Runs
from lawful.decide.allocate import Allocation, allocation_cells
from lawful.errors import UnsupportedError
from lawful.estimate.result import Fit, estimates, meanings_of
from lawful.forecasting.averaged import outlook_cells
from lawful.forecasting.ensemble import Outlook
from lawful.show.figures.axes import add_legend, set_log_axis, style_axes, widen
from lawful.show.figures.figure_data import figure_tables, rows_where
from lawful.show.figures.frontier import AXIS_NAMES
from lawful.show.figures.palette import DARK, LIGHT, Palette
from lawful.show.files.document import strict
from lawful.show.report.pictures import Picture, allocation_table, coefficient_table, in_page_colours, static_svg
from lawful.show.report.report import page_data, page_html
from lawful.show.report.saved import SavedFit, flagged_sentence
from lawful.show.report.words import bibtex, card_facts, card_text, note_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHANGES_SCHEMA = "lawful.changes/1"

QUANTITIES = {"params": "N*", "tokens": "D*", "loss": "L*"}


@dataclass(frozen=True, eq=False)
class Changes(Record):
    """
    Two or more fits beside each other.

    Attributes
    ----------
    names : tuple of str
        A letter per fit: A, B, ...
    fits : tuple of SavedFit
        The fits.
    budgets : tuple of float
        Budgets in FLOPs at which all of them are asked for the optimum.
    allocations : tuple of tuple of Allocation
        Per fit, one per budget.
    is_asked : bool
        Whether the budgets were asked for; otherwise the largest that any of them was trained at.
    """

    names: tuple[str, ...]
    fits: tuple[SavedFit, ...]
    budgets: tuple[float, ...]
    allocations: tuple[tuple[Allocation, ...], ...]
    is_asked: bool

    @property
    def analyses(self) -> tuple[Analysis, ...]:
        """What each fit implies."""
        return tuple(saved.analysis for saved in self.fits)


def changes_of(fits: Sequence[SavedFit]) -> Changes:
    """
    Put fits beside each other at the budgets that any of them was asked about.

    Raises
    ------
    UnsupportedError
        With fewer than two fits, or more than the alphabet has letters.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
    >>> one = SavedFit("one.json", lawful.analyse(runs, budgets=[1e22]), None)
    >>> other = SavedFit("other.json", lawful.analyse(runs.take(np.arange(20)), budgets=[1e22]), None)
    >>> print(data_sentences(changes_of([one, other]))[0])
    A and B share 20 runs; 7 are in A only, 0 in B only.
    """
    if not 2 <= len(fits) <= len(ascii_uppercase):
        msg = f"A comparison needs 2 to {len(ascii_uppercase)} fits, got {len(fits)}."
        raise UnsupportedError(msg)
    asked = sorted({a.budget for saved in fits for a in saved.analysis.allocations})
    budgets = asked or [max(float(saved.analysis.fit.runs.budgets.max()) for saved in fits)]
    allocations = tuple(tuple(_allocate(saved.analysis, c) for c in budgets) for saved in fits)
    # With the same budgets, the frontiers of all fits are drawn equally far, and verdicts speak of the same distance.
    alike = tuple(
        replace(saved, analysis=replace(_asked(saved.analysis, budgets), allocations=some))
        for saved, some in zip(fits, allocations, strict=True)
    )
    return Changes(tuple(ascii_uppercase[: len(fits)]), alike, tuple(budgets), allocations, bool(asked))


def _asked(analysis: Analysis, budgets: Sequence[float]) -> Analysis:
    own = [one.budget for one in analysis.allocations]
    return analysis if own == list(budgets) else analysis.asking(budgets)


def _allocate(analysis: Analysis, budget: float) -> Allocation:
    known = [a for a in analysis.allocations if a.budget == budget]
    return known[0] if known else analysis.allocate(budget)


def data_sentences(changes: Changes) -> list[str]:
    """Say which runs every later fit shares with the first, and which only one of them has."""
    first, a = changes.analyses[0].fit.runs, changes.names[0]
    said = []
    for b, analysis in zip(changes.names[1:], changes.analyses[1:], strict=True):
        runs = analysis.fit.runs
        if runs.sha256 == first.sha256:
            said.append(f"{a} and {b} were fitted to the same {len(runs)} runs (SHA-256 {runs.sha256[:12]}…).")
            continue
        mine, other = _rows(first), _rows(runs)
        shared = (mine & other).total()
        only_a, only_b = mine - other, other - mine
        said.append(f"{a} and {b} share {shared} runs; {only_a.total()} are in {a} only, {only_b.total()} in {b} only.")
        moved = (_places(only_a) & _places(only_b)).total()
        if moved:
            said.append(f"Of those, {moved} have the same N and D in both but another loss.")
        if not shared and not moved:
            said.append(f"{a} and {b} have no run in common: this compares two experiments, not two fits of one.")
    return said


def _rows(runs: Runs) -> Counter[tuple[float, float, float]]:
    return Counter(zip(runs.N.tolist(), runs.D.tolist(), runs.L.tolist(), strict=True))


def _places(rows: Counter[tuple[float, float, float]]) -> Counter[tuple[float, float]]:
    places: Counter[tuple[float, float]] = Counter()
    for (n, d, _), count in rows.items():
        places[n, d] += count
    return places


def setting_sheet(changes: Changes) -> Sheet:
    """Return a row per setting of the fits, and whether it differs."""
    rows = [
        _row("File", [saved.path for saved in changes.fits]),
        _row("Source", [_said_source(a) for a in changes.analyses]),
        _row("Runs", [str(len(a.fit.runs)) for a in changes.analyses]),
        _row("Budgets", [str(a.fit.runs.budgets.size) for a in changes.analyses]),
        _row("Largest budget", [format_flops(float(a.fit.runs.budgets.max())) for a in changes.analyses]),
        _row("Check before the fit", [_said_check(saved) for saved in changes.fits]),
        _row("Method", [a.method for a in changes.analyses]),
    ]
    surfaces = [a.fit if a.fit.surface is not None else None for a in changes.analyses]
    rows += [
        _row("Law", ["none" if f is None else f.surface.law.name for f in surfaces]),
        _row("Objective", ["lines" if f is None else str(f.objective) for f in surfaces]),
        _row(
            "Held fixed",
            ["none" if f is None else ", ".join(_said_held(f)) or "none" for f in surfaces],
        ),
        _row("Intervals", [_said_intervals(a) for a in changes.analyses]),
        _row("Status", [a.fit.status.key.replace("_", " ") for a in changes.analyses]),
        _row("Verdict", [a.verdict.value for a in changes.analyses]),
    ]
    # What differs leads; the files that name the fits differ always, and stand first.
    rows.sort(key=lambda one: one[-1].text != "yes")
    return Sheet("How each fit was made", (), ("Setting", *changes.names, "Changed"), tuple(rows))


def _row(name: str, values: Sequence[str]) -> tuple[Cell, ...]:
    return row(name, *values, "yes" if len(set(values)) > 1 else "no")


def _said_source(analysis: Analysis) -> str:
    runs = analysis.fit.runs
    return (PurePath(runs.source).name or runs.source) + "".join(
        f", {name}={value}" for name, value in runs.selection.items()
    )


def _said_check(saved: SavedFit) -> str:
    return "none" if saved.flagged is None else flagged_sentence(saved.flagged)


def _said_held(fit: Fit) -> list[str]:
    """Coefficients that were held or known with a width, in words."""
    held = [f"{name} = {format_short(value)}" for name, value in fit.fixed.items()]
    return held + [f"{name} = {prior.text}" for name, prior in fit.prior.items()]


def _said_intervals(analysis: Analysis) -> str:
    return "none" if analysis.sure is None else f"{analysis.sure.kind}, {format_level(analysis.level)}"


def overlap(one: tuple[float, float], other: tuple[float, float]) -> str:
    """
    Say whether two intervals overlap; nothing where one of them is unknown.

    Examples
    --------
    >>> overlap((0.29, 0.33), (0.32, 0.36)), overlap((0.29, 0.30), (0.32, 0.36)), overlap((0.29, float("nan")), (0, 1))
    ('yes', 'no', 'n/a')
    """
    if not np.all(np.isfinite([*one, *other])):
        return "n/a"
    return "yes" if one[0] <= other[1] and other[0] <= one[1] else "no"


def changes_tables(changes: Changes) -> dict[str, Columns]:
    """Return the tables that a comparison shows: coefficients, optima at the budgets, and frontiers, by fit."""

    def stacked(parts: Sequence[Columns]) -> Columns:
        fit = np.concatenate(
            [np.full(len(next(iter(p.values()))), n) for n, p in zip(changes.names, parts, strict=True)]
        )
        return {"fit": fit, **{name: np.concatenate([p[name] for p in parts]) for name in parts[0]}}

    lines = [figure_tables(a)["frontier_lines"] for a in changes.analyses]
    own = [
        {k: v[line["source"] == a.method] for k, v in line.items() if k not in ("source", "extrapolated")}
        for a, line in zip(changes.analyses, lines, strict=True)
    ]
    return {
        "fits": {
            "fit": np.array(changes.names),
            "file": np.array([saved.path for saved in changes.fits]),
            "source": np.array([a.fit.runs.source for a in changes.analyses]),
            "runs": np.array([len(a.fit.runs) for a in changes.analyses]),
            "sha256": np.array([a.fit.runs.sha256 for a in changes.analyses]),
            "method": np.array([a.method for a in changes.analyses]),
        },
        "fit_coefficients": stacked([coefficient_table(a) for a in changes.analyses]),
        "fit_optima": stacked([allocation_table(some) for some in changes.allocations]),
        "fit_frontiers": stacked(own),
    }


def changes_document(changes: Changes) -> dict[str, Any]:
    """
    Return a comparison as JSON types: settings, coefficients with intervals, optima at common budgets.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
    >>> saved = SavedFit("fit.json", lawful.analyse(runs, budgets=[1e22]), None)
    >>> document = changes_document(changes_of([saved, saved]))
    >>> document["schema"], document["data"], document["coefficients"][0]["overlap"]
    ('lawful.changes/1', ['A and B were fitted to the same 27 runs (SHA-256 ...).'], True)
    """
    tables = changes_tables(changes)
    values = [coefficient_values(a) for a in changes.analyses]
    rows = []
    for name in dict.fromkeys(name for value in values for name in value):
        ends = [
            a.interval(name) if name in v else (np.nan, np.nan) for a, v in zip(changes.analyses, values, strict=True)
        ]
        said = overlap(ends[0], ends[1])
        known = None if said == "n/a" or len(ends) > 2 else said == "yes"
        rows.append({"name": name, "values": [v.get(name) for v in values], "intervals": ends, "overlap": known})
    document: dict[str, Any] = strict(
        {
            "schema": CHANGES_SCHEMA,
            "fits": [
                {"name": name, "file": saved.path, "notes": [note.to_dict() for note in saved.analysis.notes]}
                for name, saved in zip(changes.names, changes.fits, strict=True)
            ],
            "decision": [change_sentence(changes)],
            "data": data_sentences(changes),
            "settings": [
                {"name": name.text, "values": [cell.text for cell in cells], "changed": changed.text == "yes"}
                for name, *cells, changed in setting_sheet(changes).rows
            ],
            "coefficients": rows,
            "optima": tables["fit_optima"],
        }
    )
    return document


def coefficient_values(analysis: Analysis) -> dict[str, float]:
    """Return coefficients and exponents by name."""
    table = coefficient_table(analysis)
    return dict(zip(table["name"].tolist(), table["value"].tolist(), strict=True))


def change_sentence(changes: Changes) -> str:
    """Say in one sentence what the fits make of the largest budget: two beside each other, more as a range."""
    if len(changes.fits) > 2:
        return _range_sentence(changes)
    one, other = changes.allocations[0][-1], changes.allocations[-1][-1]
    a, b = changes.names[0], changes.names[-1]
    lost = [name for name, x in ((a, one), (b, other)) if not np.isfinite(x.params)]
    if lost:
        who = f"fit {lost[0]} has no" if len(lost) == 1 else "neither fit has a"
        return f"At {format_flops(one.budget)} {who} compute-optimal choice: the notes say why."
    share = other.params / one.params - 1
    moved = f"{format_percent(abs(share))} {'larger' if share > 0 else 'smaller'}" if abs(share) >= 5e-4 else "the same"
    sure = overlap(*((x.interval or {}).get("params") or (np.nan, np.nan) for x in (one, other)))
    said = {"yes": "; their intervals overlap", "no": "; their intervals do not overlap", "n/a": ""}[sure]
    seen = averages_of(changes, -1)
    # The report of each fit opens with the average where there is one: its numbers belong beside those of one law.
    sizes = [format_count(one.params) for one in seen]
    averaged = f" By the average of laws {a} asks for {sizes[0]} and {b} for {sizes[1]}." if sizes else ""
    return (
        f"At {format_flops(one.budget)} fit {a} asks for {format_count(one.params)} parameters on "
        f"{format_count(one.tokens)} tokens and fit {b} for {format_count(other.params)} on "
        f"{format_count(other.tokens)}: N* of {b} is {moved}{said}.{averaged}"
    )


def _range_sentence(changes: Changes) -> str:
    some = [allocations[-1] for allocations in changes.allocations]
    sizes = [a.params for a in some if np.isfinite(a.params)]
    data = [a.tokens for a in some if np.isfinite(a.tokens)]
    if not sizes:
        return f"At {format_flops(some[0].budget)} none of the fits has a compute-optimal choice: the notes say why."
    return (
        f"At {format_flops(some[0].budget)} the {len(some)} fits ask for "
        f"{format_count_interval(min(sizes), max(sizes))} "
        f"parameters on {format_count_interval(min(data), max(data))} tokens."
    )


DASHES: tuple[Any, ...] = ("-", (0, (6, 3)), (0, (2, 3)), (0, (8, 3, 2, 3)))
VIOLETS = {"light": ("#8a4f9e", "#5b6770", "#8c6d00"), "dark": ("#cc9bdc", "#aab4be", "#d9c25a")}
"""Colours of a fourth, fifth and sixth fit, beside those of the methods."""


def fit_colours(palette: Palette) -> list[str]:
    """Return six colours for fits; from the seventh on they come again with another dash."""
    own = dict(palette.methods)
    more = VIOLETS["light" if palette is LIGHT else "dark"]
    return [own["vpnls"], own["approach2"], own["approach1"], *more]


def changes_html(changes: Changes, *, title: str | None = None, tables: Mapping[str, Columns] | None = None) -> str:
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
        coefficients=coefficients_side_by_side(changes),
        optima=[optimum_sheet(changes, i) for i in range(len(changes.budgets))],
        is_asked=changes.is_asked,
        pictures=[_picture(tables, quantity) for quantity in ("params", "tokens") if _is_told(tables, quantity)],
        notes={n: note_rows(a) for n, a in zip(changes.names, changes.analyses, strict=True)},
        cards=cards,
        card_text="\n".join(card_text(f"Fit {name}", facts) for name, facts in cards.items()),
        bibtex=bibtex(),
        fit_colours=(fit_colours(LIGHT), fit_colours(DARK)),
        data=page_data(tables),
    )


def coefficients_side_by_side(changes: Changes) -> Sheet:
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
    seen = averages_of(changes, i)
    named = (
        [(some, "")] if not seen else [([outlook_cells(one) for one in seen], ", average of laws"), (some, ", one law")]
    )
    rows = []
    for found, whose in named:
        for name, symbol in QUANTITIES.items():
            row = [cells.get(name, Cell(None)) for cells in found]
            rows.append((Cell(f"{symbol}{whose}", "text"), *row, *([_change(*row)] if two else []), *_overlap(row)))
    heads = ("Quantity", *changes.names, *(["Change"] if two else []), *_overlap_head(changes))
    title = f"At {format_flops(changes.budgets[i])}; small print: {_levels(changes)} intervals"
    return Sheet(title, (), heads, tuple(rows))


def averages_of(changes: Changes, i: int) -> list[Outlook]:
    """Return what the average of laws says of one budget, fit by fit; nothing where a fit has none."""
    budget = changes.budgets[i]
    made = [() if a.average is None else a.average.outlooks for a in changes.analyses]
    seen = [next((one for one in outlooks if one.budget == budget), None) for outlooks in made]
    return [one for one in seen if one is not None] if None not in seen else []


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


def _is_told(tables: Mapping[str, Columns], quantity: str) -> bool:
    """Whether any fit tells a frontier: of fits that tell none there is nothing to draw."""
    return bool(np.isfinite(tables["fit_frontiers"][quantity]).any())


def _picture(tables: Mapping[str, Columns], quantity: str) -> Picture:
    name = f"fits-{quantity}"
    title = "Compute-optimal model size" if quantity == "params" else "Compute-optimal tokens"
    caption = f"{title} against compute, by fit. Bands: intervals. Points: the budgets compared."
    names = {colour: f"fit-{i}" for i, colour in enumerate(fit_colours(LIGHT))}
    svg = in_page_colours(static_svg(name, lambda ax: plot_fits(tables, quantity, ax)), names)
    return Picture(name, title, svg, caption, ("fit_optima", "fit_frontiers"))


def plot_fits(tables: Mapping[str, Columns], quantity: str, ax: Axes) -> Axes:
    """Draw the frontiers of all fits in one figure."""
    lines, optima = tables["fit_frontiers"], tables["fit_optima"]
    colours = fit_colours(LIGHT)
    for i, name in enumerate(dict.fromkeys(lines["fit"].tolist())):
        line, colour = rows_where(lines, fit=name), colours[i % len(colours)]
        if not np.isfinite(line[quantity]).any():
            continue
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
