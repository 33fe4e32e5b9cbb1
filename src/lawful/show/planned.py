"""A planned sweep as a JSON document and a manifest that a launcher can read."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from lawful.design.design import Planned
from lawful.design.priced import TYPICAL_K, Priced
from lawful.design.rehearsal import Rehearsal
from lawful.errors import UnsupportedError
from lawful.show.files.document import dumps, strict
from lawful.show.files.place import Ours, check_place, is_document, is_table, write_whole

PLAN_SCHEMA = "lawful.plan/1"


def plan_rows(planned: Planned) -> list[dict[str, Any]]:
    """
    Return the runs of a plan, one mapping each; seeds count repeats of the same run.

    Examples
    --------
    >>> prior = lawful.Surface.named("besiroglu")
    >>> found = lawful.plan([1e18, 1e19, 1e20], target=1e24, prior=prior, total_flops=1e21)
    >>> row = plan_rows(found)[0]
    >>> list(row)[:7]
    ['run', 'budget', 'params', 'tokens', 'flops', 'tokens_per_param', 'seed']
    """
    chosen, cost = planned.chosen, planned.prior.cost
    rows: list[dict[str, Any]] = []
    seen: dict[tuple[float, float], int] = {}
    for i in np.lexsort((chosen.N, chosen.budget)):
        key = float(chosen.budget[i]), float(chosen.N[i])
        seed = seen[key] = seen.get(key, -1) + 1
        n, d = float(chosen.N[i]), float(chosen.D[i])
        row: dict[str, Any] = {
            "run": f"run{len(rows) + 1:03d}",
            "budget": key[0],
            "params": n,
            "tokens": d,
            "flops": float(cost.flops(n, d)),
            "tokens_per_param": d / n,
            "seed": seed,
        }
        if chosen.width[i] > 0:
            built = {
                "width": chosen.width,
                "layers": chosen.layers,
                "batch_tokens": chosen.batch,
                "steps": chosen.steps,
            }
            row |= {name: int(values[i]) for name, values in built.items()}
        rows.append(row)
    return rows


def plan_document(planned: Planned, tried: Rehearsal | None = None) -> dict[str, Any]:
    """
    Return a plan, its comparison and its runs (schema ``lawful.plan/1``).

    What compares a design with a grid, or limits one, is null for a sweep that is the grid.
    """
    rules = planned.sweep
    design = planned.layout == "design"
    document: dict[str, Any] = strict(
        {
            "schema": PLAN_SCHEMA,
            "layout": planned.layout,
            "target": planned.target,
            "decision": rules.decision,
            "total_flops": planned.total,
            "cost": planned.cost,
            "n_runs": len(planned.plan),
            "n_given": 0 if planned.given is None else len(planned.given),
            "error_per_nat": planned.error,
            "grid": {
                "n_runs": len(planned.grid),
                "cost": float(planned.grid.C.sum()),
                "error_per_nat": planned.grid_error,
            }
            if design
            else None,
            "gain": planned.gain if design else None,
            "priced": _priced(planned) if design and np.isfinite(planned.error) else None,
            "rehearsal": None if tried is None else _rehearsal(tried),
            "limits": {
                "reach": rules.reach,
                "tokens_per_param": list(rules.tokens_per_param) if design else None,
                "repeats": rules.repeats,
                "runs": rules.runs,
                "spread": rules.spread if design else None,
            },
            "prior": planned.prior.coefficients,
            "runs": plan_rows(planned),
            "convention": planned.prior.cost.convention,
        }
    )
    return document


def _priced(planned: Planned) -> dict[str, Any]:
    """Errors per nat of noise of both decisions, under the law of the plan and under the coupled one."""
    plan, grid = planned.priced
    return {
        name: {
            key: float(getattr(each, key)) if np.isfinite(getattr(each, key)) else None
            for key in Priced.__dataclass_fields__
        }
        for name, each in (("plan", plan), ("grid", grid))
    } | {"k": TYPICAL_K}


def _rehearsal(tried: Rehearsal) -> dict[str, Any]:
    return {name: getattr(tried, name) for name in Rehearsal.__dataclass_fields__} | {"gain": tried.gain}


def manifest_csv(planned: Planned) -> str:
    """Return the runs of a plan as CSV, one line each."""
    rows = plan_rows(planned)
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def write_manifest(planned: Planned, path: str | Path, tried: Rehearsal | None = None) -> Path:
    """
    Write a plan for a launcher: CSV with a line per run, or the whole JSON document, by the file's suffix.

    Raises
    ------
    UnsupportedError
        If the suffix is neither.
    OutputError
        If the file cannot be written.
    """
    file = Path(path)
    check_manifest(file)
    text = manifest_csv(planned) if file.suffix == ".csv" else dumps(plan_document(planned, tried)) + "\n"
    write_whole(file, text, ours=_is_plan(file), what="a plan")
    return file


def check_manifest(path: str | Path) -> None:
    """
    Refuse a file that a plan cannot be written to, before any work.

    Raises
    ------
    UnsupportedError
        If its suffix is neither .csv nor .json.
    OutputError
        If it is there and is no plan of ours.
    """
    file = Path(path)
    if file.suffix not in (".csv", ".json"):
        msg = f"A manifest is written as .csv or .json, got {str(path)!r}."
        raise UnsupportedError(msg)
    check_place(file, _is_plan(file), "a plan")


def _is_plan(file: Path) -> Ours:
    is_csv = file.suffix == ".csv"
    return is_table("run", "budget", "flops", "tokens_per_param", "seed") if is_csv else is_document("lawful.plan/")
