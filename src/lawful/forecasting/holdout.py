"""Forecasts of runs that were held out, each with the interval of a single run."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lawful.core.notes import Note, Status
from lawful.core.objective import Objective
from lawful.core.shown import Record
from lawful.core.typing import Array, BoolArray, IntArray
from lawful.data.runs import Runs
from lawful.errors import IdentificationError, InputError, UnsupportedError
from lawful.estimate.fit import fit
from lawful.estimate.isoflop import fit_isoflop
from lawful.estimate.result import SURFACE_METHODS, Fit, losses_of
from lawful.estimate.solvers import Joint, VarPro
from lawful.forecasting.ensemble import ensemble
from lawful.forecasting.prior import forecaster
from lawful.laws.law import Law
from lawful.laws.laws import COMPUTE_LAW
from lawful.uncertainty.bootstrap import bootstrap

LAW_METHODS = (*SURFACE_METHODS, "prior")
"""Methods that forecast by a law; the others by the lines of a frontier."""


@dataclass(frozen=True, eq=False)
class HeldOut(Record):
    """
    How one law and method forecast runs that were held out.

    Attributes
    ----------
    method : str
    row : int array, shape (m,)
        Which of the held-out runs the errors belong to.
    error : array, shape (m,)
        Predicted minus observed loss, as a fraction of the observed one.
    covered : bool array, shape (m,)
        Whether the interval of a single run held the observed loss; empty without draws.
    objective : str or None
        None where nothing could be forecast.
    n_train : int
        Runs fitted on, at the last origin.
    law : str or None
        None for a method without one.
    status : Status
    notes : tuple of Note
    """

    method: str
    row: IntArray
    error: Array
    covered: BoolArray
    objective: str | None
    n_train: int
    law: str | None = None
    status: Status = Status.CONVERGED
    notes: tuple[Note, ...] = ()

    @property
    def name(self) -> str:
        """Law and method in a word or two."""
        return self.method if self.law is None else f"{self.law}, {self.method}"

    @property
    def median_abs_rel_error(self) -> float | None:
        """Median of the absolute relative error."""
        return float(np.median(np.abs(self.error))) if self.error.size else None

    @property
    def median_rel_error(self) -> float | None:
        """Median of the signed relative error: positive where forecasts are too high."""
        return float(np.median(self.error)) if self.error.size else None

    @property
    def coverage(self) -> float | None:
        """Share of held-out losses inside their intervals."""
        return float(self.covered.mean()) if self.covered.size else None


def fit_by(runs: Runs, law: Law, method: str, objective: Objective | None) -> Fit:
    """Fit a law by vpnls or approach3; an objective that the method cannot minimise is left to its own."""
    if method == "vpnls":
        chosen = None if objective is None or objective.is_log else objective
        return fit(runs, law=law, method=VarPro(), objective=chosen)
    return fit(runs, law=law, method=Joint(), objective=objective)


def forecast_surface(
    train: Runs, test: Runs, law: Law, method: str, objective: Objective | None, *, draws: int, level: float, seed: int
) -> HeldOut:
    """
    Fit a law to some runs and forecast others.

    The interval of a run joins the spread of bootstrap refits with the scatter of the training
    runs about their own fit, drawn together.
    """
    if method == "prior":
        return _forecast_average(train, test, objective, draws=draws, level=level, seed=seed)
    found = fit_by(train, law, method, objective)
    predicted = losses_of(found.surface, test)
    covered = np.empty(0, bool)
    if draws:
        drawn = bootstrap(found, draws, seed=seed)
        columns = [test.column(name) for name in law.columns]
        k = {name: value[:, None] for name, value in drawn.coefficients.items()}
        refits = np.asarray(law.loss(k, *columns))
        fitted = losses_of(found.surface, train)
        free = len(law.identifiable)
        scatter = np.log(train.L / fitted) * np.sqrt(len(train) / max(len(train) - free, 1))
        covered = inside(test.L, refits[np.isfinite(refits).all(axis=1)], scatter, level, seed)
    error = predicted / test.L - 1.0
    named = (str(found.objective), len(train), law.name, found.status, _own_notes(found.notes))
    return HeldOut(method, np.arange(len(test)), np.asarray(error), covered, *named)


def _forecast_average(
    train: Runs, test: Runs, objective: Objective | None, *, draws: int, level: float, seed: int
) -> HeldOut:
    """The averaged coupled law; its interval mixes the members' refits, so that it holds their disagreement too."""
    found = forecaster(train, objective)
    covered = np.empty(0, bool)
    if draws:
        share = max(draws // len(found.fits), 10)
        refits = []
        for member in found.fits:
            k = {name: value[:, None] for name, value in bootstrap(member, share, seed=seed).coefficients.items()}
            refits.append(np.asarray(member.surface.law.loss(k, test.N, test.D)))
        rows = np.concatenate(refits)
        free = len(found.fits[0].surface.law.identifiable)
        scatter = np.log(train.L / found.losses(train)) * np.sqrt(len(train) / max(len(train) - free, 1))
        covered = inside(test.L, rows[np.isfinite(rows).all(axis=1)], scatter, level, seed)
    settled = all(member.status is Status.CONVERGED for member in found.fits)
    status = Status.CONVERGED if settled else Status.NOT_CONVERGED
    error = found.losses(test) / test.L - 1.0
    first = found.fits[0]
    named = (str(first.objective), len(train), first.surface.law.name, status)
    return HeldOut("prior", np.arange(len(test)), np.asarray(error), covered, *named)


def forecast_auto(train: Runs, test: Runs, *, level: float) -> HeldOut:
    """Forecast by the average of laws, whose interval is its own; a run too far from the valley counts as missed."""
    found = ensemble(train)
    low, high = found.interval(test.N, test.D, level)
    covered = np.asarray((low <= test.L) & (high >= test.L))
    error = np.asarray(found.loss(test.N, test.D) / test.L - 1.0)
    return HeldOut("auto", np.arange(len(test)), error, covered, "average of laws", len(train))


def inside(observed: Array, refits: Array, scatter: Array, level: float, seed: int) -> BoolArray:
    """Whether each loss lies within the quantiles of refits times drawn scatter, shape (m,); empty without refits."""
    if len(refits) < 2:
        return np.empty(0, bool)
    rng = np.random.default_rng([seed, 1])
    noisy = refits * np.exp(scatter[rng.integers(0, scatter.size, refits.shape)])
    low, high = np.quantile(noisy, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.asarray((observed >= low) & (observed <= high))


def _own_notes(notes: tuple[Note, ...]) -> tuple[Note, ...]:
    """Notes on the answer; those on the table would repeat for every pair."""
    return tuple(note for note in notes if note.code in ("at_bound", "zero_coefficient", "delta_auto", "one_budget"))


def forecast_frontier(train: Runs, test: Runs, method: str, *, draws: int, level: float, seed: int) -> HeldOut:
    """
    Forecast with a method that fits no surface.

    Approach 1 says what the best run of a budget reaches: a power of compute with a floor through
    the best runs of each budget. Approach 2 says what every run reaches: the same
    through the lowest points of the parabolas, plus their mean curvature about the lines N*(C).

    Raises
    ------
    UnsupportedError
        If the method is unknown.
    """
    if method == "approach1":
        best = lowest_of_budgets(train)
        held = lowest_of_budgets(test)
        part = forecast_surface(
            train.take(best), test.take(held), COMPUTE_LAW, "vpnls", None, draws=draws, level=level, seed=seed
        )
        text = f"Forecasts the best run of each budget only, {held.size} of {len(test)} held-out runs."
        notes = (*part.notes, Note("best_only", text))
        return replace(part, law=None, method=method, row=held, n_train=len(train), notes=notes)
    if method != "approach2":
        msg = f"{method!r} is not a method without a surface; choose approach1 or approach2."
        raise UnsupportedError(msg)
    predicted = parabola_losses(train, test)
    covered = np.empty(0, bool)
    if draws:
        rng = np.random.default_rng([seed, 2])
        refits = []
        for _ in range(min(draws, MOST_PARABOLA_DRAWS)):
            drawn = replace(train, weight=_within_budgets(train, rng))
            try:
                refits.append(parabola_losses(drawn, test))
            except (IdentificationError, InputError):
                continue  # a resample may leave a budget with too few sizes for a parabola
        scatter = np.log(train.L / parabola_losses(train, train))
        covered = inside(test.L, np.array(refits), scatter, level, seed)
    error = predicted / test.L - 1.0
    return HeldOut(method, np.arange(len(test)), np.asarray(error), covered, "squared", len(train))


MOST_PARABOLA_DRAWS = 200


def lowest_of_budgets(runs: Runs) -> IntArray:
    """Index of the run with the lowest loss of each budget."""
    rows = (np.flatnonzero(runs.group == g) for g in range(runs.budgets.size))
    return np.array([index[np.argmin(runs.L[index])] for index in rows])


def _within_budgets(runs: Runs, rng: np.random.Generator) -> Array:
    weight = np.zeros(len(runs))
    for g in range(runs.budgets.size):
        index = np.flatnonzero(runs.group == g)
        np.add.at(weight, index[rng.integers(0, index.size, index.size)], 1.0)
    return weight * runs.weight


def parabola_losses(train: Runs, test: Runs) -> Array:
    """Losses that Approach 2 implies at test runs: its parabola moved along the frontier, shape (m,)."""
    kept = train.take(train.counted)
    found = fit_isoflop(kept)
    good = [p for p in found.parabolas if p.in_params[2] > 0]
    lowest = np.array([p.lowest for p in good])
    budgets = np.array([p.budget for p in good])
    curvature = float(np.mean([p.in_params[2] for p in good]))
    ones = np.ones(budgets.size)
    floor = fit(Runs.from_arrays(ones, budgets / 6, lowest, C=budgets), law=COMPUTE_LAW)
    away = np.log10(test.N) - np.log10(found.frontier.params(test.C))
    return np.asarray(COMPUTE_LAW.loss(floor.surface.coefficients, test.C) + curvature * away**2)
