"""What a fit minimises: the weighted mean per run of a loss of the residuals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lawful.core.numbers import format_short
from lawful.core.typing import Array
from lawful.core.validation import is_positive
from lawful.errors import UnsupportedError

ObjectiveName = Literal["squared", "huber", "log-squared", "log-huber"]
OBJECTIVE_NAMES: tuple[ObjectiveName, ...] = ("squared", "huber", "log-squared", "log-huber")

DEFAULT_DELTA = 1e-3

AUTO: Literal["auto"] = "auto"

AUTO_FACTOR = 1.345 * 1.4826
"""Huber's 95%-efficient width in standard deviations, times the standard deviation per median
absolute deviation of a Gaussian."""

LEAST_DELTA = 1e-8
"""Smallest width that ``auto`` sets (nats): on noise-free runs the residuals are rounding."""


@dataclass(frozen=True, slots=True)
class Objective:
    r"""
    A definition of misfit; its value is the weighted mean per run in every solver.

    With residual r (observed minus fitted loss, or the difference of their
    natural logs), ``squared`` is the mean of r², and ``huber`` the mean of
    r²/2 where |r| ≤ δ and of δ(|r| - δ/2) elsewhere (Hoffmann et al. 2022,
    section 3.3, sum instead of mean).

    Parameters
    ----------
    name : {"squared", "huber", "log-squared", "log-huber"}
        What is done with which residual.
    delta : float or "auto", optional
        Width δ of the quadratic part, in nats (or in log loss), > 0. Only for the
        Huber objectives; 1e-3 if not given. With ``"auto"`` a fit sets it to 1.345
        times the scale of its own residuals (Huber 1981: 95% efficient for Gaussian
        noise), and reports the number it found.

    Raises
    ------
    UnsupportedError
        If the name is unknown, or delta is given for a squared objective or is
        not positive and finite.

    Examples
    --------
    >>> Objective.squared().of(np.array([0.1, -0.1]))
    0.01
    >>> print(f"{Objective.huber(1e-3).of(np.array([0.0, 0.1])):.6f}")
    0.000050
    >>> Objective("huber", delta=-1.0)
    Traceback (most recent call last):
        ...
    lawful.errors.UnsupportedError: delta must be a positive number, got -1.0.
    """

    name: ObjectiveName = "squared"
    delta: float | Literal["auto"] | None = None

    def __post_init__(self) -> None:
        if self.name not in OBJECTIVE_NAMES:
            msg = f"Unknown objective {self.name!r}; choose one of {', '.join(OBJECTIVE_NAMES)}."
            raise UnsupportedError(msg)
        if not self.is_huber:
            if self.delta is not None:
                msg = f"delta belongs to the Huber objectives; leave it out for {self.name!r}."
                raise UnsupportedError(msg)
            return
        if self.delta is None:
            object.__setattr__(self, "delta", DEFAULT_DELTA)
        if self.delta == AUTO:
            return
        if not is_positive(self.delta):
            msg = f"delta must be a positive number, got {self.delta!r}."
            raise UnsupportedError(msg)

    @classmethod
    def squared(cls) -> Objective:
        """Mean squared residual of the loss."""
        return cls("squared")

    @classmethod
    def huber(cls, delta: float | Literal["auto"] = DEFAULT_DELTA) -> Objective:
        """Mean Huber loss of the residual of the loss; delta in nats, or ``"auto"``."""
        return cls("huber", delta)

    @classmethod
    def log_squared(cls) -> Objective:
        """Mean squared residual of the natural log of the loss."""
        return cls("log-squared")

    @classmethod
    def log_huber(cls, delta: float | Literal["auto"] = DEFAULT_DELTA) -> Objective:
        """Mean Huber loss of the residual of the natural log of the loss; delta or ``"auto"``."""
        return cls("log-huber", delta)

    @property
    def width(self) -> float | None:
        """Delta as a number; None for the squared objectives and while it is ``"auto"``."""
        return None if self.delta is None or self.delta == AUTO else float(self.delta)

    @property
    def is_huber(self) -> bool:
        """Whether large residuals count linearly."""
        return self.name in ("huber", "log-huber")

    @property
    def is_log(self) -> bool:
        """Whether residuals are taken between logs of losses."""
        return self.name in ("log-squared", "log-huber")

    def of(self, residuals: Array, weight: Array | None = None) -> float:
        """
        Return the weighted mean of the objective over runs.

        Parameters
        ----------
        residuals : array, shape (n,)
            Residuals in nats, or in log loss for the log objectives.
        weight : array, shape (n,), optional
            Non-negative weights; one per run by default.

        Returns
        -------
        float
            The value that fits and JSON report.
        """
        r = np.asarray(residuals, float)
        if self.is_huber:
            delta = self.width
            if delta is None:
                msg = "delta is 'auto', which only a fit can turn into a number."
                raise UnsupportedError(msg)
            size = np.abs(r)
            rho = np.where(size <= delta, 0.5 * r * r, delta * (size - 0.5 * delta))
        else:
            rho = r * r
        return float(np.average(rho, weights=weight))

    def __str__(self) -> str:
        if self.delta is None:
            return self.name
        return f"{self.name} (delta {AUTO if self.width is None else format_short(self.width)})"


def as_objective(given: Objective | str | None) -> Objective | None:
    """
    Take an objective or its name; None stays None.

    Raises
    ------
    UnsupportedError
        If the name is unknown.

    Examples
    --------
    >>> str(as_objective("huber"))
    'huber (delta 0.001)'
    """
    return given if isinstance(given, Objective | None) else Objective(given)  # type: ignore[arg-type]
