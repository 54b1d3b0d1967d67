"""The endpoint's description of itself."""

from __future__ import annotations

from typing import Any

from edgetransfer.data.labels import LONGEST_LABEL
from edgetransfer.data.streams.arrivals import LONGEST_ID

VERSION = "1"  # of the endpoint, not of the package


def _answer(text: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    if schema is None:
        schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {"application/json": {"schema": schema}}}


_RETRY = {
    **_answer("No room for more at the moment; send it again after Retry-After seconds."),
    "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
}
_REFUSALS = {
    "400": _answer("Not a request of this form."),
    "401": _answer("The token is missing or wrong."),
    "403": _answer("Host or Origin is not this server's."),
    "411": _answer("No Content-Length."),
    "413": _answer("The body is too large."),
    "415": _answer("The body is neither JSON nor an image."),
    "422": _answer("The sample cannot be used."),
    "429": _RETRY,
}
_ID = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
_LABEL = {"type": "string", "minLength": 1, "maxLength": LONGEST_LABEL}
_IMAGE_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/Sample"}},
        "image/*": {"schema": {"type": "string", "format": "binary"}},
    },
}


def _query(name: str, schema: dict[str, Any], text: str, *, required: bool) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": required,
        "schema": schema,
        "description": text,
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
                    "summary": "Give a sample, or the label of an earlier one.",
                    "description": "When it is answered with 200 it is on disk. An image may be "
                    "the body itself, with id and label in the query.",
                    "parameters": [
                        _query("id", _ID, "Of an image body.", required=False),
                        _query("label", _LABEL, "Of an image body.", required=False),
                    ],
                    "requestBody": _IMAGE_BODY,
                    "responses": {
                        "200": _answer("What became of it.", receipt),
                        "404": _answer("A label for an id that waits for none."),
                        **_REFUSALS,
                    },
                }
            },
            "/predict": {
                "get": {
                    "summary": "Predict an accepted sample that has no label yet.",
                    "parameters": [_query("id", _ID, "Of the sample.", required=True)],
                    "responses": {
                        "200": _answer("Probability by class.", prediction),
                        "400": _REFUSALS["400"],
                        "401": _REFUSALS["401"],
                        "403": _REFUSALS["403"],
                        "404": _answer("No unlabelled sample has this id."),
                        "429": _RETRY,
                    },
                },
                "post": {
                    "summary": "Predict an image without learning it.",
                    "requestBody": _IMAGE_BODY,
                    "responses": {
                        "200": _answer("Probability by class.", prediction),
                        **_REFUSALS,
                    },
                },
            },
            "/metrics": {
                "get": {
                    "summary": "How the stream goes, for Prometheus.",
                    "responses": {
                        "200": {
                            "description": "Text format 0.0.4.",
                            "content": {"text/plain": {"schema": {"type": "string"}}},
                        },
                        "401": _REFUSALS["401"],
                        "403": _REFUSALS["403"],
                    },
                }
            },
            "/healthz": {
                "get": {
                    "summary": "Whether the stream lives; needs no token.",
                    "responses": {
                        "200": _answer("It lives, or is paused.", anything),
                        "403": _REFUSALS["403"],
                    },
                }
            },
            "/openapi.json": {
                "get": {
                    "summary": "This document; needs no token.",
                    "responses": {
                        "200": _answer("OpenAPI 3.0.3.", anything),
                        "403": _REFUSALS["403"],
                    },
                }
            },
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Sample": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "base64": {"type": "string", "format": "byte"},
                        "label": _LABEL,
                        "id": _ID,
                    },
                },
                "Receipt": {
                    "type": "object",
                    "required": ["id", "status"],
                    "properties": {
                        "id": {"type": "string"},
                        "status": {
                            "type": "string",
                            "enum": ["accepted", "labelled", "duplicate"],
                        },
                        "predicted": {"type": "string"},
                        "probability": {"type": "number"},
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
                "Problem": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": "string"}},
                },
            },
        },
    }
