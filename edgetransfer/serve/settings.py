"""All settings of one server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetransfer.errors import UsageError
from edgetransfer.paths import take_strings
from edgetransfer.reprs import short_repr


@dataclass(frozen=True, kw_only=True)
class AddressSettings:
    """Where a server listens, and whom it answers.

    Parameters
    ----------
    host, port
        What it is bound to; port 0 takes any that is free.
    token
        That clients must show; needed where the address is not loopback.
    host_names
        Names that it answers to, beside the one that it is bound to.
    max_body
        Bytes of one request.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    host_names: tuple[str, ...] = ()
    max_body: int = 32 * 2**20

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UsageError(f"--port lies between 0 and 65535, not {self.port}")
        if self.max_body < 1:
            raise UsageError(f"--max-body must be at least 1, not {self.max_body}")
        token = self.token
        if token is not None and (not token or token != token.strip() or not token.isprintable()):
            raise UsageError("--token is not empty, and neither begins nor ends with a space")


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
    address: AddressSettings = AddressSettings()
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
