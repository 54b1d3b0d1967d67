"""Open connections: bounded in number, and none may be slow for long.

A client that sends its request by and by holds a thread and a file handle. When there are too
many connections, the one that has kept the server waiting the longest is closed for the new one;
who sends a request in one go is never that one for long.
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
from threading import Lock
from time import monotonic

MOST = 256
LINGER_SECONDS = 5.0  # that a client may go on sending after its answer
LINGER_IDLE = 2.0  # that it may say nothing in
DRAINED = 2**16  # bytes at a time
SPARED = 32  # file handles that the stream itself may need
LEAST = 4


def room_for_connections() -> int:
    """How many connections this process may hold, by its limit of file handles."""
    try:
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    except ImportError:  # Windows has none
        return MOST
    if soft == resource.RLIM_INFINITY:
        return MOST
    try:
        used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  (names alone)
    except OSError:
        used = SPARED
    return max(LEAST, min(MOST, soft - used - SPARED))


class Connections:
    """The connections of one server; any thread may ask."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._lock = Lock()
        self._waiting: dict[socket.socket, float] = {}
        self._all: set[socket.socket] = set()

    def enter(self, connection: socket.socket) -> bool:
        """Count a new connection; another one is closed for it if there are too many.

        False if all are being answered, so that there is none to close.
        """
        with self._lock:
            oldest = None
            if len(self._all) >= self.most:
                if not self._waiting:
                    return False
                oldest = min(self._waiting, key=self._waiting.__getitem__)
                self._forget(oldest)
            self._all.add(connection)
            self._waiting[connection] = monotonic()
        if oldest is not None:
            _break(oldest)
        return True

    def close_slowest(self) -> None:
        """Close the connection that has kept the server waiting the longest."""
        with self._lock:
            if not self._waiting:
                return
            oldest = min(self._waiting, key=self._waiting.__getitem__)
            self._forget(oldest)
        _break(oldest)

    def waits(self, connection: socket.socket) -> None:
        """The server waits for a request of this connection from now on."""
        with self._lock:
            if connection in self._all:
                self._waiting[connection] = monotonic()

    def answers(self, connection: socket.socket) -> None:
        """Its request is there: the connection waits for the server now."""
        with self._lock:
            self._waiting.pop(connection, None)

    def leave(self, connection: socket.socket) -> None:
        """It is closed."""
        with self._lock:
            self._forget(connection)

    def _forget(self, connection: socket.socket) -> None:
        self._waiting.pop(connection, None)
        self._all.discard(connection)


class TimedReader(io.RawIOBase):
    """Reads a connection; all that is read after `begin` has to come within some seconds.

    Raises
    ------
    TimeoutError
        When they are over.
    """

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self.begin(seconds)

    def begin(self, seconds: float) -> None:
        """Wait so long from now on."""
        self._end = monotonic() + seconds

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """See `io.RawIOBase.readinto`."""
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError("the request came too slowly")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


def close_in_order(connection: socket.socket, seconds: float = LINGER_SECONDS) -> None:
    """Say that nothing more is sent, and take what still comes, so that the answer arrives.

    A connection that is closed with bytes unread is reset, and a reset takes an answer with it
    that the client has not read yet: who sends more than is taken would see a broken connection
    in place of the reason (RFC 9112, section 9.6). Another thread may `_break` it meanwhile.
    """
    end = monotonic() + seconds
    with contextlib.suppress(OSError):  # it has gone
        connection.shutdown(socket.SHUT_WR)
        while (left := end - monotonic()) > 0:
            connection.settimeout(min(left, LINGER_IDLE))
            if not connection.recv(DRAINED):
                break


def _break(connection: socket.socket) -> None:
    """End a connection that another thread reads; that thread closes it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
