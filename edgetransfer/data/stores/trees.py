"""Class folders that are no folders here: in a zip or tar archive, or at an address."""

from __future__ import annotations

import logging
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO

from edgetransfer.data.found import Remark
from edgetransfer.data.samples import Stored
from edgetransfer.data.stores.reaching import fetched, open_place, reaching, reason, shown, store_of
from edgetransfer.data.stores.shelf import Shelf
from edgetransfer.data.tar_members import tar_members
from edgetransfer.data.walking import HIDDEN, Folder, passed_over
from edgetransfer.errors import DataError
from edgetransfer.names import readable
from edgetransfer.paths import address_of, without_query
from edgetransfer.reprs import short_repr

ZIP = (".zip",)
TAR = (".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
LARGEST = 256 * 2**20  # bytes of one photo
_ENCRYPTED = 1


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Files by name, and the folders that the names make.

    Parameters
    ----------
    root
        Without a single folder around all others.
    photos
        Where each file is, by its path.
    left_out
        How many were passed over, by kind.
    """

    root: Folder
    photos: Mapping[str, Stored]
    left_out: Counter[str]

    __repr__ = short_repr

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What was passed over."""
        return tuple(
            (logging.INFO if kind == HIDDEN else logging.WARNING, f"left out {count} {kind}")
            for kind, count in sorted(self.left_out.items())
        )


@dataclass(frozen=True, kw_only=True)
class ZipMember(Stored):
    """A photo in a zip archive.

    Parameters
    ----------
    archive
        The path or address of the archive.
    name
        In it.
    length, checksum
        As the archive says.
    """

    archive: str
    name: str
    length: int
    checksum: int

    __repr__ = short_repr

    def read(self) -> bytes:
        """See `Stored.read`."""
        if self.length > LARGEST:
            raise OSError(f"larger than {LARGEST >> 20} MiB")
        try:
            return _opened_zip(self.archive).read(self.name)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, KeyError) as error:
            raise OSError(f"damaged in its archive: {reason(error)}") from error
        except DataError as error:
            raise OSError(str(error)) from error

    @property
    def size(self) -> int:
        """See `Stored.size`."""
        return self.length

    @property
    def stamp(self) -> str:
        """See `Stored.stamp`."""
        return f"{self.length} {self.checksum}"


@dataclass(frozen=True, kw_only=True)
class FarPhoto(Stored):
    """A photo at an address.

    Parameters
    ----------
    address
        As fsspec takes it.
    length
        None where it was not told.
    version
        What the store says of its content; empty if nothing.
    """

    address: str
    length: int | None = None
    version: str = ""

    __repr__ = short_repr

    def read(self) -> bytes:
        """See `Stored.read`."""
        return fetched(self.address)

    @property
    def size(self) -> int:
        """See `Stored.size`."""
        return len(self.read()) if self.length is None else self.length

    @property
    def stamp(self) -> str:
        """See `Stored.stamp`."""
        if self.version:
            return f"{self.length} {self.version}"
        content = self.read()
        return f"{len(content)} {zlib.crc32(content)}"


def tree_of(place: Path) -> Tree:
    """What is in a zip or tar archive, or below an address.

    Raises
    ------
    DataError
        If it cannot be read, or names a file twice.
    """
    name = str(without_query(place)).lower()
    if name.endswith(ZIP):
        return _zip_tree(address_of(place) or str(place))
    if name.endswith(TAR):
        return _tar_tree(place)
    return _far_tree(str(address_of(place)))


def _zip_tree(archive: str) -> Tree:
    photos: dict[str, Stored] = {}
    for info in _opened_zip(archive).infolist():
        if info.is_dir():
            continue
        if info.flag_bits & _ENCRYPTED:
            raise DataError(f"{archive}: it is encrypted; unpack it, and give the folder")
        if info.filename in photos:
            raise DataError(f"{archive}: it has {readable(info.filename)} twice; pack it anew")
        photos[info.filename] = ZipMember(
            archive=archive, name=info.filename, length=info.file_size, checksum=info.CRC
        )
    return _tree(photos)


class _Zip(zipfile.ZipFile):
    """An archive that closes the file that it was given."""

    def __init__(self, file: BinaryIO) -> None:
        self._given = file
        super().__init__(file)

    def close(self) -> None:
        super().close()
        self._given.close()


@lru_cache(maxsize=8)
def _opened_zip(archive: str) -> zipfile.ZipFile:
    file = open_place(archive)
    try:
        return _Zip(file)
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        file.close()
        raise DataError(f"{archive}: no zip archive, or cut off: {reason(error)}") from error


def _tar_tree(place: Path) -> Tree:
    photos: dict[str, Stored] = {}
    shelf = Shelf()
    with tempfile.NamedTemporaryFile(suffix=".tar") as copy:
        if (address := address_of(place)) is not None:
            with reaching(address), open_place(place) as file:
                copyfileobj(file, copy)
                copy.flush()
        try:
            members = tar_members(
                place if address is None else Path(copy.name), lambda _name, size: size <= LARGEST
            )
            for name, content in members:
                if content is None:
                    raise DataError(f"{place}: {readable(name)} is larger than {LARGEST >> 20} MiB")
                if name in photos:
                    raise DataError(f"{place}: it has {readable(name)} twice; pack it anew")
                photos[name] = shelf.add(content)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise DataError(f"{place}: no tar archive, or cut off: {reason(error)}") from error
    shelf.finish()
    return _tree(photos)


def _far_tree(address: str) -> Tree:
    with reaching(address):
        store, root = store_of(address)
        files = store.find(root, detail=True)
        if not files:
            store.ls(root, detail=False)  # says why, where it was not allowed to look
            raise DataError(f"{shown(address)}: no file is there")
        photos: dict[str, Stored] = {}
        for path, info in files.items():
            below = str(path).removeprefix(str(root).rstrip("/")).lstrip("/")
            known = info.get("ETag") or info.get("LastModified") or info.get("mtime") or ""
            photos[below] = FarPhoto(
                address=store.unstrip_protocol(path), length=info.get("size"), version=str(known)
            )
    return _tree(photos)


def _tree(photos: Mapping[str, Stored]) -> Tree:
    left_out: Counter[str] = Counter()
    kept = []
    for path in sorted(photos):
        kind = _why_passed_over(path)
        if kind is None:
            kept.append(path)
        else:
            left_out[kind] += 1
    return Tree(root=_unwrapped(folder_of(kept)), photos=photos, left_out=left_out)


def folder_of(paths: Iterable[str]) -> Folder:
    """The folder that has these files, by their paths with slashes."""
    root = Folder(path="")
    for path in sorted(paths):
        *above, name = path.split("/")
        folder = root
        for part in above:
            if part not in folder.folders:
                folder.folders[part] = Folder(path=folder.below(part))
            folder = folder.folders[part]
        folder.files.append(name)
    return root


def _unwrapped(root: Folder) -> Folder:
    """The folder that holds more than one other: archives begin with one that holds all."""
    while not root.files and len(root.folders) == 1:
        (inner,) = root.folders.values()
        if not inner.folders:
            break
        root = inner
    return root


def _why_passed_over(path: str) -> str | None:
    *above, name = path.split("/")
    for part in above:
        if (kind := passed_over(part, is_folder=True)) is not None:
            return kind
    return passed_over(name, is_folder=False)
