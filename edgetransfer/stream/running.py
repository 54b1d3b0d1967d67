"""`run_stream`: everything opened, run and closed again."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event
from typing import cast

from edgetransfer.data.streams import Source
from edgetransfer.data.streams.arrivals import Reply, no_reply
from edgetransfer.reports.stream import StreamRecord
from edgetransfer.runs.begun_backbone import as_begun
from edgetransfer.runs.run_folder import RunFolder
from edgetransfer.settings.stream import StreamSettings
from edgetransfer.stream.beginning import Beginning, begin
from edgetransfer.stream.full_disk import once_there_is_room
from edgetransfer.stream.job import StreamJob, Watch
from edgetransfer.stream.keeping.recovery import begun_stream
from edgetransfer.stream.learner import OnlineLearner, blas_on_one_thread
from edgetransfer.stream.opening import FeatureSource, open_feature_source
from edgetransfer.stream.prediction_tables import PredictionTables
from edgetransfer.stream.snapshot import Throughput
from edgetransfer.stream.sources import open_source
from edgetransfer.stream.table_features import ToldBy
from edgetransfer.stream.webhook import Webhook

logger = logging.getLogger(__name__)


def run_stream(
    settings: StreamSettings,
    *,
    source: Source | None = None,
    feature_source: FeatureSource | None = None,
    stop: Event | None = None,
    watch: Watch | None = None,
    acknowledge: Reply | None = None,
) -> StreamRecord:
    """Learn from a source until it ends or ``stop`` is set; returns the report.

    Parameters
    ----------
    source
        Where samples come from; opened from the settings if None.
    feature_source
        What turns images into features; opened from the settings if None.
    stop
        Set it (from a signal handler, say) to finish what is in hand, save and return.
    watch
        Told how it goes.
    acknowledge
        Told what became of each JSON line, once that is on disk.

    Raises
    ------
    EdgeTransferError
        If backbone, engine, run folder or source cannot be used. What was acknowledged is safe.
    """
    stop = stop if stop is not None else Event()
    beginning = None if settings.from_run is None else Beginning.of(settings.from_run)
    if beginning is not None:
        settings = beginning.seen_alike(settings)
    settings = as_begun(settings)
    begun_stream(RunFolder(settings.out))
    if settings.nice:
        os.nice(settings.nice)
    with blas_on_one_thread():
        told = None if feature_source is not None else ToldBy.sources(settings)
        if told is not None:
            settings = told.named(settings)
            photos = beginning is not None and not beginning.of_tables
            feature_source = told.feature_source(settings, photos=photos)
        feature_source = (
            feature_source if feature_source is not None else open_feature_source(settings)
        )
        if beginning is not None:
            _agreed(beginning, feature_source)
        learner = _opened(settings, feature_source, stop)
        try:
            if beginning is not None:
                begin(beginning, learner, feature_source, stop)
            board = Throughput(learner)
            if source is None:
                source = open_source(settings, board, acknowledge or no_reply)
            run = learner.durable.run.path
            with ExitStack() as beside:
                beside.enter_context(_metrics_served(settings.metrics_port, board))
                webhook = tables = None
                if settings.webhook is not None:
                    hook = Webhook(run, settings.webhook, settings.webhook_token)
                    webhook = beside.enter_context(hook)
                if settings.predictions is not None:
                    tables = beside.enter_context(PredictionTables(run, settings.predictions))
                report = StreamJob(settings, learner, source, board, stop, watch).run()
            made = cast(StreamRecord, report)
            if webhook is not None:
                made["webhook"] = webhook.report()
            if tables is not None:
                made["prediction_tables"] = tables.report()
            return made
        finally:
            stop.set()
            learner.close()


def _agreed(beginning: Beginning, feature_source: FeatureSource) -> None:
    try:
        beginning.check(feature_source)
    except BaseException:
        feature_source.engine.close()
        raise


def _opened(settings: StreamSettings, feature_source: FeatureSource, stop: Event) -> OnlineLearner:
    """The learner of the run folder; on a full disk, once there is room.

    Raises
    ------
    EdgeTransferError
        If the stream is stopped before there is any.
    """
    try:
        return once_there_is_room(
            lambda: OnlineLearner(settings, feature_source=feature_source),
            settings.out,
            stop,
            then="begins",
        )
    except BaseException:
        feature_source.engine.close()
        raise


@contextmanager
def _metrics_served(port: int | None, board: Throughput) -> Iterator[None]:
    """Serve metrics alone on a loopback port, if one is given."""
    if port is None:
        yield
        return
    from edgetransfer.stream.http import StreamRoutes
    from edgetransfer.web import WebServer

    routes = StreamRoutes(board, None).table()
    server = WebServer("127.0.0.1", port, routes=routes, token=None, longest=0)
    server.start()
    logger.info("metrics on http://127.0.0.1:%d/metrics", server.port)
    try:
        yield
    finally:
        server.stop()
