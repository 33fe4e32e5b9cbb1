"""Which of many cases a slow test takes; the others carry the marker `whole`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def a_part_is_slow(cases: Sequence[Any], every: int) -> list[Any]:
    """Mark every so many-th case `slow` and the others `whole`."""
    marks = (pytest.mark.slow if i % every == 0 else pytest.mark.whole for i in range(len(cases)))
    given = (case if isinstance(case, tuple) else (case,) for case in cases)
    return [pytest.param(*case, marks=mark) for case, mark in zip(given, marks, strict=True)]
