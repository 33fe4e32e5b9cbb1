"""
Run exports of Weights & Biases: budgets that stand only in the runs' names.

An export as the product writes it has ``Name``, ``parameter_count``, ``throughput/total_tokens``,
``throughput/total_gflops`` and the evaluation losses. Which loss is meant is the user's choice; the
budget of a sweep is often nowhere but in the name, in forward or in total FLOPs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import log, sqrt

import numpy as np

from lawful.core.cost import Cost
from lawful.core.notes import Note
from lawful.core.numbers import format_short
from lawful.core.typing import Array, BoolArray
from lawful.data.checkpoints import RUN_NAMES, named_among
from lawful.data.columns import normalise, unique_names
from lawful.data.endings import set_aside
from lawful.data.selection import Rows
from lawful.data.values import distinct, quantity_or_nan

SMALLEST, LARGEST = 1e12, 1e30
"""Numbers in a name are budgets between these, in FLOPs; learning rates and seeds are smaller."""

IN_NAMES = 0.5
"""Share of the names that must hold a budget before names are taken to state budgets."""

CONVENTIONS = {"total": 1.0, "forward": 3.0}
"""What a name may count, and total FLOPs per FLOP so counted: the backward pass costs twice the forward pass."""

NEAREST = sqrt(3.0)
"""A ratio of total FLOPs to the number in the name belongs to the convention within this factor."""

BUDGET_TEXT = re.compile(
    r"(?:(?<![0-9a-z.])|(?<=budget)|(?<=flops)|(?<=flop)|(?<=\bc))"
    r"(\d+(?:\.\d+)?e\+?\d+)(?:flops?)?(?![0-9a-z]|\.\d)",
    re.IGNORECASE,
)


def budget_in_name(name: str) -> float:
    """
    Read the budget that a run's name states; NaN if there is none.

    Examples
    --------
    >>> [budget_in_name(n) for n in ("isoflop-1e+20-d768-L8", "scaling_3.0e19", "optimal-3e+19-5b04fb", "lr-1e-3")]
    [1e+20, 3e+19, 3e+19, nan]
    """
    for match in BUDGET_TEXT.finditer(name):
        budget = float(match[1])
        if SMALLEST <= budget <= LARGEST:
            return budget
    return float("nan")


def budgets_from_names(table: Rows, roles: Mapping[str, str]) -> tuple[Rows, dict[str, str], list[Note]]:
    """
    Add the budget column of a sweep whose budgets stand in the runs' names.

    Nothing happens to a table that has a budget column, or whose names hold none.
    Otherwise the convention of the names is detected for the sweep as a whole: the
    median of total FLOPs over the number in the name is near 1 for total and near 3
    for forward FLOPs, where total FLOPs are ``total_gflops`` where the export has
    them, and 6ND elsewhere. The budget becomes nominal total FLOPs. Rows that follow
    another convention than the sweep, or state no budget, are set aside with a note:
    they belong to another design, and their budgets would not be comparable.

    Parameters
    ----------
    table : Rows
        Clean columns.
    roles : mapping of str to str
        Quantity to column, as :func:`lawful.data.columns.recognise` found them.

    Returns
    -------
    table : Rows
        With a column ``budget`` in total FLOPs, without the rows set aside.
    roles : dict of str to str
        With ``budget``.
    notes : list of Note
        ``budget_in_name`` and ``set_aside``.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> names = ["iso-1e+18-a", "iso-1e+18-b", "iso-1e+18-c", "best-1e+18"]
    >>> columns = {"Name": names, "N": [1e8] * 4, "D": [5e9, 5e9, 5e9, 1.7e9], "loss": [3.5, 3.4, 3.6, 3.9]}
    >>> table = open_table(columns, "here", None)
    >>> sweep, roles, notes = budgets_from_names(table, {"params": "N", "tokens": "D", "loss": "loss"})
    >>> sweep.columns["budget"].tolist(), sweep.row.tolist()
    ([3e+18, 3e+18, 3e+18], [1, 2, 3])
    >>> print(notes[1].message)
    1 of 4 runs was set aside: its name states total FLOPs where the sweep states forward FLOPs (row 4).
    """
    names = named_among(RUN_NAMES, table.keys)
    comparable = {"params", "tokens"} <= set(roles)
    if "budget" in roles or not comparable or not names or table.columns[names[0]].dtype.kind != "O":
        return table, dict(roles), []
    called, which = distinct(table.columns[names[0]])
    stated = np.array([budget_in_name(name) for name in called])[which]
    has = np.isfinite(stated)
    if has.mean() < IN_NAMES:
        return table, dict(roles), []
    ratio, measured = _ratios(table, roles, stated)
    known = ratio[np.isfinite(ratio)]
    if not known.size:
        return table, dict(roles), []  # no row has numbers to compare; the door will say what is wrong with them
    median = float(np.quantile(known, 0.5, method="lower"))
    convention = _convention(np.array([median]))[0]
    if not convention:
        message = (
            f"The numbers in column {names[0]!r}, such as {format_short(stated[has][0])}, were not taken for "
            f"budgets: total FLOPs ({measured}) are {format_short(median, 3)} times them in the median run, where "
            f"1 (total) or 3 (forward) is expected."
        )
        return table, dict(roles), [Note("budget_in_name", message)]
    note = Note("budget_in_name", _said(names[0], convention, measured, median))
    keep, aside = _of_the_sweep(table, _convention(ratio), has, convention)
    key = unique_names([*table.keys, "budget"])[-1]
    columns = {**table.columns, key: stated * CONVENTIONS[convention]}
    whole = replace(table, columns=columns, header=[*table.header, key])
    return whole.take(keep, {}), {**roles, "budget": key}, [note, *aside]


def _ratios(table: Rows, roles: Mapping[str, str], stated: Array) -> tuple[Array, str]:
    """Total FLOPs over the stated number per run, as logged or else as 6ND, and which of them the sweep rests on."""
    cost = Cost()

    def numbers(key: str) -> Array:
        return quantity_or_nan(key, table.columns[key], table.row)  # what is none is for the door to refuse

    quantities = (numbers(roles[name]) for name in ("params", "tokens"))
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = cost.flops(*quantities) / stated
        logged = [key for key in table.keys if normalise(key).endswith("total_gflops")]
        if logged:
            flops = 1e9 * numbers(logged[0])
            usable = np.isfinite(flops) & (flops > 0)
            ratio = np.where(usable, flops / stated, ratio)
            if usable.any():
                return _positive(ratio), f"column {logged[0]!r}"
    return _positive(ratio), cost.convention.removeprefix("C = ")


def _positive(ratio: Array) -> Array:
    return np.where(np.isfinite(ratio) & (ratio > 0), ratio, np.nan)


def _convention(ratio: Array) -> list[str]:
    """Return the convention each ratio belongs to; empty where it fits none, a question mark where it is unknown."""
    found = []
    for value in ratio.tolist():
        near = {name: abs(log(value / factor)) for name, factor in CONVENTIONS.items()} if value > 0 else {}
        best = min(near, key=lambda name: near[name], default="?")
        found.append(best if not near or near[best] <= log(NEAREST) else "")
    return found


def _said(key: str, convention: str, measured: str, median: float) -> str:
    factor = CONVENTIONS[convention]
    taken = f"multiplied by {format_short(factor)}" if factor != 1 else "taken as they stand"
    return (
        f"The budgets stand in the runs' names (column {key!r}) in {convention} FLOPs, since total FLOPs ({measured}) "
        f"are {format_short(median, 3)} times them in the median run; they were {taken}."
    )


def _of_the_sweep(table: Rows, own: Sequence[str], has: BoolArray, sweep: str) -> tuple[BoolArray, list[Note]]:
    """Tell which rows belong to the sweep; a row whose numbers are broken stays, for the door to refuse."""
    reasons = np.full(table.row.size, "", dtype=object)
    for i, convention in enumerate(own):
        if not has[i]:
            reasons[i] = "states no budget"
        elif convention not in {sweep, "?"}:
            reasons[i] = f"states {convention} FLOPs where the sweep states {sweep} FLOPs"
            if not convention:
                reasons[i] = "states a budget that is neither of its counts of FLOPs"
    notes = []
    for reason in filter(None, dict.fromkeys(reasons)):
        bad = reasons == reason
        notes.append(set_aside(table, bad, f"{'its name' if bad.sum() == 1 else 'each name'} {reason}"))
    return reasons == "", notes
