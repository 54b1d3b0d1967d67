"""The lines of ``metrics.jsonl`` as a tracker wants them: numbers by name, at a step."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetransfer.errors import DataError
from edgetransfer.reprs import short_repr
from edgetransfer.untrusted_json import json_value

STEPS = ("epoch", "learned", "batches", "accepted")
NOT_MEASURED = frozenset([*STEPS, "time", "crc32"])


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a run measured at one step.

    Parameters
    ----------
    step
        An epoch, or samples that a stream has learned.
    time
        Seconds since 1970; None where the run does not say.
    values
        Numbers by name; those of an inner record as ``outer/inner``.
    """

    step: int
    time: float | None
    values: Mapping[str, float]

    __repr__ = short_repr


class MetricsReader:
    """Reads a file of metrics, and what is appended to it; a line that is not whole yet waits.

    Parameters
    ----------
    path
        ``metrics.jsonl`` of a run; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._lines = 0
        self._last = -1

    def news(self) -> Iterator[Measured]:
        """What was not read before; of a file that was written anew, what is of later steps.

        Raises
        ------
        DataError
            If a line is no record.
        """
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise DataError(f"{self._path}: cannot be read: {error.strerror}") from error
        whole = content.rfind(b"\n") + 1
        if whole < self._read:  # rolled back, or trained anew
            self._read = self._lines = 0
        for line in content[self._read : whole].splitlines():
            self._lines += 1
            found = self._measured(line)
            if found.step > self._last:
                self._last = found.step
                yield found
        self._read = whole

    def _measured(self, line: bytes) -> Measured:
        try:
            record = json_value(line)
            if not isinstance(record, dict):
                raise ValueError("not a record")
        except ValueError as error:
            raise DataError(f"{self._path}, line {self._lines}: damaged: {error}") from error
        step = next((record[name] for name in STEPS if name in record), self._lines)
        time = record.get("time")
        return Measured(
            step=int(step),
            time=float(time) if isinstance(time, int | float) else None,
            values=dict(numbers_in(record)),
        )


def numbers_in(record: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """The finite numbers of a record by name, those of inner records too."""
    for name, value in record.items():
        if not above and name in NOT_MEASURED:
            continue
        if isinstance(value, Mapping):
            yield from numbers_in(value, f"{above}{name}/")
        elif (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        ):
            yield f"{above}{name}", float(value)


def settings_in(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The settings of a run's ``config.toml`` by name, each a value that every tracker takes."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from settings_in(value, f"{above}{name}/")
        elif isinstance(value, str | int | float | bool):
            yield f"{above}{name}", value
        else:
            yield f"{above}{name}", json.dumps(value)
