"""Fits under several conventions of counting: their JSON document."""

from __future__ import annotations

from typing import Any

from lawful.counting.compare import ConventionFit, Conventions
from lawful.show.files.document import strict

CONVENTIONS_SCHEMA = "lawful.conventions/1"


def conventions_document(found: Conventions) -> dict[str, Any]:
    """
    Return the fits as JSON types.

    Examples
    --------
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19], 5, surface=truth))
    >>> document = conventions_document(lawful.conventions(runs, budgets=[1e20]))
    >>> document["schema"], document["span"], document["conventions"][0]["flops"]
    ('lawful.conventions/1', [0.5, 0.5], '6ND')
    """
    document: dict[str, Any] = strict(
        {
            "schema": CONVENTIONS_SCHEMA,
            "method": found.method,
            "n_runs": len(found.runs),
            "span": found.span,
            "conventions": [_row_document(row) for row in found.rows],
            "notes": [note.to_dict() for note in found.notes],
        }
    )
    return document


def _row_document(row: ConventionFit) -> dict[str, Any]:
    return {
        "params": row.params,
        "params_also": list(row.params_also),
        "flops": row.flops,
        "flops_also": list(row.flops_also),
        "exponents": {"a": row.a, "b": row.b},
        "allocations": [
            {"budget": o.budget, "params": o.params, "params_in_base": o.base_params, "tokens": o.tokens}
            for o in row.optima
        ],
        "misfit": row.misfit,
        "note": None if row.note is None else row.note.to_dict(),
    }
