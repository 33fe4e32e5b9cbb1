"""Run tables in files: CSV, TSV, JSONL and Parquet as a header and columns, or one sentence why not."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.core.notes import Note
from lawful.core.typing import AnyArray
from lawful.data.columns import listed, unique_names
from lawful.data.selection import Noted, notes_of
from lawful.data.units import dots_group, number_of
from lawful.errors import InputError
from lawful.sources.containers import (
    columns_of_records,
    json_records,
    markdown_tables,
    opened_cells,
    refuse_chart,
    separated,
    the_runs,
    workbook,
)
from lawful.sources.encodings import old_text, unicode_text
from lawful.sources.harness import Loaded, RawColumns
from lawful.sources.logs import log_record
from lawful.sources.markup import document_of, drawn_table, html_tables, latex_tables

if TYPE_CHECKING:
    import pandas as pd

FORMATS = "CSV, TSV, JSON, JSONL, Markdown, Excel or Parquet"

LARGEST = 2**31
"""Bytes of a file, unpacked, at most: far more than any table of runs, and not all of the memory."""
TABLE_SUFFIXES = frozenset(
    (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".md", ".xlsx", ".parquet", ".yaml", ".yml", ".toml")
)
"""Ends of the names of tables in an archive."""
GZIP_MAGIC, PARQUET_MAGIC, ZIP_MAGIC = b"\x1f\x8b", b"PAR1", b"PK\x03\x04"
JSONL_SUFFIXES = {".jsonl", ".ndjson"}
DELIMITERS = ",\t;|"

PLAIN_SIZE = 2**20
"""Characters of a table that is read cell by cell; a larger one is worth the parser's import."""
PLAIN_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
PLAIN_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")
WORDS_WITH_A_VALUE = frozenset({"true", "false", "nan", "inf", "infinity"})


def load_file(path: Path) -> Loaded:
    r"""
    Read a file of runs.

    Parameters
    ----------
    path : Path
        ``.csv``, ``.tsv``, ``.jsonl`` or ``.ndjson`` (each also with ``.gz``), or ``.parquet``;
        the format of any other name is told from the content.

    Returns
    -------
    header : list of str
        Names of the columns as they stand in the file, possibly repeated.
    columns : dict of str to array_like
        The columns under distinct names. Text stays as it is written; columns of
        numbers are numeric.

    Raises
    ------
    InputError
        If the file cannot be read as a table.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "runs.csv")
    >>> _ = path.write_text("run,loss\n001,2.5\n002,2.4\n")
    >>> header, columns = load_file(path)
    >>> header, columns["run"].tolist(), columns["loss"].tolist()
    (['run', 'loss'], ['001', '002'], [2.5, 2.4])
    """
    return load_bytes(path, _content(path))


def load_bytes(path: Path, data: bytes) -> Loaded:
    r"""
    Read a table out of the content of a file; its name says what it may be, and stands in messages.

    Raises
    ------
    InputError
        If it cannot be read as a table.

    Examples
    --------
    >>> load_bytes(Path("standard input"), b"N;loss\n1e8;3,1\n")[0]
    ['N', 'loss']
    """
    header, columns = _load(path, unpacked(path, data))
    refuse_chart(path, header)
    opened = opened_cells(header, columns)
    return (opened[0], Noted.of(opened[1], notes_of(columns))) if opened else (header, columns)


def _load(path: Path, data: bytes) -> Loaded:
    if data.startswith(PARQUET_MAGIC):
        return _parquet(path, data)
    if data.startswith(ZIP_MAGIC):
        return _zipped(path, data)
    suffix = path.with_suffix("").suffix if path.suffix.lower() == ".gz" else path.suffix
    suffix = suffix.lower()
    text, notes = _text(path, data, suffix)
    header, columns = _of_text(path, text, suffix)
    return header, Noted.of(columns, notes)


