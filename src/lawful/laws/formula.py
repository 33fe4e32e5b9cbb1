"""A formula is a law: ``loss = E + A/params^alpha + C*num_experts^-gamma``, in columns of the table."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lawful.core.expression import Expression, Tape, name, parse, substitute, to_text
from lawful.core.typing import Array
from lawful.data.values import LOSSES
from lawful.errors import InputError, UnsupportedError
from lawful.laws.law import EXPONENT_BOX, FRONTIER_NAMES, Box, Coefficients, Curvature, Differentiated, Law
from lawful.laws.projection import Separation, Signs, factors_of, link_of, split, written_out

QUANTITIES = {
    **dict.fromkeys(("N", "params", "parameters", "n_params"), "N"),
    **dict.fromkeys(("D", "tokens", "n_tokens"), "D"),
    **dict.fromkeys(("C", "budget", "flops", "compute"), "C"),
    **dict.fromkeys(("U", "unique_tokens"), "U"),
}
"""Names that a formula has for the quantities of every table."""

FREE_EXPONENT: Box = (-3.0, 3.0)
"""Bounds of an exponent of which the formula does not say that it is positive."""

MULTIPLIER: Box = (1e-15, 1e15)
"""Bounds of a positive multiplier inside a formula, searched through its logarithm."""

LOGGED: Box = (-200.0, 200.0)
"""Bounds of an amount that the formula has as exp(p)."""

FREE: Box = (-1e3, 1e3)
"""Bounds of any other shape."""


@dataclass(frozen=True)
class Formula:
    """
    A law's right-hand side as a callable: the form of a :class:`~lawful.Law`, with exact slopes.

    Attributes
    ----------
    expression : Expression
        In N, D, C, U and columns of the table.
    columns : tuple of str
    coefficients : tuple of str
    multipliers : tuple of str
        Amounts that are never negative and multiply what depends on other coefficients. They move with those by
        factors (A with alpha in A/N^alpha), so an interval of them is symmetric in the logarithm.
    """

    expression: Expression
    columns: tuple[str, ...]
    coefficients: tuple[str, ...]
    multipliers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "tape", Tape(self.expression))

    def __call__(self, k: Coefficients, *columns: Any) -> Any:
        """Loss at coefficients by name and the values of the columns, real or complex."""
        tape: Tape = self.tape  # type: ignore[attr-defined]
        return tape.run({**k, **dict(zip(self.columns, columns, strict=True))})[tape.outputs[0]]

    def slopes(self, k: Coefficients, *columns: Any) -> dict[str, Any]:
        """Derivatives of the loss by every coefficient, exact to rounding; of complex coefficients too."""
        tape: Tape = self.tape  # type: ignore[attr-defined]
        work = tape.run({**k, **dict(zip(self.columns, columns, strict=True))})
        found = tape.back(work, [1.0], self.coefficients)
        shape = np.shape(work[tape.outputs[0]])
        return {word: np.broadcast_to(slope, shape) for word, slope in found.items()}


@dataclass(frozen=True)
class Derivatives:
    """
    Values, slopes and curvature of a formula in solver units, for Newton's method.

    Attributes
    ----------
    form : Formula
    logs : tuple of str
        Coefficients that are searched through their logarithm.
    """

    form: Formula
    logs: tuple[str, ...]

    def __call__(self, columns: tuple[Array, ...], _centre: Array) -> Differentiated:
        """Bind the columns; see :class:`~lawful.laws.law.Differentiated`."""
        words, n = self.form.coefficients, columns[0].size
        is_log = np.array([word in self.logs for word in words])

        def rows_of(z: Any) -> Any:
            with np.errstate(all="ignore"):
                return np.where(is_log, np.exp(np.where(is_log, z, 0.0)), z)

        def slopes(z: Any) -> Any:
            rows = rows_of(z)
            with np.errstate(all="ignore"):
                found = self.form.slopes({w: rows[:, i, None] for i, w in enumerate(words)}, *columns)
                stacked = np.stack([np.broadcast_to(found[w], (len(z), n)) for w in words], axis=1)
                stacked = stacked * np.where(is_log, rows, 1.0)[:, :, None]
            return np.where(np.isfinite(stacked), stacked, 0.0)

        def model(z: Array) -> tuple[Array, Array, Curvature]:
            rows = rows_of(z)
            with np.errstate(all="ignore"):
                value = self.form({w: rows[:, i, None] for i, w in enumerate(words)}, *columns)
            value = np.broadcast_to(value, (len(z), n))
            value = np.where(np.isfinite(value), value, WORTHLESS)

            def curvature(v: Array) -> Array:
                # One complex step of the exact slopes gives a row of the Hessian: q passes in place of q²/2.
                out = np.empty((len(z), z.shape[1], z.shape[1]))
                for j in range(z.shape[1]):
                    moved = z.astype(complex)
                    moved[:, j] += 1j * STEP
                    out[:, :, j] = np.einsum("rqn,rn->rq", np.imag(slopes(moved)) / STEP, v)
                return 0.5 * (out + out.transpose(0, 2, 1))

            return value, np.real(slopes(z)), curvature

        return model


STEP = 1e-25
"""Of a slope along the imaginary axis, which has no cancellation."""

FARTHEST = 100.0
"""Ranges of the losses by which a constant may lie below them, where it may be negative."""

WORTHLESS = 1e6
"""Loss where a formula has no value."""


def is_formula(text: str) -> bool:
    """Tell whether a text is a formula and not the name of a law."""
    return bool(re.search(r"[=+*/^()]", text))


def loss_column(text: str) -> str | None:
    """
    Name of the loss column that a formula states left of its equals sign; None for the loss by its usual names.

    Examples
    --------
    >>> loss_column("loss_validation = L0 + A/N^a"), loss_column("loss = E + A/N^a"), loss_column("L(N) = E + A/N^a")
    ('loss_validation', None, None)
    """
    left = _sides(text)[0]
    return None if left is None or left in LOSSES else left


def named_loss(asked: Law | str) -> str | None:
    """
    Name of the loss column that a law states, given as a text or made of one; None for a law of the catalogue.

    Examples
    --------
    >>> named_loss("score = L0 + A/N^a"), named_loss(law("score = L0 + A/N^a")), named_loss("skaling")
    ('score', 'score', None)
    """
    text = asked if isinstance(asked, str) else asked.name
    return loss_column(text) if is_formula(text) else None


def for_table(made: Law, columns: Collection[str], taken: Mapping[str, str]) -> Law:
    """
    Read a law that was made without its table again, where that has columns of the law for N, D, C or U.

    Examples
    --------
    >>> made = law("loss = E + A/active^a*experts^-g", ["active", "experts"])
    >>> for_table(made, ["experts"], {"active": "N"}).columns
    ('N', 'experts')
    """
    if not is_formula(made.name) or all(taken.get(column, column) == column for column in made.columns):
        return made
    again = law(made.name, columns, bounds=made.bounds, taken=taken)
    # A law with ties is named by the formula without them, and stays as it was made.
    if again.names != made.names:
        return made
    # The name is the formula as it was parsed; a reader is shown it as it was written.
    head, _, _ = again.formula.partition(" = ")
    return replace(again, formula=f"{head} = {made.formula.partition(' = ')[2]}")


def signed_box(made: Law, losses: Array) -> dict[str, Box]:
    """
    Bounds of a law's own that let its constant be negative, as losses around zero ask for, where it had none.

    It may lie :data:`FARTHEST` ranges of the losses below them: beyond, an exponent near 0 makes any constant good, and
    no float tells them apart.

    Examples
    --------
    >>> signed_box(law("excess = E + A/N^alpha"), np.array([-0.5, 0.5]))
    {'E': (-100.5, inf)}
    """
    constant = made.constant
    if constant is None or made.bounds[constant] != (0.0, np.inf):
        return dict(made.box)
    low = float(losses.min()) - FARTHEST * float(np.ptp(losses) or 1.0)
    return {**made.box, constant: (low, np.inf)}


def signed_law(made: Law, losses: Array) -> Law:
    """
    Let the constant of a formula be negative, where no bounds were given for it.

    A sum of falling powers is then fitted as any other formula: its kernel rests on a constant that is not negative.

    Examples
    --------
    >>> found = signed_law(law("excess = E + A/N^alpha + B/D^beta"), np.array([-0.5, 0.5]))
    >>> found.bounds["E"], found.separable
    ((-100.5, inf), False)
    """
    box = signed_box(made, losses)
    if box == made.box:
        return made
    if made.form is not None:
        return replace(made, box=box)
    return law(made.name, [c for c in made.columns if c not in "NDCU"], bounds=box)


def unlogged(made: Law, bounds: Mapping[str, Box]) -> Law:
    """
    Search no coefficient of a formula through its logarithm where the bounds asked for let it be zero or negative.

    Examples
    --------
    >>> found = law("loss = E + (a/N^alpha + b/D^beta)^k")
    >>> found.logs, unlogged(found, {"b": (-1e4, 1e4)}).logs
    (('b',), ())
    """
    form = made.form
    wide = {word for word in made.names if word in bounds and bounds[word][0] <= 0}
    if not isinstance(form, Formula) or not wide & {*made.logs, *form.multipliers}:
        return made
    logs = tuple(word for word in made.logs if word not in wide)
    kept = replace(form, multipliers=tuple(word for word in form.multipliers if word not in wide))
    box = {**made.box, **{word: bounds[word] for word in wide}}
    return replace(made, form=kept, box=box, logs=logs, derivatives=Derivatives(kept, logs))


def never_negative(made: Law, bounds: Mapping[str, Box]) -> bool:
    """
    Whether a formula is nowhere below zero within bounds that replace its own.

    Examples
    --------
    >>> found = law("excess = A/N^alpha")
    >>> never_negative(found, {}), never_negative(found, {"A": (-1e9, 1e9)})
    (True, False)
    """
    box = {**made.bounds, **bounds}
    words = {word for word in made.names if box[word][0] >= 0}
    return Signs(frozenset(made.columns) | words).is_not_negative(expression_of(made))


def as_written(made: Law, text: str) -> Law:
    """
    Give a law the name of a formula, and show it as that has it; a name that is no formula is a name alone.

    Examples
    --------
    >>> as_written(law("loss = E + A*N^(-alpha)*D^(-beta)"), "loss = E + A/(N^alpha*D^beta)").formula
    'L(N, D) = E + A/(N^alpha*D^beta)'
    """
    if not is_formula(text):
        return replace(made, name=text)
    head = made.formula.partition(" = ")[0]
    return replace(made, name=text, formula=f"{head} = {_sides(text)[1].strip()}")


def _sides(text: str) -> tuple[str | None, str]:
    left, equals, right = text.partition("=")
    if not equals:
        return None, text
    word = re.sub(r"\([^()]*\)\s*$", "", left).strip().strip("`")
    return word, right


def law(
    text: str,
    columns: Collection[str] = (),
    *,
    bounds: Mapping[str, Box] | None = None,
    ties: Mapping[str, str] | None = None,
    taken: Mapping[str, str] | None = None,
) -> Law:
    """
    Make a law of a formula.

    Parameters
    ----------
    text : str
        ``loss = E + A/params^alpha + B/tokens^beta``: left the column of the loss (may be left out), right
        + - * / ^, parentheses, log, exp, sqrt, abs, min, max, numbers, columns and coefficients. ``N, D, C, U`` and
        ``params, tokens, budget, unique_tokens`` are the quantities of every table.
    columns : collection of str
        Names in the formula that are columns of the table; every other name is a coefficient.
    bounds : mapping of str to (float, float), optional
        Bounds of coefficients. Where none are given: amounts (which the loss is linear in) are not negative where their
        column is not; exponents lie in 0.01 to 2 where the formula shows them with a minus sign, else in -3 to 3;
        positive multipliers in 1e-15 to 1e15.
    ties : mapping of str to str, optional
        Coefficients that are a formula of others: ``{"alpha": "beta"}``.
    taken : mapping of str to str, optional
        Columns of the table that it has for N, D, C or U, under their own names: ``{"active_params": "N"}``. Else a
        formula that names one would have a coefficient of that name.

    Returns
    -------
    Law
        A sum of falling powers becomes the law of that form, with its kernel and all that rests on it; any other is
        fitted by variable projection of what it is linear in.

    Raises
    ------
    InputError
        If the formula cannot be read, or has no coefficient or no column.

    Examples
    --------
    >>> found = law("loss = E + A*params^-alpha + B/tokens^beta")
    >>> found.two_powers, found.columns
    (True, ('N', 'D'))
    >>> found = law("loss = L0 + B/(N^alpha*num_experts^beta)", ["num_experts"])
    >>> found.names, found.bounds["alpha"]
    (('B', 'L0', 'alpha', 'beta'), (0.01, 2.0))
    """
    right = _sides(text)[1]
    known = {q: name(symbol) for q, symbol in QUANTITIES.items() if q not in columns}
    known |= {column: name(symbol) for column, symbol in (taken or {}).items()}
    expression = substitute(parse(right), known)
    for word, other in (ties or {}).items():
        if word not in expression.names:
            msg = f"{word!r} is no coefficient of {text!r}, so it cannot be tied to {other!r}."
            raise InputError(msg)
        expression = substitute(expression, {word: substitute(parse(other), known)})
    present = tuple(sorted(expression.names & (set(columns) | set("NDCU")), key=_order))
    words = sorted(expression.names - set(present))
    if not words or not present:
        lacking = "coefficient" if present else "column of the table"
        msg = f"The formula {text!r} has no {lacking}; its names are {', '.join(sorted(expression.names)) or 'none'}."
        raise InputError(msg)
    title = " ".join(text.split())
    plain = _sum_of_powers(title, expression, present, bounds or {})
    if plain is not None and plain.bounds[plain.linear[0]][0] >= 0:
        return plain
    box = _defaults(expression, present, words) | {k: v for k, v in (bounds or {}).items() if k in words}
    parts = split(expression, present, box)
    amounts = tuple(c.amount for c in parts.columns)
    shapes = tuple(w for w in words if w not in amounts)
    logs = tuple(w for w in words if box[w][0] > 0 and box[w][1] / box[w][0] >= 1e4)
    form = Formula(expression, present, amounts + shapes, _multipliers(parts, box))
    return Law(
        title,
        amounts,
        shapes,
        present,
        form=form,
        box=box,
        logs=logs,
        constant=_constant(expression, words),
        formula=f"L({', '.join(present)}) = {right.strip()}",
        derivatives=Derivatives(form, logs),
    )


def _multipliers(parts: Separation, box: Mapping[str, Box]) -> tuple[str, ...]:
    """Amounts that are not negative and whose column depends on a shape; exp(p) has its logarithm in p already."""
    shapes = set(parts.shapes)
    return tuple(
        column.amount
        for column in parts.columns
        if box[column.amount][0] >= 0
        and column.link.kind != "exp"
        and any((t.log.names | t.plain.names) & shapes for t in column.terms)
    )


def _order(word: str) -> tuple[int, str]:
    return ("NDCU".index(word) if word in "NDCU" else 4, word)


def _constant(expression: Expression, words: list[str]) -> str | None:
    """The coefficient that stands alone in the sum: the loss that no compute removes."""
    terms = expression.args if expression.kind == "sum" else (expression,)
    alone = [str(t.value) for t in terms if t.kind == "name" and t.value in words]
    return alone[0] if len(alone) == 1 else None


def _sum_of_powers(
    title: str, expression: Expression, columns: tuple[str, ...], bounds: Mapping[str, Box]
) -> Law | None:
    """The separable law of a constant plus one falling power per column; None for any other formula."""
    terms = expression.args if expression.kind == "sum" else (expression,)
    constant, found = None, {}
    for term in terms:
        if term.kind == "name" and constant is None and term.value not in columns:
            constant = str(term.value)
            continue
        power = _falling(term, columns)
        if power is None or power[2] in found:
            return None
        found[power[2]] = power[:2]
    words = [w for pair in found.values() for w in pair] + [constant]
    if constant is None or len(found) != len(columns) or len(set(words)) != len(words):
        return None
    return Law(
        title,
        (constant, *(found[c][0] for c in columns)),
        tuple(found[c][1] for c in columns),
        columns,
        box=dict(bounds),
    )


def _falling(term: Expression, columns: tuple[str, ...]) -> tuple[str, str, str] | None:
    """Amount, exponent and column of A*X^(-theta)."""
    if term.kind != "product" or len(term.args) != 2:
        return None
    amount = next((a for a in term.args if a.kind == "name" and a.value not in columns), None)
    power = next((a for a in term.args if a.kind == "power"), None)
    if amount is None or power is None or power.args[0].kind != "name" or power.args[0].value not in columns:
        return None
    exponent = power.args[1]
    if exponent.kind == "product" and len(exponent.args) == 2 and exponent.args[0].number == -1.0:
        inner = exponent.args[1]
        if inner.kind == "name" and inner.value not in columns:
            return str(amount.value), str(inner.value), str(power.args[0].value)
    return None


def _defaults(expression: Expression, columns: tuple[str, ...], words: list[str]) -> dict[str, Box]:
    """Bounds by how a coefficient is used, once the formula is written out as if all of them were positive."""
    parts = split(expression, columns, dict.fromkeys(words, (0.0, 1.0)))
    signs = Signs(frozenset(columns) | set(words))
    amounts = {c.amount: all(signs.is_not_negative(t.plain) for t in c.terms) for c in parts.columns}
    logged = {c.amount for c in parts.columns if c.link.kind == "exp"}
    exponents: dict[str, set[bool]] = {}
    _exponents(written_out(expression, signs), exponents)
    rates = _rates(expression, set(words))
    box = {}
    for word in words:
        if word in rates:
            box[word] = FREE_EXPONENT
        elif word in exponents:
            box[word] = EXPONENT_BOX if exponents[word] == {True} else FREE_EXPONENT
        elif word in logged:
            box[word] = LOGGED
        elif word in amounts:
            box[word] = (0.0, np.inf) if amounts[word] else (-np.inf, np.inf)
        else:
            box[word] = MULTIPLIER if _must_be_positive(expression, word) else FREE
    return box


def _exponents(part: Expression, found: dict[str, set[bool]]) -> None:
    """Collect the names in exponents, with whether each stands with a minus sign."""
    if part.kind == "power":
        inner = part.args[1]
        for term in inner.args if inner.kind == "sum" else (inner,):
            falling = term.kind == "product" and (term.args[0].number or 1.0) < 0
            for word in term.names:
                found.setdefault(word, set()).add(falling)
    for arg in part.args:
        _exponents(arg, found)


def _rates(part: Expression, words: set[str]) -> set[str]:
    """
    Coefficients of logarithms inside exp: exponents whose sign the formula leaves open.

    exp(b*log(1/x)) is x^-b once it is written out, and says nothing of the sign of b, as exp(-b*log(x)) does. In front
    of a product of logs, a coefficient is no power's exponent, but of that size.
    """
    found = set().union(*(_rates(arg, words) for arg in part.args))
    if part.kind != "exp":
        return found
    inner = part.args[0]
    for term in inner.args if inner.kind == "sum" else (inner,):
        factors = factors_of(term)
        logs = sum(f.kind == "log" for f in factors)
        shown_falling = any((f.number or 0.0) < 0 for f in factors)
        if logs and (logs > 1 or not shown_falling):
            found |= {str(f.value) for f in factors if f.kind == "name"} & words
    return found


def _must_be_positive(expression: Expression, word: str) -> bool:
    """A multiplier under a power, a log, a minimum or a maximum of positive columns."""
    whole = expression.kind == "power" and expression.args[1].number is not None
    if expression.kind in ("power", "log", "min", "max") and not whole and word in expression.names:
        inner = expression.args[0] if expression.kind == "power" else expression
        terms = inner.args if inner.kind in ("sum", "min", "max", "log") else (inner,)
        flat = [t for a in terms for t in (a.args if a.kind == "sum" else (a,))]
        if any(t == name(word) or (t.kind == "product" and name(word) in t.args) for t in flat):
            return True
    return any(_must_be_positive(a, word) for a in expression.args)


def check_columns(
    law_: Law, values: Mapping[str, Array], what: str = "runs", *, bounds: Mapping[str, Box] | None = None
) -> None:
    """
    Refuse zeros and negative numbers where a law has no value at them.

    A column under a log or a falling power must be positive; under a rising power that is no whole number it must not
    be negative. A proportion that is 0 is a number like any other in ``c + k*exp(t*share)``.

    Raises
    ------
    InputError
        With the column, what the law does with it, and the first such run.

    Examples
    --------
    >>> mix = law("loss = c + k*exp(t*web)", ["web"])
    >>> check_columns(mix, {"web": np.array([0.0, 0.5])})
    >>> check_columns(law("loss = c + k*log(web)", ["web"]), {"web": np.array([0.0, 0.5])})
    Traceback (most recent call last):
        ...
    lawful.errors.InputError: The law takes the log of column 'web', so its values must be positive; 1 of 2 runs are \
