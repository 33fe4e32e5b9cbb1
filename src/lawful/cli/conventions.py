"""``lawful conventions``: the same runs under every way to count."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from typing import Annotated

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.splice import Formerly, Omit
from lawful.cli.terminal import working

COUNTING = "Counting"

ParamsColumns = Annotated[
    list[str] | None,
    typer.Option("--params-column", metavar="COLUMN", help="Another count of parameters.", rich_help_panel=COUNTING),
    Formerly("--params"),
]
FlopsColumns = Annotated[
    list[str] | None,
    typer.Option("--flops-column", metavar="COLUMN", help="Another count of training FLOPs.", rich_help_panel=COUNTING),
    Formerly("--flops"),
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
    *,
    budget: o.Budgets = None,
    reading: o.Reading,
    fitting: Annotated[o.Fitting, Omit("law")],
    params: ParamsColumns = None,
    flops: FlopsColumns = None,
    shape: Shape = None,
    output: Annotated[o.Output, Omit("figures")],
) -> None:
    """
    Refit runs under every convention of counting N and C, and show how the answer moves.

    \b
    Examples:
      lawful conventions runs.csv --budget 1e21
      lawful conventions runs.csv --params-column non_embedding --flops-column measured_flops
      lawful conventions runs.csv --shape vocabulary=128256,context=4096 --json
    """
    budgets = values.parse_budgets(budget)
    texts = [text for value in shape or [] for text in value.split(",")]
    parts = {part: _number_or_column(text) for part, text in values.parse_pairs("--shape", texts).items()}
    from lawful.counting.compare import conventions as refit
    from lawful.show.conventions import conventions_document

    with output.answering("conventions") as answer, working("Refitting", quiet=output.json):
        found = refit(
            reading.read(runs),
            method=fitting.method_name,
            budgets=budgets,
            shape=parts,
            params=tuple(params or ()),
            flops=tuple(flops or ()),
            **fitting.how(),
        )
        answer(lambda: conventions_document(found), found.sheets)


def _number_or_column(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
