"""Simulated sweeps that the studies share: surfaces, biases, widths, and the errors of Approach 2 on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lawful.data.runs import Runs
from lawful.design.plan import Plan, plan_isoflop, simulate, study_surface
from lawful.estimate.isoflop import fit_isoflop
from lawful.estimate.result import Frontier
from lawful.laws.surface import Surface

SURFACES = ("symmetric", "chinchilla", "asymmetric")
LABELS = {
    "symmetric": "Symmetric",
    "chinchilla": "Chinchilla",
    "asymmetric": "Asymmetric",
    "soda": "SODA",
    "sparse-nmm": "Sparse-NMM",
    "llama-3": "Llama 3",
}
BUDGETS = (1e17, 1e18, 1e19, 1e20, 1e21)
POINTS = 15
TARGET = 1e24

WIDTHS = {"XS": 2.0, "S": 4.0, "L": 8.0, "XL": 16.0}
"""Named grids: sizes from centre/k to centre·k."""

BIASES: dict[str, dict[str, float]] = {
    "baseline": {},
    "drift 0.2": {"drift": 10**0.2},
    "drift 0.4": {"drift": 10**0.4},
    "scale 1.5": {"offset": 1.5},
    "scale 2.0": {"offset": 2.0},
}
"""Off-centre sweeps: centres that drift to N*/10^0.2 or N*/10^0.4, or all sit at N*/1.5 or N*/2."""


OFF_CENTRE: dict[str, dict[str, float]] = {"offset 3×": {"offset": 3.0}, "drift to 3×": {"drift": 3.0}}
"""The off-centre sweeps of studies 10 and 11."""


def half_widths(count: int = 20) -> list[float]:
    """Sampling ranges: half-widths from 0.3 to 2 decades."""
    return [float(value) for value in np.linspace(0.3, 2.0, count)]


def surface_with(alpha: float, beta: float) -> Surface:
    """Chinchilla's E, A and B with other exponents."""
    return Surface({**study_surface("chinchilla").coefficients, "alpha": alpha, "beta": beta})


def sweep(surface: Surface, half_width: float, bias: Mapping[str, float] | None = None) -> Plan:
    """Lay out 15 sizes per budget over ± a half-width in decades."""
    return plan_isoflop(BUDGETS, POINTS, surface=surface, width=10.0**half_width, **(bias or {}))


def noise_free(surface: Surface, half_width: float, bias: Mapping[str, float] | None = None) -> Runs:
    """Runs of a sweep without noise."""
    return simulate(surface, sweep(surface, half_width, bias))


def approach2_errors(surface: Surface, runs: Runs) -> tuple[dict[str, float], list[dict[str, float]]]:
    """
    Errors of Approach 2 against the truth.

    Returns
    -------
    exponents : dict
        Relative errors of a and b, errors of the log10 intercepts (absolute, in
        decades, and relative), in that order.
    optima : list of dict
        Per budget the true and inferred N* and D*.
    """
    found, true = fit_isoflop(runs, window="none"), Frontier.of_surface(surface)
    line = found.frontier
    row: dict[str, float] = {}
    for name in ("a", "b"):
        row[f"{name}_true"], row[f"{name}_found"] = getattr(true, name), getattr(line, name)
        row[f"{name}_error"] = getattr(line, name) / getattr(true, name) - 1
    for name in ("log10_a0", "log10_b0"):
        row[f"{name}_true"], row[f"{name}_found"] = getattr(true, name), getattr(line, name)
        row[f"{name}_shift"] = getattr(line, name) - getattr(true, name)
        row[f"{name}_error"] = row[f"{name}_shift"] / getattr(true, name)
    best = surface.optimum(found.budgets)
    optima = [
        {"budget": c, "params_true": n0, "params_found": n, "tokens_true": d0, "tokens_found": d}
        for c, n0, n, d0, d in zip(
            *map(_listed, (found.budgets, best.params, found.params, best.tokens, found.tokens)), strict=True
        )
    ]
    return row, optima


def tokens_error(surface: Surface, frontier: Frontier, budget: Any) -> Any:
    """Relative error of a frontier's D* at a budget."""
    return frontier.tokens(budget) / surface.optimum(budget).tokens - 1


def _listed(values: Any) -> list[float]:
    return [float(value) for value in values]
