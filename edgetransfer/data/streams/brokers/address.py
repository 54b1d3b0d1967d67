"""Where a broker is, and what is read from it: ``redis://host:6379/photos?group=one``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from edgetransfer.confidential import filled
from edgetransfer.errors import UsageError
from edgetransfer.reprs import short_repr

PORTS = {"redis": 6379, "rediss": 6379, "kafka": 9092, "mqtt": 1883, "mqtts": 8883}
FORMS = "redis://HOST/STREAM, kafka://HOST/TOPIC or mqtt://HOST/TOPIC"


@dataclass(frozen=True, kw_only=True)
class BrokerAddress:
    """A broker and what is read there.

    Parameters
    ----------
    kind
        ``redis``, ``kafka`` or ``mqtt``; with an s behind, over TLS.
    host, port
        Of the broker.
    topic
        The stream of Redis, the topic of Kafka, the topic filter of MQTT.
    user, password
        None where none are needed.
    options
        What stands behind the question mark; passwords may be among them.
    """

    kind: str
    host: str
    port: int
    topic: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    __repr__ = short_repr

    @classmethod
    def read(cls, text: str) -> BrokerAddress:
        """What ``--source`` names; ``${NAME}`` is the environment's, for passwords.

        Raises
        ------
        UsageError
            If it is no such address, or a variable is not set.
        """
        try:
            # An MQTT filter may hold a number sign, which would begin a fragment.
            parts = urlsplit(text.replace("#", "%23"))
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if not host or parts.scheme not in PORTS or not parts.path.strip("/"):
            raise UsageError(f"--source of a broker is {FORMS}, not {text!r}")

        def whole(part: str | None) -> str | None:
            try:
                return None if part is None else filled(unquote(part))
            except LookupError as error:
                raise UsageError(f"--source names ${{{error.args[0]}}}, which is not set") from None

        return cls(
            kind=parts.scheme,
            host=host,
            port=port or PORTS[parts.scheme],
            topic=unquote(parts.path[1:]),
            user=whole(parts.username) or None,
            password=whole(parts.password),
            options={name: str(whole(value)) for name, value in parse_qsl(parts.query)},
        )

    @property
    def secure(self) -> bool:
        """Whether it is reached over TLS."""
        return self.kind.endswith("s") and self.kind != "redis"

    def __str__(self) -> str:
        return f"{self.kind}://{self.host}:{self.port}/{self.topic}"


def mend_of(error: str, else_: str, trusting: str = "SSL_CERT_FILE=CA.pem") -> str:
    """What helps against why a broker cannot be reached.

    Parameters
    ----------
    else_
        What helps where its certificate is not the matter.
    trusting
        How an authority of one's own is named.
    """
    if "certificate verify failed" in error.lower().replace("_", " "):
        return f"if you trust it, {trusting} names who signed its certificate"
    return else_


def reader_name(run: Path) -> str:
    """What a run is called at brokers: each run reads all, and goes on where it stood."""
    digest = hashlib.sha256(str(run.resolve()).encode(errors="surrogateescape")).hexdigest()
    return f"edgetransfer-{digest[:12]}"
