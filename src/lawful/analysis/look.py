"""look(): what a table is. Its columns and units, its design, the verbs it supports, and what to run next."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from lawful.approach2.bias import bias
from lawful.checks.check import check
from lawful.core.notes import Note, Verdict
from lawful.core.numbers import format_count, format_scientific, format_short
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Record, Shown
from lawful.counting.counts import find_counts
from lawful.data.cells import cells_of, first_of_copies, tuned_columns
from lawful.data.columns import listed
from lawful.data.runs import COMPLETE, Runs
from lawful.data.seen import Seen, named_roles, seen_columns
from lawful.data.selection import VALUES_OFFERED, Rows, Selection, open_table, rows_named, select_rows
from lawful.data.table import Handling, experiment_column, narrowed, opened, table_runs
from lawful.data.translate import loss_unit
from lawful.data.values import distinct, value_text
from lawful.errors import LawfulError, UnsupportedError
from lawful.estimate.fit import fit
from lawful.estimate.isoflop import fit_envelope, fit_isoflop
from lawful.forecasting.audit import origins
from lawful.laws.laws import LAWS
from lawful.solve.screening import sampled
from lawful.sources.isoflops import isoflop_points
from lawful.sources.read import load_columns
from lawful.sources.wandb import budgets_from_names
from lawful.trust.unused import repeated_note, unused_notes
from lawful.trust.verdict import Judgement, judge

MOST_BUDGETS = 12
"""Budgets in the table of budgets before the rest is counted."""

TRIED_ON = 1_000
"""Runs that the verbs are tried on, at most; of more, as many spread evenly."""

JUDGED_EVERY = 5
"""Of a table so long every so many of these are enough to judge a fit by, which takes most of the time."""

READ_ON = 10_000
"""The same for columns that the law does not read: their notes rest on training runs, which are fewer than rows."""

BEYOND = 10.0
"""The budget of the next command is this many times the largest of the runs."""

FROM_A_FIT = "allocate, predict, forecast, coverage, report"
"""Verbs that take a saved fit, or make one."""


@dataclass(frozen=True)
class Support(Record):
    """
    Whether a verb can be had on a table.

    Attributes
    ----------
    verb : str
        As the shell has it.
    supported : bool
    why : str
        What it finds, or why it cannot.
    """

    verb: str
    supported: bool
    why: str


@dataclass(frozen=True)
class Budget(Record):
    """
    The runs of one budget.

    Attributes
    ----------
    budget : float
        FLOPs.
    runs, sizes : int
        Runs, and distinct model sizes among them.
    params, ratio, loss : (float, float)
        Ranges of parameters, of tokens per parameter and of the loss.
    """

    budget: float
    runs: int
    sizes: int
    params: tuple[float, float]
    ratio: tuple[float, float]
    loss: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Look(Shown):
    """
    What a table is, as :func:`lawful.look` found it.

    Attributes
    ----------
    source : str
        Where the table came from.
    rows : int
        Rows of the table.
    columns : tuple of Seen
        Every column, and what it is taken for.
    runs : Runs or None
        The runs; None where the table is refused.
    refused : str
        Why the table is no table of runs, with the remedy; empty where it is one.
    budgets : tuple of Budget
        Ascending.
    cells, repeated : int
        Cells of one N and D, and those of several runs.
    copies : int
        Rows that repeat another one and tell nothing new.
    tuned : tuple of str
        Hyper-parameters that vary inside cells.
    experiment : str or None
        Column that tells experiments apart.
    experiments : tuple of str
        Its values.
    verbs : tuple of Support
        What was tried, and what came of it.
    next : str
        The command to run next.
    notes : tuple of Note
        What was derived or assumed.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
    >>> found = lawful.look({"N": runs.N, "D": runs.D, "loss": runs.L})
    >>> [f"{column.name}: {column.taken_for}" for column in found.columns]
    ['N: params', 'D: tokens', 'loss: loss']
    >>> found.next
    'lawful fit runs.csv --budget 1e21 --out result'
    """

    source: str
    rows: int
    columns: tuple[Seen, ...]
    runs: Runs | None
    refused: str
    budgets: tuple[Budget, ...] = ()
    cells: int = 0
    repeated: int = 0
    copies: int = 0
    tuned: tuple[str, ...] = ()
    experiment: str | None = None
    experiments: tuple[str, ...] = ()
    verbs: tuple[Support, ...] = ()
    next: str = ""
    notes: tuple[Note, ...] = ()

    def sheets(self) -> tuple[Sheet, ...]:
        """Return the columns, the design, the budgets and the verbs."""
        heads = ("column", "taken for", "unit", "values")
        rows = tuple(row(_short(c.name), c.taken_for, c.unit or "-", c.values) for c in self.columns)
        what = f"{self.source}: {self.rows:,} row{'s' * (self.rows != 1)}, {len(self.columns)} columns."
        first = Sheet(what, (), heads, rows, "")
        if self.runs is None:
            return (replace(first, closing=(f"Next: {self.next}",)),)
        verbs = tuple(row(v.verb, v.supported, v.why) for v in self.verbs)
        closing = (f"Next: {self.next}",)
        title = "What these runs support."
        if len(self.runs) > TRIED_ON and all(map(self.runs.has, COMPLETE)):
            title += f" Tried on {TRIED_ON:,} of the {len(self.runs):,}, spread evenly: all may say other numbers."
        last = Sheet(title, (), ("verb", "works", "what it says"), verbs, "", closing, self.notes)
        return (first, self._design(self.runs), *([self._by_budget()] if self.budgets else []), last)

    def _design(self, runs: Runs) -> Sheet:
        facts = [
            row("runs", f"{len(runs):,}" + (f" of {self.rows:,} rows" if len(runs) != self.rows else "")),
            row("loss", f"{_span(runs.L, lambda v: format_short(v, 4))} {loss_unit(runs.columns.get('loss', 'loss'))}"),
        ]
        for name, head, write in (
            ("C", "compute", format_scientific),
            ("N", "model sizes", format_count),
            ("D", "tokens", format_count),
        ):
            if runs.has(name):
                values = getattr(runs, name)
                facts.append(row(head, f"{np.unique(values).size:,} distinct, {_span(values, write)}"))
        if self.budgets:
            facts += [
                row("budgets", f"{len(self.budgets):,}, {_span(runs.budgets, format_scientific)} FLOPs"),
                row("tokens per parameter", _span(runs.D / runs.N, lambda v: format_short(v, 3))),
                row("cells of one N and D", f"{self.cells:,}, {self.repeated:,} of them with several runs"),
            ]
        if self.copies:
            facts.append(row("copies", f"{self.copies:,} rows repeat another one to the last digit: nothing new"))
        if self.tuned:
            facts.append(row("hyper-parameters", f"{listed(self.tuned)} varies inside cells"))
        if self.experiment is not None:
            named = listed(self.experiments, VALUES_OFFERED)
            facts.append(row("experiments", f"{len(self.experiments)} by {self.experiment}: {named}"))
        return Sheet("The runs.", (), ("", "what there is"), tuple(facts))

    def _by_budget(self) -> Sheet:
        rows = tuple(
            row(
                Cell(b.budget, "flops"),
                Cell(b.runs, "integer"),
                Cell(b.sizes, "integer"),
                _span(b.params, format_count),
                _span(b.ratio, lambda v: format_short(v, 3)),
                _span(b.loss, lambda v: format_short(v, 4)),
            )
            for b in self.budgets[:MOST_BUDGETS]
        )
        more = len(self.budgets) - MOST_BUDGETS
        closing = (f"And {more:,} more budgets.",) if more > 0 else ()
        heads = ("budget", "runs", "sizes", "parameters", "tokens per parameter", "loss")
        return Sheet("By budget (FLOPs).", (), heads, rows, "", closing)


def look(
    table: Any,
    *,
    select: Selection | None = None,
    columns: Mapping[str, str] | None = None,
    weights: str | None = None,
    as_is: bool = False,
    best_of_cell: bool = False,
    where: str | None = None,
    drop: Sequence[int | str] | str = (),
    group_by: str | None = None,
    row_of_run: str | None = None,
    fill_down: Sequence[str] | str = (),
) -> Look:
    """
    Say what a table is, what can be done with it, and what to run next.

    Parameters
    ----------
    table : path, paths, pandas DataFrame, mapping of str to array_like, or Runs
        As for :func:`lawful.read_runs`. A table that it refuses is looked at all the same: ``refused`` says why.
    select, columns, weights, as_is, best_of_cell, where, drop, group_by, row_of_run, fill_down
        As for :func:`lawful.read_runs`.

    Returns
    -------
    Look
        Columns, units, budgets, cells, experiments, verbs, and the next command.

    Raises
    ------
    InputError
        If there is no table at all: no such file, or nothing in it.
    UnsupportedError
        If an option makes no sense.

    Examples
    --------
    >>> found = lawful.look({"params": [21.8, 350.0, 700.0], "tokens": [7.6, 30.0, 90.0], "loss": [3.9, 3.1, 2.8]})
    >>> found.refused[:77]
    "Params lie between 21.8 and 700 (column 'params'): millions? and tokens betwe"
    >>> found.next
    "lawful look runs.csv --columns params='params*1e6' --columns tokens='tokens*1e9'"
    """
    asked = {"columns": columns, "select": select, "weights": weights, "as_is": as_is, "best_of_cell": best_of_cell}
    rows = {"where": where, "drop": drop, "group_by": group_by, "row_of_run": row_of_run, "fill_down": fill_down}
    options = {**asked, **rows}
    if isinstance(table, Runs):
        if _flags(options):
            msg = "These runs were read already; give options of reading when reading their table."
            raise UnsupportedError(msg)
        return _looked(table, "runs.csv", {})
    data, header, source = load_columns(table)
    given, raw = _argument(table), open_table(data, source, header)
    opening, roles = raw, named_roles(raw)
    handling = Handling(as_is, best_of_cell, where, drop, None, group_by, row_of_run, fill_down)

    def reading(handling: Handling) -> tuple[Rows, Runs]:
        nonlocal opening, roles
        opening, roles, said = opened(data, source, header, columns, handling)
        rows, more = narrowed(select_rows(opening, roles, select or {}), roles, handling)
        notes = [*said, *more]
        runs = table_runs(rows, roles, weights=weights, prepare=budgets_from_names, notes=notes, handling=handling)
        return opening, runs

    try:
        opening, runs = reading(handling)
    except UnsupportedError:
        raise
    except LawfulError as error:
        sentence = str(error)
        following = _remedied(sentence, given, _flags(options))
        if not following.endswith("=COLUMN"):
            return Look(source, raw.row.size, seen_columns(opening, roles), None, sentence, next=following)
        try:  # one column and the loss are enough for some laws
            opening, runs = reading(replace(handling, needs=()))
        except LawfulError:
            return Look(source, raw.row.size, seen_columns(opening, roles), None, sentence, next=following)
    return _looked(runs, given, options, opening)


def _looked(runs: Runs, given: str, options: Mapping[str, Any], table: Rows | None = None) -> Look:
    if table is None:
        own = {"params": runs.N, "tokens": runs.D, "loss": runs.L, "budget": runs.C}
        columns = dict(runs.table) or {**own, **runs.labels}
        table = Rows(columns, list(columns), np.arange(1, len(runs) + 1, dtype=np.intp), runs.source, {})
    roles = dict(runs.columns) or {name: name for name in ("params", "tokens", "loss", "budget")}
    whole = all(map(runs.has, COMPLETE))
    cell = cells_of(runs.N, runs.D) if whole else np.zeros(len(runs), dtype=np.intp)
    experiment = experiment_column(runs.labels, runs.selection, (runs.N, runs.group) if whole else ())
    values = () if experiment is None else tuple(value_text(v) for v in distinct(runs.labels[experiment])[0])
    verbs = supported(runs) if whole else of_one_column(runs)
    found = Look(
        source=runs.source,
        rows=table.row.size,
        columns=seen_columns(table, roles),
        runs=runs,
        refused="",
        budgets=_budgets(runs) if whole else (),
        cells=int(cell.max()) + 1 if whole else 0,
        repeated=int((np.bincount(cell) > 1).sum()) if whole else 0,
        copies=len(runs) - first_of_copies(runs).size,
        tuned=tuple(tuned_columns(runs.labels, cell)) if whole else (),
        experiment=experiment,
        experiments=values,
        verbs=verbs,
        notes=(*runs.notes, *(_unread(runs) if whole else ())),
    )
    return _with_next(found, given, options)


def _unread(runs: Runs) -> tuple[Note, ...]:
    """Columns that the default law does not read and should: repeated tokens, and what its residuals follow."""
    try:
        found = fit(_thinned(runs, READ_ON))
    except LawfulError:
        return ()
    return (*unused_notes(found), *repeated_note(found, runs))


def _thinned(runs: Runs, most: int) -> Runs:
    """The runs, or so many of them."""
    return runs if len(runs) <= most else runs.take(sampled(len(runs), most))


def _budgets(runs: Runs) -> tuple[Budget, ...]:
    order = np.argsort(runs.group, kind="stable")
    found = []
    for i in np.split(order, np.cumsum(np.bincount(runs.group, minlength=runs.budgets.size))[:-1]):
        N, D, L = runs.N[i], runs.D[i], runs.L[i]
        spans = [(float(v.min()), float(v.max())) for v in (N, D / N, L)]
        found.append(Budget(float(runs.budgets[runs.group[i[0]]]), i.size, np.unique(N).size, *spans))
    return tuple(found)


def supported(runs: Runs) -> tuple[Support, ...]:
    """
    Try the verbs on some runs, each in its cheapest form.

    Examples
    --------
    >>> runs = lawful.read_runs({"N": [1e8, 2e8, 4e8], "D": [2e9, 1e9, 5e8], "loss": [3.1, 3.0, 3.2]})
    >>> [verb.verb for verb in supported(runs) if verb.supported]
    ['check', 'conventions']
    """
    some = _thinned(runs, TRIED_ON)
    few = some if some is runs else some.take(np.arange(0, len(some), JUDGED_EVERY))
    judged = cache(lambda: judge(fit(few)))
    tries: tuple[tuple[str, Callable[[], str]], ...] = (
        ("check", lambda: _checked(some)),
        ("fit", lambda: _fitted(judged())),
        (FROM_A_FIT, lambda: _decided(judged())),
        ("fit --method approach1", lambda: _exponent(fit_envelope(some))),
        ("fit --method approach2", lambda: _exponent(fit_isoflop(some))),
        ("bias", lambda: _biased(some)),
        ("audit", lambda: _held_out(runs)),
        ("isoflops", lambda: _curves(runs)),
        ("conventions", lambda: _counted(some)),
    )
    return tuple(_tried(verb, attempt) for verb, attempt in tries)


def of_one_column(runs: Runs) -> tuple[Support, ...]:
    """
    Try the laws of one column on runs that have no other.

    Examples
    --------
    >>> runs = Runs.from_arrays(None, None, [3.5, 3.2, 3.0, 2.9], C=[1e18, 1e19, 1e20, 1e21])
    >>> [verb.verb for verb in of_one_column(runs) if verb.supported]
    ['fit --law compute', 'fit --law kaplan-c']
    """
    found = []
    for name, law in LAWS.items():
        if len(law.columns) == 1 and law.columns[0] in COMPLETE and runs.has(law.columns[0]):
            found.append(_tried(f"fit --law {name}", partial(_law_tried, runs, name)))
    lacking = " and ".join(name for name in COMPLETE if not runs.has(name))
    why = f"They need the sizes and tokens of the runs; the table lacks {lacking}."
    found.append(Support("every other verb", supported=False, why=why))
    return tuple(found)


def _law_tried(runs: Runs, name: str) -> str:
    fit(runs, law=name)
    return LAWS[name].formula


def _tried(verb: str, attempt: Callable[[], str]) -> Support:
    try:
        return Support(verb, supported=True, why=attempt())
    except LawfulError as error:
        return Support(verb, supported=False, why=re.sub(r"`(\w+)`", _as_flag, str(error)))


def _as_flag(match: re.Match[str]) -> str:
    return f"--{match[1].replace('_', '-')}"


def _checked(runs: Runs) -> str:
    checked = check(runs)
    kept = int((~checked.outlier).sum())
    return f"keeps {kept:,} of {len(checked):,} runs"


def _fitted(judged: Judgement) -> str:
    why = next((note.message for note in judged.notes if note.code == "lack_of_fit"), "")
    return f"{judged.verdict.value}{': ' if why else ''}{why}"


def _decided(judged: Judgement) -> str:
    if judged.verdict is Verdict.NOT_IDENTIFIED:
        raise LawfulError(next((note.message for note in judged.notes), "The optimum is not identified."))
    return "N*, D* and the loss at a budget"


def _exponent(found: Any) -> str:
    return f"N* grows as C^{format_short(found.frontier.a, 3)}"


def _biased(runs: Runs) -> str:
    bias(fit(runs))
    return "what Approach 2 gets wrong on these sizes"


def _held_out(runs: Runs) -> str:
    _, held, values = origins(runs, "budget", 1, rolling=False)[0]
    many = "run" if held.size == 1 else f"{held.size:,} runs"
    return f"forecasts the {many} at {format_scientific(float(values[0]))} FLOPs from the others"


def _curves(runs: Runs) -> str:
    if not any(note.code == "unannealed" for note in runs.notes):
        msg = "Each row looks like a finished run, so there are no training curves to take points off."
        raise LawfulError(msg)
    quantities = {"params": runs.N, "tokens": runs.D, "budget": runs.C, "loss": runs.L}
    points = isoflop_points({**quantities, **{k: v for k, v in runs.labels.items() if k not in quantities}})
    return f"{len(points):,} points at {points.budgets.size:,} budgets"


def _counted(runs: Runs) -> str:
    params, flops, _ = find_counts(runs)
    ways = " or ".join(count.name for count in params)
    return f"N counted as {ways}, C in {len(flops)} way{'s' * (len(flops) != 1)}"


OF_RUNS = ("weights", "best_of_cell", "group_by", "row_of_run")
"""Options of reading that checkpoints do not have: rows that cannot be used are always set aside there."""


def _with_next(found: Look, given: str, asked: Mapping[str, Any]) -> Look:
    """The command to run next: what the table needs first, or else the fit."""
    options = _flags(asked)
    codes = {note.code for note in found.notes}
    works = {verb.verb: verb.supported for verb in found.verbs}
    if not found.budgets:
        law = next((verb for verb in works if works[verb]), "fit --law compute")
        return replace(found, next=f"lawful {law.replace('fit', f'fit {given}{options}', 1)} --out result")
    top = found.budgets[-1].budget * BEYOND
    target = f"--budget {format_scientific(float(f'{top:.1g}'))} --out result"
    if "unannealed" in codes and works["isoflops"]:
        of_rows = {name: value for name, value in asked.items() if name not in OF_RUNS}
        command = f"isoflops {given}{_flags(of_rows)} --out points.csv"
    elif found.tuned:
        command = f"look {given}{options} --best-of-cell"
    elif found.experiment is not None:
        command = f"fit {given}{options} --by {shlex.quote(found.experiment)} {target}"
    elif not works["fit"]:
        command = f"check {given}{options}"
    else:
        command = f"fit {given}{options} {target}"
    return replace(found, next=f"lawful {command}")


def _remedied(sentence: str, given: str, options: str) -> str:
    """The command that the sentence of a refusal asks for."""
    recipes = re.findall(r"`columns` (\w+=(?:'[^']*'|[^\s',;]+))", sentence)
    first: dict[str, str] = {}  # where a sentence offers a choice, its first is what to try
    for recipe in recipes:
        first.setdefault(recipe.partition("=")[0], recipe)
    recipes = list(first.values())
    if "`row_of_run`" in sentence:
        return f"lawful look {given}{options} --row-of-run last"
    if recipes:
        return f"lawful look {given}{options}" + "".join(f" --columns {recipe.rstrip('.')}" for recipe in recipes)
    if "with `check`" in sentence:
        return f"lawful check {given}{options}"
    return f"lawful look {given}{options} --columns QUANTITY=COLUMN"


def _argument(table: Any) -> str:
    """The table as the shell names it."""
    if isinstance(table, (list, tuple)) and all(isinstance(one, (str, os.PathLike)) for one in table):
        return " ".join(shlex.quote(os.fspath(one)) for one in table)
    return shlex.quote(os.fspath(table)) if isinstance(table, (str, os.PathLike)) else "runs.csv"


def _flags(options: Mapping[str, Any]) -> str:
    """Options of a reading as flags, an empty text for none."""
    words: list[str] = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif name == "columns" and value:
            words += [f"{flag} {quantity}={shlex.quote(text)}" for quantity, text in value.items()]
        elif name == "select" and value:
            for column, wanted in value.items():
                several = [wanted] if isinstance(wanted, (str, int, float)) else list(wanted)
                words += [f"{flag} {shlex.quote(f'{column}={value_text(one)}')}" for one in several]
        elif name == "drop" and len(value):
            words.append(f"{flag} {','.join(map(str, rows_named(value)))}")
        elif name == "fill_down" and value:
            words += [f"{flag} {shlex.quote(one)}" for one in ([value] if isinstance(value, str) else value)]
        elif value and isinstance(value, str):
            words.append(f"{flag} {shlex.quote(value)}")
    return "".join(f" {word}" for word in words)


def _span(values: Any, write: Callable[[float], str]) -> str:
    low, high = write(float(np.min(values))), write(float(np.max(values)))
    return low if low == high else f"{low} to {high}"


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:37]}..."
