"""Training curves to IsoFLOP points: the published recipe on the published checkpoints, and each of its rules."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import lawful
from lawful.cli import main
from lawful.data.checkpoints import checkpoint_notes, row_codes
from lawful.sources.isoflops import read_curves, training_curves

SIZES, STEPS = (1e8, 2e8, 4e8), np.array([2.5e8, 5e8, 1e9, 2e9])


def curves(**more: object) -> dict:
    N, D = np.repeat(SIZES, STEPS.size), np.tile(STEPS, len(SIZES))
    return {"N": N, "D": D, "loss": 1.7 + (1e6 / N) ** 0.3 + (1e7 / D) ** 0.3, **more}


def codes(runs: lawful.Runs) -> list[str]:
    return [note.code for note in runs.notes]


@pytest.fixture(scope="module")
def checkpoints(shared_data: Path) -> Path:
    return shared_data / "misfitting_checkpoints.csv"


@pytest.fixture(scope="module")
def points(checkpoints: Path) -> lawful.Runs:
    return lawful.isoflop_points(checkpoints)


@pytest.fixture(scope="module")
def published(shared_data: Path) -> dict[str, np.ndarray]:
    experiment = {"experiment": "misfitting__fineweb_c4__transformer"}
    runs = lawful.read_runs(shared_data / "isoflops.csv", select=experiment)
    order = np.lexsort([runs.N, runs.C])
    return {name: getattr(runs, name)[order] for name in "NDLC"}


def test_the_misfitting_checkpoints_become_the_published_points(points: lawful.Runs, published: dict) -> None:
    assert len(points) == 176
    assert points.budgets.size == 26
    for name in "NDC":
        np.testing.assert_allclose(getattr(points, name), published[name], rtol=1e-14)
    assert int((np.abs(points.L - published["L"]) < 1e-9).sum()) == 147


def test_the_other_29_hang_on_the_order_of_repeated_checkpoints(points: lawful.Runs, published: dict) -> None:
    low, high = points.labels["loss_low"], points.labels["loss_high"]
    tied = low < high
    differ = np.abs(points.L - published["L"]) > 1e-9
    assert (int(tied.sum()), int(differ.sum())) == (53, 29)
    assert tied[differ].all()
    # Whatever order the original's sort left them in, its losses lie between those of all orders.
    assert ((published["L"] >= low - 1e-12) & (published["L"] <= high + 1e-12)).all()
    message = next(note.message for note in points.notes if note.code == "tied_checkpoints")
    assert message.startswith("34 of 109 runs repeat a compute value")
    assert "Another order would change the loss of 53 of 176 points" in message


def test_what_the_published_points_rest_on_is_said(points: lawful.Runs) -> None:
    assert codes(points) == ["checkpoint_runs", "checkpoint_budgets", "tied_checkpoints", "unannealed"]
    said = {note.code: note.message for note in points.notes}
    assert said["checkpoint_runs"].startswith("Rows with the same 'N', 'peak_lr', 'sweep' were taken for one run")
    assert said["checkpoint_budgets"].startswith("26 of 40 candidate budgets")
    assert said["unannealed"].startswith("4,589 of 4,852 rows are checkpoints before the end of their run")


def test_the_default_runs_are_those_of_the_recipe(checkpoints: Path, points: lawful.Runs) -> None:
    named = lawful.isoflop_points(checkpoints, run=["N", "peak_lr", "sweep"], budgets=40)
    np.testing.assert_array_equal(named.L, points.L)


def test_approach_1_runs_on_the_checkpoints_themselves(checkpoints: Path) -> None:
    found = lawful.fit_envelope(lawful.read_runs(checkpoints))
    assert found.frontier.a == pytest.approx(0.508, abs=0.005)
    assert found.frontier.params(1e20) == pytest.approx(1.03e9, rel=0.05)
    assert {"unannealed", "envelope_dropped"} <= {note.code for note in found.notes}


def test_every_size_gets_its_loss_at_the_budget() -> None:
    points = lawful.isoflop_points(curves(), budgets=[1.2e18])
    np.testing.assert_allclose(points.D, [2e9, 1e9, 5e8], rtol=1e-14)
    expected = 1.7 + (1e6 / points.N) ** 0.3 + (1e7 / points.D) ** 0.3
    np.testing.assert_allclose(points.L, expected, rtol=1e-14)
    assert points.labels["checkpoint_row"].tolist() == [4, 7, 10]


def test_losses_between_checkpoints_are_straight_lines_of_logarithms() -> None:
    N, C = np.repeat(SIZES, 2), np.tile([1e18, 4e18], 3)
    loss = np.tile([4.0, 3.0], 3)
    points = lawful.isoflop_points({"N": N, "C": C, "loss": loss}, budgets=[2e18], tolerance=2.0)
    np.testing.assert_allclose(points.L, np.sqrt(12.0), rtol=1e-14)
    constant = lawful.isoflop_points({"N": N, "C": C, "loss": loss}, budgets=[0.95e18, 4.1e18])
    assert constant.L.tolist() == pytest.approx([4.0, 4.0, 4.0, 3.0, 3.0, 3.0])


def test_a_run_without_a_checkpoint_near_the_budget_gives_no_point() -> None:
    table = curves()
    table["D"] = np.where(table["N"] == 4e8, table["D"] * 1.2, table["D"])
    with pytest.raises(lawful.IdentificationError, match="None of the 1 candidate budgets has checkpoints of 3 model"):
        lawful.isoflop_points(table, budgets=[1.2e18])
    assert lawful.isoflop_points(table, budgets=[1.2e18], min_sizes=2).N.tolist() == [1e8, 2e8]
    assert lawful.isoflop_points(table, budgets=[1.2e18], tolerance=0.25).N.tolist() == [1e8, 2e8, 4e8]


def test_the_best_run_of_a_size_counts() -> None:
    table = curves(peak_lr=np.full(12, 1e-3))
    worse = {**curves(peak_lr=np.full(12, 1e-2)), "loss": curves()["loss"] + 0.1}
    both = {key: np.concatenate([worse[key], table[key]]) for key in table}
    points = lawful.isoflop_points(both, budgets=[1.2e18])
    np.testing.assert_array_equal(points.L, lawful.isoflop_points(table, budgets=[1.2e18]).L)
    assert points.labels["peak_lr"].tolist() == [1e-3] * 3


def test_repeats_keep_the_order_of_the_table() -> None:
    one = np.zeros(4, dtype=int)
    curve = training_curves(np.array([1.0, 2.0, 2.0, 4.0]), np.array([5.0, 4.0, 3.0, 2.0]), one)
    found = read_curves(curve, np.zeros(5, dtype=int), np.log([np.sqrt(2.0), np.sqrt(8.0), 2.0, 8.0, 1.0]))
    np.testing.assert_allclose(found.loss, [np.sqrt(5 * 4), np.sqrt(3 * 2), 3.0, 2.0, 5.0])
    np.testing.assert_allclose(found.low[:2], [np.sqrt(5 * 3), np.sqrt(3 * 2)])
    np.testing.assert_allclose(found.high[:2], [np.sqrt(5 * 4), np.sqrt(4 * 2)])


def test_broken_checkpoints_are_set_aside_and_said() -> None:
    table = curves()
    table["loss"][[1, 5]] = [np.nan, -1.0]
    points = lawful.isoflop_points(table, budgets=[1.2e18])
    note = next(note for note in points.notes if note.code == "set_aside")
    assert note.message.startswith("2 of 12 checkpoints were set aside")
    assert note.message.endswith("(rows 2, 6).")
    table["loss"][:] = np.nan
    with pytest.raises(lawful.InputError, match="None of the 12 checkpoints has a loss, params, tokens and budget"):
        lawful.isoflop_points(table)
    with pytest.raises(lawful.InputError, match="must hold numbers"):
        lawful.isoflop_points({**table, "loss": ["x"] * 12})


def test_one_finished_run_per_row_gets_no_note() -> None:
    finished = {"N": [1e8, 2e8, 4e8], "C": [1.2e18] * 3, "loss": [3.2, 3.1, 3.3]}
    assert codes(lawful.isoflop_points(finished, budgets=1)) == ["checkpoint_runs"]
    assert "unannealed" in codes(lawful.isoflop_points(curves(), budgets=[1.2e18]))
    annealed = curves(progress=np.ones(12))
    assert "unannealed" not in codes(lawful.isoflop_points(annealed, budgets=[1.2e18]))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"portion_steps_elapsed": np.array([0.5, 1.0, 1.02, 1.0])}, "1 of 4 rows are checkpoints"),
        ({"portion_steps_elapsed": np.ones(4), "run": np.array(["a", "a", "b", "b"], dtype=object)}, ""),
        ({"run": np.array(["a", "a", "b", "c"], dtype=object)}, "1 of 3 runs (column 'run') have several rows"),
        ({"run": np.array(["a", "b", "c", "d"], dtype=object)}, ""),
        ({"progress": np.array(["half"] * 4, dtype=object)}, ""),
        ({}, ""),
    ],
)
def test_rows_that_look_like_checkpoints_are_told(labels: dict, said: str) -> None:
    notes = checkpoint_notes(labels, np.array([1e8, 1e8, 2e8, 2e8]), np.array([1e9, 2e9, 1e9, 2e9]))
    assert [note.message[: len(said)] for note in notes] == ([said] if said else [])


def test_fits_of_checkpoints_carry_the_note() -> None:
    names = np.repeat(["small", "middle", "large"], STEPS.size)
    runs = lawful.read_runs(curves(run=names))
    assert codes(runs)[-1] == "unannealed"
    assert "unannealed" in [note.code for note in lawful.fit(runs).notes]


def test_rows_are_numbered_in_order_of_appearance() -> None:
    text = np.array(["b", "a", "b", "b"], dtype=object)
    assert row_codes([text]).tolist() == [0, 1, 0, 0]
    assert row_codes([text, np.array([1.0, 1.0, 2.0, 1.0]), np.zeros(4)]).tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, "tolerance must be a fraction above zero, got 0.0"),
        ({"tolerance": np.nan}, "tolerance must be a fraction above zero, got nan"),
        ({"min_sizes": 0}, "at least one model size, got min_sizes=0"),
        ({"budgets": 0}, "between 1 and 1,000,000, got 0"),
        ({"budgets": [1e18, -1.0]}, "Budgets must be positive numbers of FLOPs, got 1e\\+18, -1.0"),
        ({"budgets": []}, "Budgets must be positive numbers"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict, message: str) -> None:
    with pytest.raises(lawful.UnsupportedError, match=message):
        lawful.isoflop_points(curves(), **options)


def test_a_run_column_that_does_not_exist_is_named() -> None:
    with pytest.raises(lawful.InputError, match="no column 'wing', which `run` names"):
        lawful.isoflop_points(curves(), run=["wing"])


def test_the_command_writes_points_that_fit_reads(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    table, out = tmp_path / "curves.csv", tmp_path / "new" / "points.csv"
    columns = curves(lr=np.full(12, 1e-3))
    with table.open("w") as file:
        csv.writer(file).writerows([list(columns), *zip(*columns.values(), strict=True)])
    budgets = "6e17,1.2e18"
    assert main(["isoflops", str(table), "--out", str(out), "--run", "lr", "--budgets", budgets, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "lawful.isoflops/1"
    assert [b["sizes"] for b in document["budgets"]] == [3, 3]
    assert document["points"][0]["params"] == 1e8
    assert document["out"] == str(out)
    runs = lawful.read_runs(out)
    assert runs.L.tolist() == [point["loss"] for point in document["points"]]
    assert sorted(path.name for path in out.parent.iterdir()) == ["points.csv"]
    assert main(["isoflops", str(table), "--out", str(out), "--budgets", "6"]) == 0
    assert "points at" in capsys.readouterr().out


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    table = tmp_path / "curves.csv"
    table.write_text("N,D,loss\n1e8,1e9,3\n2e8,1e9,3\n")
    cases = [
        (["--out", str(table)], 1, "is the table that was read; choose another file"),
        (["--out", str(tmp_path)], 1, "is a directory; --out takes the name of a CSV file"),
        (["--out", str(table / "x.csv")], 1, "Cannot write to"),
        (["--budgets", "4.5"], 2, "a whole number of candidates or budgets in FLOPs, got '4.5'"),
        (["--budgets", "many"], 2, "--budgets must be a finite number, got 'many'"),
        ([], 1, "None of the 40 candidate budgets has checkpoints of 3 model sizes"),
    ]
    for arguments, code, message in cases:
        assert main(["isoflops", str(table), *arguments]) == code
        shown = capsys.readouterr()
        assert (shown.out, shown.err.count("\n")) == ("", 1)
        assert message in shown.err or arguments[:1] == ["--out"]
    assert table.read_text().startswith("N,D,loss")
    assert [path.name for path in tmp_path.iterdir()] == ["curves.csv"]
