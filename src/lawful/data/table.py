"""
The door: columns of a table become validated ``Runs``.

The path of one table: clean columns, recognised quantities, selected rows,
checked numbers, the derived third of N, D and C, budget groups, notes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from lawful.core.cost import Cost, Pricing
from lawful.core.expression import parse
from lawful.core.notes import Note
from lawful.core.numbers import format_scientific, format_short
from lawful.core.typing import AnyArray, Array, IntArray
from lawful.data.cells import best_of_cells, cells_of, kept_note, spread_of_cells, sweep_note, tuned_columns
from lawful.data.checkpoints import checkpoint_notes, row_codes
from lawful.data.columns import (
    ACCEPTED,
    ALSO,
    BATCHES,
    EXPERIMENT_NAMES,
    LOOSE_NAMES,
    MOST_SEQUENCES,
    TRAINING_LOSSES,
    by_words,
    find_column,
    listed,
    missing_sentence,
    normalise,
    recognise,
    unique_names,
)
from lawful.data.doubts import lone_counts, lone_losses, other_counts, require_moving_tokens, unit_doubts
from lawful.data.endings import finished, row_of_run, usable
from lawful.data.layout import laid_out, refuse_blanks
from lawful.data.runs import BUDGET_TOLERANCE, Runs, distinct_budgets, group_budgets
from lawful.data.selection import IN_MEMORY, NAN, VALUES_OFFERED, Rows, Selection, open_table, rows_named, select_rows
from lawful.data.translate import NATS, loss_unit, meets, translate, worded
from lawful.data.units import require_loss, require_units
from lawful.data.values import (
    distinct,
    number_or_nan,
    offenders,
    quantity_values,
    require_no_marks,
    require_plausible,
    require_positive,
    require_together,
    require_within,
    value_text,
    weights_of,
)
from lawful.errors import InputError

NOMINAL_SHARE = 0.5
"""A budget column is nominal when at least this fraction of the runs share their value with a run of another size."""

WIDEST_GROUP = 2.0
"""Runs this factor off the mean of a named group have no budget in common."""

MOST_EXPERIMENTS = 50
"""A column with more values than this tells runs apart, not experiments."""


Prepare = Callable[[Rows, Mapping[str, str]], tuple[Rows, Mapping[str, str], Sequence[Note]]]
"""What a kind of log needs before its rows are runs: the table, its roles, and what to know about both."""


@dataclass(frozen=True)
class Handling:
    """
    What is done with the rows of a table beside what every table gets.

    Attributes
    ----------
    as_is : bool
        Take numbers that only a forgotten unit would explain.
    best_of_cell : bool
        Keep the run of least loss of every N and D.
    where : str, optional
        Condition on columns that the kept rows meet: ``loss < 4 and lr == 3e-4``.
    drop : sequence of int or str
        Rows left out, counted from 1 as messages count them; ``nan`` for those in which a quantity is missing, no
        number or not positive.
    needs : sequence of str, optional
        Columns that will be read: N, D, C, U or others of the table; two of N, D and C if not given.
    group_by : str, optional
        Column that names the budget of each run, where compute does not tell which runs belong together.
    row_of_run : str, optional
        Keep one row of every run: ``last`` or ``best``.
    fill_down : sequence of str
        Columns of which a blank cell has the value above it.
    signed : bool
        Let the loss be zero or negative, as a formula that names its column can be fitted to.
    """

    as_is: bool = False
    best_of_cell: bool = False
    where: str | None = None
    drop: Sequence[int | str] | str = ()
    needs: Sequence[str] | None = None
    group_by: str | None = None
    row_of_run: str | None = None
    fill_down: Sequence[str] | str = ()
    signed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "drop", rows_named(self.drop))
        if self.needs is not None:
            object.__setattr__(self, "needs", tuple(self.needs))

    @property
    def least(self) -> int:
        """How many of N, D and C the table has to have: two imply the third."""
        return 2 if self.needs is None else 0


AS_ALWAYS = Handling()
"""What every table gets, and no more."""


def runs_from_columns(
    columns: Mapping[str, Any],
    *,
    mapping: Mapping[str, str] | None = None,
    select: Selection | None = None,
    weights: str | None = None,
    source: str = IN_MEMORY,
    header: Sequence[str] | None = None,
    prepare: Prepare | None = None,
    handling: Handling = AS_ALWAYS,
) -> Runs:
    """
    Build validated runs from the columns of a table.

    Parameters
    ----------
    columns : mapping of str to array_like, shape (n,)
        Name to values, in the order of the table.
    mapping : mapping of str to str, optional
        Quantity (params, tokens, loss, budget or N, D, L, C) to column, or to a formula of
        columns (``step*batch_size*seq_len``), where the recognised names do not serve.
    select : mapping of str to value or values, optional
        Keep the runs that have one of the values in every named column. Numbers
        are compared as numbers where the column is numeric.
    weights : str, optional
        Column of non-negative weights; one per run by default.
    source : str
        Where the table came from.
    header : sequence of str, optional
        Names as the file has them, in the order of ``columns``, possibly repeated.
    prepare : callable, optional
        What this kind of log needs before its rows are runs, applied to the selected rows.
    handling : Handling
        What is done with the rows beside what every table gets.

    Returns
    -------
    Runs
        In the order of the table, with notes on what was derived or assumed.

    Raises
    ------
    InputError
        If the table cannot be read as training runs; no row is ever dropped silently.
    UnsupportedError
        If ``mapping`` names an unknown quantity, or ``select`` asks for no value.

    Examples
    --------
    >>> table = {"N": [1e8, 2e8], "flops": [1.2e18, 1.2e18], "loss": [3.1, 3.2], "lr": [0.1, 0.2]}
    >>> runs = runs_from_columns(table)
    >>> [f"{d:.0e}" for d in runs.D]
    ['2e+09', '1e+09']
    >>> print(runs.notes[0].message)
    The table has no tokens column: tokens were derived from C = 6ND, out of columns 'N' and 'flops'.
    >>> list(runs.labels)
    ['lr']
    """
    table, roles, said = opened(columns, source, header, mapping, handling)
    rows, more = narrowed(select_rows(table, roles, select or {}), roles, handling)
    return table_runs(rows, roles, weights=weights, prepare=prepare, notes=[*said, *more], handling=handling)


def narrowed(table: Rows, roles: Mapping[str, str], handling: Handling) -> tuple[Rows, list[Note]]:
    """
    Leave out the rows that were asked to be, and say so.

    Raises
    ------
    InputError
        If a row to drop is not there, the condition names no column, or no row is left.

    Examples
    --------
    >>> table = open_table({"N": [1e8, 2e8], "D": [2e9, 1e9], "loss": [3.1, 5.2]}, "here", None)
    >>> narrowed(table, {"loss": "loss"}, Handling(where="loss < 4"))[1][0].message
    '1 of 2 runs is left out: the rest meets loss < 4.'
    """
    notes = []
    rows = sorted({row for row in handling.drop if isinstance(row, int)})
    if rows:
        missing = sorted(set(rows) - set(table.row.tolist()) - table.headings)
        if missing:
            msg = f"`drop` names {listed(f'row {r}' for r in missing)}, which the table does not have."
            raise InputError(msg)
        table = table.take(~np.isin(table.row, rows), {})
        text = f"{listed(f'row {r}' for r in rows)} left out, as asked."
        notes.append(Note("set_aside", text[0].upper() + text[1:]))
    if handling.where is not None:
        keep = meets(parse(handling.where), table, roles)
        if not keep.any():
            msg = f"No run meets {handling.where!r}; relax `where`."
            raise InputError(msg)
        left = int((~keep).sum())
        verb = "is" if left == 1 else "are"
        if left:
            text = f"{left} of {keep.size} runs {verb} left out: the rest meets {handling.where}."
            notes.append(Note("set_aside", text))
        table = table.take(keep, {"where": handling.where})
    if handling.row_of_run is not None or NAN in handling.drop:
        table, said = finished(table, as_is=handling.as_is)
        notes += said
    if handling.row_of_run is not None:
        table, said = row_of_run(table, roles, handling.row_of_run)
        notes += said
    if NAN in handling.drop:
        table, said = usable(table, roles, signed=handling.signed)
        notes += said
    if not table.row.size:
        msg = "No run is left; drop fewer rows."
        raise InputError(msg)
    return table, notes


def opened(
    columns: Mapping[str, Any],
    source: str,
    header: Sequence[str] | None,
    mapping: Mapping[str, str] | None,
    handling: Handling = AS_ALWAYS,
) -> tuple[Rows, dict[str, str], list[Note]]:
    """Clean columns whose quantities are known: laid out as rows of runs, recipes worked out, stated units read."""
    raw = open_table(columns, source, header)
    table, laid = laid_out(raw, mapping or {}, handling.fill_down, in_memory=source == IN_MEMORY)
    table, mapping, said = translate(table, mapping or {})
    batches = [key for key in table.keys if normalise(key) in BATCHES]
    wide = {key for key in batches if np.median(np.nan_to_num(number_or_nan(table.columns[key]))) > MOST_SEQUENCES}
    roles = recognise(table.keys, table.header, mapping, least=handling.least, words=worded(table), tokenwise=wide)
    return table, roles, [*raw.notes, *laid, *said, *_choices(table, roles, mapping), *other_counts(table, roles)]


def _choices(table: Rows, roles: Mapping[str, str], mapping: Mapping[str, str]) -> list[Note]:
    """Say which column was taken for a quantity by a name that others could be meant by."""
    notes = []
    titles = dict(zip(table.keys, table.header, strict=True))
    for quantity, key in roles.items():
        if key in mapping.values():
            continue
        plain = {normalise(name) for name in ACCEPTED[quantity]}
        spoken = by_words(titles[key]) == quantity and key not in table.made and normalise(titles[key]) not in plain
        if normalise(titles[key]) in ALSO[quantity] or spoken:
            notes.append(Note("column_choice", f"Column {titles[key]!r} was taken for {quantity}."))
        others = [t for k, t in titles.items() if k != key and normalise(t) in TRAINING_LOSSES]
        if quantity == "loss" and others:
            text = f"The loss is column {titles[key]!r}, not {', '.join(map(repr, others))}, which is on training data."
            notes.append(Note("column_choice", text))
    return notes


def groups_from_columns(
    columns: Mapping[str, Any],
    *,
    by: str,
    mapping: Mapping[str, str] | None = None,
    select: Selection | None = None,
    weights: str | None = None,
    source: str = IN_MEMORY,
    header: Sequence[str] | None = None,
    prepare: Prepare | None = None,
    handling: Handling = AS_ALWAYS,
) -> dict[str, Runs]:
    """
    Build one ``Runs`` per value of a column, in order of first appearance.

    Parameters
    ----------
    by : str
        Column whose values tell the groups apart.
    columns, mapping, select, weights, source, header, prepare, handling
        As in :func:`runs_from_columns`.

    Returns
    -------
    dict of str to Runs
        Value to its runs; rows without a value stand under ``(missing)``.

    Raises
    ------
    InputError
        As in :func:`runs_from_columns`, with the group named.

    Examples
    --------
    >>> table = {"N": [1e8, 2e8, 1e8], "D": [2e9, 1e9, 4e9], "loss": [3.1, 3.2, 2.9], "data": ["web", "web", "books"]}
    >>> {name: len(runs) for name, runs in groups_from_columns(table, by="data").items()}
    {'web': 2, 'books': 1}
    """
    table, roles, said = opened(columns, source, header, mapping, handling)
    key = find_column(by, table.keys, table.header, asked="by")
    rows, more = narrowed(select_rows(table, roles, select or {}), roles, handling)
    # Of the table as a whole: a group of which no run finished is none.
    rows, ended = finished(rows, as_is=handling.as_is)
    return _split(rows, key, roles, weights, prepare, [*said, *more, *ended], handling)


def groups_of(runs: Runs, by: str) -> dict[str, Runs]:
    """
    Take runs that were read already apart by a column of their table, as :func:`groups_from_columns` does.

    Parameters
    ----------
    runs : Runs
    by : str
        Column whose values tell the groups apart.

    Raises
    ------
    InputError
        If there is no such column, or as in :func:`runs_from_columns`, with the group named.

    Examples
    --------
    >>> table = {"N": [1e8, 2e8, 1e8], "D": [2e9, 1e9, 4e9], "loss": [3.1, 3.2, 2.9], "data": ["web", "web", "books"]}
    >>> {name: len(group) for name, group in groups_of(as_runs(table), "data").items()}
    {'web': 2, 'books': 1}
    """
    own = {"params": runs.N, "tokens": runs.D, "budget": runs.C, "loss": runs.L, "weight": runs.weight}
    own = {name: values for name, values in own.items() if not np.isnan(values[0])}
    columns = dict(runs.table) or {**own, **runs.labels}
    roles = dict(runs.columns) or {name: name for name in own}
    weights = roles.pop("weight", None)
    row = np.arange(1, len(runs) + 1, dtype=np.intp) if runs.row is None else runs.row
    table = Rows(columns, list(columns), row, runs.source, runs.selection)
    # The table is read anew, but not as the export it may come from: that was done.
    said = [note for note in runs.notes if note.code in ("budget_in_name", "set_aside")]
    return _split(
        table,
        find_column(by, table.keys, table.header, asked="by"),
        roles,
        weights,
        lambda *t: (*t, said),
        (),
        Handling(as_is=True, signed=runs.signed),
    )


def _split(
    table: Rows,
    key: str,
    roles: Mapping[str, str],
    weights: str | None,
    prepare: Prepare | None,
    said: Sequence[Note] = (),
    handling: Handling = AS_ALWAYS,
) -> dict[str, Runs]:
    values, codes = distinct(table.columns[key])
    rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes, minlength=len(values)))[:-1])
    groups = {}
    for value, index in zip(values, rows, strict=True):
        name = value_text(value) or "(missing)"
        try:
            part = table.take(index, {key: name})
            groups[name] = table_runs(part, roles, weights=weights, prepare=prepare, notes=said, handling=handling)
        except InputError as error:
            msg = f"In the runs with {key}={name}: {error}"
            raise InputError(msg) from error
    return groups


def as_runs(table: Any, needs: Sequence[str] | None = None, asked: str = "What was asked") -> Runs:
    """
    Take whatever a caller has for a table of runs: the door of every verb.

    Parameters
    ----------
    table : Runs, path, DataFrame, mapping of str to array_like, or list of records
        Runs pass through; anything else is read as :func:`lawful.read_runs` reads it.
    needs : sequence of str, optional
        Columns that the verb reads; N, D and C if not given.
    asked : str
        What the verb does, as a sentence begins that refuses losses of zero or below.

    Returns
    -------
    Runs
        Validated runs.

    Raises
    ------
    InputError
        If it is no table, or as in :func:`runs_from_columns`.
    UnsupportedError
        If runs were read as ``signed``, and a loss is not above zero.

    Examples
    --------
    >>> as_runs({"N": [1e8, 2e8], "D": [2e9, 1e9], "loss": [3.1, 3.2]})
    Runs(2 runs, 1 budgets, source='table')
    """
    if not isinstance(table, Runs):
        return Runs.read(table, needs=needs)
    known = table.require_above_zero(asked)
    return known.require() if needs is None else known.require(needs)


def columns_of(table: Any) -> tuple[dict[str, Any], list[str]]:
    """
    Return the columns of a table in memory, and its header.

    Parameters
    ----------
    table : mapping, list of mappings, structured array, or DataFrame of any library
        A DataFrame has ``columns`` that it can be indexed by, or speaks the Arrow stream or the
        DataFrame interchange protocol.

    Raises
    ------
    InputError
        If the object is no table.

    Examples
    --------
    >>> columns_of({"N": [1], "loss": [2]})
    ({'N': [1], 'loss': [2]}, ['N', 'loss'])
    >>> columns_of([{"N": 1, "loss": 2}, {"N": 3}])
    ({'N': [1, 3], 'loss': [2, None]}, ['N', 'loss'])
    """
    if isinstance(table, Mapping):
        names, values = list(table), list(table.values())
    elif isinstance(table, (list, tuple)):
        names = list(dict.fromkeys(chain.from_iterable(map(_record, table))))
        values = [[record.get(name) for record in table] for name in names]
    elif isinstance(table, np.ndarray) and table.dtype.names:
        names = list(table.dtype.names)
        values = [table[name] for name in names]
    else:
        frame = _frame(table)
        # Arrow keeps the names apart from the columns.
        names = list(getattr(frame, "column_names", frame.columns))
        values = [_one_of_several(frame[name], names[:i].count(name)) for i, name in enumerate(names)]
    header = [str(name).strip() for name in names]
    return dict(zip(unique_names(header), values, strict=True)), header


def _record(record: Any) -> Mapping[str, Any]:
    if isinstance(record, Mapping):
        return record
    msg = (
        f"A list of runs holds one record (a dict) per run, not {type(record).__name__!r}; "
        "for arrays use Runs.from_arrays(N, D, L) or a dict of columns."
    )
    raise InputError(msg)


def _frame(table: Any) -> Any:
    """Return something with ``columns`` to index by; another library's frame through a protocol it speaks."""
    if hasattr(table, "collect"):
        msg = "This frame is lazy and holds no values yet; give lawful what its collect() returns."
        raise InputError(msg)
    if hasattr(table, "columns") and hasattr(table, "__getitem__"):
        return table
    if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__dataframe__"):
        try:
            import pyarrow as pa
            from pyarrow.interchange import from_dataframe
        except ImportError:
            msg = f"A table of this library ({type(table).__name__!r}) needs pyarrow; pip install 'lawful[parquet]'."
            raise InputError(msg) from None
        return pa.table(table) if hasattr(table, "__arrow_c_stream__") else from_dataframe(table)
    msg = (
        f"Runs come from a file, a DataFrame, a dict of columns or a list of records, not from "
        f"{type(table).__name__!r}; for arrays use Runs.from_arrays(N, D, L)."
    )
    raise InputError(msg)


