"""Columns that no part of the law reads: found where they move the loss, left alone where they do not."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest
from typer.testing import CliRunner

import lawful
from lawful.cli import main
from lawful.cli.app import app
from lawful.trust.unused import repeated_note, unused_columns, unused_notes
from lawful.uncertainty.explained import Cause, explained

E, A, ALPHA, B, BETA = 1.58, 280.0, 0.32, 1100.0, 0.36


def sweep(budgets=5, sizes=7):
    C = np.repeat(np.geomspace(2e18, 3e20, budgets), sizes)
    N = np.sqrt(C / 130) * np.tile(np.geomspace(0.2, 5, sizes), budgets)
    return N, C / 6 / N


def grid():
    N, D = (v.ravel() for v in np.meshgrid(np.geomspace(5e7, 2e9, 6), np.geomspace(1e9, 4e10, 6)))
    return N, D


def law(N, D, inside=1.0):
    return E + A * inside / N**ALPHA + B / D**BETA


def fit_of(N, D, L, seed=0, sigma=0.003, **columns):
    noise = sigma * np.random.default_rng([seed, 5]).standard_normal(N.size)
    return lawful.fit({"N": N, "D": D, "loss": L + noise, **columns})


@pytest.mark.parametrize("design", [sweep, grid])
@pytest.mark.parametrize("name", ["num_experts", "moe.experts", "granularity"])
def test_a_factor_on_the_size_is_found_with_its_direction(design, name):
    N, D = design()
    values = np.random.default_rng(3).choice([2, 8, 32, 128], N.size)
    fit = fit_of(N, D, law(N, D, values**-0.08), **{name: values, "total_size": N * values})
    (found,) = unused_columns(fit)
    assert (found.name, found.sign, found.beside) == (name, -1, ("total_size",))
    assert found.share > 0.5
    assert found.p < 0.01


def test_the_best_learning_rate_lies_in_a_valley():
    N, D = grid()
    lr = np.random.default_rng(1).choice([1e-4, 3e-4, 1e-3, 3e-3], N.size)
    fit = fit_of(N, D, law(N, D) + 0.01 * np.log(lr / 5e-4) ** 2, peak=lr)
    (found,) = unused_columns(fit)
    assert (found.name, found.sign) == ("peak", 0)


def test_a_second_column_is_named_by_what_the_first_leaves():
    N, D = sweep(6, 9)
    rng = np.random.default_rng(2)
    experts, batch = rng.choice([4, 16, 64], N.size), 2.0 ** rng.integers(18, 23, N.size)
    fit = fit_of(N, D, law(N, D, experts**-0.08) + 0.006 * np.log(batch / 2**20), experts=experts, batch_tokens=batch)
    assert [(one.name, one.sign) for one in unused_columns(fit)] == [("experts", -1), ("batch_tokens", 1)]
    (note,) = unused_notes(fit)
    assert note.message.startswith("Column 'experts', which no part of the law reads, explains ")
    assert "; column 'batch_tokens' explains " in note.message


SILENT = {
    "run_id": lambda N, D, L: np.random.default_rng(0).permutation(N.size),
    "seed": lambda N, D, L: np.argsort(np.argsort(L - law(N, D))),
    "start_date": lambda N, D, L: 20240101 + np.argsort(np.argsort(L - law(N, D))) % 28,
    "when": lambda N, D, L: 20240101 + np.argsort(np.argsort(L - law(N, D))) % 28,
    "step": lambda N, D, L: np.argsort(np.argsort(L - law(N, D))),
    "train_loss": lambda N, D, L: L - 0.02,
    "benchmark": lambda N, D, L: 100 * np.exp(-0.8 * L),
    "flops_measured": lambda N, D, L: 6.3 * N * D + 1e9 * D,
    "layers": lambda N, D, L: np.round(0.05 * N**0.3),
    "tokens_each": lambda N, D, L: D / N,
    "counter": lambda N, D, L: np.arange(N.size),
}


@pytest.mark.parametrize("name", SILENT)
@pytest.mark.parametrize("k", [1.0, 0.5])
def test_names_dates_outcomes_and_functions_of_size_and_tokens_raise_nothing(name, k):
    """Also where the law is wrong, so that whatever follows size and tokens follows its residuals."""
    N, D = sweep()
    L = E + ((A / N**ALPHA) ** (1 / k) + (B / D**BETA) ** (1 / k)) ** k
    L = L + 0.004 * np.random.default_rng(9).standard_normal(N.size)
    fit = lawful.fit({"N": N, "D": D, "loss": L, name: SILENT[name](N, D, L)})
    assert unused_columns(fit) == ()


def test_columns_of_chance_are_left_alone():
    """Of 30 clean sweeps with six columns, two of them correlated with N or D, at most two may be noted."""
    N, D = sweep()
    raised = 0
    for seed in range(30):
        rng = np.random.default_rng([seed, 23])
        n = N.size
        columns = {
            "noise_scale": rng.lognormal(0, 1, n),
            "lr": rng.choice([1e-4, 3e-4, 1e-3], n),
            "shift": rng.standard_normal(n),
            "width": np.sqrt(N) * np.exp(0.4 * rng.standard_normal(n)),
            "vocab": np.round(D**0.3 * np.exp(0.5 * rng.standard_normal(n))),
            "depth": np.round(N**0.25 * np.exp(0.1 * rng.standard_normal(n))),
        }
        raised += bool(unused_columns(fit_of(N, D, law(N, D), seed, **columns)))
    assert raised <= 2


def test_a_column_that_stands_still_in_a_size_counts_each_size_once():
    """With an error that runs of a size share, any column of the sizes follows the residuals of many runs."""
    N, D = (v.ravel() for v in np.meshgrid(np.geomspace(5e7, 2e9, 12), np.geomspace(1e9, 4e10, 5), indexing="ij"))
    raised = 0
    for seed in range(20):
        rng = np.random.default_rng([seed, 31])
        own = np.repeat(rng.standard_normal(12), 5)
        depth = np.repeat(rng.choice([8, 16, 24, 32], 12), 5)
        raised += bool(unused_columns(fit_of(N, D, law(N, D) + 0.006 * own, seed, depth=depth)))
    assert raised <= 2


def test_what_a_column_explains_is_the_textbooks_share():
    rng = np.random.default_rng(4)
    known, x = np.column_stack([np.ones(40), rng.standard_normal(40)]), rng.choice([0.0, 1.0], 40)
    y = known @ [1.0, 2.0] + 0.5 * x + 0.2 * rng.standard_normal(40)
    found = explained(y, known, Cause.of(x, np.ones(40)), {}, 1)
    both = np.column_stack([known, x])
    rss = [float(((y - m @ np.linalg.lstsq(m, y, rcond=None)[0]) ** 2).sum()) for m in (known, both)]
    assert found.share == pytest.approx(1 - rss[1] / rss[0], rel=1e-9)
    assert found.sign == 1


def test_the_law_it_names_can_be_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    N, D = sweep()
    experts = np.random.default_rng(3).choice([2, 8, 32], N.size)
    L = law(N, D, experts**-0.1) + 0.002 * np.random.default_rng(8).standard_normal(N.size)
    rows = [",".join(map(repr, row)) for row in zip(*(v.tolist() for v in (N, D, experts, L)), strict=True)]
    (tmp_path / "my runs.csv").write_text("\n".join(["params,tokens,no of experts,loss", *rows]), encoding="utf-8")
    result = CliRunner().invoke(app, ["fit", "my runs.csv", "--budget", "1e22"])
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    said = said[said.index("note unused_column") :]
    fit, then = re.search(r"lawful (fit .+?); then lawful (allocate .+?=)VALUE", said).groups()
    made = CliRunner().invoke(app, shlex.split(fit))
    assert made.exit_code == 0, made.output
    words = [word if word != "C" else "1e22" for word in shlex.split(then.removesuffix("=") + "=8")]
    asked = CliRunner().invoke(app, words)
    assert asked.exit_code == 0, asked.output
    truth = lawful.Surface({"E": E, "A": A * 8**-0.1, "B": B, "alpha": ALPHA, "beta": BETA}).optimum(1e22)
    size = float(re.search(r"parameters N\*\s+([\d.]+)B", asked.output).group(1))
    assert size == pytest.approx(float(truth.params) / 1e9, rel=0.15)


def test_a_note_of_repeats_names_the_laws_for_them():
    N, D = sweep()
    few = {"U": np.full(N.size, 3e9)}
    (note,) = repeated_note(fit_of(N, D, law(N, D), **few))
    assert f"up to {D.max() / 3e9:.3g} times" in note.message
    assert "--law muennighoff" in note.message
    assert repeated_note(fit_of(N, D, law(N, D), U=D)) == ()
    assert repeated_note(lawful.fit({"N": N, "D": D, "loss": law(N, D), **few}, law="lovelace")) == ()


def test_runs_that_a_fit_saved_hold_no_cause_in_what_it_made_of_them(tmp_path):
    truth = lawful.Surface.named("chinchilla")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.005, seed=3)
    runs.to_frame().to_csv(tmp_path / "runs.csv", index=False)
    assert main(["fit", str(tmp_path / "runs.csv"), "--out", str(tmp_path / "first"), "--figures", "none"]) == 0
    again = lawful.fit(tmp_path / "first" / "runs.csv")
    assert "residual" in again.runs.labels
    assert unused_columns(again) == ()
