"""The HTTP endpoint: what it takes, what it refuses, and that nothing breaks it."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetransfer.errors import UsageError
from edgetransfer.stream import OnlineLearner
from edgetransfer.stream.http import HttpSource
from edgetransfer.stream.http.openapi import openapi
from edgetransfer.stream.http.prometheus import exposition
from edgetransfer.stream.keeping.durable import DurableLearner
from edgetransfer.stream.learning.records import Record
from edgetransfer.stream.snapshot import Snapshot, Throughput
from tests.stream.http_endpoint import LONGEST, Endpoint, sample
from tests.stream.stream_pictures import fake_feature_source, label_of, picture, settings_for
from tests.waiting import until


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    started = Endpoint(tmp_path_factory.mktemp("http") / "run")
    yield started
    started.close()


def test_a_sample_is_learned_and_then_known(endpoint: Endpoint) -> None:
    for i in range(40):
        status, answer, _ = endpoint.ask("POST", "/samples", sample(i))
        assert (status, answer["status"], answer["id"]) == (200, "accepted", f"n{i}")
    status, answer, _ = endpoint.ask("POST", "/samples", sample(0))
    assert (status, answer["status"]) == (200, "duplicate")
    status, answer, _ = endpoint.ask("POST", "/predict", {"base64": sample(41)["base64"]})
    assert status == 200
    assert next(iter(answer["classes"])) == label_of(41)
    assert sum(answer["classes"].values()) == pytest.approx(1, abs=1e-5)


def test_a_body_may_be_the_image(endpoint: Endpoint) -> None:
    headers = {"Content-Type": "image/png"}
    path = "/samples?id=raw&label=red"
    assert endpoint.ask("POST", path, picture(100), headers)[1]["status"] == "accepted"
    status, answer, _ = endpoint.ask("POST", "/samples", b"no image", headers)
    assert status == 422
    assert "not an image" in answer["error"]


def test_a_label_may_come_later(endpoint: Endpoint) -> None:
    first = {"base64": sample(200)["base64"], "id": "late"}
    assert endpoint.ask("POST", "/samples", first)[1]["status"] == "accepted"
    status, answer, _ = endpoint.ask("GET", "/predict?id=late")
    assert status == 200
    assert answer["id"] == "late"
    later = {"id": "late", "label": "red"}
    assert endpoint.ask("POST", "/samples", later)[1]["status"] == "labelled"
    assert endpoint.ask("GET", "/predict?id=late")[0] == 404
    assert endpoint.ask("POST", "/samples", {"id": "who", "label": "red"})[0] == 404


def test_what_was_answered_is_known_to_the_next_request(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples are acknowledged before they are learned: who asks in between waits."""
    learned = DurableLearner._apply

    def late(self: DurableLearner, record: Record) -> None:
        time.sleep(0.3)
        learned(self, record)

    monkeypatch.setattr(DurableLearner, "_apply", late)
    first = {"base64": sample(210)["base64"], "id": "slow"}
    assert endpoint.ask("POST", "/samples", first)[1]["status"] == "accepted"
    assert endpoint.ask("GET", "/predict?id=slow")[0] == 200
    later = {"id": "slow", "label": "red"}
    assert endpoint.ask("POST", "/samples", later)[1]["status"] == "labelled"
    assert endpoint.ask("GET", "/predict?id=slow")[0] == 404


def test_too_large(endpoint: Endpoint) -> None:
    assert endpoint.ask("POST", "/samples", b"x" * (LONGEST + 1))[0] == 413
    huge = (
        b"POST /samples HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n"
    )
    assert endpoint.raw(huge).startswith(b"HTTP/1.1 413")


def test_metrics_are_prometheus_text(endpoint: Endpoint) -> None:
    status, text, headers = endpoint.ask("GET", "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for line in text.splitlines():
        assert line.startswith(("# HELP edgetransfer_", "# TYPE edgetransfer_", "edgetransfer_"))
        if not line.startswith("#"):
            float(line.rpartition(" ")[2])
    assert "edgetransfer_accepted_total" in text


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("GET", "/samples", None, 405),
        ("PUT", "/samples", b"x", 405),
        ("POST", "/samples", {}, 400),
        ("POST", "/samples", {"base64": "!", "label": "a"}, 400),
        ("POST", "/samples", {"path": "/etc/passwd", "label": "a"}, 400),
        ("POST", "/samples", {"base64": "", "label": "a\n"}, 400),
        ("POST", "/samples", {"base64": "", "label": "\ud800"}, 400),
        ("POST", "/samples", b"{", 415),
        ("GET", "/predict", None, 400),
        ("GET", "/predict?id=%ff", None, 400),
        ("GET", "/predict?other=1", None, 400),
    ],
)
def test_refusals(endpoint: Endpoint, method: str, path: str, body: Any, status: int) -> None:
    found, answer, _ = endpoint.ask(method, path, body)
    assert found == status
    assert answer["error"]


FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
samples = st.fixed_dictionaries(
    {},
    optional={
        "base64": json_values | st.binary(max_size=60).map(lambda b: base64.b64encode(b).decode()),
        "label": json_values,
        "id": json_values,
        "path": json_values,
    },
)


