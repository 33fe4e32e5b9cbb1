"""The rules of check: published flags row for row, a hand-made table for each rule, and what holds for any table."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.interpolate import Akima1DInterpolator

import lawful
from lawful.checks import spline
from lawful.checks.check import EVERY, apply_rules
from lawful.checks.rules import DEFAULT_THRESHOLDS, KEPT, RULES, Thresholds
from lawful.data.runs import Runs
from lawful.solve.parabola import Abscissae

FLAG = {rule.code: rule.flag for rule in RULES}

# The published pipeline's own settings; elsewhere it used 6.
PUBLISHED_Z = {"epochai_chinchilla__massivetext__chinchilla": 3.0}
PUBLISHED = (
    "epochai_chinchilla__massivetext__chinchilla",
    "llama_3__raw_loss",
    "marin_202603__comma__llama_2",
    "misfitting__fineweb_c4__transformer",
)


@pytest.fixture(scope="session")
def flags(shared_reference):
    with (shared_reference / "qc_flags.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def llama(shared_data):
    return lawful.check(shared_data / "isoflops.csv", select={"experiment": "llama_3__raw_loss"})


class TestPublished:
    @pytest.mark.parametrize("experiment", PUBLISHED)
    def test_every_row_has_the_published_flag_and_reason(self, flags, shared_data, experiment):
        expected = [row for row in flags if row["experiment"] == experiment]
        thresholds = Thresholds(spline_z=PUBLISHED_Z.get(experiment, 6.0))
        checked = lawful.check(shared_data / "isoflops.csv", select={"experiment": experiment}, thresholds=thresholds)
        assert checked.columns["params"].tolist() == [float(row["params"]) for row in expected]
        assert checked.outlier.tolist() == [row["outlier"] == "True" for row in expected]
        assert checked.reason.tolist() == [row["reason"] for row in expected]

    def test_the_reference_holds_these_experiments_and_no_other(self, flags):
        assert {row["experiment"] for row in flags} == set(PUBLISHED)

    def test_a_table_of_six_experiments_is_checked_as_six(self, shared_data, llama):
        checked = lawful.check(shared_data / "isoflops.csv")
        assert checked.by == "experiment"
        assert [note.code for note in checked.notes] == ["flops_mismatch", "check_by"]
        here = checked.experiment == "llama_3__raw_loss"
        assert checked.reason[here].tolist() == llama.reason.tolist()
        assert checked.row[here].tolist() == llama.row.tolist()
        assert checked.kept_of("llama_3__raw_loss").N.tolist() == llama.kept.N.tolist()

    def test_llama_3_through_the_grouped_stages(self, llama):
        truth = lawful.fit(llama.runs, method="vpnls")
        stages = (
            (),
            ("exact_duplicate", "near_duplicate_params", "too_few_points"),
            ("off_center", "spline_outlier"),
            ("negative_curvature", "weak_curvature"),
        )
        gone: list[str] = []
        seen = []
        for stage in stages:
            gone += stage
            left = llama.runs.take(~np.isin(llama.reason.astype(str), gone))
            lost = lawful.deadweight(truth, lawful.fit_isoflop(left), 3.8e25)
            seen.append((len(left), left.budgets.size, f"{100 * lost.fraction:.2f}"))
        # ../shared/reference/README.md, Study 11.
        assert seen == [(133, 10, "6.30"), (131, 10, "6.26"), (126, 10, "4.28"), (116, 8, "0.04")]
        assert len(llama.kept) == 116


def runs_at(budget, offsets, loss):
    """Runs at one budget, sizes around 1e9 by their distance in ln N."""
    N = 1e9 * np.exp(np.asarray(offsets, float))
    return Runs.from_arrays(N, budget / (6 * N), loss, C=np.full(N.size, budget))


def together(*parts):
    N, D, L, C = (np.concatenate([getattr(part, name) for part in parts]) for name in "NDLC")
    return Runs.from_arrays(N, D, L, C=C)


def flagged(code, runs, **thresholds):
    return FLAG[code](runs, Thresholds(**thresholds)).tolist()


GRID = np.linspace(-1.5, 1.5, 7)


def valley(budget=1e20, centre=0.0, curvature=0.05, offsets=GRID, noise=0.0):
    """A curve whose ln L is a parabola in ln N, up to some noise that never changes."""
    off = noise * np.random.default_rng(3).normal(size=np.size(offsets))
    return runs_at(budget, offsets, np.exp(1.0 + curvature * (np.asarray(offsets) - centre) ** 2 + off))


class TestInvalidValue:
    def test_each_way_to_be_invalid_is_flagged_and_nothing_else(self):
        good = {"N": 1e9, "D": 1e10, "C": 6e19, "loss": 3.0}
        broken = [None, float("nan"), float("inf"), -float("inf"), 0, -1.0, "diverged", "", "7B", True]
        rows = [good]
        for name in good:
            rows += [{**good, name: value} for value in broken]
        table = {name: [row[name] for row in rows] for name in good}
        checked = lawful.check(table)
        assert checked.reason.tolist() == ["too_few_points"] + ["invalid_value"] * 40

    def test_numbers_in_a_column_with_text_still_count(self):
        loss = [3.2, " 3.1 ", "3e0", "NaN", "crashed", 3.3, 3.4, 3.5, 3.6]
        N = 1e9 * np.exp(0.3 * np.arange(9))
        checked = lawful.check({"N": N, "D": 1e19 / N, "loss": loss})
        assert checked.runs.L.tolist() == [3.2, 3.1, 3.0, 3.3, 3.4, 3.5, 3.6]
        assert np.flatnonzero(checked.reason == "invalid_value").tolist() == [3, 4]
        assert checked.runs.row.tolist() == [1, 2, 3, 6, 7, 8, 9]

    def test_a_product_that_no_float_holds_is_invalid(self):
        checked = lawful.check({"N": [1e200, 1e9], "D": [1e200, 1e9], "loss": [3.0, 3.0]})
        assert checked.reason.tolist() == ["invalid_value", "too_few_points"]

    def test_fit_refuses_the_same_table_and_names_check(self):
        with pytest.raises(lawful.InputError, match="set them aside with `check`"):
            lawful.fit({"N": [1e9, 2e9], "D": [1e10, 1e10], "loss": [3.0, float("nan")]})

    def test_the_budget_of_an_invalid_row_groups_nothing(self):
        # 9% below and 9% above the middle one: with it they are one budget, without it two.
        table = {"N": [1e9, 1e9, 1e9], "D": [0.915e10, 1e10, 1.09e10], "loss": [3.0, None, 3.0]}
        assert lawful.check(table).runs.budgets.size == 2
        assert lawful.check({**table, "loss": [3.0, 3.0, 3.0]}).runs.budgets.size == 1


class TestExactDuplicate:
    def test_the_best_6nd_wins_then_the_lowest_loss_then_the_first(self):
        N = np.full(7, 1e9)
        D = np.array([1.02e10, 1e10, 1e10, 1e10, 1.01e10, 1e10, 1e10])
        L = np.array([2.0, 3.1, 3.0, 3.0, 2.9, 3.0, 3.2])
        runs = Runs.from_arrays(N, D, L, C=np.full(7, 6e19))
        assert flagged("exact_duplicate", runs) == [True, True, False, True, True, True, True]

    def test_rounding_of_6nd_decides_nothing(self):
        D = np.array([1e10, 1e10 * (1 + 1e-12)])
        runs = Runs.from_arrays([1e9, 1e9], D, [3.1, 3.0], C=[6e19, 6e19])
        assert flagged("exact_duplicate", runs) == [True, False]
        assert flagged("exact_duplicate", runs, flops_rounding=1e-14) == [False, True]

    def test_the_same_size_at_another_budget_is_no_duplicate(self):
        assert not any(flagged("exact_duplicate", together(valley(1e20), valley(1e21))))

    def test_it_is_the_reason_and_not_the_near_duplicate(self):
        runs = runs_at(1e20, [-1, 0, 0, 1, 1.001], [3.0, 2.9, 2.8, 3.0, 3.1])
        assert apply_rules(runs, Thresholds(min_points=0)).tolist() == [
            "none",
            "exact_duplicate",
            "none",
            "none",
            "near_duplicate_params",
        ]


class TestNearDuplicate:
    def test_bins_start_at_their_first_run(self):
        # The third is within 0.01 of the second, but not of the first, where the bin starts.
        runs = runs_at(1e20, [0.0, 0.008, 0.016, 0.0239, 0.5], [3.0, 2.9, 2.8, 2.9, 3.0])
        assert flagged("near_duplicate_params", runs) == [True, False, False, True, False]

    def test_of_equals_the_smaller_size_is_kept_wherever_it_stands(self):
        runs = runs_at(1e20, [0.005, 0.0], [3.0, 3.0])
        assert flagged("near_duplicate_params", runs) == [True, False]

    def test_merge_sets_the_reach(self):
        runs = runs_at(1e20, [0.0, 0.1], [3.0, 2.9])
        assert flagged("near_duplicate_params", runs) == [False, False]
        assert flagged("near_duplicate_params", runs, merge=0.2) == [True, False]


class TestTooFew:
    def test_five_runs_flag_a_budget_and_six_do_not(self):
        runs = together(valley(1e20, offsets=np.arange(5.0)), valley(1e21, offsets=np.arange(6.0)))
        assert flagged("too_few_points", runs) == [True] * 5 + [False] * 6
        assert not any(flagged("too_few_points", runs, min_points=5))

    def test_the_rest_of_a_budget_goes_when_later_rules_leave_five(self):
        offsets = np.array([-1.0, -0.6, -0.2, 0.2, 0.6, 1.0, 9.0])
        lopsided = valley(1e20, offsets=offsets)
        full = together(lopsided, valley(1e21), valley(3e20))
        reason = apply_rules(full, Thresholds(min_points=7))[:7].tolist()
        assert reason == ["too_few_post_qc"] * 6 + ["off_center"]


class TestOffCenter:
    def test_runs_beyond_the_margin_of_the_shorter_side(self):
        # The vertex is at 0 and the shorter side is 1 long, so 2.6 is too far and 2.4 is not.
        runs = valley(offsets=[-1.0, -0.5, 0.0, 0.5, 1.0, 2.4, 2.6])
        assert flagged("off_center", runs) == [False] * 6 + [True]
        assert not any(flagged("off_center", runs, margin=2.7))

    def test_a_vertex_outside_the_sizes_flags_the_budget(self):
        runs = together(valley(1e20, centre=-2.0), valley(1e21, centre=2.0), valley(1e22))
        assert flagged("off_center", runs) == [True] * 14 + [False] * 7

    def test_curves_that_open_downward_or_have_two_runs_are_passed_over(self):
        runs = together(valley(1e20, centre=-9.0, curvature=-0.05), valley(1e21, centre=5.0, offsets=[0.0, 1.0]))
        assert not any(flagged("off_center", runs))


class TestSplineOutlier:
    def test_a_spike_is_flagged_and_far_from_it_nothing(self):
        curves = [valley(budget, noise=3e-3, offsets=np.linspace(-2, 2, 15)) for budget in (1e19, 1e20, 1e21)]
        runs = together(*curves)
        L = runs.L.copy()
        L[22] += 0.2
        found = np.flatnonzero(flagged("spline_outlier", Runs.from_arrays(runs.N, runs.D, L, C=runs.C)))
        assert 22 in found
        # The neighbours are predicted through the spike, so they may look odd too.
        assert set(found) <= set(range(19, 26))
        assert not any(flagged("spline_outlier", runs))

    def test_the_scale_is_that_of_the_whole_experiment(self):
        quiet, loud = valley(1e20, noise=1e-5), valley(1e21, noise=1e-2)
        assert not any(flagged("spline_outlier", loud))
        assert any(flagged("spline_outlier", together(quiet, valley(3e20, noise=1e-5), loud))[14:])

    def test_identical_residuals_have_no_scale(self):
        assert not any(flagged("spline_outlier", valley(curvature=0.0)))

    def test_two_runs_are_not_judged(self):
        assert not any(flagged("spline_outlier", valley(offsets=[0.0, 1.0])))

    def test_of_three_runs_each_is_judged_by_the_line_through_the_others(self):
        x, y = np.array([0.0, 1.0, 3.0]), np.array([2.0, 5.0, 4.0])
        expected = [2.0 - 5.5, 5.0 - (2.0 + 2.0 / 3.0), 4.0 - 11.0]
        for left in (1e9, -1e9):
            np.full(5, left)  # a spline that reads memory it never wrote finds this there
            np.testing.assert_allclose(spline.left_out(x, y), expected, rtol=0, atol=1e-12)

    def test_three_runs_at_a_budget_have_the_same_labels_under_any_scipy(self):
        """Eight budgets of three runs, one loss spoiled: lines by NumPy, the definition's scale, the same labels."""
        runs = together(*(valley(b, offsets=[-1.0, 0.1, 0.9]) for b in np.geomspace(1e18, 1e21, 8)))
        L = runs.L * np.exp(1e-3 * np.random.default_rng(8).normal(size=24))
        L[13] *= 1.5
        runs, size = replace(runs, L=L), np.log(runs.N)
        off = np.empty(24)
        for i in range(24):
            a, b = sorted({0, 1, 2} - {i % 3})
            a, b = i // 3 * 3 + a, i // 3 * 3 + b
            off[i] = L[i] - np.polyval(np.polyfit(size[[a, b]], L[[a, b]], 1), size[i])
        away = np.abs(off - np.median(off))
        expected = away > 6 * 1.4826 * np.median(away)
        assert set(np.flatnonzero(expected)) == {12, 13, 14}
        assert flagged("spline_outlier", runs, min_points=3) == expected.tolist()

    def test_a_budget_of_many_runs_is_judged_by_the_same_spline(self):
        rng = np.random.default_rng(0)
        x = np.cumsum(rng.uniform(0.01, 0.1, 2 * spline.MANY + 1))
        y = np.cos(x) + 0.1 * rng.normal(size=x.size)
        y[50:60] = 1.0  # a straight part, where the spline takes plain means of slopes
        others = [np.delete(np.arange(x.size), i) for i in range(x.size)]
        expected = [y[i] - Akima1DInterpolator(x[o], y[o])(x[i], extrapolate=True) for i, o in enumerate(others)]
        np.testing.assert_allclose(spline.left_out(x, y), expected, rtol=0, atol=1e-12)

    def test_losses_near_the_largest_float_are_judged_alike(self):
        runs = valley(noise=1e-3, offsets=np.linspace(-2, 2, 15))
        L = runs.L.copy()
        L[4] *= 1.5
        spiked, huge = (replace(runs, L=L * unit) for unit in (1.0, 2.0**1021))  # the door lets no such loss in
        assert any(flagged("spline_outlier", spiked))
        assert flagged("spline_outlier", huge) == flagged("spline_outlier", spiked)


