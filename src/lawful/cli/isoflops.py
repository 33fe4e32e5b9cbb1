"""``lawful isoflops``: training curves to points at a budget."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.bounds import Yes, check_request
from lawful.cli.splice import Formerly, Omit
from lawful.cli.terminal import print_document, show, working
from lawful.errors import UnsupportedError

LARGEST_COUNT = 1e6
"""A single number below it is a number of budgets; above it, a budget in FLOPs."""

CANDIDATE_SECONDS = 2e-4
"""What trying one budget takes."""

OF_RUNS = ("best_of_cell", "group_by", "row_of_run")
"""Options of reading that checkpoints do not have: rows that cannot be used are always set aside."""

Checkpoints = Annotated[
    list[str],
    typer.Argument(metavar="CHECKPOINTS", help="Tables with one row per checkpoint: files, patterns, or - for stdin."),
]
Run = Annotated[
    list[str] | None,
    typer.Option(
        "--run", metavar="COLUMN", help="Column that tells runs of one size apart; repeatable.", rich_help_panel=o.DATA
    ),
]
SomeBudgets = Annotated[
    list[str] | None,
    typer.Option(
        "--trained",
        metavar="N|LIST",
        help="Budgets of the points: how many log-spaced candidates to try (40), or FLOPs, separated by commas.",
    ),
    Formerly("--budgets"),
]
PointsFile = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE.csv", help="Write the points here.", rich_help_panel=o.OUTPUT),
]


def isoflops(
    checkpoints: Checkpoints,
    *,
    reading: Annotated[o.Reading, Omit("weights", "check", *OF_RUNS)],
    run: Run = None,
    trained: SomeBudgets = None,
    out: PointsFile = None,
    yes: Yes = False,
    json: o.Json = False,
) -> None:
    """
    Turn training curves with many checkpoints per run into IsoFLOP points, ready to fit.

    \b
    Examples:
      lawful isoflops checkpoints.csv --out points.csv
      lawful isoflops checkpoints.csv --run peak_lr --run sweep --trained 40
      lawful isoflops checkpoints.csv --trained 1e18,1e19,1e20 --json
    """
    wanted = parse_candidates(trained)
    many = wanted if isinstance(wanted, int) else 0
    check_request(f"{many:,} candidates", seconds=many * CANDIDATE_SECONDS, bytes_=many * 100.0, yes=yes)
    from lawful.show.points import check_writable, points_document, points_sheet, write_points
    from lawful.sources.isoflops import isoflop_points

    if out is not None:
        for place in checkpoints:
            check_writable(out, place)
    asked = {name: value for name, value in reading.words().items() if name not in ("weights", *OF_RUNS)}
    with working("Reading training curves", quiet=json):
        points = isoflop_points(
            checkpoints,
            **asked,
            run=None if run is None else tuple(run),
            budgets=40 if wanted is None else wanted,
        )
        if out is not None:
            write_points(out, points)
    if json:
        print_document({**points_document(points), "out": None if out is None else str(out)})
        return
    written = [] if out is None else ["", f"Wrote {out}: {len(points)} points; lawful fit {out} fits them."]
    show([points_sheet(points), *written])


def parse_candidates(given: list[str] | None) -> int | tuple[float, ...] | None:
    """
    Read a number of candidate budgets, or the budgets themselves.

    Examples
    --------
    >>> parse_candidates(["40"]), parse_candidates(["1e18,3e18"])
    (40, (1e+18, 3e+18))
    """
    if not given:
        return None
    texts = values.budget_texts(given)
    numbers = values.parse_budgets(given, option="--trained")
    if len(numbers) > 1 or numbers[0] >= LARGEST_COUNT:
        return numbers
    if numbers[0] != int(numbers[0]):
        msg = f"--trained takes a whole number of candidates or budgets in FLOPs, got {texts[0]!r}."
        raise UnsupportedError(msg)
    return int(numbers[0])
