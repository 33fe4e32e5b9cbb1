"""What a budget buys at any price, with intervals: the columns of the best run, its loss, and what was reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lawful.core.shown import Record
from lawful.core.typing import Interval
from lawful.decide.priced import (
    Names,
    Offer,
    Price,
    Reachable,
    Settled,
    flops_of,
    no_interior,
    offer_of,
    sensitivities,
    settle,
)
from lawful.errors import IdentificationError
from lawful.estimate.result import Fit
from lawful.uncertainty.bootstrap import Draws
from lawful.uncertainty.delta import Delta, delta
from lawful.uncertainty.intervals import NOWHERE, Intervals
from lawful.uncertainty.quantiles import quantiles

MOST_DRAWS = 200
"""Bootstrap draws whose best run is found anew."""


@dataclass(frozen=True, eq=False)
class Bought(Record):
    """
    The best run of a budget.

    Attributes
    ----------
    columns : mapping of str to float
        Every column of the run, by the names of the table; those that were held among them.
    params, tokens : float or None
        N and D, where the law or the price reads them.
    loss : float
    convention : str
        What a run costs, in words.
    reached : tuple of str
        Limits that hold with equality, and ranges whose end is the answer.
    constrained : bool
        Whether limits, held columns or ranges were asked for.
    budget_6nd : float or None
        6ND of the run.
    interval : mapping of str to (float, float), or None
        Of the columns that were chosen, of params and tokens, and of the loss.
    prediction : mapping, or None
        Of the loss of one new run.
    """

    columns: Mapping[str, float]
    params: float | None
    tokens: float | None
    loss: float
    convention: str
    reached: tuple[str, ...]
    budget_6nd: float | None
    interval: Mapping[str, Interval] | None = None
    prediction: Mapping[str, Interval] | None = None
    constrained: bool = False


def buy(
    fit: Fit,
    budget: float,
    price: Price,
    sure: Intervals | None = None,
    *,
    limits: Sequence[str] = (),
    given: Mapping[str, float] | None = None,
    ranges: Mapping[str, Reachable] | None = None,
) -> Bought:
    """
    Find the best run of a budget under the law of a fit, with intervals.

    Parameters
    ----------
    fit : Fit
    budget : float
        In the unit of the price.
    price : Price
        See :func:`lawful.decide.priced.price_by`.
    sure : Intervals, optional
        Where intervals come from: the best run is found anew for each of up to 200 draws, else it is followed to first
        order in the coefficients.
    limits, given, ranges
        See :func:`lawful.decide.priced.offer_of`.

    Raises
    ------
    IdentificationError
        If nothing fits, or no model size or token count is best.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
    >>> from lawful.decide.priced import price_by
    >>> fit = lawful.fit(runs)
    >>> best = buy(fit, 1e22, price_by(fit, "6*params*tokens"), limits=["params <= 2e9"])
    >>> f"{best.params:.3g}", best.reached
    ('2e+09', ('params <= 2e9',))
    """
    offer, names = offer_of(fit, budget, price, limits=limits, given=given, ranges=ranges), Names.of(fit)
    found = settle(offer)
    endless = no_interior(offer, found, names)
    if endless is not None:
        raise IdentificationError(endless)
    columns = {c: float(v) for c, v in offer.columns(found.x).items()}
    shown = {names.shown.get(c, c): v for c, v in columns.items()}
    reached = [offer.limits[j - 1].text for j in found.reached if j > 0]
    reached += [f"the {_end(offer, found, i)} end of the range of {_shown(names, offer.free[i])}" for i in found.ends]
    interval = prediction = None
    if sure is not None:
        interval, prediction = _sure(offer, found, names, fit, sure)
    return Bought(
        shown,
        columns.get("N"),
        columns.get("D"),
        found.loss,
        price.convention,
        tuple(reached),
        flops_of(columns),
        interval,
        prediction,
        bool(limits or given or ranges),
    )


def _shown(names: Names, column: str) -> str:
    return names.shown.get(column, column)


def _end(offer: Offer, found: Settled, i: int) -> str:
    return "upper" if found.x[i] > offer.box[i].mean() else "lower"


def place_of(offer: Offer, found: Settled) -> tuple[float, ...]:
    """Point of the best run as intervals of a loss take it: N and D, or the columns of the law in its order."""
    columns = offer.columns(found.x)
    if set(offer.law.columns) <= set("ND"):
        return tuple(float(columns.get(c, np.nan)) for c in "ND")
    return tuple(float(columns[c]) for c in offer.law.columns)


def _sure(
    offer: Offer, found: Settled, names: Names, fit: Fit, sure: Intervals
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """Intervals of the chosen columns by their names, of N, D and the loss; and of the loss of one new run."""
    at = place_of(offer, found)
    if sure.draws is not None:
        ends, loss = _drawn(offer, found, sure.draws, sure.level)
    else:
        ends, loss = _linear(offer, found, fit, sure), sure.of("loss_at", point=at)
    ends = {c: span for c, span in ends.items() if not span[1] <= span[0] * (1 + 1e-9)}
    interval = {_shown(names, c): span for c, span in ends.items()}
    interval |= {word: ends[c] for word, c in (("params", "N"), ("tokens", "D")) if c in ends}
    held = {word: (offer.held[c],) * 2 for word, c in (("params", "N"), ("tokens", "D")) if c in offer.held}
    return {**interval, **held, "loss": loss}, {"loss": sure.prediction(point=at)}


def _drawn(offer: Offer, found: Settled, draws: Draws, level: float) -> tuple[dict[str, Interval], Interval]:
    """The best run of every draw's own law."""
    rows = np.stack([draws.coefficients[word] for word in offer.k], axis=1)
    rows = rows[np.isfinite(rows).all(axis=1)][:MOST_DRAWS]
    places, losses = np.full((len(rows), found.x.size), np.nan), np.full(len(rows), np.nan)
    for i, row in enumerate(rows.tolist()):
        try:
            own = settle(replace(offer, k=dict(zip(offer.k, row, strict=True))), found.x)
        except IdentificationError:
            continue
        places[i], losses[i] = own.x, own.loss
    spans = {c: quantiles(np.exp(places[:, i]), level) for i, c in enumerate(offer.free)}
    return spans, quantiles(losses, level)


