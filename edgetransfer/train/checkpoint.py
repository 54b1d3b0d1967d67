"""Where an SGD training stands, on disk."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgetransfer.errors import RunFolderError
from edgetransfer.reports.shared import SkippedRecord
from edgetransfer.reports.train import EpochRecord
from edgetransfer.untrusted_json import json_value

Arrays = dict[str, NDArray[Any]]
"""A solver's arrays by name."""


@dataclass(kw_only=True)
class TrainingState:
    """Everything beside the weights that a resumption needs to go on bit for bit.

    Parameters
    ----------
    data
        Fingerprint of the data set.
    epoch, batch
        The epoch that is running, from 0, and how many of its batches are learned.
    loss_sum, seen
        Sum of the losses over the images of this epoch so far, and their number.
    seconds
        Spent in this epoch so far.
    excluded
        Ids of the samples that were known to be unusable when this epoch began.
    skipped
        All unusable samples found so far.
    stages
        Seconds by stage so far.
    history
        A record for each finished epoch.
    notes
        What was found before the first step, for the report.
    """

    data: str
    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    seen: int = 0
    seconds: float = 0.0
    excluded: list[str] = field(default_factory=list)
    skipped: list[SkippedRecord] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    history: list[EpochRecord] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def serialised(self, arrays: Arrays) -> bytes:
        """One file's content: this state and the solver's arrays."""
        from safetensors.numpy import save

        return save(arrays, metadata={"state": json.dumps(asdict(self))})


def load_checkpoint(path: Path, data: str) -> tuple[TrainingState, Arrays] | None:
    """Read a checkpoint; None if there is none.

    Raises
    ------
    RunFolderError
        If it is broken, or the data set is not the one that it was made with.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(str(path), framework="numpy") as file:
            state = TrainingState(**json_value((file.metadata() or {})["state"]))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise RunFolderError(
            f"{path}: the checkpoint cannot be read ({error}); start anew with --overwrite"
        ) from error
    if state.data != data:
        raise RunFolderError(
            f"{path}: the images, the classes, the backbone or its card have changed since this "
            "run began; start anew with --overwrite, or choose another --out"
        )
    return state, arrays
