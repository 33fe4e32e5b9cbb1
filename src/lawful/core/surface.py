"""A law with numbers: loss anywhere, the compute-optimal point, and what a detour costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.cost import Cost
from lawful.core.laws import CHINCHILLA, PUBLISHED, Coefficients, Law
from lawful.errors import UnsupportedError


class Point(NamedTuple):
    """A place on a budget line: parameters, tokens and the loss there (nats per token)."""

    params: Any
    tokens: Any
    loss: Any


def frontier_exponents(k: Coefficients) -> tuple[Any, Any]:
    """Return a = beta/(alpha+beta) and b = alpha/(alpha+beta), the exponents of N* and D*."""
    total = k["alpha"] + k["beta"]
    return k["beta"] / total, k["alpha"] / total


def log_ratio(k: Coefficients) -> Any:
    """Return ln G, G = (alpha A / (beta B))^(1/(alpha+beta)), so N* = G (N*D*)^a."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(k["alpha"] * k["A"]) - np.log(k["beta"] * k["B"])
    return ratio / (k["alpha"] + k["beta"])


def optimum_of(k: Coefficients, budget: ArrayLike, cost: Cost) -> Point:
    """
    Closed-form optimum of the Chinchilla law; coefficients and budgets broadcast.

    Non-finite where A or B is 0: the best model is then infinitely small or large.
    """
    a, b = frontier_exponents(k)
    log_g, log_nd = log_ratio(k), np.log(cost.product(budget))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        params = np.exp(log_g + a * log_nd)
        tokens = np.exp(-log_g + b * log_nd)
        return Point(params, tokens, CHINCHILLA.loss(k, params, tokens))


def budget_of(k: Coefficients, loss: ArrayLike, cost: Cost) -> Any:
    """Smallest budget whose optimum reaches a loss (NaN where the loss is not above E)."""
    alpha, beta, log_g = k["alpha"], k["beta"], log_ratio(k)
    gap = np.asarray(loss, float) - k["E"]
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = k["A"] * np.exp(-alpha * log_g) + k["B"] * np.exp(beta * log_g)
        log_nd = -(np.log(gap) - np.log(scale)) * (alpha + beta) / (alpha * beta)
    return cost.flops(np.exp(log_nd), 1.0)


def deadweight_of(k: Coefficients, budget: ArrayLike, tokens: ArrayLike, cost: Cost) -> Any:
    """
    Deadweight Compute Loss in FLOPs; coefficients, budgets and tokens broadcast.

    With u = ln(N/N*), the loss above E at N is rho times its minimum, rho - 1 =
    (beta (e^(-alpha u) - 1) + alpha (e^(beta u) - 1))/(alpha+beta), and the
    budget whose optimum has that loss is C rho^(-(alpha+beta)/(alpha beta)).
    Written with expm1 and log1p the loss of a near-optimal choice keeps its digits.
    """
    alpha, beta = k["alpha"], k["beta"]
    params = cost.params(budget=budget, tokens=tokens)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        u = np.log(params) - np.log(optimum_of(k, budget, cost).params)
        excess = (beta * np.expm1(-alpha * u) + alpha * np.expm1(beta * u)) / (alpha + beta)
        saved = -np.expm1(-(alpha + beta) / (alpha * beta) * np.log1p(np.maximum(excess, 0.0)))
    return np.asarray(budget, float) * saved


