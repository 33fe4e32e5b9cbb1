"""The toy of "Scaling Laws, Carefully" (Weng 2026): runs of a known truth with a small, fully specified noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from lawful.core.runs import Runs
from lawful.core.surface import Surface
from lawful.estimate.fit import fit
from lawful.estimate.result import Fit

SIZES = np.array([1, 3, 7, 10, 30, 70, 100, 300, 700]) * 1e8
RATIOS = np.array([5.0, 10.0, 20.0, 40.0])
REGIONS = {"small": slice(0, 4), "medium": slice(2, 6), "all": slice(0, 9)}
"""Sizes fitted on."""

TARGET = 1e15
"""Model size that is forecast, at its compute-optimal tokens."""


def toy_runs(region: str = "all", decimals: int = 4, milliloss: float = 0.0) -> Runs:
    """
    Return runs of the toy: Besiroglu's surface plus waves, a checkerboard and a structured bias.

    Parameters
    ----------
    region : {"small", "medium", "all"}
        Sizes that are kept.
    decimals : int
        Digits that losses are rounded to; negative for none.
    milliloss : float
        Size of the structured bias, in thousandths of a nat.

    Examples
    --------
    >>> print(f"{toy_runs(decimals=-1).L[0]:.9f}")
    3.978053143
    """
    truth = Surface.named("besiroglu")
    i, j = (a.ravel() for a in np.indices((SIZES.size, RATIOS.size)))
    params, tokens = SIZES[i], SIZES[i] * RATIOS[j]
    x, y = np.log10(params), np.log10(tokens)
    n, d = (x - x.min()) / np.ptp(x), (y - y.min()) / np.ptp(y)
    bias = 1.15 * (n - 0.5) - 0.95 * (d - 0.5) + 0.8 * (n - 0.5) * (d - 0.5) + 0.2 * np.sin(8 * n + 5 * d)
    waves = 0.010 * np.sin(1.91 * (i + 1) + 2.67 * (j + 1)) + 0.004 * np.where((i + j) % 2 == 0, 1.0, -1.0)
    loss = truth.loss(params, tokens) + waves + milliloss / 1000 * bias
    kept = np.isin(i, np.arange(SIZES.size)[REGIONS[region]])
    loss = np.round(loss, decimals) if decimals >= 0 else loss
    return Runs.from_arrays(params[kept], tokens[kept], loss[kept], source="toy")


def toy_fit(region: str, decimals: int, milliloss: float) -> tuple[Fit, dict[str, Any]]:
    """Fit the toy by squares and forecast the target; exponents, E, a, and the error of the loss there."""
    truth = Surface.named("besiroglu")
    found = fit(toy_runs(region, decimals, milliloss))
    a, _ = truth.exponents
    # At 6 FLOPs N·D is 1, so this N is G, and N = G (N·D)^a gives the tokens for which the target is optimal.
    log_g = np.log(truth.optimum(6.0).params)
    tokens = float(np.exp((np.log(TARGET) - log_g) / a) / TARGET)
    error = float(found.surface.loss(TARGET, tokens) - truth.loss(TARGET, tokens))
    k = found.surface
    return found, {
        "region": region,
        "decimals": decimals,
        "milliloss": milliloss,
        "alpha": k["alpha"],
        "beta": k["beta"],
        "E": k["E"],
        "a": k.exponents[0],
        "tokens": tokens,
        "loss_error": error,
    }
