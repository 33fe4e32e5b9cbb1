"""The ledger of forecasts: what was said before a run existed, one line each, and how it came out."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lawful.core.numbers import format_count, format_short
from lawful.core.sheet import Cell, Sheet, row
from lawful.data.runs import BUDGET_TOLERANCE, Runs
from lawful.errors import InputError, OutputError, UnsupportedError
from lawful.estimate.result import Fit, FrontierFit
from lawful.forecasting.curve import optimum_curve
from lawful.forecasting.forecast import Forecast, Score, forecast_sheet, score
from lawful.show.files.document import strict
from lawful.show.files.lock import held
from lawful.show.files.schema import mismatch

FORECAST_SCHEMA = "lawful.forecast/1"
SCORE_SCHEMA = "lawful.forecast-score/1"
VERIFY_SCHEMA = "lawful.forecast-verify/1"
SEAL, PREVIOUS = "sha256", "previous"
CURVE = "compute"

SAME_RUN = 0.01
"""Distance in ln N plus ln D below which a forecast is of a run that is there already."""

OPTIMUM_TOLERANCE = 0.03
"""Runs within this fraction of a budget are runs at that budget: they have whole steps and whole layers."""


def entry_of(
    fit: Fit | FrontierFit, made: Sequence[Forecast], *, now: datetime | None = None, forecaster: str = ""
) -> dict[str, Any]:
    """
    Return one ledger entry: forecasts with all that is needed to hold their maker to them.

    Parameters
    ----------
    fit : Fit or FrontierFit
        What forecasts.
    made : sequence of Forecast
    now : datetime, optional
        When; this moment by default.
    forecaster : str
        ``auto`` where the average of laws forecast, and the fit stands beside it; that of the fit by default.

    Returns
    -------
    dict
        Hash of the data, method, law (of a frontier: of the curve that gives its loss), settings, forecasts,
        date, and a seal: the hash of all the rest. :func:`append_entry` adds the seal of the line before.

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
                f"A run of {format_count(one.params)} parameters on {format_count(one.tokens)} tokens is among the "
                f"fitted ones; a forecast is of runs that do not exist yet."
            )
            raise UnsupportedError(msg)
    model = optimum_curve(fit) if fit.surface is None else fit
    entry = strict(
        {
            "schema": FORECAST_SCHEMA,
            "made": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
            "version": __version__,
            "data": {"sha256": fit.runs.sha256, "n_runs": len(fit.runs), "source": fit.runs.source},
            "law": model.surface.law.name,
            "method": fit.method,
            "forecaster": forecaster or fit.method,
            "settings": {
                "objective": str(model.objective),
                "fixed": dict(model.fixed),
                **({"prior": {name: list(p.given) for name, p in model.prior.items()}} if model.prior else {}),
                "bounds": {name: list(ends) for name, ends in model.solver.bounds.items()},
            },
            "coefficients": model.surface.coefficients,
            "frontier": fit.frontier.to_dict() if fit.surface is None else None,
            "convention": model.surface.cost.convention,
            "status": model.status.key,
            "forecasts": [asdict(one) for one in made],
            PREVIOUS: None,
        }
    )
    return {**entry, SEAL: _seal(entry)}


