"""How a TIFF file holds its samples, and which layouts Pillow reads as something else.

Pillow opens by a table of layouts. Some it opens and misreads without a word; each of those was
found by decoding every combination of the tags below (tests/images/test_tiff_table.py), and is
corrected or refused here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from edgetransfer.errors import ImageError
from edgetransfer.images.wide import grey_of_wide

MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
SIZES |= {16: 8, 17: 8, 18: 8}
_LETTERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 16: "Q", 13: "I"}
_MOST_TAGS = 4096
_MOST_VALUES = 64  # of the tags that are looked at
_JPEG = (6, 7)
_NAMES = {0: "white-is-zero grey", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr"}
_NAMES |= {4: "mask", 8: "L*a*b*", 9: "L*a*b*", 10: "L*a*b*", 32803: "camera raw"}
_KINDS = {1: "unsigned", 2: "signed", 3: "floating-point", 4: "untyped", 5: "complex"}
_NATIVE = {
    "F;32F": "F;32NF",
    "F;32BF": "F;32NF",
    "I;32S": "I;32NS",
    "I;32BS": "I;32NS",
    "I;16S": "I;16NS",
    "I;16BS": "I;16NS",
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One tag: its type, how many values, and where their bytes lie in the file."""

    kind: int
    count: int
    place: int


@dataclass(frozen=True, kw_only=True)
class Directory:
    """The tags of a file's first picture; of those that lie outside of the file, none."""

    order: str
    big: bool
    entries: dict[int, Entry]

    def values(self, data: bytes, tag: int, most: int | None = None) -> tuple[int, ...]:
        """The whole numbers of a tag, not more than ``most``; none if it is not there."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _LETTERS:
            return ()
        count = entry.count if most is None else min(entry.count, most)
        return struct.unpack_from(f"{self.order}{count}{_LETTERS[entry.kind]}", data, entry.place)


@dataclass(frozen=True, kw_only=True)
class TiffLayout:
    """The tags that say how samples are held; see TIFF 6.0, sections 3 to 24.

    ``tile`` is how many pixels a tile has, whatever the size of the picture; 0 without tiles.
    """

    photometric: int | None
    bits: tuple[int, ...]
    formats: tuple[int, ...]
    samples: int
    planar: int
    compression: int
    fill_order: int
    extra: tuple[int, ...]
    subsampled: bool
    inks: int
    raw: bool
    tile: int = 0

    def __str__(self) -> str:
        bits = "/".join(str(b) for b in sorted(set(self.bits)))
        kind = _KINDS.get(self.formats[0], "unknown")
        name = _NAMES.get(-1 if self.photometric is None else self.photometric, "unknown colours")
        planes = ", in separate planes" if self.planar == 2 and self.samples > 1 else ""
        return f"{self.samples} x {bits}-bit {kind} samples ({name}{planes})"


def read_directory(data: bytes) -> Directory | None:
    """The first directory of a TIFF file's bytes; None if it cannot be read."""
    order = "<" if data[:1] == b"I" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    try:
        (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
        head, entry, inline = (8, 20, 8) if big else (2, 12, 4)
        entries: dict[int, Entry] = {}
        for i in range(min(count, _MOST_TAGS)):
            at = start + head + i * entry
            tag, kind, values = struct.unpack_from(order + "HH" + ("Q" if big else "I"), data, at)
            place = at + entry - inline
            size = SIZES.get(kind, 0) * values
            if size > inline:
                (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, place)
            if 0 < size <= len(data) - place:
                entries.setdefault(tag, Entry(kind=kind, count=values, place=place))
    except (struct.error, OverflowError):
        return None
    return Directory(order=order, big=big, entries=entries)


def layout_of(data: bytes) -> TiffLayout | None:
    """How a TIFF file's first picture is held; None if that cannot be read."""
    directory = read_directory(data)
    if directory is None:
        return None

    def values(tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
        return directory.values(data, tag, _MOST_VALUES) or default

    photometric = values(262, ())
    bits = values(258, (1,))
    tags = directory.entries
    reduced = bool(values(254, (0,))[0] & 1)
    return TiffLayout(
        photometric=photometric[0] if photometric else None,
        bits=bits,
        formats=values(339, (1,)),
        samples=values(277, (len(bits),))[0],
        planar=values(284, (1,))[0],
        compression=values(259, (1,))[0],
        fill_order=values(266, (1,))[0],
        extra=values(338, ()),
        subsampled=values(530, (2, 2)) != (1, 1) or 529 in tags or 532 in tags,
        inks=values(332, (1,))[0],
        raw=(reduced and 330 in tags)
        or (50706 in tags and photometric[:1] in ((32803,), (34892,))),
        tile=values(322, (0,))[0] * values(323, (0,))[0],
    )


def check_layout(layout: TiffLayout) -> None:
    """Refuse what Pillow would open and read as something else.

    Raises
    ------
    ImageError
        If it is such a layout.
    """
    if layout.raw:
        raise ImageError("a camera raw file, of which only a thumbnail could be read: develop it")
    plain = layout.compression not in _JPEG
    colour = layout.photometric
    alpha = layout.extra[:1] in ((1,), (2,))
    apart = layout.planar == 2 and layout.samples > 1
    misread = (
        colour is None
        or len(set(layout.bits)) > 1
        or len(set(layout.formats)) > 1
        or (plain and colour == 6 and layout.subsampled)
        or (colour == 5 and layout.inks != 1)
        or (apart and alpha and colour in (0, 1, 3))
        or (apart and colour == 2 and layout.samples > 3 and not layout.extra)
        or (apart and colour == 8)
        or (apart and layout.compression == 1 and (layout.bits[0] != 8 or layout.fill_order == 2))
    )
    if misread:
        raise ImageError(cannot_be_read(layout))


def cannot_be_read(layout: TiffLayout | None) -> str:
    """The sentence for a layout that is not known."""
    what = "whose directory is damaged" if layout is None else f"of {layout}"
    return f"a TIFF {what}, which cannot be read: save it as 8-bit RGB, or as PNG"


def heed_byte_order(image: ImageFile.ImageFile) -> None:
    """Libtiff hands over samples in this machine's order, whatever the file's: Pillow forgets."""
    tile: Any = image.tile[0] if image.tile else None
    if tile is None or tile[0] != "libtiff" or tile[3][0] not in _NATIVE:
        return
    image.tile = [with_arguments(tile, (_NATIVE[tile[3][0]], *tile[3][1:]))]


def with_arguments(tile: Any, arguments: Any) -> Any:
    """A tile with other arguments; a plain tuple before Pillow 11.1."""
    if hasattr(tile, "_replace"):
        return tile._replace(args=arguments)
    return (*tile[:3], arguments)


def wide_grey(image: Image.Image, layout: TiffLayout) -> Image.Image:
    """The samples of a loaded picture of mode I;16, I, F or (signed) L, as 8-bit grey."""
    values: np.ndarray[Any, Any] = np.asarray(image)
    signed, bits = layout.formats[0] == 2, layout.bits[0]
    if image.mode == "L":
        values = values.view(np.int8)
    elif image.mode == "I" and not signed:
        values = values.view(np.uint32)
    return grey_of_wide(
        values,
        least_white=4095 if bits <= 16 and image.mode != "L" else 255,
        white=4095 if bits == 12 else None,
        inverted=layout.photometric == 0,
    )


def is_wide(image: Image.Image, layout: TiffLayout) -> bool:
    """Whether `wide_grey` is to show it."""
    return image.mode[:1] in "IF" or (image.mode == "L" and layout.formats[0] == 2)
