"""``lawful demo``: no file needed; real runs with a forecast and its test, or a known truth that says who is right."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.terminal import WRITING, print_document, say, show, working
from lawful.errors import UnsupportedError

if TYPE_CHECKING:  # NumPy and SciPy are loaded by the command, not by --help
    from lawful.core.sheet import Sheet
    from lawful.studies.demo import Demo, RealDemo

DemoOut = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the results go.")]
Synthetic = Annotated[bool, typer.Option("--synthetic", help="Simulate a sweep whose truth is known instead.")]
DemoSeed = Annotated[int | None, typer.Option("--seed", help="Seed of the simulated noise, with --synthetic.")]


def demo(
    out: DemoOut = Path("lawful-demo"), synthetic: Synthetic = False, seed: DemoSeed = None, json: o.Json = False
) -> None:
    """
    Fit real runs all four ways, and hold the forecasts of a larger budget against what came.

    The runs come with lawful: a sweep of small byte-level transformers (lawful datasets list). With --synthetic a noisy
    sweep is simulated from a known truth, which says who is right.

    \b
    Examples:
      lawful demo
      lawful demo --synthetic --out somewhere --seed 7
    """
    if seed is not None and not synthetic:
        msg = "--seed is of simulated noise, and the runs of the demo are real; leave it out, or add --synthetic."
        raise UnsupportedError(msg)
    values.check_sampling(draws=0, level=0.5, seed=seed or 0)
    from lawful.show.files.bundle import write_demo
    from lawful.show.files.output import staged_output
    from lawful.studies.demo import Demo, run_demo, run_real_demo

    with staged_output(out) as stage, working("Demo", quiet=json) as tell:
        found = run_demo(seed=seed or 0, progress=tell) if synthetic else run_real_demo(progress=tell)
        say(tell, WRITING)
        write_demo(stage, found.outcomes)
    if json:
        from lawful.show.files.document import compare_document

        told = {"synthetic": synthetic, "out": str(out.resolve()), "fits": compare_document(found.outcomes)["fits"]}
        print_document({"schema": "lawful.demo/1", **told})
        return
    show([*(_parts(found) if isinstance(found, Demo) else _real_parts(found)), "", *_where(out)])


def _where(out: Path) -> list[Any]:
    from lawful.cli.terminal import written_line

    return [written_line(out), f"Report: {(out / 'report.html').resolve()}"]


def _real_parts(found: RealDemo) -> list[Any]:
    from lawful.analysis.compare import comparison_sheets
    from lawful.core.sheet import Sheet
    from lawful.show.ledger import score_ledger, score_sheet

    parts: list[Any] = [
        Sheet("REAL DATA: byte-level transformers that we trained (tinysweep), three seeds on some cells."),
        *comparison_sheets(found.outcomes),
        _sure_sheet(found),
    ]
    if found.target is not None:
        when = "written down before these runs were trained" if found.written else "made now"
        came = score_sheet(score_ledger(found.entries, found.target), found.target)
        parts.append(replace(came, title=f"What came: the forecasts, {when}, beside the best run."))
    else:
        parts.append("The runs at this budget are not trained yet, so nothing is scored.")
    return [*parts, "", _support(found)]


def _sure_sheet(found: RealDemo) -> Sheet:
    from lawful.analysis.analysis import Analysis
    from lawful.core.numbers import format_flops
    from lawful.core.sheet import Cell, Sheet, row
    from lawful.studies.tinysweep import TARGET, size_interval

    made = {entry["method"]: entry["forecasts"][0] for entry in found.entries}
    rows = []
    for outcome in found.outcomes:
        one, size = made.get(outcome.method), Cell(None)
        if isinstance(outcome, Analysis):
            size = Cell(outcome.allocations[0].params, "count", *size_interval(outcome))
        rows.append(row(outcome.method, size, Cell(one["loss"], "nats", *one["prediction"]) if one else None))
    title = f"How sure is each at {format_flops(TARGET)}, 10 times the largest budget?"
    return Sheet(title, (), ("", "N*", "loss"), tuple(rows), "90% interval")


def _support(found: RealDemo) -> str:
    """Say what the runs can and cannot support."""
    from lawful.analysis.analysis import Analysis
    from lawful.core.numbers import format_count, format_short
    from lawful.studies.tinysweep import size_interval

    analyses = [o for o in found.outcomes if isinstance(o, Analysis)]
    low, high = size_interval(next(o for o in analyses if o.method == "vpnls"))
    inside = sum(low <= o.allocations[0].params <= high for o in analyses)
    noise = format_short(found.test.pure_error or 0.0, 2)
    return (
        f"What these runs support: seeds of one cell differ by {noise} nats (standard deviation), so the best size "
        f"here lies between {format_count(low)} and {format_count(high)}, a factor of {high / low:.1f}, by VPNLS; "
        f"{inside} of {len(analyses)} methods lie within it. What they cannot support: which method is right."
    )


def _parts(found: Demo) -> list[Any]:
    from lawful.analysis.compare import comparison_sheets
    from lawful.core.numbers import format_flops, format_percent, format_short
    from lawful.core.sheet import Cell, Sheet, row

    best, k = found.truth.optimum(found.budget), found.truth.coefficients
    errors = {e.method: e for e in found.errors}
    rows = [row("truth", Cell(float(best.params), "count"), None, Cell(float(best.tokens), "count"), None, None)]
    for outcome in found.outcomes:
        e = errors.get(outcome.method)
        cells: tuple[Cell | None, ...] = (None,) * 5
        if e is not None:
            size, data = Cell(e.params, "count"), Cell(e.tokens, "count")
            errors_of = Cell(e.params_error, "change"), Cell(e.tokens_error, "change")
            cells = (size, errors_of[0], data, errors_of[1], Cell(e.wasted, "share"))
        rows.append(row(outcome.method, *cells))
    order = sorted(found.errors, key=lambda e: e.wasted)
    last = (
        f"Closest to the truth: {order[0].method} (wastes {format_percent(order[0].wasted)}); "
        f"farthest: {order[-1].method} (wastes {format_percent(order[-1].wasted)})."
    )
    heads = ("", "N*", "error", "D*", "error", "compute wasted")
    said = "truth: " + ", ".join(f"{name} {format_short(value)}" for name, value in k.items())
    return [
        Sheet("SYNTHETIC DATA: simulated runs with a known truth, no real training.", (said,)),
        *comparison_sheets(found.outcomes),
        Sheet(f"Who is right at {format_flops(found.budget)}?", (), heads, tuple(rows), "", (last,)),
    ]
