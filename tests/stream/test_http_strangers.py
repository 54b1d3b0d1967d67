"""The HTTP endpoint against pages, strangers and slow clients."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetransfer.errors import UsageError
from edgetransfer.web import connections
from edgetransfer.web.bodies import BodyBudget
from edgetransfer.web.hosts import Hosts
from tests.stream.endpoint_peak import BODIES
from tests.stream.http_endpoint import Endpoint, sample
from tests.stream.stream_pictures import settings_for
from tests.waiting import until


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    started = Endpoint(tmp_path_factory.mktemp("http") / "run")
    yield started
    started.close()


OWN = ("127.0.0.1:{p}", "localhost:{p}", "LOCALHOST", "[::1]:{p}", "127.9.9.9", "localhost.:{p}")
FOREIGN = (
    *("evil.example", "evil.example:{p}", "localhost.evil.example:{p}", "192.168.0.1:{p}", ""),
    *("127.0.0.1.evil.example", "127.0.0.1@evil.example", "evil.example/127.0.0.1", "0.0.0.0:{p}"),
    *("localhost:{p}, evil.example", "localhost evil.example", "[::1", "[fe80::1%25lo]", ":{p}"),
    *("local host", "127.0.0.1:notaport", "2130706433", "0x7f.1", "localhost#", "localhost?x"),
)
ROUTES = ("GET /metrics", "GET /healthz", "GET /openapi.json", "POST /samples", "POST /predict")


def asked(endpoint: Endpoint, route: str, *headers: str) -> bytes:
    lines = [f"{route} HTTP/1.1", *headers, "Content-Length: 0", "Connection: close", "", ""]
    text = "\r\n".join(lines).replace("{p}", str(endpoint.port))
    return endpoint.raw(text.encode("latin-1"))[:12]


@pytest.mark.parametrize("host", OWN)
def test_its_own_names(endpoint: Endpoint, host: str) -> None:
    assert asked(endpoint, "GET /metrics", f"Host: {host}") == b"HTTP/1.1 200"


@pytest.mark.parametrize("host", FOREIGN)
def test_foreign_names_are_refused_on_every_route(endpoint: Endpoint, host: str) -> None:
    for route in ROUTES:
        assert asked(endpoint, route, f"Host: {host}") == b"HTTP/1.1 403"


def test_a_host_is_needed_once(endpoint: Endpoint) -> None:
    assert asked(endpoint, "GET /metrics") == b"HTTP/1.1 403"
    twice = ("Host: localhost", "Host: evil.example")
    assert asked(endpoint, "GET /metrics", *twice) == b"HTTP/1.1 403"


ORIGINS = (
    *("http://evil.example", "https://evil.example:{p}", "null", "http://localhost:1", ""),
    *("http://127.0.0.1:{p}", "file://localhost:{p}", "http://localhost:{p}@evil.example"),
    *("http://localhost:{p}.evil.example", "chrome-extension://localhost:{p}"),
)


@pytest.mark.parametrize("origin", ORIGINS)
def test_pages_of_other_origins_are_refused(endpoint: Endpoint, origin: str) -> None:
    for route in ROUTES:
        headers = ("Host: localhost:{p}", f"Origin: {origin}")
        assert asked(endpoint, route, *headers) == b"HTTP/1.1 403"


def test_a_page_of_its_own_and_a_link_that_is_followed(endpoint: Endpoint) -> None:
    own = ("Host: localhost:{p}", "Origin: http://localhost:{p}", "Sec-Fetch-Site: same-origin")
    assert asked(endpoint, "GET /metrics", *own) == b"HTTP/1.1 200"
    other = ("Host: localhost:{p}", "Sec-Fetch-Site: cross-site")
    assert asked(endpoint, "GET /metrics", *other) == b"HTTP/1.1 403"
    link = (*other, "Sec-Fetch-Mode: navigate")
    assert asked(endpoint, "GET /metrics", *link) == b"HTTP/1.1 200"
    assert asked(endpoint, "POST /samples", *link) == b"HTTP/1.1 403"


def test_metrics_beside_a_source_are_guarded_alike(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = Endpoint(tmp_path / "run", metrics_port=port)
    endpoint.port = port
    try:
        assert asked(endpoint, "GET /metrics", "Host: localhost:{p}") == b"HTTP/1.1 200"
        for host in FOREIGN:
            assert asked(endpoint, "GET /metrics", f"Host: {host}") == b"HTTP/1.1 403"
        for origin in ORIGINS:
            headers = ("Host: localhost:{p}", f"Origin: {origin}")
            assert asked(endpoint, "GET /metrics", *headers) == b"HTTP/1.1 403"
        for route in ("POST /samples", "POST /predict"):
            assert asked(endpoint, route, "Host: localhost:{p}")[:10] == b"HTTP/1.1 4"
    finally:
        endpoint.close()


@given(st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=40))
def test_no_other_text_is_a_name(text: str) -> None:
    headers = Message()
    headers["Host"] = text
    name = text.strip().lower().partition(":")[0].rstrip(".")
    own = name == "localhost" or name.startswith(("127.", "["))
    assert own or Hosts("127.0.0.1").problem(headers, "GET", "HTTP/1.1") is not None


def test_beyond_loopback_it_answers_to_addresses_and_given_names() -> None:
    def fine(hosts: Hosts, name: str) -> bool:
        headers = Message()
        headers["Host"] = name
        return hosts.problem(headers, "GET", "HTTP/1.1") is None

    everywhere = Hosts("0.0.0.0", ["Box.example"])
    for name in ("192.168.0.7:8080", "[2001:db8::1]", "box.example:80", socket.gethostname()):
        assert fine(everywhere, name)
    assert not fine(everywhere, "evil.example")
    one = Hosts("192.168.0.7")
    assert fine(one, "192.168.0.7")
    assert not fine(one, "192.168.0.8")


# Tokens


@pytest.mark.parametrize("token", ["", " ", "\t", " a", "a ", "a\nb", "\x00"])
def test_a_token_that_nobody_could_show_is_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(UsageError, match="--token"):
        settings_for("http:1", tmp_path, token=token)


def test_a_token_in_utf_8(tmp_path: Path) -> None:
    endpoint = Endpoint(tmp_path / "run", token="sésame ☀ b")
    try:
        for shown, status in (
            ("Bearer sésame ☀ b", 200),
            ("bearer  sésame ☀ b", 200),
            ("Bearer sesame ☀ b", 401),
            ("sésame ☀ b", 401),
            ("Basic sésame ☀ b", 401),
            ("Bearer", 401),
        ):
            header = {"Authorization": shown.encode().decode("latin-1")}
            assert endpoint.ask("GET", "/metrics", None, header)[0] == status
        latin = "Bearer sésame"
        assert endpoint.ask("GET", "/metrics", None, {"Authorization": latin})[0] == 401
    finally:
        endpoint.close()


# Slow and large


def slow(port: int, stop: threading.Event, begin: bytes) -> list[socket.socket]:
    """Clients that send a request byte by byte."""
    clients = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(64)]
    for client in clients:
        client.sendall(begin)

    def drip() -> None:
        while not stop.wait(0.5):
            for client in clients:
                with contextlib.suppress(OSError):
                    client.sendall(b"x")

    threading.Thread(target=drip, daemon=True).start()
    return clients


def median(endpoint: Endpoint, first: int, seconds: float) -> float:
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times) < 8:
        began = time.monotonic()
        status, answer, _ = endpoint.ask("POST", "/samples", sample(first + len(times)))
        assert (status, answer["status"]) == (200, "accepted")
        times.append(time.monotonic() - began)
    return statistics.median(times)


HEAD = b"POST /samples HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize("begin", [b"", HEAD, HEAD + b"Content-Length: 9999\r\n\r\n"])
def test_slow_clients_do_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: bytes
) -> None:
    """As many as there may be connections: the slowest of them goes for each new one."""
    monkeypatch.setattr(connections, "MOST", 64)
    endpoint = Endpoint(tmp_path / "run")
    stop = threading.Event()
    clients = slow(endpoint.port, stop, begin)
    try:
        assert median(endpoint, 0, 0) < 5
    finally:
        stop.set()
        for client in clients:
            client.close()
        endpoint.close()


@pytest.mark.slow
def test_answers_beside_slow_clients_take_no_longer(tmp_path: Path) -> None:
    endpoint = Endpoint(tmp_path / "run")
    stop = threading.Event()
    try:
        alone = median(endpoint, 0, 20)
        clients = slow(endpoint.port, stop, HEAD)
        beside = median(endpoint, 100_000, 60)
        print(f"median {1000 * alone:.2f} ms alone, {1000 * beside:.2f} ms beside slow clients")
        assert beside < 2 * alone
        stop.set()
        for client in clients:
            client.close()
    finally:
        endpoint.close()


def test_few_file_handles_are_no_end(tmp_path: Path) -> None:
    """More clients than the process has handles for: the stream goes on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endpoint = Endpoint(tmp_path / "run")
    used = len(os.listdir("/proc/self/fd"))
    clients: list[socket.socket] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 40, hard))
        for _ in range(100):
            try:
                clients.append(socket.create_connection(("127.0.0.1", endpoint.port), timeout=2))
            except OSError:
                break
        time.sleep(0.3)
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert endpoint.ask("POST", "/samples", sample(1))[1]["status"] == "accepted"
        assert endpoint.thread.is_alive()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        endpoint.close()


