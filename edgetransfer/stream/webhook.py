"""Predictions sent to an address as they are made, beside the stream: late perhaps, never lost.

What waits to be sent is ``predictions.jsonl`` itself, so that nothing is held in memory and
learning never waits. How far it was sent stands in ``webhook.json``, which moves on once the
receiver has answered 2xx: after a kill the last request may come again, with the same ids.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from edgetransfer.atomic import write_atomically
from edgetransfer.errors import UsageError
from edgetransfer.reports.stream import WebhookRecord
from edgetransfer.stream.keeping.predictions import NAME, OLDER

logger = logging.getLogger(__name__)

STATE = "webhook.json"
LINES, BYTES = 100, 2**18  # of one request
TAIL = 256  # bytes that tell a file from another one of its number
LOOK = 0.5  # seconds between looks at the file
SECONDS = 10.0  # for one request
LAST = 5.0  # seconds at the end for what still waits
FIRST_REST, LONGEST_REST = 1.0, 60.0  # after a request that failed; doubled each time


@dataclass(frozen=True, kw_only=True)
class Sent:
    """How far predictions were sent.

    Parameters
    ----------
    file, offset, tail
        Device and number of the file that was read, how many of its bytes were sent, and a
        checksum of the last of these.
    delivered
        Predictions that were answered with 2xx, over all starts.
    gaps
        How often a file went before all of it was sent: the two that are kept hold 128 MB.
    """

    url: str
    file: tuple[int, int] = (0, 0)
    offset: int = 0
    tail: int = 0
    delivered: int = 0
    gaps: int = 0


class Webhook:
    """Posts each line of a run's predictions, in their order.

    Parameters
    ----------
    run
        The run folder.
    url
        ``http`` or ``https``.
    token
        Sent as ``Authorization: Bearer``, if given.

    Raises
    ------
    UsageError
        If the address is no such.
    """

    def __init__(self, run: Path, url: str, token: str | None = None) -> None:
        if not url.startswith(("http://", "https://")) or not url.isprintable() or " " in url:
            raise UsageError(f"--webhook is an address http://… or https://…, not {url!r}")
        self._run, self._url = run, url
        self._headers = {"Content-Type": "application/json", "User-Agent": "edgetransfer"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._opener = build_opener(_NoRedirects)
        self._sent = self._read_state()
        self._file: BinaryIO | None = None  # held: its number is not used again meanwhile
        self.failures = 0
        self.error: str | None = None
        self._stop = Event()
        self._thread = Thread(target=self._run_until_stopped, name="edgetransfer-webhook")

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def close(self) -> None:
        """Send what waits, if that takes a few seconds at most; the rest is sent next time."""
        self._stop.set()
        self._thread.join()
        if self._file is not None:
            self._file.close()

    def report(self) -> WebhookRecord:
        """How it stands, as JSON values."""
        return {
            "url": self._url,
            "delivered": self._sent.delivered,
            "waiting_bytes": self._waiting(),
            "gaps": self._sent.gaps,
            "failures": self.failures,
            "error": self.error,
        }

    def _run_until_stopped(self) -> None:
        rest = FIRST_REST
        while not self._stop.wait(LOOK):
            while not self._stop.is_set() and (lines := self._next()):
                if self._post(lines, SECONDS):
                    rest = FIRST_REST
                    continue
                self._stop.wait(rest)
                rest = min(2 * rest, LONGEST_REST)
        end = monotonic() + LAST
        while (left := end - monotonic()) > 0 and (lines := self._next()):
            if not self._post(lines, left):
                break

    def _next(self) -> bytes:
        """Whole lines that come next; empty if there are none."""
        if self._file is None and not self._found():
            return b""
        lines = self._read()
        if not lines and self._ended():
            # Looked at again: what came before the file was set aside is all in it now.
            lines = self._read()
            if not lines and self._go_on():
                lines = self._read()
        return lines

    def _read(self) -> bytes:
        assert self._file is not None
        self._file.seek(self._sent.offset)
        found = self._file.read(BYTES)
        whole = found[: found.rfind(b"\n") + 1].splitlines(keepends=True)
        return b"".join(whole[:LINES])

    def _found(self) -> bool:
        """Open what an earlier start was at, else the oldest file there is."""
        opened = [file for name in (OLDER, NAME) if (file := _opened(self._run / name))]
        known = next((file for file in opened if self._is_known(file)), None)
        for file in opened:
            if file is not (known or opened[0]):
                file.close()
        if not opened:
            return False
        if known is None:
            self._gap()
            self._sent = replace(self._sent, file=_identity(opened[0]), offset=0, tail=0)
        self._file = known or opened[0]
        return True

    def _is_known(self, file: BinaryIO) -> bool:
        """Whether a file is the one that was sent from: numbers of files are used again."""
        sent = self._sent
        return _identity(file) == sent.file and _tail(file, sent.offset) == sent.tail

    def _ended(self) -> bool:
        """Whether the stream writes to another file by now."""
        assert self._file is not None
        newest = _opened(self._run / NAME)
        if newest is None:
            return False
        with newest:
            return _identity(newest) != _identity(self._file)

    def _go_on(self) -> bool:
        """Open the file behind the one that was sent."""
        assert self._file is not None
        before = _identity(self._file)
        older = _opened(self._run / OLDER)
        if older is not None and _identity(older) == before:
            older.close()
            older = None
        elif older is not None:
            self._gap()
        following = older or _opened(self._run / NAME)
        if following is None:
            return False
        self._file.close()
        self._file = following
        self._sent = replace(self._sent, file=_identity(following), offset=0, tail=0)
        return True

    def _gap(self) -> None:
        if self._sent.file != (0, 0):
            self._sent = replace(self._sent, gaps=self._sent.gaps + 1)
            logger.warning("predictions may have gone before the webhook took them")

    def _post(self, lines: bytes, seconds: float) -> bool:
        """Send lines and remember it; False if they were not taken."""
        whole = [line for line in lines.splitlines() if line.startswith(b"{")]
        body = b'{"predictions": [' + b", ".join(whole) + b"]}"
        try:
            request = Request(self._url, data=body, headers=self._headers, method="POST")
            with self._opener.open(request, timeout=seconds) as answer:
                answer.read(1024)
        except HTTPError as error:
            return self._failed(f"it answered {error.code}")
        except (URLError, OSError, ValueError) as error:
            return self._failed(str(getattr(error, "reason", error)))
        if self.error is not None:
            logger.info("the webhook takes predictions again")
        self.error = None
        assert self._file is not None
        offset = self._sent.offset + len(lines)
        self._sent = replace(
            self._sent,
            offset=offset,
            tail=_tail(self._file, offset),
            delivered=self._sent.delivered + len(whole),
        )
        try:
            write_atomically(self._run / STATE, json.dumps(asdict(self._sent)).encode())
        except OSError as error:  # they are sent again after a restart
            logger.debug("%s: %s", STATE, error)
        return True

    def _failed(self, reason: str) -> bool:
        self.failures += 1
        if self.error is None:
            logger.warning(
                "the webhook %s took no predictions: %s; they wait in %s until it does",
                self._url[:100],
                reason,
                NAME,
            )
        self.error = reason
        return False

    def _waiting(self) -> int:
        """Bytes of predictions that were not sent yet."""
        sizes = {}
        for name in (OLDER, NAME):
            if (file := _opened(self._run / name)) is not None:
                with file:
                    sizes[_identity(file)] = os.fstat(file.fileno()).st_size
        files = list(sizes)
        if self._sent.file in files:
            behind = files[files.index(self._sent.file) :]
            return sum(sizes[file] for file in behind) - self._sent.offset
        return sum(sizes.values())

    def _read_state(self) -> Sent:
        """What was sent by earlier starts to the same address; damaged, it begins anew."""
        try:
            found = json.loads((self._run / STATE).read_bytes())
            state = Sent(**{**found, "file": tuple(found["file"])})
            fine = all(type(n) is int and n >= 0 for n in (*state.file, state.offset, state.tail))
            if fine and state.url == self._url and type(state.delivered) is int:
                return state
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            pass
        return Sent(url=self._url)


class _NoRedirects(HTTPRedirectHandler):
    """A receiver that has moved is told to the person: predictions go nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        """Refuse."""
        return


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _identity(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino


def _tail(file: BinaryIO, offset: int) -> int:
    """A checksum of the bytes before an offset."""
    file.seek(max(0, offset - TAIL))
    return zlib.crc32(file.read(min(TAIL, offset)))
