"""load(): what a file of lawful's holds, a fit or a ranking of laws."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lawful.analysis.ranked import RankedLaws, ranked_of
from lawful.errors import InputError, LawfulError
from lawful.show.files.artifact import load as load_analysis
from lawful.show.files.document import is_sealed
from lawful.show.files.schema import mismatch

LAWS = "lawful.laws/"
"""How the schema of a ranking begins, whatever its version."""


def load(path: str | Path, *, budgets: Sequence[float] | None = None) -> Any:
    """
    Load a ``fit.json`` as the analysis that it was, or a ``laws.json`` as the ranking of laws that it was.

    Parameters
    ----------
    path : str or Path
        A file written by ``lawful fit --out`` or ``save``.
    budgets : sequence of float, optional
        Budgets in FLOPs that an analysis answers; those that the fit was asked about if not given, and with none of
        them, ``()``, nothing is worked out until it is asked for.

    Returns
    -------
    Analysis or RankedLaws
        Fit, draws (if any were drawn), notes, the Approach 2 frontier beside it, allocations and the average of laws. A
        file keeps laws and draws; what they say of a budget is worked out again.

    Raises
    ------
    InputError
        If there is no such file, it is none of lawful's, or not as it was written.

    Examples
    --------
    >>> import tempfile
    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], surface=truth)
    >>> runs = lawful.simulate(truth, plan, noise=0.002)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = lawful.load(lawful.analyse(runs, draws=50).save(f"{folder}/fit.json"))
    >>> low, high = again.draws.interval("alpha")
    >>> bool(low < again.fit.surface["alpha"] < high)
    True
    """
    document = _ranking(Path(path))
    return load_analysis(path, budgets=budgets) if document is None else _laws(path, document)


def _ranking(file: Path) -> dict[str, Any] | None:
    """Return the document of a ranking; None for any other file, of which the loader of fits says what is wrong."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, OverflowError, RecursionError):
        return None
    ours = isinstance(document, dict) and str(document.get("schema", "")).startswith(LAWS)
    return document if ours else None


def _laws(path: str | Path, document: dict[str, Any]) -> RankedLaws:
    if document["schema"] != LAWS + "1":
        msg = f"The file {str(path)!r} has schema {document['schema']}, this lawful reads {LAWS}1; use a newer lawful."
        raise InputError(msg)
    if not is_sealed(document):
        why = "was changed after it was written: its seal does not match" if "seal" in document else "has lost its seal"
        msg = f"The file {str(path)!r} {why}; rank the laws again, or take an untouched copy."
        raise InputError(msg)
    wrong = mismatch(document, "laws-1")
    try:
        if not wrong:
            return ranked_of(document)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, LawfulError) as error:
        wrong = f"{type(error).__name__}: {error}"
    msg = f"The file {str(path)!r} is a damaged ranking of laws ({wrong}); rank the laws again."
    raise InputError(msg)
