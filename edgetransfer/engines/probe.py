"""A first compile of a backbone in an engine that may abort, in a process of its own.

Some graphs abort DeepSparse natively; a child process (`edgetransfer.engines.trial`) takes that
fall, and compares what it computes with a reference. What worked once for a backbone on this
machine is remembered in the cache folder and not tried again.
"""

from __future__ import annotations

import hashlib
import json
import platform
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import onnx

from edgetransfer.atomic import temporary_folder, write_atomically
from edgetransfer.engines.registry import engine_kind
from edgetransfer.untrusted_json import json_value

TIMEOUT = 300.0  # seconds: a ResNet50 compiles in four
RULES = 2  # raised when a trial asks for more than before: what passed then is tried anew


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """What a probe found: whether the graph runs, and a sentence about it."""

    works: bool
    detail: str


def probe(
    model: onnx.ModelProto, *, engine: str, threads: int | None, cache: Path | None
) -> ProbeResult:
    """Compile and run a frozen backbone once in a child process.

    Parameters
    ----------
    engine
        The name of its kind in the registry.
    cache
        A folder to remember successes in; nothing is remembered if None.
    """
    serialised = model.SerializeToString(deterministic=True)
    remembered = None if cache is None else _memory_of(cache, serialised, engine, threads)
    if remembered is not None and remembered.exists():
        try:
            return ProbeResult(works=True, detail=json_value(remembered.read_text())["detail"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # unreadable: probe again and overwrite it
    with temporary_folder() as folder:
        path = folder / "probe.onnx"
        path.write_bytes(serialised)
        result = _run_child(path, engine, threads)
    if result.works and remembered is not None:
        _remember(remembered, result)
    return result


def _memory_of(cache: Path, serialised: bytes, engine: str, threads: int | None) -> Path:
    """The file that remembers a success of this graph in this engine, here."""
    digest = hashlib.sha256(serialised)
    release = engine_kind(engine).version
    machine = f"{platform.node()} {platform.processor()}"
    digest.update(f"{RULES} {engine} {release} {threads} {machine}".encode())
    return cache / "probes" / f"{digest.hexdigest()[:32]}.json"


def _remember(path: Path, result: ProbeResult) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"detail": result.detail}).encode())
    except OSError:
        return  # a cache that cannot be written costs time, nothing else


def _run_child(path: Path, engine: str, threads: int | None) -> ProbeResult:
    command = [sys.executable, "-m", "edgetransfer.engines.trial", str(path), str(threads or 0)]
    command.append(engine)
    try:
        child = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ProbeResult(works=False, detail=f"it did not finish compiling in {TIMEOUT:.0f} s")
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        said = _last_words(child.stderr)
        detail = f"it aborted while compiling ({name})" + (f": {said}" if said else "")
        return ProbeResult(works=False, detail=detail)
    try:
        answer = json_value(child.stdout.strip().splitlines()[-1])
        return ProbeResult(works=bool(answer["works"]), detail=str(answer["detail"]))
    except (ValueError, KeyError, IndexError, TypeError):
        said = _last_words(child.stderr) or f"exit code {child.returncode}"
        return ProbeResult(works=False, detail=said)


def _last_words(stderr: str) -> str:
    """The last line that says why a process ended: no warning, and no line of a stack."""
    lines = [line.rstrip() for line in stderr.splitlines() if line.strip()]
    telling = [line for line in lines if not line[0].isspace() and "Warning:" not in line]
    return telling[-1][:300] if telling else ""
