"""A prior with a width: against least squares with a pseudo-observation, a grid of the likelihood, and its limits."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.stats import t as student

import lawful
from lawful.cli import main
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.priors import prior_of, run_variance
from portions import a_part_is_slow

OPTIMA = {
    "compute": np.array([1e18, 3e18, 1e19, 3e19, 1e20, 3e20]),
    "loss": np.array([3.522, 3.339, 3.154, 3.000, 2.848, 2.725]),
}
CAME = {1e21: 2.599, 1e23: 2.234}

# Both minimise the same sum; what is left is where either stops.
MINIMUM = 1e-6


def of_compute(fixed, table=OPTIMA):
    return lawful.fit(table, law="compute", fixed=fixed)


@pytest.fixture(scope="module")
def sweep():
    truth = lawful.Surface.named("chinchilla")
    plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth)
    return lawful.simulate(truth, plan, noise=0.01, seed=3)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1.6±0.1", (1.6, 0.1)),
        ("1.6+-0.1", (1.6, 0.1)),
        ("1.6 +/- 1e-1", (1.6, 0.1)),
        ((1.6, 0.1), (1.6, 0.1)),
        ([1.6, 0.1], (1.6, 0.1)),
        (1.6, None),
        ("alpha", None),
        ("beta+-0.1", None),
    ],
)
def test_a_width_is_read(given, expected):
    found = prior_of(given)
    assert (found and found.given) == expected


@pytest.mark.parametrize("width", ["1.6±0.1", "1.6±0.03"])
def test_a_fit_of_one_column_is_least_squares_with_a_pseudo_observation(width):
    found = of_compute({"E": width})
    prior = found.prior["E"]

    def residual(k):
        law = k[0] + np.exp(k[1] - k[2] * np.log(OPTIMA["compute"] / 1e19))
        return np.append(law - OPTIMA["loss"], np.sqrt(prior.weight) * (k[0] - prior.mean))

    best = least_squares(residual, [1.6, 0.4, 0.08], xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert [found.coefficients[n] for n in ("E", "alpha")] == pytest.approx(best.x[[0, 2]], rel=MINIMUM)
    assert found.fixed == {}


@pytest.mark.parametrize("objective", ["squared", "log-squared"])
def test_a_fit_of_two_powers_is_least_squares_with_a_pseudo_observation(sweep, objective):
    method = "vpnls" if objective == "squared" else "approach3"
    found = lawful.fit(sweep, method=method, objective=objective, fixed={"E": "1.69±0.02"})
    prior = found.prior["E"]
    seen = np.log if objective == "log-squared" else np.asarray

    def residual(k):
        law = k[0] + np.exp(k[1] - k[3] * np.log(sweep.N / 1e9)) + np.exp(k[2] - k[4] * np.log(sweep.D / 1e10))
        return np.append(seen(law) - seen(sweep.L), np.sqrt(prior.weight) * (k[0] - prior.mean))

    best = least_squares(residual, [1.6, -1.0, -1.0, 0.3, 0.3], xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert [found.coefficients[n] for n in ("E", "alpha", "beta")] == pytest.approx(best.x[[0, 3, 4]], rel=MINIMUM)


def test_a_formula_takes_a_width_as_the_law_it_writes_does():
    table = {"tokens": OPTIMA["compute"] / 1e10, "loss": OPTIMA["loss"]}
    by_name = lawful.fit(table, law="hestness", fixed={"E": (1.6, 0.05)})
    written = lawful.fit(table, law="loss = floor + a*exp(-b*log(tokens))", fixed={"floor": (1.6, 0.05)})
    assert written.coefficients["floor"] == pytest.approx(by_name.coefficients["E"], rel=1e-6)
    assert written.intervals().of("floor") == pytest.approx(by_name.intervals().of("E"), rel=1e-4)


def test_a_narrow_prior_is_a_pin_and_a_wide_one_says_nothing():
    point = (np.sqrt(1e23 / 6),) * 2
    for given, limit in (((1.6, 1e-6), {"E": 1.6}), ((1.6, 50.0), None)):
        found, at = of_compute({"E": given}), of_compute(limit)
        assert found.coefficients == pytest.approx(at.coefficients, rel=1e-4)
        ends = [fit.intervals().prediction(point=point) for fit in (found, at)]
        width = ends[1][1] - ends[1][0]
        assert ends[0] == pytest.approx(ends[1], abs=0.02 * width)


def test_intervals_of_two_powers_go_to_the_same_limits(sweep):
    free, held = (lawful.fit(sweep, method="vpnls", fixed=f) for f in (None, {"E": 1.69}))
    for given, limit in (((1.69, 1e-5), held), ((1.69, 20.0), free)):
        found = lawful.fit(sweep, method="vpnls", fixed={"E": given})
        for name, budget in (("alpha", None), ("params", 1e22), ("loss", 1e22)):
            low, high = limit.intervals().of(name, budget=budget)
            assert found.intervals().of(name, budget=budget) == pytest.approx((low, high), abs=0.03 * (high - low))


def test_the_profile_under_a_prior_is_that_of_the_penalised_sum(sweep):
    """The ends of E by brute force: the sum of squares with E held, plus what the prior adds, at the height of t."""
    found = lawful.fit(sweep, method="vpnls", fixed={"E": (1.69, 0.02)})
    shape, prior = found.profile("E"), found.prior["E"]

    def penalised(value):
        return lawful.fit(sweep, method="vpnls", fixed={"E": value}).rss + prior.weight * (value - prior.mean) ** 2

    least = penalised(found.coefficients["E"])
    heights = [penalised(end) - least for end in shape.interval]
    assert heights[0] == pytest.approx(heights[1], rel=1e-3)
    assert heights[0] == pytest.approx(shape.reach**2 * shape.ratio, rel=1e-3)


def test_the_variance_is_the_posterior_of_a_grid():
    """Straight sums over a fine grid of E and ln s² where RSS is a parabola: the first two moments of ln s²."""
    n, q, curve, away, least = 6, 2, 0.02, 1.50, 4e-5
    found = run_variance(lambda e: least + curve * (e - away) ** 2, lawful.estimate.priors.Prior(1.6, 0.1), n, q, 1e-4)
    e = np.linspace(1.6 - 0.5, 1.6 + 0.5, 4001)
    u = np.linspace(np.log(1e-8), np.log(1.0), 4001)
    rss = least + curve * (e - away) ** 2
    density = np.exp(-0.5 * rss / np.exp(u)[:, None] - 0.5 * ((e - 1.6) / 0.1) ** 2).sum(axis=1)
    share = density * np.exp(-0.5 * (n - q) * u)
    share /= share.sum()
    middle = share @ u
    from scipy.special import polygamma, psi

    assert polygamma(1, found.freedom / 2) == pytest.approx(share @ (u - middle) ** 2, rel=0.02)
    s2 = np.exp(middle + psi(found.freedom / 2) - np.log(found.freedom / 2))
    assert found.weight * 0.1**2 == pytest.approx(s2, rel=0.02)


def test_draws_make_the_prior_anew_as_they_do_the_runs(sweep):
    found = lawful.fit(sweep, method="vpnls", fixed={"E": (1.69, 0.005)})
    spread = np.std(found.bootstrap(600, scheme="residual").coefficients["E"])
    assert spread == pytest.approx(found.intervals("delta")._linear.error("E"), rel=0.15)
    held = lawful.fit(sweep, method="vpnls", fixed={"E": 1.69})
    assert np.std(held.bootstrap(50).coefficients["E"]) < 1e-12


def test_the_worked_example_holds_what_came():
    made = dict(zip(CAME, of_compute({"E": 1.6}).forecast(list(CAME)), strict=True))
    assert made[1e23].loss == pytest.approx(2.253, abs=5e-4)
    low, high = made[1e23].prediction
    assert not low < CAME[1e23] < high  # a pin is too sure of itself
    for width in ("1.6±0.05", "1.6+-0.1", "1.6±0.2"):
        for one in of_compute({"E": width}).forecast(list(CAME)):
            low, high = one.prediction
            assert low < CAME[one.budget] < high


def test_a_pinned_floor_has_students_interval_on_n_less_p():
    """By hand: scipy's slopes at its own optimum, t on 6 - 2."""
    C, L = OPTIMA.values()

    def residual(k):
        return 1.6 + np.exp(k[0] - k[1] * np.log(C / 1e19)) - L

    best = least_squares(residual, [0.4, 0.08], xtol=1e-15, ftol=1e-15, gtol=1e-15)
    s2 = (best.fun**2).sum() / 4
    u = np.log(1e23 / 1e19)
    height = np.exp(best.x[0] - best.x[1] * u)
    slope = height * np.array([1.0, -u])
    error = np.sqrt(s2 * (slope @ np.linalg.solve(best.jac.T @ best.jac, slope)))
    sure = of_compute({"E": 1.6}).intervals()
    point = (np.sqrt(1e23 / 6),) * 2
    t = student.ppf(0.95, 4)
    assert sure.of("loss_at", point=point) == pytest.approx(
        (1.6 + height - t * error, 1.6 + height + t * error), abs=1e-4 * error + 1e-6
    )
    new = t * np.hypot(error, np.sqrt(s2))
    assert sure.prediction(point=point) == pytest.approx((1.6 + height - new, 1.6 + height + new), abs=1e-5)
    assert "Student's t on 4 degrees of freedom" in sure.sentence


