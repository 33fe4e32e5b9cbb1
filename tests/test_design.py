"""Planned sweeps: information against simulation, the gain over the grid, wrong priors, real models, the command."""

from __future__ import annotations

import csv
import dataclasses
import json

import numpy as np
import pytest

import lawful
from lawful.cli import main
from lawful.cli.plan import parse_budget_range
from lawful.data.runs import Runs
from lawful.design.design import Sweep, plan
from lawful.design.exchange import Limits, improve
from lawful.design.information import Centre, anchored, around, decision_slope, information, sensitivities, variance
from lawful.design.plan import plan_isoflop, simulate
from lawful.design.priced import TYPICAL_K, priced
from lawful.design.rehearsal import check_plan
from lawful.design.shapes import Shapes
from lawful.errors import IdentificationError, OutputError, UnsupportedError
from lawful.laws.laws import LAWS
from lawful.show.planned import plan_document, plan_rows, write_manifest
from lawful.uncertainty.delta import delta

FIVE = (1e17, 1e18, 1e19, 1e20, 1e21)
TOTAL = 15 * sum(FIVE)
ANY_RATIO = (1e-9, 1e12)  # the study surfaces have their optimum at up to 4e8 tokens per parameter
WANTED_GAIN = 1.3
ALLOWED_LOSS = 1.05
WRONG = [(i, j) for i in (0.7, 1.0, 1.3) for j in (0.7, 1.0, 1.3) if (i, j) != (1.0, 1.0)]


def planned_for(prior, **options):
    return plan(FIVE, target=1e24, prior=prior, total_flops=TOTAL, sweep=Sweep(tokens_per_param=ANY_RATIO, **options))


def plan_of(prior, budgets, total=1e21):
    return plan(budgets, target=1e24, prior=prior, total_flops=total)


def moved(surface, name, step):
    return lawful.Surface({**surface.coefficients, name: surface[name] + step})


def test_slopes_are_derivatives(surface):
    n, d, centre = np.array([2e8, 3e9]), np.array([5e9, 7e10]), Centre(20.0, 24.0)
    rows = sensitivities(surface, n, d, centre)
    for name, column, unit in (("E", 0, 1.0), ("alpha", 3, None), ("beta", 4, None)):
        step = 1e-6
        up, down = moved(surface, name, step), moved(surface, name, -step)
        if unit is None:  # the exponents move with A' and B' held
            term, log = ("A", centre.log_n) if name == "alpha" else ("B", centre.log_d)
            up = lawful.Surface({**up.coefficients, term: up[term] * np.exp(step * log)})
            down = lawful.Surface({**down.coefficients, term: down[term] * np.exp(-step * log)})
        by_hand = (up.loss(n, d) - down.loss(n, d)) / (2 * step)
        assert rows[:, column] == pytest.approx(by_hand, rel=1e-6)
        slope = (np.log(up.optimum(1e24).params) - np.log(down.optimum(1e24).params)) / (2 * step)
        assert decision_slope(surface, 1e24, "params", centre)[column] == pytest.approx(slope, rel=1e-5, abs=1e-6)
        in_loss = (up.optimum(1e24).loss - down.optimum(1e24).loss) / (2 * step)
        assert decision_slope(surface, 1e24, "loss", centre)[column] == pytest.approx(in_loss, rel=1e-5)


def test_the_variance_is_the_one_of_the_delta_method(chinchilla):
    grid = plan_isoflop(FIVE, 9, surface=chinchilla)
    centre = Centre(float(np.log(grid.N).mean()), float(np.log(grid.D).mean()))
    rows = sensitivities(chinchilla, grid.N, grid.D, centre)
    error = np.sqrt(variance(information(rows), decision_slope(chinchilla, 1e24, "params", centre)))
    runs = simulate(chinchilla, grid, noise=1e-5, seed=1)
    found = lawful.fit(runs)
    sigma = np.sqrt(found.rss / (len(runs) - 5))
    low, high = delta(found, noise="equal").interval("params", level=0.6826894921370859, budget=1e24)
    assert np.log(high / low) / 2 == pytest.approx(sigma * error, rel=0.05)