def test_the_sum_of_all_bodies_is_bounded() -> None:
    budget = BodyBudget(100)
    assert budget.take(60)
    assert not budget.take(41)
    assert budget.take(40)
    budget.give_back(60)
    assert budget.take(60)


def test_bodies_beyond_the_budget_are_told_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetransfer.web.server.BODIES", 0)
    endpoint = Endpoint(tmp_path / "run")  # room for two of the largest bodies
    size = 15_000
    begin = HEAD + f"Content-Type: image/png\r\nContent-Length: {size}\r\n\r\n".encode()
    try:
        clients = [socket.create_connection(("127.0.0.1", endpoint.port)) for _ in range(4)]
        for client in clients:
            client.sendall(begin + bytes(size - 1))
        until(lambda: len(select.select(clients, [], [], 0)[0]) == 2)
        answered = select.select(clients, [], [], 0)[0]
        for client in clients:
            if client not in answered:  # the server reads on, until they have said all
                client.sendall(b"x")
        answers = []
        for client in clients:
            client.settimeout(60)
            answers.append(client.recv(12))
            client.close()
        assert answers.count(b"HTTP/1.1 422") == 2  # zeros are not an image
        assert answers.count(b"HTTP/1.1 429") == 2
        assert endpoint.ask("POST", "/samples", sample(1))[0] == 200  # all was given back
    finally:
        endpoint.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("kind", BODIES)
def test_many_large_bodies_stay_within_a_gibibyte(tmp_path: Path, kind: str) -> None:
    """The clients' own copies are counted, too: they are in the same process."""
    size = 16_000_000
    command = [sys.executable, "-m", "tests.stream.endpoint_peak", str(tmp_path), kind]
    done = subprocess.run(
        [*command, "60", str(size)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    found = json.loads(done.stdout)
    assert found["peak"] < 2**30, found
    assert sum(found["statuses"].values()) == 60
    assert set(found["statuses"]) <= {"400", "422", "429"}
