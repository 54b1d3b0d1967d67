"""The report of ``sparsify``."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from edgetransfer.reports.evaluate import ClassifierRecord
from edgetransfer.reports.shared import MacsRecord


class DenseRecord(TypedDict):
    """What was pruned."""

    name: str
    sha256: str


class CalibrationPhotosRecord(TypedDict):
    """Photos that were learned from, photos that were held out, and views of each."""

    photos: int
    held_out: int
    views: int


class LayerErrorRecord(TypedDict):
    """Relative error of a layer's output: on what it was fitted to, on photos that were not.

    Keys
    ----
    magnitude_held_out
        Of the same zeros by magnitude alone.
    """

    fitted: float
    held_out: float
    magnitude_held_out: float


class LayerTimesRecord(TypedDict):
    """Milliseconds a batch, with all weights and with what is left."""

    dense: float
    sparse: float


class PrunedLayerRecord(TypedDict):
    """A layer.

    Keys
    ----
    columns
        Weights of one output.
    samples
        Positions that its second moments were taken over.
    """

    name: str
    operator: str
    shape: list[int]
    columns: int
    prunable: bool
    sparsity: float
    samples: NotRequired[int]
    error: NotRequired[LayerErrorRecord | None]
    seconds: NotRequired[float]
    milliseconds: NotRequired[LayerTimesRecord]


class BeforeAfter(TypedDict):
    """A relative error, before and after."""

    before: float | None
    after: float | None


class RefinementRecord(TypedDict):
    """What refining did."""

    minutes: float
    steps: int
    views: int
    photos: int
    held_out_error: BeforeAfter


class PrunedSpeedRecord(TypedDict):
    """Images a second in the engine that is used here."""

    engine: str
    reason: str
    batch_size: int
    dense: float
    sparse: float
    ratio: float


class LikenessRecord(TypedDict):
    """How alike features are to the dense backbone's: mean cosine, and that about their mean."""

    cosine: float
    centred_cosine: float
    relative_error: float


class FeatureLikenessRecord(TypedDict):
    """On photos that were fitted to, and on those that were not, where some were held out."""

    fitted: LikenessRecord
    held_out: NotRequired[LikenessRecord]


class UpstreamRecord(TypedDict):
    """The backbone's own classifier, before and after."""

    dense: ClassifierRecord
    sparse: ClassifierRecord


class SparsifyRecord(TypedDict):
    """The report of ``sparsify``.

    Keys
    ----
    feature_cosine
        The mean on held-out photos, or on all where none were; absent without photos.
    pruned_layers_sparsity
        Of the layers that were pruned.
    batchnorm_tuning
        How far batch-norm that was tuned brought the features back; null where it was not.
    measured
        What the choice of layers by time was based on.
    upstream
        With --evaluate.
    """

    dense: DenseRecord
    method: str
    pattern: str
    distribution: str
    calibration: CalibrationPhotosRecord | None
    layers: list[PrunedLayerRecord]
    refinement: RefinementRecord | None
    batchnorm_tuning: dict[str, Any] | None
    speed: PrunedSpeedRecord | None
    features: FeatureLikenessRecord | None
    feature_cosine: NotRequired[float]
    sparsity: float
    pruned_layers_sparsity: float
    macs: MacsRecord
    measured: dict[str, Any] | None
    warnings: list[str]
    upstream: NotRequired[UpstreamRecord]
    seconds: float
    peak_memory_bytes: int | None
