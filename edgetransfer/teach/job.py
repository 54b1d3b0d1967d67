"""`run_teaching`: a run opened or begun, its page served until it is stopped, and closed again."""

from __future__ import annotations

from threading import Event
from time import monotonic
from typing import Any

from edgetransfer.settings.teach import TeachSettings
from edgetransfer.stream import OnlineLearner
from edgetransfer.stream.learner import blas_on_one_thread
from edgetransfer.teach.classroom import Classroom
from edgetransfer.teach.routes import TeachRoutes
from edgetransfer.web.pages import page_routes
from edgetransfer.web.serving import Started, serve_until


def run_teaching(
    settings: TeachSettings, *, stop: Event, started: Started | None = None
) -> dict[str, Any]:
    """Serve the page of a run until ``stop`` is set; returns the run's report.

    Raises
    ------
    EdgeTransferError
        If backbone, engine, run folder or address cannot be used. What was acknowledged is safe.
    """
    start = monotonic()
    with blas_on_one_thread(), OnlineLearner(settings.stream()) as learner:
        room = Classroom(learner)
        try:
            serve_until(
                stop,
                {**TeachRoutes(room).table(), **page_routes("edgetransfer.teach")},
                settings.address,
                what=f"{settings.run} is taught",
                started=started,
            )
        finally:
            room.close()
        return {
            **learner.durable.report(),
            "refused": room.intake.refused,
            "seconds": monotonic() - start,
            "engine": learner.engine.choice.name,
        }
