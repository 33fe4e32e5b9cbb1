"""The bench: registry, splits, scores against arithmetic, and the constants of the width against simulated misses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from lawful.cli.app import main
from lawful.data.runs import Runs
from lawful.design.plan import study_surface
from lawful.errors import IdentificationError, InputError, UnsupportedError
from lawful.forecasting.bench import Bench, Row, bench
from lawful.forecasting.ensemble import WIDTH
from lawful.forecasting.guesses import FORECASTERS, Guess, linear_spread
from lawful.forecasting.sets import KINDS, SOURCES, HoldOutSet, read_sets, simulated_sets, splits
from lawful.forecasting.widths import LEVEL, TARGET, Misses, derive, interval_score, judge

QUICK = simulated_sets()[:1]


def at_last(runs: Runs, params: np.ndarray, tokens: np.ndarray, levels: object) -> Guess:
    """Say that every run ends where the best one did, give or take a tenth."""
    best = np.full(params.shape, runs.L.min())
    return Guess(best, {0.9: (best - 0.1, best + 0.1)}, lambda budgets: np.sqrt(budgets / 120))


def test_every_split_separates_runs_and_goes_up() -> None:
    for one in simulated_sets():
        made = splits(one.runs)
        assert {split.kind for split in made} <= set(KINDS)
        for split in made:
            assert not (split.train & split.test).any()
            if split.kind != "size":
                assert one.runs.C[split.test].min() > one.runs.C[split.train].max() * 0.999


def test_distances_are_what_they_say() -> None:
    runs = simulated_sets()[0].runs
    for split in splits(runs, ["3x", "10x", "30x"]):
        beyond = runs.C[split.test] / runs.C[split.train].max()
        low, high = {"3x": (2, 5), "10x": (6.5, 16), "30x": (20, 48)}[split.kind]
        assert low < beyond.min() <= beyond.max() <= high


def test_budgets_that_rounding_splits_stay_on_one_side() -> None:
    runs = simulated_sets()[0].runs
    jittered = Runs.from_arrays(runs.N, runs.D * (1 + 1e-3 * np.sin(np.arange(len(runs)))), runs.L)
    one, two = (splits(table, ["top quarter"])[0] for table in (runs, jittered))
    np.testing.assert_array_equal(one.train, two.train)


def test_scores_are_arithmetic() -> None:
    one = QUICK[0]
    found = bench(QUICK, {"last": at_last}, kinds=["top quarter"]).rows[0]
    split = splits(one.runs, ["top quarter"])[0]
    observed, best = one.runs.L[split.test], one.runs.L[split.train].min()
    inside = np.abs(observed - best) <= 0.1
    outside = np.maximum(np.abs(observed - best) - 0.1, 0)
    assert found.error == pytest.approx(np.median(best / observed - 1))
    assert found.miss == pytest.approx(np.median(np.abs(best / observed - 1)))
    assert found.coverage90 == pytest.approx(inside.mean())
    assert found.score90 == pytest.approx(((0.2 + 20 * outside) / observed).mean())
    assert np.isnan(found.coverage50)
    assert one.truth is not None
    budgets = one.runs.C[split.train].max() * np.array([10, 100])
    wasted = one.truth.deadweight(budgets, np.sqrt(budgets * 20 / 6)) / budgets
    assert found.waste == pytest.approx(wasted.max(), rel=1e-6)


def test_a_forecaster_that_cannot_says_why() -> None:
    def never(runs: Runs, params: np.ndarray, tokens: np.ndarray, levels: object) -> Guess:
        msg = "too few runs"
        raise IdentificationError(msg)

    found = bench(QUICK, {"never": never}, kinds=["top quarter"])
    assert found.rows[0].trouble == "too few runs"
    assert np.isnan(found.rows[0].miss)


def test_the_linearised_interval_of_a_law_is_the_textbooks() -> None:
    from lawful.estimate.fit import fit
    from lawful.uncertainty.delta import delta

    runs = QUICK[0].runs
    found = fit(runs, method="vpnls")
    params, tokens = np.array([1e9, 3e9]), np.array([2e10, 9e10])
    # The textbook's variance of a new run less that of its noise is that of the mean; Student's t at 95%, 58 degrees.
    half = np.sqrt(linear_spread(found, params, tokens) ** 2 - found.rss / (len(runs) - 5)) * 1.672
    sure = delta(found, noise="equal")
    for i in range(2):
        low, high = sure.interval("loss_at", point=(params[i], tokens[i]))
        assert half[i] == pytest.approx((high - low) / 2, rel=0.05)


def test_paired_differences_compare_the_same_sets() -> None:
    def row(name: str, family: str, forecaster: str, miss: float) -> Row:
        return Row(name, family, "top quarter", forecaster, 10, 5, 2.0, miss=miss)

    rows = [
        row(f"s{i}", f"f{i}", word, miss) for i in range(6) for word, miss in (("a", 0.01), ("b", 0.02 + 0.001 * i))
    ]
    only = row("s9", "f9", "b", 5.0)
    found = Bench((*rows, only)).paired("miss", "top quarter")[0]
    assert found.sets == 6
    assert found.mean == pytest.approx(0.0125)
    assert 0.01 < found.interval[0] < 0.0125 < found.interval[1] < 0.015


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="Unknown forecaster 'oracle'; choose among auto, chinchilla"):
        bench(QUICK, ["oracle"])
    with pytest.raises(UnsupportedError, match="Unknown split 'half'; choose among top quarter"):
        bench(QUICK, ["chinchilla"], kinds=["half"])
    with pytest.raises(InputError, match="There is no folder"):
        read_sets("nowhere")


def made_misses(count: int = 4000, seed: int = 0) -> Misses:
    """Misses of a known scale, 1.3, with tails of three degrees of freedom."""
    rng = np.random.default_rng(seed)
    sets = np.repeat(np.arange(40), count // 40)
    law, lean, noise = (10.0 ** rng.uniform(-3, -1.5, count) for _ in range(3))
    names, families = np.char.add("s", sets.astype(str)), np.char.add("f", (sets // 4).astype(str))
    beyond = rng.uniform(0, 5, count)
    known = Misses(names, families, sets, np.zeros(count), law, lean, beyond, noise)
    miss = 1.3 * known.spread(WIDTH) * rng.standard_t(3, count)
    return Misses(names, families, sets, miss, law, lean, beyond, noise)


def test_constants_of_a_known_width_are_found_again() -> None:
    misses = made_misses()
    found = derive(misses)
    half = found.quantile(LEVEL) * misses.spread(found)
    assert (np.abs(misses.miss) <= half).mean() == pytest.approx(TARGET, abs=0.005)
    # A target above the level makes it wider than the truth by the ratio of two quantiles of Student's t.
    assert found.quantile(LEVEL) / (1.3 * 2.353) == pytest.approx(2.513 / 2.353, abs=0.08)
    assert 2.0 <= found.freedom <= 4.0


def test_families_are_left_out_whole() -> None:
    misses = made_misses()
    wild = misses.take(misses.family == "f3")
    misses.miss[misses.family == "f3"] *= 10
    without = derive(misses, leave_out="f3")
    calm = derive(misses.take(misses.family != "f3"))
    assert without == calm
    scores = {one.set: one for one in judge(misses)}
    assert len(scores) == 40
    assert scores[str(wild.set[0])].coverage90 < 0.6


def test_interval_scores_are_gneitings() -> None:
    low, high, observed = -0.02, 0.02, 0.05
    expected = (high - low) + 2 / 0.1 * (observed - high)
    assert interval_score(np.array([observed]), np.array([0.02]), 0.9)[0] == pytest.approx(expected)


def test_the_registry_names_what_the_folder_holds(shared_data: Path) -> None:
    found = {one.name: one for one in read_sets(shared_data)}
    assert set(found) == {source.name for source in SOURCES}
    for source in SOURCES:
        assert len(found[source.name].runs) == source.rows, source.name
        assert not found[source.name].altered


def test_a_set_that_was_altered_says_so(shared_data: Path, tmp_path: Path) -> None:
    with (shared_data / "more" / "gadre_c4.csv").open(encoding="utf-8") as lines:
        rows = list(csv.reader(lines))
    (tmp_path / "more").mkdir()
    with (tmp_path / "more" / "gadre_c4.csv").open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows(rows[:-1])
    found = {one.name: one for one in read_sets(tmp_path)}
    assert found["gadre C4"].altered
    assert set(found) == {"gadre C4", "tinysweep"}


def test_the_average_is_benched_with_what_its_width_needs() -> None:
    truth = study_surface("chinchilla")
    one = QUICK[0]
    sets = (HoldOutSet("mine", "mine", one.runs), HoldOutSet("known", "known", one.runs, truth))
    found = bench(sets, {"auto": FORECASTERS["auto"]}, kinds=["top quarter"])
    assert found.misses is not None
    assert set(found.misses.set) == {"mine"}
    held = splits(one.runs, ["top quarter"])[0].test.sum()
    assert found.misses.miss.size == held
    np.testing.assert_allclose(found.misses.weight.sum(), 1.0)


OWN = """
import numpy as np
from lawful.forecasting.guesses import Guess

