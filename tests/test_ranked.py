"""Laws ranked by runs of high cost that were held out: against a ranking by hand, and on three public tasks' tests."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import lawful
from lawful.analysis.ranked import rank_laws
from lawful.cli.app import main
from lawful.errors import IdentificationError, InputError, UnsupportedError
from lawful.laws.formula import QUANTITIES

GOOD = "loss = E + A/params^p + B/tokens^q"
POOR = "loss = E + A/params^p"
COUPLED = "loss = E + (A/params^p + B/tokens^q)^k"
PUBLIC = {
    "data_constrained": ("6*params*tokens", None, 0.95),
    "parallel": ("num_params", "group", 0.999),
}
"""What orders the runs, groups, and the test R² to reach; the test is seen by nothing that ranks."""


def table(groups=1):
    rng = np.random.default_rng(2)
    n, d = np.tile(np.geomspace(1e7, 1e9, 7), 6), np.repeat(np.geomspace(1e9, 1e11, 6), 7)
    loss = [1.7 + (400 + 100 * g) / n**0.34 + 410 / d**0.28 + rng.normal(0, 0.003, 42) for g in range(groups)]
    given = {"params": np.tile(n, groups), "tokens": np.tile(d, groups), "loss": np.concatenate(loss)}
    return {**given, "data": np.repeat([f"g{g}" for g in range(groups)], 42)}


def test_the_ranking_is_that_of_fits_by_hand():
    given = table()
    found = rank_laws(given, [POOR, GOOD])
    assert [one.law.name for one in found.laws] == [GOOD, POOR]
    assert found.held == 10
    order = np.argsort(given["params"] * given["tokens"], kind="stable")
    cheap, dear = ({k: v[rows] for k, v in given.items()} for rows in (order[:32], order[32:]))
    for one in found.laws:
        fit = lawful.fit(cheap, law=one.law, method="vpnls", objective="squared")
        away = dear["loss"] - one.law.loss(fit.coefficients, *(dear["params"], dear["tokens"])[: len(one.law.columns)])
        assert one.miss == pytest.approx(float(np.sqrt((away**2).mean())), rel=1e-5)
    # The poor law misses by far more than three times as much, so it has no place in the mean.
    assert found.best == found.laws[:1]
    whole = lawful.fit(given, law=GOOD, method="vpnls", objective="squared")
    at = {"params": [1e10], "tokens": [1e12]}
    assert found.predict(at) == pytest.approx(float(whole.surface.loss(1e10, 1e12)), rel=1e-8)


def test_the_mean_is_that_of_the_best_three():
    found = rank_laws(table(), [GOOD, COUPLED, "chinchilla", "skaling"])
    assert len(found.best) == 3
    at = {"params": [1e10, 2e10], "tokens": [1e12, 1e12]}
    assert found.predict(at) == pytest.approx(found.each(at).mean(axis=0))


def test_groups_are_fitted_apart():
    found = rank_laws(table(2), [GOOD, POOR], by="data")
    assert set(found.laws[0].fit.coefficients) == {"g0", "g1"}
    at = {"params": [1e10, 1e10], "tokens": [1e12, 1e12], "data": ["g0", "g1"]}
    low, high = found.predict(at)
    assert low < high
    with pytest.raises(InputError, match="No law was fitted to the group 'g7'"):
        found.predict({**at, "data": ["g0", "g7"]})


def test_points_say_in_which_direction_runs_are_held_out():
    """The law that is right in experts wins where experts are asked for; by hand: the runs of most experts."""
    rng = np.random.default_rng(1)
    size, experts = 10 ** rng.uniform(7, 9, 80), np.tile([1.0, 2.0, 4.0, 8.0], 20)
    loss = 1.5 + 60 * size**-0.2 / (1 + 0.2 * np.log(experts)) + rng.normal(0, 0.002, 80)
    given = {"size": size, "experts": experts, "loss": loss}
    laws = ["L0 + A/size^a/(1 + k*log(experts))", "L0 + A/size^a*exp(-k*experts)"]
    found = rank_laws(given, laws, points={"size": size[:20], "experts": np.full(20, 4096.0)})
    assert found.laws[0].law.name == laws[0]
    assert found.held == 20
    few = {k: v[experts < 8] for k, v in given.items()}
    by_hand = lawful.fit(few, law=laws[0], method="vpnls", objective="squared")
    form, at = by_hand.surface.law, {"N": size, "size": size, "experts": experts}
    away = loss - form.loss(by_hand.surface.coefficients, *(at[c] for c in form.columns))
    away = away[experts == 8]
    assert found.laws[0].miss == pytest.approx(np.sqrt((away**2).mean()), rel=1e-5)
    assert "nearest to those to predict" in str(found)


def test_what_cannot_be_ranked_is_refused():
    given = table()
    with pytest.raises(UnsupportedError, match="give two or more"):
        rank_laws(given, [GOOD])
    with pytest.raises(UnsupportedError, match="different columns as the loss"):
        rank_laws(given, ["a_loss = E + A/params^p", "b_loss = E + A/params^p"])
    with pytest.raises(InputError, match="no column 'kind'"):
        rank_laws(given, [GOOD, POOR], by="kind")
    with pytest.raises(InputError, match="give `cost`"):
        rank_laws({"size": given["params"], "loss": given["loss"]}, ["E + A/size^p", "E + A*size^-p + K"])
    few = {k: v[::9] for k, v in given.items()}
    with pytest.raises(IdentificationError):
        rank_laws(few, [GOOD, COUPLED])


def test_from_the_shell(tmp_path, capsys):
    laws = tmp_path / "laws.txt"
    laws.write_text(f"# ranked\n{GOOD}\n{POOR} ; p=0.05:1\n")
    asked = ["fit", "examples/synthetic_sweep.csv"]
    out = tmp_path / "out"
    assert (
        main([*asked, "--laws", str(laws), "--points", "examples/synthetic_sweep.csv", "--out", str(out), "--json"])
        == 0
    )
    document = json.loads(capsys.readouterr().out)
    assert [one["law"] for one in document["laws"]] == [GOOD, POOR]
    assert document["laws"][0]["in_mean"]
    assert len(document["predicted"]) == 44
    assert (out / "predicted.csv").read_text().splitlines()[0].endswith("predicted_loss")
    assert main([*asked, "--law", GOOD, "--law", "skaling"]) == 0
    assert "Laws by their errors on runs of high cost" in " ".join(capsys.readouterr().out.split())
    assert main([*asked, "--law", GOOD, "--law", "skaling", "--fix", "E=1"]) == 2
    assert main([*asked, "--law", GOOD, "--points", "x.csv"]) == 2
    assert main([*asked, "--laws", str(tmp_path / "none.txt")]) == 1
    assert "one law a line" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("task", PUBLIC)
def test_public_tasks_by_hold_out_alone(task, shared):
    import pandas as pd

    cost, by, least = PUBLIC[task]
    train, test = (pd.read_csv(shared / "data" / "scalebench" / f"{task}_{part}.csv") for part in ("train", "test"))
    entries = json.loads((shared / "reference" / "scalebench_laws.json").read_text(encoding="utf-8"))
    texts, boxes, name = [], [], ""
    for entry in (e for e in entries if e["task"] == task):
        # A coefficient may not have the name of a quantity that it is not.
        words = {w: f"{w}_own" for w in entry["bounds"] if w in QUANTITIES and w not in entry["columns"]}
        words |= entry["columns"]
        right = re.sub(r"\b[A-Za-z_]\w*\b", lambda m, w=words: w.get(m[0], m[0]), entry["formula"].partition("=")[2])
        name = entry["loss"]
        texts.append(f"{name} = {right}")
        boxes.append({words.get(k, k): tuple(map(float, pair)) for k, pair in entry["bounds"].items()})
    found = rank_laws(train, texts, cost=cost, by=by, bounds=boxes)
    truth = test[name].to_numpy()
    guess = found.predict(test)
    assert 1 - ((truth - guess) ** 2).sum() / ((truth - truth.mean()) ** 2).sum() >= least
