"""bench(): forecasters on public hold-outs and on simulated ones, scored the same way, with paired differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Record, Shown
from lawful.core.typing import Array, BoolArray
from lawful.errors import IdentificationError, LawfulError, UnsupportedError
from lawful.forecasting.ensemble import Ensemble
from lawful.forecasting.guesses import FORECASTERS, Guess, Guesser, forecasters_of
from lawful.forecasting.sets import KINDS, HoldOutSet, Split, simulated_sets, splits
from lawful.forecasting.widths import Judged, Misses, judge

LEVELS = (0.5, 0.9)
"""Levels of the intervals that are scored."""

TARGETS = (10.0, 100.0)
"""Times the largest compute at which N* is compared with a known truth."""

RESAMPLES = 2000
"""Draws of families behind the interval of a paired difference."""


@dataclass(frozen=True, slots=True)
class Row(Record):
    """
    One forecaster on one split of one set.

    Attributes
    ----------
    set, family, kind, forecaster : str
    fitted, held : int
        Runs fitted and forecast.
    beyond : float
        Largest forecast compute over the largest that was fitted.
    error : float
        Median of (forecast - observed)/observed; positive where forecasts are too high.
    miss : float
        Median of its absolute value.
    coverage50, coverage90 : float
        Share of the held-out runs inside, among those for which every forecaster with intervals has one; NaN without.
    score50, score90 : float
        Mean interval score over the observed loss (Gneiting & Raftery 2007); smaller is better.
    silent : int
        Held-out runs for which it gives no interval.
    waste : float
        Largest share of the budget that its N* wastes at 10 and 100 times the compute, where the truth is known.
    seconds : float
    trouble : str
        Why it could not forecast, empty otherwise.
    """

    set: str
    family: str
    kind: str
    forecaster: str
    fitted: int
    held: int
    beyond: float
    error: float = np.nan
    miss: float = np.nan
    coverage50: float = np.nan
    coverage90: float = np.nan
    score50: float = np.nan
    score90: float = np.nan
    silent: int = 0
    waste: float = np.nan
    seconds: float = np.nan
    trouble: str = ""

    @property
    def simulated(self) -> bool:
        """Whether the set was made here, from a known truth."""
        return self.family.startswith("simulated")


@dataclass(frozen=True, slots=True)
class Paired(Record):
    """
    Mean of a score over sets, one forecaster less the first, with an interval over families.

    Attributes
    ----------
    forecaster, reference, kind, quantity : str
    mean : float
        Negative where ``forecaster`` is better.
    interval : (float, float)
        90%, from resampling families.
    sets : int
    """

    forecaster: str
    reference: str
    kind: str
    quantity: str
    mean: float
    interval: tuple[float, float]
    sets: int


@dataclass(frozen=True, eq=False)
class Bench(Shown):
    """
    What :func:`bench` found.

    Attributes
    ----------
    rows : tuple of Row
    misses : Misses or None
        Forecast runs of the averaged forecast on public sets, from which its width is derived.
    altered : tuple of str
        Sets whose file is not the one of the registry.

    Examples
    --------
    >>> found = bench(simulated_sets()[:1], ["chinchilla"], kinds=["top quarter"])
    >>> found.rows[0].forecaster, found.rows[0].held, found.rows[0].miss < 0.05
    ('chinchilla', 9, True)
    """

    rows: tuple[Row, ...]
    misses: Misses | None = None
    altered: tuple[str, ...] = ()

    @property
    def forecasters(self) -> tuple[str, ...]:
        """Names, in the order asked for."""
        return tuple(dict.fromkeys(one.forecaster for one in self.rows))

    def values(self, quantity: str, forecaster: str, kind: str, *, public: bool = True) -> dict[str, float]:
        """Mean over the splits of every set that a quantity is known for, by set."""
        found: dict[str, list[float]] = {}
        for one in self.rows:
            value = getattr(one, quantity)
            wanted = one.forecaster == forecaster and one.kind == kind and public != one.simulated
            if wanted and np.isfinite(value):
                found.setdefault(one.set, []).append(value)
        return {name: float(np.mean(part)) for name, part in found.items()}

    def paired(self, quantity: str, kind: str) -> tuple[Paired, ...]:
        """Differences of a quantity against the first forecaster, over the public sets that both forecast."""
        first, *others = self.forecasters
        family = {one.set: one.family for one in self.rows}
        reference, found = self.values(quantity, first, kind), []
        for index, name in enumerate(others):
            values = self.values(quantity, name, kind)
            shared = [one for one in values if one in reference]
            if len({family[one] for one in shared}) < 2:
                continue
            gap = np.array([values[one] - reference[one] for one in shared])
            ends = _over_families(gap, np.array([family[one] for one in shared]), index)
            found.append(Paired(name, first, kind, quantity, float(gap.mean()), ends, gap.size))
        return tuple(found)

    def judged(self, *, leave_out: bool = True) -> tuple[Judged, ...]:
        """How the width of the averaged forecast does on each public set, its constants made without its family."""
        if self.misses is None or np.unique(self.misses.family).size < 2:
            return ()
        return judge(self.misses, leave_out=leave_out)

    def sheets(self) -> tuple[Sheet, ...]:
        """Absolute errors by split and forecaster, what their intervals held, and where N* is known."""
        kinds = [kind for kind in KINDS if any(one.kind == kind for one in self.rows)]
        out = []
        for public, word in ((True, "Public sets"), (False, "Simulated sets")):
            here = [one for one in self.rows if public != one.simulated]
            if here:
                out += self._tables(kinds, word, public=public)
        return tuple(out)

    def _tables(self, kinds: Sequence[str], word: str, *, public: bool) -> list[Sheet]:
        errors, held = [], []
        for name in self.forecasters:
            cells, spans = [], []
            for kind in kinds:
                values = np.array(list(self.values("miss", name, kind, public=public).values()))
                cells.append(_three(values))
                spans += [
                    _mean(self.values(quantity, name, kind, public=public)) for quantity in ("coverage90", "score90")
                ]
            errors.append(row(name, *cells))
            held.append(row(name, *spans))
        first = Sheet(
            f"{word}: absolute error of the loss in %, median, mean and largest over sets.",
            columns=("forecaster", *kinds),
            rows=tuple(errors),
        )
        heads = (head for kind in kinds for head in (f"{kind}: held", "score"))
        second = Sheet(
            f"{word}: share of runs in 90% intervals, and the interval score (width and misses, over the loss).",
            columns=("forecaster", *heads),
            rows=tuple(held),
        )
        if public:
            return [first, second]
        waste = tuple(
            row(name, *(_mean(self.values("waste", name, kind, public=False), "share") for kind in kinds))
            for name in self.forecasters
        )
        third = Sheet(
            f"{word}: share of the budget that N* wastes, the worse of 10 and 100 times the compute.",
            columns=("forecaster", *kinds),
            rows=waste,
        )
        return [first, second, third]


def _three(values: Array) -> Cell:
    if not values.size:
        return Cell(None, "text")
    return Cell(f"{100 * np.median(values):.2f} {100 * values.mean():.2f} {100 * values.max():.1f}", "text")


def _mean(values: Mapping[str, float], kind: str = "value") -> Cell:
    return Cell(float(np.mean(list(values.values()))), kind) if values else Cell(None, "text")


def _over_families(gap: Array, family: Array, seed: int) -> tuple[float, float]:
    """90% interval of a mean over sets, families drawn whole."""
    rng, names = np.random.default_rng([seed, 2007]), np.unique(family)
    parts = [gap[family == name] for name in names]
    means = np.empty(RESAMPLES)
    for i, chosen in enumerate(rng.integers(0, names.size, (RESAMPLES, names.size))):
        means[i] = np.concatenate([parts[j] for j in chosen]).mean()
    low, high = np.quantile(means, [0.05, 0.95])
    return float(low), float(high)


def bench(
    sets: Iterable[HoldOutSet] | None = None,
    forecasters: Sequence[str] | Mapping[str, Guesser] = tuple(FORECASTERS),
    *,
    kinds: Sequence[str] = KINDS,
    progress: Callable[[str], None] | None = None,
) -> Bench:
    """
    Run forecasters on hold-outs and score them.

    Parameters
    ----------
    sets : iterable of HoldOutSet, optional
        From :func:`read_sets`; the simulated ones if not given.
    forecasters : sequence of str, or mapping of str to callable
        Names of ours, or functions from (runs, params, tokens, levels) to a :class:`Guess`. The first is the one that
        the others are compared with.
    kinds : sequence of str
        Splits, among :data:`KINDS`.
    progress : callable, optional
        Told the set at hand.

    Returns
    -------
    Bench

    Raises
    ------
    UnsupportedError
        If a name is unknown, or no set can be split so.

    Examples
    --------
    A forecaster of one's own is a function:

    >>> from lawful.forecasting.guesses import Guess
    >>> def last_loss(runs, params, tokens, levels):
    ...     return Guess(np.full(params.shape, runs.L.min()))
    >>> found = bench(simulated_sets()[:1], {"last": last_loss}, kinds=["top quarter"])
    >>> found.rows[0].error > 0
    True
    """
    named = forecasters_of(forecasters)
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        msg = f"Unknown split {unknown[0]!r}; choose among {', '.join(KINDS)}."
        raise UnsupportedError(msg)
    tell, rows, past = progress or (lambda _: None), [], _Past()
    altered = []
    for one in simulated_sets() if sets is None else sets:
        tell(one.name)
        altered += [one.name] if one.altered else []
        made: dict[tuple[str, bytes], tuple[Guess | str, float]] = {}
        for split in splits(one.runs, kinds):
            key = split.train.tobytes() + split.test.tobytes()
            for name, forecast in named.items():
                if (name, key) not in made:
                    made[name, key] = _run(forecast, one, split)
            guesses = {name: made[name, key] for name in named}
            shared = _with_intervals([guess for guess, _ in guesses.values()], int(split.test.sum()))
            rows += [_scored(one, split, name, *guess, shared) for name, guess in guesses.items()]
            averages = (g.ensemble for g, _ in guesses.values() if isinstance(g, Guess) and g.ensemble is not None)
            for found in averages if one.truth is None else ():
                past.add(one, split, found)
    if not rows:
        msg = "None of the sets leaves enough runs to fit and to forecast under the splits asked for."
        raise UnsupportedError(msg)
    return Bench(tuple(rows), past.misses(), tuple(altered))


def _run(forecast: Guesser, one: HoldOutSet, split: Split) -> tuple[Guess | str, float]:
    """Forecast one split; the reason where it cannot be done."""
    train = one.runs.take(split.train)
    params, tokens = one.runs.N[split.test], one.runs.D[split.test]
    start = perf_counter()
    try:
        guess: Guess | str = forecast(train, params, tokens, LEVELS)
    except (LawfulError, IdentificationError) as error:
        guess = str(error)
    return guess, perf_counter() - start


def _with_intervals(guesses: Sequence[Guess | str], count: int) -> BoolArray:
    """Held-out runs for which every forecaster with intervals has one: intervals are compared on those."""
    shared = np.ones(count, bool)
    for guess in guesses:
        if isinstance(guess, Guess):
            for low, high in guess.intervals.values():
                shared &= np.isfinite(low) & np.isfinite(high)
    return shared


def _scored(one: HoldOutSet, split: Split, name: str, guess: Guess | str, seconds: float, shared: BoolArray) -> Row:
    runs, test = one.runs, split.test
    start = (one.name, one.family, split.kind, name, int(split.train.sum()), int(test.sum()))
    beyond = float(runs.C[test].max() / runs.C[split.train].max())
    if isinstance(guess, str):
        return Row(*start, beyond, trouble=guess, seconds=seconds)
    relative = guess.loss / runs.L[test] - 1.0
    held: dict[str, Any] = {}
    silent = int(test.sum())
    for level in LEVELS:
        if level not in guess.intervals:
            continue
        low, high = (np.asarray(end, float) for end in guess.intervals[level])
        silent = int((~(np.isfinite(low) & np.isfinite(high))).sum())
        if not shared.any():
            continue
        observed, low, high = runs.L[test][shared], low[shared], high[shared]
        outside = np.maximum(np.maximum(low - observed, observed - high), 0.0)
        word = f"{100 * level:.0f}"
        held[f"coverage{word}"] = float((outside == 0.0).mean())
        held[f"score{word}"] = float(((high - low + 2 / (1 - level) * outside) / observed).mean())
    return Row(
        *start,
        beyond,
        error=float(np.median(relative)),
        miss=float(np.median(np.abs(relative))),
        silent=silent,
        waste=_waste(one, split, guess),
        seconds=seconds,
        **held,
    )


def _waste(one: HoldOutSet, split: Split, guess: Guess) -> float:
    """Share of the budget lost by training at the forecaster's N*, on the known truth."""
    if one.truth is None or guess.params is None:
        return float("nan")
    budgets = one.runs.C[split.train].max() * np.array(TARGETS)
    tokens = one.truth.cost.tokens(budget=budgets, params=guess.params(budgets))
    return float(np.max(np.asarray(one.truth.deadweight(budgets, tokens)) / budgets))


@dataclass
class _Past:
    """Misses of the averaged forecast as they come, one block per split."""

    blocks: list[dict[str, Array]] = field(default_factory=list)

    def add(self, one: HoldOutSet, split: Split, found: Ensemble) -> None:
        runs = one.runs.take(split.test)
        near = ~np.asarray(found.is_far(runs.N, runs.D))
        runs = runs.take(near)
        if not len(runs):
            return
        parts, size = found.parts(runs.N, runs.D), len(runs)
        width = found.width
        self.blocks.append(
            {
                "set": np.full(size, one.name),
                "family": np.full(size, one.family),
                "split": np.full(size, len(self.blocks)),
                "miss": np.log(runs.L / found.loss(runs.N, runs.D)),
                "law": parts.law / width.law,
                "coefficients": parts.coefficients / width.coefficients,
                "distance": found.distance(np.log(runs.N * runs.D)),
                "noise": np.full(size, found.members.noise),
            }
        )

    def misses(self) -> Misses | None:
        """Everything that was added; None if nothing was."""
        if not self.blocks:
            return None
        return Misses(**{name: np.concatenate([block[name] for block in self.blocks]) for name in self.blocks[0]})
