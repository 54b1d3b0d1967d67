"""The reports of ``backbones``, ``import``, ``inspect`` and ``compact``."""

from __future__ import annotations

from typing import NotRequired, TypedDict, final

from edgetransfer.reports.shared import EngineRecord, MacsRecord


class ListedRecord(TypedDict):
    """A backbone that has a name.

    Keys
    ----
    where
        Bundled, here already, or obtainable.
    parameters, nonzero
        Its weights, and those that are not zero.
    size
        Side of its input, in pixels.
    macs
        Multiply-accumulate operations an image.
    top1
        On ImageNet, in percent, as published.
    top1_photo_a_class
        On one photo of each ImageNet class, in percent, as measured here.
    transfer
        On Caltech-101, in percent, mean per class, as measured here.
    images_per_second
        As ``tune`` measured on this machine.
    command
        What brings it here.
    broken
        Why it cannot be used.
    """

    name: str
    where: str
    parameters: int | None
    nonzero: int | None
    size: int | None
    macs: int | None
    licence: str | None
    top1: float | None
    top1_photo_a_class: float | None
    transfer: float | None
    images_per_second: float | None
    command: str | None
    file: NotRequired[str]
    broken: NotRequired[str]


class BackbonesRecord(TypedDict):
    """The report of ``backbones``."""

    backbones: list[ListedRecord]


class PreprocessingRecord(TypedDict):
    """What an input must look like: (x / 255 - mean) / std, a channel each."""

    size: int
    resize: int
    mean: list[float]
    std: list[float]
    interpolation: str
    channels: str


class CardRecord(TypedDict):
    """What is known of a backbone file.

    Keys
    ----
    features
        The tensor that holds the features.
    top1_photo_a_class
        Of its own classifier on one photo of each ImageNet class, 0 to 1.
    transfer
        Mean accuracy per class of a linear head on Caltech-101, 0 to 1.
    parent
        The sha256 of what it was made from.
    assumed
        Whether the preprocessing was guessed.
    """

    name: str
    preprocessing: PreprocessingRecord
    features: str | None
    dimension: int | None
    sparsity: float | None
    sparsity_with_classifier: float | None
    top1_photo_a_class: float | None
    transfer: float | None
    pruning: str | None
    licence: str | None
    source: str | None
    sha256: str | None
    parent: str | None
    assumed: bool


class FeatureTensorRecord(TypedDict):
    """The tensor that holds the features, and its length.

    Keys
    ----
    cut
        What was cut off behind it.
    """

    tensor: str
    dim: int
    cut: NotRequired[str]


class SourceRecord(TypedDict):
    """What was imported.

    Keys
    ----
    format
        Of the file that was read.
    naming
        Whose parameter names it has.
    named_weights
        Of an ONNX file: how many weights got the names of the checkpoint that it was made of.
    root, left
        Of a checkpoint, as all that follows: where in it the network is, and what else is there.
    classes
        Outputs of its classifier; null if it has none.
    other_widths
        How many layers are of other widths than published.
    masked_layers, thresholded_layers
        Layers whose zeros a mask, or a threshold that was learned, makes.
    passed_over
        What was no weight.
    """

    format: str
    architecture: str | None
    naming: str
    named_weights: NotRequired[int]
    root: NotRequired[str]
    classes: NotRequired[int | None]
    other_widths: NotRequired[int]
    left: NotRequired[list[str]]
    masked_layers: NotRequired[int]
    thresholded_layers: NotRequired[int]
    passed_over: NotRequired[list[str]]


class ImportRecord(SourceRecord):
    """What an import made.

    Keys
    ----
    pruned_filters
        The share of filters whose weights are all zero, 0 to 1.
    """

    out: str
    card: CardRecord
    features: FeatureTensorRecord
    sparsity: float
    pruned_filters: float
    macs: MacsRecord
    warnings: list[str]


class DeadChannelsRecord(TypedDict):
    """Input channels that no weight reads, channels that can be cut, and the MACs then."""

    inputs: int
    cut: int
    macs_after: int


@final
class EngineTrialRecord(EngineRecord):
    """The engine that runs it, and how fast."""

    batch_size: int
    images_per_second: float


@final
class NoEngineRecord(TypedDict):
    """Why no engine runs it."""

    error: str


class SparseAndDense(TypedDict):
    """Images a second, with its zeros and with none."""

    sparse: float
    dense: float


class SlowestRecord(TypedDict):
    """A step of the run that takes long.

    Keys
    ----
    share
        Of the time, 0 to 1.
    work_share
        Of the multiply-adds, 0 to 1.
    """

    layers: list[str]
    share: float
    work_share: float
    sparsity: float | None


class SpeedRecord(TypedDict):
    """What zeros gain here.

    Keys
    ----
    predicted_speedup, speedup
        Over the same network without zeros, by a model of the engine, and as measured.
    reason
        Why something was not measured.
    verdict
        A sentence.
    """

    predicted_speedup: float
    speedup: float | None
    images_per_second: SparseAndDense | None
    slowest: list[SlowestRecord]
    reason: str | None
    verdict: str


class ChannelsRecord(TypedDict):
    """Channels of a layer; null where its form is not understood.

    Keys
    ----
    dead_inputs, cut_inputs, cut_outputs
        Channels that nothing comes through, and that ``compact`` cuts.
    """

    inputs: int | None
    dead_inputs: int | None
    cut_inputs: int | None
    cut_outputs: int | None


class LayerRecord(ChannelsRecord):
    """A layer."""

    name: str
    shape: list[int]
    sparsity: float
    pruned_filters: int
    filters: int
    macs: MacsRecord


class NormalisationRecord(TypedDict):
    """How well a head does on photos under a normalisation, 0 to 1."""

    normalisation: str
    accuracy: float
    photos: int
    means: str


class InputRecord(TypedDict):
    """Side of the input, in pixels."""

    size: int


class InspectRecord(TypedDict):
    """The report of ``inspect``.

    Keys
    ----
    normalisations
        With photos: what they say of the normalisation, the best first.
    """

    name: str
    sha256: str
    features: FeatureTensorRecord
    input: InputRecord
    card: CardRecord
    sparsity: float
    sparsity_with_classifier: float | None
    pruned_filters: float
    macs: MacsRecord
    dead_channels: DeadChannelsRecord
    engine: EngineTrialRecord | NoEngineRecord
    speed: SpeedRecord | None
    layers: list[LayerRecord]
    warnings: list[str]
    normalisations: NotRequired[list[NormalisationRecord]]


class CountsRecord(TypedDict):
    """How large a network is."""

    weights: int
    sparsity: float
    macs: MacsRecord


class CutRecord(TypedDict):
    """Channels of a layer: how many there are, are dead, and are cut away."""

    name: str
    inputs: int
    outputs: int
    dead_inputs: int
    cut_inputs: int
    cut_outputs: int


class DeadRecord(TypedDict):
    """What is dead in a network.

    Keys
    ----
    out
        The file that was written; null where there was nothing to cut.
    """

    out: str | None
    channels_cut: int
    before: CountsRecord
    layers: list[CutRecord]


class CompactRecord(DeadRecord):
    """The report of ``compact``.

    Keys
    ----
    largest_difference
        Of the features, on random images, over the largest feature.
    """

    after: CountsRecord
    largest_difference: float
