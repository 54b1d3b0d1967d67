"""Lowering of Resize and Upsample: pixels read again, or between two rows and two columns."""

from __future__ import annotations

import numpy as np
import onnx

from edgetransfer.engines.sparse.plan import Integers, Kind, Mixing, Operator, Weights
from edgetransfer.engines.sparse.state import Attributes, Lowering, Value
from edgetransfer.engines.sparse.view_operators import picked
from edgetransfer.errors import EngineError
from edgetransfer.graphs.graph import Array

MODES = {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn"}


def resized(low: Lowering, node: onnx.NodeProto, a: Attributes) -> Value:
    """Resize and Upsample, to the nearest pixel or linearly along rows and columns."""
    value = low.any_value(node)
    shape = low.full_shape(value)
    coordinates = str(a.get("coordinate_transformation_mode", "half_pixel"))
    if node.op_type == "Upsample" or low.opset < 11:
        coordinates, a = "asymmetric", {**a, "nearest_mode": "floor"}
    mode = a.get("mode", "nearest")
    policy = a.get("keep_aspect_ratio_policy", "stretch")
    if coordinates not in MODES or a.get("antialias") or policy != "stretch":
        raise EngineError(f"it does not know {coordinates} or what else this asks for")
    if mode not in ("nearest", "linear"):
        raise EngineError(f"it does not know the mode {mode}")
    sides, scales = _wanted(low, node, a, shape)
    places = [
        _places(coordinates, scale, n, side)
        for scale, n, side in zip(scales, shape, sides, strict=True)
    ]
    if mode == "nearest":
        rounding = str(a.get("nearest_mode", "round_prefer_floor"))
        for d, n in enumerate(shape):
            if d and (sides[d] != n or scales[d] != 1):
                wanted = np.clip(_rounded(places[d], rounding), 0, n - 1)
                value = picked(low, value, d, wanted)
        return value
    value = low.canonical(value)
    if value.flat or len(shape) != 4 or sides[:2] != shape[:2]:
        raise EngineError("it interpolates rows and columns of images alone")
    out = low.plan.tensor((shape[1], sides[2], sides[3]))
    between = (_between(places[2], shape[2]), _between(places[3], shape[3]))
    return low.emit(
        Operator(kind=Kind.RESAMPLE, source=value.tensor, out=out, mixing=Mixing(between=between))
    )


def _wanted(
    low: Lowering, node: onnx.NodeProto, a: Attributes, shape: list[int]
) -> tuple[list[int], list[float]]:
    """The output's shape, and how much larger it is along each axis."""
    last = node.op_type == "Resize" and low.opset >= 11
    scales: Array | None = low.constant(node, 2 if last else 1)
    wanted: Array | None = low.constant(node, 3) if last else None
    if scales is None and "scales" in a:
        scales = np.asarray(a["scales"])
    axes = [int(i) % len(shape) for i in a.get("axes", range(len(shape)))]
    sides, factors = list(shape), [1.0] * len(shape)
    if wanted is not None and wanted.size == len(axes):
        for axis, side in zip(axes, wanted.tolist(), strict=True):
            sides[axis], factors[axis] = (
                int(side),
                float(np.float32(side) / np.float32(shape[axis])),
            )
    elif scales is not None and scales.size == len(axes):
        for axis, scale in zip(axes, scales.tolist(), strict=True):
            sides[axis], factors[axis] = int(np.floor(shape[axis] * scale)), float(scale)
    else:
        raise EngineError("it does not say how large its output is")
    if min(sides) < 1 or sides[0] != shape[0]:
        raise EngineError(f"it does not resize {shape} to {sides}")
    return sides, factors


def _places(coordinates: str, scale: float, size: int, side: int) -> Weights:
    """Where each place of an output lies in the input, in float32 as ONNX Runtime has it."""
    at, by = np.arange(side, dtype=np.float32), np.float32(scale)
    match coordinates:
        case "asymmetric":
            return at / by
        case "align_corners":
            return at * np.float32(size - 1) / np.float32(max(side - 1, 1))
        case "tf_half_pixel_for_nn":
            return (at + np.float32(0.5)) / by
        case "pytorch_half_pixel" if side == 1:
            return np.zeros(1, np.float32)
    return (at + np.float32(0.5)) / by - np.float32(0.5)


def _rounded(places: Weights, how: str) -> Integers:
    match how:
        case "floor":
            made = np.floor(places)
        case "ceil":
            made = np.ceil(places)
        case "round_prefer_ceil":
            made = np.floor(places + np.float32(0.5))
        case _:
            made = np.ceil(places - np.float32(0.5))
    return made.astype(np.int64)


def _between(places: Weights, size: int) -> tuple[Integers, Weights]:
    inside = np.clip(places, 0, size - 1)
    first = np.floor(inside).astype(np.int64)
    second = np.minimum(first + 1, size - 1)
    return np.stack([first, second], axis=1), (inside - first).astype(np.float32)
