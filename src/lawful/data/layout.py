"""How a table lies on its page: on its side, under two lines of header, in blocks under a value written once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lawful.core.notes import Note
from lawful.core.typing import AnyArray, Array, BoolArray
from lawful.data.checkpoints import distinct_within, named_among
from lawful.data.columns import (
    EXPERIMENT_NAMES,
    LOOSE_NAMES,
    SEED_NAMES,
    TRAINING_LOSSES,
    by_words,
    find_column,
    listed,
    normalise,
    unique_names,
)
from lawful.data.doubts import MEASURES, words_of
from lawful.data.endings import STATES, set_aside
from lawful.data.runs import BUDGET_TOLERANCE
from lawful.data.selection import Rows
from lawful.data.translate import BITS, LOSS_UNITS, PERPLEXITIES, QUANTITY_NAMES
from lawful.data.units import number_of, split_header, unit_of
from lawful.data.values import FIRST_ROWS, MISSING_WORDS, distinct, number_or_nan, value_text
from lawful.errors import InputError

MOST_LINES = 1000
"""Lines of a table that lies on its side, at most: it has one per column, and no table has so many of them."""

DITTO = "〃"
"""The mark of a cell that has the value of the one above it, as the reader of workbooks writes it into merged cells."""

DITTOS = frozenset({DITTO, '"', "″", "''", "ditto", "do.", "idem", "dito", "同上", "同左上", "-〃-", '-"-'})
"""What people write for the value above."""

SCALELESS = frozenset(
    {"", "-", "–", "—", "#", "1", "count", "counts", "tokens", "params", "parameters", "flops", "flop"}
)
"""Cells of a line of units that change no number."""


def laid_out(
    table: Rows,
    mapping: Mapping[str, str],
    fill_down: Sequence[str] | str = (),
    *,
    in_memory: bool = False,
    losses: bool = True,
) -> tuple[Rows, list[Note]]:
    """
    Bring a table into the form of one line of names and one row per run.

    Parameters
    ----------
    table : Rows
        Clean columns as the source has them.
    mapping : mapping of str to str
        Quantity to a column or a formula, as the user named them.
    fill_down : sequence of str
        Columns of which a blank cell has the value above it.
    in_memory : bool
        Whether the rows are those of a frame or of arrays: every one of them is then answered, a blank one too.
    losses : bool
        Whether its rows have losses, as runs have and those that are still to be run have not.

    Raises
    ------
    InputError
        If cells are to be filled that nothing stands above, or those of a loss.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> table = open_table({"params": ["tokens", "loss"], "1e8": ["2e9", "3.1"], "2e8": ["1e9", "3.2"]}, "here", None)
    >>> found, notes = laid_out(table, {})
    >>> found.columns["params"].tolist(), found.columns["loss"].tolist(), notes[0].code
    ([100000000.0, 200000000.0], [3.1, 3.2], 'transposed')
    """
    table, notes = upright(table, mapping, losses=losses)
    for step in (with_one_header,) if in_memory else (with_one_header, without_headings):
        table, said = step(table)
        notes += said
    table, said = filled_down(table, (fill_down,) if isinstance(fill_down, str) else fill_down)
    return table, [*notes, *said]


def quantity_named(title: str) -> str:
    """
    Return the quantity that a name speaks of, with its unit or without; empty where it speaks of none.

    Examples
    --------
    >>> quantity_named("N (M)"), quantity_named("eval_ppl"), quantity_named("训练词元（亿）"), quantity_named("lr")
    ('params', 'loss', 'tokens', '')
    """
    stems = [title, *(stem for stem, _ in split_header(title))]
    names = list(map(normalise, stems))
    found = (quantity for name in names for quantity, known in QUANTITY_NAMES.items() if name in known)
    spoken = next(found, "") or next(filter(None, map(by_words, stems)), "")
    return spoken or ("loss" if {*names} & {*PERPLEXITIES, *BITS} else "")


def is_loss(title: str) -> bool:
    """Whether a column is a measure of runs, which is never that of the run above."""
    words = words_of(title)
    return quantity_named(title) == "loss" or bool(words & MEASURES) or normalise(title) in TRAINING_LOSSES


def _numeric(text: str) -> bool:
    """Whether a cell holds a number, in whatever way it is written."""
    return number_of(text) is not None or number_of(text, decimal=",") is not None or _plain(text) is not None


def _plain(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _missing(text: str) -> bool:
    return text.strip().casefold() in MISSING_WORDS


def _typed(cells: Sequence[str]) -> AnyArray:
    """Cells of text as numbers where all that are filled are plain ones; 001 is a name."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    named = any(cell.lstrip("+-")[:1] == "0" and cell.lstrip("+-")[1:2].isdigit() for cell in filled)
    if not filled or named or any(_plain(cell) is None for cell in filled):
        return np.array(list(cells), dtype=object)
    return np.array([float(cell) if cell.strip() else np.nan for cell in cells])


