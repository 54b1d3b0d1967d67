"""Bound, with a thread a connection, until it is stopped."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator
from http.server import ThreadingHTTPServer
from threading import Condition, Thread
from time import sleep
from typing import Any

from edgetransfer.errors import EdgeTransferError, UsageError
from edgetransfer.web.bodies import BodyBudget
from edgetransfer.web.connections import Connections, close_in_order, room_for_connections
from edgetransfer.web.handler import Handler
from edgetransfer.web.hosts import Hosts
from edgetransfer.web.messages import Routes

logger = logging.getLogger(__name__)

BODIES = 64 * 2**20  # bytes of all bodies that are held
POLL = 0.1  # seconds until a wish to stop is seen


class WebServer(ThreadingHTTPServer):
    """Serves a table of routes; bound when it is made, serving after `start`.

    Parameters
    ----------
    routes
        What can be asked.
    token
        That clients must show as ``Authorization: Bearer …``; needed beyond loopback.
    longest
        Bytes of a request's body.
    names
        That it answers to, beside what it is bound to; see `Hosts`.

    Raises
    ------
    UsageError
        If the address is not loopback and there is no token.
    EdgeTransferError
        If the address is taken or not of this machine.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        host: str,
        port: int,
        *,
        routes: Routes,
        token: str | None,
        longest: int,
        names: Collection[str] = (),
    ) -> None:
        self.hosts = Hosts(host, names)
        if not token and not self.hosts.loopback:
            raise UsageError(
                f"{host} can be reached from other machines: give a --token that clients must "
                "show, or bind 127.0.0.1"
            )
        self.routes = routes
        self.token = token
        self.longest = longest
        self.stopping = False
        self._accepted_all = False
        self._in_hand = 0
        self._changed = Condition()
        self.bodies = BodyBudget(max(BODIES, 2 * longest))
        self.connections = Connections(room_for_connections())
        try:
            super().__init__((host, port), Handler)
        except OSError as error:
            raise EdgeTransferError(
                f"http:{host}:{port} cannot be opened: {error.strerror or error}; choose another "
                "port"
            ) from error

    @property
    def port(self) -> int:
        """The port that it is bound to."""
        return int(self.server_address[1])

    @property
    def address(self) -> str:
        """Where a browser of this machine finds it."""
        host = str(self.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def start(self) -> None:
        """Serve, in a thread of its own."""
        Thread(
            target=self.serve_forever, args=(POLL,), name="edgetransfer-http", daemon=True
        ).start()

    def stop(self, *, seconds: float = 0.0) -> None:
        """Serve no more; what was asked before is answered, if that takes no longer than that."""
        self.stopping = True
        self.shutdown()
        if seconds:
            self.timeout = 0
            while not self._accepted_all:  # connections that wait in the system's own queue
                self.handle_request()
        self.server_close()
        with self._changed:
            self._changed.wait_for(lambda: not self._in_hand, seconds)

    def handle_timeout(self) -> None:
        """No connection waits any more."""
        self._accepted_all = True

    @contextlib.contextmanager
    def in_hand(self) -> Iterator[None]:
        """A request that is being read or answered."""
        with self._changed:
            self._in_hand += 1
        try:
            yield
        finally:
            with self._changed:
                self._in_hand -= 1
                self._changed.notify_all()

    def get_request(self) -> tuple[Any, Any]:
        """Take the next connection."""
        try:
            return super().get_request()
        except OSError:  # no file handle is left: one is made free, and the client waits meanwhile
            self.connections.close_slowest()
            sleep(0.05)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection a thread, if there is room for one more."""
        if not self.connections.enter(request):
            with contextlib.suppress(OSError):  # it has gone: so much the better
                request.settimeout(1.0)
                request.sendall(
                    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
                    b"Connection: close\r\n\r\n"
                )
            close_in_order(request, seconds=0.05)  # no thread is left for it, and others wait
            self.close_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self.connections.leave(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.leave(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection that was answered; it may be closed for another one meanwhile."""
        self.connections.waits(request)
        close_in_order(request)
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is nobody's concern."""
        logger.debug("connection of %s broke", client_address, exc_info=True)
