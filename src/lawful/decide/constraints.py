"""The best model under real constraints: one optimiser for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lawful.core.cost import Cost
from lawful.core.numbers import format_short
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Record, Shown
from lawful.core.typing import Array
from lawful.core.validation import is_positive
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.result import Fit, surface_of
from lawful.laws.catalogue_repeated import MUENNIGHOFF, MUENNIGHOFF_PUBLISHED
from lawful.laws.surface import Surface


@dataclass(frozen=True, slots=True)
class Demand(Record):
    """
    Tokens that a model will be served, and on what.

    Parameters
    ----------
    tokens : float
        Tokens read or written over the model's life, >= 0.
    cost : Cost, optional
        Hardware, MFU and price of serving them; those of training if not given.
        Prompts and answers run at different MFU, so give one demand each.

    Examples
    --------
    >>> Demand(1e13, Cost.on("h100", mfu=0.1)).weight(Cost())
    5.0
    """

    tokens: float
    cost: Cost | None = None

    def weight(self, training: Cost) -> float:
        """Price of a FLOP of serving over that of a FLOP of training."""
        return 1.0 if self.cost is None else self.cost.dollars_per_flop / training.dollars_per_flop


@dataclass(frozen=True, slots=True)
class Constraints(Record):
    """
    What a model must respect beside its budget.

    Parameters
    ----------
    sizes : sequence of float, optional
        Allowed numbers of parameters; one for a fixed size.
    min_tokens_per_param : float, optional
        Fewest tokens per parameter, as for a model that is small to serve.
    unique_tokens : float, optional
        Tokens there are; more than that means epochs, worth ever less (Muennighoff
        et al. 2023). A Chinchilla surface takes their published rates of decay.
    demand : sequence of Demand
        Inference to come; its compute counts like that of training (Sardana et al. 2023).

    Raises
    ------
    UnsupportedError
        If a number is not positive, or the list of sizes is empty.

    Examples
    --------
    A list of sizes that the team knows how to train, and five epochs' worth of data:

    >>> rules = Constraints(sizes=[1e9, 3e9, 7e9], unique_tokens=5e10)
    >>> best = optimise(lawful.Surface.named("besiroglu"), budget=5e21, constraints=rules)
    >>> print(f"{best.params:.0e} parameters, {best.epochs:.1f} epochs")
    7e+09 parameters, 2.4 epochs
    """

    sizes: Sequence[float] | None = None
    min_tokens_per_param: float | None = None
    unique_tokens: float | None = None
    demand: Sequence[Demand] = ()

    def __post_init__(self) -> None:
        given: dict[str, Sequence[float]] = {
            "sizes": () if self.sizes is None else self.sizes,
            "min_tokens_per_param": () if self.min_tokens_per_param is None else (self.min_tokens_per_param,),
            "unique_tokens": () if self.unique_tokens is None else (self.unique_tokens,),
        }
        for name, values in given.items():
            if not is_positive(*values):
                msg = f"{name} must be positive and finite, got {', '.join(format_short(v) for v in values)}."
                raise UnsupportedError(msg)
        if self.sizes is not None and len(self.sizes) == 0:
            msg = "The list of allowed sizes is empty; give at least one size, or leave it out."
            raise UnsupportedError(msg)
        if any(not (np.isfinite(d.tokens) and d.tokens >= 0) for d in self.demand):
            msg = "Inference tokens must be finite and not negative."
            raise UnsupportedError(msg)


BINDING = {
    "sizes": "the allowed sizes",
    "min_tokens_per_param": "the floor on tokens per parameter",
    "unique_tokens": "the unique tokens",
    "demand": "the inference demand",
}


@dataclass(frozen=True, slots=True)
class Constrained(Shown):
    """
    The best model under constraints.

    Attributes
    ----------
    params, tokens : float
        N and training tokens D.
    loss : float
        Nats per token.
    training, serving : float
        FLOPs of training, and FLOPs of training that serving costs as much as.
    epochs : float
        Times that the unique tokens are seen; 1 where all are unique.
    binding : tuple of str
        Constraints that moved the answer: ``sizes``, ``min_tokens_per_param``, ``unique_tokens``, ``demand``.

    Examples
    --------
    >>> best = optimise(lawful.Surface.named("besiroglu"), budget=1e22)
    >>> print(f"{best.params:.3g} {best.tokens_per_param:.1f} {best.total:.0e}")
    9.05e+09 20.4 1e+22
    """

    params: float
    tokens: float
    loss: float
    training: float
    serving: float
    epochs: float = 1.0
    binding: tuple[str, ...] = field(default=())

    def sheets(self) -> tuple[Sheet]:
        """Return the model, what it costs, and which constraints moved it."""
        why = " and ".join(BINDING[name] for name in self.binding)
        rows = [
            row("parameters N", Cell(self.params, "count")),
            row("tokens D", Cell(self.tokens, "count")),
            row("tokens per parameter", Cell(self.tokens_per_param, "count")),
            row("loss", Cell(self.loss, "nats")),
            row("epochs of the unique tokens", Cell(self.epochs, "ratio")),
            row("training, FLOPs", Cell(self.training, "flops")),
        ]
        if self.serving:
            rows += [
                row("serving, FLOPs", Cell(self.serving, "flops")),
                row("in all, FLOPs", Cell(self.total, "flops")),
            ]
        title = f"The best model under {why}." if why else "The best model: no constraint binds."
        return (Sheet(title, (), ("", "value"), tuple(rows)),)

    @property
    def tokens_per_param(self) -> float:
        """D/N."""
        return self.tokens / self.params

    @property
    def total(self) -> float:
        """FLOPs over the model's life, serving in FLOPs of training."""
        return self.training + self.serving


