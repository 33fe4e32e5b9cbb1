"""next_run(): which run of a priced pool buys most certainty about a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from lawful.core.expression import Tape
from lawful.core.notes import Note
from lawful.core.numbers import format_short
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Record, Shown
from lawful.core.typing import Array, IntArray
from lawful.core.validation import is_positive
from lawful.design.certainty import (
    Belief,
    before_any_fit,
    best_path,
    first_part,
    fitted_misfit,
    mixed,
    within_fit,
)
from lawful.design.points import Points, read_points
from lawful.errors import UnsupportedError
from lawful.laws.formula import check_columns, expression_of, is_formula, loss_column, signed_box
from lawful.laws.law import Law
from lawful.laws.laws import find_law
from lawful.solve.varpro import search

FIRST_SHARE = 0.15
"""Share of a plan's cost that is bought before the laws are fitted again."""

SPEND_SHARE = 0.1
"""Share of the pool's cost that is planned for unless a sum is given."""

HALF = 1.6449
"""Standard deviations in half of a 90% interval."""

WORTHWHILE = 0.05
"""Fall of the target's standard deviation, as a share, below which no run of the pool is worth its cost."""

LIKELY = 6.0
"""Fall of the log likelihood from the best end of a search within which another end counts as a fit of its own."""

WIDE_LOG = 3.0
"""Standard deviation in the log of a coefficient of unknown scale before any run."""

NARROW = 10.0
"""Width of a box up to which a coefficient is believed to lie evenly in it."""

MOST_POINTS = 1500
"""Candidates that are weighed; of a larger pool every k-th in order of cost."""


@dataclass(frozen=True)
class LawFit(Record):
    """
    A law as fitted to the runs there are.

    Attributes
    ----------
    law : Law
    coefficients : dict of str to float
    rms : float
        Of the residuals, in units of the loss.
    met, rounds : int
        In how many rounds of new starts this answer was met, of how many.
    """

    law: Law
    coefficients: dict[str, float]
    rms: float
    met: int
    rounds: int


@dataclass(frozen=True, eq=False)
class Candidate(Record):
    """
    A run of the pool that is worth its cost.

    Attributes
    ----------
    row : int
        Its row in the pool, counted from 1.
    cells : dict of str to value
        That row as it stands.
    cost : float
    loss, sd : float
        What the laws expect it to reach, and the standard deviation of that; None before a law can be fitted.
    target_sd : float
        Standard deviation of the target once this run and those before it are there, not inflated.
    """

    row: int
    cells: dict[str, Any]
    cost: float
    loss: float | None
    sd: float | None
    target_sd: float


