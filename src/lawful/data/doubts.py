"""What a table leaves open though every column has a name: two losses, a plan beside what came of it, units of toys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lawful.core.expression import quoted
from lawful.core.notes import Note
from lawful.core.numbers import format_short
from lawful.core.typing import AnyArray, Array, BoolArray, IntArray
from lawful.data.checkpoints import RUN_NAMES, distinct_within, named_among, row_codes
from lawful.data.columns import ACCEPTED, ALSO, EPOCHS, STEPS, UNIQUE_NAMES, listed, normalise
from lawful.data.selection import Rows
from lawful.data.units import LARGE_RUN, split_header, usual_loss
from lawful.data.values import number_or_nan
from lawful.errors import InputError

REALISED = (
    *("tokens_seen", "seen_tokens", "tokens_trained", "trained_tokens", "consumed_tokens", "tokens_consumed"),
    *("actual_tokens", "tokens_actual", "realized_tokens", "realised_tokens", "num_input_tokens_seen"),
)
"""Tokens that a run did see, which count where others were planned."""

PLANNED = (
    *("planned_tokens", "target_tokens", "tokens_planned", "tokens_target", "intended_tokens", "max_tokens"),
    *("token_budget", "planned_flops", "target_flops", "planned_compute", "planned_steps", "max_steps"),
)
"""Columns of what was meant to be."""

PLAIN_LOSSES = ("loss", "l", "final_loss")
"""Names of a loss that do not say on which data."""

HELD_OUT = frozenset(("val", "valid", "validation", "eval", "evaluation", "test", "heldout", "dev"))
MEASURES = frozenset(("loss", "losses", "ppl", "perplexity", "bpb", "nll", "ce", "xent", "entropy"))
"""Words of a column that is a loss on data which was held out."""

SAME = 1e-3
"""Two columns are one where they agree to this, as a loss and the log of a perplexity do."""

HIGH = 1.7
"""Losses so many times those that runs of such compute reach on text may be perplexities of an easier text."""

FAR_BELOW = 0.5
"""A median loss below this share of what such runs cost on text is that of a toy, or of counts without their unit."""

TOY = 3e6
"""Parameters below which a loss far below that of text is more likely that of a toy than of another measure."""

FEW, MANY = 0.5, 5e3
"""Tokens per parameter of the median run that most sweeps stay between."""


def words_of(title: str) -> set[str]:
    """
    Split a header into its words.

    Examples
    --------
    >>> sorted(words_of("eval/c4-en/loss"))
    ['c4', 'en', 'eval', 'loss']
    """
    text = normalise(title)
    for sign in "/.()[]:-":
        text = text.replace(sign, "_")
    return {word for word in text.split("_") if word}


def realised_tokens(table: Rows, plain: Sequence[str]) -> tuple[str, Note] | None:
    """
    Return the column of tokens that runs saw, where one by a plainer name says otherwise; None where none does.

    Parameters
    ----------
    table : Rows
    plain : sequence of str
        Columns by the plain names of tokens.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> realised_tokens(open_table({"tokens": [2e9, 2e9], "tokens_seen": [2e9, 1.2e9]}, "", None), ["tokens"])[0]
    'tokens_seen'
    """
    seen = named_among(REALISED, table.keys)
    if len(seen) != 1 or len(plain) != 1:
        return None
    real, plan = (number_or_nan(table.columns[key]) for key in (seen[0], plain[0]))
    both = np.isfinite(real) & np.isfinite(plan)
    off = int((np.abs(real[both] / plan[both] - 1) > SAME).sum()) if both.any() else 0
    # In another unit it is no other count.
    if not off or not 0.02 < np.median(real[both] / plan[both]) < 50:
        return None
    text = (
        f"Column {seen[0]!r} was taken for tokens, as what the runs saw, and not {plain[0]!r}, from which it "
        f"differs in {off} of {real.size} rows."
    )
    return seen[0], Note("column_choice", text)


def require_one_loss(table: Rows, key: str) -> None:
    """
    Refuse a loss that does not say on which data where another column is one on held-out data.

    Raises
    ------
    InputError
        One sentence that names both.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> require_one_loss(open_table({"loss": [2.9, 2.7], "test_loss": [3.0, 2.9]}, "here", None), "loss")
    Traceback (most recent call last):
        ...
    lawful.errors.InputError: Column 'loss' does not say on which data, and 'test_loss' is of data that was held out: \
