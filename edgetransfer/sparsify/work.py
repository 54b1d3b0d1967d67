"""The unfinished part of a sparsification on disk, so that it can go on where it stopped.

OUT.partial/state.json          what it belongs to, and the finished layers' records
OUT.partial/NUMBER.safetensors  the new weights of a finished layer
OUT.partial/sparse.onnx         the result, while it is tried
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from edgetransfer.atomic import remove_file, write_atomically
from edgetransfer.errors import EdgeTransferError
from edgetransfer.reports.sparsify import PrunedLayerRecord
from edgetransfer.runs.owning import NAME as LOCK
from edgetransfer.sparsify.layers import Float64Array
from edgetransfer.sparsify.weights import Parameters
from edgetransfer.untrusted_json import json_value

logger = logging.getLogger(__name__)

STATE = "state.json"


def work_path(out: Path) -> Path:
    """Where the unfinished part of a file that is to be made lies."""
    return out.with_name(f"{out.name}.partial")


class WorkFolder:
    """Finished layers; see the module's text for the files.

    Parameters
    ----------
    out
        The file that is to be made.
    belongs_to
        Whatever decides the result; a folder of other values is not gone on with.
    """

    def __init__(self, out: Path, belongs_to: dict[str, Any]) -> None:
        self.path = work_path(out)
        self._belongs_to = belongs_to
        self.records: list[PrunedLayerRecord] = []
        self.notes: dict[str, Any] = {}

    def begin(self, *, resume: bool) -> None:
        """Make the folder, or go on with it.

        Raises
        ------
        EdgeTransferError
            If there is one of another sparsification to go on with.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if resume:
            self._read()
        else:
            self.remove()

    def _read(self) -> None:
        try:
            state = json_value((self.path / STATE).read_text())
            records, notes = list(state["layers"]), dict(state["notes"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EdgeTransferError(
                f"{self.path}: cannot be gone on with ({error}); start anew without --resume"
            ) from error
        if state.get("belongs_to") != json.loads(json.dumps(self._belongs_to)):
            raise EdgeTransferError(
                f"{self.path}: belongs to other settings, photos or another backbone; start anew "
                "without --resume, or give the same again"
            )
        self.records, self.notes = records, notes

    def note(self, key: str, value: Any) -> None:
        """Keep a plain value, such as what was measured."""
        self.notes[key] = value
        self._write_state()

    def add(self, record: PrunedLayerRecord, parameters: Parameters) -> None:
        """Keep a finished layer."""
        from safetensors.numpy import save

        arrays = {"weights": parameters.weights}
        if parameters.shift is not None:
            arrays["shift"] = parameters.shift
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        write_atomically(self._file(len(self.records)), save(contiguous))
        self.records.append(record)
        self._write_state()

    def parameters(self, number: int) -> Parameters:
        """A finished layer's parameters."""
        from safetensors.numpy import load

        try:
            arrays: dict[str, Float64Array] = load(self._file(number).read_bytes())
            return Parameters(arrays["weights"], arrays.get("shift"))
        except Exception as error:
            raise EdgeTransferError(
                f"{self._file(number)}: cannot be read ({error}); start anew without --resume"
            ) from error

    def remove(self) -> None:
        """Take its files away; its owner's goes with the owner, and then the folder."""
        for path in self.path.iterdir():
            if path.name != LOCK and not remove_file(path):
                logger.warning("%s: cannot be deleted, and is of no use any more", path)

    @property
    def trial(self) -> Path:
        """Where the result stands while it is tried."""
        return self.path / "sparse.onnx"

    def _file(self, number: int) -> Path:
        return self.path / f"{number:04d}.safetensors"

    def _write_state(self) -> None:
        state = {"belongs_to": self._belongs_to, "layers": self.records, "notes": self.notes}
        write_atomically(self.path / STATE, json.dumps(state, indent=1).encode())
