"""The way back: a trained module as sparse ONNX with its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import onnx

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.writing import write_backbone
from edgetransfer.finetune.batchnorm import Statistics, fold, restore
from edgetransfer.finetune.initializers import with_initializers
from edgetransfer.graphs.graph import Array


def trained_body(
    body: onnx.ModelProto, values: Mapping[str, Array], statistics: Statistics
) -> onnx.ModelProto:
    """A backbone's graph with trained values, and batch-norm folded where it follows a convolution.

    Parameters
    ----------
    body
        As before the training.
    values
        Initializer name to value, of what was trained.
    statistics
        Of the batch-norm that was put back before the training; empty if none was.
    """
    changed = restore(body, statistics) if statistics else body
    return fold(with_initializers(changed, dict(values)))


def save_backbone(body: onnx.ModelProto, parent: Backbone, path: Path) -> Backbone:
    """Write a finetuned backbone and its card; returns it, opened."""
    card = replace(
        parent.card,
        name=f"{parent.name.removesuffix('-finetuned')}-finetuned",
        features=body.graph.output[0].name,
        parent=parent.sha256,
    )
    return write_backbone(body, card, path, made_from=path)
