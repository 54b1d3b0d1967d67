"""What follows from a learner's state, and is written beside it for others to read."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Thread
from time import thread_time
from typing import Any

from edgetransfer.heads import Honest, LinearHead
from edgetransfer.metrics import wilson_interval
from edgetransfer.names import json_text, readable
from edgetransfer.reports.stream import LeftOutRecord, StandingRecord
from edgetransfer.runs import RunFolder
from edgetransfer.runs.json_values import finite
from edgetransfer.runs.run_folder import CURVE, HEAD, LABELS, METRICS, PAGE, REPORT
from edgetransfer.stream.keeping.metrics_log import curve_point, read_curve, standing
from edgetransfer.stream.keeping.staleness import stale_names
from edgetransfer.stream.learning.learners import Learner
from edgetransfer.stream.learning.solved_heads import SolvedHeads

DERIVED = (HEAD, LABELS, REPORT)
LONG = 0.25  # seconds of processor for a head that is solved beside
MISTAKES = 10  # of all kinds, the most frequent that a report names

logger = logging.getLogger(__name__)


def report_of(learner: Learner) -> StandingRecord:
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
        "left_out": None if learner.honest is None else _left_out(learner.honest),
    }


def _left_out(honest: Honest) -> LeftOutRecord:
    """Accuracy of the head that was saved last, each sample scored by a head without it."""
    tested = honest.tested
    right = int((honest.logits[tested].argmax(axis=1) == honest.labels[tested]).sum())
    return {
        "method": honest.method,
        "n": len(tested),
        "top1": right / len(tested) if len(tested) else None,
        "interval": list(wilson_interval(right, len(tested))) if len(tested) else None,
    }


def derived_files(learner: Learner, head_metadata: dict[str, str]) -> dict[str, bytes]:
    """Head, labels and report, by name; no head before there is a class."""
    head = learner.head
    return _files(head, report_of(learner), head_metadata)


def _files(
    head: LinearHead, standing: StandingRecord, head_metadata: dict[str, str]
) -> dict[str, bytes]:
    report = json_text(finite(standing), indent=2) + "\n"
    files = {
        LABELS: "".join(f"{readable(name)}\n" for name in head.classes).encode(),
        REPORT: report.encode(),
    }
    if head.classes:
        files[HEAD] = head.content(head_metadata)
    return files


def draw_curve(learner: Learner, run: RunFolder) -> list[dict[str, Any]]:
    """Points of the accuracy over the stream; ``curve.svg`` and the page show them too."""
    from edgetransfer.charts.stream_curve import stream_curve

    curve = read_curve(run.file(METRICS))
    now = curve_point(learner)
    if now["window"] is not None and (not curve or curve[-1]["learned"] < now["learned"]):
        curve.append(now)
    drawn = {PAGE: page_of(learner, run.path, curve)}
    if curve:
        drawn[CURVE] = stream_curve(curve)
    for name, content in drawn.items():
        try:
            run.write(name, content)
        except OSError as error:  # a picture is not worth the run
            logger.warning("%s: not drawn: %s", run.file(name), error.strerror)
    return curve


def page_of(learner: Learner, run: Path, curve: Sequence[Mapping[str, Any]]) -> str:
    """The page of a run, as HTML; ``curve`` as `read_curve` gives it."""
    from edgetransfer.pages import StreamPage, stream_page

    scores = learner.scores
    scored = scores.by_class.tolist()
    return stream_page(
        StreamPage(
            title=run.resolve().name,
            classes=learner.classes,
            report=report_of(learner),
            scored=[*scored, *[0] * (len(learner.classes) - len(scored))],
            cells=scores.cells,
            curve=curve,
        )
    )


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
        self._cost = 0.0  # seconds of processor that the head took last
        self._beside: Thread | None = None
        self._error: BaseException | None = None  # of that; it is raised at the next save

    def save(self, learner: Learner) -> None:
        """Write them; a head that there should not be goes."""
        self.wait()
        begun = thread_time()
        files = derived_files(learner, self._head_metadata)
        self._cost = thread_time() - begun
        self._write(files)
        self.position = learner.counts.position

    def save_soon(self, learner: Learner) -> None:
        """As `save`; a head that takes long is solved and written beside, while others learn.

        It is of then, and the report of now. If the last one is not through, that has to do.
        """
        heads = learner.heads
        if heads is None or self._cost < LONG:
            self.save(learner)
        elif self._beside is None or not self._beside.is_alive():
            self.wait()
            standing = report_of(learner)
            self._beside = Thread(
                target=self._solved, args=(heads, standing), name="edgetransfer-head", daemon=True
            )
            self._beside.start()

    def wait(self) -> None:
        """Until nothing is written beside.

        Raises
        ------
        BaseException
            What a head that was solved there failed at, once.
        """
        if self._beside is not None:
            self._beside.join()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _solved(self, heads: SolvedHeads, standing: StandingRecord) -> None:
        begun = thread_time()
        try:
            head = heads.exact()
        except BaseException as error:  # raised where somebody is told
            self._error = error
            return
        self._cost = thread_time() - begun
        honest = heads.honest
        standing["left_out"] = None if honest is None else _left_out(honest)
        try:
            self._write(_files(head, standing, self._head_metadata))
        except OSError as error:  # they follow with the next checkpoint, or at the next start
            logger.warning("%s: not written: %s", error.filename or self._run.path, error.strerror)

    def _write(self, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            self._run.write(name, content)
        if HEAD not in files:
            self._run.file(HEAD).unlink(missing_ok=True)

    def mend(self, learner: Learner) -> None:
        """Write them anew where they are missing or stale."""
        begun = thread_time()
        files = derived_files(learner, self._head_metadata)
        self._cost = thread_time() - begun
        if stale_names(self._run.path, files):
            self._write(files)
        self.position = learner.counts.position
