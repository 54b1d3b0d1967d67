"""A stream's head, with its labels and report, in a folder of its own."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from time import sleep
from typing import Any

from edgetransfer.errors import DataError, RunFolderError
from edgetransfer.runs import RunFolder
from edgetransfer.runs.owning import owned
from edgetransfer.runs.run_folder import HEAD, REPORT
from edgetransfer.stream.keeping.history import Moment, stream_folder
from edgetransfer.stream.keeping.recovery import look
from edgetransfer.stream.learner import blas_on_one_thread
from edgetransfer.stream.learning.prequential import Prequential

DENSE = 1000  # classes: a matrix of more is no use to anybody
TRIES, APART = 10, 0.05  # a running stream deletes files while they are looked at


def export(run: Path, out: Path) -> dict[str, Any]:
    """Write head, labels and report of a run, as it stands, to a folder; returns the report.

    The report holds the prequential confusion matrix, rows are true classes in the order of the
    labels; with more than a thousand classes ``confused`` instead, its cells that are not zero as
    true class, predicted class and how often. The stream may run meanwhile. The folder can be
    given to ``predict`` and ``evaluate``.

    Raises
    ------
    RunFolderError
        If it is no stream's run, has learned nothing yet, or ``out`` is taken.
    """
    folder = stream_folder(run)
    with blas_on_one_thread():
        moment = _now(folder)
    moment.learner.close()
    learner = moment.learner
    if not learner.head.classes:
        raise RunFolderError(f"{run}: nothing was learned yet, so there is no head to export")
    head = learner.head
    report = {
        "run": str(run.resolve()),
        "time": datetime.fromtimestamp(moment.time).astimezone().isoformat(),
        "accepted": moment.accepted,
        "learned": learner.counts.learned,
        "classes": len(head.classes),
        "class_counts": learner.class_counts,
        **_confusion(learner.scores, len(head.classes)),
    }
    RunFolder.check(out)
    with owned(out, "export"):
        exported = RunFolder.begin(out, resume=False, overwrite=False)
        head.save(exported.file(HEAD), moment.run["head"])
        exported.write_labels(head.classes)
        exported.write_json(REPORT, report)
        exported.write_config({**folder.read_config(), "out": str(out.resolve())})
    return report


def _confusion(scores: Prequential, n_classes: int) -> dict[str, Any]:
    if n_classes > DENSE:
        return {"confused": scores.cells}
    return {"confusion": scores.confusion.tolist()}


def _now(folder: RunFolder) -> Moment:
    """The run as it stands: its newest checkpoint, and what the journal holds after it."""
    problem: Exception | None = None
    for _ in range(TRIES):
        try:
            found = look(folder.path)
        except (DataError, FileNotFoundError) as error:
            problem = error
            sleep(APART)
            continue
        if found.checkpoint is not None:
            moment = Moment.at(folder, found.checkpoint, found.ids)
            moment.replay(found.journal.records)
            return moment
        sleep(APART)
    raise problem or RunFolderError(
        f"{folder.path}: it has no checkpoint yet; has the stream been started?"
    )
