"""The best run of a budget at any price: a cost formula over any columns, limits, and what is held. Any law."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from lawful.core.cost import Cost
from lawful.core.expression import Expression, Tape, name, parse, substitute
from lawful.core.numbers import format_short
from lawful.core.shown import Record
from lawful.core.typing import Array, BoolArray, IntArray
from lawful.core.validation import is_positive
from lawful.data.runs import COMPLETE
from lawful.decide.token_cost import TokenCost, price_of
from lawful.errors import IdentificationError, InputError, UnsupportedError
from lawful.estimate.result import Fit
from lawful.laws.formula import QUANTITIES, Formula, check_columns
from lawful.laws.law import Law
from lawful.laws.projection import Signs
from lawful.laws.surface import evaluate

Reachable = tuple[float, float]

WIDE: dict[str, Reachable] = {"N": (1.0, 1e18), "D": (1.0, 1e20)}
"""Where model sizes and tokens are searched; any other column within its sampled range, unless a range is given."""

NODES = {1: 1, 2: 801, 3: 61, 4: 19}
"""Nodes per column of the first scan, by the number of free columns, the one that spends the budget aside."""

FEW_NODES = 9
BISECTIONS = 60
STARTS = 6
"""Nodes of the scan that are followed."""

TOUCHING = 1e-6
"""Margin, in logs, below which a limit counts as reached."""

COMPLEX_STEP = 1e-25
STEP = 1e-4
"""Step in the log of a column of a central difference of exact slopes."""


class Limit(NamedTuple):
    """``left <= right``, as it was written; in logs where both sides are positive whatever the columns are."""

    text: str
    left: Expression
    right: Expression
    logs: bool


@dataclass(frozen=True, eq=False)
class Price(Record):
    """
    What a run costs, as a function of its columns.

    Attributes
    ----------
    convention : str
        In words, as printed beside every budget.
    columns : frozenset of str
        Columns that it reads.
    of : callable
        From columns by name, real or complex, to the cost.
    """

    convention: str
    columns: frozenset[str]
    of: Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, eq=False)
class Offer(Record):
    """
    One question: which columns spend a budget best under a law with numbers.

    Attributes
    ----------
    law : Law
    k : mapping of str to float
        Its coefficients.
    free : tuple of str
        Columns to be chosen; the last one spends what is left.
    box : array, shape (f, 2)
        Their ranges, as logs.
    held : mapping of str to float
        Columns that are given.
    price : Price
    budget : float
    limits : tuple of Limit
    """

    law: Law
    k: Mapping[str, float]
    free: tuple[str, ...]
    box: Array
    held: Mapping[str, float]
    price: Price
    budget: float
    limits: tuple[Limit, ...]

    @cached_property
    def _tape(self) -> Tape:
        return Tape(*(side for one in self.limits for side in (one.left, one.right)))

    def columns(self, x: Any) -> dict[str, Any]:
        """Columns by name at logs of the free ones, (..., f); tokens are all unique unless that is given."""
        found = {**self.held, **{word: np.exp(x[..., i]) for i, word in enumerate(self.free)}}
        if "U" in self.law.columns and "U" not in found:
            found["U"] = found["D"]
        return found

    def loss(self, x: Any, k: Mapping[str, float] | None = None) -> Any:
        """Loss at logs of the free columns, real or complex."""
        columns = self.columns(x)
        with np.errstate(all="ignore"):
            return evaluate(self.law, k or self.k, [columns[c] for c in self.law.columns]) + 0.0 * x[..., 0]

    def margins(self, x: Any) -> Any:
        """How far the budget and every limit are from being reached, (..., 1 + limits); negative beyond them."""
        columns = self.columns(x)
        with np.errstate(all="ignore"):
            out = [np.log(self.budget) - np.log(self.price.of(columns)) + 0.0 * x[..., 0]]
            work = self._tape.run(columns)
            sides = [work[i] for i in self._tape.outputs]
            for one, left, right in zip(self.limits, sides[::2], sides[1::2], strict=True):
                out.append((np.log(right) - np.log(left) if one.logs else right - left) + 0.0 * x[..., 0])
        return np.stack(out, axis=-1)

    def slope(self, x: Array, k: Mapping[str, float] | None = None) -> Array:
        """Slope of the loss by the logs of the free columns, shape (f,), exact to rounding."""
        return np.array([np.imag(self.loss(_moved(x, i), k)) for i in range(x.size)]) / COMPLEX_STEP

    def margin_slopes(self, x: Array) -> Array:
        """Slopes of the margins, shape (1 + limits, f)."""
        return np.stack([np.imag(self.margins(_moved(x, i))) for i in range(x.size)], axis=1) / COMPLEX_STEP

    def allowed(self, x: Array) -> BoolArray:
        """Whether points respect the budget, the limits and their box."""
        inside = (x >= self.box[:, 0] - TOUCHING) & (x <= self.box[:, 1] + TOUCHING)
        return np.asarray((self.margins(x) >= -TOUCHING).all(axis=-1) & inside.all(axis=-1))


def _moved(x: Array, i: int) -> Any:
    moved = x.astype(complex)
    moved[i] += 1j * COMPLEX_STEP
    return moved


class Settled(NamedTuple):
    """
    The best point of an offer.

    Attributes
    ----------
    x : array, shape (f,)
        Logs of the free columns.
    loss : float
    reached : tuple of int
        Margins that are nil there: 0 for the budget, then the limits.
    ends : tuple of int
        Columns at an end of their range.
    sure : bool
        Whether the conditions of a minimum hold to rounding, so that it can be followed in the coefficients.
    """

    x: Array
    loss: float
    reached: tuple[int, ...]
    ends: tuple[int, ...]
    sure: bool


def settle(offer: Offer, start: Array | None = None) -> Settled:
    """
    Find the least loss that a budget buys: scanned, then followed by sequential quadratic programming.

    Parameters
    ----------
    offer : Offer
    start : array, shape (f,), optional
        Where to start in place of a scan, for coefficients that differ little.

    Raises
    ------
    IdentificationError
        If nothing fits the budget and the limits.
    """
    starts = scan(offer) if start is None else start[None]
    best, least = None, np.inf
    for x in starts:
        for tried in (x, _followed(offer, x)):
            value = float(offer.loss(tried))
            if offer.allowed(tried) and np.isfinite(value) and value < least:
                best, least = tried, value
    if best is None:
        told = " and ".join([f"cost {format_short(offer.budget, 3)} at most", *(one.text for one in offer.limits)])
        msg = f"No run fits: {told}. Spend more, relax the limits, or hold other values."
        raise IdentificationError(msg)
    return polished(offer, best)


def scan(offer: Offer) -> Array:
    """Best nodes of a grid: the last free column spends what the budget and the limits leave, shape (m, f)."""
    low, high = offer.box.T
    count = NODES.get(len(offer.free), FEW_NODES)
    axes = [np.linspace(a, b, count if b > a else 1) for a, b in offer.box[:-1]]
    made = list(product(*axes))
    nodes = np.array(made, float).reshape(len(made), len(offer.free) - 1)
    x = np.column_stack([nodes, np.full(len(nodes), high[-1])])
    x = np.concatenate([_spent(offer, x, low[-1], j) for j in range(1 + len(offer.limits))])
    x = x[offer.allowed(x)] if len(x) else x
    value = np.real(offer.loss(x)) if len(x) else np.zeros(0)
    order = np.argsort(np.where(np.isfinite(value), value, np.inf), kind="stable")
    kept: list[Array] = []
    apart = 2.5 * np.array([(b - a) / max(count - 1, 1) for a, b in offer.box[:-1]] or [0.0])
    for at in order:
        if len(kept) == STARTS:
            break
        if all((np.abs(x[at, :-1] - other[:-1]) > apart[: len(offer.free) - 1]).any() for other in kept):
            kept.append(x[at])
    return np.array(kept).reshape(-1, len(offer.free))


def _spent(offer: Offer, x: Array, low: float, which: int) -> Array:
    """Raise the last column to where a margin is nil, or to the end of its range; where it is beyond, from below."""
    x = x.copy()
    with np.errstate(invalid="ignore"):
        over = ~(offer.margins(x)[..., which] >= 0)
    bottom, top = np.full(len(x), low), x[:, -1].copy()
    for _ in range(BISECTIONS):
        middle = 0.5 * (bottom + top)
        x[:, -1] = np.where(over, middle, x[:, -1])
        fine = offer.margins(x)[..., which] >= 0
        bottom, top = np.where(fine, middle, bottom), np.where(fine, top, middle)
    x[:, -1] = np.where(over, bottom, x[:, -1])
    return x


def _followed(offer: Offer, x: Array) -> Array:
    """Sequential quadratic programming from a start that is allowed."""
    from scipy.optimize import minimize

    asked: Any = {
        "jac": offer.slope,
        "bounds": offer.box,
        "constraints": [{"type": "ineq", "fun": offer.margins, "jac": offer.margin_slopes}],
        "method": "SLSQP",
        "options": {"ftol": 1e-15, "maxiter": 300},
    }
    solver: Any = minimize
    with np.errstate(all="ignore"):
        found = solver(lambda at: float(offer.loss(at)), x, **asked)
    return np.asarray(np.clip(found.x, *offer.box.T))


class System(NamedTuple):
    """Conditions of a minimum, linearised: the matrix, which columns move, which margins are nil, their multipliers."""

    matrix: Array
    moves: IntArray
    reached: IntArray
    multipliers: Array


def _system(offer: Offer, x: Array) -> System:
    """Hessian of the loss less the multipliers times the margins, bordered by the slopes of those that are nil."""
    at_end = (x <= offer.box[:, 0] + TOUCHING) | (x >= offer.box[:, 1] - TOUCHING)
    moves = np.flatnonzero(~at_end)
    margins, slopes = offer.margins(x), offer.margin_slopes(x)[:, moves]
    reached = np.flatnonzero(margins <= TOUCHING)
    pull = offer.slope(x)[moves]
    forces = np.linalg.lstsq(slopes[reached].T, pull, rcond=None)[0] if reached.size else np.zeros(0)
    keep = forces > 1e-12 * max(np.abs(pull).max(initial=0.0), 1e-300)
    reached, forces = reached[keep], forces[keep]
    m, r = moves.size, reached.size
    matrix = np.zeros((m + r, m + r))
    for i, j in enumerate(moves):
        ends = []
        for side in (1.0, -1.0):
            y = x.copy()
            y[j] += side * STEP
            ends.append(offer.slope(y)[moves] - forces @ offer.margin_slopes(y)[reached][:, moves])
        matrix[:m, i] = (ends[0] - ends[1]) / (2 * STEP)
    matrix[:m, m:] = -slopes[reached].T
    matrix[m:, :m] = slopes[reached]
    return System(matrix, moves, reached, forces)


def polished(offer: Offer, x: Array) -> Settled:
    """Newton's steps on the conditions of a minimum, for the digits that a flat valley hides from its loss."""
    best, sure = x, False
    for _ in range(8):
        system = _system(offer, best)
        m = system.moves.size
        if not np.isfinite(system.matrix).all():
            break
        pull = (
            offer.slope(best)[system.moves]
            - system.multipliers @ offer.margin_slopes(best)[system.reached][:, system.moves]
        )
        target = np.concatenate([-pull, -offer.margins(best)[system.reached]])
        step = np.linalg.lstsq(system.matrix, target, rcond=None)[0][:m]
        new = best.copy()
        new[system.moves] += step
        worse = float(offer.loss(new)) > float(offer.loss(best)) * (1 + 1e-9)
        if not (np.isfinite(step).all() and np.abs(step).max(initial=0.0) < 1.0 and offer.allowed(new)) or worse:
            break
        best, sure = new, bool(np.abs(step).max(initial=0.0) < 1e-6)
        if np.abs(step).max(initial=0.0) < 1e-11:
            break
    margins = offer.margins(best)
    ends = np.flatnonzero((best <= offer.box[:, 0] + TOUCHING) | (best >= offer.box[:, 1] - TOUCHING))
    reached = tuple(int(j) for j in np.flatnonzero(margins <= TOUCHING))
    return Settled(best, float(offer.loss(best)), reached, tuple(int(i) for i in ends), sure)


