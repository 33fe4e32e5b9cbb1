"""The report: the decision first, one file without references, safe with any name, for every method."""

from __future__ import annotations

import csv
import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lawful.analysis.analysis import Analysis, analyse
from lawful.analysis.evidence import gather
from lawful.checks.check import check
from lawful.core.notes import Verdict
from lawful.core.numbers import format_count, format_percent, format_scientific
from lawful.data.runs import Runs
from lawful.design.plan import plan_isoflop, simulate
from lawful.errors import UnsupportedError
from lawful.estimate.result import METHODS, Fit
from lawful.laws.surface import Surface
from lawful.show.files.bundle import write_fit
from lawful.show.files.document import allocation_document
from lawful.show.report.decision import decision_sentences
from lawful.show.report.pictures import allocation_table, report_tables, run_label
from lawful.show.report.report import report_html
from lawful.show.report.words import (
    bought_sheet,
    card_facts,
    check_facts,
    coefficient_sheet,
    data_facts,
    unstated_facts,
)
from lawful.sources.read import read_runs

HOSTILE = "<script>alert(1)</script>"


SECTIONS = [
    "isoflop", "methods", "evidence", "coefficients", "allocations", "residuals", "dial", "valley", "bias",
    "data-section", "notes", "card",
]  # fmt: skip


def runs_of(**labels: Any) -> Any:
    truth = Surface.named("besiroglu")
    runs = simulate(truth, plan_isoflop([1e18, 1e19, 1e20, 1e21], 6, surface=truth), noise=0.004, seed=5)
    columns = {name: np.array([value] * len(runs)) for name, value in labels.items()}
    return dataclasses.replace(runs, labels=columns)


@pytest.fixture(scope="module")
def analyses() -> dict[str, Analysis]:
    return {m: analyse(runs_of(), method=m, budgets=[1e23, 1e22], draws=40, intervals="within-budget") for m in METHODS}


@pytest.fixture(scope="module")
def pages(analyses: dict[str, Analysis]) -> dict[str, str]:
    return {method: report_html(found) for method, found in analyses.items()}


def visible(page: str) -> str:
    """Text of a page without styles, figures and tags."""
    bare = re.sub(r"<style>.*?</style>|<script.*?</script>|<svg.*?</svg>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", bare))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gets_a_page_that_opens_with_its_decision(
    analyses: dict[str, Analysis], pages: dict[str, str], method: str
) -> None:
    page = pages[method]
    decision = decision_sentences(analyses[method])[0]
    assert decision.startswith("At 1e23 FLOPs train ")
    assert page.index(decision) < page.index("<h2>")
    sections = re.findall(r'<section id="([^"]+)">', page)
    assert sections == SECTIONS
    assert ('id="figure-residuals"' in page) == (method != "approach1")
    assert ("L(N, D) = E + A/N^alpha + B/D^beta" in page) == (method in ("vpnls", "approach3"))


@pytest.mark.parametrize("method", METHODS)
def test_a_page_refers_to_nothing_outside_itself(pages: dict[str, str], method: str) -> None:
    outside = re.sub(r"<script>.*?</script>", "<script></script>", pages[method], flags=re.DOTALL)
    assert "http" not in outside.replace('http-equiv="Content-Security-Policy"', "")
    assert not re.search(r"<(link|iframe|img|object|embed)\b|@import|\bsrc=", outside)
    targets = re.findall(r'href="([^"]*)"|url\(([^)]*)\)', outside)
    assert targets
    assert all((href or url).startswith("#") for href, url in targets)


def test_identifiers_are_unique_and_every_reference_has_its_target(pages: dict[str, str]) -> None:
    page = re.sub(r"<script>.*?</script>", "", pages["vpnls"], flags=re.DOTALL)
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))
    referred = {a or b for a, b in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', page)}
    assert referred <= set(identifiers)


def test_a_page_is_the_same_every_time(analyses: dict[str, Analysis], pages: dict[str, str]) -> None:
    assert report_html(analyses["vpnls"]) == pages["vpnls"]


def test_names_from_the_data_are_escaped_wherever_they_stand() -> None:
    runs = runs_of(**{HOSTILE: HOSTILE, "recipe": '"><img onerror=x>'})
    runs = dataclasses.replace(runs, source=f"{HOSTILE}.csv", columns={"params": HOSTILE}, selection={HOSTILE: HOSTILE})
    page = report_html(analyse(runs, draws=0), title=f"About {HOSTILE}")
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "<h1>About &lt;script&gt;alert(1)&lt;/script&gt;</h1>" in page
    # Of the source the page names the file alone: what stands behind its last slash.
    assert "script&gt;.csv" in page
    assert re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL).count("&lt;script&gt;alert(1)&lt;/script&gt;") == 8


