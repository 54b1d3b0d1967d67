"""How every training enters its run folder."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetransfer.data import DataSplits
from edgetransfer.errors import HeadError, RunFolderError, UsageError
from edgetransfer.heads import LinearHead
from edgetransfer.reports.train import AnyTrainingRecord
from edgetransfer.runs import RunFolder
from edgetransfer.runs.owning import owned
from edgetransfer.runs.run_folder import CHECKPOINT, HEAD
from edgetransfer.train.inputs import changed_inputs
from edgetransfer.train.kept_report import kept_report

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EnteredRun:
    """A run folder that was entered and is owned.

    Parameters
    ----------
    finished
        Its report if nothing is left to do.
    doubts
        Warnings that belong into the report.
    """

    run: RunFolder
    finished: AnyTrainingRecord | None = None
    doubts: tuple[str, ...] = ()


@contextlib.contextmanager
def entered_run(
    path: Path,
    splits: DataSplits,
    *,
    resume: bool,
    overwrite: bool,
    difference: Callable[[dict[str, Any]], str | None],
    command: str = "train",
) -> Iterator[EnteredRun]:
    """Make a run folder, or enter one to go on with it; it is owned meanwhile.

    Parameters
    ----------
    splits
        The data; that other photos were there when the run began is said.
    difference
        Given the saved settings: the first that differs and would change the result, or None.
    command
        ``train`` or ``finetune``: what makes and resumes such a run.

    Raises
    ------
    RunFolderError
        If the folder is taken, is not a run folder, or has another owner.
    UsageError
        If the run cannot be resumed with these settings.
    """
    RunFolder.check(path)
    with owned(path, command):
        yield _entered(path, splits, resume, overwrite, difference, command)


def _entered(
    path: Path,
    splits: DataSplits,
    resume: bool,
    overwrite: bool,
    difference: Callable[[dict[str, Any]], str | None],
    command: str,
) -> EnteredRun:
    run = RunFolder.begin(path, resume=resume, overwrite=overwrite)
    if run.is_stream:
        raise RunFolderError(f"{path}: a stream's run; `edgetransfer stream` goes on with it")
    if not resume:
        return EnteredRun(run=run)
    if not run.has_results:
        logger.info("%s: nothing to resume; starting anew", path)
        return EnteredRun(run=run)
    config = run.read_config()
    begun_by = "finetune" if "finetune" in config else "train"
    if begun_by != command:
        raise RunFolderError(f"{path}: `edgetransfer {begun_by} --resume` goes on with this run")
    different = difference(config)
    if different is not None:
        raise UsageError(f"{path}: cannot resume with other settings: {different}")
    # As this version reports: a run of an earlier one lacks what came later.
    finished = kept_report(run)
    changed = changed_inputs(run, splits)
    if finished is None:
        doubts = () if changed is None else (f"{path}: {changed}: it goes on with them",)
        for text in doubts:
            logger.warning("%s", text)
        return EnteredRun(run=run, doubts=doubts)
    if command == "train":  # of one that was killed as it ended; a finetuning may be asked for it
        run.file(CHECKPOINT).unlink(missing_ok=True)
    if changed is None:
        logger.info("%s: this run is finished already", path)
        return EnteredRun(run=run, finished=finished)
    text = f"{path}: this run is finished already, but {changed}; --overwrite trains on them"
    logger.warning("%s", text)
    finished["warnings"] = [*finished.get("warnings", ()), text]
    return EnteredRun(run=run, finished=finished)


@contextlib.contextmanager
def replacing(run: RunFolder, *, overwrite: bool) -> Iterator[None]:
    """While a training runs: the old run is kept aside, and comes back if this one fails early."""
    try:
        if overwrite:
            run.put_aside()
        yield
    except BaseException:
        run.give_back()
        raise
    run.drop_aside()


def check_finished(run: RunFolder, identity: str) -> None:
    """A finished run must have a head that can be used.

    Parameters
    ----------
    identity
        Of the backbone that it must belong to.
    """
    try:
        LinearHead.load(run.file(HEAD), backbone=identity)
    except HeadError as error:
        raise RunFolderError(f"{error}; --overwrite starts anew") from error
