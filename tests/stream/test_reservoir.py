"""The reservoir: balanced, bounded, and the same after a checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.errors import UsageError
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.reservoir import Reservoir

D = 4
ROW = 2 * D + 24


def filled(labels: list[int], capacity: int, seed: int = 0) -> Reservoir:
    reservoir = Reservoir(D, capacity * ROW)
    rng = np.random.default_rng(seed)
    offer(reservoir, labels, 0, rng)
    return reservoir


def offer(
    reservoir: Reservoir, labels: list[int], first: int, rng: np.random.Generator, at_once: int = 7
) -> None:
    for start in range(0, len(labels), at_once):
        some = labels[start : start + at_once]
        places = range(first + start, first + start + len(some))
        rows = np.array([np.full(D, i) for i in places], np.float32)
        reservoir.add(rows, some, [id_key(str(i)) for i in places], rng)


def test_a_rare_class_keeps_all_of_its_rows() -> None:
    labels = [0] * 500 + [1] * 5 + [0] * 500
    assert filled(labels, 20).counts == [15, 5]


def test_classes_share_the_room_evenly() -> None:
    labels = [i for i in range(5) for _ in range(200)]  # one class after the other
    assert max(filled(labels, 50).counts) - min(filled(labels, 50).counts) <= 1


def test_within_a_class_every_row_is_as_likely_to_stay() -> None:
    # 40 of 400 rows stay: the mean of their places is 199.5, its standard error 115 / sqrt(40 n).
    places = [
        float(np.mean(filled([0] * 400, 40, seed).state()["rows"][:, 0])) for seed in range(30)
    ]
    assert abs(np.mean(places) - 199.5) < 4 * 115 / np.sqrt(40 * 30)


def test_draws_are_balanced_over_classes() -> None:
    reservoir = filled([0] * 90 + [1] * 10, 100)
    rows, labels = reservoir.draw(4000, np.random.default_rng(0))
    assert rows.shape == (4000, D)
    assert rows.dtype == np.float32
    assert abs((labels == 0).mean() - 0.5) < 0.04
    assert set(rows[labels == 1, 0]) == set(range(90, 100))


def test_a_subset_has_different_rows_and_is_balanced() -> None:
    rows, labels = filled([0] * 60 + [1] * 40, 100).subset(20, np.random.default_rng(0))
    assert len(set(rows[:, 0])) == 20
    assert np.bincount(labels).tolist() == [10, 10]


def test_too_small_a_budget_is_refused() -> None:
    with pytest.raises(UsageError, match="--reservoir"):
        Reservoir(1024, 100)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 4), max_size=120),
    st.integers(1, 25),
    st.sets(st.integers(0, 119), max_size=30),
    st.sets(st.integers(0, 4), max_size=2),
)
def test_forgetting_removes_these_and_no_others(
    labels: list[int], capacity: int, ids: set[int], classes: set[int]
) -> None:
    reservoir = filled(labels, capacity)
    before = {int(v) for v in reservoir.state()["rows"][:, 0]}
    removed = reservoir.forget(frozenset(id_key(str(i)) for i in ids), frozenset(classes))
    state = reservoir.state()
    after = {int(v) for v in state["rows"][:, 0]}
    assert after == {i for i in before if i not in ids and labels[i] not in classes}
    assert removed == len(before) - len(after)
    assert [labels[int(v)] for v in state["rows"][:, 0]] == state["labels"].tolist()
    assert reservoir.counts == [
        int((state["labels"] == label).sum()) for label in range(len(reservoir.counts))
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(1, 20), st.integers(0, 80))
def test_a_restored_reservoir_goes_on_alike(labels: list[int], capacity: int, at: int) -> None:
    at = min(at, len(labels))
    whole, first = Reservoir(D, capacity * ROW), Reservoir(D, capacity * ROW)
    rng, other = np.random.default_rng(1), np.random.default_rng(1)
    offer(whole, labels, 0, rng, 1)
    offer(first, labels[:at], 0, other, 5)
    second = Reservoir(D, capacity * ROW)
    second.restore({name: array.copy() for name, array in first.state().items()})
    offer(second, labels[at:], at, other, 3)
    for name, array in whole.state().items():
        assert np.array_equal(array, second.state()[name])
    drawn = [r.draw(16, np.random.default_rng(2)) for r in (whole, second)]
    assert np.array_equal(drawn[0][0], drawn[1][0])
    assert np.array_equal(drawn[0][1], drawn[1][1])


def test_features_beyond_float16_are_clipped_not_infinite() -> None:
    reservoir = Reservoir(D, 10 * ROW)
    reservoir.add(np.full((1, D), 1e9, np.float32), [0], [id_key("a")], np.random.default_rng(0))
    assert np.isfinite(reservoir.state()["rows"].astype(np.float32)).all()


def test_rows_come_back_as_float16_says() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    reservoir = Reservoir(len(finite), 2 * (2 * len(finite) + 24))
    rng = np.random.default_rng(0)
    reservoir.add(finite[None].astype(np.float32), [0], [id_key("a")], rng)
    rows, _ = reservoir.draw(1, rng)
    assert rows[0].tobytes() == finite.astype(np.float32).tobytes()
