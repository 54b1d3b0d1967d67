"""The page's endpoints: what they refuse, that nothing breaks them, and that the stream's stay."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetransfer.teach.openapi import openapi
from tests.stream.stream_pictures import label_of, picture
from tests.teach.taught import Taught


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taught]:
    started = Taught(tmp_path_factory.mktemp("teach") / "run")
    for i in range(16):
        started.give(picture(i), label=label_of(i))
    yield started
    started.close()


def test_the_state_says_how_everything_stands(taught: Taught) -> None:
    taught.reviewed()
    status, state = taught.ask("GET", "/state")
    assert status == 200
    assert {c["name"]: c["photos"] for c in state["classes"]}["red"] == 4
    assert state["honest"]["tested"] == 16
    assert sum(map(sum, state["honest"]["confusion"])) == 16


def test_what_was_acted_on_is_not_asked_again(
    taught: Taught, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A review is a moment old: what it names may be labelled, or gone, by now."""
    given_ = taught.give(picture(300), picture(301), picture(302))
    ids = [photo["id"] for photo in given_]
    assert {guess.id for guess in taught.reviewed().following} == set(ids)
    monkeypatch.setattr(taught.room.reviewer, "changed", lambda: None)
    taught.post("/label", {"ids": ids[:1], "label": "red"})
    taught.post("/forget", {"ids": ids[1:2]})
    assert [photo["id"] for photo in taught.ask("GET", "/state")[1]["next"]] == ids[2:]
    taught.post("/forget", {"ids": [ids[0], ids[2]]})
    monkeypatch.undo()
    taught.room.reviewer.changed()


def test_photos_are_listed_and_seen(taught: Taught) -> None:
    status, listed = taught.ask("GET", "/photos?label=red")
    assert (status, listed["total"], len(listed["photos"])) == (200, 4, 4)
    status, picture_ = taught.ask("GET", f"/thumbnail?id={listed['photos'][0]['id']}")
    assert status == 200
    assert picture_[:3] == b"\xff\xd8\xff"
    for other in ("", "x", "../../etc/passwd", "%2e%2e%2fhead.safetensors", "%00"):
        assert taught.ask("GET", f"/thumbnail?id={other}")[0] == 404
    assert taught.ask("GET", "/photos?from=60")[1] == {"total": 0, "photos": []}


def test_the_endpoints_of_every_stream_are_here_too(taught: Taught) -> None:
    sample = {"base64": base64.b64encode(picture(200)).decode(), "label": "red", "id": "mine"}
    status, answer = taught.post("/samples", sample)
    assert (status, answer["status"]) == (200, "accepted")
    assert taught.room.album.get("mine").label == "red"
    assert taught.ask("GET", "/thumbnail?id=mine")[0] == 200
    late = {"base64": base64.b64encode(picture(204)).decode(), "id": "late"}
    assert taught.post("/samples", late)[1]["status"] == "accepted"
    assert taught.ask("GET", "/predict?id=late")[0] == 200
    assert taught.post("/samples", {"id": "late", "label": "red"})[1]["status"] == "labelled"
    assert taught.room.album.get("late").label == "red"
    assert b"edgetransfer_accepted_total" in taught.ask("GET", "/metrics")[1]
    for photo_id in ("mine", "late"):
        assert taught.post("/forget", {"ids": [photo_id]})[1] == {"photos": 1}


@pytest.mark.parametrize(
    ("path", "value", "status"),
    [
        ("/label", {}, 400),
        ("/label", {"ids": []}, 400),
        ("/label", {"ids": ["nobody"], "label": "a"}, 404),
        ("/label", {"ids": [1], "label": "a"}, 400),
        ("/label", {"ids": ["nobody"], "label": 3}, 400),
        ("/label", {"ids": ["nobody"], "label": "a", "more": 1}, 400),
        ("/forget", {"class": "nothing"}, 404),
        ("/forget", {"ids": ["nobody"]}, 404),
        ("/rename", {"class": "nothing", "name": "b"}, 404),
        ("/rename", {"class": "red", "name": "\n"}, 400),
        ("/rename", {"class": "red", "name": ""}, 400),
        ("/undo", {"x": 1}, 400),
        ("/undo", [], 400),
    ],
)
def test_refusals(taught: Taught, path: str, value: Any, status: int) -> None:
    before = taught.labels
    found, answer = taught.post(path, value)
    assert found == status
    assert answer["error"]
    assert taught.labels == before


FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
wanted = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("ids", "label", "class", "name"), values)
)


@FUZZ
@given(st.sampled_from(["label", "forget", "confirm", "rename", "undo"]), wanted | values)
def test_no_json_makes_it_fail(taught: Taught, path: str, value: Any) -> None:
    status, _ = taught.ask("POST", f"/{path}", json.dumps(value).encode(), "application/json")
    assert str(status) in openapi()["paths"][f"/{path}"]["post"]["responses"]


@FUZZ
@given(
    st.sampled_from([*openapi()["paths"], "/", "/teach.js"]),
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.text(st.sampled_from("id=label&from%0~"), max_size=12),
    st.binary(max_size=40),
    st.sampled_from(["application/json", "image/png", "multipart/form-data; boundary=x", "x"]),
)
def test_no_request_makes_it_fail(
    taught: Taught, path: str, method: str, query: str, body: bytes, kind: str
) -> None:
    if path != "/export":
        assert taught.ask(method, f"{path}?{query}", body, kind)[0] < 500


def test_only_what_has_a_label_is_confirmed(taught: Taught) -> None:
    photos = taught.room.album.photos
    named = next(photo.id for photo in photos if photo.label is not None)
    assert taught.post("/confirm", {"ids": [named, "nobody"]})[1] == {"photos": 1}


def test_the_description_has_every_route(taught: Taught) -> None:
    described = {
        (method.upper(), path) for path, item in openapi()["paths"].items() for method in item
    }
    assert described == set(taught.routes)


def test_the_page_is_all_here(taught: Taught) -> None:
    """Whatever a page or module names is served, and is this server's own."""
    todo, seen = ["/"], set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        status, text = taught.ask("GET", path)
        assert status == 200, path
        assert b"http://" not in text
        assert b"https://" not in text
        assert b"innerHTML" not in text
        for quote in (b'"./', b'src="', b'href="'):
            for part in text.split(quote)[1:]:
                name = part.partition(b'"')[0].decode()
                if not name.startswith(("#", "data:")):
                    todo.append(f"/{name}")
    assert {"/teach.js", "/teach.css", "/style.css", "/gallery.js", "/ask.js"} <= seen
