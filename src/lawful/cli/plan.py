"""``lawful plan``: the sweep that a decision needs."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.bounds import check_request
from lawful.cli.splice import Formerly, Omit
from lawful.cli.terminal import print_document, show, working
from lawful.errors import UnsupportedError

if TYPE_CHECKING:  # NumPy is loaded by the command, not by --help
    from lawful.design.design import Planned
    from lawful.design.rehearsal import Rehearsal
    from lawful.design.shapes import Shapes
    from lawful.laws.surface import Surface

SWEEP, MODELS, CHECKING = "Sweep", "Models", "Check"


class DecisionName(StrEnum):
    """What is to be known well at the target."""

    params = "params"
    loss = "loss"


class LayoutName(StrEnum):
    """How runs are laid out."""

    design = "design"
    grid = "grid"


BudgetRange = Annotated[
    str,
    typer.Option("--trained", metavar="LOW:HIGH:COUNT", help="Budgets of the runs, or a list with commas."),
    Formerly("--budgets"),
]
Target = Annotated[
    str,
    typer.Option("--budget", metavar="C", help="Budget of the decision: FLOPs, '30 days on 1024 h100' or '$5M'."),
    Formerly("--target"),
]
Prior = Annotated[
    str, typer.Option("--prior", metavar="NAME|FIT.json", help="What is believed now: besiroglu, hoffmann, or a fit.")
]
TotalFlops = Annotated[
    str | None,
    typer.Option("--total-flops", metavar="X", help="Compute for all new runs; a grid may be laid out without."),
]
Layout = Annotated[
    LayoutName, typer.Option("--layout", help="Runs chosen for the decision, or the usual grid around the prior's N*.")
]
Given = Annotated[
    str | None, typer.Option("--given", metavar="RUNS", help="Table of runs that are done; plan the next ones.")
]
Decision = Annotated[DecisionName, typer.Option("--decision", help="Know N* or the loss at the target well.")]
Reach = Annotated[
    float | None,
    typer.Option("--reach", metavar="K", help="Sizes within ±K× of the prior's N*. Default: 8.", rich_help_panel=SWEEP),
]
Ratio = Annotated[
    str | None,
    typer.Option(
        "--tokens-per-param", metavar="LOW:HIGH", help="Allowed range. Default: 1:1000.", rich_help_panel=SWEEP
    ),
]
Repeats = Annotated[
    int,
    typer.Option(
        "--repeats",
        metavar="N",
        help="Most seeds of one run. Of a grid: seeds of every second size at the smaller half of the budgets.",
        rich_help_panel=SWEEP,
    ),
]
Sizes = Annotated[
    int | None,
    typer.Option(
        "--sizes-per-budget", metavar="N", help="Sizes per budget of a grid. Default: 7.", rich_help_panel=SWEEP
    ),
    Formerly("--sizes"),
]
MaxRuns = Annotated[
    int | None, typer.Option("--runs", metavar="N", help="Most runs; 15 per budget.", rich_help_panel=SWEEP)
]
Spread = Annotated[
    float | None,
    typer.Option(
        "--spread", metavar="X", help="Doubt in the prior's ln exponents. Default: 0.15.", rich_help_panel=SWEEP
    ),
]
GridWidth = Annotated[
    float, typer.Option("--grid", metavar="K", help="Compare with a ±K× grid, or lay it out.", rich_help_panel=SWEEP)
]
Multiple = Annotated[
    int | None,
    typer.Option(
        "--width-multiple",
        metavar="64|128",
        help="Build whole models: widths in these multiples, whole layers, batches and steps.",
        rich_help_panel=MODELS,
    ),
]
Vocabulary = Annotated[
    int, typer.Option("--vocabulary", metavar="V", help="Size of the vocabulary.", rich_help_panel=MODELS)
]
Context = Annotated[int, typer.Option("--context", metavar="T", help="Tokens per sequence.", rich_help_panel=MODELS)]
Studies = Annotated[
    int | None,
    typer.Option(
        "--simulate",
        metavar="N",
        help="Simulated studies of design and grid; 0: none. Default: 200.",
        rich_help_panel=CHECKING,
    ),
]
Noise = Annotated[
    float | None,
    typer.Option(
        "--noise", metavar="X", help="Their noise of the loss in nats. Default: 0.01.", rich_help_panel=CHECKING
    ),
]
Manifest = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write the runs as .csv or .json.", rich_help_panel=o.OUTPUT),
]


def plan(
    *,
    trained: BudgetRange,
    budget: Target,
    prior: Prior,
    total_flops: TotalFlops = None,
    layout: Layout = LayoutName.design,
    given: Given = None,
    reading: o.Reading,
    decision: Decision = DecisionName.params,
    reach: Reach = None,
    tokens_per_param: Ratio = None,
    repeats: Repeats = 3,
    sizes: Sizes = None,
    runs: MaxRuns = None,
    spread: Spread = None,
    grid: GridWidth = 8.0,
    width_multiple: Multiple = None,
    vocabulary: Vocabulary = 32000,
    context: Context = 2048,
    simulate: Studies = None,
    noise: Noise = None,
    sampling: Annotated[o.Sampling, Omit("draws", "intervals", "cluster", "level")],
    out: Manifest = None,
    json: o.Json = False,
) -> None:
    """
    Plan the runs that tell most about a decision for their compute, beside the usual grid.

    \b
    Examples:
      lawful plan --trained 1e18:1e21:5 --budget 3e25 --prior besiroglu --total-flops 2e22
      lawful plan --trained 1e18:1e20:3 --budget 1e24 --prior result/fit.json --total-flops 1e21 --given runs.csv
      lawful plan --trained 1e18:1e21:5 --budget 3e25 --prior besiroglu --total-flops 2e22 \\
        --width-multiple 128 --out runs-to-train.csv
      lawful plan --layout grid --sizes-per-budget 7 --grid 4 --repeats 3 --trained 1e18:1e20:5 --budget 1e21 \\
        --prior result/fit.json --out runs-to-train.csv
    """
    total = values.parse_optional("--total-flops", total_flops)
    only_design = {
        "--reach": reach,
        "--tokens-per-param": tokens_per_param,
        "--runs": runs,
        "--spread": spread,
        "--simulate": simulate,
        "--noise": noise,
    }
    _check_layout(layout, total, sizes, [flag for flag, value in only_design.items() if value is not None])
    if simulate is not None and (simulate < 0 or simulate == 1):
        msg = f"--simulate takes 0 or at least 2 studies, got {simulate}."
        raise UnsupportedError(msg)
    if given is None:
        reading.needs_table("--given")
    chosen = parse_budget_range(trained, yes=sampling.yes)
    _check_size(len(chosen) * max(sizes or 7, runs or 0) * max(repeats, 1), simulate or 0, yes=sampling.yes)
    wanted: dict[str, Any] = {"target": values.parse_budget("--budget", budget), "total_flops": total}
    rules: dict[str, Any] = {
        "repeats": repeats,
        "decision": decision.value,
        "shapes": _shapes(width_multiple, vocabulary, context),
    }
    design: dict[str, Any] = {
        "reach": 8.0 if reach is None else reach,
        "tokens_per_param": (1.0, 1000.0) if tokens_per_param is None else _parse_ratio(tokens_per_param),
        "runs": runs,
        "spread": 0.15 if spread is None else spread,
    }
    from lawful.estimate.result import ONE_LAW_PLANNED
    from lawful.show.planned import check_manifest, plan_document, write_manifest
    from lawful.show.speedup import by_one_law

    if out is not None:
        check_manifest(out)
    with working("Planning", quiet=json):
        surface, auto, doubt = _surface(prior, wanted["target"])
        wanted |= {"prior": surface, "given": None if given is None else reading.read(given)}
        tried = None
        if layout is LayoutName.grid:
            from lawful.design.usual_grid import plan_grid

            found = plan_grid(chosen, **wanted, **rules, sizes=7 if sizes is None else sizes, width=grid)
        else:
            from lawful.design.design import Sweep
            from lawful.design.design import plan as plan_runs

            found = plan_runs(chosen, **wanted, sweep=Sweep(**rules, **design), grid_width=grid)
            tried = _tried(
                found, 200 if simulate is None else simulate, 0.01 if noise is None else noise, sampling.seed
            )
        if out is not None:
            write_manifest(found, out, tried)
    if json:
        print_document(by_one_law(plan_document(found, tried), auto=auto, why=ONE_LAW_PLANNED))
        return
    said = [ONE_LAW_PLANNED] if auto else []
    wrote = [] if out is None else [f"Wrote {out}"]
    show([*([doubt] if doubt else []), found.summary(), *said, *(() if tried is None else tried.sheets()), *wrote])


RUN_SECONDS, RUN_BYTES, STUDY_SECONDS = 1e-5, 2000.0, 1e-3
"""What a run of a plan takes to lay out and to write, and what a simulated study of one takes."""


def _check_size(many: int, studies: int, *, yes: bool) -> None:
    """Say what an unusually large plan would take."""
    check_request(f"A plan of {many:,} runs", seconds=many * RUN_SECONDS, bytes_=many * RUN_BYTES, yes=yes)
    check_request(f"{studies:,} simulated studies", seconds=studies * STUDY_SECONDS, bytes_=studies * 100.0, yes=yes)


def _tried(found: Planned, studies: int, noise: float, seed: int) -> Rehearsal | None:
    """Rehearse the plan beside the usual grid; None where no study was asked for."""
    if not studies:
        return None
    from lawful.design.rehearsal import check_plan

    return check_plan(found, studies=studies, noise=noise, seed=seed)


def _check_layout(layout: LayoutName, total: float | None, sizes: int | None, design_only: list[str]) -> None:
    """Refuse a design without its allowance, and an option that the layout would ignore."""
    if layout is LayoutName.design:
        if total is None:
            msg = "A design spends an allowance; give --total-flops, or lay out the usual grid with --layout grid."
            raise UnsupportedError(msg)
        if sizes is not None:
            msg = "--sizes-per-budget is for --layout grid; a design chooses its sizes, as many as --runs allows."
            raise UnsupportedError(msg)
    elif design_only:
        msg = f"A grid has no {' or '.join(design_only)}, a design has; leave that out, or take --layout design."
        raise UnsupportedError(msg)


LONGEST_COUNT = 18
"""Digits of a count of budgets that can be one."""


def parse_budget_range(text: str, *, yes: bool = False) -> tuple[float, ...]:
    """
    Read LOW:HIGH:COUNT, evenly spaced in log, or a list with commas.

    Examples
    --------
    >>> parse_budget_range("1e18:1e20:3")
    (1e+18, 1e+19, 1e+20)
    >>> parse_budget_range("1e18,3e19")
    (1e+18, 3e+19)
    """
    if ":" not in text:
        return values.parse_budgets([text], option="--trained")
    parts = text.split(":")
    if len(parts) != 3 or not parts[2].isdecimal() or len(parts[2]) > LONGEST_COUNT or int(parts[2]) < 1:
        msg = f"--trained takes LOW:HIGH:COUNT, or a list with commas; got {text!r}."
        raise UnsupportedError(msg)
    low, high = (values.parse_budget("--trained", part) for part in parts[:2])
    steps = int(parts[2]) - 1
    check_request(f"{steps + 1:,} budgets", seconds=steps * RUN_SECONDS, bytes_=steps * RUN_BYTES, yes=yes)
    if (steps == 0) != (low == high):
        msg = f"--trained takes LOW:HIGH:COUNT with at least 2 budgets between different ends, got {text!r}."
        raise UnsupportedError(msg)
    if steps == 0:
        return (low,)
    return tuple(float(f"{low * (high / low) ** (i / steps):.12g}") for i in range(steps + 1))


def _parse_ratio(text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    if not colon:
        msg = f"--tokens-per-param takes LOW:HIGH, got {text!r}."
        raise UnsupportedError(msg)
    return values.parse_positive("--tokens-per-param", low), values.parse_positive("--tokens-per-param", high)


def _surface(prior: str, budget: float) -> tuple[Surface, bool, str]:
    """
    Return a published surface, one of the studies', or that of a saved fit, whether that averages, and its doubt.

    A plan lies around the optimum of its prior, which the runs of a fit have to tell.
    """
    from lawful.design.plan import study_surface
    from lawful.laws.laws import PUBLISHED, STUDY_SURFACES
    from lawful.laws.surface import Surface

    if prior in PUBLISHED:
        return Surface.named(prior), False, ""
    if prior in STUDY_SURFACES:
        return study_surface(prior), False, ""
    if not prior.endswith(".json"):
        msg = f"--prior takes a fit.json or one of {', '.join([*PUBLISHED, *STUDY_SURFACES])}; got {prior!r}."
        raise UnsupportedError(msg)
    from lawful.core.notes import Verdict, verdict_sentence
    from lawful.show.files.artifact import load
    from lawful.trust.verdict import judged_told

    analysis = load(prior, budgets=())
    found = analysis.fit
    if found.surface is None:
        msg = f"{found.method} fits no surface, so it is no prior; fit with vpnls or approach3."
        raise UnsupportedError(msg)
    verdict = judged_told(found, [budget]).verdict
    doubt = f"The prior's v{verdict_sentence(verdict)[1:]}" if verdict is Verdict.LAW_REFUSED else ""
    return found.surface, analysis.average is not None, doubt


def _shapes(multiple: int | None, vocabulary: int, context: int) -> Shapes | None:
    if multiple is None:
        return None
    from lawful.design.shapes import Shapes

    return Shapes(multiple=multiple, vocabulary=vocabulary, context=context)
