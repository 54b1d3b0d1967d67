"""What an engine is: a frozen ONNX graph that turns images into features."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgetransfer.errors import EngineError
from edgetransfer.reports.shared import EngineRecord
from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array


@dataclass(frozen=True, kw_only=True)
class EngineChoice:
    """Which engine runs, and why it and no other.

    Parameters
    ----------
    name
        ``deepsparse``, ``onnxruntime`` or ``fake``.
    version
        Of the package that runs.
    reason
        One sentence.
    """

    name: str
    version: str
    reason: str

    __repr__ = short_repr

    @property
    def record(self) -> EngineRecord:
        """For reports."""
        return {"name": self.name, "version": self.version, "reason": self.reason}


@dataclass(frozen=True, kw_only=True)
class LayerTime:
    """One step of a compiled backbone.

    Parameters
    ----------
    tensors
        What the layers make that it does; an engine may run several as one.
    share
        Of the whole run's time, 0 to 1.
    """

    tensors: tuple[str, ...]
    share: float

    __repr__ = short_repr


class Engine(Protocol):
    """A backbone compiled for one batch size."""

    @property
    def name(self) -> str:
        """The engine's name, as `EngineChoice.name`."""

    @property
    def choice(self) -> EngineChoice:
        """Why this engine."""

    @property
    def batch_size(self) -> int:
        """How many images one call takes at most."""

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(batch_size, 3, S, S); other channels where it is a single layer."""

    @property
    def dimension(self) -> int:
        """The length D of a feature vector."""

    def run(self, images: Float32Array) -> Float32Array:
        """Turn (n, 3, S, S) float32 images, n at most `batch_size`, into (n, D) float32.

        The result belongs to the caller. Several threads must not call one engine at a time.

        Raises
        ------
        EngineError
            If the backbone cannot be computed on these images.
        """

    def close(self) -> None:
        """Let go of memory and temporary files; the engine cannot run afterwards."""


@contextmanager
def failing_as(title: str) -> Iterator[None]:
    """Turn whatever an engine's package raises as it runs into an error of ours.

    Raises
    ------
    EngineError
        In place of any error but those of memory.
    """
    try:
        yield
    except (EngineError, MemoryError):
        raise
    except Exception as error:
        first_line = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise EngineError(f"{title} cannot run this backbone: {first_line}") from error


def padded(images: Float32Array, batch_size: int) -> Float32Array:
    """A C-contiguous float32 batch of exactly ``batch_size`` images, filled up with zeros.

    Raises
    ------
    ValueError
        If there are more images than that.
    """
    n = len(images)
    if n > batch_size:
        raise ValueError(f"{n} images do not fit a batch of {batch_size}")
    if n == batch_size:
        return np.ascontiguousarray(images, dtype=np.float32)
    full = np.zeros((batch_size, *images.shape[1:]), np.float32)
    full[:n] = images
    return full
