"""
Units of a table: in a header, in a cell, or missing altogether.

Sizes arrive in millions, tokens in billions, compute in PF-days or GFLOPs, with the unit in the header, in every cell,
or nowhere. What says its unit is read with it; what does not is judged by whether numbers of runs can be so small or
so large.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lawful.core.cost import Cost
from lawful.core.expression import quoted
from lawful.core.numbers import format_scientific, format_short
from lawful.core.typing import Array
from lawful.data.columns import plain_width
from lawful.errors import InputError

SCALES = {
    **dict.fromkeys(("k", "thousand", "thousands", "tsd", "tausend", "milliers", "miles", "千"), 1e3),
    **dict.fromkeys(("万", "萬"), 1e4),
    **dict.fromkeys(
        ("m", "mn", "mm", "mil", "million", "millions", "mio", "millionen", "millones", "百万", "百萬"), 1e6
    ),
    **dict.fromkeys(("亿", "億"), 1e8),
    **dict.fromkeys(("b", "bn", "g", "billion", "billions", "bln", "bil", "mrd", "十亿", "十億"), 1e9),
    **dict.fromkeys(
        ("mrds", "md", "mds", "milliarde", "milliarden", "milliard", "milliards", "mil millones", "miles de millones"),
        1e9,
    ),
    **dict.fromkeys(("t", "tn", "trillion", "trillions", "trn", "billionen", "billones", "万亿", "萬億"), 1e12),
}
"""What a word or letter multiplies a count by."""

PREFIXES = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18, "z": 1e21, "y": 1e24}
"""Prefixes of FLOPs."""

PREFIX_WORDS = {
    "kilo": 1e3,
    "mega": 1e6,
    "giga": 1e9,
    "tera": 1e12,
    "peta": 1e15,
    "exa": 1e18,
    "zetta": 1e21,
    "yotta": 1e24,
}

SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0, "d": 86400.0, "day": 86400.0}
"""Lengths of time that a rate of FLOPs is held for, in seconds."""


class Unit(NamedTuple):
    """
    A unit: what one of it is in plain counts or FLOPs, and its name in a sentence.

    Attributes
    ----------
    scale : float
    word : str
    """

    scale: float
    word: str


_POWER = re.compile(r"^(?:x|×|\*)?\s*(?:10\s*(?:\^|\*\*)\s*(\d{1,2})|1e\+?(\d{1,2}))$", re.IGNORECASE)
_FLOPS = re.compile(
    r"^(?P<prefix>[kmgtpezy]|kilo|mega|giga|tera|peta|exa|zetta|yotta)?[\s_-]*(?:flop|flops|flop/s|flops/s|f|fs)"
    r"(?:[\s_*·/-]*(?P<time>s|sec|h|hr|hour|d|day)s?)?$",
    re.IGNORECASE,
)


_RATE = re.compile(r"/\s*s(?:ec|econd)?s?$|[\s_]per[\s_]s")
_UNIT_OF = re.compile(r"(?<=[\dkmbgt])\s+(?:of\s+)?(?:parameters?|params?|tokens?|toks?|flops?)$")
"""What is counted, after the unit it is counted in: ``M params``, ``10^18 FLOPs``."""


def unit_of(text: str) -> Unit | None:
    """
    Read the name of a unit of counts or of compute.

    Examples
    --------
    >>> unit_of("billions"), unit_of("M"), unit_of("1e9"), unit_of("PF-days").scale
    (Unit(scale=1000000000.0, word='billions'), Unit(scale=1000000.0, word='millions'), \
Unit(scale=1000000000.0, word='billions'), 8.64e+19)
    >>> unit_of("GFLOPs").scale, unit_of("nats")
    (1000000000.0, None)
    """
    word = " ".join(_unraised(plain_width(text)).strip().casefold().replace("in ", "", 1).split()).rstrip(".")
    word = _UNIT_OF.sub("", word)
    if word in SCALES:
        return named(SCALES[word])
    power = _POWER.match(word)
    if power:
        return named(10.0 ** int(power[1] or power[2]))
    found = _FLOPS.match(word)
    if found and (found["prefix"] or found["time"]):
        if _RATE.search(word):
            return None  # FLOPs a second are how fast a machine was, and no count of anything
        prefix = found["prefix"] or ""
        scale = PREFIXES.get(prefix) or PREFIX_WORDS.get(prefix, 1.0)
        time = found["time"]
        return Unit(scale * SECONDS.get(time or "s", 1.0), text.strip())
    return None


def named(scale: float) -> Unit:
    """Return a scale with its word: thousands, millions, billions, trillions, or units of 1e18."""
    words = {1e3: "thousands", 1e6: "millions", 1e9: "billions", 1e12: "trillions"}
    return Unit(scale, words.get(scale, f"units of 1e{round(np.log10(scale))}"))


_BRACKETED = re.compile(r"^(?P<stem>.*?)[\s_]*[(\[{](?P<unit>[^()\[\]{}]+)[)\]}]\s*$")
_DIVIDED = re.compile(r"^(?P<stem>.*?)\s*/\s*(?P<unit>1e\+?\d+|10\^\d+|[A-Za-z]+)\s*$")
_ENDING = re.compile(
    r"^(?P<stem>.+?)[\s_.-]+(?:(?:in|en)[\s_]+)?(?P<unit>[A-Za-z]+(?:[\s_-]+(?:hours?|hrs?|days?))?|1e\d+)\s*$"
)


def split_header(title: str) -> list[tuple[str, Unit]]:
    """
    Split a header into a name and a unit, in the ways it may be written.

    Examples
    --------
    >>> [split_header(t)[0] for t in ("N (M)", "Training Tokens (billions)", "params_m", "tokens in billions")]
    [('N', Unit(scale=1000000.0, word='millions')), ('Training Tokens', Unit(scale=1000000000.0, word='billions')), \
('params', Unit(scale=1000000.0, word='millions')), ('tokens', Unit(scale=1000000000.0, word='billions'))]
    >>> split_header("loss"), split_header("val_loss"), split_header("compute_pf_days")[0][0]
    ([], [], 'compute')
    """
    found = []
    title = plain_width(title)
    for pattern in (_BRACKETED, _DIVIDED, _ENDING):
        match = pattern.match(title.strip())
        unit = unit_of(match["unit"]) if match else None
        if match and unit is not None and match["stem"].strip():
            stem = re.sub(r"[\s_]+(?:in|en)$", "", match["stem"].strip(), flags=re.IGNORECASE)
            found.append((stem, unit))
    return found


_CELL = re.compile(
    r"^(?P<sign>[-+]?)(?:~|≈|\$)?\s*(?P<number>\d[\d\s.,_']*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)\s*"
    r"(?P<unit>%|[A-Za-z千万萬亿億百十][A-Za-z千万萬亿億/\s·-]*\.?)?$"
)
_THOUSANDS = re.compile(r"^\d{1,3}([,\s_'])\d{3}(?:\1\d{3})*(?:\.\d+)?$")
_DOTTED = re.compile(r"^\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?$")
_TEN_TO = re.compile(r"(?<=\d)\s*[×x·*]\s*10\s*(?:\^|\*\*)\s*(?P<power>[-+]?\d{1,2})$")
_UNCERTAIN = re.compile(
    r"(?<=\d)\s*(?:(?:±|\+/?-)\s*\d[\d.,]*(?:[eE][-+]?\d+)?%?|\(\s*(?:±|\+/?-)?\s*\d[\d.,]*\s*\)|[*†‡§¶]+)$"
)
"""An uncertainty or a mark of a remark behind a number, which are not part of it."""
_RAISED_MARK = re.compile(r"(?<=\d[.,])(?P<decimals>\d+)[ᵃ-ᶻ¹²³⁴-⁹]+$")
"""A raised letter or digit behind decimals: the mark of a remark, as behind a whole number a power would be."""
_FORTRAN = re.compile(r"(?<=[\d.])[dD](?=[-+]\d{1,3}$)")
"""The letter before the exponent in double precision of Fortran."""
_POWER_OF_TEN = re.compile(r"^10\s*(?:\^|\*\*)\s*(\d+(?:\.\d+)?)$")
_SIGNS = str.maketrans({"\N{MINUS SIGN}": "-", **dict.fromkeys("’‘", "'"), **dict.fromkeys("“”„", '"')})
"""Signs that programs write for plain ones; a curly apostrophe separates thousands as a straight one does."""
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_NOUNS = re.compile(r"\s*(?:parameters?|params?|tokens?|toks?|flops?)$", re.IGNORECASE)


def number_of(text: str, *, decimal: str = ".") -> float | None:
    """
    Read a number with its unit, thousands separators or per cent sign; None where it is none.

    Parameters
    ----------
    text : str
        A cell.
    decimal : str
        Whether a comma separates decimals.

    Examples
    --------
    >>> number_of("21.8M"), number_of("1.4T"), number_of("1,234,567"), number_of("26.2%"), number_of("7B params")
    (21800000.0, 1400000000000.0, 1234567.0, 0.262, 7000000000.0)
    >>> number_of("3,69", decimal=","), number_of("diverged"), number_of("1,23")
    (3.69, None, None)
    >>> number_of("3.21 ± 0.01"), number_of("3.21*"), number_of("10^9"), number_of("4×10⁸"), number_of("1,2亿")
    (3.21, 3.21, 1000000000.0, 400000000.0, None)
    """
    text = _FORTRAN.sub("e", plain_width(text).translate(_SIGNS).strip().strip("'\""))
    text = _UNCERTAIN.sub("", _RAISED_MARK.sub(r"\g<decimals>", _unraised(text)))
    if power := _POWER_OF_TEN.match(text):
        return 10.0 ** float(power[1]) if float(power[1]) < LARGEST_POWER else None
    match = _CELL.match(_TEN_TO.sub(r"e\g<power>", text))
    if match is None:
        return None
    digits = _plain_digits(match["number"].strip(), decimal)
    if digits is None:
        return None
    whole = (match["unit"] or "").strip()
    word = _NOUNS.sub("", whole).strip()
    scale = 1.0
    if word == "%":
        scale = 0.01
    elif word:
        unit = unit_of(whole) or unit_of(word)
        if unit is None:
            return None
        scale = unit.scale
    value = float(digits) * scale
    return -value if match["sign"] == "-" else value


LARGEST_POWER = 300.0
"""Powers of ten that a float holds."""


def _unraised(text: str) -> str:
    """Powers of ten in raised digits, in plain ones."""
    return re.sub(r"10([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda found: "10^" + found[1].translate(_RAISED), text)


def _plain_digits(digits: str, decimal: str) -> str | None:
    """Digits as Python reads them, without what separates thousands."""
    if decimal == ",":
        if _DOTTED.match(digits) or digits.count(",") == 1:
            digits = digits.replace(".", "").replace(" ", "").replace(",", ".")
        elif "," in digits:
            return None
    elif _THOUSANDS.match(digits):
        digits = re.sub(r"[,\s_']", "", digits)
    return digits if re.fullmatch(r"\d*\.?\d*(?:[eE][-+]?\d+)?", digits) and digits not in ("", ".") else None


def decimal_mark(cells: Sequence[str]) -> str:
    """
    Tell which sign separates decimals in a column: a comma only where every cell with one cannot be in thousands.

    Examples
    --------
    >>> decimal_mark(["3,6924", "2,5"]), decimal_mark(["21,802,884", "7,000"]), decimal_mark(["3.5"])
    (',', '.', '.')
    """
    with_comma = [c.strip() for c in cells if "," in c]
    thousands = [c for c in with_comma if _THOUSANDS.match(c) and not c.startswith("0,")]
    if not with_comma or any("." in c and c.index(".") > c.index(",") for c in with_comma):
        return "."
    return "," if len(thousands) < len(with_comma) else "."


_GROUPED = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?(?=\D*$)")


def dots_group(cells: Sequence[str]) -> bool:
    """
    Tell whether dots separate thousands in a column of a table with decimal commas: every one before three digits.

    Examples
    --------
    >>> dots_group(["46.700", "75", "1.234.567"]), dots_group(["46.700", "7.5"]), dots_group(["467"])
    (True, False, False)
    """
    with_dot = [cell for cell in cells if "." in cell.rstrip(".")]
    return bool(with_dot) and all(map(_GROUPED.match, with_dot))


class Range(NamedTuple):
    """What numbers of real runs lie between."""

    low: float
    high: float


PLAUSIBLE = {"params": Range(1e3, 1e15), "tokens": Range(1e4, 1e18), "budget": Range(1e9, 1e32)}
"""From the smallest toy that anyone fits a law to, to what no decade will train."""

LARGEST_LOSS = float(np.log(2.0**20))
"""Nats per token of guessing among a million words: no language model starts above it, let alone ends there."""

RATIO_UNITS = (1e3, 1e6, 1e9, 1e12, 1e15, 1e18, 1e21, 8.64e19, 3.6e18, 8.64e16)
"""FLOPs in the units that compute is given in: powers of a thousand, PF-days, PF-hours, TF-days."""

RATIO_FACTOR = 5.0
"""How far 6ND/C may lie from a unit to be named as it."""

FARTHEST = 200.0
"""How far 6ND/C may lie from one: sizes of mixtures of experts may count a hundred experts of which one is active."""


def require_units(values: Mapping[str, Array], given: Mapping[str, str], *, derived: str | None = None) -> None:
    """
    Refuse numbers that only a forgotten unit explains.

    Parameters
    ----------
    values : mapping of str to array, shape (n,)
        params, tokens, budget and loss, all positive.
    given : mapping of str to str
        Quantity to the column it was read from.
    derived : str, optional
        The quantity that was worked out from the others.

    Raises
    ------
    InputError
        One sentence: the column, its range, the unit it seems to be in, and what reads it so.

    Examples
    --------
    >>> N, D = np.array([21.8, 350.0]), np.array([7.6, 90.0])
    >>> require_units({"params": N, "tokens": D}, {"params": "params", "tokens": "tokens"})
    Traceback (most recent call last):
        ...
    lawful.errors.InputError: Params lie between 21.8 and 350 (column 'params'): millions? and tokens between 7.6 and \
