"""Samples from tar shards in WebDataset form."""

from __future__ import annotations

import glob
import logging
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from edgetransfer.data.streams.arrivals import Arrival, Ledger
from edgetransfer.data.streams.tar_members import tar_members
from edgetransfer.errors import DataError

logger = logging.getLogger(__name__)

CLASS = ".cls"
LARGEST_MEMBER = 256 * 2**20  # bytes of a photo's file
LONGEST_CLASS = 4096  # bytes of a .cls file


class TarSource:
    """Shards in the order of their names; of each, files that share a name up to the first dot.

    A sample is an image (``.jpg``, ``.png``, …) and a ``.cls`` file with its class; without the
    latter it has no label. Its id is ``shard/name``, with ``#1``, ``#2``, … from the second pass
    on, so each pass is new to the learner and has augmented views of its own.

    Parameters
    ----------
    pattern
        Of the shards, as for a shell.
    suffixes
        The endings of image files, in lower case.
    repeat
        Begin anew at the end, for ever.

    Raises
    ------
    DataError
        If no file matches.
    """

    def __init__(self, pattern: str, *, suffixes: frozenset[str], repeat: bool = False) -> None:
        self._shards = [Path(p) for p in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
        if not self._shards:
            raise DataError(f"{pattern}: no tar shard of that name")
        parent = os.path.commonpath([os.path.abspath(s.parent) for s in self._shards])  # noqa: PTH100
        self._names = [Path(os.path.abspath(s)).relative_to(parent) for s in self._shards]  # noqa: PTH100
        self._suffixes = suffixes
        self._repeat = repeat

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        """See `Source.arrivals`."""
        number = 0
        while True:
            usable = 0
            for shard, name in zip(self._shards, self._names, strict=True):
                for arrival in self._read(shard, name.as_posix(), number, ledger):
                    if stop.is_set():
                        return
                    if arrival is not None:
                        yield arrival
                    usable += arrival is None or arrival.problem is None
            if not self._repeat:
                return
            if not usable:
                raise DataError("the tar shards hold no usable image: there is nothing to repeat")
            number += 1

    def _read(
        self, shard: Path, name: str, number: int, ledger: Ledger
    ) -> Iterator[Arrival | None]:
        """The samples of a shard; None for one that is known."""
        try:
            key: str | None = None
            parts: dict[str, bytes | None] = {}
            for path, content in tar_members(shard, self._wanted):
                folder, _, file = path.rpartition("/")
                if file.startswith("."):
                    continue
                stem, _, ending = file.partition(".")
                this = f"{folder}/{stem}" if folder else stem
                if this != key:
                    if key is not None:
                        yield self._sample(name, key, number, parts, ledger)
                    key, parts = this, {}
                if content is not None or self._is_part(path):
                    parts["." + ending.lower()] = content
            if key is not None:
                yield self._sample(name, key, number, parts, ledger)
        except (tarfile.TarError, OSError, EOFError) as error:
            logger.warning("%s: the rest of this shard cannot be read: %s", shard, error)
            yield Arrival(id=name, problem=f"the shard cannot be read: {error}")

    def _wanted(self, path: str, size: int) -> bool:
        longest = LONGEST_CLASS if path.lower().endswith(CLASS) else LARGEST_MEMBER
        return size <= longest and self._is_part(path)

    def _is_part(self, path: str) -> bool:
        ending = "." + path.rpartition("/")[2].partition(".")[2].lower()
        return ending in self._suffixes or ending == CLASS

    def _sample(
        self, shard: str, key: str, number: int, parts: dict[str, bytes | None], ledger: Ledger
    ) -> Arrival | None:
        sample_id = f"{shard}/{key}" + (f"#{number}" if number else "")
        if ledger.known(sample_id):
            return None
        image = next((e for e in sorted(parts) if e in self._suffixes), None)
        if image is None:
            return Arrival(id=sample_id, problem="no image of a known ending")
        if parts[image] is None:
            return Arrival(id=sample_id, problem=f"larger than {LARGEST_MEMBER >> 20} MiB")
        label = None
        if CLASS in parts:
            named = parts[CLASS]
            if named is None:
                return Arrival(id=sample_id, problem="its .cls file holds no class name")
            try:
                label = named.decode().strip()
            except UnicodeDecodeError:
                return Arrival(id=sample_id, problem="its .cls file is not text")
            if not label.isprintable() or len(label) > 200:
                return Arrival(id=sample_id, problem="its .cls file holds no class name")
        return Arrival(id=sample_id, source=parts[image], label=label or None)