def _one_of_several(column: Any, position: int) -> Any:
    # Where a name is repeated, a DataFrame answers with all its columns at once.
    return np.asarray(column)[:, position] if getattr(column, "ndim", 1) == 2 else column


def table_runs(
    table: Rows,
    roles: Mapping[str, str],
    *,
    weights: str | None = None,
    prepare: Prepare | None = None,
    notes: Sequence[Note] = (),
    handling: Handling = AS_ALWAYS,
) -> Runs:
    """
    Build validated runs from clean columns whose quantities are known.

    Parameters
    ----------
    table : Rows
        From :func:`~lawful.data.selection.open_table`, all its rows wanted.
    roles : mapping of str to str
        Quantity to column, from :func:`~lawful.data.columns.recognise`.
    weights : str, optional
        Column of non-negative weights.
    prepare : callable, optional
        Applied to the table first.
    notes : sequence of Note
        What to know about the table so far.
    handling : Handling
        What is done with the rows beside what every table gets.

    Raises
    ------
    InputError
        If a value cannot be used.

    Examples
    --------
    >>> table = open_table({"N": [1e8, 2e8], "D": [2e9, 1e9], "loss": [3.1, 3.2]}, "here", None)
    >>> table_runs(table, {"params": "N", "tokens": "D", "loss": "loss"})
    Runs(2 runs, 1 budgets, source='here')
    """
    table, found = finished(table, as_is=handling.as_is)
    said = [*notes, *found]
    if prepare is not None:
        table, roles, more = prepare(table, roles)
        said += more
    given = _given(table, roles, handling)
    used = dict(roles)
    weight = None
    if weights is not None:
        used["weight"] = find_column(weights, table.keys, table.header, asked="weights")
        weight = weights_of(used["weight"], table.columns[used["weight"]], table.row)
    sizes = _third(given, roles, table.row, said)
    require_plausible(
        {q: v for q, v in {**sizes, "loss": given["loss"]}.items() if q != "budget"}, table.row, signed=handling.signed
    )
    N, D, C = (sizes.get(name) for name in ("params", "tokens", "budget"))
    if not handling.as_is:
        require_units(sizes, roles, derived=next((q for q in sizes if q not in roles), None))
        require_loss(given["loss"], C, roles["loss"], N)
    labels = {key: column for key, column in table.columns.items() if key not in used.values()}
    if N is None or D is None or C is None:
        if handling.best_of_cell:
            raise InputError(missing_sentence(table.keys, roles))
        found = _several_experiments(labels, table.selection)
        kept_of = _kept_of(table, labels, used, [*said, *found], handling)
        runs = Runs.from_arrays(N, D, given["loss"], C=C, weight=weight, **kept_of)
        return runs.require(handling.needs or ())
    cell = cells_of(N, D)
    # Experiments that are taken as one differ for reasons of their own.
    tried = given["loss"] if experiment_column(labels, table.selection, (N,)) is None else None
    if not handling.as_is:
        require_moving_tokens(labels, cell)
        bits = loss_unit(roles["loss"]) != NATS
        doubts = unit_doubts(labels, N, C, given["loss"], bits=bits, key=roles["loss"])
        said += [*lone_counts(N, D, table.row), *([] if bits else lone_losses(given["loss"], table.row)), *doubts]
    tuned = tuned_columns(labels, cell, tried)
    if handling.best_of_cell:
        kept = best_of_cells(given["loss"], cell)
        said.append(kept_note(kept, tuned))
        N, D, C, given = N[kept], D[kept], C[kept], {q: v[kept] for q, v in given.items()}
        weight = None if weight is None else weight[kept]
        table = table.take(kept, {})
        labels = {key: column[kept] for key, column in labels.items()}
    else:
        said += sweep_note(tuned, cell, spread_of_cells(labels, tried, cell))
    if handling.group_by is None:
        groups = _budget_groups(C, N, roles.get("budget"), said)
    else:
        groups = _named_groups(C, table, handling.group_by, said)
    said += _several_experiments(labels, table.selection, (N, groups[0]))
    said += checkpoint_notes(labels, N, D)
    kept_of = _kept_of(table, labels, used, said, handling)
    runs = Runs.from_arrays(N, D, given["loss"], C=C, weight=weight, groups=groups, **kept_of)
    return runs.require(handling.needs or ())


