"""Keeping an engine to one core."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from edgetransfer.engines.protocol import Engine, EngineChoice
from edgetransfer.types import Float32Array


@contextmanager
def on_core(number: int | None) -> Iterator[None]:
    """Keep this thread, and those that it starts, to one of its cores; None for no such limit.

    Where the system has no such calls nothing happens.
    """
    if number is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[number % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class PinnedEngine:
    """An engine whose calls stay on one core; it should have been opened within `on_core`."""

    def __init__(self, engine: Engine, core: int) -> None:
        self._engine = engine
        self._core = core

    @property
    def name(self) -> str:
        """See `Engine.name`."""
        return self._engine.name

    @property
    def choice(self) -> EngineChoice:
        """See `Engine.choice`."""
        return self._engine.choice

    @property
    def batch_size(self) -> int:
        """See `Engine.batch_size`."""
        return self._engine.batch_size

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """See `Engine.input_shape`."""
        return self._engine.input_shape

    @property
    def dimension(self) -> int:
        """See `Engine.dimension`."""
        return self._engine.dimension

    def run(self, images: Float32Array) -> Float32Array:
        """See `Engine.run`."""
        with on_core(self._core):
            return self._engine.run(images)

    def close(self) -> None:
        """See `Engine.close`."""
        self._engine.close()
