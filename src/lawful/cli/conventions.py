"""``lawful conventions``: the same runs under every way to count."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from typing import Annotated

import typer

from lawful.cli import options as o
from lawful.cli.terminal import print_document, show, working

COUNTING = "Counting"

ParamsColumns = Annotated[
    list[str] | None,
    typer.Option("--params", metavar="COLUMN", help="Another count of parameters.", rich_help_panel=COUNTING),
]
FlopsColumns = Annotated[
    list[str] | None,
    typer.Option("--flops", metavar="COLUMN", help="Another count of training FLOPs.", rich_help_panel=COUNTING),
]
Shape = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        metavar="PART=VALUE",
        help="Shape of the models, a number or a column: vocabulary=32000,context=2048,width=d_model.",
        rich_help_panel=COUNTING,
    ),
]


def conventions(
    runs: o.RunsPath,
    budget: o.Budgets = None,
    method: o.Method = o.MethodName.vpnls,
    columns: o.Columns = None,
    select: o.Select = None,
    weights: o.Weights = None,
    params: ParamsColumns = None,
    flops: FlopsColumns = None,
    shape: Shape = None,
    json: o.Json = False,
) -> None:
    """
    Refit runs under every convention of counting N and C, and show how the answer moves.

    \b
    Examples:
      lawful conventions runs.csv --budget 1e21
      lawful conventions runs.csv --params non_embedding --flops measured_flops
      lawful conventions runs.csv --shape vocabulary=128256,context=4096 --json
    """
    budgets = o.parse_budgets(budget)
    texts = [text for value in shape or [] for text in value.split(",")]
    parts = {part: _number_or_column(text) for part, text in o.parse_pairs("--shape", texts).items()}
    from lawful.counting.compare import conventions as refit
    from lawful.show.conventions import conventions_document, conventions_parts
    from lawful.sources.read import read_runs

    with working("Refitting", quiet=json):
        table = read_runs(runs, select=o.parse_selection(select), columns=o.parse_columns(columns), weights=weights)
        found = refit(
            table,
            method=method.value,
            budgets=budgets,
            shape=parts,
            params=tuple(params or ()),
            flops=tuple(flops or ()),
        )
    if json:
        print_document(conventions_document(found))
        return
    show(conventions_parts(found))


def _number_or_column(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
