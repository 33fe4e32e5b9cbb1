"""What the intervals of a fit rest on: the exact profile of its runs, with copies and shared errors allowed for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from lawful.checks.surface import is_isoflop
from lawful.core.notes import Note
from lawful.core.shown import Record
from lawful.core.typing import Array, IntArray
from lawful.data.cells import first_of_copies
from lawful.data.checkpoints import RUN_NAMES, curve_codes, named_among, row_codes
from lawful.data.runs import Runs
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.fit import fit as free_fit
from lawful.estimate.solvers import Problem, prepare, problem_of, with_far_row
from lawful.laws.law import Law
from lawful.uncertainty.lawtest import gap_labels
from lawful.uncertainty.linear import Linearised, Working, linearise, spread_by, work
from lawful.uncertainty.quantity import Quantity, gradient
from lawful.uncertainty.shared import NEIGHBOURS, Shared, shared_error, usable
from lawful.valley.exact import Ends, ExactProfile
from lawful.valley.faces import Design, Grouped

AUTO = "auto"
"""Look for a shared error in every grouping that the runs have."""

INDEPENDENT = "none"
"""Take the runs as independent."""

SAME_GROUP = 0.02
"""Logs of compute, or of sizes, closer than this belong to one group."""

SAME_CELL = 1e-9
"""The same for runs that repeat N and D."""

ROUNDING = 1e-7
"""Residuals below this share of the loss are rounding: there is no noise to tell an interval from."""

MOST_UNEVEN = 10.0
"""Factor on the variance, by which uneven noise may scale an interval, beyond which it is not believed."""

COEFFICIENTS = ("E", "A", "B", "alpha", "beta")
"""Names of the coefficients of two powers, in the order of the law's own."""

KEPT = 16
"""Fits whose grounds are remembered."""

WORDS = {
    "run": "rows of one run",
    "cell": "runs that repeat N and D",
    "budget": "runs of one budget",
    "size": "runs of one model size",
    NEIGHBOURS: "neighbouring sizes of a budget",
}
"""Groupings in words."""


