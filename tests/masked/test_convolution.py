"""Convolutions at fixed masks against sums written out in NumPy, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.masked import MaskedConvolution, TrainingThreads, Window
from edgetransfer.native.compiling import why_absent

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))


def direct(
    x: np.ndarray, w: np.ndarray, window: Window, groups: int
) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    """(N, H, W, C) through (O, kh, kw, C / groups); and which input each tap looked at."""
    top, left = window.begins
    bottom, right = window.ends
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    rows, columns = (
        (x.shape[1 + i] - (window.kernel[i] - 1) * window.dilations[i] - 1) // window.strides[i] + 1
        for i in (0, 1)
    )
    y = np.zeros((len(x), rows, columns, len(w)))
    looks = []
    within, made = w.shape[3], len(w) // groups
    for g in range(groups):
        for i in range(window.kernel[0]):
            for j in range(window.kernel[1]):
                down, over = i * window.dilations[0], j * window.dilations[1]
                where = (
                    slice(None),
                    slice(down, down + (rows - 1) * window.strides[0] + 1, window.strides[0]),
                    slice(over, over + (columns - 1) * window.strides[1] + 1, window.strides[1]),
                    slice(g * within, (g + 1) * within),
                )
                own = slice(g * made, (g + 1) * made)
                y[..., own] += np.einsum("nhwc,oc->nhwo", x[where], w[own, i, j])
                looks.append((own, i, j, where))
    return y, looks


def gradients(
    x: np.ndarray, w: np.ndarray, g: np.ndarray, window: Window, groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """By the input and by the weights, in float64."""
    _, looks = direct(x, w, window, groups)
    (top, left), (bottom, right) = window.begins, window.ends
    wide = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    by_input, by_weights = np.zeros_like(wide), np.zeros_like(w)
    for own, i, j, where in looks:
        by_input[where] += np.einsum("nhwo,oc->nhwc", g[..., own], w[own, i, j])
        by_weights[own, i, j] += np.einsum("nhwo,nhwc->oc", g[..., own], wide[where])
    size = (x.shape[1], x.shape[2])
    return by_input[:, top : top + size[0], left : left + size[1]], by_weights


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """A convolution, a map that its window fits on, and a batch."""
    pair = lambda low, high: tuple(draw(st.integers(low, high)) for _ in "hw")  # noqa: E731
    kernel, strides, dilations = pair(1, 4), pair(1, 3), pair(1, 2)
    begins, ends = pair(0, 3), pair(0, 3)
    size = tuple(
        max(1, (k - 1) * d + 1 - b - e) + draw(st.integers(0, 9))
        for k, d, b, e in zip(kernel, dilations, begins, ends, strict=True)
    )
    kind = draw(st.sampled_from(["full", "grouped", "depthwise"]))
    channels = draw(st.integers(1, 6))
    groups = {"full": 1, "grouped": 2, "depthwise": channels}[kind]
    within = 1 if kind == "depthwise" else channels
    return {
        "window": Window(
            kernel=kernel, strides=strides, dilations=dilations, begins=begins, ends=ends
        ),
        "size": size,
        "groups": groups,
        "shape": (groups * draw(st.integers(1, 3)), *kernel, within),
        "images": draw(st.sampled_from([1, 2, 15, 16, 17, 33])),
        "density": draw(st.sampled_from([0.0, 0.05, 0.3, 1.0])),
        "threads": draw(st.sampled_from([1, 2])),
        "seed": draw(st.integers(0, 2**16)),
    }


@settings(max_examples=60, deadline=None)
@given(cases())
def test_it_is_the_convolution_of_the_weights_that_are_kept(case: dict[str, Any]) -> None:
    rng = np.random.default_rng(case["seed"])
    window, groups, shape, n = case["window"], case["groups"], case["shape"], case["images"]
    mask = rng.random(shape) < case["density"]
    weights = (rng.standard_normal(shape) * mask).astype(np.float32)
    bias = rng.standard_normal(len(weights)).astype(np.float32)
    x = rng.standard_normal((n, *case["size"], shape[3] * groups)).astype(np.float32)
    threads = TrainingThreads.of(case["threads"])
    layer = MaskedConvolution(mask, window, groups=groups, threads=threads)
    laned = threads.to_lanes(x)
    found = threads.from_lanes(layer.forward(laned, weights, bias), n)
    expected, _ = direct(x.astype(float), weights.astype(float), window, groups)
    np.testing.assert_allclose(found, expected + bias, rtol=1e-5, atol=1e-5)
    held = threads.from_lanes(layer.forward(laned, weights, bias, (-0.25, 0.5)), n)
    np.testing.assert_array_equal(held, np.clip(found, -0.25, 0.5))
    g = rng.standard_normal(expected.shape).astype(np.float32)
    by_input, by_weights = gradients(x.astype(float), weights.astype(float), g, window, groups)
    laned_g = threads.to_lanes(g)
    assert (laned_g[-1, ..., n - 16 * len(laned_g) :] == 0).all() or n % 16 == 0
    found_input = layer.input_gradient(laned_g, weights, case["size"])
    np.testing.assert_allclose(threads.from_lanes(found_input, n), by_input, rtol=1e-5, atol=1e-5)
    found_weights = layer.weight_gradient(laned, laned_g)
    assert not found_weights[~mask].any()
    np.testing.assert_allclose(found_weights[mask], by_weights[mask], rtol=1e-5, atol=1e-4)


def test_one_thread_makes_the_sums_of_three() -> None:
    rng = np.random.default_rng(0)
    mask = rng.random((37, 3, 3, 19)) < 0.2
    weights = (rng.standard_normal(mask.shape) * mask).astype(np.float32)
    window = Window(kernel=(3, 3), strides=(2, 1), begins=(1, 1), ends=(1, 1))
    x = rng.standard_normal((33, 11, 13, 19)).astype(np.float32)
    made = []
    for count in (1, 3):
        threads = TrainingThreads.of(count)
        layer = MaskedConvolution(mask, window, threads=threads)
        laned = threads.to_lanes(x)
        y = layer.forward(laned, weights)
        made.append(
            (y, layer.input_gradient(y, weights, (11, 13)), layer.weight_gradient(laned, y))
        )
    for one, three in zip(*made, strict=True):
        np.testing.assert_array_equal(one, three)


def test_sizes_that_do_not_fit_are_refused() -> None:
    threads = TrainingThreads.of(1)
    layer = MaskedConvolution(np.ones((2, 3, 3, 4), bool), Window(kernel=(3, 3)), threads=threads)
    weights = np.ones((2, 3, 3, 4), np.float32)
    with pytest.raises(ValueError, match="do not fit"):
        layer.forward(np.zeros((1, 5, 5, 3, 16), np.float32), weights)  # three channels of four
    with pytest.raises(ValueError, match="does not fit"):
        MaskedConvolution(np.ones((2, 3, 3, 4), bool), Window(kernel=(1, 3)), threads=threads)
