"""What a command prints: documents and tables on stdout, progress and trouble on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lawful.core.plain import visible

if TYPE_CHECKING:  # rich is loaded when something is shown
    from rich.console import Console, RenderableType
    from rich.text import Text

    from lawful.core.sheet import Sheet

Tell = Callable[[str], None]

WRITING = "drawing and writing"


PIPE_WIDTH = 100_000
"""Characters of a line that nobody looks at: a sentence stays one line, for grep and for files."""


def console() -> Console:
    """Return the console of stdout: no highlighting, so that piped text is plain, and no folding in a pipe."""
    from rich.console import Console

    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(highlight=False, emoji=False, width=PIPE_WIDTH if piped else None)


def show(parts: Iterable[Sheet | RenderableType]) -> None:
    """Print sheets, an empty line before each but the first, and what else rich can print; texts are not wrapped."""
    from rich.text import Text

    from lawful.core.render import terminal
    from lawful.core.sheet import Sheet

    out = console()
    for i, part in enumerate(parts):
        if isinstance(part, (str, Text)):
            out.print(said(part), soft_wrap=isinstance(part, str))
            continue
        if not isinstance(part, Sheet):
            out.print(part)
            continue
        for line in (*([""] if i else []), *terminal(part)):
            out.print(line)


def print_sheets(parts: Iterable[Sheet | RenderableType], form: str) -> None:
    """Print sheets as Markdown, or their tables as CSV with unrounded numbers and what else is said on stderr."""
    from lawful.core.render import frame, markdown
    from lawful.core.sheet import Sheet

    sheets = [part if isinstance(part, Sheet) else Sheet(str(part)) for part in parts if str(part)]
    if form == "markdown":
        sys.stdout.write(visible(markdown(*sheets)) + "\n")
        return
    sys.stdout.write(visible(frame(*sheets).to_csv(index=False, lineterminator="\n")))
    for sheet in sheets:
        for note in sheet.notes:
            print_error(f"note {note.code}: {note.message}")


def said(line: str | Text) -> Text:
    """Return a line for the terminal; what came from a file or a name in it cannot steer the terminal."""
    from rich.text import Text

    text = Text(line) if isinstance(line, str) else line.copy()
    text.plain = visible(text.plain)
    return text


def print_document(document: Mapping[str, Any]) -> None:
    """Print one JSON document in plain ASCII, which every terminal and pipe can carry."""
    import json

    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def print_error(sentence: str) -> None:
    """Print one sentence on stderr."""
    sys.stderr.write(visible(" ".join(sentence.split())) + "\n")


def written_line(folder: Path) -> RenderableType:
    """Say what stands in an output directory, sub-directories by name."""
    from rich.text import Text

    names = sorted(p.name + "/" * p.is_dir() for p in folder.iterdir())
    return Text(f"Wrote {folder}: {', '.join(names)}")


@contextmanager
def working(what: str, *, quiet: bool) -> Iterator[Tell | None]:
    """Show a moving bar with the current stage on stderr while the block runs; nothing where no one watches."""
    if quiet or not (sys.stdout.isatty() and sys.stderr.isatty()):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    # Without markup: a description may hold the name of a column or of a group.
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(visible(what), total=None)

        def tell(stage: str) -> None:
            bar.update(task, description=visible(f"{what}: {stage}"))

        yield tell


def say(tell: Tell | None, stage: str) -> None:
    """Name the current stage where someone watches."""
    if tell is not None:
        tell(stage)
