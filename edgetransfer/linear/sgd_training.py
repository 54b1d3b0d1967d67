"""The SGD loop: epochs, checkpoints, and going on where it stood."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from edgetransfer.heads import SGDSettings
from edgetransfer.linear.checkpoint import Arrays, TrainingState
from edgetransfer.linear.epochs import EpochSource
from edgetransfer.linear.settings import LinearTraining
from edgetransfer.linear.skipping import SkippedImages
from edgetransfer.metrics import StageClock
from edgetransfer.reports import RunFolder
from edgetransfer.reports.run_folder import CHECKPOINT, METRICS, SKIPPED
from edgetransfer.types import Float32Array, IntArray, Progress

Validate = Callable[[], dict[str, float]]


class Solver(Protocol):
    """What learns one batch after the other."""

    @property
    def settings(self) -> SGDSettings:
        """Its learning rate and schedule."""

    def step(self, features: Float32Array, labels: IntArray, learning_rate: float) -> float:
        """Learn (n, D) features and (n,) labels; returns the mean loss before the step."""

    def state(self) -> Arrays:
        """Everything that a checkpoint needs to go on bit for bit."""


class SGDTraining:
    """One SGD training, from wherever its state says, to its end.

    Parameters
    ----------
    state
        Fresh, or from a checkpoint; kept up to date.
    validate
        Called after each epoch; its numbers go into the epoch's record.
    stage
        Of the clock: what the steps count as.
    """

    def __init__(
        self,
        settings: LinearTraining,
        run: RunFolder,
        solver: Solver,
        source: EpochSource,
        skipped: SkippedImages,
        clock: StageClock,
        state: TrainingState,
        validate: Validate,
        progress: Progress,
        stage: str = "head",
    ) -> None:
        self.stage = stage
        self.settings = settings
        self.run = run
        self.solver = solver
        self.source = source
        self.skipped = skipped
        self.clock = clock
        self.state = state
        self.validate = validate
        self.progress = progress
        self._saved_at = monotonic()
        self._epoch_since = monotonic()

    def train(self) -> None:
        """Run the remaining epochs; the last checkpoint survives whatever interrupts this."""
        while self.state.epoch < self.settings.n_epochs:
            self._epoch()

    def _epoch(self) -> None:
        state, size = self.state, self.settings.batch_size
        if state.batch == 0:
            state.excluded = [record["id"] for record in self.skipped.records]
        order = self.source.order(state.epoch, frozenset(state.excluded))
        rate = self.solver.settings.rate(state.epoch, self.settings.n_epochs)
        self._epoch_since = monotonic() - state.seconds
        stage = f"epoch {state.epoch + 1}/{self.settings.n_epochs}"
        done = min(state.batch * size, len(order))
        self.progress(stage, done, len(order))
        stream = self.source.batches(state.epoch, order[done:])
        try:
            for batch in stream:
                for sample, reason in batch.failed:
                    self.skipped.add(sample, reason)
                if len(batch.labels):
                    with self.clock.measure(self.stage):
                        loss = self.solver.step(batch.features, batch.labels, rate)
                    state.loss_sum += loss * len(batch.labels)
                    state.seen += len(batch.labels)
                state.batch += 1
                done = min(state.batch * size, len(order))
                self.progress(stage, done, len(order))
                if monotonic() - self._saved_at > self.settings.checkpoint_seconds:
                    self._save()
        finally:
            stream.close()
        self._finish_epoch()

    def _finish_epoch(self) -> None:
        state = self.state
        seconds = monotonic() - self._epoch_since
        record: dict[str, Any] = {
            "epoch": state.epoch + 1,
            "seconds": seconds,
            "images_per_second": state.seen / seconds if seconds > 0 else 0.0,
            "train_loss": state.loss_sum / max(state.seen, 1),
            **self.validate(),
        }
        state.history.append(record)
        state.epoch += 1
        state.batch, state.loss_sum, state.seen, state.seconds = 0, 0.0, 0, 0.0
        self._epoch_since = monotonic()
        # Epochs on cached features take milliseconds: not each of them is worth a file.
        finished = state.epoch == self.settings.n_epochs
        if finished or monotonic() - self._saved_at > min(1.0, self.settings.checkpoint_seconds):
            self._save()

    def _save(self) -> None:
        state = self.state
        if state.batch:
            state.seconds = monotonic() - self._epoch_since
        state.skipped = self.skipped.records
        state.stages = self.clock.seconds
        self.run.write(CHECKPOINT, state.serialised(self.solver.state()))
        self.run.write_lines(METRICS, state.history)
        self.run.write_lines(SKIPPED, state.skipped)
        self._saved_at = monotonic()
