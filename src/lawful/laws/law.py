"""The contract of a law: names, bounds, a form, where a fit may start, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.shown import Record
from lawful.core.typing import Array
from lawful.errors import UnsupportedError

Coefficients = Mapping[str, Any]
Box = tuple[float, float]

Curvature = Callable[[Array], Array]
"""From weights of the runs to the sum of their second derivatives so weighed; see :class:`Differentiated`."""


class Differentiated(Protocol):
    """A law on fixed runs: values, slopes and curvature at rows of coefficients in solver units."""

    def __call__(self, z: Array) -> tuple[Array, Array, Curvature]:
        """
        Evaluate at coefficients ``z``, shape (R, q).

        Returns
        -------
        value : array, shape (R, n)
        slope : array, shape (R, q, n)
        curvature : callable
            Maps v, shape (R, n), to the sum over runs of v times the Hessian of
            the value, shape (R, q, q).
        """


EXPONENT_BOX = (0.01, 2.0)
"""Default bounds of an exponent: wide enough for every published law, and away from
0, where a power of N cannot be told from the constant."""

QUANTITIES = {"N": "model size", "D": "tokens", "C": "compute", "U": "unique tokens"}
"""Columns that every law may name, in words; any other name is a column of the table."""

COUNTED = {"N": "parameters", "D": "tokens", "C": "FLOPs", "U": "unique tokens"}
"""Their units."""

FRONTIER_NAMES = ("a", "b", "log10_a0", "log10_b0")
"""Exponents and intercepts of the frontier; a law that has one gives its coefficients other names."""

NATS = "nats per token"
"""Unit of a loss."""


class Meaning(NamedTuple):
    """
    What a coefficient means.

    Attributes
    ----------
    text : str
        A phrase.
    unit : str
        Its unit; empty for a pure number.
    """

    text: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.unit})" if self.unit else self.text


class Screen(NamedTuple):
    """
    Where to look for starts: given a few shapes, the law is a non-negative combination of columns.

    Attributes
    ----------
    box : tuple of (float, float)
        Range of each shape that is searched.
    basis : callable
        From shapes, shape (R, s), to columns, shape (R, m, n).
    assemble : callable
        From multipliers, shape (R, m), and shapes to coefficients by name, shape (R,) each.
    """

    box: tuple[Box, ...]
    basis: Callable[[Array], Array]
    assemble: Callable[[Array, Array], Mapping[str, Any]]


@dataclass(frozen=True)
class TwoPowers(Record):
    """Which coefficients of a law are A, B, alpha and beta of A/N^alpha + B/D^beta."""

    A: str
    B: str
    alpha: str
    beta: str

    def __call__(self, coefficients: Coefficients) -> dict[str, Any]:
        """Read the four off coefficients by the law's own names."""
        return {ours: coefficients[theirs] for ours, theirs in vars(self).items()}


