"""Runs to benchmark on."""

from __future__ import annotations

import os
from pathlib import Path

import lawful
from lawful.data.runs import Runs

SHARED = Path(os.environ.get("LAWFUL_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def sweep(n: int, noise: float, seed: int = 0) -> Runs:
    """An IsoFLOP sweep of the Chinchilla surface with n runs at four budgets (fewer for few runs)."""
    truth = lawful.Surface.named("chinchilla")
    budgets = [1e18, 1e19, 1e20, 1e21] if n >= 20 else [1e18, 1e20]
    plan = lawful.Plan.isoflop(budgets, n // len(budgets), surface=truth)
    return lawful.simulate(truth, plan, noise=noise, seed=seed)
