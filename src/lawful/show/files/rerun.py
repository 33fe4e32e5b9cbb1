"""rerun(): a saved fit is made again from what it recorded, and held against what was saved, to the last digit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lawful.analysis.analysis import Analysis, analyse
from lawful.analysis.moves import analyse_kept
from lawful.core.numbers import format_short
from lawful.core.objective import Objective
from lawful.core.sheet import Sheet, row
from lawful.data.runs import Runs
from lawful.errors import InputError, LawfulError
from lawful.estimate.fit import table_for
from lawful.laws.laws import DEFAULT_LAW
from lawful.show.files.artifact import load, read_document
from lawful.show.files.document import Document, fit_document, strict
from lawful.sources.read import read_runs

RERUN_SCHEMA = "lawful.rerun/1"
REQUEST = "request"
"""Key of fit.json under which stands what was asked for, as :func:`lawful.analyse` takes it."""

HELD = (
    *("method", "law", "objective", "coefficients", "exponents", "rss", "n_runs", "status", "verdict"),
    *("intervals", "allocations", "auto"),
)
"""What of a fit must come out again."""


class Rerun(NamedTuple):
    """
    A saved fit beside the same fit made again.

    Attributes
    ----------
    path : str
        The saved fit.
    source : str
        What the runs were read from this time.
    read_again : bool
        Whether they were; otherwise they are those that the file holds.
    same_runs : bool
        Whether they are the runs of the saved fit, to the last digit.
    changes : tuple of (str, value, value)
        Each number that came out otherwise: its place in the file, what was saved, what came now.
    versions : mapping of str to (str, str)
        Versions that are others than they were.
    analysis : Analysis
        What came now.
    """

    path: str
    source: str
    read_again: bool
    same_runs: bool
    changes: tuple[tuple[str, Any, Any], ...]
    versions: Mapping[str, tuple[str, str]]
    analysis: Analysis

    @property
    def same(self) -> bool:
        """Whether runs and answer are the same to the digit."""
        return self.same_runs and not self.changes


def rerun(path: str | Path, runs: Any = None) -> Rerun:
    """
    Make a saved fit again from its recorded source and settings, and compare the answers digit by digit.

    Parameters
    ----------
    path : str or Path
        A ``fit.json``.
    runs : as :func:`lawful.read_runs` takes it, optional
        Where the runs are now; the recorded source by default. A fit that was saved from Python did not record how
        its table was read, and is made again from the runs that the file holds.

    Returns
    -------
    Rerun

    Raises
    ------
    InputError
        If the file is no fit, or its source cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> truth = lawful.Surface.named("besiroglu")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=truth)
    >>> found = lawful.analyse(lawful.simulate(truth, plan, noise=0.002), budgets=[1e22], method="vpnls")
    >>> rerun(found.save(f"{tempfile.mkdtemp()}/fit.json")).same
    True
    """
    saved, document = load(path), read_document(path)
    request = document.get(REQUEST)
    if request is None:
        again = _again_from_file(saved, runs)
    else:
        again = _again_as_asked(request, _sources(path, request, runs))
    now = strict({**fit_document(again, scale=document["scale"])})
    return Rerun(
        path=str(path),
        source=again.runs.source,
        read_again=request is not None or runs is not None,
        same_runs=again.runs.sha256 == saved.runs.sha256,
        changes=tuple(_changes(document, now)),
        versions=_versions(document["provenance"]),
        analysis=again,
    )


def request_of(
    sources: Sequence[str], reading: Mapping[str, Any], asked: Mapping[str, Any], *, check: bool
) -> Document:
    """Return what was asked for as JSON types, so that it can be asked for again."""
    goal = asked.get("objective")
    plain = {name: value for name, value in asked.items() if name != "progress"}
    plain["objective"] = None if goal is None else {"name": goal.name, "delta": goal.delta}
    document: Document = strict({"runs": list(sources), "reading": reading, "asked": plain, "check": check})
    return document


def _sources(path: str | Path, request: Mapping[str, Any], runs: Any) -> Any:
    """Return where the runs are: as given now, or as recorded."""
    if runs is not None:
        return runs
    recorded = [str(one) for one in request["runs"]]
    if "-" in recorded:
        msg = f"The runs of {str(path)!r} came from standard input; give the table again as `runs`."
        raise InputError(msg)
    return recorded


def _again_as_asked(request: Mapping[str, Any], sources: Any) -> Analysis:
    """Read the runs as they were read, and ask what was asked."""
    asked, reading = dict(request["asked"]), dict(request["reading"])
    goal = asked.pop("objective")
    asked["objective"] = None if goal is None else Objective(goal["name"], goal["delta"])
    ends = (asked.get("bounds") or {}).items()
    asked["bounds"] = {name: (low, np.inf if high is None else high) for name, (low, high) in ends} or None
    if not request["check"]:
        return analyse(read_runs(sources, **reading, needs=()), **asked)
    from lawful.checks.check import check

    checked = check(sources, **reading)
    if checked.runs is None:
        return analyse(checked.kept, **asked)
    return analyse_kept(checked.kept, checked.runs, **asked)[0]


def _again_from_file(saved: Analysis, runs: Any) -> Analysis:
    """Ask again what a saved fit says of itself, of the runs that it holds or of others."""
    fit, sure = saved.fit, saved.sure
    law = DEFAULT_LAW if fit.surface is None else fit.surface.law
    table: Runs = saved.runs if runs is None else table_for(runs, law)  # a formula may name the column of its loss
    asked: dict[str, Any] = {"method": fit.method, "budgets": saved.asked, "level": saved.level}
    if fit.surface is not None:
        asked |= {"law": fit.surface.law, "objective": fit.objective, "fixed": dict(fit.fixed) or None}
        asked |= {"method": fit.solver}
    asked["intervals"] = "none" if sure is None else sure.kind
    if saved.draws is not None:
        asked |= {"draws": len(saved.draws), "seed": saved.draws.seed}
    return analyse(table, **asked, forecaster="average" if saved.average else "fit")


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in HELD:
        yield from _differences(name, before.get(name), now.get(name))


def _differences(place: str, before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield every place where two documents differ; words about the numbers follow them, and are left out."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            if key not in ("notes", "sentence"):
                yield from _differences(f"{place}.{key}", before.get(key), now.get(key))
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for i, pair in enumerate(zip(before, now, strict=True)):
            yield from _differences(f"{place}[{i}]", *pair)
    elif before != now:
        yield place, before, now


def _versions(provenance: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    import platform

    from lawful import __version__

    here = {"lawful": __version__, "python": platform.python_version(), "numpy": np.__version__}
    return {name: (str(provenance[name]), found) for name, found in here.items() if provenance[name] != found}


def rerun_document(found: Rerun) -> Document:
    """Return a rerun as JSON types (schema ``lawful.rerun/1``)."""
    document: Document = strict(
        {
            "schema": RERUN_SCHEMA,
            "fit": found.path,
            "source": found.source,
            "read_again": found.read_again,
            "same": found.same,
            "same_runs": found.same_runs,
            "changes": [{"place": place, "saved": before, "now": now} for place, before, now in found.changes],
            "versions": {name: {"saved": before, "now": now} for name, (before, now) in found.versions.items()},
        }
    )
    return document


MOST_SHOWN = 30


def rerun_sheet(found: Rerun) -> Sheet:
    """Return a rerun in a table: each number that came out otherwise."""
    told = [
        f"Runs from {found.source}."
        if found.read_again
        else "Runs as the file holds them; it does not say how they were read."
    ]
    if not found.same_runs:
        told.append("The runs are not those of the saved fit: its source was changed.")
    if found.versions:
        moved = ", ".join(f"{name} {before} then, {now} now" for name, (before, now) in found.versions.items())
        told.append(f"Other versions: {moved}.")
    title = f"{found.path}: the same to the digit." if found.same else f"{found.path}: not the same."
    rows = tuple(row(place, _short(before), _short(now)) for place, before, now in found.changes[:MOST_SHOWN])
    more = len(found.changes) - len(rows)
    closing = (f"And {more} more.",) if more > 0 else ()
    return Sheet(title, tuple(told), ("", "saved", "now") if rows else (), rows, None, closing)


def _short(value: Any) -> str:
    return format_short(value, 17) if isinstance(value, float) else str(value)[:40]


def check_same(found: Rerun) -> None:
    """
    Raise where a rerun is not the same, so that a script stops.

    Raises
    ------
    LawfulError
        Says how much differs.
    """
    if not found.same:
        what = f"{len(found.changes)} of its numbers" if found.changes else "its runs"
        msg = f"The saved fit {found.path!r} did not come out again: {what} differ."
        raise LawfulError(msg)
