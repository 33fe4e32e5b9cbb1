"""``lawful fit`` and ``lawful compare``: from runs to results."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lawful.cli import options as o
from lawful.cli.terminal import WRITING, print_document, say, show, working, written_line
from lawful.errors import IdentificationError, InputError

if TYPE_CHECKING:  # NumPy and SciPy are loaded by the commands, not by --help
    from lawful.analysis.analysis import Analysis
    from lawful.analysis.compare import Unavailable
    from lawful.analysis.moves import Move
    from lawful.checks.check import Checked
    from lawful.cli.terminal import Tell
    from lawful.data.runs import Runs


def fit(
    runs: o.RunsPath,
    budget: o.Budgets = None,
    method: o.MethodOrDefault = None,
    law: o.LawName = "chinchilla",
    objective: o.ObjectiveOption = None,
    delta: o.Delta = None,
    columns: o.Columns = None,
    select: o.Select = None,
    by: o.By = None,
    weights: o.Weights = None,
    check: o.Check = False,
    scale: o.Scale = None,
    fix: o.Fix = None,
    bounds: o.Bounds = None,
    bootstrap: o.DrawsOption = None,
    intervals: o.Scheme = None,
    cluster: o.Cluster = None,
    level: o.Level = 0.9,
    seed: o.Seed = 0,
    out: o.Out = None,
    json: o.Json = False,
    figures: o.Figures = True,
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
      lawful fit runs.csv --check --budget 1e24
    """
    how = o.method_for(method, law)
    o.check_sampling(draws=bootstrap, level=level, seed=seed)
    request = o.parse_request(
        columns=columns,
        select=select,
        weights=weights,
        budget=budget,
        objective=objective,
        delta=delta,
        fix=fix,
        bounds=bounds,
        scale=scale,
        check=check,
        method=how,
    )
    sampling = {
        "law": law,
        "draws": bootstrap,
        "intervals": intervals and intervals.value,
        "cluster": cluster,
        "level": level,
        "seed": seed,
    }
    if by is None:
        _fit_one(runs, request, how, sampling, out=out, as_json=json, with_figures=_which(figures))
    else:
        _fit_groups(runs, by, request, how, sampling, out=out, as_json=json, with_figures=_which(figures))


def _which(figures: bool) -> str:
    return "png+svg" if figures else "none"


def _read(path: str, request: o.Request) -> Runs:
    from lawful.sources.read import read_runs

    runs: Runs = read_runs(path, select=request.select, columns=request.columns, weights=request.weights)
    return runs


def _staged(out: Path | None) -> Any:
    """Return the output directory, refused here, before any work, if it cannot be written."""
    if out is None:
        return nullcontext()
    from lawful.show.files.output import staged_output

    return staged_output(out)


def _read_checked(path: str, request: o.Request, by: str | None = None) -> Checked:
    from lawful.checks.check import check

    return check(path, by=by, select=request.select, columns=request.columns, weights=request.weights)


def _analyse(
    runs: Runs,
    request: o.Request,
    method: str,
    sampling: Mapping[str, Any],
    *,
    given: Runs | None = None,
    **more: Any,
) -> tuple[Analysis, tuple[Move, ...]]:
    """Analyse runs; where they are what a check kept of some given ones, tell what that changed as well."""
    from lawful.analysis.analysis import analyse
    from lawful.analysis.moves import analyse_kept

    options: dict[str, Any] = {
        "method": method,
        "objective": request.objective,
        "fixed": request.fixed,
        "bounds": request.bounds,
        "budgets": request.budgets,
        **sampling,
        **more,
    }
    return (analyse(runs, **options), ()) if given is None else analyse_kept(runs, given, **options)


def _fit_one(
    path: str,
    request: o.Request,
    method: str,
    sampling: Mapping[str, Any],
    *,
    out: Path | None,
    as_json: bool,
    with_figures: str,
) -> None:
    with _staged(out) as stage, working(f"Fitting {method}", quiet=as_json) as tell:
        checked = _read_checked(path, request) if request.check else None
        runs, given = (_read(path, request), None) if checked is None else (checked.kept, checked.runs)
        analysis, moves = _analyse(runs, request, method, sampling, given=given, progress=tell)
        more = _check_document(checked, {None: moves})
        if stage is not None:
            from lawful.show.files.bundle import write_fit

            say(tell, WRITING)
            _write_checked(stage, checked)
            write_fit(stage, analysis, scale=request.scale, with_figures=with_figures, more=more, checked=checked)
    if as_json:
        from lawful.show.files.document import fit_document

        print_document({**fit_document(analysis, scale=request.scale), **more})
        return
    from lawful.show.tables import analysis_parts

    show([*analysis_parts(analysis, scale=request.scale), *_written(out)])


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


