"""
The cases that the published VPNLS package tests itself with, put to lawful.

Subjects and tolerances are those of its tests (three noise-free surfaces, squared and Huber errors, the inner problem
against SciPy, clamping, bounds, bad input, four runs); the code is ours.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.special import huber

import lawful
from lawful.errors import IdentificationError, InputError, UnsupportedError

SURFACES = {
    "symmetric": {"E": 1.69, "A": 400.0, "B": 400.0, "alpha": 0.31, "beta": 0.31},
    "chinchilla": {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28},
    "asymmetric": {"E": 1.50, "A": 200.0, "B": 800.0, "alpha": 0.50, "beta": 0.20},
}
DELTA = 0.01
RECOVERED, INNER, AGREED = 1e-6, 1e-10, 1e-8
"""Relative errors: of recovered coefficients, of E, A and B against SciPy, and between two methods."""

OBJECTIVES = {"squared": lawful.Objective.squared(), "huber": lawful.Objective.huber(DELTA)}


@pytest.fixture(scope="module", params=SURFACES)
def truth(request: pytest.FixtureRequest) -> lawful.Surface:
    return lawful.Surface(SURFACES[request.param])


@pytest.fixture(scope="module")
def runs(truth: lawful.Surface) -> lawful.Runs:
    return sweep(truth)


def sweep(truth: lawful.Surface) -> lawful.Runs:
    return lawful.simulate(truth, lawful.Plan.isoflop([1e17, 1e18, 1e19, 1e20, 1e21], 15, surface=truth))


def errors(found: lawful.Fit, truth: lawful.Surface) -> float:
    return max(abs(found.surface[name] / truth[name] - 1) for name in truth.coefficients)


@pytest.mark.parametrize("method", ["vpnls", "approach3"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_noise_free_runs_give_their_surface_back(truth, runs, method, objective):
    found = lawful.fit(runs, method=method, objective=OBJECTIVES[objective])
    assert found.status.key == "converged"
    assert errors(found, truth) < RECOVERED


def test_what_is_left_of_noise_free_runs_is_rounding(runs):
    assert lawful.fit(runs, method="vpnls").rss < 1e-17


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_two_methods_agree(truth, runs, objective):
    one, two = (lawful.fit(runs, method=m, objective=OBJECTIVES[objective]).surface for m in ("vpnls", "approach3"))
    for name in truth.coefficients:
        assert one[name] == pytest.approx(two[name], rel=AGREED)


def basis(runs: lawful.Runs, alpha: float, beta: float) -> np.ndarray:
    return np.stack([np.ones_like(runs.N), runs.N**-alpha, runs.D**-beta], axis=1)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_at_a_grid_point_the_amounts_are_those_of_scipy(truth, runs, objective):
    # The nearest node of a grid of 0.005: beside the truth, so that residuals are no rounding.
    at = {name: round((truth[name] + 0.003) / 0.005) * 0.005 for name in ("alpha", "beta")}
    found = lawful.fit(runs, method="vpnls", objective=OBJECTIVES[objective], fixed=at)
    columns = basis(runs, **at)
    scale = np.linalg.norm(columns, axis=0)
    start = scale * [found.surface[name] for name in ("E", "A", "B")]
    options = {"loss": "linear"} if objective == "squared" else {"loss": "huber", "f_scale": DELTA}
    exact = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
    scipy = least_squares(lambda p: columns / scale @ p - runs.L, start, **options, **exact)
    np.testing.assert_allclose([found.surface[n] for n in ("E", "A", "B")], scipy.x / scale, rtol=INNER)
    if objective == "huber":
        assert found.value == pytest.approx(float(huber(DELTA, scipy.fun).mean()), rel=INNER)
    else:
        assert found.rss == pytest.approx(float((scipy.fun**2).sum()), rel=INNER)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_slope_of_the_projected_misfit_is_that_of_the_envelope_theorem(truth, runs, objective):
    chosen = OBJECTIVES[objective]
    at = np.array([0.25, 0.35])

    def fitted(theta: np.ndarray) -> lawful.Fit:
        return lawful.fit(
            runs, method="vpnls", objective=chosen, fixed=dict(zip(("alpha", "beta"), theta, strict=True))
        )

    found = fitted(at)
    r = runs.L - found.surface.loss(runs.N, runs.D)
    pull = r if objective == "squared" else np.clip(r, -DELTA, DELTA)
    twice = 2.0 if objective == "squared" else 1.0
    in_n = found.surface["A"] * runs.N ** -at[0] * np.log(runs.N)
    in_d = found.surface["B"] * runs.D ** -at[1] * np.log(runs.D)
    slope = twice * np.array([(pull * in_n).mean(), (pull * in_d).mean()])
    step = 1e-5
    for k in range(2):
        ends = [fitted(at + sign * step * np.eye(2)[k]).value for sign in (1, -1)]
        # The objective of squares is the mean of squares or of half squares: the ratio is the same on both axes.
        numeric = (ends[0] - ends[1]) / (2 * step)
        unit = found.value / ((r**2).mean() if objective == "squared" else huber(DELTA, r).mean())
        assert numeric == pytest.approx(slope[k] * unit, rel=1e-5)


def test_a_coefficient_that_wants_below_zero_is_zero_and_its_misfit_is_its_own():
    truth = lawful.Surface({"E": 0.0, "A": 500.0, "B": 500.0, "alpha": 0.40, "beta": 0.30})
    plan = lawful.Plan.isoflop([1e17, 1e18, 1e19, 1e20, 1e21], 15, surface=truth)
    clamped = 0
    for seed in range(8):
        runs = lawful.simulate(truth, plan, noise=0.02, seed=seed)
        found = lawful.fit(runs, method="vpnls")
        k = found.surface
        free = np.linalg.lstsq(basis(runs, k["alpha"], k["beta"]), runs.L, rcond=None)[0]
        assert (k["E"] == 0) == (free[0] < 1e-12)
        assert ("zero_coefficient" in {note.code for note in found.notes}) == (k["E"] == 0)
        left = runs.L - (k["E"] + k["A"] * runs.N ** -k["alpha"] + k["B"] * runs.D ** -k["beta"])
        assert found.rss == pytest.approx(float(left @ left), rel=1e-12)
        clamped += k["E"] == 0
    assert clamped >= 1


@pytest.mark.parametrize(("name", "limits"), [("alpha", (0.4, 0.9)), ("beta", (0.05, 0.2)), ("E", (1.8, 3.0))])
def test_an_answer_on_a_bound_says_so(name, limits):
    found = lawful.fit(sweep(lawful.Surface(SURFACES["chinchilla"])), method="vpnls", bounds={name: limits})
    assert found.surface[name] in limits
    assert "at_bound" in {note.code for note in found.notes}


@pytest.mark.parametrize(("name", "limits"), [("alpha", (0.1, 0.8)), ("E", (1.0, 2.0)), ("B", (1.0, 1e6))])
def test_a_bound_that_does_not_bind_changes_nothing(name, limits):
    truth = lawful.Surface(SURFACES["chinchilla"])
    found = lawful.fit(sweep(truth), method="vpnls", bounds={name: limits})
    assert errors(found, truth) < RECOVERED


def test_a_method_returns_what_it_is_called_for():
    runs = sweep(lawful.Surface(SURFACES["chinchilla"]))
    kinds = {m: type(lawful.fit(runs, method=m)).__name__ for m in ("vpnls", "approach3", "approach2", "approach1")}
    assert kinds == {"vpnls": "Fit", "approach3": "Fit", "approach2": "FrontierFit", "approach1": "FrontierFit"}
    assert lawful.fit(runs, method="vpnls").method == "vpnls"


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(UnsupportedError, match=r"bogus.*vpnls"):
        lawful.fit(sweep(lawful.Surface(SURFACES["chinchilla"])), method="bogus")


N = np.array([1e9, 3e9, 1e9, 1e10, 3e10])
D = np.array([1e10, 1e10, 1e11, 3e11, 1e12])
L = np.array([2.5, 2.4, 2.2, 2.0, 1.9])


def changed(values: np.ndarray, row: int, value: float) -> np.ndarray:
    out = values.copy()
    out[row] = value
    return out


@pytest.mark.parametrize(
    ("n", "d", "losses", "sentence"),
    [
        (N, D[:3], L, r"5 .*3|3 .*5"),
        (changed(N, 4, -1.0), D, L, r"1 of 5 runs .* above zero .*column 'N', row 5 \(-1\)"),
        (N, changed(D, 4, 0.0), L, r"1 of 5 runs .* above zero .*column 'D', row 5 \(0\)"),
        (N, D, changed(L, 0, np.nan), r"1 of 5 runs has NaN.*column 'L', row 1 \(nan\)"),
        (N, D, changed(L, 0, np.inf), r"1 of 5 runs has NaN, infinity.*column 'L', row 1 \(inf\)"),
    ],
    ids=["lengths", "negative N", "zero D", "missing loss", "infinite loss"],
)
def test_bad_input_is_refused_with_a_sentence(n, d, losses, sentence):
    with pytest.raises(InputError, match=sentence):
        lawful.fit(lawful.Runs.from_arrays(n, d, losses))


def test_three_runs_are_too_few_and_it_is_said_for_what():
    three = lawful.Runs.from_arrays(N[:3], D[:3], L[:3])
    with pytest.raises(IdentificationError, match=r"3 runs cannot determine 5 coefficients \(E, A, B, alpha, beta\)"):
        lawful.fit(three)


def four(truth: lawful.Surface) -> lawful.Runs:
    return lawful.Runs.from_arrays(N[:4], D[:4], truth.loss(N[:4], D[:4]))


@pytest.mark.parametrize("pinned", [("E",), ("alpha", "beta")], ids=["E", "exponents"])
def test_four_runs_are_taken_where_enough_is_pinned(truth, pinned):
    found = lawful.fit(four(truth), fixed={name: truth[name] for name in pinned})
    assert found.rss < 1e-17
    # Four equations in four unknowns may have another root; with the exponents known there is only one.
    if pinned != ("E",):
        assert errors(found, truth) < RECOVERED


def test_four_runs_alone_are_refused_with_what_would_help():
    with pytest.raises(IdentificationError, match=r"4 runs cannot determine 5 coefficients .* hold coefficients fixed"):
        lawful.fit(four(lawful.Surface(SURFACES["chinchilla"])))


def test_a_plan_has_the_runs_it_says():
    truth = lawful.Surface(SURFACES["chinchilla"])
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 10, surface=truth))
    assert len(runs.N) == len(runs.D) == len(runs.L) == 30
    assert (runs.N > 0).all()
    assert (runs.D > 0).all()
