"""A whole sparsification: a dense file and a folder of photos to a sparse file and a report."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any, cast

import numpy as np
import onnx

from edgetransfer.backbones import Backbone, open_with
from edgetransfer.backbones.writing import check_target
from edgetransfer.errors import BackboneError, EngineError
from edgetransfer.features import default_cache_folder
from edgetransfer.graphs.sparsity import measure_sparsity
from edgetransfer.metrics.memory import peak_memory_bytes
from edgetransfer.reports.evaluate import ClassifierRecord
from edgetransfer.reports.sparsify import (
    CalibrationPhotosRecord,
    PrunedLayerRecord,
    PrunedSpeedRecord,
    RefinementRecord,
    SparsifyRecord,
)
from edgetransfer.runs.owning import owned
from edgetransfer.settings.evaluate import ClassifierTest
from edgetransfer.settings.sparsify import Sparsification
from edgetransfer.sparsify.budget import Budget, plan
from edgetransfer.sparsify.evaluation import compare_features
from edgetransfer.sparsify.layers import Layer, find_layers
from edgetransfer.sparsify.photos import (
    CalibrationViews,
    find_photos,
    fingerprint,
    held_out_count,
    load_views,
)
from edgetransfer.sparsify.pruning import correct_all, prune_by_magnitude, reconstruct_all
from edgetransfer.sparsify.refine import check_torch, refine
from edgetransfer.sparsify.remarks import doubts, how_made, left_out, shortcomings
from edgetransfer.sparsify.result import write_sparse
from edgetransfer.sparsify.streaming import NetworkPair, batch_axes, shapes_of
from edgetransfer.sparsify.timing import Stopwatch
from edgetransfer.sparsify.tuning import tune, views_beside
from edgetransfer.sparsify.weights import NetworkWeights, copied, zeros_of
from edgetransfer.sparsify.work import WorkFolder, work_path
from edgetransfer.train.upstream import evaluate_upstream
from edgetransfer.types import Progress, no_progress

logger = logging.getLogger(__name__)

VIEWS_TO_COMPARE = 200  # layers at several sparsities
VIEWS_TO_CORRECT = 512  # and to compare features of
CHUNK = 32  # views that go through the networks at once
ALREADY_SPARSE = 0.3


def sparsify(
    settings: Sparsification,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> SparsifyRecord:
    """Prune a dense backbone and write the sparse one; returns the report.

    An interrupted call leaves a folder ``OUT.partial`` that ``resume`` goes on from; the result
    is the same as without the interruption. Nothing else is left half-written.

    Raises
    ------
    BackboneError
        If the graph cannot be pruned.
    DataError
        If the calibration photos cannot be used.
    UsageError
        If a target cannot be reached.
    """
    start = monotonic()
    backbone = open_with(settings.dense, settings)
    check_target(settings.out, overwrite=overwrite, source=backbone.path)
    with owned(work_path(settings.out), "sparsify", temporary=True):
        # Another one may have ended meanwhile.
        check_target(settings.out, overwrite=overwrite, source=backbone.path)
        job = _Job(settings, backbone, progress)
        report = job.run(resume=resume)
        report["seconds"] = round(monotonic() - start, 1)
        report["peak_memory_bytes"] = peak_memory_bytes()
        job.write(settings.out, report)
        job.work.remove()
    return cast(SparsifyRecord, report)  # filled in as it becomes known


class _Job:
    def __init__(self, settings: Sparsification, backbone: Backbone, progress: Progress) -> None:
        self.settings = settings
        self.backbone = backbone
        self.progress = progress
        self.dense = backbone.frozen(CHUNK)
        self.axes = batch_axes(self.dense, backbone.frozen(CHUNK + 1))
        self.pruned = copied(self.dense)
        self.layers = self._prunable_graph()
        if settings.refine_minutes:
            check_torch(self.dense, "--refine trains")
        elif settings.method == "magnitude" and settings.calibration is not None:
            check_torch(self.dense, "--method magnitude tunes batch-norm on --calibration")
        self.tuned: dict[str, Any] | None = None
        self.photos: list[Path] = []
        self.views = self._load_views()
        self.work = WorkFolder(settings.out, self._belongs_to())
        self.warnings = list(backbone.warnings)
        for text in left_out(self.dense, self.layers):
            self._warn(text)

    def run(self, *, resume: bool) -> dict[str, Any]:
        settings, work = self.settings, self.work
        upstream = {"dense": self._upstream(self.backbone.path)}
        work.begin(resume=resume)
        frozen = self.backbone.frozen(settings.batch_size)
        stopwatch = self._stopwatch(frozen)
        budget = self._budget(frozen, stopwatch, work)
        records = self._prune(budget, work)
        refined = self._refine(work)
        report: dict[str, Any] = {
            "dense": {"name": self.backbone.name, "sha256": self.backbone.sha256},
            "method": settings.method,
            "pattern": settings.pattern,
            "distribution": settings.distribution_name,
            "calibration": self._calibration(),
            "layers": records,
            "refinement": refined,
            "batchnorm_tuning": self.tuned,
            "speed": None,
            "features": None,
        }
        if self.views is not None:
            few = self._pair(self.dense, self.pruned, self._views_to_correct)
            closeness = compare_features(few)
            report["features"] = closeness
            report["feature_cosine"] = closeness.get("held_out", closeness["fitted"])["cosine"]
        counted = measure_sparsity(self.pruned)
        report["sparsity"] = counted.sparsity
        report["pruned_layers_sparsity"] = zeros_of(self.pruned, self.layers)
        report["macs"] = {"dense": counted.dense_macs, "nonzero": counted.nonzero_macs}
        if stopwatch is not None:
            report["speed"] = self._speed(frozen, stopwatch)
            self._time_layers(frozen, stopwatch, records)
            stopwatch.close()
        report["measured"] = budget.measured
        target = None if settings.target_speedup is not None else settings.target_sparsity
        if settings.distribution == "time":
            target = None  # as fast as that sparsity everywhere
        for text in [*doubts(records, self.views), *shortcomings(report, target)]:
            self._warn(text)
        report["warnings"] = self.warnings
        if upstream["dense"] is not None:
            self.write(work.trial)
            upstream["sparse"] = self._upstream(work.trial)
            report["upstream"] = upstream
        return report

    def write(self, out: Path, report: dict[str, Any] | None = None) -> None:
        """Write the sparse file, with its card and a report."""
        write_sparse(
            self.settings,
            self.backbone,
            self.layers,
            self.pruned,
            how_made(self.settings, self.views),
            out=out,
            report=report,
        )

    def _prunable_graph(self) -> list[Layer]:
        path = self.backbone.path
        try:
            layers = find_layers(self.dense, self.axes)
        except BackboneError as error:
            raise BackboneError(f"{path}: {error}") from error
        weights = NetworkWeights(self.dense)
        arrays = [weights.array(layer.name) for layer in layers if layer.prunable]
        zeros = sum(int(np.count_nonzero(a == 0)) for a in arrays) / sum(a.size for a in arrays)
        if zeros > ALREADY_SPARSE:
            raise BackboneError(
                f"{path}: is sparse already ({zeros:.0%} of the weights that would be pruned are "
                "zero): sparsify the dense backbone that it was made from"
            )
        return layers

    def _load_views(self) -> CalibrationViews | None:
        settings = self.settings
        if settings.calibration is None:
            return None
        self.photos = find_photos(settings.calibration, settings.seed)
        paths = self.photos[: settings.calibration_images]
        if len(paths) < settings.calibration_images:
            logger.info("%s has %d photos; all are used", settings.calibration, len(paths))
        return load_views(
            paths,
            self.backbone.preprocessing,
            views=settings.views,
            seed=settings.seed,
            workers=settings.threads,
            progress=self.progress,
        )

    def _upstream(self, path: Path) -> ClassifierRecord | None:
        """The accuracy of a whole network, with its own classifier."""
        settings = self.settings
        if settings.evaluate is None:
            return None
        test = ClassifierTest(
            engine=settings.engine,
            threads=settings.threads,
            batch_size=settings.batch_size,
        )
        return evaluate_upstream(path, settings.evaluate, test, self.progress)

    def _belongs_to(self) -> dict[str, Any]:
        photos = None if self.views is None else fingerprint(self.views)
        return {
            **self.settings.deciding(),
            "backbone": self.backbone.identity,
            "photos": photos,
        }

    def _pair(
        self,
        dense: onnx.ModelProto,
        pruned: onnx.ModelProto,
        views: CalibrationViews | None = None,
    ) -> NetworkPair:
        views = self.views if views is None else views
        assert views is not None
        settings = self.settings
        return NetworkPair(
            dense,
            pruned,
            views,
            budget=settings.memory,
            threads=settings.threads,
            axes=self.axes,
        )

    @property
    def _views_to_correct(self) -> CalibrationViews | None:
        return None if self.views is None else self.views.fewer(VIEWS_TO_CORRECT)

    def _stopwatch(self, frozen: onnx.ModelProto) -> Stopwatch | None:
        settings = self.settings
        try:
            return Stopwatch(
                frozen,
                engine=settings.engine,
                threads=settings.threads,
                cache=default_cache_folder(),
            )
        except EngineError:
            if settings.engine != "auto" or settings.distribution_name == "time":
                raise
            return None

    def _budget(
        self, frozen: onnx.ModelProto, stopwatch: Stopwatch | None, work: WorkFolder
    ) -> Budget:
        if "budget" in work.notes:
            return Budget(**work.notes["budget"])
        layers = [layer for layer in self.layers if layer.prunable]
        pair = None
        if self.views is not None:
            few = self.views.fewer(VIEWS_TO_COMPARE)
            pair = self._pair(self.dense, copied(self.dense), few)
        budget = plan(self.settings, layers, pair, frozen, stopwatch, self.progress)
        work.note("budget", asdict(budget))
        return budget

    def _prune(self, budget: Budget, work: WorkFolder) -> list[PrunedLayerRecord]:
        settings = self.settings
        if settings.method == "magnitude":
            records = prune_by_magnitude(settings, self.layers, budget.shares, self.pruned)
            if self.views is not None:
                seen = self.backbone.preprocessing
                views = views_beside(settings, self.photos, seen, self.progress)
                self.tuned = tune(self.dense, self.pruned, views)
            return records
        pair = self._pair(self.dense, self.pruned)
        records = reconstruct_all(settings, self.layers, budget.shares, pair, work, self.progress)
        few = self._pair(self.dense, self.pruned, self._views_to_correct)
        correct_all(settings, self.layers, few, self.progress)
        return records

    def _refine(self, work: WorkFolder) -> RefinementRecord | None:
        if not self.settings.refine_minutes or self.views is None:
            return None
        used = min(self.settings.calibration_images, len(self.photos))
        return refine(
            self.settings,
            self.dense,
            self.pruned,
            self.photos[held_out_count(used) :],
            self.views,
            work.path,
            self.progress,
        )

    def _time_layers(
        self, frozen: onnx.ModelProto, stopwatch: Stopwatch, records: list[PrunedLayerRecord]
    ) -> None:
        dense, sparse = NetworkWeights(self.dense), NetworkWeights(self.pruned)
        layers = [layer for layer in self.layers if layer.prunable]
        weights = [(dense.array(layer.name), sparse.array(layer.name)) for layer in layers]
        times = stopwatch.before_and_after(layers, shapes_of(frozen), weights, self.progress)
        by_name = {record["name"]: record for record in records}
        for layer, (before, after) in zip(layers, times, strict=True):
            by_name[layer.name]["milliseconds"] = {"dense": 1000 * before, "sparse": 1000 * after}

    def _speed(self, frozen: onnx.ModelProto, stopwatch: Stopwatch) -> PrunedSpeedRecord | None:
        sparse = copied(frozen)
        NetworkWeights(sparse).take_from(NetworkWeights(self.pruned), self.layers)
        self.progress("measuring speed", 0, 1)
        try:
            dense_speed, speed = stopwatch.compare(sparse)
        except EngineError as error:
            self._warn(f"the speed was not measured: {error}")
            return None
        return {
            "engine": stopwatch.choice.name,
            "reason": stopwatch.choice.reason,
            "batch_size": self.settings.batch_size,
            "dense": dense_speed,
            "sparse": speed,
            "ratio": speed / dense_speed,
        }

    def _calibration(self) -> CalibrationPhotosRecord | None:
        if self.views is None:
            return None
        return {
            "photos": self.views.photos,
            "held_out": self.views.held_out,
            "views": self.settings.views,
        }

    def _warn(self, text: str) -> None:
        logger.warning("%s", text)
        self.warnings.append(text)
