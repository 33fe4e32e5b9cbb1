"""
What the columns of a table mean, before they are recognised: recipes, units, perplexities, wide tables, states of runs.

Every step takes a :class:`~lawful.data.selection.Rows` and returns one whose columns have plain numbers under names
that the rest knows, with a note that says what was read how. Nothing is guessed: a unit is read where the table
states it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lawful.core.expression import Expression, evaluate, parse, to_text
from lawful.core.notes import Note
from lawful.core.numbers import format_short
from lawful.core.typing import AnyArray, BoolArray
from lawful.data.checkpoints import RUN_NAMES, named_among
from lawful.data.columns import ACCEPTED, ALSO, SYMBOLS, UNIQUE_NAMES, by_words, find_column, listed, normalise
from lawful.data.doubts import realised_tokens, require_one_loss, words_of
from lawful.data.profiles import profiled
from lawful.data.selection import Rows
from lawful.data.units import SCALES, decimal_mark, dots_group, number_of, split_header, unit_of
from lawful.data.values import MISSING_WORDS, distinct, offenders, parse_number, quantity_values
from lawful.errors import InputError

QUANTITY_NAMES = {q: frozenset((*map(normalise, ACCEPTED[q]), *ALSO[q])) for q in ACCEPTED}
"""Every name of a quantity, as names are compared."""

PERPLEXITIES = tuple(
    map(
        normalise,
        (
            *("perplexity", "ppl", "val_ppl", "eval_ppl", "val_perplexity", "eval_perplexity", "validation_perplexity"),
            *("perplexität", "perplexité", "perplejidad", "困惑度", "验证困惑度", "パープレキシティ"),
        ),
    )
)
"""Columns whose logarithm is the loss."""

BITS = ("bpb", "val_bpb", "eval_bpb", "bits_per_byte", "val_bits_per_byte", "bits_per_character", "bpc", "val_bpc")
"""Losses in bits per byte or character: fitted as they are, and called so."""

SCORES = (
    "accuracy",
    "acc",
    "val_acc",
    "val_accuracy",
    "eval_accuracy",
    "exact_match",
    "f1",
    "score",
    "reward",
    "win_rate",
    *("genauigkeit", "exactitude", "exactitud", "准确率", "正确率", "正解率"),
)
"""Columns that rise as models get better."""

UNITLESS = 1e5
"""Numbers below this beside others with a unit are in that unit too, or in another."""

WIDE_LEAST = 1e12
"""A header that is a number, or ends in one after @ or _, names a budget from here on."""

_WIDE = re.compile(
    r"^(?:.*?(?:loss|ppl|bpb)?[@_\s/=-])?\s*(?:c\s*=\s*)?(?P<number>\d+(?:\.\d+)?[eE]\+?\d{2})(?:\s*flops?)?$",
    re.IGNORECASE,
)


def translate(
    table: Rows, mapping: Mapping[str, str], *, losses: bool = True
) -> tuple[Rows, dict[str, str], list[Note]]:
    """
    Apply recipes, and read what states its unit.

    Parameters
    ----------
    table : Rows
        Clean columns as the source has them.
    mapping : mapping of str to str
        Quantity to a column, or to a formula of columns.
    losses : bool
        Whether its rows need a loss; where they do not, columns that may be one are left as they are.

    Returns
    -------
    table : Rows
    mapping : dict of str to str
        Quantity to column; formulas are columns now.
    notes : list of Note

    Raises
    ------
    InputError
        If a formula names what the table does not have, or a column is no loss.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> table = open_table({"N (M)": [21.8], "steps": [100], "batch": ["2M"], "loss": [3.1]}, "here", None)
    >>> found, mapping, notes = translate(table, {"tokens": "steps*batch"})
    >>> float(found.columns["params"][0]), float(found.columns["tokens"][0])
    (21800000.0, 200000000.0)
    >>> [note.code for note in notes]
    ['recipe', 'unit_read']
    """
    table = replace(table, decimal=_decimal_of(table))
    table = replace(table, grouped=table.decimal == "," and not any(map(_decimal_dots, table.columns.values())))
    table, notes = melted(table)
    table, known, said = profiled(table, {quantity_of(q) for q in mapping})
    notes += said
    table, done, said = _recipes(table, {**mapping, **known}, known)
    notes += said
    table, said = _logarithms(table, done)
    notes += said
    table, said = _stated_units(table, done)
    notes += said
    if losses:
        table, done, said = _losses(table, done)
        notes += said
    return table, done, notes


def quantity_of(word: str) -> str:
    """Return the quantity that a user's word names: params, tokens, loss, budget, or the word itself."""
    return SYMBOLS.get(word.strip().upper(), word.strip().lower())


