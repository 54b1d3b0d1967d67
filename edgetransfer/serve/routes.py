"""What can be asked of a server of predictions."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLong
from dataclasses import dataclass
from time import monotonic
from typing import Any

from edgetransfer.errors import ImageError
from edgetransfer.features.gathering import BusyError
from edgetransfer.reprs import short_repr
from edgetransfer.serve.openapi import openapi
from edgetransfer.serve.predictor import Predictor
from edgetransfer.settings.shared import TOP
from edgetransfer.train import Prediction
from edgetransfer.web import Answer, Refusal, Request, Route, Routes, json_answer
from edgetransfer.web.exposition import CONTENT_TYPE, Family, exposition, quantiles
from edgetransfer.web.photos import SentPhoto, photos_in

LONGEST_WAIT = 30.0  # seconds until a client is told to come again
MOST_TOP = 10_000  # that can be asked for


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """How often the run was taken up anew, and why it could not be just now."""

    times: int
    problem: str | None

    __repr__ = short_repr


class PredictionRoutes:
    """The routes of one server.

    Parameters
    ----------
    predictor
        Which predicts.
    renewed
        Tells how the run was taken up anew.
    """

    def __init__(self, predictor: Predictor, renewed: Callable[[], Renewed]) -> None:
        self._predictor = predictor
        self._renewed = renewed
        self._start = monotonic()
        self.requests = 0

    def table(self) -> Routes:
        """All of them."""
        return {
            ("GET", "/healthz"): Route(answer=self._health, open=True),
            ("GET", "/openapi.json"): Route(answer=self._description, open=True),
            ("GET", "/metrics"): Route(answer=self._metrics),
            ("GET", "/model"): Route(answer=self._model),
            ("POST", "/predict"): Route(answer=self._predict, query=frozenset({"top"})),
        }

    def _health(self, _request: Request) -> Answer:
        problem = self._renewed().problem
        return json_answer({"status": "ok"} if problem is None else {"status": "stale"})

    def _description(self, _request: Request) -> Answer:
        return json_answer(openapi())

    def _model(self, _request: Request) -> Answer:
        classifier = self._predictor.classifier
        return json_answer(
            {
                "classes": list(classifier.head.classes),
                "unknown_below": classifier.unknown_below,
                "engine": classifier.extractor.engine.choice.name,
                "batch_size": classifier.extractor.engine.batch_size,
                "taken_up": self._renewed().times,
                "problem": self._renewed().problem,
            }
        )

    def _metrics(self, _request: Request) -> Answer:
        gatherer, renewed = self._predictor.gatherer, self._renewed()
        families = [
            Family("requests_total", "counter", "Requests for predictions.", self.requests),
            Family("photos_total", "counter", "Photos answered.", gatherer.images),
            Family("batches_total", "counter", "Batches of the engine.", gatherer.batches),
            Family("waiting", "gauge", "Photos that wait for a batch.", gatherer.waiting),
            Family("taken_up_total", "counter", "Times the run was taken up anew.", renewed.times),
            Family("stale", "gauge", "1 while it cannot be.", int(renewed.problem is not None)),
            Family("up_seconds", "gauge", "Since the start.", monotonic() - self._start),
            *quantiles("latency_seconds", "From arrival to prediction.", gatherer.latencies),
        ]
        return Answer(body=exposition(families).encode(), kind=CONTENT_TYPE)

    def _predict(self, request: Request) -> Answer:
        top = _top(request.query.get("top"))
        photos = photos_in(request)
        request.answering()
        self.requests += 1
        try:
            coming = self._predictor.submit([photo.data for photo in photos], top=top)
        except BusyError as error:
            raise Refusal(429, str(error)) from None
        end = monotonic() + LONGEST_WAIT
        if request.kind != "multipart/form-data":
            try:
                return json_answer(_shown(photos[0], _waited(coming[0], end)))
            except ImageError as error:
                raise Refusal(422, str(error)) from None
        records: list[dict[str, Any]] = []
        for photo, future in zip(photos, coming, strict=True):
            try:
                records.append(_shown(photo, _waited(future, end)))
            except ImageError as error:
                records.append({"name": photo.name, "error": str(error)})
        return json_answer({"predictions": records})


def _top(text: str | None) -> int:
    if text is None:
        return TOP
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MOST_TOP):
        raise Refusal(400, f"top is a number from 1 to {MOST_TOP}")
    return int(text[:9])


def _waited(future: Future[Prediction], end: float) -> Prediction:
    try:
        return future.result(max(0.0, end - monotonic()))
    except TooLong:
        raise Refusal(429, "it takes too long: send it again") from None


def _shown(photo: SentPhoto, prediction: Prediction) -> dict[str, Any]:
    found = zip(prediction.classes, prediction.probabilities, strict=True)
    # A head that was made of numbers of this kind says nothing of the photo.
    classes = {name: p for name, p in found if math.isfinite(p)}
    return {"name": photo.name, "classes": classes, "unknown": prediction.unknown}
