"""The values of a column: one clean array per column, and sentences about the rows that cannot be used."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lawful.core.expression import quoted
from lawful.core.numbers import format_short
from lawful.core.typing import AnyArray, Array, BoolArray, IntArray
from lawful.data.units import LARGEST_LOSS, PLAUSIBLE, number_of
from lawful.errors import InputError

MISSING_WORDS = frozenset({"", "-", "--", "–", "—", "?", "n.a.", "na", "n/a", "<na>", "nan", "nat", "none", "null"})
"""What a log writes where a number is missing; it counts as NaN in a quantity, and as text in a label."""

LARGEST_WHOLE = 2**64
"""Above it integer columns do not reach, so a number is compared as a float."""

LARGEST_QUANTITY = 1e50
"""No count of parameters or tokens and no loss lies above it, or below its inverse; its square is still a float."""

FIRST_ROWS = 3
"""Offending rows named in a message before the rest is counted."""


def column_values(name: str, values: Any) -> AnyArray:
    """
    Turn one column into a new array of numbers, booleans or str.

    Parameters
    ----------
    name : str
        Name of the column, for messages.
    values : array_like, shape (n,)
        A list, an array, or a pandas, polars or Arrow column.

    Returns
    -------
    array, shape (n,)
        Of a numeric or boolean type, or of ``object`` holding only str (dates as well),
        where what was missing is the empty string.

    Raises
    ------
    InputError
        If the values are not one flat column.

    Examples
    --------
    >>> column_values("run", ["001", None, "NA"]).tolist()
    ['001', '', 'NA']
    >>> column_values("seed", [1, None]).tolist()
    [1.0, nan]
    """
    if isinstance(values, np.ma.MaskedArray):
        values = [None if hidden else v for v, hidden in zip(values.data, np.ma.getmaskarray(values), strict=True)]
    if hasattr(values, "to_numpy"):
        # A column of Arrow copies only where it is told to.
        values = values.to_numpy(zero_copy_only=False) if hasattr(values, "to_pylist") else values.to_numpy()
    flat = isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping))
    if not flat or getattr(values, "ndim", 1) != 1:
        msg = f"Column {name!r} is not a flat list of values; give one value per run."
        raise InputError(msg)
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        return values.copy()
    if isinstance(values, np.ndarray) and values.dtype.kind in "Mm":
        values = np.where(np.isnat(values), "", values.astype(str))
    return _from_objects(values.tolist() if isinstance(values, np.ndarray) else list(values))


def _from_objects(items: list[Any]) -> AnyArray:
    kinds = set(map(type, items))
    if kinds == {bool}:
        return np.array(items, dtype=bool)
    # A boolean among numbers is no number, and a number among text is text.
    if not any(issubclass(kind, (str, bytes, bool, np.bool_)) for kind in kinds):
        try:
            numbers = np.array(items)
            if numbers.dtype.kind not in "iuf":
                numbers = np.array(list(map(_or_none, items)), dtype=float)
            if numbers.ndim == 1:
                return numbers
        except (ValueError, TypeError, OverflowError):
            pass  # dates, nested values and integers beyond a float are kept as text
    return np.array([v if type(v) is str else _text(v) for v in items], dtype=object)


def _or_none(value: Any) -> Any:
    return None if _is_missing(value) else value


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ in {"NAType", "NaTType"}


def _text(value: Any) -> str:
    if _is_missing(value) or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def value_text(value: Any) -> str:
    """
    Write a value as a user would name it; a missing one is empty.

    Examples
    --------
    >>> [value_text(v) for v in (1e19, 5.0, 7, "a", True)]
    ['1e+19', '5', '7', 'a', 'True']
    """
    if not isinstance(value, float):
        return str(value)
    return "" if math.isnan(value) else repr(float(value)).removesuffix(".0")


def distinct(array: AnyArray) -> tuple[list[Any], IntArray]:
    """
    Find the distinct values of a clean column in order of first appearance.

    Returns
    -------
    values : list
        The values, as Python numbers or str.
    codes : int array, shape (n,)
        Position of each row's value in ``values``.

    Examples
    --------
    >>> values, codes = distinct(np.array([3.0, 1.0, 3.0]))
    >>> values, codes.tolist()
    ([3.0, 1.0], [0, 1, 0])
    """
    codes = first_codes(array)
    return array[first_rows(codes)].tolist(), codes


def first_rows(codes: IntArray) -> IntArray:
    """
    Find the row in which each code stands first, of codes in order of first appearance: where their maximum grows.

    Examples
    --------
    >>> first_rows(np.array([0, 0, 1, 0, 2])).tolist()
    [0, 2, 4]
    """
    highest = np.maximum.accumulate(codes)
    return np.flatnonzero(np.diff(highest, prepend=-1))


MANY = 50_000
"""Rows from which values are numbered by hashing them, where a package that does is loaded."""


def first_codes(array: AnyArray) -> IntArray:
    """
    Number the values of a column in order of first appearance; what is no number counts as one value.

    Examples
    --------
    >>> first_codes(np.array([3.0, 1.0, np.nan, 3.0, np.nan])).tolist()
    [0, 1, 2, 0, 2]
    """
    # Of a million rows sorting takes most of the time of reading. A long table was parsed by pandas, which hashes;
    # nothing imports it for this.
    pandas = sys.modules.get("pandas") if array.size >= MANY else None
    if pandas is not None and array.dtype.kind in "Oifu":
        return np.asarray(pandas.factorize(array, use_na_sentinel=False)[0], dtype=np.intp)
    if array.dtype.kind == "O":
        index: dict[str, int] = {}
        return np.array([index.setdefault(value, len(index)) for value in array.tolist()], dtype=np.intp)
    _, first, inverse = np.unique(array, return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.intp)
    rank[np.argsort(first)] = np.arange(first.size)
    return rank[inverse.reshape(-1)]


def parse_number(value: Any) -> int | float | None:
    """
    Read a number from what a user or a cell gives; None if it is not one.

    Examples
    --------
    >>> parse_number("1e19"), parse_number(" 12 "), parse_number("7B")
    (1e+19, 12, None)
    """
    text = str(value).strip()
    try:
        whole = int(text)
    except ValueError:
        return _float(text)
    return whole if abs(whole) < LARGEST_WHOLE else _float(text)


def quantity_values(name: str, array: AnyArray, row: IntArray) -> Array:
    """
    Read a clean column as float64, NaN where a value is missing.

    Parameters
    ----------
    name : str
        Name of the column.
    array : array, shape (n,)
        From :func:`column_values`.
    row : int array, shape (n,)
        Row numbers for messages.

    Returns
    -------
    array, shape (n,)
        New float64 array: integers are floats before any product is formed.

    Raises
    ------
    InputError
        If some values are text, dates or booleans: their count and the first rows.

    Examples
    --------
    >>> quantity_values("loss", np.array(["2.5 ", "n/a"], dtype=object), np.array([1, 2])).tolist()
    [2.5, nan]
    """
    if array.dtype.kind in "iuf":
        with np.errstate(over="ignore"):
            return array.astype(np.float64)
    items = array.tolist() if array.dtype.kind == "O" else [str(v) for v in array]
    try:
        return np.array(items, dtype=float)
    except ValueError:
        pass
    numbers = [float("nan") if item.strip().casefold() in MISSING_WORDS else _float(item) for item in items]
    # What states its unit, as 100M does, is a number; it is text to nobody.
    numbers = [number_of(item) if number is None else number for item, number in zip(items, numbers, strict=True)]
    bad = [i for i, number in enumerate(numbers) if number is None]
    if bad:
        few = " (`drop` nan leaves them out)" if 2 * len(bad) < len(items) else ""
        msg = (
            f"Column {name!r} must hold numbers, but {len(bad)} of {len(items)} rows hold text: "
            f"{offenders(row[bad], [items[i] for i in bad])}; write plain numbers such as 7e9, or "
            f"remove these rows{few}."
        )
        raise InputError(msg)
    return np.array(numbers, dtype=float)


def quantity_or_nan(name: str, values: AnyArray, row: IntArray) -> Array:
    """
    Read a column as :func:`quantity_values` does, NaN where a cell holds something else.

    Examples
    --------
    >>> quantity_or_nan("N", np.array(["7e9", "lost"], dtype=object), np.array([1, 2])).tolist()
    [7000000000.0, nan]
    """
    try:
        return quantity_values(name, values, row)
    except InputError:
        numbers = map(parse_number, values.tolist())
        return np.array([np.nan if number is None else float(number) for number in numbers])


def number_or_nan(array: AnyArray) -> Array:
    """
    Read a clean column as float64, NaN where a cell is no number.

    Examples
    --------
    >>> number_or_nan(np.array(["2.5", "7B", "lost"], dtype=object)).tolist()
    [2.5, 7000000000.0, nan]
    """
    if array.dtype.kind != "O":
        return array.astype(np.float64)
    values, codes = distinct(array)
    found = [_float(value) if _float(value) is not None else number_of(value) for value in values]
    return np.array([np.nan if number is None else number for number in found], dtype=float)[codes]


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def offenders(row: Sequence[int] | IntArray, values: Sequence[Any]) -> str:
    """
    Name the first offending rows with their values.

    Examples
    --------
    >>> offenders([3, 7, 8, 9], ["n/a", -1.0, float("nan"), 0.0])
    "row 3 ('n/a'), row 7 (-1), row 8 (nan) and 1 more"
    """
    words = [
        f"row {number} ({value[:30]!r})" if isinstance(value, str) else f"row {number} ({format_short(value)})"
        for number, value in zip(row[:FIRST_ROWS], values[:FIRST_ROWS], strict=True)
    ]
    more = len(values) - len(words)
    return ", ".join(words) + (f" and {more} more" if more else "")


def require_positive(columns: Mapping[str, Array], row: IntArray, *, loss: str = "", signed: bool = False) -> None:
    """
    Refuse runs whose N, D, C or loss is not a finite number above zero.

    Parameters
    ----------
    columns : mapping of str to array, shape (n,)
        Name of a column to its numbers.
    row : int array, shape (n,)
        Row numbers for messages.
    loss : str
        Which of the columns is the loss.
    signed : bool
        Let any finite number stand in the column of the loss.

    Raises
    ------
    InputError
        One sentence with the count, and the first rows of each column.

    Examples
    --------
    >>> require_positive({"loss": np.array([2.5, np.nan])}, np.array([1, 2]))
    Traceback (most recent call last):
        ...
    lawful.errors.InputError: 1 of 2 runs has NaN, infinity, zero or a negative number where one above zero is needed: \
