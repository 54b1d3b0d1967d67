"""A stream over HTTP in a thread of a test's process."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
from pathlib import Path
from typing import Any

from edgetransfer.stream import run_stream
from edgetransfer.stream.snapshot import Snapshot
from tests.stream.stream_pictures import fake_feature_source, label_of, picture, settings_for
from tests.waiting import until

LONGEST = 20_000


class Endpoint:
    """A stream over HTTP in a thread of this process."""

    def __init__(self, out: Path, **others: Any) -> None:
        self.stop = threading.Event()
        self.snapshots: list[Snapshot] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        chosen = settings_for(f"http:{self.port}", out, **{"max_body": LONGEST, **others})
        self.report: dict[str, Any] = {}

        def run() -> None:
            self.report = run_stream(
                chosen,
                feature_source=fake_feature_source(),
                stop=self.stop,
                watch=self.snapshots.append,
            )

        self.thread = threading.Thread(target=run)
        self.thread.start()
        until(self._listens)

    def _listens(self) -> bool:
        try:
            self.ask("GET", "/healthz")
        except OSError:
            return False
        return True

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **(headers or {})}
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        kind = answer.headers.get_content_type()
        value = json.loads(text) if kind == "application/json" and text else text.decode()
        return answer.status, value, dict(answer.headers)

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            parts = []
            try:
                while part := connection.recv(65536):
                    parts.append(part)
            except OSError:
                pass
            return b"".join(parts)

    def close(self) -> None:
        self.stop.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


def sample(i: int, **others: Any) -> dict[str, Any]:
    image = base64.b64encode(picture(i)).decode()
    return {"base64": image, "label": label_of(i), "id": f"n{i}", **others}
