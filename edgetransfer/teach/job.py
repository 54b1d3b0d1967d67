"""`run_teaching`: a run opened or begun, its page served until it is stopped, and closed again."""

from __future__ import annotations

import logging
from threading import Event
from time import monotonic
from typing import Any

from edgetransfer.serve.job import DRAIN, Started
from edgetransfer.stream import OnlineLearner
from edgetransfer.stream.learner import blas_on_one_thread
from edgetransfer.teach.classroom import Classroom
from edgetransfer.teach.routes import TeachRoutes
from edgetransfer.teach.settings import TeachSettings
from edgetransfer.web import WebServer
from edgetransfer.web.pages import page_routes

logger = logging.getLogger(__name__)


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
            address = settings.address
            server = WebServer(
                address.host,
                address.port,
                routes={**TeachRoutes(room).table(), **page_routes("edgetransfer.teach")},
                token=address.token,
                longest=address.max_body,
                names=address.host_names,
            )
            server.start()
            try:
                logger.info("%s is taught on %s", settings.run, server.address)
                if started is not None:
                    started(server.address)
                stop.wait()
            finally:
                server.stop(seconds=DRAIN)
        finally:
            room.close()
        return {
            **learner.durable.report(),
            "refused": room.intake.refused,
            "seconds": monotonic() - start,
            "engine": learner.engine.choice.name,
        }
