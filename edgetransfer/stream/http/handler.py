"""One connection of the stream's HTTP server."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, urlsplit

from edgetransfer.data.streams.arrivals import Arrival, read_fields
from edgetransfer.errors import DataError
from edgetransfer.names import json_text
from edgetransfer.stream.http.bodies import CHUNK
from edgetransfer.stream.http.connections import TimedReader
from edgetransfer.stream.http.openapi import openapi
from edgetransfer.stream.http.prometheus import CONTENT_TYPE, exposition
from edgetransfer.stream.learning.ids import id_key

if TYPE_CHECKING:
    from edgetransfer.stream.http.server import StreamServer

logger = logging.getLogger(__name__)

HEAD_SECONDS = 15.0  # for a request's head, from the first moment that it is waited for
BODY_SECONDS = 30.0  # for its body
ANSWER_SECONDS = 15.0  # for each part of the answer to be taken
RETRY_AFTER = 1
JSON = "application/json"
OPEN = ("/healthz", "/openapi.json")  # need no token


class Refusal(Exception):  # noqa: N818
    """A request that is answered with an error status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Desk(Protocol):
    """Where the server hands samples in."""

    def submit(self, arrival: Arrival) -> Mapping[str, Any] | None:
        """What became of a sample; None if there is no room, or it takes too long."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: StreamServer
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

    def do_GET(self) -> None:
        """Answer ``GET``."""
        self._answer("GET")

    def do_POST(self) -> None:
        """Answer ``POST``."""
        self._answer("POST")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log for those who debug."""
        logger.debug(format, *args)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the base class refuses; a strange request is the client's fault."""
        del explain
        status = {501: 405, 505: 400}.get(code, code)
        self.close_connection = True
        self._send(status, {"error": message or "bad request"})

    def _answer(self, method: str) -> None:
        try:
            self.connection.settimeout(ANSWER_SECONDS)
            self._check_host(method)
            split = urlsplit(self.path)
            if split.path not in OPEN:
                self._check_token()
            routes = {
                ("GET", "/healthz"): self._health,
                ("GET", "/openapi.json"): self._description,
                ("GET", "/metrics"): self._metrics,
                ("GET", "/predict"): self._predict_known,
                ("POST", "/predict"): self._predict,
                ("POST", "/samples"): self._sample,
            }
            route = routes.get((method, split.path))
            if route is None:
                known = any(path == split.path for _, path in routes)
                raise Refusal(405 if known else 404, "no such method" if known else "no such path")
            route(self._query(split.query))
        except Refusal as refusal:
            # What is left of the body would be taken for the next request.
            self.close_connection = True
            self._send(refusal.status, {"error": str(refusal)})
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except ValueError as error:  # urlsplit, on addresses such as //[
            self.close_connection = True
            self._send(400, {"error": str(error)})

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

    @staticmethod
    def _query(text: str) -> dict[str, str]:
        try:
            given = parse_qs(text, max_num_fields=10, keep_blank_values=True, errors="strict")
        except ValueError:
            raise Refusal(400, "the query cannot be read") from None
        if unknown := sorted(set(given) - {"id", "label"}):
            raise Refusal(400, f"unknown query field {unknown[0][:50]!r}")
        if any(len(values) > 1 for values in given.values()):
            raise Refusal(400, "a query field is given twice")
        return {key: values[0] for key, values in given.items()}

    # What can be asked

    def _health(self, _query: dict[str, str]) -> None:
        paused = self.server.board.snapshot.paused
        self._send(200, {"status": "paused", "reason": paused} if paused else {"status": "ok"})

    def _description(self, _query: dict[str, str]) -> None:
        self._send(200, openapi())

    def _metrics(self, _query: dict[str, str]) -> None:
        text = exposition(self.server.board.snapshot)
        self._send_bytes(200, text.encode(errors="replace"), CONTENT_TYPE)

    def _predict_known(self, query: dict[str, str]) -> None:
        if "id" not in query:
            raise Refusal(400, "which id? GET /predict?id=…; POST /predict takes an image")
        learner = self.server.board.learner
        rows = learner.durable.learner.pooled(id_key(query["id"]))
        if rows is None:
            raise Refusal(404, "no unlabelled sample has this id")
        self._send(200, {"id": query["id"], "classes": learner.probabilities(rows)})

    def _predict(self, query: dict[str, str]) -> None:
        arrival = self._arrival(query)
        if arrival.source is None:
            raise Refusal(400, "needs an image to predict")
        outcome = self._submit(replace(arrival, learn=False))
        self._send(200, {"id": outcome["id"], "classes": outcome["classes"]})

    def _sample(self, query: dict[str, str]) -> None:
        outcome = self._submit(self._arrival(query))
        if outcome["status"] == "unknown":
            raise Refusal(404, "no unlabelled sample has this id")
        self._send(200, outcome)

    def _submit(self, arrival: Arrival) -> Mapping[str, Any]:
        self.server.connections.answers(self.connection)
        desk = self.server.desk
        if desk is None:
            raise Refusal(404, "this stream takes its samples from elsewhere")
        outcome = None
        if not self.server.board.snapshot.paused:
            outcome = desk.submit(arrival)
        if outcome is None:
            paused = self.server.board.snapshot.paused
            raise Refusal(429, paused or "busy: send it again, with the same id")
        if outcome["status"] == "rejected":
            raise Refusal(422, str(outcome["reason"]))
        return outcome

    def _arrival(self, query: dict[str, str]) -> Arrival:
        """The sample that a request holds."""
        body = self._body()
        kind = self.headers.get_content_type()
        try:
            if kind == JSON:
                record = json.loads(body)
                if not isinstance(record, dict):
                    raise Refusal(400, "not a JSON object")
                if query:
                    raise Refusal(400, "id and label belong into the JSON object")
                return read_fields(record, files=False)
            if kind.startswith("image/") or kind == "application/octet-stream":
                if not body:
                    raise Refusal(400, "the body is empty")
                # Without base64, fields are an id and a label: both are checked, neither is needed.
                fields = read_fields({"id": "-", "label": "-", **query}, files=False)
                return Arrival(
                    id=fields.id if "id" in query else hashlib.sha256(body).hexdigest(),
                    source=body,
                    label=fields.label if "label" in query else None,
                )
        except (ValueError, RecursionError):
            raise Refusal(400, "not valid JSON") from None
        except DataError as error:
            raise Refusal(400, str(error)) from None
        raise Refusal(415, f"send {JSON} or image/*, not {kind[:100]}")

    def _body(self) -> bytes:
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

    def _send(self, status: int, value: Mapping[str, Any]) -> None:
        self._send_bytes(status, json_text(value).encode(), JSON)

    def _send_bytes(self, status: int, body: bytes, kind: str) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if status == 429:
                self.send_header("Retry-After", str(RETRY_AFTER))
            if status == 401:
                self.send_header("WWW-Authenticate", "Bearer")
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except OSError:
            self.close_connection = True