def sensitivities(offer: Offer, found: Settled) -> Array:
    """
    How the logs of the best columns move with every coefficient, shape (f, q); 0 for columns at an end.

    The conditions of a minimum hold for other coefficients too, with the same limits reached; differentiated by a
    coefficient they are one linear system.
    """
    system, names = _system(offer, found.x), list(offer.k)
    m = system.moves.size
    out = np.zeros((found.x.size, len(names)))
    for c, word in enumerate(names):
        size = 1e-5 * max(abs(offer.k[word]), 1e-3)
        ends = [offer.slope(found.x, {**offer.k, word: offer.k[word] + s * size})[system.moves] for s in (1.0, -1.0)]
        bend = (ends[0] - ends[1]) / (2 * size)
        right = np.concatenate([-bend, np.zeros(system.reached.size)])
        out[system.moves, c] = np.linalg.lstsq(system.matrix, right, rcond=None)[0][:m]
    return out


@dataclass(frozen=True, eq=False)
class Names(Record):
    """
    What columns are called: by a law, and by the table that it was fitted to.

    Attributes
    ----------
    known : mapping of str to str
        Names that a formula may use, and the columns of the law that they are.
    shown : mapping of str to str
        Columns of the law, as the table has them.
    """

    known: Mapping[str, str]
    shown: Mapping[str, str]

    @classmethod
    def of(cls, fit: Fit) -> Names:
        """Return them for a fit."""
        own = [c for c in fit.surface.law.columns if c not in (*COMPLETE, "U")]
        known = {q: symbol for q, symbol in QUANTITIES.items() if q not in own}
        known |= {**fit.runs.taken, **{c: c for c in own}}
        shown = {"N": "params", "D": "tokens", "C": "budget", "U": "unique_tokens"}
        shown |= {symbol: column for column, symbol in fit.runs.taken.items() if symbol in fit.surface.law.columns}
        return cls(known, shown)

    def read(self, text: str, option: str) -> Expression:
        """
        Return a formula of columns of the law.

        Raises
        ------
        InputError
            If it names anything else.
        """
        found = parse(text)
        unknown = sorted(found.names - set(self.known))
        if unknown:
            offered = ", ".join(dict.fromkeys(self.shown.get(c, c) for c in self.known.values() if c != "C"))
            msg = f"`{option}` {text!r} names {unknown[0]!r}, which is no column of the law; it may name {offered}."
            raise InputError(msg)
        return substitute(found, {word: name(symbol) for word, symbol in self.known.items()})

    def symbol(self, word: str, option: str) -> str:
        """Return the column of the law that a name stands for."""
        found = self.read(f"`{word}`", option)
        return str(found.value)