@FUZZ
@given(st.sampled_from(["/samples", "/predict"]), samples | json_values)
def test_no_json_makes_it_fail(endpoint: Endpoint, path: str, value: Any) -> None:
    body = json.dumps(value).encode()
    status, _, _ = endpoint.ask("POST", path, body, {"Content-Type": "application/json"})
    described = openapi()["paths"][path]["post"]["responses"]
    assert str(status) in described
    assert status != 429


@FUZZ
@given(
    st.sampled_from(["GET", "POST", "HEAD", "PATCH"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
    st.binary(max_size=50),
    st.sampled_from(["application/json", "image/png", "text/plain", "multipart/form-data", ""]),
)
def test_no_request_makes_it_fail(
    endpoint: Endpoint, method: str, path: str, body: bytes, kind: str
) -> None:
    status, _, _ = endpoint.ask(method, f"/{path}", body, {"Content-Type": kind})
    assert status < 500


@FUZZ
@given(
    st.binary(max_size=300)
    | st.binary(max_size=100).map(lambda b: b"POST /samples HTTP/1.1\r\n" + b)
)
def test_no_bytes_make_it_fail(endpoint: Endpoint, data: bytes) -> None:
    answer = endpoint.raw(data)
    assert not answer.startswith(b"HTTP/1.1 5")
    assert b"\nHTTP/1.1 5" not in answer


def test_it_still_works_after_all_that(endpoint: Endpoint) -> None:
    assert endpoint.ask("POST", "/samples", sample(300))[1]["status"] == "accepted"


def test_the_description_names_every_path_and_a_schema_for_every_reference() -> None:
    document = openapi()
    assert set(document["paths"]) == {
        "/samples",
        "/predict",
        "/metrics",
        "/healthz",
        "/openapi.json",
    }
    text = json.dumps(document)
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names == set(document["components"]["schemas"])


def test_a_token_is_needed_where_others_reach_it(tmp_path: Path) -> None:
    with (
        OnlineLearner(
            settings_for("", tmp_path / "run"), feature_source=fake_feature_source()
        ) as learner,
        pytest.raises(UsageError, match="--token"),
    ):
        HttpSource(
            host="0.0.0.0",
            port=0,
            board=Throughput(learner),
            token=None,
            longest=10,
            capacity=1,
        )


def test_a_token_is_asked_for(tmp_path: Path) -> None:
    endpoint = Endpoint(tmp_path / "run", token="sesame")
    try:
        assert endpoint.ask("POST", "/samples", sample(1))[0] == 401
        wrong = {"Authorization": "Bearer sésame".encode().decode("latin-1")}
        assert endpoint.ask("GET", "/metrics", None, wrong)[0] == 401
        right = {"Authorization": "Bearer sesame"}
        assert endpoint.ask("POST", "/samples", sample(1), right)[0] == 200
        assert endpoint.ask("GET", "/healthz")[0] == 200
    finally:
        endpoint.close()


def test_back_pressure(tmp_path: Path) -> None:
    """A queue of one that nobody empties: the second client is told to come again."""
    with OnlineLearner(
        settings_for("", tmp_path / "run"), feature_source=fake_feature_source()
    ) as learner:
        source = HttpSource(
            host="127.0.0.1",
            port=0,
            board=Throughput(learner),
            token=None,
            longest=LONGEST,
            capacity=1,
        )
        source.server.start()
        port = source.server.port

        def post(answers: list[http.client.HTTPResponse]) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request(
                "POST", "/samples", json.dumps(sample(1)), {"Content-Type": "application/json"}
            )
            answers.append(connection.getresponse())
            connection.close()

        first: list[http.client.HTTPResponse] = []
        waiting = threading.Thread(target=post, args=(first,))
        waiting.start()
        until(source._queue.full)
        second: list[http.client.HTTPResponse] = []
        post(second)
        assert second[0].status == 429
        assert int(second[0].headers["Retry-After"]) >= 1
        stop = threading.Event()
        arrival = next(source.arrivals(stop, learner.durable))
        arrival.reply({"id": arrival.id, "status": "accepted"})
        waiting.join(20)
        assert first[0].status == 200
        source.server.stop()


@pytest.mark.parametrize("count", [0, 1, 999_999, 1_000_001, 12_345_678, 2**40 + 1])
def test_counts_are_exact_integers(count: int) -> None:
    report = {
        **dict.fromkeys(("accepted", "learned", "expired", "refits", "adopted"), count),
        "classes": 3,
        "reservoir": count,
        "drift": {"alarms": count},
        **{name: {"top1": 0.5, "mean_per_class": None} for name in ("prequential", "window")},
        "fading": {"top1": 0.5, "mean_per_class": None},
        "class_counts": {f"c{i}": count for i in range(250)},
        "confused": [{"class": 'a"\n', "predicted": "b", "times": count}],
    }
    snapshot = Snapshot(report=report, refused=count, journal_bytes=count)
    values: dict[str, set[str]] = {}
    for line in exposition(snapshot).splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            values.setdefault(name.partition("{")[0], set()).add(value)
    for name in ("accepted", "learned", "class_samples", "confused", "refused"):
        assert values[f"edgetransfer_{name}_total"] == {str(count)}
    assert values["edgetransfer_other_class_samples_total"] == {str(150 * count)}
    assert exposition(snapshot).count("edgetransfer_class_samples_total{") == 100
