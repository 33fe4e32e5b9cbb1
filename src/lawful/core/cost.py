"""What a run costs: the one place that knows C = 6ND."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cost:
    """
    A convention for training compute, C = k N D.

    Parameters
    ----------
    flops_per_param_token : float
        FLOPs per parameter and token, k. The field's convention is 6: two for
        the forward pass and four for the backward pass.

    Examples
    --------
    A 7-billion-parameter model on two trillion tokens:

    >>> print(f"{Cost().flops(7e9, 2e12):.2e}")
    8.40e+22

    The three quantities determine one another:

    >>> print(f"{Cost().tokens(budget=8.4e22, params=7e9):.1e}")
    2.0e+12
    """

    flops_per_param_token: float = 6.0

    def flops(self, params: ArrayLike, tokens: ArrayLike) -> Any:
        """Training FLOPs of N parameters on D tokens."""
        return self.flops_per_param_token * np.asarray(params, float) * np.asarray(tokens, float)

    def tokens(self, *, budget: ArrayLike, params: ArrayLike) -> Any:
        """Tokens that a budget buys for N parameters."""
        return np.asarray(budget, float) / (self.flops_per_param_token * np.asarray(params, float))

    def params(self, *, budget: ArrayLike, tokens: ArrayLike) -> Any:
        """Parameters that a budget can train on D tokens."""
        return np.asarray(budget, float) / (self.flops_per_param_token * np.asarray(tokens, float))

    def product(self, budget: ArrayLike) -> Any:
        """N·D that a budget buys."""
        return np.asarray(budget, float) / self.flops_per_param_token

    @property
    def convention(self) -> str:
        """The convention in words, as printed beside every figure of cost."""
        return f"C = {self.flops_per_param_token:g}ND"