class TestCurvature:
    def test_a_hill_and_a_straight_line_are_flagged_as_negative(self):
        hill, line = valley(1e20, curvature=-0.02), runs_at(1e21, [0.0, 1.0, 2.0], np.exp([1.0, 1.0, 1.0]))
        assert flagged("negative_curvature", together(hill, line, valley(1e22))) == [True] * 10 + [False] * 7

    def test_the_whole_road_gives_a_hill_that_reason(self):
        # Offset from the middle, so that the rule before it would flag it if it opened upward.
        reason = apply_rules(together(valley(1e20, curvature=-0.02, centre=4.0), valley(1e21)))
        assert reason.tolist() == ["negative_curvature"] * 7 + ["none"] * 7

    def test_noise_that_hides_the_curvature_is_weak(self):
        clear, hidden = valley(1e20, noise=1e-3), valley(1e21, curvature=1e-4, noise=0.01)
        runs = together(clear, hidden)
        assert flagged("negative_curvature", runs) == [False] * 14
        assert flagged("weak_curvature", runs) == [False] * 7 + [True] * 7

    def test_the_interval_is_that_of_a_textbook_regression(self):
        runs = valley(1e20, curvature=0.01, noise=0.01)
        x = np.log(runs.N)
        design = np.stack([np.ones(7), x - x.mean(), (x - x.mean()) ** 2], axis=1)
        coefficients, rss, *_ = np.linalg.lstsq(design, np.log(runs.L))
        error = np.sqrt(rss[0] / 4 * np.linalg.inv(design.T @ design)[2, 2])
        at, y = Abscissae.of(x), np.log(runs.L)
        curvature, found = float(at.through(y).curvature), float(at.curvature_error(y))
        assert (curvature, found) == pytest.approx((coefficients[2], error), rel=1e-9)
        # Student's t with 4 degrees of freedom: 2.7764 at 95%, from any table.
        weak = coefficients[2] <= 2.7764 * error
        assert flagged("weak_curvature", runs) == [bool(weak)] * 7

    def test_three_runs_have_no_interval(self):
        assert not any(flagged("weak_curvature", valley(offsets=[-1.0, 0.0, 1.5], curvature=1e-6)))


