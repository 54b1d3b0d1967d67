"""``metrics.jsonl`` of a stream: how it went, one line every few batches."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from time import monotonic
from typing import Any

from edgetransfer.atomic import write_atomically
from edgetransfer.online.feature_learner import FeatureLearner

logger = logging.getLogger(__name__)

BATCHES = 8
CURVE = 100  # points at least, where there are so many
_TAIL = 4096


class MetricsLog:
    """Appends a line per so many learned batches, once each, whatever is replayed.

    Parameters
    ----------
    path
        The file; a torn last line, and lines beyond ``batches``, are cut off.
    batches
        Learned batches of the checkpoint with all of its journal, the furthest known.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = _mend(path)
        self._since = (monotonic(), 0)
        self._failing = False

    def rewind(self, batches: int) -> None:
        """Drop the lines after so many batches."""
        if self._last <= batches or not self._path.exists():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["batches"] <= batches]
        write_atomically(self._path, "".join(kept).encode())
        self._last = batches

    def record(self, learner: FeatureLearner) -> None:
        """Told after each learned batch."""
        counts = learner.counts
        if counts.batches % BATCHES or counts.batches <= self._last:
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
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            self._last = counts.batches
            self._failing = False
        except OSError as error:  # the journal holds what matters
            if not self._failing:
                logger.warning("%s: not written: %s", self._path, error.strerror)
            self._failing = True


def read_curve(path: Path, points: int = CURVE) -> list[dict[str, Any]]:
    """Between ``points`` and twice as many points of the file, evenly; all if there are fewer.

    Each has ``learned``, and top-1 as ``prequential`` and ``window``. Memory does not grow with
    the file.
    """
    curve: list[dict[str, Any]] = []
    stride = 1
    if not path.exists():
        return curve
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file):
            if number % stride:
                continue
            line = json.loads(text)
            curve.append(
                {
                    "learned": line["learned"],
                    "prequential": line["prequential"]["top1"],
                    "window": line["window"]["top1"],
                }
            )
            if len(curve) == 2 * points:
                curve = curve[::2]
                stride *= 2
    return curve


def standing(learner: FeatureLearner) -> dict[str, Any]:
    """Accuracies, drift and refits of a learner, as JSON values."""
    counts = learner.counts
    return {
        "prequential": learner.scores.total,
        "window": learner.scores.sliding,
        "fading": learner.scores.fading,
        "drift": {"alarms": learner.drift.alarms, "last": learner.drift.last_alarm},
        "reservoir": len(learner.reservoir),
        "refits": counts.refits,
        "adopted": counts.adopted,
    }


def _mend(path: Path) -> int:
    """Cut off a torn last line; returns the batches of the last whole one, 0 if there is none."""
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        start = max(0, size - _TAIL)
        file.seek(start)
        tail = file.read()
        end = tail.rfind(b"\n") + 1
        file.truncate(start + end)
        lines = tail[:end].splitlines()
    try:
        return int(json.loads(lines[-1])["batches"]) if lines else 0
    except (ValueError, KeyError):
        return 0
