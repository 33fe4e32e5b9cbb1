"""The explorer: one page on which a sweep of a known truth is turned by sliders, and the bias of Approach 2 felt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lawful.core.cost import Cost
from lawful.core.hardware import HARDWARE
from lawful.core.validation import check_budget
from lawful.data.runs import Runs
from lawful.data.table import as_runs
from lawful.design.toy_runs import REGIONS, TARGET, TRUTH, toy_design
from lawful.errors import OutputError, UnsupportedError
from lawful.estimate.methods import FitMethods
from lawful.estimate.result import Fit, FrontierFit, one_law_of
from lawful.laws.laws import PUBLISHED, STUDY_SURFACES
from lawful.laws.surface import Surface
from lawful.show.figures.palette import DARK, LIGHT, Palette
from lawful.show.files.place import check_place, write_whole
from lawful.show.report.embedded import asset, library, page_json, policy
from lawful.show.report.own_runs import column_names, own_document

PARTS = ("math", "fit", "coupled", "table", "model", "own", "draw", "owndraw", "readouts", "yours", "settings", "page")
SCRIPTS = ("numbers.js", "keys.js", *(f"explorer_{part}.js" for part in PARTS))
"""Our own code, in the order in which it loads."""

SEEDS = 10
"""Tables of unit draws that travel in the page; number i is that of ``numpy.random.default_rng(i)``."""

MOST_RUNS = 1500
"""Of more runs than this an evenly spaced part is drawn."""

MARKER = '<meta name="generator" content="lawful explore">'
"""What tells an explorer of ours from another file."""

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Control:
    """
    A slider with its number field.

    Parameters
    ----------
    name : str
        Key of the setting, in the page and in its address.
    group : str
        Box that it stands in.
    label, unit, hint : str
        What it is, in what it is counted, and what it does.
    low, high : float
        Range of the slider and of the field.
    scale : {"linear", "log", "square", "whole"}
        How the slider runs through the range.
    value : float
        Where it starts.
    """

    name: str
    group: str
    label: str
    unit: str
    hint: str
    low: float
    high: float
    scale: str
    value: float


CONTROLS = (
    Control(
        "alpha", "law", "alpha", "exponent of N", "How fast the loss falls with parameters", 0.05, 1.2, "linear", 0
    ),
    Control("beta", "law", "beta", "exponent of D", "How fast the loss falls with tokens", 0.05, 1.2, "linear", 0),
    Control("A", "law", "A", "nats", "Height of the term in parameters, A/N^alpha", 1.0, 1e7, "log", 0),
    Control("B", "law", "B", "nats", "Height of the term in tokens, B/D^beta", 1.0, 1e7, "log", 0),
    Control("E", "law", "E", "nats", "Irreducible loss", 0.0, 4.0, "linear", 0),
    Control("width", "sweep", "Width", "± factor", "Sizes run from centre/width to centre·width", 1.1, 100, "log", 8),
    Control("offset", "sweep", "Offset", "factor", "Every centre is at N*/offset, off the optimum", 0.1, 10, "log", 1),
    Control("drift", "sweep", "Drift", "factor", "The centre moves to N*/drift at the top budget", 0.1, 10, "log", 1),
    Control("points", "sweep", "Points", "per budget", "Model sizes trained at each budget", 3, 31, "whole", 15),
    Control("budgets", "sweep", "Budgets", "number", "Evenly spaced in log C", 2, 10, "whole", 5),
    Control("low", "sweep", "Lowest budget", "FLOPs", "Where the sweep begins", 1e15, 1e23, "log", 1e17),
    Control("high", "sweep", "Highest budget", "FLOPs", "Where the sweep ends", 1e16, 1e25, "log", 1e21),
    Control("noise", "noise", "Noise", "sigma, nats", "Standard deviation of the loss", 0.0, 0.2, "square", 0.0),
    Control("seed", "noise", "Draw", "number", "Another draw of the same noise", 0, SEEDS - 1, "whole", 0),
    Control(
        "mfu",
        "cost",
        "MFU",
        "of the peak",
        "Share of the chip's peak rate that training reaches",
        0.01,
        1.0,
        "linear",
        0.5,
    ),
    Control("price", "cost", "Price", "$ per GPU hour", "Dollars per chip and hour", 0.0, 20.0, "linear", 2.0),
    Control("target", "target", "Target budget", "FLOPs", "What the sweep is for", 1e18, 1e28, "log", 1e24),
    Control("decimals", "toy", "Decimals", "digits kept", "Losses are rounded to them", 0, 4, "whole", 4),
    Control(
        "milliloss", "toy", "Structured bias", "milli-nats", "A tilt across sizes and tokens", -200, 200, "linear", 0
    ),
    Control(
        "goal", "toy", "Target size", "parameters", "Model forecast, at its optimal tokens", 1e10, 1e16, "log", TARGET
    ),
)

TRUTH_LABELS = {
    "hoffmann": "Hoffmann et al. 2022, all digits",
    "hoffmann-rounded": "Hoffmann et al. 2022, as printed",
    "besiroglu": "Besiroglu et al. 2024, Chinchilla fitted again",
    "symmetric": "Equal exponents",
    "chinchilla": "Chinchilla’s exponents",
    "asymmetric": "Uneven exponents, three to one",
    "soda": "Audio and text (SODA)",
    "sparse-nmm": "Multimodal mixture of experts (Sparse-NMM)",
}
"""What a preset is called on the page."""

LINKS: tuple[tuple[str, Settings], ...] = (
    ("An audio-text law, and a sweep that drifts", {**STUDY_SURFACES["soda"], "drift": 3.0}),
    ("Uneven exponents, no noise at all", {**STUDY_SURFACES["asymmetric"]}),
    ("A sweep that drifts off the optimum", {**STUDY_SURFACES["chinchilla"], "drift": 3.0}),
    ("Narrow and noisy", {**STUDY_SURFACES["chinchilla"], "width": 2.0, "noise": 0.02}),
)
"""Situations worth a look, beside the presets; a page without a fit opens on the first, where something happens."""


def explorer_html(
    fit: Any = None, *, target: float | None = None, cost: Cost | None = None, arguments: Sequence[str] | None = None
) -> str:
    """
    Return the explorer as one self-contained HTML page.

    Sliders turn a known truth and the sweep that is trained on it; IsoFLOP curves, the
    parabolas of Approach 2, VPNLS and what each would waste at a target budget follow at once.
    The page computes in the browser what :func:`lawful.design.plan.plan_isoflop`, :func:`lawful.simulate`,
    :func:`lawful.fit_isoflop` and :func:`lawful.fit` compute here; its noise is that of ``simulate``, its fit
    that of ``method="vpnls"``, and its Approach 2 the published one: that of ``window="none"``, with no answer
    where a budget has no parabola with a minimum.

    Parameters
    ----------
    fit : Fit, Runs, path, DataFrame, mapping of str to array_like, or list of records, optional
        A fitted Chinchilla law that the page opens with: its coefficients are the truth, its
        runs give the grid and are drawn as points. Or runs, or a table of them: the page opens on them, runs are left
        out by a click, and Approach 2, VPNLS and the coupled law are fitted to the rest at once.
    target : float, optional
        Budget in FLOPs that the page opens with; 1e24, or a thousand times the largest of the
        fit's budgets.
    cost : Cost, optional
        Price of compute; dense H100 hours at half their peak and two dollars by default.
    arguments : sequence of str, optional
        How a command reads these runs, as words of a shell; what they were read from by default.

    Returns
    -------
    str
        HTML that needs no network. Every name that comes from the user's data is escaped.

    Raises
    ------
    UnsupportedError
        If the fit is of another law, or its A or B is zero, so that it has no optimum.

    Examples
    --------
    >>> page = explorer_html()
    >>> "Content-Security-Policy" in page, len(page) < 1.2e6
    (True, True)

    From a fit:

    >>> truth = lawful.Surface.named("besiroglu")
    >>> runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth), noise=0.002)
    >>> page = explorer_html(lawful.fit(runs), target=1e23)
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    document = explorer_document(fit, target=target, cost=cost, arguments=arguments)
    environment = Environment(
        loader=PackageLoader("lawful.show", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    drawing, ours = library(), "\n".join(asset(name) for name in SCRIPTS)
    return environment.get_template("explorer.html.j2").render(
        document=document,
        controls=[asdict(control) for control in CONTROLS],
        marker=MARKER,
        policy=policy(drawing, ours),
        data=page_json(document),
        style=asset("chips.css") + asset("explorer.css"),
        library=drawing,
        script=ours,
        light=_colours(LIGHT),
        dark=_colours(DARK),
    )


def explorer_document(
    fit: Any = None, *, target: float | None = None, cost: Cost | None = None, arguments: Sequence[str] | None = None
) -> Settings:
    """
    Return what the page knows: controls, presets, draws of noise, the toy, the price of compute, the user's runs.

    Parameters and errors are those of :func:`explorer_html`.

    Examples
    --------
    >>> document = explorer_document()
    >>> sorted({preset["group"] for preset in document["presets"]})
    ['Published laws', 'The toy of “Scaling Laws, Carefully”', 'Truths of the studies', 'Worth a look']
    """
    price = cost or Cost()
    fitted = isinstance(one_law_of(fit), FitMethods)
    runs = None if fit is None or fitted else as_runs(fit)
    fit = check_fit(fit) if fitted else None
    plain: Settings = {"design": "sweep", "region": "all", "out": "", "only": ""} | {c.name: c.value for c in CONTROLS}
    plain |= {"gpu": price.hardware.name, "mfu": price.mfu, "price": price.price}
    initial = plain | LINKS[0][1]
    mine: list[Settings] = []
    if fit is not None:
        initial = plain | settings_of(fit)
        noise = float(np.sqrt(fit.rss / max(len(fit.runs) - 5, 1)))
        mine = [
            _preset("Your fit", "fitted law, no noise", initial),
            _preset("Your fit", "fitted law, the noise of its runs", initial | {"noise": noise}),
        ]
    if runs is not None:
        initial |= {"design": "own", "target": 1e3 * float(runs.C.max())}
    if target is not None:
        initial["target"] = check_budget(target)
        mine = [one | {"settings": one["settings"] | {"target": initial["target"]}} for one in mine]
    controls = [_reaching(asdict(c), [initial, *(one["settings"] for one in mine)]) for c in CONTROLS]
    most = {c["name"]: int(c["high"]) for c in controls if c["scale"] == "whole"}
    draws = [np.random.default_rng(seed).standard_normal(most["points"] * most["budgets"]) for seed in range(SEEDS)]
    return {
        "source": None if fit is None else (fit.runs.source or "your runs"),
        "flops_per_param_token": 6.0 if fit is None else fit.surface.cost.flops_per_param_token,
        "controls": controls,
        "initial": initial,
        "presets": [*mine, *(_preset("Worth a look", label, plain | changed) for label, changed in LINKS), *presets()],
        "draws": draws,
        "toy": _toy(),
        "cost": {**price.to_dict(), "terms": price.terms},
        "hardware": _hardware(price),
        "names": column_names(),
        "own": None if runs is None else own_document(runs, initial["target"], arguments),
        "runs": None if fit is None else _points(fit.runs),
        "palette": {"light": LIGHT.sequence, "dark": DARK.sequence},
    }


def _hardware(price: Cost) -> dict[str, float]:
    """Peak rates of the chips that have one of the kind that is priced; the chip asked for is one of them."""
    chips = {name: chip.dense if price.rate == "dense" else chip.sparse for name, chip in HARDWARE.items()}
    return {**{name: peak for name, peak in chips.items() if peak is not None}, price.hardware.name: price.peak}


def presets() -> list[Settings]:
    """Return every published surface and the toy as changes of the settings."""
    found = [
        _preset("Published laws", TRUTH_LABELS[name], {"design": "sweep", **coefficients})
        for name, coefficients in PUBLISHED.items()
    ]
    found += [
        _preset("Truths of the studies", TRUTH_LABELS[name], {"design": "sweep", **coefficients})
        for name, coefficients in STUDY_SURFACES.items()
    ]
    toys = [(region, 4, 0.0) for region in REGIONS] + [("small", 1, 0.0), ("all", 4, 200.0), ("small", 4, 200.0)]
    for region, decimals, milliloss in toys:
        what = f"{region} sizes, {decimals} decimal{'s' if decimals > 1 else ''}"
        what += f", {milliloss:+g} milli-nats" if milliloss else ""
        changed = {"design": "toy", "region": region, "decimals": decimals, "milliloss": milliloss, "goal": TARGET}
        found.append(_preset("The toy of “Scaling Laws, Carefully”", what, changed | PUBLISHED[TRUTH]))
    return found


def check_fit(fit: Fit | FrontierFit) -> Fit:
    """
    Return a fit that the page can show.

    Raises
    ------
    UnsupportedError
        Says why, and what to fit instead.
    """
    fit = one_law_of(fit)
    if fit.surface is None:
        msg = f"{fit.method} fits no surface, so the explorer has no law to show; fit with vpnls or approach3."
        raise UnsupportedError(msg)
    fit = replace(fit, surface=fit.surface.as_two_powers("The explorer"))
    zero = [name for name in ("A", "B") if fit.surface[name] == 0]
    if zero:
        msg = f"The fitted {' and '.join(zero)} is zero, so the law has no optimum to explore; add runs."
        raise UnsupportedError(msg)
    return fit


def settings_of(fit: Fit) -> Settings:
    """
    Return the settings that a fit suggests: its law as the truth, and the grid that its runs come closest to.

    Examples
    --------
    >>> truth = lawful.Surface.named("chinchilla")
    >>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], 9, surface=truth, width=4, drift=3)
    >>> found = settings_of(lawful.fit(lawful.simulate(truth, plan)))
    >>> [round(found[name], 6) for name in ("width", "offset", "drift", "points", "budgets")]
    [4.0, 1.0, 3.0, 9, 3]
    """
    runs, surface = fit.runs, fit.surface
    found: Settings = dict(surface.coefficients)
    grid = _grid(runs, surface)
    if grid is not None:
        found |= grid
    found["target"] = 1e3 * float(runs.budgets.max())
    return found


def saved_target(path: str | Path) -> float | None:
    """Return the largest budget that a saved fit was asked to allocate, or None."""
    allocations = json.loads(Path(path).read_text(encoding="utf-8")).get("allocations") or []
    return max((float(one["budget"]) for one in allocations), default=None)


def check_page(path: Path) -> None:
    """
    Refuse to write over anything but an explorer of ours.

    Raises
    ------
    OutputError
        If the path is a directory, or a file that this function's sibling did not write.
    """
    if path.is_dir():
        msg = f"{str(path)!r} is a directory; `out` takes the name of an HTML file here."
        raise OutputError(msg)
    check_place(path, _is_explorer, "an explorer")


def _is_explorer(path: Path) -> bool:
    return MARKER in path.read_text(encoding="utf-8", errors="replace")[:500]


def write_page(path: Path, text: str) -> None:
    """
    Write an explorer, whole or not at all; an earlier one is replaced.

    Raises
    ------
    OutputError
        If the file cannot be written, or is not ours to replace.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "explorer.html")
    >>> write_page(path, explorer_html())
    >>> check_page(path)
    """
    check_page(path)
    write_whole(path, text, ours=_is_explorer, what="an explorer")


def _grid(runs: Runs, surface: Surface) -> Settings | None:
    """Budgets, sizes and centres of runs that form IsoFLOP curves; None where they do not."""
    logs = np.log10(runs.N)
    curves = [(budget, logs[runs.group == g]) for g, budget in enumerate(runs.budgets)]
    curves = [(budget, sizes) for budget, sizes in curves if np.unique(sizes).size >= 3]
    if len(curves) < 2:
        return None
    limits = {c.name: (c.low, c.high) for c in CONTROLS}
    budgets = np.array([budget for budget, _ in curves])
    middle = np.array([(sizes.min() + sizes.max()) / 2 for _, sizes in curves])
    # The shift of the centres as a line in log C: its ends are the offset and what drift adds.
    shift = np.log10(surface.optimum(budgets).params) - middle
    progress = np.log(budgets / budgets[0]) / np.log(budgets[-1] / budgets[0])
    slope, start = np.polyfit(progress, shift, 1)
    width = 10.0 ** float(np.median([np.ptp(sizes) for _, sizes in curves]) / 2)
    suggested = {
        "width": width,
        "offset": 10.0 ** float(start),
        "drift": 10.0 ** float(slope),
        "points": int(np.median([np.unique(sizes).size for _, sizes in curves])),
        "budgets": len(curves),
        "low": float(budgets[0]),
        "high": float(budgets[-1]),
    }
    rounded = {name: type(value)(f"{value:.3g}") for name, value in suggested.items() if name not in ("low", "high")}
    return {name: type(value)(np.clip(value, *limits[name])) for name, value in (suggested | rounded).items()}


def _reaching(control: Settings, states: list[Settings]) -> Settings:
    """Return a control whose range takes in the states that the page can be set to."""
    values = [float(state[control["name"]]) for state in states]
    return control | {"low": min(control["low"], *values), "high": max(control["high"], *values)}


def _preset(group: str, label: str, settings: Mapping[str, Any]) -> Settings:
    return {"group": group, "label": label, "settings": dict(settings)}


def _toy() -> Settings:
    regions = {name: (part.start, part.stop) for name, part in REGIONS.items()}
    return {**toy_design()._asdict(), "regions": regions}


def _points(runs: Runs) -> Settings:
    every = slice(None, None, -(-len(runs) // MOST_RUNS))
    return {"params": runs.N[every], "tokens": runs.D[every], "loss": runs.L[every], "budget": runs.C[every]}


def _colours(palette: Palette) -> dict[str, str]:
    """Colours of the page as its style sheet names them."""
    named = {name: getattr(palette, name) for name in ("ink", "muted", "grid", "paper", "shade")}
    methods = {"vpnls": "vpnls", "approach2": "approach2", "coupled": "approach1"}
    return named | {name: palette.method(method) for name, method in methods.items()}


def explore(
    path: str | Path = "explorer.html",
    fit: Any = None,
    *,
    target: float | None = None,
    cost: Cost | None = None,
) -> Path:
    """
    Write the explorer: one self-contained page for a known truth and its sweep, or for runs of your own.

    Parameters
    ----------
    path : str or Path
        The page to write; an earlier one is replaced.
    fit, target, cost
        See :func:`lawful.show.explorer.explorer_html`.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        If the page cannot be written, or is not ours to replace.
    UnsupportedError
        If the fit is of another law, or has no optimum.

    Examples
    --------
    >>> import tempfile
    >>> page = lawful.explore(f"{tempfile.mkdtemp()}/explorer.html")
    >>> page.name
    'explorer.html'
    """
    page = Path(path)
    check_page(page)
    write_page(page, explorer_html(fit, target=target, cost=cost))
    return page
