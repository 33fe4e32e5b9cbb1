"""Kaplan et al. 2020 (arXiv:2001.08361), N non-embedding parameters; and Pearce & Song's total count."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.typing import Array
from lawful.laws.catalogue_coupled import power, two_terms
from lawful.laws.law import Coefficients, Law, Meaning, Screen

SCALE_BOX = (1e-30, 1e60)
"""Bounds of a scale such as Nc: a weak exponent puts it dozens of decades beyond the runs."""

TABLE5 = {
    "kaplan-n": {"Nc": 8.8e13, "alphaN": 0.076},
    "kaplan-d": {"Dc": 5.4e13, "alphaD": 0.095},
    "kaplan-c": {"Cc": 1.6e7, "alphaC": 0.057},
    "kaplan-cmin": {"Cc": 3.1e8, "alphaC": 0.050},
    "kaplan-nd": {"Nc": 6.4e13, "Dc": 1.8e13, "alphaN": 0.076, "alphaD": 0.103},
    "kaplan-ns": {"Nc": 6.5e13, "Sc": 2.1e3, "alphaN": 0.077, "alphaS": 0.76},
}
"""Published constants (tables 2, 3 and 5); compute in PF-days. The three triples are not to be mixed."""

PF_DAY = 8.64e19
"""FLOPs of a petaflop/s-day."""

IN_FLOPS = {name: {**k, "Cc": k["Cc"] * PF_DAY} if "Cc" in k else dict(k) for name, k in TABLE5.items()}
"""The same with compute in FLOPs, as the laws here take it."""

BATCH = {"Bstar": 2.1e8, "alphaB": 0.21}
"""Critical batch in tokens, table 5 (the text rounds Bstar to 2e8)."""

FRONTIER = {"params": (1.3e9, 0.73), "batch": (2.0e6, 0.24), "steps": (5.4e3, 0.03), "tokens": (2.0e10, 0.27)}
"""Scale and exponent in C_min (PF-days) of the empirical frontier, table 6."""


def _scale_power(scale: Any, x: Any, exponent: Any) -> Any:
    return np.exp(exponent * (np.log(scale) - np.log(x)))


COUNTED = {"N": "parameters", "D": "tokens", "C": "FLOPs", "C_min": "PF-days", "S": "steps"}
"""What the columns of these laws count; the constants of table 5 for compute are in PF-days."""


def _scale_meanings(scale: str, exponent: str, column: str) -> dict[str, Meaning]:
    counted = COUNTED[column]
    return {
        scale: Meaning(f"{counted} at which the term in them is one nat", counted),
        exponent: Meaning(f"how fast loss falls with {counted}"),
    }


def _univariate(name: str, column: str, scale: str, exponent: str) -> Law:
    def form(k: Coefficients, x: Any) -> Any:
        return _scale_power(k[scale], x, k[exponent])

    def screen(x: Array) -> Screen:
        logs = np.log(x)
        middle = logs.mean()

        def basis(s: Array) -> Array:
            return np.asarray(np.exp(-s[:, :1] * (logs - middle))[:, None])

        def assemble(c: Array, s: Array) -> dict[str, Any]:
            with np.errstate(divide="ignore"):
                return {scale: np.exp(np.log(c[:, 0]) / s[:, 0] + middle), exponent: s[:, 0]}

        return Screen(((0.01, 1.5),), basis, assemble)

    return Law(
        name,
        (scale,),
        (exponent,),
        (column,),
        form=form,
        screen=screen,
        box={scale: SCALE_BOX},
        logs=(scale,),
        formula=f"L({column}) = ({scale}/{column})^{exponent}",
        meanings=_scale_meanings(scale, exponent, column),
    )


def kaplan_nd(k: Coefficients, n: Any, d: Any) -> Any:
    """Loss [(Nc/N)^(alphaN/alphaD) + Dc/D]^alphaD (equation 1.5)."""
    inside = _scale_power(k["Nc"], n, k["alphaN"] / k["alphaD"]) + k["Dc"] / d
    return np.exp(k["alphaD"] * np.log(inside))


def _nd_terms(k: Coefficients) -> Coefficients:
    # L^(1/alphaD) = Nc^p N^-p + Dc D^-1 with p = alphaN/alphaD (equation 1.5): two powers, beta = 1.
    p = k["alphaN"] / k["alphaD"]
    return {"A": k["Nc"] ** p, "B": k["Dc"], "alpha": p, "beta": 1.0 + 0.0 * p}


def _nd_screen(n: Array, d: Array) -> Screen:
    basis, coefficients = two_terms(n, d)

    def shapes(s: Array) -> Array:
        # alphaN, log ratio, alphaD: with beta = 1 inside, the exponent of D in the loss is the outer power.
        return np.stack([s[:, 0], s[:, 2], s[:, 1], s[:, 2]], axis=1)

    def assemble(c: Array, s: Array) -> dict[str, Any]:
        inner = coefficients(c[:, 0], shapes(s))
        return {"Nc": inner["A"] ** (1 / inner["alpha"]), "Dc": inner["B"], "alphaN": s[:, 0], "alphaD": s[:, 2]}

    return Screen(((0.02, 0.8), (-5.0, 5.0), (0.02, 0.8)), lambda s: basis(shapes(s), constant=False), assemble)


def kaplan_ns(k: Coefficients, n: Any, s: Any) -> Any:
    """Loss (Nc/N)^alphaN + (Sc/S)^alphaS (equation 1.6)."""
    return _scale_power(k["Nc"], n, k["alphaN"]) + _scale_power(k["Sc"], s, k["alphaS"])


def _ns_screen(n: Array, steps: Array) -> Screen:
    x, y = np.log(n), np.log(steps)

    def basis(s: Array) -> Array:
        return np.stack([np.exp(-s[:, :1] * (x - x.mean())), np.exp(-s[:, 1:] * (y - y.mean()))], axis=1)

    def assemble(c: Array, s: Array) -> dict[str, Any]:
        logs = np.log(np.maximum(c, 1e-12))
        nc, sc = logs[:, 0] / s[:, 0] + x.mean(), logs[:, 1] / s[:, 1] + y.mean()
        return {"Nc": np.exp(nc), "Sc": np.exp(sc), "alphaN": s[:, 0], "alphaS": s[:, 1]}

    return Screen(((0.02, 1.0), (0.05, 1.5)), basis, assemble)


KAPLAN = (
    _univariate("kaplan-n", "N", "Nc", "alphaN"),
    _univariate("kaplan-d", "D", "Dc", "alphaD"),
    _univariate("kaplan-c", "C", "Cc", "alphaC"),
    _univariate("kaplan-cmin", "C_min", "Cc", "alphaC"),
    Law(
        "kaplan-nd",
        ("Nc", "Dc"),
        ("alphaN", "alphaD"),
        ("N", "D"),
        form=kaplan_nd,
        screen=_nd_screen,
        terms=_nd_terms,
        box={"Nc": SCALE_BOX, "Dc": SCALE_BOX},
        logs=("Nc", "Dc"),
        formula="L(N, D) = [(Nc/N)^(alphaN/alphaD) + Dc/D]^alphaD",
        meanings=_scale_meanings("Nc", "alphaN", "N") | _scale_meanings("Dc", "alphaD", "D"),
    ),
    Law(
        "kaplan-ns",
        ("Nc", "Sc"),
        ("alphaN", "alphaS"),
        ("N", "S"),
        form=kaplan_ns,
        screen=_ns_screen,
        box={"Nc": SCALE_BOX, "Sc": SCALE_BOX},
        logs=("Nc", "Sc"),
        formula="L(N, S) = (Nc/N)^alphaN + (Sc/S)^alphaS",
        meanings=_scale_meanings("Nc", "alphaN", "N") | _scale_meanings("Sc", "alphaS", "S"),
    ),
)
"""Kaplan's laws; S is the minimal number of steps. None has an irreducible loss."""


