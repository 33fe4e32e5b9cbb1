"""What ``--out`` writes: fit.json, runs.csv, the figures and the report, listed in the document itself."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.analysis.compare import Leading, Outcome
from lawful.analysis.evidence import gather
from lawful.core.typing import Columns
from lawful.data.runs import Runs
from lawful.estimate.result import Fit, FrontierFit
from lawful.show.figures.axes import figure_of, save_figures
from lawful.show.figures.curve_figure import has_curve
from lawful.show.figures.figures import figures_of
from lawful.show.figures.methods_figure import answers, plot_methods
from lawful.show.files.artifact import artifact_document
from lawful.show.files.document import compare_document, dumps, groups_document, sealed
from lawful.show.files.output import MANIFEST, files_under
from lawful.show.files.place import encoded
from lawful.show.report.pictures import report_tables
from lawful.show.report.report import report_html

if TYPE_CHECKING:
    from lawful.checks.check import Checked
    from lawful.forecasting.averaged import MethodRecord

QUANTITIES = {"params": "N", "tokens": "D", "loss": "L", "budget": "C"}
EXACT_INTEGER = 2.0**53
"""Below this every whole number is a float of its own, so it can be written without a point."""


def write_fit(
    folder: Path,
    analysis: Analysis,
    *,
    scale: Mapping[str, float] | None = None,
    with_figures: str = "png+svg",
    more: Mapping[str, Any] | None = None,
    checked: Checked | None = None,
) -> None:
    """
    Write one analysis into a folder: ``runs.csv``, figures, ``report.html`` with its ``tables/``, and ``fit.json``.

    Runs of a table without N or budgets get no report, and as a figure the curve of their law; a law of further columns
    has neither.

    Parameters
    ----------
    folder : Path
        An existing directory, as :func:`~lawful.show.files.output.staged_output` yields.
    analysis : Analysis
        What was found.
    scale : mapping of str to float, optional
        Units that A and B refer to in ``fit.json``.
    with_figures : {"png+svg", "pdf+png+svg", "none"}
        Figure files to write; the report holds its figures in any case.
    more : mapping of str to Any, optional
        Keys that ``fit.json`` has besides.
    checked : Checked, optional
        The check that chose the runs.
    """
    write_runs(folder / "runs.csv", analysis.fit)
    # A report is drawn along budgets, which a table of one column does not have; a curve is drawn over that column.
    along_budgets = analysis.fit.runs.has("N") and analysis.fit.runs.has("C") and _predicts(analysis.fit)
    if with_figures != "none" and (along_budgets or has_curve(analysis.fit)):
        write_figures(folder, analysis, with_figures)
    if along_budgets:
        write_report_files(folder, analysis, checked)
    write_document(folder / "fit.json", {**artifact_document(analysis, scale=scale), **(more or {})})


def _predicts(fit: Fit | FrontierFit) -> bool:
    """Whether N, D and C say all that the law takes, so that it can be drawn against them."""
    return fit.surface is None or fit.surface.law.predicts


def write_report_files(
    folder: Path,
    analysis: Analysis,
    checked: Checked | None = None,
    *,
    records: Sequence[MethodRecord] | None = None,
) -> None:
    """
    Write ``report.html`` and, under ``tables/``, every table that it is drawn from.

    With the records of a comparison it is the page of that, and the methods side by side are a figure of their own.
    """
    evidence = gather(analysis, checked=checked)
    if records is not None:
        evidence = replace(evidence, records=tuple(records))
        if analysis.allocations and answers(evidence):
            save_figures(figure_of(plot_methods(analysis, evidence=evidence)), folder, "methods", "png+svg")
    tables = report_tables(evidence)
    page = report_html(analysis, evidence=evidence, tables=tables, compared=records is not None)
    (folder / "report.html").write_bytes(encoded(page))
    write_tables(folder / "tables", tables)


def write_tables(folder: Path, tables: Mapping[str, Columns]) -> None:
    """Write tables as CSV, one file each; every number reads back as the same number."""
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        write_columns(folder / f"{name}.csv", table)


def write_comparison(
    folder: Path,
    outcomes: Sequence[Outcome],
    *,
    lead: Leading,
    scale: Mapping[str, float] | None = None,
) -> None:
    """
    Write ``compare.json``, and the methods side by side as a page and a figure, where VPNLS could run.

    The page leads with what the comparison leads with: the average of laws, and every answer beside it.
    """
    if lead.analysis is not None:
        write_report_files(folder, lead.analysis, records=lead.records)
    document = compare_document(outcomes, scale=scale, average=lead.average, records=lead.records)
    write_document(folder / "compare.json", document)


def write_demo(folder: Path, outcomes: Sequence[Outcome]) -> None:
    """Write ``compare.json`` and everything of the VPNLS fit but its figures as files: the report shows them."""
    (folder / "compare.json").write_bytes(encoded(dumps(compare_document(outcomes)) + "\n"))
    for outcome in outcomes:
        if isinstance(outcome, Analysis) and outcome.method == "vpnls":
            write_fit(folder, outcome, with_figures="none")


def write_groups(
    folder: Path,
    by: str,
    outcomes: Mapping[str, Outcome],
    *,
    scale: Mapping[str, float] | None = None,
    with_figures: str = "png+svg",
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write one sub-directory per group that could be fitted, and ``fit-by.json`` over all of them."""
    used: set[str] = set()
    for value, outcome in outcomes.items():
        if isinstance(outcome, Analysis):
            inner = folder / folder_name(value, used)
            inner.mkdir()
            write_fit(inner, outcome, scale=scale, with_figures=with_figures)
    write_document(folder / "fit-by.json", {**groups_document(by, outcomes, scale=scale), **(more or {})})


