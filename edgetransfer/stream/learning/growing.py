"""A head in training that new classes are born into."""

from __future__ import annotations

import numpy as np

from edgetransfer.heads import LinearHead, SGDSettings, SGDSolver
from edgetransfer.types import Float32Array, IntArray


class GrowingSolver:
    """SGD with momentum on a head whose classes are not known beforehand.

    A new class gets a column of zeros and the least bias of the others, and no momentum: what
    the head says of the other classes stays bit for bit, and a class without evidence does not
    outdo one that has some.

    Parameters
    ----------
    dimension
        The length D of a feature row.
    """

    def __init__(self, dimension: int, settings: SGDSettings) -> None:
        self._settings = settings
        self._solver = SGDSolver(_empty(dimension), settings)
        self._head: LinearHead | None = None  # as it stands; of many classes a copy takes long

    @property
    def classes(self) -> tuple[str, ...]:
        """The K names, in the order of their birth."""
        return self._solver.classes

    @property
    def head(self) -> LinearHead:
        """The head as it stands, which no later step changes."""
        if self._head is None:
            self._head = self._solver.head
        return self._head

    def grow(self, classes: tuple[str, ...]) -> None:
        """Add the classes that are new; the first ones must be those there are."""
        more = len(classes) - len(self.classes)
        if more == 0:
            return
        state = self._solver.state()
        least = float(state["bias"].min()) if len(state["bias"]) else 0.0
        grown = {
            name: np.pad(
                value,
                [(0, 0)] * (value.ndim - 1) + [(0, more)],
                constant_values=least if name == "bias" else 0.0,
            )
            for name, value in state.items()
        }
        self._replace(classes, grown)

    def step(
        self, features: Float32Array, labels: IntArray, importance: Float32Array | None
    ) -> float:
        """Learn (B, D) features and (B,) labels; returns the loss before."""
        try:
            return self._solver.step(features, labels, self._settings.learning_rate, importance)
        finally:
            self._head = None

    def adopt(self, weights: Float32Array, bias: Float32Array, classes: tuple[str, ...]) -> None:
        """Take over another head, (D, K) and (K,), at rest."""
        self._replace(
            classes,
            {
                "weights": weights,
                "bias": bias,
                "weights_velocity": np.zeros_like(weights),
                "bias_velocity": np.zeros_like(bias),
            },
        )

    def state(self) -> dict[str, Float32Array]:
        """Everything that a checkpoint needs beside the classes."""
        return self._solver.state()

    def restore(self, classes: tuple[str, ...], state: dict[str, Float32Array]) -> None:
        """Go on from what `state` returned."""
        self._replace(classes, state)

    def _replace(self, classes: tuple[str, ...], state: dict[str, Float32Array]) -> None:
        self._head = None
        head = LinearHead(weights=state["weights"], bias=state["bias"], classes=classes)
        self._solver = SGDSolver(head, self._settings)
        self._solver.restore(state)


def _empty(dimension: int) -> LinearHead:
    return LinearHead(
        weights=np.zeros((dimension, 0), np.float32), bias=np.zeros(0, np.float32), classes=()
    )
