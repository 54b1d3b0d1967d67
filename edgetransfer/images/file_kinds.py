"""What a file is that is no photo, by its first bytes, and what would mend it."""

from __future__ import annotations

from edgetransfer.errors import ImageError

_BRANDS = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"hevc": "HEIC",
    b"hevx": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"mif1": "HEIF",
    b"msf1": "HEIF",
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"crx ": "camera raw",
    b"jp2 ": "JPEG 2000",
    b"M4A ": "sound",
}
_BEGINNINGS = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"8BPS", "a Photoshop document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"FUJIFILMCCD-RAW", "a camera raw file"),
    (b"IIRO", "a camera raw file"),
    (b"IIRS", "a camera raw file"),
    (b"IIU\0", "a camera raw file"),
    (b"II*\0\x10\0\0\0CR", "a camera raw file"),
    (b"\0\0\x01\0", "an icon file"),
    (b"\x1aE\xdf\xa3", "a video (Matroska or WebM)"),
    (b"\0\0\x01\xba", "a video (MPEG)"),
    (b"\0\0\x01\xb3", "a video (MPEG)"),
    (b"FLV\x01", "a video (FLV)"),
    (b"OggS", "sound or video (Ogg)"),
    (b"ID3", "sound (MP3)"),
    (b"fLaC", "sound (FLAC)"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"SIMPLE  =", "a FITS file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"#EXR", "an EXR picture"),
    (b"\x76\x2f\x31\x01", "an EXR picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"qoif", "a QOI picture"),
    (b"P1\n", "a PNM picture"),
    (b"P2\n", "a PNM picture"),
    (b"P3\n", "a PNM picture"),
    (b"P4\n", "a PNM picture"),
    (b"P5\n", "a PNM picture"),
    (b"P6\n", "a PNM picture"),
    (b"bplist00", "a property list"),
    (b"Bud1", "a folder's settings (.DS_Store)"),
    (b"\0\x05\x16\x07", "what macOS keeps beside a file (AppleDouble), not the file"),
    (b"\x80\x04", "a Python pickle"),
)
_PHOTOS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8")
_PICTURES = ("picture", "camera raw", "Photoshop", "icon", "EXR", "FITS", "HEIC", "HEIF", "AVIF")
_ARCHIVES = ("archive",)


_HEIF = ("a HEIC picture", "a HEIF picture")


def is_heif(data: bytes) -> bool:
    """Whether a file is a picture in HEIF, by its brands, and not one of AVIF."""
    return data[4:8] == b"ftyp" and _media(data[:1024]) in _HEIF


def refuse_what_is_no_photo(data: bytes, *, avif: bool, heif: bool) -> None:
    """Name a file that is something else.

    Parameters
    ----------
    data
        The file's bytes; the first kilobyte decides.
    avif
        Whether AVIF can be decoded here.
    heif
        Whether HEIC and others of HEIF can be.

    Raises
    ------
    ImageError
        What it is, and the mend.
    """
    if data.startswith(_PHOTOS):
        return
    kind = _kind(data)
    if kind is None or (kind == "an AVIF picture" and avif) or (kind in _HEIF and heif):
        return
    raise ImageError(f"not an image: it is {kind}; {_mend(kind)}")


def _mend(kind: str) -> str:
    if kind.startswith("empty"):
        return "copy it anew, or remove it"
    if "pointer" in kind:
        return "fetch the file itself (git lfs pull, git annex get)"
    if kind == "an AVIF picture":
        return "update Pillow to 11.3 or later, or save it as JPEG or PNG"
    if kind in _HEIF:
        return "pip install 'edgetransfer[heic]' reads it; or save it as JPEG or PNG"
    if "web page" in kind or "JSON" in kind or "XML" in kind:
        return "the download answered with it instead of a photo: fetch the photo anew"
    if "archive" in kind:
        return "unpack it"
    if "video" in kind:
        return "take frames out of it and save them as JPEG or PNG"
    if any(word in kind for word in (*_PICTURES, "document", "SVG")):
        return "save it as JPEG or PNG"
    return "remove it, or put the photo in its place"


def _kind(data: bytes) -> str | None:
    head = data[:1024]
    if not data:
        return "empty (0 bytes)"
    if not any(head):
        zero = not any(data)
        return "empty (zero bytes alone: its copy or download was broken off)" if zero else None
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head[4:8] == b"ftyp":
        return _media(head)
    if head[:4] == b"RIFF" and head[8:12] != b"WEBP":
        return {b"AVI ": "a video (AVI)", b"WAVE": "sound (WAV)"}.get(head[8:12], "a RIFF file")
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head[128:132] == b"DICM":
        return "a DICOM picture"
    if head[:1] == b"G" and data[188:189] == b"G" and data[376:377] == b"G":
        return "a video (MPEG transport stream)"
    return _text_kind(head)


def _media(head: bytes) -> str:
    """Of an ISO base media file (ISO/IEC 14496-12): by its brands."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[i : i + 4] for i in range(16, end - 3, 4))]
    if b"avif" in brands or b"avis" in brands:
        return "an AVIF picture"
    known = next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)
    if known is None:
        return "a video (MP4 or QuickTime)"
    return "sound (M4A)" if known == "sound" else f"a {known} picture"


def _text_kind(head: bytes) -> str | None:
    """Of a file that is text."""
    text = head
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if head.startswith(mark):
            text = head.decode(encoding, "replace").lstrip("\ufeff").encode()
    text = text.lstrip()
    low = text[:400].lower()
    if text.startswith((b"version https://git-lfs", b"version https://hawser")):
        return "a Git LFS pointer"
    if b"annex/objects/" in text[:200] and len(text) < 400:
        return "a git-annex pointer"
    if b"<svg" in low:
        return "an SVG drawing"
    if low.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<!--")):
        return "a web page (HTML)"
    if low.startswith(b"<?xml"):
        return "a web page (XHTML)" if b"<html" in low else "an XML document"
    if text[:1] in (b"{", b"[") and b'"' in text:
        return "JSON text"
    try:
        sample = head[:512].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < 500 or error.start < len(head) - 4:
            return None
        sample = head[: error.start].decode("utf-8")
    return "text" if all(c.isprintable() or c in "\r\n\t\f" for c in sample) else None
