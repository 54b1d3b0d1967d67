"""Reasons to take nothing in for a while."""

from __future__ import annotations

from time import monotonic

from edgetransfer.errors import EdgeTransferError

EVERY = 2.0  # seconds between looks


class Manners:
    """Watches battery and memory for a stream.

    Parameters
    ----------
    pause_on_battery
        Whether to pause on battery.
    max_memory
        Resident bytes at which to give up; None for no limit.
    """

    def __init__(self, *, pause_on_battery: bool, max_memory: int | None) -> None:
        self._battery = pause_on_battery
        self._max_memory = max_memory
        self._looked = -EVERY
        self._reason: str | None = None

    def reason_to_pause(self) -> str | None:
        """Why nothing should be taken in now; None if nothing speaks against it.

        Raises
        ------
        EdgeTransferError
            If the process has outgrown its memory.
        """
        if monotonic() - self._looked < EVERY:
            return self._reason
        self._looked = monotonic()
        self._reason = "on battery" if self._battery and on_battery() else None
        if self._max_memory is not None:
            resident = resident_bytes()
            if resident > self._max_memory:
                raise EdgeTransferError(
                    f"{resident >> 20} MiB in memory, more than --max-memory "
                    f"{self._max_memory >> 20} MiB; all is saved: start again with a higher limit, "
                    "or a new run with a smaller --reservoir or --engine-batch"
                )
        return self._reason


def on_battery() -> bool:
    """Whether the machine runs on its battery; False where it has none."""
    import psutil

    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return battery is not None and battery.power_plugged is False


def resident_bytes() -> int:
    """Resident memory of this process."""
    import psutil

    return int(psutil.Process().memory_info().rss)
