"""One connection: what is checked of each request before its route sees it."""

from __future__ import annotations

import hmac
import io
import logging
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from edgetransfer.web.bodies import CHUNK
from edgetransfer.web.connections import TimedReader
from edgetransfer.web.heads import HeadError, HeadLines, check_once
from edgetransfer.web.messages import Answer, Refusal, Request, Route, json_answer

if TYPE_CHECKING:
    from edgetransfer.web.server import WebServer

logger = logging.getLogger(__name__)

HEAD_SECONDS = 15.0  # for a request's head, from the first moment that it is waited for
BODY_SECONDS = 30.0  # for its body
ANSWER_SECONDS = 15.0  # for each part of the answer to be taken
RETRY_AFTER = 1


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: WebServer
    raw_requestline: bytes
    protocol_version = "HTTP/1.1"
    server_version = "edgetransfer"
    sys_version = ""
    timeout = ANSWER_SECONDS
    # Head and body leave together, at once: else the kernel waits 40 ms for more of either.
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Read no longer than each part of a request may take."""
        super().setup()
        self._held = 0
        self._reader = TimedReader(self.connection, HEAD_SECONDS)
        self.rfile.close()
        self.rfile = io.BufferedReader(self._reader)

    def handle_one_request(self) -> None:
        """Answer the next request of the connection."""
        self._reader.begin(HEAD_SECONDS)
        self.server.connections.waits(self.connection)
        try:
            super().handle_one_request()
        finally:
            self.server.bodies.give_back(self._held)
            self._held = 0

    def parse_request(self) -> bool:
        """Read the head; False if it was refused."""
        lines = self.rfile
        self.rfile = HeadLines(lines, len(self.raw_requestline))  # type: ignore[assignment]
        try:
            if not super().parse_request():
                return False
            check_once(self.headers)
        except HeadError as error:
            self.send_error(error.status, str(error))
            return False
        finally:
            self.rfile = lines
        return True

    def handle_expect_100(self) -> bool:
        """Let a client go on that asks before it sends its body."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def do_GET(self) -> None:
        """Answer ``GET``."""
        with self.server.in_hand():
            self._answer("GET")

    def do_POST(self) -> None:
        """Answer ``POST``."""
        with self.server.in_hand():
            self._answer("POST")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log for those who debug."""
        logger.debug(format, *args)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the base class refuses; a strange request is the client's fault."""
        del explain
        self.request_version = self.protocol_version  # what it is may not have been read
        status = {501: 405, 505: 400}.get(code, code)
        self.close_connection = True
        answer = json_answer({"error": message or "bad request"}, status=status)
        self._send(self._allowing(answer))

    def _answer(self, method: str) -> None:
        self._body_read = False
        try:
            self.connection.settimeout(ANSWER_SECONDS)
            self._check_host(method)
            split = _split(self.path)
            route = self.server.routes.get((method, split.path))
            if route is None or not route.open:
                self._check_token()
            if route is None:
                known = any(path == split.path for _, path in self.server.routes)
                raise Refusal(405 if known else 404, "no such method" if known else "no such path")
            answer = route.answer(self._request(route, split.query))
            # A body that no route has read would be taken for the next request.
            self.close_connection |= not self._body_read and self._has_body()
            self._send(answer)
        except Refusal as refusal:
            self._refuse(refusal.status, str(refusal))
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception:
            logger.exception("%s %s failed", method, self.path[:200])
            self._refuse(500, "the server failed at this request; its log says more")

    def _refuse(self, status: int, text: str) -> None:
        self.close_connection = True
        self._send(self._allowing(json_answer({"error": text}, status=status)))

    def _allowing(self, answer: Answer) -> Answer:
        """With the methods that a path has, where it was asked by another one (RFC 9110)."""
        if answer.status != 405:
            return answer
        try:
            asked = _split(self.path).path
        except Refusal:
            return answer
        allowed = sorted(method for method, path in self.server.routes if path == asked)
        return replace(answer, headers={**answer.headers, "Allow": ", ".join(allowed)})

    def _request(self, route: Route, query: str) -> Request:
        return Request(
            query=_fields(query, route.query),
            headers=self.headers,
            body=self._body,
            answering=lambda: self.server.connections.answers(self.connection),
        )

    def _check_host(self, method: str) -> None:
        problem = self.server.hosts.problem(self.headers, method, self.request_version)
        if problem is not None:
            raise Refusal(403, problem)

    def _check_token(self) -> None:
        if not self.server.token:
            return
        # The base class takes bytes for Latin-1; clients send UTF-8.
        shown = self.headers.get("Authorization", "").encode("latin-1", "replace").strip()
        scheme, _, token = shown.partition(b" ")
        right = hmac.compare_digest(token.strip(), self.server.token.encode())
        if not right or scheme.lower() != b"bearer":
            raise Refusal(401, "the token is missing or wrong: Authorization: Bearer …")

    def _has_body(self) -> bool:
        return "Transfer-Encoding" in self.headers or self.headers.get("Content-Length", "0") != "0"

    def _body(self) -> bytes:
        self._body_read = True
        if "Transfer-Encoding" in self.headers:
            raise Refusal(411, "chunks are not taken: give a Content-Length")
        length = self.headers.get("Content-Length")
        if length is None:
            raise Refusal(411, "give a Content-Length")
        if not (length.isascii() and length.isdecimal()):
            raise Refusal(400, "Content-Length is no number")
        if len(length) > 18 or int(length) > self.server.longest:
            raise Refusal(413, f"more than {self.server.longest} bytes")
        return self._read(int(length))

    def _read(self, length: int) -> bytes:
        """So many bytes of the body; what is held of it counts until it is answered."""
        self._reader.begin(BODY_SECONDS)
        parts = []
        left = length
        while left:
            part = self.rfile.read1(min(CHUNK, left))
            if not part:
                raise Refusal(400, "the body is shorter than its Content-Length")
            if not self.server.bodies.take(len(part)):
                raise Refusal(429, "too many large requests at a time: send it again")
            self._held += len(part)
            parts.append(part)
            left -= len(part)
        self.connection.settimeout(ANSWER_SECONDS)
        return b"".join(parts)

    def _send(self, answer: Answer) -> None:
        self.close_connection |= self.server.stopping
        try:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status == 429:
                self.send_header("Retry-After", str(RETRY_AFTER))
            if answer.status == 401:
                self.send_header("WWW-Authenticate", "Bearer")
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)
            self.wfile.flush()
        except OSError:
            self.close_connection = True


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError as error:  # such as //[
        raise Refusal(400, str(error)) from None


def _fields(text: str, known: frozenset[str]) -> dict[str, str]:
    """The fields of a query, each given once."""
    try:
        given = parse_qs(text, max_num_fields=10, keep_blank_values=True, errors="strict")
    except ValueError:
        raise Refusal(400, "the query cannot be read") from None
    if unknown := sorted(set(given) - known):
        raise Refusal(400, f"unknown query field {unknown[0][:50]!r}")
    if any(len(values) > 1 for values in given.values()):
        raise Refusal(400, "a query field is given twice")
    return {key: values[0] for key, values in given.items()}