class TestThresholds:
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"min_points": -1}, "min_points must be a finite number of at least 0, got -1"),
            ({"merge": -0.1}, "merge must be a finite number of at least 0, got -0.1"),
            ({"margin": 0.0}, "margin must be a finite number above 0, got 0.0"),
            ({"spline_z": float("nan")}, "spline_z must be a finite number above 0, got nan"),
            ({"spline_points": 2}, "spline_points must be a finite number of at least 3, got 2"),
            ({"curvature_level": 1.0}, "curvature_level must lie between 0 and 1, got 1.0"),
            ({"flops_rounding": 0.0}, "flops_rounding must be a finite number above 0, got 0.0"),
        ],
    )
    def test_numbers_that_make_no_sense_are_refused(self, given, message):
        with pytest.raises(lawful.UnsupportedError, match=re.escape(message)):
            Thresholds(**given)


class TestChecked:
    def test_counts_come_in_the_order_of_the_rules(self, llama):
        assert list(llama.counts) == [
            "invalid_value",
            "exact_duplicate",
            "near_duplicate_params",
            "too_few_points",
            "off_center",
            "spline_outlier",
            "negative_curvature",
            "weak_curvature",
            "too_few_post_qc",
        ]
        assert sum(llama.counts.values()) == llama.outlier.sum() == 17

    def test_kept_says_what_was_left_out(self, llama):
        flags = "near_duplicate_params 2, off_center 1, spline_outlier 4, weak_curvature 10"
        assert [(note.code, note.message) for note in llama.kept.notes] == [
            ("check_flagged", f"check left out 17 of 133 rows: {flags}.")
        ]
        assert llama.kept.row.tolist() == llama.row[~llama.outlier].tolist()

    def test_without_flags_the_runs_are_the_runs(self):
        runs = together(valley(1e20, noise=1e-3), valley(1e21, noise=1e-3))
        checked = lawful.check(runs)
        assert not checked.outlier.any()
        assert checked.kept.sha256 == runs.sha256
        assert checked.kept.notes == ()

    def test_nothing_left_is_an_error_with_the_counts(self):
        checked = lawful.check({"N": [1e9, 2e9], "D": [1e10, 1e10], "loss": [3.0, float("nan")]})
        message = "check flags 2 of 2 rows, so none is left: invalid_value 1, too_few_points 1."
        with pytest.raises(lawful.IdentificationError, match=re.escape(message)):
            _ = checked.kept
        nothing = lawful.check({"N": [1e9], "D": ["?"], "loss": [3.0]})
        with pytest.raises(lawful.IdentificationError, match="none is left: invalid_value 1"):
            _ = nothing.kept

    def test_columns_called_outlier_and_reason_stay_the_users(self):
        table = {"N": [1e9], "D": [1e10], "loss": [3.0], "outlier": ["maybe"], "reason": ["mine"]}
        shown = lawful.check(table).table
        assert list(shown) == ["N", "D", "loss", "outlier", "reason", "outlier_check", "reason_check"]
        assert (shown["outlier"].tolist(), shown["outlier_check"].tolist()) == (["maybe"], [True])

    def test_by_and_weights_and_columns_are_those_of_reading(self):
        runs = valley(1e20, noise=1e-3)
        table = {
            "size": np.tile(runs.N, 2),
            "D": np.tile(runs.D, 2),
            "loss": np.tile(runs.L, 2),
            "w": [2.0] * 14,
            "lab": ["a"] * 7 + ["b"] * 7,
        }
        apart = lawful.check(table, columns={"params": "size"}, by="lab", weights="w")
        assert not apart.outlier.any()
        assert apart.kept_of("b").weight.tolist() == [2.0] * 7
        mixed = lawful.check(table, columns={"params": "size"})
        assert mixed.counts["exact_duplicate"] == 7

    def test_runs_take_no_reading_options(self):
        with pytest.raises(lawful.UnsupportedError, match="These runs were read already"):
            lawful.check(valley(), select={"a": 1})

    def test_runs_and_their_table_give_the_same(self, shared_data, llama):
        runs = lawful.read_runs(shared_data / "isoflops.csv", select={"experiment": "llama_3__raw_loss"})
        again = lawful.check(runs)
        assert again.reason.tolist() == llama.reason.tolist()
        assert list(again.table) == list(llama.table)

    def test_repr_is_one_line(self, llama):
        assert repr(llama) == (
            "Checked(133 rows, 116 kept: near_duplicate_params 2, off_center 1, spline_outlier 4, weak_curvature 10)"
        )


