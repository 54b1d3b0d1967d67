"""How close the pruned features are to the dense ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgetransfer.sparsify.streaming import NetworkPair


def compare_features(pair: NetworkPair) -> dict[str, dict[str, float]]:
    """Proxies of accuracy on the views that were fitted to and on the held-out ones.

    ``cosine`` is the mean cosine between a photo's dense and sparse features;
    ``centred_cosine`` the same after the mean dense feature is taken away; ``relative_error``
    the squared distance over the dense features' variation.
    """
    name = pair.dense.graph.output[0].name
    dense, pruned = [], []
    for chunk in pair.stream([name], [name]):
        dense.append(chunk.dense[name])
        pruned.append(chunk.pruned[name])
    all_dense = np.concatenate(dense).astype(np.float64)
    all_pruned = np.concatenate(pruned).astype(np.float64)
    fitted = pair.views.fitted
    parts = {"fitted": slice(0, fitted), "held_out": slice(fitted, None)}
    mean = all_dense.mean(axis=0)
    return {
        part: _closeness(all_dense[rows], all_pruned[rows], mean)
        for part, rows in parts.items()
        if len(all_dense[rows])
    }


def _closeness(
    dense: NDArray[np.float64], pruned: NDArray[np.float64], mean: NDArray[np.float64]
) -> dict[str, float]:
    variation = max(float(((dense - mean) ** 2).sum()), 1e-30)
    return {
        "cosine": _mean_cosine(dense, pruned),
        "centred_cosine": _mean_cosine(dense - mean, pruned - mean),
        "relative_error": float(((dense - pruned) ** 2).sum()) / variation,
    }


def _mean_cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean((a * b).sum(axis=1) / np.maximum(norms, 1e-30)))
