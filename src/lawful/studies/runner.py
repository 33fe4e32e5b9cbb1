"""Run studies: chunks through joblib, each kept as it ends, then tables, figures, findings and a manifest."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lawful.errors import InputError, OutputError, UnsupportedError
from lawful.show.files.bundle import write_document
from lawful.show.files.document import is_sealed
from lawful.show.files.lock import held
from lawful.show.files.output import staged_output
from lawful.show.files.schema import mismatch
from lawful.sources.published import cache_folder
from lawful.studies.chunks import CHUNKS, Work, file_hash, run_chunk, versions, write_atomic
from lawful.studies.gallery import check_gallery, write_gallery
from lawful.studies.real import FETCHED, has_file
from lawful.studies.study import DEFAULT_SEED, Study, Tables, choose_studies, find_study
from lawful.studies.tables import Table
from lawful.studies.verdicts import comparison_table

MANIFEST = "manifest.json"
SCHEMA = "lawful.study/1"

ChunkProgress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class StudyOutcome:
    """
    How one study ended.

    Attributes
    ----------
    study : Study
    state : {"done", "kept", "skipped"}
        Computed now, found finished, or left out.
    sentence : str
        Its finding, or why it was left out.
    seconds : float
        CPU time that its tables and its figures took when they were made.
    """

    study: Study
    state: str
    sentence: str
    seconds: float = 0.0


def run_studies(
    names: Sequence[str],
    out: str | Path,
    *,
    quick: bool = False,
    jobs: int = -1,
    seed: int = DEFAULT_SEED,
    data: str | Path | None = None,
    scheduler: str | None = None,
    progress: ChunkProgress | None = None,
) -> tuple[StudyOutcome, ...]:
    """
    Run studies, or go on with a run that was stopped.

    Parameters
    ----------
    names : sequence of str
        Names or numbers; ``all`` for every study.
    out : path
        Directory; each study gets a sub-directory, all together an ``index.html``.
    quick : bool
        Run the quick twins.
    jobs : int
        Worker processes; -1 for one per core. Tables do not depend on it.
    seed : int
        Seed of every random draw.
    data : path, optional
        Folder of published runs.
    scheduler : str, optional
        Address of a Dask scheduler that hands out the chunks in place of local workers.
    progress : callable, optional
        Called with chunks done, chunks in all, and what ended last.

    Returns
    -------
    tuple of StudyOutcome

    Raises
    ------
    UnsupportedError
        If a study or number of jobs is unknown, or Dask is asked for and missing.
    InputError
        If ``data`` is not a directory.
    OutputError
        If ``out`` cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> (outcome,) = run_studies(["analytical_error"], folder.name, quick=True, jobs=1)
    >>> outcome.state
    'done'
    >>> folder.cleanup()
    """
    if jobs == 0 or jobs < -1:
        msg = f"The number of jobs is positive, or -1 for one per core; got {jobs}."
        raise UnsupportedError(msg)
    studies = choose_studies(names)
    root = _make_root(Path(out))
    # One runner at a time: a second one would remove the chunks of the first, or wait for its own.
    with held(root.resolve() / "studies"):
        return _run(studies, root, {"quick": quick, "seed": seed}, jobs, data, scheduler, progress)


def _run(
    studies: Sequence[Study],
    root: Path,
    asked: Mapping[str, Any],
    jobs: int,
    data: str | Path | None,
    scheduler: str | None,
    progress: ChunkProgress | None,
) -> tuple[StudyOutcome, ...]:
    """Run studies in a folder that is ours alone."""
    works, outcomes = [], {}
    for study in studies:
        folder = find_data(study, data)
        if study.data and folder is None:
            outcomes[study.name] = StudyOutcome(study, "skipped", missing_data(study, data))
            continue
        works.append(Work(study, study.settings(**asked), root / study.folder, folder))
    fresh = [work for work in works if not _is_finished(work)]
    with ExitStack() as stack:
        # The earlier results stand where they are until the new ones are whole.
        stages = [stack.enter_context(staged_output(work.folder, besides=(CHUNKS,))) for work in fresh]
        _compute(fresh, jobs, scheduler, progress)
        stored = [_write_tables(work, stage) for work, stage in zip(fresh, stages, strict=True)]
        drawn = _finish([(str(stage), work.study.name) for work, stage in zip(fresh, stages, strict=True)], jobs)
        for work, stage, numbers, shown in zip(fresh, stages, stored, drawn, strict=True):
            _write_manifest(work, stage, {"quick": asked["quick"], **numbers, **shown})
    for work in fresh:
        work.forget()
    for work in works:
        state = "done" if work in fresh else "kept"
        manifest = read_manifest(work.folder)
        seconds = manifest["cpu_seconds"] + manifest.get("draw_seconds", 0.0)
        outcomes[work.study.name] = StudyOutcome(work.study, state, str(manifest["finding"]), seconds)
    skipped = {o.study.name: o.sentence for o in outcomes.values() if o.state == "skipped"}
    write_gallery(root, skipped)
    return tuple(outcomes[study.name] for study in studies)


def redraw_studies(names: Sequence[str], out: str | Path, *, jobs: int = -1) -> tuple[StudyOutcome, ...]:
    """
    Draw the figures and write the findings again, from the tables of finished studies alone.

    Raises
    ------
    InputError
        If none of the studies is finished there.
    """
    root = Path(out)
    finished = [study for study in choose_studies(names) if (root / study.folder / MANIFEST).is_file()]
    if not finished:
        msg = f"There is no finished study in {str(root)!r} to draw again; run it first, without `redraw`."
        raise InputError(msg)
    with held(_make_root(root).resolve() / "studies"), ExitStack() as stack:
        manifests = [read_manifest(root / study.folder) for study in finished]
        stages = [stack.enter_context(staged_output(root / study.folder)) for study in finished]
        for study, manifest, stage in zip(finished, manifests, stages, strict=True):
            for name in manifest["tables"]:
                shutil.copyfile(root / study.folder / name, stage / name)
        drawn = _finish([(str(stage), study.name) for study, stage in zip(finished, stages, strict=True)], jobs)
        for manifest, shown, stage in zip(manifests, drawn, stages, strict=True):
            write_document(stage / MANIFEST, {**manifest, **shown})
    write_gallery(root, {})
    return tuple(StudyOutcome(s, "done", str(read_manifest(root / s.folder)["finding"])) for s in finished)


def find_data(study: Study, data: str | Path | None) -> Path | None:
    """Folder that holds every file of published runs a study reads; None where there is none."""
    if not study.data:
        return None
    if data is not None and not Path(data).is_dir():
        msg = f"There is no directory {str(data)!r}; give `data` the folder with {' and '.join(study.data)}."
        raise InputError(msg)
    folder = Path(data) if data is not None else cache_folder()
    return folder.resolve() if all(has_file(folder, name) for name in study.data) else None


def missing_data(study: Study, data: str | Path | None) -> str:
    """Say which published runs are missing and how to get them."""
    where = f"in {str(data)!r}" if data is not None else "among the fetched sets"
    files, names = " and ".join(study.data), " ".join(FETCHED[name] for name in study.data)
    return (
        f"Skipped: {files} not found {where}; run lawful datasets fetch {names}, "
        f"or name the folder that holds it by `data`."
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """
    Return what a finished study says about itself.

    Raises
    ------
    InputError
        If its manifest is missing, damaged, or not as it was written.
    """
    path = folder / MANIFEST
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        document = None
    if document is None or mismatch(document, "study-1") or not is_sealed(document):
        msg = f"The manifest {str(path)!r} was changed or damaged; run the study again, which writes it anew."
        raise InputError(msg)
    return dict(document)


def _make_root(root: Path) -> Path:
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not os.access(root, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        msg = f"Cannot write to {str(root)!r} ({reason}); choose another directory."
        raise OutputError(msg) from None
    check_gallery(root)
    return root


def _is_finished(work: Work) -> bool:
    """Whether the folder holds the tables of exactly these settings, unchanged."""
    try:
        manifest = read_manifest(work.folder)
        if manifest["fingerprint"] != work.fingerprint:
            return False
        return all(file_hash(work.folder / name) == digest for name, digest in manifest["tables"].items())
    except (OSError, InputError):
        return False


def _compute(works: Sequence[Work], jobs: int, scheduler: str | None, progress: ChunkProgress | None) -> None:
    """Compute what is missing; every chunk is kept as soon as it ends."""
    from joblib import Parallel, delayed

    by_name = {work.study.name: work for work in works}
    todo = [(work, index) for work in works for index in work.missing()]
    total = sum(len(work.tasks) for work in works)
    done = total - len(todo)
    if not todo:
        return
    calls = (delayed(run_chunk)(w.study.name, i, w.inputs, w.tasks[i]) for w, i in todo)
    with _workers(jobs, scheduler) as options:
        # One task per batch and no more in flight than needed: a stop loses the current chunks only.
        for name, index, chunk in Parallel(return_as="generator_unordered", batch_size=1, **options)(calls):
            by_name[name].store(index, chunk)
            done += 1
            if progress is not None:
                progress(done, total, name)


@contextmanager
def _workers(jobs: int, scheduler: str | None) -> Iterator[dict[str, Any]]:
    """Local worker processes, or those of a Dask cluster."""
    if scheduler is None:
        yield {"n_jobs": jobs, "backend": "loky"}
        return
    try:
        from distributed import Client  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        msg = "`scheduler` needs Dask, which is not installed; run pip install 'lawful[dask]'."
        raise UnsupportedError(msg) from None
    from joblib import parallel_config

    try:
        client = Client(scheduler, timeout=10)  # type: ignore[no-untyped-call,unused-ignore]
    except (OSError, ValueError) as error:
        msg = f"No Dask scheduler answers at {scheduler!r} ({type(error).__name__}); give the address it printed, tcp://HOST:8786."
        raise UnsupportedError(msg) from None
    with client, parallel_config(backend="dask", wait_for_workers_timeout=60):
        yield {}


def _write_tables(work: Work, stage: Path) -> dict[str, Any]:
    """Write the tables of a computed study; return their hashes and the seconds they took."""
    tables, seconds = work.collect()
    for name, table in tables.items():
        write_atomic(stage / f"{name}.csv", table.to_csv())
    wall = seconds.pop("wall")
    return {
        "tables": {f"{name}.csv": file_hash(stage / f"{name}.csv") for name in tables},
        "wall_seconds": round(wall, 3),
        "cpu_seconds": round(sum(seconds.values()), 3),
        "cpu_seconds_by_method": {method: round(value, 3) for method, value in seconds.items()},
    }


def _write_manifest(work: Work, stage: Path, content: Mapping[str, Any]) -> None:
    """Write the manifest, last: its presence says that the study is whole."""
    document = {
        "schema": SCHEMA,
        "study": work.study.name,
        "number": work.study.number,
        "question": work.study.question,
        "config": dict(work.config),
        "data": work.data_hashes,
        "versions": versions(),
        "fingerprint": work.fingerprint,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        **content,
    }
    write_document(stage / MANIFEST, document)


def _finish(folders: Sequence[tuple[str, str]], jobs: int) -> list[dict[str, Any]]:
    """Draw and describe finished studies, several at a time."""
    from joblib import Parallel, delayed

    if not folders:
        return []
    return list(Parallel(n_jobs=jobs, backend="loky", batch_size=1)(delayed(describe)(*pair) for pair in folders))


def describe(folder: str, name: str) -> dict[str, Any]:
    """Write figures, ``findings.md`` and ``published.csv`` from the tables in a folder; return what to list."""
    from lawful.show.figures.axes import drawing, save_figure

    study, target, start = find_study(name), Path(folder), time.process_time()
    tables = tables_in(target)
    with drawing(salt=f"lawful-{name}"):
        figures = study.draw(tables)
    for stem, figure in figures.items():
        save_figure(figure, target / f"{stem}.png")
        # The panels have found their places; to look for them again would take as long as drawing.
        figure.set_layout_engine("none")
        save_figure(figure, target / f"{stem}.svg")
    sentences = study.findings(tables)
    write_atomic(target / "findings.md", findings_text(study, sentences))
    compared = study.published(tables)
    (target / PUBLISHED).unlink(missing_ok=True)
    if compared:
        write_atomic(target / PUBLISHED, comparison_table(compared).to_csv())
    spent = round(time.process_time() - start, 3)
    return {"finding": sentences[0], "figures": list(figures), "published": bool(compared), "draw_seconds": spent}


PUBLISHED = "published.csv"


def tables_in(folder: Path) -> Tables:
    """Tables in a study's folder; figures and findings come from these alone."""
    return {p.stem: Table.read_csv(p) for p in sorted(folder.glob("*.csv")) if p.name != PUBLISHED}


def findings_text(study: Study, sentences: Sequence[str]) -> str:
    """Return the findings as Markdown: the question, the answer, and the details."""
    first, *more = sentences
    lines = [f"# Study {study.number}: {study.name}", "", f"*{study.question}*", "", f"**{first}**", ""]
    return "\n".join([*lines, *(f"- {sentence}" for sentence in more)]).rstrip() + "\n"
