"""``lawful bench``: forecasters on public hold-outs, scored the same way."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lawful.cli import options as o
from lawful.cli.terminal import working

BENCH = "Bench"

Folder = Annotated[
    Path | None,
    typer.Argument(metavar="FOLDER", help="Folder of published runs; without one the simulated sets are used."),
]
Forecasters = Annotated[
    str,
    typer.Option("--forecasters", metavar="NAMES", help="Ours, separated by semicolons.", rich_help_panel=BENCH),
]
Own = Annotated[
    list[str] | None,
    typer.Option("--own", metavar="FILE.py:FUNCTION", help="A forecaster of your own; repeat.", rich_help_panel=BENCH),
]
SplitNames = Annotated[
    str | None,
    typer.Option("--splits", metavar="NAMES", help="Splits, separated by commas.", rich_help_panel=BENCH),
]
Page = Annotated[
    Path | None,
    typer.Option("--page", metavar="FILE", help="Write the tables into this page too.", rich_help_panel=BENCH),
]


def bench(
    folder: Folder = None,
    *,
    forecasters: Forecasters = "auto;chinchilla;chinchilla, log-huber;skaling;skaling, log-huber;prior",
    own: Own = None,
    splits: SplitNames = None,
    page: Page = None,
    output: o.Output,
) -> None:
    """
    Forecast the largest runs of public sets from the others, with our forecasters and yours, and score them.

    \b
    Examples:
      lawful bench --forecasters "auto;chinchilla" --splits "top quarter"
      lawful bench ../data --out bench
      lawful bench ../data --own mine.py:forecast --splits "top quarter,10x" --json
    """
    from lawful.forecasting.bench import bench as run_bench
    from lawful.forecasting.guesses import forecasters_of
    from lawful.forecasting.sets import KINDS, read_sets, simulated_sets
    from lawful.show.bench import bench_document, bench_sheets, load_forecaster, names_of, write_bench, write_page

    named = forecasters_of(names_of(forecasters)) | dict(load_forecaster(one) for one in own or ())
    kinds = KINDS if splits is None else tuple(part.strip() for part in splits.split(",") if part.strip())
    sets = simulated_sets() if folder is None else (*read_sets(folder), *simulated_sets())
    with output.staged() as stage, working("Forecasting", quiet=output.json) as tell:
        found = run_bench(sets, named, kinds=kinds, progress=tell)
        if stage is not None:
            write_bench(stage, found, with_figures=output.with_figures)
        if page is not None:
            write_page(page, found)
    output.give(lambda: bench_document(found), lambda: bench_sheets(found))
