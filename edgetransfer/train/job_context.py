"""What all stages of one job on a fixed data set share, whatever it learns there."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgetransfer.backbones import Backbone
from edgetransfer.data import DataSplits, Sample
from edgetransfer.engines import Engine
from edgetransfer.errors import DataError
from edgetransfer.features import (
    FeatureCache,
    FeatureExtractor,
    FeatureTable,
    cached_features,
    default_cache_folder,
)
from edgetransfer.metrics import StageClock
from edgetransfer.metrics.conventions import metric_of
from edgetransfer.reports.train import CommonRecord, FeaturesRecord
from edgetransfer.settings.recipe import recipe_record
from edgetransfer.settings.train import LinearTraining
from edgetransfer.train.checkpoint import TrainingState
from edgetransfer.train.finite import check_finite
from edgetransfer.train.opening import cache_identity
from edgetransfer.train.skipping import SkippedImages
from edgetransfer.types import Progress, no_progress

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class JobContext:
    """One job.

    Parameters
    ----------
    training
        Its settings.
    backbone
        As it is run.
    progress
        Told of all that goes on.
    doubts
        Warnings that belong into the report.
    skipped
        Photos that could not be used, so far.
    clock
        Of the pipeline's stages.
    computed, from_cache
        Feature rows so far.
    """

    training: LinearTraining
    backbone: Backbone
    splits: DataSplits
    progress: Progress = no_progress
    doubts: list[str] = field(default_factory=list)
    skipped: SkippedImages = field(init=False)
    clock: StageClock = field(default_factory=StageClock)
    computed: int = 0
    from_cache: int = 0

    def __post_init__(self) -> None:
        splits = self.splits
        total = len(splits.train) + len(splits.val) + len(splits.test)
        self.skipped = SkippedImages(total, self.training.max_bad)

    @property
    def cache_root(self) -> Path:
        """The folder of caches."""
        return self.training.cache_dir or default_cache_folder()

    @property
    def inputs(self) -> str:
        """What a checkpoint belongs to: the data set, the backbone and its preprocessing."""
        backbone = self.backbone
        parts = (self.splits.fingerprint, backbone.identity, backbone.preprocessing.fingerprint)
        return " ".join(parts)

    def restore(self, state: TrainingState) -> None:
        """Go on from a checkpoint."""
        self.skipped.restore(state.skipped)
        self.clock.add(**state.stages)
        logger.info("going on in epoch %d", state.epoch + 1)

    def usable(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples that were not found to be broken."""
        return [sample for sample in samples if sample not in self.skipped]

    def cache(self, engine: Engine, backbone: Backbone | None = None) -> FeatureCache:
        """The kept features of the job's backbone, or of another, in an engine."""
        identity = cache_identity(backbone or self.backbone, engine)
        return FeatureCache(self.cache_root, identity, engine.dimension)

    def table(
        self,
        extractor: FeatureExtractor,
        samples: Sequence[Sample],
        stage: str,
        cache: FeatureCache | None = None,
    ) -> FeatureTable:
        """The eval-view features of the usable ones of samples.

        Raises
        ------
        DataError
            If too many cannot be used, or features are not finite.
        """
        table = cached_features(
            extractor,
            self.usable(samples),
            cache=cache,
            skip=self.skipped.add,
            progress=self.progress if samples else no_progress,
            stage=stage,
        )
        check_finite(table.features, self.usable(samples))
        self.computed += table.computed
        # Copies of a photo are computed once and counted as often as they occur.
        self.from_cache += max(len(table.labels) - table.computed, 0)
        return table

    def check_classes(self) -> None:
        """Every class must have a training image that could be decoded.

        Raises
        ------
        DataError
            Naming the first class that has none.
        """
        usable = {sample.label for sample in self.usable(self.splits.train)}
        for label, name in enumerate(self.splits.classes):
            if label not in usable:
                raise DataError(
                    f"{self.training.data}: none of the images of class {name!r} could be decoded"
                )

    @property
    def features(self) -> FeaturesRecord:
        """Feature rows so far, for the report."""
        return {"computed": self.computed, "from_cache": self.from_cache}

    def common_record(self, engine: Engine) -> CommonRecord:
        """What the report of every training says of its backbone, engine and data."""
        training, splits = self.training, self.splits
        return {
            "backbone": self.backbone.record,
            "engine": engine.choice.record,
            "mode": training.mode,
            "solver": training.solver,
            "metric": metric_of(training.metric, training.data).record,
            "recipe": recipe_record(training.recipe, training.departures),
            "n_train": len(self.usable(splits.train)),
            "n_val": len(self.usable(splits.val)),
            "n_classes": len(splits.classes),
            "data": {
                "splits": splits.sizes,
                "ignored": dict(splits.ignored),
                "left_out": dict(splits.left_out),
                "learned_too": {name: list(ids) for name, ids in splits.learned_too},
            },
            "skipped": len(self.skipped),
            "warnings": [*self.backbone.warnings, *self.doubts],
        }
