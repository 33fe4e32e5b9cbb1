"""``lawful forecast``: say the loss of a run before it exists, and score it later."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.splice import Omit
from lawful.cli.terminal import print_document, show
from lawful.errors import UnsupportedError

Source = Annotated[
    str,
    typer.Argument(
        metavar="FIT.json|RESULT|LEDGER",
        help="A saved fit; with --score a table of the runs that came, with --verify a ledger.",
    ),
]
Params = Annotated[str | None, typer.Option("--params", metavar="N", help="Size of another run, with --tokens.")]
Tokens = Annotated[str | None, typer.Option("--tokens", metavar="D", help="Tokens of another run, with --params.")]
LedgerFile = Annotated[Path, typer.Option("--ledger", metavar="FILE", help="Where forecasts are kept.")]
ScoreFile = Annotated[
    Path | None, typer.Option("--score", metavar="LEDGER", help="Score the forecasts of this ledger instead.")
]
Verify = Annotated[
    bool, typer.Option("--verify", help="Check that no line of a ledger, given in place of a fit, was changed.")
]
Seal = Annotated[
    str | None, typer.Option("--seal", metavar="HASH", help="With --verify: a seal that the ledger must still hold.")
]


def forecast(
    source: Source,
    *,
    budget: o.Budgets = None,
    params: Params = None,
    tokens: Tokens = None,
    ledger: LedgerFile = Path("forecasts.jsonl"),
    score: ScoreFile = None,
    verify: Verify = False,
    seal: Seal = None,
    reading: Annotated[o.Reading, Omit("weights", "check")],
    sampling: Annotated[o.Sampling, Omit("draws", "intervals", "cluster", "seed", "yes")],
    json: o.Json = False,
) -> None:
    """
    Write down what a run will reach before it exists; score the forecast when it does.

    A fit by method auto forecasts by its average of laws. Fits of every method forecast compute-optimal runs;
    approach1 and approach2 take the loss from a curve in compute through the optima of their budgets (4 at least)
    and say nothing about runs of other --params and --tokens.

    \b
    Examples:
      lawful forecast result/fit.json --budget 1e22,1e23
      lawful forecast result/fit.json --params 7e9 --tokens 2e12 --ledger ours.jsonl
      lawful forecast --score ours.jsonl new-runs.csv
      lawful forecast --verify ours.jsonl
    """
    if seal is not None and not verify:
        msg = "--seal is looked for in a ledger; give --verify too, or leave it out."
        raise UnsupportedError(msg)
    if verify:
        if budget or params or tokens or score is not None:
            msg = "--verify reads the ledger alone; leave --budget, --params, --tokens and --score out."
            raise UnsupportedError(msg)
        reading.needs_table("--score")
        _verify(source, seal, as_json=json)
        return
    if score is not None:
        if budget or params or tokens:
            msg = "--score reads what was forecast from the ledger; leave --budget, --params and --tokens out."
            raise UnsupportedError(msg)
        _score(score, source, reading, as_json=json)
        return
    reading.needs_table("--score")
    if (params is None) != (tokens is None):
        msg = "A run has parameters and tokens; give --params and --tokens together."
        raise UnsupportedError(msg)
    budgets = values.parse_budgets(budget)
    points = []
    if params is not None and tokens is not None:
        points.append((values.parse_positive("--params", params), values.parse_positive("--tokens", tokens)))
    from lawful.forecasting.averaged import averaged_forecasts
    from lawful.forecasting.forecast import forecast as make
    from lawful.show.choices import with_verdict
    from lawful.show.files.artifact import load
    from lawful.show.ledger import append_entry, entry_of, entry_sheet
    from lawful.trust.verdict import judged_told

    analysis = load(source, budgets=())
    fit, average = analysis.fit, analysis.average
    judged = None
    if average is None or not (budgets or points):
        judged = judged_told(fit, budgets)
        made, forecaster = make(fit, budgets, points=points, level=sampling.level), fit.method
    else:
        made, forecaster = averaged_forecasts(average.ensemble, budgets, points, sampling.level), "auto"
    entry = append_entry(ledger, entry_of(fit, made, forecaster=forecaster))
    if json:
        print_document(entry)
        return
    sheets = [entry_sheet(entry, made)]
    sheets = sheets if judged is None else with_verdict(sheets, judged, fit.runs.notes)
    show([*sheets, f"Added to {ledger} with the seal {entry['sha256'][:16]}"])


def _score(ledger: Path, result: str, reading: o.Reading, *, as_json: bool) -> None:
    from lawful.show.ledger import open_ledger, score_document, score_ledger, score_sheet

    found = open_ledger(ledger)
    laws = {str(entry["law"]) for entry in found.entries}
    runs = (reading.for_law(laws.pop()) if len(laws) == 1 else reading).read(result)
    rows = score_ledger(found.entries, runs)
    if as_json:
        print_document({**score_document(rows, runs), "remark": found.remark or None})
        return
    show([score_sheet(rows, runs), *([found.remark] if found.remark else [])])


def _verify(ledger: str, seal: str | None, *, as_json: bool) -> None:
    from lawful.show.ledger import verify_document, verify_sheet

    found = verify_document(ledger, seal)
    if as_json:
        print_document(found)
        return
    show([verify_sheet(found)])
