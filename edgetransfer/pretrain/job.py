"""A whole sparse training: photos to sparse ONNX, its dense twin, and a report."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

from edgetransfer.atomic import write_atomically
from edgetransfer.backbones import Backbone
from edgetransfer.backbones.writing import check_target
from edgetransfer.data import DataSplits
from edgetransfer.errors import TakenError, UsageError
from edgetransfer.finetune.losses import Teacher
from edgetransfer.finetune.module import OnnxModule
from edgetransfer.finetune.running import torch_threads
from edgetransfer.graphs.compact import compact
from edgetransfer.metrics import peak_memory_bytes
from edgetransfer.paths import without_query
from edgetransfer.pretrain.accounting import Accounting
from edgetransfer.pretrain.checkpoint import Progression, load_checkpoint
from edgetransfer.pretrain.finishing import one_shot_table, tuned, uneven_features
from edgetransfer.pretrain.network import Tensors
from edgetransfer.pretrain.objectives import Batch, FeatureLoss, LabelLoss, Objective
from edgetransfer.pretrain.photos import Photos, load_photos, opened_photos
from edgetransfer.pretrain.places import CHECKPOINT, report_path, twin_path, work_path
from edgetransfer.pretrain.policies import ACDC, Dense, Policy, make_policy
from edgetransfer.pretrain.starting import Start, start_of
from edgetransfer.pretrain.trainer import Trainer
from edgetransfer.pretrain.training import Horizon, Training
from edgetransfer.pretrain.writing import write_network, written_features, written_model
from edgetransfer.runs.json_values import finite
from edgetransfer.runs.owning import owned
from edgetransfer.settings.policies import POLICIES
from edgetransfer.settings.pretrain import Pretraining
from edgetransfer.train.opening import limited_threads
from edgetransfer.types import Progress

logger = logging.getLogger(__name__)


def run_pretraining(
    settings: Pretraining, *, resume: bool, overwrite: bool, progress: Progress
) -> dict[str, Any]:
    """See `edgetransfer.pretrain.pretrain`."""
    began = monotonic()
    has_twin = settings.policy == "acdc" and settings.option("twin") != "none"
    targets = (settings.out, twin_path(settings.out)) if has_twin else (settings.out,)
    for target in targets:
        source = Path(settings.dense) if settings.dense else None
        check_target(target, overwrite=overwrite, source=source)
    splits = load_photos(settings)
    start = start_of(settings, splits.classes)
    with (
        owned(work_path(settings.out), "pretrain", temporary=True),
        limited_threads(settings.threads),
        torch_threads(settings.threads),
        opened_photos(settings, splits, start.preprocessing) as photos,
    ):
        job = _Job(settings, splits, start, photos, progress)
        report = job.run(resume=resume, overwrite=overwrite)
        report["seconds"] = round(job.progression.seconds + monotonic() - job.ended, 1)
        report["seconds_of_this_call"] = round(monotonic() - began, 1)
        report["peak_memory_bytes"] = peak_memory_bytes()
        write_atomically(report_path(settings.out), json.dumps(finite(report), indent=1).encode())
        (work_path(settings.out) / CHECKPOINT).unlink(missing_ok=True)
    return report


class _Job:
    def __init__(
        self,
        settings: Pretraining,
        splits: DataSplits,
        start: Start,
        photos: Photos,
        progress: Progress,
    ) -> None:
        self.settings, self.splits, self.start = settings, splits, start
        self.photos, self.progress = photos, progress
        self.net = start.network(settings)
        self.objective = self._objective()
        self.folder = work_path(settings.out)
        self.inputs = f"{splits.fingerprint} {start.identity}"
        self.progression = Progression(settings=settings.to_config(), inputs=self.inputs)
        self.warnings: list[str] = []
        self.ended = 0.0

    def _objective(self) -> Objective:
        settings = self.settings
        if not settings.labels:
            teacher = OnnxModule(self.start.model, self.start.outputs)
            return FeatureLoss(teacher, self.net.device)
        taught = None
        if settings.teacher is not None:
            assert self.start.head is not None
            taught = Teacher.open(
                settings.teacher,
                classes=len(self.splits.classes),
                dimension=int(self.start.head[0].shape[1]),
                given=self.start.preprocessing,
                batch_size=self.photos.batch_size,
                engine="auto",
                threads=settings.threads,
                temperature=settings.temperature,
            )
        return LabelLoss(
            smoothing=settings.label_smoothing,
            teacher=taught,
            teacher_weight=settings.teacher_weight,
        )

    def run(self, *, resume: bool, overwrite: bool) -> dict[str, Any]:
        training = self._training()
        policy = make_policy(self.settings, training)
        found = load_checkpoint(self.folder, self.settings, self.inputs) if resume else None
        checkpoint = self.folder / CHECKPOINT
        if found is None and checkpoint.exists():
            if not overwrite:
                raise TakenError(
                    f"{self.folder}: holds an unfinished training; give --resume to go on with it, "
                    "or --overwrite to start anew"
                )
            checkpoint.unlink()
        twin: Tensors = {}
        main: Tensors = {}
        accounting = Accounting(self.net)
        if found is not None:
            self.progression = found[0]
            self.photos.skipped.restore(self.progression.skipped)
            logger.info("going on at step %d", self.progression.step)
        if self.progression.leg == 0:
            trainer = self._trainer(training, policy, accounting, found)
            trainer.run()
            if policy.is_pruned_at_the_end:
                tuned(self.net, self.photos, self.settings)
            main = self.net.values
            twin = policy.twin if isinstance(policy, ACDC) else {}
            if isinstance(policy, ACDC) and twin and self.settings.option("twin") == "finetuned":
                self.progression.leg, self.progression.step = 1, policy.last_phase
                self.progression.excluded = [r["id"] for r in self.photos.skipped.records]
                self.net.load(twin)
                found = None
        if self.progression.leg == 1:
            main, twin = self._train_twin(main, found)
        self.ended = monotonic()
        self.net.masks = {}
        self.net.load(main)
        return self._finished(policy, twin)

    def _train_twin(
        self, main: Tensors, found: tuple[Progression, Tensors] | None
    ) -> tuple[Tensors, Tensors]:
        """The second leg, from the weights that the network has; both legs' results."""
        training = self._training()
        self.net.masks = {}
        policy = Dense(self.settings, training)
        trainer = self._trainer(training, policy, Accounting(self.net), found)
        if found is None:
            trainer.kept = main
        trainer.run()
        return trainer.kept, self.net.values

    def _training(self) -> Training:
        settings, per_epoch = self.settings, self.photos.per_epoch
        epochs = settings.n_epochs
        warm = epochs / 20 if settings.warm_up is None else settings.warm_up
        if warm > epochs:
            raise UsageError(f"--warm-up {warm:g} is longer than {epochs} epochs")
        horizon = Horizon(
            steps=epochs * per_epoch,
            per_epoch=per_epoch,
            base_epochs=settings.base_epochs,
            warm_up=round(warm * per_epoch),
            highest=settings.highest_rate,
        )
        return Training(
            self.net,
            self.objective,
            horizon,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            seed=settings.seed,
            samples=self._samples,
        )

    def _samples(self, count: int, size: int, number: int) -> Iterator[Batch]:
        side = self.start.preprocessing.size
        for images, labels in self.photos.drawn(count, size, number):
            yield self.objective.batch(images.reshape(-1, 3, side, side), labels)

    def _trainer(
        self,
        training: Training,
        policy: Policy,
        accounting: Accounting,
        found: tuple[Progression, Tensors] | None,
    ) -> Trainer:
        trainer = Trainer(
            training=training,
            policy=policy,
            photos=self.photos,
            objective=self.objective,
            progression=self.progression,
            accounting=accounting,
            folder=self.folder,
            checkpoint_seconds=self.settings.checkpoint_seconds,
            progress=self.progress,
            kept={},
        )
        if found is not None:
            trainer.restore(found[1])
        return trainer

    def _finished(self, policy: Policy, twin: Tensors) -> dict[str, Any]:
        settings, net = self.settings, self.net
        training = self._training()
        judge = self._trainer(training, Dense(settings, training), Accounting(net), None)
        judged, last = judge.judged(), self.progression.history[0][-1]
        model = written_model(self.start, net)
        if policy.cuts_channels:
            features = written_features(self.start)
            model, _ = compact(model, keep=frozenset((features,)))
        written = write_network(
            self.start, model, settings.out, pruning=self._pruning(), source=self._source(judged)
        )
        report: dict[str, Any] = {
            "policy": settings.policy,
            "out": str(settings.out),
            "sha256": written.sha256,
            "classes": len(self.splits.classes) if settings.labels else None,
            "photos": {"train": len(self.splits.train), "tested": len(self.photos.tested)},
            **judged,
            "sparsity": written.sparsity,
            "sparsity_with_classifier": written.sparsity_with_classifier,
            "prunable_sparsity": net.sparsity,
            "pruned_filters": written.sparsity_report.pruned_filters,
            "macs": {
                "dense": written.sparsity_report.dense_macs,
                "nonzero": written.sparsity_report.nonzero_macs,
            },
            "training_macs": last["training_macs"],
            "training_macs_over_dense": last["training_macs_over_dense"],
            "difference_from_torch": uneven_features(written, net, self.photos),
            "epochs": self.progression.history[0],
            "one_shot": one_shot_table(net, judge, settings),
            "twin": None,
            "skipped": self.photos.skipped.records,
            "warnings": self.warnings,
        }
        if twin:
            report["twin"] = self._write_twin(judge, twin)
        return report

    def _write_twin(self, judge: Trainer, twin: Tensors) -> dict[str, Any]:
        self.net.load(twin)
        judged, out = judge.judged(), twin_path(self.settings.out)
        how = f"none; the dense twin of {self.settings.out.stem} (AC/DC)"
        model = written_model(self.start, self.net)
        written: Backbone = write_network(
            self.start, model, out, pruning=how, source=self._source(judged)
        )
        return {
            "out": str(out),
            "sha256": written.sha256,
            **judged,
            "sparsity": written.sparsity,
            "epochs": self.progression.history[1],
        }

    def _pruning(self) -> str:
        settings = self.settings
        record = POLICIES[settings.policy]
        if settings.policy == "dense":
            return ""
        told = [settings.policy, *([f"({record.paper})"] if record.paper else [])]
        given = {name: settings.option(name) for name in record.options}
        told += [
            f"{name.replace('_', '-')} {value}"
            for name, value in given.items()
            if value is not None
        ]
        if settings.dense_ends:
            told.append("first and last layer dense")
        return ", ".join([" ".join(told[:2]), *told[2:]]) if record.paper else ", ".join(told)

    def _source(self, judged: dict[str, Any]) -> str:
        settings = self.settings
        begun = settings.dense or settings.architecture or "small_resnet"
        top1, error = judged.get("top1"), judged.get("feature_error")
        result = "" if error is None else f"; relative feature error {error:.3f}"
        if top1 is not None:
            result = f"; {top1:.2%} top-1 on {len(self.photos.tested)} photos that were held out"
        data = without_query(settings.data).name
        return (
            f"edgetransfer pretrain, {settings.n_epochs} epochs of {len(self.splits.train)} photos "
            f"({data}), from {'' if settings.dense else 'random weights of '}"
            f"{Path(begun).name}{result}"
        )
