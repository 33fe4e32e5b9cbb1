"""judge(): what an answer is worth. Whether the runs tell the optimum, and whether their residuals refuse the law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lawful.core.notes import Note, Verdict
from lawful.core.numbers import format_count, format_flops, format_short, format_value
from lawful.core.shown import Record
from lawful.data.columns import listed
from lawful.data.runs import Runs
from lawful.errors import IdentificationError, LawfulError
from lawful.estimate.fit import fit as fit_law
from lawful.estimate.result import Fit, FrontierFit, reach_of
from lawful.trust.fitness import REFUSED, LackOfFit, lack_of_fit
from lawful.uncertainty.grounds import AUTO, INDEPENDENT, Grounds, curves_of, grounds, spare
from lawful.uncertainty.intervals import Intervals
from lawful.uncertainty.linear import AUTO_NOISE
from lawful.uncertainty.quantity import Quantity
from lawful.valley.identified import Identified, identified

LEVEL = 0.9
"""Level of the intervals behind a verdict."""

FAR = 10.0
"""Times the largest budget of the runs beyond which an answer is extrapolated."""

ONE_BUDGET = 1.5
"""Factor around the only budget of some runs within which its own optimum is told."""

APART = 4.0
"""How far beyond the sampled tokens per parameter the runs lie that would settle it."""

SAME_RATIO = 1e-3
"""Spread of ln(D/N) below which all runs have one ratio."""

BETTER_LAW = "skaling"
"""The law that is tried where one of two separate powers is refused."""


@dataclass(frozen=True, eq=False)
class Judgement(Record):
    """
    What an answer is worth.

    Attributes
    ----------
    verdict : Verdict
    notes : tuple of Note
        ``not_identified``, ``lack_of_fit``.
    reason : str
        Why the optimum is not told: ``open``, ``wide``, ``outside``, ``ratio``, ``zero``, ``budget``, ``few``; of a
        frontier ``edge``. ``unfinished``: it is told, but by rows that lie above what their runs came to.
    test : LackOfFit or None
        The test of the law.
    better : Fit or None
        The coupled law on the same runs, where theirs is refused.
    """

    verdict: Verdict
    notes: tuple[Note, ...] = ()
    reason: str = ""
    test: LackOfFit | None = None
    better: Fit | None = None

    def withholds(self, budget: float, runs: Runs) -> bool:
        """Whether the optimum at a budget cannot be had; with one budget of runs, at any other one."""
        if self.verdict is not Verdict.NOT_IDENTIFIED:
            return False
        own = float(np.exp(np.log(runs.C).mean()))
        return self.reason != "budget" or not own / ONE_BUDGET <= budget <= own * ONE_BUDGET


def judge(fit: Any, budgets: Sequence[float] = (), *, cluster: str = AUTO) -> Judgement:
    """
    Judge an answer: not identified, refused, extrapolated, or supported.

    Parameters
    ----------
    fit : Fit or FrontierFit
        Of a frontier the sizes that its budgets tell are judged, and the distance of the budgets asked about.
    budgets : sequence of float
        Budgets asked about, in FLOPs.
    cluster : str
        See :func:`lawful.profile`.

    Returns
    -------
    Judgement

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.005)
    >>> judge(lawful.fit(runs), [1e20]).verdict.value
    'supported'

    Runs at one ratio of tokens to parameters do not tell which ratio is best:

    >>> N = np.geomspace(2e7, 5e9, 10)
    >>> ladder = lawful.Runs.from_arrays(N, 20 * N, truth.loss(N, 20 * N) * np.exp(0.001 * np.cos(np.arange(10))))
    >>> judge(lawful.fit(ladder)).verdict.value
    'not identified'
    """
    fit = fit.core
    top = reach_of(fit)
    far = Verdict.EXTRAPOLATED if any(c > FAR * top for c in budgets) else Verdict.SUPPORTED
    if fit.surface is None:
        note = _open_side(fit)
        return Judgement(far) if note is None else Judgement(Verdict.NOT_IDENTIFIED, (note,), "edge")
    rests = grounds(fit, cluster)
    test = lack_of_fit(fit, cluster=cluster)
    # What other groups tell of shared coefficients is not in a group's own profile.
    shared = any(note.code == "shared" for note in fit.notes)
    told = None if shared else _told(fit, rests)
    if told is not None and not told.told:
        return Judgement(Verdict.NOT_IDENTIFIED, (_unidentified(fit, told), *test.notes), told.reason, test)
    if not test.refused:
        beyond = told is not None and told.partly
        return Judgement(Verdict.EXTRAPOLATED if beyond else far, (), "", test)
    if shared:
        return Judgement(Verdict.LAW_REFUSED, test.notes, "", test)
    note, moved, better, reason = _refusal(fit, test, budgets or (top,), cluster)
    return Judgement(Verdict.LAW_REFUSED if moved else far, (note,), reason, test, better)


DOUBT = (Verdict.SUPPORTED, Verdict.EXTRAPOLATED, Verdict.LAW_REFUSED, Verdict.NOT_IDENTIFIED)
"""Verdicts, the best first."""


def judged_told(fit: Any, budgets: Sequence[float]) -> Judgement:
    """
    Judge what hangs on the optimum at some budgets, which has to be told.

    Raises
    ------
    IdentificationError
        If the runs do not tell the compute-optimal size at one of them.

    Examples
    --------
    >>> N = np.geomspace(2e7, 5e9, 10)
    >>> loss = lawful.Surface.named("chinchilla").loss(N, 20 * N)
    >>> ladder = lawful.Runs.from_arrays(N, 20 * N, loss * np.exp(0.001 * np.cos(np.arange(10))))
    >>> judged_told(lawful.fit(ladder), [1e20])
    Traceback (most recent call last):
    ...
    lawful.errors.IdentificationError: The runs do not tell the compute-optimal size: all 10 runs have 20 tokens per ...
    """
    judged = judge(fit, budgets)
    if any(judged.withholds(budget, fit.core.runs) for budget in budgets):
        raise IdentificationError(judged.notes[0].message)
    return judged


FEWEST_INSIDE = 2
"""Budgets whose best size lies among those sampled from which on a line through such sizes is told."""

NEAR = 2.0
"""Factor of compute within which runs of the lower envelope are held against others: curves share no budget."""

METHOD_WORDS = {
    "approach1": "the best run is the smallest or the largest of its compute",
    "approach2": "the parabola is lowest at or beyond the ends of the sampled sizes",
}
"""How a frontier's method misses the optimum of a budget."""


