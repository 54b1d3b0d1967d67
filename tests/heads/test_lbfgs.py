"""L-BFGS: the same objective as scikit-learn's, at its minimum, and a sensible penalty."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from edgetransfer.errors import UsageError
from edgetransfer.heads import LBFGSSolver, SoftmaxLoss
from edgetransfer.sampling import stratified_holdout
from tests.heads.blobs import blobs

CLASSES = ("a", "b", "c")


@pytest.mark.parametrize("l2", [1e-1, 1e-2, 1e-3])
def test_objective_equals_scikit_learns(l2):
    features, labels = blobs(seed=1, spread=1.5)
    result = LBFGSSolver(l2=l2, tolerance=1e-7).fit(features, labels, CLASSES)
    reference = LogisticRegression(C=1 / (l2 * len(labels)), tol=1e-10, max_iter=10000)
    reference.fit(features.astype(np.float64), labels)
    best = SoftmaxLoss(l2).value(
        features.astype(np.float64), labels, reference.coef_.T, reference.intercept_
    )
    assert result.loss == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_gradient_vanishes_at_the_minimum(n_classes):
    features, labels = blobs(seed=2, spread=1.5)
    kept = labels < n_classes
    features, labels = features[kept], labels[kept]
    l2 = 0.01
    result = LBFGSSolver(l2=l2, tolerance=1e-8).fit(features, labels, CLASSES[:n_classes])
    _, by_weights, by_bias = SoftmaxLoss(l2).gradient(
        features.astype(np.float64),
        labels,
        result.head.weights.astype(np.float64),
        result.head.bias.astype(np.float64),
    )
    assert np.abs(by_weights).max() < 1e-5
    assert np.abs(by_bias).max() < 1e-5


def test_auto_takes_the_best_of_those_tried_and_noise_wants_more_penalty():
    features, labels = blobs(seed=3, spread=0.3)
    clean = LBFGSSolver().fit(features, labels, CLASSES)
    assert clean.l2 == min(clean.tried, key=lambda pair: pair[1])[0]
    rng = np.random.default_rng(0)
    noise = LBFGSSolver().fit(
        rng.normal(size=(150, 40)).astype(np.float32), rng.integers(0, 3, 150), CLASSES
    )
    assert noise.l2 > clean.l2


def test_same_seed_same_head():
    features, labels = blobs(seed=4)
    first, second = (LBFGSSolver().fit(features, labels, CLASSES, seed=5) for _ in range(2))
    assert np.array_equal(first.head.weights, second.head.weights)


def test_held_out_is_a_fifth_of_each_class_and_never_all():
    labels = np.array([0] * 50 + [1] * 10 + [2] * 2 + [3])
    held = stratified_holdout(labels, 0.2, seed=0)
    assert [int(held[labels == k].sum()) for k in range(4)] == [10, 2, 1, 0]


@pytest.mark.parametrize("l2", [0.0, -1.0, float("nan"), float("inf")])
def test_senseless_penalty_is_refused(l2):
    with pytest.raises(UsageError, match="above zero"):
        LBFGSSolver(l2=l2)
