"""Training runs: validated once at the door, trusted below it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lawful.core.cost import Cost
from lawful.core.notes import Note
from lawful.core.typing import AnyArray, Array, BoolArray, IntArray
from lawful.data.checkpoints import distinct_within
from lawful.data.columns import UNIQUE_NAMES, listed, missing_sentence, normalise
from lawful.data.methods import RunsMethods
from lawful.data.values import (
    column_values,
    naming,
    offenders,
    quantity_values,
    require_plausible,
    require_positive,
    weights_of,
)
from lawful.errors import InputError, UnsupportedError

BUDGET_TOLERANCE = 0.10
"""Runs whose compute lies within this fraction count as one budget."""

SAME_BUDGET = 1e-9
"""Relative difference below which two nominal budgets are the same number, rounded differently."""


COMPLETE = ("N", "D", "C")
"""What runs have unless a law of one column needs less."""


def completed(n: Array, d: Array, c: Array) -> tuple[Array, Array, Array]:
    """
    Work out the third of N, D and C where two are known; NaN stands for what is not known.

    Examples
    --------
    >>> n, d, c = completed(np.array([1e8]), np.array([np.nan]), np.array([1.2e18]))
    >>> d.tolist()
    [2000000000.0]
    """
    cost = Cost()
    if np.isnan(c[0]):
        c = np.asarray(cost.flops(n, d))
    if np.isnan(n[0]):
        n = np.asarray(cost.params(budget=c, tokens=d))
    if np.isnan(d[0]):
        d = np.asarray(cost.tokens(budget=c, params=n))
    return n, d, c


def group_budgets(C: Array, tolerance: float = BUDGET_TOLERANCE) -> tuple[IntArray, Array]:
    """
    Group runs by compute where no nominal budget is known.

    Where the runs stand in heaps that are far narrower than the gaps between them, the heaps are the budgets
    (see :func:`heaps`), however their compute is spread inside. Otherwise, walking up in log C, a gap of more than
    ``tolerance`` starts a new group; a cluster that is wider than ±``tolerance`` around its centre is cut again, from
    its lowest run upwards, into pieces no wider than ``tolerance``.

    Parameters
    ----------
    C : array, shape (n,)
        Compute per run in FLOPs, > 0.
    tolerance : float
        Largest relative difference inside a group.

    Returns
    -------
    group : int array, shape (n,)
        Group of each run, counted from the lowest budget.
    budgets : array, shape (g,)
        Geometric mean of the compute in each group.

    Examples
    --------
    >>> group, budgets = group_budgets(np.array([1.0e18, 1.03e18, 9.7e18, 1.0e19]))
    >>> group.tolist()
    [0, 0, 1, 1]
    """
    order = np.argsort(C, kind="stable")
    # The slack keeps two runs exactly a tolerance apart together, however their logs are rounded.
    logs, step = np.log(C[order]), np.log1p(tolerance) * (1 + 1e-12)
    starts: list[int] = heaps(logs)
    for first, last in _clusters(logs, step) if not starts else ():
        starts.append(first)
        if logs[last - 1] - logs[first] <= 2 * step:
            continue
        while (cut := int(np.searchsorted(logs[:last], logs[starts[-1]] + step, side="right"))) < last:
            starts.append(cut)
    group, sizes = _label_sorted(order, np.array(starts, dtype=np.intp))
    return group, np.exp(np.add.reduceat(logs, starts) / sizes)


HEAP_WIDTH = 0.5
"""Range of log C within a heap, at most: ±28% around a budget, as counting embeddings or rounding steps spreads it."""

HEAP_GAP = 2.0
"""A gap between heaps is this many times the range of the widest heap, at least."""


def heaps(logs: Array) -> list[int]:
    """
    Where the heaps of ascending values start, if the values stand in heaps; empty otherwise.

    Every way to cut at the widest gaps is tried; of those whose heaps are narrower than :data:`HEAP_WIDTH`, the one
    with the smallest gap furthest above its widest heap is taken, if by :data:`HEAP_GAP` and with three values or more
    per heap on average.

    Examples
    --------
    >>> heaps(np.log([0.9, 1.0, 1.12, 2.7, 3.0, 3.3]))
    [0, 3]
    >>> heaps(np.linspace(0.0, 3.0, 12))
    []
    """
    # Seeds of one run have the same compute: copies of a value make no heap.
    firsts = np.concatenate([[0], np.flatnonzero(np.diff(logs) > SAME_BUDGET) + 1])
    values = logs[firsts]
    gaps = np.diff(values)
    order = np.argsort(gaps, kind="stable")[::-1]
    best, found = HEAP_GAP, list[int]()

    @cache
    def narrowest(count: int) -> tuple[float, Array]:
        cuts = np.sort(order[:count]) + 1
        starts = np.concatenate([[0], cuts])
        width = float((values[np.concatenate([cuts, [values.size]]) - 1] - values[starts]).max())
        return max(width, SAME_BUDGET), starts

    # More cuts leave narrower heaps and a smaller gap, so a range of counts whose widest gap is too small for its
    # narrowest heaps has no answer in it: of a million values, few counts are looked at.
    ranges = [(1, max(values.size // 3, 1) - 1)]
    while ranges:
        low, high = ranges.pop()
        if low > high or gaps[order[low - 1]] < best * narrowest(high)[0] or narrowest(high)[0] > HEAP_WIDTH:
            continue
        if low == high:
            width, starts = narrowest(low)
            best, found = float(gaps[order[low - 1]]) / width, firsts[starts].tolist()
            continue
        middle = (low + high) // 2
        ranges += [(middle + 1, high), (low, middle)]
    return found


def distinct_budgets(C: Array, N: Array | None = None) -> tuple[IntArray, Array, float]:
    """
    Group runs by the exact value of their compute, up to rounding.

    Parameters
    ----------
    C : array, shape (n,)
        Compute per run in FLOPs, > 0.
    N : array, shape (n,), optional
        Parameters. Where given, only a run of another size shares a budget: seeds of one
        run have the same measured FLOPs too.

    Returns
    -------
    group : int array, shape (n,)
        Group of each run, counted from the lowest budget.
    budgets : array, shape (g,)
        The distinct values, ascending.
    shared : float
        Fraction of the runs whose value is shared with another run: a column of
        nominal budgets has a large one, a column of measured FLOPs a small one.

    Examples
    --------
    >>> group, budgets, shared = distinct_budgets(np.array([1e19, 1e18, 1e19, 3e19]))
    >>> group.tolist(), budgets.tolist(), shared
    ([1, 0, 1, 2], [1e+18, 1e+19, 3e+19], 0.5)
    """
    order = np.argsort(C, kind="stable")
    values = C[order]
    starts = np.array([first for first, _ in _clusters(np.log(values), SAME_BUDGET)], dtype=np.intp)
    group, sizes = _label_sorted(order, starts)
    kinds = sizes if N is None else distinct_within(group, N)
    return group, values[starts], float(sizes[kinds > 1].sum() / C.size)


def _clusters(logs: Array, gap: float) -> list[tuple[int, int]]:
    """Half-open ranges of ascending values between gaps."""
    edges = [0, *(np.flatnonzero(np.diff(logs) > gap) + 1).tolist(), logs.size]
    return list(pairwise(edges))


def _label_sorted(order: IntArray, starts: IntArray) -> tuple[IntArray, IntArray]:
    """Return the group of each run and the sizes of the groups, from where they start in sorted order."""
    sizes = np.diff(starts, append=order.size)
    group = np.empty(order.size, dtype=np.intp)
    group[order] = np.repeat(np.arange(starts.size), sizes)
    return group, sizes


def scrambled(values: Array) -> AnyArray:
    """
    Mix the bits of numbers into an order that is their own, and has nothing to do with their size.

    Seeds of one N and D stand side by side. In the order of their losses they would resemble their neighbours whatever
    the noise, and what looks along the sizes for errors that neighbours share would find one.

    Examples
    --------
    >>> mixed = scrambled(np.linspace(3.0, 4.0, 1000)).astype(float)
    >>> bool(abs(np.corrcoef(mixed, np.arange(1000))[0, 1]) < 0.1)
    True
    """
    bits = np.ascontiguousarray(values, dtype=np.float64).view(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return bits ^ (bits >> np.uint64(31))


def order_of(keys: Sequence[AnyArray], labels: Mapping[str, AnyArray]) -> IntArray | None:
    """
    Positions of rows in ascending order, the first key first; None where they stand in it already.

    Labels settle it between rows that agree in every key.

    Examples
    --------
    >>> order_of((np.array([2.0, 1.0, 1.0]),), {"name": np.array(["a", "c", "b"])}).tolist()
    [2, 1, 0]
    >>> order_of((np.array([1.0, 1.0, 2.0]),), {}) is None
    True
    """
    order = np.lexsort(keys[::-1])
    same = np.ones(order.size - 1, dtype=bool)
    for key in keys:
        values = key[order]
        same &= (values[1:] == values[:-1]) | ((values[1:] != values[1:]) & (values[:-1] != values[:-1]))
    if same.any() and labels:
        # A tie is a stretch of equal rows; its number is the first key of the second sort.
        tied = np.flatnonzero(np.concatenate([same, [False]]) | np.concatenate([[False], same]))
        stretch = np.concatenate([[0], np.cumsum(~same)])[tied]
        texts = [np.array([str(v) for v in labels[name][order[tied]].tolist()]) for name in sorted(labels)]
        order[tied] = order[tied][np.lexsort((*texts[::-1], stretch))]
    return None if (order[1:] > order[:-1]).all() else order


@dataclass(frozen=True, eq=False)
class Runs(RunsMethods):
    """
    Training runs as arrays, one entry per run, in the order of the table.

    Build it with :func:`lawful.read_runs`; every array is float64, finite,
    positive (but for a loss that was read as :attr:`signed`), and read-only.

    Parameters
    ----------
    N, D, L, C : array, shape (n,)
        Parameters, tokens, loss (nats per token) and FLOPs; all NaN where the table does not say
        (:meth:`has`), which laws that do not read them allow.
    weight : array, shape (n,)
        Non-negative weights.
    group : int array, shape (n,)
        Budget group of each run, an index into ``budgets``.
    budgets : array, shape (g,)
        Budgets of the groups in FLOPs, ascending.
    labels : mapping of str to array
        Every other column of the table, kept for later use.
    columns : mapping of str to str
        Which column of the source gave ``params``, ``tokens``, ``loss``, ``budget``,
        ``weight``; a derived quantity is absent.
    selection : mapping of str to str
        The values that ``select`` asked for.
    source : str
        Path of the file, or a word for where the table came from.
    notes : tuple of Note
        What was derived or assumed on the way in.
    table : mapping of str to array
        Every column of the source as it was read, in its order, for writing the runs out again.
    row : int array, shape (n,), optional
        Row of each run in the source, counted from 1 below the header.

    Examples
    --------
    >>> runs = Runs.from_arrays([1e8, 2e8], [2e9, 1e9], [3.1, 3.2])
    >>> runs
    Runs(2 runs, 1 budgets, source='arrays')
    >>> runs.C.tolist()
    [1.2e+18, 1.2e+18]
    """

    N: Array
    D: Array
    L: Array
    C: Array
    weight: Array
    group: IntArray
    budgets: Array
    labels: Mapping[str, AnyArray] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    selection: Mapping[str, str] = field(default_factory=dict)
    source: str = "arrays"
    notes: tuple[Note, ...] = ()
    table: Mapping[str, AnyArray] = field(default_factory=dict)
    row: IntArray | None = None

    @classmethod
    def from_arrays(
        cls,
        N: ArrayLike | None,
        D: ArrayLike | None,
        L: ArrayLike,
        *,
        C: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        groups: tuple[IntArray, Array] | None = None,
        signed: bool = False,
        **record: Any,
    ) -> Runs:
        """
        Build runs from arrays; C = 6ND and weight one where they are not given.

        Parameters
        ----------
        N, D : array_like, shape (n,), or None
            Parameters and tokens, > 0. Of N, D and C two imply the third; laws of one column need
            that column alone, and the others are then not known.
        L : array_like, shape (n,)
            Loss (nats per token), > 0 unless ``signed``.
        C : array_like, shape (n,), optional
            Training FLOPs, > 0. A given C is nominal, so its distinct values are the
            budgets; a derived one is grouped within 10%.
        weight : array_like, shape (n,), optional
            Non-negative weights.
        groups : (int array, array), optional
            Budget group of each run, and the budgets, where they are known.
        signed : bool
            Let the loss be zero or negative; a formula that names its column can be fitted to it.
        **record
            Other fields of the record, such as ``labels`` or ``source``.

        Raises
        ------
        InputError
            If an array is empty, of another length, or holds text, NaN, zero or a negative number.

        Examples
        --------
        >>> Runs.from_arrays([1e8, 2e8], [2e9, 1e9], [3.1, -3.2])
        Traceback (most recent call last):
            ...
        lawful.errors.InputError: 1 of 2 runs has NaN, infinity, zero or a negative number where one above zero is \
