"""Doing the two halves of a short job at once, without the cost of a thread pool."""

from __future__ import annotations

import threading
from collections.abc import Callable

Job = Callable[[int], None]


class Halves:
    """Runs the halves 0 and 1 of a job, the second in a thread of its own if there may be two.

    Handing over takes a few microseconds, so that it pays for jobs of a tenth of a millisecond
    whose work lets go of the interpreter's lock.

    Parameters
    ----------
    threads
        1 runs the halves one after the other; the result must be the same.
    """

    def __init__(self, threads: int) -> None:
        self.threads = min(threads, 2)
        self._helper = _Helper() if threads > 1 else None

    def run(self, job: Job, abandon: Callable[[], None] | None = None) -> None:
        """Do both halves; returns when both are done, and raises what either raised.

        ``abandon`` is called if the first half fails or is interrupted, for a second one that
        waits for it.
        """
        if self._helper is None:
            job(0)
            job(1)
            return
        try:
            self._helper.begin(job)
            job(0)
        except BaseException:
            if abandon is not None:
                abandon()
            raise
        finally:
            self._helper.finish()

    def __del__(self) -> None:
        helper = getattr(self, "_helper", None)
        if helper is not None:
            helper.begin(None)


class _Helper:
    """The thread that does second halves; it ends with the job None."""

    def __init__(self) -> None:
        self._job: Job | None = None
        self._error: BaseException | None = None
        self._begun = False
        self._given, self._done = threading.Lock(), threading.Lock()
        self._given.acquire()
        self._done.acquire()
        threading.Thread(target=self._work, name="edgetransfer-half", daemon=True).start()

    def begin(self, job: Job | None) -> None:
        self._job = job
        self._begun = True  # an interrupt comes before this or after the release
        self._given.release()

    def finish(self) -> None:
        if not self._begun:
            return
        self._done.acquire()
        self._begun = False
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _work(self) -> None:
        while True:
            self._given.acquire()
            job, self._job = self._job, None
            if job is None:
                return
            try:
                job(1)
            except BaseException as error:
                self._error = error
            del job
            self._done.release()
