"""
Check runs before they are fitted: a reason for every run that should not count, and nothing deleted.

The path of one table: clean columns, rule 0 on their values, runs of what is left,
rules 1 to 7 on each experiment (a surface for designs that are not IsoFLOP), one reason per row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lawful.checks.rules import DEFAULT_THRESHOLDS, INVALID, KEPT, RULES, SENTENCES, Thresholds
from lawful.checks.surface import (
    FEWEST,
    NOT_BEST,
    SURFACE_SENTENCES,
    against_surface,
    gross_strays,
    strays,
    surface_flags,
)
from lawful.core.notes import Note
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Shown
from lawful.core.typing import AnyArray, Array, BoolArray, IntArray
from lawful.data.cells import best_of_cells, cells_of
from lawful.data.columns import SEED_NAMES, find_column, listed, normalise
from lawful.data.endings import finished
from lawful.data.runs import Runs
from lawful.data.selection import VALUES_OFFERED, Rows, Selection, select_rows
from lawful.data.table import Handling, experiment_column, narrowed, opened, table_runs, third_quantity
from lawful.data.translate import NATS, loss_unit
from lawful.data.values import distinct, far_above, plausible, quantity_or_nan, value_text
from lawful.errors import IdentificationError, UnsupportedError
from lawful.sources.read import load_columns
from lawful.sources.wandb import budgets_from_names

ROWS_NAMED = 6
"""Rows of a rule named in its line of the table before the rest is counted."""

WHOLE = ""
"""Name of the only experiment of a table."""

EVERY = {**SENTENCES, **SURFACE_SENTENCES}
"""Every code with its sentence: the rules in their order, then those of designs that are not IsoFLOP."""

OF_ANY = (INVALID, "exact_duplicate")
"""Rules that run on every design."""


@dataclass(frozen=True, eq=False)
class Checked(Shown):
    """
    What :func:`check` found: every row of the table with its reason.

    Parameters
    ----------
    reason : array of str, shape (n,)
        Code of the rule that flagged the row, ``"none"`` where it is kept.
    row : int array, shape (n,)
        Row in the source, counted from 1 below the header.
    experiment : array of str, shape (n,)
        Experiment of each row; ``""`` where there is only one.
    columns : mapping of str to array, shape (n,)
        Columns of the source.
    runs : Runs or None
        The rows whose values can be used, flagged or not; None if there are none.
    experiments : mapping of str to Runs
        The same for each experiment apart, as the rules saw them.
    by : str or None
        Column that tells the experiments apart.
    thresholds : Thresholds
        Numbers of the rules.
    notes : tuple of Note
        What was derived or assumed on the way in.

    Examples
    --------
    >>> checked = lawful.check({"N": [1e8, 1e8, 2e8], "D": [2e9, 2e9, 1e9], "loss": [3.2, 3.1, float("nan")]})
    >>> checked
    Checked(3 rows, 0 kept: invalid_value 1, exact_duplicate 1, too_few_points 1)
    >>> checked.reason.tolist()
    ['exact_duplicate', 'too_few_points', 'invalid_value']
    """

    reason: AnyArray
    row: IntArray
    experiment: AnyArray
    columns: Mapping[str, AnyArray]
    runs: Runs | None
    experiments: Mapping[str, Runs]
    by: str | None
    thresholds: Thresholds
    notes: tuple[Note, ...]

    def __len__(self) -> int:
        return self.row.size

    def __repr__(self) -> str:
        kept = int((~self.outlier).sum())
        return f"Checked({len(self)} rows, {kept} kept{': ' if kept < len(self) else ''}{flags_text(self.counts)})"

    def sheets(self) -> tuple[Sheet, ...]:
        """Return a row per rule, what those that flagged a run mean, and a row per experiment where there are some."""
        rows = tuple(
            row(code, Cell(count, "integer"), listed(self.row[self.reason == code].tolist(), ROWS_NAMED) or "-")
            for code, count in self.counts.items()
            if count or self._ran(code)
        )
        meanings = tuple(f"{code}: {EVERY[code]}" for code, count in self.counts.items() if count)
        title = f"{int((~self.outlier).sum())} of {len(self)} runs kept"
        sheets = [Sheet(title, (), ("rule", "runs", "rows"), rows, "", meanings, self.notes)]
        if len(self.names) > 1:
            each = []
            for name in self.names:
                reason = self.reason[self.experiment == name]
                each.append(row(name, f"{(reason == KEPT).sum()} of {reason.size}", flags_text(_count(reason)) or "-"))
            sheets.append(Sheet(f"By {self.by}.", (), (str(self.by), "kept", "flagged"), tuple(each)))
        return tuple(sheets)

    def _ran(self, code: str) -> bool:
        """Whether a rule was asked of any experiment: those of budgets are not where all were judged by surfaces."""
        return code in OF_ANY or any(not against_surface(runs) for runs in self.experiments.values())

    @property
    def outlier(self) -> BoolArray:
        """Whether each row is flagged, shape (n,)."""
        return np.asarray(self.reason != KEPT)

    @property
    def names(self) -> list[str]:
        """Names of the experiments in order of first appearance, those without valid rows included."""
        return list(dict.fromkeys(self.experiment.tolist()))

    @property
    def counts(self) -> dict[str, int]:
        """
        Rows flagged by each rule, in the order of the rules, zeros included.

        Codes of designs that are not IsoFLOP follow where they flagged a run.
        """
        return _count(self.reason)

    @property
    def table(self) -> dict[str, AnyArray]:
        """
        All rows in their original order: the columns of the source, then ``outlier`` and ``reason``.

        Where the source has a column of that name, ours has ``_check`` added.
        """
        table = dict(self.columns)
        for name, values in (("outlier", self.outlier), ("reason", self.reason)):
            table[_unused(name, table)] = values
        return table

    @property
    def kept(self) -> Runs:
        """
        The runs that no rule flagged, with a note that counts the others.

        Raises
        ------
        IdentificationError
            If every row is flagged.
        """
        return self._kept(self.runs, self.reason)

    def kept_of(self, experiment: str) -> Runs:
        """
        Return the kept runs of one experiment, as :attr:`kept`.

        Raises
        ------
        IdentificationError
            If there are none.
        """
        return self._kept(self.experiments.get(experiment), self.reason[self.experiment == experiment])

    def reason_of(self, runs: Runs) -> AnyArray:
        """Return the reasons of some of the checked runs, found by their rows, shape (m,)."""
        order = np.argsort(self.row)
        return np.asarray(self.reason[order[np.searchsorted(self.row, row_numbers(runs), sorter=order)]])

    def _kept(self, runs: Runs | None, among: AnyArray) -> Runs:
        flagged = int((among != KEPT).sum())
        if runs is None or flagged == among.size:
            msg = f"check flags {among.size} of {among.size} rows, so none is left: {flags_text(_count(among))}."
            raise IdentificationError(msg)
        if not flagged:
            return runs
        message = f"check left out {flagged} of {among.size} rows: {flags_text(_count(among))}."
        said = [note for note in self.notes if note.code in ("replicates_flagged", "best_of_cell")]
        left = runs.take(self.reason_of(runs) == KEPT)
        repeated = len(np.unique(np.column_stack([left.N, left.D]), axis=0)) < len(left)
        if (among == NOT_BEST).any() or not repeated:
            left = replace(left, notes=tuple(note for note in left.notes if note.code != "hyperparameter_sweep"))
        return left.with_notes(Note("check_flagged", message), *said)


def row_numbers(runs: Runs) -> IntArray:
    """Return the row of each run in its source, counted from 1 where the runs do not know it."""
    return np.arange(1, len(runs) + 1, dtype=np.intp) if runs.row is None else runs.row


def _count(reason: AnyArray) -> dict[str, int]:
    counts = {code: int((reason == code).sum()) for code in EVERY}
    return {code: count for code, count in counts.items() if count or code in SENTENCES}


def flags_text(counts: Mapping[str, int]) -> str:
    """
    Write the counts of the rules that flagged something.

    Examples
    --------
    >>> flags_text({"invalid_value": 0, "off_center": 3, "spline_outlier": 1})
    'off_center 3, spline_outlier 1'
    """
    return ", ".join(f"{code} {count}" for code, count in counts.items() if count)


def check(  # noqa: PLR0913 - keyword-only options of reading
    table: Any,
    *,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
    by: str | None = None,
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
    signed: bool = False,
) -> Checked:
    """
    Label every run that should not count with a reason; delete nothing.

    The rules run in order, each over every budget of an experiment before the next
    starts, and see only the rows not yet flagged: ``invalid_value``,
    ``exact_duplicate``, ``near_duplicate_params``, ``too_few_points``, ``off_center``,
    ``spline_outlier``, ``negative_curvature``, ``weak_curvature``, ``too_few_post_qc``.
    Where runs do not stand in budgets (ladders, grids, irregular designs, training curves), they are judged against
    the law through the rest instead, worst first: ``exact_duplicate`` for copies, ``not_best_of_cell`` for
    all but the best setting of each N and D, ``surface_outlier``.

    Parameters
    ----------
    table : path, pandas DataFrame, mapping of str to array_like, or Runs
        As for :func:`lawful.read_runs`; here rows may lack values or hold text.
    thresholds : Thresholds
        Numbers of the rules.
    by : str, optional
        Column that tells experiments apart, each of which is checked on its own. By
        default the column that a note of :func:`lawful.read_runs` would name, if any.
    select, columns, weights, as_is, best_of_cell, where, drop, group_by, row_of_run, fill_down
        As for :func:`lawful.read_runs`.
    signed : bool
        Take rows whose loss is zero or negative for runs, and refuse them in a sentence: every rule compares shares of
        the loss. Otherwise they are flagged ``invalid_value``.

    Returns
    -------
    Checked
        ``outlier`` and ``reason`` per row, ``counts`` per rule, and the ``kept`` runs.

    Raises
    ------
    InputError
        If the table cannot be read, or has no columns for the quantities.
    UnsupportedError
        If runs are given with select, columns or weights, or the request makes no sense; if a loss of such runs, or of
        a table read as ``signed``, is not above zero.

    References
    ----------
    .. [1] Czech et al. (2026), "Problems with Chinchilla Approach 2", arXiv:2603.22339,
       whose pipeline has these rules and numbers.

    Examples
    --------
    A sweep with a crashed run and a size that was trained twice:

    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e19, 1e20], 9, surface=truth), noise=0.001, seed=1)
    >>> table = {"N": [*runs.N, runs.N[3], 1e9], "D": [*runs.D, runs.D[3], 1e9], "loss": [*runs.L, 3.5, "nan"]}
    >>> checked = lawful.check(table)
    >>> checked
    Checked(20 rows, 18 kept: invalid_value 1, exact_duplicate 1)
    >>> checked.reason[-2:].tolist()
    ['exact_duplicate', 'invalid_value']
    >>> fit = lawful.fit(checked.kept)
    """
    if isinstance(table, Runs):
        table.require_above_zero(*ABOVE_ZERO).require()
        if select or columns or weights or group_by:
            msg = "These runs were read already; give select, columns and weights when reading their table."
            raise UnsupportedError(msg)
        given = _from_runs(table)
    else:
        given = _from_table(
            table,
            select,
            columns,
            weights,
            Handling(
                as_is,
                where=where,
                drop=drop,
                group_by=group_by,
                row_of_run=row_of_run,
                fill_down=fill_down,
                signed=signed,
            ),
        )
    key, codes, names = _experiments(given, by)
    experiments = {}
    reason = np.full(codes.size, INVALID, dtype=object)
    for code, name in enumerate(names):
        index = np.flatnonzero((codes == code) & given.valid)
        if index.size:
            experiments[name] = given.build(index, {} if key is None else {key: name})
            reason[index] = _reasons(experiments[name], thresholds, best_of_cell=best_of_cell)
    usable = np.flatnonzero(given.valid)
    runs = given.build(usable, {}) if usable.size and key is not None else experiments.get(WHOLE)
    notes = () if runs is None else tuple(note for note in runs.notes if note.code != "several_experiments")
    if key is not None:
        text = f"The table holds {len(names)} experiments (column {key!r}: {listed(names, VALUES_OFFERED)})"
        notes += (Note("check_by", f"{text}; the rules ran on each apart."),)
    notes = _without_sweep(notes, reason) + _replicates(given.labels, reason) + _judged_by(experiments)
    return Checked(
        reason=reason,
        row=given.rows.row,
        experiment=np.array(names, dtype=object)[codes],
        columns=given.rows.columns,
        runs=runs,
        experiments=experiments,
        by=key,
        thresholds=thresholds,
        notes=notes,
    )


def _replicates(labels: Mapping[str, AnyArray], reason: AnyArray) -> tuple[Note, ...]:
    """Say so where the published rule for duplicates meets seeds of one run: it then keeps the luckiest."""
    key = next((name for name in labels if normalise(name) in SEED_NAMES), None)
    flagged = int((reason == "exact_duplicate").sum())
    if key is None or not flagged or len(distinct(labels[key])[0]) < 2:
        return ()
    message = (
        f"{flagged} runs flagged exact_duplicate share N and budget with a better run, but column {key!r} tells seeds "
        "apart: replicates are no duplicates, and the best of them is the luckiest. Fit all rows to keep them."
    )
    return (Note("replicates_flagged", message),)


def _reasons(runs: Runs, thresholds: Thresholds, *, best_of_cell: bool) -> AnyArray:
    """Apply the rules to the best of every cell alone where that was asked for, else to all runs."""
    if runs.order is not None:
        reason = np.empty(len(runs), dtype=object)
        reason[runs.order] = _reasons(runs.ordered, thresholds, best_of_cell=best_of_cell)
        return reason
    if not best_of_cell:
        return apply_rules(runs, thresholds)
    runs.require()
    reason = np.full(len(runs), NOT_BEST, dtype=object)
    kept = best_of_cells(runs.L, cells_of(runs.N, runs.D))
    reason[kept] = apply_rules(runs.take(kept), thresholds)
    return reason


def _without_sweep(notes: tuple[Note, ...], reason: AnyArray) -> tuple[Note, ...]:
    """Say that the best of each cell is kept where that is so, in place of the advice to do it."""
    worse = int((reason == NOT_BEST).sum())
    if not worse:
        return notes
    text = (
        f"The best run of each cell of one N and D is kept: {worse} of {reason.size} runs have another one below them."
    )
    return (*(note for note in notes if note.code != "hyperparameter_sweep"), Note("best_of_cell", text))


def _judged_by(experiments: Mapping[str, Runs]) -> tuple[Note, ...]:
    """Say which experiments were judged against a surface."""
    names = [name for name, runs in experiments.items() if against_surface(runs)]
    if not names:
        return ()
    which = "" if names == [WHOLE] else f" of {listed(map(repr, names), VALUES_OFFERED)}"
    small = [name for name in names if len(experiments[name]) < FEWEST]
    few = f", if of {FEWEST} or more" if small else ""
    text = (
        f"The runs{which} do not stand in budgets with several sizes each, so no IsoFLOP curve judges them: each was "
        f"compared with the law through the other runs{few}."
    )
    return (Note("check_surface", text),)


def apply_rules(runs: Runs, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> AnyArray:
    """
    Apply rules 1 to 7 to the runs of one experiment, or judge them against a surface if it is no IsoFLOP design.

    Parameters
    ----------
    runs : Runs
        Valid runs with their budget groups.
    thresholds : Thresholds
        Numbers of the rules.

    Returns
    -------
    array of str, shape (n,)
        Code of the first rule that flags each run, ``"none"`` where none does.

    Examples
    --------
    >>> apply_rules(Runs.from_arrays([1e8, 2e8], [2e9, 1e9], [3.1, 3.2])).tolist()
    ['too_few_points', 'too_few_points']
    """
    reason = np.full(len(runs), KEPT, dtype=object)
    if against_surface(runs):
        for code, flagged in surface_flags(runs).items():
            reason[flagged] = code
        return reason
    # Rules need the numbers alone; labels would be copied from rule to rule.
    numbers = Runs.from_arrays(runs.N, runs.D, runs.L, C=runs.C, groups=(runs.group.copy(), runs.budgets.copy()))
    gross, enough = np.zeros(len(runs), dtype=bool), np.ones(len(runs), dtype=bool)
    for rule in RULES:
        left = np.flatnonzero(reason == KEPT)
        if rule.code == "too_few_points" and left.size:
            gross[left[gross_strays(numbers.take(left))]] = True
            enough = np.bincount(runs.group[left], minlength=runs.budgets.size)[runs.group] >= thresholds.min_points
            reason[gross] = "spline_outlier"
            left = np.flatnonzero(reason == KEPT)
        if left.size:
            rows: IntArray = left[rule.flag(numbers.take(left), thresholds)]
            if gross.any():
                rows = rows[~_excused(rule.code, numbers, gross, reason == KEPT, enough)[rows]]
            reason[rows] = rule.code
    return reason


FEWEST_AFTER_GROSS = 4
"""Runs that a budget of enough sizes must have left once those that diverged are gone."""


def _excused(code: str, runs: Runs, gross: BoolArray, kept: BoolArray, enough: BoolArray) -> BoolArray:
    """
    Runs that a rule flags only for the gap that a diverged run has left beside them, shape (n,).

    A spline across the gap misses its neighbours, and the budget counts as many sizes as were run.
    """
    beside = np.isin(runs.group, runs.group[gross])
    if code == "spline_outlier":
        stray = np.zeros(len(runs), dtype=bool)
        rest = np.flatnonzero(~gross)
        stray[rest[strays(runs.take(rest))]] = True
        return beside & ~stray
    if code in ("too_few_points", "too_few_post_qc"):
        left = np.bincount(runs.group[kept], minlength=runs.budgets.size)[runs.group]
        return beside & enough & (left >= FEWEST_AFTER_GROSS)
    return np.zeros(len(runs), dtype=bool)


@dataclass(frozen=True, eq=False)
class _Given:
    """Rows to be checked: which have usable values, which columns are labels, and how they become runs."""

    rows: Rows
    valid: BoolArray
    labels: Mapping[str, AnyArray]
    build: Callable[[IntArray, Mapping[str, str]], Runs]
    measures: Sequence[AnyArray]


def _from_runs(runs: Runs) -> _Given:
    columns = dict(runs.table) or {"params": runs.N, "tokens": runs.D, "loss": runs.L, "budget": runs.C, **runs.labels}
    rows = Rows(columns, list(columns), row_numbers(runs), runs.source, runs.selection)
    # Not read anew: these runs know their budget groups.
    return _Given(
        rows, np.ones(len(runs), dtype=bool), runs.labels, lambda index, _: runs.take(index), (runs.N, runs.group)
    )


def _from_table(
    table: Any, select: Selection | None, columns: Mapping[str, str] | None, weights: str | None, handling: Handling
) -> _Given:
    data, header, source = load_columns(table)
    whole, roles, said = opened(data, source, header, columns, handling)
    rows, more = narrowed(select_rows(whole, roles, select or {}), roles, handling)
    rows, ended = finished(rows, as_is=handling.as_is)
    rows, roles, notes = budgets_from_names(rows, roles)
    notes = [*said, *more, *ended, *notes]
    labels = {key: column for key, column in rows.columns.items() if key not in {*roles.values(), weights}}

    def build(index: IntArray, chosen: Mapping[str, str]) -> Runs:
        return table_runs(rows.take(index, chosen), roles, weights=weights, notes=notes, handling=handling)

    measures = [rows.columns[roles[quantity]] for quantity in ("params", "budget") if quantity in roles]
    valid = _valid(rows, roles, signed=handling.signed, as_is=handling.as_is)
    if handling.signed and valid.any():
        build(np.flatnonzero(valid), {}).require_above_zero(*ABOVE_ZERO)
    return _Given(rows, valid, labels, build, measures)


ABOVE_ZERO = ("The check compares shares of the loss, so it", "fit all runs, or choose some with `where`")
"""What takes losses above zero alone, and what would do."""


def _valid(rows: Rows, roles: Mapping[str, str], *, signed: bool = False, as_is: bool = False) -> BoolArray:
    """Rule 0: keep the rows whose N, D, C and loss, given or implied, are finite, above zero and plausible."""
    given = {quantity: quantity_or_nan(key, rows.columns[key], rows.row) for quantity, key in roles.items()}
    name, implied = third_quantity(given)
    every = {**given, f"implied {name}" if name in given else name: implied}
    if "loss" in given and loss_unit(roles["loss"]) == NATS and not as_is:
        finite = np.isfinite(given["loss"])
        every["loss"][finite] = np.where(far_above(given["loss"][finite]), np.inf, given["loss"][finite])
    return np.asarray(np.all([_usable(name, v, free=signed and name == "loss") for name, v in every.items()], axis=0))


def _usable(name: str, values: Array, *, free: bool = False) -> BoolArray:
    """What the door of a fit lets in: finite and above zero, and N, D and loss within what units allow."""
    usable = np.isfinite(values) & ((values > 0) | free)
    return usable & plausible(values, signed=free) if name in ("params", "tokens", "loss") else usable


def _experiments(given: _Given, by: str | None) -> tuple[str | None, IntArray, list[str]]:
    """Return the column that tells experiments apart, the experiment of each row, and their names."""
    if by is None:
        key = experiment_column(given.labels, given.rows.selection, given.measures)
    else:
        key = find_column(by, given.rows.keys, given.rows.header, asked="by")
    if key is None:
        return None, np.zeros(given.rows.row.size, dtype=np.intp), [WHOLE]
    values, codes = distinct(given.rows.columns[key])
    return key, codes, [value_text(value) or "(missing)" for value in values]


def _unused(name: str, columns: Mapping[str, Any]) -> str:
    """Return a name for our column that leaves the user's columns theirs."""
    while name in columns:
        name = f"{name}_check"
    return name
