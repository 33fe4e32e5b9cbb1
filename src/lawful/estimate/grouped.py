"""Groups of runs under one law, some coefficients shared, the others each group's own: one joint fit, and its price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from lawful.core.expression import Expression, add, multiply, name, substitute
from lawful.core.notes import Note, Status
from lawful.core.numbers import format_short
from lawful.core.objective import Objective, as_objective
from lawful.core.sheet import Cell, Sheet, row
from lawful.core.shown import Shown
from lawful.core.typing import Array
from lawful.data.cells import counted_once
from lawful.data.runs import Runs
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.fit import check_signed, fit, law_for, table_for
from lawful.estimate.forms import FormProblem, polish_form, prepare_form
from lawful.estimate.result import Fit, losses_of
from lawful.estimate.solvers import Joint
from lawful.laws.formula import Derivatives, Formula, expression_of, parted, tied_law
from lawful.laws.law import Law
from lawful.laws.laws import DEFAULT_LAW
from lawful.laws.surface import Surface

TOLERANCE, MOST_STEPS = 1e-11, 400

SAME = 1e-6
"""Relative difference of the objective below which two starts have met the same optimum."""

LOGGED = 1e4
"""Ratio of the bounds of a positive coefficient from which it is searched through its logarithm."""


@dataclass(frozen=True, eq=False)
class Sharing(Shown):
    """
    Groups fitted together: coefficients that all share, and those that each has for itself.

    Build it with :func:`fit_groups`.

    Attributes
    ----------
    by : str
        Column that tells the groups apart.
    shared : tuple of str
        Coefficients that all groups share.
    fits : mapping of str to Fit
        One per group, shared coefficients among its own; what it predicts and allocates is that group's.
    joint : Together
        The joint fit, for refits.
    rss : float
        Weighted sum of squares of all groups.
    apart : float or None
        The same with every group fitted on its own; None where one cannot be.
    freedom : (int, int)
        Coefficients that sharing saves, and runs less coefficients of the fits apart.
    met, starts : int
        How many starts ended in the best value, of how many.
    notes : tuple of Note

    Examples
    --------
    >>> truth = {"web": 400.0, "code": 150.0}
    >>> N, D = np.tile(np.geomspace(1e7, 1e9, 5), 4), np.repeat(np.geomspace(1e9, 1e11, 4), 5)
    >>> table = {"params": np.tile(N, 2), "tokens": np.tile(D, 2), "data": np.repeat(list(truth), 20),
    ...     "loss": np.concatenate([1.5 + a / N**0.33 + 900 / D**0.31 for a in truth.values()])}
    >>> found = fit_groups(table, by="data", share=["alpha", "beta"])
    >>> {group: round(one.surface["A"]) for group, one in found.fits.items()}
    {'web': 400, 'code': 150}
    >>> round(found["alpha"], 4)
    0.33
    """

    by: str
    shared: tuple[str, ...]
    fits: Mapping[str, Fit]
    joint: Together
    rss: float
    apart: float | None
    freedom: tuple[int, int]
    met: int
    starts: int
    notes: tuple[Note, ...] = ()

    def __repr__(self) -> str:
        values = ", ".join(f"{word}={format_short(self[word], 4)}" for word in self.shared)
        return f"Sharing({len(self.fits)} groups of {self.by}, {values}, RSS {format_short(self.rss, 4)})"

    def __getitem__(self, word: str) -> float:
        if word not in self.shared:
            msg = f"{word!r} is not shared by the groups; {', '.join(self.shared)} are."
            raise UnsupportedError(msg)
        return next(iter(self.fits.values())).surface[word]

    def group(self, value: str) -> Fit:
        """
        Return the fit of one group.

        Raises
        ------
        UnsupportedError
            If there is no such group.
        """
        if value not in self.fits:
            msg = f"There is no group {value!r} of {self.by!r}; there are {', '.join(self.fits)}."
            raise UnsupportedError(msg)
        return self.fits[value]

    def predict(self, group: str, params: Any = None, tokens: Any = None, **where: Any) -> Any:
        """Loss of a run of one group; see :meth:`lawful.Fit.predict`."""
        return self.group(group).predict(params, tokens, **where)

    @cached_property
    def price(self) -> tuple[float, float] | None:
        """
        F and p of sharing against every group on its own; None where the groups cannot all be fitted alone.

        F = ((RSS_shared - RSS_apart)/k) / (RSS_apart/(n - p)).
        """
        from scipy.special import fdtrc

        saved, left = self.freedom
        if self.apart is None or self.apart <= 0 or saved <= 0 or left <= 0:
            return None
        ratio = max(self.rss - self.apart, 0.0) / saved / (self.apart / left)
        return ratio, float(fdtrc(saved, left, ratio))

    @property
    def sentence(self) -> str:
        """What sharing costs."""
        said = f"{', '.join(self.shared)} shared by {len(self.fits)} groups of {self.by}"
        if self.price is None:
            return f"{said}; its price is not known, since not every group can be fitted on its own."
        (ratio, p), (saved, left) = self.price, self.freedom
        return (
            f"{said}: that raises the sum of squares from {self.apart:.4g} to {self.rss:.4g} (F = {ratio:.3g} on "
            f"{saved} and {left}, p = {format_short(p, 2)})."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what is shared, and its price, as it stands in JSON."""
        ratio, p = self.price or (None, None)
        return {
            "coefficients": {word: self[word] for word in self.shared},
            "rss": self.rss,
            "rss_apart": self.apart,
            "F": ratio,
            "p": p,
            "freedom": list(self.freedom),
            "met": self.met,
            "starts": self.starts,
            "sentence": self.sentence,
        }

    def sheets(self) -> tuple[Sheet]:
        """Return every coefficient, a column per group, and the price of sharing."""
        first = next(iter(self.fits.values()))
        words = [*self.shared, *(w for w in first.surface.law.names if w not in self.shared)]
        rows = tuple(
            row(f"{w}{' (shared)' if w in self.shared else ''}", *(Cell(f.surface[w]) for f in self.fits.values()))
            for w in words
        )
        title = f"Groups of {self.by} fitted together: {first.surface.law.formula}."
        return (Sheet(title, (self.sentence,), ("", *self.fits), rows, None, (), self.notes),)


