"""The explorer on runs of one's own: read, left out, fitted and given back as Python has them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import lawful
from explorer_page import SETTLED, read, settings
from lawful.analysis.analysis import analyse
from lawful.cli import main
from lawful.errors import LawfulError
from lawful.show.explorer import explorer_html
from lawful.show.report.decision import allocation_sentence
from lawful.show.report.own_runs import column_names
from test_javascript import Evaluate, evaluate  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from playwright.sync_api import Page

TOLERANCE = 1e-6
"""Relative, as promised."""

BUDGETS = [1e18, 3e18, 1e19, 3e19, 1e20]

Table = dict[str, Any]


def table(seed: int, *, noise: float = 0.004, jitter: float = 0.0, width: float = 6.0, points: int = 8) -> Table:
    """A noisy sweep; with jitter its compute is measured, not nominal."""
    truth, rng = lawful.Surface.named(("chinchilla", "besiroglu", "asymmetric")[seed % 3]), np.random.default_rng(seed)
    plan = lawful.Plan.isoflop(BUDGETS, points, surface=truth, width=width)
    runs = lawful.simulate(truth, plan, noise=noise, seed=seed)
    tokens = runs.D * np.exp(jitter * rng.standard_normal(len(runs)))
    found: Table = {"N": runs.N, "D": tokens, "loss": runs.L}
    return {**found, "flops": runs.C} if jitter == 0 else found


def as_csv(columns: Table, path: Path, mark: str = ",") -> Path:
    rows = [mark.join(columns), *(mark.join(map(repr, map(float, row))) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def by_python(runs: lawful.Runs, budget: float) -> dict[str, float]:
    """What the page promises to show of these runs."""
    found = {}
    fits: dict[str, Any] = {
        "vpnls": lambda: lawful.fit(runs, method="vpnls", objective="squared"),
        "coupled": lambda: lawful.fit(runs, law="skaling", objective="squared"),
        "approach2": lambda: lawful.fit_isoflop(runs),
    }
    for name, make in fits.items():
        try:
            fit = make()
        except LawfulError:
            found[f"{name}.params"] = np.nan
            continue
        best = fit.optimum(budget)
        found |= {f"{name}.params": float(best.params), f"{name}.tokens": float(best.tokens)}
        if fit.surface is None:
            found |= {f"{name}.a": fit.frontier.a}
            continue
        found |= {f"{name}.loss": float(best.loss), f"{name}.a": float(fit.surface.exponents[0])}
        found |= {f"{name}.{k}": float(v) for k, v in fit.surface.coefficients.items()}
        found[f"{name}.rms"] = float(np.sqrt(fit.rss / len(runs)))
    return found


def agree(shown: dict[str, float], expected: dict[str, float]) -> None:
    wrong = {
        k: (shown.get(k), v)
        for k, v in expected.items()
        if shown.get(k) != pytest.approx(v, rel=TOLERANCE, nan_ok=True)
    }
    assert wrong == {}


TABLES: dict[str, Table] = {
    "nominal": table(0),
    "measured": table(1, jitter=0.01),
    "uneven": table(2, noise=0.008),
    "wide": table(4, width=30.0, points=11),
    "two sizes at a budget": {k: v[1:-6] for k, v in table(3).items()},
}


@pytest.mark.parametrize("name", TABLES)
def test_a_dropped_table_is_fitted_as_python_fits_it(
    name: str, explorer_file: Path, visit: Callable[..., Page], tmp_path: Path
) -> None:
    path = as_csv(TABLES[name], tmp_path / "mine.csv")
    page = visit(explorer_file)
    page.set_input_files("#file", path)
    page.wait_for_function("() => lawfulExplorer.settings().design === 'own'")
    runs = lawful.read_runs(path)
    budget = settings(page)["target"]
    assert budget == pytest.approx(1e3 * runs.C.max(), rel=0.01)
    agree(read(page), by_python(runs, budget))
    assert f"{len(runs)} of {len(runs)} runs kept" in page.inner_text("#own-count")
    # Some of the runs go, among them whole curves: the budgets are formed anew, as they are when the file is read anew.
    out = sorted(np.random.default_rng(7).choice(len(runs), len(runs) // 4, replace=False).tolist())
    page.evaluate("(out) => lawfulExplorer.set({ out })", ",".join(str(row + 1) for row in out))
    kept = lawful.read_runs(path, drop=[row + 1 for row in out])
    agree(read(page), by_python(kept, budget))
    command = page.inner_text("#own-command")
    assert command.startswith("lawful fit mine.csv --drop ")


def test_budgets_are_formed_as_python_forms_them(evaluate: Evaluate) -> None:  # noqa: F811
    rng, cases, expected = np.random.default_rng(3), [], []
    for i in range(60):
        spread, groups = (0.0, 0.003, 0.03, 0.3)[i % 4], int(rng.integers(1, 7))
        budgets = 10 ** np.sort(rng.uniform(17, 22, groups))
        compute = np.repeat(budgets, rng.integers(1, 9, groups)) * np.exp(spread * rng.standard_normal())
        compute = compute * np.exp(spread * rng.standard_normal(compute.size))
        params = np.sort(10 ** rng.uniform(7, 10, compute.size))
        columns: Table = {"N": params, "D": compute / (6 * params), "loss": 2 + (params[::-1] / 1e9) ** 0.1}
        if i % 2:
            columns["flops"] = compute
        runs = lawful.read_runs(columns, as_is=True)
        rows = [{"params": n, "budget": c} for n, c in zip(runs.N.tolist(), runs.C.tolist(), strict=True)]
        cases.append({"rows": rows, "named": bool(i % 2)})
        expected.append((runs.group.tolist(), runs.budgets.tolist()))
    told = evaluate("(all) => all.map(({ rows, named }) => lawfulTable.budgetsOf(rows, named))", cases)
    for one, (group, budgets) in zip(told, expected, strict=True):
        assert one["group"] == group
        assert one["budgets"] == pytest.approx(budgets, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "quantities"),
    [
        ("N,D,loss\n1e8,2e9,3.1\n", {"params": 1e8, "tokens": 2e9, "budget": 1.2e18, "loss": 3.1}),
        ("\ufeffparameter_count;flops;eval/loss\n1e8;1.2e18;3.1\n", {"tokens": 2e9, "loss": 3.1}),
        (
            '# a remark\n"num_params"\t"Total Tokens"\tval loss\r\n100000000\t2_000_000_000\t"3.1"\r\n',
            {"budget": 1.2e18},
        ),
        ("name,model.num_params,tokens,val_loss\na,1e8,2e9,3.1\nb,,2e9,3.2\n", {"params": 1e8, "row": 1}),
    ],
)
def test_text_is_read_by_the_names_of_its_columns(
    evaluate: Evaluate,  # noqa: F811
    text: str,
    quantities: dict[str, float],
) -> None:
    told = evaluate("({ text, names }) => lawfulTable.read(text, names)", {"text": text, "names": column_names()})
    assert len(told["runs"]) == 1
    assert {k: told["runs"][0][k] for k in quantities} == pytest.approx(quantities)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The file holds no table"),
        ("N,D\n1e8,2e9\n", "no column that is the loss"),
        ("N,D,loss\nx,y,z\n", "No line of the table has a positive number"),
        ("N,D,loss,val_loss\n1e8,2e9,3.1,3.2\n", "may each be the loss"),
        ("N,D,loss\n100,20000,3.1\n", "a unit is missing"),
        ("N,D,loss\n1e8,2e9,31.5\n", "perplexity"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_in_a_sentence_that_stays(
    explorer_file: Path, visit: Callable[..., Page], tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    page = visit(explorer_file)
    before = settings(page)
    page.set_input_files("#file", path)
    page.wait_for_function("() => document.getElementById('status').textContent.includes('was not taken')")
    assert sentence in page.inner_text("#status")
    assert settings(page) == before
    page.focus("#design")
    page.keyboard.press("Tab")
    assert sentence in page.inner_text("#status")


@pytest.fixture(scope="module")
def runs_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    columns = table(1, noise=0.003)
    columns["loss"] = columns["loss"] + 0.08 * (np.arange(40) == 5)
    return as_csv(columns, tmp_path_factory.mktemp("own") / "my runs.csv")


@pytest.fixture(scope="module")
def own(runs_file: Path) -> Path:
    page = runs_file.with_name("explorer.html")
    assert main(["explore", str(runs_file), "--budget", "1e23", "--out", str(page)]) == 0
    return page


def test_the_page_opens_with_the_words_of_the_report(own: Path, runs_file: Path, visit: Callable[..., Page]) -> None:
    page, runs = visit(own), lawful.read_runs(runs_file)
    analysis = analyse(runs, budgets=[1e23])
    report = runs_file.with_name("report.html")
    analysis.report(report)
    other = visit(report)
    numbers = page.locator("#report .numbers b").all_inner_texts()
    assert numbers == other.locator(".card .number b").all_inner_texts()
    assert page.locator("#report .chips li").all_inner_texts() == other.locator(".card .chips li").all_inner_texts()
    assert page.locator("#report .told").all_inner_texts() == other.locator(".card .decision").all_inner_texts()
    # The page's own sentence is that of a report of VPNLS by squares, up to what the page does not test.
    alone = analyse(runs, method="vpnls", budgets=[1e23], draws=0)
    sentence = allocation_sentence(alone.allocations[0], level=0.9)
    shown = page.inner_text("#headline").rstrip(".")
    opening = "By VPNLS alone, on the runs that are kept: "
    assert shown.startswith(opening)  # the report's first number is the average's: another sentence says whose it is
    said = shown.removeprefix(opening).partition("; Approach 2 would have chosen")[0]
    assert sentence.startswith(said[0].upper() + said[1:])
    two = lawful.fit_isoflop(runs).optimum(1e23)
    assert f"{lawful.core.numbers.format_count(float(two.params))} parameters on" in shown


def show(page: Page, where: str) -> None:
    """Bring a figure to the top of the screen; what it has off the screen is drawn when it is scrolled to."""
    for _ in range(2):
        page.evaluate("(where) => document.querySelector(where).scrollIntoView({ block: 'start' })", where)
        page.wait_for_timeout(200)
        page.evaluate(SETTLED)


def test_a_click_a_rectangle_and_a_key_leave_runs_out(own: Path, runs_file: Path, visit: Callable[..., Page]) -> None:
    page = visit(own)
    everything = read(page)
    show(page, "#figure-own")
    circle = page.locator("#figure-own .plot svg circle").nth(5).bounding_box()
    page.mouse.click(circle["x"] + circle["width"] / 2, circle["y"] + circle["height"] / 2)
    assert settings(page)["out"] == "6"
    assert "Row 6 left out" in page.inner_text("#status")
    agree(read(page), by_python(lawful.read_runs(runs_file, drop=[6]), 1e23))
    assert "as the report has them" in page.inner_text("#report-of")
    # The address carries the choice.
    page.wait_for_function("() => location.hash.includes('out=6')")
    assert settings(visit(own, fragment="out=6"))["out"] == "6"
    # Brought back by the keyboard.
    page.click("#details summary")
    box = page.locator("#own-table input[aria-label='keep row 6']")
    box.focus()
    page.keyboard.press("Space")
    assert settings(page)["out"] == ""
    assert read(page) == everything
    show(page, "#figure-own")
    frame = page.locator("#figure-own .plot svg").bounding_box()
    page.mouse.move(frame["x"] + 58, frame["y"] + 24)
    page.mouse.down()
    page.mouse.move(frame["x"] + 0.5 * frame["width"], frame["y"] + 0.45 * frame["height"], steps=4)
    page.mouse.up()
    out = settings(page)["out"]
    assert "-" in out or "," in out
    page.click("#all-back")
    assert settings(page)["out"] == ""


def test_what_is_kept_goes_on_as_a_command_and_as_a_file(
    own: Path, runs_file: Path, visit: Callable[..., Page], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = visit(own)
    page.evaluate("lawfulExplorer.set({ out: '3,6-8', target: 2e23 })")
    shown = read(page)
    command = shlex.split(page.inner_text("#own-command"))
    assert command == ["lawful", "fit", str(runs_file), "--drop", "3,6-8", "--budget", "2e23"]
    assert main([*command[1:], "--method", "vpnls", "--objective", "squared", "--draws", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["allocations"][0]["params"] == pytest.approx(shown["vpnls.params"], rel=TOLERANCE)
    with page.expect_download() as saved:
        page.click("#save")
    path = tmp_path / saved.value.suggested_filename
    saved.value.save_as(path)
    assert path.name == "my runs-kept.csv"
    assert "'my runs-kept.csv'" in page.inner_text("#status")
    kept = lawful.read_runs(path)
    assert len(kept) == 36
    agree(shown, by_python(kept, 2e23))


def test_experiments_of_one_file_are_told_apart(
    explorer_file: Path, visit: Callable[..., Page], tmp_path: Path
) -> None:
    one, two = table(0), table(1)
    path = tmp_path / "both.csv"
    rows = [
        f"{name},{','.join(map(repr, map(float, row)))}"
        for name, t in (("first", one), ("it's", two))
        for row in zip(*t.values(), strict=True)
    ]
    path.write_text("\n".join(["experiment,N,D,loss,flops", *rows]) + "\n", encoding="utf-8")
    page = visit(explorer_file)
    page.set_input_files("#file", path)
    page.wait_for_function("() => lawfulExplorer.settings().design === 'own'")
    page.select_option("#only", "it's")
    page.evaluate("lawfulExplorer.set({ out: '45' })")
    command = shlex.split(page.inner_text("#own-command"))
    assert command[:7] == ["lawful", "fit", "both.csv", "--select", "experiment=it's", "--drop", "45"]
    budget = settings(page)["target"]
    agree(read(page), by_python(lawful.read_runs(path, select={"experiment": "it's"}, drop=[45]), budget))


def test_the_target_is_dragged_on_the_map(own: Path, visit: Callable[..., Page]) -> None:
    page = visit(own)
    show(page, "#figure-own-map")
    page.evaluate(SETTLED)
    frame = page.locator("#figure-own-map .plot svg").bounding_box()
    x, y = frame["x"] + 0.5 * frame["width"], frame["y"] + 0.5 * frame["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(SETTLED)
    first = settings(page)["target"]
    page.mouse.move(x + 60, y - 40, steps=3)
    page.mouse.up()
    page.evaluate(SETTLED)
    assert first < settings(page)["target"] != 1e23
    assert read(page)["vpnls.params"] > 0


def test_keys_move_the_target_of_the_map_and_go_through_the_marks_of_a_figure(
    own: Path, visit: Callable[..., Page]
) -> None:
    page = visit(own)
    page.locator("#figure-own-map .plot").focus()
    before = settings(page)["target"]
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"lawfulExplorer.settings().target > {before}")
    page.locator("#figure-own .plot").focus()
    page.keyboard.press("End")
    said = page.locator("#figure-own .spoken").text_content()
    assert "FLOPs, N" in said
    page.keyboard.press("ArrowLeft")
    assert page.locator("#figure-own .spoken").text_content() != said
    page.keyboard.press("Escape")
    assert page.locator("#figure-own .spoken").text_content() == ""


def test_the_price_is_set_on_the_page(own: Path, visit: Callable[..., Page]) -> None:
    page = visit(own)
    page.select_option("#gpu", "a100")
    page.fill("#field-mfu", "0.4")
    page.fill("#field-price", "1.5")
    page.evaluate(SETTLED)
    cost = lawful.Cost.on("a100", mfu=0.4, price=1.5)
    assert cost.terms in page.inner_text("#numbers")
    hours, dollars = float(cost.gpu_hours(1e23)), float(cost.dollars(1e23))
    assert page.inner_text("#price-of-target") == f"The target takes {hours / 1e3:.0f}K GPU hours, ${dollars:,.0f}."


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_a_phone_keeps_the_figure_in_sight(
    own: Path, visit: Callable[..., Page], serious_violations: Callable[[Page], list[str]], scheme: str
) -> None:
    page = visit(own, scheme=scheme)
    page.click("#details summary")
    assert serious_violations(page) == []
    page.evaluate("lawfulExplorer.set({ out: '3', target: 2e23 })")
    assert serious_violations(page) == []
    phone = visit(own, width=390, scheme=scheme)
    assert serious_violations(phone) == []
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    for control in ("#slider-target", "#field-price", "#only", "#save"):
        if not phone.locator(control).is_visible():
            continue
        phone.locator(control).scroll_into_view_if_needed()
        phone.evaluate("(where) => document.querySelector(where).scrollIntoView({ block: 'center' })", control)
        figure, field = (phone.locator(where).bounding_box() for where in ("#figure-own", control))
        assert 0 <= figure["y"] <= 5, control
        assert field["y"] >= figure["y"] + figure["height"], f"{control} lies under the figure"


def test_runs_that_tell_nothing_say_so_and_the_page_goes_on(
    explorer_file: Path, visit: Callable[..., Page], tmp_path: Path
) -> None:
    path = as_csv({"N": [1e8, 2e8, 4e8], "D": [2e9, 2e9, 2e9], "loss": [3.1, 3.0, 2.95]}, tmp_path / "few.csv")
    page = visit(explorer_file)
    page.set_input_files("#file", path)
    page.wait_for_function("() => lawfulExplorer.settings().design === 'own'")
    assert "VPNLS needs 5 runs" in page.inner_text("#troubles")
    assert "no compute-optimal choice" in page.inner_text("#headline")
    page.evaluate("lawfulExplorer.set({ out: '1-3' })")
    assert page.inner_text("#headline").startswith("0 of 3 runs are kept")
    assert "NaN" not in page.inner_text("body")


def test_python_opens_the_page_on_runs_too(runs_file: Path) -> None:
    text = explorer_html(lawful.read_runs(runs_file), target=1e23)
    assert "Your runs, fitted while you choose among them" in text
    assert len(text.encode()) < 1.2e6


def test_numbers_that_the_report_withholds_are_said_with_its_doubt(evaluate: Evaluate) -> None:  # noqa: F811
    laws = "{ vpnls: { params: 1e9, tokens: 2e10, loss: 2.5 }, approach2: null, coupled: null }"
    said = evaluate(f"(withheld) => lawfulOwn.headline(1e20, {laws}, withheld)", True)
    plain = evaluate(f"(withheld) => lawfulOwn.headline(1e20, {laws}, withheld)", False)
    assert said == f"Doubtful, since by the report the runs do not tell the optimum. {plain}"
