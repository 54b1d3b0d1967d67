"""Features kept on disk, so that the same image never goes through the same backbone twice."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG

import numpy as np
from numpy.typing import NDArray

from edgetransfer.atomic import remove_leftovers, write_atomically
from edgetransfer.engines import EngineChoice
from edgetransfer.images import DECODING_VERSION
from edgetransfer.sealing import BrokenSealError, has_seal, sealed
from edgetransfer.types import Float32Array, Preprocessing

FORMAT = "edgetransfer-features-1"
KEY_BYTES = 32
LEFT_SECONDS = 24 * 3600  # after which a file that is still under its temporary name was left


def rows_identity(backbone: str, preprocessing: Preprocessing, engine: EngineChoice) -> str:
    """Everything beside the image file that an eval-view feature row depends on.

    Parameters
    ----------
    backbone
        Its identity.
    """
    return "\0".join((backbone, preprocessing.fingerprint, engine.name, engine.version))


class FeatureCache:
    """Feature rows by content: (backbone, preprocessing, engine) and the image file's sha256.

    What an image file decodes to may change with a new version of this project: the version of
    decoding is part of the key.

    A cache is a folder of shards, each a safetensors file of ``keys`` (n, 32) uint8 and
    ``features`` (n, D) float32. A shard is written whole under a temporary name and renamed, so
    a process may be killed at any moment, and several may share a cache. A shard that cannot be
    read, or holds what no backbone gives, is passed over, and its images are extracted again.

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
        with contextlib.suppress(OSError):
            remove_leftovers(self.folder, after=LEFT_SECONDS)
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
        if not keys:
            return
        table = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1)
        rows = np.ascontiguousarray(features, np.float32)
        content = sealed({"keys": table, "features": rows}, {"format": FORMAT})
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / f"{uuid.uuid4().hex}.safetensors", content)
        self._rows.update(zip(keys, rows, strict=True))

    def _shards(self) -> Iterator[tuple[list[bytes], Float32Array]]:
        for path in sorted(self.folder.glob("*.safetensors")):
            shard = _read(path)
            if shard is None:
                continue
            keys, features = shard
            if features.shape == (len(keys), self.dimension):
                # A shard of an earlier version has no seal to show that a row is damaged.
                fine = np.isfinite(features).all(axis=1)
                yield [key.tobytes() for key in keys[fine]], features[fine]


def _read(path: Path) -> tuple[NDArray[np.uint8], Float32Array] | None:
    """Keys and features of a shard; None if it is none."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        if not S_ISREG(path.stat().st_mode):
            return None  # a pipe would be waited for
        has_seal(path)
        shard = load_file(path)
        keys, features = shard["keys"], shard["features"]
    except (BrokenSealError, SafetensorError, OSError, KeyError, ValueError):
        return None
    fits = keys.ndim == 2 and keys.shape[1] == KEY_BYTES and features.ndim == 2
    if not fits or keys.dtype != np.uint8 or features.dtype != np.float32:
        return None
    return keys, features


def content_key(data: bytes) -> bytes:
    """The key of an image: the sha256 of its file's bytes, 32 bytes."""
    return hashlib.sha256(data).digest()
