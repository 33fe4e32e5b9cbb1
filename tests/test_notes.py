"""
Every note code: one run that raises it, and a near miss that does not.

A case makes notes from one number or word. The first of its two values crosses the line that the note is about, the
second stops just short of it (or, where there is no line, leaves out the one thing that the note speaks of).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lawful
from lawful.analysis.moves import analyse_kept
from lawful.approach2.bias import correct_isoflop
from lawful.core.notes import NOTE_CODES, Note
from lawful.core.objective import Objective
from lawful.counting.compare import conventions
from lawful.data.layout import laid_out
from lawful.data.selection import open_table
from lawful.design.plan import study_surface
from lawful.estimate.grouped import fit_groups
from lawful.estimate.solvers import VarPro
from lawful.forecasting import members
from lawful.forecasting.ensemble import ensemble
from lawful.laws.surface import Surface
from lawful.solve import varpro
from lawful.trust.diagnose import diagnose
from lawful.trust.verdict import judge
from lawful.uncertainty.delta import delta

Make = Callable[[Any], Iterable[Note]]
CASES: dict[str, tuple[Make, Any, Any]] = {}
TRUTH = study_surface("chinchilla")


def case(code: str, raised: Any, near: Any) -> Callable[[Make], Make]:
    """Register a case: what raises the note, and what nearly does."""

    def register(make: Make) -> Make:
        assert code not in CASES
        CASES[code] = (make, raised, near)
        return make

    return register


@pytest.mark.parametrize("code", NOTE_CODES)
def test_one_run_raises_the_note_and_a_near_miss_does_not(code: str) -> None:
    assert code in CASES, f"no run here raises {code!r}; add a case and its near miss"
    make, raised, near = CASES[code]
    said = [note for note in make(raised) if note.code == code]
    assert said, f"{raised!r} does not raise it"
    for note in said:
        assert note.message.endswith(".")
        assert "\n" not in note.message
    assert code not in {note.code for note in make(near)}, f"{near!r} raises it too"


def test_every_case_is_of_a_code_that_exists() -> None:
    assert set(CASES) == set(NOTE_CODES)


def sweep(
    budgets: Iterable[float] = (1e18, 1e19, 1e20), sizes: int = 7, noise: float = 0.002, shift: float = 1.0
) -> dict[str, np.ndarray]:
    """Budgets of sizes around the optimum, times ``shift``, of the rounded Chinchilla law with noise."""
    budgets = np.array(list(budgets))
    C = np.repeat(budgets, sizes)
    N = shift * TRUTH.optimum(C).params * np.tile(np.geomspace(0.2, 5.0, sizes), budgets.size)
    D = C / (6 * N)
    L = TRUTH.loss(N, D) + noise * np.random.default_rng(5).standard_normal(C.size)
    return {"N": N, "D": D, "C": C, "loss": L}


def without(table: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: column for name, column in table.items() if name not in names}


def kept(table: dict[str, np.ndarray], rows: Any) -> dict[str, np.ndarray]:
    return {name: column[rows] for name, column in table.items()}


def raised_by(table: dict[str, np.ndarray], row: int, nats: float) -> dict[str, np.ndarray]:
    """The table with one loss higher by some nats."""
    loss = table["loss"].copy()
    loss[row] += nats
    return {**table, "loss": loss}


def grid(sizes: Iterable[float], tokens: Iterable[float], noise: float = 0.0, seed: int = 0) -> dict[str, np.ndarray]:
    """Every size on every count of tokens."""
    N, D = (v.ravel() for v in np.meshgrid(list(sizes), list(tokens)))
    return {"N": N, "D": D, "loss": TRUTH.loss(N, D) + noise * np.random.default_rng(seed).standard_normal(N.size)}


# What the door says of a table.


@case("derived_column", "C", None)
def _(left_out):
    return lawful.read_runs(without(sweep(), left_out)).notes


@case("flops_mismatch", 1.11, 1.09)
def _(factor):
    table = sweep()
    return lawful.read_runs({**table, "C": table["C"] / factor}).notes


@case("budget_groups", 0.03, 0.0)
def _(jitter):
    table = sweep()
    factor = 1 + jitter * np.cos(np.arange(table["C"].size))
    return lawful.read_runs({**table, "D": table["D"] * factor, "C": table["C"] * factor}).notes


@case("several_experiments", ("web", "books"), ("web", "web"))
def _(names):
    return lawful.read_runs({**sweep(), "dataset": [names[i % 2] for i in range(21)]}).notes


@case("set_aside", "crashed", "finished")
def _(state):
    return lawful.read_runs({**sweep(), "State": [state] + ["finished"] * 20}).notes


@case("column_choice", "params_total", "params")
def _(name):
    table = sweep()
    return lawful.read_runs({name: table["N"], "tokens": table["D"], "loss": table["loss"]}).notes


@case("profile", "eval/paloma/macro_loss", "eval/loss")
def _(loss):
    table = sweep()
    return lawful.read_runs(
        {"parameter_count": table["N"], "throughput/total_tokens": table["D"], loss: table["loss"]}
    ).notes


@case("unit_read", ("Parameters (B)", 1e9), ("Parameters", 1.0))
def _(column):
    table = sweep()
    return lawful.read_runs({column[0]: table["N"] / column[1], "tokens": table["D"], "loss": table["loss"]}).notes


@case("loss_unit", "val_bpb", "val_loss")
def _(name):
    table = sweep()
    return lawful.read_runs({"N": table["N"], "D": table["D"], name: table["loss"]}).notes


@case("recipe", "steps*4e6", "tokens")
def _(formula):
    table = sweep()
    columns = {"N": table["N"], "loss": table["loss"], "steps": table["D"] / 4e6, "tokens": table["D"]}
    return lawful.read_runs(columns, columns={"tokens": formula}).notes


@case("transposed", "metric", "loss")
def _(corner):
    table = sweep()
    names = ["N", "D", "loss"]
    on_its_side = {corner: names} | {f"r{i}": [table[name][i] for name in names] for i in range(21)}
    # Under a corner that is a quantity itself the loss stands there twice.
    return laid_out(open_table(on_its_side, "table", None), {})[1]


@case("filled_down", 7, 1)
def _(block):
    table = sweep()
    below = np.arange(21) % block > 0
    return lawful.read_runs({**table, "C": [None if b else c for b, c in zip(below, table["C"], strict=True)]}).notes


@case("encoding", "cp1252", "utf-8")
def _(encoding):
    path = Path(tempfile.mkdtemp(), "runs.csv")
    path.write_bytes("modèle,N,D,loss\né,1e8,2e9,3.1\nè,2e8,1e9,3.2\n".encode(encoding))
    return lawful.read_runs(path).notes


@case("header_rows", ("M", "B", "nats"), ("first", "second", "third"))
def _(words):
    table = sweep()
    columns = {"N": table["N"] / 1e6, "D": table["D"] / 1e9, "loss": table["loss"]}
    texts = {n: [word, *map(str, c)] for (n, c), word in zip(columns.items(), words, strict=True)}
    return laid_out(open_table(texts, "table", None), {})[1]


@case("wide_table", ("1e18", "1e19", "1e20"), ("first", "second", "third"))
def _(titles):
    table = sweep()
    wide = {"N": table["N"]}
    for i, title in enumerate(titles):
        wide[title] = np.where(np.arange(21) // 7 == i, table["loss"], np.nan)
    # Under other titles the same columns are no losses; the loss must then stand in one of its own.
    long = {} if titles[0] == "1e18" else {"loss": table["loss"], "C": table["C"]}
    return lawful.read_runs(wide | long).notes


@case("hyperparameter_sweep", "peak_lr", "seed")
def _(name):
    table = sweep()
    twice = {key: np.tile(column, 2) for key, column in table.items()}
    loss = twice["loss"] + 0.05 * (np.arange(42) >= 21)
    return lawful.read_runs({**twice, "loss": loss, name: np.repeat([1, 3], 21)}).notes


@case("unit_doubt", 2, 1)
def _(epochs):
    table = sweep()
    return lawful.read_runs({**table, "epochs": np.full(table["N"].size, epochs)}).notes


@case("best_of_cell", True, False)
def _(asked):
    table = {key: np.tile(column, 2) for key, column in sweep().items()}
    return lawful.read_runs({**table, "peak_lr": np.repeat([1e-3, 3e-3], 21)}, best_of_cell=asked).notes


@case("budget_in_name", 3.0, None)
def _(forward):
    table = without(sweep(), "C")
    names = [f"run-{i}" if forward is None else f"iso-{c / forward:.0e}-{i}" for i, c in enumerate(sweep()["C"])]
    return lawful.read_runs({"Name": names, **table}).notes


@case("unannealed", 0.98, 1.0)
def _(progress):
    return lawful.read_runs({**sweep(), "progress": np.r_[progress, np.ones(20)]}).notes


# What becomes of training curves.


def curves(**more: Any) -> dict[str, Any]:
    return {**grid((1e8, 2e8, 4e8), (2.5e8, 5e8, 1e9, 2e9)), **more}


@case("checkpoint_runs", None, ["N"])
def _(run):
    return lawful.isoflop_points(curves(), budgets=[1.2e18], run=run).notes


@case("checkpoint_budgets", 9e18, 6e17)
def _(second):
    return lawful.isoflop_points(curves(), budgets=[1.2e18, second]).notes


@case("tied_checkpoints", 1.0, 1.001)
def _(factor):
    table = curves()
    again = {**kept(table, [5]), "D": table["D"][[5]] * factor, "loss": table["loss"][[5]] + 0.01}
    return lawful.isoflop_points({k: np.r_[table[k], again[k]] for k in table}, budgets=[1.2e18]).notes


# What check says.


@case("check_flagged", 0, None)
def _(repeated):
    table = sweep(noise=0.0)
    if repeated is not None:
        table = {k: np.r_[v, v[repeated]] for k, v in table.items()}
    return lawful.check(table).kept.notes


@case("check_by", ("web", "books"), ("web", "web"))
def _(names):
    table = {key: np.tile(column, 2) for key, column in sweep().items()}
    return lawful.check({**table, "dataset": np.repeat(names, 21)}).notes


@case("check_surface", 6, 5)
def _(rows):
    N = np.geomspace(1e8, 3e9, rows)
    return lawful.check({"params": N, "tokens": 20 * N, "loss": TRUTH.loss(N, 20 * N)}).notes


@case("whole_runs", 2, 1)
def _(rows):
    N, D = np.repeat(np.geomspace(1e8, 3e9, 10), 2), np.tile([2e9, 9e9], 10)
    names = np.array([f"r{i // rows}" for i in range(20)], dtype=object)
    table = {"run": names, "params": N, "tokens": D, "loss": TRUTH.loss(N, D)}
    return lawful.audit(table, laws=["chinchilla"], methods=["vpnls"], draws=0).notes


@case("replicates_flagged", (0, 1), (0, 0))
def _(seeds):
    table = {key: np.tile(column, 2) for key, column in sweep().items()}
    return lawful.check({**table, "loss": table["loss"] + np.repeat([0, 1e-4], 21), "seed": np.repeat(seeds, 21)}).notes


@case("check_moved", 0.3, 0.003)
def _(nats):
    table = sweep()
    given, good = lawful.read_runs(raised_by(table, 14, nats)), lawful.read_runs(kept(table, np.arange(21) != 14))
    return analyse_kept(good, given, method="vpnls", budgets=[1e21], draws=0)[0].notes


@case("undertuned", 0.03, 0.002)
def _(nats):
    return lawful.analyse(raised_by(sweep(sizes=9), 10, nats), draws=0).notes


# What a fit says of itself.


def fitted(table: Any, **options: Any) -> Any:
    return lawful.fit(table, **options)


@case("robust", 0.3, 0.003)
def _(nats):
    table = sweep()
    lifted = table["loss"] + nats * np.isin(np.arange(21), (0, 6, 13))
    return fitted({**table, "loss": lifted}).notes


@case("tied", {"beta": "alpha"}, {})
def _(ties):
    return fitted(sweep(), fixed=ties).notes


@case("shared", ["alpha"], [])
def _(share):
    table = {key: np.tile(column, 2) for key, column in sweep().items()}
    both = {**table, "data": np.repeat(["web", "code"], 21)}
    return fit_groups(both, by="data", share=share).notes if share else fitted(both).notes


@case("pinned", {"E": 1.69}, {})
def _(held):
    return fitted(sweep(), fixed=held).notes


@case("prior", {"E": (1.69, 0.1)}, {"E": 1.69})
def _(known):
    return fitted(sweep(), fixed=known).notes


@case("delta_auto", "auto", 0.004)
def _(width):
    return fitted(sweep(), objective=Objective("huber", width)).notes


@case("one_budget", (1e19,), (1e19, 2e19))
def _(budgets):
    return fitted(sweep(budgets, sizes=12)).notes


@case("collinear_sizes", 0.005, 0.05)
def _(scatter):
    N = np.geomspace(1e7, 1e10, 16)
    D = 20 * N * np.exp(scatter * np.cos(2.0 * np.arange(16)))
    return fitted({"N": N, "D": D, "loss": TRUTH.loss(N, D)}).notes


@case("few_sizes", (1e8, 1e9), (1e8, 3e8, 1e9))
def _(sizes):
    return fitted(grid(sizes, np.geomspace(1e9, 1e11, 6))).notes


@case("zero_coefficient", 0.0, 1.0)
def _(share):
    return fitted(sizeless(share)).notes


def sizeless(share: float) -> dict[str, np.ndarray]:
    """A grid whose loss has only so much of the term of the model size."""
    table = grid(np.geomspace(1e7, 1e10, 5), np.geomspace(1e9, 1e12, 5))
    k = TRUTH.coefficients
    return {
        **table,
        "loss": table["loss"] - (1 - share) * k["A"] * table["N"] ** -k["alpha"] * (1 + 1e-3 * (share < 1)),
    }


@case("at_bound", 0.30, 0.38)
def _(upper):
    return fitted(sweep(), bounds={"alpha": (0.01, upper)}).notes


@case("few_starts", 1, varpro.ROUNDS)
def _(rounds):
    """One round of starts cannot meet its own answer again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(varpro, "ROUNDS", rounds)
        return fitted(sweep(), law="loss = E + A/(params^alpha + K) + B/tokens^beta").notes


