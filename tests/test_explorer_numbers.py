"""The explorer's numbers, read out of the page, beside the library's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import lawful
from explorer_page import READ, read, settings
from lawful.design.plan import STUDY_SURFACES
from lawful.design.toy_runs import REGIONS, TARGET
from lawful.laws.laws import PUBLISHED
from lawful.show.explorer import SEEDS
from lawful.studies.s15_toy_extrapolation import toy_fit

if TYPE_CHECKING:
    from playwright.sync_api import Page

COEFFICIENTS = ("E", "A", "B", "alpha", "beta")
TOLERANCE = 1e-6
"""Relative, as promised; two minimisers of the same squares differ by the rounding of ill-conditioned fits."""

STOP = 1e-7
"""Relative in D*. ``lawful.fit`` ends where the sum of squares stops falling, some 1e-8 from the minimum in D* (seen
with 40 digits); the page goes on by the slope. Compute wasted is a square of what D* is off, so it shows that."""

NOTHING = 1e-12
"""Share of the budget below which compute wasted is the rounding of zero."""


@pytest.fixture
def page(explorer_file: Path, visit: Callable[..., Page]) -> Iterator[Page]:
    return visit(explorer_file)


def random_settings(count: int) -> list[dict[str, Any]]:
    """Settings from all over the page: half of the truths published, half made up; most of them noisy."""
    rng = np.random.default_rng(20)
    known = [*STUDY_SURFACES.values(), *PUBLISHED.values()]
    found = []
    for i in range(count):
        law = known[i % len(known)]
        if i % 2:
            law = {
                "E": rng.uniform(0.3, 3),
                "A": 10 ** rng.uniform(1.5, 5),
                "B": 10 ** rng.uniform(1.5, 5),
                "alpha": rng.uniform(0.15, 0.8),
                "beta": rng.uniform(0.15, 0.8),
            }
        low = 10 ** rng.uniform(16, 19)
        found.append(
            {
                "design": "sweep",
                **law,
                "width": 10 ** rng.uniform(0.2, 1.7),
                "offset": 10 ** rng.uniform(-0.7, 0.7),
                "drift": 10 ** rng.uniform(-0.7, 0.7),
                "points": int(rng.integers(3, 32)),
                "budgets": int(rng.integers(2, 11)),
                "low": low,
                "high": low * 10 ** rng.uniform(1, 5),
                "noise": 0.0 if i % 5 == 0 else 10 ** rng.uniform(-4, -1.3),
                "seed": int(rng.integers(SEEDS)),
                "target": 10 ** rng.uniform(22, 27),
            }
        )
    return found


def in_python(s: dict[str, Any]) -> dict[str, float] | None:
    """The same numbers by the library; NaN where a method has no answer, None where the runs cannot be had."""
    truth, budget = lawful.Surface({name: s[name] for name in COEFFICIENTS}), s["target"]
    budgets = np.geomspace(s["low"], s["high"], s["budgets"])
    keys = ("width", "offset", "drift")
    plan = lawful.Plan.isoflop(budgets, s["points"], surface=truth, **{name: s[name] for name in keys})
    try:
        runs = lawful.simulate(truth, plan, noise=s["noise"], seed=s["seed"])
    except lawful.InputError:
        return None
    best, fit = truth.optimum(budget), lawful.fit(runs, method="vpnls")
    found = {"truth.params": best.params, "truth.tokens": best.tokens, "truth.a": truth.exponents[0]}
    gone = {"alpha": fit.surface["A"] == 0, "beta": fit.surface["B"] == 0}
    found |= {f"vpnls.{name}": math.nan if gone.get(name) else fit.surface[name] for name in COEFFICIENTS}
    chosen = {"vpnls": None if any(gone.values()) else (*fit.surface.optimum(budget)[:2], *fit.surface.exponents)}
    try:
        # The page's Approach 2 is the published one: parabolas through all sizes, lines through all budgets or none.
        found_lines = lawful.fit_isoflop(runs, window="none")
        line, whole = found_lines.frontier, found_lines.budgets.size == s["budgets"]
        chosen["approach2"] = (line.params(budget), line.tokens(budget), line.a, line.b) if whole else None
    except lawful.IdentificationError:
        chosen["approach2"] = None
    names = ("params", "tokens", "a", "b", "params_error", "tokens_error", "flops", "fraction", "dollars")
    for method, choice in chosen.items():
        values: tuple[float, ...] = (math.nan,) * len(names)
        if choice is not None:
            params, tokens, a, b = choice
            wasted = float(truth.deadweight(budget, tokens))
            misses = (params / best.params - 1, tokens / best.tokens - 1)
            values = (params, tokens, a, b, *misses, wasted, wasted / budget, lawful.Cost().dollars(wasted))
        found |= {f"{method}.{name}": float(v) for name, v in zip(names, values, strict=True)}
    return found


def allowance(name: str, expected: dict[str, float], s: dict[str, Any]) -> float:
    """How far the page may be from a value of Python's: a millionth of it, or of what it is a difference of."""
    method, _, quantity = name.partition(".")
    value, budget = expected[name], s["target"]
    wasted = 0.0
    if quantity in ("flops", "fraction", "dollars"):
        truth = lawful.Surface({name: s[name] for name in COEFFICIENTS})
        tokens = expected[f"{method}.tokens"]
        near = truth.deadweight(budget, tokens * np.array([1 - STOP, 1.0, 1 + STOP])) / budget
        wasted = float(np.ptp(near)) if method == "vpnls" else 0.0
        wasted += NOTHING
    nothing = {
        "flops": wasted * budget,
        "fraction": wasted,
        "dollars": wasted * float(lawful.Cost().dollars(budget)),
        "tokens_error": TOLERANCE * (1 + abs(value)),
        "params_error": TOLERANCE * (1 + abs(value)),
        "E": TOLERANCE,  # nats: E is what is left of losses of a few nats
    }
    return TOLERANCE * abs(value) + nothing.get(quantity, 0.0)


