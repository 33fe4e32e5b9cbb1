"""Audits: what is held out, what is scored, and what the published sweeps say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import lawful
from lawful.checks.check import check
from lawful.cli import main
from lawful.data.runs import Runs
from lawful.design.plan import plan_isoflop, simulate
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.fit import fit
from lawful.forecasting.audit import audit, origins
from lawful.laws.laws import LAWS
from lawful.laws.surface import Surface
from lawful.show.audit import audit_document
from lawful.studies.real import EXPERIMENTS
from lawful.uncertainty.profile import profile

BUDGETS = (1e18, 3e18, 1e19, 3e19, 1e20)
COUPLED = {"E": 0.8, "A": 9000.0, "B": 20000.0, "alpha": 0.5, "beta": 0.47, "k": 0.6}


def sweep(surface: Surface, noise: float = 0.002) -> Runs:
    return simulate(surface, plan_isoflop(BUDGETS, 7, surface=Surface.named("besiroglu")), noise=noise)


@pytest.fixture(scope="module")
def plain() -> Runs:
    return sweep(Surface.named("besiroglu"))


def test_the_largest_budgets_are_held_out(plain: Runs) -> None:
    found = audit(plain, laws=["chinchilla"], methods=["vpnls"], draws=0)
    assert found.values == BUDGETS[-2:]
    score = found.scores[0]
    assert (score.n_train, score.row.size, score.status.key) == (21, 14, "converged")
    by_hand = fit(plain.take(plain.group < 3), method="vpnls")
    held = plain.take(plain.group >= 3)
    np.testing.assert_allclose(score.error, by_hand.surface.loss(held.N, held.D) / held.L - 1, rtol=1e-9)


def test_rolling_origins_never_see_what_they_forecast(plain: Runs) -> None:
    splits = origins(plain, "budget", 1, rolling=True)
    assert [held.tolist() for _, _, held in splits] == [[1e20], [3e19]]
    assert all(plain.C[train].max() < plain.C[test].min() for train, test, _ in splits)


def test_the_largest_models_are_held_out(plain: Runs) -> None:
    found = audit(plain, laws=["chinchilla"], methods=["approach3"], holdout="params", last=3, draws=0)
    assert found.values == tuple(np.unique(plain.N)[-3:])


def test_a_coupled_truth_is_forecast_best_by_its_own_law() -> None:
    found = audit(sweep(Surface(COUPLED, LAWS["skaling"]), noise=1e-4), methods=["approach3", "prior"], draws=60)
    chinchilla, coupled = found.score("chinchilla", "approach3"), found.score("skaling", "approach3")
    assert coupled.median_abs_rel_error < 0.2 * chinchilla.median_abs_rel_error
    assert coupled.coverage > 0.6
    gap = found.differences[0]
    assert gap.reference == "chinchilla, approach3"
    assert gap.interval[0] <= gap.mean <= gap.interval[1] < 0


def test_methods_without_a_surface_forecast_what_they_can(plain: Runs) -> None:
    found = audit(plain, laws=["chinchilla"], methods=["approach1", "approach2"], draws=0)
    best, parabolas = found.scores
    assert (best.row.size, parabolas.row.size) == (2, 14)
    assert [note.code for note in best.notes] == ["best_only"]
    assert parabolas.median_abs_rel_error < 0.03


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"holdout": "loss"}, UnsupportedError, "Unknown holdout 'loss'; choose one of budget, params."),
        ({"methods": ["approach9"]}, UnsupportedError, "Unknown method 'approach9'"),
        ({"laws": ["skaling"], "methods": ["vpnls"]}, UnsupportedError, "None of the methods vpnls can fit"),
        ({"last": 3}, IdentificationError, "Holding out 3 of 5 budgets leaves 2 to fit on; at least 3"),
        ({"last": 0}, UnsupportedError, "must be at least 1, got 0"),
    ],
)
def test_an_audit_that_makes_no_sense_is_refused(
    plain: Runs, options: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        audit(plain, draws=0, **options)


def test_the_document_has_the_promised_keys(plain: Runs) -> None:
    document = audit_document(audit(plain, laws=["chinchilla"], methods=["vpnls"], draws=0))
    assert document["schema"] == "lawful.audit/1"
    assert document["holdout"]["kind"] == "budget"
    assert document["holdout"]["values"] == list(BUDGETS[-2:])
    errors = ["median_abs_rel_error", "median_rel_error", "coverage"]
    keys = ["law", "method", "objective", "n_train", "n_test", *errors, "status", "notes"]
    assert [list(row) for row in document["rows"]] == [keys]


def test_the_command_prints_the_document_and_writes_the_figure(
    plain: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "runs.csv"
    rows = zip(plain.N, plain.D, plain.C, plain.L, strict=True)
    table.write_text("N,D,C,loss\n" + "\n".join(",".join(repr(float(v)) for v in row) for row in rows))
    options = ["--methods", "approach3,approach2", "--bootstrap", "0", "--last", "1", "--json"]
    assert main(["audit", str(table), "--out", str(tmp_path / "out"), *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(row["law"], row["method"]) for row in document["rows"]] == [
        ("chinchilla", "approach3"),
        ("skaling", "approach3"),
        (None, "approach2"),
    ]
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"audit.json", "audit.csv", "audit.png", "audit.svg"}
    assert main(["audit", str(table), "--methods", "approach3", "--bootstrap", "0"]) == 0
    assert "chinchilla, approach3" in capsys.readouterr().out


@pytest.fixture(scope="module")
def sets(shared_data: Path) -> dict[str, Runs]:
    """Clean runs of the six published sweeps of the shared file, which holds all that study 12 names but Nemotron."""
    held = [name for name in EXPERIMENTS if name != "marin_202603__nemotron__llama_2"]
    return {name: check(shared_data / "isoflops.csv", select={"experiment": name}).kept for name in held}


@pytest.mark.slow
def test_the_recommended_forecaster_halves_the_error_of_chinchillas_form(sets: dict[str, Runs]) -> None:
    """The issue asks for 0.7 and aims at one half; both medians over the sets of the median absolute error."""
    errors = {"approach3": [], "prior": []}
    for runs in sets.values():
        found = audit(runs, methods=["approach3", "prior"], draws=0)
        errors["approach3"].append(found.score("chinchilla", "approach3").median_abs_rel_error)
        errors["prior"].append(found.score("skaling", "prior").median_abs_rel_error)
    chinchilla, ours = (np.median(errors[name]) for name in ("approach3", "prior"))
    assert chinchilla == pytest.approx(0.00851, abs=2e-5)
    assert ours < 0.5 * chinchilla


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("llama_3__raw_loss", True),
        ("marin_202603__dclm__llama_2", True),
        ("misfitting__fineweb_c4__transformer", True),
        ("epochai_chinchilla__massivetext__chinchilla", False),
    ],
)
def test_the_profile_says_whether_the_data_tell_k_from_one(sets: dict[str, Runs], name: str, told: bool) -> None:
    low, high = profile(fit(sets[name], law="skaling"), "k", points=0).interval
    assert (high < 1) == told
    assert low > 0.3


class TestWholeRuns:
    """Rows of one training curve are held out together, whether a column names the run or its shape tells it."""

    def table(self, named):
        truth = lawful.Surface.named("chinchilla")
        N = np.geomspace(4e7, 3e9, 7)
        steps = np.arange(1, 9) / 8 if not named else np.array([0.05, 0.1, 0.3, 0.4, 0.7, 0.8, 0.9, 1.0])
        sizes, tokens = np.repeat(N, 8), (30 * N[:, None] * steps).ravel()
        loss = truth.loss(sizes, tokens) + np.repeat(np.random.default_rng(3).normal(0, 0.02, 7), 8)
        table = {"n_params": sizes, "tokens_seen": tokens, "val_loss": loss}
        return {**table, "run_name": np.repeat([f"m{i}" for i in range(7)], 8)} if named else table

    @pytest.mark.parametrize("named", [True, False])
    def test_no_run_is_on_both_sides(self, named):
        runs = lawful.read_runs(self.table(named))
        for train, test, values in origins(runs, "budget", 2, rolling=True):
            assert set(runs.N[train]).isdisjoint(runs.N[test])
            assert np.unique(runs.N[test]).size == 2
            assert runs.C[train].max() < values.min()
        train, test, values = origins(runs, "budget", 2, rolling=False)[0]
        assert (train.size, test.size) == (40, 16)
        assert np.allclose(values, 6 * 30 * np.unique(runs.N)[-2:] ** 2)

    def test_it_is_said_and_the_differences_rest_on_runs(self):
        found = lawful.audit(self.table(named=True), methods=["vpnls", "approach3"], laws=["chinchilla"], draws=0)
        assert [note.code for note in found.notes] == ["whole_runs"]
        assert "7 training curves" in found.notes[0].message
        assert audit_document(found)["notes"][0]["code"] == "whole_runs"
        # Of two runs of eight rows one is drawn twice half of the time, so the ends are their own means.
        (gap,) = found.differences
        first, second = (np.abs(score.error) for score in found.scores)
        assert np.allclose(gap.interval, np.sort((second - first).reshape(2, 8).mean(axis=1)))

    def test_too_few_ends_are_refused(self):
        table = {key: column[:32] for key, column in self.table(named=True).items()}
        with pytest.raises(lawful.IdentificationError, match="Holding out 2 of 4 budgets that runs end at leaves 2"):
            lawful.audit(table, draws=0)
