"""What follows from a learner's state, and is written beside it for others to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgetransfer.names import json_text, readable
from edgetransfer.runs import RunFolder
from edgetransfer.runs.json_values import finite
from edgetransfer.runs.run_folder import HEAD, LABELS, REPORT
from edgetransfer.stream.keeping.metrics_log import standing
from edgetransfer.stream.learners import Learner

MISTAKES = 10  # of all kinds, the most frequent that a report names


def report_of(learner: Learner) -> dict[str, Any]:
    """How a run stands, as JSON values."""
    return {
        "accepted": learner.counts.accepted,
        "labelled": learner.counts.labelled,
        "learned": learner.counts.learned,
        "expired": learner.counts.expired,
        "classes": len(learner.classes),
        "class_counts": learner.class_counts,
        "confused": [
            {"class": learner.classes[a], "predicted": learner.classes[b], "times": times}
            for a, b, times in learner.scores.confused(MISTAKES)
        ],
        **standing(learner),
    }


def derived_files(learner: Learner, head_metadata: dict[str, str]) -> dict[str, bytes]:
    """Head, labels and report, by name; no head before there is a class."""
    head = learner.head
    report = json_text(finite(report_of(learner)), indent=2) + "\n"
    files = {
        LABELS: "".join(f"{readable(name)}\n" for name in head.classes).encode(),
        REPORT: report.encode(),
    }
    if head.classes:
        files[HEAD] = head.content(head_metadata)
    return files


class DerivedFiles:
    """Those of one run, on disk.

    Parameters
    ----------
    head_metadata
        Saved with the head.
    """

    def __init__(self, run: RunFolder, head_metadata: dict[str, str]) -> None:
        self._run = run
        self._head_metadata = head_metadata
        self.position = -1  # of the state that they follow from

    def save(self, learner: Learner) -> None:
        """Write them; a head that there should not be goes."""
        files = derived_files(learner, self._head_metadata)
        for name, content in files.items():
            self._run.write(name, content)
        if HEAD not in files:
            self._run.file(HEAD).unlink(missing_ok=True)
        self.position = learner.counts.position

    def mend(self, learner: Learner) -> None:
        """Write them anew where they are missing or stale."""
        if stale_names(self._run.path, derived_files(learner, self._head_metadata)):
            self.save(learner)
        self.position = learner.counts.position


def stale_names(run: Path, files: dict[str, bytes]) -> list[str]:
    """Those that are not as they should be, and a head that should not be there."""
    names = [name for name, content in files.items() if _content(run / name) != content]
    if HEAD not in files and (run / HEAD).exists():
        names.append(HEAD)
    return names


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
