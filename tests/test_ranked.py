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
from lawful.show.files.document import sealed

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
    # The poor law misses by far more than one and a half times as much, so it has no place in the mean.
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


STEEP = "loss = E + A/params^p + g*experts^2"
LEVEL = "loss = E + A/params^p + h*experts/(1 + experts/50)"


def near_and_far():
    """Up to eight experts two laws are hardly told apart; at 4096 the square leaves every range of losses."""
    rng = np.random.default_rng(3)
    size, experts = 10 ** rng.uniform(7, 9, 60), np.tile([1.0, 2.0, 4.0, 8.0], 15)
    loss = 1.5 + 60 * size**-0.2 - 0.0004 * experts**2 + rng.normal(0, 0.01, 60)
    return {"params": size, "experts": experts, "loss": loss}


def test_a_law_that_breaks_down_at_the_points_goes_behind_one_that_is_as_good():
    box = [{"g": (-1.0, 1.0)}, {"h": (-1.0, 1.0)}]
    there = {"params": [1e8] * 2, "experts": [4096.0] * 2}
    far = rank_laws(near_and_far(), [STEEP, LEVEL], points=there, bounds=box)
    assert [(one.law.name, one.plausible) for one in far.laws] == [(LEVEL, True), (STEEP, False)]
    # The law that broke down had the smaller error on the held-out runs, but no three times smaller.
    assert far.laws[1].miss < far.laws[0].miss < 3 * far.laws[1].miss
    assert [one.law.name for one in far.best] == [LEVEL]
    assert (far.predict(there) > 0).all()
    assert [note.code for note in far.notes] == ["extrapolation"]
    (note,) = far.doubts(there)
    assert "experts = 4096" in note.message
    assert "1 to 8" in note.message
    close = {"params": [1e8], "experts": [8.0]}
    near = rank_laws(near_and_far(), [STEEP, LEVEL], points=close, bounds=box)
    assert all(one.plausible for one in near.laws)
    assert near.doubts(close) == ()


@pytest.fixture(scope="module")
def ranking(tmp_path_factory):
    out = tmp_path_factory.mktemp("ranking") / "out"
    sweep = "examples/synthetic_sweep.csv"
    assert main(["fit", sweep, "--law", GOOD, "--law", POOR, "--points", sweep, "--out", str(out)]) == 0
    return out / "laws.json"


def test_a_ranking_is_loaded_as_it_was(ranking, capsys):
    again = lawful.load(ranking)
    document = json.loads(ranking.read_text(encoding="utf-8"))
    assert again.predict("examples/synthetic_sweep.csv").tolist() == document["predicted"]
    assert [one.law.name for one in again.laws] == [GOOD, POOR]
    points = ["--points", "examples/synthetic_sweep.csv"]
    capsys.readouterr()
    assert main(["predict", str(ranking), *points, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [one["loss"] for one in shown["points"]] == document["predicted"]
    assert main(["predict", str(ranking), "--params", "1B"]) == 2
    assert "--points" in capsys.readouterr().err
    assert main(["predict", str(ranking), *points, "--level", "0.5"]) == 2
    assert main(["allocate", str(ranking), "--budget", "1e22"]) == 1
    assert "lawful.laws/1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: {**d, "held": d["held"] + 1}, "its seal does not match"),
        (lambda d: {k: v for k, v in d.items() if k != "seal"}, "has lost its seal"),
        (lambda d: sealed({k: v for k, v in d.items() if k not in ("seal", "laws")}), "laws is missing"),
        (lambda d: sealed({**d, "schema": "lawful.laws/2"}), "use a newer lawful"),
        (lambda d: sealed({**d, "laws": [{**d["laws"][0], "law": "loss = E + A/params^z"}] * 2}), "damaged ranking"),
        (lambda d: sealed({**d, "laws": [{**d["laws"][0], "law": "loss = E + ("}] * 2}), "damaged ranking"),
    ],
)
def test_a_damaged_ranking_is_one_sentence(ranking, tmp_path, damage, message):
    document = json.loads(ranking.read_text(encoding="utf-8"))
    file = tmp_path / "laws.json"
    file.write_text(json.dumps(damage(document)), encoding="utf-8")
    with pytest.raises(InputError, match=message) as error:
        lawful.load(file)
    assert "\n" not in str(error.value)


def test_a_truncated_ranking_is_one_sentence(ranking, tmp_path):
    file = tmp_path / "laws.json"
    text = ranking.read_text(encoding="utf-8")
    for length in (0, 1, len(text) // 2, len(text) - 3):
        file.write_text(text[:length], encoding="utf-8")
        with pytest.raises(InputError, match="is not JSON"):
            lawful.load(file)


def test_clarks_saturating_law_wins_and_forecasts_to_the_noise_at_sizes_held_out():
    rng = np.random.default_rng(7)
    size, experts = 10 ** rng.uniform(7, 9.5, 120), 2.0 ** rng.integers(0, 8, 120)
    seen = 1 / (1 / (experts - 1 + 1 / (1 / 1.85 - 1 / 314)) + 1 / 314)
    truth = np.exp(2.6 - 0.082 * np.log(size) - 0.108 * np.log(seen) + 0.0039 * np.log(size) * np.log(seen))
    loss, big = truth + rng.normal(0, 0.01, 120), size >= np.quantile(size, 0.8)
    inner = "1/(1/(experts + q) + 1/m)"
    laws = [
        "L0 + B/(size^a*experts^b)",
        "L0 + B/size^a/(1 + k*log(experts))",
        f"exp(d + a*log(size) + b*log({inner}) + c*log(size)*log({inner}))",
    ]
    small, large = ({"size": size[r], "experts": experts[r], "loss": loss[r]} for r in (~big, big))
    found = rank_laws(small, laws, points=large)
    assert found.laws[0].law.name == laws[2]
    # The others' held-out errors are over twice its own, so they have no part in the mean.
    away = np.sqrt(((found.predict(large) - large["loss"]) ** 2).mean())
    assert away < 1.3 * np.sqrt(((truth - loss)[big] ** 2).mean())


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
