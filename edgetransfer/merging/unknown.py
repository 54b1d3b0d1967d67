"""What tells the unknown, in a merged graph: a second output, and how it is read back.

The graph computes `edgetransfer.heads.Novelty.distances` in the same order, on the features that
the head's weights take; its numbers are stored as they are, so that nothing is lost on the way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from edgetransfer.errors import BackboneError, HeadError
from edgetransfer.graphs.freeze import take_name
from edgetransfer.graphs.graph import Graph, opset_of
from edgetransfer.heads import Novelty
from edgetransfer.merging.metadata import DISTANCE_KEY
from edgetransfer.untrusted_json import json_value

DISTANCE = "unknown_distance"
AXES_AS_INPUT = 18  # the opset from which ReduceMin takes its axes as an input


def add_distance(
    model: onnx.ModelProto, novelty: Novelty, mapped: str, prefix: str, batch: int | str
) -> None:
    """Add the output ``unknown_distance``, (n,) float32, of the tensor ``mapped``, (n, M)."""
    graph = model.graph
    take_name(model, DISTANCE)

    def add(operator: str, inputs: list[str], output: str, **options: float) -> str:
        name = output if output == DISTANCE else f"{prefix}/{output}"
        graph.node.append(onnx.helper.make_node(operator, inputs, [name], **options))
        return name

    def store(value: np.ndarray[tuple[int, ...], np.dtype[np.generic]], called: str) -> str:
        graph.initializer.append(numpy_helper.from_array(value, f"{prefix}/{called}"))
        return f"{prefix}/{called}"

    axis = store(np.array([1], np.int64), "across")
    prototypes = store(novelty.prototypes, "prototypes")
    turned = add("MatMul", [mapped, store(novelty.axes, "axes")], "turned_to_axes")
    places = add("Sub", [turned, store(novelty.centre, "centre")], "places")
    own = add("ReduceSum", [add("Mul", [places, places], "squared"), axis], "length")
    lengths = add("Mul", [prototypes, prototypes], "prototypes_squared")
    norms = add("ReduceSum", [lengths, axis], "norms", keepdims=0)
    offsets = add("Sub", [norms, store(novelty.nearer, "nearer")], "offsets")
    rest = add("Gemm", [places, prototypes, offsets], "rest", alpha=-2.0, transB=1)
    each = add("Add", [own, rest], "distances")
    if opset_of(model) >= AXES_AS_INPUT:
        add("ReduceMin", [each, axis], DISTANCE, keepdims=0)
    else:
        node = onnx.helper.make_node("ReduceMin", [each], [DISTANCE], axes=[1], keepdims=0)
        graph.node.append(node)
    graph.output.append(
        onnx.helper.make_tensor_value_info(DISTANCE, onnx.TensorProto.FLOAT, [batch])
    )


def said_of(novelty: Novelty) -> str:
    """What the metadata say of it."""
    return json.dumps({"threshold": novelty.threshold, "rejected": novelty.rejected})


def novelty_in(model: onnx.ModelProto, said: Mapping[str, str]) -> Novelty | None:
    """What `add_distance` put into a graph; None if that was nothing.

    Raises
    ------
    BackboneError
        If the metadata tell of something else than what the graph has.
    """
    if DISTANCE_KEY not in said:
        return None
    graph = Graph(model)
    try:
        limits = json_value(said[DISTANCE_KEY])
        each = graph.producers[graph.producers[DISTANCE].input[0]]
        rest = graph.producers[each.input[1]]
        places = graph.producers[rest.input[0]]
        turned = graph.producers[places.input[0]]
        offsets = graph.producers[rest.input[2]]
        names = {
            "axes": turned.input[1],
            "centre": places.input[1],
            "prototypes": rest.input[1],
            "nearer": offsets.input[1],
        }
        parts = {f"novelty.{part}": graph.array(name) for part, name in names.items()}
        found = {name: value for name, value in parts.items() if value is not None}
        return Novelty.of_tensors(found, float(limits["threshold"]), float(limits["rejected"]))
    except (KeyError, IndexError, TypeError, ValueError, RecursionError, HeadError) as error:
        raise BackboneError(f"what tells the unknown cannot be read: {error}") from error
