"""A backbone pruned at once by magnitude, in memory, with or without its batch-norm tuned."""

from __future__ import annotations

from dataclasses import replace

from edgetransfer.backbones import Backbone
from edgetransfer.errors import BackboneError
from edgetransfer.graphs.pruning import apply_masks, magnitude_masks
from edgetransfer.sparsify.layers import find_layers
from edgetransfer.sparsify.photos import CalibrationViews
from edgetransfer.sparsify.refine import check_torch
from edgetransfer.sparsify.streaming import batch_axes
from edgetransfer.sparsify.tuning import tune
from edgetransfer.sparsify.weights import NetworkWeights, copied

BATCH = 2  # of one image, a Reshape does not tell which of its numbers is the batch


def check_tunable(backbone: Backbone) -> None:
    """Refuse early what `pruned_at_once` could not tune.

    Raises
    ------
    EdgeTransferError
        If torch is missing, or does not know an operator.
    """
    check_torch(backbone.frozen(BATCH), "batch-norm is tuned")


def pruned_at_once(
    backbone: Backbone, sparsity: float, views: CalibrationViews | None = None
) -> Backbone:
    """The backbone without its smallest weights, compared over all layers.

    The first convolution and depthwise ones stay dense, as with ``sparsify --method magnitude``.

    Parameters
    ----------
    sparsity
        Of the other layers' weights, 0 to below 1.
    views
        To tune batch-norm on, also where it is folded; it is left as it was if None.

    Raises
    ------
    BackboneError
        If no layer can be pruned.
    """
    dense = backbone.frozen(BATCH)
    try:
        axes = batch_axes(dense, backbone.frozen(BATCH + 1))
        layers = [layer for layer in find_layers(dense, axes) if layer.prunable]
    except BackboneError as error:
        raise BackboneError(f"{backbone.path}: {error}") from error
    weights = NetworkWeights(dense)
    arrays = {layer.name: weights.array(layer.name) for layer in layers}
    pruned = apply_masks(dense, magnitude_masks(arrays, sparsity, "global"))
    how = f"pruned at once to {sparsity:g}"
    if views is not None:
        tune(dense, pruned, views)
        how += f", tuned on {len(views)} views"
    body = copied(backbone.body)
    NetworkWeights(body).take_from(NetworkWeights(pruned), layers)
    return replace(backbone, body=body, variant=f"{backbone.variant} {how}".strip())
