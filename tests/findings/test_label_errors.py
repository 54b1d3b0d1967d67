"""Wrong labels among right ones are found, and right ones are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.findings import label_doubts
from edgetransfer.heads import ClosedFormSolver


def blobs(n, dimension, n_classes, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    centres = 1.6 * rng.normal(size=(n_classes, dimension))
    features = centres[labels] + rng.normal(size=(n, dimension))
    return features.astype(np.float32), labels


def left_out_probabilities(features, labels, n_classes):
    names = tuple(map(str, range(n_classes)))
    honest = ClosedFormSolver().fit(features, labels, names).honest
    assert len(honest.labels) == len(labels)
    logits = honest.logits - honest.logits.max(axis=1, keepdims=True)
    odds = np.exp(logits)
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.15])
@pytest.mark.parametrize("n_classes", [3, 12])
def test_flipped_labels_come_first(rate, n_classes):
    features, truth = blobs(40 * n_classes, 24, n_classes, seed=n_classes)
    rng = np.random.default_rng(n_classes)
    n = len(truth)
    flipped = rng.choice(n, max(1, round(rate * n)), replace=False)
    labels = truth.copy()
    labels[flipped] = (truth[flipped] + rng.integers(1, n_classes, len(flipped))) % n_classes
    doubts = label_doubts(left_out_probabilities(features, labels, n_classes), labels)
    first = doubts.order[: len(flipped)]
    assert np.isin(first, flipped).mean() >= 0.8
    right = np.isin(flipped, first)
    assert (doubts.suggested[flipped][right] == truth[flipped][right]).mean() >= 0.9
    assert np.isin(doubts.wrong, flipped).mean() >= 0.8
    assert len(doubts.wrong) >= 0.5 * len(flipped)


def test_nothing_is_wrong_where_every_label_is_the_most_probable():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(5), 300)
    assert not len(label_doubts(probabilities, probabilities.argmax(axis=1)).wrong)


def test_nothing_is_said_of_a_class_that_heads_have_not_seen():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.95, 0.05, 0.0]] * 4)
    labels = np.array([0, 1, 2] * 4)
    assert len(label_doubts(probabilities, labels).wrong)
    doubts = label_doubts(probabilities, labels, labels < 2)
    assert not len(doubts.wrong)
    assert (labels[doubts.order[-4:]] == 2).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(1, 6), st.integers(0, 2**32 - 1), st.booleans())
def test_any_shape(n, n_classes, seed, absent):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(n_classes, 0.3), n)
    labels = rng.integers(0, max(1, n_classes - absent), n)  # a class may have no photo
    doubts = label_doubts(probabilities, labels)
    assert sorted(doubts.order.tolist()) == list(range(n))
    if n_classes > 1:
        own = probabilities[np.arange(n), labels]
        assert (np.diff(own[doubts.order]) >= 0).all()
        assert (doubts.suggested != labels).all()
        assert (probabilities[doubts.wrong].argmax(axis=1) != labels[doubts.wrong]).all()
