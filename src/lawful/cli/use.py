"""``lawful predict`` and ``lawful allocate``: what a saved fit implies."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from typing import Annotated

import typer

from lawful.cli import options as o
from lawful.cli.terminal import print_document, show
from lawful.errors import UnsupportedError

OneParams = Annotated[str, typer.Option("--params", metavar="N", help="Model size.")]
OneTokens = Annotated[str, typer.Option("--tokens", metavar="D", help="Training tokens.")]
FixedParams = Annotated[str | None, typer.Option("--params", metavar="N", help="Hold the model size.")]
FixedRatio = Annotated[
    str | None, typer.Option("--tokens-per-param", metavar="R", help="Hold the tokens per parameter.")
]
SomeBudgets = Annotated[
    list[str],
    typer.Option("--budget", metavar="C", help="Budget in FLOPs; repeat or separate by commas."),
]


def predict(
    fit: o.FitPath,
    params: OneParams,
    tokens: OneTokens,
    level: o.LevelOrSaved = None,
    json: o.Json = False,
) -> None:
    """
    Predict the loss of one run from a saved fit, with its interval.

    \b
    Examples:
      lawful predict result/fit.json --params 7e9 --tokens 2e12
    """
    size, data = o.parse_positive("--params", params), o.parse_positive("--tokens", tokens)
    if level is not None:
        o.check_level(level)
    from lawful.show.artifact import load_analysis
    from lawful.show.document import predict_document

    document = predict_document(load_analysis(fit), size, data, level=level)
    if json:
        print_document(document)
        return
    from lawful.show.tables import predict_line

    show([predict_line(document)])


def allocate(
    fit: o.FitPath,
    budget: SomeBudgets,
    params: FixedParams = None,
    tokens_per_param: FixedRatio = None,
    level: o.LevelOrSaved = None,
    json: o.Json = False,
) -> None:
    """
    Say how large a model and how many tokens a budget should buy, from a saved fit.

    \b
    Examples:
      lawful allocate result/fit.json --budget 3.8e25
      lawful allocate result/fit.json --budget 1e24 --params 70e9
      lawful allocate result/fit.json --budget 1e24 --tokens-per-param 20
    """
    budgets = o.parse_budgets(budget)
    size = None if params is None else o.parse_positive("--params", params)
    ratio = None if tokens_per_param is None else o.parse_positive("--tokens-per-param", tokens_per_param)
    if size is not None and ratio is not None:
        msg = "--params and --tokens-per-param both fix the choice; give one of them."
        raise UnsupportedError(msg)
    if level is not None:
        o.check_level(level)
    from lawful.infer.detour import allocate_again
    from lawful.show.artifact import load_analysis
    from lawful.show.document import allocate_document

    analysis = load_analysis(fit)
    at = analysis.level if level is None else level
    allocations = [allocate_again(analysis, c, params=size, tokens_per_param=ratio, level=at) for c in budgets]
    if json:
        print_document(allocate_document(analysis, allocations, level=at))
        return
    from lawful.show.tables import allocations_parts

    show(allocations_parts(analysis, allocations, level=at))
