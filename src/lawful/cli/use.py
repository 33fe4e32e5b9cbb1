"""``lawful predict`` and ``lawful allocate``: what a saved fit implies."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lawful.cli import options as o
from lawful.cli.terminal import print_document, show
from lawful.errors import UnsupportedError

if TYPE_CHECKING:  # NumPy is loaded by the command, not by --help
    from lawful.core.cost import Cost

OneParams = Annotated[str, typer.Option("--params", metavar="N", help="Model size.")]
OneTokens = Annotated[str, typer.Option("--tokens", metavar="D", help="Training tokens.")]
FixedParams = Annotated[str | None, typer.Option("--params", metavar="N", help="Hold the model size.")]
FixedRatio = Annotated[
    str | None, typer.Option("--tokens-per-param", metavar="R", help="Hold the tokens per parameter.")
]
SomeBudgets = Annotated[
    list[str] | None,
    typer.Option("--budget", metavar="C", help="Budget in FLOPs; repeat or separate by commas."),
]
HARDWARE, CONSTRAINTS = "Hardware", "Constraints"
Gpu = Annotated[
    str | None,
    typer.Option("--gpu", metavar="NAME", help="Chip: h100, a100, h200, b200, tpu-v5p, ...", rich_help_panel=HARDWARE),
]
Count = Annotated[int, typer.Option("--count", metavar="N", help="Number of chips.", rich_help_panel=HARDWARE)]
Days = Annotated[
    float | None,
    typer.Option(
        "--days", metavar="X", help="Spend this many days of them instead of --budget.", rich_help_panel=HARDWARE
    ),
]
Mfu = Annotated[float, typer.Option("--mfu", metavar="X", help="Model FLOPs utilisation.", rich_help_panel=HARDWARE)]
Price = Annotated[
    float, typer.Option("--price", metavar="X", help="Dollars per chip and hour.", rich_help_panel=HARDWARE)
]
Sparse = Annotated[
    bool,
    typer.Option("--sparse", help="Take the peak with sparsity, as some published figures.", rich_help_panel=HARDWARE),
]
TargetLoss = Annotated[
    str | None,
    typer.Option("--loss", metavar="L", help="Reach this loss for least compute instead.", rich_help_panel=CONSTRAINTS),
]
MinRatio = Annotated[
    float | None,
    typer.Option("--min-tokens-per-param", metavar="R", help="Train at least so long.", rich_help_panel=CONSTRAINTS),
]
UniqueTokens = Annotated[
    str | None,
    typer.Option(
        "--unique-tokens", metavar="U", help="Tokens there are; more means epochs.", rich_help_panel=CONSTRAINTS
    ),
]
InferenceTokens = Annotated[
    str | None,
    typer.Option(
        "--inference-tokens", metavar="D", help="Tokens to be served: 2N FLOPs each.", rich_help_panel=CONSTRAINTS
    ),
]
InferenceMfu = Annotated[
    float | None,
    typer.Option("--inference-mfu", metavar="X", help="MFU of serving; that of training.", rich_help_panel=CONSTRAINTS),
]
Sizes = Annotated[
    str | None,
    typer.Option("--sizes", metavar="N,N,...", help="Allowed model sizes.", rich_help_panel=CONSTRAINTS),
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
    from lawful.show.files.artifact import load_analysis
    from lawful.show.files.document import predict_document

    document = predict_document(load_analysis(fit), size, data, level=level)
    if json:
        print_document(document)
        return
    from lawful.show.tables import predict_line

    show([predict_line(document)])


def allocate(
    fit: o.FitPath,
    budget: SomeBudgets = None,
    params: FixedParams = None,
    tokens_per_param: FixedRatio = None,
    gpu: Gpu = None,
    count: Count = 1,
    days: Days = None,
    mfu: Mfu = 0.5,
    price: Price = 2.0,
    sparse: Sparse = False,
    loss: TargetLoss = None,
    min_tokens_per_param: MinRatio = None,
    unique_tokens: UniqueTokens = None,
    inference_tokens: InferenceTokens = None,
    inference_mfu: InferenceMfu = None,
    sizes: Sizes = None,
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
      lawful allocate result/fit.json --gpu h100 --count 1024 --days 30
      lawful allocate result/fit.json --budget 1e24 --unique-tokens 5e11
      lawful allocate result/fit.json --loss 2.1 --inference-tokens 1e13 --sizes 7e9,13e9,70e9
    """
    size = None if params is None else o.parse_positive("--params", params)
    ratio = None if tokens_per_param is None else o.parse_positive("--tokens-per-param", tokens_per_param)
    if size is not None and ratio is not None:
        msg = "--params and --tokens-per-param both fix the choice; give one of them."
        raise UnsupportedError(msg)
    if level is not None:
        o.check_level(level)
    goal = None if loss is None else o.parse_positive("--loss", loss)
    from lawful.core.cost import Cost

    cost = None if gpu is None else Cost.on(gpu, rate="sparse" if sparse else "dense", mfu=mfu, price=price)
    budgets = _budgets(budget, days, count, goal, cost)
    from lawful.decide.constraints import Constraints, Demand, optimise
    from lawful.show.choices import allocate_document_with, choices_parts
    from lawful.show.files.artifact import load_analysis

    demand = []
    if inference_tokens is not None:
        serving = None if inference_mfu is None else Cost(mfu=inference_mfu)
        demand.append(Demand(o.parse_positive("--inference-tokens", inference_tokens), serving))
    rules = Constraints(
        sizes=None if sizes is None else tuple(o.parse_positive("--sizes", part) for part in sizes.split(",")),
        min_tokens_per_param=min_tokens_per_param,
        unique_tokens=None if unique_tokens is None else o.parse_positive("--unique-tokens", unique_tokens),
        demand=tuple(demand),
    )
    analysis = load_analysis(fit)
    at = analysis.level if level is None else level
    allocations = [analysis.allocate(c, params=size, tokens_per_param=ratio, level=at) for c in budgets]
    found = []
    if goal is not None or rules != Constraints():
        surface = getattr(analysis.fit, "surface", None)
        if surface is None:
            msg = f"{analysis.method} fits no surface, so it cannot weigh constraints; fit with vpnls or approach3."
            raise UnsupportedError(msg)
        asked: list[dict[str, float]] = [{"loss": goal}] if goal is not None else [{"budget": c} for c in budgets]
        found = [optimise(surface, constraints=rules, cost=Cost(mfu=mfu), **one) for one in asked]
    if json:
        print_document(allocate_document_with(analysis, allocations, found, level=at, cost=cost, count=count))
        return
    show(choices_parts(analysis, allocations, found, level=at, cost=cost, count=count))


def _budgets(
    budget: list[str] | None, days: float | None, count: int, loss: float | None, cost: Cost | None
) -> tuple[float, ...]:
    """Budgets as given, or what the chips do in the days; none where a loss is the goal."""
    ways = [budget is not None, days is not None, loss is not None]
    if sum(ways) != 1:
        msg = "Say what to spend or to reach: one of --budget, --days with --gpu, or --loss."
        raise UnsupportedError(msg)
    if days is None:
        return o.parse_budgets(budget)
    if cost is None:
        msg = "--days needs --gpu, the chip that the days are spent on."
        raise UnsupportedError(msg)
    return (cost.budget(count=count, days=days),)