choose one with `columns` loss=test_loss, or `columns` loss=loss.
    """
    titles = dict(zip(table.keys, table.header, strict=True))
    if normalise(titles[key]) not in PLAIN_LOSSES:
        return
    own = number_or_nan(table.columns[key])
    for other, title in titles.items():
        words = words_of(title)
        if other == key or not (words & HELD_OUT and words & MEASURES):
            continue
        values = number_or_nan(table.columns[other])
        both = np.isfinite(values) & np.isfinite(own) & (values > 0) & (own > 0)
        if not both.any() or _one_measure(own[both], values[both]):
            continue
        ppl = words & {"ppl", "perplexity"}
        named = f"'log({quoted(other)})'" if ppl else quoted(other).replace("`", "'")
        msg = (
            f"Column {key!r} does not say on which data, and {title!r} is of data that was held out: choose one with "
            f"`columns` loss={named}, or `columns` loss={key}."
        )
        raise InputError(msg)


def _one_measure(a: Array, b: Array) -> bool:
    """Whether two columns are the same loss: equal, in other units, or one the log of the other."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratios = [a / b, a / np.log(b)]
    if a.size == 1:
        return any(abs(float(r[0]) - 1) < SAME for r in ratios)
    return any(bool(np.isfinite(r).all() and np.ptp(r) < SAME * np.abs(np.median(r))) for r in ratios)


def other_counts(table: Rows, roles: Mapping[str, str]) -> list[Note]:
    """
    Name the columns that count a quantity otherwise than the one that was taken, and those of plans.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> table = open_table({"params": [2e8, 4e8], "active_params": [1e8, 1e8]}, "here", None)
    >>> print(other_counts(table, {"params": "params"})[0].message)
    Column 'params' was taken for params; 'active_params' counts otherwise.
    """
    notes = []
    for quantity in ("params", "tokens", "budget"):
        key = roles.get(quantity)
        if key is None:
            continue
        own = number_or_nan(table.columns[key])
        others = [
            title
            for other, title in zip(table.keys, table.header, strict=True)
            if other not in roles.values()
            and other not in table.made.get(key, ("", ()))[1]
            and (scale := _counted_in(title, quantity))
            and _differs(number_or_nan(table.columns[other]) * scale, own)
        ]
        if others:
            verb = "counts" if len(others) == 1 else "count"
            text = f"Column {key!r} was taken for {quantity}; {listed(map(repr, others))} {verb} otherwise."
            notes.append(Note("column_choice", text))
    return notes


def _counted_in(title: str, quantity: str) -> float:
    """Scale of another column that counts a quantity, as its header has it; 0 of any other column."""
    if normalise(title) in ALSO[quantity] or (quantity == "tokens" and normalise(title) in PLANNED):
        return 1.0
    names = {*map(normalise, ACCEPTED[quantity]), *ALSO[quantity]}
    return next((unit.scale for stem, unit in split_header(title) if normalise(stem) in names), 0.0)


def lone_counts(N: Array, D: Array, row: IntArray) -> list[Note]:
    """
    Doubt rows whose tokens per parameter lie far from those of all others: slips of a unit in single cells.

    Examples
    --------
    >>> N, D = np.full(12, 1e9), np.array([2e10 * 2**i for i in range(11)] + [2e15])
    >>> print(lone_counts(N, D, np.arange(1, 13))[0].message)
    Row 12 has 2e6 tokens per parameter and all others 20 to 20500: if the unit differs there, mend it.
    """
    ratio = D / N
    apart = _apart(ratio, LONE_FACTOR)
    if not apart.any():
        return []
    text = (
        f"{_named(row[apart])} {_between(ratio[apart])} tokens per parameter and all others "
        f"{_between(ratio[~apart])}: if the unit differs there, mend it."
    )
    return [Note("unit_doubt", text)]


def lone_losses(loss: Array, row: IntArray) -> list[Note]:
    """
    Doubt a few losses far from all others: marks of a missing number, slips of a decimal sign, runs that diverged.

    Examples
    --------
    >>> print(lone_losses(np.array([3.1, 3.0, 0.29, *[2.8] * 9]), np.arange(1, 13))[0].message)
    Row 3 has a loss of 0.29 and all others 2.8 to 3.1: if it is a slip, a mark or a run that diverged, mend it or \
leave it out.
    """
    if loss.size < FEWEST_LONE or loss.min() <= 0 or np.median(loss) < 1:
        return []
    apart = _apart(loss, LONE_LOSS)
    if not apart.any() or apart.mean() > MOST_LONE:
        return []
    text = (
        f"{_named(row[apart])} a loss of {_between(loss[apart])} and all others {_between(loss[~apart])}: if it is a "
        f"slip, a mark or a run that diverged, mend it or leave it out."
    )
    return [Note("unit_doubt", text)]


