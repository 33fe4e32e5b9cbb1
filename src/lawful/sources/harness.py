"""Results of lm-evaluation-harness: metrics of models by name, put beside the runs that trained them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from lawful.data.checkpoints import RUN_NAMES
from lawful.data.columns import listed, normalise
from lawful.data.profiles import EVALUATED
from lawful.data.selection import Noted, notes_of
from lawful.errors import InputError

RawColumns = dict[str, Any]
"""Values of a source as they stand there, by header."""

Loaded = tuple[list[str], RawColumns]
"""Headers in their order, and the values below them."""


def evaluations(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """
    Metrics of a results file of lm-evaluation-harness by task and name, with the model's name; None of another file.

    Examples
    --------
    >>> results = {"wikitext": {"alias": "wikitext", "bits_per_byte,none": 0.9, "bits_per_byte_stderr,none": "N/A"}}
    >>> evaluations({"results": results, "config": {"model_args": "pretrained=out/run-3,dtype=float32"}})
    {'lm_eval_model': 'out/run-3', 'wikitext/bits_per_byte': 0.9}
    """
    results, config = document.get("results"), document.get("config")
    if not (isinstance(results, Mapping) and isinstance(config, Mapping) and results):
        return None
    if not all(isinstance(metrics, Mapping) for metrics in results.values()):
        return None
    found: dict[str, Any] = {EVALUATED: _evaluated_model(document, config)}
    for task, metrics in results.items():
        for key, value in metrics.items():
            # A metric and its filter; the one that filters nothing is called none.
            name, _, filtered = str(key).partition(",")
            plain = isinstance(value, (int, float)) and not isinstance(value, bool)
            if plain and not name.endswith("_stderr") and name not in ("alias", "sample_len"):
                found[f"{task}/{name}" + ("" if filtered in ("", "none") else f",{filtered}")] = value
    return found


def _evaluated_model(document: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    arguments = config.get("model_args")
    if isinstance(arguments, str):
        arguments = dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
    stated = arguments.get("pretrained") if isinstance(arguments, Mapping) else None
    return str(stated or document.get("model_name") or config.get("model") or "")


def with_evaluations(parts: dict[str, Loaded]) -> dict[str, Loaded]:
    """
    Put results of lm-evaluation-harness beside the runs of the same name; they hold no sizes of their own.

    Raises
    ------
    InputError
        If there is no table of runs beside them, or no run has the name of their models.

    Examples
    --------
    >>> runs = ["run", "N", "D"], {"run": ["a", "b"], "N": [1e8, 2e8], "D": [2e9, 2e9]}
    >>> scores = ["lm_eval_model", "c4/bits_per_byte"], {"lm_eval_model": ["out/b"], "c4/bits_per_byte": [0.9]}
    >>> with_evaluations({"runs.csv": runs, "b.json": scores})["runs.csv"][1]["c4/bits_per_byte"]
    [None, 0.9]
    """
    scores: dict[str, dict[str, Any]] = {}
    for header, columns in parts.values():
        if EVALUATED in header:
            for i, model in enumerate(columns[EVALUATED]):
                found = scores.setdefault(_run_named(model), {EVALUATED: model})
                found |= {title: columns[title][i] for title in header if columns[title][i] is not None}
    if not scores:
        return parts
    tables = {place: loaded for place, loaded in parts.items() if EVALUATED not in loaded[0]}
    names = list(dict.fromkeys(chain.from_iterable(found for found in scores.values())))
    beside = {place: _beside(*loaded, scores, names) for place, loaded in tables.items()}
    if not any(any(values is not None for values in columns[EVALUATED]) for _, columns in beside.values()):
        models = listed(map(repr, scores), 5)
        where = "no run in the table has one of these names" if tables else "and there is no table of runs beside them"
        msg = (
            f"Results of lm-evaluation-harness hold no sizes and no tokens (models {models}), {where}: give both, "
            f"runs.csv 'results/**/*.json', with a column run or model that names each model."
        )
        raise InputError(msg)
    return beside


def _run_named(model: Any) -> str:
    return str(model).rstrip("/").rpartition("/")[2]


def _beside(header: list[str], columns: RawColumns, scores: dict[str, dict[str, Any]], names: Sequence[str]) -> Loaded:
    """A table with the scores of its runs, by the column that names most of the models."""
    called = [title for title in header if normalise(title) in (*RUN_NAMES, "model", "model_name", "id", "checkpoint")]
    keys = [[_run_named(value) for value in columns[title]] for title in called]
    best = max(keys, key=lambda key: len(scores.keys() & set(key)), default=[])
    size = max((len(column) for column in columns.values()), default=0)
    rows = [scores.get(key, {}) for key in best] or [{}] * size
    added = {name: [row.get(name) for row in rows] for name in names if name not in header}
    return [*header, *added], Noted.of({**columns, **added}, notes_of(columns))
