"""The solver against independent ones, on problems small enough to try everything."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy.optimize import lsq_linear

from edgetransfer.errors import UsageError
from edgetransfer.sparsify.distribution import GRID, least_error, least_error_within
from edgetransfer.sparsify.layers import all_layers
from edgetransfer.sparsify.moments import Moments, input_columns, output_rows, sampled_positions
from edgetransfer.sparsify.patterns import Pattern, largest
from edgetransfer.sparsify.refit import refit
from edgetransfer.sparsify.selection import SupportProblem
from tests.graphs_made import noise, run


def problem(seed, columns=8, rows=3, samples=200):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((columns, columns))
    x = mixing @ rng.standard_normal((columns, samples))
    y = rng.standard_normal((rows, columns)) @ x + 0.3 * rng.standard_normal((rows, samples))
    return x, y


def test_refitted_weights_equal_an_independent_least_squares_solver() -> None:
    x, y = problem(0, columns=12, rows=5)
    rng = np.random.default_rng(1)
    kept = rng.random((5, 12)) < 0.5
    kept[:, -1] = True
    with ThreadPoolExecutor(2) as pool:
        weights = refit(x @ x.T, y @ x.T, kept, pool)
    for row in range(5):
        bound = np.where(kept[row], np.inf, 1e-300)
        expected = lsq_linear(x.T, y[row], (-bound, bound), method="bvls", tol=1e-14).x
        np.testing.assert_allclose(weights[row], expected, atol=1e-6)
    assert not weights[~kept].any()


def explained(h, c, support):
    """How much of the outputs' energy the best weights on a support explain."""
    s = list(support)
    return float(c[0, s] @ np.linalg.solve(h[np.ix_(s, s)], c[0, s]))


def test_supports_are_close_to_the_best_of_all() -> None:
    errors = {"found": [], "best": [], "magnitude": []}
    for seed in range(30):
        x, y = problem(seed, rows=1)
        h, c, total = x @ x.T, y @ x.T, float((y**2).sum())
        kept, _ = SupportProblem(h).select(c, largest(4))
        assert kept.sum() == 4
        errors["found"].append(total - explained(h, c, np.flatnonzero(kept[0])))
        sizes = np.abs(np.linalg.solve(h, c[0]))
        errors["magnitude"].append(total - explained(h, c, np.argsort(-sizes)[:4]))
        every = combinations(range(8), 4)
        errors["best"].append(total - max(explained(h, c, s) for s in every))
    found, best, magnitude = (np.array(errors[k]) for k in ("found", "best", "magnitude"))
    assert np.median(found / best) < 1.1
    assert found.sum() < magnitude.sum()


