"""Batch-norm in lanes against its definition, and its gradients against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.masked import TrainingThreads
from edgetransfer.masked.norm import Moments, Normalisation, moments_of
from edgetransfer.native.compiling import why_absent

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))
EPSILON = 1e-5


def defined(x: np.ndarray, scale: np.ndarray, shift: np.ndarray, *, rectified: bool) -> np.ndarray:
    """Over all but the last axis, in float64."""
    axes = tuple(range(x.ndim - 1))
    z = (x - x.mean(axes)) / np.sqrt(x.var(axes) + EPSILON)
    y = z * scale + shift
    return np.maximum(y, 0) if rectified else y


shapes = st.tuples(
    st.sampled_from([2, 3, 16, 17, 33]),
    st.integers(1, 7),
    st.integers(1, 7),
    st.sampled_from([1, 3, 33, 64]),
)


@settings(max_examples=20, deadline=None)
@given(shapes, st.booleans(), st.sampled_from([1, 2]), st.integers(0, 99))
def test_it_is_what_it_is_defined_as(
    shape: tuple[int, ...], rectified: bool, count: int, seed: int
) -> None:
    rng, threads = np.random.default_rng(seed), TrainingThreads.of(count)
    # A mean that is large beside the deviation: sums of squares would cancel.
    x = (rng.standard_normal(shape) + 100 * rng.standard_normal(shape[-1])).astype(np.float32)
    scale, shift = rng.standard_normal((2, shape[-1])).astype(np.float32)
    laned = threads.to_lanes(x)
    if shape[0] % 16:
        laned[-1, ..., shape[0] % 16 :] = 1e6  # lanes of no image hold anything
    moments = moments_of(laned, shape[0], threads)
    axes = (0, 1, 2)
    np.testing.assert_allclose(moments.mean, x.astype(float).mean(axes), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(moments.variance, x.astype(float).var(axes), rtol=1e-4, atol=1e-5)
    layer = Normalisation(
        moments=moments,
        scale=scale,
        shift=shift,
        epsilon=EPSILON,
        rectified=rectified,
        images=shape[0],
    )
    found = threads.from_lanes(layer.forward(laned, threads), shape[0])
    expected = defined(x.astype(float), scale, shift, rectified=rectified)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@settings(max_examples=15, deadline=None)
@given(shapes, st.booleans(), st.integers(0, 99))
def test_its_gradients_are_the_slopes_of_it(
    shape: tuple[int, ...], rectified: bool, seed: int
) -> None:
    rng, threads = np.random.default_rng(seed), TrainingThreads.of(2)
    x = rng.standard_normal(shape).astype(np.float32)
    scale, shift = rng.standard_normal((2, shape[-1])).astype(np.float32)
    g = rng.standard_normal(shape).astype(np.float32)
    laned = threads.to_lanes(x)
    layer = Normalisation(
        moments=moments_of(laned, shape[0], threads),
        scale=scale,
        shift=shift,
        epsilon=EPSILON,
        rectified=rectified,
        images=shape[0],
    )
    by_x, by_scale, by_shift = layer.backward(laned, threads.to_lanes(g), threads)
    if shape[0] % 16:
        assert not by_x[-1, ..., shape[0] % 16 :].any()
    found = (threads.from_lanes(by_x, shape[0]), by_scale, by_shift)
    step = 1e-6
    values = [v.astype(float) for v in (x, scale, shift)]
    for which, gradient in enumerate(found):
        # Along one random direction: what changes is the gradient times the way.
        way = rng.standard_normal(values[which].shape)
        sides = []
        for sign in (1, -1):
            moved = [v + sign * step * way if i == which else v for i, v in enumerate(values)]
            sides.append((g * defined(*moved, rectified=rectified)).sum())
        slope = (sides[0] - sides[1]) / (2 * step)
        size = np.abs(gradient * way).sum() + 1
        assert abs(slope - (gradient * way).sum()) < 2e-4 * size


def test_moments_of_one_number_have_no_variance() -> None:
    threads = TrainingThreads.of(1)
    found = moments_of(threads.to_lanes(np.full((1, 1, 1, 2), 3, np.float32)), 1, threads)
    assert isinstance(found, Moments)
    assert found.mean.tolist() == [3, 3]
    assert found.variance.tolist() == [0, 0]
