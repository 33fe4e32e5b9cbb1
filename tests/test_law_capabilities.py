"""What a law says of itself; and Chinchilla's form is treated alike under any names."""

from __future__ import annotations

import ast
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import lawful
from lawful.analysis.evidence import gather
from lawful.core.cost import Cost
from lawful.data.runs import Runs
from lawful.decide.constraints import Constraints, optimise
from lawful.errors import UnsupportedError
from lawful.laws.law import Law, sum_of_powers
from lawful.laws.laws import CHINCHILLA, LAWS
from lawful.laws.surface import Surface, deadweight_of, numeric_optimum
from lawful.show.files.artifact import load
from lawful.show.files.document import sealed
from lawful.show.report.reporting import write_report
from lawful.trust.diagnose import diagnose
from test_law_fits import TRUTHS

SOURCE = Path(lawful.__file__).parent

MINE = sum_of_powers("mine", ("N", "D"))
TURNED = sum_of_powers("turned", ("D", "N"))
NAMES = {
    "mine": {"E": "E", "A": "A_N", "B": "A_D", "alpha": "alpha_N", "beta": "alpha_D"},
    "turned": {"E": "E", "A": "A_N", "B": "A_D", "alpha": "alpha_N", "beta": "alpha_D"},
    "rosenfeld": {"E": "cinf", "A": "b_m", "B": "a_n", "alpha": "beta", "beta": "alpha"},
}
"""What laws of Chinchilla's form call its coefficients."""

FORMS = {"mine": MINE, "turned": TURNED, "rosenfeld": LAWS["rosenfeld"]}


@pytest.mark.parametrize("law", LAWS.values(), ids=list(LAWS))
def test_every_law_says_its_formula_and_what_each_coefficient_means(law: Law) -> None:
    left, right = law.formula.split(" = ", 1)
    assert left == f"L({', '.join(law.columns)})"
    # A coefficient that a fit holds by definition (Amari's exponent, E = 0) need not be written.
    words = set(re.findall(r"[A-Za-z_]\w*", right))
    written = {name for name in law.identifiable if name in words or name in ("RD", "RN")}
    assert written == set(law.identifiable)
    assert set(law.meanings) == set(law.names)
    assert all(meaning.text for meaning in law.meanings.values())
    exponents = [name for name in law.exponents if name not in law.positive]
    assert all("×" not in law.meanings[name].unit for name in exponents)


def test_a_law_of_ones_own_gets_a_formula_and_meanings() -> None:
    assert (
        sum_of_powers("moe", ("active", "D")).formula
        == "L(active, D) = E + A_active/active^alpha_active + A_D/D^alpha_D"
    )
    assert str(MINE.meanings["A_N"]) == "weight of the model size term (nats per token × parameters^alpha_N)"
    own = Law("own", ("E", "A"), ("s",), ("D",), form=lambda k, d: k["E"] + k["A"] / (d + k["s"]))
    assert own.formula == "L(D) = own(E, A, s)"


IN_CLOSED_FORM = [law for law in LAWS.values() if law.terms is not None]


@pytest.mark.parametrize("law", IN_CLOSED_FORM, ids=[law.name for law in IN_CLOSED_FORM])
def test_the_powers_that_a_law_names_decide_its_optimum(law: Law) -> None:
    """alpha A/N^alpha = beta B/D^beta at the numerical minimum along a budget line, for every law with terms."""
    best = numeric_optimum(law, TRUTHS[law.name], 1e21, Cost())
    k = law.terms(TRUTHS[law.name])
    in_n, in_d = (k[c] * x ** -k[e] * k[e] for c, e, x in (("A", "alpha", best.params), ("B", "beta", best.tokens)))
    assert in_n == pytest.approx(in_d, rel=1e-5)


def test_laws_of_chinchillas_form_are_known_by_it_and_not_by_name() -> None:
    assert {law.name for law in LAWS.values() if law.two_powers} == {"chinchilla", "rosenfeld"}
    assert MINE.two_powers
    assert TURNED.two_powers
    assert sum_of_powers("mine", ("N", "D")) == MINE
    assert pickle.loads(pickle.dumps(MINE)) == MINE


