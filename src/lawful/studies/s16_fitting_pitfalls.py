"""Study 16: four ways to fit Chinchilla's law wrongly, on the 240 published runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.core.typing import Array
from lawful.data.runs import Runs
from lawful.estimate.fit import fit
from lawful.estimate.solvers import Joint
from lawful.laws.catalogue_kaplan import OMEGA, total_params
from lawful.laws.surface import Surface
from lawful.studies import real
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.tables import Table
from lawful.studies.verdicts import Comparison, to_digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure


DELTA = 1e-3
GOPHER = 5.76e23
START = (6.0073404, 6.0179186, 0.5267228, 0.33917084, 0.2849083)
"""Hoffmann's unrounded log-parameters: where a careful reader would start."""

BOX = np.array([(0.0, 25.0), (0.0, 25.0), (-1.0, 1.0), (0.0, 2.0), (0.0, 2.0)])
"""Range of the published grid of starts."""


def huber(z: Array, runs: Runs) -> tuple[float, Array]:
    """Sum of Huber's loss of log residuals and its gradient in (ln A, ln B, ln E, alpha, beta)."""
    x, y = np.log(runs.N), np.log(runs.D)
    terms = np.stack([z[0] - z[3] * x, z[1] - z[4] * y, np.full_like(x, z[2])])
    top = terms.max(axis=0)
    fitted = top + np.log(np.exp(terms - top).sum(axis=0))
    share = np.exp(terms - fitted)
    r = fitted - np.log(runs.L)
    size = np.abs(r)
    value = np.where(size <= DELTA, 0.5 * r * r, DELTA * (size - 0.5 * DELTA)).sum()
    pull = np.clip(r, -DELTA, DELTA)
    slopes = np.stack([share[0], share[1], share[2], -share[0] * x, -share[1] * y])
    return float(value), slopes @ pull


def descend(runs: Runs, start: Array, *, mean: bool, **options: float) -> Any:
    """L-BFGS-B from one start, on the sum or on the mean."""
    from scipy.optimize import minimize

    scale = 1.0 / len(runs) if mean else 1.0

    def objective(z: Array) -> tuple[float, Array]:
        value, gradient = huber(z, runs)
        return scale * value, scale * gradient

    settings: Any = dict(options)
    return minimize(objective, start, jac=True, method="L-BFGS-B", options=settings)


def tasks(_: Config) -> list[Task]:
    """One chunk."""
    return [{}]


def compute(config: Config, _: Task) -> Tables:
    """Run every pitfall on the same runs."""
    runs = real.read_svg(config["data"])
    best = fit(runs, method=Joint())
    least = best.value * len(runs)
    stops = []
    for label, mean, options in (
        ("sum, default tolerances", False, {}),
        ("mean, default tolerances", True, {}),
        ("sum, ftol 1e-15, gtol 1e-12", False, {"ftol": 1e-15, "gtol": 1e-12, "maxiter": 5000}),
    ):
        found = descend(runs, np.array(START), mean=mean, **options)
        reached = huber(found.x, runs)[0]
        alpha, beta = found.x[3:]
        stops.append(
            {
                "objective": label,
                "iterations": int(found.nit),
                "sum": reached,
                "ratio": reached / least,
                "a": beta / (alpha + beta),
            }
        )
    stops.append(
        {"objective": "Newton, all starts", "iterations": 0, "sum": least, "ratio": 1.0, "a": best.surface.exponents[0]}
    )
    rounding = []
    for name in ("hoffmann-rounded", "hoffmann", "besiroglu"):
        k = Surface.named(name)
        if name == "hoffmann":
            k = Surface(
                dict(zip(("A", "B", "E"), np.exp(START[:3]), strict=True)) | {"alpha": START[3], "beta": START[4]}
            )
        z = np.array([np.log(k["A"]), np.log(k["B"]), np.log(k["E"]), k["alpha"], k["beta"]])
        value = huber(z, runs)[0]
        rounding.append({"set": name, "sum": value, "ratio": value / least, "params": float(k.optimum(GOPHER).params)})
    rng = np.random.default_rng(config["seed"])
    ends = []
    for number in range(config["starts"]):
        found = descend(runs, rng.uniform(*BOX.T), mean=False, ftol=1e-15, gtol=1e-12, maxiter=3000)
        ends.append({"start": number, "ratio": huber(found.x, runs)[0] / least})
    counts = []
    for name, table in (("total", runs), ("non-embedding", without_embeddings(runs))):
        found = fit(table, method=Joint())
        counts.append(
            {
                "count": name,
                "alpha": found.surface["alpha"],
                "beta": found.surface["beta"],
                "a": found.surface.exponents[0],
            }
        )
    return {
        name: Table.from_rows(rows)
        for name, rows in (("stops", stops), ("rounding", rounding), ("starts", ends), ("counts", counts))
    }


