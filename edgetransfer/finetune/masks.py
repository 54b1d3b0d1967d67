"""The zeros of a backbone, held at exactly zero while everything else is trained."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from edgetransfer.errors import BackboneError
from edgetransfer.finetune.initializers import WEIGHTED
from edgetransfer.graphs.graph import Array, Graph


class WeightMasks:
    """Which weights are fixed at zero.

    A masked weight starts at zero and gets no gradient, so momentum and weight decay have nothing
    to move: with the gradients masked before each step of SGD it stays exactly zero.

    Parameters
    ----------
    masks
        Initializer name to a boolean array, True where the weight is kept, for each layer that
        has a zero.
    """

    def __init__(self, masks: Mapping[str, Array]) -> None:
        self.masks = dict(masks)
        self._pairs: list[tuple[nn.Parameter, Tensor]] = []

    @classmethod
    def of(cls, model: onnx.ModelProto) -> WeightMasks:
        """The zeros of a graph's convolutions and fully connected layers; biases do not count."""
        return cls(
            {name: value != 0 for name, value in _weights(model).items() if (value == 0).any()}
        )

    @classmethod
    def transferred(cls, source: onnx.ModelProto, target: onnx.ModelProto) -> WeightMasks:
        """The zeros of one backbone for the weights of another of the same architecture.

        Layers are matched by name or, where the names differ, by their order (Frankle, Carbin,
        "The lottery ticket hypothesis", ICLR 2019, trains masks of one with weights of another).

        Raises
        ------
        BackboneError
            If the layers do not have the same shapes.
        """
        given, own = _weights(source), _weights(target)
        if set(given) != set(own):
            if len(given) != len(own):
                raise BackboneError(
                    f"the mask has {len(given)} layers with weights, the backbone {len(own)}"
                )
            given = dict(zip(own, given.values(), strict=True))
        for name, value in own.items():
            if given[name].shape != value.shape:
                raise BackboneError(
                    f"layer {name!r} has shape {given[name].shape} in the mask and {value.shape} "
                    "in the backbone"
                )
        return cls({name: v != 0 for name, v in given.items() if (v == 0).any()})

    @property
    def zeros(self) -> int:
        """How many weights are masked."""
        return sum(int(mask.size - np.count_nonzero(mask)) for mask in self.masks.values())

    def applied(self, model: onnx.ModelProto) -> dict[str, Array]:
        """The weights of a model under the masks, where that changes them."""
        weights = _weights(model)
        return {
            name: weights[name] * mask
            for name, mask in self.masks.items()
            if (weights[name][~mask] != 0).any()
        }

    @torch.no_grad()
    def attach(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Choose the parameters that `hold` and `mask_gradients` work on, by initializer name."""
        self._pairs = [
            (parameter, torch.empty_like(parameter).copy_(torch.from_numpy(self.masks[name])))
            for name, parameter in parameters.items()
            if name in self.masks
        ]
        self.hold()

    @torch.no_grad()
    def mask_gradients(self) -> None:
        """Zero the gradients of masked weights; between the backward pass and the step."""
        pairs = [(p.grad, mask) for p, mask in self._pairs if p.grad is not None]
        if pairs:
            torch._foreach_mul_([g for g, _ in pairs], [mask for _, mask in pairs])

    @torch.no_grad()
    def hold(self) -> None:
        """Zero the masked weights themselves."""
        if self._pairs:
            torch._foreach_mul_([p for p, _ in self._pairs], [mask for _, mask in self._pairs])

    def violations(self, model: onnx.ModelProto) -> int:
        """How many masked weights of a graph are not zero."""
        weights = _weights(model)
        return sum(int(np.count_nonzero(weights[name][~mask])) for name, mask in self.masks.items())


def count_zeros(model: onnx.ModelProto) -> int:
    """How many weights of a graph are exactly zero."""
    return sum(int(value.size - np.count_nonzero(value)) for value in _weights(model).values())


def _weights(model: onnx.ModelProto) -> dict[str, Array]:
    """The weights of convolutions and fully connected layers by name, in graph order."""
    graph = Graph(model)
    found: dict[str, Array] = {}
    for node in model.graph.node:
        for name in node.input[: 2 if node.op_type in WEIGHTED else 0]:
            value = graph.array(name) if name in graph.initializers else None
            if value is not None:
                found[name] = value
    return found
