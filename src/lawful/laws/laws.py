"""The index of laws: every form by name, and published coefficients of the Chinchilla law."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from lawful.errors import UnsupportedError
from lawful.laws.catalogue_coupled import CHINCHILLA, NESTED, ROSENFELD, ROSENFELD_ENVELOPE, SKALING
from lawful.laws.catalogue_curves import AMARI, COMPUTE_LAW, HESTNESS, HESTNESS_REGIONS
from lawful.laws.catalogue_kaplan import KAPLAN, PEARCE_SONG
from lawful.laws.catalogue_repeated import LOVELACE, MUENNIGHOFF
from lawful.laws.formula import is_formula
from lawful.laws.formula import law as law_of
from lawful.laws.law import EXPONENT_BOX, Coefficients, Law, Screen, sum_of_powers

__all__ = [
    "CHINCHILLA",
    "COMPUTE_LAW",
    "DEFAULT_LAW",
    "EXPONENT_BOX",
    "LAWS",
    "PUBLISHED",
    "STUDY_SURFACES",
    "Coefficients",
    "Law",
    "Screen",
    "catalogue",
    "find_law",
    "sum_of_powers",
]

LAWS: dict[str, Law] = {
    law.name: law
    for law in (
        CHINCHILLA,
        SKALING,
        NESTED,
        COMPUTE_LAW,
        *AMARI,
        HESTNESS,
        HESTNESS_REGIONS,
        ROSENFELD,
        ROSENFELD_ENVELOPE,
        *KAPLAN,
        PEARCE_SONG,
        MUENNIGHOFF,
        LOVELACE,
    )
}
"""The catalogue, by name. :func:`catalogue` has those of more columns as well."""

DEFAULT_LAW = "chinchilla"
"""The law that is fitted unless another is asked for."""

STUDY_SURFACES: dict[str, dict[str, float]] = {
    "symmetric": {"E": 1.69, "A": 400.0, "B": 400.0, "alpha": 0.31, "beta": 0.31},
    "chinchilla": {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28},
    "asymmetric": {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.465, "beta": 0.155},
    "soda": {"E": 3.169, "A": 215886.0, "B": 4750.0, "alpha": 0.684, "beta": 0.439},
    "sparse-nmm": {"E": 2.158, "A": 381773.0, "B": 4659.0, "alpha": 0.710, "beta": 0.372},
}
"""Truths that simulations start from (Czech et al. 2026, arXiv:2603.22339): three that differ in
how uneven the exponents are, an audio-text law (SODA) and a multimodal mixture of experts (Sparse-NMM)."""

PUBLISHED: dict[str, dict[str, float]] = {
    "hoffmann": {"E": 1.6934, "A": 406.4, "B": 410.7, "alpha": 0.3392, "beta": 0.2849},
    "hoffmann-rounded": {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28},
    "besiroglu": {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658},
}
"""Published coefficients of the Chinchilla law, N total parameters, D tokens, nats per token.

``hoffmann`` has the unrounded exponents of the paper's TeX source (via arXiv:2404.10102),
``hoffmann-rounded`` equation 10 as printed: its two-digit exponents move N* by 20% at the
Gopher budget, so it serves to reproduce other people's figures only. ``besiroglu`` is the
refit of Besiroglu et al. 2024 (arXiv:2404.10102).
"""


def catalogue() -> dict[str, Law]:
    """
    Every law by name: those of :data:`LAWS`, and those of more columns, which are parsed when first asked for.

    Examples
    --------
    >>> "skaling" in catalogue(), "clark" in catalogue()
    (True, True)
    """
    from lawful.laws.catalogue_columns import COLUMN_LAWS

    return LAWS | COLUMN_LAWS


def find_law(name: str, columns: Collection[str] = (), taken: Mapping[str, str] | None = None) -> Law:
    """
    Return a law of the catalogue, or the law that a formula is.

    Parameters
    ----------
    name : str
        A name, or a formula such as ``loss = E + A/params^alpha + C*num_experts^-gamma``.
    columns : collection of str
        Columns of the table that a formula may name.
    taken : mapping of str to str, optional
        Columns that the table has for N, D, C or U, which a formula may name as they stand there.

    Raises
    ------
    UnsupportedError
        If there is none of that name.
    InputError
        If the formula cannot be read.

    Examples
    --------
    >>> find_law("skaling").names
    ('E', 'A', 'B', 'alpha', 'beta', 'k')
    """
    if name in LAWS:
        return LAWS[name]
    if is_formula(name):
        return law_of(name, columns, taken=taken)
    known = catalogue()
    if name in known:
        return known[name]
    msg = f"Unknown law {name!r}; choose one of {', '.join(known)}, or write it as a formula."
    raise UnsupportedError(msg)
