"""Laws in model size and tokens: Chinchilla's sum, the coupled law around it, and Rosenfeld's envelope."""

from __future__ import annotations

from typing import Any

import numpy as np

from lawful.core.typing import Array
from lawful.laws.law import Coefficients, Law, Screen

RATIO_BOX = (-5.0, 5.0)
"""Logs of the ratio of the two terms at the middle of the runs that a search starts from."""


def power(scale: Any, x: Any, exponent: Any) -> Any:
    """Return scale times x^-exponent, through logarithms of x alone."""
    return scale * np.exp(-exponent * np.log(x))


def chinchilla_terms(k: Coefficients) -> Coefficients:
    """Return the two powers of Chinchilla's law and of the coupled law."""
    return {name: k[name] for name in ("A", "B", "alpha", "beta")}


CHINCHILLA = Law("chinchilla", ("E", "A", "B"), ("alpha", "beta"), ("N", "D"), terms=chinchilla_terms)
"""L(N, D) = E + A/N^alpha + B/D^beta (Hoffmann et al. 2022, equation 2)."""


def skaling(k: Coefficients, n: Any, d: Any) -> Any:
    """Loss of the coupled law, E + (A/N^alpha + B/D^beta)^k."""
    inside = power(k["A"], n, k["alpha"]) + power(k["B"], d, k["beta"])
    return k["E"] + np.exp(k["k"] * np.log(inside))


def two_terms(n: Array, d: Array) -> Any:
    """
    Columns of a power of two powers, for screening.

    Shapes are the exponents (both scaled by the outer power, so that they are those of the
    loss), the log ratio of the terms at the middle of the runs, and the outer power.
    """
    x, y = np.log(n), np.log(d)
    mx, my = x.mean(), y.mean()

    def basis(s: Array, *, constant: bool = True) -> Array:
        a, b, rho, k = (s[:, i, None] for i in range(4))
        inside = np.logaddexp(-a / k * (x - mx), rho - b / k * (y - my))
        column = np.exp(k * inside)
        return np.stack([np.ones_like(column), column], axis=1) if constant else column[:, None]

    def coefficients(amount: Array, s: Array) -> dict[str, Any]:
        a, b, rho, k = s.T
        with np.errstate(divide="ignore"):
            level = np.log(amount) / k
        return {
            "A": np.exp(level + a / k * mx),
            "B": np.exp(level + rho + b / k * my),
            "alpha": a / k,
            "beta": b / k,
            "k": k,
        }

    return basis, coefficients


def _skaling_screen(n: Array, d: Array) -> Screen:
    basis, coefficients = two_terms(n, d)

    def assemble(c: Array, s: Array) -> dict[str, Any]:
        return {"E": c[:, 0], **coefficients(c[:, 1], s)}

    return Screen(((0.03, 0.9), (0.03, 0.9), RATIO_BOX, (0.1, 1.6)), basis, assemble)


SKALING = Law(
    "skaling",
    ("E", "A", "B"),
    ("alpha", "beta", "k"),
    ("N", "D"),
    form=skaling,
    screen=_skaling_screen,
    terms=chinchilla_terms,
    box={"alpha": (0.01, 4.0), "beta": (0.01, 4.0), "k": (0.05, 2.0)},
    amounts=(("A", "alpha", "N"), ("B", "beta", "D")),
)
"""L = E + (A/N^alpha + B/D^beta)^k (Skaling, arXiv:2608.07222): k = 1 is Chinchilla; N* and D* do not depend on k."""


def nested(k: Coefficients, n: Any, d: Any) -> Any:
    """Loss of the nested family, E + [(A N^-alpha)^(1/q) + (B D^-beta)^(1/q)]^q."""
    in_n = (np.log(k["A"]) - k["alpha"] * np.log(n)) / k["q"]
    in_d = (np.log(k["B"]) - k["beta"] * np.log(d)) / k["q"]
    # The larger of the two is taken out: for small q the terms themselves overflow.
    top = np.where(np.real(in_n) >= np.real(in_d), in_n, in_d)
    low = np.where(np.real(in_n) >= np.real(in_d), in_d, in_n)
    return k["E"] + np.exp(k["q"] * (top + np.log(1.0 + np.exp(low - top))))


