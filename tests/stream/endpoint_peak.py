"""The largest memory of a process that serves a stream while clients send it bodies.

    python -m tests.stream.endpoint_peak FOLDER KIND CLIENTS BYTES

prints one JSON object: ``before`` and ``peak`` in bytes of resident memory, ``statuses`` by count.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.graphs.hostile.__main__ import peak
from tests.stream.http_endpoint import Endpoint


def _filled(part: bytes, size: int) -> bytes:
    return b'{"label":"a","base64":[' + part * ((size - 40) // len(part)) + b"0]}"


BODIES: dict[str, Callable[[int], bytes]] = {
    "base64": lambda size: b'{"label":"a","base64":"' + b"A" * (size - 40) + b'"}',
    "another alphabet": lambda size: (
        b'{"label":"\xf0\x9f\xa6\x8a","base64":"' + b"A" * (size - 40) + b'"}'
    ),
    "escapes": lambda size: b'{"label":"a","base64":"' + b"\\ud83e" * ((size - 40) // 6) + b'"}',
    "lists": lambda size: _filled(b"[],", size),
    "objects": lambda size: _filled(b"{},", size),
    "numbers": lambda size: _filled(b"1.5,", size),
    "fields": lambda size: b"{" + b",".join(b'"%x":0' % i for i in range(size // 12)) + b"}",
    "image": lambda size: b"\xff\xd8" + bytes(size - 2),
}


def main() -> None:
    folder, kind, clients, size = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])
    endpoint = Endpoint(folder / "run", max_body=size)
    body = BODIES[kind](size)
    mime = "image/jpeg" if kind == "image" else "application/json"
    statuses: Counter[str] = Counter()

    def send() -> None:
        try:
            status, _, _ = endpoint.ask("POST", "/samples", body, {"Content-Type": mime})
            statuses[str(status)] += 1
        except OSError as error:
            statuses[type(error).__name__] += 1

    before = peak(reset=True)
    threads = [threading.Thread(target=send) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"before": before, "peak": peak(), "statuses": statuses}))
    endpoint.close()


if __name__ == "__main__":
    main()