def _recipes(
    table: Rows, mapping: Mapping[str, str], said: Container[str] = ()
) -> tuple[Rows, dict[str, str], list[Note]]:
    """Work out formulas of columns; those that a note speaks of already get none."""
    done: dict[str, str] = {}
    notes = []
    for given, text in mapping.items():
        if not _is_recipe(str(text), table):
            done[given] = text
            continue
        formula = parse(str(text))
        quantity = quantity_of(given)
        values = computed(formula, table)
        parts = [find_column(w, table.keys, _loose(w, table), asked="columns") for w in sorted(formula.names)]
        table, key = _with_column(table, quantity, values, to_text(formula), parts)
        done[given] = key
        if given not in said:
            notes.append(Note("recipe", f"{quantity} = {to_text(formula)}, as asked."))
    return table, done, notes


def _is_recipe(text: str, table: Rows) -> bool:
    """A text is a formula where no column has it as its name and it has a sign of one."""
    wanted = text.strip().casefold()
    if any(
        wanted in (key.casefold(), title.strip().casefold())
        for key, title in zip(table.keys, table.header, strict=True)
    ):
        return False
    return bool(re.search(r"[-+*/^()`]", text)) or unit_of(text) is not None


def computed(formula: Expression, table: Rows) -> AnyArray:
    """
    Evaluate a formula of columns, row by row.

    Raises
    ------
    InputError
        If a name is no column, or a column holds text where a number is needed.
    """
    values = {}
    for word in sorted(formula.names):
        key = find_column(word, table.keys, _loose(word, table), asked="columns")
        values[word] = numbers(key, table)
    found = _evaluated(formula, values, float)
    return np.broadcast_to(found, table.row.shape).copy()


def meets(condition: Expression, table: Rows, roles: Mapping[str, str]) -> BoolArray:
    """
    Rows that meet a condition on columns, or on quantities by their own names.

    Raises
    ------
    InputError
        If a name is neither, or the formula is no condition.
    """
    values: dict[str, AnyArray] = {}
    for word in sorted(condition.names):
        quantity = roles.get(quantity_of(word))
        there = any(normalise(word) == normalise(t) for t in (*table.keys, *table.header))
        key = quantity if quantity is not None and not there else None
        key = key or find_column(word, table.keys, _loose(word, table), asked="where")
        column = table.columns[key]
        text = column.dtype.kind == "O" and _cells(column) is None and not _all_numbers(column)
        values[word] = column if text else numbers(key, table)
    found = _evaluated(condition, values)
    if found.dtype.kind != "b":
        msg = f"`where` takes a condition such as 'loss < 4 and lr == 3e-4', not {to_text(condition)!r}."
        raise InputError(msg)
    return np.broadcast_to(found, table.row.shape).copy()


def _evaluated(formula: Expression, values: Mapping[str, AnyArray], dtype: type | None = None) -> AnyArray:
    try:
        return np.asarray(evaluate(formula, values), dtype)
    except (TypeError, ValueError):  # a text where a number belongs
        msg = f"{to_text(formula)!r} computes with a text; a text can only be compared, as in state == 'finished'."
        raise InputError(msg) from None


def _all_numbers(column: AnyArray) -> bool:
    try:
        np.array([c if str(c).strip().casefold() not in MISSING_WORDS else "nan" for c in column.tolist()], float)
    except ValueError:
        return False
    return True


def _loose(word: str, table: Rows) -> list[str]:
    """Headers as they stand, or reduced where only so one of them is the word."""
    wanted = normalise(word)
    exact = any(word in (key, title) for key, title in zip(table.keys, table.header, strict=True))
    return list(table.header) if exact else [word if normalise(t) == wanted else t for t in table.header]


