"""delta(): the linearised interval of every coefficient and every derived quantity, instantly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from lawful.core.notes import Note
from lawful.core.sheet import Sheet
from lawful.core.shown import Shown
from lawful.core.typing import Array, Interval
from lawful.errors import UnsupportedError
from lawful.estimate.result import Fit, estimate_rows, surface_fit
from lawful.estimate.solvers import Problem, problem_of
from lawful.uncertainty.linear import NOISES, Linearised, Spread, Working, linearise, work
from lawful.uncertainty.quantity import Quantity, gradient, reported, working_values


@dataclass(frozen=True, eq=False)
class Delta(Shown):
    """
    A fit linearised at its optimum, from which intervals are read.

    Build it with :func:`delta`.

    Parameters
    ----------
    fit : Fit
    noise : {"trend", "unequal", "equal"}
        Whether runs may differ in noise (sandwich) or share one variance.
    notes : tuple of Note
        Coefficients that sit on a bound and were left out.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=truth)
    >>> found = delta(lawful.fit(lawful.simulate(truth, plan, noise=0.01, seed=1)))
    >>> low, high = found.interval("alpha", level=0.9)
    >>> bool(low < 0.34 < high)
    True
    >>> low, high = found.interval("params", budget=1e24)
    >>> bool(low < truth.optimum(1e24).params < high)
    True
    """

    fit: Fit
    noise: str = "trend"
    notes: tuple[Note, ...] = field(default=())

    scheme = "delta"

    def __repr__(self) -> str:
        return f"Delta({self.noise} noise, of {self.fit!r})"

    def sheets(self) -> tuple[Sheet]:
        """Return what the fit estimated, with linearised 90% intervals."""
        said = f"Linearised at the optimum; noise: {self.noise}."
        rows = estimate_rows(self.fit, self.interval)
        return (Sheet(said, (), ("", "estimate"), rows, "90% interval", (), self.notes),)

    @cached_property
    def problem(self) -> Problem:
        """The fit in solver units."""
        fit = self.fit
        problem: Problem = problem_of(fit)
        return problem

    @cached_property
    def z(self) -> Array:
        """The answer in solver units, shape (1, q)."""
        return answer(self.fit, self.problem)

    @cached_property
    def core(self) -> Delta:
        """The same over the runs in the one order of all arithmetic, from which every number per fit comes."""
        return self if self.fit.core is self.fit else Delta(self.fit.core, self.noise, self.notes)

    @cached_property
    def linear(self) -> Linearised:
        """Slopes and leverages at the answer, run by run as the fit has them."""
        return linearise(self.problem, self.z)

    @cached_property
    def _working(self) -> Working | None:
        return None if self.noise == "equal" else work(self.linear)

    def spread(self, quantity: Quantity) -> Spread:
        """Standard error of the working value, its degrees of freedom and the variance ratio, one row."""
        if self.core is not self:
            return self.core.spread(quantity)
        law, cost = self.fit.surface.law, self.fit.surface.cost
        quantity.check(law)
        slope = np.nan_to_num(gradient(quantity, law, self.z, self.problem.centre, cost))
        return NOISES[self.noise](self.linear, slope, self._working)

    def error(self, name: str, *, budget: float | None = None) -> float:
        """
        Standard error of a quantity, in its own unit.

        Examples
        --------
        >>> runs = lawful.simulate(lawful.Surface.named("besiroglu"),
        ...     lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=lawful.Surface.named("besiroglu")), noise=0.01)
        >>> delta(lawful.fit(runs)).error("alpha") < 0.2
        True
        """
        quantity = Quantity(name, budget)
        size = float(self.spread(quantity).error[0])
        return size * float(self.value(quantity)) if quantity.is_log(self.fit.surface.law) else size

    def value(self, quantity: Quantity) -> float:
        """Estimate of a quantity."""
        if self.core is not self:
            return self.core.value(quantity)
        law, cost = self.fit.surface.law, self.fit.surface.cost
        found = working_values(quantity, law, self.z, self.problem.centre, cost)
        return float(reported(quantity, law, found)[0])

    def interval(
        self, name: str, level: float = 0.9, *, budget: float | None = None, point: tuple[float, ...] | None = None
    ) -> Interval:
        """
        Interval of a quantity: the working value plus or minus Student's t times its standard error.

        NaN at both ends where the quantity has no finite value, and where the
        coefficient sits on a bound, at which a linearisation says nothing.
        """
        if self.core is not self:
            return self.core.interval(name, level, budget=budget, point=point)
        law = self.fit.surface.law
        quantity = Quantity(name, budget, point)
        if name in law.names and name not in law.identifiable:
            return self.fit.surface[name], self.fit.surface[name]
        spread = self.spread(quantity)
        middle = float(working_values(quantity, law, self.z, self.problem.centre, self.fit.surface.cost)[0])
        at_bound = name in law.names and not self.linear.free[0, law.names.index(name)] and name not in self.fit.fixed
        if at_bound or not (np.isfinite(middle) and np.isfinite(spread.error[0])):
            return float("nan"), float("nan")
        half = float(spread.reach(level)[0]) * float(spread.error[0])
        low, high = reported(quantity, law, np.array([middle - half, middle + half]))
        if name in law.names:
            least, most = law.bounds[name]
            low, high = max(float(low), least), min(float(high), most)
        return float(low), float(high)

    def along(self, slope: Mapping[str, float], middle: float, level: float = 0.9) -> Interval:
        """
        Interval of any smooth function of the coefficients, about its value, from its slopes by them.

        Parameters
        ----------
        slope : mapping of str to float
            By coefficient; absent where it does not depend on one.
        middle : float
            Its value.
        level : float
        """
        from scipy.special import stdtrit

        if self.core is not self:
            return self.core.along(slope, middle, level)
        law = self.fit.surface.law
        total = np.zeros_like(self.z)
        for name, value in slope.items():
            quantity = Quantity(name)
            size = self.fit.surface[name] if quantity.is_log(law) else 1.0
            own = gradient(quantity, law, self.z, self.problem.centre, self.fit.surface.cost)
            total = total + value * size * np.nan_to_num(own)
        spread = NOISES[self.noise](self.linear, total, self._working)
        half = float(stdtrit(spread.freedom[0], 0.5 + level / 2)) * float(spread.error[0])
        return (middle - half, middle + half) if np.isfinite(half) else (float("nan"), float("nan"))


def answer(fit: Fit, problem: Problem) -> Array:
    """Coefficients of a fit in solver units, shape (1, q), inside their bounds."""
    z = problem.to_z(np.array([[fit.surface[name] for name in fit.surface.law.names]]))
    return np.asarray(np.clip(z, problem.lower, problem.upper))


def delta(fit: Any, *, noise: str = "trend") -> Delta:
    """
    Linearise a fit at its optimum: standard errors and t intervals of everything it implies.

    Instant, and symmetric by construction (A, B, N* and D* on a log scale), so it
    understates how far a weakly identified E or exponent can go; prefer
    :func:`lawful.uncertainty.profile.profile` where the two differ.

    Parameters
    ----------
    fit : Fit
        A surface fit.
    noise : {"trend", "unequal", "equal"}
        ``unequal``: each run's own residual says how noisy it is (sandwich HC2 with
        the degrees of freedom of Bell and McCaffrey). ``equal``: one variance over
        n - q degrees of freedom. With Huber's loss both use the residuals as that
        loss counts them (Huber 1981, section 7.6).

    Returns
    -------
    Delta

    Raises
    ------
    UnsupportedError
        If the fit has no surface, or the noise is unknown.

    Examples
    --------
    >>> truth = lawful.Surface.named("symmetric")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth)
    >>> found = delta(lawful.fit(lawful.simulate(truth, plan, noise=0.01)), noise="equal")
    >>> low, high = found.interval("loss", budget=1e22)
    >>> 0 < high - low < 0.2
    True
    """
    fit = surface_fit(fit, " to linearise (a bootstrap needs none)")
    if noise not in NOISES:
        msg = f"Unknown noise {noise!r}; choose one of {', '.join(NOISES)}."
        raise UnsupportedError(msg)
    found = Delta(fit, noise)
    law = fit.surface.law
    dropped = [n for i, n in enumerate(law.names) if not found.linear.free[0, i] and n not in fit.fixed]
    if not dropped:
        return found
    text = (
        f"{', '.join(dropped)} on a bound: the linearised intervals treat {'it' if len(dropped) == 1 else 'them'} as "
        f"known and are too narrow; use the profile."
    )
    return Delta(fit, noise, (Note("bound_dropped", text),))
