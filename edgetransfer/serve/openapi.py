"""The server's description of itself."""

from __future__ import annotations

from typing import Any

from edgetransfer.settings.shared import TOP
from edgetransfer.web.descriptions import (
    ASKED,
    METRICS,
    PROBLEM,
    REFUSALS,
    VERSION,
    described,
    query,
)

SENT = {
    **REFUSALS,
    "415": described("The body holds no photo, by its media type."),
    "422": described("It is no photo, or cannot be decoded."),
}
"""What a photo that is sent may be refused for."""
PHOTO_BODY = {
    "required": True,
    "content": {
        "image/*": {"schema": {"type": "string", "format": "binary"}},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    "photo": {
                        "type": "array",
                        "items": {"type": "string", "format": "binary"},
                        "description": "Files; the name of the field is free.",
                    }
                },
            }
        },
        "application/json": {
            "schema": {
                "type": "object",
                "additionalProperties": False,
                "required": ["base64"],
                "properties": {
                    "base64": {"type": "string", "format": "byte", "minLength": 1},
                    "name": {"type": "string"},
                },
            }
        },
    },
}


def openapi() -> dict[str, Any]:
    """OpenAPI 3.0.3 of the server."""
    anything: dict[str, Any] = {"type": "object"}
    prediction = {"$ref": "#/components/schemas/Prediction"}
    several = {"$ref": "#/components/schemas/Predictions"}
    return {
        "openapi": "3.0.3",
        "info": {"title": "edgetransfer serve", "version": VERSION},
        "security": [{}, {"token": []}],
        "paths": {
            "/predict": {
                "post": {
                    "summary": "Say what photos show.",
                    "description": "One photo as the body or as base64 is answered with its "
                    "prediction; those of a form with a list, in their order.",
                    "parameters": [
                        query(
                            "top",
                            {"type": "integer", "minimum": 1, "maximum": 10_000},
                            f"Classes to name; {TOP} if it is not given.",
                        )
                    ],
                    "requestBody": PHOTO_BODY,
                    "responses": {
                        "200": described("What they show.", {"anyOf": [prediction, several]}),
                        **SENT,
                    },
                }
            },
            "/model": {
                "get": {
                    "summary": "The classes, and what runs them.",
                    "responses": {"200": described("The model.", anything), **ASKED},
                }
            },
            "/metrics": {
                "get": {
                    "summary": "How the server does, for Prometheus.",
                    "responses": {
                        "200": METRICS,
                        **ASKED,
                    },
                }
            },
            "/healthz": {
                "get": {
                    "summary": "Whether it lives; needs no token.",
                    "responses": {"200": described("It lives.", anything), **ASKED},
                }
            },
            "/openapi.json": {
                "get": {
                    "summary": "This document; needs no token.",
                    "responses": {"200": described("OpenAPI 3.0.3.", anything), **ASKED},
                }
            },
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Prediction": {
                    "type": "object",
                    "required": ["name", "classes", "unknown"],
                    "properties": {
                        "name": {"type": "string"},
                        "classes": {"type": "object", "additionalProperties": {"type": "number"}},
                        "unknown": {"type": "boolean"},
                    },
                },
                "Predictions": {
                    "type": "object",
                    "required": ["predictions"],
                    "properties": {
                        "predictions": {
                            "type": "array",
                            "items": {
                                "anyOf": [
                                    {"$ref": "#/components/schemas/Prediction"},
                                    {"$ref": "#/components/schemas/Problem"},
                                ]
                            },
                        }
                    },
                },
                "Problem": PROBLEM,
            },
        },
    }
