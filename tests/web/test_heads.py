"""Request heads that two readers could take for two things, on every server there is."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.web import WebServer
from edgetransfer.web.heads import LONGEST_HEAD
from edgetransfer.web.messages import Request, Route, json_answer
from tests.serve.conftest import Server
from tests.stream.http_endpoint import Endpoint
from tests.teach.taught import Taught


class Bare:
    """A server of two routes: one tells how long a body was, the other reads none."""

    def __init__(self) -> None:
        self.seen: list[str] = []

        def post(request: Request) -> object:
            self.seen.append("POST")
            return json_answer({"length": len(request.body())})

        def get(_request: Request) -> object:
            self.seen.append("GET")
            return json_answer({})

        routes = {
            ("POST", "/body"): Route(answer=post),  # type: ignore[arg-type]
            ("GET", "/"): Route(answer=get),  # type: ignore[arg-type]
        }
        self.server = WebServer("127.0.0.1", 0, routes=routes, token=None, longest=10_000)
        self.server.start()

    def raw(self, data: bytes) -> bytes:
        return raw(self.server.port, data)


def raw(port: int, data: bytes) -> bytes:
    """All that a server answers to some bytes, after which nothing more is sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        with contextlib.suppress(OSError):  # it was refused, and the server waits no longer
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


@pytest.fixture(scope="module")
def bare() -> Iterator[Bare]:
    started = Bare()
    yield started
    started.server.stop()


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", answers)]


HOST = b"Host: localhost\r\n"
POST = b"POST /body HTTP/1.1\r\n" + HOST
GET = b"GET / HTTP/1.1\r\n" + HOST
SECOND = GET + b"\r\n"  # what must not be taken for a request
SIZED = str(len(SECOND)).encode()

AMBIGUOUS = {
    "two lengths": (POST, b"Content-Length: 0\r\nContent-Length: " + SIZED + b"\r\n"),
    "the same length twice": (POST, (b"Content-Length: " + SIZED + b"\r\n") * 2),
    "length and chunks": (
        POST,
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    ),
    "chunks": (POST, b"Transfer-Encoding: chunked\r\n"),
    "chunks, hidden": (POST, b"Transfer-Encoding: xchunked\r\n"),
    "a list of lengths": (POST, b"Content-Length: 0, " + SIZED + b"\r\n"),
    "a sign": (POST, b"Content-Length: +" + SIZED + b"\r\n"),
    "hexadecimal": (POST, b"Content-Length: 0x10\r\n"),
    "underscores": (POST, b"Content-Length: 1_0\r\n"),
    "no number": (POST, b"Content-Length: \r\n"),
    "negative": (POST, b"Content-Length: -1\r\n"),
    "space before the colon": (POST, b"Content-Length : " + SIZED + b"\r\n"),
    "folded": (POST, b"X: y\r\n Content-Length: 0\r\nContent-Length: " + SIZED + b"\r\n"),
    "tab first": (POST, b"\tContent-Length: 0\r\n"),
    "no colon": (POST, b"rubbish\r\nContent-Length: " + SIZED + b"\r\n"),
    "line feed alone": (POST, b"Content-Length: " + SIZED + b"\n"),
    "line feed inside": (POST, b"X: y\nContent-Length: " + SIZED + b"\r\n"),
    "carriage return inside": (POST, b"X: y\rContent-Length: " + SIZED + b"\r\n"),
    "two carriage returns": (POST, b"X: y\r\r\nContent-Length: " + SIZED + b"\r\n"),
    "zero byte": (POST, b"X: y\0\r\nContent-Length: " + SIZED + b"\r\n"),
    "empty name": (POST, b": y\r\nContent-Length: " + SIZED + b"\r\n"),
    "a body that nobody reads, of two lengths": (
        GET,
        b"Content-Length: 0\r\nContent-Length: " + SIZED + b"\r\n",
    ),
    "a body that nobody reads, in chunks": (GET, b"Transfer-Encoding: chunked\r\n"),
    "two hosts": (GET, b"Host: evil.example\r\n"),
    "two tokens": (GET, b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_what_is_ambiguous_ends_the_connection(bare: Bare, case: str) -> None:
    begin, headers = AMBIGUOUS[case]
    bare.seen.clear()
    answered = statuses(bare.raw(begin + headers + b"\r\n" + SECOND))
    assert len(answered) == 1
    read = case == "a body that nobody reads, in chunks"
    assert answered[0] in ((200,) if read else (400, 403, 411))
    assert bare.seen in (["GET"] if read else [], [begin[:4].decode().strip()])
    assert len(bare.seen) <= 1


def test_a_body_that_nobody_reads_is_no_request(bare: Bare) -> None:
    bare.seen.clear()
    assert statuses(bare.raw(GET + b"Content-Length: " + SIZED + b"\r\n\r\n" + SECOND)) == [200]
    assert bare.seen == ["GET"]


def test_requests_in_one_go_are_answered_in_order(bare: Bare) -> None:
    post = POST + b"Content-Length: 3\r\n\r\nabc"
    answers = bare.raw(SECOND + post + SECOND + post)
    assert statuses(answers) == [200] * 4
    assert [part.partition(b"\r\n\r\n")[2] for part in answers.split(b"HTTP/1.1 ")[1:]] == [
        *(b"{}", b'{"length": 3}') * 2
    ]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"X: " + b"a" * 70_000 + b"\r\n", 431),
        (b"".join(b"X%d: %s\r\n" % (i, b"a" * 1000) for i in range(90)), 431),
        (b"".join(b"X%d: y\r\n" % i for i in range(200)), 431),
        (b"X: " + b"a" * (LONGEST_HEAD // 2) + b"\r\n", 200),
    ],
)
def test_heads_are_bounded(bare: Bare, head: bytes, status: int) -> None:
    assert statuses(bare.raw(GET + head + b"\r\n")) == [status]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n", 414),
        (b"GET / HTTP/1.1 HTTP/1.1\r\n", 400),
        (b"GET  / HTTP/1.1\r\n", 200),
        (b"GET / HTTP/2.0\r\n", 400),
        (b"GET / HTTP/1.10000000000\r\n", 400),
        (b"PRI * HTTP/2.0\r\n", 400),
        (b"CONNECT localhost:22 HTTP/1.1\r\n", 405),
        (b"GET http://evil.example/ HTTP/1.1\r\n", 200),  # Host is what counts: it is our own
        (b"get / HTTP/1.1\r\n", 405),
        (b"\r\n", 0),
    ],
)
def test_strange_request_lines(bare: Bare, line: bytes, status: int) -> None:
    answered = statuses(bare.raw(line + HOST + b"\r\n"))
    assert answered[:1] == ([status] if status else [])