def overfit(k: Coefficients, params: ArrayLike, tokens: ArrayLike) -> Any:
    """Relative excess of L(N, D) over unlimited data, which depends on N^0.74/D alone (equation 4.3)."""
    n, d = np.asarray(params, float), np.asarray(tokens, float)
    return np.expm1(k["alphaD"] * np.log1p((n / k["Nc"]) ** (k["alphaN"] / k["alphaD"]) * k["Dc"] / d))


def least_tokens(params: ArrayLike, scale: float = 5e3, exponent: float = 0.74) -> Any:
    """Tokens that keep the overfitting of N parameters within about 2% (equation 4.4)."""
    return scale * np.asarray(params, float) ** exponent


def critical_batch(loss: ArrayLike, k: Coefficients = BATCH) -> Any:
    """Critical batch size in tokens at a loss, Bstar/L^(1/alphaB) (table 5)."""
    return k["Bstar"] / np.asarray(loss, float) ** (1 / k["alphaB"])


def least_compute(budget: ArrayLike, batch: ArrayLike, loss: ArrayLike, k: Coefficients = BATCH) -> Any:
    """Compute that a run at a batch far below the critical one would have needed (equation 5.5)."""
    return np.asarray(budget, float) / (1 + np.asarray(batch, float) / critical_batch(loss, k))


def table6(quantity: str, compute: ArrayLike) -> Any:
    """Empirical frontier at a minimal compute in PF-days: params, batch, steps or tokens (table 6)."""
    scale, exponent = FRONTIER[quantity]
    return scale * np.asarray(compute, float) ** exponent