def numbers(key: str, table: Rows) -> AnyArray:
    """Numbers of a column, its cells read with the unit they state."""
    column = table.columns[key]
    if column.dtype.kind != "O":
        return quantity_values(key, column, table.row)
    read = _cells(column, table.decimal, grouped=table.grouped)
    return quantity_values(key, column, table.row) if read is None else read


def _decimal_of(table: Rows) -> str:
    """
    The decimal sign of a table: a comma where one of its columns cannot be read otherwise, or its loss.

    21,802 may be twenty thousand or twenty-two; a loss of three thousand is none.
    """
    for key, title in zip(table.keys, table.header, strict=True):
        if table.columns[key].dtype.kind != "O":
            continue
        cells = [c for c in map(str.strip, map(str, distinct(table.columns[key])[0])) if c]
        if not any("," in c for c in cells) or any(number_of(c, decimal=",") is None for c in cells):
            continue
        loss = normalise(title) in _known((*ACCEPTED["loss"], *ALSO["loss"]))
        if decimal_mark(cells) == "," or (loss and all(re.fullmatch(r"\d{1,2},\d+", c) for c in cells)):
            return ","
    return "."


def _decimal_dots(column: AnyArray) -> bool:
    """Whether a column has numbers with a dot before decimals."""
    if column.dtype.kind == "f":
        finite = column[np.isfinite(column)]
        return bool((finite != np.floor(finite)).any())
    cells = [str(c).strip() for c in distinct(column)[0]] if column.dtype.kind == "O" else []
    return any("." in c for c in cells) and not dots_group(cells) and all(number_of(c) is not None for c in cells if c)


def _cells(column: AnyArray, decimal: str = ".", *, grouped: bool = False) -> AnyArray | None:
    """Numbers with units, separators or per cent signs; None where a cell is none, or all are plain."""
    cells = [str(c).strip() for c in column.tolist()]
    dotted = grouped and dots_group(cells)
    if dotted:
        cells = [cell.replace(".", "") for cell in cells]
    mark = "," if decimal == "," else decimal_mark(cells)
    values, plain = [], not dotted
    for cell in cells:
        if cell.casefold() in MISSING_WORDS:
            values.append(float("nan"))
            continue
        try:
            values.append(float(cell))
        except ValueError:
            number = number_of(cell, decimal=mark)
            if number is None:
                return None
            plain = False
            values.append(number)
    return None if plain else np.array(values, float)


def _with_column(table: Rows, name: str, values: AnyArray, formula: str, parts: Sequence[str]) -> tuple[Rows, str]:
    """Add a column under a name, made distinct where it is taken, that is a formula of some others."""
    key, count = name, 0
    while key in table.columns or key in table.header:
        count += 1
        key = f"{name}_read" if count == 1 else f"{name}_read{count}"
    made = {**table.made, key: (formula, tuple(parts))}
    return replace(table, columns={**table.columns, key: values}, header=[*table.header, key], made=made), key


def _known(names: Sequence[str]) -> set[str]:
    return {normalise(n) for n in names}


def worded(table: Rows) -> frozenset[str]:
    """
    Return the columns that hold no number at all though their name may be that of a quantity: a model that is a name.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> sorted(worded(open_table({"model": ["small", "large"], "size": ["125M", "1B"], "loss": [3.1, 3]}, "", None)))
    ['model']
    """
    named = {normalise(name) for names in ALSO.values() for name in names}
    titles = zip(table.keys, table.header, strict=True)
    return frozenset(key for key, title in titles if normalise(title) in named and _no_number(table.columns[key]))


def _no_number(column: AnyArray) -> bool:
    if column.dtype.kind != "O":
        return False
    return all(
        parse_number(cell) is None and number_of(str(cell)) is None and number_of(str(cell), decimal=",") is None
        for cell in distinct(column)[0]
    )


