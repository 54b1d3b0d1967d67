"""A float graph in int8 computes nearly the same."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgetransfer.graphs.quantising import in_int8, quantised_tensors


def network(seed, transposed):
    """A grouped convolution, a sum, pooling and a fully connected layer."""
    rng = np.random.default_rng(seed)

    def weights(name, *shape):
        spread = np.exp(rng.normal(size=(shape[0], *[1] * (len(shape) - 1))))
        values = (rng.normal(size=shape) * spread).astype(np.float32)
        return numpy_helper.from_array(values, name)

    fully = (5, 8) if transposed else (8, 5)
    nodes = [
        helper.make_node("Conv", ["images", "w", "b"], ["a"], pads=[1, 1, 1, 1], name="first"),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("Conv", ["r", "v"], ["c"], group=4, pads=[1, 1, 1, 1], name="grouped"),
        helper.make_node("Add", ["c", "r"], ["s"]),
        helper.make_node("GlobalAveragePool", ["s"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "g"], ["features"], transB=int(transposed)),
    ]
    tensors = [weights("w", 8, 3, 3, 3), weights("b", 8), weights("v", 8, 2, 3, 3)]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [2, 3, 8, 8])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [2, 5])],
        [*tensors, weights("g", *fully)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)


def run(model, images, names=None):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(names, {"images": images})


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("bits", [8, 7])
def test_it_computes_nearly_the_same(bits, transposed):
    model = network(bits, transposed)
    images = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    names = quantised_tensors(model)
    assert names == ["images", "r", "c", "s", "f"]
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names[1:])
    values = dict(zip(names, [images, *run(probe, images)[1:]], strict=True))
    ranges = {name: (float(v.min()), float(v.max())) for name, v in values.items()}
    quantised = in_int8(model, ranges, weight_bits=bits)
    onnx.checker.check_model(quantised, full_check=True)
    (expected,), (found,) = run(model, images), run(quantised, images)
    # A step is 1 / 127 of a filter's largest weight; over a filter's sum they nearly cancel.
    assert np.linalg.norm(found - expected) < 0.03 * np.linalg.norm(expected)
    integers = [t for t in quantised.graph.initializer if t.name.endswith("/int8")]
    assert len(integers) == 3
    for tensor in integers:
        most = np.abs(numpy_helper.to_array(tensor)).max()
        assert most == 2 ** (bits - 1) - 1


def test_a_zero_stays_a_zero_and_a_tensor_without_a_range_stays_in_float():
    model = network(1, transposed=False)
    index = next(i for i, t in enumerate(model.graph.initializer) if t.name == "w")
    weights = numpy_helper.to_array(model.graph.initializer[index]).copy()
    weights[:, 0] = 0
    model.graph.initializer[index].CopyFrom(numpy_helper.from_array(weights, "w"))
    quantised = in_int8(model, {"images": (-4.0, 4.0)})
    stored = {t.name: numpy_helper.to_array(t) for t in quantised.graph.initializer}
    (whole,) = [array for name, array in stored.items() if name.endswith("/int8")]
    assert not whole[:, 0].any()
    assert "v" in stored
    assert sum(node.op_type == "QuantizeLinear" for node in quantised.graph.node) == 1
