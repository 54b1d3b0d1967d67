"""What one decoder takes at most: the largest photo of every format and mode that is not refused.

    python -m tests.images.worst_cases [--share 1.0]

Each is noise, which no format packs (a gradient, where noise takes an encoder minutes), and is
decoded in this process, one after the other; a line of a table says its size, the peak of memory
beside the file, and processor time. ``--share`` of `limits.PHOTO_BYTES` makes all of them smaller.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image, ImageFile

from edgetransfer.images import heif, limits, open_upright
from edgetransfer.images.decoding import AVIF
from tests.images_made import encode, noise_pixels

LINES = 64  # of noise, which are repeated: farther apart than any packer looks
PILLOWS = 178_000_000  # pixels that Pillow opens at most


@dataclass(frozen=True, kw_only=True)
class Case:
    """A format with a mode.

    Parameters
    ----------
    a_pixel
        Bytes of memory a pixel, by which it is refused, where it is not decoded smaller.
    options
        Of the encoder.
    smooth
        A gradient in place of noise.
    """

    format: str
    mode: str
    a_pixel: float
    options: Mapping[str, Any]
    said: str = ""
    smooth: bool = False

    @property
    def name(self) -> str:
        """As in the table."""
        return f"{self.format} {self.mode}{self.said}"

    def file(self, budget: int) -> tuple[bytes, int]:
        """The largest file of it that may take so many bytes, and its pixels."""
        side = int(min(budget / self.a_pixel, PILLOWS) ** 0.5) // 16 * 16
        # A progressive JPEG is written from one buffer.
        with mock.patch.object(ImageFile, "MAXBLOCK", max(2**16, 4 * side * side)):
            picture = gradient(self.mode, side) if self.smooth else noise(self.mode, side)
            return encode(picture, self.format, **self.options), side * side


def gradient(mode: str, side: int) -> Image.Image:
    """A square that is black above and white below."""
    return Image.linear_gradient("L").resize((side, side)).convert(mode)


def noise(mode: str, side: int) -> Image.Image:
    """A square of noise of a mode."""
    values = noise_pixels(side, LINES, 4)
    palette = bytes(range(256)) * 3 if mode == "P" else None
    if mode in ("L", "P", "1"):
        strip = Image.fromarray(values[..., 0])
        strip = strip.convert("1") if mode == "1" else strip
    elif mode == "I;16":
        strip = Image.fromarray(values[..., :2].copy().view("<u2")[..., 0])
    elif mode == "F":
        strip = Image.fromarray(values[..., 0].astype(np.float32))
    else:
        strip = Image.merge(mode, [Image.fromarray(values[..., i]) for i in range(len(mode))])
    if palette is not None:
        strip.putpalette(palette)
    whole = Image.new(mode, (side, side))
    if palette is not None:
        whole.putpalette(palette)
    for y in range(0, side, LINES):
        whole.paste(strip, (0, y))
    return whole


def cases(*, quick: bool = False) -> Iterator[Case]:
    """Every format that is taken, with the modes that it has; but for slow encoders if quick."""

    def of(mode: str, format: str = "", stored: int = 0) -> float:  # noqa: A002
        image = Image.new(mode, (64, 64))
        image.format = format
        return limits.bytes_needed(image, stored=stored) / 4096

    options: Mapping[str, Any]
    for mode in ("1", "L", "P", "I;16", "LA", "RGB", "RGBA"):
        yield Case(format="PNG", mode=mode, a_pixel=of(mode), options={"compress_level": 1})
    for mode in ("L", "RGB", "CMYK"):
        yield Case(format="JPEG", mode=mode, a_pixel=of(mode), options={"quality": 95})
    yield Case(format="JPEG", mode="RGB", a_pixel=2.0, options={"quality": 95}, said=", at a half")
    for said, a_pixel in ((", progressive", 14.0), (", progressive, at an eighth", 6.125)):
        options = {"quality": 95, "progressive": True, "subsampling": 0}
        yield Case(format="JPEG", mode="RGB", a_pixel=a_pixel, options=options, said=said)
    for mode in ("RGB", "RGBA"):
        options = {"lossless": True, "quality": 0, "method": 0}
        yield Case(format="WEBP", mode=mode, a_pixel=of(mode, "WEBP"), options=options)
    yield Case(format="GIF", mode="P", a_pixel=of("P"), options={})
    for mode in ("L", "RGB"):
        yield Case(format="BMP", mode=mode, a_pixel=of(mode), options={})
    for mode, stored in (("L", 1), ("RGB", 3), ("RGBA", 4), ("I;16", 2), ("F", 4)):
        options = {"compression": "tiff_adobe_deflate"}
        a_pixel = of(mode, stored=stored)
        yield Case(format="TIFF", mode=mode, a_pixel=a_pixel, options=options)
    if quick:
        return
    if AVIF:
        options = {"quality": 90, "speed": 10}
        yield Case(format="AVIF", mode="RGB", a_pixel=of("RGB", "AVIF"), options=options)
    if heif.can_decode():
        options, a_pixel = {"quality": 50}, of("RGB", "HEIF")
        yield Case(format="HEIF", mode="RGB", a_pixel=a_pixel, options=options, smooth=True)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What one decoder took.

    Parameters
    ----------
    pixels, file
        Of the photo, and bytes of its file.
    peak
        Bytes of memory that came to the file at most.
    seconds
        Of processor time.
    """

    pixels: int
    file: int
    peak: int
    seconds: float


def resident(which: str) -> int:
    """Bytes of memory of this process: ``VmRSS`` now, or ``VmHWM`` at most since `taken` began."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{which}:")[2].split()[0]) * 1024


def taken(case: Case, budget: int) -> Taken:
    """Decode the largest photo of a format and mode.

    Raises
    ------
    ImageError
        If it is refused, though it should not be.
    """
    data, pixels = case.file(budget)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # or what the encoder took would hide what the decoder does
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, begun = resident("VmRSS"), time.process_time()
    with mock.patch.object(limits, "PHOTO_BYTES", budget):
        open_upright(data)
    seconds = time.process_time() - begun
    peak = resident("VmHWM") - before
    return Taken(pixels=pixels, file=len(data), peak=peak, seconds=seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--share", type=float, default=1.0)
    budget = int(parser.parse_args().share * limits.PHOTO_BYTES)
    columns = ("format, mode", "megapixels", "file, MB", "memory, MiB", "processor, s")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for case in cases():
        took = taken(case, budget)
        numbers = (took.pixels / 1e6, took.file / 1e6, took.peak / 2**20)
        shown = " | ".join(f"{number:.0f}" for number in numbers)
        print(f"| {case.name} | {shown} | {took.seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
