"""The decision in words: how to spend a budget, how sure that is, and what the usual method would have cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lawful.core.notes import Verdict, doubt_of
from lawful.core.numbers import (
    format_count,
    format_count_interval,
    format_flops,
    format_level,
    format_percent,
    format_uncertain,
    format_value,
)
from lawful.forecasting.averaged import outlook_sheet
from lawful.show.figures.palette import METHOD_LABELS
from lawful.show.files.document import has_frontier

if TYPE_CHECKING:
    from lawful.analysis.analysis import Analysis
    from lawful.decide.allocate import Allocation

AS_GOOD = 5e-7
"""A smaller share of the budget than this is no waste worth a sentence."""


SOUND = (Verdict.SUPPORTED, Verdict.EXTRAPOLATED)
"""Verdicts that need no sentence beside the decision: the notes speak of extrapolation."""


def decision_sentences(analysis: Analysis, *, beside: bool = False) -> list[str]:
    """
    Return the decision: one sentence per budget, or how the optimum grows where no budget was given.

    Parameters
    ----------
    analysis : Analysis
        A fit with what it implies, by any method.
    beside : bool
        Whether they stand beside a card that has the first budget's three numbers and the verdict already.

    Returns
    -------
    list of str
        Plain text.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], surface=truth)
    >>> analysis = lawful.analyse(lawful.simulate(truth, plan), method="vpnls", budgets=[5.76e23], draws=0)
    >>> print(decision_sentences(analysis)[0].split(";")[0])
    At 5.76e23 FLOPs train 72.2B parameters on 1.33T tokens, expected loss 1.974 nats per token
    """
    doubt = [] if analysis.verdict in SOUND else [f"Verdict: {analysis.verdict.value}; the notes say why."]
    first = doubt_of(analysis.notes)
    doubtful = f"Doubtful: {first}. " if first else ""
    if analysis.allocations:
        said = [allocation_sentence(allocation, level=analysis.level) for allocation in analysis.allocations]
        if analysis.average is not None:
            law = (
                analysis.fit.surface.law.name
                if analysis.fit.surface is not None
                else METHOD_LABELS[analysis.fit.method]
            )
            averaged = [outlook_sheet(one).title for one in analysis.average.outlooks[1 if beside else 0 :]]
            said = [f"{text[:-1]}, by the average of laws." for text in averaged] + [
                f"By {law} alone: {s[0].lower()}{s[1:]}" for s in said
            ]
        lost = [note.message for note in analysis.notes if note.code == "not_identified"]
        if beside and lost and not any(np.isfinite(one.params) for one in analysis.allocations):
            said = lost[:1]  # why there is no number, and which runs would give it: the card itself has none
        said = [doubtful + said[0], *said[1:]]
        return said if beside else [*said, *doubt]
    if not has_frontier(analysis.fit):
        text = f"{doubtful}No budget was given, and under this law N* and D* are no powers of compute: give budgets."
        return [text, *doubt]
    frontier = analysis.fit.frontier
    grows = []
    for symbol, name, value in (("N*", "a", frontier.a), ("D*", "b", frontier.b)):
        ends = analysis.interval(name)
        text, low, high = format_uncertain(value, *ends)
        sure = f" ({format_level(analysis.level)} interval {low} to {high})" if np.all(np.isfinite(ends)) else ""
        grows.append(f"{symbol} grows as C^{text}{sure}")
    return [f"{doubtful}No budget was given; over these runs {grows[0]} and {grows[1]}.", *doubt]


def allocation_sentence(allocation: Allocation, *, level: float) -> str:
    """Say in one sentence how to spend a budget, how sure that is, and what Approach 2 would have wasted."""
    budget = format_flops(allocation.budget)
    if not (np.isfinite(allocation.params) and np.isfinite(allocation.tokens)):
        return f"At {budget} this fit has no compute-optimal choice: the notes say why."
    train = f"train {format_count(allocation.params)} parameters on {format_count(allocation.tokens)} tokens"
    return f"At {budget} {train}{_sure(allocation, level)}{_loss(allocation)}{_waste(allocation)}."


def _ends(allocation: Allocation, name: str) -> tuple[float, float] | None:
    pair = (allocation.interval or {}).get(name)
    return pair if pair is not None and np.all(np.isfinite(pair)) else None


def _sure(allocation: Allocation, level: float) -> str:
    params, tokens = _ends(allocation, "params"), _ends(allocation, "tokens")
    if params is None or tokens is None:
        return ""
    spans = f"{format_count_interval(*params)} parameters, {format_count_interval(*tokens)} tokens"
    return f" ({format_level(level)} interval {spans})"


def _loss(allocation: Allocation) -> str:
    if allocation.loss is None or not np.isfinite(allocation.loss):
        return ""
    ends = _ends(allocation, "loss")
    if ends is None:
        return f", expected loss {format_value(allocation.loss)} nats per token"
    value, low, high = format_uncertain(allocation.loss, *ends)
    return f", expected loss {value} ({low} to {high}) nats per token"


def _waste(allocation: Allocation) -> str:
    lost = allocation.deadweight
    if lost is None:
        return ""
    method = METHOD_LABELS[lost.of]
    cost = f"{format_flops(lost.flops)} ({format_percent(lost.fraction)})"
    if lost.as_good and lost.fraction >= AS_GOOD:
        if allocation.loss is None:
            return f"; that choice is as good as can be told: {lost.as_good}"
        return f"; {method} would have chosen {lost.choice}, as good as can be told: {lost.as_good}"
    if allocation.loss is None:
        return f"; on the {METHOD_LABELS[lost.on]} surface of these runs that choice wastes {cost}"
    if lost.fraction < AS_GOOD:
        return f"; {method} would have chosen the same"
    return f"; {method} would have chosen {lost.choice} and wasted {cost}{lost.span}"
