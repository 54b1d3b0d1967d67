"""What stands before the first step: normalisation, the linear head, batch-norm, the trainer."""

from __future__ import annotations

import logging
from dataclasses import replace

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.card import override
from edgetransfer.engines import Engine
from edgetransfer.features import FeatureCache, FeatureExtractor
from edgetransfer.finetune.baseline import Baseline, linear_baseline
from edgetransfer.finetune.batchnorm import Statistics
from edgetransfer.finetune.context import Context
from edgetransfer.finetune.losses import Teacher
from edgetransfer.finetune.pixels import normalised_by, normalised_under
from edgetransfer.finetune.plan import (
    convolution_statistics,
    has_batchnorm_nodes,
    layer_rates,
    pixel_engine,
)
from edgetransfer.finetune.running import Runner
from edgetransfer.finetune.solver import FullFinetuner
from edgetransfer.heads import LinearHead
from edgetransfer.metrics.conventions import metric_of
from edgetransfer.settings.shared import CardOverrides
from edgetransfer.train.opening import train_view
from edgetransfer.types import IMAGENET_MEAN, IMAGENET_STD

logger = logging.getLogger(__name__)


def normalised(context: Context) -> Backbone:
    """The backbone with the normalisation that its finetuned form will have."""
    own, backbone = context.own.normalise, context.backbone
    given = backbone.preprocessing
    if own == "auto":
        usual = given.mean == IMAGENET_MEAN and given.std == IMAGENET_STD
        own = "data" if usual and not context.own.is_partial else "card"
    if own == "card":
        return backbone
    if own == "augmented":
        found = normalised_under(
            train_view(context.training, epoch=0),
            context.splits.train,
            given,
            workers=context.workers,
            skip=context.skipped.add,
            progress=context.progress,
        )
    else:
        view = f"{given.size} {given.resize} {given.interpolation}"
        found = normalised_by(
            context.splits.train,
            given,
            cache=FeatureCache(context.cache_root, f"moments 1 {view}", 6),
            workers=context.workers,
            skip=context.skipped.add,
            progress=context.progress,
        )
    logger.info("normalisation: mean %s, deviation %s", found.mean, found.std)
    return replace(
        backbone, card=override(backbone.card, CardOverrides(mean=found.mean, std=found.std))
    )


def baseline(context: Context) -> Baseline | None:
    """A linear head on the features of the backbone as it is, unless nobody wants one."""
    own, training, splits = context.own, context.training, context.splits
    if not own.baseline and own.head_init != "linear":
        return None
    engine = context.open(context.backbone.frozen(training.batch_size))
    cache = context.cache(engine)
    with context.extractor(engine) as extractor:
        table = context.table(extractor, splits.train, "features", cache)
        context.check_classes()
        val = context.table(extractor, splits.val, "validation features", cache)
    engine.close()
    found = linear_baseline(
        table,
        val,
        splits.classes,
        seed=training.seed,
        whole=own.head_init == "linear",
        progress=context.progress,
    )
    if own.optimizer == "sgd":
        normed = has_batchnorm_nodes(context.plan.model)
        found.advise(
            metric_of(training.metric, training.data),
            training.sgd.learning_rate,
            has_batchnorm=normed or own.batchnorm == "restore",
        )
    return found


def statistics_of(context: Context) -> Statistics:
    """Of the batch-norm that is put back; empty if none is."""
    if context.own.batchnorm != "restore":
        return {}
    return convolution_statistics(
        context.plan,
        context.backbone,
        context.usable(context.splits.train),
        batch_size=context.training.batch_size,
        workers=context.workers,
        progress=context.progress,
    )


def make_solver(context: Context, start: Baseline | None, runner: Runner) -> FullFinetuner:
    """The trainer, before its first step."""
    training, own, plan = context.training, context.own, context.plan
    head = None if start is None else start.head
    if head is None:
        dimension = context.backbone.dimension
        head = LinearHead.initial(dimension, context.splits.classes, training.seed)
    return FullFinetuner(
        runner,
        plan.parts.shapes,
        head,
        settings=training.sgd,
        own=own,
        micro_batch=plan.micro_batch,
        masks=plan.masks,
        rates=layer_rates(runner.module, own.layer_decay),
        steps=training.n_epochs * -(-len(context.splits.train) // training.batch_size),
        seed=training.seed,
        teacher=_teacher(context),
    )


def _teacher(context: Context) -> Teacher | None:
    own, training = context.own, context.training
    if own.teacher is None:
        return None
    teacher = Teacher.open(
        own.teacher,
        classes=len(context.splits.classes),
        dimension=context.backbone.dimension,
        given=context.backbone.preprocessing,
        batch_size=context.plan.micro_batch,
        engine=training.engine,
        threads=training.threads,
        temperature=own.temperature,
    )
    if teacher.teaches == "features":
        teacher.learn_head(_head_on(teacher, context))
    return teacher


def _head_on(teacher: Teacher, context: Context) -> LinearHead:
    """A linear head on a teacher's features of the training images."""
    cache = context.cache(teacher.engine, teacher.backbone)
    with FeatureExtractor(
        teacher.engine, teacher.backbone.preprocessing, workers=context.workers, clock=context.clock
    ) as extractor:
        return context.fitted_head(extractor, "teacher's features", cache)


def frozen_engine(context: Context) -> Engine:
    """What brings images to torch: as they are, or through the frozen part."""
    frozen = context.plan.parts.frozen
    if frozen is None:
        return pixel_engine(context.backbone, context.training.batch_size)
    engine = context.open(frozen)
    logger.info("frozen part: %s (%s)", engine.choice.name, engine.choice.reason)
    return engine
