"""`inspect`: the dense twin, the prediction, dead channels, and the verdict."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgetransfer import inspect_backbone
from edgetransfer.backbones import Backbone, LayerSparsity, SparsityReport
from edgetransfer.backbones.architectures import ARCHITECTURES, synthetic
from edgetransfer.cli.main import main
from edgetransfer.engines import FakeEngine
from edgetransfer.engines.sparse import opening
from edgetransfer.graphs.dense_twin import dense_twin
from edgetransfer.graphs.sparsity import measure_sparsity
from edgetransfer.jobs.inspection import speed
from edgetransfer.jobs.inspection.speed import compare, predicted_speedup
from tests.conftest import needs_deepsparse
from tests.graphs_made import noise, run


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    monkeypatch.setattr(speed, "COMPARED_SECONDS", 0.0)


@pytest.fixture(scope="module")
def sparse(tmp_path_factory):
    """A MobileNetV1 at 64 pixels, pointwise layers 80 % sparse, one filter without weights."""
    model = synthetic("mobilenet_v1", sparsity=0.8, size=64)
    for tensor in model.graph.initializer:
        if tensor.name == "model.3.3.weight":
            values = numpy_helper.to_array(tensor).copy()
            values[7] = 0
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    path = tmp_path_factory.mktemp("sparse") / "net.onnx"
    onnx.save(model, str(path))
    return path


def test_the_twin_has_no_zeros_and_nearly_the_same_outputs(sparse):
    frozen = Backbone.open(sparse).frozen(2)
    twin = dense_twin(frozen)
    assert measure_sparsity(twin).sparsity == 0
    assert measure_sparsity(twin).dense_macs == measure_sparsity(frozen).dense_macs
    images = noise(2, 3, 64, 64)
    expected = run(frozen, images)
    difference = np.abs(run(twin, images) - expected).max() / np.abs(expected).max()
    assert 0 < difference < 0.05
    assert twin.SerializeToString() == dense_twin(frozen).SerializeToString()


@pytest.mark.parametrize(
    ("name", "sparsity", "measured"),
    [
        # DeepSparse on two cores, batch 64: images a second over those of the dense network.
        ("resnet50", 0.8, 94.6 / 28.4),
        ("resnet50", 0.95, 155 / 28.4),
        ("mobilenet_v1", 0.5, 215 / 153),
        ("mobilenet_v1", 0.9, 456 / 153),
    ],
)
def test_the_prediction_is_near_what_was_measured(name, sparsity, measured):
    table, side, layers = ARCHITECTURES[name], {"input": 224}, []
    for layer in table.layers:
        side[layer.name] = -(-side[layer.source] // layer.stride)
    for layer in table.convolutions:
        kept_dense = layer.groups > 1 or layer.source == "input"
        weights = int(np.prod(layer.shape))
        layers.append(
            LayerSparsity(
                name=layer.name,
                shape=layer.shape,
                zeros=0 if kept_dense else round(sparsity * weights),
                weights=weights,
                pruned_filters=0,
                filters=layer.outputs,
                positions=side[layer.name] ** 2,
            )
        )
    counted = SparsityReport(layers=tuple(layers))
    assert predicted_speedup(counted, "deepsparse") == pytest.approx(measured, rel=0.15)
    assert predicted_speedup(counted, "onnxruntime") == 1.0


def test_nothing_is_predicted_of_nothing():
    assert predicted_speedup(SparsityReport(layers=()), "deepsparse") == 1.0


def test_both_run_in_turn():
    order = []

    class Told(FakeEngine):
        def run(self, images):
            order.append(self)
            return super().run(images)

    one, other = Told(batch_size=2, size=8), Told(batch_size=2, size=8)
    compared = compare(one, other)
    assert order == [one, other] * 4
    assert compared.speedup == compared.sparse / compared.dense > 0


def test_channels_and_speed_without_gain(sparse):
    result = inspect_backbone(str(sparse), engine="onnxruntime", batch_size=4)
    layers = {layer["name"]: layer for layer in result["layers"]}
    assert layers["model.3.3.weight"]["pruned_filters"] == 1
    # Its bias is zero: relu gives zero, the depthwise layer and the next one lose a channel.
    assert layers["model.3.3.weight"]["cut_outputs"] == 1
    assert layers["model.4.0.weight"]["cut_outputs"] == 1
    assert layers["model.4.3.weight"]["cut_inputs"] == 1
    assert layers["model.4.3.weight"]["dead_inputs"] >= 1
    assert result["dead_channels"]["cut"] >= 2
    assert result["dead_channels"]["macs_after"] < result["macs"]["dense"]
    told = result["speed"]
    assert told["predicted_speedup"] == 1.0
    assert told["speedup"] == pytest.approx(
        told["images_per_second"]["sparse"] / told["images_per_second"]["dense"]
    )
    assert result["engine"]["images_per_second"] == told["images_per_second"]["sparse"]
    assert "gains nothing from zeros" in told["verdict"]


def test_a_dense_backbone_has_nothing_to_compare(tmp_path):
    onnx.save(synthetic("mobilenet_v1", size=32), str(tmp_path / "net.onnx"))
    result = inspect_backbone(str(tmp_path / "net.onnx"), engine="onnxruntime", batch_size=2)
    assert result["speed"]["speedup"] is None
    assert "it is dense" in result["speed"]["verdict"]
    assert result["dead_channels"] == {
        "inputs": 0,
        "cut": 0,
        "macs_after": result["macs"]["dense"],
    }


@pytest.mark.skipif(opening.why_absent() is not None, reason="the sparse engine is not compiled")
def test_the_sparse_engine_tells_its_slowest_layers(sparse):
    result = inspect_backbone(str(sparse), engine="sparse", batch_size=4)
    told = result["speed"]
    names = {layer["name"] for layer in result["layers"]}
    assert len(told["slowest"]) == 5
    assert all(set(step["layers"]) <= names for step in told["slowest"])
    shares = [step["share"] for step in told["slowest"]]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1
    assert told["predicted_speedup"] > 1


@needs_deepsparse
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # on DeepSparse's import
def test_deepsparse_tells_its_slowest_layers(sparse):
    result = inspect_backbone(str(sparse), engine="deepsparse", batch_size=16)
    slowest = result["speed"]["slowest"]
    assert len(slowest) == 5
    assert 0 < sum(step["share"] for step in slowest) <= 1
    names = {layer["name"] for layer in result["layers"]}
    assert any(set(step["layers"]) <= names for step in slowest)
    assert "times as fast as dense here" in result["speed"]["verdict"]


def test_the_command(sparse, capsys):
    options = ["--engine", "onnxruntime", "--batch-size", "2"]
    assert main(["inspect", str(sparse), *options]) == 0
    shown = capsys.readouterr().out
    assert "verdict" in shown
    assert "(edgetransfer compact)" in shown
    assert main(["inspect", str(sparse), *options, "--no-compare", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["speed"] is None


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ("sparsity = 0.5", "a sparsity of 50.0%, the file has"),
        ("dimension = 7", "says 7 features, the graph makes 1024"),
        ("sparsity = 0.0\ndimension = 1024", None),
    ],
)
def test_a_card_that_says_something_else_is_doubted(card, said, tmp_path):
    onnx.save(synthetic("mobilenet_v1", size=64), str(tmp_path / "net.onnx"))
    (tmp_path / "net.toml").write_text(card + "\nsize = 64\n")
    found = inspect_backbone(
        str(tmp_path / "net.onnx"), engine="onnxruntime", batch_size=1, compare=False
    )
    about_card = [text for text in found["warnings"] if "its card says" in text]
    assert len(about_card) == (said is not None)
    assert said is None or said in about_card[0]