column 'loss', row 2 (nan); repair or remove such rows, or set them aside with `check`, or with `drop` nan.
    """
    free = loss if signed else None
    wrong = {
        name: np.flatnonzero(~(np.isfinite(values) & ((values > 0) | (name == free))))
        for name, values in columns.items()
    }
    count = np.unique(np.concatenate(list(wrong.values()))).size
    if not count:
        return
    where = [f"column {name!r}, {offenders(row[i], columns[name][i].tolist())}" for name, i in wrong.items() if i.size]
    below = loss in columns and bool((columns[loss] <= 0).any())
    named = f"; a loss that may be so is read by a formula that names its column, {naming(loss)}" if below else ""
    msg = (
        f"{count} of {row.size} runs {'has' if count == 1 else 'have'} NaN, infinity, zero or a negative number where "
        f"one above zero is needed: {'; '.join(where)}; repair or remove such rows, or set them aside with "
        f"`check`, or with `drop` nan{named}."
    )
    raise InputError(msg)


LONE = 3.0
"""Times the widest gap between the other losses from which those beyond zero stand apart."""

FEWEST_LOSSES = 5
"""Losses from which gaps between them tell anything."""


def require_together(name: str, loss: Array, row: IntArray) -> None:
    """
    Refuse losses on one side of zero that stand apart from all others: marks of a missing number, or slips of a sign.

    Parameters
    ----------
    name : str
        Column of the loss.
    loss : array, shape (n,)
    row : int array, shape (n,)
        Row numbers for messages.

    Raises
    ------
    InputError
        One sentence with the count, the first rows, and the remedies.

    Examples
    --------
    >>> require_together("excess", np.array([0.4, 0.2, 0.1, -0.1, -0.2]), np.arange(1, 6))
    >>> require_together("excess", np.array([3.4, 3.2, -3.1, 3.0, 2.9]), np.arange(1, 6))
    Traceback (most recent call last):
        ...
    lawful.errors.InputError: Column 'excess' is zero or below in 1 of 5 rows that stand far from all others, row 3 \
