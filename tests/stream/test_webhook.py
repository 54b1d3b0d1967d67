"""Predictions sent to an address: in order, until they are taken, whatever happens in between."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from edgetransfer.errors import UsageError
from edgetransfer.stream import run_stream, webhook
from edgetransfer.stream.keeping import predictions
from edgetransfer.stream.keeping.predictions import Predictions
from edgetransfer.stream.learning.views import Guess
from edgetransfer.stream.webhook import Webhook
from tests.stream.stream_pictures import fake_feature_source, label_of, picture, settings_for
from tests.waiting import until


class Receiver:
    """Takes what is posted; ``answer`` says with which status."""

    def __init__(self) -> None:
        self.answer: Callable[[], int] = lambda: 200
        self.ids: list[str] = []
        self.asked = 0
        self.headers: dict[str, str] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.asked += 1
                receiver.headers = dict(self.headers)
                status = receiver.answer()
                if status == 200:
                    receiver.ids += [line["id"] for line in body["predictions"]]
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "LOOK", 0.005)
    monkeypatch.setattr(webhook, "FIRST_REST", 0.005)
    monkeypatch.setattr(webhook, "LONGEST_REST", 0.02)


def write(run: Path, names: list[str]) -> None:
    guess = Guess(name="cat", probability=0.5, unknown=False)
    Predictions(run).add([(name, guess) for name in names])


def sent(run: Path, url: str, **given: Any) -> dict[str, Any]:
    hook = Webhook(run, url, **given)
    hook.start()
    hook.close()
    return hook.report()


@pytest.mark.parametrize("seed", range(3))
def test_each_is_delivered_in_order_whatever_the_receiver_does(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Refusals and rotations at random, and restarts in between: no id is missing."""
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(webhook, "LINES", 5)
    monkeypatch.setattr(predictions, "LARGEST", 2000)
    receiver.answer = lambda: [200, 200, 500, 429, 404, 302][rng.integers(6)]
    written: list[str] = []
    hook = Webhook(tmp_path, receiver.url)
    hook.start()
    for step in range(60):
        names = [f"{step}-{i}" for i in range(rng.integers(1, 8))]
        write(tmp_path, names)
        written += names
        # One rotation at a time: what two files hold is kept.
        least = len(written) - 12
        until(lambda least=least: len(receiver.ids) > least)  # type: ignore[misc]
        if step % 20 == 19:
            hook.close()
            assert hook.report()["gaps"] == 0
            hook = Webhook(tmp_path, receiver.url)
            hook.start()
    receiver.answer = lambda: 200
    until(lambda: len(receiver.ids) >= len(written))
    hook.close()
    assert receiver.ids == written
    report = hook.report()
    assert report["delivered"] == len(written)
    assert report["waiting_bytes"] == report["gaps"] == 0
    assert report["error"] is None


def test_a_receiver_that_is_not_there_holds_up_nothing_and_gets_all_later(
    receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(24):
        (tmp_path / "photos" / f"{i}.png").write_bytes(picture(i))
    source = f"folder:{tmp_path / 'photos'}"
    nowhere = "http://127.0.0.1:9/hook"
    given: dict[str, Any] = {"once": True, "webhook": nowhere}
    report = run_stream(
        settings_for(source, tmp_path / "run", **given), feature_source=fake_feature_source()
    )
    assert report["accepted"] == 24
    assert report["webhook"]["delivered"] == 0
    assert report["webhook"]["waiting_bytes"] > 0
    assert report["webhook"]["error"]
    given = {"once": True, "webhook": receiver.url, "webhook_token": "sesame"}
    report = run_stream(
        settings_for(source, tmp_path / "run", **given), feature_source=fake_feature_source()
    )
    assert sorted(receiver.ids, key=lambda i: int(i[:-4])) == [f"{i}.png" for i in range(24)]
    assert receiver.headers["Authorization"] == "Bearer sesame"
    assert report["webhook"]["delivered"] == 24
    assert report["webhook"]["waiting_bytes"] == 0


def test_another_file_of_the_same_number_is_not_taken_for_it(
    receiver: Receiver, tmp_path: Path
) -> None:
    write(tmp_path, ["a", "b"])
    assert sent(tmp_path, receiver.url)["delivered"] == 2
    path = tmp_path / "predictions.jsonl"
    number = os.stat(path).st_ino
    content = path.read_bytes().replace(b'"a"', b'"x"').replace(b'"b"', b'"y"')
    path.write_bytes(content)
    assert os.stat(path).st_ino == number
    report = sent(tmp_path, receiver.url)
    assert receiver.ids == ["a", "b", "x", "y"]
    assert report["gaps"] == 1


@pytest.mark.parametrize("damage", [b"", b"{", b'{"url": 3}', b"[" * 5000, b'{"offset": -1}'])
def test_a_damaged_state_sends_again(receiver: Receiver, tmp_path: Path, damage: bytes) -> None:
    write(tmp_path, ["a"])
    (tmp_path / "webhook.json").write_bytes(damage)
    assert sent(tmp_path, receiver.url)["delivered"] == 1
    assert receiver.ids == ["a"]
    assert sent(tmp_path, receiver.url)["delivered"] == 1
    assert receiver.ids == ["a"]


def test_half_a_line_waits_for_the_rest(receiver: Receiver, tmp_path: Path) -> None:
    write(tmp_path, ["a", "b"])
    path = tmp_path / "predictions.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    sent(tmp_path, receiver.url)
    assert receiver.ids == ["a"]
    with path.open("ab") as file:
        file.write(whole[-5:])
    sent(tmp_path, receiver.url)
    assert receiver.ids == ["a", "b"]


@pytest.mark.parametrize("url", ["", "ftp://x", "x", "http://a b", "file:///etc/passwd"])
def test_an_address_is_one(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--webhook"):
        Webhook(tmp_path, url)


def test_labelled_samples_are_no_predictions(receiver: Receiver, tmp_path: Path) -> None:
    folder = tmp_path / "photos" / label_of(0)
    folder.mkdir(parents=True)
    (folder / "0.png").write_bytes(picture(0))
    source = f"folder:{tmp_path / 'photos'}"
    given: dict[str, Any] = {"once": True, "webhook": receiver.url}
    report = run_stream(
        settings_for(source, tmp_path / "run", **given), feature_source=fake_feature_source()
    )
    assert report["webhook"]["delivered"] == receiver.asked == 0
