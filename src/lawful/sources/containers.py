"""Tables in other clothes: JSON arrays and nested records, Markdown, workbooks, dictionaries in cells."""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from lawful.data.columns import normalise, unique_names
from lawful.data.layout import DITTO, MOST_LINES, quantity_named
from lawful.errors import InputError
from lawful.sources.harness import Loaded, evaluations

NESTED = ("summary", "config", "metrics", "hparams", "params", "results", "history", "data", "args", "final")
"""Parts of a record that hold its values: left out of a column's name where the rest of the name is unique."""

DEEPEST = 6
"""Levels of a record that are opened; a lower one is kept as text."""

RECORDS = ("runs", "data", "results", "records", "rows", "items", "experiments")
"""Keys of a document under which its list of records may stand."""


def flatten(record: Mapping[str, Any], before: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """
    Open the dictionaries inside a record.

    Examples
    --------
    >>> flatten({"name": "r0", "config": {"n_params": 3}, "summary": {"eval/loss": 2.5}})
    {('name',): 'r0', ('config', 'n_params'): 3, ('summary', 'eval/loss'): 2.5}
    """
    found: dict[tuple[str, ...], Any] = {}
    for key, value in record.items():
        path = (*before, str(key))
        # Configurations of Weights & Biases wrap every value as {"value": …}.
        wrapped = isinstance(value, Mapping) and "value" in value and set(value) <= {"value", "desc"}
        inner = value["value"] if wrapped else value
        if isinstance(inner, Mapping) and len(path) < DEEPEST:
            found |= flatten(inner, path)
        else:
            found[path] = json.dumps(inner, default=str) if isinstance(inner, (Mapping, list)) else inner
    return found


def columns_of_records(records: Sequence[Mapping[str, Any]]) -> Loaded:
    """
    Columns of records, nested ones opened, under the shortest names that tell them apart.

    Examples
    --------
    >>> columns_of_records([{"config": {"N": 1}, "summary": {"loss": 3.0}}, {"config": {"N": 2}, "summary": {}}])
    (['N', 'loss'], {'N': [1, 2], 'loss': [3.0, None]})
    """
    flat = [flatten(record) for record in records]
    paths = list(dict.fromkeys(chain.from_iterable(flat)))
    short = [path[1:] if len(path) > 1 and normalise(path[0]) in NESTED else path for path in paths]
    count = Counter(short)
    header = [".".join(s if count[s] == 1 else p).strip() for s, p in zip(short, paths, strict=True)]
    values = ([record.get(path) for record in flat] for path in paths)
    return header, dict(zip(unique_names(header), values, strict=True))


def json_records(document: Any) -> list[Mapping[str, Any]] | None:
    """
    Records of a JSON document: a list of them, one under a usual key, columns, or None.

    Examples
    --------
    >>> json_records({"runs": [{"N": 1}]}), json_records({"N": [1, 2], "loss": [3, 4]}), json_records([1])
    ([{'N': 1}], [{'N': 1, 'loss': 3}, {'N': 2, 'loss': 4}], None)
    """
    if isinstance(document, list):
        return _records_of_list(document)
    if not isinstance(document, Mapping):
        return None
    if isinstance(document.get("log_history"), list):
        document = end_of_training(document)
    if isinstance(document.get("columns"), list) and isinstance(document.get("data"), list):
        return json_records([document["columns"], *document["data"]])  # as pandas writes it in parts
    evaluated = evaluations(document)
    if evaluated is not None:
        return [evaluated]
    for key, value in document.items():
        if normalise(str(key)) in RECORDS and isinstance(value, list):
            return json_records(value)
    return _records_of_columns(document)


def _records_of_list(document: list[Any]) -> list[Mapping[str, Any]] | None:
    """Records, or lists of values under a first one that names them."""
    if len(document) > 1 and all(isinstance(row, list) and len(row) == len(document[0]) for row in document):
        header = [str(title) for title in document[0]]
        body = document[1:] if _named_quantities(header) >= 2 else []
        return [dict(zip(unique_names(header), row, strict=True)) for row in body] or None
    return document if document and all(isinstance(r, Mapping) for r in document) else None


def _records_of_columns(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Records of a document of columns, of records by name, or of one record."""
    lists = [v for v in document.values() if isinstance(v, list)]
    if len(lists) == len(document) > 0 and len({len(v) for v in lists}) == 1:
        return [dict(zip(document, row, strict=True)) for row in zip(*lists, strict=True)]
    maps = [v for v in document.values() if isinstance(v, Mapping)]
    if len(maps) == len(document) > 0 and not all(normalise(str(key)) in NESTED for key in document):
        keys = list(dict.fromkeys(chain.from_iterable(maps)))
        if all(set(v) == set(maps[0]) for v in maps) and _indexed(maps[0]):
            return [{c: document[c][i] for c in document} for i in keys]  # what pandas writes by default
        return [{"name": name, **record} for name, record in document.items()]
    return [document]


def end_of_training(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    What a ``trainer_state.json`` of Hugging Face's Trainer says of the end of its run.

    The last value of every metric of its history, then its own fields: steps, tokens seen and FLOPs, where it
    counted them.

    Examples
    --------
    >>> history = [{"step": 1, "eval_loss": 3.5}, {"step": 2, "eval_loss": 3.1}, {"step": 2, "train_runtime": 9.0}]
    >>> end_of_training({"log_history": history, "global_step": 2, "total_flos": 6e17})
    {'step': 2, 'eval_loss': 3.1, 'train_runtime': 9.0, 'global_step': 2, 'total_flos': 6e+17}
    """
    last: dict[str, Any] = {}
    for entry in state["log_history"]:
        if isinstance(entry, Mapping):
            last |= entry
    # The Trainer calls its loss on training data plainly loss.
    if "loss" in last:
        last["train_loss"] = last.pop("loss")
    own = {key: value for key, value in state.items() if isinstance(value, (int, float, str))}
    return {**last, **{key: value for key, value in own.items() if value != 0}}


def _indexed(column: Mapping[str, Any]) -> bool:
    return all(re.fullmatch(r"\d+", str(key)) for key in column)


_RULE = re.compile(r"^\|?\s*:?-{1,}:?\s*(?:[|+]\s*:?-{1,}:?\s*)*\|?$")


def markdown_tables(text: str) -> list[list[list[str]]]:
    r"""
    Header and rows of every Markdown table of a text; tables of one header, as one per budget, are one.

    Examples
    --------
    >>> markdown_tables("| N | loss |\n|---|---|\n| 1e8 | 3.1 |\n\nN | loss\n--|--\n2e8 | 3.0")
    [[['N', 'loss'], ['1e8', '3.1'], ['2e8', '3.0']]]
    """
    lines = text.splitlines()
    found: dict[tuple[str, ...], list[list[str]]] = {}
    for at in range(len(lines) - 1):
        rule = lines[at + 1].strip()
        if "|" in lines[at] and "-" in rule and _RULE.match(rule):
            header = _cells(lines[at])
            if len(_cells(rule.replace("+", "|"))) != len(header):
                continue
            rows = []
            for line in lines[at + 2 :]:
                if "|" not in line:
                    break
                rows.append(_cells(line))
            found.setdefault(tuple(header), []).extend(rows)
    return [[list(header), *rows] for header, rows in found.items()]


def separated(text: str) -> str:
    r"""
    Text of a table in columns of blanks with commas, and a header under a line of titles alone.

    Examples
    --------
    >>> separated("N      D    loss\n1e8   2e9   3.1\n"), separated("model,data,\nparams,tokens,loss\n1e8,2e9,3.1\n")
    ('N,D,loss\n1e8,2e9,3.1\n', 'params,tokens,loss\n1e8,2e9,3.1\n')
    """
    first = text.lstrip("\r\n").partition("\n")[0]
    if re.search(r'[,\t;|"{}]', first) or len(first.split()) < 2:
        return _one_header(text)  # most tables are long and need no more
    rows = [line.split() for line in text.splitlines() if line.strip()]
    if len(rows) < 2 or len({len(row) for row in rows}) > 1 or any("," in cell for row in rows for cell in row):
        return text
    return "".join(",".join(row) + "\n" for row in rows)


def _one_header(text: str) -> str:
    """A header without the line of titles above it."""
    end = text.find("\n")
    after = text.find("\n", end + 1)
    if end < 0 or after < 0:
        return text
    top, second = text[:end], text[end + 1 : after]
    mark = max(",\t;|", key=top.count)
    upper, lower = ([cell.strip() for cell in line.split(mark)] for line in (top, second))
    if '"' in top + second or len(upper) != len(lower) or len(upper) < 2:
        return text
    if max(1, _named_quantities(upper)) < _named_quantities(lower):
        return text[end + 1 :]
    return text


def the_runs(path: Path, tables: Mapping[str, Sequence[Sequence[Any]]], kind: str) -> str:
    """
    Name the one of several tables that holds runs: the only one with names of two quantities, or the first of all.

    Parameters
    ----------
    path : Path
        For the message.
    tables : mapping of str to sequence of rows
        Name to a header and rows.
    kind : str
        What they are, in the plural: sheets or tables.

    Raises
    ------
    InputError
        If several do.

    Examples
    --------
    >>> the_runs(Path("x"), {"notes": [["a"], [1]], "runs": [["N", "D", "loss"], [1, 2, 3]]}, "sheets")
    'runs'
    """
    likely = [
        name
        for name, rows in tables.items()
        if max(_named_quantities(rows[0]), _named_quantities([row[0] for row in rows[:MOST_LINES] if row])) >= 2
    ]
    if len(likely) > 1:
        msg = (
            f"{str(path)!r} has {len(likely)} {kind} of runs with different headers ({', '.join(map(repr, likely))}): "
            f"give their columns one set of names, or each a file of its own."
        )
        raise InputError(msg)
    return likely[0] if likely else next(iter(tables))


def _named_quantities(header: Sequence[Any]) -> int:
    """How many of params, tokens, loss and budget a header names."""
    return len({quantity_named(str(title)) for title in header if title is not None} - {""})


def _cells(line: str) -> list[str]:
    body = line.strip().removeprefix("|").removesuffix("|")
    cells = [
        _TAG.sub("", _RAISED.sub(r"\g<base>^\g<power>", cell)).strip().replace("\\|", "|")
        for cell in re.split(r"(?<!\\)\|", body)
    ]
    return [re.sub(r"^[*`_]+|[*`_]+$", "", cell) for cell in cells]


_RAISED = re.compile(r"(?P<base>(?<![\d.])10)\s*<sup>\s*(?P<power>[-+]?\d{1,2})\s*</sup>")
"""A power of ten, whose raised digits are no mark of a remark."""
_TAG = re.compile(r"<sup>[^<]*</sup>|</?[a-zA-Z]+[^<>]*>")
"""Marks of HTML in a cell, and the raised marks of remarks."""


def workbook(path: Path, data: bytes) -> Loaded:
    """
    Read the first sheet of a workbook that has rows.

    Raises
    ------
    InputError
        If openpyxl is missing, or the file is no workbook.
    """
    try:
        from openpyxl import load_workbook
    except ImportError:
        msg = f"{str(path)!r} is a workbook, which needs openpyxl; pip install 'lawful[excel]', or save it as CSV."
        raise InputError(msg) from None
    try:
        merged = _has_merged_cells(data)
        book = load_workbook(io.BytesIO(data), read_only=not merged, data_only=True)
        sheets = [[list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets]
        for sheet, rows in zip(book.worksheets, sheets if merged else [], strict=False):
            _mark_merged(sheet.merged_cells.ranges, rows)
    except Exception as error:  # noqa: BLE001 - a damaged workbook fails in the reader's own many ways
        msg = f"{str(path)!r} is a damaged workbook ({str(error).splitlines()[0] if str(error) else 'unreadable'})."
        raise InputError(msg) from None
    filled = [_from_header([row for row in rows if any(v is not None for v in row)]) for rows in sheets]
    tables: dict[tuple[str, ...], list[list[Any]]] = {}
    names: dict[tuple[str, ...], str] = {}
    for title, rows in zip(book.sheetnames, filled, strict=True):
        if len(rows) > 1:
            header_of = tuple("" if v is None else str(v).strip() for v in rows[0])
            names.setdefault(header_of, title)
            # A sheet per budget is one table in parts.
            tables.setdefault(header_of, [rows[0]]).extend(rows[1:])
    if not tables:
        msg = f"{str(path)!r} has no sheet with a header and rows."
        raise InputError(msg)
    chosen = the_runs(path, {names[h]: rows for h, rows in tables.items()}, "sheets")
    table = next(rows for h, rows in tables.items() if names[h] == chosen)
    header = ["" if v is None else str(v).strip() for v in table[0]]
    columns = zip(*(row + [None] * (len(header) - len(row)) for row in table[1:]), strict=False)
    return header, dict(zip(unique_names(header), map(list, columns), strict=False))


def _has_merged_cells(data: bytes) -> bool:
    """Whether a sheet of a workbook merges cells, which its fast reader says nothing of."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        sheets = [name for name in packed.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml")]
        return any(b"<mergeCell " in packed.read(name) for name in sheets)


def _mark_merged(ranges: Iterable[Any], rows: list[list[Any]]) -> None:
    """Write the mark of the value above into the cells below the first of a merged range of one column."""
    for one in ranges:
        if one.min_col == one.max_col:
            for at in range(one.min_row, one.max_row):
                rows[at][one.min_col - 1] = DITTO


def _from_header(rows: list[list[Any]]) -> list[list[Any]]:
    """Rows without the titles and remarks above the header: the first that names two quantities, or else all."""
    for at, row in enumerate(rows[:20]):
        if _named_quantities(row) >= 2:
            return rows[at:]
    return rows


def opened_cells(header: Sequence[str], columns: Mapping[str, Any]) -> Loaded | None:
    """
    Open columns whose cells are dictionaries written as text, as dumps of the Weights & Biases API have them.

    Examples
    --------
    >>> opened_cells(["name", "summary"], {"name": ["r0"], "summary": ["{'eval/loss': 2.5}"]})
    (['name', 'eval/loss'], {'name': ['r0'], 'eval/loss': [2.5]})
    """
    parsed = {key: _dictionaries(values) for key, values in columns.items()}
    if not any(parsed.values()):
        return None
    plain = {k: list(v) for k, v in columns.items()}
    keys = list(columns)
    records = []
    for i in range(len(plain[keys[0]])):
        record: dict[str, Any] = {}
        for key, title in zip(keys, header, strict=True):
            cells = parsed[key]
            if cells:
                record[title or key] = cells[i]
            elif title:  # the unnamed index that pandas writes says nothing
                record[title] = plain[key][i]
        records.append(record)
    return columns_of_records(records)


def _dictionaries(values: Iterable[Any]) -> list[dict[str, Any]] | None:
    """Dictionaries of a column of text, JSON or Python's own way to write them; None where a cell is none."""
    found = []
    for value in values:
        if not isinstance(value, str) or not value.lstrip().startswith("{"):
            return None
        record = None
        for read in (json.loads, ast.literal_eval, _with_nan):
            try:
                record = read(value)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
            break
        if not isinstance(record, dict):
            return None
        found.append(record)
    return found or None


def _with_nan(text: str) -> Any:
    """Python writes a missing number as nan, which is no literal of its own."""
    return ast.literal_eval(re.sub(r"(?<=[:,\[]) *-?(?:nan|inf)(?= *[,}\]])", " None", text))


def refuse_chart(path: Path, header: Sequence[str]) -> None:
    """
    Refuse a chart's export of Weights & Biases, by name: it has losses over steps, and no sizes.

    Raises
    ------
    InputError
        If most columns are ``RUN - METRIC`` with ``__MIN`` and ``__MAX`` beside them.
    """
    ends = [t for t in header if t.endswith(("__MIN", "__MAX"))]
    if len(ends) >= 2 and 2 * len(ends) >= len(header) - 2:
        runs = sum(" - " in t for t in header if not t.endswith(("__MIN", "__MAX")))
        msg = (
            f"{str(path)!r} is the export of a chart of Weights & Biases ({runs} curves over {header[0]!r}, no sizes "
            f"of models): export the table of runs instead (the project's Table, then Export, CSV), with parameters, "
            f"tokens and the loss."
        )
        raise InputError(msg)
