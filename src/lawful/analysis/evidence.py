"""What a report rests on besides the analysis: the other methods, the check, the dial, the valley, the bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.analysis.compare import Outcome, Unavailable, outcome, usable_options
from lawful.analysis.influence import Influence, influence
from lawful.analysis.rivals import Rival, rivals
from lawful.approach2.bias import Bias, bias
from lawful.checks.check import Checked, check
from lawful.core.notes import Note
from lawful.core.objective import Objective
from lawful.core.shown import Record
from lawful.decide.indifference import Indifference, indifference
from lawful.errors import LawfulError
from lawful.estimate.result import METHODS, SURFACE_METHODS
from lawful.forecasting.averaged import MethodRecord, method_records
from lawful.trust.dial import AsymptoteDial, asymptote_dial
from lawful.uncertainty.resample import SCHEMES

MOST_CHECKED = 20_000
"""With more runs than this the rules of check would take longer than the rest of the report."""
MOST_PROFILED = 10_000
"""With more runs than this the other methods are fitted without intervals, and there is no dial."""


@dataclass(frozen=True, eq=False)
class Evidence(Record):
    """
    Everything that a report shows about one analysis.

    Attributes
    ----------
    analysis : Analysis
        The fit with what it implies.
    outcomes : tuple of Analysis or Unavailable
        All methods on the same runs; the analysis stands for its own.
    checked : Checked or str
        What the rules of check say of the runs, or why they were not applied.
    applied : bool
        Whether the check came first, so that flagged runs are not among those fitted.
    target : float
        Budget in FLOPs at which dial and valley are drawn.
    dial : AsymptoteDial or str
        The forecast as a function of E, or why there is none.
    region : Indifference or str
        The sizes that are as good as N*, or why there are none.
    bias : Bias or str
        What Approach 2 must get wrong on these sizes, or why that is unknown.
    rivals : tuple of Rival
        The first budget answered by other laws and objectives, and without flagged runs.
    influence : Influence or str
        N* at the target without each budget and each run, or why that cannot be had.
    records : tuple of MethodRecord
        How each method forecast the largest of these budgets from the others.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.005)
    >>> evidence = gather(lawful.analyse(runs, budgets=[1e22]))
    >>> [outcome.method for outcome in evidence.outcomes], f"{evidence.target:g}"
    (['vpnls', 'approach3', 'approach2', 'approach1'], '1e+22')
    """

    analysis: Analysis
    outcomes: tuple[Outcome, ...]
    checked: Checked | str
    applied: bool
    target: float
    dial: AsymptoteDial | str
    region: Indifference | str
    bias: Bias | str
    rivals: tuple[Rival, ...] = ()
    influence: Influence | str = ""
    records: tuple[MethodRecord, ...] = ()

    @property
    def is_asked(self) -> bool:
        """Whether the target is a budget that was asked for, not the largest that was trained."""
        return bool(self.analysis.allocations)


UNTOLD = "The runs do not tell the compute-optimal size, so there is nothing to show here; the notes say why."
"""Stands in the place of what hangs on an optimum that the runs do not tell."""

ORDER = ("vpnls", "approach3", "approach2", "approach1")
"""Methods as a report lists them: those with a surface first."""


def gather(analysis: Analysis, *, checked: Checked | None = None) -> Evidence:
    """
    Collect what a report shows: four methods, check, dial, indifference and bias on the same runs.

    Parameters
    ----------
    analysis : Analysis
        A fit with what it implies.
    checked : Checked, optional
        The check that chose the runs; without one its rules are applied to the runs as they are.

    Returns
    -------
    Evidence
        Where something cannot be had, the sentence that says why stands in its place.
    """
    fit = analysis.fit
    fit.runs.require(
        also="; a report shows all three, and what the fit of another table says is told by lawful predict"
    )
    target = max([a.budget for a in analysis.allocations], default=float(fit.runs.budgets.max()))
    # What hangs on an optimum that the decision withholds is withheld with it.
    lost = UNTOLD if analysis.withholds(target) else ""
    found = checked or _check(analysis)
    average = analysis.average
    return Evidence(
        analysis=analysis,
        outcomes=tuple(_method(analysis, method) for method in ORDER if method in METHODS),
        checked=found,
        applied=checked is not None,
        target=target,
        dial=lost or _dial(analysis, target),
        region=lost or _indifference(analysis, target),
        bias=lost or _bias(analysis),
        rivals=rivals(analysis, found, applied=checked is not None) if len(fit.runs) <= MOST_PROFILED else (),
        influence=lost or _influence(analysis, target),
        records=() if average is None else method_records(fit.runs, average.record),
    )


def _method(analysis: Analysis, method: str) -> Outcome:
    """Fit by another method as the analysis was made: same budgets, level, and intervals where it has any."""
    if method == analysis.method:
        return analysis
    fit, sure = analysis.fit, analysis.sure
    has_surface = method in SURFACE_METHODS
    options: dict[str, Any] = {"budgets": [a.budget for a in analysis.allocations], "level": analysis.level}
    if sure is None or len(fit.runs) > MOST_PROFILED:
        options["draws"] = 0
    elif analysis.draws is not None:
        # A cluster is a column of labels that only the first analysis was told.
        scheme = "within-budget" if analysis.draws.scheme == "cluster" else analysis.draws.scheme
        options |= {"draws": len(analysis.draws), "seed": analysis.draws.seed}
        options["intervals"] = scheme if has_surface or scheme in ("within-budget", "rows") else "within-budget"
    elif has_surface and sure.kind not in SCHEMES:
        options["intervals"] = sure.kind
    if has_surface and fit.surface is not None:
        options |= {"law": fit.surface.law, "fixed": fit.held or None, "bounds": fit.solver.bounds or None}
        # A choice of objective is carried over; each method's own default stays its own, as `compare` has it.
        default = Objective.squared() if analysis.method == "vpnls" else Objective.log_huber()
        options |= usable_options(method, fit.objective if fit.objective != default else None)
    try:
        return outcome(fit.runs, method, **options)
    except LawfulError as error:  # a law that this method cannot fit, as well
        return Unavailable(method, Note("unavailable", str(error)), len(fit.runs))


def _check(analysis: Analysis) -> Checked | str:
    runs = analysis.fit.runs
    if len(runs) > MOST_CHECKED:
        return f"check was not run: more than {MOST_CHECKED:,} runs; `lawful check` takes its time for them."
    try:
        return check(runs)
    except LawfulError as error:
        return f"check was not run: {error}"


def _dial(analysis: Analysis, target: float) -> AsymptoteDial | str:
    fit = analysis.fit
    if fit.surface is None:
        return f"There is no dial here: {fit.method} fits no surface, so there is no E to turn."
    if len(fit.runs) > MOST_PROFILED:
        return f"With more than {MOST_PROFILED:,} runs the dial is left out; fit.dial(budget) turns it on request."
    try:
        with np.errstate(divide="ignore", invalid="ignore"):  # a perfect fit has no misfit to measure a rise in
            dial = asymptote_dial(fit, target, level=analysis.level)
    except LawfulError as error:
        return str(error)
    usable = all(np.all(np.isfinite(column)) for column in dial.table.values())
    if not usable or not np.any(dial.table["support"] > 0):
        return "The runs do not bound E on both sides, so there is no range to turn the dial over."
    return dial


def _indifference(analysis: Analysis, target: float) -> Indifference | str:
    fit = analysis.fit
    if fit.surface is None:
        return f"{fit.method} fits no surface, so it cannot say how flat the valley is."
    try:
        return indifference(fit, target)
    except LawfulError as error:
        return str(error)


def _influence(analysis: Analysis, target: float) -> Influence | str:
    if len(analysis.fit.runs) > MOST_PROFILED:
        return f"With more than {MOST_PROFILED:,} runs none is left out: no single one moves the answer."
    try:
        return influence(analysis.fit, target)
    except LawfulError as error:
        return str(error)


def _bias(analysis: Analysis) -> Bias | str:
    fit = analysis.fit
    if analysis.isoflop is None:
        return "Approach 2 cannot run on these runs, so it has no bias here."
    if fit.surface is None:
        return f"{fit.method} fits no surface that could stand for the truth; fit with vpnls or approach3."
    try:
        return bias(fit)
    except LawfulError as error:
        return str(error)
