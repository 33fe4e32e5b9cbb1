"""The example of a real sweep: counts, corpus, resuming, and two steps of training where torch is present."""

import csv
import importlib
import io
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from lawful.sources.embedded import embedded_file

EXAMPLE = Path(__file__).parent.parent / "examples" / "tinysweep"


def load(name, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLE))
    for module in ("model", "train", "sweep", "corpus"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return importlib.import_module(name)


@pytest.fixture
def corpus(monkeypatch):
    return load("corpus", monkeypatch)


@pytest.fixture
def model(monkeypatch):
    pytest.importorskip("torch", reason="the trainer needs PyTorch, which is no dependency of lawful")
    return load("model", monkeypatch)


@pytest.fixture
def trainer(monkeypatch, model):
    return load("train", monkeypatch)


@pytest.fixture
def sweep(monkeypatch, model):
    pytest.importorskip("fcntl", reason="the sweep locks its CSV with fcntl, which this system lacks")
    return load("sweep", monkeypatch)


@pytest.fixture
def tiny_corpus(tmp_path):
    rng = np.random.default_rng(0)
    for side in ("train", "val"):
        (tmp_path / f"{side}.bin").write_bytes(rng.integers(0, 256, 20_000, dtype=np.uint8).tobytes())
    return tmp_path


def archive(path, files):
    with tarfile.open(path, "w:gz") as opened:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            opened.addfile(member, io.BytesIO(text))
    return path


def test_source_texts_keep_source_of_a_usual_size(corpus, tmp_path):
    text = b"x = 1\n" * 100
    files = {"p/a.py": text, "p/b.png": text, "p/stub.py": b"x", "p/binary.py": b"\0" * 500, "p/c.rst": text + b"y"}
    assert list(corpus.source_texts([archive(tmp_path / "p.tar.gz", files)])) == [text, text + b"y"]


def test_split_drops_copies_and_does_not_depend_on_the_order(corpus):
    texts = [f"line {i}\n".encode() * 3 for i in range(500)]
    indented = [b"  " + texts[0], texts[1] + b"\n\n"]
    train, validation = corpus.split([*texts, *texts[:20], indented[0]])
    assert len(train) + len(validation) == 500
    assert not set(train) & set(validation)
    assert 2 <= len(validation) <= 25
    assert corpus.split([indented[0], *reversed(texts)]) == (train, validation)


def test_written_corpus_says_what_it_is(corpus, tmp_path):
    card = corpus.write(tmp_path, [b"ab", b"c"], [b"d"])
    assert (tmp_path / "train.bin").read_bytes() == b"ab\0c"
    assert card["train"]["bytes"] == 4
    written = json.loads((tmp_path / "corpus.json").read_text())
    assert written == card
    assert all(len(package["sha256"]) == 64 and package["licence"] for package in written["packages"])


def test_a_wrong_hash_is_refused(corpus, tmp_path):
    (tmp_path / corpus.PACKAGES[0][3]).write_bytes(b"something else")
    with pytest.raises(SystemExit, match="was pinned; delete it and download it again"):
        corpus.download(tmp_path)


@pytest.mark.parametrize("width", [8, 36, 52, 96, 160])
def test_parameters_are_counted_as_torch_counts_them(model, width):
    shape = model.Shape(width, 2)
    sizes = {name: p.numel() for name, p in model.Model(shape, 16).named_parameters()}
    assert shape.params_total == sum(sizes.values())
    assert shape.params_non_embedding == shape.params_total - sizes["embedding"]


def test_flops_agree_with_a_count_by_hand_and_by_torch(model):
    from torch.utils.flop_counter import FlopCounterMode

    torch = importlib.import_module("torch")
    shape, context = model.Shape(16, 2), 32
    # A layer: q, k, v and out (4 of 16×16), up and down (2 of 16×64), scores and values (2 of 32×16); logits 16×256.
    by_hand = 3 * (2 * 2 * (4 * 256 + 2 * 1024) + 2 * 2 * 2 * 32 * 16 + 2 * 4096)
    assert shape.flops_per_token(context) == by_hand
    with FlopCounterMode(display=False) as counted:
        model.Model(shape, context)(torch.zeros(3, context, dtype=torch.long))
    matrices = 3 * context * 2 * (2 * 12 * 256 + 4096)
    attention = 3 * context * 2 * 2 * 2 * 32 * 16
    assert counted.get_total_flops() in {matrices, matrices + attention}


def test_the_nearest_shape_is_taken(model):
    assert model.nearest(45_000) == model.Shape(28, model.DEPTH)
    assert [model.nearest(shape.params_total) for shape in model.LADDER] == list(model.LADDER)


def test_a_model_does_not_see_the_next_byte(model):
    torch = importlib.import_module("torch")
    net = model.Model(model.Shape(16, 2), 12)
    x = torch.arange(24).view(2, 12)
    changed = x.clone()
    changed[:, 7:] = 200
    assert torch.allclose(net(x)[:, :7], net(changed)[:, :7], atol=1e-5)
    assert not torch.allclose(net(x)[:, 7:], net(changed)[:, 7:], atol=1e-2)


def test_two_steps_train_and_repeat(trainer, tiny_corpus):
    cell = trainer.cell_at("a", trainer.Shape(8, 1), 2 * trainer.BATCH_TOKENS, 0)
    row = trainer.train(cell, tiny_corpus)
    assert (row["steps"], row["tokens"], row["params"]) == (2, 2 * trainer.BATCH_TOKENS, cell.shape.params_total)
    assert float(row["flops"]) == pytest.approx(6 * row["params"] * row["tokens"], rel=1e-5)
    assert 5 < float(row["loss"]) < 8
    assert trainer.train(cell, tiny_corpus)["loss"] == row["loss"]
    other = trainer.cell_at("b", cell.shape, 2 * trainer.BATCH_TOKENS, 1)
    assert trainer.train(other, tiny_corpus)["loss"] != row["loss"]


def test_training_lowers_the_loss_on_text_that_repeats(trainer, tmp_path):
    text = np.tile(np.arange(97, 105, dtype=np.uint8), 4000)
    for side in ("train", "val"):
        (tmp_path / f"{side}.bin").write_bytes(text.tobytes())
    row = trainer.train(trainer.cell_at("a", trainer.Shape(16, 1), 40 * trainer.BATCH_TOKENS, 0), tmp_path)
    assert float(row["loss"]) < 1
    assert float(row["epochs"]) > 1


def test_no_window_repeats_within_an_epoch(trainer):
    count, steps = 10 * trainer.BATCH, 25
    order = trainer.window_order(count * trainer.CONTEXT + 1, steps, np.random.default_rng(0))
    assert order.shape == (steps, trainer.BATCH)
    for epoch in (order[:10], order[10:20]):
        assert sorted(epoch.ravel()) == list(range(count))
    assert order.max() * trainer.CONTEXT + trainer.CONTEXT + 1 <= count * trainer.CONTEXT + 1
    assert (order[:10] != order[10:20]).any()


def test_windows_are_followed_by_their_next_bytes(trainer):
    torch = importlib.import_module("torch")
    data = torch.arange(3 * trainer.CONTEXT + 1) % 251
    x, y = trainer.windows(data, torch.tensor([0, trainer.CONTEXT]))
    assert x.shape == y.shape == (2, trainer.CONTEXT)
    assert torch.equal(x[1], data[trainer.CONTEXT : 2 * trainer.CONTEXT])
    assert torch.equal(y[:, :-1], x[:, 1:])


def test_the_rate_rises_and_falls_to_zero(trainer):
    rates = [trainer.rate_at(step, 100) for step in range(100)]
    assert rates[4] == 1
    assert np.all(np.diff(rates[:5]) > 0)
    assert np.all(np.diff(rates[5:]) < 0)
    assert rates[-1] < 1e-2


def test_rows_are_appended_once_and_a_cut_line_is_dropped(sweep, tmp_path):
    out = tmp_path / "runs.csv"
    sweep.append(out, {"run": "a", "loss": 1.5, "seconds": 2})
    with out.open("a") as handle:
        handle.write("b,1.")
    sweep.append(out, {"run": "c", "loss": 1.25, "seconds": 3})
    assert list(csv.reader(out.read_text().splitlines())) == [
        ["run", "loss", "seconds"],
        ["a", "1.5", "2"],
        ["c", "1.25", "3"],
    ]
    assert sweep.done(out) == {"a", "c"}
    assert sweep.done(tmp_path / "none.csv") == set()


def test_a_manifest_becomes_cells_of_its_budgets(sweep, tmp_path):
    rows = [
        {"run": "run001", "params": 46_000.0, "tokens": 2e6, "flops": 5.52e11, "seed": 0},
        {"run": "run002", "params": 9_000.0, "tokens": 2e6, "flops": 1.08e11, "seed": 1},
    ]
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"runs": rows}))
    large, small = sweep.read_manifest(file)
    assert (small.run, small.seed, large.run) == ("run002", 1, "run001")
    assert large.shape == sweep.nearest(46_000)
    assert large.flops == pytest.approx(5.52e11, rel=2e-3)
    text = "\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)])
    (tmp_path / "plan.csv").write_text(text + "\n")
    assert sweep.read_manifest(tmp_path / "plan.csv") == [large, small]
    doubled = sweep.tuning_cells([small, large], ["run001"])
    assert [c.rate / large.rate for c in doubled] == [0.5, 2.0]


