"""`lawful fit --law`: any law of the catalogue from the command line, written and read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lawful
from lawful.cli import main
from lawful.data.runs import Runs
from lawful.design.plan import plan_isoflop, simulate
from lawful.laws.laws import LAWS
from lawful.laws.surface import Surface

COUPLED = {"E": 0.8, "A": 9000.0, "B": 20000.0, "alpha": 0.5, "beta": 0.47, "k": 0.6}


@pytest.fixture(scope="module")
def runs() -> Runs:
    plan = plan_isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=Surface.named("besiroglu"))
    return simulate(Surface(COUPLED, LAWS["skaling"]), plan, noise=0.001)


@pytest.fixture
def table(runs: Runs, tmp_path: Path) -> str:
    path = tmp_path / "runs.csv"
    lines = [
        f"{n!r},{d!r},{loss!r}" for n, d, loss in zip(*(a.tolist() for a in (runs.N, runs.D, runs.L)), strict=True)
    ]
    path.write_text("N,D,loss\n" + "\n".join(lines))
    return str(path)


def document_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_coupled_law_is_fitted_jointly_with_its_own_coefficients(
    table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document = document_of(capsys, "fit", table, "--law", "skaling", "--budget", "1e24", "--bootstrap", "50")
    assert (document["law"], document["method"], document["objective"]["name"]) == ("skaling", "approach3", "log-huber")
    assert list(document["coefficients"]) == list(COUPLED)
    assert document["coefficients"]["k"] == pytest.approx(0.6, abs=0.1)
    low, high = document["intervals"]["coefficients"]["k"]
    assert low < document["coefficients"]["k"] < high
    assert document["allocations"][0]["params"] > 0


def test_a_coefficient_of_the_law_is_pinned(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = document_of(capsys, "fit", table, "--law", "skaling", "--fix", "k=1", "--bootstrap", "0")
    plain = document_of(capsys, "fit", table, "--method", "approach3", "--bootstrap", "0")
    assert document["coefficients"]["k"] == 1.0
    assert document["objective"]["value"] == pytest.approx(plain["objective"]["value"], rel=1e-9)
    assert document["coefficients"]["E"] == pytest.approx(plain["coefficients"]["E"], rel=1e-6)


def test_a_law_without_a_frontier_says_so_with_nulls(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = document_of(capsys, "fit", table, "--law", "compute", "--bootstrap", "20")
    assert list(document["coefficients"]) == ["E", "A", "alpha"]
    assert set(document["exponents"].values()) == {None}


def test_the_fit_survives_its_file(runs: Runs, tmp_path: Path) -> None:
    found = lawful.fit(runs, law="skaling")
    again = lawful.load(found.save(tmp_path / "fit.json")).fit
    assert again.surface == found.surface
    assert again.surface.law == LAWS["skaling"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--law", "gopher"), "Unknown law 'gopher'; choose one of chinchilla, skaling"),
        (("--law", "skaling", "--method", "vpnls"), "vpnls fits sums of powers and formulas, and skaling is neither"),
        (
            ("--law", "skaling", "--fix", "q=1"),
            "The skaling law has no coefficient 'q'; it has E, A, B, alpha, beta, k.",
        ),
        (("--law", "skaling", "--method", "approach2"), "approach2 fits lines, not a surface, so law cannot apply"),
        (("--law", "compute", "--budget", "1e24"), "does not trade parameters against tokens"),
    ],
)
def test_a_law_that_cannot_be_used_so_is_a_usage_error(
    table: str, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert main(["fit", table, "--bootstrap", "0", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_repeated_data_need_a_column_of_unique_tokens(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", table, "--law", "muennighoff"]) == 1
    assert "a column of unique tokens (unique_tokens, U" in capsys.readouterr().err
