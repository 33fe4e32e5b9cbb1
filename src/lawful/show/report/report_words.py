"""A report in words: facts about the data, rows of its tables, and sentences on dial and valley."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.analysis.compare import Unavailable
from lawful.analysis.evidence import Evidence
from lawful.approach2.bias import Bias
from lawful.checks.check import Checked, flags_text
from lawful.checks.rules import SENTENCES
from lawful.core.numbers import (
    format_count,
    format_count_interval,
    format_flops,
    format_level,
    format_percent,
    format_scientific,
    format_uncertain,
    format_value,
)
from lawful.decide.indifference import Indifference
from lawful.estimate.result import METHOD_TITLES, meanings_of
from lawful.show.figures.palette import METHOD_LABELS
from lawful.show.files.document import has_frontier
from lawful.show.report.saved import flagged_sentence
from lawful.uncertainty.dial import AsymptoteDial

if TYPE_CHECKING:
    from lawful.decide.allocate import Allocation

MOST_VALUES = 4
"""A column with more different values than this is described by their number."""

LONGEST_VALUES = 120
"""Names of a column's values with more characters than this in all are counted instead."""

Cell = tuple[str, str]
"""A value, and the small print under it."""


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
    few = len(different) <= MOST_VALUES and sum(map(len, different)) <= LONGEST_VALUES
    return ", ".join(different) if few else f"{len(different)} different values"


def coefficient_rows(analysis: Analysis) -> list[tuple[str, str, str, str]]:
    """Return name, value, interval and meaning of every coefficient and exponent, rounded by the interval."""
    fit = analysis.fit
    values: dict[str, float] = dict(fit.coefficients)
    values |= fit.frontier.to_dict() if has_frontier(fit) else {}
    held = fit.fixed
    rows = []
    meanings = meanings_of(fit)
    for name, value in values.items():
        low, high = analysis.interval(name)
        text, *ends = format_uncertain(float(value), low, high)
        interval = " to ".join(ends) if np.isfinite(low) and np.isfinite(high) else ""
        rows.append((name, text, "held fixed" if name in held else interval, meanings.get(name, "")))
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
    rules = " ".join(f"{code}: {SENTENCES[code]}" for code in flagged)
    return [Fact("Check", f"{said}; {fate}"), Fact("What that means", rules)]


def pair_text(value: float | None, ends: tuple[float, float] | None = None) -> Cell:
    """Return a value rounded by its interval, and the interval."""
    if value is None or not np.isfinite(value):
        return "n/a", ""
    if ends is None or not np.all(np.isfinite(ends)):
        return format_value(value), ""
    text, low, high = format_uncertain(value, *ends)
    return text, f"{low} to {high}"


def method_rows(evidence: Evidence) -> list[dict[str, Cell]]:
    """Return a row per method: exponents with their intervals and how the fit ended, or why there is none."""
    rows = []
    for outcome in evidence.outcomes:
        name = METHOD_TITLES[outcome.method]
        if isinstance(outcome, Unavailable):
            reason = outcome.note.message
            rows.append({"Method": (name, ""), "a": ("n/a", ""), "b": ("n/a", ""), "Fit": ("not fitted", reason)})
            continue
        fit = outcome.fit
        pairs = {n: pair_text(getattr(fit.frontier, n), outcome.interval(n)) for n in ("a", "b")}
        kind = outcome.sure.kind if outcome.sure is not None else ""
        own = "this report's fit" if outcome is evidence.analysis else ""
        how = str(fit.objective or "")
        rows.append(
            {
                "Method": (name, ", ".join(part for part in (own, how) if part)),
                **pairs,
                "Fit": (fit.status.key.replace("_", " "), f"intervals: {kind}" if kind else ""),
            }
        )
    return rows


def target_rows(evidence: Evidence) -> dict[str, list[dict[str, Cell]]]:
    """Return per target a row per method: what each would train, and what that wastes."""
    tables: dict[str, list[dict[str, Cell]]] = {}
    for i, asked in enumerate(evidence.analysis.allocations):
        rows = []
        for outcome in evidence.outcomes:
            if isinstance(outcome, Unavailable):
                continue
            row = allocation_row(outcome.allocations[i])
            lost = outcome.allocations[i].deadweight
            own = lost is not None and lost.of == outcome.method
            rows.append(
                {
                    "Method": (METHOD_LABELS[outcome.method], ""),
                    **{name: row[name] for name in ("Parameters N*", "Tokens D*", "Expected loss")},
                    "Wasted by it": (format_percent(lost.fraction), format_flops(lost.flops))
                    if lost and own
                    else ("–", ""),
                }
            )
        tables[format_flops(asked.budget)] = rows
    return tables


def dial_sentence(dial: AsymptoteDial) -> str:
    """Say how far the forecast hangs on E."""
    low, high = dial.profile.interval
    inside = dial.table["support"] > 0
    ends = {name: (column[inside].min(), column[inside].max()) for name, column in dial.table.items()}
    e = format_uncertain(dial.estimate, low, high)
    return (
        f"With E anywhere in its {format_level(dial.profile.level)} interval, {e[1]} to {e[2]} nats per token, N* at "
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


def bias_rows(found: Bias, budgets: Sequence[float]) -> list[dict[str, Cell]]:
    """Return per target what Approach 2 must get wrong without any noise, by cause, and what that costs."""
    from lawful.approach2.bias import PARTS, relative
    from lawful.core.cost import Cost

    n, d = found.lines("params"), found.lines("tokens")
    rows = []
    for budget in budgets:
        best = found.surface.optimum(budget)
        lost = float(found.surface.deadweight(budget, float(best.tokens) * 10.0 ** d.at(budget)))
        dollars = float(Cost().dollars(lost))
        rows.append(
            {
                "Budget": (format_flops(budget), ""),
                "Error of N*": (relative(n.at(budget)).text, ""),
                "Error of D*": (relative(d.at(budget)).text, ""),
                **{f"of D*: {part}": (relative(d.at(budget, part)).text, "") for part in PARTS},
                "Compute it wastes": (format_flops(lost), f"{format_percent(lost / budget)}, ${format_count(dollars)}"),
            }
        )
    return rows
