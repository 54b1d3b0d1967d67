"""Prequential accuracy and the drift alarm, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.stream.learning.drift import PageHinkley
from edgetransfer.stream.learning.prequential import Prequential


def scored(pairs: list[tuple[int, int]], window: int = 3, fading: float = 0.5) -> Prequential:
    scores = Prequential(window, fading)
    scores.grow(2)
    update(scores, pairs)
    return scores


def update(scores: Prequential, pairs: list[tuple[int, int]], at_once: int = 2) -> None:
    for start in range(0, len(pairs), at_once):
        labels, predicted = np.array(pairs[start : start + at_once], np.int64).T
        scores.update(labels, predicted)


PAIRS = [(0, -1), (0, 0), (1, 0), (0, 0), (1, 1)]


def test_over_the_whole_stream() -> None:
    scores = scored(PAIRS)
    assert scores.total == {"top1": 3 / 5, "mean_per_class": pytest.approx((2 / 3 + 1 / 2) / 2)}
    assert scores.confusion.tolist() == [[2, 0], [1, 1]]


def test_over_the_window() -> None:
    assert scored(PAIRS).sliding == {"top1": 2 / 3, "mean_per_class": 0.75}


def test_fading() -> None:
    # Weights 1/16, 1/8, 1/4, 1/2, 1; right are the second, the fourth and the fifth.
    top1 = (1 / 8 + 1 / 2 + 1) / (31 / 16)
    per_class = ((1 / 8 + 1 / 2) / (11 / 16) + 1 / (5 / 4)) / 2
    assert scored(PAIRS).fading == {
        "top1": pytest.approx(top1),
        "mean_per_class": pytest.approx(per_class),
    }


def test_the_most_frequent_mistakes() -> None:
    scores = Prequential(10, 0.9)
    scores.grow(3)
    update(scores, [(0, 1), (0, 1), (2, 0), (1, 1), (2, 2)])
    assert scores.confused(5) == [(0, 1, 2), (2, 0, 1)]
    assert scores.confused(1) == [(0, 1, 2)]
    assert Prequential(10, 0.9).confused(5) == []


def test_nothing_is_scored_as_none() -> None:
    assert Prequential(10, 0.9).total == {"top1": None, "mean_per_class": None}


def test_a_class_that_goes_takes_its_samples_along() -> None:
    scores = scored(PAIRS)
    scores.relabel([-1, 0])
    assert scores.total == {"top1": 0.5, "mean_per_class": 0.5}
    assert scores.sliding == {"top1": 0.5, "mean_per_class": 0.5}


def test_it_goes_on_after_a_checkpoint() -> None:
    first, second = scored(PAIRS[:3]), Prequential(3, 0.5)
    second.restore(first.state())
    update(second, PAIRS[3:], 1)
    whole = scored(PAIRS)
    assert (second.total, second.sliding) == (whole.total, whole.sliding)
    assert second.fading == pytest.approx(whole.fading)


def test_no_alarm_while_the_error_stays() -> None:
    rng = np.random.default_rng(0)
    drift = PageHinkley()
    for wrong in rng.random(100_000) < 0.2:
        drift.update(bool(wrong))
    assert drift.alarms == 0


def test_no_alarm_while_the_error_falls() -> None:
    rng = np.random.default_rng(1)
    drift = PageHinkley()
    for wrong in rng.random(20_000) < np.linspace(0.9, 0.1, 20_000):
        drift.update(bool(wrong))
    assert drift.alarms == 0


@pytest.mark.parametrize("rise", [0.2, 0.5])
def test_a_rise_is_found_about_when_theory_says(rise: float) -> None:
    rng = np.random.default_rng(2)
    drift = PageHinkley()
    errors = np.concatenate([rng.random(5000) < 0.1, rng.random(2000) < 0.1 + rise])
    found = [i for i, wrong in enumerate(errors) if drift.update(bool(wrong))]
    due = drift.threshold / (rise - drift.tolerance)
    assert found
    assert 5000 + 0.5 * due < found[0] < 5000 + 2 * due


def test_the_alarm_goes_on_after_a_checkpoint() -> None:
    rng = np.random.default_rng(3)
    errors = (rng.random(4000) < np.repeat([0.1, 0.6], 2000)).tolist()
    whole, first = PageHinkley(), PageHinkley()
    for wrong in errors:
        whole.update(wrong)
    for wrong in errors[:2050]:
        first.update(wrong)
    second = PageHinkley(**first.state())
    for wrong in errors[2050:]:
        second.update(wrong)
    assert second == whole
    assert whole.last_alarm is not None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 4)), max_size=60), st.data())
def test_it_equals_a_dense_matrix(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    """As if all (K, K) cells were kept, also after a checkpoint and when classes go."""
    scores = Prequential(1000, 0.99)
    scores.grow(5)
    dense, unpredicted = np.zeros((5, 5), np.int64), np.zeros(5, np.int64)
    for a, b in pairs:
        if b < 0:
            unpredicted[a] += 1
        else:
            dense[a, b] += 1
    update(scores, pairs, 7)
    again = Prequential(1000, 0.99)
    again.restore(scores.state())
    old = Prequential(1000, 0.99)  # of a version that kept the matrix itself
    old.restore({**scores.state(), "confusion": dense})
    for each in (scores, again, old):
        assert np.array_equal(each.confusion, dense)
        assert np.array_equal(each.by_class, dense.sum(axis=1) + unpredicted)
    gone = data.draw(st.sets(st.integers(0, 4)))
    kept = [i for i in range(5) if i not in gone]
    lost = dense.sum(axis=1) - dense[:, kept].sum(axis=1)
    scores.relabel([kept.index(i) if i in kept else -1 for i in range(5)])
    assert np.array_equal(scores.confusion, dense[np.ix_(kept, kept)])
    assert np.array_equal(scores.unpredicted, (unpredicted + lost)[kept])
    right, counts = np.diagonal(dense)[kept], (dense.sum(axis=1) + unpredicted)[kept]
    expected = right.sum() / counts.sum() if counts.sum() else None
    assert scores.total["top1"] == expected


def test_ten_thousand_classes_take_little() -> None:
    scores = Prequential(1000, 0.999)
    for first in range(0, 10_000, 100):
        scores.grow(first + 100)
        labels = np.arange(first, first + 100)
        scores.update(labels, labels - 1)
    assert sum(array.nbytes for array in scores.state().values()) < 2**20
    assert scores.by_class.sum() == 10_000
