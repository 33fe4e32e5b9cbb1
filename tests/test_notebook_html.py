"""Results in notebooks: one table each, golden, that says what the text says and runs nothing a user wrote."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import numpy as np
import pytest

import lawful
from lawful.analysis.analysis import Analysis
from lawful.core.notes import Note, Status
from lawful.core.numbers import format_count
from lawful.core.objective import Objective
from lawful.core.render import html
from lawful.core.sheet import Sheet, row
from lawful.data.runs import Runs
from lawful.decide.allocate import Allocation
from lawful.decide.deadweight import Deadweight
from lawful.decide.indifference import Indifference
from lawful.estimate.result import Fit
from lawful.forecasting.forecast import score
from lawful.laws.surface import Surface
from lawful.trust.dial import AsymptoteDial
from lawful.uncertainty.bootstrap import Draws
from lawful.uncertainty.delta import delta
from lawful.uncertainty.intervals import Intervals
from lawful.uncertainty.profile import Profile

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = "<script>alert(1)</script>"
NOTE = Note("failed_draws", f"A run named {HOSTILE} failed.")


def by_hand() -> Fit:
    """A fit written out by hand, so that no solver can change the golden files."""
    n, c = np.tile([1e8, 2e8, 4e8], 3), np.repeat([1e18, 1e19, 1e20], 3)
    d, surface = c / (6 * n), Surface.named("besiroglu")
    runs = Runs.from_arrays(n, d, surface.loss(n, d) + np.tile([0.002, -0.003, 0.001], 3), C=c)
    value = Objective.squared().of(runs.L - surface.loss(n, d))
    return Fit(surface, "vpnls", Objective.squared(), lawful.VarPro(), runs, value, Status.CONVERGED)


def draws() -> Draws:
    fit, steps = by_hand(), np.linspace(-1, 1, 21)
    coefficients = {name: value * (1 + 0.05 * steps) for name, value in fit.surface.coefficients.items()}
    frontier = {name: value + 0.01 * steps for name, value in fit.frontier.to_dict().items()}
    return Draws(fit, "rows", 0, coefficients, frontier, (NOTE,))


def allocation() -> Allocation:
    # Evenly spread, so that 90% of them lie between 1e20 and 6e20.
    draws = np.linspace(1e20 - 5e20 / 18, 6e20 + 5e20 / 18, 101)
    lost = Deadweight(1e22, "approach2", "vpnls", 1e10, 2e11, 5e9, 3.33e11, 3e20, draws=draws)
    ends = {"params": (4e9, 6e9), "tokens": (3e11, 5e11), "loss": (2.0, 2.1)}
    return Allocation(1e22, 5e9, 3.33e11, 2.05, 66.7, ends, lost)


def profile() -> Profile:
    steps = np.linspace(1.7, 1.9, 5)
    return Profile(
        by_hand(), "E", None, 0.9, 1.8172, (1.77, 1.86), (False, True), steps, np.abs(steps - 1.8), 1.9, 4.0, 1.0
    )


def dial() -> AsymptoteDial:
    e = np.linspace(1.7, 1.9, 5)
    table = {"E": e, "params": 1e10 * e, "tokens": 2e11 / e, "loss": 0.2 + e, "distance": 0 * e, "support": 0 * e + 1}
    return AsymptoteDial(by_hand(), 1e22, table, profile())


CASES = {
    "draws": draws,
    "intervals": lambda: Intervals(by_hand(), "rows", 0.9, draws(), (NOTE,)),
    "allocation": allocation,
    "analysis": lambda: Analysis(by_hand(), draws(), (allocation(),), None, None, (NOTE,), 0.9),
    "profile": profile,
    "dial": dial,
    "indifference": lambda: Indifference(
        1e22, 0.002, "noise", (3e9, 8e9), (2e11, 6e11), (5e9, 3.33e11, 2.05)
    ),
    "checked": lambda: lawful.check({"N": [1e8, 1e8, 2e8], "D": [2e9, 2e9, 1e9], "loss": [3.2, 3.1, float("nan")]}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_table_is_golden(case):
    printed = CASES[case]()._repr_html_() + "\n"
    path = GOLDEN / f"{case}.table.html"
    if os.environ.get("LAWFUL_REGOLD"):
        path.write_text(printed, encoding="utf-8")
    assert printed == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_table_has_a_caption_and_heads_with_a_scope(case):
    html = CASES[case]()._repr_html_()
    assert html.count("<table") == html.count("<caption") >= 1
    assert "<th>" not in html
    assert all("scope=" in head for head in re.findall(r"<th\b[^>]*>", html))
    assert "<script" not in html


def test_every_main_result_has_a_table():
    truth = lawful.Surface.named("chinchilla")
    plan = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=truth)
    runs = lawful.simulate(truth, plan, noise=0.004)
    found = lawful.analyse(runs, budgets=[1e22])
    results = [
        found, found.fit, found.isoflop, found.allocations[0], found.sure, found.fit.profile("alpha"),
        found.fit.bootstrap(20), found.fit.dial(1e22, points=5), lawful.check(runs),
        found.fit.indifference(1e22), lawful.audit(runs, methods=["vpnls"], last=1, draws=0),
        lawful.plan([1e18, 1e19, 1e20], target=1e22, prior=truth, total_flops=1e21),
    ]  # fmt: skip
    for result in results:
        assert result._repr_html_().count("<table") >= 1, type(result)


def test_the_table_of_an_analysis_holds_the_numbers_of_its_text():
    page = CASES["analysis"]()._repr_html_()
    assert "Budget 1e22 FLOPs (C = 6ND)." in page
    assert "<th scope='row' style='text-align: left'>parameters N*</th>" in page
    assert "<td style='text-align: right'>5B</td><td style='text-align: right'>4B to 6B</td>" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_names_that_look_like_html_or_markup_stay_text_on_a_terminal(capsys):
    from lawful.cli.terminal import show

    name = "[bold red]x[/bold red] <script>"
    found = lawful.analyse(dataclasses.replace(by_hand().runs, source=name), draws=0, method="approach2")
    show(found.sheets())
    assert name in " ".join(capsys.readouterr().out.split())


def test_names_in_csv_are_faithful(tmp_path):
    from lawful.show.files.bundle import write_columns

    names = ['<script>alert("1")</script>', "[bold]x[/bold]", "a, b", "two\nlines"]
    write_columns(tmp_path / "names.csv", {"name": np.array(names)})
    import csv

    with (tmp_path / "names.csv").open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == names


def _sweep() -> tuple[Surface, Runs]:
    truth = lawful.Surface.named("chinchilla")
    plan = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=truth)
    return truth, lawful.simulate(truth, plan, noise=0.01, seed=1)


def _small_results() -> dict[str, tuple[object, tuple[str, ...]]]:
    """A result of every small record, and what its table must say."""
    truth, runs = _sweep()
    fit = lawful.fit(runs)
    (made,) = fit.forecast([1e22])
    return {
        "LackOfFit": (fit.lack_of_fit(), ("runs with a replicate", "probability, residuals across budgets")),
        "Forecast": (made, ("loss", "90% prediction", format_count(made.params))),
        "Score": (score(made, 2.0), ("measured", "inside the interval", "Loss at 1e22 FLOPs")),
        "Deadweight": (
            lawful.deadweight(fit, lawful.fit_isoflop(runs), 1e24, draws=50),
            ("share of the budget", "90% interval", "at 1e24 FLOPs"),
        ),
        "Delta": (delta(fit), ("alpha", "90% interval")),
        "Coverage": (fit.coverage(repeats=10, draws=0), ("profile", "Monte Carlo error", "Median width")),
        "Conventions": (lawful.conventions(runs, budgets=[1e22]), ("1 way to count", "at 1e22 FLOPs")),
        "Bias": (lawful.bias(truth, runs), ("width", "in all", "1e18", "D*.")),
    }


def test_small_results_show_a_table_too() -> None:
    for name, (found, wanted) in _small_results().items():
        page = found._repr_html_()
        assert page.count("<table") >= 1, name
        assert type(found).__name__ == name
        for text in wanted:
            assert text in page, (name, text)


def test_a_small_record_escapes_what_a_user_wrote() -> None:
    page = html(Sheet(HOSTILE, (HOSTILE,), ("", HOSTILE), (row(HOSTILE, HOSTILE),), "", (HOSTILE,), (NOTE,)))
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") == 7
