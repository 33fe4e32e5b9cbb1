"""The JSON documents: the promised schemas, strict (no NaN, no infinity, ever)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.analysis.compare import Outcome, Unavailable
from lawful.analysis.predictions import doubt_at
from lawful.core.cost import Cost
from lawful.core.notes import Note, Status, Verdict
from lawful.core.validation import positive
from lawful.decide.allocate import Allocation
from lawful.decide.priced import Names, flops_of, place, price_by
from lawful.decide.token_cost import price_of
from lawful.errors import IdentificationError, UnsupportedError
from lawful.estimate.result import Fit, FrontierFit, surface_fit
from lawful.forecasting.averaged import Averaged, MethodRecord, outlook_document
from lawful.laws.laws import CHINCHILLA
from lawful.laws.surface import point_of

if TYPE_CHECKING:
    from lawful.analysis.predictions import Predictions
    from lawful.decide.indifference import Indifference
    from lawful.trust.dial import AsymptoteDial
    from lawful.trust.fitness import LackOfFit
    from lawful.uncertainty.profile import Profile

FIT_SCHEMA = "lawful.fit/1"
GROUPS_SCHEMA = "lawful.fit-by/1"
COMPARE_SCHEMA = "lawful.compare/1"
PREDICT_SCHEMA = "lawful.predict/1"
PREDICTIONS_SCHEMA = "lawful.predictions/1"
ALLOCATE_SCHEMA = "lawful.allocate/1"
PROFILE_SCHEMA = "lawful.profile/1"
DIAL_SCHEMA = "lawful.dial/1"
INDIFFERENCE_SCHEMA = "lawful.indifference/1"
LACK_OF_FIT_SCHEMA = "lawful.lack-of-fit/1"

EXPONENTS = ("a", "b", "log10_a0", "log10_b0")

QUANTITY_COLUMNS = {"params": "N", "tokens": "D"}
"""Quantities that ``scale`` may name, and the column of the law that each one is."""

Document = dict[str, Any]


def strict(value: Any) -> Any:
    """
    Turn a value into plain JSON types; NaN and infinity become ``None``.

    Examples
    --------
    >>> strict({"loss": np.float64("nan"), "interval": (1.0, np.inf), "sizes": np.arange(2)})
    {'loss': None, 'interval': [1.0, None], 'sizes': [0, 1]}
    """
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return strict(value.tolist())
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def dumps(document: Mapping[str, Any]) -> str:
    """Return a document as JSON text that any strict parser reads; floats keep every digit."""
    return json.dumps(strict(document), indent=2, allow_nan=False, ensure_ascii=False)


SEAL = "seal"
"""Key of the hash over all the rest of a file."""


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a document with a seal: the SHA-256 of everything else in it.

    Examples
    --------
    >>> kept = sealed({"alpha": 0.34})
    >>> is_sealed(kept), is_sealed({**kept, "alpha": 0.35}), is_sealed({"alpha": 0.34})
    (True, False, None)
    """
    plain = strict({k: v for k, v in document.items() if k != SEAL})
    return {**plain, SEAL: _hash_of(plain)}


def is_sealed(document: Mapping[str, Any]) -> bool | None:
    """Tell whether a document is as it was sealed; None where it has no seal."""
    if SEAL not in document:
        return None
    return bool(document[SEAL] == _hash_of({k: v for k, v in document.items() if k != SEAL}))