def _open_side(fit: FrontierFit) -> Note | None:
    """Say so where a frontier goes through sizes at the edge of their budgets: they tell where a sweep ended."""
    basis, far = fit.basis, np.log(NEAR) if fit.method == "approach1" else SAME_RATIO
    budget_of = basis.budgets[basis.group]
    sizes = [basis.N[np.abs(np.log(budget_of / c)) <= far] for c in fit.budgets]
    small, large = (np.array([end(own) for own in sizes]) for end in (np.min, np.max))
    below, above = fit.params <= small * (1 + SAME_RATIO), fit.params >= large * (1 - SAME_RATIO)
    inside = int((~(below | above)).sum())
    if inside >= FEWEST_INSIDE:
        return None
    top = int(fit.budgets.argmax())
    product = float(fit.params[top] * fit.tokens[top])
    down, up = ([float(end) * APART**k for k in (1, 2)] for end in (small[top] / APART**3, large[top]))
    asked = down[::-1] if below.sum() > above.sum() else up if above.sum() > below.sum() else [down[1], up[0]]
    settled = " and ".join(f"{format_count(n)} parameters on {format_count(product / n)} tokens" for n in asked)
    count, how = fit.budgets.size, METHOD_WORDS[fit.method]
    text = (
        f"The runs do not tell the compute-optimal size: at {count - inside} of {count} budgets {how}. N*, D* and "
        f"deadweight cannot be had. Two runs would settle it: {settled}."
    )
    return Note("not_identified", text)


