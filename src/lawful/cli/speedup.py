"""``lawful speedup`` and ``lawful deadweight``: what a recipe is worth, and what a choice wastes."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.splice import Omit, Preset
from lawful.cli.terminal import working
from lawful.errors import UnsupportedError

if TYPE_CHECKING:  # NumPy is loaded by the command, not by --help
    from lawful.analysis.analysis import Analysis
    from lawful.estimate.result import Fit, FrontierFit

FitA = Annotated[str, typer.Argument(metavar="A.json", help="Saved fit of recipe A.")]
FitsB = Annotated[
    list[str], typer.Argument(metavar="B.json", help="Saved fit of recipe B; several where all are curves in compute.")
]
NeededBudgets = Annotated[
    list[str], typer.Option("--budget", metavar="C", help="Budgets of B in FLOPs; repeat or separate by commas.")
]
MfuA = Annotated[float, typer.Option("--mfu-a", metavar="X", help="MFU of recipe A.")]
MfuB = Annotated[float, typer.Option("--mfu-b", metavar="X", help="MFU of recipe B.")]
OtherFit = Annotated[str | None, typer.Option("--choice", metavar="FIT.json", help="Price the choice of this fit.")]
SomeTokens = Annotated[str | None, typer.Option("--tokens", metavar="D", help="Price this number of tokens.")]


def speedup(
    a: FitA,
    b: FitsB,
    *,
    budget: NeededBudgets,
    mfu_a: MfuA = 0.5,
    mfu_b: MfuB = 0.5,
    sampling: Annotated[o.Sampling, Preset(draws=1000), Omit("intervals", "cluster")],
    output: Annotated[o.Output, Omit("figures")],
) -> None:
    """
    Say how much less recipe B needs than recipe A for the same loss: FLOPs, tokens and hours.

    \b
    Examples:
      lawful speedup a/fit.json b/fit.json --budget 1e22,1e24
      lawful speedup a/fit.json b/fit.json --budget 1e24 --mfu-a 0.5 --mfu-b 0.4 --json
      lawful speedup old/fit.json new/fit.json newer/fit.json --budget 1e21
    """
    budgets = values.parse_budgets(budget)
    from lawful.core.cost import Cost
    from lawful.decide.speedup import speedup as compare_recipes
    from lawful.decide.speedup import speedup_sheet
    from lawful.show.choices import judged_document, with_verdict
    from lawful.show.files.artifact import load
    from lawful.show.speedup import by_one_law, in_one_law, speedup_document
    from lawful.trust.verdict import DOUBT, judged_told

    def loaded(path: str) -> Analysis:
        found = load(path, budgets=())
        if found.fit.surface is None:
            msg = f"{path!r} is a fit by {found.method}, which has no surface; fit with vpnls or approach3."
            raise UnsupportedError(msg)
        return found

    first, others = loaded(a), [loaded(path) for path in b]
    surfaces = [o.with_surface(found.fit) for found in (first, *others)]
    if all(fit.surface.law.columns == ("C",) for fit in surfaces):
        _of_curves(dict(zip((a, *b), surfaces, strict=True)), budgets, sampling, output)
        return
    if len(others) > 1:
        msg = "Several recipes are compared where all are curves in compute (--law compute); give two fits."
        raise UnsupportedError(msg)
    second = others[0]
    worst = max((judged_told(fit, budgets) for fit in surfaces), key=lambda judged: DOUBT.index(judged.verdict))
    notes = [note for fit in surfaces for note in fit.runs.notes]
    with output.answering("speedup") as answer, working("Drawing", quiet=output.json):
        rows = compare_recipes(
            o.with_surface(first.fit),
            o.with_surface(second.fit),
            budgets,
            draws=sampling.draws or 0,
            seed=sampling.seed,
            level=sampling.level,
            cost_a=Cost(mfu=mfu_a),
            cost_b=Cost(mfu=mfu_b),
        )
        level = sampling.level
        auto = first.average is not None or second.average is not None
        answer(
            lambda: judged_document(by_one_law(speedup_document(rows, level=level), auto=auto), worst),
            lambda: with_verdict(in_one_law([speedup_sheet(rows, level=level)], auto=auto), worst, notes),
        )


def _of_curves(fits: dict[str, Fit], budgets: tuple[float, ...], sampling: Any, output: Any) -> None:
    """Compare recipes of which a few points of loss against compute are known."""
    from lawful.decide.curves import speedup_curves
    from lawful.show.speedup import curves_document

    if len(fits) < 2:
        msg = "A speed-up compares two recipes, and the same file was given for both."
        raise UnsupportedError(msg)
    first = next(iter(fits.values()))
    told: list[Any] = [fit.held.get("E") for fit in fits.values()]
    if any(held != told[0] for held in told):
        msg = "The fits hold E at different values, and recipes share their floor; fit all with the same --fix."
        raise UnsupportedError(msg)
    fixed = {"E": first.held["E"]} if "E" in first.held else None
    arms = {name: fit.runs for name, fit in fits.items()}
    with output.answering("speedup") as answer, working("Drawing", quiet=output.json):
        found = speedup_curves(arms, budgets, fixed=fixed, level=sampling.level, seed=sampling.seed)
        answer(lambda: curves_document(found), found.sheets)


def deadweight(
    fit: o.FitPath,
    *,
    budget: o.NeededBudget,
    choice: OtherFit = None,
    tokens: SomeTokens = None,
    window: o.Window = "auto",
    spending: Annotated[o.Spending, Preset(gpu="h100")],
    sampling: Annotated[o.Sampling, Preset(draws=1000), Omit("intervals", "cluster")],
    output: Annotated[o.Output, Omit("figures")],
) -> None:
    """
    Price another choice on a fitted surface; by default that of Approach 2 on the same runs.

    \b
    Examples:
      lawful deadweight result/fit.json --budget 3.8e25
      lawful deadweight result/fit.json --budget 3.8e25 --tokens 15e12 --gpu h100 --price 2.5
      lawful deadweight result/fit.json --budget 1e24 --choice other/fit.json --json
    """
    cost = spending.cost()
    c = values.parse_budget("--budget", budget, cost=cost)
    if choice is not None and tokens is not None:
        msg = "--choice and --tokens both say what was chosen; give one of them."
        raise UnsupportedError(msg)
    from lawful.decide.deadweight import UNTOLD
    from lawful.decide.deadweight import deadweight as price_choice
    from lawful.show.choices import judged_document, with_verdict
    from lawful.show.files.artifact import load
    from lawful.show.speedup import by_one_law, deadweight_document, in_one_law
    from lawful.trust.verdict import judged_told

    analysis = load(fit, budgets=())
    truth, auto = analysis.fit, analysis.average is not None
    judged = judged_told(truth, [c])
    chosen: float | Analysis | FrontierFit
    sides = "both"
    if tokens is not None:
        chosen = values.parse_positive("--tokens", tokens)
    elif choice is not None:
        chosen = load(choice, budgets=())
    else:
        from lawful.estimate.isoflop import fit_isoflop

        chosen, sides = fit_isoflop(truth.runs, window=window), "simulated"
    with output.answering("deadweight") as answer, working("Drawing", quiet=output.json):
        how: dict[str, Any] = {"seed": sampling.seed, "level": sampling.level, "sides": sides}
        found = price_choice(truth, chosen, c, draws=sampling.draws or 0, **how)  # type: ignore[arg-type]
        found = replace(found, as_good=UNTOLD.get(judged.verdict, found.as_good))
        answer(
            lambda: judged_document(by_one_law(deadweight_document(found, cost), auto=auto), judged),
            lambda: with_verdict(in_one_law(found.sheets(cost), auto=auto), judged, truth.runs.notes),
        )
