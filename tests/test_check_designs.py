"""
Check and undertuned on designs that are not IsoFLOP: ladders, grids, irregular designs, curves, sweeps of rates.

Every table is drawn here from a surface that is drawn too, so no figure is known beforehand.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

import lawful
from lawful.checks.surface import Around, _line, against_surface, gross_strays, is_isoflop, strays
from lawful.checks.undertuned import undertuned
from lawful.cli import main
from lawful.data.checkpoints import curve_codes
from lawful.data.runs import Runs
from lawful.design.plan import plan_isoflop, simulate, study_surface


def surface(rng):
    """A loss with constants drawn from what published fits have."""
    alpha, beta = rng.uniform(0.28, 0.42, 2)
    E, A, B = rng.uniform(1.4, 2.2), rng.uniform(0.3, 0.9) * 1e8**alpha, rng.uniform(0.3, 0.9) * 5e9**beta
    return lambda N, D: E + A / N**alpha + B / D**beta


def ladder(sizes=5, ratios=5):
    N, ratio = np.meshgrid(np.geomspace(4e7, 3e9, sizes), np.geomspace(5, 320, ratios), indexing="ij")
    return N.ravel(), (N * ratio).ravel()


def grid(sizes=4, counts=5):
    N, D = np.meshgrid(np.geomspace(4e7, 3e9, sizes), np.geomspace(1e9, 1e11, counts), indexing="ij")
    return N.ravel(), D.ravel()


def irregular(rng, n=30):
    return np.exp(rng.uniform(np.log(3e7), np.log(3e9), n)), np.exp(rng.uniform(np.log(1e9), np.log(1e11), n))


def noisy(rng, N, D, sigma=0.005):
    return surface(rng)(N, D) + rng.normal(0, sigma, N.size)


DESIGNS = {"ladder": lambda rng: ladder(), "grid": lambda rng: grid(), "irregular": irregular}


class TestDesign:
    @pytest.mark.parametrize("budgets", [(1e18, 1e19, 1e20), (1e18, 4e18, 1.6e19, 6.4e19)])
    @pytest.mark.parametrize("jitter", [0.0, 0.04])
    def test_a_sweep_of_budgets_is_isoflop(self, budgets, jitter):
        truth = study_surface("chinchilla")
        plan = plan_isoflop(budgets, 7, surface=truth)
        D = plan.D * np.exp(np.random.default_rng(1).uniform(-jitter, jitter, plan.N.size))
        assert is_isoflop(Runs.from_arrays(plan.N, D, truth.loss(plan.N, D)))

    @pytest.mark.parametrize("name", DESIGNS)
    def test_other_designs_are_not(self, name):
        N, D = DESIGNS[name](np.random.default_rng(2))
        assert not is_isoflop(Runs.from_arrays(N, D, 1.7 + 400 / N**0.34 + 1800 / D**0.37))

    def test_a_grid_in_doublings_meets_on_common_budgets_and_is_still_a_grid(self):
        N, D = (a.ravel() for a in np.meshgrid(5e7 * 2.0 ** np.arange(9), 1e9 * 2.0 ** np.arange(9)))
        runs = Runs.from_arrays(N, D, 1.7 + 400 / N**0.34 + 1800 / D**0.37)
        assert runs.sizes_per_budget.max() == 9
        assert not is_isoflop(runs)

    def test_a_dense_irregular_design_has_budgets_by_chance_alone(self):
        N, D = irregular(np.random.default_rng(3), 300)
        runs = Runs.from_arrays(N, D, 1.7 + 400 / N**0.34 + 1800 / D**0.37)
        assert runs.sizes_per_budget.mean() > 3
        assert not is_isoflop(runs)

    def test_curves_are_known_by_a_column_or_by_their_steps(self):
        N, D = np.repeat([1e8, 3e8, 9e8], 6), np.tile(1e9 * np.arange(1, 7), 3)
        assert curve_codes({}, N, D).tolist() == np.repeat([0, 1, 2], 6).tolist()
        uneven = D * np.tile([1, 2, 3, 5, 8, 13], 3)
        assert curve_codes({}, N, uneven) is None
        names = {"run": np.repeat(["a", "b", "c"], 6).astype(object)}
        assert curve_codes(names, N, uneven).tolist() == np.repeat([0, 1, 2], 6).tolist()


class TestStrays:
    @pytest.mark.parametrize("name", DESIGNS)
    def test_clean_tables_keep_nearly_all_rows(self, name):
        # docs/check.md gives the shares of 200 tables each; 1% of rows is three times the largest.
        rng, flagged, rows = np.random.default_rng(4), 0, 0
        for _ in range(40):
            N, D = DESIGNS[name](rng)
            flagged += strays(Runs.from_arrays(N, D, noisy(rng, N, D))).size
            rows += N.size
        assert flagged <= 0.01 * rows

    @pytest.mark.parametrize("name", DESIGNS)
    def test_three_bad_rows_flag_three(self, name):
        rng, exact, found = np.random.default_rng(5), 0, 0
        for _ in range(30):
            N, D = DESIGNS[name](rng)
            loss = noisy(rng, N, D)
            bad = rng.choice(N.size, 3, replace=False)
            loss[bad] += rng.uniform(0.1, 2.0, 3)
            got = set(strays(Runs.from_arrays(N, D, loss)).tolist())
            exact += got == set(bad.tolist())
            found += len(got & set(bad.tolist()))
        assert exact >= 25
        assert found >= 0.95 * 90

    def test_bad_rows_at_one_corner_do_not_lead_the_fit_that_judges_them(self):
        misled = right = 0
        for seed in range(10):
            rng = np.random.default_rng(seed)
            N, D = ladder(6, 6)
            loss = noisy(rng, N, D)
            bad = [29, 34, 35]
            loss[bad] += rng.uniform(0.3, 1.0, 3)
            runs = Runs.from_arrays(N, D, loss)
            squares = np.abs(lawful.fit(runs, method="vpnls").residuals)
            misled += set(np.argsort(-squares)[:3].tolist()) != set(bad)
            right += strays(runs).tolist() == bad
        assert misled >= 3  # squares bend to them, and a good row has a larger residual
        assert right >= 9

    def test_what_changes_no_decision_is_not_flagged(self):
        rng = np.random.default_rng(7)
        N, D = ladder()
        loss = noisy(rng, N, D, 1e-5)
        loss[7] += 0.002
        assert strays(Runs.from_arrays(N, D, loss)).size == 0
        loss[7] += 0.1
        assert strays(Runs.from_arrays(N, D, loss)).tolist() == [7]

    def test_the_order_of_rows_does_not_matter(self):
        rng = np.random.default_rng(8)
        N, D = ladder()
        loss = noisy(rng, N, D)
        loss[[2, 9]] += 0.2
        order = rng.permutation(N.size)
        found = strays(Runs.from_arrays(N[order], D[order], loss[order]))
        assert sorted(order[found].tolist()) == strays(Runs.from_arrays(N, D, loss)).tolist() == [2, 9]

    def test_sides(self):
        rng = np.random.default_rng(9)
        N, D = ladder()
        loss = noisy(rng, N, D)
        loss[[3, 14]] += [0.2, -0.2]
        runs = Runs.from_arrays(N, D, loss)
        assert [strays(runs, side=s).tolist() for s in (1, -1, 0)] == [[3], [14], [3, 14]]

    @pytest.mark.parametrize("n", [3, 11])
    def test_too_few_runs_are_not_judged(self, n):
        N, D = irregular(np.random.default_rng(10), n)
        loss = 1.7 + 400 / N**0.34 + 1800 / D**0.37
        loss[0] += 3.0
        assert strays(Runs.from_arrays(N, D, loss)).size == 0

    def test_a_run_that_strays_as_a_whole_is_no_stray_row(self):
        rng = np.random.default_rng(11)
        N, D = ladder(6, 6)
        loss = noisy(rng, N, D, 0.002)
        loss[12:18] += 0.05
        names = {"run": np.repeat([f"m{i}" for i in range(6)], 6).astype(object)}
        assert strays(Runs.from_arrays(N, D, loss, labels=names)).size == 0
        loss[20] += 0.2
        assert strays(Runs.from_arrays(N, D, loss, labels=names)).tolist() == [20]


COLUMNS = {"params": "size", "tokens": "seen", "loss": "final"}


class TestCheck:
    def table(self, rng, bad=(), **more):
        N, D = ladder()
        loss = noisy(rng, N, D)
        loss[list(bad)] += 0.3
        return {"size": N, "seen": D, "final": loss, **more}

    def test_rows_of_a_ladder_are_judged_and_the_table_says_so(self):
        checked = lawful.check(self.table(np.random.default_rng(12), [4, 17]), columns=COLUMNS)
        assert np.flatnonzero(checked.outlier).tolist() == [4, 17]
        assert set(checked.reason[[4, 17]]) == {"surface_outlier"}
        assert "check_surface" in {note.code for note in checked.notes}
        assert checked.counts["surface_outlier"] == 2
        text = str(checked)
        assert "surface_outlier" in text
        assert "off_center" not in text  # no rule of budgets was asked
        assert len(checked.kept) == 23

    def test_a_clean_ladder_has_no_code_beyond_the_rules(self):
        checked = lawful.check(self.table(np.random.default_rng(13)), columns=COLUMNS)
        assert not checked.outlier.any()
        assert "surface_outlier" not in checked.counts

    def test_copies_are_named(self):
        table = {key: np.append(column, column[6]) for key, column in self.table(np.random.default_rng(14)).items()}
        checked = lawful.check(table, columns=COLUMNS)
        assert np.flatnonzero(checked.outlier).tolist() == [25]
        assert checked.reason[25] == "exact_duplicate"

    def test_too_few_rows_are_kept(self):
        N = np.geomspace(3e7, 3e9, 8)
        checked = lawful.check({"params": N, "tokens": 20 * N, "loss": 1.7 + 400 / N**0.34})
        assert not checked.outlier.any()
        assert "if of 12 or more" in next(n.message for n in checked.notes if n.code == "check_surface")

    @pytest.mark.parametrize("asked", [False, True])
    def test_a_sweep_of_rates_keeps_the_best_of_each_cell(self, asked):
        rng = np.random.default_rng(15)
        N, D = ladder()
        loss = noisy(rng, N, D)
        penalty = np.array([0.06, 0.0, 0.04, 2.5])
        table = {
            "params": np.repeat(N, 4),
            "tokens": np.repeat(D, 4),
            "peak_lr": np.tile([1e-4, 4e-4, 1.6e-3, 6.4e-3], 25),
            "loss": np.repeat(loss, 4) + np.tile(penalty, 25),
        }
        checked = lawful.check(table, best_of_cell=asked)
        assert np.flatnonzero(~checked.outlier).tolist() == list(range(1, 100, 4))
        assert checked.counts["not_best_of_cell"] == 75
        codes = [note.code for note in checked.notes]
        assert "best_of_cell" in codes
        assert "hyperparameter_sweep" not in codes
        assert np.allclose(checked.kept.L, loss)
        assert [note.code for note in checked.kept.notes].count("hyperparameter_sweep") == 0

    def test_the_best_of_each_cell_may_be_asked_of_an_isoflop_sweep(self):
        truth = study_surface("chinchilla")
        runs = simulate(truth, plan_isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.003, seed=3)
        table = {key: np.repeat(v, 2) for key, v in (("params", runs.N), ("tokens", runs.D), ("budget", runs.C))}
        table["loss"] = np.repeat(runs.L, 2) + np.tile([0.0, 0.1], 27)
        checked = lawful.check(table, best_of_cell=True)
        assert checked.reason[1::2].tolist() == ["not_best_of_cell"] * 27
        assert checked.reason[::2].tolist() == lawful.check(runs).reason.tolist()

    def test_a_diverged_run_does_not_take_its_neighbours_with_it(self):
        truth = study_surface("chinchilla")
        runs = simulate(truth, plan_isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=truth), noise=0.003, seed=5)
        clean = lawful.check(runs).reason
        loss = runs.L.copy()
        bad = [3, 15, 34]
        loss[bad] = [7.0, 10.5, 9.0]
        spoilt = Runs.from_arrays(runs.N, runs.D, loss, C=runs.C)
        assert np.flatnonzero(gross_strays(spoilt)).tolist() == bad
        assert not gross_strays(runs).any()
        found = lawful.check(spoilt).reason
        assert set(found[bad]) == {"spline_outlier"}
        assert np.flatnonzero((found != "none") & (clean == "none")).tolist() == bad

    def test_annealed_ends_of_curves_are_no_mistakes(self):
        rng = np.random.default_rng(16)
        N, D = np.repeat(np.geomspace(5e7, 2e9, 6), 15), np.tile(2e9 * np.arange(1, 16), 6)
        loss = noisy(rng, N, D, 0.002)
        loss[14::15] -= 0.06
        assert not lawful.check({"params": N, "tokens": D, "loss": loss}).outlier.any()


class TestUndertuned:
    def test_rungs_of_a_ladder_are_named(self):
        rng, found = np.random.default_rng(17), 0
        for _ in range(20):
            N, D = ladder()
            loss = noisy(rng, N, D, 0.003)
            bad = np.sort(rng.choice(25, 4, replace=False))
            loss[bad] += rng.uniform(0.05, 0.09, 4)
            notes = undertuned(lawful.fit(Runs.from_arrays(N, D, loss), method="vpnls"))
            if notes:
                rows = re.search(r"rows? ([\d, ]+);", notes[0].message).group(1).split(",")
                found += len({int(row) - 1 for row in rows} & set(bad.tolist()))
        assert found >= 0.85 * 80

    @pytest.mark.parametrize("name", DESIGNS)
    def test_noise_alone_is_seldom_noted(self, name):
        rng = np.random.default_rng(18)
        tables = [DESIGNS[name](rng) for _ in range(25)]
        noted = sum(
            undertuned(lawful.fit(Runs.from_arrays(N, D, noisy(rng, N, D)), method="vpnls")) != () for N, D in tables
        )
        assert noted <= 2

    def test_runs_as_far_below_are_noise(self):
        rng = np.random.default_rng(19)
        N, D = ladder()
        loss = noisy(rng, N, D)
        loss[[3, 12, 19]] += [0.2, -0.2, 0.2]
        assert undertuned(lawful.fit(Runs.from_arrays(N, D, loss), method="vpnls")) == ()

    def test_a_tight_sweep_has_a_floor(self):
        truth = study_surface("chinchilla")
        runs = simulate(truth, plan_isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=1e-5, seed=2)
        for nats, said in ((0.002, 0), (0.05, 1)):
            loss = runs.L.copy()
            loss[13] += nats
            spoilt = Runs.from_arrays(runs.N, runs.D, loss, C=runs.C)
            assert len(undertuned(lawful.fit(spoilt, method="vpnls"))) == said

    def test_seeds_of_one_size_are_judged_as_one(self):
        truth = study_surface("chinchilla")
        plan = plan_isoflop([1e18, 1e19, 1e20], 9, surface=truth)
        rng, noted = np.random.default_rng(20), 0
        for _ in range(25):
            cell = np.repeat(rng.normal(0, 0.01, plan.N.size), 3)
            N, D, C = (np.repeat(v, 3) for v in (plan.N, plan.D, plan.C))
            runs = Runs.from_arrays(N, D, truth.loss(N, D) + cell + rng.normal(0, 0.001, N.size), C=C)
            noted += undertuned(lawful.fit(runs, method="vpnls")) != ()
        assert noted <= 3


def test_judged_by_a_surface_or_by_budgets():
    N, D = ladder()
    assert against_surface(Runs.from_arrays(N, D, 1.7 + 400 / N**0.34 + 1800 / D**0.37))
    truth = study_surface("chinchilla")
    assert not against_surface(simulate(truth, plan_isoflop([1e18, 1e19], 6, surface=truth)))


def test_every_reason_has_a_mark_and_a_sentence_wherever_it_is_shown(tmp_path, capsys):
    from lawful.checks.check import EVERY
    from lawful.checks.rules import INVALID
    from lawful.show.figures.check_figure import MARKS

    assert set(MARKS) | {INVALID} == set(EVERY)
    rng = np.random.default_rng(8)
    N, ratio = (side.ravel() for side in np.meshgrid(np.geomspace(2e7, 2e9, 6), np.array([5.0, 10, 20, 40, 80])))
    loss = (1.7 + 400 / N**0.34 + 1100 / (ratio * N) ** 0.31) * (1 + 0.002 * rng.standard_normal(N.size))
    loss[[7, 19]] *= 1.2
    path = tmp_path / "ladder.csv"
    lines = [f"{n!r},{r * n!r},{y!r}" for n, r, y in zip(N.tolist(), ratio.tolist(), loss.tolist(), strict=True)]
    path.write_text("\n".join(["params,tokens,loss", *lines]), encoding="utf-8")
    assert (lawful.check(path).reason == "surface_outlier").sum() == 2
    for command in (["check", str(path)], ["fit", str(path), "--budget", "1e22"]):
        assert main([*command, "--out", str(tmp_path / command[0])]) == 0, capsys.readouterr().err
    assert "surface_outlier" in (tmp_path / "fit" / "report.html").read_text(encoding="utf-8")


def test_levels_of_curves_are_taken_out_as_a_column_each_would():
    """Distances against plain least squares with a column per curve."""
    rng = np.random.default_rng(5)
    curve = np.repeat(np.arange(6), 8)
    at = Around(rng.normal(size=48), rng.normal(size=(48, 5)), rng.uniform(0.5, 2, 48), curve)
    kept = rng.random(48) < 0.8
    kept[:8] = False  # a whole curve is out
    line = _line(at, kept)
    columns = np.hstack([at.slope, (curve[:, None] == np.arange(6)).astype(float)]) / at.spread[:, None]
    y = at.residual / at.spread
    solved, _, rank, _ = np.linalg.lstsq(columns[kept], y[kept], rcond=None)
    inverse = np.linalg.pinv(columns[kept].T @ columns[kept])
    assert np.allclose(line.rest, y - columns @ solved, atol=1e-10)
    assert np.allclose(line.leverage, np.einsum("ij,jk,ik->i", columns, inverse, columns), atol=1e-10)
    assert line.freedom == kept.sum() - rank
