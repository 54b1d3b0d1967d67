"""What a command left on disk, without what differs between two runs of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.numpy import save

from edgetransfer.atomic import is_leftover
from edgetransfer.errors import RunFolderError
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import CHECKPOINT
from edgetransfer.stream.keeping.mark import NAME as MARK

TIMED = (".json", ".jsonl", ".html", ".svg", ".png", ".pdf", ".tex", ".md")


PASSING = ("lock",)  # a killed owner's file stands for nothing


def outcome(work: Path, makes: Iterable[str]) -> dict[str, str]:
    """What a command has made: a digest of each file, by its name."""
    found = {}
    for name in makes:
        top = work / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            relative = str(path.relative_to(work))
            if path.is_file() and path.name not in PASSING and not _of_its_own(relative):
                timed = path.suffix in TIMED and "sorted" not in relative
                found[relative] = "" if timed else hashlib.sha256(_untimed(path)).hexdigest()
    return found


def _untimed(path: Path) -> bytes:
    """What a file holds; of a training's checkpoint without the seconds that things took."""
    if path.name != CHECKPOINT:
        return path.read_bytes()
    with safe_open(str(path), framework="numpy") as file:
        state = json.loads(file.metadata()["state"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return save(arrays, metadata={"state": json.dumps(_without_seconds(state))})


def _without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        timed = ("seconds", "stages", "images_per_second")
        return {k: _without_seconds(v) for k, v in value.items() if k not in timed}
    return [_without_seconds(v) for v in value] if isinstance(value, list) else value


def _of_its_own(name: str) -> bool:
    """Files of a stream that have times in them or may be too low, and what is set aside."""
    parts = name.split("/")
    timed = ("checkpoints", "journal", "in-hand.bin", "set-aside", MARK)
    return parts[0] == "stream" and parts[1] in timed


def leftovers(work: Path) -> list[str]:
    """What no command that ends by itself may leave, its temporary files included."""
    return [
        str(path.relative_to(work))
        for path in work.rglob("*")
        if is_leftover(path.name)
        or path.name.startswith((".edgetransfer-", ".staged", ".dropped"))
        # A change that counts stands there until somebody opens the run; one that does not, goes.
        or (path.name == ".pending" and not (path.parent / "pending.json").exists())
        or (path.parent == work / "tmp" and path.name.startswith("edgetransfer-"))
    ]


def readable_state(work: Path, run: str) -> dict[str, str]:
    """The files that a run is read by: digests of head, labels and backbone; empty if none is."""
    try:
        there = RunFolder.open(work / run).path
    except RunFolderError:
        return {}
    names = ("head.safetensors", "labels.txt", "backbone.onnx", "backbone.toml")
    return {
        name: hashlib.sha256((there / name).read_bytes()).hexdigest()
        for name in names
        if (there / name).exists()
    }
