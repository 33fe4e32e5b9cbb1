"""One call for the main job: fit, intervals, allocations, and what Approach 2 would have cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from lawful.analysis.methods import AnalysisMethods
from lawful.checks.undertuned import undertuned
from lawful.core.cost import Cost
from lawful.core.notes import Note, Verdict
from lawful.core.numbers import format_count, format_flops, format_level, format_scientific, format_short
from lawful.core.objective import Objective
from lawful.core.sheet import Sheet
from lawful.core.shown import Shown
from lawful.core.validation import check_budget, check_draws, check_level
from lawful.data.cells import counted_once
from lawful.data.runs import COMPLETE, Runs
from lawful.decide.allocate import Allocation, allocate, allocation_sheet, as_judged
from lawful.decide.deadweight import deadweight
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.fit import fit, table_for
from lawful.estimate.isoflop import fit_isoflop
from lawful.estimate.result import Fit, FrontierFit, fit_sheet, reach_of
from lawful.estimate.solvers import Solver
from lawful.estimate.window import AUTO as AUTO_WINDOW
from lawful.forecasting.averaged import Averaged, averaged
from lawful.laws.laws import DEFAULT_LAW, LAWS, Law
from lawful.trust.diagnose import diagnose
from lawful.trust.unused import repeated_note, unused_notes
from lawful.trust.verdict import FAR, Judgement, judge
from lawful.uncertainty.bootstrap import Draws
from lawful.uncertainty.grounds import AUTO
from lawful.uncertainty.intervals import NOWHERE, Intervals, check_kind, of_draws
from lawful.uncertainty.intervals import intervals as intervals_of
from lawful.uncertainty.resample import SCHEMES

Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Analysis(AnalysisMethods, Shown):
    """
    What ``lawful fit`` answers, as one record.

    Attributes
    ----------
    fit : Fit or FrontierFit
        The fit asked for.
    draws : Draws or None
        Its bootstrap, None where none was asked for.
    allocations : tuple of Allocation
        One per budget.
    isoflop : FrontierFit or None
        Approach 2 on the same runs, None where it cannot run (a note says why).
    truth : Fit or None
        The surface that prices deadweight losses.
    notes : tuple of Note
        Notes of the fit, of its draws and of the comparison.
    level : float
        Coverage the intervals aim at.
    intervals : Intervals or None
        Where the intervals come from.
    judged : Judgement or None
        What the answer is worth; worked out when it is first asked for if not given.
    asked : tuple of float
        Budgets that a loaded analysis was asked about, which its verdict speaks of.
    average : Averaged or None
        Method ``auto``: the forecast that averages over laws, whose N*, D* and L* lead the decision.
    unaveraged : str
        Why ``auto`` has none; empty where it has, or was not asked.

    Examples
    --------
    >>> import lawful
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth))
    >>> found = lawful.analyse(runs, budgets=[1e22], draws=0)
    >>> found.method, f"{found.allocations[0].params:.3g}"
    ('vpnls', '4.08e+10')
    """

    fit: Fit | FrontierFit
    draws: Draws | None
    allocations: tuple[Allocation, ...]
    isoflop: FrontierFit | None
    truth: Fit | None
    notes: tuple[Note, ...]
    level: float
    intervals: Intervals | None = None
    judged: Judgement | None = None
    asked: tuple[float, ...] = ()
    average: Averaged | None = None
    unaveraged: str = ""

    def __repr__(self) -> str:
        asked = ", ".join(format_scientific(one.budget) for one in self.allocations) or "none"
        return f"Analysis({self.fit!r}; budgets {asked})"

    def sheets(self, scale: Mapping[str, float] | None = None) -> tuple[Sheet, ...]:
        """
        Return the fit with its intervals, then every budget.

        Parameters
        ----------
        scale : mapping of str to float, optional
            Units of ``params`` and ``tokens`` that A and B refer to; as counted by default.
        """
        shown = (*self.average_sheets(), self.fit_sheet(scale), *self.allocation_sheets(self.allocations))
        return (*shown[:-1], replace(shown[-1], notes=self.notes))

    def fit_sheet(self, scale: Mapping[str, float] | None = None) -> Sheet:
        """Return the fit with its intervals, without notes; ``scale`` as for :meth:`sheets`."""
        sure, fit = self.sure, self.fit
        closing: tuple[str, ...] = ()
        units = {name: unit for name, unit in (scale or {}).items() if unit != 1.0}
        if units and fit.surface is not None:
            scaled = [units.get(name, 1.0) for name in UNITS]
            there = (sure or Intervals(fit, "none", self.level)).in_units(*scaled)
            fit, sure = there.fit, sure and there
            said = ", ".join(f"{UNITS[name]} in units of {format_scientific(unit)}" for name, unit in units.items())
            closing = (f"A and B refer to {said}.",)
        first = fit_sheet(fit, sure, self.judgement)
        first = replace(first, sentences=(*first.sentences, source_sentence(self.runs)), notes=())
        return replace(first, closing=(*first.closing, *closing))

    def average_sheets(self) -> tuple[Sheet, ...]:
        """Return the averaged forecast at every budget, or why there is none; nothing where it was not asked for."""
        if self.average is not None:
            return tuple(replace(sheet, notes=()) for sheet in self.average.sheets())
        if self.unaveraged and self.allocations:
            return (Sheet(f"No forecast that averages over laws: {self.unaveraged}"),)
        return ()

    def allocation_sheets(self, allocations: Sequence[Allocation], *, level: float | None = None) -> tuple[Sheet, ...]:
        """Return decisions, each beside what Approach 2 would choose where that was priced."""
        surface = getattr(self.fit, "surface", None)
        usual = (Cost() if surface is None else surface.cost).convention
        interval = f"{format_level(self.level if level is None else level)} interval"
        return tuple(
            allocation_sheet(
                one,
                budget_title(one, usual),
                interval=interval,
                beside=self._beside(one),
            )
            for one in allocations
        )

    def _beside(self, one: Allocation) -> FrontierFit | None:
        """Approach 2, for the column beside a decision; None where the runs tell no optimum, by the law or by it."""
        return None if self.method == "approach2" or one.priced is not None else self.isoflop_at(one.budget)

    def isoflop_at(self, budget: float) -> FrontierFit | None:
        """
        Approach 2 on the same runs; None where they tell no optimum at a budget, by the law or by it.

        Examples
        --------
        >>> truth = lawful.Surface.named("chinchilla")
        >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
        >>> lawful.analyse(runs, draws=0).isoflop_at(1e21).method
        'approach2'
        """
        if self.isoflop is None:
            return None
        judged = (self.judgement, self._isoflop_judged)
        lost = any(j.reason != "wide" and j.withholds(budget, self.fit.runs) for j in judged)
        return None if lost else self.isoflop

    def withholds(self, budget: float) -> bool:
        """
        Whether the runs do not tell the fit's optimum at a budget, so that nothing may print one.

        Examples
        --------
        >>> truth = lawful.Surface.named("chinchilla")
        >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
        >>> lawful.analyse(runs, draws=0).withholds(1e21)
        False
        """
        return self.judgement.withholds(budget, self.fit.runs)

    def interval(
        self,
        name: str,
        *,
        budget: float | None = None,
        point: tuple[float, float] | None = None,
        level: float | None = None,
    ) -> tuple[float, float]:
        """
        Interval of any quantity, NaN at both ends without one.

        Parameters
        ----------
        name, budget, point
            See :meth:`lawful.Draws.values`.
        level : float, optional
            Coverage; that of the analysis by default.
        """
        sure = self.sure
        if sure is None:
            return NOWHERE
        return sure.at_level(self.level if level is None else level).of(name, budget=budget, point=point)

    def allocate(
        self,
        budget: float,
        *,
        params: float | None = None,
        tokens_per_param: float | None = None,
        level: float | None = None,
        **terms: Any,
    ) -> Allocation:
        """
        Spend another budget with the fit, draws and comparison of this analysis.

        Parameters
        ----------
        budget : float
            FLOPs, > 0.
        params, tokens_per_param : float, optional
            Hold the model size, or the ratio, instead of taking the optimum.
        level : float, optional
            Coverage of the intervals; that of the analysis by default.
        **terms
            ``cost``, ``limits``, ``given`` and ``ranges`` of :func:`lawful.decide.allocate.allocate`.

        Returns
        -------
        Allocation
            At the optimum with the deadweight of Approach 2; for a held choice with
            the deadweight of that choice (``of`` is ``fixed-params`` or ``fixed-ratio``).

        Raises
        ------
        UnsupportedError
            As :func:`lawful.decide.allocate.allocate`.

        Examples
        --------
        >>> truth = lawful.Surface.named("chinchilla")
        >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth)
        >>> analysis = lawful.analyse(lawful.simulate(truth, plan), draws=0)
        >>> held = analysis.allocate(1e22, tokens_per_param=100)
        >>> held.deadweight.of, f"{held.deadweight.fraction:.1%}"
        ('fixed-ratio', '1.7%')
        """
        fit, at = self.fit, self.level if level is None else level
        if params is None and tokens_per_param is None:
            best = allocate(fit, budget, draws=self.sure, level=at, versus=self.isoflop, truth=self.truth, **terms)
            return as_judged(best, self.judgement, fit.runs, self._pricing)
        held = allocate(
            fit, budget, params=params, tokens_per_param=tokens_per_param, draws=self.sure, level=at, **terms
        )
        if fit.surface is None or held.priced is not None:
            return held
        lost = deadweight(fit, held, held.budget, level=at)  # type: ignore[arg-type]
        return replace(held, deadweight=replace(lost, of="fixed-params" if params is not None else "fixed-ratio"))

    def answering(self, budgets: Sequence[float]) -> Analysis:
        """
        Return the same analysis with what it says of other budgets, in FLOPs, by the fit and by the average of laws.

        Examples
        --------
        >>> truth = lawful.Surface.named("chinchilla")
        >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
        >>> found = lawful.analyse(runs, draws=0).answering([1e21, 1e22])
        >>> [one.budget for one in found.allocations], [one.budget for one in found.average.outlooks]
        ([1e+21, 1e+22], [1e+21, 1e+22])
        """
        asked = [check_budget(budget) for budget in budgets]
        made, average = tuple(self.allocate(budget) for budget in asked), self.average
        if average is not None:
            average = replace(average, outlooks=tuple(average.ensemble.outlook(c, self.level) for c in asked))
        return replace(self, allocations=made, average=average)

    def asking(self, budgets: Sequence[float]) -> Analysis:
        """
        Return the same analysis, with a verdict that speaks of other budgets, in FLOPs.

        Examples
        --------
        >>> truth = lawful.Surface.named("chinchilla")
        >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
        >>> found = lawful.analyse(runs, draws=0)
        >>> found.asking([1e20]).verdict.value, found.asking([1e23]).verdict.value
        ('supported', 'extrapolated')
        """
        return replace(self, judged=None, asked=tuple(budgets))

    @property
    def sure(self) -> Intervals | None:
        """Where the intervals come from; those of the draws for an analysis that was put together by hand."""
        return self.intervals or of_draws(self.draws, self.level)

    @cached_property
    def judgement(self) -> Judgement:
        """What the answer is worth, with the notes that say why."""
        budgets = self.asked or [one.budget for one in self.allocations]
        return self.judged or judge(self.fit, budgets, cluster=self.sure.cluster if self.sure else AUTO)

    @cached_property
    def _isoflop_judged(self) -> Judgement:
        return judge(self.isoflop)

    @cached_property
    def _pricing(self) -> Judgement:
        return _pricing(self.judgement, self.fit, self.truth)

    @property
    def verdict(self) -> Verdict:
        """Whether the runs support the answer."""
        return self.judgement.verdict

    @property
    def reads_unique(self) -> bool:
        """Whether the law reads unique tokens, as laws of repeated data do."""
        surface = self.fit.surface
        return surface is not None and UNIQUE in surface.law.columns

    @property
    def runs(self) -> Runs:
        """The data."""
        return self.fit.runs

    @classmethod
    def of(cls, fit: Fit | FrontierFit, *, level: float = 0.9) -> Analysis:
        """Return an analysis of nothing but the fit, for what takes one."""
        return cls(fit, None, (), None, None, fit.notes, level)

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.fit.method


def budget_title(one: Allocation, usual: str) -> str:
    """Say which budget was spent, and how it is counted."""
    if one.priced is None:
        return f"Budget {format_flops(one.budget)} ({usual})."
    own = one.priced.convention
    spent = format_short(one.budget, 4) if own.startswith("cost = ") else format_flops(one.budget)
    counted = one.priced.budget_6nd
    return f"Budget {spent} ({own}{'' if counted is None else f'; 6ND of it is {format_scientific(counted)}'})."


UNIQUE = "U"
"""The column of unique tokens, as laws name it."""

UNITS = {"params": "N", "tokens": "D"}
"""Quantities that a scale may name, and the column of the law that each one is."""


def source_sentence(runs: Runs) -> str:
    """Say which runs were fitted: how many, at which budgets, from where."""
    budgets = runs.budgets
    chosen = "".join(f", {column}={value}" for column, value in runs.selection.items())
    if not runs.has("C"):
        return f"{runs.source}{chosen}: {len(runs)} runs"
    span = format_flops(float(budgets[0]))
    if budgets.size > 1:
        span = f"{format_scientific(float(budgets[0]))} to {format_flops(float(budgets[-1]))}"
    groups = "budget" if budgets.size == 1 else "budgets"
    return f"{runs.source}{chosen}: {len(runs)} runs, {budgets.size} {groups} ({span})"


def analyse(  # noqa: PLR0913 - keyword-only options of the main verb
    runs: Any,
    *,
    method: str | Solver = "auto",
    law: Law | str = DEFAULT_LAW,
    objective: Objective | str | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    budgets: Sequence[float] = (),
    draws: int | None = None,
    intervals: str | None = None,
    cluster: str | None = None,
    level: float = 0.9,
    seed: int = 0,
    window: int | str | None = AUTO_WINDOW,
    forecaster: Literal["auto", "average", "fit"] = "auto",
    progress: Progress | None = None,
) -> Analysis:
    """
    Fit, draw intervals, allocate each budget and price Approach 2's choice.

    Parameters
    ----------
    runs : Runs, path, DataFrame, mapping of str to array_like, or list of records
        Training runs.
    method, law, objective, fixed, bounds
        See :func:`lawful.fit`.
    budgets : sequence of float
        Budgets in FLOPs to allocate.
    draws : int, optional
        Bootstrap draws (1,000 if not given). A number without ``intervals`` asks for a bootstrap
        within budgets; 0 for no intervals, unless ``intervals`` names some that draws nothing.
    intervals : {"within-budget", "rows", "wild", "residual", "cluster", "profile", "delta", "none"}, optional
        Where the intervals come from: a bootstrap (its schemes, see
        :func:`lawful.uncertainty.bootstrap.bootstrap`), the profile, the linearisation, or nowhere.
        The profile if not given, and for a method without a surface a bootstrap within budgets.
    cluster : str, optional
        Column of labels whose runs stand or fall together, ``none`` for independent runs. If not given the
        profile looks for a shared error by itself.
    level : float
        Coverage of the intervals, between 0 and 1.
    seed : int
        Seed of the bootstrap.
    window : int, str or None
        Sizes that Approach 2's parabolas go through, see :func:`lawful.fit_isoflop`.
    forecaster : {"auto", "average", "fit"}
        Who leads the decision: the average of laws, or the fit alone. ``auto`` is the average where nothing about the
        fit was asked for by name.
    progress : callable, optional
        Called with a phrase before each stage.

    Returns
    -------
    Analysis

    Raises
    ------
    LawfulError
        If the data cannot support the fit, or the request makes no sense.

    Examples
    --------
    >>> import lawful
    >>> truth = lawful.Surface.named("asymmetric")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=truth)
    >>> found = lawful.analyse(lawful.simulate(truth, plan, noise=0.002), budgets=[1e24], draws=200)
    >>> lost = found.allocations[0].deadweight
    >>> lost.of, lost.fraction > 0
    ('approach2', True)
    """
    check_level(level)
    table = counted_once(table_for(runs, law))
    if table.ordered is not table:
        asked: dict[str, Any] = {
            "method": method, "law": law, "objective": objective, "fixed": fixed, "bounds": bounds, "budgets": budgets,
            "draws": draws, "intervals": intervals, "cluster": cluster, "level": level, "seed": seed,
            "window": window, "forecaster": forecaster, "progress": progress,
        }  # fmt: skip
        return _over(analyse(table.ordered, **asked), table)
    kind = _kind(intervals, draws)
    draws = DEFAULT_DRAWS if draws is None else check_draws(draws)
    targets = [check_budget(b) for b in budgets]
    tell = progress or (lambda _: None)
    tell("fitting")
    found = fit(table, method=method, law=law, objective=objective, fixed=fixed, bounds=bounds, window=window)
    notes = list(found.notes)
    isoflop, why = _isoflop_beside(found, window)
    notes.extend(why)
    truth = found if found.surface is not None else _surface_beside(table)
    plain = method == "auto" and not (objective or fixed or bounds) and law in (DEFAULT_LAW, LAWS[DEFAULT_LAW])
    leads = plain if forecaster == "auto" else forecaster == "average"
    tell(f"{draws} bootstrap refits" if kind in SCHEMES else "intervals")
    sure = intervals_of(found, kind, level=level, draws=draws, seed=seed, cluster=cluster)
    notes.extend(sure.notes if sure else ())
    drawn = sure.draws if sure else None
    tell("allocating")
    made = tuple(allocate(found, c, draws=sure, level=level, versus=isoflop, truth=truth) for c in targets)
    judged = judge(found, targets, cluster=AUTO if cluster is None or kind == "cluster" else cluster)
    pricing = _pricing(judged, found, truth)
    made = tuple(as_judged(one, judged, table, pricing) for one in made)
    notes.extend(judged.notes)
    average, unaveraged = _leading(table, found, judged, targets, level) if leads else (None, "")
    notes.extend(unused_notes(found if truth is None else truth))
    notes.extend(repeated_note(found))
    notes.extend(_allocation_notes(found, made))
    notes.extend(average.notes if average else ())
    notes.extend(_disjoint(made, average))
    if found.surface is not None and found.surface.law.two_powers:
        notes.extend(diagnose(found))
        notes.extend(undertuned(found))
    return Analysis(
        found, drawn, made, isoflop, truth, tuple(notes), level, sure, judged, average=average, unaveraged=unaveraged
    )


def _over(found: Analysis, table: Runs) -> Analysis:
    """Return an analysis with its runs in the order of the table, which is not that of the arithmetic."""
    own = found.fit.over(table)
    beside: Any = own if found.isoflop is found.fit else found.isoflop and found.isoflop.over(table)
    truth: Any = own if found.truth is found.fit else found.truth and found.truth.over(table)
    return replace(found, fit=own, isoflop=beside, truth=truth)


def led(analysis: Analysis) -> Analysis:
    """
    Return an analysis by one law with the average of laws in the lead, or with the reason why there is none.

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.004)
    >>> alone = lawful.analyse(runs, method="vpnls", budgets=[1e22], draws=0)
    >>> alone.average is None, led(alone).average is None
    (True, False)
    """
    budgets = [one.budget for one in analysis.allocations]
    average, why = _leading(analysis.fit.core.runs, analysis.fit.core, analysis.judged, budgets, analysis.level)
    notes = (*analysis.notes, *(average.notes if average else ()), *_disjoint(analysis.allocations, average))
    return replace(analysis, average=average, unaveraged=why, notes=notes)


def _leading(
    runs: Runs, found: Fit | FrontierFit, judged: Judgement | None, budgets: Sequence[float], level: float
) -> tuple[Averaged | None, str]:
    """Average over laws on runs, those that a fit set aside among them, or why there is none."""
    if judged is not None and judged.reason == "unfinished":
        return None, "rows lie above what their runs came to; the note lack_of_fit says what the last rows answer."
    average, why = average_beside(runs, budgets, level)
    if (
        average
        and judged is not None
        and _untold(judged, runs, budgets)
        and _untold(_judged_steadily(found, judged, budgets), runs, budgets)
    ):
        return None, "the runs do not tell the compute-optimal size; the note not_identified says why."
    return average, why


def _untold(judged: Judgement, runs: Runs, budgets: Sequence[float]) -> bool:
    """
    Whether the runs do not tell the optimum at some budget, be it roughly.

    A wide interval tells it roughly where the law stands; where the residuals refuse the law as well, as they do where
    a column moves the loss that no law reads, nothing says that the laws of an average do better.
    """
    refused = judged.test is not None and judged.test.refused
    told = judged.reason in ("", "unfinished") or (judged.reason == "wide" and not refused)
    return not told and any(judged.withholds(c, runs) for c in budgets)


def _judged_steadily(found: Fit | FrontierFit, judged: Judgement, budgets: Sequence[float]) -> Judgement:
    """
    Judge the runs by a fit that a few of them do not lead, where squares were fitted.

    Two diverged runs can take the optimum from squares; members of the average listen to them no more than that fit.
    """
    if found.surface is None or found.objective != Objective.squared():
        return judged
    steady = fit(found.runs, law=found.surface.law)
    return judge(steady, budgets) if steady.objective != found.objective else judged


def _pricing(judged: Judgement, found: Fit | FrontierFit, truth: Fit | None) -> Judgement:
    """Return what the surface is worth that prices choices: a frontier is priced on another fit's."""
    return judge(truth) if found.surface is None and truth is not None else judged


