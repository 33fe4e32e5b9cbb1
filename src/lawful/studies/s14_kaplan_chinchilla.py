"""Study 14: the exponent that Kaplan's range must see under Chinchilla's law."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lawful.laws.reconcile import PORIAN, exponent_limits, kaplan_slope, local_exponent
from lawful.laws.surface import Surface
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.studies.verdicts import Comparison, to_digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SURFACES = ("besiroglu", "hoffmann")
POINTS = {1e6: "0.963", 1e7: "0.853", 1e8: "0.613", 1e9: "0.535"}
"""Published local exponents under Besiroglu's parameters."""

SLOPES = {"besiroglu": "0.78", "hoffmann": "0.74"}
KAPLAN = 0.73


def tasks(_: Config) -> list[Task]:
    """One chunk."""
    return [{}]


def compute(config: Config, _: Task) -> Tables:
    """Local exponents across scale, slopes over Kaplan's range, and Porian's steps."""
    low, high = config["sizes"]
    sizes = np.geomspace(low, high, config["points"])
    local, slopes = [], []
    for name in SURFACES:
        k = Surface.named(name).coefficients
        smallest, largest = exponent_limits(k)
        local += [{"surface": name, "params": n, "g": g} for n, g in zip(sizes, local_exponent(k, sizes), strict=True)]
        fine = np.geomspace(1e3, 1e12, 20001)
        g = local_exponent(k, fine)
        at = int(np.argmax(g))
        slopes.append(
            {
                "surface": name,
                "slope": kaplan_slope(k),
                "small": smallest,
                "large": largest,
                "peak": g[at],
                "peak_params": fine[at],
            }
        )
    steps = [
        {"step": step, "a": a, "low": interval[0], "high": interval[1], "params": params, "a_openwebtext": other}
        for step, a, interval, params, other in PORIAN
    ]
    return {"local": Table.from_rows(local), "slopes": Table.from_rows(slopes), "porian": Table.from_rows(steps)}


def draw(tables: Tables) -> dict[str, Figure]:
    """Local exponent across scale with Kaplan's range, and Porian's steps."""
    from lawful.studies import drawing

    figure, ((left, right),) = drawing.panels(1, 2, (9.6, 4.6), width_ratios=[1.25, 1])
    left.axvspan(10**2.9, 10**9.2, color=drawing.GRID, alpha=0.6, zorder=0, label="Kaplan's sizes")
    for color, ((name,), rows) in zip(drawing.CYCLE, tables["local"].groups("surface"), strict=False):
        left.plot(rows["params"], rows["g"], color=color, label=f"truth: {name}")
        slope = tables["slopes"].one(surface=name)["slope"]
        left.axhline(
            slope, color=color, linestyle=drawing.DASHES[2], linewidth=1, label=f"slope over the range: {slope:.2f}"
        )
    left.axhline(KAPLAN, color=drawing.MUTED, linewidth=1, linestyle=drawing.DASHES[3], label="Kaplan et al.: 0.73")
    left.set_xscale("log")
    drawing.count_axis(left, "x", "non-embedding parameters")
    drawing.labels(left, "non-embedding parameters", "local exponent of N*(C)")
    drawing.title(left, "One law, another count")
    steps = tables["porian"]
    places = np.arange(len(steps))[::-1]
    right.errorbar(
        steps["a"],
        places,
        xerr=np.stack([steps["a"] - steps["low"], steps["high"] - steps["a"]]),
        fmt="o",
        color=drawing.CYCLE[0],
        markersize=4,
        label="RefinedWeb, 95%",
    )
    right.plot(steps["a_openwebtext"], places, "s", color=drawing.CYCLE[1], markersize=4, label="OpenWebText2")
    right.set_yticks(places, [str(step) for step in steps["step"]])
    right.tick_params(axis="y", labelsize=7)
    drawing.labels(right, "exponent of N*(C)")
    drawing.title(right, "Porian et al.: step by step")
    handles = [*left.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    drawing.legend_above(figure, handles, columns=3)
    return {"kaplan_chinchilla": figure}


def findings(tables: Tables) -> list[str]:
    """Say what the range does."""
    rows = {row["surface"]: row for row in tables["slopes"].rows()}
    b, h = rows["besiroglu"], rows["hoffmann"]
    first, last = (list(tables["porian"].rows())[i] for i in (0, -1))
    return [
        (
            "Under Chinchilla's law in total parameters, a sweep over Kaplan's range that counts non-embedding "
            "ones sees "
            f"an exponent of {h['slope']:.2f} (Hoffmann) to {b['slope']:.2f} (Besiroglu); Kaplan et al. reported "
            f"{KAPLAN}."
        ),
        (
            f"The local exponent is not monotone: from {b['small']:.3f} at the smallest scales it rises to "
            f"{b['peak']:.3f} "
            f"near {b['peak_params']:.2g} parameters and falls to {b['large']:.3f} (Besiroglu's parameters)."
        ),
        (
            f"Porian et al. take the same road by experiment: {first['a']:.2f} with Kaplan's choices, "
            f"{last['a']:.2f} after "
            "four corrections, of which counting the output head is the largest."
        ),
    ]


def published(tables: Tables) -> list[Comparison]:
    """Published slopes and local exponents."""
    out = [
        to_digits(f"slope over Kaplan's range, {n}", text, tables["slopes"].one(surface=n)["slope"])
        for n, text in SLOPES.items()
    ]
    k = Surface.named("besiroglu").coefficients
    return out + [
        to_digits(f"local exponent at {n:.0e}", text, float(local_exponent(k, n))) for n, text in POINTS.items()
    ]


STUDY = Study(
    number=14,
    name="kaplan_chinchilla",
    question="Which exponent must Kaplan's range see if Chinchilla's law is true?",
    config={"sizes": [1e3, 1e12], "points": 400},
    quick={"points": 100},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    published=published,
)