def test_the_variance_does_not_depend_on_the_centre(asymmetric):
    grid = plan_isoflop(FIVE, 9, surface=asymmetric)
    found = [
        variance(
            information(sensitivities(asymmetric, grid.N, grid.D, centre)),
            decision_slope(asymmetric, 1e24, "params", centre),
        )
        for centre in (Centre(15.0, 27.0), Centre(16.5, 29.0))
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_a_sweep_that_tells_nothing_has_no_finite_variance(chinchilla):
    rows = sensitivities(chinchilla, np.array([1e8, 2e8]), np.array([2e9, 1e9]), Centre(18.0, 21.0))
    assert variance(information(rows), decision_slope(chinchilla, 1e24, "params", Centre(18.0, 21.0))) > 1e12


def test_wrong_exponents_keep_the_losses_where_one_has_trained(chinchilla):
    wrong = anchored(chinchilla, 0.5, 0.2, 1e19)
    best = chinchilla.optimum(1e19)
    assert wrong.loss(best.params, best.tokens) == pytest.approx(float(best.loss), rel=1e-12)
    assert (wrong["alpha"], wrong["beta"]) == (0.5, 0.2)
    assert len(around(chinchilla, 0.2, 1e19)) == 9
    assert around(chinchilla, 0.2, 1e19)[4].coefficients == pytest.approx(chinchilla.coefficients)
    assert around(chinchilla, 0.0, 1e19) == (chinchilla,)


def test_a_planned_sweep_beats_the_grid_of_equal_cost(surface):
    found = planned_for(surface)
    assert found.cost <= TOTAL * (1 + 1e-9)
    assert len(found.plan) <= 75
    tried = check_plan(found, studies=1000, noise=0.01, seed=1)
    assert tried.gain >= WANTED_GAIN
    assert tried.error == pytest.approx(tried.predicted, rel=0.1)
    assert tried.grid_error == pytest.approx(tried.grid_predicted, rel=0.1)


@pytest.mark.parametrize(("name", "gain"), [("symmetric", 1.62), ("chinchilla", 1.62), ("asymmetric", 1.52)])
def test_the_gain_over_the_grid_is_the_one_that_0_1_0_had(name, gain):
    tried = check_plan(planned_for(lawful.Surface.named(name)), studies=1000, noise=0.01, seed=1)
    assert round(tried.gain, 2) == gain


@pytest.mark.parametrize("factors", [(1.3, 0.7), (0.7, 1.3), (1.3, 1.3)], ids=str)
def test_a_wrong_prior_costs_little(surface, factors):
    _wrong_prior(surface, factors, studies=1000)


@pytest.mark.slow
@pytest.mark.parametrize("factors", WRONG, ids=str)
def test_every_wrong_prior_costs_little(surface, factors):
    _wrong_prior(surface, factors, studies=1000)


def _wrong_prior(surface, factors, studies):
    """The plan of a prior with exponents off by 30%, against a grid centred on the truth."""
    prior = anchored(surface, surface["alpha"] * factors[0], surface["beta"] * factors[1], 1e19)
    found = planned_for(prior)
    grid = plan_isoflop(FIVE, 15, surface=surface)
    tried = check_plan(found, studies=studies, noise=0.01, seed=2, truth=surface, grid=grid)
    assert tried.error <= ALLOWED_LOSS * tried.grid_error


def test_limits_are_kept(chinchilla):
    rules = Sweep(reach=4, tokens_per_param=(5, 200), repeats=2, runs=40)
    found = plan([1e18, 1e19, 1e20], target=1e24, prior=chinchilla, total_flops=1e21, sweep=rules)
    ratio = found.plan.D / found.plan.N
    assert ratio.min() >= 5 * (1 - 1e-9)
    assert ratio.max() <= 200 * (1 + 1e-9)
    away = np.abs(np.log(found.plan.N / chinchilla.optimum(found.plan.C).params))
    assert away.max() <= np.log(4) * (1 + 1e-9)
    assert len(found.plan) <= 40
    assert np.unique(found.plan.N, return_counts=True)[1].max() <= rules.repeats
    assert all(np.unique(found.plan.N[np.isclose(found.plan.C, c)]).size >= 3 for c in found.plan.budgets)


def test_runs_that_are_done_count(chinchilla):
    done = simulate(chinchilla, plan_isoflop([1e18, 1e19], 9, surface=chinchilla), noise=0.01)
    options = {"target": 1e23, "prior": chinchilla, "total_flops": 2e21}
    alone = plan([1e19, 1e20], **options)
    more = plan([1e19, 1e20], given=done, **options)
    assert more.error < alone.error
    assert more.grid_error < alone.grid_error
    assert check_plan(more, studies=300, noise=0.005).error == pytest.approx(0.005 * more.error, rel=0.15)


def test_a_loss_is_another_decision(chinchilla):
    options = {"target": 1e24, "prior": chinchilla, "total_flops": TOTAL}
    for_loss = plan(FIVE, sweep=Sweep(decision="loss"), **options)
    for_params = plan(FIVE, sweep=Sweep(decision="params"), **options)
    assert for_loss.plan.N.tolist() != for_params.plan.N.tolist()
    tried = check_plan(for_loss, studies=400, noise=0.005)
    assert tried.error == pytest.approx(0.005 * for_loss.error, rel=0.15)


@pytest.mark.parametrize("multiple", [64, 128])
def test_models_can_be_built(multiple):
    rules = Sweep(shapes=Shapes(multiple=multiple))
    found = plan(
        [1e18, 1e19, 1e20], target=1e24, prior=lawful.Surface.named("besiroglu"), total_flops=3e21, sweep=rules
    )
    for row in plan_rows(found):
        d, layers = row["width"], row["layers"]
        assert d % multiple == 0
        ffn = multiple * int(np.ceil(8 * d / 3 / multiple))
        assert row["params"] == layers * (4 * d * d + 3 * d * ffn + 2 * d) + d + 32000 * d
        assert row["tokens"] == row["batch_tokens"] * row["steps"]
        assert np.log2(row["batch_tokens"] / 2048) % 1 == 0
        assert row["steps"] >= 4000
        assert 48 <= d / layers <= 128
        assert row["flops"] == pytest.approx(row["budget"], rel=0.01)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: plan_of(s, []), UnsupportedError, "needs distinct budgets"),
        (lambda s: plan_of(s, [1e18, 1e18]), UnsupportedError, "distinct budgets"),
        (lambda s: plan_of(s, [1e18, 1e20], 1e20), IdentificationError, r"Three sizes at every budget take 3.03e20"),
        (lambda s: plan([1e18], target=-1, prior=s, total_flops=1e20), UnsupportedError, "A budget is a positive"),
        (
            lambda s: plan([1e18], target=1e24, prior=s, total_flops=1e20, sweep=Sweep(tokens_per_param=(1e7, 1e8))),
            UnsupportedError,
            r"At 1e18 FLOPs no size has 1e7 to 1e8 tokens per parameter",
        ),
        (
            lambda s: plan([1e12], target=1e24, prior=s, total_flops=1e20, sweep=Sweep(shapes=Shapes())),
            UnsupportedError,
            "No model with widths in multiples of 64",
        ),
        (lambda _: Sweep(reach=1.0), UnsupportedError, "A sweep needs a reach above 1"),
        (lambda _: Sweep(decision="fame"), UnsupportedError, "A sweep is planned for params or loss, got 'fame'"),
        (lambda _: Shapes(multiple=100), UnsupportedError, "multiples of a multiple of 64"),
        (lambda _: Shapes(vocabulary=0), UnsupportedError, "Shapes need positive counts"),
        (lambda s: check_plan(planned_for(s), studies=1), UnsupportedError, "at least two studies"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_refused(chinchilla, call, error, message):
    with pytest.raises(error, match=message):
        call(chinchilla)


def test_another_law_is_no_prior():
    prior = lawful.Surface({"E": 1.0, "A": 50.0, "alpha": 0.1}, lawful.LAWS["compute"])
    with pytest.raises(UnsupportedError, match=r"A planned sweep rests on the form .*, and the compute law is L"):
        plan(FIVE, target=1e24, prior=prior, total_flops=TOTAL)


COMMAND = ["plan", "--budgets", "1e18:1e20:3", "--target", "1e24", "--total-flops", "3e21"]


def test_the_command_plans_and_writes_a_manifest(tmp_path, capsys):
    file = tmp_path / "runs.csv"
    assert main([*COMMAND, "--prior", "besiroglu", "--simulate", "50", "--out", str(file), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "lawful.plan/1"
    assert document["rehearsal"]["studies"] == 50
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert [float(r["params"]) for r in rows] == [r["params"] for r in document["runs"]]
    assert len({(r["budget"], r["params"], r["seed"]) for r in rows}) == len(rows)
    assert main([*COMMAND, "--prior", "besiroglu", "--simulate", "0"]) == 0
    assert "times as large" in capsys.readouterr().out


def test_the_command_plans_the_next_runs_of_a_fit(tmp_path, capsys, chinchilla):
    runs = simulate(chinchilla, plan_isoflop([1e18, 1e19], 9, surface=chinchilla), noise=0.002)
    lawful.fit(runs).save(tmp_path / "fit.json")
    rows = zip(*(v.tolist() for v in (runs.N, runs.D, runs.L)), strict=True)
    table = "\n".join(",".join(map(repr, row)) for row in rows)
    (tmp_path / "runs.csv").write_text(f"params,tokens,loss\n{table}\n")
    more = ["--prior", str(tmp_path / "fit.json"), "--given", str(tmp_path / "runs.csv"), "--simulate", "0", "--json"]
    assert main([*COMMAND, *more]) == 0
    assert json.loads(capsys.readouterr().out)["n_given"] == 18


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--prior", "kaplan"], "--prior takes a fit.json or one of hoffmann"),
        (["--prior", "besiroglu", "--sizes", "7"], "--sizes is for --layout grid"),
        (["--prior", "besiroglu", "--layout", "grid", "--reach", "4", "--spread", "0.1"], "no --reach or --spread"),
        (["--prior", "besiroglu", "--layout", "grid", "--simulate", "0"], "A grid has no --simulate, a design has"),
        (["--prior", "besiroglu", "--layout", "grid", "--sizes", "1"], "at least 2 sizes per budget"),
        (["--prior", "besiroglu", "--simulate", "1"], "--simulate takes 0 or at least 2 studies"),
        (["--prior", "besiroglu", "--tokens-per-param", "20"], "--tokens-per-param takes LOW:HIGH"),
        (["--prior", "besiroglu", "--simulate", "0", "--out", "runs.txt"], "A manifest is written as .csv or .json"),
    ],
)
def test_the_command_refuses(capsys, options, message):
    assert main([*COMMAND, *options]) == 2
    assert message in capsys.readouterr().err


def test_budget_ranges():
    assert parse_budget_range("1e18:1e21:4") == (1e18, 1e19, 1e20, 1e21)
    assert parse_budget_range("1e18:1e18:1") == (1e18,)
    for text in ("1e18:1e21", "1e18:1e21:0", "1e18:1e21:1", "1e18:1e18:3"):
        with pytest.raises(UnsupportedError, match="--trained takes LOW:HIGH:COUNT"):
            parse_budget_range(text)


def test_a_manifest_that_cannot_be_written_says_so(tmp_path, chinchilla):
    found = planned_for(chinchilla)
    (tmp_path / "no").write_text("a file, and no folder")
    with pytest.raises(OutputError, match="choose another"):
        write_manifest(found, tmp_path / "no" / "folder.json")
    path = write_manifest(found, tmp_path / "plan.json")
    assert json.loads(path.read_text()) == plan_document(found)


def test_a_design_needs_an_allowance(capsys):
    assert main(["plan", "--budgets", "1e18,1e19", "--target", "1e24", "--prior", "besiroglu"]) == 2
    assert "give --total-flops, or lay out the usual grid with --layout grid" in capsys.readouterr().err


def test_one_budget_that_pays_for_few_runs_is_refused_in_one_sentence(chinchilla):
    with pytest.raises(IdentificationError, match="3 runs at 1 budget do not determine the 5 coefficients of the law"):
        plan([1e20], target=1e20, prior=chinchilla, total_flops=3e20)


def test_runs_that_determine_nothing_are_exchanged_without_a_warning(chinchilla):
    N = np.geomspace(2e8, 5e9, 25)
    centre = Centre(float(np.log(N).mean()), float(np.log(1e20 / 6 / N).mean()))
    rows = sensitivities(chinchilla, N, 1e20 / 6 / N, centre)[None]
    slope = decision_slope(chinchilla, 1e20, "params", centre)[None]
    kept = np.zeros(25, dtype=np.intp)
    kept[[0, 12, 24]] = 1
    limits = Limits(np.full(25, 1e20), 9e20, 9, 3, kept)
    counts = improve(rows, slope, 1e-15 * np.eye(5)[None], kept, limits)
    assert counts.sum() <= 9
    assert (counts >= kept).all()


def test_one_budget_that_pays_for_enough_runs_is_planned(chinchilla):
    found = plan([1e20], target=1e20, prior=chinchilla, total_flops=7e20)
    assert 5 <= np.unique(found.plan.N).size <= len(found.plan) <= 7
    assert np.isfinite(found.error)


def test_a_few_runs_at_one_budget_are_planned_beside_those_that_are_done(chinchilla):
    done = simulate(chinchilla, plan_isoflop([1e18, 1e19], 7, surface=chinchilla), noise=0.01)
    found = plan([1e20], target=1e20, prior=chinchilla, total_flops=3e20, given=done)
    assert len(found.plan) == 3
    assert np.isfinite(found.error)


@pytest.mark.parametrize("name", ["symmetric", "chinchilla", "asymmetric", "besiroglu", "soda"])
def test_every_study_surface_plans_with_the_defaults_and_one_limit_binds_plan_and_grid(name):
    prior = lawful.Surface.named(name)
    found = lawful.plan([1e18, 1e19, 1e20], target=1e23, prior=prior, total_flops=1.5e21)
    low, high = found.sweep.tokens_per_param
    ratios = [made.D / made.N for made in (found.plan, found.grid)]
    best = prior.optimum(np.array([1e18, 1e20]))
    if (best.tokens / best.params > 4 * low).all():
        assert min(r.min() for r in ratios) >= low * (1 - 1e-9)
    if (best.tokens / best.params < high / 4).all():
        assert max(r.max() for r in ratios) <= high * (1 + 1e-9)
    assert found.gain > 1


def test_a_plan_that_is_no_better_than_the_grid_is_not_praised():
    prior = lawful.Surface.named("besiroglu")
    found = lawful.plan([1e18, 1e19, 1e20], target=1e23, prior=prior, total_flops=1.5e21)
    assert f"{found.gain:.3g} times as large" in str(found)
    worse = dataclasses.replace(found, grid_error=0.76 * found.error)
    assert "times as large" not in str(worse)
    assert "the usual grid's is no larger" in str(worse)


PRICED_GRID = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=lawful.Surface.named("besiroglu"))


