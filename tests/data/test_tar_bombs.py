"""Shards that would take gigabytes or minutes: read or named within 1 GiB and seconds."""

from __future__ import annotations

import bz2
import gc
import gzip
import json
import lzma
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from threading import Event
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from edgetransfer.data.streams import Arrival, TarSource
from edgetransfer.images import SUFFIXES
from tests.data.test_tar_members import GIB, header, pax, record

END = bytes(1024)


def member(name: str, content: bytes = b"x", kind: bytes = b"0") -> bytes:
    return header(name, len(content), kind) + content.ljust(-(-len(content) // 512) * 512, b"\0")


def zeros(size: int, pack: Callable[[bytes], bytes], *, times: int) -> bytes:
    """A file of zeros, packed part by part: a packed file may be made of several."""
    return pack(header("big.jpg", size * times)) + pack(bytes(size)) * times


def zipped() -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", bytes(64 * 2**20))
    return buffer.getvalue()


def sparse(pieces: int) -> bytes:
    """A sparse file whose map has so many pieces, of no byte each."""
    text = f"{pieces}\n" + "1\n0\n" * pieces
    content = text.encode().ljust(-(-len(text) // 512) * 512, b"\0")
    records = record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0")
    records += record("GNU.sparse.name", "a.jpg") + record("GNU.sparse.realsize", str(12 * GIB))
    return pax(records) + header("x", len(content)) + content


MANY = 200_000
BOMBS: dict[str, Callable[[], bytes]] = {
    "photos that wait for a label": lambda: b"".join(member(f"{i}.jpg") for i in range(MANY)),
    "labels without a photo": lambda: b"".join(member(f"{i}.cls") for i in range(MANY)),
    "one name": lambda: member("a.jpg") * MANY,
    "one family": lambda: b"".join(member(f"a.{i}.jpg") for i in range(MANY // 4)),
    "other files": lambda: b"".join(member(f"{i}.json") for i in range(MANY)),
    "folders": lambda: b"".join(member(f"{i}/", b"", b"5") for i in range(MANY // 4)),
    "links": lambda: b"".join(member(f"{i}.jpg", b"", b"2") for i in range(MANY // 4)),
    "extended headers": lambda: pax(record("path", "a.jpg")) * 20_000 + member("a.jpg"),
    "global headers": lambda: (
        member("g", record("comment", "x" * 400), b"g") * 20_000 + member("a.jpg")
    ),
    "records of one header": lambda: (
        pax(b"".join(record(f"k{i}", "v") for i in range(60_000))) + member("a.jpg")
    ),
    "long names": lambda: (member("././@LongLink", b"n" * 2**19, b"L") + member("a.jpg")) * 100,
    "a name within a name": lambda: member("././@LongLink", b"n", b"L") * 20_000,
    "a sparse map of many pieces": lambda: sparse(100_000),
    "gzip of zeros": lambda: zeros(2**26, gzip.compress, times=100),
    "bzip2 of zeros": lambda: zeros(2**26, bz2.compress, times=100),
    "xz of zeros": lambda: zeros(2**26, lzma.compress, times=100),
    "gzip of gzip": lambda: gzip.compress(gzip.compress(bytes(2**28))),
    "zstd": lambda: b"\x28\xb5\x2f\xfd" + bytes(2**16),
    "a zip as a tar": zipped,
    "a zip in a tar": lambda: member("a.zip", zipped()) + member("a.jpg", zipped()),
    "a tar in a tar": lambda: member("a.tar", member("a.jpg") * 1000) * 100,
    "a photo of gigabytes": lambda: header("a.jpg", 12 * GIB),
    "a label of gigabytes": lambda: header("a.cls", 12 * GIB),
}


class Nothing:
    """No sample is known yet."""

    def known(self, sample_id: str) -> bool:
        del sample_id
        return False

    def open_for_label(self, sample_id: str) -> bool:
        del sample_id
        return False


def read(path: Path) -> Iterator[Arrival]:
    source = TarSource(str(path), suffixes=frozenset(SUFFIXES))
    return source.arrivals(Event(), Nothing())


def main() -> None:
    """Read each shard of a folder; a line of JSON for each: what came, seconds of processor."""
    for path in sorted(Path(sys.argv[1]).iterdir(), key=lambda p: int(p.stem)):
        begun = time.process_time()
        samples = problems = 0
        for arrival in read(path):
            samples += arrival.problem is None
            problems += arrival.problem is not None
        # Not getrusage's peak: a child begins with that of the process it was forked from.
        status = Path("/proc/self/status").read_text()
        print(
            json.dumps(
                {
                    "samples": samples,
                    "problems": problems,
                    "seconds": time.process_time() - begun,
                    "peak": 1024 * int(status.partition("VmHWM:")[2].split()[0]),
                }
            ),
            flush=True,
        )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is counted in other units")
def test_bombs_stay_within_memory_and_time(tmp_path: Path) -> None:
    for number, make in enumerate(BOMBS.values()):
        (tmp_path / f"{number}.tar").write_bytes(make() + END)
    done = subprocess.run(
        [sys.executable, "-m", "tests.data.test_tar_bombs", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, [*BOMBS][len(lines)] + done.stderr[-2000:]
    for name, line in zip(BOMBS, lines, strict=True):
        print(f"{name:32} {line}")
        assert line["seconds"] < 5, name
        assert line["peak"] < 2**30, name
    found = dict(zip(BOMBS, lines, strict=True))
    assert found["photos that wait for a label"]["samples"] == MANY
    assert found["labels without a photo"]["problems"] == MANY
    for name in ("zstd", "a zip as a tar", "a photo of gigabytes", "a label of gigabytes"):
        assert found[name]["problems"] >= 1, name
        assert found[name]["samples"] == 0, name


@pytest.mark.parametrize("name", ["extended headers", "a name within a name"])
def test_headers_before_headers_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.tar").write_bytes(BOMBS[name]() + END)
    (arrival,) = read(tmp_path / "a.tar")
    assert "too many headers before one file" in (arrival.problem or "")


def test_many_that_have_not_met_are_told_in_time(tmp_path: Path) -> None:
    """Each is looked at once: as many again take twice as long, not four times."""

    def seconds(many: int) -> float:
        path = tmp_path / f"{many}.tar"
        path.write_bytes(b"".join(member(f"{i}.jpg") for i in range(many)) + END)
        gc.collect()
        gc.disable()  # it looks at all that other tests have left, as often as there are objects
        begun = time.process_time()
        try:
            assert sum(1 for _ in read(path)) == many
        finally:
            gc.enable()
        return time.process_time() - begun

    seconds(100)
    assert seconds(16_000) < 8 * max(seconds(4_000), 0.02)


if __name__ == "__main__":
    main()
