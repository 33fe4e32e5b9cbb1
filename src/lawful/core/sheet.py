"""What a record shows: cells with a kind and an interval, in a sheet that every output renders the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, isnan

import numpy as np

from lawful.core.notes import Note
from lawful.core.numbers import (
    MISSING,
    format_count,
    format_level,
    format_percent,
    format_scientific,
    format_signed,
    format_uncertain,
    format_value,
)

NOTHING = "-"
"""What stands in a cell without a value."""

HELD = "fixed"
"""What stands in the place of an interval where a number was held."""

Value = float | str | bool | None


def _dollars(amount: float | None) -> str:
    return MISSING if amount is None or not isfinite(amount) else f"${format_count(amount)}"


def _ratio(value: float | None) -> str:
    return "never" if value is not None and value == float("inf") else format_value(value, 3)


FORMATS: dict[str, Callable[[float | None], str]] = {
    "count": format_count,
    "flops": format_scientific,
    "share": format_percent,
    "change": format_signed,
    "dollars": _dollars,
    "rate": lambda value: MISSING if value is None or not isfinite(value) else f"{100 * value:.1f}%",
    "level": lambda value: MISSING if value is None else format_level(value),
    "ratio": _ratio,
    "integer": lambda value: MISSING if value is None else f"{value:.0f}",
}
"""Kinds whose numbers are written one by one: a decision is read in whole units, whatever its interval."""

UNCERTAIN = ("value", "nats", "exponent")
"""Kinds whose digits follow the interval."""

KINDS = ("text", *UNCERTAIN, *FORMATS)

QUANTITIES = {
    "params": ("parameters N*", "count"),
    "tokens": ("tokens D*", "count"),
    "loss": ("loss L*", "nats"),
    "E": ("E", "nats"),
}
"""What a fit implies, in words, and its kind; any other quantity is a coefficient or an exponent."""


@dataclass(frozen=True, slots=True)
class Cell:
    """
    One value of a sheet, with what is known about it.

    Parameters
    ----------
    value : float, str, bool or None
        A number, unrounded; None where there is none.
    kind : str
        ``text``; ``value``, ``nats`` and ``exponent`` are rounded by their interval; ``count``
        (589B), ``flops`` (3.8e25), ``share`` (6.3%), ``rate`` (89.5%), ``change`` (+6.25%), ``dollars``, ``level``
        (90%), ``ratio`` (``never`` where infinite) and ``integer`` are each written by itself.
    low, high : float, optional
        Ends of its interval; an infinite one is open.
    held : bool
        Whether the number was given and not estimated.
    small : str
        Small print that a page sets under it.
    mark : bool
        Whether it needs attention.

    Examples
    --------
    >>> alpha = Cell(0.34781, "exponent", 0.3315, 0.3662)
    >>> alpha.text, alpha.span, str(alpha)
    ('0.348', '0.332 to 0.366', '0.348 (0.332 to 0.366)')
    >>> str(Cell(589.3e9, "count")), str(Cell(None, "count", 2e8, 5e9)), str(Cell(1.7, "nats", 1.6, float("inf")))
    ('589B', '200M to 5B', '1.70 (1.60 or more)')
    """

    value: Value
    kind: str = "value"
    low: float | None = None
    high: float | None = None
    held: bool = False
    small: str = ""
    mark: bool = False

    def _number(self) -> float | None:
        value = self.value
        return None if value is None or isinstance(value, str) or isnan(value) else float(value)

    def _written(self) -> tuple[str, str, str]:
        """Value and ends as text; ``n/a`` where there is none."""
        number, ends = self._number(), [float("nan") if end is None else end for end in (self.low, self.high)]
        if self.kind in UNCERTAIN:
            return format_uncertain(number, ends[0], ends[1])
        write = FORMATS[self.kind]
        return write(number), *(MISSING if isnan(end) else write(end) for end in ends)  # type: ignore[return-value]

    @property
    def text(self) -> str:
        """The value alone."""
        if isinstance(self.value, str):
            text = self.value
        elif isinstance(self.value, (bool, np.bool_)):
            text = "yes" if self.value else "no"
        else:
            text = NOTHING if self.kind == "text" else self._written()[0].replace(MISSING, NOTHING)
            if text == NOTHING and self.span:
                text = ""
        return f"{text} !" if self.mark else text

    @property
    def span(self) -> str:
        """The interval alone, empty without one."""
        if self.held:
            return HELD
        if self.kind == "text" or (self.low is None and self.high is None):
            return ""
        _, low, high = self._written()
        known = [end != MISSING for end in (low, high)]
        if all(known):
            return f"{low} to {high}"
        return (f"{low} or more" if known[0] else f"{high} or less") if any(known) else ""

    @property
    def has_interval(self) -> bool:
        """Whether anything would stand in a column of intervals."""
        return bool(self.span)

    def __str__(self) -> str:
        """Return the value, and the interval in brackets."""
        if self.text and self.span:
            return f"{self.text} ({self.span})"
        return self.text or self.span


def quantity(name: str, value: Value, ends: tuple[float, float] | None = None) -> tuple[Cell, Cell]:
    """
    Return the name of a quantity in words, and its value as a cell of its kind.

    Examples
    --------
    >>> [str(cell) for cell in quantity("params", 589e9, (5e11, 7e11))]
    ['parameters N*', '589B (500B to 700B)']
    """
    words, kind = QUANTITIES.get(name, (name, "exponent"))
    return Cell(words, "text"), Cell(value, kind, *(ends or (None, None)))


def row(*values: Cell | Value) -> tuple[Cell, ...]:
    """
    Return cells; bare texts are taken as they are, bare numbers as values.

    Examples
    --------
    >>> [str(cell) for cell in row("alpha", 0.31, Cell(2e9, "count"))]
    ['alpha', '0.3100', '2B']
    """
    return tuple(v if isinstance(v, Cell) else Cell(v, "text" if isinstance(v, str) else "value") for v in values)


@dataclass(frozen=True, slots=True)
class Sheet:
    """
    One table with what is said around it.

    Parameters
    ----------
    title : str
        What it is about, in a sentence.
    sentences : tuple of str
        What stands before the table.
    columns : tuple of str
        Heads, one per cell of a row; the first may be empty.
    rows : tuple of tuple of Cell
        Unrounded numbers.
    interval : str or None
        Head of the intervals, which then have a column beside that of their values; empty: an
        interval stands in brackets behind its value; None: intervals round, and are not shown.
    closing : tuple of str
        What stands after the table.
    notes : tuple of Note
        What the reader should know.

    Examples
    --------
    >>> from lawful.core.render import text
    >>> print(text(Sheet("Two.", columns=("", "value"), rows=(row("E", 1.69), row("alpha", 0.34)))))
    Two.
    <BLANKLINE>
             value
    E        1.690
    alpha   0.3400
    """

    title: str
    sentences: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    interval: str | None = ""
    closing: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