def price_by(fit: Fit, cost: str | None, names: Names | None = None) -> Price:
    """
    Return what a run costs: by a formula, else by the table's own FLOPs where they follow the size, else 6ND.

    Raises
    ------
    InputError
        If the formula names anything but columns of the law.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.005)
    >>> price_by(lawful.fit(runs), "7*params*tokens").convention
    'cost = 7*params*tokens'
    """
    if cost is not None:
        formula = (names or Names.of(fit)).read(cost, "cost")
        if not formula.names or "C" in formula.names:
            msg = f"`cost` is a formula of the columns that a run is made of, such as 6*params*tokens; got {cost!r}."
            raise InputError(msg)
        tape = Tape(formula)
        return Price(f"cost = {cost}", formula.names, lambda c: tape.run(c)[tape.outputs[0]])
    price = price_of(fit)
    if isinstance(price, TokenCost):
        return Price(price.convention, frozenset("ND"), lambda c: price.rate(np.log(c["N"])) * c["D"])
    rate = price.flops(1.0, 1.0)
    return Price(price.convention, frozenset("ND"), lambda c: rate * c["N"] * c["D"])


def offer_of(
    fit: Fit,
    budget: float,
    price: Price,
    *,
    limits: Sequence[str] = (),
    given: Mapping[str, float] | None = None,
    ranges: Mapping[str, Reachable] | None = None,
) -> Offer:
    """
    Put a question about a fit into arrays.

    Parameters
    ----------
    fit : Fit
    budget : float
        In the unit of the price.
    price : Price
    limits : sequence of str
        ``active_params*num_experts <= 1e11``.
    given : mapping of str to float, optional
        Columns that are held.
    ranges : mapping of str to (float, float), optional
        Where a column may lie.

    Raises
    ------
    InputError
        If a name or a condition makes no sense.
    UnsupportedError
        If nothing is left to choose.
    """
    law, names = fit.surface.law, Names.of(fit)
    if "C" in law.columns:
        msg = f"The {law.name} law reads the budget itself, so it says nothing about how to spend one."
        raise UnsupportedError(msg)
    held = {names.symbol(word, "given"): _positive(word, value) for word, value in (given or {}).items()}
    rules = tuple(_limit(text, names) for text in limits)
    spans = {names.symbol(word, "range"): _span(word, span) for word, span in (ranges or {}).items()}
    wanted = set(law.columns) | price.columns | set().union(*(r.left.names | r.right.names for r in rules))
    if "U" in wanted and "U" not in held and "U" not in spans:
        wanted.discard("U")  # all tokens are unique unless told otherwise
        wanted.add("D")
    unread = sorted(wanted - set(law.columns) - set(held) - {"D"})
    if unread:
        word = names.shown.get(unread[0], unread[0])
        msg = f"The {law.name} law does not read {word}, so nothing tells the best one; hold it with `given` {word}=…"
        raise UnsupportedError(msg)
    free = sorted(wanted - set(held), key=lambda c: (c == "D", c in price.columns, c))
    if not free or not set(free) & price.columns:
        msg = f"Nothing is left to spend the budget on: {price.convention}, and its columns are held."
        raise UnsupportedError(msg)
    box = np.log(np.array([spans.get(c) or WIDE.get(c) or _sampled(fit, c) for c in free]))
    return Offer(law, fit.surface.coefficients, tuple(free), box, held, price, float(budget), rules)


