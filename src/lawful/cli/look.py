"""``lawful look``: what a table is, what it supports, and what to run next."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from lawful.cli import options as o
from lawful.cli.splice import Omit
from lawful.cli.terminal import working
from lawful.errors import InputError

if TYPE_CHECKING:
    from lawful.analysis.look import Look


def look(runs: o.RunsPath, *, reading: Annotated[o.Reading, Omit("check")], output: o.Output) -> None:
    """
    Say what a table is: its columns and units, budgets, cells, what can be done with it, and the command to run next.

    \b
    Examples:
      lawful look runs.csv
      lawful look runs.csv --columns tokens='steps*batch_size*seq_len'
      lawful look runs.csv --select experiment=llama_3 --out looked
    """
    from lawful.analysis.look import look as look_at
    from lawful.show.look import look_document, write_look

    with output.staged() as stage, working("Looking", quiet=output.json):
        found = look_at(runs, **reading.words())
        if stage is not None:
            write_look(stage, found, with_figures=output.with_figures)
    output.give(lambda: look_document(found), lambda: _parts(found))
    if found.refused:
        raise InputError(found.refused)


def _parts(found: Look) -> list[Any]:
    """Return what was found; the command stands in one line, to be copied."""
    *first, last = found.sheets()
    return [*first, replace(last, closing=()), "", f"Next: {found.next}"]
