"""Features drawn on a plane."""

from __future__ import annotations

import numpy as np

from edgetransfer.findings.neighbours import directions
from edgetransfer.types import Float32Array

MOST = 20_000  # rows that the axes are found from


def plane_of(features: Float32Array) -> tuple[Float32Array, float]:
    """The first two principal components of features' directions.

    Returns
    -------
    (N, 2) float32, and the share of the variance that they hold, 0 to 1. The sign of an axis is
    such that its largest loading is positive: the same features always give the same picture.
    """
    rows = directions(features)
    if len(rows) < 2:
        return np.zeros((len(rows), 2), np.float32), 0.0
    rows = rows - rows.mean(axis=0)
    some = rows[:: -(-len(rows) // MOST)].astype(np.float64)
    values, vectors = np.linalg.eigh(some.T @ some)
    axes = vectors[:, ::-1][:, :2]
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.where(axes[largest, np.arange(axes.shape[1])] < 0, -1.0, 1.0)
    plane = np.zeros((len(rows), 2), np.float32)
    plane[:, : axes.shape[1]] = rows @ axes.astype(np.float32)
    total = float(values.sum())
    held = float(values[::-1][:2].sum()) / total if total > 0 else 0.0
    return plane, min(max(held, 0.0), 1.0)
