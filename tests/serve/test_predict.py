"""`POST /predict`: its three forms, what it refuses, and that nothing breaks it."""

from __future__ import annotations

import base64
import io
import json
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from edgetransfer.errors import UsageError
from edgetransfer.serve.openapi import openapi
from edgetransfer.web import WebServer
from edgetransfer.web.multipart import MOST_PARTS
from tests.serve.conftest import SIDE, Server, colour_classifier, colour_head
from tests.waiting import until

COLOURS = {"red": (230, 20, 20), "green": (20, 230, 20), "blue": (20, 20, 230)}
GREY = (90, 90, 90)


def photo(name: str) -> bytes:
    pixels = np.full((SIDE, SIDE, 3), COLOURS.get(name, GREY), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def form(*parts: tuple[str, bytes], boundary: str = "xYz") -> tuple[bytes, str]:
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="photo"; filename="{name}"\r\n'
        f"Content-Type: image/png\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, data in parts
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def best(prediction: dict[str, Any]) -> str:
    return max(prediction["classes"], key=prediction["classes"].__getitem__)


@pytest.mark.parametrize("colour", COLOURS)
def test_all_three_forms_say_the_same(server: Server, colour: str) -> None:
    data = photo(colour)
    raw = server.ask("POST", "/predict", data)[1]
    text = json.dumps({"base64": base64.b64encode(data).decode()}).encode()
    in_json = server.ask("POST", "/predict", text, "application/json")[1]
    body, kind = form(("a.png", data), ("b.png", photo("blue")))
    several = server.ask("POST", "/predict", body, kind)[1]["predictions"]
    assert best(raw) == colour
    for other in (in_json, several[0]):  # batches of other sizes add in another order
        assert other["classes"] == pytest.approx(raw["classes"], abs=1e-6)
    assert sum(raw["classes"].values()) == pytest.approx(1, abs=1e-5)
    assert [p["name"] for p in several] == ["a.png", "b.png"]
    assert best(several[1]) == "blue"


def test_top_names_so_many(server: Server) -> None:
    assert len(server.ask("POST", "/predict?top=2", photo("red"))[1]["classes"]) == 2
    for wrong in ("0", "-1", "x", "10001", "²", "1" * 30):
        status = server.ask("POST", f"/predict?top={wrong.replace('²', '%C2%B2')}", photo("red"))[0]
        assert status == 400


def test_a_broken_photo_of_a_form_is_named_beside_the_others(server: Server) -> None:
    body, kind = form(("a.png", photo("green")), ("b.txt", b"no photo at all"))
    status, answer, _ = server.ask("POST", "/predict", body, kind)
    assert status == 200
    assert best(answer["predictions"][0]) == "green"
    assert "not an image" in answer["predictions"][1]["error"]
    status, answer, _ = server.ask("POST", "/predict", b"no photo at all")
    assert status == 422
    assert "not an image" in answer["error"]


def test_a_name_is_never_a_path(server: Server) -> None:
    for name in ("../../etc/passwd", "/etc/passwd", "C:\\\\x\\\\passwd", "a/../passwd"):
        body, kind = form((name, photo("red")))
        shown = server.ask("POST", "/predict", body, kind)[1]["predictions"][0]["name"]
        assert shown == "passwd"


def test_a_photo_of_a_billion_pixels_is_refused_by_its_header(server: Server) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")
    status, answer, _ = server.ask("POST", "/predict", bomb)
    assert status == 422
    assert "scale it down" in answer["error"]


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status"),
    [
        ("GET", "/predict", None, "", 405),
        ("GET", "/nothing", None, "", 404),
        ("GET", "/model?x=1", None, "", 400),
        ("PUT", "/predict", b"x", "image/png", 405),
        ("POST", "/predict", b"", "image/png", 400),
        ("POST", "/predict", b"x", "text/plain", 415),
        ("POST", "/predict", b"x", "application/x-www-form-urlencoded", 415),
        ("POST", "/predict", b"[]", "application/json", 400),
        ("POST", "/predict", b'{"base64": 1}', "application/json", 400),
        ("POST", "/predict", b'{"base64": "!"}', "application/json", 400),
        ("POST", "/predict", b'{"path": "/etc/passwd"}', "application/json", 400),
        ("POST", "/predict", b"x", "multipart/form-data", 400),
        ("POST", "/predict", b"x", "multipart/form-data; boundary=a", 400),
        ("POST", "/predict", b"--a--\r\n", "multipart/form-data; boundary=a", 400),
        ("POST", "/predict", b"--a\r\n\r\nx\r\n--a--", "multipart/form-data; boundary=a", 400),
        ("POST", "/predict", b"x" * 200_001, "image/png", 413),
    ],
)
def test_refusals(
    server: Server, method: str, path: str, body: bytes | None, kind: str, status: int
) -> None:
    found, answer, _ = server.ask(method, path, body, kind)
    assert found == status
    assert answer["error"]


def test_a_form_of_too_many_parts_is_refused(server: Server) -> None:
    body, kind = form(*[("a", b"x")] * (MOST_PARTS + 1))
    assert server.ask("POST", "/predict", body, kind)[0] == 400


FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(st.binary(max_size=200), st.text(st.sampled_from('-="; abz'), max_size=20))
def test_no_form_makes_it_fail(server: Server, body: bytes, boundary: str) -> None:
    kind = f"multipart/form-data; boundary={boundary}"
    mark = boundary.strip().partition(";")[0].strip('"').encode()
    for each in (body, b"--" + mark + b"\r\n" + body + b"\r\n--" + mark + b"--"):
        status = server.ask("POST", "/predict", each, kind)[0]
        assert str(status) in openapi()["paths"]["/predict"]["post"]["responses"]


@FUZZ
@given(
    st.sampled_from([*openapi()["paths"], "/", "/serve.js", "//[", "/%00"]),
    st.sampled_from(["GET", "POST", "HEAD", "PATCH"]),
    st.binary(max_size=50),
    st.sampled_from(["application/json", "image/png", "multipart/form-data; boundary=x", ""]),
)
def test_no_request_makes_it_fail(
    server: Server, path: str, method: str, body: bytes, kind: str
) -> None:
    assert server.ask(method, path, body, kind)[0] < 500


def test_what_is_far_from_all_classes_is_unknown() -> None:
    server = Server(classifier=colour_classifier(unknown_below=0.9))
    try:
        assert not server.ask("POST", "/predict", photo("red"))[1]["unknown"]
        assert server.ask("POST", "/predict", photo("grey"))[1]["unknown"]
    finally:
        server.close()


def test_many_at_a_time_are_gathered_and_each_gets_its_own() -> None:
    server = Server(gathering={"gather_seconds": 0.05})
    answers: dict[int, str] = {}
    names = list(COLOURS)

    def work(i: int) -> None:
        answers[i] = best(server.ask("POST", "/predict", photo(names[i % 3]))[1])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {i: names[i % 3] for i in range(24)}
    assert server.predictor.gatherer.batches < 24
    server.close()


def test_more_than_may_wait_are_told_to_come_again() -> None:
    server = Server(gathering={"capacity": 2})
    body, kind = form(*[("a.png", photo("red"))] * 3)
    status, _, headers = server.ask("POST", "/predict", body, kind)
    assert status == 429
    assert int(headers["Retry-After"]) >= 1
    assert server.ask("POST", "/predict", photo("red"))[0] == 200
    server.close()


def test_another_head_and_another_classifier_take_over_without_a_dropped_request() -> None:
    server = Server()
    stop = threading.Event()
    seen: set[tuple[str, ...]] = set()
    statuses: set[int] = set()

    def ask() -> None:
        while not stop.is_set():
            status, answer, _ = server.ask("POST", "/predict", photo("red"))
            statuses.add(status)
            seen.add(tuple(sorted(answer["classes"])))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()

    def until_seen(*names: str) -> None:
        until(lambda: tuple(sorted(names)) in seen)

    until_seen("red", "green", "blue")
    server.predictor.take_up_head(colour_head(("rot", "grün", "blau", "neu")))
    until_seen("rot", "grün", "blau", "neu")
    server.predictor.take_up(colour_classifier(colour_head(("rouge", "vert")), batch=2))
    until_seen("rouge", "vert")
    stop.set()
    for thread in threads:
        thread.join()
    assert statuses == {200}
    server.close()


def test_what_was_asked_before_the_end_is_answered() -> None:
    server = Server(gathering={"gather_seconds": 0.5})
    answers: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(server.ask("POST", "/predict", photo("red"))[0])
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for _ in range(200):
        if server.predictor.gatherer.waiting == 3:
            break
        threading.Event().wait(0.01)
    server.close()
    for thread in threads:
        thread.join()
    assert answers == [200, 200, 200]


def test_beyond_loopback_a_token_is_needed_and_the_page_is_open() -> None:
    with pytest.raises(UsageError, match="--token"):
        WebServer("0.0.0.0", 0, routes={}, token=None, longest=1)
    server = Server(token="sesame")
    try:
        assert server.ask("GET", "/")[0] == server.ask("GET", "/healthz")[0] == 200
        for path in ("/model", "/metrics", "/nothing"):
            assert server.ask("GET", path)[0] == 401
        assert server.ask("POST", "/predict", photo("red"))[0] == 401
        shown = {"Authorization": "Bearer sesame"}
        assert server.ask("POST", "/predict", photo("red"), **shown)[0] == 200
    finally:
        server.close()


def test_metrics_count(server: Server) -> None:
    before = server.predictor.gatherer.images
    server.ask("POST", "/predict", photo("red"))
    status, text, headers = server.ask("GET", "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    values = dict(
        line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#")
    )
    assert int(values["edgetransfer_photos_total"]) == before + 1
    assert float(values['edgetransfer_latency_seconds{quantile="0.99"}']) > 0


def test_the_page_runs_nothing_that_is_not_its_own(server: Server) -> None:
    status, page, headers = server.ask("GET", "/")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert b"<script>" not in page
    assert b"style=" not in page
    assert b" on" not in page.replace(b" one", b"").replace(b" only", b"")
    for name in ("serve.js", "serve.css", "style.css", "ask.js", "camera.js", "files.js"):
        status, text, _ = server.ask("GET", f"/{name}")
        assert status == 200
        assert b"http://" not in text
        assert b"https://" not in text


def test_the_description_has_every_route(server: Server) -> None:
    described = {
        (method.upper(), path) for path, item in openapi()["paths"].items() for method in item
    }
    assert described == set(server.routes.table())