@case("already_run", 1e8, 1.01e8)
def _(params):
    runs = {"params": [1e8, 2e8], "tokens": [2e9, 4e9], "loss": [3.4, 3.1]}
    pool, target = {"params": [params, 4e8], "tokens": [2e9, 8e9]}, {"params": [2e9], "tokens": [1e10]}
    return lawful.next_run(runs, pool, cost="params", target=target, spend=1e9).notes


@case("pool_thinned", 1501, 1500)
def _(candidates):
    pool = {"params": np.geomspace(3e8, 1e9, candidates), "tokens": np.full(candidates, 1e10)}
    runs = {"params": [1e8, 2e8], "tokens": [2e9, 4e9], "loss": [3.4, 3.1]}
    return lawful.next_run(runs, pool, cost="params", target={"params": [2e9], "tokens": [1e10]}, spend=4e8).notes


@case("not_separable", "A*K/params^alpha", "A/(params^alpha + K)")
def _(term):
    return fitted(sweep(), law=f"loss = E + {term} + B/tokens^beta").notes


# Approaches 1 and 2.


@case("not_bracketed", 6.0, 4.0)
def _(shift):
    return lawful.fit_isoflop(sweep(noise=0.0, shift=shift)).notes


@case("few_budgets", (1e18, 1e20), (1e18, 1e19, 1e20))
def _(budgets):
    return lawful.fit_isoflop(sweep(budgets)).notes


