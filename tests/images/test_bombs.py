"""Files of a few kilobytes that would take gigabytes or minutes are refused before they do."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgetransfer.errors import ImageError
from edgetransfer.images import decode_image, heif, limits, open_upright
from edgetransfer.images.decoding import AVIF
from tests.images_made import encode, noise_pixels, smooth_pixels
from tests.png_made import SIGNATURE, chunk
from tests.tiff_made import LONG, Layout, tiff

MEGAPIXEL = 10**6


def zeros(count: int) -> bytes:
    """So many zero bytes, compressed."""
    packer = zlib.compressobj(9)
    part = packer.compress(bytes(1 << 20))
    parts = [part, *(packer.compress(bytes(1 << 20)) for _ in range(count >> 20))]
    return b"".join([*parts, packer.flush()])


def png_bomb(
    side: int, colour: int, bits: int, *, interlaced: bool = False, full: bool = False
) -> bytes:
    """A black PNG; the lines themselves are in it if it is ``full``."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    lines = side * (2 + side * channels * bits // 8) if full else 100
    header = struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, int(interlaced))
    palette = chunk(b"PLTE", bytes(range(6))) if colour == 3 else b""
    return (
        SIGNATURE
        + chunk(b"IHDR", header)
        + palette
        + chunk(b"IDAT", zeros(lines))
        + chunk(b"IEND", b"")
    )


def tiled_bomb(side: int, tile: int) -> bytes:
    """A TIFF of 16-bit RGBA that claims to be so large, in one deflated tile."""
    sizes = dict(zip((256, 257, 322, 323), (side, side, tile, tile), strict=True))
    more = {tag: (LONG, [size]) for tag, size in sizes.items()}
    layout = Layout(photometric=2, bits=16, compression="deflate", tile=16, extra=(2,), more=more)
    return tiff(np.zeros((16, 16, 4), np.int64), layout)


def tiff_bomb(side: int, samples: int, bits: int) -> bytes:
    """A TIFF that claims to be so large, in one deflated strip."""
    photometric = 2 if samples > 1 else 1
    layout = Layout(photometric=photometric, bits=bits, compression="deflate", order="<")
    data = bytearray(tiff(np.zeros((1, 1, samples), np.int64), layout))
    for tag in (256, 257, 278):
        entry = data.rindex(struct.pack("<HHI", tag, 4, 1))
        data[entry + 8 : entry + 12] = struct.pack("<I", side)
    return bytes(data)


def progressive_bomb() -> bytes:
    """A JPEG of 64 megapixels with a thousand scans that say nothing."""
    data = encode(Image.new("L", (64, 64)), "JPEG", progressive=True)
    frame = data.index(b"\xff\xc2")
    data = data[: frame + 5] + struct.pack(">HH", 8000, 8000) + data[frame + 9 :]
    scan = data.rindex(b"\xff\xda")
    return data[:scan] + (data[scan:].removesuffix(b"\xff\xd9")) * 1000 + b"\xff\xd9"


# Each was taken by older versions with 0.5 to 3 GiB, or for minutes.
BOMBS: dict[str, Callable[[], bytes]] = {
    "RGBA png": lambda: png_bomb(13_000, 6, 8),
    "16-bit RGBA png": lambda: png_bomb(9_000, 6, 16),
    "LA png": lambda: png_bomb(13_000, 4, 8),
    "16-bit grey png": lambda: png_bomb(13_000, 0, 16),
    "1-bit png": lambda: png_bomb(13_000, 0, 1),
    "palette png": lambda: png_bomb(13_000, 3, 1, interlaced=True),
    "RGB png": lambda: png_bomb(13_300, 2, 8),
    "png beyond Pillow's own bound": lambda: png_bomb(60_000, 0, 1),
    "float tiff": lambda: tiff_bomb(13_000, 1, 32),
    "16-bit RGB tiff": lambda: tiff_bomb(13_000, 3, 16),
    "progressive jpeg": progressive_bomb,
    "text in a png": lambda: png_bomb(8, 2, 8, full=True)[:33]
    + 40 * chunk(b"zTXt", b"k\0\0" + zeros(1 << 25))
    + png_bomb(8, 2, 8, full=True)[33:],
    "webp": lambda: webp_header(16_000, 16_000),
    "gif": lambda: b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0x80, 0, 0) + bytes(6)
    + b"," + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\x02\x02\x44\x01\0;",
    "gif with a frame beyond its canvas": lambda: b"GIF89a"
    + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + bytes(6)
    + b"," + struct.pack("<HHHHB", 9, 9, 60_000, 60_000, 0) + b"\x02\x02\x44\x01\0;",
    "tiff of one huge tile": lambda: tiled_bomb(13_000, 13_008),
    "small tiff in a huge tile": lambda: tiled_bomb(8, 11_008),
    "small tiff in a tile beyond any library": lambda: tiled_bomb(8, 2**31),
    **({"avif": lambda: picture_bomb("AVIF", 12_000)} if AVIF else {}),
    **({"heic": lambda: picture_bomb("HEIF", 12_000),
        "heic with larger frames": lambda: picture_bomb("HEIF", 8)} if heif.can_decode() else {}),
}  # fmt: skip


