"""Samples that are alike: found by the bit and by nearness, and never on both sides of a test."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.heads import ClosedFormSolver, LBFGSSolver
from edgetransfer.heads.alike import first_alike
from edgetransfer.heads.folds import folds_of

CLASSES = ("a", "b", "c")


def test_equal_rows_of_a_label_are_alike():
    rows = np.array([[1, 2], [3, 4], [1, 2], [1, 2]], np.float32)
    assert first_alike(rows, np.array([0, 0, 0, 1])).tolist() == [0, 1, 0, 3]


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(10, 40),
    copies=st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.0, 0.02, 0.1])), max_size=6),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_copies_with_a_little_noise_are_alike_and_nothing_else_is(seed, n, copies, scale):
    rng = np.random.default_rng(seed)
    rows, labels = rng.standard_normal((n, 200)) + 2, np.arange(n) % 2
    first = list(range(n))
    for source, noise in copies:
        rows = np.vstack([rows, rows[source] + noise * rng.standard_normal(200)])
        labels = np.append(labels, labels[source])
        first.append(source)
    order = rng.permutation(len(rows))
    found = first_alike((rows * scale)[order].astype(np.float32), labels[order])
    expected = np.array(first)[order]
    for i, j in np.ndindex(len(order), len(order)):
        assert (found[i] == found[j]) == (expected[i] == expected[j])
    assert (found <= np.arange(len(order))).all()


@pytest.mark.parametrize("n", [3000])
def test_copies_are_found_in_a_class_of_thousands(n):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n, 64)).astype(np.float32)
    rows[1000:1200] = rows[:200] + 0.01 * rng.standard_normal((200, 64)).astype(np.float32)
    first = first_alike(rows, np.zeros(n, np.int64))
    found = (first[1000:1200] == np.arange(200)).mean()
    assert found > 0.95  # those that lie on both sides of a block's border are missed
    assert (
        np.delete(first, np.arange(1000, 1200)) == np.delete(np.arange(n), range(1000, 1200))
    ).all()


def nearly_doubled():
    """Noise, and each sample once more with a little noise of its own."""
    rng = np.random.default_rng(0)
    features, labels = rng.standard_normal((60, 120)).astype(np.float32), np.arange(60) % 3
    again = features + 0.05 * rng.standard_normal(features.shape).astype(np.float32)
    return np.vstack([features, again]), np.tile(labels, 2)


@pytest.mark.parametrize("logistic", [False, True])
def test_near_copies_do_not_vouch_for_each_other(logistic):
    features, labels = nearly_doubled()
    solver = ClosedFormSolver(maps=("raw",), logistic=logistic)
    found = solver.fit(features, labels, CLASSES)
    honest = found.honest
    assert honest.alike.tolist() == [*range(60), *range(60)]
    assert len(honest.labels) == 60
    right = honest.logits[honest.tested].argmax(axis=1) == honest.labels[honest.tested]
    assert right.mean() < 0.6  # noise looks like noise
    assert (found.head.predict(features) == labels).all()  # and is learned all the same


def test_near_copies_are_in_one_fold():
    features, labels = nearly_doubled()
    folds = folds_of(features, labels, seed=0)
    assert np.array_equal(folds[:60], folds[60:])
    honest = LBFGSSolver().fit(features, labels, CLASSES).honest
    assert (honest.logits.argmax(axis=1) == honest.labels).mean() < 0.6
