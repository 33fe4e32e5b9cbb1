"""The next run of a priced pool: its covariance, its plan, when it stops, and what it refuses."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import lawful
from lawful.cli.app import main
from lawful.design.certainty import Belief, Misfit, best_path, first_part, fitted_misfit, greedy, matern, within_fit
from lawful.errors import InputError, UnsupportedError
from lawful.solve import varpro

EXPERTS = "val = E + A/(size^alpha*experts^gamma)"
TRUTH = lawful.Surface.named("besiroglu")
COST = "6*params*tokens"


def moe(n: int, noise: float = 0.002, bend: float = 0.0) -> dict[str, np.ndarray]:
    """Runs of a mixture of experts without N or D under their usual names."""
    rng = np.random.default_rng(3)
    size, experts = 10 ** rng.uniform(7.5, 9.0, n), rng.choice([1.0, 2.0, 4.0, 8.0, 16.0], n)
    loss = 1.8 + 60 / (size**0.24 * experts**0.05) + bend * np.log(size / 1e8) ** 2
    return {"size": size, "experts": experts, "val": loss + rng.normal(0, noise, n)}


POOL = {
    "size": np.repeat([1e8, 1e9, 5e9, 2e10], 3),
    "experts": np.tile([2.0, 8.0, 32.0], 4),
    "usd": np.repeat([1.0, 10.0, 50.0, 200.0], 3),
}
TARGET = {"size": [1e11], "experts": [64.0]}


def asked(runs, **how):
    given = {"cost": "usd", "target": TARGET, "law": EXPERTS, "spend": 300.0}
    return lawful.next_run(runs, POOL, **given | how)


def random_belief(points: int) -> Belief:
    root = np.random.default_rng(1).normal(size=(points, points + 2))
    return Belief(np.zeros(points), root @ root.T, 0.3)


def test_rank_one_updates_are_the_posterior_in_full():
    belief, cost = random_belief(9), np.ones(6)
    path = greedy(belief, cost, 4.0, 0.5)
    for k in range(len(path.order) + 1):
        seen, K = path.order[:k], belief.covariance
        inner = K[np.ix_(seen, seen)] + 0.3 * np.eye(k)
        left = K[6:, 6:] - K[6:, seen] @ np.linalg.solve(inner, K[seen, 6:])
        assert path.variance[k] == pytest.approx(np.diag(left).mean(), rel=1e-9)


def test_a_single_purchase_is_the_best_of_all():
    belief, cost = random_belief(9), np.ones(6)
    K = belief.covariance
    after = [np.trace(K[6:, 6:] - np.outer(K[6:, j], K[j, 6:]) / (K[j, j] + 0.3)) for j in range(6)]
    assert best_path(belief, cost, 1.0).order.tolist() == [int(np.argmin(after))]


def test_a_plan_keeps_to_its_allowance():
    belief, cost = random_belief(30), np.random.default_rng(2).uniform(1, 9, 25)
    path = best_path(belief, cost, 20.0)
    assert cost[path.order].sum() <= 20.0
    assert np.unique(path.order).size == path.order.size
    assert (np.diff(path.variance) <= 1e-12).all()
    assert 1 <= first_part(path, cost, 0.15) <= len(path.order)


def test_matern_is_that_of_bessel_functions():
    from scipy.special import gamma, kv

    x, length, nu = np.linspace(0.1, 4, 9)[:, None], 1.3, 2.5
    s = np.sqrt(2 * nu) * x[:, 0] / length
    np.testing.assert_allclose(matern(np.zeros((1, 1)), x, length)[0], 2 ** (1 - nu) / gamma(nu) * s**nu * kv(nu, s))


def test_within_a_linear_fit_it_is_the_variance_of_least_squares():
    rng = np.random.default_rng(7)
    X, points, far = rng.normal(size=(40, 3)), rng.normal(size=(5, 3)), np.full(3, 1e6)
    y = X @ [1.0, 2.0, 3.0] + rng.normal(0, 0.1, 40)
    residual = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    at = rng.normal(size=(45, 2))
    misfit = fitted_misfit(residual, X, at[:40], float(y.std()))._replace(smooth=0.0)
    found = within_fit(X, points, far, misfit, at[:40], at[40:])
    np.testing.assert_allclose(found, misfit.noise * points @ np.linalg.inv(X.T @ X) @ points.T, rtol=1e-6)


def test_within_a_fit_with_a_misfit_it_is_the_posterior_in_full():
    rng = np.random.default_rng(8)
    X, spread, at = rng.normal(size=(17, 3)), np.array([0.5, 2.0, 1.0]), rng.normal(size=(17, 2))
    misfit = Misfit(1.5, 0.4, 0.05)
    prior = (X * spread**2) @ X.T + 0.4 * matern(at, at, 1.5)
    inner = prior[:12, :12] + 0.05 * np.eye(12)
    posterior = prior[12:, 12:] - prior[12:, :12] @ np.linalg.solve(inner, prior[:12, 12:])
    np.testing.assert_allclose(within_fit(X[:12], X[12:], spread, misfit, at[:12], at[12:]), posterior, atol=1e-12)


def test_a_smooth_misfit_is_told_from_noise():
    rng = np.random.default_rng(5)
    at = np.linspace(-2, 2, 60)[:, None]
    ones = np.ones((60, 1))
    smooth, rough = np.sin(3 * at[:, 0]), rng.normal(0, 0.7, 60)
    said = [fitted_misfit(y - y.mean(), ones, at, 1.0) for y in (smooth, rough)]
    assert said[0].smooth > 10 * said[0].noise
    assert said[1].noise > said[1].smooth


def test_columns_need_no_usual_names():
    found = asked(moe(30))
    (fit,) = found.fits
    assert fit.coefficients["alpha"] == pytest.approx(0.24, abs=0.03)
    assert fit.met >= 2
    assert found.runs[0].cells["usd"] == found.runs[0].cost
    assert found.sd[0] > found.sd[1] >= found.sd[2]
    assert found.ends[0, 0] < 1.8 + 60 / (1e11**0.24 * 64**0.05) < found.ends[0, 1]


def test_the_answer_does_not_hang_on_the_order_of_rows():
    runs, order = moe(30), np.random.default_rng(0).permutation(30)
    first, second = asked(runs), asked({k: v[order] for k, v in runs.items()})
    assert [one.row for one in first.runs] == [one.row for one in second.runs]
    assert first.sd == pytest.approx(second.sd, rel=1e-4)


def test_before_a_law_can_be_fitted_runs_spread_over_the_columns():
    found = asked(moe(3))
    assert found.fits == ()
    assert found.runs
    assert not found.stop
    assert "too few runs for any of the laws" in found.sentence


def test_two_laws_disagree_where_they_differ():
    runs = moe(20)
    other = "val = E + A/(size*experts)^alpha"
    one, both = asked(runs), asked(runs, law=[EXPERTS, other])
    assert len(both.fits) == 2
    assert both.sd[0] > one.sd[0]


def test_it_stops_when_the_target_is_known_well_enough():
    found = asked(moe(60, noise=1e-4), tolerance=0.5)
    assert found.stop
    assert found.sentence.startswith("Stop: the target is known to ±")
    assert not asked(moe(60), tolerance=1e-6).stop


def test_it_stops_where_nothing_in_the_pool_helps():
    runs = moe(200, noise=1e-4)
    pool = {"size": [1.8e8], "experts": [4.0], "usd": [5.0]}
    target = {"size": [1e9], "experts": [16.0]}
    found = lawful.next_run(runs, pool, cost="usd", target=target, law=EXPERTS, spend=5.0)
    assert found.stop
    assert found.sentence.startswith("Stop: no run of the pool helps")


def test_a_law_that_is_wrong_towards_the_target_is_inflated():
    right, wrong = asked(moe(60)), asked(moe(60, bend=0.05))
    assert right.inflation < 1.5
    assert wrong.inflation > 2 * right.inflation
    assert "its variance times" in wrong.sentence


def test_too_few_to_test_the_promise_never_stop():
    found = asked(moe(6, noise=1e-4), tolerance=9.0)
    assert found.inflation is None
    assert not found.stop


def test_a_fit_met_by_one_round_alone_is_said_and_stops_nothing(monkeypatch):
    monkeypatch.setattr(varpro, "ROUNDS", 1)
    found = asked(moe(60, noise=1e-4), tolerance=0.5)
    assert [note.code for note in found.notes] == ["few_starts"]
    assert not found.stop
    assert "one round" in found.sentence


def test_a_plan_leaves_less_than_the_cheapest_runs_for_the_same_money():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        root = rng.normal(size=(30, 8))
        belief, cost = Belief(np.zeros(30), root @ root.T, 0.5), rng.uniform(1, 20, 25)
        order = np.argsort(cost)
        cheap = order[np.cumsum(cost[order]) <= 40.0]
        K = belief.covariance
        inner = K[np.ix_(cheap, cheap)] + 0.5 * np.eye(cheap.size)
        left = K[25:, 25:] - K[25:, cheap] @ np.linalg.solve(inner, K[cheap, 25:])
        assert best_path(belief, cost, 40.0).variance[-1] <= np.diag(left).mean() * (1 + 1e-9)


@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        ({"law": "muennighoff"}, InputError, "The law needs a column of tokens"),
        ({"law": "val = E + A/depth^alpha"}, InputError, "has no column of the table"),
        ({"law": []}, UnsupportedError, "at least one law"),
        ({"law": [EXPERTS, "bpb = E + A/size^alpha"]}, UnsupportedError, "name different columns as the loss"),
        ({"spend": 0.5}, UnsupportedError, "the cheapest costs 1"),
        ({"spend": -1.0}, UnsupportedError, "spend must be a positive number"),
        ({"most": 0}, UnsupportedError, "most must be at least 1"),
        ({"cost": "price"}, InputError, "'price'"),
        ({"target": {"size": [1e11]}}, InputError, "'experts', and the targets have none"),
        ({"target": {"size": [1e11], "experts": [-1]}}, InputError, "0 or more; 1 of 1 targets"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(how, kind, message):
    given = {"cost": "usd", "target": TARGET, "law": EXPERTS} | how
    with pytest.raises(kind, match=message) as caught:
        lawful.next_run(moe(20), POOL, **given)
    assert "\n" not in str(caught.value)


def test_a_law_that_is_no_formula_is_refused_in_one_sentence():
    N, D = np.geomspace(1e8, 1e9, 12), np.geomspace(1e11, 1e10, 12)
    runs = {"params": N, "tokens": D, "unique_tokens": D / 2, "loss": TRUTH.loss(N, D)}
    pool = {"params": [2e9], "tokens": [5e10], "unique_tokens": [1e10]}
    with pytest.raises(UnsupportedError, match="not written as a formula of its columns"):
        lawful.next_run(runs, pool, cost=COST, target=pool, law="muennighoff", spend=1e22)


def test_the_shell_says_the_same(tmp_path, capsys):
    runs, pool, out = tmp_path / "runs.csv", tmp_path / "pool.csv", tmp_path / "next.csv"
    for path, table in ((runs, moe(30)), (pool, POOL)):
        with path.open("w", newline="") as file:
            rows = zip(*(v.tolist() for v in table.values()), strict=True)
            csv.writer(file).writerows([list(table), *rows])
    call = [
        "next",
        str(runs),
        "--pool",
        str(pool),
        "--cost",
        "usd",
        "--target",
        "size=100B,experts=64",
        "--law",
        EXPERTS,
    ]
    assert main([*call, "--spend", "300", "--out", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    found = asked(moe(30))
    assert document["schema"] == "lawful.next/1"
    assert [run["row"] for run in document["runs"]] == [one.row for one in found.runs]
    assert document["target_sd"]["now"] == pytest.approx(found.sd[0], rel=1e-6)
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["pool_row"]) for row in rows] == [one.row for one in found.runs]
    assert [float(row["usd"]) for row in rows] == [one.cost for one in found.runs]
    assert main([*call, "--out", str(tmp_path / "next.txt")]) == 2
    assert "written as .csv" in capsys.readouterr().err


def test_every_answer_shows_itself():
    found = asked(moe(30))
    assert found.sentence in " ".join(str(found).split())
    assert len(found.sheets()) == 3
