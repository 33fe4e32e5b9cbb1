"""All methods on the same runs, side by side; one that cannot run says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lawful.analysis.analysis import Analysis, analyse
from lawful.core.notes import Note
from lawful.core.objective import Objective, as_objective
from lawful.data.runs import Runs
from lawful.data.table import as_runs
from lawful.errors import LawfulError, UnsupportedError
from lawful.estimate.result import METHODS, SURFACE_METHODS, check_method
from lawful.laws.laws import DEFAULT_LAW, Law, find_law


@dataclass(frozen=True)
class Unavailable:
    """A method that cannot run on these data, and why."""

    method: str
    note: Note
    n_runs: int


Outcome = Analysis | Unavailable


def usable_options(method: str, objective: Objective | None = None, **options: Any) -> dict[str, Any]:
    """
    Keep of the options of a surface fit those that a method can use, for methods set side by side.

    A frontier uses none of them, and VPNLS no objective on the logarithm.

    Examples
    --------
    >>> usable_options("vpnls", Objective.log_huber(), fixed={"E": 1.7})
    {'fixed': {'E': 1.7}, 'objective': None}
    >>> usable_options("approach2", fixed={"E": 1.7})
    {}
    """
    if method not in SURFACE_METHODS:
        return {}
    unfit = method == "vpnls" and objective is not None and objective.is_log
    return {**options, "objective": None if unfit else objective}


def outcome(runs: Runs, method: str, **options: Any) -> Outcome:
    """
    Analyse runs by one method, or say why it cannot run on them.

    Raises
    ------
    UnsupportedError
        If the request makes no sense, whatever the runs are.
    """
    try:
        return analyse(runs, method=method, **options)
    except UnsupportedError:
        raise
    except LawfulError as error:
        return Unavailable(method, Note("unavailable", str(error)), len(runs))


def compare(
    runs: Any,
    *,
    methods: Sequence[str] = METHODS,
    law: Law | str = DEFAULT_LAW,
    objective: Objective | str | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    **options: Any,
) -> tuple[Analysis | Unavailable, ...]:
    """
    All four methods on the same runs, side by side.

    Parameters
    ----------
    runs : Runs, path, DataFrame, mapping of str to array_like, or list of records
        Training runs.
    methods : sequence of str
        Which methods, in which order.
    law, objective, fixed, bounds
        For the surface methods that can use them; the others ignore them.
    **options
        As for :func:`analyse`.

    Returns
    -------
    tuple of Analysis or Unavailable
        A method that cannot run here stands as ``Unavailable`` with a note.

    Examples
    --------
    >>> import lawful
    >>> truth = lawful.study_surface("symmetric")
    >>> runs = lawful.simulate(truth, lawful.plan_isoflop([1e18, 1e19, 1e20], 9, surface=truth))
    >>> [found.method for found in lawful.compare(runs, draws=0)]
    ['vpnls', 'approach1', 'approach2', 'approach3']
    """
    table, objective = as_runs(runs), as_objective(objective)
    form = law if isinstance(law, Law) else find_law(law)
    found: list[Outcome] = []
    for method in map(check_method, methods):
        if method == "vpnls" and not form.separable:
            why = f"The {form.name} law is no sum of powers, so vpnls cannot fit it; approach3 can."
            found.append(Unavailable(method, Note("unavailable", why), len(table)))
            continue
        usable = usable_options(method, objective, law=form, fixed=fixed, bounds=bounds)
        found.append(outcome(table, method, **usable, **options))
    return tuple(found)
