"""Logs of programs that people name: recognised by their columns, and read as their columns are meant there."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import PurePath

import numpy as np

from lawful.core.expression import quoted
from lawful.core.notes import Note
from lawful.core.typing import AnyArray, Array
from lawful.data.checkpoints import RUN_NAMES, named_among
from lawful.data.columns import ACCEPTED, normalise
from lawful.data.selection import Rows
from lawful.data.values import distinct
from lawful.errors import InputError

Recognised = tuple[Rows, dict[str, str], str]
"""A table, what its quantities are (a column or a formula of columns), and the sentence about them."""

LOG = "log"
"""Column by which a log that was read line by line names its program."""

EVALUATED = "lm_eval_model"
"""Column that names the model of results of lm-evaluation-harness."""

LADDER_SIZES = {
    "190M": 190354176.0,
    "370M": 371262464.0,
    "600M": 597382464.0,
    "760M": 758220288.0,
    "1B": 1279395840.0,
    "3B": 3169537280.0,
    "7B": 6887575552.0,
    "13B": 13202396160.0,
}
"""Non-embedding parameters of the OLMo ladder's models by name (Bhagia et al. 2024, arXiv:2412.04403)."""

_LADDER_LOSS = re.compile(r"^eval/.*-validation/CrossEntropyLoss$")
_LADDER_NAME = re.compile(r"(?<![\d.])(?P<number>\d+(?:\.\d+)?)(?P<letter>[MB])(?=-\d+(?:\.\d+)?xC)")
_MARIN_LOSSES = (
    *("eval/paloma/macro_loss", "eval/paloma/c4_en/loss", "eval/paloma/micro_loss"),
    *("eval/paloma/macro_bpb", "eval/paloma/c4_en/bpb", "eval/paloma/bpb"),
)


def profiled(table: Rows, mapped: Collection[str]) -> tuple[Rows, dict[str, str], list[Note]]:
    """
    Say what the columns of a known program's log are; nothing of a table that is none.

    Parameters
    ----------
    table : Rows
    mapped : collection of str
        Quantities that the user named a column for: theirs stays.

    Returns
    -------
    table : Rows
        With the model sizes that stood in names of files.
    mapping : dict of str to str
        Quantity to a column or a formula of columns.
    notes : list of Note
        One, ``profile``, or none.

    Examples
    --------
    >>> from lawful.data.selection import open_table
    >>> loss = "eval/c4_en-validation/CrossEntropyLoss"
    >>> history = {"_step": [100, 200], loss: [4.1, 3.6], "batch_size_in_tokens": [524288, 524288]}
    >>> table, mapping, notes = profiled(open_table(history, "ladder/190M-1xC.csv", None), ())
    >>> mapping["tokens"], mapping["loss"], table.columns["params"].tolist()
    ('_step*batch_size_in_tokens', 'eval/c4_en-validation/CrossEntropyLoss', [190354176.0, 190354176.0])
    """
    for belongs, read in PROFILES:
        if belongs(table):
            table, mapping, text = read(table)
            left = {q: formula for q, formula in mapping.items() if q not in mapped}
            return table, left, [] if mapping and not left else [Note("profile", text)]
    return table, {}, []


def _has(table: Rows, *names: str) -> bool:
    return set(names) <= set(table.header)


def _is_ladder(table: Rows) -> bool:
    losses = any(_LADDER_LOSS.match(title) for title in table.header)
    return losses and (_has(table, "batch_size_in_tokens") or _has(table, "throughput/total_training_Gflops"))


def _ladder(table: Rows) -> Recognised:
    """A history of an OLMo model: sizes in names of files, FLOPs in units of 1e9, a loss per corpus."""
    losses = [title for title in table.header if _LADDER_LOSS.match(title)]
    loss = next((title for title in losses if "c4_en" in title), losses[0])
    mapping, said = {"loss": loss}, [f"the loss is {loss!r}"]
    if _has(table, "throughput/total_tokens"):
        mapping["tokens"] = "throughput/total_tokens"
    elif _has(table, "_step", "batch_size_in_tokens"):
        mapping["tokens"] = "_step*batch_size_in_tokens"
        said.append("tokens are steps × batch_size_in_tokens")
    if not any(normalise(title) in map(normalise, ACCEPTED["params"]) for title in table.header):
        sizes = _sizes_named(table)
        if sizes is not None:
            table = replace(table, columns={**table.columns, "params": sizes}, header=[*table.header, "params"])
            mapping["params"] = "params"
            said.append("parameters are those that the name of the file stands for, without embeddings")
        elif _has(table, "throughput/total_training_Gflops"):
            mapping["budget"] = f"{quoted('throughput/total_training_Gflops')}*1e9"
            said.append("compute is throughput/total_training_Gflops × 1e9, attention included")
    return table, mapping, f"A history of the OLMo ladder: {', '.join(said)}."