def test_no_module_asks_which_law_it_has() -> None:
    """No comparison with a law, or of a law's name with a word; no law as default of a function on numbers."""
    asked = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                sides = [ast.unparse(side) for side in (node.left, *node.comparators)]
                if any(re.search(r"\b(CHINCHILLA|SKALING|MUENNIGHOFF|law\.name)$", side) for side in sides):
                    asked.append(f"{path.name}: {ast.unparse(node)}")
            if isinstance(node, ast.FunctionDef) and path.name != "fit.py":
                defaults = [ast.unparse(d) for d in (*node.args.defaults, *(k for k in node.args.kw_defaults if k))]
                asked += [f"{path.name}: {node.name}({d})" for d in defaults if d in ("CHINCHILLA", "SKALING")]
    assert asked == []


def test_the_price_of_a_choice_is_that_of_the_law_that_was_fitted() -> None:
    """Brute force on the nested law: the budget whose own best loss is the loss reached, less the budget spent."""
    surface = Surface(TRUTHS["nested"], LAWS["nested"])
    budget, tokens = 1e22, 3 * float(surface.optimum(1e22).tokens)
    reached = float(surface.at_params(budget, budget / (6 * tokens)).loss)
    sizes = np.geomspace(1e6, 1e13, 200_001)

    def best_at(c: float) -> float:
        return float(np.min(surface.loss(sizes, c / (6 * sizes))))

    low, high = 0.1 * budget, budget
    for _ in range(60):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if best_at(middle) > reached else (low, middle)
    assert deadweight_of(surface.law, surface.coefficients, budget, tokens, Cost()) == pytest.approx(
        budget - high, rel=1e-4
    )


def test_the_interval_of_a_deadweight_holds_its_value_under_the_nested_law() -> None:
    """It was priced with Chinchilla's formula: 7.96e19 to 2.3e20 around 6.54e18."""
    truth = Surface(TRUTHS["nested"], LAWS["nested"])
    plan = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=truth, drift=2)
    runs = lawful.simulate(truth, plan, noise=0.002, seed=1)
    fitted = lawful.fit(runs, law="nested")
    found = lawful.deadweight(fitted, lawful.fit_isoflop(runs), 1e22, draws=400, sides="choice")
    low, high = found.interval
    assert low <= found.flops <= high
    by_hand = [fitted.surface.deadweight(1e22, float(lawful.fit_isoflop(runs).frontier.tokens(1e22)))]
    assert found.flops == pytest.approx(by_hand[0], rel=1e-12)


def renamed(k: dict[str, float], law: Law) -> dict[str, float]:
    return {NAMES[law.name][name]: value for name, value in k.items()}


@pytest.fixture(scope="module")
def runs() -> Runs:
    truth = lawful.Surface.named("asymmetric")
    plan = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=truth, drift=2)
    return lawful.simulate(truth, plan, noise=0.01, seed=2)


@pytest.fixture(scope="module", params=["vpnls", "approach3"])
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def plain(runs: Runs, method: str) -> lawful.Analysis:
    return lawful.analyse(runs, budgets=[1e23], method=method)


@pytest.fixture(scope="module", params=list(FORMS))
def same(request: pytest.FixtureRequest, runs: Runs, method: str) -> lawful.Analysis:
    return lawful.analyse(runs, budgets=[1e23], method=method, law=FORMS[request.param])


# Both go through the same arithmetic, but in another order of columns: rounding, amplified by the valley of the misfit.
SAME = 1e-6
ENDS = 2e-5


