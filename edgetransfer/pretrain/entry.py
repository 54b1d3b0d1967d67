"""The way into this room; everything behind it needs torch."""

from __future__ import annotations

import importlib.util
from typing import Any

from edgetransfer.errors import EdgeTransferError
from edgetransfer.settings.pretrain import Pretraining
from edgetransfer.types import Progress, no_progress


def pretrain(
    settings: Pretraining,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Train a sparse network and write it as ONNX with its card; returns the report.

    A call that was interrupted leaves a folder ``OUT.partial`` that ``resume`` goes on from; on
    one thread the result is bit for bit as without the interruption.

    Raises
    ------
    UsageError
        If the target cannot be reached, or ``out`` is taken.
    DataError
        If the photos cannot be used, or the loss is no longer finite.
    BackboneError
        If the dense backbone cannot be trained.
    EdgeTransferError
        If torch is missing, or the checkpoint is of other settings.
    """
    if importlib.util.find_spec("torch") is None:
        raise EdgeTransferError("training needs torch: pip install 'edgetransfer[finetune]'")
    from edgetransfer.pretrain.job import run_pretraining

    return run_pretraining(settings, resume=resume, overwrite=overwrite, progress=progress)
