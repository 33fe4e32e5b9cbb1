"""What setting runs aside does to the answer: both, where the compute-optimal size moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lawful.analysis.analysis import Analysis, analyse
from lawful.core.notes import Note
from lawful.core.numbers import format_count, format_short, format_signed
from lawful.core.objective import Objective
from lawful.core.shown import Record
from lawful.data.runs import Runs
from lawful.decide.allocate import allocate
from lawful.errors import IdentificationError
from lawful.estimate.fit import fit
from lawful.estimate.result import Fit, FrontierFit
from lawful.laws.laws import DEFAULT_LAW, Law

MOVED = 0.05
"""Relative change of N* beyond which both answers are told."""


@dataclass(frozen=True, slots=True)
class Move(Record):
    """
    The compute-optimal choice at one budget, with all runs and with those kept.

    Attributes
    ----------
    budget : float
        FLOPs.
    params_all, tokens_all : float
        N* and D* of the fit to all runs.
    params_kept, tokens_kept : float
        N* and D* of the fit to the kept ones.

    Examples
    --------
    >>> Move(1e21, params_all=2.0e9, tokens_all=8.3e10, params_kept=2.2e9, tokens_kept=7.6e10).is_large
    True
    """

    budget: float
    params_all: float
    tokens_all: float
    params_kept: float
    tokens_kept: float

    @property
    def is_large(self) -> bool:
        """Whether N* moves by more than 5%; an answer that is no number counts as far away."""
        return not abs(self.params_kept / self.params_all - 1) <= MOVED

    def to_dict(self) -> dict[str, Any]:
        """Return the move as it stands in JSON."""
        return {**asdict(self), "moved": self.is_large}


def moves(kept: Fit | FrontierFit, given: Fit | FrontierFit, budgets: Sequence[float] = ()) -> tuple[Move, ...]:
    """
    Compare the compute-optimal choices of two fits.

    Parameters
    ----------
    kept, given : Fit or FrontierFit
        Fits to the kept runs and to all of them.
    budgets : sequence of float
        Budgets in FLOPs; without any, the largest that was trained.

    Returns
    -------
    tuple of Move
        One per budget.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth))
    >>> [move.is_large for move in moves(lawful.fit(runs), lawful.fit(runs))]
    [False]
    """
    found = []
    for budget in budgets or (float(given.runs.budgets.max()),):
        before, after = allocate(given, budget), allocate(kept, budget)
        found.append(Move(float(budget), before.params, before.tokens, after.params, after.tokens))
    return tuple(found)


def analyse_kept(
    kept: Runs,
    given: Runs,
    *,
    method: str = "auto",
    law: Law | str = DEFAULT_LAW,
    objective: Objective | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    budgets: Sequence[float] = (),
    **sampling: Any,
) -> tuple[Analysis, tuple[Move, ...]]:
    """
    Analyse the runs that a check kept, and tell what leaving out the others changed.

    Parameters
    ----------
    kept, given : Runs
        ``checked.kept`` and ``checked.runs`` of :func:`lawful.check`.
    method, law, objective, fixed, bounds, budgets, **sampling
        As for :func:`lawful.analyse`.

    Returns
    -------
    analysis : Analysis
        Of the kept runs, with a note ``check_moved`` where N* moves by more than 5%.
    moves : tuple of Move
        Both answers at each budget, or at the largest training budget; empty where all
        runs together cannot be fitted.

    Raises
    ------
    LawfulError
        As :func:`lawful.analyse`, on the kept runs.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=1e-3)
    >>> checked = lawful.check(runs)
    >>> analysis, found = analyse_kept(checked.kept, checked.runs, budgets=[1e22], draws=0)
    >>> found[0].budget, found[0].params_kept == analysis.allocations[0].params
    (1e+22, True)
    """
    chosen: dict[str, Any] = {"method": method, "law": law, "objective": objective, "fixed": fixed, "bounds": bounds}
    analysis = analyse(kept, **chosen, budgets=budgets, **sampling)
    try:
        before = fit(given, **chosen)
    except IdentificationError:
        return analysis, ()
    found = moves(analysis.fit, before, budgets)
    notes = tuple(_note(move, len(kept), len(given)) for move in found if move.is_large)
    return replace(analysis, notes=analysis.notes + notes), found


def _note(move: Move, kept: int, given: int) -> Note:
    message = (
        f"At {format_short(move.budget, 3)} FLOPs the {kept} runs that check kept put N* at "
        f"{format_count(move.params_kept)} and D* at {format_count(move.tokens_kept)}, all {given} runs at "
        f"{format_count(move.params_all)} and {format_count(move.tokens_all)}: N* moves by "
        f"{format_signed(move.params_kept / move.params_all - 1)}."
    )
    return Note("check_moved", message)
