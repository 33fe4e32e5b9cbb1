"""Kinds of tables on which a planner would be misled, each on made-up numbers: what a user is told on the shell."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import lawful
from lawful.cli.app import app

TRUTH = lawful.Surface({"E": 1.62, "A": 310.0, "B": 900.0, "alpha": 0.33, "beta": 0.35})


def sweep(budgets=5, sizes=7, low=1e18, high=1e20, reach=(0.2, 5.0)):
    C = np.repeat(np.geomspace(low, high, budgets), sizes)
    N = TRUTH.optimum(C).params * np.tile(np.geomspace(*reach, sizes), budgets)
    return N, C / 6 / N


def noise(n, sigma, seed):
    return sigma * np.random.default_rng([seed, 41]).standard_normal(n)


def table(path: Path, **columns) -> str:
    rows = zip(*(np.asarray(v).tolist() for v in columns.values()), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]), encoding="utf-8")
    return str(path)


def shell(*words: str):
    return CliRunner().invoke(app, list(words))


def told(*words: str):
    result = shell(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refusal(*words: str) -> str:
    result = shell(*words)
    assert result.exit_code != 0
    return f"{result.output}{result.exception}"


def codes(document) -> set[str]:
    return {note["code"] for note in document["notes"]}


@pytest.mark.parametrize("seed", range(3))
def test_an_early_plateau_of_the_largest_sizes_does_not_lead_what_is_recommended(seed, tmp_path):
    """Of six sizes the two largest of each budget stand on the plateau of their first steps."""
    C = np.repeat(np.geomspace(4e16, 8e18, 4), 6)
    reach = np.tile(np.geomspace(0.3, 40, 6), 4)
    N = TRUTH.optimum(C).params * reach
    L = TRUTH.loss(N, C / 6 / N) + noise(24, 0.003, seed)
    L = np.where(reach > 5, np.maximum(L, np.minimum(4.5 + 0.4 * np.log(np.maximum(reach, 5) / 5), L + 0.7)), L)
    path = table(tmp_path / "runs.csv", size=N, data=C / 6 / N, flops=C, loss=L)
    found = told("fit", path, "--budget", "1e20")
    size = float(TRUTH.optimum(1e20).params)
    (law,) = found["allocations"]
    ends = law["interval"]["params"] if law["interval"] else None
    held = ends is None or ends[0] < size < ends[1]
    assert held or "laws_disagree" in codes(found) or found["verdict"] == "law refused"
    if found["auto"]["available"]:
        low, high = found["auto"]["outlooks"][0]["interval"]["params"]
        assert low < size < high
    lost = law["deadweight"]
    assert lost is None or lost["as_good_as_can_be_told"] or lost["interval"][0] < 0.05 * 1e20


@pytest.mark.parametrize("objective", [(), ("--objective", "huber")])
def test_diverged_runs_move_nothing_and_a_new_run_has_a_loss_above_zero(objective, tmp_path):
    N, D = sweep()
    L = TRUTH.loss(N, D) + noise(35, 0.003, 5)
    L[[9, 20, 33]] = [7.2, 10.8, 5.1]
    path = table(tmp_path / "runs.csv", params=N, tokens=D, loss=L)
    found = told("fit", path, "--budget", "1e22", *objective)
    best, (one,) = TRUTH.optimum(1e22), found["allocations"]
    assert one["params"] == pytest.approx(float(best.params), rel=0.15)
    low, high = one["prediction"]["loss"]
    assert float(best.loss) - 0.03 < low < high < float(best.loss) + 0.03


@pytest.mark.parametrize("seed", range(4))
def test_a_diverged_run_takes_neither_its_neighbours_nor_its_budget(seed):
    N, D = sweep()
    rng = np.random.default_rng([seed, 3])
    L = TRUTH.loss(N, D) + noise(35, 0.003, seed)
    # Not at an end: a budget without its largest or smallest size is lopsided as well, which another rule tells.
    bad = 7 * rng.choice(5, 3, replace=False) + rng.integers(1, 6, 3)
    L[bad] = rng.uniform(4, 11, 3)
    found = lawful.check({"params": N, "tokens": D, "loss": L})
    assert sorted(np.flatnonzero(found.outlier)) == sorted(bad)


def test_budget_and_loss_alone_fit_a_curve_and_forecast_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    C = np.geomspace(2e18, 6e20, 6)
    L = 1.9 + 2.2 * (C / 1e16) ** -0.18 + noise(6, 0.003, 2)
    path = table(tmp_path / "runs.csv", compute_budget=C, val_loss=L)
    assert "compute, kaplan-c" in refusal("fit", path)
    widths = []
    for held in ([], ["--fix", "E=1.9"]):
        name = f"out{len(held)}"
        assert "Student's t on" in shell("fit", path, "--law", "compute", *held, "--out", name).output
        found = told("predict", f"{name}/fit.json", "--budget", "1e22")
        low, high = found["interval"]["loss"]
        assert low < 1.9 + 2.2 * 1e6**-0.18 < high
        assert found["verdict"] == "extrapolated"
        widths.append(high - low)
    assert widths[1] < widths[0]


def test_repeated_data_from_the_shell(tmp_path, monkeypatch):
    """Fitted with intervals, predicted and allocated at unique tokens, under a law that made the losses."""
    monkeypatch.chdir(tmp_path)
    N, D = sweep()
    U = 3e9
    law = lawful.LAWS["muennighoff"]
    k = {"E": 1.62, "A": 310.0, "B": 900.0, "alpha": 0.33, "beta": 0.35, "RD": 9.0, "RN": 6.0}
    truth = lawful.Surface(k, law=law)
    L = law.loss(k, N, D, np.full(35, U)) + noise(35, 0.002, 1)
    path = table(tmp_path / "runs.csv", params=N, tokens=D, loss=L, unique_tokens=np.full(35, U))
    plain = told("fit", path, "--budget", "1e22")
    assert "repeated_data" in codes(plain)
    made = told("fit", path, "--law", "muennighoff", "--budget", "1e21", "--out", "rep", "--no-figures")
    assert "repeated_data" not in codes(made)
    assert made["allocations"][0]["interval"]["params"]
    asked = told("predict", "rep/fit.json", "--params", "1B", "--tokens", "60B", "--unique-tokens", "6B")
    low, high = asked["interval"]["loss"]
    assert low - 0.01 < float(law.loss(k, 1e9, 6e10, 6e9)) < high + 0.01
    spent = told("allocate", "rep/fit.json", "--budget", "1e21", "--unique-tokens", "6B")
    (one,) = spent["allocations"]
    best = truth.optimum(1e21, unique=6e9)
    assert one["params"] == pytest.approx(float(best.params), rel=0.25)
    assert one["interval"]["params"][0] < one["params"] < one["interval"]["params"][1]
    assert spent["constrained"][0]["epochs"] == pytest.approx(one["tokens"] / 6e9, rel=0.02)
    wrong = shell("fit", path, "--method", "vpnls", "--intervals", "none", "--out", "plain", "--no-figures")
    assert wrong.exit_code == 0
    asked = ["predict", "plain/fit.json", "--params", "1B", "--tokens", "60B", "--unique-tokens", "6B"]
    assert "does not read unique tokens" in refusal(*asked)


def test_a_table_of_experts_is_priced_by_its_own_flops(tmp_path, monkeypatch):
    """A token costs 1.9 (N/1e8)^-.05 times 6N: predictions, allocations and their budgets are counted so."""
    monkeypatch.chdir(tmp_path)
    N, D = (v.ravel() for v in np.meshgrid(np.geomspace(3e7, 9e8, 5), [2e9, 8e9, 3e10]))
    each = 1.9 * (N / 1e8) ** -0.05
    L = TRUTH.loss(N, D) + noise(15, 0.002, 1)
    path = table(tmp_path / "r.csv", active_parameters=N, train_tokens=D, total_flops=6 * N * D * each, eval_loss=L)
    assert shell("fit", path, "--out", "m").exit_code == 0
    found = told("predict", "m/fit.json", "--params", "4e8", "--tokens", "1e10")
    assert found["budget"] == pytest.approx(6 * 4e8 * 1e10 * 1.9 * 4**-0.05, rel=0.01)
    (one,) = told("allocate", "m/fit.json", "--budget", "3e19")["allocations"]
    spent = 6 * one["params"] * one["tokens"] * 1.9 * (one["params"] / 1e8) ** -0.05
    assert spent == pytest.approx(3e19, rel=0.005)


@pytest.mark.parametrize(
    ("low", "high", "E"), [(1e18, 1e20, 1.7), (1e19, 1e21, 1.5), (1e20, 1e22, 1.6), (1e16, 1e18, 1)]
)
def test_perplexities_without_a_name_are_refused_and_losses_are_not(low, high, E):
    N, D = sweep(low=low, high=high)
    L = TRUTH.loss(N, D) - 1.62 + E
    with pytest.raises(lawful.InputError, match=r"perplexity\? Read it with `columns` loss='log\(final\)'"):
        lawful.read_runs({"params": N, "tokens": D, "final": np.exp(L)}, columns={"loss": "final"})
    runs = lawful.read_runs({"params": N, "tokens": D, "loss": L})
    assert "unit_doubt" not in {note.code for note in runs.notes}


def test_perplexities_of_an_easy_text_are_doubted_where_losses_could_be_as_high():
    N, D = sweep()
    L = TRUTH.loss(N, D) - 1.62 + 0.9
    runs = lawful.read_runs({"params": N, "tokens": D, "loss": np.exp(L)})
    (note,) = [note for note in runs.notes if note.code == "unit_doubt"]
    assert "`columns` loss='log(loss)'" in note.message


def test_a_made_up_curve_far_above_text_is_read():
    N, D = sweep()
    assert len(lawful.read_runs({"params": N, "tokens": D, "loss": TRUTH.loss(N, D) + 3.0})) == 35


@pytest.mark.parametrize("column", ["dataset", "corpus", "data_mix"])
def test_two_corpora_are_several_experiments_in_the_first_line(column, tmp_path):
    N, D = (v.ravel() for v in np.meshgrid(np.geomspace(8e7, 2e9, 4), np.geomspace(2e9, 4e10, 4)))
    both = np.concatenate([TRUTH.loss(N, D), 0.7 * TRUTH.loss(N, D)]) + noise(32, 0.003, 1)
    columns = {column: np.repeat(["web", "code"], 16), "params": np.tile(N, 2), "tokens": np.tile(D, 2), "loss": both}
    result = shell("fit", table(tmp_path / "runs.csv", **columns), "--budget", "1e21")
    said = " ".join(result.output.split())
    assert "doubtful: several experiments were fitted as one" in said
    assert f"by {column}" in said


@pytest.mark.parametrize("seed", range(3))
def test_undertuned_rungs_of_a_ladder_are_named_and_do_not_lead(seed, tmp_path):
    N = np.repeat(np.geomspace(5e7, 3e9, 6), 5)
    D = N * np.tile([8.0, 20.0, 50.0, 120.0, 300.0], 6)
    rng = np.random.default_rng(seed)
    L = TRUTH.loss(N, D) + 0.004 * rng.standard_normal(30)
    bad = rng.choice(30, 5, replace=False)
    L[bad] += rng.uniform(0.04, 0.09, 5)
    found = told("fit", table(tmp_path / "runs.csv", params=N, tokens=D, loss=L), "--budget", "1e22")
    (one,) = found["allocations"]
    low, high = one["interval"]["params"]
    assert low < float(TRUTH.optimum(1e22).params) < high
    said = next(note["message"] for note in found["notes"] if note["code"] == "undertuned")
    assert f"rows {', '.join(map(str, sorted(bad + 1)))}" in said


def test_the_verdict_opens_what_a_saved_fit_answers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    N, D = sweep()
    good = table(tmp_path / "good.csv", params=N, tokens=D, loss=TRUTH.loss(N, D) + noise(35, 0.003, 1))
    cells, counts = np.array([1.2e8, 1.2e8, 3e8, 8e8, 8e8]), np.array([2e9, 9e9, 5e9, 2e9, 9e9])
    n, d = np.repeat(cells, 4), np.repeat(counts, 4)
    bad = table(tmp_path / "bad.csv", params=n, tokens=d, loss=TRUTH.loss(n, d) + noise(20, 0.05, 2))
    for path, budget, verdict in (
        (good, "1e20", "supported"),
        (good, "1e23", "extrapolated"),
        (bad, "1e19", "not identified"),
    ):
        shell("fit", path, "--method", "vpnls", "--out", "saved", "--no-figures")
        at = ["saved/fit.json", "--params", "3e8", "--tokens", f"{float(budget) / 1.8e9:.6g}"]
        for words in (["allocate", "saved/fit.json", "--budget", budget], ["predict", *at]):
            assert shell(*words).stdout.startswith(f"Verdict: {verdict}"), words
            assert told(*words)["verdict"] == verdict
    (one,) = told("allocate", "saved/fit.json", "--budget", "1e20")["allocations"]
    assert one["params"] is one["interval"]["params"] is one["interval"]["tokens"] is one["deadweight"] is None
    row = next(
        line for line in shell("allocate", "saved/fit.json", "--budget", "1e20").stdout.splitlines() if "N*" in line
    )
    assert row.split()[-1] == "-"


@pytest.mark.parametrize("side", ["small", "large"])
@pytest.mark.parametrize("method", ["approach1", "approach2"])
def test_sizes_on_one_side_of_the_valley_tell_no_optimum_by_any_method(side, method, tmp_path, monkeypatch):
    """A parabola is lowest beyond all sizes, the best run stands at their end: both tell where the sweep stopped."""
    rng = np.random.default_rng(3)
    C = np.repeat([2e18, 2e19, 2e20], 7)
    best = 0.13 * (C / 6) ** 0.49 * (10 if side == "large" else 1)
    N = best * np.tile(np.geomspace(0.02, 0.3, 7) if side == "small" else np.geomspace(3, 40, 7), 3)
    loss = 1.7 + 380 / N**0.34 + 700 / (C / (6 * N)) ** 0.3 + 0.003 * rng.standard_normal(21)
    runs = lawful.Runs.from_arrays(N, C / (6 * N), loss, C=C)
    found = lawful.analyse(runs, method=method, budgets=[1e22], draws=20)
    assert found.verdict == "not identified"
    assert np.isnan(found.allocations[0].params)
    assert found.allocations[0].deadweight is None
    note = next(n.message for n in found.notes if n.code == "not_identified")
    assert "at 3 of 3 budgets" in note
    asked = [float(x) * {"M": 1e6, "B": 1e9}[unit] for x, unit in re.findall(r"([\d.]+)([MB]) parameters", note)]
    top = N[C.max() == C]
    assert min(asked) > top.max() if side == "small" else max(asked) < top.min()
    beside = lawful.analyse(runs, method="vpnls", budgets=[1e22], draws=20)
    assert "approach2" not in beside.allocation_sheets(beside.allocations)[0].columns


@pytest.mark.parametrize("method", ["approach1", "approach2"])
def test_two_budgets_with_their_valley_inside_are_enough_for_a_line(method):
    truth = lawful.Surface.named("chinchilla")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002, seed=2)
    low = runs.take((runs.C > 2e18) | (0.7 * truth.optimum(1e18).params > runs.N))
    found = lawful.analyse(low, method=method, budgets=[1e21], draws=0)
    assert found.verdict == "supported"
    assert 0.5 < found.allocations[0].params / truth.optimum(1e21).params < 2


def test_one_ratio_tells_no_optimum_by_the_lower_envelope_either():
    N = np.geomspace(2e7, 5e9, 9)
    runs = lawful.Runs.from_arrays(N, 20 * N, 1.7 + 400 / N**0.34 + 900 / (20 * N) ** 0.3)
    found = lawful.analyse(runs, method="approach1", budgets=[1e23], draws=0)
    assert found.verdict == "not identified"
    assert np.isnan(found.allocations[0].params)