def without_embeddings(runs: Runs) -> Runs:
    """Return the same runs with non-embedding parameters, by inverting N_total = N + omega N^(1/3)."""
    low, high = np.full(len(runs), 1.0), runs.N.copy()
    for _ in range(200):
        middle = np.sqrt(low * high)
        above = total_params(middle, OMEGA) > runs.N
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return Runs.from_arrays(np.sqrt(low * high), runs.D, runs.L)


def draw(tables: Tables) -> dict[str, Figure]:
    """Objectives reached, and where random starts end."""
    from lawful.studies import drawing

    figure, ((left, right),) = drawing.panels(1, 2, (8.8, 3.2))
    names = [*tables["stops"]["objective"], *(f"published set: {n}" for n in tables["rounding"]["set"])]
    values = [*tables["stops"]["ratio"], *tables["rounding"]["ratio"]]
    places = np.arange(len(names))[::-1]
    left.plot(values, places, "o", color=drawing.CYCLE[0], markersize=5)
    left.axvline(1, color=drawing.MUTED, linewidth=0.8)
    left.set_yticks(places, names)
    left.tick_params(axis="y", labelsize=7.5)
    left.set_xscale("log")
    left.set_xticks([1, 2, 4], ["1", "2", "4"])
    left.set_xticks([], minor=True)
    drawing.labels(left, "objective over its minimum")
    drawing.title(left, "Where fits stop")
    ratio = np.sort(tables["starts"]["ratio"])
    right.plot(ratio, np.arange(1, ratio.size + 1) / ratio.size, color=drawing.CYCLE[1], drawstyle="steps-post")
    right.set_xscale("log")
    right.set_ylim(0, 1.02)
    drawing.labels(right, "objective over its minimum", "share of random starts")
    drawing.title(right, "One random start")
    return {"fitting_pitfalls": figure}


def findings(tables: Tables) -> list[str]:
    """Say what each pitfall costs."""
    stops, sets, counts = tables["stops"], tables["rounding"], tables["counts"]
    total, mean = stops.one(objective="sum, default tolerances"), stops.one(objective="mean, default tolerances")
    tight = stops.one(objective="sum, ftol 1e-15, gtol 1e-12")
    rounded, full = sets.one(set="hoffmann-rounded"), sets.one(set="hoffmann")
    ratio = tables["starts"]["ratio"]
    reached = float((ratio < 1 + 1e-6).mean())
    whole, part = counts.one(count="total"), counts.one(count="non-embedding")
    return [
        (
            f"With default tolerances L-BFGS-B on the mean of the losses stops after {mean['iterations']:.0f} "
            "iterations at "
            f"{mean['ratio']:.2f} times the minimum; on their sum it runs {total['iterations']:.0f} iterations "
            "and ends at "
            f"{total['ratio']:.2f} times the minimum, still early: with tolerances of 1e-15 it ends at "
            f"{tight['ratio']:.6f}."
        ),
        (
            f"Exponents rounded to two digits cost a factor of {rounded['ratio']:.1f} in the objective "
            f"({rounded['sum']:.6f} against {stops['sum'].min():.6f}) and move N* at {GOPHER:.3g} FLOPs by "
            f"{100 * (rounded['params'] / full['params'] - 1):.0f}%."
        ),
        (
            f"Of {ratio.size} random starts in the published grid's range {100 * reached:.0f}% reach the minimum "
            "(to one in a "
            f"million); the median ends at {float(np.median(ratio)):.3g} times it."
        ),
        f"The same runs give a = {whole['a']:.3f} in total and {part['a']:.3f} in non-embedding parameters.",
    ]


def published(tables: Tables) -> list[Comparison]:
    """Published sums of the objective."""
    sets, stops = tables["rounding"], tables["stops"]
    return [
        to_digits("objective at Hoffmann's rounded set", "0.00412100913628", sets.one(set="hoffmann-rounded")["sum"]),
        to_digits("objective at Hoffmann's unrounded set", "0.00123116", sets.one(set="hoffmann")["sum"]),
        to_digits("objective at Besiroglu's set", "0.00102284277346", sets.one(set="besiroglu")["sum"]),
        to_digits("its minimum", "0.0010182740178", float(stops["sum"].min())),
        Comparison(
            "iterations on the mean",
            2,
            stops.one(objective="mean, default tolerances")["iterations"],
            None,
            remark="start and version of the optimiser decide",
        ),
        Comparison(
            "iterations on the sum",
            19,
            stops.one(objective="sum, default tolerances")["iterations"],
            None,
            remark="start and version of the optimiser decide",
        ),
    ]


STUDY = Study(
    number=16,
    name="fitting_pitfalls",
    question="What does each of the well-known mistakes cost on the 240 Chinchilla runs?",
    config={"starts": 200},
    quick={"starts": 8},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    published=published,
    data=(real.CHINCHILLA_SVG,),
)
