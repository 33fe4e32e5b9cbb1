"""Tables as the tools that people name write them, made up in the same shape: read, with a note of what was taken."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import lawful
from lawful.errors import InputError


@pytest.fixture
def sweep() -> pd.DataFrame:
    rng = np.random.default_rng(9)
    C = np.repeat([2e18, 8e18, 3.2e19], 6)
    N = 0.11 * C**0.5 * np.tile(np.geomspace(0.4, 2.5, 6), 3)
    D = C / (6 * N)
    return pd.DataFrame(
        {"N": N, "D": D, "C": C, "L": 1.7 + 430 / N**0.34 + 1500 / D**0.36 + rng.normal(0, 0.002, N.size)}
    )


def chosen(runs: lawful.Runs) -> list[str]:
    return [note.message for note in runs.notes if note.code == "column_choice"]


def test_results_of_nanochat(sweep):
    """One row per run, several counts of N, the loss in bits per byte."""
    wte = 5e4 * np.sqrt(sweep.N)
    table = pd.DataFrame(
        {
            "flops_budget": sweep.C,
            "depth": np.tile(np.arange(8, 20, 2), 3),
            "params_wte": wte,
            "params_lm_head": wte,
            "params_transformer": sweep.N - 2 * wte,
            "params_total": sweep.N,
            "num_iterations": (sweep.D / 524288).round(),
            "tokens_trained": sweep.D,
            "val_bpb": sweep.L / 3,
        }
    )
    found = lawful.look(table)
    assert found.runs.columns == {
        "params": "params_total",
        "tokens": "tokens_trained",
        "loss": "val_bpb",
        "budget": "flops_budget",
    }
    assert {c.taken_for: c.unit for c in found.columns}["loss"] == "bits per byte"
    assert "Column 'params_total' was taken for params." in chosen(found.runs)
    assert "loss_unit" in [note.code for note in found.runs.notes]
    np.testing.assert_allclose(found.runs.N, sweep.N)


def state(row: pd.Series, *, tokens: bool = True) -> dict:
    history = [
        {"epoch": 0.5, "learning_rate": 3e-4, "loss": row.L + 0.4, "step": 50},
        {"epoch": 0.5, "eval_loss": row.L + 0.5, "eval_runtime": 3.1, "step": 50},
        {"epoch": 1.0, "learning_rate": 0.0, "loss": row.L - 0.1, "step": 100},
        {"epoch": 1.0, "eval_loss": row.L, "eval_runtime": 3.0, "step": 100},
        {"epoch": 1.0, "total_flos": row.C, "train_loss": row.L + 0.3, "train_runtime": 60.0, "step": 100},
    ]
    seen = int(row.D) if tokens else 0
    return {
        "best_metric": None,
        "epoch": 1.0,
        "global_step": 100,
        "is_world_process_zero": True,
        "log_history": history,
        "num_input_tokens_seen": seen,
        "total_flos": row.C,
        "stateful_callbacks": {},
    }


def test_trainer_states_of_hugging_face(sweep, tmp_path):
    """One file per run: tokens and FLOPs as the Trainer counts them, the last evaluation."""
    for i, row in sweep.iterrows():
        (tmp_path / f"run{i:02}").mkdir()
        (tmp_path / f"run{i:02}" / "trainer_state.json").write_text(json.dumps(state(row)))
    runs = lawful.read_runs(str(tmp_path / "run*" / "trainer_state.json"))
    assert runs.columns == {"tokens": "num_input_tokens_seen", "loss": "eval_loss", "budget": "total_flos"}
    assert "Column 'total_flos' was taken for budget." in chosen(runs)
    assert any("not 'train_loss'" in message for message in chosen(runs))
    np.testing.assert_allclose(runs.L, sweep.L)
    np.testing.assert_allclose(runs.N, sweep.C / (6 * sweep.D.astype(int)))


def test_a_trainer_that_counted_no_tokens_is_refused(sweep, tmp_path):
    (tmp_path / "trainer_state.json").write_text(json.dumps(state(sweep.iloc[0], tokens=False)))
    with pytest.raises(InputError, match=r"params may be called .*; tokens may be called"):
        lawful.read_runs(tmp_path / "trainer_state.json")
