"""Rows that stand several times in a table as runs of their own: what an integer weight means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lawful.data.runs import Runs


def repeated(runs: Runs, counts: Sequence[int] | np.ndarray) -> Runs:
    """
    Repeat each run so many times, each time under another setting.

    Rows that agree in every column are copies of one run, which count once; a setting that differs makes them two.
    """
    counts = np.asarray(counts, dtype=int)
    nth = np.concatenate([np.arange(count) for count in counts])
    taken = runs.take(np.repeat(np.arange(len(runs)), counts))
    return replace(taken, labels={**taken.labels, "setting": nth.astype(float)})
