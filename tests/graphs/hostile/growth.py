"""Hostile files whose small steps come to much: doublings, functions of functions, loops, rings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.graphs.hostile.nets import Make, classified, of_constants, of_the_image
from tests.graphs_made import Net, tiny


def growing() -> Iterator[tuple[str, Make]]:
    """Small steps, many times."""
    for depth in (30, 60, 200):
        yield f"{depth} doublings of a constant", lambda depth=depth: _doubled(depth, "w")
        yield f"{depth} doublings of the image", lambda depth=depth: _doubled(depth, "x")
        yield f"{depth} outer products", lambda depth=depth: _outer(depth)
        yield f"{depth} functions of functions", lambda depth=depth: _functions(depth)
        yield (
            f"branches {min(depth // 2, 30)} deep",
            lambda depth=depth: _branches(min(depth // 2, 30)),
        )
        yield f"a chain of {10 * depth} nodes", lambda depth=depth: _chain(10 * depth)
        yield f"{depth} dimensions", lambda depth=depth: _dimensions(depth)
    for n in (1 << 15, 1 << 20):
        yield f"a product of vectors of {n}", lambda n=n: _vectors(n)
        yield f"Einsum of vectors of {n}", lambda n=n: _vectors(n, einsum=True)
    for trips in (1 << 20, (1 << 63) - 1):
        yield f"a loop of {trips}", lambda trips=trips: _loop(trips)
    yield "functions that call each other", lambda: _circle(2)
    yield "a function that calls itself", lambda: _circle(1)
    yield "a node that reads itself", lambda: _ring(1, 1)
    yield "a ring", lambda: _ring(1, -1)


def _doubled(depth: int, of: str) -> onnx.ModelProto:
    net = Net(opset=17)
    x = "x" if of == "x" else net.constant(np.ones((1, 1, 1, 1)), np.float32)
    for _ in range(depth):
        x = net.add("Concat", x, x, axis=3)
    return classified(net, x if of == "x" else net.add("Add", "x", x))


def _outer(depth: int) -> onnx.ModelProto:
    """Each sum of a row and a column has the square of their values."""
    net = Net(opset=17)
    x = net.constant(np.ones((2, 1)), np.float32)
    for _ in range(depth):
        flat = net.constant([1, -1], np.int64)
        upright = net.constant([-1, 1], np.int64)
        x = net.add("Add", net.add("Reshape", x, flat), net.add("Reshape", x, upright))
    return classified(net, net.add("Add", "x", net.add("ReduceSum", x)))


def _functions(depth: int) -> onnx.ModelProto:
    model = tiny().model
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]
    for level in range(depth):
        call, domain = (f"f{level - 1}", "own") if level else ("Relu", "")
        steps = [
            helper.make_node(call, ["a" if i == 0 else f"t{i}"], [f"t{i + 1}"], domain=domain)
            for i in range(4)
        ]
        made = helper.make_function("own", f"f{level}", ["a"], ["t4"], steps, opsets)
        model.functions.append(made)
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.graph.node[2].domain, model.graph.node[2].op_type = "own", f"f{depth - 1}"
    return model


def _circle(length: int) -> onnx.ModelProto:
    model = tiny().model
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]
    for i in range(length):
        body = [helper.make_node(f"f{(i + 1) % length}", ["a"], ["b"], domain="own")]
        model.functions.append(helper.make_function("own", f"f{i}", ["a"], ["b"], body, opsets))
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.graph.node[2].domain, model.graph.node[2].op_type = "own", "f0"
    return model


def _ring(start: int, end: int) -> onnx.ModelProto:
    model = tiny().model
    model.graph.node[start].input[0] = model.graph.node[end].output[0]
    return model


def _branches(depth: int) -> onnx.ModelProto:
    def value() -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info("y", TensorProto.FLOAT, None)

    inner = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [value()])
    other = onnx.GraphProto.FromString(inner.SerializeToString())
    for _ in range(depth):
        node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=other)
        inner = helper.make_graph([node], "g", [], [value()])
    model = of_the_image("Relu")
    model.graph.node[0].CopyFrom(inner.node[0])
    model.graph.node[0].output[0] = model.graph.node[1].input[0]
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "c"))
    return model


def _chain(length: int) -> onnx.ModelProto:
    net = Net(opset=17)
    x = "x"
    for _ in range(length):
        x = net.add("Relu", x)
    return classified(net, x)


def _dimensions(count: int) -> onnx.ModelProto:
    shape = np.full(count, 2, np.int64)
    return of_constants("ConstantOfShape", shape)


def _vectors(n: int, *, einsum: bool = False) -> onnx.ModelProto:
    net = Net(opset=17)
    row = net.add("ConstantOfShape", net.constant([1, n], np.int64))
    column = net.add("ConstantOfShape", net.constant([n, 1], np.int64))
    made = (
        net.add("Einsum", column, row, equation="ab,cd->ad")
        if einsum
        else net.add("MatMul", column, row)
    )
    return classified(net, net.add("Add", "x", net.add("ReduceSum", made)))


def _loop(trips: int) -> onnx.ModelProto:
    def of(name: str, kind: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, None)

    body = helper.make_graph(
        [
            helper.make_node("Identity", ["c"], ["d"]),
            helper.make_node("Concat", ["v", "v"], ["w"], axis=0),
        ],
        "body",
        [of("i", TensorProto.INT64), of("c", TensorProto.BOOL), of("v", TensorProto.FLOAT)],
        [of("d", TensorProto.BOOL), of("w", TensorProto.FLOAT)],
    )
    net = Net(opset=17)
    count = net.constant(trips, np.int64)
    start = net.constant(np.ones(1), np.float32)
    made = net.add("Loop", count, "", start, body=body)
    return classified(net, net.add("Add", "x", net.add("ReduceSum", made)))