def last(runs, params, tokens, levels):
    best = np.full(params.shape, runs.L.min())
    return Guess(best, {level: (best - 0.1, best + 0.1) for level in levels})
"""


def test_the_command_benches_a_function_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(OWN, encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- made by lawful bench -->\nstale table\n<!-- end of what lawful bench made -->\nafter\n"
    )
    arguments = ["bench", "--forecasters", "chinchilla", "--own", f"{tmp_path / 'mine.py'}:last", "--json"]
    arguments += ["--splits", "top quarter", "--out", str(tmp_path / "out"), "--page", str(page), "--no-figures"]
    assert main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "lawful.bench/1"
    assert document["forecasters"] == ["chinchilla", "last"]
    assert {row["set"] for row in document["rows"]} == {one.name for one in simulated_sets()}
    written = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert {name: written[name] for name in document} == document
    assert (tmp_path / "out" / "bench.csv").read_text().count("\n") == len(document["rows"]) + 1
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "stale table" not in text
    assert "| chinchilla |" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--own", "none.py:f"], "'none.py:f' names no file"),
        (["--forecasters", "oracle"], "Unknown forecaster 'oracle'"),
        (["nowhere", "--forecasters", "chinchilla"], "There is no folder 'nowhere'"),
    ],
)
def test_the_command_names_what_is_wrong(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) in (1, 2)
    assert sentence in capsys.readouterr().err
