"""What all stages of one finetuning share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx
import psutil

from edgetransfer.backbones import Backbone
from edgetransfer.data import DataSplits, Sample
from edgetransfer.engines import Engine, open_engine
from edgetransfer.errors import DataError
from edgetransfer.features import (
    FeatureCache,
    FeatureExtractor,
    FeatureTable,
    cached_features,
    default_cache_folder,
)
from edgetransfer.finetune.plan import Plan
from edgetransfer.finetune.settings import FinetuneSettings
from edgetransfer.heads import LBFGSSolver, LinearHead
from edgetransfer.metrics import StageClock
from edgetransfer.train import LinearTraining
from edgetransfer.train.skipping import SkippedImages
from edgetransfer.types import Progress


@dataclass(kw_only=True)
class Context:
    """One finetuning.

    Parameters
    ----------
    training, own
        Its settings.
    backbone
        With the normalisation that the finetuned one will have.
    progress
        Told of all that goes on.
    doubts
        Warnings that belong into the report.
    computed, from_cache
        Feature rows so far.
    memory_before
        Bytes that the process had when it began.
    """

    training: LinearTraining
    own: FinetuneSettings
    backbone: Backbone
    splits: DataSplits
    plan: Plan
    progress: Progress
    skipped: SkippedImages
    clock: StageClock = field(default_factory=StageClock)
    doubts: list[str] = field(default_factory=list)
    computed: int = 0
    from_cache: int = 0
    memory_before: int = field(default_factory=lambda: int(psutil.Process().memory_info().rss))

    @property
    def workers(self) -> int | None:
        """Decoding threads."""
        return self.training.workers or self.training.threads

    @property
    def cache_root(self) -> Path:
        """The folder of caches."""
        return self.training.cache_dir or default_cache_folder()

    @property
    def inputs(self) -> str:
        """What a checkpoint belongs to."""
        backbone = self.backbone
        parts = (self.splits.fingerprint, backbone.identity, backbone.preprocessing.fingerprint)
        return " ".join(parts)

    def usable(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples that were not found to be broken."""
        return [sample for sample in samples if sample not in self.skipped]

    def extractor(self, engine: Engine) -> FeatureExtractor:
        """Images to what the engine makes of them."""
        return FeatureExtractor(
            engine, self.backbone.preprocessing, workers=self.workers, clock=self.clock
        )

    def open(self, model: onnx.ModelProto) -> Engine:
        """A frozen graph in an engine."""
        training = self.training
        return open_engine(
            model, engine=training.engine, threads=training.threads, cache=self.cache_root
        )

    def table(
        self,
        extractor: FeatureExtractor,
        samples: Sequence[Sample],
        stage: str,
        cache: FeatureCache | None = None,
    ) -> FeatureTable:
        """The eval-view features of samples."""
        table = cached_features(
            extractor,
            self.usable(samples),
            cache=cache,
            skip=self.skipped.add,
            progress=self.progress,
            stage=stage,
        )
        self.computed += table.computed
        self.from_cache += max(len(table.labels) - table.computed, 0)
        return table

    def fitted_head(
        self, extractor: FeatureExtractor, stage: str, cache: FeatureCache | None = None
    ) -> LinearHead:
        """An L-BFGS head on the eval-view features of the training images."""
        table = self.table(extractor, self.splits.train, stage, cache)
        self.check_classes()
        fitted = LBFGSSolver().fit(
            table.features,
            table.labels,
            self.splits.classes,
            seed=self.training.seed,
            progress=self.progress,
        )
        return fitted.head

    def check_classes(self) -> None:
        """Every class must have an image that could be decoded.

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
