"""Amazon's and Google's stores: what is there, who may not look, and nobody who answers."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest

from edgetransfer.data import load_data
from edgetransfer.errors import DataError
from edgetransfer.images import SUFFIXES
from tests.data.apart import LISTED, apart
from tests.data.stores_made import folder, zipped

__all__ = ["folder"]

PUT_TO_S3 = """
import sys, s3fs
store = s3fs.S3FileSystem()
store.mkdir("bucket")
store.put(sys.argv[1], "bucket/photos", recursive=True)
store.put(sys.argv[2], "bucket/photos.zip")
"""
PUT_TO_GS = """
import sys, gcsfs
store = gcsfs.GCSFileSystem(token="anon")
store.put(sys.argv[1], "bucket/photos", recursive=True)
store.put(sys.argv[2], "bucket/photos.zip")
"""
SEEN = """
import sys
from pathlib import Path
from tests.data.test_stores import seen
here, *there = (seen(Path(name)) for name in sys.argv[1:])
assert here and all(one == here for one in there)
"""


@pytest.fixture
def amazon() -> Iterator[Mapping[str, str]]:
    """A server of S3, and the environment that leads to it."""
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server.stop()


@pytest.fixture
def google() -> Iterator[Mapping[str, str]]:
    """An emulator of Google's storage, and the environment that leads to it."""
    pytest.importorskip("gcsfs")
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
    server.start()
    yield {
        "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{server._api._httpd.server_port}",
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # gRPC: it has none
    }
    server.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cloud", "scheme", "put"), [("amazon", "s3", PUT_TO_S3), ("google", "gs", PUT_TO_GS)]
)
def test_the_same_photos_in_a_bucket(
    cloud: str,
    scheme: str,
    put: str,
    folder: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    leading = request.getfixturevalue(cloud)
    done = apart(put, folder, zipped(folder, tmp_path), environment=leading)
    assert done.returncode == 0, done.stderr
    bucket = f"{scheme}://bucket/photos"
    done = apart(SEEN, folder, bucket, f"{bucket}.zip", environment=leading)
    assert done.returncode == 0, done.stderr
    for gone in (f"{scheme}://no-such/photos", f"{scheme}://bucket/no-such"):
        done = apart(LISTED, gone, environment=leading)
        assert done.returncode == 1
        assert done.stderr.startswith(f"DataError: {gone}"), done.stderr


class _Google(SimpleHTTPRequestHandler):
    """What Google's storage answers to who shows no token."""

    def log_message(self, *_given: object) -> None:
        pass

    def do_GET(self) -> None:
        said = "Anonymous caller does not have storage.objects.list access to the bucket."
        content = json.dumps({"error": {"code": 401, "message": said}}).encode()
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


WITHOUT = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_GCE_CHECK": "true",
    "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
}


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An account without credentials for any store, and without a proxy."""
    for name in os.environ:
        if name.startswith(("AWS", "GOOGLE", "GCLOUD", "CLOUDSDK")) or name.endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in WITHOUT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.slow
def test_s3_without_credentials(nobody: None) -> None:
    pytest.importorskip("s3fs")
    done = apart(LISTED, "s3://private/photos", environment={})
    assert done.returncode == 1
    assert done.stderr.startswith("DataError: s3://private/photos: cannot be read: ")
    assert "Unable to locate credentials" in done.stderr
    assert "AWS_ACCESS_KEY_ID" in done.stderr


@pytest.mark.slow
def test_gs_without_credentials(nobody: None) -> None:
    pytest.importorskip("gcsfs")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Google)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    there = {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{server.server_port}"}
    done = apart(LISTED, "gs://private/photos", environment=there)
    server.shutdown()
    server.server_close()
    assert done.returncode == 1
    assert done.stderr.startswith("DataError: gs://private/photos: cannot be read: ")
    assert "Anonymous caller" in done.stderr
    assert "GOOGLE_APPLICATION_CREDENTIALS" in done.stderr


@pytest.mark.parametrize("address", [f"gs://b/{name}" for name in ("x", "x.zip", "x.parquet")])
@pytest.mark.parametrize(
    ("name", "value", "asked"),
    [
        ("NO_SUCH_WAY", "", False),
        ("HTTPS_PROXY", "http://127.0.0.1:9", True),
        ("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9", True),
        ("FSSPEC_GS", "", True),
    ],
)
def test_who_is_offline_need_not_wait_for_google(
    nobody: None,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    name: str,
    value: str,
    asked: bool,
) -> None:
    """Its library tries for a minute. Whoever goes another way knows better, and it is asked."""
    pytest.importorskip("fsspec")

    def refuse(_address: str) -> None:
        raise OSError("asked all the same")

    def unknown(*_given: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("fsspec.core.url_to_fs", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv(name, value)
    if name == "FSSPEC_GS":
        monkeypatch.setitem(fsspec_config(), "gs", {"endpoint_url": "http://127.0.0.1:9"})
    said = "asked all the same" if asked else "Name or service not known"
    with pytest.raises(DataError, match=f"{address}: cannot be read: .*{said}; check the address"):
        load_data(Path(address), suffixes=SUFFIXES)


def fsspec_config() -> dict[str, object]:
    from fsspec.config import conf

    return cast(dict[str, object], conf)


@pytest.mark.slow
def test_offline_google_is_not_asked(nobody: None) -> None:
    """With its own library, where there is no network."""
    pytest.importorskip("gcsfs")
    with contextlib.suppress(OSError):
        socket.getaddrinfo("storage.googleapis.com", "https")
        pytest.skip("there is a network here")
    done = apart(LISTED, "gs://private/photos", environment={})
    assert done.stderr.startswith("DataError: gs://private/photos: cannot be read: ")
    assert "check the address, the network and the credentials (gcloud" in done.stderr
    assert "Cannot connect to host" not in done.stderr  # as its library says after six tries
