"""The command line as a whole: its verbs, its exit codes, and one sentence per error."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from lawful.cli import (
    audit,
    bench,
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
    look,
    next_run,
    plan,
    report,
    rerun,
    speedup,
    study,
    sureness,
    use,
)
from lawful.cli.process import (
    EXIT_DATA,
    EXIT_INTERRUPTED,
    Stopped,
    close_stdout,
    prepared,
    print_traceback,
    refusal,
)
from lawful.cli.splice import VerbCommand, spliced
from lawful.cli.terminal import print_error
from lawful.errors import LawfulError, UnsupportedError

EXIT_USAGE = 2
EXIT_BUG = 70

START, DECIDE, PLAN, LOOK = "Start here", "Decide", "Plan", "Look closer"

app = typer.Typer(
    name="lawful",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
VERBS: dict[str, tuple[Callable[..., None], ...]] = {
    START: (demo.demo, look.look, fit.fit, check.check, fit.compare),
    DECIDE: (use.allocate, use.predict, forecast.forecast, speedup.deadweight, speedup.speedup),
    PLAN: (plan.plan, next_run.next_),
    LOOK: (
        report.report,
        rerun.rerun,
        explore.explore,
        audit.audit,
        bench.bench,
        coverage.coverage,
        sureness.profile,
        sureness.dial,
        sureness.indifference,
        sureness.lack_of_fit,
        bias.bias,
        conventions.conventions,
        isoflops.isoflops,
    ),
}
"""The verbs as --help groups them, those that a newcomer runs first at the top."""

for _panel, _verbs in VERBS.items():
    for _verb in _verbs:
        app.command(_verb.__name__.strip("_").replace("_", "-"), cls=VerbCommand, rich_help_panel=_panel)(
            spliced(_verb)
        )
app.add_typer(datasets.app, name="datasets", rich_help_panel=LOOK)
app.add_typer(study.study, name="study", rich_help_panel=LOOK)


def _print_version(wanted: bool) -> None:
    if wanted:
        from lawful import __version__
        from lawful.core.build import build_line

        typer.echo(build_line(__version__))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and the build, and exit."
        ),
    ] = False,
) -> None:
    """
    Fit neural scaling laws carefully: training runs in, an honest compute-optimal decision and its cost out.

    \b
    Examples:
      lawful demo
      lawful look runs.csv
      lawful fit runs.csv --budget 3.8e25 --out result
      lawful compare runs.csv --budget 3.8e25
      lawful check runs.csv --out checked
      lawful predict result/fit.json --params 7B --tokens 2T
      lawful allocate result/fit.json --budget 1e24

    Exit codes: 0 fine, 1 the data cannot support the request, 2 usage, 70 a bug of ours, 130 stopped by Ctrl-C.
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
        (with a traceback), 130 interrupted, 128 and its number ended by another signal.
    """
    with prepared():
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
        close_stdout()
        return 0
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return EXIT_INTERRUPTED
    if isinstance(error, Stopped):
        return 128 + error.number
    if describe is not None:
        context = getattr(error, "ctx", None)
        _print_usage(describe(), context)
        return EXIT_USAGE
    refused = refusal(error)
    if refused:
        print_error(refused)
        close_stdout()
        return EXIT_DATA
    print_traceback(error)
    print_error("This is a bug in lawful, not in your data; please report it with the lines above.")
    return EXIT_BUG


def _print_usage(message: str, context: Any) -> None:
    """Say a usage error in one sentence; without arguments at all typer has shown the help already."""
    sentence = message.replace("Value error, ", "").strip().rstrip(".")
    if isinstance(getattr(context, "command", None), VerbCommand):
        sentence = context.command.with_flags(sentence, context)
    if sentence:
        print_error(f"{sentence}; see {'lawful' if context is None else context.command_path} --help.")
