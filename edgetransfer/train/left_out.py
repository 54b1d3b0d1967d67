"""What heads say of training photos that they were fitted without, photo by photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgetransfer.data import DataSplits, Sample
from edgetransfer.features import FeatureTable
from edgetransfer.findings import Scored, unseen
from edgetransfer.heads import Honest, LinearHead
from edgetransfer.heads.loss import FloatArray
from edgetransfer.settings.train import LinearTraining
from edgetransfer.train.fitting import FittedHead, fit_head
from edgetransfer.train.skipping import SkippedImages
from edgetransfer.types import Progress, no_progress

OTHERWISE = "of a head in closed form"


def left_out(samples: Sequence[Sample], table: FeatureTable, honest: Honest) -> Scored:
    """The training photos with what is known of them without a test.

    Parameters
    ----------
    samples
        Those of the table.
    honest
        Of all of them, or of the first of each that are alike.
    """
    features = table.features
    logits = honest.logits
    known = np.zeros(len(logits), bool)
    known[honest.tested] = True
    tested = known
    if honest.alike is not None:
        distinct, place = np.unique(honest.alike, return_inverse=True)
        tested = np.zeros(len(samples), bool)
        tested[distinct[known]] = True
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


def scored_splits(
    settings: LinearTraining,
    splits: DataSplits,
    skipped: SkippedImages,
    tables: Mapping[str, FeatureTable],
    head: LinearHead,
    honest: Honest | None,
    progress: Progress = no_progress,
) -> list[Scored]:
    """The splits that have photos, the training photos first.

    Parameters
    ----------
    skipped
        The photos that are not in the tables.
    tables
        Features by split.
    head
        What tests photos of its own.
    honest
        What is known of the training photos; found out here if None.
    """
    train = tables["train"]
    if honest is None:
        _, honest = fitted_honestly(settings, train, splits.classes, progress)
    used = {
        name: [sample for sample in getattr(splits, name) if sample not in skipped]
        for name in ("train", "val", "test")
    }
    parts = [left_out(used["train"], train, honest)]
    for name in ("val", "test"):
        if used[name]:
            features = tables[name].features
            parts.append(unseen(name, used[name], features, head.predict_proba(features)))
    return parts


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