def _of_text(path: Path, text: str, suffix: str) -> Loaded:
    if suffix not in {".csv", ".tsv", ".json", *JSONL_SUFFIXES} and (record := log_record(path, text)):
        return columns_of_records([record])
    if suffix in JSONL_SUFFIXES or (suffix not in {".csv", ".tsv"} and text.lstrip().startswith(("{", "["))):
        try:
            return _json(path, text)
        except InputError:
            found = json_records(document_of(path, text, suffix))
            if found is None:
                raise
            return columns_of_records(found)
    if suffix not in {".csv", ".tsv"} and (found := json_records(document_of(path, text, suffix))):
        return columns_of_records(found)
    if suffix not in {".csv", ".tsv"} and (tables := _tables(text)):
        named = {f"{number}. {' '.join(rows[0][:3])}": rows for number, rows in enumerate(tables, start=1)}
        return _of_grid(path, named[the_runs(path, named, "tables")])
    return _delimited(path, separated(_uncommented(text)), "\t" if suffix == ".tsv" else None)


def _tables(text: str) -> list[list[list[str]]]:
    """Tables of a text in marks of LaTeX, HTML, Markdown and the like."""
    if "\\begin{" in text or re.match(r"[^\n&]*&[^\n]*\\\\\s*$", text.lstrip(), re.MULTILINE):
        return latex_tables(text)
    if re.search(r"<table\b", text, re.IGNORECASE):
        return html_tables(text)
    drawn = drawn_table(text) if text.lstrip().startswith(("+-", "=", "+=")) else None
    return [drawn] if drawn else markdown_tables(text)


def _zipped(path: Path, data: bytes) -> Loaded:
    """A workbook, or the one table of an archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            parts = [
                part for part in packed.infolist() if not part.is_dir() and not part.filename.startswith("__MACOSX")
            ]
            names = [part.filename for part in parts]
            if any(name.startswith("xl/") for name in names):
                return workbook(path, data)
            tables = [part for part in parts if Path(part.filename).suffix.lower() in TABLE_SUFFIXES]
            if len(tables) == 1 and tables[0].file_size <= LARGEST:
                return load_bytes(Path(tables[0].filename), packed.read(tables[0]))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, zlib.error, ValueError) as error:
        if isinstance(error, InputError):
            raise
        msg = f"{str(path)!r} is a damaged archive ({_first_line(error)}); copy or pack it again."
        raise InputError(msg) from None
    found = f"{len(tables)} tables" if tables else "no table"
    msg = (
        f"{str(path)!r} is an archive with {found} among {listed(names, 5)}: unpack it, and give the file or files of "
        f"runs ({FORMATS})."
    )
    raise InputError(msg)


def _uncommented(text: str) -> str:
    """Text without remarks, lines after # with other fields than the header, above it, below it and among the rows."""
    text = text[len(told[0]) :] if (told := _SEP_LINE.match(text)) else text
    if "#" not in text:
        return text
    lines = text.splitlines(keepends=True)
    first = next((i for i, line in enumerate(lines) if not line.startswith("#") and line.strip()), 0)
    fields = _fields(lines[first])
    # "# N,D,loss" is a header.
    while first and _fields(lines[first - 1]) == fields:
        first -= 1
    rest = [line for line in lines[first + 1 :] if not line.startswith("#") or _fields(line) == fields]
    while rest and rest[-1].startswith("#") and not _holds_numbers(rest[-1]):
        rest.pop()
    return "".join([lines[first], *rest])


def _holds_numbers(line: str) -> bool:
    """Whether a line has two numbers behind its first field, as that of a run called #12 has and a remark has not."""
    fields = re.split(f"[{DELIMITERS}]", line)[1:]
    return sum(number_of(field) is not None for field in fields) > 1


def _fields(line: str) -> int:
    return max(line.count(delimiter) for delimiter in DELIMITERS)


_SEP_LINE = re.compile(r"^sep=.\r?\n", re.IGNORECASE)
"""What Excel is told the delimiter by."""


