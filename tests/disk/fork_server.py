"""Runs commands in forked children, on a disk that may fail; see `commands`.

Reads one JSON object a line: ``argv``, ``folder`` (below which calls are counted), ``at``,
``mode``, ``error`` (see `faulty_disk.c`), ``log`` (a file for what is written to the terminal) and
``environment``. Answers with JSON: ``status``, or ``stopped``, the child's process id; ``calls``.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

LOADED = (
    *("numpy", "onnx", "onnxruntime", "PIL.Image", "safetensors.numpy", "scipy.linalg"),
    *("sklearn.linear_model", "threadpoolctl", "tomli_w", "torch", "watchdog.observers"),
    *("edgetransfer.api", "edgetransfer.backbones", "edgetransfer.engines", "edgetransfer.heads"),
    *("edgetransfer.finetune", "edgetransfer.jobs.audit", "edgetransfer.jobs.exporting"),
    *("edgetransfer.jobs.report", "edgetransfer.sparsify", "edgetransfer.stream"),
    *("edgetransfer.train", "edgetransfer.train.training"),
)


def child(order: dict[str, Any], pipe: int) -> None:
    """Carry a command out, in a process of its own; its calls and its exit code go to the pipe."""
    handle = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.environ.update(order["environment"])
    tempfile.tempdir = None
    disk = ctypes.CDLL(None)
    code = 70
    try:
        from edgetransfer.cli.main import main

        disk.faulty_disk(
            order["folder"].encode(),
            ctypes.c_long(order["at"]),
            order["mode"],
            order["error"],
        )
        code = main(order["argv"])
    except BaseException:
        traceback.print_exc()
    calls = disk.faulty_calls()
    disk.faulty_disk(b"", ctypes.c_long(0), 0, 0)
    with contextlib.suppress(ValueError, OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os.write(pipe, json.dumps({"calls": calls}).encode())
    os._exit(code)


def outcome(pid: int, reading: int) -> dict[str, Any]:
    """How a child ended, or that it was stopped."""
    status = os.waitpid(pid, os.WUNTRACED)[1]
    if os.WIFSTOPPED(status):
        return {"stopped": pid, "calls": 0}
    told = os.read(reading, 4096)
    os.close(reading)
    return {"status": os.waitstatus_to_exitcode(status), **json.loads(told or b'{"calls": 0}')}


def main() -> None:
    from edgetransfer.cli.main import application

    for name in LOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    application()
    stopped: dict[int, int] = {}
    while line := sys.stdin.readline():
        order = json.loads(line)
        if "go_on" in order:
            pid = order["go_on"]
            reading = stopped.pop(pid)
            os.kill(pid, signal.SIGCONT)
        else:
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(reading)
                child(order, writing)
            os.close(writing)
        answer = outcome(pid, reading)
        if "stopped" in answer:
            stopped[pid] = reading
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
