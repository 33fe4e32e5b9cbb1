"""What a number must be before anything is computed from it."""

from __future__ import annotations

import numpy as np
import pytest

import lawful
from lawful.core.validation import check_budget, check_draws, check_level, is_positive, positive
from lawful.errors import UnsupportedError

NO_NUMBERS = [0, -1.0, float("nan"), float("inf"), "1e21", None, [1e21, 1e22], 10**400]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_positive_number_gets_one_sentence(value: object) -> None:
    assert not is_positive(value)
    with pytest.raises(UnsupportedError, match=r"^A budget is a positive number of FLOPs, got "):
        check_budget(value)
    with pytest.raises(UnsupportedError, match=r"^width must be a positive number, got "):
        positive("width", value)
    with pytest.raises(UnsupportedError, match=r"^The level of an interval lies between 0 and 1, got "):
        check_level(value)


@pytest.mark.parametrize("value", [3, 3.0, np.float64(3), np.int64(3), np.array(3.0)], ids=repr)
def test_any_kind_of_number_is_a_number(value: object) -> None:
    assert check_budget(value) == positive("width", value) == 3.0


@pytest.mark.parametrize("value", [-1, 10.5, "10", None, float("nan")], ids=repr)
def test_draws_are_a_whole_number(value: object) -> None:
    with pytest.raises(
        UnsupportedError, match=r"^The number of bootstrap draws must be a whole number, and not negative"
    ):
        check_draws(value)
    with pytest.raises(UnsupportedError, match=r"^The number of bootstrap draws must be a positive whole number"):
        check_draws(0, least=1)
    assert check_draws(np.int64(7)) == 7


@pytest.mark.parametrize("ask", ["allocate", "analyse", "forecast", "indifference", "asymptote_dial", "deadweight"])
def test_every_verb_refuses_a_budget_that_is_none(ask: str) -> None:
    truth = lawful.Surface.named("chinchilla")
    runs = lawful.simulate(truth, lawful.Plan.isoflop([1e18, 1e19, 1e20], 5, surface=truth), noise=0.01)
    fit = lawful.fit(runs)
    calls = {
        "allocate": lambda: truth.allocate("much"),
        "analyse": lambda: lawful.analyse(runs, budgets=["much"], draws=0),
        "forecast": lambda: fit.forecast(["much"]),
        "indifference": lambda: fit.indifference("much"),
        "asymptote_dial": lambda: fit.dial("much"),
        "deadweight": lambda: lawful.deadweight(truth, 1e10, "much"),
    }
    with pytest.raises(UnsupportedError, match=r"^A budget is a positive number of FLOPs, got 'much'"):
        calls[ask]()