def _sizes_named(table: Rows) -> Array | None:
    """The size that the name of every row's file or run holds, as 190M-1xC does; None where one holds none."""
    names = named_among(["file", *RUN_NAMES], table.keys)[:1]
    column: AnyArray = (
        table.columns[names[0]] if names else np.full(table.row.size, PurePath(table.source).name, dtype=object)
    )
    if column.dtype.kind != "O":
        return None
    called, which = distinct(column)
    found = [_LADDER_NAME.search(str(name)) for name in called]
    if not all(found):
        return None
    sizes = [_ladder_size(match["number"], match["letter"]) for match in found if match]
    return np.array(sizes)[which]


def _ladder_size(number: str, letter: str) -> float:
    return LADDER_SIZES.get(f"{number}{letter}", float(number) * (1e6 if letter == "M" else 1e9))


def _is_marin(table: Rows) -> bool:
    known = {normalise(name) for name in ACCEPTED["loss"]}
    return (
        _has(table, "parameter_count")
        and any(title.startswith("throughput/total_") for title in table.header)
        and any(title in _MARIN_LOSSES for title in table.header)
        and not any(normalise(title) in known for title in table.header)
    )


def _marin(table: Rows) -> Recognised:
    loss = next(name for name in _MARIN_LOSSES if name in table.header)
    others = sum(title.startswith("eval/") and title != loss for title in table.header)
    more = f", of {others + 1} columns of evaluations" if others else ""
    return table, {"loss": loss}, f"An export of Marin's runs: the loss is {loss!r}{more}."


def _is_log(program: str) -> Callable[[Rows], bool]:
    def belongs(table: Rows) -> bool:
        column = table.columns.get(LOG)
        return column is not None and column.dtype.kind == "O" and bool((column == program).any())

    return belongs


def _megatron(table: Rows) -> Recognised:
    _require_of_log(table, "Megatron-LM", ("number_of_parameters", "consumed_samples"))
    mapping, said = {"params": "number_of_parameters"}, "parameters are summed over the ranks of the model"
    if _has(table, "consumed_tokens"):
        mapping["tokens"] = "consumed_tokens"
    elif _has(table, "seq_length"):
        mapping["tokens"] = "consumed_samples*seq_length"
        said += ", tokens are consumed samples × seq_length"
    text = f"A log of Megatron-LM, one run each: {said}, the loss is that of the last validation."
    return table, mapping, text


def _torchtitan(table: Rows) -> Recognised:
    _require_of_log(table, "torchtitan", ("total_parameters", "global_batch_size", "sequence_length"))
    mapping = {"params": "total_parameters", "tokens": "step*global_batch_size*sequence_length"}
    text = (
        "A log of torchtitan, one run each: parameters are its total, embeddings included, tokens are steps × global "
        "batch size × sequence length, the loss is that of the last validation."
    )
    return table, mapping, text


def _require_of_log(table: Rows, program: str, needed: tuple[str, ...]) -> None:
    missing = [name.replace("_", " ") for name in needed if name not in table.header]
    if missing:
        msg = (
            f"The log of {program} has no {' and no '.join(missing)}, which stand in the lines before the first step; "
            f"give the whole log, or a table with one line per run."
        )
        raise InputError(msg)


def _is_evaluated(table: Rows) -> bool:
    return _has(table, EVALUATED)


def _evaluated(table: Rows) -> Recognised:
    column = table.columns[EVALUATED]
    there = int(sum(bool(str(name)) for name in column.tolist()))
    text = (
        f"Results of lm-evaluation-harness were joined to the runs by the names of their models: {there} of "
        f"{column.size} runs have some."
    )
    return table, {}, text


PROFILES: tuple[tuple[Callable[[Rows], bool], Callable[[Rows], Recognised]], ...] = (
    (_is_log("Megatron-LM"), _megatron),
    (_is_log("torchtitan"), _torchtitan),
    (_is_ladder, _ladder),
    (_is_evaluated, _evaluated),
    (_is_marin, _marin),
)
"""The programs, each with what tells its log and what reads it."""
