"""One training of a linear head, with everything that it needs opened."""

from __future__ import annotations

from time import monotonic

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.engines import available_cores
from edgetransfer.errors import DataError
from edgetransfer.features import FeatureExtractor, FeatureTable
from edgetransfer.heads import Honest, LinearHead, SGDSolver
from edgetransfer.heads.memory import check_steps_fit
from edgetransfer.metrics import peak_memory_bytes
from edgetransfer.reports.train import EpochRecord, HeadDetails, TrainingRecord
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import CHECKPOINT, HEAD, METRICS, REPORT, SKIPPED
from edgetransfer.train.checkpoint import Arrays, TrainingState, load_checkpoint
from edgetransfer.train.epochs import CachedEpochs, EpochSource, OnlineEpochs, Scaling
from edgetransfer.train.fitting import fit_head, unscaled
from edgetransfer.train.job_context import JobContext
from edgetransfer.train.left_out import scored_splits
from edgetransfer.train.opening import head_metadata, limited_threads, train_view
from edgetransfer.train.run_page import write_page
from edgetransfer.train.scoring import accuracies, validation
from edgetransfer.train.sgd_training import SGDTraining


class LinearJob:
    """One training of a linear head.

    Parameters
    ----------
    context
        What it has in common with other jobs.
    run
        Its folder, owned.
    extractor
        From photos to the backbone's features.
    """

    def __init__(self, context: JobContext, run: RunFolder, extractor: FeatureExtractor) -> None:
        self.context = context
        self.run = run
        self.extractor = extractor
        self.cache = context.cache(extractor.engine)
        self.honest: Honest | None = None
        self.head: LinearHead | None = None
        self.tests: dict[str, FeatureTable] = {}

    def train(self) -> TrainingRecord:
        """Fit the head, save it, and write the report."""
        context, splits = self.context, self.context.splits
        is_sgd = context.training.solver == "sgd"
        state, arrays = TrainingState(data=context.inputs), None
        restored = load_checkpoint(self.run.file(CHECKPOINT), context.inputs) if is_sgd else None
        if restored is not None:
            state, arrays = restored
            context.restore(state)
        try:
            test = self._table(splits.test, "test features")
            val = self._table(splits.val, "validation features")
            if is_sgd:
                head, epochs, details = self._sgd(state, arrays, val)
            else:
                head, epochs, details = self._at_once(val)
        finally:
            self.run.write_lines(SKIPPED, context.skipped.records)
        self.head, self.tests = head, {"val": val, "test": test}
        return self._finish(head, epochs, details, test)

    def _table(self, samples: tuple[Sample, ...], stage: str) -> FeatureTable:
        return self.context.table(self.extractor, samples, stage, self.cache)

    def _train_table(self) -> FeatureTable:
        table = self._table(self.context.splits.train, "training features")
        self.context.check_classes()
        return table

    def _at_once(self, val: FeatureTable) -> tuple[LinearHead, list[EpochRecord], HeadDetails]:
        context, start = self.context, monotonic()
        table = self._train_table()
        with context.clock.measure("head"):
            fitted = fit_head(context.training, table, context.splits.classes, context.progress)
        self.honest = fitted.honest
        seconds = monotonic() - start
        record: EpochRecord = {
            "epoch": 1,
            "seconds": seconds,
            "images_per_second": len(table.labels) / seconds,
            "train_loss": fitted.loss,
            **validation(accuracies(fitted.head, val)),
        }
        self.run.write_lines(METRICS, [record])
        return fitted.head, [record], fitted.details

    def _sgd(
        self, state: TrainingState, arrays: Arrays | None, val: FeatureTable
    ) -> tuple[LinearHead, list[EpochRecord], HeadDetails]:
        context, settings = self.context, self.context.training
        dimension, classes = self.extractor.engine.dimension, context.splits.classes
        check_steps_fit(dimension, len(classes))
        source, scaling = self._source()
        solver = SGDSolver(
            LinearHead.initial(dimension, classes, settings.seed),
            settings.sgd,
            # Online the cores belong to the extractor, and a step is a small part of an epoch.
            threads=1 if settings.mode == "online" else settings.threads or available_cores(),
        )
        if arrays is not None:
            solver.restore(arrays)
        training = SGDTraining(
            context,
            self.run,
            solver,
            source,
            state,
            lambda: validation(accuracies(unscaled(solver.head, scaling), val)),
        )
        with limited_threads(1):  # a step has threads of its own
            training.train()
        context.check_classes()
        if not np.isfinite(solver.head.weights).all():
            raise DataError(
                "the training diverged: the head is not finite; lower --learning-rate or add "
                "--standardize"
            )
        return unscaled(solver.head, scaling), state.history, {}

    def _source(self) -> tuple[EpochSource, Scaling | None]:
        """Where epochs come from, and how their features are scaled."""
        settings, scaling = self.context.training, None
        if settings.mode == "cached":
            table = self._train_table()
            features = table.features
            if settings.standardize:
                scaling = Scaling.of(features)
                features = scaling(features)
            cached = CachedEpochs(features, table.labels, settings.batch_size, settings.seed)
            return cached, scaling
        if settings.standardize:
            scaling = Scaling.of(self._train_table().features)
        view = train_view(settings, epoch=0)
        samples = self.context.splits.train
        return OnlineEpochs(self.extractor, samples, view, scaling, settings.batch_size), scaling

    def _finish(
        self,
        head: LinearHead,
        epochs: list[EpochRecord],
        details: HeadDetails,
        test: FeatureTable,
    ) -> TrainingRecord:
        context, engine = self.context, self.extractor.engine
        head.save(self.run.file(HEAD), head_metadata(context.backbone, engine))
        report: TrainingRecord = {
            **context.common_record(engine),
            "n_test": len(test.labels),
            "epochs": epochs,
            **details,
            "final": accuracies(head, test),
            "stages": context.clock.seconds,
            "features": context.features,
            "peak_memory_bytes": peak_memory_bytes(),
        }
        self.run.write_json(REPORT, report)
        self.run.file(CHECKPOINT).unlink(missing_ok=True)
        return report

    def write_page(self, report: TrainingRecord) -> None:
        """The page for people, of a run that is finished."""
        assert self.head is not None
        context = self.context
        train = self._table(context.splits.train, "training features")
        parts = scored_splits(
            context.training,
            context.splits,
            context.skipped,
            {"train": train, **self.tests},
            self.head,
            self.honest,
            context.progress,
        )
        write_page(
            self.run,
            context.training,
            context.splits.classes,
            parts,
            report,
            skipped=context.skipped.records,
            progress=context.progress,
        )