@dataclass(frozen=True)
class Law(Record):
    """
    A form of L in a few columns: a sum of powers unless it brings a form of its own.

    It also says what can be asked of it, so that nobody needs to know which law it is:
    ``terms`` (a frontier in closed form), ``two_powers`` (everything that is worked out for
    Chinchilla's form, whatever the coefficients are called), ``allocates``, ``repeats``,
    ``signed``, ``derivatives``, ``formula`` and ``meanings``.

    Without ``form`` the law is separable, ``L = c_0 + sum_k c_k X_k^(-theta_k)``: given its
    exponents it is a non-negative combination of a few columns, which is all that the
    VPNLS kernel asks of it. With ``form`` it is fitted jointly.

    Parameters
    ----------
    name : str
        Name used in the CLI and in JSON.
    linear : tuple of str
        Non-negative coefficients; of a separable law the constant first, then one per power.
    exponents : tuple of str
        All other coefficients; of a separable law one exponent per power.
    columns : tuple of str
        Columns of :class:`~lawful.Runs`: N, D, C, U (unique tokens), or a column of the table.
    form : callable, optional
        From coefficients by name and the columns to the loss. It must also take complex
        numbers (use NumPy, no comparisons of coefficients), which is how it is differentiated.
    screen : callable, optional
        From the columns to a :class:`Screen`; a law with a form is searched over its
        bounds without one.
    terms : callable, optional
        From coefficients to ``A, B, alpha, beta`` of the sum A/N^alpha + B/D^beta that the
        loss rises with; the compute-optimal N and D then follow in closed form.
    box : mapping of str to (float, float), optional
        Bounds that differ from the defaults; equal ends hold a coefficient by definition.
    amounts : tuple of (str, str, str), optional
        Which coefficient multiplies a power, with its exponent and column.
    logs : tuple of str, optional
        Other positive coefficients that are searched through their logarithm.
    constant : str, optional
        Name of the irreducible loss; ``E`` where there is one.
    formula : str, optional
        The law as it is written, ``L(N, D) = ...``; made from the names where it is not given.
    meanings : mapping of str to Meaning, optional
        What each coefficient means, with its unit; those of the powers of a separable law,
        of multipliers and of the constant are made from the names where they are not given.
    derivatives : callable, optional
        From the columns and the centres of their logs, shape (q,), to exact values, slopes and
        curvature in solver units (:data:`Differentiated`); they are found by steps along the
        imaginary axis without it, at several times the cost.
    formerly : mapping of str to str, optional
        Names that earlier files have for coefficients, and what they are called now.

    Raises
    ------
    UnsupportedError
        If a coefficient has a name of the frontier that the law has.

    Examples
    --------
    >>> chinchilla = lawful.LAWS["chinchilla"]
    >>> chinchilla.names
    ('E', 'A', 'B', 'alpha', 'beta')
    >>> truth = dict(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
    >>> print(f"{chinchilla.loss(truth, 7e10, 1.4e12):.4f}")
    1.9366
    >>> chinchilla.formula, chinchilla.meanings["A"].unit
    ('L(N, D) = E + A/N^alpha + B/D^beta', 'nats per token × parameters^alpha')

    A law of one's own is a function:

    >>> saturating = lawful.Law("saturating", ("E", "A"), ("alpha", "s"), ("D",),
    ...     form=lambda k, d: k["E"] + k["A"] / (d + 10 ** k["s"]) ** k["alpha"], box={"s": (3.0, 9.0)})
    >>> print(f"{saturating.loss(dict(E=1.0, A=50.0, alpha=0.3, s=6.0), 1e8):.4f}")
    1.1984
    """

    name: str
    linear: tuple[str, ...]
    exponents: tuple[str, ...]
    columns: tuple[str, ...]
    form: Callable[..., Any] | None = None
    screen: Callable[..., Screen] | None = None
    terms: Callable[[Coefficients], Coefficients] | None = None
    box: Mapping[str, Box] = field(default_factory=dict, hash=False)
    amounts: tuple[tuple[str, str, str], ...] = ()
    logs: tuple[str, ...] = ()
    constant: str | None = "E"
    formula: str = ""
    meanings: Mapping[str, Meaning] = field(default_factory=dict, hash=False)
    derivatives: Callable[[tuple[Array, ...], Array], Differentiated] | None = None
    formerly: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        made: dict[str, Any] = {}
        if self.form is None:
            made["amounts"] = tuple(zip(self.linear[1:], self.exponents, self.columns, strict=True))
            made["constant"] = self.linear[0]
            if self.two_powers:
                by_column = {column: (amount, exponent) for amount, exponent, column in made["amounts"]}
                (a, alpha), (b, beta) = by_column["N"], by_column["D"]
                made["terms"] = TwoPowers(a, b, alpha, beta)
        elif self.constant not in self.names:
            made["constant"] = None
        for name, value in made.items():
            object.__setattr__(self, name, value)
        taken = [name for name in self.names if name in FRONTIER_NAMES]
        if taken and self.terms is not None:
            msg = (
                f"{' and '.join(taken)} name the frontier N* = 10^log10_a0 C^a, D* = 10^log10_b0 C^b; call these "
                f"coefficients of the {self.name} law otherwise."
            )
            raise UnsupportedError(msg)
        object.__setattr__(self, "formula", self.formula or self._written())
        object.__setattr__(self, "meanings", self._explained() | dict(self.meanings))

    def _written(self) -> str:
        """Write the law as a formula: a sum of powers in full, any other by its name."""
        left = f"L({', '.join(self.columns)})"
        if self.form is not None:
            return f"{left} = {self.name}({', '.join(self.names)})"
        powers = (f"{amount}/{column}^{exponent}" for amount, exponent, column in self.amounts)
        return f"{left} = {' + '.join([self.linear[0], *powers])}"

    def _explained(self) -> dict[str, Meaning]:
        """Say what the constant, multipliers and exponents of powers mean."""
        found: dict[str, Meaning] = {}
        if self.constant is not None:
            found[self.constant] = Meaning("loss that no compute removes", NATS)
        for amount, exponent, column in self.amounts:
            word, unit = QUANTITIES.get(column, column), COUNTED.get(column, column)
            found[amount] = Meaning(f"weight of the {word} term", f"{NATS} × {unit}^{exponent}")
            found[exponent] = Meaning(f"how fast loss falls with {word}")
        return {name: found[name] for name in self.names if name in found}

    @property
    def two_powers(self) -> bool:
        """
        Whether the law is Chinchilla's, whatever its coefficients are called: E + A/N^alpha + B/D^beta.

        All that rests on this form (profiles of N*, D* and L*, the dial, the bias of Approach 2,
        planned sweeps, speed-ups) takes such a law through :meth:`as_two_powers`.
        """
        return self.form is None and sorted(self.columns) == ["D", "N"]

    @property
    def sinks(self) -> bool:
        """Whether its constant may be negative, as that of a loss around zero."""
        return self.constant is not None and self.bounds[self.constant][0] < 0

    def require_two_powers(self, asked: str) -> None:
        """
        Refuse a law of another form.

        Parameters
        ----------
        asked : str
            What rests on the form, as the sentence begins.

        Raises
        ------
        UnsupportedError
            If the law is of another form.
        """
        if not self.two_powers:
            own = f"{self.constant} of the {self.name} law may be negative, as losses of its runs are"
            remedy = f"the {self.name} law is {self.formula}; fit the chinchilla law for it"
            msg = (
                f"{asked} rests on the form E + A/N^alpha + B/D^beta{', with E not below 0' if self.sinks else ''}, "
                f"and {own if self.sinks else remedy}."
            )
            raise UnsupportedError(msg)

    def as_two_powers(self, coefficients: Coefficients, asked: str = "What was asked") -> dict[str, Any]:
        """
        Return E, A, B, alpha and beta of a law of that form, from coefficients by its own names.

        Raises
        ------
        UnsupportedError
            If the law is of another form.

        Examples
        --------
        >>> mine = sum_of_powers("mine", ("D", "N"))
        >>> k = dict(E=1.7, A_D=400.0, A_N=300.0, alpha_D=0.3, alpha_N=0.4)
        >>> mine.as_two_powers(k)
        {'E': 1.7, 'A': 300.0, 'B': 400.0, 'alpha': 0.4, 'beta': 0.3}
        """
        self.require_two_powers(asked)
        return {"E": coefficients[self.linear[0]], **terms_of(self, coefficients)}

    @property
    def n_first(self) -> Law:
        """The same law of two powers with that of N before that of D, as coordinates of the valley take it."""
        if not self.two_powers or self.columns == ("N", "D"):
            return self
        constant, *amounts = self.linear
        swapped = (constant, *reversed(amounts)), self.exponents[::-1], self.columns[::-1]
        return Law(self.name, *swapped, box=self.box, meanings=self.meanings, formerly=self.formerly)

    @property
    def profiles(self) -> bool:
        """Whether the misfit can be profiled along all that it implies, N*, D* and L* too; else coefficients alone."""
        return self.two_powers

    @property
    def allocates(self) -> bool:
        """Whether a budget can be divided between N and D: in closed form, or by following its line."""
        return self.terms is not None or {"N", "D"} <= set(self.columns) <= {"N", "D", "U"}

    def require_allocates(self) -> None:
        """
        Refuse a law that divides no budget.

        Raises
        ------
        UnsupportedError
            If it does not.
        """
        if not self.allocates:
            msg = f"The {self.name} law does not trade parameters against tokens, so it allocates nothing."
            asked = {
                "C": "lawful predict DIR/fit.json --budget 1e24",
                "N": "lawful predict DIR/fit.json --params 7B",
                "D": "lawful predict DIR/fit.json --tokens 2T",
            }.get("".join(self.columns))
            if asked:
                msg = f"{msg[:-1]}; the loss it expects is told by a saved fit: {asked}."
            raise UnsupportedError(msg)

    @property
    def predicts(self) -> bool:
        """Whether N, D and C say what it predicts, all tokens taken for unique; else it needs columns of the table."""
        return set(self.columns) <= set(QUANTITIES)

    def require_predicts(self) -> None:
        """
        Refuse a law that takes more than N, D and C to predict.

        Raises
        ------
        UnsupportedError
            Names the columns that are missing.
        """
        if not self.predicts:
            missing = [column for column in self.columns if column not in QUANTITIES]
            msg = (
                f"The {self.name} law also needs {', '.join(missing)}; evaluate it with its own "
                f"loss(coefficients, ...)."
            )
            raise UnsupportedError(msg)

    @property
    def repeats(self) -> bool:
        """Whether it knows about repeated data: tokens seen D of which U are unique."""
        return "U" in self.columns

    @property
    def signed(self) -> tuple[str, ...]:
        """Coefficients that may be negative: those whose own bounds say so, and all of a formula."""
        if self.form is not None and self.projects:
            return self.names
        return tuple(name for name, (low, _) in self.bounds.items() if low < 0)

    @property
    def separable(self) -> bool:
        """Whether the law is a constant plus multiples of powers."""
        return self.form is None

    @property
    def projects(self) -> bool:
        """Whether what the loss is linear in can be eliminated: of a sum of powers, and of a law given as a formula."""
        return self.form is None or hasattr(self.form, "expression")

    @property
    def names(self) -> tuple[str, ...]:
        """All coefficients: the linear ones, then the others."""
        return self.linear + self.exponents

    @property
    def positive(self) -> tuple[str, ...]:
        """Coefficients that span decades, so that intervals are worked out on their logarithm."""
        return tuple(n for n in self.names if n in self.logs or n in {a[0] for a in self.amounts})

    @property
    def bounds(self) -> dict[str, Box]:
        """Default bounds of every coefficient."""
        linear: dict[str, Box] = dict.fromkeys(self.linear, (0.0, np.inf))
        return linear | dict.fromkeys(self.exponents, EXPONENT_BOX) | dict(self.box)

    @property
    def identifiable(self) -> tuple[str, ...]:
        """Coefficients that runs can determine: those that are not held by definition."""
        bounds = self.bounds
        return tuple(name for name in self.names if bounds[name][0] < bounds[name][1])

    def in_units(self, coefficients: Coefficients, *, params: float = 1.0, tokens: float = 1.0) -> dict[str, Any]:
        """
        Return coefficients as they read with N and D counted in other units.

        ``A/N^alpha`` is ``(A s^-alpha)/(N/s)^alpha``: only the amount of a power changes.

        Parameters
        ----------
        coefficients : mapping of str to float or array
            As counted: one parameter, one token.
        params, tokens : float
            Parameters and tokens in a unit, > 0.

        Raises
        ------
        UnsupportedError
            If the law has no amounts of powers that a unit could change.

        Examples
        --------
        >>> k = dict(E=1.7, A=400.0, B=400.0, alpha=0.5, beta=0.5)
        >>> print(f"{lawful.LAWS['chinchilla'].in_units(k, params=1e6)['A']:.3f}")
        0.400
        """
        units = {"N": params, "D": tokens}
        if not self.amounts and any(units.get(column, 1.0) != 1.0 for column in self.columns):
            msg = f"The {self.name} law has no multipliers of powers, so `scale` cannot apply to it."
            raise UnsupportedError(msg)
        result = dict(coefficients)
        for c, theta, column in self.amounts:
            unit = units.get(column, 1.0)
            if unit != 1.0:
                result[c] = coefficients[c] * unit ** -np.asarray(coefficients[theta])
        return result

    def loss(self, coefficients: Coefficients, *columns: ArrayLike) -> Any:
        """
        Loss in nats at the given values of the law's columns.

        Coefficients and columns broadcast against each other, so a thousand
        bootstrap draws are evaluated in one call.
        """
        values = [np.asarray(x, float) for x in columns]
        if self.form is not None:
            return self.form(coefficients, *values)
        total = coefficients[self.linear[0]]
        for c, theta, x in zip(self.linear[1:], self.exponents, values, strict=True):
            total = total + coefficients[c] * x ** -np.asarray(coefficients[theta])
        return total

    def slopes(self, coefficients: Coefficients, *columns: ArrayLike) -> dict[str, Any]:
        """
        Derivatives of the loss by every coefficient, exact to rounding.

        Those of a sum of powers are written out; others come from a step along the
        imaginary axis, which has no cancellation.

        Examples
        --------
        >>> k = lawful.Surface.named("besiroglu").coefficients
        >>> found = lawful.LAWS["chinchilla"].slopes(k, 1e9, 2e10)
        >>> print(f"{found['E']:.0f} {found['alpha']:.4f}")
        1 -7.4014
        """
        values = [np.asarray(x, float) for x in columns]
        if self.form is None:
            found: dict[str, Any] = {self.linear[0]: np.ones(np.broadcast_shapes(*(x.shape for x in values)))}
            for c, theta, x in zip(self.linear[1:], self.exponents, values, strict=True):
                found[c] = x ** -np.asarray(coefficients[theta])
                found[theta] = -coefficients[c] * found[c] * np.log(x)
            return found
        if hasattr(self.form, "slopes"):  # a formula differentiates itself
            return dict(self.form.slopes(coefficients, *values))
        # L(k + i h) = L(k) + i h L'(k) - h² L''(k)/2 + ...: the imaginary part over h is the slope, its error of
        # order h² is below rounding, and nothing is subtracted.
        step = 1e-25
        found = {}
        for name in self.names:
            at = coefficients[name]
            moved = dict(coefficients) | {name: at + 1j * step * np.where(np.real(at) > 0, at, 1.0)}
            found[name] = np.imag(self.form(moved, *values)) / (step * np.where(np.real(at) > 0, at, 1.0))
        return found


