"""Which runs share a budget, or an error: groups cut at gaps, named by a column, or told by the shape of the table."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lawful
from lawful.cli import main
from lawful.data.runs import Runs
from lawful.uncertainty.grounds import grounds, groupings

TRUTH = lawful.Surface({"E": 1.85, "A": 620.0, "B": 1300.0, "alpha": 0.36, "beta": 0.35})


def sweep(rng, jitter, step=3.0, budgets=6, sizes=7):
    """N and D of an IsoFLOP sweep whose compute misses its budgets by up to a factor of 1 + jitter."""
    C = np.repeat(2e18 * step ** np.arange(budgets), sizes)
    N = TRUTH.optimum(C).params * np.tile(np.geomspace(1 / 6, 6, sizes), budgets)
    return N, C / 6 / N * np.exp(rng.uniform(-1, 1, C.size) * np.log1p(jitter))


class TestGaps:
    @pytest.mark.parametrize(("jitter", "step"), [(0.05, 1.6), (0.12, 2.0), (0.12, 3.0), (0.2, 3.0), (0.2, 10.0)])
    def test_budgets_are_cut_where_the_gaps_are(self, jitter, step):
        rng = np.random.default_rng(1)
        for _ in range(20):
            budgets, sizes = rng.integers(3, 9), rng.integers(4, 10)
            N, D = sweep(rng, jitter, step, budgets, sizes)
            order = rng.permutation(N.size)
            runs = Runs.from_arrays(N[order], D[order], TRUTH.loss(N, D)[order])
            assert runs.group.tolist() == np.repeat(np.arange(budgets), sizes)[order].tolist()


class TestNamed:
    def table(self, tmp_path=None):
        rng = np.random.default_rng(2)
        N, D = sweep(rng, 0.3, 2.0, budgets=4)
        loss = TRUTH.loss(N, D) + rng.normal(0, 0.003, N.size)
        table = {"size": N, "seen": D, "nll": loss, "tier": np.repeat(["XL", "S", "L", "M"], 7)}
        if tmp_path is None:
            return table
        path = tmp_path / "runs.csv"
        rows = zip(*(column.tolist() for column in table.values()), strict=True)
        path.write_text("size,seen,nll,tier\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n")
        return path

    COLUMNS = ("--columns", "params=size", "--columns", "tokens=seen", "--columns", "loss=nll")

    def test_a_column_names_the_budget_of_each_run(self):
        columns = {"params": "size", "tokens": "seen", "loss": "nll"}
        assert lawful.read_runs(self.table(), columns=columns).budgets.size > 4
        runs = lawful.read_runs(self.table(), columns=columns, group_by="tier")
        assert runs.group.tolist() == np.repeat(np.arange(4), 7).tolist()
        assert np.allclose(runs.budgets, [np.exp(np.log(runs.C[runs.group == g]).mean()) for g in range(4)])
        note = next(note for note in runs.notes if note.code == "budget_groups")
        assert "Column 'tier' names the budget of each run: 28 runs, 4 groups" in note.message
        assert lawful.fit(runs, method="approach2").budgets.size == 4

    def test_on_the_shell(self, tmp_path, capsys):
        path = self.table(tmp_path)
        options = [*self.COLUMNS, "--group-by", "tier", "--json"]
        assert main(["fit", str(path), "--method", "approach2", *options]) == 0
        notes = {note["code"]: note["message"] for note in json.loads(capsys.readouterr().out)["notes"]}
        assert "28 runs, 4 groups" in notes["budget_groups"]
        assert main(["check", str(path), *options]) == 0
        assert json.loads(capsys.readouterr().out)["n_kept"] == 28

    @pytest.mark.parametrize(
        ("column", "sentence"),
        [
            ("rank", "has no column 'rank', which --group-by names"),
            ("size", "Column 'size' names no budgets: compute in group"),
        ],
    )
    def test_a_column_that_names_none_is_refused(self, tmp_path, capsys, column, sentence):
        path = self.table(tmp_path)
        # Sizes on a common ladder stand for every budget at once.
        text = path.read_text().splitlines()
        sizes = [f"{v:.6g}" for v in np.tile(np.geomspace(3e7, 3e9, 7), 4)]
        rows = [",".join([size, *line.split(",")[1:]]) for size, line in zip(sizes, text[1:], strict=True)]
        path.write_text("\n".join([text[0], *rows]) + "\n")
        assert main(["fit", str(path), *self.COLUMNS, "--group-by", column]) == 1
        assert sentence in capsys.readouterr().err

    def test_a_run_without_a_budget_is_named(self):
        table = self.table()
        tiers = table["tier"].astype(object)
        tiers[8] = ""
        with pytest.raises(lawful.InputError, match="names no budget in row 9"):
            lawful.read_runs(
                {**table, "tier": tiers}, columns={"params": "size", "tokens": "seen", "loss": "nll"}, group_by="tier"
            )


class TestShared:
    """The grouping is found where runs share an error, whatever tells it; docs/uncertainty.md has the coverage."""

    def found(self, runs):
        rests = grounds(lawful.fit(runs, method="vpnls"))
        return None if rests.shared is None else rests.shared.name

    @pytest.mark.parametrize("named", [True, False])
    def test_rows_of_training_curves(self, named):
        hits = 0
        for seed in range(8):
            rng = np.random.default_rng(seed)
            N, D = np.repeat(np.geomspace(3e7, 2e9, 8), 10), np.tile(4e9 * np.arange(1, 11), 8)
            e = rng.normal(0, 0.003, 80) + np.repeat(rng.normal(0, 0.006, 8), 10)
            labels = {"display_name": np.repeat([f"x{i}" for i in range(8)], 10).astype(object)} if named else {}
            hits += self.found(Runs.from_arrays(N, D, TRUTH.loss(N, D) + e, labels=labels)) == "run"
        assert hits >= 7

    @pytest.mark.parametrize("jitter", [0.0, 0.1])
    def test_budgets_that_compute_misses_by_some_percent(self, jitter):
        hits = 0
        for seed in range(8):
            rng = np.random.default_rng(seed)
            N, D = sweep(rng, jitter)
            e = rng.normal(0, 0.004, 42) + np.repeat(rng.normal(0, 0.006, 6), 7)
            runs = Runs.from_arrays(N, D, TRUTH.loss(N, D) + e)
            assert np.unique(groupings(runs)["budget"]).size == 6
            hits += self.found(runs) in ("budget", "neighbours")
        assert hits >= 7

    def test_independent_runs_are_seldom_taken_for_sharing(self):
        hits = 0
        for seed in range(20):
            rng = np.random.default_rng(seed)
            N, D = sweep(rng, 0.0)
            hits += self.found(Runs.from_arrays(N, D, TRUTH.loss(N, D) + rng.normal(0, 0.006, 42))) is not None
        assert hits <= 6
