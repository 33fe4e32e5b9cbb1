"""What an interval is about: every quantity against the surface itself, and its gradient against differences."""

from __future__ import annotations

import numpy as np
import pytest

import lawful
from lawful.core.cost import Cost
from lawful.errors import UnsupportedError
from lawful.laws.laws import CHINCHILLA, LAWS, find_law
from lawful.uncertainty.quantity import Quantity, gradient, reported, unreported, values_of, working_values

K = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
ROW = {name: np.array([value]) for name, value in K.items()}
SURFACE = lawful.Surface(K)
BUDGET = 3e23


def test_every_quantity_is_the_surfaces_own():
    best = SURFACE.optimum(BUDGET)
    a, b = SURFACE.exponents
    said = {
        Quantity("params", BUDGET): best.params,
        Quantity("tokens", BUDGET): best.tokens,
        Quantity("loss", BUDGET): best.loss,
        Quantity("loss_at", point=(7e9, 2e12)): SURFACE.loss(7e9, 2e12),
        Quantity("a"): a,
        Quantity("b"): b,
        Quantity("log10_a0"): np.log10(best.params) - a * np.log10(BUDGET),
        Quantity("log10_b0"): np.log10(best.tokens) - b * np.log10(BUDGET),
        **{Quantity(name): value for name, value in K.items()},
    }
    for quantity, value in said.items():
        assert float(values_of(quantity, CHINCHILLA, ROW)[0]) == pytest.approx(float(value), rel=1e-12), quantity


def test_another_convention_of_cost_moves_the_optimum_as_the_surface_does():
    """At 8 FLOPs per parameter and token a budget buys what three quarters of it buy at 6."""
    found = values_of(Quantity("params", BUDGET), CHINCHILLA, ROW, Cost(flops_per_param_token=8.0))
    assert float(found[0]) == pytest.approx(float(SURFACE.optimum(0.75 * BUDGET).params), rel=1e-12)


def test_solver_units_and_coefficients_name_one_value():
    """Centred amounts are c = A e^(-alpha m): the same surface, the same answer."""
    centre = np.array([20.0, 23.5])
    z = np.array([[K["E"], K["A"] * np.exp(-K["alpha"] * 20.0), K["B"] * np.exp(-K["beta"] * 23.5), 0.34, 0.28]])
    for quantity in (Quantity("A"), Quantity("B"), Quantity("params", BUDGET), Quantity("loss_at", point=(1e9, 1e10))):
        working = working_values(quantity, CHINCHILLA, z, centre)
        assert float(reported(quantity, CHINCHILLA, working)[0]) == pytest.approx(
            float(values_of(quantity, CHINCHILLA, ROW)[0]), rel=1e-12
        )
        np.testing.assert_allclose(unreported(quantity, CHINCHILLA, reported(quantity, CHINCHILLA, working)), working)


@pytest.mark.parametrize("name", ["skaling", "chinchilla"])
@pytest.mark.parametrize("quantity", [Quantity("params", BUDGET), Quantity("loss", BUDGET), Quantity("alpha")], ids=str)
def test_gradients_are_those_of_differences_with_or_without_a_closed_form(name, quantity):
    law = find_law(name)
    k = np.array([[{**K, "k": 0.8}.get(word, 0.5) for word in law.names]])
    # Solver units of a law with a form take logs of what is positive; there is none for the sum of powers here.
    if law.separable:
        z, centre = k, np.zeros(len(law.exponents))
    else:
        from lawful.estimate.forms import prepare_form

        N, D = np.geomspace(1e8, 1e10, 12), np.geomspace(1e11, 1e9, 12)
        problem = prepare_form(law, (N, D), 3 + 0 * N, None, law.bounds, log=False, delta=None, prior=None)
        z, centre = problem.to_z(k), problem.centre
    told = gradient(quantity, law, z, centre)
    for j in range(z.shape[1]):
        step = np.zeros_like(z)
        step[0, j] = 1e-4 * max(abs(z[0, j]), 1e-2)
        up, down = (working_values(quantity, law, z + s, centre) for s in (step, -step))
        assert told[0, j] == pytest.approx(float((up - down)[0]) / (2 * step[0, j]), rel=1e-4, abs=1e-7)


def test_a_term_that_is_gone_puts_the_optimum_at_no_size():
    rows = {name: np.array([value, 0.0 if name == "A" else value]) for name, value in K.items()}
    assert values_of(Quantity("params", BUDGET), CHINCHILLA, rows)[1] == 0.0
    for quantity in (Quantity("tokens", BUDGET), Quantity("loss", BUDGET), Quantity("log10_a0"), Quantity("a")):
        found = values_of(quantity, CHINCHILLA, rows)
        assert np.isfinite(found[0])
        assert np.isnan(found[1])


def test_each_law_says_which_quantities_it_has():
    for law in LAWS.values():
        for name in law.names:
            assert Quantity(name).check(law).name == name
    with pytest.raises(UnsupportedError, match="The chinchilla law has no quantity 'gamma'; it has E, A, B, alpha"):
        Quantity("gamma").check(CHINCHILLA)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "params"}, "'params' is a quantity at a budget; say which"),
        ({"name": "alpha", "budget": 1e20}, "'alpha' does not depend on a budget; leave budget out"),
        ({"name": "loss_at"}, r"'loss_at' needs a point \(N, D\), and only it; got None"),
        ({"name": "E", "point": (1e9, 1e10)}, r"needs a point \(N, D\), and only it; got \(1000000000.0"),
        ({"name": "loss", "budget": -1.0}, "A budget, N and D are positive, finite numbers, got -1.0"),
        ({"name": "loss_at", "point": (1e9, -1.0)}, "positive, finite numbers, got"),
    ],
)
def test_a_question_that_makes_no_sense_is_one_sentence(given, message):
    with pytest.raises(UnsupportedError, match=message):
        Quantity(**given)