def upright(table: Rows, mapping: Mapping[str, str], *, losses: bool = True) -> tuple[Rows, list[Note]]:
    """
    Turn a table upright whose first column holds the names, and every other one a run.

    It lies on its side where its header names no quantity behind the first column, that column names the loss and one
    more (or two, where rows have no losses), each once, and their lines hold numbers.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> table = open_table({"metric": ["N (M)", "loss"], "a": ["125", "3.1"], "b": ["350", "2.9"]}, "here", None)
    >>> found, notes = upright(table, {})
    >>> found.keys, notes[0].message
    (['run', 'N (M)', 'loss'], 'The names stand in the first column (N (M), loss): the other 2 columns were read as \
one run each.')
    """
    titles = [str(title).strip() for title in table.header]
    first = table.columns[table.keys[0]] if len(titles) > 1 else np.zeros(0)
    if first.dtype.kind != "O" or first.size > MOST_LINES or any(quantity_named(t) or is_loss(t) for t in titles[1:]):
        return table, []
    asked = {normalise(name) for name in mapping.values()}
    if asked & set(map(normalise, titles[1:])):
        return table, []
    names = [titles[0], *(str(cell).strip() for cell in first)]
    said = {name for name in names if quantity_named(name) or normalise(name) in asked}
    spoken = [name for name in names if name in said]
    quantities = {quantity_named(name) for name in said} - {""}
    whole = {"loss"} < quantities or (not losses and len(quantities) > 1)
    if len(spoken) > len(said) or not (whole or (asked and quantities and len(said) > 1)):
        return table, []
    lines = [
        titles[1:],
        *map(list, zip(*(map(value_text, table.columns[k].tolist()) for k in table.keys[1:]), strict=True)),
    ]
    names, lines = _without_units(names, lines, said)
    at = [i for i, name in enumerate(names) if name in said or name.partition(" (")[0] in said]
    numbers = [[cell for cell in lines[i] if not _missing(cell)] for i in at]
    if not all(cells and all(map(_numeric, cells)) for cells in numbers):
        return table, []
    if 0 not in at:  # the line above the others names the runs
        names[0] = unique_names([*names[1:], "run"])[-1]
    kept = [i for i, cells in enumerate(lines) if any(cell.strip() for cell in cells)]
    runs = [j for j in range(len(lines[0])) if any(lines[i][j].strip() for i in at)]
    header = [names[i] for i in kept]
    columns = {key: _typed([lines[i][j] for j in runs]) for key, i in zip(unique_names(header), kept, strict=True)}
    text = (
        f"The names stand in the first column ({listed(names[i] for i in at)}): the other {len(runs)} columns were "
        f"read as one run each."
    )
    row = np.arange(1, len(runs) + 1, dtype=np.intp)
    return replace(table, columns=columns, header=header, row=row), [Note("transposed", text)]


def _without_units(names: list[str], lines: list[list[str]], said: set[str]) -> tuple[list[str], list[list[str]]]:
    """Names with their units where these stand in a column of their own beside them."""
    units = [line[0] for line in lines]
    beside = [unit for name, unit in zip(names, units, strict=True) if name in said]
    if not any(map(_is_unit, beside)) or not all(_is_unit(unit) or unit.casefold() in SCALELESS for unit in beside):
        return names, lines
    joined = [
        f"{name} ({unit})" if name in said and _is_unit(unit) else name for name, unit in zip(names, units, strict=True)
    ]
    return joined, [line[1:] for line in lines]


