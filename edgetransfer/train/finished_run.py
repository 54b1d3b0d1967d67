"""A run that is finished: its photos looked at again, its page made anew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from edgetransfer.atomic import remove_leftovers
from edgetransfer.errors import RunFolderError, UsageError
from edgetransfer.reports.shared import SkippedRecord
from edgetransfer.reports.train import AnyTrainingRecord
from edgetransfer.reprs import short_repr
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import PAGE, SKIPPED
from edgetransfer.settings.config import load
from edgetransfer.settings.finetune import FinetuneSettings
from edgetransfer.settings.train import LinearTraining
from edgetransfer.train.gathering import Gathered, gathered
from edgetransfer.train.kept_report import kept_report
from edgetransfer.train.opened_run import OpenedRun, open_run
from edgetransfer.train.run_page import page_may_fail, write_page
from edgetransfer.types import Progress, no_progress
from edgetransfer.untrusted_json import json_value

FINETUNED = (
    "the features were learned from the training photos themselves, so that what was left out of "
    "the head alone is judged too well: test photos say more"
)


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run whose data can be looked at again.

    Parameters
    ----------
    folder
        The run's.
    opened
        Its backbone and head.
    settings
        Of its training, as it was begun.
    report
        As in report.json.
    """

    folder: RunFolder
    opened: OpenedRun
    settings: LinearTraining
    report: AnyTrainingRecord

    __repr__ = short_repr

    def scored(
        self, *, threads: int | None, train: bool = True, progress: Progress = no_progress
    ) -> Gathered:
        """Its photos with what heads say of them; see `edgetransfer.train.gathering`."""
        assert self.opened.settings is not None
        settings = replace(self.opened.settings, threads=threads)
        return gathered(
            settings, self.opened.backbone, head=self.opened.head, train=train, progress=progress
        )


def finished_run(path: Path, backbone: str | None = None) -> FinishedRun:
    """Open a run that `train` or `finetune` has finished.

    Raises
    ------
    EdgeTransferError
        If it is none, or its backbone is not there.
    """
    folder = RunFolder.open(path)
    if folder.is_stream:
        raise UsageError(
            f"{path}: a stream's run keeps no photos to show; `edgetransfer audit PHOTOS` looks "
            "through a folder, and the stream itself writes its page as it ends"
        )
    report = kept_report(folder)
    if report is None:
        raise RunFolderError(f"{path}: not finished; `edgetransfer train --resume` goes on with it")
    opened = open_run(path, backbone=backbone)
    assert opened.settings is not None  # it is a folder
    config = folder.read_config()
    settings = replace(
        opened.settings, backbone=config["backbone"], features=config.get("features")
    )
    return FinishedRun(folder=folder, opened=opened, settings=settings, report=report)


def page_anew(
    path: Path,
    *,
    backbone: str | None = None,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Write report.html of a finished run that this process owns; returns where it is.

    Parameters
    ----------
    backbone
        Where the run's backbone is now, if it was moved.

    Raises
    ------
    EdgeTransferError
        If the run is not finished, or its photos or its backbone are not there.
    """
    remove_leftovers(path)
    run = finished_run(path, backbone)
    found = run.scored(threads=threads, progress=progress)
    report = run.report
    config = run.folder.read_config()
    tuned = "finetune" in config
    learned = tuned and report.get("kept", "finetuned") == "finetuned"
    if learned and found.parts[-1].split == "train":
        report["warnings"] = [*report["warnings"], FINETUNED]
    return write_page(
        run.folder,
        replace(run.settings, threads=threads),
        found.splits.classes,
        found.parts,
        report,
        skipped=_skipped(run.folder) or found.skipped,
        own=load(FinetuneSettings, config["finetune"], path) if tuned else None,
        progress=progress,
    )


def page_if_missing(path: Path, threads: int | None, progress: Progress) -> None:
    """Write the page of a finished run that was killed just before, if it can be made."""
    if not RunFolder(path).file(PAGE).exists():
        with page_may_fail():
            page_anew(path, threads=threads, progress=progress)


def _skipped(folder: RunFolder) -> list[SkippedRecord]:
    """What the run itself could not use."""
    try:
        lines = folder.file(SKIPPED).read_text(encoding="utf-8").splitlines()
        return [json_value(line) for line in lines]
    except (OSError, ValueError):
        return []
