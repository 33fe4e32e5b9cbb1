"""``lawful report``: a page about a saved fit, or about what changed between several."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.terminal import print_document, show, working

Fits = Annotated[list[str], typer.Argument(metavar="FIT.json...", help="Files written by lawful fit --out.")]
Page = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="The page to write; report.html by default, none with --json. Its tables go into a folder beside it.",
        rich_help_panel=o.OUTPUT,
    ),
]
Title = Annotated[str | None, typer.Option("--title", metavar="TEXT", help="Heading of the page.")]


def report(
    fits: Fits,
    *,
    budget: o.Budgets = None,
    title: Title = None,
    out: Page = None,
    json: o.Json = False,
) -> None:
    """
    Write a self-contained page about a saved fit; given several fits, about what changed between them.

    \b
    Examples:
      lawful report result/fit.json
      lawful report result/fit.json --budget 1e24 --title "Our sweep" --out sweep.html
      lawful report before/fit.json after/fit.json --out changed.html
      lawful report before/fit.json after/fit.json --json
    """
    budgets = values.parse_budgets(budget)
    from lawful.show.report.reporting import report_document, write_saved

    if json and out is None:
        print_document(report_document(fits, budgets=budgets))
        return
    with working("Writing the report", quiet=json):
        page, folder, document = write_saved(fits, out or Path("report.html"), title=title, budgets=budgets)
    if json:
        print_document(document)
        return
    from rich.text import Text

    tables = len(list(folder.glob("*.csv")))
    show([Text(document["decision"][0]), Text(f"Wrote {page} and its {tables} tables in {folder}")])
