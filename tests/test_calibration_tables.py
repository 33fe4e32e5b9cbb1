"""The committed tables of the calibration study: whole, as their manifest says, and the page says what they say."""

import csv
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from lawful.studies import s20_calibration as study

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "docs" / "hooks"))

import calibration

TABLES = ("coverage.csv", "detection.csv", "summary.csv")

Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "docs" / "calibration"


@pytest.fixture(scope="module")
def figures(folder: Path) -> Rows:
    with (folder / "coverage.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def told(row: dict[str, str]) -> float:
    return float(row["sets"]) * (1 - float(row["withheld"]))


def test_the_tables_are_those_of_their_manifest(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in TABLES}
    assert hashes == manifest["tables"]
    assert not manifest["quick"]


def test_the_settings_are_those_of_the_study_and_no_cell_is_missing(folder: Path, figures: Rows) -> None:
    config = json.loads((folder / "manifest.json").read_text())["config"]
    assert config == json.loads(json.dumps(study.STUDY.settings(quick=False, seed=config["seed"])))
    cells = {tuple(str(cell[key]) for key in study.KEY) for cell in study.cells(config)}
    assert {tuple(row[key] for key in study.KEY) for row in figures} == cells
    for row in figures:
        assert float(row["sets"]) == config["sets"] * config["blocks"][row["kind"]]


def test_the_page_has_the_tables_of_the_study(repository: Path) -> None:
    text = (repository / "docs" / "uncertainty.md").read_text(encoding="utf-8")
    assert calibration.with_tables(text) == text


def test_a_figure_of_the_page_follows_the_table(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    """The page would not be accepted with another table: the check above can fail."""
    text = (repository / "docs" / "uncertainty.md").read_text(encoding="utf-8")
    rows = calibration.table("coverage")
    changed = [{**row, "coverage": "0.5"} if row["noise"] == "laplace" else row for row in rows]
    own = calibration.table
    monkeypatch.setattr(calibration, "table", lambda name: changed if name == "coverage" else own(name))
    assert calibration.with_tables(text) != text


def test_the_summary_counts_what_the_figures_say(folder: Path, figures: Rows) -> None:
    config = json.loads((folder / "manifest.json").read_text())["config"]
    with (folder / "summary.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            part = [f for f in figures if f["kind"] == row["kind"] and f["noise"] == row["noise"]]
            value = np.array([float(f["coverage"]) for f in part if told(f) >= config["fewest"]])
            assert value.size == float(row["figures"])
            assert np.mean((value >= 0.86) & (value <= 0.94)) == pytest.approx(float(row["in_band"]))
            assert np.sum(value < 0.8) == float(row["below_80"])
