"""Samples from tar shards in WebDataset form."""

from __future__ import annotations

import glob
import logging
import os
import tarfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from threading import Event

from edgetransfer.data.labels import checked_label
from edgetransfer.data.streams.arrivals import Arrival, Ledger
from edgetransfer.data.streams.shard_samples import NO_CLASS, ShardSample, ShardSamples
from edgetransfer.data.tar_members import tar_members
from edgetransfer.data.walking import passed_over
from edgetransfer.errors import DataError
from edgetransfer.names import readable

logger = logging.getLogger(__name__)


class TarSource:
    """Shards in the order of their names; of each, photos and the labels of the same name.

    A sample is an image (``.jpg``, ``.png``, …) and a ``.cls`` file with its class; without the
    latter it has no label. See `ShardSamples` for which belong together. Its id is
    ``shard/name``, with ``#1``, ``#2``, … from the second pass on, so each pass is new to the
    learner and has augmented views of its own. What is in no sample is refused by name.

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
        samples = ShardSamples(self._suffixes)
        problem = None
        try:
            for path, content in tar_members(shard, samples.wanted):
                if _passed_over(path):
                    continue
                for sample in samples.add(path, content):
                    yield self._arrival(name, number, sample, ledger)
        except (tarfile.TarError, OSError, EOFError) as error:
            logger.warning("%s: the rest of this shard cannot be read: %s", shard, error)
            problem = f"the shard cannot be read: {error}"
        for sample in samples.rest(torn=problem is not None):
            yield self._arrival(name, number, sample, ledger)
        if problem is not None:
            yield Arrival(id=name, problem=problem)
        if samples.further and not number:
            logger.info(
                "%s: left out %d images that are further parts of samples, such as %s",
                shard,
                len(samples.further),
                readable(samples.further[0]),
            )

    def _arrival(
        self, shard: str, number: int, sample: ShardSample, ledger: Ledger
    ) -> Arrival | None:
        sample_id = f"{shard}/{sample.key}" + (f"#{number}" if number else "")
        known = ledger.known(sample_id)
        if known and not (sample.label and ledger.open_for_label(sample_id)):
            return None
        if sample.problem is not None:
            return Arrival(id=sample_id, problem=sample.problem)
        label = None
        try:
            text = (sample.label or b"").decode().strip()
            label = checked_label(text) if text else None
        except UnicodeDecodeError:
            return Arrival(id=sample_id, problem="its .cls file is not text")
        except DataError as error:
            return Arrival(id=sample_id, problem=f"{NO_CLASS}: {error}")
        if label is None and sample.image is None:
            return None  # an empty label for a photo that went before
        return Arrival(id=sample_id, source=None if known else sample.image, label=label)


@lru_cache(maxsize=4096)
def _hidden_folder(folder: str) -> bool:
    names = [name for name in folder.split("/") if name not in ("", ".", "..")]
    return any(passed_over(name, is_folder=True) for name in names)


def _passed_over(path: str) -> bool:
    """Whether a member is no data: hidden, or what a storage system keeps for itself."""
    folder, _, file = path.rpartition("/")
    return file.startswith(".") or (folder != "" and _hidden_folder(folder))
