"""Published figures beside ours: the difference, the tolerance, and the verdict that follows from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, log10

from lawful.studies.tables import Table

AGREES, DIFFERS, SHOWN = "agrees", "differs", "shown only"


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    One published figure and ours.

    Parameters
    ----------
    quantity : str
        What the figure is, with its unit.
    published, ours : float
    tolerance : float or None
        Largest difference that still agrees; None where the two are only shown.
    scale : {"difference", "percent", "decades"}
        How the difference is measured: ours - published, that in percent of the
        published figure, or log10 of their ratio.
    remark : str
        Why the tolerance is what it is, and what else the reader should know of this line.

    Examples
    --------
    >>> Comparison("D* at 1e24, error (%)", 3.9742, 3.9743, 0.005).verdict
    'agrees'
    >>> Comparison("largest error (%)", 1e-9, 2e-8, 1.0, "decades").verdict
    'differs'
    """

    quantity: str
    published: float
    ours: float
    tolerance: float | None
    scale: str = "difference"
    remark: str = ""

    @property
    def difference(self) -> float:
        """Ours against the published figure, on the scale of the tolerance."""
        if self.scale == "decades":
            sound = self.ours > 0 and self.published > 0
            return log10(self.ours / self.published) if sound else float("inf")
        gap = self.ours - self.published
        return 100 * gap / self.published if self.scale == "percent" else gap

    @property
    def tolerance_percent(self) -> float:
        """The tolerance in percent of the published figure; 0 where nothing is claimed, infinite beside 0."""
        if self.tolerance is None or self.scale == "percent":
            return self.tolerance or 0.0
        if self.scale == "decades":
            return 100 * (10**self.tolerance - 1)
        return 100 * self.tolerance / abs(self.published) if self.published else float("inf")

    @property
    def verdict(self) -> str:
        """``agrees``, ``differs``, or ``shown only`` where nothing was claimed."""
        if self.tolerance is None:
            return SHOWN
        gap = abs(self.difference)
        # A hair of slack: a figure exactly half a digit off agrees however the subtraction is rounded.
        return AGREES if isfinite(gap) and gap <= self.tolerance * (1 + 1e-9) else DIFFERS


def printed(text: str) -> tuple[float, float]:
    """
    Value of a printed figure and half a unit of its last digit.

    Examples
    --------
    >>> value, half = printed("7.78e-06")
    >>> print(f"{value} {half:.1e}")
    7.78e-06 5.0e-09
    """
    mantissa, _, power = text.lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    return float(text), 0.5 * 10.0 ** ((int(power) if power else 0) - digits)


DIGITS = "to the digits printed"


def to_digits(quantity: str, text: str, ours: float, remark: str = "") -> Comparison:
    """Compare to the digits printed."""
    published, half = printed(text)
    return Comparison(quantity, published, ours, half, remark=f"{DIGITS}; {remark}" if remark else DIGITS)


def comparison_table(comparisons: Iterable[Comparison]) -> Table:
    """Return ``published.csv``: quantity, published, ours, scale, difference, tolerance, verdict, remark."""
    return Table.from_rows(
        {
            "quantity": c.quantity,
            "published": c.published,
            "ours": c.ours,
            "scale": c.scale,
            "difference": c.difference,
            "tolerance": c.tolerance,
            "verdict": c.verdict,
            "remark": c.remark,
        }
        for c in comparisons
    )
