"""Tables of runs, candidates and targets for a law of any columns, read by the names of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lawful.core.expression import parse
from lawful.core.shown import Record
from lawful.core.typing import Array
from lawful.data.columns import UNIQUE_NAMES, find_column, known_quantities, listed, normalise
from lawful.data.runs import Runs
from lawful.data.selection import IN_MEMORY, Rows, open_table
from lawful.data.table import Handling, columns_of, narrowed, third_quantity
from lawful.data.translate import computed, numbers, worded
from lawful.data.values import require_positive
from lawful.errors import InputError
from lawful.laws.formula import QUANTITIES as NAMES
from lawful.sources.files import load_file

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
    """

    what: str
    table: Rows
    roles: Mapping[str, str]
    unclear: str = ""

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
            values = np.asarray(computed(parse(text), self.table), float)
        require_positive({text: values}, self.table.row)
        return values

    def cells(self, row: int) -> dict[str, Any]:
        """One row as it stands in the table."""
        return {key: column[row] for key, column in self.table.columns.items()}


def read_points(given: Any, what: str, *, where: str | None = None, drop: Sequence[int | str] | str = ()) -> Points:
    """
    Read a table: a file, runs, a mapping, records or a frame.

    Parameters
    ----------
    given : path, Runs, mapping of str to array_like, list of records, or DataFrame
    what : str
        What its rows are, for messages.
    where, drop
        As for :func:`lawful.read_runs`.

    Raises
    ------
    InputError
        If it is no table.

    Examples
    --------
    >>> pool = read_points({"params": [1e8, 2e8], "experts": [4, 8]}, "candidates")
    >>> pool.column("N").tolist(), pool.cost("6*params*experts").tolist()
    ([100000000.0, 200000000.0], [2400000000.0, 9600000000.0])
    """
    header: list[str] | None
    if isinstance(given, Runs):
        columns = {"N": given.N, "D": given.D, "C": given.C, "loss": given.L} | {
            k: v for k, v in given.labels.items() if k not in ("N", "D", "C", "loss")
        }
        header, source = list(columns), given.source
    elif isinstance(given, (str, Path)):
        header, columns = load_file(Path(given))
        source = str(given)
    else:
        columns, header = columns_of(given)
        source = IN_MEMORY
    table = open_table(columns, source, header)
    known_as: dict[str, str] = {}
    unclear = ""
    try:
        known_as = known_quantities(table.keys, table.header, words=worded(table))
    except InputError as error:  # two columns count N, say: a law that names its own columns needs neither
        unclear = str(error)
    table, _ = narrowed(table, known_as, Handling(where=where, drop=drop))
    roles = {ROLES[quantity]: key for quantity, key in known_as.items()}
    known = {normalise(n) for n in UNIQUE_NAMES}
    unique = [key for key in table.keys if normalise(key) in known]
    if unique:
        roles["U"] = unique[0]
    return Points(what, table, roles, unclear)
