"""Streams from brokers: whatever is killed, nothing is lost and nothing is learned twice."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgetransfer.errors import DataError
from edgetransfer.stream import run_stream
from tests.stream.brokers_made import (
    free_port,
    kafka_mock,
    kafka_server,
    mosquitto,
    redis_server,
    tansu,
)
from tests.stream.stream_children import Children
from tests.stream.stream_pictures import (
    PICTURES,
    fake_feature_source,
    label_of,
    learned_state,
    picture,
    settings_for,
)

STATISTICS = {"learner": "statistics"}


def as_json(i: int) -> str:
    photo = base64.b64encode(picture(i)).decode()
    return json.dumps({"base64": photo, "label": label_of(i), "id": f"n{i}"})


class Sender:
    """Publishes pictures, and says what the broker still holds unacknowledged."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.stack = contextlib.ExitStack()
        made: Any = {"redis": redis_server, "mqtt": mosquitto, "kafka": kafka_server}.get(kind)
        self.server: Any = None
        if kind == "kafka" and tansu() is None:
            made = None  # the mock, which cannot go away
        if made is not None:
            self.server = self.stack.enter_context(made(folder))
            self.at = f"127.0.0.1:{self.server.port}"
        else:
            self.at = self.stack.enter_context(kafka_mock())
        self.source = f"{kind}://{self.at}/" + ("cams/+" if kind == "mqtt" else "photos")

    def send(self, numbers: range, *, plain: bool = False) -> None:
        """Redis and Kafka keep photos for whoever comes later; MQTT for sessions that exist."""
        if self.kind == "redis":
            import redis

            with redis.Redis(port=self.server.port) as client:
                for i in numbers:
                    fields = {"image": picture(i), "label": label_of(i), "id": f"n{i}"}
                    client.xadd("photos", fields if plain else {"json": as_json(i)})
        elif self.kind == "kafka":
            import confluent_kafka

            producer = confluent_kafka.Producer({"bootstrap.servers": self.at})
            for i in numbers:
                if plain:
                    beside = {"label": label_of(i), "id": f"n{i}"}
                    producer.produce("photos", picture(i), headers=beside, partition=0)
                else:
                    producer.produce("photos", as_json(i), partition=0)
            assert producer.flush(10) == 0
        else:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion

            client = Client(CallbackAPIVersion.VERSION2, "sender")
            client.connect("127.0.0.1", self.server.port)
            client.loop_start()
            sent = [client.publish(f"cams/{i % 3}", as_json(i), qos=1) for i in numbers]
            for one in sent:
                one.wait_for_publish(20)
            client.disconnect()
            client.loop_stop()

    def subscribe(self, settings: Any) -> None:
        """Make the session that a run will have, so that the broker keeps photos for it."""
        from edgetransfer.stream.sources import open_source

        if self.kind == "mqtt":
            stop = threading.Event()
            source = open_source(settings, None)  # type: ignore[arg-type]
            arrivals = source.arrivals(stop, None)  # type: ignore[arg-type]
            made = threading.Thread(target=lambda: list(arrivals))
            made.start()
            assert source._answered.wait(20)  # type: ignore[attr-defined]
            stop.set()
            made.join(20)
            assert not made.is_alive()

    def waiting(self) -> int | None:
        """Messages that were not acknowledged; None where the broker does not say."""
        if self.kind != "redis":
            return None
        import redis

        with redis.Redis(port=self.server.port) as client:
            return sum(group["pending"] + group["lag"] for group in client.xinfo_groups("photos"))


@pytest.fixture
def sender_of(tmp_path: Path) -> Iterator[Callable[[str], Sender]]:
    with contextlib.ExitStack() as stack:

        def make(kind: str) -> Sender:
            sender = Sender(kind, tmp_path)
            stack.push(sender.stack)
            return sender

        yield make


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    started = Children(tmp_path)
    yield started
    started.close()


KINDS = ("redis", "kafka", "mqtt")


def reference(tmp_path: Path, n: int) -> dict[str, Any]:
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(as_json(i) + "\n" for i in range(n)))
    chosen = settings_for(f"jsonl:{lines}", tmp_path / "reference", learning=STATISTICS)
    run_stream(chosen, feature_source=fake_feature_source())
    return learned_state(tmp_path / "reference")


