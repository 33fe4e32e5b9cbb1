"""Logs and exports of programs that people name: made-up files in their shape are read to the runs behind them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lawful
from lawful.errors import InputError

SIZES = np.array([61_000_000, 122_000_000, 245_000_000, 490_000_000])
STEPS = np.array([4000, 3000, 2000, 1000])
BATCH, LENGTH = 128, 1024
TOKENS = STEPS * BATCH * LENGTH
LOSS = 1.75 + 450 / SIZES**0.34 + 1300 / TOKENS**0.36


def as_expected(runs: lawful.Runs, N=SIZES, D=TOKENS, L=LOSS) -> bool:
    order = np.argsort(runs.N)
    return np.allclose(runs.N[order], N) and np.allclose(runs.D[order], D) and np.allclose(runs.L[order], L, rtol=1e-5)


def message(runs: lawful.Runs, code: str = "profile") -> str:
    return next(note.message for note in runs.notes if note.code == code)


def megatron(n: int, steps: int, loss: float, done: int | None = None, ranks: int = 2) -> str:
    """A log as Megatron-LM prints it: arguments, sizes by rank, iterations, validations."""
    done = steps if done is None else done
    head = [
        "using world size: 16, data-parallel size: 8, context-parallel size: 1, tensor-model-parallel size: 2",
        "------------------------ arguments ------------------------",
        f"  global_batch_size ............................... {BATCH}",
        "  lr .............................................. 0.0003",
        "  max_position_embeddings ......................... 4096",
        "  micro_batch_size ................................ 4",
        f"  seq_length ...................................... {LENGTH}",
        f"  train_iters ..................................... {steps}",
        "-------------------- end of arguments ---------------------",
        *(
            f" > number of parameters on (tensor, pipeline) model parallel rank ({rank}, 0): {n // ranks}"
            for rank in range(ranks)
        ),
        "[before the start of training step] datetime: 2026-02-02 15:50:06 ",
    ]
    body = []
    for at in range(100, done + 1, 100):
        body.append(
            f" [2026-02-02 15:50:08.035] iteration {at:8d}/{steps:8d} | consumed samples: {at * BATCH:12d} | "
            "elapsed time per iteration (ms): 1996.1 | throughput per GPU (TFLOP/s/GPU): 210.1 | learning rate: "
            f"3.000000E-04 | global batch size: {BATCH:5d} | lm loss: {loss - 0.05 + 2 * (1 - at / steps):.6E} | loss "
            "scale: 1.0 | grad norm: 0.543 | number of skipped iterations:   0 | number of nan iterations:   0 |"
        )
        if at % 500 == 0:
            value = loss + 2 * (1 - at / steps)
            said = (
                f" validation loss at iteration {at} | lm loss value: {value:.6E} | lm loss PPL: {np.exp(value):.6E} | "
            )
            body += ["-" * 100, said, "-" * 100]
    if done == steps:
        body.append(
            f" validation loss at iteration {steps} on test set | lm loss value: {loss + 0.3:.6E} | lm loss PPL: 9 | "
        )
    return "\n".join([*head, *body, ""])


def written(folder: Path, texts: dict[str, str]) -> str:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


def test_logs_of_megatron(tmp_path):
    logs = {f"gpt-{i}.out": megatron(n, s, x) for i, (n, s, x) in enumerate(zip(SIZES, STEPS, LOSS, strict=True))}
    runs = lawful.read_runs(f"{written(tmp_path, logs)}/*.out")
    assert as_expected(runs)
    assert "consumed samples × seq_length" in message(runs)
    assert "test" not in runs.columns["loss"]


def test_a_log_of_megatron_that_breaks_off_is_set_aside(tmp_path):
    logs = {f"{i}.log": megatron(n, s, x) for i, (n, s, x) in enumerate(zip(SIZES, STEPS, LOSS, strict=True))}
    logs["4.log"] = megatron(980_000_000, 2000, 2.4, done=700)
    runs = lawful.read_runs(f"{written(tmp_path, logs)}/*.log")
    assert as_expected(runs)
    assert "unfinished (700 of 2000 steps)" in message(runs, "set_aside")


def test_a_part_of_a_log_of_megatron_is_refused(tmp_path):
    tail = megatron(SIZES[0], 500, 3.1).partition("[before")[2]
    with pytest.raises(InputError, match="no number of parameters"):
        lawful.read_runs(f"{written(tmp_path, {'tail.log': tail})}/tail.log")
    early = megatron(SIZES[0], 500, 3.1).replace("lm loss", "loss")
    with pytest.raises(InputError, match="no line states a loss"):
        lawful.read_runs(f"{written(tmp_path, {'early.log': early})}/early.log")


def test_a_log_of_megatron_without_a_validation_offers_the_loss_of_training(tmp_path):
    log = "\n".join(line for line in megatron(SIZES[0], 500, 3.1).splitlines() if "validation" not in line)
    path = f"{written(tmp_path, {'a.log': log})}/a.log"
    with pytest.raises(InputError, match="loss=train_loss"):
        lawful.read_runs(path)
    assert lawful.read_runs(path, columns={"loss": "train_loss"}).L[0] == pytest.approx(3.05)


def torchtitan(n: int, steps: int, loss: float, colour: bool = True, ends: bool = True) -> str:
    blue, red, off = ("\x1b[34m", "\x1b[31m", "\x1b[39m") if colour else ("", "", "")
    at = "[rank0]:[titan] 2026-06-20 19:13:{:02d},465 - root - INFO - "
    lines = [
        at.format(1) + "Starting job: Llama 3 debug training",
        at.format(2) + f"{blue}Model llama3 debugmodel {red}size: {n:,} total parameters{off}",
        at.format(3)
        + f"Trainer is initialized with local batch size 8, global batch size {BATCH}, gradient accumulation "
        f"steps 1, sequence length {LENGTH}, total steps {steps} (warmup 200)",
        at.format(4) + "Training starts at step 1",
    ]
    for step in (1, *range(10, steps + 1, 370)):
        lines.append(
            at.format(5) + f"{red}step: {step:2}  {blue}loss: {loss - 0.1:7.4f}  {off}grad_norm:  0.4012  {off}memory: "
            f"25.90GiB(27.26%)  {blue}tps: 2,853  {off}tflops: 165.23  {off}mfu: 16.71%{off}"
        )
        if step > 1:
            lines.append(
                at.format(6) + f"validate step: {step:2}  loss: {loss + 0.5:7.4f}  memory:  8.10GiB(9.1%)  tps: 9,871"
            )
    lines.append(at.format(7) + f"validate step: {steps:2}  loss: {loss:8.6f}  memory:  8.10GiB(9.1%)  tps: 9,871")
    return "\n".join([*lines, *([at.format(8) + "Training completed"] if ends else [])])


@pytest.mark.parametrize("colour", [True, False])
def test_logs_of_torchtitan(tmp_path, colour):
    logs = {
        f"{i}/stdout": torchtitan(n, s, x, colour) for i, (n, s, x) in enumerate(zip(SIZES, STEPS, LOSS, strict=True))
    }
    runs = lawful.read_runs(f"{written(tmp_path, logs)}/*/stdout")
    assert as_expected(runs)
    assert "global batch size × sequence length" in message(runs)


def ladder(size: str, multiple: float, n: float, *, flops: bool = False) -> tuple[str, pd.DataFrame]:
    """A history as the OLMo ladder's script downloads it."""
    tokens = 20 * multiple * n
    batch = 524288
    steps = (np.linspace(0.1, 1.0, 10) * tokens / batch).round().astype(int)
    loss = 1.8 + 420 / n**0.34 + 1500 / (steps * batch) ** 0.36
    columns = {"_step": steps}
    if flops:
        columns["throughput/total_training_Gflops"] = 6.3 * n * steps * batch / 1e9
        columns["throughput/total_tokens"] = steps * batch
    columns |= {
        "eval/c4_en-validation/CrossEntropyLoss": loss,
        "eval/pile-validation/CrossEntropyLoss": loss - 0.4,
        "eval/downstream_bpb/hellaswag_val_rc_5shot_bpb": loss / 3,
        "eval/downstream/hellaswag_val_rc_5shot_len_norm": 0.2 + 0.1 / loss,
        "learning_rate_peak": 0.0009,
        "batch_size_in_tokens": batch,
    }
    return f"{size}-{multiple:g}xC.csv", pd.DataFrame(columns)


