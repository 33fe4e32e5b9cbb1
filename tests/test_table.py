"""The door: which columns are recognised, which rows are chosen, what is refused and in which words."""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawful.data.columns import ACCEPTED, BUDGET_NAMES, EXPERIMENT_NAMES, LOSS_NAMES, PARAMS_NAMES, TOKENS_NAMES
from lawful.data.runs import Runs, distinct_budgets, group_budgets
from lawful.data.table import Handling, as_runs, groups_from_columns, runs_from_columns
from lawful.errors import InputError, UnsupportedError

N = [100_000_000, 200_000_000, 400_000_000] * 2
C = [1e18] * 3 + [1e19] * 3
D = [c / (6 * n) for n, c in zip(N, C, strict=True)]
L = [3.0, 2.9, 2.95, 2.8, 2.6, 2.55]


def table(**changes: Any) -> dict[str, Any]:
    return {"params": N, "tokens": D, "budget": C, "loss": L} | changes


def codes(runs: Runs) -> list[str]:
    return [note.code for note in runs.notes]


def note(runs: Runs, code: str) -> str:
    return next(note.message for note in runs.notes if note.code == code)


# Recognised names


@pytest.mark.parametrize("name", PARAMS_NAMES)
def test_names_of_params(name: str) -> None:
    runs = runs_from_columns({name: N, "tokens": D, "loss": L})
    assert runs.columns["params"] == name
    assert runs.N.tolist() == N


@pytest.mark.parametrize("name", TOKENS_NAMES)
def test_names_of_tokens(name: str) -> None:
    assert runs_from_columns({"params": N, name: D, "loss": L}).D.tolist() == D


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_names_of_loss(name: str) -> None:
    assert runs_from_columns({"params": N, "tokens": D, name: L}).L.tolist() == L


@pytest.mark.parametrize("name", BUDGET_NAMES)
def test_names_of_budget(name: str) -> None:
    assert runs_from_columns({"params": N, name: C, "loss": L}).C.tolist() == C


@pytest.mark.parametrize("spelling", ["  PARAMS ", "Model Size", "model-size", "Parameter_Count", "n"])
def test_names_are_matched_without_regard_to_case_and_blanks(spelling: str) -> None:
    runs = runs_from_columns({spelling: N, "Training FLOP": C, "Val_Loss": L})
    assert runs.columns == {"params": spelling.strip(), "budget": "Training FLOP", "loss": "Val_Loss"}


def test_no_name_serves_two_quantities() -> None:
    names = [name.casefold() for accepted in ACCEPTED.values() for name in accepted]
    assert len(names) == len(set(names))


# The misfitting survey's header: neither C_6ND nor train_tokens makes it ambiguous.
def test_a_log_with_many_counts_of_the_same_thing_is_not_ambiguous() -> None:
    extra = {"N_no_emb": N, "C_no_emb": C, "C_6ND": C, "C_6ND_no_emb": C, "train_tokens": D, "C4 Eval Loss": L}
    runs = runs_from_columns({"loss": L, "N": N, "D": D, "C": C} | extra)
    assert runs.columns == {"params": "N", "tokens": "D", "loss": "loss", "budget": "C"}
    assert list(runs.labels) == list(extra)


def test_two_columns_for_one_quantity_are_refused() -> None:
    both = table(flops=C)
    with pytest.raises(InputError, match=r"2 columns look like budget: 'budget', 'flops'; choose .*`columns` budget="):
        runs_from_columns(both)
    assert runs_from_columns(both, mapping={"budget": "flops"}).columns["budget"] == "flops"


def test_a_name_that_the_header_repeats_is_refused_only_where_it_is_used() -> None:
    columns = {"N": N, "D": D, "loss": L, "loss.1": L}
    with pytest.raises(InputError, match="2 columns named 'loss'; rename all but one"):
        runs_from_columns(columns, header=["N", "D", "loss", "loss"])
    spare = {"N": N, "D": D, "loss": L, "lr": L, "lr.1": L}
    assert list(runs_from_columns(spare, header=["N", "D", "loss", "lr", "lr"]).labels) == ["lr", "lr.1"]
    with pytest.raises(InputError, match="2 columns named 'lr', which `select` names"):
        runs_from_columns(spare, header=["N", "D", "loss", "lr", "lr"], select={"lr": 3.0})


