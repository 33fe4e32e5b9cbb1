"""The command line as a whole: its verbs, its exit codes, and one sentence per error."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, TextIO

import typer

from lawful.cli import (
    audit,
    bias,
    check,
    conventions,
    coverage,
    datasets,
    demo,
    explore,
    fit,
    forecast,
    isoflops,
    plan,
    report,
    speedup,
    study,
    use,
)
from lawful.cli.terminal import print_error
from lawful.errors import LawfulError, UnsupportedError

EXIT_DATA = 1
EXIT_USAGE = 2
EXIT_BUG = 70
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="lawful",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("fit")(fit.fit)
app.command("compare")(fit.compare)
app.command("predict")(use.predict)
app.command("allocate")(use.allocate)
app.command("coverage")(coverage.coverage)
app.command("report")(report.report)
app.command("check")(check.check)
app.command("isoflops")(isoflops.isoflops)
app.command("conventions")(conventions.conventions)
app.add_typer(datasets.app, name="datasets")
app.command("bias")(bias.bias)
app.add_typer(study.study, name="study")
app.command("plan")(plan.plan)
app.command("audit")(audit.audit)
app.command("forecast")(forecast.forecast)
app.command("speedup")(speedup.speedup)
app.command("deadweight")(speedup.deadweight)
app.command("explore")(explore.explore)
app.command("demo")(demo.demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        from lawful import __version__

        typer.echo(f"lawful {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """
    Fit neural scaling laws carefully: training runs in, an honest compute-optimal decision and its cost out.

    \b
    Examples:
      lawful demo
      lawful fit runs.csv --budget 3.8e25 --out result
      lawful compare runs.csv --budget 3.8e25
      lawful check runs.csv --out checked
      lawful predict result/fit.json --params 7e9 --tokens 2e12
      lawful allocate result/fit.json --budget 1e24

    Exit codes: 0 fine, 1 the data cannot support the request, 2 usage, 70 a bug of ours.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command line and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        0 fine, 1 the data cannot support the request, 2 usage, 70 a bug of ours
        (with a traceback), 130 interrupted.
    """
    _prepare_streams()
    try:
        code = app(args=None if argv is None else list(argv), prog_name="lawful", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - the outermost door: every way to end gets its exit code
        return _exit_code(error)
    return code if isinstance(code, int) else 0


def _exit_code(error: BaseException) -> int:
    """Say what went wrong, and return the exit code for it."""
    describe = getattr(error, "format_message", None)
    if isinstance(error, LawfulError):
        print_error(str(error))
        return EXIT_USAGE if isinstance(error, UnsupportedError) else EXIT_DATA
    if isinstance(error, (BrokenPipeError, SystemExit)):  # typer itself exits when the reader of a pipe is gone
        return _close_quietly()
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return EXIT_INTERRUPTED
    if describe is not None:
        _print_usage(describe())
        return EXIT_USAGE
    traceback.print_exception(error)
    print_error("This is a bug in lawful, not in your data; please report it with the lines above.")
    return EXIT_BUG


def _print_usage(message: str) -> None:
    """Say a usage error in one sentence; without arguments at all typer has shown the help already."""
    sentence = message.replace("Value error, ", "").strip().rstrip(".")
    if sentence:
        print_error(f"{sentence}; see lawful --help.")


def _prepare_streams() -> None:
    """Odd characters in user data print as escapes, and matplotlib's remarks on its caches stay out of stderr."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def _close_quietly() -> int:
    """End without a word, also when Python flushes at exit: the reader of the pipe has left."""
    stream: TextIO = sys.stdout
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):  # a stream without a file behind it has nothing to flush
        return 0
    return 0