def _nested_terms(k: Coefficients) -> Coefficients:
    q = k["q"]
    return {"A": k["A"] ** (1 / q), "B": k["B"] ** (1 / q), "alpha": k["alpha"] / q, "beta": k["beta"] / q}


def _nested_screen(n: Array, d: Array) -> Screen:
    basis, coefficients = two_terms(n, d)

    def assemble(c: Array, s: Array) -> dict[str, Any]:
        inner = coefficients(c[:, 1], s)
        q = inner.pop("k")
        with np.errstate(over="ignore"):
            return {"E": c[:, 0], "A": inner["A"] ** q, "B": inner["B"] ** q, "alpha": s[:, 0], "beta": s[:, 1], "q": q}

    return Screen(((0.03, 0.9), (0.03, 0.9), RATIO_BOX, (0.1, 1.6)), basis, assemble)


NESTED = Law(
    "nested",
    ("E", "A", "B"),
    ("alpha", "beta", "q"),
    ("N", "D"),
    form=nested,
    screen=_nested_screen,
    terms=_nested_terms,
    box={"q": (0.05, 2.0)},
    amounts=(("A", "alpha", "N"), ("B", "beta", "D")),
)
"""The coupled law in coefficients of the loss: q = 1 is Chinchilla, E = 0 and q = alpha_D is Kaplan's L(N, D)."""


def _rosenfeld_terms(k: Coefficients) -> Coefficients:
    return {"A": k["b"], "B": k["a"], "alpha": k["beta"], "beta": k["alpha"]}


ROSENFELD = Law("rosenfeld", ("cinf", "a", "b"), ("alpha", "beta"), ("D", "N"), terms=_rosenfeld_terms)
"""e(m, n) = a n^-alpha + b m^-beta + c_inf, n data and m parameters (Rosenfeld et al. 2020, equation 4)."""


def rosenfeld_envelope(k: Coefficients, d: Any, n: Any) -> Any:
    """Error of the envelope, eps0 e / sqrt(e^2 + eta^2), with e the additive law."""
    e = k["cinf"] + power(k["a"], d, k["alpha"]) + power(k["b"], n, k["beta"])
    return k["eps0"] * e / np.sqrt(e * e + k["eta"] ** 2)


def _envelope_screen(d: Array, n: Array) -> Screen:
    y, x = np.log(d), np.log(n)
    my, mx = y.mean(), x.mean()

    def errors(s: Array) -> Array:
        alpha, beta, level, rho, floor = (s[:, i, None] for i in range(5))
        total = np.exp(-alpha * (y - my)) + np.exp(rho - beta * (x - mx)) + np.exp(floor)
        return np.asarray(np.exp(level) * total)

    def basis(s: Array) -> Array:
        e = errors(s)
        return np.asarray((e / np.sqrt(e * e + 1.0))[:, None])

    def assemble(c: Array, s: Array) -> dict[str, Any]:
        alpha, beta, level, rho, floor = s.T
        return {
            "eps0": c[:, 0],
            "eta": np.ones(len(c)),
            "alpha": alpha,
            "beta": beta,
            "cinf": np.exp(level + floor),
            "a": np.exp(level + alpha * my),
            "b": np.exp(level + rho + beta * mx),
        }

    return Screen(((0.05, 1.2), (0.05, 1.2), (-5.0, 2.0), RATIO_BOX, (-6.0, 1.0)), basis, assemble)


ROSENFELD_ENVELOPE = Law(
    "rosenfeld-envelope",
    ("cinf", "a", "b", "eps0"),
    ("alpha", "beta", "eta"),
    ("D", "N"),
    form=rosenfeld_envelope,
    screen=_envelope_screen,
    terms=_rosenfeld_terms,
    box={"eta": (1.0, 1.0)},
    amounts=(("a", "alpha", "D"), ("b", "beta", "N")),
    logs=("eps0",),
)
"""Rosenfeld's envelope joins the plateau of random guessing, eps0, to the additive law. Scaling a, b, c_inf
and eta together changes nothing, so fits hold eta = 1."""
