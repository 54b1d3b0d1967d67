"""An engine without a network, for tests and for trying a pipeline."""

from __future__ import annotations

import numpy as np

from edgetransfer.engines.protocol import EngineChoice, padded
from edgetransfer.types import Float32Array


class FakeEngine:
    """Averages every channel over a grid of cells: (n, 3, S, S) to (n, 3 * cells * cells).

    Its features are a pure function of each image alone, they separate images by colour and
    coarse layout, and they cost next to nothing.
    """

    name = "fake"

    def __init__(self, *, batch_size: int, size: int, cells: int = 4) -> None:
        if size % cells:
            raise ValueError(f"{size} pixels do not divide into {cells} cells")
        self.batch_size = batch_size
        self.input_shape = (batch_size, 3, size, size)
        self.dimension = 3 * cells * cells
        self.choice = EngineChoice(name=self.name, version="0", reason="asked for in a test")
        self.calls = 0
        self._cells = cells

    def run(self, images: Float32Array) -> Float32Array:
        """See `Engine.run`."""
        self.calls += 1
        full = padded(images, self.batch_size)
        side = full.shape[2] // self._cells
        grid = full.reshape(self.batch_size, 3, self._cells, side, self._cells, side)
        features = grid.mean(axis=(3, 5), dtype=np.float32).reshape(self.batch_size, -1)
        return np.array(features[: len(images)])

    def close(self) -> None:
        """See `Engine.close`."""
