"""Both answers where setting runs aside moves the optimum."""

from __future__ import annotations

import re

import numpy as np
import pytest

import lawful
from lawful.analysis.moves import Move, analyse_kept, moves
from lawful.core.numbers import format_count
from lawful.data.runs import Runs
from lawful.design.plan import plan_isoflop, simulate, study_surface

BUDGETS = (1e18, 1e19, 1e20, 1e21)


@pytest.fixture(scope="module")
def clean():
    truth = study_surface("chinchilla")
    return simulate(truth, plan_isoflop(BUDGETS, 9, surface=truth), noise=0.001)


@pytest.fixture(scope="module")
def spoilt(clean):
    """The largest models end far too high, which drags the optimum down."""
    tops = [clean.N[clean.group == g].max() for g in range(clean.budgets.size)]
    largest = np.isin(clean.N, tops)
    return Runs.from_arrays(clean.N, clean.D, clean.L + 0.2 * largest, C=clean.C), ~largest


def test_a_large_move_is_told_with_both_answers(spoilt):
    runs, keep = spoilt
    analysis, (move,) = analyse_kept(runs.take(keep), runs, method="vpnls", draws=0)
    assert move.budget == 1e21
    assert move.is_large
    (note,) = [note for note in analysis.notes if note.code == "check_moved"]
    kept = f"N* at {format_count(move.params_kept)} and D* at {format_count(move.tokens_kept)}"
    expected = (
        f"At 1e21 FLOPs the 32 runs that check kept put {kept}, "
        f"all 36 runs at {format_count(move.params_all)} and {format_count(move.tokens_all)}: N* moves by "
    )
    assert note.message.startswith(expected)
    assert re.fullmatch(r"[+-][\d.]+%\.", note.message.removeprefix(expected))


def test_each_budget_asked_for_is_compared(spoilt):
    runs, keep = spoilt
    analysis, found = analyse_kept(runs.take(keep), runs, method="vpnls", budgets=[1e22, 1e24], draws=0)
    assert [move.budget for move in found] == [1e22, 1e24]
    assert [a.params for a in analysis.allocations] == [move.params_kept for move in found]
    everything = lawful.fit(runs, method="vpnls")
    assert [everything.allocate(c).params for c in (1e22, 1e24)] == [move.params_all for move in found]


def test_a_small_move_is_not_told(clean):
    analysis, (move,) = analyse_kept(clean.take(np.arange(len(clean)) != 5), clean, draws=0)
    assert not move.is_large
    assert "check_moved" not in {note.code for note in analysis.notes}


@pytest.mark.parametrize("method", ["approach1", "approach2", "approach3"])
def test_every_method_has_a_move(clean, method):
    _, found = analyse_kept(clean, clean, method=method, draws=0)
    assert found[0].params_kept == found[0].params_all > 0
    assert not found[0].is_large


def test_runs_that_cannot_be_fitted_together_have_no_move(clean):
    # One budget is enough for a surface but not for Approach 1, which needs several.
    one = clean.take(clean.group == 0)
    _, found = analyse_kept(clean, one, method="approach1", draws=0)
    assert found == ()


@pytest.mark.parametrize(("after", "large"), [(1.04, False), (1.06, True), (0.94, True), (float("nan"), True)])
def test_five_percent_is_the_line(after, large):
    assert Move(1e21, 1.0, 1.0, after, 1.0).is_large is large


def test_without_budgets_the_largest_trained_one_counts(clean):
    fit = lawful.fit(clean)
    assert [move.budget for move in moves(fit, fit)] == [1e21]