def fit_groups(
    runs: Any,
    *,
    by: str,
    share: Sequence[str],
    law: Law | str = DEFAULT_LAW,
    objective: Objective | str | None = None,
    fixed: Mapping[str, float | str] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> Sharing:
    """
    Fit groups of runs together: some coefficients are shared, the others are each group's own.

    Parameters
    ----------
    runs : Runs, mapping of str to Runs, path, DataFrame, mapping of str to array_like, or list of records
        Training runs, or the groups of them by name.
    by : str
        Column that tells the groups apart.
    share : sequence of str
        Coefficients that the groups share.
    law, fixed, bounds
        See :func:`lawful.fit`; they hold for every group.
    objective : Objective or str, optional
        Squares if not given; ``huber``, ``log-squared`` and ``log-huber`` with a delta of their own.

    Returns
    -------
    Sharing

    Raises
    ------
    UnsupportedError
        If a coefficient is unknown, there is one group alone, or the law is not written as a formula.
    IdentificationError
        If there are fewer runs than coefficients.
    """
    groups = _groups(runs, by, law)
    labels = set.intersection(*(set(g.labels) for g in groups.values()))
    taken = next(iter(groups.values())).taken
    form = law_for(law, labels - {by}, taken, *groups.values())
    pins, ties = parted(form, fixed or {})
    form = tied_law(form, ties) if ties else form
    words = tuple(dict.fromkeys(share))
    unknown = [w for w in words if w not in form.names]
    if unknown or not words:
        what = f"{unknown[0]!r} is no coefficient of it" if unknown else "none is named"
        msg = f"The groups share coefficients of the {form.name} law, and {what}; it has {', '.join(form.names)}."
        raise UnsupportedError(msg)
    goal = as_objective(objective) or Objective.squared()
    given = {w: pair for w, pair in (bounds or {}).items() if w in form.names}
    held = {w: v for w, v in pins.items() if w in form.names}
    for one in groups.values():
        check_signed(one, form, goal, given | {w: (v, v) for w, v in held.items()})
    joint = Together(form, words, groups, goal, held, given)
    return joint.solved(by)


def _groups(runs: Any, by: str, law: Law | str) -> dict[str, Runs]:
    """Runs by group, in order of appearance."""
    if isinstance(runs, Mapping) and runs and all(isinstance(one, Runs) for one in runs.values()):
        found = dict(runs)
    elif isinstance(runs, Runs):
        found = runs.groups(by)
    else:
        found = table_for(runs, law).groups(by)
    if len(found) < 2:
        msg = f"Sharing takes two groups or more, and {by!r} has {len(found)}."
        raise UnsupportedError(msg)
    return {name: counted_once(one) for name, one in found.items()}


@dataclass(frozen=True, eq=False)
class Together:
    """The joint problem: one law per group in one formula, each switched on by a column that is 1 for its own runs."""

    law: Law
    shared: tuple[str, ...]
    groups: Mapping[str, Runs]
    goal: Objective
    pins: Mapping[str, float]
    bounds: Mapping[str, tuple[float, float]]

    def __repr__(self) -> str:
        return f"Together({self.law.name}, {len(self.groups)} groups)"

    @cached_property
    def own(self) -> tuple[str, ...]:
        """Coefficients that each group has for itself."""
        return tuple(w for w in self.law.names if w not in self.shared)

    def word(self, coefficient: str, i: int) -> str:
        """Name of a coefficient of group i in the joint formula."""
        return coefficient if coefficient in self.shared else f"{coefficient} {i}"

    @cached_property
    def limits(self) -> dict[str, tuple[float, float]]:
        """Bounds of every coefficient of the joint formula."""
        box = {**self.law.bounds, **self.bounds, **{w: (v, v) for w, v in self.pins.items()}}
        return {self.word(w, i): box[w] for i in range(len(self.groups)) for w in self.law.names}

    @cached_property
    def problem(self) -> FormProblem:
        """The joint fit in solver units."""
        parts: list[Expression] = []
        for i in range(len(self.groups)):
            own = {w: name(self.word(w, i)) for w in self.own}
            parts.append(multiply(name(f"group {i}"), substitute(expression_of(self.law), own)))
        read = tuple(self.law.columns)
        switches = tuple(f"group {i}" for i in range(len(self.groups)))
        words = tuple(self.limits)
        form = Formula(add(*parts), (*read, *switches), words)
        box = self.limits
        logs = tuple(w for w in words if box[w][0] > 0 and box[w][1] / box[w][0] >= LOGGED)
        law = Law("joint", (), words, form.columns, form=form, box=box, logs=logs, derivatives=Derivatives(form, logs))
        members = list(self.groups.values())
        columns = [np.concatenate([g.column(c) for g in members]) for c in read]
        label = np.repeat(np.arange(len(members)), [len(g) for g in members])
        columns += [(label == i).astype(float) for i in range(len(members))]
        loss, weight = (np.concatenate([getattr(g, a) for g in members]) for a in ("L", "weight"))
        width = self.goal.width if self.goal.is_huber else None
        log = self.goal.is_log
        w = None if np.all(weight == 1.0) else weight
        return prepare_form(law, tuple(columns), loss, w, box, log=log, delta=width)

    def fitted(self, runs: Runs, held: Mapping[str, float]) -> Fit | None:
        """One group alone, with some coefficients held; None where its runs cannot carry it."""
        how: Any = {"fixed": {**held, **self.pins}, "bounds": self.bounds or None}
        try:
            found: Fit = fit(
                runs, law=self.law, method="vpnls" if self.law.projects else "approach3", objective="squared", **how
            )
        except (IdentificationError, UnsupportedError):
            return None
        return found

    def starts(self, alone: Mapping[str, Fit | None]) -> Array:
        """Each group's own shared coefficients, their medians, those of all runs as one group; the rest refitted."""
        known = [f.surface.coefficients for f in alone.values() if f is not None]
        tried = [{w: k[w] for w in self.shared} for k in known]
        if known:
            tried.append({w: float(np.median([k[w] for k in known])) for w in self.shared})
        pooled = self.pooled()
        tried += [] if pooled is None else [{w: pooled.surface[w] for w in self.shared}]
        made = []
        for shared in tried:
            found = [self.fitted(g, shared) for g in self.groups.values()]
            if all(f is not None for f in found):
                values = {self.word(w, i): f.surface[w] for i, f in enumerate(found) if f for w in self.law.names}
                made.append([values[w] for w in self.limits])
        if not made:
            msg = (
                "No start for the joint fit can be had: a group has fewer runs than coefficients of its own; add runs."
            )
            raise IdentificationError(msg)
        return np.array(made)

    def pooled(self) -> Fit | None:
        """All runs as one group."""
        members = list(self.groups.values())
        labels = {
            c: np.concatenate([g.column(c) for g in members]) for c in self.law.columns if c not in ("N", "D", "C")
        }
        arrays = {c: np.concatenate([getattr(g, c) for g in members]) for c in ("N", "D", "C", "L", "weight")}
        known = {c: v if np.isfinite(v).all() else None for c, v in arrays.items()}
        n, d, loss = known.pop("N"), known.pop("D"), arrays["L"]
        runs = Runs.from_arrays(n, d, loss, C=known["C"], weight=arrays["weight"], signed=True, labels=labels)
        return self.fitted(runs, {})

    def solved(self, by: str) -> Sharing:
        """Fit every group alone, then all together from there."""
        problem = self.problem
        free = int((problem.lower < problem.upper).sum())
        count = problem.y.size
        if count < free:
            what = f"{count} runs cannot determine {free} coefficients of {len(self.groups)} groups"
            msg = f"{what}; share more of them, or add runs."
            raise IdentificationError(msg)
        alone = {value: self.fitted(g, {}) for value, g in self.groups.items()}
        z = np.clip(problem.to_z(self.starts(alone)), problem.lower, problem.upper)
        weight = np.ones(count) if problem.w is None else problem.w
        out = polish_form(problem, z, problem.target, weight, tolerance=TOLERANCE, max_iter=MOST_STEPS)
        order = np.argsort(out.value, kind="stable")
        best = int(order[0])
        met = int((out.value <= out.value[best] * (1 + SAME) + 1e-20).sum())
        values = dict(zip(self.limits, problem.to_coefficients(out.z[best : best + 1])[0].tolist(), strict=True))
        status = Status.CONVERGED if out.converged[best] else Status.NOT_CONVERGED
        fits = {v: self.member(i, g, values, status) for i, (v, g) in enumerate(self.groups.items())}
        apart = sum(f.rss for f in alone.values() if f is not None) if all(alone.values()) else None
        rss = sum(f.rss for f in fits.values())
        own = sum(1 for w in self.law.names if self.limits[self.word(w, 0)][0] < self.limits[self.word(w, 0)][1])
        freedom = (own * len(self.groups) - free, count - own * len(self.groups))
        apart = apart if self.goal.name == "squared" else None
        found = Sharing(by, self.shared, fits, self, rss, apart, freedom, met, len(z))
        note = Note("shared", found.sentence)
        told = (note,) if met > 1 else (note, Note("few_starts", f"Of {len(z)} starts one alone ended in this answer."))
        return replace(found, fits={v: replace(f, notes=(*f.notes, *told)) for v, f in fits.items()}, notes=told)

    def member(self, i: int, runs: Runs, values: Mapping[str, float], status: Status) -> Fit:
        """The fit of one group out of the joint answer."""
        own = {w: values[self.word(w, i)] for w in self.law.names}
        surface = Surface(own, law=self.law)
        fitted = losses_of(surface, runs)
        residuals = np.log(runs.L) - np.log(fitted) if self.goal.is_log else runs.L - fitted
        value = self.goal.of(residuals, runs.weight)
        solver = Joint(dict(self.bounds))
        return Fit(surface, solver.method, self.goal, solver, runs, value, status, runs.notes, dict(self.pins))
