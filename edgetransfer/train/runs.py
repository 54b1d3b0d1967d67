"""How every training enters its run folder, and what every report says."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgetransfer.backbones import Backbone
from edgetransfer.data import DataSplits
from edgetransfer.engines import Engine
from edgetransfer.errors import HeadError, RunFolderError, UsageError
from edgetransfer.heads import LinearHead
from edgetransfer.runs import RunFolder
from edgetransfer.runs.owning import owned
from edgetransfer.runs.run_folder import HEAD
from edgetransfer.train.inputs import changed_inputs
from edgetransfer.train.recipe import recipe_report
from edgetransfer.train.settings import LinearTraining
from edgetransfer.train.skipping import SkippedImages

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
    finished: dict[str, Any] | None = None
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
    finished = run.read_report()
    changed = changed_inputs(run, splits)
    if finished is None:
        doubts = () if changed is None else (f"{path}: {changed}: it goes on with them",)
        for text in doubts:
            logger.warning("%s", text)
        return EnteredRun(run=run, doubts=doubts)
    if changed is None:
        logger.info("%s: this run is finished already", path)
        return EnteredRun(run=run, finished=finished)
    text = f"{path}: this run is finished already, but {changed}; --overwrite trains on them"
    logger.warning("%s", text)
    return EnteredRun(
        run=run, finished={**finished, "warnings": [*finished.get("warnings", ()), text]}
    )


@contextlib.contextmanager
def replacing(run: RunFolder, *, overwrite: bool) -> Iterator[None]:
    """While a training runs: the old run is kept aside, and comes back if this one fails early."""
    if overwrite:
        run.put_aside()
    try:
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


def common_report(
    settings: LinearTraining,
    backbone: Backbone,
    engine: Engine,
    splits: DataSplits,
    skipped: SkippedImages,
    doubts: Sequence[str] = (),
) -> dict[str, Any]:
    """What the report of every training says of its backbone, engine and data."""
    return {
        "backbone": {
            "name": backbone.name,
            "sha256": backbone.sha256,
            "sparsity": backbone.sparsity,
        },
        "engine": asdict(engine.choice),
        "mode": settings.mode,
        "solver": settings.solver,
        "metric": asdict(settings.judged_by),
        "recipe": recipe_report(settings.recipe, settings.departures),
        "n_train": sum(s not in skipped for s in splits.train),
        "n_val": sum(s not in skipped for s in splits.val),
        "n_classes": len(splits.classes),
        "data": {
            "splits": splits.sizes,
            "ignored": dict(splits.ignored),
            "left_out": dict(splits.left_out),
            "learned_too": {name: list(ids) for name, ids in splits.learned_too},
        },
        "skipped": len(skipped),
        "warnings": [*backbone.warnings, *doubts],
    }
