"""Small ONNX files, damaged or edited at random; run as a program, it opens them one by one.

    python -m tests.graphs.mutations FOLDER SEED COUNT

The program limits its own memory and says after each file what came of it, so that a file that
ends the process is known by the number that is missing.
"""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.graphs_made import Net, tiny

MEMORY = 4 << 30  # bytes of address space; ONNX Runtime and numpy themselves take most of one
EXTREMES = (0, -1, 1, 2, 3, 5, 7, 1 << 20, (1 << 31) - 1, 1 << 40, (1 << 63) - 1, -(1 << 63))


def bases() -> list[onnx.ModelProto]:
    """Graphs in which every kind of operator that opening looks at occurs."""
    return [
        tiny().model,
        tiny(opset=11, flatten="torch", softmax=True).model,
        tiny(batch=1, shuffle=True, flatten="reshape", pooling="average").model,
        tiny(opset=18, pooling="mean", layout="NHWC", head="matmul").model,
        _shapes_in_the_graph(),
        _branches(),
    ]


def _shapes_in_the_graph() -> onnx.ModelProto:
    net = Net(opset=17)
    x = net.conv("x", (3, 4), kernel=3)
    shape = net.add("Shape", x)
    height = net.add("Gather", shape, net.constant([2], np.int64), axis=0)
    two = net.constant([2], np.int64)
    rest = net.add("Mod", height, two)
    ceiling = net.add("Div", net.add("Add", height, rest), two)
    zeros = net.add("ConstantOfShape", net.constant([3], np.int64))
    kept = net.add("Cast", zeros, to=TensorProto.INT64)
    pads = net.add("Concat", kept, rest, rest, kept, axis=0)
    x = net.add("Pad", x, pads)
    counted = net.add(
        "Range", net.constant(0, np.int64), net.constant(4, np.int64), net.constant(1, np.int64)
    )
    x = net.add("Gather", x, counted, axis=1)
    token = net.add(
        "Expand", net.constant(np.ones((1, 4, 1, 1))), net.constant([1, 4, 1, 1], np.int64)
    )
    x = net.add("Mul", x, net.add("Tile", token, net.constant([1, 1, 1, 1], np.int64)))
    x = net.add(
        "Slice",
        x,
        net.constant([0], np.int64),
        net.constant([4], np.int64),
        net.constant([2], np.int64),
    )
    x = net.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    out = net.add("Gemm", x, net.weights(5, 4), transB=1)
    net.add("Identity", ceiling)
    return net.model(["N", 3, 16, 16], {out: ["N", 5]})


def _branches() -> onnx.ModelProto:
    net = Net(opset=17)
    x = net.add("Relu", net.conv("x", (3, 4)))
    decided = net.add("Equal", net.add("Size", net.constant([1, 2])), net.constant(2, np.int64))
    branches = {}
    for name, operator in (("then_branch", "Relu"), ("else_branch", "Neg")):
        out = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        node = helper.make_node(operator, [x], [name])
        branches[name] = helper.make_graph([node], name, [], [out])
    x = net.add("If", decided, **branches)
    x = net.add("Twice", x, domain="own")
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    out = net.add("Gemm", x, net.weights(5, 4), transB=1)
    model = net.model(["N", 3, 16, 16], {out: ["N", 5]})
    opsets = [helper.make_opsetid("", 17)]
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    model.functions.append(helper.make_function("own", "Twice", ["a"], ["b"], body, opsets))
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


def mutated(model: onnx.ModelProto, rng: np.random.Generator) -> bytes:
    """The bytes of a damaged copy: bits flipped, cut off, pieces moved, or fields edited."""
    how = rng.integers(8)
    if how < 5:
        copy = onnx.ModelProto.FromString(model.SerializeToString())
        for _ in range(rng.integers(1, 4)):
            with suppress(ValueError, KeyError, TypeError):  # an edit of what is damaged already
                _edit(copy, rng)
        return copy.SerializeToString()
    content = bytearray(model.SerializeToString())
    if how == 5:
        for _ in range(rng.integers(1, 9)):
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    elif how == 6:
        del content[rng.integers(len(content)) :]
    else:
        at, to, length = rng.integers(len(content), size=3)
        content[to : to + length % 40] = content[at : at + length % 40]
    return bytes(content)


def _edit(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    graph = model.graph
    node = graph.node[rng.integers(len(graph.node))]
    names = [n for each in graph.node for n in (*each.input, *each.output)]
    extreme = int(EXTREMES[rng.integers(len(EXTREMES))])
    what = rng.integers(11)
    if what == 0 and node.input:
        node.input[rng.integers(len(node.input))] = names[rng.integers(len(names))]
    elif what == 1:
        other = graph.node[rng.integers(len(graph.node))]
        node.op_type = other.op_type
    elif what == 2 and node.attribute:
        item = node.attribute[rng.integers(len(node.attribute))]
        if item.ints:
            item.ints[rng.integers(len(item.ints))] = extreme
        else:
            item.i = extreme
    elif what == 3 and node.attribute:
        item = node.attribute[rng.integers(len(node.attribute))]
        if rng.random() < 0.5 and item.ints:
            item.ints.append(extreme)
        else:
            del item.ints[rng.integers(len(item.ints) + 1) :]
    elif what == 4 and graph.initializer:
        tensor = graph.initializer[rng.integers(len(graph.initializer))]
        if tensor.dims:
            tensor.dims[rng.integers(len(tensor.dims))] = extreme
    elif what == 5 and graph.initializer:
        tensor = graph.initializer[rng.integers(len(graph.initializer))]
        array = numpy_helper.to_array(tensor).copy()
        if array.size and array.dtype.kind == "i":
            array.reshape(-1)[rng.integers(array.size)] = extreme
        elif array.size:
            array = array.reshape(array.shape[::-1]) if rng.random() < 0.5 else array[None]
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    elif what == 6 and graph.initializer:
        tensor = graph.initializer[rng.integers(len(graph.initializer))]
        tensor.data_type = int(rng.integers(26))
    elif what == 7:
        dims = graph.input[0].type.tensor_type.shape.dim
        if dims:
            dims[rng.integers(len(dims))].dim_value = extreme
    elif what == 8:
        model.opset_import[0].version = int(rng.integers(1, 26))
    elif what == 9:
        graph.node.append(node)
    else:
        del graph.node[rng.integers(len(graph.node))]


def _open(path: Path) -> str:
    from edgetransfer.backbones import Backbone
    from edgetransfer.errors import EdgeTransferError

    try:
        backbone = Backbone.open(path)
        for batch in (1, 3):
            backbone.frozen(batch)
    except EdgeTransferError as error:
        return f"refused {str(error)!r}"
    return "opened"


def main(folder: str, seed: str, count: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    models = bases()
    path = Path(folder) / "mutated.onnx"
    for number in range(int(count)):
        rng = np.random.default_rng((int(seed), number))
        path.write_bytes(mutated(models[rng.integers(len(models))], rng))
        print(number, end=" ", flush=True)
        print(_open(path), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
