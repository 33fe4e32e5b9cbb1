"""Where a table is: files, patterns, folders of records, standard input, addresses and queries of a database."""

from __future__ import annotations

import glob
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lawful.data.columns import ACCEPTED, ALSO, listed, normalise, unique_names
from lawful.data.selection import Noted, notes_of
from lawful.data.values import column_values
from lawful.errors import InputError
from lawful.sources.containers import columns_of_records
from lawful.sources.events import NAMED as EVENTS
from lawful.sources.events import event_record
from lawful.sources.files import LARGEST, load_bytes, load_file
from lawful.sources.harness import Loaded, RawColumns, with_evaluations
from lawful.sources.trackers import MLFLOW, WANDB, is_mlruns, mlruns, tracked

STDIN = "-"
QUERY = "?sql="
"""Between the file of a database and the query that gives its runs."""

MOST_ROWS = 5_000_000
"""Rows that a query may give."""

RECORDS = (".json", ".jsonl", ".ndjson")
"""Files of a folder that hold runs."""

WAIT_S = 30.0
"""Seconds that an address may stay silent."""

DUCKDB, DUCKDB_MAGIC = (".duckdb",), b"DUCK"
SQLITE_MAGIC = b"SQLite format 3\0"


def gather(places: Sequence[str | os.PathLike[str]]) -> tuple[list[str], RawColumns, str]:
    r"""
    Read every table that some places name, as one table.

    Parameters
    ----------
    places : sequence of path or str
        Files, patterns (``runs/*.csv``), folders of JSON or of MLflow, ``-`` for standard input, addresses
        (``https://…``, ``hf://…``, ``wandb://entity/project``, ``mlflow+http://host/experiment``), or
        a query of a SQLite database (``runs.db?sql=SELECT …``).

    Returns
    -------
    header : list of str
    columns : dict of str to array_like
        With a column ``file`` that tells which, where there are several.
    source : str

    Raises
    ------
    InputError
        If a place cannot be read, or tables of several places name a quantity differently.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name, loss in (("a", 3.1), ("b", 2.9)):
    ...     _ = (folder / f"{name}.csv").write_text(f"N,D,loss\n1e8,2e9,{loss}\n")
    >>> header, columns, source = gather([folder / "*.csv"])
    >>> header, [float(loss) for loss in columns["loss"]], list(columns["file"])
    (['N', 'D', 'loss', 'file'], [3.1, 2.9], ['a.csv', 'b.csv'])
    """
    named = [place for given in places for place in _expanded(os.fspath(given))]
    if not named:
        msg = "The path of the runs is empty; give one file of runs."
        raise InputError(msg)
    if named.count(STDIN) > 1:
        msg = "Standard input can be read once; give - once."
        raise InputError(msg)
    named = list(dict.fromkeys(named))  # patterns may overlap
    if len(named) == 1:
        return *next(iter(with_evaluations({named[0]: _loaded(named[0])}).values())), named[0]
    return *joined(with_evaluations({place: _loaded(place) for place in named})), _said(named)


def _said(named: Sequence[str]) -> str:
    return f"{named[0]} and {len(named) - 1} more file{'s' * (len(named) > 2)}"


def _expanded(place: str) -> Iterator[str]:
    """The files that one place names."""
    if not place.strip():
        msg = "The path of the runs is empty; give one file of runs."
        raise InputError(msg)
    if place == STDIN or "://" in place or QUERY in place or (_is(place, Path.is_dir) and _is(place, is_mlruns)):
        yield place
    elif _is(place, Path.is_dir):
        found = sorted(str(p) for p in Path(place).iterdir() if p.suffix.lower() in RECORDS)
        yield from found or [place]  # a folder without any is refused by name
    elif glob.has_magic(place) and not _is(place, Path.exists):
        # A pattern may start at a root or in another folder, which Path.glob does not take.
        found = sorted(glob.glob(place, recursive=True))  # noqa: PTH207
        if not found:
            msg = f"No file matches {place!r}; check the pattern."
            raise InputError(msg)
        yield from found
    else:
        yield place