@pytest.mark.parametrize("decision", ["params", "loss"])
def test_a_plan_is_priced_under_the_coupled_law_as_finite_differences_have_it(decision):
    prior = lawful.Surface.named("besiroglu")
    law = LAWS["skaling"]
    # Logs of A and B: their own sizes are a million apart.
    middle = np.array([prior["E"], np.log(prior["A"]), np.log(prior["B"]), prior["alpha"], prior["beta"], 1.0])

    def coefficients(theta):
        return dict(zip(law.names, [theta[0], *np.exp(theta[1:3]), *theta[3:]], strict=True))

    def answer(theta):
        best = lawful.Surface(coefficients(theta), law).optimum(1e23)
        return float(np.log(best.params) if decision == "params" else best.loss)

    def slopes(f):
        steps = 1e-5 * np.maximum(np.abs(middle), 0.1)
        return np.array([(f(middle + h) - f(middle - h)) / (2 * h.max()) for h in np.diag(steps)])

    rows = slopes(lambda theta: law.loss(coefficients(theta), PRICED_GRID.N, PRICED_GRID.D)).T
    slope = slopes(answer)
    scale = np.sqrt((rows**2).sum(axis=0))
    expected = np.linalg.norm(np.linalg.lstsq((rows / scale).T, slope / scale, rcond=None)[0])
    found = priced(prior, PRICED_GRID, 1e23)
    assert getattr(found, f"coupled_{decision}") == pytest.approx(expected, rel=1e-3)
    assert getattr(found, decision) <= expected * (1 + 1e-6)


