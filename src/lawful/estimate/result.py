"""What a fit returns: a surface or a frontier, how it was found, and what to know about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.notes import Note, Status
from lawful.core.objective import Objective
from lawful.core.typing import Array
from lawful.data.runs import Runs
from lawful.laws.surface import Surface, log_ratio, losses_of, terms_of
from lawful.show import printing

METHODS = ("vpnls", "approach1", "approach2", "approach3")


@dataclass(frozen=True, slots=True)
class Frontier:
    """
    The power laws N* = 10^log10_a0 C^a and D* = 10^log10_b0 C^b that every method implies.

    Examples
    --------
    >>> frontier = Frontier(a=0.5, b=0.5, log10_a0=-1.0, log10_b0=0.0)
    >>> print(f"{frontier.params(1e20):.0e}")
    1e+09
    """

    a: float
    b: float
    log10_a0: float
    log10_b0: float

    @classmethod
    def of_surface(cls, surface: Surface) -> Frontier:
        """Return the frontier of a surface with two terms (non-finite where A or B is 0); NaN for other laws."""
        if surface.law.terms is None:
            return cls(*[float("nan")] * 4)
        a, b = surface.exponents
        log10_g = float(log_ratio(terms_of(surface.law, surface.coefficients))) / np.log(10)
        log10_unit = float(np.log10(surface.cost.product(1.0)))
        return cls(a, b, log10_g + a * log10_unit, -log10_g + b * log10_unit)

    def params(self, budget: ArrayLike) -> Any:
        """Compute-optimal parameters at a budget in FLOPs."""
        return 10.0 ** (self.log10_a0 + self.a * np.log10(np.asarray(budget, float)))

    def tokens(self, budget: ArrayLike) -> Any:
        """Compute-optimal tokens at a budget in FLOPs."""
        return 10.0 ** (self.log10_b0 + self.b * np.log10(np.asarray(budget, float)))

    def to_dict(self) -> dict[str, float]:
        """Return the exponents as they stand in JSON."""
        return {"a": self.a, "b": self.b, "log10_a0": self.log10_a0, "log10_b0": self.log10_b0}


@dataclass(frozen=True, eq=False)
class Fit:
    """
    A fitted surface (methods ``vpnls`` and ``approach3``).

    Parameters
    ----------
    surface : Surface
        The law with its coefficients; N and D as counted.
    method : str
        ``vpnls`` or ``approach3``.
    objective : Objective
        What was minimised.
    solver : object
        The frozen options it was minimised with.
    runs : Runs
        The data.
    value : float
        Weighted mean of the objective per run.
    status : Status
        How the solver ended.
    notes : tuple of Note
        What the reader should know, those of the runs included.
    fixed : mapping of str to float
        Coefficients that were pinned.

    Examples
    --------
    >>> import lawful
    >>> truth = lawful.study_surface("symmetric")
    >>> runs = lawful.simulate(truth, lawful.plan_isoflop([1e18, 1e19, 1e20], 9, surface=truth))
    >>> found = lawful.fit(runs)
    >>> found
    Fit(vpnls, chinchilla, 27 runs, converged: E=1.69, A=400, B=400, alpha=0.31, beta=0.31)
    >>> print(f"{found.frontier.a:.3f} {found.surface.loss(1e9, 2e10):.4f}")
    0.500 2.5950
    """

    surface: Surface
    method: str
    objective: Objective
    solver: Any
    runs: Runs
    value: float
    status: Status
    notes: tuple[Note, ...] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)

    @property
    def frontier(self) -> Frontier:
        """The power laws of the compute-optimal N and D."""
        return Frontier.of_surface(self.surface)

    @property
    def residuals(self) -> Array:
        """Observed minus fitted loss in nats, shape (n,)."""
        return np.asarray(self.runs.L - losses_of(self.surface, self.runs))

    @property
    def rss(self) -> float:
        """Weighted sum of squared residuals of the raw loss."""
        return float(self.runs.weight @ self.residuals**2)

    def __repr__(self) -> str:
        return printing.fit_line(self)

    def __str__(self) -> str:
        return printing.fit_text(self)

    def _repr_html_(self) -> str:
        return printing.fit_html(self)


@dataclass(frozen=True, slots=True)
class Parabola:
    """
    One IsoFLOP curve of Approach 2: least-squares parabolas of L in log10 N and in log10 D.

    Attributes
    ----------
    budget : float
        FLOPs.
    in_params, in_tokens : array, shape (3,)
        Coefficients of 1, u, u² with u = log10 N - centre (or log10 D - centre).
    centre_params, centre_tokens : float
        Means of log10 N and log10 D at this budget.
    log10_params, log10_tokens : float
        Vertices: the inferred log10 N* and log10 D*.
    bracketed : bool
        Whether the vertex in log10 N lies between the sampled sizes.
    """

    budget: float
    in_params: Array
    in_tokens: Array
    centre_params: float
    centre_tokens: float
    log10_params: float
    log10_tokens: float
    bracketed: bool


@dataclass(frozen=True, eq=False)
class FrontierFit:
    """
    A fitted frontier without a surface (methods ``approach1`` and ``approach2``).

    Parameters
    ----------
    frontier : Frontier
        Lines of log10 N* and log10 D* in log10 C.
    method : str
        ``approach1`` or ``approach2``.
    budgets, params, tokens : array, shape (g,)
        The points the lines go through: optima per budget.
    runs : Runs
        The data.
    parabolas : tuple of Parabola
        The IsoFLOP curves (Approach 2 only).
    status : Status
        How the fit ended.
    notes : tuple of Note
        What the reader should know, those of the runs included.

    Examples
    --------
    >>> import lawful
    >>> truth = lawful.study_surface("symmetric")
    >>> runs = lawful.simulate(truth, lawful.plan_isoflop([1e18, 1e20], 9, surface=truth))
    >>> found = lawful.fit_isoflop(runs)
    >>> [f"{n:.3g}" for n in found.params], f"{found.frontier.tokens(1e21):.3g}"
    (['4.08e+08', '4.08e+09'], '1.29e+10')
    """

    frontier: Frontier
    method: str
    budgets: Array
    params: Array
    tokens: Array
    runs: Runs
    parabolas: tuple[Parabola, ...] = ()
    status: Status = Status.CONVERGED
    notes: tuple[Note, ...] = ()

    def __repr__(self) -> str:
        return printing.frontier_line(self)

    def __str__(self) -> str:
        return printing.frontier_text(self)

    def _repr_html_(self) -> str:
        return printing.frontier_html(self)