def _after(entry: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return an entry as it follows others: it holds the seal of the last of them, so that none can go unseen."""
    linked = {**entry, PREVIOUS: earlier[-1][SEAL] if earlier else None}
    return {**linked, SEAL: _seal(linked)}


def _seal(entry: Mapping[str, Any]) -> str:
    content = {name: value for name, value in entry.items() if name != SEAL}
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def append_entry(path: str | Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """
    Add an entry to a ledger, a text file with one JSON document per line; nothing in it is ever changed.

    The line holds the seal of the line before it. It is on the disk when this returns, and another process that
    appends waits its turn. A last line that was cut short while it was written makes room for it.

    Returns
    -------
    dict
        The entry as it stands in the ledger.

    Raises
    ------
    OutputError
        If the file cannot be written, or another process is writing it.
    InputError
        If it is there and is no ledger, or was altered.
    """
    file = Path(path)
    try:
        with held(file.resolve()):
            found = open_ledger(file) if file.exists() and file.stat().st_size else Ledger((), "")
            linked = _after(entry, found.entries)
            with file.open("ab") as out:
                if found.torn:
                    out.truncate(out.seek(0, 2) - len(found.torn.encode("utf-8", "surrogateescape")))
                elif found.unended:
                    out.write(b"\n")
                out.write(json.dumps(linked, allow_nan=False).encode() + b"\n")
                out.flush()
                os.fsync(out.fileno())
    except OSError as error:
        msg = f"Cannot write {str(path)!r} ({(error.strerror or 'error').lower()}); choose another file."
        raise OutputError(msg) from None
    return linked


class Ledger(NamedTuple):
    """
    What a ledger holds.

    Attributes
    ----------
    entries : tuple of mapping
        Whole lines, in order, each checked against its seal and the seal of the line before.
    torn : str
        A last line that was cut short while it was written; empty where there is none.
    unended : bool
        Whether the last line is whole but for its end.
    """

    entries: tuple[Mapping[str, Any], ...]
    torn: str
    unended: bool = False

    @property
    def remark(self) -> str:
        """What a reader must know besides the entries; empty in most ledgers."""
        if not self.torn:
            return ""
        return (
            "The last line of the ledger was cut short while it was written and is left out; the next forecast takes "
            "its place."
        )


def read_ledger(path: str | Path) -> list[dict[str, Any]]:
    """
    Read the entries of a ledger, each checked against its seal and the line before it.

    Raises
    ------
    InputError
        If there is no such file, it is no ledger, or an entry was altered, removed or moved.
    """
    return [dict(entry) for entry in open_ledger(path).entries]


def open_ledger(path: str | Path) -> Ledger:
    """
    Read a ledger as :func:`read_ledger`, with what is to be said about it.

    Raises
    ------
    InputError
        As :func:`read_ledger`.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        msg = f"Cannot read the ledger {str(path)!r} ({(error.strerror or 'error').lower()}); check the path."
        raise InputError(msg) from None
    *lines, last = text.split("\n")
    entries: list[Mapping[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        entries.append(_checked_line(path, number, line, entries))
    if not last:
        return Ledger(tuple(entries), "")
    if _is_cut(last, alone=not entries):
        return Ledger(tuple(entries), last)
    return Ledger((*entries, _checked_line(path, len(lines) + 1, last, entries)), "", unended=True)


def _is_cut(line: str, *, alone: bool) -> bool:
    """Whether a last line is the beginning of one of ours and no more: it is no JSON, and starts as ours do."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        start = '{"schema": "lawful.forecast/'
        # A few signs alone in a file could be anybody's.
        return line.startswith(start) or (not alone and start.startswith(line))
    return False


def _checked_line(path: str | Path, number: int, line: str, earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the entry of a line; a line that is none, was altered, or does not follow the one before is refused."""
    where = f"line {number} of {str(path)!r}"
    try:
        entry: Any = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict) or entry.get("schema") != FORECAST_SCHEMA:
        msg = f"L{where[1:]} is no forecast; a ledger is written by lawful forecast."
        raise InputError(msg)
    if entry.get(SEAL) != _seal(entry):
        msg = f"The forecast on {where} was altered after it was made; its seal is broken."
        raise InputError(msg)
    wrong = mismatch(entry, "forecast-1")
    if wrong:
        msg = f"L{where[1:]} is a damaged forecast ({wrong}); take an untouched copy of the ledger."
        raise InputError(msg)
    before = earlier[-1][SEAL] if earlier else None
    chained = PREVIOUS in entry or any(PREVIOUS in one for one in earlier)
    if chained and (PREVIOUS not in entry or entry[PREVIOUS] != before):
        msg = (
            f"The forecast on {where} does not follow the one before it: a line was removed, moved or put in; take an "
            f"untouched copy of the ledger."
        )
        raise InputError(msg)
    return entry


def verify_document(path: str | Path, seal: str | None = None) -> dict[str, Any]:
    """
    Check a ledger line by line, and say what its last seal is (schema ``lawful.forecast-verify/1``).

    A ledger cannot tell that its last lines were taken away. Whoever noted a seal can: a ledger that holds it
    holds everything that stood before it, unchanged.

    Parameters
    ----------
    path : str or Path
    seal : str, optional
        A seal that the ledger must hold, or the first eight signs of it at least.

    Raises
    ------
    InputError
        As :func:`read_ledger`, or if no line has this seal.
    UnsupportedError
        If the seal is none.
    """
    if seal is not None and not re.fullmatch(r"[0-9a-f]{8,64}", seal):
        msg = f"A seal is 8 to 64 hexadecimal digits, as lawful forecast prints them; got {seal!r}."
        raise UnsupportedError(msg)
    found = open_ledger(path)
    seals = [str(entry[SEAL]) for entry in found.entries]
    if seal is not None and not any(one.startswith(seal) for one in seals):
        msg = f"No forecast in {str(path)!r} has the seal {seal}: lines were removed, or this is another ledger."
        raise InputError(msg)
    return {
        "schema": VERIFY_SCHEMA,
        "ledger": str(path),
        "entries": len(seals),
        "forecasts": sum(len(entry["forecasts"]) for entry in found.entries),
        "chained": sum(PREVIOUS in entry for entry in found.entries),
        "last": seals[-1] if seals else None,
        "holds": seal,
        "remark": found.remark or None,
    }


def verify_sheet(document: Mapping[str, Any]) -> Sheet:
    """Return what was verified in sentences."""
    many, chained = document["entries"], document["chained"]
    said = [f"{document['forecasts']} forecasts on {many} lines: every seal holds."]
    if chained < many:
        said.append(f"The first {many - chained} were written before lines were chained: each is sealed for itself.")
    if document["last"]:
        said.append(f"Last seal {document['last']}: note it elsewhere, it vouches for every line.")
    if document["holds"]:
        said.append(f"The ledger holds {document['holds']}, and all that stood before it.")
    said += [document["remark"]] if document["remark"] else []
    return Sheet(f"{document['ledger']} is as it was written.", tuple(said))


class Scored(NamedTuple):
    """
    A forecast of a ledger beside its run.

    Attributes
    ----------
    entry : mapping
        The line of the ledger.
    made : Forecast
    found : Score or None
        None where its run is not among the results.
    run : int or None
        Which of the results it is scored by.
    """

    entry: Mapping[str, Any]
    made: Forecast
    found: Score | None
    run: int | None


def score_ledger(entries: Sequence[Mapping[str, Any]], runs: Runs) -> list[Scored]:
    """
    Put every forecast beside the run it was about; None where that run is not among the results.

    The forecast of a budget's optimum (all that a curve or a frontier forecasts) is scored by the run
    with the lowest loss within 3% of that budget, whatever its size: that is what was forecast.
    One of given N and D is scored by the nearest run within 10% of both, of equally near ones (seeds) by the
    one with the lowest loss, as a forecast is of a well-tuned run.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> old = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=truth), noise=0.002)
    >>> entry = entry_of(fit := lawful.fit(old), fit.forecast([3e20]))
    >>> new = lawful.simulate(truth, lawful.Plan.isoflop([3e20], 3, surface=truth, width=2))
    >>> (row,) = score_ledger([entry], new)
    >>> row.run, row.found.inside
    (1, True)
    """
    rows = []
    for entry in entries:
        for document in entry["forecasts"]:
            made = Forecast(**{**document, "prediction": tuple(document["prediction"])})
            run = _best(runs, made) if made.optimal or entry["law"] == CURVE else _nearest(runs, made)
            came = None if run is None else score(made, float(runs.L[run]), signed=runs.signed)
            rows.append(Scored(entry, made, came, run))
    return rows


def _best(runs: Runs, made: Forecast) -> int | None:
    """Return the run with the lowest loss at the budget of a forecast."""
    near = np.flatnonzero(np.abs(np.log(runs.C / made.budget)) <= np.log1p(OPTIMUM_TOLERANCE))
    return int(near[runs.L[near].argmin()]) if near.size else None


def _nearest(runs: Runs, made: Forecast) -> int | None:
    """Return the run nearest to the N and D of a forecast."""
    away = np.maximum(np.abs(np.log(runs.N / made.params)), np.abs(np.log(runs.D / made.tokens)))
    if away.min() > np.log1p(BUDGET_TOLERANCE):
        return None
    near = np.flatnonzero(away <= away.min() + 1e-9)
    return int(near[runs.L[near].argmin()])


def score_document(rows: Sequence[Scored], runs: Runs) -> dict[str, Any]:
    """Return scores as JSON types (schema ``lawful.forecast-score/1``)."""
    known = [row.found for row in rows if row.found is not None]
    document: dict[str, Any] = strict(
        {
            "schema": SCORE_SCHEMA,
            "scored": len(known),
            "pending": len(rows) - len(known),
            "inside": sum(found.inside for found in known),
            "forecasts": [
                {
                    "made": entry["made"],
                    "method": entry["method"],
                    **asdict(made),
                    "run": None if run is None else _named(runs, run),
                    "measured": None if found is None else found.measured,
                    "miss": None if found is None else found.miss,
                    "z": None if found is None else found.z,
                    "inside": None if found is None else found.inside,
                    "interval_score": None if found is None else found.interval_score,
                }
                for entry, made, found, run in rows
            ],
        }
    )
    return document


def _named(runs: Runs, run: int) -> dict[str, Any]:
    """Which run it is: its row in the table, counted from 1 below the header, and its numbers."""
    row = run + 1 if runs.row is None else int(runs.row[run])
    return {"row": row, "params": float(runs.N[run]), "tokens": float(runs.D[run]), "flops": float(runs.C[run])}


def entry_sheet(entry: Mapping[str, Any], made: Sequence[Forecast]) -> Sheet:
    """Return an entry in a table."""
    said = f"{_model(entry)} on {entry['data']['n_runs']} runs, data {entry['data']['sha256'][:12]}."
    sheet = forecast_sheet(made, said=[said])
    if entry["law"] == CURVE and entry.get("frontier") is None:  # a bare curve knows no N and D
        heads, rows = (sheet.columns[0], sheet.columns[3]), tuple((cells[0], cells[3]) for cells in sheet.rows)
        return replace(sheet, columns=heads, rows=rows)
    return sheet


def _model(entry: Mapping[str, Any]) -> str:
    law = f"{entry['law']} law by {entry['method']}"
    if entry.get("frontier") is None:
        return law
    E, A, alpha = (format_short(entry["coefficients"][name], 4) for name in ("E", "A", "alpha"))
    return (
        f"N and D by the frontier of {entry['method']}, the loss by {E} + {A}/C^{alpha} "
        f"({entry['status']}) through its optima,"
    )


def score_sheet(rows: Sequence[Scored], runs: Runs) -> Sheet:
    """Return scores in a table, with the run that each forecast is scored by."""
    cells, taken = [], {}
    for entry, made, found, run in rows:
        foretold = Cell(made.loss, "nats", *made.prediction)
        came: tuple[Cell | str | None, ...] = (None, None, "pending", None)
        if found is not None and run is not None:
            one = _named(runs, run)
            taken[one["row"]] = f"N {format_count(one['params'])}, D {format_count(one['tokens'])}"
            verdict = "inside" if found.inside else "outside"
            came = (Cell(found.measured, "nats"), Cell(f"{found.z:+.1f}", "text"), verdict, Cell(one["row"], "integer"))
        cells.append(row(entry["method"], Cell(made.budget, "flops"), foretold, *came))
    known = [one.found for one in rows if one.found is not None]
    told = f"{sum(found.inside for found in known)} of {len(known)} inside their intervals"
    days = sorted({entry["made"][:10] for entry, *_ in rows})
    made_on = f" Made on {' to '.join(dict.fromkeys([days[0], days[-1]]))}." if days else ""
    how = (
        f"A budget's optimum is scored by the best run within {OPTIMUM_TOLERANCE:.0%} of the budget, other runs by "
        f"the nearest within {BUDGET_TOLERANCE:.0%} in N and D."
    )
    closing = (
        f"{told}; {len(rows) - len(known)} pending.{made_on}",
        how,
        *(f"Row {number}: {said}." for number, said in sorted(taken.items())),
    )
    heads = ("method", "FLOPs", "forecast", "came", "z", "verdict", "row")
    return Sheet("Forecasts, and what came.", (), heads, tuple(cells), "interval", closing)
