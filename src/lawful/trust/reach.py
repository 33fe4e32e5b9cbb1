"""How far from the runs a law is asked about, column by column, and what that does to its intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lawful.core.notes import Note
from lawful.core.numbers import format_short
from lawful.core.shown import Record
from lawful.core.typing import Array, BoolArray, Interval

FAR = 10.0
"""Times the largest value of a column, or below the smallest, beyond which a law is far from its runs."""

MOST_ABOVE = 2.0
"""How far above the largest loss of the runs a loss is plausible, in ranges of those losses."""


@dataclass(frozen=True, eq=False)
class Reach(Record):
    """
    What runs covered, to judge points by.

    Attributes
    ----------
    seen : mapping of str to (float, float)
        Least and largest value of every column that the law reads.
    losses : (float, float)
        Least and largest loss.

    Examples
    --------
    >>> seen = Reach({"experts": (1.0, 64.0)}, (2.0, 3.0))
    >>> seen.beyond({"experts": np.array([32.0, 65536.0])})[1].round(2).tolist()
    [1.0, 2.67]
    >>> seen.plausible(np.array([1.5, -0.1, 9.0])).tolist()
    [True, False, False]
    """

    seen: Mapping[str, Interval]
    losses: Interval

    @staticmethod
    def of(columns: Mapping[str, Array], losses: Array) -> Reach:
        """From the columns and losses of runs."""
        ends = {c: (float(np.min(v)), float(np.max(v))) for c, v in columns.items()}
        return Reach(ends, (float(np.min(losses)), float(np.max(losses))))

    def beyond(self, points: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        """
        How far outside of the runs points lie, in lengths of what the runs span, and what intervals grow by.

        A column of positive values is judged by its logarithm and counts from a factor of ten beyond either end, others
        from the length of their own range. A law may bend anew over each such length, so half-widths grow by it.

        Returns
        -------
        far : dict of str to array, shape (n,)
            Lengths by which each column lies outside; 0 where it is not far.
        factor : array, shape (n,)
            1 plus the largest of them.
        """
        far = {}
        for column, values in points.items():
            (low, high), at = self.seen[column], np.asarray(values, float)
            logs = low > 0 and bool((at > 0).all())
            bottom, top, x = (np.log(low), np.log(high), np.log(at)) if logs else (low, high, at)
            away = np.maximum(np.maximum(x - top, bottom - x), 0.0)
            span = top - bottom
            # Far is a factor of ten; of shares and the like, once more what was seen.
            edge = np.log(FAR) if logs else span
            unit = max(span, np.log(2.0)) if logs else span or max(abs(top), 1.0)
            far[column] = np.where(away > edge * (1 + 1e-9), away / unit, 0.0)
        return far, 1.0 + np.max(list(far.values()), axis=0)

    def plausible(self, loss: Array) -> BoolArray:
        """Whether losses are finite, not below zero where none of the runs is, and not far above the largest."""
        low, high = self.losses
        most = MOST_ABOVE * (high - low) + 0.1 * abs(high)
        least = 0.0 if low > 0 else low - most
        return np.asarray(np.isfinite(loss) & (loss >= least) & (loss <= high + most))

    def notes(
        self, points: Mapping[str, Array], loss: Array, shown: Mapping[str, str] | None = None
    ) -> tuple[Note, ...]:
        """Say which columns lie far outside, where they were seen, and whether the law has a plausible loss there."""
        said, names = [], shown or {}
        for column, lengths in self.beyond(points)[0].items():
            if not lengths.any():
                continue
            values, (low, high) = np.asarray(points[column], float), self.seen[column]
            at = format_short(float(values[int(lengths.argmax())]), 4)
            rows = f" in {int((lengths > 0).sum())} of {lengths.size} runs" if lengths.size > 1 else ""
            text = (
                f"{names.get(column, column)} = {at}{rows} lies far outside of the runs' {format_short(low, 4)} to "
                f"{format_short(high, 4)}: no run tells whether the law holds there; its intervals are widened."
            )
            said.append(Note("extrapolation", text))
        wild = np.flatnonzero(~self.plausible(loss))
        if wild.size:
            value = format_short(float(loss[wild[0]]), 4) if np.isfinite(loss[wild[0]]) else "no finite loss"
            ends = f"{format_short(self.losses[0], 4)} to {format_short(self.losses[1], 4)}"
            rows = f" in {wild.size} of {loss.size} runs" if loss.size > 1 else ""
            text = (
                f"The law gives {value}{rows}, and the runs have losses of {ends}: it breaks down, no interval given."
            )
            said.append(Note("extrapolation", text))
        return tuple(said)


NOWHERE: Interval = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Doubt(Record):
    """
    What distance does to the intervals of points.

    Attributes
    ----------
    factor : array, shape (n,)
        What half-widths are multiplied by.
    plausible : bool array, shape (n,)
        Where the law has a loss that can be.
    notes : tuple of Note
    """

    factor: Array
    plausible: BoolArray
    notes: tuple[Note, ...] = field(default=())

    @staticmethod
    def of(reach: Reach, points: Mapping[str, Array], loss: Array, shown: Mapping[str, str] | None = None) -> Doubt:
        """Of points by column and the losses that a law has there, shape (n,) each."""
        return Doubt(reach.beyond(points)[1], reach.plausible(loss), reach.notes(points, loss, shown))

    def widened(self, i: int, loss: float, ends: Interval) -> Interval:
        """The interval of point i about its loss: wider by the distance, none where the law breaks down."""
        if not self.plausible[i]:
            return NOWHERE
        low, high = ends
        return loss - (loss - low) * float(self.factor[i]), loss + (high - loss) * float(self.factor[i])