LADDER = {"190M": 190354176.0, "370M": 371262464.0, "760M": 758220288.0, "1B": 1279395840.0}


def test_histories_of_the_olmo_ladder(tmp_path):
    for size, n in LADDER.items():
        for multiple in (1, 2, 5):
            name, frame = ladder(size, multiple, n)
            frame.to_csv(tmp_path / name, index=False)
    runs = lawful.read_runs(f"{tmp_path}/*.csv", row_of_run="last")
    assert sorted(set(runs.N.tolist())) == sorted(LADDER.values())
    np.testing.assert_allclose(np.sort(runs.D / runs.N).round(1)[::4], [20, 40, 100], rtol=1e-2)
    assert runs.columns["loss"] == "eval/c4_en-validation/CrossEntropyLoss"
    assert "without embeddings" in message(runs)
    every = lawful.read_runs(f"{tmp_path}/*.csv")
    assert len(every) == 120
    assert "unannealed" in [note.code for note in every.notes]
    assert lawful.read_runs(f"{tmp_path}/190M-1xC.csv").N.tolist() == [190354176.0] * 10


def test_a_history_of_the_ladder_under_another_name_takes_its_flops(tmp_path):
    ladder("190M", 1, 190354176.0, flops=True)[1].to_csv(tmp_path / "peteish.csv", index=False)
    runs = lawful.read_runs(tmp_path / "peteish.csv")
    np.testing.assert_allclose(runs.N, 190354176.0 * 6.3 / 6)
    assert "throughput/total_training_Gflops × 1e9" in message(runs)
    mine = lawful.read_runs(tmp_path / "peteish.csv", columns={"loss": "eval/pile-validation/CrossEntropyLoss"})
    np.testing.assert_allclose(mine.L, runs.L - 0.4)


