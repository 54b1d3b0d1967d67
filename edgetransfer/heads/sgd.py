"""Stochastic gradient descent for the linear head, with the paper's settings as defaults."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetransfer.errors import UsageError
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.loss import SoftmaxLoss
from edgetransfer.types import Float32Array, IntArray


@dataclass(frozen=True, kw_only=True)
class SGDSettings:
    """Iofinova et al. (CVPR 2022), appendix B.

    Parameters
    ----------
    learning_rate
        The first one; it is divided by ten after each third of the epochs.
    momentum
        Share of the last step that is kept, 0 to below 1.
    weight_decay
        L2 penalty on weights and bias, added to the gradient as torch's SGD does.
    """

    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < float("inf"):
            raise UsageError(f"the learning rate must be above zero, not {self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise UsageError(f"momentum lies between 0 and 1, not {self.momentum}")
        if not 0 <= self.weight_decay < float("inf"):
            raise UsageError(f"the weight decay cannot be {self.weight_decay}")

    def rate(self, epoch: int, epochs: int) -> float:
        """The learning rate of an epoch (from 0) out of ``epochs``."""
        return float(self.learning_rate * 0.1 ** (3 * epoch // max(epochs, 1)))


class SGDSolver:
    """The weights, bias and momentum of a head in training.

    One step is torch's ``optim.SGD``: g = gradient + weight_decay * w; v = momentum * v + g;
    w = w - rate * v, for weights and bias alike, in float32.

    Parameters
    ----------
    head
        Where to start from; it is copied.
    """

    def __init__(self, head: LinearHead, settings: SGDSettings) -> None:
        self.settings = settings
        self.classes = head.classes
        self._loss = SoftmaxLoss()
        self._state = {
            "weights": np.array(head.weights, np.float32, order="C"),
            "bias": np.array(head.bias, np.float32),
            "weights_velocity": np.zeros_like(head.weights, order="C"),
            "bias_velocity": np.zeros_like(head.bias),
        }

    @property
    def head(self) -> LinearHead:
        """A copy of the head as it stands."""
        return LinearHead(
            weights=self._state["weights"].copy(),
            bias=self._state["bias"].copy(),
            classes=self.classes,
        )

    def step(
        self,
        features: Float32Array,
        labels: IntArray,
        learning_rate: float,
        importance: Float32Array | None = None,
    ) -> float:
        """Learn one batch, (B, D) features and (B,) labels; returns its loss before the step.

        ``importance`` is as in `SoftmaxLoss.gradient`.
        """
        state = self._state
        loss, by_weights, by_bias = self._loss.gradient(
            features, labels, state["weights"], state["bias"], importance
        )
        for name, gradient in (("weights", by_weights), ("bias", by_bias)):
            value, velocity = state[name], state[f"{name}_velocity"]
            velocity *= np.float32(self.settings.momentum)
            velocity += gradient
            velocity += np.float32(self.settings.weight_decay) * value
            value -= np.float32(learning_rate) * velocity
        return loss

    def state(self) -> dict[str, Float32Array]:
        """Everything that a checkpoint needs to go on bit for bit."""
        return {name: value.copy() for name, value in self._state.items()}

    def restore(self, state: dict[str, Float32Array]) -> None:
        """Go on from what `state` returned."""
        for name, value in self._state.items():
            value[...] = state[name]
