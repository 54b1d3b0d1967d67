"""The report of a run that is there: read, and looked at before it is believed."""

from __future__ import annotations

from typing import cast

from edgetransfer.errors import RunFolderError
from edgetransfer.reports.train import AnyTrainingRecord, FinetuningRecord, TrainingRecord
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import REPORT
from edgetransfer.typed import misfit

# Runs of before lack these.
LATER = frozenset(["metric", "data", "recipe", "finetuned", "kept", "training_engine"])


def kept_report(run: RunFolder) -> AnyTrainingRecord | None:
    """What `train` or `finetune` said at its end; None of a run that is not finished.

    Raises
    ------
    RunFolderError
        If it cannot be read, or is not what a training reports.
    """
    report = run.read_report()
    if report is None:
        return None
    finetuned = isinstance(report, dict) and "trained" in report
    text = misfit(report, FinetuningRecord if finetuned else TrainingRecord, may_lack=LATER)
    if text is None and not report["epochs"]:
        text = "epochs is empty"
    if text is not None:
        raise RunFolderError(
            f"{run.file(REPORT)}: damaged, or of another version ({text}); restore it from a copy, "
            "or train anew with --overwrite"
        )
    return cast(AnyTrainingRecord, report)
