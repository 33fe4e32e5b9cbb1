"""Two fits beside each other: what differs in data and settings, whether intervals overlap, and lawful report."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lawful.analysis.analysis import analyse
from lawful.cli.app import main
from lawful.core.objective import Objective
from lawful.design.plan import plan_isoflop, simulate
from lawful.errors import InputError, OutputError, UnsupportedError
from lawful.laws.surface import Surface
from lawful.show.files.artifact import save_fit
from lawful.show.files.bundle import write_fit
from lawful.show.report.changes import (
    change_sentence,
    changes_document,
    changes_html,
    changes_of,
    changes_tables,
    data_sentences,
)
from lawful.show.report.decision import decision_sentences
from lawful.show.report.reporting import write_report
from lawful.show.report.saved import SavedFit, load_saved
from lawful.sources.read import read_runs

BUDGETS = [1e18, 1e19, 1e20, 1e21]


def runs_of(seed: int = 5) -> Any:
    truth = Surface.named("besiroglu")
    runs = simulate(truth, plan_isoflop(BUDGETS, 6, surface=truth), noise=0.004, seed=seed)
    names = [f"run {i}" for i in range(len(runs))]
    return read_runs({"params": runs.N, "tokens": runs.D, "loss": runs.L, "budget": runs.C, "name": names})


@pytest.fixture(scope="module")
def pair() -> tuple[SavedFit, SavedFit]:
    runs = runs_of()
    one = analyse(runs, budgets=[1e23])
    other = analyse(runs.take(np.arange(len(runs)) != 4), budgets=[1e22], objective=Objective.huber(1e-3))
    return SavedFit("a/fit.json", one, None), SavedFit("b/fit.json", other, None)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, pair: tuple[SavedFit, SavedFit]) -> tuple[Path, Path]:
    made = []
    for saved in pair:
        folder = tmp_path_factory.mktemp("fit")
        write_fit(folder, saved.analysis, with_figures="none")
        made.append(folder)
    return made[0], made[1]


def test_what_differs_is_counted_by_rows(pair: tuple[SavedFit, SavedFit]) -> None:
    changes = changes_of(pair)
    assert data_sentences(changes) == ["A and B share 23 runs; 1 are in A only, 0 in B only."]
    document = changes_document(changes)
    changed = {row["name"] for row in document["settings"] if row["changed"]}
    assert changed == {"File", "Runs", "Objective"}
    assert document["optima"]["budget"] == [1e22, 1e23] * 2


def test_the_same_runs_are_told_by_their_hash(pair: tuple[SavedFit, SavedFit]) -> None:
    same = data_sentences(changes_of([pair[0], pair[0]]))
    assert re.fullmatch(r"A and B were fitted to the same 24 runs \(SHA-256 [0-9a-f]{12}…\)\.", same[0])


def test_another_loss_at_the_same_place_and_no_common_run_are_told(pair: tuple[SavedFit, SavedFit]) -> None:
    runs = runs_of()
    loss = runs.L.copy()
    loss[0] += 0.01
    moved = SavedFit("m", analyse(dataclasses.replace(runs, L=loss), draws=0), None)
    assert (
        data_sentences(changes_of([pair[0], moved]))[1] == "Of those, 1 have the same N and D in both but another loss."
    )
    truth = Surface.named("besiroglu")
    far = SavedFit("f", analyse(simulate(truth, plan_isoflop([1e15, 1e16, 1e17], 6, surface=truth)), draws=0), None)
    assert "have no run in common" in data_sentences(changes_of([pair[0], far]))[1]


def test_overlap_follows_the_intervals(pair: tuple[SavedFit, SavedFit]) -> None:
    rows = {row["name"]: row for row in changes_document(changes_of(pair))["coefficients"]}
    for row in rows.values():
        (low, high), (least, most) = row["intervals"]
        assert row["overlap"] == (low <= most and least <= high)
    assert rows["alpha"]["values"][0] == pair[0].analysis.fit.surface["alpha"]


def test_without_intervals_nothing_is_said_of_overlap() -> None:
    bare = SavedFit("a", analyse(runs_of(), draws=0), None)
    changes = changes_of([bare, bare])
    assert {row["overlap"] for row in changes_document(changes)["coefficients"]} == {None}
    assert changes.budgets == (1e21,)
    assert "they are compared at the largest that was trained" in changes_html(changes)
    assert change_sentence(changes).endswith("N* of B is the same.")


def test_a_surface_and_a_frontier_stand_beside_each_other(pair: tuple[SavedFit, SavedFit]) -> None:
    lines = SavedFit("l", analyse(runs_of(), method="approach2", draws=50, budgets=[1e23]), None)
    page = changes_html(changes_of([pair[0], lines]))
    assert "n/a" in page
    tables = changes_tables(changes_of([pair[0], lines]))
    assert tables["fit_coefficients"]["fit"].tolist().count("B") == 4


def test_three_fits_have_a_column_each_and_no_overlap(pair: tuple[SavedFit, SavedFit]) -> None:
    changes = changes_of([*pair, pair[0]])
    page = changes_html(changes)
    assert "<h1>3 fits, side by side</h1>" in page
    assert change_sentence(changes).startswith("At 1e23 FLOPs the 3 fits ask for ")
    lines = changes_tables(changes)["fit_frontiers"]
    assert len({lines["budget"][lines["fit"] == name].max() for name in "ABC"}) == 1
    assert "Intervals overlap" not in page
    assert '<th scope="col">C</th>' in page


def test_one_fit_is_no_comparison(pair: tuple[SavedFit, SavedFit]) -> None:
    with pytest.raises(UnsupportedError, match="A comparison needs 2 to 26 fits, got 1"):
        changes_of(pair[:1])


def test_a_loaded_fit_says_what_the_first_report_said(folders: tuple[Path, Path], pair: Any) -> None:
    saved = load_saved(folders[0] / "fit.json")
    first, again = pair[0].analysis.allocations[0], saved.analysis.allocations[0]
    assert (again.budget, again.params, again.tokens) == (first.budget, first.params, first.tokens)
    assert again.interval == first.interval
    assert saved.analysis.fit.runs.labels["name"].tolist() == runs_of().labels["name"].tolist()
    assert [a.budget for a in load_saved(folders[0] / "fit.json", budgets=[1e24]).analysis.allocations] == [1e24]


def test_labels_of_other_runs_are_not_taken(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "fit.json").write_text((folders[0] / "fit.json").read_text())
    (tmp_path / "runs.csv").write_text((folders[1] / "runs.csv").read_text())
    assert load_saved(tmp_path / "fit.json").analysis.fit.runs.labels == {}


def test_lawful_report_writes_a_page_and_its_tables(
    folders: tuple[Path, Path], pair: tuple[SavedFit, SavedFit], tmp_path: Path, capsys: Any
) -> None:
    page = tmp_path / "sweep.html"
    assert main(["report", str(folders[0] / "fit.json"), "--out", str(page), "--title", "<b>Sweep</b>"]) == 0
    assert "<h1>&lt;b&gt;Sweep&lt;/b&gt; <span>" in page.read_text()
    assert (tmp_path / "sweep-tables" / "isoflop_runs.csv").read_text().splitlines()[0].endswith(",label")
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("At 1e23 FLOPs, 100 times beyond the runs: N* ")
    assert said.startswith(decision_sentences(pair[0].analysis)[0])


def test_lawful_report_of_two_says_what_changed(folders: tuple[Path, Path], tmp_path: Path, capsys: Any) -> None:
    files = [str(folder / "fit.json") for folder in folders]
    assert main(["report", *files, "--out", str(tmp_path / "c.html")]) == 0
    assert "<h1>What changed</h1>" in (tmp_path / "c.html").read_text()
    assert sorted(p.stem for p in (tmp_path / "c-tables").glob("*.csv")) == [
        "fit_coefficients", "fit_frontiers", "fit_optima", "fits",
    ]  # fmt: skip
    capsys.readouterr()
    assert main(["report", *files, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "lawful.changes/1"
    assert document["decision"][0].startswith("At 1e23 FLOPs fit A asks for ")


def test_json_without_out_writes_nothing(
    folders: tuple[Path, Path], tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(folders[0] / "fit.json"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "lawful.report/1"
    assert document["tables"]["allocations"]["budget"] == [1e23]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere.json"], 1, "There is no file 'nowhere.json'; check the path."),
        (["{fit}", "--out", "page.json"], 1, "A report is a page, so --out ends in .html, got 'page.json'."),
        (["{fit}", "--budget", "-1"], 2, "-1"),
        ([], 2, "lawful report needs FIT.json"),
    ],
)
def test_bad_input_is_one_sentence(
    folders: tuple[Path, Path], tmp_path: Path, capsys: Any, monkeypatch: Any, arguments: Any, code: int, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [a.replace("{fit}", str(folders[0] / "fit.json")) for a in arguments]
    assert main(["report", *given]) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_write_report_takes_fits_files_and_analyses(tmp_path: Path, pair: tuple[SavedFit, SavedFit]) -> None:
    fit = pair[0].analysis.fit
    page = write_report(fit, path=tmp_path / "one.html")
    assert "Bias of Approach 2" in page.read_text()
    path = save_fit(fit, tmp_path / "fit.json")
    assert "What changed" in write_report(path, pair[1].analysis, path=tmp_path / "two.html").read_text()
    with pytest.raises(InputError, match="A report needs at least one fit"):
        write_report(path=tmp_path / "none.html")


def test_a_folder_in_the_way_is_refused(tmp_path: Path, pair: tuple[SavedFit, SavedFit]) -> None:
    (tmp_path / "x.html").mkdir()
    with pytest.raises(OutputError, match=r"Cannot write .*x\.html"):
        write_report(pair[0].analysis, path=tmp_path / "x.html")
    (tmp_path / "y-tables").write_text("mine")
    with pytest.raises(OutputError, match="choose another name"):
        write_report(pair[0].analysis, path=tmp_path / "y.html")
    assert (tmp_path / "y-tables").read_text() == "mine"
