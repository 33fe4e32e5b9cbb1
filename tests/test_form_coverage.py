"""Coverage of intervals for laws that are no sum of powers: simulated with a known truth, and from the shell."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lawful
from lawful.cli.app import main
from lawful.uncertainty.delta import delta

STREAMS = "loss = L0 + A*size^(-alpha)/(1+k*log(experts))"


def table(seed=0):
    rng = np.random.default_rng(5)
    size, experts = 10 ** rng.uniform(7.5, 9.5, 60), rng.choice([1.0, 2, 4, 8, 16, 32], 60)
    noise = np.random.default_rng(seed).normal(0, 0.004, 60)
    return {"size": size, "experts": experts, "loss": 1.5 + 80 * size**-0.22 / (1 + 0.15 * np.log(experts)) + noise}


def test_linearised_intervals_of_a_formula_hold():
    found = lawful.fit(table(), law=STREAMS, method="vpnls", objective="squared").coverage(200, draws=0, seed=1)
    assert set(found.table["quantity"]) == {"A", "L0", "alpha", "k", "loss_at"}
    held = np.asarray(found.table["coverage"], float)
    assert ((held > 0.84) & (held < 0.97)).all(), held
    assert 0.86 < held.mean() < 0.94


def test_they_hold_against_the_truth_of_new_tables():
    """Not its own simulation: tables of a known truth, fitted cold, and the interval of the loss beyond them."""
    hits = 0
    at = (1e10, 32.0)
    truth = 1.5 + 80 * 1e10**-0.22 / (1 + 0.15 * np.log(32))
    for seed in range(40):
        fit = lawful.fit(table(seed), law=STREAMS, method="vpnls", objective="squared")
        low, high = delta(fit).interval("loss_at", point=at)
        hits += low <= truth <= high
    assert 31 <= hits <= 40


def test_rows_are_drawn_beside_the_linearisation_and_a_catalogue_law_has_its_optimum():
    truth = lawful.Surface.named("chinchilla")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=truth), noise=0.003)
    found = lawful.fit(runs, law="skaling", objective="squared").coverage(20, draws=20, seed=1)
    assert set(found.table["interval"]) == {"delta", "rows"}
    assert {"params", "loss", "loss_at"} <= set(found.table["quantity"])
    assert 0.6 < found.of("delta", "loss_at") <= 1


def test_from_the_shell(tmp_path, capsys):
    given, where = table(), tmp_path / "runs.csv"
    rows = zip(*(given[c].tolist() for c in given), strict=True)
    where.write_text("\n".join([",".join(given), *(",".join(map(str, r)) for r in rows)]) + "\n")
    assert main(["coverage", str(where), "--law", STREAMS, "--repeats", "20", "--draws", "0", "--json"]) == 0
    assert "delta" in json.dumps(json.loads(capsys.readouterr().out))
    assert main(["coverage", str(where), "--law", STREAMS, "--repeats", "20", "--draws", "0"]) == 0
    assert "largest value of every column" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("law", ["kaplan-d"])
def test_a_law_of_one_column(law):
    truth = lawful.Surface.named(law)
    D = np.geomspace(1e8, 1e11, 20)
    loss = truth.loss(tokens=D) * np.exp(np.random.default_rng(0).normal(0, 0.002, 20))
    found = lawful.fit(lawful.Runs.from_arrays(None, D, loss), law=law).coverage(20, draws=0)
    assert np.isfinite(np.asarray(found.table["coverage"], float)).all()
