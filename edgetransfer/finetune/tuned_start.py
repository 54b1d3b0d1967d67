"""A backbone whose batch-norm statistics are measured anew before training begins from it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from edgetransfer.backbones import Backbone
from edgetransfer.data import Sample
from edgetransfer.features import FeatureExtractor
from edgetransfer.finetune.batchnorm_tuning import TUNING_IMAGES, tune_batchnorm
from edgetransfer.finetune.context import Context
from edgetransfer.finetune.module import OnnxModule
from edgetransfer.finetune.partition import partition
from edgetransfer.finetune.plan import Plan, pixel_engine
from edgetransfer.train.opening import train_view

logger = logging.getLogger(__name__)

TUNING_EPOCH = 1 << 20  # so that no view is one of the training's
BATCH = 50


def with_tuned_batchnorm(context: Context) -> tuple[Backbone, Plan]:
    """The backbone and the plan with statistics of a thousand augmented training views.

    All statistics are replaced, those of a frozen part too; so the linear head that a finetuning
    begins from, or is compared with, has the same features. What is drawn is a function of the
    seed, so that a resumed run has the same statistics.
    """
    plan, backbone, training = context.plan, context.backbone, context.training
    samples = context.usable(context.splits.train)
    module = OnnxModule(plan.model).to(plan.device, memory_format=torch.channels_last)
    engine = pixel_engine(backbone, BATCH)
    with FeatureExtractor(engine, backbone.preprocessing, workers=context.workers) as extractor:
        views = _views(context, extractor, samples)
        with contextlib.closing(views):
            seen = tune_batchnorm(
                module, (v.to(plan.device, memory_format=torch.channels_last) for v in views)
            )
    logger.info("batch-norm: statistics of %d augmented training views", seen)
    body, model = module.write_into(plan.body), module.write_into(plan.model)
    tuned = replace(plan, body=body, model=model, parts=partition(model, plan.begin))
    how = f"batch-norm tuned on {context.splits.fingerprint}, seed {training.seed}, crops from "
    how += f"{training.min_crop:g}, flip {training.flip}"
    return replace(backbone, body=body, variant=f"{backbone.variant} {how}".strip()), tuned


def _views(
    context: Context, extractor: FeatureExtractor, samples: Sequence[Sample]
) -> Generator[Tensor, None, None]:
    rng = np.random.default_rng((context.training.seed, TUNING_EPOCH))
    rounds = -(-TUNING_IMAGES // len(samples))
    order = np.concatenate([rng.permutation(len(samples)) for _ in range(rounds)])
    side, done = context.backbone.preprocessing.size, 0
    views = extractor.extract(
        samples,
        order[:TUNING_IMAGES].astype(np.int64),
        train=train_view(context.training, epoch=TUNING_EPOCH),
    )
    with contextlib.closing(views):
        for batch in views:
            for index, reason in batch.failed:
                context.skipped.add(samples[index], reason)
            done += len(batch.indices) + len(batch.failed)
            context.progress("batch-norm", done, TUNING_IMAGES)
            if len(batch.indices) > 1:
                yield torch.from_numpy(batch.features.reshape(-1, 3, side, side).copy())
