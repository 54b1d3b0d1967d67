"""What heads say of training photos that they were fitted without, photo by photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.features import FeatureTable
from edgetransfer.findings import Scored
from edgetransfer.heads import Honest
from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.selection import first_equal
from edgetransfer.train.epochs import Scaling
from edgetransfer.train.fitting import FittedHead, fit_head
from edgetransfer.train.settings import LinearTraining
from edgetransfer.types import Progress, no_progress

OTHERWISE = "of a head in closed form"


def left_out(
    settings: LinearTraining, samples: Sequence[Sample], table: FeatureTable, honest: Honest
) -> Scored:
    """The training photos with what is known of them without a test.

    Parameters
    ----------
    samples
        Those of the table.
    honest
        Of all of them, or of the first of each that are the same and labelled alike.
    """
    features = table.features
    fitted_on = Scaling.of(features)(features) if settings.standardize else features
    first = first_equal(fitted_on, table.labels)
    distinct = np.unique(first)
    logits = honest.logits
    known = np.zeros(len(logits), bool)
    known[honest.tested] = True
    tested = known
    if len(logits) == len(distinct):
        tested = np.zeros(len(samples), bool)
        tested[distinct[known]] = True
        place = np.searchsorted(distinct, first)
        logits, known = logits[place], known[place]
    return Scored(
        split="train",
        samples=tuple(samples),
        features=features,
        probabilities=_softmax(logits),
        known=known,
        tested=tested,
        method=honest.method,
    )


def fitted_honestly(
    settings: LinearTraining,
    table: FeatureTable,
    classes: tuple[str, ...],
    progress: Progress = no_progress,
) -> tuple[FittedHead, Honest]:
    """A head as the settings say, or in closed form where that leaves nothing out."""
    if settings.solver != "sgd":
        fitted = fit_head(settings, table, classes, progress)
        if fitted.honest is not None:
            return fitted, fitted.honest
    usual = replace(settings, mode="cached", solver="auto", recipe="default", l2=None)
    fitted = fit_head(usual, table, classes, progress)
    assert fitted.honest is not None
    return fitted, replace(fitted.honest, method=f"{fitted.honest.method} {OTHERWISE}")


def _softmax(logits: FloatArray) -> FloatArray:
    values: FloatArray = logits - logits.max(axis=1, keepdims=True)
    np.exp(values, out=values)
    values /= values.sum(axis=1, keepdims=True)
    return values
