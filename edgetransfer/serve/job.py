"""`run_server`: a run opened, served until it is stopped, and closed again."""

from __future__ import annotations

from threading import Event
from time import monotonic
from typing import Any

from edgetransfer.serve.predictor import Predictor
from edgetransfer.serve.renewal import Renewal
from edgetransfer.serve.routes import PredictionRoutes, Renewed
from edgetransfer.settings.serve import ServeSettings
from edgetransfer.train import Classifier
from edgetransfer.web.pages import page_routes
from edgetransfer.web.serving import Started, serve_until

WAITING = 256  # photos that wait at most


def run_server(
    settings: ServeSettings, *, stop: Event, started: Started | None = None
) -> dict[str, Any]:
    """Serve predictions until ``stop`` is set; returns a report.

    Requests that are in hand then are answered first. The run may go on learning meanwhile: what
    it writes is taken up.

    Raises
    ------
    EdgeTransferError
        If the run or the address cannot be used.
    """

    def load() -> Classifier:
        return Classifier.load(
            settings.run,
            backbone=settings.backbone,
            engine=settings.engine,
            threads=settings.threads,
            batch_size=settings.batch_size,
            unknown_below=settings.unknown_below,
        )

    start = monotonic()
    predictor = Predictor(
        load(), gather_seconds=settings.gather_milliseconds / 1000, capacity=WAITING
    )
    try:
        renewal = Renewal(settings.run, predictor, load)
        try:
            routes = PredictionRoutes(
                predictor, lambda: Renewed(times=renewal.renewed, problem=renewal.problem)
            )
            serve_until(
                stop,
                {**routes.table(), **page_routes("edgetransfer.serve")},
                settings.address,
                what=f"serving {settings.run}",
                started=started,
            )
        finally:
            renewal.close()
    finally:
        predictor.close()
    return {
        "requests": routes.requests,
        "photos": predictor.gatherer.images,
        "batches": predictor.gatherer.batches,
        "taken_up": renewal.renewed,
        "seconds": monotonic() - start,
        "engine": predictor.classifier.extractor.engine.choice.name,
    }
