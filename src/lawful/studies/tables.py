"""Tables of a study: named columns that become CSV and come back the same, to the last digit."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lawful.core.shown import Record
from lawful.core.typing import AnyArray


@dataclass(frozen=True, eq=False)
class Table(Record):
    """
    Columns of equal length: float64 where every entry is a number, text otherwise.

    Parameters
    ----------
    columns : mapping of str to array, shape (n,)

    Examples
    --------
    >>> table = Table.from_rows([{"surface": "symmetric", "error": 0.5}, {"surface": "chinchilla", "error": 2.0}])
    >>> table["error"].tolist()
    [0.5, 2.0]
    >>> table.where(surface="symmetric")["error"].tolist()
    [0.5]
    >>> print(table.to_csv(), end="")
    surface,error
    symmetric,0.5
    chinchilla,2.0
    """

    columns: Mapping[str, AnyArray]

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Table:
        """Build a table from rows that all have the same names."""
        listed = list(rows)
        names = list(listed[0]) if listed else []
        return cls({name: as_column([row[name] for row in listed]) for name in names})

    @classmethod
    def stack(cls, parts: Sequence[Table]) -> Table:
        """Put tables with the same columns one below the other; empty ones count for nothing."""
        filled = [part for part in parts if len(part)]
        if not filled:
            return parts[0]
        return cls({name: np.concatenate([part[name] for part in filled]) for name in filled[0].columns})

    def __getitem__(self, name: str) -> AnyArray:
        return self.columns[name]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield every row by name."""
        lists = [column.tolist() for column in self.columns.values()]
        for values in zip(*lists, strict=True):
            yield dict(zip(self.columns, values, strict=True))

    def where(self, **equal: Any) -> Table:
        """Rows whose columns have these values."""
        keep = np.ones(len(self), dtype=bool)
        for name, value in equal.items():
            keep &= self[name] == value
        return Table({name: column[keep] for name, column in self.columns.items()})

    def one(self, **equal: Any) -> dict[str, Any]:
        """
        Return the only row with these values.

        Raises
        ------
        KeyError
            If there is none, or more than one.
        """
        found = list(self.where(**equal).rows())
        if len(found) != 1:
            raise KeyError(equal)
        return found[0]

    def values(self, name: str) -> list[Any]:
        """Distinct values of a column, in order of appearance."""
        return list(dict.fromkeys(self[name].tolist()))

    def groups(self, *names: str) -> Iterator[tuple[tuple[Any, ...], Table]]:
        """Yield every combination of values of some columns with its rows, in order of appearance."""
        keys = list(zip(*(self[name].tolist() for name in names), strict=True))
        index: dict[tuple[Any, ...], list[int]] = {}
        for i, key in enumerate(keys):
            index.setdefault(key, []).append(i)
        for key, rows in index.items():
            yield key, Table({name: column[rows] for name, column in self.columns.items()})

    def to_csv(self) -> str:
        """Text of the table: floats by their shortest exact form, a missing one empty."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        lists = [_cells(column) for column in self.columns.values()]
        writer.writerows(zip(*lists, strict=True))
        return out.getvalue()

    @classmethod
    def read_csv(cls, path: Path) -> Table:
        """Read what :meth:`to_csv` wrote."""
        with path.open(encoding="utf-8", newline="") as file:
            header, *body = list(csv.reader(file))
        columns = zip(*body, strict=True) if body else [[] for _ in header]
        return cls({name: _parse(list(cells)) for name, cells in zip(header, columns, strict=True)})


def as_column(values: Sequence[Any]) -> AnyArray:
    """Return an array of floats or of text."""
    if any(isinstance(value, str) for value in values):
        return np.array([str(value) for value in values], dtype=object)
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _cells(column: AnyArray) -> list[str]:
    if column.dtype == object:
        return [str(value) for value in column.tolist()]
    return ["" if np.isnan(value) else repr(value) for value in column.tolist()]


def _parse(cells: list[str]) -> AnyArray:
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        return np.array(cells, dtype=object)
