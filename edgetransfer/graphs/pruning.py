"""Which weights of a graph may be pruned, and pruning by magnitude."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgetransfer.errors import UsageError
from edgetransfer.graphs.cut import find_features
from edgetransfer.graphs.graph import Array, Graph, attribute

Distribution = Literal["uniform", "erk", "global"]
Mask = NDArray[np.bool_]
"""True where a weight is kept."""


def prunable_weights(
    model: onnx.ModelProto, *, first: bool = False, depthwise: bool = False
) -> dict[str, Array]:
    """The weights of a canonical graph's convolutions and fully connected layers, by name.

    The classifier is left out, if there is one; so are the first convolution and depthwise
    convolutions, unless they are asked for. Order is that of the graph.
    """
    graph = Graph(model)
    found: dict[str, Array] = {}
    seen_first = first
    for node in graph.ancestors([find_features(model).tensor]):
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        weights = graph.array(node.input[1]) if node.input[1] in graph.initializers else None
        if weights is None or weights.ndim < 2:
            continue
        convolution = node.op_type == "Conv"
        skipped = convolution and (
            not seen_first or (not depthwise and is_depthwise(node, weights))
        )
        seen_first |= convolution
        if not skipped:
            found[node.input[1]] = weights
    return found


def is_depthwise(node: onnx.NodeProto, weights: Array) -> bool:
    """Whether a convolution reads one channel for each of its filters, out of several."""
    return weights.shape[1] == 1 and bool(attribute(node, "group", 1) > 1)


def layer_sparsities(
    weights: Mapping[str, Array], sparsity: float, distribution: Distribution = "uniform"
) -> dict[str, float]:
    """How sparse each layer is to be for the whole to reach a sparsity.

    Parameters
    ----------
    weights
        By name; all of them count.
    sparsity
        The share of weights to become zero, 0 to below 1.
    distribution
        ``uniform``: the same everywhere. ``erk``: densities in proportion to the sum of a layer's
        dimensions over their product (Evci et al., "Rigging the Lottery", ICML 2020, section 3),
        layers that would have more than all weights being dense. ``global``: as the magnitudes
        of all layers together have it.

    Raises
    ------
    UsageError
        If the sparsity is out of range, or no such distribution exists.
    """
    if not 0 <= sparsity < 1:
        raise UsageError(f"a sparsity is from 0 to below 1, not {sparsity}")
    if distribution == "uniform":
        return dict.fromkeys(weights, sparsity)
    if distribution == "erk":
        return _erk(weights, sparsity)
    if distribution == "global":
        masks = magnitude_masks(weights, sparsity, "global")
        return {name: 1 - float(mask.mean()) for name, mask in masks.items()}
    raise UsageError(
        f"a distribution is one of {', '.join(get_args(Distribution))}, not {distribution!r}"
    )


def magnitude_masks(
    weights: Mapping[str, Array], sparsity: float, distribution: Distribution = "uniform"
) -> dict[str, Mask]:
    """Masks that keep the largest weights; parameters as in `layer_sparsities`.

    Of equal magnitudes the earlier ones go first, so that counts are exact.
    """
    if distribution == "global" and weights and 0 <= sparsity < 1:
        flat = np.concatenate([np.abs(values).reshape(-1) for values in weights.values()])
        kept = largest_mask(flat, round(sparsity * flat.size))
        ends = np.cumsum([values.size for values in weights.values()])[:-1]
        return {
            name: part.reshape(values.shape)
            for (name, values), part in zip(weights.items(), np.split(kept, ends), strict=True)
        }
    shares = layer_sparsities(weights, sparsity, distribution)
    return {
        name: largest_mask(values, round(shares[name] * values.size))
        for name, values in weights.items()
    }


def largest_mask(weights: Array, pruned: int) -> Mask:
    """A mask of the shape of ``weights`` that is False at its ``pruned`` smallest magnitudes."""
    kept = np.ones(weights.size, np.bool_)
    if pruned > 0:
        magnitudes = np.abs(weights).reshape(-1)
        threshold = np.partition(magnitudes, pruned - 1)[pruned - 1]
        kept[magnitudes < threshold] = False
        ties = np.flatnonzero(magnitudes == threshold)
        kept[ties[: pruned - np.count_nonzero(~kept)]] = False
    return kept.reshape(weights.shape)


def apply_masks(model: onnx.ModelProto, masks: Mapping[str, Mask]) -> onnx.ModelProto:
    """A copy of a model whose weights are zero where their masks are False."""
    pruned = onnx.ModelProto()
    pruned.CopyFrom(model)
    for tensor in pruned.graph.initializer:
        if tensor.name in masks:
            values = numpy_helper.to_array(tensor)
            masked = np.where(masks[tensor.name], values, values.dtype.type(0))
            tensor.CopyFrom(numpy_helper.from_array(masked, tensor.name))
    return pruned


def prune_by_magnitude(
    model: onnx.ModelProto, sparsity: float, distribution: Distribution = "uniform"
) -> onnx.ModelProto:
    """A copy of a canonical model without its smallest weights.

    The first convolution, depthwise convolutions and the classifier stay dense; the sparsity,
    0 to below 1, is of the others' weights.
    """
    return apply_masks(model, magnitude_masks(prunable_weights(model), sparsity, distribution))


def _erk(weights: Mapping[str, Array], sparsity: float) -> dict[str, float]:
    scores = {name: sum(values.shape) / values.size for name, values in weights.items()}
    budget = (1 - sparsity) * sum(values.size for values in weights.values())
    dense: set[str] = set()
    while True:
        rest = budget - sum(weights[name].size for name in dense)
        total = sum(scores[name] * weights[name].size for name in weights if name not in dense)
        scale = rest / total if total else 0.0
        full = {name for name in weights if name not in dense and scale * scores[name] > 1}
        if not full:
            break
        dense |= full
    return {name: 0.0 if name in dense else 1 - scale * scores[name] for name in weights}
