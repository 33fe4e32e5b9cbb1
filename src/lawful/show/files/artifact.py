"""fit.json: a fit that can be loaded again, exact to the last digit, with where it came from."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from lawful.analysis.analysis import Analysis
from lawful.core.cost import Cost
from lawful.core.notes import Note, Status
from lawful.core.objective import Objective
from lawful.core.typing import AnyArray
from lawful.data.runs import Runs
from lawful.errors import InputError, LawfulError, UnsupportedError
from lawful.estimate.priors import Prior
from lawful.estimate.pulled import Coupled
from lawful.estimate.result import AnyFit, Fit, Frontier, FrontierFit, Parabola
from lawful.estimate.solvers import Joint, VarPro
from lawful.forecasting.averaged import Averaged, OwnRecord
from lawful.forecasting.ensemble import Ensemble, Width, ensemble
from lawful.forecasting.members import Members
from lawful.laws.formula import Formula, as_written, described
from lawful.laws.formula import law as law_of
from lawful.laws.law import Law
from lawful.laws.laws import LAWS, catalogue, find_law
from lawful.laws.surface import Surface
from lawful.show.files.document import (
    FIT_SCHEMA,
    Document,
    check_scale,
    dumps,
    fit_document,
    is_sealed,
    prior_block,
    sealed,
    strict,
)
from lawful.show.files.output import recover
from lawful.show.files.place import is_document, write_whole
from lawful.show.files.schema import mismatch
from lawful.uncertainty.bootstrap import Draws
from lawful.uncertainty.grounds import AUTO, labels_of_errors
from lawful.uncertainty.intervals import Intervals

ARRAYS = ("N", "D", "L", "C", "weight")
SOLVERS: dict[str, type[Any]] = {solver.__name__: solver for solver in (VarPro, Joint)}


def save_fit(result: Analysis | AnyFit, path: str | Path, *, scale: Mapping[str, float] | None = None) -> Path:
    """
    Write a fit as ``fit.json``: the document of ``lawful fit --json``, its provenance, runs and draws.

    Parameters
    ----------
    result : Analysis, Fit or FrontierFit
        What to keep; an analysis brings its draws, so that intervals survive.
    path : str or Path
        File to write.
    scale : mapping of str to float, optional
        Units that A and B refer to in the readable part; the model itself is
        stored as counted, so loading does not depend on it.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputError
        If the file cannot be written, or is there and is no fit.

    See Also
    --------
    load_fit : Its inverse.

    Examples
    --------
    >>> import tempfile
    >>> truth = lawful.Surface.named("besiroglu")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], surface=truth)
    >>> fit = lawful.fit(lawful.simulate(truth, plan))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = lawful.load(fit.save(f"{folder}/fit.json")).fit
    >>> again.surface.coefficients == fit.surface.coefficients
    True
    """
    text = dumps(sealed(artifact_document(result, scale=scale)))
    file = Path(path)
    write_whole(file, text + "\n", ours=is_document("lawful.fit/"), what="a fit", option="path")
    return file


def load_fit(path: str | Path) -> Fit | FrontierFit:
    """
    Load the fit of a ``fit.json``, exactly as it was saved.

    Parameters
    ----------
    path : str or Path
        A file written by :func:`save_fit` or ``lawful fit --out``.

    Returns
    -------
    Fit or FrontierFit
        With its runs (their other columns stand in ``runs.csv``), solver and notes.

    Raises
    ------
    InputError
        If there is no such file, or it is not a complete fit of this version's schema.

    See Also
    --------
    load : The fit together with its bootstrap draws.

    Examples
    --------
    >>> import tempfile
    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], surface=truth)
    >>> runs = lawful.simulate(truth, plan, noise=0.002)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = lawful.fit(runs).save(f"{folder}/fit.json")
    ...     again = lawful.load(path).fit
    >>> again.method, len(again.runs), again.status.key
    ('vpnls', 45, 'converged')
    """
    fit: AnyFit = load(path, budgets=()).fit
    return fit


def load(path: str | Path, *, budgets: Sequence[float] | None = None) -> Analysis:
    """Load a ``fit.json`` alone; what it takes, gives and raises is said in :func:`lawful.show.files.loading.load`."""
    document = read_document(path)
    wrong = mismatch(document, "fit-1")
    if wrong:
        msg = f"The file {str(path)!r} is a damaged fit ({wrong}); fit the runs again."
        raise InputError(msg)
    try:
        found = _decode(document)
        return found.answering(found.asked if budgets is None else budgets)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, LawfulError) as error:
        msg = f"The file {str(path)!r} is a damaged fit ({type(error).__name__}: {error}); fit the runs again."
        raise InputError(msg) from None


def artifact_document(result: Analysis | AnyFit, *, scale: Mapping[str, float] | None = None) -> Document:
    """Return the whole content of ``fit.json`` as plain JSON types."""
    analysis = result if isinstance(result, Analysis) else Analysis.of(result)
    units = check_scale(scale)
    fit = analysis.fit
    others = {"isoflop": analysis.isoflop, "truth": analysis.truth}
    # What an analysis names twice is stored once: its own fit prices itself, or is the Approach 2 it is compared with.
    beside = {name: "fit" if other is fit else other and _encode_fit(other) for name, other in others.items()}
    model = {"fit": _encode_fit(fit), **beside}
    return {
        **fit_document(analysis, scale=units),
        "provenance": strict(provenance(analysis, units)),
        "model": strict(model),
        "runs": strict(_encode_runs(fit, analysis.sure.cluster if analysis.sure else AUTO)),
        "sure": analysis.sure and {name: getattr(analysis.sure, name) for name in ("kind", "level", "cluster")},
        "draws": None if analysis.draws is None else strict(_encode_draws(analysis.draws)),
        "average": None if analysis.average is None else strict(_encode_average(analysis.average)),
    }


def provenance(analysis: Analysis, scale: Mapping[str, float]) -> Document:
    """Return where the numbers come from: versions, data, selection, solver, objective, seed, convention."""
    from lawful import __version__  # at module level this would be a circle

    fit, draws = analysis.fit, analysis.draws
    runs = fit.runs
    surface = fit if fit.surface is not None else None
    options = asdict(surface.solver) if surface else {}
    return {
        "lawful": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": runs.source,
        "sha256": runs.sha256,
        "columns": runs.columns,
        "selection": runs.selection,
        "weights": runs.columns.get("weight"),
        "method": fit.method,
        "objective": {"name": surface.objective.name, "delta": surface.objective.delta} if surface else None,
        "solver": {"name": type(surface.solver).__name__, "options": options} if surface else None,
        "bounds": options.get("bounds"),
        "fixed": surface.fixed if surface else None,
        "prior": prior_block(surface) if surface else None,
        "seed": draws.seed if draws else None,
        "scheme": analysis.sure.kind if analysis.sure else None,
        "level": analysis.level,
        "convention": (surface.surface.cost if surface else Cost()).convention,
        "scale": scale,
    }


def read_document(path: str | Path) -> Document:
    """Return the document of a ``fit.json`` that is as it was sealed; what it holds is not checked here."""
    file = Path(path)
    recover(file.parent)
    if file.is_dir():
        msg = f"{str(path)!r} is a directory; give the fit.json inside it."
        raise InputError(msg)
    try:
        document = json.loads(file.read_text(encoding="utf-8"), parse_int=_whole_number)
    except FileNotFoundError:
        msg = f"There is no file {str(path)!r}; check the path."
        raise InputError(msg) from None
    except OSError as error:
        msg = f"Cannot read {str(path)!r} ({(error.strerror or 'error').lower()})."
        raise InputError(msg) from None
    except (ValueError, OverflowError, RecursionError):
        msg = f"The file {str(path)!r} is not JSON; give a fit.json that lawful wrote."
        raise InputError(msg) from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != FIT_SCHEMA:
        raise InputError(_not_ours(path, schema))
    if "model" not in document:
        msg = (
            f"The file {str(path)!r} holds the printed JSON of a fit but not the model; "
            "save the fit itself (lawful fit --out DIR, or save_fit)."
        )
        raise InputError(msg)
    _check_seal(path, document)
    return dict(document)


def _whole_number(text: str) -> int:
    """Read a whole number that a float can hold; ours are no larger."""
    float(number := int(text))
    return number


UNSEALED = ("0.1.0",)
"""Versions whose files have no seal."""


def _check_seal(path: str | Path, document: Document) -> None:
    """Refuse a file that is not as it was written."""
    whole = is_sealed(document)
    maker = document.get("provenance")
    old = isinstance(maker, dict) and maker.get("lawful") in UNSEALED
    if whole or (whole is None and old):
        return
    why = "was changed after it was written: its seal does not match" if whole is False else "has lost its seal"
    msg = f"The file {str(path)!r} {why}; fit the runs again, or take an untouched copy."
    raise InputError(msg)


def _not_ours(path: str | Path, schema: object) -> str:
    family, _, version = str(schema).rpartition("/")
    if family == FIT_SCHEMA.rpartition("/")[0] and version.isdigit():
        return f"The file {str(path)!r} has schema {schema}, this lawful reads {FIT_SCHEMA}; use a newer lawful."
    if str(schema).startswith("lawful."):
        return f"The file {str(path)!r} is a {schema} document; give the fit.json of a single fit."
    return f"The file {str(path)!r} is JSON, but not a fit that lawful wrote."


def _encode_runs(fit: AnyFit, cluster: str) -> Document:
    """The runs of a fit, with those other columns that its law reads, and those by which runs may share an error."""
    runs = fit.runs
    read = fit.surface.law.columns if fit.surface is not None else ()
    return {
        "labels": {
            **labels_of_errors(runs, cluster),
            **{runs.label_of(name): runs.column(name) for name in read if name not in ("N", "D", "C")},
        },
        **{name: getattr(runs, name) for name in ARRAYS},
        "group": runs.group,
        "budgets": runs.budgets,
        "row": runs.row,
        "columns": runs.columns,
        "selection": runs.selection,
        "source": runs.source,
        "notes": [note.to_dict() for note in runs.notes],
    }


def _frozen(values: object, dtype: type = float) -> AnyArray:
    array: AnyArray = np.array(values, dtype=dtype)  # None becomes NaN, which only draws may hold
    array.setflags(write=False)
    return array


def _decode_notes(notes: list[Mapping[str, str]]) -> tuple[Note, ...]:
    return tuple(Note(note["code"], note["message"]) for note in notes)


def _decode_runs(document: Mapping[str, Any], sha256: str) -> Runs:
    arrays: dict[str, Any] = {name: _frozen(document[name]) for name in ARRAYS}
    runs = Runs(
        **arrays,
        group=_frozen(document["group"], int),
        budgets=_frozen(document["budgets"]),
        row=None if document["row"] is None else _frozen(document["row"], int),
        labels={name: _frozen(values) for name, values in document.get("labels", {}).items()},
        columns=document["columns"],
        selection=document["selection"],
        source=document["source"],
        notes=_decode_notes(document["notes"]),
    )
    if runs.sha256 != sha256:
        msg = "its runs do not match their hash"
        raise ValueError(msg)
    return runs


def _encode_fit(fit: AnyFit) -> Document:
    common = {"method": fit.method, "status": fit.status.key, "notes": [note.to_dict() for note in fit.notes]}
    if fit.surface is None:
        return {
            "kind": "frontier",
            **common,
            "frontier": fit.frontier.to_dict(),
            **{name: getattr(fit, name) for name in ("budgets", "params", "tokens")},
            "parabolas": [{f.name: getattr(p, f.name) for f in fields(Parabola)} for p in fit.parabolas],
            "used": fit.used,
        }
    return {
        "kind": "surface",
        **common,
        "law": fit.surface.law.name,
        "law_record": _encode_law(fit.surface.law),
        "coefficients": fit.surface.coefficients,
        "flops_per_param_token": fit.surface.cost.flops_per_param_token,
        "objective": {"name": fit.objective.name, "delta": fit.objective.delta},
        "solver": {"name": type(fit.solver).__name__, "options": asdict(fit.solver)},
        "value": fit.value,
        "fixed": fit.fixed,
        "prior": prior_block(fit),
    }


def _decode_fit(document: Mapping[str, Any], runs: Runs) -> AnyFit:
    common: dict[str, Any] = {
        "method": document["method"],
        "status": Status[document["status"].upper()],
        "notes": _decode_notes(document["notes"]),
        "runs": runs,
    }
    if document["kind"] == "frontier":
        points: dict[str, Any] = {name: _frozen(document[name]) for name in ("budgets", "params", "tokens")}
        parabolas = tuple(_decode_parabola(p) for p in document["parabolas"])
        # Fits saved by 0.1.0 rest on all of their runs.
        used = None if document.get("used") is None else np.array(document["used"], dtype=np.intp)
        frontier = Frontier(**document["frontier"])
        return FrontierFit(frontier=frontier, parabolas=parabolas, used=used, **points, **common)
    cost = Cost(document["flops_per_param_token"])
    law = _decode_law(document)
    return Fit(
        surface=Surface(_renamed(law, document["coefficients"]), law, cost),
        objective=Objective(**document["objective"]),
        solver=_decode_solver(document["solver"], law),
        value=document["value"],
        fixed=_renamed(law, document["fixed"]),
        # Files of 0.1.0 know no priors.
        prior={name: Prior(**values) for name, values in (document.get("prior") or {}).items()},
        **common,
    )


def _encode_law(law: Law) -> Document | None:
    """
    What defines a law beside the catalogue's: names, columns and bounds of a sum of powers; None for those of it.

    Raises
    ------
    UnsupportedError
        If the law is a function of Python, which no file can hold.
    """
    if law == LAWS.get(law.name) or law == catalogue().get(law.name):
        return None
    if isinstance(law.form, Formula):
        written = f"{law.name.partition('=')[0].strip() or 'loss'} = {described(law)}"
        return {"formula": written, "columns": law.columns, "box": law.box}
    if not law.separable:
        msg = (
            f"The {law.name} law is a function of Python, which a file cannot hold; keep its runs with "
            f"runs.to_frame() and fit them again."
        )
        raise UnsupportedError(msg)
    return {name: getattr(law, name) for name in ("linear", "exponents", "columns", "box")}


def _decode_law(document: Mapping[str, Any]) -> Law:
    record = document.get("law_record")
    if record is None:
        return find_law(document["law"])
    if "formula" in record:
        made = law_of(record["formula"], record["columns"], bounds=_thawed(record["box"]))
        named: Law = as_written(made, document["law"])
        return named
    linear, exponents, columns = (tuple(record[part]) for part in ("linear", "exponents", "columns"))
    return Law(document["law"], linear, exponents, columns, box=_thawed(record["box"]))


def _renamed(law: Law, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by coefficient under the names of today."""
    return {law.formerly.get(name, name): value for name, value in values.items()}


