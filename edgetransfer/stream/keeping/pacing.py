"""When a checkpoint is worth its price."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

CHEAP = 0.25  # seconds: a checkpoint that takes no longer is written as often as was asked for
WORTH_IT = 4  # one that takes longer comes when so many times as long was spent on learning


class CheckpointPace:
    """Tells when the next checkpoint is due.

    With ten classes one takes milliseconds; with ten thousand it is hundreds of megabytes, and a
    stream that brings a sample now and then would write those every minute for nothing.

    Parameters
    ----------
    seconds
        The time between two that was asked for.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last = monotonic()
        self._cost = 0.0
        self._worked = 0.0

    @contextmanager
    def learning(self) -> Iterator[None]:
        """What is done here would be done again after a kill."""
        start = monotonic()
        yield
        self._worked += monotonic() - start

    @contextmanager
    def saving(self) -> Iterator[None]:
        """A checkpoint is written here; one that fails is tried again after the same time."""
        start = monotonic()
        try:
            yield
            self._worked, self._cost = 0.0, monotonic() - start
        finally:
            self._last = monotonic()

    @property
    def due(self) -> bool:
        """Whether the last is old enough, and another one is worth it."""
        price = max(0.0, self._cost - CHEAP)
        return monotonic() - self._last > self._seconds and self._worked >= WORTH_IT * price
