"""SGD over a backbone in torch and its head, with masked weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgetransfer.errors import DataError
from edgetransfer.finetune.losses import Mixing, Teacher, cross_entropy
from edgetransfer.finetune.masks import WeightMasks
from edgetransfer.finetune.module import OnnxModule
from edgetransfer.finetune.optimizers import (
    cosine_rate,
    make_optimizer,
    optimizer_state,
    restore_optimizer,
)
from edgetransfer.finetune.partition import Shape, size_of
from edgetransfer.finetune.running import Runner
from edgetransfer.heads import LinearHead, SGDSettings
from edgetransfer.settings.finetune import FinetuneSettings
from edgetransfer.types import Float32Array, IntArray

HEAD_WEIGHTS, HEAD_BIAS = "head.weights", "head.bias"


class FullFinetuner:
    """The backbone's trained part and the head in training.

    One step is that of `SGDSolver`, torch's ``optim.SGD``, or of ``optim.AdamW``, over everything
    that requires a gradient; the gradients of masked weights are zero.

    Parameters
    ----------
    runner
        Of the trained part.
    shapes
        Of its inputs, for one image.
    head
        Where the head starts from.
    settings
        Learning rate, momentum, weight decay.
    own
        The rest of the recipe.
    micro_batch
        Images that go through at once.
    rates
        Initializer name to how many times the learning rate it learns at; 1 if not named.
    steps
        How many there will be.
    seed
        Of mixup.
    """

    def __init__(
        self,
        runner: Runner,
        shapes: Sequence[Shape],
        head: LinearHead,
        *,
        settings: SGDSettings,
        own: FinetuneSettings,
        micro_batch: int,
        masks: WeightMasks,
        rates: Mapping[str, float],
        steps: int,
        seed: int,
        teacher: Teacher | None = None,
    ) -> None:
        self.settings = settings
        self.masks = masks
        self.steps = 0
        self._micro = micro_batch
        self._own, self._runner, self._teacher, self._seed = own, runner, teacher, seed
        self._shapes = tuple(shapes)
        self._classes = head.classes
        device = runner.device
        weights = torch.from_numpy(np.ascontiguousarray(head.weights.T)).to(device)
        self._weights = nn.Parameter(weights)
        bias = torch.from_numpy(head.bias if own.head_bias else np.zeros_like(head.bias))
        self._bias = nn.Parameter(bias.to(device, copy=True), requires_grad=own.head_bias)
        trained = dict(runner.module.trainable)
        self.parameters = {**trained, HEAD_WEIGHTS: self._weights}
        if own.head_bias:
            self.parameters[HEAD_BIAS] = self._bias
        self._planned = steps
        self._scales = [rates.get(name, 1.0) for name in self.parameters]
        masks.attach(trained)
        self._optimizer = make_optimizer(
            self.parameters, settings, own, grouped=any(scale != 1 for scale in self._scales)
        )

    @property
    def head(self) -> LinearHead:
        """A copy of the head as it stands."""
        return LinearHead(
            weights=np.array(self._weights.detach().cpu().numpy().T, order="C"),
            bias=np.array(self._bias.detach().cpu().numpy()),
            classes=self._classes,
        )

    def step(self, features: Float32Array, labels: IntArray, learning_rate: float) -> float:
        """Learn (n, D) inputs of the trained part and (n,) labels; the mean loss before it.

        Raises
        ------
        DataError
            If the loss is no longer finite.
        """
        n, micro = len(labels), self._micro
        mixing = None
        if self._own.mixup:
            mixing = Mixing.drawn(n, self._own.mixup, self._seed, self.steps)
            features = mixing.of(features)
        self.steps += 1
        self._runner.module.train()
        self._optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for start in range(0, n, micro):
            part = slice(start, start + micro)
            loss = self._loss(features[part], labels, part, mixing) / n
            loss.backward()
            total += loss.item()
        if not np.isfinite(total):
            raise DataError(
                "the training diverged: the loss is not finite; lower --learning-rate"
                + (" or use --precision float32" if self._runner.bfloat16 else "")
            )
        self.masks.mask_gradients()
        if self._own.is_cosine:
            learning_rate = cosine_rate(self.settings.learning_rate, self.steps - 1, self._planned)
        for group, scale in zip(self._optimizer.param_groups, self._scales, strict=False):
            group["lr"] = learning_rate * scale
        self._optimizer.step()
        return total

    def _loss(
        self, features: Float32Array, labels: IntArray, part: slice, mixing: Mixing | None
    ) -> Tensor:
        """The sum of the losses of a part of the batch."""
        device = self._runner.device
        found = self._runner(self._split(features))
        logits = nn.functional.linear(found, self._weights, self._bias)
        targets = torch.from_numpy(labels[part]).to(device)
        partners, share = None, 1.0
        if mixing is not None:
            partners = torch.from_numpy(labels[mixing.partner[part]]).to(device)
            share = mixing.share
        loss = cross_entropy(logits, targets, partners, share, self._own.label_smoothing)
        if self._teacher is None:
            return loss
        answers = self._teacher.answers(features.reshape(len(features), *self._shapes[0]))
        taught = self._teacher.loss(found, logits, answers.to(device))
        return (1 - self._own.teacher_weight) * loss + self._own.teacher_weight * taught

    def _split(self, features: Float32Array) -> list[Tensor]:
        """The inputs of the trained part, which lie flattened side by side in (n, D)."""
        inputs, start = [], 0
        for shape in self._shapes:
            columns = features[:, start : start + size_of(shape)]
            start += size_of(shape)
            inputs.append(torch.from_numpy(columns).reshape(len(features), *shape))
        return inputs

    @property
    def module(self) -> OnnxModule:
        """The trained part of the backbone."""
        return self._runner.module

    @contextlib.contextmanager
    def in_float32(self) -> Iterator[None]:
        """Compute in full precision for a while; a GPU's convolutions too."""
        before, self._runner.bfloat16 = self._runner.bfloat16, False
        try:
            with torch.backends.cudnn.flags(allow_tf32=False):
                yield
        finally:
            self._runner.bfloat16 = before

    @torch.no_grad()
    def features(self, inputs: Float32Array) -> Float32Array:
        """The backbone's features, (n, D) float32, of inputs of the trained part."""
        self._runner.module.eval()
        micro = self._micro
        parts = [
            self._runner(self._split(inputs[start : start + micro])).cpu().numpy()
            for start in range(0, len(inputs), micro)
        ]
        return np.concatenate(parts)

    def state(self) -> dict[str, Any]:
        """Everything that a checkpoint needs to go on bit for bit."""
        found = {f"value/{name}": value for name, value in self._runner.module.values.items()}
        for name, parameter in self.parameters.items():
            found[f"value/{name}"] = _array(parameter)
        found |= optimizer_state(self._optimizer, self.parameters)
        found["steps"] = np.array([self.steps], np.int64)
        return found

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        for name in self._runner.module.values:
            self._runner.module.tensor(name).copy_(torch.from_numpy(state[f"value/{name}"]))
        for name, parameter in self.parameters.items():
            parameter.copy_(torch.from_numpy(state[f"value/{name}"]))
        self.steps = int(state["steps"][0])
        restore_optimizer(self._optimizer, self.parameters, state, self.steps)
        self.masks.hold()


def _array(tensor: Tensor) -> Any:
    return np.array(tensor.detach().cpu().numpy(), order="C")
