"""Every kernel against float64, over shapes, strides, paddings, sparsities and odd sizes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetransfer.engines.sparse.library import instruction_set
from edgetransfer.engines.sparse.plan import Activation, Kind, Operator, Plan, Window
from edgetransfer.native.compiling import why_absent
from tests.engines.sparse.plans import (
    INSTRUCTION_SETS,
    activated,
    convolved,
    forced,
    one_operator,
    open_plan,
    run_plan,
    windows,
)

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

ISA = pytest.mark.parametrize("isa", INSTRUCTION_SETS)
EXAMPLES = settings(max_examples=25, deadline=None)
ACTIVATIONS = st.sampled_from(
    [
        (Activation.NONE, 0.0, 0.0),
        (Activation.RELU, 0.0, 0.0),
        (Activation.CLIP, -0.5, 1.5),
        (Activation.LEAKY, 0.1, 0.0),
        (Activation.HARD_SWISH, 0.0, 0.0),
        (Activation.SIGMOID, 0.0, 0.0),
        (Activation.HARD_SIGMOID, 0.2, 0.5),
        (Activation.SILU, 1.0, 0.0),
        (Activation.SILU, 1.702, 0.0),
        (Activation.GELU, 0.0, 0.0),
        (Activation.GELU_TANH, 0.0, 0.0),
        (Activation.TANH, 0.0, 0.0),
        (Activation.ERF, 0.0, 0.0),
        (Activation.ELU, 0.7, 0.0),
        (Activation.MISH, 0.0, 0.0),
        (Activation.SOFTPLUS, 0.0, 0.0),
    ]
)
# Whole lanes, parts of them, tiles of two by two and of four by four.
BATCHES = st.sampled_from([1, 2, 4, 5, 16, 17])


@st.composite
def window_cases(draw: st.DrawFn) -> tuple[Window, tuple[int, int], tuple[int, int]]:
    """A window, the size of an image, and the size of its output."""
    kernel = draw(st.tuples(st.integers(1, 8), st.integers(1, 8)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    padding = tuple(draw(st.integers(0, k - 1)) for k in kernel)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = tuple(draw(st.integers(r, r + 9)) for r in reach)
    # As much below as above, at most.
    sides = tuple(
        (s + p + draw(st.integers(0, p)) - r) // step + 1
        for s, p, r, step in zip(size, padding, reach, stride, strict=True)
    )
    window = Window(kernel=kernel, stride=stride, dilation=dilation, padding=padding)  # type: ignore[arg-type]
    return window, size, sides  # type: ignore[return-value]


def near(actual: np.ndarray, expected: np.ndarray) -> None:
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5 * scale)


@ISA
@EXAMPLES
@given(
    case=window_cases(),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 40)),
    groups=st.sampled_from([1, 1, 2, 3]),
    sparsity=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    activation=ACTIVATIONS,
    batch=BATCHES,
    seed=st.integers(0, 99),
)
def test_convolutions(isa, case, channels, groups, sparsity, activation, batch, seed) -> None:
    window, size, sides = case
    rng = np.random.default_rng(seed)
    own, out = channels
    weights = rng.normal(size=(out * groups, own, *window.kernel)).astype(np.float32)
    weights[rng.random(weights.shape) < sparsity] = 0
    kind, low, high = activation
    plan = one_operator(
        (own * groups, *size), (out * groups, *sides),
        kind=Kind.CONVOLUTION, window=window, groups=groups, weights=weights,
        bias=rng.normal(size=out * groups).astype(np.float32),
        activation=kind, low=low, high=high,
    )  # fmt: skip
    x = rng.normal(size=(batch, own * groups, *size)).astype(np.float32)
    with forced(isa):
        got = run_plan(plan, x)
    (operator,) = plan.operators
    near(got, activated(convolved(x, operator, sides), operator))


@ISA
@EXAMPLES
@given(
    case=window_cases(), channels=st.integers(1, 20), activation=ACTIVATIONS, batch=BATCHES,
    seed=st.integers(0, 99),
)  # fmt: skip
def test_depthwise_convolutions(isa, case, channels, activation, batch, seed) -> None:
    window, size, sides = case
    rng = np.random.default_rng(seed)
    kind, low, high = activation
    plan = one_operator(
        (channels, *size), (channels, *sides),
        kind=Kind.CONVOLUTION, window=window, groups=channels,
        weights=rng.normal(size=(channels, 1, *window.kernel)).astype(np.float32),
        bias=rng.normal(size=channels).astype(np.float32),
        activation=kind, low=low, high=high,
    )  # fmt: skip
    (operator,) = plan.operators
    assert operator.kind is Kind.DEPTHWISE
    x = rng.normal(size=(batch, channels, *size)).astype(np.float32)
    with forced(isa):
        near(run_plan(plan, x), activated(convolved(x, operator, sides), operator))


def odd_and_even(channels: int, image: tuple[int, int], out: int, **options) -> None:
    """A convolution of some images, tiles of one and two threads, against float64."""
    window = options["window"]
    sides = tuple(
        (i + 2 * p - (k - 1) * d - 1) // s + 1
        for i, p, k, d, s in zip(
            image, window.padding, window.kernel, window.dilation, window.stride, strict=True
        )
    )
    plan = one_operator((channels, *image), (out, *sides), kind=Kind.CONVOLUTION, **options)
    (operator,) = plan.operators
    x = np.random.default_rng(1).normal(size=(17, channels, *image)).astype(np.float32)
    near(run_plan(plan, x, threads=2), activated(convolved(x, operator, sides), operator))


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("side", [3, 5])
@ISA
def test_squares_of_every_width(isa, side, stride, dilation) -> None:
    """As many pixels as are left in a row, and channels that do not fill their last block."""
    rng = np.random.default_rng(side)
    options = {
        "window": Window(
            kernel=(side, side), stride=(stride, stride), dilation=(dilation, dilation),
            padding=(dilation * (side // 2),) * 2,
        ),
        "groups": 21, "activation": Activation.CLIP, "low": -0.5, "high": 1.5,
        "weights": rng.normal(size=(21, 1, side, side)).astype(np.float32),
        "bias": rng.normal(size=21).astype(np.float32),
    }  # fmt: skip
    with forced(isa):
        for width in range(1, 18 * stride, stride):
            odd_and_even(21, (11, width), 21, **options)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (9, 6), (3, 17), (2, 40)])
@pytest.mark.parametrize("density", [0.15, 0.25, 0.5, 0.9])
@ISA
def test_points_in_every_walk(isa, density, size) -> None:
    """One pixel or many of a block of channels before the next block, in one row or several."""
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(45, 70, 1, 1)).astype(np.float32)
    weights[rng.random(weights.shape) >= density] = 0
    with forced(isa):
        odd_and_even(
            70, size, 45, window=Window(), weights=weights,
            bias=rng.normal(size=45).astype(np.float32), activation=Activation.RELU,
        )  # fmt: skip


@pytest.mark.parametrize(("side", "kernel"), [(6, 1), (7, 3), (11, 1)])
@pytest.mark.parametrize("isa", INSTRUCTION_SETS[:4])
def test_few_pixels_of_much_code_have_the_same_bits(isa, side, kernel) -> None:
    """Tiles of one image hold two by two pixels, which weights in rows are kept for."""
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(150, 200, kernel, kernel)).astype(np.float32)
    weights[rng.random(weights.shape) < 0.5] = 0
    plan = one_operator(
        (200, side, side), (150, side, side), kind=Kind.CONVOLUTION,
        window=Window(kernel=(kernel, kernel), padding=(kernel // 2,) * 2), weights=weights,
        bias=rng.normal(size=150).astype(np.float32), activation=Activation.SILU, low=1.0,
    )  # fmt: skip
    x = rng.normal(size=(17, 200, side, side)).astype(np.float32)
    with forced("avx2-rows"):
        expected = run_plan(plan, x)
    with forced(isa):
        for n in (1, 2, 4, 17):
            np.testing.assert_array_equal(run_plan(plan, x[:n], threads=2), expected[:n])


@ISA
@EXAMPLES
@given(
    case=window_cases(), channels=st.integers(1, 5), batch=BATCHES, seed=st.integers(0, 99),
    maximum=st.booleans(), counts=st.booleans(), activation=ACTIVATIONS,
)  # fmt: skip
def test_poolings(isa, case, channels, batch, seed, maximum, counts, activation) -> None:
    window, size, sides = case
    kind, low, high = activation
    window = replace(window, dilation=(1, 1))
    x = np.random.default_rng(seed).normal(size=(batch, channels, *size)).astype(np.float32)
    plan = one_operator(
        (channels, *size), (channels, *sides), window=window, counts_padding=counts,
        kind=Kind.MAX_POOL if maximum else Kind.AVERAGE_POOL,
        activation=kind, low=low, high=high,
    )  # fmt: skip
    if maximum:
        expected = windows(x, window, sides, -np.inf).max((-2, -1))
    else:
        inside = windows(np.ones_like(x), window, sides, 0).sum((-2, -1))
        area = np.prod(window.kernel) if counts else np.maximum(inside, 1)
        expected = windows(x, window, sides, 0).sum((-2, -1)) / area
    with forced(isa):
        near(run_plan(plan, x), activated(expected, plan.operators[0]))


@ISA
@EXAMPLES
@given(
    size=st.tuples(st.integers(1, 20), st.integers(1, 9), st.integers(1, 9)), batch=BATCHES,
    activation=ACTIVATIONS, seed=st.integers(0, 99),
)  # fmt: skip
def test_sums_copies_and_means(isa, size, batch, activation, seed) -> None:
    channels, height, width = size
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, *size)).astype(np.float32)
    kind, low, high = activation
    weights = rng.normal(size=(channels, channels, 1, 1)).astype(np.float32)
    bias = rng.normal(size=channels).astype(np.float32)
    plan = Plan()
    plan.input = plan.tensor(size)
    first, total = plan.tensor(size), plan.tensor(size)
    framed = plan.tensor((2 * channels, height + 3, width + 2))
    plan.output = plan.tensor((2 * channels, 1, 1))
    residual = plan.add(
        Operator(kind=Kind.CONVOLUTION, source=0, second=0, out=first, weights=weights, bias=bias)
    )
    added = plan.add(
        Operator(
            kind=Kind.ADD, source=first, second=0, out=total, activation=kind, low=low, high=high
        )
    )
    both = plan.tensor((2 * channels, height, width))
    plan.add(Operator(kind=Kind.COPY, source=total, out=both))
    plan.add(Operator(kind=Kind.COPY, source=first, out=both, offset=(channels, 0, 0)))
    plan.add(Operator(kind=Kind.COPY, source=both, out=framed, offset=(0, 1, 2), fill=3.0))
    plan.add(Operator(kind=Kind.GLOBAL_AVERAGE, source=framed, out=plan.output))
    made = convolved(x, residual, (height, width)) + x
    joined = np.concatenate([activated(made + x, added), made], axis=1)
    frame = np.pad(joined, ((0, 0), (0, 0), (1, 2), (2, 0)), constant_values=3.0)
    with forced(isa):
        near(run_plan(plan, x), frame.mean((2, 3), keepdims=True))


# Channels whose windows leave the first cache, for which AVX2 has no code, and others.
@pytest.mark.parametrize("channels", [256, 40])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("isa", INSTRUCTION_SETS[:4])
def test_all_forms_give_the_same_bits(isa, sparsity, channels) -> None:
    """Sums run in one order in every form, with fused multiply-adds."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(64, channels, 3, 3)).astype(np.float32)
    weights[rng.random(weights.shape) < sparsity] = 0
    plan = one_operator(
        (channels, 9, 9), (64, 9, 9), kind=Kind.CONVOLUTION,
        window=Window(kernel=(3, 3), padding=(1, 1)), weights=weights,
        bias=rng.normal(size=64).astype(np.float32), activation=Activation.RELU,
    )  # fmt: skip
    x = rng.normal(size=(17, channels, 9, 9)).astype(np.float32)
    with forced("avx2-rows"):
        expected = run_plan(plan, x)
    with forced(isa):
        np.testing.assert_array_equal(run_plan(plan, x, threads=2), expected)
        np.testing.assert_array_equal(run_plan(plan, x[:3], threads=3), expected[:3])
        np.testing.assert_array_equal(run_plan(plan, x[16:]), expected[16:])


