"""The index of laws: every form by name, and published coefficients of the Chinchilla law."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from lawful.data.runs import Runs
from lawful.errors import UnsupportedError
from lawful.laws.catalogue_coupled import CHINCHILLA, NESTED, ROSENFELD, ROSENFELD_ENVELOPE, SKALING
from lawful.laws.catalogue_curves import AMARI, COMPUTE_LAW, HESTNESS, HESTNESS_REGIONS
from lawful.laws.catalogue_kaplan import KAPLAN, PEARCE_SONG
from lawful.laws.catalogue_repeated import LOVELACE, MUENNIGHOFF
from lawful.laws.formula import QUANTITIES, is_formula
from lawful.laws.formula import law as law_of
from lawful.laws.law import EXPONENT_BOX, Box, Coefficients, Law, Screen, sum_of_powers

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
    "law",
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


def law(text: str, columns: Runs | Iterable[str] = (), *, bounds: Mapping[str, Box] | None = None) -> Law:
    """
    Make the law that a formula is, or take one of the catalogue: what ``--law`` takes on the shell.

    Parameters
    ----------
    text : str
        ``loss = E + A*params^-alpha + C*num_experts^-gamma``, or a name such as ``skaling``. Left of the equals sign
        stands the column of the loss (may be left out); right ``+ - * / ^``, parentheses, ``log``, ``exp``, ``sqrt``,
        ``abs``, ``min``, ``max``, numbers, columns and coefficients. ``N, D, C, U`` and ``params, tokens, budget,
        unique_tokens`` are the quantities of every table.
    columns : Runs, DataFrame, mapping of str to array_like, or iterable of str
        The table that the law is for, or the names of its columns. A name in the formula that is neither one of these
        nor a quantity is a coefficient. Runs know which of their columns are N, D and C under other names; else
        :func:`fit` finds out. It also takes the text itself, and reads the columns off its table.
    bounds : mapping of str to (float, float), optional
        Bounds that replace the law's own, by coefficient: nats for an amount alone, no unit for an exponent. The sign
        of a coefficient is such a bound, ``{"C": (-np.inf, np.inf)}`` for either.

    Returns
    -------
    Law
        What :func:`fit` takes as ``law``.

    Raises
    ------
    InputError
        If the formula cannot be read, or has no coefficient or no column.
    UnsupportedError
        If the catalogue has no law of that name, or a bound is of no coefficient or no range.

    See Also
    --------
    sum_of_powers : A law of one falling power per column, with names made from the columns.

    Notes
    -----
    What the loss is linear in, given the other coefficients, is eliminated by bounded least squares (variable
    projection: Golub and Pereyra 1973), so that only the other coefficients are searched.

    Examples
    --------
    >>> found = lawful.law("loss = E + A*N^-alpha + B*D^-beta")
    >>> found.names, found.two_powers
    (('E', 'A', 'B', 'alpha', 'beta'), True)

    Columns of a table are named, or the table is given:

    >>> moe = lawful.law("loss = E + A/params^alpha*num_experts^-gamma", ["num_experts"], bounds={"gamma": (-0.5, 1.5)})
    >>> moe.columns, moe.bounds["gamma"]
    (('N', 'num_experts'), (-0.5, 1.5))
    >>> N, experts = np.tile(np.geomspace(1e7, 1e9, 6), 4), np.repeat([1.0, 2.0, 4.0, 8.0], 6)
    >>> table = {"params": N, "num_experts": experts, "loss": 1.7 + 400 / N**0.34 * experts**-0.1}
    >>> print(f"{lawful.fit(table, law=lawful.law(moe.name, table)).surface['gamma']:.4f}")
    0.1000
    >>> lawful.law("skaling") is lawful.LAWS["skaling"]
    True
    """
    if isinstance(columns, Runs):
        names, taken = list(columns.labels), columns.taken
    else:
        # Of a bare list of names, those of quantities are what a table of them would be read as.
        names, taken = [str(word) for word in columns if str(word) not in QUANTITIES], {}
    box = {word: (float(low), float(high)) for word, (low, high) in (bounds or {}).items()}
    if is_formula(text):
        plain = law_of(text, names, taken=taken)
        found = law_of(text, names, bounds=box, taken=taken) if box else plain
    else:
        plain = found = find_law(text)
        found = replace(found, box={**found.box, **box}) if box else found
    wrong = [word for word in box if word not in plain.names]
    if wrong:
        msg = f"`bounds` names {wrong[0]!r}, and {text!r} has the coefficients {', '.join(plain.names)}."
        raise UnsupportedError(msg)
    empty = [word for word, (low, high) in box.items() if not low < high]
    if empty:
        msg = f"`bounds` of {empty[0]} need a lower end below their upper end, got {box[empty[0]]}."
        raise UnsupportedError(msg)
    return found