not (first: 1).
    """
    low = {column: float(np.min(v)) for column, v in values.items()}
    if min(low.values()) > 0:
        return
    try:
        expression = expression_of(law_)
    except UnsupportedError:
        needs = dict.fromkeys(law_.columns, ("powers", True))
    else:
        needs = {}
        _needs(expression, set(values), law_.bounds | dict(bounds or {}), needs)
    for column, (use, positive) in needs.items():
        bad = np.flatnonzero((values[column] <= 0) if positive else (values[column] < 0))
        if bad.size:
            kind = "positive" if positive else "0 or more"
            msg = (
                f"The law takes {use} of column {column!r}, so its values must be {kind}; {bad.size} of "
                f"{values[column].size} {what} are not (first: {bad[0] + 1})."
            )
            raise InputError(msg)


def _needs(part: Expression, columns: set[str], bounds: Mapping[str, Box], found: dict[str, tuple[str, bool]]) -> None:
    """Collect columns that must be positive (True) or not negative (False), with what is done to them."""
    if part.kind in ("log", "power"):
        inner = part.args[0]
        words = {str(f.value) for f in factors_of(inner) if f.kind == "name"} & columns
        use, positive = "the log", True
        if part.kind == "power":
            exponent = part.args[1]
            fixed = exponent.number
            least = bounds.get(str(exponent.value), (-1.0, 0.0))[0] if exponent.kind == "name" else -1.0
            least = least if fixed is None else fixed
            if fixed is not None and fixed >= 0 and fixed % 1 == 0:
                words = set()
            use, positive = "powers", least < 0
        for word in words:
            if positive or word not in found:
                found[word] = (use, positive)
    for arg in part.args:
        _needs(arg, columns, bounds, found)


def expression_of(law_: Law) -> Expression:
    """
    The right-hand side of a law as a formula, for ties and for search.

    Raises
    ------
    UnsupportedError
        If the law is a function of Python that is not written as a formula.

    Examples
    --------
    >>> from lawful.laws.laws import LAWS
    >>> expression_of(LAWS["skaling"])
    E + (A*N^(-alpha) + B*D^(-beta))^k
    """
    if isinstance(law_.form, Formula):
        return law_.form.expression
    right = law_.formula.partition("=")[2]
    try:
        found = parse(right)
    except InputError:
        found = None
    if found is None or found.names != set(law_.names) | set(law_.columns):
        msg = f"The {law_.name} law is not written as a formula of its coefficients, so none can be tied to another."
        raise UnsupportedError(msg)
    return found


def parted(law_: Law, fixed: Mapping[str, float | str]) -> tuple[dict[str, float], dict[str, str]]:
    """
    Part what is held into numbers and ties.

    The exponent a = beta/(alpha + beta) of N*, held at a number, ties beta to alpha; so does b = 1 - a.

    Raises
    ------
    UnsupportedError
        If a or b is held of a law that is not one of two powers, or not between 0 and 1.

    Examples
    --------
    >>> from lawful.laws.laws import LAWS
    >>> parted(LAWS["chinchilla"], {"E": 1.7, "a": 0.5, "B": "A"})
    ({'E': 1.7}, {'beta': 'alpha*1.0', 'B': 'A'})
    """
    pins: dict[str, float] = {}
    ties: dict[str, str] = {}
    for word, value in fixed.items():
        if isinstance(value, str):
            unknown = sorted({*parse(value).names, word} - set(law_.names))
            if unknown:
                msg = (
                    f"`fixed` ties {word} to {value}, and the {law_.name} law has no coefficient {unknown[0]!r}; it "
                    f"has {', '.join(law_.names)}."
                )
                raise UnsupportedError(msg)
            ties[word] = value
        elif word in FRONTIER_NAMES[:2] and word not in law_.names:
            share = float(value) if word == "a" else 1.0 - float(value)
            if not (law_.two_powers and 0 < share < 1):
                msg = f"{word} of the frontier is held between 0 and 1, for a law of the form E + A/N^alpha + B/D^beta."
                raise UnsupportedError(msg)
            alpha, beta = law_.terms.alpha, law_.terms.beta  # type: ignore[union-attr]
            ties[beta] = f"{alpha}*{share / (1.0 - share)!r}"
        else:
            pins[word] = float(value)
    return pins, ties


def tied_law(law_: Law, ties: Mapping[str, str]) -> Law:
    """
    The law with coefficients replaced by formulas of others.

    Examples
    --------
    >>> from lawful.laws.laws import LAWS
    >>> tied_law(LAWS["chinchilla"], {"alpha": "beta"}).names
    ('A', 'B', 'E', 'beta')
    """
    text = f"{_sides(law_.name)[0] or 'loss'} = {to_text(expression_of(law_))}"
    labels = [c for c in law_.columns if c not in "NDCU"]
    return law(text, labels, bounds={k: v for k, v in law_.bounds.items() if k not in ties}, ties=ties)


def degenerate(law_: Law) -> list[tuple[str, str]]:
    """
    Pairs of coefficients that occur only as a product of each other, so that runs cannot tell them apart.

    Examples
    --------
    >>> degenerate(law("L0 + K*(N^alpha*X^beta)^(-gamma)", ["X"]))
    []
    >>> degenerate(law("L0 + K*M/N^alpha*log(N)"))
    [('K', 'M')]
    """
    if not isinstance(law_.form, Formula):
        return []
    expression = law_.form.expression
    terms = expression.args if expression.kind == "sum" else (expression,)
    pairs = []
    for i, a in enumerate(law_.names):
        for b in law_.names[i + 1 :]:
            holding = [t for t in terms if {a, b} & t.names]
            both = [t for t in holding if {a, b} <= t.names]
            links = [(link_of(t, a), link_of(t, b)) for t in both]
            if both and len(both) == len(holding) and all(x is not None and x == y for x, y in links):
                pairs.append((a, b))
    return pairs


def described(law_: Law) -> str:
    """Return the formula as it is read, with powers and products in full."""
    return to_text(expression_of(law_))
