"""Logs of training that are no tables: the lines of Megatron-LM and torchtitan, one run per log."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lawful.data.profiles import LOG
from lawful.errors import InputError

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_NUMBER = r"([-+]?(?:\d[\d,]*\.?\d*(?:[eE][-+]?\d+)?|nan|inf))"

_MEGATRON = re.compile(r"\biteration +(?P<at>\d+)/ *(?P<of>\d+) \|(?P<rest>[^\n]*)")
_MEGATRON_FIELDS = {
    "consumed_samples": re.compile(r"consumed samples: *(\d+)"),
    "consumed_tokens": re.compile(r"consumed tokens: *(\d+)"),
    "global_batch_size": re.compile(r"global batch size: *(\d+)"),
    "learning_rate": re.compile(rf"learning rate: *{_NUMBER}"),
    "train_loss": re.compile(rf"lm loss: *{_NUMBER}"),
}
_MEGATRON_VALID = re.compile(
    rf"validation loss at iteration (?P<at>\d+)(?P<where>[^|\n]*)\|[^\n]*?lm loss value: *(?P<loss>{_NUMBER})"
)
_MEGATRON_SIZE = re.compile(
    r"number of parameters on \(tensor, pipeline\) model parallel rank \((\d+), *(\d+)\): *(\d+)"
)
_MEGATRON_ARGUMENT = re.compile(r"\b(seq_length|seed|lr|num_layers|hidden_size) \.{3,} *(\S+)")

_TITAN_STEP = re.compile(rf"(?<!validate )\bstep: *(?P<at>\d+) +loss: *{_NUMBER}")
_TITAN_VALID = re.compile(rf"\bvalidate step: *(?P<at>\d+) +loss: *{_NUMBER}")
_TITAN_SIZE = re.compile(r"\bsize: *([\d,]+) total parameters")
_TITAN_SHAPE = {
    "global_batch_size": re.compile(r"global batch size:? *(\d+)"),
    "sequence_length": re.compile(r"sequence length:? *(\d+)"),
    "total_steps": re.compile(r"total steps:? *(\d+)"),
}


def log_record(path: Path, text: str) -> dict[str, Any] | None:
    """
    Read the end of a run out of its log; None where the text is the log of no program that is known.

    Raises
    ------
    InputError
        If such a log has no step with a loss.

    Examples
    --------
    >>> lines = '''Model llama3 debug size: 6,139,136 total parameters
    ... Trainer: global batch size 64, gradient accumulation steps 1, sequence length 2048, total steps 200 (warmup 20).
    ... step: 200  loss:  3.9012  grad_norm: 0.5  memory: 1.1GiB  tps: 2,000  tflops: 1.0  mfu: 1.2%
    ... validate step: 200  loss:  3.8721  memory: 1.1GiB'''
    >>> record = log_record(Path("a.log"), lines)
    >>> [record[name] for name in ("total_parameters", "step", "train_loss", "val_loss", "state")]
    [6139136, 200, 3.9012, 3.8721, 'finished']
    """
    if "iteration" in text and _MEGATRON.search(text):
        return {LOG: "Megatron-LM", **_megatron(path, text)}
    if re.search(r"\bstep: *\d+ ", text) and ("titan" in text or _TITAN_SIZE.search(text)):
        plain = _ESCAPES.sub("", text)
        if _TITAN_STEP.search(plain):
            return {LOG: "torchtitan", **_torchtitan(plain)}
    return None


def _megatron(path: Path, text: str) -> dict[str, Any]:
    last = None
    samples: dict[int, dict[str, Any]] = {}
    found: dict[str, Any] = {}
    for last in _MEGATRON.finditer(text):
        rest = last["rest"]
        for name, pattern in _MEGATRON_FIELDS.items():
            if field := pattern.search(rest):
                found[name] = _number(field[1])
        samples[int(last["at"])] = {n: found[n] for n in ("consumed_samples", "consumed_tokens") if n in found}
    if last is None or "train_loss" not in found:
        msg = f"{str(path)!r} is a log of Megatron-LM in which no line states a loss; give the log of a run that began."
        raise InputError(msg)
    ranks = {(int(m[1]), int(m[2])): int(m[3]) for m in _MEGATRON_SIZE.finditer(text)}
    valid = [m for m in _MEGATRON_VALID.finditer(text) if "test" not in m["where"]]
    done, of = int(last["at"]), int(last["of"])
    record: dict[str, Any] = {"iteration": done}
    record |= {m[1]: _number(m[2]) if _is_number(m[2]) else m[2] for m in _MEGATRON_ARGUMENT.finditer(text)}
    record |= {"number_of_parameters": sum(ranks.values())} if ranks else {}
    record |= found
    if valid:
        record["val_loss"] = _number(valid[-1]["loss"])
        # Of a run that went on after it, what the model had seen when it was evaluated.
        record |= samples.get(int(valid[-1]["at"]), {})
    record["state"] = _state(done, of)
    return record


def _torchtitan(text: str) -> dict[str, Any]:
    size = _TITAN_SIZE.search(text)
    shape = {name: m for name, pattern in _TITAN_SHAPE.items() if (m := pattern.search(text))}
    record: dict[str, Any] = {"total_parameters": _number(size[1])} if size else {}
    record |= {name: _number(m[1]) for name, m in shape.items() if name != "total_steps"}
    *_, last = _TITAN_STEP.finditer(text)
    record |= {"step": int(last["at"]), "train_loss": _number(last[2])}
    if valid := list(_TITAN_VALID.finditer(text)):
        record |= {"step": int(valid[-1]["at"]), "val_loss": _number(valid[-1][2])}
    of = int(shape["total_steps"][1]) if "total_steps" in shape else 0
    # The last step is logged where it is a multiple of the interval; the last words of the program say as much.
    ended = "Training completed" in text
    record["state"] = "finished" if ended or not of else _state(max(int(last["at"]), record["step"]), of)
    return record


def _state(done: int, of: int) -> str:
    return "finished" if done >= of else f"unfinished ({done} of {of} steps)"


def _is_number(text: str) -> bool:
    return re.fullmatch(_NUMBER, text) is not None


def _number(text: str) -> int | float:
    plain = text.replace(",", "")
    return int(plain) if re.fullmatch(r"[-+]?\d+", plain) else float(plain)
