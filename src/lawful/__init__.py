"""
Fit neural scaling laws carefully.

Training runs go in (model size N, tokens D, compute C, loss L); a law, honest
intervals, a compute-optimal decision and its cost come out.

The public names below are loaded when they are first used, so ``import lawful``
costs no more than NumPy.

Examples
--------
>>> truth = lawful.Surface.named("besiroglu")
>>> plan = lawful.plan_isoflop([1e18, 1e19, 1e20], surface=truth)
>>> fit = lawful.fit(lawful.simulate(truth, plan, noise=0.0))
>>> print(f"{fit.surface['alpha']:.4f}")
0.3478
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lawful.core.cost import Cost
    from lawful.core.hardware import Hardware
    from lawful.core.laws import CHINCHILLA, LAWS, Law, find_law, sum_of_powers
    from lawful.core.notes import Note, Status
    from lawful.core.objective import Objective
    from lawful.core.plan import Plan, plan_isoflop, simulate, study_surface
    from lawful.core.runs import Runs
    from lawful.core.surface import Surface
    from lawful.core.transformer import Transformer
    from lawful.data.check import Checked, check
    from lawful.data.isoflops import isoflop_points
    from lawful.data.published import PUBLISHED_SETS, PublishedSet, fetch, fetch_runs
    from lawful.data.read import read_groups, read_runs, to_frame
    from lawful.data.rules import Thresholds
    from lawful.errors import (
        FetchError,
        IdentificationError,
        InputError,
        LawfulError,
        OutputError,
        UnsupportedError,
    )
    from lawful.estimate.fit import fit
    from lawful.estimate.isoflop import fit_envelope, fit_isoflop
    from lawful.estimate.prior import Forecaster, forecaster, weak_prior
    from lawful.estimate.result import Fit, Frontier, FrontierFit
    from lawful.estimate.solvers import Joint, VarPro
    from lawful.infer.allocate import Allocation, allocate
    from lawful.infer.analysis import Analysis, analyse, compare
    from lawful.infer.audit import Audit, audit
    from lawful.infer.bias import Bias, bias, correct_isoflop
    from lawful.infer.bootstrap import Draws, bootstrap, extend
    from lawful.infer.constraints import Constrained, Constraints, Demand, optimise
    from lawful.infer.conventions import Conventions, conventions
    from lawful.infer.coverage import Coverage, coverage
    from lawful.infer.curve import fit_curve, optimum_curve
    from lawful.infer.deadweight import DeadweightInterval, deadweight_interval
    from lawful.infer.delta import Delta, delta
    from lawful.infer.design import Planned, Sweep, plan
    from lawful.infer.dial import AsymptoteDial, asymptote_dial
    from lawful.infer.fitness import LackOfFit, lack_of_fit
    from lawful.infer.forecast import Forecast, Score, forecast, score
    from lawful.infer.indifference import Indifference, indifference
    from lawful.infer.intervals import Intervals, intervals
    from lawful.infer.profile import Profile, profile
    from lawful.infer.rehearsal import Rehearsal, check_plan
    from lawful.infer.shapes import Shapes
    from lawful.infer.shift import parabola_shift
    from lawful.infer.speedup import Speedup, speedup
    from lawful.infer.usual_grid import plan_grid
    from lawful.infer.waste import Waste, deadweight
    from lawful.show.artifact import load_analysis, load_fit, save_fit
    from lawful.show.audit import plot_audit
    from lawful.show.check_figure import plot_check
    from lawful.show.dial_figure import plot_dial, plot_profile
    from lawful.show.explorer import explorer_html
    from lawful.show.figures import plot_frontier, plot_isoflop, plot_residuals
    from lawful.show.reporting import write_report
    from lawful.show.valley_figure import plot_indifference

# The one table a new public name is added to, beside the import above that shows it to type checkers.
_HOME = {
    "read_runs": "lawful.data.read",
    "read_groups": "lawful.data.read",
    "check": "lawful.data.check",
    "Checked": "lawful.data.check",
    "Thresholds": "lawful.data.rules",
    "to_frame": "lawful.data.read",
    "Runs": "lawful.core.runs",
    "Surface": "lawful.core.surface",
    "Law": "lawful.core.laws",
    "CHINCHILLA": "lawful.core.laws",
    "LAWS": "lawful.core.laws",
    "find_law": "lawful.core.laws",
    "sum_of_powers": "lawful.core.laws",
    "Objective": "lawful.core.objective",
    "Cost": "lawful.core.cost",
    "Note": "lawful.core.notes",
    "Status": "lawful.core.notes",
    "Plan": "lawful.core.plan",
    "plan_isoflop": "lawful.core.plan",
    "simulate": "lawful.core.plan",
    "study_surface": "lawful.core.plan",
    "fit": "lawful.estimate.fit",
    "VarPro": "lawful.estimate.solvers",
    "Joint": "lawful.estimate.solvers",
    "Fit": "lawful.estimate.result",
    "Frontier": "lawful.estimate.result",
    "FrontierFit": "lawful.estimate.result",
    "fit_isoflop": "lawful.estimate.isoflop",
    "forecaster": "lawful.estimate.prior",
    "Forecaster": "lawful.estimate.prior",
    "weak_prior": "lawful.estimate.prior",
    "audit": "lawful.infer.audit",
    "Audit": "lawful.infer.audit",
    "fit_envelope": "lawful.estimate.isoflop",
    "bootstrap": "lawful.infer.bootstrap",
    "asymptote_dial": "lawful.infer.dial",
    "AsymptoteDial": "lawful.infer.dial",
    "indifference": "lawful.infer.indifference",
    "Indifference": "lawful.infer.indifference",
    "intervals": "lawful.infer.intervals",
    "Intervals": "lawful.infer.intervals",
    "lack_of_fit": "lawful.infer.fitness",
    "LackOfFit": "lawful.infer.fitness",
    "coverage": "lawful.infer.coverage",
    "Coverage": "lawful.infer.coverage",
    "deadweight_interval": "lawful.infer.deadweight",
    "DeadweightInterval": "lawful.infer.deadweight",
    "plot_dial": "lawful.show.dial_figure",
    "plot_profile": "lawful.show.dial_figure",
    "profile": "lawful.infer.profile",
    "Profile": "lawful.infer.profile",
    "delta": "lawful.infer.delta",
    "Delta": "lawful.infer.delta",
    "extend": "lawful.infer.bootstrap",
    "Draws": "lawful.infer.bootstrap",
    "allocate": "lawful.infer.allocate",
    "Allocation": "lawful.infer.allocate",
    "analyse": "lawful.infer.analysis",
    "Analysis": "lawful.infer.analysis",
    "compare": "lawful.infer.analysis",
    "load_fit": "lawful.show.artifact",
    "load_analysis": "lawful.show.artifact",
    "save_fit": "lawful.show.artifact",
    "explorer_html": "lawful.show.explorer",
    "plot_check": "lawful.show.check_figure",
    "plot_audit": "lawful.show.audit",
    "plot_indifference": "lawful.show.valley_figure",
    "write_report": "lawful.show.reporting",
    "plot_isoflop": "lawful.show.figures",
    "plot_frontier": "lawful.show.figures",
    "plot_residuals": "lawful.show.figures",
    "isoflop_points": "lawful.data.isoflops",
    "PUBLISHED_SETS": "lawful.data.published",
    "PublishedSet": "lawful.data.published",
    "fetch": "lawful.data.published",
    "fetch_runs": "lawful.data.published",
    "Conventions": "lawful.infer.conventions",
    "conventions": "lawful.infer.conventions",
    "Transformer": "lawful.core.transformer",
    "parabola_shift": "lawful.infer.shift",
    "bias": "lawful.infer.bias",
    "Bias": "lawful.infer.bias",
    "correct_isoflop": "lawful.infer.bias",
    "deadweight": "lawful.infer.waste",
    "Waste": "lawful.infer.waste",
    "Hardware": "lawful.core.hardware",
    "plan": "lawful.infer.design",
    "Planned": "lawful.infer.design",
    "plan_grid": "lawful.infer.usual_grid",
    "Sweep": "lawful.infer.design",
    "Shapes": "lawful.infer.shapes",
    "check_plan": "lawful.infer.rehearsal",
    "Rehearsal": "lawful.infer.rehearsal",
    "optimise": "lawful.infer.constraints",
    "Constraints": "lawful.infer.constraints",
    "Constrained": "lawful.infer.constraints",
    "Demand": "lawful.infer.constraints",
    "speedup": "lawful.infer.speedup",
    "Speedup": "lawful.infer.speedup",
    "forecast": "lawful.infer.forecast",
    "Forecast": "lawful.infer.forecast",
    "score": "lawful.infer.forecast",
    "Score": "lawful.infer.forecast",
    "fit_curve": "lawful.infer.curve",
    "optimum_curve": "lawful.infer.curve",
    "LawfulError": "lawful.errors",
    "InputError": "lawful.errors",
    "IdentificationError": "lawful.errors",
    "UnsupportedError": "lawful.errors",
    "OutputError": "lawful.errors",
    "FetchError": "lawful.errors",
}

__all__ = [
    "CHINCHILLA",
    "LAWS",
    "PUBLISHED_SETS",
    "Allocation",
    "Analysis",
    "AsymptoteDial",
    "Audit",
    "Bias",
    "Checked",
    "Constrained",
    "Constraints",
    "Conventions",
    "Cost",
    "Coverage",
    "DeadweightInterval",
    "Delta",
    "Demand",
    "Draws",
    "FetchError",
    "Fit",
    "Forecast",
    "Forecaster",
    "Frontier",
    "FrontierFit",
    "Hardware",
    "IdentificationError",
    "Indifference",
    "InputError",
    "Intervals",
    "Joint",
    "LackOfFit",
    "Law",
    "LawfulError",
    "Note",
    "Objective",
    "OutputError",
    "Plan",
    "Planned",
    "Profile",
    "PublishedSet",
    "Rehearsal",
    "Runs",
    "Score",
    "Shapes",
    "Speedup",
    "Status",
    "Surface",
    "Sweep",
    "Thresholds",
    "Transformer",
    "UnsupportedError",
    "VarPro",
    "Waste",
    "__version__",
    "allocate",
    "analyse",
    "asymptote_dial",
    "audit",
    "bias",
    "bootstrap",
    "check",
    "check_plan",
    "compare",
    "conventions",
    "correct_isoflop",
    "coverage",
    "deadweight",
    "deadweight_interval",
    "delta",
    "explorer_html",
    "extend",
    "fetch",
    "fetch_runs",
    "find_law",
    "fit",
    "fit_curve",
    "fit_envelope",
    "fit_isoflop",
    "forecast",
    "forecaster",
    "indifference",
    "intervals",
    "isoflop_points",
    "lack_of_fit",
    "load_analysis",
    "load_fit",
    "optimise",
    "optimum_curve",
    "parabola_shift",
    "plan",
    "plan_grid",
    "plan_isoflop",
    "plot_audit",
    "plot_check",
    "plot_dial",
    "plot_frontier",
    "plot_indifference",
    "plot_isoflop",
    "plot_profile",
    "plot_residuals",
    "profile",
    "read_groups",
    "read_runs",
    "save_fit",
    "score",
    "simulate",
    "speedup",
    "study_surface",
    "sum_of_powers",
    "to_frame",
    "weak_prior",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use and keep it."""
    if name not in _HOME:
        msg = f"module 'lawful' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
