"""Published checkpoints, fetched when a person asks for one by name, and checked.

Publishers write the first eight hex digits of a file's sha256 into its name.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from edgetransfer.backbones.records import RECORDS, BackboneRecord, PublishedFile, record_of
from edgetransfer.errors import DataError, UsageError
from edgetransfer.types import Progress, no_progress

CHUNK = 1 << 20
TIMEOUT = 30.0  # seconds without a byte


def published(name: str) -> tuple[BackboneRecord, PublishedFile]:
    """The record of a backbone that has an address, and that.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    record = record_of(name)
    for source in record.sources if record is not None else ():
        if record is not None and isinstance(source, PublishedFile):
            return record, source
    known = [r.name for r in RECORDS if any(isinstance(s, PublishedFile) for s in r.sources)]
    raise UsageError(
        f"no weights called {name!r} have an address here; known are: {', '.join(known)}. "
        "Others: fetch the file yourself and give its path"
    )


def download(
    source: PublishedFile,
    folder: Path,
    *,
    base: str | None = None,
    progress: Progress = no_progress,
) -> Path:
    """Fetch a published checkpoint into a folder, or find it there.

    What arrived of an interrupted download is kept and completed by the next. The file appears
    under its name only when its sha256 begins as that name says.

    Parameters
    ----------
    base
        Another address before the file's name, of a mirror.

    Raises
    ------
    DataError
        If it cannot be fetched or is not what its name says.
    """
    file = source.file
    address, target = (base or source.base) + file, folder / file
    if target.is_file() and _is_right(target, file):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{file}.part"
    try:
        _fetch(address, partial, progress)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        if not isinstance(error, urllib.error.URLError) and getattr(error, "filename", None):
            raise  # the disk, not the network
        told = isinstance(error, urllib.error.HTTPError)
        reason = error if told else getattr(error, "reason", error)
        raise DataError(
            f"{address}: cannot be fetched ({reason}); what has arrived is kept: run the command "
            "again, or fetch the file yourself and give its path"
        ) from error
    if not _is_right(partial, file):
        partial.unlink()
        raise DataError(
            f"{address}: what came does not have the checksum that its name carries, and was "
            "deleted; run the command again, or fetch the file elsewhere"
        )
    with partial.open("rb+") as written:
        os.fsync(written.fileno())
    os.replace(partial, target)
    return target


def _fetch(address: str, partial: Path, progress: Progress) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"User-Agent": "edgetransfer"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(address, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # all of it is here
        raise
    with response:
        if response.status != http.client.PARTIAL_CONTENT:
            have = 0  # the server sends everything again
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else 0
        if total:
            _check_room(partial.parent, total - have)
        with partial.open("ab" if have else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress("downloading, MB", have >> 20, max(total, have) >> 20)
    if total and have < total:
        raise http.client.IncompleteRead(b"", total - have)


def _check_room(folder: Path, needed: int) -> None:
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise DataError(
                f"{folder}: {needed >> 20} MB are needed for the download, {free >> 20} are free; "
                "make room or choose another --cache-dir"
            )


def _is_right(path: Path, file: str) -> bool:
    """Whether a file's sha256 begins with the digits at the end of its published name."""
    digits = re.search(r"-([0-9a-f]{8,})\.", file)
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return digits is not None and digest.startswith(digits[1])
