"""Batches of columns to features: what Ray, Spark and Dask call in their workers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgetransfer.data import Sample
from edgetransfer.engines import AUTO
from edgetransfer.errors import DataError
from edgetransfer.features.given import sample_of
from edgetransfer.features.worker import ExtractedRows, FeatureWorker
from edgetransfer.settings.shared import BackboneReading

FEATURE = "feature"
PROBLEM = "problem"


class PhotoFeatures:
    """Adds the column ``feature`` to batches of photos, and ``problem`` where there is none.

    It can be pickled, and opens its engine in the process that calls it, with as many threads as
    the scheduler grants. A row has the same features whatever batch it comes in.

    Parameters
    ----------
    backbone
        An ONNX file, or the name of a bundled backbone; each process needs it there.
    image
        The column of photos: the bytes of files, paths, arrays (H, W, 3) uint8, or structures
        with ``bytes`` and ``path``, as Hugging Face's datasets have.
    engine
        As of `open_engine`; pickled, it is the one that runs here.
    threads
        What the scheduler grants if None.

    Raises
    ------
    BackboneError
        If the backbone cannot be used.

    Examples
    --------
    >>> import edgetransfer
    >>> extract = edgetransfer.PhotoFeatures("small.onnx", image="photo")
    >>> batch = extract({"photo": ["photos/test/red/000.png", "no-such-file.jpg"]})
    >>> batch["feature"].shape, batch["problem"].tolist()
    ((2, 16), [None, 'No such file or directory'])
    """

    def __init__(
        self,
        backbone: str | Path,
        *,
        image: str = "image",
        engine: str = AUTO,
        threads: int | None = None,
        reading: BackboneReading | None = None,
    ) -> None:
        self.image = image
        self._worker = FeatureWorker(str(backbone), reading=reading, engine=engine, threads=threads)

    @property
    def dimension(self) -> int:
        """The length of a feature row."""
        return self._worker.backbone.dimension

    def __call__(self, batch: Any) -> Any:
        """A batch with its features.

        Parameters
        ----------
        batch
            A mapping of columns, a pandas frame, or a table or record batch of Arrow's.

        Returns
        -------
        The same kind, with two columns more. In a mapping ``feature`` is (n, D) float32, nan where
        there is a problem; elsewhere such rows have no feature.

        Raises
        ------
        DataError
            If there is no column of photos, or it is of another kind.
        """
        if isinstance(batch, Mapping):
            rows = self._rows(batch, batch)
            problems = np.array([rows.problems.get(i) for i in range(len(rows.features))], object)
            return {**batch, FEATURE: rows.features, PROBLEM: problems}
        if hasattr(batch, "assign"):  # a frame of pandas
            rows = self._rows(batch.columns, batch)
            found = _listed(rows)
            return batch.assign(**{FEATURE: found[0], PROBLEM: found[1]})
        if hasattr(batch, "schema"):
            return self._with_arrow(batch)
        raise DataError(
            f"a batch of columns is a mapping, a pandas frame or an Arrow table, "
            f"not {type(batch).__name__}"
        )

    def over_arrow(self, batches: Iterable[Any]) -> Iterator[Any]:
        """As `DataFrame.mapInArrow` of Spark calls it: record batches with their features."""
        yield from map(self, batches)

    def _with_arrow(self, batch: Any) -> Any:
        import pyarrow as pa

        rows = self._rows(batch.schema.names, batch)
        features, problems = _listed(rows)
        columns = {name: batch.column(name) for name in batch.schema.names}
        columns[FEATURE] = pa.array(features, pa.list_(pa.float32()))
        columns[PROBLEM] = pa.array(problems, pa.string())
        return type(batch).from_pydict(columns)

    def _rows(self, names: Iterable[str], batch: Any) -> ExtractedRows:
        if self.image not in names:
            there = ", ".join(map(str, names))
            raise DataError(f"no column {self.image!r} of photos; there are {there}: name it")
        column = batch[self.image]
        photos = column.to_pylist() if hasattr(column, "to_pylist") else list(column)
        samples = [_sample(photo, place) for place, photo in enumerate(photos)]
        return self._worker.extract(samples)


def _sample(photo: Any, place: int) -> Sample:
    """One photo of a column; of nothing the bytes of nothing, which no decoder takes."""
    if isinstance(photo, Mapping):
        inner = photo.get("bytes")
        photo = photo.get("path") if inner is None else inner
    return sample_of(b"" if _is_missing(photo) else photo, place)


def _is_missing(photo: Any) -> bool:
    """Whether a cell is empty: in a frame of pandas that is nan, or its own NA."""
    if photo is None or (isinstance(photo, float) and np.isnan(photo)):
        return True
    return "pandas" in sys.modules and photo is sys.modules["pandas"].NA


def _listed(rows: ExtractedRows) -> tuple[Sequence[Any], Sequence[str | None]]:
    """Features and problems as lists, None where there is none."""
    n = len(rows.features)
    features = [None if i in rows.problems else rows.features[i] for i in range(n)]
    return features, [rows.problems.get(i) for i in range(n)]
