"""``lawful demo``: no file needed; real runs with a forecast and its test, or a known truth that says who is right."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lawful.cli import values
from lawful.cli.terminal import WRITING, say, show, working
from lawful.errors import UnsupportedError

if TYPE_CHECKING:  # NumPy and SciPy are loaded by the command, not by --help
    from lawful.studies.demo import Demo, RealDemo

DemoOut = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the results go.")]
Synthetic = Annotated[bool, typer.Option("--synthetic", help="Simulate a sweep whose truth is known instead.")]
DemoSeed = Annotated[int | None, typer.Option("--seed", help="Seed of the simulated noise, with --synthetic.")]


def demo(out: DemoOut = Path("lawful-demo"), synthetic: Synthetic = False, seed: DemoSeed = None) -> None:
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

    with staged_output(out) as stage, working("Demo", quiet=False) as tell:
        found = run_demo(seed=seed or 0, progress=tell) if synthetic else run_real_demo(progress=tell)
        say(tell, WRITING)
        write_demo(stage, found.outcomes)
    show([*(_parts(found) if isinstance(found, Demo) else _real_parts(found)), "", *_where(out)])


def _where(out: Path) -> list[Any]:
    from rich.text import Text

    from lawful.cli.terminal import written_line

    return [written_line(out), Text(f"Report: {(out / 'report.html').resolve()}")]


def _real_parts(found: RealDemo) -> list[Any]:
    from rich.text import Text

    from lawful.core.numbers import format_flops
    from lawful.show.ledger import score_ledger, score_parts
    from lawful.show.tables import compare_parts, text_table
    from lawful.studies.tinysweep import TARGET

    parts = [
        Text(
            "REAL DATA: byte-level transformers that we trained (tinysweep), three seeds on some cells.", style="bold"
        ),
        *compare_parts(found.outcomes),
        "",
        Text(f"How sure is each at {format_flops(TARGET)}, 10 times the largest budget?", style="bold"),
        text_table(("", "N*", "90% interval", "loss", "90% prediction"), _sure_rows(found)),
    ]
    if found.target is not None:
        when = "written down before these runs were trained" if found.written else "made now"
        parts += [
            "",
            Text(f"What came: the forecasts, {when}, beside the best run", style="bold"),
            *score_parts(score_ledger(found.entries, found.target), found.target),
        ]
    else:
        parts += [Text("The runs at this budget are not trained yet, so nothing is scored.")]
    return [*parts, "", Text(_support(found))]


def _sure_rows(found: RealDemo) -> list[tuple[str, ...]]:
    from lawful.analysis.analysis import Analysis
    from lawful.core.numbers import format_count
    from lawful.studies.tinysweep import size_interval

    made = {entry["method"]: entry["forecasts"][0] for entry in found.entries}
    rows: list[tuple[str, ...]] = []
    for outcome in found.outcomes:
        if not isinstance(outcome, Analysis):
            rows.append((outcome.method, "-", "-", "-", "-"))
            continue
        low, high = size_interval(outcome)
        one = made.get(outcome.method)
        rows.append(
            (
                outcome.method,
                format_count(outcome.allocations[0].params),
                f"{format_count(low)} to {format_count(high)}",
                f"{one['loss']:.3f}" if one else "-",
                "{:.3f} to {:.3f}".format(*one["prediction"]) if one else "-",
            )
        )
    return rows


def _support(found: RealDemo) -> str:
    """Say what the runs can and cannot support."""
    from lawful.analysis.analysis import Analysis
    from lawful.core.numbers import format_count
    from lawful.studies.tinysweep import size_interval

    analyses = [o for o in found.outcomes if isinstance(o, Analysis)]
    low, high = size_interval(next(o for o in analyses if o.method == "vpnls"))
    inside = sum(low <= o.allocations[0].params <= high for o in analyses)
    noise = found.test.pure_error or 0.0
    return (
        f"What these runs support: seeds of one cell differ by {noise:.3f} nats (standard deviation), so the best size "
        f"here lies between {format_count(low)} and {format_count(high)}, a factor of {high / low:.1f}, by VPNLS; "
        f"{inside} of {len(analyses)} methods lie within it. What they cannot support: which method is right."
    )


def _parts(found: Demo) -> list[Any]:
    from rich.text import Text

    from lawful.analysis.compare import Unavailable
    from lawful.core.numbers import format_count, format_flops, format_percent
    from lawful.show.tables import compare_parts, text_table

    best = found.truth.optimum(found.budget)
    rows = [("truth", format_count(float(best.params)), "", format_count(float(best.tokens)), "", "")]
    rows += [
        (
            e.method,
            format_count(e.params),
            _signed(e.params_error),
            format_count(e.tokens),
            _signed(e.tokens_error),
            format_percent(e.wasted),
        )
        for e in found.errors
    ]
    rows += [(o.method, "-", "-", "-", "-", "-") for o in found.outcomes if isinstance(o, Unavailable)]
    order = sorted(found.errors, key=lambda e: e.wasted)
    k = found.truth.coefficients
    return [
        Text("SYNTHETIC DATA: simulated runs with a known truth, no real training.", style="bold"),
        Text("truth: " + ", ".join(f"{name} {value:g}" for name, value in k.items())),
        *compare_parts(found.outcomes),
        "",
        Text(f"Who is right at {format_flops(found.budget)}?", style="bold"),
        text_table(("", "N*", "error", "D*", "error", "compute wasted"), rows),
        Text(
            f"Closest to the truth: {order[0].method} (wastes {format_percent(order[0].wasted)}); "
            f"farthest: {order[-1].method} (wastes {format_percent(order[-1].wasted)})."
        ),
    ]


def _signed(fraction: float) -> str:
    return f"{100 * fraction:+.3g}%"
