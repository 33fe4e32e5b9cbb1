"""``lawful coverage``: how often the intervals would have held on this design, with this noise."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from typing import Annotated, Any

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.bounds import check_request
from lawful.cli.splice import Omit, Preset
from lawful.cli.terminal import working

Repeats = Annotated[
    int, typer.Option("--repeats", metavar="N", help="Simulated repeats of the sweep.", rich_help_panel=o.UNCERTAINTY)
]
REPEAT_SECONDS = 0.01
"""What simulating and fitting a sweep of a hundred runs once takes."""


def coverage(
    runs: o.RunsPath,
    *,
    budget: o.Budgets = None,
    reading: o.Reading,
    fitting: o.Fitting,
    repeats: Repeats = 200,
    sampling: Annotated[o.Sampling, Preset(draws=99), Omit("intervals", "cluster")],
    output: Annotated[o.Output, Omit("figures")],
) -> None:
    """
    Simulate your own sweep from its fitted law, refit, and say how often each interval would have held.

    \b
    Examples:
      lawful coverage runs.csv --budget 3.8e25
      lawful coverage runs.csv --repeats 1000 --draws 0 --json
    """
    asked, budgets = o.of_a_surface(fitting, "to simulate from"), values.parse_budgets(budget)
    from lawful.estimate.fit import fit as fit_runs
    from lawful.show.coverage_table import coverage_document

    each = REPEAT_SECONDS + (sampling.draws or 0) * o.DRAW_SECONDS
    check_request(f"{repeats:,} repeats", seconds=repeats * each, bytes_=repeats * o.DRAW_BYTES, yes=sampling.yes)
    from lawful.trust.coverage import coverage as simulate_coverage

    with output.answering("coverage") as answer, working("Simulating repeats", quiet=output.json) as tell:
        fit: Any = fit_runs(reading.for_law(fitting.law).read(runs, ()), **asked)
        found = simulate_coverage(
            fit,
            repeats,
            draws=sampling.draws or 0,
            budgets=budgets,
            level=sampling.level,
            seed=sampling.seed,
            progress=tell,
        )
        answer(lambda: coverage_document(found), found.sheets)