@pytest.mark.slow
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("kind", ["redis", "kafka"])
def test_what_is_there_is_learned_once(
    sender_of: Callable[[str], Sender], tmp_path: Path, kind: str, plain: bool
) -> None:
    sender = sender_of(kind)
    sender.send(range(30), plain=plain)
    answers: list[Any] = []
    for n in (30, 50):
        chosen = settings_for(sender.source, tmp_path / "run", once=True, learning=STATISTICS)
        report = run_stream(
            chosen, feature_source=fake_feature_source(), acknowledge=answers.append
        )
        assert report["accepted"] == n
        assert sender.waiting() in (0, None)
        sender.send(range(30, 50), plain=plain)
    assert [a["status"] for a in answers] == ["accepted"] * 50
    assert learned_state(tmp_path / "run") == reference(tmp_path, 50)


def killed(
    children: Children, sender: Sender, tmp_path: Path, kills: int, *, server_too: bool = False
) -> int:
    """Learn `PICTURES` photos, killed so often; returns how many kills there were."""
    rng = random.Random(sender.kind)
    expected = reference(tmp_path, PICTURES)
    done = turn = 0
    while done < kills:
        run = tmp_path / f"run-{turn}"
        source = sender.source + f"?{'client' if sender.kind == 'mqtt' else 'group'}=g{turn}"
        others = {"learning": STATISTICS, "limit": PICTURES}
        sender.subscribe(settings_for(source, run, **others))
        if turn == 0 or sender.kind == "mqtt":
            sender.send(range(PICTURES))
        order = {"source": source, "out": str(run), "acks": str(run) + ".acks", **others}
        while True:
            pid = children.start(dict(order))
            if done < kills:
                time.sleep(rng.uniform(0.05, 0.9))
                os.kill(pid, signal.SIGKILL)
                if children.status() == -signal.SIGKILL:
                    done += 1
                    if server_too and done % 2:
                        sender.server.kill()
                        sender.server.start()
                    continue
                break
            assert children.status() == 0
            break
        assert learned_state(run) == expected
        answers = [json.loads(a) for a in Path(f"{run}.acks").read_bytes().splitlines(True)[:-1]]
        accepted = [a["id"] for a in answers if a["status"] == "accepted"]
        assert len(accepted) == len(set(accepted))
        turn += 1
        assert turn < 20 + kills
    return done


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_kills(
    sender_of: Callable[[str], Sender], children: Children, tmp_path: Path, kind: str
) -> None:
    assert killed(children, sender_of(kind), tmp_path, 20) >= 20


@pytest.mark.slow
def test_kills_of_the_server_too(
    sender_of: Callable[[str], Sender], children: Children, tmp_path: Path
) -> None:
    assert killed(children, sender_of("redis"), tmp_path, 10, server_too=True) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_broker_that_goes_away_and_comes_back(
    sender_of: Callable[[str], Sender],
    tmp_path: Path,
    kind: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sender = sender_of(kind)
    if sender.server is None:
        pytest.skip("no Kafka broker is installed, and the mock cannot go away")
    chosen = settings_for(sender.source, tmp_path / "run", limit=60, learning=STATISTICS)
    sender.subscribe(chosen)
    sender.send(range(30))
    seen = threading.Semaphore(0)
    reports: list[Any] = []
    stream = threading.Thread(
        target=lambda: reports.append(
            run_stream(
                chosen,
                feature_source=fake_feature_source(),
                acknowledge=lambda _outcome: seen.release(),
            )
        )
    )
    stream.start()
    for _ in range(30):
        assert seen.acquire(timeout=30)
    sender.server.kill()
    while not any("is waited for" in record.message for record in caplog.records):
        time.sleep(0.01)
        assert stream.is_alive()
    sender.server.start()
    sender.send(range(30, 60))
    stream.join(60)
    assert not stream.is_alive()
    assert reports[0]["accepted"] == 60
    assert learned_state(tmp_path / "run") == reference(tmp_path, 60)
    assert any("is waited for" in record.message for record in caplog.records)
    assert any("is back" in record.message for record in caplog.records)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_nobody_there(kind: str, tmp_path: Path) -> None:
    pytest.importorskip({"mqtt": "paho.mqtt", "kafka": "confluent_kafka"}.get(kind, kind))
    source = f"{kind}://user:secret@127.0.0.1:{free_port()}/photos"
    with pytest.raises(DataError, match=f"{kind}://127.0.0.1:.*check the address") as refused:
        run_stream(settings_for(source, tmp_path / "run"), feature_source=fake_feature_source())
    assert "secret" not in str(refused.value)
