"""Runs: frozen columns, budget groups, and the hash that says which numbers were fitted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawful.core.notes import NOTE_CODES, Note, Status
from lawful.data.runs import BUDGET_TOLERANCE, Runs, group_budgets

N = np.array([1e8, 2e8, 4e8, 1e8, 2e8, 4e8])
L = np.array([3.0, 2.9, 2.95, 2.8, 2.6, 2.55])
C = np.repeat([1e18, 1e19], 3)


@pytest.fixture
def runs() -> Runs:
    labels = {"family": np.array(["x", "x", "y", "y", "y", "x"])}
    return Runs.from_arrays(N, C / (6 * N), L, C=C, labels=labels, source="here")


def test_nominal_budgets_make_the_groups(runs: Runs) -> None:
    assert runs.budgets.tolist() == [1e18, 1e19]
    assert runs.group.tolist() == [0, 0, 0, 1, 1, 1]
    assert runs.sizes_per_budget.tolist() == [3, 3]
    assert repr(runs) == "Runs(6 runs, 2 budgets, source='here')"


def test_without_budgets_compute_is_6nd_and_groups_are_found() -> None:
    wobble = np.array([1.0, 1.03, 0.98, 1.0, 0.97, 1.04])
    runs = Runs.from_arrays(N, C * wobble / (6 * N), L)
    np.testing.assert_allclose(runs.C, C * wobble, rtol=1e-15)
    assert runs.group.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(runs.budgets[0], 1e18 * np.prod(wobble[:3]) ** (1 / 3), rtol=1e-14)


def test_nothing_in_a_table_of_runs_can_be_changed(runs: Runs) -> None:
    for name in ("N", "D", "L", "C", "weight", "group", "budgets"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(runs, name)[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'N'"):
        runs.N = N


def test_take_keeps_rows_and_labels_together_and_drops_empty_budgets(runs: Runs) -> None:
    some = runs.take(np.array([5, 3]))
    assert some.N.tolist() == [4e8, 1e8]
    assert some.L.tolist() == [2.55, 2.8]
    assert some.labels["family"].tolist() == ["x", "y"]
    assert some.budgets.tolist() == [1e19]
    assert some.group.tolist() == [0, 0]
    assert runs.take(runs.N < 3e8).N.tolist() == [1e8, 2e8, 1e8, 2e8]


def test_notes_are_added_to_a_copy(runs: Runs) -> None:
    noted = runs.with_notes(Note("one_budget", "First."), Note("pinned", "Second."))
    assert [note.code for note in noted.notes] == ["one_budget", "pinned"]
    assert runs.notes == ()


def test_the_hash_depends_on_the_numbers_alone(runs: Runs) -> None:
    again = Runs.from_arrays(N.copy(), C / (6 * N), L, C=C, source="elsewhere")
    assert again.sha256 == runs.sha256
    assert len(runs.sha256) == 64
    nudged = L.copy()
    nudged[0] = np.nextafter(nudged[0], 9)
    assert Runs.from_arrays(N, C / (6 * N), nudged, C=C).sha256 != runs.sha256
    assert Runs.from_arrays(N, C / (6 * N), L, C=C, weight=np.full(6, 2.0)).sha256 != runs.sha256


@given(st.lists(st.floats(17, 22), min_size=1, max_size=40))
def test_every_group_is_narrow_and_every_budget_is_its_geometric_mean(log_c: list[float]) -> None:
    compute = 10 ** np.array(log_c)
    group, budgets = group_budgets(compute)
    assert group.shape == compute.shape
    assert sorted(set(group.tolist())) == list(range(budgets.size))
    assert (np.diff(budgets) > 0).all()
    for g in range(budgets.size):
        members = compute[group == g]
        # A cluster no wider than ±10% around its centre stays whole.
        assert members.max() / members.min() <= (1 + BUDGET_TOLERANCE) ** 2 * (1 + 1e-12)
        assert budgets[g] == pytest.approx(np.exp(np.log(members).mean()), rel=1e-12)


@given(st.lists(st.floats(17, 22), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_budget_groups_do_not_depend_on_the_order_of_the_rows(log_c: list[float], random: object) -> None:
    compute = 10 ** np.array(log_c)
    order = np.arange(compute.size)
    random.shuffle(order)
    group, budgets = group_budgets(compute)
    shuffled, same = group_budgets(compute[order])
    assert (shuffled == group[order]).all()
    np.testing.assert_allclose(same, budgets, rtol=1e-12)


def test_digitised_budgets_a_few_percent_apart_are_one_group() -> None:
    rng = np.random.default_rng(0)
    nominal = np.repeat([6e18, 1e19, 3e19, 6e19], 9)
    group, budgets = group_budgets(nominal * rng.uniform(0.96, 1.04, nominal.size))
    assert group.tolist() == np.repeat([0, 1, 2, 3], 9).tolist()
    np.testing.assert_allclose(budgets, [6e18, 1e19, 3e19, 6e19], rtol=0.03)


def test_a_chain_of_runs_without_a_gap_is_cut_into_narrow_pieces() -> None:
    group, budgets = group_budgets(1e18 * 1.05 ** np.arange(30))
    assert budgets.size > 5
    assert np.bincount(group).max() <= 3


def test_a_note_has_a_code_of_the_closed_list() -> None:
    assert Note("pinned", "E was held at 1.69.").to_dict() == {"code": "pinned", "message": "E was held at 1.69."}
    with pytest.raises(KeyError, match="no_such_code"):
        Note("no_such_code", "…")


@pytest.mark.parametrize("code", NOTE_CODES)
def test_every_note_code_is_a_key_and_says_a_sentence(code: str) -> None:
    assert code == code.lower()
    assert NOTE_CODES[code].endswith(".")


def test_every_status_has_a_key_and_a_sentence() -> None:
    assert [status.key for status in Status] == ["converged", "not_converged", "unavailable"]
    assert all(status.value.endswith(".") for status in Status)


def test_a_weight_of_zero_sets_a_run_aside_and_divides_by_one() -> None:
    runs = Runs.from_arrays([1e8, 2e8, 4e8], [2e9, 1e9, 5e8], [3.1, 3.2, 3.3], weight=[4.0, 0.0, 0.25])
    assert runs.counted.tolist() == [True, False, True]
    assert runs.precision.tolist() == [4.0, 1.0, 0.25]