def place(fit: Fit, price: Price, given: Mapping[str, float], budget: float | None = None) -> dict[str, float]:
    """
    Complete a run: columns of the law by name, one of which may follow from the budget.

    Raises
    ------
    UnsupportedError
        If a column is missing, or nothing is left that the budget could say.
    """
    names = Names.of(fit)
    known = {names.symbol(word, "given"): value for word, value in given.items()}
    known = {symbol: _given(names.shown.get(symbol, symbol), symbol, value) for symbol, value in known.items()}
    wanted = set(fit.surface.law.columns) | (price.columns if budget is not None else frozenset())
    missing = sorted(wanted - set(known) - {"U"})
    if "U" in wanted - set(known) and "D" not in {*known, *missing}:
        missing.append("U")
    told = ", ".join(names.shown.get(c, c) for c in missing)
    if budget is None and missing:
        msg = f"The {fit.surface.law.name} law also reads {told}; say which with `given`, or give a table (`points`)."
        raise UnsupportedError(msg)
    if budget is not None and (len(missing) != 1 or missing[0] not in price.columns):
        what = f"{told} are missing" if missing else "nothing is left for it to say"
        msg = f"A budget says one column that {price.convention} reads, and {what}; give the others."
        raise UnsupportedError(msg)
    if budget is not None:
        known[missing[0]] = _afforded(price, known, missing[0], budget)
    if "U" in wanted:
        known.setdefault("U", known.get("D", np.nan))
    if isinstance(fit.surface.law.form, Formula):
        check_columns(fit.surface.law, {c: np.array([known[c]]) for c in fit.surface.law.columns}, "given runs")
    return known


