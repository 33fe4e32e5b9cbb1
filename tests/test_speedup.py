"""Effective speed-up of one recipe over another: known ratios, paired intervals, the command."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lawful
from lawful.cli import main
from lawful.core.cost import Cost
from lawful.decide.speedup import KINDS, speedup
from lawful.design.plan import plan_isoflop, simulate, study_surface
from lawful.errors import UnsupportedError

BUDGETS = [1e18, 1e19, 1e20, 1e21]
A = study_surface("chinchilla")


def better(factor):
    """The same recipe with tokens worth more."""
    return lawful.Surface({**A.coefficients, "B": A["B"] / factor ** A["beta"]})


@pytest.fixture(scope="module")
def fits():
    plan = plan_isoflop(BUDGETS, 11, surface=A)
    return [lawful.fit(simulate(s, plan, noise=0.003, seed=i)) for i, s in enumerate((A, better(1.5)))]


def test_tokens_worth_more_are_worth_as_much_compute():
    (found,) = speedup(A, better(1.5), [1e23])
    assert found.tokens_same_size == pytest.approx(1.5, rel=1e-12)
    assert found.flops == pytest.approx(1.5, rel=1e-9)
    assert found.hours == pytest.approx(1.5, rel=1e-9)
    assert found.needed == pytest.approx(1.5e23, rel=1e-9)
    assert found.intervals == {}


def test_what_a_needs_reaches_the_loss():
    b = study_surface("symmetric")
    better_b = lawful.Surface({**b.coefficients, "E": 1.75})
    for one in speedup(A, better_b, [1e20, 1e22]):
        best = A.optimum(one.needed)
        assert best.loss == pytest.approx(one.loss, rel=1e-12)
        assert one.tokens == pytest.approx(float(best.tokens / better_b.optimum(one.budget).tokens), rel=1e-9)


def test_the_same_recipe_has_no_speedup(fits):
    (found,) = speedup(fits[0], fits[0], [1e23], draws=200)
    for kind in KINDS:
        assert getattr(found, kind) == pytest.approx(1, rel=1e-9)
        assert found.intervals[kind] == pytest.approx((1, 1), rel=1e-9)  # pairs: the same resample on both sides


def test_hours_know_the_mfu_of_each_recipe():
    (found,) = speedup(A, better(1.2), [1e22], cost_a=Cost(mfu=0.5), cost_b=Cost(mfu=0.4))
    assert found.hours == pytest.approx(0.8 * found.flops, rel=1e-12)


def test_intervals_hold_the_truth(fits):
    for one in speedup(*fits, [1e20, 1e22], draws=500, level=0.99):
        low, high = one.intervals["flops"]
        assert low < 1.5 < high
        assert low < one.flops < high
        assert one.unreached == 0


def test_draws_may_come_from_outside(fits):
    drawn = [found.bootstrap(200, seed=7) for found in fits]
    assert speedup(*drawn, [1e22]) == speedup(*fits, [1e22], draws=200, seed=7)


def test_a_loss_out_of_reach_is_infinite():
    low = lawful.Surface({**A.coefficients, "E": 0.5})
    (found,) = speedup(A, low, [1e24])
    assert np.isinf(found.flops)
    assert np.isinf(found.tokens_same_size)
    assert found.notes[0].code == "unreached"


def test_some_draws_out_of_reach_make_an_open_interval(fits):
    low = lawful.Surface({**A.coefficients, "E": 1.628})
    (found,) = speedup(fits[0].bootstrap(300), low, [3e27])
    assert 0 < found.unreached < 1
    assert np.isinf(found.intervals["flops"][1])
    assert np.isfinite(found.intervals["flops"][0])


def test_what_cannot_be_compared_is_refused(fits):
    isoflop = lawful.fit_isoflop(fits[0].runs)
    with pytest.raises(UnsupportedError, match="A speed-up compares two surfaces"):
        speedup(isoflop, fits[1], [1e22])
    with pytest.raises(UnsupportedError, match="A budget is a positive number"):
        speedup(*fits, [-1.0])


def test_the_command(tmp_path, capsys, fits):
    paths = [str(found.save(tmp_path / f"{i}.json")) for i, found in enumerate(fits)]
    assert main(["speedup", *paths, "--budget", "1e20,1e22", "--bootstrap", "100", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "lawful.speedup/1"
    by_hand = speedup(*fits, [1e20, 1e22], draws=100)
    assert [row["flops"] for row in document["speedups"]] == pytest.approx([one.flops for one in by_hand])
    assert document["speedups"][0]["intervals"]["flops"] == pytest.approx(list(by_hand[0].intervals["flops"]))
    assert main(["speedup", *paths, "--budget", "1e20", "--bootstrap", "0"]) == 0
    assert "tokens at B's model size" in capsys.readouterr().out


def test_the_deadweight_command(tmp_path, capsys, fits):
    path = str(fits[0].save(tmp_path / "fit.json"))
    assert main(["deadweight", path, "--budget", "1e24", "--bootstrap", "50", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "lawful.deadweight/1"
    assert document["draws"] == 50
    assert main(["deadweight", path, "--budget", "1e24", "--tokens", "5e12", "--bootstrap", "0"]) == 0
    assert "with sparsity" in capsys.readouterr().out
    assert main(["deadweight", path, "--budget", "1e24", "--tokens", "5e12", "--choice", path]) == 2
    assert "give one of them" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--gpu", "h100", "--count", "1024", "--days", "30"], "30 days on 1024"),
        (["--budget", "1e22", "--unique-tokens", "2e10"], "epochs"),
        (["--budget", "1e22", "--sizes", "1e9,3e9"], "under the allowed sizes"),
        (["--loss", "2.3", "--inference-tokens", "1e12", "--inference-mfu", "0.2"], "under the inference demand"),
        (
            ["--budget", "1e22", "--min-tokens-per-param", "500", "--gpu", "a100", "--sparse"],
            "a100, bf16 with sparsity",
        ),
    ],
)
def test_allocate_under_constraints(tmp_path, capsys, fits, options, expected):
    path = str(fits[0].save(tmp_path / "fit.json"))
    assert main(["allocate", path, *options]) == 0
    assert expected in " ".join(capsys.readouterr().out.split())
    assert main(["allocate", path, *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "lawful.allocate/1"


def test_allocate_documents_what_a_budget_costs(tmp_path, capsys, fits):
    path = str(fits[0].save(tmp_path / "fit.json"))
    assert main(["allocate", path, "--budget", "1e22", "--gpu", "h100", "--count", "8", "--json"]) == 0
    spent = json.loads(capsys.readouterr().out)["allocations"][0]["cost"]
    assert spent["dollars"] == pytest.approx(float(Cost().dollars(1e22)))
    assert spent["days"] == pytest.approx(float(Cost().days(1e22, count=8)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "one of --budget, --days with --gpu, or --loss"),
        (["--budget", "1e22", "--loss", "2.0"], "one of --budget"),
        (["--days", "30"], "--days needs --gpu"),
        (["--budget", "1e22", "--gpu", "abacus"], "Unknown hardware 'abacus'"),
    ],
)
def test_allocate_refuses(tmp_path, capsys, fits, options, message):
    path = str(fits[0].save(tmp_path / "fit.json"))
    assert main(["allocate", path, *options]) == 2
    assert message in capsys.readouterr().err
