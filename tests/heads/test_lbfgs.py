"""L-BFGS: the same objective as scikit-learn's, at its minimum, and a sensible penalty."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from edgetransfer.errors import UsageError
from edgetransfer.heads import LBFGSSolver, SoftmaxLoss, lbfgs, spectrum
from edgetransfer.heads.folds import FOLDS, folds_of
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


@pytest.mark.parametrize(("n", "d", "n_classes"), [(30, 60, 3), (200, 20, 2), (40, 40, 4)])
def test_objective_is_scikit_learns_of_any_shape(n, d, n_classes):
    rng = np.random.default_rng(n)
    labels = np.arange(n) % n_classes
    features = (rng.standard_normal((n, d)) * np.exp(rng.standard_normal(d)) + 4).astype("f4")
    features[:, 3] = 0.5
    l2 = 1e-2
    strength = l2 / 2 if n_classes == 2 else l2
    newton = LogisticRegression(solver="newton-cg", C=1 / (strength * n), tol=1e-10, max_iter=10000)
    exact = features.astype(np.float64)
    newton.fit(exact, labels)
    weights, bias = newton.coef_.T, newton.intercept_
    if n_classes == 2:
        weights, bias = np.hstack([-weights, weights]) / 2, np.append(-bias, bias) / 2
    best = SoftmaxLoss(l2).value(exact, labels, weights, bias)
    classes = tuple(map(str, range(n_classes)))
    result = LBFGSSolver(l2=l2, tolerance=1e-7).fit(features, labels, classes)
    assert result.loss == pytest.approx(best, abs=1e-6)
    np.testing.assert_allclose(
        result.head.logits(features).argmax(1), (exact @ weights + bias).argmax(1)
    )


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
    least = min(loss for _, loss in clean.tried)
    assert clean.l2 == max(l2 for l2, loss in clean.tried if loss <= 1.005 * least)
    rng = np.random.default_rng(0)
    noise = LBFGSSolver().fit(
        rng.normal(size=(150, 40)).astype(np.float32), rng.integers(0, 3, 150), CLASSES
    )
    assert noise.l2 > clean.l2


@pytest.mark.parametrize("many", [False, True])
def test_same_seed_same_head_whatever_the_threads(many, monkeypatch):
    if many:
        as_if_there_were_many(monkeypatch)
    features, labels = blobs(seed=4)
    first, second = (
        LBFGSSolver().fit(features, labels, CLASSES, seed=5, threads=threads) for threads in (1, 2)
    )
    assert np.array_equal(first.head.weights, second.head.weights)
    assert np.array_equal(first.honest.logits, second.honest.logits)


def as_if_there_were_many(monkeypatch):
    for module in (spectrum, lbfgs):
        monkeypatch.setattr(module, "PRECISE", 0)


@pytest.mark.parametrize("tolerance", [1e-5, 1e-7])
def test_what_begins_in_float32_ends_at_the_same_minimum(tolerance, monkeypatch):
    features, labels = blobs(seed=6, spread=1.5)
    solver = LBFGSSolver(l2=1e-3, tolerance=tolerance)
    exact = solver.fit(features, labels, CLASSES)
    as_if_there_were_many(monkeypatch)
    quick = solver.fit(features, labels, CLASSES)
    assert quick.loss == pytest.approx(exact.loss, abs=1e-6)
    np.testing.assert_allclose(quick.head.weights, exact.head.weights, atol=300 * tolerance)


def test_folds_take_equal_samples_together_and_leave_each_out_once():
    labels = np.array([0] * 13 + [1] * 7 + [2] * 2 + [3] + [3])
    features = np.random.default_rng(0).standard_normal((len(labels), 3)).astype(np.float32)
    features[5] = features[2]
    features[23] = features[22]  # the class has one distinct sample
    folds = folds_of(features, labels, seed=0)
    assert folds[5] == folds[2]
    assert folds[22] == folds[23] == -1
    assert (folds[:22] >= 0).all()
    for label in (0, 1, 2):
        sizes = np.bincount(np.delete(folds, 5)[np.delete(labels, 5) == label], minlength=FOLDS)
        assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize("many", [False, True])
def test_left_out_scores_are_honest_about_noise(many, monkeypatch):
    """Also where the strength is chosen in some folds alone: no other may begin from their fits."""
    if many:
        as_if_there_were_many(monkeypatch)
    rng = np.random.default_rng(0)
    features = rng.standard_normal((120, 60)).astype(np.float32)
    labels = rng.integers(0, 3, 120)
    result = LBFGSSolver().fit(features, labels, CLASSES)
    honest = result.honest
    assert honest.method == "5-fold"
    assert (honest.logits.argmax(axis=1) == labels).mean() < 0.5


def test_held_out_is_a_fifth_of_each_class_and_never_all():
    labels = np.array([0] * 50 + [1] * 10 + [2] * 2 + [3])
    held = stratified_holdout(labels, 0.2, seed=0)
    assert [int(held[labels == k].sum()) for k in range(4)] == [10, 2, 1, 0]


@pytest.mark.parametrize("l2", [0.0, -1.0, float("nan"), float("inf")])
def test_senseless_penalty_is_refused(l2):
    with pytest.raises(UsageError, match="above zero"):
        LBFGSSolver(l2=l2)