def _content(path: Path) -> bytes:
    try:
        if path.is_dir():
            msg = f"{str(path)!r} is a directory; give one file of runs ({FORMATS})."
            raise InputError(msg)
        if not path.is_file() and path.exists():
            msg = f"{str(path)!r} is a device or a pipe, not a file; give a file of runs ({FORMATS})."
            raise InputError(msg)
        if path.stat().st_size > LARGEST:
            msg = (
                f"{str(path)!r} has more than {LARGEST / 2**30:.0f} GiB; give a file of runs, not of everything logged."
            )
            raise InputError(msg)
        data = path.read_bytes()
    except FileNotFoundError:
        msg = f"There is no file {str(path)!r}; check the path."
        raise InputError(msg) from None
    except PermissionError:
        msg = f"{str(path)!r} may not be read by this user; check its permissions."
        raise InputError(msg) from None
    except (OSError, ValueError) as error:
        msg = f"{str(path)!r} cannot be read ({error}); check the path."
        raise InputError(msg) from None
    return data


def unpacked(path: Path, data: bytes) -> bytes:
    """
    Return the content of a file without its compression.

    Raises
    ------
    InputError
        If it is damaged, empty, or unpacks to more than :data:`LARGEST`.
    """
    if data.startswith(GZIP_MAGIC):
        try:
            with gzip.open(io.BytesIO(data)) as packed:
                data = packed.read(LARGEST + 1)
            if len(data) > LARGEST:
                msg = f"{str(path)!r} unpacks to more than {LARGEST / 2**30:.0f} GiB, so it was not read."
                raise InputError(msg)
        except (OSError, EOFError, zlib.error):
            msg = f"{str(path)!r} is a damaged gzip file; copy or compress it again."
            raise InputError(msg) from None
    if not data.strip():
        msg = f"{str(path)!r} is empty; it needs a header and one line per run."
        raise InputError(msg)
    return data


def _text(path: Path, data: bytes, suffix: str) -> tuple[str, tuple[Note, ...]]:
    """Text of a file, with a note where its encoding had to be told."""
    if suffix != ".parquet" and (found := unicode_text(data)) is not None:
        return found, ()
    if suffix == ".parquet" or b"\0" in data:
        kind = "not a Parquet file" if suffix == ".parquet" else "binary, not a table of text"
        msg = f"{str(path)!r} is {kind}; save the runs as {FORMATS}."
        raise InputError(msg)
    with suppress(UnicodeDecodeError):
        return data.decode("utf-8-sig"), ()
    text, note = old_text(path, data)
    return text, (note,)


def _parquet(path: Path, data: bytes) -> Loaded:
    import pandas as pd

    try:
        frame = pd.read_parquet(io.BytesIO(data), engine="pyarrow")
    except ImportError:
        msg = f"{str(path)!r} is a Parquet file, which needs pyarrow; pip install 'lawful[parquet]'."
        raise InputError(msg) from None
    except (OSError, ValueError, LookupError, NotImplementedError) as error:
        msg = f"{str(path)!r} is a damaged Parquet file ({_first_line(error)}); write it again."
        raise InputError(msg) from None
    header = [str(name).strip() for name in frame.columns]
    return header, _by_name(frame, unique_names(header))


def _by_name(frame: pd.DataFrame, names: list[str]) -> RawColumns:
    return {name: frame.iloc[:, i] for i, name in enumerate(names)}


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")


def _json(path: Path, text: str) -> Loaded:
    """One document, or one record per line."""
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    records: Any = None
    with suppress(ValueError, RecursionError):
        # One parse of one array is several times faster than a parse per line.
        records = json.loads(f"[{','.join(lines)}]")
    if records is not None and len(records) == len(lines) > 1 and set(map(type, records)) == {dict}:
        return columns_of_records(records)
    document: Any = None
    with suppress(ValueError, RecursionError):
        document = json.loads(text)
    _refuse_our_own(path, document)
    try:
        found = json_records(document)
    except (ValueError, RecursionError):
        found = None
    if not found:
        raise InputError(_broken_json(path, text))
    return columns_of_records(found)


def _refuse_our_own(path: Path, document: Any) -> None:
    """Say where the runs are where a result was given in the place of a table."""
    schema = document.get("schema") if isinstance(document, Mapping) else None
    if not isinstance(schema, str) or not schema.startswith("lawful."):
        return
    beside = path.parent / "runs.csv"
    runs = document.get("runs")
    made_from = runs.get("source") if isinstance(runs, Mapping) else None
    where = f"{str(beside)!r}" if beside.is_file() else f"{made_from!r}, which it was made from" if made_from else ""
    given = f"give its table of runs{f', {where}' if where else ''}"
    msg = f"{str(path)!r} is a result ({schema}), not a table of runs; {given}."
    raise InputError(msg)


