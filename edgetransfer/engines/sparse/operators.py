"""The operators of ONNX that are lowered, and how; all others are refused."""

from __future__ import annotations

from collections.abc import Callable

import onnx

from edgetransfer.engines.sparse import activation_operators as activations
from edgetransfer.engines.sparse import arithmetic_operators as arithmetic
from edgetransfer.engines.sparse import shape_operators as shapes
from edgetransfer.engines.sparse.state import Attributes, Lowering, Value

LOWERED: dict[str, Callable[[Lowering, onnx.NodeProto, Attributes], Value]] = {
    "Conv": arithmetic.convolution,
    "Gemm": arithmetic.matrix_product,
    "MatMul": arithmetic.matrix_product,
    "BatchNormalization": arithmetic.normalisation,
    "Add": arithmetic.arithmetic,
    "Sum": arithmetic.arithmetic,
    "Sub": arithmetic.arithmetic,
    "Mul": arithmetic.arithmetic,
    "Div": arithmetic.arithmetic,
    "Max": arithmetic.arithmetic,
    "Min": arithmetic.arithmetic,
    "Neg": activations.negated,
    "Pow": activations.power,
    "Clip": activations.clip,
    "LeakyRelu": activations.leaky_relu,
    "PRelu": activations.parametric,
    "HardSigmoid": activations.hard_sigmoid,
    "Swish": activations.swish,
    "Gelu": activations.gelu,
    "Elu": activations.elu,
    "Selu": activations.selu,
    **dict.fromkeys(activations.SIMPLE, activations.simple),
    "MaxPool": shapes.pooling,
    "AveragePool": shapes.pooling,
    "GlobalAveragePool": shapes.global_average,
    "GlobalMaxPool": shapes.global_maximum,
    "ReduceMean": shapes.mean,
    "Flatten": shapes.flattened,
    "Reshape": shapes.reshaped,
    "Squeeze": shapes.reshaped,
    "Unsqueeze": shapes.reshaped,
    "Pad": shapes.padded,
    "Concat": shapes.concatenated,
    "Identity": shapes.passed,
    "Dropout": shapes.passed,
    "Cast": shapes.passed,
    "Transpose": shapes.transposed,
}
