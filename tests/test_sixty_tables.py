"""
Sixty tables as other people keep them: each is read to the runs behind it, or refused, or read with a word of doubt.

A reading is silent and wrong where the runs differ from those behind the table and no note says why. None may be.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lawful
from lawful.errors import InputError

RNG = np.random.default_rng(2719)
C = np.repeat([2e18, 9e18, 4e19, 2e20], 8)
N = (0.11 * np.sqrt(C) * np.tile(np.geomspace(0.25, 4.0, 8), 4)).round()
D = (C / (6 * N)).round()
LOSS = 1.82 + 480 / N**0.33 + 1250 / D**0.35 + RNG.normal(0, 0.003, N.size)
ONE = np.ones(N.size)
ROUNDED = 5e-3
"""Cells such as 125M have three or four digits."""


def short(value: float, digits: int = 4) -> str:
    """A count as people write it: 21.8M, 1.304B."""
    for scale, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if value >= scale:
            return f"{value / scale:.{digits}g}{letter}"
    return f"{value:.0f}"


def cells(values: np.ndarray, form: str = "{}") -> list[str]:
    return [form.format(short(v)) for v in values]


TRIED = np.repeat(LOSS, 3) + np.tile([0.1, 0, 0.4], 32)
"""Losses of three settings of every run."""


def thrice() -> dict[str, np.ndarray]:
    """Sizes and tokens of every run, three times."""
    return {"N": np.repeat(N, 3), "D": np.repeat(D, 3)}


def odd(low: float, *rest: float) -> np.ndarray:
    """A column that goes through some values, row by row."""
    return np.resize(np.array([low, *rest]), N.size)


# Read without a doubt: the runs are those behind the table.
READ: dict[str, Callable[[], dict[str, Any]]] = {
    "names of GPT-NeoX": lambda: {"n_params": N, "train_tokens": D, "val_loss": LOSS},
    "names of transformers": lambda: {"num_parameters": N, "tokens_seen": D, "eval/loss": LOSS},
    "non-embedding": lambda: {"non_embedding_params": N, "total_tokens": D, "final_loss": LOSS},
    "units of 1e18": lambda: {"n_params": N, "flops_1e18": C / 1e18, "val_loss": LOSS},
    "units of 1e18 in brackets": lambda: {"N": N, "FLOPs (1e18)": C / 1e18, "loss": LOSS},
    "units of 10^18, a sign": lambda: {"N": N, "Compute (x10^18 FLOPs)": C / 1e18, "loss": LOSS},
    "a power before the noun": lambda: {"N (10^6)": N / 1e6, "D (10^9 tokens)": D / 1e9, "loss": LOSS},
    "exaflops": lambda: {"N": N, "train_exaflops": C / 1e18, "Eval Loss": LOSS},
    "EFLOPs": lambda: {"params": N, "compute_eflops": C / 1e18, "loss": LOSS},
    "a noun after the letter": lambda: {"Size (M params)": N / 1e6, "Data (B tokens)": D / 1e9, "Loss": LOSS},
    "a hash for a number": lambda: {"# params (M)": N / 1e6, "# tokens (B)": D / 1e9, "loss": LOSS},
    "bytes, bits": lambda: {"params": N, "tokens": D, "bits_per_byte": LOSS / 3.1},
    "bits in a path": lambda: {"params": N, "tokens": D, "eval/bpb": LOSS / 3.1},
    "perplexity in a path": lambda: {"params": N, "tokens": D, "eval/perplexity": np.exp(LOSS)},
    "perplexity, shouted": lambda: {"params": N, "tokens": D, "Val PPL": np.exp(LOSS)},
    "perplexity on a test set": lambda: {"params": N, "tokens": D, "test_ppl": np.exp(LOSS)},
    "nats in brackets": lambda: {"params": N, "tokens": D, "val loss (nats)": LOSS},
    "bits per token": lambda: {"params": N, "tokens": D, "val loss (bits/token)": LOSS / np.log(2)},
    "cells": lambda: {"model": cells(N), "tokens": cells(D), "loss": LOSS},
    "cells with blanks": lambda: {"size": cells(N, "{} params"), "n_tokens": cells(D, "~{}"), "loss": LOSS},
    "powers of ten in cells": lambda: {
        "N": [f"{n / 10 ** int(np.log10(n)):.6f}×10^{int(np.log10(n))}" for n in N],
        "D": D,
        "loss": LOSS,
    },
    "logarithms": lambda: {"log10_params": np.log10(N), "log10_tokens": np.log10(D), "loss": LOSS},
    "natural logarithms": lambda: {"ln N": np.log(N), "ln D": np.log(D), "loss": LOSS},
    "thousands and millions": lambda: {"params (K)": N / 1e3, "tokens (M)": D / 1e6, "loss": LOSS},
    "petaflop/s-days": lambda: {"N": N, "petaflop/s-days": C / 8.64e19, "loss": LOSS},
    "a perplexity beside a loss of training": lambda: {
        "N": N,
        "D": D,
        "train_loss": LOSS - 0.1,
        "val_ppl": np.exp(LOSS),
    },
    "W&B": lambda: {
        "Name": [f"run-{i}" for i in range(N.size)],
        "State": ["finished"] * N.size,
        "parameter_count": N,
        "throughput/total_tokens": D,
        "eval/loss": LOSS,
        "train/loss": LOSS - 0.05,
    },
    "a plan and what came of it": lambda: {"N": N, "planned_tokens": D * odd(1.0, 1.25), "tokens": D, "loss": LOSS},
    "a target and what came of it": lambda: {"N": N, "tokens": D * odd(1.0, 1.25), "tokens_seen": D, "loss": LOSS},
    "the FLOPs of a plan": lambda: {
        "params": N,
        "tokens_seen": D,
        "planned_flops": C * odd(1.0, 1.5),
        "val_loss": LOSS,
    },
    "a rate beside the rest": lambda: {"N": N, "D": D, "tflops_per_gpu": odd(410, 380), "loss": LOSS},
    "decimal commas of three digits": lambda: {
        "N": N,
        "D": D,
        "loss": [f"{x:.3f}".replace(".", ",") for x in LOSS],
    },
    "millions with a comma": lambda: {
        "Params (Mio)": [f"{n / 1e6:.3f}".replace(".", ",") for n in N],
        "Tokens (Mrd)": [f"{d / 1e9:.3f}".replace(".", ",") for d in D],
        "Loss": LOSS,
    },
}


def crashed(column: str, bad: Any, good: Any) -> dict[str, Any]:
    """Two runs that ended early, at a loss far above theirs."""
    worse = np.isin(np.arange(N.size), (5, 20))
    values = [bad if w else good for w in worse]
    return {"N": N, "D": D, "loss": np.where(worse, LOSS + 2.0, LOSS), column: values}


# Rows that are no runs, set aside with a note.
CRASHED: dict[str, Callable[[], dict[str, Any]]] = {
    "W&B state": lambda: crashed("State", "crashed", "finished"),
    "status with a reason": lambda: crashed("status", "Failed (OOM)", "done"),
    "a path": lambda: crashed("run.state", "killed", "finished"),
    "a job": lambda: crashed("job_status", "PREEMPTED", "COMPLETED"),
    "completed": lambda: crashed("completed", False, True),
    "diverged": lambda: crashed("diverged", True, False),
    "finished as 0 and 1": lambda: crashed("finished", 0, 1),
    "yes and no": lambda: crashed("crashed?", "yes", "no"),
    "stopped": lambda: crashed("Status", "stopped early", "ok"),
    "exit code": lambda: crashed("exit_code", 137, 0),
}

# Read with a note of this code, or refused: the table alone does not say which is right.
SAID: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "rates by another name": (
        "hyperparameter_sweep",
        lambda: (
            {k: np.repeat(v, 3) for k, v in {"N": N, "D": D}.items()}
            | {
                "max_learning_rate": np.tile([1e-4, 3e-4, 1e-3], 32),
                "loss": TRIED,
            }
        ),
    ),
    "a column that no one knows": (
        "hyperparameter_sweep",
        lambda: (
            {k: np.repeat(v, 3) for k, v in {"N": N, "D": D}.items()}
            | {"eta": np.tile([0.5, 1.0, 2.0], 32), "loss": TRIED}
        ),
    ),
    "a path to the rate": (
        "hyperparameter_sweep",
        lambda: (
            {k: np.repeat(v, 3) for k, v in {"N": N, "D": D}.items()}
            | {"optim/lr": np.tile([1e-4, 3e-4, 1e-3], 32), "loss": TRIED}
        ),
    ),
    "no column tells": (
        "hyperparameter_sweep",
        lambda: {k: np.repeat(v, 3) for k, v in {"N": N, "D": D}.items()} | {"loss": TRIED},
    ),
    "two splits": (
        "several_experiments",
        lambda: {
            "N": np.tile(N, 2),
            "D": np.tile(D, 2),
            "split": ["train"] * 32 + ["val"] * 32,
            "loss": np.r_[LOSS - 0.2, LOSS],
        },
    ),
    "two optimizers": (
        "several_experiments",
        lambda: {"N": N, "D": D, "optimizer": np.resize(["adamw", "muon"], 32), "loss": LOSS - odd(0, 0.08)},
    ),
    "two tokenizers": (
        "several_experiments",
        lambda: {"N": N, "D": D, "tokenizer": np.resize(["gpt2", "llama"], 32), "loss": LOSS - odd(0, 0.3)},
    ),
    "thousands beside counts": ("unit_doubt", lambda: {"params": N / 1e3, "tokens": D, "loss": LOSS}),
    "millions of both": ("unit_doubt", lambda: {"N": N / 1e4, "D": D / 1e4, "loss": LOSS}),
    "epochs over a corpus": (
        "unit_doubt",
        lambda: {"N": N, "tokens": D / odd(1, 2, 4), "epochs": odd(1, 2, 4), "loss": LOSS},
    ),
    "two counts of N": (
        "column_choice",
        lambda: {"params": N, "non_embedding_params": N * 0.8, "tokens": D, "loss": LOSS},
    ),
    "active of all": ("column_choice", lambda: {"total_params": N * 6, "params": N, "tokens": D, "loss": LOSS}),
}

# Refused, with a word that the sentence has.
REFUSED: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "millions, billions": ("millions", lambda: {"n_params": N / 1e6, "tokens_seen": D / 1e9, "loss": LOSS}),
    "millions of tokens": ("tokens", lambda: {"params": N * 50, "tokens": D * 50 / 1e6, "loss": LOSS}),
    "trillions": ("trillions|billions", lambda: {"params": N, "tokens": D * 100 / 1e12, "loss": LOSS}),
    "FLOPs in MFLOPs": ("unit", lambda: {"params": N, "flops": C / 1e6, "loss": LOSS}),
    "a low perplexity": ("perplexity", lambda: {"N": N * 30, "D": D * 30, "loss": np.exp(LOSS - 1.2)}),
    "loss and a test loss": ("test_loss", lambda: {"N": N, "D": D, "loss": LOSS - 0.2, "test_loss": LOSS}),
    "the last loss and a validation": (
        "final_val_loss",
        lambda: {"N": N, "D": D, "final_loss": LOSS - 0.2, "final_val_loss": LOSS},
    ),
    "loss and a perplexity": ("val_ppl", lambda: {"N": N, "D": D, "loss": LOSS - 0.2, "val_ppl": np.exp(LOSS)}),
    "loss and a path": ("eval/c4/loss", lambda: {"N": N, "D": D, "loss": LOSS - 0.2, "eval/c4/loss": LOSS}),
    "a rate of tokens": ("tokens", lambda: {"N": N, "tokens_per_second": odd(1e5, 2e5), "loss": LOSS}),
    "FLOPs a second": ("params, tokens", lambda: {"N": N, "FLOPs/s": odd(4e14, 4.1e14), "loss": LOSS}),
    "small batches": (
        r"tokens='steps\*per_device_train_batch_size\*gradient_accumulation_steps\*seq_len'",
        lambda: {
            "N": N,
            "steps": D / (8 * 64 * 2048),
            "per_device_train_batch_size": 8 * ONE,
            "gradient_accumulation_steps": 64 * ONE,
            "seq_len": 2048 * ONE,
            "loss": LOSS,
        },
    ),
    "batches of tokens": (
        r"tokens='steps\*batch_size'",
        lambda: {"N": N, "steps": D / 524288, "batch_size": 524288 * ONE, "seq_len": 2048 * ONE, "loss": LOSS},
    ),
    "hours": ("3600", lambda: {"N": N, "GPU hours": C / 4e14 / 3600, "loss": LOSS}),
    "hours of a card": ("3600", lambda: {"N": N, "A100-hours": C / 4e14 / 3600, "loss": LOSS}),
    "powers without a name": (r"10\^", lambda: {"params": np.log10(N), "tokens": np.log10(D), "loss": LOSS}),
    "histories under the planned tokens": (
        "row_of_run",
        lambda: {
            "run": np.repeat([f"r{i}" for i in range(32)], 3),
            "N": np.repeat(N, 3),
            "tokens": np.repeat(D, 3),
            "_step": np.tile([100, 200, 300], 32),
            "val_loss": np.repeat(LOSS, 3) + np.tile([1.0, 0.3, 0.0], 32),
        },
    ),
    "cells with a unit and without": (
        "state a unit",
        lambda: {
            "N": [short(n) if n >= 1e9 else f"{n / 1e6:.4g}" for n in N],
            "D": D,
            "loss": LOSS,
        },
    ),
    "accuracy": ("no loss", lambda: {"N": N, "D": D, "hellaswag_acc": 1 / LOSS}),
}


def same(runs: lawful.Runs, keep: Any = slice(None), scale: float = 1.0) -> bool:
    want = np.array([N[keep], D[keep], LOSS[keep] * scale])
    have = np.array([runs.N, runs.D, runs.L])
    if have.shape != want.shape:
        return False
    want, have = (a[:, np.lexsort(a[:2])] for a in (want, have))
    return bool(np.allclose(have, want, rtol=ROUNDED))


def saved(table: dict[str, Any], folder: Path) -> Path:
    path = folder / "theirs.csv"
    pd.DataFrame(table).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("kind", READ)
def test_it_is_read(kind, tmp_path):
    runs = lawful.read_runs(saved(READ[kind](), tmp_path))
    assert same(
        runs, scale=1 / 3.1 if "bits_per_byte" in runs.columns["loss"] or "bpb" in runs.columns["loss"] else 1.0
    )


@pytest.mark.parametrize("kind", CRASHED)
def test_runs_that_ended_early_are_set_aside(kind, tmp_path):
    runs = lawful.read_runs(saved(CRASHED[kind](), tmp_path))
    assert "set_aside" in [note.code for note in runs.notes]
    assert same(runs, np.setdiff1d(np.arange(N.size), (5, 20)))


@pytest.mark.parametrize("kind", SAID)
def test_what_is_doubtful_is_said(kind, tmp_path):
    code, table = SAID[kind]
    assert code in [note.code for note in lawful.read_runs(saved(table(), tmp_path)).notes]


@pytest.mark.parametrize("kind", REFUSED)
def test_it_is_refused(kind, tmp_path):
    word, table = REFUSED[kind]
    with pytest.raises(InputError, match=word):
        lawful.read_runs(saved(table(), tmp_path))


def plain() -> pd.DataFrame:
    return pd.DataFrame({"N": N, "D": D, "loss": LOSS})


def test_a_workbook_with_a_title(tmp_path):
    plain().to_excel(tmp_path / "r.xlsx", index=False, startrow=3)
    from openpyxl import load_workbook

    book = load_workbook(tmp_path / "r.xlsx")
    book.active["A1"] = "Sweep of the autumn"
    book.save(tmp_path / "r.xlsx")
    assert same(lawful.read_runs(tmp_path / "r.xlsx"))


def test_a_sheet_per_budget(tmp_path):
    with pd.ExcelWriter(tmp_path / "r.xlsx") as book:
        for budget in np.unique(C):
            plain()[budget == C].to_excel(book, sheet_name=f"{budget:.0e}", index=False)
    assert same(lawful.read_runs(tmp_path / "r.xlsx"))


def test_two_sheets_of_runs_that_differ(tmp_path):
    with pd.ExcelWriter(tmp_path / "r.xlsx") as book:
        plain().to_excel(book, sheet_name="a", index=False)
        plain().rename(columns={"N": "params"}).to_excel(book, sheet_name="b", index=False)
    with pytest.raises(InputError, match="sheets"):
        lawful.read_runs(tmp_path / "r.xlsx")


def markdown(frame: pd.DataFrame) -> str:
    rows = [" | ".join(map(str, row)) for row in frame.itertuples(index=False)]
    return "\n".join([f"| {' | '.join(frame.columns)} |", "|---" * frame.shape[1] + "|", *(f"| {r} |" for r in rows)])


def test_a_markdown_table_per_budget(tmp_path):
    (tmp_path / "r.md").write_text("\n\n".join(f"## {b:.0e}\n\n{markdown(plain()[b == C])}" for b in np.unique(C)))
    assert same(lawful.read_runs(tmp_path / "r.md"))


def test_a_markdown_table_after_another(tmp_path):
    settings = markdown(pd.DataFrame({"setting": ["lr", "wd"], "value": ["3e-4", "0.1"]}))
    (tmp_path / "r.md").write_text(f"{settings}\n\nruns:\n\n{markdown(plain())}\n")
    assert same(lawful.read_runs(tmp_path / "r.md"))


@pytest.mark.parametrize("mark", ["# units as counted\n", "# sweep 7\n# losses on c4\n"])
def test_a_comment_over_the_header(mark, tmp_path):
    (tmp_path / "r.csv").write_text(mark + plain().to_csv(index=False))
    assert same(lawful.read_runs(tmp_path / "r.csv"))


def test_a_line_of_means(tmp_path):
    frame = plain().assign(run=[f"r{i}" for i in range(N.size)])
    frame.loc[len(frame)] = [N.mean(), D.mean(), LOSS.mean(), "mean"]
    frame.to_csv(tmp_path / "r.csv", index=False)
    runs = lawful.read_runs(tmp_path / "r.csv")
    assert same(runs)
    assert "set_aside" in [note.code for note in runs.notes]


def test_nested_records(tmp_path):
    lines = [
        {"run": {"id": i, "state": "finished"}, "model": {"num_params": n}, "train": {"tokens": d}, "eval": {"loss": x}}
        for i, (n, d, x) in enumerate(zip(N.tolist(), D.tolist(), LOSS.tolist(), strict=True))
    ]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert same(lawful.read_runs(tmp_path / "r.jsonl"))


def test_one_column_of_losses_per_size(tmp_path):
    wide = pd.DataFrame({"tokens": np.geomspace(1e9, 1e10, 5)} | {s: np.linspace(3, 2.5, 5) for s in ("125M", "1.3B")})
    wide.to_csv(tmp_path / "r.csv", index=False)
    try:
        runs = lawful.read_runs(tmp_path / "r.csv")
    except InputError:
        return
    assert set(runs.N.tolist()) == {1.25e8, 1.3e9}


def test_a_loss_in_bits_is_called_so():
    runs = lawful.read_runs({"N": N, "D": D, "loss_bits": LOSS / np.log(2)}, columns={"loss": "loss_bits"})
    assert "bits per token" in next(note.message for note in runs.notes if note.code == "loss_unit")


def test_the_last_and_the_best_row_of_a_run():
    history = {
        "run": np.repeat([f"r{i}" for i in range(32)], 3),
        "N": np.repeat(N, 3),
        "tokens": np.repeat(D, 3),
        "step": np.tile([300, 100, 200], 32),
        "val_loss": np.repeat(LOSS, 3) + np.tile([0.0, 1.0, -0.2], 32),
    }
    assert same(lawful.read_runs(history, row_of_run="last"))
    np.testing.assert_allclose(lawful.read_runs(history, row_of_run="best").L, LOSS - 0.2)
    with pytest.raises(lawful.LawfulError, match="last or best"):
        lawful.read_runs(history, row_of_run="first")


def broken() -> dict[str, Any]:
    """Four rows that no fit can use, for four reasons."""
    loss = [f"{x:.6f}" for x in LOSS]
    loss[3], loss[11], loss[17] = "NaN", "diverged", ""
    return {"N": N, "D": np.where(np.arange(N.size) == 25, 0.0, D), "loss": loss}


KEPT = np.setdiff1d(np.arange(N.size), (3, 11, 17, 25))


@pytest.mark.parametrize("drop", ["nan", ["nan"], ["NaN"]])
def test_rows_without_a_number_are_set_aside_on_request(drop, tmp_path):
    path = saved(broken(), tmp_path)
    with pytest.raises(InputError, match=r"[13] of 32"):
        lawful.read_runs(path)
    runs = lawful.read_runs(path, drop=drop)
    assert same(runs, KEPT)
    said = [note.message for note in runs.notes if note.code == "set_aside"]
    assert [("'loss'" in text and "rows 4, 12, 18" in text) or ("'D'" in text and "row 26" in text) for text in said]
    assert len(said) == 2
    assert len(lawful.read_runs(path, drop=["nan", 1])) == KEPT.size - 1


def test_every_verb_that_reads_runs_sets_them_aside(tmp_path):
    from lawful.cli import main

    path = str(saved(broken(), tmp_path))
    good = str(saved({"N": N, "D": D, "loss": LOSS, "usd": ONE}, tmp_path / "..").rename(tmp_path / "good.csv"))
    asked = ["--drop", "nan", "--where", "N < 1e12"]
    for verb in (["fit", path, "--draws", "0"], ["check", path], ["look", path], ["isoflops", path], ["bias", path]):
        assert main([*verb, *asked]) == 0, verb
    pool = ["--pool", good, "--cost", "usd", "--target", "params=1e10,tokens=2e11"]
    assert main(["next", path, *pool, *asked]) == 0
    assert main(["fit", path, "--draws", "0", *asked, "--out", str(tmp_path / "out")]) == 0
    predicted = ["predict", str(tmp_path / "out" / "fit.json"), "--points", good, "--json"]
    assert main([*predicted, "--where", "N < 0"]) != 0


def test_a_range_of_rows_as_text():
    runs = lawful.read_runs({"N": N, "D": D, "loss": LOSS}, drop="2,4-6")
    assert runs.row.tolist()[:3] == [1, 3, 7]
    for wrong in ("x", "1-", "3-99999999999", "-4"):
        with pytest.raises(lawful.LawfulError, match="drop"):
            lawful.read_runs({"N": N, "D": D, "loss": LOSS}, drop=wrong)


@pytest.mark.parametrize(("column", "value"), [("State", "running"), ("status", "FAILED"), ("finished", False)])
def test_a_table_of_which_no_run_finished_is_one_sentence(column, value):
    table = {"N": N, "D": D, "loss": LOSS, column: [value] * N.size}
    with pytest.raises(InputError, match=rf"^Column '{column}' says '?{value}'? of all 32 runs, so none .* `as_is`\.$"):
        lawful.read_runs(table)
    assert same(lawful.read_runs(table, as_is=True))
    assert "none has the loss of a finished run" in lawful.look(table).refused
    with pytest.raises(InputError, match="none has the loss"):
        lawful.check(table)


def test_a_group_of_which_no_run_finished_is_left_out():
    half = np.repeat(["web", "books"], 16)
    table = {"N": N, "D": D, "loss": LOSS, "data": half, "state": np.where(half == "web", "finished", "crashed")}
    from lawful.sources.read import read_groups

    assert list(read_groups(table, by="data")) == ["web"]
