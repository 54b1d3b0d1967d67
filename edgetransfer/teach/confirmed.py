"""Labels that a person has looked at and found right: they are not doubted again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgetransfer.atomic import write_atomically
from edgetransfer.stream.learning.ids import id_key
from edgetransfer.untrusted_json import json_value

NAME = "confirmed.json"
LARGEST = 2**24
VERSION = 2  # the first had ids and labels themselves, which outlived their photos


class Confirmed:
    """Photos with the labels that they had, in a file of the run folder.

    Both are there as checksums, so that it says nothing of a photo that is forgotten.
    """

    def __init__(self, run: Path) -> None:
        self._path = run / NAME
        self._labels = self._read()

    def confirm(self, labels: dict[str, str]) -> None:
        """Remember photos by their ids, with their labels."""
        self._labels |= _checksums(labels)
        record = {"version": VERSION, "labels": self._labels}
        write_atomically(self._path, json.dumps(record).encode())

    def of(self, labels: dict[str, str | None]) -> frozenset[str]:
        """Those of some photos that still have the label that was confirmed."""
        there = {i: label for i, label in labels.items() if label is not None}
        return frozenset(
            photo_id
            for photo_id, (key, label) in zip(there, _checksums(there).items(), strict=True)
            if self._labels.get(key) == label
        )

    def _read(self) -> dict[str, str]:
        """What is damaged is begun anew: the person is asked once more."""
        try:
            if self._path.stat().st_size > LARGEST:
                return {}
            return _labels_in(json_value(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, AttributeError, RecursionError):
            return {}


def _labels_in(found: Any) -> dict[str, str]:
    if found.get("version") == VERSION:
        return {str(key): str(label) for key, label in found["labels"].items()}
    return _checksums({str(i): str(label) for i, label in found.items()})


def _checksums(labels: dict[str, str]) -> dict[str, str]:
    return {id_key(i).hex(): id_key(label).hex() for i, label in labels.items()}
