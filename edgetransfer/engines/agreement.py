"""How far an engine's features are from the graph's own.

The reference is ONNX Runtime without optimisations, which runs node after node as the standard
says. Engines that fuse and reorder sums differ from it by 1e-7 to 1e-5 of the largest feature;
more than `ALLOWED` is another network.
"""

from __future__ import annotations

import numpy as np
import onnx

from edgetransfer.types import Float32Array

ALLOWED = 1e-3  # of the largest feature
ALLOWED_QUANTISED = 5e-2  # a step of an 8-bit number, rounded the other way
QUANTISED = frozenset(
    (
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv"),
        *("QLinearMatMul", "ConvInteger", "MatMulInteger"),
    )
)


def allowed_difference(model: onnx.ModelProto) -> float:
    """What an engine's features may differ by, as a share of the largest one."""
    quantised = any(node.op_type in QUANTISED for node in model.graph.node)
    return ALLOWED_QUANTISED if quantised else ALLOWED


def difference_from_reference(
    model: onnx.ModelProto, images: Float32Array, features: Float32Array
) -> float | None:
    """The largest difference from the graph's own features, over the largest of these.

    Parameters
    ----------
    model
        A frozen backbone, as `Backbone.frozen` makes it.
    images, features
        A whole batch, and what the engine made of it.

    Returns
    -------
    None where ONNX Runtime cannot run the graph, so that there is nothing to compare with.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        expected = np.asarray(session.run(None, {model.graph.input[0].name: images})[0])
    except Exception:
        return None
    largest = float(np.abs(expected).max())
    return float(np.abs(features - expected).max()) / (largest or 1.0)
