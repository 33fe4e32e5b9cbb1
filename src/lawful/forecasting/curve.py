"""fit_curve() and optimum_curve(): the loss of the best run of a budget against compute, where no surface is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.cost import Cost
from lawful.core.notes import Note
from lawful.core.numbers import format_short
from lawful.core.typing import Array
from lawful.data.runs import Runs
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.fit import fit as fit_law
from lawful.estimate.result import Fit, FrontierFit
from lawful.laws.laws import find_law


def fit_curve(budgets: ArrayLike, losses: ArrayLike) -> Fit:
    """
    Fit L(C) = E + A/C^alpha to the best loss of each budget, where sizes are not known.

    Parameters
    ----------
    budgets : array_like, shape (n,)
        FLOPs, > 0.
    losses : array_like, shape (n,)
        Best loss of each budget, nats per token.

    Returns
    -------
    Fit
        With the ``compute`` law; the N and D of its runs stand in for sizes that are not known.

    Raises
    ------
    UnsupportedError
        If the two differ in length, or hold a number that is not positive.

    Examples
    --------
    >>> C = np.array([1e18, 1e19, 1e20, 1e21])
    >>> found = fit_curve(C, 1.5 + 70 / C**0.085)
    >>> print(f"{found.surface['alpha']:.4f}")
    0.0850
    """
    C, L = np.asarray(budgets, float), np.asarray(losses, float)
    both = np.concatenate([C.ravel(), L.ravel()])
    if C.shape != L.shape or C.ndim != 1 or not (np.isfinite(both).all() and (both > 0).all()):
        msg = (
            f"Budgets and losses are two lists of positive numbers of equal length, got shapes {C.shape} and {L.shape}."
        )
        raise UnsupportedError(msg)
    size = np.sqrt(Cost().product(C))
    found = fit_law(Runs.from_arrays(size, size, L, C=C, source="curve"), law=find_law("compute"))
    # N and D stand for nothing here, so remarks about them say nothing.
    kept: tuple[Note, ...] = tuple(note for note in found.notes if note.code not in ("collinear_sizes", "few_sizes"))
    return replace(found, notes=kept)


def optimum_losses(fit: FrontierFit) -> Array:
    """
    Return the loss at the optimum of every budget of a frontier.

    Parameters
    ----------
    fit : FrontierFit
        Of Approach 1: the loss of its best runs. Of Approach 2: the minima of the parabolas in
        log10 N (with the bias removed: their values at the corrected N*).

    Returns
    -------
    array, shape (g,)
        Nats per token, one per budget of the fit.

    Raises
    ------
    IdentificationError
        If a parabola opens downward, so that it has no minimum.

    Examples
    --------
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e20], 9, surface=truth))
    >>> [f"{loss:.3f}" for loss in optimum_losses(lawful.fit_envelope(runs))]
    ['3.403', '2.529']
    >>> [f"{loss:.3f}" for loss in optimum_losses(lawful.fit_isoflop(runs))]
    ['3.401', '2.528']
    """
    if not fit.parabolas:
        runs = fit.runs
        here = [(runs.group == int(np.abs(np.log(runs.budgets / c)).argmin())) & runs.counted for c in fit.budgets]
        return np.array([runs.L[index].min() for index in here])
    losses = []
    for curve, params in zip(fit.parabolas, fit.params, strict=True):
        if not curve.in_params[2] > 0:
            shape = "opens downward" if curve.in_params[2] < 0 else "is flat"
            msg = (
                f"The IsoFLOP parabola at budget {format_short(curve.budget)} {shape}, so it has no minimum to draw a "
                f"curve of the loss through; add sizes on both sides of the minimum, or leave that budget out."
            )
            raise IdentificationError(msg)
        losses.append(float(curve.in_params @ (np.log10(params) - curve.centre_params) ** np.arange(3)))
    return np.array(losses)


def optimum_curve(fit: FrontierFit) -> Fit:
    """
    Fit L(C) = E + A/C^alpha through the optima of a frontier, as users of Approaches 1 and 2 forecast a loss.

    Parameters
    ----------
    fit : FrontierFit

    Returns
    -------
    Fit
        As :func:`fit_curve`.

    Raises
    ------
    IdentificationError
        If there are 3 budgets or fewer, so that nothing tells the noise from the curve, or a
        parabola has no minimum.

    References
    ----------
    .. [1] Hoffmann et al. (2022), "Training compute-optimal large language models", arXiv:2203.15556.
    .. [2] Grattafiori et al. (2024), "The Llama 3 herd of models", arXiv:2407.21783, section 3.2.1.

    Examples
    --------
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21, 1e22], 9, surface=truth))
    >>> curve = optimum_curve(lawful.fit_isoflop(runs))
    >>> print(f"{curve.surface['alpha']:.3f}")  # alpha beta / (alpha + beta)
    0.155
    """
    count, free = len(fit.budgets), len(find_law("compute").identifiable)
    if count <= free:
        msg = (
            f"{fit.method} forecasts the loss by a curve E + A/C^alpha through the optima of its budgets, and {count} "
            f"budgets leave nothing to tell the noise from its {free} coefficients; add budgets (at least {free + 1}), "
            f"or fit with vpnls or approach3."
        )
        raise IdentificationError(msg)
    return fit_curve(fit.budgets, optimum_losses(fit))
