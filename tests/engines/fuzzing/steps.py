"""One random step for each operator that the sparse engine lowers."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from tests.engines.fuzzing import activations, mixing, windows
from tests.engines.fuzzing.growth import Growth, Step, Tensor

MOST_CHANNELS = 20


# ---------------------------------------------------------------- products and sums


def _gemm(g: Growth, x: Tensor) -> Tensor | None:
    if not x.flat:
        return None
    out, turned = g.integer(1, 9), g.integer(0, 1)
    sparsity = float(g.rng.choice([0.0, 0.8]))
    shape = (out, x.features) if turned else (x.features, out)
    weights = g.rng.normal(size=shape) / np.sqrt(x.features)
    weights[g.rng.random(shape) < sparsity] = 0
    inputs = [x.name, g.net.constant(weights)]
    if g.net.opset < 11 or g.chance(0.7):
        inputs.append(g.net.constant(g.rng.normal(0, 0.3, out if g.chance(0.7) else 1)))
    scales = {"alpha": 0.7, "beta": 1.4} if g.chance(0.3) else {}
    return g.made(g.node("Gemm", *inputs, transB=turned, **scales), (out, 1, 1), flat=True)


def _matmul(g: Growth, x: Tensor) -> Tensor | None:
    if not x.flat:
        return None
    out = g.integer(1, 9)
    weights = g.net.constant(g.rng.normal(size=(x.features, out)) / np.sqrt(x.features))
    return g.made(g.node("MatMul", x.name, weights), (out, 1, 1), flat=True)


def _normalisation(g: Growth, x: Tensor) -> Tensor | None:
    if x.flat and not x.point:
        return None
    return g.renamed(x, g.net.batch_norm(x.name, x.shape[0]))


def _constant_for(g: Growth, x: Tensor) -> str:
    if g.chance(0.3) or (x.flat and not x.point):
        return g.net.constant(g.numbers(1).reshape([(), (1,), (1, 1)][g.integer(0, 2)]))
    numbers = g.numbers(x.shape[0])
    if not x.flat:
        numbers = numbers.reshape(-1, 1, 1)
    return g.net.constant(numbers[None] if g.chance(0.3) else numbers)


def _partner(g: Growth, x: Tensor) -> str | None:
    """Another tensor of that shape if there is one, else a convolution of this one, or itself."""
    same = [t for t in g.tensors if (t.shape, t.flat) == (x.shape, x.flat) and t.name != x.name]
    if same and g.chance(0.8):
        return g.any_of(same).name
    if g.chance(0.2) or x.flat:
        return x.name
    return g.net.conv(x.name, (x.shape[0], x.shape[0]))


def _sum(operator: str) -> Step:
    def step(g: Growth, x: Tensor) -> Tensor | None:
        if operator == "Add" and g.chance(0.2):
            return activations.combined(operator)(g, x)
        if operator == "Add" and g.chance(0.3):
            inputs = [x.name, _constant_for(g, x)]
        else:
            count = 1 if operator == "Add" else g.integer(0, 3)
            inputs = [x.name, *(_partner(g, x) for _ in range(count))]
        order = g.rng.permutation(len(inputs))
        return g.renamed(x, g.node(operator, *(str(inputs[i]) for i in order)))

    return step


def _scaled(operator: str) -> Step:
    def step(g: Growth, x: Tensor) -> Tensor | None:
        if g.chance(0.4):
            return activations.combined(operator)(g, x)
        inputs = [x.name, _constant_for(g, x)]
        if operator != "Div" and g.chance(0.5):
            inputs.reverse()
        return g.renamed(x, g.node(operator, *inputs))

    return step


# ---------------------------------------------------------------- what moves numbers


def _identity(g: Growth, x: Tensor) -> Tensor | None:
    return g.renamed(x, g.node("Identity", x.name))


def _dropout(g: Growth, x: Tensor) -> Tensor | None:
    if g.net.opset < 12:
        return g.renamed(x, g.node("Dropout", x.name, ratio=0.3))
    return g.renamed(x, g.node("Dropout", x.name, g.net.constant(0.3)))


def _cast(g: Growth, x: Tensor) -> Tensor | None:
    return g.renamed(x, g.node("Cast", x.name, to=TensorProto.FLOAT))


def _transpose(g: Growth, x: Tensor) -> Tensor | None:
    if x.flat:
        return g.renamed(x, g.node("Transpose", x.name, perm=[0, 1]))
    if g.chance(0.3):
        return g.renamed(x, g.node("Transpose", x.name, perm=[0, 1, 2, 3]))
    if g.chance(0.5):
        return mixing.shuffled(g, x)
    there = g.node("Transpose", x.name, perm=[0, 2, 3, 1])
    return g.renamed(x, g.node("Transpose", there, perm=[0, 3, 1, 2]))


def _flatten(g: Growth, x: Tensor) -> Tensor | None:
    return g.made(g.node("Flatten", x.name, axis=1), x.shape, flat=True)


def _reshape(g: Growth, x: Tensor) -> Tensor | None:
    flat = g.chance(0.5) if x.point else x.flat
    to = [g.batch, x.features] if flat else [g.batch, *x.shape]
    if g.chance(0.5):
        to[g.integer(0, len(to) - 1)] = -1
    elif g.chance(0.3):
        to[0] = 0
    return g.made(g.node("Reshape", x.name, g.integers(to)), x.shape, flat=flat)


def _squeeze(g: Growth, x: Tensor) -> Tensor | None:
    if x.flat or not x.point:
        return None
    if g.net.opset < 13:
        return g.made(g.node("Squeeze", x.name, axes=[2, 3]), x.shape, flat=True)
    return g.made(g.node("Squeeze", x.name, g.integers([-1, 2])), x.shape, flat=True)


def _unsqueeze(g: Growth, x: Tensor) -> Tensor | None:
    if not x.flat or not x.point:
        return None
    if g.net.opset < 13:
        return g.made(g.node("Unsqueeze", x.name, axes=[2, 3]), x.shape)
    return g.made(g.node("Unsqueeze", x.name, g.integers([2, 3])), x.shape)


def _pad(g: Growth, x: Tensor) -> Tensor | None:
    if x.flat:
        return None
    pads = [0, 0, 0, 0]
    if g.chance(0.2):
        return mixing.mirrored(g, x)
    if not g.chance(0.2):
        pads = [g.integer(0, 3) if g.chance(0.6) else 0 for _ in range(4)]
    all_axes = [0, 0, *pads[:2], 0, 0, *pads[2:]]
    number = float(g.rng.choice([0.0, 0.0, 0.0, 0.7]))
    if g.net.opset < 11:
        name = g.node("Pad", x.name, pads=all_axes, value=number)
    elif g.net.opset >= 18 and g.chance(0.3):
        turned = [pads[1], pads[0], pads[3], pads[2]]
        inputs = [g.integers(turned), g.net.constant(number), g.integers([3, -2])]
        name = g.node("Pad", x.name, *inputs)
    elif number or g.chance(0.3):
        name = g.node("Pad", x.name, g.integers(all_axes), g.net.constant(number))
    else:
        name = g.node("Pad", x.name, g.integers(all_axes))
    sides = (x.shape[1] + pads[0] + pads[2], x.shape[2] + pads[1] + pads[3])
    return g.made(name, (x.shape[0], *sides))


def _concat(g: Growth, x: Tensor) -> Tensor | None:
    if x.flat and not x.point:
        return None
    fits = [t for t in g.tensors if t.flat == x.flat and t.shape[1:] == x.shape[1:]]
    parts = [x, *(g.any_of(fits) for _ in range(g.integer(0, 2)))]
    channels = sum(part.shape[0] for part in parts)
    if channels > MOST_CHANNELS:
        return None
    name = g.node("Concat", *(part.name for part in parts), axis=1 if x.flat else -3)
    return g.made(name, (channels, *x.shape[1:]), flat=x.flat)


STEPS: dict[str, Step] = {
    "Conv": windows.convolution,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _normalisation,
    "Add": _sum("Add"),
    "Sum": _sum("Sum"),
    "Sub": _scaled("Sub"),
    "Mul": _scaled("Mul"),
    "Div": _scaled("Div"),
    "Max": activations.combined("Max"),
    "Min": activations.combined("Min"),
    "Relu": activations.named("Relu"),
    "Clip": activations.clip,
    "LeakyRelu": activations.leaky,
    "PRelu": activations.parametric,
    "Sigmoid": activations.sigmoid,
    "HardSigmoid": activations.hard_sigmoid,
    "HardSwish": activations.named("HardSwish", since=14),
    "Gelu": activations.named("Gelu", since=20),
    "Mish": activations.named("Mish", since=18),
    "Tanh": activations.tanh,
    "Erf": activations.erf,
    "Softplus": activations.softplus,
    "Elu": activations.named("Elu", alpha=0.7),
    "Selu": activations.named("Selu"),
    "Exp": activations.exponential,
    "Sqrt": activations.root,
    "Pow": activations.power,
    "Neg": activations.named("Neg"),
    "MaxPool": windows.max_pool,
    "AveragePool": windows.average_pool,
    "GlobalAveragePool": windows.pooled_whole("GlobalAveragePool"),
    "GlobalMaxPool": windows.pooled_whole("GlobalMaxPool"),
    "ReduceMean": windows.mean,
    "ReduceSum": mixing.reduced("ReduceSum"),
    "ReduceMax": mixing.reduced("ReduceMax"),
    "ReduceL2": mixing.reduced("ReduceL2"),
    "Slice": mixing.sliced,
    "Split": mixing.split,
    "Gather": mixing.gathered,
    "Expand": mixing.expanded,
    "DepthToSpace": mixing.depth_to_space,
    "SpaceToDepth": mixing.space_to_depth,
    "Resize": mixing.resized,
    "Softmax": mixing.softmax,
    "LayerNormalization": mixing.layer_normalisation,
    "InstanceNormalization": mixing.instance_normalisation,
    "GroupNormalization": mixing.group_normalisation,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Pad": _pad,
    "Concat": _concat,
    "Identity": _identity,
    "Dropout": _dropout,
    "Cast": _cast,
    "Transpose": _transpose,
}
# Steps that may give nothing but another name.
RENAMING = frozenset(
    (
        "Slice", "Gather", "Expand", "Resize", "Sum", "Flatten", "Reshape", "Squeeze", "Unsqueeze",
        "Pad", "Identity", "Dropout", "Cast", "Transpose", "ReduceMean", "ReduceSum", "ReduceMax",
        "SpaceToDepth", "DepthToSpace",
    )
)  # fmt: skip
# Chances beside 1: images shrink to a point late, and convolutions are what all others meet.
WEIGHTS = {
    "Conv": 6.0, "Add": 3.0, "Relu": 2.0, "Pad": 2.0, "MaxPool": 1.5, "Gemm": 2.0,
    "Softmax": 2.0, "Transpose": 2.0, "GlobalAveragePool": 0.3, "GlobalMaxPool": 0.3,
    "ReduceMean": 0.3, "ReduceSum": 0.3, "ReduceMax": 0.3, "Flatten": 0.4,
}  # fmt: skip
