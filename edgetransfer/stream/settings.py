"""All settings of one stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from edgetransfer.errors import UsageError
from edgetransfer.paths import take_strings
from edgetransfer.reprs import short_repr
from edgetransfer.types import Interpolation

LearnerName = Literal["statistics", "replay"]
REPLAYED = {  # settings that the other learner has no use for, and their options
    "batch_size": "batch-size",
    "replay": "replay",
    "replay_size": "replay-size",
    "learning_rate": "learning-rate",
    "momentum": "momentum",
    "weight_decay": "weight-decay",
    "class_weights": "class-weights",
    "reservoir_bytes": "reservoir",
    "refit_every": "refit-every",
    "refit_rows": "refit-rows",
    "l2": "l2",
}


@dataclass(frozen=True, kw_only=True)
class LearningSettings:
    """How a stream is learned; none of these may change between a run and its continuation.

    Parameters
    ----------
    learner
        ``statistics``: exact sums of features and of their products, from which the head is
        solved, so that their order has no influence. ``replay``: steps of SGD on new and
        remembered rows. None: as the run was begun with; a new one by statistics, unless some of
        the settings are of ``replay`` alone.
    batch_size
        Labelled samples that ``replay`` predicts, scores and then learns together. It counts
        samples, so how fast they arrive has no influence on the result, unless they pause: see
        `KeepingSettings.flush_seconds`.
    replay
        Steps of SGD per batch: the first on the new samples and on remembered ones, the others
        on remembered ones alone.
    replay_size
        Remembered rows in each step, drawn class by class.
    views
        Augmented views of each image that are learned; the eval view alone if 0.
    class_weights
        Whether a new sample counts by the inverse of its class's frequency. Remembered rows are
        drawn balanced in any case.
    reservoir_bytes
        Memory of the remembered features.
    refit_every
        Labelled samples before the first L-BFGS refit; the distance doubles each time, up to
        64 times this. 0 for none.
    refit_rows
        Rows of the reservoir that one refit learns at most.
    l2
        Penalty of the refits; the first one chooses it on held-out rows if None.
    pool_bytes
        Memory of the features of unlabelled samples; the oldest leave.
    window
        Samples of the sliding accuracy.
    fading
        How much of its weight a scored sample keeps per later sample, in the fading accuracy.
    """

    learner: LearnerName | None = None
    batch_size: int = 32
    replay: int = 8
    replay_size: int = 64
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    views: int = 0
    class_weights: bool = False
    reservoir_bytes: int = 64 * 2**20
    refit_every: int = 1024
    refit_rows: int = 4096
    l2: float | None = None
    pool_bytes: int = 16 * 2**20
    window: int = 1000
    fading: float = 0.999
    seed: int = 0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.learner not in (None, *get_args(LearnerName)):
            raise UsageError(f"--learner is statistics or replay, not {self.learner!r}")
        least = {
            "batch_size": 1,
            "replay": 1,
            "replay_size": 1,
            "views": 0,
            "reservoir_bytes": 1,
            "refit_every": 0,
            "refit_rows": 2,
            "pool_bytes": 0,
            "window": 1,
            "seed": 0,
        }
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise UsageError(
                    f"{name.replace('_', '-')} must be at least {smallest}, not "
                    f"{getattr(self, name)}"
                )
        if not 0 < self.fading < 1:
            raise UsageError(f"fading lies between 0 and 1, not {self.fading}")
        if self.l2 is not None and not 0 < self.l2 < float("inf"):
            raise UsageError(f"--l2 is 'auto' or a number above zero, not {self.l2}")
        if self.learner == "statistics" and (odd := self._of_replay):
            raise UsageError(
                f"{', '.join(odd)}: of --learner replay; statistics need no such setting"
            )

    @property
    def _of_replay(self) -> list[str]:
        """The settings of ``replay`` alone that are not as they usually are."""
        return [
            f"--{REPLAYED[field.name]}"
            for field in fields(self)
            if field.name in REPLAYED and getattr(self, field.name) != field.default
        ]

    def resolved(self, before: Mapping[str, Any] | None) -> LearningSettings:
        """The same with a learner.

        Parameters
        ----------
        before
            The settings that the run was begun with; None if it is new. Earlier versions had
            ``replay`` alone, and did not name it.
        """
        if self.learner is not None:
            return self
        usual: LearnerName = "replay" if self._of_replay else "statistics"
        return replace(self, learner=usual if before is None else before.get("learner", "replay"))


@dataclass(frozen=True, kw_only=True)
class KeepingSettings:
    """How a run is kept on disk; these may change at every start.

    Parameters
    ----------
    journal_bytes
        Disk that the journal may take; what a checkpoint covers is deleted beyond that.
    checkpoint_seconds
        The time between checkpoints; a restart replays what came after the last. One that takes
        long, of many classes, waits until learning took four times as long.
    checkpoints
        How many are kept, for `rollback`.
    flush_seconds
        How long a labelled sample waits for a full batch while nothing else comes; then it is
        learned with those that there are.
    max_classes
        Samples of further classes are refused: each class takes memory and time for good.
    """

    journal_bytes: int = 256 * 2**20
    checkpoint_seconds: float = 60.0
    checkpoints: int = 5
    flush_seconds: float = 1.0
    max_classes: int = 10_000

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.journal_bytes < 2**16:
            raise UsageError(f"--journal-bytes must be at least 64K, not {self.journal_bytes}")
        if self.checkpoint_seconds < 0:
            raise UsageError("the time between checkpoints cannot be negative")
        if self.max_classes < 1:
            raise UsageError("at least one class is learned")
        if self.flush_seconds < 0:
            raise UsageError("the time that a sample waits cannot be negative")
        if self.checkpoints < 1:
            raise UsageError("at least one checkpoint is kept")


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """One stream: where images come from, what is made of them, where it is kept.

    Parameters
    ----------
    backbone
        An ONNX file, or the name of a bundled backbone.
    source
        ``folder:DIR``, ``jsonl:-``, ``tar:GLOB``, ``http:[HOST:]PORT`` or ``video:FILE``.
    out
        The run folder; made if it is not there, gone on with if it is.
    test_data
        Labelled images to test the head on at the end.
    engine_batch
        Images per call of the engine.
    limit
        Stop when the run has accepted so many samples; None for never.
    max_memory
        Resident bytes above which the run saves itself and stops; None for no limit.
    pause_on_battery
        Take nothing in while the machine runs on its battery.
    metrics_port
        Serve ``/metrics`` and ``/healthz`` on this loopback port, beside any source.
    label, every
        Of a video: the label of its frames, and to take each how manieth.
    repeat
        Begin tar shards anew at their end, each time with new augmented views.
    once
        End when all that is in a watched folder has been seen.
    token
        That HTTP clients must show; needed where the port is not bound to loopback.
    host_names
        Names that the HTTP server answers to, beside the one that it is bound to.
    max_body
        Bytes of one HTTP request or JSON line.
    """

    backbone: str
    source: str
    out: Path
    test_data: Path | None = None
    learning: LearningSettings = LearningSettings()
    keeping: KeepingSettings = KeepingSettings()
    engine: str = "auto"
    engine_batch: int = 16
    threads: int | None = None
    workers: int | None = None
    features: str | None = None
    size: int | None = None
    resize: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    interpolation: Interpolation | None = None
    normalisation: str | None = None
    limit: int | None = None
    nice: int = 0
    max_memory: int | None = None
    pause_on_battery: bool = False
    metrics_port: int | None = None
    label: str | None = None
    every: int = 1
    repeat: bool = False
    once: bool = False
    token: str | None = None
    host_names: tuple[str, ...] = ()
    max_body: int = 16 * 2**20

    __repr__ = short_repr

    def __post_init__(self) -> None:
        take_strings(self, "out", "test_data")
        object.__setattr__(self, "backbone", str(self.backbone))
        for name in ("engine_batch", "threads", "workers", "limit", "every", "max_body"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
        if self.token is not None and (
            not self.token.strip()
            or self.token != self.token.strip()
            or not self.token.isprintable()
        ):
            raise UsageError("--token is not empty, and neither begins nor ends with a space")
        if not 0 <= self.nice <= 19:
            raise UsageError(f"--nice lies between 0 and 19, not {self.nice}")
        if self.metrics_port is not None and not 0 <= self.metrics_port <= 65535:
            raise UsageError(f"--metrics-port lies between 0 and 65535, not {self.metrics_port}")

    def to_config(self) -> dict[str, Any]:
        """TOML values: what opens the backbone on top, the stream's own in ``stream``."""
        backbone = Path(self.backbone)
        config: dict[str, Any] = {
            "backbone": str(backbone.resolve()) if backbone.is_file() else self.backbone,
            "data": self.source,
            "out": str(self.out.resolve()),
            "batch_size": self.engine_batch,
            "seed": self.learning.seed,
            "engine": self.engine,
        }
        for name in ("features", "size", "resize", "interpolation", "normalisation"):
            config[name] = getattr(self, name)
        for name in ("mean", "std"):
            value = getattr(self, name)
            config[name] = None if value is None else list(value)
        config["stream"] = learning_table(self.learning)
        return config


def learning_table(learning: LearningSettings) -> dict[str, Any]:
    """How a run is learned, as its config and its checkpoints hold it."""
    return {key: value for key, value in asdict(learning).items() if value is not None}
