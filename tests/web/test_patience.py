"""How long a server waits for a client, and what it does for one that shows no token."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from time import monotonic

import pytest

from edgetransfer.web import handler
from tests.web.test_heads import GET, POST, Bare, raw, statuses

LIMIT = 0.4  # seconds, of each part


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bare]:
    for part in ("HEAD_SECONDS", "BODY_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(handler, part, LIMIT)
    started = Bare()
    yield started
    started.server.stop()


DRIPPED = {
    "nothing": b"",
    "a line": b"GET / HT",
    "a head": GET + b"X: ",
    "a body": POST + b"Content-Length: 9000\r\n\r\n",
    "a head after an answer": GET + b"\r\n" + GET,
}


@pytest.mark.parametrize("begin", DRIPPED)
def test_each_part_of_a_request_has_its_time(hasty: Bare, begin: str) -> None:
    """However steadily it comes: a client that sends a byte now and then is let go."""
    stop = threading.Event()
    with socket.create_connection(("127.0.0.1", hasty.server.port), timeout=20) as client:
        client.sendall(DRIPPED[begin])

        def drip() -> None:
            while not stop.wait(LIMIT / 10):
                try:
                    client.sendall(b"x")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        began = monotonic()
        answers = b""
        try:
            while part := client.recv(65536):
                answers += part
        except OSError:  # what it still sent was for nobody
            pass
        took = monotonic() - began
        stop.set()
        dripping.join()
    assert statuses(answers) == [200] * ("answer" in begin)
    assert LIMIT / 2 < took < 10


@pytest.mark.parametrize(
    "shown", ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic x\r\n"]
)
@pytest.mark.parametrize("path", ["/body", "/nothing"])
def test_without_the_token_no_body_is_read_and_no_path_told(shown: str, path: str) -> None:
    server = Bare()
    server.server.token = "secret"
    begin = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{shown}Content-Length: 9000\r\n\r\n"
    try:
        assert statuses(raw(server.server.port, begin.encode())) == [401]
        right = begin.replace(shown, "") if shown else begin
        right = right.replace("Content", "Authorization: Bearer secret\r\nContent")
        whole = right.encode() + bytes(9000)
        assert statuses(raw(server.server.port, whole)) == [200 if path == "/body" else 404]
    finally:
        server.server.stop()
    assert server.seen == ["POST"] * (path == "/body")
