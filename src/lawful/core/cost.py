"""What a run costs: the one place that knows C = 6ND, and what a FLOP costs in hours and dollars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.hardware import HARDWARE, Hardware, Rate, find_hardware
from lawful.core.numbers import format_short
from lawful.core.validation import is_positive
from lawful.errors import UnsupportedError

FORWARD_SHARE = 1 / 3
"""Of the FLOPs of a training step the forward pass takes a third: 2 of 6 per parameter and token."""


class Pricing(Protocol):
    """What turns two of parameters, tokens and training FLOPs into the third."""

    def flops(self, params: ArrayLike, tokens: ArrayLike) -> Any: ...  # noqa: D102

    def tokens(self, *, budget: ArrayLike, params: ArrayLike) -> Any: ...  # noqa: D102

    def params(self, *, budget: ArrayLike, tokens: ArrayLike) -> Any: ...  # noqa: D102

    @property
    def convention(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Cost:
    """
    A convention for training compute, C = k N D, and for what compute costs.

    Parameters
    ----------
    flops_per_param_token : float
        FLOPs per parameter and token, k. The field's convention is 6: two for
        the forward pass and four for the backward pass.
    hardware : Hardware
        The chip; :meth:`on` takes its name.
    rate : {"dense", "sparse"}
        Which peak MFU refers to. Training uses dense products; the sparse rate is
        for comparison with figures that were published with it.
    mfu : float
        Model FLOPs utilisation: share of the peak that training reaches, in (0, 1].
    price : float
        Dollars per chip and hour, >= 0.

    Raises
    ------
    UnsupportedError
        If a number lies outside its range, or the chip has no such rate.

    Examples
    --------
    A 7-billion-parameter model on two trillion tokens:

    >>> print(f"{Cost().flops(7e9, 2e12):.2e}")
    8.40e+22

    The three quantities determine one another:

    >>> print(f"{Cost().tokens(budget=8.4e22, params=7e9):.1e}")
    2.0e+12

    Compute, hours, days and dollars convert both ways:

    >>> cost = Cost.on("h100", mfu=0.4, price=2.5)
    >>> hours, days = cost.gpu_hours(8.4e22), cost.days(8.4e22, count=512)
    >>> print(f"{hours:.0f} hours, {days:.1f} days, ${cost.dollars(8.4e22):.0f}")
    58952 hours, 4.8 days, $147381
    >>> print(f"{cost.budget(count=512, days=days):.2e}, {cost.budget_of_dollars(147381):.2e}")
    8.40e+22, 8.40e+22
    """

    flops_per_param_token: float = 6.0
    hardware: Hardware = HARDWARE["h100"]
    rate: Rate = "dense"
    mfu: float = 0.5
    price: float = 2.0

    @classmethod
    def on(cls, hardware: str, *, rate: Rate = "dense", mfu: float = 0.5, price: float = 2.0) -> Cost:
        """Return the field's convention C = 6ND on a chip by name."""
        return cls(hardware=find_hardware(hardware), rate=rate, mfu=mfu, price=price)

    def __post_init__(self) -> None:
        self.hardware.peak(self.rate)
        if not 0 < self.mfu <= 1:
            msg = f"MFU is a share of the peak between 0 and 1, got {self.mfu!r}."
            raise UnsupportedError(msg)
        if not (np.isfinite(self.price) and self.price >= 0):
            msg = f"The price of a chip and hour is a number of dollars and cannot be negative, got {self.price!r}."
            raise UnsupportedError(msg)

    def flops(self, params: ArrayLike, tokens: ArrayLike) -> Any:
        """Training FLOPs of N parameters on D tokens."""
        return self.flops_per_param_token * np.asarray(params, float) * np.asarray(tokens, float)

    def forward_flops(self, params: ArrayLike, tokens: ArrayLike) -> Any:
        """FLOPs of N parameters reading or writing D tokens without training on them, 2ND."""
        return FORWARD_SHARE * self.flops(params, tokens)

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
        return f"C = {format_short(self.flops_per_param_token)}ND"

    @property
    def peak(self) -> float:
        """Peak FLOP/s of one chip at the rate chosen."""
        return self.hardware.peak(self.rate)

    @property
    def flops_per_hour(self) -> float:
        """FLOPs that one chip does in an hour."""
        return self.peak * self.mfu * 3600

    @property
    def dollars_per_flop(self) -> float:
        """Price of one FLOP; 5.61e-19 at the published 1,979 TFLOP/s with sparsity, 50% MFU and 2 dollars."""
        return self.price / self.flops_per_hour

    def gpu_hours(self, flops: ArrayLike) -> Any:
        """Chip hours that compute takes."""
        return np.asarray(flops, float) / self.flops_per_hour

    def days(self, flops: ArrayLike, *, count: float = 1) -> Any:
        """Days that compute takes on a number of chips."""
        return self.gpu_hours(flops) / (24 * count)

    def dollars(self, flops: ArrayLike) -> Any:
        """Dollars that compute costs."""
        return self.price * self.gpu_hours(flops)

    def budget(self, *, count: float, days: float) -> float:
        """FLOPs that a number of chips does in a number of days."""
        if not is_positive(count, days):
            msg = f"A number of chips and of days must be positive, got {count!r} and {days!r}."
            raise UnsupportedError(msg)
        return self.flops_per_hour * 24 * float(count) * float(days)

    def budget_of_dollars(self, dollars: float) -> float:
        """FLOPs that a sum of money buys."""
        if self.price == 0:
            msg = "At a price of 0 any sum buys any amount of compute; give a price per chip and hour."
            raise UnsupportedError(msg)
        return dollars / self.dollars_per_flop

    def at_rate(self, rate: Rate) -> Cost:
        """Return the same with the chip's other peak rate."""
        return replace(self, rate=rate)

    @property
    def terms(self) -> str:
        """How compute becomes money, in words."""
        named = "dense bf16" if self.rate == "dense" else "bf16 with sparsity"
        speed = f"{named} {format_short(self.peak / 1e12)} TFLOP/s"
        return f"{self.hardware.name}, {speed}, {self.mfu:.0%} MFU, ${format_short(self.price)} per GPU hour"

    def to_dict(self) -> dict[str, Any]:
        """Return the terms as they stand in JSON."""
        return {
            "hardware": self.hardware.name,
            "rate": self.rate,
            "peak_flops": self.peak,
            "mfu": self.mfu,
            "price": self.price,
            "dollars_per_flop": self.dollars_per_flop,
        }
