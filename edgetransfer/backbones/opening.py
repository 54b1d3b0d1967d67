"""Opening a backbone as somebody's settings say."""

from __future__ import annotations

import logging

from edgetransfer.backbones.backbone import Backbone
from edgetransfer.backbones.catalogue import resolve
from edgetransfer.graphs.canonical import read_canonical
from edgetransfer.graphs.cut import doubt_of_width
from edgetransfer.settings.shared import BackboneReading

logger = logging.getLogger(__name__)


def open_with(backbone: str, overrides: BackboneReading) -> Backbone:
    """Open a backbone with what overrides its card, and log what is doubtful about it.

    Raises
    ------
    BackboneError
        If it cannot be used.
    """
    path = resolve(backbone)
    opened = Backbone.of(path, read_canonical(path), overrides)
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
