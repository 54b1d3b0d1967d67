"""Predictions sent to an address as they are made, beside the stream: late perhaps, never lost.

How far they were sent stands in ``webhook.json``, which moves on once the receiver has answered
2xx: after a kill the last request may come again, with the same ids.
"""

from __future__ import annotations

import logging
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from edgetransfer.errors import UsageError
from edgetransfer.reports.stream import WebhookRecord
from edgetransfer.stream.follower import Follower
from edgetransfer.stream.keeping.predictions import NAME
from edgetransfer.stream.predictions_reader import PredictionsReader

logger = logging.getLogger(__name__)

STATE = "webhook.json"
LINES, BYTES = 100, 2**18  # of one request
LOOK = 0.5  # seconds between looks at the file
SECONDS = 10.0  # for one request
LAST = 5.0  # seconds at the end for what still waits
FIRST_REST, LONGEST_REST = 1.0, 60.0  # after a request that failed; doubled each time


class Webhook(Follower):
    """Posts each line of a run's predictions, in their order.

    At its end it sends what waits, if that takes a few seconds at most; the rest is sent next time.

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
        self._url = url
        self._headers = {"Content-Type": "application/json", "User-Agent": "edgetransfer"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._opener = build_opener(_NoRedirects)
        reader = PredictionsReader(run, STATE, url, lines=LINES, size=BYTES)
        super().__init__("edgetransfer-webhook", reader)
        self.failures = 0

    def report(self) -> WebhookRecord:
        """How it stands, as JSON values."""
        return {
            "url": self._url,
            "delivered": self._reader.sent.delivered,
            "waiting_bytes": self._reader.waiting(),
            "gaps": self._reader.sent.gaps,
            "failures": self.failures,
            "error": self.error,
        }

    def _run_until_stopped(self) -> None:
        rest = FIRST_REST
        while not self._stop.wait(LOOK):
            while not self._stop.is_set() and (lines := self._reader.next()):
                if self._post(lines, SECONDS):
                    rest = FIRST_REST
                    continue
                self._stop.wait(rest)
                rest = min(2 * rest, LONGEST_REST)
        end = monotonic() + LAST
        while (left := end - monotonic()) > 0 and (lines := self._reader.next()):
            if not self._post(lines, left):
                break

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
        self._reader.taken(lines, len(whole))
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


class _NoRedirects(HTTPRedirectHandler):
    """A receiver that has moved is told to the person: predictions go nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        """Refuse."""
        return