def _given(table: Rows, roles: Mapping[str, str], handling: Handling) -> dict[str, Array]:
    """Quantities that a table gives, as positive numbers that runs can have."""
    values = {key: quantity_values(key, table.columns[key], table.row) for key in roles.values()}
    refuse_blanks(table, [key for quantity, key in roles.items() if quantity != "loss"])
    require_positive(values, table.row, loss=roles["loss"], signed=handling.signed)
    given = {quantity: values[key] for quantity, key in roles.items()}
    if not handling.as_is:
        require_within(given, roles, table.row)
        require_together(roles["loss"], given["loss"], table.row)
        if loss_unit(roles["loss"]) == NATS:
            require_no_marks(roles["loss"], given["loss"], table.row)
    return given


def _kept_of(
    table: Rows, labels: Mapping[str, AnyArray], used: Mapping[str, str], notes: Sequence[Note], handling: Handling
) -> dict[str, Any]:
    """What runs keep of the table that they come from, and of how it was read."""
    for column in table.columns.values():
        column.setflags(write=False)
    return {
        "labels": labels,
        "columns": used,
        "selection": table.selection,
        "source": table.source,
        "notes": tuple(notes),
        "table": table.columns,
        "row": table.row,
        "signed": handling.signed,
    }


def third_quantity(given: Mapping[str, Array], cost: Pricing | None = None) -> tuple[str, Array]:
    """
    Return the name and values of what two of N, D and C imply: the missing one, or C where all are given.

    A value that no float can hold comes out as infinity, zero or NaN.

    Parameters
    ----------
    given : mapping of str to array, shape (n,)
        Two or three of params, tokens and budget.
    cost : Pricing, optional
        What a run costs, 6ND by default.

    Examples
    --------
    >>> third_quantity({"params": np.array([1e8]), "tokens": np.array([2e9])})
    ('budget', array([1.2e+18]))
    """
    cost = cost or Cost()
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        if "params" not in given:
            return "params", cost.params(budget=given["budget"], tokens=given["tokens"])
        if "tokens" not in given:
            return "tokens", cost.tokens(budget=given["budget"], params=given["params"])
        return "budget", cost.flops(given["params"], given["tokens"])


