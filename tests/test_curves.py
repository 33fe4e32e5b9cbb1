"""Speed-ups of curves in compute: paired t by hand, scipy's F test, the shell, refusals, and false promotions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

import lawful
from lawful.cli import main
from lawful.decide.curves import speedup_curves
from lawful.errors import IdentificationError, UnsupportedError

C = np.array([1e18, 1e19, 1e20, 1e21])
OLD = np.array([3.522, 3.154, 2.848, 2.599])
NEW = np.array([3.482, 3.116, 2.812, 2.569])

# The ends are quantiles of 20,000 draws; their own error is about 1% of the width in the middle of a t on 3.
DRAWN = 0.05


def table(loss, budgets=C):
    return {"compute": budgets, "loss": loss}


def curve(speed=1.0, budgets=C, floor=1.6, alpha=0.0939):
    return floor + 94.35 / (speed * budgets) ** alpha


def logs(loss):
    return np.log(loss - 1.6)


def test_two_paired_recipes_have_the_paired_t_interval():
    found = speedup_curves({"old": table(OLD), "new": table(NEW)}, [1e21], fixed={"E": 1.6}, shared=True)
    d = logs(OLD) - logs(NEW)
    both = np.concatenate([logs(OLD), logs(NEW)])
    design = np.column_stack([np.repeat([1, 0], 4), np.repeat([0, 1], 4), np.tile(np.log(C / 1e19), 2)])
    alpha = -np.linalg.lstsq(design, both, rcond=None)[0][2]
    assert found.exponent == pytest.approx(alpha, rel=1e-9)
    assert found.freedom == 3
    (one,) = found.rows
    assert np.log(one.flops) == pytest.approx(d.mean() / alpha, rel=1e-9)
    half = stats.t.ppf(0.95, 3) * d.std(ddof=1) / 2 / alpha
    expected = np.log(one.flops) + np.array([-half, half])
    assert np.log(one.interval) == pytest.approx(expected, abs=DRAWN * 2 * half)
    assert one.p == pytest.approx(stats.ttest_rel(logs(OLD), logs(NEW), alternative="greater").pvalue, rel=1e-6)


def test_the_test_of_sharing_is_that_of_a_slope_of_the_differences():
    found = speedup_curves({"old": table(OLD), "new": table(NEW)}, [1e21], fixed={"E": 1.6})
    slope = stats.linregress(np.log(C), logs(OLD) - logs(NEW))
    assert found.sharing_p == pytest.approx(slope.pvalue, rel=1e-6)


def test_recipes_that_differ_in_exponent_are_not_shared():
    rng = np.random.default_rng(2)
    budgets = np.geomspace(1e18, 1e21, 7)
    steep = curve(budgets=budgets, alpha=0.094) * np.exp(0.0003 * rng.standard_normal(7))
    flat = (1.6 + 37.0 / budgets**0.074) * np.exp(0.0003 * rng.standard_normal(7))
    arms = {"flat": table(flat, budgets), "steep": table(steep, budgets)}
    found = speedup_curves(arms, [1e20, 1e22], fixed={"E": 1.6})
    assert not found.shared
    assert [note.code for note in found.notes] == ["lack_of_fit"]
    for one in found.rows:
        # What flat needs for the loss of steep, in closed form.
        needed = (37.0 / (94.35 / one.budget**0.094)) ** (1 / 0.074)
        assert one.interval[0] < needed / one.budget < one.interval[1]
    assert found.rows[1].flops > found.rows[0].flops


def test_unpaired_recipes_are_compared_by_their_lines():
    rng = np.random.default_rng(4)
    other = np.geomspace(2e18, 3e20, 5)
    arms = {
        "old": table(curve() + 0.002 * rng.standard_normal(4)),
        "new": table(curve(1.4, other) + 0.002 * rng.standard_normal(5), other),
    }
    found = speedup_curves(arms, [1e21], fixed={"E": 1.6})
    assert not found.paired
    assert found.freedom == 9 - 3
    assert found.rows[0].interval[0] < 1.4 < found.rows[0].interval[1]


def test_several_recipes_have_a_probability_to_be_best():
    rng = np.random.default_rng(0)
    arms = {name: table(curve(s) + 0.003 * rng.standard_normal(4)) for name, s in (("a", 1), ("b", 1.5), ("c", 1))}
    found = speedup_curves(arms, [1e21], fixed={"E": "1.6±0.1"})
    assert sum(one.best for one in found.rows) + found.baseline_best[0] == pytest.approx(1)
    assert [one.promoted for one in found.rows] == [True, False]
    assert found.freedom == 6
    turned = speedup_curves(arms, [1e21], fixed={"E": "1.6±0.1"}, baseline="b")
    assert turned.baseline == "b"
    assert turned.rows[0].flops == pytest.approx(1 / found.rows[0].flops, rel=0.01)


def test_a_width_of_the_floor_goes_to_a_pin():
    arms = {"old": table(OLD), "new": table(NEW)}
    pinned, known = (speedup_curves(arms, [1e21], fixed={"E": e}, shared=True) for e in (1.6, (1.6, 1e-5)))
    assert known.rows[0].flops == pytest.approx(pinned.rows[0].flops, rel=1e-5)
    assert known.rows[0].interval == pytest.approx(pinned.rows[0].interval, rel=0.02)
    free = speedup_curves(arms, [1e21], shared=True)
    assert free.floor_sd > known.floor_sd


@pytest.mark.parametrize(
    ("arms", "options", "error", "message"),
    [
        ({"a": table(OLD), "b": table(NEW - 2)}, {}, UnsupportedError, "The losses of 'a' .* do not overlap"),
        ({"a": table(OLD), "b": table(OLD, C * 1e6)}, {}, UnsupportedError, "The budgets of 'a' .* do not overlap"),
        ({"a": table(OLD)}, {}, UnsupportedError, "at least two recipes"),
        ({"a": table(OLD), "b": table(NEW[:2], C[:2])}, {}, IdentificationError, "'b' has 2 points"),
        ({"a": table(OLD), "b": table(NEW)}, {"baseline": "c"}, UnsupportedError, "no recipe 'c'"),
        ({"a": table(OLD), "b": table(NEW)}, {"fixed": {"alpha": 0.1}}, UnsupportedError, "holds the floor E"),
        ({"a": table(OLD), "b": table(NEW)}, {"fixed": {"E": 3.0}}, UnsupportedError, "The floor lies between"),
    ],
)
def test_what_cannot_be_compared_is_refused(arms, options, error, message):
    with pytest.raises(error, match=message):
        speedup_curves(arms, [1e21], **options)


def test_surfaces_of_unrelated_runs_are_refused():
    a = lawful.Surface.named("chinchilla")
    runs = [lawful.simulate(a, lawful.Plan.isoflop(b, 9, surface=a)) for b in ([1e16, 1e17, 1e18], [1e20, 1e21, 1e22])]
    with pytest.raises(UnsupportedError, match=r"The budgets of 'A' .* do not overlap"):
        lawful.speedup(lawful.fit(runs[0]), lawful.fit(runs[1]), [1e22])


def test_the_shell(tmp_path, capsys):
    files = []
    for name, loss in (("old", OLD), ("new", NEW), ("other", OLD + 0.002)):
        fit = lawful.fit(table(loss), law="compute", fixed={"E": (1.6, 0.05)})
        files.append(str(fit.save(tmp_path / f"{name}.json")))
    assert main(["speedup", *files, "--budget", "1e21", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "lawful.speedup-curves/1"
    assert [one["promoted"] for one in document["speedups"]] == [True, False]
    assert main(["speedup", *files, "--budget", "1e21"]) == 0
    assert "P(best)" in capsys.readouterr().out
    pinned = str(lawful.fit(table(NEW), law="compute", fixed={"E": 1.6}).save(tmp_path / "pinned.json"))
    assert main(["speedup", files[0], pinned, "--budget", "1e21"]) == 2
    assert "hold E at different values" in capsys.readouterr().err
    assert main(["speedup", files[0], files[0], "--budget", "1e21"]) == 2
    assert "the same file was given for both" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_false_promotions_are_at_most_one_in_twenty(count):
    """Nothing is gained: an error that a budget gives all recipes, and one of each point."""
    rng = np.random.default_rng(count)
    repeats, promoted, covered = 1000 if count == 2 else 300, 0, 0
    for _ in range(repeats):
        common = np.exp(0.01 * rng.standard_normal(4))
        arms = {f"r{i}": table(1.6 + 94.35 / C**0.0939 * common + 0.004 * rng.standard_normal(4)) for i in range(count)}
        found = speedup_curves(arms, [1e20], fixed={"E": 1.6})
        promoted += any(one.promoted for one in found.rows)
        covered += found.rows[0].interval[0] <= 1 <= found.rows[0].interval[1]
    # Two standard errors of the share over 1,000 and 300 sets.
    assert promoted / repeats <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / repeats)
    assert covered / repeats == pytest.approx(0.9, abs=0.04)
