"""How much memory a training takes, before it takes it."""

from __future__ import annotations

import math

import onnx

from edgetransfer.errors import EdgeTransferError
from edgetransfer.finetune.partition import size_of
from edgetransfer.graphs.graph import Graph, dims_of

# Of Python, torch, and the engine that tests the result; measured with MobileNetV1.
REST = 800 * 2**20
# Of weights in training: value, gradient, momentum, mask.
COPIES = 4
# Beside the activations that are kept: gradients on their way, convolutions' working memory, what
# the allocator cannot use. Measured with MobileNetV1, 64 images: 1.55 in float32, 1.85 in bfloat16.
WORKING = 1.7
WITHOUT_RESULT = frozenset(["Relu", "Clip", "Flatten", "Reshape", "Dropout", "Identity"])
DECODED_AHEAD = 4  # batches


def training_bytes(
    model: onnx.ModelProto, *, batch: int, micro_batch: int, value_bytes: int, checkpointing: bool
) -> int:
    """About what a training of a frozen graph takes, in bytes.

    Parameters
    ----------
    model
        With the shapes of its tensors.
    value_bytes
        Of one activation: 4, or 2 in bfloat16.
    """
    graph = Graph(model)
    shapes = {
        value.name: tuple(d or 0 for d in dims_of(value)[1:])
        for value in (*model.graph.value_info, *model.graph.output, *model.graph.input)
    }
    kept = [
        size_of(shapes[node.output[0]])
        for node in model.graph.node
        if node.op_type not in WITHOUT_RESULT and node.output[0] in shapes
    ]
    activations = sum(kept)
    if checkpointing:
        activations = math.ceil(2 * activations / math.sqrt(max(len(kept), 1)))
    activations += 2 * max(kept, default=0)  # the gradients on their way
    weights = sum(
        size_of(tuple(t.dims))
        for t in graph.initializers.values()
        if t.data_type == onnx.TensorProto.FLOAT
    )
    inputs = sum(size_of(shapes[value.name]) for value in graph.inputs)
    return (
        int(WORKING * micro_batch * activations * value_bytes)
        + weights * 4 * (COPIES + 1)
        + DECODED_AHEAD * batch * inputs * 4
        + REST
    )


def check_memory(needed: int, *, free: int, micro_batch: int, checkpointing: bool) -> None:
    """Refuse a training that does not fit.

    Raises
    ------
    EdgeTransferError
        Saying what would make it fit.
    """
    if needed <= free:
        return
    hints = []
    if micro_batch > 1:
        hints.append(f"--micro-batch {max(1, micro_batch // 4)}")
    if not checkpointing:
        hints.append("--checkpointing")
    hints.append("--only last-block")
    raise EdgeTransferError(
        f"this training takes about {needed / 2**30:.1f} GiB of memory and {free / 2**30:.1f} GiB "
        f"are free: use {', '.join(hints)}"
    )
