"""floors(): what a floor would have forecast: a law under each value of E fitted to the past, scored on what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lawful.core.notes import Note
from lawful.core.numbers import format_level
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Record, Shown
from lawful.core.typing import Array, IntArray
from lawful.core.validation import check_level
from lawful.data.cells import counted_once
from lawful.data.runs import Runs
from lawful.data.table import as_runs
from lawful.errors import IdentificationError, LawfulError, UnsupportedError
from lawful.estimate.fit import fit
from lawful.estimate.priors import prior_of
from lawful.estimate.result import Fit, losses_of
from lawful.laws.laws import Law, find_law

LEAST = 3
"""Distinct budgets, or values of the law's column, that the first fit rests on."""

FREE = "free"
"""The row in which the floor is not held."""


@dataclass(frozen=True, slots=True)
class Floor(Record):
    """
    One floor, and how it forecast runs that were still to come.

    Attributes
    ----------
    held : float, (float, float) or None
        Value of the floor, its mean and standard deviation, or None where it was free.
    ahead : array of int, shape (m,)
        How many budgets beyond the last one fitted each forecast lies.
    error : array, shape (m,)
        Forecast over measured loss, less 1: positive where forecasts are too high.
    covered : array of bool, shape (k,)
        Whether the measured loss lay in its prediction interval; k <= m, none where too few runs tell the noise.
    rss : float or None
        Sum of squares of the fit to all runs.
    trouble : str
        Why it could not be fitted, if so.
    """

    held: Any
    ahead: Array
    error: Array
    covered: Array
    rss: float | None
    trouble: str = ""

    @property
    def next_error(self) -> float | None:
        """Mean absolute relative error of the forecasts one budget ahead."""
        near = self.error[self.ahead == 1]
        return float(np.abs(near).mean()) if near.size else None

    @property
    def mean_error(self) -> float | None:
        """Mean absolute relative error of all forecasts."""
        return float(np.abs(self.error).mean()) if self.error.size else None

    @property
    def signed_error(self) -> float | None:
        """Mean relative error of all forecasts."""
        return float(self.error.mean()) if self.error.size else None

    @property
    def coverage(self) -> float | None:
        """Share of the measured losses inside their intervals."""
        return float(self.covered.mean()) if self.covered.size else None

    def to_dict(self) -> dict[str, Any]:
        """Return the row as it stands in JSON."""
        prior = isinstance(self.held, tuple)
        return {
            "value": self.held[0] if prior else self.held,
            "sd": self.held[1] if prior else None,
            "next_error": self.next_error,
            "mean_error": self.mean_error,
            "signed_error": self.signed_error,
            "coverage": self.coverage,
            "n_forecasts": int(self.error.size),
            "rss": self.rss,
            "trouble": self.trouble or None,
        }


@dataclass(frozen=True, eq=False)
class Floors(Shown):
    """
    What :func:`floors` found.

    Attributes
    ----------
    law, name : str
        The law, and which of its coefficients was held.
    values : tuple of float
        Budgets (or values of the law's only column) of the runs, ascending.
    column : str
        What they are values of.
    level : float
        Coverage the intervals aim at.
    rows : tuple of Floor
        One per floor, the free one last.

    Examples
    --------
    >>> C = np.array([1e18, 3e18, 1e19, 3e19, 1e20, 3e20])
    >>> found = floors({"compute": C, "loss": 1.6 + 94 / C**0.0939}, values=[1.4, 1.6, 1.8])
    >>> print(f"{found.best.held:.1f}")
    1.6
    """

    law: str
    name: str
    values: tuple[float, ...]
    column: str
    level: float
    rows: tuple[Floor, ...]
    notes: tuple[Note, ...] = ()

    @property
    def best(self) -> Floor:
        """The floor, held or known with a width, whose forecasts have the least mean absolute error."""
        told = [one for one in self.rows if one.error.size and one.held is not None]
        return min(told, key=lambda one: float(np.abs(one.error).mean()))

    def sheets(self) -> tuple[Sheet]:
        """Return a line per floor."""
        rows = tuple(
            row(
                _said(one.held),
                Cell(int(one.error.size), "integer"),
                Cell(one.next_error, "share"),
                Cell(one.mean_error, "share"),
                Cell(one.signed_error, "change"),
                Cell(one.coverage, "share"),
                Cell(one.rss, "ratio"),
            )
            for one in self.rows
        )
        heads = (self.name, "forecasts", "next", "all", "signed", f"in {format_level(self.level)}", "RSS")
        said = (
            f"The {self.law} law is fitted to the {LEAST} smallest values of {self.column}, then to one more in turn.",
            "Errors of all runs that came later: mean absolute one value ahead, over all, signed; RSS of all runs.",
        )
        trouble = tuple(Note("unavailable", f"{_said(one.held)}: {one.trouble}") for one in self.rows if one.trouble)
        title = f"Leave-future-out over {len(self.rows)} floors."
        return (Sheet(title, said, heads, rows, "", (), (*self.notes, *trouble)),)


