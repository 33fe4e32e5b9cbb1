"""Published pairs of exponents, and the bias that each implies for Approach 2."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10

from lawful.approach2.shift import centred_shift
from lawful.core.shown import Record


@dataclass(frozen=True, slots=True)
class ExponentPair(Record):
    """
    A published frontier.

    Attributes
    ----------
    source, domain : str
    method : str
        ``approach2``, ``approach3`` or ``unstated``.
    a, b : float
        Exponents of N* and D*, as printed; where only their ratio is known, the pair of sum 1 that has it.
    ratio : float
        beta/alpha, as printed; a/b up to rounding.
    """

    source: str
    domain: str
    method: str
    a: float
    b: float
    ratio: float


# Collected by Czech et al. 2026 (arXiv:2603.22339) from the papers named.
PAIRS = tuple(
    ExponentPair(*row)
    for row in (
        ("DeepSeek 2024 (OpenWebText2, after Kaplan)", "web text", "approach2", 0.73, 0.27, 2.7),
        ("DeepSeek 2024 (MassiveText, after Hoffmann)", "web text", "approach2", 0.49, 0.51, 0.96),
        ("DeepSeek 2024 early data", "web text", "approach2", 0.45, 0.55, 0.82),
        ("DeepSeek 2024 current data", "web text", "approach2", 0.524, 0.476, 1.1),
        ("DeepSeek 2024 OpenWebText2", "web text", "approach2", 0.578, 0.422, 1.37),
        ("EHR 2025", "health records", "approach2", 0.58, 0.44, 1.32),
        ("Evo Transformer++", "DNA", "approach2", 0.552, 0.551, 1.0),
        ("Evo Mamba", "DNA", "approach2", 0.388, 0.487, 0.8),
        ("Evo Hyena", "DNA", "approach2", 0.504, 0.499, 1.01),
        ("Evo StripedHyena", "DNA", "approach2", 0.483, 0.539, 0.9),
        ("Imitation learning NetHack", "Atari RL", "approach2", 0.61, 0.39, 1.56),
        ("Imitation learning Battle Zone", "Atari RL", "approach2", 0.58, 0.51, 1.14),
        ("Imitation learning Breakout", "Atari RL", "approach2", 0.74, 0.46, 1.61),
        ("DiT", "image-text", "approach2", 0.568, 0.432, 1.31),
        ("Discrete diffusion LM", "web text", "approach2", 0.589, 0.411, 1.43),
        ("Audio SODA", "audio and text", "approach2", 0.367, 0.579, 0.63),
        ("Protein CLM", "protein", "approach2", 0.578, 0.422, 1.37),
        ("Protein MLM", "protein", "approach2", 0.776, 0.23, 3.37),
        ("xLSTM study, Transformer", "web text", "approach2", 0.575, 0.424, 1.36),
        ("xLSTM", "web text", "approach2", 0.547, 0.417, 1.31),
        ("NMM early fusion (mean)", "multimodal", "approach3", 0.526, 0.473, 1.11),
        ("NMM late fusion", "multimodal", "approach3", 0.636, 0.462, 1.38),
        ("NMM sparse early fusion", "multimodal", "approach3", 0.361, 0.656, 0.55),
        ("OLMo Transformer", "web text", "approach3", 0.458, 0.542, 0.85),
        ("OLMo Hybrid", "web text", "approach3", 0.492, 0.508, 0.97),
        ("OLMo pure GDN", "web text", "approach3", 0.554, 0.446, 1.24),
        # Of these two only the ratio was at hand: a and b follow from it and a + b = 1.
        ("ProGen3", "protein", "unstated", 0.597, 0.403, 1.48),
        ("Dense retrieval", "text retrieval", "unstated", 0.701, 0.299, 2.34),
    )
)


@dataclass(frozen=True, slots=True)
class ImpliedBias(Record):
    """
    What a centred ±k× sweep would misread if a published ratio of exponents were true.

    Attributes
    ----------
    pair : ExponentPair
    alpha, beta : float
        The ratio's exponents at the sum assumed.
    params_error, tokens_error : float
        Relative errors of N* and D*, the same at every budget.
    """

    pair: ExponentPair
    alpha: float
    beta: float
    params_error: float
    tokens_error: float


def implied_bias(*, total: float = 0.62, width: float = 8.0, points: int = 15) -> tuple[ImpliedBias, ...]:
    """
    Bias of Approach 2 for every published pair of exponents.

    A frontier tells beta/alpha only; how large the exponents are must be assumed.

    Parameters
    ----------
    total : float
        alpha + beta, > 0; 0.62 as in Chinchilla.
    width : float
        The k of a ±k× sweep, > 1.
    points : int
        Sizes per budget.

    Returns
    -------
    tuple of ImpliedBias
        In the order of the source.

    Examples
    --------
    >>> rows = implied_bias()
    >>> worst = max(rows, key=lambda row: abs(row.tokens_error))
    >>> print(f"{worst.pair.source}: D* off by {worst.tokens_error:+.1%}")
    Protein MLM: D* off by +17.6%
    """
    rows = []
    for pair in PAIRS:
        alpha = total / (1 + pair.ratio)
        beta = total - alpha
        shift = centred_shift(alpha, beta, log10(width), points)
        rows.append(ImpliedBias(pair, alpha, beta, 10.0**shift - 1, 10.0**-shift - 1))
    return tuple(rows)
