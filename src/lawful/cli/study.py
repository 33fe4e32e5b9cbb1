"""``lawful study``: the published studies of Approach 2, run, resumed and shown."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lawful.cli import options as o
from lawful.cli.splice import VerbCommand
from lawful.cli.terminal import console, print_document, said, show

if TYPE_CHECKING:  # NumPy and joblib are loaded by the command, not by --help
    from lawful.studies.runner import ChunkProgress

study = typer.Typer(no_args_is_help=True, help="Run the published studies of Approach 2, and ours.")

Names = Annotated[list[str], typer.Argument(metavar="NAME... | all", help="Studies by name or number, or all.")]
StudyOut = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Where the studies go; a stopped run goes on there.")
]
Quick = Annotated[bool, typer.Option("--quick", help="Run the quick twins.")]
Jobs = Annotated[int, typer.Option("--jobs", metavar="N", help="Worker processes; -1 for one per core.")]
StudySeed = Annotated[
    int,
    typer.Option(
        "--seed", metavar="S", help="Seed of the random draws; 42 is that of the published figures of studies 7 and 9."
    ),
]
Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Folder of published runs.")]
Redraw = Annotated[bool, typer.Option("--redraw", help="Draw figures and findings again, from the tables alone.")]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", metavar="tcp://HOST:PORT", help="Dask scheduler that hands out the chunks.")
]


@study.command("list", cls=VerbCommand)
def list_studies(json: o.Json = False) -> None:
    """
    List the studies with what they ask.

    \b
    Examples:
      lawful study list
      lawful study list --json
    """
    from rich.table import Table

    from lawful.studies.study import LONG, all_studies

    if json:
        listed = [
            {"number": one.number, "name": one.name, "question": one.question, "data": list(one.data)}
            for one in all_studies()
        ]
        print_document({"schema": "lawful.studies/1", "studies": listed})
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("", "name", "question", "reads"):
        table.add_column(head, justify="right" if head == "" else "left", no_wrap=head == "name", overflow="fold")
    for one in all_studies():
        remark = " (about an hour; not part of all)" if one.name in LONG else ""
        table.add_row(str(one.number), one.name, one.question + remark, ", ".join(one.data))
    show([table])


@study.command("run", cls=VerbCommand)
def run(
    names: Names,
    out: StudyOut,
    quick: Quick = False,
    jobs: Jobs = -1,
    seed: StudySeed = 42,
    data: Data = None,
    redraw: Redraw = False,
    scheduler: Scheduler = None,
    json: o.Json = False,
) -> None:
    """
    Run studies: tables, figures, findings and a gallery. The same command goes on where a stopped run ended.

    \b
    Examples:
      lawful study run all --out studies --data data
      lawful study run analytical_error 10 --out studies
      lawful study run all --out studies --quick
      lawful study run all --out studies --redraw
    """
    from lawful.errors import UnsupportedError
    from lawful.studies.runner import redraw_studies, run_studies

    start = time.perf_counter()
    if seed < 0:
        msg = f"--seed is a whole number of at least 0, got {seed}."
        raise UnsupportedError(msg)
    if redraw:
        outcomes = redraw_studies(names, out, jobs=jobs)
    else:
        with _progress(quiet=json) as tell:
            outcomes = run_studies(
                names, out, quick=quick, jobs=jobs, seed=seed, data=data, scheduler=scheduler, progress=tell
            )
    gallery = str((out / "index.html").resolve())
    if json:
        told = [{"number": one.study.number, "name": one.study.name, "outcome": one.sentence} for one in outcomes]
        print_document({"schema": "lawful.study-run/1", "studies": told, "gallery": gallery})
        return
    printer = console()
    for one in outcomes:
        spent = f" ({one.seconds:.1f} s of CPU)" if one.state == "done" and not redraw else ""
        # Soft: only the terminal itself wraps, so that piped lines stay whole.
        printer.print(said(f"{one.study.number:2d} {one.study.name}: {one.sentence}{spent}"), soft_wrap=True)
    fresh = [one.seconds for one in outcomes if one.state == "done"]
    if len(fresh) > 1 and not redraw:
        took = time.perf_counter() - start
        text = f"\nComputed and drawn in {took:.0f} s, {sum(fresh):.0f} s of CPU in all."
        printer.print(text, soft_wrap=True, markup=False)
    printer.print(said(f"\nGallery: {gallery}"), soft_wrap=True)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[ChunkProgress | None]:
    """Bar of chunks done on a terminal; nothing where no one watches."""
    import sys

    if quiet or not (sys.stdout.isatty() and sys.stderr.isatty()):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Studies", total=None)

        def tell(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=name)

        yield tell
