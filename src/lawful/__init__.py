"""
Fit neural scaling laws carefully.

Training runs go in (model size N, tokens D, compute C, loss L); a law, honest
intervals, a compute-optimal decision and its cost come out.

The public names below are loaded when they are first used, so ``import lawful``
costs no more than NumPy.

Examples
--------
>>> truth = lawful.Surface.named("besiroglu")
>>> plan = lawful.Plan.isoflop([1e18, 1e19, 1e20], surface=truth)
>>> fit = lawful.fit(lawful.simulate(truth, plan, noise=0.0))
>>> print(f"{fit.surface['alpha']:.4f}")
0.3478
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from lawful.analysis.analysis import Analysis, analyse
    from lawful.analysis.compare import compare
    from lawful.analysis.look import look
    from lawful.approach2.bias import bias
    from lawful.checks.check import check
    from lawful.core.cost import Cost
    from lawful.core.hardware import Hardware
    from lawful.core.notes import Note, Status
    from lawful.core.objective import Objective
    from lawful.core.sheet import Sheet
    from lawful.counting.compare import conventions
    from lawful.data.runs import Runs
    from lawful.decide.deadweight import deadweight
    from lawful.decide.speedup import speedup
    from lawful.design.design import plan
    from lawful.design.next_run import next_run
    from lawful.design.plan import Plan, simulate
    from lawful.errors import FetchError, IdentificationError, InputError, LawfulError, OutputError, UnsupportedError
    from lawful.estimate.fit import fit
    from lawful.estimate.isoflop import fit_envelope, fit_isoflop
    from lawful.estimate.result import Fit, FrontierFit
    from lawful.estimate.solvers import Joint, VarPro
    from lawful.forecasting.audit import audit
    from lawful.laws.laws import LAWS, Law, law
    from lawful.laws.laws import sum_of_powers as sum_of_powers
    from lawful.laws.surface import Surface
    from lawful.show.explorer import explore
    from lawful.show.figures.palette import style
    from lawful.show.files.loading import load
    from lawful.show.files.rerun import rerun
    from lawful.sources.isoflops import isoflop_points
    from lawful.sources.published import fetch
    from lawful.sources.read import read_runs
    from lawful.uncertainty.bootstrap import Draws
    from lawful.uncertainty.intervals import Intervals

# The one table a new public name is added to, beside the import above that shows it to type checkers.
_HOME = {
    "Analysis": "lawful.analysis.analysis",
    "Cost": "lawful.core.cost",
    "Draws": "lawful.uncertainty.bootstrap",
    "FetchError": "lawful.errors",
    "Fit": "lawful.estimate.result",
    "FrontierFit": "lawful.estimate.result",
    "Hardware": "lawful.core.hardware",
    "IdentificationError": "lawful.errors",
    "InputError": "lawful.errors",
    "Intervals": "lawful.uncertainty.intervals",
    "Joint": "lawful.estimate.solvers",
    "LAWS": "lawful.laws.laws",
    "Law": "lawful.laws.laws",
    "LawfulError": "lawful.errors",
    "Note": "lawful.core.notes",
    "Objective": "lawful.core.objective",
    "OutputError": "lawful.errors",
    "Plan": "lawful.design.plan",
    "Runs": "lawful.data.runs",
    "Sheet": "lawful.core.sheet",
    "Status": "lawful.core.notes",
    "Surface": "lawful.laws.surface",
    "UnsupportedError": "lawful.errors",
    "VarPro": "lawful.estimate.solvers",
    "analyse": "lawful.analysis.analysis",
    "audit": "lawful.forecasting.audit",
    "bias": "lawful.approach2.bias",
    "check": "lawful.checks.check",
    "compare": "lawful.analysis.compare",
    "conventions": "lawful.counting.compare",
    "deadweight": "lawful.decide.deadweight",
    "explore": "lawful.show.explorer",
    "fetch": "lawful.sources.published",
    "fit": "lawful.estimate.fit",
    "fit_envelope": "lawful.estimate.isoflop",
    "fit_isoflop": "lawful.estimate.isoflop",
    "isoflop_points": "lawful.sources.isoflops",
    "law": "lawful.laws.laws",
    "load": "lawful.show.files.loading",
    "rerun": "lawful.show.files.rerun",
    "look": "lawful.analysis.look",
    "next_run": "lawful.design.next_run",
    "plan": "lawful.design.design",
    "read_runs": "lawful.sources.read",
    "simulate": "lawful.design.plan",
    "speedup": "lawful.decide.speedup",
    "style": "lawful.show.figures.palette",
}

# Names that the top level answers to and does not list: what they make, a public name makes as well.
_BESIDE = {"sum_of_powers": "lawful.laws.laws"}

# Names of 0.1.0 that left the top level: their module, and how the same is written now. They go with 0.3.0.
_MOVED = {
    "Allocation": ("lawful.decide.allocate", "lawful.decide.allocate.Allocation"),
    "AsymptoteDial": ("lawful.trust.dial", "lawful.trust.dial.AsymptoteDial"),
    "Audit": ("lawful.forecasting.audit", "lawful.forecasting.audit.Audit"),
    "Bias": ("lawful.approach2.bias", "lawful.approach2.bias.Bias"),
    "CHINCHILLA": ("lawful.laws.laws", 'LAWS["chinchilla"]'),
    "Checked": ("lawful.checks.check", "lawful.checks.check.Checked"),
    "Constrained": ("lawful.decide.constraints", "lawful.decide.constraints.Constrained"),
    "Constraints": ("lawful.decide.constraints", "lawful.decide.constraints.Constraints"),
    "Conventions": ("lawful.counting.compare", "lawful.counting.compare.Conventions"),
    "Coverage": ("lawful.trust.coverage", "lawful.trust.coverage.Coverage"),
    "DeadweightInterval": ("lawful.decide.deadweight:Deadweight", "lawful.decide.deadweight.Deadweight"),
    "Delta": ("lawful.uncertainty.delta", "lawful.uncertainty.delta.Delta"),
    "Demand": ("lawful.decide.constraints", "lawful.decide.constraints.Demand"),
    "Forecast": ("lawful.forecasting.forecast", "lawful.forecasting.forecast.Forecast"),
    "Forecaster": ("lawful.forecasting.prior", "lawful.forecasting.prior.Forecaster"),
    "Frontier": ("lawful.estimate.result", "lawful.estimate.result.Frontier"),
    "Indifference": ("lawful.decide.indifference", "lawful.decide.indifference.Indifference"),
    "LackOfFit": ("lawful.trust.fitness", "lawful.trust.fitness.LackOfFit"),
    "PUBLISHED_SETS": ("lawful.sources.published", "lawful.sources.published.PUBLISHED_SETS"),
    "Planned": ("lawful.design.design", "lawful.design.design.Planned"),
    "Profile": ("lawful.uncertainty.profile", "lawful.uncertainty.profile.Profile"),
    "PublishedSet": ("lawful.sources.published", "lawful.sources.published.PublishedSet"),
    "Rehearsal": ("lawful.design.rehearsal", "lawful.design.rehearsal.Rehearsal"),
    "Score": ("lawful.forecasting.forecast", "lawful.forecasting.forecast.Score"),
    "Shapes": ("lawful.design.shapes", "lawful.design.shapes.Shapes"),
    "Speedup": ("lawful.decide.speedup", "lawful.decide.speedup.Speedup"),
    "Sweep": ("lawful.design.design", "lawful.design.design.Sweep"),
    "Thresholds": ("lawful.checks.rules", "lawful.checks.rules.Thresholds"),
    "Transformer": ("lawful.counting.transformer", "lawful.counting.transformer.Transformer"),
    "Waste": ("lawful.decide.deadweight:Deadweight", "lawful.decide.deadweight.Deadweight"),
    "allocate": ("lawful.decide.allocate", "fit.allocate(budget), surface.allocate(budget)"),
    "asymptote_dial": ("lawful.trust.dial", "fit.dial(budget)"),
    "bootstrap": ("lawful.uncertainty.bootstrap", "fit.bootstrap(draws)"),
    "check_plan": ("lawful.design.rehearsal", "lawful.design.rehearsal.check_plan"),
    "correct_isoflop": ("lawful.approach2.bias", "lawful.approach2.bias.correct_isoflop"),
    "coverage": ("lawful.trust.coverage", "fit.coverage(repeats)"),
    "delta": ("lawful.uncertainty.delta", 'fit.intervals("delta")'),
    "explorer_html": ("lawful.show.explorer", "explore(path, fit)"),
    "extend": ("lawful.uncertainty.bootstrap", "draws.extend(more)"),
    "fetch_runs": ("lawful.sources.published", "Runs.fetch(name)"),
    "find_law": ("lawful.laws.laws", "LAWS[name]"),
    "fit_curve": ("lawful.forecasting.curve", "lawful.forecasting.curve.fit_curve"),
    "forecast": ("lawful.forecasting.forecast", "fit.forecast(budgets)"),
    "forecaster": ("lawful.forecasting.prior", "lawful.forecasting.prior.forecaster"),
    "indifference": ("lawful.decide.indifference", "fit.indifference(budget)"),
    "intervals": ("lawful.uncertainty.intervals", "fit.intervals(kind)"),
    "lack_of_fit": ("lawful.trust.fitness", "fit.lack_of_fit()"),
    "load_analysis": ("lawful.show.files.loading:load", "load(path)"),
    "load_fit": ("lawful.show.files.artifact", "load(path).fit"),
    "optimise": ("lawful.decide.constraints", "lawful.decide.constraints.optimise"),
    "optimum_curve": ("lawful.forecasting.curve", "lawful.forecasting.curve.optimum_curve"),
    "parabola_shift": ("lawful.approach2.shift", "lawful.approach2.shift.parabola_shift"),
    "plan_grid": ("lawful.design.usual_grid", "lawful.design.usual_grid.plan_grid"),
    "plan_isoflop": ("lawful.design.plan", "Plan.isoflop(budgets, points, surface=surface)"),
    "plot_audit": ("lawful.show.audit", "lawful.show.audit.plot_audit"),
    "plot_check": ("lawful.show.figures.check_figure", "lawful.show.figures.check_figure.plot_check"),
    "plot_dial": ("lawful.show.figures.dial_figure", "fit.plot.dial(budget)"),
    "plot_frontier": ("lawful.show.figures.figures", "analysis.plot.frontier()"),
    "plot_indifference": ("lawful.show.figures.valley_figure", "fit.plot.indifference(budget)"),
    "plot_isoflop": ("lawful.show.figures.figures", "analysis.plot.isoflop()"),
    "plot_profile": ("lawful.show.figures.dial_figure", "fit.plot.profile(name)"),
    "plot_residuals": ("lawful.show.figures.figures", "analysis.plot.residuals()"),
    "profile": ("lawful.uncertainty.profile", "fit.profile(name)"),
    "read_groups": ("lawful.sources.read", "read_runs(table).groups(by)"),
    "save_fit": ("lawful.show.files.artifact", "fit.save(path), analysis.save(path)"),
    "score": ("lawful.forecasting.forecast", "lawful.forecasting.forecast.score"),
    "study_surface": ("lawful.design.plan", "Surface.named(name)"),
    "to_frame": ("lawful.sources.read", "runs.to_frame()"),
    "weak_prior": ("lawful.forecasting.prior", "lawful.forecasting.prior.weak_prior"),
    "write_report": ("lawful.show.report.reporting", "analysis.report(path)"),
}

__all__ = [
    "LAWS",
    "Analysis",
    "Cost",
    "Draws",
    "FetchError",
    "Fit",
    "FrontierFit",
    "Hardware",
    "IdentificationError",
    "InputError",
    "Intervals",
    "Joint",
    "Law",
    "LawfulError",
    "Note",
    "Objective",
    "OutputError",
    "Plan",
    "Runs",
    "Sheet",
    "Status",
    "Surface",
    "UnsupportedError",
    "VarPro",
    "__version__",
    "analyse",
    "audit",
    "bias",
    "check",
    "compare",
    "conventions",
    "deadweight",
    "explore",
    "fetch",
    "fit",
    "fit_envelope",
    "fit_isoflop",
    "isoflop_points",
    "law",
    "load",
    "look",
    "next_run",
    "plan",
    "read_runs",
    "rerun",
    "simulate",
    "speedup",
    "style",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use and keep it; a name of 0.1.0 says where it went."""
    if name in _MOVED:
        from warnings import warn

        old, now = _MOVED[name]
        warn(f"lawful.{name} is gone from the top level; write {now}.", DeprecationWarning, stacklevel=2)
        module, _, renamed = old.partition(":")
        return getattr(import_module(module), renamed or name)
    home = _HOME.get(name) or _BESIDE.get(name)
    if home is None:
        msg = f"module 'lawful' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
