"""Files here and at addresses, opened alike; the far ones by fsspec."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from shutil import copyfileobj
from time import sleep
from typing import Any, BinaryIO, cast

from edgetransfer.errors import DataError, EdgeTransferError, UsageError
from edgetransfer.names import readable
from edgetransfer.paths import address_of

TRIES = 3
GONE = (404, 410)  # of HTTP
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
FIRST_PAUSE = 0.2  # seconds, four times as long before each further try
_ADDRESS = re.compile(r"\w+://[^\s'\"<>]+")
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "datasets": "datasets"}


@contextmanager
def reaching(address: str) -> Iterator[None]:
    """Whatever a store raises, as a sentence that names the address.

    Raises
    ------
    UsageError
        If the library that knows such addresses is not installed.
    DataError
        If it cannot be read.
    """
    try:
        yield
    except EdgeTransferError:
        raise
    except ImportError as error:
        extra = _EXTRAS.get(address.partition(":")[0], "remote")
        raise UsageError(
            f"{shown(address)}: {error.name or 'its library'} is not installed; "
            f"pip install 'edgetransfer[{extra}]' brings it"
        ) from error
    except Exception as error:  # each store has errors of its own
        raise DataError(f"{shown(address)}: {_why(error, address)}") from error


def _why(error: BaseException, address: str) -> str:
    """Why an address cannot be read, and what helps."""
    if isinstance(error, FileNotFoundError):
        # Stores say so of what they are not allowed to see, too, and of servers they cannot reach.
        cause = error.__cause__
        status = getattr(cause, "status", None)
        if cause is None or isinstance(cause, FileNotFoundError) or status in GONE:
            return "nothing is there"
        error = cause
    mend = "check the address, the network and the credentials"
    if UNTRUSTED in str(error):
        name = "AWS_CA_BUNDLE" if address.startswith("s3") else "SSL_CERT_FILE"
        mend = f"if you trust it, {name}=CA.pem names who signed its certificate"
    return f"cannot be read: {reason(error)}; {mend}"


def reason(error: BaseException) -> str:
    """What an error of a foreign library says, in one line without what is secret in addresses."""
    lines = _ADDRESS.sub(lambda found: shown(found[0]), str(error)).strip().splitlines()
    text = lines[0][:200] if lines else ""
    name = type(error).__name__
    return text if isinstance(error, OSError) and text else f"{name}: {text}" if text else name


def shown(address: str) -> str:
    """An address without what is secret in it."""
    scheme, mark, rest = address.partition("://")
    place, slash, path = rest.partition("/")
    return readable(f"{scheme}{mark}{place.rpartition('@')[2]}{slash}{path.partition('?')[0]}")


def open_place(place: Path | str) -> BinaryIO:
    """Open a file for reading at any offset, here or at an address.

    Raises
    ------
    UsageError, DataError
        As `reaching`.
    """
    address = address_of(place)
    if address is None:
        try:
            return Path(place).open("rb")
        except OSError as error:
            raise DataError(f"{place}: cannot be read: {error.strerror}") from error
    with reaching(address):
        store, path = store_of(address)
        file = cast(BinaryIO, store.open(path, "rb"))
        try:
            file.seek(-1, os.SEEK_END)
            file.read(1)
            file.seek(0)
        except (ValueError, OSError):  # a server that gives files from their beginning alone
            file.close()
            file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115
            with store.open(path, "rb", block_size=0) as whole:
                copyfileobj(whole, file)
            file.seek(0)
        return file


@lru_cache(maxsize=64)
def store_of(address: str) -> tuple[Any, str]:
    """The file system of fsspec that has an address, and the path in it."""
    import fsspec

    store, path = fsspec.core.url_to_fs(address)
    return store, path


def fetched(address: str) -> bytes:
    """The content of a file at an address; what fails is tried again.

    Raises
    ------
    OSError
        If it cannot be had.
    """
    pause = FIRST_PAUSE
    for left in range(TRIES - 1, -1, -1):
        try:
            store, path = store_of(address)
            return bytes(store.cat_file(path))
        except (FileNotFoundError, PermissionError, ImportError) as error:
            raise OSError(f"{shown(address)}: {reason(error)}") from error
        except Exception as error:  # each store has errors of its own
            if not left:
                raise OSError(f"{shown(address)}: {reason(error)}") from error
        sleep(pause)
        pause *= 4
    raise AssertionError
