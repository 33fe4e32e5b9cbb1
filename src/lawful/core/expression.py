"""
Formulas as text: parsed by a whitelist, evaluated on arrays, differentiated exactly.

The grammar is that of a formula on paper: + - * / ^ (or **), parentheses, numbers, names, and the functions of
:data:`FUNCTIONS`; conditions add < <= > >= == !=, ``and``, ``or``, ``not`` and quoted text. Nothing is ever given
to Python's own evaluator. A name that is no plain word (a column such as ``loss (nats)``) stands in backquotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np

from lawful.core.shown import Record
from lawful.errors import InputError

FUNCTIONS = {"log": 1, "exp": 1, "sqrt": 1, "abs": 1, "log10": 1, "log2": 1, "min": 2, "max": 2}
"""Functions of the grammar, with the number of arguments (at least, for min and max)."""

LONGEST = 4000
"""Characters of a formula; far beyond any law, and short enough that parsing one is instant."""

DEEPEST = 60
"""Parentheses, signs and powers within each other, at most."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d]\w*)|`(?P<quoted>[^`]+)`"
    r"|(?P<text>'[^']*'|\"[^\"]*\")|(?P<op>\*\*|<=|>=|==|!=|[-+*/^()<>,=]))"
)
_LOOKALIKES = str.maketrans({"−": "-", "–": "-", "×": "*", "·": "*", "÷": "/"})
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=", "=")


@dataclass(frozen=True, slots=True)
class Expression(Record):
    """
    One node of a formula: a number, a name, or an operation on other nodes.

    Equal parts of a formula are equal objects by value, so that a tape evaluates each of them once.

    Attributes
    ----------
    kind : str
        ``number``, ``name``, ``text``, ``sum``, ``product``, ``power``, ``log``, ``exp``, ``abs``, ``min``, ``max``,
        or in conditions a comparison, ``and``, ``or``, ``not``.
    args : tuple of Expression
        What the operation is applied to.
    value : float or str
        Of a number, a name or a text.

    Examples
    --------
    >>> parse("E + A/N^alpha")
    E + A*N^(-alpha)
    >>> sorted(parse("E + A/N^alpha").names)
    ['A', 'E', 'N', 'alpha']
    """

    kind: str
    args: tuple[Expression, ...] = ()
    value: float | str | None = None

    @property
    def names(self) -> frozenset[str]:
        """All names that occur."""
        if self.kind == "name":
            return frozenset([str(self.value)])
        return frozenset().union(*(a.names for a in self.args))

    @property
    def number(self) -> float | None:
        """Its value where it is a number."""
        return float(self.value) if self.kind == "number" and self.value is not None else None

    def __repr__(self) -> str:
        return to_text(self)


def number(value: float) -> Expression:
    """Return a number as a node."""
    return Expression("number", (), float(value))


def name(word: str) -> Expression:
    """Return a name as a node."""
    return Expression("name", (), word)


ZERO, ONE, MINUS = number(0.0), number(1.0), number(-1.0)


def add(*terms: Expression) -> Expression:
    """Return a sum: flat, with its numbers gathered."""
    flat = [part for term in terms for part in (term.args if term.kind == "sum" else (term,))]
    constant = sum(part.number for part in flat if part.number is not None)
    rest = [part for part in flat if part.number is None]
    if constant or not rest:
        rest.append(number(constant))
    return rest[0] if len(rest) == 1 else Expression("sum", tuple(rest))


def multiply(*factors: Expression) -> Expression:
    """Return a product: flat, with its numbers gathered in front and equal bases joined."""
    flat = [part for f in factors for part in (f.args if f.kind == "product" else (f,))]
    with np.errstate(all="ignore"):
        constant = float(np.prod([part.number for part in flat if part.number is not None]))
    if constant == 0.0:
        return ZERO
    bases: dict[Expression, Expression] = {}
    for part in flat:
        if part.number is None:
            base, exponent = part.args if part.kind == "power" else (part, ONE)
            bases[base] = add(bases[base], exponent) if base in bases else exponent
    rest = [power(base, exponent) for base, exponent in bases.items()]
    rest = [part for part in rest if part != ONE]
    if constant != 1.0 or not rest:
        rest.insert(0, number(constant))
    return rest[0] if len(rest) == 1 else Expression("product", tuple(rest))