@dataclass(frozen=True, eq=False)
class NextRun(Shown):
    """
    The next runs of a pool, and what they do for the target.

    Attributes
    ----------
    runs : tuple of Candidate
        To be trained now, in order; then the laws are fitted again.
    planned, planned_cost : int, float
        The whole plan that they are the first part of.
    spend : float
        What was planned for.
    targets : array, shape (t,)
        Loss at the targets; empty before a law can be fitted.
    ends : array, shape (t, 2)
        90% intervals of them, inflated.
    sd : (float, float, float)
        Standard deviation of the target (root mean square of several): now, after these runs, after the whole plan.
    inflation : float or None
        Factor on the variance: how much larger the squared errors were than promised when the quarter of the runs
        nearest to the target was held out; None where there are too few runs to tell.
    tolerance : float or None
        Half-width of the target's interval that is enough.
    stop : bool
        Whether nothing more needs to be trained for this target.
    sentence : str
        Why, or why not.
    fits : tuple of LawFit
        Empty before a law can be fitted.
    notes : tuple of Note

    Examples
    --------
    >>> truth = lawful.Surface.named("besiroglu")
    >>> N, D = np.repeat(np.geomspace(1e8, 1e9, 6), 5), np.tile(np.geomspace(2e9, 5e10, 5), 6)
    >>> loss = truth.loss(N, D) + np.random.default_rng(0).normal(0, 0.003, 30)
    >>> pool = {"params": np.tile([5e8, 2e9, 4e9], 2), "tokens": np.repeat([2e10, 1e11], 3)}
    >>> target = {"params": [1e10], "tokens": [2e11]}
    >>> found = lawful.next_run(
    ...     {"params": N, "tokens": D, "loss": loss}, pool, cost="6*params*tokens", target=target, spend=3e21)
    >>> [one.row for one in found.runs], found.stop
    ([6], False)
    """

    runs: tuple[Candidate, ...]
    planned: int
    planned_cost: float
    spend: float
    targets: Array
    ends: Array
    sd: tuple[float, float, float]
    inflation: float | None
    tolerance: float | None
    stop: bool
    sentence: str
    fits: tuple[LawFit, ...] = ()
    notes: tuple[Note, ...] = ()

    def sheets(self) -> tuple[Sheet, ...]:
        """Return the runs to train, what the target becomes, and the laws as fitted."""
        plan = (
            f"The first of {self.planned} planned runs that cost {format_short(self.planned_cost, 3)} of "
            f"{format_short(self.spend, 3)} together; fit again once they are there."
        )
        runs = Sheet(
            "Runs to train next.",
            (self.sentence,),
            ("row of the pool", "cost", "expected loss", "its sd", "sd of the target then"),
            tuple(
                row(
                    Cell(one.row, "integer"),
                    Cell(one.cost, "flops"),
                    Cell(one.loss, "nats"),
                    Cell(one.sd, "nats"),
                    Cell(one.target_sd),
                )
                for one in self.runs
            ),
            None,
            (plan,) if self.runs else (),
            self.notes,
        )
        if not self.fits:
            return (runs,)
        targets = Sheet(
            "The target as the laws see it now.",
            (),
            ("target", "loss"),
            tuple(
                row(Cell(i + 1, "integer"), Cell(value, "nats", *ends))
                for i, (value, ends) in enumerate(zip(self.targets, self.ends, strict=True))
            ),
            "90% interval",
            (),
        )
        laws = Sheet(
            "Laws.",
            (),
            ("law", "rms of residuals", "rounds that met this fit"),
            tuple(row(f.law.name, Cell(f.rms), f"{f.met} of {f.rounds}") for f in self.fits),
            None,
            (),
        )
        return runs, targets, laws


