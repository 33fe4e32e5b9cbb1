"""The package's own runs: two sweeps, their fits, the forecasts, and the runs that tested them once they exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lawful.analysis.analysis import Analysis
from lawful.analysis.compare import Unavailable
from lawful.data.runs import Runs
from lawful.errors import IdentificationError
from lawful.estimate.result import Fit
from lawful.forecasting.forecast import forecast
from lawful.show.ledger import entry_of, read_ledger
from lawful.sources.embedded import embedded_file
from lawful.sources.read import read_runs
from lawful.studies.tables import Table

TARGET = 1.25e15
"""FLOPs of the runs that were forecast: 10 times the sweep's largest budget."""

COLUMNS = {"params": "params", "tokens": "tokens", "budget": "flops", "loss": "loss"}
SWEEPS = {"first": "tinysweep-first", "second": "tinysweep"}
LEDGER = "tinysweep-forecasts.jsonl"
TESTED = "tinysweep-target"


def own_table(name: str) -> Table | None:
    """
    Return a CSV of the package's own runs with every column; None if this version has none of that name.

    Examples
    --------
    >>> len(own_table("tinysweep")), own_table("tinysweep-of-another-day")
    (53, None)
    """
    path = embedded_file(f"{name}.csv")
    return None if path is None else Table.read_csv(path)


def own_runs(name: str) -> Runs | None:
    """
    Return a CSV of the package's own as runs; None if this version has none of that name.

    Examples
    --------
    >>> own_runs("tinysweep").sizes_per_budget.tolist()
    [7, 7, 7, 7, 7]
    """
    path = embedded_file(f"{name}.csv")
    return None if path is None else read_runs(path, columns=COLUMNS)


def sweep_runs(sweep: str) -> Runs:
    """
    Return the runs of the first sweep or of the second, which is the data set.

    Raises
    ------
    IdentificationError
        If they are not among the files of this version.
    """
    runs = own_runs(SWEEPS[sweep])
    if runs is None:
        msg = f"The runs of the {sweep} sweep are no part of this version; install lawful again."
        raise IdentificationError(msg)
    return runs


def ledger() -> list[dict[str, Any]]:
    """Return the forecasts that were written down before the target runs; none if this version has no ledger."""
    path = embedded_file(LEDGER)
    return [] if path is None else read_ledger(path)


def forecasts(outcomes: Iterable[Analysis | Unavailable]) -> list[dict[str, Any]]:
    """Return the ledger, or where there is none yet what it would say: each method's forecast of the target."""
    written = ledger()
    if written:
        return written
    made = []
    for outcome in outcomes:
        if isinstance(outcome, Analysis):
            try:
                made.append(entry_of(outcome.fit, forecast(outcome.fit, (TARGET,))))
            except IdentificationError:  # a frontier of too few budgets: it says nothing about the loss
                continue
    return made


def target_forecasts(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries with their forecasts of the target budget's best run alone, one per method, the last made."""
    found = {}
    for entry in entries:
        chosen = [one for one in entry["forecasts"] if one["optimal"] and abs(one["budget"] / TARGET - 1) < 0.01]
        if chosen:
            found[entry["method"]] = {**entry, "forecasts": chosen[-1:]}
    return list(found.values())


def size_interval(outcome: Analysis, level: float = 0.9) -> tuple[float, float]:
    """Interval of N* at the target."""
    return outcome.interval("params", budget=TARGET, level=level)


def surface_of(outcomes: Iterable[Analysis | Unavailable]) -> Fit:
    """Return the VPNLS fit among outcomes."""
    return next(
        o.fit for o in outcomes if isinstance(o, Analysis) and o.fit.surface is not None and o.method == "vpnls"
    )