def _linear(offer: Offer, found: Settled, fit: Fit, sure: Intervals) -> dict[str, Interval]:
    """To first order in the coefficients; scaled to the profile at 6ND of the same compute where there is one."""
    if not found.sure:
        return dict.fromkeys(offer.free, NOWHERE)
    linear, slopes = delta(fit), sensitivities(offer, found)
    spans: dict[str, Interval] = {}
    for i, c in enumerate(offer.free):
        middle = float(found.x[i])
        slope = dict(zip(offer.k, slopes[i].tolist(), strict=True))
        low, high = linear.along(slope, middle, sure.level)
        if i not in found.ends and low < high:
            low, high = _stretched(offer, found, c, (low - middle, high - middle), linear, sure)
            low, high = middle + low, middle + high
        with np.errstate(over="ignore"):
            spans[c] = (float(np.exp(low)), float(np.exp(high)))
    return spans


def _stretched(offer: Offer, found: Settled, column: str, ends: Interval, linear: Delta, sure: Intervals) -> Interval:
    """Scale both ends as the exact profile of N* or D* at this compute, counted 6ND, stands to its linearisation."""
    columns = offer.columns(found.x)
    flops = flops_of(columns)
    quantity = {"N": "params", "D": "tokens"}.get(column)
    if sure.kind != "profile" or not offer.law.profiles or quantity is None or flops is None:
        return ends
    middle = np.log(float(getattr(sure.fit.optimum(flops), quantity)))
    with np.errstate(divide="ignore"):
        exact = np.log(sure.of(quantity, budget=flops)) - middle
        straight = np.log(linear.interval(quantity, sure.level, budget=flops)) - middle
    if np.isnan(exact).any() or not np.isfinite(straight).all() or not (straight[0] < 0 < straight[1]):
        return ends
    return ends[0] * float(exact[0] / straight[0]), ends[1] * float(exact[1] / straight[1])