def next_run(
    runs: Any,
    pool: Any,
    *,
    cost: str,
    target: Any,
    law: Law | str | Sequence[Law | str] = "chinchilla",
    spend: float | None = None,
    most: int | None = None,
    tolerance: float | None = None,
    where: str | None = None,
    drop: Sequence[int | str] | str = (),
) -> NextRun:
    """
    Choose the next runs from a priced pool: those that buy most certainty about a target for their cost.

    Parameters
    ----------
    runs : Runs, path, DataFrame, mapping or list of records
        Runs that are done, with the columns that the laws name and their losses.
    pool : path, DataFrame, mapping or list of records
        Candidates: the same columns, without losses.
    cost : str
        Column of the pool, or a formula of its columns (``6*params*tokens``), > 0, in any unit.
    target : path, DataFrame, mapping or list of records
        Points whose loss is to be known, in the same columns.
    law : Law, str, or several
        Names of the catalogue or formulas; their disagreement counts as uncertainty.
    spend : float, optional
        What the next runs may cost together, in the unit of ``cost``; a tenth of the pool by default.
    most : int, optional
        Most runs to answer with; by default those that make up the first 15% of the plan's cost, one at least.
    tolerance : float, optional
        Half-width of the target's 90% interval that is enough, in units of the loss.
    where, drop
        Which of the runs that are done count, as for :func:`lawful.read_runs`.

    Returns
    -------
    NextRun

    Raises
    ------
    InputError
        If a table lacks a column that a law needs, or holds no positive number where one is needed.
    UnsupportedError
        If a law is no formula of columns, or nothing in the pool is affordable.

    Notes
    -----
    Losses of candidates and targets have one joint covariance: within each fit (Gauss-Newton with a weak prior),
    between the ends of its search, between laws, and a Matérn misfit sized by restricted likelihood. A plan is made
    with the gain divided by cost^γ for γ = 0, 0.25, 0.5, 0.75 and 1, and that which leaves the target least
    uncertain is kept. Before any law can be fitted, a plane with a Matérn misfit stands in for it. The variance is
    inflated by what the laws got wrong when the runs nearest to the target were held out, before it may stop anything.

    References
    ----------
    .. [1] "Budget-Efficient Scaling Law Fitting" (2026), arXiv:2604.22753, whose protocol
       ``benchmarks/bench_next.py`` replays.

    Examples
    --------
    Three runs are too few for Chinchilla's law, so the next ones spread over the columns:

    >>> runs = {"params": [1e8, 2e8, 4e8], "tokens": [2e9, 4e9, 8e9], "loss": [3.4, 3.1, 2.9]}
    >>> pool = {"params": [4e8, 4e8, 8e8], "tokens": [4e9, 2e10, 1e10], "gpu_hours": [3.0, 15.0, 15.0]}
    >>> found = lawful.next_run(
    ...     runs, pool, cost="gpu_hours", target={"params": [4e9], "tokens": [8e10]}, spend=30.0)
    >>> len(found.runs), found.sentence.partition(":")[0]
    (1, 'Go on')
    """
    done = read_points(runs, "runs", where=where, drop=drop)
    candidates, wanted = read_points(pool, "candidates of the pool"), read_points(target, "targets")
    texts: Sequence[Law | str] = [law] if isinstance(law, (str, Law)) else list(law)
    if not texts:
        msg = "Give at least one law."
        raise UnsupportedError(msg)
    laws = [find_law(one, done.words) if isinstance(one, str) else one for one in texts]
    for value, name in ((spend, "spend"), (tolerance, "tolerance")):
        if value is not None and not is_positive(value):
            msg = f"{name} must be a positive number, got {value!r}."
            raise UnsupportedError(msg)
    if most is not None and most < 1:
        msg = f"most must be at least 1 run, got {most}."
        raise UnsupportedError(msg)
    price = candidates.cost(cost)
    allowance = SPEND_SHARE * float(price.sum()) if spend is None else float(spend)
    at, notes = _offered(laws, done, candidates, price)
    if price[at].min() > allowance:
        msg = (
            f"No run of the pool costs at most {format_short(allowance, 3)} ({cost}); the cheapest costs "
            f"{format_short(price[at].min(), 3)}: spend more, or offer cheaper runs."
        )
        raise UnsupportedError(msg)
    named = _loss_named(texts)
    loss = done.loss(named)
    if named is not None and (loss <= 0).any():
        laws = [replace(one, box=signed_box(one, loss)) for one in laws]
    table = Known.of(laws, done, candidates, wanted, at, loss)
    weighed = weigh(laws, table)
    said = (*done.notes, *candidates.notes, *wanted.notes, *notes)
    return _answer(_Question(table, candidates, price, at, allowance, most, tolerance), weighed, said)


def _loss_named(texts: Sequence[Law | str]) -> str | None:
    """Name of the loss column that the formulas state; one for all."""
    names = {
        loss_column(t if isinstance(t, str) else t.name) for t in texts if isinstance(t, str) or is_formula(t.name)
    }
    names -= {None}
    if len(names) > 1:
        msg = f"The laws name different columns as the loss ({', '.join(sorted(map(str, names)))}); take one."
        raise UnsupportedError(msg)
    return names.pop() if names else None


