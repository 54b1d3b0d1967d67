"""Opening a backbone as somebody's settings say."""

from __future__ import annotations

import logging
from typing import Protocol

from edgetransfer.backbones.backbone import Backbone
from edgetransfer.graphs.cut import doubt_of_width
from edgetransfer.types import Interpolation, Triple

logger = logging.getLogger(__name__)


class Overrides(Protocol):
    """What settings may say in place of a backbone's card; None to follow the card."""

    @property
    def features(self) -> str | None:
        """The tensor to cut at."""

    @property
    def size(self) -> int | None:
        """Side of the input."""

    @property
    def resize(self) -> int | None:
        """The shorter side before the crop."""

    @property
    def mean(self) -> Triple | None:
        """Of pixel values in 0 to 1."""

    @property
    def std(self) -> Triple | None:
        """Of pixel values in 0 to 1."""

    @property
    def normalisation(self) -> str | None:
        """A convention by name, in place of mean, deviation and order of channels."""

    @property
    def interpolation(self) -> Interpolation | None:
        """Of the resize."""


def open_with(backbone: str, overrides: Overrides) -> Backbone:
    """Open a backbone with what overrides its card, and log what is doubtful about it.

    Raises
    ------
    BackboneError
        If it cannot be used.
    """
    opened = Backbone.open(
        backbone,
        features=overrides.features,
        size=overrides.size,
        resize=overrides.resize,
        mean=overrides.mean,
        std=overrides.std,
        interpolation=overrides.interpolation,
        normalisation=overrides.normalisation,
    )
    for warning in opened.warnings:
        logger.warning("%s", warning)
    logger.info("features: tensor %r; %s", opened.cut.tensor, opened.cut.what)
    return opened


def warn_of_logits(backbone: Backbone, classes: int) -> None:
    """Log a doubt where features may be class scores, because there are as many of them.

    Parameters
    ----------
    classes
        How many labels the data has.
    """
    doubt = doubt_of_width(backbone.dimension, classes)
    if doubt is not None and backbone.classifier is None:
        logger.warning("%s: %s", backbone.name, doubt)