def test_done_runs_are_skipped(sweep, tmp_path, capsys):
    out = tmp_path / "runs.csv"
    sweep.append(out, {"run": "a", "loss": 1.5, "seconds": 2})
    sweep.train_all([sweep.cell_at("a", sweep.Shape(8, 1), 1024, 0)], out, 1, None)
    assert "1 runs are done, 0 to train" in capsys.readouterr().out
    assert sweep.done(out) == {"a"}


def test_a_pilot_takes_every_rate_at_every_width_and_budget(sweep):
    cells = sweep.pilot_cells([16, 32], [0.004, 0.008], [1e11, 3e11])
    assert len({cell.run for cell in cells}) == len(cells) == 8
    assert {cell.rate for cell in cells} == {0.004, 0.008}
    ruled = sweep.pilot_cells([32], [], [1e12])
    assert ruled[0].rate == sweep.cell_at("a", sweep.Shape(32, sweep.DEPTH), ruled[0].tokens, 0).rate


def test_the_rows_of_the_data_set_follow_from_the_manifests(sweep):
    """Every published row is the cell that its manifest names: shape, bytes, rate, counts."""
    for manifest, name in (("plan.json", "tinysweep"), ("target.json", "tinysweep-target")):
        path = embedded_file(f"{name}.csv")
        assert path is not None
        cells = {cell.run: cell for cell in sweep.read_manifest(EXAMPLE / manifest)}
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        assert {row["run"] for row in rows} == set(cells)
        for row in rows:
            cell = cells[row["run"]]
            assert (int(row["params"]), int(row["tokens"])) == (cell.shape.params_total, cell.tokens)
            assert (int(row["width"]), int(row["steps"]), int(row["seed"])) == (cell.shape.width, cell.steps, cell.seed)
            assert float(row["learning_rate"]) == pytest.approx(cell.rate, rel=1e-6)
            assert float(row["flops"]) == pytest.approx(cell.flops, rel=1e-5)
            assert float(row["flops_exact"]) == pytest.approx(
                cell.shape.flops_per_token(int(row["context"])) * cell.tokens, rel=1e-5
            )


def test_a_row_is_run_again_by_one_command(sweep, tiny_corpus, monkeypatch, capsys):
    """The documented command, on a manifest of two steps."""
    rows = [{"run": "run010", "params": 9_000, "tokens": 8192, "flops": 6 * 9_000 * 8192, "seed": 2}]
    (tiny_corpus / "plan.json").write_text(json.dumps({"runs": rows}))
    words = ["run", "--manifest", str(tiny_corpus / "plan.json"), "--row", "run010", "--corpus", str(tiny_corpus)]
    monkeypatch.setattr(sys, "argv", ["sweep.py", *words, "--device", "cpu"])
    sweep.main()
    row = json.loads(capsys.readouterr().out)
    assert (row["run"], row["seed"], row["steps"], row["device"]) == ("run010", 2, 2, "CPU, one thread")
