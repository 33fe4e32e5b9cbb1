"""Numbers as people say them, and tables of runs to be predicted."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lawful
from lawful.analysis.predictions import predict_points
from lawful.cli import main
from lawful.core.amounts import parse_amount, parse_budget
from lawful.core.cost import Cost

H100 = 989.5e12
"""Dense bfloat16 FLOP/s of the data sheet."""


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7e9", 7e9),
        ("7B", 7e9),
        ("7b", 7e9),
        ("1.4T", 1.4e12),
        ("300 million", 3e8),
        (".5k", 500.0),
        ("7,000,000,000", 7e9),
        ("1_000e20", 1e23),
        (" 13B ", 13e9),
    ],
)
def test_counts(text, number):
    assert parse_amount(text) == pytest.approx(number, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "flops"),
    [
        ("3e24", 3e24),
        ("3e24 FLOPs", 3e24),
        ("2.5 ZFLOPs", 2.5e21),
        ("1 YFLOP", 1e24),
        # A petaflop/s-day by its definition.
        ("100 PF-days", 100 * 1e15 * 86400),
        ("100 petaflop/s-days", 100 * 1e15 * 86400),
        ("2 EF-hours", 2 * 1e18 * 3600),
        # Chips x seconds x peak x MFU of 50%.
        ("30 days on 1024 h100", 1024 * 30 * 86400 * H100 * 0.5),
        ("30 days of 1024 H100s", 1024 * 30 * 86400 * H100 * 0.5),
        ("1024 h100 for 30 days", 1024 * 30 * 86400 * H100 * 0.5),
        ("1k x h100 for 2 weeks", 1000 * 14 * 86400 * H100 * 0.5),
        ("30 days on 1024 h100 at 40% MFU", 1024 * 30 * 86400 * H100 * 0.4),
        ("30 days on 1024 h100 at 0.4 MFU", 1024 * 30 * 86400 * H100 * 0.4),
        ("3 hours on 8 tpu-v5p", 8 * 3 * 3600 * 459e12 * 0.5),
        ("8 tpu-v5p for 3 hours", 8 * 3 * 3600 * 459e12 * 0.5),
        ("16 b200 for 1 day", 16 * 86400 * 2250e12 * 0.5),
        ("8 mi300x for 1 day", 8 * 86400 * 1307.4e12 * 0.5),
        ("10M-h100-hours", 1e7 * 3600 * H100 * 0.5),
        ("10M h100 hours", 1e7 * 3600 * H100 * 0.5),
        ("5000 gpu-hours", 5000 * 3600 * H100 * 0.5),
        ("2k tpu-v5e-days", 2000 * 86400 * 197e12 * 0.5),
        # Dollars over dollars per chip and hour are chip hours.
        ("$5M", 2.5e6 * 3600 * H100 * 0.5),
        ("$5,000,000", 2.5e6 * 3600 * H100 * 0.5),
        ("5 million dollars", 2.5e6 * 3600 * H100 * 0.5),
        ("$5M at $2.5/h", 2e6 * 3600 * H100 * 0.5),
        ("$5M on b200 at $4 per hour", 1.25e6 * 3600 * 2250e12 * 0.5),
    ],
)
def test_budgets(text, flops):
    assert parse_budget(text) == pytest.approx(flops, rel=1e-12)


def test_what_the_text_does_not_say_comes_from_the_terms():
    cost = Cost.on("a100", mfu=0.3, price=1.5)
    assert parse_budget("$3M", cost=cost) == pytest.approx(2e6 * 3600 * 312e12 * 0.3)
    assert parse_budget("10 gpu-days", cost=cost) == pytest.approx(10 * 86400 * 312e12 * 0.3)
    assert parse_budget("10 h100-days at 50% MFU", cost=cost) == pytest.approx(10 * 86400 * H100 * 0.5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("many", "A budget must be a finite number, got 'many'; write 3e24, '30 days on 1024 h100'"),
        ("", "A budget must be a finite number, got ''"),
        ("0", "A budget must be a positive number, got '0'"),
        ("-3e24", "must be a positive number, got '-3e24'"),
        ("1e999", "must be a finite number"),
        ("30 days", "got '30 days'; write"),
        ("30 days on 1024 q99", "Unknown hardware 'q99'; choose one of v100"),
        ("30 days on 0 h100", "The number of accelerators must be a positive number"),
        ("$0", "A sum of money must be a positive number"),
        ("1 h100-hour at 200% MFU", "MFU is a share of the peak"),
        ("7Q", "got '7Q'"),
    ],
)
def test_what_is_no_budget_is_one_sentence(text, sentence):
    with pytest.raises(lawful.UnsupportedError) as error:
        parse_budget(text)
    assert sentence in str(error.value)


@given(st.floats(1e-3, 1e30), st.sampled_from(["{:.17g}", "{:.17e}"]))
def test_every_plain_number_reads_as_itself(number, style):
    assert parse_budget(style.format(number)) == number
    assert parse_amount(style.format(number)) == number


@given(st.text("0123456789.,e$%kKMBThPF-_/ adysonr", max_size=40) | st.text(max_size=40))
def test_any_text_is_a_number_or_one_sentence(text):
    try:
        number, sentence = parse_budget(text), "."
    except lawful.LawfulError as error:
        number, sentence = 1.0, str(error)
    assert 0 < number < math.inf
    assert sentence.endswith(".")


@pytest.fixture(scope="module")
def analysis():
    truth = lawful.Surface.named("chinchilla")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20, 1e21], 7, surface=truth), noise=0.004, seed=3)
    return lawful.analyse(runs, budgets=[1e23])


class TestPoints:
    def test_equal_what_is_said_of_each_run_alone(self, analysis, capsys, tmp_path):
        fit = analysis.save(tmp_path / "fit.json")
        table = tmp_path / "candidates.csv"
        table.write_text("name,N,D\nsmall,1e9,2e10\nlarge,7e9,1.4e11\n")
        assert main(["predict", str(fit), "--points", str(table), "--out", str(tmp_path / "o"), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["schema"] == "lawful.predictions/1"
        for point in found["points"]:
            at = ["--params", str(point["params"]), "--tokens", str(point["tokens"])]
            assert main(["predict", str(fit), *at, "--json"]) == 0
            alone = json.loads(capsys.readouterr().out)
            assert {name: alone[name] for name in point} == point
        with (tmp_path / "o" / "predicted.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [row["name"] for row in rows] == ["small", "large"]
        assert [float(row["predicted_loss"]) for row in rows] == [point["loss"] for point in found["points"]]
        assert [float(row["new_run_high"]) for row in rows] == [p["prediction"]["loss"][1] for p in found["points"]]
        assert json.loads((tmp_path / "o" / "predict.json").read_text())["points"] == found["points"]

    def test_a_budget_gives_the_third_number(self, analysis):
        assert predict_points(analysis, {"C": [6e20], "N": [1e9]}).tokens == pytest.approx([1e11])

    def test_a_fit_without_intervals_predicts_without(self, analysis):
        bare = lawful.analyse(analysis.runs, draws=0)
        found = predict_points(bare, {"N": [1e9], "D": [2e10]})
        assert np.isnan(found.interval).all()
        assert found.loss == pytest.approx(bare.fit.surface.loss(1e9, 2e10))

    @pytest.mark.parametrize(
        ("table", "sentence"),
        [
            ({"N": [1e9]}, "needs two of params, tokens and budget, but the columns are N"),
            ({"N": [1e9, -1.0], "D": [1e10, 1e10]}, "negative"),
            ({"N": [1e9], "D": [float("nan")]}, "NaN"),
        ],
    )
    def test_a_table_that_is_none_is_refused(self, analysis, table, sentence):
        with pytest.raises(lawful.InputError, match=sentence):
            predict_points(analysis, table)

    def test_a_frontier_predicts_no_loss(self, analysis):
        frontier = lawful.analyse(analysis.runs, method="approach2", draws=0)
        with pytest.raises(lawful.IdentificationError, match="approach2 fits no loss surface"):
            predict_points(frontier, {"N": [1e9], "D": [2e10]})