def _hash_of(plain: Mapping[str, Any]) -> str:
    # Through text and back, so that what is hashed is what a reader of the file sees.
    text = json.dumps(json.loads(json.dumps(plain, allow_nan=False)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_scale(scale: Mapping[str, float] | None) -> dict[str, float]:
    """
    Return units for N and D as a complete mapping, by default one parameter and one token.

    Raises
    ------
    UnsupportedError
        If a name is not ``params`` or ``tokens``, or a unit is not positive and finite.

    Examples
    --------
    >>> check_scale({"params": 1e6})
    {'params': 1000000.0, 'tokens': 1.0}
    """
    given = dict(scale or {})
    unknown = [name for name in given if name not in QUANTITY_COLUMNS]
    if unknown:
        msg = f"A scale can be given for params and tokens, not for {', '.join(unknown)}."
        raise UnsupportedError(msg)
    for name, unit in given.items():
        positive(f"The scale of {name}", unit)
    return {name: float(given.get(name, 1.0)) for name in QUANTITY_COLUMNS}


def _notes(notes: Iterable[Note]) -> list[Document]:
    return [note.to_dict() for note in notes]


def has_frontier(fit: Fit | FrontierFit) -> bool:
    """Whether N* and D* are powers of compute under this fit."""
    return fit.surface is None or fit.surface.law.terms is not None


def intervals_document(analysis: Analysis, scale: Mapping[str, float]) -> Document | None:
    """Return intervals of coefficients and exponents, or ``None`` where none were asked for."""
    sure = analysis.sure
    if sure is None:
        return None
    draws = sure.draws
    coefficients = None
    if analysis.fit.surface is not None:
        units = sure.in_units(scale["params"], scale["tokens"])
        coefficients = {name: units.of(name) for name in analysis.fit.surface.law.names}
    return {
        "level": analysis.level,
        "scheme": sure.kind,
        "draws": None if draws is None else len(draws),
        "failed": None if draws is None else draws.failed,
        "seed": None if draws is None else draws.seed,
        "coefficients": coefficients,
        "exponents": {name: sure.of(name) if has_frontier(analysis.fit) else None for name in EXPONENTS},
    }


def allocation_document(allocation: Allocation) -> Document:
    """Return one allocation; params and tokens are counted ones whatever the scale."""
    lost, interval, new_run = allocation.deadweight, allocation.interval, allocation.prediction
    bought = allocation.priced
    more = {} if bought is None else {name: getattr(bought, name) for name in ("columns", "reached", "convention")}
    if bought is not None and interval is not None:
        more["column_intervals"] = {name: interval[name] for name in bought.columns if name in interval}
    return {
        "budget": allocation.budget,
        "budget_6nd": allocation.budget if bought is None else bought.budget_6nd,
        **more,
        "params": allocation.params,
        "tokens": allocation.tokens,
        "loss": allocation.loss,
        "tokens_per_param": allocation.tokens_per_param,
        "interval": None if interval is None else {n: interval.get(n) for n in ("params", "tokens", "loss")},
        "prediction": None if new_run is None else {"loss": new_run["loss"]},
        "deadweight": None
        if lost is None
        else {
            "of": lost.of,
            "flops": lost.flops,
            "fraction": lost.fraction,
            "on": lost.on,
            "interval": lost.interval,
            "interval_without_failed": lost.discarded,
            "failed": lost.failed,
            "as_good_as_can_be_told": bool(lost.as_good),
            "sentence": lost.sentence,
        },
    }


def fit_document(analysis: Analysis, *, scale: Mapping[str, float] | None = None) -> Document:
    """
    Return what ``lawful fit --json`` prints (schema ``lawful.fit/1``).

    Parameters
    ----------
    analysis : Analysis
        What :func:`lawful.analyse` returned.
    scale : mapping of str to float, optional
        Units of ``params`` and ``tokens`` that A and B refer to; as counted by default.

    Returns
    -------
    dict
        Plain JSON types; null where a method has no such number.

    Raises
    ------
    UnsupportedError
        If the scale names anything but params and tokens, or is not positive.
    """
    units = check_scale(scale)
    fit = analysis.fit
    surface = fit if fit.surface is not None else None
    document = {
        "schema": FIT_SCHEMA,
        "method": fit.method,
        "law": (surface.surface.law if surface else CHINCHILLA).name,
        "objective": {"name": surface.objective.name, "delta": surface.objective.delta, "value": surface.value}
        if surface
        else None,
        "coefficients": surface.surface.law.in_units(surface.surface.coefficients, **units) if surface else None,
        "exponents": fit.frontier.to_dict(),
        "fixed": surface.fixed if surface else None,
        "prior": prior_block(surface) if surface else None,
        "rss": surface.rss if surface else None,
        "n_runs": len(fit.runs),
        "status": fit.status.key,
        "verdict": analysis.verdict.value,
        "notes": _notes(analysis.notes),
        "intervals": intervals_document(analysis, units),
        "allocations": [allocation_document(a) for a in analysis.allocations],
        "auto": average_block(analysis.average or analysis.unaveraged or None),
        "scale": units,
        "convention": surface.surface.cost.convention if surface else Cost().convention,
    }
    result: Document = strict(document)
    return result


def prior_block(fit: Fit) -> Document | None:
    """Return the priors with a width as they stand in JSON; None where there are none."""
    return {name: asdict(prior) for name, prior in fit.prior.items()} or None


def average_block(average: Averaged | str | None) -> Document | None:
    """Return an average of laws, or the reason why there is none, as it stands in JSON; ``None`` if not asked for."""
    if isinstance(average, str):
        return {"available": False, "reason": average, "record": None, "forecasts": []}
    return None if average is None else average.to_dict()


def unavailable_document(outcome: Unavailable) -> Document:
    """Return the document of a method that cannot run: a status, a note and nulls."""
    return {
        "schema": FIT_SCHEMA,
        "method": outcome.method,
        "law": None,
        "objective": None,
        "coefficients": None,
        "exponents": None,
        "fixed": None,
        "prior": None,
        "rss": None,
        "n_runs": outcome.n_runs,
        "status": Status.UNAVAILABLE.key,
        "verdict": None,
        "notes": _notes([outcome.note]),
        "intervals": None,
        "allocations": None,
        "auto": None,
        "scale": None,
        "convention": Cost().convention,
    }


def outcome_document(outcome: Outcome, *, scale: Mapping[str, float] | None = None) -> Document:
    """Return the document of an analysis, or of the reason that stands in its place."""
    if isinstance(outcome, Unavailable):
        return unavailable_document(outcome)
    return fit_document(outcome, scale=scale)


def compare_document(
    outcomes: Iterable[Outcome],
    *,
    scale: Mapping[str, float] | None = None,
    average: Averaged | str | None = None,
    records: Sequence[MethodRecord] = (),
) -> Document:
    """
    Return what ``lawful compare --json`` prints (schema ``lawful.compare/1``).

    Parameters
    ----------
    outcomes : iterable of Analysis or Unavailable
        What :func:`lawful.compare` returned, in its order.
    scale : mapping of str to float, optional
        As in :func:`fit_document`.
    average : Averaged or str, optional
        The average of laws on the same runs, or why there is none.
    records : sequence of MethodRecord
        How each method did on held-out budgets.
    """
    document: Document = {
        "schema": COMPARE_SCHEMA,
        "fits": [outcome_document(o, scale=scale) for o in outcomes],
        "auto": strict(average_block(average)),
        "held_out": [strict(asdict(one)) for one in records],
    }
    return document


def groups_document(by: str, outcomes: Mapping[str, Outcome], *, scale: Mapping[str, float] | None = None) -> Document:
    """Return what ``lawful fit --by COLUMN --json`` prints (schema ``lawful.fit-by/1``): one fit per value."""
    groups = [{"value": value, "fit": outcome_document(o, scale=scale)} for value, o in outcomes.items()]
    return {"schema": GROUPS_SCHEMA, "by": by, "groups": groups}


def predict_document(
    analysis: Analysis,
    params: float | None = None,
    tokens: float | None = None,
    *,
    budget: float | None = None,
    level: float | None = None,
    cost: str | None = None,
    given: Mapping[str, float] | None = None,
) -> Document:
    """
    Return the loss of one run with its interval (schema ``lawful.predict/1``); what the law does not read is null.

    With ``cost`` a budget is in the unit of that formula; ``given`` has columns beside params and tokens.

    Raises
    ------
    IdentificationError
        If the fit is a frontier, which predicts no loss.
    """
    fit = analysis.fit
    if fit.surface is None:
        msg = f"{fit.method} fits no loss surface, so it predicts no loss; fit with vpnls or approach3."
        raise IdentificationError(msg)
    at = analysis.level if level is None else level
    sure = None if analysis.sure is None else analysis.sure.at_level(at)
    if cost or given or not fit.surface.law.predicts:
        known = {"N": params, "D": tokens, **(given or {})}
        return _predict_columns(analysis, {k: v for k, v in known.items() if v is not None}, budget, cost, at)
    law, usual = fit.surface.law, fit.surface.cost
    price = price_of(fit)
    found = point_of(law, price, params, tokens, budget)
    point = (float(found[0]), float(found[1]))
    # A law of compute alone says nothing about how the budget is divided.
    shown = (None, None) if params is None and tokens is None else point
    interval = None if sure is None else {"loss": sure.of("loss_at", point=point)}
    new_run = None if sure is None else {"loss": sure.prediction(point=point)}
    document: Document = strict(
        {
            "schema": PREDICT_SCHEMA,
            "method": fit.method,
            "params": shown[0],
            "tokens": shown[1],
            "budget": float(price.flops(*point)),
            "budget_6nd": float(usual.flops(*point)),
            "loss": float(fit.surface.loss(*point)),
            "level": at,
            "verdict": analysis.asking([float(usual.flops(*point))]).verdict.value,
            "interval": interval,
            "prediction": new_run,
            "auto": average_at(analysis, *point, at),
            "convention": price.convention,
        }
    )
    return document


def _predict_columns(
    analysis: Analysis, given: Mapping[str, float], budget: float | None, cost: str | None, level: float
) -> Document:
    """The loss of one run of a law of any columns, or at a price of one's own."""
    fit = surface_fit(analysis.fit, " to predict a loss")
    law, names, price = fit.surface.law, Names.of(fit), price_by(fit, cost)
    columns = place(fit, price, given, budget)
    point = tuple(columns[c] for c in law.columns)
    sure = None if analysis.sure is None else analysis.sure.at_level(level)
    spent = float(price.of(columns)) if price.columns <= set(columns) else None
    spent_6nd, loss = flops_of(columns), float(law.loss(fit.surface.coefficients, *point))
    doubt = doubt_at(fit, {c: np.array([columns[c]]) for c in law.columns}, np.array([loss]), names.shown)
    verdict = analysis.asking([] if spent_6nd is None else [spent_6nd]).verdict
    verdict = Verdict.EXTRAPOLATED if doubt.notes and verdict is Verdict.SUPPORTED else verdict
    ends = None if sure is None else doubt.widened(0, loss, sure.of("loss_at", point=point))
    run = None if sure is None else doubt.widened(0, loss, sure.prediction(point=point))
    document: Document = strict(
        {
            "schema": PREDICT_SCHEMA,
            "method": fit.method,
            "params": columns.get("N"),
            "tokens": columns.get("D"),
            "columns": {names.shown.get(c, c): v for c, v in columns.items()},
            "budget": spent,
            "budget_6nd": spent_6nd,
            "loss": loss,
            "level": level,
            "verdict": verdict.value,
            "interval": None if ends is None or np.isnan(ends[0]) else {"loss": ends},
            "prediction": None if run is None or np.isnan(run[0]) else {"loss": run},
            "auto": None,
            "convention": price.convention,
            "notes": [note.to_dict() for note in doubt.notes],
        }
    )
    return document


def average_of(analysis: Analysis, allocations: Sequence[Allocation], level: float) -> list[Document] | None:
    """Return what the average of laws says of each budget; ``None`` where the fit has none."""
    if analysis.average is None:
        return None
    found = analysis.average.ensemble
    return [outlook_document(found.outlook(one.budget, level)) for one in allocations]


def average_at(analysis: Analysis, params: float, tokens: float, level: float) -> Document | None:
    """Return what the average of laws says of one run; ``None`` where the fit has none."""
    if analysis.average is None:
        return None
    found = analysis.average.ensemble
    return {
        "loss": found.loss(params, tokens),
        "interval": {"loss": found.interval(params, tokens, level, run=False)},
        "prediction": {"loss": found.interval(params, tokens, level)},
        "parts": found.parts(params, tokens)._asdict(),
        "spread": found.spread(params, tokens),
        "far_from_valley": bool(found.is_far(params, tokens)),
    }


def own_terms(allocation: Allocation) -> bool:
    """Whether a budget was spent on terms that the average of laws does not know: a cost, limits, held columns."""
    bought = allocation.priced
    return bought is not None and (bought.convention.startswith("cost = ") or bought.constrained)


def convention_of(analysis: Analysis, allocations: Sequence[Allocation]) -> str:
    """How the budgets of allocations are counted."""
    told = [one.priced.convention for one in allocations if one.priced is not None]
    return told[0] if told else analysis.fit.cost.convention


def allocate_document(analysis: Analysis, allocations: Sequence[Allocation], *, level: float) -> Document:
    """Return allocations of a saved fit (schema ``lawful.allocate/1``)."""
    fit = analysis.fit
    document: Document = strict(
        {
            "schema": ALLOCATE_SCHEMA,
            "method": fit.method,
            "level": level,
            "verdict": analysis.asking([one.budget for one in allocations]).verdict.value,
            "allocations": [allocation_document(a) for a in allocations],
            "auto": None if any(own_terms(one) for one in allocations) else average_of(analysis, allocations, level),
            "convention": convention_of(analysis, allocations),
        }
    )
    return document


def predictions_document(found: Predictions) -> Document:
    """Return the predictions of a table of runs (schema ``lawful.predictions/1``): one entry per row."""
    names = ("params", "tokens", "budget", "loss", "interval", "prediction")
    entries = zip(*(getattr(found, name).tolist() for name in names), strict=True)
    sure = found.analysis.sure is not None
    points = [
        {
            **dict(zip(names[:4], entry, strict=False)),
            "interval": {"loss": entry[4]} if sure else None,
            "prediction": {"loss": entry[5]} if sure else None,
            "auto": average_at(found.analysis, entry[0], entry[1], found.level),
        }
        for entry in entries
    ]
    if found.columns_read:
        read = list(found.columns_read)
        rows = zip(*(found.columns_read[c].tolist() for c in read), strict=True)
        points = [{**one, "columns": dict(zip(read, row, strict=True))} for one, row in zip(points, rows, strict=True)]
    told = {"points": points, "convention": found.convention, "notes": _notes(found.notes)}
    head = {"schema": PREDICTIONS_SCHEMA, "method": found.analysis.method, "level": found.level}
    document: Document = strict({**head, **told})
    return document


def profile_document(found: Profile) -> Document:
    """Return the profile of one quantity (schema ``lawful.profile/1``)."""
    names = ("name", "budget", "level", "estimate", "interval", "open", "values", "distance", "reach", "freedom")
    head = {"schema": PROFILE_SCHEMA, "method": found.fit.method}
    document: Document = strict(
        {**head, **{name: getattr(found, name) for name in names}, "notes": _notes(found.notes)}
    )
    return document


def dial_document(found: AsymptoteDial) -> Document:
    """Return the forecasts along the irreducible loss (schema ``lawful.dial/1``)."""
    document: Document = strict(
        {
            "schema": DIAL_SCHEMA,
            "method": found.fit.method,
            "budget": found.budget,
            "level": found.profile.level,
            "E": {"estimate": found.estimate, "interval": found.profile.interval},
            "table": found.table,
        }
    )
    return document


def indifference_document(found: Indifference) -> Document:
    """Return the sizes that are as good as the optimum (schema ``lawful.indifference/1``)."""
    best = dict(zip(("params", "tokens", "loss"), found.best, strict=True))
    names = ("budget", "epsilon", "source", "params", "tokens", "factor")
    document: Document = strict(
        {"schema": INDIFFERENCE_SCHEMA, **{name: getattr(found, name) for name in names}, "best": best}
    )
    return document


def lack_of_fit_document(found: LackOfFit) -> Document:
    """Return the tests of the law against its residuals (schema ``lawful.lack-of-fit/1``)."""
    names = ("replicates", "pure_error", "model_error", "f", "freedom", "p_replicates", "p_budgets")
    document: Document = strict(
        {
            "schema": LACK_OF_FIT_SCHEMA,
            **{name: getattr(found, name) for name in names},
            "notes": _notes(found.notes),
        }
    )
    return document
