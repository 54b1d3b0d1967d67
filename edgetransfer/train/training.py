"""From a backbone and a folder of photos to a trained, saved classifier."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import monotonic
from typing import Any

import numpy as np

from edgetransfer.backbones import Backbone, warn_of_logits
from edgetransfer.data import DataSplits, Sample
from edgetransfer.engines import EnginePlan, available_cores
from edgetransfer.errors import DataError, UsageError
from edgetransfer.features import (
    FeatureCache,
    FeatureExtractor,
    FeatureTable,
    cached_features,
    default_cache_folder,
)
from edgetransfer.findings import unseen
from edgetransfer.heads import Honest, LinearHead, SGDSolver
from edgetransfer.metrics import accuracy_of, peak_memory_bytes
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import CHECKPOINT, HEAD, METRICS, REPORT, SKIPPED
from edgetransfer.train.checkpoint import Arrays, TrainingState, load_checkpoint
from edgetransfer.train.epochs import CachedEpochs, EpochSource, OnlineEpochs, Scaling
from edgetransfer.train.fitting import fit_head, unscaled
from edgetransfer.train.inputs import write_inputs
from edgetransfer.train.left_out import fitted_honestly, left_out
from edgetransfer.train.opening import (
    cache_identity,
    head_metadata,
    limited_threads,
    load_splits,
    measured_plan,
    open_backbone,
    opened_extractor,
)
from edgetransfer.train.recipe import warning_of
from edgetransfer.train.run_page import page_may_fail, write_page
from edgetransfer.train.runs import check_finished, common_report, entered_run, replacing
from edgetransfer.train.settings import LinearTraining
from edgetransfer.train.sgd_training import SGDTraining
from edgetransfer.train.skipping import SkippedImages
from edgetransfer.types import Progress, no_progress

logger = logging.getLogger(__name__)


def train_linear(
    settings: LinearTraining | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
    **given: Any,
) -> dict[str, Any]:
    """Train a linear head on a backbone's features; returns the report.

        train_linear(backbone="tinyresnet-90", data="photos", out="run")

    Parameters
    ----------
    settings
        What to train on what.
    given
        The fields of `LinearTraining` by name, in place of settings.

    The run folder holds everything afterwards; see `edgetransfer.runs.run_folder`. A run that
    was interrupted leaves its checkpoint, and with ``resume`` ends exactly as if it had not been.

    Raises
    ------
    EdgeTransferError
        If the backbone, the data, the engine or the run folder cannot be used.
    """
    if settings is None:
        settings = LinearTraining(**given)
    elif given:
        raise UsageError(f"give settings or {', '.join(given)}, not both")
    departed = warning_of(settings.departures)
    for text in departed:
        logger.warning("%s", text)
    backbone = open_backbone(settings)
    splits = load_splits(settings)
    warn_of_logits(backbone, len(splits.classes))
    with entered_run(
        settings.out, splits, resume=resume, overwrite=overwrite, difference=settings.difference
    ) as entered:
        run = entered.run
        if entered.finished is not None:
            check_finished(run, backbone.identity)
            return entered.finished
        plan = _plan(settings, run, backbone, resume=resume)
        with (
            limited_threads(settings.threads),
            opened_extractor(backbone, settings, plan) as extractor,
        ):
            choice = extractor.engine.choice
            logger.info("engine: %s (%s)", choice.name, choice.reason)
            with replacing(run, overwrite=overwrite):
                run.write_config({**settings.to_config(), "plan": plan.to_config()})
                run.write_labels(splits.classes)
                write_inputs(run, splits)
                doubts = [*departed, *entered.doubts]
                job = _Job(settings, backbone, splits, run, extractor, progress, doubts)
                report = job.train()
            if settings.report:
                with page_may_fail():
                    job.write_page(report)
            return report


def _plan(
    settings: LinearTraining, run: RunFolder, backbone: Backbone, *, resume: bool
) -> EnginePlan:
    """How to run the backbone: as the run began, so that it ends as it would have, or as tuned."""
    if resume and run.has_results:
        return EnginePlan.from_config(run.read_config().get("plan")) or EnginePlan()
    return measured_plan(backbone, settings)


class _Job:
    """One training, with everything that it needs opened."""

    def __init__(
        self,
        settings: LinearTraining,
        backbone: Backbone,
        splits: DataSplits,
        run: RunFolder,
        extractor: FeatureExtractor,
        progress: Progress,
        doubts: Sequence[str] = (),
    ) -> None:
        self.doubts = doubts
        self.settings = settings
        self.backbone = backbone
        self.engine = engine = extractor.engine
        self.splits = splits
        self.run = run
        self.extractor = extractor
        self.clock = extractor.clock
        self.progress = progress
        self.computed = self.from_cache = 0
        self.honest: Honest | None = None
        self.head: LinearHead | None = None
        self.val: FeatureTable | None = None
        self.test: FeatureTable | None = None
        total = len(splits.train) + len(splits.val) + len(splits.test)
        self.skipped = SkippedImages(total, settings.max_bad)
        self.cache = FeatureCache(
            settings.cache_dir or default_cache_folder(),
            cache_identity(backbone, engine),
            engine.dimension,
        )

    def train(self) -> dict[str, Any]:
        restored = None
        if self.settings.solver == "sgd":
            restored = load_checkpoint(self.run.file(CHECKPOINT), self._inputs)
        state = TrainingState(data=self._inputs)
        if restored is not None:
            state = restored[0]
            self.skipped.restore(state.skipped)
            self.clock.add(**state.stages)
            logger.info("going on in epoch %d", state.epoch + 1)
        try:
            test = self._table(self.splits.test, "test features")
            val = self._table(self.splits.val, "validation features")
            if self.settings.solver == "sgd":
                head, details = self._sgd(state, restored[1] if restored else None, val)
            else:
                head, details = self._at_once(val)
        finally:
            self.run.write_lines(SKIPPED, self.skipped.records)
        self.head, self.val, self.test = head, val, test
        return self._finish(head, details, test)

    @property
    def _inputs(self) -> str:
        """What a checkpoint belongs to: the data set, the backbone and its preprocessing."""
        backbone = self.backbone
        parts = (self.splits.fingerprint, backbone.identity, backbone.preprocessing.fingerprint)
        return " ".join(parts)

    def _table(self, samples: tuple[Sample, ...], stage: str) -> FeatureTable:
        tried = [s for s in samples if s not in self.skipped]
        table = cached_features(
            self.extractor,
            tried,
            cache=self.cache,
            skip=self.skipped.add,
            progress=self.progress if samples else no_progress,
            stage=stage,
        )
        _check_finite(table, [s for s in tried if s not in self.skipped])
        self.computed += table.computed
        self.from_cache += len(table.labels) - min(table.computed, len(table.labels))
        return table

    def _train_table(self) -> FeatureTable:
        table = self._table(self.splits.train, "training features")
        self._check_classes()
        return table

    def _check_classes(self) -> None:
        """Every class must have a training image that could be decoded."""
        usable = {s.label for s in self.splits.train if s not in self.skipped}
        for label, name in enumerate(self.splits.classes):
            if label not in usable:
                raise DataError(
                    f"{self.settings.data}: none of the images of class {name!r} could be decoded"
                )

    def _at_once(self, val: FeatureTable) -> tuple[LinearHead, dict[str, Any]]:
        start = monotonic()
        table = self._train_table()
        with self.clock.measure("head"):
            fitted = fit_head(self.settings, table, self.splits.classes, self.progress)
        self.honest = fitted.honest
        seconds = monotonic() - start
        record = {
            "epoch": 1,
            "seconds": seconds,
            "images_per_second": len(table.labels) / seconds,
            "train_loss": fitted.loss,
            **self._validation(fitted.head, val),
        }
        self.run.write_lines(METRICS, [record])
        return fitted.head, {"epochs": [record], **fitted.details}

    def _sgd(
        self,
        state: TrainingState,
        arrays: Arrays | None,
        val: FeatureTable,
    ) -> tuple[LinearHead, dict[str, Any]]:
        settings = self.settings
        scaling = None
        source: EpochSource
        if settings.mode == "cached":
            table = self._train_table()
            features = table.features
            if settings.standardize:
                scaling = Scaling.of(features)
                features = scaling(features)
            source = CachedEpochs(features, table.labels, settings.batch_size, settings.seed)
        else:
            if settings.standardize:
                scaling = Scaling.of(self._train_table().features)
            source = OnlineEpochs(
                self.extractor,
                self.splits.train,
                settings.view(epoch=0),
                scaling,
                settings.batch_size,
            )
        solver = SGDSolver(
            LinearHead.initial(self.engine.dimension, self.splits.classes, settings.seed),
            settings.sgd,
            # Online the cores belong to the extractor, and a step is a small part of an epoch.
            threads=1 if settings.mode == "online" else settings.threads or available_cores(),
        )
        if arrays is not None:
            solver.restore(arrays)
        training = SGDTraining(
            settings,
            self.run,
            solver,
            source,
            self.skipped,
            self.clock,
            state,
            lambda: self._validation(unscaled(solver.head, scaling), val),
            self.progress,
        )
        with limited_threads(1):  # a step has threads of its own
            training.train()
        self._check_classes()
        if not np.isfinite(solver.head.weights).all():
            raise DataError(
                "the training diverged: the head is not finite; lower --learning-rate or add "
                "--standardize"
            )
        return unscaled(solver.head, scaling), {"epochs": state.history}

    def _validation(self, head: LinearHead, val: FeatureTable) -> dict[str, float]:
        if not len(val.labels):
            return {}
        return {f"val_{name}": value for name, value in self._score(head, val).items()}

    def _score(self, head: LinearHead, table: FeatureTable) -> dict[str, float]:
        accuracy = accuracy_of(table.labels, head.predict(table.features), len(head.classes))
        return {"top1": accuracy.top1, "mean_per_class": accuracy.mean_per_class}

    def _finish(
        self, head: LinearHead, details: dict[str, Any], test: FeatureTable
    ) -> dict[str, Any]:
        settings = self.settings
        head.save(self.run.file(HEAD), head_metadata(self.backbone, self.engine))
        final = self._score(head, test) if len(test.labels) else None
        report = {
            **common_report(
                settings, self.backbone, self.engine, self.splits, self.skipped, self.doubts
            ),
            "n_test": len(test.labels),
            **details,
            "final": final,
            "stages": self.clock.seconds,
            "features": {"computed": self.computed, "from_cache": self.from_cache},
            "peak_memory_bytes": peak_memory_bytes(),
        }
        self.run.write_json(REPORT, report)
        self.run.file(CHECKPOINT).unlink(missing_ok=True)
        return report

    def write_page(self, report: dict[str, Any]) -> None:
        """The page for people, of a run that is finished."""
        assert self.head is not None
        train = self._table(self.splits.train, "training features")
        honest = self.honest
        if honest is None:
            _, honest = fitted_honestly(self.settings, train, self.splits.classes, self.progress)
        parts = [left_out(self.settings, self._used(self.splits.train), train, honest)]
        for split, samples, table in (
            ("val", self.splits.val, self.val),
            ("test", self.splits.test, self.test),
        ):
            if table is not None and len(table.labels):
                probabilities = self.head.predict_proba(table.features)
                parts.append(unseen(split, self._used(samples), table.features, probabilities))
        write_page(
            self.run,
            self.settings,
            self.splits.classes,
            parts,
            report,
            skipped=self.skipped.records,
            progress=self.progress,
        )

    def _used(self, samples: tuple[Sample, ...]) -> list[Sample]:
        return [s for s in samples if s not in self.skipped]


def _check_finite(table: FeatureTable, samples: list[Sample]) -> None:
    """Refuse features that nothing can be learned from, by the name of their photo."""
    bad = np.flatnonzero(~np.isfinite(table.features).all(axis=1))
    if len(bad):
        more = f" (nor for {len(bad) - 1} others)" if len(bad) > 1 else ""
        raise DataError(
            f"{samples[bad[0]].id}: the backbone gives features for this photo that are not "
            f"finite numbers{more}; check --mean and --std, or use another backbone or --engine"
        )
