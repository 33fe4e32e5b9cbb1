"""``lawful check``: a reason for every run that should not count."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from lawful.cli import options as o
from lawful.cli.splice import Omit
from lawful.cli.terminal import working

if TYPE_CHECKING:  # NumPy is loaded by the command, not by --help
    from lawful.checks.check import Checked
    from lawful.core.sheet import Sheet

RULES = "Rules"

MinPoints = Annotated[
    int, typer.Option("--min-points", metavar="N", help="Fewest runs at a budget.", rich_help_panel=RULES)
]
Merge = Annotated[
    float,
    typer.Option("--merge", metavar="X", help="Sizes within this distance in ln N are one.", rich_help_panel=RULES),
]
Margin = Annotated[
    float,
    typer.Option(
        "--margin", metavar="X", help="Off centre: beyond X times the shorter side of a sweep.", rich_help_panel=RULES
    ),
]
SplineZ = Annotated[
    float, typer.Option("--spline-z", metavar="Z", help="Largest robust z against a spline.", rich_help_panel=RULES)
]
SplinePoints = Annotated[
    int, typer.Option("--spline-points", metavar="N", help="Fewest runs for the spline rule.", rich_help_panel=RULES)
]
CurvatureLevel = Annotated[
    float,
    typer.Option(
        "--curvature-level", metavar="P", help="Level of the interval of the curvature.", rich_help_panel=RULES
    ),
]
FlopsRounding = Annotated[
    float,
    typer.Option(
        "--flops-rounding", metavar="X", help="Twins whose 6ND/C agrees to X are equally good.", rich_help_panel=RULES
    ),
]


def check(
    runs: o.RunsPath,
    *,
    reading: Annotated[o.Reading, Omit("check")],
    by: o.By = None,
    min_points: MinPoints = 6,
    merge: Merge = 0.01,
    margin: Margin = 2.5,
    spline_z: SplineZ = 6.0,
    spline_points: SplinePoints = 3,
    curvature_level: CurvatureLevel = 0.95,
    flops_rounding: FlopsRounding = 1e-9,
    output: o.Output,
) -> None:
    """
    Label the runs that should not count, each with a reason; nothing is deleted.

    \b
    Examples:
      lawful check runs.csv
      lawful check runs.csv --select experiment=llama_3 --out checked
      lawful check runs.csv --by experiment --spline-z 4.5 --json
      lawful fit runs.csv --check
    """
    from lawful.checks.rules import Thresholds

    thresholds = Thresholds(
        min_points=min_points,
        merge=merge,
        margin=margin,
        spline_z=spline_z,
        spline_points=spline_points,
        curvature_level=curvature_level,
        flops_rounding=flops_rounding,
    )
    from lawful.checks.check import check as check_runs
    from lawful.show.checked import check_document, write_check

    with output.staged() as stage, working("Checking", quiet=output.json):
        checked = check_runs(runs, thresholds=thresholds, by=by, **reading.words())
        if stage is not None:
            write_check(stage, checked, with_figures=output.with_figures)
    output.give(lambda: check_document(checked), lambda: _sheets(checked, " ".join(runs)))


def _sheets(checked: Checked, source: str) -> list[Sheet]:
    """Return what was found, under the name of its table."""
    first, *others = checked.sheets()
    return [replace(first, title=f"{source}: {first.title}"), *others]
