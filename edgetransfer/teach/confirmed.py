"""Labels that a person has looked at and found right: they are not doubted again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from edgetransfer.atomic import write_atomically

NAME = "confirmed.json"
LARGEST = 2**24


class Confirmed:
    """Ids of photos, with the labels that they had, in a file of the run folder."""

    def __init__(self, run: Path) -> None:
        self._path = run / NAME
        self._labels = self._read()

    def confirm(self, labels: dict[str, str]) -> None:
        """Remember photos with their labels."""
        self._labels |= labels
        self._write()

    def forget(self, ids: Iterable[str]) -> None:
        """Know nothing of some photos any more."""
        gone = set(ids) & self._labels.keys()
        if gone:
            self._labels = {i: label for i, label in self._labels.items() if i not in gone}
            self._write()

    def of(self, labels: dict[str, str | None]) -> frozenset[str]:
        """Those of some photos that still have the label that was confirmed."""
        return frozenset(i for i, label in labels.items() if self._labels.get(i) == label)

    def _read(self) -> dict[str, str]:
        """What is damaged is begun anew: the person is asked once more."""
        try:
            if self._path.stat().st_size > LARGEST:
                return {}
            found = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(i): str(label) for i, label in found.items()}
        except (OSError, ValueError, AttributeError, RecursionError):
            return {}

    def _write(self) -> None:
        write_atomically(self._path, json.dumps(self._labels, ensure_ascii=True).encode())
