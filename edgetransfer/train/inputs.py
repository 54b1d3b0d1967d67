"""Which photos a run was begun with, kept in its folder, so that others are noticed later.

data.json: ``set``, the fingerprint of ids, labels and classes; ``stamps``, eight hexadecimal digits
a photo (train, val, test), a checksum of its file's size and time of change.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgetransfer.data import DataSplits, Sample, Stored
from edgetransfer.runs import RunFolder
from edgetransfer.runs.run_folder import DATA
from edgetransfer.untrusted_json import json_value

DIGITS = 8


def record_of(splits: DataSplits) -> dict[str, Any]:
    """What is kept of a data set."""
    return {"set": splits.fingerprint, "stamps": "".join(map(_stamp, _samples(splits)))}


def stamp_of(splits: DataSplits) -> str:
    """A short checksum over the stamps of all photos."""
    return f"{zlib.crc32(str(record_of(splits)['stamps']).encode()):08x}"


def write_inputs(run: RunFolder, splits: DataSplits) -> None:
    """Keep what a run begins with; a run that goes on keeps what it began with."""
    if not run.file(DATA).is_file():
        run.write(DATA, json.dumps(record_of(splits)) + "\n")


def changed_inputs(run: RunFolder, splits: DataSplits) -> str | None:
    """What has changed since a run began, as a clause; None if nothing, or it was not kept."""
    try:
        before = json_value(run.file(DATA).read_text(encoding="utf-8"))
        known, stamps = before["set"], before["stamps"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if known != splits.fingerprint:
        return "photos or classes came, went or were renamed since then"
    samples = list(_samples(splits))
    now = [_stamp(sample) for sample in samples]
    changed = [
        sample.id
        for place, (sample, stamp) in enumerate(zip(samples, now, strict=True))
        if stamps[DIGITS * place : DIGITS * (place + 1)] != stamp
    ]
    if not changed:
        return None
    others = f" and {len(changed) - 1} others" if len(changed) > 1 else ""
    return f"{changed[0]}{others} of {len(samples)} photos were written anew since then"


def _samples(splits: DataSplits) -> Iterator[Sample]:
    yield from splits.train
    yield from splits.val
    yield from splits.test


def _stamp(sample: Sample) -> str:
    try:
        if isinstance(sample.source, Stored):
            return f"{zlib.crc32(sample.source.stamp.encode()):08x}"
        if not isinstance(sample.source, Path):
            return f"{zlib.crc32(sample.read()):08x}"
        status = sample.source.stat()
    except OSError:
        return "0" * DIGITS
    return f"{zlib.crc32(f'{status.st_size} {status.st_mtime_ns}'.encode()):08x}"
