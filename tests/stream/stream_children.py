"""Streams in child processes, for tests that kill or starve them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SERVER = Path(__file__).with_name("stream_fork_server.py")


class Children:
    """Starts one stream after the other in the fork server."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "children.log"
        self._log = self._path.open("wb")
        self._before = 0
        self._server = subprocess.Popen(
            [sys.executable, str(SERVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            text=True,
        )

    def start(self, order: dict[str, object]) -> int:
        self._before = self._path.stat().st_size
        return self._ask(json.dumps(order))

    def status(self) -> int:
        return self._ask("")

    def said(self, most: int = 4000) -> str:
        """What the last one wrote to the terminal, of which the end counts."""
        return self._path.read_bytes()[self._before :].decode(errors="replace")[-most:].strip()

    def _ask(self, line: str) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(line + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def close(self) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(120)
        self._server.stdout.close()
        self._log.close()