@pytest.mark.parametrize(("isa", "form"), [("avx2", "generated"), ("avx2-rows", "rows")])
def test_a_form_that_is_forced_is_what_runs(isa: str, form: str) -> None:
    if "avx2" not in instruction_set():
        pytest.skip("this processor has no AVX2")
    plan = one_operator(
        (8, 3, 3), (8, 3, 3), kind=Kind.CONVOLUTION, weights=np.ones((8, 8, 1, 1), np.float32),
        bias=np.zeros(8, np.float32),
    )  # fmt: skip
    with forced(isa):
        session = open_plan(plan)
    assert [record.form for record in session.describe()] == [form]
    session.close()


@ISA
def test_what_is_not_a_number_stays_so(isa) -> None:
    plan = one_operator(
        (2, 3, 3), (3, 3, 3), kind=Kind.CONVOLUTION, weights=np.ones((3, 2, 1, 1), np.float32),
        bias=np.zeros(3, np.float32), activation=Activation.RELU,
    )  # fmt: skip
    x = np.ones((2, 2, 3, 3), np.float32)
    x[0, 1, 1, 1] = np.nan
    with forced(isa):
        got = run_plan(plan, x)
    assert np.isnan(got[0, :, 1, 1]).all()
    assert np.isnan(got).sum() == 3
