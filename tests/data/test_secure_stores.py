"""Addresses over TLS and behind passwords: whose certificate it is, and what is never shown."""

from __future__ import annotations

import base64
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgetransfer.data.stores.reaching import reason, shown
from tests.data.stores_made import folder, parquet, zipped

__all__ = ["folder"]

LOGIN = base64.b64encode(b"me:s3cret").decode()


class _Guarded(SimpleHTTPRequestHandler):
    """Files for who knows the password, or a token in the query."""

    def log_message(self, *_given: object) -> None:
        pass

    def do_GET(self) -> None:
        if self._may():
            super().do_GET()

    def do_HEAD(self) -> None:
        if self._may():
            super().do_HEAD()

    def _may(self) -> bool:
        if self.headers["Authorization"] == f"Basic {LOGIN}" or "token=s3cret" in self.path:
            return True
        self.send_response(401)
        self.send_header("WWW-Authenticate", "Basic")
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False


class _Plain(_Guarded):
    def _may(self) -> bool:
        return True


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority of our own, and a server's certificate that it signed."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    made = tmp_path_factory.mktemp("authority")
    (made / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    new = ["-newkey", "rsa:2048", "-nodes", "-days", "2"]
    for words in (
        ["req", "-x509", *new, "-subj", "/CN=ours", "-keyout", "ca.key", "-out", "ca.pem"],
        ["req", *new, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr"],
        ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
         "-CAcreateserial", "-extfile", "names", "-out", "server.pem"],
    ):  # fmt: skip
        subprocess.run([program, *words], cwd=made, check=True, capture_output=True)
    return made


Serve = Callable[..., str]


@pytest.fixture
def serve(authority: Path) -> Iterator[Serve]:
    servers = []

    def served(where: Path, handler: type[_Guarded] = _Plain) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(where)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority / "server.pem", authority / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_given: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_port}"

    yield served
    for server in servers:
        server.shutdown()
        server.server_close()


# In a process of its own: what is trusted is read once, when TLS is loaded.
LISTED = """
import sys
from pathlib import Path
from edgetransfer.data import load_data
from edgetransfer.errors import EdgeTransferError
from edgetransfer.images import SUFFIXES
try:
    found = load_data(Path(sys.argv[1]), suffixes=SUFFIXES)
except EdgeTransferError as error:
    sys.exit(f"{type(error).__name__}: {error}")
print(sum(len(s.read()) for part in (found.train, found.val, found.test) for s in part))
"""


def listed(address: str, authority: Path | None) -> subprocess.CompletedProcess[str]:
    trusted = {} if authority is None else {"SSL_CERT_FILE": str(authority / "ca.pem")}
    return subprocess.run(
        [sys.executable, "-c", LISTED, address],
        env={**os.environ, **trusted},
        capture_output=True,
        text=True,
        timeout=300,
    )


def bytes_in(photos: Path) -> int:
    return sum(path.stat().st_size for path in photos.rglob("*") if path.suffix == ".png")


@pytest.fixture(autouse=True)
def _libraries(request: pytest.FixtureRequest) -> None:
    if "serve" in request.fixturenames:
        pytest.importorskip("fsspec")
        pytest.importorskip("aiohttp")


@pytest.mark.slow
@pytest.mark.parametrize("make", [lambda photos, _out: photos, zipped, parquet])
def test_over_https_with_an_authority_of_ones_own(
    make: Callable[[Path, Path], Path],
    folder: Path,
    tmp_path: Path,
    authority: Path,
    serve: Serve,
) -> None:
    made = make(folder, tmp_path)
    done = listed(f"https://{serve(made.parent)}/{made.name}", authority)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == bytes_in(folder)


@pytest.mark.slow
@pytest.mark.parametrize("make", [lambda photos, _out: photos, zipped])
def test_a_certificate_of_somebody_unknown(
    make: Callable[[Path, Path], Path],
    folder: Path,
    tmp_path: Path,
    serve: Serve,
) -> None:
    made = make(folder, tmp_path)
    address = f"https://{serve(made.parent)}/{made.name}"
    done = listed(address, None)
    assert done.returncode == 1
    assert f"DataError: {address}: " in done.stderr
    assert "SSL_CERT_FILE" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_https_without_credentials_and_with_them(
    folder: Path,
    tmp_path: Path,
    authority: Path,
    serve: Serve,
) -> None:
    made = zipped(folder, tmp_path)
    place = serve(made.parent, _Guarded)
    without = listed(f"https://{place}/{made.name}", authority)
    assert without.returncode == 1
    assert f"DataError: https://{place}/{made.name}: " in without.stderr
    assert "401" in without.stderr
    assert "credentials" in without.stderr
    wrong = listed(f"https://me:wr0ng@{place}/{made.name}?token=wr0ng", authority)
    assert wrong.returncode == 1
    assert "wr0ng" not in wrong.stderr
    given = listed(f"https://me:s3cret@{place}/{made.name}", authority)
    assert (given.returncode, given.stdout.strip()) == (0, str(bytes_in(folder))), given.stderr


@pytest.mark.slow
def test_s3_by_an_authority_of_ones_own(tmp_path: Path, authority: Path, serve: Serve) -> None:
    """Whoever signed the certificate of a store of one's own is named by AWS_CA_BUNDLE."""
    pytest.importorskip("s3fs")
    keys = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "s3cret"}
    endpoint = {"AWS_ENDPOINT_URL": f"https://{serve(tmp_path)}", "AWS_DEFAULT_REGION": "us-east-1"}
    said = []
    for trusted in ({}, {"AWS_CA_BUNDLE": str(authority / "ca.pem")}):
        done = subprocess.run(
            [sys.executable, "-c", LISTED, "s3://bucket/photos"],
            env={**os.environ, **keys, **endpoint, **trusted},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 1  # there is no bucket
        assert "s3cret" not in done.stderr
        said.append(done.stderr)
    assert "CERTIFICATE_VERIFY_FAILED" in said[0]
    assert "AWS_CA_BUNDLE" in said[0]
    assert "CERTIFICATE" not in said[1]


@pytest.mark.slow
def test_gs_without_credentials(tmp_path: Path) -> None:
    pytest.importorskip("gcsfs")
    done = subprocess.run(
        [sys.executable, "-c", LISTED, "gs://private/photos"],
        env={
            **{name: text for name, text in os.environ.items() if not name.startswith("GOOGLE")},
            "HOME": str(tmp_path),
            "NO_GCE_CHECK": "true",
            "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9",
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        },
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 1
    assert "DataError: gs://private/photos: " in done.stderr
    assert "credentials" in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "401, message='Unauthorized', url='https://host/a.zip?X-Amz-Signature=s3cret&b=c'",
        "Cannot connect to host https://me:s3cret@host:443/a.zip ssl:default",
        'GET "s3://me:s3cret@bucket/a?token=s3cret" failed',
    ],
)
def test_what_is_secret_in_an_address_is_not_shown(text: str) -> None:
    said = reason(OSError(text))
    assert "s3cret" not in said
    assert "host" in said or "bucket" in said
    assert shown("https://me:s3cret@host/a.zip?token=s3cret") == "https://host/a.zip"
