"""Learned samples by id, as the journal has them: their features, to take them away again.

The journal keeps the features of what it holds, within its budget and beyond the checkpoints that
cover them, so that nothing else needs to. It is read from its end: what was learned last is found
soonest.
"""

from __future__ import annotations

from pathlib import Path

from edgetransfer.stream.keeping.journal import segments, whole_records
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.stream.learning.records import Learned

BEYOND = (
    "its features are kept no longer: the journal reaches back as far as --journal-bytes allows"
)


def learned_samples(
    journal: Path, keys: frozenset[bytes], classes: frozenset[str] = frozenset()
) -> dict[bytes, Learned]:
    """The samples of some keys, and all of some classes, each as it was learned last.

    What was forgotten, or has no label, or left the journal, is not among them.
    """
    latest: dict[bytes, Learned] = {}
    for path in reversed(segments(journal)):
        here = {
            key: Learned(label=record.label, rows=record.rows)
            for record, _ in whole_records(path.read_bytes())
            if record.label is not None
            and record.rows is not None
            and ((key := id_key(record.id)) in keys or classes)
        }
        latest = {**here, **latest}
        if not classes and keys <= latest.keys():
            break
    return {key: s for key, s in latest.items() if key in keys or s.label in classes}


def gone_keys(journal: Path) -> frozenset[bytes]:
    """The keys of the samples whose records only have their places left."""
    records = (r for path in segments(journal) for r, _ in whole_records(path.read_bytes()))
    return frozenset(key for r in records if r.kind == "gone" and (key := r.key) is not None)