@pytest.mark.slow
def test_the_page_shows_the_numbers_of_the_library_at_200_random_settings(page: Page) -> None:
    cases = random_settings(200)
    shown = page.evaluate(
        f"(cases) => cases.map((s) => {{ lawfulExplorer.set(s, {{ write: false }}); return ({READ})(); }})", cases
    )
    compared = silent = 0
    for i, (case, numbers) in enumerate(zip(cases, shown, strict=True)):
        expected = in_python(case)
        if expected is None:
            silent += 1
            continue
        for name, value in expected.items():
            text = numbers[name]
            if math.isnan(value):
                assert text == "none", (i, name, text)
                continue
            assert abs(float(text) - value) <= allowance(name, expected, case), (i, name, text, value, case)
            compared += 1
        # The page's own D* priced by the library, to the digits that a deadweight has.
        truth = lawful.Surface({name: case[name] for name in COEFFICIENTS})
        for method in ("vpnls", "approach2"):
            if numbers[f"{method}.tokens"] != "none":
                wasted = float(truth.deadweight(case["target"], float(numbers[f"{method}.tokens"])))
                near = pytest.approx(wasted, rel=TOLERANCE, abs=NOTHING * case["target"])
                assert float(numbers[f"{method}.flops"]) == near
    assert silent <= 4
    assert compared > 4000


def test_the_toy_shows_the_numbers_of_the_study(page: Page) -> None:
    for region in REGIONS:
        for decimals, milliloss in ((4, 0.0), (2, 50.0), (1, -100.0), (0, 200.0)):
            toy = {"design": "toy", "region": region, "decimals": decimals, "milliloss": milliloss, "goal": TARGET}
            page.evaluate("(s) => lawfulExplorer.set(s)", toy | PUBLISHED["besiroglu"])
            shown, (found, row) = read(page), toy_fit(region, decimals, milliloss)
            for name in COEFFICIENTS:
                if (name, found.surface["A"]) != ("alpha", 0) and (name, found.surface["B"]) != ("beta", 0):
                    expected = pytest.approx(found.surface[name], rel=TOLERANCE, abs=TOLERANCE)
                    assert shown[f"vpnls.{name}"] == expected, (toy, name)
            assert shown["vpnls.error"] == pytest.approx(row["loss_error"], abs=TOLERANCE)


def test_a_number_typed_into_a_field_is_taken_with_all_its_digits(page: Page) -> None:
    page.fill("#field-alpha", "0.3456789")
    page.fill("#field-drift", "3")
    page.fill("#field-noise", "0.0123456")
    shown, expected = read(page), in_python(settings(page))
    assert settings(page)["alpha"] == 0.3456789
    for name in ("approach2.tokens", "vpnls.tokens", "vpnls.A", "vpnls.E"):
        assert shown[name] == pytest.approx(expected[name], rel=TOLERANCE)
    page.fill("#field-points", "2")
    assert page.get_attribute("#field-points", "aria-invalid") == "true"
    assert page.inner_text("#status") == "Points goes from 3 to 31, in whole numbers."
    assert settings(page)["points"] == 15
    page.focus("#field-alpha")
    assert page.input_value("#field-points") == "2", "what cannot be taken stays, with its sentence, to be mended"
    assert page.inner_text("#status") == "Points goes from 3 to 31, in whole numbers."
    page.fill("#field-points", "7")
    assert (settings(page)["points"], page.inner_text("#status")) == (7, "")