@st.composite
def sweeps(draw):
    """Runs at up to four budgets: a noisy valley with sizes on a fine grid, so that twins and gaps occur."""
    seed, parts = draw(st.integers(0, 2**32 - 1)), []
    rng = np.random.default_rng(seed)
    for budget in 10.0 ** np.arange(18, 18 + draw(st.integers(1, 4))):
        steps = draw(st.lists(st.integers(-400, 400), min_size=1, max_size=14))
        offsets = np.array(steps) * 0.004
        centre, noise = draw(st.floats(-2, 2)), draw(st.sampled_from([1e-4, 1e-2]))
        # Distinct losses: what is tied may fall either way when rows are moved.
        spikes = rng.random(offsets.size) < 0.1
        loss = np.exp(1 + 0.05 * (offsets - centre) ** 2) + noise * rng.normal(size=offsets.size) + 0.3 * spikes
        parts.append(runs_at(budget, offsets, np.maximum(loss, 0.1)))
    return together(*parts)


@settings(max_examples=60, deadline=None)
@given(sweeps())
def test_every_dropped_row_has_one_reason_and_the_rest_is_untouched(runs):
    table = {"params": runs.N, "tokens": runs.D, "budget": runs.C, "loss": runs.L, "run": np.arange(len(runs))}
    checked = lawful.check(table, as_is=True)  # these losses need not fall with compute
    assert set(checked.reason) <= {KEPT, *EVERY}
    assert sum(checked.counts.values()) == checked.outlier.sum()
    shown = checked.table
    assert list(shown) == [*table, "outlier", "reason"]
    assert all(np.array_equal(shown[name], column) for name, column in table.items())
    if not checked.outlier.all():
        kept = checked.kept
        assert all(
            np.array_equal(kept.table[name], np.asarray(column)[~checked.outlier]) for name, column in table.items()
        )


