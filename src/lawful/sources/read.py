"""Read training runs from a file or a DataFrame, and write them back as a table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lawful.data.columns import ACCEPTED
from lawful.data.runs import Runs
from lawful.data.selection import IN_MEMORY, Selection
from lawful.data.table import Handling, columns_of, groups_from_columns, runs_from_columns
from lawful.errors import UnsupportedError
from lawful.sources.places import gather
from lawful.sources.wandb import budgets_from_names

if TYPE_CHECKING:
    import pandas as pd


def read_runs(  # noqa: PLR0913 - keyword-only options of reading
    table: Any,
    *,
    select: Selection | None = None,
    columns: Mapping[str, str] | None = None,
    weights: str | None = None,
    as_is: bool = False,
    best_of_cell: bool = False,
    where: str | None = None,
    drop: Sequence[int | str] | str = (),
    group_by: str | None = None,
    needs: Sequence[str] | None = None,
    row_of_run: str | None = None,
    fill_down: Sequence[str] | str = (),
    signed: bool = False,
) -> Runs:
    """
    Read training runs.

    Rows keep their order, and none is dropped silently: a value that cannot be used is
    an error that names its column and row. Where budgets stand only in the names of
    the runs, as in exports of Weights & Biases, they are read from there, and rows that
    count FLOPs otherwise than their sweep are set aside with a note.

    Parameters
    ----------
    table : path, paths, pandas DataFrame or mapping of str to array_like
        A CSV, TSV, JSON, JSONL, Markdown, Excel or Parquet file (text also gzipped), several of them or a pattern (a
        column ``file`` then tells which), a folder of JSON, ``-`` for standard input, an address (``https://…``,
        ``hf://…``), a query (``runs.db?sql=SELECT …``), or a table in memory.
        It needs the loss (nats per token) and two of params, tokens and budget
        (FLOPs), as counted; the third is C = 6ND.
    select : mapping of str to value or values, optional
        Keep the runs that have one of the values in every named column.
    columns : mapping of str to str, optional
        Quantity (params, tokens, loss, budget) to column, or to a formula of columns
        (``tokens="step*batch_size*seq_len"``), where the names that are recognised do not serve.
    weights : str, optional
        Column of non-negative weights.
    as_is : bool
        Take numbers that only a forgotten unit would explain; they are refused otherwise.
    best_of_cell : bool
        Keep the run of least loss of every N and D, as a sweep of hyper-parameters wants.
    where : str, optional
        Keep the runs that meet a condition on columns: ``loss < 4 and lr == 3e-4``.
    drop : sequence of int or str
        Rows to leave out, counted from 1 as messages count them, also as text (``"3,17-19"``); ``"nan"`` leaves out
        those in which a quantity is missing, no number or not positive, which are refused otherwise.
    needs : sequence of str, optional
        Columns that will be read: N, D, C, U or others of the table, such as ``law.columns``. Two of
        params, tokens and budget if not given.
    group_by : str, optional
        Column that names the budget of each run, where compute alone does not tell which runs belong together.
    row_of_run : str, optional
        Keep one row of every run, ``last`` (with a loss) or ``best``, as histories want.
    fill_down : sequence of str, optional
        Columns of which a blank cell has the value above it, where the table does not plainly say so itself.
    signed : bool
        Let the loss be zero or negative, as one over that of a unigram model is. Such runs are for laws that are
        formulas and name the column of their loss, which set it themselves; all else refuses them.

    Returns
    -------
    Runs
        Validated runs with budget groups, labels, and notes on what was derived.

    Raises
    ------
    InputError
        One sentence: what is wrong with the file, its columns or its values.
    UnsupportedError
        If ``columns`` names an unknown quantity.

    See Also
    --------
    read_groups : The runs of several experiments in one file.
    isoflop_points : Runs out of the checkpoints of training curves.
    fetch_runs : Published runs.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "runs.csv")
    >>> _ = path.write_text('''sweep,N,D,val_loss
    ... a,1e8,2e9,3.10
    ... a,2e8,1e9,3.20
    ... b,1e8,2e9,diverged
    ... ''')
    >>> runs = lawful.read_runs(path, select={"sweep": "a"})
    >>> len(runs), runs.columns
    (2, {'params': 'N', 'tokens': 'D', 'loss': 'val_loss'})
    >>> lawful.read_runs(path)
    Traceback (most recent call last):
        ...
    lawful.errors.InputError: Column 'val_loss' must hold numbers, but 1 of 3 rows hold text: \
