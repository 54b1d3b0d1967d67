"""The values of nodes whose inputs are all known, by the rules of the standard.

The operators through which exporters compute shapes, paddings and weights are written out in
numpy, so that nothing depends on a release of the onnx library; any other one is run in ONNX
Runtime, by itself.
"""

from __future__ import annotations

import numpy as np
import onnx

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.folding.arithmetic import ARITHMETIC
from edgetransfer.graphs.folding.bounds import Inputs, check_fits
from edgetransfer.graphs.folding.rearranging import REARRANGING
from edgetransfer.graphs.graph import STANDARD, Array, constant_of
from edgetransfer.graphs.shapes import infer_single, single_node

SMALL = 1 << 24  # values of inputs that are worth a session of ONNX Runtime

# Never computed ahead: random, or kept as they are for engines that know quantised weights.
LEFT = frozenset(
    (
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli"),
        *("Multinomial", "Dropout", "QuantizeLinear", "DequantizeLinear", "If", "Loop", "Scan"),
        *("DynamicQuantizeLinear", "SequenceConstruct", "SequenceEmpty", "Optional"),
    )
)
OPERATORS = ARITHMETIC | REARRANGING


def evaluate(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array] | None:
    """What a node makes of known inputs, or None if that is not computed ahead.

    Parameters
    ----------
    inputs
        One array an input; None for one that is left out.
    opset
        Of the standard operators.

    Raises
    ------
    TooLargeError
        If the result would have more than `LARGEST` values.
    ValueError
        If the inputs do not fit the operator.
    """
    if node.domain not in STANDARD or node.op_type in LEFT:
        return None
    if node.op_type == "Constant":
        try:
            value = constant_of(node)
        except ValueError:
            return None  # a string: no weight, and no engine's business
        return [value] if value.dtype != object else None
    if any(array is not None and array.dtype == object for array in inputs):
        return None
    known = OPERATORS.get(node.op_type)
    with np.errstate(all="ignore"):
        made = known(node, inputs, opset) if known is not None else _by_runtime(node, inputs, opset)
    if made is None:
        return None
    return [np.asarray(array) for array in made]


def _by_runtime(node: onnx.NodeProto, inputs: Inputs, opset: int) -> list[Array] | None:
    """Run one node in ONNX Runtime; None if it cannot, or its result's size cannot be told."""
    if sum(array.size for array in inputs if array is not None) > SMALL:
        return None
    model, feeds = single_node(node, inputs, opset)
    try:
        found = infer_single(model)
    except BackboneError:
        return None
    for output in found:
        if output is None or output.shape is None:
            return None
        check_fits(output.shape)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return [np.asarray(array) for array in session.run(None, feeds)]
    except Exception:
        return None  # it stays in the graph, and an engine says what it cannot run
