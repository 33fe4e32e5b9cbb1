"""``lawful bias``: what Approach 2 must get wrong on a sweep, and Approach 2 without it."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from typing import Annotated, Any

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.splice import Omit
from lawful.cli.terminal import working
from lawful.core.numbers import format_short
from lawful.errors import UnsupportedError

SomeRuns = Annotated[str | None, typer.Argument(metavar="RUNS", help="Table of runs: CSV, TSV, JSONL or Parquet.")]
Published = Annotated[bool, typer.Option("--published", help="Instead of RUNS: what published exponents imply.")]
Width = Annotated[float, typer.Option("--width", metavar="K", help="With --published: sweeps of ±K×.")]
Total = Annotated[float, typer.Option("--sum", metavar="X", help="With --published: alpha + beta.")]


def bias(
    runs: SomeRuns = None,
    *,
    budget: o.Budgets = None,
    reading: o.Reading,
    fitting: Annotated[o.Fitting, Omit("law")],
    published: Published = False,
    width: Width = 8.0,
    total: Total = 0.62,
    output: Annotated[o.Output, Omit("figures")],
) -> None:
    """
    Forecast what Approach 2 gets wrong on these sizes, split into causes, and take it out.

    \b
    Examples:
      lawful bias runs.csv --budget 1e24
      lawful bias runs.csv --select experiment=llama_3 --budget 3.8e25 --json
      lawful bias --published
    """
    if published == (runs is not None):
        msg = "Give a table of runs, or --published for the bias of published exponents, and not both."
        raise UnsupportedError(msg)
    if runs is None:
        _published(width, total, output)
        return
    targets = values.parse_budgets(budget)
    from lawful.errors import IdentificationError
    from lawful.estimate.fit import fit as fit_runs
    from lawful.estimate.isoflop import fit_isoflop
    from lawful.show.bias import bias_document, bias_sheets, forecast_of

    with output.answering("bias") as answer, working("Fitting", quiet=output.json):
        table = reading.read(runs)
        fit = fit_runs(table, **o.of_a_surface(fitting, "to take for the truth"))
        found = forecast_of(fit)
        try:
            whole = fit_isoflop(table, window="none")
            isoflop = whole if whole.used is None else None
        except IdentificationError:
            isoflop = None
        beside: dict[str, Any] = {"isoflop": isoflop, "fit": fit, "targets": targets}
        answer(lambda: bias_document(found, **beside), lambda: bias_sheets(found, **beside))


def _published(width: float, total: float, output: o.Output) -> None:
    if not (width > 1 and total > 0):
        msg = f"--width must be above 1 and --sum above 0, got {format_short(width)} and {format_short(total)}."
        raise UnsupportedError(msg)
    from lawful.approach2.pairs import implied_bias
    from lawful.show.bias import pairs_document, pairs_sheet

    rows = implied_bias(width=width, total=total)
    with output.answering("bias") as answer:
        answer(
            lambda: pairs_document(rows, width=width, total=total),
            lambda: [pairs_sheet(rows, width=width, total=total)],
        )
