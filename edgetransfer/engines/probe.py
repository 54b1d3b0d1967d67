"""A first compile of a backbone in an engine that may abort, in a process of its own.

Some graphs abort DeepSparse natively; a child process takes that fall. What worked once for a
backbone on this machine is remembered in the cache folder and not tried again.

    python -m edgetransfer.engines.probe FROZEN.onnx THREADS ENGINE
"""

from __future__ import annotations

import hashlib
import json
import platform
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnx

from edgetransfer.atomic import write_atomically
from edgetransfer.engines.registry import engine_kind
from edgetransfer.errors import EngineError

TIMEOUT = 300.0  # seconds: a ResNet50 compiles in four


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
            return ProbeResult(works=True, detail=json.loads(remembered.read_text())["detail"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # unreadable: probe again and overwrite it
    with tempfile.TemporaryDirectory(prefix="edgetransfer-") as folder:
        path = Path(folder) / "probe.onnx"
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
    digest.update(f"{engine} {release} {threads} {machine}".encode())
    return cache / "probes" / f"{digest.hexdigest()[:32]}.json"


def _remember(path: Path, result: ProbeResult) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"detail": result.detail}).encode())
    except OSError:
        return  # a cache that cannot be written costs time, nothing else


def _run_child(path: Path, engine: str, threads: int | None) -> ProbeResult:
    command = [sys.executable, "-m", "edgetransfer.engines.probe", str(path), str(threads or 0)]
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
        return ProbeResult(works=False, detail=f"it aborted while compiling ({name})")
    try:
        answer = json.loads(child.stdout.strip().splitlines()[-1])
        return ProbeResult(works=bool(answer["works"]), detail=str(answer["detail"]))
    except (ValueError, KeyError, IndexError, TypeError):
        lines = child.stderr.strip().splitlines() or [f"exit code {child.returncode}"]
        return ProbeResult(works=False, detail=lines[-1][:300])


def main(arguments: list[str]) -> None:
    """The child's side: compile, run once, answer in JSON on the last line of stdout."""
    import numpy as np

    path, threads, name = arguments
    try:
        engine = engine_kind(name).open(
            onnx.load(path), threads=int(threads) or None, reason="probe"
        )
        images = np.random.default_rng(0).standard_normal(engine.input_shape, np.float32)
        finite = bool(np.isfinite(engine.run(images)).all())
        share = getattr(engine, "supported_fraction", 1.0)
        compiled = "all operators are compiled"
        if share < 1:
            compiled = f"{share:.0%} of operators are compiled, the others run slowly"
        detail = compiled if finite else "its features are not finite"
        print(json.dumps({"works": finite, "detail": detail}))
    except EngineError as error:
        print(json.dumps({"works": False, "detail": str(error)}))


if __name__ == "__main__":
    main(sys.argv[1:])
