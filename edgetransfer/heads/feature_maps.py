"""What is done to a feature row before a linear head: fixed functions of one row alone.

No map learns anything from the data, so statistics over mapped rows can be merged, and a stream
can use one from its first photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from edgetransfer.errors import HeadError, UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.train import MapName
from edgetransfer.types import Float32Array

MAPS: tuple[MapName, ...] = get_args(MapName)
RELU_WIDTH = 1024


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureMap:
    """A function of feature rows, (n, D) to (n, M) float32.

    Parameters
    ----------
    name
        ``raw``: nothing. ``l2``: rows of length one. ``power``: the square root of each feature,
        with its sign, which evens out what a few strong activations outweigh (Perronnin, Sanchez
        & Mensink, "Improving the Fisher kernel", ECCV 2010). ``power-l2``: both. ``relu``: rows
        of length one through random directions and a ReLU (McDonnell et al., "RanPAC", NeurIPS
        2023), for features that are not linearly separable.
    projection
        (D, M) float32, the directions of ``relu``.
    """

    name: MapName = "raw"
    projection: Float32Array | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.name not in MAPS:
            raise HeadError(f"a feature map {self.name!r} is not known to this version")
        if (self.projection is not None) != (self.name == "relu"):
            raise HeadError(f"random directions do not go with the feature map {self.name!r}")

    @classmethod
    def made(
        cls, name: MapName, dimension: int, *, seed: int = 0, width: int = RELU_WIDTH
    ) -> FeatureMap:
        """A map for rows of ``dimension`` features; ``seed`` and ``width`` are of ``relu``."""
        if name not in MAPS:
            raise UsageError(f"a feature map is one of {', '.join(MAPS)}, not {name!r}")
        if name != "relu":
            return cls(name=name)
        rng = np.random.default_rng(seed)
        return cls(name=name, projection=rng.standard_normal((dimension, width), np.float32))

    def __call__(self, features: Float32Array) -> Float32Array:
        """Map (n, D) rows; a row of zeros stays one."""
        if self.name == "raw":
            return features
        mapped = features
        if self.name.startswith("power"):
            mapped = np.copysign(np.sqrt(np.abs(features)), features)
        if self.name != "power":
            lengths = np.linalg.norm(mapped.astype(np.float64), axis=1, keepdims=True)
            mapped = (mapped / np.where(lengths > 0, lengths, 1)).astype(np.float32)
        if self.projection is not None:
            mapped = mapped @ self.projection
            np.maximum(mapped, 0, out=mapped)
        return mapped


RAW = FeatureMap()