def _offered(laws: Sequence[Law], done: Points, pool: Points, price: Array) -> tuple[IntArray, tuple[Note, ...]]:
    """Candidates that are weighed: those that no run stands for yet, or every k-th of them in order of cost."""
    words = sorted({c for law in laws for c in law.columns})
    both = np.column_stack([_logs(np.concatenate([done.column(w), pool.column(w)])) for w in words])
    there, logs = {tuple(np.round(x, 9)) for x in both[: len(done)]}, both[len(done) :]
    at = np.array([i for i, x in enumerate(logs) if tuple(np.round(x, 9)) not in there], dtype=np.intp)
    notes = []
    if not at.size:
        msg = f"All {len(pool)} candidates of the pool have been run: the runs have the same {', '.join(words)}."
        raise UnsupportedError(msg)
    if at.size < len(pool):
        text = f"{len(pool) - at.size} candidates were left out, since a run has the same {', '.join(words)}."
        notes.append(Note("already_run", text))
    if at.size > MOST_POINTS:
        step = -(-at.size // MOST_POINTS)
        notes.append(Note("pool_thinned", f"Of {at.size} candidates every {step}th in order of cost was weighed."))
        at = np.sort(at[np.argsort(price[at], kind="stable")[::step]])
    return at, tuple(notes)


def _logs(values: Array) -> Array:
    """Logs of a column, which is taken as it stands where it has zeros, as proportions have."""
    return np.asarray(np.log(values) if (values > 0).all() else values)


class Known(NamedTuple):
    """Columns of runs, and of candidates with targets behind them, as arrays."""

    done: dict[str, Array]
    points: dict[str, Array]
    loss: Array
    runs_at: Array
    at: Array
    targets: int

    @classmethod
    def of(cls, laws: Sequence[Law], done: Points, pool: Points, wanted: Points, at: IntArray, loss: Array) -> Known:
        """Take the columns that any law names, and standardise their logs over runs, candidates and targets."""
        words = sorted({c for law in laws for c in law.columns})
        first = {w: done.column(w) for w in words}
        for law in laws:
            for part in (done, pool, wanted):
                check_columns(law, {c: part.column(c) for c in law.columns}, part.what)
        points = {w: np.concatenate([pool.column(w)[at], wanted.column(w)]) for w in words}
        return cls.of_arrays(first, points, loss, len(wanted))

    @classmethod
    def of_arrays(cls, done: dict[str, Array], points: dict[str, Array], loss: Array, targets: int) -> Known:
        """Build it from columns by name; the last rows of the points are the targets."""
        logs = np.column_stack([_logs(np.concatenate([done[w], points[w]])) for w in points])
        spread = logs.std(axis=0)
        z = (logs - logs.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        return cls(done, points, loss, z[: loss.size], z[loss.size :], targets)

    def keep(self, rows: IntArray) -> Known:
        """The same with some of the runs."""
        return self._replace(
            done={w: v[rows] for w, v in self.done.items()}, loss=self.loss[rows], runs_at=self.runs_at[rows]
        )


class Weighed(NamedTuple):
    """What is believed of the points, and the fits behind it; none before a law can be fitted."""

    belief: Belief
    fits: tuple[LawFit, ...]


def weigh(laws: Sequence[Law], table: Known) -> Weighed:
    """Fit every law that the runs can carry, and join what they believe of the points."""
    fits, means, covariances, noises = [], [], [], []
    weights: list[float] = []
    for law in laws:
        if table.loss.size < len(law.identifiable) + 1:
            continue
        fit, ends = _fitted(law, table)
        fits.append(fit)
        for coefficients, weight in ends:
            mean, covariance, noise = _believed(law, coefficients, table)
            means.append(mean)
            covariances.append(covariance)
            noises.append(noise)
            weights.append(weight)
    if not fits:
        return Weighed(before_any_fit(table.runs_at, table.at), ())
    share = np.array(weights) / len(fits)
    return Weighed(mixed(np.stack(means), covariances, share, np.array(noises)), tuple(fits))


Weighted = list[tuple[dict[str, float], float]]


def _fitted(law: Law, table: Known) -> tuple[LawFit, Weighted]:
    """Search a law, and the ends of the search that are nearly as likely as the best, weights summing to 1."""
    try:
        expression = expression_of(law)
    except UnsupportedError:
        msg = f"The {law.name} law is not written as a formula of its columns; the next run needs one that is."
        raise UnsupportedError(msg) from None
    columns = {c: table.done[c] for c in law.columns}
    found = search(expression, columns, table.loss, {n: law.bounds[n] for n in law.names})
    tape, n = Tape(expression), table.loss.size
    ends: Weighted = []
    seen: list[float] = []
    for values in found.ends:
        coefficients = dict(zip(found.order, values.tolist(), strict=True))
        fitted = np.asarray(tape.run({**columns, **coefficients})[tape.outputs[0]], float)
        rss = float(((table.loss - fitted) ** 2).sum())
        fall = 0.5 * n * float(np.log(max(rss, 1e-300) / max(found.value, 1e-300)))
        if np.isfinite(rss) and fall < LIKELY and all(abs(rss - other) > 1e-6 * rss for other in seen):
            seen.append(rss)
            ends.append((coefficients, float(np.exp(-fall))))
    total = sum(weight for _, weight in ends)
    ends = [(k, weight / total) for k, weight in ends] or [(found.coefficients, 1.0)]
    rms = float(np.sqrt(found.value / n))
    return LawFit(law, found.coefficients, rms, found.met, found.rounds), ends


def _believed(law: Law, coefficients: Mapping[str, float], table: Known) -> tuple[Array, Array, float]:
    """Mean and covariance of the points within one fit, and its noise."""
    free = [n for n in law.names if law.bounds[n][0] < law.bounds[n][1]]
    fitted, slopes = _slopes(law, coefficients, table.done, free)
    mean, points = _slopes(law, coefficients, table.points, free)
    spread = np.array([_spread(law.bounds[n], coefficients[n]) for n in free])
    misfit = fitted_misfit(table.loss - fitted, slopes * spread, table.runs_at, float(table.loss.std()))
    covariance = within_fit(slopes, points, spread, misfit, table.runs_at, table.at)
    return mean, covariance, misfit.noise


def _slopes(
    law: Law, coefficients: Mapping[str, float], columns: Mapping[str, Array], free: list[str]
) -> tuple[Array, Array]:
    """Losses at points and their slopes by the free coefficients, (n,) and (n, q); 0 where a slope has no value."""
    tape, n = Tape(expression_of(law)), next(iter(columns.values())).size
    work = tape.run({**coefficients, **columns})
    value = np.broadcast_to(np.asarray(work[tape.outputs[0]], float), n)
    found = tape.back(work, [np.ones(n)], free)
    slopes = np.column_stack([np.broadcast_to(found[w], n) for w in free])
    return value, np.nan_to_num(slopes, nan=0.0, posinf=0.0, neginf=0.0)


def _spread(box: tuple[float, float], value: float) -> float:
    """Standard deviation of a coefficient before any run: that of its box, or relative where the box is wide."""
    width = box[1] - box[0]
    return float(width / np.sqrt(12.0) if width <= NARROW else WIDE_LOG * max(abs(value), 1e-12))


def inflation(laws: Sequence[Law], table: Known) -> float | None:
    """
    Squared errors over promised variance for the quarter of the runs nearest to the target, held out; 1 at least.

    None where the rest would not carry a law.
    """
    n, needed = table.loss.size, min(len(law.identifiable) for law in laws) + 2
    held = max(2, n // 4)
    if n - held < needed:
        return None
    targets = table.at[len(table.at) - table.targets :]
    distance = ((table.runs_at[:, None, :] - targets[None]) ** 2).sum(axis=2).min(axis=1)
    order = np.argsort(distance, kind="stable")
    near, far = np.sort(order[:held]), np.sort(order[held:])
    part = table.keep(far)._replace(
        points={w: v[near] for w, v in table.done.items()}, at=table.runs_at[near], targets=held
    )
    found = weigh(laws, part)
    promised = np.diag(found.belief.covariance) + found.belief.noise
    return max(1.0, float(np.mean((table.loss[near] - found.belief.mean) ** 2 / promised)))


class _Question(NamedTuple):
    table: Known
    pool: Points
    price: Array
    at: IntArray
    spend: float
    most: int | None
    tolerance: float | None


def _answer(asked: _Question, found: Weighed, notes: tuple[Note, ...]) -> NextRun:
    """Plan to the end of the allowance, take the first part, and say whether to go on."""
    belief, cost = found.belief, asked.price[asked.at]
    path = best_path(belief, cost, asked.spend)
    count = asked.most or first_part(path, cost, FIRST_SHARE)
    sd = np.sqrt(path.variance)
    factor = inflation([f.law for f in found.fits], asked.table) if found.fits else None
    p = cost.size
    variance = np.diag(belief.covariance)
    chosen = tuple(
        Candidate(
            int(asked.pool.table.row[asked.at[j]]),
            asked.pool.cells(asked.at[j]),
            float(cost[j]),
            float(belief.mean[j]) if found.fits else None,
            float(np.sqrt(variance[j])) if found.fits else None,
            float(sd[i + 1]),
        )
        for i, j in enumerate(path.order[:count])
    )
    half = HALF * np.sqrt(variance[p:] * (factor or 1.0))
    targets = belief.mean[p:] if found.fits else np.zeros(0)
    ends = np.column_stack([targets - half, targets + half]) if found.fits else np.zeros((0, 2))
    stop, sentence = _verdict(asked, found, factor, (float(sd[0]), float(sd[len(chosen)]), float(sd[-1])))
    said = [
        Note("few_starts", f"{f.law.name}: of {f.rounds} rounds of new starts one alone ended in this fit.")
        for f in found.fits
        if f.met < 2
    ]
    return NextRun(
        chosen,
        len(path.order),
        float(cost[path.order].sum()),
        asked.spend,
        targets,
        ends,
        (float(sd[0]), float(sd[len(chosen)]), float(sd[-1])),
        factor,
        asked.tolerance,
        stop,
        sentence,
        found.fits,
        (*notes, *said),
    )


def _verdict(
    asked: _Question, found: Weighed, factor: float | None, sd: tuple[float, float, float]
) -> tuple[bool, str]:
    """Whether the target is known well enough, or nothing in the pool helps; nothing stops on an untested promise."""
    if not found.fits:
        return False, "Go on: there are too few runs for any of the laws yet; these runs spread over the columns."
    if factor is None:
        return False, (
            "Go on: there are too few runs to test what the laws promise by holding the nearest ones out, so nothing "
            "can be said to be enough."
        )
    now, _, after = (HALF * float(np.sqrt(factor)) * value for value in sd)
    tested = "90%, as runs that were held out confirm"
    if factor > 1.0:
        tested = f"90%, its variance times {format_short(factor, 3)} as runs that were held out ask for"
    if any(f.met < 2 for f in found.fits):
        return False, (
            f"Go on: the target is known to ±{format_short(now, 2)} ({tested}), but a fit behind it was met by one "
            "round of its search alone."
        )
    if asked.tolerance is not None and now <= asked.tolerance:
        return True, (
            f"Stop: the target is known to ±{format_short(now, 2)} ({tested}), within the "
            f"{format_short(asked.tolerance, 3)} that is enough."
        )
    if after >= (1.0 - WORTHWHILE) * now:
        return True, (
            f"Stop: no run of the pool helps: all that {format_short(asked.spend, 3)} buys would leave the target at "
            f"±{format_short(after, 2)} of ±{format_short(now, 2)} now ({tested})."
        )
    return False, (
        f"Go on: the target is known to ±{format_short(now, 2)} ({tested}); the plan would leave ±"
        f"{format_short(after, 2)}."
    )
