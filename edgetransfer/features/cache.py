"""Features kept on disk, so that the same image never goes through the same backbone twice."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgetransfer.atomic import write_atomically
from edgetransfer.images import DECODING_VERSION
from edgetransfer.types import Float32Array

FORMAT = "edgetransfer-features-1"


class FeatureCache:
    """Feature rows by content: (backbone, preprocessing, engine) and the image file's sha256.

    What an image file decodes to may change with a new version of this project: the version of
    decoding is part of the key.

    A cache is a folder of shards, each a safetensors file of ``keys`` (n, 32) uint8 and
    ``features`` (n, D) float32. A shard is written whole under a temporary name and renamed, so
    a process may be killed at any moment, and several may share a cache. A shard that cannot be
    read is passed over, and its images are extracted again.

    Parameters
    ----------
    root
        The folder of all caches.
    identity
        What the features depend on beside the image file.
    dimension
        Their length D.
    """

    def __init__(self, root: Path, identity: str, dimension: int) -> None:
        key = f"{FORMAT}\0{DECODING_VERSION}\0{identity}"
        self.folder = root / hashlib.sha256(key.encode()).hexdigest()[:32]
        self.dimension = dimension
        self._rows: dict[bytes, Float32Array] = {}
        for keys, features in self._shards():
            self._rows.update(zip(keys, features, strict=True))

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: bytes) -> Float32Array | None:
        """The feature row, (D,) float32, of an image's content key; None if there is none."""
        return self._rows.get(key)

    def add(self, keys: list[bytes], features: Float32Array) -> None:
        """Keep (n, D) float32 rows under n keys; on disk when this returns.

        Raises
        ------
        OSError
            If the disk is full or cannot be written; nothing half-written remains.
        """
        from safetensors.numpy import save

        if not keys:
            return
        table = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1)
        rows = np.ascontiguousarray(features, np.float32)
        content = save({"keys": table, "features": rows}, metadata={"format": FORMAT})
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / f"{uuid.uuid4().hex}.safetensors", content)
        self._rows.update(zip(keys, rows, strict=True))

    def _shards(self) -> Iterator[tuple[list[bytes], Float32Array]]:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        for path in sorted(self.folder.glob("*.safetensors")):
            try:
                shard = load_file(path)
                keys, features = shard["keys"], shard["features"]
            except (SafetensorError, OSError, KeyError):
                continue
            if features.shape == (len(keys), self.dimension):
                yield [key.tobytes() for key in keys], features


def content_key(data: bytes) -> bytes:
    """The key of an image: the sha256 of its file's bytes, 32 bytes."""
    return hashlib.sha256(data).digest()


def default_cache_folder() -> Path:
    """The user's own cache folder; ``EDGETRANSFER_CACHE`` names another."""
    import platformdirs

    named = os.environ.get("EDGETRANSFER_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("edgetransfer"))
