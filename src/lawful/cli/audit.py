"""``lawful audit``: forecasts of held-out runs by every law and method."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from typing import Annotated, Any

import typer

from lawful.cli import options as o
from lawful.cli.terminal import print_document, show, working, written_line

FORECASTS = "Forecasts"
DRAWS = 200


class HoldoutName(StrEnum):
    """What is held out."""

    budget = "budget"
    params = "params"


Laws = Annotated[
    str, typer.Option("--laws", metavar="NAMES", help="Laws, separated by commas.", rich_help_panel=FORECASTS)
]
Methods = Annotated[
    str,
    typer.Option(
        "--methods",
        metavar="NAMES",
        help="Among vpnls, approach3, prior, approach2, approach1.",
        rich_help_panel=FORECASTS,
    ),
]
Holdout = Annotated[
    HoldoutName, typer.Option("--holdout", help="Hold out budgets or model sizes.", rich_help_panel=FORECASTS)
]
Last = Annotated[int, typer.Option("--last", metavar="K", help="How many of the largest.", rich_help_panel=FORECASTS)]
Rolling = Annotated[
    bool, typer.Option("--rolling", help="Hold out earlier ones in turn too.", rich_help_panel=FORECASTS)
]


def audit(
    runs: o.RunsPath,
    laws: Laws = "chinchilla,skaling",
    methods: Methods = "approach3,vpnls,prior,approach2",
    holdout: Holdout = HoldoutName.budget,
    last: Last = 2,
    rolling: Rolling = False,
    objective: o.ObjectiveOption = None,
    delta: o.Delta = None,
    columns: o.Columns = None,
    select: o.Select = None,
    weights: o.Weights = None,
    check: o.Check = False,
    bootstrap: o.DrawsOption = None,
    level: o.Level = 0.9,
    seed: o.Seed = 0,
    out: o.Out = None,
    json: o.Json = False,
    figures: o.Figures = True,
) -> None:
    """
    Forecast the largest budgets or models from the rest, with every law and method asked for.

    \b
    Examples:
      lawful audit runs.csv
      lawful audit runs.csv --select experiment=llama_3 --check --last 2 --rolling
      lawful audit runs.csv --laws chinchilla,skaling,rosenfeld --methods approach3 --holdout params --last 1 --json
    """
    o.check_sampling(draws=bootstrap, level=level, seed=seed)
    wanted = o.parse_objective(objective, delta)
    reading: dict[str, Any] = {
        "select": o.parse_selection(select),
        "columns": o.parse_columns(columns),
        "weights": weights,
    }
    from lawful.checks.check import check as check_runs
    from lawful.forecasting.audit import audit as audit_runs
    from lawful.show.audit import audit_document, audit_parts, write_audit
    from lawful.show.files.output import staged_output
    from lawful.sources.read import read_runs

    staged: Any = nullcontext() if out is None else staged_output(out)
    with staged as stage, working("Forecasting", quiet=json):
        table = check_runs(runs, **reading).kept if check else read_runs(runs, **reading)
        found = audit_runs(
            table,
            laws=_names(laws),
            methods=_names(methods),
            holdout=holdout.value,
            last=last,
            rolling=rolling,
            objective=wanted,
            draws=DRAWS if bootstrap is None else bootstrap,
            level=level,
            seed=seed,
        )
        if stage is not None:
            write_audit(stage, found, with_figures="png+svg" if figures else "none")
    if json:
        print_document(audit_document(found))
        return
    show([*audit_parts(found), *([] if out is None else ["", written_line(out)])])


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
