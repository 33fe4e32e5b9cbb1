"""The decision card: three numbers with their intervals, what to think of them, and every method on one axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.analysis.evidence import Evidence
from lawful.core.notes import Verdict
from lawful.core.numbers import format_count, format_flops, format_level, format_percent, format_short
from lawful.core.sheet import quantity
from lawful.core.typing import Interval
from lawful.data.runs import Runs
from lawful.decide.indifference import Indifference, indifference
from lawful.errors import LawfulError
from lawful.estimate.result import reach_of
from lawful.forecasting.ensemble import Outlook
from lawful.show.figures.methods_figure import answers, flagged_runs, reach
from lawful.show.figures.palette import METHOD_LABELS

MOODS = {
    Verdict.SUPPORTED: "good",
    Verdict.EXTRAPOLATED: "care",
    Verdict.LAW_REFUSED: "bad",
    Verdict.NOT_IDENTIFIED: "bad",
}
"""How a verdict is coloured; it is always said in words too."""

VERDICTS = {
    Verdict.SUPPORTED: "The runs support this answer",
    Verdict.EXTRAPOLATED: "Extrapolated: far beyond the runs",
    Verdict.LAW_REFUSED: "The residuals refuse the law",
    Verdict.NOT_IDENTIFIED: "The runs do not tell the optimum",
}


FINE = 0.6
"""Decades below which an axis has ticks between 1, 2 and 5."""

FINE_STEPS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)


@dataclass(frozen=True)
class Number:
    """One of the three numbers: its name, its text, its interval in words, and where it stands on a bar of 0 to 100."""

    name: str
    text: str
    span: str
    place: tuple[float, float, float] | None


@dataclass(frozen=True)
class Chip:
    """A remark in a few words, with its colour: good, care or bad."""

    text: str
    mood: str


@dataclass(frozen=True)
class Dot:
    """
    An answer on the axis of N*: its label, its place and that of its interval's ends in per cent, and its colour.

    Hollow where the runs that check flags were left out.
    """

    label: str
    text: str
    at: float
    ends: tuple[float, float] | None
    kind: str
    hollow: bool


@dataclass(frozen=True)
class Card:
    """
    What the first screen of a report says.

    Attributes
    ----------
    asked : str
        Budget and what answers.
    trained : str
        Runs and budgets that the answer rests on.
    numbers : tuple of Number
    chips : tuple of Chip
    dots : tuple of Dot
    ticks : tuple of (float, str)
        Places on the axis of N* in per cent, and their texts.
    region : (float, float) or None
        Where N* may lie at no cost, in per cent of the axis.
    """

    asked: str
    trained: str
    numbers: tuple[Number, ...]
    chips: tuple[Chip, ...]
    dots: tuple[Dot, ...]
    ticks: tuple[tuple[float, str], ...]
    region: tuple[float, float] | None

    @property
    def is_clipped(self) -> bool:
        """Whether an interval goes on beyond the axis."""
        return any(dot.ends is not None and (dot.ends[0] <= 0 or dot.ends[1] >= 100) for dot in self.dots)


def decision_card(evidence: Evidence) -> Card | None:
    """
    Return the card of an analysis; None where no budget was asked about.

    Examples
    --------
    >>> from lawful.analysis.evidence import gather
    >>> truth = lawful.Surface.named("besiroglu")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.004)
    >>> card = decision_card(gather(lawful.analyse(runs, budgets=[1e22], draws=0)))
    >>> [number.name for number in card.numbers], len(card.dots) >= 3
    (['parameters', 'tokens', 'loss, nats per token'], True)
    """
    analysis = evidence.analysis
    if not analysis.allocations:
        return None
    asked, numbers = told_numbers(analysis)
    chips = remarks(analysis, flagged_runs(evidence), applied=bool(evidence.applied))
    lost = analysis.verdict is Verdict.NOT_IDENTIFIED
    dots, ticks, region = ((), (), None) if lost else _axis(evidence)
    return Card(asked, trained_on(analysis.fit.runs), numbers, chips, dots, ticks, region)


def told_numbers(analysis: Analysis) -> tuple[str, tuple[Number, ...]]:
    """
    Say what was asked and who answers, and return the three numbers of the first budget.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.004)
    >>> told_numbers(lawful.analyse(runs, method="vpnls", budgets=[1e22], draws=0))[0]
    'Asked at 1e22 FLOPs, answered by VPNLS'
    """
    one = analysis.allocations[0]
    seen = analysis.average.outlooks[0] if analysis.average is not None and analysis.average.outlooks else None
    source = one if seen is None else seen
    interval = source.interval or {}
    who = METHOD_LABELS[analysis.fit.method] if seen is None else "the average of laws"
    more = {"tokens": _ratio(source.params, source.tokens, interval), "loss": "" if seen is None else _parts(seen)}
    numbers = tuple(
        _number(label, name, getattr(source, name), interval.get(name), analysis.level, more.get(name, ""))
        for label, name in (("parameters", "params"), ("tokens", "tokens"), ("loss, nats per token", "loss"))
    )
    return f"Asked at {format_flops(one.budget)}, answered by {who}", numbers


def trained_on(runs: Runs) -> str:
    """
    Say how many runs and budgets an answer rests on.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> trained_on(lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth)))
    '27 runs, 3 budgets from 1e18 to 1e20 FLOPs'
    """
    low, high = format_short(float(runs.budgets.min()), 3), format_flops(float(runs.budgets.max()))
    if len(runs.budgets) > len(runs) / 2:  # a ladder or a grid: hardly a budget has two runs
        return f"{len(runs)} runs from {low} to {high}"
    return f"{len(runs)} runs, {len(runs.budgets)} budgets from {low} to {high}"


def _ratio(params: float, tokens: float, interval: Mapping[str, Interval]) -> str:
    """Tokens per parameter; its ends are where N* is at its other end, since the budget is given."""
    if not (np.isfinite(params) and np.isfinite(tokens) and params > 0):
        return ""
    text = f"{format_short(tokens / params, 2)} per parameter"
    if not {"params", "tokens"} <= set(interval):
        return text
    low, high = interval["tokens"][0] / interval["params"][1], interval["tokens"][1] / interval["params"][0]
    return f"{text} ({format_short(low, 2)} to {format_short(high, 2)})" if np.isfinite(low + high) else text


def _parts(seen: Outlook) -> str:
    """Shares of the variance of L*: the noise of one new run is not part of it."""
    square = {name: part**2 for name, part in seen.parts._asdict().items() if name != "noise"}
    whole = sum(square.values())
    if not whole > 0:
        return ""
    return f"variance: {', '.join(f'{name} {format_percent(part / whole)}' for name, part in square.items())}"


def _number(label: str, name: str, value: float | None, ends: Interval | None, level: float, more: str = "") -> Number:
    low, high = ends if ends is not None else (np.nan, np.nan)
    if value is None or not np.isfinite(value):
        if ends is None or not np.isfinite(ends).any():
            return Number(label, "unknown", "the runs do not tell", None)
        # An interval alone stands where the number would: a dash above it would read as no answer.
        return Number(label, quantity(name, None, ends)[1].span, f"an interval only, {format_level(level)}", None)
    cell = quantity(name, value, ends)[1]
    more = f"; {more}" if more else ""
    if not (np.isfinite(low) and np.isfinite(high)):
        return Number(label, cell.text, f"no interval{more}", None)
    return Number(label, cell.text, f"{cell.span}, {format_level(level)}{more}", _bar(value, low, high))


def _bar(value: float, low: float, high: float) -> tuple[float, float, float]:
    """Places of low, value and high on a bar that is the interval itself: its ends are the numbers beneath it."""
    first, last = min(low, value), max(high, value)
    reach = max(last - first, 1e-12 * abs(value))
    a, b, c = (100.0 * ((v - first) / reach) for v in (low, value, high))
    return a, b, c


def remarks(analysis: Analysis, flagged: int, *, applied: bool = False) -> tuple[Chip, ...]:
    """
    Say what to think of an answer, a few words each.

    Parameters
    ----------
    analysis : Analysis
        With a budget.
    flagged : int
        Runs that check flags.
    applied : bool
        Whether they were left out.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.004)
    >>> analysis = lawful.analyse(runs, method="vpnls", budgets=[3.8e23], draws=0)
    >>> [chip.text for chip in remarks(analysis, 2)][1:]
    ['3,800 times beyond the largest run', '2 runs flagged by check']
    """
    chips = [verdict_chip(analysis.verdict)]
    beyond = max(one.budget for one in analysis.allocations) / reach_of(analysis.fit)
    if beyond > 1:
        far = "care" if beyond > 10 else "good"
        most = "Up to " if len(analysis.allocations) > 1 else ""
        chips.append(Chip(f"{most}{_times(beyond)} times beyond the largest run", far))
    average = analysis.average
    if average is not None and average.record is not None:
        record = average.record
        mood = "good" if record.hits >= 0.75 * record.intervals and record.miss < 0.02 else "care"
        text = f"Held-out budgets: {format_percent(record.miss)} off, {record.hits} of {record.intervals} inside"
        chips.append(Chip(text, mood))
    # Not the note laws_disagree: it is also written where one law and the average are apart, which is the next chip.
    if average is not None and average.outlooks and not np.isfinite(average.outlooks[0].loss or np.nan):
        chips.append(Chip("Laws disagree on the loss", "bad"))
    if (
        average is not None
        and average.outlooks
        and _apart(average.outlooks[0].interval, analysis.allocations[0].interval)
    ):
        chips.append(Chip("One law alone puts N* elsewhere", "bad"))
    if any(note.code == "approach2_unavailable" for note in analysis.notes):
        chips.append(Chip("No Approach 2 to compare with", "care"))
    if flagged:
        runs = f"{flagged} run{'s' if flagged > 1 else ''}"
        chips.append(Chip(f"{runs} {'left out' if applied else 'flagged'} by check", "care"))
    return tuple(chips)


def verdict_chip(verdict: Verdict) -> Chip:
    """
    Return what a verdict says in a few words, with its colour.

    Examples
    --------
    >>> verdict_chip(Verdict.LAW_REFUSED).text
    'The residuals refuse the law'
    """
    return Chip(VERDICTS[verdict], MOODS[verdict])


def _times(ratio: float) -> str:
    """Write a ratio in three digits, its thousands apart; beyond a million as a power of ten."""
    text = format_short(ratio, 3)
    return f"{float(text):,.0f}" if 1e3 <= ratio < 1e6 else text


def _apart(one: Mapping[str, Interval], other: Mapping[str, Interval] | None) -> bool:
    """Whether two intervals of N* do not meet."""
    if other is None or not np.isfinite(other["params"]).all():
        return False
    return one["params"][0] > other["params"][1] or one["params"][1] < other["params"][0]


def _axis(evidence: Evidence) -> tuple[tuple[Dot, ...], tuple[tuple[float, str], ...], tuple[float, float] | None]:
    """Every answer's N* on one logarithmic axis."""
    rows = answers(evidence)
    if not rows:
        return (), (), None
    low, high = (float(np.log10(end)) for end in reach(rows))

    def place(value: float) -> float:
        return float(np.clip(100 * (np.log10(value) - low) / (high - low), 0.0, 100.0))

    dots = tuple(
        Dot(
            r.label,
            format_count(r.params),
            place(r.params),
            None if r.interval is None else (place(r.interval[0]), place(r.interval[1])),
            r.method,
            r.kept,
        )
        for r in rows
    )
    region, shade = _region(evidence), None
    if isinstance(region, Indifference) and np.isfinite(region.params).all():
        shade = place(region.params[0]), place(region.params[1])
    return dots, _ticks(low, high, place), shade


def _region(evidence: Evidence) -> Indifference | str:
    """The indifference region at the budget of the card, the first; that of the page is at the largest."""
    region, fit, first = evidence.region, evidence.analysis.fit, evidence.analysis.allocations[0].budget
    if isinstance(region, str) or region.budget == first or fit.surface is None:
        return region
    try:
        return indifference(fit, first)
    except LawfulError as error:
        return str(error)


def _ticks(low: float, high: float, place: Callable[[float], float]) -> tuple[tuple[float, str], ...]:
    """Some five round numbers on the axis."""
    # Within half a decade 1, 2 and 5 may leave a single tick, which tells no scale.
    steps = FINE_STEPS if high - low < FINE else (1.0, 2.0, 5.0) if high - low < 2 else (1.0,)
    values = [m * 10.0**e for e in range(int(np.floor(low)), int(np.ceil(high)) + 1) for m in steps]
    inside = [v for v in values if low <= np.log10(v) <= high]
    every = max(1, len(inside) // 5)
    return tuple((place(v), format_count(v)) for v in inside[::every])
