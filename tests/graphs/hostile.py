"""Two hundred ONNX files of some hundred bytes that ask for terabytes, or never end.

    python -m tests.graphs.hostile COMMAND FOLDER

has each of them opened by a command of the tool (inspect, compact, sparsify, train or import), one
after the other in this process, and prints one JSON line a file: its name, the exit code, seconds
of processor time, the largest resident memory in bytes, and what was said. A file that ends the
process is known by the line that is missing; ``--from NAME`` goes on with the one after it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from tests.graphs_made import Net, tiny

HUGE = (1 << 20, 1 << 31, 1 << 40, (1 << 63) - 1)
Make = Callable[[], onnx.ModelProto]


def of_the_image(operator: str, *inputs: object, **attributes: object) -> onnx.ModelProto:
    """A graph of one node that reads the image, and a classifier behind it."""
    return _finished(Net(opset=17), operator, ("x", *inputs), attributes)


def of_constants(operator: str, *inputs: object, **attributes: object) -> onnx.ModelProto:
    """A graph of one node that reads constants, whose result is added to the image."""
    net = Net(opset=17)
    made = net.add(operator, *_named(net, inputs), **attributes)
    return _classified(net, net.add("Add", "x", made))


def _finished(
    net: Net, operator: str, inputs: tuple[object, ...], attributes: dict[str, object]
) -> onnx.ModelProto:
    return _classified(net, net.add(operator, *_named(net, inputs), **attributes))


def _named(net: Net, inputs: tuple[object, ...]) -> list[str]:
    return [
        given if isinstance(given, str) else net.constant(given, np.asarray(given).dtype)
        for given in inputs
    ]


def _classified(net: Net, x: str) -> onnx.ModelProto:
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    out = net.add("Gemm", x, net.weights(5, 3), transB=1)
    return net.model(["N", 3, 16, 16], {out: ["N", 5]})


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def large_results() -> Iterator[tuple[str, Make]]:
    """Operators whose result is as large as a number in the file says."""
    one, ones = np.ones(1, np.float32), np.ones((3, 3, 3, 3), np.float32)
    for n in HUGE:
        yield f"ConstantOfShape of {n}", lambda n=n: of_constants("ConstantOfShape", whole(n, n))
        yield f"Expand to {n}", lambda n=n: of_constants("Expand", one, whole(n, n))
        yield f"Expand the image to {n}", lambda n=n: of_the_image("Expand", whole(n, 3, 16, 16))
        yield f"Tile by {n}", lambda n=n: of_constants("Tile", one, whole(n))
        yield f"Tile the image by {n}", lambda n=n: of_the_image("Tile", whole(1, 1, n, n))
        yield f"Pad by {n}", lambda n=n: of_constants("Pad", one, whole(n, n))
        yield (
            f"Pad the image by {n}",
            lambda n=n: of_the_image("Pad", whole(0, 0, n, n, 0, 0, n, n)),
        )
        yield (
            f"Range to {n}",
            lambda n=n: of_constants("Range", np.int64(0), np.int64(n), np.int64(1)),
        )
        yield (
            f"Range by next to nothing to {n}",
            lambda n=n: of_constants(
                "Range", np.float32(0), np.float32(n), np.float32(np.finfo(np.float32).tiny)
            ),
        )
        yield f"Reshape to {n}", lambda n=n: of_the_image("Reshape", whole(1, 3, n, n))
        yield f"Reshape to -1 and {n}", lambda n=n: of_the_image("Reshape", whole(-1, n))
        yield f"Reshape to -1, {n} twice", lambda n=n: of_the_image("Reshape", whole(-1, n, n))
        yield (
            f"Reshape to -1 and 2 to the 64th by {n}",
            lambda n=n: of_the_image("Reshape", whole(-1, 1 << 32, 1 << 32, n)),
        )
        yield (
            f"Resize by {n}",
            lambda n=n: of_the_image("Resize", "", np.array([1, 1, n, n], np.float32)),
        )
        yield f"Resize to {n}", lambda n=n: of_the_image("Resize", "", "", whole(1, 3, n, n))
        yield (
            f"OneHot of {n}",
            lambda n=n: of_constants("OneHot", whole(1), whole(n), np.float32([0, 1])),
        )
        yield (
            f"RandomNormal of {n}",
            lambda n=n: of_constants("RandomNormal", shape=[n, n]),
        )
        yield f"Bernoulli of {n}", lambda n=n: of_constants("RandomUniform", shape=[n])
        yield f"a window of {n}", lambda n=n: of_constants("HannWindow", np.int64(n))
        yield (
            f"weights of a mel scale of {n}",
            lambda n=n: of_constants(
                *("MelWeightMatrix", np.int64(n), np.int64(n), np.int64(8192)),
                *(np.float32(0), np.float32(4000)),
            ),
        )
        yield (
            f"EyeLike of {n}",
            lambda n=n: _behind(n, "EyeLike"),
        )
        yield f"NonZero of {n}", lambda n=n: _behind(n, "NonZero")
        yield f"Shape of {n}", lambda n=n: _behind(n, "Shape")
        yield f"Conv, padded by {n}", lambda n=n: of_the_image("Conv", ones, pads=[n] * 4)
        yield f"Conv, dilated by {n}", lambda n=n: of_the_image("Conv", ones, dilations=[n, n])
        yield f"Conv, by strides of {n}", lambda n=n: of_the_image("Conv", ones, strides=[n, n])
        yield f"Conv of {n} groups", lambda n=n: of_the_image("Conv", ones, group=n)
        yield f"a kernel of {n}", lambda n=n: of_the_image("MaxPool", kernel_shape=[n, n])
        yield (
            f"a kernel of {n}, padded",
            lambda n=n: of_the_image("AveragePool", kernel_shape=[n, n], pads=[n, n, n, n]),
        )
        yield (
            f"ConvTranspose by strides of {n}",
            lambda n=n: of_the_image("ConvTranspose", ones, strides=[n, n]),
        )
        yield (
            f"ConvTranspose to {n}",
            lambda n=n: of_the_image("ConvTranspose", ones, output_shape=[n, n]),
        )
        yield f"DepthToSpace by {n}", lambda n=n: of_the_image("DepthToSpace", blocksize=n)
        yield f"SpaceToDepth by {n}", lambda n=n: of_the_image("SpaceToDepth", blocksize=n)
        yield f"LRN over {n}", lambda n=n: of_the_image("LRN", size=n)
        yield f"Split into {n}", lambda n=n: of_the_image("Split", whole(n, n), axis=1)
        yield f"Unsqueeze at {n}", lambda n=n: of_the_image("Unsqueeze", whole(n))
        yield (
            f"DFT of {n}",
            lambda n=n: of_constants("DFT", np.ones((1, 4, 1), np.float32), np.int64(n)),
        )
        yield f"weights without values of {n}", lambda n=n: _without_values(n)
        yield f"sparse weights of {n}", lambda n=n: _sparse(n)
        yield f"an image of {n}", lambda n=n: _image_of(n)


def _behind(n: int, operator: str) -> onnx.ModelProto:
    """An operator that reads a constant of so many values."""
    net = Net(opset=17)
    large = net.add("ConstantOfShape", net.constant([n, n], np.int64))
    made = net.add("Cast", net.add(operator, large), to=TensorProto.FLOAT)
    return _classified(net, net.add("Add", "x", net.add("ReduceSum", made)))


def _without_values(n: int) -> onnx.ModelProto:
    model = of_constants("Identity", np.float32(1))
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([n, n])
    return model


def _sparse(n: int) -> onnx.ModelProto:
    model = of_constants("Identity", np.float32(1))
    values = numpy_helper.from_array(np.ones(1, np.float32), "s")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "s_at")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [n, n]))
    model.graph.node[0].input[0] = "s"
    return model


def _image_of(n: int) -> onnx.ModelProto:
    model = tiny().model
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_value = n
    return model


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
    return _classified(net, x if of == "x" else net.add("Add", "x", x))


def _outer(depth: int) -> onnx.ModelProto:
    """Each sum of a row and a column has the square of their values."""
    net = Net(opset=17)
    x = net.constant(np.ones((2, 1)), np.float32)
    for _ in range(depth):
        flat = net.constant([1, -1], np.int64)
        upright = net.constant([-1, 1], np.int64)
        x = net.add("Add", net.add("Reshape", x, flat), net.add("Reshape", x, upright))
    return _classified(net, net.add("Add", "x", net.add("ReduceSum", x)))


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
    return _classified(net, x)


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
    return _classified(net, net.add("Add", "x", net.add("ReduceSum", made)))


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
    return _classified(net, net.add("Add", "x", net.add("ReduceSum", made)))


def of_wrong_forms() -> Iterator[tuple[str, Make]]:
    """Numbers that engines of older versions died of."""
    for kind in ("Conv", "ConvTranspose"):
        for shape in ((3,), (3, 3), (3, 3, 3), (3, 3, 3, 3, 3), (0, 3, 3, 3), (3, 0, 3, 3)):
            weights = np.ones(shape, np.float32)
            yield f"{kind} of weights {shape}", lambda k=kind, w=weights: of_the_image(k, w)
    for operator in ("MaxPool", "AveragePool", "LpPool"):
        for name, values in (
            ("strides", [0, 0]),
            ("strides", [-1, -1]),
            ("dilations", [0, 0]),
            ("pads", [-9] * 4),
            ("kernel_shape", [0, 0]),
            ("kernel_shape", [2, 2, 2]),
            ("kernel_shape", []),
        ):
            given = {"kernel_shape": [2, 2], name: values}
            yield f"{operator}, {name} {values}", lambda o=operator, g=given: of_the_image(o, **g)
    for axis in (99, -99, (1 << 63) - 1):
        yield f"Softmax over axis {axis}", lambda axis=axis: of_the_image("Softmax", axis=axis)
        yield f"Flatten at {axis}", lambda axis=axis: of_the_image("Flatten", axis=axis)
        yield f"Concat along {axis}", lambda axis=axis: of_the_image("Concat", "x", axis=axis)
        yield f"Gather along {axis}", lambda a=axis: of_the_image("Gather", whole(0), axis=a)
        yield f"Gather of {axis}", lambda a=axis: of_the_image("Gather", whole(a), axis=1)
    for step in (0, -(1 << 63)):
        yield (
            f"Slice by {step}",
            lambda s=step: of_the_image("Slice", whole(0), whole(9), whole(1), whole(s)),
        )


def hostile() -> dict[str, Make]:
    """All of them, by name."""
    return {
        name: make for part in (large_results, growing, of_wrong_forms) for name, make in part()
    }


COMMANDS: dict[str, tuple[str, ...]] = {
    "inspect": ("{model}", "--batch-size", "2", "--no-compare"),
    "compact": ("{model}", "--out", "{out}.onnx"),
    "sparsify": ("{model}", "--out", "{out}.onnx", "--calibration", "{photos}"),
    "train": ("--backbone", "{model}", "--data", "{photos}", "--out", "{out}", "--engine", "auto"),
    "import": ("{model}", "--out", "{out}.onnx"),
}


def photos(folder: Path) -> Path:
    """Two classes of four pictures."""
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        for i in range(4):
            path = folder / label / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(path)
    return folder


def peak(*, reset: bool = False) -> int:
    """The largest resident memory since it was reset, in bytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--from", dest="start", type=int, default=0, metavar="NUMBER")
    parser.add_argument("--step", type=int, default=1)
    args = parser.parse_args()
    from edgetransfer.cli.main import main as edgetransfer

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    data = photos(args.folder / "photos")
    for number, (name, make) in enumerate(hostile().items()):
        if number < args.start or number % args.step:
            continue
        model, out = args.folder / f"{number}.onnx", args.folder / f"out{number}"
        model.write_bytes(make().SerializeToString())
        places = {"model": str(model), "out": str(out), "photos": str(data)}
        arguments = [word.format(**places) for word in COMMANDS[args.command]]
        said = io.StringIO()
        start = time.process_time()
        peak(reset=True)
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            code = edgetransfer([args.command, *arguments])
        line = {
            "number": number,
            "name": name,
            "code": code,
            "seconds": time.process_time() - start,
            "peak": peak(),
            "bytes": model.stat().st_size,
            "said": said.getvalue()[-300:],
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
