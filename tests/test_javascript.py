"""The scripts of the pages under node: numbers written as Python writes them, and the explorer's arithmetic."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lawful
from lawful.core.numbers import format_count, format_power, format_scientific, format_value
from lawful.show.explorer import SCRIPTS
from lawful.show.report.embedded import asset

ARITHMETIC_PARTS = ("numbers", *(f"explorer_{part}" for part in ("math", "fit", "coupled", "table", "model", "own")))
ARITHMETIC = [name for name in SCRIPTS if name.removesuffix(".js") in ARITHMETIC_PARTS]
# Two ways to the same closed form differ by the rounding of a few powers.
RTOL = 1e-12
REFERENCE = 1e-9

Evaluate = Callable[[str, Any], Any]


@pytest.fixture(scope="module")
def evaluate() -> Evaluate:
    """Evaluate a function of JavaScript, given as text, at a value that JSON can hold."""
    node = shutil.which("node")
    if node is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "scripts of the pages are tested in node, not found here"
        )

    def call(function: str, given: Any) -> Any:
        source = "\n".join(asset(name) for name in ARITHMETIC)
        program = (
            f"{source}\nconst told = ({function})({json.dumps(given)});\nprocess.stdout.write(JSON.stringify(told));"
        )
        found = subprocess.run([node, "-"], input=program, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout)

    return call


def numbers() -> list[float]:
    """Numbers of every size, edges of the units, ties of rounding, and nothing."""
    rng = np.random.default_rng(0)
    some = (10 ** rng.uniform(-9, 30, 3000)).tolist() + np.round(10 ** rng.uniform(-3, 15, 2000), 2).tolist()
    ties = [m * 2.0**k * 10.0**e for m in (1.125, 1.375, 2.5, 0.125, 6.25) for k in (0, 1, 3) for e in range(-1, 25)]
    edges = [v * 10.0**e for e in range(-5, 26) for v in (0.9994, 0.9995, 0.99951, 0.99999, 1.0, 9.995, 9.9949)]
    return [0.0, *some, *ties, *edges, *(-v for v in some[:300])]


@pytest.mark.parametrize(
    ("function", "python"),
    [
        ("(values) => values.map((v) => lawfulNumbers.scientific(v))", format_scientific),
        ("(values) => values.map((v) => lawfulNumbers.scientific(v, 6))", lambda v: format_scientific(v, 6)),
        ("(values) => values.map((v) => lawfulNumbers.count(v))", format_count),
        ("(values) => values.map((v) => lawfulNumbers.plain(v))", format_value),
        ("(values) => values.map((v) => lawfulNumbers.count(v, 4))", lambda v: format_count(v, 4)),
        (
            "(values) => values.map((v) => (v > 0 ? lawfulNumbers.power(v) : '-'))",
            lambda v: format_power(v) if v > 0 else "-",
        ),
    ],
    ids=["scientific", "scientific, 6 digits", "count", "value", "count, 4 digits", "power"],
)
def test_a_number_reads_the_same_on_a_page_and_in_the_text(evaluate: Evaluate, function: str, python: Any) -> None:
    values = numbers()
    said = evaluate(function, values)
    wrong = [(v, js, python(v)) for v, js in zip(values, said, strict=True) if js != python(v)]
    assert wrong == []


def test_no_number_is_said_in_the_same_words(evaluate: Evaluate) -> None:
    words = evaluate(
        "() => [NaN, Infinity].flatMap((v) => [lawfulNumbers.count(v), lawfulNumbers.scientific(v)])", None
    )
    assert set(words) == {format_count(None)} == {format_scientific(float("nan"))}


@pytest.fixture(scope="module")
def vectors(shared_reference: Path) -> list[dict[str, Any]]:
    """Published and independently computed values of Chinchilla's law."""
    every = json.loads((shared_reference / "laws_vectors.json").read_text(encoding="utf-8"))
    return [
        v for v in every if v["law"].startswith("chinchilla_") and set(v["params"]) == {"E", "A", "B", "alpha", "beta"}
    ]