row 3 ('diverged'); write plain numbers such as 7e9, or remove these rows (`drop` nan leaves them out).
    """
    if isinstance(table, Runs):
        if select or columns or weights or where or drop or best_of_cell or group_by or row_of_run or fill_down:
            msg = "These runs were read already; give select, columns and weights when reading their table."
            raise UnsupportedError(msg)
        return table
    handling = Handling(as_is, best_of_cell, where, drop, needs, group_by, row_of_run, fill_down, signed)
    return runs_from_columns(**_door(table, columns, select, weights, handling))


def read_groups(  # noqa: PLR0913 - keyword-only options of reading
    table: Any,
    *,
    by: str,
    select: Selection | None = None,
    columns: Mapping[str, str] | None = None,
    weights: str | None = None,
    as_is: bool = False,
    best_of_cell: bool = False,
    where: str | None = None,
    drop: Sequence[int | str] | str = (),
    group_by: str | None = None,
    needs: Sequence[str] | None = None,
    row_of_run: str | None = None,
    fill_down: Sequence[str] | str = (),
    signed: bool = False,
) -> dict[str, Runs]:
    """
    Read the runs of several experiments, one ``Runs`` per value of a column.

    Parameters
    ----------
    table, select, columns, weights, as_is, best_of_cell, where, drop, needs, group_by, row_of_run, fill_down, signed
        As in :func:`read_runs`.
    by : str
        Column that tells the experiments apart.

    Returns
    -------
    dict of str to Runs
        In order of first appearance.

    Raises
    ------
    InputError
        As in :func:`read_runs`, naming the group.

    Examples
    --------
    >>> table = {"N": [1e8, 2e8, 1e8], "D": [2e9, 1e9, 4e9], "loss": [3.1, 3.2, 2.9], "data": ["web", "web", "books"]}
    >>> read_groups(table, by="data")["web"]
    Runs(2 runs, 1 budgets, source='table')
    """
    handling = Handling(as_is, best_of_cell, where, drop, needs, group_by, row_of_run, fill_down, signed)
    return groups_from_columns(by=by, **_door(table, columns, select, weights, handling))


def _door(
    table: Any, mapping: Mapping[str, str] | None, select: Selection | None, weights: str | None, handling: Handling
) -> dict[str, Any]:
    """What both doors hand on: the columns of a table, and what was asked of them."""
    columns, header, source = load_columns(table)
    asked = {"mapping": mapping, "select": select, "weights": weights, "handling": handling}
    return {"columns": columns, "header": header, "source": source, "prepare": budgets_from_names, **asked}


def to_frame(runs: Runs) -> pd.DataFrame:
    """
    Return the runs as the table they came from, completed.

    Parameters
    ----------
    runs : Runs
        From any source.

    Returns
    -------
    pandas.DataFrame
        One row per run: the source's columns under their names and in their order,
        then ``params``, ``tokens``, ``loss`` and ``budget`` as they were fitted, unless
        the source has them under these names. Where another column has the name,
        ``_used`` is added.

    Examples
    --------
    >>> runs = lawful.read_runs({"N": [100_000_000], "lr": [0.1], "flops": [1.2e18], "loss": [3.1]})
    >>> to_frame(runs).columns.tolist()
    ['N', 'lr', 'flops', 'loss', 'params', 'tokens', 'budget']
    """
    import numpy as np
    import pandas as pd

    data: dict[str, Any] = {**runs.table, **runs.labels}
    for name, values in zip(ACCEPTED, (runs.N, runs.D, runs.L, runs.C), strict=True):
        if np.isnan(values[0]):
            continue
        if runs.columns.get(name) == name and name in data:
            continue
        data[f"{name}_used" if name in data else name] = values
    return pd.DataFrame(data)


def load_columns(table: Any) -> tuple[Mapping[str, Any], list[str], str]:
    """
    Return the columns of files or of a table in memory, its header, and where it came from.

    Examples
    --------
    >>> load_columns({"N": [1], "loss": [2]})
    ({'N': [1], 'loss': [2]}, ['N', 'loss'], 'table')
    """
    one = isinstance(table, (str, os.PathLike))
    several = isinstance(table, (list, tuple)) and table and all(isinstance(t, (str, os.PathLike)) for t in table)
    if not (one or several):
        return *columns_of(table), IN_MEMORY
    header, columns, source = gather([table] if one else table)
    return columns, header, source
