"""The last samples of a stream, which a head of what is recent alone must be able to forget."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetransfer.stream.learning.ids import ID_BYTES
from edgetransfer.stream.learning.learner_state import packed_keys
from edgetransfer.types import Float32Array


class RecentSamples:
    """Mapped rows with their labels, of the last samples, in the order in which they came.

    Parameters
    ----------
    dimension
        The length D of a row.
    size
        Samples at most; None for all, of which none has to be held here.
    """

    def __init__(self, dimension: int, size: int | None) -> None:
        self._dimension = dimension
        self._size = size
        self._samples: dict[bytes, tuple[Float32Array, int]] = {}

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, key: bytes, rows: Float32Array, label: int) -> None:
        """The newest sample, by its (views, D) rows."""
        if self._size is not None:
            self._samples[key] = (rows, label)

    def past(self) -> Iterator[tuple[bytes, Float32Array, int]]:
        """Let go of the samples that are not among the last any more."""
        while self._size is not None and len(self._samples) > self._size:
            key = next(iter(self._samples))
            yield (key, *self._samples.pop(key))

    def __contains__(self, key: bytes) -> bool:
        """Whether a sample that was learned is one of the last."""
        return self._size is None or key in self._samples

    def relabel(self, key: bytes, label: int) -> None:
        """Give a sample that is one of the last another label; it keeps its place."""
        if key in self._samples:
            self._samples[key] = (self._samples[key][0], label)

    def forget(self, key: bytes) -> None:
        """Let go of a sample, if it is here."""
        self._samples.pop(key, None)

    def renumber(self, new: list[int]) -> None:
        """Rename class i to ``new[i]``; no sample here is of a class at -1."""
        self._samples = {key: (rows, new[k]) for key, (rows, k) in self._samples.items()}

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that a checkpoint needs; nothing where all samples are known."""
        if self._size is None:
            return {}
        rows = [rows for rows, _ in self._samples.values()]
        return {
            "keys": packed_keys(list(self._samples)),
            "views": np.array([len(some) for some in rows], np.int64),
            "rows": np.concatenate([np.zeros((0, self._dimension), np.float32), *rows]),
            "labels": np.array([label for _, label in self._samples.values()], np.int64),
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from what `state` returned."""
        if self._size is None:
            return
        keys = [key.tobytes() for key in state["keys"].reshape(-1, ID_BYTES)]
        rows = np.split(state["rows"], np.cumsum(state["views"])[:-1]) if keys else []
        pairs = zip(rows, state["labels"].tolist(), strict=True)
        self._samples = {
            key: (some.copy(), label) for key, (some, label) in zip(keys, pairs, strict=True)
        }
