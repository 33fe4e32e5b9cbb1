"""Budgets at any price: against closed forms, brute force over grids, and scipy; own FLOPs; limits; refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lawful
from lawful.cli.app import main
from lawful.decide.priced import offer_of, price_by, sensitivities, settle
from lawful.errors import IdentificationError, InputError, UnsupportedError
from lawful.forecasting.ensemble import ensemble

TRUTH = lawful.Surface.named("chinchilla")
PLAN = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=TRUTH)
MOE = "val_loss = E + A/(active_params^alpha*num_experts^gamma) + B/tokens^beta"
COST = "6*active_params*tokens"
MEMORY = "active_params*num_experts <= 2e10"


@pytest.fixture(scope="module")
def dense():
    return lawful.fit(lawful.simulate(TRUTH, PLAN, noise=0.003), method="vpnls")


@pytest.fixture(scope="module")
def moe():
    return lawful.fit("examples/moe_runs.csv", law=MOE)


def own_table(per_token, noise=0.003):
    """Runs whose table counts FLOPs of its own."""
    runs = lawful.simulate(TRUTH, PLAN, noise=noise)
    return lawful.Runs.from_arrays(runs.N, runs.D, runs.L, C=per_token(runs.N) * runs.D)


def crooked(n):
    return 6 * n + 3e4 * n ** (2 / 3)


def test_six_nd_as_a_formula_is_the_closed_form_with_the_same_intervals(dense):
    sure = dense.intervals()
    usual = dense.allocate(1e22, draws=sure)
    own = dense.allocate(1e22, draws=sure, cost="6*params*tokens")
    for name in ("params", "tokens", "loss"):
        assert getattr(own, name) == pytest.approx(getattr(usual, name), rel=1e-9)
        # The loss is profiled at the point in place of the budget, which is the same to first order.
        assert own.interval[name] == pytest.approx(usual.interval[name], rel=1e-6)
    assert usual.priced is None
    assert own.priced.reached == ()


@pytest.mark.parametrize(
    "cost", ["6*params*tokens + 2e10*tokens", "20*params^0.9*tokens", "6*params*tokens + 1e13*params"]
)
def test_any_price_against_a_fine_grid(dense, cost):
    best = dense.allocate(1e22, cost=cost)
    n = np.geomspace(best.params / 3, best.params * 3, 600001)
    terms = {"+ 2e10*tokens": 1e22 / (6 * n + 2e10), "^0.9": 1e22 / (20 * n**0.9), "1e13*params": (1e22 / n - 1e13) / 6}
    d = next(tokens for word, tokens in terms.items() if word in cost)
    loss = dense.surface.loss(n, np.where(d > 0, d, np.nan))
    assert best.loss == pytest.approx(float(np.nanmin(loss)), abs=1e-12)
    assert best.params == pytest.approx(float(n[np.nanargmin(loss)]), rel=1e-4)


def test_how_the_best_run_moves_with_the_coefficients(dense):
    offer = offer_of(dense, 1e23, price_by(dense, None))
    moved = sensitivities(offer, settle(offer))[offer.free.index("N")]
    for slope, (word, value) in zip(moved, offer.k.items(), strict=True):
        step = 1e-4 * value
        ends = [lawful.Surface({**offer.k, word: value + side * step}).optimum(1e23).params for side in (1, -1)]
        assert slope == pytest.approx((np.log(ends[0]) - np.log(ends[1])) / (2 * step), rel=1e-4, abs=1e-9)


def test_a_memory_limit_against_brute_force(moe):
    best = moe.allocate(1e22, cost=COST, limits=[MEMORY])
    n, x = np.meshgrid(np.geomspace(2e8, 2e10, 3001), np.geomspace(1, 64, 1501), indexing="ij")
    loss = moe.surface.law.loss(moe.coefficients, n, 1e22 / (6 * n), x)
    loss = np.where(n * x <= 2e10, loss, np.inf)
    at = np.unravel_index(np.argmin(loss), loss.shape)
    assert best.loss <= loss.min() + 1e-12
    assert best.loss == pytest.approx(loss.min(), abs=1e-5)
    assert best.params == pytest.approx(n[at], rel=0.01)
    assert best.priced.columns["num_experts"] == pytest.approx(x[at], rel=0.01)
    assert best.priced.reached == (MEMORY,)
    assert best.priced.columns["active_params"] * best.priced.columns["num_experts"] == pytest.approx(2e10, rel=1e-5)


def test_two_limits_bind_at_once(moe):
    best = moe.allocate(1e22, cost=COST, limits=[MEMORY, "tokens >= 1000*params"])
    n = np.sqrt(1e22 / 6000)
    assert best.params == pytest.approx(n, rel=1e-6)
    assert best.priced.columns["num_experts"] == pytest.approx(2e10 / n, rel=1e-6)
    assert len(best.priced.reached) == 2


def test_held_columns_ranges_and_sampled_ends(moe):
    held = moe.allocate(1e22, cost=COST, given={"num_experts": 16})
    assert held.priced.columns["num_experts"] == 16
    k = moe.coefficients
    plain = lawful.Surface({n: k[n] for n in ("E", "B", "alpha", "beta")} | {"A": k["A"] / 16 ** k["gamma"]})
    assert held.params == pytest.approx(plain.optimum(1e22).params, rel=1e-7)
    wide = moe.allocate(1e22, cost=COST)
    assert wide.priced.columns["num_experts"] == pytest.approx(64)
    assert wide.priced.reached == ("the upper end of the range of num_experts",)
    assert moe.allocate(1e22, cost=COST, ranges={"num_experts": (1, 4)}).priced.columns["num_experts"] == pytest.approx(
        4
    )


def test_draws_are_asked_for_their_own_best_run(moe):
    sure = moe.intervals("rows", draws=60)
    best = moe.allocate(1e22, cost=COST, given={"num_experts": 16}, draws=sure)
    k = sure.draws.coefficients
    a = k["A"] / 16 ** k["gamma"]
    sizes = [
        lawful.Surface({"E": e, "A": x, "B": b, "alpha": p, "beta": q}).optimum(1e22).params
        for e, x, b, p, q in zip(k["E"], a, k["B"], k["alpha"], k["beta"], strict=True)
    ]
    assert best.interval["params"] == pytest.approx(np.quantile(sizes, [0.05, 0.95]), rel=1e-6)


def test_a_tables_own_flops_price_an_allocation():
    fit = lawful.fit(own_table(crooked), method="vpnls")
    best = fit.allocate(2e22, draws=fit.intervals())
    n = np.geomspace(1e9, 1e11, 2000001)
    assert best.params == pytest.approx(float(n[np.argmin(fit.surface.loss(n, 2e22 / crooked(n)))]), rel=1e-4)
    assert best.tokens == pytest.approx(2e22 / crooked(best.params), rel=1e-5)
    assert best.priced.budget_6nd == pytest.approx(6 * best.params * best.tokens)
    assert best.priced.convention == "C as the table counts it"
    low, high = best.interval["params"]
    assert low < best.params < high
    twice = lawful.fit(own_table(lambda n: 12 * n), method="vpnls")
    assert twice.allocate(2e22).params == pytest.approx(float(twice.surface.optimum(1e22).params), rel=1e-9)


def test_the_average_of_laws_counts_as_the_table_does():
    usual = ensemble(lawful.simulate(TRUTH, PLAN, noise=0.003)).outlook(1e22)
    twice = ensemble(own_table(lambda n: 12 * n)).outlook(2e22)
    assert twice.params == pytest.approx(usual.params, rel=1e-4)
    assert twice.interval["params"] == pytest.approx(usual.interval["params"], rel=1e-4)
    found = ensemble(own_table(crooked))
    n = np.geomspace(1e9, 1e11, 200001)
    central = found.members.laws.take(slice(0, found.members.central))
    losses = central.loss(np.log(n), np.log(2e22 / crooked(n)))
    best = np.exp(np.log(n[np.argmin(losses, axis=1)]).mean())
    assert found.outlook(2e22).params == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize(
    ("terms", "error", "said"),
    [
        ({"cost": "6*foo*tokens"}, InputError, "names 'foo', which is no column of the law"),
        ({"cost": "1e3"}, InputError, "a formula of the columns"),
        ({"cost": "6*num_experts*tokens"}, IdentificationError, "ever more active_params is better"),
        ({"limits": ["params"]}, InputError, "compares two formulas"),
        ({"limits": ["params <= 1e-3"]}, IdentificationError, "No run fits"),
        ({"given": {"params": 1e9, "tokens": 1e9}}, UnsupportedError, "Nothing is left to spend the budget on"),
        ({"given": {"num_experts": -1}}, UnsupportedError, "must be a positive number"),
        ({"ranges": {"num_experts": (4, 1)}}, UnsupportedError, "lowest first"),
    ],
)
def test_what_cannot_be_had_is_refused(moe, terms, error, said):
    with pytest.raises(error, match=said):
        moe.allocate(1e22, **terms)


def test_a_frontier_and_a_bare_surface_have_no_columns(dense):
    with pytest.raises(UnsupportedError, match="a surface has no table"):
        dense.surface.allocate(1e22, cost="6*params*tokens")
    with pytest.raises(UnsupportedError, match="approach2 has no surface"):
        lawful.fit_isoflop(dense.runs).allocate(1e22, cost="6*params*tokens")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moe") / "out"
    assert (
        main(["fit", "examples/moe_runs.csv", "--law", MOE, "--draws", "60", "--no-figures", "--out", str(folder)]) == 0
    )
    return str(folder / "fit.json")


def test_from_the_shell(saved, capsys):
    capsys.readouterr()
    asked = ["--budget", "1e22", "--cost", COST, "--limit", MEMORY]
    assert main(["allocate", saved, *asked, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    one = document["allocations"][0]
    assert document["convention"] == f"cost = {COST}"
    assert one["reached"] == [MEMORY]
    assert one["columns"]["active_params"] == one["params"]
    assert set(one["column_intervals"]) == {"active_params", "num_experts", "tokens"}
    assert one["budget_6nd"] == pytest.approx(1e22)
    assert main(["allocate", saved, *asked]) == 0
    assert "Reached: active_params*num_experts <= 2e10." in capsys.readouterr().out
    assert main(["allocate", saved, *asked, "--sizes", "7B"]) == 2
    assert "write the other constraints as --limit" in capsys.readouterr().err


def test_predict_a_law_of_any_columns_from_the_shell(saved, capsys, tmp_path):
    capsys.readouterr()
    law = lawful.load(saved).fit
    ask = ["predict", saved, "--params", "1B", "--given", "num_experts=16"]
    assert main([*ask, "--tokens", "1T", "--json"]) == 0
    one = json.loads(capsys.readouterr().out)
    expected = float(law.surface.law.loss(law.coefficients, 1e9, 1e12, 16.0))
    assert one["loss"] == pytest.approx(expected)
    assert one["interval"]["loss"][0] < expected < one["interval"]["loss"][1]
    assert main([*ask, "--budget", "1e22", "--cost", "7*params*tokens", "--json"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert one["tokens"] == pytest.approx(1e22 / 7e9)
    assert one["budget"] == pytest.approx(1e22)
    assert main(["predict", saved, "--params", "1B", "--tokens", "1T"]) == 2
    assert "also reads num_experts" in capsys.readouterr().err
    where = tmp_path / "p"
    assert main(["predict", saved, "--points", "examples/moe_options.csv", "--cost", COST, "--out", str(where)]) == 0
    points = json.loads((where / "predict.json").read_text())["points"]
    assert points[1]["budget"] == pytest.approx(6 * 2e9 * 4.5e11)
    expected = float(law.surface.law.loss(law.coefficients, 2e9, 4.5e11, 64.0))
    assert points[1]["loss"] == pytest.approx(expected)
    assert (where / "predicted.csv").read_text().startswith("active_params,num_experts,tokens,predicted_loss")
