"""Learning curves: laws in one column, from Amari's four types to Hestness and L(C)."""

from __future__ import annotations

from typing import Any

import numpy as np

from lawful.core.typing import Array
from lawful.laws.law import NATS, Coefficients, Law, Meaning, Screen


def _amari(number: int, exponent: float, formula: str, *, noisy: bool) -> Law:
    box = {"alpha": (exponent, exponent)} | ({} if noisy else {"E": (0.0, 0.0)})
    return Law(f"amari-{number}", ("E", "c"), ("alpha",), ("D",), box=box, formula=formula)


AMARI = (
    _amari(1, 1.0, "L(D) = c/D", noisy=False),
    _amari(2, 2.0, "L(D) = c/D^2", noisy=False),
    _amari(3, 0.5, "L(D) = c/D^(1/2)", noisy=False),
    _amari(4, 1.0, "L(D) = E + c/D", noisy=True),
)
"""Amari, Fujita & Shinomoto 1992: c/D for a unique noiseless solution, c/D^2 for a manifold of them, c/sqrt(D)
for noisy labels, c/D + E for a stochastic learner. Their exponents are theorems, so fits hold them."""

HESTNESS = Law("hestness", ("E", "A"), ("alpha",), ("D",))
"""e(D) = A/D^alpha + E (Hestness et al. 2017; their b is -alpha and their c is E)."""

COMPUTE_LAW = Law("compute", ("E", "A"), ("alpha",), ("C",))
"""L(C) = E + A/C^alpha: the frontier with a floor."""


def lesser(a: Any, b: Any) -> Any:
    """Return the smaller by real part: a minimum that complex numbers pass through."""
    return np.where(np.real(a) <= np.real(b), a, b)


def hestness_regions(k: Coefficients, d: Any) -> Any:
    """Error by region: the best guess while data are few, then a power law with a floor."""
    return lesser(k["guess"] + 0.0 * d, k["E"] + k["A"] * np.exp(-k["alpha"] * np.log(d)))


def _regions_screen(d: Array) -> Screen:
    x = np.log(d)
    middle = x.mean()

    def joined(s: Array) -> tuple[Array, Array]:
        alpha, join = s[:, :1], s[:, 1:]
        # The power stops growing below the join, so that guess = E + A exp(-alpha join).
        column = np.exp(-alpha * (np.maximum(x, join) - middle))
        return column, np.exp(-alpha * (join - middle))

    def basis(s: Array) -> Array:
        column, _ = joined(s)
        return np.stack([np.ones_like(column), column], axis=1)

    def assemble(c: Array, s: Array) -> dict[str, Any]:
        _, top = joined(s)
        return {
            "E": c[:, 0],
            "A": c[:, 1] * np.exp(s[:, 0] * middle),
            "alpha": s[:, 0],
            "guess": c[:, 0] + c[:, 1] * top[:, 0],
        }

    return Screen(((0.03, 1.2), (float(x.min()), float(x.max()))), basis, assemble)


HESTNESS_REGIONS = Law(
    "hestness-regions",
    ("E", "A", "guess"),
    ("alpha",),
    ("D",),
    form=hestness_regions,
    screen=_regions_screen,
    amounts=(("A", "alpha", "D"),),
    formula="L(D) = min(guess, E + A/D^alpha)",
    meanings={"guess": Meaning("loss of the best guess, which few data do not improve", NATS)},
)
"""min(guess, A/D^alpha + E): the small-data region, where no model beats the best guess, joined to the power law."""
