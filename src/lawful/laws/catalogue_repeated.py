"""Laws for repeated data, in parameters N, tokens seen D and unique tokens U."""

from __future__ import annotations

from typing import Any

import numpy as np

from lawful.core.typing import Array
from lawful.laws.catalogue_coupled import power
from lawful.laws.catalogue_curves import lesser
from lawful.laws.law import NATS, Coefficients, Law, Meaning, Screen

MUENNIGHOFF_PUBLISHED = {
    "E": float(np.exp(0.6254804)),
    "A": float(np.exp(6.255414)),
    "B": float(np.exp(7.3049974)),
    "alpha": 0.3526596,
    "beta": 0.3526596,
    "RD": 15.387756,
    "RN": 5.309743,
}
"""Muennighoff et al. 2023 (arXiv:2305.16264): exponents tied; RD and RN are their R_D* and R_N*."""


def _at_least(value: Any, least: float) -> Any:
    return np.where(np.real(value) >= least, value, least)


def worth(unique: Any, repeats: Any, scale: Any) -> Any:
    """
    Return what repeats are worth in unique units, u + u R* (1 - e^(-r/R*)); exactly u without repeats.

    The i-th repeat is worth e^(-i/R*) of the first use; the sum over r repeats is this integral (equations 5 and 6).
    """
    return unique + unique * scale * -np.expm1(-repeats / scale)


def effective_tokens(k: Coefficients, d: Any, u: Any) -> Any:
    """Tokens D' of unique data that D tokens with repeats are worth."""
    unique = lesser(u, d + 0.0 * u)
    return worth(unique, _at_least(d / unique - 1.0, 0.0), k["RD"])


def matched_params(k: Coefficients, tokens: Any) -> Any:
    """
    Compute-optimal parameters U_N for this many unique tokens, G (G U)^(beta/alpha).

    From D* = (C/6)^b / G the budget whose optimum has D* = U is C/6 = (G U)^(1/b), and N* = G (C/6)^a with
    a/b = beta/alpha.
    """
    alpha, beta = k["alpha"], k["beta"]
    log_g = (np.log(alpha * k["A"]) - np.log(beta * k["B"])) / (alpha + beta)
    return np.exp(log_g + beta / alpha * (log_g + np.log(tokens)))


def effective_params(k: Coefficients, n: Any, d: Any, u: Any) -> Any:
    """Parameters N' that N are worth when the unique data match fewer."""
    base = lesser(n + 0.0 * d, matched_params(k, lesser(u, d + 0.0 * u)))
    return worth(base, _at_least(n / base - 1.0, 0.0), k["RN"])


def muennighoff(k: Coefficients, n: Any, d: Any, u: Any) -> Any:
    """Loss E + A/N'^alpha + B/D'^beta."""
    in_n = power(k["A"], effective_params(k, n, d, u), k["alpha"])
    return k["E"] + in_n + power(k["B"], effective_tokens(k, d, u), k["beta"])


def _muennighoff_screen(n: Array, d: Array, u: Array) -> Screen:
    unique = np.minimum(u, d)
    repeats = np.maximum(d / unique - 1.0, 0.0)
    x, y = np.log(n).mean(), np.log(d).mean()

    def columns(s: Array) -> tuple[Array, Array]:
        alpha, beta, rd, rn, log_g = (s[:, i, None] for i in range(5))
        base = np.minimum(n, np.exp(log_g + x + beta / alpha * (log_g + np.log(unique) - y)))
        in_n = np.log(worth(base, np.maximum(n / base - 1.0, 0.0), np.exp(rn)))
        return np.exp(-alpha * (in_n - x)), np.exp(-beta * (np.log(worth(unique, repeats, np.exp(rd))) - y))

    def basis(s: Array) -> Array:
        in_n, in_d = columns(s)
        return np.stack([np.ones_like(in_n), in_n, in_d], axis=1)

    def assemble(c: Array, s: Array) -> dict[str, Any]:
        alpha, beta = s[:, 0], s[:, 1]
        return {
            "E": c[:, 0],
            "A": c[:, 1] * np.exp(alpha * x),
            "B": c[:, 2] * np.exp(beta * y),
            "alpha": alpha,
            "beta": beta,
            "RD": np.exp(s[:, 2]),
            "RN": np.exp(s[:, 3]),
        }

    return Screen(((0.1, 0.8), (0.1, 0.8), (0.0, 5.0), (0.0, 5.0), (-2.0, 2.0)), basis, assemble)


