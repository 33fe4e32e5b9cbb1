"""``lawful coverage``: how often the intervals would have held on this design, with this noise."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from typing import Annotated, Any

import typer

from lawful.cli import options as o
from lawful.cli.terminal import print_document, show, working
from lawful.errors import UnsupportedError

Repeats = Annotated[
    int, typer.Option("--repeats", metavar="N", help="Simulated repeats of the sweep.", rich_help_panel=o.UNCERTAINTY)
]
Draws = Annotated[
    int,
    typer.Option(
        "--bootstrap",
        metavar="N",
        help="Draws on each repeat; 0 for profile and delta alone.",
        rich_help_panel=o.UNCERTAINTY,
    ),
]


def coverage(
    runs: o.RunsPath,
    budget: o.Budgets = None,
    method: o.Method = o.MethodName.vpnls,
    objective: o.ObjectiveOption = None,
    delta: o.Delta = None,
    columns: o.Columns = None,
    select: o.Select = None,
    weights: o.Weights = None,
    fix: o.Fix = None,
    bounds: o.Bounds = None,
    repeats: Repeats = 200,
    bootstrap: Draws = 99,
    level: o.Level = 0.9,
    seed: o.Seed = 0,
    json: o.Json = False,
) -> None:
    """
    Simulate your own sweep from its fitted law, refit, and say how often each interval would have held.

    \b
    Examples:
      lawful coverage runs.csv --budget 3.8e25
      lawful coverage runs.csv --repeats 1000 --bootstrap 0 --json
    """
    o.check_sampling(draws=bootstrap, level=level, seed=seed)
    if method.value not in ("vpnls", "approach3"):
        msg = f"{method.value} has no surface to simulate from; use vpnls or approach3."
        raise UnsupportedError(msg)
    request = o.parse_request(
        columns=columns,
        select=select,
        weights=weights,
        budget=budget,
        objective=objective,
        delta=delta,
        fix=fix,
        bounds=bounds,
        scale=None,
        method=method.value,
    )
    from lawful.estimate.fit import fit as fit_runs
    from lawful.sources.read import read_runs
    from lawful.uncertainty.coverage import coverage as simulate_coverage

    with working("Simulating repeats", quiet=json) as tell:
        table = read_runs(runs, select=request.select, columns=request.columns, weights=request.weights)
        fit: Any = fit_runs(
            table, method=method.value, objective=request.objective, fixed=request.fixed, bounds=request.bounds
        )
        found = simulate_coverage(
            fit, repeats, draws=bootstrap, budgets=request.budgets, level=level, seed=seed, progress=tell
        )
    from lawful.show.coverage_table import coverage_document

    if json:
        print_document(coverage_document(found))
        return
    show(found.sheets())
