"""The doors and the names: runs in any form, one protocol for fits, and methods that are the verbs."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lawful
from lawful.analysis.analysis import Analysis
from lawful.analysis.compare import compare
from lawful.checks.check import check
from lawful.core.objective import Objective
from lawful.decide.allocate import allocate
from lawful.decide.constraints import optimise
from lawful.decide.deadweight import deadweight
from lawful.decide.indifference import indifference
from lawful.design.plan import plan_isoflop, study_surface
from lawful.errors import InputError, UnsupportedError
from lawful.estimate.result import METHODS, Fitted
from lawful.estimate.solvers import Joint, VarPro
from lawful.forecasting.forecast import forecast
from lawful.show.figures.figures import plot_isoflop
from lawful.show.files.artifact import save_fit
from lawful.sources.published import fetch_runs
from lawful.sources.read import read_groups, to_frame
from lawful.trust.coverage import coverage
from lawful.trust.dial import asymptote_dial
from lawful.trust.fitness import lack_of_fit
from lawful.uncertainty.bootstrap import bootstrap, extend
from lawful.uncertainty.intervals import intervals
from lawful.uncertainty.profile import profile

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLE = REPOSITORY / "examples" / "synthetic_sweep.csv"
TRUTH = lawful.Surface.named("chinchilla")


@pytest.fixture(scope="module")
def runs() -> lawful.Runs:
    plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=TRUTH)
    return lawful.simulate(TRUTH, plan, noise=0.005, seed=1)


@pytest.fixture(scope="module")
def fit(runs: lawful.Runs) -> lawful.Fit:
    return lawful.fit(runs)


def same(one: Any, other: Any) -> bool:
    """Whether two results are equal to the last digit."""
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, float):
        return one == other or (np.isnan(one) and np.isnan(other))
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(v, other[k]) for k, v in one.items())
    if isinstance(one, pd.DataFrame):
        return one.equals(other)
    if hasattr(one, "__dataclass_fields__"):
        shown = (name for name, field in one.__dataclass_fields__.items() if field.init)
        return type(one) is type(other) and all(same(getattr(one, n), getattr(other, n)) for n in shown)
    return bool(one == other)


# ---- runs in any form


class ArrowStream:
    """A table of a library that nobody knows, which speaks the Arrow stream protocol alone."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        import pyarrow as pa

        return pa.Table.from_pandas(self.frame).__arrow_c_stream__(requested_schema)


def arrow(frame: pd.DataFrame) -> Any:
    return pytest.importorskip("pyarrow").Table.from_pandas(frame)


def polars(frame: pd.DataFrame) -> Any:
    return pytest.importorskip("polars").read_csv(io.StringIO(frame.to_csv(index=False)))


def interchange(frame: pd.DataFrame) -> Any:
    table = arrow(frame)
    return SimpleNamespace(__dataframe__=table.__dataframe__)


FORMS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "path": lambda _: EXAMPLE,
    "path as text": lambda _: str(EXAMPLE),
    "runs": lambda _: lawful.read_runs(EXAMPLE),
    "pandas": lambda frame: frame,
    "polars": polars,
    "pyarrow": arrow,
    "record batch": lambda frame: arrow(frame).to_batches()[0],
    "arrow stream": lambda frame: pytest.importorskip("pyarrow") and ArrowStream(frame),
    "interchange": interchange,
    "records": lambda frame: frame.to_dict("records"),
    "dict of lists": lambda frame: frame.to_dict("list"),
    "dict of arrays": lambda frame: {name: frame[name].to_numpy() for name in frame},
    "structured array": lambda frame: frame.to_records(index=False),
}

