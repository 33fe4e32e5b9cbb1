"""Weights & Biases exports: budgets in names, their convention, and the rows that follow another one."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import lawful
from lawful.data.selection import open_table
from lawful.sources.read import read_groups
from lawful.sources.wandb import budget_in_name, budgets_from_names

LOSS = {"loss": "eval/paloma/macro_loss"}
SWEEP = [(b, n) for b in (1e18, 3e18, 1e19) for n in (1e8, 2e8, 4e8, 8e8)]


def sweep_table(factor: float = 3.0, *, extra: dict | None = None) -> dict:
    """A sweep whose names state budgets, total FLOPs being ``factor`` times as many."""
    params = [n for _, n in SWEEP]
    tokens = [factor * b / (6 * n) for b, n in SWEEP]
    return {
        "Name": [f"sweep-{b:.0e}-n{n:.0e}-a1b2c3" for b, n in SWEEP],
        "parameter_count": np.array(params, dtype=np.int64),
        "throughput/total_tokens": np.array(tokens),
        "eval/loss": [3.0 - 0.1 * i for i in range(len(SWEEP))],
        **(extra or {}),
    }


def codes(runs: lawful.Runs) -> list[str]:
    return [note.code for note in runs.notes]


@pytest.fixture(scope="module")
def published(shared_data: Path) -> lawful.Runs:
    experiment = {"experiment": "marin_202603__comma__llama_2"}
    return lawful.read_runs(shared_data / "isoflops.csv", select=experiment)


def same_runs(runs: lawful.Runs, other: lawful.Runs) -> None:
    for name in "NDLC":
        np.testing.assert_array_equal(getattr(runs, name), getattr(other, name))
    np.testing.assert_array_equal(runs.budgets, other.budgets)


def test_the_marin_export_is_the_published_experiment(shared_data: Path, published: lawful.Runs) -> None:
    export = shared_data / "marin_comma_wandb_export.csv"
    runs = lawful.read_runs(export, columns=LOSS)
    assert len(runs) == 85
    same_runs(runs, published)
    with export.open() as file:
        names = [row["Name"] for row in csv.DictReader(file)]
    aside = sorted(set(range(1, 93)) - set(runs.row.tolist()))
    assert aside == [i for i, name in enumerate(names, start=1) if "validation-optimal" in name]
    said = {note.code: note.message for note in runs.notes}
    assert said["set_aside"] == (
        "7 of 92 runs were set aside: each name states total FLOPs where the sweep states forward FLOPs "
        "(rows 1, 2, 3, 4, 5, 6, 7)."
    )
    assert (
        "in forward FLOPs, since total FLOPs (column 'throughput/total_gflops') are 3 times" in said["budget_in_name"]
    )


def test_without_logged_flops_6nd_tells_the_convention(shared_data: Path, published: lawful.Runs) -> None:
    import pandas as pd

    export = pd.read_csv(shared_data / "marin_comma_wandb_export.csv").drop(columns="throughput/total_gflops")
    runs = lawful.read_runs(export, columns=LOSS)
    same_runs(runs, published)
    assert "since total FLOPs (6ND) are 2.92 times them" in runs.notes[0].message


def test_each_group_has_a_convention_of_its_own() -> None:
    forward, total = sweep_table(3.0), sweep_table(1.0)
    both = {key: [*forward[key], *total[key]] for key in forward} | {"who": ["a"] * 12 + ["b"] * 12}
    groups = read_groups(both, by="who")
    assert groups["a"].budgets.tolist() == [3e18, 9e18, 3e19]
    assert groups["b"].budgets.tolist() == [1e18, 3e18, 1e19]
    assert codes(groups["b"]) == ["budget_in_name"]
    assert groups["b"].notes[0].message.endswith("are 1 times them in the median run; they were taken as they stand.")


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.4, 2.3, 3.0, 4.1])
def test_the_nearest_convention_is_taken(factor: float) -> None:
    runs = lawful.read_runs(sweep_table(factor))
    np.testing.assert_array_equal(runs.budgets, np.array([1e18, 3e18, 1e19]) * (3 if factor > 2 else 1))


@pytest.mark.parametrize("factor", [0.3, 7.0])
def test_numbers_that_are_no_budgets_are_left_alone_and_said(factor: float) -> None:
    runs = lawful.read_runs(sweep_table(factor))
    assert "budget" not in runs.columns
    assert runs.notes[0].code == "budget_in_name"
    assert "were not taken for budgets" in runs.notes[0].message


def test_logged_flops_win_over_6nd() -> None:
    gflops = np.array([3 * b / 1e9 for b, _ in SWEEP])
    runs = lawful.read_runs(sweep_table(1.5, extra={"throughput/total_gflops": gflops}))
    assert runs.budgets.tolist() == [3e18, 9e18, 3e19]


def test_rows_without_a_budget_or_of_no_convention_are_set_aside_with_their_reason() -> None:
    table = sweep_table()
    table["Name"][2] = "rerun-of-the-second"
    table["throughput/total_tokens"][5] *= 40
    runs = lawful.read_runs(table)
    assert runs.row.tolist() == [1, 2, 4, 5, 7, 8, 9, 10, 11, 12]
    assert [note.message for note in runs.notes if note.code == "set_aside"] == [
        "1 of 12 runs was set aside: its name states no budget (row 3).",
        "1 of 12 runs was set aside: its name states a budget that is neither of its counts of FLOPs (row 6).",
    ]


def test_a_budget_column_and_names_without_budgets_are_as_before() -> None:
    given = sweep_table(extra={"budget": [b for b, _ in SWEEP]})
    assert lawful.read_runs(given).budgets.tolist() == [1e18, 3e18, 1e19]
    assert "budget_in_name" not in codes(lawful.read_runs(given))
    plain = sweep_table()
    plain["Name"] = [f"run-{i}-lr-1e-3" for i in range(12)]
    assert "budget_in_name" not in codes(lawful.read_runs(plain))


def test_broken_numbers_are_left_for_the_door_to_refuse() -> None:
    table = sweep_table()
    table["throughput/total_tokens"] = [*table["throughput/total_tokens"][:-1], "crashed"]
    with pytest.raises(lawful.InputError, match=r"'throughput/total_tokens' must hold numbers.*row 12 \('crashed'\)"):
        lawful.read_runs(table)
    table["throughput/total_tokens"][-1] = None
    with pytest.raises(lawful.InputError, match=r"1 of 12 runs has NaN.*row 12 \(nan\)"):
        lawful.read_runs(table)


def test_integers_do_not_overflow_in_6nd() -> None:
    table = sweep_table()
    table["throughput/total_tokens"] = np.array(table["throughput/total_tokens"], dtype=np.int64) * 1000
    table["Name"] = [name.replace("e+", "e+0") for name in table["Name"]]
    table["Name"] = [f"sweep-{1000 * b:.0e}" for b, _ in SWEEP]
    assert lawful.read_runs(table).budgets.tolist() == [3e21, 9e21, 3e22]


@pytest.mark.parametrize(
    ("name", "budget"),
    [
        ("isoflop-1e+20-d768-L8-B512", 1e20),
        ("exp-validation-optimal-3e+19-5b04fb", 3e19),
        ("scaling_3.0e+19", 3e19),
        ("1e18", 1e18),
        ("C1e18-run", 1e18),
        ("budget1e18flops", 1e18),
        ("6E18 FLOPs", 6e18),
        ("run-1e18.json", 1e18),
        ("lr-1e-3", np.nan),
        ("seed-1e3", np.nan),
        ("hash-3e66cb", np.nan),
        ("hash-a1e18", np.nan),
        ("huge-1e400", np.nan),
        ("", np.nan),
        ("вес-1e18", 1e18),
    ],
)
def test_budgets_are_read_from_names(name: str, budget: float) -> None:
    np.testing.assert_equal(budget_in_name(name), budget)


def test_a_table_is_returned_as_it_came_where_nothing_is_found() -> None:
    table = open_table({"N": [1e8], "D": [1e9], "loss": [3.0]}, "here", None)
    roles = {"params": "N", "tokens": "D", "loss": "loss"}
    assert budgets_from_names(table, roles) == (table, roles, [])


def test_check_sees_the_same_sweep(shared_data: Path) -> None:
    checked = lawful.check(shared_data / "marin_comma_wandb_export.csv", columns=LOSS)
    assert len(checked) == 85
    assert checked.runs.budgets.size == 7
    assert [note.code for note in checked.notes][:2] == ["budget_in_name", "set_aside"]
