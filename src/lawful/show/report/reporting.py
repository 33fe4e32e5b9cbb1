"""write_report(): a report of one fit, or of what changed between several, as a file with its tables beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lawful.analysis.analysis import Analysis
from lawful.analysis.evidence import Evidence, gather
from lawful.core.typing import Columns
from lawful.errors import InputError, OutputError
from lawful.estimate.result import Fit, FrontierFit
from lawful.show.files.bundle import write_document, write_tables
from lawful.show.files.document import Document, strict
from lawful.show.files.output import TABLES, TABLES_SCHEMA, staged_output
from lawful.show.files.place import check_place, is_page, write_whole
from lawful.show.report.changes import Changes, changes_document, changes_html, changes_of, changes_tables
from lawful.show.report.decision import decision_sentences
from lawful.show.report.pictures import report_tables
from lawful.show.report.report import report_html
from lawful.show.report.saved import SavedFit, load_saved
from lawful.show.report.words import card_facts, check_facts, data_facts, unstated_facts

REPORT_SCHEMA = "lawful.report/1"

PAGES = (".html", ".htm")

Reportable = Analysis | Fit | FrontierFit | SavedFit | str | Path


@dataclass(frozen=True, eq=False)
class _Material:
    """What a page shows: the fits, what they rest on or how they differ, and its tables."""

    fits: tuple[SavedFit, ...]
    shown: Evidence | Changes
    tables: Mapping[str, Columns]


def write_report(
    *fits: Reportable, path: str | Path = "report.html", title: str | None = None, budgets: Sequence[float] = ()
) -> Path:
    """
    Write a report of one fit, or of what changed between two or more, as one self-contained page.

    Parameters
    ----------
    *fits : Analysis, Fit, FrontierFit, or path of a fit.json
        What to report on; with more than one a comparison.
    path : str or Path
        The page to write, ``.html``. The tables it is drawn from go into a folder beside it,
        ``report-tables`` for ``report.html``.
    title : str, optional
        Heading.
    budgets : sequence of float
        Budgets in FLOPs to allocate to fits that are loaded; those they were asked about by default.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        Without any fit, or if a file is no fit.
    OutputError
        If the page cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_report(lawful.analyse(runs, budgets=[1e22]), path=f"{folder}/report.html")
    ...     page.name, len(list(page.parent.glob("report-tables/*.csv"))) > 10
    ('report.html', True)
    """
    return _write(_material(fits, budgets), Path(path), title)[0]


def write_saved(
    fits: Sequence[Reportable], path: Path, *, title: str | None = None, budgets: Sequence[float] = ()
) -> tuple[Path, Path, Document]:
    """Write a report as :func:`write_report`; return the page, the folder of its tables, and its document."""
    material = _material(fits, budgets)
    page, folder = _write(material, path, title)
    return page, folder, _document(material)


def report_document(fits: Sequence[Reportable], *, budgets: Sequence[float] = ()) -> Document:
    """
    Return what a report says as JSON types: of one fit its facts and tables, of several what changed.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
    >>> found = lawful.analyse(runs, budgets=[1e22], draws=0)
    >>> report_document([found])["schema"], report_document([found, found])["schema"]
    ('lawful.report/1', 'lawful.changes/1')
    """
    return _document(_material(fits, budgets))


def _saved(fits: Sequence[Reportable], budgets: Sequence[float]) -> list[SavedFit]:
    if not fits:
        msg = "A report needs at least one fit; give a fit.json that lawful fit --out wrote."
        raise InputError(msg)
    found = []
    for i, fit in enumerate(fits, 1):
        if isinstance(fit, SavedFit):
            found.append(fit)
        elif isinstance(fit, (str, Path)):
            found.append(load_saved(fit, budgets=budgets))
        else:
            analysis = fit if isinstance(fit, Analysis) else Analysis.of(fit)
            found.append(SavedFit(f"fit {i}", analysis, None))
    return found


def _material(fits: Sequence[Reportable], budgets: Sequence[float]) -> _Material:
    """Collect what a page of these fits shows, once."""
    found = _saved(fits, budgets)
    if len(found) > 1:
        changes = changes_of(found)
        return _Material(tuple(found), changes, changes_tables(changes))
    evidence = gather(found[0].analysis)
    return _Material(tuple(found), evidence, report_tables(evidence))


def _write(material: _Material, path: Path, title: str | None) -> tuple[Path, Path]:
    folder = path.with_name(f"{path.stem}-tables")
    _check_target(path, folder)
    shown, tables, first = material.shown, material.tables, material.fits[0]
    if isinstance(shown, Changes):
        page = changes_html(shown, title=title, tables=tables)
    else:
        page = report_html(first.analysis, title=title, evidence=shown, tables=tables, flagged=first.flagged)
    document = {"schema": TABLES_SCHEMA, "page": path.name}
    with staged_output(folder) as stage:
        write_tables(stage, tables)
        write_document(stage / TABLES, document)
        # The page first: it stands alone, and a page without its tables is found by the next report.
        write_whole(path, page, ours=is_page, what="a page")
    return path, folder


def _check_target(path: Path, folder: Path) -> None:
    """Refuse a page that could be someone's data, before any work."""
    if path.suffix.lower() not in PAGES:
        msg = f"A report is a page, so `out` ends in .html, got {str(path)!r}."
        raise OutputError(msg)
    if path.is_dir() or (folder.exists() and not folder.is_dir()):
        msg = f"Cannot write {str(path)!r} and the folder {folder.name!r} beside it; choose another name."
        raise OutputError(msg)
    check_place(path, is_page, "a page")


def _document(material: _Material) -> Document:
    shown = material.shown
    if isinstance(shown, Changes):
        return changes_document(shown)
    analysis = shown.analysis
    facts = [*data_facts(analysis), *check_facts(shown, material.fits[0].flagged)]
    document: Document = strict(
        {
            "schema": REPORT_SCHEMA,
            "file": material.fits[0].path,
            "verdict": analysis.verdict.value,
            "decision": decision_sentences(analysis),
            "data": {fact.name: fact.value for fact in facts},
            "card": {fact.name: fact.value for fact in [*card_facts(analysis), *unstated_facts()]},
            "notes": [note.to_dict() for note in analysis.notes],
            "tables": material.tables,
        }
    )
    return document
