"""Which photos a run was trained on: testing on them says nothing of new ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgetransfer.data import Sample, copies_of, find_images, training_part
from edgetransfer.errors import DataError, EdgeTransferError
from edgetransfer.images import SUFFIXES
from edgetransfer.runs import RunFolder

logger = logging.getLogger(__name__)


def seen_in_training(config: Mapping[str, Any], samples: Sequence[Sample]) -> dict[int, Sample]:
    """For each sample, by place, that a run was trained on: the training photo that it is.

    The run's data set is looked through again, for files that are the same to the byte; photos
    that were moved or renamed since are found too, those of a data set that is gone are not, and
    that is logged.

    Parameters
    ----------
    config
        Of the run.
    """
    try:
        return copies_of(samples, trained_on(config))
    except (EdgeTransferError, OSError, ValueError) as error:
        logger.warning("whether these photos were trained on cannot be told: %s", error)
        return {}


def trained_on(config: Mapping[str, Any]) -> tuple[Sample, ...]:
    """The photos that a run was trained on, as far as they are kept somewhere.

    Raises
    ------
    DataError
        If the run does not say, or they are not there any more.
    """
    data = str(config.get("data", ""))
    if not data:
        raise DataError("the run does not say what it was trained on")
    if "stream" not in config:
        return training_part(
            Path(data),
            suffixes=SUFFIXES,
            val_fraction=float(config.get("val_fraction", 0.0)),
            seed=int(config.get("seed", 0)),
        )
    kind, _, place = data.partition(":")
    began = config.get("from_run")
    before = () if not began else trained_on(RunFolder.open(Path(str(began))).read_config())
    if kind != "folder":  # what came from elsewhere is kept nowhere
        return before
    streamed = find_images(Path(place), suffixes=SUFFIXES)
    return (*before, *(Sample(id=str(p), source=p) for p in streamed))
