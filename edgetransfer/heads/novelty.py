"""Whether features show any of the classes at all: a distance in the statistics' own metric.

The relative Mahalanobis distance of a sample to a class is its distance to the class's mean, less
its distance to the mean of all samples in the metric of all of their scatter (Ren et al., "A simple
fix to Mahalanobis distance for improving near-OOD detection", 2021): what is odd about a sample
whichever class it is of does not count. With scatters S within the classes and T of all,

    d_k(x) = (x - m_k)^T A (x - m_k) - (x - m)^T P (x - m),  A = (S + l)^-1,  P = (T + l)^-1,

and as T - S is of the class means alone, A - P is too, by the Woodbury identity. With M the K
class means less m, N their counts, and C = (N^-1 - M P M^T)^-1 = R R^T it is

    d_k(x) = |u - R_k / n_k|^2 - 1 / n_k,  u = R^T M P (x - m):

prototypes in a space of fewer dimensions than there are classes, the discriminants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetransfer.errors import HeadError
from edgetransfer.heads.discriminant import correction_of, discriminant_left_out, grown_by, within
from edgetransfer.heads.loss import FloatArray
from edgetransfer.heads.planes import Float64Array
from edgetransfer.heads.spectrum import Spectrum
from edgetransfer.reprs import short_repr
from edgetransfer.types import Float32Array, IntArray

REJECTED = 0.05  # of samples that do show one of the classes
NOTHING = 1e-10  # of the largest discriminant
FAR = 1e30  # added to the distance of a class without samples
PARTS = ("axes", "centre", "prototypes", "nearer")


@dataclass(frozen=True, kw_only=True, eq=False)
class Novelty:
    """Tells features that show none of the classes from those that do.

    Parameters
    ----------
    axes
        (M, r) float32; what rows are multiplied by after the head's map.
    centre
        (r,) float32, taken off after that.
    prototypes
        (K, r) float32, of the classes.
    nearer
        (K,) float32, taken off the squared distance to each.
    threshold
        The distance above which a sample probably shows none of the classes.
    rejected
        The share of samples that do show one and lie above it, left out in turn, 0 to 1.
    """

    axes: Float32Array
    centre: Float32Array
    prototypes: Float32Array
    nearer: Float32Array
    threshold: float
    rejected: float = REJECTED

    __repr__ = short_repr

    def __post_init__(self) -> None:
        shapes = (self.axes.shape[1:], self.centre.shape, self.prototypes.shape[1:])
        if (
            self.axes.ndim != 2
            or len(set(shapes)) != 1
            or self.nearer.shape != self.prototypes.shape[:1]
            or not np.isfinite(self.threshold)
            or not 0 <= self.rejected <= 1
        ):
            raise HeadError("what tells the unknown does not fit together")

    @classmethod
    def of(
        cls,
        projected: FloatArray,
        means: Float64Array,
        mean: Float64Array,
        totals: Float64Array,
        threshold: float,
    ) -> Novelty:
        """From (M P)^T, (M, K), the (K, M) means less the ``mean``, and the classes' weights."""
        projected = projected.astype(np.float64, copy=False)
        values, vectors = np.linalg.eigh(correction_of(means @ projected, totals))
        kept = values > NOTHING * values[-1]
        roots = vectors[:, kept] * np.sqrt(values[kept])
        scale = np.sqrt(totals.sum())
        axes = projected @ (roots * scale)
        some = np.where(totals > 0, totals, 1)
        return cls(
            axes=axes.astype(np.float32),
            centre=(mean @ axes).astype(np.float32),
            prototypes=(roots * scale / some[:, None]).astype(np.float32),
            nearer=np.where(totals > 0, totals.sum() / some, -FAR).astype(np.float32),
            threshold=threshold,
        )

    def distances(self, mapped: Float32Array) -> FloatArray:
        """(n,), of (n, M) mapped rows to the nearest class."""
        places = mapped @ self.axes - self.centre
        squares = np.square(places).sum(axis=1, keepdims=True) - 2 * places @ self.prototypes.T
        squares += np.square(self.prototypes).sum(axis=1) - self.nearer
        nearest: FloatArray = squares.min(axis=1)
        return nearest

    @property
    def square(self) -> float:
        """The largest square that a distance is a difference of: its rounding is a share of that.

        With more features than samples it is thousands of times the distances of these samples.
        """
        return float(np.square(self.prototypes).sum(axis=1).max(initial=0))

    def tensors(self) -> dict[str, Float32Array]:
        """The arrays by the names that they are saved under."""
        return {f"novelty.{name}": np.ascontiguousarray(getattr(self, name)) for name in PARTS}

    @classmethod
    def of_tensors(
        cls, tensors: Mapping[str, NDArray[np.float32]], threshold: float, rejected: float
    ) -> Novelty:
        """From what `tensors` returned; a `KeyError` if something of it is missing."""
        parts = {name: tensors[f"novelty.{name}"] for name in PARTS}
        if any(part.dtype != np.float32 for part in parts.values()):
            raise HeadError("its numbers are not float32")
        if not all(np.isfinite(part).all() for part in parts.values()):
            raise HeadError("some of what tells the unknown is not finite")
        return cls(**parts, threshold=threshold, rejected=rejected)


def novelty_of(spectrum: Spectrum, penalty: float, threshold: float) -> Novelty:
    """The same metric as `left_out_distances`, over all samples of a spectrum."""
    inverse = 1 / (spectrum.values + penalty * spectrum.unit)
    projected = spectrum.basis @ (spectrum.means * inverse).T
    means = spectrum.means @ spectrum.basis.T
    return Novelty.of(projected, means, spectrum.mean, spectrum.totals, threshold)


def left_out_distances(spectrum: Spectrum, penalty: float) -> FloatArray:
    """(N,), of each row to the nearest class, all that it is compared with fitted without it.

    The only sample of a class is compared with the others. As for `discriminant_left_out`, by the
    Sherman-Morrison identity.
    """
    products = spectrum.products(penalty)
    inverse = within(spectrum, products)
    labels, rows = spectrum.labels, np.arange(len(spectrum.labels))
    own_mean = inverse.means.diagonal()[labels].astype(inverse.rows.dtype)
    to_own = inverse.rows - inverse.rows_means[rows, labels]
    apart = np.maximum(to_own - inverse.rows_means[rows, labels] + own_mean, 0)
    itself = inverse.rows + grown_by(spectrum, apart) * to_own**2
    nearest = itself - 2 * discriminant_left_out(spectrum, products).max(axis=1)
    n = int(spectrum.counts.sum())
    own = spectrum.weights[labels].astype(products.rows.dtype)
    without = n / np.maximum(n - own, 1e-9)
    from_all = without**2 * products.rows / np.maximum(1 - own * without * products.rows, 1e-9)
    distances: FloatArray = n * (nearest - from_all)
    return distances


def threshold_of(distances: FloatArray, tested: IntArray) -> float | None:
    """The distance that `REJECTED` of the tested samples exceed; None if they are too few.

    Fewer than a sample in question says nothing of such a share.
    """
    if len(tested) * REJECTED < 1:
        return None
    return float(np.quantile(distances[tested], 1 - REJECTED))
