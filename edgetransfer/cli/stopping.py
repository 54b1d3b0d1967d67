"""SIGTERM and Ctrl-C for a job that finishes what it has in hand."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType


class Stopping:
    """``event`` is set by the first signal; the second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self.event = Event()
        self.interrupted = False

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        if number == signal.SIGINT:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True
        self.event.set()


@contextmanager
def graceful() -> Iterator[Stopping]:
    """Turn SIGTERM and Ctrl-C into a wish to stop, as long as the block lasts."""
    stopping = Stopping()
    before = {
        number: signal.signal(number, stopping.on_signal)
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
