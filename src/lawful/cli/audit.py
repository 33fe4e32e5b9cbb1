"""``lawful audit``: forecasts of held-out runs by every law and method."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.splice import Omit, Preset
from lawful.cli.terminal import working
from lawful.errors import UnsupportedError

FORECASTS = "Forecasts"


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
        help="Among auto, vpnls, approach3, prior, approach2, approach1.",
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
    *,
    laws: Laws = "chinchilla,skaling",
    methods: Methods = "approach3,vpnls,prior,approach2",
    holdout: Holdout = HoldoutName.budget,
    last: Last = 2,
    rolling: Rolling = False,
    reading: o.Reading,
    fitting: Annotated[o.Fitting, Omit("method")],
    sampling: Annotated[o.Sampling, Preset(draws=200), Omit("intervals", "cluster")],
    output: o.Output,
) -> None:
    """
    Forecast the largest budgets or models from the rest, with every law and method asked for.

    With --fix the floor of one law (--law) is held at each of several values, and each past forecasts its future.

    \b
    Examples:
      lawful audit runs.csv
      lawful audit runs.csv --select experiment=llama_3 --check --last 2 --rolling
      lawful audit runs.csv --laws chinchilla,skaling,rosenfeld --methods approach3 --holdout params --last 1 --json
      lawful audit optima.csv --law compute --fix E=1.4:1.8:5
    """
    if fitting.fix:
        _floors(runs, reading, fitting, sampling.level, output)
        return
    if fitting.bounds:
        msg = "An audit of laws leaves their bounds alone; --bounds goes with --fix, as in --fix E=1.4:1.8:5."
        raise UnsupportedError(msg)
    from lawful.forecasting.audit import audit as audit_runs
    from lawful.laws.laws import DEFAULT_LAW
    from lawful.show.audit import audit_document, write_audit

    with output.staged() as stage, working("Forecasting", quiet=output.json):
        found = audit_runs(
            reading.read(runs),
            laws=_names(laws) if fitting.law == DEFAULT_LAW else (fitting.law,),
            methods=_names(methods),
            holdout=holdout.value,
            last=last,
            rolling=rolling,
            objective=fitting.goal,
            draws=sampling.draws or 0,
            level=sampling.level,
            seed=sampling.seed,
        )
        if stage is not None:
            write_audit(stage, found, with_figures=output.with_figures)
    output.give(lambda: audit_document(found), found.sheets)


def _floors(runs: list[str], reading: Any, fitting: Any, level: float, output: Any) -> None:
    """Say what each floor of one law would have forecast."""
    from lawful.forecasting.floors import floors
    from lawful.laws.laws import find_law
    from lawful.show.audit import floors_document, write_floors

    how = fitting.how()
    name, held = values.parse_floors(how["fixed"])
    with output.staged() as stage, working("Forecasting", quiet=output.json):
        table = reading.read(runs, needs=find_law(fitting.law).columns)
        found = floors(table, law=fitting.law, values=held, name=name, bounds=how["bounds"] or None, level=level)
        if stage is not None:
            write_floors(stage, found)
    output.give(lambda: floors_document(found), found.sheets)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
