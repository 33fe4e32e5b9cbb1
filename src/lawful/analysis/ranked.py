"""rank_laws(): laws on one table, ranked by runs of high cost that were held out, and the mean of the best three."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from lawful.core.expression import Tape
from lawful.core.notes import Note
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Record, Shown
from lawful.core.typing import Array, BoolArray
from lawful.data.values import distinct
from lawful.design.points import Points, read_points
from lawful.errors import IdentificationError, InputError, UnsupportedError
from lawful.laws.formula import check_columns, expression_of, is_formula, loss_column, signed_box
from lawful.laws.law import Law
from lawful.laws.laws import find_law
from lawful.solve.varpro import search
from lawful.trust.reach import Reach

HELD = 0.25
"""Share of the runs, those of most cost, that is held out, as everywhere in this package."""

BEST = 3
"""Laws whose mean is the forecast. The lowest misfit is no better a forecast, nor is the mean of all laws."""

NEAR = 1.5
"""A law whose held-out error is more times the best law's has no place in the mean.

Its error adds to the mean's by its share, while what averaging takes off is of the size of the best law's own: at twice
or three times that error a second law costs more than it brings."""

AS_GOOD = 3.0
"""A law that breaks down at the points goes behind those whose held-out error is at most so many times the least."""

SPARE = 1
"""Runs beyond its coefficients that a law must be left with."""


NEARNESS = "nearness to the runs to predict"
"""What runs are ordered by where points are given and no cost."""


class Searched(NamedTuple):
    """Coefficients of a law, by group, and in how many rounds of new starts the least sure of them were met."""

    coefficients: dict[str, dict[str, float]]
    met: int


@dataclass(frozen=True, eq=False)
class RankedLaw(Record):
    """
    A law, how it forecast, and its fit to all runs.

    Attributes
    ----------
    law : Law
    miss : float
        Root mean square error of the held-out runs; NaN where too few runs are left to fit it.
    rms : float
        Of the residuals of the fit to all runs.
    fit : Searched
    plausible : bool
        Whether its losses at the runs to predict can be: finite, not below zero nor far above the largest of the runs.
    """

    law: Law
    miss: float
    rms: float
    fit: Searched
    plausible: bool = True


@dataclass(frozen=True, eq=False)
class RankedLaws(Shown):
    """
    Laws in the order of their held-out errors, and the mean of the best three as a forecast.

    Build it with :func:`rank_laws`.

    Attributes
    ----------
    laws : tuple of RankedLaw
        Best first.
    cost : str
        What the runs were ordered by.
    by : str or None
        Column of groups that were fitted apart.
    held, runs : int
        Runs held out, and all.
    reach : Reach
        Columns and losses that the runs cover.
    notes : tuple of Note

    Examples
    --------
    >>> N, D = np.tile(np.geomspace(1e7, 1e9, 6), 5), np.repeat(np.geomspace(1e9, 1e11, 5), 6)
    >>> table = {"params": N, "tokens": D, "loss": 1.7 + 400 / N**0.34 + 410 / D**0.28}
    >>> found = rank_laws(table, ["loss = E + A/params^p", "loss = E + A/params^p + B/tokens^q"])
    >>> found.laws[0].law.columns, len(found.best)
    (('N', 'D'), 1)
    >>> mean = found.predict({"params": [1e10], "tokens": [1e12]})
    """

    laws: tuple[RankedLaw, ...]
    cost: str
    by: str | None
    held: int
    runs: int
    reach: Reach
    notes: tuple[Note, ...] = ()

    def __repr__(self) -> str:
        order = "; ".join(f"{one.law.name} {one.miss:.3g}" for one in self.best)
        return f"RankedLaws({len(self.laws)} laws, {self.runs} runs; best by held-out error: {order})"

    @property
    def best(self) -> tuple[RankedLaw, ...]:
        """The laws whose mean is the forecast."""
        first = self.laws[0]
        near = [one for one in self.laws if one.miss <= NEAR * first.miss and one.plausible is first.plausible]
        return tuple(near[:BEST])

    def each(self, points: Any) -> Array:
        """Losses of every one of the best laws at the rows of a table, shape (laws, n)."""
        table = read_points(points, "runs to predict")
        label = _labels(table, self.by)
        return np.stack([_losses(one.law, one.fit.coefficients, table, label) for one in self.best])

    def predict(self, points: Any) -> Array:
        """
        Mean of the best laws' losses at the rows of a table, shape (n,).

        A law that breaks down at a row (a loss below zero, or far above all of the runs) has no part in its mean where
        another does not.
        """
        each = self.each(points)
        sound = self.reach.plausible(each)
        sound |= ~sound.any(axis=0)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(sound, each, 0.0).sum(axis=0) / sound.sum(axis=0))

    def doubts(self, points: Any) -> tuple[Note, ...]:
        """Notes on columns of a table that lie far outside of the runs, and on rows where the forecast breaks down."""
        table = read_points(points, "runs to predict")
        words = {c for one in self.best for c in one.law.columns}
        shown = {c: table.roles.get(c, c) for c in words}
        far = self.reach.notes({c: table.column(c) for c in sorted(words)}, self.predict(table), shown)
        return (*table.notes, *far)

    def sheets(self) -> tuple[Sheet]:
        """Return a row per law, best first."""
        rows = tuple(
            row(one.law.name, Cell(one.miss), Cell(one.rms), "yes" if one in self.best else "") for one in self.laws
        )
        title = f"Laws by their errors on runs of high cost that were held out ({self.cost})."
        if self.cost == NEARNESS:
            title = "Laws by their errors on the runs nearest to those to predict, held out."
        which = "nearest to those to predict" if self.cost == NEARNESS else "of most cost"
        said = (
            f"Of {self.runs} runs the {self.held} {which} were held out; the forecast is the mean of the best "
            f"{len(self.best)}."
        )
        heads = ("law", "error held out", "rms of all", "in the mean")
        return (Sheet(title, (said,), heads, rows, None, (), self.notes),)

    def to_dict(self) -> dict[str, Any]:
        """Return it as it stands in JSON."""
        laws = [
            {
                "law": one.law.name,
                "held_out_rms": one.miss,
                "rms": one.rms,
                "in_mean": one in self.best,
                "plausible": one.plausible,
                "columns": list(one.law.columns),
                "met": one.fit.met,
                "coefficients": one.fit.coefficients if self.by else one.fit.coefficients[EVERY],
            }
            for one in self.laws
        ]
        head: dict[str, Any] = {
            "schema": "lawful.laws/1",
            "cost": self.cost,
            "by": self.by,
            "n_runs": self.runs,
            "held": self.held,
        }
        head["reach"] = {"columns": {k: list(v) for k, v in self.reach.seen.items()}, "losses": list(self.reach.losses)}
        return {**head, "laws": laws, "notes": [note.to_dict() for note in self.notes]}


def ranked_of(document: Mapping[str, Any]) -> RankedLaws:
    """
    Return the ranking that a document of :meth:`RankedLaws.to_dict` tells of.

    Examples
    --------
    >>> N, D = np.tile(np.geomspace(1e7, 1e9, 6), 5), np.repeat(np.geomspace(1e9, 1e11, 5), 6)
    >>> table = {"params": N, "tokens": D, "loss": 1.7 + 400 / N**0.34 + 410 / D**0.28}
    >>> found = rank_laws(table, ["loss = E + A/params^p", "loss = E + A/params^p + B/tokens^q"])
    >>> again, at = ranked_of(found.to_dict()), {"params": [1e10], "tokens": [1e12]}
    >>> bool(again.predict(at) == found.predict(at))
    True
    """
    laws = []
    for one in document["laws"]:
        law = find_law(one["law"], one["columns"])
        held = {name: float(value) for name, value in one["coefficients"].items()} if not document["by"] else None
        groups = {EVERY: held} if held is not None else one["coefficients"]
        if any(set(k) != set(law.names) for k in groups.values()) or list(law.columns) != one["columns"]:
            msg = f"The coefficients of {law.name} are not those of its formula."
            raise InputError(msg)
        miss = np.nan if one["held_out_rms"] is None else one["held_out_rms"]
        laws.append(RankedLaw(law, miss, one["rms"], Searched(groups, one["met"]), one["plausible"]))
    seen = {c: (low, high) for c, (low, high) in document["reach"]["columns"].items()}
    low, high = document["reach"]["losses"]
    notes = tuple(Note(note["code"], note["message"]) for note in document["notes"])
    head = document["cost"], document["by"], document["held"], document["n_runs"]
    return RankedLaws(tuple(laws), *head, Reach(seen, (low, high)), notes)


def predicted_document(ranked: RankedLaws, points: Any) -> dict[str, Any]:
    """Return the forecast of a table as JSON types (schema ``lawful.predictions/1``); a ranking has no intervals."""
    loss = ranked.predict(points)
    rows = [{"loss": float(v) if np.isfinite(v) else None, "interval": None, "prediction": None} for v in loss]
    notes = [note.to_dict() for note in ranked.doubts(points)]
    return {"schema": "lawful.predictions/1", "method": "ranked laws", "points": rows, "notes": notes}


def predicted_lines(document: Mapping[str, Any]) -> list[str]:
    """Say a forecast by ranked laws, its doubts first."""
    losses = ("no value" if one["loss"] is None else f"{one['loss']:.5g}" for one in document["points"])
    return [*(note["message"] for note in document["notes"]), f"Mean of the best laws: {', '.join(losses)}"]


EVERY = "all"
"""Name of the one group where none are told apart."""


def rank_laws(
    runs: Any,
    laws: Sequence[Law | str],
    *,
    cost: str | None = None,
    by: str | None = None,
    bounds: Sequence[Mapping[str, tuple[float, float]]] | None = None,
    points: Any = None,
) -> RankedLaws:
    """
    Rank laws by how they forecast runs of high cost from cheaper ones, and fit the best three to all runs.

    Parameters
    ----------
    runs : path, Runs, DataFrame, mapping of str to array_like, or list of records
        With the columns that the laws name, and the loss.
    laws : sequence of Law or str
        Two or more: names of the catalogue, or formulas.
    cost : str, optional
        What orders the runs: a column, or a formula of columns; FLOPs if not given.
    by : str, optional
        Column of groups that every law is fitted to apart; errors are pooled.
    bounds : sequence of mapping, optional
        Bounds of coefficients, one mapping per law.
    points : table, optional
        Runs that are to be predicted: where no `cost` orders the runs, the quarter nearest to these is held out, in
        standardised logs of the columns that the laws name. Their losses, if any, are not read.

    Returns
    -------
    RankedLaws

    Raises
    ------
    UnsupportedError
        If fewer than two laws are given, or one is not written as a formula.
    IdentificationError
        If no law leaves runs to be held out.

    Notes
    -----
    The quarter of the runs of most cost in every group is held out (or nearest to the points), and each law is fitted
    to the others by least squares. Nothing else ranks them.
    """
    table = read_points(runs, "runs")
    if len(laws) < 2:
        msg = f"Laws are ranked against each other; give two or more, not {len(laws)}."
        raise UnsupportedError(msg)
    texts = {loss_column(t if isinstance(t, str) else t.name) for t in laws if isinstance(t, str) or is_formula(t.name)}
    named = sorted(t for t in texts if t is not None)
    if len(named) > 1:
        msg = f"The laws name different columns as the loss ({', '.join(named)}); take one."
        raise UnsupportedError(msg)
    loss = table.loss(named[0] if named else None)
    label = _labels(table, by)
    price = None if points is not None and cost is None else _cost(table, cost)
    forms = [find_law(one, table.words) if isinstance(one, str) else one for one in laws]
    around = bool(named) and bool((loss <= 0).any())
    own = [{**law.bounds, **(signed_box(law, loss) if around else {})} for law in forms]
    boxes = [{**box, **(dict(bounds[i]) if bounds else {})} for i, box in enumerate(own)]
    if price is None:
        words = sorted({c for law in forms for c in law.columns})
        price = -_distance(table, label, read_points(points, "runs to predict"), by, words)
        cost = NEARNESS
    kept = _cheap(price, label, HELD)
    data = _Observed(table, loss, label)
    made = [_ranked(law, box, data, kept) for law, box in zip(forms, boxes, strict=True)]
    if not any(np.isfinite(one.miss) for one in made):
        msg = f"{loss.size} runs leave none of the laws enough to be fitted with the dearest held out; add runs."
        raise IdentificationError(msg)
    reach = Reach.of({c: table.column(c) for c in sorted({c for law in forms for c in law.columns})}, loss)
    order = _ordered(made if points is None else _judged(made, reach, read_points(points, "runs to predict"), by))
    held = int(loss.size - kept.sum())
    return RankedLaws(tuple(order), cost or "6ND", by, held, loss.size, reach, (*table.notes, *_notes(order)))


def _judged(made: Sequence[RankedLaw], reach: Reach, points: Points, by: str | None) -> list[RankedLaw]:
    """The same laws, each with whether its losses at the points can be."""
    label = _labels(points, by)
    return [
        replace(one, plausible=bool(reach.plausible(_losses(one.law, one.fit.coefficients, points, label)).all()))
        for one in made
    ]


def _ordered(made: Sequence[RankedLaw]) -> list[RankedLaw]:
    """
    Laws by held-out error; one that breaks down at the points goes behind those that are as good on the held-out runs.

    As good is within a wider factor than a place in the mean asks for: no loss can be below zero, however well it held.
    """
    order = sorted(made, key=lambda one: one.miss if np.isfinite(one.miss) else np.inf)
    near = [one for one in order if one.miss <= AS_GOOD * order[0].miss]
    return [*sorted(near, key=lambda one: not one.plausible), *order[len(near) :]]


def _notes(order: Sequence[RankedLaw]) -> tuple[Note, ...]:
    few = [one.law.name for one in order if one.fit.met < 2]
    notes = []
    if few:
        text = f"One round of new starts alone ended in the fits of {'; '.join(few)}; better ones may exist."
        notes.append(Note("few_starts", text))
    wild = [one.law.name for one in order if not one.plausible]
    if wild:
        text = (
            f"At the runs to predict these laws break down, with losses below zero or far above those of the runs: "
            f"{'; '.join(wild)}. They go behind others that are as good on the held-out runs."
        )
        notes.append(Note("extrapolation", text))
    return tuple(notes)


def _labels(table: Points, by: str | None) -> Array:
    """Group of every row, as text."""
    if by is None:
        return np.full(len(table), EVERY, dtype=object)
    if by not in table.table.columns:
        msg = f"The {table.what} have no column {by!r} to tell groups apart; they have {', '.join(table.table.keys)}."
        raise InputError(msg)
    return np.array([str(v) for v in table.table.columns[by]], dtype=object)


def _cost(table: Points, cost: str | None) -> Array:
    if cost is not None:
        return table.cost(cost)
    try:
        return table.column("C")
    except InputError:
        msg = "Nothing says what a run of this table costs; give `cost`, a column or a formula such as 6*params*tokens."
        raise InputError(msg) from None


def _distance(table: Points, label: Array, points: Points, by: str | None, words: Sequence[str]) -> Array:
    """Squared distance of every run to the nearest of the points of its group, in standardised logs of the columns."""
    there, out = _labels(points, by), np.full(len(table), np.inf)
    both = [np.concatenate([table.column(w), points.column(w)]) for w in words]
    logs = np.column_stack([np.log(v) if (v > 0).all() else v for v in both])
    spread = logs.std(axis=0)
    z = logs / np.where(spread > 0, spread, 1.0)
    for group in distinct(label)[0]:
        at, near = np.flatnonzero(label == group), len(table) + np.flatnonzero(there == group)
        if near.size:
            out[at] = ((z[at][:, None, :] - z[near][None]) ** 2).sum(axis=2).min(axis=1)
    return np.where(np.isfinite(out), out, 0.0)


def _cheap(price: Array, label: Array, share: float) -> BoolArray:
    """Runs that are left once those of most cost in every group are held out."""
    kept = np.ones(price.size, dtype=bool)
    for group in distinct(label)[0]:
        at = np.flatnonzero(label == group)
        count = round(share * at.size)
        kept[at[np.argsort(price[at], kind="stable")[at.size - count :]]] = False
    return kept


Boxes = Mapping[str, tuple[float, float]]


class _Observed(NamedTuple):
    """What every law is fitted to: a table, its losses, shape (n,), and the group of every row, shape (n,)."""

    table: Points
    loss: Array
    label: Array


def _ranked(law: Law, box: Boxes, data: _Observed, kept: BoolArray) -> RankedLaw:
    """Error of a law on the runs that were held out, and its fit to all runs."""
    cheap, miss = _fitted(law, box, data, kept), np.nan
    if cheap is not None:
        away = data.loss - _losses(law, cheap.coefficients, data.table, data.label)
        miss = float(np.sqrt((away[~kept] ** 2).mean()))
    every = _fitted(law, box, data, np.ones(kept.size, dtype=bool))
    if every is None:
        msg = f"{kept.size} runs cannot determine {len(law.identifiable)} coefficients of {law.name}; leave it out."
        raise IdentificationError(msg)
    rms = float(np.sqrt(((data.loss - _losses(law, every.coefficients, data.table, data.label)) ** 2).mean()))
    return RankedLaw(law, miss, rms, every)


def _fitted(law: Law, box: Boxes, data: _Observed, kept: BoolArray) -> Searched | None:
    """Least squares of every group; None where one has too few runs."""
    try:
        formula = expression_of(law)
    except UnsupportedError:
        msg = f"The {law.name} law is not written as a formula of its columns; laws that are ranked must be."
        raise UnsupportedError(msg) from None
    made, met = {}, 2
    for group in distinct(data.label)[0]:
        rows = kept & (data.label == group)
        if rows.sum() < len(law.identifiable) + SPARE:
            return None
        columns = {c: data.table.column(c)[rows] for c in law.columns}
        check_columns(law, columns, bounds=box)
        found = search(formula, columns, data.loss[rows], {n: box[n] for n in law.names})
        made[str(group)], met = found.coefficients, min(met, found.met)
    return Searched(made, met)


def _losses(law: Law, coefficients: Mapping[str, Mapping[str, float]], table: Points, label: Array) -> Array:
    """Losses of a law at the rows of a table, each by its group's coefficients."""
    tape, out = Tape(expression_of(law)), np.full(len(table), np.nan)
    for group in distinct(label)[0]:
        if str(group) not in coefficients:
            msg = f"No law was fitted to the group {group!r}; there are {', '.join(coefficients)}."
            raise InputError(msg)
        rows = label == group
        columns = {c: table.column(c)[rows] for c in law.columns}
        out[rows] = tape.run({**columns, **coefficients[str(group)]})[tape.outputs[0]]
    return out
