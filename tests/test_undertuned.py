"""The note on undertuned runs: seldom on noise alone, reliably on runs that ended above their curve."""

from __future__ import annotations

import re

import numpy as np
import pytest

import lawful
from lawful.checks.undertuned import runs_above, undertuned
from lawful.core.notes import Note
from lawful.data.runs import Runs
from lawful.design.plan import plan_isoflop, simulate, study_surface

NOISE = 0.003


def noisy_sweep(seed, points=9, budgets=(1e18, 1e19, 1e20, 1e21)):
    truth = study_surface("chinchilla")
    return simulate(truth, plan_isoflop(budgets, points, surface=truth), noise=NOISE, seed=seed)


def with_excess(runs, index, excess):
    loss = runs.L.copy()
    loss[index] += excess
    return Runs.from_arrays(runs.N, runs.D, loss, C=runs.C)


def test_runs_far_above_their_curve_are_named_with_budget_and_row():
    runs = with_excess(noisy_sweep(1), [4, 20], 0.1)
    (note,) = undertuned(lawful.fit(runs))
    assert note.code == "undertuned"
    assert "2 of 36 runs lie far above" in note.message
    assert "1 at 1e18 FLOPs (row 5), 1 at 1e20 FLOPs (row 21)" in note.message


@pytest.mark.parametrize("points", [7, 9, 15])
def test_a_run_twenty_times_the_noise_above_its_curve_is_nearly_always_found(points):
    found = 0
    for seed in range(40):
        runs = with_excess(noisy_sweep(seed, points), [points // 2], 20 * NOISE)
        found += points // 2 in runs_above(runs, lawful.fit(runs).residuals)
    assert found >= {7: 24, 9: 36, 15: 40}[points]


def test_two_undertuned_runs_do_not_hide_each_other():
    found = 0
    for seed in range(40):
        runs = with_excess(noisy_sweep(seed, 13), [3, 8], 30 * NOISE)
        found += {3, 8} <= set(runs_above(runs, lawful.fit(runs).residuals).tolist())
    assert found >= 36


def test_runs_below_their_curve_are_not_undertuned():
    runs = with_excess(noisy_sweep(2), [4, 20], -0.1)
    assert undertuned(lawful.fit(runs)) == ()


def test_a_budget_with_runs_as_far_below_is_noisy_and_not_undertuned():
    runs = with_excess(noisy_sweep(3, 15), [3, 10, 20], [0.3, -0.3, 0.3])
    (note,) = undertuned(lawful.fit(runs))
    assert "1e18" not in note.message
    assert "1 at 1e19 FLOPs (row 21)" in note.message


def test_a_law_that_bends_too_little_is_no_undertuning():
    runs = noisy_sweep(4)
    x = np.log(runs.N) - np.array([np.log(runs.N[runs.group == g]).mean() for g in runs.group])
    assert runs_above(runs, lawful.fit(noisy_sweep(4)).residuals + 0.1 * x**2).size == 0


@pytest.mark.slow
@pytest.mark.parametrize(("budgets", "points"), [(3, 7), (5, 9), (9, 14)])
def test_gaussian_noise_alone_gives_a_note_in_less_than_one_sweep_in_twenty(budgets, points):
    # Counted in 400 sweeps; the bound of the correction is 5%, and a count of 20 would be that.
    rng = np.random.default_rng(0)
    C = np.repeat(10.0 ** (18 + np.arange(budgets) / 2), points)
    N = np.tile(np.geomspace(1e8, 6.4e9, points), budgets)
    runs = Runs.from_arrays(N, C / (6 * N), np.full(N.size, 3.0), C=C)
    wrong = sum(runs_above(runs, rng.normal(size=N.size)).size > 0 for _ in range(400))
    assert wrong < 20


def test_the_surface_fit_does_not_change_that():
    wrong = sum(undertuned(lawful.fit(noisy_sweep(seed))) != () for seed in range(100))
    assert wrong < 5


@pytest.mark.parametrize("noise", [0.0, 1e-13])
def test_rounding_is_no_noise(noise):
    truth = study_surface("chinchilla")
    runs = simulate(truth, plan_isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=noise)
    residuals = runs.L - truth.loss(runs.N, runs.D)
    assert runs_above(runs, residuals).size == 0


def test_budgets_too_small_to_judge_are_passed_over():
    runs = noisy_sweep(0, 5)
    assert runs_above(runs, np.where(np.arange(len(runs)) == 2, 1.0, 0.0)).size == 0


def test_a_sweep_with_many_such_budgets_names_the_first_five():
    runs = with_excess(noisy_sweep(1, 9, 10.0 ** np.arange(17, 24)), np.arange(7) * 9 + 4, 0.2)
    (note,) = undertuned(lawful.fit(runs))
    assert isinstance(note, Note)
    assert re.search(r"7 of 63 runs lie far above .*\(row 41\) and 2 more budgets", note.message)
