"""Streams whose slow work, done beside them, takes until it is let go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgetransfer.runs import RunFolder
from edgetransfer.stream import KeepingSettings, LearningSettings
from edgetransfer.stream.keeping.durable import DurableLearner
from edgetransfer.stream.learning.offers import Offer, Receipt

D = 6
SMALL: dict[str, Any] = {
    "batch_size": 2,
    "replay": 1,
    "reservoir_bytes": 4000,
    "refit_every": 4,
    "pool_bytes": 3 * 2 * D,  # three samples without a label
}


class Held:
    """A work that is done beside, and takes until it is let go."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self.go = threading.Event()
        self._work = work

    def __call__(self, *args: Any) -> Any:
        assert self.go.wait(20), "somebody waits for this, who should not"
        return self._work(*args)


def opened(folder: Path, learner: str, **keeping: Any) -> DurableLearner:
    run = RunFolder.begin(folder, resume=True, overwrite=False)
    run.write("config.toml", "[stream]\n")
    learning: dict[str, Any] = {} if learner == "statistics" else SMALL
    return DurableLearner(
        run,
        D,
        LearningSettings(learner=learner, **learning),  # type: ignore[arg-type]
        KeepingSettings(**{"checkpoint_seconds": 1e9, **keeping}),
        identity="x",
        head_metadata={},
    )


def rows(i: int) -> np.ndarray:
    return np.random.default_rng(i).normal(size=(1, D)).astype(np.float32)


def sample(i: int, label: str | None = None) -> Offer:
    return Offer(id=f"n{i}", label="ab"[i % 2] if label is None else label, rows=rows(i))


def told(answered: list[Receipt]) -> Callable[[Sequence[Receipt]], None]:
    return answered.extend