VERBS: dict[str, Callable[[Any], Any]] = {
    "fit": lambda runs: lawful.fit(runs).surface.coefficients,
    "fit_isoflop": lambda runs: lawful.fit_isoflop(runs).frontier.to_dict(),
    "fit_envelope": lambda runs: lawful.fit_envelope(runs).frontier.to_dict(),
    "analyse": lambda runs: lawful.analyse(runs, intervals="none").fit.surface.coefficients,
    "compare": lambda runs: [a.fit.frontier.to_dict() for a in compare(runs, draws=0)],
    "check": lambda runs: lawful.check(runs).reason.tolist(),
    "bias": lambda runs: lawful.bias(runs).centre,
    "conventions": lambda runs: [(row.a, row.b) for row in lawful.conventions(runs).rows],
    "audit": lambda runs: [
        score.median_abs_rel_error
        for score in lawful.audit(runs, laws=["chinchilla"], methods=["vpnls"], last=1, draws=0).scores
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_runs_gives_the_same_fit(form: str) -> None:
    given = FORMS[form](pd.read_csv(EXAMPLE))
    expected = lawful.fit(lawful.read_runs(EXAMPLE))
    assert lawful.fit(given).surface.coefficients == expected.surface.coefficients
    assert lawful.read_runs(given).sha256 == expected.runs.sha256


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_runs_in_any_form(verb: str) -> None:
    expected = VERBS[verb](lawful.read_runs(EXAMPLE))
    for given in (EXAMPLE, pd.read_csv(EXAMPLE).to_dict("records")):
        assert same(VERBS[verb](given), expected), type(given)


def test_records_may_lack_what_a_run_does_not_need() -> None:
    records = [{"N": 1e8, "D": 2e9, "loss": 3.1, "seed": 1}, {"N": 2e8, "D": 1e9, "loss": 3.2}]
    assert np.array_equal(lawful.read_runs(records).labels["seed"], [1.0, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (7, "come from a file, a DataFrame, a dict of columns or a list of records, not from 'int'"),
        (np.ones((3, 3)), r"not from 'ndarray'; for arrays use Runs.from_arrays\(N, D, L\)"),
        ([[1e8, 2e9, 3.1]], "holds one record .* per run, not 'list'"),
        (([1e8], [2e9], [3.1]), r"use Runs.from_arrays\(N, D, L\) or a dict of columns"),
        ([], "The table has no columns"),
        ({"N": [], "D": [], "loss": []}, "The table has no rows"),
        ("nowhere.csv", "There is no file 'nowhere.csv'; check the path"),
        ("", "The path of the runs is empty"),
        (SimpleNamespace(collect=lambda: None), "This frame is lazy .* give lawful what its collect"),
        ({"N": [1e8, 2e8], "D": [2e9], "loss": [3.1, 3.2]}, "columns differ in length"),
    ],
)
def test_what_is_no_table_is_refused_in_one_sentence(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        lawful.fit(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"L": [3.1, -3.2]}, r"1 of 2 runs has NaN, infinity, zero or a negative .* column 'L', row 2 \(-3\.2\)"),
        ({"D": [0, 1e9]}, r"column 'D', row 1 \(0\)"),
        ({"N": [np.nan, 2e8]}, r"column 'N', row 1 \(nan\)"),
        ({"N": [1e8, np.inf], "L": [-1, 3.2]}, r"2 of 2 runs have .* column 'N', row 2 \(inf\); column 'L', row 1"),
        ({"L": [3.1]}, "one entry per run in every array, and at least one run; got 2 in N, 2 in D, 1 in L"),
        ({"N": [], "D": [], "L": []}, "at least one run; got 0 in N"),
        ({"N": 1e8, "D": 2e9, "L": 3.1}, "Column 'N' is not a flat list of values"),
        ({"N": np.ones((2, 1))}, "Column 'N' is not a flat list of values"),
        ({"D": ["2e9", "many"]}, r"Column 'D' must hold numbers, but 1 of 2 rows hold text: row 2 \('many'\)"),
        ({"C": [1e18, -1]}, r"column 'C', row 2 \(-1\)"),
        ({"C": [1e18]}, "2 in L, 1 in C"),
        ({"weight": [1, -1]}, r"Weights must be finite and not negative, but 1 of 2 .*: row 2 \(-1\)"),
        ({"weight": [0, 0]}, "All 2 weights in column 'weight' are zero"),
        ({"L": [3.1, 1e200]}, "The loss of 1 of 2 runs lie outside"),
    ],
)
def test_arrays_are_validated_as_the_door_does(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        lawful.Runs.from_arrays(**{"N": [1e8, 2e8], "D": [2e9, 1e9], "L": [3.1, 3.2]} | changed)
    assert "\n" not in str(caught.value)


def test_arrays_are_copied_and_the_copies_are_frozen() -> None:
    N = np.array([1e8, 2e8])
    runs = lawful.Runs.from_arrays(N, [2e9, 1e9], [3.1, 3.2])
    N[0] = 7.0
    assert runs.N[0] == 1e8
    with pytest.raises(ValueError, match="read-only"):
        runs.N[0] = 1.0


# ---- names where records are


def test_names_stand_for_records(runs: lawful.Runs) -> None:
    named = lawful.fit(runs, objective="huber", method="approach3")
    built = lawful.fit(runs, objective=Objective.huber(), method=Joint())
    assert (named.surface, named.objective, named.method) == (built.surface, built.objective, "approach3")
    assert lawful.fit(runs, law="chinchilla").surface == lawful.fit(runs, law=lawful.LAWS["chinchilla"]).surface
    analysis = lawful.analyse(runs, method="approach3", objective="log-squared", intervals="delta")
    assert (str(analysis.fit.objective), analysis.sure.kind) == ("log-squared", "delta")
    assert lawful.analyse(runs, method=VarPro(starts=2), intervals="none").fit.solver == VarPro(starts=2)


@pytest.mark.parametrize("method", METHODS)
def test_fit_takes_all_four_methods(runs: lawful.Runs, method: str) -> None:
    verb = {"approach1": lawful.fit_envelope, "approach2": lawful.fit_isoflop}.get(method)
    found = lawful.fit(runs, method=method)
    assert found.method == method
    if method in ("approach1", "approach2"):
        assert found.frontier == verb(runs).frontier


@pytest.mark.parametrize(
    ("options", "method"),
    [
        ({"objective": "squared"}, "vpnls"),
        ({"objective": "huber"}, "vpnls"),
        ({"objective": "log-huber"}, "approach3"),
        ({"law": "skaling"}, "approach3"),
    ],
)
def test_auto_takes_vpnls_wherever_it_can(runs: lawful.Runs, options: dict[str, str], method: str) -> None:
    assert lawful.fit(runs, **options).method == method


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": "approach4"},
            "Unknown method 'approach4'; choose one of auto, vpnls, approach1, approach2, appr",
        ),
        (
            {"objective": "absolute"},
            "Unknown objective 'absolute'; choose one of squared, huber, log-squared",
        ),
        ({"law": "gopher"}, "Unknown law 'gopher'; choose one of chinchilla,"),
        ({"method": "approach2", "objective": "huber", "fixed": {"E": 1.7}}, "so objective and fixed cannot apply"),
        ({"method": "vpnls", "objective": "log-huber"}, "vpnls cannot minimise the objective 'log-huber'"),
    ],
)
def test_names_that_make_no_sense_are_one_sentence(runs: lawful.Runs, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        lawful.fit(runs, **options)


@pytest.mark.parametrize("solver", [VarPro, Joint])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"starts": 0}, "starts must be a whole number of at least 1, got 0"),
        ({"starts": 1.5}, "starts must be a whole number of at least 1, got 1.5"),
        ({"max_iter": -1}, "max_iter must be a whole number of at least 0, got -1"),
        ({"tolerance": -1}, "tolerance must be a positive number, got -1"),
        ({"tolerance": float("nan")}, "tolerance must be a positive number, got nan"),
        ({"bounds": {"alpha": 0.3}}, "bounds are pairs of numbers by coefficient, .* alpha has 0.3"),
    ],
)
def test_option_records_check_themselves(solver: type[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        solver(**options)


@pytest.mark.parametrize("solver", [VarPro, Joint])
@pytest.mark.parametrize("objective", ["squared", "huber"])
def test_a_cold_fit_is_given_up_after_max_iter(runs: lawful.Runs, solver: type[Any], objective: str) -> None:
    whole = lawful.fit(runs, method=solver(), objective=objective)
    for most in (0, 1):
        stopped = lawful.fit(runs, method=solver(max_iter=most), objective=objective)
        assert (stopped.status.key, whole.status.key) == ("not_converged", "converged")
        assert stopped.value >= whole.value
        assert stopped.solver.max_iter == most  # what the report prints


# ---- one protocol


@pytest.mark.parametrize("method", METHODS)
def test_fits_answer_one_protocol(runs: lawful.Runs, method: str) -> None:
    found = lawful.fit(runs, method=method)
    assert isinstance(found, Fitted)
    best = found.optimum(1e21)
    assert found.cost.flops(best.params, best.tokens) == pytest.approx(1e21, rel=0.1)
    assert float(best.params) == pytest.approx(float(found.frontier.params(1e21)), rel=1e-12)
    if found.surface is None:
        assert (best.loss, found.objective, dict(found.coefficients), dict(found.fixed)) == (None, None, {}, {})
        with pytest.raises(UnsupportedError, match=f"{method} has no surface to predict a loss; fit with vpnls"):
            found.predict(1e9, 2e10)
    else:
        assert best.loss == found.surface.loss(best.params, best.tokens)
        assert found.coefficients == found.surface.coefficients
        assert found.predict(1e9, 2e10) == found.surface.loss(1e9, 2e10)


NEED_A_SURFACE: dict[str, Callable[[Any], Any]] = {
    "to be indifferent on": lambda found: indifference(found, 1e21),
    "to place a model on": lambda found: optimise(found, budget=1e21),
    "to plan from": lambda found: lawful.plan([1e17, 1e18, 1e19], target=1e22, prior=found, total_flops=1e21),
    "to price a choice on": lambda found: lawful.deadweight(found, 1e10, 1e21),
    "to hold Approach 2 against": lawful.bias,
}


@pytest.mark.parametrize("what", NEED_A_SURFACE)
def test_a_verb_that_needs_a_surface_says_so_of_a_frontier_alone(runs: lawful.Runs, what: str) -> None:
    found = lawful.fit_isoflop(runs)
    with pytest.raises(UnsupportedError, match=f"approach2 has no surface {what}; fit with vpnls or approach3"):
        NEED_A_SURFACE[what](found)
    assert NEED_A_SURFACE[what](lawful.fit(runs)) is not None


def test_a_choice_by_a_law_of_no_frontier_is_its_optimum(runs: lawful.Runs) -> None:
    """The law's N* and D* come from the budget line, not from power laws that it does not have."""
    other = lawful.fit(runs, law="pearce-song")
    assert np.isnan(float(other.frontier.tokens(1e22)))
    lost = lawful.deadweight(lawful.fit(runs), other, 1e22)
    assert lost.tokens == float(other.optimum(1e22).tokens)


# ---- methods are the verbs


FIT_METHODS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "allocate": (lambda f: f.allocate(1e21, params=1e9), lambda f: allocate(f, 1e21, params=1e9)),
    "intervals": (lambda f: f.intervals("delta").of("alpha"), lambda f: intervals(f, "delta").of("alpha")),
    "profile": (lambda f: f.profile("alpha", points=5), lambda f: profile(f, "alpha", points=5)),
    "bootstrap": (
        lambda f: f.bootstrap(20, seed=3, scheme="rows").frontier,
        lambda f: bootstrap(f, 20, seed=3, scheme="rows").frontier,
    ),
    "extend": (lambda f: f.bootstrap(20).extend(5).frontier, lambda f: extend(bootstrap(f, 20), 5).frontier),
    "forecast": (lambda f: f.forecast([1e21], level=0.8), lambda f: forecast(f, [1e21], level=0.8)),
    "lack_of_fit": (lambda f: f.lack_of_fit(seed=2), lambda f: lack_of_fit(f, seed=2)),
    "dial": (lambda f: f.dial(1e21, points=5).table, lambda f: asymptote_dial(f, 1e21, points=5).table),
    "indifference": (lambda f: f.indifference(1e21, 0.01), lambda f: indifference(f, 1e21, 0.01)),
    "coverage": (
        lambda f: f.coverage(10, draws=0, seed=4).sheets(),
        lambda f: coverage(f, 10, draws=0, seed=4).sheets(),
    ),
    "summary": (lambda f: f.summary(), str),
    "surface.allocate": (lambda f: f.surface.allocate(1e21), lambda f: allocate(f.surface, 1e21)),
    "surface.price": (lambda f: f.surface.price(3e10, 1e21), lambda f: deadweight(f.surface, 3e10, 1e21)),
    "surface.indifference": (
        lambda f: f.surface.indifference(1e21, 0.01),
        lambda f: indifference(f.surface, 1e21, 0.01),
    ),
    "runs.check": (lambda f: f.runs.check().reason, lambda f: check(f.runs).reason),
    "runs.to_frame": (lambda f: f.runs.to_frame(), lambda f: to_frame(f.runs)),
    "plan.isoflop": (
        lambda _: lawful.Plan.isoflop([1e18, 1e19], 5, surface=TRUTH, drift=2),
        lambda _: plan_isoflop([1e18, 1e19], 5, surface=TRUTH, drift=2),
    ),
    "surface.named": (lambda _: lawful.Surface.named("asymmetric"), lambda _: study_surface("asymmetric")),
    "runs.fetch": (lambda _: lawful.Runs.fetch("tinysweep").sha256, lambda _: fetch_runs("tinysweep").sha256),
}


@pytest.mark.parametrize("name", FIT_METHODS)
def test_a_method_is_its_verb(fit: lawful.Fit, name: str) -> None:
    method, verb = FIT_METHODS[name]
    assert same(method(fit), verb(fit))


def test_groups_of_runs_are_those_of_the_reader() -> None:
    plan = lawful.Plan.isoflop([1e18, 3e18], 5, surface=TRUTH)
    sweep = np.repeat(["web", "books"], 5)
    for columns in ({"N": plan.N, "D": plan.D}, {"N": plan.N, "flops": plan.C}):
        table = {**columns, "loss": TRUTH.loss(plan.N, plan.D), "sweep": sweep, "w": np.arange(10.0)}
        expected = read_groups(table, by="sweep", weights="w")
        found = lawful.read_runs(table, weights="w").groups("sweep")
        assert list(found) == ["web", "books"]
        assert all(found[name].sha256 == expected[name].sha256 for name in expected)
        assert all(found[name].selection == expected[name].selection for name in expected)
    arrays = lawful.Runs.from_arrays(plan.N, plan.D, TRUTH.loss(plan.N, plan.D), labels={"sweep": sweep})
    assert {name: len(group) for name, group in arrays.groups("sweep").items()} == {"web": 5, "books": 5}
    with pytest.raises(InputError, match="has no column 'corpus'"):
        arrays.groups("corpus")


def test_what_is_saved_is_loaded(fit: lawful.Fit, tmp_path: Path) -> None:
    kept = lawful.load(fit.save(tmp_path / "fit.json"))
    assert isinstance(kept, Analysis)
    assert kept.fit.surface == fit.surface
    analysis = lawful.analyse(fit.runs, budgets=[1e21], draws=20)
    again = lawful.load(analysis.save(tmp_path / "analysis.json"))
    assert same(again.draws.frontier, dict(analysis.draws.frontier))
    assert again.allocate(1e21).interval == analysis.allocations[0].interval
    verb = save_fit(analysis, tmp_path / "verb.json").read_text()
    created = re.compile(r'"(?:created|seal)": "[^"]*"')  # the seal covers the time as well
    assert created.sub("", verb) == created.sub("", (tmp_path / "analysis.json").read_text())


def test_figures_and_the_report_are_methods(fit: lawful.Fit, tmp_path: Path) -> None:
    import matplotlib.pyplot as plt

    analysis = lawful.analyse(fit.runs, budgets=[1e21])
    for plots in (fit.plot, analysis.plot):
        drawn = [plots.isoflop(), plots.frontier(), plots.residuals()]
        drawn += [plots.indifference(1e21), plots.dial(1e21), plots.profile("alpha", points=5)]
        assert all(axes.has_data() for axes in drawn)
    axes = plot_isoflop(analysis)
    assert [line.get_xydata().tolist() for line in analysis.plot.isoflop().lines] == [
        line.get_xydata().tolist() for line in axes.lines
    ]
    plt.close("all")
    assert analysis.report(tmp_path / "report.html").stat().st_size > 100_000


def test_a_detour_of_an_analysis_is_priced(fit: lawful.Fit) -> None:
    small = Analysis.of(fit).allocate(1e21, params=1e9)
    assert small.deadweight.flops == float(fit.surface.deadweight(1e21, small.tokens))


# ---- names


def test_there_are_about_forty_names() -> None:
    assert 40 <= len(lawful.__all__) <= 48
    assert set(lawful.__all__).isdisjoint(lawful._MOVED)


@pytest.mark.parametrize("name", lawful._MOVED)
def test_a_name_of_the_first_version_says_where_it_went(name: str) -> None:
    home, now = lawful._MOVED[name]
    with pytest.warns(DeprecationWarning, match=re.escape(f"lawful.{name} is gone from the top level; write {now}.")):
        value = getattr(lawful, name)
    module, _, renamed = home.partition(":")
    assert value is getattr(import_module(module), renamed or name)


def test_the_changelog_has_every_name_old_and_new() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    renamed = text.partition("### Renamed")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `lawful\.(\w+)` \| `(.+)` \|$", renamed, re.MULTILINE))
    assert {name: rows.get(name) for name in lawful._MOVED} == {name: now for name, (_, now) in lawful._MOVED.items()}


def test_a_record_is_replaced_not_changed(fit: lawful.Fit) -> None:
    with pytest.raises(AttributeError, match="cannot assign to field"):
        fit.method = "other"  # type: ignore[misc]
    assert replace(fit, method="other").method == "other"