def _third(given: Mapping[str, Array], roles: Mapping[str, str], row: IntArray, notes: list[Note]) -> dict[str, Array]:
    """Params, tokens and budget, a third one derived; the only conversion between them is that of Cost."""
    cost = Cost()
    known = {name: given[name] for name in ("params", "tokens", "budget") if name in given}
    if len(known) < 2:
        return known
    name, derived = third_quantity(given)
    bad = np.flatnonzero(~(np.isfinite(derived) & (derived > 0)))
    if bad.size:
        msg = (
            f"{cost.convention} gives no {name} that a float can hold for {bad.size} of {row.size} runs: "
            f"{offenders(row[bad], derived[bad].tolist())}; check the units of the columns."
        )
        raise InputError(msg)
    if name in given:
        with np.errstate(over="ignore", under="ignore"):
            # Numbers taken as they are may lie farther apart than the square of a float holds.
            ratio = np.clip(derived / given["budget"], 1e-100, 1e100)
        notes += _flops_mismatch(ratio, roles["budget"])
        return known
    sources = " and ".join(repr(roles[q]) for q in ("params", "tokens", "budget") if q in roles)
    message = (
        f"The table has no {name} column: {name} {'was' if name == 'budget' else 'were'} derived from "
        f"{cost.convention}, out of columns {sources}."
    )
    notes.append(Note("derived_column", message))
    return {**known, name: derived}


