"""Samples from a stream of Redis, read as a consumer group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Event
from typing import Any

from edgetransfer.data.streams.arrivals import Arrival, Ledger, Reply, no_reply
from edgetransfer.data.streams.brokers.acknowledging import InHand
from edgetransfer.data.streams.brokers.address import BrokerAddress, mend_of
from edgetransfer.data.streams.brokers.messages import arrival_of, text_of
from edgetransfer.data.streams.brokers.outage import Outage
from edgetransfer.errors import DataError, UsageError

AT_ONCE = 64
BLOCK = 250  # milliseconds
CONSUMER = "edgetransfer"
_FIELDS = (b"image", b"json", b"data", b"value", b"message", b"payload")


class RedisSource:
    """Entries of a stream; each is acknowledged (XACK) when the journal has it.

    An entry has the photo's bytes in ``image``, and perhaps ``label`` and ``id``; or a JSON object
    in ``json``. Its id is that, or else the stream's name and the entry's id. What was read and
    not acknowledged comes again after a restart, and first.

    Parameters
    ----------
    address
        Its topic is the stream; options: ``group``, ``start=new`` (what comes from now on), ``db``.
    group
        Of consumers, where the address names none.
    longest
        Bytes of one entry.
    once
        End when there is nothing new.
    reply
        Told what became of each.

    Raises
    ------
    UsageError
        If redis is not installed.
    DataError
        If the server cannot be reached, or refuses.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        group: str,
        longest: int,
        once: bool = False,
        reply: Reply = no_reply,
    ) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise UsageError(
                f"{address}: it needs redis: pip install 'edgetransfer[redis]' brings it"
            ) from error
        self._errors = redis.exceptions
        self._address = address
        self._stream = address.topic
        self._group = address.options.get("group", group)
        self._longest = longest
        self._once = once
        self._in_hand: InHand[bytes] = InHand(reply)
        self._client = redis.Redis(
            host=address.host,
            port=address.port,
            db=int(address.options.get("db", "0")),
            username=address.user,
            password=address.password,
            ssl=address.secure,
            socket_timeout=10,
            socket_connect_timeout=5,
            retry=Retry(NoBackoff(), 0),  # an outage is told, and waited for, here
        )
        try:
            self._make_group()
        except self._errors.RedisError as error:
            self._client.close()
            usual = "check the address, that the server runs, and the password"
            raise DataError(f"{address}: {error}; {mend_of(str(error), usual)}") from error

    def arrivals(self, stop: Event, ledger: Ledger) -> Iterator[Arrival]:
        """See `Source.arrivals`."""
        del ledger  # duplicates are answered, and so acknowledged, like everything else
        outage = Outage(str(self._address))
        try:
            after = b"0"  # first what was read before and not acknowledged
            while not stop.is_set():
                try:
                    self._acknowledge()
                    entries = self._read(after)
                    outage.over()
                except self._errors.ResponseError as error:
                    if "NOGROUP" not in str(error):
                        raise DataError(f"{self._address}: {error}") from error
                    outage.wait(error, stop)  # the server came back without its data
                    after = self._begin_again()
                    continue
                except (self._errors.ConnectionError, self._errors.TimeoutError) as error:
                    outage.wait(error, stop)
                    after = b"0"
                    continue
                except self._errors.RedisError as error:
                    raise DataError(f"{self._address}: {error}") from error
                for entry, fields in entries:
                    if after != b">":
                        after = entry
                        if entry in self._in_hand:  # the server went away meanwhile
                            continue
                    yield self._arrival(entry, fields)
                if not entries:
                    if after == b">" and self._once:
                        return
                    after = b">"
        finally:
            self._in_hand.finish(self._acknowledge_quietly)
            self._client.close()

    def _make_group(self) -> None:
        start = "$" if self._address.options.get("start") == "new" else "0"
        try:
            self._client.xgroup_create(self._stream, self._group, id=start, mkstream=True)
        except self._errors.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _begin_again(self) -> bytes:
        try:
            self._make_group()
        except self._errors.RedisError:
            return b">"  # the next round says why
        return b"0"

    def _read(self, after: bytes) -> list[tuple[bytes, Mapping[bytes, bytes]]]:
        found: Any = self._client.xreadgroup(
            self._group,
            CONSUMER,
            {self._stream: after},
            count=AT_ONCE,
            block=BLOCK if after == b">" else None,
        )
        if isinstance(found, dict):  # the third version of the protocol
            found = [(name, entries[0]) for name, entries in found.items()]
        return [entry for _, entries in found or () for entry in entries]

    def _acknowledge(self) -> None:
        if kept := self._in_hand.kept():
            self._client.xack(self._stream, self._group, *kept)

    def _acknowledge_quietly(self) -> None:
        try:
            self._acknowledge()
        except self._errors.RedisError:  # they come again, and are known
            return

    def _arrival(self, entry: bytes, fields: Mapping[bytes, bytes] | None) -> Arrival:
        name = f"{self._stream}/{entry.decode()}"
        reply = self._in_hand.take(entry)
        if not fields:
            return Arrival(id=name, problem="it was trimmed before it was read", reply=reply)
        try:
            payload = next((fields[key] for key in _FIELDS if key in fields), None)
            label = text_of(fields.get(b"label"), "label")
            sample_id = text_of(fields.get(b"id"), "id")
            if payload is None:
                raise DataError("it has neither image nor json")
        except DataError as error:
            return Arrival(id=name, problem=str(error), reply=reply)
        return arrival_of(
            payload, name, reply, longest=self._longest, label=label, sample_id=sample_id
        )
