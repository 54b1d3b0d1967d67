"""The SGD loop: epochs, checkpoints, and going on where it stood."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from time import monotonic

from edgetransfer.reports.train import EpochRecord, ValidationRecord
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import CHECKPOINT, METRICS, SKIPPED
from edgetransfer.settings.train import CHECKPOINT_SECONDS
from edgetransfer.train.checkpoint import TrainingState
from edgetransfer.train.epochs import EpochSource
from edgetransfer.train.job_context import JobContext
from edgetransfer.train.learning import Solver, learn_epoch

Validate = Callable[[], ValidationRecord]


class SGDTraining:
    """One SGD training, from wherever its state says, to its end.

    Parameters
    ----------
    context
        The job that it is part of.
    state
        Fresh, or from a checkpoint; kept up to date.
    validate
        Called after each epoch; its numbers go into the epoch's record.
    stage
        Of the clock: what the steps count as.
    """

    def __init__(
        self,
        context: JobContext,
        run: RunFolder,
        solver: Solver,
        source: EpochSource,
        state: TrainingState,
        validate: Validate,
        stage: str = "head",
    ) -> None:
        self.stage = stage
        self.settings = context.training
        self.run = run
        self.solver = solver
        self.source = source
        self.skipped = context.skipped
        self.clock = context.clock
        self.state = state
        self.validate = validate
        self.progress = context.progress
        given = self.settings.checkpoint_seconds
        self._between = CHECKPOINT_SECONDS if given is None else given
        self._saved_at = monotonic()
        self._epoch_since = monotonic()

    def train(self) -> None:
        """Run the remaining epochs; the last checkpoint survives whatever interrupts this."""
        while self.state.epoch < self.settings.n_epochs:
            self._epoch()
        self._save()

    def _epoch(self) -> None:
        state, size = self.state, self.settings.batch_size
        if state.batch == 0:
            state.excluded = [record["id"] for record in self.skipped.records]
        order = self.source.order(state.epoch, frozenset(state.excluded))
        self._epoch_since = monotonic() - state.seconds
        stage = f"epoch {state.epoch + 1}/{self.settings.n_epochs}"
        done = min(state.batch * size, len(order))
        self.progress(stage, done, len(order))
        learning = learn_epoch(
            self.source,
            self.solver,
            state.epoch,
            order[done:],
            epochs=self.settings.n_epochs,
            skipped=self.skipped,
            clock=self.clock,
            stage=self.stage,
        )
        with closing(learning):
            for batch in learning:
                state.loss_sum += batch.loss
                state.seen += batch.learned
                state.batch += 1
                done = min(state.batch * size, len(order))
                self.progress(stage, done, len(order))
                if monotonic() - self._saved_at > self._between:
                    self._save()
        self._finish_epoch()

    def _finish_epoch(self) -> None:
        state = self.state
        seconds = monotonic() - self._epoch_since
        record: EpochRecord = {
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
        if monotonic() - self._saved_at > min(1.0, self._between):
            self._save()

    def _save(self) -> None:
        state = self.state
        if state.batch:
            state.seconds = monotonic() - self._epoch_since
        state.skipped = self.skipped.records
        state.stages = self.clock.seconds
        # The checkpoint last: what a kill leaves of the others is written anew after it.
        self.run.write_lines(METRICS, state.history)
        self.run.write_lines(SKIPPED, state.skipped)
        self.run.write(CHECKPOINT, state.serialised(self.solver.state()))
        self._saved_at = monotonic()
