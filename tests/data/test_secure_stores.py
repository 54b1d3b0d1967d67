"""Addresses over TLS and behind passwords: whose certificate it is, and what is never shown."""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgetransfer.data.stores.reaching import reason, shown
from tests.certificates import make_authority, server_context
from tests.data.apart import LISTED, apart
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
    return make_authority(tmp_path_factory.mktemp("authority"))


Serve = Callable[..., str]


@pytest.fixture
def serve(authority: Path) -> Iterator[Serve]:
    servers = []

    def served(where: Path, handler: type[_Guarded] = _Plain) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(where)))
        context = server_context(authority)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_given: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_port}"

    yield served
    for server in servers:
        server.shutdown()
        server.server_close()


def listed(address: str, authority: Path | None) -> subprocess.CompletedProcess[str]:
    # What is trusted is read once, when TLS is loaded.
    trusted = {} if authority is None else {"SSL_CERT_FILE": str(authority / "ca.pem")}
    return apart(LISTED, address, environment=trusted)


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
    monkeypatch: pytest.MonkeyPatch,
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
    monkeypatch.setenv("STORE_PASSWORD", "s3cret")
    for address in (
        f"https://me:s3cret@{place}/{made.name}",
        f"https://me:${{STORE_PASSWORD}}@{place}/{made.name}",
        f"https://{place}/{made.name}?token=s3cret",
        f"https://{place}/{made.name}?token=${{STORE_PASSWORD}}",
    ):
        given = listed(address, authority)
        assert (given.returncode, given.stdout.strip()) == (0, str(bytes_in(folder))), given.stderr
    unset = listed(f"https://me:${{NO_SUCH_PW}}@{place}/{made.name}", authority)
    assert "UsageError: " in unset.stderr
    assert "${NO_SUCH_PW} is not set" in unset.stderr
    masked = listed(f"https://me:***@{place}/{made.name}", authority)
    assert "its password was not written down" in masked.stderr


@pytest.mark.slow
def test_s3_by_an_authority_of_ones_own(tmp_path: Path, authority: Path, serve: Serve) -> None:
    """Whoever signed the certificate of a store of one's own is named by AWS_CA_BUNDLE."""
    pytest.importorskip("s3fs")
    keys = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "s3cret"}
    endpoint = {"AWS_ENDPOINT_URL": f"https://{serve(tmp_path)}", "AWS_DEFAULT_REGION": "us-east-1"}
    said = []
    for trusted in ({}, {"AWS_CA_BUNDLE": str(authority / "ca.pem")}):
        done = apart(LISTED, "s3://bucket/photos", environment={**keys, **endpoint, **trusted})
        assert done.returncode == 1  # there is no bucket
        assert "s3cret" not in done.stderr
        said.append(done.stderr)
    assert "CERTIFICATE_VERIFY_FAILED" in said[0]
    assert "AWS_CA_BUNDLE" in said[0]
    assert "CERTIFICATE" not in said[1]


# What the stores' own libraries say and log to who has no credentials, from each library's sources.
REFUSED = """
import logging, sys
import fsspec

class Store(fsspec.AbstractFileSystem):
    cachable = False
    def _refuse(self, *given, **named):
        try:
            raise self.error
        except Exception as error:
            logging.getLogger(self.log).exception("non-retriable exception: %s", error)
            raise
    ls = find = info = open = cat_file = _refuse

class NoCredentialsError(Exception): pass
class HttpError(Exception): pass

for protocol, log, error in (
    ("s3", "s3fs", NoCredentialsError("Unable to locate credentials")),
    ("s3a", "aiobotocore.credentials", PermissionError("Access Denied")),
    ("gs", "gcsfs", HttpError("Anonymous caller does not have storage.objects.list access, 401")),
    ("gcs", "gcsfs.retry", OSError("Forbidden: b/private/o")),
    ("https", "fsspec.http", OSError("401, message='Unauthorized', url='https://m:s3cret@h/a'")),
):
    made = type(protocol, (Store,), {"protocol": protocol, "log": log, "error": error})
    fsspec.register_implementation(protocol, made, clobber=True)
from pathlib import Path
from edgetransfer.data import load_data
from edgetransfer.errors import DataError
from edgetransfer.images import SUFFIXES
for address in sys.argv[1:]:
    try:
        load_data(Path(address), suffixes=SUFFIXES)
    except DataError as error:
        print(error)
"""
MENDS = {
    "s3": "AWS_ACCESS_KEY_ID",
    "s3a": "AWS_PROFILE",
    "gs": "gcloud auth application-default login",
    "gcs": "GOOGLE_APPLICATION_CREDENTIALS",
    "https": "${PASSWORD}",
}


def test_who_has_no_credentials_is_told_where_they_are_looked_for() -> None:
    """Of folders, archives and tables; and no log of a store's library is an answer."""
    pytest.importorskip("fsspec")
    pytest.importorskip("pyarrow")
    cases = [
        (f"{scheme}://private/{name}", mend)
        for scheme, mend in MENDS.items()
        for name in ("photos", "photos.zip", "photos.parquet")
    ]
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, *(address for address, _ in cases)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(cases)
    for line, (address, mend) in zip(lines, cases, strict=True):
        assert line.startswith(f"{address}: cannot be read: ")
        assert "the credentials (" in line
        assert mend in line
    assert done.stderr == ""
    assert "s3cret" not in done.stdout


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
