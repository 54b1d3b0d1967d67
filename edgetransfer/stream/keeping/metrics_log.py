"""``metrics.jsonl`` of a stream: how it went, one line every few batches."""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from edgetransfer.atomic import write_atomically
from edgetransfer.reports.stream import AccuracyRecord
from edgetransfer.stream.keeping.opened import open_file, write_all
from edgetransfer.stream.learning.learners import Learner
from edgetransfer.untrusted_json import json_value

logger = logging.getLogger(__name__)

BATCHES = 8
FIRST = (1, 2, 4)  # batches that have a line too: a curve begins with the first samples
CURVE = 100  # points at least, where there are so many
_CHECKSUM = b', "crc32": "'


class MetricsLog:
    """Appends a line per so many learned batches, once each, whatever is replayed.

    Each line ends in a CRC-32 of the rest of it. Nothing is written before `open`.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines, self._odd = _read(path)
        self._last = max((batches for batches, _ in self._lines), default=0)
        self._since = (monotonic(), 0)
        self._failing = False
        self._early: list[bytes] | None = []

    def open(self, batches: int) -> None:
        """Begin to write: lines that are damaged, torn, or beyond so many batches leave.

        Parameters
        ----------
        batches
            Learned batches of the checkpoint with all of its journal, the furthest known.
        """
        kept = [line for at, line in self._lines if at <= batches]
        if self._odd or len(kept) < len(self._lines):
            if self._odd:
                logger.warning("%s: %d lines are damaged, and dropped", self._path, self._odd)
            write_atomically(self._path, b"".join(kept))
        self._last = min(self._last, batches)
        early, self._early, self._lines = self._early, None, []
        if early:
            self._append(b"".join(early))

    def record(self, learner: Learner) -> None:
        """Told after each learned batch."""
        counts = learner.counts
        due = counts.batches in FIRST or not counts.batches % BATCHES
        if not due or counts.batches <= self._last:
            return
        now, (then, learned) = monotonic(), self._since
        line = {
            "batches": counts.batches,
            "accepted": counts.accepted,
            "learned": counts.learned,
            "classes": len(learner.classes),
            "loss": learner.loss,
            **standing(learner),
            "samples_per_second": (counts.learned - learned) / max(now - then, 1e-9),
            "time": counts.last_time,
        }
        self._since = (now, counts.learned)
        if self._early is not None:
            self._early.append(_line(line))
            self._last = counts.batches
        elif self._append(_line(line)):
            self._last = counts.batches

    def _append(self, lines: bytes) -> bool:
        try:
            handle = open_file(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            try:
                write_all(handle, lines)
            finally:
                os.close(handle)
            self._failing = False
        except OSError as error:  # the journal holds what matters
            if not self._failing:
                logger.warning("%s: not written: %s", self._path, error.strerror)
            self._failing = True
        return not self._failing


def read_curve(path: Path, points: int = CURVE) -> list[dict[str, Any]]:
    """Between ``points`` and twice as many points of the file, evenly; all if there are fewer.

    Each has ``learned``, top-1 as ``prequential`` and ``window``, when it was (``time``, seconds
    since 1970), and how many ``drifts`` and adopted ``refits`` there were by then. Memory does not
    grow with the file.
    """
    curve: list[dict[str, Any]] = []
    stride = 1
    if not path.exists():
        return curve
    with path.open("rb") as file:
        for number, text in enumerate(file):
            line = None if number % stride else parsed_line(text)
            if line is None:
                continue
            curve.append(_point(line))
            if len(curve) == 2 * points:
                curve = curve[::2]
                stride *= 2
    return curve


def curve_point(learner: Learner) -> dict[str, Any]:
    """A learner as it stands, as a point of the curve."""
    counts = learner.counts
    return _point({"learned": counts.learned, "time": counts.last_time, **standing(learner)})


def _point(line: Mapping[str, Any]) -> dict[str, Any]:
    drift = line.get("drift")
    return {
        "learned": line["learned"],
        "prequential": line["prequential"]["top1"],
        "window": line["window"]["top1"],
        "time": line.get("time"),
        "drifts": drift.get("alarms", 0) if isinstance(drift, dict) else 0,
        "refits": line.get("adopted", 0),
    }


def standing(learner: Learner) -> AccuracyRecord:
    """Accuracies, drift and refits of a learner, as JSON values."""
    return {
        "prequential": learner.scores.total,
        "window": learner.scores.sliding,
        "fading": learner.scores.fading,
        "drift": {"alarms": learner.drift.alarms, "last": learner.drift.last_alarm},
        **learner.standing(),
    }


def metrics_until(path: Path, batches: int) -> bytes:
    """The whole lines of a file that lie within so many batches."""
    return b"".join(line for at, line in _read(path)[0] if at <= batches)


def damaged_lines(path: Path, *, growing: bool = False) -> int:
    """How many lines of a file are not whole.

    Parameters
    ----------
    growing
        Whether its end may be in the making: a last line without an end is none yet.
    """
    if not path.exists():
        return 0
    with path.open("rb") as file:
        ended = (text for text in file if not growing or text.endswith(b"\n"))
        return sum(parsed_line(text) is None for text in ended)


def parsed_line(text: bytes) -> dict[str, Any] | None:
    """What a line of the file says; None if it is damaged or torn."""
    start, mark, checksum = text.rpartition(_CHECKSUM)
    if mark and (not text.endswith(b'"}\n') or checksum != b'%08x"}\n' % zlib.crc32(start)):
        return None
    try:
        line = json_value(text)
        # Earlier versions wrote no checksum.
        fine = type(line["batches"]) is int and type(line["learned"]) is int
        for score in (line["prequential"]["top1"], line["window"]["top1"]):
            fine = fine and (score is None or 0 <= score <= 1)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return line if fine and text.endswith(b"\n") else None


def _line(values: dict[str, Any]) -> bytes:
    text = json.dumps(values).encode()[:-1]
    return text + _CHECKSUM + b'%08x"}\n' % zlib.crc32(text)


def _read(path: Path) -> tuple[list[tuple[int, bytes]], int]:
    """Batches and text of each whole line, and how many others there are."""
    if not path.exists():
        return [], 0
    with path.open("rb") as file:
        given = [(parsed_line(text), text) for text in file]
    lines = [(line["batches"], text) for line, text in given if line is not None]
    return lines, len(given) - len(lines)
