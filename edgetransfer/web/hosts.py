"""Whom a request is meant for, and which page it comes from.

A page in a person's browser can send requests to this machine, and by DNS rebinding make its own
name stand for this machine's address. Its requests still carry its name: in ``Host`` where it was
rebound, in ``Origin`` and ``Sec-Fetch-Site`` where not.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from email.message import Message
from ipaddress import ip_address
from urllib.parse import urlsplit

WILDCARDS = ("", "0.0.0.0", "::")


class Hosts:
    """The names that a server answers to.

    Parameters
    ----------
    bound
        What it is bound to: an address, or a name.
    others
        Names that it answers to as well.
    """

    def __init__(self, bound: str, others: Collection[str] = ()) -> None:
        self.loopback = is_loopback(bound)
        self._any_address = bound in WILDCARDS
        self._names = {name.lower().rstrip(".") for name in (bound, "localhost", *others) if name}
        if not self.loopback:
            own = socket.gethostname().lower()
            self._names |= {own, f"{own.partition('.')[0]}.local", own.partition(".")[0]}

    def problem(self, headers: Message, method: str, version: str) -> str | None:
        """Why a request is refused; None if it is not.

        Parameters
        ----------
        version
            Of HTTP: ``HTTP/1.0`` needs no ``Host``.
        """
        given = headers.get_all("Host", [])
        if len(given) > 1 or (not given and version != "HTTP/1.0"):
            return "one Host is needed"
        host = given[0].strip() if given else None
        if host is not None and not self._is_own(_name(host)):
            return f"Host is not this server's; it answers to {', '.join(sorted(self._names))}"
        for origin in headers.get_all("Origin", []):
            if host is None or _netloc(origin) != host.lower():
                return "Origin is another page's"
        site = headers.get("Sec-Fetch-Site", "none").strip().lower()
        # A link that is followed is no harm: the page that holds it does not see the answer.
        followed = method == "GET" and headers.get("Sec-Fetch-Mode", "") == "navigate"
        if site not in ("none", "same-origin") and not followed:
            return "the request comes from another page"
        return None

    def _is_own(self, name: str | None) -> bool:
        if name is None:
            return False
        if name in self._names:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        # An address cannot be rebound: whoever shows it has been told it.
        return self._any_address or (self.loopback and address.is_loopback)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what is bound to a host."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str | None:
    """The name or address in ``name:port``; None if it is neither."""
    try:
        split = urlsplit(f"//{host}")
        _ = split.port
    except ValueError:
        return None
    if split.netloc != host or "@" in host or split.hostname is None:
        return None
    return split.hostname.rstrip(".")


def _netloc(origin: str) -> str | None:
    try:
        split = urlsplit(origin.strip().lower())
    except ValueError:
        return None
    return split.netloc if split.scheme in ("http", "https") else None
