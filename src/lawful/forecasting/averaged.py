"""What the averaged forecast says of a user's runs: at budgets, with its own record on the budgets held out of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lawful.core.notes import Note, doubt_of
from lawful.core.numbers import format_count, format_flops, format_level, format_percent, format_short
from lawful.core.sheet import Cell, Sheet, quantity, row
from lawful.core.shown import Record, Shown
from lawful.data.runs import Runs
from lawful.errors import IdentificationError, LawfulError
from lawful.estimate.result import SURFACE_METHODS
from lawful.forecasting.ensemble import DISAGREE, FAR_FROM_VALLEY, Ensemble, Outlook, ensemble
from lawful.forecasting.forecast import Forecast
from lawful.forecasting.holdout import forecast_frontier, forecast_surface
from lawful.forecasting.sets import splits
from lawful.laws.laws import DEFAULT_LAW, find_law

RECORD_LEVEL = 0.9
"""Level of the intervals whose hits are counted."""


AVERAGE = "average of laws"
"""Head of the column of the averaged forecast."""


@dataclass(frozen=True, slots=True)
class OwnRecord(Record):
    """
    How the averaged forecast did on the user's own largest budgets.

    Attributes
    ----------
    fitted, held : int
        Runs fitted, and runs forecast from them.
    beyond : float
        Largest compute forecast over the largest fitted, both by the convention that budgets are spent in.
    error, miss : float
        Median of (forecast - observed)/observed, and of its absolute value.
    hits, intervals : int
        Forecast runs inside their 90% intervals, and runs that had one.
    """

    fitted: int
    held: int
    beyond: float
    error: float
    miss: float
    hits: int
    intervals: int

    def sentence(self) -> str:
        """
        Say it.

        Examples
        --------
        >>> OwnRecord(101, 22, 1.7, 0.0006, 0.002, 21, 22).sentence()
        'Held out: the 22 runs of most compute, forecast from the other 101, came with a median error of 0.20% (+0.06% signed); 21 of 22 lay inside their 90% intervals.'
        """  # noqa: E501
        return (
            f"Held out: the {self.held} runs of most compute, forecast from the other {self.fitted}, came with a "
            f"median error of {self.miss:.2%} ({self.error:+.2%} signed); {self.hits} of {self.intervals} lay inside "
            f"their {format_level(RECORD_LEVEL)} intervals."
        )


def own_record(runs: Runs) -> OwnRecord | None:
    """
    Hold out the quarter of the runs with most compute, forecast them, and count.

    Returns
    -------
    OwnRecord or None
        None where too few runs would be left to fit.

    Examples
    --------
    >>> truth = lawful.Surface.named("symmetric")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=truth)
    >>> found = own_record(lawful.simulate(truth, plan, noise=0.002))
    >>> found.fitted, found.held, found.miss < 0.02
    (21, 7, True)
    """
    runs = runs.ordered
    made = splits(runs, ["top quarter"])
    if not made:
        return None
    train, held = runs.take(made[0].train), runs.take(made[0].test)
    try:
        found = ensemble(train)
    except IdentificationError:
        return None
    relative = found.loss(held.N, held.D) / held.L - 1.0
    low, high = found.interval(held.N, held.D, RECORD_LEVEL)
    known = np.isfinite(low)
    hits = int((known & (low <= held.L) & (high >= held.L)).sum())
    return OwnRecord(
        len(train),
        len(held),
        float(found.beyond(found.cost.flops(held.N, held.D)).max()),
        float(np.median(relative)),
        float(np.median(np.abs(relative))),
        hits,
        int(known.sum()),
    )


@dataclass(frozen=True, eq=False)
class Averaged(Shown):
    """
    The averaged forecast of some runs, at the budgets asked for.

    Attributes
    ----------
    ensemble : Ensemble
    record : OwnRecord or None
        None where too few runs could be held out.
    outlooks : tuple of Outlook
        One per budget.

    Examples
    --------
    >>> truth = lawful.Surface.named("symmetric")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=truth)
    >>> made = averaged(lawful.simulate(truth, plan, noise=0.002), [1e22])
    >>> made.sheets()[0].title.startswith("At 1e22 FLOPs, 10 times beyond the runs: N* ")
    True
    """

    ensemble: Ensemble
    record: OwnRecord | None
    outlooks: tuple[Outlook, ...] = ()

    def sheets(self) -> tuple[Sheet, ...]:
        """Return a sheet per budget: N*, D* and L* first, then what the width of L* is made of."""
        said = () if self.record is None else (self.record.sentence(),)
        doubt = doubt_of(self.ensemble.notes)
        return tuple(outlook_sheet(one, said if i == 0 else (), doubt) for i, one in enumerate(self.outlooks))

    @property
    def notes(self) -> tuple[Note, ...]:
        """Every warning once."""
        return tuple(dict.fromkeys(note for one in self.outlooks for note in one.notes))

    def to_dict(self) -> dict[str, Any]:
        """Return it as it stands in JSON."""
        record = self.record
        return {
            "available": True,
            "reason": None,
            "laws": len(self.ensemble.members.laws.z),
            "noise": self.ensemble.members.noise,
            "record": None if record is None else {name: getattr(record, name) for name in record.__slots__},
            "forecasts": [outlook_document(one) for one in self.outlooks],
        }


def averaged(runs: Runs, budgets: Sequence[float] = (), level: float = 0.9) -> Averaged:
    """
    Fit the averaged forecast and ask it about budgets.

    Raises
    ------
    IdentificationError
        If the runs are too few or too alike.
    """
    found = ensemble(runs)
    made = tuple(found.outlook(budget, level) for budget in budgets)
    return Averaged(found, own_record(found.runs) if budgets else None, made)


def averaged_forecasts(
    found: Ensemble, budgets: Sequence[float] = (), points: Sequence[tuple[float, float]] = (), level: float = 0.9
) -> tuple[Forecast, ...]:
    """
    Forecast runs before they exist by the average of laws: compute-optimal ones at budgets, then others.

    Raises
    ------
    IdentificationError
        If a run lies too far from the compute-optimal size for an interval.
    """
    made = [(float(c), float(found.params(c)), float(found.tokens(c)), True) for c in budgets]
    made += [(float(found.cost.flops(n, d)), float(n), float(d), False) for n, d in points]
    out = []
    for budget, params, tokens, optimal in made:
        if found.is_far(params, tokens):
            msg = (
                f"A run of {format_count(params)} parameters on {format_count(tokens)} tokens lies more than a factor "
                f"{FAR_FROM_VALLEY:g} from the compute-optimal size, where the average of laws has no interval that "
                f"holds; forecast a run nearer to it, or fit one law by name (vpnls, approach3)."
            )
            raise IdentificationError(msg)
        low, high = (float(end) for end in found.interval(params, tokens, level))
        error = float(found.loss(params, tokens) * found.parts(params, tokens).total(run=True) * found.width.scale)
        loss = float(found.loss(params, tokens))
        out.append(Forecast(budget, params, tokens, loss, (low, high), error, level, optimal))
    return tuple(out)


@dataclass(frozen=True)
class MethodRecord(Record):
    """
    How one method forecast the user's own largest budgets from the others.

    Attributes
    ----------
    method : str
    fitted, held : int
    error, miss : float or None
        Median of (forecast - observed)/observed, and of its absolute value; None where it cannot forecast.
    """

    method: str
    fitted: int
    held: int
    error: float | None
    miss: float | None


def method_records(runs: Runs, record: OwnRecord | None) -> tuple[MethodRecord, ...]:
    """
    Forecast the quarter of the runs with most compute by each method that says what any run reaches.

    Parameters
    ----------
    runs : Runs
    record : OwnRecord or None
        That of the average on the same split.

    Returns
    -------
    tuple of MethodRecord
        ``auto`` first; empty where too few runs would be left. Approach 1 forecasts the best run of a budget only.
    """
    runs = runs.ordered
    made = splits(runs, ["top quarter"])
    if record is None or not made:
        return ()
    train, held = runs.take(made[0].train), runs.take(made[0].test)
    found = [MethodRecord("auto", record.fitted, record.held, record.error, record.miss)]
    for method in ("vpnls", "approach1", "approach2", "approach3"):
        try:
            if method in SURFACE_METHODS:
                law = find_law(DEFAULT_LAW)
                seen = forecast_surface(train, held, law, method, None, draws=0, level=RECORD_LEVEL, seed=0)
            else:
                seen = forecast_frontier(train, held, method, draws=0, level=RECORD_LEVEL, seed=0)
        except LawfulError:
            found.append(MethodRecord(method, len(train), 0, None, None))
            continue
        error, miss = float(np.median(seen.error)), float(np.median(np.abs(seen.error)))
        found.append(MethodRecord(method, len(train), seen.error.size, error, miss))
    return tuple(found)


def records_sheet(records: Sequence[MethodRecord]) -> Sheet:
    """Return the records of methods side by side."""
    rows = tuple(
        row(one.method, Cell(float(one.held), "integer"), Cell(one.miss, "share"), Cell(one.error, "change"))
        for one in records
    )
    title = f"Held-out budgets: forecasts of the runs of most compute from the other {records[0].fitted}."
    return Sheet(title, columns=("", "runs", "median error", "signed"), rows=rows)


def outlook_document(one: Outlook) -> dict[str, Any]:
    """Return what the average says of a budget as it stands in JSON; parts are standard deviations of ln L."""
    return {
        "budget": one.budget,
        "beyond": one.beyond,
        "params": one.params,
        "tokens": one.tokens,
        "loss": one.loss,
        "level": one.level,
        "interval": one.interval,
        "prediction": {"loss": one.prediction},
        "parts": one.parts._asdict(),
        "spread": one.spread,
        "laws_disagree": one.spread > DISAGREE,
        "notes": [note.to_dict() for note in one.notes],
    }


def outlook_cells(one: Outlook) -> dict[str, Cell]:
    """Return N*, D* and L* of the average, each with its interval."""
    return {name: quantity(name, getattr(one, name), one.interval[name])[1] for name in ("params", "tokens", "loss")}


def outlook_sheet(one: Outlook, sentences: tuple[str, ...] = (), doubt: str = "") -> Sheet:
    """Return N*, D* and L* with intervals, the laws' disagreement, and shares of the width; what is doubtful first."""
    cells = outlook_cells(one)
    far = f"{format_short(one.beyond, 3)} times beyond the runs" if one.beyond > 1 else "within the runs' compute"
    named = (("N*", "params"), ("D*", "tokens"), ("L*", "loss"))
    title = f"At {format_flops(one.budget)}, {far}: {', '.join(f'{word} {cells[name]}' for word, name in named)}."
    title = f"Doubtful: {doubt}. {title}" if doubt else title
    square = {name: part**2 for name, part in one.parts._asdict().items()}
    whole = sum(square.values())
    shares = ", ".join(f"{name} {format_percent(part / whole)}" for name, part in square.items())
    agree = "disagree" if one.spread > DISAGREE else "agree"
    rows = (
        *(row(quantity(name, 0.0)[0], cells[name]) for name in ("params", "tokens", "loss")),
        row("loss of one new run", Cell(None, "nats", *one.prediction)),
    )
    closing = (
        f"The laws of the average {agree}: their losses spread by {one.spread:.2%} there.",
        f"Variance of one new run's loss: {shares}.",
    )
    return Sheet(
        title,
        sentences,
        ("", AVERAGE),
        rows,
        f"{format_level(one.level)} interval",
        closing,
        one.notes,
    )
