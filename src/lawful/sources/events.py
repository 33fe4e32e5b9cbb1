"""Event files of TensorBoard: the last value of every scalar, by the package's own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lawful.errors import InputError

NAMED = "events.out.tfevents."
"""How the name of an event file begins."""


def event_record(path: Path) -> dict[str, Any]:
    """
    Read the end of a run out of its event file: every scalar's last value, the step, and the folder's name.

    Raises
    ------
    InputError
        If tensorboard is missing, or the file has no scalars.
    """
    try:
        from tensorboard.backend.event_processing.event_accumulator import SCALARS, TENSORS, EventAccumulator
        from tensorboard.util.tensor_util import make_ndarray
    except ImportError:
        msg = (
            f"{str(path)!r} is an event file of TensorBoard, which needs tensorboard; pip install "
            f"'lawful[tensorboard]', or export the scalars as CSV."
        )
        raise InputError(msg) from None
    try:
        events = EventAccumulator(str(path), size_guidance={SCALARS: 0, TENSORS: 0}).Reload()
        last = {tag: (e[-1].step, e[-1].value) for tag in events.Tags()["scalars"] if (e := events.Scalars(tag))}
        for tag in events.Tags()["tensors"]:
            found = events.Tensors(tag)[-1]
            value = make_ndarray(found.tensor_proto)
            if value.ndim == 0 and value.dtype.kind in "iuf":
                last[tag] = found.step, value.item()
    except Exception as error:  # noqa: BLE001 - a damaged file fails in the reader's own many ways
        why = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        msg = f"{str(path)!r} is a damaged event file ({why}); copy it again."
        raise InputError(msg) from None
    if not last:
        msg = f"{str(path)!r} is an event file of TensorBoard without scalars; give that of a run that logged a loss."
        raise InputError(msg)
    run = path.resolve().parent.name
    scalars = {tag: value for tag, (_, value) in last.items()}
    return {"run": run, "step": max(step for step, _ in last.values()), **scalars}