def _is_unit(text: str) -> bool:
    bare = text.strip().strip("()[]").strip()
    return unit_of(bare) is not None or bare.casefold() in LOSS_UNITS


def with_one_header(table: Rows) -> tuple[Rows, list[Note]]:
    """
    Join a second line of header, or the units of the columns, that stand in the first row.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> table = open_table({"N": ["M", "125"], "D": ["B", "2.5"], "loss": ["nats", "3.1"]}, "here", None)
    >>> found, notes = with_one_header(table)
    >>> found.header, found.columns["N (M)"].tolist(), found.row.tolist(), notes[0].code
    (['N (M)', 'D (B)', 'loss (nats)'], [125.0], [2], 'header_rows')
    """
    columns = list(table.columns.values())
    if len(columns) < 2 or table.row.size < 2:
        return table, []
    lower = [str(column[0]).strip() if column.dtype.kind == "O" else "" for column in columns]
    words = [cell for cell in lower if not _missing(cell)]
    if len(words) < 2 or any(map(_numeric, words)) or any(c.dtype.kind != "O" and np.isfinite(c[0]) for c in columns):
        return table, []
    upper = [str(title).strip() for title in table.header]
    header = _with_units(upper, lower) or _two_lines(upper, lower)
    if header is None:
        return table, []
    # The numbers below a word were read as text with it.
    rest = {
        key: c[1:] if c.dtype.kind != "O" else _typed(c[1:].tolist())
        for key, c in zip(unique_names(header), columns, strict=True)
    }
    text = f"The first row ({listed(words)}) is a part of the header: the columns are {listed(header)}."
    return replace(table, columns=rest, header=header, row=table.row[1:]), [Note("header_rows", text)]


def _with_units(upper: Sequence[str], lower: Sequence[str]) -> list[str] | None:
    """Names with the units below them; None where those below the quantities are none."""
    pairs = list(zip(upper, lower, strict=True))
    below = [cell for name, cell in pairs if quantity_named(name)]
    if len(below) < 2 or not any(map(_is_unit, below)):
        return None
    if not all(_is_unit(cell) or cell.strip("()[]").casefold() in SCALELESS for cell in below):
        return None
    return [
        f"{name} ({cell.strip('()[]').strip()})" if quantity_named(name) and _is_unit(cell) else name
        for name, cell in pairs
    ]


def _two_lines(upper: Sequence[str], lower: Sequence[str]) -> list[str] | None:
    """The lower of two lines, or both, where that names more than the upper one alone; None where it does not."""
    carried = [""]
    for title in upper:
        carried.append(title or carried[-1])
    columns = zip(carried[1:], lower, upper, strict=True)
    both = [f"{above} {below}".strip() if below else here for above, below, here in columns]
    ways = [list(lower), both] if len(set(lower)) == len(lower) else [both]
    found = [len({*map(quantity_named, way)} - {""}) for way in ways]
    best = max(found)
    alone = len({*map(quantity_named, upper)} - {""})
    # Cells that were merged leave blanks, or one name twice.
    merged = "" in upper or len(set(upper)) < len(upper)
    if best < 2 or best < alone or (best == alone and not merged and found[0] < 2):
        return None
    return ways[found.index(best)]


