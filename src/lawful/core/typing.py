"""The types of arrays and intervals, named once for every room."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
"""Numbers."""

IntArray = NDArray[np.intp]
"""Positions."""

BoolArray = NDArray[np.bool_]
"""Which ones."""

AnyArray = NDArray[Any]
"""A column of a table: numbers or labels."""

Columns = dict[str, AnyArray]
"""A table by its columns, all of one length."""

Interval = tuple[float, float]
"""Both ends, lower first."""
