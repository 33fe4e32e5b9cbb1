"""Laws of more columns than N and D: against the reference vectors, from tables, and refused in one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lawful
from lawful.errors import InputError, UnsupportedError
from lawful.laws.catalogue_columns import COLUMN_LAWS, best_rates, mixture_law
from lawful.laws.formula import expression_of

REFERENCE = 1e-9

TRUTHS = {
    "clark": {"a": -0.082, "b": -0.108, "c": 0.009, "d": 1.104, "E_start": 1.847, "E_max": 314.478},
    "ludziejewski": {
        "a": 35.91,
        "alpha": -0.1889,
        "delta": -0.2285,
        "gamma": 0.0098,
        "b": 35.98,
        "beta": -0.1775,
        "omega": 0.5529,
        "zeta": -0.0259,
        "E_start": 2.0732,
        "E_max": 290.4521,
        "c": 1.3637,
    },
    "abnar": {
        "a": 16612.5,
        "alpha": 0.5962,
        "b": 5455.67,
        "beta": 0.3954,
        "c": 0.4598,
        "lambda_": -0.1666,
        "d": 17.26,
        "delta": 0.1603,
        "gamma": 0.1595,
        "e": 0.94,
    },
    "parallel": {"E": 1.3, "A": 2e8, "alpha": 0.2, "k": 0.35},
    "kumar": {"A": 4299.0, "alpha": 0.4965, "B": 18060.0, "beta": 0.4965, "E": 2.7648, "gamma_w": 2.6745},
    "gadre": {"E": 1.51, "A": 141 * 6**-0.121, "B": 190 * 6**-0.121, "eta": 0.121},
    "farseer": {
        "a3": -0.021,
        "gamma": 0.169,
        "b3": 0.091,
        "a2": 88.01,
        "beta": -0.1,
        "b2": -5.287,
        "a1": -0.124,
        "alpha": 0.123,
        "b1": 0.424,
    },
    "tao": {"E": 5.533, "A1": 1.831, "A2": 0.196, "B": 2.124, "alpha1": 0.447, "alpha2": 0.671, "beta": 0.447},
    "lr-batch": {
        "E": 1.5, "A": 60.0, "a": 0.25, "B": 300.0, "b": 0.27, "m": 0.01, "v": -0.05, "w": 0.02, "c": 0.03, "e": 0.01,
        "g": -0.01, "l0": 0.58, "p": -0.713, "q": 0.307, "b0": -0.54, "s": 0.571, "t": 0.0,
    },
}  # fmt: skip
"""Published coefficients where there are some (Farseer's from memory, the valley's and the streams' made up)."""

VECTORS = {
    119: ("farseer", lambda v: {}),
    120: ("farseer", lambda v: {}),
    129: ("clark", lambda v: {"experts": v["E"]}),
    130: ("clark", lambda v: {"experts": v["E"]}),
    135: ("ludziejewski", lambda v: {"experts": v["E"]}),
    136: ("ludziejewski", lambda v: {"experts": v["E"]}),
    139: ("abnar", lambda v: {"active_share": 1 - v["S"]}),
    140: ("abnar", lambda v: {"active_share": 1 - v["S"]}),
    141: ("kumar", lambda v: {"weight_bits": v["P"]}),
    142: ("kumar", lambda v: {"weight_bits": v["P"]}),
    150: ("gadre", lambda v: {"N": (v["C"] / 6 / v["M"]) ** 0.5, "D": (v["C"] / 6 * v["M"]) ** 0.5}),
}
"""Reference vectors: the law, and its columns out of the vector's inputs."""

POSITIVE = [name for name in COLUMN_LAWS if name != "tao"]
"""Laws of losses above zero, as a table of runs takes them."""

SLOW = {"farseer", "lr-batch"}
"""Nothing to eliminate, or fifteen coefficients."""


def table(name: str, rows: int = 60, noise: float = 1e-4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(6)
    columns = {
        "N": 10 ** rng.uniform(7.5, 10, rows),
        "D": 10 ** rng.uniform(9, 11.5, rows),
        "experts": 2.0 ** rng.integers(0, 8, rows),
        "active_share": 2.0 ** -rng.integers(0, 5, rows).astype(float),
        "streams": 2.0 ** rng.integers(0, 4, rows),
        "weight_bits": rng.choice([3.0, 4.0, 6.0, 8.0, 16.0], rows),
        "lr": 10 ** rng.uniform(-4, -2, rows),
        "batch": 2.0 ** rng.integers(17, 22, rows),
    }
    law = COLUMN_LAWS[name]
    used = {c: columns[c] for c in ("N", "D", *law.columns) if c in columns}
    loss = law.loss(TRUTHS[name], *(used[c] for c in law.columns))
    return used | {"loss": loss + rng.normal(0, noise, rows)}


@pytest.mark.parametrize("index", VECTORS)
def test_the_law_gives_the_reference_value(shared_reference, index):
    vectors = {v["id"]: v for v in _entries(shared_reference)}
    name, columns = VECTORS[index]
    law, inputs = COLUMN_LAWS[name], vectors[index]["inputs"]
    given = inputs | columns(inputs)
    found = law.loss(TRUTHS[name], *(given[c] for c in law.columns))
    assert found == pytest.approx(vectors[index]["output"], rel=REFERENCE)


def _entries(folder):
    document = json.loads((folder / "laws_vectors.json").read_text(encoding="utf-8"))
    return document if isinstance(document, list) else document["vectors"]


@pytest.mark.parametrize("name", COLUMN_LAWS)
def test_the_registry_is_whole(name):
    law = COLUMN_LAWS[name]
    assert set(TRUTHS[name]) == set(law.names)
    assert all(low <= TRUTHS[name][n] <= high for n, (low, high) in law.bounds.items())
    assert law.meanings
    assert expression_of(law).names == set(law.names) | set(law.columns)


@pytest.mark.parametrize("name", POSITIVE)
def test_its_slopes_are_those_of_finite_differences(name):
    law, k, columns = COLUMN_LAWS[name], TRUTHS[name], table(name, rows=5)
    at = [columns[c] for c in law.columns]
    slopes = law.form.slopes(k, *at)
    for n in law.names:
        step = 1e-6 * max(abs(k[n]), 1e-3)
        by_hand = (law.loss(k | {n: k[n] + step}, *at) - law.loss(k | {n: k[n] - step}, *at)) / (2 * step)
        np.testing.assert_allclose(slopes[n], by_hand, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in POSITIVE])
def test_a_table_is_fitted_and_kept(name, tmp_path):
    runs = table(name)
    found = lawful.fit(runs, law=name)
    law = COLUMN_LAWS[name]
    at = [runs[c] for c in law.columns]
    truth = law.loss(TRUTHS[name], *at)
    assert found.rss <= ((runs["loss"] - truth) ** 2).sum() * (1 + 1e-9)
    assert np.abs(law.loss(dict(found.surface.coefficients), *at) - truth).max() < 5e-4
    again = lawful.load(found.save(tmp_path / "fit.json")).fit
    assert again.surface.law == law
    assert dict(again.surface.coefficients) == dict(found.surface.coefficients)


def test_losses_over_a_unigram_model_are_negative_and_choose_the_next_run():
    rng = np.random.default_rng(2)
    law, k = COLUMN_LAWS["tao"], TRUTHS["tao"]
    columns = {
        "non_vocab_params": 10 ** rng.uniform(-1.5, 0.5, 40),
        "vocab_params": 10 ** rng.uniform(-2.0, 0.0, 40),
        "characters": 10 ** rng.uniform(-1, 1.5, 40),
    }
    loss = law.loss(k, *(columns[c] for c in law.columns)) + rng.normal(0, 1e-3, 40)
    assert (loss < 0).any()
    pool = {c: v[:5] * 3 for c, v in columns.items()} | {"usd": np.arange(1.0, 6.0)}
    target = {c: [v.max() * 10] for c, v in columns.items()}
    found = lawful.next_run(columns | {"loss": loss}, pool, cost="usd", target=target, law="tao", spend=5.0)
    assert found.fits[0].rms < 2e-3


def test_a_column_that_is_not_there_is_one_sentence():
    runs = table("gadre")
    with pytest.raises(InputError, match="needs a column of 'experts', and the runs have none") as caught:
        lawful.fit(runs, law="clark")
    assert "\n" not in str(caught.value)


def test_over_training_keeps_its_ratio():
    surface = lawful.Surface(TRUTHS["gadre"], COLUMN_LAWS["gadre"])
    for budget in (1e20, 1e24):
        best = surface.optimum(budget)
        assert float(best.tokens / best.params) == pytest.approx(3.429781714, rel=1e-6)  # reference vector 153


def test_the_valley_is_lowest_at_its_rates():
    law, k = COLUMN_LAWS["lr-batch"], TRUTHS["lr-batch"]
    lr, batch = best_rates(k, 1e9, 1e11)
    values = {"N": 1e9, "D": 1e11, "lr": lr, "batch": batch}

    def loss(**moved):
        return float(law.loss(k, *((values | moved)[c] for c in law.columns)))

    assert all(loss() < loss(lr=lr * f, batch=batch * h) for f in (0.8, 1, 1.25) for h in (0.8, 1.25))


def test_a_mixture_is_fitted_against_its_last_domain():
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(3), 30)
    t = np.array([-2.0, 0.3, 0.1])
    loss = 1.5 + 1.2 * np.exp(shares @ t)
    names = ["web", "books", "code"]
    runs = dict(zip(names, shares.T, strict=True)) | {"N": np.full(30, 1e9), "D": np.full(30, 2e10), "loss": loss}
    found = lawful.fit(runs, law=mixture_law(names)).surface
    assert found["t_web"] == pytest.approx(-2.1, abs=1e-4)
    assert found["t_books"] == pytest.approx(0.2, abs=1e-4)
    assert found["k"] == pytest.approx(1.2 * np.exp(0.1), rel=1e-4)
    with pytest.raises(UnsupportedError, match="two or more different columns"):
        mixture_law(["web"])