def _stated_units(table: Rows, mapping: dict[str, str]) -> tuple[Rows, list[Note]]:
    """Columns of quantities whose header or cells state a unit, as plain numbers; ``mapping`` gains what it lacked."""
    notes = []
    taken, words = {quantity_of(q) for q in mapping}, worded(table)
    accepted = {**ACCEPTED, "unique_tokens": UNIQUE_NAMES}
    for quantity, names in accepted.items():
        known = _known(names)
        if not any(normalise(t) in known for t in table.header) and quantity in ALSO:
            known = known | _known(ALSO[quantity])
        mapped = next((c for q, c in mapping.items() if quantity_of(q) == quantity), None)
        first = _known(names)
        plain = [
            k
            for k, t in zip(table.keys, table.header, strict=True)
            if normalise(t) in first or (normalise(t) in known and k not in words)
        ]
        if quantity == "tokens" and mapped is None and quantity not in taken:
            found = realised_tokens(table, [k for k in plain if normalise(k) in first])
            if found is not None:
                mapped = mapping["tokens"] = found[0]
                notes.append(found[1])
        if mapped is None and plain and quantity not in taken:
            mapped = plain[0] if len(plain) == 1 else None
        if mapped is not None:
            table, said = _cells_read(table, mapped)
            notes += said
            continue
        if quantity in taken or plain or quantity == "loss":
            continue
        table, said = _header_read(table, mapping, quantity, known)
        notes += said
        if quantity == "params" and quantity not in mapping:
            table, said = _sizes_in_names(table, mapping)
            notes += said
    return table, notes


_SIZE_IN_NAME = re.compile(r"(?<![\d.a-z])(\d+(?:\.\d+)?[mb])(?![a-z\d])(?![-_ ]*tok)", re.IGNORECASE)


def _sizes_in_names(table: Rows, mapping: dict[str, str]) -> tuple[Rows, list[Note]]:
    """Sizes that stand in the names of models (lm-160m), where every name holds one and no other column has any."""
    spoken = any(by_words(t) == "params" or _SIZES.search(normalise(t)) for t in table.header)
    for key in [] if spoken else named_among(("model", "model_name", *RUN_NAMES), table.keys):
        if table.columns[key].dtype.kind != "O":
            continue
        called, which = distinct(table.columns[key])
        sizes = [_SIZE_IN_NAME.findall(str(name)) for name in called]
        if not all(len(found) == 1 for found in sizes):
            continue
        values = np.array([number_of(found[0]) or np.nan for found in sizes])[which]
        table, mapping["params"] = _with_column(table, "params", values, f"size in {key}", [key])
        text = (
            f"The sizes stand in the names of column {key!r}: {called[0]!r} was read as "
            f"{format_short(float(values[0]))} parameters."
        )
        return table, [Note("unit_read", text)]
    return table, []


_SIZES = re.compile(r"param|flop|compute|budget|(?:^|_)size")
"""Words of columns that give a size, or what it follows from."""


def _cells_read(table: Rows, name: str) -> tuple[Rows, list[Note]]:
    try:
        key = find_column(name, table.keys, table.header, asked="columns")
    except InputError:
        return table, []  # said where the quantities are recognised
    column = table.columns[key]
    if column.dtype.kind != "O":
        return table, []
    values = _cells(column, table.decimal, grouped=table.grouped)
    if values is None:
        return table, []
    first = next(str(c).strip() for c, v in zip(column.tolist(), values, strict=True) if np.isfinite(v))
    shown = float(values[np.isfinite(values)][0])
    with_unit = np.array([bool(re.search(r"\d\s*[kmbgt]\w*\s*$", str(c).casefold())) for c in column.tolist()])
    bare = ~with_unit & np.isfinite(values) & (values < UNITLESS)
    if with_unit.any() and bare.any():
        msg = (
            f"Some cells of column {key!r} state a unit ({str(column[with_unit][0])!r}) and others "
            f"are small numbers without one: {offenders(table.row[bare], values[bare].tolist())}; write all of "
            f"them in one way."
        )
        raise InputError(msg)
    columns = {k: (values if k == key else v) for k, v in table.columns.items()}
    text = f"Column {key!r} was read with the units of its cells: {first!r} as {format_short(shown)}."
    return replace(table, columns=columns), [Note("unit_read", text)]