def _decode_parabola(document: Mapping[str, Any]) -> Parabola:
    values: dict[str, Any] = {name: _frozen(v) if isinstance(v, list) else v for name, v in document.items()}
    return Parabola(**values)


def _decode_solver(document: Mapping[str, Any], law: Law) -> Any:
    options = {name: _thawed(value) for name, value in document["options"].items()}
    options |= {name: _renamed(law, options[name]) for name in ("bounds", "prior") if options.get(name)}
    return SOLVERS[document["name"]](**options)


def _thawed(value: Any) -> Any:
    """Lists as tuples, an absent bound as an infinite one: JSON has neither."""
    if isinstance(value, list):
        return tuple(np.inf if item is None else _thawed(item) for item in value)
    if isinstance(value, dict):
        return {key: _thawed(item) for key, item in value.items()}
    return value


def _encode_draws(draws: Draws) -> Document:
    return {
        "scheme": draws.scheme,
        "seed": draws.seed,
        "coefficients": draws.coefficients,
        "frontier": draws.frontier,
        "notes": [note.to_dict() for note in draws.notes],
    }


def _decode_draws(fit: AnyFit, values: Mapping[str, Any]) -> dict[str, AnyArray]:
    named = _renamed(fit.surface.law, values) if fit.surface is not None else values
    names = set(named) if fit.surface is None else set(fit.surface.law.names)
    if set(named) != names or len({len(v) for v in named.values()}) > 1:
        msg = "its draws are not all there"
        raise ValueError(msg)
    return {name: _frozen(v) for name, v in named.items()}


