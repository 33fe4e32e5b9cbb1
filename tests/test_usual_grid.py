"""The usual grid as runs to launch: laid out by hand, its standard error, its limits, the command."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lawful
from lawful.cli import main
from lawful.design.design import Sweep, plan
from lawful.design.plan import plan_isoflop, simulate
from lawful.design.rehearsal import check_plan
from lawful.design.shapes import Shapes
from lawful.design.usual_grid import plan_grid
from lawful.errors import IdentificationError, UnsupportedError
from lawful.show.planned import plan_document, plan_rows

FIVE = (1e17, 1e18, 1e19, 1e20, 1e21)


def test_a_grid_keeps_to_its_allowance(capsys):
    grid = ["plan", "--budgets", "1e18:1e20:3", "--target", "1e24", "--prior", "besiroglu", "--layout", "grid"]
    assert main([*grid, "--total-flops", "8.4e20"]) == 1
    assert "The grid of 33 runs takes 8.43e20 FLOPs, but 8.4e20 are allowed" in capsys.readouterr().err
    assert main([*grid, "--total-flops", "8.43e20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total_flops"] == 8.43e20


def laid_out_by_hand(surface, budgets, sizes, width, repeats):
    """Budget, N, D and seed of every run: every second size of the smaller half of the budgets several times."""
    rows = []
    for rank, budget in enumerate(budgets):
        best = float(surface.optimum(budget).params)
        for place, n in enumerate(np.geomspace(best / width, best * width, sizes)):
            often = repeats if place % 2 == 1 and rank < -(-len(budgets) // 2) else 1
            rows += [(budget, float(n), budget / 6 / float(n), seed) for seed in range(often)]
    return rows


@pytest.mark.parametrize(("count", "sizes", "repeats"), [(5, 7, 3), (4, 6, 2), (1, 3, 1), (1, 3, 3)])
def test_a_grid_is_a_manifest_like_any_other(tmp_path, capsys, chinchilla, count, sizes, repeats):
    budgets = (1e17 * 10.0 ** np.arange(count)).tolist()
    listed = ",".join(f"{c:g}" for c in budgets)
    options = ["--sizes", str(sizes), "--grid", "3.2", "--repeats", str(repeats), "--out", str(tmp_path / "runs.json")]
    command = ["plan", "--layout", "grid", "--budgets", listed, "--target", "1e22", "--prior", "chinchilla"]
    assert main([*command, *options]) == 0
    said = capsys.readouterr().out
    assert "runs of a ±3.2× grid" in said
    assert "times as large" not in said
    document = json.loads((tmp_path / "runs.json").read_text())
    expected = laid_out_by_hand(chinchilla, budgets, sizes, 3.2, repeats)
    assert document["n_runs"] == len(expected) == len(document["runs"])
    assert [row["seed"] for row in document["runs"]] == [row[3] for row in expected]
    assert [row["run"] for row in document["runs"]] == [f"run{i + 1:03d}" for i in range(len(expected))]
    for i, name in enumerate(("budget", "params", "tokens")):
        assert [row[name] for row in document["runs"]] == pytest.approx([row[i] for row in expected], rel=1e-9)
    assert (document["schema"], document["layout"]) == ("lawful.plan/1", "grid")
    assert document["cost"] == document["total_flops"] == pytest.approx(sum(row[0] for row in expected), rel=1e-9)
    assert [document[name] for name in ("gain", "grid", "rehearsal")] == [None] * 3
    assert document["limits"] == {
        "reach": 3.2, "tokens_per_param": None, "repeats": repeats, "runs": None, "spread": None
    }  # fmt: skip
    if count == 1:
        assert document["error_per_nat"] is None
        assert "do not determine ln N*" in said


def test_the_standard_error_of_a_grid_is_the_one_of_its_runs(chinchilla):
    found = plan_grid(FIVE, target=1e24, prior=chinchilla, sizes=7, width=4, repeats=3)
    assert found.layout == "grid"
    tried = check_plan(found, studies=1000, noise=0.003, seed=3)
    assert tried.error == pytest.approx(0.003 * found.error, rel=0.1)
    design = plan(FIVE, target=1e24, prior=chinchilla, total_flops=found.cost, sweep=Sweep(reach=4))
    assert design.error < found.error


def test_runs_that_are_done_count_beside_a_grid(chinchilla):
    done = simulate(chinchilla, plan_isoflop([1e18, 1e19], 7, surface=chinchilla), noise=0.01)
    options = {"target": 1e20, "prior": chinchilla, "sizes": 3, "width": 2, "repeats": 1}
    assert plan_grid([1e20], **options).error == np.inf
    assert np.isfinite(plan_grid([1e20], given=done, **options).error)
    assert plan_document(plan_grid([1e20], given=done, **options))["n_given"] == 14


def test_a_grid_of_models_that_can_be_built():
    prior = lawful.Surface.named("besiroglu")
    found = plan_grid([1e18, 1e19], target=1e21, prior=prior, sizes=5, repeats=1, shapes=Shapes(multiple=128))
    assert all(
        row["width"] % 128 == 0 and row["flops"] == pytest.approx(row["budget"], rel=0.01) for row in plan_rows(found)
    )
    with pytest.raises(UnsupportedError, match=r"9 sizes become only \d models that can be built"):
        plan_grid([1e16], target=1e21, prior=prior, sizes=9, width=2, shapes=Shapes(multiple=128))


def test_a_grid_refuses_what_makes_no_sense(chinchilla):
    for options, error, message in (
        ({"repeats": 0}, UnsupportedError, "repeats is the number of seeds"),
        ({"sizes": 1}, UnsupportedError, "at least 2 sizes per budget"),
        ({"width": 1.0}, UnsupportedError, "must be above 1"),
        (
            {"total_flops": 1e20},
            IdentificationError,
            r"The grid of 20 runs takes 8.3e20 FLOPs, but 1e20 are allowed",
        ),
        ({"decision": "fame"}, UnsupportedError, "A sweep is planned for params or loss"),
    ):
        with pytest.raises(error, match=message):
            plan_grid([1e19, 1e20], target=1e22, prior=chinchilla, **options)


def test_a_grid_in_a_notebook_claims_no_gain(chinchilla):
    laid = plan_grid([1e19, 1e20], target=1e22, prior=chinchilla)
    assert "20 runs of a ±8× grid" in laid._repr_html_()
    assert "times the precision" not in laid._repr_html_()
