"""All settings of one server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgetransfer.errors import UsageError
from edgetransfer.paths import take_strings
from edgetransfer.reprs import short_repr
from edgetransfer.web import AddressSettings


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """One server of predictions.

    Parameters
    ----------
    run
        A run folder, or a file that `edgetransfer export` wrote.
    address
        Where it listens.
    backbone
        Where the run's backbone is now, if it was moved.
    batch_size
        Photos that go through the engine together at most.
    gather_milliseconds
        How long a photo waits at most for others to go with it.
    unknown_below
        Below which probability a photo shows none of the classes; the run's own if None.
    """

    run: Path
    address: AddressSettings = field(default_factory=AddressSettings)
    backbone: str | None = None
    engine: str = "auto"
    threads: int | None = None
    batch_size: int = 8
    gather_milliseconds: float = 4.0
    unknown_below: float | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        take_strings(self, "run")
        for name in ("batch_size", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
        if not 0 <= self.gather_milliseconds <= 1000:
            raise UsageError(
                f"--gather-milliseconds lies between 0 and 1000, not {self.gather_milliseconds}"
            )
