"""A run that goes on learning while it is served: what it wrote last is taken up.

A head of the same backbone takes the place of the one before at once. Where the backbone, or how
it is fed, is another, the new one is opened beside the old one, which answers until the new one
can. What cannot be opened, because it is being written or is damaged, leaves everything as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from edgetransfer.errors import EdgeTransferError
from edgetransfer.heads import LinearHead
from edgetransfer.merging import is_merged
from edgetransfer.runs import RunFolder
from edgetransfer.runs.pending import pending
from edgetransfer.runs.run_folder import BACKBONE, CONFIG, HEAD
from edgetransfer.serve.predictor import Predictor
from edgetransfer.train import Classifier

logger = logging.getLogger(__name__)

SECONDS = 1.0  # between looks
_SAME = ("backbone", "features", "preprocessing", "unknown_below")  # of a head's metadata

Signature = tuple[tuple[int, int, int] | None, ...]
Open = Callable[[], Classifier]


class Renewal:
    """Looks at a run's files once a second, in a thread of its own.

    Parameters
    ----------
    run
        A run folder, or an exported file.
    load
        Opens the run anew.
    """

    def __init__(self, run: Path, predictor: Predictor, load: Open) -> None:
        self.renewed = 0
        self.problem: str | None = None
        self._run = run
        self._predictor = predictor
        self._load = load
        self._stop = Event()
        self._seen = signature(run)
        self._thread = Thread(target=self._watch, name="edgetransfer-renewal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(SECONDS):
            now = signature(self._run)
            if now != self._seen:
                self._renew(now)

    def _renew(self, now: Signature) -> None:
        try:
            only_head = now[1:] == self._seen[1:] and not is_merged(self._run)
            if not (only_head and self._took_head()):
                self._predictor.take_up(self._load())
        except (EdgeTransferError, OSError) as error:
            if self.problem is None:
                logger.warning("not taken up, the one before goes on: %s", error)
            self.problem = str(error)
            return  # looked at again in a second
        self._seen, self.problem = now, None
        self.renewed += 1
        logger.info("taken up: what %s holds now", self._run)

    def _took_head(self) -> bool:
        """Whether the new head could take the place of the one before, with the same backbone."""
        folder = RunFolder.open(self._run)
        if pending(folder.path) is not None:
            return False
        head, before = LinearHead.load(folder.file(HEAD)), self._predictor.classifier.head
        if any(head.metadata.get(key) != before.metadata.get(key) for key in _SAME):
            return False
        self._predictor.take_up_head(head)
        return True


def signature(run: Path) -> Signature:
    """What tells whether the files of a run are other ones: of each, its number, size and time."""
    names = [run] if run.is_file() else [run / name for name in (HEAD, CONFIG, BACKBONE)]
    return tuple(_of(path) for path in names)


def _of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
