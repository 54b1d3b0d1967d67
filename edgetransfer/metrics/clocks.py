"""Where the time goes, stage by stage."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

STAGES = ("decode", "transform", "forward", "head")


class StageClock:
    """Seconds spent in each stage of the pipeline; safe to use from several threads.

    ``decode`` and ``transform`` are processor time, summed over the workers, for these run
    beside everything else; ``forward`` and ``head`` are wall time of the one thread that runs
    them. A job may have further stages.
    """

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._lock = threading.Lock()

    def add(self, **seconds: float) -> None:
        """Add seconds to stages by name."""
        with self._lock:
            for stage, value in seconds.items():
                self._seconds[stage] = self._seconds.get(stage, 0.0) + value

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the wall time of a block to a stage."""
        start = perf_counter()
        try:
            yield
        finally:
            self.add(**{stage: perf_counter() - start})

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by stage, so far."""
        with self._lock:
            return dict(self._seconds)
