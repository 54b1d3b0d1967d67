"""Where a server listens, and whom it answers."""

from __future__ import annotations

from dataclasses import dataclass

from edgetransfer.errors import UsageError
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
