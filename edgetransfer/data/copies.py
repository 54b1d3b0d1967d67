"""Photos that are the same file, byte for byte, under several names.

A copy has the size of its original, so only files that share their size with another one are
read and hashed; of photos that are all different those are few, and where all are of one size
(bitmaps) each is read once, at the disk's speed.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Sequence

from edgetransfer.data.samples import Sample, Stored

_Place = tuple[int, int]
"""Where a file really lies: its device and inode."""


def copies_of(samples: Sequence[Sample], originals: Iterable[Sample]) -> dict[int, Sample]:
    """For each sample, by place, that is a copy of an original: the first such original."""
    looks = [_look(sample) for sample in samples]
    wanted = {look[0] for look in looks if look is not None}
    same_place: dict[_Place, Sample] = {}
    by_size: dict[int, list[Sample]] = {}
    for original in originals:
        if (look := _look(original)) is not None and look[0] in wanted:
            by_size.setdefault(look[0], []).append(original)
            if look[1] is not None:
                same_place.setdefault(look[1], original)
    found: dict[int, Sample] = {}
    unsure: dict[int, list[int]] = {}
    for index, look in enumerate(looks):
        if look is not None and look[1] in same_place:
            found[index] = same_place[look[1]]  # the very same file: it need not be read
        elif look is not None and look[0] in by_size:
            unsure.setdefault(look[0], []).append(index)
    for size, indices in unsure.items():
        first: dict[bytes, Sample] = {}
        for original in by_size[size]:
            if (key := _content(original)) is not None:
                first.setdefault(key, original)
        for index in indices:
            key = _content(samples[index])
            if key is not None and key in first:
                found[index] = first[key]
    return dict(sorted(found.items()))


def groups_of_copies(samples: Sequence[Sample]) -> list[list[int]]:
    """The places of samples that are copies of one another, in groups of two and more."""
    by_size: dict[int, list[int]] = {}
    for place, sample in enumerate(samples):
        if (look := _look(sample)) is not None:
            by_size.setdefault(look[0], []).append(place)
    groups: list[list[int]] = []
    for same in by_size.values():
        if len(same) == 1:
            continue
        by_content: dict[bytes, list[int]] = {}
        for place in same:
            if (key := _content(samples[place])) is not None:
                by_content.setdefault(key, []).append(place)
        groups += [group for group in by_content.values() if len(group) > 1]
    return sorted(groups)


def _look(sample: Sample) -> tuple[int, _Place | None] | None:
    """The bytes of a sample's file and where it lies; None if it is none, or empty."""
    if isinstance(sample.source, bytes):
        return len(sample.source), None
    try:
        if isinstance(sample.source, Stored):
            return (size, None) if (size := sample.source.size) else None
        status = sample.source.stat()
    except (OSError, ValueError):
        return None  # its reader says why
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        return None
    return status.st_size, (status.st_dev, status.st_ino)


def _content(sample: Sample) -> bytes | None:
    try:
        return hashlib.sha256(sample.read()).digest()
    except OSError:
        return None
