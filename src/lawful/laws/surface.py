"""A law with numbers: loss anywhere, the compute-optimal point, and what a detour costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.cost import Cost, Pricing
from lawful.core.shown import Record
from lawful.errors import UnsupportedError
from lawful.laws.catalogue_kaplan import IN_FLOPS
from lawful.laws.law import Coefficients, Law, terms_of
from lawful.laws.laws import CHINCHILLA, LAWS, PUBLISHED, STUDY_SURFACES
from lawful.laws.methods import SurfaceMethods
from lawful.laws.optimum import minimise_lines


class Point(NamedTuple):
    """A place on a budget line: parameters, tokens and the loss there (nats per token)."""

    params: Any
    tokens: Any
    loss: Any


class Optima(NamedTuple):
    """
    Where a law with two powers has its optimum: ln N* = ln G + a ln(N·D) and ln D* = -ln G + b ln(N·D).

    At the optimum alpha A / N^alpha = beta B / D^beta, so that a = beta/(alpha+beta), b = alpha/(alpha+beta)
    and G = (alpha A / (beta B))^(1/(alpha+beta)) (Hoffmann et al. 2022, equation 4). Everything broadcasts,
    and may be complex; ln G is not finite where A or B is 0.
    """

    a: Any
    b: Any
    log_g: Any

    @classmethod
    def of_logs(cls, log_a: Any, log_b: Any, alpha: Any, beta: Any) -> Optima:
        """Return them from ln A, ln B and the exponents."""
        total = alpha + beta
        with np.errstate(divide="ignore", invalid="ignore"):
            log_g = (np.log(alpha) + log_a - np.log(beta) - log_b) / total
            return cls(beta / total, alpha / total, log_g)

    @classmethod
    def of(cls, terms: Coefficients) -> Optima:
        """Return them from A, B, alpha and beta by name."""
        with np.errstate(divide="ignore", invalid="ignore"):
            log_a, log_b = np.log(terms["A"]), np.log(terms["B"])
        return cls.of_logs(log_a, log_b, terms["alpha"], terms["beta"])

    def at(self, log_nd: Any) -> tuple[Any, Any]:
        """Return ln N* and ln D* at ln(N·D)."""
        with np.errstate(invalid="ignore"):
            return self.log_g + self.a * log_nd, self.b * log_nd - self.log_g

    def frontier(self, cost: Cost) -> dict[str, Any]:
        """Return a, b, log10_a0 and log10_b0 of N* = 10^log10_a0 C^a and D* = 10^log10_b0 C^b."""
        size, tokens = (value / np.log(10) for value in self.at(np.log(cost.product(1.0))))
        return {"a": self.a, "b": self.b, "log10_a0": size, "log10_b0": tokens}


def values_for(law: Law, params: Any, tokens: Any, cost: Cost, unique: Any = None) -> tuple[Any, ...]:
    """
    Columns of a law at N parameters and D tokens; all tokens are unique unless said otherwise.

    Raises
    ------
    UnsupportedError
        If the law has columns beyond N, D, C and U.
    """
    law.require_predicts()
    known = {"N": params, "D": tokens, "U": tokens if unique is None else unique}
    if "C" in law.columns:
        known["C"] = cost.flops(params, tokens)
    return tuple(known[column] for column in law.columns)


def point_of(law: Law, cost: Pricing, params: Any = None, tokens: Any = None, budget: Any = None) -> tuple[Any, Any]:
    """
    N and D of runs, of which two of params, tokens and budget are known; NaN for what the law does not read.

    A law of compute alone takes any N and D of that budget.

    Raises
    ------
    UnsupportedError
        If all three are given, or what the law reads is missing.
    """
    law.require_predicts()
    given = {"params": params, "tokens": tokens, "budget": budget}
    known = {name: np.asarray(value, float) for name, value in given.items() if value is not None}
    if len(known) == 3:
        msg = "Of params, tokens and budget two imply the third; leave one out."
        raise UnsupportedError(msg)
    if list(known) == ["budget"] and law.columns == ("C",):
        known["params"] = np.sqrt(Cost().product(known["budget"]))
    if len(known) == 2 and "params" not in known:
        known["params"] = cost.params(budget=known["budget"], tokens=known["tokens"])
    if len(known) == 2 and "tokens" not in known:
        known["tokens"] = cost.tokens(budget=known["budget"], params=known["params"])
    reads = {"N": ("params",), "D": ("tokens",), "U": ("tokens",), "C": ("params", "tokens")}
    missing = [column for column in law.columns if not set(reads[column]) <= set(known)]
    if missing:
        words = " and ".join(dict.fromkeys("budget" if c == "C" else reads[c][0] for c in law.columns))
        msg = f"The {law.name} law predicts from {words}; give {'that' if ' and ' not in words else 'these'}."
        raise UnsupportedError(msg)
    return known.get("params", np.asarray(np.nan)), known.get("tokens", np.asarray(np.nan))


def optimum_of(law: Law, k: Coefficients, budget: ArrayLike, cost: Cost, unique: float | None = None) -> Point:
    """
    Optimum of a law at a budget; coefficients and budgets broadcast.

    In closed form for a law with two terms (non-finite where A or B is 0: the best model is then
    infinitely small or large); by following the budget line for others in N, D and U, of which
    ``unique`` tokens may be all there are.

    Raises
    ------
    UnsupportedError
        If the law does not trade N against D.
    """
    if law.terms is None:
        return numeric_optimum(law, k, budget, cost, unique)
    log_n, log_d = Optima.of(law.terms(k)).at(np.log(cost.product(budget)))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        params, tokens = np.exp(log_n), np.exp(log_d)
        return Point(params, tokens, law.loss(k, *values_for(law, params, tokens, cost)))


def numeric_optimum(law: Law, k: Coefficients, budget: ArrayLike, cost: Cost, unique: float | None = None) -> Point:
    """
    Optimum of any law in N, D and U, by minimising along each budget line; coefficients and budgets broadcast.

    Raises
    ------
    UnsupportedError
        If the law does not trade N against D.
    """
    law.require_allocates()
    shape = np.broadcast_shapes(np.shape(budget), *(np.shape(value) for value in k.values()))
    rows = {name: np.broadcast_to(value, shape).ravel() for name, value in k.items()}
    tops = np.log(np.broadcast_to(cost.product(budget), shape).ravel())

    def loss(here: Any, n: Any, d: Any) -> Any:
        at = {"N": n, "D": d, "U": d if unique is None else unique + 0.0 * np.real(d)}
        return evaluate(law, {name: value[here] for name, value in rows.items()}, [at[c] for c in law.columns])

    found = minimise_lines(loss, tops)
    params, tokens = (np.exp(v).reshape(shape)[()] for v in (found, tops - found))
    return Point(params, tokens, law.loss(k, *values_for(law, params, tokens, cost, unique)))


def evaluate(law: Law, k: Coefficients, columns: Sequence[Any]) -> Any:
    """Loss at coefficients and columns that may be complex, which :meth:`Law.loss` would make real."""
    if law.form is not None:
        return law.form(k, *columns)
    parts = (k[c] * x ** -k[theta] for c, theta, x in zip(law.linear[1:], law.exponents, columns, strict=True))
    return k[law.linear[0]] + sum(parts)


def budget_of(law: Law, k: Coefficients, loss: ArrayLike, cost: Cost) -> Any:
    """
    Smallest budget whose optimum reaches a loss; NaN where none does.

    Of E + A/N^alpha + B/D^beta in closed form: at the optimum both terms are powers of N D with
    the same exponent -alpha beta/(alpha+beta), so that L* - E is one power of the budget. Of other
    laws by following L*(C), which falls with C.

    Raises
    ------
    UnsupportedError
        If the law does not trade N against D.
    """
    if not law.two_powers:
        return _budget_by_search(law, k, loss, cost)
    k = law.as_two_powers(k)
    alpha, beta, log_g = k["alpha"], k["beta"], Optima.of(k).log_g
    gap = np.asarray(loss, float) - k["E"]
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = k["A"] * np.exp(-alpha * log_g) + k["B"] * np.exp(beta * log_g)
        log_nd = -(np.log(gap) - np.log(scale)) * (alpha + beta) / (alpha * beta)
    return cost.flops(np.exp(log_nd), 1.0)


WIDEST = (1.0, 200.0)
"""Range of ln(N·D) that an inverse is searched in: to 86 decades."""

NEWTON_ROUNDS, SLOPE_STEP = 60, 1e-20


def _budget_by_search(law: Law, k: Coefficients, loss: ArrayLike, cost: Cost) -> Any:
    """
    Invert L*(C) by Newton's method inside a bracket.

    At the optimum a change of N does not change the loss, so dL*/d ln C is dL/d ln D at a fixed N.
    """
    shape = np.broadcast_shapes(np.shape(loss), *(np.shape(value) for value in k.values()))
    goal = np.broadcast_to(np.asarray(loss, float), shape).ravel()
    rows = {name: np.broadcast_to(value, shape).ravel() for name, value in k.items()}
    low, high = np.full(goal.shape, WIDEST[0]), np.full(goal.shape, WIDEST[1])
    at = np.full(goal.shape, 50.0)
    alive = np.arange(goal.size)
    for _ in range(NEWTON_ROUNDS):
        own = {name: value[alive] for name, value in rows.items()}
        best = optimum_of(law, own, cost.flops(np.exp(at[alive]), 1.0), cost)
        gap = best.loss - goal[alive]
        moved = values_for(law, best.params, best.tokens * np.exp(1j * SLOPE_STEP), cost)
        slope = np.imag(evaluate(law, own, moved)) / SLOPE_STEP
        low[alive] = np.where(gap > 0, at[alive], low[alive])
        high[alive] = np.where(gap > 0, high[alive], at[alive])
        with np.errstate(divide="ignore", invalid="ignore"):
            new = at[alive] - gap / slope
        inside = np.isfinite(new) & (new >= low[alive]) & (new <= high[alive])
        new = np.where(inside, new, 0.5 * (low[alive] + high[alive]))
        done = np.abs(new - at[alive]) <= 1e-13 * new
        at[alive] = new
        alive = alive[~done]
        if alive.size == 0:
            break
    found = (at > WIDEST[0] * (1 + 1e-6)) & (at < WIDEST[1] * (1 - 1e-6))
    return np.where(found, cost.flops(np.exp(at), 1.0), np.nan).reshape(shape)[()]


def deadweight_of(law: Law, k: Coefficients, budget: ArrayLike, tokens: ArrayLike, cost: Cost) -> Any:
    """
    Deadweight Compute Loss in FLOPs; coefficients, budgets and tokens broadcast.

    With two terms it depends on them alone: what the loss makes of their sum is the same at both points.
    With u = ln(N/N*), the loss above E at N is rho times its minimum, rho - 1 =
    (beta (e^(-alpha u) - 1) + alpha (e^(beta u) - 1))/(alpha+beta), and the
    budget whose optimum has that loss is C rho^(-(alpha+beta)/(alpha beta)).
    Written with expm1 and log1p the loss of a near-optimal choice keeps its digits. For a law without
    such terms it is the budget less the one that :func:`budget_of` finds for the loss reached.

    Raises
    ------
    UnsupportedError
        If the law does not trade N against D.
    """
    params = cost.params(budget=budget, tokens=tokens)
    if law.terms is None:
        best = optimum_of(law, k, budget, cost).loss
        reached = law.loss(k, *values_for(law, params, tokens, cost))
        needed = budget_of(law, k, reached, cost)
        return np.where(reached > best, np.asarray(budget, float) - needed, 0.0)[()]
    terms = law.terms(k)
    alpha, beta = terms["alpha"], terms["beta"]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        u = np.log(params) - np.log(optimum_of(law, k, budget, cost).params)
        excess = (beta * np.expm1(-alpha * u) + alpha * np.expm1(beta * u)) / (alpha + beta)
        saved = -np.expm1(-(alpha + beta) / (alpha * beta) * np.log1p(np.maximum(excess, 0.0)))
    return np.asarray(budget, float) * saved


@dataclass(frozen=True)
class Surface(SurfaceMethods, Record):
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
        signed = self.law.signed
        bad = [f"{n}={v}" for n, v in values.items() if not (np.isfinite(v) and (v >= 0 or n in signed))]
        if bad:
            msg = f"Coefficients must be finite and not negative; got {', '.join(bad)}."
            raise UnsupportedError(msg)
        object.__setattr__(self, "coefficients", values)

    @classmethod
    def named(cls, name: str) -> Surface:
        """
        Return a published surface by its name.

        ``hoffmann``, ``hoffmann-rounded`` and ``besiroglu`` are fits of the Chinchilla runs;
        ``symmetric``, ``chinchilla``, ``asymmetric``, ``soda`` and ``sparse-nmm`` the truths that
        simulations start from (:data:`~lawful.laws.laws.STUDY_SURFACES`). Kaplan's laws have their
        published constants under the name of the law, such as ``kaplan-nd``, with compute in FLOPs.

        Raises
        ------
        UnsupportedError
            If there is no such surface.

        Examples
        --------
        >>> a, b = Surface.named("asymmetric").exponents
        >>> print(f"N* grows as C^{a:.2f}, D* as C^{b:.2f}")
        N* grows as C^0.25, D* as C^0.75
        """
        known = {**PUBLISHED, **STUDY_SURFACES, **IN_FLOPS}
        if name not in known:
            msg = f"Unknown parameter set {name!r}; choose one of {', '.join(known)}."
            raise UnsupportedError(msg)
        return cls(known[name], LAWS[name] if name in IN_FLOPS else CHINCHILLA)

    def as_two_powers(self, asked: str = "What was asked") -> Surface:
        """
        Return the same surface by the names E, A, B, alpha and beta.

        Parameters
        ----------
        asked : str
            What rests on that form, as the sentence of an error begins.

        Raises
        ------
        UnsupportedError
            If the law is no constant plus a power of N and a power of D.

        Examples
        --------
        >>> mine = lawful.sum_of_powers("mine", ("D", "N"))
        >>> surface = Surface(dict(E=1.7, A_D=400, A_N=300, alpha_D=0.3, alpha_N=0.4), mine)
        >>> surface.as_two_powers().coefficients
        {'E': 1.7, 'A': 300.0, 'B': 400.0, 'alpha': 0.4, 'beta': 0.3}
        """
        return Surface(self.law.as_two_powers(self.coefficients, asked), CHINCHILLA, self.cost)

    def __getitem__(self, name: str) -> float:
        return self.coefficients[name]

    @property
    def surface(self) -> Surface:
        """The surface itself, so that a verb asks it as it asks a fit."""
        return self

    @property
    def runs(self) -> None:
        """A surface stands alone: the runs behind one are those of a fit."""

    @property
    def method(self) -> str:
        """How it was found, among the methods of fits: it was given."""
        return "surface"

    def loss(
        self,
        params: ArrayLike | None = None,
        tokens: ArrayLike | None = None,
        *,
        budget: ArrayLike | None = None,
        unique: ArrayLike | None = None,
    ) -> Any:
        """
        Loss in nats per token of N parameters trained on D tokens, of which some are unique (all by default).

        Two of params, tokens and budget imply the third; what the law does not read may be left out.

        Raises
        ------
        UnsupportedError
            If something that the law reads is missing, or all three are given.

        Examples
        --------
        >>> curve = Surface(dict(E=0, A=11.9, alpha=0.066), lawful.LAWS["hestness"])
        >>> print(f"{curve.loss(tokens=1e8):.4f}")
        3.5281
        """
        n, d = point_of(self.law, self.cost, params, tokens, budget)
        u = None if unique is None else np.asarray(unique, float)
        return self.law.loss(self.coefficients, *values_for(self.law, n, d, self.cost, u))

    @property
    def exponents(self) -> tuple[float, float]:
        """Exponents (a, b) of N*(C) and D*(C)."""
        a, b, _ = Optima.of(terms_of(self.law, self.coefficients))
        return float(a), float(b)

    def optimum(self, budget: ArrayLike, *, unique: float | None = None) -> Point:
        """
        Compute-optimal N*, D* and L* of a budget in FLOPs (Hoffmann et al. 2022, equation 4).

        In closed form for two terms, by minimising along the budget line for other laws in
        N, D and U; with ``unique`` tokens limited, D*/unique is the best number of epochs.

        Raises
        ------
        UnsupportedError
            If the law does not trade parameters against tokens.

        Examples
        --------
        >>> from lawful.laws.catalogue_repeated import MUENNIGHOFF_PUBLISHED
        >>> repeated = Surface(MUENNIGHOFF_PUBLISHED, lawful.LAWS["muennighoff"])
        >>> best = repeated.optimum(9.3e21, unique=25e9)
        >>> print(f"{best.params:.4g} parameters, {best.tokens / 25e9:.2f} epochs")
        6.815e+09 parameters, 9.10 epochs
        """
        return optimum_of(self.law, self.coefficients, budget, self.cost, unique)

    def budget_for(self, loss: ArrayLike) -> Any:
        """Smallest budget in FLOPs that reaches a loss; NaN for a loss at or below E."""
        return budget_of(self.law, self.coefficients, loss, self.cost)

    def at_params(self, budget: ArrayLike, params: ArrayLike) -> Point:
        """Spend a budget on a model of N parameters."""
        tokens = self.cost.tokens(budget=budget, params=params)
        return Point(np.asarray(params, float), tokens, self.loss(params, tokens))

    def at_ratio(self, budget: ArrayLike, tokens_per_param: ArrayLike) -> Point:
        """Spend a budget at a fixed number of tokens per parameter."""
        params = np.sqrt(self.cost.product(budget) / np.asarray(tokens_per_param, float))
        return self.at_params(budget, params)

    def overfit(self, params: ArrayLike, tokens: ArrayLike) -> Any:
        """
        Overfitting: how far the loss on D tokens lies above that on unlimited ones, L(N, D)/L(N, ∞) - 1.

        Under Kaplan's L(N, D) it depends on N^(alphaN/alphaD)/D alone (Kaplan et al. 2020, equation 4.3).

        Parameters
        ----------
        params, tokens : array_like
            N and D; they broadcast.

        Returns
        -------
        float or array
            A fraction, 0 for unlimited data.

        Raises
        ------
        UnsupportedError
            If the law is not one of N and D, or its loss may be negative.

        Examples
        --------
        >>> print(f"{Surface.named('kaplan-nd').overfit(1e9, 1e10):.4f}")
        0.0435
        """
        if set(self.law.columns) != {"N", "D"}:
            msg = (
                f"Overfitting compares D tokens with unlimited ones, but the {self.law.name} law is no law of N and D."
            )
            raise UnsupportedError(msg)
        if self.law.sinks:
            msg = f"Overfitting is a share of the loss, and that of the {self.law.name} law may be negative."
            raise UnsupportedError(msg)
        excess = np.asarray(self.loss(params, tokens)) / np.asarray(self.loss(params, np.inf)) - 1.0
        return excess if np.ndim(excess) else float(excess)

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
        return deadweight_of(self.law, self.coefficients, budget, tokens, self.cost)