def without_headings(table: Rows) -> tuple[Rows, list[Note]]:
    """
    Set aside the rows that hold no run: blank ones, a heading alone, the header once more.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> columns = {"N": ["small", "1e8", "N", "2e8"], "D": ["", "2e9", "D", "1e9"], "loss": ["", "3.1", "loss", "3"]}
    >>> found, notes = without_headings(open_table(columns, "here", None))
    >>> found.row.tolist(), found.columns["N"].tolist(), notes[0].code
    ([2, 4], [100000000.0, 200000000.0], 'set_aside')
    """
    columns = list(table.columns.values())
    # A number in every row is one of a run.
    if len(columns) < 3 or any(c.dtype.kind != "O" and not _blank(c).any() for c in columns):
        return table, []
    filled = np.sum([~_blank(c) for c in columns], axis=0)
    texts = [c for c in columns if c.dtype.kind == "O"]
    numeric = np.sum([_has_numbers(c) for c in columns], axis=0)
    bad = (filled <= 1) & (numeric == 0)
    if len(texts) == len(columns):
        same = [_cells_equal(c, title) for c, title in zip(columns, table.header, strict=True)]
        bad |= np.all(same, axis=0)
    if not bad.any() or bad.all():
        return table, []
    note = set_aside(
        table, bad, "they hold a heading or nothing, and no run" if bad.sum() > 1 else "no run in it", "rows"
    )
    kept = table.take(~bad, {})
    typed = {key: _typed(c.tolist()) if c.dtype.kind == "O" else c for key, c in kept.columns.items()}
    return replace(kept, columns=typed, headings=frozenset(table.row[bad].tolist())), [note]


def _blank(column: AnyArray) -> BoolArray:
    if column.dtype.kind == "O":
        values, codes = distinct(column)
        return np.array([not str(value).strip() for value in values], dtype=np.bool_)[codes]
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(column.size, dtype=np.bool_)


def _has_numbers(column: AnyArray) -> BoolArray:
    if column.dtype.kind != "O":
        return ~_blank(column)
    values, codes = distinct(column)
    return np.array([_numeric(str(value)) for value in values], dtype=np.bool_)[codes]


def _cells_equal(column: AnyArray, title: str) -> BoolArray:
    values, codes = distinct(column)
    return np.array([str(value).strip() == str(title).strip() for value in values], dtype=np.bool_)[codes]


def filled_down(table: Rows, asked: Sequence[str] = ()) -> tuple[Rows, list[Note]]:
    """
    Give blank cells the value above them where it plainly is theirs, as in merged cells, or where it was asked for.

    Plainly is: every value is written once above a block of blanks, no block has one row, and another quantity moves
    within each; or a mark of the value above stands in the cell. A loss is never that of another run.

    Parameters
    ----------
    table : Rows
    asked : sequence of str
        Columns of which every blank cell has the value above it.

    Raises
    ------
    InputError
        If nothing stands above a cell, or a loss would be filled.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> columns = {"C": [1e18, None, 1e19, None], "N": [1e8, 2e8, 3e8, 4e8], "loss": [3.3, 3.2, 3.0, 2.9]}
    >>> found, notes = filled_down(open_table(columns, "here", None))
    >>> found.columns["C"].tolist(), notes[0].code
    ([1e+18, 1e+18, 1e+19, 1e+19], 'filled_down')
    """
    keys = {find_column(name, table.keys, table.header, asked="fill_down") for name in asked}
    titles = dict(zip(table.keys, table.header, strict=True))
    fills: dict[str, BoolArray] = {}
    for key in sorted(titles, key=lambda k: quantity_named(titles[k]) != "budget"):
        column = table.columns[key]
        marks = _dittos(column)
        if marks is None and column.dtype.kind not in "Of" and key not in keys:
            continue
        blank = _blank(column)
        cells = blank | marks if marks is not None and key in keys else marks if marks is not None else blank
        if key in keys or marks is not None:
            _require_above(table, key, cells, asked=key in keys)
            fills[key] = cells
        elif blank.any() and not blank[0] and _in_blocks(table, key, titles[key], blank, fills):
            fills[key] = blank
    fills = {key: cells for key, cells in fills.items() if cells.any()}
    if not fills:
        return table, []
    columns = {k: _carried(c, fills[k]) if k in fills else c for k, c in table.columns.items()}
    notes = [_filled_note(table, key, cells) for key, cells in fills.items()]
    made = replace(table, columns=columns)
    # A value on a line of its own is the heading of a block.
    heads = np.sum([~_blank(c) for k, c in table.columns.items() if k not in fills], axis=0) == 0
    if heads.any() and not heads.all():
        notes.append(set_aside(made, heads, "the value of a block stands alone in it", "rows"))
        made = replace(made.take(~heads, {}), headings=made.headings | set(table.row[heads].tolist()))
    return made, notes


