"""The report of ``demo``."""

from __future__ import annotations

from typing import TypedDict

from edgetransfer.reports.shared import Accuracies, BackboneRecord, EngineRecord


class OnlineDemoRecord(Accuracies):
    """SGD on augmented digits as they stream in; seconds of the median epoch."""

    epochs: int
    seconds_per_epoch: float
    images_per_second: float


class TwinDemoRecord(TypedDict):
    """The same epochs with the backbone's dense twin; seconds of the median one."""

    epochs: int
    seconds_per_epoch: float
    images_per_second: float


class CachedDemoRecord(Accuracies):
    """L-BFGS on features that are computed once."""

    seconds: float


class GuessRecord(TypedDict):
    """One test digit: its file, what it is, what it was taken for, and how surely (0 to 1)."""

    image: str
    true: str
    predicted: str
    probability: float


class DemoRecord(TypedDict):
    """The report of ``demo``."""

    backbone: BackboneRecord
    engine: EngineRecord
    n_train: int
    n_test: int
    online: OnlineDemoRecord
    dense_twin: TwinDemoRecord
    speedup: float
    cached: CachedDemoRecord
    predictions: list[GuessRecord]
