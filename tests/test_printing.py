"""Printed forms: golden text and HTML, and digits that follow the uncertainty."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lawful
from lawful.core.notes import Note, Status
from lawful.core.numbers import format_uncertain
from lawful.core.objective import Objective
from lawful.core.render import markdown
from lawful.core.sheet import UNCERTAIN, Cell
from lawful.data.runs import Runs
from lawful.estimate.result import Fit, Frontier, FrontierFit
from lawful.laws.surface import Surface
from lawful.show.choices import choices_sheets
from lawful.show.report.decision import decision_sentences

GOLDEN = Path(__file__).parent / "golden"
NOTE = Note("at_bound", "alpha <sits> on its bound & stays.")


def by_hand():
    """Runs written out by hand, so that no solver and no random number can change the golden files."""
    n, c = np.tile([1e8, 2e8, 4e8], 3), np.repeat([1e18, 1e19, 1e20], 3)
    d = c / (6 * n)
    wiggle = np.tile([0.002, -0.003, 0.001], 3) * np.repeat([1.0, -1.0, 2.0], 3)
    return Runs.from_arrays(n, d, Surface.named("besiroglu").loss(n, d) + wiggle, C=c)


def surface_fit(**changes):
    runs, surface = by_hand(), Surface.named("besiroglu")
    objective = changes.pop("objective", Objective.squared())
    value = objective.of(runs.L - surface.loss(runs.N, runs.D))
    defaults = {"method": "vpnls", "solver": lawful.VarPro(), "status": Status.CONVERGED, "notes": (NOTE,)}
    return Fit(surface=surface, objective=objective, runs=runs, value=value, **{**defaults, **changes})


def frontier_fit():
    budgets = np.array([1e18, 1e19, 1e20])
    wiggle = np.array([1.01, 0.98, 1.01])
    params, tokens = 0.1 * budgets**0.49 * wiggle, 1.7 * budgets**0.51 / wiggle
    frontier = Frontier(0.49, 0.51, -1.0, float(np.log10(1.7)))
    return FrontierFit(frontier, "approach2", budgets, params, tokens, by_hand(), notes=(NOTE,))


CASES = {
    "fit": surface_fit,
    "fit_pinned_huber": lambda: surface_fit(objective=Objective.huber(1e-3), fixed={"E": 1.8172}, notes=()),
    "fit_not_converged": lambda: surface_fit(method="approach3", status=Status.NOT_CONVERGED),
    "frontier": frontier_fit,
}
FORMS = {
    "repr.txt": repr,
    "text.txt": str,
    "table.html": lambda fit: fit._repr_html_(),
    "table.md": lambda fit: markdown(*fit.sheets()),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_printed_form_is_golden(case, form):
    printed = FORMS[form](CASES[case]()) + "\n"
    path = GOLDEN / f"{case}.{form}"
    if os.environ.get("LAWFUL_REGOLD"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(printed, encoding="utf-8")
    assert printed == path.read_text(encoding="utf-8")


def test_repr_is_one_line():
    assert all("\n" not in repr(make()) for make in CASES.values())


def test_html_escapes_what_users_wrote():
    html = surface_fit()._repr_html_()
    assert "alpha &lt;sits&gt; on its bound &amp; stays." in html
    assert "<sits>" not in html


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.604713, 0.5834, 0.6260, ("0.605", "0.583", "0.626")),
        (155.114, 94.0, 216.0, ("160", "90", "220")),
        (2085.43, 795.0, 3375.0, ("2090", "795", "3380")),
        (-1.07, -1.37, -0.77, ("-1.07", "-1.37", "-0.77")),
        (0.348, np.nan, np.nan, ("0.3480", "n/a", "n/a")),
        (1234567.0, np.nan, np.nan, ("1.235e6", "n/a", "n/a")),
        (0.34, 0.34 - 1e-12, 0.34 + 1e-12, ("0.340000", "0.340000", "0.340000")),
        (np.nan, 0.1, 0.2, ("n/a", "0.1000", "0.2000")),
        (0.0, -0.2, 0.2, ("0.00", "-0.20", "0.20")),
        # A number that is not 0 never reads 0, however wide its interval.
        (399.68, 0.0, 6.75e13, ("400", "0", "6.75e13")),
        (3.4e18, -1.4e20, 1.4e20, ("3.4e18", "-1.4e20", "1.4e20")),
        (0.04, -3.0, 3.0, ("0.040", "-3.0", "3.0")),
        # An interval that is open on one side still rounds the estimate.
        (1.7, 1.6, np.inf, ("1.70", "1.60", "n/a")),
    ],
)
def test_digits_follow_the_interval(value, low, high, expected):
    assert format_uncertain(value, low, high) == expected


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.floats(-1e30, 1e30).filter(lambda x: abs(x) > 1e-30),
    st.floats(0, 1e40),
    st.floats(0, 1e40),
    st.sampled_from([*UNCERTAIN, "count", "flops", "ratio", "share"]),
)
def test_a_value_that_is_not_zero_never_reads_zero(value, below, above, kind):
    cell = Cell(value, kind, value - below, value + above)
    assert re.search("[1-9]", cell.text), cell


def test_a_fit_that_did_not_converge_shows_no_interval():
    assert "interval" not in str(CASES["fit_not_converged"]())
    assert "90% interval" in str(surface_fit())


def test_too_few_runs_have_no_interval():
    fit = surface_fit()
    object.__setattr__(fit, "runs", fit.runs.take(np.arange(5)))
    assert "alpha" in str(fit)
    assert "nan" not in str(fit)


DOUBTFUL = {
    "dataset": (["web", "books"], ["web", "web"], "several experiments were fitted as one"),
    "progress": ([0.97, 1.0], [1.0, 1.0], "rows look like checkpoints of unfinished runs"),
}


@pytest.mark.parametrize("method", ["auto", "vpnls", "approach2"])
@pytest.mark.parametrize("column", DOUBTFUL)
def test_the_first_line_carries_the_doubt(column, method):
    doubtful, sound, words = DOUBTFUL[column]
    truth = Surface.named("besiroglu")
    plan = lawful.Plan.isoflop(np.geomspace(1e18, 1e20, 4), 6, surface=truth)
    runs = lawful.simulate(truth, plan, noise=0.003)
    table = {"N": runs.N, "D": runs.D, "L": runs.L}
    for values, said in ((doubtful, True), (sound, False)):
        given = lawful.read_runs({**table, column: values * 12})
        for budgets in ([], [1e22]):
            analysis = lawful.analyse(given, method=method, budgets=budgets)
            first = str(analysis).split("\n")[0]
            assert (words in first) == said, first
            assert ("oubtful" in decision_sentences(analysis)[0]) == said
        assert (words in str(lawful.fit(given, method=method)).split("\n")[0]) == said


def test_a_choice_by_the_average_carries_the_doubt():
    plan = lawful.Plan.isoflop(np.geomspace(1e18, 1e20, 4), 6, surface=Surface.named("besiroglu"))
    runs = lawful.simulate(Surface.named("besiroglu"), plan, noise=0.003)
    table = {"N": runs.N, "D": runs.D, "L": runs.L, "dataset": ["web", "books"] * 12}
    analysis = lawful.analyse(lawful.read_runs(table), budgets=[1e22])
    made = choices_sheets(analysis, analysis.allocations, [], level=0.9, cost=None, count=1)
    assert made[0].title.startswith("Doubtful: several experiments were fitted as one. At 1e22 FLOPs")