def optimise(
    source: Fit | Surface,
    *,
    budget: float | None = None,
    loss: float | None = None,
    constraints: Constraints | None = None,
    cost: Cost | None = None,
) -> Constrained:
    """
    Find the best model for a budget, or the cheapest model for a loss, under constraints.

    Parameters
    ----------
    source : Fit or Surface
        Law with numbers in N and D (and unique tokens).
    budget : float, optional
        FLOPs; with inference demand they pay for training and serving together.
    loss : float, optional
        Loss to reach, in nats; what is minimised is then the compute of training and serving.
    constraints : Constraints, optional
        None by default: the answer is then the surface's optimum.
    cost : Cost, optional
        Convention, hardware and price of training; the surface's by default.

    Returns
    -------
    Constrained

    Raises
    ------
    UnsupportedError
        If not exactly one of budget and loss is given, or it is not positive.
    IdentificationError
        If no allowed model can be afforded, or none reaches the loss.

    See Also
    --------
    allocate : The unconstrained optimum with intervals.

    Notes
    -----
    Given N, the tokens follow from the budget (or from the loss, by bisection), so one
    dimension is left: a scan over ln N that keeps every kink, then a zoom into its best cell.

    References
    ----------
    .. [1] Sardana et al. (2023), "Beyond Chinchilla-Optimal", arXiv:2401.00448.
    .. [2] Muennighoff et al. (2023), "Scaling Data-Constrained Language Models", arXiv:2305.16264.

    Examples
    --------
    A model that will answer ten trillion tokens is trained smaller and longer:

    >>> surface = lawful.Surface.named("hoffmann-rounded")
    >>> for tokens in (0.0, 1e13):
    ...     best = optimise(surface, loss=1.9936, constraints=Constraints(demand=[Demand(tokens)]))
    ...     print(f"{best.params:.4g} parameters, {best.tokens:.4g} tokens, {best.total:.4g} FLOPs")
    1.627e+10 parameters, 1.302e+12 tokens, 1.272e+23 FLOPs
    7.037e+09 parameters, 4.038e+12 tokens, 3.113e+23 FLOPs
    """
    surface = surface_of(source, " to place a model on")
    if (budget is None) == (loss is None):
        msg = "Give either a budget to spend or a loss to reach, and not both."
        raise UnsupportedError(msg)
    goal = budget if budget is not None else loss
    sunk = loss is not None and surface.law.sinks and np.isfinite(loss)
    if not (is_positive(goal) or sunk):
        msg = f"A budget or a loss is a positive number, got {goal!r}."
        raise UnsupportedError(msg)
    rules = constraints or Constraints()
    task = SizeSearch(_with_repeats(surface, rules), rules, cost or surface.cost, budget, loss)
    params = _best_size(task, rules)
    return _describe(task, params)


