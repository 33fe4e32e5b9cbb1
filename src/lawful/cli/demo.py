"""``lawful demo``: no file needed; a known truth shows which method is right."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lawful.cli import options as o
from lawful.cli.terminal import WRITING, say, show, working

if TYPE_CHECKING:  # NumPy and SciPy are loaded by the command, not by --help
    from lawful.studies.demo import Demo

DemoOut = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the results go.")]


def demo(out: DemoOut = Path("lawful-demo"), seed: o.Seed = 0) -> None:
    """
    Simulate a noisy IsoFLOP sweep with a known truth, fit it all four ways, and show who is right.

    \b
    Examples:
      lawful demo
      lawful demo --out somewhere --seed 7
    """
    o.check_sampling(draws=0, level=0.5, seed=seed)
    from lawful.show.bundle import write_demo
    from lawful.show.output import staged_output
    from lawful.studies.demo import run_demo

    with staged_output(out) as stage, working("Demo", quiet=False) as tell:
        found = run_demo(seed=seed, progress=tell)
        say(tell, WRITING)
        write_demo(stage, found.outcomes)
    show(_parts(found, out))


def _parts(found: Demo, out: Path) -> list[Any]:
    from rich.text import Text

    from lawful.cli.terminal import written_line
    from lawful.infer.analysis import Unavailable
    from lawful.show.numbers import format_count, format_flops, format_percent
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
        "",
        written_line(out),
        Text(f"Report: {(out / 'report.html').resolve()}"),
    ]


def _signed(fraction: float) -> str:
    return f"{100 * fraction:+.3g}%"
