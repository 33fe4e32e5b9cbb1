"""Choices under constraints: published examples, and brute-force grids."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lawful
from lawful.core.cost import Cost
from lawful.decide.constraints import Constraints, Demand, optimise
from lawful.errors import IdentificationError, UnsupportedError
from lawful.laws.catalogue_repeated import MUENNIGHOFF_PUBLISHED

GRID = 1e-3  # how well a grid of 20,001 sizes over four decades can be met
ROUNDED = lawful.Surface.named("hoffmann-rounded")
REPEATED = lawful.Surface(MUENNIGHOFF_PUBLISHED, lawful.LAWS["muennighoff"])


@pytest.fixture(scope="session")
def vectors(shared_reference):
    return {v["id"]: v for v in json.loads((shared_reference / "laws_vectors.json").read_text())}


def test_sardana_vectors(vectors):
    found = optimise(ROUNDED, loss=1.9936, constraints=Constraints(demand=[Demand(1e13)]))
    assert found.params == pytest.approx(vectors[147]["output"], rel=1e-6)
    assert found.tokens == pytest.approx(vectors[148]["output"], rel=1e-6)
    assert found.loss == pytest.approx(1.9936, rel=1e-12)
    assert found.binding == ("demand",)


def test_muennighoff_optimum(vectors):
    found = optimise(REPEATED, budget=9.3e21, constraints=Constraints(unique_tokens=25e9))
    assert found.epochs == pytest.approx(vectors[104]["output"], rel=1e-6)
    assert found.params == pytest.approx(6.815e9, rel=1e-3)
    assert found.binding == ("unique_tokens",)


def test_no_constraint_is_the_closed_form():
    for budget in (1e19, 3.8e25):
        found, best = optimise(ROUNDED, budget=budget), ROUNDED.optimum(budget)
        assert found.params == pytest.approx(float(best.params), rel=1e-6)
        assert found.tokens == pytest.approx(float(best.tokens), rel=1e-6)
        assert found.binding == ()
    by_loss = optimise(ROUNDED, loss=2.0)
    assert by_loss.training == pytest.approx(float(ROUNDED.budget_for(2.0)), rel=1e-9)


def brute_force(rules, *, budget=None, loss=None, surface=ROUNDED):
    """The best of a fine grid of sizes, its tokens found one by one."""
    n = np.geomspace(1e8, 1e12, 20001)
    served = sum(d.tokens * d.weight(Cost()) for d in rules.demand)
    if budget is not None:
        d = (budget - 2 * n * served) / (6 * n)
        value = np.where(d > 0, surface.loss(n, np.maximum(d, 1.0), unique=rules.unique_tokens), np.inf)
    else:
        grid = np.geomspace(1e9, 1e16, 40001)
        d = np.full(n.size, np.inf)
        for i in range(0, n.size, 20):
            enough = surface.loss(n[i], grid, unique=rules.unique_tokens) <= loss
            d[i] = grid[int(np.argmax(enough))] if enough.any() else np.inf
        d = np.maximum(d, n * (rules.min_tokens_per_param or 0))
        value = 6 * n * d + 2 * n * served
    if rules.min_tokens_per_param and budget is not None:
        value = np.where(d >= n * rules.min_tokens_per_param, value, np.inf)
    at = int(np.argmin(value))
    return n[at], d[at], value[at]


@pytest.mark.parametrize(
    "rules",
    [
        Constraints(min_tokens_per_param=200),
        Constraints(demand=[Demand(1e12)]),
        Constraints(demand=[Demand(1e12, Cost(mfu=0.1)), Demand(3e11, Cost(mfu=0.05))]),
        Constraints(demand=[Demand(1e12)], min_tokens_per_param=500),
    ],
    ids=["floor", "demand", "two demands", "both"],
)
def test_budgets_agree_with_a_grid(rules):
    found = optimise(ROUNDED, budget=1e24, constraints=rules)
    n, d, value = brute_force(rules, budget=1e24)
    assert found.params == pytest.approx(n, rel=GRID)
    assert found.tokens == pytest.approx(d, rel=GRID)
    assert found.loss <= value * (1 + 1e-12)
    assert found.total == pytest.approx(1e24, rel=1e-9)


@pytest.mark.parametrize("unique", [2e9, 25e9, 5e11])
def test_limited_data_agree_with_a_grid(unique):
    rules = Constraints(unique_tokens=unique)
    found = optimise(REPEATED, budget=9.3e21, constraints=rules)
    n, d, value = brute_force(rules, budget=9.3e21, surface=REPEATED)
    assert found.params == pytest.approx(n, rel=GRID)
    assert found.tokens == pytest.approx(d, rel=GRID)
    assert found.loss <= value * (1 + 1e-12)


@pytest.mark.parametrize(
    "rules", [Constraints(demand=[Demand(1e13)]), Constraints(min_tokens_per_param=300)], ids=["demand", "floor"]
)
def test_losses_agree_with_a_grid(rules):
    found = optimise(ROUNDED, loss=2.05, constraints=rules)
    _, _, value = brute_force(rules, loss=2.05)
    assert found.total == pytest.approx(value, rel=2 * GRID)
    assert found.total <= value * (1 + 1e-9)


def test_sizes_are_a_choice_among_the_listed():
    sizes = [1e9, 7e9, 13e9, 70e9]
    found = optimise(ROUNDED, budget=1e23, constraints=Constraints(sizes=sizes))
    losses = {n: float(ROUNDED.at_params(1e23, n).loss) for n in sizes}
    assert found.params == min(losses, key=losses.get)
    fixed = optimise(ROUNDED, budget=1e23, constraints=Constraints(sizes=[7e9]))
    assert fixed.params == 7e9
    assert fixed.tokens == pytest.approx(1e23 / 6 / 7e9)


def test_a_chinchilla_surface_takes_the_published_worth_of_repeats():
    plenty = optimise(ROUNDED, budget=1e22, constraints=Constraints(unique_tokens=1e14))
    assert plenty.params == pytest.approx(float(ROUNDED.optimum(1e22).params), rel=1e-5)
    assert plenty.epochs == 1
    scarce = optimise(ROUNDED, budget=1e22, constraints=Constraints(unique_tokens=1e10))
    assert scarce.epochs > 5
    assert scarce.loss > plenty.loss


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: optimise(ROUNDED), UnsupportedError, "Give either a budget to spend or a loss to reach"),
        (lambda: optimise(ROUNDED, budget=1e22, loss=2.0), UnsupportedError, "and not both"),
        (lambda: optimise(ROUNDED, budget=-1.0), UnsupportedError, r"is a positive number, got -1\.0"),
        (lambda: optimise(ROUNDED, loss=1.6), IdentificationError, r"No allowed model reaches the loss 1\.6;"),
        (
            lambda: optimise(ROUNDED, budget=1e20, constraints=Constraints(sizes=[1e12], min_tokens_per_param=20)),
            IdentificationError,
            r"No allowed model fits the budget 1e20 FLOPs; relax the sizes",
        ),
        (lambda: Constraints(sizes=[]), UnsupportedError, "The list of allowed sizes is empty"),
        (
            lambda: Constraints(sizes=[1e9, -1.0]),
            UnsupportedError,
            r"sizes must be positive and finite, got 1e9, -1\.",
        ),
        (lambda: Constraints(unique_tokens=np.inf), UnsupportedError, "unique_tokens must be positive and finite"),
        (lambda: Constraints(demand=[Demand(-1.0)]), UnsupportedError, "Inference tokens must be finite"),
    ],
)
def test_what_makes_no_sense_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
