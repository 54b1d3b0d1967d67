"""What hands a stream's predictions on beside it: a thread of its own, ended with what waits."""

from __future__ import annotations

from threading import Event, Thread
from typing import Self

from edgetransfer.closing import Closing
from edgetransfer.stream.predictions_reader import PredictionsReader


class Follower(Closing):
    """A thread that follows a run's predictions; it starts and ends with a ``with``.

    Parameters
    ----------
    name
        Of the thread.
    reader
        Of the predictions; closed at the end.
    """

    def __init__(self, name: str, reader: PredictionsReader) -> None:
        self.error: str | None = None
        self._reader = reader
        self._stop = Event()
        self._thread = Thread(target=self._run_until_stopped, name=name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def close(self) -> None:
        """Hand on what waits, as far as that can be done, and end."""
        self._stop.set()
        self._thread.join()
        self._reader.close()

    def _run_until_stopped(self) -> None:
        """Hand lines on until `_stop` is set, then what still waits."""
        raise NotImplementedError
