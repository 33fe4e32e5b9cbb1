"""What a report draws: the tables that are saved beside it, and figures from them as static SVG in its colours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.analysis.evidence import Evidence
from lawful.approach2.bias import PARTS, Bias
from lawful.checks.check import Checked, row_numbers
from lawful.checks.rules import KEPT
from lawful.core.cost import Cost
from lawful.core.notes import Verdict
from lawful.core.numbers import format_flops, format_level, format_value
from lawful.core.typing import Columns
from lawful.data.columns import normalise
from lawful.data.runs import Runs
from lawful.decide.allocate import Allocation
from lawful.decide.indifference import Indifference
from lawful.show.figures.axes import POINTS_PER_INCH, drawing, figure_of, new_axes
from lawful.show.figures.dial_figure import plot_dial
from lawful.show.figures.figure_data import figure_tables, parabolas_of, tells_frontier
from lawful.show.figures.figures import plot_frontier, plot_isoflop, plot_residuals, predicts_loss
from lawful.show.figures.loss_figure import loss_tables, plot_loss
from lawful.show.figures.palette import DARK, LIGHT, METHOD_LABELS, Palette, screen_style
from lawful.show.figures.surface_figure import has_map, plot_surface, surface_table
from lawful.show.figures.valley_figure import plot_indifference, valley_table
from lawful.show.files.document import has_frontier, strict
from lawful.trust.dial import AsymptoteDial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_EMBEDDED = 4000
"""Rows of a table that a page carries; the saved table has all of them."""

DRAWN = ("isoflop_curves", "frontier_lines", "loss_lines", "surface_lines", "valley")
DRAWN_DIGITS = 8
"""Lines between which nothing was measured: a page carries them to eight digits, and the saved tables to all."""

RUN_NAMES = ("run", "name", "runname", "runid", "id", "label", "model", "modelname", "displayname")
"""Columns that name a run, in the order in which they are looked for."""

NOWHERE = (float("nan"), float("nan"))


def report_tables(evidence: Evidence) -> dict[str, Columns]:
    """
    Return every table that a report shows, as columns of equal length.

    Parameters
    ----------
    evidence : Evidence
        What the report rests on.

    Returns
    -------
    dict of str to table
        Those of :func:`~lawful.show.figures.figure_data.figure_tables`, the runs with what hovering over
        one says, and ``surface_lines``, ``methods``, ``method_targets``, ``coefficients``,
        ``allocations``, ``dial``, ``valley``, ``indifference``, ``bias`` and ``check``. What a fit does not
        have is absent.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.005)
    >>> from lawful.analysis.evidence import gather
    >>> tables = report_tables(gather(lawful.analyse(runs, budgets=[1e22])))
    >>> tables["methods"]["method"].tolist(), tables["allocations"]["budget"].tolist()
    (['vpnls', 'approach3', 'approach2', 'approach1'], [1e+22])
    """
    analysis = evidence.analysis
    tables = figure_tables(analysis)
    tables["isoflop_runs"] = _runs(evidence)
    tables |= _loss_tables(analysis)
    if has_map(analysis.fit):
        tables["surface_lines"] = surface_table(analysis)
    if tables["residuals"]["residual"].size:
        tables["residuals"] = _residuals(tables["residuals"])
    tables["methods"] = _methods(evidence)
    tables["method_targets"] = _method_targets(evidence)
    tables["coefficients"] = coefficient_table(analysis)
    tables["allocations"] = allocation_table(analysis.allocations)
    if isinstance(evidence.dial, AsymptoteDial):
        tables["dial"] = {"budget": np.full(evidence.dial.table["E"].size, evidence.dial.budget), **evidence.dial.table}
    if isinstance(evidence.region, Indifference) and analysis.fit.surface is not None:
        tables["valley"] = valley_table(analysis.fit, evidence.region)
        tables["indifference"] = _region(evidence.region, analysis)
    if isinstance(evidence.bias, Bias):
        tables["bias"] = _bias(evidence.bias, evidence)
    if isinstance(evidence.checked, Checked):
        counts = evidence.checked.counts
        tables["check"] = {"rule": np.array(list(counts)), "runs": np.array(list(counts.values()))}
    return {name: table for name, table in tables.items() if len(next(iter(table.values())))}


def run_label(runs: Runs) -> tuple[str, list[str]] | None:
    """
    Return the column that names the runs and its values; None where no column does.

    Examples
    --------
    >>> runs = Runs.from_arrays([1e8, 2e8], [2e9, 1e9], [3.1, 3.2], labels={"Run ID": np.array(["a", "b"])})
    >>> run_label(runs)
    ('Run ID', ['a', 'b'])
    """
    known = {normalise(name).replace("_", ""): name for name in reversed(list(runs.labels))}
    for wanted in RUN_NAMES:
        if wanted in known:
            name = known[wanted]
            return name, [str(value) for value in runs.labels[name].tolist()]
    return None


def _runs(evidence: Evidence) -> Columns:
    analysis = evidence.analysis
    runs = analysis.fit.runs
    table = dict(figure_tables(analysis)["isoflop_runs"])
    table["tokens_per_param"] = runs.D / runs.N
    table["row"] = row_numbers(runs)
    if analysis.fit.surface is not None:
        table["residual"] = analysis.fit.residuals
    if isinstance(evidence.checked, Checked):
        reason = evidence.checked.reason_of(runs)
        table["check"] = np.array(["" if code == KEPT else code for code in reason.tolist()])
    named = run_label(runs)
    if named is not None:
        table["label"] = np.array(named[1])
    return table


def _residuals(table: Columns) -> Columns:
    """Give every residual its place: the column of its budget, and within it from small to large models."""
    place = np.empty(table["budget"].size)
    for column, budget in enumerate(np.unique(table["budget"])):
        here = np.flatnonzero(table["budget"] == budget)
        rank = np.argsort(np.argsort(table["params"][here], kind="stable"))
        place[here] = column + 0.7 * ((rank + 0.5) / here.size - 0.5)
    return {**table, "place": place}


def _ends(name: str, pairs: Iterable[tuple[float, float]]) -> dict[str, Any]:
    low, high = np.array([*pairs], float).reshape(-1, 2).T
    return {f"{name}_low": low, f"{name}_high": high}


def _found(evidence: Evidence) -> list[Analysis]:
    return [outcome for outcome in evidence.outcomes if isinstance(outcome, Analysis)]


def _methods(evidence: Evidence) -> Columns:
    """Return the exponents of every method with their intervals; for one that could not be fitted, why."""
    table: dict[str, Any] = {"method": np.array([outcome.method for outcome in evidence.outcomes])}
    for name in ("a", "b"):
        fits = [o if isinstance(o, Analysis) else None for o in evidence.outcomes]
        table[name] = np.array([np.nan if a is None else getattr(a.fit.frontier, name) for a in fits])
        table |= _ends(name, (a.interval(name) if a is not None and has_frontier(a.fit) else NOWHERE for a in fits))
    table["verdict"] = np.array([o.verdict.value if isinstance(o, Analysis) else "" for o in evidence.outcomes])
    table["reason"] = np.array(["" if isinstance(o, Analysis) else o.note.message for o in evidence.outcomes])
    return table


def _method_targets(evidence: Evidence) -> Columns:
    found = _found(evidence)
    rows = [(a.method, allocation) for a in found for allocation in a.allocations]
    table = allocation_table([allocation for _, allocation in rows])
    return {"method": np.array([method for method, _ in rows]), **table}


def coefficient_table(analysis: Analysis) -> Columns:
    """Return every coefficient and exponent with the ends of its interval."""
    fit = analysis.fit
    values: dict[str, float] = dict(fit.coefficients)
    values |= fit.frontier.to_dict() if has_frontier(fit) else {}
    held = fit.fixed
    return {
        "name": np.array(list(values)),
        "value": np.array(list(values.values()), float),
        **_ends("value", map(analysis.interval, values)),
        "held": np.array([float(name in held) for name in values]),
    }


def allocation_table(allocations: Sequence[Allocation]) -> Columns:
    """Return allocations as columns: the optimum per budget, its intervals, and what Approach 2 would waste."""
    lost = [a.deadweight for a in allocations]
    table: dict[str, Any] = {"budget": np.array([a.budget for a in allocations], float)}
    for name in ("params", "tokens", "loss"):
        values = [getattr(a, name) for a in allocations]
        table[name] = np.array([np.nan if value is None else value for value in values], float)
        table |= _ends(name, ((a.interval or {}).get(name) or NOWHERE for a in allocations))
    table["tokens_per_param"] = np.array([a.tokens_per_param for a in allocations], float)
    table["deadweight"] = np.array([np.nan if d is None else d.flops for d in lost], float)
    table |= _ends("deadweight", ((d.interval if d else None) or NOWHERE for d in lost))
    table["deadweight_fraction"] = np.array([np.nan if d is None else d.fraction for d in lost], float)
    table["deadweight_doubt"] = np.array(["" if d is None else d.as_good for d in lost], str)
    return table


def _region(region: Indifference, analysis: Analysis) -> Columns:
    """Return the region in one row, with the choice of Approach 2 on the same surface beside the optimum."""
    fit, isoflop = analysis.fit, analysis.isoflop
    other = np.nan if isoflop is None else float(isoflop.frontier.params(region.budget))
    there = (
        fit.surface.at_params(region.budget, other).loss if fit.surface is not None and np.isfinite(other) else np.nan
    )
    values = {
        "budget": region.budget,
        "epsilon": region.epsilon,
        "params_low": region.params[0],
        "params_high": region.params[1],
        "tokens_low": region.tokens[0],
        "tokens_high": region.tokens[1],
        "params": region.best[0],
        "tokens": region.best[1],
        "loss": region.best[2],
        "approach2_params": other,
        "approach2_loss": float(there),
    }
    return {name: np.array([value]) for name, value in values.items()}


def _bias(found: Bias, evidence: Evidence) -> Columns:
    """Return what Approach 2 must get wrong at each target, by cause, and the compute that costs."""
    targets = np.array([a.budget for a in evidence.analysis.allocations] or [evidence.target])
    table: dict[str, Any] = {"budget": targets}
    for quantity in ("params", "tokens"):
        lines = found.lines(quantity)
        for part in (None, *PARTS):
            name = f"{quantity}_{part or 'error'}"
            table[name] = np.array([10.0 ** lines.at(float(c), part) - 1 for c in targets])
    tokens = np.asarray(found.surface.optimum(targets).tokens) * (1 + table["tokens_error"])
    lost = np.array([float(found.surface.deadweight(c, d)) for c, d in zip(targets, tokens, strict=True)])
    return {**table, "deadweight": lost, "deadweight_fraction": lost / targets, "dollars": Cost().dollars(lost)}


def embedded_tables(tables: Mapping[str, Columns]) -> dict[str, Any]:
    """
    Return tables as a page carries them: columns as lists, long ones thinned evenly.

    Examples
    --------
    >>> embedded_tables({"runs": {"loss": np.array([2.5, np.nan])}})
    {'runs': {'columns': {'loss': [2.5, None]}, 'rows': 2}}
    """
    found = {}
    for name, table in tables.items():
        rows = len(next(iter(table.values())))
        keep = slice(None) if rows <= MOST_EMBEDDED else np.linspace(0, rows - 1, MOST_EMBEDDED).round().astype(int)
        columns = {}
        for key, column in table.items():
            # A budget is a name as well: by it a line finds its colour and its runs.
            digits = DRAWN_DIGITS if name in DRAWN and key != "budget" else None
            columns[key] = _told_once(strict(_to_digits(np.asarray(column)[keep], digits)))
        found[name] = {"columns": columns, "rows": rows}
    return found


def _told_once(values: list[Any]) -> list[Any] | dict[str, list[Any]]:
    """Return a column of long runs of equal values as these and how often each stands; the page writes them out."""
    groups = [(value, sum(1 for _ in some)) for value, some in groupby(values)]
    if 4 * len(groups) > len(values):
        return values
    return {"values": [value for value, _ in groups], "times": [times for _, times in groups]}


def _to_digits(column: Any, digits: int | None) -> Any:
    """Round floats to significant digits; what is no float, or has no digits asked for, stays."""
    if digits is None or column.dtype.kind != "f":
        return column
    return np.array([float(f"{value:.{digits}g}") for value in column.tolist()])


FIGURE_SIZE = (4.8, 3.4)
"""Inches; one column of the printed page, and legible at the width of a phone."""
LOW_SIZE = (4.8, 2.9)
"""Of the figures that go over both columns of the screen: a report on paper is four pages."""


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
    parabolas = " Dashed: the parabolas of Approach 2, circles at their minima." if parabolas_of(analysis) else ""
    optima = "" if analysis.verdict is Verdict.NOT_IDENTIFIED or not has_frontier(fit) else ", diamonds at its optima"
    law = f" Solid: the fitted law{optima}." if fit.surface is not None else ""
    loops = ("isoflop_runs", "isoflop_curves", "isoflop_optima")
    curves = bool((fit.runs.sizes_per_budget >= 3).any())
    found = [
        _picture(
            "isoflop",
            "IsoFLOP curves" if curves else "The runs and the law",
            lambda ax: plot_isoflop(analysis, ax),
            f"Loss against model size, one colour per training budget.{law}{parabolas}",
            loops,
            LOW_SIZE,
        ),
        *_frontiers(evidence),
    ]
    if predicts_loss(analysis):
        fitted = "law" if fit.surface is not None else "parabola of its budget"
        caption = (
            f"Observed loss less that of the {fitted}, by budget; within a budget from small to large models. "
            "A sound fit scatters evenly about zero; a smile or a drift says that its form is wrong."
        )
        drawn = ("residuals", "residual_medians")
        found.append(
            _picture("residuals", "Residuals", lambda ax: plot_residuals(analysis, ax), caption, drawn, LOW_SIZE)
        )
    if has_map(fit):
        caption = (
            "Lines of equal loss over model size and tokens; straight lines: equal compute. Runs are red where their "
            "loss lies above the law and blue where it lies below."
        )
        mapped = ("surface_lines", "isoflop_runs", *FRONTIER_TABLES)
        found.append(
            _picture("surface", "The law as a map", partial(plot_surface, analysis), caption, mapped, LOW_SIZE)
        )
    found += _losses(analysis) + _dial(evidence) + _valley(evidence)
    light, _ = budget_colours(analysis)
    names = {colour: f"budget-{i}" for i, colour in enumerate(light)}
    return {picture.name: replace(picture, svg=in_page_colours(picture.svg, names)) for picture in found}


FRONTIER_TABLES = ("frontier_targets", "frontier_lines", "frontier_points")


def _frontiers(evidence: Evidence) -> list[Picture]:
    """N* and D* against compute, where the runs tell them by some method."""
    analysis = evidence.analysis
    if not tells_frontier(analysis):
        return []
    band = f" Band: {format_level(analysis.level)} interval." if analysis.sure is not None else ""
    line = f" Line: {METHOD_LABELS[analysis.method]}.{band}"
    if analysis.withholds(evidence.target):
        line = " Approach 2 alone: the fit tells no optimum."
    targets = " Dotted: the budgets asked for." if analysis.allocations else ""

    def drawn(name: Literal["params", "tokens"], title: str) -> Picture:
        caption = f"{title} against compute.{line}{targets} Shaded: beyond all training budgets."
        return _picture(name, title, lambda ax: plot_frontier(analysis, ax, quantity=name), caption, FRONTIER_TABLES)

    return [drawn("params", "Compute-optimal model size"), drawn("tokens", "Compute-optimal tokens")]


def _losses(analysis: Analysis) -> list[Picture]:
    """Loss against compute, where the fit has an optimum that the runs tell."""
    made = _loss_tables(analysis)
    if not made:
        return []
    held = " Hollow runs, the quarter with most compute, were held out of the dashed line." if _any_held(made) else ""
    shift = " The average's L* stands a little to the right." if "auto" in made["loss_targets"]["source"] else ""
    caption = f"Loss against compute, with the best loss that each budget can reach.{held}{shift}"
    draw = partial(plot_loss, analysis, tables=made)
    return [_picture("losses", "Loss against compute", draw, caption, tuple(made), LOW_SIZE)]


def _any_held(made: Mapping[str, Columns]) -> bool:
    return bool(np.any(made["loss_runs"]["held"]))


def _loss_tables(analysis: Analysis) -> dict[str, Columns]:
    fit = analysis.fit
    if fit.surface is None or not has_frontier(fit) or analysis.verdict is Verdict.NOT_IDENTIFIED:
        return {}
    made = loss_tables(analysis)
    return made if np.isfinite(made["loss_lines"]["loss"]).any() else {}


def shares_error(analysis: Analysis) -> bool:
    """Whether the fit's own intervals allow for an error that runs share, as those of the dial do not."""
    return any(note.code == "shared_error" for note in analysis.notes)


def _dial(evidence: Evidence) -> list[Picture]:
    dial = evidence.dial
    if isinstance(dial, str):
        return []
    whose = " that independent runs would give it" if shares_error(evidence.analysis) else " of E"
    caption = (
        f"The forecast at {format_flops(dial.budget)} with E held at each value and everything else refitted. "
        f"Shaded and bold: the {format_level(dial.profile.level)} interval{whose}; diamond: the fit."
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

    with screen_style(), drawing():
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

    Half of what matplotlib writes shows nowhere and goes: the family of every text, which the page chooses, turns
    by no angle, indents, and places finer than a hundredth of a point.

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
    rest = re.sub(r"\s*font-family: [^;\"]*;| transform=\"rotate\(-?0 [^\"]*\"", "", rest)
    rest = re.sub(r"\n\s*", "\n", rest)
    # Points after a move or a line are lines themselves.
    rest = re.sub(r"(?<=[ML] )[-\d. ]+(?:\nL [-\d. ]+)+", lambda line: line[0].replace("\nL ", ""), rest)
    rest = re.sub(r' (?:d|x|y|points)="[^"]*"', lambda places: re.sub(r"(\.\d\d)\d+", r"\1", places[0]), rest)
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