def _apart(values: Array, factor: float) -> BoolArray:
    """Rows on the smaller side of the widest gap between values, where that is wider than a factor."""
    order = np.argsort(values, kind="stable")
    gaps = np.diff(np.log(values[order]))
    apart = np.zeros(values.size, dtype=np.bool_)
    if gaps.size and gaps.max() > np.log(factor):
        cut = int(gaps.argmax()) + 1
        apart[order[:cut] if 2 * cut <= values.size else order[cut:]] = True
    return apart


def _named(row: IntArray) -> str:
    return f"Row {row[0]} has" if row.size == 1 else f"Rows {listed(row.tolist(), 3)} have"


def _between(values: Array) -> str:
    low, high = (format_short(v, 3) for v in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


LONE_FACTOR, LONE_LOSS = 50.0, 2.0
"""Gaps in tokens per parameter, and in the loss, beyond which rows stand apart from all others."""

FEWEST_LONE, MOST_LONE = 8, 0.1
"""Fewest losses that any of them can stand apart from, and the share of them up to which some may be slips."""


def _differs(a: Array, b: Array) -> bool:
    both = np.isfinite(a) & np.isfinite(b)
    return bool(both.any() and not np.allclose(a[both], b[both], rtol=SAME))


def unit_doubts(
    labels: Mapping[str, AnyArray], N: Array, C: Array, loss: Array, *, bits: bool, key: str = "loss"
) -> list[Note]:
    """
    Doubt units that nothing refuses: sizes and compute of toys at losses of large runs, tokens of one epoch of several.

    Examples
    --------
    >>> N, C = np.array([2e4, 4e4]), np.array([5e10, 5e10])
    >>> print(unit_doubts({}, N, C, np.array([2.9, 2.8]), bits=False)[0].message)
    The losses are 0.11 times what models of 20000 to 40000 parameters reach on text (median): if a unit is missing, \
give it, such as `columns` params='params*1e6'.
    """
    notes = []
    # A loss around zero is of no text in nats, so what text costs says nothing of it.
    share = float(np.median(loss / usual_loss(N, C))) if loss.min() > 0 else float("nan")
    ratio = float(np.median(C / (6 * N**2)))  # tokens per parameter, of C = 6ND
    if not FEW <= ratio <= MANY:
        text = (
            f"The runs have {format_short(ratio, 3)} tokens per parameter (median), which few have: if a unit is "
            f"missing, give it, such as `columns` params='params*1e3'."
        )
        notes.append(Note("unit_doubt", text))
    elif share < FAR_BELOW and np.median(N) < TOY and not bits:
        text = (
            f"The losses are {share:.2g} times what models of {format_short(N.min(), 3)} to {format_short(N.max(), 3)} "
            f"parameters reach on text (median): if a unit is missing, give it, such as `columns` params='params*1e6'."
        )
        notes.append(Note("unit_doubt", text))
    elif share > HIGH and np.median(C) >= LARGE_RUN and not bits:
        text = (
            f"The losses are {share:.2g} times what runs of such compute reach on text (median): if they are "
            f"perplexities, read them with `columns` loss='log({quoted(key)})'."
        )
        notes.append(Note("unit_doubt", text))
    epochs = [name for name in named_among(EPOCHS, labels) if labels[name].dtype.kind in "iuf"][:1]
    if epochs and not named_among(UNIQUE_NAMES, labels):
        most = float(np.nanmax(labels[epochs[0]], initial=0.0))
        if most > 1.01:
            text = (
                f"Column {epochs[0]!r} goes up to {format_short(most, 3)}: the tokens were taken as all that a run "
                f"saw; if they are those of one epoch, multiply them, `columns` tokens='tokens*{quoted(epochs[0])}'."
            )
            notes.append(Note("unit_doubt", text))
    return notes


def require_moving_tokens(labels: Mapping[str, AnyArray], cell: IntArray) -> None:
    """
    Refuse the history of runs whose tokens stand still, as planned ones do, while their steps go on.

    Raises
    ------
    InputError
        One sentence that says how to keep one row of every run.
    """
    steps, runs = named_among(STEPS, labels)[:1], named_among([*RUN_NAMES, "id"], labels)[:1]
    if not steps or not runs:
        return
    # Of one run and one N and D, how many steps there are.
    several = distinct_within(row_codes([cell, labels[runs[0]]]), labels[steps[0]]) > 1
    if several.mean() <= 0.5:
        return
    msg = (
        f"{int(several.sum()):,} of {several.size:,} runs (column {runs[0]!r}) have several rows of other "
        f"{steps[0]!r} at the same tokens, as histories have under the tokens that were planned: keep one row of each "
        f"with `row_of_run` last (or best), or count the tokens of every row."
    )
    raise InputError(msg)
