"""Cells of a table: runs of one N and D, which may be seeds of one recipe or a sweep of hyper-parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lawful.core.notes import Note
from lawful.core.typing import AnyArray, Array, BoolArray, IntArray
from lawful.data.checkpoints import row_codes
from lawful.data.columns import listed, normalise
from lawful.data.runs import Runs
from lawful.data.values import distinct

TUNED = (
    "lr",
    "learning_rate",
    "peak_lr",
    "max_lr",
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


def tuned_columns(labels: Mapping[str, AnyArray], cell: IntArray) -> list[str]:
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
    found = []
    for key, column in labels.items():
        if normalise(key) not in TUNED and normalise(key.rpartition(".")[2]) not in TUNED:
            continue
        codes = distinct(column)[1]
        varies = sum(np.unique(codes[cell == c]).size > 1 for c in several.tolist())
        if varies >= SHARE * several.size:
            found.append(key)
    return found


def first_of_copies(runs: Runs) -> IntArray:
    """
    Positions of the runs less copies of earlier ones.

    A copy repeats another row in every column. Under other labels it repeats N, D and the loss to the last
    digit, and so do most rows that share their N and D: seeds of one run would not.

    Examples
    --------
    >>> seeds = {"seed": np.array([0, 1, 0])}
    >>> first_of_copies(Runs.from_arrays([1e8] * 3, [2e9] * 3, [3.1, 3.2, 3.1], labels=seeds)).tolist()
    [0, 1]
    """
    numbers = [runs.N, runs.D, runs.L, runs.C, runs.weight]
    plain = row_codes(numbers)
    repeated, same = (np.bincount(codes)[codes] > 1 for codes in (row_codes(numbers[:2]), plain))
    if not same.any():
        return np.arange(len(runs), dtype=np.intp)
    codes = plain if same.sum() > COPIED * repeated.sum() else row_codes([*numbers, *runs.labels.values()])
    return np.sort(np.unique(codes, return_index=True)[1])


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


def sweep_note(columns: Sequence[str], cell: IntArray) -> list[Note]:
    """Say that a table holds a sweep of hyper-parameters, whose worse runs are no replicates."""
    if not columns:
        return []
    several = int((np.bincount(cell) > 1).sum())
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