def power(base: Expression, exponent: Expression) -> Expression:
    """
    Return a power.

    (x^a)^b is x^(ab) for every x only where b is -1 (or x is positive, which a formula does not know), so only that
    is joined.
    """
    if exponent == ZERO:
        return ONE
    if exponent == ONE:
        return base
    if base.number is not None and exponent.number is not None:
        with np.errstate(all="ignore"):
            return number(float(np.float64(base.number) ** exponent.number))
    if base.kind == "power" and exponent == MINUS:
        return power(base.args[0], negate(base.args[1]))
    return Expression("power", (base, exponent))


def negate(part: Expression) -> Expression:
    """Return minus a node; a sum is negated term by term, so that it stays a sum."""
    return add(*(negate(p) for p in part.args)) if part.kind == "sum" else multiply(MINUS, part)


class _Parser:
    """A precedence climber over the tokens of one formula."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.at = 0
        self.depth = 0

    def peek(self) -> str:
        """Return the operator or word that comes next; empty at the end."""
        return self.tokens[self.at][1] if self.at < len(self.tokens) and self.tokens[self.at][0] != "text" else ""

    def take(self, *wanted: str) -> str:
        """Step over the next token if it is one of those wanted, and return it; empty otherwise."""
        word = self.peek()
        if word in wanted and self.tokens[self.at][0] in ("op", "name"):
            self.at += 1
            return word
        return ""

    def fail(self, what: str) -> NoReturn:
        """Say where reading stopped, and why."""
        place = self.tokens[self.at][2] if self.at < len(self.tokens) else len(self.text)
        msg = f"The formula {self.text!r} cannot be read at position {place + 1}: {what}."
        raise InputError(msg)

    def condition(self) -> Expression:
        """``or`` of ``and`` of comparisons."""
        left = self.conjunction()
        while self.take("or"):
            left = Expression("or", (left, self.conjunction()))
        return left

    def conjunction(self) -> Expression:
        left = self.negation()
        while self.take("and"):
            left = Expression("and", (left, self.negation()))
        return left

    def negation(self) -> Expression:
        if self.take("not"):
            return Expression("not", (self.negation(),))
        left = self.sum()
        sign = self.take(*_COMPARISONS)
        return Expression("==" if sign == "=" else sign, (left, self.sum())) if sign else left

    def sum(self) -> Expression:
        left = self.product()
        while sign := self.take("+", "-"):
            right = self.product()
            left = add(left, right if sign == "+" else negate(right))
        return left

    def product(self) -> Expression:
        left = self.signed()
        while sign := self.take("*", "/"):
            right = self.signed()
            left = multiply(left, right if sign == "*" else power(right, MINUS))
        return left

    def signed(self) -> Expression:
        self.deeper()
        if sign := self.take("-", "+"):
            found = self.signed()
            found = negate(found) if sign == "-" else found
        else:
            found = self.atom()
            if self.take("^", "**"):
                found = power(found, self.signed())
        self.depth -= 1
        return found

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail(f"more than {DEEPEST} signs, powers or parentheses stand within each other")

    def atom(self) -> Expression:
        if self.at >= len(self.tokens):
            self.fail("it ends where a number, a name or a parenthesis is needed")
        kind, word, _ = self.tokens[self.at]
        if kind == "op" and word == "(":
            return self.inside()
        if kind == "op":
            self.fail(f"{word!r} where a number, a name or a parenthesis is needed")
        self.at += 1
        if kind == "number":
            return number(float(word))
        if kind == "text":
            return Expression("text", (), word)
        if kind == "name" and self.peek() == "(" and word in FUNCTIONS:
            return self.call(word)
        if kind == "name" and self.peek() == "(":
            self.at -= 1
            self.fail(f"{word!r} is no function here; there are {', '.join(FUNCTIONS)}")
        return name(word)

    def inside(self) -> Expression:
        self.at += 1
        found = self.condition()
        if not self.take(")"):
            self.fail("a closing parenthesis is missing")
        return found

    def call(self, function: str) -> Expression:
        self.at += 1
        args = [self.sum()]
        while self.take(","):
            args.append(self.sum())
        if not self.take(")"):
            self.fail("a closing parenthesis is missing")
        needed = FUNCTIONS[function]
        if len(args) < needed or (needed == 1 and len(args) > 1):
            self.fail(f"{function} takes {'one argument' if needed == 1 else 'two or more'}, not {len(args)}")
        if function == "sqrt":
            return power(args[0], number(0.5))
        if function in ("log10", "log2"):
            return multiply(number(1.0 / np.log(float(function[3:]))), Expression("log", (args[0],)))
        return Expression(function, tuple(args))


def _tokens(text: str) -> Iterable[tuple[str, str, int]]:
    plain = text.translate(_LOOKALIKES)
    at = 0
    while at < len(plain.rstrip()):
        match = _TOKEN.match(plain, at)
        if match is None:
            place = at + len(plain[at:]) - len(plain[at:].lstrip())
            msg = f"The formula {text!r} cannot be read at position {place + 1}: {text[place]!r} has no meaning here."
            raise InputError(msg)
        kind = str(match.lastgroup)
        word = match[kind][1:-1] if kind == "text" else match[kind]
        yield kind, word, match.start(kind)
        at = match.end()


def parse(text: str) -> Expression:
    """
    Read a formula, or a condition.

    Parameters
    ----------
    text : str
        At most :data:`LONGEST` characters.

    Returns
    -------
    Expression

    Raises
    ------
    InputError
        If it cannot be read; the message says where and why.

    Examples
    --------
    >>> parse("step*batch_size*seq_len")
    step*batch_size*seq_len
    >>> parse("loss < 4 and lr == 3e-4").kind
    'and'
    >>> parse("exp(")
    Traceback (most recent call last):
        ...
    lawful.errors.InputError: The formula 'exp(' cannot be read at position 5: it ends where a number, ... is needed.
    """
    if not text.strip():
        msg = "The formula is empty."
        raise InputError(msg)
    if len(text) > LONGEST:
        msg = f"The formula has {len(text)} characters; at most {LONGEST} are read."
        raise InputError(msg)
    parser = _Parser(text)
    found = parser.condition()
    if parser.at < len(parser.tokens):
        parser.fail(f"{parser.tokens[parser.at][1]!r} was not expected")
    if not all(np.isfinite(float(step.value or 0.0)) for step in Tape(found).steps if step.kind == "number"):
        msg = f"The formula {text!r} divides by zero, or has a number too large to be one."
        raise InputError(msg)
    return found


def substitute(part: Expression, values: Mapping[str, Expression]) -> Expression:
    """Return the formula with names replaced by formulas."""
    if part.kind == "name":
        return values.get(str(part.value), part)
    if not part.args:
        return part
    return rebuild(part, [substitute(a, values) for a in part.args])


def rebuild(part: Expression, args: list[Expression]) -> Expression:
    """Return the same operation on other arguments, simplified as when it was read."""
    made: dict[str, Callable[..., Expression]] = {"sum": add, "product": multiply, "power": power}
    return made[part.kind](*args) if part.kind in made else Expression(part.kind, tuple(args))


_RANK = {"sum": 1, "product": 2, "power": 3}


def to_text(part: Expression) -> str:
    """Write a formula so that reading it again gives the same one."""
    if not part.args:
        return _leaf_text(part)
    if part.kind in ("and", "or", *_COMPARISONS):
        return f" {part.kind} ".join(_within(a, 1) for a in part.args)
    if part.kind == "not":
        return f"not {_within(part.args[0], 4)}"
    if part.kind == "sum":
        return " + ".join(_within(a, 2) for a in part.args).replace("+ -", "- ")
    if part.kind == "product":
        written = "*".join(_within(a, 2) for a in part.args)
        return "-" + written[3:] if written.startswith("-1*") else written
    if part.kind == "power":
        return "^".join(_within(a, 4) for a in part.args)
    return f"{part.kind}({', '.join(to_text(a) for a in part.args)})"


def quoted(name: str) -> str:
    """
    Write a name as a formula reads it: in backquotes, unless it is a plain word.

    Examples
    --------
    >>> quoted("steps"), quoted("batch size")
    ('steps', '`batch size`')
    """
    return name if re.fullmatch(r"[^\W\d]\w*", name) else f"`{name}`"


def _leaf_text(part: Expression) -> str:
    if part.kind == "number":
        value = float(part.value or 0.0)
        return f"{value:.0f}" if value % 1 == 0 and abs(value) < 1e6 else f"{value!r}".replace("e+", "e")
    word = str(part.value)
    if part.kind == "text":
        return f"'{word}'"
    return quoted(word)


def _within(part: Expression, rank: int) -> str:
    own = _RANK.get(part.kind, 0 if part.kind in ("and", "or", *_COMPARISONS) else 5)
    if part.kind == "number" and (part.number or 0.0) < 0 and rank > 2:
        own = 0
    return to_text(part) if own >= rank else f"({to_text(part)})"


class Step(NamedTuple):
    """One operation of a tape: its kind, where its arguments stand, and the value of a number."""

    kind: str
    args: tuple[int, ...]
    value: float | str | None


class Tape:
    """
    Formulas laid out in the order of their evaluation, every common part once.

    Values are arrays that broadcast against each other: columns have shape (n,) and coefficients shape (R, 1), so one
    pass evaluates R sets of coefficients on n runs. A reverse pass gives the slopes by every name at once, exact to
    rounding.

    Parameters
    ----------
    *parts : Expression
        The formulas.

    Examples
    --------
    >>> tape = Tape(parse("E + A/N^alpha"))
    >>> work = tape.run({"E": 1.0, "A": 100.0, "alpha": 0.5, "N": np.array([1e4, 1e6])})
    >>> work[tape.outputs[0]].tolist()
    [2.0, 1.1]
    >>> {k: v.round(4).tolist() for k, v in tape.back(work, [1.0], ["A", "alpha"]).items()}
    {'A': [0.01, 0.001], 'alpha': [-9.2103, -1.3816]}
    """

    def __init__(self, *parts: Expression) -> None:
        self.steps: list[Step] = []
        self.place: dict[Expression, int] = {}
        self.outputs = [self._lay(part) for part in parts]

    def _lay(self, part: Expression) -> int:
        if part not in self.place:
            args = tuple(self._lay(a) for a in part.args)
            self.steps.append(Step(part.kind, args, part.value))
            self.place[part] = len(self.steps) - 1
        return self.place[part]

    def run(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the value of every step, given arrays by name."""
        work: list[Any] = []
        with np.errstate(all="ignore"):
            for step in self.steps:
                if step.kind == "number":
                    work.append(np.float64(step.value or 0.0))
                elif step.kind == "name":
                    work.append(values[str(step.value)])
                else:
                    work.append(_FORWARD[step.kind](*(work[a] for a in step.args)))
        return work

    def back(self, work: list[Any], seeds: Iterable[Any], wanted: Iterable[str]) -> dict[str, Any]:
        """
        Slopes of the seeded sum of outputs by names, elementwise.

        Parameters
        ----------
        work : list of array
            What :meth:`run` returned.
        seeds : iterable of array
            One per output.
        wanted : iterable of str
            Names to differentiate by.

        Returns
        -------
        dict of array
            By name; 0 where the outputs do not depend on it.
        """
        found: dict[str, Any] = dict.fromkeys(wanted, 0.0)
        needed = self._reached(set(found))
        slope: list[Any] = [None] * len(self.steps)
        for output, seed in zip(self.outputs, seeds, strict=True):
            slope[output] = seed if slope[output] is None else slope[output] + seed
        with np.errstate(all="ignore"):
            for at in range(len(self.steps) - 1, -1, -1):
                step = self.steps[at]
                if slope[at] is None or not needed[at]:
                    continue
                if step.kind == "name":
                    found[str(step.value)] = slope[at]
                    continue
                for place, arg in enumerate(step.args):
                    if needed[arg]:
                        inner = _BACKWARD[step.kind](place, work[at], [work[a] for a in step.args])
                        more = slope[at] * inner
                        slope[arg] = more if slope[arg] is None else slope[arg] + more
        return found

    def _reached(self, wanted: set[str]) -> list[bool]:
        needed: list[bool] = []
        for step in self.steps:
            own = step.kind == "name" and step.value in wanted
            needed.append(own or any(needed[a] for a in step.args))
        return needed


