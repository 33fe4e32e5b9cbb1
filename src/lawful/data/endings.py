"""How runs ended: crashed ones and lines that are no runs set aside, and one row of every run kept on request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np

from lawful.core.notes import Note
from lawful.core.typing import AnyArray, BoolArray
from lawful.data.checkpoints import RUN_NAMES, named_among, row_codes
from lawful.data.columns import SEED_NAMES, STEPS, listed, normalise
from lawful.data.selection import Rows
from lawful.data.values import distinct, number_or_nan
from lawful.errors import InputError, UnsupportedError

STATES = (
    "state",
    "status",
    "run_state",
    "run_status",
    "job_state",
    "job_status",
    "final_state",
    "final_status",
    "outcome",
)
"""Columns that say how a run ended, also as the end of a path (``run.state``)."""

UNFINISHED = (
    *("crash", "fail", "running", "kill", "preempt", "pending", "error", "cancel", "timeout", "timed_out", "oom"),
    *("diverge", "nan", "abort", "queued", "schedul", "stopped", "interrupt", "incomplete", "unfinished", "terminated"),
    "broken",
)
"""How their words begin for a run whose loss is not the loss of a finished run."""

GOOD_FLAGS = ("completed", "complete", "finished", "succeeded", "success", "is_finished", "is_complete", "done", "ok")
BAD_FLAGS = ("crashed", "failed", "diverged", "is_crashed", "is_diverged", "has_nan", "killed", "oom", "aborted")
EXIT_CODES = ("exit_code", "exitcode", "exit_status", "return_code", "returncode")
"""Columns of yes and no, and of numbers, that say the same."""

TRUE, FALSE = frozenset({"true", "yes", "y", "1", "1.0", "t"}), frozenset({"false", "no", "n", "0", "0.0", "f"})

SUMMARIES = frozenset(
    {
        "subtotal",
        "totals",
        "mean",
        "average",
        "avg",
        "median",
        "total",
        "sum",
        "std",
        "stdev",
        "min",
        "max",
        "minimum",
        "maximum",
        "overall",
        *(
            "summe",
            "gesamt",
            "gesamtsumme",
            "mittelwert",
            "durchschnitt",
            "somme",
            "moyenne",
            "suma",
            "promedio",
        ),
        *("合计", "总计", "平均", "平均值", "均值", "合計", "総計"),
    }
)
"""Names of lines that sum up the others."""

SUMMED = frozenset((*RUN_NAMES, "model", "model_name", "config", "id", ""))
"""Columns that name what a line is of; any other names the last lines of a table, where it is the first of text."""

SUMMED_TO = 0.01
"""How near a line that sums up others is to their sum or mean: it is rounded."""

ROWS = ("last", "best")
"""Which row of a run with several can be kept."""


def finished(table: Rows, *, as_is: bool = False) -> tuple[Rows, list[Note]]:
    """
    Set aside the runs whose state says that they did not finish, and lines that sum up the others.

    Parameters
    ----------
    table : Rows
    as_is : bool
        Keep rows of which none finished.

    Raises
    ------
    InputError
        If no run finished.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> table, notes = finished(open_table({"State": ["finished", "crashed"], "loss": [2.0, 9.0]}, "here", None))
    >>> table.row.tolist(), notes[0].message
    ([1], "1 of 2 runs was set aside: column 'State' says 'crashed' (row 2).")
    >>> finished(open_table({"diverged": [False, True], "loss": [2.0, 9.0]}, "here", None))[0].row.tolist()
    [1]
    """
    notes = []
    titles = dict(zip(table.keys, table.header, strict=True))
    for key, title in titles.items():
        bad = _ended_early(normalise(re.split(r"[./]", title)[-1].rstrip("?")), table.columns[key])
        if bad is None or not bad.any():
            continue
        words = " or ".join(repr(value) for value in distinct(table.columns[key][bad])[0])
        if bad.all():
            if not as_is and key not in table.selection:
                raise InputError(_none_finished(key, words, bad.size))
            continue
        notes.append(set_aside(table, bad, f"column {key!r} says {words}"))
        table = table.take(~bad, {})
    for key in named_among(SEED_NAMES, table.keys):
        column = table.columns[key]
        bad = _among(column, _sums_up) if column.dtype.kind == "O" else np.zeros(column.size, dtype=np.bool_)
        if bad.any() and not bad.all():
            words = " or ".join(repr(value) for value in distinct(column[bad])[0])
            notes.append(set_aside(table, bad, f"column {key!r} says {words}", "rows"))
            table = table.take(~bad, {})
    closing = _closing_lines(table)
    if closing is not None:
        key, bad = closing
        words = " or ".join(repr(value) for value in distinct(table.columns[key][bad])[0])
        notes.append(set_aside(table, bad, f"column {key!r} says {words} in the last lines"))
        table = table.take(~bad, {})
    if closing is None and _is_summary(table):
        last = np.arange(table.row.size) == table.row.size - 1
        notes.append(set_aside(table, last, "every number in it is the sum or the mean of those above", "rows"))
        table = table.take(~last, {})
    return table, notes


FEWEST_SUMMED, COLUMNS_SUMMED, EXACTLY = 5, 3, 5e-4
"""Rows and moving columns of numbers that a nameless last line has to sum up, and how exactly, to be no run."""


def _is_summary(table: Rows) -> bool:
    """Whether the last line has the sum or the mean of the others in every column of numbers that moves."""
    found = []
    for key, column in table.columns.items():
        if key in table.made or column.dtype.kind not in "iuf" or column.size <= FEWEST_SUMMED:
            continue
        above, last = column[:-1].astype(float), float(column[-1])
        if np.isfinite(above).all() and np.unique(above).size > 2 and np.isfinite(last):
            whole = np.array([above.sum(), above.mean()])
            found.append(bool((np.abs(last - whole) <= EXACTLY * np.abs(whole)).any()))
    return len(found) >= COLUMNS_SUMMED and all(found)


def _closing_lines(table: Rows) -> tuple[str, BoolArray] | None:
    """The last lines of a table that say they sum up the others, by its first column of text, and do."""
    key = next((key for key, column in table.columns.items() if column.dtype.kind == "O"), None)
    if key is None or not _sums_up(normalise(str(table.columns[key][-1]))):
        return None
    column = table.columns[key]
    among = _among(column, _sums_up)
    start = int(np.flatnonzero(~among)[-1]) + 1 if not among.all() else 0
    said = {normalise(str(value)) for value in column[start:]}
    if among[:start].any() or len(said) < column.size - start or 2 * (column.size - start) > column.size:
        return None
    return (key, among) if all(_sums(table, start, at) for at in range(start, column.size)) else None


def _sums(table: Rows, start: int, at: int) -> bool:
    """Whether two columns, or the only one of numbers, hold the sum or mean of the rows above in some row."""
    found = []
    for column in map(number_or_nan, table.columns.values()):
        above = column[:start][np.isfinite(column[:start])]
        if np.isfinite(column[at]) and np.unique(above).size > 1:
            whole = np.array([above.sum(), above.mean(), np.median(above), above.std(), above.min(), above.max()])
            found.append(bool((np.abs(column[at] - whole) <= SUMMED_TO * np.abs(whole)).any()))
    return sum(found) >= min(2, max(len(found), 1))


def _none_finished(key: str, words: str, count: int) -> str:
    all_of = "the only run" if count == 1 else f"all {count:,} runs"
    return (
        f"Column {key!r} says {words} of {all_of}, so none has the loss of a finished run; give finished ones, or read "
        f"them as they are with `as_is`."
    )


def usable(table: Rows, roles: Mapping[str, str], *, signed: bool = False) -> tuple[Rows, list[Note]]:
    """
    Set aside the rows in which a quantity is missing, no number, not finite or not positive.

    Where the table is ``signed``, its loss may be zero or negative.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> table = open_table({"N": [1e8, 2e8, 4e8], "loss": ["3.1", "diverged", "-"]}, "here", None)
    >>> found, notes = usable(table, {"params": "N", "loss": "loss"})
    >>> found.row.tolist(), notes[0].message
    ([1], "2 of 3 runs were set aside, as asked: column 'loss' has no positive number (rows 2, 3).")
    """
    notes = []
    for quantity, key in roles.items():
        values = number_or_nan(table.columns[key])
        free = signed and quantity == "loss"
        bad = ~(np.isfinite(values) & ((values > 0) | free))
        # Where no cell is a number the column is a wrong one, and is refused as such.
        if bad.any() and not bad.all():
            note = set_aside(table, bad, f"column {key!r} has no {'finite' if free else 'positive'} number")
            notes.append(Note(note.code, note.message.replace(" set aside:", " set aside, as asked:", 1)))
            table = table.take(~bad, {})
    return table, notes


def set_aside(table: Rows, bad: BoolArray, why: str, what: str = "runs") -> Note:
    """
    Say which rows of a table were set aside, and why: the one sentence for all that do so.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> rows = open_table({"loss": [3.1, 9.0]}, "here", None)
    >>> print(set_aside(rows, np.array([False, True]), "its name states no budget").message)
    1 of 2 runs was set aside: its name states no budget (row 2).
    """
    count = int(bad.sum())
    text = (
        f"{count} of {bad.size} {what} {'was' if count == 1 else 'were'} set aside: {why} "
        f"(row{'s' if count > 1 else ''} {listed(table.row[bad])})."
    )
    return Note("set_aside", text)


def _ended_early(name: str, column: AnyArray) -> BoolArray | None:
    """Rows of runs that did not finish; None where the column does not speak of that."""
    if name in STATES and column.dtype.kind == "O":
        return _among(column, lambda word: word.startswith(UNFINISHED))
    if name in SUMMED and column.dtype.kind == "O":
        return _among(column, _sums_up)
    if name in EXIT_CODES and column.dtype.kind in "iuf":
        return np.asarray(np.nan_to_num(column.astype(float)) != 0)
    if name not in GOOD_FLAGS and name not in BAD_FLAGS:
        return None
    known = [str(value).strip().casefold() for value in distinct(column)[0]]
    if not all(word in TRUE or word in FALSE for word in known):
        return None  # a share or a date, not a yes or no
    bad = FALSE if name in GOOD_FLAGS else TRUE
    return np.array([word in bad for word in known], dtype=np.bool_)[distinct(column)[1]]


def _sums_up(name: str) -> bool:
    words = set(name.replace("(", "").replace(")", "").split("_")) - {"", "of", "the", "all", "runs", "grand", "sub"}
    return bool(words) and words <= SUMMARIES


def _among(column: AnyArray, holds: Callable[[str], bool]) -> BoolArray:
    values, codes = distinct(column)
    return np.array([holds(normalise(str(value))) for value in values], dtype=np.bool_)[codes]


def row_of_run(table: Rows, roles: Mapping[str, str], which: str) -> tuple[Rows, list[Note]]:
    """
    Keep one row of every run: the last with a loss, or that of the least loss.

    The last is the row of most steps where a column counts them, else of most tokens, else the lowest in the table.

    Raises
    ------
    UnsupportedError
        If ``which`` is neither ``last`` nor ``best``.
    InputError
        If no column names the runs.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> history = {"run": ["a", "a", "b"], "step": [2, 1, 1], "loss": [3.0, 3.5, 3.2]}
    >>> row_of_run(open_table(history, "here", None), {"loss": "loss"}, "last")[0].row.tolist()
    [1, 3]
    """
    if which not in ROWS:
        msg = f"`row_of_run` is {' or '.join(ROWS)}, not {which!r}."
        raise UnsupportedError(msg)
    known = dict(roles)
    names = named_among([*RUN_NAMES, "id"], [k for k in table.keys if k not in known.values()])
    if not names:
        msg = f"`row_of_run` {which} needs a column that names the runs, such as run or name; the table has none."
        raise InputError(msg)
    code = row_codes([table.columns[names[0]]])
    loss = number_or_nan(table.columns[known["loss"]])
    steps = named_among(STEPS, table.keys)[:1] or ([known["tokens"]] if "tokens" in known else [])
    age = number_or_nan(table.columns[steps[0]]) if steps else np.arange(loss.size, dtype=float)
    rank = loss if which == "best" else -np.nan_to_num(age, nan=-np.inf)
    # Rows without a loss come last; of equals the lower one in the table is the later.
    order = np.lexsort((-table.row, rank, ~np.isfinite(loss), code))
    kept = np.sort(order[np.flatnonzero(np.diff(code[order], prepend=-1))])
    if kept.size == loss.size:
        return table, []
    said = "last row" if which == "last" else "row of least loss"
    by = f", by column {steps[0]!r}" if which == "last" and steps else ""
    text = f"The {said} of every run (column {names[0]!r}{by}) was kept: {kept.size:,} of {loss.size:,} rows."
    return table.take(kept, {}), [Note("set_aside", text)]
