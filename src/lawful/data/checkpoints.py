"""Training curves: how a table tells its runs apart, and whether a row is the end of a run or a checkpoint of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from lawful.core.notes import Note
from lawful.core.typing import AnyArray, Array, IntArray
from lawful.data.columns import normalise
from lawful.data.values import first_codes, first_rows

RUN_NAMES = ("run_id", "run_name", "run", "name", "display_name", "file")
"""Columns that name a training run, the first that a table has being the one; ``file`` where each has its own."""

SETTING_NAMES = ("peak_lr", "learning_rate", "lr", "max_lr", "batch_size", "seed", "sweep", "experiment", "dataset")
"""Columns that tell runs of one size apart where none names the run."""

PROGRESS_NAMES = ("portion_steps_elapsed", "portion_elapsed", "fraction_of_training", "progress")
"""Columns with the share of a run's steps that a checkpoint had behind it."""

EVEN_STEPS, LEAST_STEPS = 0.02, 5
"""Rows of one size whose tokens grow by equal steps, to this fraction, and so many of them, are those of one curve."""

UNFINISHED = 1.0 - 1e-6
"""A share of steps below this is a checkpoint before the end."""


def named_among(names: Iterable[str], keys: Iterable[str]) -> list[str]:
    """
    Return the columns that carry one of some names, in the order of the names.

    Examples
    --------
    >>> named_among(RUN_NAMES, ["N", "Name", "loss"])
    ['Name']
    """
    by_name = {normalise(key): key for key in reversed(list(keys))}
    return [by_name[name] for name in names if name in by_name]


def row_codes(columns: Iterable[AnyArray]) -> IntArray:
    """
    Number the distinct combinations of values in some columns, in order of first appearance.

    Examples
    --------
    >>> row_codes([np.array([2.0, 2.0, 1.0]), np.array(["a", "b", "a"], dtype=object)]).tolist()
    [0, 1, 2]
    """
    codes = None
    for column in columns:
        values = first_codes(column)
        codes = values if codes is None else first_codes(codes * (values.max(initial=0) + 1) + values)
    if codes is None:
        msg = "row_codes needs a column"
        raise ValueError(msg)
    return codes


def distinct_within(codes: IntArray, values: AnyArray) -> IntArray:
    """
    Count the distinct values of a column within every code.

    Examples
    --------
    >>> distinct_within(np.array([0, 0, 0, 1]), np.array([5.0, 5.0, 6.0, 5.0])).tolist()
    [2, 1]
    """
    return np.bincount(codes[first_rows(row_codes([codes, values]))])


def checkpoint_notes(labels: Mapping[str, AnyArray], N: Array, D: Array) -> list[Note]:
    """
    Say when rows look like checkpoints of unfinished runs rather than like runs.

    A checkpoint in the middle of a learning-rate schedule has a higher loss than a
    run that was annealed for the same tokens, so its row says less than it seems to.

    Parameters
    ----------
    labels : mapping of str to array, shape (n,)
        Columns besides the quantities.
    N, D : array, shape (n,)
        Parameters and tokens.

    Returns
    -------
    list of Note
        One note ``unannealed``, or none.

    Examples
    --------
    >>> N, D = np.full(3, 1e8), np.array([1e9, 2e9, 4e9])
    >>> checkpoint_notes({"progress": np.array([0.25, 0.5, 1.0])}, N, D)[0].message[:52]
    '2 of 3 rows are checkpoints before the end of their '
    >>> checkpoint_notes({"run": np.array(["a", "b", "c"], dtype=object)}, N, D)
    []
    """
    why = "their learning rate was still high, so their loss lies above that of a run annealed for the same tokens"
    for key in named_among(PROGRESS_NAMES, labels):
        if labels[key].dtype.kind not in "iuf":
            continue
        early = int((labels[key] < UNFINISHED).sum())
        if early:
            message = (
                f"{early:,} of {N.size:,} rows are checkpoints before the end of their run (column {key!r} below 1): "
                f"{why}."
            )
            return [Note("unannealed", message)]
        return []
    for key in named_among(RUN_NAMES, labels)[:1]:
        lengths = distinct_within(row_codes([labels[key], N]), D)
        if (lengths > 1).any():
            count = int((lengths > 1).sum())
            message = (
                f"{count:,} of {lengths.size:,} runs (column {key!r}) have several rows with different tokens, as "
                f"checkpoints of a training curve have; unless each was annealed on its own, {why}."
            )
            return [Note("unannealed", message)]
        return []
    count, sizes = even_curves(labels, N, D)
    if count > sizes / 2:
        message = (
            f"The rows of {count:,} of {sizes:,} model sizes stand at equal steps of tokens, as checkpoints of a "
            f"training curve do, and no column names their run; unless each was annealed on its own, {why}."
        )
        return [Note("unannealed", message)]
    return []


def even_curves(labels: Mapping[str, AnyArray], N: Array, D: Array) -> tuple[int, int]:
    """
    Count the curves of one size and setting whose tokens grow by equal steps, and the curves in all.

    Examples
    --------
    >>> even_curves({}, np.full(6, 1e8), 1e9 * np.arange(1, 7)), even_curves({}, np.full(6, 1e8), 2.0 ** np.arange(6))
    ((1, 1), (0, 1))
    """
    code = row_codes([N, *(labels[key] for key in named_among(SETTING_NAMES, labels))])
    order = np.lexsort((D, code))
    run, tokens = code[order], D[order]
    kept = (np.diff(run, prepend=-1) > 0) | (np.diff(tokens, prepend=-np.inf) > 0)
    run, tokens = run[kept], tokens[kept]
    curves = int(run[-1]) + 1
    steps, of = np.diff(tokens), run[1:]
    inside = of == run[:-1]
    steps, of = steps[inside], of[inside]
    if not steps.size:
        return 0, curves
    start = np.flatnonzero(np.diff(of, prepend=-1) > 0)
    count = np.diff(np.append(start, steps.size))
    spread = np.maximum.reduceat(steps, start) - np.minimum.reduceat(steps, start)
    even = (count + 1 >= LEAST_STEPS) & (spread <= EVEN_STEPS * np.add.reduceat(steps, start) / count)
    return int(even.sum()), curves


def curve_codes(labels: Mapping[str, AnyArray], N: Array, D: Array) -> IntArray | None:
    """
    Label the training curves that rows are points of; None where rows are runs of their own.

    A column that names the run decides, if there is one: rows are points where most runs have several token counts.
    Without one, rows of one size and setting are a curve where most such curves grow by equal steps of tokens.

    Examples
    --------
    >>> curve_codes({"run": np.array([7, 7])}, np.array([1e8, 1e8]), np.array([1e9, 2e9])).tolist()
    [0, 0]
    >>> curve_codes({}, np.array([1e8, 2e8]), np.array([1e9, 2e9])) is None
    True
    """
    for key in named_among(RUN_NAMES, labels)[:1]:
        run = row_codes([labels[key], N])
        rows = distinct_within(run, D)
        return run if (rows > 1).sum() > rows.size / 2 else None
    even, curves = even_curves(labels, N, D)
    if even <= curves / 2:
        return None
    return row_codes([N, *(labels[key] for key in named_among(SETTING_NAMES, labels))])
