"""Brokers behind TLS and passwords: what is handed to their clients, and kept nowhere else."""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgetransfer.data.streams.brokers import BrokerAddress, KafkaSource
from edgetransfer.errors import DataError, EdgeTransferError, UsageError
from edgetransfer.stream import run_stream
from tests.certificates import make_authority, server_context
from tests.stream.brokers_made import kafka_server, mosquitto, redis_server
from tests.stream.secure_line import SecureLine
from tests.stream.stream_pictures import fake_feature_source, label_of, picture, settings_for
from tests.stream.test_brokers import Sender, as_json

SECRET = "s3cret"


def kept_in(run: Path) -> list[str]:
    """Files of a run that have the secret in them."""
    return [
        str(path.relative_to(run))
        for path in run.rglob("*")
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ]


# Without a broker


class _Error(Exception):
    _PARTITION_EOF, _ALL_BROKERS_DOWN, _AUTHENTICATION, _SSL = -191, -187, -169, -181

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self._code = code

    def code(self) -> int:
        return self._code

    def str(self) -> str:
        return super().__str__()

    def fatal(self) -> bool:
        return False


class _KafkaException(Exception):
    pass


class _Message:
    def __init__(self, number: int, of: int) -> None:
        self._number, self._is_end = number, number == of

    def error(self) -> _Error | None:
        return _Error(_Error._PARTITION_EOF) if self._is_end else None

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._number

    def headers(self) -> list[tuple[str, bytes]]:
        return [("label", label_of(self._number).encode()), ("id", b"n%d" % self._number)]

    def value(self) -> bytes:
        return picture(self._number)


class _Consumer:
    """confluent-kafka's, as far as it is used; it has messages once."""

    given: dict[str, Any]
    refusal: _Error | None = None

    def __init__(self, settings: dict[str, Any]) -> None:
        if settings.get("no.such") is not None:
            raise _KafkaException(_Error(-186, 'No such configuration property: "no.such"'))
        type(self).given = settings
        self._messages = [_Message(number, 12) for number in range(13)]

    def list_topics(self, topic: str, timeout: float) -> Any:
        del timeout
        if self.refusal is not None:
            raise _KafkaException(_Error(-195, "Local: Broker transport failure"))
        found = types.SimpleNamespace(error=None, partitions={0: None})
        return types.SimpleNamespace(topics={topic: found})

    def poll(self, timeout: float) -> None:
        del timeout
        if self.refusal is not None:
            self.given["error_cb"](self.refusal)

    def incremental_assign(self, places: list[Any]) -> None:
        pass

    def consume(self, most: int, timeout: float) -> list[_Message]:
        del most, timeout
        self.given["error_cb"](_Error(_Error._ALL_BROKERS_DOWN))
        messages, self._messages = self._messages, []
        return messages

    def commit(self, *, offsets: list[Any], asynchronous: bool) -> None:
        del asynchronous
        self.given["on_commit"](None, offsets)

    def close(self) -> None:
        pass


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> type[_Consumer]:
    made = types.ModuleType("confluent_kafka")
    consumer = type("Consumer", (_Consumer,), {})
    vars(made).update(
        Consumer=consumer,
        KafkaException=_KafkaException,
        KafkaError=_Error,
        TopicPartition=lambda *place: place,
    )
    monkeypatch.setitem(sys.modules, "confluent_kafka", made)
    return consumer


HANDED = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanisms": "SCRAM-SHA-512",
    "sasl.username": "me",
    "sasl.password": f"{SECRET}-1",
    "ssl.ca.location": "/etc/ca.pem",
    "ssl.key.password": f"{SECRET}-2",
}
REST = "security.protocol=SASL_SSL&sasl.mechanisms=SCRAM-SHA-512&ssl.ca.location=/etc/ca.pem"


