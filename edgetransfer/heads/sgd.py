"""Stochastic gradient descent for the linear head, with the paper's settings as defaults."""

from __future__ import annotations

import numpy as np

from edgetransfer.heads.halves import Halves
from edgetransfer.heads.linear_head import LinearHead
from edgetransfer.heads.loss import residual
from edgetransfer.heads.native_steps import COLUMNS, MOST_BATCH, NativeSteps, load_step, padded
from edgetransfer.settings.sgd import SGDSettings
from edgetransfer.types import Float32Array, IntArray

CACHED = 1 << 15  # numbers of each of three arrays that a core's cache holds together


class SGDSolver:
    """The weights, bias and momentum of a head in training.

    One step is torch's ``optim.SGD``: g = gradient + weight_decay * w; v = momentum * v + g;
    w = w - rate * v, for weights and bias alike, in float32.

    The weights are worked on in two halves by rows, each with its part of both products and its
    part of the update, so that it stays in one core's cache from the gradient to the new weights.
    The halves are the same whether one thread does them or two: so is the result, bit for bit.

    Parameters
    ----------
    head
        Where to start from; it is copied.
    threads
        How many threads a step may take, 1 or 2. Two are faster if the linear algebra library
        is kept to one itself (threadpoolctl), and if nothing else needs the cores.
    """

    def __init__(self, head: LinearHead, settings: SGDSettings, *, threads: int = 1) -> None:
        self.settings = settings
        self.classes = head.classes
        count = len(head.bias)
        function = load_step()
        columns = count if function is None else -(-count // COLUMNS) * COLUMNS
        self._state = {
            "weights": padded(head.weights, columns),
            "bias": np.array(head.bias, np.float32),
            "weights_velocity": padded(np.zeros_like(head.weights), columns),
            "bias_velocity": np.zeros_like(head.bias, np.float32),
        }
        self._native = None if function is None else NativeSteps(function, self._state)
        self._gradient = np.empty((0, count), np.float32)  # these two without the library
        self._logits = np.empty((2, 0, count), np.float32)
        middle = len(head.weights) // 2
        self._rows = (slice(0, middle), slice(middle, len(head.weights)))
        self._halves = Halves(threads)

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
        if self._native is None or not 0 < len(labels) <= MOST_BATCH:
            return self._step_in_numpy(features, labels, learning_rate, importance)
        own = self.settings
        if importance is not None:
            importance = np.ascontiguousarray(importance, np.float32)
        return self._native.take(
            np.ascontiguousarray(features, np.float32),
            np.ascontiguousarray(labels, np.int64),
            importance,
            (learning_rate, own.momentum, own.weight_decay),
            self._halves,
        )

    def _step_in_numpy(
        self,
        features: Float32Array,
        labels: IntArray,
        learning_rate: float,
        importance: Float32Array | None,
    ) -> float:
        """The same step as the library's, but for rounding."""
        weights = self._state["weights"]
        if len(self._gradient) != len(weights):
            self._gradient = np.empty(weights.shape, np.float32)
        if self._logits.shape[1] != len(labels):
            self._logits = np.empty((2, len(labels), len(self.classes)), np.float32)
        logits = self._logits

        def forward(half: int) -> None:
            rows = self._rows[half]
            np.matmul(features[:, rows], weights[rows], out=logits[half])

        def backward(half: int) -> None:
            rows = self._rows[half]
            np.matmul(features[:, rows].T, logits[0], out=self._gradient[rows])
            self._update("weights", rows, self._gradient, learning_rate)

        self._halves.run(forward)
        logits[0] += logits[1]
        logits[0] += self._state["bias"]
        loss = residual(logits[0], labels, importance)
        self._halves.run(backward)
        self._update("bias", slice(None), logits[0].sum(axis=0), learning_rate)
        return loss

    def _update(self, name: str, rows: slice, gradient: Float32Array, learning_rate: float) -> None:
        """Apply some rows of a gradient, which is used up; a cacheful at a time."""
        values, velocities = self._state[name][rows], self._state[f"{name}_velocity"][rows]
        gradient = gradient[rows]
        step = max(1, CACHED * len(values) // max(values.size, 1))
        for first in range(0, len(values), step):
            part = slice(first, first + step)
            value, velocity, spare = values[part], velocities[part], gradient[part]
            velocity *= np.float32(self.settings.momentum)
            velocity += spare
            np.multiply(value, np.float32(self.settings.weight_decay), out=spare)
            velocity += spare
            np.multiply(velocity, np.float32(learning_rate), out=spare)
            value -= spare

    def state(self) -> dict[str, Float32Array]:
        """Everything that a checkpoint needs to go on bit for bit."""
        return {name: value.copy() for name, value in self._state.items()}

    def restore(self, state: dict[str, Float32Array]) -> None:
        """Go on from what `state` returned."""
        for name, value in self._state.items():
            value[...] = state[name]
