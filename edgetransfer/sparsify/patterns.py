"""The patterns that zeros may form: unstructured, or N of every M weights left."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgetransfer.settings.sparsify import Pattern
from edgetransfer.sparsify.layers import Layer
from edgetransfer.sparsify.selection import Mask, Projection


def fits(pattern: Pattern, layer: Layer) -> bool:
    """Whether a layer's input channels divide into a pattern's blocks."""
    return pattern.block is None or _channels(layer) % pattern.block == 0


def projection(pattern: Pattern, layer: Layer, sparsity: float) -> Projection:
    """The largest weights of a (rows, columns) layer that a pattern allows.

    Where a layer does not divide into blocks it stays dense.
    """
    if pattern.keep is None or pattern.block is None:
        return largest(round((1 - sparsity) * layer.rows * layer.columns))
    if not fits(pattern, layer):
        return largest(layer.rows * layer.columns)
    return _blocks(pattern.keep, pattern.block, _channels(layer))


def _channels(layer: Layer) -> int:
    return layer.columns // (layer.kernel[0] * layer.kernel[1])


def largest(count: int) -> Projection:
    """The ``count`` largest of all."""

    def project(sizes: NDArray[np.float32]) -> Mask:
        if count >= sizes.size:
            return np.ones(sizes.shape, bool)
        kept = np.zeros(sizes.size, bool)
        kept[np.argpartition(sizes, sizes.size - count, axis=None)[sizes.size - count :]] = True
        return kept.reshape(sizes.shape)

    return project


def _blocks(keep: int, block: int, channels: int) -> Projection:
    """The ``keep`` largest of every ``block`` consecutive input channels at one filter position."""

    def project(sizes: NDArray[np.float32]) -> Mask:
        rows, columns = sizes.shape
        grouped = sizes.reshape(rows, channels // block, block, columns // channels)
        order = np.argsort(-grouped, axis=2, kind="stable")
        kept = np.zeros(grouped.shape, bool)
        np.put_along_axis(kept, order[:, :, :keep], True, axis=2)
        return kept.reshape(rows, columns)

    return project
