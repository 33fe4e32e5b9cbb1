"""Clean columns of a table, and the choice of rows by the values in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lawful.core.notes import Note
from lawful.core.shown import Record
from lawful.core.typing import AnyArray, BoolArray, IntArray
from lawful.data.columns import find_column, listed, unique_names
from lawful.data.runs import SAME_BUDGET
from lawful.data.values import column_values, distinct, parse_number, value_text
from lawful.errors import InputError, UnsupportedError

Selection = Mapping[str, Any]
"""Column to a value, or to several of which any will do."""

VALUES_OFFERED = 10
"""Values of a column named in a message before the rest is counted."""


IN_MEMORY = "table"
"""Where runs came from that were given as a frame or as arrays: every row of these is a run, a blank one too."""

NAN = "nan"
"""Word for the rows in which a quantity is missing, no number or not positive."""

MOST_DROPPED = 10**7
"""Rows that a range may name."""


def rows_named(rows: Sequence[int | str] | str) -> tuple[int | str, ...]:
    """
    Read rows that are to be left out: numbers, ranges of them, and the word for those without a number.

    Raises
    ------
    UnsupportedError
        If a text is none of them.

    Examples
    --------
    >>> rows_named("3,17-19"), rows_named([2, "nan"])
    ((3, 17, 18, 19), (2, 'nan'))
    """
    found: list[int | str] = []
    for given in rows.split(",") if isinstance(rows, str) else rows:
        text = str(given).strip()
        first, dash, last = text.partition("-")
        if text.casefold() == NAN:
            found.append(NAN)
        elif isinstance(given, (int, np.integer)) and not isinstance(given, bool):
            found.append(int(given))
        elif re.fullmatch(r"\d{1,9}", first.strip()) and (not dash or re.fullmatch(r"\d{1,9}", last.strip())):
            end = int(last if dash else first)
            if end - int(first) > MOST_DROPPED:
                msg = (
                    f"`drop` takes ranges of at most {MOST_DROPPED:,} rows, got {text!r}; keep the others with `where`."
                )
                raise UnsupportedError(msg)
            found += range(int(first), end + 1)
        else:
            msg = f"`drop` takes rows and ranges such as 3,17-19, or nan, got {text!r}."
            raise UnsupportedError(msg)
    return tuple(found)


class Noted(dict[str, Any]):
    """
    Values of a source by header, with what is to be known of how they were read.

    Examples
    --------
    >>> notes_of(Noted.of({"N": [1]}, [Note("encoding", "Read as Windows-1252.")]))[0].code, notes_of({"N": [1]})
    ('encoding', ())
    """

    notes: tuple[Note, ...] = ()

    @classmethod
    def of(cls, columns: Mapping[str, Any], notes: Iterable[Note]) -> Noted:
        """Return columns with notes."""
        made = cls(columns)
        made.notes = tuple(notes)
        return made


def notes_of(columns: Mapping[str, Any]) -> tuple[Note, ...]:
    """Notes that columns of a source come with."""
    return columns.notes if isinstance(columns, Noted) else ()


@dataclass(frozen=True)
class Rows(Record):
    """
    Rows of a source on their way to become runs: clean columns with what is needed to speak about them.

    Attributes
    ----------
    columns : mapping of str to array, shape (n,)
        Distinct name to clean values, in the order of the source.
    header : sequence of str
        Names as the source has them, in the same order.
    row : int array, shape (n,)
        Row of each entry in the source, counted from 1.
    source : str
        Where the table came from.
    selection : mapping of str to str
        What was asked for to get these rows.
    made : mapping of str to (str, tuple of str)
        Column that was worked out to the formula it is, and the columns in that.
    decimal : str
        Sign before decimals in cells of text.
    grouped : bool
        Whether dots separate thousands in cells of text.
    headings : frozenset of int
        Rows of the source that hold no run, which were left out on the way.
    notes : tuple of Note
        What is to be known of how the source was read.
    """

    columns: Mapping[str, AnyArray]
    header: Sequence[str]
    row: IntArray
    source: str
    selection: Mapping[str, str]
    made: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    decimal: str = "."
    grouped: bool = False
    headings: frozenset[int] = frozenset()
    notes: tuple[Note, ...] = ()

    @property
    def keys(self) -> list[str]:
        """Distinct names of the columns."""
        return list(self.columns)

    def take(self, index: AnyArray, selection: Mapping[str, str]) -> Rows:
        """Return the rows at an index array or boolean mask, and record what chose them."""
        columns = {key: column[index] for key, column in self.columns.items()}
        return replace(self, columns=columns, row=self.row[index], selection={**self.selection, **selection})


def open_table(columns: Mapping[str, Any], source: str, header: Sequence[str] | None) -> Rows:
    """
    Clean every column of a table.

    Parameters
    ----------
    columns : mapping of str to array_like, shape (n,)
        Name to values.
    source : str
        Where the table came from.
    header : sequence of str, optional
        Names as the source has them, possibly repeated; those of ``columns`` by default.

    Raises
    ------
    InputError
        If the columns differ in length, are not flat, or there is no row.

    Examples
    --------
    >>> open_table({"N": [1, 2], "run": ["a", None]}, "here", None).columns["run"].tolist()
    ['a', '']
    """
    titles = [str(name).strip() for name in (columns if header is None else header)]
    keys = unique_names(titles)
    clean = {key: column_values(key, values) for key, values in zip(keys, columns.values(), strict=True)}
    sizes = {key: column.size for key, column in clean.items()}
    if len(set(sizes.values())) > 1:
        msg = f"The columns differ in length: {listed(f'{key} {size}' for key, size in sizes.items())}."
        raise InputError(msg)
    if not any(sizes.values()):
        msg = f"The table has no rows; its columns are {listed(keys)}." if keys else "The table has no columns."
        raise InputError(msg)
    row = np.arange(1, next(iter(sizes.values())) + 1, dtype=np.intp)
    return Rows(clean, titles, row, source, {}, notes=notes_of(columns))


def select_rows(table: Rows, roles: Mapping[str, str], select: Selection) -> Rows:
    """
    Keep the rows that have one of the values asked for in every named column.

    Parameters
    ----------
    table : Rows
        Clean columns.
    roles : mapping of str to str
        Quantity to column; quantities are compared as numbers even where a broken row
        made the column text.
    select : mapping of str to value or values
        Column to what is asked for.

    Raises
    ------
    InputError
        If a column does not exist, or a value has no run: the values present are offered.
    UnsupportedError
        If no value is asked for.

    Examples
    --------
    >>> table = open_table({"budget": [1e19, 1e19, 3e19], "data": ["web", "books", "web"]}, "here", None)
    >>> select_rows(table, {"budget": "budget"}, {"budget": "1e19", "data": ["web", "books"]}).row.tolist()
    [1, 2]
    >>> select_rows(table, {}, {"data": "news"})
    Traceback (most recent call last):
        ...
    lawful.errors.InputError: No run has data=news; the values present are web, books.
    """
    keep = np.ones(table.row.size, dtype=bool)
    chosen: dict[str, str] = {}
    for name, asked in select.items():
        key = find_column(name, table.keys, table.header, asked="select")
        values = list(asked) if isinstance(asked, Iterable) and not isinstance(asked, (str, bytes)) else [asked]
        if not values:
            msg = f"The selection on {key!r} asks for no value; give at least one."
            raise UnsupportedError(msg)
        hits = np.zeros_like(keep)
        for value in values:
            match = _matches(table.columns[key], value, is_quantity=key in roles.values())
            if not match.any():
                offered = listed(map(value_text, distinct(table.columns[key])[0]), VALUES_OFFERED)
                msg = f"No run has {key}={value_text(value)}; the values present are {offered}."
                raise InputError(msg)
            hits |= match
        keep &= hits
        chosen[key] = ", ".join(map(value_text, values))
    if not keep.any():
        asked_for = " and ".join(f"{key}={value}" for key, value in chosen.items())
        msg = f"No run has {asked_for} together, though each value occurs; select fewer columns."
        raise InputError(msg)
    return table.take(keep, chosen) if chosen else table


def _matches(column: AnyArray, value: Any, *, is_quantity: bool) -> BoolArray:
    text, number = value_text(value).strip(), parse_number(value)
    if column.dtype.kind in "iuf":
        return _same_number(column, number)
    if column.dtype.kind != "O":
        return np.asarray(np.char.lower(column.astype(str)) == text.lower())
    values, codes = distinct(column)
    same = np.array([item.strip() == text for item in values])
    if is_quantity and number is not None:
        # A quantity with a broken row elsewhere arrives as text, and 1e19 is still 1e+19.
        same |= [bool(_same_number(np.array([float(n)]), number)[0]) for n in map(_finite, values)]
    return np.asarray(same[codes])


def _finite(text: str) -> float:
    number = parse_number(text)
    return float("nan") if number is None else float(number)


def _same_number(column: AnyArray, number: float | None) -> BoolArray:
    if number is None:
        return np.zeros(column.size, dtype=bool)
    if column.dtype.kind != "f":
        return np.asarray(column == number)
    return np.asarray(np.isclose(column, float(number), rtol=SAME_BUDGET, atol=0.0))
