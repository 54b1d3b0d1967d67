"""The passes over a backbone's layers: reconstruction in graph order, then the correction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic

import numpy as np
import onnx

from edgetransfer.errors import BackboneError
from edgetransfer.graphs.pruning import largest_mask, magnitude_masks
from edgetransfer.reports.sparsify import PrunedLayerRecord
from edgetransfer.settings.sparsify import Sparsification
from edgetransfer.sparsify.activation import clipped_error
from edgetransfer.sparsify.correction import collect_outputs, corrected, scale_and_shift
from edgetransfer.sparsify.layers import Layer
from edgetransfer.sparsify.reconstruction import collect, magnitude, reconstruct
from edgetransfer.sparsify.streaming import NetworkPair
from edgetransfer.sparsify.weights import NetworkWeights, Parameters
from edgetransfer.sparsify.work import WorkFolder
from edgetransfer.types import Progress


def prune_by_magnitude(
    settings: Sparsification,
    layers: list[Layer],
    shares: Mapping[str, float],
    model: onnx.ModelProto,
) -> list[PrunedLayerRecord]:
    """Prune a model's layers by magnitude, in place; returns their records."""
    weights = NetworkWeights(model)
    pattern = settings.parsed_pattern
    if pattern.keep is None:
        # Weights as they are stored, not in units of what batch-norm makes of them; and by one
        # threshold, where shares of layers would prune each group of a convolution alike.
        arrays = {layer.name: weights.array(layer.name) for layer in layers if layer.prunable}
        masks = {n: largest_mask(a, round(shares.get(n, 0.0) * a.size)) for n, a in arrays.items()}
        if settings.distribution_name == "global":
            masks = magnitude_masks(arrays, settings.target_sparsity, "global")
        for name, mask in masks.items():
            weights.set_array(name, np.where(mask, arrays[name], np.float32(0)))
        return [record_of(layer, weights.parameters(layer)) for layer in layers]
    records = []
    for layer in layers:
        parameters = weights.parameters(layer)
        if share := shares.get(layer.name, 0.0):
            parameters = magnitude(layer, parameters, share, pattern)
            weights.set_array(layer.name, layer.from_matrix(parameters.weights))
        records.append(record_of(layer, parameters))
    return records


def reconstruct_all(
    settings: Sparsification,
    layers: list[Layer],
    shares: Mapping[str, float],
    pair: NetworkPair,
    work: WorkFolder,
    progress: Progress,
) -> list[PrunedLayerRecord]:
    """Reconstruct layer by layer, going on behind those that the work folder holds."""
    dense, pruned = NetworkWeights(pair.dense), NetworkWeights(pair.pruned)
    done = len(work.records)
    for number, layer in enumerate(layers[:done]):
        pruned.write(layer, work.parameters(number), dense)
    with thread_pool(settings.threads) as pool:
        for number, layer in enumerate(layers[done:], done):
            progress("pruning layers", number, len(layers))
            start = monotonic()
            record, parameters = _reconstruct_one(
                settings, layer, shares.get(layer.name, 0.0), pair, dense, pool
            )
            pruned.write(layer, parameters, dense)
            record["seconds"] = round(monotonic() - start, 2)
            work.add(record, parameters)
    progress("pruning layers", len(layers), len(layers))
    return list(work.records)


def _reconstruct_one(
    settings: Sparsification,
    layer: Layer,
    share: float,
    pair: NetworkPair,
    dense: NetworkWeights,
    pool: Executor,
) -> tuple[PrunedLayerRecord, Parameters]:
    pair.advance(layer.node)
    data = collect(layer, pair, settings.seed)
    if not np.isfinite(data.moments.inputs).all() or not np.isfinite(data.moments.cross).all():
        raise BackboneError(
            f"layer {layer.name!r}: what it reads or makes is not finite on these photos; check "
            "--mean and --std, and that the dense backbone works"
        )
    before = dense.parameters(layer)
    pattern = settings.parsed_pattern
    parameters = reconstruct(layer, before, data, share, pattern, pool)
    plain = magnitude(layer, before, share, pattern) if share else before
    record = record_of(layer, parameters)
    record["samples"] = data.moments.samples
    record["error"] = {
        "fitted": clipped_error(layer, data.fitted, parameters.augmented),
        "held_out": clipped_error(layer, data.held_out, parameters.augmented),
        "magnitude_held_out": clipped_error(layer, data.held_out, plain.augmented),
    }
    return record, parameters


def correct_all(
    settings: Sparsification,
    layers: list[Layer],
    pair: NetworkPair,
    progress: Progress,
) -> None:
    """Scale and shift every layer's outputs, in graph order; changes the pruned network."""
    dense, pruned = NetworkWeights(pair.dense), NetworkWeights(pair.pruned)
    for number, layer in enumerate(layers):
        progress("correcting layers", number, len(layers))
        now = pruned.parameters(layer, dense)
        if now.shift is None:
            continue
        pair.advance(layer.node)
        fitted, held_out = collect_outputs(layer, pair, settings.seed)
        if layer.bias_home == "batch-norm":
            # It is taken away behind the layer, not in it.
            fitted = fitted.shifted(now.shift.ravel())
            held_out = held_out.shifted(now.shift.ravel())
        scale, shift = scale_and_shift(fitted, held_out, layer.lower, layer.upper)
        pruned.write(layer, corrected(layer, now, scale, shift), dense)
    progress("correcting layers", len(layers), len(layers))


def record_of(layer: Layer, parameters: Parameters) -> PrunedLayerRecord:
    """What the report says of a layer whatever the method."""
    return {
        "name": layer.name,
        "operator": layer.operator,
        "shape": list(layer.shape),
        "columns": layer.columns,
        "prunable": layer.prunable,
        "sparsity": float(np.mean(parameters.weights == 0)),
    }


@contextmanager
def thread_pool(threads: int | None) -> Iterator[Executor]:
    """Threads for rows that are solved each on its own, one BLAS thread each."""
    from edgetransfer.features import available_cores

    with ThreadPoolExecutor(threads or available_cores()) as pool:
        yield pool
