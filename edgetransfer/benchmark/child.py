"""The benchmark's side of a turn: starting the process, listening to it, and its failures."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import IO, Any

from edgetransfer.benchmark.turn import TurnRequest
from edgetransfer.errors import DataError, EdgeTransferError
from edgetransfer.types import Progress
from edgetransfer.untrusted_json import json_value


class TurnFailedError(EdgeTransferError):
    """A backbone that an engine cannot take; the benchmark goes on without it."""


COMMAND = (sys.executable, "-m", "edgetransfer.benchmark.turn")


def measure_turn(
    request: TurnRequest, progress: Progress, *, command: Sequence[str] | None = None
) -> dict[str, Any]:
    """Take a turn in a process of its own; returns its record.

    Parameters
    ----------
    command
        What takes the request on stdin and answers; `edgetransfer.benchmark.turn` if None.

    Raises
    ------
    TurnFailedError
        If the backbone cannot be measured in this engine.
    EdgeTransferError
        If none could be: of the data, or a disk that is full.
    """
    with tempfile.TemporaryFile(mode="w+", errors="replace") as diagnostics:
        child = subprocess.Popen(
            command or COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=diagnostics,
            text=True,
            errors="replace",
        )
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError), child.stdin as stdin:
                stdin.write(request.to_json())  # where it has ended, its diagnostics say why
            answer = _listen(child, child.stdout, progress)
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
        if answer is None:
            diagnostics.seek(0)
            raise TurnFailedError(_cause(child.returncode, diagnostics.read()))
    if "measured" in answer:
        measured: dict[str, Any] = answer["measured"]
        return measured
    if not answer["fatal"]:
        raise TurnFailedError(answer["error"])
    raise (DataError if answer["exit_code"] == DataError.exit_code else EdgeTransferError)(
        answer["error"]
    )


def _listen(
    child: subprocess.Popen[str], stdout: IO[str], progress: Progress
) -> dict[str, Any] | None:
    """Wait for the answer; None if the process ends without one."""
    for line in stdout:
        try:
            message = json_value(line)
        except ValueError:
            continue  # a native library wrote to stdout
        if not isinstance(message, dict):
            continue
        if "stage" in message:
            progress(message["stage"], message["done"], message["total"])
        else:
            child.wait()
            return message
    child.wait()
    return None


def _cause(code: int, diagnostics: str) -> str:
    """Why a process ended without an answer."""
    lines = [line for line in diagnostics.splitlines() if line.strip()]
    last = f": {lines[-1].strip()[:300]}" if lines else ""
    if code < 0:
        name = signal.Signals(-code).name
        if name == "SIGKILL":
            return "the process was killed, perhaps for want of memory"
        return f"the engine aborted ({name}){last}"
    return f"the process ended with exit code {code}{last}"
