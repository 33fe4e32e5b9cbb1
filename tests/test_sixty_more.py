"""
Further tables as other people keep them: read right, or refused with a remedy that reads them right once it is pasted.

The third of three lists is of what no table says; those are refused in one sentence, whatever is pasted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lawful
from lawful.errors import InputError

RNG = np.random.default_rng(977)
C = np.repeat([4e18, 1.8e19, 7e19, 4e20], 7)
N = (0.1 * np.sqrt(C) * np.tile(np.geomspace(0.25, 4.0, 7), 4)).round()
D = (C / (6 * N)).round()
LOSS = 1.81 + 510 / N**0.335 + 1180 / D**0.345 + RNG.normal(0, 0.002, N.size)
ROUNDED = 6e-3
"""Cells such as 125M have three or four digits."""


def short(value: float, digits: int = 4) -> str:
    for scale, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if value >= scale:
            return f"{value / scale:.{digits}g}{letter}"
    return f"{value:.0f}"


def comma(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}f}".replace(".", ",")


def csv(**columns: Any) -> str:
    return named(columns)


def named(columns: dict[str, Any], sep: str = ",") -> str:
    return pd.DataFrame(columns).to_csv(index=False, sep=sep)


def lines(header: str, form: Callable[[float, float, float], str]) -> str:
    return "\n".join([header, *(form(a, b, c) for a, b, c in zip(N, D, LOSS, strict=True))]) + "\n"


def plain(a: float, b: float, c: float) -> str:
    return f"{a:.0f},{b:.0f},{c:.4f}"


ROWS = lines("N,D,loss", plain).splitlines()
NAMED = ["run," + ROWS[0], *(f"r{i},{row}" for i, row in enumerate(ROWS[1:]))]
ONE = np.ones(N.size)

READ: dict[str, Callable[[], str | bytes]] = {
    "words in another order": lambda: named(
        {"Non-Embedding Params": N, "train_tokens_seen_B": D / 1e9, "val/ce": LOSS}
    ),
    "loss in brackets": lambda: named({"params": N, "tokens": D, "loss (train)": LOSS - 0.1, "loss (val)": LOSS}),
    "a path from the measure": lambda: named({"params": N, "train_tokens": D, "loss/train": LOSS, "loss/val": LOSS}),
    "the last of two": lambda: csv(params=N, tokens=D, final_train_loss=LOSS - 0.1, final_eval_loss=LOSS),
    "a mean and its spread": lambda: csv(
        n_params=N, n_tokens=D, loss_mean=LOSS, loss_std=0.003 + 0 * N, n_seeds=3 + 0 * N
    ),
    "nll": lambda: csv(trainable_params=N, tokens_processed=D, eval_nll=LOSS),
    "letters": lambda: named({"size_m": N / 1e6, "tok_b": D / 1e9, "loss": LOSS}),
    "an arrow": lambda: named({"params [M]": N / 1e6, "toks [B]": D / 1e9, "loss ↓": LOSS}),
    "two lines of header": lambda: lines("model,data,eval\nparams,tokens,loss", plain),
    "units under the header": lambda: lines(
        "params,tokens,loss\n(M),(B),(nats)", lambda a, b, c: f"{a / 1e6:.4f},{b / 1e9:.4f},{c:.4f}"
    ),
    "shares beside": lambda: csv(N=N, D=D, mfu=[f"{38 + i % 5}%" for i in range(N.size)], loss=LOSS),
    "dates beside": lambda: csv(date=[f"{1 + i % 27:02d}/03/2026" for i in range(N.size)], N=N, D=D, loss=LOSS),
    "a total": lambda: "\n".join([*NAMED, "Total,9e9,9e11,"]),
    "a grand total and a mean": lambda: "\n".join(
        [
            "run," + ROWS[0],
            *(f"r{i},{r}" for i, r in enumerate(ROWS[1:])),
            "Grand total,9e9,9e11,3.1",
            "Mean (all runs),9e8,9e10,3",
        ]
    ),
    "a remark below": lambda: "\n".join([*ROWS, "# end of the sweep", ""]),
    "blank lines between budgets": lambda: "\n".join(r + ("\n" if i % 7 == 0 else "") for i, r in enumerate(ROWS)),
    "narrow blanks for thousands": lambda: lines(
        "params;tokens;loss",
        lambda a, b, c: f"{a:,.0f};{b:,.0f};".replace(",", "\N{NARROW NO-BREAK SPACE}") + comma(c),
    ),
    "apostrophes for thousands": lambda: lines(
        "params;tokens;loss", lambda a, b, c: f"{a:,.0f};{b:,.0f};".replace(",", "'") + f"{c:.4f}"
    ),
    "marks of remarks": lambda: csv(N=N, D=D, loss=[f"{x:.4f}" + "*" * (i % 4 == 0) for i, x in enumerate(LOSS)]),
    "plus and minus": lambda: csv(N=N, D=D, loss=[f"{x:.4f} ± 0.003" for x in LOSS]),
    "plus over minus": lambda: csv(N=N, D=D, loss=[f"{x:.4f}+/-0.003" for x in LOSS]),
    "a spread in brackets": lambda: csv(N=N, D=D, loss=[f"{x:.4f} (0.003)" for x in LOSS]),
    "powers in cells": lambda: csv(N=N, C=[f"10^{np.log10(c):.5f}" for c in C], loss=LOSS),
    "capital exponents": lambda: csv(N=[f"{x:.4E}" for x in N], D=[f"{x:.4E}" for x in D], loss=LOSS),
    "raised digits": lambda: named({"N": N, "FLOPs (×10²⁰)": C / 1e20, "Loss": LOSS}),
    "exaflops": lambda: named({"N": N, "Training compute (EFLOP)": C / 1e18, "Eval loss": LOSS}),
    "a logarithm of FLOPs": lambda: named({"N": N, "log10(FLOPs)": np.log10(C), "loss": LOSS}),
    "petaflop/s-days": lambda: named({"N": N, "C (PF-days)": C / 8.64e19, "test loss": LOSS}),
    "FLOPs in cells": lambda: csv(budget=[f"{c:.3e} FLOPs" for c in C], params=[short(x) for x in N], loss=LOSS),
    "hashes and points": lambda: named(
        {"#Params": [short(x) for x in N], "#Tokens": [short(x) for x in D], "Val. Loss": LOSS}
    ),
    "FLOPs of the forward pass beside": lambda: csv(N=N, D=D, forward_flops=C / 3, loss=LOSS),
    "sizes in names": lambda: csv(model=[f"lm-{short(x).lower()}-base" for x in N], tokens=D, loss=LOSS),
    "columns of blanks": lambda: lines(
        "params      tokens      loss", lambda a, b, c: f"{a:<12.0f}{b:<12.0f}  {c:.4f}"
    ),
    "columns of pipes": lambda: lines("params|tokens|loss", plain).replace(",", "|"),
    "LaTeX": lambda: lines(
        "Params & Tokens & Loss \\\\\n\\hline", lambda a, b, c: f"{short(a)} & {short(b)} & {c:.4f} \\\\"
    ),
    "a budget per block": lambda: csv(
        budget=[f"{c:.3g}" if i % 7 == 0 else "" for i, c in enumerate(C)], N=N, loss=LOSS
    ),
    "other letters": lambda: named({"参数量": N, "词元数": D, "损失": LOSS}),
    "on its side": lambda: "\n".join(
        [
            f"{name}," + ",".join(f"{x:.6g}" for x in row)
            for name, row in (("run", range(28)), ("N", N), ("D", D), ("loss", LOSS))
        ]
    ),
    "Unicode text of Excel": lambda: lines("N\tD\tloss", plain).replace(",", "\t").encode("utf-16"),
    "numbers as text": lambda: json.dumps(
        [{"params": str(int(a)), "tokens": f"{b:.0f}", "loss": f"{c:.4f}"} for a, b, c in zip(N, D, LOSS, strict=True)]
    ),
    "nested, in lists": lambda: json.dumps(
        {
            "experiments": [
                {"model": {"n_params": a}, "data": {"tokens": b}, "eval": {"loss": c}}
                for a, b, c in zip(N, D, LOSS, strict=True)
            ]
        }
    ),
}

# Refused, and read right by what the sentence says to paste.
REMEDIED: dict[str, Callable[[], str]] = {
    "days of a GPU": lambda: named({"Params (M)": N / 1e6, "gpu_days": C / 4e14 / 86400, "val/loss": LOSS}),
    "hours of eight": lambda: csv(params=N, wall_clock_h=C / 4e14 / 3600 / 8, gpus=8 + 0 * N, loss=LOSS),
    "several perplexities": lambda: csv(params=N, tokens=D, c4_ppl=np.exp(LOSS), wiki_ppl=np.exp(LOSS + 0.3)),
    "tokens over parameters": lambda: named({"Parameters": N, "Tokens/Param": D / N, "Loss": LOSS}),
    "multiples": lambda: csv(params=N, chinchilla_multiple=D / N / 20, val_loss=LOSS),
    "steps of tokens": lambda: csv(model_size=N, train_steps=D / 2**20, batch_size_tokens=2**20 + 0 * N, val_loss=LOSS),
    "a batch as text": lambda: csv(model_size=N, steps=D / 2**20, batch_size=["1.048576M"] * N.size, val_loss=LOSS),
    "samples": lambda: csv(params=N, samples=D / 2048, ctx=2048 + 0 * N, loss=LOSS),
    "epochs": lambda: csv(params=N, epochs=D / 5e10, dataset_size=5e10 + 0 * N, loss=LOSS),
    "FLOPs per token": lambda: csv(flops_per_token=6 * N, tokens=D, loss=LOSS),
    "raw and smooth": lambda: csv(params=N, tokens=D, loss_smoothed=LOSS - 0.05, loss_raw=LOSS),
    "groups of FLOPs": lambda: csv(isoflop_group=[f"{c:.1e}" for c in C], params=N, loss=LOSS),
    "no unit": lambda: csv(params=N / 1e6, tokens=D / 1e9, loss=LOSS),
    "FLOPs in PF-days, unsaid": lambda: csv(params=N, tokens=D, compute=C / 8.64e19, loss=LOSS),
    "active of all": lambda: csv(active_params=N, total_params=8 * N, tokens=D, val_loss=LOSS),
}

# Refused in one sentence: what is asked for is not there.
REFUSED: dict[str, Callable[[], str]] = {
    "the loss over its floor": lambda: csv(params=N, tokens=D, excess_loss=LOSS - 1.6),
    "the log of a loss": lambda: csv(params=N, tokens=D, log_loss=np.log(LOSS)),
    "log-likelihood": lambda: csv(params=N, tokens=D, avg_logprob=-LOSS),
    "accuracies": lambda: csv(params=N, tokens=D, Accuracy=[f"{60 - 10 * x:.1f}%" for x in LOSS]),
    "perplexity of words": lambda: csv(params=N, tokens=D, word_perplexity=np.exp(1.3 * LOSS)),
    "dollars": lambda: csv(params=N, cost_usd=C / 3e17, loss=LOSS),
    "bytes": lambda: csv(params=N, train_bytes=4.2 * D, loss=LOSS),
    "a shape without a size": lambda: csv(d_model=512 + 0 * N, n_layer=8 + 0 * N, tokens=D, loss=LOSS),
    "groups of thousands of another kind": lambda: csv(
        N=[f"{x / 1e7:.0f},{x % 1e7 // 1e5:02.0f},00,000" for x in N], D=D, loss=LOSS
    ),
    "names of runs of so many tokens": lambda: csv(model=[f"lm-{short(x)}-tokens" for x in D], tokens=D, loss=LOSS),
}


def as_expected(runs: lawful.Runs) -> bool:
    want, have = np.array([N, D, LOSS]), np.array([runs.N, runs.D, runs.L])
    if have.shape != want.shape:
        return False
    want, have = (a[:, np.lexsort((a[1], a[0]))] for a in (want, have))
    return bool(np.allclose(have, want, rtol=ROUNDED))


def saved(content: str | bytes, folder: Path) -> Path:
    path = folder / "theirs"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_there_are_sixty():
    assert len(READ) + len(REMEDIED) + len(REFUSED) + len(WIDE) >= 60


@pytest.mark.parametrize("kind", READ)
def test_it_is_read(kind, tmp_path):
    assert as_expected(lawful.read_runs(saved(READ[kind](), tmp_path)))


def refusal(path: Path, columns: dict[str, str]) -> str:
    try:
        lawful.read_runs(path, columns=columns)
    except InputError as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("kind", REMEDIED)
def test_it_is_read_by_what_its_refusal_says(kind, tmp_path):
    path, columns, said = saved(REMEDIED[kind](), tmp_path), {}, "refused"
    for _ in range(3):
        said = refusal(path, columns)
        recipes = re.findall(r"`columns` (\w+)=(?:'([^']*)'|([^\s',;]*[^\s',;.]))", said)
        columns |= {quantity: formula or name for quantity, formula, name in recipes}
    assert not said
    runs = lawful.read_runs(path, columns=columns)
    assert columns
    assert as_expected(runs)


@pytest.mark.parametrize("kind", REFUSED)
def test_it_is_refused(kind, tmp_path):
    with pytest.raises(InputError, match=r"[.)]$") as refused:
        lawful.read_runs(saved(REFUSED[kind](), tmp_path))
    assert "\n" not in str(refused.value)


SIZES = {"70M": 7e7, "160M": 1.6e8, "410M": 4.1e8, "1.4B": 1.4e9}
TOKENS = np.geomspace(1e9, 3e10, 6).round()


def surface(n: Any, d: Any) -> Any:
    return 1.8 + 500 / n**0.335 + 1150 / d**0.345


WIDE: dict[str, Callable[[], dict[str, Any]]] = {
    "a column per size": lambda: {"tokens": TOKENS, **{s: surface(n, TOKENS) for s, n in SIZES.items()}},
    "and its measure": lambda: {
        "tokens_B": TOKENS / 1e9,
        **{f"loss_{s}": surface(n, TOKENS) for s, n in SIZES.items()},
    },
    "and its noun": lambda: {
        "n_tokens": TOKENS,
        **{f"val loss @ {s} params": surface(n, TOKENS) for s, n in SIZES.items()},
    },
    "a column per number of tokens": lambda: {
        "params": list(SIZES.values()),
        **{f"loss@{short(d)}": surface(np.array(list(SIZES.values())), d) for d in TOKENS},
    },
}


@pytest.mark.parametrize("kind", WIDE)
def test_a_wide_table_is_one_run_per_cell(kind, tmp_path):
    runs = lawful.read_runs(saved(named(WIDE[kind]()), tmp_path))
    assert len(runs) == 24
    np.testing.assert_allclose(runs.L, surface(runs.N, runs.D), rtol=2e-4)  # names of columns have four digits
    assert sorted(set(runs.N.tolist())) == sorted(SIZES.values())
    assert "wide_table" in [note.code for note in runs.notes]


def test_what_was_taken_by_its_words_is_said():
    runs = lawful.read_runs({"trainable params": N, "tokens processed": D, "eval nll": LOSS})
    said = [note.message for note in runs.notes if note.code == "column_choice"]
    assert [text.split()[1] for text in said] == ["'trainable", "'tokens", "'eval"]


def test_a_size_in_a_name_is_said_and_never_beside_another():
    names = [f"lm-{short(x)}" for x in N]
    runs = lawful.read_runs({"model": names, "tokens": D, "loss": LOSS})
    assert "stand in the names of column 'model'" in next(n.message for n in runs.notes if n.code == "unit_read")
    with pytest.raises(InputError, match="params"):
        lawful.read_runs({"model": names, "model_size_of_mine": N, "tokens": D, "loss": LOSS})
    with pytest.raises(InputError, match="params"):
        lawful.read_runs({"model": [f"{name}-of-7B" for name in names], "tokens": D, "loss": LOSS})
