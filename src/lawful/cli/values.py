"""The texts of the command line as values, and the sentences for those that make no sense."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, cast

from lawful.core.numbers import format_short
from lawful.errors import UnsupportedError

if TYPE_CHECKING:  # NumPy is loaded by the commands, not by --help
    from lawful.core.cost import Cost
    from lawful.core.objective import Objective, ObjectiveName

SEVERAL = re.compile(r",(?!\d{3}(?:,|\s|$|[a-z$]))", re.IGNORECASE)
"""A comma between budgets; the one between thousands has three digits behind it and no exponent."""


def split(values: Sequence[str] | None) -> list[str]:
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
    return parse_pairs("--columns", split(values))


def parse_rows(values: Sequence[str] | None) -> tuple[int | str, ...]:
    """
    Read rows and ranges of rows, or the word for those without a number.

    Examples
    --------
    >>> parse_rows(["3,17-19"]), parse_rows(None), parse_rows(["nan"])
    ((3, 17, 18, 19), (), ('nan',))
    """
    from lawful.data.selection import rows_named

    return rows_named([part for value in values or [] for part in value.split(",")])


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


def parse_names(values: Sequence[str] | None) -> list[str]:
    """
    Read names, several to a text.

    Examples
    --------
    >>> parse_names(["alpha, beta", "E"])
    ['alpha', 'beta', 'E']
    """
    return [word.strip() for text in values or () for word in text.split(",") if word.strip()]


def parse_pins(option: str, values: Sequence[str]) -> dict[str, float | str]:
    """
    Read NAME=NUMBER texts, NAME=NUMBER±WIDTH, or NAME=FORMULA of other coefficients.

    Examples
    --------
    >>> parse_pins("--fix", ["E=1.69", "alpha=beta"])
    {'E': 1.69, 'alpha': 'beta'}
    >>> parse_pins("--fix", ["E=1.6+-0.1"]), parse_pins("--fix", ["E=1.4:1.8:5"])
    ({'E': '1.6+-0.1'}, {'E': '1.4:1.8:5'})
    """
    from lawful.estimate.priors import GRID, prior_of

    found: dict[str, float | str] = {}
    for name, text in parse_pairs(option, values).items():
        if GRID.fullmatch(text) or prior_of(text) is not None:
            found[name] = text
            continue
        is_tie = re.match(r"[^\W\d]", text) is not None and text.casefold() not in ("nan", "inf", "infinity")
        found[name] = text if is_tie else parse_number(f"{option} {name}", text)
    return found


def parse_floors(pins: Mapping[str, float | str]) -> tuple[str, list[float | str]]:
    """
    Return the coefficient that is held, and the values it is held at.

    Examples
    --------
    >>> parse_floors({"E": "1.4:1.8:3"})
    ('E', [1.4, 1.6, 1.8])
    """
    if len(pins) != 1:
        msg = f"An audit holds one coefficient, --fix E=1.4:1.8:5; got {', '.join(pins)}."
        raise UnsupportedError(msg)
    ((name, given),) = pins.items()
    if not (isinstance(given, str) and given.count(":") == 2):
        from lawful.estimate.priors import prior_of

        if isinstance(given, str) and prior_of(given) is None:
            msg = f"--fix {name} takes a number, a width or a range of an audit, E=1.4:1.8:5; got {given!r}."
            raise UnsupportedError(msg)
        return name, [given]
    low, high = (parse_number(f"--fix {name}", part) for part in given.split(":")[:2])
    count = int(given.split(":")[2])
    if not (low < high and 2 <= count <= MOST_FLOORS):
        msg = f"--fix {name} takes LOW:HIGH:COUNT, the lower value first, 2 to {MOST_FLOORS} of them; got {given!r}."
        raise UnsupportedError(msg)
    step = (high - low) / (count - 1)
    return name, [round(low + i * step, 12) for i in range(count)]


MOST_FLOORS = 200
"""Values that a range may hold."""


def parse_numbers(option: str, values: Sequence[str]) -> dict[str, float]:
    """Read NAME=NUMBER texts."""
    return {name: parse_number(f"{option} {name}", text) for name, text in parse_pairs(option, values).items()}


def parse_amounts(option: str, values: Sequence[str] | None) -> dict[str, float]:
    """
    Read NAME=AMOUNT texts, amounts as people say them.

    Examples
    --------
    >>> parse_amounts("--given", ["experts=16,tokens=2T"])
    {'experts': 16.0, 'tokens': 2000000000000.0}
    """
    pairs = parse_pairs(option, split(values))
    # A share of the data may be 0; what must be positive is known where the law is.
    return {k: 0.0 if _is_zero(text) else parse_positive(f"{option} {k}", text) for k, text in pairs.items()}


def _is_zero(text: str) -> bool:
    try:
        return float(text) == 0
    except ValueError:
        return False


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


def parse_ranges(option: str, values: Sequence[str] | None) -> dict[str, tuple[float, float]]:
    """
    Read NAME=LOW:HIGH texts.

    Examples
    --------
    >>> parse_ranges("--bounds", ["alpha=0.01:1.5,beta=0:2"])
    {'alpha': (0.01, 1.5), 'beta': (0.0, 2.0)}
    """
    return {name: _range(option, name, text) for name, text in parse_pairs(option, split(values)).items()}


def _range(option: str, name: str, text: str) -> tuple[float, float]:
    low_text, colon, high_text = text.partition(":")
    if not colon:
        msg = f"{option} takes NAME=LOW:HIGH, got '{name}={text}'."
        raise UnsupportedError(msg)
    low, high = parse_number(f"{option} {name}", low_text), parse_number(f"{option} {name}", high_text)
    if low >= high:
        msg = f"{option} {name} needs a lower end below its upper end, got {text!r}."
        raise UnsupportedError(msg)
    return low, high


def parse_budgets(
    values: Sequence[str] | None, *, cost: Cost | None = None, option: str = "--budget"
) -> tuple[float, ...]:
    """
    Read budgets in the order given, each as :func:`lawful.core.amounts.parse_budget` does.

    Examples
    --------
    >>> parse_budgets(["1e22,3.8e25", "100 PF-days"])
    (1e+22, 3.8e+25, 8.64e+21)
    """
    return tuple(parse_budget(option, text, cost=cost) for text in budget_texts(values))


def parse_budget(option: str, text: str, *, cost: Cost | None = None) -> float:
    """Read one budget: FLOPs, accelerators and time, or money."""
    from lawful.core.amounts import parse_budget as parse

    return parse(text, option, cost=cost)


def budget_texts(values: Sequence[str] | None) -> list[str]:
    """
    Take apart budgets that commas separate; the commas of $5,000,000 separate nothing.

    Examples
    --------
    >>> budget_texts(["1e22, 100e21", "$5,000,000"])
    ['1e22', '100e21', '$5,000,000']
    """
    return [text.strip() for value in values or [] for text in SEVERAL.split(value)]


def any_spoken(given: Sequence[str] | None) -> bool:
    """Whether one of the budgets is in accelerators or money, so that what they cost is part of the answer."""
    from lawful.core.amounts import is_spoken

    return any(is_spoken(text) for text in budget_texts(given))


def parse_positive(what: str, value: str | float) -> float:
    """Read a number above zero: 7e9, 7B or 7,000,000,000."""
    from lawful.core.amounts import parse_positive as parse

    return parse(value, what)


def parse_optional(what: str, value: str | None) -> float | None:
    """Read a number above zero where one was given."""
    return None if value is None else parse_positive(what, value)


def parse_finite(what: str, value: str | None) -> float | None:
    """Read a number of either sign where one was given."""
    from lawful.core.amounts import parse_amount

    return None if value is None else parse_amount(value, what)


def parse_objective(name: str | None, delta: str | None) -> Objective | None:
    """Build the objective; without a name the method chooses, and a delta alone has nothing to widen."""
    if name is None:
        if delta is not None:
            msg = "--delta belongs to a Huber objective; add --objective huber or log-huber."
            raise UnsupportedError(msg)
        return None
    from lawful.core.objective import AUTO, Objective

    return Objective(
        cast("ObjectiveName", name), delta if delta is None or delta == AUTO else parse_number("--delta", delta)
    )


def check_sampling(*, draws: int | None, level: float, seed: int) -> None:
    """Refuse a number of draws, a level or a seed that makes no sense."""
    if draws is not None and draws < 0:
        msg = f"--draws must be 0 or more draws, got {draws}."
        raise UnsupportedError(msg)
    check_level(level)
    if seed < 0:
        msg = f"--seed must be 0 or more, got {seed}."
        raise UnsupportedError(msg)


def check_level(level: float | None) -> None:
    """Refuse a level outside (0, 1); without one that of the fit is meant."""
    if level is not None and not 0 < level < 1:
        msg = f"--level must lie between 0 and 1, got {format_short(level)}."
        raise UnsupportedError(msg)
