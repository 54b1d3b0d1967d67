"""The report of ``analyse``."""

from __future__ import annotations

from typing import TypedDict

from edgetransfer.reports.shared import SkippedRecord


class AnalysedEpochRecord(TypedDict):
    """An epoch of a training, as it ended.

    Keys
    ----
    leg
        ``training``, or ``twin`` for what trained the dense twin.
    top1
        On photos that were held out, 0 to 1; null without labels.
    mask_iou
        Weights that this mask and the last one before both keep over those that either keeps.
    revived
        The share of the kept weights that the last mask before had pruned.
    memorised, true_class
        Of the photos under a random label, the share that is taken for it, and for what it shows;
        null where there were none.
    """

    leg: str
    epoch: int
    phase: str
    top1: float | None
    sparsity: float
    mask_iou: float | None
    revived: float | None
    memorised: float | None
    true_class: float | None


class SawToothRecord(TypedDict):
    """What dense phases memorise that the sparse phase before had not.

    Keys
    ----
    dense, sparse
        Means of ``memorised`` at the ends of dense phases and of the sparse ones before them.
    step
        The mean difference, and of ``true_class`` in ``truth``.
    phases
        How many pairs of phases these are means of.
    """

    dense: float
    sparse: float
    step: float
    truth: float
    phases: int


class AnalysedTrainingRecord(TypedDict):
    """How a network was trained, from the report or the checkpoint of ``pretrain``.

    Keys
    ----
    finished
        False where it was read of an interrupted training's checkpoint.
    masks
        How many times the mask was another one at the end of an epoch than at the last before.
    mean_iou
        Over those; null where there are none.
    saw_tooth
        Null without random labels, and without a dense phase behind a sparse one.
    """

    policy: str
    finished: bool
    epochs: list[AnalysedEpochRecord]
    masks: int
    mean_iou: float | None
    saw_tooth: SawToothRecord | None


class OneShotHeadsRecord(TypedDict):
    """Accuracy of a pruned network, by the data set's metric, 0 to 1.

    Keys
    ----
    kept_head
        With the head that was fitted to the network before it was pruned.
    own_head
        With a head that is fitted to its own features.
    """

    kept_head: float
    own_head: float


class OneShotLevelRecord(TypedDict):
    """A network pruned at once.

    Keys
    ----
    sparsity
        Of the layers that were pruned.
    untuned, tuned
        Without and with batch-norm tuned on training views.
    """

    sparsity: float
    untuned: OneShotHeadsRecord
    tuned: OneShotHeadsRecord


class AnalysedNetworkRecord(TypedDict):
    """A network.

    Keys
    ----
    accuracy
        Of a linear head on its features, by the data set's metric; null without data.
    training
        Null where nothing is known of it.
    one_shot
        A level each; empty where it was not asked for.
    """

    name: str
    sha256: str | None
    sparsity: float | None
    accuracy: float | None
    training: AnalysedTrainingRecord | None
    one_shot: list[OneShotLevelRecord]


class AgreementRecord(TypedDict):
    """Two networks, each with a head that was trained alike, on the same photos.

    Keys
    ----
    agreement, interval
        The share of the photos for which both name the same class, and its 95 % interval.
    same_mistake
        Of the photos that both get wrong, the share for which they name the same class; null
        where there are none.
    cross_entropy
        Mean surprise of the second under the first's probabilities, in nats.
    entropy
        Mean of the first's own: the least that the cross-entropy can be.
    """

    first: str
    second: str
    agreement: float
    interval: list[float]
    same_mistake: float | None
    cross_entropy: float
    entropy: float


class AnalysedDataRecord(TypedDict):
    """The photos.

    Keys
    ----
    metric
        ``top1`` or ``mean_per_class``.
    tested_on
        ``test``, or ``val`` where there is no such split.
    held_out
        The share of the training photos that was held out as ``val``, 0 to 1.
    """

    metric: str
    tested_on: str
    held_out: float
    tested: int
    skipped: list[SkippedRecord]


class AnalysisRecord(TypedDict):
    """The report of ``analyse``.

    Keys
    ----
    solver
        Of the heads.
    agreement
        Every pair of networks.
    """

    networks: list[AnalysedNetworkRecord]
    data: AnalysedDataRecord | None
    solver: str
    agreement: list[AgreementRecord]
    warnings: list[str]
