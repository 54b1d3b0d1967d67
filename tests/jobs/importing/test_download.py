"""Downloads from a server in this process: checked, atomic, gone on with."""

from __future__ import annotations

import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from edgetransfer.backbones.records import PublishedFile
from edgetransfer.errors import DataError, UsageError
from edgetransfer.jobs.importing import download, published

CONTENT = bytes(range(256)) * 9000
DIGITS = hashlib.sha256(CONTENT).hexdigest()[:8]
FILE = f"net-{DIGITS}.pth"
NET = PublishedFile(file=FILE)


class Publisher(BaseHTTPRequestHandler):
    content = CONTENT
    ranges = True
    cut = 0  # bytes after which the connection breaks, 0 for never
    seen = ()

    def do_GET(self):
        wanted = self.headers.get("Range")
        type(self).seen.append(wanted)
        if not self.path.endswith(FILE):
            self.send_error(404)
            return
        start = 0
        if wanted and self.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(self.content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        self.wfile.write(self.content[start : self.cut or None])

    def log_message(self, *_):
        pass


@pytest.fixture
def publisher():
    handler = type("Handler", (Publisher,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}/models/"
    server.shutdown()
    server.server_close()


def test_a_download_is_checked_and_kept(publisher, tmp_path):
    handler, base = publisher
    told = []
    path = download(NET, tmp_path / "d", base=base, progress=lambda *step: told.append(step))
    assert path.read_bytes() == CONTENT
    assert told[-1] == ("downloading, MB", 2, 2)
    assert download(NET, tmp_path / "d", base=base) == path
    assert len(handler.seen) == 1  # the second time nothing was fetched
    assert [p.name for p in path.parent.iterdir()] == [FILE]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on(publisher, tmp_path, ranges):
    handler, base = publisher
    handler.cut, handler.ranges = 1 << 20, ranges
    with pytest.raises(DataError, match="run the command again"):
        download(NET, tmp_path, base=base)
    assert not (tmp_path / FILE).exists()
    handler.cut = 0
    assert download(NET, tmp_path, base=base).read_bytes() == CONTENT
    assert handler.seen == [None, f"bytes={1 << 20}-"]


def test_what_is_not_what_its_name_says_is_deleted(publisher, tmp_path):
    handler, base = publisher
    handler.content = CONTENT[:-1] + b"!"
    with pytest.raises(DataError, match="does not have the checksum"):
        download(NET, tmp_path, base=base)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_changed_on_disk_is_fetched_anew(publisher, tmp_path):
    _, base = publisher
    (tmp_path / FILE).write_bytes(b"something else")
    assert download(NET, tmp_path, base=base).read_bytes() == CONTENT


def test_a_complete_part_is_taken(publisher, tmp_path):
    _, base = publisher
    (tmp_path / f".{FILE}.part").write_bytes(CONTENT)
    assert download(NET, tmp_path, base=base).read_bytes() == CONTENT


def test_no_network_and_no_such_file_are_told(publisher, tmp_path):
    _, base = publisher
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}/"
    with pytest.raises(DataError, match=r"cannot be fetched.*refused"):
        download(NET, tmp_path, base=dead)
    with pytest.raises(DataError, match="404"):
        download(PublishedFile(file="other-00000000.pth"), tmp_path, base=base)
    with pytest.raises(UsageError, match=r"known are: .*resnet18"):
        published("vgg16")


def test_published_names_are_found_however_they_are_written():
    for name in ("mobilenet_v2-v2", "MobileNet-V2-V2"):
        record, source = published(name)
        assert (record.architecture, source.file) == ("mobilenet_v2", "mobilenet_v2-7ebf99e0.pth")
