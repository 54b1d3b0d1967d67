"""The softmax loss in an eigenbasis: what is learned of its curvature, and where it is kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.heads import LBFGSSolver, SoftmaxLoss
from edgetransfer.heads.lbfgs_steps import Pair
from edgetransfer.heads.softmax_fit import Curvature, SoftmaxProblem
from tests.heads.blobs import blobs


def problem(seed, n=90, d=7, k=3, threads=1):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, d)) * np.exp(rng.standard_normal(d))
    rows -= rows.mean(axis=0)
    return SoftmaxProblem(
        rows=rows,
        labels=rng.integers(0, k, n),
        variances=np.square(rows).mean(axis=0),
        n_classes=k,
        threads=threads,
    )


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    penalties=st.tuples(st.floats(1e-4, 1), st.floats(1e-4, 1)),
)
def test_a_pair_of_one_penalty_is_moved_to_another_exactly(seed, penalties):
    """What is moved is what gradients of the other loss, by its own unknowns, differ by."""
    rng = np.random.default_rng(seed)
    here, there = penalties
    own = problem(seed)
    shape = (own.rows.shape[1] + 1, own.n_classes)
    scales = [np.exp(rng.standard_normal((shape[0], 1))) for _ in range(2)]
    before, after = rng.standard_normal((2, *shape))

    def pair(l2, scale):
        loss = SoftmaxLoss(l2)
        gradients = []
        for at in (before, after):
            _, by_weights, by_bias = loss.gradient(own.rows, own.labels, at[:-1], at[-1])
            gradients.append(np.vstack([by_weights, by_bias]) * scale)
        step, change = (after - before) / scale, gradients[1] - gradients[0]
        return Pair(step=step.ravel(), change=change.ravel())

    known = Curvature(pairs=[pair(here, scales[0])], scale=scales[0], l2=here)
    (moved,) = known.at(there, scales[1])
    wanted = pair(there, scales[1])
    np.testing.assert_allclose(moved.step, wanted.step, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(moved.change, wanted.change, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("sure", [False, True])
def test_a_start_changes_the_way_and_not_the_minimum(sure):
    features, labels = blobs(seed=1, spread=0.2 if sure else 1.5)
    rows = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    own = SoftmaxProblem(
        rows=rows, labels=labels, variances=np.square(rows).mean(axis=0), n_classes=3
    )
    l2 = 1e-3
    cold = own.minimise(l2, None, max_iterations=500, tolerance=1e-9)
    near = own.minimise(10 * l2, None, max_iterations=500, tolerance=1e-9)
    warm = own.minimise(l2, near, max_iterations=500, tolerance=1e-9)
    assert cold.finished
    assert warm.finished
    np.testing.assert_allclose(warm.weights, cold.weights, atol=1e-6)
    assert warm.iterations < cold.iterations


def test_threads_and_halves_of_one_row_change_no_bit():
    for n in (1, 2, 3, 90):
        found = [
            problem(5, n=n, threads=threads).minimise(0.1, None, max_iterations=20, tolerance=1e-8)
            for threads in (1, 2)
        ]
        assert np.array_equal(found[0].weights, found[1].weights)
        assert np.array_equal(found[0].bias, found[1].bias)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_penalty_is_found_whatever_the_unit_of_the_features(scale):
    features, labels = blobs(seed=2, n=120, spread=1.0)
    features = (features - features.mean(axis=0)) * np.float32(scale)
    result = LBFGSSolver().fit(features, labels, ("a", "b", "c"))
    honest = result.honest
    assert (honest.logits.argmax(axis=1) == labels).mean() > 0.8
    right = honest.probabilities()[np.arange(len(labels)), labels]
    assert -np.log(right).mean() < 0.6
