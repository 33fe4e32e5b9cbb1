"""Whether the runs tell the compute-optimal size at all, read off the exact profile of ln N*. Arrays only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array
from lawful.valley.exact import Ends

WIDEST = 2.3
"""Width of the 90% interval of ln N* from which it says nothing: a factor of ten."""

BEYOND = float(np.log(2.0))
"""How far beyond the sampled tokens per parameter an optimum may lie, in logs."""


class Identified(NamedTuple):
    """
    What the runs say of the optimum at a budget.

    Attributes
    ----------
    told : bool
        Whether N* is identified there.
    reason : str
        Why not: ``open`` (a side has no end), ``wide``, or ``outside`` (wholly beyond the sampled tokens per
        parameter); empty where it is.
    partly : bool
        Whether its interval reaches beyond the sampled tokens per parameter by more than a factor of two.
    ratio : (float, float)
        Interval of D*/N*.
    """

    told: bool
    reason: str
    partly: bool
    ratio: tuple[float, float]


def identified(size: Ends, log_product: float, log_ratio: Array) -> Identified:
    """
    Judge an interval of ln N*.

    Parameters
    ----------
    size : Ends
        Of ln N*, at 90%.
    log_product : float
        ln(N D) of the budget.
    log_ratio : array, shape (n,)
        ln(D/N) of the runs.

    Returns
    -------
    Identified

    Examples
    --------
    >>> identified(Ends(22.0, 22.5, (False, False)), 48.0, np.array([1.0, 5.0])).told
    True
    >>> identified(Ends(22.0, np.inf, (False, True)), 48.0, np.array([1.0, 5.0])).reason
    'open'
    """
    low, high = log_product - 2 * size.high, log_product - 2 * size.low
    with np.errstate(over="ignore"):
        ratio = float(np.exp(low)), float(np.exp(high))
    least, most = float(log_ratio.min()) - BEYOND, float(log_ratio.max()) + BEYOND
    partly = low < least or high > most
    if any(size.open) or not np.isfinite([size.low, size.high]).all():
        return Identified(told=False, reason="open", partly=partly, ratio=ratio)
    if high < least or low > most:
        return Identified(told=False, reason="outside", partly=partly, ratio=ratio)
    if size.high - size.low > WIDEST:
        return Identified(told=False, reason="wide", partly=partly, ratio=ratio)
    return Identified(told=True, reason="", partly=partly, ratio=ratio)