@pytest.mark.parametrize(
    "source",
    [
        f"kafka://me:{SECRET}-1@host:9094/photos?{REST}&ssl.key.password={SECRET}-2",
        f"kafka://me:${{PW}}@host:9094/photos?{REST}&ssl.key.password=${{KEY_PW}}",
        f"kafka://host:9094/photos?{REST}&sasl.username=me&sasl.password=${{PW}}"
        f"&ssl.key.password={SECRET}-2&enable.auto.commit=true&bootstrap.servers=elsewhere",
    ],
)
def test_what_kafka_s_client_is_given_and_nobody_else_sees(
    source: str,
    consumer: type[_Consumer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PW", f"{SECRET}-1")
    monkeypatch.setenv("KEY_PW", f"{SECRET}-2")
    caplog.set_level(logging.DEBUG)
    run = tmp_path / "run"
    answers: list[Any] = []
    settings = settings_for(source, run, once=True)
    report = run_stream(settings, feature_source=fake_feature_source(), acknowledge=answers.append)
    assert report["accepted"] == 12
    assert HANDED.items() <= consumer.given.items()
    assert consumer.given["bootstrap.servers"] == "host:9094"
    assert consumer.given["enable.auto.commit"] is False
    assert kept_in(run) == []
    assert "is waited for" in caplog.text
    shown = capfd.readouterr()
    said = (caplog.text, shown.out, shown.err, str(report), repr(settings), str(answers))
    assert not [text for text in said if SECRET in text]
    again = settings_for(source.replace("-1@", "-3@"), run, once=True)  # a new password
    assert run_stream(again, feature_source=fake_feature_source())["accepted"] == 12


@pytest.mark.parametrize(
    ("code", "text", "mend"),
    [
        (_Error._AUTHENTICATION, "SASL authentication error: wrong password", "credentials"),
        (_Error._SSL, "SSL handshake failed: certificate verify failed", r"ssl\.ca\.location"),
    ],
)
def test_why_kafka_will_have_none_of_us(
    code: int,
    text: str,
    mend: str,
    consumer: type[_Consumer],
    caplog: pytest.LogCaptureFixture,
) -> None:
    consumer.refusal = _Error(code, text)
    address = BrokerAddress.read(f"kafka://me:{SECRET}@host/photos")
    with pytest.raises(DataError, match=f"{text}; .*{mend}") as refused:
        KafkaSource(address, group="g", longest=1)
    assert SECRET not in str(refused.value)
    assert not caplog.records  # nobody waits


def test_a_setting_that_kafka_s_client_does_not_have(consumer: type[_Consumer]) -> None:
    del consumer
    address = BrokerAddress.read("kafka://host/photos?no.such=1")
    with pytest.raises(UsageError, match=r'^kafka://host:9092/photos: No such config.*"no.such"$'):
        KafkaSource(address, group="g", longest=1)


@pytest.mark.parametrize(
    "source",
    [
        f"kafkas://me:{SECRET}@host/photos",
        f"kafka://me:{SECRET}@host:port/photos",
        f"kafka://host:port/photos?sasl.password={SECRET}",
        f"rediss://:{SECRET}@host",
        f"mqtts://me:{SECRET}@/cams",
    ],
)
def test_an_address_that_is_none_is_named_without_its_password(source: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"host|cams") as refused:
        run_stream(settings_for(source, tmp_path / "run"), feature_source=fake_feature_source())
    assert SECRET not in str(refused.value)


# With real ones


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_authority(tmp_path_factory.mktemp("authority"))


@contextlib.contextmanager
def behind_tls(kind: str, authority: Path, folder: Path) -> Iterator[Callable[[str], str]]:
    """A broker behind TLS and a password, which has 12 photos; makes a source of a password."""
    login = ("me", SECRET) if kind == "kafka" else None
    line = SecureLine(server_context(authority), login=login)
    try:
        with contextlib.ExitStack() as stack:
            if kind == "kafka":
                import confluent_kafka

                secure = {
                    "security.protocol": "SASL_SSL",
                    "sasl.mechanisms": "PLAIN",
                    "sasl.username": "me",
                    "sasl.password": SECRET,
                    "ssl.ca.location": str(authority / "ca.pem"),
                }
                stack.enter_context(kafka_server(folder, line, secure))
                at = {"bootstrap.servers": f"127.0.0.1:{line.port}", **secure}
                producer = confluent_kafka.Producer(at)
                for i in range(12):
                    producer.produce("photos", as_json(i), partition=0)
                assert producer.flush(20) == 0
                query = "security.protocol=SASL_SSL&sasl.mechanisms=PLAIN"
                yield lambda password: f"kafka://me:{password}@127.0.0.1:{line.port}/photos?{query}"
                return
            made = {"redis": redis_server, "mqtt": mosquitto}[kind]
            server = stack.enter_context(made(folder))
            line.leads_to(server.port)
            if kind == "redis":
                import redis

                with redis.Redis(port=server.port) as client:
                    for i in range(12):
                        client.xadd("photos", {"json": as_json(i)})
                    client.config_set("requirepass", SECRET)
            topic = "photos" if kind == "redis" else "cams/+"
            yield lambda password: f"{kind}s://:{password}@127.0.0.1:{line.port}/{topic}"
    finally:
        line.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["redis", "kafka", "mqtt"])
def test_over_tls_with_a_password(
    kind: str,
    authority: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for module in {"redis": ["redis"], "mqtt": ["paho.mqtt"]}.get(kind, ["confluent_kafka"]):
        pytest.importorskip(module)
    trusted = f"&ssl.ca.location={authority / 'ca.pem'}" if kind == "kafka" else ""
    with behind_tls(kind, authority, tmp_path) as source_of:
        refused = [(source_of(SECRET), r"certificate verify failed.*(ssl\.ca\.location|SSL_CERT)")]
        if kind != "mqtt":  # this Mosquitto knows no passwords
            refused.append((source_of(f"wrong-{SECRET}") + trusted, "password|credentials"))
        for source, said in refused:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # paho leaves its socket
                with pytest.raises(EdgeTransferError, match=f"(?is){said}") as error:
                    run_stream(
                        settings_for(source, tmp_path / "no"), feature_source=fake_feature_source()
                    )
                assert SECRET not in str(error.value)
                del error
                gc.collect()
            monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
        monkeypatch.setenv("PW", SECRET)
        run = tmp_path / "run"
        settings = settings_for(source_of("${PW}") + trusted, run, limit=12)
        if kind == "mqtt":
            sender = Sender.__new__(Sender)
            sender.kind = kind
            sender.subscribe(settings)
            _publish(tmp_path)
        report = run_stream(settings, feature_source=fake_feature_source())
    assert report["accepted"] == 12
    assert kept_in(run) == []
    assert SECRET not in caplog.text


def _publish(folder: Path) -> None:
    import paho.mqtt.publish as publish

    port = next(
        int(line.split()[1])
        for line in (folder / "mosquitto.conf").read_text().splitlines()
        if line.startswith("listener")
    )
    publish.multiple(
        [{"topic": "cams/1", "payload": as_json(i), "qos": 1} for i in range(12)], port=port
    )
