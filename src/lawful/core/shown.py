"""Records that show themselves: one line as ``repr``, and their sheets as text, HTML and a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any

import numpy as np

from lawful.core.numbers import format_count, format_short
from lawful.core.render import frame, html, text
from lawful.core.sheet import QUANTITIES, Sheet

MOST_CHARACTERS = 160
"""Longest ``repr`` of a record."""


class Record:
    """A frozen record whose ``repr`` is one short line: names and values, arrays by their shape."""

    __slots__ = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # dataclass writes a repr of everything, 127,598 characters for a bootstrap, unless the class has one.
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = Record.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        return short_repr(self)


class Shown(Record):
    """
    A record that says what it shows, once, in :meth:`sheets`.

    Text, HTML in a notebook and the frame are renders of those sheets, with the same digits.
    """

    __slots__ = ()

    def sheets(self) -> Sequence[Sheet]:
        """Return what the record shows."""
        raise NotImplementedError

    def __str__(self) -> str:
        return text(*self.sheets())

    def _repr_html_(self) -> str:
        return html(*self.sheets())

    def to_frame(self) -> Any:
        """
        Return the tables as one pandas DataFrame: unrounded values, ``_low`` and ``_high`` beside those with intervals.

        With several tables a first column ``table`` names them.
        """
        return frame(*self.sheets())


def short_repr(record: Any) -> str:
    """
    Return a record in one line: class, then names and short values; cut where it grows long.

    Examples
    --------
    >>> from lawful.core.sheet import Cell
    >>> short_repr(Cell(0.31, "exponent"))
    "Cell(value=0.31, kind='exponent', low=None, high=None, held=False, small='', mark=False)"
    """
    parts = [f"{one.name}={_short(getattr(record, one.name), one.name)}" for one in fields(record) if one.repr]
    line = f"{type(record).__name__}({', '.join(parts)})"
    return line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 4]}...)"


def _short(value: Any, name: str = "") -> str:
    """Write one value of a record in a few characters."""
    if isinstance(value, np.ndarray):
        return f"array{value.shape}".replace(",)", ")")
    if isinstance(value, (bool, np.bool_)) or value is None:
        return str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (float, np.floating)):
        count = QUANTITIES.get(name, ("", ""))[1] == "count"
        return (format_count if count else format_short)(float(value)) if isfinite(value) else str(value)
    if isinstance(value, str):
        return repr(value) if len(value) <= 40 else repr(value[:37] + "...")
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(str, value))}}}" if len(value) <= 6 else f"{{{len(value)}}}"
    if isinstance(value, (tuple, list)):
        plain = len(value) <= 3 and not any(is_dataclass(item) for item in value)
        return f"({', '.join(map(_short, value))})" if plain else f"({len(value)})"
    return type(value).__name__
