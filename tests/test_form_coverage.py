"""Coverage of intervals for laws that are no sum of powers: simulated with a known truth, and from the shell."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lawful
from lawful.cli.app import main
from lawful.estimate.solvers import problem_of, resolve
from lawful.laws.formula import law as make_law
from lawful.uncertainty.delta import delta
from lawful.uncertainty.quantity import Quantity, working_values
from lawful.uncertainty.replicas import Replicas, linear_ends

SQUARES = {"method": "vpnls", "objective": "squared"}
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


def experts(n, rng):
    given = {"size": 10 ** rng.uniform(7, 9.5, n), "experts": 2.0 ** rng.integers(0, 8, n)}
    truth = {"L0": 1.7, "B": 60.0, "a": 0.22, "b": 0.05}
    return given, "L0 + B/(size^a*experts^b)", truth, {"N": 1e10, "experts": 128.0}


def vocabulary(n, rng):
    given = {
        "nv": 10 ** rng.uniform(7, 9, n),
        "vocab": 10 ** rng.uniform(3.6, 5, n),
        "chars": 10 ** rng.uniform(9, 11, n),
    }
    law = "E + A1/nv^a + B1/chars^b + g*log(vocab) + h*log(vocab)^2"
    truth = {"E": 3.0, "A1": 80.0, "a": 0.3, "B1": 120.0, "b": 0.25, "g": -0.25, "h": 0.012}
    return given, law, truth, {"nv": 3e9, "vocab": 1e5, "chars": 3e11}


def valley(n, rng):
    size = 10 ** rng.uniform(7.5, 9, n)
    lr = np.exp(np.log(5.0) - 0.35 * np.log(size) + rng.uniform(-1.2, 1.2, n))
    batch = np.exp(1.5 + 0.2 * np.log(size) + rng.uniform(-1.2, 1.2, n))
    law = "E + A/size^a + c*(log(lr) - l0 + p*log(size))^2 + e*(log(batch) - b0 - s*log(size))^2"
    truth = {
        "E": 1.8,
        "A": 60.0,
        "a": 0.22,
        "c": 0.03,
        "l0": float(np.log(5.0)),
        "p": 0.35,
        "e": 0.015,
        "b0": 1.5,
        "s": 0.2,
    }
    return {"size": size, "lr": lr, "batch": batch}, law, truth, {"N": 3e9, "lr": 0.0024, "batch": 350.0}


def held(make, n, sigma, sets=1000):
    """How often 90% intervals of every coefficient and of a loss beyond the runs hold the truth."""
    given, law, truth, at = make(n, np.random.default_rng(100 + n))
    rng, form = np.random.default_rng(0), make_law(law, list(given))
    mean = form.loss(truth, *(given[c] for c in form.columns))
    fit = lawful.fit({**given, "loss": mean + rng.normal(0, sigma, n)}, law=law, **SQUARES)
    form, problem = fit.surface.law, problem_of(fit)
    start = problem.to_z(np.array([[truth[name] for name in form.names]]))
    losses = mean + rng.normal(0, sigma, (sets, n))
    z = resolve(problem, start[0], fit.solver, losses=losses).z
    replicas = Replicas(problem, losses, z, None)
    found = {}
    for quantity in (*map(Quantity, form.names), Quantity("loss_at", point=tuple(at[c] for c in form.columns))):
        ends = linear_ends(replicas, quantity, "trend", 0.9)
        value = float(working_values(quantity, form, start, problem.centre)[0])
        found[quantity.name] = float(((ends[:, 0] <= value) & (value <= ends[:, 1])).mean())
    return found


@pytest.mark.parametrize("sigma", [0.004, 0.015])
@pytest.mark.parametrize("make", [experts, vocabulary, valley])
def test_three_shapes_of_law_over_a_thousand_tables_each(make, sigma):
    found = held(make, 60 if make is valley else 30, sigma)
    share = np.array(list(found.values()))
    assert 0.89 < share.mean() < 0.94, found
    # A batch's optimum whose curvature is hardly told (sigma 0.015) is held too often, never too seldom.
    assert share.min() > 0.87, found
    assert share.max() < (0.98 if make is valley else 0.94), found
