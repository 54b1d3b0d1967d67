"""The endpoint's description of itself."""

from __future__ import annotations

from typing import Any

from edgetransfer.data.labels import LONGEST_LABEL
from edgetransfer.data.streams.arrivals import LONGEST_ID
from edgetransfer.web.descriptions import (
    METRICS,
    PROBLEM,
    REFUSALS,
    RETRY,
    VERSION,
    described,
    fields,
    query,
)

_SENT = {
    **REFUSALS,
    "415": described("The body is neither JSON nor an image."),
    "422": described("The sample cannot be used."),
}
_ID = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
LABEL = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_LABEL,
    # Not blank, and neither control characters nor line breaks: as `checked_label`.
    "pattern": r"^(?=.*\S)[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$",
}
"""What a class may be called."""
_TRUE = {"type": "boolean", "enum": [True], "description": "Of an earlier sample, by its id."}
_IMAGE = {"type": "string", "format": "byte", "minLength": 4}


def _body(schema: str) -> dict[str, Any]:
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}},
            "image/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }


def openapi() -> dict[str, Any]:
    """OpenAPI 3.0.3 of the endpoint."""
    receipt = {"$ref": "#/components/schemas/Receipt"}
    prediction = {"$ref": "#/components/schemas/Prediction"}
    anything: dict[str, Any] = {"type": "object"}
    return {
        "openapi": "3.0.3",
        "info": {"title": "edgetransfer stream", "version": VERSION},
        "security": [{}, {"token": []}],
        "paths": {
            "/samples": {
                "post": {
                    "summary": "Give a sample, or label, relabel or forget an earlier one.",
                    "description": "When it is answered with 200 it is on disk. An image may be "
                    "the body itself, with id and label in the query. With class and forget alone "
                    "all samples of a class are forgotten.",
                    "parameters": [
                        query("id", _ID, "Of an image body."),
                        query("label", LABEL, "Of an image body."),
                    ],
                    "requestBody": _body("Sample"),
                    "responses": {
                        "200": described("What became of it.", receipt),
                        "404": described("A label for an id that waits for none."),
                        **_SENT,
                    },
                }
            },
            "/predict": {
                "get": {
                    "summary": "Predict an accepted sample that has no label yet.",
                    "parameters": [query("id", _ID, "Of the sample.", required=True)],
                    "responses": {
                        "200": described("Probability by class.", prediction),
                        "400": REFUSALS["400"],
                        "401": REFUSALS["401"],
                        "403": REFUSALS["403"],
                        "404": described("No unlabelled sample has this id."),
                        "429": RETRY,
                    },
                },
                "post": {
                    "summary": "Predict an image without learning it.",
                    "requestBody": _body("Photo"),
                    "responses": {
                        "200": described("Probability by class.", prediction),
                        **_SENT,
                    },
                },
            },
            "/metrics": {
                "get": {
                    "summary": "How the stream goes, for Prometheus.",
                    "responses": {
                        "200": METRICS,
                        "401": REFUSALS["401"],
                        "403": REFUSALS["403"],
                    },
                }
            },
            "/healthz": {
                "get": {
                    "summary": "Whether the stream lives; needs no token.",
                    "responses": {
                        "200": described("It lives, or is paused.", anything),
                        "403": REFUSALS["403"],
                    },
                }
            },
            "/openapi.json": {
                "get": {
                    "summary": "This document; needs no token.",
                    "responses": {
                        "200": described("OpenAPI 3.0.3.", anything),
                        "403": REFUSALS["403"],
                    },
                }
            },
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Photo": fields(["base64"], base64=_IMAGE, id=_ID, label=LABEL),
                "Sample": {
                    "oneOf": [
                        {"$ref": "#/components/schemas/Photo"},
                        fields(["id", "label"], id=_ID, label=LABEL, relabel=_TRUE),
                        fields(["id", "forget"], id=_ID, forget=_TRUE),
                        fields(["class", "forget"], forget=_TRUE, **{"class": LABEL}),
                    ]
                },
                "Receipt": {
                    "type": "object",
                    "required": ["id", "status"],
                    "properties": {
                        "id": {"type": "string"},
                        "status": {
                            "type": "string",
                            "enum": [
                                "accepted",
                                "labelled",
                                "relabelled",
                                "forgotten",
                                "duplicate",
                            ],
                        },
                        "predicted": {"type": "string"},
                        "probability": {"type": "number"},
                        "unknown": {"type": "boolean"},
                        "removed": {"type": "integer"},
                    },
                },
                "Prediction": {
                    "type": "object",
                    "required": ["id", "classes"],
                    "properties": {
                        "id": {"type": "string"},
                        "status": {"type": "string"},
                        "classes": {"type": "object", "additionalProperties": {"type": "number"}},
                    },
                },
                "Problem": PROBLEM,
            },
        },
    }
