"""One turn: one epoch of online linear finetuning, measured in a process of its own.

    python -m edgetransfer.benchmark.turn < REQUEST

The request is JSON on stdin; the answer is JSON Lines on stdout: ``{"stage", "done", "total"}``
as work goes on, and last ``{"measured": {...}}`` or ``{"error", "exit_code", "fatal"}``. A
process of its own has a peak memory of its own, and if an engine aborts, the benchmark goes on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, TextIO

import numpy as np

from edgetransfer.atomic import write_atomically
from edgetransfer.benchmark.floor import (
    Floor,
    decoder_of,
    decoding_rate,
    engine_rate,
    pipeline_rate,
)
from edgetransfer.benchmark.int8 import int8_extractor
from edgetransfer.benchmark.paired import outcomes_of
from edgetransfer.benchmark.usage import Usage, clock_speed
from edgetransfer.data import DataSplits, Sample
from edgetransfer.engines import available_cores
from edgetransfer.errors import BackboneError, DataError, EdgeTransferError, EngineError
from edgetransfer.features import (
    FeatureCache,
    FeatureExtractor,
    cached_features,
    default_cache_folder,
)
from edgetransfer.heads import LinearHead, SGDSolver
from edgetransfer.metrics import accuracy_of, peak_memory_bytes
from edgetransfer.train import LinearTraining
from edgetransfer.train.epochs import OnlineEpochs
from edgetransfer.train.learning import learn_epoch
from edgetransfer.train.opening import (
    cache_identity,
    limited_threads,
    load_splits,
    measured_plan,
    open_backbone,
    opened_extractor,
    train_view,
)
from edgetransfer.train.skipping import SkippedImages
from edgetransfer.types import IntArray, Progress
from edgetransfer.untrusted_json import json_value
from edgetransfer.version import __version__

Take = Callable[["TurnRequest", Progress], dict[str, Any]]

WARM_UP = 3  # batches
SKIPPED_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class TurnRequest:
    """Which epoch of which training to measure.

    Parameters
    ----------
    training
        The training as ``train --online`` would do it.
    epoch
        From 0.
    images
        The epoch's first images alone; all if None.
    head_before, head_after
        Where the head and its momentum lie after the epoch before (None for the first), and
        where they go.
    score
        Test the head afterwards, on eval views.
    int8
        Run the backbone in int8 in OpenVINO; a file for what its calibration found.
    """

    training: LinearTraining
    epoch: int
    images: int | None
    head_before: Path | None
    head_after: Path
    score: bool
    int8: Path | None = None

    def to_json(self) -> str:
        """One line, with the release that wrote it."""
        return json.dumps({"release": __version__, **asdict(self)}, default=str)

    @classmethod
    def from_json(cls, text: str) -> TurnRequest:
        """What `to_json` wrote.

        Raises
        ------
        EdgeTransferError
            If another release of this package wrote it: the epoch would be another one.
        """
        values = json_value(text)
        if (release := values.pop("release", "another")) != __version__:
            raise EdgeTransferError(
                f"the process that measures is of edgetransfer {__version__}, and was asked by "
                f"{release}; run it in a folder that has no other edgetransfer in it"
            )
        training = values.pop("training")
        for name in ("data", "out", "test_data", "cache_dir"):
            training[name] = None if training[name] is None else Path(training[name])
        for name in ("mean", "std"):
            training[name] = None if training[name] is None else tuple(training[name])
        before, int8 = values.pop("head_before"), values.pop("int8")
        return cls(
            training=LinearTraining(**training),
            head_before=None if before is None else Path(before),
            int8=None if int8 is None else Path(int8),
            head_after=Path(values.pop("head_after")),
            **values,
        )


def tested_on(splits: DataSplits) -> tuple[Sample, ...]:
    """The samples that accuracy is taken on: the test split, else the validation split."""
    return splits.test or splits.val


def take_turn(request: TurnRequest, progress: Progress) -> dict[str, Any]:
    """Open everything, warm up, measure the parts alone, then the epoch; returns the record."""
    training = request.training
    backbone = open_backbone(training)
    splits = load_splits(training)
    cache_root = training.cache_dir or default_cache_folder()
    with limited_threads(training.threads):
        if request.int8 is None:
            opened = opened_extractor(backbone, training, measured_plan(backbone, training))
        else:
            opened = int8_extractor(backbone, training, splits.train, request.int8)
        with opened as extractor:
            engine = extractor.engine
            epoch = _Epoch(request, extractor, splits, progress)
            epoch.warm_up()
            usage, start = Usage(training.threads), perf_counter()
            floor = epoch.measure_floor()
            beside = usage.since(perf_counter() - start)
            clock = clock_speed()
            measured = epoch.run()
            clocks = [speed for speed in (clock, clock_speed()) if speed is not None]
            scores = {}
            if request.score:
                identity = cache_identity(backbone, engine)
                cache = FeatureCache(cache_root, identity, engine.dimension)
                scores = epoch.score(tested_on(splits), cache)
    return {
        "engine": asdict(engine.choice),
        "plan": {
            "streams": len(extractor.engines),
            "batch_size": engine.batch_size,
            "workers": extractor.workers,
            "cores": training.threads or available_cores(),
        },
        "floor": {**asdict(floor), "rate": floor.rate, "other_load": beside["other_load"]},
        "clock": min(clocks, default=None),
        **measured,
        **scores,
        "peak_memory_bytes": peak_memory_bytes(),
    }


class _Epoch:
    """One epoch of one training, with everything opened."""

    def __init__(
        self,
        request: TurnRequest,
        extractor: FeatureExtractor,
        splits: DataSplits,
        progress: Progress,
    ) -> None:
        self.request = request
        self.extractor = extractor
        self.splits = splits
        self.progress = progress
        training = request.training
        self.view = train_view(training, request.epoch)
        self.source = OnlineEpochs(
            extractor, splits.train, self.view, batch_size=training.batch_size
        )
        everything = self.source.order(request.epoch, frozenset())
        self.order: IntArray = everything[: request.images]
        total = len(self.order) + len(tested_on(splits))
        self.skipped = SkippedImages(total, training.max_bad)
        self.solver = SGDSolver(
            LinearHead.initial(extractor.engine.dimension, splits.classes, training.seed),
            training.sgd,
        )
        if request.head_before is not None:
            from safetensors.numpy import load_file

            self.solver.restore(load_file(request.head_before))

    def warm_up(self) -> None:
        """Run a few batches untimed."""
        self.progress("warming up", 0, len(self.order))
        first = self.order[: WARM_UP * self.extractor.engine.batch_size]
        pipeline_rate(self.extractor, self.splits.train, self.view, first)

    def measure_floor(self) -> Floor:
        """The engine alone, and decoding alone."""
        engine = self.extractor.engine
        with decoder_of(self.extractor) as decoder:
            decoding = decoding_rate(decoder, self.splits.train, self.view, self.order)
        batches = len(self.order) // engine.batch_size
        alone = engine_rate(self.extractor.engines, batches=batches)
        return Floor(engine=alone, decoding=decoding)

    def run(self) -> dict[str, Any]:
        """The timed epoch, just as training does it, and the head's state afterwards."""
        training, clock = self.request.training, self.extractor.clock
        before, machine = clock.seconds, Usage(training.threads)
        done, loss, learned = 0, 0.0, 0
        start = perf_counter()
        learning = learn_epoch(
            self.source,
            self.solver,
            self.request.epoch,
            self.order,
            epochs=training.n_epochs,
            skipped=self.skipped,
            clock=clock,
        )
        with closing(learning):
            for batch in learning:
                loss += batch.loss
                learned += batch.learned
                done += batch.images
                self.progress("epoch", done, len(self.order))
        seconds = perf_counter() - start
        if not np.isfinite(self.solver.head.weights).all():
            raise DataError("the training diverged: the head is not finite; lower --learning-rate")
        usage = machine.since(seconds)
        self._save_head()
        stages = {name: value - before[name] for name, value in clock.seconds.items()}
        # Its threads' time is what the process took beside the other stages.
        forward_wall = stages["forward"]
        others = stages["decode"] + stages["transform"] + stages["head"]
        stages["forward"] = max(usage["cpu_seconds"] - others, 0.0)
        return {
            "seconds": seconds,
            "images": len(self.order),
            "stages": stages,
            "forward_wall": forward_wall,
            **usage,
            "loss": loss / max(learned, 1),
            "skipped": self.skipped.records[:SKIPPED_NAMED],
            "n_skipped": len(self.skipped),
        }

    def score(self, samples: tuple[Sample, ...], cache: FeatureCache) -> dict[str, Any]:
        """The accuracy of the head on the eval views of samples, and which of them it got right."""
        table = cached_features(
            self.extractor,
            samples,
            cache=cache,
            skip=self.skipped.add,
            progress=self.progress,
            stage="testing",
        )
        head = self.solver.head
        predicted = head.predict(table.features)
        accuracy = accuracy_of(table.labels, predicted, len(head.classes))
        return {
            "top1": accuracy.top1,
            "mean_per_class": accuracy.mean_per_class,
            "tested": outcomes_of(table.labels, predicted),
        }

    def _save_head(self) -> None:
        from safetensors.numpy import save

        write_atomically(self.request.head_after, save(self.solver.state()))


def main(stdin: TextIO, stdout: TextIO, take: Take = take_turn) -> None:
    """The child's side; ``take`` measures."""

    def tell(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=stdout, flush=True)

    def progress(stage: str, done: int, total: int) -> None:
        tell({"stage": stage, "done": done, "total": total})

    place: object = "the turn"
    try:
        request = TurnRequest.from_json(stdin.read())
        place = request.head_after
        tell({"measured": take(request, progress)})
    except EdgeTransferError as error:
        fatal = not isinstance(error, EngineError | BackboneError)
        tell({"error": str(error), "exit_code": error.exit_code, "fatal": fatal})
    except MemoryError:
        tell({"error": "not enough memory", "exit_code": 1, "fatal": False})
    except BrokenPipeError:
        sys.exit(1)  # whoever asked has gone
    except OSError as error:
        message = (
            f"{error.filename or place}: {error.strerror or error}; mend that, then "
            "the same command goes on"
        )
        tell({"error": message, "exit_code": 1, "fatal": True})


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