@dataclass(frozen=True)
class SizeSearch:
    """One question in arrays: for N, the tokens, what is minimised, and the parts of the answer."""

    surface: Surface
    rules: Constraints
    cost: Cost
    budget: float | None
    loss: float | None

    @property
    def served(self) -> float:
        """Inference tokens, weighted by what serving costs."""
        return float(sum(d.tokens * d.weight(self.cost) for d in self.rules.demand))

    def loss_at(self, n: Array, d: Array) -> Array:
        """Loss of N parameters on D tokens of the unique ones there are."""
        with np.errstate(all="ignore"):
            return np.asarray(self.surface.loss(n, d, unique=self.rules.unique_tokens))

    def tokens(self, n: Array) -> Array:
        """Training tokens that N parameters get, NaN where there are none."""
        floor = n * (self.rules.min_tokens_per_param or 0.0)
        if self.budget is not None:
            left = self.budget - self.cost.forward_flops(n, self.served)
            d = np.where(left > 0, self.cost.tokens(budget=np.maximum(left, 1e-300), params=n), np.nan)
            return np.where(d >= floor * (1 - 1e-12), d, np.nan)
        return np.maximum(self._tokens_for_loss(n), floor)

    def _tokens_for_loss(self, n: Array) -> Array:
        """Fewest tokens that reach the loss, by bisection in ln D; NaN where none do."""
        low, high = np.zeros(n.shape), np.full(n.shape, MOST_LOG_TOKENS)
        reachable = self.loss_at(n, np.exp(high)) <= float(self.loss or 0.0)
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            enough = self.loss_at(n, np.exp(middle)) <= float(self.loss or 0.0)
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return np.where(reachable, np.exp(high), np.nan)

    def value(self, n: Array) -> Array:
        """What is minimised: the loss of a budget, or the compute of a loss; infinite where not allowed."""
        d = self.tokens(n)
        found = self.loss_at(n, d) if self.budget is not None else self.compute(n, d)
        return np.where(np.isfinite(found), found, np.inf)

    def compute(self, n: Array, d: Array) -> Array:
        """FLOPs of training and serving."""
        return np.asarray(self.cost.flops(n, d) + self.cost.forward_flops(n, self.served))


MOST_LOG_TOKENS = 100.0
"""Upper end of ln D in the search for tokens that reach a loss."""

BISECTIONS = 70
SIZES = (1e3, 1e18)
SCAN = 3001
ZOOM = 41


def _best_size(task: SizeSearch, rules: Constraints) -> float:
    if rules.sizes is not None:
        sizes = np.unique(np.asarray(rules.sizes, dtype=float))
        return float(sizes[_least(task.value, sizes, task)])
    u = np.linspace(np.log(SIZES[0]), np.log(SIZES[1]), SCAN)
    for _ in range(12):
        at = _least(lambda x: task.value(np.exp(x)), u, task)
        if u[1] - u[0] < 1e-10:
            break
        u = np.linspace(u[max(at - 1, 0)], u[min(at + 1, u.size - 1)], ZOOM)
    return float(np.exp(u[at]))


def _least(value: Callable[[Array], Array], x: Array, task: SizeSearch) -> int:
    found = value(x)
    at = int(np.argmin(found))
    if not np.isfinite(found[at]):
        what = (
            f"the budget {format_short(task.budget, 3)}"
            if task.budget is not None
            else f"the loss {format_short(task.loss, 5)}"
        )
        msg = f"No allowed model fits {what} FLOPs" if task.budget is not None else f"No allowed model reaches {what}"
        msg += "; relax the sizes, the tokens per parameter, the demand or the unique tokens."
        raise IdentificationError(msg)
    return at


def _with_repeats(surface: Surface, rules: Constraints) -> Surface:
    """Give a surface of Chinchilla's form the published worth of repeated tokens where tokens are limited."""
    if rules.unique_tokens is None or surface.law.repeats:
        return surface
    if not surface.law.two_powers:
        msg = f"The {surface.law.name} law says nothing about repeated tokens; use the muennighoff law."
        raise UnsupportedError(msg)
    decay = {name: MUENNIGHOFF_PUBLISHED[name] for name in ("RD", "RN")}
    return Surface({**surface.as_two_powers().coefficients, **decay}, MUENNIGHOFF, surface.cost)


def _describe(task: SizeSearch, params: float) -> Constrained:
    n = np.array(params)
    d = float(task.tokens(n))
    rules = task.rules
    binding = [
        name for name in ("sizes", "min_tokens_per_param", "unique_tokens", "demand") if _binds(task, name, d, params)
    ]
    unique = rules.unique_tokens
    return Constrained(
        params=params,
        tokens=d,
        loss=float(task.loss_at(n, np.array(d))),
        training=float(task.cost.flops(params, d)),
        serving=float(task.cost.forward_flops(params, task.served)),
        epochs=max(d / unique, 1.0) if unique is not None else 1.0,
        binding=tuple(binding),
    )


def _binds(task: SizeSearch, name: str, tokens: float, params: float) -> bool:
    """Whether a constraint holds with equality, or costs anything at all."""
    rules = task.rules
    if name == "sizes":
        return rules.sizes is not None
    if name == "min_tokens_per_param":
        return rules.min_tokens_per_param is not None and tokens <= params * rules.min_tokens_per_param * (1 + 1e-6)
    if name == "unique_tokens":
        return rules.unique_tokens is not None and tokens > rules.unique_tokens
    return task.served > 0
