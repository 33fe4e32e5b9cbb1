"""Our own runs: the study of them and the demo, before and after the runs that test the forecasts exist."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import lawful
from lawful.cli import main
from lawful.show.ledger import append_entry, entry_of
from lawful.sources import embedded
from lawful.studies import tinysweep
from lawful.studies.s22_tinysweep import STUDY, nominal_budgets
from lawful.studies.study import Tables
from lawful.studies.tables import Table

LOSSES = (0.72, 0.69, 0.71)


def tables_of() -> Tables:
    config = STUDY.settings(quick=True, seed=42)
    parts = [STUDY.compute(config, task) for task in STUDY.tasks(config)]
    return {name: Table.stack([part[name] for part in parts]) for name in parts[0]}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Our files as they were before the forecasts were tested, and after, with losses made up here."""
    before, after = (tmp_path_factory.mktemp(name) for name in ("before", "after"))
    for name in ("tinysweep", "tinysweep-first", "tinysweep-first-tuning"):
        shutil.copy(embedded.EMBEDDED / f"{name}.csv", before)
    shutil.copytree(before, after, dirs_exist_ok=True)
    runs = lawful.Runs.fetch("tinysweep")
    for fit in (lawful.fit(runs), lawful.fit_isoflop(runs)):
        append_entry(after / tinysweep.LEDGER, entry_of(fit, fit.forecast([tinysweep.TARGET])))
    header, row = (before / "tinysweep.csv").read_text(encoding="utf-8").splitlines()[:2]
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    lines = [header]
    for i, loss in enumerate(LOSSES):
        params = 1_500_000 * 1.6**i
        new = {"run": f"t{i}", "params": params, "tokens": tinysweep.TARGET / 6 / params, "loss": loss}
        lines.append(",".join(str(v) for v in (cells | new | {"flops": tinysweep.TARGET}).values()))
    (after / "tinysweep-target.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    again = [header, ",".join((cells | {"loss": "0.9", "device": "CPU"}).values())]
    (after / "tinysweep-again.csv").write_text("\n".join(again) + "\n", encoding="utf-8")
    tuned = [header, ",".join((cells | {"run": f"{cells['run']}-x2", "loss": "0.8"}).values())]
    (after / "tinysweep-tuning.csv").write_text("\n".join(tuned) + "\n", encoding="utf-8")
    for folder in (before, after):
        sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" for file in sorted(folder.iterdir())]
        (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    return {"before": before, "after": after}


@pytest.fixture
def before(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "EMBEDDED", folders["before"])


@pytest.fixture
def after(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "EMBEDDED", folders["after"])


@pytest.mark.slow
def test_the_study_of_this_version_has_words_and_figures() -> None:
    tables = tables_of()
    sentences = STUDY.findings(tables)
    assert all(sentence.endswith(".") and "nan" not in sentence for sentence in sentences)
    assert list(STUDY.draw(tables)) == ["tinysweep", "plan", "seeds", "transition", "forecast"]
    assert tables["fits"].values("method") == ["vpnls", "approach1", "approach2", "approach3"]
    assert len(tables["seeds"].where(sweep="second")) == len(tables["seeds"].where(sweep="first")) == 9
    test = tables["lack_of_fit"].one(sweep="second")
    assert (test["replicates"], test["freedom_model"], test["freedom_pure"]) == (27, 30, 18)
    # Pure error by hand: the pooled deviation of the nine cells, three seeds each.
    cells = tables["seeds"].where(sweep="second")
    assert np.sqrt((cells["deviation"] ** 2).mean()) == pytest.approx(test["pure_error"], rel=1e-12)


def test_the_quick_twin_is_the_study() -> None:
    assert STUDY.settings(quick=True, seed=1) == STUDY.settings(quick=False, seed=1)


def test_budgets_are_those_that_were_planned() -> None:
    assert np.unique(nominal_budgets(tinysweep.sweep_runs("second"))) == pytest.approx(
        np.geomspace(1.25e12, 1.25e14, 5), rel=3e-3
    )
    assert np.unique(nominal_budgets(tinysweep.sweep_runs("first"))) == pytest.approx(
        np.geomspace(3e12, 3e14, 5), rel=3e-3
    )


def test_the_ledger_of_this_version_forecasts_from_the_data_set() -> None:
    entries = tinysweep.ledger()
    assert {entry["data"]["sha256"] for entry in entries} == {lawful.Runs.fetch("tinysweep").sha256}
    assert {entry["method"] for entry in tinysweep.target_forecasts(entries)} == {
        *("vpnls", "approach1", "approach2", "approach3")
    }


@pytest.mark.slow
@pytest.mark.usefixtures("before")
def test_before_the_target_runs_nothing_is_scored() -> None:
    tables = tables_of()
    assert set(tables["forecasts"]["verdict"]) == {"pending"}
    assert set(tables["forecasts"]["written"]) == {"not written down"}
    sentences = STUDY.findings(tables)
    assert "not trained yet" in sentences[0]
    assert not len(tables["again"])
    assert STUDY.draw(tables)["forecast"].axes[0].get_title(loc="left") == "Loss: not trained yet"


@pytest.mark.slow
@pytest.mark.usefixtures("after")
def test_after_the_target_runs_the_ledger_is_scored_by_the_best_of_them() -> None:
    tables = tables_of()
    made = tables["forecasts"]
    assert made["method"].tolist() == ["vpnls", "approach2"]
    assert made["came"].tolist() == [0.69, 0.69]
    inside = [bool(low <= 0.69 <= high) for low, high in zip(made["low"], made["high"], strict=True)]
    assert [verdict == "inside" for verdict in made["verdict"]] == inside
    sentences = STUDY.findings(tables)
    assert f"inside the prediction intervals of {sum(inside)} of 2 methods" in sentences[0]
    assert any("trained again differ" in sentence for sentence in sentences)
    assert any(sentence.startswith("Second sweep: half or double") for sentence in sentences)
    drawn = STUDY.draw(tables)
    assert drawn["forecast"].axes[0].get_title(loc="left") == "Loss: best run came at 0.690"
    assert len(tables["runs"].where(sweep="target")) == len(LOSSES)


@pytest.fixture(autouse=True)
def _quick_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages and figures have tests of their own."""
    monkeypatch.setattr("lawful.show.files.bundle.write_figures", lambda *_: None)
    monkeypatch.setattr("lawful.show.files.bundle.write_report_files", lambda *_: None)


def shown(capsys: pytest.CaptureFixture) -> str:
    return re.sub(r"\s+", " ", capsys.readouterr().out)


@pytest.mark.usefixtures("before")
def test_the_demo_shows_real_runs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["demo", "--out", str(tmp_path / "d")]) == 0
    text = shown(capsys)
    assert text.startswith("REAL DATA")
    assert "not trained yet, so nothing is scored" in text
    assert "What they cannot support: which method is right." in text
    assert {"fit.json", "compare.json", "runs.csv"} <= {path.name for path in (tmp_path / "d").iterdir()}
    assert len(lawful.load(tmp_path / "d" / "fit.json").fit.runs) == 53


@pytest.mark.slow
@pytest.mark.usefixtures("after")
def test_the_demo_scores_the_forecasts_once_the_runs_are_there(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["demo", "--out", str(tmp_path / "d")]) == 0
    text = shown(capsys)
    assert "What came: the forecasts, written down before these runs were trained, beside the best run" in text
    assert "of 2 inside their intervals; 0 pending" in text


def test_a_seed_of_real_runs_is_refused(capsys: pytest.CaptureFixture) -> None:
    assert main(["demo", "--seed", "3"]) == 2
    assert "--seed is of simulated noise" in capsys.readouterr().err


@pytest.mark.slow
def test_the_page_says_what_the_tables_say() -> None:
    """Every number that the page's prose takes from the study, as it stands there."""
    page = (Path(__file__).parent.parent / "docs" / "tinysweep.md").read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", page)
    tables = tables_of()
    first, second = (tables["lack_of_fit"].one(sweep=sweep) for sweep in ("first", "second"))
    assert f"by {first['pure_error']:.3f} nats (standard deviation) in the first sweep" in text
    assert f"and by {second['pure_error']:.3f} in the second" in text
    assert f"does refuse it (p = {first['p_budgets']:.3f})" in text
    assert f"misses by {second['model_error']:.3f} nats" in text
    for row in tables["again"].rows():
        sign = f"{row['difference']:+.4f}".replace("-", "−")
        assert f"| {row['run']} | {row['loss']:.4f} | {row['again']:.4f} | {sign} |" in text
    made = {row["method"]: row for row in tables["forecasts"].where(of="optimum").rows()}
    assert f"VPNLS was {made['vpnls']['came'] - made['vpnls']['loss']:.3f} nats too low" in text
    assert f"{made['approach3']['low']:.3f} to {made['approach3']['high']:.3f} had been said" in text
    assert (
        f"({made['approach1']['interval_score']:.2f}, against {made['vpnls']['interval_score']:.2f} for VPNLS" in text
    )
    assert sum(row["verdict"] == "inside" for row in made.values()) == 3
    assert all(row["came"] > row["loss"] for row in made.values())
    checked = tables["checks"].where(sweep="second")
    assert f"would keep {checked.one(rule='kept')['runs']:.0f} of the 53 runs" in text
    tuned = tables["tuning"].where(sweep="second", run="run010", factor=2.0)
    assert f"came {tuned['lowest_seed'][0] - tuned['loss'][0]:.3f} nats below its best seed" in text
    target = tables["runs"].where(sweep="target")
    best = target["loss"].min()
    assert [f"{loss - best:.3f}" for loss in sorted(target["loss"])] == ["0.000", "0.003", "0.008"]
    low, high = tables["fits"].where(sweep="second")["params_low"], tables["fits"].where(sweep="second")["params_high"]
    assert (low < target["params"].min()).all()
    assert (high > target["params"].min()).all()