def test_a_frame_with_a_repeated_name_is_refused() -> None:
    frame = pd.DataFrame([[1e8, 2e9, 3.0, 3.1]], columns=["N", "D", "loss", "loss"])
    with pytest.raises(InputError, match="2 columns named 'loss'"):
        as_runs(frame)


def test_missing_quantities_list_what_was_found_and_what_is_accepted() -> None:
    with pytest.raises(
        InputError, match=r"columns breadth, epoch give none of them: params may be called params, N, .*"
    ) as e:
        runs_from_columns({"breadth": N, "epoch": D})
    for word in ("n_tokens", "val_loss", "flops", "`columns` params=COLUMN"):
        assert word in str(e.value)
    with pytest.raises(
        InputError, match=r"columns N, D, val give params \('N'\) and tokens \('D'\): loss may be called"
    ):
        runs_from_columns({"N": N, "D": D, "val": L})
    with pytest.raises(
        InputError, match=r"two of params, tokens and budget, .* give params \('N'\) and loss \('loss'\)"
    ):
        runs_from_columns({"N": N, "loss": L})


def test_a_wide_header_is_cut_short_in_messages() -> None:
    with pytest.raises(InputError, match=r"m18, m19 and 80 more give none"):
        runs_from_columns({f"m{i}": L for i in range(100)})


# Overrides


@pytest.mark.parametrize("quantity", ["params", "N", "n", " Params "])
def test_an_override_wins_over_a_recognised_name(quantity: str) -> None:
    other = [2 * n for n in N]
    runs = runs_from_columns({"N": N, "N_no_emb": other, "D": D, "loss": L}, mapping={quantity: "N_no_emb"})
    assert runs.N.tolist() == other
    assert list(runs.labels) == ["N"]


def test_an_overridden_column_serves_no_other_quantity() -> None:
    with pytest.raises(InputError, match=r"give params \('D'\) and loss"):
        runs_from_columns({"D": D, "loss": L}, mapping={"params": "D"})


