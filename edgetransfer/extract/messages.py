"""What goes over the pipes between a process that gives tables out and those that make them.

Either side begins with a line, ``edgetransfer-extract FORMAT VERSION``, and reads the other's
before it unpickles anything: beside a checkout, or after an upgrade, a process may be of another
release. Then pickled tasks go one way, and the other way pickled (kind, value): ``done`` photos of
the table in hand, ``made`` its name, ``failed`` an error, ``said`` a line of the log.
"""

from __future__ import annotations

from typing import IO

from edgetransfer.errors import EdgeTransferError
from edgetransfer.version import __version__

FORMAT = 1
_GREETING = f"edgetransfer-extract {FORMAT} {__version__}\n".encode()
_LONGEST = 200  # bytes of a line that could be a greeting


def greet(pipe: IO[bytes]) -> None:
    """Begin a pipe; `BrokenPipeError` if nobody is there to read it."""
    pipe.write(_GREETING)
    pipe.flush()


def expect_greeting(pipe: IO[bytes]) -> None:
    """Read how a pipe begins.

    Raises
    ------
    EOFError
        If it ends before that.
    EdgeTransferError
        If whoever writes to it is of another release, or something else.
    """
    found = pipe.readline(_LONGEST)
    if found == _GREETING:
        return
    if len(found) < _LONGEST and not found.endswith(b"\n"):
        raise EOFError
    raise EdgeTransferError(
        f"{_shown(found)} where {_shown(_GREETING)} was expected: the processes of "
        "--processes are not of one release; install one, and run the same call again in a folder "
        "that has no other edgetransfer in it"
    )


def _shown(line: bytes) -> str:
    """A greeting in an error."""
    return ascii(line.decode("ascii", "replace").strip())
