"""The main job in one call: what it is made of, what it says of a far budget, and what it leaves out."""

from __future__ import annotations

import numpy as np
import pytest

import lawful
from lawful.analysis.analysis import Analysis, source_sentence
from lawful.errors import UnsupportedError

TRUTH = lawful.Surface.named("chinchilla")
PLAN = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=TRUTH)


@pytest.fixture(scope="module")
def runs() -> lawful.Runs:
    return lawful.simulate(TRUTH, PLAN, noise=0.003, seed=6)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({}, "profile"),
        ({"draws": 30}, "within-budget"),
        ({"draws": 0}, None),
        ({"draws": 0, "intervals": "rows"}, None),
        ({"draws": 0, "intervals": "delta"}, "delta"),
        ({"intervals": "none"}, None),
        ({"intervals": "wild", "draws": 30}, "wild"),
        ({"method": "approach2", "draws": 30}, "within-budget"),
    ],
    ids=str,
)
def test_where_the_intervals_come_from_is_what_was_asked_for(runs, asked, kind):
    found = lawful.analyse(runs, **asked)
    assert (found.sure and found.sure.kind) == kind
    assert (found.draws is not None) == (kind in ("within-budget", "wild"))
    ends = found.interval("a")
    assert np.isnan(ends).all() if kind is None else ends[0] < ends[1]


@pytest.mark.parametrize(("times", "said"), [(9.9, False), (10.1, True), (50.0, True), (150.0, True)])
def test_a_budget_beyond_ten_times_the_largest_run_is_called_an_extrapolation(runs, times, said):
    budget = times * float(runs.C.max())
    notes = {n.code: n.message for n in lawful.analyse(runs, budgets=[1e20, budget], draws=0).notes}
    assert ("extrapolation" in notes) == said
    if said:
        assert f"is {times:,.0f} times the largest of the runs" in notes["extrapolation"]


def test_one_call_is_the_sum_of_its_parts(runs):
    phrases: list[str] = []
    found = lawful.analyse(runs, budgets=[1e21, 1e22], progress=phrases.append)
    assert phrases == ["fitting", "intervals", "allocating"]
    alone = lawful.fit(runs)
    assert dict(found.fit.coefficients) == dict(alone.coefficients)
    line = lawful.fit_isoflop(runs)
    for one in found.allocations:
        best = alone.optimum(one.budget)
        assert (one.params, one.loss) == pytest.approx((float(best.params), float(best.loss)), rel=1e-12)
        assert one.interval["params"] == pytest.approx(alone.intervals().of("params", budget=one.budget), rel=1e-9)
        lost = one.deadweight
        assert (lost.of, lost.tokens) == (
            "approach2",
            pytest.approx(float(line.frontier.tokens(one.budget)), rel=1e-12),
        )
    again = found.allocate(1e22)
    assert again == found.allocations[1]


def test_a_held_choice_is_priced_against_the_optimum(runs):
    found = lawful.analyse(runs)
    best = found.allocate(1e22)
    held = found.allocate(1e22, params=best.params * 3)
    assert held.deadweight.of == "fixed-params"
    # What the same loss would have cost: the budget less the deadweight, spent at its optimum.
    assert found.fit.optimum(1e22 - held.deadweight.flops).loss == pytest.approx(held.loss, rel=1e-9)
    assert found.allocate(1e22, params=best.params).deadweight.fraction == pytest.approx(0.0, abs=1e-9)


def test_another_level_is_another_interval_of_the_same_fit(runs):
    found = lawful.analyse(runs, level=0.5)
    low, high = found.interval("alpha")
    least, most = found.interval("alpha", level=0.99)
    assert least < low < found.fit.coefficients["alpha"] < high < most
    with pytest.raises(UnsupportedError, match="level"):
        lawful.analyse(runs, level=1.2)


def test_an_analysis_of_nothing_but_a_fit_has_its_notes_and_runs(runs):
    found = lawful.fit(runs, fixed={"E": 1.69})
    bare = Analysis.of(found)
    assert bare.notes == found.notes
    assert bare.runs is found.runs
    assert bare.sure is None
    assert np.isnan(bare.interval("alpha")).all()


def test_the_source_is_said_with_its_runs_and_budgets(runs):
    assert source_sentence(runs).endswith(": 27 runs, 3 budgets (1e18 to 1e20 FLOPs)")
    one = lawful.read_runs({"N": runs.N[:9], "D": runs.D[:9], "loss": runs.L[:9]})
    assert source_sentence(one).endswith(": 9 runs, 1 budget (1e18 FLOPs)")


def test_a_surface_prices_approach_2_where_it_is_the_method(runs):
    found = lawful.analyse(runs, method="approach2", budgets=[1e22], draws=20)
    assert found.isoflop is found.fit
    assert dict(found.truth.coefficients) == dict(lawful.fit(runs).coefficients)
    assert found.allocations[0].loss is None
    assert found.allocations[0].deadweight.flops >= 0
