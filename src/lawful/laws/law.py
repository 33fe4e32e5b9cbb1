"""The contract of a law: names, bounds, a form, and where a fit may start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.typing import Array

Coefficients = Mapping[str, Any]
Box = tuple[float, float]

EXPONENT_BOX = (0.01, 2.0)
"""Default bounds of an exponent: wide enough for every published law, and away from
0, where a power of N cannot be told from the constant."""

NUMBERS = "NDCU"
"""Columns that every law may name: parameters, tokens seen, FLOPs and unique tokens."""


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
class Law:
    """
    A form of L in a few columns: a sum of powers unless it brings a form of its own.

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

    Examples
    --------
    >>> chinchilla = lawful.LAWS["chinchilla"]
    >>> chinchilla.names
    ('E', 'A', 'B', 'alpha', 'beta')
    >>> truth = dict(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
    >>> print(f"{chinchilla.loss(truth, 7e10, 1.4e12):.4f}")
    1.9366

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

    def __post_init__(self) -> None:
        if self.form is None:
            triples = tuple(zip(self.linear[1:], self.exponents, self.columns, strict=True))
            object.__setattr__(self, "amounts", triples)
            object.__setattr__(self, "constant", self.linear[0])
        elif self.constant not in self.names:
            object.__setattr__(self, "constant", None)

    @property
    def separable(self) -> bool:
        """Whether the law is a constant plus multiples of powers."""
        return self.form is None

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
        step = 1e-25
        found = {}
        for name in self.names:
            at = coefficients[name]
            moved = dict(coefficients) | {name: at + 1j * step * np.where(np.real(at) > 0, at, 1.0)}
            found[name] = np.imag(self.form(moved, *values)) / (step * np.where(np.real(at) > 0, at, 1.0))
        return found


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