def _afforded(price: Price, known: Mapping[str, float], column: str, budget: float) -> float:
    """Largest value of a column that a budget pays for, by bisection in its log."""
    low, high = np.log(1e-12), np.log(1e24)
    for _ in range(120):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if price.of({**known, column: np.exp(middle)}) <= budget else (low, middle)
    if low < np.log(1e-11) or high > np.log(1e23):
        msg = f"At {price.convention} no {column} costs {format_short(budget, 4)}."
        raise UnsupportedError(msg)
    return float(np.exp(low))


def _sampled(fit: Fit, column: str) -> Reachable:
    values = fit.runs.column(column)
    return float(values.min()), float(values.max())


def _given(word: str, symbol: str, value: float) -> float:
    """A value of a column: above zero for N, D, C and U; a share of the data may be 0."""
    return 0.0 if value == 0 and symbol not in QUANTITIES.values() else _positive(word, value)


def _positive(word: str, value: float) -> float:
    if not is_positive(value):
        msg = f"`given` {word} must be a positive number, got {value!r}."
        raise UnsupportedError(msg)
    return float(value)


def _span(word: str, span: Reachable) -> Reachable:
    low, high = map(float, span)
    if not (is_positive(low, high) and low <= high):
        msg = f"The range of {word} must be two positive numbers, lowest first; got {low!r} to {high!r}."
        raise UnsupportedError(msg)
    return low, high


def _limit(text: str, names: Names) -> Limit:
    """Read ``left <= right``, or the same the other way round."""
    found = names.read(text, "limit")
    if found.kind not in ("<", "<=", ">", ">="):
        msg = f"A limit compares two formulas, such as 'params*num_experts <= 1e11'; got {text!r}."
        raise InputError(msg)
    left, right = found.args if found.kind in ("<", "<=") else found.args[::-1]
    signs = Signs(frozenset(names.known.values()))
    return Limit(text, left, right, signs.is_positive(left) and signs.is_positive(right))


def no_interior(offer: Offer, found: Settled, names: Names) -> str | None:
    """Say that a model size or a token count runs away to an end that nobody set; None where none does."""
    for i in found.ends:
        word = offer.free[i]
        if word in WIDE and offer.box[i].tolist() == np.log(WIDE[word]).tolist():
            side = "more" if found.x[i] > offer.box[i].mean() else "less"
            shown = names.shown.get(word, word)
            return (
                f"Under this law at this price ever {side} {shown} is better, so no {shown} is best; set a limit "
                f"(`limit`) or a range (`range`) for it, or hold it (`given`)."
            )
    return None


def flops_of(columns: Mapping[str, float]) -> float | None:
    """6ND of a run, where it has both."""
    return float(Cost().flops(columns["N"], columns["D"])) if {"N", "D"} <= set(columns) else None