def test_without_budgets_the_page_says_how_the_optimum_grows(analyses: dict[str, Analysis]) -> None:
    found = dataclasses.replace(analyses["vpnls"], allocations=())
    sentence = decision_sentences(found)[0]
    assert re.fullmatch(
        r"No budget was given; over these runs N\* grows as C\^0\.\d+ \(90% interval [\d.]+ to [\d.]+\) "
        r"and D\* grows as C\^0\.\d+ \(90% interval [\d.]+ to [\d.]+\)\.",
        sentence,
    )
    page = visible(report_html(found))
    assert "No budget was given. Add one, such as --budget 1e24, to size a run." in page


def test_without_draws_there_are_no_intervals() -> None:
    found = analyse(runs_of(), method="vpnls", budgets=[1e22], draws=0)
    page = visible(report_html(found))
    assert page.count("90%") == 2  # the dial turns over an interval of its own
    assert "none drawn" in page.lower()
    assert "(90%" not in decision_sentences(found)[0]


def test_a_frontier_has_exponents_but_no_coefficients_and_no_loss(analyses: dict[str, Analysis]) -> None:
    found = analyses["approach2"]
    assert [name.text for name, _ in coefficient_sheet(found).rows] == ["a", "b", "log10_a0", "log10_b0"]
    sentence = decision_sentences(found)[0]
    assert "expected loss" not in sentence
    assert re.search(r"; that choice is as good as can be told: its loss lies within the noise of one run", sentence)


def test_a_held_coefficient_says_so() -> None:
    cells = {name.text: cell for name, cell in coefficient_sheet(analyse(runs_of(), fixed={"E": 1.69}, draws=20)).rows}
    assert (cells["E"].text, cells["E"].span) == ("1.690", "fixed")
    assert " to " in cells["alpha"].span


def test_a_surface_without_an_optimum_gives_a_sentence_instead_of_numbers(analyses: dict[str, Analysis]) -> None:
    fit = analyses["vpnls"].fit
    assert isinstance(fit, Fit)
    flat = dataclasses.replace(fit, surface=Surface({**fit.surface.coefficients, "A": 0.0}))
    lost = dataclasses.replace(analyses["vpnls"].allocations[0], params=0.0 / 1.0, tokens=float("inf"), deadweight=None)
    found = dataclasses.replace(analyses["vpnls"], fit=flat, draws=None, allocations=(lost,), isoflop=None)
    assert decision_sentences(found) == [
        "At 1e23 FLOPs this fit has no compute-optimal choice: the notes say why.",
    ]
    assert "inf" not in re.sub(r"infer|inform|infinit", "", visible(report_html(found)))


def test_the_card_names_what_others_need(analyses: dict[str, Analysis]) -> None:
    found = analyses["vpnls"]
    assert isinstance(found.fit, Fit)
    card = {fact.name: fact.value for fact in card_facts(found)}
    assert card["Data, SHA-256"] == found.fit.runs.sha256
    assert card["Bounds"] == "E ≥ 0, A ≥ 0, B ≥ 0, alpha in [0.01, 2], beta in [0.01, 2]"
    assert card["Bootstrap"] == "40 draws, scheme within-budget"
    assert card["Seed"] == "0"
    assert card["Convention"].startswith("C = 6ND")
    assert f"alpha = {found.fit.surface['alpha']:.9f}"[:16] in card["Coefficients"]


def test_a_column_of_many_values_is_counted_and_one_of_few_is_named() -> None:
    runs = runs_of(recipe="plain")
    runs = dataclasses.replace(runs, labels={**runs.labels, "seed": np.arange(len(runs))})
    facts = {fact.name: fact.value for fact in data_facts(analyse(runs, draws=0))}
    assert facts["Other columns"] == "'recipe': plain; 'seed': 24 different values"
    assert facts["Runs"] == "24"
    assert facts["Budgets"] == "4, from 1e18 to 1e21 FLOPs"


