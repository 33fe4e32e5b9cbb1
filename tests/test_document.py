"""The JSON documents: promised keys, strict numbers, exact scaling."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lawful
from lawful.design.plan import plan_isoflop, simulate, study_surface
from lawful.errors import IdentificationError, UnsupportedError
from lawful.laws.laws import CHINCHILLA
from lawful.show.files.document import (
    check_scale,
    compare_document,
    dumps,
    fit_document,
    groups_document,
    predict_document,
    strict,
)


@pytest.fixture(scope="module")
def runs():
    truth = study_surface("chinchilla")
    return simulate(truth, plan_isoflop([1e18, 1e19, 1e20], 7, surface=truth), noise=0.002, seed=1)


@pytest.fixture(scope="module")
def analysis(runs):
    return lawful.analyse(runs, budgets=[1e23], draws=30, intervals="within-budget")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64("nan"), None),
        (float("-inf"), None),
        (np.array([1.0, np.inf]), [1.0, None]),
        (np.array(2.0), 2.0),
        ({"a": (np.int64(3), True, None)}, {"a": [3, True, None]}),
        (np.bool_(False), False),
        ("text", "text"),
        (CHINCHILLA.name, "chinchilla"),
        ({1: [np.float32(0.5)]}, {"1": [0.5]}),
    ],
)
def test_strict_gives_plain_json(value, plain):
    found = strict(value)
    assert found == plain
    json.dumps(found, allow_nan=False)


def test_dumps_keeps_every_digit():
    numbers = {"a": [0.1 + 0.2, 5e-324, 1.7976931348623157e308, 3.8e25]}
    assert json.loads(dumps(numbers)) == numbers


def test_an_infinite_frontier_becomes_null(runs):
    fit = lawful.fit(runs, fixed={"A": 0.0})
    found = lawful.analyse(runs, fixed={"A": 0.0}, budgets=[1e23], draws=0)
    assert not np.isfinite(fit.frontier.log10_a0)
    document = fit_document(found)
    assert document["exponents"]["log10_a0"] is None
    assert document["allocations"][0]["params"] is None or document["allocations"][0]["params"] >= 0
    json.dumps(document, allow_nan=False)


def test_scaled_law_gives_the_same_loss():
    k = study_surface("chinchilla").coefficients
    other = CHINCHILLA.in_units(k, params=1e6, tokens=1e9)
    N, D = 3e8, 7e9
    assert CHINCHILLA.loss(other, N / 1e6, D / 1e9) == pytest.approx(CHINCHILLA.loss(k, N, D), rel=1e-14)
    assert list(other) == list(k)


def test_scale_one_changes_no_bit(analysis):
    assert fit_document(analysis, scale={"params": 1.0}) == fit_document(analysis)


def test_scaled_intervals_come_from_scaled_draws(analysis):
    draws = analysis.draws.coefficients
    values = draws["A"] * 1e6 ** -draws["alpha"]
    found = fit_document(analysis, scale={"params": 1e6})["intervals"]["coefficients"]["A"]
    assert found == pytest.approx(np.quantile(values, [0.05, 0.95]).tolist(), rel=1e-12)


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        ({"loss": 2.0}, "for params and tokens, not for loss"),
        ({"params": 0.0}, "must be a positive number, got 0.0"),
        ({"tokens": float("nan")}, "must be a positive number, got nan"),
    ],
)
def test_a_scale_that_makes_no_sense_is_refused(scale, message):
    with pytest.raises(UnsupportedError, match=message):
        check_scale(scale)


def test_a_method_that_cannot_run_keeps_the_keys(runs, analysis):
    one = lawful.compare(runs.take(runs.group == 0), draws=0)
    documents = compare_document(one)["fits"]
    assert [d["status"] for d in documents] == ["converged", "unavailable", "unavailable", "converged"]
    assert all(set(d) == set(fit_document(analysis)) for d in documents)
    assert documents[1]["n_runs"] == 7
    assert documents[1]["notes"][0]["code"] == "unavailable"


def test_groups_keep_their_order(analysis):
    document = groups_document("set", {"b": analysis, "a": analysis})
    assert (document["schema"], document["by"]) == ("lawful.fit-by/1", "set")
    assert [group["value"] for group in document["groups"]] == ["b", "a"]


def test_predict_has_no_interval_without_draws(runs):
    document = predict_document(lawful.analyse(runs, draws=0), 7e9, 2e12)
    assert document["interval"] is None
    assert document["loss"] > 0


def test_predict_needs_a_surface(runs):
    frontier = lawful.analyse(runs, method="approach1", draws=0)
    with pytest.raises(IdentificationError, match="approach1 fits no loss surface"):
        predict_document(frontier, 7e9, 2e12)