def _said(held: Any) -> str:
    if held is None:
        return FREE
    return Cell(held, "nats").text if isinstance(held, float) else f"{held[0]:g} ± {held[1]:g}"


def floors(
    runs: Any,
    *,
    law: str = "compute",
    values: Sequence[float | str | tuple[float, float]],
    name: str | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    level: float = 0.9,
) -> Floors:
    """
    Hold the floor of a law at each of several values, fit the past, and score the future.

    The runs are ordered by the law's only column, or by budget. The law is fitted to the smallest three values, then to
    one more at a time, and forecasts every run that came later: six optima make 3 + 2 + 1 forecasts per floor.

    Parameters
    ----------
    runs : Runs or table
    law : str
        A law with an irreducible loss.
    values : sequence of float, str or (float, float)
        Floors; one with a width is a prior. The law with a free floor is the last row.
    name : str, optional
        Name of the floor; the law's own irreducible loss by default.
    bounds : mapping of str to (float, float), optional
    level : float
        Coverage of the prediction intervals.

    Returns
    -------
    Floors

    Raises
    ------
    UnsupportedError
        If the law has no irreducible loss, or another coefficient is named.
    IdentificationError
        If there are no more than three distinct values to order the runs by.

    Examples
    --------
    >>> C = np.array([1e18, 3e18, 1e19, 3e19, 1e20, 3e20])
    >>> found = floors({"compute": C, "loss": [3.522, 3.339, 3.154, 3.000, 2.848, 2.725]}, values=[1.4, 1.8])
    >>> [one.held for one in found.rows], found.rows[0].error.size
    ([1.4, 1.8, None], 6)
    """
    check_level(level)
    form = find_law(law)
    if form.constant is None or (name is not None and name != form.constant):
        wrong = f"is held by {form.constant}, not {name}" if form.constant else "has none"
        msg = f"A table of floors holds the irreducible loss of a law, and that of the {law} law {wrong}."
        raise UnsupportedError(msg)
    table = runs if isinstance(runs, Runs) else Runs.read(runs, needs=form.columns)
    table = counted_once(as_runs(table, form.columns)).ordered
    column = form.columns[0] if len(form.columns) == 1 else "C"
    key = table.column(column) if len(form.columns) == 1 else table.budgets[table.group]
    distinct = np.unique(key)
    if distinct.size <= LEAST:
        msg = (
            f"A table of floors fits the {LEAST} smallest values of {column} and forecasts the others, and the runs "
            f"have {distinct.size}; add runs."
        )
        raise IdentificationError(msg)
    rows = tuple(_floor(table, form, held, np.searchsorted(distinct, key), bounds, level) for held in (*values, None))
    return Floors(law, form.constant, tuple(distinct.tolist()), column, level, rows)


def _floor(
    table: Runs, law: Law, held: Any, place: IntArray, bounds: Mapping[str, tuple[float, float]] | None, level: float
) -> Floor:
    """Fit all pasts with the floor held, and forecast what came."""
    prior = None if held is None else prior_of(held)
    given = held if held is None else (float(held) if prior is None else prior.given)
    how: dict[str, Any] = {"law": law, "fixed": None if given is None else {law.constant: given}, "bounds": bounds}
    ahead, errors, covered, trouble = [], [], [], ""
    for last in range(LEAST - 1, int(place.max())):
        future = np.flatnonzero(place > last)
        try:
            found = fit(table.take(place <= last), **how)
        except LawfulError as error:
            trouble = trouble or str(error)
            continue
        test = table.take(future)
        errors.append(np.asarray(losses_of(found.surface, test) / test.L - 1.0))
        ahead.append(place[future] - last)
        covered.append(_covered(found, test, level))
    rss = None
    try:
        rss = fit(table, **how).rss
    except LawfulError as error:
        trouble = trouble or str(error)
    joined = [np.concatenate(parts) if parts else np.empty(0) for parts in (ahead, errors, covered)]
    return Floor(given, joined[0], joined[1], joined[2].astype(bool), rss, trouble)


def _covered(found: Fit, test: Runs, level: float) -> Array:
    """Whether each loss lies in its prediction interval; empty where the runs do not tell the noise."""
    law = found.surface.law
    if not law.predicts or law.repeats:
        return np.empty(0, bool)
    try:
        sure = found.intervals("delta" if law.profiles else "profile", level=level, draws=LEAST_DRAWS)
    except LawfulError:
        return np.empty(0, bool)
    if sure is None:
        return np.empty(0, bool)
    C = test.column("C") if test.has("C") else None
    D = test.column("D") if test.has("D") else np.sqrt(C / 6.0) if C is not None else test.column("N")
    N = test.column("N") if test.has("N") else (C / (6.0 * D) if C is not None else D)
    ends = np.array([sure.prediction(point=(float(n), float(d))) for n, d in zip(N, D, strict=True)])
    return np.asarray((ends[:, 0] <= test.L) & (ends[:, 1] >= test.L))


LEAST_DRAWS = 200
"""Bootstrap draws where a law has no interval in closed form."""