90 (column 'tokens'): billions? Read them with `columns` params='params*1e6' `columns` tokens='tokens*1e9', or as they \
are with `as_is`.
    """
    wrong = [q for q in ("params", "tokens", "budget") if q in given and q in values and _out(q, values[q])]
    if wrong and not (wrong == ["budget"] and {"params", "tokens"} <= set(given)):
        scales = {q: _guess(q, values) for q in wrong}
        raise InputError(_units_sentence(wrong, values, given, scales))
    if {"params", "tokens", "budget"} <= set(given):
        _require_ratio(values, given)
        return
    if {"params", "tokens"} <= set(values):
        _require_tokens_per_param(values, given)
    if derived is not None and derived in PLAUSIBLE and _out(derived, values[derived]):
        _refuse_derived(derived, values, given)


def _out(quantity: str, values: Array) -> bool:
    low, high = PLAUSIBLE[quantity]
    return bool(values.min() < low or values.max() > high)


def _guess(quantity: str, values: Mapping[str, Array]) -> float:
    """The scale that puts a column in its range; of several the one most used."""
    usual = {"params": (1e6, 1e9, 1e3), "tokens": (1e9, 1e6, 1e12), "budget": (1e18, 8.64e19, 1e21, 1e9, 1e15, 1e12)}
    column, (low, high) = values[quantity], PLAUSIBLE[quantity]
    centre = float(np.exp(np.log(column).mean()))
    usual_range = {"params": (3e6, 3e12), "tokens": (3e8, 1e14), "budget": (1e15, 1e27)}[quantity]
    for scale in usual[quantity]:
        if usual_range[0] / scale <= centre <= usual_range[1] / scale and column.max() <= high / scale:
            return scale
    return next((s for s in usual[quantity] if column.min() >= low / s), usual[quantity][0])


LOGARITHMS = 1.6
"""Logarithms of sizes and tokens span less than this factor."""


def _units_sentence(
    wrong: Sequence[str], values: Mapping[str, Array], given: Mapping[str, str], scales: Mapping[str, float]
) -> str:
    if all(values[q].min() > 2 and values[q].max() < 30 and np.ptp(values[q]) > 0 for q in wrong) and all(
        values[q].max() < LOGARITHMS * values[q].min() for q in wrong
    ):
        named_as = " and ".join(f"{q} between {values[q].min():.3g} and {values[q].max():.3g}" for q in wrong)
        tens = " ".join(f"`columns` {q}='10^{quoted(given[q])}'" for q in wrong)
        units = " ".join(_recipe(q, given[q], scales[q]) for q in wrong)
        msg = (
            f"The table has {named_as}: logarithms, or counts without their unit? Read them with {tens} or {units}, or "
            f"as they are with `as_is`."
        )
        raise InputError(msg)
    parts, recipes = [], []
    for i, quantity in enumerate(wrong):
        column, scale = values[quantity], scales[quantity]
        unit = "PF-days" if scale == 8.64e19 else named(scale).word
        verb = "lie between" if i == 0 else "between"
        low, high = f"{format_short(column.min(), 4)}", f"{format_short(column.max(), 4)}"
        parts.append(f"{quantity} {verb} {low} and {high} (column {given[quantity]!r}): {unit}?")
        recipes.append(_recipe(quantity, given[quantity], scale))
    said = " and ".join(parts)
    return f"{said[0].upper()}{said[1:]} Read them with {' '.join(recipes)}, or as they are with `as_is`."


def _recipe(quantity: str, key: str, scale: float) -> str:
    return f"`columns` {quantity}='{quoted(key)}*{format_scientific(scale)}'"


def _require_ratio(values: Mapping[str, Array], given: Mapping[str, str]) -> None:
    """Refuse a compute column that differs from 6ND by what is near a unit."""
    cost = Cost()
    with np.errstate(over="ignore", under="ignore"):
        products = np.clip(cost.flops(values["params"], values["tokens"]) / values["budget"], 1e-100, 1e100)
    ratio = float(np.median(products))
    if 1 / FARTHEST <= ratio <= FARTHEST:
        return
    near = min(RATIO_UNITS, key=lambda unit: abs(np.log(ratio / unit)))
    if abs(np.log(ratio / near)) <= np.log(RATIO_FACTOR):
        units = {1e6: "MFLOPs", 1e9: "GFLOPs", 1e12: "TFLOPs", 1e15: "PFLOPs", 1e18: "EFLOPs", 1e21: "ZFLOPs"}
        unit = units.get(near, "PF-days" if near == 8.64e19 else f"units of {format_scientific(near)} FLOPs")
        recipe = _recipe("budget", given["budget"], near)
        msg = (
            f"{cost.convention} is {format_scientific(ratio)} times column {given['budget']!r}: {unit}? Read it with "
            f"{recipe}, or as it is with `as_is`."
        )
        raise InputError(msg)
    msg = (
        f"{cost.convention} is {format_scientific(ratio)} times column {given['budget']!r} (median), which no way of "
        f"counting explains; give the unit of each column with `columns`, such as "
        f"{_recipe('tokens', given['tokens'], 1e9)}, or read them as they are with `as_is`."
    )
    raise InputError(msg)


FEWEST_TOKENS, MOST_TOKENS = 1e-2, 1e6
"""Tokens per parameter, in the median run, that some run has had: both ends lie far beyond what anyone trains."""


def _require_tokens_per_param(values: Mapping[str, Array], given: Mapping[str, str]) -> None:
    """Refuse sizes beside tokens that no run has together, though either alone could be."""
    ratio = float(np.median(values["tokens"] / values["params"]))
    if FEWEST_TOKENS <= ratio <= MOST_TOKENS:
        return
    low = ratio < FEWEST_TOKENS
    quantity = next(q for q in (("tokens", "budget") if low else ("params", "budget")) if q in given)
    # The unit that brings the ratio nearest to the twenty of common practice.
    away = 20.0 / ratio if low else ratio / 20.0
    scale = min((1e3, 1e6, 1e9, 1e12), key=lambda unit: abs(np.log(away / unit)))
    msg = (
        f"The runs have {format_short(ratio, 3)} tokens per parameter (median; tokens between "
        f"{format_short(values['tokens'].min(), 3)} and {format_short(values['tokens'].max(), 3)}, params between "
        f"{format_short(values['params'].min(), 3)} and {format_short(values['params'].max(), 3)}), which no run has: "
        f"a unit is missing. Give it, such as {_recipe(quantity, given[quantity], scale)}, or read them as they are "
        f"with `as_is`."
    )
    raise InputError(msg)


def _refuse_derived(derived: str, values: Mapping[str, Array], given: Mapping[str, str]) -> None:
    column = values[derived]
    source = "budget" if "budget" in given else next(iter(given))
    recipe = _recipe(source, given[source], 1e9)
    names = " and ".join(repr(given[q]) for q in ("params", "tokens", "budget") if q in given)
    msg = (
        f"Columns {names} give {derived} between {format_short(column.min(), 3)} and "
        f"{format_short(column.max(), 3)} by {Cost().convention}, which no run has: a unit is missing. "
        f"Give it, such as {recipe}, or read them as they are with `as_is`."
    )
    raise InputError(msg)


HOFFMANN = (1.69, 406.4, 0.34, 410.7, 0.28)
"""E, A, alpha, B and beta of Hoffmann et al. 2022: what text in common tokens costs, to a factor of less than two."""

FAR_ABOVE, LARGE_RUN = 2.3, 1e17
"""
How far above that surface no loss lies, and the FLOPs from which it is known. A loss of 1.5 to 2.6 nats is a perplexity
of three to five times itself.
"""


def usual_loss(N: Array, C: Array) -> Array:
    """
    Return the loss that runs of so many parameters and FLOPs have on text, for comparison only.

    Examples
    --------
    >>> usual_loss(np.array([1e9]), np.array([1.2e20])).round(2)
    array([2.58])
    """
    E, A, alpha, B, beta = HOFFMANN
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        return np.asarray(E + A / N**alpha + B / Cost().tokens(budget=C, params=N) ** beta)


def _require_no_perplexity(loss: Array, N: Array | None, C: Array | None, key: str) -> None:
    """Refuse losses of large runs that are far above what any text costs: perplexities below a million words' log."""
    if N is None or C is None or (C < LARGE_RUN).mean() > 0.5 or (loss <= 0).any():  # no perplexity is below 1
        return
    above = float(np.median(loss / usual_loss(N, C)))
    if above > FAR_ABOVE:
        msg = (
            f"Column {key!r} lies between {format_short(loss.min(), 4)} and {format_short(loss.max(), 4)}, "
            f"{above:.2g} times what runs of such compute reach on text (median): perplexity? Read it with `columns` "
            f"loss='log({quoted(key)})', or as it is with `as_is`."
        )
        raise InputError(msg)