@pytest.mark.parametrize(
    ("mapping", "error", "message"),
    [
        ({"parms": "params"}, UnsupportedError, r"cannot set 'parms'; the quantities are params, tokens, loss, budget"),
        ({"params": "params", "N": "tokens"}, UnsupportedError, "sets params twice"),
        (
            {"params": "size"},
            InputError,
            "no column 'size', which `columns` names; its columns are params, tokens, bud",
        ),
        ({"params": "tokens", "tokens": "tokens"}, InputError, "names 'tokens' for both params and tokens"),
    ],
)
def test_an_override_that_cannot_be_is_refused(mapping: dict[str, str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        runs_from_columns(table(), mapping=mapping)


# The third of N, D and C


@pytest.mark.parametrize(("quantity", "others"), [("params", "DC"), ("tokens", "NC"), ("budget", "ND")])
def test_the_third_quantity_is_derived_and_said(quantity: str, others: str) -> None:
    columns = {"N": N, "D": D, "C": C, "loss": L}
    runs = runs_from_columns({name: columns[name] for name in (*others, "loss")})
    for name, array in (("N", runs.N), ("D", runs.D), ("C", runs.C)):
        np.testing.assert_allclose(array, columns[name], rtol=1e-15)
    verb = "was" if quantity == "budget" else "were"
    assert quantity not in runs.columns
    assert note(runs, "derived_column") == (
        f"The table has no {quantity} column: {quantity} {verb} derived from C = 6ND, "
        f"out of columns '{others[0]}' and '{others[1]}'."
    )


def test_integers_are_floats_before_any_product() -> None:
    big = np.array([7_000_000_000_000, 3_000_000_000_000])
    runs = runs_from_columns({"N": big, "D": big, "loss": [2.0, 2.1]})
    assert runs.C.tolist() == [6 * float(n) * float(n) for n in big]
    with pytest.raises(
        InputError, match=r"gives no budget that a float can hold for 1 of 2 runs: row 2 \(inf\); check"
    ):
        runs_from_columns({"N": [1e8, 1e200], "D": [1e9, 1e200], "loss": [2.0, 2.1]}, handling=Handling(as_is=True))


def test_flops_of_another_convention_are_noted() -> None:
    forward = [c / 3 for c in C]
    runs = runs_from_columns(table(budget=forward))
    assert runs.C.tolist() == forward
    assert "'budget' by more than 10% in 6 of 6 runs (the former over the latter is 3.00" in note(
        runs, "flops_mismatch"
    )
    within = [c * 1.09 for c in C]
    assert codes(runs_from_columns(table(budget=within))) == []


# Budget groups


def test_nominal_budgets_are_the_groups_and_need_no_note() -> None:
    runs = runs_from_columns(table())
    assert codes(runs) == []
    assert runs.budgets.tolist() == [1e18, 1e19]
    assert runs.group.tolist() == [0, 0, 0, 1, 1, 1]


def test_nominal_budgets_closer_than_a_tenth_stay_apart() -> None:
    close = [1.00e18] * 3 + [1.05e18] * 3
    assert runs_from_columns({"N": N, "C": close, "loss": L}).budgets.tolist() == [1e18, 1.05e18]


def test_rounding_makes_no_new_nominal_budget() -> None:
    runs = runs_from_columns(table(budget=[c * (1 + i * 1e-11) for i, c in enumerate(C)]))
    assert runs.budgets.size == 2


def test_measured_flops_are_grouped_within_a_tenth_and_said() -> None:
    measured = [1.00e18, 1.03e18, 0.97e18, 1e19, 1.04e19, 0.98e19]
    runs = runs_from_columns({"N": N, "flops": measured, "loss": L})
    assert runs.group.tolist() == [0, 0, 0, 1, 1, 1]
    message = note(runs, "budget_groups")
    assert message.startswith(
        "Column 'flops' holds no nominal budgets (only 0% of the runs share theirs across sizes), so runs"
    )
    assert "within 10% in compute form one budget: 6 runs, 2 groups." in message
    derived = runs_from_columns({"N": N, "D": D, "loss": L})
    assert note(derived, "budget_groups") == "Runs within 10% in compute form one budget: 6 runs, 2 groups."


def test_half_of_the_runs_at_shared_values_make_a_column_nominal() -> None:
    half = [1e18, 1e18, 1e18, 2e18, 3e18, 4e18]
    assert runs_from_columns({"N": N, "C": half, "loss": L}).budgets.tolist() == [1e18, 2e18, 3e18, 4e18]
    less = [1e18, 1e18, 1.5e18, 2e18, 3e18, 4e18]
    assert "budget_groups" in codes(runs_from_columns({"N": N, "C": less, "loss": L}))


def test_runs_exactly_a_tenth_apart_are_one_budget() -> None:
    for scale in (1.0, 3e17, 7.7e21):
        assert group_budgets(np.array([scale, 1.1 * scale]))[1].size == 1
        assert group_budgets(np.array([scale, 1.101 * scale]))[1].size == 2


@given(
    st.lists(st.sampled_from([1e18, 1.0000000001e18, 1.05e18, 1.2e18, 3e18, 3.3e18, 1e19]), min_size=1, max_size=25),
    st.integers(0, 2**32 - 1),
)
def test_the_order_of_the_rows_changes_no_group(compute: list[float], seed: int) -> None:
    values = np.array(compute)
    order = np.random.default_rng(seed).permutation(values.size)
    columns = {"C": values, "N": np.full(values.size, 1e8), "L": np.ones(values.size)}
    straight = runs_from_columns(columns)
    shuffled = runs_from_columns({name: column[order] for name, column in columns.items()})
    assert shuffled.budgets.tolist() == straight.budgets.tolist()
    assert shuffled.group.tolist() == straight.group[order].tolist()
    assert [n.message for n in shuffled.notes] == [n.message for n in straight.notes]
    assert distinct_budgets(values[order])[1].tolist() == distinct_budgets(values)[1].tolist()


def test_seeds_of_one_run_share_their_flops_and_are_no_nominal_budget() -> None:
    sizes = np.repeat([1e6, 2e6, 4e6] * 2, 3)
    flops = np.repeat([1.000e15, 1.004e15, 0.998e15, 1.001e16, 0.997e16, 1.003e16], 3)
    assert distinct_budgets(flops)[2] == 1.0
    assert distinct_budgets(flops, sizes)[2] == 0.0
    table = {"params": sizes, "tokens": flops / (6 * sizes), "flops": flops, "loss": np.linspace(3, 2, 18)}
    runs = as_runs(pd.DataFrame(table))
    assert runs.budgets.size == 2
    (note,) = [note for note in runs.notes if note.code == "budget_groups"]
    assert "only 0% of the runs share theirs across sizes" in note.message


def test_checkpoints_along_the_same_budgets_are_no_seeds_of_a_sweep() -> None:
    # Curves logged at the same steps share their FLOPs within a size, but form no budgets far from each other.
    flops = np.repeat(1e18 * 1.2 ** np.arange(12), 2)
    sizes = np.repeat([1e8, 2e8, 4e8], 8)
    columns = {"N": sizes, "C": flops, "loss": np.linspace(3, 2, 24)}
    assert runs_from_columns(columns).budgets.size == 12


# Labels and the record


def test_every_other_column_is_kept_in_order() -> None:
    runs = runs_from_columns(
        {"run": ["001", "NA", None, "d", "e", "f"], **table(), "lr": [1, 2, 3, 4, 5, 6], "ok": [True] * 6}
    )
    assert list(runs.labels) == ["run", "lr", "ok"]
    assert runs.labels["run"].tolist() == ["001", "NA", "", "d", "e", "f"]
    assert runs.labels["lr"].dtype.kind == "i"
    assert runs.labels["ok"].dtype.kind == "b"
    assert list(runs.table) == ["run", "params", "tokens", "budget", "loss", "lr", "ok"]
    assert runs.table["params"].tolist() == N
    assert runs.row.tolist() == [1, 2, 3, 4, 5, 6]
    some = runs.take(np.array([4, 0]))
    assert some.row.tolist() == [5, 1]
    assert some.table["run"].tolist() == ["e", "001"]


def test_the_caller_keeps_the_right_to_change_its_arrays() -> None:
    loss = np.array(L)
    label = np.arange(6)
    runs = runs_from_columns(table(loss=loss, seed=label))
    loss[0], label[0] = 9.0, 9
    assert runs.L[0] == 3.0
    assert runs.labels["seed"][0] == 0
    with pytest.raises(ValueError, match="read-only"):
        runs.labels["seed"][0] = 1
    Runs.from_arrays(loss, loss, loss)
    assert loss.flags.writeable


# Selection


@pytest.fixture
def sweeps() -> dict[str, Any]:
    return table(experiment=["a", "a", "a", "b", "b", "c"], seed=[1, 2, 3, 1, 2, 3], lr=[0.1, 0.2, 0.3, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("select", "rows"),
    [
        ({"experiment": "a"}, [1, 2, 3]),
        ({"experiment": ["a", "c"]}, [1, 2, 3, 6]),
        ({"experiment": "a", "seed": "2"}, [2]),
        ({"budget": "1e19"}, [4, 5, 6]),
        ({"budget": 1e18}, [1, 2, 3]),
        ({"budget": "10000000000000000000"}, [4, 5, 6]),
        ({"seed": "1.0"}, [1, 4]),
        ({"lr": "0.30"}, [3, 6]),
        ({"Experiment ": " b "}, [4, 5]),
        ({"seed": np.array([1, 3])}, [1, 3, 4, 6]),
    ],
)
def test_selection(sweeps: dict[str, Any], select: dict[str, Any], rows: list[int]) -> None:
    assert runs_from_columns(sweeps, select=select).row.tolist() == rows


def test_selection_is_recorded(sweeps: dict[str, Any]) -> None:
    runs = runs_from_columns(sweeps, select={"experiment": ["a", "b"], "budget": 1e19})
    assert runs.selection == {"experiment": "a, b", "budget": "1e+19"}


@pytest.mark.parametrize(
    ("select", "error", "message"),
    [
        (
            {"exp": "a"},
            InputError,
            "no column 'exp', which `select` names; its columns are params, .*, experiment, seed",
        ),
        ({"experiment": "d"}, InputError, "No run has experiment=d; the values present are a, b, c."),
        ({"experiment": ["a", "d"]}, InputError, "No run has experiment=d; the values present are a, b, c."),
        ({"budget": "tiny"}, InputError, r"No run has budget=tiny; the values present are 1e\+18, 1e\+19."),
        ({"experiment": "c", "seed": 1}, InputError, "No run has experiment=c and seed=1 together, though each value"),
        ({"experiment": []}, UnsupportedError, "The selection on 'experiment' asks for no value"),
    ],
)
def test_a_selection_of_nothing_is_refused(
    sweeps: dict[str, Any], select: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        runs_from_columns(sweeps, select=select)


def test_only_the_first_values_are_offered() -> None:
    columns = {
        "N": np.full(30, 1e8),
        "D": np.full(30, 1e9),
        "loss": np.full(30, 3.0),
        "run": [f"r{i}" for i in range(30)],
    }
    with pytest.raises(InputError, match=r"the values present are r0, .*, r9 and 20 more."):
        runs_from_columns(columns, select={"run": "x"})


def test_broken_rows_of_other_experiments_do_not_matter(sweeps: dict[str, Any]) -> None:
    broken = sweeps | {"loss": ["3.0", "2.9", "2.95", "diverged", "nan", "-1"]}
    assert runs_from_columns(broken, select={"experiment": "a"}).L.tolist() == L[:3]


def test_a_budget_is_selected_as_a_number_even_in_a_column_with_text() -> None:
    columns = table(budget=["1e18", "1E+18", "1000000000000000000", "1e19", "?", "1e19"])
    assert runs_from_columns(columns, select={"budget": "1e18"}).row.tolist() == [1, 2, 3]
    assert runs_from_columns(table(run=["1", "01", "1.0", "a", "b", "c"]), select={"run": "1"}).row.tolist() == [1]


def test_rows_are_numbered_as_in_the_whole_table(sweeps: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"1 of 2 runs has .*: column 'loss', row 5 \(nan\)"):
        runs_from_columns(sweeps | {"loss": [*L[:4], math.nan, L[5]]}, select={"experiment": "b"})


# Several experiments


def test_several_experiments_are_named(sweeps: dict[str, Any]) -> None:
    message = note(runs_from_columns(sweeps), "several_experiments")
    assert message == (
        "The table holds 3 experiments taken as one (column 'experiment': a, b, c); "
        "choose one (select experiment=VALUE), or fit each (by experiment)."
    )
    assert codes(runs_from_columns(sweeps, select={"experiment": "a"})) == []
    assert codes(runs_from_columns(sweeps, select={"experiment": ["a", "b"]})) == []


@pytest.mark.parametrize(
    ("column", "values", "noted"),
    [
        ("Dataset", ["web", "web", "web", "web", "web", "books"], True),
        ("dataset", ["web"] * 6, False),
        ("lr", [1, 2, 3, 4, 5, 6], False),
        ("seed", [1, 2, 1, 2, 1, 2], False),
        ("run", list("abcdef"), False),
    ],
)
def test_only_columns_that_tell_experiments_apart_are_flagged(column: str, values: list[Any], noted: bool) -> None:
    assert ("several_experiments" in codes(runs_from_columns(table(**{column: values})))) is noted


def test_a_column_that_differs_in_every_run_tells_no_experiments_apart() -> None:
    n = 51
    columns = {
        "N": np.full(n, 1e8),
        "C": np.full(n, 1e18),
        "loss": np.full(n, 3.0),
        "sweep": [f"s{i}" for i in range(n)],
    }
    assert codes(runs_from_columns(columns)) == ["derived_column"]


# Groups


def test_groups_come_in_order_of_first_appearance() -> None:
    columns = table(data=["web", "books", "web", "books", "", "web"])
    groups = groups_from_columns(columns, by="data")
    assert {name: runs.row.tolist() for name, runs in groups.items()} == {
        "web": [1, 3, 6],
        "books": [2, 4],
        "(missing)": [5],
    }
    assert groups["web"].selection == {"data": "web"}
    assert list(groups_from_columns(table(), by="budget")) == ["1e+18", "1e+19"]
    assert list(groups_from_columns(columns, by="data", select={"budget": 1e19})) == ["books", "(missing)", "web"]


def test_groups_name_the_one_that_is_broken_and_the_column_that_is_missing() -> None:
    with pytest.raises(InputError, match=r"In the runs with data=b: 1 of 3 runs has .* column 'loss', row 4 \(0\)"):
        groups_from_columns(table(data=list("aaabbb"), loss=[*L[:3], 0.0, *L[4:]]), by="data")
    with pytest.raises(InputError, match="no column 'sweep', which `by` names; its columns are params"):
        groups_from_columns(table(), by="sweep")


# Values that are refused


@pytest.mark.parametrize("quantity", ["params", "tokens", "budget", "loss"])
@pytest.mark.parametrize(("bad", "shown"), [(math.nan, "nan"), (math.inf, "inf"), (0.0, "0"), (-2.5, "-2.5")])
def test_a_number_that_cannot_be_is_refused_with_its_row(quantity: str, bad: float, shown: str) -> None:
    values = [float(v) for v in table()[quantity]]
    values[1] = values[4] = bad
    message = (
        f"2 of 6 runs have NaN, infinity, zero or a negative number .*: column '{quantity}', "
        rf"row 2 \({shown}\), row 5 \({shown}\); repair or remove such rows, or set them aside with `check`, "
        r"or with `drop` nan."
    )
    with pytest.raises(InputError, match=message):
        runs_from_columns(table(**{quantity: values}))


def test_every_broken_column_is_named_and_long_lists_are_cut() -> None:
    message = (
        r"6 of 6 runs have .*: column 'tokens', row 6 \(nan\); "
        r"column 'loss', row 1 \(-1\), row 2 \(-1\), row 3 \(-1\) and 2 more; repair"
    )
    with pytest.raises(InputError, match=message):
        runs_from_columns(table(tokens=[*D[:5], None], loss=[-1.0] * 5 + [2.0]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [3.0, "diverged", 2.95, 2.8, "OOM", 2.55],
            r"2 of 6 rows hold text: row 2 \('diverged'\), row 5 \('OOM'\)",
        ),
        (
            ["70 apples", "1,00,000", "1e9", "1", "1", "1"],
            r"2 of 6 rows hold text: row 1 \('70 apples'\), row 2 \('1,00,000'\); write plain numbers .* 7e9",
        ),
        ([True, False, True, True, True, True], r"6 of 6 rows hold text: row 1 \('True'\).* and 3 more"),
        ([3.0, True, 2.95, 2.8, 2.6, 2.55], r"1 of 6 rows hold text: row 2 \('True'\)"),
        (np.array(["2024-01-01"] * 6, dtype="datetime64[ns]"), r"6 of 6 rows hold text: row 1 \('2024-01-01"),
        ([[3.0, 1.0]] * 6, r"6 of 6 rows hold text: row 1 \('\[3.0, 1.0\]'\)"),
        ([3.0, 1j, 2.95, 2.8, 2.6, 2.55], r"1 of 6 rows hold text: row 2 \('1j'\)"),
    ],
)
def test_text_in_a_numeric_column_is_refused_with_the_first_rows(values: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"Column 'loss' must hold numbers, but {message}"):
        runs_from_columns(table(loss=values))


@pytest.mark.parametrize("word", ["", "NA", "n/a", "NaN", "null", "None", "-", None, pd.NA, pd.NaT])
def test_a_word_for_a_missing_number_is_a_missing_number(word: Any) -> None:
    with pytest.raises(InputError, match=r"1 of 6 runs has NaN, .*: column 'loss', row 2 \(nan\)"):
        runs_from_columns(table(loss=["3.0", word, "2.95", "2.8", "2.6", "2.55"]))


def test_numbers_in_text_with_blanks_around_them_are_numbers() -> None:
    runs = runs_from_columns(table(loss=["3.0 ", " 2.9", "2.95", "28e-1", "2.6", "2.55"]))
    assert runs.L.tolist() == L


def test_huge_integers_are_floats() -> None:
    budgets = [10**25, 3 * 10**25, 10**25]
    runs = runs_from_columns({"N": [10**11] * 3, "C": budgets, "loss": L[:3]})
    assert runs.C.tolist() == [1e25, 3e25, 1e25]
    with pytest.raises(InputError, match=r"column 'C', row 2 \(inf\)"):
        runs_from_columns({"N": [10**11] * 3, "C": [10**25, 10**400, 10**25], "loss": L[:3]})
    with pytest.raises(InputError, match=r"No run has C=10{400}; the values present"):
        runs_from_columns({"N": [10**11] * 3, "C": budgets, "loss": L[:3]}, select={"C": str(10**400)})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "The table has no columns."),
        ({"N": [], "D": [], "loss": []}, "The table has no rows; its columns are N, D, loss."),
        ({"N": [1.0], "D": [1.0, 2.0], "loss": [1.0]}, "The columns differ in length: N 1, D 2, loss 1."),
        ({"N": 1.0, "D": [1.0], "loss": [1.0]}, "Column 'N' is not a flat list of values; give one value per run."),
        ({"N": np.ones((2, 2)), "D": [1.0], "loss": [1.0]}, "Column 'N' is not a flat list of values"),
        ({"N": "1e9", "D": [1.0], "loss": [1.0]}, "Column 'N' is not a flat list of values"),
    ],
)
def test_a_table_without_runs_is_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        runs_from_columns(columns)


