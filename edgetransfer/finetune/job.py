"""From a sparse backbone and a folder of photos to a finetuned, exported classifier."""

from __future__ import annotations

import logging
from typing import Any, cast

import numpy as np
import psutil

from edgetransfer.backbones import Backbone, warn_of_logits
from edgetransfer.errors import EdgeTransferError
from edgetransfer.features import FeatureExtractor
from edgetransfer.finetune.choice import LINEAR
from edgetransfer.finetune.context import Context
from edgetransfer.finetune.finishing import finish
from edgetransfer.finetune.forecast import Forecast
from edgetransfer.finetune.lane_choice import LaneChoice
from edgetransfer.finetune.lane_running import trained_runner
from edgetransfer.finetune.partition import size_of
from edgetransfer.finetune.plan import make_plan, masked
from edgetransfer.finetune.preparation import (
    baseline,
    frozen_engine,
    make_solver,
    normalised,
    statistics_of,
)
from edgetransfer.finetune.recipe import as_begun, departures, resolved
from edgetransfer.finetune.running import torch_threads
from edgetransfer.finetune.solver import FullFinetuner
from edgetransfer.finetune.tuned_start import with_tuned_batchnorm
from edgetransfer.metrics import Accuracy
from edgetransfer.reports.train import AnyTrainingRecord, FinetuningRecord, ValidationRecord
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import BACKBONE, CHECKPOINT, SKIPPED
from edgetransfer.settings.finetune import FinetuneSettings
from edgetransfer.settings.recipe import warning_of
from edgetransfer.train import LinearTraining
from edgetransfer.train.checkpoint import TrainingState, load_checkpoint
from edgetransfer.train.epochs import CachedEpochs, EpochSource, OnlineEpochs
from edgetransfer.train.finished_run import page_anew, page_if_missing
from edgetransfer.train.inputs import write_inputs
from edgetransfer.train.opening import limited_threads, load_splits, open_backbone, train_view
from edgetransfer.train.run_page import page_may_fail
from edgetransfer.train.runs import check_finished, entered_run, replacing
from edgetransfer.train.scoring import validation
from edgetransfer.train.sgd_training import SGDTraining
from edgetransfer.types import Progress

logger = logging.getLogger(__name__)


def run_finetuning(
    training: LinearTraining,
    own: FinetuneSettings,
    *,
    resume: bool,
    overwrite: bool,
    progress: Progress,
) -> FinetuningRecord:
    """See `edgetransfer.finetune.finetune`."""
    if resume and RunFolder(training.out).is_run:
        training, own = as_begun(training, own, RunFolder(training.out).read_config())
    training, own = resolved(training, own)
    departed = departures(training, own)
    for text in warning_of(departed):
        logger.warning("%s", text)
    backbone = open_backbone(training)
    splits = load_splits(training)
    warn_of_logits(backbone, len(splits.classes))
    plan = make_plan(backbone, training, own)
    with entered_run(
        training.out,
        splits,
        resume=resume,
        overwrite=overwrite,
        difference=lambda config: (
            training.difference(config, free=() if own.is_partial else ("engine",))
            or own.difference(config.get("finetune", {}))
        ),
        command="finetune",
    ) as entered:
        run = entered.run
        if entered.finished is not None and not _takes_the_other(run, entered.finished, own):
            check_finished(run, Backbone.open(run.file(BACKBONE)).identity)
            if training.report:
                page_if_missing(training.out, training.threads, progress)
            return cast(FinetuningRecord, entered.finished)  # a linear training was refused
        context = Context(
            training=training,
            own=own,
            backbone=masked(backbone, plan, own),
            splits=splits,
            plan=plan,
            progress=Forecast(progress, training.n_epochs),
            doubts=[*entered.doubts, *warning_of(departed)],
        )
        with (
            limited_threads(training.threads),
            torch_threads(training.threads),
            replacing(run, overwrite=overwrite),
        ):
            run.write_config({**training.to_config(), "finetune": own.to_config()})
            run.write_labels(splits.classes)
            write_inputs(run, splits)
            try:
                report = _train(context, run)
            finally:
                run.write_lines(SKIPPED, context.skipped.records)
        if training.report:
            with page_may_fail():
                page_anew(training.out, threads=training.threads, progress=progress)
        return report


def _takes_the_other(run: RunFolder, report: AnyTrainingRecord, own: FinetuneSettings) -> bool:
    """Whether a finished run holds a linear head, and is to hold the finetuned network now."""
    held = report.get("kept") == LINEAR
    return held and own.keep == "finetuned" and run.file(CHECKPOINT).is_file()


def _train(context: Context, run: RunFolder) -> FinetuningRecord:
    context.backbone = normalised(context)
    if context.own.batchnorm == "tune":
        context.backbone, context.plan = with_tuned_batchnorm(context)
    restored = load_checkpoint(run.file(CHECKPOINT), context.inputs)
    statistics = statistics_of(context)
    if restored is None:
        start = baseline(context)
        runner, lanes = trained_runner(context, statistics, None)
        solver = make_solver(context, start, runner)
        notes: dict[str, Any] = {"training_engine": lanes.record}
        if start is not None:
            notes["linear"] = start.record
        state = TrainingState(data=context.inputs, notes=notes)
    else:
        state = restored[0]
        noted = LaneChoice.of_record(state.notes.get("training_engine"))
        runner, lanes = trained_runner(context, statistics, noted)
        solver = make_solver(context, None, runner)
        solver.restore(restored[1])
        context.restore(state)
    with context.extractor(frozen_engine(context)) as extractor:
        SGDTraining(
            context,
            run,
            solver,
            _source(context, extractor),
            state,
            lambda: _validation(context, solver, extractor),
            stage="train",
        ).train()
        context.check_classes()
        return finish(
            context, run, solver, extractor, statistics=statistics, state=state, lanes=lanes
        )


def _source(context: Context, extractor: FeatureExtractor) -> EpochSource:
    training = context.training
    if context.own.cached_frozen:
        _check_room(context)
        table = context.table(extractor, context.splits.train, "frozen part")
        return CachedEpochs(table.features, table.labels, training.batch_size, training.seed)
    return OnlineEpochs(extractor, context.splits.train, train_view(training, epoch=0))


def _check_room(context: Context) -> None:
    """The frozen part's output of all images must fit."""
    row = 4 * sum(size_of(shape) for shape in context.plan.parts.shapes)
    needed, free = 2 * row * len(context.splits.train), psutil.virtual_memory().available
    if needed > free:
        raise EdgeTransferError(
            f"--cached-frozen keeps {needed / 2**30:.1f} GiB in memory and "
            f"{free / 2**30:.1f} GiB are free: leave it out, or give a later --from-layer"
        )


def _validation(
    context: Context, solver: FullFinetuner, extractor: FeatureExtractor
) -> ValidationRecord:
    samples = context.usable(context.splits.val)
    if not samples:
        return {}
    accuracy, head = Accuracy(len(context.splits.classes)), solver.head
    labels = np.array([sample.label for sample in samples], np.int64)
    for batch in extractor.extract(samples):
        for index, reason in batch.failed:
            context.skipped.add(samples[index], reason)
        if len(batch.indices):
            features = solver.features(batch.features)
            accuracy.update(labels[batch.indices], head.predict(features))
    return validation(accuracy.shares)
