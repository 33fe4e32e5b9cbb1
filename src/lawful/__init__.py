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
    from lawful.analysis.analysis import Analysis, analyse
    from lawful.analysis.compare import compare
    from lawful.approach2.bias import Bias, bias, correct_isoflop
    from lawful.approach2.shift import parabola_shift
    from lawful.checks.check import Checked, check
    from lawful.checks.rules import Thresholds
    from lawful.core.cost import Cost
    from lawful.core.hardware import Hardware
    from lawful.core.notes import Note, Status
    from lawful.core.objective import Objective
    from lawful.counting.compare import Conventions, conventions
    from lawful.counting.transformer import Transformer
    from lawful.data.runs import Runs
    from lawful.decide.allocate import Allocation, allocate
    from lawful.decide.constraints import Constrained, Constraints, Demand, optimise
    from lawful.decide.deadweight import DeadweightInterval, deadweight_interval
    from lawful.decide.indifference import Indifference, indifference
    from lawful.decide.speedup import Speedup, speedup
    from lawful.decide.waste import Waste, deadweight
    from lawful.design.design import Planned, Sweep, plan
    from lawful.design.plan import Plan, plan_isoflop, simulate, study_surface
    from lawful.design.rehearsal import Rehearsal, check_plan
    from lawful.design.shapes import Shapes
    from lawful.design.usual_grid import plan_grid
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
    from lawful.estimate.result import Fit, Frontier, FrontierFit
    from lawful.estimate.solvers import Joint, VarPro
    from lawful.forecasting.audit import Audit, audit
    from lawful.forecasting.curve import fit_curve, optimum_curve
    from lawful.forecasting.forecast import Forecast, Score, forecast, score
    from lawful.forecasting.prior import Forecaster, forecaster, weak_prior
    from lawful.laws.laws import CHINCHILLA, LAWS, Law, find_law, sum_of_powers
    from lawful.laws.surface import Surface
    from lawful.show.audit import plot_audit
    from lawful.show.explorer import explorer_html
    from lawful.show.figures.check_figure import plot_check
    from lawful.show.figures.dial_figure import plot_dial, plot_profile
    from lawful.show.figures.figures import plot_frontier, plot_isoflop, plot_residuals
    from lawful.show.figures.valley_figure import plot_indifference
    from lawful.show.files.artifact import load_analysis, load_fit, save_fit
    from lawful.show.report.reporting import write_report
    from lawful.sources.isoflops import isoflop_points
    from lawful.sources.published import PUBLISHED_SETS, PublishedSet, fetch, fetch_runs
    from lawful.sources.read import read_groups, read_runs, to_frame
    from lawful.uncertainty.bootstrap import Draws, bootstrap, extend
    from lawful.uncertainty.coverage import Coverage, coverage
    from lawful.uncertainty.delta import Delta, delta
    from lawful.uncertainty.dial import AsymptoteDial, asymptote_dial
    from lawful.uncertainty.fitness import LackOfFit, lack_of_fit
    from lawful.uncertainty.intervals import Intervals, intervals
    from lawful.uncertainty.profile import Profile, profile