def test_fit_and_intervals_are_the_same_under_other_names(plain: lawful.Analysis, same: lawful.Analysis) -> None:
    law = same.fit.surface.law
    assert same.fit.surface.coefficients == pytest.approx(renamed(plain.fit.surface.coefficients, law), rel=SAME)
    assert same.intervals.kind == "profile"
    for ours, theirs in NAMES[law.name].items():
        assert same.interval(theirs) == pytest.approx(plain.interval(ours), rel=ENDS), ours
    for name in ("a", "b", "log10_a0", "log10_b0"):
        assert same.interval(name) == pytest.approx(plain.interval(name), rel=ENDS), name
    assert [note.code for note in same.notes] == [note.code for note in plain.notes]


def test_allocation_and_deadweight_are_the_same_under_other_names(
    plain: lawful.Analysis, same: lawful.Analysis
) -> None:
    one, other = plain.allocations[0], same.allocations[0]
    for name in ("params", "tokens", "loss", "tokens_per_param"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=SAME), name
    for name in ("params", "tokens", "loss"):
        assert other.interval[name] == pytest.approx(one.interval[name], rel=ENDS), name
    assert other.prediction["loss"] == pytest.approx(one.prediction["loss"], rel=ENDS)
    assert other.deadweight.flops == pytest.approx(one.deadweight.flops, rel=1e-4)
    assert other.deadweight.interval == pytest.approx(one.deadweight.interval, rel=1e-4)


def test_every_other_verb_gives_the_same_under_other_names(plain: lawful.Analysis, same: lawful.Analysis) -> None:
    one, other = plain.fit, same.fit
    law = other.surface.law
    a, b = (lawful.bias(fit).error("params", 1e23) for fit in (one, other))
    assert b == pytest.approx(a, rel=1e-4)
    a, b = (fit.forecast([1e22], points=[(1e9, 1e11)]) for fit in (one, other))
    for x, y in zip(a, b, strict=True):
        assert (y.loss, *y.prediction) == pytest.approx((x.loss, *x.prediction), rel=1e-6)
    a, b = (fit.dial(1e22, points=5) for fit in (one, other))
    np.testing.assert_allclose(b.table["params"], a.table["params"], rtol=1e-3)
    a, b = (fit.indifference(1e22) for fit in (one, other))
    assert b.params == pytest.approx(a.params, rel=1e-4)
    a, b = (fit.bootstrap(50) for fit in (one, other))
    np.testing.assert_allclose(b.params(1e22), a.params(1e22), rtol=1e-4)
    assert b.interval(NAMES[law.name]["alpha"]) == pytest.approx(a.interval("alpha"), rel=1e-4)
    a, b = (lawful.speedup(fit.surface, Surface.named("besiroglu"), [1e22])[0] for fit in (one, other))
    assert b.flops == pytest.approx(a.flops, rel=1e-5)
    a, b = (
        fit.coverage(repeats=20, draws=0).of("profile", n)
        for fit, n in ((one, "alpha"), (other, NAMES[law.name]["alpha"]))
    )
    assert b == pytest.approx(a, abs=0.06)
    a, b = (diagnose(fit) for fit in (one, other))
    assert [n.code for n in a] == [n.code for n in b]
    # Ten epochs; at thousands of epochs the loss of this surface is the same to rounding over several percent of N.
    few = Constraints(unique_tokens=float(one.surface.optimum(1e22).tokens) / 10)
    a, b = (optimise(fit, budget=1e22, constraints=few).params for fit in (one, other))
    assert b == pytest.approx(a, rel=1e-4)


def test_compare_takes_a_law_under_any_name(runs: Runs) -> None:
    ours = lawful.compare(runs, budgets=[1e23], draws=0)
    for law in FORMS.values():
        for one, other in zip(ours, lawful.compare(runs, law=law, budgets=[1e23], draws=0), strict=True):
            assert other.method == one.method
            assert other.allocations[0].params == pytest.approx(one.allocations[0].params, rel=SAME)
    coupled = lawful.compare(runs, law="skaling", methods=["vpnls", "approach3", "approach2"], draws=0)
    assert [type(one).__name__ for one in coupled] == ["Unavailable", "Analysis", "Analysis"]


