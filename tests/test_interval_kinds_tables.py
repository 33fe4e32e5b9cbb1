"""The committed tables of kinds of intervals: whole, as their manifest says, and as good as the docs say."""

import csv
import hashlib
import json
from pathlib import Path

import pytest

NOMINAL_BAND = (0.87, 0.93)
TABLES = ("coverage.csv", "notes.csv", "summary.csv")


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "docs" / "calibration" / "kinds"


@pytest.fixture(scope="module")
def figures(folder: Path) -> list[dict[str, str]]:
    with (folder / "coverage.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def covered(figures: list[dict[str, str]], objective: str, interval: str, noises: tuple[str, ...]) -> list[float]:
    return [
        float(row["coverage"])
        for row in figures
        if row["objective"] == objective and row["interval"] == interval and row["noise"] in noises
    ]


def test_the_tables_are_those_of_their_manifest(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in TABLES}
    assert hashes == manifest["tables"]
    assert not manifest["quick"]


def test_no_cell_is_missing(folder: Path, figures: list[dict[str, str]]) -> None:
    config = json.loads((folder / "manifest.json").read_text())["config"]
    keys = ("surfaces", "sigmas", "designs", "noises", "objectives")
    names = ("surface", "sigma", "design", "noise", "objective")
    for key, name in zip(keys, names, strict=True):
        assert {row[name] for row in figures} == {str(value) for value in config[key]}
    assert len({tuple(row[name] for name in names) for row in figures}) == 3 * 3 * 2 * 4 * 3


def test_the_default_interval_holds_under_even_and_proportional_noise(figures: list[dict[str, str]]) -> None:
    sober = covered(figures, "squared", "profile", ("gaussian", "proportional"))
    assert len(sober) == 180
    low, high = NOMINAL_BAND
    assert sum(low <= share <= high for share in sober) >= 0.9 * len(sober)
    assert min(sober) >= 0.8


def test_the_robust_default_holds_under_heavy_tails_and_outliers(figures: list[dict[str, str]]) -> None:
    rough = covered(figures, "huber-auto", "profile", ("student-t3", "outliers"))
    assert len(rough) == 180
    assert sum(share >= 0.85 for share in rough) >= 0.9 * len(rough)
