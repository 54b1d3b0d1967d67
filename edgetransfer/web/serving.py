"""A server that answers until somebody asks it to stop, and then what is in hand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event

from edgetransfer.settings.address import AddressSettings
from edgetransfer.web.messages import Routes
from edgetransfer.web.server import WebServer

logger = logging.getLogger(__name__)

DRAIN = 30.0  # seconds that requests in hand have at the end

Started = Callable[[str], None]
"""Told the server's address, once it answers."""


def serve_until(
    stop: Event,
    routes: Routes,
    address: AddressSettings,
    *,
    what: str,
    started: Started | None = None,
) -> None:
    """Answer at an address until ``stop`` is set.

    Parameters
    ----------
    what
        What is there, for the log.

    Raises
    ------
    EdgeTransferError
        If the address cannot be used.
    """
    server = WebServer(
        address.host,
        address.port,
        routes=routes,
        token=address.token,
        longest=address.max_body,
        names=address.host_names,
    )
    server.start()
    try:
        logger.info("%s on %s", what, server.address)
        if started is not None:
            started(server.address)
        stop.wait()
    finally:
        server.stop(seconds=DRAIN)