(-3.1): mend them, leave them out with `where` 'excess > 0', or read them as they are with `as_is`.
    """
    above = loss > 0
    if loss.size < FEWEST_LOSSES or above.all() or not above.any():
        return
    few = ~above if (~above).sum() <= above.sum() else above
    gap = float(loss[above].min() - loss[~above].max())
    widest = float(np.diff(np.sort(loss[~few])).max(initial=0.0))
    if loss[~above].any() and gap <= LONE * widest:
        return
    side, keep = ("above zero", "<=") if few[above].any() else ("zero or below", ">")
    msg = (
        f"Column {name!r} is {side} in {int(few.sum())} of {loss.size} rows that stand far from all others, "
        f"{offenders(row[few], loss[few].tolist())}: mend them, leave them out with `where` "
        f"'{quoted(name)} {keep} 0', or read them as they are with `as_is`."
    )
    raise InputError(msg)


def far_above(loss: Array) -> BoolArray:
    """
    Losses above any that a model of language has, where at most a tenth is: no perplexities, but marks or slips.

    Examples
    --------
    >>> far_above(np.array([3.1, 999.0, *[3.0] * 9])).nonzero()[0].tolist(), far_above(np.array([40.0, 30.0])).tolist()
    ([1], [False, False])
    """
    above = loss > LARGEST_LOSS
    return above if above.sum() <= FEW_ABOVE * loss.size else np.zeros(loss.size, dtype=np.bool_)


FEW_ABOVE = 0.1
"""Share of the losses above any in nats up to which they are slips; from there on the column may be a perplexity."""


def require_no_marks(name: str, loss: Array, row: IntArray) -> None:
    """
    Refuse a few losses above any that a model of language has: marks of a missing number, slips, runs that diverged.

    Raises
    ------
    InputError
        One sentence with the count, the first rows, and the remedies.

    Examples
    --------
    >>> require_no_marks("loss", np.array([3.1, 999.0, *[3.0] * 9]), np.arange(1, 12))
    Traceback (most recent call last):
        ...
    lawful.errors.InputError: Column 'loss' is above 13.86, the log of a million words, in 1 of 11 rows, row 2 (999): \
