"""unused_columns(): columns of the table that no part of the law reads, and that its residuals follow all the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lawful.core.expression import quoted
from lawful.core.notes import Note
from lawful.core.numbers import format_short
from lawful.core.shown import Record
from lawful.core.typing import Array, IntArray
from lawful.data.cells import first_of_copies
from lawful.data.checkpoints import PROGRESS_NAMES, RUN_NAMES
from lawful.data.columns import EPOCHS, HOURS, RATIOS, SEED_NAMES, STEPS, UNIQUE_NAMES, normalise
from lawful.data.runs import COMPLETE, Runs
from lawful.errors import LawfulError
from lawful.estimate.fit import fit as fit_law
from lawful.estimate.result import Fit
from lawful.laws.law import Law
from lawful.uncertainty.delta import delta
from lawful.uncertainty.explained import SURE, Cause, explained, is_function
from lawful.uncertainty.grounds import grounds, groupings
from lawful.uncertainty.linear import Linearised

LEAST = 0.1
"""Share of the variance of the residuals that a column must explain to be worth a word."""

MOST_RUNS = 5000
"""Runs that are looked at; of more, so many in even steps."""

MOST_COLUMNS = 3
"""Columns that one law is given at once."""

FEWEST_RUNS = 10
"""Runs from which a column is looked for."""

CUBIC = 25
"""Degrees of freedom from which bends of the third order are taken out as well."""

ALIKE = 0.95
"""Shares within this of the largest count as equal."""

ONCE = 1.01
"""Times that a run may have seen its tokens without having repeated any."""

KNOWN = 0.8
"""Share of the runs in which a column must have a number."""

OUTCOME = 0.9
"""Rank correlation with the loss from which a column is another outcome of a run, not a cause."""

NO_CAUSES = frozenset(
    (*SEED_NAMES, *RUN_NAMES, *STEPS, *PROGRESS_NAMES, *EPOCHS, *HOURS, *RATIOS, *UNIQUE_NAMES, "index", "row", "line")
)
"""Columns that name, count or time a run, or follow from its size and tokens."""

NO_CAUSE = re.compile(
    r"(^|_)(run|job|exp|trial|row|line)_?(no|nr|num|number|order)$|(^|[_./])(id|ids|uid|uuid|hash|date|day|time|times|timestamp|created|created_at|started|started_at|"
    r"updated_at|finished_at|runtime|duration|elapsed|seconds|secs|minutes|hours|year|month|week|seed|step|steps|"
    r"node|host|port|pid|job|version|unnamed|cost|price|usd|gpu_hours|throughput|mfu|tps|index)([_.:/]|$)"
)
"""The same by a word of their names."""

OUTCOMES = re.compile(
    r"loss|ppl|perplex|bpb|bits_per|nll|entropy|(^|_)acc|accuracy|score|error|(^|_)mean|stderr|grad_norm|reward|bleu|rouge|"
    r"resid|fitted|predict|(^|_)pred(_|$)|excess|f1|mmlu|arc_|hellaswag|lambada|piqa|winogrande|gsm|eval[_/]|val[_/]|test[_/]"
)
"""Names of other outcomes of a run, and of what a fit makes of them: the runs that `fit --out` saves are read again."""

EXPERTS = re.compile(r"(^|[_./])(num_|n_)?(moe_)?experts?([_./]|$)|expert_count|expansion")
"""Columns of a mixture of experts, for which the catalogue has a law of its own."""

COEFFICIENTS = ("G", "H", "K")
"""Multipliers of terms that are added to a law, then their exponents and centres."""
EXPONENTS = ("gamma", "delta", "eta")
CENTRES = ("m", "m2", "m3")


@dataclass(frozen=True, eq=False)
class Unused(Record):
    """
    A column that no part of the law reads, and that its residuals follow.

    Attributes
    ----------
    name : str
        Of the column.
    share : float
        Of the variance of the residuals that it explains, once those of columns named before it are taken out.
    p : float
        Probability of that by chance, times the columns that were tried.
    sign : int
        1 where the loss rises with the column, -1 where it falls, 0 where it has a valley or a ridge.
    tried : int
        Columns that were tried.
    beside : tuple of str
        Columns that say much the same.
    """

    name: str
    share: float
    p: float
    sign: int
    tried: int
    beside: tuple[str, ...] = ()


def unused_columns(fit: Any) -> tuple[Unused, ...]:
    """
    Find columns that no part of a law reads, and that its residuals follow.

    Names and numbers of runs, dates, steps, other outcomes, and whatever follows from N, D and C are left out. The
    residuals, with bends in ln N and ln D taken out besides all that the law itself can do, are held against
    each column's logs, ranks and a parabola in them; wild draws of the residuals, in the groups within which the column
    stands still, say how often chance does as well, and that probability is multiplied by the columns tried.

    Parameters
    ----------
    fit : Fit
        A surface fit.

    Returns
    -------
    tuple of Unused
        The column that explains most first; each further one by what the former leave.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
    >>> depth = np.tile([12, 24, 48], 9)
    >>> table = {"N": runs.N, "D": runs.D, "loss": runs.L - 0.01 * np.log(depth), "depth": depth}
    >>> [(found.name, found.sign) for found in unused_columns(lawful.fit(table))]
    [('depth', -1)]
    """
    if fit.surface is None or not np.isfinite(fit.rss):
        return ()
    first = first_of_copies(fit.runs)
    if first.size > MOST_RUNS:
        first = first[np.linspace(0, first.size - 1, MOST_RUNS).astype(np.intp)]
    at = delta(fit).linear
    first = first[at.weight[0][first] > 0]
    columns = _candidates(fit.runs, fit.surface.law, first)
    if not columns or first.size < FEWEST_RUNS + int(at.free[0].sum()):
        return ()
    scales = [_centred(v) for v in _scales(fit.runs, fit.surface.law, first)]
    residual, known = _residuals(fit, at, first, scales)
    groups = {name: label[first] for name, label in groupings(fit.runs).items()} if _whole(fit.runs) else {}
    found, tried = list[Unused](), len(columns)
    left = dict(columns)
    while left and len(found) < MOST_COLUMNS:
        judged = {name: explained(residual, known, values, groups, tried) for name, values in left.items()}
        sure = {name: one for name, one in judged.items() if one.p < SURE} or judged
        most = max(one.share for one in sure.values())
        # Of columns that explain as much, the one that says least of size and tokens: experts, not total parameters.
        best = max((name for name in sure if sure[name].share >= ALIKE * most), key=lambda name: sure[name].own)
        here = judged[best]
        if here.p >= SURE or here.share < LEAST:
            break
        alike = [
            name for name in left if name != best and judged[name].p < SURE and judged[name].share > here.share / 2
        ]
        shapes = left.pop(best).shapes
        # What a column does may differ with size and tokens; that is still its own doing, not the next column's.
        known = np.column_stack([known, shapes, *(shapes[:, :2] * v[:, None] for v in scales)])
        again = {name: explained(residual, known, left[name], groups, tried) for name in alike}
        beside = tuple(name for name in alike if again[name].p >= SURE)
        left = {name: values for name, values in left.items() if name not in beside}
        found.append(Unused(best, here.share, here.p, here.sign, tried, beside))
    return tuple(found)


def _centred(values: Array) -> Array:
    centred = values - values.mean()
    return np.asarray(centred / np.abs(centred).max())


def _whole(runs: Runs) -> bool:
    return all(map(runs.has, COMPLETE))


def _scales(runs: Runs, law: Law, rows: IntArray) -> list[Array]:
    """Logs of what the law reads, and of N, D and C where the table tells them."""
    names = dict.fromkeys([*law.columns, *COMPLETE])
    found = [np.asarray(runs.column(name), dtype=float)[rows] for name in names if runs.has(name)]
    return [np.log(v) if v.min() > 0 else v for v in found if np.isfinite(v).all() and np.ptp(v) > 0]


def _candidates(runs: Runs, law: Law, rows: IntArray) -> dict[str, Cause]:
    """Columns that might be a cause of the loss and that neither the law nor N, D and C tell."""
    scales = _scales(runs, law, rows)
    read = {runs.columns.get(q) for q in ("params", "tokens", "loss", "budget", "weight")} | set(law.columns)
    found = {}
    for name, column in runs.labels.items():
        if name in read or column.dtype.kind not in "iuf" or _no_cause(name):
            continue
        values = np.asarray(column, dtype=float)[rows]
        known = np.isfinite(values)
        if known.mean() < KNOWN or np.unique(values[known]).size < 2 or _counts(values[known]):
            continue
        made = Cause.of(values, np.sqrt(runs.weight[rows]))
        if not is_function(made, scales) and not _outcome(made, runs.L[rows], scales):
            found[name] = made
    return found


def _no_cause(name: str) -> bool:
    word = normalise(name)
    last = re.split(r"[./]", word)[-1]
    return bool({word, last} & NO_CAUSES or NO_CAUSE.search(word) or OUTCOMES.search(word))


def _counts(values: Array) -> bool:
    """Whether numbers only count rows, or are dates: equal steps down the table, YYYYMMDD, seconds since 1970."""
    steps = np.diff(values)
    if np.unique(steps).size == 1 and steps[0] != 0:
        return True
    if not (values % 1 == 0).all():
        return False
    year, month, day = values // 10000, values // 100 % 100, values % 100
    dates = (year >= 1990) & (year <= 2100) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    seconds = (values > 1.2e9) & (values < 2.2e9)
    within = float(np.ptp(values)) < 3e8
    return bool(dates.all() or (seconds.all() and within and np.unique(values).size > values.size / 2))


def _outcome(column: Cause, loss: Array, scales: list[Array]) -> bool:
    """Whether a column follows the loss itself, and more closely than it follows size, tokens or compute."""
    with_loss = column.follows(loss)
    return with_loss > OUTCOME and with_loss > max((column.follows(v) for v in scales), default=0.0)


def _residuals(fit: Fit, at: Linearised, rows: IntArray, scales: list[Array]) -> tuple[Array, Array]:
    """
    Residuals as the objective counts them, and all that may explain them already, shape (n,) and (n, k).

    That is what the law can do, bends in the logs of what it reads, and the means of groups that share an error.
    """
    root = np.sqrt(at.weight[0][rows])
    slopes = (at.slope[0][at.free[0]][:, rows] * root).T
    bends = [np.ones(rows.size), *scales, *(a * b for i, a in enumerate(scales) for b in scales[i:])]
    known = np.column_stack([slopes, *(bend * root for bend in bends)])
    if rows.size - np.linalg.matrix_rank(known) >= CUBIC:
        known = np.column_stack([known, *(v**3 * root for v in scales[:2])])
    rests = grounds(fit) if fit.surface.law.profiles else None
    if rests is not None and rests.shared is not None:
        label = groupings(fit.runs).get(rests.shared.name)
        if label is not None:
            member = label[rows][:, None] == np.unique(label[rows])
            if member.shape[1] <= rows.size / 3:
                known = np.column_stack([known, member * root[:, None]])
    return at.pseudo[0][rows] * root, known


def unused_notes(fit: Any) -> tuple[Note, ...]:
    """
    Say which columns nobody uses explain the residuals, how much of them, and which law would use them.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> unused_notes(lawful.fit(lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth))))
    ()
    """
    found = unused_columns(fit)
    if not found:
        return ()
    tried = found[0].tried
    searched = f" after the search over {tried} columns" if tried > 1 else ""
    words = []
    for i, one in enumerate(found):
        effect = EFFECTS[one.sign]
        of = "what that leaves" if i else f"the variance of the residuals of the {fit.surface.law.name} law"
        unread = "" if i else ", which no part of the law reads,"
        also = f", and so does {_listed(one.beside)}, which says much the same" if one.beside else ""
        told = f"({effect}; p {_chance(one.p)}{'' if i else searched})"
        words.append(f"olumn {one.name!r}{unread} explains {one.share:.0%} of {of} {told}{also}")
    text = (
        f"C{'; c'.join(words)}. N*, L* and their intervals hold for the values that these runs have of it. "
        f"{_remedy(fit, found)}"
    )
    return (Note("unused_column", text),)


EFFECTS = {1: "the loss rises with it", -1: "the loss falls as it grows", 0: "the loss has a valley along it"}
"""How a column acts, in words."""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {format_short(p, 1)}"


def _remedy(fit: Fit, found: tuple[Unused, ...]) -> str:
    """Name a law that reads the columns, as a command, with what it leaves of the residuals."""
    made = law_with(fit, [one.name for one in found])
    if made is None:
        return "Give a law that reads it, `law` 'loss = …', or runs of one value of it, `select`."
    text, left = made
    own = np.sqrt(fit.rss / fit.runs.weight.sum())
    held = " ".join(f"--given {shlex.quote(one.name)}=VALUE" for one in found)
    more = ""
    if any(EXPERTS.search(normalise(one.name)) for one in found):
        more = " The catalogue's law (lawful fit --law ludziejewski) needs more runs and a column named experts."
    return (
        f"A law that reads it leaves {format_short(left, 2)} of {format_short(own, 2)} nats (root mean square): "
        f"lawful fit {_source(fit.runs)} --law {shlex.quote(text)} --out law; then "
        f"lawful allocate law/fit.json --budget C {held}.{more}"
    )


def _source(runs: Runs) -> str:
    """The table as the shell names it, with the rows that were chosen of it."""
    source = runs.source if Path(runs.source).suffix else "runs.csv"
    chosen = "".join(f" --select {shlex.quote(f'{name}={value}')}" for name, value in runs.selection.items())
    return f"{shlex.quote(source)}{chosen}"


def law_with(fit: Fit, names: Iterable[str]) -> tuple[str, float] | None:
    """
    Formula of a law that reads some columns besides sizes and tokens, and the misfit that it leaves.

    For each column in turn the best of several terms is taken by Schwarz's criterion: a factor on the term of sizes
    or of tokens, a term of its own, a slope in its logarithm, a valley in it; of a column with zeros a plain slope.

    Parameters
    ----------
    fit : Fit
    names : iterable of str
        Columns of the runs.

    Returns
    -------
    (str, float) or None
        The formula, and the root mean square of its residuals; None where no such law can be fitted.
    """
    runs = fit.runs
    terms, n = _base(runs, set(runs.labels)), len(runs)
    best: tuple[float, list[str], float] | None = None
    for i, name in enumerate(names):
        tries = []
        for option in _terms(terms, name, runs, i):
            text = f"loss = {' + '.join(option)}"
            try:
                made = fit_law(runs, law=text, objective=fit.objective)
            except LawfulError:
                continue
            value = max(made.value, 1e-300)
            tries.append((n * np.log(value) + len(made.surface.law.names) * np.log(n), option, made))
        if not tries:
            return None
        score, terms, made = min(tries, key=lambda one: one[0])
        best = score, terms, float(np.sqrt(made.rss / runs.weight.sum()))
    return None if best is None else (f"loss = {' + '.join(best[1])}", best[2])


def _base(runs: Runs, taken: set[str]) -> list[str]:
    """Terms of a law of sizes and tokens, or of the one quantity that the runs have."""
    own = {name: _free(name, taken) for name in ("E", "A", "B", "alpha", "beta")}
    terms = [own["E"]]
    if _whole(runs):
        return [*terms, f"{own['A']}*N^-{own['alpha']}", f"{own['B']}*D^-{own['beta']}"]
    column = next(name for name in COMPLETE if runs.has(name))
    return [*terms, f"{own['A']}*{column}^-{own['alpha']}"]


def _terms(terms: list[str], name: str, runs: Runs, i: int) -> list[list[str]]:
    """Laws with one column more, the simplest first."""
    taken = set(runs.labels)
    g, power, centre = (_free(kind[i], taken) for kind in (COEFFICIENTS, EXPONENTS, CENTRES))
    word, values = quoted(name), np.asarray(runs.labels[name], dtype=float)
    if not (values > 0).all():
        return [[*terms, f"{g}*{word}"]]
    inside = [[*terms[:k], f"{terms[k]}*{word}^-{power}", *terms[k + 1 :]] for k in range(1, min(len(terms), 3))]
    return [
        *inside,
        [*terms, f"{g}*{word}^-{power}"],
        [*terms, f"{g}*log({word})"],
        *([[*terms, f"{g}*(log({word}) - {centre})^2"]] if np.unique(values).size > 2 else []),
    ]


def _free(name: str, taken: set[str]) -> str:
    """A name for a coefficient that no column has."""
    while name in taken:
        name += "_"
    return name


def repeated_note(fit: Any, runs: Runs | None = None) -> tuple[Note, ...]:
    """
    Say that runs saw their tokens several times where the law takes repeated tokens as new ones.

    Parameters
    ----------
    fit : Fit or FrontierFit
    runs : Runs, optional
        The runs to count, where the fit saw a sample of them only.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
    >>> few = {"N": runs.N, "D": runs.D, "loss": runs.L, "unique_tokens": np.full(27, 2e9)}
    >>> repeated_note(lawful.fit(few))[0].message.split(",")[0]
    '21 of 27 runs saw their tokens more than once'
    """
    runs = runs or fit.runs
    law = None if fit.surface is None else fit.surface.law
    if (law is not None and "U" in law.columns) or not (runs.has("U") and runs.has("D")):
        return ()
    try:
        epochs = runs.D / runs.column("U")
    except LawfulError:
        return ()
    again = epochs > ONCE
    if not again.any():
        return ()
    name = "this method" if law is None else f"the {law.name} law"
    text = (
        f"{int(again.sum()):,} of {len(runs):,} runs saw their tokens more than once, up to "
        f"{format_short(float(epochs.max()), 3)} times (column {runs.label_of('U')!r}), and {name} takes repeated "
        f"tokens as new ones: fit a law of repeated data, "
        f"lawful fit {_source(runs)} --law muennighoff --budget C --out repeated, then lawful allocate "
        f"repeated/fit.json --budget C --unique-tokens U."
    )
    return (Note("repeated_data", text),)
