"""``lawful fit`` and ``lawful compare``: from runs to results."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.splice import Without
from lawful.cli.terminal import WRITING, say, working
from lawful.errors import IdentificationError, InputError

if TYPE_CHECKING:  # NumPy and SciPy are loaded by the commands, not by --help
    from lawful.analysis.analysis import Analysis
    from lawful.analysis.compare import Unavailable
    from lawful.analysis.moves import Move
    from lawful.checks.check import Checked
    from lawful.data.runs import Runs


def fit(
    runs: o.RunsPath,
    *,
    budget: o.Budgets = None,
    reading: o.Reading,
    by: o.By = None,
    fitting: o.Fitting,
    window: o.Window = "auto",
    sampling: o.Sampling,
    scale: o.Scale = None,
    output: o.Output,
) -> None:
    """
    Fit a scaling law to training runs, and say what a budget should buy.

    \b
    Examples:
      lawful fit runs.csv --budget 3.8e25
      lawful fit runs.csv --select experiment=llama_3 --budget 1e24,3.8e25
      lawful fit runs.csv --method approach3 --objective log-huber --delta 1e-3
      lawful fit runs.csv --law skaling --budget 3.8e25
      lawful fit runs.csv --columns params=my_n,tokens=my_d --out result
      lawful fit runs.csv --by experiment --json
      lawful fit runs.csv --check --budget '30 days on 1024 h100'
    """
    asked = {**fitting.words(), **sampling.words(), "budgets": values.parse_budgets(budget), "window": window}
    # An unavailable group is told under the method's name; the fit itself is what `analyse` makes of auto.
    named, asked["method"] = asked["method"], fitting.method.value
    units, reading = o.parse_scale(scale), reading.for_law(fitting.law)
    if by is None:
        _fit_one(runs, reading, named, asked, units, output)
    else:
        _fit_groups(runs, by, reading, named, asked, units, output)


def _analyse(runs: Runs, given: Runs | None, asked: Mapping[str, Any]) -> tuple[Analysis, tuple[Move, ...]]:
    """Analyse runs; where they are what a check kept of some given ones, tell what that changed as well."""
    from lawful.analysis.analysis import analyse
    from lawful.analysis.moves import analyse_kept

    return (analyse(runs, **asked), ()) if given is None else analyse_kept(runs, given, **asked)


def _fit_one(
    path: Sequence[str],
    reading: o.Reading,
    named: str,
    asked: Mapping[str, Any],
    units: Mapping[str, float],
    output: o.Output,
) -> None:
    from lawful.show.files.document import fit_document
    from lawful.show.files.rerun import REQUEST, request_of

    with output.staged() as stage, working(f"Fitting {named}", quiet=output.json) as tell:
        checked = reading.checked(path) if reading.check else None
        runs, given = (reading.read(path, ()), None) if checked is None else (checked.kept, checked.runs)
        analysis, moves = _analyse(runs, given, {**asked, "progress": tell})
        more = _check_document(checked, {None: moves})
        request = {REQUEST: request_of(path, reading.words(), asked, check=reading.check)}
        if stage is not None:
            from lawful.show.files.bundle import write_fit

            say(tell, WRITING)
            _write_checked(stage, checked)
            write_fit(
                stage, analysis, scale=units, with_figures=output.with_figures, more=more | request, checked=checked
            )
    output.give(lambda: {**fit_document(analysis, scale=units), **more}, lambda: analysis.sheets(units))


def _check_document(checked: Checked | None, moves: Mapping[str | None, tuple[Move, ...]]) -> dict[str, Any]:
    """Return the keys that a check adds to a document; none without a check."""
    if checked is None:
        return {}
    from lawful.show.checked import fit_check_document

    return fit_check_document(checked, moves)


def _write_checked(stage: Path, checked: Checked | None) -> None:
    """Write every row with its reason: runs.csv holds the kept ones alone."""
    if checked is None:
        return
    from lawful.show.files.bundle import write_columns

    write_columns(stage / "checked.csv", checked.table)


def _fit_groups(
    path: Sequence[str],
    by: str,
    reading: o.Reading,
    named: str,
    asked: Mapping[str, Any],
    units: Mapping[str, float],
    output: o.Output,
) -> None:
    from lawful.analysis.compare import group_sheets
    from lawful.show.files.document import groups_document
    from lawful.sources.read import read_groups

    with output.staged() as stage, working(f"Fitting {named} by {by}", quiet=output.json) as tell:
        checked = reading.checked(path, by) if reading.check else None
        groups: dict[str, Any] = (
            read_groups(path, by=by, **reading.words(), needs=())
            if checked is None
            else dict.fromkeys(checked.names, checked)
        )
        found = {value: _outcome(value, runs, named, {**asked, "progress": tell}) for value, runs in groups.items()}
        outcomes = {value: outcome for value, (outcome, _) in found.items()}
        more = _check_document(checked, {value: moves for value, (_, moves) in found.items()})
        _require_one(outcomes.values(), f"No group of {by!r} can be fitted")
        if stage is not None:
            from lawful.show.files.bundle import write_groups

            say(tell, WRITING)
            _write_checked(stage, checked)
            write_groups(stage, by, outcomes, scale=units, with_figures=output.with_figures, more=more)
    output.give(
        lambda: {**groups_document(by, outcomes, scale=units), **more}, lambda: group_sheets(by, outcomes, scale=units)
    )


def _outcome(
    group: str, source: Runs | Checked, named: str, asked: Mapping[str, Any]
) -> tuple[Analysis | Unavailable, tuple[Move, ...]]:
    """Return an analysis, or the reason that stands in its place when these runs cannot support one."""
    from lawful.analysis.compare import Unavailable
    from lawful.core.notes import Note
    from lawful.data.runs import Runs

    given, count = None, 0
    try:
        if isinstance(source, Runs):
            runs = source
        else:
            given, runs = source.experiments.get(group), source.kept_of(group)
        count = len(runs)
        return _analyse(runs, given, asked)
    except (InputError, IdentificationError) as error:
        return Unavailable(named, Note("unavailable", str(error)), count), ()


def _require_one(outcomes: Iterable[Analysis | Unavailable], what: str) -> None:
    """With no result at all there is nothing to print but the first reason."""
    from lawful.analysis.compare import Unavailable

    missing = [outcome.note.message if isinstance(outcome, Unavailable) else "" for outcome in outcomes]
    if all(missing):
        msg = f"{what}: {missing[0]}"
        raise IdentificationError(msg)


def compare(
    runs: o.RunsPath,
    *,
    budget: o.Budgets = None,
    reading: o.Reading,
    fitting: Annotated[o.Fitting, Without("method")],
    window: o.Window = "auto",
    sampling: o.Sampling,
    scale: o.Scale = None,
    output: Annotated[o.Output, Without("figures")],
) -> None:
    """
    Fit the same runs all four ways, side by side.

    \b
    Examples:
      lawful compare runs.csv --budget 3.8e25
      lawful compare runs.csv --select experiment=llama_3 --json
      lawful compare runs.csv --check --budget 1e24
    """
    from lawful.analysis.compare import average_beside, average_sheets, comparison_sheets
    from lawful.analysis.compare import compare as compare_methods
    from lawful.show.files.document import compare_document

    asked = {
        "law": fitting.law,
        **fitting.how(),
        **sampling.words(),
        "budgets": values.parse_budgets(budget),
        "window": window,
    }
    units = o.parse_scale(scale)
    with output.staged() as stage, working("Fitting four ways", quiet=output.json) as tell:
        table = reading.read(runs)
        outcomes = compare_methods(table, **asked, progress=tell)
        _require_one(outcomes, "No method can run on these runs")
        average, records = average_beside(table, asked["budgets"], sampling.level)
        if stage is not None:
            from lawful.show.files.bundle import write_comparison

            say(tell, WRITING)
            write_comparison(stage, outcomes, scale=units, average=average, records=records)
    output.give(
        lambda: compare_document(outcomes, scale=units, average=average, records=records),
        lambda: (*average_sheets(average, records), *comparison_sheets(outcomes, scale=units)),
    )
