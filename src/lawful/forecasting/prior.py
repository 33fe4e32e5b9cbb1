"""Weak priors on the shape of the coupled law, and the forecaster that averages over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.objective import Objective, as_objective
from lawful.core.shown import Record
from lawful.core.typing import Array
from lawful.data.cells import counted_once
from lawful.data.runs import Runs
from lawful.data.table import as_runs
from lawful.estimate.fit import fit
from lawful.estimate.result import Fit, losses_of
from lawful.estimate.solvers import Joint

PRIOR_LAW = "skaling"
"""The law that the method ``prior`` averages over."""

K_MEANS, K_SPREADS = (0.55, 0.6, 0.7), (0.1, 0.15, 0.2, 0.3)
"""Means and standard deviations of k that the forecaster averages over. The average, and its weighting of
runs by compute, forecast best in rolling hold-outs over the published sweeps (docs/laws.md)."""


def weak_prior(runs: Any, prior: Mapping[str, tuple[float, float]], objective: Objective | str | None = None) -> Joint:
    """
    Make a solver that pulls coefficients towards a mean, measured in the noise of these runs.

    The misfit per run of Chinchilla's law is what one nat of log-likelihood is worth; half of it,
    times the squared distance in standard deviations of the prior, joins the summed objective.

    Parameters
    ----------
    runs : Runs or DataFrame
    prior : mapping of str to (float, float)
        Coefficient to mean and standard deviation.
    objective : Objective, optional
        The one that is then fitted; log-Huber 1e-3 if not given.

    Returns
    -------
    Joint

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth)
    >>> runs = lawful.simulate(truth, plan, noise=0.01)
    >>> found = lawful.fit(runs, law="skaling", method=weak_prior(runs, {"k": (0.6, 0.2)}))
    >>> 0.4 < found.surface["k"] < 1.1
    True
    """
    table = counted_once(as_runs(runs))
    chosen = as_objective(objective) or Objective.log_huber()
    unit = fit(table, method=Joint(), objective=chosen).value * (1.0 if chosen.is_huber else 2.0)
    return Joint(prior={name: (mean, unit / sd**2) for name, (mean, sd) in prior.items()})


@dataclass(frozen=True, eq=False)
class Forecaster(Record):
    """
    An average of forecasts of the coupled law under several weak priors on k.

    Build it with :func:`forecaster`.

    Parameters
    ----------
    fits : tuple of Fit
        One per prior, on runs weighted by their compute.

    Examples
    --------
    >>> truth = lawful.Surface.named("symmetric")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=truth)
    >>> ahead = forecaster(lawful.simulate(truth, plan, noise=0.002))
    >>> bool(abs(ahead.loss(1e9, 2e10) - truth.loss(1e9, 2e10)) < 0.05)
    True
    """

    fits: tuple[Fit, ...]

    def loss(self, params: ArrayLike, tokens: ArrayLike) -> Any:
        """Mean of the members' losses in nats per token."""
        return np.mean([found.surface.loss(params, tokens) for found in self.fits], axis=0)

    def losses(self, runs: Runs) -> Array:
        """The same at the columns of runs, shape (n,)."""
        return np.asarray(np.mean([losses_of(found.surface, runs) for found in self.fits], axis=0))


def forecaster(runs: Any, objective: Objective | str | None = None) -> Forecaster:
    """
    Fit the recommended forecaster: the coupled law, averaged over weak priors on k, recent budgets counting more.

    Runs weigh in proportion to their compute, since the largest are nearest to what is forecast.

    Parameters
    ----------
    runs : Runs or DataFrame
    objective : Objective, optional
        Log-Huber 1e-3 if not given.

    Returns
    -------
    Forecaster

    Examples
    --------
    >>> truth = lawful.Surface.named("symmetric")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 7, surface=truth)
    >>> len(forecaster(lawful.simulate(truth, plan, noise=0.002)).fits)
    12
    """
    table = counted_once(as_runs(runs))
    weight = table.weight * table.C / table.C.max()
    weighted = replace(table, weight=weight / weight.mean())
    unit = weak_prior(weighted, {"k": (1.0, 1.0)}, objective).prior["k"][1]
    solvers = (Joint(prior={"k": (mean, unit / sd**2)}) for mean, sd in product(K_MEANS, K_SPREADS))
    return Forecaster(tuple(fit(weighted, law=PRIOR_LAW, objective=objective, method=solver) for solver in solvers))