# Weights


def test_weights_are_a_column() -> None:
    runs = runs_from_columns(table(w=[1, 0, 1, 2, 1, 1]), weights="w")
    assert runs.weight.tolist() == [1.0, 0.0, 1.0, 2.0, 1.0, 1.0]
    assert runs.columns["weight"] == "w"
    assert "w" not in runs.labels
    assert runs_from_columns(table()).weight.tolist() == [1.0] * 6


@pytest.mark.parametrize(
    ("w", "message"),
    [
        ([1, 1, -1, 1, 1, 1], r"finite and not negative, but 1 of 6 in column 'w' are not: row 3 \(-1\)"),
        ([1, 1, math.nan, 1, 1, math.inf], r"2 of 6 in column 'w' are not: row 3 \(nan\), row 6 \(inf\)"),
        ([0] * 6, "All 6 weights in column 'w' are zero"),
        (["big"] + [1] * 5, r"Column 'w' must hold numbers, but 1 of 6 rows hold text: row 1 \('big'\)"),
    ],
)
def test_weights_that_cannot_be_are_refused(w: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        runs_from_columns(table(w=w), weights="w")


def test_a_missing_weight_column_is_named() -> None:
    with pytest.raises(InputError, match="no column 'w', which `weights` names; its columns are params, tokens"):
        runs_from_columns(table(), weights="w")


# What counts as a table


def test_runs_pass_through_and_tables_are_taken_by_their_shape() -> None:
    runs = as_runs(table())
    assert as_runs(runs) is runs
    assert as_runs(pd.DataFrame(table())).sha256 == runs.sha256
    columns = table()
    as_object = type("Frame", (SimpleNamespace,), {"__getitem__": lambda self, name: columns[name]})(
        columns=list(columns)
    )
    assert as_runs(as_object).sha256 == runs.sha256
    masked = np.ma.masked_array(L, mask=[False, True] + [False] * 4)
    with pytest.raises(InputError, match=r"column 'loss', row 2 \(nan\)"):
        as_runs(table(loss=masked))
    with np.errstate(invalid="ignore"):  # pandas 2.2 casts its own gaps
        nullable = pd.DataFrame(table()).convert_dtypes()
    assert as_runs(nullable).sha256 == runs.sha256
    with pytest.raises(InputError, match="a dict of columns or a list of records, not from 'int'"):
        as_runs(7)


def test_the_documented_names_are_the_accepted_ones(repository: Path) -> None:
    page = (repository / "docs" / "bring-your-runs.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE)
    assert {quantity: tuple(names.split(", ")) for quantity, names in rows} == ACCEPTED
    assert "`, `".join(EXPERIMENT_NAMES[:-1]) in " ".join(page.split())