def require_loss(loss: Array, C: Array | None, key: str, N: Array | None = None) -> None:
    """
    Refuse a column that is no loss: a perplexity, or a score that rises with compute.

    Raises
    ------
    InputError
        One sentence with the range and what reads it.

    Examples
    --------
    >>> require_loss(np.array([40.1, 14.9]), None, "loss")
    Traceback (most recent call last):
        ...
    lawful.errors.InputError: Column 'loss' lies between 14.9 and 40.1, and no loss in nats is above 13.86, the log of \
a million words: perplexity? Read it with `columns` loss='log(loss)', or as it is with `as_is`.
    """
    name = quoted(key)
    above = loss > LARGEST_LOSS
    if above.mean() > 0.1:  # fewer are marks or slips
        msg = (
            f"Column {key!r} lies between {format_short(loss.min(), 4)} and {format_short(loss.max(), 4)}, and no "
            f"loss in nats is above {LARGEST_LOSS:.2f}, the log of a million words: perplexity? Read it with "
            f"`columns` loss='log({name})', or as it is with `as_is`."
        )
        raise InputError(msg)
    _require_no_perplexity(loss, N, C, key)
    if C is None or loss.size < RISING_RUNS or np.ptp(np.log(C)) < np.log(3.0):
        return
    rank = np.argsort(np.argsort(np.log(C))), np.argsort(np.argsort(loss))
    together = float(np.corrcoef(*rank)[0, 1]) if np.ptp(loss) > 0 else 0.0
    if together > RISING:
        msg = (
            f"Column {key!r} rises with compute (rank correlation {together:.2f}), as a score does and no loss: name "
            f"the column of the loss with `columns` loss=COLUMN, or turn the score into an error, such as "
            f"`columns` loss='1-{name}', or read it as it is with `as_is`."
        )
        raise InputError(msg)


RISING, RISING_RUNS = 0.6, 5
"""Rank correlation of loss and compute above which a column is no loss, and the fewest runs to judge by."""
