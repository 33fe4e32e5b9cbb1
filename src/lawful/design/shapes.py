"""Models and schedules that can be trained: whole layers, round widths, whole batches and steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lawful.core.numbers import format_count
from lawful.core.shown import Record
from lawful.core.typing import Array
from lawful.counting.transformer import Transformer
from lawful.errors import UnsupportedError

HEAD_DIM = 64
BATCH_SCALE, BATCH_EXPONENT = 0.2920, 0.3271
"""Batch in tokens, 0.2920 C^0.3271 (DeepSeek 2024, arXiv:2401.02954)."""


@dataclass(frozen=True, slots=True)
class Shapes(Record):
    """
    What may be built: a dense decoder with gated feed-forward layers.

    Parameters
    ----------
    multiple : int
        Widths are multiples of it; 64 or 128.
    vocabulary : int
        Size of the vocabulary; embeddings are tied and counted.
    context : int
        Tokens per sequence.
    aspect : (float, float)
        Least and most width per layer.
    min_steps : int
        Fewest optimiser steps of a run.

    Examples
    --------
    >>> ladder = Shapes().ladder(1e8, 2e8)
    >>> print(f"{len(ladder.params)} models, {ladder.params.min():.4g} to {ladder.params.max():.4g} parameters")
    46 models, 1.01e+08 to 1.972e+08 parameters
    """

    multiple: int = 64
    vocabulary: int = 32000
    context: int = 2048
    aspect: tuple[float, float] = (48.0, 128.0)
    min_steps: int = 4000

    def __post_init__(self) -> None:
        counts = (self.multiple, self.vocabulary, self.context, self.min_steps)
        if min(counts) < 1 or not 0 < self.aspect[0] < self.aspect[1]:
            msg = f"Shapes need positive counts and a range of width per layer, got {self!r}."
            raise UnsupportedError(msg)
        if self.multiple % HEAD_DIM:
            msg = f"Widths are multiples of a multiple of {HEAD_DIM} (the size of a head), got {self.multiple}."
            raise UnsupportedError(msg)

    def ladder(self, least: float, most: float) -> Ladder:
        """
        Every model between two sizes.

        Raises
        ------
        UnsupportedError
            If there is none.
        """
        width = np.arange(self.multiple, 65536 + 1, self.multiple, dtype=float)[:, None]
        layers = np.arange(1.0, 257.0)[None, :]
        ratio = width / layers
        allowed = (ratio >= self.aspect[0]) & (ratio <= self.aspect[1])
        params = np.asarray(self._model(width, layers).params)
        index = np.nonzero(allowed & (params >= least) & (params <= most))
        if index[0].size == 0:
            msg = (
                f"No model with widths in multiples of {self.multiple} and a vocabulary of {self.vocabulary} has "
                f"between {format_count(least)} and {format_count(most)} parameters; use larger budgets or no shapes."
            )
            raise UnsupportedError(msg)
        order = np.argsort(params[index], kind="stable")
        w, d = np.broadcast_to(width, params.shape)[index][order], np.broadcast_to(layers, params.shape)[index][order]
        return Ladder(w, d, params[index][order])

    def _model(self, width: Array, layers: Array) -> Transformer:
        ffn = self.multiple * np.ceil(8 * width / 3 / self.multiple)
        return Transformer(
            width=width,
            layers=layers,
            heads=width / HEAD_DIM,
            head_dim=HEAD_DIM,
            ffn=ffn,
            vocabulary=self.vocabulary,
            context=self.context,
            embeddings=1,
        )

    def schedule(self, tokens: Array, budget: float) -> tuple[Array, Array]:
        """
        Tokens per step and whole steps for about this many tokens.

        The batch is the largest power of two of sequences that is no larger than DeepSeek's
        optimum for the budget (2024, arXiv:2401.02954) and leaves the fewest steps allowed.
        """
        most = np.minimum(tokens / self.min_steps, BATCH_SCALE * budget**BATCH_EXPONENT)
        sequences = 2.0 ** np.maximum(np.floor(np.log2(most / self.context)), 0.0)
        batch = sequences * self.context
        return batch, np.maximum(np.round(tokens / batch), 1.0)


@dataclass(frozen=True, eq=False)
class Ladder(Record):
    """
    Models by rising size.

    Attributes
    ----------
    width, layers, params : array, shape (m,)
    """

    width: Array
    layers: Array
    params: Array

    def nearest(self, sizes: Array) -> Array:
        """Indices of the models nearest to some sizes in ln N, each once."""
        logs = np.log(self.params)
        near = np.abs(logs[None, :] - np.log(sizes)[:, None]).argmin(axis=1)
        return np.unique(near)
