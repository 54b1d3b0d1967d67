"""Zeros and multiply-adds of a network that was counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgetransfer.backbones import Backbone, SparsityReport
from tests.graphs_made import Net


@pytest.fixture
def report(tmp_path: Path) -> SparsityReport:
    """3x16x16 -> conv 8 -> depthwise 8, stride 2 -> grouped 1x1 6 -> pool -> 10 -> 7 -> 5 -> 4."""
    net = Net()
    ones = np.ones
    stem = ones((8, 3, 3, 3))
    stem[:2] = 0  # two filters, 54 weights
    stem[2, 0] = 0  # 9 weights of a filter that lives on
    depthwise = ones((8, 1, 3, 3))
    depthwise[5] = 0  # one filter, 9 weights
    grouped = ones((6, 4, 1, 1))
    grouped[:, 0] = 0  # one weight of every filter
    rows = ones((10, 6))  # transB: a row an output
    rows[3] = 0
    rows[:, 5] = 0  # 6 + 9 zeros, one output without weights
    columns = ones((10, 7))  # a column an output
    columns[:, :2] = 0
    product = ones((7, 5))
    product[0] = 0  # an input that nobody reads: no output is without weights
    x = net.add("Conv", "x", net.constant(stem), pads=[1] * 4)
    x = net.add("Conv", x, net.constant(depthwise), pads=[1] * 4, strides=[2, 2], group=8)
    x = net.add("Relu", net.add("Conv", x, net.constant(grouped), group=2))
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    x = net.add("Relu", net.add("Gemm", x, net.constant(rows), transB=1))
    x = net.add("Relu", net.add("Gemm", x, net.constant(columns)))
    x = net.add("Relu", net.add("MatMul", x, net.constant(product)))
    out = net.add("Gemm", x, net.weights(4, 5), transB=1)
    onnx.save(net.model(["N", 3, 16, 16], {out: ["N", 4]}), str(tmp_path / "t.onnx"))
    return Backbone.open(tmp_path / "t.onnx").sparsity_report


def test_every_layer_but_the_classifier_is_counted(report: SparsityReport) -> None:
    assert [layer.shape for layer in report.layers] == [
        (8, 3, 3, 3),
        (8, 1, 3, 3),
        (6, 4, 1, 1),
        (10, 6),
        (10, 7),
        (7, 5),
    ]
    assert [layer.name for layer in report.layers] == ["w0", "w1", "w2", "w3", "w4", "w5"]


def test_zeros(report: SparsityReport) -> None:
    assert [layer.zeros for layer in report.layers] == [63, 9, 6, 15, 20, 5]
    assert [layer.weights for layer in report.layers] == [216, 72, 24, 60, 70, 35]
    assert report.layers[0].sparsity == pytest.approx(63 / 216)
    assert report.sparsity == pytest.approx(118 / 477)


def test_pruned_filters(report: SparsityReport) -> None:
    assert [layer.pruned_filters for layer in report.layers] == [2, 1, 0, 1, 2, 0]
    assert [layer.filters for layer in report.layers] == [8, 8, 6, 10, 7, 5]
    assert report.pruned_filters == pytest.approx(3 / 22)  # of convolutions alone


def test_multiply_adds(report: SparsityReport) -> None:
    assert [layer.positions for layer in report.layers] == [256, 64, 64, 1, 1, 1]
    assert report.dense_macs == 216 * 256 + 72 * 64 + 24 * 64 + 60 + 70 + 35
    assert report.nonzero_macs == 153 * 256 + 63 * 64 + 18 * 64 + 45 + 50 + 30


def test_a_product_over_tokens_is_used_once_a_token(tmp_path: Path) -> None:
    net = Net()
    x = net.conv("x", (3, 6))
    x = net.add("Reshape", x, net.constant([0, 6, 64], np.int64))
    x = net.add("Transpose", x, perm=[0, 2, 1])
    x = net.add("MatMul", x, net.weights(6, 9, sparsity=0.5))
    x = net.mean_over(x, [1])
    out = net.add("Gemm", x, net.weights(4, 9), transB=1)
    onnx.save(net.model(["N", 3, 8, 8], {out: ["N", 4]}), str(tmp_path / "t.onnx"))
    layer = Backbone.open(tmp_path / "t.onnx").sparsity_report.layers[-1]
    assert (layer.shape, layer.positions, layer.dense_macs) == ((6, 9), 64, 64 * 54)


def test_a_network_without_weights_is_not_sparse() -> None:
    empty = SparsityReport(layers=())
    assert (empty.sparsity, empty.pruned_filters, empty.dense_macs) == (0.0, 0.0, 0)