@case("envelope_dropped", 0.001, -0.001)
def _(above):
    table = sweep(noise=0.0)
    middle, top = table["C"] == 1e19, table["C"] == 1e20
    lift = table["loss"][middle].min() - table["loss"][top].min() + above
    return lawful.fit_envelope({**table, "loss": table["loss"] + lift * top}).notes


@case("bias_removed", "corrected", "as it is")
def _(which):
    found = lawful.fit_isoflop(sweep())
    return (correct_isoflop(found, 0.34, 0.28) if which == "corrected" else found).notes


def cut_down(sizes):
    """Three budgets, the middle one left with so many sizes."""
    table = sweep()
    here = (table["C"] != 1e19) | (np.arange(21) % 7 < 1 + sizes) & (np.arange(21) % 7 > 0)
    return kept(table, here)


@case("budget_left_out", 2, 3)
def _(sizes):
    return lawful.fit_isoflop(cut_down(sizes)).notes


@case("approach2_unavailable", 2, 3)
def _(sizes):
    table = cut_down(sizes)
    return lawful.analyse(kept(table, table["C"] < 1e20), draws=0).notes


@case("window", 20.0, 14.0)
def _(reach):
    plan = lawful.Plan.isoflop((1e18, 1e19, 1e20), 11, surface=TRUTH, width=reach)
    return lawful.fit_isoflop(lawful.simulate(TRUTH, plan, noise=0.002)).notes


