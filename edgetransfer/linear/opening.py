"""What every linear job opens first."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict

from edgetransfer.backbones import Backbone
from edgetransfer.data import DataSplits, load_data
from edgetransfer.engines import Engine
from edgetransfer.images import SUFFIXES
from edgetransfer.linear.settings import LinearTraining

logger = logging.getLogger(__name__)


def open_backbone(settings: LinearTraining) -> Backbone:
    """Open the backbone that the settings name, and log what is doubtful about it."""
    backbone = Backbone.open(
        settings.backbone,
        features=settings.features,
        size=settings.size,
        resize=settings.resize,
        mean=settings.mean,
        std=settings.std,
        interpolation=settings.interpolation,
    )
    for warning in backbone.warnings:
        logger.warning("%s", warning)
    return backbone


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
    return splits


def cache_identity(backbone: Backbone, engine: Engine) -> str:
    """Everything beside the image file that an eval-view feature row depends on."""
    choice = engine.choice
    parts = (backbone.identity, backbone.preprocessing.fingerprint, choice.name, choice.version)
    return "\0".join(parts)


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
