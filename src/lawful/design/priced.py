"""What a sweep tells beside the decision it was planned for: the other one, and both if the terms are coupled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lawful.core.objective import Objective
from lawful.core.shown import Record
from lawful.core.typing import Array
from lawful.data.runs import Runs
from lawful.design.information import Centre, decision_slope, information, sensitivities, variance
from lawful.design.plan import Plan
from lawful.estimate.solvers import VarPro, prepare, resolve
from lawful.laws.surface import Surface, optimum_of

TYPICAL_K = 0.6
"""Power of the sum of both terms in the coupled law that a plan is tried on; 29 public sweeps have .16 to .87."""


@dataclass(frozen=True, slots=True)
class Priced(Record):
    """
    Standard errors per nat of noise, and what a wrong law costs.

    Attributes
    ----------
    params, loss : float
        Of ln N* and of L* at the target, fitted by the law of the plan.
    coupled_params, coupled_loss : float
        The same where the coupled law is fitted and its k is to be told by the runs, too; infinite where they do not.
    missed : float
        ln N* that the law of the plan finds on these runs without noise if the truth has k = 0.6, less the true one.
    waste : float
        Share of the target's compute that this mistake wastes, to second order.

    Examples
    --------
    >>> prior = lawful.Surface.named("besiroglu")
    >>> grid = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=prior)
    >>> found = priced(prior, grid, 1e23)
    >>> found.coupled_params > found.params, found.waste > 0
    (True, True)
    """

    params: float
    loss: float
    coupled_params: float
    coupled_loss: float
    missed: float
    waste: float


def wasted(surface: Surface, error: float) -> float:
    """
    Share of compute that a mistake in ln N* wastes, to second order.

    With a the size of either term times its exponent at the optimum, a mistake raises the loss by
    a (alpha + beta) error²/2, and a fall of ln C raises it by a: the waste is (alpha + beta) error²/2. A power of the
    sum changes both alike.

    Examples
    --------
    >>> surface = lawful.Surface.named("chinchilla")
    >>> best = surface.optimum(1e23)
    >>> exact = surface.price(float(best.tokens) / 1.1, 1e23).fraction
    >>> bool(abs(wasted(surface, np.log(1.1)) / exact - 1) < 0.05)
    True
    """
    return float(1.0 - np.exp(-(surface["alpha"] + surface["beta"]) * error**2 / 2))


def priced(surface: Surface, runs: Plan, target: float, given: Runs | None = None, share: float = 1.0) -> Priced:
    """
    Price a sweep.

    Parameters
    ----------
    surface : Surface
        What is believed: a constant and two powers.
    runs : Plan
    target : float
        Budget of the decision, FLOPs.
    given : Runs, optional
        Runs that are done.
    share : float
        How often the runs are made, where a comparison asks for equal cost.
    """
    params, tokens, weight = runs.N, runs.D, np.full(runs.N.size, share)
    if given is not None:
        params, tokens = np.append(params, given.N), np.append(tokens, given.D)
        weight = np.append(weight, given.weight)
    centre = Centre(float(np.log(params).mean()), float(np.log(tokens).mean()))
    rows = sensitivities(surface, params, tokens, centre)
    best = surface.optimum(target)
    # At k = 1 the coupled law is this one, and its loss moves with k by S ln S, S the reducible loss.
    power = _by_power(surface, params, tokens)[:, None]
    by_k = float(_by_power(surface, np.array([best.params]), np.array([best.tokens]))[0])
    errors = []
    for decision, slope_k in (("params", 0.0), ("loss", by_k)):
        slope = decision_slope(surface, target, decision, centre)
        plain = variance(information(rows, weight), slope)
        wider = variance(information(np.hstack([rows, power]), weight), np.append(slope, slope_k))
        errors += [float(np.sqrt(plain)), float(np.sqrt(wider)) if np.isfinite(plain) else float("inf")]
    missed = _missed(surface, params, tokens, weight, target)
    return Priced(errors[0], errors[2], errors[1], errors[3], missed, wasted(surface, missed))


def _by_power(surface: Surface, params: Array, tokens: Array) -> Array:
    reducible = np.asarray(surface.loss(params, tokens)) - surface["E"]
    return np.asarray(reducible * np.log(reducible))


def _missed(surface: Surface, params: Array, tokens: Array, weight: Array, target: float) -> float:
    """Fit the law to a coupled truth that has its N* and, at the middle of the runs, its losses; nan if that fails."""
    reducible = np.asarray(surface.loss(params, tokens)) - surface["E"]
    middle = float(np.exp(np.log(reducible).mean()))
    truth = surface["E"] + middle * (reducible / middle) ** TYPICAL_K
    problem = prepare(Runs.from_arrays(params, tokens, truth, weight=weight), surface.law, Objective.squared(), {}, {})
    start = problem.to_z(np.array([[surface[name] for name in surface.law.names]]))
    found = problem.to_coefficients(resolve(problem, start, VarPro()).z)
    best = optimum_of(surface.law, dict(zip(surface.law.names, found.T, strict=True)), target, surface.cost)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.log(np.ravel(best.params)[0] / float(surface.optimum(target).params)))
