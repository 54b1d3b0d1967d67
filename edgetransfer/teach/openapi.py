"""The description of what a run that is taught answers, beside what every stream does."""

from __future__ import annotations

from typing import Any

from edgetransfer.serve.openapi import PHOTO_BODY, SENT
from edgetransfer.stream.http.openapi import LABEL
from edgetransfer.stream.http.openapi import openapi as of_streams
from edgetransfer.web.descriptions import ASKED, described, fields, query

MOST_IDS = 100_000  # of one request
LONGEST_ID = 1000

_ANYTHING: dict[str, Any] = {"type": "object"}
_ID = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
_IDS = {"type": "array", "minItems": 1, "maxItems": MOST_IDS, "items": _ID}
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
                    query("label", LABEL, "The class; photos without one if it is not given."),
                    query("from", {"type": "integer", "minimum": 0}, "Of the first photo."),
                ],
                "responses": {"200": described("Photos.", _ANYTHING), **ASKED},
            },
            "post": {
                "summary": "Take in photos; answered when they are on disk.",
                "parameters": [query("label", LABEL, "Of all of them; none if not given.")],
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
            "Give photos a label, or take it away.", fields(["ids"], ids=_IDS, label=LABEL)
        ),
        "/forget": _changed(
            "Remove photos, or a whole class.",
            {"oneOf": [fields(["ids"], ids=_IDS), fields(["class"], **{"class": LABEL})]},
        ),
        "/confirm": _changed("Say that labels are right.", fields(["ids"], ids=_IDS)),
        "/rename": _changed(
            "Give a class another name, or join it to another.",
            fields(["class", "name"], name=LABEL, **{"class": LABEL}),
        ),
        "/speed": _changed(
            "Measure the engine against one that gains nothing from zeros.", fields([])
        ),
        "/undo": _changed("Undo the last step.", fields([])),
    }
    return document


def _asked(text: str) -> dict[str, Any]:
    answers = {"200": described(text, _ANYTHING), **ASKED}
    return {"get": {"summary": text, "responses": answers}}


def _changed(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    answers = {
        "200": described("How many photos.", _ANYTHING),
        **SENT,
        "404": described("A photo or class that is not there."),
        "409": _CONFLICT,
    }
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {"post": {"summary": text, "requestBody": body, "responses": answers}}
