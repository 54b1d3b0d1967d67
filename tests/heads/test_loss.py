"""The softmax loss against finite differences and hand-counted values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.heads import SoftmaxLoss


def problem(seed, n=7, d=5, k=4):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(n, d)),
        rng.integers(0, k, n),
        rng.normal(size=(d, k)),
        rng.normal(size=k),
    )


@given(seed=st.integers(0, 2**32 - 1), l2=st.sampled_from([0.0, 0.01, 1.0]))
@settings(max_examples=25, deadline=None)
def test_gradient_equals_finite_differences(seed, l2):
    features, labels, weights, bias = problem(seed)
    loss = SoftmaxLoss(l2)
    value, by_weights, by_bias = loss.gradient(features, labels, weights, bias)
    assert value == pytest.approx(loss.value(features, labels, weights, bias), abs=1e-12)
    step = 1e-6
    for array, gradient in ((weights, by_weights), (bias, by_bias)):
        for index in np.ndindex(array.shape):
            old = array[index]
            array[index] = old + step
            above = loss.value(features, labels, weights, bias)
            array[index] = old - step
            below = loss.value(features, labels, weights, bias)
            array[index] = old
            assert gradient[index] == pytest.approx((above - below) / (2 * step), abs=1e-7)


def test_untrained_loss_is_log_of_the_number_of_classes():
    features, labels, weights, bias = problem(0)
    value = SoftmaxLoss().value(features, labels, np.zeros_like(weights), np.zeros_like(bias))
    assert value == pytest.approx(np.log(4), abs=1e-12)


def test_bias_is_not_penalised_and_weights_are():
    features, labels, weights, bias = problem(1)
    plain = SoftmaxLoss().value(features, labels, weights, bias)
    penalised = SoftmaxLoss(0.5).value(features, labels, weights, bias)
    assert penalised - plain == pytest.approx(0.25 * (weights**2).sum(), rel=1e-12)


def test_huge_logits_do_not_overflow():
    features = np.array([[1e4], [-1e4]], np.float32)
    weights = np.array([[1.0, -1.0]], np.float32)
    labels = np.array([0, 1])
    value, by_weights, _ = SoftmaxLoss().gradient(features, labels, weights, np.zeros(2, "f4"))
    assert value == 0.0
    assert np.abs(by_weights).max() == 0.0
    wrong = SoftmaxLoss().value(features, 1 - labels, weights, np.zeros(2, "f4"))
    assert wrong == pytest.approx(2e4)
