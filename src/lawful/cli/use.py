"""``lawful predict`` and ``lawful allocate``: what a saved fit implies."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.splice import Omit
from lawful.cli.terminal import working
from lawful.errors import UnsupportedError

if TYPE_CHECKING:  # NumPy is loaded by the command, not by --help
    from lawful.analysis.analysis import Analysis
    from lawful.analysis.ranked import RankedLaws
    from lawful.core.cost import Cost
    from lawful.decide.constraints import Constraints

OneParams = Annotated[str | None, typer.Option("--params", metavar="N", help="Model size: 7e9 or 7B.")]
OneTokens = Annotated[str | None, typer.Option("--tokens", metavar="D", help="Training tokens: 2e12 or 2T.")]
OneBudget = Annotated[
    str | None, typer.Option("--budget", metavar="C", help="Training FLOPs, in place of one of the two: 1e24.")
]
Points = Annotated[
    str | None,
    typer.Option(
        "--points",
        metavar="TABLE",
        help="Runs instead, with two of params, tokens, budget.",
        rich_help_panel=o.DATA,
    ),
]
FixedParams = Annotated[str | None, typer.Option("--params", metavar="N", help="Hold the model size: 7e9 or 7B.")]
FixedRatio = Annotated[
    str | None, typer.Option("--tokens-per-param", metavar="R", help="Hold the tokens per parameter.")
]
CONSTRAINTS = "Constraints"
Count = Annotated[int, typer.Option("--count", metavar="N", help="Number of chips.", rich_help_panel=o.HARDWARE)]
Days = Annotated[
    float | None,
    typer.Option(
        "--days", metavar="X", help="Spend this many days of them instead of --budget.", rich_help_panel=o.HARDWARE
    ),
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
PRICE = "Price and limits"
OwnCost = Annotated[
    str | None,
    typer.Option(
        "--cost",
        metavar="FORMULA",
        help="What a run costs, in columns of the law: '6*active*tokens'. Default: FLOPs.",
        rich_help_panel=PRICE,
    ),
]
Limits = Annotated[
    list[str] | None,
    typer.Option(
        "--limit", metavar="CONDITION", help="What a run must respect: 'active*experts <= 1e11'.", rich_help_panel=PRICE
    ),
]
Given = Annotated[
    list[str] | None,
    typer.Option("--given", metavar="COLUMN=X", help="Hold a column: experts=16.", rich_help_panel=PRICE),
]
Ranges = Annotated[
    list[str] | None,
    typer.Option(
        "--range",
        metavar="COLUMN=LOW:HIGH",
        help="Where a column may lie. Default: as sampled; sizes and tokens anywhere.",
        rich_help_panel=PRICE,
    ),
]


def predict(
    fit: o.FitPath,
    *,
    params: OneParams = None,
    tokens: OneTokens = None,
    budget: OneBudget = None,
    points: Points = None,
    unique_tokens: UniqueTokens = None,
    cost: OwnCost = None,
    given: Given = None,
    reading: Annotated[o.Reading, Omit("weights", "check", "best_of_cell", "group_by", "row_of_run", "fill_down")],
    level: o.LevelOrSaved = None,
    output: Annotated[o.Output, Omit("figures")],
) -> None:
    """
    Predict the loss of one run from a saved fit, or of every run of a table, with intervals.

    Two of --params, --tokens and --budget say which run; a law of one column needs that alone.
    With --points the folder of --out gets predicted.csv: the table with the losses and their intervals behind it.

    \b
    Examples:
      lawful predict result/fit.json --params 7B --tokens 2T
      lawful predict hestness/fit.json --tokens 2T
      lawful predict result/fit.json --points candidates.csv --out predicted
      lawful predict moe/fit.json --params 1B --tokens 1T --given num_experts=16
      lawful predict repeated/fit.json --params 1B --tokens 1T --unique-tokens 100B
    """
    if points is not None:
        if params or tokens or budget or given or unique_tokens:
            msg = (
                "--points has the columns of every run; leave --params, --tokens, --budget, --unique-tokens and "
                "--given out."
            )
            raise UnsupportedError(msg)
        _predict_table(fit, points, reading, level, cost, output)
        return
    if params is None and tokens is None and budget is None and not given:
        msg = "A run has parameters and tokens; give --params and --tokens, or a table with --points."
        raise UnsupportedError(msg)
    reading.needs_table("--points")
    size, data = values.parse_optional("--params", params), values.parse_optional("--tokens", tokens)
    spent = values.parse_optional("--budget", budget)
    values.check_level(level)
    from lawful.show.choices import predict_sentence
    from lawful.show.files.document import predict_document
    from lawful.show.files.loading import load

    with output.answering("predict") as answer:
        held, loaded = dict(values.parse_amounts("--given", given)), load(fit, budgets=())
        _require_fit(loaded)
        if unique_tokens is not None:
            held[_unique(loaded)] = values.parse_positive("--unique-tokens", unique_tokens)
        document = predict_document(loaded, size, data, budget=spent, level=level, cost=cost, given=held)
        answer(lambda: document, lambda: [predict_sentence(document)])


def _require_fit(loaded: Any) -> None:
    from lawful.analysis.ranked import RankedLaws

    if isinstance(loaded, RankedLaws):
        msg = "A ranking of laws predicts the runs of a table; give it with --points."
        raise UnsupportedError(msg)


def _predict_ranked(ranked: RankedLaws, points: str, output: o.Output) -> None:
    """Predict a table by the mean of the best laws of a ranking, doubts first."""
    from lawful.analysis.ranked import predicted_document, predicted_lines
    from lawful.design.points import read_points
    from lawful.show.files.bundle import write_columns, write_document

    with output.staged() as stage:
        rows = read_points(points, "runs to predict")
        document = predicted_document(ranked, rows)
        if stage is not None:
            write_columns(stage / "predicted.csv", {**rows.table.columns, "predicted_loss": ranked.predict(rows)})
            write_document(stage / "predict.json", document)
    output.give(lambda: document, lambda: predicted_lines(document))


def _predict_table(
    fit: str, points: str, reading: o.Reading, level: float | None, cost: str | None, output: o.Output
) -> None:
    """Predict every run of a table, and write the table again with what was predicted."""
    values.check_level(level)
    from lawful.analysis.predictions import predict_points
    from lawful.analysis.ranked import RankedLaws
    from lawful.show.files.bundle import write_columns, write_document
    from lawful.show.files.document import predictions_document
    from lawful.show.files.loading import load

    loaded, asked = load(fit, budgets=()), reading.words()
    if isinstance(loaded, RankedLaws):
        if level is not None or cost is not None or any(asked.values()):
            msg = "A ranking of laws forecasts the mean loss of a whole table, without intervals; give --points alone."
            raise UnsupportedError(msg)
        _predict_ranked(loaded, points, output)
        return
    with output.staged() as stage, working("Predicting", quiet=output.json):
        rows = {name: asked[name] for name in ("columns", "select", "where", "drop")}
        found = predict_points(loaded, points, **rows, level=level, cost=cost)
        if stage is not None:
            write_columns(stage / "predicted.csv", found.columns())
            write_document(stage / "predict.json", predictions_document(found))
    output.give(lambda: predictions_document(found), found.sheets)


def allocate(
    fit: o.FitPath,
    *,
    budget: o.Budgets = None,
    params: FixedParams = None,
    tokens_per_param: FixedRatio = None,
    spending: o.Spending,
    count: Count = 1,
    days: Days = None,
    loss: TargetLoss = None,
    min_tokens_per_param: MinRatio = None,
    unique_tokens: UniqueTokens = None,
    inference_tokens: InferenceTokens = None,
    inference_mfu: InferenceMfu = None,
    sizes: Sizes = None,
    cost: OwnCost = None,
    limit: Limits = None,
    given: Given = None,
    range_: Ranges = None,
    level: o.LevelOrSaved = None,
    output: Annotated[o.Output, Omit("figures")],
) -> None:
    """
    Say how large a model and how many tokens a budget should buy, from a saved fit.

    \b
    Examples:
      lawful allocate result/fit.json --budget 3.8e25
      lawful allocate result/fit.json --budget 1e24 --params 70B
      lawful allocate result/fit.json --budget 1e24 --tokens-per-param 20
      lawful allocate result/fit.json --gpu h100 --count 1024 --days 30
      lawful allocate result/fit.json --budget '30 days on 1024 h100' --mfu 0.4
      lawful allocate result/fit.json --budget '$5M' --price 2.5
      lawful allocate result/fit.json --budget 1e24 --unique-tokens 500B
      lawful allocate result/fit.json --loss 2.1 --inference-tokens 10T --sizes 7B,13B,70B
      lawful allocate moe/fit.json --budget 1e24 --cost '6*active*tokens' --limit 'active*experts <= 1e11'
    """
    held = {
        "params": values.parse_optional("--params", params),
        "tokens_per_param": values.parse_optional("--tokens-per-param", tokens_per_param),
    }
    if None not in held.values():
        msg = "--params and --tokens-per-param both fix the choice; give one of them."
        raise UnsupportedError(msg)
    values.check_level(level)
    goal, hardware = values.parse_finite("--loss", loss), spending.cost()
    budgets = _budgets(budget, days, count, goal, spending)
    rules = _constraints(sizes, min_tokens_per_param, unique_tokens, inference_tokens, inference_mfu)
    terms = _terms(cost, limit, given, range_)
    if terms and (goal is not None or rules != _constraints(None, None, None, None, None)):
        msg = (
            "--cost, --limit, --given and --range state the price and the limits themselves; write the other "
            "constraints as --limit or --given, or leave these out."
        )
        raise UnsupportedError(msg)
    from lawful.decide.constraints import Constraints
    from lawful.show.choices import allocate_document_with, choices_sheets
    from lawful.show.files.artifact import load

    with output.answering("allocate") as answer:
        analysis = load(fit, budgets=())
        at = analysis.level if level is None else level
        plain = rules == Constraints(unique_tokens=rules.unique_tokens)
        if rules.unique_tokens is not None and plain and held == FREE and analysis.reads_unique:
            # A law that reads the unique tokens tells the best model with its intervals.
            terms = {"given": {UNIQUE: rules.unique_tokens}}
        made = [analysis.allocate(c, **held, level=at, **terms) for c in budgets]
        found = _constrained(analysis, budgets, goal, rules, hardware)
        in_money = (spending.gpu is not None or values.any_spoken(budget)) and cost is None
        shown: dict[str, Any] = {"level": at, "cost": hardware if in_money else None, "count": count}
        answer(
            lambda: allocate_document_with(analysis, made, found, **shown),
            lambda: choices_sheets(analysis, made, found, **shown),
        )


UNIQUE = "U"
"""The unique tokens, as laws of repeated data name them."""

FREE = {"params": None, "tokens_per_param": None}
"""What is held where nothing is."""


def _unique(analysis: Analysis) -> str:
    """Return the column of unique tokens, if the law has one."""
    if not analysis.reads_unique:
        law = getattr(getattr(analysis.fit, "surface", None), "law", None)
        name = analysis.method if law is None else f"The {law.name} law"
        msg = f"{name} does not read unique tokens; fit a law of repeated data, such as --law muennighoff."
        raise UnsupportedError(msg)
    return UNIQUE


def _terms(
    cost: str | None, limits: list[str] | None, given: list[str] | None, ranges: list[str] | None
) -> dict[str, Any]:
    """Return the price and the limits of a run as Python takes them; nothing where none were given."""
    told: dict[str, Any] = {
        "cost": cost,
        "limits": limits or (),
        "given": values.parse_amounts("--given", given),
        "ranges": values.parse_ranges("--range", ranges),
    }
    return {name: value for name, value in told.items() if value}


def _budgets(
    budget: list[str] | None, days: float | None, count: int, loss: float | None, spending: o.Spending
) -> tuple[float, ...]:
    """Budgets as given, or what the chips do in the days; none where a loss is the goal."""
    ways = [budget is not None, days is not None, loss is not None]
    if sum(ways) != 1:
        msg = "Say what to spend or to reach: one of --budget, --days with --gpu, or --loss."
        raise UnsupportedError(msg)
    if days is None:
        return values.parse_budgets(budget, cost=spending.cost())
    if spending.gpu is None:
        msg = "--days needs --gpu, the chip that the days are spent on."
        raise UnsupportedError(msg)
    return (spending.cost().budget(count=count, days=days),)


def _constraints(
    sizes: str | None,
    min_ratio: float | None,
    unique_tokens: str | None,
    inference_tokens: str | None,
    inference_mfu: float | None,
) -> Constraints:
    """Return what the choice must respect besides the budget."""
    from lawful.core.cost import Cost
    from lawful.decide.constraints import Constraints, Demand

    served = values.parse_optional("--inference-tokens", inference_tokens)
    serving = None if inference_mfu is None else Cost(mfu=inference_mfu)
    return Constraints(
        sizes=None if sizes is None else tuple(values.parse_positive("--sizes", part) for part in sizes.split(",")),
        min_tokens_per_param=min_ratio,
        unique_tokens=values.parse_optional("--unique-tokens", unique_tokens),
        demand=() if served is None else (Demand(served, serving),),
    )


def _constrained(
    analysis: Analysis, budgets: tuple[float, ...], goal: float | None, rules: Constraints, cost: Cost
) -> list[Any]:
    """Return the best choice under the constraints, one per budget or for the loss; none where nothing binds."""
    from lawful.core.cost import Cost
    from lawful.decide.constraints import Constraints, optimise

    if goal is None and rules == Constraints():
        return []
    surface = analysis.fit.surface
    if surface is None:
        msg = f"{analysis.method} fits no surface, so it cannot weigh constraints; fit with vpnls or approach3."
        raise UnsupportedError(msg)
    asked: list[dict[str, float]] = [{"loss": goal}] if goal is not None else [{"budget": c} for c in budgets]
    return [optimise(surface, constraints=rules, cost=Cost(mfu=cost.mfu), **one) for one in asked]
