"""Whole states of a stream on disk, each under the position that it was taken at.

A checkpoint is one sealed safetensors file, ``<position>-<revision>.safetensors``, whose metadata
hold the JSON part of the state. It is written under a temporary name, synced and renamed, so it
is whole or not there; its seal shows every later damage.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.atomic import remove_leftovers, sync_folder, write_atomically
from edgetransfer.errors import RunFolderError
from edgetransfer.sealing import BrokenSealError, has_seal, sealed_parts
from edgetransfer.stream.learning.learner_state import LearnerState
from edgetransfer.untrusted_json import json_value

SUFFIX = ".safetensors"
UNSEALED, FORMAT = "edgetransfer-stream-1", "edgetransfer-stream-2"
_NAME = re.compile(r"\d{20}-\d{4,}\.safetensors")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint that was read.

    Parameters
    ----------
    state
        Of the learner.
    run
        What the run around it needs to go on: ``group``; ``ids`` and ``ids_checksum`` of the id
        file; ``time``; ``learning``, its settings; ``config``, a checksum of the run's config;
        ``identity``; ``revision``; ``head``, what is saved with the head; ``forgotten``, keys of
        the classes that were forgotten.
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

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.position:020d}-{self.run['revision']:04d}{SUFFIX}"

    def encoded(self) -> tuple[bytes | memoryview, ...]:
        """Its file's content, in parts."""
        metadata = {
            "format": FORMAT,
            "values": json.dumps(self.state.values),
            "run": json.dumps(self.run),
        }
        arrays = {k: np.ascontiguousarray(v) for k, v in self.state.arrays.items()}
        return sealed_parts(arrays, metadata)


class CheckpointFolder:
    """The checkpoints of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[Path]:
        """The files, oldest first; broken ones too."""
        return sorted(p for p in self.path.glob(f"*{SUFFIX}") if _NAME.fullmatch(p.name))

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint; an `OSError` leaves everything as it was."""
        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / checkpoint.name
        write_atomically(path, *checkpoint.encoded())
        sync_folder(self.path)
        return path

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
        remove_leftovers(self.path)

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
        sealed = has_seal(path)
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if sealed and metadata["format"] != FORMAT:
            raise RunFolderError(f"{path}: not a checkpoint of this version of edgetransfer")
        if not sealed and (
            metadata["format"] != UNSEALED or int(metadata["crc"]) != _checksum(arrays)
        ):
            return None
        state = LearnerState(arrays=arrays, values=json_value(metadata["values"]))
        checkpoint = Checkpoint(state=state, run=json_value(metadata["run"]))
        return checkpoint if _fits(checkpoint) else None
    except (BrokenSealError, SafetensorError, OSError, KeyError, ValueError, TypeError):
        return None
    except (AttributeError, RecursionError):  # JSON of another form
        return None


def _fits(checkpoint: Checkpoint) -> bool:
    """Whether what is needed to go on is there, and what it should be."""
    run = checkpoint.run
    numbers = (checkpoint.position, checkpoint.accepted, run["ids"], run["group"], run["revision"])
    checksum, learning = run.get("ids_checksum", 0), run.get("learning", {})
    return (
        all(type(number) is int and 0 <= number < 2**62 for number in numbers)
        and type(checksum) is int
        and type(run["time"]) in (int, float)
        and -(2.0**36) < run["time"] < 2.0**36
        and isinstance(learning, dict)
        and isinstance(run["identity"], str)
        and isinstance(run.get("forgotten", []), list)
        and all(isinstance(value, str) for value in run["head"].values())
    )


def _checksum(arrays: dict[str, NDArray[Any]]) -> int:
    """That of the arrays alone, as checkpoints had before they were sealed."""
    crc = 0
    for name in sorted(arrays):
        crc = zlib.crc32(arrays[name].data if arrays[name].size else b"", crc)
    return crc
