"""What a report says: facts about the data, its tables, sentences on dial and valley, and what reproducing it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.analysis.compare import Unavailable
from lawful.analysis.evidence import Evidence
from lawful.approach2.bias import Bias, relative
from lawful.checks.check import EVERY, Checked, flags_text
from lawful.core.cost import Cost
from lawful.core.notes import NOTE_CODES, Verdict
from lawful.core.numbers import (
    format_count_interval,
    format_flops,
    format_level,
    format_percent,
    format_scientific,
    format_short,
    format_uncertain,
    format_value,
)
from lawful.core.sheet import Cell, Sheet, row
from lawful.decide.allocate import allocation_cells
from lawful.decide.indifference import Indifference
from lawful.estimate.result import METHOD_TITLES, Fit, estimate_rows, estimates
from lawful.forecasting.averaged import outlook_cells, records_sheet
from lawful.show.figures.palette import METHOD_LABELS
from lawful.show.report.saved import flagged_sentence
from lawful.trust.dial import AsymptoteDial

if TYPE_CHECKING:
    from lawful.decide.allocate import Allocation

MOST_VALUES = 4
"""A column with more different values than this is described by their number."""

AS_GOOD_WORDS = "as good as can be told"
"""Stands in the place of a waste that accuses nobody, as the decision has it."""

MOOT = (Verdict.LAW_REFUSED, Verdict.NOT_IDENTIFIED)
"""Verdicts that throw doubt on exponents as well: of a fit that goes far only the answer at the target is in doubt."""

LONGEST_VALUES = 120
"""Names of a column's values with more characters than this in all are counted instead."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a list: a name and its value in words."""

    name: str
    value: str