def _written(out: Path | None) -> list[Any]:
    return [] if out is None else ["", written_line(out)]


def _fit_groups(
    path: str,
    by: str,
    request: o.Request,
    method: str,
    sampling: Mapping[str, Any],
    *,
    out: Path | None,
    as_json: bool,
    with_figures: str,
) -> None:
    from lawful.sources.read import read_groups

    with _staged(out) as stage, working(f"Fitting {method} by {by}", quiet=as_json) as tell:
        checked = _read_checked(path, request, by) if request.check else None
        groups: dict[str, Any] = (
            read_groups(path, by=by, select=request.select, columns=request.columns, weights=request.weights)
            if checked is None
            else dict.fromkeys(checked.names, checked)
        )
        found = {value: _outcome(value, runs, request, method, sampling, tell) for value, runs in groups.items()}
        outcomes = {value: outcome for value, (outcome, _) in found.items()}
        more = _check_document(checked, {value: moves for value, (_, moves) in found.items()})
        _require_one(outcomes.values(), f"No group of {by!r} can be fitted")
        if stage is not None:
            from lawful.show.files.bundle import write_groups

            say(tell, WRITING)
            _write_checked(stage, checked)
            write_groups(stage, by, outcomes, scale=request.scale, with_figures=with_figures, more=more)
    if as_json:
        from lawful.show.files.document import groups_document

        print_document({**groups_document(by, outcomes, scale=request.scale), **more})
        return
    from lawful.show.tables import groups_parts

    show([*groups_parts(by, outcomes, scale=request.scale), *_written(out)])


def _outcome(
    group: str,
    source: Runs | Checked,
    request: o.Request,
    method: str,
    sampling: Mapping[str, Any],
    tell: Tell | None,
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
        return _analyse(runs, request, method, sampling, given=given, progress=tell)
    except (InputError, IdentificationError) as error:
        return Unavailable(method, Note("unavailable", str(error)), count), ()


def _require_one(outcomes: Iterable[Analysis | Unavailable], what: str) -> None:
    """With no result at all there is nothing to print but the first reason."""
    from lawful.analysis.compare import Unavailable

    missing = [outcome.note.message if isinstance(outcome, Unavailable) else "" for outcome in outcomes]
    if all(missing):
        msg = f"{what}: {missing[0]}"
        raise IdentificationError(msg)


def compare(
    runs: o.RunsPath,
    budget: o.Budgets = None,
    objective: o.ObjectiveOption = None,
    delta: o.Delta = None,
    columns: o.Columns = None,
    select: o.Select = None,
    weights: o.Weights = None,
    scale: o.Scale = None,
    fix: o.Fix = None,
    bounds: o.Bounds = None,
    bootstrap: o.DrawsOption = None,
    intervals: o.Scheme = None,
    cluster: o.Cluster = None,
    level: o.Level = 0.9,
    seed: o.Seed = 0,
    out: o.Out = None,
    json: o.Json = False,
) -> None:
    """
    Fit the same runs all four ways, side by side.

    \b
    Examples:
      lawful compare runs.csv --budget 3.8e25
      lawful compare runs.csv --select experiment=llama_3 --json
    """
    from lawful.analysis.compare import compare as compare_methods

    o.check_sampling(draws=bootstrap, level=level, seed=seed)
    request = o.parse_request(
        columns=columns,
        select=select,
        weights=weights,
        budget=budget,
        objective=objective,
        delta=delta,
        fix=fix,
        bounds=bounds,
        scale=scale,
    )
    with _staged(out) as stage, working("Fitting four ways", quiet=json) as tell:
        table = _read(runs, request)
        outcomes = compare_methods(
            table,
            objective=request.objective,
            fixed=request.fixed,
            bounds=request.bounds,
            budgets=request.budgets,
            draws=bootstrap,
            intervals=intervals and intervals.value,
            cluster=cluster,
            level=level,
            seed=seed,
            progress=tell,
        )
        _require_one(outcomes, "No method can run on these runs")
        if stage is not None:
            from lawful.show.files.bundle import write_comparison

            say(tell, WRITING)
            write_comparison(stage, outcomes, scale=request.scale)
    if json:
        from lawful.show.files.document import compare_document

        print_document(compare_document(outcomes, scale=request.scale))
        return
    from lawful.show.tables import compare_parts

    show([*compare_parts(outcomes, scale=request.scale), *_written(out)])
