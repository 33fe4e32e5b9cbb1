"""Studies: the record, the runner (resume, workers, redraw), the verdicts, the words, and the published figures."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lawful.design.plan import plan_isoflop, simulate, study_surface
from lawful.errors import InputError, OutputError, UnsupportedError
from lawful.estimate.fit import fit
from lawful.estimate.isoflop import fit_isoflop
from lawful.studies import methods, noise, runner
from lawful.studies.batch import fit_rows
from lawful.studies.chunks import Work, code_hash
from lawful.studies.study import LONG, Study, all_studies, choose_studies, find_study
from lawful.studies.tables import Table
from lawful.studies.verdicts import AGREES, DIFFERS, Comparison, printed, to_digits

if TYPE_CHECKING:
    from playwright.sync_api import Page

OURS = [study for study in all_studies() if study.number <= 13]
CHEAP = ["extrapolation_error", "analytical_error", "compounding_errors"]
SIMULATED = [study.name for study in OURS if not study.data]
REAL = [study.name for study in OURS if study.data]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """Every study's quick twin, run once."""
    out = tmp_path_factory.mktemp("quick")
    runner.run_studies([study.name for study in OURS], out, quick=True, jobs=2, data=shared_data)
    return out


@pytest.fixture(scope="module")
def cheap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cheap studies at full size, in this process."""
    out = tmp_path_factory.mktemp("cheap")
    runner.run_studies(CHEAP, out, jobs=1)
    return out


def tables_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.csv"))}


def test_the_thirteen_and_ours_are_registered_in_order() -> None:
    assert [study.number for study in OURS] == list(range(14))
    assert {study.folder for study in OURS} >= {"00_reproduction", "13_robust_inference"}
    assert not {study.name for study in choose_studies(["all"])} & set(LONG)


@pytest.mark.parametrize("name", ["analytical_error", "6", "06", "06_analytical_error", "s06_analytical_error"])
def test_a_study_answers_to_its_names(name: str) -> None:
    assert find_study(name).number == 6


def test_an_unknown_study_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UnsupportedError, match=r"no study 'twelve'; choose one of reproduction, empirical_error"):
        runner.run_studies(["twelve"], "nowhere")


def test_zero_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="number of jobs is positive, or -1"):
        runner.run_studies(CHEAP, tmp_path, jobs=0)


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    with pytest.raises(OutputError, match=r"Cannot write to .*taken.*choose another directory"):
        runner.run_studies(CHEAP, tmp_path / "taken", jobs=1)


def test_a_data_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no directory .*; give `data` the folder with chinchilla_svg\.csv"):
        runner.run_studies(["reproduction"], tmp_path, jobs=1, data=tmp_path / "no-data")


@pytest.mark.parametrize("name", REAL)
def test_without_published_runs_a_study_is_skipped_with_a_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (outcome,) = runner.run_studies([name], tmp_path / "out", quick=True, jobs=1, data=tmp_path / "empty")
    assert outcome.state == "skipped"
    assert "lawful datasets fetch" in outcome.sentence
    assert outcome.sentence in (tmp_path / "out" / "index.html").read_text(encoding="utf-8").replace("&#39;", "'")


@pytest.mark.parametrize("study", OURS, ids=lambda study: study.name)
def test_the_quick_twin_writes_tables_figures_findings_and_a_manifest(study, quick: Path) -> None:
    folder = quick / study.folder
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["schema"] == "lawful.study/1"
    assert manifest["config"]["seed"] == 42
    assert manifest["quick"] is True
    assert set(manifest["versions"]) >= {"lawful", "numpy", "scipy", "python"}
    for name, digest in manifest["tables"].items():
        assert runner.file_hash(folder / name) == digest
    for stem in manifest["figures"]:
        assert (folder / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (folder / f"{stem}.svg").read_text(encoding="utf-8")
    text = (folder / "findings.md").read_text(encoding="utf-8")
    assert study.question in text
    assert manifest["finding"] in text
    assert not (folder / ".chunks").exists()


def claims(out: Path, name: str) -> Table:
    """Published figures of a study that claim a tolerance."""
    folder = out / find_study(name).folder
    table = Table.read_csv(folder / "published.csv")
    return Table({key: column[~np.isnan(table["tolerance"])] for key, column in table.columns.items()})


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("reproduction", 51),
        ("empirical_error", 5),
        ("extrapolation_error", 24),
        ("analytical_error", 3),
        ("conditioning", 34),
        ("compounding_errors", 56),
        ("cost_estimates", 142),
        ("residual_distributions", 23),
    ],
)
def test_studies_that_are_whole_when_quick_agree_with_every_published_figure(
    name: str, count: int, quick: Path
) -> None:
    table = claims(quick, name)
    assert len(table) == count
    assert table.where(verdict=DIFFERS)["quantity"].tolist() == []


@pytest.mark.parametrize(
    ("name", "count"),
    [
        pytest.param("parameter_recovery", 138, marks=pytest.mark.slow),
        pytest.param("exponent_inference", 35, marks=pytest.mark.whole),  # 9,216 fits
        pytest.param("data_efficiency", 9, marks=pytest.mark.slow),
    ],
)
def test_the_full_size_agrees_with_every_published_figure(name: str, count: int, tmp_path: Path) -> None:
    runner.run_studies([name], tmp_path)
    table = claims(tmp_path, name)
    assert len(table) == count
    assert table.where(verdict=DIFFERS)["quantity"].tolist() == []


def test_the_published_recovery_is_compared_at_full_size_only(quick: Path) -> None:
    assert not (quick / "05_parameter_recovery" / "published.csv").exists()
    assert not (quick / "07_exponent_inference" / "published.csv").exists()


@pytest.mark.parametrize(("scale", "tolerance"), [("difference", 0.005), ("percent", 4.0), ("decades", 1.0)])
@pytest.mark.parametrize("direction", [1, -1])
def test_moving_ours_by_twice_its_tolerance_flips_the_verdict(scale: str, tolerance: float, direction: int) -> None:
    published = 3.7
    moved = {
        "difference": published + direction * 2 * tolerance,
        "percent": published * (1 + direction * 2 * tolerance / 100),
        "decades": published * 10 ** (direction * 2 * tolerance),
    }[scale]
    assert Comparison("x", published, published, tolerance, scale).verdict == AGREES
    assert Comparison("x", published, moved, tolerance, scale).verdict == DIFFERS


FULL = {"fits": {"parameter_recovery": 20.0, "exponent_inference": 9216.0}, "draws": {"data_efficiency": 810.0}}
"""Columns that tell the three studies that compare at full size only how much was run."""

NOTHING_PUBLISHED = {"exponent_imbalance", "drift_sensitivity", "robust_inference"}


def compared(study: Study, out: Path) -> list[Comparison]:
    """Published figures beside ours from a quick twin, which claims to be of full size."""
    tables = runner.tables_in(out / study.folder)
    for name, table in tables.items():
        full = {c: np.full(len(table), sizes[study.name]) for c, sizes in FULL.items() if study.name in sizes}
        tables[name] = Table({**table.columns, **{c: v for c, v in full.items() if c in table.columns}})
    return list(study.published(tables))


def moved_by(c: Comparison, ours: float, times: float) -> Comparison:
    """Move our figure by a multiple of its tolerance, on the scale of the tolerance."""
    assert c.tolerance is not None
    step = times * c.tolerance
    if c.scale == "decades":
        return replace(c, ours=ours * 10**step)
    return replace(c, ours=ours + step * (c.published / 100 if c.scale == "percent" else 1))


@pytest.mark.parametrize("study", OURS, ids=lambda study: study.name)
def test_moving_any_of_our_numbers_by_twice_its_tolerance_flips_the_verdict(study: Study, quick: Path) -> None:
    claimed = [c for c in compared(study, quick) if c.tolerance is not None]
    assert bool(claimed) == (study.name not in NOTHING_PUBLISHED)
    for c in claimed:
        if c.verdict == AGREES:
            away = -1 if c.difference < 0 else 1
            assert moved_by(c, c.ours, 2 * away).verdict == DIFFERS, c.quantity
        if c.scale != "decades" or c.published:
            exact = replace(c, ours=c.published)
            assert exact.verdict == AGREES, c.quantity
            assert {moved_by(c, c.published, times).verdict for times in (2, -2)} == {DIFFERS}, c.quantity


@pytest.mark.parametrize("study", OURS, ids=lambda study: study.name)
def test_a_tolerance_above_one_percent_says_why(study: Study, quick: Path) -> None:
    silent = [c.quantity for c in compared(study, quick) if c.tolerance_percent > 1 and not c.remark]
    assert silent == []


def test_a_figure_without_a_tolerance_is_only_shown() -> None:
    assert Comparison("x", 1.0, 5.0, None).verdict == "shown only"


def test_not_a_number_never_agrees() -> None:
    assert Comparison("x", 1.0, float("nan"), 0.5).verdict == DIFFERS
    assert Comparison("x", 1e-9, 0.0, 1.0, "decades").verdict == DIFFERS


@pytest.mark.parametrize(("text", "half"), [("10.6", 0.05), ("7.78e-06", 5e-9), ("133", 0.5), ("-2.42", 0.005)])
def test_printed_digits_set_the_tolerance(text: str, half: float) -> None:
    assert printed(text) == (float(text), pytest.approx(half))
    assert to_digits("x", text, float(text) + 0.9 * half).verdict == AGREES
    assert to_digits("x", text, float(text) + 1.1 * half).verdict == DIFFERS


@pytest.mark.parametrize("name", [study.name for study in OURS])
def test_the_words_follow_the_tables(name: str, quick: Path) -> None:
    study = find_study(name)
    tables = runner.tables_in(quick / study.folder)
    before = study.findings(tables)
    # Numbers that the study computed; labels and settings stay as they are.
    settings = {"budget", "budgets", "points", "sigma", "half_width", "draw", "ratio", "rank", "runs", "width", "cell"}
    settings |= {"fits", "draws", "upward", "starts", "ftol", "target", "alpha_true", "downward", "short"}

    def moved(key: str, column: np.ndarray) -> np.ndarray:
        return column if key in settings or column.dtype == object else column * 1.37 + 0.011

    changed = {n: Table({k: moved(k, c) for k, c in t.columns.items()}) for n, t in tables.items()}
    after = study.findings(changed)
    assert after[0] != before[0]
    assert sum(a != b for a, b in zip(before, after, strict=False)) >= len(before) // 2


def test_a_broken_formula_is_said_to_fail(cheap: Path) -> None:
    study = find_study("analytical_error")
    tables = runner.tables_in(cheap / study.folder)
    shifts = tables["shifts"]
    wrong = Table({**shifts.columns, "largest_gap": shifts["largest_gap"] + 1e-6})
    assert "holds" in study.findings(tables)[0]
    assert "fails" in study.findings({"shifts": wrong})[0]


@pytest.mark.slow
def test_tables_do_not_depend_on_the_number_of_workers(cheap: Path, tmp_path: Path) -> None:
    runner.run_studies(CHEAP, tmp_path, jobs=2)
    assert tables_of(tmp_path) == tables_of(cheap)
    assert len(tables_of(cheap)) >= 4


def test_a_seed_gives_its_draws_and_another_seed_others() -> None:
    def losses(seed: int) -> np.ndarray:
        config = {**find_study("robust_inference").settings(quick=True, seed=seed), "draws": 2, "points": [4]}
        (sweeps,) = noise.noisy_sweeps(config, {"sigma": 0.1, "budgets": 2})
        return sweeps.losses

    assert np.array_equal(losses(1), losses(1))
    assert not np.array_equal(losses(1), losses(2))


@pytest.mark.slow
def test_a_finished_study_is_kept_and_a_touched_table_is_computed_again(cheap: Path, tmp_path: Path) -> None:
    name, folder = "analytical_error", tmp_path / "06_analytical_error"
    (first,) = runner.run_studies([name], tmp_path, jobs=1)
    before = tables_of(tmp_path)
    (kept,) = runner.run_studies([name], tmp_path, jobs=1)
    (folder / "shifts.csv").write_text("half_width\n1.0\n")
    (again,) = runner.run_studies([name], tmp_path, jobs=1)
    assert (first.state, kept.state, again.state) == ("done", "kept", "done")
    assert tables_of(tmp_path) == before


@pytest.mark.slow
def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cheap: Path) -> None:
    name, calls = "analytical_error", []

    def interrupted(done: int, total: int, _: str) -> None:
        calls.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run_studies([name], tmp_path, jobs=1, progress=interrupted)
    folder = tmp_path / "06_analytical_error"
    assert len(list(folder.glob(".chunks/*/*.json"))) == 2
    assert not (folder / "manifest.json").exists()
    later: list[tuple[int, int]] = []
    runner.run_studies([name], tmp_path, jobs=1, progress=lambda done, total, _: later.append((done, total)))
    assert (calls, later) == ([(1, 3), (2, 3)], [(3, 3)])
    assert (folder / "shifts.csv").read_bytes() == (cheap / "06_analytical_error" / "shifts.csv").read_bytes()
    assert not (folder / ".chunks").exists()


@pytest.mark.slow
def test_a_killed_process_loses_its_current_chunks_only(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lawful.cli", "study", "run", "parameter_recovery", "--quick", "--out"]
    program = "from lawful.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, *command[3:]]
    env = {**os.environ, "PYTHONPATH": str(Path(runner.__file__).parents[2])}
    with subprocess.Popen([*command, str(tmp_path / "killed")], env=env, start_new_session=True) as process:
        chunks = tmp_path / "killed" / "05_parameter_recovery" / ".chunks"
        deadline = time.monotonic() + 120
        while len(list(chunks.glob("*/*.json"))) < 5 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    kept = {path.name: path.stat().st_mtime_ns for path in chunks.glob("*/[0-9]*.json")}
    assert len(kept) >= 5
    seen: list[int] = []
    runner.run_studies(
        ["parameter_recovery"], tmp_path / "killed", quick=True, progress=lambda d, _t, _n: seen.append(d)
    )
    assert seen[0] == len(kept) + 1
    runner.run_studies(["parameter_recovery"], tmp_path / "whole", quick=True)
    assert tables_of(tmp_path / "killed") == tables_of(tmp_path / "whole")


def test_figures_and_findings_are_redrawn_from_the_tables_alone(cheap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cheap / "06_analytical_error"
    names = ["analytical_error.svg", "analytical_error.png", "findings.md", "published.csv"]
    before = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        (folder / name).unlink()
    monkeypatch.setattr("lawful.studies.chunks.run_chunk", None)
    (outcome,) = runner.redraw_studies(["analytical_error"], cheap, jobs=1)
    assert outcome.state == "done"
    assert {name: (folder / name).read_bytes() for name in names} == before


def test_there_must_be_something_to_redraw(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no finished study in .* to draw again; run it first"):
        runner.redraw_studies(["all"], tmp_path)


def test_the_fingerprint_names_settings_seed_and_code(tmp_path: Path) -> None:
    study = find_study("analytical_error")
    works = [Work(study, study.settings(quick=False, seed=seed), tmp_path) for seed in (1, 2, 1)]
    assert works[0].fingerprint != works[1].fingerprint
    assert works[0].fingerprint == works[2].fingerprint
    assert code_hash("lawful.studies.s06_analytical_error") != code_hash("lawful.studies.s10_compounding_errors")


@pytest.mark.parametrize("values", [[0.1, np.nan, 1e-300, np.inf], ["a", "b,c", 'd"', "é"]])
def test_a_table_comes_back_from_csv_to_the_last_digit(values: list[object], tmp_path: Path) -> None:
    table = Table.from_rows({"name": f"row {i}", "value": value} for i, value in enumerate(values))
    (tmp_path / "t.csv").write_text(table.to_csv(), encoding="utf-8")
    back = Table.read_csv(tmp_path / "t.csv")
    assert back["name"].tolist() == table["name"].tolist()
    np.testing.assert_array_equal(back["value"], table["value"])


def test_a_row_that_is_not_there_or_not_alone_is_an_error() -> None:
    table = Table.from_rows({"x": x} for x in (1.0, 1.0, 2.0))
    assert table.one(x=2.0) == {"x": 2.0}
    for value in (1.0, 3.0):
        with pytest.raises(KeyError, match="x"):
            table.one(x=value)


def test_the_gallery_shows_every_study_with_its_figure_and_verdicts(quick: Path) -> None:
    page = (quick / "index.html").read_text(encoding="utf-8")
    for study in OURS:
        manifest = json.loads((quick / study.folder / "manifest.json").read_text(encoding="utf-8"))
        assert f'id="{study.folder}"' in page
        assert f'src="{study.folder}/{manifest["figures"][0]}.png"' in page
    assert "51 of 51 agree" in page
    cells = sum(len(Table.read_csv(path)) for path in quick.glob("*/published.csv"))
    assert f"{cells} cells compared" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_batched_approach_2_is_fit_isoflop() -> None:
    truth = study_surface("asymmetric")
    plan = plan_isoflop([1e17, 1e19, 1e21], 9, surface=truth, drift=3)
    runs = [simulate(truth, plan, noise=0.02, seed=seed) for seed in range(3)]
    shape = (3, 9)
    logs = np.log10(plan.N).reshape(shape), np.log10(plan.D).reshape(shape), np.log10(plan.budgets)
    found = methods.parabolas(*logs, np.array([r.L for r in runs]).reshape(-1, *shape))
    for i, one in enumerate(runs):
        line = fit_isoflop(one).frontier
        assert [found.a[i], found.b[i], found.log10_a0[i], found.log10_b0[i]] == pytest.approx(
            [line.a, line.b, line.log10_a0, line.log10_b0], rel=1e-9
        )


@pytest.mark.parametrize(("budgets", "points"), [(2, 4), (4, 8)])
def test_batched_fits_are_the_default_fit(budgets: int, points: int) -> None:
    truth = study_surface("asymmetric")
    plan = plan_isoflop(np.geomspace(1e17, 1e21, budgets), points, surface=truth, drift=3)
    runs = [simulate(truth, plan, noise=0.1, seed=seed) for seed in range(20)]
    found = fit_rows(plan, np.array([r.L for r in runs]))
    for i, one in enumerate(runs):
        assert found.a[i] == pytest.approx(fit(one, method="vpnls").surface.exponents[0], rel=1e-6)


def test_grid_starts_are_the_best_of_their_grids() -> None:
    truth = study_surface("chinchilla")
    plan = plan_isoflop([1e18, 1e20], 7, surface=truth)
    runs = simulate(truth, plan, noise=0.01, seed=3)
    design = methods.Logs(np.log(plan.N), np.log(plan.D))
    residual = methods.predict(methods.joint_grid(), design) - runs.L
    best = methods.joint_grid()[(residual**2).sum(axis=1).argmin()]
    assert methods.joint_starts(design, runs.L[None])[0].tolist() == best.tolist()
    grid = methods.exponent_grid(12)
    rss = [np.linalg.lstsq(methods.basis_of(design, theta), runs.L, rcond=None)[1][0] for theta in grid]
    assert methods.exponent_starts(design, runs.L[None], 12)[0].tolist() == grid[int(np.argmin(rss))].tolist()


@pytest.mark.slow
def test_study_runs_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lawful.cli.app import main

    assert main(["study", "run", "6", "--out", str(tmp_path), "--jobs", "1"]) == 0
    shown = capsys.readouterr()
    assert " 6 analytical_error: The closed form holds" in shown.out
    assert re.search(r"\(\d+\.\d s of CPU\)", shown.out)
    assert "index.html" in shown.out
    assert shown.err == ""
    assert main(["study", "run", "6", "--out", str(tmp_path), "--redraw", "--jobs", "1"]) == 0
    assert main(["study", "list"]) == 0
    assert "exponent_inference" in capsys.readouterr().out
    assert main(["study", "run", "nonsense", "--out", str(tmp_path)]) == 2
    assert main(["study", "run", "6", "--out", str(tmp_path), "--seed", "-1"]) == 2
    assert "--seed is a whole number" in capsys.readouterr().err


@pytest.mark.slow
def test_the_gallery_opens_without_a_complaint(quick: Path, visit: Callable[..., Page]) -> None:
    assert visit(quick / "index.html").locator("h1").inner_text() == "Studies"


def test_nemotron_is_read_when_the_folder_holds_it(shared_data: Path, tmp_path: Path) -> None:
    name, stand_in = "marin_202603__nemotron__llama_2", "marin_202603__comma__llama_2"
    study = find_study("residual_distributions")
    config = {"data": str(shared_data), "seed": 42}
    absent = study.compute(config, {"set": name})
    assert list(absent) == ["absent"]
    header, *rows = (shared_data / "isoflops.csv").read_text(encoding="utf-8").splitlines()
    renamed = [row.replace(stand_in, name) for row in rows if stand_in in row]
    (tmp_path / "isoflops.csv").write_text("\n".join([header, *renamed]) + "\n", encoding="utf-8")
    found = study.compute({**config, "data": str(tmp_path)}, {"set": name})
    same = study.compute(config, {"set": stand_in})
    assert found["tests"].one(fit="adjusted")["set"] == "Marin, Nemotron"
    assert found["tests"]["kruskal_p"].tolist() == same["tests"]["kruskal_p"].tolist()
    text = study.findings({**same, **absent})
    assert text[-1] == "Marin, Nemotron: not among these runs; the fetched set isoflop-experiments holds it."