def test_published_runs_give_the_published_decision(shared_data: Path) -> None:
    runs = read_runs(shared_data / "isoflops.csv", select={"experiment": "llama_3__raw_loss"})
    found = analyse(runs, method="vpnls", budgets=[3.8e25], draws=50)
    sentence = decision_sentences(found)[0]
    assert sentence.startswith("At 3.8e25 FLOPs train 622B parameters on 10.2T tokens (90% interval ")
    # The runs refuse the law that prices it, so the published 2.39e24 FLOPs (6.3%) are no accusation.
    assert "Approach 2 would have chosen 393B parameters on 16.1T tokens, as good as can be told" in sentence
    assert found.allocations[0].deadweight.fraction == pytest.approx(0.063, abs=5e-4)
    page = report_html(found)
    assert sentence in page
    assert len(page) < 5_000_000


def test_every_figure_names_tables_that_are_saved(analyses: dict[str, Analysis], pages: dict[str, str]) -> None:
    for method, page in pages.items():
        tables = report_tables(gather(analyses[method]))
        named = {name for names in re.findall(r'data-tables="([^"]*)"', page) for name in names.split()}
        assert named <= set(tables), method
        assert len({len(column) for column in tables["isoflop_runs"].values()}) == 1


def test_out_saves_the_tables_of_the_page_with_every_digit(analyses: dict[str, Analysis], tmp_path: Path) -> None:
    found = analyses["vpnls"]
    write_fit(tmp_path, found, with_figures="none")
    written = {path.stem for path in (tmp_path / "tables").iterdir()}
    assert written == set(report_tables(gather(found)))
    with (tmp_path / "tables" / "isoflop_runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == found.fit.runs.L.tolist()
    assert {row["check"] for row in rows} <= {"", *check(found.fit.runs).counts}


def test_all_methods_stand_beside_each_other_with_what_each_would_train(analyses: dict[str, Analysis]) -> None:
    for method in METHODS:
        tables = report_tables(gather(analyses[method]))
        assert tables["methods"]["method"].tolist() == ["vpnls", "approach3", "approach2", "approach1"]
        assert tables["method_targets"]["budget"].tolist() == [1e23, 1e22] * 4
        assert np.isfinite(tables["methods"]["a_low"]).all()


def test_a_method_that_cannot_run_says_why() -> None:
    truth = Surface.named("besiroglu")
    runs = simulate(truth, plan_isoflop([1e18, 1e19, 1e20, 1e21, 1e22], 2, surface=truth), noise=0.002)
    evidence = gather(analyse(runs, budgets=[1e23], draws=0))
    page = visible(report_html(evidence.analysis, evidence=evidence))
    assert "not fitted" in page
    assert "needs at least" in page or "three" in page
    assert evidence.bias == "Approach 2 cannot run on these runs, so it has no bias here."


def test_check_is_told_whether_or_not_it_came_first() -> None:
    runs = runs_of()
    loss = runs.L.copy()
    loss[2] += 0.5
    checked = check({"N": runs.N, "D": runs.D, "loss": loss, "C": runs.C})
    assert checked.outlier[2]
    before = gather(analyse(checked.kept, draws=0), checked=checked)
    assert "left out of this fit" in check_facts(before)[0].value
    assert check_facts(gather(analyse(checked.kept, draws=0)))[0].value.startswith("check left out ")
    after = gather(analyse(dataclasses.replace(runs, L=loss), draws=0))
    assert "fitted all the same" in check_facts(after)[0].value
    assert "1 of 24 rows were flagged" in check_facts(after, {"n_runs": 24, "n_kept": 23, "counts": {"x": 1}})[0].value


def test_a_check_that_was_not_run_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lawful.analysis.evidence.MOST_CHECKED", 5)
    evidence = gather(analyse(runs_of(), draws=0))
    assert check_facts(evidence)[0].value.startswith("check was not run: more than 5 runs")


def test_what_a_fit_cannot_show_is_a_sentence(analyses: dict[str, Analysis]) -> None:
    page = visible(report_html(analyses["approach2"]))
    assert "There is no dial here: approach2 fits no surface, so there is no E to turn." in page
    held = visible(report_html(analyse(runs_of(), fixed={"E": 1.69}, draws=0)))
    assert "E is held fixed in this fit, so there is no dial to turn" in held


def test_noise_free_runs_have_a_report() -> None:
    truth = Surface.named("besiroglu")
    runs = simulate(truth, plan_isoflop([1e18, 1e19, 1e20], 7, surface=truth))
    assert "nan" not in re.sub(r"[a-z]*nan[a-z]+", "", visible(report_html(analyse(runs, budgets=[1e22]))).lower())


def test_runs_are_named_by_the_column_that_names_them() -> None:
    assert run_label(runs_of(recipe="plain")) is None
    named = run_label(runs_of(name="n", Run_Name="r"))
    assert named is not None
    assert named[0] == "name"


def test_the_card_says_what_no_table_can_tell() -> None:
    assert {fact.value for fact in unstated_facts()} == {"not stated"}


def swept(share: tuple[float, float], noise: float) -> Any:
    """Return runs of four budgets whose sizes are these shares of the best one."""
    truth = Surface.named("besiroglu")
    best = [(c, float(truth.optimum(c).params)) for c in (1e18, 1e19, 1e20, 1e21)]
    N, C = (np.array([v for c, n in best for v in of(c, n)]) for of in (
        lambda _, n: n * np.geomspace(*share, 6), lambda c, _: [c] * 6,
    ))  # fmt: skip
    scatter = np.exp(noise * np.random.default_rng(5).standard_normal(N.size))
    return Runs.from_arrays(N, C / (6 * N), truth.loss(N, C / (6 * N)) * scatter)


def test_what_the_decision_withholds_no_section_figure_or_table_shows() -> None:
    found = analyse(swept((0.02, 0.3), 0.01), method="vpnls", budgets=[1e23], draws=0)
    assert found.verdict is Verdict.NOT_IDENTIFIED
    evidence = gather(found)
    page, tables = visible(report_html(found, evidence=evidence)), report_tables(evidence)
    best = found.fit.surface.optimum(1e23)
    numbers = [format_count(float(v)) for v in (best.params, best.tokens)] + [f"{float(best.loss):.3f}"]
    assert not any(re.search(rf"(?<![\d.]){re.escape(number)}", page) for number in numbers)
    assert not {"dial", "valley", "indifference", "bias"} & set(tables)
    for name in ("allocations", "method_targets", "frontier_targets", "frontier_lines"):
        assert not np.isfinite([tables[name][column] for column in ("params", "tokens")]).any(), name
    with pytest.raises(UnsupportedError, match="tell no compute-optimal size at any budget"):
        found.plot.frontier()


def test_a_waste_that_accuses_nobody_is_told_nowhere_without_its_doubt() -> None:
    found = analyse(swept((0.1, 10.0), 0.01), method="vpnls", budgets=[1e23])
    lost = dataclasses.replace(found.allocations[0].deadweight, as_good="the runs refuse the law that would price it")
    blamed = dataclasses.replace(lost, as_good="")
    for one, accuses in ((lost, False), (blamed, True)):
        told = dataclasses.replace(found, allocations=(dataclasses.replace(found.allocations[0], deadweight=one),))
        share, flops = format_percent(lost.fraction), format_scientific(lost.flops)
        waste = bought_sheet(told.allocations).rows[0][-1]
        assert (waste.text == flops, share in waste.small) == (accuses, accuses)
        assert (share in decision_sentences(told)[-1]) is accuses
        assert allocation_table(told.allocations)["deadweight_doubt"].tolist() == [one.as_good]
        assert allocation_document(told.allocations[0])["deadweight"]["as_good_as_can_be_told"] is not accuses


def test_a_doubtful_verdict_stands_over_every_section_that_rests_on_it(
    analyses: dict[str, Analysis], pages: dict[str, str]
) -> None:
    assert analyses["vpnls"].verdict is Verdict.EXTRAPOLATED
    for section in ("evidence", "allocations", "dial", "valley", "bias"):
        own = pages["vpnls"].split(f'<section id="{section}">')[1].split("</section>")[0]
        assert own.count("Extrapolated: far beyond the runs") == 1, section