def terms_of(law: Law, coefficients: Coefficients) -> Coefficients:
    """
    Return A, B, alpha and beta of the two powers whose sum the loss rises with.

    Raises
    ------
    UnsupportedError
        If the law has no such powers, and so no frontier in closed form.
    """
    if law.terms is None:
        msg = f"The {law.name} law has no frontier that is a power of compute."
        raise UnsupportedError(msg)
    return law.terms(coefficients)


def sum_of_powers(name: str, columns: tuple[str, ...], *, box: Mapping[str, Box] | None = None) -> Law:
    """
    Make a law that is a constant plus one falling power per column, of any columns of a table.

    Active parameters of a mixture of experts, width and depth, quality or precision enter a
    law by naming their columns.

    Parameters
    ----------
    name : str
        Name of the law.
    columns : tuple of str
        N, D, C, U or columns of the table, whose values must be positive.
    box : mapping of str to (float, float), optional
        Bounds that differ from the defaults.

    Returns
    -------
    Law
        With coefficients ``E``, ``A_column`` and ``alpha_column``.

    Examples
    --------
    >>> law = lawful.sum_of_powers("depth", ("width", "layers", "D"))
    >>> law.names
    ('E', 'A_width', 'A_layers', 'A_D', 'alpha_width', 'alpha_layers', 'alpha_D')
    """
    amounts, exponents = (tuple(f"{word}_{column}" for column in columns) for word in ("A", "alpha"))
    return Law(name, ("E", *amounts), exponents, columns, box=dict(box or {}))
