"""Addresses of brokers, their messages, and what is in hand: without a broker."""

from __future__ import annotations

from typing import Any

import pytest

from edgetransfer.data.streams.brokers import BrokerAddress
from edgetransfer.data.streams.brokers.acknowledging import InHand
from edgetransfer.data.streams.brokers.messages import arrival_of
from edgetransfer.errors import UsageError


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "p@ss/word")
    found = BrokerAddress.read("mqtts://cam:${PW}@host/garden/+/photo/#?client=a")
    assert found.password == "p@ss/word"
    assert "p@ss" not in repr(found) + str(found)
    assert (found.host, found.port, found.topic) == ("host", 8883, "garden/+/photo/#")
    assert found.secure
    assert not BrokerAddress.read("redis://h/s").secure
    assert BrokerAddress.read("rediss://h/s").secure
    assert BrokerAddress.read("kafka://h:1/t?group=g").options == {"group": "g"}


@pytest.mark.parametrize(
    "text", ["redis:photos", "redis://", "redis://host", "kafka://h:x/t", "mqtt:///t", "redis://h/"]
)
def test_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="redis://HOST/STREAM"):
        BrokerAddress.read(text)


def test_a_password_that_is_not_set() -> None:
    with pytest.raises(UsageError, match=r"\$\{NO_SUCH_PASSWORD\}, which is not set"):
        BrokerAddress.read("redis://u:${NO_SUCH_PASSWORD}@h/s")


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"{", "neither a photo nor JSON that can be read: not valid JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"path": "/etc/passwd", "label": "a"}', "a path is not allowed here"),
        (b'{"base64": "%"}', "not valid base64"),
        (b'{"label": "a"}', "needs base64; or id and label"),
        (b"\x89PNG" * 100, "longer than 64 bytes"),
    ],
)
def test_messages_that_are_no_samples(payload: bytes, problem: str) -> None:
    found = arrival_of(payload, "photos/7", print, longest=64)
    assert found.id == "photos/7"
    assert problem in str(found.problem)


def test_messages_that_are() -> None:
    photo = arrival_of(b"\xff\xd8", "t/0/7", print, longest=64, label="fox")
    assert (photo.id, photo.source, photo.label, photo.problem) == (
        "t/0/7",
        b"\xff\xd8",
        "fox",
        None,
    )
    late = arrival_of(b'{"id": "a", "label": "fox"}', "t/0/8", print, longest=64)
    assert (late.id, late.source, late.label) == ("a", None, "fox")


def test_what_is_told_is_what_the_journal_has() -> None:
    told: list[Any] = []
    hand: InHand[int] = InHand(told.append)
    replies = {i: hand.take(i) for i in (5, 6, 7, 8)}
    replies[6]({"id": "6"})
    replies[5]({"id": "5"})
    replies[8]({"id": "8"})
    assert told == [{"id": "6"}, {"id": "5"}, {"id": "8"}]
    assert hand.kept(in_order=True) == [5, 6]  # an offset says that all before it are there
    assert hand.kept() == [8]
    assert 7 in hand
    assert 8 not in hand
    hand.finish(lambda: replies[7]({"id": "7"}) if 7 in hand and len(told) < 4 else hand.kept())
    assert 7 not in hand