DEFAULT_SCHEME = "profile"
"""Where intervals come from unless told otherwise; the study ``calibration`` says why."""


DEFAULT_DRAWS = 1000
"""Bootstrap draws where a kind of interval draws and no number was given."""


def _kind(asked: str | None, draws: int | None) -> str:
    """
    Kind of intervals, as asked for.

    No draws means none, unless a kind that draws nothing was asked for by name; a number
    of draws without a kind asks for a bootstrap.
    """
    if asked is None:
        return DEFAULT_SCHEME if draws is None else ("within-budget" if draws else "none")
    kind = check_kind(asked)
    return "none" if draws == 0 and kind in SCHEMES else kind


BESIDE = ("window", "budget_left_out")
"""Notes on Approach 2 that are told beside another method's fit."""


def _isoflop_beside(found: Fit | FrontierFit, window: int | str | None) -> tuple[FrontierFit | None, list[Note]]:
    """Approach 2 on the same runs with what it leaves out, or the note that says why not."""
    if found.surface is None and found.method == "approach2":
        return found, []
    if not all(map(found.runs.has, COMPLETE)):
        return None, []
    try:
        beside = fit_isoflop(found.runs, window=window)
        return beside, [note for note in beside.notes if note.code in BESIDE]
    except (IdentificationError, UnsupportedError) as error:
        return None, [Note("approach2_unavailable", f"No comparison with Approach 2: {error}")]


