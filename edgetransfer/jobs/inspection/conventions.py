"""Which usual normalisation a backbone was trained with: the one that separates photos best.

A network that is fed other pixel values than it was trained on makes worse features without a
sign of it. A few labelled photos tell: their features by each convention are scored by the
leave-one-out accuracy of a ridge classifier, which needs neither a test set nor a second pass.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from edgetransfer.backbones import Backbone
from edgetransfer.data import Sample, load_data
from edgetransfer.engines import open_engine
from edgetransfer.errors import DataError
from edgetransfer.features import FeatureExtractor, cached_features, plan_for
from edgetransfer.images import SUFFIXES
from edgetransfer.reports.backbones import NormalisationRecord
from edgetransfer.types import (
    NORMALISATIONS,
    Float32Array,
    IntArray,
    Preprocessing,
    Progress,
    no_progress,
)

MOST_CLASSES, MOST_PER_CLASS = 30, 8
BATCH = 16
_T = TypeVar("_T")
# Penalties relative to the mean eigenvalue of the centred features.
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


def compare_conventions(
    opened: Backbone,
    data: Path,
    *,
    engine: str,
    threads: int | None,
    cache: Path,
    progress: Progress = no_progress,
) -> list[NormalisationRecord]:
    """Score every usual normalisation on labelled photos; the keys are those of the JSON.

    At most 8 photos of each of 30 classes are looked at, evenly spread. The card's own
    normalisation is among what is compared, as ``card``.

    Returns
    -------
    list of dict
        ``normalisation``, ``accuracy`` (leave-one-out, 0 to 1), ``photos``, ``means``; best first.

    Raises
    ------
    DataError
        If there are not two classes with two usable photos each.
    """
    samples = _chosen(load_data(data, suffixes=SUFFIXES).train)
    started = open_engine(
        opened.frozen(BATCH), engine=engine, threads=threads, cache=cache,
        plan=plan_for(opened, cache, threads),
    )  # fmt: skip
    try:
        rows: list[NormalisationRecord] = []
        for name, given in _candidates(opened).items():
            with FeatureExtractor(started, given, workers=threads, cores=threads) as extractor:
                table = cached_features(
                    extractor, samples, cache=None, skip=lambda *_: None, progress=progress,
                    stage=name,
                )  # fmt: skip
            rows.append(
                {
                    "normalisation": name,
                    "accuracy": leave_one_out_accuracy(table.features, table.labels),
                    "photos": len(table.labels),
                    "means": _meaning(name),
                }
            )
    finally:
        started.close()
    return sorted(rows, key=lambda row: -float(row["accuracy"]))


def leave_one_out_accuracy(features: Float32Array, labels: IntArray) -> float:
    """The best leave-one-out accuracy of ridge classifiers over a few penalties, 0 to 1.

    With the hat matrix H of ridge on centred features, a sample's prediction without itself is
    its residual in closed form, (y - Hy) / (1 - h) (Allen's PRESS, 1974).

    Parameters
    ----------
    features
        (n, D); not finite ones separate nothing: 0.
    labels
        (n,).

    Raises
    ------
    DataError
        If there are not two classes.
    """
    classes = np.unique(labels)
    if len(classes) < 2:
        raise DataError("at least two classes with two photos each that can be decoded are needed")
    if not np.isfinite(features).all():
        return 0.0
    x = features.astype(np.float64)
    x -= x.mean(axis=0)
    values, vectors = np.linalg.eigh(x @ x.T)
    values = np.maximum(values, 0)
    targets = (labels[:, None] == classes).astype(np.float64)
    projected = vectors.T @ (targets - targets.mean(axis=0))
    best = 0.0
    for penalty in PENALTIES:
        shrink = values / (values + penalty * values.mean() + 1e-12)
        hat = vectors * shrink
        fitted = hat @ projected + targets.mean(axis=0)
        leverage = np.minimum((hat * vectors).sum(axis=1) + 1 / len(x), 1 - 1e-9)
        without = targets - (targets - fitted) / (1 - leverage)[:, None]
        best = max(best, float((classes[without.argmax(axis=1)] == labels).mean()))
    return best


def _candidates(backbone: Backbone) -> dict[str, Preprocessing]:
    own = backbone.preprocessing
    found = {
        name: replace(own, mean=n.mean, std=n.std, channels=n.channels)
        for name, n in NORMALISATIONS.items()
    }
    return found if backbone.card.assumed or own in found.values() else {"card": own, **found}


def _meaning(name: str) -> str:
    return NORMALISATIONS[name].meaning if name in NORMALISATIONS else "what the card says"


def _chosen(samples: Sequence[Sample]) -> list[Sample]:
    """A few photos of a few classes, evenly spread over both."""
    by_label: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_label[sample.label].append(sample)
    classes = [label for label, members in sorted(by_label.items()) if len(members) > 1]
    chosen = []
    for label in _spread(classes, MOST_CLASSES):
        chosen += _spread(by_label[label], MOST_PER_CLASS)
    return chosen


def _spread(items: Sequence[_T], most: int) -> list[_T]:
    return list(items[:: -(-len(items) // most)]) if items else []