def _loaded(place: str) -> Loaded:
    if place == STDIN:
        return load_bytes(Path("standard input"), _at_most(sys.stdin.buffer, "standard input"))
    if QUERY in place:
        return queried(*place.split(QUERY, 1))
    if place.startswith((WANDB, *MLFLOW)):
        return columns_of_records(tracked(place))
    if "://" in place:
        name = Path(urlsplit(place).path).name or place
        return load_bytes(Path(name), _fetched(place))
    if _is_sqlite(place) or (_is(place, Path.is_file) and _is_duckdb(place)):
        return queried(place, None)
    if _is(place, Path.is_dir) and _is(place, is_mlruns):
        return columns_of_records(mlruns(Path(place)))
    if Path(place).name.startswith(EVENTS) and _is(place, Path.is_file):
        return columns_of_records([event_record(Path(place))])
    return load_file(Path(place))


def _at_most(stream: Any, name: str) -> bytes:
    data: bytes = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        msg = f"{name!r} has more than {LARGEST / 2**30:.0f} GiB; give a file of runs, not of everything logged."
        raise InputError(msg)
    return data


def _fetched(address: str) -> bytes:
    """Bytes at an address: the web by requests, any other by fsspec."""
    if address.startswith(("http://", "https://")):
        return _from_web(address)
    scheme = address.partition("://")[0]
    try:
        import fsspec
    except ImportError:
        msg = f"Addresses such as {scheme}:// need fsspec; pip install 'lawful[remote]', or download the file."
        raise InputError(msg) from None
    try:
        with fsspec.open(address, "rb") as stream:
            return _at_most(stream, address)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - every file system fails in ways of its own
        why = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        msg = f"{address!r} cannot be read ({why}); check the address, or download the file."
        raise InputError(msg) from None


def _from_web(address: str) -> bytes:
    import requests

    try:
        with requests.get(address, stream=True, timeout=WAIT_S) as answer:
            answer.raise_for_status()
            data = bytearray()
            for part in answer.iter_content(1 << 20):
                data += part
                if len(data) > LARGEST:
                    msg = f"{address!r} has more than {LARGEST / 2**30:.0f} GiB, so it was not read."
                    raise InputError(msg)
            return bytes(data)
    except requests.exceptions.RequestException as error:
        why = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        msg = f"{address!r} cannot be fetched ({why}); check the address, or download the file."
        raise InputError(msg) from None


def _is(place: str, what: Callable[[Path], bool]) -> bool:
    """Ask something of a path; one that the system cannot even look up is nothing."""
    with suppress(OSError, ValueError):
        return what(Path(place))
    return False


def _is_sqlite(place: str) -> bool:
    with suppress(OSError, ValueError):
        if Path(place).is_file():
            with Path(place).open("rb") as stream:
                return stream.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    return False


def queried(place: str, query: str | None) -> Loaded:
    """
    Read the answer of a query to a SQLite database; without one its only table.

    Raises
    ------
    InputError
        If there is no such database, or the query cannot be answered.
    """
    if not _is(place, Path.is_file):
        msg = f"There is no file {place!r}; check the path."
        raise InputError(msg)
    try:
        if Path(place).suffix.lower() in DUCKDB or _is_duckdb(place):
            return _of_rows(place, *_from_duckdb(place, query))
        # Read-only: a query that writes is refused.
        with closing(sqlite3.connect(f"{Path(place).resolve().as_uri()}?mode=ro", uri=True)) as database:
            cursor = database.execute(query or _whole_table(database, place))
            rows = cursor.fetchmany(MOST_ROWS + 1)
            header = [str(column[0]).strip() for column in cursor.description or ()]
    except (sqlite3.Error, sqlite3.Warning) as error:
        msg = f"The query of {place!r} has no answer ({str(error).rstrip('.')}); write it as {place}?sql=SELECT ..."
        raise InputError(msg) from None
    return _of_rows(place, header, rows)


def _of_rows(place: str, header: list[str], rows: Sequence[Sequence[Any]]) -> Loaded:
    if not rows or len(rows) > MOST_ROWS:
        many = f"more than {MOST_ROWS:,} rows" if rows else "no rows"
        msg = f"The query of {place!r} gives {many}; ask for the runs."
        raise InputError(msg)
    return header, dict(zip(unique_names(header), map(list, zip(*rows, strict=True)), strict=True))