# Columns that no part of the law reads.


@case("unused_column", "experts", "seed")
def _(name):
    table = sweep(sizes=9)
    values = np.tile([4, 16, 64], 9)
    return lawful.analyse({**table, "loss": table["loss"] - 0.004 * np.log(values), name: values}, draws=0).notes


@case("repeated_data", 2.0, 1.0)
def _(epochs):
    table = sweep()
    return lawful.analyse({**table, "unique_tokens": table["D"] / epochs}, draws=0).notes


# Intervals.


@case("bound_dropped", 0.30, 0.38)
def _(upper):
    return delta(fitted(sweep(), bounds={"alpha": (0.01, upper)})).notes


@case("bootstrap_rows", 2, 3)
def _(sizes):
    return fitted(sweep(sizes=sizes)).bootstrap(8).notes


@case("failed_draws", 0.1, 0.0005)
def _(noise):
    return lawful.fit_isoflop(sweep(noise=noise)).bootstrap(100).notes


@case("one_sided_draws", 30.0, 1.0)
def _(tilt):
    """Where the best run of a budget is its smallest or its largest one, resamples miss it to one side only."""
    table = sweep((*np.geomspace(1e16, 1e17, 4), *np.geomspace(1e21, 1e22, 4)), sizes=12, noise=0.0)
    N = table["N"] * np.where(table["C"] < 1e19, tilt, 1 / tilt)
    D = table["C"] / (6 * N)
    return lawful.fit_envelope({"N": N, "D": D, "C": table["C"], "loss": TRUTH.loss(N, D)}).bootstrap(100).notes