def frontier_b(k: Coefficients = TABLE5["kaplan-ns"], batch: Coefficients = BATCH) -> dict[str, float]:
    """
    Frontier that L(N, S) at the critical batch implies (appendix B).

    Returns
    -------
    dict
        ``alphaC`` and ``Cc`` (FLOPs) of L(C) = (Cc/C)^alphaC, and scale and exponent of N(C)
        and S(C) as ``N0, aN, S0, aS``.

    Examples
    --------
    >>> found = frontier_b()
    >>> print(f"{found['alphaC']:.4f} {found['N0'] * 1e21 ** found['aN']:.3g}")
    0.0525 3.1e+09
    """
    # At the critical batch a run of S_min steps takes C_min = 6 N S_min B(L), B = Bstar L^(-1/alphaB). Minimising
    # L(N, S_min) at a given C_min makes the S term alphaN/alphaS of the N term, L* = (Nc/N)^alphaN (1 + alphaN/alphaS);
    # put back, every quantity is a power of C_min with 1/alphaC = 1/alphaS + 1/alphaB + 1/alphaN (appendix B).
    an, a_s, ab = k["alphaN"], k["alphaS"], batch["alphaB"]
    ac = 1 / (1 / a_s + 1 / ab + 1 / an)
    ratio = 1 + an / a_s
    six = 6 * k["Nc"] * batch["Bstar"]
    cc = six * k["Sc"] * ratio ** (1 / a_s + 1 / an) * (a_s / an) ** (1 / a_s)
    return {
        "alphaC": ac,
        "Cc": cc,
        "N0": k["Nc"] * cc ** (-ac / an) * ratio ** (1 / an),
        "aN": ac / an,
        "S0": cc / six * ratio ** (-1 / an) * cc ** (-ac / a_s),
        "aS": ac / a_s,
    }


def short_of_convergence(f: float, reference: float, k: Coefficients = TABLE5["kaplan-ns"]) -> dict[str, float]:
    """Ratios of N, S and C when training to a fraction f above L(N, inf) instead of another (equation B.13)."""
    n = ((1 + f) / (1 + reference)) ** (1 / k["alphaN"])
    s = ((1 + 1 / f) / (1 + 1 / reference)) ** (1 / k["alphaS"])
    return {"params": n, "steps": s, "compute": n * s}


def off_size(ratio: ArrayLike, k: Coefficients = TABLE5["kaplan-ns"]) -> Any:
    """Compute of a model that is this many times the efficient size, in units of the efficient compute (B.16)."""
    r = np.asarray(ratio, float)
    return r * (1 + k["alphaS"] / k["alphaN"] * (1 - r ** -k["alphaN"])) ** (-1 / k["alphaS"])


OMEGA = 47491.0
"""Pearce & Song's fit of N_total = N + omega N^(1/3), N non-embedding parameters."""


def total_params(params: Any, omega: Any = OMEGA) -> Any:
    """Total parameters of a model with these non-embedding ones (Pearce & Song 2024, arXiv:2406.12907)."""
    return params + omega * np.exp(np.log(params) / 3)


def pearce_song(k: Coefficients, n: Any, d: Any) -> Any:
    """Chinchilla's law in total parameters, as a function of non-embedding ones."""
    return k["E"] + power(k["A"], total_params(n, k["omega"]), k["alpha"]) + power(k["B"], d, k["beta"])


def _pearce_screen(n: Array, d: Array) -> Screen:
    y = np.log(d)

    # Given omega this is Chinchilla's law in the total count, so E, A and B are linear; searched are the exponents
    # and ln omega.
    def columns(s: Array) -> tuple[Array, Array]:
        total = np.log(total_params(n, np.exp(s[:, 2:3])))
        return total, total.mean(axis=1)

    def basis(s: Array) -> Array:
        total, middle = columns(s)
        in_n = np.exp(-s[:, :1] * (total - middle[:, None]))
        return np.stack([np.ones_like(in_n), in_n, np.exp(-s[:, 1:2] * (y - y.mean()))], axis=1)

    def assemble(c: Array, s: Array) -> dict[str, Any]:
        _, middle = columns(s)
        a, b = c[:, 1] * np.exp(s[:, 0] * middle), c[:, 2] * np.exp(s[:, 1] * y.mean())
        return {"E": c[:, 0], "A": a, "B": b, "alpha": s[:, 0], "beta": s[:, 1], "omega": np.exp(s[:, 2])}

    # Between omega N^(1/3) far below N and far above it.
    low, high = 2 / 3 * np.log(n.min()) - 3.0, 2 / 3 * np.log(n.max()) + 3.0
    return Screen(((0.03, 1.2), (0.03, 1.2), (float(low), float(high))), basis, assemble)


PEARCE_SONG = Law(
    "pearce-song",
    ("E", "A", "B"),
    ("alpha", "beta", "omega"),
    ("N", "D"),
    form=pearce_song,
    screen=_pearce_screen,
    box={"omega": (1e-6, 1e12)},
    amounts=(("A", "alpha", "N"), ("B", "beta", "D")),
    logs=("omega",),
    formula="L(N, D) = E + A/(N + omega N^(1/3))^alpha + B/D^beta",
    meanings={"omega": Meaning("embedding parameters of a model with one other parameter", "parameters^(2/3)")},
)
"""L = E + A/(N + omega N^(1/3))^alpha + B/D^beta, N non-embedding parameters."""
