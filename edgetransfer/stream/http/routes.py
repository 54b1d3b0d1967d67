"""What can be asked of a stream over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from edgetransfer.data.streams.arrivals import Arrival, read_fields
from edgetransfer.errors import DataError
from edgetransfer.stream.http.openapi import openapi
from edgetransfer.stream.http.prometheus import CONTENT_TYPE, exposition
from edgetransfer.stream.snapshot import Throughput
from edgetransfer.untrusted_json import json_object
from edgetransfer.web import Answer, Refusal, Request, Route, Routes, json_answer
from edgetransfer.web.messages import JSON

FIELDS = frozenset({"id", "label"})


class Desk(Protocol):
    """Where the server hands samples in."""

    def submit(self, arrival: Arrival) -> Mapping[str, Any] | None:
        """What became of a sample; None if there is no room, or it takes too long."""


class StreamRoutes:
    """The routes of one stream.

    Parameters
    ----------
    board
        Where snapshots come from.
    desk
        Where samples go; None to serve metrics alone.
    """

    def __init__(self, board: Throughput, desk: Desk | None) -> None:
        self._board = board
        self._desk = desk

    def table(self) -> Routes:
        """All of them."""
        return {
            ("GET", "/healthz"): Route(answer=self._health, query=FIELDS, open=True),
            ("GET", "/openapi.json"): Route(answer=self._description, query=FIELDS, open=True),
            ("GET", "/metrics"): Route(answer=self._metrics, query=FIELDS),
            ("GET", "/predict"): Route(answer=self._predict_known, query=FIELDS),
            ("POST", "/predict"): Route(answer=self._predict, query=FIELDS),
            ("POST", "/samples"): Route(answer=self._sample, query=FIELDS),
        }

    def _health(self, _request: Request) -> Answer:
        paused = self._board.snapshot.paused
        return json_answer({"status": "paused", "reason": paused} if paused else {"status": "ok"})

    def _description(self, _request: Request) -> Answer:
        return json_answer(openapi())

    def _metrics(self, _request: Request) -> Answer:
        text = exposition(self._board.snapshot)
        return Answer(body=text.encode(errors="replace"), kind=CONTENT_TYPE)

    def _predict_known(self, request: Request) -> Answer:
        if "id" not in request.query:
            raise Refusal(400, "which id? GET /predict?id=…; POST /predict takes an image")
        learner = self._board.learner
        rows = learner.durable.unlabelled_rows(request.query["id"])
        if rows is None:
            raise Refusal(404, "no unlabelled sample has this id")
        return json_answer({"id": request.query["id"], "classes": learner.probabilities(rows)})

    def _predict(self, request: Request) -> Answer:
        arrival = arrival_in(request)
        if arrival.source is None:
            raise Refusal(400, "needs an image to predict")
        outcome = self._submit(request, replace(arrival, learn=False))
        return json_answer({"id": outcome["id"], "classes": outcome["classes"]})

    def _sample(self, request: Request) -> Answer:
        outcome = self._submit(request, arrival_in(request))
        if outcome["status"] == "unknown":
            raise Refusal(404, "no unlabelled sample has this id")
        return json_answer(outcome)

    def _submit(self, request: Request, arrival: Arrival) -> Mapping[str, Any]:
        request.answering()
        if self._desk is None:
            raise Refusal(404, "this stream takes its samples from elsewhere")
        outcome = None
        if not self._board.snapshot.paused:
            outcome = self._desk.submit(arrival)
        if outcome is None:
            paused = self._board.snapshot.paused
            raise Refusal(429, paused or "busy: send it again, with the same id")
        if outcome["status"] == "rejected":
            raise Refusal(422, str(outcome["reason"]))
        return outcome


def arrival_in(request: Request) -> Arrival:
    """The sample that a request holds."""
    body, query = request.body(), request.query
    kind = request.kind
    try:
        if kind == JSON:
            record = json_object(body)
            if query:
                raise Refusal(400, "id and label belong into the JSON object")
            return read_fields(record, files=False)
        if kind.startswith("image/") or kind == "application/octet-stream":
            if not body:
                raise Refusal(400, "the body is empty")
            # Without base64, fields are an id and a label: both are checked, neither is needed.
            fields = read_fields({"id": "-", "label": "-", **query}, files=False)
            return Arrival(
                id=fields.id if "id" in query else hashlib.sha256(body).hexdigest(),
                source=body,
                label=fields.label if "label" in query else None,
            )
    except (ValueError, DataError) as error:
        raise Refusal(400, str(error)) from None
    raise Refusal(415, f"send {JSON} or image/*, not {kind[:100]}")