def _flops_mismatch(ratio: Array, key: str) -> list[Note]:
    off = np.abs(ratio - 1) > BUDGET_TOLERANCE
    if not off.any():
        return []
    convention, median = Cost().convention, float(np.median(ratio))
    message = (
        f"{convention} differs from column {key!r} by more than {BUDGET_TOLERANCE:.0%} in {off.sum()} of "
        f"{off.size} runs (the former over the latter is {median:#.3g} in the median run)."
    )
    if abs(median - 1) > BUDGET_TOLERANCE:
        alike = np.quantile(np.abs(ratio / median - 1), 0.9) <= BUDGET_TOLERANCE
        remedy = (
            f"a budget of 1e22 in that column is one of {format_scientific(1e22 * median)}"
            if alike
            else "lawful conventions works optima out by the table's own FLOPs"
        )
        message += f" Budgets asked for are spent as {convention}: {remedy}."
    return [Note("flops_mismatch", message)]


def _budget_groups(C: Array, N: Array, key: str | None, notes: list[Note]) -> tuple[IntArray, Array]:
    why = ""
    near, centres = group_budgets(C)
    if key is not None:
        (group, budgets, shared), across = distinct_budgets(C), distinct_budgets(C, N)[2]
        # Seeds of one run share their FLOPs too: no nominal budget where the runs stand in groups far apart.
        far = np.diff(np.log(centres)).min(initial=np.inf) > 3 * BUDGET_TOLERANCE and centres.size < budgets.size
        if (across if far else shared) >= NOMINAL_SHARE:
            return group, budgets
        why = f"Column {key!r} holds no nominal budgets (only {across:.0%} of the runs share theirs across sizes), so "
    message = (
        f"{why}runs within {BUDGET_TOLERANCE:.0%} in compute form one budget: {C.size} runs, {centres.size} groups."
    )
    notes.append(Note("budget_groups", message[0].upper() + message[1:]))
    return near, centres


