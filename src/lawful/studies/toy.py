"""The toy of "Scaling Laws, Carefully" (Weng 2026), fitted, and its forecast of a far larger model."""

from __future__ import annotations

from typing import Any

import numpy as np

from lawful.design.toy_runs import TARGET, TRUTH, toy_runs
from lawful.estimate.fit import fit
from lawful.estimate.result import Fit
from lawful.laws.surface import Surface


def toy_fit(region: str, decimals: int, milliloss: float) -> tuple[Fit, dict[str, Any]]:
    """Fit the toy by squares and forecast the target; exponents, E, a, and the error of the loss there."""
    truth = Surface.named(TRUTH)
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
