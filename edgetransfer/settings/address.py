"""Where a server listens, and whom it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr
from edgetransfer.settings.forms import BYTES
from edgetransfer.settings.option import Opt, settle

_ADDRESS = "Address"


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

    Examples
    --------
    >>> from edgetransfer import AddressSettings
    >>> AddressSettings(port=9000).host
    '127.0.0.1'
    """

    host: Annotated[
        str,
        Opt(
            "To listen on; others than this machine's own need a --token.",
            metavar="ADDRESS",
            panel=_ADDRESS,
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Opt(
            "To listen on; 0 takes any that is free.",
            metavar="PORT",
            panel=_ADDRESS,
            least=0,
            most=65535,
        ),
    ] = 8000
    token: Annotated[
        str | None,
        Opt(
            "That clients must show; needed beyond loopback.",
            metavar="TEXT",
            panel=_ADDRESS,
            envvar="EDGETRANSFER_TOKEN",
        ),
    ] = None
    host_names: Annotated[
        tuple[str, ...],
        Opt(
            "That the server answers to, beside its own; may be repeated.",
            metavar="NAME",
            panel=_ADDRESS,
            flag="--host-name",
        ),
    ] = ()
    max_body: Annotated[
        int, Opt("Of one request.", metavar="BYTES", panel=_ADDRESS, parse=BYTES, least=1)
    ] = 32 * 2**20

    __repr__ = short_repr

    def __post_init__(self) -> None:
        settle(self)
        token = self.token
        if token is not None and (not token or token != token.strip() or not token.isprintable()):
            raise UsageError("--token is not empty, and neither begins nor ends with a space")