marks of a missing number, slips of a decimal sign, or runs that diverged? Mend them, leave them out with `where` \
'loss < 13.86', or read them as they are with `as_is`.
    """
    above = far_above(loss)
    if above.any():
        most = f"{LARGEST_LOSS:.2f}"
        msg = (
            f"Column {name!r} is above {most}, the log of a million words, in {int(above.sum())} of {loss.size} rows, "
            f"{offenders(row[above], loss[above].tolist())}: marks of a missing number, slips of a decimal sign, or "
            f"runs that diverged? Mend them, leave them out with `where` '{quoted(name)} < {most}', or read them as "
            f"they are with `as_is`."
        )
        raise InputError(msg)


def naming(loss: str) -> str:
    """
    Say how a formula names the column of a loss that may be zero or negative.

    Examples
    --------
    >>> naming("excess"), naming("loss")
    ("`law` 'excess = E + …'", "which needs another name than 'loss': `law` 'excess = E + …'")
    """
    if loss in LOSSES:
        return f"which needs another name than {loss!r}: `law` 'excess = E + …'"
    return f"`law` '{quoted(loss)} = E + …'"


LOSSES = ("loss", "L")
"""What a formula calls the loss where it names no column of its own."""


def plausible(values: Array, *, signed: bool = False) -> BoolArray:
    """Whether numbers lie where honest units put them: positive ones within ``LARGEST_QUANTITY`` of one."""
    least = -LARGEST_QUANTITY if signed else 1 / LARGEST_QUANTITY
    return np.asarray((values <= LARGEST_QUANTITY) & (values >= least))


def require_plausible(columns: Mapping[str, Array], row: IntArray, *, signed: bool = False) -> None:
    """
    Refuse positive numbers so extreme that only broken units explain them.

    Parameters
    ----------
    columns : mapping of str to array, shape (n,)
        Quantity to its positive numbers.
    row : int array, shape (n,)
        Row numbers for messages.
    signed : bool
        Let the loss be zero or negative.

    Raises
    ------
    InputError
        One sentence with the quantity, the count and the first rows.

    Examples
    --------
    >>> require_plausible({"tokens": np.array([1e9, 1e200])}, np.array([1, 2]))
    Traceback (most recent call last):
        ...
    lawful.errors.InputError: The tokens of 1 of 2 runs lie outside 1e-50 to 1e50: row 2 (1e200); check their units.
    """
    for name, values in columns.items():
        free = signed and name == "loss"
        bad = np.flatnonzero(~plausible(values, signed=free))
        if bad.size:
            least = -LARGEST_QUANTITY if free else 1 / LARGEST_QUANTITY
            msg = (
                f"The {name} of {bad.size} of {row.size} runs lie outside {format_short(least)} to "
                f"{format_short(LARGEST_QUANTITY)}: {offenders(row[bad], values[bad].tolist())}; check their units."
            )
            raise InputError(msg)


def require_within(columns: Mapping[str, Array], names: Mapping[str, str], row: IntArray) -> None:
    """
    Refuse counts above the largest that any run has: no unit makes them smaller.

    Parameters
    ----------
    columns : mapping of str to array, shape (n,)
        Quantity to its positive numbers.
    names : mapping of str to str
        Quantity to the column it was read from.
    row : int array, shape (n,)
        Row numbers for messages.

    Raises
    ------
    InputError
        One sentence with the column, its range, the count, the first rows, and the remedies.

    Examples
    --------
    >>> require_within({"params": np.array([1e8, 1e308])}, {"params": "N"}, np.array([1, 2]))
    Traceback (most recent call last):
        ...
    lawful.errors.InputError: Params lie between 1e8 and 1e308 (column 'N'), in 1 of 2 rows above 1e15, more than any \
