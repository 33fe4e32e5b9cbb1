"""The ways to count parameters and FLOPs that a table of runs supports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lawful.core.notes import Note
from lawful.core.shown import Record
from lawful.core.typing import Array
from lawful.counting.formulas import (
    chinchilla_flops,
    deepseek_flops,
    flops_6nd,
    kaplan_forward_flops,
    kaplan_params,
    training_flops,
)
from lawful.counting.transformer import Transformer
from lawful.data.columns import BUDGET_NAMES, PARAMS_NAMES, find_column, normalise
from lawful.data.runs import Runs
from lawful.data.values import quantity_values, require_positive
from lawful.errors import InputError, UnsupportedError

SAME_COUNT = 1e-3
"""Two counts that differ by less than this fraction in every run are one convention under two names."""

NON_EMBEDDING_NAMES = (
    "n_no_emb",
    "n_non_emb",
    "n_nonemb",
    "n_non_embedding",
    "non_embedding_params",
    "nonembedding_params",
    "num_non_embedding_params",
    "params_no_emb",
    "params_non_embedding",
    "scaling_params",
)
"""Names of a count of parameters beside the one that was recognised, normalised."""

FLOPS_NAMES = ("c_no_emb", "c_6nd", "c_6nd_no_emb", "flops_no_emb", "flops_6nd", "non_embedding_flops", "total_gflops")
"""Names of a count of FLOPs beside the budget, normalised; those that end in gflops are in units of 1e9."""

SHAPE_NAMES: dict[str, tuple[str, ...]] = {
    "width": ("width", "d_model", "hidden_dim", "hidden_size", "n_embd", "model_dim"),
    "layers": ("layers", "n_layer", "n_layers", "num_layers", "num_hidden_layers", "depth"),
    "heads": ("heads", "n_head", "n_heads", "num_heads", "num_attention_heads"),
    "kv_heads": ("kv_heads", "n_kv_heads", "num_kv_heads", "num_key_value_heads"),
    "head_dim": ("head_dim", "head_size", "kv_size", "d_head"),
    "ffn": ("ffn", "d_ff", "ffn_width", "ffw_size", "intermediate_dim", "intermediate_size"),
    "vocabulary": ("vocabulary", "vocab_size", "vocab", "n_vocab"),
    "context": ("context", "n_ctx", "seq_len", "seq_length", "sequence_length", "max_seq_len", "block_size"),
}
"""What describes the shape of a model, and the columns it is read from; a prefix such as ``model.`` does not count."""


@dataclass(frozen=True, eq=False)
class Count(Record):
    """
    One way to count, applied to every run.

    Parameters
    ----------
    name : str
        Its column, or the formula's name.
    values : array, shape (n,)
        Parameters, or total training FLOPs.
    own : str
        For 6ND of one count of parameters: that count. Empty where it goes with any.
    also : tuple of str
        Other names of the same numbers.

    Examples
    --------
    >>> Count("N_no_emb", np.array([1e8])).own
    ''
    """

    name: str
    values: Array
    own: str = ""
    also: tuple[str, ...] = ()


def find_counts(
    runs: Runs,
    *,
    shape: Mapping[str, Any] | None = None,
    params: Sequence[str] = (),
    flops: Sequence[str] = (),
) -> tuple[list[Count], list[Count], list[Note]]:
    """
    Collect every count of parameters and of FLOPs that the columns of some runs support.

    Parameters
    ----------
    runs : Runs
        With their labels.
    shape : mapping of str to float or str, optional
        Parts of the models' shape (:data:`SHAPE_NAMES`): a number, or a column.
    params, flops : sequence of str
        More columns that count parameters, or FLOPs.

    Returns
    -------
    params, flops : list of Count
        The first of each is that of the runs themselves.
    notes : list of Note
        Columns that were passed over, and why.

    Raises
    ------
    InputError
        If a column that was asked for does not exist or cannot be used.
    UnsupportedError
        If ``shape`` names an unknown part.

    Examples
    --------
    >>> import lawful
    >>> runs = lawful.read_runs({"N": [2e8], "N_no_emb": [1e8], "D": [1e9], "loss": [3.1], "C": [1.2e18]})
    >>> params, flops, _ = find_counts(runs)
    >>> [count.name for count in params], [count.name for count in flops]
    (['N', 'N_no_emb'], ['C', '6ND of N_no_emb'])
    """
    notes: list[Note] = []
    of_model = _shape(runs, shape or {})
    named = {"params": (*PARAMS_NAMES, *NON_EMBEDDING_NAMES), "budget": (*BUDGET_NAMES, *FLOPS_NAMES)}
    sizes = [Count(runs.columns.get("params", "N"), runs.N)]
    sizes += [Count(key, values) for key, values in _columns(runs, named["params"], params, "params", notes)]
    sizes += _model_params(of_model, runs.N)
    sizes = _without_repeats(sizes)
    first = runs.columns.get("budget")
    costs = [Count(first, runs.C) if first else Count("6ND", runs.C, own=sizes[0].name)]
    costs += [Count(key, values) for key, values in _columns(runs, named["budget"], flops, "flops", notes)]
    costs += _model_flops(of_model, runs.D)
    with np.errstate(over="ignore"):
        costs += [Count(f"6ND of {n.name}", flops_6nd(n.values, runs.D), own=n.name) for n in sizes]
    return sizes, _without_repeats(costs), notes


def _columns(
    runs: Runs, names: Iterable[str], asked: Sequence[str], option: str, notes: list[Note]
) -> Iterator[tuple[str, Array]]:
    """Columns among the labels that count this, by their names or because they were asked for."""
    keys = list(runs.labels)
    wanted = [find_column(name, keys, keys, asked=option) for name in asked]
    known = {normalise(name) for name in names}
    found = [key for key in keys if _stem(key) in known or normalise(key) in known]
    row = np.arange(1, len(runs) + 1, dtype=np.intp) if runs.row is None else runs.row
    for key in dict.fromkeys([*wanted, *found]):
        try:
            values = quantity_values(key, runs.labels[key], row)
            require_positive({key: values}, row)
        except InputError as error:
            if key in wanted:
                raise
            notes.append(Note("unavailable", f"Column {key!r} was passed over as a convention: {error}"))
            continue
        yield key, values * (1e9 if _stem(key).endswith("gflops") else 1.0)


def _stem(key: str) -> str:
    """Name of a column without a prefix such as ``model.`` or ``throughput/``."""
    return normalise(key.replace("/", ".").rpartition(".")[2])


def _shape(runs: Runs, given: Mapping[str, Any]) -> dict[str, Array]:
    """Parts of the models' shape, one value per run, from what was given and from the columns' names."""
    unknown = [name for name in given if name not in SHAPE_NAMES]
    if unknown:
        msg = f"A shape has the parts {', '.join(SHAPE_NAMES)}; got {', '.join(map(repr, unknown))}."
        raise UnsupportedError(msg)
    row = np.arange(1, len(runs) + 1, dtype=np.intp) if runs.row is None else runs.row
    found: dict[str, Array] = {}
    for part, names in SHAPE_NAMES.items():
        source: Any = given.get(part, next((key for key in runs.labels if _stem(key) in names), None))
        if isinstance(source, str):
            key = find_column(source, list(runs.labels), list(runs.labels), asked="shape")
            if part not in given and runs.labels[key].dtype.kind not in "iuf":
                continue
            found[part] = quantity_values(key, runs.labels[key], row)
        elif source is not None:
            found[part] = np.full(len(runs), float(source))
        if part in given:
            require_positive({part: found[part]}, row)
        elif part in found and not (np.isfinite(found[part]) & (found[part] > 0)).all():
            del found[part]
    return found


def _transformer(shape: Mapping[str, Array]) -> Transformer | None:
    needed = ("width", "layers", "heads", "head_dim", "ffn", "vocabulary", "context")
    if any(part not in shape for part in needed):
        return None
    width, layers, heads, head_dim, ffn, vocabulary, context = (shape[part] for part in needed)
    return Transformer(width, layers, heads, head_dim, ffn, vocabulary, context, kv_heads=shape.get("kv_heads"))


def _kaplan_shape(shape: Mapping[str, Array]) -> dict[str, Array]:
    """Width, layers and the inner widths, which are d and 4d where the table does not say."""
    width = shape["width"]
    attention = shape["heads"] * shape["head_dim"] if {"heads", "head_dim"} <= set(shape) else width
    return {"width": width, "layers": shape["layers"], "attention": attention, "ffn": shape.get("ffn", 4 * width)}


def _model_params(shape: Mapping[str, Array], N: Array) -> list[Count]:
    counts = []
    if {"width", "vocabulary"} <= set(shape):
        rest = N - 2 * shape["vocabulary"] * shape["width"]
        if (rest > 0).all():
            counts.append(Count("N - 2Vd", rest))
    if {"width", "layers"} <= set(shape):
        counts.append(Count("kaplan", kaplan_params(**_kaplan_shape(shape))))
    model = _transformer(shape)
    if model is not None:
        counts += [Count("exact", model.params), Count("exact non-embedding", model.non_embedding_params)]
    return counts


def _model_flops(shape: Mapping[str, Array], D: Array) -> list[Count]:
    counts = []
    if {"width", "layers", "context"} <= set(shape):
        forward = kaplan_forward_flops(**_kaplan_shape(shape), context=shape["context"])
        counts.append(Count("kaplan with attention", training_flops(forward) * D))
        of_width = {part: shape[part] for part in ("width", "layers", "context")}
        counts.append(Count("deepseek", deepseek_flops(**of_width) * D))
    model = _transformer(shape)
    if model is not None:
        parts = ("width", "layers", "heads", "head_dim", "ffn", "vocabulary", "context")
        chinchilla = chinchilla_flops(**{part: shape[part] for part in parts})
        counts.append(Count("chinchilla appendix F", training_flops(chinchilla.total) / shape["context"] * D))
        counts.append(Count("exact FLOPs", training_flops(model.forward_flops) * D))
    return counts


def _without_repeats(counts: Sequence[Count]) -> list[Count]:
    """Keep the first of the counts that agree in every run, under all their names."""
    kept: list[Count] = []
    for count in counts:
        if not (np.isfinite(count.values) & (count.values > 0)).all():
            continue
        for i, other in enumerate(kept):
            if np.abs(np.log(count.values) - np.log(other.values)).max() < SAME_COUNT:
                kept[i] = replace(other, also=(*other.also, count.name))
                break
        else:
            kept.append(count)
    return kept
