"""Every law of the catalogue: found again from noise-free runs and a cold start, and allocated with."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lawful.core.objective import OBJECTIVE_NAMES, Objective
from lawful.data.runs import Runs
from lawful.errors import IdentificationError, InputError, UnsupportedError
from lawful.estimate.fit import fit
from lawful.estimate.solvers import Joint, VarPro
from lawful.laws.catalogue_kaplan import TABLE5
from lawful.laws.catalogue_repeated import MUENNIGHOFF_PUBLISHED
from lawful.laws.law import Law, sum_of_powers
from lawful.laws.laws import LAWS
from lawful.laws.optimum import minimise_lines
from lawful.laws.surface import Surface, evaluate

# What the issue asks of noise-free runs: predictions on held-out columns, and identifiable coefficients.
PREDICTION, COEFFICIENT = 1e-8, 1e-6

BASE = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
MOE = sum_of_powers("active", ("N", "D", "active"))

TRUTHS: dict[str, dict[str, float]] = {
    "chinchilla": BASE,
    "skaling": {"E": 0.8, "A": 9000.0, "B": 20000.0, "alpha": 0.5, "beta": 0.47, "k": 0.6},
    "nested": {"E": 1.0, "A": 300.0, "B": 900.0, "alpha": 0.31, "beta": 0.33, "q": 0.7},
    "compute": {"E": 1.7, "A": 3000.0, "alpha": 0.17},
    "amari-1": {"E": 0.0, "c": 5.0, "alpha": 1.0},
    "amari-2": {"E": 0.0, "c": 5.0, "alpha": 2.0},
    "amari-3": {"E": 0.0, "c": 5.0, "alpha": 0.5},
    "amari-4": {"E": 0.1, "c": 5e8, "alpha": 1.0},
    "hestness": {"E": 0.5, "A": 11.9, "alpha": 0.066},
    "hestness-regions": {"E": 0.5, "A": 20.0, "alpha": 0.1, "guess": 3.2},
    "rosenfeld": {"cinf": 0.02, "a_n": 2000.0, "alpha": 0.45, "b_m": 300.0, "beta": 0.31},
    "rosenfeld-envelope": {
        "cinf": 0.1,
        "a_n": 2000.0,
        "alpha": 0.4,
        "b_m": 300.0,
        "beta": 0.31,
        "eps0": 9.0,
        "eta": 1.0,
    },
    "kaplan-n": TABLE5["kaplan-n"],
    "kaplan-d": TABLE5["kaplan-d"],
    "kaplan-c": TABLE5["kaplan-c"],
    "kaplan-cmin": TABLE5["kaplan-cmin"],
    "kaplan-nd": TABLE5["kaplan-nd"],
    "kaplan-ns": TABLE5["kaplan-ns"],
    "pearce-song": BASE | {"omega": 47491.0},
    "muennighoff": MUENNIGHOFF_PUBLISHED,
    "lovelace": BASE | {"P": 0.023, "delta": 1.3, "kappa": 0.8},
}


def table(scale: float) -> Runs:
    """Runs on a grid of sizes, tokens and epochs, shifted between the ones fitted and the ones held out."""
    cells = itertools.product(np.geomspace(1e6, 3e9, 6), np.geomspace(1e8, 3e10, 5), (1.0, 4.0, 20.0))
    n, d, epochs = (scale * np.array(v) for v in zip(*cells, strict=True))
    epochs = np.maximum(epochs, 1.0)
    labels = {"unique_tokens": d / epochs, "S": d / 5e5, "C_min": 6 * n * d / 8.64e19, "active": np.sqrt(n * epochs)}
    return Runs.from_arrays(n, d, np.ones(n.size), labels=labels)


def with_losses(law: Law, truth: dict[str, float], runs: Runs) -> Runs:
    losses = law.loss(truth, *(runs.column(name) for name in law.columns))
    return Runs.from_arrays(runs.N, runs.D, losses, C=runs.C, labels=runs.labels)


def test_every_law_of_the_catalogue_is_fitted_here() -> None:
    assert set(TRUTHS) == set(LAWS)
    assert all(set(TRUTHS[name]) == set(law.names) for name, law in LAWS.items())


def objectives_of(law: Law) -> tuple[str, ...]:
    """Every objective for sums of powers and for the coupled law; a quiet and a robust one where slopes are numeric."""
    return OBJECTIVE_NAMES if law.separable or law.name == "skaling" else ("squared", "log-huber")


@pytest.mark.parametrize(("name", "objective"), [(name, o) for name, law in LAWS.items() for o in objectives_of(law)])
def test_a_law_is_found_again_from_noise_free_runs(name: str, objective: str) -> None:
    law, truth = LAWS[name], TRUTHS[name]
    solver = VarPro() if law.separable and not objective.startswith("log") else Joint()
    found = fit(with_losses(law, truth, table(1.0)), law=law, objective=Objective(objective), method=solver)
    held_out = table(1.7)
    columns = [held_out.column(column) for column in law.columns]
    expected = law.loss(truth, *columns)
    np.testing.assert_allclose(law.loss(found.surface.coefficients, *columns), expected, rtol=PREDICTION)
    for coefficient in law.identifiable:
        assert found.surface[coefficient] == pytest.approx(truth[coefficient], rel=COEFFICIENT, abs=1e-12), coefficient


def test_a_law_of_user_columns_is_found_again() -> None:
    truth = dict(zip(MOE.names, (1.6, 300.0, 900.0, 5.0, 0.33, 0.34, 0.2), strict=True))
    found = fit(with_losses(MOE, truth, table(1.0)), law=MOE)
    assert found.surface.coefficients == pytest.approx(truth, rel=COEFFICIENT)


def test_a_law_of_ones_own_is_found_again() -> None:
    law = Law(
        "saturating",
        ("E", "A"),
        ("alpha", "s"),
        ("D",),
        form=lambda k, d: k["E"] + k["A"] / (d / 1e8 + k["s"]) ** k["alpha"],
        box={"s": (0.0, 100.0)},
    )
    truth = {"E": 1.0, "A": 3.0, "alpha": 0.4, "s": 2.0}
    found = fit(with_losses(law, truth, table(1.0)), law=law, objective=Objective.squared())
    assert found.surface.coefficients == pytest.approx(truth, rel=COEFFICIENT)


def test_a_law_for_repeated_data_asks_for_unique_tokens() -> None:
    runs = table(1.0)
    bare = Runs.from_arrays(runs.N, runs.D, runs.L)
    with pytest.raises(InputError, match="a column of unique tokens"):
        fit(bare, law="muennighoff")


def test_an_unknown_law_is_refused_with_the_catalogue() -> None:
    with pytest.raises(UnsupportedError, match="Unknown law 'gopher'; choose one of chinchilla, skaling"):
        fit(table(1.0), law="gopher")


def test_variable_projection_refuses_a_law_that_is_no_sum_of_powers() -> None:
    with pytest.raises(UnsupportedError, match="vpnls fits sums of powers and formulas, and skaling is neither"):
        fit(table(1.0), law="skaling", method=VarPro())


def test_too_few_runs_for_the_coupled_law_are_refused() -> None:
    with pytest.raises(IdentificationError, match="5 runs cannot determine 6 coefficients"):
        fit(table(1.0).take(np.arange(5)), law="skaling")


STATIONARY = 1e-8
GRID = 10_000

ALLOCATING = [name for name, law in LAWS.items() if {"N", "D"} <= set(law.columns) <= {"N", "D", "U"}]
CASES = [(name, budget, None) for name in ALLOCATING for budget in (1e19, 1e22)]
CASES += [
    (name, budget, unique)
    for name in ("muennighoff", "lovelace")
    for budget in (1e20, 9.3e21)
    for unique in (1e9, 2.5e10)
]


def on_the_line(surface: Surface, product: float, unique: float | None, params: np.ndarray) -> np.ndarray:
    return np.asarray(surface.loss(params, product / params, unique=unique))


def test_the_laws_that_allocate_are_these() -> None:
    assert set(ALLOCATING) == {
        "chinchilla",
        "skaling",
        "nested",
        "rosenfeld",
        "rosenfeld-envelope",
        "kaplan-nd",
        "pearce-song",
        "muennighoff",
        "lovelace",
    }


@pytest.mark.parametrize(("name", "budget", "unique"), CASES)
def test_an_allocation_is_no_worse_than_any_point_of_its_budget_line(
    name: str, budget: float, unique: float | None
) -> None:
    surface = Surface(TRUTHS[name], LAWS[name])
    best = surface.optimum(budget, unique=unique)
    product = budget / 6
    assert best.params * best.tokens == pytest.approx(product, rel=1e-12)
    grid = np.geomspace(1.0, product, GRID)
    assert best.loss <= on_the_line(surface, product, unique, grid).min() * (1 + 1e-14)


@pytest.mark.parametrize(("name", "budget", "unique"), CASES)
def test_an_allocation_is_stationary(name: str, budget: float, unique: float | None) -> None:
    """The derivative along the line vanishes; at a kink it changes sign within a hair of it."""
    surface = Surface(TRUTHS[name], LAWS[name])
    best = surface.optimum(budget, unique=unique)
    top = np.log(budget / 6)

    def slope(u: float) -> float:
        x = np.array([u + 1e-30j])
        n, d = np.exp(x), np.exp(top - x)
        at = {"N": n, "D": d, "U": d if unique is None else np.full(1, unique)}
        columns = [at[c] for c in surface.law.columns]
        return float(np.imag(evaluate(surface.law, surface.coefficients, columns))[0] / 1e-30)

    u = float(np.log(best.params))
    assert abs(slope(u)) < STATIONARY or (slope(u - 1e-8) < 0 < slope(u + 1e-8))


def test_the_coupled_law_allocates_as_chinchilla_does_for_every_k() -> None:
    terms = {name: TRUTHS["skaling"][name] for name in ("A", "B", "alpha", "beta")}
    plain = Surface({"E": 0.0, **terms}).optimum(1e22)
    for k in (0.3, 0.7, 1.0, 1.3):
        best = Surface({"E": 1.0, **terms, "k": k}, LAWS["skaling"]).optimum(1e22)
        assert (best.params, best.tokens) == pytest.approx((plain.params, plain.tokens), rel=1e-14)


def test_an_interior_maximum_is_no_candidate() -> None:
    """Lovelace's penalty makes the second stationary point a maximum: with little unique data the end R = 0 wins."""
    surface = Surface(TRUTHS["lovelace"] | {"P": 5.0, "delta": 1.0, "kappa": 1.0}, LAWS["lovelace"])
    best = surface.optimum(1e18, unique=1e8)
    assert best.tokens <= 1e8 * (1 + 1e-6)


def test_the_inverse_of_the_coupled_law_returns_the_budget() -> None:
    surface = Surface(TRUTHS["skaling"], LAWS["skaling"])
    best = surface.optimum([1e20, 1e23])
    np.testing.assert_allclose(surface.budget_for(best.loss), [1e20, 1e23], rtol=1e-9)


def test_an_optimum_at_an_end_of_the_line_is_found() -> None:
    top = np.log([1e6])
    assert minimise_lines(lambda _, n, __: 1 / n, top) == pytest.approx(top, rel=1e-9)
    assert minimise_lines(lambda _, __, d: 1 / d, top) == pytest.approx([0.0], abs=1e-9)


def test_a_law_in_one_column_allocates_nothing() -> None:
    with pytest.raises(UnsupportedError, match="does not trade parameters against tokens"):
        Surface(TRUTHS["hestness"], LAWS["hestness"]).optimum(1e21)
