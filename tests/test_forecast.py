"""Forecasts before a run exists: exact intervals, the public test, the ledger and its seal."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

import lawful
from lawful.approach2.bias import correct_isoflop
from lawful.cli import main
from lawful.core.render import text
from lawful.design.plan import Plan, plan_isoflop, simulate, study_surface
from lawful.errors import IdentificationError, InputError, OutputError, UnsupportedError
from lawful.forecasting.curve import fit_curve, optimum_curve, optimum_losses
from lawful.forecasting.forecast import Forecast, forecast, score
from lawful.show.ledger import append_entry, entry_of, read_ledger, score_document, score_ledger, score_sheet

MARIN = ([1e18, 3e18, 1e19, 3e19, 1e20, 3e20], [3.522, 3.339, 3.154, 3.000, 2.848, 2.725])
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def fit():
    truth = study_surface("chinchilla")
    return lawful.fit(
        simulate(truth, plan_isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.004, seed=3), method="vpnls"
    )


def test_the_public_test():
    at_1e21, at_1e23 = forecast(fit_curve(*MARIN), [1e21, 1e23])
    assert at_1e21.loss == pytest.approx(2.5992, abs=5e-4)
    assert at_1e23.loss == pytest.approx(2.2241, abs=5e-4)
    near, far = score(at_1e21, 2.599), score(at_1e23, 2.234)
    assert near.inside
    assert far.inside
    assert at_1e23.error > 2 * at_1e21.error


def test_a_curve_that_is_nearly_linear_has_the_textbook_interval():
    rng = np.random.default_rng(1)
    C = np.geomspace(1e18, 1e21, 40)
    found = fit_curve(C, 1.5 + 70 / C**0.085 + rng.normal(0, 1e-6, C.size))
    (made,) = forecast(found, [3e21], level=0.9)
    k, x = found.surface, np.append(C, 3e21)
    slopes = np.stack([np.ones_like(x), x ** -k["alpha"], -k["A"] * x ** -k["alpha"] * np.log(x)], axis=1)
    scaled = slopes / np.abs(slopes).max(axis=0)
    leverage = float(scaled[-1] @ np.linalg.solve(scaled[:-1].T @ scaled[:-1], scaled[-1]))
    from scipy.special import stdtrit

    half = np.sqrt(found.rss / 37 * (1 + leverage)) * stdtrit(37, 0.95)
    assert (made.prediction[1] - made.prediction[0]) / 2 == pytest.approx(half, rel=1e-3)


def test_the_ends_are_where_a_refit_objects(fit):
    (made,) = forecast(fit, points=[(2e9, 8e10)])
    runs = fit.runs
    from scipy.special import stdtrit

    s2 = fit.rss / (len(runs) - 5)
    for end in made.prediction:
        more = lawful.Runs.from_arrays(np.append(runs.N, 2e9), np.append(runs.D, 8e10), np.append(runs.L, end))
        rise = lawful.fit(more, method="vpnls").rss - fit.rss
        assert rise == pytest.approx(s2 * stdtrit(len(runs) - 5, 0.95) ** 2, rel=1e-5)


@pytest.mark.slow
def test_nine_in_ten_new_runs_fall_inside():
    truth = study_surface("symmetric")
    plan, where = plan_isoflop([1e18, 1e19, 1e20], 5, surface=truth), truth.optimum(1e22)
    rng, hits = np.random.default_rng(5), 0
    for _ in range(200):
        found = lawful.fit(simulate(truth, plan, noise=0.01, seed=rng))
        (made,) = forecast(found, points=[(float(where.params), float(where.tokens))])
        low, high = made.prediction
        hits += low < float(where.loss) + rng.normal(0, 0.01) < high
    assert 0.84 < hits / 200 < 0.96


def test_other_objectives_have_an_interval_too():
    truth = study_surface("chinchilla")
    runs = simulate(truth, plan_isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.004, seed=3)
    (made,) = forecast(lawful.fit(runs, method=lawful.Joint()), [1e21])
    low, high = made.prediction
    assert low < made.loss < high


def test_a_score_punishes_what_falls_outside():
    made = Forecast(1e21, 1e9, 1.67e11, 2.60, (2.58, 2.62), 0.01, 0.9)
    assert score(made, 2.61).interval_score == pytest.approx(0.04)
    out = score(made, 2.64)
    assert not out.inside
    assert out.interval_score == pytest.approx(0.04 + 20 * 0.02)
    assert out.z == pytest.approx(4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda f: forecast(lawful.fit_isoflop(f.runs), [1e22]),
            IdentificationError,
            r"curve .* 3 budgets leave nothing to tell the noise from its 3 coefficients; add budgets \(at least 4\)",
        ),
        (
            lambda f: forecast(lawful.fit_envelope(f.runs), points=[(1e9, 2e10)]),
            UnsupportedError,
            "approach1 fits no surface, so it forecasts compute-optimal runs only",
        ),
        (forecast, UnsupportedError, "Nothing to forecast"),
        (lambda f: forecast(f, [-1.0]), UnsupportedError, "A budget is a positive number"),
        (lambda f: forecast(f, points=[(0.0, 1.0)]), UnsupportedError, "positive numbers of parameters and tokens"),
        (lambda f: forecast(f, [1e22], level=1.0), UnsupportedError, "level of an interval lies between 0 and 1"),
        (
            lambda _: forecast(fit_curve([1e18, 1e19, 1e20], [3.5, 3.2, 3.0]), [1e22]),
            IdentificationError,
            "3 runs leave",
        ),
        (lambda _: fit_curve([1e18], [3.0, 2.0]), UnsupportedError, "two lists of positive numbers of equal length"),
        (lambda f: score(forecast(f, [1e22])[0], -1.0), UnsupportedError, "A measured loss is a positive number"),
    ],
)
def test_what_cannot_be_forecast_is_refused(fit, call, error, message):
    with pytest.raises(error, match=message):
        call(fit)


def test_an_entry_holds_its_maker_to_it(fit, tmp_path):
    entry = entry_of(fit, forecast(fit, [1e22]), now=NOW)
    assert entry["made"] == "2026-01-02T03:04:05+00:00"
    assert entry["data"]["sha256"] == fit.runs.sha256
    assert entry["settings"]["objective"] == "squared"
    ledger = tmp_path / "ledger.jsonl"
    append_entry(ledger, entry)
    append_entry(ledger, entry_of(fit, forecast(fit, [1e23]), now=NOW))
    assert read_ledger(ledger)[0] == entry
    assert len(read_ledger(ledger)) == 2
    altered = json.loads(ledger.read_text().splitlines()[0])
    altered["forecasts"][0]["loss"] -= 0.01
    ledger.write_text(json.dumps(altered) + "\n")
    with pytest.raises(InputError, match="was altered after it was made; its seal is broken"):
        read_ledger(ledger)


def test_a_run_that_exists_is_no_forecast(fit):
    point = [(float(fit.runs.N[0]), float(fit.runs.D[0]))]
    with pytest.raises(UnsupportedError, match="is among the fitted ones; a forecast is of runs that do not exist yet"):
        entry_of(fit, forecast(fit, points=point))


def test_scores_find_their_runs(fit):
    entry = entry_of(fit, forecast(fit, [1e22], points=[(5e9, 1e12)]), now=NOW)
    (optimal, _) = forecast(fit, [1e22], points=[(5e9, 1e12)])
    came = Plan([optimal.params * 1.02] * 2, [optimal.tokens] * 2, [1e22] * 2)
    runs = simulate(study_surface("chinchilla"), came, noise=0.004)
    rows = score_ledger([entry], runs)
    assert rows[0][2].measured == runs.L.min()
    assert rows[1][2] is None
    document = score_document(rows, runs)
    assert (document["scored"], document["pending"]) == (1, 1)
    assert document["forecasts"][0]["run"]["row"] == 1 + int(runs.L.argmin())
    assert document["forecasts"][1]["run"] is None


def test_a_budgets_optimum_is_scored_by_the_best_run_of_that_budget(fit):
    (made,) = forecast(fit, [1e22])
    entry = entry_of(fit, [made], now=NOW)
    N = made.params * np.array([0.4, 1.0, 2.5, 2.5, 1.0])
    C = 1e22 * np.array([0.99, 0.99, 1.01, 1.04, 1.25])  # the last two are runs of another budget
    runs = lawful.Runs.from_arrays(N, C / 6 / N, [2.20, 2.19, 2.18, 2.10, 2.00])
    (row,) = score_ledger([entry], runs)
    assert (row.run, row.found.measured) == (2, 2.18)
    assert score_ledger([entry], runs.take(np.array([3, 4])))[0].found is None


def test_a_run_of_given_sizes_is_scored_by_the_nearest(fit):
    entry = entry_of(fit, forecast(fit, points=[(5e9, 1e12)]), now=NOW)
    runs = lawful.Runs.from_arrays([5.2e9, 5.01e9, 5.01e9, 5e9], [1e12, 1e12, 1e12, 1.2e12], [2.0, 2.2, 2.1, 1.9])
    (row,) = score_ledger([entry], runs)
    assert (row.run, row.found.measured) == (2, 2.1)  # of two seeds the better one; 2.0 is farther away


def test_a_ledger_written_before_optima_were_marked_is_read_as_then(fit):
    entry = entry_of(fit, forecast(fit, [1e22]), now=NOW)
    del entry["forecasts"][0]["optimal"], entry["frontier"]
    made = forecast(fit, [1e22])[0]
    far = lawful.Runs.from_arrays([made.params * 1.5], [made.tokens / 1.5], [2.2])
    near = lawful.Runs.from_arrays([made.params * 1.02], [made.tokens], [2.2])
    assert score_ledger([entry], far)[0].found is None
    assert score_ledger([entry], near)[0].found.measured == 2.2
    assert "of 1 inside their intervals; 0 pending" in text(score_sheet(score_ledger([entry], near), near))


FIVE = 10 ** np.linspace(18, 20, 5)


@pytest.fixture(scope="module")
def sweep():
    truth = study_surface("chinchilla")
    return simulate(truth, plan_isoflop(FIVE, 7, surface=truth, width=4), noise=0.003, seed=7)


def by_scipy(budgets, losses):
    """E + k C^-g through points, k referred to the middle budget."""
    from scipy.optimize import curve_fit

    middle = np.exp(np.log(budgets).mean())
    found, _ = curve_fit(
        lambda c, e, k, g: e + k * (c / middle) ** -g, budgets, losses, (1.7, 1.0, 0.15), xtol=1e-14, ftol=1e-14
    )
    return lambda c: found[0] + found[1] * (c / middle) ** -found[2]


def test_approach2_forecasts_by_a_curve_through_the_minima(sweep):
    found = lawful.fit_isoflop(sweep)
    minima, sizes = [], []
    for g in range(5):
        here = sweep.group == g
        c2, c1, c0 = np.polyfit(np.log10(sweep.N[here]), sweep.L[here], 2)
        minima.append(c0 - c1**2 / (4 * c2))
        sizes.append(-c1 / (2 * c2))
    assert optimum_losses(found) == pytest.approx(minima, rel=1e-9)
    (made,) = forecast(found, [3e20])
    assert made.loss == pytest.approx(by_scipy(FIVE, np.array(minima))(3e20), rel=1e-6)
    slope, level = np.polyfit(np.log10(FIVE), sizes, 1)
    assert np.log10(made.params) == pytest.approx(level + slope * np.log10(3e20), rel=1e-9)
    assert (made.budget, made.optimal) == (3e20, True)


def test_approach1_forecasts_by_a_curve_through_the_best_runs(sweep):
    found = lawful.fit_envelope(sweep)
    best = [sweep.L[sweep.group == g].min() for g in range(5)]
    assert optimum_losses(found).tolist() == best
    (made,) = forecast(found, [3e20])
    assert made.loss == pytest.approx(by_scipy(FIVE, np.array(best))(3e20), rel=1e-6)
    assert made.tokens == pytest.approx(float(found.frontier.tokens(3e20)), rel=1e-12)


def test_budgets_off_the_envelope_are_no_points_of_the_curve(sweep):
    worse = lawful.Runs.from_arrays(
        sweep.N, sweep.D, np.where(sweep.group == 2, sweep.L + 0.5, sweep.L), groups=(sweep.group, sweep.budgets)
    )
    found = lawful.fit_envelope(worse)
    assert optimum_losses(found).tolist() == [sweep.L[sweep.group == g].min() for g in (0, 1, 3, 4)]
    assert forecast(found, [3e20])[0].error > 0


def test_the_ends_of_a_frontiers_forecast_are_where_a_refit_of_the_curve_objects(sweep):
    from scipy.special import stdtrit

    found = lawful.fit_isoflop(sweep)
    (made,) = forecast(found, [3e20])
    curve, losses = optimum_curve(found), optimum_losses(found)
    for end in made.prediction:
        rise = fit_curve(np.append(FIVE, 3e20), np.append(losses, end)).rss - curve.rss
        assert rise == pytest.approx(curve.rss / 2 * stdtrit(2, 0.95) ** 2, rel=1e-4)


def test_a_corrected_frontier_forecasts_too(sweep):
    found = correct_isoflop(lawful.fit_isoflop(sweep), 0.34, 0.28)
    (made,) = forecast(found, [3e20])
    assert made.params == pytest.approx(float(found.frontier.params(3e20)), rel=1e-12)
    assert made.loss == pytest.approx(forecast(lawful.fit_isoflop(sweep), [3e20])[0].loss, abs=2e-3)


def test_a_parabola_without_a_minimum_is_named(sweep):
    found = lawful.fit_isoflop(sweep)
    bent = replace(found.parabolas[3], in_params=-found.parabolas[3].in_params)
    with pytest.raises(IdentificationError, match=r"parabola at budget 3.16228e19 opens downward, so it has no min"):
        forecast(replace(found, parabolas=(*found.parabolas[:3], bent, found.parabolas[4])), [3e20])


def test_a_curve_is_scored_by_compute():
    found = fit_curve(*MARIN)
    entry = entry_of(found, forecast(found, [1e21]), now=NOW)
    runs = lawful.Runs.from_arrays([3e9], [1e21 / 6 / 3e9], [2.599])
    assert score_ledger([entry], runs)[0][2].inside


def test_bad_ledgers_say_so(tmp_path, fit):
    with pytest.raises(InputError, match="Cannot read the ledger"):
        read_ledger(tmp_path / "none.jsonl")
    bad = tmp_path / "bad.jsonl"
    bad.write_text("params,loss\n1,2\n")
    with pytest.raises(InputError, match=r"Line 1 of .* is no forecast"):
        append_entry(bad, entry_of(fit, forecast(fit, [1e22])))
    with pytest.raises(OutputError, match="choose another file"):
        append_entry(tmp_path / "no" / "ledger.jsonl", entry_of(fit, forecast(fit, [1e22])))


def test_the_command_forecasts_and_scores(tmp_path, capsys, fit):
    path, ledger = fit.save(tmp_path / "fit.json"), tmp_path / "ledger.jsonl"
    assert main(["forecast", str(path), "--budget", "1e22", "--ledger", str(ledger), "--json"]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert entry["schema"] == "lawful.forecast/1"
    assert read_ledger(ledger) == [entry]
    assert main(["forecast", str(path), "--params", "5e9", "--tokens", "1e12", "--ledger", str(ledger)]) == 0
    assert "prediction" in capsys.readouterr().out
    best = study_surface("chinchilla").optimum(1e22)
    one = entry["forecasts"][0]
    result = tmp_path / "new.csv"
    result.write_text(f"params,tokens,loss\n{one['params']},{one['tokens']},{float(best.loss)}\n")
    assert main(["forecast", "--score", str(ledger), str(result), "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    assert (scored["schema"], scored["scored"], scored["pending"]) == ("lawful.forecast-score/1", 1, 1)
    assert main(["forecast", "--score", str(ledger), str(result)]) == 0
    assert "1 of 1 inside their intervals; 1 pending." in capsys.readouterr().out


METHODS = ("approach1", "approach2", "approach3", "vpnls")


@pytest.mark.slow
def test_the_command_forecasts_and_scores_by_every_method(tmp_path, capsys, sweep):
    runs, ledger = tmp_path / "runs.csv", tmp_path / "ledger.jsonl"
    rows = zip(*(v.tolist() for v in (sweep.N, sweep.D, sweep.L)), strict=True)
    runs.write_text("params,tokens,loss\n" + "\n".join(",".join(map(repr, row)) for row in rows) + "\n")
    for method in METHODS:
        out = tmp_path / method
        assert main(["fit", str(runs), "--method", method, "--intervals", "none", "--out", str(out)]) == 0
        assert main(["forecast", str(out / "fit.json"), "--budget", "3e20", "--ledger", str(ledger)]) == 0
        said = capsys.readouterr().out
        assert f"by the frontier of {method}" in said or f"law by {method}" in said
    entries = read_ledger(ledger)
    assert tuple(entry["method"] for entry in entries) == METHODS
    assert [entry["law"] for entry in entries] == ["compute", "compute", "chinchilla", "chinchilla"]
    found = lawful.load(tmp_path / "approach2" / "fit.json").fit
    assert entries[1]["forecasts"][0]["loss"] == forecast(found, [3e20])[0].loss
    assert entries[1]["frontier"] == found.frontier.to_dict()
    truth = study_surface("chinchilla")
    new = plan_isoflop([3e20], 3, surface=truth, width=2)
    lines = zip(new.N.tolist(), (0.99 * new.D).tolist(), truth.loss(new.N, new.D).tolist(), strict=True)
    target = tmp_path / "new.csv"
    target.write_text("params,tokens,loss\n" + "\n".join(",".join(map(repr, line)) for line in lines) + "\n")
    assert main(["forecast", "--score", str(ledger), str(target), "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    assert scored["scored"] == 4
    assert {one["run"]["row"] for one in scored["forecasts"]} == {2}
    assert main(["forecast", "--score", str(ledger), str(target)]) == 0
    said = capsys.readouterr().out
    assert "best run within 3% of the budget" in " ".join(said.split())
    assert "Row 2: N 1.06B" in said
    fit_file = str(tmp_path / "approach2" / "fit.json")
    assert main(["forecast", fit_file, "--params", "1e9", "--tokens", "2e10", "--ledger", str(ledger)]) == 2
    assert "approach2 fits no surface" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--params", "1e9"], "give --params and --tokens together"),
        (["--score", "ledger.jsonl", "--budget", "1e22"], "leave --budget, --params and --tokens out"),
        (["--budget", "1e22", "--level", "2"], "--level must lie between 0 and 1"),
    ],
)
def test_the_command_refuses(tmp_path, capsys, fit, options, message):
    path = fit.save(tmp_path / "fit.json")
    assert main(["forecast", str(path), *options]) == 2
    assert message in capsys.readouterr().err
