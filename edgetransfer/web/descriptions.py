"""Pieces of an endpoint's description of itself (OpenAPI 3.0.3) that every endpoint shares."""

from __future__ import annotations

from typing import Any

VERSION = "1"  # of the endpoints, not of the package


def described(text: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """One answer in JSON; a refusal if no schema is given."""
    if schema is None:
        schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def query(
    name: str, schema: dict[str, Any], text: str, *, required: bool = False
) -> dict[str, Any]:
    """One parameter of a query."""
    return {
        "name": name,
        "in": "query",
        "required": required,
        "schema": schema,
        "description": text,
    }


def fields(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of a JSON object that has these fields and no others."""
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**schema, "required": required} if required else schema


RETRY = {
    **described("No room for more at the moment; send it again after Retry-After seconds."),
    "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
}
# What 415 and 422 mean depends on what is sent; each endpoint says it.
REFUSALS = {
    "400": described("Not a request of this form."),
    "401": described("The token is missing or wrong."),
    "403": described("Host or Origin is not this server's."),
    "411": described("No Content-Length."),
    "413": described("The body is too large."),
    "429": RETRY,
}
ASKED = {status: REFUSALS[status] for status in ("400", "401", "403", "429")}
METRICS = {
    "description": "Text format 0.0.4.",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}
PROBLEM = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
}
