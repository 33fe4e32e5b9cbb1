"""
What is counted: parameters and FLOPs of a transformer, under the conventions of the literature.

Which parameters and which FLOPs are counted is part of a scaling law: Kaplan's exponent and Chinchilla's
differ mostly by it (Pearce & Song 2024, Porian et al. 2024). Every function here counts one way and says which.
FLOPs are per token and forward, unless the name says otherwise; :func:`training_flops` makes them total.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.cost import Cost
from lawful.laws.catalogue_kaplan import OMEGA, total_params

BACKWARD_TO_FORWARD = 2.0
"""The backward pass multiplies once for the activations and once for the weights."""

MULTIPLY_ADD = 2.0
"""FLOPs of one multiplication and addition."""

CHINCHILLA_VOCABULARY, CHINCHILLA_CONTEXT = 32_000, 2048
"""Vocabulary and sequence length of Hoffmann et al. 2022, appendix F."""


def plain(values: Any) -> Any:
    """
    Return a float for one number, and the array for several.

    Examples
    --------
    >>> plain(np.asarray(2.0)), plain(np.array([1.0, 2.0])).tolist()
    (2.0, [1.0, 2.0])
    """
    return np.asarray(values, float) if np.ndim(values) else float(values)


def training_flops(forward: ArrayLike) -> Any:
    """
    Turn forward FLOPs into the total of a training step, backward pass included.

    Parameters
    ----------
    forward : array_like
        FLOPs of the forward pass.

    Returns
    -------
    float or array
        Three times as many.

    Examples
    --------
    >>> training_flops(2e9)
    6000000000.0
    """
    return plain((1.0 + BACKWARD_TO_FORWARD) * np.asarray(forward, float))


def forward_flops(total: ArrayLike) -> Any:
    """
    Turn the total FLOPs of training into those of the forward pass.

    Examples
    --------
    >>> forward_flops(6e9)
    2000000000.0
    """
    return plain(np.asarray(total, float) / (1.0 + BACKWARD_TO_FORWARD))


def flops_6nd(params: ArrayLike, tokens: ArrayLike) -> Any:
    """
    Total training FLOPs as C = 6ND, the field's shorthand.

    It leaves out attention, and counts whatever ``params`` counts: with embeddings in
    N, their lookup is counted as if it were a product.

    Examples
    --------
    >>> print(f"{flops_6nd(70e9, 1.4e12):.2e}")
    5.88e+23
    """
    return plain(Cost().flops(params, tokens))


def kaplan_params(*, width: ArrayLike, layers: ArrayLike, attention: ArrayLike, ffn: ArrayLike) -> Any:
    """
    Non-embedding parameters as Kaplan et al. count them, 2 d n (2 d_attn + d_ff).

    Parameters
    ----------
    width, layers : array_like
        d_model and n_layer.
    attention : array_like
        d_attn, heads times head dimension.
    ffn : array_like
        d_ff, inner width of the two-matrix feed-forward layer.

    Returns
    -------
    float or array
        Parameters; 12 n d² where d_attn = d_ff/4 = d.

    References
    ----------
    .. [1] Kaplan et al. (2020), "Scaling Laws for Neural Language Models",
       arXiv:2001.08361, equation 2.1.

    Examples
    --------
    GPT-2 XL:

    >>> kaplan_params(width=1600, layers=48, attention=1600, ffn=6400)
    1474560000.0
    """
    d, n, a, f = (np.asarray(v, float) for v in (width, layers, attention, ffn))
    return plain(2 * d * n * (2 * a + f))


def kaplan_forward_flops(
    *, width: ArrayLike, layers: ArrayLike, attention: ArrayLike, ffn: ArrayLike, context: ArrayLike
) -> Any:
    """
    Forward FLOPs per token with attention, 2N + 2 n n_ctx d_attn (Kaplan et al. 2020, equation 2.2).

    Parameters
    ----------
    width, layers, attention, ffn
        As in :func:`kaplan_params`.
    context : array_like
        Tokens per sequence.

    Returns
    -------
    float or array
        FLOPs per token; embeddings and logits are not counted.

    Examples
    --------
    >>> kaplan_forward_flops(width=1600, layers=48, attention=1600, ffn=6400, context=1024)
    3106406400.0
    """
    weights = kaplan_params(width=width, layers=layers, attention=attention, ffn=ffn)
    n, s, a = (np.asarray(v, float) for v in (layers, context, attention))
    return plain(MULTIPLY_ADD * (weights + n * s * a))


@dataclass(frozen=True, slots=True)
class Operation:
    """
    One row of Kaplan's table: parameters, and forward FLOPs per token.

    Attributes
    ----------
    name : str
    params, flops : float
    counted : bool
        Whether Kaplan's N and C count it; embeddings and logits are left out.
    """

    name: str
    params: float
    flops: float
    counted: bool


def kaplan_operations(
    *, width: float, layers: float, attention: float, ffn: float, context: float, vocabulary: float
) -> tuple[Operation, ...]:
    """
    Parameters and forward FLOPs per token of every operation of a transformer (Kaplan et al. 2020, table 1).

    Parameters
    ----------
    width, layers, attention, ffn, context
        As in :func:`kaplan_forward_flops`.
    vocabulary : float
        Tokens of the vocabulary.

    Returns
    -------
    tuple of Operation
        What counts adds up to :func:`kaplan_params` and :func:`kaplan_forward_flops`.

    Examples
    --------
    >>> rows = kaplan_operations(width=1600, layers=48, attention=1600, ffn=6400, context=1024, vocabulary=50257)
    >>> print(f"{sum(r.params for r in rows if r.counted):.4g} {sum(r.flops for r in rows if r.counted):.4g}")
    1.475e+09 3.106e+09
    >>> [row.name for row in rows if not row.counted]
    ['embed', 'de-embed']
    """
    d, n, a, f = width, layers, attention, ffn
    qkv, project, inner = n * d * 3 * a, n * a * d, n * 2 * d * f
    return (
        Operation("embed", (vocabulary + context) * d, 4 * d, counted=False),
        Operation("attention: QKV", qkv, MULTIPLY_ADD * qkv, counted=True),
        Operation("attention: mask", 0.0, MULTIPLY_ADD * n * context * a, counted=True),
        Operation("attention: project", project, MULTIPLY_ADD * project, counted=True),
        Operation("feed-forward", inner, MULTIPLY_ADD * inner, counted=True),
        Operation("de-embed", 0.0, MULTIPLY_ADD * d * vocabulary, counted=False),
    )


def deepseek_flops(*, width: ArrayLike, layers: ArrayLike, context: ArrayLike) -> Any:
    """
    Non-embedding training FLOPs per token, M = 72 n d² + 12 n d l, by which DeepSeek replaces 6N.

    Total, not forward: C = M D. Attention is included, the vocabulary is not.

    References
    ----------
    .. [1] DeepSeek-AI (2024), "DeepSeek LLM", arXiv:2401.02954, equations 1 to 4.

    Examples
    --------
    >>> deepseek_flops(width=4096, layers=30, context=4096)
    42278584320.0
    """
    d, n, s = (np.asarray(v, float) for v in (width, layers, context))
    return plain(72 * n * d**2 + 12 * n * d * s)


def total_from_non_embedding(params: ArrayLike, *, omega: float = OMEGA) -> Any:
    """
    Total parameters that go with non-embedding ones in a typical family, N + omega N^(1/3).

    References
    ----------
    .. [1] Pearce & Song (2024), "Reconciling Kaplan and Chinchilla Scaling Laws",
       arXiv:2406.12907.

    Examples
    --------
    Small models are mostly embeddings, large ones hardly:

    >>> [f"{total_from_non_embedding(n) / n:.2f}" for n in (1e6, 1e8, 1e10)]
    ['5.75', '1.22', '1.01']
    """
    return plain(total_params(np.asarray(params, float), omega))


@dataclass(frozen=True, slots=True)
class ChinchillaFlops:
    """
    Forward FLOPs per sequence as in appendix F of Hoffmann et al., term by term.

    Parameters
    ----------
    embeddings, attention, ffn, logits : float or array
        FLOPs of the embedding (counted as a product, 2 s V d), of the attention of all
        layers (projections, scores, softmax and values), of their feed-forward parts,
        and of the final logits.

    Examples
    --------
    >>> forward = chinchilla_flops(width=1024, layers=20, heads=16, head_dim=64, ffn=4096)
    >>> forward.total, forward.layers
    (1646851522560.0, 1378416066560.0)
    """

    embeddings: Any
    attention: Any
    ffn: Any
    logits: Any

    @property
    def layers(self) -> Any:
        """FLOPs of the layers alone, without embeddings and logits."""
        return self.attention + self.ffn

    @property
    def total(self) -> Any:
        """Every listed term."""
        return self.embeddings + self.layers + self.logits


def chinchilla_flops(
    *,
    width: ArrayLike,
    layers: ArrayLike,
    heads: ArrayLike,
    head_dim: ArrayLike,
    ffn: ArrayLike,
    vocabulary: ArrayLike = CHINCHILLA_VOCABULARY,
    context: ArrayLike = CHINCHILLA_CONTEXT,
) -> ChinchillaFlops:
    """
    Forward FLOPs of one sequence as appendix F of Hoffmann et al. counts them.

    Parameters
    ----------
    width, layers, heads, head_dim, ffn : array_like
        d_model, number of layers, heads, key size and inner width of the two-matrix
        feed-forward layer.
    vocabulary, context : array_like
        V and s; 32,000 and 2,048 in the paper.

    Returns
    -------
    ChinchillaFlops
        Per sequence of ``context`` tokens.

    Notes
    -----
    The ratios to 6ND that the paper's table A4 publishes follow from the layers alone
    over :func:`chinchilla_params`; with every listed term they would be 1.58 to 1.03.

    References
    ----------
    .. [1] Hoffmann et al. (2022), "Training Compute-Optimal Large Language Models",
       arXiv:2203.15556, appendix F.

    Examples
    --------
    The published ratio 1.10 of the 305-million-parameter model:

    >>> shape = dict(width=1024, layers=20, ffn=4096)
    >>> forward = chinchilla_flops(**shape, heads=16, head_dim=64)
    >>> n = chinchilla_params(**shape)
    >>> print(f"{n:.3g} parameters: {training_flops(forward.layers) / flops_6nd(n, 2048):.2f}")
    3.05e+08 parameters: 1.10
    """
    d, n, h, k, f, v, s = (np.asarray(x, float) for x in (width, layers, heads, head_dim, ffn, vocabulary, context))
    a = h * k
    projections = MULTIPLY_ADD * 4 * s * d * a
    mixing = MULTIPLY_ADD * 2 * s * s * a + 3 * h * s * s
    return ChinchillaFlops(
        embeddings=plain(MULTIPLY_ADD * s * v * d),
        attention=plain(n * (projections + mixing)),
        ffn=plain(n * MULTIPLY_ADD * 2 * s * d * f),
        logits=plain(MULTIPLY_ADD * s * v * d),
    )


def chinchilla_params(
    *, width: ArrayLike, layers: ArrayLike, ffn: ArrayLike, vocabulary: ArrayLike = CHINCHILLA_VOCABULARY
) -> Any:
    """
    Total parameters behind table A4 of Hoffmann et al., n (5 d² + 2 d d_ff) + V d.

    Five squares, because relative positions have a projection of their own.

    Examples
    --------
    >>> print(f"{chinchilla_params(width=640, layers=10, ffn=2560):.3g}")
    7.37e+07
    """
    d, n, f, v = (np.asarray(x, float) for x in (width, layers, ffn, vocabulary))
    return plain(n * (5 * d * d + 2 * d * f) + v * d)
