"""Sufficient statistics of labelled features, exactly.

Counts, sums by class and the Gram matrix are kept in whole numbers (see `planes`), so that no
addition ever rounds. Statistics are therefore the same, byte for byte, whatever the order of the
samples, the number of workers, the partitions that were merged and the linear algebra library;
and a sample that is subtracted leaves no trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import DataError
from edgetransfer.heads.moments import Moments
from edgetransfer.heads.planes import (
    BITS,
    LEAST_EXPONENT,
    LOW,
    ROWS_PER_BLOCK,
    Float64Array,
    Plane,
    whole_numbers,
)
from edgetransfer.heads.tensor_file import safetensors_bytes
from edgetransfer.types import Float32Array, IntArray

FORMAT = "edgetransfer-statistics-1"


class Statistics:
    """Counts, sums and the Gram matrix of labelled features, exactly.

    Statistics form a group: `merge` is its addition, in any order, and `subtract` and `without`
    undo it exactly. Not safe for several threads at once; give each its own and merge.

    Parameters
    ----------
    dimension
        The length D of a feature row.
    n_classes
        The number K of classes; `grow` adds some.
    """

    def __init__(self, dimension: int, n_classes: int) -> None:
        self.dimension = dimension
        self.counts: IntArray = np.zeros(n_classes, np.int64)
        self._planes: dict[int, Plane] = {}

    @classmethod
    def of(cls, features: Float32Array, labels: IntArray, n_classes: int) -> Statistics:
        """The statistics of (N, D) features and (N,) labels."""
        statistics = cls(features.shape[1], n_classes)
        statistics.update(features, labels)
        return statistics

    @property
    def n_classes(self) -> int:
        """The number K of classes."""
        return len(self.counts)

    @property
    def n(self) -> int:
        """How many samples they hold."""
        return int(self.counts.sum())

    @property
    def planes(self) -> tuple[Plane, ...]:
        """What is not empty, the finest power of two first, up to date."""
        for plane in self._planes.values():
            plane.normalise()
        kept = [plane for plane in self._planes.values() if plane.count]
        return tuple(sorted(kept, key=lambda plane: plane.exponent))

    def update(self, features: Float32Array, labels: IntArray) -> None:
        """Learn (n, D) features and their (n,) labels.

        Raises
        ------
        DataError
            If a feature is not finite, or a label is not a class.
        """
        self._take(features, labels, 1)

    def subtract(self, features: Float32Array, labels: IntArray) -> None:
        """Forget rows that were learned: afterwards they might never have been here.

        Raises
        ------
        DataError
            If a class would keep fewer than no samples: these rows were not learned.
        """
        self._take(features, labels, -1)

    def merge(self, other: Statistics) -> None:
        """Add what others have learned of the same classes and features."""
        self._combine(other, 1)

    def without(self, other: Statistics) -> None:
        """Take away what others have learned; the undoing of `merge`."""
        self._combine(other, -1)

    def grow(self, n_classes: int) -> None:
        """Make room for classes that are new; there are never fewer than before."""
        more = n_classes - self.n_classes
        self.counts = np.pad(self.counts, (0, more))
        for plane in self._planes.values():
            plane.grow(n_classes)

    def dropped(self, kept: IntArray) -> None:
        """Keep the classes ``kept`` alone, in their order; the others have no samples any more.

        Raises
        ------
        DataError
            If a class that goes has samples: `subtract` them first.
        """
        gone = np.setdiff1d(np.arange(self.n_classes), kept)
        if self.counts[gone].any():
            raise DataError("a class that goes still has samples")
        self.counts = self.counts[kept]
        for plane in self._planes.values():
            plane.keep(kept)

    def relabel(self, features: Float32Array, old: IntArray, new: IntArray) -> None:
        """Move learned rows from their old to their new classes."""
        self.subtract(features, old)
        self.update(features, new)

    def moments(self) -> Moments:
        """Means and scatter, in float64; the same bytes for the same statistics.

        A feature whose scatter may be nothing but rounding is made exactly constant.
        """
        d, n = self.dimension, max(self.n, 1)
        gram: Float64Array = np.zeros((d, d))
        sums: Float64Array = np.zeros((self.n_classes, d))
        for plane in self.planes:
            gram += plane.gram * 4.0**plane.exponent
            if plane.high is not None:
                gram += plane.high * (4.0**plane.exponent * 2.0**LOW)
            sums += plane.sums * 2.0**plane.exponent
        mean = sums.sum(axis=0) / n
        squares = gram.diagonal().copy()
        gram -= np.outer(mean, mean) * n
        dead = gram.diagonal() <= 1e-13 * squares + sum(plane.rounding for plane in self.planes)
        gram[dead] = 0
        gram[:, dead] = 0
        sums /= np.maximum(self.counts, 1)[:, None]
        return Moments(counts=self.counts.copy(), class_means=sums, mean=mean, total=gram)

    def arrays(self) -> dict[str, NDArray[np.int64]]:
        """All there is, by name; equal statistics have equal arrays.

        Of the Gram matrices only the upper triangle, row by row. ``gram_high`` is there where sums
        are beyond one number (`Plane`).
        """
        planes, upper = self.planes, np.triu_indices(self.dimension)
        shape = (len(planes), self.n_classes, self.dimension)
        high = {}
        if any(plane.high is not None for plane in planes):
            none = np.zeros(len(upper[0]), np.int64)
            parts = [none if p.high is None else p.high[upper] for p in planes]
            high = {"gram_high": np.array(parts, np.int64)}
        return high | {
            "counts": self.counts,
            "exponents": np.array([plane.exponent for plane in planes], np.int64),
            "rows": np.array([plane.count for plane in planes], np.int64),
            "sums": np.array([plane.sums for plane in planes], np.int64).reshape(shape),
            "gram": np.array([p.gram[upper] for p in planes], np.int64).reshape(-1, len(upper[0])),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Statistics:
        """Statistics from what `arrays` returned.

        Raises
        ------
        DataError
            If the arrays do not fit each other.
        """
        names = ("counts", "exponents", "rows", "sums", "gram")
        counts, exponents, rows, sums, gram = (arrays[name] for name in names)
        high = arrays.get("gram_high", np.zeros_like(gram))
        dimension = sums.shape[-1]
        upper = np.triu_indices(dimension)
        if (
            sums.shape != (len(exponents), len(counts), dimension)
            or gram.shape != (len(exponents), len(upper[0]))
            or high.shape != gram.shape
            or high.dtype != np.int64
            or rows.shape != exponents.shape
            or any(arrays[name].dtype != np.int64 for name in names)
            or len(np.unique(exponents)) != len(exponents)
            or (len(exponents) and not exponents.min() >= LEAST_EXPONENT - BITS)
            or (len(exponents) and exponents.max() > np.finfo(np.float32).maxexp)
            or counts.min(initial=0) < 0
        ):
            raise DataError("the statistics in it do not fit each other")
        statistics = cls(dimension, len(counts))
        statistics.counts = counts.copy()
        parts = zip(exponents.tolist(), rows.tolist(), sums, gram, high, strict=True)
        for exponent, count, own, half, above in parts:
            plane = statistics._plane(exponent)
            plane.count = count
            plane.sums[...] = own
            plane.gram[upper] = half
            plane.gram.T[upper] = half
            if above.any():
                plane.high = np.zeros_like(plane.gram)
                plane.high[upper] = above
                plane.high.T[upper] = above
        return statistics

    def save(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write everything as safetensors with ``metadata``, atomically; equal ones equal bytes."""
        write_atomically(path, safetensors_bytes(self.arrays(), {**metadata, "format": FORMAT}))

    @classmethod
    def load(cls, path: Path, *, backbone: str | None = None) -> Statistics:
        """Read what `save` wrote.

        Raises
        ------
        DataError
            If the file is broken, or of another version, or its metadata name another backbone.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="numpy") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise DataError(f"{path}: not statistics that this version can read")
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise DataError(f"{path}: not a complete file of statistics: {error}") from error
        if backbone is not None and metadata.get("backbone") != backbone:
            raise DataError(f"{path}: these are statistics of another backbone's features")
        try:
            return cls.of_arrays(arrays)
        except (KeyError, IndexError, DataError) as error:
            raise DataError(f"{path}: damaged: {error}") from error

    def _take(self, features: Float32Array, labels: IntArray, sign: int) -> None:
        self._check(features, labels)
        counts = self.counts + sign * np.bincount(labels, minlength=self.n_classes)
        if counts.min(initial=0) < 0:
            raise DataError("samples cannot be forgotten that were never learned")
        for first in range(0, len(labels), ROWS_PER_BLOCK):
            block = slice(first, first + ROWS_PER_BLOCK)
            for exponent, whole, members in whole_numbers(features[block]):
                self._plane(exponent).add(whole, labels[block][members], sign)
        self.counts = counts

    def _check(self, features: Float32Array, labels: IntArray) -> None:
        if features.ndim != 2 or features.shape != (len(labels), self.dimension):
            raise DataError(
                f"features of shape {features.shape} and {len(labels)} labels do not fit "
                f"statistics of {self.dimension} features"
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < self.n_classes:
            raise DataError(f"a label lies outside the {self.n_classes} classes")
        if not np.isfinite(features).all():
            raise DataError("a feature is not a finite number")

    def _plane(self, exponent: int) -> Plane:
        if exponent not in self._planes:
            sums = np.zeros((self.n_classes, self.dimension), np.int64)
            gram = np.zeros((self.dimension, self.dimension), np.int64)
            self._planes[exponent] = Plane(exponent, sums, gram)
        return self._planes[exponent]

    def _combine(self, other: Statistics, sign: int) -> None:
        if (other.dimension, other.n_classes) != (self.dimension, self.n_classes):
            raise DataError(
                f"statistics of {other.dimension} features and {other.n_classes} classes do not "
                f"go with {self.dimension} and {self.n_classes}"
            )
        counts = self.counts + sign * other.counts
        if counts.min(initial=0) < 0:
            raise DataError("samples cannot be forgotten that were never learned")
        self.counts = counts
        for plane in other.planes:
            self._plane(plane.exponent).merge(plane, sign)