def _header_read(table: Rows, mapping: dict[str, str], quantity: str, known: set[str]) -> tuple[Rows, list[Note]]:
    hits = []
    for key, title in zip(table.keys, table.header, strict=True):
        for stem, unit in split_header(title):
            spoken = by_words(stem) == quantity or (quantity == "budget" and _of_compute(stem, title))
            if normalise(stem) in known or spoken:
                hits.append((key, title, unit))
                break
        else:
            # "PF-days" is compute by its unit alone; "b", "k" and "m" are columns of anything.
            alone = unit_of(title) if quantity == "budget" and title.strip().casefold() not in SCALES else None
            if alone is not None:
                hits.append((key, title, alone))
    if not hits:
        return table, []
    if len(hits) > 1:
        msg = (
            f"{len(hits)} columns look like {quantity}: {', '.join(repr(t) for _, t, _ in hits)}; "
            f"choose one with `columns` {quantity}='{hits[0][1]}'."
        )
        raise InputError(msg)
    key, title, unit = hits[0]
    values = numbers(key, table)
    # A cell that states its own unit (7.6B under "tokens (B)") has had it.
    texts = table.columns[key].tolist() if table.columns[key].dtype.kind == "O" else []
    stated = any(re.search(r"\d\s*[A-Za-z]", re.sub(r"[eE][-+]?\d+$", "", str(c).strip())) for c in texts)
    scaled = values if stated else values * unit.scale
    formula = f"{title} × {format_short(unit.scale, 4)}"
    table, made = _with_column(table, quantity, scaled, formula, [key])
    if quantity != "unique_tokens":
        mapping[quantity] = made
    text = f"Column {title!r} was read in {unit.word}: {quantity} = {formula}."
    return table, [Note("unit_read", text)]


def _losses(table: Rows, mapping: dict[str, str]) -> tuple[Rows, dict[str, str], list[Note]]:
    """A perplexity as a loss, bits per byte as they are; a score is refused."""
    mapped = next((c for q, c in mapping.items() if quantity_of(q) == "loss"), None)
    titles = dict(zip(table.keys, map(normalise, table.header), strict=True))
    if mapped is not None:
        return table, mapping, _unit_note(mapped)
    plain = [k for k, t in titles.items() if t in _known(ACCEPTED["loss"])]
    if plain:
        if len(plain) == 1:
            require_one_loss(table, plain[0])
        return table, mapping, []
    in_brackets = _bracketed_loss(table)
    if in_brackets is not None:
        table, key, said = in_brackets
        return table, {**mapping, "loss": key}, said
    if any(t in ALSO["loss"] for t in titles.values()):
        return table, mapping, []
    ppl = _measured(titles, PERPLEXITIES)
    if len(ppl) == 1:
        values = numbers(ppl[0], table)
        bad = np.flatnonzero(~(values > 1.0))
        if bad.size:
            msg = (
                f"Column {ppl[0]!r} is a perplexity, whose log is the loss, but {bad.size} of {values.size} rows are "
                f"not above 1: {offenders(table.row[bad], values[bad].tolist())}."
            )
            raise InputError(msg)
        table, key = _with_column(table, "loss", np.log(values), f"log({ppl[0]})", ppl)
        return (
            table,
            {**mapping, "loss": key},
            [Note("recipe", f"loss = log({ppl[0]}): a perplexity was read as a loss.")],
        )
    bits = _measured(titles, BITS)
    if len(bits) == 1:
        return table, {**mapping, "loss": bits[0]}, _unit_note(bits[0])
    scores = [k for k, t in titles.items() if t in SCORES or words_of(t) & _SCORE_WORDS]
    if scores:
        msg = (
            f"The table has no loss: {listed(map(repr, scores))} rises as models get better; give the column of a loss "
            f"with `columns` loss=COLUMN, or an error such as `columns` loss='1-{scores[0]}'."
        )
        raise InputError(msg)
    return table, mapping, []


_SCORE_WORDS = frozenset(("acc", "accuracy", "f1", "score", "reward"))


