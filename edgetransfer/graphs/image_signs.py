"""What a graph says of the pixel values that it expects.

A card-less network is fed by a guess. Constants at the image (a scale, a shift, a batch
normalisation before the first convolution) say what range it is made for; who exported it, and
the order of its dimensions, say what is usual there.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx

from edgetransfer.graphs.graph import Array, Graph, attribute

CARRIED = frozenset(["Cast", "Transpose", "Identity"])
REORDERED = frozenset(["Split", "Gather", "Slice", "Concat", "ReverseSequence"])
KERAS = ("tf2onnx", "keras2onnx", "keras", "tensorflow", "tfjs")
TRY = "`edgetransfer inspect {name} --data PHOTOS` tries the usual conventions on labelled photos"
RANGES = {
    "0 to 255": "raw",
    "0 to 1": "unit",
}


def what_normalises(model: onnx.ModelProto, layout: Literal["NCHW", "NHWC"], name: str) -> str:
    """What a person should check of a network that is fed with ImageNet's normalisation.

    Parameters
    ----------
    model
        In canonical form.
    layout
        Of its input.
    name
        Of its file, for the advice.
    """
    found = affine_at_image(Graph(model))
    trying = TRY.format(name=name)
    if found is not None:
        scale, shift = found
        expects = expected_range(scale, shift)
        how = "" if expects is None else f": it expects pixels of {expects}, so normalise by "
        how += "" if expects is None else f"`--normalisation {RANGES[expects]}`"
        return (
            f"but the graph itself scales the image (x * {scale.mean():.4g} "
            f"{shift.mean():+.4g}), so that it would be normalised twice{how}; {trying}"
        )
    if layout == "NHWC" or any(sign in model.producer_name.lower() for sign in KERAS):
        return (
            "but it comes from TensorFlow or Keras, where others are usual: `--normalisation "
            f"half` (-1 to 1), `raw` (0 to 255), `unit` (0 to 1) or `caffe`; {trying}"
        )
    return (
        "if it was trained otherwise, say so on a card beside it, or by --normalisation, or by "
        f"--mean, --std, --size, --resize and --interpolation; {trying}"
    )


def affine_at_image(graph: Graph) -> tuple[Array, Array] | None:
    """The scale and shift, (1,) or (3,) each, that a graph applies to its image; None if none.

    What follows the image through nodes that only carry it, up to the first that computes
    anything else, counts; reordered channels are looked through.
    """
    scale, shift, tensor = np.ones(1), np.zeros(1), graph.inputs[0].name
    while True:
        readers = [n for n in graph.consumers.get(tensor, []) if n.op_type != "Shape"]
        if not readers or {n.op_type for n in readers} - {readers[0].op_type}:
            break
        node = readers[0]
        if node.op_type not in CARRIED | REORDERED:
            step = _step(graph, node, tensor)
            if step is None or len(readers) != 1:
                break
            scale, shift = scale * step[0], shift * step[0] + step[1]
        tensor = node.output[0]
    changed = not (np.allclose(scale, 1) and np.allclose(shift, 0))
    return (scale, shift) if changed else None


def expected_range(scale: Array, shift: Array) -> str | None:
    """``0 to 255`` or ``0 to 1``: for which of them x * scale + shift is of the order of one.

    A shift alone is of pixels in 0 to 255 where it is that large. None where neither fits.
    """
    factor, added = float(np.abs(scale).mean()), float(np.abs(shift).max())
    if factor < 0.1 or added > 30:
        return "0 to 255"
    return "0 to 1" if factor < 20 else None


def _step(graph: Graph, node: onnx.NodeProto, tensor: str) -> tuple[Array, Array] | None:
    """What one node multiplies by and adds, channel by channel; None if it does anything else."""
    if node.op_type == "BatchNormalization":
        values = [graph.array(name) for name in node.input[1:5]]
        if any(v is None or v.size > 3 for v in values):
            return None
        gamma, beta, mean, variance = (np.asarray(v, np.float64) for v in values)
        factor = gamma / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
        return factor, beta - mean * factor
    if node.op_type not in ("Add", "Sub", "Mul", "Div") or len(node.input) != 2:
        return None
    first = node.input[0] == tensor
    constant = graph.array(node.input[1 if first else 0])
    if constant is None or constant.size not in (1, 3):
        return None
    value = constant.reshape(-1).astype(np.float64)
    one, zero = np.ones(1), np.zeros(1)
    if node.op_type == "Add":
        return one, value
    if node.op_type == "Sub":
        return (one, -value) if first else (-one, value)
    if node.op_type == "Mul":
        return value, zero
    return (1 / value, zero) if first and np.all(value != 0) else None
