"""Files here and at addresses, opened alike; the far ones by fsspec."""

from __future__ import annotations

import logging
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from shutil import copyfileobj
from time import sleep
from typing import Any, BinaryIO, cast
from urllib.request import getproxies

from edgetransfer.confidential import MASK, filled
from edgetransfer.errors import DataError, EdgeTransferError, UsageError
from edgetransfer.names import readable
from edgetransfer.paths import address_of

TRIES = 3
GONE = (404, 410)  # of HTTP
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
FIRST_PAUSE = 0.2  # seconds, four times as long before each further try
_ADDRESS = re.compile(r"\w+://[^\s'\"<>]+")
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "datasets": "datasets"}
_AMAZON = " (AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
_GOOGLE = " (gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS=KEY.json)"
_LOGIN = " (NAME:${PASSWORD}@ before the host, the password in the environment)"
_CREDENTIALS = {  # where each library looks for them
    "s3": _AMAZON,
    "s3a": _AMAZON,
    "gs": _GOOGLE,
    "gcs": _GOOGLE,
    "http": _LOGIN,
    "https": _LOGIN,
}
_GOOGLES = ("gs", "gcs")
_GOOGLE_HOST = "storage.googleapis.com"
_LOGS = ("aiobotocore", "botocore", "fsspec", "gcsfs", "google.auth", "s3fs")


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
    scheme = address.partition(":")[0]
    try:
        yield
    except EdgeTransferError:
        raise
    except ImportError as error:
        extra = _EXTRAS.get(scheme, "remote")
        raise UsageError(
            f"{shown(address)}: {error.name or 'its library'} is not installed; "
            f"pip install 'edgetransfer[{extra}]' brings it"
        ) from error
    except Exception as error:  # each store has errors of its own
        raise DataError(f"{shown(address)}: {_why(error, scheme)}") from error


def _why(error: BaseException, scheme: str) -> str:
    """Why such an address cannot be read, and what helps."""
    if isinstance(error, FileNotFoundError):
        # Stores say so of what they are not allowed to see, too, and of servers they cannot reach.
        cause = error.__cause__
        status = getattr(cause, "status", None)
        if cause is None or isinstance(cause, FileNotFoundError) or status in GONE:
            return "nothing is there"
        error = cause
    mend = f"check the address, the network and the credentials{_CREDENTIALS.get(scheme, '')}"
    if UNTRUSTED in str(error):
        name = "AWS_CA_BUNDLE" if scheme.startswith("s3") else "SSL_CERT_FILE"
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


def with_environment(path: Path) -> Path:
    """An address with the environment's ``${NAME}``; a file's path as it is.

    Raises
    ------
    UsageError
        If a variable is not set, or the password was masked where the address was written down.
    """
    address = address_of(path)
    if address is None:
        return path
    if MASK in address:
        raise UsageError(
            f"{address}: its password was not written down; give the address again, with "
            "${NAME} in place of the password, which is then the environment's"
        )
    try:
        return Path(filled(address))
    except LookupError as error:
        raise UsageError(f"{address}: ${{{error.args[0]}}} is not set") from None


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

    for name in _LOGS:  # where nobody reads their logs, their tracebacks would go to stderr
        if not (log := logging.getLogger(name)).handlers:
            log.addHandler(logging.NullHandler())
    if address.partition(":")[0] in _GOOGLES and not _another_way_to_google():
        # gcsfs looks for credentials, then tries six times: a minute until it says the same.
        socket.getaddrinfo(_GOOGLE_HOST, "https")
    store, path = fsspec.core.url_to_fs(address)
    return store, path


def _another_way_to_google() -> bool:
    """Whether requests for Google's storage go elsewhere than to its public name."""
    import fsspec

    given = any(fsspec.config.conf.get(scheme) for scheme in _GOOGLES)
    names = ("STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_UNIVERSE_DOMAIN")
    return given or bool(getproxies()) or any(os.environ.get(name) for name in names)


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