def _measured(titles: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """Columns by some names of a measure, or by a path that ends in one and is not that of training."""
    exact = [k for k, t in titles.items() if t in names]
    ends = {"ppl", "perplexity"} if names is PERPLEXITIES else {"bpb", "bpc", "bits_per_byte"}
    paths = [k for k, t in titles.items() if words_of(t) & ends or any(t.endswith(e) for e in ends)]
    other = {"train", "training", "log", "min", "std"}
    # The log of a perplexity of words or bytes is nats per word or byte.
    other |= {"word", "byte"} if names is PERPLEXITIES else set()
    return exact or [k for k in paths if not words_of(titles[k]) & other]


LOSS_UNITS = {
    **dict.fromkeys(("nats", "nat", "nats/token", "nats per token", "nats/tok"), 1.0),
    **dict.fromkeys(("bits", "bit", "bits/token", "bits per token", "bits/tok", "bpt"), float(np.log(2.0))),
    **dict.fromkeys(("bpb", "bits/byte", "bits per byte", "bpc", "bits/char", "bits per character"), 0.0),
}
"""What a loss in this unit is multiplied by to be in nats per token; 0 where no number does that."""


def _bracketed_loss(table: Rows) -> tuple[Rows, str, list[Note]] | None:
    """The one column whose header is a loss with its unit in brackets, in nats per token where that can be."""
    known, hits = _known((*ACCEPTED["loss"], *ALSO["loss"])), []
    for key, title in zip(table.keys, table.header, strict=True):
        match = re.match(r"^(?P<stem>.+?)\s*[(\[](?:in\s+)?(?P<unit>[^)\]]+)[)\]]$", title.strip())
        factor = LOSS_UNITS.get(match["unit"].strip().casefold()) if match else None
        if match and factor is not None and normalise(match["stem"]) in known:
            hits.append((key, title, factor))
    if len(hits) != 1:
        return None
    key, title, factor = hits[0]
    if not factor:
        return table, key, _unit_note(key)
    text = f"Column {title!r} was read in nats per token" + ("." if factor == 1 else ": loss = bits × ln 2.")
    table, made = _with_column(table, "loss", numbers(key, table) * factor, f"{title} × {factor:.4g}", [key])
    return table, made, [Note("unit_read", text)]


_BASES = {"log10": 10.0, "lg": 10.0, "log2": 2.0, "ln": float(np.e), "log": 0.0}
_LOG = re.compile(r"^(?P<base>log10|log2|log|lg|ln)[\s_]*[\s_(\[]\s*(?P<stem>.+?)\s*[)\]]?$", re.IGNORECASE)
_LARGEST_TENS = {"params": 13.5, "tokens": 15.5, "budget": 29.0}
"""Logarithms above are natural ones where the name does not say."""


def _logarithms(table: Rows, mapping: dict[str, str]) -> tuple[Rows, list[Note]]:
    """Columns that are the logarithm of a quantity, as the quantity; ``mapping`` gains what it lacked."""
    notes = []
    taken = {quantity_of(q) for q in mapping}
    for quantity, largest in _LARGEST_TENS.items():
        names = _known((*ACCEPTED[quantity], *ALSO[quantity]))
        titles = list(zip(table.keys, table.header, strict=True))
        if quantity in taken or any(normalise(t) in names for _, t in titles):
            continue
        found = [(k, t, m) for k, t in titles if (m := _LOG.match(t.strip())) and normalise(m["stem"]) in names]
        if len(found) != 1:
            continue
        key, title, match = found[0]
        values = numbers(key, table)
        base = _BASES[match["base"].casefold()] or (10.0 if np.nanmax(values) <= largest else float(np.e))
        word = "e" if base == _BASES["ln"] else f"{base:g}"
        with np.errstate(over="ignore", under="ignore"):
            table, made = _with_column(table, quantity, base**values, f"{word}^{title}", [key])
        mapping[quantity] = made
        notes.append(Note("recipe", f"{quantity} = {word}^{title}: a logarithm was read as what it is of."))
    return table, notes


_COMPUTE_WORDS = frozenset(("train", "training", "total", "pretrain", "pretraining", "model", "compute", "c"))


def _of_compute(stem: str, title: str) -> bool:
    """Whether words before a unit of FLOPs say no more than that it is the compute of a run."""
    return "flop" in title.casefold() and words_of(stem) <= _COMPUTE_WORDS


def _unit_note(column: str) -> list[Note]:
    unit = loss_unit(column)
    if unit == NATS:
        return []
    return [Note("loss_unit", f"The loss is in {unit} (column {column!r}), not in nats per token.")]


NATS = "nats per token"
_BITS_NAMED = re.compile(
    r"(?:^|[^a-z])(?:(?P<byte>bpb|bits?(?:_per_|/)byte)|bpc|bits?(?:_per_|/)char(?:acter)?)(?![a-z])"
)


def loss_unit(column: str) -> str:
    """
    Unit of a loss by the name of its column.

    Examples
    --------
    >>> loss_unit("val_bpb"), loss_unit("eval/loss"), loss_unit("bpc")
    ('bits per byte', 'nats per token', 'bits per character')
    """
    found = _BITS_NAMED.search(normalise(column))
    if found:
        return "bits per byte" if found["byte"] else "bits per character"
    return "bits per token" if "bits" in words_of(column) else NATS


def melted(table: Rows) -> tuple[Rows, list[Note]]:
    """
    Turn one column of losses per budget into one row per run.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> table, notes = melted(open_table({"params": [1e8, 2e8], "1e18": [3.1, 3.2], "1e19": [2.9, None]}, "here", None))
    >>> table.columns["budget"].tolist(), table.columns["loss"].tolist()
    ([1e+18, 1e+18, 1e+19], [3.1, 3.2, 2.9])
    """
    budgets = {key: _budget_named(title) for key, title in zip(table.keys, table.header, strict=True)}
    wide = {key: budget for key, budget in budgets.items() if budget is not None}
    titles = {normalise(t) for k, t in zip(table.keys, table.header, strict=True) if k not in wide}
    quantity = "budget"
    if len(wide) < 2:
        quantity, wide = _counted(table)
    if len(wide) < 2 or titles & (_known(ACCEPTED["loss"]) | _known(ACCEPTED[quantity])):
        return table, []
    if quantity in table.keys or "loss" in table.keys:
        return table, []
    kept = [k for k in table.keys if k not in wide]
    n = table.row.size
    losses = np.concatenate([numbers(k, table) for k in wide])
    index, there = np.tile(np.arange(n), len(wide)), np.isfinite(losses)
    columns: dict[str, AnyArray] = {k: table.columns[k][index][there] for k in kept}
    columns[quantity] = np.repeat(np.array(list(wide.values())), n)[there]
    columns["loss"] = losses[there]
    empty = int((~there).sum())
    named = {"budget": "a budget", "params": "a size", "tokens": "a number of tokens"}[quantity]
    text = f"{len(wide)} columns named by {named} were read as one row per run: {int(there.sum())} runs" + (
        f", {empty} empty cells left out." if empty else "."
    )
    titles_kept = [t for k, t in zip(table.keys, table.header, strict=True) if k not in wide]
    made = replace(table, columns=columns, header=[*titles_kept, quantity, "loss"], row=table.row[index][there])
    return made, [Note("wide_table", text)]


_COUNT = re.compile(
    r"^(?:(?:final|val|eval|test|validation)[_\s/]?)?(?:loss)?[@_\s/-]*(?P<count>\d+(?:\.\d+)?\s*[kmbt])"
    r"(?:[_\s-]*(?P<noun>params?|tokens?|toks?))?$",
    re.IGNORECASE,
)


def _counted(table: Rows) -> tuple[str, dict[str, float]]:
    """Columns of losses named by a size, beside tokens or budgets, or by tokens, beside sizes; or none."""
    found = {k: m for k, t in zip(table.keys, table.header, strict=True) if (m := _COUNT.match(t.strip()))}
    stems = [
        {normalise(stem) for stem in (title, *(stem for stem, _ in split_header(title)))}
        for key, title in zip(table.keys, table.header, strict=True)
        if key not in found
    ]
    there = {q for q in ("params", "tokens", "budget") if any(s & _known((*ACCEPTED[q], *ALSO[q])) for s in stems)}
    nouns = {(m["noun"] or "")[:3].casefold() for m in found.values()}
    quantity = "params" if "params" not in there and there else "tokens" if there == {"params"} else ""
    if not quantity or (nouns & {"par", "tok"}) - {quantity[:3]}:
        return "budget", {}
    return quantity, {key: number_of(match["count"]) or 0.0 for key, match in found.items()}


def _budget_named(title: str) -> float | None:
    match = _WIDE.match(title.strip())
    value = float(match["number"]) if match else 0.0
    return value if value >= WIDE_LEAST else None
