"""The description of what a run that is taught answers, beside what every stream does."""

from __future__ import annotations

from typing import Any

from edgetransfer.data.labels import LONGEST_LABEL
from edgetransfer.serve.openapi import PHOTO_BODY, SENT
from edgetransfer.stream.http.openapi import openapi as of_streams
from edgetransfer.web.descriptions import ASKED, described, query

_ANYTHING: dict[str, Any] = {"type": "object"}
_LABEL = {"type": "string", "minLength": 1, "maxLength": LONGEST_LABEL}
_IDS = {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}
_CONFLICT = described("It cannot be done as things stand.")


def openapi() -> dict[str, Any]:
    """OpenAPI 3.0.3 of the endpoint."""
    document = of_streams()
    document["info"]["title"] = "edgetransfer teach"
    document["paths"] |= {
        "/state": _asked("How everything stands: classes, accuracy, what to label next."),
        "/photos": {
            "get": {
                "summary": "Ids of the photos of a class, sixty at a time; the newest come first.",
                "parameters": [
                    query("label", _LABEL, "The class; photos without one if it is not given."),
                    query("from", {"type": "integer", "minimum": 0}, "Of the first photo."),
                ],
                "responses": {"200": described("Photos.", _ANYTHING), **ASKED},
            },
            "post": {
                "summary": "Take in photos; answered when they are on disk.",
                "parameters": [query("label", _LABEL, "Of all of them; none if not given.")],
                "requestBody": PHOTO_BODY,
                "responses": {"200": described("What became of each.", _ANYTHING), **SENT},
            },
        },
        "/thumbnail": {
            "get": {
                "summary": "The small picture of a photo.",
                "parameters": [query("id", {"type": "string"}, "Of the photo.", required=True)],
                "responses": {
                    "200": {
                        "description": "A JPEG.",
                        "content": {"image/jpeg": {"schema": {"type": "string"}}},
                    },
                    "404": described("There is none."),
                    **ASKED,
                },
            }
        },
        "/guess": {
            "post": {
                "summary": "Say what a photo shows, without taking it in.",
                "requestBody": PHOTO_BODY,
                "responses": {"200": described("What it shows.", _ANYTHING), **SENT},
            }
        },
        "/export": {
            "get": {
                "summary": "All that was learned, as one ONNX file.",
                "responses": {
                    "200": {
                        "description": "ONNX.",
                        "content": {"application/octet-stream": {"schema": {"type": "string"}}},
                    },
                    "409": _CONFLICT,
                    **ASKED,
                },
            }
        },
        "/label": _changed(
            "Give photos a label, or take it away.", {"ids": _IDS, "label": _LABEL}, ["ids"]
        ),
        "/forget": _changed("Remove photos, or a whole class.", {"ids": _IDS, "class": _LABEL}, []),
        "/confirm": _changed("Say that labels are right.", {"ids": _IDS}, ["ids"]),
        "/rename": _changed(
            "Give a class another name, or join it to another.",
            {"class": _LABEL, "name": _LABEL},
            ["class", "name"],
        ),
        "/speed": _changed("Measure the engine against one that gains nothing from zeros.", {}, []),
        "/undo": _changed("Undo the last step.", {}, []),
    }
    return document


def _asked(text: str) -> dict[str, Any]:
    answers = {"200": described(text, _ANYTHING), **ASKED}
    return {"get": {"summary": text, "responses": answers}}


def _changed(text: str, fields: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": fields,
    }
    if required:
        schema["required"] = required
    answers = {"200": described("How many photos.", _ANYTHING), **SENT, "409": _CONFLICT}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {"post": {"summary": text, "requestBody": body, "responses": answers}}
