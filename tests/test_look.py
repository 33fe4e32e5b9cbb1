"""lawful look: what a table is, what it supports, and a next command that works."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pandas as pd
import pytest

import lawful
from lawful.analysis.look import Look
from lawful.cli import main
from lawful.errors import InputError, UnsupportedError


def sweep(seed: int = 4, budgets=(2e18, 2e19, 2e20), sizes: int = 7) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    C = np.repeat(budgets, sizes)
    N = 0.09 * C**0.5 * np.tile(np.geomspace(0.3, 3.0, sizes), len(budgets))
    D = C / (6 * N)
    return pd.DataFrame({"N": N, "D": D, "loss": 1.8 + 480 / N**0.35 + 1400 / D**0.36 + rng.normal(0, 0.002, N.size)})


def taken(found: Look) -> dict[str, str]:
    return {column.name: column.taken_for for column in found.columns}


def works(found: Look) -> dict[str, bool]:
    return {verb.verb: verb.supported for verb in found.verbs}


def with_names(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        run_name=[f"r{i}" for i in range(len(frame))],
        State="finished",
        seed=np.arange(len(frame)) % 2,
        learning_rate=3e-4,
        comment="ok",
        train_loss=frame.loss - 0.1,
    )


def test_columns_are_named_for_what_they_are():
    found = lawful.look(with_names(sweep()))
    assert taken(found) == {
        "N": "params",
        "D": "tokens",
        "loss": "loss",
        "run_name": "run",
        "State": "state",
        "seed": "seed",
        "learning_rate": "hyper-parameter",
        "comment": "label",
        "train_loss": "loss on training data",
    }
    assert [c.unit for c in found.columns[:3]] == ["parameters", "tokens", "nats per token"]


def test_units_of_headers_and_of_losses_are_said():
    frame = sweep()
    found = lawful.look({"Params (M)": frame.N / 1e6, "tokens": frame.D, "val_bpb": frame.loss / 3})
    assert taken(found)["Params (M)"] == "part of params"
    assert taken(found)["params = Params (M) × 1e6"] == "params"
    assert {c.name: c.unit for c in found.columns}["val_bpb"] == "bits per byte"
    assert "bits per byte" in str(found)


def test_the_design_is_counted():
    frame = sweep()
    found = lawful.look(pd.concat([frame, frame.assign(loss=frame.loss + 0.001)]))
    assert (found.rows, found.cells, found.repeated, found.copies) == (42, 21, 21, 0)
    assert [(b.runs, b.sizes) for b in found.budgets] == [(14, 7)] * 3
    low, high = found.budgets[0].ratio
    first = frame[:7]
    assert (low, high) == pytest.approx(((first.D / first.N).min(), (first.D / first.N).max()))


def test_copies_are_counted_under_other_names_and_seeds_are_none():
    frame = sweep()
    twice = pd.concat([frame, frame], ignore_index=True)
    assert lawful.look(twice.assign(run=[f"r{i}" for i in range(42)])).copies == 21
    few = pd.concat([frame, frame[:1], frame.assign(loss=frame.loss + 0.001)[1:]], ignore_index=True)
    assert lawful.look(few.assign(seed=[0] * 21 + [1] * 21)).copies == 0


def test_a_healthy_sweep_supports_everything_but_curves():
    found = lawful.look(sweep())
    no = {verb.verb: verb.why for verb in found.verbs if not verb.supported}
    assert set(no) == {"isoflops", "audit"}
    assert "Holding out 1 of 3 budgets leaves 2" in no["audit"]
    assert works(found)["fit"]
    assert works(found)["bias"]


def test_one_budget_supports_no_decision_and_says_why():
    found = lawful.look(sweep(budgets=(2e19,)))
    no = {verb.verb: verb.why for verb in found.verbs if not verb.supported}
    assert any(verb.startswith("allocate") for verb in no)
    assert all(why.endswith(".") for why in no.values())
    assert "`" not in "".join(no.values())


def test_a_refused_table_is_looked_at_all_the_same():
    frame = sweep()
    found = lawful.look({"params": frame.N / 1e6, "tokens": frame.D / 1e9, "loss": frame.loss, "why": ["x"] * 21})
    with pytest.raises(InputError) as caught:
        lawful.read_runs({"params": frame.N / 1e6, "tokens": frame.D / 1e9, "loss": frame.loss, "why": ["x"] * 21})
    assert found.refused == str(caught.value)
    assert found.runs is None
    assert taken(found) == {"params": "params", "tokens": "tokens", "loss": "loss", "why": "label"}
    assert "Next:" in str(found)


def test_what_is_no_table_and_what_makes_no_sense_is_raised(tmp_path):
    with pytest.raises(InputError, match="There is no file"):
        lawful.look(tmp_path / "nothing.csv")
    with pytest.raises(UnsupportedError, match="cannot set 'size'"):
        lawful.look(sweep(), columns={"size": "N"})
    with pytest.raises(UnsupportedError, match="read already"):
        lawful.look(lawful.read_runs(sweep()), where="loss < 3")


def test_runs_of_one_column_name_the_laws_that_take_them():
    frame = sweep(sizes=2)
    found = lawful.look({"budget": 6 * frame.N * frame.D, "loss": frame.loss})
    assert works(found) == {"fit --law compute": True, "fit --law kaplan-c": True, "every other verb": False}
    assert "the table lacks N and D." in str(found)


def test_runs_look_at_themselves():
    runs = lawful.read_runs(sweep())
    assert runs.look().budgets == lawful.look(sweep()).budgets
    assert len(lawful.Runs.from_arrays(runs.N, runs.D, runs.L).look().columns) == 4


def tuned(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame.assign(peak_lr=lr, loss=frame.loss + more) for lr, more in ((1e-4, 0.2), (3e-4, 0.0))])


def curves(frame: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (f"r{i}", n, tokens, 1.8 + 480 / n**0.35 + 1500 / tokens**0.36)
        for i, n in enumerate(np.geomspace(1e8, 1e9, 6))
        for tokens in np.geomspace(2e8, 4e10, 60)
    ]
    return pd.DataFrame(rows, columns=["run_id", "N", "D", "loss"])


KINDS = {
    "healthy": (sweep, "fit "),
    "recipe": (lambda: sweep().assign(N=lambda f: f.N / 1e6), "look "),
    "steps": (
        lambda: pd.DataFrame({"N": sweep().N, "steps": sweep().D / 2e6, "batch_tokens": 2e6, "loss": sweep().loss}),
        "look ",
    ),
    "tuned": (lambda: tuned(sweep()), "look "),
    "pooled": (lambda: pd.concat([sweep().assign(domain="web"), sweep(5).assign(domain="code")]), "fit "),
    "curves": (lambda: curves(sweep()), "isoflops "),
    "crashed": (lambda: sweep().assign(loss=lambda f: f.loss.where(f.index != 4)), "check "),
    "one column": (lambda: sweep(sizes=1)[["N", "loss"]], "fit "),
    "a curve": (lambda: sweep(sizes=1).assign(budget=lambda f: 6 * f.N * f.D)[["budget", "loss"]], "fit "),
    "one budget": (lambda: sweep(budgets=(2e19,)), "fit "),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_command_runs(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make, start = KINDS[kind]
    make().to_csv("runs.csv", index=False)
    refused = bool(lawful.look("runs.csv").refused)
    assert main(["look", "runs.csv"]) == int(refused)
    out, err = capsys.readouterr()
    (line,) = [line for line in out.splitlines() if line.startswith("Next: ")]
    assert line.removeprefix("Next: lawful ").startswith(start)
    assert err.count("\n") == int(refused)
    words = shlex.split(line.removeprefix("Next: lawful "))
    assert main([*words, *(["--draws", "0", "--no-figures"] if words[0] == "fit" else [])]) == 0, line
    if words[0] == "look":  # and so on, until the table is fitted
        again = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Next: ")]
        assert again[0].startswith("Next: lawful fit runs.csv --")
        assert main([*shlex.split(again[0].removeprefix("Next: lawful ")), "--draws", "0", "--no-figures"]) == 0


def test_json_and_a_picture(tmp_path, capsys):
    path = tmp_path / "runs.csv"
    sweep().to_csv(path, index=False)
    assert main(["look", str(path), "--json", "--out", str(tmp_path / "out")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "lawful.look/1"
    assert (document["n_rows"], document["n_runs"], document["n_sizes"]) == (21, 21, sweep().N.nunique())
    assert len(document["budgets"]) == 3
    written = json.loads((tmp_path / "out" / "look.json").read_text())
    assert written.pop("seal")
    assert written.pop("files") == sorted(p.name for p in (tmp_path / "out").iterdir())
    assert written == document
    assert (tmp_path / "out" / "look.png").stat().st_size > 10_000


def test_json_of_a_refused_table(tmp_path, capsys):
    path = tmp_path / "runs.csv"
    sweep()[["N", "D"]].to_csv(path, index=False)
    assert main(["look", str(path), "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["refused"].startswith("Runs need the loss and two of params, tokens and budget")
    assert json.loads(out)["n_runs"] is None
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["dataset_name", "domain", "architecture", "tag", "mixture"])
def test_experiments_under_any_label(name):
    frame = pd.concat([sweep().assign(**{name: "a"}), sweep(6).assign(**{name: "b"})])
    notes = lawful.read_runs(frame).notes
    assert "several_experiments" in [note.code for note in notes]
    assert set(lawful.check(frame).names) == {"a", "b"}


def test_a_name_of_sizes_or_budgets_is_no_experiment():
    frame = sweep()
    sizes = pd.DataFrame({"N": np.repeat([1e8, 2e8, 4e8], 3), "D": np.tile([1e9, 4e9, 16e9], 3)})
    sizes["loss"] = 1.8 + 480 / sizes.N**0.35 + 1400 / sizes.D**0.36
    sizes["arch"] = np.repeat(["d8", "d12", "d16"], 3)
    named = frame.assign(group=np.repeat(["small", "middle", "large"], 7))
    for table in (sizes, named):
        assert "several_experiments" not in [n.code for n in lawful.read_runs(table).notes]
    assert lawful.check(sizes).names == [""]


def test_checkpoints_without_a_name_of_their_run_are_recognised():
    steps = np.arange(1, 13) * 4e8
    rows = [(n, d, 1.8 + 480 / n**0.35 + 1400 / d**0.36) for n in (1e8, 2e8, 4e8) for d in steps]
    even = pd.DataFrame(rows, columns=["N", "D", "loss"])
    assert "unannealed" in [n.code for n in lawful.read_runs(even).notes]
    spaced = even.assign(D=np.tile(4e8 * 1.7 ** np.arange(12), 3))
    assert "unannealed" not in [n.code for n in lawful.read_runs(spaced).notes]


def test_curves_are_read_with_units_conditions_and_a_guard(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    frame = curves(sweep()).assign(split="train")
    plain = lawful.isoflop_points(frame)
    in_millions = pd.DataFrame({"run_id": frame.run_id, "N (M)": frame.N / 1e6, "D": frame.D, "loss": frame.loss})
    np.testing.assert_allclose(lawful.isoflop_points(in_millions).L, plain.L, rtol=1e-9)
    with pytest.raises(InputError, match="millions"):
        lawful.isoflop_points(frame.assign(N=frame.N / 1e6))
    other = frame.assign(split="other", loss=9.0)
    both = pd.concat([frame, other])
    np.testing.assert_array_equal(lawful.isoflop_points(both, where="split == 'train'").L, plain.L)
    both.to_csv("runs.csv", index=False)
    assert main(["look", "runs.csv", "--where", "split == 'train'", "--best-of-cell"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Next: ")]
    assert line == "Next: lawful isoflops runs.csv --where 'split == '\"'\"'train'\"'\"'' --out points.csv"
    assert main([*shlex.split(line.removeprefix("Next: lawful "))]) == 0
    assert len(pd.read_csv("points.csv")) == len(plain)


def test_what_was_tried_on_some_of_many_runs_says_so():
    rng = np.random.default_rng(4)
    N, D = np.exp(rng.uniform(*np.log([[1e7], [1e10]]), 1500)), np.exp(rng.uniform(*np.log([[1e9], [1e12]]), 1500))
    table = {"params": N, "tokens": D, "loss": 1.7 + 400 / N**0.34 + 410 / D**0.28}
    assert "Tried on 1,000 of the 1,500" in str(lawful.look(table))
    assert "Tried on" not in str(lawful.look({name: column[:900] for name, column in table.items()}))
