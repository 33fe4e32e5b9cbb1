"""``lawful fit`` and ``lawful compare``: from runs to results."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.splice import Omit
from lawful.cli.terminal import WRITING, say, working
from lawful.errors import IdentificationError, InputError, UnsupportedError

if TYPE_CHECKING:  # NumPy and SciPy are loaded by the commands, not by --help
    from lawful.analysis.analysis import Analysis
    from lawful.analysis.compare import Unavailable
    from lawful.analysis.moves import Move
    from lawful.checks.check import Checked
    from lawful.data.runs import Runs
    from lawful.design.points import Points


Laws = Annotated[
    list[str] | None,
    typer.Option(
        "--law",
        metavar="LAW",
        help=o.LAW_HELP,
        rich_help_panel=o.FITTING,
    ),
]
LawFile = Annotated[
    Path | None,
    typer.Option(
        "--laws", metavar="FILE", help="Laws to rank, one a line; bounds behind a semicolon.", rich_help_panel=o.FITTING
    ),
]
RunCost = Annotated[
    str | None,
    typer.Option(
        "--cost",
        metavar="FORMULA",
        help="What orders the runs of ranked laws. Default: nearness to --points, else FLOPs.",
        rich_help_panel=o.FITTING,
    ),
]
RankedPoints = Annotated[
    str | None,
    typer.Option(
        "--points", metavar="TABLE", help="Predict these by the mean of the best three laws.", rich_help_panel=o.FITTING
    ),
]


def fit(
    runs: o.RunsPath,
    *,
    budget: o.Budgets = None,
    reading: o.Reading,
    by: o.By = None,
    share: o.Share = None,
    law: Laws = None,
    laws: LawFile = None,
    cost: RunCost = None,
    points: RankedPoints = None,
    fitting: Annotated[o.Fitting, Omit("law")],
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
      lawful fit runs.csv --by experiment --share alpha,beta
      lawful fit runs.csv --law 'loss = E + A/params^p' --law skaling --law chinchilla --points next.csv
      lawful fit runs.csv --check --budget '30 days on 1024 h100'
    """
    named = _named(law, laws)
    if len(named) > 1:
        _rank(runs, named, (cost, by, points), (fitting, budget, share), reading, output)
        return
    if cost is not None or points is not None:
        msg = "--cost and --points belong to several laws, which are ranked: give --law more than once, or --laws FILE."
        raise UnsupportedError(msg)
    fitting = replace(fitting, law=named[0][0]) if named else fitting
    asked = {**fitting.words(), **sampling.words(), "budgets": values.parse_budgets(budget), "window": window}
    # An unavailable group is told under the method's name; the fit itself is what `analyse` makes of auto.
    method, asked["method"] = asked["method"], fitting.method.value
    units, reading = o.parse_scale(scale), reading.for_law(fitting.law)
    if share is not None:
        _fit_shared(runs, by, values.parse_names(share), reading, {**asked, "method": method}, units, output)
    elif by is None:
        _fit_one(runs, reading, method, asked, units, output)
    else:
        _fit_groups(runs, by, reading, method, asked, units, output)


def _named(law: list[str] | None, file: Path | None) -> list[tuple[str, dict[str, tuple[float, float]]]]:
    """Return laws with their bounds, in the order given: those of --law, then those of the file, one a line."""
    found: list[tuple[str, dict[str, tuple[float, float]]]] = [(text, {}) for text in law or ()]
    if file is None:
        return found
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"Cannot read the laws in {str(file)!r} ({error}); give a text file with one law a line."
        raise InputError(msg) from None
    for line in lines:
        text, _, box = line.partition(";")
        if text.strip() and not text.lstrip().startswith("#"):
            found.append((text.strip(), values.parse_ranges("--laws", [box.strip()]) if box.strip() else {}))
    if not found:
        msg = (
            f"{str(file)!r} names no law; write one a line, bounds behind a semicolon: loss = E + A/params^p; p=0.1:1."
        )
        raise InputError(msg)
    return found


def _rank(
    path: Sequence[str],
    named: Sequence[tuple[str, dict[str, tuple[float, float]]]],
    where: tuple[str | None, str | None, str | None],
    other: tuple[o.Fitting, Any, Any],
    reading: o.Reading,
    output: o.Output,
) -> None:
    """Rank laws by runs that were held out, and predict a table by the mean of the best three."""
    fitting, budget, share = other
    (cost, by, points), plain = where, o.Fitting()
    if budget is not None or share is not None or fitting != plain:
        msg = (
            "Several laws are ranked by least squares, each within its own bounds (--laws FILE has them behind a "
            "semicolon); leave out --budget, --share and how one law is fitted."
        )
        raise UnsupportedError(msg)
    from lawful.analysis.ranked import predicted_document, predicted_lines, rank_laws
    from lawful.design.points import read_points

    with output.staged() as stage, working(f"Fitting {len(named)} laws", quiet=output.json):
        table = _kept(path, reading)
        texts, boxes = [text for text, _ in named], [box for _, box in named]
        rows = read_points(points, "runs to predict") if points is not None else None
        found = rank_laws(table, texts, cost=cost, by=by, bounds=boxes, points=rows)
        document = found.to_dict()
        forecast = None if rows is None else predicted_document(found, rows)
        if forecast is not None:
            document["predicted"] = [one["loss"] for one in forecast["points"]]
            document["notes"] = [*document["notes"], *forecast["notes"]]
        if stage is not None:
            from lawful.show.files.bundle import write_columns, write_document

            if rows is not None:
                write_columns(stage / "predicted.csv", {**rows.table.columns, "predicted_loss": found.predict(rows)})
            write_document(stage / "laws.json", document)
    lines = [] if forecast is None else predicted_lines(forecast)
    output.give(lambda: document, lambda: (*found.sheets(), *lines))


