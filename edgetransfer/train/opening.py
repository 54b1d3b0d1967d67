"""What every linear job opens first."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict

from edgetransfer.backbones import Backbone, open_with
from edgetransfer.data import DataSplits, load_data
from edgetransfer.engines import AUTO, Engine, EnginePlan, open_streams
from edgetransfer.features import FeatureExtractor, TrainView, default_cache_folder, plan_for
from edgetransfer.features.cache import rows_identity
from edgetransfer.images import SUFFIXES
from edgetransfer.reports.train import SplitRecord
from edgetransfer.settings.train import LinearTraining

logger = logging.getLogger(__name__)


def open_backbone(settings: LinearTraining) -> Backbone:
    """Open the backbone that the settings name, and log what is doubtful about it."""
    return open_with(settings.backbone, settings)


def load_splits(settings: LinearTraining) -> DataSplits:
    """Load the data that the settings name."""
    splits = load_data(
        settings.data,
        suffixes=SUFFIXES,
        test_data=settings.test_data,
        val_fraction=settings.val_fraction,
        seed=settings.seed,
    )
    if settings.val_fraction and not splits.val:
        logger.warning("no class has a second image: there is none to hold out for validation")
    logger.info("%s", "; ".join(map(_described, splits.sizes.items())))
    return splits


def _described(split: tuple[str, SplitRecord]) -> str:
    name, size = split
    if not size["photos"]:
        return f"{name}: none"
    return f"{name}: {size['photos']} photos of {size['classes']} classes"


def measured_plan(backbone: Backbone, settings: LinearTraining) -> EnginePlan:
    """How `tune` found the backbone to run fastest here, or the usual way if it never did."""
    cache = settings.cache_dir or default_cache_folder()
    plan = plan_for(backbone, cache, settings.threads)
    if plan is None or settings.engine not in (AUTO, plan.engine):
        return EnginePlan()  # the plan of another engine says nothing about this one
    return plan


def train_view(settings: LinearTraining, epoch: int) -> TrainView:
    """The augmented views of an epoch, from 0."""
    return TrainView(
        seed=settings.seed,
        epoch=epoch,
        area=(settings.min_crop, 1.0),
        flip=0.5 if settings.flip else 0.0,
    )


@contextlib.contextmanager
def opened_extractor(
    backbone: Backbone, settings: LinearTraining, plan: EnginePlan
) -> Iterator[FeatureExtractor]:
    """The pipeline that the settings and a plan ask for; closed, with its engines, at the end.

    Raises
    ------
    EngineError
        If the asked-for engine cannot run the backbone.
    """
    with contextlib.ExitStack() as stack:
        engines = open_streams(
            backbone.frozen(plan.batch_of(settings.batch_size)),
            plan,
            engine=settings.engine,
            threads=settings.threads,
            cache=settings.cache_dir or default_cache_folder(),
        )
        for engine in engines:
            stack.callback(engine.close)
        yield stack.enter_context(
            FeatureExtractor(
                engines[0],
                backbone.preprocessing,
                streams=engines[1:],
                workers=settings.workers or plan.workers or settings.threads,
                cores=settings.threads,
            )
        )


def cache_identity(backbone: Backbone, engine: Engine) -> str:
    """Everything beside the image file that an eval-view feature row depends on."""
    return rows_identity(backbone.identity, backbone.preprocessing, engine.choice)


def head_metadata(backbone: Backbone, engine: Engine) -> dict[str, str]:
    """What a saved head says of where it belongs."""
    return {
        "backbone": backbone.identity,
        "backbone_name": backbone.name,
        "preprocessing": json.dumps(asdict(backbone.preprocessing)),
        "features": backbone.cut.tensor,
        "engine": engine.choice.name,
    }


@contextlib.contextmanager
def limited_threads(threads: int | None) -> Iterator[None]:
    """Keep linear algebra to a number of threads too."""
    if threads is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=threads):
        yield
