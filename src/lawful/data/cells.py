"""Cells of a table: runs of one N and D, which may be seeds of one recipe or a sweep of hyper-parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from lawful.core.notes import Note
from lawful.core.typing import AnyArray, Array, BoolArray, IntArray
from lawful.data.checkpoints import PROGRESS_NAMES, RUN_NAMES, distinct_within, row_codes
from lawful.data.columns import EXPERIMENT_NAMES, SEED_NAMES, STEPS, listed, normalise
from lawful.data.runs import Runs
from lawful.data.values import distinct

TUNED = (
    "lr",
    "learning_rate",
    "peak_lr",
    "max_lr",
    "max_learning_rate",
    "base_lr",
    "init_lr",
    "initial_lr",
    "lr_max",
    "lr_peak",
    "mup_lr",
    "adam_lr",
    "lr_mult",
    "lr_multiplier",
    "peak_learning_rate",
    "batch_size",
    "bsz",
    "global_batch_size",
    "batch",
    "weight_decay",
    "wd",
    "warmup",
    "warmup_steps",
    "warmup_ratio",
    "beta1",
    "beta2",
    "adam_beta2",
    "dropout",
    "optimizer",
    "schedule",
    "lr_schedule",
    "init_std",
    "clip",
    "grad_clip",
    "hparam",
)
"""Columns whose values are chosen by trying: only the best of a cell says what its size and data can do."""

SAME_CELL = 1e-3
"""Relative difference within which two sizes, or two counts of tokens, are one."""

COPIED = 0.9
"""Share of the runs with repeated N and D from which equal losses are copies, and not rounding."""

LEAST_COPIES, BEYOND_CHANCE = 3, 10.0
"""Equal losses of a cell are copies where they are so many, and so many times those that chance brings."""

MOST_ALONE = 0.6
"""Distinct values per row above which a column of numbers is measured anew in every row."""

WIDE_CELL = 0.02
"""Seeds of one run differ by less than this share of the loss, in the median cell."""

MOST_VALUES = 12
"""A column of more values than this is no setting that was tried."""

NO_SETTING = frozenset(
    (*SEED_NAMES, *RUN_NAMES, *STEPS, *PROGRESS_NAMES, *EXPERIMENT_NAMES, "id", "file", "node", "host")
)
"""Columns that vary inside a cell and are no hyper-parameter."""

SHARE = 0.5
"""Share of the cells with several runs in which a tuned column must vary."""


def cells_of(N: Array, D: Array) -> IntArray:
    """
    Return the cell of every run: runs whose N and D agree to :data:`SAME_CELL`.

    Examples
    --------
    >>> cells_of(np.array([1e8, 1e8, 2e8]), np.array([2e9, 2.000001e9, 2e9])).tolist()
    [0, 0, 1]
    """
    steps = [np.concatenate([[0], np.cumsum(np.diff(np.sort(np.log(v))) > SAME_CELL)]) for v in (N, D)]
    rank = [
        s[np.argsort(np.argsort(np.log(v), kind="stable"), kind="stable")] for s, v in zip(steps, (N, D), strict=True)
    ]
    return np.unique(rank[0] * (len(N) + 1) + rank[1], return_inverse=True)[1].reshape(-1).astype(np.intp)


def tuned_columns(labels: Mapping[str, AnyArray], cell: IntArray, loss: Array | None = None) -> list[str]:
    """
    Hyper-parameters that vary inside most cells of several runs.

    Examples
    --------
    >>> tuned_columns({"lr": np.array([1e-3, 3e-3, 1e-3]), "seed": np.array([0, 1, 0])}, np.array([0, 0, 1]))
    ['lr']
    """
    several = np.flatnonzero(np.bincount(cell) > 1)
    if not several.size:
        return []
    wide = spread_of_cells(labels, loss, cell) > WIDE_CELL
    found: list[str] = []
    unknown: list[str] = []
    for key, column in labels.items():
        named = normalise(re.split(r"[./]", key)[-1]) in TUNED
        if not named and (not wide or normalise(key) in NO_SETTING):
            continue
        values, codes = distinct(column)
        if len(values) > MOST_VALUES and not named:
            continue
        varies = int((distinct_within(cell, codes)[several] > 1).sum())
        if varies >= SHARE * several.size:
            (found if named else unknown).append(key)
    return found or unknown


def spread_of_cells(labels: Mapping[str, AnyArray], loss: Array | None, cell: IntArray) -> float:
    """
    Median range of the losses inside cells of several runs, as a share of the loss; 0 where seeds tell them apart.

    Losses around zero have no shares: how far they all lie apart stands for their size.

    Examples
    --------
    >>> round(spread_of_cells({}, np.array([3.0, 3.3, 2.5]), np.array([0, 0, 1])), 3)
    0.1
    """
    count = np.bincount(cell)
    if loss is None or count.max(initial=0) < 2 or any(normalise(key) in SEED_NAMES for key in labels):
        return 0.0
    order = np.lexsort((loss, cell))
    end = np.cumsum(count)
    low, high = loss[order][end - count], loss[order][end - 1]
    # Copies of a row are no runs of their own.
    apart = (count > 1) & (high > low)
    ranges = (high / low - 1)[apart] if loss.min() > 0 else (high - low)[apart] / np.ptp(loss)
    return float(np.median(ranges)) if ranges.size else 0.0


def first_of_copies(runs: Runs) -> IntArray:
    """
    Positions of the runs less copies of earlier ones.

    A copy repeats another row in every column. Under other labels it repeats N, D and the loss to the last
    digit, and so do most rows that share their N and D, or many more than seeds that scatter as the others do would
    agree by chance: seeds of one run would not. A setting that differs (a number that is no seed, name or measurement
    of a run) tells two runs apart.

    Examples
    --------
    >>> seeds = {"seed": np.array([0, 1, 0])}
    >>> first_of_copies(Runs.from_arrays([1e8] * 3, [2e9] * 3, [3.1, 3.2, 3.1], labels=seeds)).tolist()
    [0, 1]
    """
    if np.unique(runs.L).size == len(runs):
        return np.arange(len(runs), dtype=np.intp)
    numbers = [runs.N, runs.D, runs.L, runs.C, runs.weight, *_settings(runs)]
    plain = row_codes(numbers)
    repeated, same = (np.bincount(codes)[codes] > 1 for codes in (row_codes(numbers[:2]), plain))
    if not same.any():
        return np.arange(len(runs), dtype=np.intp)
    alike = same.sum() > COPIED * repeated.sum() or _beyond_chance(row_codes(numbers[:2]), runs.L)
    codes = plain if alike else row_codes([*numbers, *runs.labels.values()])
    # The copy that stays is the first in the order of all arithmetic, so the order of the table does not choose it.
    order = np.arange(len(runs)) if runs.order is None else runs.order
    return np.sort(order[np.unique(codes[order], return_index=True)[1]])


def _settings(runs: Runs) -> list[AnyArray]:
    """Columns of numbers that are neither seeds nor names nor measured anew in every row."""
    numbers = {
        name: v for name, v in runs.labels.items() if v.dtype.kind in "iufb" and normalise(name) not in NO_SETTING
    }
    return [v for v in numbers.values() if np.unique(v).size <= MOST_ALONE * len(runs)]


def _beyond_chance(cell: IntArray, loss: Array) -> bool:
    """
    Whether far more losses of a cell agree to the last digit than seeds of one run would.

    Two seeds of standard deviation s agree to a last digit of size g with probability g/(2 s sqrt(pi)) where g is
    small, as the density at 0 of their difference, of variance 2s², has it.
    """
    order = np.lexsort((loss, cell))
    step = np.diff(loss[order])[np.diff(cell[order]) == 0]
    apart = step > 0
    if not apart.any():
        return False
    digit = next((10.0**-k for k in range(2, 13) if np.allclose(np.round(loss, k), loss, rtol=0, atol=1e-13)), 1e-13)
    spread = float(np.sqrt(np.mean(step[apart] ** 2) / 2))
    chance = min(digit / (2 * spread * np.sqrt(np.pi)), 1.0) * step.size
    return bool((~apart).sum() >= LEAST_COPIES + BEYOND_CHANCE * chance)


def counted_once(runs: Runs) -> Runs:
    """
    Return the runs without copies of rows, which are neither replicates nor weight, with a note.

    Examples
    --------
    >>> runs = Runs.from_arrays([1e8, 2e8, 1e8], [2e9, 1e9, 2e9], [3.1, 3.2, 3.1])
    >>> len(counted_once(runs)), counted_once(runs).notes[0].code
    (2, 'copied_rows')
    """
    first = first_of_copies(runs)
    copies = len(runs) - first.size
    if not copies:
        return runs
    rows = "1 row repeats" if copies == 1 else f"{copies:,} rows repeat"
    text = f"{rows} another one to the last digit of its loss: copies tell nothing new and count once."
    return runs.take(first).with_notes(Note("copied_rows", text))


def best_of_cells(loss: Array, cell: IntArray) -> BoolArray:
    """
    Keep the run of least loss of every cell.

    Examples
    --------
    >>> best_of_cells(np.array([3.1, 3.0, 2.5]), np.array([0, 0, 1])).tolist()
    [False, True, True]
    """
    order = np.lexsort((loss, cell))
    first = np.concatenate([[True], np.diff(cell[order]) > 0])
    keep = np.zeros(loss.size, dtype=bool)
    keep[order[first]] = True
    return keep


def sweep_note(columns: Sequence[str], cell: IntArray, spread: float = 0.0) -> list[Note]:
    """Say that a table holds a sweep of hyper-parameters, whose worse runs are no replicates."""
    several = int((np.bincount(cell) > 1).sum())
    if not columns and spread > WIDE_CELL:
        text = (
            f"In {several} of {cell.max() + 1} cells of one N and D the losses differ by {spread:.1%} (median), more "
            f"than seeds of one run do, and no column says why: if hyper-parameters were tried, keep the best of each "
            f"with `best_of_cell`."
        )
        return [Note("hyperparameter_sweep", text)]
    if not columns:
        return []
    text = (
        f"In {several} of {cell.max() + 1} cells of one N and D, {listed(map(repr, columns))} varies: a sweep of "
        f"hyper-parameters, whose worse runs are no replicates; keep the best of each with `best_of_cell`."
    )
    return [Note("hyperparameter_sweep", text)]


def kept_note(kept: BoolArray, columns: Sequence[str]) -> Note:
    """Say that the best run of every cell was kept."""
    over = f" over {listed(map(repr, columns))}" if columns else ""
    text = f"The best of each cell of one N and D{over} was kept: {int(kept.sum())} of {kept.size} runs."
    return Note("best_of_cell", text)
