"""The options that verbs share, and the sentences for values that make no sense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lawful.core.validation import is_positive
from lawful.errors import UnsupportedError

if TYPE_CHECKING:  # NumPy is loaded by the commands, not by --help
    from lawful.core.objective import Objective


class MethodName(StrEnum):
    """The four ways to fit, under the names the field knows."""

    vpnls = "vpnls"
    approach1 = "approach1"
    approach2 = "approach2"
    approach3 = "approach3"


class ObjectiveChoice(StrEnum):
    """What may be minimised."""

    squared = "squared"
    huber = "huber"
    log_huber = "log-huber"
    log_squared = "log-squared"


class SchemeName(StrEnum):
    """Where intervals come from."""

    profile = "profile"
    delta = "delta"
    within_budget = "within-budget"
    rows = "rows"
    wild = "wild"
    residual = "residual"
    cluster = "cluster"
    none = "none"


DATA, FITTING, UNCERTAINTY, OUTPUT = "Data", "Fitting", "Uncertainty", "Output"

RunsPath = Annotated[str, typer.Argument(metavar="RUNS", help="Table of runs: CSV, TSV, JSONL or Parquet.")]
FitPath = Annotated[str, typer.Argument(metavar="FIT.json", help="A fit.json written by lawful fit --out.")]
Budgets = Annotated[
    list[str] | None,
    typer.Option("--budget", metavar="C", help="Budget in FLOPs to allocate; repeat or separate by commas."),
]
Method = Annotated[MethodName, typer.Option("--method", help="How to fit.", rich_help_panel=FITTING)]
MethodOrDefault = Annotated[
    MethodName | None,
    typer.Option(
        "--method",
        help="How to fit. Default: vpnls, approach3 for laws that are no sum of powers.",
        rich_help_panel=FITTING,
    ),
]
LawName = Annotated[
    str, typer.Option("--law", metavar="NAME", help="Law of the catalogue, such as skaling.", rich_help_panel=FITTING)
]
ObjectiveOption = Annotated[
    ObjectiveChoice | None,
    typer.Option(
        "--objective",
        help="What to minimise. Default: squared for vpnls, log-huber for approach3.",
        rich_help_panel=FITTING,
    ),
]
Delta = Annotated[
    str | None,
    typer.Option(
        "--delta", help="Width of the Huber objectives (1e-3), or auto: from the residuals.", rich_help_panel=FITTING
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--columns", metavar="QUANTITY=COLUMN", help="Name a column: params=my_col.", rich_help_panel=DATA),
]
Select = Annotated[
    list[str] | None,
    typer.Option("--select", metavar="COLUMN=VALUE", help="Keep the rows with this value.", rich_help_panel=DATA),
]
By = Annotated[
    str | None,
    typer.Option("--by", metavar="COLUMN", help="Fit each group of this column on its own.", rich_help_panel=DATA),
]
Weights = Annotated[
    str | None, typer.Option("--weights", metavar="COLUMN", help="Column of run weights.", rich_help_panel=DATA)
]
Check = Annotated[
    bool,
    typer.Option("--check", help="Leave out the runs that lawful check flags, and say so.", rich_help_panel=DATA),
]
Scale = Annotated[
    list[str] | None,
    typer.Option(
        "--scale",
        metavar="QUANTITY=UNIT",
        help="Units that A and B refer to: params=1e6,tokens=1e9.",
        rich_help_panel=OUTPUT,
    ),
]
Fix = Annotated[
    list[str] | None,
    typer.Option("--fix", metavar="NAME=VALUE", help="Hold a coefficient: E=1.69.", rich_help_panel=FITTING),
]
Bounds = Annotated[
    list[str] | None,
    typer.Option(
        "--bounds", metavar="NAME=LOW:HIGH", help="Bound a coefficient: alpha=0.01:1.5.", rich_help_panel=FITTING
    ),
]
DrawsOption = Annotated[
    int | None,
    typer.Option(
        "--bootstrap",
        metavar="N",
        help="Intervals from N bootstrap draws; 0 for no intervals.",
        rich_help_panel=UNCERTAINTY,
    ),
]
Scheme = Annotated[
    SchemeName | None,
    typer.Option(
        "--intervals",
        "--scheme",
        help="Where intervals come from. Default: profile, within-budget for methods without a surface.",
        rich_help_panel=UNCERTAINTY,
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option("--cluster", metavar="COLUMN", help="Labels of runs drawn together.", rich_help_panel=UNCERTAINTY),
]
Level = Annotated[float, typer.Option("--level", help="Level of the intervals.", rich_help_panel=UNCERTAINTY)]
LevelOrSaved = Annotated[
    float | None, typer.Option("--level", help="Level of the intervals; that of the fit by default.")
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of every random draw.", rich_help_panel=UNCERTAINTY)]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Write the results here, all or nothing.",
        rich_help_panel=OUTPUT,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print strict JSON.", rich_help_panel=OUTPUT)]
Figures = Annotated[
    bool, typer.Option("--figures/--no-figures", help="Write figures with --out.", rich_help_panel=OUTPUT)
]


@dataclass(frozen=True, slots=True)
class Request:
    """What ``fit`` and ``compare`` were asked, checked and parsed."""

    columns: dict[str, str]
    select: dict[str, tuple[str, ...]]
    weights: str | None
    budgets: tuple[float, ...]
    objective: Objective | None
    fixed: dict[str, float]
    bounds: dict[str, tuple[float, float]]
    scale: dict[str, float] = field(default_factory=dict)
    check: bool = False


def method_for(method: MethodName | None, law: str) -> str:
    """Return the method asked for, or the one that fits the law; an unknown law is refused with the catalogue."""
    from lawful.laws.laws import find_law

    separable = find_law(law).separable
    if method is not None:
        return method.value
    return "vpnls" if separable else "approach3"


def parse_request(
    *,
    columns: list[str] | None,
    select: list[str] | None,
    weights: str | None,
    budget: list[str] | None,
    objective: ObjectiveChoice | None,
    delta: str | None,
    fix: list[str] | None,
    bounds: list[str] | None,
    scale: list[str] | None,
    check: bool = False,
    method: str | None = None,
) -> Request:
    """Turn the texts of the command line into values, or say which one makes no sense."""
    from lawful.show.files.document import check_scale

    if objective is None and delta is not None and method == "approach3":
        objective = ObjectiveChoice("log-huber")  # the method's own objective, at another width
    return Request(
        columns=parse_columns(columns),
        select=parse_selection(select),
        weights=weights,
        budgets=parse_budgets(budget),
        objective=parse_objective(objective, delta),
        fixed=parse_numbers("--fix", _split(fix)),
        bounds={name: _parse_range(name, text) for name, text in parse_pairs("--bounds", _split(bounds)).items()},
        scale=check_scale(parse_numbers("--scale", _split(scale))),
        check=check,
    )


def _split(values: Sequence[str] | None) -> list[str]:
    """Split comma-separated pairs; a comma inside a name stays, since every piece must hold an equals sign."""
    pieces: list[str] = []
    for value in values or []:
        parts = [part.strip() for part in value.split(",")]
        pieces += parts if all("=" in part for part in parts) else [value]
    return pieces


def parse_columns(values: Sequence[str] | None) -> dict[str, str]:
    """
    Read QUANTITY=COLUMN texts, repeated or separated by commas.

    Examples
    --------
    >>> parse_columns(["params=n,tokens=d", "loss=eval"])
    {'params': 'n', 'tokens': 'd', 'loss': 'eval'}
    """
    return parse_pairs("--columns", _split(values))


def parse_selection(values: Sequence[str] | None) -> dict[str, tuple[str, ...]]:
    """
    Read COLUMN=VALUE texts; a column given twice keeps the rows of either value.

    A value may hold a comma, so none is split here.

    Examples
    --------
    >>> parse_selection(["data=web", "data=books, old"])
    {'data': ('web', 'books, old')}
    """
    chosen: dict[str, tuple[str, ...]] = {}
    for text in values or []:
        for column, value in parse_pairs("--select", [text]).items():
            chosen[column] = (*chosen.get(column, ()), value)
    return chosen


def parse_pairs(option: str, values: Sequence[str]) -> dict[str, str]:
    """
    Read NAME=VALUE texts.

    Examples
    --------
    >>> parse_pairs("--select", ["experiment=a=b"])
    {'experiment': 'a=b'}
    """
    pairs: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not (equals and name.strip() and text.strip()):
            msg = f"{option} takes NAME=VALUE, got {value!r}."
            raise UnsupportedError(msg)
        if name.strip() in pairs:
            msg = f"{option} names {name.strip()!r} twice; give it once."
            raise UnsupportedError(msg)
        pairs[name.strip()] = text.strip()
    return pairs


def parse_numbers(option: str, values: Sequence[str]) -> dict[str, float]:
    """Read NAME=NUMBER texts."""
    return {name: parse_number(f"{option} {name}", text) for name, text in parse_pairs(option, values).items()}


def parse_number(what: str, text: str) -> float:
    """Read one finite number."""
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        msg = f"{what} must be a finite number, got {text!r}."
        raise UnsupportedError(msg)
    return number


def _parse_range(name: str, text: str) -> tuple[float, float]:
    low_text, colon, high_text = text.partition(":")
    if not colon:
        msg = f"--bounds takes NAME=LOW:HIGH, got '{name}={text}'."
        raise UnsupportedError(msg)
    low, high = parse_number(f"--bounds {name}", low_text), parse_number(f"--bounds {name}", high_text)
    if low >= high:
        msg = f"--bounds {name} needs a lower end below its upper end, got {text!r}."
        raise UnsupportedError(msg)
    return low, high


def parse_budgets(values: Sequence[str] | None) -> tuple[float, ...]:
    """
    Read budgets in FLOPs, in the order given.

    Examples
    --------
    >>> parse_budgets(["1e22,3.8e25"])
    (1e+22, 3.8e+25)
    """
    texts = [text.strip() for value in values or [] for text in value.split(",")]
    return tuple(parse_positive("--budget", text) for text in texts)


def parse_positive(what: str, value: str | float) -> float:
    """Read a number above zero."""
    number = parse_number(what, value) if isinstance(value, str) else value
    if not is_positive(number):
        msg = f"{what} must be a positive number, got {value!r}."
        raise UnsupportedError(msg)
    return number


def parse_objective(name: ObjectiveChoice | None, delta: str | None) -> Objective | None:
    """Build the objective; without a name the method chooses, and a delta alone has nothing to widen."""
    if name is None:
        if delta is not None:
            msg = "--delta belongs to a Huber objective; add --objective huber or log-huber."
            raise UnsupportedError(msg)
        return None
    from lawful.core.objective import AUTO, Objective

    return Objective(name.value, delta if delta is None or delta == AUTO else parse_number("--delta", delta))


def check_sampling(*, draws: int | None, level: float, seed: int) -> None:
    """Refuse a number of draws, a level or a seed that makes no sense."""
    if draws is not None and draws < 0:
        msg = f"--bootstrap must be 0 or more draws, got {draws}."
        raise UnsupportedError(msg)
    check_level(level)
    if seed < 0:
        msg = f"--seed must be 0 or more, got {seed}."
        raise UnsupportedError(msg)


def check_level(level: float) -> None:
    """Refuse a level outside (0, 1)."""
    if not 0 < level < 1:
        msg = f"--level must lie between 0 and 1, got {level:g}."
        raise UnsupportedError(msg)