@dataclass(frozen=True)
class Surface:
    """
    A law with numbers: a simulated truth and a fitted estimate are the same thing.

    Parameters
    ----------
    coefficients : mapping of str to float
        One number per name of the law; N and D as counted, loss in nats.
    law : Law
        The form; Chinchilla's by default.
    cost : Cost
        The convention that turns a budget into N·D.

    Raises
    ------
    UnsupportedError
        If a coefficient is missing, unknown, not finite, or negative.

    Examples
    --------
    >>> besiroglu = Surface.named("besiroglu")
    >>> print(f"{besiroglu.loss(7e10, 1.4e12):.4f}")
    1.9739
    >>> best = besiroglu.optimum(5.76e23)
    >>> print(f"{best.params:.3g} parameters, {best.tokens:.3g} tokens")
    7.22e+10 parameters, 1.33e+12 tokens

    The inverse: how much compute reaches that loss at the optimum?

    >>> print(f"{besiroglu.budget_for(best.loss):.3g}")
    5.76e+23
    """

    coefficients: Mapping[str, float]
    law: Law = CHINCHILLA
    cost: Cost = field(default_factory=Cost)

    def __post_init__(self) -> None:
        missing = [n for n in self.law.names if n not in self.coefficients]
        extra = [n for n in self.coefficients if n not in self.law.names]
        if missing or extra:
            given = ", ".join(self.coefficients)
            msg = f"The {self.law.name} law has coefficients {', '.join(self.law.names)}; got {given}."
            raise UnsupportedError(msg)
        values = {n: float(self.coefficients[n]) for n in self.law.names}
        bad = [f"{n}={v}" for n, v in values.items() if not (np.isfinite(v) and v >= 0)]
        if bad:
            msg = f"Coefficients must be finite and not negative; got {', '.join(bad)}."
            raise UnsupportedError(msg)
        object.__setattr__(self, "coefficients", values)

    @classmethod
    def named(cls, name: str) -> Surface:
        """Return a published surface: ``hoffmann``, ``hoffmann-rounded`` or ``besiroglu``."""
        if name not in PUBLISHED:
            msg = f"Unknown parameter set {name!r}; choose one of {', '.join(PUBLISHED)}."
            raise UnsupportedError(msg)
        return cls(PUBLISHED[name])

    def __getitem__(self, name: str) -> float:
        return self.coefficients[name]

    def loss(self, params: ArrayLike, tokens: ArrayLike) -> Any:
        """Loss in nats per token of N parameters trained on D tokens."""
        return self.law.loss(self.coefficients, params, tokens)

    @property
    def exponents(self) -> tuple[float, float]:
        """Exponents (a, b) of N*(C) and D*(C)."""
        a, b = frontier_exponents(self.coefficients)
        return float(a), float(b)

    def optimum(self, budget: ArrayLike) -> Point:
        """Compute-optimal N*, D* and L* of a budget in FLOPs (Hoffmann et al. 2022, equation 4)."""
        return optimum_of(self.coefficients, budget, self.cost)

    def budget_for(self, loss: ArrayLike) -> Any:
        """Smallest budget in FLOPs that reaches a loss; NaN for a loss at or below E."""
        return budget_of(self.coefficients, loss, self.cost)

    def at_params(self, budget: ArrayLike, params: ArrayLike) -> Point:
        """Spend a budget on a model of N parameters."""
        tokens = self.cost.tokens(budget=budget, params=params)
        return Point(np.asarray(params, float), tokens, self.loss(params, tokens))

    def at_ratio(self, budget: ArrayLike, tokens_per_param: ArrayLike) -> Point:
        """Spend a budget at a fixed number of tokens per parameter."""
        params = np.sqrt(self.cost.product(budget) / np.asarray(tokens_per_param, float))
        return self.at_params(budget, params)

    def deadweight(self, budget: ArrayLike, tokens: ArrayLike) -> Any:
        """
        Deadweight Compute Loss of training on D tokens, in FLOPs.

        N is forced to what the budget leaves, C/(6D); the loss reached there
        would have needed a smaller budget at the optimum, and the difference
        of the two budgets is lost (arXiv:2603.22339).

        Examples
        --------
        >>> rounded = Surface.named("hoffmann-rounded")
        >>> print(f"{rounded.deadweight(3.8e25, 3.35e13) / 3.8e25:.4%}")
        0.4578%
        """
        return deadweight_of(self.coefficients, budget, tokens, self.cost)
