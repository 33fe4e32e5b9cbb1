"""run_noise(): the scatter of one run about a fitted law, wherever that run lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.shown import Record
from lawful.core.typing import Array, Interval
from lawful.estimate.result import Fit
from lawful.uncertainty.delta import Delta, delta
from lawful.uncertainty.linear import level_work, work

CLIP = 2.5
"""Standard deviations at which residuals of robust fits count: a run that the fit does not follow is not its noise."""

CLIPPED = 0.9776
"""Mean of min(z², CLIP²) for a standard normal z."""


@dataclass(frozen=True)
class RunNoise(Record):
    """
    Standard deviation of one run of weight one, as a power of its reducible loss.

    Attributes
    ----------
    log : bool
        Whether it is that of ln L, and so a share of the loss.
    size : float
        At the middle of the runs.
    power : float
        Of the reducible loss, that the variance follows; 0 where the runs are too alike to tell.
    middle : float
        Mean log reducible loss of the runs.
    floor : float
        Irreducible loss.
    freedom : float
        Degrees of freedom of ``size``.
    error : float
        Standard error of the power.
    pivot : float
        Log reducible loss from the middle at which power and size are told apart.
    signed : bool
        Whether a loss may be zero or negative.
    """

    log: bool
    size: float
    power: float
    middle: float
    floor: float
    freedom: float
    error: float
    pivot: float
    signed: bool = False

    def _away(self, loss: ArrayLike) -> Array:
        return np.log(np.maximum(np.asarray(loss, float) - self.floor, 1e-12)) - self.middle

    def at(self, loss: ArrayLike) -> Array:
        """Standard deviation of runs of these fitted losses, in nats, or as a share of the loss where ``log``."""
        return np.asarray(self.size * np.exp(0.5 * self.power * self._away(loss)))

    def reach(self, loss: float, level: float) -> float:
        """
        Half the width of the interval of one run around a known loss: Student's t times the standard deviation.

        The power is uncertain too, the more the farther a run lies from those that told it.
        """
        from scipy.special import stdtrit

        lever = (float(self._away(loss)) - self.pivot) * self.error
        freedom = max(2.0 / (2.0 / self.freedom + lever**2), 1.0)
        return float(self.at(loss)) * float(stdtrit(freedom, 0.5 + level / 2))

    def around(self, loss: float, ends: Interval, level: float) -> Interval:
        """
        Interval of one new run: the noise there and the interval of the mean loss, both told apart.

        Two independent errors: their squared distances from the estimate add up on either side.
        """
        reach = self.reach(loss, level)
        low, high = ends if self.signed else (max(end, np.finfo(float).tiny) for end in ends)
        if self.log:
            below, above = np.hypot(np.log(loss / low), reach), np.hypot(np.log(high / loss), reach)
            return loss * float(np.exp(-below)), loss * float(np.exp(above))
        below, above = float(np.hypot(loss - low, reach)), float(np.hypot(high - loss, reach))
        return loss - below if self.signed else max(loss - below, 0.0), loss + above


def run_noise(source: Fit | Delta) -> RunNoise:
    """
    Noise of one run around a fitted law.

    The variance follows a power of the reducible loss, estimated with the law. Residuals of robust
    objectives are clipped: their fit does not follow runs that are far off, and a new run is none of them.

    Parameters
    ----------
    source : Fit or Delta

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=truth)
    >>> found = run_noise(lawful.fit(lawful.simulate(truth, plan, noise=0.01, seed=2)))
    >>> print(f"{float(found.at(3.0)) / 3.0:.3f}")
    0.003
    """
    told = (source if isinstance(source, Delta) else delta(source)).core
    at, problem = told.linear, told.problem
    # Few runs tell one variance and no trend of it.
    model = level_work(at) if told.noise == "equal" else work(at)
    logs = np.log(at.reducible[0])
    weight = np.broadcast_to(at.weight, at.residual.shape)[0]
    used = weight > 0
    square = np.where(used, weight * at.residual[0] ** 2 / model.seen[0], 0.0)
    if problem.delta is not None:
        core = np.median(square[used]) / 0.6745**2
        square = np.minimum(square, CLIP**2 * core) / CLIPPED
        size = np.sqrt(square[used].mean())
    else:
        size = np.sqrt((square * model.seen[0] / model.phi[0]).sum() / (model.seen[0] / model.phi[0])[used].sum())
    if at.told is not None:
        size = size if told.noise != "equal" else np.sqrt(at.variance[0])
    trend = model.trend[0]
    total = float(square.sum())
    return RunNoise(
        log=problem.log,
        size=float(size),
        power=float(model.power[0]),
        middle=float(logs.mean()),
        floor=float(problem.floor(told.z)[0, 0]),
        freedom=float(at.freedom[0]),
        error=float(model.error[0]),
        pivot=float((square * trend).sum() / total) if total > 0 else 0.0,
        signed=told.fit.runs.signed,
    )
