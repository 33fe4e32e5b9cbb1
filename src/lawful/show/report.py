"""One self-contained HTML page about one analysis: the decision first, then everything it rests on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.core.cost import Cost
from lawful.core.notes import NOTE_CODES, Status
from lawful.estimate.printing import FORMULAS, METHOD_TITLES
from lawful.estimate.result import Fit
from lawful.show.axes import drawing, figure_of, new_axes
from lawful.show.bias import bias_sentences
from lawful.show.decision import decision_sentences
from lawful.show.figure_data import parabolas_of
from lawful.show.figures import plot_frontier, plot_isoflop, plot_residuals, predicts_loss
from lawful.show.numbers import (
    format_count,
    format_count_interval,
    format_flops,
    format_level,
    format_percent,
    format_scientific,
    format_uncertain,
    format_value,
)
from lawful.show.palette import DARK, LIGHT, METHOD_LABELS, Palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lawful.infer.allocate import Allocation
    from lawful.infer.analysis import Analysis

FIGURE_SIZE = (4.8, 3.9)
"""Inches; one column of the page, and legible at the width of a phone."""
EXACT_DIGITS = 9
"""Significant digits of the numbers that others compute with."""
MOST_VALUES = 4
"""A column with more different values than this is described by their number."""

MEANINGS = {
    "E": "loss that no compute removes (nats per token)",
    "A": "weight of the model-size term, N as counted",
    "B": "weight of the tokens term, D as counted",
    "alpha": "how fast loss falls with model size",
    "beta": "how fast loss falls with tokens",
    "a": "N* grows as C^a",
    "b": "D* grows as C^b",
    "log10_a0": "log10 of N* at one FLOP",
    "log10_b0": "log10 of D* at one FLOP",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a list: a name and its value in words."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Picture:
    """
    A figure on the page.

    Parameters
    ----------
    name : str
        Its anchor.
    light, dark : str
        Inline SVG for either colour scheme; paper gets the light one.
    caption : str
        What it shows and how to read it.
    """

    name: str
    light: str
    dark: str
    caption: str


def report_html(analysis: Analysis, *, title: str | None = None) -> str:
    """
    Return a report of an analysis as one self-contained HTML page.

    The page needs no network, reads on a phone, on paper and in the dark, and
    the same analysis gives the same bytes.

    Parameters
    ----------
    analysis : Analysis
        A fit with what it implies, by any method; with or without budgets and draws.
    title : str, optional
        Heading; names the source of the runs by default.

    Returns
    -------
    str
        HTML. Every name that comes from the user's data is escaped.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> plan = lawful.plan_isoflop([1e18, 1e19, 1e20], surface=truth)
    >>> analysis = lawful.analyse(lawful.simulate(truth, plan), budgets=[1e22], draws=0)
    >>> page = report_html(analysis, title="A sweep & its law")
    >>> page[:15], "A sweep &amp; its law" in page
    ('<!doctype html>', True)
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("lawful.show", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    fit = analysis.fit
    page = environment.get_template("report.html.j2").render(
        title=title or f"Scaling law of {PurePath(fit.runs.source).name or fit.runs.source}",
        decision=decision_sentences(analysis),
        method=METHOD_TITLES[fit.method],
        status=fit.status.value if isinstance(fit, Fit) or fit.status is not Status.CONVERGED else "",
        data=data_facts(analysis),
        pictures=pictures_of(analysis),
        formula=FORMULAS.get(fit.surface.law.name) if isinstance(fit, Fit) else None,
        coefficients=coefficient_rows(analysis),
        allocations=[allocation_row(a) for a in analysis.allocations],
        bias=bias_sentences(analysis),
        level=format_level(analysis.level),
        has_draws=analysis.sure is not None,
        notes=[(note.message, NOTE_CODES[note.code], note.code) for note in analysis.notes],
        card=card_facts(analysis),
    )
    return page.rstrip() + "\n"


def data_facts(analysis: Analysis) -> list[Fact]:
    """Describe the runs: how many, over which range, from which columns."""
    runs = analysis.fit.runs
    count = runs.budgets.size
    low, high = float(runs.budgets.min()), float(runs.budgets.max())
    budgets = format_flops(low) if count == 1 else f"{count}, from {format_scientific(low)} to {format_flops(high)}"
    facts = [
        Fact("Source", runs.source),
        Fact("Runs", str(len(runs))),
        Fact("Budgets", budgets),
        Fact("Model sizes N", format_count_interval(float(runs.N.min()), float(runs.N.max())) + " parameters"),
        Fact("Tokens D", format_count_interval(float(runs.D.min()), float(runs.D.max()))),
        Fact("Loss", f"{format_value(float(runs.L.min()))} to {format_value(float(runs.L.max()))} nats per token"),
    ]
    if runs.columns:
        facts.append(Fact("Columns", ", ".join(f"{name} from {column!r}" for name, column in runs.columns.items())))
    if runs.selection:
        facts.append(Fact("Selection", ", ".join(f"{name} = {value}" for name, value in runs.selection.items())))
    if runs.labels:
        facts.append(Fact("Other columns", "; ".join(f"{n!r}: {_describe(v)}" for n, v in runs.labels.items())))
    return facts


def _describe(values: Any) -> str:
    """Name the values of a column where they are few, else count them."""
    different = list(dict.fromkeys(str(value) for value in values.tolist()))
    return ", ".join(different) if len(different) <= MOST_VALUES else f"{len(different)} different values"


def coefficient_rows(analysis: Analysis) -> list[tuple[str, str, str, str]]:
    """Return name, value, interval and meaning of every coefficient and exponent, rounded by the interval."""
    fit = analysis.fit
    values: dict[str, float] = dict(fit.surface.coefficients) if isinstance(fit, Fit) else {}
    values |= fit.frontier.to_dict()
    held = fit.fixed if isinstance(fit, Fit) else {}
    rows = []
    for name, value in values.items():
        low, high = analysis.interval(name)
        text, *ends = format_uncertain(float(value), low, high)
        interval = " to ".join(ends) if np.isfinite(low) and np.isfinite(high) else ""
        rows.append((name, text, "held fixed" if name in held else interval, MEANINGS.get(name, "")))
    return rows


def allocation_row(allocation: Allocation) -> dict[str, tuple[str, str]]:
    """Return what a budget buys as pairs of a value and the small print under it."""
    interval = allocation.interval or {}

    def ends(name: str) -> tuple[float, float] | None:
        pair = interval.get(name)
        return pair if pair is not None and all(np.isfinite(pair)) else None

    def counts(name: str, value: float) -> tuple[str, str]:
        pair = ends(name)
        return format_count(value), format_count_interval(*pair) if pair else ""

    loss, loss_ends = format_value(allocation.loss), ""
    pair = ends("loss")
    if pair and allocation.loss is not None:
        loss, low, high = format_uncertain(allocation.loss, *pair)
        loss_ends = f"{low} to {high}"
    lost = allocation.deadweight
    waste = (format_flops(lost.flops), f"{format_percent(lost.fraction)} of the budget") if lost else ("n/a", "")
    return {
        "Budget": (format_flops(allocation.budget), ""),
        "Parameters N*": counts("params", allocation.params),
        "Tokens D*": counts("tokens", allocation.tokens),
        "Tokens per parameter": (format_count(allocation.tokens_per_param), ""),
        "Expected loss": (loss, loss_ends),
        f"Deadweight of {METHOD_LABELS[lost.of]}" if lost else "Deadweight": waste,
    }


def card_facts(analysis: Analysis) -> list[Fact]:
    """Return what someone else needs to get the same numbers."""
    from lawful import __version__  # at module level this would be a circle

    fit, draws = analysis.fit, analysis.draws
    facts = [Fact("Method", f"{fit.method}, {METHOD_TITLES[fit.method]}")]
    if isinstance(fit, Fit):
        objective = fit.objective
        facts += [
            Fact("Law", FORMULAS.get(fit.surface.law.name, fit.surface.law.name)),
            Fact("Coefficients", _digits(fit.surface.coefficients)),
            Fact("Objective", f"{objective.name}, {format_scientific(fit.value, 7)} per run (weighted mean)"),
            Fact("Delta", "none" if objective.width is None else f"{objective.width:g}"),
            Fact("Residual sum of squares", format_scientific(fit.rss, 5)),
            Fact("Solver", repr(fit.solver)),
            Fact("Bounds", _bounds(fit)),
        ]
        if fit.fixed:
            facts.append(Fact("Held fixed", ", ".join(f"{name} = {value:g}" for name, value in fit.fixed.items())))
    facts += [Fact("Frontier", _digits(fit.frontier.to_dict())), Fact("Status", fit.status.key)]
    if draws is None:
        if analysis.sure is None:
            facts.append(Fact("Bootstrap", "none drawn"))
        else:
            facts.append(Fact("Intervals", f"{analysis.sure.kind}, {format_level(analysis.level)}"))
    else:
        failed = f", {draws.failed} of them failed" if draws.failed else ""
        facts += [
            Fact("Bootstrap", f"{len(draws)} draws, scheme {draws.scheme}{failed}"),
            Fact("Seed", str(draws.seed)),
            Fact("Intervals", f"percentile, {format_level(analysis.level)}"),
        ]
    cost = fit.surface.cost if isinstance(fit, Fit) else Cost()
    return [
        *facts,
        Fact("Data, SHA-256", fit.runs.sha256),
        Fact("Convention", f"{cost.convention}, N and D as counted, loss in nats per token"),
        Fact("Versions", f"lawful {__version__}, NumPy {np.__version__}"),
    ]


def _digits(values: Mapping[str, float]) -> str:
    """Write numbers with enough digits to compute with."""
    return ", ".join(f"{name} = {format_value(value, EXACT_DIGITS)}" for name, value in values.items())


def _bounds(fit: Fit) -> str:
    """Write the box that the coefficients were searched in."""
    box = {**fit.surface.law.bounds, **getattr(fit.solver, "bounds", {})}
    return ", ".join(
        f"{name} ≥ {low:g}" if np.isinf(high) else f"{name} in [{low:g}, {high:g}]" for name, (low, high) in box.items()
    )


def pictures_of(analysis: Analysis) -> list[Picture]:
    """Draw the figures of the page, each for light and for dark."""
    label = METHOD_LABELS[analysis.fit.method]
    parabolas = " Dashed: the parabolas of Approach 2, circles at their minima." if parabolas_of(analysis) else ""
    law = " Solid: the fitted law, diamonds at its optima." if isinstance(analysis.fit, Fit) else ""
    band = f" Band: {format_level(analysis.level)} interval." if analysis.sure is not None else ""
    targets = " Dotted: the budgets asked for." if analysis.allocations else ""
    ahead = f" Line: {label}.{band}{targets} Shaded: beyond all training budgets."

    def size(ax: Axes, palette: Palette) -> Axes:
        return plot_frontier(analysis, ax, quantity="params", palette=palette)

    def tokens(ax: Axes, palette: Palette) -> Axes:
        return plot_frontier(analysis, ax, quantity="tokens", palette=palette)

    wanted: list[tuple[str, Callable[[Axes, Palette], Axes], str]] = [
        (
            "isoflop",
            lambda ax, palette: plot_isoflop(analysis, ax, palette=palette),
            f"Loss against model size, one colour per training budget.{law}{parabolas}",
        ),
        ("params", size, f"Compute-optimal model size against compute.{ahead}"),
        ("tokens", tokens, f"Compute-optimal tokens against compute.{ahead}"),
    ]
    if predicts_loss(analysis):
        fitted = "law" if isinstance(analysis.fit, Fit) else "parabola of its budget"
        caption = (
            f"Observed loss less that of the {fitted}, by budget; within a budget from small to large models. "
            "A sound fit scatters evenly about zero; a smile or a drift says that its form is wrong."
        )
        wanted.insert(1, ("residuals", lambda ax, palette: plot_residuals(analysis, ax, palette=palette), caption))
    return [
        Picture(name, _svg(f"{name}-light", draw, LIGHT), _svg(f"{name}-dark", draw, DARK), caption)
        for name, draw, caption in wanted
    ]


def _svg(name: str, draw: Callable[[Axes, Palette], Axes], palette: Palette) -> str:
    """Return a figure as inline SVG whose identifiers are its own on the page."""
    with drawing():
        ax = new_axes(palette, FIGURE_SIZE)
    figure = figure_of(draw(ax, palette))
    file = StringIO()
    with drawing(salt=f"lawful-{name}"):
        figure.savefig(file, format="svg", facecolor="none", metadata={"Date": None})
    return inline_svg(file.getvalue(), name)


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
