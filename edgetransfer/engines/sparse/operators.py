"""The operators of ONNX that are lowered, and how; all others are refused."""

from __future__ import annotations

from collections.abc import Callable

import onnx

from edgetransfer.engines.sparse import activation_operators as activations
from edgetransfer.engines.sparse import arithmetic_operators as arithmetic
from edgetransfer.engines.sparse import matrix_operators as matrices
from edgetransfer.engines.sparse import resizing
from edgetransfer.engines.sparse import shape_operators as shapes
from edgetransfer.engines.sparse import view_operators as views
from edgetransfer.engines.sparse.state import Attributes, Lowering, Value

LOWERED: dict[str, Callable[[Lowering, onnx.NodeProto, Attributes], Value | list[Value]]] = {
    "Conv": arithmetic.convolution,
    "Gemm": matrices.matrix_product,
    "MatMul": matrices.matrix_product,
    "Softmax": matrices.softmax,
    "LayerNormalization": matrices.layer_normalisation,
    "RMSNormalization": matrices.layer_normalisation,
    "InstanceNormalization": matrices.instance_normalisation,
    "GroupNormalization": matrices.group_normalisation,
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
    "ReduceMean": shapes.reduced,
    "ReduceSum": shapes.reduced,
    "ReduceMax": shapes.reduced,
    "ReduceL2": shapes.length,
    "Flatten": views.flattened,
    "Reshape": views.reshaped_to,
    "Squeeze": views.reshaped_to,
    "Unsqueeze": views.reshaped_to,
    "Pad": shapes.padded,
    "Concat": views.concatenated,
    "Slice": views.sliced,
    "Resize": resizing.resized,
    "Upsample": resizing.resized,
    "Split": views.split,
    "Gather": views.gathered,
    "Expand": views.expanded,
    "DepthToSpace": views.depth_to_space,
    "SpaceToDepth": views.depth_to_space,
    "Identity": shapes.passed,
    "Dropout": shapes.passed,
    "Cast": shapes.passed,
    "Transpose": views.transposed,
}