def test_a_saved_fit_comes_back_with_its_law(plain: lawful.Analysis, same: lawful.Analysis, tmp_path: Path) -> None:
    again = load(same.save(tmp_path / "fit.json"))
    assert again.fit.surface == same.fit.surface
    assert again.fit.surface.law.formula == same.fit.surface.law.formula
    assert again.fit.rss == same.fit.rss
    name = NAMES[same.fit.surface.law.name]["beta"]
    assert again.interval(name) == pytest.approx(plain.interval("beta"), rel=ENDS)
    page = write_report(same, path=tmp_path / "report.html").read_text(encoding="utf-8")
    assert same.fit.surface.law.formula in page


def test_what_a_report_rests_on_is_there_under_other_names(same: lawful.Analysis) -> None:
    found = gather(same)
    kinds = {type(one).__name__ for one in (found.dial, found.region, found.bias)}
    assert kinds == {"AsymptoteDial", "Indifference", "Bias"}
    others = [one.fit.surface.law for one in found.outcomes if isinstance(getattr(one, "fit", None), lawful.Fit)]
    assert others == [same.fit.surface.law] * len(others)


def test_a_law_that_is_a_function_cannot_be_saved_and_says_so(tmp_path: Path) -> None:
    law = Law("own", ("E", "A"), ("s",), ("D",), form=lambda k, d: k["E"] + k["A"] / (d / 1e9 + k["s"]))
    d = np.geomspace(1e9, 1e11, 12)
    runs = Runs.from_arrays(d / 20, d, law.loss({"E": 1.0, "A": 3.0, "s": 0.5}, d))
    with pytest.raises(UnsupportedError, match=r"^The own law is a function of Python, which a file cannot hold"):
        lawful.fit(runs, law=law).save(tmp_path / "fit.json")


def test_rosenfelds_old_names_are_still_read(tmp_path: Path, runs: Runs) -> None:
    """Version 0.1.0 wrote a and b, which are the exponents of the frontier everywhere else."""
    found = lawful.analyse(runs, law="rosenfeld", draws=20, fixed={"a_n": 400.0})
    path = found.save(tmp_path / "fit.json")
    now = load(path)
    renamed = json.loads(path.read_text().replace('"a_n"', '"a"').replace('"b_m"', '"b"'))
    path.write_text(json.dumps(sealed(renamed)))
    old = load(path)
    assert old.fit.surface == now.fit.surface
    assert old.fit.fixed == {"a_n": 400.0}
    assert old.interval("b_m") == now.interval("b_m")


def test_the_exponents_of_the_frontier_are_no_names_of_coefficients() -> None:
    with pytest.raises(UnsupportedError, match=r"^a and b name the frontier .*; call these coefficients of the x law"):
        Law("x", ("E", "a", "b"), ("alpha", "beta"), ("N", "D"))
    assert Law("y", ("c", "a"), ("b",), ("D",)).names == ("c", "a", "b")


def test_a_law_of_another_form_is_refused_in_one_sentence() -> None:
    surface = Surface(TRUTHS["skaling"], LAWS["skaling"])
    with pytest.raises(UnsupportedError, match=r"^A speed-up rests on the form E \+ A/N\^alpha \+ B/D\^beta, and the"):
        lawful.speedup(surface, Surface.named("besiroglu"), [1e22])
    with pytest.raises(UnsupportedError, match=r"^The skaling law says nothing about repeated tokens"):
        optimise(surface, budget=1e22, constraints=Constraints(unique_tokens=1e9))


def test_a_coefficient_may_be_negative_where_its_law_says_so() -> None:
    bent = Law(
        "bent", ("E", "A"), ("s",), ("D",), form=lambda k, d: k["E"] + k["A"] / d + k["s"], box={"s": (-1.0, 1.0)}
    )
    assert bent.signed == ("s",)
    assert Surface({"E": 1.0, "A": 2.0, "s": -0.5}, bent)["s"] == -0.5
    with pytest.raises(UnsupportedError, match="not negative; got A=-2"):
        Surface({"E": 1.0, "A": -2.0, "s": 0.5}, bent)
    assert CHINCHILLA.signed == ()
