"""The ledger of forecasts: what was said before a run existed, one line each, and how it came out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.core.runs import BUDGET_TOLERANCE, Runs
from lawful.errors import InputError, OutputError, UnsupportedError
from lawful.estimate.result import Fit
from lawful.infer.forecast import Forecast, Score, score
from lawful.show.document import strict

if TYPE_CHECKING:
    from rich.console import RenderableType

FORECAST_SCHEMA = "lawful.forecast/1"
SCORE_SCHEMA = "lawful.forecast-score/1"
SEAL = "sha256"
CURVE = "compute"


def entry_of(fit: Fit, made: Sequence[Forecast], *, now: datetime | None = None) -> dict[str, Any]:
    """
    Return one ledger entry: forecasts with all that is needed to hold their maker to them.

    Parameters
    ----------
    fit : Fit
        What forecasts.
    made : sequence of Forecast
    now : datetime, optional
        When; this moment by default.

    Returns
    -------
    dict
        Hash of the data, law, settings, forecasts, date, and a seal: the hash of all the rest.

    Raises
    ------
    UnsupportedError
        If a forecast is of a run that is among the fitted ones.
    """
    from lawful import __version__

    for one in made:
        near = np.abs(np.log(fit.runs.N / one.params)) + np.abs(np.log(fit.runs.D / one.tokens)) < SAME_RUN
        if near.any():
            msg = (
                f"A run of {one.params:.4g} parameters on {one.tokens:.4g} tokens is among the fitted ones; "
                f"a forecast is of runs that do not exist yet."
            )
            raise UnsupportedError(msg)
    entry = strict(
        {
            "schema": FORECAST_SCHEMA,
            "made": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
            "version": __version__,
            "data": {"sha256": fit.runs.sha256, "n_runs": len(fit.runs), "source": fit.runs.source},
            "law": fit.surface.law.name,
            "method": fit.method,
            "settings": {
                "objective": str(fit.objective),
                "fixed": dict(fit.fixed),
                "bounds": {name: list(ends) for name, ends in fit.solver.bounds.items()},
            },
            "coefficients": fit.surface.coefficients,
            "convention": fit.surface.cost.convention,
            "status": fit.status.key,
            "forecasts": [asdict(one) for one in made],
        }
    )
    return {**entry, SEAL: _seal(entry)}


SAME_RUN = 0.01
"""Distance in ln N plus ln D below which a forecast is of a run that is there already."""


def _seal(entry: Mapping[str, Any]) -> str:
    content = {name: value for name, value in entry.items() if name != SEAL}
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def append_entry(path: str | Path, entry: Mapping[str, Any]) -> Path:
    """
    Add an entry to a ledger, a text file with one JSON document per line; nothing in it is ever changed.

    Raises
    ------
    OutputError
        If the file cannot be written.
    InputError
        If it is there and is no ledger.
    """
    file = Path(path)
    if file.exists() and file.stat().st_size:
        read_ledger(file)
    try:
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(entry, allow_nan=False) + "\n")
    except OSError as error:
        msg = f"Cannot write {str(path)!r} ({(error.strerror or 'error').lower()}); choose another file."
        raise OutputError(msg) from None
    return file


def read_ledger(path: str | Path) -> list[dict[str, Any]]:
    """
    Read the entries of a ledger, each checked against its seal.

    Raises
    ------
    InputError
        If there is no such file, it is no ledger, or an entry was altered.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        msg = f"Cannot read the ledger {str(path)!r} ({(error.strerror or 'error').lower()}); check the path."
        raise InputError(msg) from None
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            fine = entry["schema"] == FORECAST_SCHEMA
        except (ValueError, KeyError, TypeError):
            fine = False
        if not fine:
            msg = f"Line {number} of {str(path)!r} is no forecast; a ledger is written by lawful forecast."
            raise InputError(msg)
        if entry.get(SEAL) != _seal(entry):
            msg = f"The forecast on line {number} of {str(path)!r} was altered after it was made; its seal is broken."
            raise InputError(msg)
        entries.append(entry)
    return entries


