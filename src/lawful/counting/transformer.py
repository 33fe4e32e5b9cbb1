"""The exact count of a dense decoder: every weight and every product, from its shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lawful.counting.formulas import MULTIPLY_ADD, plain

SOFTMAX_FLOPS = 3.0
"""FLOPs per attention score for scaling, exponentiating and normalising it."""


@dataclass(frozen=True, slots=True)
class Transformer:
    """
    Shape of a dense decoder with grouped-query attention and a gated feed-forward layer.

    Every field may be a number or an array, so a whole sweep is one value.

    Parameters
    ----------
    width, layers : array_like
        d_model and the number of layers.
    heads, head_dim : array_like
        Query heads and their dimension.
    kv_heads : array_like, optional
        Key and value heads; as many as ``heads`` by default.
    ffn : array_like
        Inner width of the feed-forward layer.
    ffn_matrices : int
        3 for a gated layer such as SwiGLU, 2 for a plain one.
    vocabulary : array_like
        Size of the vocabulary.
    context : array_like
        Tokens per sequence; every token attends to all of them, as published counts
        have it (a causal kernel needs about half).
    embeddings : int
        2 where input and output embeddings are separate, 1 where they are tied.
    norms : int
        Vectors of normalisation per layer, of length d.
    head_norms : int
        Vectors of normalisation per layer of length ``head_dim``: 2 for QK norm.

    Examples
    --------
    Llama 3 8B, layers, width, grouped heads and all:

    >>> llama = Transformer(width=4096, layers=32, heads=32, kv_heads=8, head_dim=128, ffn=14336,
    ...                     vocabulary=128256, context=8192)
    >>> print(f"{llama.params:.0f} parameters, {llama.non_embedding_params:.0f} without embeddings")
    8030261248 parameters, 6979588096 without embeddings
    >>> print(f"{llama.forward_flops / (2 * llama.params):.3f} times 2N")
    1.204 times 2N
    """

    width: ArrayLike
    layers: ArrayLike
    heads: ArrayLike
    head_dim: ArrayLike
    ffn: ArrayLike
    vocabulary: ArrayLike
    context: ArrayLike
    kv_heads: ArrayLike | None = None
    ffn_matrices: int = 3
    embeddings: int = 2
    norms: int = 2
    head_norms: int = 0

    def _float(self, name: str) -> Any:
        return np.asarray(getattr(self, name), float)

    @property
    def _attention_widths(self) -> tuple[Any, Any]:
        """Width of all queries, and of all keys."""
        keys = self.heads if self.kv_heads is None else self.kv_heads
        return self._float("heads") * self._float("head_dim"), np.asarray(keys, float) * self._float("head_dim")

    @property
    def _matrices_per_layer(self) -> Any:
        d = self._float("width")
        queries, keys = self._attention_widths
        return 2 * d * queries + 2 * d * keys + self.ffn_matrices * d * self._float("ffn")

    @property
    def non_embedding_params(self) -> Any:
        """Every weight outside the embeddings, the final norm included."""
        d = self._float("width")
        vectors = self.norms * d + self.head_norms * self._float("head_dim")
        return plain(self._float("layers") * (self._matrices_per_layer + vectors) + d)

    @property
    def params(self) -> Any:
        """Every weight."""
        return plain(self.non_embedding_params + self.embeddings * self._float("vocabulary") * self._float("width"))

    @property
    def attention_flops(self) -> Any:
        """Forward FLOPs per token of scores, softmax and values, in all layers."""
        queries, _ = self._attention_widths
        per_score = SOFTMAX_FLOPS * self._float("heads")
        return plain(self._float("layers") * self._float("context") * (2 * MULTIPLY_ADD * queries + per_score))

    @property
    def logit_flops(self) -> Any:
        """Forward FLOPs per token of the product with the output embedding; a lookup costs none."""
        return plain(MULTIPLY_ADD * self._float("width") * self._float("vocabulary"))

    @property
    def forward_flops(self) -> Any:
        """Forward FLOPs per token: every matrix product and the softmax; norms and activations are not counted."""
        matrices = MULTIPLY_ADD * self._float("layers") * self._matrices_per_layer
        return plain(matrices + self.attention_flops + self.logit_flops)
