"""The way into this room; everything behind it needs torch."""

from __future__ import annotations

import importlib.util

from edgetransfer.errors import EdgeTransferError
from edgetransfer.reports.train import FinetuningRecord
from edgetransfer.runs.begun_backbone import as_begun
from edgetransfer.settings.finetune import FinetuneSettings
from edgetransfer.train import LinearTraining
from edgetransfer.types import Progress, no_progress


def require_torch() -> None:
    """Refuse to go on without torch.

    Raises
    ------
    EdgeTransferError
        With the line that installs it.
    """
    if importlib.util.find_spec("torch") is None:
        raise EdgeTransferError("finetuning needs torch: pip install 'edgetransfer[finetune]'")


def finetune(
    training: LinearTraining,
    own: FinetuneSettings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> FinetuningRecord:
    """Train all non-zero weights of a backbone, and a head, on a data set; returns the report.

    The run folder holds what `train_linear` leaves there, and the finetuned backbone as sparse
    ONNX with its card. A run that was interrupted goes on with ``resume``; on one thread it ends
    bit for bit as if it had not been.

    Parameters
    ----------
    training
        Data, views, epochs, rates, machine; its mode and solver are set here.

    Raises
    ------
    EdgeTransferError
        If torch, the backbone, the data or the run folder cannot be used.
    """
    require_torch()
    from edgetransfer.finetune.job import run_finetuning

    if resume:
        training = as_begun(training)
    return run_finetuning(training, own, resume=resume, overwrite=overwrite, progress=progress)
