"""Whole states of a stream on disk, each under the position that it was taken at.

A checkpoint is one safetensors file, ``<position>-<revision>.safetensors``, whose metadata hold
the JSON part of the state and a CRC-32 of all arrays. It is written under a temporary name,
synced and renamed, so it is whole or not there.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import RunFolderError
from edgetransfer.online.journal import sync_folder
from edgetransfer.online.learner_state import LearnerState

SUFFIX = ".safetensors"
FORMAT = "edgetransfer-stream-1"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint that was read.

    Parameters
    ----------
    state
        Of the learner.
    run
        What the run around it needs to go on: ``group``, ``ids``, ``time``, ``settings``,
        ``identity``, ``revision``.
    """

    state: LearnerState
    run: dict[str, Any]

    @property
    def position(self) -> int:
        """Journal records that it holds."""
        return int(self.state.values["counts"]["position"])

    @property
    def accepted(self) -> int:
        """Samples that it holds."""
        return int(self.state.values["counts"]["accepted"])


class CheckpointFolder:
    """The checkpoints of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[Path]:
        """The files, oldest first; broken ones too."""
        return sorted(p for p in self.path.glob(f"*{SUFFIX}") if not p.name.startswith("."))

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint; an `OSError` leaves everything as it was."""
        from safetensors.numpy import save

        self.path.mkdir(parents=True, exist_ok=True)
        arrays = {k: np.ascontiguousarray(v) for k, v in checkpoint.state.arrays.items()}
        content = save(
            arrays,
            metadata={
                "format": FORMAT,
                "crc": str(_checksum(arrays)),
                "values": json.dumps(checkpoint.state.values),
                "run": json.dumps(checkpoint.run),
            },
        )
        name = f"{checkpoint.position:020d}-{checkpoint.run['revision']:04d}{SUFFIX}"
        write_atomically(self.path / name, content)
        sync_folder(self.path)
        return self.path / name

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; None if there is none."""
        for path in reversed(self.names()):
            checkpoint = read_checkpoint(path)
            if checkpoint is not None:
                return checkpoint
        return None

    def prune(self, keep: int) -> None:
        """Delete all but the newest."""
        for path in self.names()[:-keep]:
            path.unlink()
        for path in self.path.glob(".*.tmp"):  # of a process that was killed
            path.unlink(missing_ok=True)

    def covered(self) -> int:
        """The position from which the journal must stay, should the newest file turn out broken."""
        names = self.names()[-2:]
        return int(names[0].name.partition("-")[0]) if names else 0


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None if it is not there or not whole.

    Raises
    ------
    RunFolderError
        If it is whole, but of another version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get("format") != FORMAT:
            raise RunFolderError(f"{path}: not a checkpoint of this version of edgetransfer")
        if int(metadata["crc"]) != _checksum(arrays):
            return None
        state = LearnerState(arrays=arrays, values=json.loads(metadata["values"]))
        return Checkpoint(state=state, run=json.loads(metadata["run"]))
    except (SafetensorError, OSError, KeyError, ValueError):
        return None


def _checksum(arrays: dict[str, NDArray[Any]]) -> int:
    crc = 0
    for name in sorted(arrays):
        crc = zlib.crc32(arrays[name].data if arrays[name].size else b"", crc)
    return crc