def _decode(document: Document) -> Analysis:
    runs = _decode_runs(document["runs"], document["provenance"]["sha256"])
    model = document["model"]
    fit = _decode_fit(model["fit"], runs)
    beside: dict[str, Any] = {
        role: fit if model[role] == "fit" else model[role] and _decode_fit(model[role], runs)
        for role in ("isoflop", "truth")
    }
    saved, sure = document["draws"], document.get("sure")
    draws = None
    if saved is not None:
        draws = Draws(
            fit=fit,
            scheme=saved["scheme"],
            seed=saved["seed"],
            coefficients=_decode_draws(fit, saved["coefficients"]),
            frontier={name: _frozen(v) for name, v in saved["frontier"].items()},
            notes=_decode_notes(saved["notes"]),
        )
    return Analysis(
        fit=fit,
        draws=draws,
        allocations=(),
        **beside,
        notes=_decode_notes(document["notes"]),
        level=document["provenance"]["level"],
        # Intervals are computed again: what is stored is which kind, at which level.
        intervals=sure and _decode_intervals(fit, sure, draws),
        asked=tuple(float(one["budget"]) for one in document.get("allocations") or ()),
        average=_decode_average(document.get("average"), runs),
        unaveraged=(document.get("auto") or {}).get("reason") or "",
    )


