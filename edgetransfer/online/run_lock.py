"""One process at a time writes to a run."""

from __future__ import annotations

import os
from pathlib import Path

from edgetransfer.errors import RunFolderError

NAME = "lock"


class RunLock:
    """Held as long as the process lives; the system lets go of it however that ends.

    Raises
    ------
    RunFolderError
        If another process holds it.
    """

    def __init__(self, run: Path) -> None:
        self._handle = os.open(run / NAME, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            import fcntl
        except ImportError:  # Windows: an open handle of another process is not found out
            return
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._handle)
            raise RunFolderError(
                f"{run}: a stream is running here; stop it first (SIGTERM or Ctrl-C), it goes on "
                "where it stood when started again"
            ) from None

    def release(self) -> None:
        """Let another process in."""
        os.close(self._handle)
