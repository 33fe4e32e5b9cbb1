"""indifference(): how flat the valley is, the sizes whose loss is as good as the optimum's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lawful.core.numbers import format_flops, format_short
from lawful.core.sheet import Sheet, quantity
from lawful.core.shown import Shown
from lawful.core.typing import Interval
from lawful.core.validation import check_budget, is_positive
from lawful.errors import UnsupportedError
from lawful.estimate.result import Fit, one_law_of, surface_of
from lawful.laws.surface import Surface
from lawful.trust.verdict import judged_told
from lawful.uncertainty.delta import delta

BISECTIONS = 200


@dataclass(frozen=True, slots=True)
class Indifference(Shown):
    """
    Sizes at one budget whose loss is within epsilon of the optimum's.

    Attributes
    ----------
    budget : float
        FLOPs.
    epsilon : float
        Loss above the optimum that does not matter, in nats per token.
    source : {"given", "noise"}
        Whether epsilon was given or is the noise of one run.
    params, tokens : (float, float)
        Ranges of N and D; D falls as N rises.
    best : (float, float, float)
        N*, D* and the loss there.

    Examples
    --------
    >>> region = lawful.Surface.named("besiroglu").indifference(5.76e23, 0.001)
    >>> print(f"{region.factor:.1f}")
    1.9
    """

    budget: float
    epsilon: float
    source: str
    params: Interval
    tokens: Interval
    best: tuple[float, float, float]

    def sheets(self) -> tuple[Sheet]:
        """Return the optimum and the sizes that are as good."""
        why = "the noise of one run" if self.source == "noise" else "as given"
        near = f"Within {format_short(self.epsilon, 2)} nats per token of the optimum"
        ends = {"params": self.params, "tokens": self.tokens, "loss": None}
        rows = tuple(quantity(name, self.best[i], pair) for i, (name, pair) in enumerate(ends.items()))
        title = f"{near} at {format_flops(self.budget)} ({why})."
        return (Sheet(title, (), ("", "optimum"), rows, "as good"),)

    @property
    def factor(self) -> float:
        """Largest over smallest size in the range."""
        return self.params[1] / self.params[0]


def indifference(source: Fit | Surface, budget: float, epsilon: float | None = None) -> Indifference:
    """
    Range of N and D whose loss at a budget is within epsilon of the optimum.

    The loss is flat at its minimum, so N* says less than its digits: within the
    noise of a single run a whole range of sizes is as good.

    Parameters
    ----------
    source : Fit or Surface
    budget : float
        FLOPs, > 0.
    epsilon : float, optional
        In nats per token, > 0; the standard deviation of one run around a fit if not given.

    Returns
    -------
    Indifference

    Raises
    ------
    UnsupportedError
        If the budget or epsilon is not positive, epsilon is missing for a bare surface, or
        the surface has no interior optimum.

    Examples
    --------
    A hundredth of a nat at Chinchilla's budget is a factor of 7 in size:

    >>> found = indifference(lawful.Surface.named("besiroglu"), 5.76e23, 0.01)
    >>> print(f"{found.params[0]:.3g} to {found.params[1]:.3g} parameters")
    2.66e+10 to 1.95e+11 parameters
    """
    c = check_budget(budget)
    source = one_law_of(source)
    surface = surface_of(source, " to be indifferent on")
    given = epsilon is not None
    if epsilon is None:
        if source.runs is None:
            msg = "A surface has no noise of its own; give epsilon in nats per token, or a fit."
            raise UnsupportedError(msg)
        epsilon = noise_of(source)
    if not is_positive(epsilon):
        msg = f"epsilon is a positive loss in nats per token, got {epsilon!r}; give one."
        raise UnsupportedError(msg)
    best = surface.optimum(c)
    if not np.isfinite([float(best.params), float(best.tokens)]).all():
        msg = "A or B is zero, so the surface has no interior optimum to be indifferent around."
        raise UnsupportedError(msg)
    centre = float(np.log(best.params))

    def excess(u: float) -> float:
        return float(surface.at_params(c, np.exp(centre + u)).loss - best.loss) - epsilon

    ends = [centre + _crossing(excess, sign) for sign in (-1.0, 1.0)]
    low, high = (float(np.exp(v)) for v in ends)
    tokens = tuple(float(surface.cost.tokens(budget=c, params=n)) for n in (high, low))
    point = (float(best.params), float(best.tokens), float(best.loss))
    return Indifference(c, float(epsilon), "given" if given else "noise", (low, high), (tokens[0], tokens[1]), point)


def indifference_told(fit: Fit, budget: float, epsilon: float | None = None) -> Indifference:
    """
    Return the sizes as good as the optimum, which the runs have to tell.

    Parameters
    ----------
    fit : Fit
    budget : float
        FLOPs, > 0.
    epsilon : float, optional
        In nats per token, > 0.

    Raises
    ------
    IdentificationError
        If the runs do not tell the compute-optimal size.
    """
    found = indifference(fit, budget, epsilon)
    judged_told(fit, [budget])
    return found


def noise_of(fit: Fit) -> float:
    """Standard deviation of one run around the fitted law, in nats per token."""
    fit = fit.core
    at = delta(fit)
    size = float(np.sqrt(at.linear.variance[0]))
    return size * float(np.mean(fit.runs.L)) if fit.objective.is_log else size


def _crossing(excess: Callable[[float], float], sign: float) -> float:
    """Where a function that is negative at 0 turns positive on one side."""
    far = 1e-3
    while excess(sign * far) < 0 and far < 200.0:
        far *= 2.0
    near = 0.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (near + far)
        if middle in (near, far):
            break
        if excess(sign * middle) < 0:
            near = middle
        else:
            far = middle
    return sign * far
