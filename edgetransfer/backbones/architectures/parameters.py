"""Parameters by name, as an architecture wants them; batch-norm folded into convolutions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgetransfer.backbones.architectures.layers import ConvLayer
from edgetransfer.errors import BackboneError
from edgetransfer.graphs.graph import Array
from edgetransfer.types import Float32Array


def folded_convolution(
    layer: ConvLayer, parameters: Mapping[str, Array], epsilon: float
) -> tuple[Float32Array, Float32Array]:
    """A convolution's weights (O, I / groups, K, K) and bias (O,) with its batch-norm folded in.

    Raises
    ------
    BackboneError
        If a parameter is missing or has another shape than the architecture says.
    """
    channels = (layer.outputs,)
    weight = wanted(parameters, f"{layer.name}.weight", layer.shape).astype(np.float64)
    bias = found_or(parameters, f"{layer.name}.bias", channels, default=0.0)
    if layer.scale is not None:
        factor = wanted(parameters, layer.scale, channels).astype(np.float64)
        weight, bias = weight * factor[:, None, None, None], bias * factor
    if layer.norm and f"{layer.norm}.running_mean" in parameters:
        mean = wanted(parameters, f"{layer.norm}.running_mean", channels).astype(np.float64)
        variance = wanted(parameters, f"{layer.norm}.running_var", channels).astype(np.float64)
        scale = found_or(parameters, f"{layer.norm}.weight", channels, default=1.0)
        scale = scale / np.sqrt(variance + epsilon)
        bias = found_or(parameters, f"{layer.norm}.bias", channels, default=0.0) + scale * (
            bias - mean
        )
        weight = weight * scale[:, None, None, None]
    elif f"{layer.name}.bias" not in parameters:
        norm = f"a batch-norm {layer.norm!r}" if layer.norm else "a batch-norm"
        raise BackboneError(
            f"the parameters have neither {norm} nor a bias for {layer.name!r}: statistics are "
            "needed to run the network"
        )
    return np.ascontiguousarray(weight, np.float32), bias.astype(np.float32)


def wanted(parameters: Mapping[str, Array], name: str, shape: tuple[int, ...]) -> Array:
    """A parameter of that shape.

    Raises
    ------
    BackboneError
        If it is missing or has another shape.
    """
    if name not in parameters:
        raise BackboneError(f"the parameter {name!r} is missing")
    value = np.asarray(parameters[name])
    if value.shape != shape:
        raise BackboneError(f"the parameter {name!r} has shape {value.shape}, not {shape}")
    return value


def found_or(
    parameters: Mapping[str, Array], name: str, shape: tuple[int, ...], *, default: float
) -> Array:
    """A parameter of that shape in float64, or so many times a number if it is not there."""
    if name not in parameters:
        return np.full(shape, default)
    return wanted(parameters, name, shape).astype(np.float64)