@case("open_interval", 0.2, 0.02)
def _(noise):
    return fitted(sweep(noise=noise)).profile("E", points=0).notes


@case("better_optimum", VarPro(max_iter=0, starts=1), VarPro(tolerance=1e-5))
def _(solver):
    return fitted(sweep(), method=solver).profile("alpha", points=0).notes


@case("copied_rows", 0.0, 1e-6)
def _(nats):
    table = {key: np.tile(column, 2) for key, column in sweep().items()}
    return fitted({**table, "loss": table["loss"] + nats * (np.arange(42) >= 21)}).notes


@case("shared_error", 1.0, 0.0)
def _(share):
    table = sweep(np.geomspace(1e18, 1e20, 7), noise=0.001)
    common = 0.01 * np.random.default_rng(3).standard_normal(7)
    return fitted({**table, "loss": table["loss"] + share * np.repeat(common, 7)}).intervals().notes


@case("not_identified", 0.0, 2.0)
def _(spread):
    N = np.repeat(np.geomspace(3e7, 6e9, 9), 3)
    D = 30 * N * np.exp(spread * np.tile([-1.0, 0.0, 1.0], 9))
    loss = TRUTH.loss(N, D) + 0.002 * np.random.default_rng(2).standard_normal(27)
    return judge(fitted({"N": N, "D": D, "loss": loss})).notes


