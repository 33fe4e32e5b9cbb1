"""Study 11: what the bias costs, in FLOPs and in dollars."""

from __future__ import annotations

import numpy as np

from lawful.checks.check import apply_rules
from lawful.core.objective import Objective
from lawful.data.runs import Runs
from lawful.design.plan import plan_isoflop, simulate, study_surface
from lawful.estimate.fit import fit
from lawful.estimate.isoflop import fit_isoflop
from lawful.estimate.solvers import Joint
from lawful.laws.surface import Surface
from lawful.studies import money, real
from lawful.studies.cost_words import draw, findings, published
from lawful.studies.study import Config, Study, Tables, Task
from lawful.studies.sweeps import LABELS, POINTS
from lawful.studies.tables import Table

LLAMA, EPOCH = "llama_3__raw_loss", "epochai_chinchilla__massivetext__chinchilla"
TARGETS = {LLAMA: 3.8e25, EPOCH: 5.76e23}
STAGES = {
    "all runs": (),
    "duplicates, too few": ("exact_duplicate", "near_duplicate_params", "too_few_points"),
    "off centre, spline": ("off_center", "spline_outlier"),
    "curvature": ("negative_curvature", "weak_curvature"),
    "too few after": ("too_few_post_qc",),
}
"""Groups of quality-control rules, in the order they are added."""


def tasks(_: Config) -> list[Task]:
    """One chunk per part; filtering per data set."""
    return [
        {"part": "simulated"},
        {"part": "empirical"},
        {"part": "filtering", "set": LLAMA},
        {"part": "filtering", "set": EPOCH},
    ]


def compute(config: Config, task: Task) -> Tables:
    """Run one of the three parts."""
    if task["part"] == "simulated":
        return {"simulated": simulated(config)}
    if task["part"] == "empirical":
        return empirical(config)
    return {"filtering": filtering(real.read_experiment(config["data"], task["set"]), task["set"])}


def approach3(runs: Runs) -> Surface:
    """Approach 3 as the paper runs it: log-sum-exp, squared error of the log loss."""
    return fit(runs, method=Joint(), objective=Objective.log_squared()).surface


def simulated(config: Config) -> Table:
    """Narrow, drifting, noise-free sweeps on four surfaces."""
    llama = fit(real.read_experiment(config["data"], LLAMA)).surface
    truths = {"llama-3": llama, **{name: study_surface(name) for name in ("chinchilla", "soda", "sparse-nmm")}}
    rows = []
    for name, truth in truths.items():
        plan = plan_isoflop(config["budgets"], POINTS, surface=truth, width=config["width"], drift=config["drift"])
        tokens = float(fit_isoflop(simulate(truth, plan)).frontier.tokens(config["target"]))
        rows.append({"surface": LABELS[name], **money.outcome(truth, config["target"], tokens)})
    return Table.from_rows(rows)


def empirical(config: Config) -> Tables:
    """Approach 2 on the Llama 3 runs, priced on two surfaces of the same runs; and resampled within budgets."""
    runs, target = real.read_experiment(config["data"], LLAMA), config["target"]
    surfaces = {"VPNLS": fit(runs).surface, "Approach 3": approach3(runs)}
    frontier = fit_isoflop(runs).frontier
    rows = [
        {
            "surface": name,
            **surface.coefficients,
            "a": frontier.a,
            "b": frontier.b,
            **money.outcome(surface, target, float(frontier.tokens(target))),
        }
        for name, surface in surfaces.items()
    ]
    weight = money.resample(runs, config["draws"], np.random.default_rng(config["seed"]))
    tokens, downward, short = money.approach2_tokens(runs, weight, target)
    columns = {"draw": np.arange(len(tokens), dtype=float), "tokens": tokens, "downward": downward, "short": short}
    for name, surface in surfaces.items():
        columns[f"dcl_percent_{name}"] = 100 * np.asarray(surface.deadweight(target, tokens)) / target
    return {"empirical": Table.from_rows(rows), "bootstrap": Table(columns)}


def filtering(runs: Runs, name: str) -> Table:
    """Both approaches refitted after each group of rules, priced on the fit of all runs and of the clean ones."""
    reasons = apply_rules(runs)
    target = TARGETS[name]
    truths = {"all runs": fit(runs).surface, "clean runs": fit(runs.take(reasons == "none")).surface}
    rows, gone = [], np.zeros(len(runs), dtype=bool)
    for stage, codes in STAGES.items():
        gone |= np.isin(reasons.astype(str), codes)
        left = runs.take(~gone)
        tokens, downward, _ = money.approach2_tokens(left, np.ones((1, len(left))), target)
        for approach, d, bent in (
            ("approach2", float(tokens[0]), float(downward[0])),
            ("approach3", float(approach3(left).optimum(target).tokens), 0.0),
        ):
            priced = {
                f"dcl_percent_{truth.replace(' ', '_')}": 100 * float(surface.deadweight(target, d)) / target
                for truth, surface in truths.items()
            }
            rows.append(
                {
                    "set": real.EXPERIMENTS[name],
                    "target": target,
                    "stage": stage,
                    "runs": len(left),
                    "budgets": left.budgets.size,
                    "approach": approach,
                    "tokens": d,
                    "downward_parabolas": bent,
                    **priced,
                }
            )
    return Table.from_rows(rows)


STUDY = Study(
    number=11,
    name="cost_estimates",
    question="What does the bias of Approach 2 cost?",
    config={"budgets": [1e18, 1e19, 1e20, 1e21, 1e22], "width": 2.0, "drift": 3.0, "target": 3.8e25, "draws": 10000},
    quick={"draws": 1000},
    tasks=tasks,
    compute=compute,
    draw=draw,
    findings=findings,
    published=published,
    data=(real.ISOFLOPS,),
)
