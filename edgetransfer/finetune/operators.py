"""ONNX operators as torch functions: those of the image networks of the last decade.

ResNet, MobileNet V1 to V3, VGG, DenseNet, EfficientNet, ShuffleNet, SqueezeNet, Inception.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from edgetransfer.errors import BackboneError
from edgetransfer.finetune.windows import WINDOWED
from edgetransfer.graphs.graph import Array, Graph, attribute

Call = Callable[..., Tensor | tuple[Tensor, ...]]


@dataclass(frozen=True)
class Reading:
    """A node as a translation sees it.

    Parameters
    ----------
    node
        In canonical form.
    graph
        Around it.
    batch
        The batch size that the graph was frozen to; a Reshape to it keeps any batch.
    """

    node: onnx.NodeProto
    graph: Graph
    batch: int
    opset: int

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return attribute(self.node, name, default)

    def constant(self, position: int) -> Array | None:
        """The value of an input that does not depend on the image; None if it is not there."""
        if position >= len(self.node.input) or not self.node.input[position]:
            return None
        value = self.graph.array(self.node.input[position])
        if value is None:
            raise uncovered(self.node, "with a shape that depends on the image")
        return value

    def integers(self, name: str, position: int) -> list[int] | None:
        """What older operator sets have as an attribute and newer ones as an input."""
        given = self.get(name)
        if given is None:
            value = self.constant(position)
            return None if value is None else [int(v) for v in value.reshape(-1)]
        return [int(v) for v in given]


def uncovered(node: onnx.NodeProto, why: str = "") -> BackboneError:
    """The error of a node that cannot be translated."""
    return BackboneError(
        f"operator {node.op_type} (node {node.name or node.output[0]!r}) {why or ''}".rstrip()
        + " is not covered by finetuning; `edgetransfer train` works with any backbone"
    )


def _relu(_read: Reading, inplace: bool) -> Call:
    return torch.relu_ if inplace else torch.relu


def _clip(read: Reading, inplace: bool) -> Call:
    if read.opset < 11:
        low, high = read.get("min", -np.inf), read.get("max", np.inf)
    else:
        values = [read.constant(1), read.constant(2)]
        low, high = (
            default if v is None else float(v.reshape(()))
            for v, default in zip(values, (-np.inf, np.inf), strict=True)
        )
    low, high = float(low), float(high)
    if np.isfinite(low) and np.isfinite(high):
        return lambda x: torch.nn.functional.hardtanh(x, low, high, inplace=inplace)
    return lambda x: torch.clamp(x, low, high)


def _batch_norm(read: Reading, _inplace: bool) -> Call:
    epsilon, momentum = read.get("epsilon", 1e-5), read.get("momentum", 0.9)

    def call(
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        mean: Tensor,
        var: Tensor,
        *,
        training: bool,
        again: bool,
        share: float | None = None,
    ) -> Tensor:
        # Of a single value per channel there is no variance; a frozen layer keeps its statistics.
        learning = training and scale.requires_grad and x.numel() > x.shape[1]
        if learning and again:
            mean, var = mean.clone(), var.clone()  # the layer learned from this batch already
        new = 1 - momentum if share is None else share
        return torch.nn.functional.batch_norm(
            x, mean, var, scale, shift, training=learning, momentum=new, eps=epsilon
        )

    return call


def _gemm(read: Reading, _inplace: bool) -> Call:
    alpha, beta = read.get("alpha", 1.0), read.get("beta", 1.0)
    first, second = read.get("transA", 0), read.get("transB", 0)

    def call(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        a = a.t() if first else a
        if alpha == beta == 1 and (c is None or c.ndim == 1):
            return torch.nn.functional.linear(a, b if second else b.t(), c)
        product = alpha * (a @ (b.t() if second else b))
        return product if c is None else product + beta * c

    return call


def _reshape(read: Reading, _inplace: bool) -> Call:
    target = [int(v) for v in np.asarray(read.constant(1)).reshape(-1)]
    keeps_zero = not read.get("allowzero", 0)

    def call(x: Tensor) -> Tensor:
        shape = [x.shape[i] if v == 0 and keeps_zero else v for i, v in enumerate(target)]
        if shape and target[0] == read.batch:
            shape[0] = x.shape[0]
        return x.reshape(shape)

    return call


def _flatten(read: Reading, _inplace: bool) -> Call:
    axis = read.get("axis", 1)
    return lambda x: x.reshape(int(np.prod(x.shape[: axis or 0])) if axis else 1, -1)


def _squeeze(read: Reading, _inplace: bool) -> Call:
    axes = read.integers("axes", 1)
    if axes is None:
        raise uncovered(read.node, "without axes")
    return lambda x: torch.squeeze(x, dim=tuple(axes))


def _unsqueeze(read: Reading, _inplace: bool) -> Call:
    axes = sorted(read.integers("axes", 1) or [])

    def call(x: Tensor) -> Tensor:
        for axis in axes:
            x = x.unsqueeze(axis)
        return x

    return call


def _reduce(function: Callable[..., Tensor]) -> Callable[[Reading, bool], Call]:
    def build(read: Reading, _inplace: bool) -> Call:
        axes, keep = read.integers("axes", 1), bool(read.get("keepdims", 1))
        return lambda x: function(x, dim=axes or list(range(x.ndim)), keepdim=keep)

    return build


def _split(read: Reading, _inplace: bool) -> Call:
    axis, sizes = read.get("axis", 0), read.integers("split", 1)
    parts = len(read.node.output)

    def call(x: Tensor) -> tuple[Tensor, ...]:
        return torch.split(x, sizes or -(-x.shape[axis] // parts), dim=axis)

    return call


def _slice(read: Reading, _inplace: bool) -> Call:
    starts, ends = read.integers("starts", 1) or [], read.integers("ends", 2) or []
    axes = read.integers("axes", 3) or list(range(len(starts)))
    steps = read.integers("steps", 4) or [1] * len(starts)
    if min(steps) < 1:
        raise uncovered(read.node, "with a negative step")

    def call(x: Tensor) -> Tensor:
        where = [slice(None)] * x.ndim
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
            where[axis] = slice(start, min(end, x.shape[axis]), step)
        return x[tuple(where)]

    return call


def _gather(read: Reading, _inplace: bool) -> Call:
    axis, indices = read.get("axis", 0), torch.from_numpy(np.array(read.constant(1), np.int64))

    def call(x: Tensor) -> Tensor:
        rows = (indices.reshape(-1) % x.shape[axis]).to(x.device)
        found = torch.index_select(x, axis, rows)
        return found if indices.ndim else found.squeeze(axis)

    return call


def _pad(read: Reading, _inplace: bool) -> Call:
    pads = read.integers("pads", 1) or []
    value = read.constant(2)
    fill = float(read.get("value", 0.0) if value is None else value.reshape(()))
    mode = {b"constant": "constant", b"reflect": "reflect", b"edge": "replicate"}.get(
        read.get("mode", b"constant")
    )
    if mode is None or read.constant(3) is not None:
        raise uncovered(read.node, "with axes or in a cyclic mode")
    rank = len(pads) // 2
    both = [p for axis in reversed(range(rank)) for p in (pads[axis], pads[axis + rank])]
    while len(both) > 2 and both[-2:] == [0, 0]:
        both = both[:-2]
    if mode == "constant":
        return lambda x: torch.nn.functional.pad(x, both, value=fill)
    return lambda x: torch.nn.functional.pad(x, both, mode=mode)


def _concat(read: Reading, _inplace: bool) -> Call:
    axis = read.get("axis", 1)
    return lambda *tensors: torch.cat(tensors, dim=axis)


def _cast(read: Reading, _inplace: bool) -> Call:
    if read.get("to") != onnx.TensorProto.FLOAT:
        raise uncovered(read.node, "to another type than float32")
    return lambda x: x


def _of(
    function: Callable[..., Tensor], **given: tuple[str, Any]
) -> Callable[[Reading, bool], Call]:
    """An operator that is one torch function; ``argument=(attribute, default)``."""

    def build(read: Reading, _inplace: bool) -> Call:
        values = {name: read.get(key, default) for name, (key, default) in given.items()}
        return lambda *tensors: function(*tensors, **values)

    return build


def _total(*tensors: Tensor) -> Tensor:
    result = tensors[0]
    for tensor in tensors[1:]:
        result = result + tensor
    return result


F = torch.nn.functional

TRANSLATIONS: dict[str, Callable[[Reading, bool], Call]] = {
    **WINDOWED,
    "Relu": _relu,
    "Clip": _clip,
    "LeakyRelu": _of(F.leaky_relu, negative_slope=("alpha", 0.01)),
    "Elu": _of(F.elu, alpha=("alpha", 1.0)),
    "PRelu": _of(lambda x, slope: torch.where(x >= 0, x, x * slope)),
    "Sigmoid": _of(torch.sigmoid),
    "Tanh": _of(torch.tanh),
    "Softplus": _of(F.softplus),
    "Erf": _of(torch.erf),
    "HardSwish": _of(F.hardswish),
    "HardSigmoid": _of(
        lambda x, alpha, beta: torch.clamp(alpha * x + beta, 0, 1),
        alpha=("alpha", 0.2),
        beta=("beta", 0.5),
    ),
    "Softmax": _of(torch.softmax, dim=("axis", -1)),
    "LogSoftmax": _of(torch.log_softmax, dim=("axis", -1)),
    "Sqrt": _of(torch.sqrt),
    "Exp": _of(torch.exp),
    "Neg": _of(torch.neg),
    "Pow": _of(torch.pow),
    "Add": _of(torch.add),
    "Sub": _of(torch.sub),
    "Mul": _of(torch.mul),
    "Div": _of(torch.div),
    "Sum": _of(_total),
    "Max": _of(lambda *tensors: torch.stack(torch.broadcast_tensors(*tensors)).amax(0)),
    "Min": _of(lambda *tensors: torch.stack(torch.broadcast_tensors(*tensors)).amin(0)),
    "MatMul": _of(torch.matmul),
    "Gemm": _gemm,
    "BatchNormalization": _batch_norm,
    "LRN": _of(
        F.local_response_norm,
        size=("size", 5),
        alpha=("alpha", 1e-4),
        beta=("beta", 0.75),
        k=("bias", 1.0),
    ),
    "GlobalAveragePool": _of(lambda x: x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)),
    "GlobalMaxPool": _of(lambda x: x.amax(dim=tuple(range(2, x.ndim)), keepdim=True)),
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
    "ReduceMax": _reduce(torch.amax),
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Pad": _pad,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": lambda read, _inplace: (
        lambda x: x.permute(read.get("perm") or list(reversed(range(x.ndim))))
    ),
    "Cast": _cast,
    "Identity": lambda _read, _inplace: lambda x: x,
    # As at inference: the paper's recipe has no dropout, and the mask output is never read.
    "Dropout": lambda _read, _inplace: lambda x: x,
}

# How many inputs of each operator are tensors at run time; the others are constants.
DATA_INPUTS = dict.fromkeys(
    (
        *("Clip", "Reshape", "Squeeze", "Unsqueeze", "Split", "Slice", "Pad", "Gather"),
        *("ReduceMean", "ReduceSum", "ReduceMax", "Dropout"),
    ),
    1,
)
