"""``lawful profile``, ``dial``, ``indifference`` and ``lack-of-fit``: how much of an answer the runs decide."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from typing import Annotated

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.splice import Omit
from lawful.cli.terminal import working

Quantity = Annotated[
    str,
    typer.Option("--quantity", metavar="NAME", help="A coefficient, a, b, or params, tokens, loss at --budget."),
]
Epsilon = Annotated[
    str | None,
    typer.Option("--within", metavar="X", help="Loss in nats that does not matter. Default: one run's noise."),
]
OnlyLevel = Annotated[o.Sampling, Omit("draws", "intervals", "cluster", "seed", "yes")]
OnlySeed = Annotated[o.Sampling, Omit("draws", "intervals", "cluster", "level", "yes")]
NoFigures = Annotated[o.Output, Omit("figures")]


def profile(
    fit: o.FitPath, *, quantity: Quantity, budget: o.Budget = None, sampling: OnlyLevel, output: NoFigures
) -> None:
    """
    Say how the misfit rises along one quantity with everything else refitted, and where its interval ends.

    \b
    Examples:
      lawful profile result/fit.json --quantity alpha
      lawful profile result/fit.json --quantity params --budget 1e24 --level 0.95 --json
    """
    at = None if budget is None else values.parse_budget("--budget", budget)
    from lawful.show.choices import judged_document, with_verdict
    from lawful.show.files.artifact import load_fit
    from lawful.show.files.document import profile_document
    from lawful.trust.verdict import judge
    from lawful.uncertainty.profile import profile as take_profile

    with output.answering("profile") as answer, working("Profiling", quiet=output.json):
        source = load_fit(fit)
        found = take_profile(source, quantity, budget=at, level=sampling.level)
        judged = judge(source, [] if at is None else [at])
        answer(
            lambda: judged_document(profile_document(found), judged),
            lambda: with_verdict(found.sheets(), judged, source.runs.notes),
        )


def dial(fit: o.FitPath, *, budget: o.NeededBudget, sampling: OnlyLevel, output: NoFigures) -> None:
    """
    Turn the irreducible loss through its interval, and say how the optimum and its loss at a budget follow.

    \b
    Examples:
      lawful dial result/fit.json --budget 3.8e25
    """
    at = values.parse_budget("--budget", budget)
    from lawful.show.choices import judged_document, with_verdict
    from lawful.show.files.artifact import load_fit
    from lawful.show.files.document import dial_document
    from lawful.trust.dial import asymptote_dial
    from lawful.trust.verdict import judge

    with output.answering("dial") as answer, working("Refitting", quiet=output.json):
        source = load_fit(fit)
        found, judged = asymptote_dial(source, at, level=sampling.level), judge(source, [at])
        answer(
            lambda: judged_document(dial_document(found), judged),
            lambda: with_verdict(found.sheets(), judged, source.runs.notes),
        )


def indifference(fit: o.FitPath, *, budget: o.NeededBudget, within: Epsilon = None, output: NoFigures) -> None:
    """
    Say which sizes are as good as the optimum at a budget, within the noise of one run or a loss that you name.

    \b
    Examples:
      lawful indifference result/fit.json --budget 3.8e25
      lawful indifference result/fit.json --budget '30 days on 1024 h100' --within 0.01
    """
    at, epsilon = values.parse_budget("--budget", budget), values.parse_optional("--within", within)
    from lawful.decide.indifference import indifference as valley
    from lawful.show.choices import judged_document, with_verdict
    from lawful.show.files.artifact import load_fit
    from lawful.show.files.document import indifference_document
    from lawful.trust.verdict import judged_told

    with output.answering("indifference") as answer:
        source = o.with_surface(load_fit(fit))
        judged, found = judged_told(source, [at]), valley(source, at, epsilon)
        answer(
            lambda: judged_document(indifference_document(found), judged),
            lambda: with_verdict(found.sheets(), judged, source.runs.notes),
        )


def lack_of_fit(fit: o.FitPath, *, sampling: OnlySeed, output: NoFigures) -> None:
    """
    Test the law against its own residuals: seeds of one run, and means across budgets.

    \b
    Examples:
      lawful lack-of-fit result/fit.json
    """
    from lawful.show.files.artifact import load_fit
    from lawful.show.files.document import lack_of_fit_document
    from lawful.trust.fitness import lack_of_fit as test_law

    with output.answering("lack-of-fit") as answer, working("Testing", quiet=output.json):
        found = test_law(o.with_surface(load_fit(fit)), seed=sampling.seed)
        answer(lambda: lack_of_fit_document(found), found.sheets)
