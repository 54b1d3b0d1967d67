"""JSON that others send: what it may be, and what it takes, wherever it comes in."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from email.message import Message
from io import BytesIO
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.data.streams.arrivals import no_reply
from edgetransfer.data.streams.brokers.messages import arrival_of
from edgetransfer.data.streams.json_lines import JsonLinesSource
from edgetransfer.stream.http.routes import arrival_in
from edgetransfer.teach import routes as teach_routes
from edgetransfer.untrusted_json import MOST_VALUES, json_object
from edgetransfer.web.messages import Refusal, Request
from edgetransfer.web.photos import photos_in

texts = st.text(max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, values, max_size=3), st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_an_object_is_read_as_it_is(value: dict[str, Any], encoding: str) -> None:
    text = json.dumps(value)
    assert json_object(text) == value
    assert json_object(text.encode(encoding)) == value


@given(values.filter(lambda value: not isinstance(value, dict)) | st.binary() | st.text())
def test_nothing_else_is_an_object(value: Any) -> None:
    text = value if isinstance(value, (bytes, str)) else json.dumps(value)
    try:
        right = isinstance(json.loads(text), dict)
    except ValueError:
        right = False
    if not right:
        with pytest.raises(ValueError, match=r"not valid JSON|not a JSON object"):
            json_object(text)


@given(values)
def test_no_more_values_than_that(value: Any) -> None:
    """The count is never below the number of values, whatever they are."""
    text = json.dumps({"value": value})
    assert json_object(text, most=_count(value) + text.count(",") + 2) == {"value": value}
    if _count(value) > 2:
        with pytest.raises(ValueError, match="more than"):
            json_object(text, most=_count(value) // 2)


def _count(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_count, inner))


SIZE = 4_000_000
BOMBS: dict[str, bytes] = {
    "lists": b'{"base64":[' + b"[]," * (SIZE // 3) + b"0]}",
    "objects": b'{"base64":[' + b"{}," * (SIZE // 3) + b"0]}",
    "numbers": b'{"base64":[' + b"1.5," * (SIZE // 4) + b"0]}",
    "depth": b'{"base64":' + b"[" * SIZE,
    "objects in objects": b'{"a":' * (SIZE // 5),
    "fields": b"{" + b",".join(b'"%x":0' % i for i in range(SIZE // 9)) + b"}",
    "in UTF-16": ('{"base64":[' + "[]," * (SIZE // 6) + "0]}").encode("utf-16"),
}


def _asked(body: bytes) -> Request:
    headers = Message()
    headers["Content-Type"] = "application/json"
    return Request(query={}, headers=headers, body=lambda: body, answering=lambda: None)


def _line(body: bytes) -> str | None:
    source = JsonLinesSource(BytesIO(body), longest=2 * SIZE)
    return next(source.arrivals(Event(), None)).problem  # type: ignore[arg-type]


def _refused(read: Callable[[Request], Any]) -> Callable[[bytes], str | None]:
    def refusal(body: bytes) -> str | None:
        with pytest.raises(Refusal) as refused:
            read(_asked(body))
        return str(refused.value)

    return refusal


READERS: dict[str, Callable[[bytes], str | None]] = {
    "a sample over HTTP": _refused(arrival_in),
    "a photo over HTTP": _refused(photos_in),
    "a line": _line,
    "a broker's message": lambda body: arrival_of(body, "name", no_reply, longest=2 * SIZE).problem,
    "a page's wish": _refused(teach_routes._wanted),
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("reader", READERS)
def test_it_takes_no_more_memory_than_its_length(reader: str, bomb: str) -> None:
    if (reader, bomb) == ("a broker's message", "in UTF-16"):
        pytest.skip("what begins with another byte than a brace is a photo there")
    body = BOMBS[bomb]
    tracemalloc.start()
    try:
        problem = READERS[reader](body)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "more than" in str(problem)
    assert most < 2.5 * len(body)  # a line is held once more, and cut off


def test_a_photo_and_a_name_of_commas_are_no_bomb() -> None:
    record = {"base64": "QUJD" * 100_000, "id": "," * 1000, "label": "[" * 255}
    found = arrival_in(_asked(json.dumps(record).encode()))
    assert (found.id, found.label) == ("," * 1000, "[" * 255)
    assert MOST_VALUES > 5 * 1255
