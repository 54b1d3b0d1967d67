"""Where a training stands, on disk: one safetensors file in the folder of unfinished work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import EdgeTransferError
from edgetransfer.pretrain.network import Tensors
from edgetransfer.pretrain.places import CHECKPOINT
from edgetransfer.reports.shared import SkippedRecord
from edgetransfer.settings.config import differs
from edgetransfer.settings.pretrain import Pretraining
from edgetransfer.untrusted_json import json_value


@dataclass(kw_only=True)
class Progression:
    """Where a training stands, beside its tensors.

    Parameters
    ----------
    settings
        All that decides the result.
    inputs
        Fingerprint of the photos and of what was begun with.
    leg
        0 for the training itself, 1 for its dense twin.
    step
        How many steps of the leg are done.
    loss_sum, seen
        Of this epoch so far.
    excluded
        Photos that were known to be unusable when this epoch began.
    skipped
        All that were found so far, with their reasons.
    history
        A record for each finished epoch of each leg.
    seconds
        Spent so far.
    """

    settings: dict[str, Any]
    inputs: str
    leg: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seen: int = 0
    excluded: list[str] = field(default_factory=list)
    skipped: list[SkippedRecord] = field(default_factory=list)
    history: list[list[dict[str, Any]]] = field(default_factory=lambda: [[], []])
    seconds: float = 0.0


def save_checkpoint(folder: Path, progression: Progression, tensors: Mapping[str, Tensor]) -> None:
    """Write one, whole or not at all."""
    from safetensors.torch import save

    content = save(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        metadata={"progression": json.dumps(asdict(progression))},
    )
    write_atomically(folder / CHECKPOINT, content)


def load_checkpoint(
    folder: Path, settings: Pretraining, inputs: str
) -> tuple[Progression, Tensors] | None:
    """Read one; None if there is none.

    Raises
    ------
    EdgeTransferError
        If it is broken, of another policy or of other settings, photos or weights.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        with safe_open(str(path), framework="pt") as file:
            found = Progression(**json_value((file.metadata() or {})["progression"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise EdgeTransferError(
            f"{path}: the checkpoint cannot be read ({error}); start anew without --resume"
        ) from error
    difference = differs(Pretraining, settings.to_config(), found.settings)
    if difference is None and found.inputs != inputs:
        difference = "the photos, their classes or the dense backbone have changed"
    if difference is not None:
        raise EdgeTransferError(
            f"{path}: it is of another training: {difference}; give the same again, or start anew "
            "without --resume"
        )
    return found, tensors
