"""Tables of runs, candidates and targets for a law of any columns, read by the names of its columns."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lawful.core.expression import parse
from lawful.core.notes import Note
from lawful.core.numbers import format_short
from lawful.core.shown import Record
from lawful.core.typing import Array
from lawful.data.columns import UNIQUE_NAMES, find_column, known_quantities, listed, normalise
from lawful.data.layout import laid_out
from lawful.data.runs import Runs
from lawful.data.selection import IN_MEMORY, Rows, Selection, open_table, select_rows
from lawful.data.table import Handling, narrowed, third_quantity
from lawful.data.translate import computed, numbers, quantity_of, translate, worded
from lawful.data.units import PLAUSIBLE
from lawful.data.values import number_or_nan, require_positive
from lawful.errors import InputError
from lawful.laws.formula import QUANTITIES as NAMES
from lawful.sources.read import load_columns

ROLES = {"params": "N", "tokens": "D", "budget": "C", "loss": "L"}
QUANTITY = {"N": "params", "D": "tokens", "C": "budget"}


@dataclass(frozen=True, eq=False)
class Points(Record):
    """
    A table whose columns a law may name.

    Attributes
    ----------
    what : str
        What its rows are, for messages.
    table : Rows
    roles : mapping of str to str
        N, D, C, U and L to the column that holds them, where the table has one.
    unclear : str
        Why it is not known which columns these are; said only where one of them is needed.
    notes : tuple of Note
        What is to be known of how it was read.
    """

    what: str
    table: Rows
    roles: Mapping[str, str]
    unclear: str = ""
    notes: tuple[Note, ...] = ()

    def __len__(self) -> int:
        return self.table.row.size

    @property
    def words(self) -> list[str]:
        """Columns that a formula names as they are; N, D, C and U it knows by these names."""
        return [key for key in self.table.keys if key not in self.roles.values() or key not in NAMES]

    def column(self, word: str) -> Array:
        """
        Values of a column or quantity, shape (n,); C is 6ND and D is C/6N where the table has not its own.

        Quantities are positive. Of other columns a law says what it can take, see
        :func:`lawful.laws.formula.check_columns`.

        Raises
        ------
        InputError
            If there is none, or its values are no finite numbers.
        """
        key = self.roles.get(word, word if word in self.table.columns else None)
        if key is not None:
            values = np.asarray(numbers(key, self.table), float)
            if word in NAMES.values():
                require_positive({key: values}, self.table.row)
            bad = np.flatnonzero(~np.isfinite(values))
            if bad.size:
                msg = f"Column {key!r} must hold finite numbers; row {self.table.row[bad[0]]} does not."
                raise InputError(msg)
            return values
        others = set(QUANTITY) - {word}
        if word in QUANTITY and others <= self.roles.keys():
            return third_quantity({QUANTITY[other]: self.column(other) for other in sorted(others)})[1]
        if word in QUANTITY and self.unclear:
            raise InputError(self.unclear)
        names = {"N": "params (N)", "D": "tokens (D)", "C": "budget (C)", "U": f"unique tokens ({UNIQUE_NAMES[0]})"}
        msg = (
            f"The law needs a column of {names.get(word, repr(word))}, and the {self.what} have none; "
            f"their columns are {listed(self.table.keys)}."
        )
        raise InputError(msg)

    def loss(self, name: str | None) -> Array:
        """
        Losses, from the column of that name or the one that is known for them.

        Raises
        ------
        InputError
            If there is none, or a value is no finite number.
        """
        if name is None and "L" not in self.roles and self.unclear:
            raise InputError(self.unclear)
        if name is None and "L" not in self.roles:
            msg = f"The {self.what} have no column of losses; their columns are {listed(self.table.keys)}."
            raise InputError(msg)
        key = self.roles["L"] if name is None else find_column(name, self.table.keys, self.table.header, asked="loss")
        values = np.asarray(numbers(key, self.table), float)
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            first = f"(first: row {bad[0] + 1})"
            msg = f"Column {key!r} must hold finite losses; {bad.size} of {values.size} are not {first}."
            raise InputError(msg)
        return values

    def cost(self, text: str) -> Array:
        """
        Cost of every row: a column, or a formula of columns such as ``6*params*tokens``.

        Raises
        ------
        InputError
            If it names no column, or a cost is no positive number.
        """
        if text in self.table.columns:
            values = np.asarray(numbers(text, self.table), float)
        elif normalise(text).isidentifier():
            values = np.asarray(
                numbers(find_column(text, self.table.keys, self.table.header, asked="cost"), self.table)
            )
        else:
            formula = parse(text)
            values = np.asarray(computed(formula, self._with(formula.names)), float)
        require_positive({text: values}, self.table.row)
        return values

    def _with(self, words: Collection[str]) -> Rows:
        """Rows with the quantities that a formula calls by their names and no column does."""
        there = {normalise(title) for title in (*self.table.keys, *self.table.header)}
        named = {w: ROLES.get(quantity_of(w), "") for w in words if normalise(w) not in there}
        more = {w: self.column(symbol) for w, symbol in sorted(named.items()) if symbol in QUANTITY}
        return replace(self.table, columns={**self.table.columns, **more}, header=[*self.table.header, *more])

    def cells(self, row: int) -> dict[str, Any]:
        """One row as it stands in the table."""
        return {key: column[row] for key, column in self.table.columns.items()}


def read_points(
    given: Any,
    what: str,
    *,
    columns: Mapping[str, str] | None = None,
    select: Selection | None = None,
    where: str | None = None,
    drop: Sequence[int | str] | str = (),
    fill_down: Sequence[str] | str = (),
) -> Points:
    """
    Read a table, laid out and with the units that it states, as :func:`lawful.read_runs` does: files, runs or columns.

    Parameters
    ----------
    given : path, paths, Runs, mapping of str to array_like, list of records, or DataFrame
    what : str
        What its rows are, for messages.
    columns, select, where, drop, fill_down
        As for :func:`lawful.read_runs`.

    Raises
    ------
    InputError
        If it is no table.

    Examples
    --------
    >>> pool = read_points({"params (M)": [100, 200], "experts": [4, 8]}, "candidates")
    >>> pool.column("N").tolist(), pool.cost("6*params*experts").tolist(), pool.notes[0].message
    ([100000000.0, 200000000.0], [2400000000.0, 9600000000.0], "Of the candidates: column 'params (M)' was read in \
millions: params = params (M) × 1e6.")
    """
    if isinstance(given, Points):
        return given
    if isinstance(given, Runs):
        own = {"N": given.N, "D": given.D, "C": given.C, "loss": given.L}
        labels = {k: v for k, v in given.labels.items() if k not in own}
        table, known_as, notes, unclear = _known(open_table(own | labels, given.source, None), columns or {})
    else:
        raw = open_table(*_columns(given))
        asked = columns or {}
        table, said = laid_out(raw, asked, fill_down, in_memory=raw.source == IN_MEMORY, losses=False)
        table, known_as, more, unclear = _known(table, asked)
        notes = [*raw.notes, *said, *more]
    table, more = narrowed(select_rows(table, known_as, select or {}), known_as, Handling(where=where, drop=drop))
    roles = {ROLES[quantity]: key for quantity, key in known_as.items()}
    known = {normalise(n) for n in UNIQUE_NAMES}
    unique = [key for key in table.keys if normalise(key) in known]
    if unique:
        roles["U"] = unique[0]
    # What was asked for needs no word.
    of_them = [Note(n.code, f"Of the {what}: {n.message[0].lower()}{n.message[1:]}") for n in notes]
    return Points(what, table, roles, unclear, (*of_them, *_doubts(what, table, known_as)))


def _columns(given: Any) -> tuple[Mapping[str, Any], str, list[str]]:
    if isinstance(given, os.PathLike):
        given = os.fspath(given)
    columns, header, source = load_columns(given)
    return columns, source, header


def _known(table: Rows, asked: Mapping[str, str]) -> tuple[Rows, dict[str, str], list[Note], str]:
    """Rows with plain numbers, the columns of quantities, and why these are not known; a law may need none of them."""
    unclear = ""
    for losses in (True, False):
        try:
            found, mapping, notes = translate(table, asked, losses=losses)
            known_as = known_quantities(found.keys, found.header, mapping, words=worded(found))
        except InputError as error:
            unclear = unclear or str(error)
            continue
        return found, {q: key for q, key in known_as.items() if q != "loss" or not unclear}, notes, unclear
    return table, {}, [], unclear


def _doubts(what: str, table: Rows, known_as: Mapping[str, str]) -> list[Note]:
    """Doubt counts that no run has, which nothing refuses here: a law of other columns may read none of them."""
    notes = []
    for quantity, (low, high) in PLAUSIBLE.items():
        key = known_as.get(quantity)
        values = number_or_nan(table.columns[key]) if key is not None else np.zeros(0)
        values = values[np.isfinite(values) & (values > 0)]
        if values.size and (values.min() < low or values.max() > high):
            text = (
                f"Column {key!r} of the {what} lies between {format_short(values.min(), 4)} and "
                f"{format_short(values.max(), 4)}, as no {quantity} of real runs do: if a unit is missing, say it in "
                f"the header, as in '{key} (M)'."
            )
            notes.append(Note("unit_doubt", text))
    return notes