MUENNIGHOFF = Law(
    "muennighoff",
    ("E", "A", "B"),
    ("alpha", "beta", "RD", "RN"),
    ("N", "D", "U"),
    form=muennighoff,
    screen=_muennighoff_screen,
    box={"RD": (1e-3, 1e6), "RN": (1e-3, 1e6)},
    amounts=(("A", "alpha", "N"), ("B", "beta", "D")),
    logs=("RD", "RN"),
    formula="L(N, D, U) = E + A/N'^alpha + B/D'^beta",
    meanings={
        "RD": Meaning("repeats of the data after which further ones are worth little", "epochs"),
        "RN": Meaning(
            "multiples of the size that the unique tokens deserve after which more parameters are worth little"
        ),
    },
)
"""L = E + A/N'^alpha + B/D'^beta with saturating effective N' and D' (Muennighoff et al. 2023)."""


def lovelace(k: Coefficients, n: Any, d: Any, u: Any) -> Any:
    """Loss E + A/N^alpha + B/D^beta + P R^delta (N/U)^kappa with R = D/U - 1 repeats."""
    repeats = d / u - 1.0
    # 0^delta is 0, and so is its derivative by delta.
    repeated = np.real(repeats) > 0
    logs = np.log(np.where(repeated, repeats, 1.0))
    penalty = np.where(repeated, np.exp(k["delta"] * logs + k["kappa"] * np.log(n / u)), 0.0)
    return k["E"] + power(k["A"], n, k["alpha"]) + power(k["B"], d, k["beta"]) + k["P"] * penalty


def _lovelace_screen(n: Array, d: Array, u: Array) -> Screen:
    x, y = np.log(n), np.log(d)
    repeats = np.maximum(d / u - 1.0, 0.0)
    logs, ratio = np.log(np.where(repeats > 0, repeats, 1.0)), np.log(n / u)

    def basis(s: Array) -> Array:
        alpha, beta, delta, kappa = (s[:, i, None] for i in range(4))
        in_n, in_d = np.exp(-alpha * (x - x.mean())), np.exp(-beta * (y - y.mean()))
        penalty = np.where(repeats > 0, np.exp(delta * logs + kappa * (ratio - ratio.mean())), 0.0)
        return np.stack([np.ones_like(in_n), in_n, in_d, penalty], axis=1)

    def assemble(c: Array, s: Array) -> dict[str, Any]:
        alpha, beta, delta, kappa = s.T
        return {
            "E": c[:, 0],
            "A": c[:, 1] * np.exp(alpha * x.mean()),
            "B": c[:, 2] * np.exp(beta * y.mean()),
            "P": c[:, 3] * np.exp(-kappa * ratio.mean()),
            "alpha": alpha,
            "beta": beta,
            "delta": delta,
            "kappa": kappa,
        }

    return Screen(((0.05, 1.0), (0.05, 1.0), (0.3, 2.5), (0.1, 2.5)), basis, assemble)


LOVELACE = Law(
    "lovelace",
    ("E", "A", "B", "P"),
    ("alpha", "beta", "delta", "kappa"),
    ("N", "D", "U"),
    form=lovelace,
    screen=_lovelace_screen,
    box={"delta": (0.05, 5.0), "kappa": (0.05, 5.0)},
    amounts=(("A", "alpha", "N"), ("B", "beta", "D")),
    formula="L(N, D, U) = E + A/N^alpha + B/D^beta + P R^delta (N/U)^kappa with R = D/U - 1",
    meanings={
        "P": Meaning("weight of the penalty for repeats", NATS),
        "delta": Meaning("power of the repeats R by which the penalty grows"),
        "kappa": Meaning("power of parameters per unique token by which the penalty grows"),
    },
)
"""Chinchilla plus an additive overfitting penalty (Lovelace et al. 2026, arXiv:2605.01640)."""


def best_epochs(k: Coefficients, params: Any, unique: Any) -> Any:
    """
    Epochs 1 + R* at fixed N and U that minimise Lovelace's loss, where delta = 1; 1 where repeats only hurt.

    Examples
    --------
    >>> k = dict(B=2085.43, beta=0.3658, P=0.023, kappa=1.0)
    >>> print(f"{best_epochs(k, 2.5e8, 1e8):.4f}")
    7.5154
    """
    n, u = np.asarray(params, float), np.asarray(unique, float)
    # dL/dR at fixed N and U with D = U (1 + R): beta B U^-beta (1 + R)^(-beta-1) = P (N/U)^kappa where delta = 1.
    ratio = k["beta"] * k["B"] * u ** -k["beta"] / (k["P"] * (n / u) ** k["kappa"])
    return np.maximum(ratio ** (1 / (1 + k["beta"])), 1.0)
