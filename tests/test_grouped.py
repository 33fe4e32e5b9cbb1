"""Groups that share coefficients: against scipy, against fits apart, refitted draws, from the shell and back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.stats import f as fisher

import lawful
from lawful.analysis.groups import analyse_groups
from lawful.cli.app import main
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.grouped import fit_groups

TRUTH = {"web": 400.0, "code": 150.0, "math": 90.0}
N, D = np.tile(np.geomspace(1e7, 1e9, 5), 4), np.repeat(np.geomspace(1e9, 1e11, 4), 5)
STREAMS = "loss = c0 + cN/size^alpha + cS/streams^beta"


def table(noise=0.003, exponents=(0.33, 0.33, 0.33), seed=0):
    rng = np.random.default_rng(seed)
    losses = [1.5 + a / N**p + 900 / D**0.31 for a, p in zip(TRUTH.values(), exponents, strict=True)]
    return {
        "params": np.tile(N, 3),
        "tokens": np.tile(D, 3),
        "data": np.repeat(list(TRUTH), 20),
        "loss": np.concatenate(losses) + rng.normal(0, noise, 60),
    }


@pytest.fixture(scope="module")
def shared():
    return fit_groups(table(), by="data", share=["alpha", "beta"])


def test_the_joint_fit_is_scipys(shared):
    given, g = table(), np.repeat([0, 1, 2], 20)

    def residuals(z):
        e, a, b = z[2:5], np.exp(z[5:8]), np.exp(z[8:11])
        return e[g] + a[g] / given["params"] ** z[0] + b[g] / given["tokens"] ** z[1] - given["loss"]

    start = [0.3, 0.3, 1.5, 1.5, 1.5, 6.0, 5.0, 4.5, 6.8, 6.8, 6.8]
    found = least_squares(residuals, start, xtol=1e-15, ftol=1e-15, gtol=1e-15, x_scale="jac")
    assert shared.rss == pytest.approx(2 * found.cost, rel=1e-9)
    assert (shared["alpha"], shared["beta"]) == pytest.approx(tuple(found.x[:2]), rel=1e-5)
    assert [one.surface["E"] for one in shared.fits.values()] == pytest.approx(found.x[2:5].tolist(), rel=1e-5)
    assert shared.met > 1


def test_the_price_is_the_f_test_of_the_fits_apart(shared):
    runs = lawful.read_runs(table()).groups("data")
    apart = sum(lawful.fit(one, method="vpnls", objective="squared").rss for one in runs.values())
    ratio = (shared.rss - apart) / 4 / (apart / 45)
    assert shared.freedom == (4, 45)
    assert shared.price == pytest.approx((ratio, fisher.sf(ratio, 4, 45)), rel=1e-6)
    wrong = fit_groups(table(exponents=(0.33, 0.28, 0.38)), by="data", share=["alpha"])
    assert wrong.price[1] < 1e-6
    right = [fit_groups(table(seed=s), by="data", share=["alpha", "beta"]).price[1] for s in range(3)]
    assert max(right) > 0.05


def test_sharing_everything_is_one_fit_and_nothing_shared_is_refused():
    given = table()
    every = fit_groups(given, by="data", share=["E", "A", "B", "alpha", "beta"])
    pooled = lawful.fit(given, method="vpnls", objective="squared")
    assert every.rss == pytest.approx(pooled.rss, rel=1e-8)
    for share, said in (([], "none is named"), (["gamma"], "'gamma' is no coefficient")):
        with pytest.raises(UnsupportedError, match=said):
            fit_groups(given, by="data", share=share)
    one = {**given, "data": np.repeat("web", 60)}
    with pytest.raises(UnsupportedError, match="two groups or more"):
        fit_groups(one, by="data", share=["alpha"])


def test_a_group_too_small_alone_borrows_the_shared_exponents():
    given = table(noise=0.0)
    kept = np.r_[0:40, 41, 48, 56]
    found = fit_groups({k: v[kept] for k, v in given.items()}, by="data", share=["alpha", "beta", "E", "B"])
    assert found.group("math").surface["A"] == pytest.approx(90, rel=1e-4)
    assert found.price is None
    assert "price is not known" in found.sentence
    few = {k: v[np.r_[0:3, 20:23]] for k, v in given.items()}
    with pytest.raises(IdentificationError):
        fit_groups(few, by="data", share=["alpha"])


def test_pins_ties_bounds_and_a_robust_objective_hold_in_every_group():
    given = table()
    pinned = fit_groups(given, by="data", share=["alpha"], fixed={"E": 1.5}, bounds={"beta": (0.3, 0.305)})
    assert {one.surface["E"] for one in pinned.fits.values()} == {1.5}
    assert all(0.3 <= one.surface["beta"] <= 0.305 for one in pinned.fits.values())
    tied = fit_groups(given, by="data", share=["alpha"], fixed={"beta": "alpha"})
    assert next(iter(tied.fits.values())).surface.law.names == ("A", "B", "E", "alpha")
    spoiled = {**given, "loss": given["loss"] + 0.5 * (np.arange(60) == 25)}
    robust = fit_groups(spoiled, by="data", share=["alpha", "beta"], objective=lawful.Objective.huber(0.003))
    squares = fit_groups(spoiled, by="data", share=["alpha", "beta"])
    assert abs(robust["alpha"] - 0.33) < 0.01 < abs(squares["alpha"] - 0.33)
    assert robust.price is None


def test_a_formula_of_other_columns_by_groups():
    size, streams = np.tile(np.geomspace(1e8, 4e9, 6), 3), np.repeat([1.0, 2.0, 4.0], 6)
    loss = [c + a / size**0.26 + 0.08 / streams**0.5 for c, a in ((0.75, 67.0), (1.38, 118.0))]
    given = {"size": np.tile(size, 2), "streams": np.tile(streams, 2), "set": np.repeat(["s", "p"], 18)}
    found = fit_groups({**given, "loss": np.concatenate(loss)}, by="set", share=["alpha", "beta"], law=STREAMS)
    assert (found["alpha"], found["beta"]) == pytest.approx((0.26, 0.5), rel=1e-4)
    assert found.group("p").surface["c0"] == pytest.approx(1.38, rel=1e-4)
    with pytest.raises(UnsupportedError, match="There is no group 'q'"):
        found.predict("q", 1e9)


def test_draws_are_joint_refits():
    _, each = analyse_groups(table(), by="data", share=["alpha", "beta"], draws=60, budgets=[1e21])
    draws = [one.draws.coefficients for one in each.values()]
    assert np.array_equal(draws[0]["alpha"], draws[2]["alpha"])
    assert not np.array_equal(draws[0]["A"], draws[2]["A"])
    assert sum(one.draws.failed for one in each.values()) == 0
    alone = lawful.analyse(lawful.read_runs(table()).groups("data")["math"], intervals="rows", draws=60)
    width = {name: np.diff(one.interval("alpha"))[0] for name, one in (("own", alone), ("joint", each["math"]))}
    # Three groups tell a shared exponent better than one.
    assert width["joint"] < 0.8 * width["own"]
    low, high = each["web"].allocations[0].interval["params"]
    assert low < each["web"].allocations[0].params < high


def test_from_the_shell_saved_and_loaded(tmp_path, capsys):
    where = tmp_path / "runs.csv"
    given = table()
    rows = zip(*(given[c].tolist() for c in given), strict=True)
    where.write_text("\n".join([",".join(given), *(",".join(map(str, r)) for r in rows)]) + "\n")
    asked = ["fit", str(where), "--by", "data", "--share", "alpha,beta", "--draws", "20", "--no-figures"]
    assert main([*asked, "--out", str(tmp_path / "out"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["shared"]["freedom"] == [4, 45]
    assert len({one["fit"]["coefficients"]["alpha"] for one in document["groups"]}) == 1
    again = lawful.load(tmp_path / "out" / "code" / "fit.json")
    expected = fit_groups(given, by="data", share=["alpha", "beta"]).predict("code", 1e9, 1e11)
    assert float(again.fit.predict(1e9, 1e11)) == pytest.approx(float(expected), rel=1e-9)
    assert again.interval("alpha") == pytest.approx(
        tuple(document["groups"][0]["fit"]["intervals"]["coefficients"]["alpha"])
    )
    assert main(["predict", str(tmp_path / "out" / "code" / "fit.json"), "--params", "1B", "--tokens", "100B"]) == 0
    assert main(["fit", str(where), "--share", "alpha"]) == 2
    assert "say which column tells the groups apart" in capsys.readouterr().err
    assert main([*asked, "--intervals", "wild"]) == 2