def score_ledger(
    entries: Sequence[Mapping[str, Any]], runs: Runs
) -> list[tuple[Mapping[str, Any], Forecast, Score | None]]:
    """
    Put every forecast beside the run it was about; None where that run is not among the results.

    A run counts where N and D (of a curve: compute) lie within 10% of the forecast's;
    of several the one with the lowest loss, as a forecast is of a well-tuned run.
    """
    rows = []
    for entry in entries:
        for document in entry["forecasts"]:
            made = Forecast(**{**document, "prediction": tuple(document["prediction"])})
            if entry["law"] == CURVE:
                away = np.abs(np.log(runs.C / made.budget))
            else:
                away = np.maximum(np.abs(np.log(runs.N / made.params)), np.abs(np.log(runs.D / made.tokens)))
            near = np.flatnonzero(away <= np.log1p(BUDGET_TOLERANCE))
            rows.append((entry, made, score(made, float(runs.L[near].min())) if near.size else None))
    return rows


def score_document(rows: Sequence[tuple[Mapping[str, Any], Forecast, Score | None]]) -> dict[str, Any]:
    """Return scores as JSON types (schema ``lawful.forecast-score/1``)."""
    known = [found for _, _, found in rows if found is not None]
    document: dict[str, Any] = strict(
        {
            "schema": SCORE_SCHEMA,
            "scored": len(known),
            "pending": len(rows) - len(known),
            "inside": sum(found.inside for found in known),
            "forecasts": [
                {
                    "made": entry["made"],
                    **asdict(made),
                    "measured": None if found is None else found.measured,
                    "miss": None if found is None else found.miss,
                    "z": None if found is None else found.z,
                    "inside": None if found is None else found.inside,
                    "interval_score": None if found is None else found.interval_score,
                }
                for entry, made, found in rows
            ],
        }
    )
    return document


def forecast_parts(entry: Mapping[str, Any], made: Sequence[Forecast]) -> list[RenderableType]:
    """Return an entry as a terminal table."""
    from rich.text import Text

    from lawful.show.numbers import format_count, format_level, format_scientific
    from lawful.show.tables import text_table

    curve = entry["law"] == CURVE
    rows = [
        [
            format_scientific(one.budget),
            *(["", ""] if curve else [format_count(one.params), format_count(one.tokens)]),
            f"{one.loss:.4f}",
            f"{one.prediction[0]:.4f} to {one.prediction[1]:.4f}",
        ]
        for one in made
    ]
    level = format_level(made[0].level)
    return [
        text_table(["FLOPs", "N", "D", "loss", f"{level} prediction"], rows),
        Text(f"{entry['law']} law on {entry['data']['n_runs']} runs, data {entry['data']['sha256'][:12]}."),
    ]


def score_parts(rows: Sequence[tuple[Mapping[str, Any], Forecast, Score | None]]) -> list[RenderableType]:
    """Return scores as a terminal table."""
    from rich.text import Text

    from lawful.show.numbers import format_scientific
    from lawful.show.tables import NOTHING, text_table

    cells = []
    for entry, made, found in rows:
        row = [entry["made"][:10], format_scientific(made.budget), f"{made.loss:.4f}"]
        row.append(f"{made.prediction[0]:.4f} to {made.prediction[1]:.4f}")
        if found is None:
            row += [NOTHING, NOTHING, "pending"]
        else:
            row += [f"{found.measured:.4f}", f"{found.z:+.1f}", "inside" if found.inside else "outside"]
        cells.append(row)
    known = [found for _, _, found in rows if found is not None]
    told = f"{sum(found.inside for found in known)} of {len(known)} inside their intervals"
    return [
        text_table(["made", "FLOPs", "forecast", "interval", "came", "z", "verdict"], cells),
        Text(f"{told}; {len(rows) - len(known)} pending."),
    ]
