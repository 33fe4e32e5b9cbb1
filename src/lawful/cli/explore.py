"""``lawful explore``: one page on which a sweep is turned by sliders."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.splice import Omit, Preset
from lawful.cli.terminal import print_document, show

Given = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUNS|FIT.json]",
        help="Open with these runs, to choose among them; or with the law and grid of a fit.json of lawful fit --out.",
    ),
]
Page = Annotated[
    Path, typer.Option("--out", metavar="FILE.html", help="Write the page here.", rich_help_panel=o.OUTPUT)
]


def explore(
    given: Given = None,
    *,
    budget: o.Budget = None,
    reading: Annotated[o.Reading, Omit("weights", "group_by")],
    spending: Annotated[o.Spending, Preset(gpu="h100"), Omit("sparse")],
    out: Page = Path("explorer.html"),
    json: o.Json = False,
) -> None:
    """
    Write a page that answers at once: your runs, fitted while you choose among them, or a law and its sweep on sliders.

    One file, no server and no network; open it in a browser. A CSV can be dropped on it as well.

    \b
    Examples:
      lawful explore
      lawful explore runs.csv --budget 3.8e25
      lawful explore runs.csv --select experiment=llama_3 --out ours.html
      lawful explore result/fit.json --out ours.html
      lawful explore result/fit.json --budget 3.8e25 --gpu h100 --price 2.5
    """
    cost = spending.cost()
    target = None if budget is None else values.parse_budget("--budget", budget, cost=cost)
    from lawful.estimate.result import ONE_LAW_PLANNED
    from lawful.show.explorer import check_fit, check_page, explorer_html, saved_target, write_page
    from lawful.show.speedup import by_one_law

    check_page(out)
    found: Any = None
    words, auto = None, False
    if given is not None and given.lower().endswith(".json"):
        from lawful.show.files.artifact import load

        reading.needs_table("RUNS")
        analysis = load(given, budgets=())
        found, auto = check_fit(analysis.fit), analysis.average is not None
        target = saved_target(given) if target is None else target
    elif given is not None:
        found = reading.read(given)
        words = [given, *reading.arguments()]
    write_page(out, explorer_html(found, target=target, cost=cost, arguments=words))
    if json:
        document = {"schema": "lawful.explore/1", "out": str(out), "fit": given}
        print_document(by_one_law(document, auto=auto, why=ONE_LAW_PLANNED))
        return
    from rich.text import Text

    said = [ONE_LAW_PLANNED] if auto else []
    show([Text(f"Wrote {out}: open it in a browser, it needs no server and no network."), *said])