def _told(fit: Fit, rests: Grounds | None) -> Identified | None:
    """Whether the runs tell the optimum at their largest budget; None for laws that have none in closed form."""
    if not fit.surface.law.profiles:
        return None
    runs, cost = fit.runs, fit.surface.cost
    ratio = np.log(runs.D / runs.N)
    nothing = (0.0, float("inf"))
    if np.ptp(ratio) < SAME_RATIO:
        return Identified(told=False, reason="ratio", partly=True, ratio=nothing)
    if runs.budgets.size == 1:
        return Identified(told=False, reason="budget", partly=True, ratio=nothing)
    if spare(fit) <= 0:
        return Identified(told=False, reason="few", partly=True, ratio=nothing)
    if any(fit.coefficients[name] == 0 for name, _, _ in fit.surface.law.amounts):
        return Identified(told=False, reason="zero", partly=True, ratio=nothing)
    if rests is None:
        return None
    top = reach_of(fit)
    quantity = Quantity("params", top)
    size = rests.ends(quantity, cost, rests.rise(quantity, cost, LEVEL, AUTO_NOISE)[0])
    return identified(size, float(np.log(cost.product(top))), ratio)


WHY = {
    "ratio": "all {n} runs have {ratio:.3g} tokens per parameter, so nothing tells which ratio is best",
    "budget": "all {n} runs share one budget, so nothing tells how the optimum moves with compute",
    "few": "the law passes through all {n} runs whatever their noise, since it has as many coefficients",
    "zero": "the fit needs only one of the two terms, so its optimum lies at no size",
    "open": "the {level:.0%} interval of the compute-optimal size at {top} has no end on at least one side",
    "wide": "the {level:.0%} interval of the compute-optimal size at {top} spans more than a factor of ten "
    "({small} to {large})",
    "outside": "the compute-optimal tokens per parameter ({low} to {high}) lie wholly beyond those of the runs",
}
"""Reasons in words."""


def _unidentified(fit: Fit, told: Identified) -> Note:
    """Say what cannot be had and why, what can, and which two runs would settle it."""
    runs, top = fit.runs, reach_of(fit)
    ratio = runs.D / runs.N
    why = WHY[told.reason].format(
        n=len(runs),
        ratio=float(np.exp(np.log(ratio).mean())),
        level=LEVEL,
        top=format_flops(top),
        low=format_count(told.ratio[0]),
        high=format_count(told.ratio[1]),
        **_sizes(fit, told, top),
    )
    lost = "N*, D* and deadweight" if told.reason == "wide" else "N*, D*, L* and deadweight"
    own = " at other budgets" if told.reason == "budget" else ""
    text = (
        f"The runs do not tell the compute-optimal size: {why}. {lost}{own} cannot be had; the loss at sizes and token "
        f"counts near those of the runs can. Two runs would settle it: {_settling(fit, told)}."
    )
    return Note("not_identified", text)


def _sizes(fit: Fit, told: Identified, top: float) -> dict[str, str]:
    """Ends of the interval of N* at the largest budget, from those of D*/N*."""
    if told.reason != "wide":
        return {}
    product = float(fit.surface.cost.product(top))
    return {
        "small": format_count((product / told.ratio[1]) ** 0.5),
        "large": format_count((product / told.ratio[0]) ** 0.5),
    }


def _settling(fit: Fit, told: Identified) -> str:
    """Two runs that differ from all others where the answer hangs: in tokens per parameter, or in compute."""
    runs, top, cost = fit.runs, reach_of(fit), fit.surface.cost
    ratio = runs.D / runs.N
    low, high = float(ratio.min()), float(ratio.max())
    middle = float(np.exp(np.log(ratio).mean()))
    if told.reason == "budget":
        asked = [(top / FAR, middle), (top * FAR, middle)]
    elif told.reason == "outside" and told.ratio[0] > high:
        asked = [(top, high * APART), (top, high * APART**2)]
    elif told.reason == "outside":
        asked = [(top, low / APART), (top, low / APART**2)]
    else:
        asked = [(top, low / APART), (top, high * APART)]
    rows = []
    for budget, each in asked:
        params = float(np.sqrt(cost.product(budget) / each))
        rows.append(f"{format_count(params)} parameters on {format_count(each * params)} tokens")
    return " and ".join(rows)


