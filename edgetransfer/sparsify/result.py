"""The sparse ONNX file, with its card inside, and the report beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from edgetransfer.atomic import write_atomically
from edgetransfer.backbones import Backbone
from edgetransfer.backbones.canonical import load_canonical
from edgetransfer.backbones.card import METADATA_KEY, card_path
from edgetransfer.errors import EdgeTransferError
from edgetransfer.reports.json_values import finite
from edgetransfer.sparsify.layers import Layer
from edgetransfer.sparsify.settings import Sparsification
from edgetransfer.sparsify.weights import NetworkWeights


def report_path(out: Path) -> Path:
    """Where the report of a sparse backbone stands."""
    return out.with_name(f"{out.stem}.sparsify.json")


def check_out(settings: Sparsification, backbone: Backbone, *, overwrite: bool) -> None:
    """Refuse to write where something is.

    Raises
    ------
    EdgeTransferError
        If there is a file already, or no folder to write into.
    """
    out = settings.out
    if out.exists() and out.resolve() == backbone.path.resolve():
        raise EdgeTransferError(f"{out}: is the dense backbone itself; give another --out")
    if out.is_dir():
        raise EdgeTransferError(f"{out}: is a folder; --out names the ONNX file to make")
    for path in (out, card_path(out)):
        if path.exists() and not overwrite:
            raise EdgeTransferError(f"{path}: is there already; give --overwrite or another --out")
    if not out.parent.is_dir():
        raise EdgeTransferError(f"{out.parent}: no such folder; make it, or give another --out")


def write_backbone(
    settings: Sparsification,
    backbone: Backbone,
    layers: list[Layer],
    pruned: onnx.ModelProto,
    how: str,
    sparsity: float,
) -> None:
    """Write the dense file's graph, classifier included, with the new weights and a card."""
    model = load_canonical(backbone.path)
    NetworkWeights(model).take_from(NetworkWeights(pruned), layers)
    card = replace(
        backbone.card,
        name=settings.out.stem,
        features=backbone.cut.tensor,
        dimension=backbone.dimension,
        sparsity=sparsity,
        pruning=how,
        sha256=None,
        parent=backbone.sha256,
        assumed=False,
    )
    kept = [p for p in model.metadata_props if p.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, card.to_toml()
    card_path(settings.out).unlink(missing_ok=True)  # of an overwritten file
    write_atomically(settings.out, model.SerializeToString(deterministic=True))


def write_report(out: Path, report: dict[str, Any]) -> None:
    """Write the report as JSON."""
    write_atomically(report_path(out), json.dumps(finite(report), indent=1).encode())
