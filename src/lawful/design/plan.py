"""Runs not yet trained: a plan of sizes and tokens, and the losses a known truth would give them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.numbers import format_short
from lawful.core.typing import Array
from lawful.core.validation import is_positive
from lawful.data.runs import Runs
from lawful.errors import InputError, UnsupportedError
from lawful.laws.laws import STUDY_SURFACES
from lawful.laws.surface import Surface


def study_surface(name: str) -> Surface:
    """
    Return one of the known truths that simulations start from.

    Parameters
    ----------
    name : str
        A key of :data:`STUDY_SURFACES`.

    Returns
    -------
    Surface
        The Chinchilla law with those coefficients; N and D as counted, loss in nats.

    Raises
    ------
    UnsupportedError
        If there is no such surface.

    Examples
    --------
    >>> a, b = study_surface("asymmetric").exponents
    >>> print(f"N* grows as C^{a:.2f}, D* as C^{b:.2f}")
    N* grows as C^0.25, D* as C^0.75
    """
    if name not in STUDY_SURFACES:
        msg = f"Unknown surface {name!r}; choose one of {', '.join(STUDY_SURFACES)}."
        raise UnsupportedError(msg)
    return Surface(STUDY_SURFACES[name])


@dataclass(frozen=True, eq=False)
class Plan:
    """
    Runs not yet trained: model sizes, tokens and budgets, without losses.

    Parameters
    ----------
    N, D, C : array, shape (n,)
        Parameters, tokens and training FLOPs of each run; read-only once in the plan.

    Raises
    ------
    InputError
        If the arrays differ in shape, are empty, or hold a number that is not
        positive and finite.

    See Also
    --------
    plan_isoflop : Lay out an IsoFLOP sweep.
    simulate : Give the runs of a plan the losses of a known truth.

    Examples
    --------
    Two sizes at one budget:

    >>> plan = Plan(N=[1e8, 2e8], D=[2e9, 1e9], C=[1.2e18, 1.2e18])
    >>> len(plan)
    2
    >>> plan
    Plan(2 runs, 1 budget)
    """

    N: Array
    D: Array
    C: Array

    def __post_init__(self) -> None:
        for name in ("N", "D", "C"):
            # A copy, so that freezing it leaves the caller's array as it was.
            array = np.array(getattr(self, name), dtype=float)
            if array.ndim != 1 or array.size == 0:
                msg = f"A plan needs at least one run in a flat array; {name} has shape {array.shape}."
                raise InputError(msg)
            _require_positive(name, array)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if not self.N.size == self.D.size == self.C.size:
            msg = f"N, D and C of a plan have one entry per run; got {self.N.size}, {self.D.size} and {self.C.size}."
            raise InputError(msg)

    def __len__(self) -> int:
        return self.N.size

    def __repr__(self) -> str:
        count = self.budgets.size
        return f"Plan({len(self)} runs, {count} budget{'s' if count > 1 else ''})"

    @classmethod
    def isoflop(cls, budgets: ArrayLike, points: int = 15, *, surface: Surface, **layout: float) -> Plan:
        """
        Lay out an IsoFLOP sweep: several model sizes at each of several budgets.

        Parameters
        ----------
        budgets, points, surface, **layout
            See :func:`lawful.design.plan.plan_isoflop`; the layout has ``width``, ``offset`` and ``drift``.

        Examples
        --------
        >>> plan = Plan.isoflop([6e18], 3, surface=Surface.named("symmetric"), width=4)
        >>> [f"{n:.3g}" for n in plan.N]
        ['2.5e+08', '1e+09', '4e+09']
        """
        return plan_isoflop(budgets, points, surface=surface, **layout)

    @property
    def budgets(self) -> Array:
        """Distinct budgets in FLOPs, ascending."""
        return np.unique(self.C)


def plan_isoflop(
    budgets: ArrayLike,
    points: int = 15,
    *,
    surface: Surface,
    width: float = 8.0,
    offset: float = 1.0,
    drift: float = 1.0,
) -> Plan:
    r"""
    Lay out an IsoFLOP sweep: several model sizes at each of several budgets.

    The sizes of a budget are evenly spaced in log N around a centre. Nobody knows
    the optimum beforehand, so a real sweep misses it: ``offset`` misplaces every
    centre by the same factor, ``drift`` misplaces it more with every budget.

    Parameters
    ----------
    budgets : array_like, shape (g,)
        Training FLOPs, distinct and > 0; the order is kept.
    points : int
        Model sizes per budget, both ends included, >= 2.
    surface : Surface
        Whose optimum N*(C) the sweep is centred on.
    width : float
        The k of a sweep of "±k×": sizes run from centre/k to centre·k, so the
        half-width is log10 k decades. > 1.
    offset : float
        k puts every centre at N*/k, that is at k times the optimal tokens. > 0.
    drift : float
        k puts the centre on N* at the lowest budget and at N*/k at the highest,
        linearly in log C between. > 0, and 1 if there is only one budget.

    Returns
    -------
    Plan
        ``g * points`` runs; budgets in the given order, N ascending in each, and
        D = C/(6N) by the surface's convention of cost.

    Raises
    ------
    InputError
        If a budget is not positive and finite, or two are equal.
    UnsupportedError
        If another argument is outside its range, or the surface has no optimum.

    See Also
    --------
    simulate : Give the runs of a plan the losses of a known truth.

    References
    ----------
    .. [1] Czech et al. (2026), "Problems with Chinchilla Approach 2",
       arXiv:2603.22339.

    Examples
    --------
    Three sizes a factor of 4 either side of the optimum, at one budget:

    >>> truth = study_surface("symmetric")
    >>> plan = plan_isoflop([6e18], 3, surface=truth, width=4)
    >>> [f"{n:.3g}" for n in plan.N]
    ['2.5e+08', '1e+09', '4e+09']

    A sweep that drifts to 3 times too few parameters at the highest budget:

    >>> plan = plan_isoflop([1e17, 1e19, 1e21], 15, surface=truth, drift=3)
    >>> centres = plan.N.reshape(3, 15)[:, 7]
    >>> np.round(truth.optimum([1e17, 1e19, 1e21]).params / centres, 3).tolist()
    [1.0, 1.732, 3.0]
    """
    C = np.atleast_1d(np.array(budgets, dtype=float)).ravel()
    if C.size == 0 or np.unique(C).size != C.size:
        msg = f"An IsoFLOP plan needs distinct budgets, at least one; got {C.tolist()}."
        raise InputError(msg)
    _require_positive("budgets", C)
    if not (points >= 2 and float(points).is_integer()):
        msg = f"points must be a whole number of at least 2 sizes per budget, got {points!r}."
        raise UnsupportedError(msg)
    if not (np.isfinite(width) and width > 1):
        msg = f"width is the factor k of ±k× and must be above 1, got {width!r}."
        raise UnsupportedError(msg)
    for name, factor in (("offset", offset), ("drift", drift)):
        if not is_positive(factor):
            msg = f"{name} must be a positive factor, got {factor!r}."
            raise UnsupportedError(msg)
    if drift != 1 and C.size == 1:
        msg = (
            f"drift compares the lowest budget with the highest, but there is only one ({format_short(C[0], 3)} "
            f"FLOPs); use offset."
        )
        raise UnsupportedError(msg)
    zero = [name for name in surface.law.linear[1:] + surface.law.exponents if surface[name] == 0]
    if zero:
        msg = f"The surface has no compute-optimal size to centre on, because {', '.join(zero)} is zero."
        raise UnsupportedError(msg)
    log_c = np.log(C)
    progress = (log_c - log_c.min()) / max(np.ptp(log_c), np.finfo(float).tiny)
    centre = np.log10(surface.optimum(C).params) - np.log10(offset) - np.log10(drift) * progress
    half = np.log10(width)
    N = 10.0 ** (centre[:, None] + np.linspace(-half, half, int(points)))
    D = surface.cost.tokens(budget=C[:, None], params=N)
    return Plan(N.ravel(), D.ravel(), np.repeat(C, int(points)))


def simulate(surface: Surface, plan: Plan, *, noise: float = 0.0, seed: int | np.random.Generator = 0) -> Runs:
    """
    Train the runs of a plan on a known truth, with Gaussian noise on the loss.

    Simulated runs walk the same road as real ones, so a method can be judged by
    what it makes of a truth that is known.

    Parameters
    ----------
    surface : Surface
        The truth.
    plan : Plan
        What is trained.
    noise : float
        Standard deviation of the noise in nats, >= 0; the same for every run.
    seed : int or numpy.random.Generator
        Seed of :func:`numpy.random.default_rng`; a generator is advanced by one
        normal number per run, in the order of the plan.

    Returns
    -------
    Runs
        One run per entry of the plan, in its order, with its budgets as nominal ones.

    Raises
    ------
    UnsupportedError
        If ``noise`` is negative or not finite.
    InputError
        If the noise makes a loss zero or negative.

    Examples
    --------
    >>> truth = study_surface("chinchilla")
    >>> plan = plan_isoflop([1e18, 1e19], 5, surface=truth)
    >>> exact = simulate(truth, plan)
    >>> bool(np.all(exact.L == truth.loss(plan.N, plan.D)))
    True

    The same seed gives the same noise:

    >>> noisy = simulate(truth, plan, noise=0.05, seed=1)
    >>> [f"{e:+.3f}" for e in noisy.L[:3] - exact.L[:3]]
    ['+0.017', '+0.041', '+0.017']
    """
    if not (np.isfinite(noise) and noise >= 0):
        msg = f"noise is a standard deviation in nats and cannot be negative, got {noise!r}."
        raise UnsupportedError(msg)
    if set(surface.law.columns) - {"N", "D", "C"}:
        msg = f"A plan has N and D only, but the {surface.law.name} law needs {', '.join(surface.law.columns)}."
        raise UnsupportedError(msg)
    L = np.asarray(surface.loss(plan.N, plan.D), dtype=float)
    if noise > 0:
        L = L + np.random.default_rng(seed).normal(0.0, noise, L.size)
    bad = np.flatnonzero(~(L > 0))
    if bad.size:
        msg = (
            f"Noise of {format_short(noise)} nats makes {bad.size} of {L.size} losses zero or negative "
            f"(first: run {bad[0]}, {format_short(L[bad[0]], 3)}); use less noise."
        )
        raise InputError(msg)
    return Runs.from_arrays(plan.N, plan.D, L, C=plan.C, source="simulation")


def _require_positive(name: str, values: Array) -> None:
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if bad.size:
        msg = (
            f"{name} must be positive and finite, but {bad.size} of {values.size} values are not "
            f"(first: entry {bad[0]}, {format_short(values[bad[0]])})."
        )
        raise InputError(msg)
