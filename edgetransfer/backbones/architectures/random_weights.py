"""Seeded random parameters, for benchmarks and tests: real shapes without a download."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from edgetransfer.backbones.architectures.building import build
from edgetransfer.backbones.architectures.catalogue import architecture as by_name
from edgetransfer.backbones.architectures.layers import Architecture, NormLayer
from edgetransfer.backbones.architectures.profiles import (
    Profile,
    is_profile,
    profile_sparsities,
)
from edgetransfer.graphs.pruning import (
    Distribution,
    apply_masks,
    largest_mask,
    prunable_weights,
    prune_by_magnitude,
)
from edgetransfer.types import Float32Array

CLASSES = 1000


def random_parameters(
    architecture: Architecture, seed: int, *, classes: int = CLASSES
) -> dict[str, Float32Array]:
    """Parameters of an untrained network, as in a state dict.

    Convolutions are Kaiming-normal by their fan-out (He et al., 2015, section 2.2; torchvision's
    choice), as are those of gates and necks by their fan-in, normalisations the identity, the
    classifier uniform within 1 / sqrt(dimension). Each layer is drawn by (seed, its position)
    alone.
    """
    found: dict[str, Float32Array] = {}
    for index, layer in enumerate(architecture.convolutions):
        rng = np.random.default_rng((seed, index))
        fan_out = layer.outputs * layer.kernel**2 // layer.groups
        weight = rng.standard_normal(layer.shape, np.float32)
        found[f"{layer.name}.weight"] = weight * np.float32(np.sqrt(2 / fan_out))
        if layer.norm:
            statistics = (("running_mean", 0), ("running_var", 1))
            for name, value in (("weight", 1), ("bias", 0), *statistics):
                found[f"{layer.norm}.{name}"] = np.full(layer.outputs, value, np.float32)
        else:
            found[f"{layer.name}.bias"] = np.zeros(layer.outputs, np.float32)
        if layer.scale:
            found[layer.scale] = np.ones(layer.outputs, np.float32)
    for index, inner in enumerate(architecture.others):
        if isinstance(inner, NormLayer):
            found[f"{inner.name}.weight"] = np.ones(inner.channels, np.float32)
            found[f"{inner.name}.bias"] = np.zeros(inner.channels, np.float32)
            continue
        rng = np.random.default_rng((seed, len(architecture.layers), index))
        for name, shape in inner.shapes.items():
            spread = np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0
            found[name] = (rng.standard_normal(shape) * spread).astype(np.float32)
    rng = np.random.default_rng((seed, len(architecture.layers)))
    limit = 1 / np.sqrt(architecture.dimension)
    shapes = architecture.parameter_shapes(classes)
    for name in (f"{architecture.classifier}.weight", f"{architecture.classifier}.bias"):
        if name in shapes:
            found[name] = rng.uniform(-limit, limit, shapes[name]).astype(np.float32)
    return found


def synthetic(
    name: str,
    *,
    sparsity: float = 0.0,
    distribution: Distribution | Profile = "uniform",
    seed: int = 0,
    size: int = 224,
    classifier: bool = False,
) -> onnx.ModelProto:
    """An architecture's graph with random weights, pruned by magnitude.

    Worthless for accuracy, right for speed: an engine's time depends on shapes and on where
    zeros are.

    Parameters
    ----------
    name
        As in `architecture`.
    sparsity, distribution
        As in `prune_by_magnitude`, or a published network's
        (`edgetransfer.backbones.architectures.profiles`).

    Raises
    ------
    UsageError
        If there is no such architecture, the sparsity is not from 0 to below 1, or nothing is
        published of it.
    """
    table = by_name(name)
    shares = None
    if sparsity and is_profile(distribution):
        shares = profile_sparsities(name, distribution, sparsity)
    model = build(table, random_parameters(table, seed), size=size, classifier=classifier)
    if shares is not None:
        weights = prunable_weights(model, first=True, depthwise=True)
        masks = {
            name: largest_mask(values, round(shares[name] * values.size))
            for name, values in weights.items()
        }
        return apply_masks(model, masks)
    plain: Any = distribution
    return prune_by_magnitude(model, sparsity, plain) if sparsity else model
