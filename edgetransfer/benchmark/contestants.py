"""What is compared: backbones from files, and synthetic ones made on the spot."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from edgetransfer.atomic import write_atomically
from edgetransfer.backbones import Backbone, BackboneCard
from edgetransfer.backbones.architectures.profiles import Published, is_profile, published
from edgetransfer.backbones.card import card_path
from edgetransfer.engines import AUTO, engine_kind
from edgetransfer.settings.benchmark import BenchmarkSettings, SyntheticFamily
from edgetransfer.settings.shared import EngineName
from edgetransfer.train.opening import open_backbone

logger = logging.getLogger(__name__)

Precision = Literal["float32", "int8"]

PEER: EngineName = "openvino"  # the engine that dense is measured in too

WORK_MISSED = 0.01  # of the dense multiply-adds


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One backbone of a comparison.

    Parameters
    ----------
    name
        No other contestant has it.
    backbone
        Opened with the preprocessing that it is measured with.
    baseline
        The name of the contestant that it is compared with; its own name if it is a baseline.
    pattern
        Of the pruning of random weights; None for a file.
    published
        Of the network that the pattern stands for; None if it stands for none.
    precision
        What its weights and activations are multiplied in: ``float32``, or ``int8`` after
        calibration on training photos.
    """

    name: str
    backbone: Backbone
    baseline: str
    pattern: str | None = None
    published: Published | None = None
    precision: Precision = "float32"

    @property
    def published_report(self) -> dict[str, Any] | None:
        """What is published of the network that it stands for, and the work that it has itself."""
        if self.published is None:
            return None
        report = self.backbone.sparsity_report
        return {
            **asdict(self.published),
            "work_reached": report.nonzero_macs / report.dense_macs,
        }

    @property
    def is_synthetic(self) -> bool:
        """Whether its weights are random, so that its accuracy says nothing."""
        return self.pattern is not None

    @cached_property
    def description(self) -> dict[str, Any]:
        """What the report says of it."""
        report = self.backbone.sparsity_report
        return {
            "name": self.name,
            "sha256": self.backbone.sha256,
            "file": self.backbone.path.name,
            "precision": self.precision,
            "synthetic": self.is_synthetic,
            "pattern": self.pattern,
            "published": self.published_report,
            "baseline": self.baseline == self.name,
            "sparsity": report.sparsity,
            "pruned_filters": report.pruned_filters,
            "macs": {"dense": report.dense_macs, "nonzero": report.nonzero_macs},
            "preprocessing": self.backbone.preprocessing.fingerprint,
            "layers": [
                {"name": layer.name, "shape": list(layer.shape), "sparsity": layer.sparsity}
                for layer in report.layers
            ],
        }


def open_files(settings: BenchmarkSettings) -> list[Contestant]:
    """Open the backbones that are files or bundled, the baseline first.

    Raises
    ------
    BackboneError
        If a file is missing or cannot be used as a backbone.
    """
    if settings.baseline is None:
        return []
    found = []
    for name in (settings.baseline, *settings.backbones):
        backbone = open_backbone(settings.training(name, settings.data[0], "auto", seed=0))
        found.append(Contestant(name=backbone.name, backbone=backbone, baseline=""))
    return found


def with_synthetic(
    files: Sequence[Contestant], settings: BenchmarkSettings, folder: Path
) -> list[Contestant]:
    """All contestants, baselines first; synthetic ones are written into the folder."""
    found = list(files)
    for family in settings.synthetic:
        found += _synthetic(settings, family, folder)
    first = {c.backbone.identity: c for c in reversed(found)}
    found = _distinct([c for c in found if first[c.backbone.identity] is c])
    if settings.baseline is not None:
        found = [replace(contestant, baseline=found[0].name) for contestant in found]
    return [one for contestant in found for one in (contestant, *_peers(contestant, settings))]


def has_peers(settings: BenchmarkSettings) -> bool:
    """Whether dense is measured in OpenVINO too, in float32 and int8.

    That is as a person would run it who has no sparse backbone: what is slower says little.
    """
    wanted = settings.peers if settings.peers is not None else settings.engines == (AUTO,)
    return wanted and (settings.peers or engine_kind(PEER).why_absent() is None)


def _peers(contestant: Contestant, settings: BenchmarkSettings) -> list[Contestant]:
    if contestant.baseline != contestant.name or not has_peers(settings):
        return []
    return [replace(contestant, name=f"{contestant.name} in int8", precision="int8")]


def _synthetic(
    settings: BenchmarkSettings, family: SyntheticFamily, folder: Path
) -> list[Contestant]:
    """The dense twin, unless there is another baseline, and the pruned ones."""
    wanted = [(s, pattern) for pattern in settings.distributions for s in family.sparsities]
    if settings.baseline is None:
        wanted.insert(0, (0.0, "uniform"))
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    twin = f"{family.architecture}-dense"
    for sparsity, pattern in wanted:
        name = f"{family.architecture}-{sparsity * 100:g}" if sparsity else twin
        if sparsity and (len(settings.distributions) > 1 or is_profile(pattern)):
            name += f"-{pattern}"
        path = folder / f"{name}.onnx"
        _write_synthetic(path, family.architecture, sparsity, pattern)
        backbone = open_backbone(
            settings.training(str(path), settings.data[0], "auto", seed=0, own_card=True)
        )
        figures = None
        if sparsity and is_profile(pattern):
            figures = published(family.architecture, pattern, sparsity)
        contestant = Contestant(
            name=name, backbone=backbone, baseline=twin, pattern=pattern, published=figures
        )
        _check_work(contestant)
        made.append(contestant)
    return made


def _check_work(contestant: Contestant) -> None:
    """Say where a stand-in has not the work of what it stands for."""
    found = contestant.published_report
    if found is not None and abs(found["work_reached"] - found["work"]) > WORK_MISSED:
        logger.warning(
            "%s has %.3f of the dense multiply-adds, published are %.2f: they are no like",
            *(contestant.name, found["work_reached"], found["work"]),
        )


def _write_synthetic(path: Path, architecture: str, sparsity: float, pattern: str) -> None:
    """Write a graph with random weights and its card, unless they are there."""
    from edgetransfer.backbones.architectures import synthetic

    if path.exists():
        return
    distribution: Any = pattern
    model = synthetic(architecture, sparsity=sparsity, distribution=distribution)
    card = BackboneCard(name=path.stem, pruning=f"random weights, by magnitude, {pattern}")
    write_atomically(card_path(path), card.to_toml().encode())
    write_atomically(path, model.SerializeToString(deterministic=True))


def _distinct(contestants: Sequence[Contestant]) -> list[Contestant]:
    """The contestants with names that differ: the file's own where cards share one."""
    names = [c.name for c in contestants]
    result: list[Contestant] = []
    for contestant in contestants:
        name = contestant.name
        if names.count(name) > 1 and not contestant.is_synthetic:
            name = contestant.backbone.path.stem
        taken = {other.name for other in result}
        unique, number = name, 1
        while unique in taken:
            number += 1
            unique = f"{name} ({number})"
        result.append(replace(contestant, name=unique))
    return result
