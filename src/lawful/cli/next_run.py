"""``lawful next``: which run of a priced pool to train next."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.isoflops import OF_RUNS
from lawful.cli.splice import Omit
from lawful.cli.terminal import print_document, show, working
from lawful.errors import UnsupportedError

Runs = Annotated[str, typer.Argument(metavar="RUNS", help="Table of runs that are done.")]
Pool = Annotated[str, typer.Option("--pool", metavar="POOL", help="Table of candidates: the same columns, no losses.")]
PoolCost = Annotated[
    str, typer.Option("--cost", metavar="COLUMN", help="Cost of a candidate: a column, or a formula of columns.")
]
Wanted = Annotated[
    list[str],
    typer.Option(
        "--target", metavar="NAME=X,…|FILE", help="Where the loss is to be known: values, or a table; repeat for more."
    ),
]
Law = Annotated[list[str] | None, typer.Option("--law", metavar="LAW", help=o.LAW_HELP)]
Spend = Annotated[
    str | None, typer.Option("--spend", metavar="X", help="Cost to plan for. Default: a tenth of the pool's.")
]
Most = Annotated[int | None, typer.Option("--most", metavar="N", help="Runs to answer with. Default: 15% of the plan.")]
Tolerance = Annotated[
    str | None, typer.Option("--tolerance", metavar="X", help="Half-width of the target's 90% interval that is enough.")
]
Csv = Annotated[Path | None, typer.Option("--out", metavar="FILE.csv", help="Write the runs here for a launcher.")]


def next_(
    runs: Runs,
    *,
    pool: Pool,
    cost: PoolCost,
    target: Wanted,
    law: Law = None,
    spend: Spend = None,
    most: Most = None,
    tolerance: Tolerance = None,
    reading: Annotated[o.Reading, Omit("columns", "select", "weights", "as_is", "check", *OF_RUNS)],
    out: Csv = None,
    json: o.Json = False,
) -> None:
    """
    Choose the next runs of a priced pool: those that buy most certainty about a target for their cost.

    Train the runs that it answers with, add them to the table, and ask again, until it says stop.

    \b
    Examples:
      lawful next runs.csv --pool pool.csv --cost gpu_hours --target params=70B,tokens=15T
      lawful next runs.csv --pool pool.csv --cost '6*params*tokens' --target targets.csv --law chinchilla --law skaling
      lawful next moe.csv --pool pool.csv --cost usd --target targets.csv --law 'loss = E + A/(params^a*experts^b)'
    """
    wanted = _targets(target)
    allowed, enough = values.parse_optional("--spend", spend), values.parse_optional("--tolerance", tolerance)
    from lawful.design.next_run import next_run
    from lawful.show.next_run import check_next, next_document, write_next

    if out is not None:
        check_next(out)
    with working("Fitting", quiet=json):
        found = next_run(
            runs,
            pool,
            cost=cost,
            target=wanted,
            law=law or ("chinchilla",),
            spend=allowed,
            most=most,
            tolerance=enough,
            where=reading.where,
            drop=values.parse_rows(reading.drop),
        )
    if out is not None:
        write_next(found, out)
    if json:
        print_document(next_document(found))
        return
    show([*found.sheets(), *([] if out is None else [f"Wrote {out}"])])


def _targets(given: list[str]) -> Any:
    """Return the table's name, or the points as columns."""
    points = []
    for text in given:
        if "=" not in text:
            if len(given) > 1:
                msg = f"--target takes one table, or points such as params=7B,tokens=2T; got {', '.join(given)}."
                raise UnsupportedError(msg)
            return text
        pairs = [part.partition("=") for part in text.split(",")]
        points.append({name.strip(): values.parse_positive("--target", value) for name, _, value in pairs})
    if len({tuple(sorted(point)) for point in points}) > 1:
        msg = f"Every --target names the same columns; got {' and '.join(', '.join(sorted(p)) for p in points)}."
        raise UnsupportedError(msg)
    return {name: [point[name] for point in points] for name in points[0]}
