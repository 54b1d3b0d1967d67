"""Taking samples out of the files that name them, as part of a change that is made whole."""

from __future__ import annotations

from pathlib import Path

from edgetransfer.runs.pending import Staged
from edgetransfer.stream.keeping.journal import segments, whole_records
from edgetransfer.stream.keeping.predictions import NAME, OLDER, without
from edgetransfer.stream.keeping.recovery import JOURNAL
from edgetransfer.stream.learning.ids import id_key


def stage_erasure(
    staged: Staged,
    run: Path,
    ids: frozenset[str],
    classes: frozenset[str],
    keys: frozenset[bytes],
) -> None:
    """Write the journal without the samples of some keys, and predictions without ids and classes.

    Of the records in the journal only the places stay.
    """
    for path in segments(run / JOURNAL):
        content = _without(path, keys)
        if content is not None:
            staged.write(f"{JOURNAL}/{path.name}", content)
    for name in (NAME, OLDER):
        if (run / name).exists():
            staged.write(name, without(run / name, ids, classes))


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
