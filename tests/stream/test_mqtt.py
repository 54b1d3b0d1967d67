"""What the MQTT source says to brokers, old and new ones."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("paho.mqtt")

from edgetransfer.data.streams import Arrival
from edgetransfer.data.streams.brokers import BrokerAddress, MqttSource, mqtt_topic
from edgetransfer.errors import DataError
from edgetransfer.stream import run_stream
from tests.stream.stream_pictures import fake_feature_source, settings_for
from tests.stream.test_brokers import Sender, as_json

CONNECT, PUBACK, SUBSCRIBE = 0x10, 0x40, 0x82
PACKET = 7  # the number of the one message


class OldBroker:
    """Knows MQTT 3.1.1 alone, and has one message.

    Parameters
    ----------
    refusal
        What it answers to a client of MQTT 5; it hangs up behind it.
    """

    def __init__(self, refusal: bytes) -> None:
        self.versions: list[int] = []
        self.acknowledged = threading.Event()
        self._refusal = refusal
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as packets:
                try:
                    self._talk(connection, packets)
                except OSError:
                    continue

    def _talk(self, connection: socket.socket, packets: Any) -> None:
        while head := packets.read(1):
            size = shift = 0
            while True:
                (byte,) = packets.read(1)
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            body = packets.read(size)
            if head[0] == CONNECT:
                self.versions.append(body[6])
                if body[6] == 5:
                    connection.sendall(self._refusal)
                    return
                connection.sendall(b"\x20\x02\0\0")
            elif head[0] == SUBSCRIBE:
                connection.sendall(b"\x90\x03" + body[:2] + b"\x01")
                told = b"\0\x04cams" + PACKET.to_bytes(2, "big") + as_json(0).encode()
                length = bytes((len(told) & 127 | 128, len(told) >> 7))
                connection.sendall(b"\x32" + length + told)
            elif head[0] == PUBACK:
                assert body == PACKET.to_bytes(2, "big")
                self.acknowledged.set()


@pytest.fixture(params=[b"\x20\x02\0\x01", b""], ids=["refuses", "hangs up"])
def old_broker(request: pytest.FixtureRequest) -> Iterator[OldBroker]:
    broker = OldBroker(request.param)
    yield broker
    broker.close()


def test_brokers_that_know_the_old_version_alone(old_broker: OldBroker, tmp_path: Path) -> None:
    source = f"mqtt://127.0.0.1:{old_broker.port}/cams"
    report = run_stream(
        settings_for(source, tmp_path / "run", limit=1), feature_source=fake_feature_source()
    )
    assert report["accepted"] == 1
    assert old_broker.acknowledged.wait(30)
    assert old_broker.versions == [5, 4]


def test_a_broker_that_refuses_for_another_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the words of MQTT 5: bad user name or password."""
    monkeypatch.setattr(mqtt_topic, "FIRST_SECONDS", 30.0)
    broker = OldBroker(b"\x20\x03\0\x86\0")
    source = f"mqtt://me:wrong@127.0.0.1:{broker.port}/cams"
    with pytest.raises(DataError, match="refused: Bad user name or password; check user") as said:
        run_stream(settings_for(source, tmp_path / "run"), feature_source=fake_feature_source())
    assert "wrong" not in str(said.value)
    broker.close()


def source_of(sender: Sender) -> MqttSource:
    address = BrokerAddress.read(f"{sender.source}?client=one")
    return MqttSource(address, client="one", longest=2**20)


@pytest.mark.slow
def test_batches_are_filled_whatever_the_broker_hands_out_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mosquitto as it comes has 20 on their way at a time; here 100 come, none acknowledged."""
    from tests.stream import brokers_made

    monkeypatch.setattr(brokers_made, "MOSQUITTO", "")
    sender = Sender("mqtt", tmp_path)
    seen: list[Arrival] = []
    with sender.stack:
        source = source_of(sender)
        stop = threading.Event()

        def read() -> None:
            for arrival in source.arrivals(stop, None):  # type: ignore[arg-type]
                seen.append(arrival)
                if len(seen) == 100:
                    break
            for arrival in seen:
                arrival.reply({"id": arrival.id})

        reading = threading.Thread(target=read)
        reading.start()
        assert source._answered.wait(30)
        sender.send(range(100))
        reading.join(60)
        stop.set()
        assert {arrival.id for arrival in seen} == {f"n{i}" for i in range(100)}