@pytest.mark.parametrize(
    ("law", "fixed", "message"),
    [
        ("compute", {"alpha": "0.1±0.01"}, "takes a width for the irreducible loss alone"),
        ("compute", {"E": "1.6±0"}, "A prior is a number and its standard deviation"),
        ("compute", {"E": "1.6±wide"}, "A prior is a number and its standard deviation"),
        ("compute", {"E": (-1.0, 0.1)}, "must lie at 0 or above"),
        ("kaplan-c", {"E": "1.6±0.1"}, "no coefficient 'E'"),
    ],
)
def test_what_is_no_prior_is_refused(law, fixed, message):
    with pytest.raises(UnsupportedError, match=message):
        lawful.fit(OPTIMA, law=law, fixed=fixed)


def test_three_runs_and_three_coefficients_need_to_know_one():
    three = {name: values[:3] for name, values in OPTIMA.items()}
    with pytest.raises(IdentificationError, match="leave nothing to tell the noise"):
        of_compute(None, three).forecast([1e21])
    (made,) = of_compute({"E": (1.6, 0.1)}, three).forecast([1e21])
    assert made.prediction[0] < 2.599 < made.prediction[1]
    with pytest.raises(IdentificationError):
        of_compute({"E": (1.6, 0.1)}, {name: values[:2] for name, values in OPTIMA.items()})


