"""From a sparse backbone and a folder of photos to a finetuned, exported classifier."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.card import override
from edgetransfer.data import DataSplits, Sample
from edgetransfer.engines import Engine, open_engine
from edgetransfer.errors import DataError, EdgeTransferError
from edgetransfer.features import (
    FeatureCache,
    FeatureExtractor,
    FeatureTable,
    TrainView,
    cached_features,
    default_cache_folder,
)
from edgetransfer.finetune.baseline import Baseline, linear_baseline
from edgetransfer.finetune.batchnorm import Statistics
from edgetransfer.finetune.export import save_backbone, trained_body
from edgetransfer.finetune.forecast import Forecast
from edgetransfer.finetune.losses import Teacher
from edgetransfer.finetune.partition import size_of
from edgetransfer.finetune.pixels import normalised_by
from edgetransfer.finetune.plan import (
    Plan,
    convolution_statistics,
    layer_rates,
    make_plan,
    memory_of,
    pixel_engine,
    trained_module,
)
from edgetransfer.finetune.running import Runner, torch_threads
from edgetransfer.finetune.settings import FinetuneSettings
from edgetransfer.finetune.solver import FullFinetuner
from edgetransfer.heads import LinearHead, SGDSettings
from edgetransfer.linear import LinearTraining
from edgetransfer.linear.checkpoint import TrainingState, load_checkpoint
from edgetransfer.linear.epochs import CachedEpochs, EpochSource, OnlineEpochs
from edgetransfer.linear.opening import (
    cache_identity,
    head_metadata,
    limited_threads,
    load_splits,
    open_backbone,
)
from edgetransfer.linear.runs import check_finished, common_report, enter_run, replacing
from edgetransfer.linear.sgd_training import SGDTraining
from edgetransfer.linear.skipping import SkippedImages
from edgetransfer.metrics import Accuracy, StageClock, accuracy_of, peak_memory_bytes
from edgetransfer.reports import RunFolder
from edgetransfer.reports.run_folder import BACKBONE, CHECKPOINT, HEAD, REPORT, SKIPPED
from edgetransfer.types import IMAGENET_MEAN, IMAGENET_STD, Progress

logger = logging.getLogger(__name__)

COMPARED = 16  # images that torch and the engine are compared on at the end


def run_finetuning(
    training: LinearTraining,
    own: FinetuneSettings,
    *,
    resume: bool,
    overwrite: bool,
    progress: Progress,
) -> dict[str, Any]:
    """See `edgetransfer.finetune.finetune`."""
    training = replace(training, mode="cached" if own.cached_frozen else "online", solver="sgd")
    backbone = open_backbone(training)
    splits = load_splits(training)
    plan = make_plan(backbone, training, own)
    entered = enter_run(
        training.out,
        resume=resume,
        overwrite=overwrite,
        difference=lambda config: (
            training.difference(config) or own.difference(config.get("finetune", {}))
        ),
        command="finetune",
    )
    run = entered.run
    if entered.finished is not None:
        check_finished(run, Backbone.open(run.file(BACKBONE)).identity)
        return entered.finished
    with (
        limited_threads(training.threads),
        torch_threads(training.threads),
        replacing(run, overwrite=overwrite),
    ):
        run.write_config({**training.to_config(), "finetune": own.to_config()})
        run.write_labels(splits.classes)
        return _Job(training, own, backbone, splits, plan, run, progress).train()


class _Job:
    """One finetuning, from its backbone to its report."""

    def __init__(
        self,
        training: LinearTraining,
        own: FinetuneSettings,
        backbone: Backbone,
        splits: DataSplits,
        plan: Plan,
        run: RunFolder,
        progress: Progress,
    ) -> None:
        self.training = training
        self.own = own
        self.splits = splits
        self.plan = plan
        self.run = run
        self.progress = Forecast(progress, training.n_epochs)
        self.clock = StageClock()
        self.workers = training.workers or training.threads
        self.cache_root = training.cache_dir or default_cache_folder()
        total = len(splits.train) + len(splits.val) + len(splits.test)
        self.skipped = SkippedImages(total, training.max_bad)
        self.backbone = backbone
        self.computed = self.from_cache = 0

    def train(self) -> dict[str, Any]:
        try:
            self.backbone = self._normalised(self.backbone)
            restored = load_checkpoint(self.run.file(CHECKPOINT), self._inputs)
            baseline = None
            if self.own.baseline or self.own.head_init == "linear":
                baseline = self._baseline()
            statistics = self._statistics()
            solver = self._solver(baseline, statistics)
            state = TrainingState(data=self._inputs)
            if restored is not None:
                state = restored[0]
                solver.restore(restored[1])
                self.skipped.restore(state.skipped)
                self.clock.add(**state.stages)
                logger.info("going on in epoch %d", state.epoch + 1)
            frozen = self._frozen_engine()
            with self._extractor(frozen) as extractor:
                self._learn(solver, extractor, state)
                return self._finish(solver, extractor, statistics, baseline, state)
        finally:
            self.run.write_lines(SKIPPED, self.skipped.records)

    @property
    def _inputs(self) -> str:
        """What a checkpoint belongs to."""
        backbone = self.backbone
        parts = (self.splits.fingerprint, backbone.identity, backbone.preprocessing.fingerprint)
        return " ".join(parts)

    def _extractor(self, engine: Engine) -> FeatureExtractor:
        return FeatureExtractor(
            engine, self.backbone.preprocessing, workers=self.workers, clock=self.clock
        )

    def _normalised(self, backbone: Backbone) -> Backbone:
        """The backbone with the normalisation that its finetuned form will have."""
        own, given = self.own.normalise, backbone.preprocessing
        if own == "auto":
            usual = given.mean == IMAGENET_MEAN and given.std == IMAGENET_STD
            own = "data" if usual and not self.own.is_partial else "card"
        if own == "card":
            return backbone
        cache = FeatureCache(self.cache_root, f"moments 1 {given.size} {given.resize}", 6)
        found = normalised_by(
            self.splits.train,
            given,
            cache=cache,
            workers=self.workers,
            skip=self.skipped.add,
            progress=self.progress,
        )
        logger.info("normalisation: mean %s, deviation %s", found.mean, found.std)
        return replace(backbone, card=override(backbone.card, mean=found.mean, std=found.std))

    def _open(self, backbone: Backbone) -> Engine:
        return open_engine(
            backbone.frozen(self.training.batch_size),
            engine=self.training.engine,
            threads=self.training.threads,
            cache=self.cache_root,
        )

    def _table(
        self,
        extractor: FeatureExtractor,
        samples: tuple[Sample, ...],
        stage: str,
        cache: FeatureCache | None = None,
    ) -> FeatureTable:
        table = cached_features(
            extractor,
            [s for s in samples if s not in self.skipped],
            cache=cache,
            skip=self.skipped.add,
            progress=self.progress,
            stage=stage,
        )
        self.computed += table.computed
        self.from_cache += max(len(table.labels) - table.computed, 0)
        return table

    def _baseline(self) -> Baseline:
        """A linear head on the features of the backbone as it is."""
        engine = self._open(self.backbone)
        cache = FeatureCache(
            self.cache_root, cache_identity(self.backbone, engine), engine.dimension
        )
        with self._extractor(engine) as extractor:
            table = self._table(extractor, self.splits.train, "features", cache=cache)
            val = self._table(extractor, self.splits.val, "validation features", cache=cache)
        engine.close()
        found = linear_baseline(
            table,
            val,
            self.splits.classes,
            seed=self.training.seed,
            whole=self.own.head_init == "linear",
            progress=self.progress,
        )
        found.advise(self.training.learning_rate)
        return found

    def _statistics(self) -> Statistics:
        if self.own.batchnorm != "restore":
            return {}
        return convolution_statistics(
            self.plan,
            self.backbone,
            self.splits.train,
            batch_size=self.training.batch_size,
            workers=self.workers,
            progress=self.progress,
        )

    def _solver(self, baseline: Baseline | None, statistics: Statistics) -> FullFinetuner:
        training, own, plan = self.training, self.own, self.plan
        module = trained_module(plan, own, statistics)
        head = LinearHead.initial(self.backbone.dimension, self.splits.classes, training.seed)
        if own.head_init == "linear" and baseline is not None and baseline.head is not None:
            head = baseline.head
        teacher = None
        if own.teacher is not None:
            teacher = Teacher.open(
                own.teacher,
                classes=len(self.splits.classes),
                dimension=self.backbone.dimension,
                given=self.backbone.preprocessing,
                batch_size=plan.micro_batch,
                engine=training.engine,
                threads=training.threads,
                temperature=own.temperature,
            )
        return FullFinetuner(
            Runner(module, plan.device, bfloat16=plan.bfloat16, checkpointing=own.checkpointing),
            plan.parts.shapes,
            head,
            settings=SGDSettings(
                learning_rate=training.learning_rate,
                momentum=training.momentum,
                weight_decay=training.weight_decay,
            ),
            own=own,
            micro_batch=plan.micro_batch,
            masks=plan.masks,
            rates=layer_rates(module, own.layer_decay),
            seed=training.seed,
            teacher=teacher,
        )

    def _frozen_engine(self) -> Engine:
        """What brings images to torch: as they are, or through the frozen part."""
        frozen = self.plan.parts.frozen
        if frozen is None:
            return pixel_engine(self.backbone, self.training.batch_size)
        engine = open_engine(
            frozen,
            engine=self.training.engine,
            threads=self.training.threads,
            cache=self.cache_root,
        )
        logger.info("frozen part: %s (%s)", engine.choice.name, engine.choice.reason)
        return engine

    def _learn(
        self, solver: FullFinetuner, extractor: FeatureExtractor, state: TrainingState
    ) -> None:
        training = self.training
        source: EpochSource
        if self.own.cached_frozen:
            self._check_room()
            table = self._table(extractor, self.splits.train, "frozen part")
            source = CachedEpochs(table.features, table.labels, training.batch_size, training.seed)
        else:
            view = TrainView(
                seed=training.seed,
                epoch=0,
                area=(training.min_crop, 1.0),
                flip=0.5 if training.flip else 0.0,
            )
            source = OnlineEpochs(extractor, self.splits.train, view)
        SGDTraining(
            training,
            self.run,
            solver,
            source,
            self.skipped,
            self.clock,
            state,
            lambda: self._validation(solver, extractor),
            self.progress,
            stage="train",
        ).train()
        usable = {s.label for s in self.splits.train if s not in self.skipped}
        for label, name in enumerate(self.splits.classes):
            if label not in usable:
                raise DataError(
                    f"{training.data}: none of the images of class {name!r} could be decoded"
                )

    def _check_room(self) -> None:
        """The frozen part's output of all images must fit."""
        import psutil

        row = 4 * sum(size_of(shape) for shape in self.plan.parts.shapes)
        needed, free = 2 * row * len(self.splits.train), psutil.virtual_memory().available
        if needed > free:
            raise EdgeTransferError(
                f"--cached-frozen keeps {needed / 2**30:.1f} GiB in memory and "
                f"{free / 2**30:.1f} GiB are free: leave it out, or give a later --from-layer"
            )

    def _validation(self, solver: FullFinetuner, extractor: FeatureExtractor) -> dict[str, float]:
        samples = [s for s in self.splits.val if s not in self.skipped]
        if not samples:
            return {}
        accuracy, head = Accuracy(len(self.splits.classes)), solver.head
        labels = np.array([s.label for s in samples], np.int64)
        for batch in extractor.extract(samples):
            for index, reason in batch.failed:
                self.skipped.add(samples[index], reason)
            if len(batch.indices):
                features = solver.features(batch.features)
                accuracy.update(labels[batch.indices], head.predict(features))
        return {"val_top1": accuracy.top1, "val_mean_per_class": accuracy.mean_per_class}

    def _finish(
        self,
        solver: FullFinetuner,
        extractor: FeatureExtractor,
        statistics: Statistics,
        baseline: Baseline | None,
        state: TrainingState,
    ) -> dict[str, Any]:
        module = solver.module
        body = trained_body(self.plan.body, module.values, statistics)
        exported = save_backbone(body, self.backbone, self.run.file(BACKBONE))
        engine = self._open(exported)
        head = solver.head
        head.save(self.run.file(HEAD), head_metadata(exported, engine))
        with self._extractor(engine) as sparse:
            test = self._table(sparse, self.splits.test, "test features")
            difference = self._difference(solver, extractor, sparse)
        final = None
        if len(test.labels):
            accuracy = accuracy_of(test.labels, head.predict(test.features), len(head.classes))
            final = {"top1": accuracy.top1, "mean_per_class": accuracy.mean_per_class}
        report = {
            **common_report(self.training, self.backbone, engine, self.splits, self.skipped),
            "n_test": len(test.labels),
            "epochs": state.history,
            "final": final,
            "stages": self.clock.seconds,
            "masked": {
                "before": self.plan.masks.zeros,
                "after": self.plan.masks.zeros - self.plan.masks.violations(exported.body),
            },
            "features": {"computed": self.computed, "from_cache": self.from_cache},
            "linear": None if baseline is None else baseline.report,
            "trained": {
                "from": self.plan.parts.first,
                "parameters": sum(p.numel() for p in solver.parameters.values()),
                "frozen_engine": asdict(extractor.engine.choice),
                "device": str(self.plan.device),
                "precision": "bfloat16" if self.plan.bfloat16 else "float32",
                "mean": list(self.backbone.preprocessing.mean),
                "std": list(self.backbone.preprocessing.std),
            },
            "exported": {
                "sha256": exported.sha256,
                "sparsity": exported.sparsity,
                "difference_from_torch": difference,
            },
            "estimated_memory_bytes": memory_of(self.plan, self.training, self.own),
            "peak_memory_bytes": peak_memory_bytes(),
        }
        self.run.write_json(REPORT, report)
        self.run.file(CHECKPOINT).unlink(missing_ok=True)
        return report

    def _difference(
        self, solver: FullFinetuner, extractor: FeatureExtractor, sparse: FeatureExtractor
    ) -> float | None:
        """The largest difference of the engine's features from torch's, over the largest one."""
        samples = [s for s in self.splits.train if s not in self.skipped][:COMPARED]
        with solver.in_float32(), torch.no_grad():
            ours = [solver.features(batch.features) for batch in extractor.extract(samples)]
        theirs = [batch.features for batch in sparse.extract(samples)]
        a, b = np.concatenate(ours), np.concatenate(theirs)
        return float(np.abs(a - b).max() / np.abs(a).max()) if a.any() else None
