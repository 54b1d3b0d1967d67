"""Pages as files."""

from __future__ import annotations

from pathlib import Path

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import EdgeTransferError, TakenError


def check_page(path: Path) -> None:
    """Refuse a name that no page can have.

    Raises
    ------
    TakenError
        If it is a folder's.
    """
    if path.is_dir():
        raise TakenError(f"--out {path}: a folder of that name is in the way")


def write_page_file(path: Path, page: str) -> None:
    """Write a page; one that is there is replaced.

    Raises
    ------
    EdgeTransferError
        If it cannot be written.
    """
    try:
        write_atomically(path, page.encode())
    except OSError as error:
        raise EdgeTransferError(f"{path}: cannot be written: {error.strerror or error}") from error