def test_the_shell_says_and_saves_the_prior(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a forecast is written to the ledger of the folder
    path = tmp_path / "optima.csv"
    path.write_text("compute,loss\n" + "\n".join(f"{c},{y}" for c, y in zip(*OPTIMA.values(), strict=True)))
    out = tmp_path / "out"
    command = ["fit", str(path), "--law", "compute", "--fix", "E=1.6±0.1", "--out", str(out), "--json"]
    assert main(command) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["fixed"] == {}
    assert (document["prior"]["E"]["mean"], document["prior"]["E"]["sd"]) == (1.6, 0.1)
    assert "prior" in [note["code"] for note in document["notes"]]
    again = lawful.load(out / "fit.json").fit
    assert again.prior == of_compute({"E": (1.6, 0.1)}).prior
    assert main(["forecast", str(out / "fit.json"), "--budget", "1e23", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["prior"] == {"E": [1.6, 0.1]}
    assert main(["fit", str(path), "--law", "compute", "--fix", "E=1.6+-0.1"]) == 0
    assert "E has the prior 1.6 ± 0.1" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("points", "width"), a_part_is_slow([(3, 0.0), (3, 0.1), (6, 0.1), (4, 0.0), (4, 0.1), (6, 0.0)], every=2)
)
def test_forecasts_of_few_points_cover_as_they_say(points, width):
    """Of 600 tables each, and 200 with a width, from which the truth is then drawn."""
    rng = np.random.default_rng([points, int(100 * width)])
    C, target, hits, repeats = np.geomspace(1e18, 3e20, points), 1e22, 0, 600 if width == 0 else 200
    for _ in range(repeats):
        floor = 1.6 + width * rng.standard_normal()
        losses, new = (floor + 94.35 / c**0.0939 for c in (C, target))
        table = {"compute": C, "loss": losses + 0.008 * rng.standard_normal(points)}
        (made,) = of_compute({"E": (1.6, width) if width else 1.6}, table).forecast([target])
        hits += made.prediction[0] <= new + 0.008 * rng.standard_normal() <= made.prediction[1]
    # Binomial errors of 1.2 and 2.1 points. Of 1,500 pinned tables 90.7, 92.3 and 93.3% held at 3, 4 and 6 points;
    # a width is averaged over, and errs to the wide side as well.
    assert 0.87 <= hits / repeats <= (0.955 if width == 0 else 0.98)
