"""All methods on the same runs, side by side, and groups one after the other; what cannot be fitted says why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from lawful.analysis.analysis import Analysis, analyse, average_beside, led, source_sentence
from lawful.core.notes import Note
from lawful.core.numbers import format_flops
from lawful.core.objective import Objective, as_objective
from lawful.core.sheet import Cell, Sheet
from lawful.core.shown import Record
from lawful.data.cells import counted_once
from lawful.data.runs import Runs
from lawful.data.table import as_runs
from lawful.decide.allocate import Allocation, allocation_cells
from lawful.errors import LawfulError, UnsupportedError
from lawful.estimate.result import METHODS, SURFACE_METHODS, check_method
from lawful.forecasting.averaged import Averaged, MethodRecord, method_records, own_record, records_sheet
from lawful.laws.laws import DEFAULT_LAW, Law, find_law


@dataclass(frozen=True)
class Unavailable(Record):
    """A method that cannot run on these data, and why."""

    method: str
    note: Note
    n_runs: int


Outcome = Analysis | Unavailable
Scale = Mapping[str, float] | None
CellsByName = Mapping[str, Mapping[str, Cell]]

DEADWEIGHT_LEGEND = (
    "Deadweight: share of the budget lost. Under approach1 and approach2 by their own choice, priced on the law "
    "fitted to the same runs; under vpnls and approach3 by the choice of approach2, priced on theirs. As good: as good "
    "as can be told, within the noise of one run or priced by a law that the runs refuse."
)

ROWS = {
    "params": "parameters N*",
    "tokens": "tokens D*",
    "tokens_per_param": "tokens per parameter",
    "loss": "loss L*",
    "fraction": "deadweight",
}


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
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth))
    >>> [found.method for found in lawful.compare(runs, draws=0)]
    ['vpnls', 'approach1', 'approach2', 'approach3']
    """
    table, objective = counted_once(as_runs(runs)), as_objective(objective)
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


class Leading(NamedTuple):
    """
    What leads a comparison: the average of laws as :func:`lawful.analyse` would give it, and the methods' records.

    Attributes
    ----------
    average : Averaged or str
        Or the reason why there is none.
    records : tuple of MethodRecord
        How each method did on the budgets held out of the runs.
    analysis : Analysis or None
        That of VPNLS with the average in its lead; None where VPNLS could not run.
    """

    average: Averaged | str
    records: tuple[MethodRecord, ...]
    analysis: Analysis | None


def lead_of(outcomes: Sequence[Outcome], runs: Runs, budgets: Sequence[float], level: float) -> Leading:
    """
    Average over laws on runs that were compared, and how each method did on the budgets held out of them.

    The average is withheld where :func:`lawful.analyse` withholds it: one table has one answer.

    Examples
    --------
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.004)
    >>> found = lead_of(lawful.compare(runs, budgets=[1e22], draws=0), runs, [1e22], 0.9)
    >>> found.average.outlooks[0].params == lawful.analyse(runs, budgets=[1e22]).average.outlooks[0].params
    True
    """
    own = next((o for o in outcomes if isinstance(o, Analysis) and o.method == "vpnls"), None)
    first = None if own is None else led(own)
    table = counted_once(runs)
    average, why = average_beside(table.ordered, budgets, level) if first is None else (first.average, first.unaveraged)
    if average is None:
        return Leading(why, (), first)
    record = average.record or own_record(table)
    average = replace(average, record=record)
    return Leading(average, method_records(table, record), first and replace(first, average=average))


def average_sheets(lead: Leading) -> tuple[Sheet, ...]:
    """Return the averaged forecast, or why there is none, and the records of the methods."""
    if isinstance(lead.average, str):
        return (Sheet(f"No forecast that averages over laws: {lead.average}"),)
    return (*lead.average.sheets(), *((records_sheet(lead.records),) if lead.records else ()))