def data_facts(analysis: Analysis) -> list[Fact]:
    """Describe the runs: how many, over which range, from which columns."""
    runs = analysis.fit.runs
    count = runs.budgets.size
    low, high = float(runs.budgets.min()), float(runs.budgets.max())
    budgets = format_flops(low) if count == 1 else f"{count}, from {format_scientific(low)} to {format_flops(high)}"
    facts = [
        Fact("Source", PurePath(runs.source).name or runs.source),
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
    few = len(different) <= MOST_VALUES and sum(map(len, different)) <= LONGEST_VALUES
    return ", ".join(different) if few else f"{len(different)} different values"


def coefficient_sheet(analysis: Analysis) -> Sheet:
    """Return every coefficient and exponent with its meaning and its interval."""
    fit, sure = analysis.fit, analysis.sure
    title = "Coefficients of the fit" + (f", with {format_level(analysis.level)} intervals" if sure else "")
    return Sheet(title, (), ("Name", "Value"), estimate_rows(fit, None if sure is None else sure.of))


BOUGHT = {
    "params": "Parameters N*",
    "tokens": "Tokens D*",
    "tokens_per_param": "Tokens per parameter",
    "loss": "Expected loss",
}


def bought_sheet(allocations: Sequence[Allocation]) -> Sheet:
    """Return what each budget buys."""
    rows = []
    whose = ""
    for one in allocations:
        cells = allocation_cells(one)
        if one.deadweight is not None:
            whose = f" of {METHOD_LABELS[one.deadweight.of]}"
        bought = (cells.get(name, Cell(None)) for name in BOUGHT)
        rows.append((Cell(one.budget, "flops"), *bought, waste_cell(one)))
    heads = ("Budget, FLOPs", *BOUGHT.values(), f"Deadweight{whose}, FLOPs")
    return Sheet("Compute-optimal choices of this fit", (), heads, tuple(rows))


def waste_cell(one: Allocation) -> Cell:
    """
    Return what the usual method's choice wastes; where that accuses nobody, as the decision says, why it does not.

    Examples
    --------
    >>> from lawful.decide.deadweight import Deadweight
    >>> lost = Deadweight(1e22, "approach2", "vpnls", 5e9, 3.3e11, 5.5e9, 3e11, 2e19, as_good="the runs refuse the law")
    >>> one = replace(lawful.Surface.named("hoffmann").allocate(1e22), deadweight=lost)
    >>> waste_cell(one).text, waste_cell(replace(one, deadweight=replace(lost, as_good=""))).text
    ('as good as can be told', '2e19')
    """
    lost = one.deadweight
    if lost is None:
        return Cell(None)
    if lost.as_good:
        return Cell(AS_GOOD_WORDS, "text", small=lost.as_good)
    cells = allocation_cells(one)
    return replace(cells["deadweight"], small=f"{cells['fraction'].text} of the budget")


def check_facts(evidence: Evidence, flagged_before: Mapping[str, Any] | None = None) -> list[Fact]:
    """
    Say what the rules of check flagged, and whether the flagged runs were fitted.

    Parameters
    ----------
    evidence : Evidence
        What the report rests on.
    flagged_before : mapping of str to Any, optional
        What a check left out before the fit, as the document of a saved fit has it.
    """
    checked = evidence.checked
    if flagged_before is not None:
        return [Fact("Check", flagged_sentence(flagged_before))]
    # A group of fit --by --check: its runs remember what was left out.
    left = [note.message for note in evidence.analysis.fit.runs.notes if note.code == "check_flagged"]
    if left and not evidence.applied:
        return [Fact("Check", " ".join(left))]
    if not isinstance(checked, Checked):
        return [Fact("Check", checked)]
    flagged = {code: count for code, count in checked.counts.items() if count}
    total, rows = sum(flagged.values()), len(checked)
    if not flagged:
        return [Fact("Check", f"none of {rows} runs is flagged")]
    said = f"{total} of {rows} runs flagged: {flags_text(flagged)}"
    fate = (
        "left out of this fit" if evidence.applied else "fitted all the same; a fit of the checked runs leaves them out"
    )
    rules = " ".join(f"{code}: {EVERY[code]}" for code in flagged)
    return [Fact("Check", f"{said}; {fate}"), Fact("What that means", rules)]


def method_sheet(evidence: Evidence) -> Sheet:
    """Return a row per method: exponents with their intervals and how the fit ended, or why there is none."""
    rows = []
    for outcome in evidence.outcomes:
        name = METHOD_TITLES[outcome.method]
        if isinstance(outcome, Unavailable):
            rows.append(row(name, None, None, Cell("not fitted", "text", small=outcome.note.message)))
            continue
        fit, sure = outcome.fit, outcome.sure
        cells = estimates(fit, None if sure is None else sure.of)
        own = "this report's fit" if outcome is evidence.analysis else ""
        how = str(fit.objective) if fit.objective is not None else ""
        kind = "" if sure is None else f"intervals: {sure.kind}"
        first = Cell(name, "text", small=", ".join(part for part in (own, how) if part))
        doubt = outcome.verdict.value if outcome.verdict in MOOT else ""
        ended = Cell(fit.status.key.replace("_", " "), "text", small=", ".join(part for part in (doubt, kind) if part))
        rows.append((first, *(cells.get(name, Cell(None)) for name in ("a", "b")), ended))
    level = format_level(evidence.analysis.level)
    said = f", with {level} intervals under them" if evidence.analysis.sure else ""
    return Sheet(f"Exponents by method: N* grows as C^a, D* as C^b{said}", (), ("Method", "a", "b", "Fit"), tuple(rows))


def target_sheets(evidence: Evidence) -> list[Sheet]:
    """Return per target a row per method: what each would train, and what that wastes."""
    sheets = []
    for i, asked in enumerate(evidence.analysis.allocations):
        rows, pricing = [], dict[str, None]()
        average = evidence.analysis.average
        if average is not None:
            rows.append((Cell("Average of laws", "text"), *outlook_cells(average.outlooks[i]).values(), Cell(None)))
        for outcome in evidence.outcomes:
            if isinstance(outcome, Unavailable):
                continue
            one = outcome.allocations[i]
            cells, wasted = allocation_cells(one), Cell(None)
            if one.deadweight is not None and one.deadweight.of == outcome.method:
                wasted = waste_cell(one)
                if not one.deadweight.as_good:
                    pricing[METHOD_LABELS[one.deadweight.on]] = None
            bought = (cells.get(name, Cell(None)) for name in ("params", "tokens", "loss"))
            rows.append((Cell(METHOD_LABELS[outcome.method], "text"), *bought, wasted))
        at = format_flops(asked.budget)
        priced = f"; waste priced on the {' and the '.join(pricing)} surface" if pricing else ""
        title = f"What each method would train at {at}{priced}"
        heads = ("Method", "Parameters N*", "Tokens D*", "Expected loss", "Wasted by it, FLOPs")
        sheets.append(Sheet(title, (), heads, tuple(rows)))
    return sheets


def record_sheet(evidence: Evidence) -> Sheet | None:
    """Return the held-out records under the names that the page's other tables use, and what their sign means."""
    if not evidence.records:
        return None
    sheet = records_sheet(evidence.records)
    rows = tuple((Cell(METHOD_LABELS.get(one[0].text, "Average of laws"), "text"), *one[1:]) for one in sheet.rows)
    title = f"{sheet.title} Signed: above zero where the forecast was too high."
    return replace(sheet, title=title, columns=("Method", *sheet.columns[1:]), rows=rows)


def dial_sentence(dial: AsymptoteDial, *, shared: bool = False) -> str:
    """
    Say how far the forecast hangs on E.

    With ``shared`` the fit's own intervals allow for an error that runs share; the dial's takes them as independent.
    """
    whose = (
        f"the {format_level(dial.profile.level)} interval that independent runs would give it"
        if shared
        else (f"its {format_level(dial.profile.level)} interval")
    )
    low, high = dial.profile.interval
    inside = dial.table["support"] > 0
    ends = {name: (column[inside].min(), column[inside].max()) for name, column in dial.table.items()}
    e = format_uncertain(dial.estimate, low, high)
    return (
        f"With E anywhere in {whose}, {e[1]} to {e[2]} nats per token, N* at "
        f"{format_flops(dial.budget)} runs from {format_count_interval(*ends['params'])} parameters, D* from "
        f"{format_count_interval(*ends['tokens'])} tokens and the expected loss from "
        f"{format_value(ends['loss'][0])} to {format_value(ends['loss'][1])} nats per token."
    )


def valley_sentence(region: Indifference) -> str:
    """Say how flat the valley is."""
    why = "the noise of one run" if region.source == "noise" else "as given"
    return (
        f"At {format_flops(region.budget)} every model from {format_count_interval(*region.params)} parameters, a "
        f"factor of {format_value(region.factor, 3)}, is within {format_value(region.epsilon, 2)} nats per token of "
        f"the optimum ({why}): a single run could not tell them apart. Its tokens run from "
        f"{format_count_interval(*region.tokens)}."
    )


def bias_sheet(evidence: Evidence) -> Sheet | None:
    """Return per target what Approach 2 must get wrong without any noise, by cause, and what that costs."""
    found = evidence.bias
    if not isinstance(found, Bias):
        return None
    budgets = [a.budget for a in evidence.analysis.allocations] or [evidence.target]
    n, d = found.lines("params"), found.lines("tokens")
    rows = []
    for budget in budgets:
        best = found.surface.optimum(budget)
        lost = float(found.surface.deadweight(budget, float(best.tokens) * 10.0 ** d.at(budget)))
        dollars = Cell(float(Cost().dollars(lost)), "dollars").text
        causes = (relative(d.at(budget, cause)) for cause in found.causes)
        waste = Cell(lost, "flops", small=f"{format_percent(lost / budget)}, {dollars}")
        rows.append((Cell(budget, "flops"), relative(n.at(budget)), relative(d.at(budget)), *causes, waste))
    causes_of = (f"of D*: {cause}" for cause in found.causes)
    heads = ("Budget, FLOPs", "Error of N*", "Error of D*", *causes_of, "Compute it wastes, FLOPs")
    return Sheet("Systematic error of Approach 2 on this grid, by cause", (), heads, tuple(rows))


EXACT_DIGITS = 9
"""Significant digits of the numbers that others compute with."""


def card_facts(analysis: Analysis) -> list[Fact]:
    """Return what someone else needs to get the same numbers."""
    from lawful import __version__  # at module level this would be a circle

    fit, draws = analysis.fit, analysis.draws
    facts = [Fact("Method", f"{fit.method}, {METHOD_TITLES[fit.method]}")]
    if fit.surface is not None:
        objective, solver = fit.objective, type(fit.solver).__name__
        facts += [
            Fact("Law", fit.surface.law.formula),
            Fact("Coefficients", _digits(fit.surface.coefficients)),
            Fact("Objective", f"{objective.name}, {format_scientific(fit.value, 7)} per run (weighted mean)"),
            Fact("Delta", "none" if objective.width is None else f"{format_short(objective.width)}"),
            Fact("Residual sum of squares", format_scientific(fit.rss, 5)),
            Fact(
                "Solver",
                f"{solver}, up to {fit.solver.max_iter} iterations, tolerance {format_short(fit.solver.tolerance)}",
            ),
            Fact("Starts", _starts(fit)),
            Fact("Bounds", _bounds(fit)),
        ]
        if fit.fixed:
            facts.append(
                Fact("Held fixed", ", ".join(f"{name} = {format_short(value)}" for name, value in fit.fixed.items()))
            )
        if fit.prior:
            facts.append(Fact("Prior", ", ".join(f"{name} = {prior.text}" for name, prior in fit.prior.items())))
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
    cost = fit.cost
    return [
        *facts,
        Fact("Data, SHA-256", fit.runs.sha256),
        Fact("Convention", f"{cost.convention}, N and D as counted, loss in nats per token"),
        Fact("Versions", f"lawful {__version__}, NumPy {np.__version__}, SciPy {version('scipy')}"),
    ]


def _digits(values: Mapping[str, float]) -> str:
    """Write numbers with enough digits to compute with."""
    return ", ".join(f"{name} = {format_value(value, EXACT_DIGITS)}" for name, value in values.items())


def _starts(fit: Fit) -> str:
    """Say from where the search began."""
    return f"up to {fit.solver.starts} local minima of a grid of exponents, the best coefficients at each"


def _bounds(fit: Fit) -> str:
    """Write the box that the coefficients were searched in."""
    box = {**fit.surface.law.bounds, **getattr(fit.solver, "bounds", {})}
    return ", ".join(
        f"{name} ≥ {format_short(low)}" if np.isinf(high) else f"{name} in [{format_short(low)}, {format_short(high)}]"
        for name, (low, high) in box.items()
    )


NOT_STATED = "not stated"

UNSTATED = (
    "Architecture and shapes",
    "Parameters counted (embeddings?)",
    "Training data and tokenizer",
    "Epochs",
    "Optimizer and schedule",
    "Batch size and learning rate, and how tuned",
    "Loss: training or held out, smoothing",
)
"""What the survey of Li et al. (2025) asks of a paper and no table of runs can tell: authors fill it in."""


def unstated_facts() -> list[Fact]:
    """Return the questions about training that only the authors can answer."""
    return [Fact(name, NOT_STATED) for name in UNSTATED]


def card_text(title: str, facts: Sequence[Fact]) -> str:
    """
    Return a card as plain text, one line per fact, as the copy button copies it.

    Examples
    --------
    >>> print(card_text("A sweep", [Fact("Law", "chinchilla")]), end="")
    A sweep
    Law: chinchilla
    """
    return "".join(f"{line}\n" for line in (title, *(f"{fact.name}: {fact.value}" for fact in facts)))


def bibtex() -> str:
    """
    Return the references of a report as BibTeX: this software, the law, and the bias of Approach 2.

    Examples
    --------
    >>> [line.split("{")[1] for line in bibtex().splitlines() if line.startswith("@")]
    ['lawful,', 'hoffmann2022training,', 'czech2026problems,', 'li2025misfitting,']
    """
    from lawful import __version__  # at module level this would be a circle

    return (
        "@software{lawful,\n"
        "  title = {lawful: fit neural scaling laws carefully},\n"
        f"  version = {{{__version__}}},\n"
        "  year = {2026}\n"
        "}\n"
        "@article{hoffmann2022training,\n"
        "  title = {Training Compute-Optimal Large Language Models},\n"
        "  author = {Hoffmann, Jordan and Borgeaud, Sebastian and Mensch, Arthur and others},\n"
        "  journal = {arXiv preprint arXiv:2203.15556},\n"
        "  year = {2022}\n"
        "}\n"
        "@article{czech2026problems,\n"
        "  title = {Problems with {Chinchilla} Approach 2: Systematic Biases in {IsoFLOP} Parabola Fits},\n"
        "  author = {Czech, Eric and Xu, Zhiwei and Elmatad, Yael and Wang, Yixin and Held, William},\n"
        "  journal = {arXiv preprint arXiv:2603.22339},\n"
        "  year = {2026}\n"
        "}\n"
        "@inproceedings{li2025misfitting,\n"
        "  title = {(Mis)Fitting: A Survey of Scaling Laws},\n"
        "  author = {Li, Margaret and Kudugunta, Sneha and Zettlemoyer, Luke},\n"
        "  booktitle = {International Conference on Learning Representations},\n"
        "  note = {arXiv:2502.18969},\n"
        "  year = {2025}\n"
        "}\n"
    )


def note_rows(analysis: Analysis) -> list[tuple[str, str, str]]:
    """Return message, general meaning and code of every note."""
    return [(note.message, NOTE_CODES[note.code], note.code) for note in analysis.notes]