@dataclass(frozen=True, eq=False)
class Grounds(Record):
    """
    What profile intervals of a fit rest on.

    Build it with :func:`grounds`.

    Attributes
    ----------
    law : Law
        A constant and two powers, of N and of D, whatever its coefficients are called.
    problem : Problem
        The fit in solver units, copies left out.
    z : array, shape (1, q)
        Its answer.
    freedom : float
        Runs less coefficients that are not pinned, whether or not one of them sits on a bound; under a prior, the
        degrees of freedom that it leaves.
    shared : Shared or None
        An error that runs share.
    copies : int
        Rows that repeat another one in every column.
    """

    law: Law
    problem: Problem
    z: Array
    freedom: float
    shared: Shared | None
    copies: int

    @cached_property
    def linear(self) -> Linearised:
        """Slopes and leverages at the answer."""
        return linearise(self.problem, self.z)

    @cached_property
    def working(self) -> Working:
        """Working model of uneven noise, which all quantities share."""
        return work(self.linear)

    @cached_property
    def profile(self) -> ExactProfile:
        """
        The exact profile; for other objectives than squares, that of their pseudo-data.

        Pseudo-data are the fitted losses plus the residuals as the objective counts them, psi over the
        mean of psi', and weights 1/L² for residuals of logs: squares of them have the fit's own
        minimum, and to second order its curvature.
        """
        problem, at = self.problem, self.linear
        weight = np.ones(problem.y.size) if problem.w is None else problem.w
        y = problem.y
        if problem.log or problem.delta is not None:
            value = problem.model(self.z)[0][0]
            fitted = np.exp(value) if problem.log else value
            y = fitted * (1.0 + at.pseudo[0]) if problem.log else fitted + at.pseudo[0]
            weight = weight / fitted**2 if problem.log else weight
        metric = weight if self.shared is None else _shared_metric(self.shared.metric, weight)
        x = problem.x
        if at.precision is not None:
            # A prior is one more run, independent of the others.
            weights = [float(at.precision[pull.at]) for pull in problem.prior]
            x, y, _ = with_far_row(problem.prior, x, y, None)
            if isinstance(metric, Grouped):
                metric = metric.beside(weights)
            elif metric.ndim == 1:
                metric = np.append(metric, weights)
            else:
                metric = np.pad(metric, (0, len(weights)))
                metric[-len(weights) :, -len(weights) :] = np.diag(weights)
        lower, upper = problem.lower, problem.upper
        pins = tuple(float(lower[k]) if lower[k] == upper[k] else None for k in (1, 2))
        design = Design(x, y, metric, (float(lower[0]), float(upper[0])), (pins[0], pins[1]))
        return ExactProfile(design, problem.box, problem.centre, start=self.z[0, 3:])

    def rise(self, quantity: Quantity, cost: Any, level: float, noise: str) -> tuple[float, float, float]:
        """
        Rise of the sum of squares that an interval reaches up to, Student's t and its degrees of freedom.

        For equal noise t² times the mean square over n - q degrees of freedom; where the noise may differ
        it is scaled so that its curvature at the optimum agrees with the variance of this quantity.
        """
        from scipy.special import stdtrit

        if self.shared is not None:
            reach = float(stdtrit(self.shared.freedom, 0.5 + level / 2))
            return reach**2 * self.profile.least / self.freedom, reach, self.shared.freedom
        law, at = self.law, self.linear
        slope = np.nan_to_num(gradient(quantity, law, self.z, self.problem.centre, cost))
        model = None if noise == "equal" else self.working
        spread, even = spread_by(noise, at, slope, self.problem.logs, model), float(at.variance[0])
        ratio = float(spread.ratio[0])
        own = at.freedom[0] / self.freedom
        # Where slopes are all but collinear, or a term is gone, the linearisation says nothing of the noise.
        if not (np.isfinite(ratio) and even / MOST_UNEVEN < ratio < even * MOST_UNEVEN):
            ratio, spread = even, spread._replace(freedom=at.freedom)
        freedom = min(float(spread.freedom[0]), float(self.freedom))
        reach = float(spread._replace(freedom=np.array([freedom])).reach(level)[0])
        return reach**2 * ratio * own, reach, freedom

    def ends(self, quantity: Quantity, cost: Any, rise: float) -> Ends:
        """Both ends of the working value of a quantity where the sum of squares has risen by so much."""
        name, profile = quantity.name, self.profile
        if name in self.law.names:
            name = COEFFICIENTS[self.law.names.index(name)]
        if name == "E":
            return profile.constant(rise)
        if name in ("A", "B"):
            return profile.amplitude(rise, int(name == "B"))
        if name in ("alpha", "beta", "a", "b"):
            return profile.exponent(rise, name)
        if quantity.point is not None:
            return profile.loss_at(rise, *(float(v) for v in np.log(quantity.point)))
        product = float(np.log(cost.product(quantity.budget or 1.0)))
        if name == "loss":
            return profile.loss(rise, product)
        found = profile.params(rise, product) if name in ("params", "log10_a0") else profile.tokens(rise, product)
        if name in ("params", "tokens"):
            return found
        return Ends(found.low / np.log(10), found.high / np.log(10), found.open)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a reader of the intervals should know: copies, and a shared error."""
        notes = []
        if self.copies:
            rows = "1 row repeats" if self.copies == 1 else f"{self.copies:,} rows repeat"
            text = f"{rows} another one to the last digit of its loss: copies tell nothing new and count once."
            notes.append(Note("copied_rows", text))
        if self.shared is not None:
            found = self.shared
            told = WORDS.get(found.name, f"runs with the same {found.name}")
            kind = "correlation" if found.name == NEIGHBOURS else "share of the variance"
            text = (
                f"An error is shared by {told} ({kind} {found.share:.0%}, {found.groups} groups): the intervals allow "
                f"for it, with Student's t on {found.freedom:.0f} degrees of freedom; name another column (cluster), "
                f"or none for independent runs."
            )
            notes.append(Note("shared_error", text))
        return tuple(notes)


@lru_cache(maxsize=KEPT)
def grounds(fit: Any, cluster: str = AUTO) -> Grounds | None:
    """
    Work out what the intervals of a fit rest on.

    Parameters
    ----------
    fit : Fit
    cluster : str
        ``auto``: the grouping of the runs that shares an error, if any does; ``none``: independent runs;
        or a column of labels whose runs stand or fall together.

    Returns
    -------
    Grounds or None
        None where the exact profile does not apply: laws that are no sum of two powers, bounds on A or B,
        losses without noise, fewer runs than coefficients.

    Raises
    ------
    UnsupportedError
        If the column is unknown.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.01)
    >>> grounds(lawful.fit(runs)).freedom
    22
    """
    if fit.core is not fit:
        return grounds(fit.core, cluster)
    if cluster not in (AUTO, INDEPENDENT) and cluster not in fit.runs.labels:
        known = ", ".join(fit.runs.labels) or "none"
        msg = f"There is no column {cluster!r} to cluster by; the runs have these labels: {known}."
        raise UnsupportedError(msg)
    if fit.surface is None or not fit.surface.law.profiles:
        return None
    first = first_of_copies(fit.runs)
    runs = fit.runs if first.size == len(fit.runs) else fit.runs.take(first)
    law = fit.surface.law.n_first
    problem = problem_of(fit, runs, law)
    lower, upper = problem.lower[1:3], problem.upper[1:3]
    if ((lower != upper) & ((lower > 0) | np.isfinite(upper))).any():
        return None
    used = int(runs.counted.sum())
    freedom: float = used - int((problem.lower < problem.upper).sum())
    z = np.clip(problem.to_z(np.array([[fit.surface[name] for name in law.names]])), problem.lower, problem.upper)
    found = Grounds(law, problem, z, freedom, None, len(fit.runs) - first.size)
    if fit.prior:
        freedom = float(found.linear.freedom[0])
    exact = np.abs(found.linear.residual).max() <= ROUNDING * np.abs(problem.target).max() if freedom > 0 else True
    if exact:
        return None
    shared = None if cluster == INDEPENDENT else _shared(_unpinned(fit, runs) or found.linear, runs, cluster)
    return Grounds(law, problem, z, freedom, shared, found.copies)


def spare(fit: Any) -> int:
    """
    Count the runs beyond the free coefficients, copies left out; without any the law passes through them all.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth))
    >>> spare(lawful.fit(runs)), spare(lawful.fit(runs, fixed={"E": 1.7}))
    (22, 23)
    """
    first = first_of_copies(fit.runs)
    used = int((fit.runs.weight[first] > 0).sum())
    # What is known of a coefficient with a width is one observation more.
    return used + len(fit.prior) - sum(name not in fit.fixed for name in fit.surface.law.identifiable)


def _unpinned(fit: Any, runs: Runs) -> Linearised | None:
    """
    Return the fit without pins and bounds, linearised; None where nothing is pinned or it cannot be fitted.

    What a pin makes the law miss is no error that runs share.
    """
    if not fit.held and not fit.solver.bounds:
        return None
    law = fit.surface.law
    try:
        free = free_fit(runs, law=law, objective=fit.objective, method=type(fit.solver)())
    except IdentificationError:
        return None
    problem = prepare(runs, law, free.objective, {}, {})
    z = problem.to_z(np.array([[free.coefficients[name] for name in law.names]]))
    return linearise(problem, np.clip(z, problem.lower, problem.upper))


def _shared_metric(shared: Grouped | Array, weight: Array) -> Grouped | Array:
    """Return the metric of a shared error for runs with weights."""
    if isinstance(shared, Grouped):
        return shared.scaled(weight)
    root = np.sqrt(weight)
    return np.asarray(root[:, None] * shared * root)


def _shared(at: Linearised, runs: Runs, cluster: str) -> Shared | None:
    """Return the error that runs share, of the column asked for or of the best grouping."""
    root = np.sqrt(at.weight[0])
    slope, residual = at.slope[0][at.free[0]] * root, at.pseudo[0] * root
    if not (at.weight[0] > 0).all() or slope.size == 0:
        return None
    if cluster != AUTO:
        return shared_error(slope, residual, {cluster: row_codes([runs.labels[cluster]])}, evidence=0.0)
    found = groupings(runs)
    along = found.get("budget")
    beside = None if along is None else (along, np.log(runs.N))
    best = shared_error(slope, residual, found, along=beside)
    if best is None and "run" in found:
        # Rows that a column says are of one run share its seed and its data: any share that is seen is taken.
        best = shared_error(slope, residual, {"run": found["run"]}, evidence=0.0)
    return best


def curves_of(runs: Runs, cluster: str = AUTO) -> IntArray | None:
    """
    Label the rows that are of one run, or of one group of a column named; None where every row stands alone.

    Seeds of one N and D that a column gives one name are no rows of a curve: they tell the noise.

    Examples
    --------
    >>> table = {"run": ["a", "a", "b", "b", "c", "c"], "N": [1e8] * 2 + [2e8] * 2 + [3e8] * 2,
    ...          "D": [1e9, 2e9] * 3, "loss": [3.5, 3.1, 3.3, 3.0, 3.2, 2.9]}
    >>> runs = lawful.read_runs(table)
    >>> curves_of(runs).tolist(), curves_of(runs, "none")
    ([0, 0, 1, 1, 2, 2], None)
    """
    if cluster == INDEPENDENT or not runs.has("N"):
        return None
    found = groupings(runs)
    label = row_codes([runs.labels[cluster]]) if cluster in runs.labels else found.get("run")
    if label is None:
        return None
    places = np.unique(np.stack([label, found["cell"]]), axis=1).shape[1]
    groups = np.unique(label).size
    return label if places - groups > 0.5 * (label.size - groups) else None


def labels_of_errors(runs: Runs, cluster: str = AUTO) -> dict[str, IntArray]:
    """
    Return the labels by which an error may be shared, as codes: of the rows of one run, and of a column named.

    A saved fit keeps them, and has the same intervals and the same verdict when it is loaded.

    Examples
    --------
    >>> table = {"run_name": ["a", "a", "b", "b", "c", "c"], "N": [1e8] * 2 + [2e8] * 2 + [3e8] * 2,
    ...          "D": [1e9, 2e9] * 3, "loss": [3.5, 3.1, 3.3, 3.0, 3.2, 2.9], "lab": ["x"] * 3 + ["y"] * 3}
    >>> found = labels_of_errors(lawful.read_runs(table), "lab")
    >>> {name: codes.tolist() for name, codes in found.items()}
    {'run_name': [0, 0, 1, 1, 2, 2], 'lab': [0, 0, 0, 1, 1, 1]}
    """
    if not runs.has("N"):
        return {}
    name, codes = _rows_of_runs(runs)
    found = {} if codes is None else {name: codes}
    if cluster in runs.labels:
        found[cluster] = row_codes([runs.labels[cluster]])
    return found


def _rows_of_runs(runs: Runs) -> tuple[str, IntArray | None]:
    """Return which rows are of one run, by a column that says so or by the shape of the table, and its name."""
    for key in named_among(RUN_NAMES, runs.labels):
        codes = row_codes([runs.labels[key]])
        if usable(codes):
            return key, codes
    curve = curve_codes(runs.labels, runs.N, runs.D)
    return "run", curve if curve is not None and usable(curve) else None


def groupings(runs: Runs) -> dict[str, IntArray]:
    """Return every way to group the runs by which an error could be shared, the narrowest first."""
    found: dict[str, IntArray] = {}
    _, codes = _rows_of_runs(runs)
    if codes is not None:
        found["run"] = codes
    size, tokens = (gap_labels(np.log(v), SAME_CELL) for v in (runs.N, runs.D))
    found["cell"] = size * (tokens.max() + 1) + tokens
    # Budgets as the table tells them, cut at gaps or named; where there are none, runs of all but equal compute.
    found["budget"] = runs.group if is_isoflop(runs) else gap_labels(np.log(runs.C), SAME_GROUP)
    found["size"] = gap_labels(np.log(runs.N), SAME_GROUP)
    return found
