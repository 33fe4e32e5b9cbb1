"""audit(): which law and method forecast best? Hold out the largest runs, fit the rest, score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lawful.core.notes import Note, Status
from lawful.core.numbers import format_level
from lawful.core.objective import Objective, as_objective
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Record, Shown
from lawful.core.typing import Array, IntArray
from lawful.data.cells import counted_once
from lawful.data.checkpoints import curve_codes
from lawful.data.runs import Runs, group_budgets
from lawful.data.table import as_runs
from lawful.errors import IdentificationError, InputError, UnsupportedError
from lawful.estimate.result import FRONTIER_METHODS
from lawful.forecasting.holdout import LAW_METHODS, HeldOut, forecast_auto, forecast_frontier, forecast_surface
from lawful.forecasting.prior import PRIOR_LAW
from lawful.laws.laws import find_law

HOLDOUTS = ("budget", "params")
LEAST_TRAINING = 3
"""Budgets, or sizes, that a rolling origin must leave to fit on."""

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Difference(Record):
    """
    Two forecasters on the same runs: mean absolute error of one less that of the other.

    Attributes
    ----------
    score, reference : str
        Names of the two.
    mean : float
        Negative where ``score`` is better.
    interval : (float, float)
        From resampling the held-out budgets' runs, whole training curves where rows are points of them.
    """

    score: str
    reference: str
    mean: float
    interval: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Audit(Shown):
    """
    What :func:`audit` found.

    Attributes
    ----------
    kind : {"budget", "params"}
    values : tuple of float
        Budgets, or sizes, held out, ascending.
    rolling : bool
    level : float
    scores : tuple of HeldOut
        In the order asked for.
    differences : tuple of Difference
        Each against the first.
    notes : tuple of Note
        That whole runs were held out, where rows are points of training curves.

    Examples
    --------
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=truth), noise=0.002)
    >>> found = lawful.audit(runs, laws=["chinchilla"], methods=["vpnls", "approach2"], last=1, draws=0)
    >>> [score.name for score in found.scores], found.values
    (['chinchilla, vpnls', 'approach2'], (1e+21,))
    """

    kind: str
    values: tuple[float, ...]
    rolling: bool
    level: float
    scores: tuple[HeldOut, ...]
    differences: tuple[Difference, ...]
    notes: tuple[Note, ...] = ()

    def sheets(self) -> tuple[Sheet, ...]:
        """Return a row per law and method, then the paired differences."""
        budgets = self.kind == "budget"
        held = ", ".join(Cell(value, "flops" if budgets else "count").text for value in self.values)
        what = "budgets (FLOPs)" if budgets else "model sizes"
        rows = tuple(
            row(
                score.name,
                Cell(score.row.size, "integer"),
                Cell(score.median_abs_rel_error, "share"),
                Cell(score.median_rel_error, "change"),
                Cell(score.coverage, "share"),
                score.status.key.replace("_", " "),
            )
            for score in self.scores
        )
        level = format_level(self.level)
        heads = ("law, method", "held out", "error", "signed", f"in {level}", "status")
        title = f"Held out: {what} {held}{', in turn' if self.rolling else ''}."
        said = ("Errors of the loss, medians over runs.",)
        notes = (note for s in self.scores for note in s.notes if note.code in ("best_only", "unavailable"))
        sheets = [Sheet(title, said, heads, rows, "", (), tuple(dict.fromkeys((*self.notes, *notes))))]
        if self.differences:
            gaps = tuple(row(d.score, Cell(d.mean, "change", *d.interval)) for d in self.differences)
            reference = self.differences[0].reference
            title = f"Mean absolute error less that of {reference}, on the runs that both forecast."
            sheets.append(Sheet(title, (), ("", "difference"), gaps, f"{level} interval"))
        return tuple(sheets)

    def score(self, law: str | None, method: str) -> HeldOut:
        """Return the score of one law and method."""
        return next(s for s in self.scores if (s.law, s.method) == (law, method))


def origins(runs: Runs, kind: str, last: int, *, rolling: bool) -> list[tuple[IntArray, IntArray, Array]]:
    """
    Splits of the runs: indices fitted on, indices held out, and the values held out; the full one first.

    Rows of one training curve stay together: its other rows share the error of those that are held out, and would
    foretell them. A curve counts as the budget that its last row has.

    Raises
    ------
    IdentificationError
        If too few budgets or sizes are left to fit on.
    """
    curve = curve_codes(runs.labels, runs.N, runs.D)
    if kind != "budget":
        values, code = np.unique(runs.N, return_inverse=True)
    elif curve is None:
        values, code = runs.budgets, runs.group
    else:
        ends = np.zeros(curve.max() + 1)
        np.maximum.at(ends, curve, runs.C)
        group, values = group_budgets(ends)
        code = group[curve]
    count = values.size
    if count - last < LEAST_TRAINING:
        word = "model sizes" if kind != "budget" else "budgets" if curve is None else "budgets that runs end at"
        msg = (
            f"Holding out {last} of {count} {word} leaves {max(count - last, 0)} to fit on; at least {LEAST_TRAINING} "
            f"are needed: hold out fewer (`last`) or add runs."
        )
        raise IdentificationError(msg)
    out = []
    for stop in range(count, LEAST_TRAINING + last - 1 if rolling else count - 1, -1):
        train, test = np.flatnonzero(code < stop - last), np.flatnonzero((code >= stop - last) & (code < stop))
        out.append((train, test, values[stop - last : stop]))
    return out


def audit(
    runs: Any,
    *,
    laws: Sequence[str] = ("chinchilla", "skaling"),
    methods: Sequence[str] = ("approach3", "vpnls", "prior"),
    holdout: str = "budget",
    last: int = 2,
    rolling: bool = False,
    objective: Objective | str | None = None,
    draws: int = 200,
    level: float = 0.9,
    seed: int = 0,
) -> Audit:
    """
    Forecast held-out runs with every law and method that applies, and score the forecasts.

    Parameters
    ----------
    runs : Runs or DataFrame
        Training runs.
    laws : sequence of str
        Names of the catalogue.
    methods : sequence of str
        ``vpnls`` (sums of powers), ``approach3`` (any law), ``prior`` (the coupled law averaged over
        weak priors on k, see :func:`lawful.forecasting.prior.forecaster`), ``approach2`` (parabolas about
        a frontier with a floor), ``approach1`` (the best loss of a budget only) and ``auto`` (the average of laws,
        by its own intervals).
    holdout : {"budget", "params"}
        Whether the largest budgets or the largest model sizes are held out.
    last : int
        How many of them, >= 1.
    rolling : bool
        Whether earlier ones are held out in turn as well, while three are left to fit on.
    objective : Objective, optional
        For methods that can minimise it; each method's own by default.
    draws : int
        Bootstrap draws for the intervals; 0 for none.
    level : float
        Coverage the intervals of single runs aim at.
    seed : int
        Seed of every draw.

    Returns
    -------
    Audit
        One score per pair that applies. Nothing is chosen for you.

    Raises
    ------
    UnsupportedError
        If a name is unknown or no pair applies.
    IdentificationError
        If too few budgets or sizes are left to fit on.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 3e18, 1e19, 3e19, 1e20], 7, surface=truth)
    >>> found = lawful.audit(lawful.simulate(truth, plan, noise=0.002), laws=["chinchilla"], methods=["vpnls"], draws=0)
    >>> score = found.scores[0]
    >>> score.name, score.n_train, score.row.size, score.median_abs_rel_error < 0.01
    ('chinchilla, vpnls', 21, 14, True)
    """
    # In the one order of all arithmetic: scatter is drawn from rows, and sums round by theirs.
    given, objective = counted_once(as_runs(runs)), as_objective(objective)
    table = given.ordered
    if holdout not in HOLDOUTS:
        msg = f"Unknown holdout {holdout!r}; choose one of {', '.join(HOLDOUTS)}."
        raise UnsupportedError(msg)
    if last < 1:
        msg = f"The number of values to hold out must be at least 1, got {last}."
        raise UnsupportedError(msg)
    pairs = pairs_of(laws, methods)
    splits = origins(table, holdout, last, rolling=rolling)
    # One list of forecast runs over all origins: a run may be forecast from several.
    starts = np.cumsum([0, *(test.size for _, test, _ in splits)])
    scores = []
    for law, method in pairs:
        parts: list[tuple[int, HeldOut]] = []
        trouble: list[Note] = []
        for start, (train, test, _) in zip(starts, splits, strict=False):
            try:
                found = _forecast(table.take(train), table.take(test), law, method, objective, draws, level, seed)
                parts.append((int(start), found))
            except (IdentificationError, InputError, UnsupportedError) as error:
                trouble.append(Note("unavailable", str(error)))
        scores.append(_score(law, method, parts, trouble, splits))
    values = np.unique(np.concatenate([held for _, _, held in splits]))
    stratum = np.concatenate([np.full(test.size, i) for i, (_, test, _) in enumerate(splits)])
    curve = curve_codes(table.labels, table.N, table.D)
    every = np.concatenate([test for _, test, _ in splits])
    unit = np.arange(every.size) if curve is None else curve[every]
    differences = _differences(scores, stratum, unit, level, seed)
    notes = () if curve is None else (_whole(curve, splits[0][1]),)
    if given.order is not None:
        place = np.argsort(np.lexsort((given.order[every], stratum)))
        scores = [_as_given(score, place) for score in scores]
    return Audit(holdout, tuple(values.tolist()), rolling, level, tuple(scores), differences, notes)


def _as_given(score: HeldOut, place: IntArray) -> HeldOut:
    """Return a score with what it says per run in the order of the table that was given."""
    row = place[score.row]
    order = np.argsort(row)
    covered = score.covered[order] if score.covered.size else score.covered
    return replace(score, row=row[order], error=score.error[order], covered=covered)


def _whole(curve: IntArray, test: IntArray) -> Note:
    """Say that rows of one curve were held out together."""
    text = (
        f"Rows are points of {curve.max() + 1} training curves, so whole runs are held out, by the compute of their "
        f"last row: {test.size} rows of {np.unique(curve[test]).size} runs first."
    )
    return Note("whole_runs", text)


def pairs_of(laws: Sequence[str], methods: Sequence[str]) -> list[tuple[str | None, str]]:
    """
    Laws with the methods that can fit them; methods without a law once.

    Raises
    ------
    UnsupportedError
        If a name is unknown, or nothing is left.

    Examples
    --------
    >>> pairs_of(["chinchilla", "skaling"], ["vpnls", "approach3", "approach2"])
    [('chinchilla', 'vpnls'), ('chinchilla', 'approach3'), ('skaling', 'approach3'), (None, 'approach2')]
    """
    unknown = [m for m in methods if m not in ("auto", *LAW_METHODS, *FRONTIER_METHODS)]
    if unknown:
        known = ", ".join(("auto", *LAW_METHODS, *FRONTIER_METHODS))
        msg = f"Unknown method {unknown[0]!r}; choose among {known}."
        raise UnsupportedError(msg)
    pairs: list[tuple[str | None, str]] = []
    for name in laws:
        law = find_law(name)
        for method in methods:
            fits = method == "approach3" or (method == "vpnls" and law.separable)
            if fits or (method == "prior" and name == PRIOR_LAW):
                pairs.append((name, method))
    pairs += [(None, method) for method in methods if method in ("auto", *FRONTIER_METHODS)]
    if not pairs:
        msg = f"None of the methods {', '.join(methods)} can fit any of the laws {', '.join(laws)}."
        raise UnsupportedError(msg)
    return pairs


def _forecast(
    train: Runs,
    test: Runs,
    law: str | None,
    method: str,
    objective: Objective | None,
    draws: int,
    level: float,
    seed: int,
) -> HeldOut:
    if method == "auto":
        return forecast_auto(train, test, level=level)
    if law is None:
        return forecast_frontier(train, test, method, draws=draws, level=level, seed=seed)
    return forecast_surface(train, test, find_law(law), method, objective, draws=draws, level=level, seed=seed)


def _score(
    law: str | None,
    method: str,
    parts: list[tuple[int, HeldOut]],
    trouble: list[Note],
    splits: list[tuple[IntArray, IntArray, Array]],
) -> HeldOut:
    """Join the forecasts of all origins."""
    if not parts:
        none, nothing = np.empty(0, dtype=np.intp), np.empty(0)
        named = (None, splits[0][0].size, law, Status.UNAVAILABLE, tuple(trouble[:1]))
        return HeldOut(method, none, nothing, nothing.astype(bool), *named)
    row = np.concatenate([start + part.row for start, part in parts])
    error = np.concatenate([part.error for _, part in parts])
    covered = np.concatenate([part.covered for _, part in parts])
    first = parts[0][1]
    settled = all(part.status is Status.CONVERGED for _, part in parts)
    status = Status.CONVERGED if settled else Status.NOT_CONVERGED
    if trouble:
        text = f"{len(trouble)} of {len(splits)} origins could not be forecast: {trouble[0].message}"
        trouble = [Note("unavailable", text)]
    notes = tuple(dict.fromkeys((*trouble, *(note for _, part in parts for note in part.notes))))
    return HeldOut(method, row, error, covered, first.objective, splits[0][0].size, law, status, notes)


def _differences(
    scores: list[HeldOut], stratum: IntArray, unit: IntArray, level: float, seed: int
) -> tuple[Difference, ...]:
    """
    Paired differences of the absolute error against the first score, on the runs that both forecast.

    Rows with the same ``unit`` are drawn together.
    """
    if not scores:
        return ()
    out = []
    first = scores[0]
    for index, score in enumerate(scores[1:], start=1):
        shared, here, there = np.intersect1d(score.row, first.row, return_indices=True)
        if shared.size < 2:
            continue
        gap = np.abs(score.error[here]) - np.abs(first.error[there])
        rng = np.random.default_rng([seed, index])
        means = np.zeros(RESAMPLES)
        for value in np.unique(stratum[shared]):
            here = stratum[shared] == value
            which = np.unique(unit[shared][here], return_inverse=True)[1]
            part, rows = np.bincount(which, gap[here]), np.bincount(which)
            drawn = rng.integers(0, part.size, (RESAMPLES, part.size))
            means += part[drawn].sum(axis=1) * (rows.sum() / rows[drawn].sum(axis=1))
        low, high = np.quantile(means / gap.size, [(1 - level) / 2, (1 + level) / 2])
        out.append(Difference(score.name, first.name, float(gap.mean()), (float(low), float(high))))
    return tuple(out)