def _decode_intervals(fit: AnyFit, sure: Mapping[str, Any], draws: Draws | None) -> Intervals:
    """Intervals of the kind, level and shared errors that were asked for; older files name none of the last."""
    notes = draws.notes if draws else ()
    return Intervals(fit, sure["kind"], sure["level"], draws, notes, sure.get("cluster", AUTO))


def _encode_average(average: Averaged) -> Document:
    """The laws of an average as they were fitted, and the constants of its width."""
    found, record = average.ensemble, average.record
    members = found.members
    return {
        "laws": members.laws._asdict(),
        **{name: getattr(members, name) for name in MEMBER_NUMBERS},
        "path": members.path,
        "width": asdict(found.width),
        "flops_per_param_token": found.cost.flops_per_param_token,
        "record": record and {one.name: getattr(record, one.name) for one in fields(record)},
    }


def _decode_average(document: Mapping[str, Any] | None, runs: Runs) -> Averaged | None:
    if document is None:
        return None
    laws: dict[str, Any] = {name: np.array(value) for name, value in document["laws"].items()}
    laws["scale"] = float(laws["scale"])
    many, free = laws["z"].shape
    if (laws["unit"].shape, laws["covariance"].shape) != ((many,), (many, free, free)):
        msg = "the laws of its average do not fit together"
        raise ValueError(msg)
    # A file written before N* was averaged over k has no path of it, and constants of a width that is no more.
    path = np.array(document["path"]) if "path" in document else ensemble(runs).members.path
    members = Members(Coupled(**laws), **{name: document[name] for name in MEMBER_NUMBERS}, path=path)
    width = Width(**{one.name: document["width"][one.name] for one in fields(Width) if one.name in document["width"]})
    cost, record = Cost(document["flops_per_param_token"]), document["record"]
    return Averaged(Ensemble(runs, members, width, cost), record and OwnRecord(**record))


MEMBER_NUMBERS = ("central", "noise", "power", "failed")
"""What is kept of the members of an average besides their laws."""
