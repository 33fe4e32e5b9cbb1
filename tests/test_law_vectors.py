"""Every law of the catalogue against the reference vectors, which two independent expressions agree on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lawful.laws import catalogue_kaplan as kaplan
from lawful.laws import catalogue_repeated as repeated
from lawful.laws import reconcile
from lawful.laws.laws import LAWS
from lawful.laws.surface import Surface

REFERENCE = 1e-9

Answer = Callable[[dict[str, Any], dict[str, Any]], Any]


def loss(name: str, *columns: str, rename: dict[str, str] | None = None, **more: float) -> Answer:
    """Evaluate a law at named inputs, with the vector's constants under the law's names."""

    def answer(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
        k = {(rename or {}).get(n, n): v for n, v in {**params, **inputs}.items()} | more
        return LAWS[name].loss(k, *(inputs[c] for c in columns))

    return answer


def surface(params: dict[str, Any], name: str = "chinchilla") -> Surface:
    return Surface(params, LAWS[name])


HESTNESS = loss("hestness", "D", rename={"a": "A", "c": "E"})
RATIOS = ("params", "steps", "compute")

VECTORS: dict[str, dict[int, Answer]] = {
    "amari1992": {
        1: loss("amari-1", "D", E=0.0, alpha=1.0),
        2: loss("amari-2", "D", E=0.0, alpha=2.0),
        4: loss("amari-4", "D", alpha=1.0),
    },
    # The published exponent is negative: e = a D^b.
    "hestness2017": {i: lambda p, x: HESTNESS(p | {"alpha": -p["b"]}, x) for i in (5, 6)},
    "rosenfeld2020_additive": {i: loss("rosenfeld", "n", "m", rename={"a": "a_n", "b": "b_m"}) for i in (8, 9)},
    "rosenfeld2020_envelope": {
        i: loss("rosenfeld-envelope", "n", "m", rename={"a": "a_n", "b": "b_m"}) for i in (10, 11)
    },
    "kaplan2020_univariate": {
        13: loss("kaplan-n", "N"),
        14: loss("kaplan-n", "N"),
        16: loss("kaplan-c", "C"),
        17: loss("kaplan-cmin", "Cmin", rename={"Ccmin": "Cc", "alphaCmin": "alphaC"}),
        18: loss("kaplan-cmin", "Cmin", rename={"Ccmin": "Cc", "alphaCmin": "alphaC"}),
    },
    "kaplan2020_LND": {
        19: loss("kaplan-nd", "N", "D"),
        20: loss("kaplan-nd", "N", "D"),
        22: lambda p, x: kaplan.overfit(p, x["N"], x["D"]),
        23: lambda p, x: kaplan.least_tokens(x["N"], p["k"], p["p"]),
        24: lambda p, x: surface(p, "kaplan-nd").optimum(x["C"]).params,
    },
    "kaplan2020_LNS": {i: loss("kaplan-ns", "N", "Smin") for i in (25, 26)},
    "kaplan2020_Bcrit": {
        27: lambda p, x: kaplan.critical_batch(x["L"], p),
        28: lambda p, x: kaplan.critical_batch(x["L"], p),
        30: lambda p, x: kaplan.least_compute(x["C"], x["B"], x["L"], p),
    },
    "kaplan2020_frontier_table6": {
        31: lambda p, x: kaplan.table6("params", x["Cmin_PFdays"]),
        32: lambda p, x: kaplan.table6("batch", x["Cmin_PFdays"]),
        34: lambda p, x: kaplan.table6("tokens", x["Cmin_PFdays"]),
    },
    "kaplan2020_frontier_B": {
        35: lambda p, x: kaplan.frontier_b(p, p)["alphaC"],
        36: lambda p, x: kaplan.frontier_b(p, p)["Cc"],
        38: lambda p, x: kaplan.frontier_b(p, p)["N0"] * x["C"] ** kaplan.frontier_b(p, p)["aN"],
        39: lambda p, x: kaplan.frontier_b(p, p)["S0"] * x["C"] ** kaplan.frontier_b(p, p)["aS"],
        40: lambda p, x: kaplan.off_size(x["r"], p),
        **{
            i: lambda p, x, name=name: kaplan.short_of_convergence(x["f"], x["f2"], p)[name]
            for i, name in zip((42, 43, 44), RATIOS, strict=True)
        },
    },
    "pearce2024": {
        81: lambda p, x: kaplan.total_params(x["N"], p["omega"]),
        82: lambda p, x: kaplan.total_params(x["N"], p["omega"]),
        84: lambda p, x: reconcile.local_exponent(p, x["N"], p["omega"]),
        85: lambda p, x: reconcile.matched_budget(p, x["N"], p["omega"]),
        86: lambda p, x: reconcile.local_exponent(p, x["N"], p["omega"]),
        88: lambda p, x: reconcile.exponent_limits(p)[0],
        89: lambda p, x: reconcile.matched_budget(p, x["N"], p["omega"]),
        90: lambda p, x: reconcile.local_exponent(p, x["N"], p["omega"]),
        92: lambda p, x: reconcile.local_exponent(p, x["N"], p["omega"]),
        93: lambda p, x: reconcile.exponent_limits(p)[1],
        94: lambda p, x: reconcile.exponent_limits(p)[0],
        96: lambda p, x: reconcile.kaplan_slope(p, p["omega"]),
    },
    "muennighoff2023": {
        **{i: loss("muennighoff", "N", "D", "U", rename={"RDstar": "RD", "RNstar": "RN"}) for i in (97, 98, 100)},
        101: lambda p, x: repeated.effective_tokens({"RD": p["RDstar"]}, x["D"], x["U"]),
        102: lambda p, x: repeated.matched_params(exponentials(p), 1.0),
        104: lambda p, x: surface(published_names(p), "muennighoff").optimum(x["C"], unique=x["U"]).tokens / x["U"],
    },
    "lovelace2026": {
        105: lambda p, x: lovelace(p | x),
        106: lambda p, x: lovelace(p | x),
        108: lambda p, x: repeated.best_epochs(p | x, x["N"], x["U"]),
        109: lambda p, x: (
            surface({n: v for n, v in (p | x).items() if n not in "CU"}, "lovelace")
            .optimum(x["C"], unique=x["U"])
            .params
        ),
    },
    "skaling2026": {
        121: loss("skaling", "N", "D"),
        122: loss("skaling", "N", "D"),
        124: lambda p, x: surface(p, "skaling").optimum(x["C"]).loss,
        125: lambda p, x: mixed_slope(p, x["N"], x["D"]),
    },
    "nested_softmax_family": {
        222: loss("nested", "N", "D"),
        223: loss("nested", "N", "D"),
        225: lambda p, x: LAWS["nested"].loss(
            {
                "E": 0.0,
                "A": p["Nc"] ** p["alphaN"],
                "B": p["Dc"] ** p["alphaD"],
                "alpha": p["alphaN"],
                "beta": p["alphaD"],
                "q": p["alphaD"],
            },
            x["N"],
            x["D"],
        ),
        226: lambda p, x: surface(p | {"q": x["q"]}, "nested").optimum(x["C"]).params,
    },
    "porian2024": {
        164: lambda p, x: reconcile.PORIAN_LINES["tuned"][0] * x["C"] ** reconcile.PORIAN_LINES["tuned"][1],
        165: lambda p, x: reconcile.PORIAN_LINES["kaplan"][0] * x["C"] ** reconcile.PORIAN_LINES["kaplan"][1],
    },
}
"""Vectors by law and id; those of the Chinchilla law itself stand in test_laws.py, objectives in test_objective.py."""


def exponentials(p: dict[str, Any]) -> dict[str, Any]:
    return p | {"A": np.exp(p["a"]), "B": np.exp(p["b"]), "E": np.exp(p["e"])}


def published_names(p: dict[str, Any]) -> dict[str, Any]:
    k = exponentials(p)
    return {n: k[n] for n in ("E", "A", "B", "alpha", "beta")} | {"RD": p["RDstar"], "RN": p["RNstar"]}


def lovelace(k: dict[str, Any]) -> Any:
    return LAWS["lovelace"].loss(k, k["N"], k["U"] * (1 + k["R"]), k["U"])


def mixed_slope(k: dict[str, Any], n: float, d: float) -> float:
    """Mixed derivative of the coupled law in N and D: complex step in N of the slope in D, by hand."""

    def in_d(size: complex) -> complex:
        inside = k["A"] * size ** -k["alpha"] + k["B"] * d ** -k["beta"]
        return k["k"] * inside ** (k["k"] - 1) * -k["beta"] * k["B"] * d ** (-k["beta"] - 1)

    return in_d(n * (1 + 1e-30j)).imag / (1e-30 * n)


@pytest.fixture(scope="module")
def vectors(shared_reference: Path) -> dict[int, dict[str, Any]]:
    entries = json.loads((shared_reference / "laws_vectors.json").read_text(encoding="utf-8"))
    return {entry["id"]: entry for entry in entries}


def test_no_vector_of_these_laws_is_left_out(vectors: dict[int, dict[str, Any]]) -> None:
    theirs = {law: {i for i, v in vectors.items() if v["law"] == law} for law in VECTORS}
    assert theirs == {law: set(answers) for law, answers in VECTORS.items()}


@pytest.mark.parametrize(("law", "index"), [(law, i) for law, answers in VECTORS.items() for i in answers])
def test_the_law_gives_the_reference_value(vectors: dict[int, dict[str, Any]], law: str, index: int) -> None:
    vector = vectors[index]
    params = dict(vector["params"])
    if law == "muennighoff2023" and index in (97, 98, 100):
        params = published_names(params)
    assert VECTORS[law][index](params, vector["inputs"]) == pytest.approx(vector["output"], rel=REFERENCE)


@pytest.mark.parametrize(
    ("name", "constants"),
    [*kaplan.TABLE5.items(), ("muennighoff", repeated.MUENNIGHOFF_PUBLISHED)],
)
def test_published_constants_name_every_coefficient(name: str, constants: dict[str, float]) -> None:
    assert set(constants) == set(LAWS[name].names)
