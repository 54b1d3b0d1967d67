"""From an ONNX graph to a plan, node by node; then what can be one operator becomes one."""

from __future__ import annotations

import onnx

from edgetransfer.engines.sparse.constants import attributes_of
from edgetransfer.engines.sparse.fusing import fuse
from edgetransfer.engines.sparse.operators import LOWERED
from edgetransfer.engines.sparse.plan import Plan
from edgetransfer.engines.sparse.recognising import recognise
from edgetransfer.engines.sparse.relaying import references
from edgetransfer.engines.sparse.state import Lowering, Value
from edgetransfer.errors import EngineError


def lower(model: onnx.ModelProto) -> Plan:
    """The plan of a static graph of one image input and one output.

    Raises
    ------
    EngineError
        If an operator, or a use of one, is not covered; the message names it.
    """
    made = Lowering(model)
    for node in made.nodes:
        if not made.is_image_free(node):
            lowered = _lower_node(made, node)
            values = lowered if isinstance(lowered, list) else [lowered]
            made.values.update(zip(node.output, values, strict=False))
    output = made.graph.output[0].name
    if output not in made.values:
        raise EngineError("its output is not features of the image")
    made.plan.output = _in_order(made, made.values[output]).tensor
    if made.plan.output == made.plan.input:
        raise EngineError("its output is its input")
    recognise(made.plan)
    fuse(made.plan)
    return made.plan


def _in_order(made: Lowering, value: Value) -> Value:
    """The output, its numbers in the order that the graph gives them."""
    if len(value.view) == 4:
        return made.canonical(value)
    if value.flat:
        return value
    return made.relaid(value, (references(value.view, range(len(value.view))), [], []))


def _lower_node(made: Lowering, node: onnx.NodeProto) -> Value | list[Value]:
    lowered = LOWERED.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if lowered is None:
        raise EngineError(f"it does not know the operator {node.op_type}")
    try:
        return lowered(made, node, attributes_of(node))
    except EngineError as error:
        raise EngineError(f"{node.op_type} {node.name!r}: {error}") from error
    except (ValueError, TypeError, KeyError, IndexError) as error:
        detail = f"it does not fit its inputs or attributes ({error})"
        raise EngineError(f"{node.op_type} {node.name!r}: {detail}") from error