def _dittos(column: AnyArray) -> BoolArray | None:
    """Cells with the mark of the value above; None where there is none."""
    if column.dtype.kind != "O":
        return None
    values, codes = distinct(column)
    marks = [str(value).strip().casefold() in DITTOS for value in values]
    return np.array(marks, dtype=np.bool_)[codes] if any(marks) else None


def _require_above(table: Rows, key: str, cells: BoolArray, *, asked: bool) -> None:
    """Refuse to fill a loss, and cells that nothing stands above."""
    if not cells.any():
        return
    rows = _rows(table, cells)
    count = f"{int(cells.sum()):,} of {cells.size:,} rows"
    if is_loss(key):
        what = "is to be filled" if asked else "has the mark of the value above"
        msg = (
            f"Column {key!r} {what} in {count} ({rows}), but a loss is that of one run: write the loss of each, or "
            f"leave out those without one with `drop` nan."
        )
        raise InputError(msg)
    if cells[0]:
        msg = (
            f"Column {key!r} has cells to be filled with the value above in {count} ({rows}), and nothing stands "
            f"above row {table.row[0]}: write its value there."
        )
        raise InputError(msg)


def _rows(table: Rows, cells: BoolArray) -> str:
    return ("rows " if cells.sum() > 1 else "row ") + listed(table.row[cells], FIRST_ROWS)


def _carried(column: AnyArray, cells: BoolArray) -> AnyArray:
    above = np.maximum.accumulate(np.where(cells, 0, np.arange(cells.size)))
    found = column[above]
    return _typed(found.tolist()) if column.dtype.kind == "O" else found


def _filled_note(table: Rows, key: str, cells: BoolArray) -> Note:
    said = "1 cell" if cells.sum() == 1 else f"{int(cells.sum()):,} cells"
    verb = "was" if cells.sum() == 1 else "were"
    text = f"Column {key!r}: {said} ({_rows(table, cells)}) {verb} read as the value above, as in merged cells."
    return Note("filled_down", text)


def _in_blocks(table: Rows, key: str, title: str, blank: BoolArray, fills: Mapping[str, BoolArray]) -> bool:
    """Whether the blanks of a column stand in plain blocks under values that are theirs."""
    quantity = quantity_named(title)
    if quantity not in ("params", "tokens", "budget"):
        if is_loss(title) or normalise(title) in _ENDINGS:
            return False
        beside = any(np.array_equal(blank, cells) for cells in fills.values())
        return beside or (_tells_experiments(title) and _blocks(table.columns[key], blank) is not None)
    if any(np.array_equal(blank, cells) for cells in fills.values()):
        return True
    block = _blocks(table.columns[key], blank)
    if block is None:
        return False
    titles = dict(zip(table.keys, table.header, strict=True))
    sizes = [k for k, t in titles.items() if quantity_named(t) == "params" and k != key]
    others = [k for k, t in titles.items() if quantity_named(t) in ("params", "tokens", "budget") and k != key]
    # In the history of a run tokens move under a FLOP count that is logged now and then, and sizes do not.
    moving = [*others, *named_among(SEED_NAMES, table.keys)] if quantity == "params" else sizes
    if not any(_moves(table.columns[k], block) for k in moving):
        return False
    return not _contradicted(table, key, quantity, blank, fills)


CONTRADICTED = 0.25
"""Share of the filled rows that other columns may speak against before the blanks are missing values."""

SAME_TOKENS = 0.05
"""Difference of two logs below which the order of two losses is noise."""