def picture_bomb(kind: str, side: int) -> bytes:
    """A picture of 512 pixels a side whose file claims another size."""
    size, claimed = (b"ispe\0\0\0\0" + struct.pack(">II", n, n) for n in (512, side))
    data = encode(Image.new("RGB", (512, 512)), kind)
    assert size in data
    return data.replace(size, claimed)


def webp_header(width: int, height: int) -> bytes:
    """A lossless WebP that claims a size."""
    bits = (width - 1) | (height - 1) << 14
    content = b"\x2f" + struct.pack("<I", bits) + bytes(64)
    part = b"VP8L" + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(part)) + b"WEBP" + part


CHILD = """
import json, sys, time
from pathlib import Path
from edgetransfer.errors import ImageError
from edgetransfer.images import open_upright
told = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    start = time.process_time()
    try:
        what = str(open_upright(path.read_bytes()).size)
    except ImageError as error:
        what = str(error)
    # Not getrusage's peak: a child begins with that of the process it was forked from.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    told[path.name] = [what, time.process_time() - start, peak]
print(json.dumps(told))
"""


LIMITED = "import resource\ntold = {}\nresource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))"


def in_a_child(folder: Path) -> dict[str, tuple[str, float, int]]:
    """What became of each file of a folder, seconds of processor time, and the peak so far."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder)], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    return {name: tuple(told) for name, told in json.loads(child.stdout).items()}  # type: ignore[misc]


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is counted in other units")
def test_bombs_stay_within_memory_and_time(tmp_path: Path) -> None:
    for name, bomb in BOMBS.items():
        (tmp_path / name).write_bytes(bomb())
    for name, (what, seconds, peak) in in_a_child(tmp_path).items():
        print(f"{name:36} {seconds:6.2f} s {peak >> 20:5} MiB  {what}")
        assert seconds < 5, (name, what)
        assert peak < 2**30, (name, what)
        if name == "text in a png":
            assert what == "(8, 8)"
        else:
            words = ("of memory", "megapixels", "scans", "limit exceeded")
            assert any(word in what for word in words), (name, what)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is counted in other units")
@pytest.mark.parametrize(("colour", "bits"), [(0, 1), (0, 8), (0, 16), (2, 8), (4, 8), (6, 8)])
def test_the_largest_that_are_taken_fit_as_well(colour: int, bits: int, tmp_path: Path) -> None:
    with Image.open(io.BytesIO(png_bomb(8, colour, bits))) as image:
        a_pixel = limits.bytes_needed(image) / 64
    side = int((limits.PHOTO_BYTES / a_pixel) ** 0.5)
    side = min(side, 9400) // 8 * 8
    (tmp_path / "a.png").write_bytes(png_bomb(side, colour, bits, full=True))
    ((what, seconds, peak),) = in_a_child(tmp_path).values()
    assert what.startswith("("), what
    assert seconds < 5
    assert peak < 2**30


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_the_limit_holds_by_mode_and_size(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(smooth_pixels(100, 80), kind)
    with Image.open(io.BytesIO(data)) as image:
        needed = limits.bytes_needed(image, stored=3 if kind == "TIFF" else 0)
    monkeypatch.setattr(limits, "PHOTO_BYTES", needed)
    assert decode_image(data).shape == (80, 100, 3)
    monkeypatch.setattr(limits, "PHOTO_BYTES", needed - 1)
    with pytest.raises(ImageError, match=r"100 x 80 pixels.*scale it down"):
        decode_image(data)


def test_a_jpeg_that_does_not_fit_is_decoded_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(smooth_pixels(640, 480), "JPEG", quality=95)
    for scale in (2, 4, 8):
        monkeypatch.setattr(limits, "PHOTO_BYTES", 640 * 480 * 8 // scale**2)
        asked: list[tuple[int, int]] = []
        small = open_upright(data, lambda w, h, asked=asked: asked.append((w, h)) or 1.0)  # type: ignore[misc]
        assert small.size == (640 // scale, 480 // scale)
        assert asked == [(640, 480)]
    monkeypatch.setattr(limits, "PHOTO_BYTES", 640 * 480 * 8 // 65)
    with pytest.raises(ImageError, match="scale it down"):
        open_upright(data)


def test_large_photos_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LARGE_BYTES", 64 * 64 * 8 - 1)
    done = threading.Event()

    def decode() -> None:
        decode_image(encode(noise_pixels(64, 64)))
        done.set()

    with limits.large:
        decode_image(encode(noise_pixels(32, 32)))  # a small one does not wait
        waiting = threading.Thread(target=decode)
        waiting.start()
        assert not done.wait(0.2)
    assert done.wait(60)
    waiting.join(60)


def test_a_child_that_may_take_a_gibibyte_decodes_and_refuses(tmp_path: Path) -> None:
    script = CHILD.replace("told = {}", LIMITED)
    (tmp_path / "a").write_bytes(BOMBS["RGBA png"]())
    (tmp_path / "b").write_bytes(encode(smooth_pixels(2000, 1500), "JPEG"))
    child = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    told = json.loads(child.stdout)
    assert "GiB of memory" in told["a"][0]
    assert told["b"][0] == "(2000, 1500)"
