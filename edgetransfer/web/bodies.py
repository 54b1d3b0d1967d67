"""How many bytes of requests are held at a time, over all connections."""

from __future__ import annotations

from threading import Lock

CHUNK = 64 * 2**10


class BodyBudget:
    """Bytes that bodies may take together; a body takes them as they arrive, not as announced.

    Parameters
    ----------
    size
        Bytes.
    """

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = Lock()

    def take(self, count: int) -> bool:
        """Take so many bytes; False if there are not as many."""
        with self._lock:
            if count > self._left:
                return False
            self._left -= count
            return True

    def give_back(self, count: int) -> None:
        """Let others have them."""
        with self._lock:
            self._left += count
