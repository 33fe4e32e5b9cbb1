"""Speed-ups and deadweight losses as JSON documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lawful.core.cost import Cost
from lawful.core.sheet import Sheet
from lawful.decide.curves import CurveSpeedups
from lawful.decide.deadweight import Deadweight, both_rates
from lawful.decide.speedup import KINDS, Speedup
from lawful.estimate.result import ONE_LAW
from lawful.show.files.document import strict

SPEEDUP_SCHEMA = "lawful.speedup/1"
CURVES_SCHEMA = "lawful.speedup-curves/1"
DEADWEIGHT_SCHEMA = "lawful.deadweight/1"


def by_one_law(document: dict[str, Any], *, auto: bool, why: str = ONE_LAW) -> dict[str, Any]:
    """Return a document that says why an auto fit is answered without its average; null where there is none."""
    reason = {"available": False, "reason": why} if auto else None
    return {**document, "auto": reason}


def in_one_law(sheets: Sequence[Sheet], *, auto: bool) -> list[Sheet]:
    """Return sheets of which the last says the same."""
    last = sheets[-1]
    return [*sheets[:-1], replace(last, closing=(*last.closing, ONE_LAW)) if auto else last]


def speedup_document(found: Sequence[Speedup], *, level: float) -> dict[str, Any]:
    """
    Return speed-ups as JSON types; null stands for a loss that A never reaches.

    Examples
    --------
    >>> a, b = lawful.Surface.named("chinchilla"), lawful.Surface.named("hoffmann")
    >>> speedup_document(lawful.speedup(a, b, [1e22]), level=0.9)["schema"]
    'lawful.speedup/1'
    """
    rows = [
        {
            "budget": one.budget,
            "loss": one.loss,
            "needed": one.needed,
            **{kind: getattr(one, kind) for kind in KINDS},
            "intervals": one.intervals or None,
            "unreached": one.unreached,
            "notes": [note.to_dict() for note in one.notes],
        }
        for one in found
    ]
    document: dict[str, Any] = strict({"schema": SPEEDUP_SCHEMA, "level": level, "speedups": rows})
    return document


def curves_document(found: CurveSpeedups) -> dict[str, Any]:
    """Return speed-ups of curves in compute as JSON types (schema ``lawful.speedup-curves/1``)."""
    document: dict[str, Any] = strict(
        {
            "schema": CURVES_SCHEMA,
            "level": found.level,
            "baseline": found.baseline,
            "exponent": {"value": found.exponent, "shared": found.shared, "sharing_p": _or_none(found.sharing_p)},
            "floor": {"value": found.floor, "sd": found.floor_sd},
            "paired": found.paired,
            "freedom": found.freedom,
            "speedups": [one.to_dict() for one in found.rows],
            "baseline_best": list(found.baseline_best),
            "notes": [note.to_dict() for note in found.notes],
        }
    )
    return document


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None


def deadweight_document(found: Deadweight, cost: Cost) -> dict[str, Any]:
    """
    Return a deadweight loss as JSON types, dollars at the dense and the sparse peak.

    Examples
    --------
    >>> lost = lawful.deadweight(lawful.Surface.named("hoffmann-rounded"), 3.35e13, 3.8e25)
    >>> document = deadweight_document(lost, Cost())
    >>> sorted(document["dollars"])
    ['dense', 'sparse']
    """
    interval = found.interval
    document: dict[str, Any] = strict(
        {
            "schema": DEADWEIGHT_SCHEMA,
            "budget": found.budget,
            "choice": {"params": found.params, "tokens": found.tokens},
            "optimum": {"params": found.best_params, "tokens": found.best_tokens},
            "flops": found.flops,
            "fraction": found.fraction,
            "dollars": {rate: float(c.dollars(found.flops)) for rate, c in both_rates(cost).items()},
            "level": found.level,
            "interval": None
            if interval is None
            else {
                "flops": interval,
                "fraction": [end / found.budget for end in interval],
                "dollars": {rate: [float(c.dollars(end)) for end in interval] for rate, c in both_rates(cost).items()},
            },
            "draws": 0 if found.draws is None else found.draws.size,
            "interval_without_failed": found.discarded,
            "as_good_as_can_be_told": bool(found.as_good),
            "sentence": found.sentence,
            "failed": 0 if found.failures is None else int(found.failures.sum()),
            "notes": [note.to_dict() for note in found.notes],
            "cost": cost.to_dict(),
        }
    )
    return document
