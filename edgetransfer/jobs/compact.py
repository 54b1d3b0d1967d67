"""A backbone in; the same backbone without its dead channels out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.catalogue import resolve
from edgetransfer.backbones.writing import check_target, write_backbone
from edgetransfer.engines import open_engine, reference_kind
from edgetransfer.errors import BackboneError, EdgeTransferError
from edgetransfer.graphs.canonical import read_canonical
from edgetransfer.graphs.compact import compact
from edgetransfer.graphs.graph import Array
from edgetransfer.graphs.sparsity import SparsityReport, quantised_node
from edgetransfer.reports.backbones import CompactRecord, CountsRecord, DeadRecord
from edgetransfer.settings.compact import Compaction
from edgetransfer.settings.shared import BackboneReading

TOLERANCE = 1e-5  # of the largest feature
TRIALS = 3


def compact_backbone(settings: Compaction) -> CompactRecord:
    """Cut dead channels away and write what is left; the keys are those of the JSON.

    The features of both are compared in the reference engine, on seeded random images, before
    anything is written. Where nothing is dead, nothing is written and ``out`` is None.

    Raises
    ------
    BackboneError
        If the backbone cannot be read, or is quantised.
    EdgeTransferError
        If the features would differ; nothing is written then.
    UsageError
        If ``out`` cannot be written.
    """
    path = resolve(settings.backbone)
    check_target(settings.out, overwrite=settings.overwrite, source=path)
    read = read_canonical(path)
    before = Backbone.of(path, read, BackboneReading(features=settings.features))
    quantised = quantised_node(read.model)
    if quantised is not None:
        raise BackboneError(
            f"{path}: it is quantised ({quantised.op_type}); channels are cut away before that: "
            "compact the float32 network it was made from"
        )
    smaller, found = compact(read.model, keep=frozenset((before.cut.tensor,)))
    result: DeadRecord = {
        "out": None,
        "channels_cut": found.cut_outputs,
        "before": _counts(before.sparsity_report),
        "layers": [
            {
                "name": layer.weights,
                "inputs": layer.inputs,
                "outputs": layer.outputs,
                "dead_inputs": layer.dead_inputs,
                "cut_inputs": layer.cut_inputs,
                "cut_outputs": layer.cut_outputs,
            }
            for layer in found.layers
        ],
    }
    if not found.cut_outputs:
        return {**result, "after": result["before"], "largest_difference": 0.0}
    difference = _largest_difference(before, smaller)
    if not difference <= TOLERANCE:
        raise EdgeTransferError(
            f"{path}: without its dead channels the features differ by {difference:.1e} of the "
            "largest one; nothing was written. Please report this network"
        )
    note = f"{found.cut_outputs} dead channels cut away"
    card = replace(
        before.card,
        name=settings.out.stem,
        pruning=f"{before.card.pruning}; {note}" if before.card.pruning else note,
        features=settings.features or before.card.features,
        parent=before.sha256,
    )
    after = write_backbone(smaller, card, settings.out, made_from=path)
    return {
        **result,
        "out": str(settings.out),
        "after": _counts(after.sparsity_report),
        "largest_difference": difference,
    }


def _counts(report: SparsityReport) -> CountsRecord:
    return {
        "weights": sum(layer.weights for layer in report.layers),
        "sparsity": report.sparsity,
        "macs": {"dense": report.dense_macs, "nonzero": report.nonzero_macs},
    }


def _largest_difference(before: Backbone, smaller: onnx.ModelProto) -> float:
    """The largest difference of features, over the largest feature, on random images."""
    from edgetransfer.graphs.cut import check_tensor, cut
    from edgetransfer.graphs.freeze import freeze

    body, _ = cut(smaller, check_tensor(smaller, before.cut.tensor))
    size = before.preprocessing.size
    rng = np.random.default_rng(0)
    # Noise, and a bright even picture: borders and saturation both matter.
    noise = [rng.standard_normal((1, 3, size, size), np.float32) for _ in range(TRIALS - 1)]
    images = [*noise, np.full((1, 3, size, size), 2, np.float32)]
    features: list[list[Array]] = []
    for model in (before.frozen(1), freeze(body, batch_size=1, size=size)):
        engine = open_engine(model, engine=reference_kind().name)
        features.append([engine.run(image) for image in images])
        engine.close()
    largest = max(float(np.abs(rows).max()) for rows in features[0])
    differences = [float(np.abs(a - b).max()) for a, b in zip(*features, strict=True)]
    return max(differences) / largest if largest else max(differences)