def test_taking_the_bias_out_leaves_the_same_weights() -> None:
    x, y = problem(3)
    x = np.concatenate([x + 2, np.ones((1, x.shape[1]))])
    h, c = x @ x.T, y @ x.T
    expected = np.linalg.solve(h, c.T).T[:, :-1]
    _, weights = SupportProblem(h, bias=True).select(c, largest(expected.size))
    np.testing.assert_allclose(weights, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("automatic", ["NOTSET", "SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize(
    ("kernel", "group", "strides", "pads", "dilations"),
    [
        (1, 1, 1, 0, 1),
        (3, 1, 1, 1, 1),
        (3, 2, 2, 1, 1),
        (3, 6, 1, 1, 1),
        (3, 1, 1, 2, 2),
        (1, 1, 2, 0, 1),
    ],
)
def test_patches_times_weights_are_the_convolution(
    kernel, group, strides, pads, dilations, automatic
) -> None:
    if automatic != "NOTSET" and dilations > 1:
        pytest.skip("ONNX Runtime does not dilate under automatic padding")
    rng = np.random.default_rng(0)
    first = rng.standard_normal((6, 3, 1, 1)).astype(np.float32)
    w = rng.standard_normal((12, 6 // group, kernel, kernel)).astype(np.float32)
    bias = rng.standard_normal(12).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "first"], ["x"]),
        helper.make_node(
            "Conv",
            ["x", "w", "b"],
            ["y"],
            group=group,
            strides=[strides] * 2,
            **({"pads": [pads] * 4} if automatic == "NOTSET" else {"auto_pad": automatic}),
            dilations=[dilations] * 2,
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [2, 3, 9, 9])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        ],
        [numpy_helper.from_array(a, n) for a, n in ((first, "first"), (w, "w"), (bias, "b"))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    images = noise(2, 3, 9, 9)
    y = run(model, images)
    model.graph.output.reverse()
    x = run(model, images)
    del model.graph.output[0]
    model = onnx.shape_inference.infer_shapes(model)
    layers = {found.name: found for found in all_layers(model)}
    layer = layers["w"]
    shape = list(y.shape)
    augmented = np.concatenate(
        [layer.to_matrix(w), bias.astype(np.float64).reshape(group, -1, 1)], axis=2
    )
    np.testing.assert_array_equal(layer.from_matrix(layer.to_matrix(w)), w)
    for most in (10**6, 5):
        positions = sampled_positions(layer, shape, most, np.random.default_rng(0))
        columns = input_columns(layer, x, positions)
        made = augmented @ columns
        np.testing.assert_allclose(made, output_rows(layer, y, positions), atol=1e-4)


def test_moments_give_the_error_of_any_weights() -> None:
    x, y = problem(0)
    moments = Moments(np.zeros((1, 8, 8)), np.zeros((1, 3, 8)), np.zeros((1, 3)), np.zeros((1, 3)))
    for part in np.split(np.arange(200), 4):
        moments.add(x[None, :, part].astype(np.float32), y[None, :, part].astype(np.float32))
    weights = np.random.default_rng(5).standard_normal((1, 3, 8))
    expected = ((weights[0] @ x - y) ** 2).sum()
    assert moments.errors(weights).sum() == pytest.approx(expected, rel=1e-5)
    variation = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum()
    assert moments.relative_error(weights) == pytest.approx(expected / variation, rel=1e-5)


def test_a_budget_is_met_with_the_least_error() -> None:
    # Two layers of one size; the first loses twice as much at every sparsity.
    curve = GRID**2
    errors = np.stack([2 * curve, curve])
    costs = np.stack([1 - GRID, 1 - GRID])
    shares = least_error(errors, costs, 1.0)
    assert (1 - shares).sum() == pytest.approx(1.0, abs=0.02)
    # Equal slopes: 2 · 2 s₁ = 2 s₂ with s₁ + s₂ = 1, up to the grid's linear pieces.
    assert shares[0] == pytest.approx(1 / 3, abs=0.1)
    with pytest.raises(UsageError, match="cannot be reached"):
        least_error(errors, costs, 0.01)


def test_patterns_are_read() -> None:
    assert Pattern.parse("2:4").sparsity == 0.5
    assert Pattern.parse("unstructured").sparsity is None
    for text in ("4:2", "2:2", "0:4", "half"):
        with pytest.raises(UsageError):
            Pattern.parse(text)


def test_two_budgets_are_kept_and_the_error_falls() -> None:
    rng = np.random.default_rng(0)
    errors = rng.uniform(0.1, 2, (6, 1)) * GRID**3
    weights = rng.uniform(1, 50, (6, 1)) * (1 - GRID)
    macs = rng.uniform(1, 50, (6, 1)) * (1 - GRID)
    even = np.full(6, 0.75)
    shares = least_error_within(errors, weights, macs, even)
    for cost in (weights, macs):
        spent = sum(np.interp(s, GRID, c) for s, c in zip(shares, cost, strict=True))
        assert spent <= 0.25 * cost[:, 0].sum() * (1 + 1e-6)
    error = sum(np.interp(s, GRID, e) for s, e in zip(shares, errors, strict=True))
    before = sum(np.interp(0.75, GRID, e) for e in errors)
    assert error < before