def test_the_explorer_agrees_with_the_reference_vectors(evaluate: Evaluate, vectors: list[dict[str, Any]]) -> None:
    forms = {
        "L(N,D)": "({ params: s, inputs: x }) => lawfulMath.loss(s, x.N, x.D)",
        "N_opt(C)": "({ params: s, inputs: x }) => lawfulMath.optimum(s, x.C, 6).params",
        "D_opt(C)": "({ params: s, inputs: x }) => lawfulMath.optimum(s, x.C, 6).tokens",
        "L_opt(C)": "({ params: s, inputs: x }) => lawfulMath.optimum(s, x.C, 6).loss",
        "C(N)": "({ params: s, inputs: x }) => 6 * x.N * lawfulMath.optimalTokens(s, x.N)",
    }
    seen = 0
    for quantity, function in forms.items():
        chosen = [
            v
            for v in vectors
            if v["quantity"].split("=")[0].removeprefix("N for which it is compute-optimal: ") == quantity
        ]
        told = evaluate(f"(all) => all.map({function})", chosen)
        for vector, value in zip(chosen, told, strict=True):
            assert value == pytest.approx(vector["output"], rel=REFERENCE), vector
        seen += len(chosen)
    assert seen >= 15


def test_the_explorer_agrees_with_the_library_over_random_surfaces(evaluate: Evaluate) -> None:
    rng = np.random.default_rng(5)
    given = [
        {
            "s": {
                "E": rng.uniform(0.3, 3), "A": 10 ** rng.uniform(1.5, 5), "B": 10 ** rng.uniform(1.5, 5),
                "alpha": rng.uniform(0.15, 0.8), "beta": rng.uniform(0.15, 0.8),
            },
            "C": 10 ** rng.uniform(17, 27),
            "miss": 10 ** rng.uniform(-1, 1),
        }
        for _ in range(200)
    ]  # fmt: skip
    told = evaluate(
        "(all) => all.map(({ s, C, miss }) => { const best = lawfulMath.optimum(s, C, 6);"
        " return [best.params, best.tokens, best.loss, lawfulMath.exponents(s).a,"
        " lawfulMath.deadweight(s, C, best.tokens * miss, 6)]; })",
        given,
    )
    for one, (params, tokens, loss, a, wasted) in zip(given, told, strict=True):
        surface = lawful.Surface(one["s"])
        best = surface.optimum(one["C"])
        assert (params, tokens, loss) == pytest.approx(tuple(map(float, best)), rel=RTOL)
        assert a == pytest.approx(surface.exponents[0], rel=RTOL)
        assert wasted == pytest.approx(float(surface.deadweight(one["C"], best.tokens * one["miss"])), rel=1e-9)


def test_the_explorer_fits_a_sweep_as_the_library_does(evaluate: Evaluate) -> None:
    truth = lawful.Surface.named("chinchilla")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.003, seed=3)
    rows = [
        {"group": int(g), "budget": float(c), "params": float(n), "tokens": float(d), "loss": float(y)}
        for g, c, n, d, y in zip(runs.group, runs.C, runs.N, runs.D, runs.L, strict=True)
    ]
    told = evaluate(
        "({ budgets, rows }) => ({ fit: lawfulFit.fit(rows), lines: lawfulMath.approach2(budgets, rows).frontier })",
        {"budgets": runs.budgets.tolist(), "rows": rows},
    )
    found, line = lawful.fit(runs, objective="squared"), lawful.fit_isoflop(runs).frontier
    for name, value in found.surface.coefficients.items():
        assert told["fit"]["surface"][name] == pytest.approx(value, rel=1e-6), name
    for name, value in line.to_dict().items():
        assert told["lines"][name] == pytest.approx(value, rel=1e-9), name


def test_the_scripts_that_a_page_embeds_are_those_that_are_checked(repository: Path) -> None:
    """What eslint knows by name is what the pages define: one name per file."""
    config = (repository / ".ci" / "js" / "eslint.config.js").read_text(encoding="utf-8")
    assets = repository / "src" / "lawful" / "show" / "assets"
    for script in sorted(assets.glob("*.js")):
        if script.name.endswith(".min.js") or script.name == "report.js":
            continue
        text = script.read_text(encoding="utf-8")
        (name,) = [line.split()[1] for line in text.splitlines() if line.startswith("const ")]
        assert f'"{name}"' in config, script.name