def _surface_beside(runs: Runs) -> Fit | None:
    """VPNLS on the same runs, to price a frontier's choice; None where it cannot run."""
    try:
        return fit(runs)
    except IdentificationError:
        return None


def average_beside(runs: Runs, budgets: Sequence[float], level: float) -> tuple[Averaged | None, str]:
    """Average over laws on the same runs, or why there is none."""
    try:
        return averaged(runs, budgets, level), ""
    except IdentificationError as error:
        return None, str(error)


def _disjoint(made: tuple[Allocation, ...], average: Averaged | None) -> list[Note]:
    """Intervals of N* or L* of one law and of the average of laws that do not meet."""
    notes = []
    writers: dict[str, tuple[str, Callable[[float], str]]] = {
        "params": ("N*", format_count),
        "loss": ("L*", lambda loss: f"{loss:.4g}"),
    }
    for one, seen in zip(made, () if average is None else average.outlooks, strict=False):
        told = []
        for name, (word, write) in writers.items():
            ends = (one.interval or {}).get(name) or NOWHERE
            low, high = seen.interval.get(name) or NOWHERE
            if ends[0] > high or ends[1] < low:
                own, other = (f"{write(a)} to {write(b)}" for a, b in (ends, (low, high)))
                told.append(
                    f"the interval of {word} under one law, {own}, and that of the average of laws, {other}, "
                    f"do not meet"
                )
        if told:
            text = (
                f"At {format_flops(one.budget)} {'; '.join(told)}: the runs do not settle the law, and the average is "
                f"the one to plan with."
            )
            notes.append(Note("laws_disagree", text))
    return notes


def _allocation_notes(found: Fit | FrontierFit, made: tuple[Allocation, ...]) -> list[Note]:
    """Budgets far beyond the data, and surfaces without an interior optimum."""
    notes = []
    terms = None if found.surface is None else found.surface.law.terms
    if terms is not None and found.surface is not None and 0 in [terms(found.coefficients)[name] for name in "AB"]:
        text = "A or B is zero, so the fitted surface has no interior compute-optimal point."
        notes.append(Note("no_optimum", text))
    top = reach_of(found)
    far = [a.budget for a in made if a.budget > FAR * top]
    if far:
        text = (
            f"The budget {format_short(max(far), 3)} FLOPs is {max(far) / top:,.0f} times the largest of the runs "
            f"({format_short(top, 3)}): the interval covers noise in the runs, not a law that bends."
        )
        notes.append(Note("extrapolation", text))
    return notes
