"""Everything that can be said of a backbone without data."""

from __future__ import annotations

import logging

from edgetransfer.backbones import Backbone
from edgetransfer.engines import images_per_second, open_engine
from edgetransfer.errors import EngineError
from edgetransfer.features import default_cache_folder, plan_for
from edgetransfer.graphs.compact import LayerChannels, compact, find_dead_channels
from edgetransfer.graphs.freeze import freeze
from edgetransfer.graphs.sparsity import measure_sparsity
from edgetransfer.jobs.inspection.conventions import compare_conventions
from edgetransfer.jobs.inspection.speed import speed_report
from edgetransfer.reports.backbones import (
    ChannelsRecord,
    EngineTrialRecord,
    InspectRecord,
    NoEngineRecord,
    SpeedRecord,
)
from edgetransfer.settings.inspect import Inspection
from edgetransfer.types import Progress, no_progress

logger = logging.getLogger(__name__)

CARD_MISSED = 0.005  # of a sparsity: it may be rounded


def inspect_backbone(settings: Inspection, progress: Progress = no_progress) -> InspectRecord:
    """Everything that can be said of a backbone; the keys are those of the JSON.

    Speed is the median over about a second of random batches, and beside that of the same
    network without zeros, in turn with it in the same engine. What labelled photos say of its
    normalisation is there where some were given.

    Raises
    ------
    BackboneError
        If it cannot be used as a backbone.
    EngineError
        If an engine was named and cannot run it.
    """
    opened = Backbone.open(settings.backbone, features=settings.features, size=settings.size)
    engine, threads, batch_size = settings.engine, settings.threads, settings.batch_size
    report = opened.sparsity_report
    dead = find_dead_channels(opened.body, keep=frozenset((opened.cut.tensor,)))
    channels = {layer.weights: layer for layer in dead.layers}
    frozen = opened.frozen(batch_size)
    cache = settings.cache_dir or default_cache_folder()
    speed: SpeedRecord | None = None
    try:
        started = open_engine(
            frozen,
            engine=engine,
            threads=threads,
            cache=cache,
            plan=plan_for(opened, cache, threads),
        )
        if settings.compare:
            speed = speed_report(frozen, report, started, threads=threads, cache=cache)
        measured = speed and speed["images_per_second"]
        trial: EngineTrialRecord | NoEngineRecord = {
            **started.choice.record,
            "batch_size": batch_size,
            "images_per_second": measured["sparse"] if measured else images_per_second(started),
        }
        started.close()
    except EngineError as error:
        if engine != "auto":
            raise
        trial = {"error": str(error)}
    made: InspectRecord = {
        "name": opened.name,
        "sha256": opened.sha256,
        "features": {
            "tensor": opened.cut.tensor,
            "dim": opened.dimension,
            "cut": opened.cut.what,
        },
        "input": {"size": opened.preprocessing.size},
        "card": opened.card.record,
        "sparsity": report.sparsity,
        "sparsity_with_classifier": opened.sparsity_with_classifier,
        "pruned_filters": report.pruned_filters,
        "macs": {"dense": report.dense_macs, "nonzero": report.nonzero_macs},
        "dead_channels": {
            "inputs": sum(layer.dead_inputs for layer in dead.layers),
            "cut": dead.cut_outputs,
            "macs_after": _macs_after(opened) if dead.cut_outputs else report.dense_macs,
        },
        "engine": trial,
        "speed": speed,
        "layers": [
            {
                "name": layer.name,
                "shape": list(layer.shape),
                "sparsity": layer.sparsity,
                "pruned_filters": layer.pruned_filters,
                "filters": layer.filters,
                "macs": {"dense": layer.dense_macs, "nonzero": layer.nonzero_macs},
                **_channels(channels.get(layer.name)),
            }
            for layer in report.layers
        ],
        "warnings": [*opened.warnings, *_card_doubts(opened)],
    }
    if settings.data is not None:
        made["normalisations"] = compare_conventions(
            opened, settings.data, engine=engine, threads=threads, cache=cache, progress=progress
        )
    return made


def _card_doubts(backbone: Backbone) -> list[str]:
    """Where a card says of its file what the file is not."""
    card, texts = backbone.card, []
    if card.dimension not in (None, backbone.dimension):
        texts.append(
            f"{backbone.path.name}: its card says {card.dimension} features, the graph makes "
            f"{backbone.dimension}"
        )
    measured = (backbone.sparsity, backbone.sparsity_with_classifier)
    for said, found in zip((card.sparsity, card.sparsity_with_classifier), measured, strict=True):
        if said is not None and found is not None and not abs(said - found) <= CARD_MISSED:
            texts.append(
                f"{backbone.path.name}: its card says a sparsity of {said:.1%}, the file has "
                f"{found:.1%}"
            )
    for text in texts:
        logger.warning("%s", text)
    return texts


def _channels(layer: LayerChannels | None) -> ChannelsRecord:
    """Dead channels of one layer; None where its form is not understood."""
    if layer is None:
        return {"inputs": None, "dead_inputs": None, "cut_inputs": None, "cut_outputs": None}
    return {
        "inputs": layer.inputs,
        "dead_inputs": layer.dead_inputs,
        "cut_inputs": layer.cut_inputs,
        "cut_outputs": layer.cut_outputs,
    }


def _macs_after(backbone: Backbone) -> int:
    """Multiply-adds an image, zeros included, once dead channels are cut away."""
    smaller, _ = compact(backbone.body, keep=frozenset((backbone.cut.tensor,)))
    frozen = freeze(smaller, batch_size=1, size=backbone.preprocessing.size)
    return measure_sparsity(frozen).dense_macs