def _add(*terms: Any) -> Any:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _multiply(*factors: Any) -> Any:
    total = factors[0]
    for factor in factors[1:]:
        total = total * factor
    return total


def _others(place: int, args: list[Any]) -> Any:
    rest = [a for i, a in enumerate(args) if i != place]
    return _multiply(*rest)


def _least(*args: Any) -> Any:
    return _chosen(args, -1.0)


def _most(*args: Any) -> Any:
    return _chosen(args, 1.0)


def _chosen(args: tuple[Any, ...], sign: float) -> Any:
    """Return the largest (or least) by real part, so that a step along the imaginary axis passes through."""
    best = args[0]
    for other in args[1:]:
        best = np.where(sign * (np.real(other) - np.real(best)) > 0, other, best)
    return best


def _power_slope(place: int, value: Any, args: list[Any]) -> Any:
    base, exponent = args
    if place == 0:
        return np.where(base == 0, np.where(exponent == 1, 1.0, 0.0), exponent * value / np.where(base == 0, 1.0, base))
    # 0^x is 0 for every x > 0, and so is its slope by x.
    return np.where(base == 0, 0.0, value * np.log(np.where(base == 0, 1.0, base)))


def _is_it(place: int, value: Any, args: list[Any]) -> Any:
    """Return 1 where this argument is the one chosen; the first of equals has the slope."""
    own = args[place] == value
    for earlier in args[:place]:
        own = own & ~(earlier == value)
    return np.where(own, 1.0, 0.0)


