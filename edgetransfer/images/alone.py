"""Decodes one photo from standard input, in a process that may be killed for it.

For a photo that was in hand when a process was killed: `survives_alone` says whether it does so
again. On Linux the child offers itself to the kernel first when memory runs out.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

SECONDS = 60  # a photo within the limits takes one or two
_FIRST_TO_GO = "1000"  # the highest score of Linux' out-of-memory killer


def survives_alone(data: bytes) -> bool:
    """Whether a process that decodes a photo lives on; True where none can be started."""
    command = [sys.executable, "-m", "edgetransfer.images.alone"]
    try:
        child = subprocess.run(
            command,
            input=data,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    except OSError:
        return True
    # A signal is negative here, 128 and more behind a shell or on Windows; 1 is Python's own.
    return 0 <= child.returncode < 128


def main() -> None:
    """Decode what comes on standard input; whether that succeeds is nobody's question."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")
    from edgetransfer.errors import ImageError
    from edgetransfer.images.decoding import open_upright

    with contextlib.suppress(ImageError):
        open_upright(sys.stdin.buffer.read())


if __name__ == "__main__":
    main()
