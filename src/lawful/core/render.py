"""One render of a sheet per output: text, a terminal, HTML, Markdown, columns of values, a frame."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.core.notes import Note
from lawful.core.plain import visible
from lawful.core.sheet import Sheet

if TYPE_CHECKING:
    from rich.console import RenderableType

TextGrid = tuple[list[str], list[list[str]], list[bool]]
"""Heads, rows of texts, and which columns hold numbers."""


def grid(sheet: Sheet) -> TextGrid:
    """
    Return the table of a sheet as texts; a column with intervals is followed by one of them.

    Every output that shows texts is made from this, so that all have the same digits.

    Examples
    --------
    >>> from lawful.core.sheet import Cell, row
    >>> grid(Sheet("", columns=("", "value"), rows=(row("E", Cell(1.69, "nats", 1.6, 1.8)),), interval="90% interval"))
    (['', 'value', '90% interval'], [['E', '1.69', '1.60 to 1.80']], [False, True, True])
    """
    columns: list[tuple[str, list[str], bool]] = []
    for i, head in enumerate(sheet.columns):
        cells = [row[i] for row in sheet.rows]
        number = i > 0 and any(cell.kind != "text" for cell in cells)
        if sheet.interval and any(cell.has_interval for cell in cells):
            columns.append((head, [cell.text for cell in cells], number))
            columns.append((sheet.interval, [cell.span for cell in cells], True))
        else:
            alone = sheet.interval is None
            columns.append((head, [cell.text if alone else str(cell) for cell in cells], number))
    return (
        [c[0] for c in columns],
        [[c[1][j] for c in columns] for j in range(len(sheet.rows))],
        [c[2] for c in columns],
    )


def text(*sheets: Sheet) -> str:
    """
    Return sheets as plain text: what is said, the table in aligned columns, the notes.

    Examples
    --------
    >>> text(Sheet("Nothing to show."))
    'Nothing to show.'
    """
    return visible("\n\n".join(part for sheet in sheets for part in _text_parts(sheet)))


def _text_parts(sheet: Sheet) -> Iterator[str]:
    yield "\n".join([sheet.title, *sheet.sentences])
    if sheet.rows:
        yield "\n".join(_aligned(sheet))
    if sheet.closing:
        yield "\n".join(sheet.closing)
    if sheet.notes:
        yield "\n".join(["Notes:", *(f"- {note.code}: {note.message}" for note in sheet.notes)])


def _aligned(sheet: Sheet) -> Iterator[str]:
    heads, rows, numbers = grid(sheet)
    lines = [heads, *rows] if any(heads) else rows
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    for line in lines:
        cells = [f"{c:>{w}}" if number else f"{c:<{w}}" for c, w, number in zip(line, widths, numbers, strict=True)]
        yield GAP.join(cells).rstrip()


def terminal(*sheets: Sheet) -> list[RenderableType]:
    """
    Return sheets as parts that rich prints: readable at 80 columns and in a pipe, no number cut short.

    Numbers never wrap; texts fold. Where a line has no room for a row's numbers, each row is a block of its own, a
    line per column.
    """
    from rich.text import Text

    parts: list[RenderableType] = []
    for i, sheet in enumerate(sheets):
        parts += [""] if i else []
        parts += [Text(visible(sheet.title), style="bold"), *(Text(visible(line)) for line in sheet.sentences)]
        parts += [_Folded(sheet)] if sheet.rows else []
        parts += [Text(visible(line)) for line in sheet.closing]
        parts += note_lines(sheet.notes)
    return parts


GAP = "   "
"""Between columns."""
LEAST_TEXT = 12
"""Characters that a column of texts may be folded to."""


class _Folded:
    """The rows of a sheet, laid out for the width that they are printed at."""

    def __init__(self, sheet: Sheet) -> None:
        heads, rows, self.numbers = grid(sheet)
        self.heads, self.rows = list(map(visible, heads)), [list(map(visible, row)) for row in rows]

    def __rich_console__(self, console: Any, options: Any) -> Iterator[RenderableType]:
        least = self._least_widths()
        room = options.max_width - len(GAP) * (len(least) - 1)
        yield from [self._table(self._widths(least, room))] if sum(least) <= room or len(least) == 1 else self._blocks()

    def _least_widths(self) -> list[int]:
        """Width of each column at least: numbers whole, texts and heads folded between words."""
        widths = []
        for i, (head, number) in enumerate(zip(self.heads, self.numbers, strict=True)):
            longest = max(len(row[i]) for row in self.rows)
            words = [len(word) for text in (head, *(row[i] for row in self.rows)) for word in text.split()]
            own = longest if number else min(longest, max(LEAST_TEXT, *words, 0))
            widths.append(max(own, *(len(word) for word in head.split()), 0))
        return widths

    def _widths(self, least: Sequence[int], room: int) -> list[int]:
        """Width of each column within the room: as wide as it likes, then folded, the one that gives most first."""
        widths = [max(map(len, (head, *(row[i] for row in self.rows)))) for i, head in enumerate(self.heads)]
        while (excess := sum(widths) - room) > 0:
            spare = [width - low for width, low in zip(widths, least, strict=True)]
            if max(spare) <= 0:
                break
            widths[spare.index(max(spare))] -= min(excess, max(1, max(spare) // 2))
        return widths

    def _table(self, widths: Sequence[int]) -> RenderableType:
        from rich.box import SIMPLE_HEAD
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        # Gaps are ours, beside the character of the box: releases of rich count its own at the edges or not, and
        # one that counts them folds numbers to make room.
        def cell(i: int, text: str, style: str = "") -> RenderableType:
            return Padding(Text(text, style=style), (0, 0, 0, before if i else 0))

        before = len(GAP) - 1
        table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0, header_style="bold")
        for i, (head, number) in enumerate(zip(self.heads, self.numbers, strict=True)):
            # A column is never narrower than its numbers, so that none of them is folded; its head may be.
            side: Any = "right" if number else "left"
            table.add_column(cell(i, head), justify=side, overflow="fold", width=widths[i] + (before if i else 0))
        for row in self.rows:
            table.add_row(*(cell(i, text, _style(text)) for i, text in enumerate(row)))
        return table

    def _blocks(self) -> Iterator[RenderableType]:
        from rich.text import Text

        indent = max(map(len, self.heads[1:]))
        for row in self.rows:
            yield Text(f"{self.heads[0]} {row[0]}".strip(), style="bold")
            for head, cell in ((h, c) for h, c in zip(self.heads[1:], row[1:], strict=True) if c):
                yield Text(f"  {head:<{indent}}  {cell}", style=_style(cell))


def _style(cell: str) -> str:
    return "bold red" if cell.endswith(" !") else ""


def note_lines(notes: Iterable[Note]) -> list[RenderableType]:
    """Return notes for a terminal, one line each."""
    from rich.text import Text

    return [Text.assemble(("note ", "yellow"), (note.code, "yellow"), f": {visible(note.message)}") for note in notes]


def html(*sheets: Sheet) -> str:
    """
    Return sheets as an HTML fragment for notebooks; every text is escaped, whoever wrote it.

    Examples
    --------
    >>> from lawful.core.sheet import row
    >>> page = html(Sheet("All <fine>.", columns=("", "value"), rows=(row("alpha", 0.31),)))
    >>> "<strong>All &lt;fine&gt;.</strong>" in page, "<script" in page
    (True, False)
    """
    parts = [part for sheet in sheets for part in _html_parts(sheet)]
    return "\n".join(["<div class='lawful-sheet'>", *parts, "</div>"])


def _html_parts(sheet: Sheet) -> Iterator[str]:
    first, *rest = map(escape, (sheet.title, *sheet.sentences))
    said = "<br>".join([f"<strong>{first}</strong>", *rest])
    if not sheet.rows:
        yield f"<p>{said}</p>"
    else:
        heads, rows, numbers = grid(sheet)
        head = "".join(f"<th scope='col'>{escape(h)}</th>" if h else "<td></td>" for h in heads)
        yield f"<table>\n<caption style='text-align: left'>{said}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>"
        for row in rows:
            cells = "".join(
                f"<td style='text-align: {'right' if number else 'left'}'>{escape(cell)}</td>"
                for cell, number in zip(row[1:], numbers[1:], strict=True)
            )
            yield f"<tr><th scope='row' style='text-align: left'>{escape(row[0])}</th>{cells}</tr>"
        yield "</tbody>\n</table>"
    if sheet.closing:
        yield f"<p>{'<br>'.join(map(escape, sheet.closing))}</p>"
    if sheet.notes:
        said = "\n".join(f"<li><code>{escape(n.code)}</code>: {escape(n.message)}</li>" for n in sheet.notes)
        yield f"<ul>\n{said}\n</ul>"


def page_rows(sheet: Sheet) -> list[dict[str, tuple[str, str]]]:
    """
    Return the rows of a sheet for a page: by head the text of a cell, and its small print, an interval for most.

    Examples
    --------
    >>> from lawful.core.sheet import Cell, row
    >>> page_rows(Sheet("", columns=("Name", "Value"), rows=(row("E", Cell(1.69, "nats", 1.6, 1.8)),)))
    [{'Name': ('E', ''), 'Value': ('1.69', '1.60 to 1.80')}]
    """
    return [
        {head: (cell.text, cell.small or cell.span) for head, cell in zip(sheet.columns, row, strict=True)}
        for row in sheet.rows
    ]


def markdown(*sheets: Sheet) -> str:
    """
    Return sheets as Markdown, tables with bars.

    Examples
    --------
    >>> from lawful.core.sheet import row
    >>> print(markdown(Sheet("Fine.", columns=("", "value"), rows=(row("alpha", 0.31),))))
    **Fine.**
    <BLANKLINE>
    |  | value |
    | --- | ---: |
    | alpha | 0.3100 |
    """
    parts = []
    for sheet in sheets:
        parts.append("  \n".join([f"**{sheet.title}**", *sheet.sentences]))
        if sheet.rows:
            heads, rows, numbers = grid(sheet)
            rule = ["---:" if number else "---" for number in numbers]
            parts.append("\n".join(_bars(line) for line in (heads, rule, *rows)))
        parts += ["  \n".join(sheet.closing)] if sheet.closing else []
        parts += ["\n".join(f"- `{note.code}`: {note.message}" for note in sheet.notes)] if sheet.notes else []
    return "\n\n".join(parts)


def _bars(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def columns(sheet: Sheet) -> dict[str, list[Any]]:
    """
    Return the table of a sheet as columns of unrounded values, for CSV and frames.

    Examples
    --------
    >>> from lawful.core.sheet import Cell, row
    >>> columns(Sheet("", columns=("", "value"), rows=(row("E", Cell(1.69, "nats", 1.6, 1.8)),)))
    {'name': ['E'], 'value': [1.69], 'value_low': [1.6], 'value_high': [1.8]}
    """
    found: dict[str, list[Any]] = {}
    for i, head in enumerate(sheet.columns):
        cells = [row[i] for row in sheet.rows]
        name = head or "name"
        found[name] = [cell.value for cell in cells]
        if any(cell.low is not None or cell.high is not None for cell in cells):
            found[f"{name}_low"] = [np.nan if cell.low is None else cell.low for cell in cells]
            found[f"{name}_high"] = [np.nan if cell.high is None else cell.high for cell in cells]
        if any(cell.held for cell in cells):
            found[f"{name}_held"] = [cell.held for cell in cells]
    return found


def frame(*sheets: Sheet) -> Any:
    """Return the tables of sheets as one pandas DataFrame, unrounded; with several, a column ``table`` names them."""
    import pandas as pd

    tables = [(sheet.title, pd.DataFrame(columns(sheet))) for sheet in sheets if sheet.rows]
    if len(tables) == 1:
        return tables[0][1]
    for title, table in tables:
        table.insert(0, "table", title)
    # pandas 2 warns that dtypes of columns that hold nothing will change: no value does.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The behavior of DataFrame concatenation", FutureWarning)
        return pd.concat([table for _, table in tables], ignore_index=True) if tables else pd.DataFrame()