@settings(max_examples=60, deadline=None)
@given(sweeps(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(runs, random):
    order = list(range(len(runs)))
    random.shuffle(order)
    assert apply_rules(runs.take(np.array(order))).tolist() == apply_rules(runs)[order].tolist()


# Not near duplicates, off-centre runs and spline outliers: each changes what the next ones are measured against.
SETTLED = ("exact_duplicate", "too_few_points", "negative_curvature", "weak_curvature", "too_few_post_qc")


@settings(max_examples=40, deadline=None)
@given(sweeps(), st.sampled_from(SETTLED))
def test_a_rule_finds_nothing_more_in_what_it_kept(runs, code):
    runs = runs.take(~FLAG["exact_duplicate"](runs, DEFAULT_THRESHOLDS))
    kept = ~FLAG[code](runs, DEFAULT_THRESHOLDS)
    assert not kept.any() or not FLAG[code](runs.take(kept), DEFAULT_THRESHOLDS).any()


@settings(max_examples=40, deadline=None)
@given(sweeps())
def test_the_spline_rule_is_the_sentence_of_its_definition(runs):
    runs = runs.take(~FLAG["exact_duplicate"](runs, DEFAULT_THRESHOLDS))
    runs = runs.take(~FLAG["near_duplicate_params"](runs, DEFAULT_THRESHOLDS))
    residual = {}
    for budget in np.unique(runs.C):
        here = sorted(np.flatnonzero(budget == runs.C), key=runs.N.__getitem__)
        for i in here if len(here) >= 3 else []:
            others = [j for j in here if j != i]
            at, size, loss = np.log(runs.N[i]), np.log(runs.N[others]), runs.L[others]
            if len(others) == 2:  # a line; SciPy before 1.16 gives what memory holds
                residual[i] = runs.L[i] - (loss[0] + (loss[1] - loss[0]) / (size[1] - size[0]) * (at - size[0]))
            else:
                residual[i] = runs.L[i] - Akima1DInterpolator(size, loss)(at, extrapolate=True)
    values = np.array(list(residual.values()))
    middle = np.median(values) if values.size else 0.0
    mad = np.median(np.abs(values - middle)) if values.size else 0.0
    odd = {i for i, r in residual.items() if mad > 1e-12 and 0.6745 * abs(r - middle) / mad > 6.0}
    assert set(np.flatnonzero(flagged("spline_outlier", runs))) == odd


CELLS = st.one_of(
    st.none(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-5, 10**12),
    st.sampled_from(["", "n/a", "diverged", "1e9", " 3.5 ", "٣", "\N{SNOWMAN}", "1e999", "0x10", "True"]),
    st.booleans(),
)


def is_number_above_zero(cell):
    if cell is None or isinstance(cell, bool):
        return False
    try:
        return 0 < float(cell) < float("inf")
    except ValueError:
        return False


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), min_size=1, max_size=12))
@example([(None, None, None, None), (1.0, 1.0, 1.0, 1)])
@example([("", "", "", ""), (1.0, 1.0, 1.0, 1)])
@example([(None, None, None, None), ("params", "tokens", "budget", "loss"), (1.0, 1.0, 1.0, 1)])
def test_any_cell_is_either_used_or_invalid(rows):
    names = ("params", "tokens", "budget", "loss")
    checked = lawful.check({name: [row[i] for row in rows] for i, name in enumerate(names)}, as_is=True)
    for row, reason in zip(rows, checked.reason, strict=True):
        usable = all(map(is_number_above_zero, row)) and 0 < 6 * float(row[0]) * float(row[1]) < float("inf")
        usable = usable and all(1e-50 <= float(row[i]) <= 1e50 for i in (0, 1, 3))
        assert (reason == "invalid_value") is not usable


def test_seeds_flagged_as_duplicates_are_said_to_be_replicates() -> None:
    sizes = np.repeat([1e8, 1.5e8, 2e8, 3e8, 4e8, 6e8, 8e8], 2)
    loss = 3 + 0.1 * np.log(sizes / 2.5e8) ** 2 + np.tile([0.0, 0.001], 7)
    table = {"params": sizes, "tokens": 1e19 / (6 * sizes), "loss": loss, "seed": np.tile([0, 1], 7)}
    found = lawful.check(pd.DataFrame(table))
    assert found.counts["exact_duplicate"] == 7
    (note,) = [note for note in found.notes if note.code == "replicates_flagged"]
    assert note.message.startswith(
        "7 runs flagged exact_duplicate share N and budget with a better run, but column 'seed'"
    )
    assert "replicates_flagged" in {note.code for note in found.kept.notes}
    unseeded = lawful.check(pd.DataFrame({name: values for name, values in table.items() if name != "seed"}))
    assert "replicates_flagged" not in {note.code for note in unseeded.notes}
