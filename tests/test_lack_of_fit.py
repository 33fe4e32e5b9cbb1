"""Lack of fit against a textbook F test, and its calibration."""

from __future__ import annotations

import numpy as np
import pytest

import lawful
from lawful.errors import UnsupportedError
from lawful.trust.fitness import replicate_groups

TRUTH = lawful.Surface.named("chinchilla")
PLAN = lawful.Plan.isoflop([1e18, 1e19, 1e20], 6, surface=TRUTH)


def replicated(seed, bend=0.0, times=2):
    n, d = np.tile(PLAN.N, times), np.tile(PLAN.D, times)
    mean = TRUTH.loss(n, d) + bend * np.cos(2 * np.log(d / n))
    losses = mean + 0.01 * np.random.default_rng(seed).standard_normal(n.size)
    return lawful.Runs.from_arrays(n, d, losses, C=np.tile(PLAN.C, times))


def test_f_is_the_textbook_one():
    from scipy import stats

    runs = replicated(0)
    found = lawful.fit(runs)
    test = found.lack_of_fit()
    pair = runs.L.reshape(2, -1)
    pure = float(((pair - pair.mean(axis=0)) ** 2).sum())
    lack = found.rss - pure
    f = (lack / (18 - 5)) / (pure / 18)
    assert test.replicates == 36
    assert test.freedom == (13, 18)
    assert test.f == pytest.approx(f, rel=1e-6)
    assert test.p_replicates == pytest.approx(stats.f.sf(f, 13, 18), rel=1e-6)
    assert test.pure_error == pytest.approx(np.sqrt(pure / 18), rel=1e-9)


def test_both_probabilities_are_uniform_where_the_law_is_right():
    tests = [lawful.fit(replicated(seed)).lack_of_fit(seed=seed) for seed in range(120)]
    for name in ("p_replicates", "p_budgets"):
        p = np.array([getattr(t, name) for t in tests])
        assert np.mean(p < 0.2) == pytest.approx(0.2, abs=0.12), name
        assert np.mean(p < 0.5) == pytest.approx(0.5, abs=0.15), name


def test_a_wrong_law_is_refused_with_a_note():
    found = lawful.fit(replicated(0, bend=0.03)).lack_of_fit()
    assert found.p_replicates < 1e-4
    assert {note.code for note in found.notes} == {"lack_of_fit"}
    assert "Replicates refuse the law" in found.notes[0].message


def test_residuals_that_differ_between_budgets_are_noted():
    plan = lawful.Plan.isoflop([1e17, 1e18, 1e19, 1e20, 1e21], 9, surface=TRUTH)
    shift = 0.02 * np.array([1, -1, 1, -1, 1]).repeat(9)
    losses = TRUTH.loss(plan.N, plan.D) + shift + 0.005 * np.random.default_rng(0).standard_normal(45)
    found = lawful.fit(lawful.Runs.from_arrays(plan.N, plan.D, losses, C=plan.C)).lack_of_fit()
    assert found.replicates == 0
    assert found.f is None
    assert found.p_budgets < 0.01
    assert "differ between budgets" in found.notes[0].message


def test_replicates_agree_to_nine_digits():
    n = np.array([1e9, 1e9 * (1 + 1e-12), 1e9 * (1 + 1e-6), 1e9])
    d = np.array([2e10, 2e10, 2e10, 3e10])
    label = replicate_groups(n, d)
    assert label[0] == label[1]
    assert len(set(label.tolist())) == 3


def test_a_frontier_is_refused():
    with pytest.raises(UnsupportedError, match="approach2 has no surface"):
        lawful.fit_isoflop(replicated(0)).lack_of_fit()


def curves(seed, power=1.0, runs=15, per=12):
    """Checkpoints of runs that each stray by an error of their own, under a power of the sum of the terms."""
    rng = np.random.default_rng([seed, 8])
    run = np.repeat(np.arange(runs), per)
    N = 10 ** rng.uniform(7.5, 9.5, runs)
    n = N[run]
    d = (15 * N * 10 ** rng.uniform(-0.6, 0.6, runs))[run] * np.tile(np.arange(1, per + 1) / per, runs)
    k = TRUTH.coefficients
    terms = (k["A"] / n ** k["alpha"]) ** (1 / power) + (k["B"] / d ** k["beta"]) ** (1 / power)
    stray = 0.004 * rng.standard_normal(runs)[run] + 0.002 * rng.standard_normal(run.size)
    loss = (k["E"] + terms**power) * np.exp(stray)
    return {"run": [f"r{i}" for i in run], "params": n, "tokens": d, "loss": loss}


def test_rows_of_one_run_that_stray_together_refuse_no_law():
    tests = [lawful.fit(curves(seed), method="vpnls").lack_of_fit() for seed in range(12)]
    assert sum(test.refused for test in tests) <= 1
    assert all(test.p_replicates is None for test in tests)
    assert all(test.p_budgets is None for test in tests)
    assert all(lawful.fit(curves(seed), method="vpnls").lack_of_fit(cluster="none").refused for seed in range(3))


def test_a_wrong_law_is_refused_by_what_runs_say_together():
    assert all(lawful.fit(curves(seed, 0.5), method="vpnls").lack_of_fit().refused for seed in range(4))


def test_seeds_that_one_name_joins_are_no_curve():
    runs = replicated(0)
    cell = [f"cell{i}" for i in replicate_groups(runs.N, runs.D)]
    table = {"run": cell, "params": runs.N, "tokens": runs.D, "budget": runs.C, "loss": runs.L}
    assert lawful.fit(table).lack_of_fit().p_replicates is not None


def test_checkpoints_above_what_their_runs_came_to_lead_no_answer():
    """24 runs whose checkpoints lie up to .07 nats above runs annealed there: all rows answer wrongly."""
    rng = np.random.default_rng(0)
    share = np.array([0.1, 0.2, 0.4, 0.6, 0.8, 1.0])
    run, N = np.repeat(np.arange(24), 6), np.repeat(np.repeat(np.geomspace(5e7, 2e9, 8), 3), 6)
    D = N * np.repeat(np.tile([8.0, 25.0, 80.0], 8), 6) * np.tile(share, 24)
    stray = 0.002 * rng.standard_normal(24)[run] + 0.001 * rng.standard_normal(144)
    loss = TRUTH.loss(N, D) * np.exp(stray) + 0.07 * (1 - np.tile(share, 24))
    table = {"run": [f"r{i}" for i in run], "params": N, "tokens": D, "loss": loss}
    found = lawful.analyse(table, budgets=[3e22])
    assert found.verdict.value == "law refused"
    assert found.average is None
    (note,) = [note for note in found.notes if note.code == "lack_of_fit"]
    assert "`row_of_run` last" in note.message
    ended = lawful.analyse(lawful.read_runs(table, row_of_run="last"), budgets=[3e22])
    low, high = ended.average.outlooks[0].interval["params"]
    assert low < TRUTH.optimum(3e22).params < high
