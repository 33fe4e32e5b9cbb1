"""
What a formula is linear in: its amounts, given its shapes.

Variable projection needs the loss as a combination of a few columns whose multipliers it can solve for. A formula
says so only after it is written out: powers of products become products of powers, exp of a sum a product, products of
sums are multiplied out. Then a coefficient is an *amount* where it occurs only as a bare factor p, p^e or exp(k p), the
same everywhere; the largest set with at most one amount per term is eliminated, and everything else is a *shape*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product

from lawful.core.expression import MINUS, ONE, ZERO, Expression, add, multiply, name, power, rebuild, substitute
from lawful.laws.law import Box

MOST_TERMS = 64
"""Terms that a formula may have once it is multiplied out; a longer one stays as it is written."""


@dataclass(frozen=True)
class Link:
    """
    How an amount enters its terms.

    Attributes
    ----------
    kind : str
        ``plain`` (p itself), ``power`` (p^exponent) or ``exp`` (exp(rate p)).
    exponent : Expression
        Of a power.
    rate : float
        Of an exponential.
    """

    kind: str
    exponent: Expression = ONE
    rate: float = 1.0


@dataclass(frozen=True)
class Term:
    """A product split into the logarithm of its positive factors and the rest."""

    log: Expression
    plain: Expression


@dataclass(frozen=True)
class Column:
    """The column that one amount multiplies: a sum of terms."""

    amount: str
    link: Link
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Ratio:
    """
    A shape that stands for a quotient of two coefficients, the multipliers of two terms of one sum.

    Attributes
    ----------
    numerator, denominator : str
        The coefficients.
    above, below : Expression
        The terms that they multiply.
    exponent : Expression
        Power in which both enter.
    """

    numerator: str
    denominator: str
    above: Expression
    below: Expression
    exponent: Expression


@dataclass(frozen=True)
class Separation:
    """
    A formula as amounts times columns of its shapes.

    Attributes
    ----------
    columns : tuple of Column
        One per amount.
    rest : tuple of Term
        Terms without an amount, taken once.
    shapes : tuple of str
        Coefficients that the columns depend on.
    ratios : mapping of str to Ratio
        Shapes that stand for a quotient of two coefficients of the formula.
    positive : frozenset of str
        Coefficients that are not negative wherever the formula has a value.
    """

    columns: tuple[Column, ...]
    rest: tuple[Term, ...]
    shapes: tuple[str, ...]
    ratios: Mapping[str, Ratio]
    positive: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Signs:
    """
    What is known of the names of a formula.

    Attributes
    ----------
    positive : frozenset of str
        Names that are above 0: columns, and coefficients whose bounds say so.
    above_one : frozenset of str
        Columns that are nowhere below 1, so that their logs are not negative.
    """

    positive: frozenset[str]
    above_one: frozenset[str] = frozenset()

    def with_names(self, *words: str) -> Signs:
        """Return the same with more positive names."""
        return Signs(self.positive | set(words), self.above_one)

    def is_positive(self, part: Expression) -> bool:
        """Tell whether a formula is above 0 for all values of its names."""
        args = part.args
        if part.kind == "number":
            return (part.number or 0.0) > 0
        if part.kind == "name":
            return str(part.value) in self.positive
        if part.kind == "power":
            return self.is_positive(args[0])
        if part.kind == "max":
            return any(map(self.is_positive, args))
        if part.kind == "sum":
            return any(map(self.is_positive, args)) and all(map(self.is_not_negative, args))
        return part.kind == "exp" or (part.kind in ("product", "min") and all(map(self.is_positive, args)))

    def is_not_negative(self, part: Expression) -> bool:
        """Tell whether a formula is nowhere below 0."""
        if part.kind == "number":
            return (part.number or 0.0) >= 0
        if part.kind == "log" and part.args[0].kind == "name":
            return str(part.args[0].value) in self.above_one
        if part.kind in ("sum", "product", "min"):
            return all(map(self.is_not_negative, part.args))
        if part.kind == "max":
            return any(map(self.is_not_negative, part.args))
        even = part.kind == "power" and part.args[1].number is not None and part.args[1].number % 2 == 0
        return part.kind == "abs" or even or self.is_positive(part)


def implied(part: Expression, signs: Signs) -> set[str]:
    """Names that must not be negative for the formula to have a value: the one unknown sign under a free power."""
    found = set().union(*(implied(a, signs) for a in part.args))
    if part.kind == "power" and part.args[1].number is None:
        unknown = [f for f in factors_of(part.args[0]) if not signs.is_positive(f)]
        if len(unknown) == 1 and unknown[0].kind == "name":
            found.add(str(unknown[0].value))
    return found


def written_out(part: Expression, signs: Signs) -> Expression:
    """Powers of positive products and exponentials of sums as products, from the inside out."""
    if not part.args:
        return part
    args = [written_out(a, signs) for a in part.args]
    if part.kind == "power":
        return _power(args[0], args[1], signs)
    if part.kind == "exp":
        return _exp(args[0])
    if part.kind == "log":
        return _log(args[0], signs)
    return rebuild(part, args)


def _power(base: Expression, exponent: Expression, signs: Signs) -> Expression:
    whole = exponent.number is not None and exponent.number % 1 == 0
    if base.kind == "product" and (whole or all(signs.is_positive(a) for a in base.args)):
        return multiply(*(_power(a, exponent, signs) for a in base.args))
    if base.kind == "power" and signs.is_positive(base.args[0]):
        return _power(base.args[0], multiply(base.args[1], exponent), signs)
    if base.kind == "exp":
        return _exp(multiply(base.args[0], exponent))
    return power(base, exponent)


def _exp(inner: Expression) -> Expression:
    parts = distributed(inner)
    return multiply(*(_exp_of_term(p) for p in parts))


def _exp_of_term(term: Expression) -> Expression:
    """exp(k log x) is x^k."""
    factors = term.args if term.kind == "product" else (term,)
    logs = [f for f in factors if f.kind == "log"]
    if len(logs) == 1:
        rest = [f for f in factors if f is not logs[0]]
        return power(logs[0].args[0], multiply(*rest) if rest else ONE)
    return Expression("exp", (term,))


def _log(inner: Expression, signs: Signs) -> Expression:
    if inner.kind == "product" and all(signs.is_positive(a) for a in inner.args):
        return add(*(_log(a, signs) for a in inner.args))
    if inner.kind == "power" and signs.is_positive(inner.args[0]):
        return multiply(inner.args[1], _log(inner.args[0], signs))
    if inner.kind == "exp":
        return inner.args[0]
    return Expression("log", (inner,))


def distributed(part: Expression) -> list[Expression]:
    """Terms of a formula once products of sums are multiplied out; the formula itself where they would be too many."""
    terms = [t for p in (part.args if part.kind == "sum" else (part,)) for t in _multiplied_out(p)]
    return terms if len(terms) <= MOST_TERMS else [part]


def _multiplied_out(part: Expression) -> list[Expression]:
    if part.kind != "product" or not any(a.kind == "sum" for a in part.args):
        return [part]
    choices = [a.args if a.kind == "sum" else (a,) for a in part.args]
    count = 1
    for c in choices:
        count *= len(c)
    if count > MOST_TERMS:
        return [part]
    return [t for chosen in product(*choices) for t in _multiplied_out(multiply(*chosen))]


def factors_of(term: Expression) -> tuple[Expression, ...]:
    """Return the factors of a term."""
    return term.args if term.kind == "product" else (term,)


def link_of(term: Expression, word: str) -> Link | None:
    """How a coefficient enters a term, where it is one bare factor of it; None where it is more than that."""
    own = [f for f in factors_of(term) if word in f.names]
    if len(own) != 1:
        return None
    factor = own[0]
    if factor == name(word):
        return Link("plain")
    if factor.kind == "power" and factor.args[0] == name(word) and word not in factor.args[1].names:
        return Link("power", exponent=factor.args[1])
    if factor.kind == "exp":
        inner = factors_of(factor.args[0])
        rates = [f.number for f in inner if f != name(word)]
        if inner.count(name(word)) == 1 and all(r is not None for r in rates):
            rate = 1.0
            for r in rates:
                rate *= float(r or 0.0)
            return Link("exp", rate=rate)
    return None


def candidates(terms: list[Expression], words: list[str]) -> dict[str, Link]:
    """Coefficients that could be amounts: linked in one way in every term that holds them."""
    found = {}
    for word in words:
        links = {link_of(t, word) for t in terms if word in t.names}
        if len(links) == 1 and (link := links.pop()) is not None:
            found[word] = link
    return found


def chosen_amounts(terms: list[Expression], links: dict[str, Link]) -> list[str]:
    """The largest set of candidates with at most one per term, whose exponents name no other member."""
    words = sorted(links, key=lambda w: (links[w].kind != "plain", w))
    for size in range(len(words), 0, -1):
        for chosen in combinations(words, size):
            members = set(chosen)
            alone = all(len(members & t.names) <= 1 for t in terms)
            if alone and not any(links[w].exponent.names & members for w in chosen):
                return list(chosen)
    return []


def split(
    formula: Expression,
    columns: tuple[str, ...],
    bounds: Mapping[str, Box],
    above_one: frozenset[str] = frozenset(),
    signed: frozenset[str] = frozenset(),
) -> Separation:
    """
    Split a formula into amounts and shapes.

    Parameters
    ----------
    formula : Expression
    columns : tuple of str
        Names that are columns of the table; their values are positive.
    bounds : mapping of str to (float, float)
        Bounds of every coefficient.
    above_one : frozenset of str
        Columns that are nowhere below 1.
    signed : frozenset of str
        Columns that are 0 or less somewhere, such as the proportions of a mixture.

    Returns
    -------
    Separation

    Examples
    --------
    >>> from lawful.core.expression import parse
    >>> bounds = dict(L0=(0, 3), A=(0, 1e9), E=(0, 9), alpha=(0, 2), k=(1e-3, 10))
    >>> parts = split(parse("L0 + A/(N*(1 + k*log(S)))^alpha"), ("N", "S"), bounds)
    >>> [c.amount for c in parts.columns], parts.shapes
    (['A', 'L0'], ('alpha', 'k'))
    """
    words = sorted(formula.names - set(columns))
    signs = Signs((frozenset(columns) - signed) | {w for w in words if bounds[w][0] >= 0}, above_one)
    signs = signs.with_names(*implied(formula, signs))
    terms, ratios = _settled(formula, words, signs)
    signs = signs.with_names(*ratios)
    words = sorted({n for t in terms for n in t.names} - set(columns))
    links = candidates(terms, words)
    amounts = chosen_amounts(terms, links)
    groups: dict[str, list[Term]] = {word: [] for word in amounts}
    rest: list[Term] = []
    for term in terms:
        mine = [w for w in amounts if w in term.names]
        if mine:
            left = [f for f in factors_of(term) if mine[0] not in f.names]
            groups[mine[0]].append(in_logs(left, signs))
        else:
            rest.append(in_logs(list(factors_of(term)), signs))
    made = tuple(Column(word, links[word], tuple(groups[word])) for word in amounts)
    return Separation(made, tuple(rest), tuple(w for w in words if w not in amounts), ratios, signs.positive)


def _settled(formula: Expression, words: list[str], signs: Signs) -> tuple[list[Expression], dict[str, Ratio]]:
    """Write out, multiply out and scale sums until nothing changes."""
    ratios: dict[str, Ratio] = {}
    current = formula
    for _ in range(6):
        known = signs.with_names(*ratios)
        before = current
        current = add(*distributed(written_out(current, known)))
        current = _scaled(current, words, known, ratios)
        if current == before:
            break
    return distributed(current), ratios


def _scaled(part: Expression, words: list[str], signs: Signs, ratios: dict[str, Ratio]) -> Expression:
    """
    Take the scale out of homogeneous sums.

    (c1^e f1 + c2^e f2)^p is c1^(e p) (f1 + (c2/c1)^e f2)^p for positive c: one amount and a ratio in place of two
    multipliers that a search would have to find together.
    """
    found = _homogeneous(part, part, words, signs)
    if found is None:
        return part
    node, members, exponent = found
    first, others = members[0], members[1:]
    base, outer = node.args
    below, *above = (substitute(term, {word: ONE}) for word, term in zip(members, base.args, strict=True))
    values = {first: ONE}
    for other, term in zip(others, above, strict=True):
        label = f"{other}/{first}"
        ratios[label] = Ratio(other, first, term, below, exponent)
        values[other] = name(label)
    scaled = multiply(power(name(first), multiply(exponent, outer)), power(substitute(base, values), outer))
    return _replace(part, node, scaled)


def _replace(part: Expression, old: Expression, new: Expression) -> Expression:
    if part == old:
        return new
    return rebuild(part, [_replace(a, old, new) for a in part.args]) if part.args else part


def _homogeneous(
    part: Expression, whole: Expression, words: list[str], signs: Signs
) -> tuple[Expression, list[str], Expression] | None:
    if part.kind == "power" and part.args[0].kind == "sum":
        members: list[str] = []
        exponents: set[Expression] = set()
        for term in part.args[0].args:
            mine = [(w, link) for w in words if w in signs.positive and (link := link_of(term, w)) is not None]
            plain = [(w, link) for w, link in mine if link.kind != "exp" and _count(whole, w) == 1]
            if len(plain) == 1 and plain[0][0] not in members:
                members.append(plain[0][0])
                exponents.add(plain[0][1].exponent)
        if len(members) == len(part.args[0].args) >= 2 and len(exponents) == 1:
            return part, members, exponents.pop()
    for arg in part.args:
        found = _homogeneous(arg, whole, words, signs)
        if found is not None:
            return found
    return None


def _count(part: Expression, word: str) -> int:
    return int(part == name(word)) + sum(_count(a, word) for a in part.args)


def in_logs(factors: list[Expression], signs: Signs) -> Term:
    """Split factors into the log of those that are positive powers or exponentials, and the rest."""
    logs, plain = ZERO, ONE
    for factor in factors:
        if factor.kind == "exp":
            logs = add(logs, factor.args[0])
        elif factor.kind == "power" and signs.is_positive(factor.args[0]) and factor.args[1] != MINUS:
            logs = add(logs, multiply(factor.args[1], Expression("log", (factor.args[0],))))
        else:
            plain = multiply(plain, factor)
    return Term(logs, plain)
