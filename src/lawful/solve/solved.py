"""What every solver answers with: rows of solutions in its own units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, BoolArray, IntArray


class Solved(NamedTuple):
    """
    Rows of solutions.

    Attributes
    ----------
    z : array, shape (R, q)
        In the units of the solver. For a sum of p powers: the amounts of the constant and of the
        powers, then the p exponents, q = 2p + 1.
    value : array, shape (R,)
        What was minimised, comparable between rows of one problem: the weighted sum of squares of
        the kernel, the weighted sum of the objective (r²/2 for squares) of Newton's method.
    converged : bool array, shape (R,)
        Whether the last step was below the tolerance.
    iterations : int
        Iterations of the slowest row.
    gauss : array, shape (R, p, p), or None
        Gauss-Newton Hessian of half the value in the exponents, amounts projected out.
    met : tuple of int, or None
        In how many rounds of new starts the best value was met, of how many; None where no rounds were made.

    Examples
    --------
    >>> two = Solved(np.array([[1.0, 2.0, 0.3], [1.5, 1.0, 0.4]]), np.array([0.2, 0.1]), np.array([True, True]))
    >>> two.best_first().linear.tolist(), two.best_first().theta.tolist()
    ([[1.5, 1.0], [1.0, 2.0]], [[0.4], [0.3]])
    """

    z: Array
    value: Array
    converged: BoolArray
    iterations: int = 0
    gauss: Array | None = None
    met: tuple[int, int] | None = None

    @property
    def linear(self) -> Array:
        """Amounts of a sum of p powers, shape (R, p + 1); a view."""
        return self.z[:, : self.z.shape[1] // 2 + 1]

    @property
    def theta(self) -> Array:
        """Exponents of a sum of p powers, shape (R, p); a view."""
        return self.z[:, self.z.shape[1] // 2 + 1 :]

    def take(self, rows: IntArray) -> Solved:
        """Return some of the rows, in the order given."""
        gauss = None if self.gauss is None else self.gauss[rows]
        return Solved(self.z[rows], self.value[rows], self.converged[rows], self.iterations, gauss, self.met)

    def best_first(self) -> Solved:
        """Sort rows by value."""
        return self.take(np.argsort(self.value, kind="stable"))


def stack(parts: Sequence[Solved]) -> Solved:
    """Put rows of solutions one below the other."""
    if len(parts) == 1:
        return parts[0]
    z, value, converged = (np.concatenate([part[i] for part in parts]) for i in range(3))
    curved = [part.gauss for part in parts if part.gauss is not None]
    most = max(part.iterations for part in parts)
    return Solved(z, value, converged, most, np.concatenate(curved) if len(curved) == len(parts) else None)


def pick(mask: BoolArray, yes: Array, no: Array) -> Array:
    """Take rows of one array where the mask holds and of the other elsewhere."""
    if mask.all():
        return yes
    return np.where(mask.reshape(-1, *([1] * (yes.ndim - 1))), yes, no)
