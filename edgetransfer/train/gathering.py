"""The photos of a data set with what heads say of them that have not seen them, made anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgetransfer.backbones import Backbone
from edgetransfer.data import DataSplits, Sample
from edgetransfer.errors import DataError
from edgetransfer.features import (
    FeatureCache,
    FeatureExtractor,
    FeatureTable,
    cached_features,
    default_cache_folder,
)
from edgetransfer.findings import Scored, unseen
from edgetransfer.heads import LinearHead
from edgetransfer.reprs import short_repr
from edgetransfer.settings.train import LinearTraining
from edgetransfer.train.left_out import fitted_honestly, left_out
from edgetransfer.train.opening import (
    cache_identity,
    limited_threads,
    load_splits,
    measured_plan,
    opened_extractor,
)
from edgetransfer.train.skipping import SkippedImages
from edgetransfer.types import Progress, no_progress


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """A data set, scored.

    Parameters
    ----------
    parts
        The splits that have photos, the training photos first.
    splits
        The data set.
    skipped
        Photos that could not be used: ``id`` and ``reason``.
    engine
        Its name.
    """

    parts: tuple[Scored, ...]
    splits: DataSplits
    skipped: list[dict[str, Any]]
    engine: str

    __repr__ = short_repr


def gathered(
    settings: LinearTraining,
    backbone: Backbone,
    *,
    head: LinearHead | None = None,
    train: bool = True,
    progress: Progress = no_progress,
) -> Gathered:
    """Load a data set and score it; features come from the cache where it has them.

    Parameters
    ----------
    settings
        What data, how to run the backbone, and how to fit heads to what is left out.
    head
        What tests the photos of other splits, of a run with these settings; a head in closed
        form that is fitted here if None.
    train
        Whether the training photos are wanted too, where there are others and a head.

    Raises
    ------
    EdgeTransferError
        If the data, the backbone or the engine cannot be used.
    """
    splits = load_splits(settings)
    total = len(splits.train) + len(splits.val) + len(splits.test)
    skipped = SkippedImages(total, settings.max_bad)
    with (
        limited_threads(settings.threads),
        opened_extractor(backbone, settings, measured_plan(backbone, settings)) as extractor,
    ):
        reading = _Reading(settings, backbone, extractor, skipped, progress)
        parts: list[Scored] = []
        tester = head
        if train or head is None or not (splits.val or splits.test):
            part, fitted = _training_part(settings, splits, reading)
            parts.append(part)
            tester = fitted if head is None else head
        assert tester is not None
        for split, given in (("val", splits.val), ("test", splits.test)):
            samples, table = reading.table(given, f"{split} features")
            if samples:
                probabilities = tester.predict_proba(table.features)
                parts.append(unseen(split, samples, table.features, probabilities))
        return Gathered(
            parts=tuple(parts),
            splits=splits,
            skipped=skipped.records,
            engine=extractor.engine.choice.name,
        )


def _training_part(
    settings: LinearTraining, splits: DataSplits, reading: _Reading
) -> tuple[Scored, LinearHead]:
    """The training photos, left out, and a head that is fitted to all of them."""
    samples, table = reading.table(splits.train, "training features")
    present = {sample.label for sample in samples}
    if len(present) < len(splits.classes):
        absent = next(name for i, name in enumerate(splits.classes) if i not in present)
        raise DataError(f"{settings.data}: none of the images of class {absent!r} could be decoded")
    fitted, honest = fitted_honestly(settings, table, splits.classes, reading.progress)
    return left_out(samples, table, honest), fitted.head


class _Reading:
    """Features of one split after the other."""

    def __init__(
        self,
        settings: LinearTraining,
        backbone: Backbone,
        extractor: FeatureExtractor,
        skipped: SkippedImages,
        progress: Progress,
    ) -> None:
        self.extractor, self.skipped, self.progress = extractor, skipped, progress
        engine = extractor.engine
        self.cache = FeatureCache(
            settings.cache_dir or default_cache_folder(),
            cache_identity(backbone, engine),
            engine.dimension,
        )

    def table(self, samples: tuple[Sample, ...], stage: str) -> tuple[list[Sample], FeatureTable]:
        tried = [sample for sample in samples if sample not in self.skipped]
        table = cached_features(
            self.extractor,
            tried,
            cache=self.cache,
            skip=self.skipped.add,
            progress=self.progress if samples else no_progress,
            stage=stage,
        )
        return [sample for sample in tried if sample not in self.skipped], table
