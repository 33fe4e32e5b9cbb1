"""Which column of a table is which quantity: the names the field uses, and how to override them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lawful.errors import InputError, UnsupportedError

PARAMS_NAMES = (
    "params",
    "N",
    "parameter_count",
    "model_size",
    "n_params",
    "num_params",
    "parameters",
    "n_parameters",
    "num_parameters",
    "param_count",
)
"""Names of the model size."""

TOKENS_NAMES = (
    "tokens",
    "D",
    "throughput/total_tokens",
    "n_tokens",
    "num_tokens",
    "total_tokens",
    "training_tokens",
)
"""Names of the number of training tokens. ``train_tokens`` is left out: in logs that also
have ``D`` it means the same and would make the table ambiguous."""

LOSS_NAMES = ("loss", "L", "val_loss", "validation_loss", "eval_loss", "eval/loss", "val/loss", "final_loss")
"""Names of the loss in nats per token. A training loss or one of several evaluation sets must be asked for."""

BUDGET_NAMES = (
    "budget",
    "C",
    "flops",
    "flop",
    "compute",
    "total_flops",
    "training_flops",
    "training_flop",
    "train_flops",
    "compute_budget",
)
"""Names of the training compute in FLOPs. ``throughput/total_gflops`` is left out: its unit is another."""

UNIQUE_NAMES = ("unique_tokens", "U", "unique", "n_unique_tokens")
"""Names of the number of unique tokens, which laws for repeated data need."""

ACCEPTED: dict[str, tuple[str, ...]] = {
    "params": PARAMS_NAMES,
    "tokens": TOKENS_NAMES,
    "loss": LOSS_NAMES,
    "budget": BUDGET_NAMES,
}
"""The names of each quantity, matched without regard to case, outer blanks, or blank and hyphen for underscore."""

SYMBOLS = {"N": "params", "D": "tokens", "L": "loss", "C": "budget"}

EXPERIMENT_NAMES = ("experiment", "dataset", "source", "sweep", "model_family", "family", "corpus", "study")
"""Columns that tell experiments apart, the first that varies being the one that is named in a note."""

LISTED = 20
"""Columns named in a message before the rest is counted."""


def listed(names: Iterable[object], limit: int = LISTED) -> str:
    """
    Join names for a message, counting what does not fit.

    Examples
    --------
    >>> listed(["a", "b", "c", "d"], limit=2)
    'a, b and 2 more'
    """
    words = [" ".join(str(name).split()) for name in names]  # a line break in a header stays out of a sentence
    more = len(words) - limit
    return ", ".join(words[:limit]) + (f" and {more} more" if more > 0 else "")


def normalise(name: str) -> str:
    """
    Reduce a name to what is compared: case, outer blanks, and blank or hyphen for underscore do not count.

    Examples
    --------
    >>> normalise(" Model Size")
    'model_size'
    """
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def unique_names(header: Iterable[object]) -> list[str]:
    """
    Turn a header into distinct, non-blank names in the same order.

    Examples
    --------
    >>> unique_names(["loss ", "", "loss"])
    ['loss', 'column_2', 'loss.1']
    """
    names: list[str] = []
    taken: set[str] = set()
    for position, raw in enumerate(header, start=1):
        stem = str(raw).strip() or f"column_{position}"
        name, count = stem, 0
        while name in taken:
            count += 1
            name = f"{stem}.{count}"
        names.append(name)
        taken.add(name)
    return names


def find_column(name: str, keys: Sequence[str], header: Sequence[str], *, asked: str) -> str:
    """
    Find the column that a user named.

    Parameters
    ----------
    name : str
        As the user wrote it.
    keys : sequence of str
        Distinct names of the columns.
    header : sequence of str
        Names as the file has them, in the same order, possibly repeated.
    asked : str
        The option that gave the name (``select``), for the message.

    Returns
    -------
    str
        One of ``keys``.

    Raises
    ------
    InputError
        If no column has that name, or several have.

    Examples
    --------
    >>> find_column("Loss", ["N", "loss"], ["N", "loss"], asked="columns")
    'loss'
    """
    wanted = str(name).strip()
    exact = [key for key, title in zip(keys, header, strict=True) if title == wanted]
    found = exact or [key for key in keys if key == wanted]
    found = found or [key for key, title in zip(keys, header, strict=True) if title.casefold() == wanted.casefold()]
    if len(found) > 1:
        msg = f"The table has {len(found)} columns named {wanted!r}, which `{asked}` names; rename all but one of them."
        raise InputError(msg)
    if not found:
        msg = f"The table has no column {wanted!r}, which `{asked}` names; its columns are {listed(keys)}."
        raise InputError(msg)
    return found[0]


def recognise(keys: Sequence[str], header: Sequence[str], mapping: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    Find the columns of params, tokens, loss and budget.

    Parameters
    ----------
    keys, header : sequence of str
        Distinct names of the columns, and the names as the file has them.
    mapping : mapping of str to str, optional
        Quantity (params, tokens, loss, budget or N, D, L, C) to column; it wins
        over the recognised names.

    Returns
    -------
    dict of str to str
        Quantity to one of ``keys``: the loss and at least two of the others.

    Raises
    ------
    UnsupportedError
        If ``mapping`` names an unknown quantity, or one twice.
    InputError
        If a mapped column does not exist or serves two quantities, if two columns carry
        names of one quantity, or if too few quantities are found.

    Examples
    --------
    >>> recognise(["N", "flops", "val_loss"], ["N", "flops", "val_loss"])
    {'params': 'N', 'loss': 'val_loss', 'budget': 'flops'}
    """
    chosen = _chosen(keys, header, mapping or {})
    free = [(key, title) for key, title in zip(keys, header, strict=True) if key not in chosen.values()]
    found: dict[str, str] = {}
    for quantity, names in ACCEPTED.items():
        if quantity in chosen:
            found[quantity] = chosen[quantity]
            continue
        known = {normalise(name) for name in names}
        hits = [(key, title) for key, title in free if normalise(title) in known]
        if len(hits) > 1:
            raise InputError(_ambiguous(quantity, hits))
        if hits:
            found[quantity] = hits[0][0]
    if "loss" not in found or len(found) < 3:
        raise InputError(_missing(keys, found))
    return found


