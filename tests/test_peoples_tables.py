"""One sweep in the shapes that people have: read to the same N*, or refused with a remedy that works."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lawful
from lawful.errors import InputError

TARGET = 3e23
SAME = 2e-3
"""Cells are rounded to four digits, which moves N* by up to a thousandth."""


@pytest.fixture(scope="module")
def sweep() -> dict[str, np.ndarray]:
    """Three budgets of seven sizes with noise, of a truth that no case of ours has."""
    rng = np.random.default_rng(11)
    C = np.repeat([6e18, 6e19, 6e20], 7)
    N = 0.09 * C**0.5 * np.tile(np.geomspace(0.3, 3.0, 7), 3)
    D = C / (6 * N)
    L = 1.85 + 520 / N**0.35 + 1500 / D**0.36 + rng.normal(0, 0.002, N.size)
    order = rng.permutation(N.size)
    return {"N": N[order].round(), "D": D[order].round(), "C": C[order], "L": L[order]}


@pytest.fixture(scope="module")
def best(sweep) -> float:
    """N* of the plain form."""
    return optimum({"N": sweep["N"], "D": sweep["D"], "loss": sweep["L"]})


def optimum(table, **options) -> float:
    return float(lawful.fit(lawful.read_runs(table, **options)).surface.optimum(TARGET).params)


def saved(tmp_path: Path, text: str, name: str = "runs.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def forms(s: dict[str, np.ndarray]) -> dict[str, tuple[dict, str]]:
    """Columns of every form, and the code of the note that says how it was read."""
    N, D, C, L = (s[k] for k in "NDCL")
    return {
        "brackets": ({"Parameters (B)": N / 1e9, "Tokens [T]": D / 1e12, "val loss": L}, "unit_read"),
        "suffixes": ({"n_params_millions": N / 1e6, "training_tokens_b": D / 1e9, "eval_loss": L}, "unit_read"),
        "words": ({"Model Size in millions": N / 1e6, "tokens (billions)": D / 1e9, "Loss": L}, "unit_read"),
        "powers": ({"params (1e6)": N / 1e6, "tokens/1e9": D / 1e9, "loss": L}, "unit_read"),
        "cells": (
            {"size": [f"{n / 1e6:.5g}M" for n in N], "data": [f"{d / 1e9:.5g}B" for d in D], "loss": L},
            "unit_read",
        ),
        "nouns": (
            {"N": [f"{n / 1e6:.6g}M params" for n in N], "D": [f"{d / 1e9:.6g} B tokens" for d in D], "loss": L},
            "unit_read",
        ),
        "thousands": ({"params": [f"{n:,.0f}" for n in N], "tokens": [f"{d:,.0f}" for d in D], "loss": L}, "unit_read"),
        "pfdays": ({"compute (PF-days)": C / 8.64e19, "N": N, "loss": L}, "unit_read"),
        "pfdays in the name": ({"compute_pf_days": C / 8.64e19, "N": N, "loss": L}, "unit_read"),
        "a model is a name": (
            {"Model": [f"lm-{i}" for i in range(N.size)], "Size (B)": N / 1e9, "Tokens (T)": D / 1e12, "loss": L},
            "unit_read",
        ),
        "two that may be sizes": (
            {"model": [f"lm-{i}" for i in range(N.size)], "total_params": N, "data": "web", "tokens": D, "loss": L},
            "column_choice",
        ),
        "zflops": ({"N": N, "ZFLOPs": C / 1e21, "loss": L}, "unit_read"),
        "perplexity": ({"params": N, "tokens": D, "eval_ppl": np.exp(L)}, "recipe"),
        "bits": ({"params": N, "tokens": D, "val_bpb": L / 3}, "loss_unit"),
        "second names": ({"params_total": N, "tokens_trained": D, "lm_loss": L}, "column_choice"),
        "a loss and its text": ({"N": N, "D": D, "Pile test loss (nats)": L}, "column_choice"),
        "words of a loss": ({"N": N, "D": D, "validation cross entropy (C4)": L}, "column_choice"),
        "train and eval": ({"N": N, "D": D, "train/loss": L - 0.1, "eval/loss": L}, "column_choice"),
    }


@pytest.mark.parametrize("form", list(forms(dict.fromkeys("NDCL", np.ones(1)))))
def test_a_stated_unit_is_read_and_said(form, sweep, best):
    columns, code = forms(sweep)[form]
    runs = lawful.read_runs(pd.DataFrame(columns))
    assert code in [note.code for note in runs.notes]
    assert optimum(runs) == pytest.approx(best, rel=SAME)


def test_a_german_table(sweep, best, tmp_path):
    rows = [
        f"{n:.1f};{d:.1f};{loss:.6f}".replace(".", ",")
        for n, d, loss in zip(sweep["N"], sweep["D"], sweep["L"], strict=True)
    ]
    assert optimum(saved(tmp_path, "\n".join(["Params;Tokens;Loss", *rows]))) == pytest.approx(best, rel=SAME)


def test_a_markdown_table_in_a_text(sweep, best, tmp_path):
    rows = [
        f"| **{n:.6g}** | {d:.6g} | {loss:.6f} |" for n, d, loss in zip(sweep["N"], sweep["D"], sweep["L"], strict=True)
    ]
    text = "\n".join(["# Our sweep", "", "| N | D | loss |", "|:--|--:|:-:|", *rows, "", "and so on"])
    assert optimum(saved(tmp_path, text, "sweep.md")) == pytest.approx(best, rel=SAME)


def test_json_in_the_ways_pandas_writes_it(sweep, best, tmp_path):
    frame = pd.DataFrame({"params": sweep["N"], "tokens": sweep["D"], "loss": sweep["L"]})
    for orient in ("records", "columns", "list"):
        text = (
            json.dumps(frame.to_dict("list")) if orient == "list" else frame.to_json(orient=orient, double_precision=15)
        )
        assert optimum(saved(tmp_path, text, f"{orient}.json")) == pytest.approx(best, rel=SAME), orient


def test_nested_records_and_dumps_of_an_api(sweep, best, tmp_path):
    rows = [
        {
            "id": f"x{i}",
            "config": {"model": {"n_params": n}, "lr": {"value": 3e-4}},
            "summary": {"eval/loss": loss, "total_tokens": d},
        }
        for i, (n, d, loss) in enumerate(
            zip(sweep["N"].tolist(), sweep["D"].tolist(), sweep["L"].tolist(), strict=True)
        )
    ]
    rows[0]["summary"]["grad"] = float("nan")
    lines = "\n".join(json.dumps(row) for row in rows)
    mapping = {"params": "model.n_params"}
    assert optimum(saved(tmp_path, lines, "runs.jsonl"), columns=mapping) == pytest.approx(best, rel=SAME)
    assert optimum(saved(tmp_path, json.dumps({"runs": rows}), "runs.json"), columns=mapping) == pytest.approx(
        best, rel=SAME
    )
    flat = pd.DataFrame(
        {
            "summary": [str(r["summary"]) for r in rows],
            "config": [str({"n_params": r["config"]["model"]["n_params"]}) for r in rows],
        }
    )
    flat.to_csv(tmp_path / "api.csv")
    assert optimum(tmp_path / "api.csv") == pytest.approx(best, rel=SAME)


def test_a_workbook(sweep, best, tmp_path):
    pd.DataFrame({"N": sweep["N"], "D": sweep["D"], "loss": sweep["L"]}).to_excel(tmp_path / "runs.xlsx", index=False)
    assert optimum(tmp_path / "runs.xlsx") == pytest.approx(best, rel=SAME)


def test_one_column_of_losses_per_budget(sweep):
    order = np.lexsort((sweep["N"], sweep["C"]))
    N, L = sweep["N"][order].reshape(3, 7), sweep["L"][order].reshape(3, 7)
    wide = pd.DataFrame({"params": N.ravel()} | {f"loss@{c:.0e}": np.nan for c in (6e18, 6e19, 6e20)})
    for i, c in enumerate((6e18, 6e19, 6e20)):
        wide.loc[7 * i : 7 * i + 6, f"loss@{c:.0e}"] = L[i]
    runs = lawful.read_runs(wide)
    assert "wide_table" in [n.code for n in runs.notes]
    assert len(runs) == 21
    np.testing.assert_allclose(np.sort(runs.C), np.sort(sweep["C"]))


UNSTATED = {
    "millions and billions": lambda s: {"params": s["N"] / 1e6, "tokens": s["D"] / 1e9, "loss": s["L"]},
    "billions twice": lambda s: {
        "run": np.arange(21),
        "model_size": s["N"] / 1e9,
        "tokens": s["D"] / 1e9,
        "loss": s["L"],
    },
    "tokens only": lambda s: {"N": s["N"], "tokens": s["D"] / 1e9, "budget": s["C"], "loss": s["L"]},
    "gigaflops": lambda s: {"N": s["N"], "D": s["D"], "flops": s["C"] / 1e9, "loss": s["L"]},
    "petaflop days": lambda s: {"N": s["N"], "D": s["D"], "compute": s["C"] / 8.64e19, "loss": s["L"]},
    "a perplexity called loss": lambda s: {"N": s["N"], "D": s["D"], "loss": np.exp(s["L"] + 0.7)},
    "steps": lambda s: {
        "N": s["N"],
        "steps": s["D"] / (512 * 4096),
        "global_batch_size": 512,
        "seq_len": 4096,
        "loss": s["L"],
    },
    "epochs": lambda s: {"N": s["N"], "epochs": s["D"] / 3e9, "tokens_per_epoch": 3e9, "val_loss": s["L"]},
    "tokens per step": lambda s: {"N": s["N"], "iterations": s["D"] / 2e6, "tokens_per_step": 2e6, "loss": s["L"]},
    "tokens per parameter": lambda s: {"N": s["N"], "tokens_per_param": s["D"] / s["N"], "loss": s["L"]},
    "parameters from a ratio": lambda s: {"tokens": s["D"], "D/N": s["D"] / s["N"], "loss": s["L"]},
    "headers with blanks": lambda s: {
        "N": s["N"],
        "Steps": s["D"] / (512 * 4096),
        "Batch Size": 512,
        "Seq Length": 4096,
        "Loss": s["L"],
    },
    "a loss by a name of its own": lambda s: {
        "N": s["N"],
        "D": s["D"],
        "train_loss": s["L"] - 0.1,
        "final_mixture7_eval_loss": s["L"],
    },
    "a name nearly right": lambda s: {"parms": s["N"], "tokens": s["D"], "loss": s["L"]},
}


@pytest.mark.parametrize("kind", list(UNSTATED))
def test_what_states_no_unit_is_refused_and_its_remedy_reads_it(kind, sweep, best):
    table = pd.DataFrame(UNSTATED[kind](sweep))
    with pytest.raises(InputError, match="`columns`") as caught:
        lawful.read_runs(table)
    said = str(caught.value)
    assert "\n" not in said
    found = re.findall(r"`columns` (\w+)=(?:'([^']+)'|([^' ]+?)\.?(?:,|$| ))", said)
    recipes = {quantity: recipe or plain for quantity, recipe, plain in found}
    runs = lawful.read_runs(table, columns=recipes, as_is=kind == "a perplexity called loss")
    found = optimum(runs)
    if kind != "a perplexity called loss":  # its losses are 0.7 above those of the sweep
        assert found == pytest.approx(best, rel=SAME)


def test_as_is_takes_the_numbers_as_they_are(sweep):
    runs = lawful.read_runs(UNSTATED["millions and billions"](sweep), as_is=True)
    assert runs.N.max() < 1e5


def test_accelerator_hours_name_the_recipe(sweep):
    with pytest.raises(InputError, match=r"`columns` budget='gpu_hours\*3600\*4e14' \(4e14 being the FLOP/s"):
        lawful.read_runs({"gpu_hours": sweep["C"] / 4e14 / 3600, "params": sweep["N"], "loss": sweep["L"]})


@pytest.mark.parametrize("name", ["accuracy", "val_acc", "win_rate"])
def test_a_score_is_no_loss(name, sweep):
    with pytest.raises(InputError, match="The table has no loss"):
        lawful.read_runs({"N": sweep["N"], "D": sweep["D"], name: 1 / sweep["L"]})


@pytest.mark.parametrize("letter", ["b", "k", "M", "t", "G"])
def test_a_column_of_one_letter_is_no_compute_in_that_unit(letter, sweep):
    N = np.geomspace(1e8, 1e9, 9)
    runs = lawful.read_runs({"params": N, "tokens": 20 * N, "loss": 400 / N**0.3 + 1.7, letter: np.full(9, 3.0)})
    assert pytest.approx(120 * N**2) == runs.C


def test_what_rises_with_compute_is_no_loss(sweep):
    with pytest.raises(InputError, match="rises with compute"):
        lawful.read_runs({"N": sweep["N"], "D": sweep["D"], "loss": 1 / sweep["L"]})
    assert len(lawful.read_runs({"N": sweep["N"], "D": sweep["D"], "loss": 1 / sweep["L"]}, as_is=True)) == 21


def test_runs_that_did_not_finish_are_set_aside(sweep):
    state = ["crashed" if i in (3, 8) else "finished" for i in range(21)]
    runs = lawful.read_runs(
        {
            "State": state,
            "N": sweep["N"],
            "D": sweep["D"],
            "loss": np.where(np.isin(np.arange(21), (3, 8)), np.nan, sweep["L"]),
        }
    )
    assert len(runs) == 19
    assert "2 of 21 runs were set aside: column 'State' says 'crashed' (rows 4, 9)" in next(
        n.message for n in runs.notes
    )


def test_a_chart_is_refused_by_name(tmp_path):
    text = "Step,a - loss,a - loss__MIN,a - loss__MAX\n0,3,3,3\n"
    with pytest.raises(InputError, match=r"export of a chart of Weights & Biases .* export the table of runs instead"):
        lawful.read_runs(saved(tmp_path, text))


def test_a_training_loss_is_not_taken_unasked(sweep):
    table = {"N": sweep["N"], "D": sweep["D"], "train_loss": sweep["L"]}
    with pytest.raises(InputError, match="not taken unasked; name it with `columns` loss=train_loss"):
        lawful.read_runs(table)
    assert len(lawful.read_runs(table, columns={"loss": "train_loss"})) == 21


def test_a_recipe_names_what_is_missing(sweep):
    with pytest.raises(InputError, match="'batch'"):
        lawful.read_runs({"N": sweep["N"], "steps": sweep["D"], "loss": sweep["L"]}, columns={"tokens": "steps*batch"})


def test_a_file_that_unpacks_to_too_much_is_not_read(tmp_path, monkeypatch):
    import gzip

    from lawful.sources import files

    monkeypatch.setattr(files, "LARGEST", 1000)
    (tmp_path / "runs.csv.gz").write_bytes(gzip.compress(b"N,D,loss\n" + b"1,2,3\n" * 500))
    with pytest.raises(InputError, match="unpacks to more than"):
        lawful.read_runs(tmp_path / "runs.csv.gz")


def test_a_device_is_not_read():
    with pytest.raises(InputError, match="is a device or a pipe"):
        lawful.read_runs("/dev/zero")


@pytest.fixture(scope="module")
def tuned(sweep) -> pd.DataFrame:
    """Every run at four learning rates, of which the third is best and the last diverges."""
    extra = [0.22, 0.05, 0.0, 1.4]
    rows = [
        {"N": n, "D": d, "peak_lr": lr, "loss": loss + more, "state": "finished"}
        for n, d, loss in zip(sweep["N"], sweep["D"], sweep["L"], strict=True)
        for lr, more in zip((1e-4, 3e-4, 1e-3, 3e-3), extra, strict=True)
    ]
    return pd.DataFrame(rows)


def test_a_sweep_of_hyper_parameters_is_named_and_its_best_kept_on_request(tuned, best):
    (note,) = [n for n in lawful.read_runs(tuned).notes if n.code == "hyperparameter_sweep"]
    assert "21 of 21 cells" in note.message
    assert "'peak_lr'" in note.message
    runs = lawful.read_runs(tuned, best_of_cell=True)
    assert len(runs) == 21
    assert "best_of_cell" in [n.code for n in runs.notes]
    assert optimum(runs) == pytest.approx(best, rel=SAME)


def test_seeds_are_no_sweep_of_hyper_parameters(sweep):
    frame = pd.DataFrame({"N": sweep["N"], "D": sweep["D"], "loss": sweep["L"]})
    twice = pd.concat([frame.assign(seed=0), frame.assign(seed=1, loss=frame.loss + 0.001)])
    assert "hyperparameter_sweep" not in [n.code for n in lawful.read_runs(twice).notes]


def test_rows_by_a_condition_and_rows_by_number(tuned, sweep, best):
    chosen = lawful.read_runs(tuned, where="peak_lr == 1e-3 and state == 'finished'")
    assert optimum(chosen) == pytest.approx(best, rel=SAME)
    assert "63 of 84 runs are left out" in " ".join(n.message for n in chosen.notes)
    assert len(lawful.read_runs(tuned, where="tokens > 0", drop=(1, 2))) == 82
    for options, message in (
        ({"where": "loss > 99"}, "No run meets"),
        ({"where": "lss < 3"}, "'lss'"),
        ({"where": "loss + 1"}, "takes a condition"),
        ({"where": "loss < 'low'"}, "computes with a text"),
        ({"columns": {"tokens": "D*state"}}, "must hold numbers"),
        ({"columns": {"tokens": "0 + 'a'"}}, "computes with a text"),
        ({"drop": (999,)}, "row 999"),
    ):
        with pytest.raises(InputError, match=message):
            lawful.read_runs(tuned, **options)


@pytest.mark.parametrize("spread", [0.02, 0.12])
def test_budgets_are_cut_at_gaps(spread):
    rng = np.random.default_rng(8)
    C = np.repeat([1e18, 3e18, 9e18, 2.7e19], 6) * (1 + rng.uniform(-spread, spread, 24))
    N = 0.1 * C**0.5 * np.tile(np.geomspace(0.4, 2.5, 6), 4)
    runs = lawful.read_runs({"N": N, "D": C / (6 * N), "loss": 1.7 + 400 / N**0.34 + 900 / (C / (6 * N)) ** 0.3})
    assert runs.budgets.size == 4
    assert np.bincount(runs.group).tolist() == [6, 6, 6, 6]


@pytest.mark.filterwarnings("error")
def test_sizes_near_the_largest_float_are_refused_without_a_warning(sweep):
    table = {
        "N": np.full(len(sweep["N"]), 1e308),
        "D": sweep["D"],
        "loss": sweep["L"],
        "C": 6 * sweep["N"] * sweep["D"],
    }
    with pytest.raises(InputError, match="Params lie between 1e308"):
        lawful.isoflop_points(table, budgets=4)
