"""``lawful bias``: what Approach 2 must get wrong on a sweep, and Approach 2 without it."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from lawful.cli import options as o
from lawful.cli.terminal import print_document, show, working
from lawful.errors import UnsupportedError


class SurfaceMethod(StrEnum):
    """Methods that fit a surface."""

    vpnls = "vpnls"
    approach3 = "approach3"


SomeRuns = Annotated[str | None, typer.Argument(metavar="RUNS", help="Table of runs: CSV, TSV, JSONL or Parquet.")]
Targets = Annotated[
    list[str] | None,
    typer.Option("--budget", metavar="C", help="Budget in FLOPs to carry the error to; repeat or separate by commas."),
]
Truth = Annotated[
    SurfaceMethod, typer.Option("--method", help="Surface taken for the truth.", rich_help_panel=o.FITTING)
]
Published = Annotated[bool, typer.Option("--published", help="Instead of RUNS: what published exponents imply.")]
Width = Annotated[float, typer.Option("--width", metavar="K", help="With --published: sweeps of ±K×.")]
Total = Annotated[float, typer.Option("--sum", metavar="X", help="With --published: alpha + beta.")]


def bias(
    runs: SomeRuns = None,
    budget: Targets = None,
    method: Truth = SurfaceMethod.vpnls,
    columns: o.Columns = None,
    select: o.Select = None,
    weights: o.Weights = None,
    published: Published = False,
    width: Width = 8.0,
    total: Total = 0.62,
    json: o.Json = False,
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
        _published(width, total, as_json=json)
        return
    targets = o.parse_budgets(budget)
    from lawful.errors import IdentificationError
    from lawful.estimate.fit import fit as fit_runs
    from lawful.estimate.isoflop import fit_isoflop
    from lawful.show.bias import bias_document, bias_parts, forecast_of
    from lawful.sources.read import read_runs

    with working("Fitting", quiet=json):
        table = read_runs(runs, select=o.parse_selection(select), columns=o.parse_columns(columns), weights=weights)
        fit = fit_runs(table, method=method.value)
        found = forecast_of(fit)
        try:
            isoflop = fit_isoflop(table)
        except IdentificationError:
            isoflop = None
    if json:
        print_document(bias_document(found, isoflop=isoflop, fit=fit, targets=targets))
        return
    show(bias_parts(found, isoflop=isoflop, fit=fit, targets=targets))


def _published(width: float, total: float, *, as_json: bool) -> None:
    if not (width > 1 and total > 0):
        msg = f"--width must be above 1 and --sum above 0, got {width:g} and {total:g}."
        raise UnsupportedError(msg)
    from lawful.approach2.pairs import implied_bias
    from lawful.show.bias import pairs_document, pairs_parts

    rows = implied_bias(width=width, total=total)
    if as_json:
        print_document(pairs_document(rows, width=width, total=total))
        return
    show(pairs_parts(rows, width=width, total=total))
