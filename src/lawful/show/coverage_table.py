"""Coverage on one's own design, as JSON."""

from __future__ import annotations

from typing import Any

from lawful.show.files.document import strict
from lawful.trust.coverage import Coverage

COVERAGE_SCHEMA = "lawful.coverage/1"


def coverage_document(found: Coverage) -> dict[str, Any]:
    """Return what ``lawful coverage --json`` prints (schema ``lawful.coverage/1``)."""
    names = list(found.table)
    cells = zip(*(found.table[name].tolist() for name in names), strict=True)
    document: dict[str, Any] = strict(
        {
            "schema": COVERAGE_SCHEMA,
            "method": found.fit.method,
            "level": found.level,
            "repeats": found.repeats,
            "draws": found.draws,
            "n_runs": len(found.fit.runs),
            "coverage": [dict(zip(names, row, strict=True)) for row in cells],
        }
    )
    return document