def _refusal(fit: Fit, test: LackOfFit, budgets: Sequence[float], cluster: str) -> tuple[Note, bool, Fit | None, str]:
    """
    Say that the law is refused, what another answers, whether that lies outside the law's own intervals, and a reason.

    The intervals are those of independent errors: where the law is wrong, what it misses looks like an error
    that budgets share, and would widen them until they hold any other law's answer. Rows of one run share an
    error under any law.
    """
    said = test.notes[0].message.removesuffix(".")
    better = _coupled(fit)
    if better is None:
        return Note("lack_of_fit", f"{said}; no other law could be fitted to compare."), True, None, ""
    again = lack_of_fit(better, cluster=cluster)
    judged = (
        f"refused as well (p = {format_short(again.p, 1)})" if again.p is not None and again.refused else "not refused"
    )
    curves = curves_of(fit.runs, cluster) is not None
    sure = Intervals(fit, "profile", LEVEL, cluster=cluster if curves else INDEPENDENT)
    moved, words = False, []
    for budget in budgets:
        own, other = fit.surface.optimum(budget), better.surface.optimum(budget)
        for name in ("params", "loss"):
            low, high = sure.of(name, budget=budget)
            moved |= not low <= float(getattr(other, name)) <= high
        steps = np.log(float(other.params) / float(own.params)), float(other.loss) - float(own.loss)
        words.append(
            f"at {format_flops(budget)} it puts N* at {format_count(float(other.params))} and L* at "
            f"{format_value(float(other.loss))} ({steps[0]:+.2g} in ln N*, {steps[1]:+.2g} nats)"
        )
    where = "outside" if moved else "inside"
    text = (
        f"{said}. The {better.surface.law.name} law is {judged}: {'; '.join(words)}, {where} the "
        f"{fit.surface.law.name} law's own intervals."
    )
    apart = False
    if test.each.get("unfinished", 1.0) < REFUSED:
        ended, apart = _ended(fit, budgets, cluster, sure)
        text = f"{text} {ended}"
    return Note("lack_of_fit", text), moved or apart, better, "unfinished" if apart else ""


def _ended(fit: Fit, budgets: Sequence[float], cluster: str, sure: Intervals) -> tuple[str, bool]:
    """Say what the last rows of the runs answer alone, and whether that lies outside the intervals of all rows."""
    curve = curves_of(fit.runs, cluster)
    if curve is None:  # rows that stand alone are no part of a run
        return "", False
    order = np.lexsort((fit.runs.D, curve))
    last = order[np.flatnonzero(np.diff(curve[order], append=-1))]
    whose = f"the last rows of the {last.size} runs alone (`row_of_run` last)"
    try:
        alone = fit_law(fit.runs.take(np.sort(last)), law=fit.surface.law, objective=fit.objective)
        told = _told(alone, grounds(alone, cluster))
    except LawfulError:
        told = None
    if told is None or not told.told:
        return f"{whose[0].upper()}{whose[1:]} do not tell the compute-optimal size.", True
    words, apart = [], False
    for budget in budgets:
        best = float(alone.surface.optimum(budget).params)
        low, high = sure.of("params", budget=budget)
        apart |= not low <= best <= high
        words.append(f"{format_count(best)} at {format_flops(budget)}")
    where = "outside" if apart else "inside"
    return f"By {whose} N* is {listed(words)}, {where} the intervals of all rows.", apart


def _coupled(fit: Fit) -> Fit | None:
    """Return the coupled law on the same runs; None where it cannot be fitted or the law has no two separate powers."""
    if not fit.surface.law.two_powers:
        return None
    try:
        return fit_law(fit.runs, law=BETTER_LAW, objective=fit.objective)
    except LawfulError:
        return None