def marin() -> dict[str, np.ndarray]:
    return {
        "Name": [f"isoflop-1e+18-d{512 + 128 * i}-L8-B64-run" for i in range(SIZES.size)],
        "State": ["finished"] * SIZES.size,
        "parameter_count": SIZES,
        "throughput/total_tokens": TOKENS,
        "throughput/total_gflops": 6 * SIZES * TOKENS / 1e9,
        "eval/paloma/c4_en/bpb": LOSS / 3,
        "eval/paloma/c4_en/loss": LOSS - 0.1,
        "eval/paloma/macro_loss": LOSS,
        "eval/uncheatable_eval/bbc_news/loss": LOSS + 0.2,
    }


def test_an_export_of_marin(tmp_path):
    pd.DataFrame(marin()).to_csv(tmp_path / "marin.csv", index=False)
    runs = lawful.read_runs(tmp_path / "marin.csv")
    assert as_expected(runs)
    assert "'eval/paloma/macro_loss', of 4 columns" in message(runs)
    bits = {title: column for title, column in marin().items() if not title.endswith("loss")}
    assert "bits per byte" in message(lawful.read_runs(bits), "loss_unit")


def harness(model: str, bits: float, *, as_text: bool) -> str:
    """A results file as lm-evaluation-harness writes it."""
    arguments = (
        f"pretrained=out/{model},dtype=bfloat16" if as_text else {"pretrained": f"out/{model}", "dtype": "bfloat16"}
    )
    return json.dumps(
        {
            "results": {
                "wikitext": {
                    "alias": "wikitext",
                    "word_perplexity,none": 2 ** (5.3 * bits),
                    "word_perplexity_stderr,none": "N/A",
                    "byte_perplexity,none": 2**bits,
                    "byte_perplexity_stderr,none": "N/A",
                    "bits_per_byte,none": bits,
                    "bits_per_byte_stderr,none": "N/A",
                },
                "hellaswag": {"alias": "hellaswag", "acc,none": 0.31, "acc_stderr,none": 0.004, "acc_norm,none": 0.33},
            },
            "group_subtasks": {"wikitext": [], "hellaswag": []},
            "configs": {"wikitext": {"task": "wikitext"}},
            "versions": {"wikitext": 2.0, "hellaswag": 1.0},
            "n-shot": {"wikitext": 0, "hellaswag": 0},
            "config": {"model": "hf", "model_args": arguments, "batch_size": "16", "limit": None},
            "git_hash": "0000000",
            "model_name": f"out/{model}",
            "model_name_sanitized": f"out__{model}",
        }
    )


@pytest.mark.parametrize("as_text", [True, False])
def test_results_of_the_harness_beside_a_table_of_runs(tmp_path, as_text):
    names = [f"run-{i}" for i in range(SIZES.size)]
    pd.DataFrame({"run": names, "params": SIZES, "tokens": TOKENS}).to_csv(tmp_path / "runs.csv", index=False)
    for name, loss in zip(names, LOSS, strict=True):
        place = tmp_path / "results" / f"out__{name}" / "results_2026-03-01T10-00-00.json"
        place.parent.mkdir(parents=True)
        place.write_text(harness(name, loss / 3, as_text=as_text))
    places = [tmp_path / "runs.csv", f"{tmp_path}/results/*/*.json"]
    runs = lawful.read_runs(places)
    assert as_expected(runs, L=LOSS / 3)
    assert "4 of 4 runs" in message(runs)
    assert "bits per byte" in message(runs, "loss_unit")
    np.testing.assert_allclose(runs.labels["hellaswag/acc_norm"], 0.33)


def test_results_of_the_harness_without_their_runs_are_refused(tmp_path):
    (tmp_path / "a.json").write_text(harness("run-7", 0.9, as_text=True))
    with pytest.raises(InputError, match=r"no sizes and no tokens \(models 'run-7'\), and there is no table"):
        lawful.read_runs(tmp_path / "a.json")
    pd.DataFrame({"run": ["x"], "params": [1e8], "tokens": [2e9]}).to_csv(tmp_path / "runs.csv", index=False)
    with pytest.raises(InputError, match="no run in the table has one of these names"):
        lawful.read_runs([tmp_path / "runs.csv", tmp_path / "a.json"])


def test_a_table_of_runs_is_no_log(tmp_path):
    (tmp_path / "runs.log").write_text(
        "N,D,loss,remark\n1e8,2e9,3.1,step: 3 of the plan\n2e8,1e9,3.2,iteration 2/3 | x\n"
    )
    with pytest.raises(InputError):
        lawful.read_runs(tmp_path / "runs.log")
    (tmp_path / "runs.log").write_text("N,D,loss,remark\n1e8,2e9,3.1,step: 3 of the plan\n2e8,1e9,3.2,iteration 2\n")
    assert lawful.read_runs(tmp_path / "runs.log").N.tolist() == [1e8, 2e8]
