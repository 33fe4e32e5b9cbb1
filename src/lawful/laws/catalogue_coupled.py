"""
Laws in model size and tokens: Chinchilla's sum, the coupled law around it, and Rosenfeld's envelope.

All of them rise with one sum, S = A/N^alpha + B/D^beta, and with nothing else: L = phi(S) with phi
rising. On a budget line, N D = C/6, the loss is therefore least where S is, whatever phi is, and with
u = ln N the condition dS/du = 0 reads alpha A/N^alpha = beta B/D^beta: N* = G (C/6)^a and
D* = (C/6)^b / G, with a = beta/(alpha+beta), b = 1 - a and G = (alpha A/(beta B))^(1/(alpha+beta)). Each law
says through ``terms`` what its A, B, alpha and beta of S are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lawful.core.typing import Array
from lawful.laws.law import NATS, Coefficients, Curvature, Differentiated, Law, Meaning, Screen, TwoPowers

RATIO_BOX = (-5.0, 5.0)
"""Logs of the ratio of the two terms at the middle of the runs that a search starts from."""


def power(scale: Any, x: Any, exponent: Any) -> Any:
    """Return scale times x^-exponent, through logarithms of x alone."""
    return scale * np.exp(-exponent * np.log(x))


CHINCHILLA = Law("chinchilla", ("E", "A", "B"), ("alpha", "beta"), ("N", "D"))
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

    # The law is g = (A N^-alpha + B D^-beta)^k. With the first term taken out at the middle (mx, my) of the runs,
    # g = amount (e^(-alpha (x - mx)) + e^(rho - beta (y - my)))^k: amount = (A e^(-alpha mx))^k is linear, and what is
    # left has no large numbers. Searched are a = k alpha and b = k beta, the exponents that the loss itself shows.
    def basis(s: Array, *, constant: bool = True) -> Array:
        a, b, rho, k = (s[:, i, None] for i in range(4))
        inside = np.logaddexp(-a / k * (x - mx), rho - b / k * (y - my))
        column = np.exp(k * inside)
        return np.stack([np.ones_like(column), column], axis=1) if constant else column[:, None]

    def coefficients(amount: Array, s: Array) -> dict[str, Any]:
        a, b, rho, k = s.T
        with np.errstate(divide="ignore"):
            level = np.log(amount) / k  # ln A - alpha mx
        return {
            "A": np.exp(level + a / k * mx),
            "B": np.exp(level + rho + b / k * my),
            "alpha": a / k,
            "beta": b / k,
            "k": k,
        }

    return basis, coefficients


INSIDE = {
    "A": Meaning("weight of the model size term inside the power", f"({NATS})^(1/k) × parameters^alpha"),
    "B": Meaning("weight of the tokens term inside the power", f"({NATS})^(1/k) × tokens^beta"),
}


DIFFERENCE = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
"""Slopes of a - alpha x - (b - beta y) in (a, b, alpha, beta) as weights on 1, x and y."""


def skaling_derivatives(columns: tuple[Array, ...], centre: Array) -> Differentiated:
    r"""
    Values, slopes and curvature of ``E + (e^(a - alpha x) + e^(b - beta y))^k`` in ``z = (E, a, b, alpha, beta, k)``.

    x and y are ln N and ln D less their centres, a and b the logs of A and B there. With s the log of
    the bracket the reducible loss is g = e^(k s), and everything follows from ds and d²s:
    ``dg = g dh``, ``d²g = g (dh dh' + d²h)`` with h = k s. Of s itself, share = e^(a - alpha x - s) is
    the weight of the first term, so ds = share d(a - alpha x) + (1 - share) d(b - beta y), and
    d²s = share (1 - share) times the square of the difference of both.
    """
    x, y = (np.log(column) - centre[i] for i, column in zip((1, 2), columns, strict=True))
    level = np.stack([np.ones_like(x), x, y])

    def at(z: Array) -> tuple[Array, Array, Curvature]:
        k = z[:, 5:6]
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            in_n, in_d = z[:, 1:2] - z[:, 3:4] * x, z[:, 2:3] - z[:, 4:5] * y
            # One exponential of the difference has both the sum of the terms and the share of the first.
            apart = in_n - in_d
            small = np.exp(-np.abs(apart))
            s = np.maximum(in_n, in_d) + np.log1p(small)
            share = np.nan_to_num(np.where(apart > 0, 1.0, small) / (1.0 + small))
            g = np.exp(np.minimum(k * s, 300.0))
        rest = 1.0 - share
        first = np.stack([share, rest, -share * x, -rest * y], axis=1)
        slope = np.empty((len(z), 6, x.size))
        slope[:, 0] = 1.0
        slope[:, 1:5] = (g * k)[:, None] * first
        slope[:, 5] = g * s

        def curvature(v: Array) -> Array:
            out = np.zeros((len(z), 6, 6))
            weight = v * g
            h = np.concatenate([k[:, None] * first, s[:, None]], axis=1)
            out[:, 1:, 1:] = (h * weight[:, None]) @ h.transpose(0, 2, 1)
            # The difference of the two logs, which bends s, has the slopes (1, -1, -x, y).
            bend = weight * k * share * rest
            out[:, 1:5, 1:5] += DIFFERENCE @ ((bend[:, None] * level) @ level.T) @ DIFFERENCE.T
            cross = (first @ weight[:, :, None])[:, :, 0]
            out[:, 1:5, 5] += cross
            out[:, 5, 1:5] += cross
            return out

        return z[:, :1] + g, slope, curvature

    return at


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
    terms=TwoPowers("A", "B", "alpha", "beta"),
    box={"alpha": (0.01, 4.0), "beta": (0.01, 4.0), "k": (0.05, 2.0)},
    amounts=(("A", "alpha", "N"), ("B", "beta", "D")),
    formula="L(N, D) = E + (A/N^alpha + B/D^beta)^k",
    meanings=INSIDE
    | {"k": Meaning("power of the sum of both terms: 1 is Chinchilla's law, below 1 they help each other")},
    derivatives=skaling_derivatives,
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
    # The loss rises with (A N^-alpha)^(1/q) + (B D^-beta)^(1/q), again a sum of two powers, with exponents over q:
    # their ratio, and with it a = beta/(alpha+beta), does not depend on q.
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
    formula="L(N, D) = E + [(A/N^alpha)^(1/q) + (B/D^beta)^(1/q)]^q",
    meanings={"q": Meaning("how softly the two terms join: 1 adds them, towards 0 the larger one alone counts")},
)
"""The coupled law in coefficients of the loss: q = 1 is Chinchilla, E = 0 and q = alpha_D is Kaplan's L(N, D)."""


FORMERLY = {"a": "a_n", "b": "b_m"}
"""The paper's a and b, which lawful 0.1.0 wrote: they are the exponents of the frontier everywhere else."""

ROSENFELD = Law("rosenfeld", ("cinf", "a_n", "b_m"), ("alpha", "beta"), ("D", "N"), formerly=FORMERLY)
"""e(m, n) = a_n n^-alpha + b_m m^-beta + c_inf, n data and m parameters (Rosenfeld et al. 2020, equation 4)."""


def rosenfeld_envelope(k: Coefficients, d: Any, n: Any) -> Any:
    """Error of the envelope, eps0 e / sqrt(e^2 + eta^2), with e the additive law."""
    e = k["cinf"] + power(k["a_n"], d, k["alpha"]) + power(k["b_m"], n, k["beta"])
    return k["eps0"] * e / np.sqrt(e * e + k["eta"] ** 2)


def _envelope_screen(d: Array, n: Array) -> Screen:
    y, x = np.log(d), np.log(n)
    my, mx = y.mean(), x.mean()

    # With eta = 1 the error e decides the shape and eps0 alone is linear; e is written by its level at the middle of
    # the runs, the log ratio of both terms there, and the floor relative to the first.
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
            "a_n": np.exp(level + alpha * my),
            "b_m": np.exp(level + rho + beta * mx),
        }

    return Screen(((0.05, 1.2), (0.05, 1.2), (-5.0, 2.0), RATIO_BOX, (-6.0, 1.0)), basis, assemble)


