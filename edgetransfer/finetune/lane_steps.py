"""A module whose chosen layers run in lanes, and what stands between them too.

Each step of a module is wrapped: what can work on maps in lanes does so where its input comes in
lanes; before everything else maps are laid back. So where maps change their layout follows from
which layers were chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import onnx
import torch
from torch import Tensor

from edgetransfer.finetune.lane_layers import LaneLayer
from edgetransfer.finetune.laned import Laned, from_lanes, normalised, to_lanes
from edgetransfer.finetune.module import Step
from edgetransfer.graphs.graph import attribute
from edgetransfer.masked import TrainingThreads

Value: TypeAlias = Tensor | Laned

ALONE = frozenset(
    [
        *("Relu", "Clip", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Softplus", "Erf", "HardSwish"),
        *("HardSigmoid", "Sqrt", "Exp", "Neg", "Identity", "Dropout", "Cast"),
    ]
)
"""Operators that look at each number for itself."""
TOGETHER = frozenset(["Add", "Sub", "Mul", "Div", "Sum"])
"""Operators that look at the same place of several tensors."""


def lane_steps(
    steps: Sequence[Step],
    nodes: Sequence[onnx.NodeProto],
    outputs: Sequence[str],
    layers: Mapping[str, LaneLayer],
    threads: TrainingThreads,
) -> tuple[Step, ...]:
    """The steps of a module with some layers in lanes.

    Parameters
    ----------
    nodes
        Of the graph that the module was made from: one a step.
    outputs
        Tensors that must come out as they would without lanes.
    layers
        The chosen ones, by the tensor that they make.
    """
    rectified = _rectified(nodes, outputs)
    limited = {name for name, layer in layers.items() if layer.limits is not None}
    found = []
    for step, node in zip(steps, nodes, strict=True):
        made = node.output[0]
        if made in layers:
            call = _layer(layers[made], threads)
        elif node.op_type == "BatchNormalization":
            call = _batch_norm(step.call, node, made in rectified, threads)
        elif node.op_type in ("Relu", "Clip") and node.input[0] in rectified | limited:
            call = _done_already(step.call)
        elif node.op_type in ALONE:
            call = _alone(step.call)
        elif node.op_type in TOGETHER:
            call = _together(step.call, threads)
        elif node.op_type == "GlobalAveragePool":
            call = _mean(step.call)
        else:
            call = _laid_back(step.call, threads)
        if made in outputs:
            call = _ending(call, threads)
        found.append(replace(step, call=call))
    return tuple(found)


def _rectified(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> frozenset[str]:
    """Outputs of batch-norms that a ReLU alone reads."""
    readers: dict[str, list[str]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
    return frozenset(
        node.output[0]
        for node in nodes
        if node.op_type == "BatchNormalization"
        and readers.get(node.output[0]) == ["Relu"]
        and node.output[0] not in outputs
    )


def _laid(x: Value, threads: TrainingThreads) -> Tensor:
    return from_lanes(x, threads) if isinstance(x, Laned) else x


def _laid_back(call: Callable[..., Any], threads: TrainingThreads) -> Callable[..., Any]:
    return lambda *values: call(*(_laid(x, threads) for x in values))


def _ending(call: Callable[..., Any], threads: TrainingThreads) -> Callable[..., Any]:
    return lambda *values, **given: _laid(call(*values, **given), threads)


def _layer(layer: LaneLayer, threads: TrainingThreads) -> Callable[..., Laned]:
    def called(x: Value, weights: Tensor, bias: Tensor | None = None) -> Laned:
        return layer(x if isinstance(x, Laned) else to_lanes(x, threads), weights, bias)

    return called


def _alone(call: Callable[..., Tensor]) -> Callable[..., Value]:
    def called(x: Value) -> Value:
        return x.with_map(call(x.map)) if isinstance(x, Laned) else call(x)

    return called


def _done_already(call: Callable[..., Tensor]) -> Callable[..., Value]:
    return lambda x: x if isinstance(x, Laned) else call(x)


def _mean(call: Callable[..., Tensor]) -> Callable[..., Value]:
    def called(x: Value) -> Value:
        if isinstance(x, Laned):
            return x.with_map(x.map.mean((1, 2), keepdim=True))
        return call(x)

    return called


def _together(call: Callable[..., Tensor], threads: TrainingThreads) -> Callable[..., Value]:
    def called(*values: Value) -> Value:
        laned = [x for x in values if isinstance(x, Laned)]
        maps = [_beside(x, laned[0]) for x in values] if laned else []
        if not laned or any(x is None for x in maps):
            return call(*(_laid(x, threads) for x in values))
        return laned[0].with_map(call(*maps))

    return called


def _beside(x: Value, other: Laned) -> Tensor | None:
    """A tensor in the layout of a map; None where that cannot be."""
    if isinstance(x, Laned):
        return x.map if x.flat == other.flat else None
    if x.numel() == 1:
        return x.reshape(())
    a_channel = x.shape[-1] if other.flat else x.shape[-3] if x.ndim > 2 else 0
    if x.numel() == a_channel == other.map.shape[3] and x.ndim <= 4:
        return x.reshape(-1, 1)
    return None


def _batch_norm(
    call: Callable[..., Tensor], node: onnx.NodeProto, rectified: bool, threads: TrainingThreads
) -> Callable[..., Value]:
    epsilon, momentum = attribute(node, "epsilon", 1e-5), attribute(node, "momentum", 0.9)

    def called(
        x: Value,
        scale: Tensor,
        shift: Tensor,
        mean: Tensor,
        var: Tensor,
        *,
        training: bool,
        again: bool,
        share: float | None = None,
    ) -> Value:
        if not isinstance(x, Laned):
            return call(x, scale, shift, mean, var, training=training, again=again, share=share)
        count = x.images * x.map.shape[1] * x.map.shape[2]
        if not (training and scale.requires_grad and count > 1):
            factor = scale / torch.sqrt(var + epsilon)
            y = x.map * factor[:, None] + (shift - mean * factor)[:, None]
            return x.with_map(torch.relu(y) if rectified else y)
        if again:
            mean, var = mean.clone(), var.clone()  # the layer learned from this batch already
        return normalised(
            x,
            scale,
            shift,
            (mean, var),
            share=1 - momentum if share is None else share,
            epsilon=epsilon,
            rectified=rectified,
            threads=threads,
        )

    return called