def _named_groups(C: Array, table: Rows, name: str, notes: list[Note]) -> tuple[IntArray, Array]:
    """Budget groups by the values of a column; a budget is the geometric mean of the compute of its runs."""
    key = find_column(name, table.keys, table.header, asked="group_by")
    values, codes = distinct(table.columns[key])
    texts = [value_text(value) for value in values]
    if "" in texts:
        row = int(table.row[codes == texts.index("")][0])
        msg = f"Column {key!r} names no budget in row {row}; name one for every run, or leave such rows out (`drop`)."
        raise InputError(msg)
    logs = np.log(C)
    means = np.bincount(codes, logs) / np.bincount(codes)
    place = np.argsort(np.argsort(means, kind="stable"), kind="stable")
    group = place[codes].astype(np.intp)
    off = float(np.exp(np.abs(logs - means[codes]).max()) - 1)
    if off > WIDEST_GROUP - 1:
        far = int(np.abs(logs - means[codes]).argmax())
        msg = (
            f"Column {key!r} names no budgets: compute in group {texts[codes[far]]!r} spreads by a factor of "
            f"{format_short(off + 1, 2)} around its mean, of {format_short(WIDEST_GROUP)} at most; name another column."
        )
        raise InputError(msg)
    text = (
        f"Column {key!r} names the budget of each run: {C.size} runs, {means.size} groups, compute within "
        f"{off:.0%} of the mean of its group."
    )
    notes.append(Note("budget_groups", text))
    return group, np.exp(np.sort(means, kind="stable"))