# The one table a new public name is added to, beside the import above that shows it to type checkers.
_HOME = {
    "read_runs": "lawful.sources.read",
    "read_groups": "lawful.sources.read",
    "check": "lawful.checks.check",
    "Checked": "lawful.checks.check",
    "Thresholds": "lawful.checks.rules",
    "to_frame": "lawful.sources.read",
    "Runs": "lawful.data.runs",
    "Surface": "lawful.laws.surface",
    "Law": "lawful.laws.laws",
    "CHINCHILLA": "lawful.laws.laws",
    "LAWS": "lawful.laws.laws",
    "find_law": "lawful.laws.laws",
    "sum_of_powers": "lawful.laws.laws",
    "Objective": "lawful.core.objective",
    "Cost": "lawful.core.cost",
    "Note": "lawful.core.notes",
    "Status": "lawful.core.notes",
    "Plan": "lawful.design.plan",
    "plan_isoflop": "lawful.design.plan",
    "simulate": "lawful.design.plan",
    "study_surface": "lawful.design.plan",
    "fit": "lawful.estimate.fit",
    "VarPro": "lawful.estimate.solvers",
    "Joint": "lawful.estimate.solvers",
    "Fit": "lawful.estimate.result",
    "Frontier": "lawful.estimate.result",
    "FrontierFit": "lawful.estimate.result",
    "fit_isoflop": "lawful.estimate.isoflop",
    "forecaster": "lawful.forecasting.prior",
    "Forecaster": "lawful.forecasting.prior",
    "weak_prior": "lawful.forecasting.prior",
    "audit": "lawful.forecasting.audit",
    "Audit": "lawful.forecasting.audit",
    "fit_envelope": "lawful.estimate.isoflop",
    "bootstrap": "lawful.uncertainty.bootstrap",
    "asymptote_dial": "lawful.uncertainty.dial",
    "AsymptoteDial": "lawful.uncertainty.dial",
    "indifference": "lawful.decide.indifference",
    "Indifference": "lawful.decide.indifference",
    "intervals": "lawful.uncertainty.intervals",
    "Intervals": "lawful.uncertainty.intervals",
    "lack_of_fit": "lawful.uncertainty.fitness",
    "LackOfFit": "lawful.uncertainty.fitness",
    "coverage": "lawful.uncertainty.coverage",
    "Coverage": "lawful.uncertainty.coverage",
    "deadweight_interval": "lawful.decide.deadweight",
    "DeadweightInterval": "lawful.decide.deadweight",
    "plot_dial": "lawful.show.figures.dial_figure",
    "plot_profile": "lawful.show.figures.dial_figure",
    "profile": "lawful.uncertainty.profile",
    "Profile": "lawful.uncertainty.profile",
    "delta": "lawful.uncertainty.delta",
    "Delta": "lawful.uncertainty.delta",
    "extend": "lawful.uncertainty.bootstrap",
    "Draws": "lawful.uncertainty.bootstrap",
    "allocate": "lawful.decide.allocate",
    "Allocation": "lawful.decide.allocate",
    "analyse": "lawful.analysis.analysis",
    "Analysis": "lawful.analysis.analysis",
    "compare": "lawful.analysis.compare",
    "load_fit": "lawful.show.files.artifact",
    "load_analysis": "lawful.show.files.artifact",
    "save_fit": "lawful.show.files.artifact",
    "explorer_html": "lawful.show.explorer",
    "plot_check": "lawful.show.figures.check_figure",
    "plot_audit": "lawful.show.audit",
    "plot_indifference": "lawful.show.figures.valley_figure",
    "write_report": "lawful.show.report.reporting",
    "plot_isoflop": "lawful.show.figures.figures",
    "plot_frontier": "lawful.show.figures.figures",
    "plot_residuals": "lawful.show.figures.figures",
    "isoflop_points": "lawful.sources.isoflops",
    "PUBLISHED_SETS": "lawful.sources.published",
    "PublishedSet": "lawful.sources.published",
    "fetch": "lawful.sources.published",
    "fetch_runs": "lawful.sources.published",
    "Conventions": "lawful.counting.compare",
    "conventions": "lawful.counting.compare",
    "Transformer": "lawful.counting.transformer",
    "parabola_shift": "lawful.approach2.shift",
    "bias": "lawful.approach2.bias",
    "Bias": "lawful.approach2.bias",
    "correct_isoflop": "lawful.approach2.bias",
    "deadweight": "lawful.decide.waste",
    "Waste": "lawful.decide.waste",
    "Hardware": "lawful.core.hardware",
    "plan": "lawful.design.design",
    "Planned": "lawful.design.design",
    "plan_grid": "lawful.design.usual_grid",
    "Sweep": "lawful.design.design",
    "Shapes": "lawful.design.shapes",
    "check_plan": "lawful.design.rehearsal",
    "Rehearsal": "lawful.design.rehearsal",
    "optimise": "lawful.decide.constraints",
    "Constraints": "lawful.decide.constraints",
    "Constrained": "lawful.decide.constraints",
    "Demand": "lawful.decide.constraints",
    "speedup": "lawful.decide.speedup",
    "Speedup": "lawful.decide.speedup",
    "forecast": "lawful.forecasting.forecast",
    "Forecast": "lawful.forecasting.forecast",
    "score": "lawful.forecasting.forecast",
    "Score": "lawful.forecasting.forecast",
    "fit_curve": "lawful.forecasting.curve",
    "optimum_curve": "lawful.forecasting.curve",
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