def _contradicted(table: Rows, key: str, quantity: str, blank: BoolArray, fills: Mapping[str, BoolArray]) -> bool:
    """
    Whether other columns speak against the value above: compute that is then not 6ND, or losses in the wrong order.

    Of two runs of one size that with more tokens has the lower loss, as has the larger of two on the same tokens; where
    a number is blank in every second row, that is what tells merged cells from a number that was not logged.
    """
    titles = dict(zip(table.keys, table.header, strict=True))
    values: dict[str, Array] = {}
    for k, title in titles.items():
        name = quantity if k == key else quantity_named(title)
        if name and (k == key or name not in {quantity, *values}):
            cells = blank if k == key else fills.get(k, np.zeros(blank.size, dtype=np.bool_))
            values[name] = number_or_nan(_carried(table.columns[k], cells))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        logs = {name: np.log(v) for name, v in values.items()}
    if {"params", "tokens", "budget"} <= set(logs):
        ratio = logs["params"] + logs["tokens"] - logs["budget"]
        written = ratio[~blank][np.isfinite(ratio[~blank])]
        if written.size and np.ptp(written) < np.log1p(BUDGET_TOLERANCE):
            off = np.abs(ratio[blank] - np.median(written)) > np.log1p(BUDGET_TOLERANCE)
            return bool(off.mean() > CONTRADICTED)
    other = logs.get("tokens", logs.get("budget")) if quantity == "params" else logs.get("params")
    # Blanks over several rows are a block to the eye as well.
    pairs = 2 * blank.sum() <= blank.size
    if quantity == "budget" or other is None or "loss" not in values or not pairs:
        return False
    rise, move = np.diff(values["loss"]), np.diff(other)
    with np.errstate(invalid="ignore"):
        judged = blank[1:] & (np.abs(move) > SAME_TOKENS) & np.isfinite(rise)
    return bool(judged.sum() > 1 and (np.sign(rise[judged]) == np.sign(move[judged])).mean() > CONTRADICTED)


_ENDINGS = frozenset((*STATES, "note", "notes", "comment", "comments", "remark", "remarks"))
"""Columns of what is said of one run."""


def _tells_experiments(title: str) -> bool:
    return normalise(title) in EXPERIMENT_NAMES and normalise(title) not in LOOSE_NAMES


def _blocks(column: AnyArray, blank: BoolArray) -> AnyArray | None:
    """Number the blocks under each value; None where one has a single row, there is one, or two in a row are alike."""
    starts = np.flatnonzero(~blank)
    lengths = np.diff(np.append(starts, blank.size))
    if starts.size < 2 or starts[0] != 0 or lengths.min() < 2:
        return None
    values = column[starts]
    if bool((values[1:] == values[:-1]).any()):
        return None
    return np.asarray(np.cumsum(~blank) - 1)


def _moves(column: AnyArray, block: AnyArray) -> bool:
    """Whether a column has several values in every block."""
    there = ~_blank(column)
    if not there.any():
        return False
    kinds = distinct_within(block[there], column[there])
    return kinds.size == int(block[-1]) + 1 and bool((kinds > 1).all())


def refuse_blanks(table: Rows, keys: Sequence[str]) -> None:
    """
    Refuse blank cells of counts below others, which may stand for the value above them or for none.

    Parameters
    ----------
    table : Rows
    keys : sequence of str
        Columns of params, tokens and budget.

    Raises
    ------
    InputError
        One sentence with the column, the count, the first rows, and both remedies.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> refuse_blanks(open_table({"C": [1e18, None, None, 1e19], "N": [1e8, 2e8, 3e8, 4e8]}, "here", None), ["C"])
    Traceback (most recent call last):
        ...
    lawful.errors.InputError: Column 'C' is blank in 2 of 4 rows (rows 2, 3), below other values: where a blank stands \
for the value above it, fill it with `fill_down` C; where the value is missing, repair or remove such rows, set them \
aside with `check`, or with `drop` nan.
    """
    for key in keys:
        blank = _blank(table.columns[key])
        # Blanks here and there are values that are missing.
        if blank.any() and not blank[0] and (2 * blank.sum() >= blank.size or (blank[1:] & blank[:-1]).any()):
            name = f"'{key}'" if " " in key else key
            msg = (
                f"Column {key!r} is blank in {int(blank.sum()):,} of {blank.size:,} rows ({_rows(table, blank)}), "
                f"below other values: where a blank stands for the value above it, fill it with `fill_down` {name}; "
                f"where the value is missing, repair or remove such rows, set them aside with `check`, or with `drop` "
                f"nan."
            )
            raise InputError(msg)