needed: column 'L', row 2 (-3.2); repair or remove such rows, or set them aside with `check`, or with `drop` nan.
        """
        given = {"N": N, "D": D, "L": L, "C": C, "weight": weight}
        # Copies: freezing must not reach into an array of the caller.
        clean = {name: column_values(name, values) for name, values in given.items() if values is not None}
        sizes = {name: values.size for name, values in clean.items()}
        if len(set(sizes.values())) > 1 or not sizes["L"]:
            told = ", ".join(f"{size} in {name}" for name, size in sizes.items())
            msg = f"Runs need one entry per run in every array, and at least one run; got {told}."
            raise InputError(msg)
        row = record.pop("row", np.arange(1, sizes["L"] + 1, dtype=np.intp))
        w = weights_of("weight", clean.pop("weight", np.ones(row.size)), row)
        values = {name: quantity_values(name, array, row) for name, array in clean.items()}
        require_positive(values, row, loss="L" if signed else "", signed=signed)
        n, d, c = completed(*(values.get(name, np.full(row.size, np.nan)) for name in ("N", "D", "C")))
        loss = values["L"]
        known = {name: x for name, x in (("params", n), ("tokens", d), ("loss", loss)) if not np.isnan(x[0])}
        require_plausible(known, row, signed=signed)
        if groups is None and np.isnan(c[0]):
            groups = np.zeros(row.size, dtype=np.intp), np.array([np.nan])
        elif groups is None:
            groups = group_budgets(c) if C is None else distinct_budgets(c)[:2]
        for array in (n, d, loss, c, w, *groups, row):
            array.setflags(write=False)
        return cls(n, d, loss, c, w, *groups, row=row, **record)

    def __len__(self) -> int:
        return self.N.size

    def __repr__(self) -> str:
        known = [name for name in COMPLETE if self.has(name)]
        what = f"{self.budgets.size} budgets" if self.has("C") else f"{' and '.join(known) or 'loss'} alone"
        return f"Runs({len(self)} runs, {what}, source={self.source!r})"

    def has(self, name: str) -> bool:
        """
        Whether a column that a law may name is known: N, D, C, U or one of the table.

        Examples
        --------
        >>> runs = Runs.from_arrays(None, [2e9, 1e9], [3.1, 3.2])
        >>> runs.has("D"), runs.has("N"), runs.has("U")
        (True, False, False)
        """
        if name in COMPLETE:
            return not np.isnan(getattr(self, name)[0])
        return bool(self._labels_of(name))

    def require(self, needs: Sequence[str] = COMPLETE, also: str = "") -> Runs:
        """
        Return the runs if they have these columns.

        Parameters
        ----------
        needs : sequence of str
            N, D, C, U or columns of the table.
        also : str
            A further remedy for the sentence.

        Raises
        ------
        InputError
            Says which are missing, and what to do.
        """
        lacking = [name for name in needs if not self.has(name)]
        if set(lacking) & set(COMPLETE):
            sentence = missing_sentence(list(self.table or self.columns.values()), self.columns or {"loss": "L"})
            raise InputError(sentence.removesuffix(".") + also + ".")
        for name in lacking:
            self.label_of(name)
        return self

    @property
    def signed(self) -> bool:
        """
        Whether a loss is zero or negative, so that no logarithm and no share of it can be taken.

        Examples
        --------
        >>> Runs.from_arrays([1e8, 2e8], [2e9, 1e9], [0.1, -0.2], signed=True).signed
        True
        """
        return bool((self.L <= 0).any())

    def require_above_zero(self, asked: str, remedy: str = "") -> Runs:
        """
        Return the runs if every loss is above zero.

        Parameters
        ----------
        asked : str
            What takes logarithms or shares of the loss, as the sentence begins.
        remedy : str
            What would do, as it ends; a formula that names the column of the loss if not given.

        Raises
        ------
        UnsupportedError
            Says which are not.
        """
        bad = np.flatnonzero(self.L <= 0)
        if bad.size:
            rows = np.arange(1, len(self) + 1) if self.row is None else self.row
            column = self.columns.get("loss", "L")
            msg = (
                f"{asked} needs losses above zero, and {bad.size} of {len(self)} in column {column!r} are not: "
                f"{offenders(rows[bad], self.L[bad].tolist())}; "
                f"{remedy or f'only a formula that names the column is fitted to such, {naming(column)}'}."
            )
            raise UnsupportedError(msg)
        return self

    @property
    def counted(self) -> BoolArray:
        """Whether a run counts, shape (n,): a weight of zero sets it aside."""
        return self.weight > 0

    @property
    def precision(self) -> Array:
        """What the variance of a run's noise is divided by, shape (n,): its weight, and one where it does not count."""
        return np.where(self.counted, self.weight, 1.0)

    @cached_property
    def sizes_per_budget(self) -> IntArray:
        """Number of distinct model sizes in each budget group, shape (g,)."""
        order = np.lexsort((self.N, self.group))
        group, sizes = self.group[order], self.N[order]
        # Sizes that the table does not tell (NaN) count as one.
        new = np.ones(group.size, dtype=bool)
        new[1:] = (group[1:] != group[:-1]) | ~(
            (sizes[1:] == sizes[:-1]) | (np.isnan(sizes[1:]) & np.isnan(sizes[:-1]))
        )
        return np.bincount(group[new], minlength=self.budgets.size).astype(np.intp)

    @property
    def sha256(self) -> str:
        """Hash of the numbers (N, D, L, C, weight), for provenance."""
        digest = hashlib.sha256()
        for array in (self.N, self.D, self.L, self.C, self.weight):
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()

    def take(self, index: AnyArray) -> Runs:
        """Return the runs at an index array or boolean mask; empty budget groups disappear."""
        group_of, group = np.unique(self.group[index], return_inverse=True)
        return replace(
            self,
            **{name: getattr(self, name)[index] for name in ("N", "D", "L", "C", "weight")},
            group=group.astype(np.intp),
            budgets=self.budgets[group_of],
            labels={name: column[index] for name, column in self.labels.items()},
            table={name: column[index] for name, column in self.table.items()},
            row=None if self.row is None else self.row[index],
        )

    @cached_property
    def ordered(self) -> Runs:
        """
        The same runs in the one order in which all arithmetic takes them: by budget, then by size.

        A sum of floats depends on the order of its terms, and a search by tolerance magnifies that; a table whose rows
        were shuffled would have another answer in the eleventh digit, and other bootstrap draws. Runs that agree in
        every number stand in the order of their labels; :attr:`row` says where each came from.

        Examples
        --------
        >>> runs = Runs.from_arrays([2e8, 1e8], [1e9, 2e9], [3.2, 3.1])
        >>> runs.ordered.N.tolist(), runs.ordered.row.tolist()
        ([100000000.0, 200000000.0], [2, 1])
        >>> runs.ordered.ordered is runs.ordered
        True
        """
        return self if self.order is None else self.take(self.order)

    @cached_property
    def order(self) -> IntArray | None:
        """Positions of the runs of :attr:`ordered` among these; None where these are in order."""
        return order_of((self.group, self.N, self.D, scrambled(self.L), self.C, self.weight), self.labels)

    def as_in(self, table: Runs) -> Runs:
        """Return these runs, which are :attr:`ordered` of a table or have its rows, in the order of the table."""
        if self is table.ordered or table.order is None:
            return table if self is table.ordered else self
        back = np.empty_like(table.order)
        back[table.order] = np.arange(back.size)
        return self.take(back)

    def column(self, name: str) -> Array:
        """
        Return a column that a law names: N, D, C, U (unique tokens) or a column of the table, shape (n,).

        Raises
        ------
        InputError
            If the table has no such column, or it holds values that are no finite numbers; unique tokens are positive.
            Whether a law can take zeros is for :func:`lawful.laws.formula.check_columns` to say.

        Examples
        --------
        >>> runs = Runs.from_arrays([1e8], [2e9], [3.1], labels={"unique_tokens": np.array([1e9])})
        >>> runs.column("U")
        array([1.e+09])
        """
        if name in COMPLETE:
            return np.asarray(getattr(self.require((name,)), name))
        label = self.label_of(name)
        try:
            values = np.asarray(self.labels[label], dtype=float)
        except (TypeError, ValueError):
            values = np.full(len(self), np.nan)
        bad = np.flatnonzero(~(np.isfinite(values) & ((values > 0) | (name != "U"))))
        if bad.size:
            kind = "positive" if name == "U" else "finite"
            msg = (
                f"The law reads column {label!r}, so its values must be {kind} numbers; {bad.size} of "
                f"{values.size} are not (first: run {bad[0] + 1})."
            )
            raise InputError(msg)
        return values

    @property
    def taken(self) -> dict[str, str]:
        """
        Columns of the table that were taken for N, D or C, by their names there.

        Examples
        --------
        >>> runs = lawful.read_runs({"active_params": [1e8, 2e8], "tokens": [2e9, 1e9], "loss": [3.1, 3.2]})
        >>> runs.taken
        {'active_params': 'N', 'tokens': 'D'}
        """
        symbols = {"params": "N", "tokens": "D", "budget": "C"}
        return {self.columns[q]: symbol for q, symbol in symbols.items() if q in self.columns}

    def label_of(self, name: str) -> str:
        """
        Name among the labels of a column that a law names: U has several names, any other its own.

        Raises
        ------
        InputError
            If the table has no such column.
        """
        found = self._labels_of(name)
        if not found:
            what = f"unique tokens ({', '.join(UNIQUE_NAMES)})" if name == "U" else f"{name!r}"
            msg = f"The law needs a column of {what}, and the runs have none; their columns are {listed(self.labels)}."
            raise InputError(msg)
        return found[0]

    def _labels_of(self, name: str) -> list[str]:
        wanted = {normalise(n) for n in UNIQUE_NAMES} if name == "U" else {name}
        return [key for key in self.labels if key in wanted or (name == "U" and normalise(key) in wanted)]

    def with_notes(self, *notes: Note) -> Runs:
        """Return the same runs with notes added."""
        return replace(self, notes=self.notes + notes)
