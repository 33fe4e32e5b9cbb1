"""``lawful explore``: one page on which a sweep is turned by sliders."""

# ruff: noqa: D301 - typer reads a verb's flags off its signature and its help off its docstring

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lawful.cli import options as o
from lawful.cli import values
from lawful.cli.splice import Preset, Without
from lawful.cli.terminal import print_document, show

SomeFit = Annotated[
    str | None,
    typer.Argument(metavar="[FIT.json]", help="Open with this law and grid; a fit.json of lawful fit --out."),
]
Page = Annotated[
    Path, typer.Option("--out", metavar="FILE.html", help="Write the page here.", rich_help_panel=o.OUTPUT)
]


def explore(
    fit: SomeFit = None,
    *,
    budget: o.Budget = None,
    spending: Annotated[o.Spending, Preset(gpu="h100"), Without("sparse")],
    out: Page = Path("explorer.html"),
    json: o.Json = False,
) -> None:
    """
    Write a page with sliders: turn a law and its sweep, and see what a parabola makes of it.

    One file, no server and no network; open it in a browser.

    \b
    Examples:
      lawful explore
      lawful explore result/fit.json --out ours.html
      lawful explore result/fit.json --budget 3.8e25 --gpu h100 --price 2.5
    """
    cost = spending.cost()
    target = None if budget is None else values.parse_budget("--budget", budget, cost=cost)
    from lawful.estimate.result import ONE_LAW_PLANNED
    from lawful.show.explorer import check_fit, check_page, explorer_html, saved_target, write_page
    from lawful.show.files.artifact import load
    from lawful.show.speedup import by_one_law

    check_page(out)
    found, auto = None, False
    if fit is not None:
        analysis = load(fit, budgets=())
        found, auto = check_fit(analysis.fit), analysis.average is not None
        target = saved_target(fit) if target is None else target
    write_page(out, explorer_html(found, target=target, cost=cost))
    if json:
        document = {"schema": "lawful.explore/1", "out": str(out), "fit": fit}
        print_document(by_one_law(document, auto=auto, why=ONE_LAW_PLANNED))
        return
    from rich.text import Text

    said = [ONE_LAW_PLANNED] if auto else []
    show([Text(f"Wrote {out}: open it in a browser, it needs no server and no network."), *said])
