"""Columns of a table as a reader meets them: what each is taken for, its unit, and the values in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lawful.core.numbers import format_short
from lawful.core.shown import Record
from lawful.core.typing import AnyArray
from lawful.data.cells import TUNED
from lawful.data.checkpoints import PROGRESS_NAMES, RUN_NAMES
from lawful.data.columns import (
    ACCEPTED,
    ALSO,
    EXPERIMENT_NAMES,
    SEED_NAMES,
    TRAINING_LOSSES,
    UNIQUE_NAMES,
    listed,
    normalise,
)
from lawful.data.endings import STATES
from lawful.data.selection import Rows
from lawful.data.translate import BITS, PERPLEXITIES, SCORES, loss_unit
from lawful.data.units import split_header
from lawful.data.values import distinct, number_or_nan, value_text

UNITS = {"params": "parameters", "tokens": "tokens", "budget": "FLOPs", "unique tokens": "tokens"}
"""Units of quantities as they are read; that of the loss depends on its column."""

KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("run", RUN_NAMES),
    ("experiment", EXPERIMENT_NAMES),
    ("seed", tuple(SEED_NAMES)),
    ("state", STATES),
    ("progress", PROGRESS_NAMES),
    ("unique tokens", UNIQUE_NAMES),
    ("hyper-parameter", TUNED),
    ("loss on training data", TRAINING_LOSSES),
    ("perplexity", PERPLEXITIES),
    ("loss in bits", BITS),
    ("score", SCORES),
)
"""What a column that is no quantity may be by its name, the first that fits."""

SHOWN = 3
"""Texts of a column that are shown before the rest is counted."""


@dataclass(frozen=True)
class Seen(Record):
    """
    One column of a table.

    Attributes
    ----------
    name : str
        As the source has it.
    taken_for : str
        params, tokens, loss, budget, weight; run, experiment, hyper-parameter and the like; ``label`` for any other.
    unit : str
        Of the numbers as they are taken; empty where they have none.
    values : str
        The range of numbers, or the first texts.
    low, high : float or None
        Range of the finite numbers; None of texts.
    distinct : int
        Distinct values.
    missing : int
        Cells without a value.
    """

    name: str
    taken_for: str
    unit: str
    values: str
    low: float | None
    high: float | None
    distinct: int
    missing: int


def seen_columns(table: Rows, roles: Mapping[str, str]) -> tuple[Seen, ...]:
    """
    Say of every column what it is taken for and what is in it.

    Parameters
    ----------
    table : Rows
        Clean columns.
    roles : mapping of str to str
        Quantity, or ``weight``, to its column.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> table = open_table({"N": [1e8, 2e8], "lr": [3e-4, None], "tag": ["a", "b"]}, "here", None)
    >>> for column in seen_columns(table, {"params": "N"}):
    ...     print(column.name, "|", column.taken_for, "|", column.unit, "|", column.values)
    N | params | parameters | 1e+08 to 2e+08
    lr | hyper-parameter |  | 0.0003, 1 missing
    tag | experiment |  | a, b
    """
    of_key = {key: quantity for quantity, key in roles.items()}
    source = {name: key for key, (_, names) in table.made.items() for name in names}
    found = []
    for key, title in zip(table.keys, table.header, strict=True):
        taken = of_key.get(key) or (
            f"part of {of_key.get(source[key], source[key])}" if key in source else kind_of(title)
        )
        unit = loss_unit(key) if taken == "loss" else UNITS.get(taken, "")
        name = f"{key} = {table.made[key][0]}" if key in table.made else title or key
        found.append(Seen(name, taken, unit, *_values(table.columns[key])))
    return tuple(found)


def kind_of(title: str) -> str:
    """
    What a column that is no quantity of its table is by its name.

    Examples
    --------
    >>> kind_of("optim.peak_lr"), kind_of("State"), kind_of("note")
    ('hyper-parameter', 'state', 'label')
    """
    names = {normalise(title), normalise(title.rpartition(".")[2])}
    return next((kind for kind, known in KINDS if names & set(known)), "label")


def named_roles(table: Rows) -> dict[str, str]:
    """
    Quantities by the names of columns alone, the first column of a name; for tables that cannot be read as runs.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> named_roles(open_table({"params (M)": [1.0], "accuracy": [0.3]}, "here", None))
    {'params': 'params (M)'}
    """
    found: dict[str, str] = {}
    for quantity, names in ACCEPTED.items():
        known = {normalise(name) for name in (*names, *ALSO[quantity])}
        hits = [
            key
            for key, title in zip(table.keys, table.header, strict=True)
            if {normalise(title), *(normalise(stem) for stem, _ in split_header(title))} & known
            and key not in found.values()
        ]
        # A model has a size, and often a name beside it.
        of_numbers = (key for key in hits if np.isfinite(number_or_nan(table.columns[key])).any())
        if hits:
            found[quantity] = next(of_numbers, hits[0])
    return found


def _values(column: AnyArray) -> tuple[str, float | None, float | None, int, int]:
    """Text, range, distinct values and missing ones of a column."""
    if column.dtype.kind in "iuf":
        finite = column[np.isfinite(column)].astype(float)
        missing = column.size - finite.size
        if not finite.size:
            return "no number", None, None, 0, missing
        low, high = float(finite.min()), float(finite.max())
        text = format_short(low, 4) if low == high else f"{format_short(low, 4)} to {format_short(high, 4)}"
        return text + _missing(missing), low, high, int(np.unique(finite).size), missing
    values, codes = distinct(column)
    filled = [value for value in values if value_text(value).strip()]
    empty = np.array([not value_text(value).strip() for value in values], dtype=bool)
    missing = int(empty[codes].sum())
    text = listed((value_text(v)[:40] for v in filled), SHOWN) or "nothing"
    return text + _missing(missing), None, None, len(filled), missing


def _missing(count: int) -> str:
    return f", {count} missing" if count else ""
