"""From a backbone and a folder of photos to a trained, saved classifier."""

from __future__ import annotations

import logging
from typing import Any, cast

from edgetransfer.backbones import Backbone, warn_of_logits
from edgetransfer.engines import EnginePlan
from edgetransfer.errors import UsageError
from edgetransfer.features.table_folder import is_table_folder
from edgetransfer.reports.train import TrainingRecord
from edgetransfer.runs import RunFolder
from edgetransfer.runs.begun_backbone import as_begun
from edgetransfer.settings.recipe import warning_of
from edgetransfer.settings.train import LinearTraining
from edgetransfer.train.finished_run import page_if_missing
from edgetransfer.train.inputs import write_inputs
from edgetransfer.train.job_context import JobContext
from edgetransfer.train.linear_job import LinearJob
from edgetransfer.train.opening import (
    limited_threads,
    load_splits,
    measured_plan,
    open_backbone,
    opened_extractor,
)
from edgetransfer.train.run_page import page_may_fail
from edgetransfer.train.runs import check_finished, entered_run, replacing
from edgetransfer.train.table_training import train_on_tables
from edgetransfer.types import Progress, no_progress

logger = logging.getLogger(__name__)


def train_linear(
    settings: LinearTraining | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
    **given: Any,
) -> TrainingRecord:
    """Train a linear head on a backbone's features; returns the report.

        train_linear(backbone="tinyresnet-90", data="photos", out="run")

    Parameters
    ----------
    settings
        What to train on what.
    given
        The fields of `LinearTraining` by name, in place of settings.

    The run folder holds everything afterwards; see `edgetransfer.runs.run_folder`. A run that
    was interrupted leaves its checkpoint, and with ``resume`` ends exactly as if it had not been.

    Raises
    ------
    EdgeTransferError
        If the backbone, the data, the engine or the run folder cannot be used.
    """
    if settings is None:
        settings = LinearTraining(**given)
    elif given:
        raise UsageError(f"give settings or {', '.join(given)}, not both")
    if resume:
        settings = as_begun(settings)
    if is_table_folder(settings.data):
        return train_on_tables(settings, resume=resume, overwrite=overwrite, progress=progress)
    departed = warning_of(settings.departures)
    for text in departed:
        logger.warning("%s", text)
    backbone = open_backbone(settings)
    splits = load_splits(settings)
    warn_of_logits(backbone, len(splits.classes))
    with entered_run(
        settings.out, splits, resume=resume, overwrite=overwrite, difference=settings.difference
    ) as entered:
        run = entered.run
        if entered.finished is not None:
            check_finished(run, backbone.identity)
            if settings.report:
                page_if_missing(settings.out, settings.threads, progress)
            return cast(TrainingRecord, entered.finished)  # a finetuning was refused
        plan = _plan(settings, run, backbone, resume=resume)
        with (
            limited_threads(settings.threads),
            opened_extractor(backbone, settings, plan) as extractor,
        ):
            choice = extractor.engine.choice
            logger.info("engine: %s (%s)", choice.name, choice.reason)
            with replacing(run, overwrite=overwrite):
                run.write_config({**settings.to_config(), "plan": plan.to_config()})
                run.write_labels(splits.classes)
                write_inputs(run, splits)
                context = JobContext(
                    training=settings,
                    backbone=backbone,
                    splits=splits,
                    progress=progress,
                    doubts=[*departed, *entered.doubts],
                    clock=extractor.clock,
                )
                job = LinearJob(context, run, extractor)
                report = job.train()
            if settings.report:
                with page_may_fail():
                    job.write_page(report)
            return report


def _plan(
    settings: LinearTraining, run: RunFolder, backbone: Backbone, *, resume: bool
) -> EnginePlan:
    """How to run the backbone: as the run began, so that it ends as it would have, or as tuned."""
    if resume and run.has_results:
        return EnginePlan.from_config(run.read_config().get("plan")) or EnginePlan()
    return measured_plan(backbone, settings)