_FORWARD: dict[str, Callable[..., Any]] = {
    "sum": _add,
    "product": _multiply,
    "power": lambda base, exponent: base**exponent,
    "log": np.log,
    "exp": np.exp,
    "abs": lambda x: np.where(np.real(x) < 0, -x, x),
    "min": _least,
    "max": _most,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "text": lambda: None,
}

_BACKWARD: dict[str, Callable[[int, Any, list[Any]], Any]] = {
    "sum": lambda _place, _value, _args: 1.0,
    "product": lambda place, _value, args: _others(place, args),
    "power": _power_slope,
    "log": lambda _place, _value, args: 1.0 / args[0],
    "exp": lambda _place, value, _args: value,
    "abs": lambda _place, _value, args: np.where(np.real(args[0]) < 0, -1.0, 1.0),
    "min": _is_it,
    "max": _is_it,
}


def evaluate(part: Expression, values: Mapping[str, Any]) -> Any:
    """
    Evaluate a formula or a condition on arrays or columns by name; text is compared as text.

    Raises
    ------
    InputError
        If a name has no value.

    Examples
    --------
    >>> evaluate(parse("log(ppl)"), {"ppl": np.array([1.0, np.e])}).tolist()
    [0.0, 1.0]
    >>> evaluate(parse("state != 'crashed' and loss < 3"),
    ...     {"state": np.array(["ok", "crashed"]), "loss": np.array([2.0, 2.0])}).tolist()
    [True, False]
    """
    missing = sorted(part.names - set(values))
    if missing:
        msg = f"{to_text(part)} names {', '.join(map(repr, missing))}, which is not there."
        raise InputError(msg)
    with np.errstate(all="ignore"):
        return _evaluate(part, values)


def _evaluate(part: Expression, values: Mapping[str, Any]) -> Any:
    if part.kind in ("number", "text"):
        return part.value
    if part.kind == "name":
        return values[str(part.value)]
    return _FORWARD[part.kind](*(_evaluate(a, values) for a in part.args))
