"""What can be asked of a run that is being taught, beside what every stream answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgetransfer.atomic import temporary_folder
from edgetransfer.data.labels import checked_label
from edgetransfer.data.streams import Arrival
from edgetransfer.errors import DataError, EdgeTransferError
from edgetransfer.features.gathering import BusyError
from edgetransfer.jobs.exporting import export
from edgetransfer.settings.export import ExportSettings
from edgetransfer.stream.http import StreamRoutes
from edgetransfer.teach.classroom import Classroom
from edgetransfer.teach.lesson import NotHereError
from edgetransfer.teach.openapi import LONGEST_ID, MOST_IDS, openapi
from edgetransfer.untrusted_json import json_object
from edgetransfer.web import Answer, Refusal, Request, Route, Routes, json_answer
from edgetransfer.web.messages import JSON
from edgetransfer.web.photos import photos_in

PAGE = 60  # photos that are listed at a time
MOST_VALUES = 4 * MOST_IDS  # of a request; an id may have commas of its own


class TeachRoutes:
    """The routes of one classroom."""

    def __init__(self, room: Classroom) -> None:
        self._room = room
        self._stream = StreamRoutes(room.board, room.desk)

    def table(self) -> Routes:
        """All of them."""
        listed = frozenset({"label", "from"})
        return {
            **self._stream.table(),
            ("GET", "/openapi.json"): Route(answer=self._description, open=True),
            ("GET", "/state"): Route(answer=self._state),
            ("GET", "/photos"): Route(answer=self._listed, query=listed),
            ("GET", "/thumbnail"): Route(answer=self._thumbnail, query=frozenset({"id"})),
            ("GET", "/export"): Route(answer=self._export),
            ("POST", "/photos"): Route(answer=self._take_in, query=frozenset({"label"})),
            ("POST", "/guess"): Route(answer=self._guess),
            ("POST", "/label"): Route(answer=self._changing(self._label)),
            ("POST", "/forget"): Route(answer=self._changing(self._forget)),
            ("POST", "/confirm"): Route(answer=self._changing(self._confirm)),
            ("POST", "/rename"): Route(answer=self._changing(self._rename)),
            ("POST", "/speed"): Route(answer=self._speed),
            ("POST", "/undo"): Route(answer=self._changing(self._undo)),
        }

    def _description(self, _request: Request) -> Answer:
        return json_answer(openapi())

    def _state(self, _request: Request) -> Answer:
        return json_answer(self._room.standing())

    def _listed(self, request: Request) -> Answer:
        first = request.query.get("from", "0")
        if not (first.isascii() and first.isdecimal() and len(first) < 10):
            raise Refusal(400, "from is a number, of the first photo")
        label = request.query.get("label")
        try:
            label = label if label is None else checked_label(label)
        except DataError as error:
            raise Refusal(400, str(error)) from None
        guesses = {guess.id: guess for guess in self._room.reviewer.newest.guesses}
        with self._room.lock:
            ids = self._room.album.of_class(label)[::-1]
        shown = ids[int(first) : int(first) + PAGE]
        return json_answer(
            {
                "total": len(ids),
                "photos": [
                    vars(guesses[i]) if label is None and i in guesses else {"id": i} for i in shown
                ],
            }
        )

    def _thumbnail(self, request: Request) -> Answer:
        photo_id = request.query.get("id", "")
        request.answering()
        picture = self._room.thumbnail(photo_id) if photo_id else None
        if picture is None:
            raise Refusal(404, "there is no such thumbnail")
        kept = {"Cache-Control": "private, max-age=86400"}
        return Answer(body=picture, kind="image/jpeg", headers=kept)

    def _take_in(self, request: Request) -> Answer:
        photos = photos_in(request)
        request.answering()
        try:
            outcomes = self._room.lesson.take_in(
                [photo.data for photo in photos], request.query.get("label")
            )
        except BusyError as error:
            raise Refusal(429, str(error)) from None
        except DataError as error:
            raise Refusal(400, str(error)) from None
        if outcomes is None:
            raise Refusal(429, self._room.board.paused or "busy: send it again")
        self._room.reviewer.changed()
        return json_answer(
            {
                "photos": [
                    {"name": photo.name, **outcome}
                    for photo, outcome in zip(photos, outcomes, strict=True)
                ]
            }
        )

    def _guess(self, request: Request) -> Answer:
        photos = photos_in(request)
        request.answering()
        if len(photos) > 1:
            raise Refusal(400, "one photo at a time")
        arrival = Arrival(id="-", source=photos[0].data, learn=False)
        outcome = self._room.intake.submit(arrival)
        if outcome is None:
            raise Refusal(429, "busy: send it again")
        if outcome["status"] == "rejected":
            raise Refusal(422, str(outcome["reason"]))
        return json_answer({"classes": outcome["classes"], "unknown": outcome["unknown"]})

    def _speed(self, request: Request) -> Answer:
        _no_more(_wanted(request))
        request.answering()
        try:
            return json_answer(self._room.speed.measure())
        except EdgeTransferError as error:
            raise Refusal(409, str(error)) from None

    def _export(self, request: Request) -> Answer:
        request.answering()
        run = self._room.learner.durable.run.path
        with temporary_folder() as folder:
            out = folder / "model.onnx"
            try:
                export(ExportSettings(run=run, out=out))
            except EdgeTransferError as error:
                raise Refusal(409, str(error)) from None
            content = out.read_bytes()
        name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in run.name)
        return Answer(
            body=content,
            kind="application/octet-stream",
            headers={"Content-Disposition": f'attachment; filename="{name or "model"}.onnx"'},
        )

    # What changes the photos

    def _changing(
        self, change: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> Callable[[Request], Answer]:
        def answer(request: Request) -> Answer:
            wanted = _wanted(request)
            request.answering()
            try:
                done = change(wanted)
            except NotHereError as error:
                raise Refusal(404, str(error)) from None
            except DataError as error:
                raise Refusal(400, str(error)) from None
            except EdgeTransferError as error:
                raise Refusal(409, str(error)) from None
            self._room.reviewer.changed()
            return json_answer(done)

        return answer

    def _label(self, wanted: dict[str, Any]) -> dict[str, Any]:
        ids, label = _ids(wanted), _label_in(wanted, "label", optional=True)
        _no_more(wanted)
        lesson = self._room.lesson
        return {"photos": lesson.unlabel(ids) if label is None else lesson.label(ids, label)}

    def _forget(self, wanted: dict[str, Any]) -> dict[str, Any]:
        lesson = self._room.lesson
        if "class" in wanted:
            label = _label_in(wanted, "class")
            _no_more(wanted)
            return {"photos": lesson.forget_class(label)}
        ids = _ids(wanted)
        _no_more(wanted)
        return {"photos": lesson.forget(ids)}

    def _confirm(self, wanted: dict[str, Any]) -> dict[str, Any]:
        ids = _ids(wanted)
        _no_more(wanted)
        return {"photos": self._room.confirm(ids)}

    def _rename(self, wanted: dict[str, Any]) -> dict[str, Any]:
        old, new = _label_in(wanted, "class"), _label_in(wanted, "name")
        _no_more(wanted)
        return {"photos": self._room.lesson.rename(old, new)}

    def _undo(self, wanted: dict[str, Any]) -> dict[str, Any]:
        _no_more(wanted)
        return {"undone": self._room.lesson.undo()}


def _wanted(request: Request) -> dict[str, Any]:
    body = request.body()
    if request.kind != JSON:
        raise Refusal(415, f"send {JSON}, not {request.kind[:100]}")
    try:
        return json_object(body, most=MOST_VALUES)
    except ValueError as error:
        raise Refusal(400, str(error)) from None


def _ids(wanted: dict[str, Any]) -> list[str]:
    ids = wanted.pop("ids", None)
    if not isinstance(ids, list) or not 0 < len(ids) <= MOST_IDS:
        raise Refusal(400, f"ids is a list of 1 to {MOST_IDS} ids")
    if not all(isinstance(i, str) and 0 < len(i) <= LONGEST_ID for i in ids):
        raise Refusal(400, "an id is a string")
    return ids


def _label_in(wanted: dict[str, Any], name: str, *, optional: bool = False) -> Any:
    label = wanted.pop(name, None)
    if label is None and optional:
        return None
    if not isinstance(label, str):
        raise Refusal(400, f"{name} is a string")
    return label


def _no_more(wanted: dict[str, Any]) -> None:
    if wanted:
        raise Refusal(400, f"unknown field {next(iter(wanted))[:50]!r}")
