"""Study 8: why the five-parameter problem is hard and the two-parameter one is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.core.typing import Array
from lawful.design.plan import plan_isoflop, simulate, study_surface
from lawful.studies.methods import LOWER, UPPER, Design, predict
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.sweeps import BUDGETS, POINTS
from lawful.studies.tables import Table
from lawful.studies.verdicts import Comparison, to_digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure


NAMES = ("E", "A", "B", "alpha", "beta")
SYMBOLS = ("E", "A", "B", "α", "β")
PUBLISHED = {
    "5-D eigenvalue 1": "7.78e-06",
    "5-D eigenvalue 2": "1.56e-05",
    "5-D eigenvalue 3": "1.19e+01",
    "5-D eigenvalue 4": "2.61e+04",
    "5-D eigenvalue 5": "2.71e+06",
    "5-D condition number": "3.48e+11",
    "2-D eigenvalue 1": "1.13e+02",
    "2-D eigenvalue 2": "1.20e+03",
    "2-D condition number": "10.6",
}
DRIFT_REMARK = "the published text omits the drift of 0.2; its figures need it"


def tasks(_: Config) -> list[Task]:
    """One chunk."""
    return [{}]


def slopes(x: Array, design: Design) -> Array:
    """Derivatives of the loss in E, A, B, alpha, beta, shape (n, 5)."""
    in_n, in_d = np.exp(-x[3] * design.log_n), np.exp(-x[4] * design.log_d)
    columns = (np.ones_like(in_n), in_n, in_d, -x[1] * design.log_n * in_n, -x[2] * design.log_d * in_d)
    return np.stack(columns, axis=1)


def compute(config: Config, _: Task) -> Tables:
    """Spectra at the truth, gradients along each direction, and what L-BFGS-B does from there."""
    from scipy.optimize import minimize

    truth = study_surface(config["surface"])
    plan = plan_isoflop(BUDGETS, POINTS, surface=truth, width=config["width"], drift=10 ** config["drift"])
    runs = simulate(truth, plan)
    design, x = Design(np.log(runs.N), np.log(runs.D)), np.array([truth[name] for name in NAMES])
    jacobian = slopes(x, design)
    linear, _r = np.linalg.qr(jacobian[:, :3])
    projected = jacobian[:, 3:] - linear @ (linear.T @ jacobian[:, 3:])
    spectra, steps = [], []
    for space, matrix, names in (("5-D", jacobian, NAMES), ("2-D", projected, NAMES[3:])):
        # Singular values keep the digits that forming the Hessian 2 J'J would lose.
        _u, values, directions = np.linalg.svd(matrix, full_matrices=False)
        for i in range(len(values)):
            value, v = (
                2 * values[-1 - i] ** 2,
                directions[-1 - i] * np.sign(directions[-1 - i][np.abs(directions[-1 - i]).argmax()]),
            )
            parts = dict(zip(names, v.tolist(), strict=True))
            spectra.append(
                {"space": space, "rank": i + 1, "eigenvalue": value, **{n: parts.get(n, float("nan")) for n in NAMES}}
            )
            if space == "5-D":
                moved = x + config["step"] * v
                gradient = 2 * slopes(moved, design).T @ (predict(moved[None], design)[0] - runs.L)
                steps.append({"rank": i + 1, "eigenvalue": value, "gradient_norm": float(np.linalg.norm(gradient))})

    def objective(z: Array) -> tuple[float, Array]:
        residual = predict(z[None], design)[0] - runs.L
        return float(residual @ residual), 2.0 * slopes(z, design).T @ residual

    descents = []
    start = x * (1 + config["start_off"])
    for label, first, ftol in (
        ("from the truth", x, 1e-15),
        ("from the truth, ftol 0", x, 0.0),
        ("1% off, ftol 1e-15", start, 1e-15),
        ("1% off, ftol 0", start, 0.0),
    ):
        options: Any = {"ftol": ftol, "gtol": 1e-15, "maxiter": 5000, "maxfun": 100000}
        found: Any = minimize(
            objective, first, jac=True, method="L-BFGS-B", bounds=list(zip(LOWER, UPPER, strict=True)), options=options
        )
        errors = dict(zip(NAMES, (100 * np.abs(found.x / x - 1)).tolist(), strict=True))
        descents.append(
            {
                "start": label,
                "iterations": int(found.nit),
                "value": float(found.fun),
                "message": str(found.message),
                **errors,
            }
        )
    return {
        "spectra": Table.from_rows(spectra),
        "gradients": Table.from_rows(steps),
        "descents": Table.from_rows(descents),
    }


def conditions(tables: Tables) -> dict[str, float]:
    """Return eigenvalues and condition numbers under their published names."""
    out: dict[str, float] = {}
    for (space,), rows in tables["spectra"].groups("space"):
        values = rows["eigenvalue"]
        out |= {f"{space} eigenvalue {i + 1}": float(v) for i, v in enumerate(values)}
        out[f"{space} condition number"] = float(values.max() / values.min())
    return out


def draw(tables: Tables) -> dict[str, Figure]:
    """Spectra, directions, and gradients under a small step."""
    from lawful.studies import drawing

    figure, ((left, middle, right),) = drawing.panels(1, 3, (10.0, 3.5), width_ratios=[1, 1.25, 1.1])
    for place, (space, color) in enumerate((("5-D", drawing.CYCLE[1]), ("2-D", drawing.CYCLE[0]))):
        values = tables["spectra"].where(space=space)["eigenvalue"]
        left.hlines(values, place - 0.3, place + 0.3, color=color, linewidth=3)
        ratio = f"condition\n{values.max() / values.min():.3g}".replace("e+", "e")
        left.text(place, values.max() * 4, ratio, ha="center", va="bottom", fontsize=8.5, color=color)
    left.set_yscale("log")
    left.set_ylim(1e-7, 1e10)
    left.set_xlim(-0.6, 1.6)
    left.set_xticks([0, 1], ["five parameters", "α, β alone\n(E, A, B projected)"])
    left.grid(visible=False, axis="x")
    drawing.title(left, "Eigenvalues of the Hessian")
    directions = tables["spectra"].where(space="5-D")
    matrix = np.abs(np.stack([directions[name] for name in NAMES], axis=1))
    middle.grid(visible=False)
    middle.imshow(np.log10(np.maximum(matrix, 1e-8)), cmap="Blues", vmin=-8, vmax=1, aspect="auto")
    for i, row in enumerate(matrix):
        for j, value in enumerate(row):
            text = f"{value:.2f}" if value >= 0.01 else f"{value:.0e}".replace("e-0", "e−")
            middle.text(
                j, i, text, ha="center", va="center", fontsize=7.5, color="white" if value > 3e-3 else drawing.INK
            )
    middle.set_xticks(range(5), SYMBOLS)
    middle.set_yticks(range(5), [f"{v:.1e}".replace("e-0", "e−").replace("e+0", "e") for v in directions["eigenvalue"]])
    drawing.title(middle, "Size of each direction's parts")
    drawing.labels(middle, "", "eigenvalue")
    steps = tables["gradients"]
    right.loglog(steps["eigenvalue"], steps["gradient_norm"], "o-", color=drawing.CYCLE[1], markersize=5)
    right.loglog(
        steps["eigenvalue"],
        steps["eigenvalue"] * 1e-4,
        color=drawing.MUTED,
        linewidth=0.8,
        linestyle="--",
        label="eigenvalue × step",
    )
    right.set_xlim(1e-6, 1e8)
    drawing.title(right, "Gradient after a step of 10⁻⁴")
    drawing.labels(right, "eigenvalue of the direction", "gradient norm")
    drawing.legend(right, columns=1)
    return {"conditioning": figure}


def findings(tables: Tables) -> list[str]:
    """Explain the conditioning in words."""
    k, descents = conditions(tables), tables["descents"]
    flat = tables["spectra"].where(space="5-D", rank=1.0)
    part = {name: abs(float(flat[name][0])) for name in NAMES}
    main = max(part, key=lambda name: part[name])
    steps = tables["gradients"]["gradient_norm"]
    from_truth, on = descents.one(start="1% off, ftol 1e-15"), descents.one(start="1% off, ftol 0")
    error = max(from_truth[name] for name in NAMES)
    later = max(on[name] for name in NAMES)
    ratio = k["5-D condition number"] / k["2-D condition number"]
    return [
        (
            f"Searching five raw parameters has condition number {k['5-D condition number']:.3g}; with E, A and B "
            "projected out "
            f"the remaining two have {k['2-D condition number']:.3g}, {ratio:.1e} times less."
        ),
        (
            f"The flattest direction is {main}: moving it by one unit changes the sum of squares by "
            f"{k['5-D eigenvalue 1'] / 2:.1e}, "
            f"while the steepest direction changes it by {k['5-D eigenvalue 5'] / 2:.1e}. A and B are in the hundreds "
            "and E, alpha and "
            "beta near one, so a unit means different things, and amounts trade off against exponents."
        ),
        (
            f"A step of 1e-4 along the flattest direction leaves a gradient of {steps.min():.1e}, along the steepest "
            f"{steps.max():.1e}: "
            "no single tolerance on the gradient fits both."
        ),
        (
            f"L-BFGS-B started 1% off the truth stops after {from_truth['iterations']:.0f} iterations at ftol 1e-15 "
            "with errors of up to "
            f"{error:.2g}%; with ftol 0 it goes on for {on['iterations']:.0f} iterations to {later:.2g}% "
            f"({on['message']})."
        ),
        (
            "Given the exponents the law is linear in E, A and B, so they can be solved for exactly; that is the "
            "whole trick of "
            "variable projection, and why its search needs no care for scales."
        ),
        f"Settings: {DRIFT_REMARK}.",
    ]


def published(tables: Tables) -> list[Comparison]:
    """Eigenvalues and condition numbers, to the digits printed."""
    ours = conditions(tables)
    return [to_digits(name, text, ours[name], DRIFT_REMARK) for name, text in PUBLISHED.items()]


STUDY = Study(
    number=8,
    name="conditioning",
    question="Why is the five-parameter problem hard?",
    config={"surface": "asymmetric", "width": 8.0, "drift": 0.2, "step": 1e-4, "start_off": 0.01},
    quick={},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    published=published,
)
