"""Formulas as text: what is read, what is refused, and slopes that agree with a step along the imaginary axis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawful.core.expression import Tape, evaluate, parse, to_text
from lawful.errors import InputError

FORMULAS = (
    "E + A/N^alpha + B/D^beta",
    "L0 + ((a*N^(-alpha))^q + (b*D^(-beta))^q)^(1/q)",
    "E + A*N^-alpha*(1 + C*log(D)) - 0.5*min(N, D)^0.1",
    "exp(a - alpha*log(N)) + sqrt(B)/D^beta + abs(E - log(N))",
    "A*max(N^alpha, C*D^beta)^(-q) + E",
    "-N^2 + 2^-alpha - -E",
)


@pytest.fixture(scope="module")
def values() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    names = ("E", "A", "B", "C", "L0", "a", "b", "q", "alpha", "beta")
    return {n: rng.uniform(0.2, 1.5, (3, 1)) for n in names} | {n: rng.uniform(1.5, 9.0, 4) for n in ("N", "D")}


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_means_what_python_makes_of_it(text, values):
    names = {"log": np.log, "exp": np.exp, "sqrt": np.sqrt, "abs": np.abs, "min": np.minimum, "max": np.maximum}
    expected = eval(text.replace("^", "**"), names, values)
    np.testing.assert_allclose(evaluate(parse(text), values), expected, rtol=1e-13)


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_written_as_it_is_read(text):
    once = parse(text)
    assert parse(to_text(once)) == once


@pytest.mark.parametrize("text", FORMULAS)
def test_slopes_agree_with_a_step_along_the_imaginary_axis(text, values):
    tape = Tape(parse(text))
    wanted = sorted(parse(text).names - {"N", "D"})
    found = tape.back(tape.run(values), [1.0], wanted)
    for name in wanted:
        moved = tape.run(values | {name: values[name] + 1e-25j})[tape.outputs[0]]
        slope = np.broadcast_to(found[name], moved.shape)
        np.testing.assert_allclose(slope, np.imag(moved) / 1e-25, rtol=1e-11, atol=1e-12)


def test_common_parts_are_evaluated_once():
    assert sum(step.kind == "log" for step in Tape(parse("A*log(N) + B*log(N)*log(D)")).steps) == 2


def test_a_power_of_zero_has_no_slope():
    tape = Tape(parse("max(x - 1, 0)^c"))
    found = tape.back(tape.run({"x": np.array([0.5, 3.0]), "c": 1.5}), [1.0], ["c"])
    assert found["c"][0] == 0.0
    assert found["c"][1] == pytest.approx(2**1.5 * np.log(2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The formula is empty"),
        ("   ", "The formula is empty"),
        ("A*", "it ends where a number, a name or a parenthesis is needed"),
        ("(A + B", "a closing parenthesis is missing"),
        ("A B", "'B' was not expected"),
        ("sin(N)", "'sin' is no function here; there are log, exp"),
        ("log(A, B)", "log takes one argument, not 2"),
        ("max(A)", "max takes two or more, not 1"),
        ("A; import os", "';' has no meaning here"),
        ("__import__('os')", "'__import__' is no function here"),
        ("A.real", "has no meaning here"),
        ("A[0]", "has no meaning here"),
        ("1 + $x", r"at position 5: '\$' has no meaning here"),
        ("(" * 100 + "A" + ")" * 100, "more than 60 signs, powers or parentheses"),
        ("A" + "+A" * 3000, "has 6001 characters; at most 4000"),
        ("-" * 3000 + "A", "more than 60 signs"),
        ("A/0", "divides by zero"),
        ("1e999*A", "too large"),
        ("2^" * 1500 + "A", "more than 60"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(text, message):
    with pytest.raises(InputError, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(alphabet="AN01.e+-*/^(),<>=' logexpmin`&;[]", max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        found = parse(text)
    except InputError:
        return
    assert parse(to_text(found)) == found


def test_conditions_compare_numbers_and_text():
    table = {"loss": np.array([2.0, 5.0, 3.0]), "state": np.array(["ok", "ok", "crashed"], dtype=object)}
    assert evaluate(parse("loss < 4 and state == 'ok'"), table).tolist() == [True, False, False]
    assert evaluate(parse('not (loss < 4) or state != "ok"'), table).tolist() == [False, True, True]


def test_a_column_with_a_strange_name_stands_in_backquotes():
    assert evaluate(parse("`loss (nats)` * 2"), {"loss (nats)": 1.5}) == 3.0


def test_an_unknown_name_is_named():
    with pytest.raises(InputError, match="names 'tokns', which is not there"):
        evaluate(parse("tokns*1e9"), {"tokens": 1.0})
