"""A network in training: a backbone as a torch module, its classifier, and its masks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgetransfer.finetune.module import OnnxModule
from edgetransfer.graphs.graph import Array

HEAD_WEIGHT, HEAD_BIAS = "head.weight", "head.bias"

Tensors = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class WeightedLayer:
    """A convolution or fully connected layer.

    Parameters
    ----------
    positions
        Output positions of one image: each weight is used once at every one.
    input_axis, output_axis
        The axes of its weights that count input channels and outputs.
    depthwise
        Whether each channel is filtered by itself.
    norm
        The initializers of scale and shift of the batch-norm behind it, if there is one.
    is_inside
        Whether its output, once activated, is read by one convolution alone and added to nothing.
    """

    positions: int
    input_axis: int = 1
    output_axis: int = 0
    depthwise: bool = False
    norm: tuple[str, str] | None = None
    is_inside: bool = False


class Network:
    """Weights by name, which of them may be pruned, and which are.

    Parameters
    ----------
    module
        The backbone, from images to features.
    head
        Weights (K, D) and bias (K,) of the classifier; None if nothing has labels.
    layers
        Every layer with weights, the classifier among them, in the order in which they run.
    prunable
        Names of the weights that may be pruned.
    bfloat16
        Whether layers compute in bfloat16; weights stay float32.
    """

    def __init__(
        self,
        module: OnnxModule,
        head: tuple[Tensor, Tensor] | None,
        *,
        layers: Mapping[str, WeightedLayer],
        prunable: tuple[str, ...],
        device: torch.device,
        bfloat16: bool = False,
    ) -> None:
        self.module = module.to(device, memory_format=torch.channels_last)
        self.device = device
        self.bfloat16 = bfloat16
        self.layers = dict(layers)
        self.parameters: dict[str, nn.Parameter] = dict(module.trainable)
        if head is not None:
            for name, value in zip((HEAD_WEIGHT, HEAD_BIAS), head, strict=True):
                self.parameters[name] = nn.Parameter(value.to(device, copy=True))
        self.has_head = head is not None
        self.prunable = {name: self.parameters[name] for name in prunable}
        self.masks: Tensors = {}

    def __call__(
        self, images: Tensor, weights: Mapping[str, Tensor] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Features (n, D) and logits (n, K) of (n, 3, S, S) images, float32.

        Parameters
        ----------
        weights
            In place of those that the network has, by name; gradients flow into them.
        """
        placed = images.to(self.device, memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            made = self._features(placed, weights or {})
        outputs = made if isinstance(made, tuple) else (made,)
        features = outputs[-1].float()
        self.inner = tuple(tensor.float() for tensor in outputs[:-1])
        if not self.has_head:
            return features, None
        used = {**self.parameters, **(weights or {})}
        return features, nn.functional.linear(features, used[HEAD_WEIGHT], used[HEAD_BIAS])

    def _features(
        self, images: Tensor, weights: Mapping[str, Tensor]
    ) -> Tensor | tuple[Tensor, ...]:
        own = {
            self.module.attribute(name): tensor
            for name, tensor in weights.items()
            if name not in (HEAD_WEIGHT, HEAD_BIAS)
        }
        if not own:
            return self.module(images)
        return torch.func.functional_call(self.module, own, (images,))

    @torch.no_grad()
    def set_masks(self, masks: Mapping[str, Tensor]) -> None:
        """Keep these weights alone: boolean masks by name; the others become zero now."""
        self.masks = {
            name: torch.empty_like(self.parameters[name]).copy_(mask)
            for name, mask in masks.items()
        }
        self.hold()

    @torch.no_grad()
    def hold(self) -> None:
        """Zero what is masked."""
        if self.masks:
            torch._foreach_mul_(
                [self.parameters[name] for name in self.masks], list(self.masks.values())
            )

    @torch.no_grad()
    def mask_gradients(self) -> None:
        """Zero the gradients of what is masked."""
        pairs = [(self.parameters[n].grad, mask) for n, mask in self.masks.items()]
        given = [(grad, mask) for grad, mask in pairs if grad is not None]
        if given:
            torch._foreach_mul_([g for g, _ in given], [mask for _, mask in given])

    @contextlib.contextmanager
    def holding(self, weights: Mapping[str, Tensor]) -> Iterator[None]:
        """Have other weights for a while, in place; batch-norm does not learn meanwhile."""
        with torch.no_grad():
            before = {name: self.parameters[name].clone() for name in weights}
            for name, value in weights.items():
                self.parameters[name].copy_(value)
        try:
            with self.module.recomputing():
                yield
        finally:
            with torch.no_grad():
                for name, value in before.items():
                    self.parameters[name].copy_(value)

    @property
    def values(self) -> Tensors:
        """Copies of all parameters and batch-norm statistics, by name."""
        found = {name: torch.from_numpy(array) for name, array in self.module.values.items()}
        for name in (HEAD_WEIGHT, HEAD_BIAS):
            if name in self.parameters:
                found[name] = self.parameters[name].detach().cpu().clone()
        return found

    @torch.no_grad()
    def load(self, values: Mapping[str, Tensor]) -> None:
        """Take what `values` gave."""
        for name, value in values.items():
            own = name in (HEAD_WEIGHT, HEAD_BIAS)
            (self.parameters[name] if own else self.module.tensor(name)).copy_(value)

    @property
    def arrays(self) -> dict[str, Array]:
        """The backbone's initializers as they stand."""
        return self.module.values

    @property
    def sparsity(self) -> float:
        """The share of the prunable weights that are zero."""
        total = sum(p.numel() for p in self.prunable.values())
        return self.zeros / total if total else 0.0

    @property
    def zeros(self) -> int:
        """How many of the prunable weights are zero."""
        return sum(int((p == 0).sum()) for p in self.prunable.values())