@pytest.mark.parametrize(
    ("request_line", "allowed"), [(b"POST /", b"GET"), (b"GET /body", b"POST"), (b"PUT /", b"GET")]
)
def test_who_asks_by_another_method_is_told_which(
    bare: Bare, request_line: bytes, allowed: bytes
) -> None:
    answer = bare.raw(request_line + b" HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")
    assert statuses(answer) == [405]
    assert b"\r\nAllow: " + allowed + b"\r\n" in answer


def test_an_upgrade_is_not_followed(bare: Bare) -> None:
    more = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    assert statuses(bare.raw(GET + more + key + b"\r\n")) == [200]
    settings = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    assert statuses(bare.raw(GET + settings + b"\r\n")) == [200]


def test_who_asks_before_sending_is_told_at_once(bare: Bare) -> None:
    with socket.create_connection(("127.0.0.1", bare.server.port), timeout=20) as client:
        client.sendall(POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"abc")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


PIECES = (
    *(b"Content-Length: 3", b"Content-Length: 0", b"Transfer-Encoding: chunked", b"\r\n", b"\n"),
    *(b"\r", b" ", b"\t", b"\0", b": ", b"X: y", b"3\r\nabc\r\n0\r\n\r\n", b"abc", SECOND),
)


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_no_body_is_ever_a_request(bare: Bare, pieces: list[bytes]) -> None:
    """A reader by the letter of RFC 9112 finds no more requests than the server does."""
    sent = POST + b"".join(pieces) + b"\r\n\r\nabc"
    bare.seen.clear()
    bare.raw(sent)
    assert len(bare.seen) <= by_the_letter(sent)


def by_the_letter(data: bytes) -> int:
    """Requests at the beginning of some bytes; 1 counts also for one that is to be refused."""
    count = 0
    while True:
        head, blank, rest = data.partition(b"\r\n\r\n")
        if not blank or not head.startswith((b"POST /body HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n")):
            return max(count, 1)
        count += 1
        lines = head.split(b"\r\n")[1:]
        lengths = [line for line in lines if line.lower().startswith(b"content-length:")]
        encoded = any(line.lower().startswith(b"transfer-encoding:") for line in lines)
        strange = any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
        if encoded or strange or len(lengths) > 1:
            return count
        value = lengths[0].partition(b":")[2].strip() if lengths else b"0"
        if not value.isdigit():
            return count
        data = rest[int(value) :]


# The three applications


@pytest.fixture(scope="module", params=["serve", "teach", "stream"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    run: Path = tmp_path_factory.mktemp(request.param) / "run"
    match request.param:
        case "serve":
            server = Server()
            yield server.port
            server.close()
        case "teach":
            taught = Taught(run)
            yield taught.server.port
            taught.close()
        case "stream":
            endpoint = Endpoint(run)
            yield endpoint.port
            endpoint.close()


@pytest.mark.parametrize(
    "headers",
    [
        b"Host: evil.example\r\n",
        b"Host: evil.example:{p}\r\n",
        b"Host: localhost:{p}\r\nOrigin: http://evil.example\r\n",
        b"Host: localhost:{p}\r\nOrigin: null\r\n",
        b"Host: localhost:{p}\r\nOrigin: http://localhost:1\r\n",
        b"Host: localhost:{p}\r\nSec-Fetch-Site: cross-site\r\n",
        b"Host: localhost:{p}\r\nSec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\n",
        b"",
    ],
)
def test_pages_of_others_reach_nothing(port: int, headers: bytes) -> None:
    given = headers.replace(b"{p}", str(port).encode())
    described = raw(port, b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
    paths = json.loads(described.partition(b"\r\n\r\n")[2])["paths"]
    assert len(paths) > 3
    for path in [*paths, "/", "/nothing"]:
        for method in (b"GET", b"POST"):
            begin = method + b" " + path.encode() + b" HTTP/1.1\r\n"
            answered = statuses(raw(port, begin + given + b"Content-Length: 0\r\n\r\n"))
            assert answered == [403], (path, method)


@pytest.mark.parametrize("case", ["two lengths", "length and chunks", "space before the colon"])
def test_nothing_is_smuggled(port: int, case: str) -> None:
    begin, headers = AMBIGUOUS[case]
    assert len(statuses(raw(port, begin + headers + b"\r\n" + SECOND))) == 1
