"""Where programs hand photos and corrections in, as people do on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgetransfer.data.streams import Arrival
from edgetransfer.errors import EdgeTransferError
from edgetransfer.stream import OnlineLearner
from edgetransfer.stream.asked import AskedChanges, asked_ids, asked_label
from edgetransfer.stream.keeping.removing import named_classes
from edgetransfer.teach.intake import Intake
from edgetransfer.teach.lesson import Lesson

GONE = "no such photo is here"


class Desk:
    """Takes in what is sent over HTTP, and what other processes ask of the run.

    Parameters
    ----------
    learner
        Of the run; from now on others may ask.
    """

    def __init__(self, learner: OnlineLearner, lesson: Lesson, intake: Intake) -> None:
        self._durable = learner.durable
        self._lesson = lesson
        self._intake = intake
        self._asked_changes = AskedChanges(learner, self._asked)

    def submit(self, arrival: Arrival) -> Mapping[str, Any] | None:
        """See `edgetransfer.stream.http.routes.Desk.submit`."""
        if arrival.correction is None:
            return self._intake.submit(arrival)
        try:
            return {"id": arrival.id, **self._corrected(arrival)}
        except EdgeTransferError as error:
            return {"id": arrival.id, "status": "rejected", "reason": str(error)}

    def _corrected(self, arrival: Arrival) -> Mapping[str, Any]:
        if arrival.correction == "relabel":
            changed, same, _ = self._lesson.relabel([arrival.id], arrival.label or "")
            return {"status": "relabelled" if changed else "duplicate" if same else "unknown"}
        if arrival.correction == "forget class":
            removed = self._lesson.forget_for_good((), self._classes([arrival.id]))
            return {"status": "forgotten" if removed else "unknown", "removed": removed}
        removed = self._lesson.forget_for_good([arrival.id], ())
        return {"status": "forgotten" if removed else "unknown"}

    def _classes(self, names: list[str]) -> frozenset[str]:
        durable = self._durable
        return named_classes(
            durable.run.path, frozenset(names), durable.learner.classes, durable.forgotten_classes
        )[0]

    def answer_letters(self) -> bool:
        """Do what other processes ask of the run; whether there was anything."""
        if not self._asked_changes.due():
            return False
        self._asked_changes.do()
        return True

    def _asked(self, request: Mapping[str, Any]) -> dict[str, Any]:
        ids = asked_ids(request, "ids")
        if request.get("do") == "forget":
            classes = self._classes(asked_ids(request, "classes"))
            removed = self._lesson.forget_for_good(ids, classes)
            return {"removed": removed, **self._durable.report()}
        changed, unchanged, missing = self._lesson.relabel(ids, asked_label(request))
        return {
            "changed": changed,
            "unchanged": unchanged,
            "refused": dict.fromkeys(missing, GONE),
            **self._durable.report(),
        }
