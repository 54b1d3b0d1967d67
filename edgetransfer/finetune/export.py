"""The way back: a trained module as sparse ONNX with its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

from edgetransfer.backbones import Backbone
from edgetransfer.backbones.card import METADATA_KEY
from edgetransfer.backbones.graph import Array
from edgetransfer.backbones.writing import write_backbone
from edgetransfer.errors import RunFolderError
from edgetransfer.finetune.batchnorm import Statistics, fold, restore
from edgetransfer.finetune.checking import check_merged
from edgetransfer.finetune.initializers import with_initializers
from edgetransfer.heads import LinearHead
from edgetransfer.owning import owned
from edgetransfer.reports import RunFolder
from edgetransfer.reports.run_folder import BACKBONE, CARD, HEAD, LABELS, REPORT

LABELS_KEY = "edgetransfer.labels"
MODEL = "model.onnx"


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


def merged(backbone: Backbone, head: LinearHead) -> onnx.ModelProto:
    """Backbone and head as one graph with an open batch: images to ``probabilities`` (n, K).

    Card and class names stand in its metadata.
    """
    model = onnx.ModelProto()
    model.CopyFrom(backbone.body)
    graph = model.graph
    features = graph.output[0].name
    taken = {n for node in graph.node for n in (*node.input, *node.output)}
    prefix = next(p for p in ("head", "edgetransfer_head") if f"{p}/logits" not in taken)
    if _is_spatial(backbone):
        graph.node.append(
            onnx.helper.make_node("GlobalAveragePool", [features], [f"{prefix}/pooled"])
        )
        features = f"{prefix}/pooled"
    graph.node.extend(
        [
            onnx.helper.make_node("Flatten", [features], [f"{prefix}/features"], axis=1),
            onnx.helper.make_node(
                "Gemm",
                [f"{prefix}/features", f"{prefix}/weights", f"{prefix}/bias"],
                [f"{prefix}/logits"],
            ),
            onnx.helper.make_node("Softmax", [f"{prefix}/logits"], ["probabilities"], axis=1),
        ]
    )
    graph.initializer.extend(
        [
            numpy_helper.from_array(head.weights, f"{prefix}/weights"),
            numpy_helper.from_array(head.bias, f"{prefix}/bias"),
        ]
    )
    del graph.output[:]
    graph.output.append(
        onnx.helper.make_tensor_value_info(
            "probabilities", onnx.TensorProto.FLOAT, [None, len(head.classes)]
        )
    )
    card = replace(backbone.card, sha256=None, features=f"{prefix}/features")
    onnx.helper.set_model_props(
        model, {METADATA_KEY: card.to_toml(), LABELS_KEY: "\n".join(head.classes)}
    )
    return model


def _is_spatial(backbone: Backbone) -> bool:
    """Whether the feature tensor is a map that the frozen graph averages."""
    operators = [node.op_type for node in backbone.frozen(1).graph.node]
    return (
        operators[-2:] == ["GlobalAveragePool", "Flatten"]
        and [node.op_type for node in backbone.body.graph.node][-2:] != operators[-2:]
    )


def export_run(run: Path, out: Path, *, merge_head: bool = False) -> dict[str, Any]:
    """Write a finished finetuning's backbone, card, head and labels to a new folder.

    The folder can be given to ``predict`` and ``evaluate``.

    Parameters
    ----------
    merge_head
        Also write ``model.onnx``: backbone and head as one graph, images to probabilities.

    Raises
    ------
    RunFolderError
        If the run is no finished finetuning, or ``out`` is taken.
    EdgeTransferError
        If the merged graph does not give what its two parts give; nothing is written then.
    """
    folder = RunFolder.open(run)
    report = folder.read_report()
    if report is None or not folder.file(BACKBONE).is_file():
        raise RunFolderError(f"{run}: not a finished finetuning; `edgetransfer finetune` makes one")
    backbone = Backbone.open(folder.file(BACKBONE))
    head = LinearHead.load(folder.file(HEAD), backbone=backbone.identity)
    whole, difference = None, None
    if merge_head:
        whole = merged(backbone, head)
        difference = check_merged(whole, backbone, head)
    RunFolder.check(out)
    with owned(out, "export"):
        exported = RunFolder.begin(out, resume=False, overwrite=False)
        for name in (BACKBONE, CARD, HEAD, LABELS):
            exported.write(name, folder.file(name).read_bytes())
        if whole is not None:
            exported.write(MODEL, whole.SerializeToString(deterministic=True))
        exported.write_json(REPORT, report)
        exported.write_config({**folder.read_config(), "out": str(out.resolve())})
    return {
        "run": str(run.resolve()),
        "classes": len(head.classes),
        "sparsity": backbone.sparsity,
        "merged_difference": difference,
        "files": sorted(path.name for path in out.iterdir()),
    }
