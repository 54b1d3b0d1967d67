"""The sparse ONNX file, with its card and the report beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.writing import write_backbone
from edgetransfer.graphs.canonical import load_canonical
from edgetransfer.runs.json_values import finite
from edgetransfer.settings.sparsify import Sparsification
from edgetransfer.sparsify.layers import Layer
from edgetransfer.sparsify.weights import NetworkWeights


def report_path(out: Path) -> Path:
    """Where the report of a sparse backbone stands."""
    return out.with_name(f"{out.stem}.sparsify.json")


def write_sparse(
    settings: Sparsification,
    backbone: Backbone,
    layers: list[Layer],
    pruned: onnx.ModelProto,
    how: str,
    *,
    out: Path,
    report: dict[str, Any] | None = None,
) -> None:
    """Write the dense file's graph, classifier included, with the new weights, and a card.

    Parameters
    ----------
    report
        Written beside them, as JSON: all of them or none.
    """
    model = load_canonical(backbone.path)
    NetworkWeights(model).take_from(NetworkWeights(pruned), layers)
    card = replace(
        backbone.card,
        name=settings.out.stem,
        features=backbone.cut.tensor,
        pruning=how,
        parent=backbone.sha256,
    )
    beside = {}
    if report is not None:
        beside[report_path(out)] = json.dumps(finite(report), indent=1).encode()
    write_backbone(model, card, out, made_from=backbone.path, beside=beside)
