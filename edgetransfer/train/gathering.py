"""The photos of a data set with what heads say of them that have not seen them, made anew."""

from __future__ import annotations

from dataclasses import dataclass

from edgetransfer.backbones import Backbone
from edgetransfer.data import DataSplits
from edgetransfer.features import FeatureCache, FeatureExtractor
from edgetransfer.findings import Scored, unseen
from edgetransfer.heads import LinearHead
from edgetransfer.reports.shared import SkippedRecord
from edgetransfer.reprs import short_repr
from edgetransfer.settings.train import LinearTraining
from edgetransfer.train.job_context import JobContext
from edgetransfer.train.left_out import fitted_honestly, left_out
from edgetransfer.train.opening import (
    limited_threads,
    load_splits,
    measured_plan,
    opened_extractor,
)
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
    skipped: list[SkippedRecord]
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
    context = JobContext(
        training=settings, backbone=backbone, splits=load_splits(settings), progress=progress
    )
    splits = context.splits
    with (
        limited_threads(settings.threads),
        opened_extractor(backbone, settings, measured_plan(backbone, settings)) as extractor,
    ):
        cache = context.cache(extractor.engine)
        parts: list[Scored] = []
        tester = head
        if train or head is None or not (splits.val or splits.test):
            part, fitted = _training_part(context, extractor, cache)
            parts.append(part)
            tester = fitted if head is None else head
        assert tester is not None
        for split, given in (("val", splits.val), ("test", splits.test)):
            table = context.table(extractor, given, f"{split} features", cache)
            samples = context.usable(given)
            if samples:
                probabilities = tester.predict_proba(table.features)
                parts.append(unseen(split, samples, table.features, probabilities))
        return Gathered(
            parts=tuple(parts),
            splits=splits,
            skipped=context.skipped.records,
            engine=extractor.engine.choice.name,
        )


def _training_part(
    context: JobContext, extractor: FeatureExtractor, cache: FeatureCache
) -> tuple[Scored, LinearHead]:
    """The training photos, left out, and a head that is fitted to all of them."""
    settings, splits = context.training, context.splits
    table = context.table(extractor, splits.train, "training features", cache)
    context.check_classes()
    fitted, honest = fitted_honestly(settings, table, splits.classes, context.progress)
    return left_out(context.usable(splits.train), table, honest), fitted.head
