"""What a random graph grows from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tests.graphs_made import Net

OPSETS = (9, 11, 13, 14, 18, 21)
BATCHES = (1, 2, 16, 17, 33)


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor of the graph: what an image's part of it is, and whether the graph sees it flat."""

    name: str
    shape: tuple[int, int, int]
    flat: bool = False

    @property
    def point(self) -> bool:
        return self.shape[1:] == (1, 1)

    @property
    def features(self) -> int:
        return int(np.prod(self.shape))


class Growth:
    """A graph that grows by random steps; its tensors, and what the steps draw from."""

    def __init__(self, seed: int, *, batch: int | None = None, opset: int | None = None) -> None:
        self.rng = np.random.default_rng(seed)
        self.batch = int(self.rng.choice(BATCHES)) if batch is None else batch
        self.net = Net(seed=seed, opset=opset or int(self.rng.choice(OPSETS)))
        side = self.rng.integers(4, 20, 2)
        shape = (int(self.rng.integers(1, 7)), int(side[0]), int(side[1]))
        self.tensors = [Tensor(name="x", shape=shape)]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def integer(self, low: int, high: int) -> int:
        """From low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def any_of(self, tensors: list[Tensor]) -> Tensor:
        """Mostly one of the latest, so that graphs grow deep, but also much older ones."""
        return tensors[-self.integer(1, len(tensors) if self.chance(0.4) else min(2, len(tensors)))]

    def node(self, operator: str, *inputs: str, **attributes: object) -> str:
        return self.net.add(operator, *inputs, **attributes)

    def integers(self, values: list[int]) -> str:
        return self.net.constant(values, np.int64)

    def numbers(self, count: int) -> np.ndarray:
        """Away from zero, of either sign."""
        return self.rng.uniform(0.5, 1.5, count) * self.rng.choice([-1, 1, 1], count)

    def made(self, name: str, shape: tuple[int, ...], *, flat: bool = False) -> Tensor:
        channels, height, width = shape
        return Tensor(name=name, shape=(channels, height, width), flat=flat)

    def renamed(self, x: Tensor, name: str) -> Tensor:
        """Another name for a tensor."""
        return replace(x, name=name)


# What it does to a tensor of the graph, or None where it does not fit that one.
Step = Callable[[Growth, Tensor], Tensor | None]
