"""The features of a data set's eval views, from the cache where it has them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.features.cache import FeatureCache, content_key
from edgetransfer.features.extractor import FeatureExtractor
from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array, IntArray, Progress, no_progress

logger = logging.getLogger(__name__)

ROWS_PER_SHARD = 1024

Skip = Callable[[Sample, str], None]
"""Told of each sample that cannot be used, and why; may raise to stop the run."""


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """Features of the samples that could be decoded, in the samples' order.

    Parameters
    ----------
    labels
        (n,) int64.
    features
        (n, D) float32.
    computed
        How many rows were not in the cache.
    """

    labels: IntArray
    features: Float32Array
    computed: int

    __repr__ = short_repr


def cached_features(
    extractor: FeatureExtractor,
    samples: Sequence[Sample],
    *,
    cache: FeatureCache | None,
    skip: Skip,
    progress: Progress = no_progress,
    stage: str = "features",
) -> FeatureTable:
    """The eval-view features of samples; new ones are added to the cache as they come.

    A sample whose file is unreadable or not an image is handed to ``skip`` and left out. Copies of
    a photo are extracted once, so that their rows are equal to the bit.
    """
    rows: dict[int, Float32Array] = {}
    first: dict[bytes, int] = {}
    copies: dict[int, list[int]] = {}
    keys: dict[int, bytes] = {}
    missing: list[int] = []
    for index, sample in enumerate(samples):
        known = None
        if cache is not None:
            try:
                keys[index] = content_key(sample.read())
                known = cache.get(keys[index])
            except OSError:
                known = None  # the extractor meets it again, and says why
        if known is not None:
            rows[index] = known
        elif index in keys and (original := first.setdefault(keys[index], index)) != index:
            copies.setdefault(original, []).append(index)
        else:
            missing.append(index)
    done = len(rows)
    progress(stage, done, len(samples))
    unsaved: list[int] = []

    def save() -> None:
        if cache is None or not unsaved:
            return
        try:
            cache.add([keys[i] for i in unsaved], np.stack([rows[i] for i in unsaved]))
        except OSError as error:  # a full disk costs time later, but not this run
            logger.warning("features are not kept in %s: %s", cache.folder, error)
            keys.clear()
        unsaved.clear()

    batches = extractor.extract(samples, np.array(missing, np.int64))
    try:
        for batch in batches:
            for index, row in zip(batch.indices.tolist(), batch.features, strict=True):
                for same in (index, *copies.get(index, ())):
                    rows[same] = row
                    done += 1
                if index in keys:
                    unsaved.append(index)
            for index, reason in batch.failed:
                for same in (index, *copies.get(index, ())):
                    done += 1
                    skip(samples[same], reason)
            if len(unsaved) >= ROWS_PER_SHARD:
                save()
            progress(stage, done, len(samples))
    finally:
        batches.close()
        save()  # also when interrupted: what was extracted is not lost
    kept = sorted(rows)
    table = np.empty((len(kept), extractor.engine.dimension), np.float32)
    for position, index in enumerate(kept):
        table[position] = rows[index]
    labels = np.array([samples[i].label for i in kept], np.int64)
    return FeatureTable(labels=labels, features=table, computed=len(missing))
