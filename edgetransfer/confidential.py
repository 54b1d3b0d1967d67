"""What is secret in addresses: it is the environment's, and is neither shown nor written down."""

from __future__ import annotations

import os
import re

MASK = "***"
"""What stands for a password wherever it is shown or kept."""

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]+:/+"
_ADDRESS = re.compile(rf"({_SCHEME})((?:(?!::{_SCHEME})[^\s'\"<>])+)")  # zip://a::https://b is two
_SECRET = re.compile(r"pass|secret|token|sig|cred|key|auth|jaas|session", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_BEHIND = re.compile(r"[:;,.)\]]*$")  # of the sentence, not of the address


def without_secrets(text: str) -> str:
    """A text whose addresses have a mask in place of passwords, tokens and signatures.

    Masked are what stands behind a login's colon, the login of http where it is all there is, and
    what the query gives to names that sound like it. ``${NAME}`` is no secret.

    Examples
    --------
    >>> without_secrets("http://me:s3cret@host/a.zip?token=abc&page=2: damaged")
    'http://me:***@host/a.zip?token=***&page=2: damaged'
    >>> without_secrets("redis://:${PASSWORD}@host/photos")
    'redis://:${PASSWORD}@host/photos'
    """
    if ":/" not in text:
        return text
    return _ADDRESS.sub(lambda found: found[1] + _masked(found[1], found[2]), text)


def filled(text: str) -> str:
    """A text with the environment's ``${NAME}``.

    Raises
    ------
    LookupError
        If it is not set; its only argument is the name.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise LookupError(found[1])
        return os.environ[found[1]]

    return _VARIABLE.sub(value, text)


def _masked(scheme: str, rest: str) -> str:
    end = _end_of_login(rest)
    login, rest = rest[:end], rest[end:]
    user, colon, password = login.partition(":")
    if colon:
        login = f"{user}:{_hidden(password)}"
    elif scheme.lower().startswith("http"):
        login = _hidden(login)
    path, mark, query = rest.partition("?")
    return f"{login}{path}{mark}{_masked_query(query)}"


def _end_of_login(rest: str) -> int:
    """Where the name and password before a host end; a slash in a password ought to be %2F."""
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in place:
        return place.rfind("@")
    host, colon, port = place.rpartition(":")
    if colon and "[" not in host and not port.isdecimal():
        return max(0, rest.partition("?")[0].rfind("@"))
    return 0


def _masked_query(query: str) -> str:
    behind = _BEHIND.search(query)
    assert behind is not None  # it may be empty
    pairs = query[: behind.start()].split("&")
    for place, pair in enumerate(pairs):
        name, equals, value = pair.partition("=")
        if equals and _SECRET.search(name):
            pairs[place] = f"{name}={_hidden(value)}"
    return "&".join(pairs) + behind[0]


def _hidden(secret: str) -> str:
    return secret if not secret or _VARIABLE.fullmatch(secret) else MASK
