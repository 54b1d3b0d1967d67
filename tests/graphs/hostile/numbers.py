"""Hostile files of one number: a result as large as it says, or a form that nothing has."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.graphs.hostile.nets import Make, classified, of_constants, of_the_image
from tests.graphs_made import Net, tiny

HUGE = (1 << 20, 1 << 31, 1 << 40, (1 << 63) - 1)


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
    return classified(net, net.add("Add", "x", net.add("ReduceSum", made)))


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
