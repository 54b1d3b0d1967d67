"""Servers of the command line in processes of their own, and a browser to look at them."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class Served:
    """``edgetransfer serve`` or ``teach``, on a port of its own."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "edgetransfer", *arguments, "--port", "0", "--json"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate()[1])
        self.address: str = json.loads(line)["address"]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def ask(self, path: str, body: bytes | None = None, kind: str = "image/png") -> Any:
        request = urllib.request.Request(f"{self.address}{path}", body, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def post(self, path: str, value: Any) -> Any:
        return self.ask(path, json.dumps(value).encode(), "application/json")

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> dict[str, Any]:
        """Ask it to end; returns its report."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        report: dict[str, Any] = json.loads(out.splitlines()[-1])
        return report


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium whose camera shows a test picture; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is here")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
            ],
        )
        yield opened
        opened.close()


def drop(page: Any, selector: str, files: Sequence[Path]) -> None:
    """Drop files on an element, as a hand would."""
    given = [(path.name, base64.b64encode(path.read_bytes()).decode()) for path in files]
    transfer = page.evaluate_handle(
        """(files) => {
          const transfer = new DataTransfer();
          for (const [name, text] of files) {
            const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
          }
          return transfer;
        }""",
        given,
    )
    page.dispatch_event(selector, "drop", {"dataTransfer": transfer})
