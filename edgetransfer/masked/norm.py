"""Batch-norm over maps in lanes, with the ReLU behind it, in the native library; without torch.

y = scale * z + shift with z = (x - mean) / sqrt(variance + epsilon), over all images and pixels of
a channel. Its gradients are those of Ioffe and Szegedy (ICML 2015), section 3: with means over the
same numbers, x' = scale / sqrt(variance + epsilon) * (y' - mean(y') - z * mean(y' * z)). What a
ReLU lets through is computed again, so nothing but x is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetransfer.masked.native import LANES, Norm, TrainingThreads, address
from edgetransfer.types import Float32Array


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Of each channel, (C,) float32: mean and variance (over n, not n - 1) of n numbers."""

    mean: Float32Array
    variance: Float32Array
    count: int


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """One batch-norm on one batch.

    Parameters
    ----------
    moments
        Of the batch.
    scale, shift
        (C,) float32.
    epsilon
        Beside the variance.
    rectified
        Whether a ReLU follows.
    images
        How many there are; other lanes are not counted, and get no gradient.
    """

    moments: Moments
    scale: Float32Array
    shift: Float32Array
    epsilon: float
    rectified: bool
    images: int

    def forward(self, x: Float32Array, threads: TrainingThreads) -> Float32Array:
        """The normalised map of (blocks, H, W, C, 16)."""
        out = np.empty_like(x)
        record = self._record(x)
        record.output = address(out)
        threads.call("normalise", record)
        return out

    def backward(
        self, x: Float32Array, gradient: Float32Array, threads: TrainingThreads
    ) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Gradients by x, scale and shift, of the gradient by the map that came out."""
        out, channels = np.empty_like(x), x.shape[3]
        first, second = np.empty(channels), np.empty(channels)
        record = self._record(x)
        record.gradient = address(gradient)
        record.first, record.second = address(first), address(second)
        threads.call("gradient_sums", record)
        by_shift, by_scale = first.astype(np.float32), second.astype(np.float32)
        means = [(sums / self.moments.count).astype(np.float32) for sums in (first, second)]
        record.by_shift, record.by_scale = (address(mean) for mean in means)
        record.output = address(out)
        threads.call("gradient", record)
        return out, by_scale, by_shift

    def _record(self, x: Float32Array) -> Norm:
        inverse = (1 / np.sqrt(self.moments.variance.astype(float) + self.epsilon)).astype(
            np.float32
        )
        record = _of_map(x, self.images)
        record.mean, record.inverse = address(self.moments.mean), address(inverse)
        record.scale, record.shift = address(self.scale), address(self.shift)
        record.rectified = int(self.rectified)
        record.kept = (inverse,)
        return record


def moments_of(x: Float32Array, images: int, threads: TrainingThreads) -> Moments:
    """Mean and variance of each channel of (blocks, H, W, C, 16), of so many images.

    Numbers are counted from the first one of their channel on, so that nothing cancels where a mean
    is large; in float for 32 pixels, then in double.
    """
    origin = np.ascontiguousarray(x[0, 0, 0, :, 0])
    first, second = np.empty(x.shape[3]), np.empty(x.shape[3])
    record = _of_map(x, images)
    record.origin = address(origin)
    record.first, record.second = address(first), address(second)
    threads.call("moments", record)
    count = images * x.shape[1] * x.shape[2]
    away = first / count
    return Moments(
        mean=(origin + away).astype(np.float32),
        variance=np.maximum(second / count - away**2, 0).astype(np.float32),
        count=count,
    )


def let_through(
    gradient: Float32Array,
    made: Float32Array,
    limits: tuple[float, float],
    threads: TrainingThreads,
) -> tuple[Float32Array, Float32Array]:
    """A gradient before limits, and its sums over images and pixels, (C,) float32.

    Parameters
    ----------
    gradient, made
        By the map that the limits made, and that map, (blocks, H, W, C, 16).
    limits
        What lies on or beyond them got no gradient through.
    """
    out = np.empty_like(made)
    first, second = np.empty(made.shape[3]), np.empty(made.shape[3])
    # Lanes that no image fills have no gradient, and count as well.
    record = _of_map(made, LANES * len(made))
    record.gradient, record.output = address(gradient), address(out)
    record.low, record.high = limits
    record.first, record.second = address(first), address(second)
    threads.call("let_through", record)
    return out, first.astype(np.float32)


def channel_sums(x: Float32Array, threads: TrainingThreads) -> Float32Array:
    """Sums over all lanes and pixels, (C,) float32, of (blocks, H, W, C, 16)."""
    first, second = np.empty(x.shape[3]), np.empty(x.shape[3])
    origin = np.zeros(x.shape[3], np.float32)
    record = _of_map(x, LANES * len(x))
    record.origin = address(origin)
    record.first, record.second = address(first), address(second)
    threads.call("moments", record)
    return first.astype(np.float32)


def _of_map(x: Float32Array, images: int) -> Norm:
    blocks, rows, columns, channels, lanes = x.shape
    if lanes != LANES:
        raise ValueError(f"a map of {lanes} lanes")
    return Norm(
        input=address(x), blocks=blocks, pixels=rows * columns, channels=channels, images=images
    )
