"""An answer arrives also at a client that goes on sending what the server will not read."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from time import monotonic, sleep

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.web import connections
from tests.web.test_heads import GET, POST, Bare, statuses


@pytest.fixture(scope="module")
def bare() -> Iterator[Bare]:
    started = Bare()
    yield started
    started.server.stop()


def answered(server: Bare, data: bytes, *, pause: float = 0.0) -> list[int]:
    """The statuses that a plain client reads, who sends all of a request before it listens."""
    with socket.create_connection(("127.0.0.1", server.server.port), timeout=20) as client:
        client.sendall(data)
        sleep(pause)
        parts = []
        while part := client.recv(65536):  # a reset is an error
            parts.append(part)
    return statuses(b"".join(parts))


REFUSED = {
    "a body that is too long": (POST + b"Content-Length: 4000000\r\n\r\n", 413),
    "chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n", 411),
    "a body for nobody": (GET + b"Content-Length: 4000000\r\n\r\n", 200),
    "a head without end": (GET + b"X: ", 431),
    "a line without end": (b"GET /", 414),
    "no path": (b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", 404),
    "a page of others": (b"POST /body HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
}


@pytest.mark.parametrize("case", REFUSED)
def test_who_sends_on_reads_why_it_was_refused(bare: Bare, case: str) -> None:
    begin, status = REFUSED[case]
    for _ in range(3):
        assert answered(bare, begin + b"a" * 4_000_000, pause=0.02) == [status]


@given(size=st.integers(0, 2_000_000), case=st.sampled_from(sorted(REFUSED)))
def test_whatever_the_rest_is_long(bare: Bare, size: int, case: str) -> None:
    begin, status = REFUSED[case]
    endless = case.endswith("without end")
    rest = b"a" * (size + 70_000 * endless) + b"\r\n\r\n" * endless
    if case == "a body for nobody":
        rest = rest.ljust(4_000_000, b"a")  # it is complete, as its length says
    assert answered(bare, begin + rest)[:1] == [status]


def send_on(client: socket.socket) -> None:
    for _ in range(1000):
        client.sendall(b"a")
        sleep(0.01)


def test_who_never_stops_sending_is_left_in_the_end(
    bare: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LINGER_IDLE", 0.2)
    monkeypatch.setattr(connections.close_in_order, "__defaults__", (0.5,))
    with socket.create_connection(("127.0.0.1", bare.server.port), timeout=20) as client:
        client.sendall(REFUSED["chunks"][0])
        begin = monotonic()
        with pytest.raises(ConnectionError):
            send_on(client)
    assert monotonic() < begin + 5


def test_who_says_nothing_more_is_left_at_once(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LINGER_IDLE", 0.1)
    with socket.create_connection(("127.0.0.1", bare.server.port), timeout=20) as client:
        client.sendall(REFUSED["chunks"][0])
        while client.recv(65536):
            pass
        begin = monotonic()
        while bare.server.connections._all and monotonic() < begin + 60:
            sleep(0.01)
        assert not bare.server.connections._all
