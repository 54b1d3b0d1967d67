"""What is no photo is named as what it is, with the mend."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from edgetransfer.errors import ImageError
from edgetransfer.images import decode_image, decoding, heif
from tests.images_made import encode, noise_pixels


def media(*brands: bytes) -> bytes:
    """The beginning of an ISO base media file."""
    content = b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
    return (len(content) + 4).to_bytes(4, "big") + content + bytes(400)


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("a.jpg", b"x" * 100)
    return stream.getvalue()


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        file.addfile(tarfile.TarInfo("a.jpg"), io.BytesIO())
    return stream.getvalue()


def pillow(kind: str) -> bytes:
    return encode(noise_pixels(16, 16), kind)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
HTML = b"<title>404 Not Found</title></head><body>gone</body></html>"
KINDS: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "empty", "copy it anew"),
    "zeros": (bytes(5000), "zero bytes", "copy it anew"),
    "lfs": (LFS, "Git LFS pointer", "git lfs pull"),
    "lfs of Windows": (LFS.replace(b"\n", b"\r\n"), "Git LFS pointer", "git lfs pull"),
    "annex": (b"/annex/objects/SHA256E-s123--abc.jpg\n", "git-annex pointer", "git annex get"),
    "html": (b"<!DOCTYPE html>\n<html>" + HTML, "web page", "fetch the photo anew"),
    "html in lower case": (b"\r\n  <html lang='de'>" + HTML, "web page", "fetch"),
    "html with a mark": (b"\xef\xbb\xbf<!doctype HTML>" + HTML, "web page", "fetch"),
    "html in utf-16": (("\ufeff<html>" + HTML.decode()).encode("utf-16-le"), "web page", "fetch"),
    "xhtml": (b'<?xml version="1.0"?>\n<!DOCTYPE html>\n<html>', "web page", "fetch"),
    "xml": (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "XML", "fetch"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG", "JPEG or PNG"),
    "svg with a head": (b'<?xml version="1.0"?>\n<svg width="1"/>', "SVG", "JPEG or PNG"),
    "json": (json.dumps({"error": "denied"}).encode(), "JSON", "fetch"),
    "text": (b"hello, I am no picture\n" * 20, "text", "remove it"),
    "text in German": (("schön und gut\n" * 60).encode(), "text", "remove it"),
    "heic": (media(b"heic", b"mif1", b"heic"), "HEIC", "edgetransfer[heic]"),
    "heic by another name": (media(b"mif1", b"heic"), "HEIF", "edgetransfer[heic]"),
    "heif sequence": (media(b"msf1", b"hevc"), "HEIF", "edgetransfer[heic]"),
    "mp4": (media(b"isom", b"iso2", b"mp41"), "video", "frames"),
    "mov": (media(b"qt  "), "video", "frames"),
    "cr3": (media(b"crx ", b"isom"), "camera raw", "JPEG or PNG"),
    "jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), "JPEG XL", "JPEG or PNG"),
    "jxl, bare": (b"\xff\x0a" + bytes(range(99)), "JPEG XL", "JPEG or PNG"),
    "jp2": (pillow("JPEG2000"), "JPEG 2000", "JPEG or PNG"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF", "JPEG or PNG"),
    "postscript": (pillow("EPS"), "PostScript", "JPEG or PNG"),
    "psd": (b"8BPS\0\1" + bytes(99), "Photoshop", "JPEG or PNG"),
    "cr2": (b"II*\0\x10\0\0\0CR\2\0" + bytes(99), "camera raw", "JPEG or PNG"),
    "raf": (b"FUJIFILMCCD-RAW 0201", "camera raw", "JPEG or PNG"),
    "zip": (archive(), "ZIP", "unpack"),
    "gzip": (gzip.compress(b"x" * 100), "gzip", "unpack"),
    "tar": (tar(), "tar archive", "unpack"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4", "7z", "unpack"),
    "rar": (b"Rar!\x1a\x07\x01\0", "RAR", "unpack"),
    "mkv": (b"\x1aE\xdf\xa3\x93B\x82\x88matroska", "video", "frames"),
    "avi": (b"RIFF\x24\0\0\0AVI LIST", "video", "frames"),
    "wav": (b"RIFF\x24\0\0\0WAVEfmt ", "sound", "remove"),
    "mpeg": (b"\0\0\x01\xba" + bytes(range(99)), "video", "frames"),
    "ico": (pillow("ICO"), "icon", "JPEG or PNG"),
    "ppm": (pillow("PPM"), "PNM", "JPEG or PNG"),
    "dicom": (bytes(128) + b"DICM" + bytes(99), "DICOM", "JPEG or PNG"),
    "npy": (b"\x93NUMPY\1\0" + bytes(99), "NumPy", "remove"),
    "hdf5": (b"\x89HDF\r\n\x1a\n", "HDF5", "remove"),
    "appledouble": (b"\0\5\x16\7\0\2\0\0" + bytes(99), "AppleDouble", "remove"),
    "program": (b"\x7fELF\2\1\1", "program", "remove"),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_what_is_no_photo_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heif, "can_decode", lambda: False)
    data, kind, mend = KINDS[name]
    with pytest.raises(ImageError) as caught:
        decode_image(data)
    assert kind in str(caught.value)
    assert mend in str(caught.value)


@pytest.mark.skipif(not decoding.AVIF, reason="this Pillow has no AVIF")
def test_avif_is_decoded_where_pillow_can() -> None:
    pixels = np.full((16, 20, 3), (200, 100, 50), np.uint8)
    assert np.abs(decode_image(encode(pixels, "AVIF", quality=95)).astype(int) - pixels).max() < 6


def test_avif_is_named_where_pillow_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "AVIF", False)
    with pytest.raises(ImageError, match=r"AVIF.*update Pillow"):
        decode_image(media(b"avif", b"mif1"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_no_photo_is_taken_for_something_else(kind: str) -> None:
    for seed in range(5):
        image = Image.fromarray(noise_pixels(16, 16, seed=seed))
        assert decode_image(encode(image, kind)).shape == (16, 16, 3)
