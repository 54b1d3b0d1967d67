"""Several kinds of thread that together keep no more than some cores busy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edgetransfer.engines import available_cores


class CoreLimit:
    """Lets threads compute as long as they keep no more than ``most`` cores busy together.

    Where all cores of this process may be used it does nothing: the system shares them out
    better than any rule.

    Parameters
    ----------
    most
        How many cores; all that this process may use if None or more than there are.
    """

    def __init__(self, most: int | None = None) -> None:
        there = available_cores()
        self.most = there if most is None else min(most, there)
        self._unlimited = self.most == there
        self._free = self.most
        self._changed = threading.Condition()

    @contextmanager
    def cores(self, count: int) -> Iterator[None]:
        """Wait for that many cores (one at least, at most all) and have them for the block."""
        if self._unlimited:
            yield
            return
        count = min(max(count, 1), self.most)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= count)
            self._free -= count
        try:
            yield
        finally:
            with self._changed:
                self._free += count
                self._changed.notify_all()