def test_what_a_wrong_law_misses_is_what_a_cold_fit_misses(asymmetric):
    runs = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=asymmetric, width=4)
    found = priced(asymmetric, runs, 1e24)
    reducible = asymmetric.loss(runs.N, runs.D) - asymmetric["E"]
    middle = np.exp(np.log(reducible).mean())
    loss = asymmetric["E"] + middle * (reducible / middle) ** TYPICAL_K
    cold = lawful.fit(Runs.from_arrays(runs.N, runs.D, loss), method="vpnls").surface
    missed = np.log(cold.optimum(1e24).params / asymmetric.optimum(1e24).params)
    assert found.missed == pytest.approx(float(missed), rel=1e-3)
    choice = float(asymmetric.optimum(1e24).tokens) * np.exp(-found.missed)
    assert found.waste == pytest.approx(asymmetric.price(choice, 1e24).fraction, rel=0.2)


@pytest.mark.parametrize(
    "name", ["symmetric", "chinchilla", "asymmetric", "soda", "sparse-nmm", "hoffmann", "besiroglu"]
)
@pytest.mark.parametrize("decision", ["params", "loss"])
def test_the_trade_is_told_for_every_surface(name, decision):
    prior = lawful.Surface.named(name)
    found = plan([1e18, 1e19, 1e20], target=1e23, prior=prior, total_flops=1.5e21, sweep=Sweep(decision=decision))
    mine, grid = found.priced
    assert getattr(mine, decision) == pytest.approx(found.error, rel=1e-6)
    assert getattr(grid, decision) == pytest.approx(found.grid_error, rel=1e-6)
    assert found.gain > 1
    text = str(found)
    assert f"The plan is not made for {'the loss' if decision == 'params' else 'ln N*'} at the target" in text
    assert "If the terms are coupled" in text
    document = plan_document(found)["priced"]
    assert document["k"] == TYPICAL_K
    assert document["plan"]["coupled_params"] >= document["plan"]["params"]
