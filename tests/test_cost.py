"""Compute, hours, days and dollars: the published conversions, both ways."""

from __future__ import annotations

import json

import pytest

import lawful
from lawful.core.cost import Cost
from lawful.core.hardware import HARDWARE, find_hardware
from lawful.errors import UnsupportedError

EXACT = 1e-12


@pytest.fixture(scope="session")
def vectors(shared_reference):
    return {v["id"]: v for v in json.loads((shared_reference / "laws_vectors.json").read_text())}


def test_the_published_dollars_are_those_of_the_sparse_peak(vectors):
    published = Cost(rate="sparse")
    assert published.dollars_per_flop == pytest.approx(vectors[217]["output"], rel=EXACT)
    assert published.dollars(2.39e24) == pytest.approx(vectors[218]["output"], rel=EXACT)
    assert published.dollars_per_flop == pytest.approx(5.614507888e-19, rel=1e-9)


def test_the_default_is_dense_and_costs_twice_as_much():
    assert Cost().rate == "dense"
    assert Cost().peak == 989.5e12
    assert Cost().dollars(1e24) == pytest.approx(2 * Cost(rate="sparse").dollars(1e24), rel=EXACT)
    assert Cost().at_rate("sparse") == Cost(rate="sparse")


def test_conversions_are_inverse():
    cost = Cost.on("a100", mfu=0.37, price=1.1)
    flops = cost.budget(count=256, days=12.5)
    assert cost.days(flops, count=256) == pytest.approx(12.5, rel=EXACT)
    assert cost.gpu_hours(flops) == pytest.approx(256 * 12.5 * 24, rel=EXACT)
    assert cost.budget_of_dollars(float(cost.dollars(flops))) == pytest.approx(flops, rel=EXACT)
    assert flops == pytest.approx(312e12 * 0.37 * 86400 * 256 * 12.5, rel=EXACT)


def test_the_convention_is_still_the_first_argument():
    assert Cost(2.0).convention == "C = 2ND"
    assert Cost(2.0).flops(3.0, 5.0) == 30.0
    assert Cost().forward_flops(3.0, 5.0) == pytest.approx(2 * 3 * 5, rel=EXACT)


def test_the_terms_name_the_rate():
    assert "dense bf16 989.5 TFLOP/s" in Cost().terms
    assert "bf16 with sparsity 1979 TFLOP/s" in Cost(rate="sparse").terms
    assert Cost().to_dict()["dollars_per_flop"] == Cost().dollars_per_flop


@pytest.mark.parametrize("name", HARDWARE)
def test_a_sparse_rate_is_twice_the_dense_one(name):
    chip = find_hardware(name.upper())
    assert chip.name == name
    assert 1e14 < chip.dense < 1e16
    if chip.sparse is not None:
        assert chip.sparse == pytest.approx(2 * chip.dense, rel=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Cost.on("h1000"), r"Unknown hardware 'h1000'; choose one of v100, a100, h100"),
        (lambda: Cost.on("tpu-v5p", rate="sparse"), r"tpu-v5p has no sparse rate; use its dense one, 459 TFLOP/s\."),
        (lambda: Cost.on("h100", rate="fast"), r"A peak rate is dense or sparse, got 'fast'\."),
        (lambda: Cost(mfu=0.0), r"MFU is a share of the peak between 0 and 1, got 0\.0\."),
        (lambda: Cost(price=-1.0), r"cannot be negative, got -1\.0\."),
        (lambda: Cost().budget(count=0, days=1), r"must be positive, got 0 and 1\."),
        (lambda: Cost(price=0.0).budget_of_dollars(5.0), r"At a price of 0 any sum buys any amount"),
    ],
)
def test_nonsense_is_refused(call, message):
    with pytest.raises(UnsupportedError, match=message):
        call()


def test_a_surface_keeps_its_cost():
    surface = lawful.Surface.named("besiroglu")
    assert surface.cost == Cost()