def folder_name(value: str, used: set[str]) -> str:
    """
    Return a harmless, unused directory name for a group, and remember it in ``used``.

    Examples
    --------
    >>> taken: set[str] = set()
    >>> folder_name("llama 3/raw", taken), folder_name("llama 3:raw", taken), folder_name("..", taken)
    ('llama-3-raw', 'llama-3-raw-2', 'group')
    """
    plain = "".join(c if c.isalnum() or c in "._-" else "-" for c in value)[:80].strip(".-") or "group"
    name, count = plain, 1
    while name.lower() in used:
        count += 1
        name = f"{plain}-{count}"
    used.add(name.lower())
    return name


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document with the list of the files around it, by which a later run knows what to replace."""
    files = sorted({*files_under(path.parent), path.name})
    path.write_bytes(encoded(dumps(sealed({**document, MANIFEST: files})) + "\n"))


def write_figures(folder: Path, analysis: Analysis, kinds: str) -> None:
    """Write every figure in the formats asked for."""
    for name, figure in figures_of(analysis).items():
        save_figures(figure, folder, name, kinds)


def write_runs(path: Path, fit: Fit | FrontierFit) -> None:
    """Write the runs with every column of their source, and what the surface predicts for each."""
    columns = run_columns(fit.runs)
    if fit.surface is not None:
        residuals = fit.residuals
        columns[_unused("predicted_loss", columns)] = fit.runs.L - residuals
        columns[_unused("residual", columns)] = residuals
    write_columns(path, columns)


def write_columns(path: Path, columns: Mapping[str, Any]) -> None:
    """Write columns of equal length as CSV; every number reads back as the same number."""
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        write_csv(file, columns)


def write_csv(file: TextIO, columns: Mapping[str, Any]) -> None:
    """Write columns of equal length as CSV into an open file."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(map(_cell, column) for column in columns.values()), strict=True))


def run_columns(runs: Runs) -> dict[str, Any]:
    """Return every column of the source in its order, then the quantities that it lacks under our names."""
    columns: dict[str, Any] = dict(runs.table)
    for quantity, attribute in QUANTITIES.items():
        if runs.columns.get(quantity) not in columns:
            columns[_unused(quantity, columns)] = getattr(runs, attribute)
    return columns


def _unused(name: str, columns: Mapping[str, Any]) -> str:
    """Return a name for our column that leaves the user's columns theirs."""
    while name in columns:
        name = f"{name}_fit"
    return name


def _cell(value: Any) -> str:
    """Text that reads back as the same value; a missing one is empty."""
    if value is None:
        return ""
    if isinstance(value, (float, np.floating)):
        number = float(value)  # a float32 label reads back as the same float32
        if np.isnan(number):
            return ""
        whole = number.is_integer() and abs(number) < EXACT_INTEGER
        return str(int(number)) if whole else repr(number)
    return str(value)