def _of_grid(path: Path, rows: list[list[str]]) -> Loaded:
    header, *body = rows
    wrong = [i for i, row in enumerate(body, start=1) if len(row) != len(header)]
    if wrong:
        raise InputError(_ragged_message(path, wrong[0] + 2, len(body[wrong[0] - 1]), len(header)))
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return _delimited(path, buffer.getvalue(), ",")


def _broken_json(path: Path, text: str) -> str:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            return f"{str(path)!r} is broken at line {number} ({_first_line(error)}); JSONL has one object per line."
        if not isinstance(value, dict):
            kind = type(value).__name__
            return f"{str(path)!r} holds a {kind} at line {number}; JSONL has one object per line."
    return f"{str(path)!r} is not JSONL; it needs one object per line."


def _delimited(path: Path, text: str, delimiter: str | None) -> Loaded:
    delimiter = delimiter or _delimiter(text)
    header = _header(path, text, delimiter)
    names = unique_names(header)
    if (plain := _plain(text, delimiter, names)) is not None:
        return header, _with_grouped(text, delimiter, plain)
    frame = _parse_csv(path, text, delimiter, names)
    if frame.empty:
        msg = f"{str(path)!r} has a header but no rows; it needs one line per run."
        raise InputError(msg)
    # The parser fills a short line with blanks, so only a blank last cell can hide one.
    if frame.iloc[:, -1].isna().any() and (ragged := _ragged(text, delimiter, len(header))):
        raise InputError(_ragged_message(path, *ragged, len(header)))
    return header, _with_grouped(text, delimiter, _by_name(frame, names))


_GROUPED_CELL = re.compile(r"(?:^|[;\t|,])\s*\d{1,3}(?:\.\d{3})+\s*(?=[;\t|,\r\n]|$)", re.MULTILINE)


def _with_grouped(text: str, delimiter: str, columns: RawColumns) -> RawColumns:
    """Columns as they are written where 46.700 may be forty-six thousand: beside a column of decimal commas."""
    # Between commas a decimal one stands in quotes; most tables are told by that, at any length.
    if delimiter == "," and '"' not in text:
        return columns
    if not re.search(r"\d,\d", text) or not _GROUPED_CELL.search(text):
        return columns
    rows = [fields for _, fields in _rows(text, delimiter)][1:]
    if any(len(row) < len(columns) for row in rows) or any(len(column) != len(rows) for column in columns.values()):
        return columns
    written = {name: [row[i].strip() for row in rows] for i, name in enumerate(columns)}
    if not any(all(re.fullmatch(r"-?\d+,\d+", cell) for cell in cells) for cells in written.values()):
        return columns
    return {name: written[name] if dots_group(written[name]) else column for name, column in columns.items()}


def _delimiter(text: str) -> str:
    lines = [re.sub(r'"[^"]*"', "", line) for line in text.lstrip().split("\n", 2)[:2]]
    # A header of names and units may have as many commas in them as there are columns; the line below has not.
    alike = [mark for mark in DELIMITERS if lines[0].count(mark) == lines[-1].count(mark) > 0]
    return max(alike or DELIMITERS, key=lines[0].count)


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    start = 1
    for fields in reader:
        if fields:
            yield start, fields
        start = reader.line_num + 1


def _header(path: Path, text: str, delimiter: str) -> list[str]:
    try:
        rows = _rows(text, delimiter)
        _, fields = next(rows)
        _, below = next(rows, (0, []))
    except (csv.Error, StopIteration):
        msg = f"{str(path)!r} has no readable header in its first line; save the runs as {FORMATS}."
        raise InputError(msg) from None
    # A delimiter at the end of the line names no column; a merged title may have no name where a line below has one.
    while len(fields) > 1 and not fields[-1].strip() and not (len(below) == len(fields) and below[-1].strip()):
        fields.pop()
    return [field.strip() for field in fields]


