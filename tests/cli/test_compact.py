"""``edgetransfer compact``: what is written, what is refused."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.architectures import synthetic
from edgetransfer.cli.main import main
from tests.graphs_made import noise, run, tiny


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """A MobileNetV1 with a classifier, a third of each layer's filters without weights."""
    model = synthetic("mobilenet_v1", size=64, classifier=True)
    rng = np.random.default_rng(1)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor).copy()
        if values.ndim == 4 and tensor.name != "model.13.3.weight":
            values[rng.random(len(values)) < 0.33] = 0
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    path = tmp_path_factory.mktemp("pruned") / "net.onnx"
    onnx.save(model, str(path))
    return path


def test_it_writes_the_same_network_smaller(pruned, tmp_path, capsys):
    out = tmp_path / "small.onnx"
    assert main(["compact", str(pruned), "--out", str(out), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    before, after = Backbone.open(pruned), Backbone.open(out)
    assert result["largest_difference"] < 1e-5
    assert result["after"]["macs"]["dense"] < 0.7 * result["before"]["macs"]["dense"]
    assert result["after"]["weights"] < 0.7 * result["before"]["weights"]
    assert after.card.parent == before.sha256
    assert "dead channels cut away" in after.card.pruning
    assert (after.dimension, after.cut.tensor) == (before.dimension, before.cut.tensor)
    images = noise(2, 3, 64, 64)
    expected = run(onnx.load(str(pruned)), images)
    np.testing.assert_allclose(run(onnx.load(str(out)), images), expected, rtol=1e-5, atol=1e-5)


def test_a_second_time_there_is_nothing_to_cut(pruned, tmp_path, capsys):
    small, again = tmp_path / "small.onnx", tmp_path / "again.onnx"
    assert main(["compact", str(pruned), "--out", str(small)]) == 0
    capsys.readouterr()
    assert main(["compact", str(small), "--out", str(again)]) == 0
    assert "no channel is dead" in capsys.readouterr().out
    assert not again.exists()


def test_names_that_are_taken_and_missing_files(pruned, tmp_path, capsys):
    out = tmp_path / "small.onnx"
    out.write_bytes(b"mine")
    assert main(["compact", str(pruned), "--out", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert main(["compact", str(pruned), "--out", str(out), "--overwrite"]) == 0
    assert Backbone.open(out).dimension == 1024
    assert main(["compact", str(pruned), "--out", str(pruned), "--overwrite"]) == 2
    assert main(["compact", "nothing.onnx", "--out", str(tmp_path / "x.onnx")]) == 3


def test_quantised_graphs_are_refused(tmp_path, capsys):
    model = tiny(head="none").model
    scale = numpy_helper.from_array(np.float32(0.1), "scale")
    model.graph.initializer.append(scale)
    node = model.graph.node[0]
    made = onnx.helper.make_node("QuantizeLinear", ["x", "scale"], ["xq"])
    back = onnx.helper.make_node("DequantizeLinear", ["xq", "scale"], ["xd"])
    node.input[0] = "xd"
    model.graph.node.insert(0, back)
    model.graph.node.insert(0, made)
    onnx.save(model, str(tmp_path / "q.onnx"))
    assert main(["compact", str(tmp_path / "q.onnx"), "--out", str(tmp_path / "o.onnx")]) == 3
    assert "it is quantised" in capsys.readouterr().err
