"""The patterns that zeros may form: unstructured, or N of every M weights left."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetransfer.errors import UsageError
from edgetransfer.sparsify.layers import Layer
from edgetransfer.sparsify.selection import Mask, Projection


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """Which zeros are allowed.

    Parameters
    ----------
    keep, block
        Of every ``block`` weights that follow one another along the input channels, at most
        ``keep`` stay; None for unstructured sparsity.
    """

    keep: int | None = None
    block: int | None = None

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """``unstructured``, or ``N:M`` such as ``2:4``.

        Raises
        ------
        UsageError
            If it is neither.
        """
        if text == "unstructured":
            return cls()
        found = re.fullmatch(r"(\d+):(\d+)", text)
        if found is None or not 0 < int(found[1]) < int(found[2]):
            raise UsageError(f"--pattern is unstructured or N:M with N below M, not {text!r}")
        return cls(keep=int(found[1]), block=int(found[2]))

    @property
    def sparsity(self) -> float | None:
        """The share of zeros that the pattern fixes; None where it does not."""
        if self.keep is None or self.block is None:
            return None
        return 1 - self.keep / self.block

    def fits(self, layer: Layer) -> bool:
        """Whether a layer's input channels divide into blocks."""
        return self.block is None or _channels(layer) % self.block == 0

    def projection(self, layer: Layer, sparsity: float) -> Projection:
        """The largest weights of a (rows, columns) layer that the pattern allows.

        Where a layer does not divide into blocks it stays dense.
        """
        if self.keep is None or self.block is None:
            return largest(round((1 - sparsity) * layer.rows * layer.columns))
        if not self.fits(layer):
            return largest(layer.rows * layer.columns)
        return _blocks(self.keep, self.block, _channels(layer))


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