def experiment_column(
    labels: Mapping[str, AnyArray], selection: Mapping[str, str], measures: Sequence[AnyArray] = ()
) -> str | None:
    """
    Return the column that tells the experiments of a table apart; None if there is one experiment.

    A column that the user selected values of tells nothing apart: the mixture was asked for. Nor does one of a loose
    name that names the values of a measure (sizes, budgets), one by one: ``d12`` is a size and no experiment.

    Examples
    --------
    >>> experiment_column({"seed": np.array([1, 2]), "dataset": np.array(["web", "books"], dtype=object)}, {})
    'dataset'
    >>> experiment_column({"arch": np.array(["s", "m", "s"], dtype=object)}, {}, [np.array([1e8, 2e8, 1e8])])
    """
    by_name = {normalise(key): key for key in reversed(list(labels))}
    for key in (by_name[name] for name in EXPERIMENT_NAMES if name in by_name):
        values, codes = distinct(labels[key])
        named = normalise(key) in LOOSE_NAMES and any(_same_parts(codes, m) for m in measures)
        if 2 <= len(values) <= MOST_EXPERIMENTS and not named:
            return None if key in selection else key
    return None


def _same_parts(codes: IntArray, measure: AnyArray) -> bool:
    """Whether two ways to take rows apart are one and the same."""
    counts = {int(row_codes(columns).max()) for columns in ([codes], [measure], [codes, measure])}
    return len(counts) == 1


def _several_experiments(
    labels: Mapping[str, AnyArray], selection: Mapping[str, str], measures: Sequence[AnyArray] = ()
) -> list[Note]:
    key = experiment_column(labels, selection, measures)
    if key is None:
        return []
    values, _ = distinct(labels[key])
    shown = listed(map(value_text, values), VALUES_OFFERED)
    message = (
        f"The table holds {len(values)} experiments taken as one (column {key!r}: {shown}); "
        f"choose one (select {key}=VALUE), or fit each (by {key})."
    )
    return [Note("several_experiments", message)]
