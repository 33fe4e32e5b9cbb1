"""
Every law of the catalogue through every verb: for each cell it works, checked against something, or one sentence.

The runs have 0.3% of noise on a grid of sizes, tokens and epochs. A law that is read off one table is
then fitted, given intervals, allocated with, priced, asked to predict, written and read back.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lawful
from lawful.core.cost import Cost
from lawful.data.runs import Runs
from lawful.errors import LawfulError
from lawful.laws.law import Law
from lawful.laws.laws import LAWS
from lawful.show.files.artifact import load
from lawful.show.files.document import predict_document
from lawful.uncertainty.delta import delta
from test_law_fits import TRUTHS

NOISE = 0.003
BUDGET = 1e22
POINT = (1e9, 2e10)
DRAWS = 40

# Amari's laws describe errors far below one nat on the grid of tokens below, were their constants of order one.
AMARI = {"amari-1": 5e8, "amari-2": 5e16, "amari-3": 5e4, "amari-4": 5e8}
TRUTH = {name: k | ({"c": AMARI[name]} if name in AMARI else {}) for name, k in TRUTHS.items()}

VERBS = ("fit", "intervals", "allocate", "deadweight", "predict", "save and load")

NOTHING = "The {law} law does not trade parameters against tokens, so it allocates nothing."
TOLD = "{nothing}; the loss it expects is told by a saved fit: lawful predict DIR/fit.json {option}."
OPTION = {"compute": "--budget 1e24", "kaplan-c": "--budget 1e24", "kaplan-n": "--params 7B"}
MORE = "The {law} law also reads {columns}; say which with `given`, or give a table (`points`)."
ONE_COLUMN = (
    "compute", "hestness", "hestness-regions", "kaplan-n", "kaplan-d", "kaplan-c", *AMARI,
)  # fmt: skip

REFUSED: dict[tuple[str, str], str] = (
    {
        (law, verb): NOTHING.format(law=law)
        for law in ("kaplan-cmin", "kaplan-ns")
        for verb in ("allocate", "deadweight")
    }
    | {
        (law, verb): TOLD.format(nothing=NOTHING.format(law=law)[:-1], option=OPTION.get(law, "--tokens 2T"))
        for law in ONE_COLUMN
        for verb in ("allocate", "deadweight")
    }
    | {
        ("kaplan-cmin", "predict"): MORE.format(law="kaplan-cmin", columns="C_min"),
        ("kaplan-ns", "predict"): MORE.format(law="kaplan-ns", columns="S"),
    }
)
"""The cells that do not work, and what they say. Every other one works."""

SLOW = {"muennighoff", "lovelace", "pearce-song", "rosenfeld-envelope", "nested", "hestness-regions"}
"""Laws whose derivatives are steps along the imaginary axis in five coefficients or more."""

NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in LAWS]


@pytest.fixture(scope="module")
def runs_of() -> Callable[[str], Runs]:
    cells = itertools.product(np.geomspace(1e7, 3e9, 5), np.geomspace(2e8, 3e10, 5), (1.0, 5.0, 20.0))
    n, d, epochs = (np.array(v) for v in zip(*cells, strict=True))
    labels = {"unique_tokens": d / epochs, "S": d / 5e5, "C_min": 6 * n * d / 8.64e19}
    empty = Runs.from_arrays(n, d, np.ones(n.size), labels=labels)
    noise = np.exp(np.random.default_rng(7).normal(0.0, NOISE, n.size))

    def made(name: str) -> Runs:
        law = LAWS[name]
        losses = law.loss(TRUTH[name], *(empty.column(column) for column in law.columns))
        return Runs.from_arrays(n, d, losses * noise, labels=labels)

    return made


@pytest.fixture(scope="module")
def analysed(runs_of: Callable[[str], Runs]) -> Callable[[str], lawful.Analysis]:
    made: dict[str, lawful.Analysis] = {}

    def analysis(name: str) -> lawful.Analysis:
        if name not in made:
            law = LAWS[name]
            method = "vpnls" if law.separable else "approach3"
            made[name] = lawful.analyse(runs_of(name), law=name, method=method, draws=DRAWS, intervals="rows")
        return made[name]

    return analysis


def check_fit(found: lawful.Analysis, law: Law, _: Path) -> None:
    """No coefficients fit better: neither the truth nor any step away from the answer."""
    fit, truth = found.fit, TRUTH[law.name]
    assert fit.status.key == "converged"
    columns = [fit.runs.column(column) for column in law.columns]

    def objective(k: dict[str, float]) -> float:
        fitted = law.loss(k, *columns)
        residuals = np.log(fit.runs.L) - np.log(fitted) if fit.objective.is_log else fit.runs.L - fitted
        return fit.objective.of(residuals, fit.runs.weight)

    least = objective(fit.surface.coefficients)
    assert least == pytest.approx(fit.value, rel=1e-9)
    assert least <= objective(truth) * (1 + 1e-9)
    for name in law.identifiable:
        for step in (1e-4, -1e-4):
            k = fit.surface.coefficients | {name: fit.surface[name] * (1 + step)}
            assert objective(k) >= least * (1 - 1e-12), name
    np.testing.assert_allclose(law.loss(fit.surface.coefficients, *columns), law.loss(truth, *columns), rtol=0.02)


def check_intervals(found: lawful.Analysis, law: Law, _: Path) -> None:
    """Percentile and profile intervals end, hold the estimate, and agree with linearised ones to a factor of 3."""
    linear = delta(found.fit)
    for name in law.identifiable:
        value = found.fit.surface[name]
        if law.constant == name and value < 1e-6:
            continue  # on its bound, where a linearisation says nothing
        ends = [found.interval(name), linear.interval(name), found.fit.profile(name, points=0).interval]
        for low, high in ends:
            assert low <= value <= high
            assert np.isfinite([low, high]).all()
        drawn, middle, profiled = (high - low for low, high in ends)
        # Not with each other: forty draws tell a width to an eighth, and a profile is wide where the other is not.
        assert 1 / 3 < drawn / middle < 3, (name, ends)
        assert 1 / 3 < profiled / middle < 3, (name, ends)
    for name in set(law.names) - set(law.identifiable):
        assert found.interval(name) == linear.interval(name) == (found.fit.surface[name],) * 2


def check_allocate(found: lawful.Analysis, law: Law, _: Path) -> None:
    """No point on the budget line beats the optimum; each draw has its own; the interval holds the estimate."""
    best = found.fit.allocate(BUDGET, draws=found.draws)
    assert Cost().flops(best.params, best.tokens) == pytest.approx(BUDGET, rel=1e-9)
    sizes = np.geomspace(1e6, 1e13, 5001)
    losses = found.fit.surface.loss(sizes, BUDGET / (6 * sizes))
    assert best.loss <= losses.min() * (1 + 1e-14)
    assert best.params == pytest.approx(sizes[losses.argmin()], rel=0.005)
    for name in ("params", "tokens", "loss"):
        low, high = best.interval[name]
        assert low < getattr(best, name) < high
    one = {name: float(value[3]) for name, value in found.draws.coefficients.items()}
    losses = law.loss(one, *lawful_columns(law, sizes, BUDGET / (6 * sizes)))
    assert found.draws.values("params", budget=BUDGET)[3] == pytest.approx(sizes[losses.argmin()], rel=0.005)
    linear = delta(found.fit).interval("params", budget=BUDGET)
    low, high = best.interval["params"]
    assert 1 / 3 < np.log(linear[1] / linear[0]) / np.log(high / low) < 3


def lawful_columns(law: Law, n: np.ndarray, d: np.ndarray) -> list[np.ndarray]:
    return [{"N": n, "D": d, "U": d, "C": 6 * n * d}[column] for column in law.columns]


def check_deadweight(found: lawful.Analysis, law: Law, _: Path) -> None:
    """By brute force: the smallest budget at which some size reaches the loss, less the budget spent."""
    surface = found.fit.surface
    tokens = 3 * float(surface.optimum(BUDGET).tokens)
    lost = lawful.deadweight(surface, tokens, BUDGET).flops
    reached = float(surface.at_params(BUDGET, BUDGET / (6 * tokens)).loss)
    sizes = np.geomspace(1e7, 1e12, 4001)
    budgets = np.geomspace(0.3 * BUDGET, BUDGET, 401)
    least = [float(surface.loss(sizes, c / (6 * sizes)).min()) for c in budgets]
    needed = float(np.exp(np.interp(-reached, -np.array(least), np.log(budgets))))
    assert lost == pytest.approx(BUDGET - needed, rel=2e-3)
    drawn = lawful.deadweight(found.draws, tokens, BUDGET)
    low, high = drawn.interval
    assert low < lost < high


def check_predict(found: lawful.Analysis, law: Law, _: Path) -> None:
    """The loss of the law at the point, inside its interval, which lies inside that of a new run."""
    document = predict_document(found, *POINT)
    by_hand = float(law.loss(found.fit.surface.coefficients, *lawful_columns(law, *map(np.array, POINT))))
    assert document["loss"] == pytest.approx(by_hand, rel=1e-12)
    (low, high), (least, most) = document["interval"]["loss"], document["prediction"]["loss"]
    assert least < low < by_hand < high < most
    truth = float(law.loss(TRUTH[law.name], *lawful_columns(law, *map(np.array, POINT))))
    assert least < truth < most


def check_saved(found: lawful.Analysis, law: Law, folder: Path) -> None:
    """The same law with the same coefficients, misfit and intervals, and losses of its runs to the last digit."""
    again = load(found.save(folder / "fit.json"))
    assert again.fit.surface == found.fit.surface
    assert again.fit.rss == found.fit.rss
    np.testing.assert_array_equal(again.fit.residuals, found.fit.residuals)
    assert [again.interval(name) for name in law.names] == [found.interval(name) for name in law.names]
    linear = delta(again.fit).interval(law.identifiable[-1])
    assert linear == delta(found.fit).interval(law.identifiable[-1])


CHECKS = dict(
    zip(
        VERBS,
        (check_fit, check_intervals, check_allocate, check_deadweight, check_predict, check_saved),
        strict=True,
    )
)

ASKED: dict[str, Callable[[lawful.Analysis], object]] = {
    "allocate": lambda found: found.fit.allocate(BUDGET, draws=found.draws),
    "deadweight": lambda found: lawful.deadweight(found.fit, 1e12, BUDGET),
    "predict": lambda found: predict_document(found, *POINT),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", NAMES)
def test_a_law_answers_a_verb_or_says_why_not(
    name: str, verb: str, analysed: Callable[[str], lawful.Analysis], tmp_path: Path
) -> None:
    sentence = REFUSED.get((name, verb))
    if sentence is None:
        CHECKS[verb](analysed(name), LAWS[name], tmp_path)
        return
    with pytest.raises(LawfulError) as raised:
        ASKED[verb](analysed(name))
    assert str(raised.value) == sentence


def test_every_refusal_is_of_a_law_and_a_verb() -> None:
    assert {law for law, _ in REFUSED} <= set(LAWS)
    assert {verb for _, verb in REFUSED} <= set(ASKED)
