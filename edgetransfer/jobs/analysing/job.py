"""From networks, and perhaps photos, to what is known of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgetransfer.backbones import Backbone
from edgetransfer.errors import DataError, UsageError
from edgetransfer.jobs.analysing.heads import Answers, Bench
from edgetransfer.jobs.analysing.one_shot import one_shot
from edgetransfer.jobs.analysing.trainings import is_in_training, training_of
from edgetransfer.metrics.agreement import agreement
from edgetransfer.names import readable
from edgetransfer.reports.analyse import (
    AgreementRecord,
    AnalysedNetworkRecord,
    AnalysedTrainingRecord,
    AnalysisRecord,
    OneShotLevelRecord,
)
from edgetransfer.settings.analyse import AnalysisSettings
from edgetransfer.sparsify.at_once import check_tunable
from edgetransfer.train.opening import limited_threads, open_backbone
from edgetransfer.types import Progress, no_progress


@dataclass(frozen=True, kw_only=True)
class _Network:
    """A network as it was named, with what can be had of it."""

    given: str
    name: str
    backbone: Backbone | None
    training: AnalysedTrainingRecord | None


def analyse(settings: AnalysisSettings, *, progress: Progress = no_progress) -> AnalysisRecord:
    """Look at networks; returns what was found. Nothing is written but features into the cache.

    Raises
    ------
    EdgeTransferError
        If a network, the photos, the engine or a training's report cannot be used, or nothing is
        known of a network and there are no photos.
    """
    networks = _told_apart([_opened(settings, given) for given in settings.networks])
    warnings = [text for n in networks if n.backbone is not None for text in n.backbone.warnings]
    if settings.data is None:
        _check_known(networks)
        return _report(settings, networks, None, {}, {}, warnings)
    with limited_threads(settings.threads):
        bench = Bench(settings, settings.data, progress)
        usable = {network.given: _whole(network) for network in networks}
        if settings.levels:
            for backbone in usable.values():
                check_tunable(backbone)
        answers = {given: bench.answers(given, backbone) for given, backbone in usable.items()}
        shots = {
            given: one_shot(settings, bench, given, backbone, answers[given], progress)
            for given, backbone in usable.items()
            if settings.levels
        }
        return _report(settings, networks, bench, answers, shots, warnings)


def _opened(settings: AnalysisSettings, given: str) -> _Network:
    if is_in_training(Path(given)):
        training = training_of(Path(given), None)
        return _Network(given=given, name=Path(given).stem, backbone=None, training=training)
    backbone = Backbone.open(given)
    training = training_of(backbone.path, backbone.sha256)
    if settings.data is not None:
        backbone = open_backbone(settings.training(given, settings.data, held_out=0))
    return _Network(given=given, name=backbone.name, backbone=backbone, training=training)


def _told_apart(networks: Sequence[_Network]) -> list[_Network]:
    """Networks of one name are called as they were given."""
    names = [network.name for network in networks]
    return [
        replace(network, name=readable(network.given)) if names.count(network.name) > 1 else network
        for network in networks
    ]


def _check_known(networks: Sequence[_Network]) -> None:
    unknown = next((network for network in networks if network.training is None), None)
    if unknown is not None:
        raise UsageError(
            f"{unknown.given}: no report of edgetransfer pretrain is beside it, so that without "
            "photos there is nothing to say of it: give --data"
        )


def _whole(network: _Network) -> Backbone:
    if network.backbone is None:
        raise DataError(
            f"{network.given}: its training is not finished: edgetransfer pretrain --resume, or "
            "leave --data away to see how far it is"
        )
    return network.backbone


def _report(
    settings: AnalysisSettings,
    networks: Sequence[_Network],
    bench: Bench | None,
    answers: Mapping[str, Answers],
    shots: Mapping[str, list[OneShotLevelRecord]],
    warnings: list[str],
) -> AnalysisRecord:
    records: list[AnalysedNetworkRecord] = []
    for network in networks:
        own, backbone = answers.get(network.given), network.backbone
        records.append(
            {
                "name": network.name,
                "sha256": None if backbone is None else backbone.sha256,
                "sparsity": None if backbone is None else backbone.sparsity,
                "accuracy": None
                if own is None or bench is None
                else bench.accuracy(own.labels, own.logits),
                "training": network.training,
                "one_shot": shots.get(network.given, []),
            }
        )
    return {
        "networks": records,
        "data": None if bench is None else bench.record,
        "solver": settings.solver,
        "agreement": [
            _pair(first, second, answers)
            for first, second in itertools.combinations(networks, 2)
            if bench is not None
        ],
        "warnings": warnings,
    }


def _pair(first: _Network, second: _Network, answers: Mapping[str, Answers]) -> AgreementRecord:
    one, other = answers[first.given], answers[second.given]
    if one.ids != other.ids:
        raise DataError(
            "a photo could be read for one network and not for another: are files being changed? "
            "Try again"
        )
    found = agreement(one.logits, other.logits, one.labels)
    return {
        "first": first.name,
        "second": second.name,
        "agreement": found.share,
        "interval": list(found.interval),
        "same_mistake": found.same_mistake / found.both_wrong if found.both_wrong else None,
        "cross_entropy": found.cross_entropy,
        "entropy": found.entropy,
    }
