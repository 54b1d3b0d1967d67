"""What all stages of one finetuning share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx
import psutil

from edgetransfer.data import Sample
from edgetransfer.engines import Engine, open_engine
from edgetransfer.features import FeatureCache, FeatureExtractor
from edgetransfer.finetune.plan import Plan
from edgetransfer.heads import LBFGSSolver, LinearHead
from edgetransfer.settings.finetune import FinetuneSettings
from edgetransfer.train.job_context import JobContext


@dataclass(kw_only=True)
class Context(JobContext):
    """One finetuning: its backbone has the normalisation that the finetuned one will have.

    Parameters
    ----------
    own
        Settings that a linear training has not.
    plan
        What is trained, and how.
    memory_before
        Bytes that the process had when it began.
    """

    own: FinetuneSettings
    plan: Plan
    memory_before: int = field(default_factory=lambda: int(psutil.Process().memory_info().rss))

    @property
    def workers(self) -> int | None:
        """Decoding threads."""
        return self.training.workers or self.training.threads

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

    def fitted_head(
        self,
        extractor: FeatureExtractor,
        stage: str,
        cache: FeatureCache | None = None,
        samples: Sequence[Sample] | None = None,
    ) -> LinearHead:
        """An L-BFGS head on the eval-view features of the training images, or of those given."""
        table = self.table(
            extractor, self.splits.train if samples is None else samples, stage, cache
        )
        self.check_classes()
        fitted = LBFGSSolver().fit(
            table.features,
            table.labels,
            self.splits.classes,
            seed=self.training.seed,
            progress=self.progress,
        )
        return fitted.head