def _chosen(keys: Sequence[str], header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for given, name in mapping.items():
        word = str(given).strip()
        quantity = SYMBOLS.get(word.upper(), word.lower())
        if quantity not in ACCEPTED:
            msg = f"`columns` cannot set {word!r}; the quantities are {', '.join(ACCEPTED)} (or {', '.join(SYMBOLS)})."
            raise UnsupportedError(msg)
        if quantity in chosen:
            msg = f"`columns` sets {quantity} twice; name one column for it."
            raise UnsupportedError(msg)
        key = find_column(name, keys, header, asked="columns")
        for other, used in chosen.items():
            if used == key:
                msg = f"`columns` names {key!r} for both {other} and {quantity}; they are different quantities."
                raise InputError(msg)
        chosen[quantity] = key
    return chosen


def _ambiguous(quantity: str, hits: Sequence[tuple[str, str]]) -> str:
    titles = [title for _, title in hits]
    if len(set(titles)) == 1:
        return f"The table has {len(hits)} columns named {titles[0]!r}; rename all but one of them."
    return (
        f"{len(hits)} columns look like {quantity}: {', '.join(map(repr, titles))}; "
        f"choose one with `columns` {quantity}={titles[0]}."
    )


def _missing(keys: Sequence[str], found: Mapping[str, str]) -> str:
    given = " and ".join(f"{quantity} ({key!r})" for quantity, key in found.items()) or "none of them"
    lacking = [quantity for quantity in ACCEPTED if quantity not in found]
    names = "; ".join(f"{quantity} may be called {', '.join(ACCEPTED[quantity])}" for quantity in lacking)
    return (
        f"Runs need the loss and two of params, tokens and budget, but the columns {listed(keys)} give {given}: "
        f"{names}; or name a column with `columns` {lacking[0]}=COLUMN."
    )
