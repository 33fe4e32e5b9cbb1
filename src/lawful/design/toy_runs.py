"""The toy of "Scaling Laws, Carefully" (Weng 2026): runs of a known truth with a small, fully specified noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, IntArray
from lawful.data.runs import Runs
from lawful.laws.surface import Surface

SIZES = np.array([1, 3, 7, 10, 30, 70, 100, 300, 700]) * 1e8
RATIOS = np.array([5.0, 10.0, 20.0, 40.0])
REGIONS = {"small": slice(0, 4), "medium": slice(2, 6), "all": slice(0, 9)}
"""Sizes fitted on."""

TRUTH = "besiroglu"
"""Published surface that the runs are drawn from."""

TARGET = 1e15
"""Model size that is forecast, at its compute-optimal tokens."""


class ToyDesign(NamedTuple):
    """
    Every run of the toy before its loss is known, shape (36,) each.

    Attributes
    ----------
    size : int array
        Position of the model size in :data:`SIZES`.
    params, tokens : array
    waves : array
        Noise in nats that every loss carries: a wave and a checkerboard.
    bias : array
        Structured bias per unit of its size.
    """

    size: IntArray
    params: Array
    tokens: Array
    waves: Array
    bias: Array


def toy_design() -> ToyDesign:
    """
    Return all sizes and tokens of the toy with their noise.

    Examples
    --------
    >>> print(f"{toy_design().waves[0]:.6f}")
    -0.005912
    """
    i, j = (a.ravel() for a in np.indices((SIZES.size, RATIOS.size)))
    params, tokens = SIZES[i], SIZES[i] * RATIOS[j]
    x, y = np.log10(params), np.log10(tokens)
    n, d = (x - x.min()) / np.ptp(x), (y - y.min()) / np.ptp(y)
    bias = 1.15 * (n - 0.5) - 0.95 * (d - 0.5) + 0.8 * (n - 0.5) * (d - 0.5) + 0.2 * np.sin(8 * n + 5 * d)
    waves = 0.010 * np.sin(1.91 * (i + 1) + 2.67 * (j + 1)) + 0.004 * np.where((i + j) % 2 == 0, 1.0, -1.0)
    return ToyDesign(i, params, tokens, waves, bias)


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
    size, params, tokens, waves, bias = toy_design()
    loss = Surface.named(TRUTH).loss(params, tokens) + waves + milliloss / 1000 * bias
    kept = np.isin(size, np.arange(SIZES.size)[REGIONS[region]])
    loss = np.round(loss, decimals) if decimals >= 0 else loss
    return Runs.from_arrays(params[kept], tokens[kept], loss[kept], source="toy")