run has: row 2 (1e308); mend them or leave them out with `where` 'N < 1e15', name another column with `columns` \
params=COLUMN, or read them as they are with `as_is`.
    """
    for quantity, (_, most) in PLAUSIBLE.items():
        values = columns.get(quantity)
        if values is None or quantity not in names or not (values > most).any():
            continue
        above = np.flatnonzero(values > most)
        msg = (
            f"{quantity.capitalize()} lie between {format_short(values.min(), 4)} and {format_short(values.max(), 4)} "
            f"(column {names[quantity]!r}), in {above.size:,} of {values.size:,} rows above {format_short(most)}, more "
            f"than any run has: {offenders(row[above], values[above].tolist())}; mend them or leave them out with "
            f"`where` '{quoted(names[quantity])} < {format_short(most)}', name another column with `columns` "
            f"{quantity}=COLUMN, or read them as they are with `as_is`."
        )
        raise InputError(msg)


def weights_of(name: str, values: AnyArray, row: IntArray) -> Array:
    """
    Read the weights of runs: the one door for those of a column and of an array.

    Parameters
    ----------
    name : str
        Name of the column.
    values : array, shape (n,)
    row : int array, shape (n,)
        Row numbers for messages.

    Raises
    ------
    InputError
        If they are no numbers, negative or not finite, or all zero: one sentence with the count and the first rows.

    Examples
    --------
    >>> weights_of("w", np.array([1.0, -2.0]), np.array([1, 2]))
    Traceback (most recent call last):
        ...
    lawful.errors.InputError: Weights must be finite and not negative, but 1 of 2 in column 'w' are not: row 2 (-2); \
repair or remove these rows.
    """
    weight = quantity_values(name, values, row)
    bad = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if bad.size:
        msg = (
            f"Weights must be finite and not negative, but {bad.size} of {weight.size} in column {name!r} are not: "
            f"{offenders(row[bad], weight[bad].tolist())}; repair or remove these rows."
        )
        raise InputError(msg)
    if not weight.any():
        which = f"All {weight.size} weights in column {name!r} are zero"
        msg = f"{which}, so no run would count; give some a positive weight."
        raise InputError(msg)
    return weight
