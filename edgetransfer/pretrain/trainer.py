"""The one loop of sparse training: photos, a policy, checkpoints, and a record of each epoch."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch

from edgetransfer.data import Sample
from edgetransfer.errors import DataError
from edgetransfer.metrics import Accuracy
from edgetransfer.pretrain.accounting import Accounting
from edgetransfer.pretrain.checkpoint import Progression, save_checkpoint
from edgetransfer.pretrain.network import Tensors
from edgetransfer.pretrain.objectives import Objective
from edgetransfer.pretrain.photos import Photos
from edgetransfer.pretrain.policies import Policy
from edgetransfer.pretrain.training import Training
from edgetransfer.types import Float32Array, IntArray, Progress

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Trainer:
    """One leg of a training, from the step where the progression stands.

    Parameters
    ----------
    kept
        Tensors that every checkpoint carries along: what an earlier leg ended with.
    """

    training: Training
    policy: Policy
    photos: Photos
    objective: Objective
    progression: Progression
    accounting: Accounting
    folder: Path
    checkpoint_seconds: float
    progress: Progress
    kept: Tensors

    def run(self) -> None:
        """Train to the last step.

        Raises
        ------
        DataError
            If the loss is no longer finite, or too many photos cannot be used.
        """
        self._between_steps = True
        self._saved = self._began = monotonic()
        self._spent = self.progression.seconds
        try:
            while self.progression.step < self.training.horizon.steps:
                self._epoch()
        except KeyboardInterrupt:
            if self._between_steps:  # else batch-norm has learned from a step that is not whole
                self.save()
            raise
        self.policy.finish()

    def _epoch(self) -> None:
        progression, per_epoch = self.progression, self.photos.per_epoch
        epoch, begin = divmod(progression.step, per_epoch)
        excluded = frozenset(progression.excluded)
        began = monotonic()
        stream = self.photos.epoch(epoch, excluded, begin)
        try:
            for batch in stream:
                self._between_steps = False
                if len(batch.labels):
                    self._step(batch.features, batch.labels)
                progression.step += 1
                self._between_steps = True
                total = self.training.horizon.steps
                size = self.photos.batch_size
                self.progress(self._stage, progression.step * size, total * size)
                if monotonic() - self._saved > self.checkpoint_seconds:
                    self.save()
        finally:
            stream.close()
        # An epoch that lost photos is shorter; the next one begins where it would have.
        self._between_steps = False
        progression.step = (epoch + 1) * per_epoch
        self._end_epoch(epoch, monotonic() - began)
        self._between_steps = True

    @property
    def _stage(self) -> str:
        return "training" if self.progression.leg == 0 else "training the dense twin"

    def _step(self, features: Any, labels: Any) -> None:
        step, net = self.progression.step, self.training.net
        batch = self.objective.batch(self._images(features), labels)
        net.module.train()
        self.policy.before_step(step)
        loss = self.policy.step(step, batch)
        if not math.isfinite(loss):
            raise DataError(
                f"the training diverged at step {step} of {self.training.horizon.steps}: the loss "
                "is not finite; start anew (--overwrite) with a lower --learning-rate"
                + (" or --precision float32" if net.bfloat16 else "")
                + f" (what was learned before is in {self.folder})"
            )
        self.accounting.count(self.policy, len(labels))
        self.progression.loss_sum += loss * len(labels)
        self.progression.seen += len(labels)

    def _end_epoch(self, epoch: int, seconds: float) -> None:
        progression = self.progression
        record = {
            "epoch": epoch + 1,
            "phase": self.policy.phase(progression.step - 1),
            "loss": progression.loss_sum / max(progression.seen, 1),
            **self.judged(),
            **self.remembered(),
            **self.accounting.epoch(self.policy),
            "learning_rate": self.policy.rate(progression.step - 1),
            "seconds": round(seconds, 2),
        }
        progression.history[progression.leg].append(record)
        progression.loss_sum, progression.seen = 0.0, 0
        progression.excluded = [record["id"] for record in self.photos.skipped.records]
        logger.info("%s", described(record, self.training.horizon.steps // self.photos.per_epoch))
        if monotonic() - self._saved > self.checkpoint_seconds:
            self.save()

    @torch.no_grad()
    def judged(self) -> dict[str, float | None]:
        """The held-out photos: top-1 accuracy or, without labels, the error of the features."""
        net, tested = self.training.net, self.photos.tested
        if net.has_head:
            counted = Accuracy(len(self.photos.splits.classes))
            for labels, predicted in self._predictions(tested):
                counted.update(labels, predicted)
            return {"top1": counted.top1 if counted.count else None}
        net.module.eval()
        weights, error, batches = self.policy.shown(), 0.0, 0
        for features, labels in self.photos.eval_views(tested):
            batch = self.objective.batch(self._images(features), labels)
            error += float(self.objective(net, batch, weights))
            batches += 1
        return {"feature_error": error / batches if batches else None}

    def remembered(self) -> dict[str, float]:
        """Photos under a random label: how many are taken for that, and how many for the truth.

        Shares, 0 to 1 (thesis 3.6.2); nothing where labels are as they were given.
        """
        wrong = self.photos.mislabelled
        found = list(self._predictions([one.sample for one in wrong])) if wrong else []
        if not found:
            return {}
        given, predicted = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        usable = [one for one in wrong if one.sample not in self.photos.skipped]
        truth = np.array([one.truth for one in usable], np.int64)
        return {
            "memorised": float((predicted == given).mean()),
            "true_class": float((predicted == truth).mean()),
        }

    @torch.no_grad()
    def _predictions(self, samples: Sequence[Sample]) -> Iterator[tuple[IntArray, IntArray]]:
        """Labels of photos in turn, and the classes that the network takes them for."""
        net = self.training.net
        net.module.eval()
        weights = self.policy.shown()
        for features, labels in self.photos.eval_views(samples):
            _, logits = net(torch.from_numpy(self._images(features)), weights)
            assert logits is not None
            yield labels, logits.argmax(dim=1).cpu().numpy().astype(np.int64)

    def _images(self, features: Float32Array) -> Float32Array:
        side = self.photos.extractor.preprocessing.size
        return features.reshape(-1, 3, side, side)

    def save(self) -> None:
        """Write a checkpoint."""
        now = monotonic()
        self.progression.seconds = self._spent + now - self._began
        self.progression.skipped = self.photos.skipped.records
        tensors = self.training.state()
        parts = (("policy", self.policy.state()), ("accounting", self.accounting.state()))
        for part, state in (*parts, ("kept", self.kept)):
            tensors |= {f"{part}/{name}": tensor for name, tensor in state.items()}
        save_checkpoint(self.folder, self.progression, tensors)
        self._saved = monotonic()

    def restore(self, tensors: Tensors) -> None:
        """Go on from a checkpoint's tensors."""
        self.training.restore(tensors)
        for part, taker in (("policy", self.policy), ("accounting", self.accounting)):
            taker.restore(part_of(tensors, part))
        self.kept = part_of(tensors, "kept")


def part_of(tensors: Tensors, part: str) -> Tensors:
    """The tensors of a checkpoint whose names begin so, without that."""
    return {n.removeprefix(f"{part}/"): t for n, t in tensors.items() if n.startswith(f"{part}/")}


def described(record: dict[str, Any], epochs: int) -> str:
    """An epoch in a line."""
    judged = record.get("top1")
    told = f"top-1 {judged:.1%}" if judged is not None else ""
    if record.get("feature_error") is not None:
        told = f"feature error {record['feature_error']:.3f}"
    if "memorised" in record:
        told += f", of random labels {record['memorised']:.1%}, of true ones "
        told += f"{record['true_class']:.1%}"
    return (
        f"epoch {record['epoch']}/{epochs}  {record['phase']:<6}  loss {record['loss']:.3f}  "
        f"{told}  sparsity {record['sparsity']:.1%}"
    )
