"""``lawful rerun``: a saved fit made again, and held against what was saved."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from typing import Annotated

import typer

from lawful.cli import options as o
from lawful.cli.splice import Omit

Moved = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUNS]", help="Where the table is now; the recorded source by default."),
]


def rerun(
    fit: o.FitPath,
    runs: Moved = None,
    *,
    output: Annotated[o.Output, Omit("figures")],
) -> None:
    """
    Fit again from the recorded source, and say whether the answer is the same to the digit.

    The exit code is 0 where it is, and 1 where it is not.

    \b
    Examples:
      lawful rerun result/fit.json
      lawful rerun result/fit.json moved/runs.csv --json
    """
    from lawful.show.files.rerun import check_same, rerun_document, rerun_sheet
    from lawful.show.files.rerun import rerun as run_again

    with output.answering("rerun") as answer:
        found = run_again(fit, runs or None)
        answer(lambda: rerun_document(found), lambda: [rerun_sheet(found)])
    check_same(found)
