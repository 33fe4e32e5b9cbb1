"""
Laws of columns beside N, D, C and U, as formulas: experts, sparsity, vocabulary, streams, precision, rates, mixtures.

They form a registry of their own. Those of :data:`~lawful.LAWS` hold for every table of runs; these ask for columns
that few tables have, under the names that are given here. A table with other names is served by writing the formula
with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lawful.core.typing import Array
from lawful.errors import UnsupportedError
from lawful.laws.formula import law as law_of
from lawful.laws.law import NATS, Box, Coefficients, Law, Meaning

LN10 = float(np.log(10.0))

EXPERTS = "1/(1/(experts - 1 + 1/(1/E_start - 1/E_max)) + 1/E_max)"
"""Experts with saturation: E_start for a dense model, E_max at most (Clark et al. 2022, equation 8)."""

FLOOR = Meaning("loss that no scale removes", NATS)
SATURATION: dict[str, Box] = {"E_start": (1.01, 20.0), "E_max": (21.0, 1e4)}
SATURATING = {
    "E_start": Meaning("experts that a dense model is worth"),
    "E_max": Meaning("experts that more of them are worth at most"),
}


def _law(
    name: str, right: str, columns: Sequence[str], bounds: Mapping[str, Box], meanings: Mapping[str, Meaning]
) -> Law:
    """Make a law of a formula, under a name."""
    made = law_of(f"loss = {right}", columns, bounds=bounds)
    return replace(made, name=name, meanings=dict(meanings))


CLARK = _law(
    "clark",
    f"exp({LN10!r}*d + a*log(N) + b*log({EXPERTS}) + {1 / LN10!r}*c*log(N)*log({EXPERTS}))",
    ["experts"],
    {"a": (-1.0, 0.0), "b": (-1.0, 0.5), "c": (-0.2, 0.2), "d": (-5.0, 10.0), **SATURATION},
    {
        "a": Meaning("slope of log10 loss in log10 parameters, without routing"),
        "b": Meaning("slope of log10 loss in log10 of saturated experts, at one parameter"),
        "c": Meaning("how that slope fades with size; routing stops helping at N = 10^(-b/c)"),
        "d": Meaning("log10 of the loss at one parameter and one expert"),
        **SATURATING,
    },
)
"""log10 L = a log10 N + b log10 E' + c log10 N log10 E' + d, N the parameters of the dense base and E' the saturated
experts (Clark et al. 2022, arXiv:2202.01169): whether routing pays at a size, at one number of tokens."""

LUDZIEJEWSKI = _law(
    "ludziejewski",
    f"c + a*({EXPERTS})^delta*N^(alpha + gamma*log({EXPERTS})) + b*({EXPERTS})^omega*D^(beta + zeta*log({EXPERTS}))",
    ["experts"],
    {
        "c": (0.0, 10.0),
        "a": (0.0, 1e6),
        "b": (0.0, 1e6),
        "alpha": (-1.0, -0.01),
        "beta": (-1.0, -0.01),
        "gamma": (-0.1, 0.1),
        "zeta": (-0.1, 0.1),
        "delta": (-2.0, 2.0),
        "omega": (-2.0, 2.0),
        **SATURATION,
    },
    {
        "c": FLOOR,
        "alpha": Meaning("exponent of active parameters at one saturated expert"),
        "beta": Meaning("exponent of tokens at one saturated expert"),
        "gamma": Meaning("how experts change the exponent of parameters"),
        "zeta": Meaning("how experts change the exponent of tokens"),
        "delta": Meaning("exponent of experts in the term of parameters"),
        "omega": Meaning("exponent of experts in the term of tokens"),
        **SATURATING,
    },
)
"""L = c + a E'^delta N^(alpha + gamma ln E') + b E'^omega D^(beta + zeta ln E'), N active parameters (Ludziejewski et
al. 2025, arXiv:2502.05172): experts, size and tokens chosen together under a budget or a memory."""

ABNAR = _law(
    "abnar",
    "e + a/N^alpha + b/D^beta + c/active_share^lambda_ + d/(active_share^delta*N^gamma)",
    ["active_share"],
    {
        "lambda_": (-2.0, 2.0),
        "delta": (-2.0, 2.0),
        "gamma": (0.01, 2.0),
        "e": (0.0, 10.0),
    },
    {
        "e": FLOOR,
        "lambda_": Meaning("exponent of the share of parameters that are active; negative where sparsity alone helps"),
        "delta": Meaning("exponent of that share in the term that size takes away"),
        "gamma": Meaning("exponent of size in that term"),
    },
)
"""L = a/N^alpha + b/D^beta + c/(1 - S)^lambda + d/((1 - S)^delta N^gamma) + e, N total parameters and 1 - S the share
that is active (Abnar et al. 2025, arXiv:2501.12370): how sparse a model should be. The column is 1 - S, so that a dense
model has 1."""

TAO = _law(
    "tao",
    "-E + A1*non_vocab_params^(-alpha1) + A2*vocab_params^(-alpha2) + B*characters^(-beta)",
    ["non_vocab_params", "vocab_params", "characters"],
    {"E": (0.0, 1e3), "alpha1": (0.01, 2.0), "alpha2": (0.01, 2.0), "beta": (0.01, 2.0)},
    {
        "E": Meaning("how far below the unigram model an endless run lies", NATS),
        "alpha1": Meaning("exponent of the parameters outside the vocabulary"),
        "alpha2": Meaning("exponent of the parameters of the vocabulary"),
        "beta": Meaning("exponent of the characters of training"),
    },
)
"""L = -E + A1/N_nv^alpha1 + A2/N_v^alpha2 + B/H^beta for the loss over that of a unigram model (Tao et al. 2024,
arXiv:2407.13623): how large a vocabulary a budget deserves. Losses of different vocabularies compare in this unit only;
it is negative, which a table of runs takes no losses to be: :func:`lawful.next_run` does."""

PARALLEL = _law(
    "parallel",
    "E + (A/(N*(1 + k*log(streams))))^alpha",
    ["streams"],
    {"E": (0.0, 10.0), "A": (1e-3, 1e15), "alpha": (0.01, 2.0), "k": (1e-3, 10.0)},
    {
        "E": FLOOR,
        "k": Meaning("what a factor of e in parallel streams is worth in parameters"),
        "alpha": Meaning("exponent of parameters"),
    },
)
"""L = E + (A/(N (1 + k ln P)))^alpha, P parallel streams (Chen et al. 2025, arXiv:2505.10475): compute at inference
instead of parameters."""

FARSEER = _law(
    "farseer",
    "exp(a3*N^gamma + b3) + exp(a2*N^beta + b2)*D^(-exp(a1*N^alpha + b1))",
    [],
    {
        "alpha": (0.01, 1.0),
        "beta": (-1.0, -0.01),
        "gamma": (0.01, 1.0),
        "a1": (-10.0, 10.0),
        "a2": (-1e3, 1e3),
        "a3": (-10.0, 10.0),
        "b1": (-10.0, 10.0),
        "b2": (-50.0, 50.0),
        "b3": (-10.0, 10.0),
    },
    {
        "gamma": Meaning("exponent of parameters in the log of the loss that data do not remove"),
        "beta": Meaning("exponent of parameters in the log of the multiplier of tokens"),
        "alpha": Meaning("exponent of parameters in the log of the exponent of tokens"),
    },
)
"""L = exp(a3 N^gamma + b3) + exp(a2 N^beta + b2) D^(-exp(a1 N^alpha + b1)) (Farseer, Li et al. 2025, arXiv:2506.10972):
tokens that are worth more to larger models, where many sizes and budgets were run; nine coefficients."""

KUMAR = _law(
    "kumar",
    "E + A/(N*(1 - exp(-weight_bits/gamma_w)))^alpha + B/D^beta",
    ["weight_bits"],
    {"E": (0.0, 10.0), "gamma_w": (0.1, 30.0)},
    {"E": FLOOR, "gamma_w": Meaning("precision of weights after which more bits are worth little", "bits")},
)
"""L = E + A/(N (1 - exp(-P/gamma_w)))^alpha + B/D^beta, P bits of the weights (Kumar et al. 2024, arXiv:2411.04330,
weights alone; the paper ties alpha = beta): the precision to train in."""

GADRE = _law(
    "gadre",
    "E + A*N^(-2*eta) + B*D^(-2*eta)",
    [],
    {"E": (0.0, 10.0), "eta": (0.01, 1.0), "A": (0.0, np.inf), "B": (0.0, np.inf)},
    {"E": FLOOR, "eta": Meaning("exponent of compute at any one ratio of tokens to parameters")},
)
"""L = E + A N^(-2 eta) + B D^(-2 eta), which is E + (a M^eta + b M^-eta) C^-eta at M = D/N tokens per parameter and
C = 6ND, with A = a 6^-eta and B = b 6^-eta (Gadre et al. 2024, arXiv:2403.08540): over-training, where every ratio has
the same exponent of compute and the best ratio never moves."""

VALLEY = _law(
    "lr-batch",
    "E + A*N^(-a) + B*D^(-b)*N^(-m) + D^v*N^w*(c*(log(lr) - l0 - p*log(N) - q*log(D))^2"
    " + e*(log(batch) - b0 - s*log(D) - t*log(N))^2"
    " + g*(log(lr) - l0 - p*log(N) - q*log(D))*(log(batch) - b0 - s*log(D) - t*log(N)))",
    ["lr", "batch"],
    {
        "E": (0.0, 10.0),
        "a": (0.01, 2.0),
        "b": (0.01, 2.0),
        "m": (-0.5, 0.5),
        "v": (-1.0, 1.0),
        "w": (-1.0, 1.0),
        "c": (0.0, 1e6),
        "e": (0.0, 1e6),
        "g": (-1e6, 1e6),
        "l0": (-30.0, 30.0),
        "p": (-2.0, 2.0),
        "q": (-2.0, 2.0),
        "b0": (-30.0, 30.0),
        "s": (-2.0, 2.0),
        "t": (-2.0, 2.0),
    },
    {
        "E": FLOOR,
        "l0": Meaning("log of the best learning rate at one parameter and one token"),
        "p": Meaning("exponent of parameters in the best learning rate"),
        "q": Meaning("exponent of tokens in the best learning rate"),
        "b0": Meaning("log of the best batch at one parameter and one token"),
        "s": Meaning("exponent of tokens in the best batch"),
        "t": Meaning("exponent of parameters in the best batch"),
        "c": Meaning("curvature in the log of the learning rate"),
        "e": Meaning("curvature in the log of the batch"),
        "g": Meaning("how the best learning rate moves with the batch"),
    },
)
"""A valley in ln lr and ln batch around optima that are powers of N and D, as the Step law's are (Li et al. 2025,
arXiv:2503.04715), on a law of N and D whose terms are coupled: the learning rate and batch at a size, and what missing
them costs."""


COLUMN_LAWS: dict[str, Law] = {
    law.name: law for law in (CLARK, LUDZIEJEWSKI, ABNAR, TAO, PARALLEL, FARSEER, KUMAR, GADRE, VALLEY)
}
"""Laws of more columns than N, D, C and U, by name."""


def mixture_law(shares: Sequence[str]) -> Law:
    """
    Law of one domain's loss over mixtures of data: ``c + k exp(Σ t_j r_j)``.

    Parameters
    ----------
    shares : sequence of str
        Columns of the proportions, two at least; they sum to 1, so the last has no coefficient of its own: the
        exponents of the others are told against it.

    Returns
    -------
    Law

    Raises
    ------
    UnsupportedError
        If there are fewer than two, or one repeats.

    References
    ----------
    .. [1] Ye et al. (2024), "Data Mixing Laws", arXiv:2403.16952, equation 7.

    Examples
    --------
    >>> sorted(mixture_law(["web", "books", "code"]).names)
    ['c', 'k', 't_books', 't_web']
    """
    if len(shares) < 2 or len(set(shares)) != len(shares):
        msg = (
            f"A mixture has two or more different columns of proportions, got {', '.join(map(repr, shares)) or 'none'}."
        )
        raise UnsupportedError(msg)
    inner = " + ".join(f"t_{name}*{name}" for name in shares[:-1])
    bounds: dict[str, Box] = {"c": (0.0, 20.0), "k": (0.0, 1e3)} | {f"t_{n}": (-20.0, 20.0) for n in shares[:-1]}
    meanings = {f"t_{n}": Meaning(f"effect of more {n} and less {shares[-1]} on the log") for n in shares[:-1]}
    return _law(f"mixture of {', '.join(shares)}", f"c + k*exp({inner})", shares[:-1], bounds, {"c": FLOOR, **meanings})


def best_rates(k: Coefficients, params: float | Array, tokens: float | Array) -> tuple[Array, Array]:
    """
    Learning rate and batch at the bottom of the valley of ``lr-batch``.

    Parameters
    ----------
    k : mapping of str to float
        Coefficients.
    params, tokens : float or array

    Returns
    -------
    lr, batch : array
        In the units of the table.

    Examples
    --------
    The Step law's optima, with the batch in tokens:

    >>> step = dict(l0=np.log(1.79), p=-0.713, q=0.307, b0=np.log(0.58), s=0.571, t=0.0)
    >>> lr, batch = best_rates(step, 1e9, 1e11)
    >>> print(f"{lr:.6f} {batch:.0f}")
    0.001632 1107715
    """
    n, d = np.log(params), np.log(tokens)
    return np.exp(k["l0"] + k["p"] * n + k["q"] * d), np.exp(k["b0"] + k["s"] * d + k["t"] * n)
