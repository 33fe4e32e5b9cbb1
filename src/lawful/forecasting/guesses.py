"""Forecasters by name, as the bench runs them: from runs to losses and intervals at other N and D."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lawful.core.objective import ObjectiveName
from lawful.core.shown import Record
from lawful.core.typing import Array
from lawful.data.runs import Runs
from lawful.errors import UnsupportedError
from lawful.estimate.fit import fit
from lawful.estimate.result import Fit
from lawful.forecasting.ensemble import WIDTH, Ensemble, ensemble
from lawful.forecasting.prior import forecaster

Span = tuple[Array, Array]


@dataclass(frozen=True, eq=False)
class Guess(Record):
    """
    What a forecaster says.

    Attributes
    ----------
    loss : array, shape (m,)
        At the N and D asked for.
    intervals : mapping of float to (array, array)
        By level: both ends, shape (m,) each; NaN where it gives none. Empty for a forecaster without intervals.
    params : callable, optional
        Compute-optimal N at budgets in FLOPs, for sets whose truth is known.
    ensemble : Ensemble, optional
        What the averaged forecast was made of, for the study of its width.
    """

    loss: Array
    intervals: Mapping[float, Span] = field(default_factory=dict)
    params: Callable[[Array], Array] | None = None
    ensemble: Ensemble | None = None


Guesser = Callable[[Runs, Array, Array, Sequence[float]], Guess]
"""A forecaster: runs to fit, N and D to forecast, levels of the intervals."""


def averaged(runs: Runs, params: Array, tokens: Array, levels: Sequence[float]) -> Guess:
    """Method ``auto``: the average of laws."""
    found = ensemble(runs, width=WIDTH)
    return Guess(
        np.asarray(found.loss(params, tokens)),
        {level: found.interval(params, tokens, level) for level in levels},
        found.params,
        found,
    )


def one_law(law: str, method: Literal["vpnls", "approach3"], objective: ObjectiveName) -> Guesser:
    """
    Return the forecaster of one law by least squares or a robust objective.

    Its intervals are those that come with a fit: the linearised standard error of the mean curve and the
    scatter of the runs, under Student's t with n - q degrees of freedom. They know noise and nothing else.
    """

    def forecast(runs: Runs, params: Array, tokens: Array, levels: Sequence[float]) -> Guess:
        found = fit(runs, law=law, method=method, objective=objective)
        loss = np.asarray(found.surface.loss(params, tokens), float)
        half = linear_spread(found, params, tokens)
        freedom = max(len(runs) - len(found.surface.law.identifiable), 1)
        from scipy.special import stdtrit

        ends = {level: half * float(stdtrit(freedom, 0.5 + level / 2)) for level in levels}
        intervals = {level: (loss - width, loss + width) for level, width in ends.items()}
        return Guess(loss, intervals, lambda budgets: np.asarray(found.surface.optimum(budgets).params))

    return forecast


def linear_spread(found: Fit, params: Array, tokens: Array) -> Array:
    """Standard error of prediction of one run by the linearised fit, shape (m,)."""
    law, runs = found.surface.law, found.runs
    names = law.identifiable
    here = law.slopes(found.surface.coefficients, *(runs.column(name) for name in law.columns))
    there = law.slopes(found.surface.coefficients, *({"N": params, "D": tokens}[name] for name in law.columns))
    J = np.stack([np.broadcast_to(here[name], runs.L.shape) for name in names], axis=1)
    G = np.stack([np.broadcast_to(there[name], params.shape) for name in names], axis=1)
    variance = float(found.residuals @ found.residuals) / max(len(runs) - len(names), 1)
    scale = np.sqrt((J**2).sum(axis=0))
    scale[scale == 0.0] = 1.0
    inverse = np.linalg.pinv(J / scale, rcond=1e-10)
    lean = (G / scale) @ inverse
    return np.asarray(np.sqrt(variance * (1.0 + (lean**2).sum(axis=1))))


def prior(runs: Runs, params: Array, tokens: Array, levels: Sequence[float]) -> Guess:
    """Method ``prior``: the coupled law averaged over weak priors on k, without intervals of its own."""
    del levels
    found = forecaster(runs)
    return Guess(np.asarray(found.loss(params, tokens)))


FORECASTERS: Mapping[str, Guesser] = {
    "auto": averaged,
    "chinchilla": one_law("chinchilla", "vpnls", "squared"),
    "chinchilla, log-huber": one_law("chinchilla", "approach3", "log-huber"),
    "skaling": one_law("skaling", "approach3", "squared"),
    "skaling, log-huber": one_law("skaling", "approach3", "log-huber"),
    "prior": prior,
}
"""Ours by name: the average, Chinchilla's law by VPNLS and by Approach 3, the coupled law, and its average of 0.1.0."""


def forecasters_of(given: Sequence[str] | Mapping[str, Guesser]) -> dict[str, Guesser]:
    """
    Return forecasters by name.

    Raises
    ------
    UnsupportedError
        If a name is unknown.
    """
    if isinstance(given, Mapping):
        return dict(given)
    unknown = [name for name in given if name not in FORECASTERS]
    if unknown:
        msg = f"Unknown forecaster {unknown[0]!r}; choose among {', '.join(FORECASTERS)}, or give a Python function."
        raise UnsupportedError(msg)
    return {name: FORECASTERS[name] for name in given}
