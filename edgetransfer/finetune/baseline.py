"""What a linear head reaches on the backbone as it is: the mark to beat, and a start."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from edgetransfer.features import FeatureTable
from edgetransfer.heads import LBFGSSolver, LinearHead
from edgetransfer.metrics import accuracy_of
from edgetransfer.metrics.conventions import Metric
from edgetransfer.reports.train import JudgedRecord
from edgetransfer.sampling import equal_rows, stratified_holdout
from edgetransfer.types import Progress

logger = logging.getLogger(__name__)

WEAK = 0.7  # accuracy below which a larger learning rate pays
USUAL_RATE, LARGER_RATE = 0.001, 0.01
HELD_OUT = 0.2
VALIDATION = "validation"


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A linear head's accuracy on images that it was not fitted to.

    Parameters
    ----------
    on
        ``validation``, or ``held out`` from the training images.
    mean_per_class, top1
        Its accuracy, 0 to 1; nan where no image could be held out.
    head
        Fitted to all training images, if that was asked for.
    """

    on: str
    mean_per_class: float
    top1: float
    head: LinearHead | None = None

    @property
    def record(self) -> JudgedRecord:
        """For the run's report."""
        return {"on": self.on, "top1": self.top1, "mean_per_class": self.mean_per_class}

    def advise(self, metric: Metric, learning_rate: float, *, has_batchnorm: bool) -> None:
        """Say what it reaches by the accuracy that counts, and what that speaks for."""
        reached: float = getattr(self, metric.name)
        if not np.isfinite(reached):
            return
        logger.info("a linear head reaches %.1f%% %s (%s)", 100 * reached, metric.title, self.on)
        if reached >= WEAK or learning_rate > USUAL_RATE:
            return
        if has_batchnorm:
            logger.info("that is weak: --learning-rate %g is likely to do better", LARGER_RATE)
        else:
            logger.info(
                "that is weak: --optimizer adam or --batchnorm restore is likely to do better"
            )


def linear_baseline(
    table: FeatureTable,
    val: FeatureTable,
    classes: tuple[str, ...],
    *,
    seed: int,
    whole: bool,
    progress: Progress,
) -> Baseline:
    """Fit an L-BFGS head, test it on validation images or on a held-out fifth of the others.

    Parameters
    ----------
    whole
        Whether a head that is fitted to all training images is wanted too.
    """
    labels, features = table.labels, table.features
    held = np.zeros(len(labels), bool)
    if not len(val.labels):
        held = stratified_holdout(labels, HELD_OUT, seed, equal_rows(features))
    result = LBFGSSolver().fit(
        features[~held], labels[~held], classes, seed=seed, progress=progress
    )
    on = VALIDATION if len(val.labels) else "held out"
    tested = val.features if len(val.labels) else features[held]
    known = val.labels if len(val.labels) else labels[held]
    accuracy = accuracy_of(known, result.head.predict(tested), len(classes))
    head = None
    if whole:
        head = result.head
        if held.any():
            solver = LBFGSSolver(l2=result.l2)
            head = solver.fit(features, labels, classes, seed=seed, progress=progress).head
    return Baseline(on=on, mean_per_class=accuracy.mean_per_class, top1=accuracy.top1, head=head)