ROSENFELD_ENVELOPE = Law(
    "rosenfeld-envelope",
    ("cinf", "a_n", "b_m", "eps0"),
    ("alpha", "beta", "eta"),
    ("D", "N"),
    form=rosenfeld_envelope,
    screen=_envelope_screen,
    terms=TwoPowers("b_m", "a_n", "beta", "alpha"),
    box={"eta": (1.0, 1.0)},
    amounts=(("a_n", "alpha", "D"), ("b_m", "beta", "N")),
    logs=("eps0",),
    formula="L(D, N) = eps0 e/sqrt(e^2 + eta^2) with e = cinf + a_n/D^alpha + b_m/N^beta",
    meanings={
        "cinf": Meaning("what is left of e however much is spent", "eta"),
        "a_n": Meaning("weight of the tokens term of e", "eta × tokens^alpha"),
        "b_m": Meaning("weight of the model size term of e", "eta × parameters^beta"),
        "eps0": Meaning("loss of random guessing", NATS),
        "eta": Meaning("where e leaves the plateau of random guessing; 1 by convention"),
    },
    formerly=FORMERLY,
)
"""Rosenfeld's envelope joins the plateau of random guessing, eps0, to the additive law. Scaling a_n, b_m, c_inf
and eta together changes nothing, so fits hold eta = 1."""