def _is_duckdb(place: str) -> bool:
    with Path(place).open("rb") as stream:
        return stream.read(12)[8:] == DUCKDB_MAGIC


def _from_duckdb(place: str, query: str | None) -> tuple[list[str], list[Sequence[Any]]]:
    try:
        import duckdb
    except ImportError:
        msg = f"{place!r} is a DuckDB database, which needs duckdb; pip install 'lawful[duckdb]'."
        raise InputError(msg) from None
    try:
        with closing(duckdb.connect(str(Path(place)), read_only=True)) as database:
            if query is None:
                names = [row[0] for row in database.execute("SHOW TABLES").fetchall()]
                if len(names) != 1:
                    found = f"{len(names)} tables ({listed(names)})" if names else "no table"
                    msg = f"{place!r} has {found}; say what to read as {place}?sql=SELECT ..."
                    raise InputError(msg)
                quoted = names[0].replace('"', '""')
                query = f'SELECT * FROM "{quoted}"'  # noqa: S608 - the name of the only table, quoted
            cursor = database.execute(query)
            rows = cursor.fetchmany(MOST_ROWS + 1)
            return [str(column[0]).strip() for column in cursor.description or ()], rows
    except duckdb.Error as error:
        why = str(error).partition("\n")[0].rstrip(".")
        msg = f"The query of {place!r} has no answer ({why}); write it as {place}?sql=SELECT ..."
        raise InputError(msg) from None


def _whole_table(database: sqlite3.Connection, place: str) -> str:
    names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]
    if len(names) != 1:
        found = f"{len(names)} tables ({listed(names)})" if names else "no table"
        msg = f"{place!r} has {found}; say what to read as {place}?sql=SELECT ..."
        raise InputError(msg)
    quoted = names[0].replace('"', '""')
    return f'SELECT * FROM "{quoted}"'  # noqa: S608 - the name of the only table, quoted


def joined(parts: dict[str, Loaded]) -> Loaded:
    """
    Put tables under each other, with a column that tells which.

    Columns that not all of them have are blank elsewhere, unless they carry one quantity under several names.

    Raises
    ------
    InputError
        If a quantity has another name in one of them, or a name occurs twice in one.
    """
    header = list(dict.fromkeys(title for titles, _ in parts.values() for title in titles))
    for place, (titles, _) in parts.items():
        twice = next((title for title in titles if titles.count(title) > 1), None)
        if twice is not None:
            msg = f"{place!r} has {titles.count(twice)} columns named {twice!r}; rename all but one of them."
            raise InputError(msg)
    for quantity, names in ACCEPTED.items():
        _require_one_name(quantity, {normalise(name) for name in (*names, *ALSO[quantity])}, parts)
    label = unique_names([*header, "file"])[-1]
    columns: RawColumns = {title: [] for title in header}
    columns[label] = []
    for place, name in zip(parts, _short_names(list(parts)), strict=True):
        titles, given = parts[place]
        clean = {t: column_values(t, v).tolist() for t, v in zip(titles, given.values(), strict=True)}
        size = max(map(len, clean.values()), default=0)
        for title in header:
            columns[title] += clean.get(title, [None] * size)
        columns[label] += [name] * size
    return [*header, label], Noted.of(columns, chain.from_iterable(notes_of(given) for _, given in parts.values()))


def _require_one_name(quantity: str, known: set[str], parts: dict[str, Loaded]) -> None:
    """Refuse tables of which one calls a quantity so and another so."""
    first: tuple[str, set[str]] | None = None
    for place, (titles, _) in parts.items():
        here = {title for title in titles if normalise(title) in known}
        if here and first is not None and not here & first[1]:
            msg = (
                f"The files call {quantity} by several names: {listed(sorted(first[1]))} in {first[0]!r} and "
                f"{listed(sorted(here))} in {place!r}; give them one name."
            )
            raise InputError(msg)
        if here and first is None:
            first = place, here


def _short_names(places: Sequence[str]) -> list[str]:
    """Names of files that tell them apart, the folders only where it takes them."""
    short = [Path(place.split(QUERY)[0]).name if place != STDIN else "standard input" for place in places]
    return short if len(set(short)) == len(short) else list(places)