def _kept(path: Sequence[str], reading: o.Reading) -> Points:
    """Rows that --select, --where and --drop keep; other options of reading speak of one law's quantities."""
    from lawful.design.points import read_points

    asked = reading.words()
    rows = {name: asked.pop(name) for name in ("select", "where", "drop", "fill_down")}
    given = [name for name, value in asked.items() if value]
    if given or reading.check:
        msg = f"Several laws name the columns of the table themselves; leave out --{(given or ['check'])[0]}."
        raise UnsupportedError(msg.replace("_", "-"))
    return read_points(path, "runs", **rows)


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
        more = _check_keys(checked, {None: moves})
        request = {REQUEST: request_of(path, reading.words(), asked, check=reading.check)}
        if stage is not None:
            from lawful.show.files.bundle import write_fit

            say(tell, WRITING)
            _write_checked(stage, checked)
            write_fit(
                stage, analysis, scale=units, with_figures=output.with_figures, more=more | request, checked=checked
            )
    output.give(lambda: {**fit_document(analysis, scale=units), **more}, lambda: analysis.sheets(units))


def _check_keys(checked: Checked | None, moves: Mapping[str | None, tuple[Move, ...]]) -> dict[str, Any]:
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
        more = _check_keys(checked, {value: moves for value, (_, moves) in found.items()})
        _require_one(outcomes.values(), f"No group of {by!r} can be fitted")
        if stage is not None:
            from lawful.show.files.bundle import write_groups

            say(tell, WRITING)
            _write_checked(stage, checked)
            write_groups(stage, by, outcomes, scale=units, with_figures=output.with_figures, more=more)
    output.give(
        lambda: {**groups_document(by, outcomes, scale=units), **more}, lambda: group_sheets(by, outcomes, scale=units)
    )


def _fit_shared(
    path: Sequence[str],
    by: str | None,
    share: Sequence[str],
    reading: o.Reading,
    asked: Mapping[str, Any],
    units: Mapping[str, float],
    output: o.Output,
) -> None:
    """Fit groups together, with the coefficients that they share."""
    if by is None:
        msg = "--share names coefficients that groups share; say which column tells the groups apart with --by."
        raise UnsupportedError(msg)
    if reading.check or asked["intervals"] not in (None, "rows") or asked["method"] not in ("vpnls", "approach3"):
        msg = (
            "--share fits all groups together and resamples their rows; leave out --check, other --intervals and "
            "methods without a surface."
        )
        raise UnsupportedError(msg)
    from lawful.analysis.compare import group_sheets
    from lawful.analysis.groups import analyse_groups
    from lawful.show.files.document import groups_document
    from lawful.sources.read import read_groups

    kept = ("law", "objective", "fixed", "bounds", "budgets", "draws", "level", "seed")
    with output.staged() as stage, working(f"Fitting groups of {by} together", quiet=output.json) as tell:
        groups = read_groups(path, by=by, **reading.words(), needs=())
        how = {name: asked[name] for name in kept}
        sharing, outcomes = analyse_groups(groups, by=by, share=share, **how, progress=tell)
        more = {"shared": sharing.to_dict()}
        if stage is not None:
            from lawful.show.files.bundle import write_groups

            say(tell, WRITING)
            write_groups(stage, by, outcomes, scale=units, with_figures=output.with_figures, more=more)
    output.give(
        lambda: {**groups_document(by, outcomes, scale=units), **more},
        lambda: (*sharing.sheets(), *group_sheets(by, outcomes, scale=units)),
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
    fitting: Annotated[o.Fitting, Omit("method")],
    window: o.Window = "auto",
    sampling: o.Sampling,
    scale: o.Scale = None,
    output: Annotated[o.Output, Omit("figures")],
) -> None:
    """
    Fit the same runs all four ways, side by side.

    \b
    Examples:
      lawful compare runs.csv --budget 3.8e25
      lawful compare runs.csv --select experiment=llama_3 --json
      lawful compare runs.csv --check --budget 1e24
    """
    from lawful.analysis.compare import average_sheets, comparison_sheets, lead_of
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
        lead = lead_of(outcomes, table, asked["budgets"], sampling.level)
        if stage is not None:
            from lawful.show.files.bundle import write_comparison

            say(tell, WRITING)
            write_comparison(stage, outcomes, lead=lead, scale=units)
    output.give(
        lambda: compare_document(outcomes, scale=units, average=lead.average, records=lead.records),
        lambda: (*average_sheets(lead), *comparison_sheets(outcomes, scale=units)),
    )
