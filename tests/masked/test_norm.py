"""Batch-norm in lanes against its definition, and its gradients against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.masked import MaskedConvolution, TrainingThreads, Window
from edgetransfer.masked.norm import (
    Moments,
    Normalisation,
    channel_sums,
    let_through,
    moments_of,
)
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


@settings(max_examples=15, deadline=None)
@given(shapes, st.sampled_from([(0.0, float("inf")), (-0.5, 0.25)]), st.integers(0, 99))
def test_limits_let_through_what_lies_between_them(
    shape: tuple[int, ...], limits: tuple[float, float], seed: int
) -> None:
    rng, threads = np.random.default_rng(seed), TrainingThreads.of(2)
    made = np.clip(rng.standard_normal(shape), *limits).astype(np.float32)
    g = rng.standard_normal(shape).astype(np.float32)
    laned, by_made = threads.to_lanes(made), threads.to_lanes(g)
    found, sums = let_through(by_made, laned, limits, threads)
    expected = np.where((made > limits[0]) & (made < limits[1]), g, 0)
    np.testing.assert_array_equal(threads.from_lanes(found, shape[0]), expected)
    np.testing.assert_allclose(sums, expected.sum((0, 1, 2), dtype=float), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        channel_sums(by_made, threads), g.sum((0, 1, 2), dtype=float), rtol=1e-4, atol=1e-4
    )


def test_what_is_not_a_number_is_not_hidden_by_a_relu() -> None:
    threads, limits = TrainingThreads.of(1), (0.0, float("inf"))
    x = threads.to_lanes(np.full((2, 1, 1, 1), np.nan, np.float32))
    one = np.ones(1, np.float32)
    moments = Moments(mean=one, variance=one, count=2)
    layer = Normalisation(
        moments=moments, scale=one, shift=one, epsilon=0, rectified=True, images=2
    )
    assert np.isnan(layer.forward(x, threads)[..., :2]).all()
    window = Window(kernel=(1, 1))
    convolution = MaskedConvolution(np.ones((1, 1, 1, 1), bool), window, threads=threads)
    made = convolution.forward(x, np.ones((1, 1, 1, 1), np.float32), limits=limits)
    assert np.isnan(made[..., :2]).all()
