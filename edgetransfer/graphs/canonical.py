"""Any ONNX file, brought to the one form that the rest of the house reads.

In that form every weight is a dense float32 initializer under its own name, the graph's inputs
are images only, functions and decided branches are written out, training's operators are in their
inference form, and the operators are the standard's, of an opset that all engines take (13 to
19). The file itself is never changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.decomposition import (
    GROUPS_AS_ONE,
    GROUPS_BY_CHANNEL,
    STANDARD_FORMS,
)
from edgetransfer.graphs.finite import check_finite
from edgetransfer.graphs.graph import (
    STANDARD,
    Graph,
    attribute,
    dense_of,
    label,
    opset_of,
)
from edgetransfer.graphs.inference_form import bring_to_inference_form
from edgetransfer.graphs.inlining import inline_functions
from edgetransfer.graphs.precision import bring_to_float32
from edgetransfer.graphs.propagation import fold_constants
from edgetransfer.graphs.quantised import QUANTISED_FORMS
from edgetransfer.graphs.raising import raise_opset
from edgetransfer.graphs.rewriting import rewrite
from edgetransfer.graphs.structure import check_structure
from edgetransfer.graphs.untrusted import ReadModel, read_model, refusing

OLDEST_OPSET, NEWEST_OPSET = 13, 19  # DeepSparse 1.8 takes 11 to 19; below 13 axes are attributes
NEWEST_IR = 9

# Operators whose meaning changed, or that were born, between opsets 19 and 25. Everything else
# that a network of images uses kept its meaning, so its version number can be lowered.
CHANGED_AFTER_19 = frozenset(
    (
        *("AffineGrid", "Attention", "DFT", "Gelu", "GridSample", "GroupNormalization"),
        *("ImageDecoder", "Loop", "RMSNormalization", "RotaryEmbedding", "Scan", "Swish"),
        *("TensorScatter", "CumProd", "BitCast"),
    )
)
# Quantisation in blocks or to 4 bits came with opset 21.
SINCE_21 = ("block_size", "output_dtype", "precision")


@dataclass(frozen=True, kw_only=True)
class CanonicalFile:
    """An ONNX file in canonical form.

    Parameters
    ----------
    model
        The graph.
    sha256
        Of the file and of its weight files, in hex.
    notes
        What was changed in a way that a person should know of.
    """

    model: onnx.ModelProto
    sha256: str
    notes: tuple[str, ...]


def read_canonical(path: Path) -> CanonicalFile:
    """Read an ONNX file and bring it to canonical form.

    Raises
    ------
    BackboneError
        If the file is missing, is not ONNX, reaches outside its folder, does not hold together,
        or uses operators in a way that cannot be converted.
    """
    return canonical_of(read_model(path), path)


def canonical_of(read: ReadModel, path: Path) -> CanonicalFile:
    """A file that was parsed, in canonical form; its model may be changed.

    Raises
    ------
    BackboneError
        As of `read_canonical`.
    """
    try:
        with refusing():
            model, notes = _canonicalise(read.model)
    except BackboneError as error:
        raise BackboneError(f"{path}: {error}") from error
    return CanonicalFile(model=model, sha256=read.sha256, notes=notes)


def load_canonical(path: Path) -> onnx.ModelProto:
    """The graph of an ONNX file in canonical form; see `read_canonical`."""
    return read_canonical(path).model


def canonicalise(model: onnx.ModelProto) -> onnx.ModelProto:
    """Bring a model that is in memory to canonical form; the argument may be changed."""
    return _canonicalise(model)[0]


def _canonicalise(model: onnx.ModelProto) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    for node in model.graph.node:
        if node.domain == "ai.onnx":
            node.domain = ""
    check_structure(model)
    inline_functions(model)
    check_structure(model)
    notes: list[str] = []
    converted = bring_to_float32(model)
    if converted:
        notes.append(
            f"its weights are {' and '.join(converted)}; they are read as float32, and nothing is "
            "rounded between layers"
        )
    _write_out_sparse(model)
    names = {t.name for t in model.graph.initializer}
    images_only = [value for value in model.graph.input if value.name not in names]
    del model.graph.input[:]
    model.graph.input.extend(images_only)
    _drop_dead(model)
    if opset_of(model) < OLDEST_OPSET:
        model = raise_opset(model)
    fold_constants(model)
    notes += bring_to_inference_form(model)
    _decompose(model)
    _drop_unused_domains(model)
    if opset_of(model) > NEWEST_OPSET:
        _lower_opset(model)
    model.ir_version = min(max(model.ir_version, 8), NEWEST_IR)
    del model.graph.value_info[:]
    check_finite(model)
    return model, tuple(notes)


def _decompose(model: onnx.ModelProto) -> None:
    opset = opset_of(model)
    table = {**QUANTISED_FORMS, **STANDARD_FORMS}
    table |= GROUPS_BY_CHANNEL if opset >= 21 else GROUPS_AS_ONE
    rewrite(model, table, opset)
    fold_constants(model)


def _drop_dead(model: onnx.ModelProto) -> None:
    """Leave out nodes that lead to no output."""
    graph = Graph(model)
    alive = list(graph.ancestors([value.name for value in model.graph.output]))
    if len(alive) < len(model.graph.node):
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in alive]
        del model.graph.node[:]
        model.graph.node.extend(copies)


def _write_out_sparse(model: onnx.ModelProto) -> None:
    for tensor in model.graph.sparse_initializer:
        dense = np.ascontiguousarray(dense_of(tensor))
        model.graph.initializer.append(numpy_helper.from_array(dense, tensor.values.name))
    del model.graph.sparse_initializer[:]


def _drop_unused_domains(model: onnx.ModelProto) -> None:
    # DeepSparse refuses a model that imports a domain it does not know, used or not.
    used = {node.domain for node in model.graph.node} | set(STANDARD)
    kept = [o for o in model.opset_import if o.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _set_opset(model: onnx.ModelProto, version: int) -> None:
    for item in model.opset_import:
        if item.domain in STANDARD:
            item.version = version


def _lower_opset(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        new = node.domain in STANDARD and node.op_type in CHANGED_AFTER_19
        if new or any(attribute(node, name) for name in SINCE_21):
            if opset_of(model) <= onnx.defs.onnx_opset_version():
                return  # left as it is: engines that know it may take it
            raise BackboneError(
                f"node {label(node)} of opset {opset_of(model)} cannot be written in opset "
                f"{NEWEST_OPSET}, which the engines take; export the model with opset "
                f"{NEWEST_OPSET} or lower"
            )
    _set_opset(model, NEWEST_OPSET)
