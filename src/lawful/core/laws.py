"""The catalogue of forms: each law is a small record on one numeric contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Coefficients = Mapping[str, Any]

EXPONENT_BOX = (0.01, 2.0)
"""Default bounds of an exponent: wide enough for every published law, and away from
0, where a power of N cannot be told from the constant."""


@dataclass(frozen=True, slots=True)
class Law:
    """
    A separable law: a constant plus non-negative multiples of powers of columns.

    ``L = c_0 + sum_k c_k X_k^(-theta_k)``: given its exponents theta the law is a
    non-negative combination of a few columns, which is all the solvers ask of it.

    Parameters
    ----------
    name : str
        Name used in the CLI and in JSON.
    linear : tuple of str
        Names of the non-negative coefficients, the constant first.
    exponents : tuple of str
        Names of the exponents, one per power.
    columns : tuple of str
        Columns of :class:`~lawful.Runs` that are raised to the powers.

    Examples
    --------
    >>> CHINCHILLA.names
    ('E', 'A', 'B', 'alpha', 'beta')
    >>> truth = dict(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
    >>> print(f"{CHINCHILLA.loss(truth, 7e10, 1.4e12):.4f}")
    1.9366
    """

    name: str
    linear: tuple[str, ...]
    exponents: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All coefficients: the linear ones, then the exponents."""
        return self.linear + self.exponents

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Default bounds of every coefficient."""
        linear = dict.fromkeys(self.linear, (0.0, np.inf))
        return linear | dict.fromkeys(self.exponents, EXPONENT_BOX)

    def loss(self, coefficients: Coefficients, *columns: ArrayLike) -> Any:
        """
        Loss in nats at the given values of the law's columns.

        Coefficients and columns broadcast against each other, so a thousand
        bootstrap draws are evaluated in one call.
        """
        total = coefficients[self.linear[0]]
        for c, theta, x in zip(self.linear[1:], self.exponents, columns, strict=True):
            total = total + coefficients[c] * np.asarray(x, float) ** -np.asarray(coefficients[theta])
        return total


CHINCHILLA = Law("chinchilla", ("E", "A", "B"), ("alpha", "beta"), ("N", "D"))
"""L(N, D) = E + A/N^alpha + B/D^beta (Hoffmann et al. 2022, equation 2)."""

LAWS: dict[str, Law] = {law.name: law for law in (CHINCHILLA,)}

PUBLISHED: dict[str, dict[str, float]] = {
    "hoffmann": {"E": 1.6934, "A": 406.4, "B": 410.7, "alpha": 0.3392, "beta": 0.2849},
    "hoffmann-rounded": {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28},
    "besiroglu": {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658},
}
"""Published coefficients of the Chinchilla law, N total parameters, D tokens, nats per token.

``hoffmann`` has the unrounded exponents of the paper's TeX source (via arXiv:2404.10102),
``hoffmann-rounded`` equation 10 as printed: its two-digit exponents move N* by 20% at the
Gopher budget, so it serves to reproduce other people's figures only. ``besiroglu`` is the
refit of Besiroglu et al. 2024 (arXiv:2404.10102).
"""