def _plain(text: str, delimiter: str, names: list[str]) -> RawColumns | None:
    """
    Read a short table of plain numbers and words, or None where anything in it needs a parser of all of CSV.

    The columns are those that pandas makes of the same text; its import takes longer than all else that reading does.
    """
    if len(text) > PLAIN_SIZE or '"' in text or "\0" in text or len(names) < 2:
        return None
    rows = [fields for _, fields in _rows(text, delimiter)][1:]
    if not rows or any(len(fields) != len(names) for fields in rows):
        return None
    columns = {name: _plain_column(cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)}
    return columns if all(column is not None for column in columns.values()) else None


def _plain_column(cells: Sequence[str]) -> AnyArray | None:
    """Return numbers, or words with NaN for a blank; None where it takes rules to tell which of both a cell is."""
    filled = [cell for cell in cells if cell]
    if len(filled) == len(cells) and all(cell.removeprefix("-").isdecimal() for cell in cells):
        return np.array([int(cell) for cell in cells]) if all(map(PLAIN_WHOLE.fullmatch, cells)) else None
    if filled and all(PLAIN_NUMBER.fullmatch(cell) for cell in filled):
        return np.array([float(cell) if cell else np.nan for cell in cells])
    # One word keeps a whole column as it is written, whatever its other cells look like.
    if any(cell[0].isalpha() and cell.lower() not in WORDS_WITH_A_VALUE for cell in filled):
        return np.array([cell or np.nan for cell in cells], dtype=object)
    return None


def _parse_csv(path: Path, text: str, delimiter: str, names: list[str]) -> pd.DataFrame:
    import pandas as pd

    # A carriage return alone ends a line; pandas before 3 can read such lines without end, gigabytes of them.
    text = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text.replace("\r\n", "") else text
    data = text.encode()
    options: dict[str, Any] = {
        "sep": delimiter,
        "header": 0,
        "names": names,
        "index_col": False,
        "keep_default_na": False,  # a run called "NA" is not missing
        "na_values": [""],
        "low_memory": False,
        "engine": "c",
    }
    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):
        options["float_precision"] = "round_trip"  # the default from 3.1 on
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(io.BytesIO(data), **options)
            numeric = frame.select_dtypes("number").columns
            if len(numeric) and _has_leading_zero(data):
                written = pd.read_csv(io.BytesIO(data), **options, usecols=list(numeric), dtype=str)
                for name in numeric:
                    if written[name].str.match(r"[+-]?0\d").any():
                        frame[name] = written[name]
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError, ValueError) as error:
        ragged = _ragged(text, delimiter, len(names))
        if ragged:
            raise InputError(_ragged_message(path, *ragged, len(names))) from None
        msg = f"{str(path)!r} is not a readable table ({_first_line(error)}); look for a quote that is never closed."
        raise InputError(msg) from None
    return frame


def _has_leading_zero(data: bytes) -> bool:
    """Tell whether a cell starts as 007 does: a name of a run, which must not become 7."""
    codes = np.frombuffer(data, dtype=np.uint8)
    zeros = np.flatnonzero(codes[1:-1] == ord("0")) + 1
    before = np.zeros(256, dtype=np.bool_)
    before[np.frombuffer(b',;|\t"\n', dtype=np.uint8)] = True
    is_start = before[codes[zeros - 1]]
    after = codes[zeros[is_start] + 1]
    return bool(((after >= ord("0")) & (after <= ord("9"))).any())


def _ragged(text: str, delimiter: str, width: int) -> tuple[int, int] | None:
    """Return the line and the number of fields of the first row that is too short or too long."""
    try:
        for line, fields in _rows(text, delimiter):
            if len(fields) < width or any(field.strip() for field in fields[width:]):
                return line, len(fields)
    except csv.Error:
        pass
    return None


def _ragged_message(path: Path, line: int, found: int, width: int) -> str:
    return (
        f"{str(path)!r} has {found} fields in line {line} where its header has {width}; "
        "repair that line, or quote a text that contains the delimiter."
    )
