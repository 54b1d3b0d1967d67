"""Taking samples out of the files that name them, as part of a change that is made whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetransfer.runs.pending import Staged
from edgetransfer.stream.keeping.journal import segments, whole_records
from edgetransfer.stream.keeping.predictions import NAME, OLDER, without
from edgetransfer.stream.keeping.recovery import JOURNAL
from edgetransfer.stream.keeping.thumbnails import thumbnail
from edgetransfer.stream.learning.ids import id_key


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What leaves a run.

    Parameters
    ----------
    keys
        Of the samples.
    ids, classes
        Of the samples that were named, and the classes that go whole.
    """

    keys: frozenset[bytes]
    ids: frozenset[str]
    classes: frozenset[str]


def stage_erasure(staged: Staged, run: Path, removed: Removed) -> list[str]:
    """Write the journal without the samples of some keys, and predictions without ids and classes.

    Of the records in the journal only the places stay. Returns what else has to be removed: the
    samples' thumbnails.
    """
    for path in segments(run / JOURNAL):
        content = _without(path, removed.keys)
        if content is not None:
            staged.write(f"{JOURNAL}/{path.name}", content)
    for name in (NAME, OLDER):
        if (run / name).exists():
            staged.write(name, without(run / name, removed.ids, removed.classes))
    return [name for key in sorted(removed.keys) if (run / (name := thumbnail(key))).exists()]


def _without(segment: Path, keys: frozenset[bytes]) -> bytes | None:
    """A segment without samples; None if it has none of them."""
    data = segment.read_bytes()
    parts: list[bytes] = []
    end = 0
    found = False
    for record, after in whole_records(data):
        gone = bool(record.id) and record.kind != "gone" and id_key(record.id) in keys
        parts.append(record.forgotten().encoded() if gone else data[end:after])
        found, end = found or gone, after
    return b"".join([*parts, data[end:]]) if found else None
