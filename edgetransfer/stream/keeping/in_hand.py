"""Which samples are being decoded: what a process that is killed leaves behind.

Each decoding thread writes the key of its sample into a slot of a small file that is mapped into
memory, and clears it behind: no system call, and a killed process's slots are still there when the
next one opens the run. Such samples are suspects, for a kill may have other causes. When one comes
again, a process of its own decodes it first; if that is killed as well, the sample is set aside for
good. If it lives, the sample is taken, but decoded while no other is, so that what was only in hand
beside it is not taken for guilty; one that was in hand at `MOST_DEATHS` deaths is set aside
whatever the reason.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

from edgetransfer.atomic import naming, write_atomically
from edgetransfer.data.streams import Arrival
from edgetransfer.images.alone import survives_alone
from edgetransfer.stream.keeping.opened import write_all
from edgetransfer.stream.learning.ids import ID_BYTES, id_key
from edgetransfer.untrusted_json import json_value

logger = logging.getLogger(__name__)

SLOTS_FILE, SUSPECTS_FILE = "in-hand.bin", "in-hand.json"
SLOTS = 256  # threads beyond that share
MOST_DEATHS = 3
SET_ASIDE = 1_000_000  # deaths of a sample that is set aside for good

_EMPTY = bytes(ID_BYTES)


class Turns:
    """Who is at work: many together, or one alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._working = 0
        self._waiting = 0  # to be alone
        self._alone = False

    def begin(self, *, alone: bool) -> None:
        """Wait for a turn; nobody begins any more while somebody waits to be alone."""
        with self._changed:
            if not alone:
                self._changed.wait_for(lambda: not self._alone and not self._waiting)
            else:
                self._waiting += 1
                self._changed.wait_for(lambda: not self._working)
                self._waiting -= 1
                self._alone = True
            self._working += 1

    def end(self) -> None:
        """Give the turn back."""
        with self._changed:
            self._working -= 1
            self._alone = False
            self._changed.notify_all()


class InHand:
    """The samples that are being decoded, and those that were when the last process died.

    Parameters
    ----------
    run
        The run's folder, which this process owns.
    accepted
        Whether the sample of a key was accepted: it is a suspect no longer.

    Raises
    ------
    OSError
        If the files cannot be written.
    """

    def __init__(self, run: Path, accepted: Callable[[bytes], bool]) -> None:
        self._suspects_path = run / SUSPECTS_FILE
        self._numbers = count()
        self._own = threading.local()
        self._turns = Turns()
        self._tried: set[bytes] = set()
        place = os.open(
            run / SLOTS_FILE, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666
        )
        try:
            size = SLOTS * ID_BYTES
            # Written, not only made longer: a mapped page without a block on a full disk is a kill.
            left = os.read(place, size).ljust(size, b"\0")
            os.lseek(place, 0, os.SEEK_SET)
            with naming(run / SLOTS_FILE):
                write_all(place, left)
            self._slots = mmap.mmap(place, size)
        finally:
            os.close(place)
        keys = {left[i : i + ID_BYTES] for i in range(0, size, ID_BYTES)} - {_EMPTY}
        self._deaths = {k: n for k, n in self._read().items() if not accepted(k)}
        for key in keys:
            if not accepted(key):
                self._deaths[key] = self._deaths.get(key, 0) + 1
        if keys:
            self._write()
            self._slots[:] = bytes(size)

    def began(self, sample_id: str) -> None:
        """The calling thread decodes this sample now; a suspect waits to be the only one."""
        slot = getattr(self._own, "slot", None)
        if slot is None:
            start = next(self._numbers) % SLOTS * ID_BYTES
            slot = self._own.slot = slice(start, start + ID_BYTES)
        key = id_key(sample_id)
        if self._deaths:
            self._turns.begin(alone=key in self._deaths)
        self._slots[slot] = key

    def ended(self) -> None:
        """The calling thread is done with its sample."""
        self._slots[self._own.slot] = _EMPTY
        if self._deaths:
            self._turns.end()

    def why_set_aside(self, arrival: Arrival) -> str | None:
        """Why a sample that was in hand at a death is not taken; None if it is.

        A suspect that comes for the first time is decoded in a process of its own first.
        """
        if not self._deaths:
            return None
        key = id_key(arrival.id)
        deaths = self._deaths.get(key)
        if deaths is None or (deaths < MOST_DEATHS and key in self._tried):
            return None
        if deaths < MOST_DEATHS:
            try:
                data = arrival.read()
            except OSError:
                return None  # whoever reads it next says why
            logger.info("%s was in hand when the stream was killed: tried alone", arrival.id[:200])
            self._tried.add(key)
            if survives_alone(data):
                return None
        if deaths < SET_ASIDE:
            self._deaths[key] = SET_ASIDE
            self._write()
        return (
            "set aside: decoding it ended the process, twice; convert the photo, and send it "
            "under another id"
        )

    def close(self) -> None:
        """Let go of the files."""
        self._slots.close()

    def _read(self) -> dict[bytes, int]:
        """The suspects of earlier deaths; what is damaged is begun anew."""
        try:
            text = self._suspects_path.read_text(encoding="ascii")
            return {bytes.fromhex(key): int(deaths) for key, deaths in json_value(text).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _write(self) -> None:
        deaths = {key.hex(): n for key, n in self._deaths.items()}
        write_atomically(self._suspects_path, json.dumps(deaths).encode())