# The law on trial.


@case("lack_of_fit", 0.05, 0.001)
def _(knee):
    table = sweep(np.geomspace(1e18, 1e20, 5))
    return (
        fitted({**table, "loss": table["loss"] + knee * np.maximum(np.log(table["C"] / 1e19), 0)}).lack_of_fit().notes
    )


@case("narrow_delta", 1e-4, 3e-3)
def _(width):
    return diagnose(fitted(sweep(), objective=Objective("huber", width)))


@case("outliers", 0.03, 0.003)
def _(nats):
    return diagnose(fitted(raised_by(sweep(), 10, nats)))


@case("uneven_noise", 2.0, 0.0)
def _(power):
    table = sweep(np.geomspace(1e17, 1e21, 9), noise=0.0)
    above = table["loss"] - TRUTH["E"]
    noise = np.random.default_rng(4).standard_normal(above.size)
    return diagnose(fitted({**table, "loss": table["loss"] + 0.005 * (above / above.mean()) ** power * noise}))


# Decisions and forecasts.


@case("extrapolation", 10.1, 9.9)
def _(times):
    return lawful.analyse(sweep(), budgets=[times * 1e20], draws=0).notes


@case("no_optimum", 0.0, 1.0)
def _(share):
    return lawful.analyse(sizeless(share), draws=0).notes


@case("unreached", 1.6, 1.3)
def _(floor):
    a, b = TRUTH, Surface({**TRUTH.coefficients, "E": 1.0})
    reached = float(b.optimum(1e22).loss)
    return lawful.speedup(Surface({**a.coefficients, "E": reached + floor - 1.45}), b, [1e22])[0].notes


@case("best_only", "approach1", "approach2")
def _(method):
    table = sweep((1e18, 3e18, 1e19, 3e19, 1e20))
    return lawful.audit(table, laws=[], methods=[method], draws=0).scores[0].notes


@case("order_of_magnitude", 66.0, 64.0)
def _(times):
    return ensemble(sweep()).outlook(times * 1e20).notes


@case("laws_disagree", 1e34, 1e21)
def _(budget):
    return ensemble(sweep((1e18, 1e19, 3e19), noise=0.05)).outlook(budget).notes


@case("members_failed", 1, 0)
def _(lost):
    """Members that did not converge, as the search itself says it."""
    search = members.fit_pulled

    def stopped(*given: Any, **options: Any) -> Any:
        found = search(*given, **options)
        last = np.arange(found.converged.size) >= found.converged.size - lost
        return found._replace(converged=found.converged & ~(last & (found.converged.size > 1)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "fit_pulled", stopped)
        return ensemble(sweep()).notes


# Counting, and what cannot run.


@case("one_convention", None, "N_no_emb")
def _(column):
    table = sweep()
    return conventions(table if column is None else {**table, column: table["N"] * 0.9}).notes


@case("token_cost", 0.10, 0.02)
def _(off):
    table = sweep()
    flops = table["C"] * (1 + off * np.cos(np.pi * np.arange(21)))
    rows = conventions({**table, "measured": flops}, flops=["measured"]).rows
    return [row.note for row in rows if row.note is not None]


@case("unavailable", np.nan, 1e9)
def _(value):
    table = sweep()
    return conventions({**table, "N_no_emb": np.r_[value, table["N"][1:] * 0.9]}).notes
