"""Printed forms: golden text and HTML, and digits that follow the uncertainty."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import lawful
from lawful.core.notes import Note, Status
from lawful.core.objective import Objective
from lawful.data.runs import Runs
from lawful.design.plan import plan_isoflop, simulate, study_surface
from lawful.estimate.result import Fit, Frontier, FrontierFit
from lawful.laws.surface import Surface
from lawful.show.printing import rounded, standard_errors

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
FORMS = {"repr.txt": repr, "text.txt": str, "table.html": lambda fit: fit._repr_html_()}


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
    ("value", "error", "expected"),
    [
        (0.604713, 0.0213, ("0.605", "0.021")),
        (155.114, 61.0, ("155", "61")),
        (2085.43, 1290.0, ("2100", "1300")),
        (0.31, 0.0996, ("0.31", "0.10")),
        (-1.07, 0.3, ("-1.07", "0.30")),
        (0.348, None, ("0.348", "")),
        (1234567.0, None, ("1.235e+06", "")),
        (0.34, 1e-12, ("0.340000", "1.0e-12")),
        (406.4, 0.0, ("406.4", "")),
        (406.4, float("nan"), ("406.4", "")),
        (float("nan"), 0.1, ("none", "")),
        (float("-inf"), None, ("none", "")),
        (0.0, 0.2, ("0.00", "0.20")),
    ],
)
def test_digits_follow_the_uncertainty(value, error, expected):
    assert rounded(value, error) == expected


@pytest.mark.parametrize("objective", [Objective.squared(), Objective.log_squared()], ids=str)
def test_standard_errors_match_the_spread_of_refits(objective):
    truth = study_surface("chinchilla")
    plan = plan_isoflop([1e18, 1e19, 1e20, 1e21], 15, surface=truth)
    solver = lawful.Joint() if objective.is_log else lawful.VarPro()
    fits = [
        lawful.fit(simulate(truth, plan, noise=0.01, seed=seed), objective=objective, solver=solver)
        for seed in range(120)
    ]
    for name in ("E", "alpha", "beta"):
        spread = np.std([fit.surface[name] for fit in fits])
        claimed = np.median([standard_errors(fit)[name] for fit in fits])
        # 120 refits know their spread to 6.5%; the sandwich is a little small with 60 runs.
        assert claimed == pytest.approx(spread, rel=0.2), name


def test_huber_errors_are_those_of_squares_where_every_run_is_an_inlier():
    squared, huber = standard_errors(surface_fit()), standard_errors(surface_fit(objective=Objective.huber(1.0)))
    assert huber == pytest.approx(squared, rel=1e-9)


def test_pinned_and_zero_coefficients_have_no_error():
    fit = surface_fit(fixed={"E": 1.8172})
    assert set(standard_errors(fit)) == {"A", "B", "alpha", "beta"}
    zero = {**fit.surface.coefficients, "A": 0.0}
    without = surface_fit(fixed={"alpha": 0.3478})
    object.__setattr__(without, "surface", Surface(zero))
    assert set(standard_errors(without)) == {"E", "B", "beta"}


def test_too_few_runs_have_no_error():
    fit = surface_fit()
    object.__setattr__(fit, "runs", fit.runs.take(np.arange(5)))
    assert standard_errors(fit) == {}
    assert "std. error" in str(fit)
