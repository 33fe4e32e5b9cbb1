"""The first screen of a report: three numbers, what to think of them, every method on one axis."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

import lawful
from lawful.analysis.evidence import gather
from lawful.core.notes import Note
from lawful.core.numbers import format_count
from lawful.show.report.card import decision_card, remarks
from lawful.show.report.decision import decision_sentences
from lawful.show.report.report import report_html


@pytest.fixture(scope="module")
def analysis():
    truth = lawful.Surface.named("besiroglu")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 9, surface=truth), noise=0.004)
    return lawful.analyse(runs, budgets=[1e23])


@pytest.fixture(scope="module")
def card(analysis):
    return decision_card(gather(analysis))


def test_the_three_numbers_are_those_of_the_average(analysis, card):
    seen = analysis.average.outlooks[0]
    assert card.asked == "Asked at 1e23 FLOPs, answered by the average of laws"
    assert [number.name for number in card.numbers] == ["parameters", "tokens", "loss, nats per token"]
    assert card.numbers[0].text == format_count(seen.params)
    for number in card.numbers:
        low, at, high = number.place
        assert 0 <= low < at < high <= 100


def test_every_method_stands_on_the_axis_in_order_of_its_size(card, analysis):
    labels = [dot.label for dot in card.dots if not dot.hollow]
    assert labels == [
        "Average of laws",
        "VPNLS",
        "VPNLS, Huber",
        "Approach 3",
        "Approach 2",
        "Approach 1",
        "coupled law",
    ]
    own = next(dot for dot in card.dots if dot.label == "VPNLS")
    assert own.text == format_count(analysis.allocations[0].params)
    assert own.ends[0] < own.at < own.ends[1]
    assert 3 <= len(card.ticks) <= 12


def test_what_to_think_of_it_is_said_in_words(card):
    words = " ".join(chip.text for chip in card.chips)
    assert "100 times beyond the largest run" in words
    assert re.search(r"Held-out budgets: [\d.]+% off, \d+ of \d+ inside", words)


def test_laws_are_said_to_disagree_only_where_the_average_withholds_its_loss(analysis):
    apart = Note("laws_disagree", "the interval of N* under one law and that of the average of laws do not meet")
    noted = dataclasses.replace(analysis, notes=(*analysis.notes, apart))
    assert "Laws disagree" not in " ".join(chip.text for chip in remarks(noted, 0))
    seen = dataclasses.replace(analysis.average.outlooks[0], loss=np.nan)
    withheld = dataclasses.replace(analysis, average=dataclasses.replace(analysis.average, outlooks=(seen,)))
    assert "Laws disagree on the loss" in [chip.text for chip in remarks(withheld, 0)]


def test_the_bar_of_a_number_is_its_interval(card):
    for number in card.numbers:
        assert number.place[::2] == (0, 100)


def test_the_page_opens_with_the_card(analysis, card):
    page = report_html(analysis)
    assert page.index('aria-label="The decision"') < page.index('id="isoflop"') < page.index('id="data-section"')
    for number in card.numbers:
        assert f"<b>{number.text}</b>" in page


def test_runs_that_tell_nothing_get_no_numbers():
    N = np.geomspace(2e7, 3e9, 8)
    runs = lawful.read_runs({"N": N, "D": 20 * N, "loss": 1.8 + 400 / N**0.34 + 900 / (20 * N) ** 0.3})
    card = decision_card(gather(lawful.analyse(runs, budgets=[1e22], draws=0)))
    assert [number.text for number in card.numbers[:2]] == ["unknown", "unknown"]
    assert card.chips[0].text == "The runs do not tell the optimum"
    assert "No Approach 2 to compare with" in [chip.text for chip in card.chips]
    assert card.dots == ()
    (why,) = decision_sentences(lawful.analyse(runs, budgets=[1e22], draws=0), beside=True)
    assert "20 tokens per parameter" in why
    assert "Two runs would settle it" in why


def test_without_a_budget_there_is_no_card(analysis):
    assert decision_card(gather(lawful.analyse(analysis.runs, draws=0))) is None


def test_answers_without_flagged_runs_stand_hollow_below_their_own(analysis):
    runs = analysis.fit.runs
    loss = runs.L.copy()
    loss[4] *= 1.1
    found = lawful.analyse(
        {"N": runs.N, "D": runs.D, "loss": loss}, budgets=[1e23], method="vpnls", objective="squared"
    )
    evidence = gather(found)
    flagged = int((evidence.checked.reason != "none").sum())
    assert flagged
    dots = decision_card(evidence).dots
    places = [i for i, dot in enumerate(dots) if dot.hollow]
    assert [dots[i].label for i in places] == [f"without {flagged} flagged"] * 2
    assert [dots[i - 1].label for i in places] == ["VPNLS", "Approach 2"]
    clean = lawful.fit(evidence.checked.kept, method="vpnls", objective="squared")
    assert dots[places[0]].text == format_count(clean.allocate(1e23).params)


def test_tokens_per_parameter_and_the_split_of_the_width_stand_by_their_numbers(card, analysis):
    seen = analysis.average.outlooks[0]
    assert f"; {seen.tokens / seen.params:.2g} per parameter" in card.numbers[1].span
    shares = [float(share) for share in re.findall(r"([\d.]+)%", card.numbers[2].span.split(";")[1])]
    assert len(shares) == 3
    assert sum(shares) == pytest.approx(100, abs=1.5)


def test_the_axis_and_its_shade_are_of_the_card_s_own_budget(analysis):
    several = analysis.answering([1e21, 1e23])
    own = decision_card(gather(several))
    low, high = own.region
    best = next(dot for dot in own.dots if dot.label == "VPNLS")
    assert low < best.at < high
    assert any(chip.text == "Up to 100 times beyond the largest run" for chip in own.chips)
    assert len(own.ticks) >= 3
