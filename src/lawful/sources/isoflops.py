"""Training curves to IsoFLOP points: what every model size had reached at a budget."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lawful.core.cost import Cost
from lawful.core.notes import Note
from lawful.core.typing import AnyArray, Array, IntArray
from lawful.core.validation import is_positive
from lawful.data.checkpoints import (
    PROGRESS_NAMES,
    RUN_NAMES,
    SETTING_NAMES,
    UNFINISHED,
    checkpoint_notes,
    named_among,
    row_codes,
)
from lawful.data.columns import find_column, listed
from lawful.data.endings import set_aside
from lawful.data.runs import BUDGET_TOLERANCE, Runs, distinct_budgets
from lawful.data.selection import Rows, Selection, select_rows
from lawful.data.table import Handling, narrowed, opened, third_quantity
from lawful.data.units import require_loss, require_units
from lawful.data.values import quantity_values, require_within
from lawful.errors import IdentificationError, InputError, UnsupportedError
from lawful.sources.read import load_columns

CANDIDATES = 40
"""Log-spaced candidate budgets, from the smallest compute to the largest."""

MIN_SIZES = 3
"""A budget is kept where at least this many model sizes have a checkpoint near it."""

FEW_ROWS = 16
"""Checkpoints per size that are looked at before all of a budget."""

MOST_PAIRS = 2**20
"""Histories and budgets that are read at once, about."""

LARGEST_COUNT = 10**6
"""A number of budgets; anything larger was meant as FLOPs."""


class Histories(NamedTuple):
    """
    Training curves behind each other, ready to be read at any compute.

    Attributes
    ----------
    start : int array, shape (m + 1,)
        Where each curve begins among the points, and where the last one ends.
    log_c : array, shape (k,)
        Distinct ln C of each curve, ascending.
    first, last, low, high : array, shape (k,)
        ln of the first, last, smallest and largest loss logged at that compute: they
        differ only where a compute value repeats.
    row : int array, shape (k,)
        Index of a checkpoint at that compute.
    """

    start: IntArray
    log_c: Array
    first: Array
    last: Array
    low: Array
    high: Array
    row: IntArray


class CurveLosses(NamedTuple):
    """Losses of curves at a compute each, their ranges over the order of repeats, and the nearest checkpoints."""

    loss: Array
    low: Array
    high: Array
    row: IntArray


def isoflop_points(
    table: Any,
    *,
    columns: Mapping[str, str] | None = None,
    select: Selection | None = None,
    as_is: bool = False,
    where: str | None = None,
    drop: Sequence[int | str] | str = (),
    fill_down: Sequence[str] | str = (),
    run: Sequence[str] | None = None,
    budgets: int | Sequence[float] = CANDIDATES,
    tolerance: float = BUDGET_TOLERANCE,
    min_sizes: int = MIN_SIZES,
) -> Runs:
    """
    Turn training curves with many checkpoints per run into runs at a few budgets.

    A candidate budget is kept where at least ``min_sizes`` model sizes have a
    checkpoint within ``tolerance`` of it. There the loss of every run that has one is
    read off its curve, and the lowest per model size is its point: one model size,
    one budget, D = C/(6N).

    Parameters
    ----------
    table : path, paths, pandas DataFrame or mapping of str to array_like
        One row per checkpoint, with the loss and two of params, tokens and budget.
        Rows in which one of them is missing, not finite or not positive are set aside.
    columns, select, as_is, where, drop, fill_down
        As in :func:`lawful.read_runs`.
    run : sequence of str, optional
        Columns that tell the runs apart, besides the model size. By default a column
        that names the run, or else the learning rate, the sweep and the like.
    budgets : int or sequence of float
        How many log-spaced candidates to try, or the budgets in FLOPs.
    tolerance : float
        How near a checkpoint must be, as a fraction of the budget, > 0.
    min_sizes : int
        Model sizes that a budget needs.

    Returns
    -------
    Runs
        One run per budget and model size, by budget and size. Among its labels are the
        columns of ``run`` and the checkpoint nearest to the budget (``checkpoint_row``),
        and ``loss_low``, ``loss_high``: the range of the loss over every order of
        checkpoints that repeat one compute value within a run.

    Raises
    ------
    InputError
        If the table cannot be read as checkpoints.
    UnsupportedError
        If ``budgets``, ``tolerance`` or ``min_sizes`` makes no sense.
    IdentificationError
        If no budget has enough sizes.

    Notes
    -----
    A curve is piecewise linear in ln loss over ln C, and constant beyond its own
    range. Repeated values of C keep the order of the table (a stable sort): the last
    of them ends the piece to their left, the first begins the piece to their right.
    The recipe is that of the misfitting survey's IsoFLOP set (Li et al. 2025,
    arXiv:2502.18969) as collected for arXiv:2603.22339.

    Examples
    --------
    Three runs with four checkpoints each share a budget of 1.2e18 FLOPs:

    >>> N, D = np.repeat([1e8, 2e8, 4e8], 4), np.tile([2.5e8, 5e8, 1e9, 2e9], 3)
    >>> points = isoflop_points({"N": N, "D": D, "loss": 1.7 + (1e6 / N) ** 0.3 + (1e7 / D) ** 0.3}, budgets=[1.2e18])
    >>> [f"{n:.0e} {d:.0e} {loss:.3f}" for n, d, loss in zip(points.N, points.D, points.L)]
    ['1e+08 2e+09 2.155', '2e+08 1e+09 2.155', '4e+08 5e+08 2.175']
    """
    _check_options(tolerance, min_sizes)
    rows, roles, said = _open(
        table, columns, select or {}, Handling(as_is=as_is, where=where, drop=drop, fill_down=fill_down)
    )
    clean, given, notes = _usable(rows, roles)
    if not as_is:
        require_within({q: given[q] for q in roles}, roles, clean.row)
        require_units(given, roles, derived=next((name for name in given if name not in (*roles, "loss")), None))
        require_loss(given["loss"], given["budget"], roles["loss"], given["params"])
    notes[:0] = said
    keys = _run_columns(clean, roles, run, notes)
    code = row_codes([given["params"], *(clean.columns[key] for key in keys)])
    curves = training_curves(given["budget"], given["loss"], code)
    size = given["params"][np.unique(code, return_index=True)[1]]
    kept = _kept_budgets(given, budgets, tolerance, min_sizes, notes)
    points = _points(curves, size, kept, float(np.log1p(tolerance)))
    _say_repeats(curves, np.bincount(code), points, notes)
    _say_unfinished(clean, roles, given, curves, notes)
    return _as_runs(points, clean, keys, notes)


def _check_options(tolerance: float, min_sizes: int) -> None:
    if not is_positive(tolerance):
        msg = f"The tolerance must be a fraction above zero, got {tolerance!r}."
        raise UnsupportedError(msg)
    if min_sizes < 1:
        msg = f"A budget needs at least one model size, got min_sizes={min_sizes}."
        raise UnsupportedError(msg)


def _open(
    table: Any, columns: Mapping[str, str] | None, select: Selection, handling: Handling
) -> tuple[Rows, dict[str, str], list[Note]]:
    data, header, source = load_columns(table)
    whole, roles, said = opened(data, source, header, columns, handling)
    rows, more = narrowed(select_rows(whole, roles, select), roles, handling)
    return rows, roles, [*said, *more]


def _usable(table: Rows, roles: Mapping[str, str]) -> tuple[Rows, dict[str, Array], list[Note]]:
    """Set aside rows with a broken quantity, and derive what is missing from C = 6ND."""
    given = {quantity: quantity_values(key, table.columns[key], table.row) for quantity, key in roles.items()}
    if len(given) < 4:
        name, derived = third_quantity(given)
        given[name] = derived
    good = np.all([np.isfinite(values) & (values > 0) for values in given.values()], axis=0)
    if good.all():
        return table, given, []
    if not good.any():
        msg = f"None of the {good.size} checkpoints has a loss, params, tokens and budget that are finite and positive."
        raise InputError(msg)
    note = set_aside(table, ~good, "N, D, C or loss is missing, not finite or not positive", "checkpoints")
    return table.take(good, {}), {name: values[good] for name, values in given.items()}, [note]


def _run_columns(table: Rows, roles: Mapping[str, str], run: Sequence[str] | None, notes: list[Note]) -> list[str]:
    free = [key for key in table.keys if key not in roles.values()]
    if run is not None:
        return list(dict.fromkeys(find_column(name, table.keys, table.header, asked="run") for name in run))
    keys = named_among(RUN_NAMES, free)[:1] or named_among(SETTING_NAMES, free)
    told = ", ".join(map(repr, [roles.get("params", "params"), *keys]))
    notes.append(
        Note(
            "checkpoint_runs",
            f"Rows with the same {told} were taken for one run; name another column of runs if that is wrong.",
        )
    )
    return keys


def training_curves(C: Array, loss: Array, code: IntArray) -> Histories:
    """
    Sort the checkpoints of every run by compute, in the order of the table where it repeats.

    Parameters
    ----------
    C, loss : array, shape (n,)
    code : int array, shape (n,)
        Run of each checkpoint, from 0 without gaps.

    Examples
    --------
    >>> curves = training_curves(np.array([4.0, 1.0, 1.0]), np.array([2.0, 3.0, 2.5]), np.zeros(3, dtype=int))
    >>> np.exp(curves.first), np.exp(curves.last)
    (array([3., 2.]), array([2.5, 2. ]))
    """
    order = np.lexsort((C, code))
    run, log_c, log_loss = code[order], np.log(C[order]), np.log(loss[order])
    start = np.flatnonzero((np.diff(run, prepend=-1) > 0) | (np.diff(log_c, prepend=-np.inf) > 0))
    end = np.append(start[1:], log_c.size) - 1
    low, high = np.minimum.reduceat(log_loss, start), np.maximum.reduceat(log_loss, start)
    begin = np.append(np.flatnonzero(np.diff(run[start], prepend=-1) > 0), start.size)
    return Histories(begin, log_c[start], log_loss[start], log_loss[end], low, high, order[start])


def read_curves(curves: Histories, which: IntArray, log_c: Array) -> CurveLosses:
    """
    Read training curves at a compute each.

    Parameters
    ----------
    curves : Histories
    which : int array, shape (p,)
        Which of them.
    log_c : array, shape (p,)
        ln C at which to read it.

    Examples
    --------
    >>> curves = training_curves(np.array([1.0, 1.0, 4.0]), np.array([3.0, 2.5, 2.0]), np.zeros(3, dtype=int))
    >>> reading = read_curves(curves, np.array([0]), np.log([2.0]))
    >>> f"{reading.loss[0]:.3f}, in [{reading.low[0]:.3f}, {reading.high[0]:.3f}]"
    '2.236, in [2.236, 2.449]'
    """
    begin, end = curves.start[which], curves.start[which + 1]
    right, stop = begin.copy(), end.copy()
    while (right < stop).any():  # bisection in all curves at once: the first point above log_c
        middle = (right + stop) // 2
        above = curves.log_c[np.minimum(middle, curves.log_c.size - 1)] > log_c
        open_ = right < stop
        stop = np.where(open_ & above, middle, stop)
        right = np.where(open_ & ~above, middle + 1, right)
    left, right = np.maximum(right - 1, begin), np.minimum(right, end - 1)
    far = np.abs(curves.log_c[left] - log_c) > np.abs(curves.log_c[right] - log_c)
    nearest = curves.row[np.where(far, right, left)]
    before, behind = log_c < curves.log_c[begin], log_c >= curves.log_c[end - 1]
    width = curves.log_c[right] - curves.log_c[left]
    share = (log_c - curves.log_c[left]) / np.where(width > 0, width, 1.0)
    pairs = ((curves.last, curves.first), (curves.low, curves.low), (curves.high, curves.high))
    loss, low, high = (
        np.exp(np.where(before, b[begin], np.where(behind, a[end - 1], (1 - share) * a[left] + share * b[right])))
        for a, b in pairs
    )
    return CurveLosses(loss, low, high, nearest)


def _kept_budgets(
    given: Mapping[str, Array], budgets: int | Sequence[float], tolerance: float, min_sizes: int, notes: list[Note]
) -> Array:
    candidates = _candidates(given["budget"], budgets)
    order = np.argsort(given["budget"], kind="stable")
    logs, sizes = np.log(given["budget"][order]), given["params"][order]
    step = np.log1p(tolerance)
    at = np.log(candidates)
    low, high = np.searchsorted(logs, at - step, side="right"), np.searchsorted(logs, at + step, side="left")
    enough = np.array([_has_sizes(sizes[a:b], min_sizes) for a, b in zip(low, high, strict=True)], dtype=bool)
    if not enough.any():
        msg = (
            f"None of the {candidates.size} candidate budgets has checkpoints of {min_sizes} model sizes within "
            f"{tolerance:.0%} of it; name budgets that the sizes share with `budgets`."
        )
        raise IdentificationError(msg)
    if not enough.all():
        message = (
            f"{int(enough.sum())} of {candidates.size} candidate budgets have checkpoints of at least {min_sizes} "
            f"model sizes within {tolerance:.0%}; the others were left out."
        )
        notes.append(Note("checkpoint_budgets", message))
    return np.asarray(candidates[enough])


def _has_sizes(sizes: Array, count: int) -> bool:
    """Whether there are so many distinct sizes; most often the first few tell."""
    return np.unique(sizes[: FEW_ROWS * count]).size >= count or np.unique(sizes).size >= count


def _candidates(C: Array, budgets: int | Sequence[float]) -> Array:
    if isinstance(budgets, (int, np.integer)):
        if not 1 <= budgets < LARGEST_COUNT:
            msg = f"The number of candidate budgets must lie between 1 and {LARGEST_COUNT:,}, got {budgets}."
            raise UnsupportedError(msg)
        return np.logspace(np.log10(C.min()), np.log10(C.max()), int(budgets))
    values = np.unique(np.asarray(budgets, dtype=float))
    if not (values.size and np.isfinite(values).all() and (values > 0).all()):
        msg = f"Budgets must be positive numbers of FLOPs, got {listed(budgets)}."
        raise UnsupportedError(msg)
    return values


class CurvePoints(NamedTuple):
    """The best runs of every size at every budget, shape (p,), by budget and size."""

    params: Array
    budget: Array
    loss: Array
    low: Array
    high: Array
    row: IntArray


def _points(curves: Histories, size: Array, budgets: Array, step: float) -> CurvePoints:
    run = np.repeat(np.arange(size.size), np.diff(curves.start))
    order = np.argsort(curves.log_c, kind="stable")
    logs = curves.log_c[order]
    at = np.log(budgets)
    # Wider by a hair than the distance that decides, which is taken below.
    low = np.searchsorted(logs, at - step * (1 + 1e-9), side="left")
    high = np.searchsorted(logs, at + step * (1 + 1e-9), side="right")
    parts: list[CurvePoints] = []
    waiting: list[tuple[IntArray, Array]] = []
    for k, (a, b) in enumerate(zip(low, high, strict=True)):
        near = order[a:b][np.abs(logs[a:b] - at[k]) < step]
        here = np.unique(run[near])
        waiting.append((here, np.full(here.size, budgets[k])))
        if sum(which.size for which, _ in waiting) > MOST_PAIRS or k == budgets.size - 1:
            parts.append(_best_of_sizes(curves, size, *map(np.concatenate, zip(*waiting, strict=True))))
            waiting = []
    return CurvePoints(*map(np.concatenate, zip(*parts, strict=True)))


def _best_of_sizes(curves: Histories, size: Array, which: IntArray, budget: Array) -> CurvePoints:
    """The lowest reading of every size at every budget, of curves in the order of the table."""
    reading = read_curves(curves, which, np.log(budget))
    n = size[which]
    order = np.lexsort((which, reading.loss, n, budget))
    n, budget = n[order], budget[order]
    first = np.flatnonzero((np.diff(n, prepend=np.nan) != 0) | (np.diff(budget, prepend=np.nan) != 0))
    low, high = (np.minimum.reduceat(end[order], first) for end in (reading.low, reading.high))
    return CurvePoints(n[first], budget[first], reading.loss[order][first], low, high, reading.row[order][first])


def _say_repeats(curves: Histories, checkpoints: IntArray, points: CurvePoints, notes: list[Note]) -> None:
    lengths = np.diff(curves.start)
    repeats = int((lengths < checkpoints).sum())
    tied = int((points.low < points.high).sum())
    if not repeats:
        return
    message = (
        f"{repeats} of {lengths.size} runs repeat a compute value; the order of their checkpoints is that of the "
        f"table. Another order would change the loss of {tied} of {points.loss.size} points, within their columns "
        "loss_low and loss_high; name more columns of runs if several runs were taken for one."
    )
    notes.append(Note("tied_checkpoints", message))


def _say_unfinished(
    table: Rows,
    roles: Mapping[str, str],
    given: Mapping[str, Array],
    curves: Histories,
    notes: list[Note],
) -> None:
    labels = {key: column for key, column in table.columns.items() if key not in roles.values()}
    known = checkpoint_notes(labels, given["params"], given["tokens"])
    lengths = np.diff(curves.start)
    several = int((lengths > 1).sum())
    progress = [key for key in named_among(PROGRESS_NAMES, labels) if labels[key].dtype.kind in "iuf"]
    if not known and several and not any((labels[key] >= UNFINISHED).all() for key in progress[:1]):
        message = (
            f"{several} of {lengths.size} runs have several checkpoints; before the end of a run the learning rate is "
            "still high, so the loss lies above that of a run annealed for the same tokens."
        )
        known = [Note("unannealed", message)]
    notes += known


def _as_runs(points: CurvePoints, table: Rows, keys: Iterable[str], notes: list[Note]) -> Runs:
    N, C, L, nearest = points.params, points.budget, points.loss, points.row
    D = Cost().tokens(budget=C, params=N)
    quantities = {"params": N, "tokens": D, "budget": C, "loss": L}
    progress = [key for key in named_among(PROGRESS_NAMES, table.keys) if key not in keys][:1]
    labels: dict[str, AnyArray] = {
        **{key: table.columns[key][nearest] for key in [*keys, *progress] if key not in quantities},
        "loss_low": points.low,
        "loss_high": points.high,
        "checkpoint_row": table.row[nearest],
    }
    return Runs.from_arrays(
        N,
        D,
        L,
        C=C,
        groups=distinct_budgets(C)[:2],
        labels=labels,
        columns={name: name for name in quantities},
        selection=table.selection,
        source=os.fspath(table.source),
        notes=tuple(notes),
        table={**quantities, **labels},
    )
