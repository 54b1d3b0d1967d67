"""What a step minimises: the loss of labels, perhaps with a teacher's, or that of features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from edgetransfer.finetune.distill import INNER_WEIGHT, relative_error
from edgetransfer.finetune.losses import Teacher
from edgetransfer.finetune.module import OnnxModule
from edgetransfer.pretrain.network import Network
from edgetransfer.types import Float32Array, IntArray


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some images and what is wanted of them; on whatever device.

    Parameters
    ----------
    images
        (n, 3, S, S) float32, normalised.
    labels
        (n,) int64.
    wanted
        What a teacher says of them; empty without one.
    """

    images: Tensor
    labels: Tensor
    wanted: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return len(self.images)


class Objective(Protocol):
    """A loss."""

    def batch(self, images: Float32Array, labels: IntArray) -> Batch:
        """A batch with what the loss wants of it: asked once, whatever passes there are."""

    def __call__(
        self, net: Network, batch: Batch, weights: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """The mean loss over a batch."""


class LabelLoss:
    """Cross-entropy with smoothed labels and, beside it, the distance from a teacher.

    Parameters
    ----------
    teacher_weight
        The teacher's share of the loss (paper, appendix K; thesis 4.6).
    """

    def __init__(
        self, *, smoothing: float, teacher: Teacher | None = None, teacher_weight: float = 0.0
    ) -> None:
        self._smoothing = smoothing
        self._teacher = teacher
        self._share = teacher_weight if teacher is not None else 0.0

    def batch(self, images: Float32Array, labels: IntArray) -> Batch:
        """See `Objective.batch`."""
        wanted = () if self._teacher is None else (self._teacher.answers(images),)
        return Batch(
            images=torch.from_numpy(images), labels=torch.from_numpy(labels), wanted=wanted
        )

    def __call__(
        self, net: Network, batch: Batch, weights: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Objective`."""
        features, logits = net(batch.images, weights)
        assert logits is not None
        loss = torch.nn.functional.cross_entropy(
            logits, batch.labels.to(net.device), label_smoothing=self._smoothing
        )
        if self._teacher is None:
            return loss
        taught = self._teacher.loss(features, logits, batch.wanted[0].to(net.device))
        return (1 - self._share) * loss + self._share * taught / len(batch)


class FeatureLoss:
    """The relative squared error of features, and of tensors inside, against the dense network.

    As ``sparsify --refine`` has it; no label is looked at.

    Parameters
    ----------
    teacher
        The dense network, with the same outputs as the one in training.
    """

    def __init__(self, teacher: OnnxModule, device: torch.device) -> None:
        self._teacher = teacher.to(device, memory_format=torch.channels_last).eval()
        self._teacher.requires_grad_(False)
        self._device = device

    def batch(self, images: Float32Array, labels: IntArray) -> Batch:
        """See `Objective.batch`."""
        tensor = torch.from_numpy(images)
        with torch.no_grad():
            placed = tensor.to(self._device, memory_format=torch.channels_last)
            made = self._teacher(placed)
        wanted = made if isinstance(made, tuple) else (made,)
        return Batch(images=tensor, labels=torch.from_numpy(labels), wanted=wanted)

    def __call__(
        self, net: Network, batch: Batch, weights: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Objective`."""
        features, _ = net(batch.images, weights)
        loss = relative_error(features, batch.wanted[-1])
        inner = [
            relative_error(made, wanted)
            for made, wanted in zip(net.inner, batch.wanted[:-1], strict=True)
        ]
        return loss + INNER_WEIGHT * torch.stack(inner).mean() if inner else loss