def comparison_sheets(outcomes: Sequence[Outcome], *, scale: Scale = None) -> tuple[Sheet, ...]:
    """
    Return all methods side by side: coefficients, exponents, decisions, and who cannot run.

    Values are rounded by their intervals, which are not shown: ``lawful fit`` has them.

    Parameters
    ----------
    outcomes : sequence of Analysis or Unavailable
        What :func:`lawful.compare` returned.
    scale : mapping of str to float, optional
        Units of ``params`` and ``tokens`` that A and B refer to.

    Examples
    --------
    >>> truth = lawful.Surface.named("symmetric")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth))
    >>> first, = comparison_sheets(lawful.compare(runs, draws=0))
    >>> first.columns
    ('', 'vpnls', 'approach1', 'approach2', 'approach3')
    """
    found = [o for o in outcomes if isinstance(o, Analysis)]
    said = (source_sentence(found[0].runs),) if found else ()
    columns = {o.method: _estimates(o, scale) if isinstance(o, Analysis) else {} for o in outcomes}
    names = dict.fromkeys(name for cells in columns.values() for name in cells if not name.startswith("log10_"))
    rss = [name for name in names if name == "RSS"]
    first = _side_by_side("The same runs, fitted by every method.", columns, [*(n for n in names if n != "RSS"), *rss])
    units = next((a.fit_sheet(scale).closing[-1:] for a in found if a.fit.surface is not None), ()) if scale else ()
    sheets = [Sheet(first.title, said, first.columns, first.rows, None, units)]
    budgets = [one.budget for one in found[0].allocations] if found else []
    for i, budget in enumerate(budgets):
        made = {o.method: _decision(o.allocations[i]) if isinstance(o, Analysis) else {} for o in outcomes}
        sheets.append(_side_by_side(f"Budget {format_flops(budget)}.", made, list(ROWS)))
    notes = tuple(_notes(outcomes))
    if budgets or notes:
        last = sheets.pop()
        closing = (*last.closing, DEADWEIGHT_LEGEND) if budgets else last.closing
        sheets.append(Sheet(last.title, last.sentences, last.columns, last.rows, None, closing, notes))
    return tuple(sheets)


def _estimates(one: Analysis, scale: Scale) -> dict[str, Cell]:
    cells = {str(name.value): cell for name, cell in one.fit_sheet(scale).rows}
    return cells | ({"RSS": Cell(one.fit.rss)} if one.fit.surface is not None else {})


def _decision(one: Allocation) -> dict[str, Cell]:
    """What an allocation tells, without a waste that accuses nobody."""
    cells = allocation_cells(one)
    if one.deadweight is not None and one.deadweight.as_good:
        cells["fraction"] = Cell("as good", "text")
    return cells


def _side_by_side(title: str, columns: CellsByName, names: Sequence[str]) -> Sheet:
    """Return a column per method and a row per name."""
    rows = tuple(
        (Cell(ROWS.get(name, name), "text"), *(cells.get(name, Cell(None)) for cells in columns.values()))
        for name in names
    )
    return Sheet(title, (), ("", *columns), rows, None)


def _notes(outcomes: Sequence[Outcome]) -> Iterator[Note]:
    """Each distinct note once, with the methods that carry it."""
    carriers: dict[Note, list[str]] = {}
    for outcome in outcomes:
        for note in (outcome.note,) if isinstance(outcome, Unavailable) else outcome.notes:
            carriers.setdefault(note, []).append(outcome.method)
    for note, methods in carriers.items():
        yield Note(note.code, f"[{', '.join(methods)}] {note.message}")


def group_sheets(by: str, outcomes: Mapping[str, Outcome], *, scale: Scale = None) -> tuple[Sheet, ...]:
    """Return a block per group of runs that were fitted apart, also for a group that cannot be fitted."""
    sheets: list[Sheet] = []
    for value, outcome in outcomes.items():
        notes = (outcome.note,) if isinstance(outcome, Unavailable) else ()
        sheets.append(Sheet(f"{by} = {value}", notes=notes))
        sheets += outcome.sheets(scale) if isinstance(outcome, Analysis) else ()
    return tuple(sheets)
