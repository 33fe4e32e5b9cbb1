"""Numbers as people say them: 7B parameters, 2T tokens, 30 days on 1024 h100."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from math import isfinite

from lawful.core.cost import Cost
from lawful.core.hardware import HARDWARE, find_hardware
from lawful.errors import UnsupportedError

MULTIPLES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
"""What the letter behind a count stands for; upper and lower case mean the same."""

WORDS = {"thousand": "k", "million": "m", "billion": "b", "trillion": "t"}

PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18, "z": 1e21, "y": 1e24}
"""The prefixes of FLOPs: 2 ZFLOPs are 2e21."""

HOURS = {"hour": 1.0, "day": 24.0, "week": 168.0}

NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d*)?|(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?"
AMOUNT = rf"(?:{NUMBER})\s*(?:[kmbt](?![a-z])|{'|'.join(WORDS)})?"
CHIP = r"[a-z][a-z0-9]*(?:-(?!hours?\b|days?\b|weeks?\b)[a-z0-9]+)*"
TIME = r"hour|day|week"

BUDGET_EXAMPLES = "3e24, '30 days on 1024 h100', 10M-h100-hours, '100 PF-days' or '$5M'"


def parse_amount(text: str | float, what: str = "An amount") -> float:
    """
    Read a count such as 7B, 1.4T, 300k, 7e9 or 7,000,000,000.

    Parameters
    ----------
    text : str or float
        A number, or a text: digits, with ``k``, ``M``, ``B`` or ``T`` (thousand, million, billion, trillion) behind
        them in either case, and commas or underscores between thousands.
    what : str
        What the number is, for the message.

    Returns
    -------
    float
        Finite; of either sign.

    Raises
    ------
    UnsupportedError
        If the text is no such number.

    Examples
    --------
    >>> parse_amount("7B"), parse_amount("1.4 trillion"), parse_amount("15,000"), parse_amount(2e12)
    (7000000000.0, 1400000000000.0, 15000.0, 2000000000000.0)
    """
    if isinstance(text, (int, float)):
        number = float(text)
    else:
        found = re.fullmatch(rf"([+-]?)({NUMBER})\s*([a-z]*)", text.strip().lower())
        letter = WORDS.get(found[3], found[3]) if found else None
        if found is None or letter not in MULTIPLES:
            msg = f"{what} must be a finite number, got {text!r}; write 7e9, 7B or 1.4T."
            raise UnsupportedError(msg)
        number = float(found[1] + found[2].replace(",", "")) * MULTIPLES[letter]
    if not isfinite(number):
        msg = f"{what} must be a finite number, got {text!r}."
        raise UnsupportedError(msg)
    return number


def parse_positive(text: str | float, what: str = "An amount") -> float:
    """
    Read a count above zero, as :func:`parse_amount` does.

    Examples
    --------
    >>> parse_positive("0", "A model size")
    Traceback (most recent call last):
    ...
    lawful.errors.UnsupportedError: A model size must be a positive number, got '0'.
    """
    number = parse_amount(text, what)
    if number <= 0:
        msg = f"{what} must be a positive number, got {text!r}."
        raise UnsupportedError(msg)
    return number


def parse_budget(text: str | float, what: str = "A budget", *, cost: Cost | None = None) -> float:
    """
    Read a budget in FLOPs, in accelerators and time, or in money.

    Parameters
    ----------
    text : str or float
        FLOPs (``3e24``, ``2 ZFLOPs``), petaflop/s-days (``100 PF-days``), time on accelerators (``30 days on 1024
        h100``, ``1024 h100 for 30 days``, ``10M-h100-hours``, ``5000 gpu-hours``) or dollars (``$5M``). Behind it may
        stand ``at 40% MFU`` and ``at $2.5/h``, and behind dollars ``on h200``.
    what : str
        What the budget is, for the message.
    cost : Cost, optional
        The accelerator, MFU and price of whatever the text does not say; :class:`Cost` as it is by default
        (h100, 50% MFU, $2 per hour).

    Returns
    -------
    float
        FLOPs, above zero.

    Raises
    ------
    UnsupportedError
        If the text is no budget, or names an unknown accelerator.

    Examples
    --------
    >>> for text in ("3e24", "30 days on 1024 h100", "10M-h100-hours at 40% MFU", "100 PF-days", "$5M"):
    ...     print(f"{text:25} {parse_budget(text):.3g}")
    3e24                      3e+24
    30 days on 1024 h100      1.31e+24
    10M-h100-hours at 40% MFU 1.42e+25
    100 PF-days               8.64e+21
    $5M                       4.45e+24
    """
    if isinstance(text, (int, float)):
        return parse_positive(text, what)
    plain, terms = _terms(" ".join(text.lower().split()), cost or Cost())
    if re.fullmatch(rf"[+-]?(?:{AMOUNT}) ?(?:flops?)?", plain):
        return parse_positive(re.sub(r"\s*flops?$", "", plain), what)
    for pattern, flops in FORMS:
        found = re.fullmatch(pattern, plain)
        if found:
            return parse_positive(flops(found, terms), what)
    msg = f"{what} must be a finite number, got {text!r}; write {BUDGET_EXAMPLES}."
    raise UnsupportedError(msg)


def is_spoken(text: str | float) -> bool:
    """
    Whether a budget is given in accelerators or money, so that its FLOPs depend on MFU and price.

    Examples
    --------
    >>> is_spoken("3e24"), is_spoken("2 PF-days"), is_spoken("$5M"), is_spoken("3 weeks on 8 a100")
    (False, False, True, True)
    """
    return isinstance(text, str) and bool(re.search(r"\$|dollar|usd|hour|week|(?<!f-)(?<!s-)days?\b", text.lower()))


def _terms(text: str, cost: Cost) -> tuple[str, Cost]:
    """Take the clauses that begin with ``at`` off a budget, and return the cost that they describe."""
    for pattern, name, scale in (
        (r" at ([\d.]+) ?% ?(?:mfu)?(?= |$)", "mfu", 0.01),
        (r" at (0?\.\d+) mfu(?= |$)", "mfu", 1.0),
        (r" at \$([\d.]+)(?: ?/ ?| per )(?:gpu[ -])?(?:h|hr|hour)(?= |$)", "price", 1.0),
    ):
        found = re.search(pattern, text)
        if found:
            value = scale * parse_amount(found[1], name.upper() if name == "mfu" else "The price")
            cost = replace(cost, mfu=value) if name == "mfu" else replace(cost, price=value)
            text = text[: found.start()] + text[found.end() :]
    return text, cost


def _on(chip: str, cost: Cost) -> Cost:
    """The same terms on a chip by name, also in the plural; ``gpu`` is the chip that the terms have."""
    if chip in ("gpu", "gpus", "chip", "chips", "accelerator", "accelerators"):
        return cost
    singular = chip.removesuffix("s")
    return replace(cost, hardware=find_hardware(chip if chip in HARDWARE or singular not in HARDWARE else singular))


def _time_on(count: str, chip: str, amount: str, unit: str, cost: Cost) -> float:
    hours = parse_positive(amount, "The time") * HOURS[unit]
    return _on(chip, cost).budget(count=parse_positive(count, "The number of accelerators"), days=hours / 24)


Form = Callable[[re.Match[str], Cost], float]
FORMS: tuple[tuple[str, Form], ...] = (
    (rf"({NUMBER}) ?([kmgtpezy])flops?", lambda m, _: parse_positive(m[1]) * PREFIXES[m[2]]),
    (
        rf"({AMOUNT}) ?([tpe]|tera|peta|exa)(?:f|flops?)(?:/s)?[ -](days?|hours?)",
        lambda m, _: parse_positive(m[1]) * PREFIXES[m[2][0]] * 3600 * HOURS[m[3].removesuffix("s")],
    ),
    (
        rf"({AMOUNT}) ?({TIME})s? (?:on|of) ({AMOUNT})(?: ?x)? ({CHIP})",
        lambda m, cost: _time_on(m[3], m[4], m[1], m[2], cost),
    ),
    (
        rf"({AMOUNT})(?: ?x)? ?({CHIP}) for ({AMOUNT}) ?({TIME})s?",
        lambda m, cost: _time_on(m[1], m[2], m[3], m[4], cost),
    ),
    (rf"({AMOUNT})[ -]({CHIP})[ -]({TIME})s?", lambda m, cost: _time_on("1", m[2], m[1], m[3], cost)),
    (rf"\$ ?({AMOUNT})(?: on ({CHIP}))?", lambda m, cost: _bought(m[1], m[2], cost)),
    (rf"({AMOUNT}) ?(?:dollars?|usd)(?: on ({CHIP}))?", lambda m, cost: _bought(m[1], m[2], cost)),
)
"""The forms of a budget, each with the FLOPs that it stands for under the terms given."""


def _bought(dollars: str, chip: str | None, cost: Cost) -> float:
    return _on(chip or "gpu", cost).budget_of_dollars(parse_positive(dollars, "A sum of money"))
